/* How the values of configuration keys are read, written and described, a type each. */
#include "daemon/config/config_schema.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "daemon/base/mem.h"
#include "daemon/cluster/detect.h"
#include "daemon/config/endpoint.h"
#include "daemon/monitor/mrt_schedule.h"

/* Decimal digits and nothing else: strtoull() alone would take "-1", " 1" and "1x". */
static bool parse_digits(const char *text, uint64_t max, uint64_t *out)
{
	char *end;
	uint64_t n;

	if (!isdigit((unsigned char)*text) || strlen(text) > 19)
		return false;
	n = strtoull(text, &end, 10);
	if (*end || n > max)
		return false;
	*out = n;
	return true;
}

static bool number_parse(const struct config_row *row, const char *text, void *field)
{
	unsigned *to = field;
	uint64_t n;

	if (row->or_word && strcasecmp(text, row->or_word) == 0) {
		*to = 0;
		return true;
	}
	if (!parse_digits(text, row->max, &n))
		return false;
	/* Where 0 has a meaning of its own it is allowed below the range. */
	if (n < row->min && !(n == 0 && row->or_word))
		return false;
	*to = (unsigned)n;
	return true;
}

static void number_format(const struct config_row *row, const void *field, struct strbuf *out)
{
	(void)row;
	strbuf_printf(out, "%u", *(const unsigned *)field);
}

static void number_allowed(const struct config_row *row, struct strbuf *out)
{
	if (row->or_word)
		strbuf_printf(out, "0 (%s), or ", row->or_word);
	strbuf_printf(out, "a number from %" PRIu64 " to %" PRIu64, row->min, row->max);
}

const struct config_type config_number = {number_parse, number_format, number_allowed, false};

/* "90", or as Go writes durations: "90s", "1m30s", "2h". */
static bool seconds_parse(const struct config_row *row, const char *text, void *field)
{
	static const struct {
		char unit;
		unsigned seconds;
	} units[] = {{'h', 3600}, {'m', 60}, {'s', 1}};
	uint64_t sum = 0;
	unsigned next = 0;

	if (text[strspn(text, "0123456789")] == '\0')
		return number_parse(row, text, field);
	while (*text) {
		uint64_t n = 0;

		if (!isdigit((unsigned char)*text))
			return false;
		for (; isdigit((unsigned char)*text) && n <= row->max; text++)
			n = n * 10 + (unsigned)(*text - '0');
		while (next < sizeof units / sizeof *units && units[next].unit != *text)
			next++;
		if (next == sizeof units / sizeof *units)
			return false;
		sum += n * units[next++].seconds;
		text++;
	}
	if (sum < row->min || sum > row->max)
		return false;
	*(unsigned *)field = (unsigned)sum;
	return true;
}

static void seconds_allowed(const struct config_row *row, struct strbuf *out)
{
	strbuf_printf(out, "a number from %" PRIu64 " to %" PRIu64 ", or a duration such as 1m30s", row->min, row->max);
}

const struct config_type config_seconds = {seconds_parse, number_format, seconds_allowed, false};

/* An AS number in either notation of RFC 5396: 65550 or 1.14. */
static bool as_parse(const struct config_row *row, const char *text, void *field)
{
	const char *dot = strchr(text, '.');
	char high[8];
	uint64_t n, low;

	if (!dot)
		return number_parse(row, text, field);
	if ((size_t)(dot - text) >= sizeof high)
		return false;
	memcpy(high, text, (size_t)(dot - text));
	high[dot - text] = '\0';
	if (!parse_digits(high, UINT16_MAX, &n) || !parse_digits(dot + 1, UINT16_MAX, &low))
		return false;
	*(uint32_t *)field = (uint32_t)(n << 16 | low);
	return true;
}

static void as_allowed(const struct config_row *row, struct strbuf *out)
{
	number_allowed(row, out);
	strbuf_puts(out, ", or HIGH.LOW");
}

const struct config_type config_as = {as_parse, number_format, as_allowed, false};

/* A number, or the word for -1. */
static bool metric_parse(const struct config_row *row, const char *text, void *field)
{
	uint64_t n;

	if (strcasecmp(text, row->or_word) == 0) {
		*(int64_t *)field = -1;
		return true;
	}
	if (!parse_digits(text, row->max, &n))
		return false;
	*(int64_t *)field = (int64_t)n;
	return true;
}

static void metric_format(const struct config_row *row, const void *field, struct strbuf *out)
{
	(void)row;
	int64_t n = *(const int64_t *)field;

	if (n < 0)
		strbuf_puts(out, "priority");
	else
		strbuf_printf(out, "%" PRId64, n);
}

static void metric_allowed(const struct config_row *row, struct strbuf *out)
{
	strbuf_printf(out, "%s, or a number from 0 to %" PRIu64, row->or_word, row->max);
}

const struct config_type config_metric = {metric_parse, metric_format, metric_allowed, false};

/* An address to be used instead of the Node object's, or a word; the words of Calico's IP variable are among them. */
static const char *const node_ip_words[] = {
    [NODE_IP_OBJECT] = "object", [NODE_IP_AUTO] = "auto", [NODE_IP_DETECT] = "autodetect", [NODE_IP_NONE] = "none"};

static bool node_ip_parse(const char *text, uint8_t af, struct node_ip *to)
{
	struct node_ip ip = {.mode = NODE_IP_FIXED};
	unsigned len;

	for (size_t i = 0; i < sizeof node_ip_words / sizeof *node_ip_words; i++) {
		/* Calico's IP and IP6, if they are set to nothing, are as if they were not. */
		bool is_unset = !*text && i == (af == AF_INET ? NODE_IP_AUTO : NODE_IP_OBJECT);
		if (strcasecmp(text, node_ip_words[i]) == 0 || is_unset) {
			*to = (struct node_ip){.mode = (enum node_ip_mode)i};
			return true;
		}
	}
	if (!prefix_parse_host(&ip.addr.addr, &len, text) || ip.addr.addr.af != af || addr_is_martian(&ip.addr.addr))
		return false;
	ip.addr.len = strchr(text, '/') ? (uint8_t)len : 0;
	*to = ip;
	return true;
}

static bool ip4_parse(const struct config_row *row, const char *text, void *field)
{
	(void)row;
	return node_ip_parse(text, AF_INET, field);
}

static bool ip6_parse(const struct config_row *row, const char *text, void *field)
{
	(void)row;
	return node_ip_parse(text, AF_INET6, field);
}

static void ip_format(const struct config_row *row, const void *field, struct strbuf *out)
{
	const struct node_ip *ip = field;
	char text[ADDR_STRLEN];

	(void)row;
	if (ip->mode != NODE_IP_FIXED) {
		strbuf_puts(out, node_ip_words[ip->mode]);
		return;
	}
	strbuf_puts(out, addr_format(&ip->addr.addr, text));
	if (ip->addr.len)
		strbuf_printf(out, "/%u", ip->addr.len);
}

static void ip4_allowed(const struct config_row *row, struct strbuf *out)
{
	(void)row;
	strbuf_puts(out, "auto, object, autodetect, none, or a unicast IPv4 address");
}

static void ip6_allowed(const struct config_row *row, struct strbuf *out)
{
	(void)row;
	strbuf_puts(out, "auto, object, autodetect, none, or a unicast IPv6 address");
}

const struct config_type config_ip4 = {ip4_parse, ip_format, ip4_allowed, false};
const struct config_type config_ip6 = {ip6_parse, ip_format, ip6_allowed, false};

static bool prefix_parse_row(const struct config_row *row, const char *text, void *field)
{
	struct prefix p = {0};

	(void)row;
	if (*text && strcmp(text, "none") != 0 && (!prefix_parse(&p, text) || prefix_is_martian(&p)))
		return false;
	*(struct prefix *)field = p;
	return true;
}

static void prefix_format_field(const struct config_row *row, const void *field, struct strbuf *out)
{
	const struct prefix *p = field;
	char text[PREFIX_STRLEN];

	(void)row;
	strbuf_puts(out, addr_is_none(&p->addr) ? "none" : prefix_format(p, text));
}

static void prefix_allowed(const struct config_row *row, struct strbuf *out)
{
	(void)row;
	strbuf_puts(out, "none, or a prefix");
}

const struct config_type config_prefix = {prefix_parse_row, prefix_format_field, prefix_allowed, false};

/* Texts: a common setter, and what each kind allows. */
static bool text_set(const struct config_row *row, const char *text, void *field, bool valid)
{
	char **to = field;

	if (!valid || strlen(text) > row->max)
		return false;
	free(*to);
	*to = mem_strdup(text);
	return true;
}

static void text_format(const struct config_row *row, const void *field, struct strbuf *out)
{
	(void)row;
	strbuf_puts(out, *(char *const *)field);
}

/* Only visible ASCII, and none of the characters in `but`. */
static bool is_plain(const char *text, const char *but)
{
	for (; *text; text++)
		if (*text <= ' ' || *text >= 0x7f || strchr(but, *text))
			return false;
	return true;
}

static bool name_parse(const struct config_row *row, const char *text, void *field)
{
	return text_set(row, text, field, is_plain(text, "/\\\"'"));
}

static void name_allowed(const struct config_row *row, struct strbuf *out)
{
	strbuf_printf(out, "at most %" PRIu64 " letters, digits and signs, no blanks, quotes or slashes", row->max);
}

static bool detection_parse(const struct config_row *row, const char *text, void *field)
{
	return text_set(row, text, field, !detect_check(text));
}

static void detection_allowed(const struct config_row *row, struct strbuf *out)
{
	(void)row;
	strbuf_puts(out, "first-found, can-reach=DESTINATION, interface=REGEX, skip-interface=REGEX, cidr=PREFIX or "
			 "kubernetes-internal-ip");
}

const struct config_type config_detection = {detection_parse, text_format, detection_allowed, true};
const struct config_type config_name = {name_parse, text_format, name_allowed, true};

static bool path_parse(const struct config_row *row, const char *text, void *field)
{
	bool valid = *text == '/';

	for (const char *c = text; *c; c++)
		valid = valid && *c >= ' ' && *c < 0x7f;
	return text_set(row, text, field, valid);
}

static void path_allowed(const struct config_row *row, struct strbuf *out)
{
	strbuf_printf(out, "an absolute path of at most %" PRIu64 " ASCII characters", row->max);
}

const struct config_type config_path = {path_parse, text_format, path_allowed, true};

static bool path_or_none_parse(const struct config_row *row, const char *text, void *field)
{
	bool none = !*text || strcasecmp(text, "none") == 0;

	return none ? text_set(row, "", field, true) : path_parse(row, text, field);
}

static void path_or_none_format(const struct config_row *row, const void *field, struct strbuf *out)
{
	const char *path = *(char *const *)field;

	(void)row;
	strbuf_puts(out, *path ? path : "none");
}

static void path_or_none_allowed(const struct config_row *row, struct strbuf *out)
{
	strbuf_puts(out, "none, or ");
	path_allowed(row, out);
}

const struct config_type config_path_or_none = {path_or_none_parse, path_or_none_format, path_or_none_allowed, true};

static bool pattern_parse(const struct config_row *row, const char *text, void *field)
{
	return text_set(row, text, field, is_plain(text, "") && mrt_pattern_is_good(text));
}

static void pattern_allowed(const struct config_row *row, struct strbuf *out)
{
	strbuf_printf(out,
		      "an absolute path of at most %" PRIu64
		      " ASCII characters without blanks, whose last part may hold "
		      "%%Y %%m %%d %%H %%M %%S %%j and %%%%",
		      row->max);
}

const struct config_type config_pattern = {pattern_parse, text_format, pattern_allowed, true};

static bool interface_parse(const struct config_row *row, const char *text, void *field)
{
	return text_set(row, text, field, *text && is_plain(text, "/:,"));
}

static void interface_allowed(const struct config_row *row, struct strbuf *out)
{
	strbuf_printf(out, "the beginning of interface names, 1 to %" PRIu64 " characters", row->max);
}

const struct config_type config_interface = {interface_parse, text_format, interface_allowed, true};

/* The types by the words for them; the first word of each is how it is shown. */
static const struct {
	const char *word, *type;
} datastores[] = {{"file", "file"}, {"etcdv3", "etcdv3"}, {"etcd", "etcdv3"}, {"kubernetes", "kubernetes"}};

static bool datastore_parse(const struct config_row *row, const char *text, void *field)
{
	for (size_t i = 0; i < sizeof datastores / sizeof *datastores; i++)
		if (strcmp(text, datastores[i].word) == 0)
			return text_set(row, datastores[i].type, field, true);
	return false;
}

static void datastore_allowed(const struct config_row *row, struct strbuf *out)
{
	(void)row;
	for (size_t i = 0; i < sizeof datastores / sizeof *datastores; i++)
		strbuf_printf(out, "%s%s",
			      i == 0						? ""
			      : i + 1 == sizeof datastores / sizeof *datastores ? " or "
										: ", ",
			      datastores[i].word);
}

const struct config_type config_datastore = {datastore_parse, text_format, datastore_allowed, true};

static bool urls_parse(const struct config_row *row, const char *text, void *field)
{
	unsigned count = 0;
	bool valid = true;

	for (const char *at = text; valid && *at; at += strspn(at, ", ")) {
		size_t len = strcspn(at, ", ");
		bool https = strncmp(at, "https://", 8) == 0, http = strncmp(at, "http://", 7) == 0;
		size_t scheme = https ? 8 : 7;
		valid = len > scheme && (http || https) && at[scheme] != '/' && at[scheme] != ':';
		count++;
		at += len;
	}
	return text_set(row, text, field, valid && count && is_plain(text, "\\\"'"));
}

static void urls_allowed(const struct config_row *row, struct strbuf *out)
{
	(void)row;
	strbuf_puts(out, "http://HOST:PORT or https://HOST:PORT, several of them with commas between");
}

const struct config_type config_urls = {urls_parse, text_format, urls_allowed, true};

static bool url_parse(const struct config_row *row, const char *text, void *field)
{
	if (strcmp(text, "none") == 0)
		return text_set(row, "", field, true);
	return !strchr(text, ',') && urls_parse(row, text, field);
}

static void url_format(const struct config_row *row, const void *field, struct strbuf *out)
{
	const char *url = *(char *const *)field;

	(void)row;
	strbuf_puts(out, *url ? url : "none");
}

static void url_allowed(const struct config_row *row, struct strbuf *out)
{
	(void)row;
	strbuf_puts(out, "none, http://HOST:PORT or https://HOST:PORT");
}

const struct config_type config_url = {url_parse, url_format, url_allowed, true};

static bool api_group_parse(const struct config_row *row, const char *text, void *field)
{
	if (strcmp(text, "auto") == 0)
		return text_set(row, "", field, true);
	return text_set(row, text, field,
			strcmp(text, "crd.projectcalico.org/v1") == 0 || strcmp(text, "projectcalico.org/v3") == 0);
}

static void api_group_format(const struct config_row *row, const void *field, struct strbuf *out)
{
	const char *group = *(char *const *)field;

	(void)row;
	strbuf_puts(out, *group ? group : "auto");
}

static void api_group_allowed(const struct config_row *row, struct strbuf *out)
{
	(void)row;
	strbuf_puts(out, "auto, crd.projectcalico.org/v1 or projectcalico.org/v3");
}

const struct config_type config_api_group = {api_group_parse, api_group_format, api_group_allowed, true};

static bool secret_parse(const struct config_row *row, const char *text, void *field)
{
	bool valid = true;

	for (const char *c = text; *c; c++)
		valid = valid && !iscntrl((unsigned char)*c);
	return text_set(row, text, field, valid);
}

/* Who may see the configuration need not know it. */
static void secret_format(const struct config_row *row, const void *field, struct strbuf *out)
{
	(void)row;
	strbuf_puts(out, **(char *const *)field ? "********" : "");
}

static void secret_allowed(const struct config_row *row, struct strbuf *out)
{
	strbuf_printf(out, "a text of at most %" PRIu64 " octets without control characters", row->max);
}

const struct config_type config_secret = {secret_parse, secret_format, secret_allowed, true};

static bool router_id_parse(const struct config_row *row, const char *text, void *field)
{
	struct addr a;
	bool literal = addr_parse(&a, text) && a.af == AF_INET && addr_to_u32(&a) != 0;

	return text_set(row, text, field, literal || strcmp(text, "auto") == 0 || strcmp(text, "hash") == 0);
}

static void router_id_allowed(const struct config_row *row, struct strbuf *out)
{
	(void)row;
	strbuf_puts(out, "auto, hash, or an IPv4 address");
}

const struct config_type config_router_id = {router_id_parse, text_format, router_id_allowed, true};

static bool stations_parse(const struct config_row *row, const char *text, void *field)
{
	struct endpoint e, other;
	const char *rest = text, *before;
	bool valid = true;

	while (endpoint_next(&e, &rest))
		for (before = text; endpoint_next(&other, &before) && before != rest;)
			valid = valid && !endpoint_equal(&e, &other);
	return text_set(row, text, field, valid && !*rest);
}

static void stations_allowed(const struct config_row *row, struct strbuf *out)
{
	(void)row;
	strbuf_puts(out, "different ADDRESS:PORT or [IPv6 ADDRESS]:PORT, separated by blanks");
}

const struct config_type config_stations = {stations_parse, text_format, stations_allowed, true};
