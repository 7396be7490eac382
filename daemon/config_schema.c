#include "daemon/config_schema.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "daemon/base/mem.h"
#include "daemon/control.h"
#include "daemon/endpoint.h"
#include "daemon/mrt_schedule.h"
#include "fib/fib.h"

/* ---- Types ---- */

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

static void number_format(const void *field, struct strbuf *out)
{
	strbuf_printf(out, "%u", *(const unsigned *)field);
}

static void number_allowed(const struct config_row *row, struct strbuf *out)
{
	if (row->or_word)
		strbuf_printf(out, "0 (%s), or ", row->or_word);
	strbuf_printf(out, "a number from %" PRIu64 " to %" PRIu64, row->min, row->max);
}

static const struct config_type type_number = {number_parse, number_format, number_allowed, false};

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

static const struct config_type type_as = {as_parse, number_format, as_allowed, false};

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

static void metric_format(const void *field, struct strbuf *out)
{
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

static const struct config_type type_metric = {metric_parse, metric_format, metric_allowed, false};

static bool bool_parse(const struct config_row *row, const char *text, void *field)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = {{"true", true}, {"yes", true}, {"on", true}, {"false", false}, {"no", false}, {"off", false}};

	(void)row;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (strcasecmp(text, words[i].word) == 0) {
			*(bool *)field = words[i].value;
			return true;
		}
	}
	return false;
}

static void bool_format(const void *field, struct strbuf *out)
{
	strbuf_puts(out, *(const bool *)field ? "true" : "false");
}

static void bool_allowed(const struct config_row *row, struct strbuf *out)
{
	(void)row;
	strbuf_puts(out, "true, yes, on, false, no or off");
}

static const struct config_type type_bool = {bool_parse, bool_format, bool_allowed, false};

/* Calico's names for severities are understood beside ours. */
static bool level_parse(const struct config_row *row, const char *text, void *field)
{
	static const struct {
		const char *word;
		enum log_level level;
	} words[] = {
	    {"error", LOG_LVL_ERROR}, {"fatal", LOG_LVL_ERROR},	 {"panic", LOG_LVL_ERROR},
	    {"none", LOG_LVL_ERROR},  {"warning", LOG_LVL_WARN}, {"warn", LOG_LVL_WARN},
	    {"info", LOG_LVL_INFO},   {"debug", LOG_LVL_DEBUG},	 {"trace", LOG_LVL_DEBUG},
	};

	(void)row;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (strcasecmp(text, words[i].word) == 0) {
			*(enum log_level *)field = words[i].level;
			return true;
		}
	}
	return false;
}

static void level_format(const void *field, struct strbuf *out)
{
	strbuf_puts(out, log_level_name(*(const enum log_level *)field));
}

static void level_allowed(const struct config_row *row, struct strbuf *out)
{
	(void)row;
	strbuf_puts(out, "error, warning, info or debug");
}

static const struct config_type type_level = {level_parse, level_format, level_allowed, false};

/* The words of BGPPeer's addPath, in small letters. */
static const char *const add_path_words[] = {
    [ADD_PATH_AUTO] = "auto", [ADD_PATH_OFF] = "off",	[ADD_PATH_RECEIVE] = "receive",
    [ADD_PATH_SEND] = "send", [ADD_PATH_BOTH] = "both",
};
#define ADD_PATH_WORDS (sizeof add_path_words / sizeof *add_path_words)

static bool add_path_parse(const struct config_row *row, const char *text, void *field)
{
	(void)row;
	for (size_t i = 0; i < ADD_PATH_WORDS; i++) {
		if (strcasecmp(text, add_path_words[i]) == 0) {
			*(enum add_path_mode *)field = (enum add_path_mode)i;
			return true;
		}
	}
	return false;
}

static void add_path_format(const void *field, struct strbuf *out)
{
	strbuf_puts(out, add_path_words[*(const enum add_path_mode *)field]);
}

static void add_path_allowed(const struct config_row *row, struct strbuf *out)
{
	(void)row;
	strbuf_puts(out, "off, receive, send, both or auto");
}

static const struct config_type type_add_path = {add_path_parse, add_path_format, add_path_allowed, false};

/* An address to be used instead of the Node object's; the words of Calico's IP variable mean that there is none. */
static bool addr_parse_af(const char *text, uint8_t af, struct addr *to)
{
	struct addr a = {0};

	if (*text && strcasecmp(text, "none") != 0 && strcasecmp(text, "autodetect") != 0) {
		unsigned len;
		/* Calico writes node addresses with the length of their network. */
		if (!prefix_parse_host(&a, &len, text) || a.af != af || addr_is_martian(&a))
			return false;
	}
	*to = a;
	return true;
}

static bool ip4_parse(const struct config_row *row, const char *text, void *field)
{
	(void)row;
	return addr_parse_af(text, AF_INET, field);
}

static bool ip6_parse(const struct config_row *row, const char *text, void *field)
{
	(void)row;
	return addr_parse_af(text, AF_INET6, field);
}

static void ip_format(const void *field, struct strbuf *out)
{
	char text[ADDR_STRLEN];

	strbuf_puts(out, addr_format(field, text));
}

static void ip4_allowed(const struct config_row *row, struct strbuf *out)
{
	(void)row;
	strbuf_puts(out, "none, autodetect, or a unicast IPv4 address");
}

static void ip6_allowed(const struct config_row *row, struct strbuf *out)
{
	(void)row;
	strbuf_puts(out, "none, autodetect, or a unicast IPv6 address");
}

static const struct config_type type_ip4 = {ip4_parse, ip_format, ip4_allowed, false};
static const struct config_type type_ip6 = {ip6_parse, ip_format, ip6_allowed, false};

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

static void text_format(const void *field, struct strbuf *out)
{
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

static const struct config_type type_name = {name_parse, text_format, name_allowed, true};

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

static const struct config_type type_path = {path_parse, text_format, path_allowed, true};

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

static const struct config_type type_pattern = {pattern_parse, text_format, pattern_allowed, true};

static bool interface_parse(const struct config_row *row, const char *text, void *field)
{
	return text_set(row, text, field, *text && is_plain(text, "/:,"));
}

static void interface_allowed(const struct config_row *row, struct strbuf *out)
{
	strbuf_printf(out, "the beginning of interface names, 1 to %" PRIu64 " characters", row->max);
}

static const struct config_type type_interface = {interface_parse, text_format, interface_allowed, true};

static bool datastore_parse(const struct config_row *row, const char *text, void *field)
{
	return text_set(row, text, field, strcmp(text, "file") == 0);
}

static void datastore_allowed(const struct config_row *row, struct strbuf *out)
{
	(void)row;
	strbuf_puts(out, "file");
}

static const struct config_type type_datastore = {datastore_parse, text_format, datastore_allowed, true};

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

static const struct config_type type_router_id = {router_id_parse, text_format, router_id_allowed, true};

/* Names, each a bit. */
static const struct {
	const char *word;
	unsigned bit;
} takeovers[] = {{"bird", FIB_OWNER_BIRD}, {"felix", FIB_OWNER_FELIX}};

static unsigned takeover_bit(const char *word, size_t len)
{
	for (size_t i = 0; i < sizeof takeovers / sizeof *takeovers; i++)
		if (strlen(takeovers[i].word) == len && strncasecmp(takeovers[i].word, word, len) == 0)
			return takeovers[i].bit;
	return 0;
}

static bool takeover_parse(const struct config_row *row, const char *text, void *field)
{
	unsigned bits = 0;

	(void)row;
	for (const char *at = text; strcasecmp(text, "none") != 0 && *at; at += strspn(at, ", ")) {
		size_t len = strcspn(at, ", ");
		unsigned bit = takeover_bit(at, len);
		if (!bit)
			return false;
		bits |= bit;
		at += len;
	}
	*(unsigned *)field = bits;
	return true;
}

static void takeover_format(const void *field, struct strbuf *out)
{
	unsigned bits = *(const unsigned *)field;

	strbuf_puts(out, bits ? "" : "none");
	for (size_t i = 0; i < sizeof takeovers / sizeof *takeovers; i++) {
		if (!(bits & takeovers[i].bit))
			continue;
		bits &= ~takeovers[i].bit;
		strbuf_printf(out, "%s%s", takeovers[i].word, bits ? " " : "");
	}
}

static void takeover_allowed(const struct config_row *row, struct strbuf *out)
{
	(void)row;
	strbuf_puts(out, "none, bird, felix, or bird felix");
}

static const struct config_type type_takeover = {takeover_parse, takeover_format, takeover_allowed, false};

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

static const struct config_type type_stations = {stations_parse, text_format, stations_allowed, true};

static const char *const adj_rib_in_words[] = {
    [0] = "off",
    [BMP_IN_PRE_POLICY] = "pre-policy",
    [BMP_IN_POST_POLICY] = "post-policy",
    [BMP_IN_PRE_POLICY | BMP_IN_POST_POLICY] = "both",
};

static bool adj_rib_in_parse(const struct config_row *row, const char *text, void *field)
{
	(void)row;
	for (unsigned i = 0; i < sizeof adj_rib_in_words / sizeof *adj_rib_in_words; i++) {
		if (strcasecmp(text, adj_rib_in_words[i]) == 0) {
			*(unsigned *)field = i;
			return true;
		}
	}
	return false;
}

static void adj_rib_in_format(const void *field, struct strbuf *out)
{
	strbuf_puts(out, adj_rib_in_words[*(const unsigned *)field]);
}

static void adj_rib_in_allowed(const struct config_row *row, struct strbuf *out)
{
	(void)row;
	strbuf_puts(out, "pre-policy, post-policy, both or off");
}

static const struct config_type type_adj_rib_in = {adj_rib_in_parse, adj_rib_in_format, adj_rib_in_allowed, false};

/* ---- Keys ---- */

#define AT(member) .offset = offsetof(struct config, member)
#define SOCKET_LEN (sizeof((struct sockaddr_un *)0)->sun_path - 1)

/* In the order of the dump and the manual page; the keys of a section stand together. */
const struct config_row config_schema[] = {
    {"node.name", &type_name, .max = 253, .default_text = "",
     .default_note = "what the file named by the environment variable CALICO_NODENAME_FILE says, else the host name "
		     "in lower case",
     .alias = "NODENAME", AT(node_name), CONFIG_RESTART, "Name of this node's Node object."},
    {"node.ip", &type_ip4, .default_text = "none", .alias = "IP", AT(node_ip), CONFIG_AT_ONCE,
     "IPv4 address of this node, instead of the Node object's. With none or autodetect the object's is used."},
    {"node.ip6", &type_ip6, .default_text = "none", .alias = "IP6", AT(node_ip6), CONFIG_AT_ONCE,
     "IPv6 address of this node, instead of the Node object's. With none or autodetect the object's is used."},
    {"node.as", &type_as, .min = 1, .max = UINT32_MAX, .or_word = "auto", .default_text = "0", .alias = "AS",
     AT(node_as), CONFIG_AT_ONCE,
     "AS number of this node. 0 takes it from the Node object, else from the default BGPConfiguration, else 64512."},

    {"datastore.type", &type_datastore, .max = 16, .default_text = "file", .alias = "DATASTORE_TYPE",
     AT(datastore_type), CONFIG_RESTART, "Where the cluster's objects come from: a directory of YAML files."},
    {"datastore.directory", &type_path, .max = 4000, .default_text = "/etc/calidris/cluster", AT(datastore_directory),
     CONFIG_RESTART,
     "The directory of the file datastore: its *.yaml, *.yml and *.json hold the objects as calicoctl prints them, and "
     "are watched. It may appear later."},

    {"bgp.router_id", &type_router_id, .max = 15, .default_text = "auto", .alias = "CALICO_ROUTER_ID", AT(router_id),
     CONFIG_NEXT_SESSION,
     "BGP Identifier. auto is the node's IPv4 address; hash is made from the node's name, as Calico makes it, for "
     "nodes without IPv4."},
    {"bgp.listen_port", &type_number, .min = 1, .max = UINT16_MAX, .default_text = "179", AT(listen_port),
     CONFIG_AT_ONCE, "TCP port to listen on where no BGPConfiguration says another."},
    {"bgp.hold_time", &type_number, .min = 3, .max = UINT16_MAX, .or_word = "never", .default_text = "90",
     AT(hold_time), CONFIG_NEXT_SESSION,
     "Hold time to propose, in seconds. The lower of both sides' counts; 0 switches keepalives off."},
    {"bgp.keepalive_time", &type_number, .min = 1, .max = 21845, .or_word = "auto", .default_text = "0",
     AT(keepalive_time), CONFIG_NEXT_SESSION,
     "Time between KEEPALIVE messages, in seconds. 0 is a third of the hold time that was agreed upon."},
    {"bgp.send_hold_time", &type_number, .min = 1, .max = UINT16_MAX, .or_word = "auto", .default_text = "0",
     AT(send_hold_time), CONFIG_AT_ONCE,
     "How long a peer may take nothing of what is sent to it before its session ends (RFC 9687), in seconds. 0 is "
     "twice the hold time, and 8 minutes at least."},
    {"bgp.connect_retry_time", &type_number, .min = 1, .max = UINT16_MAX, .default_text = "5", AT(connect_retry_time),
     CONFIG_AT_ONCE, "Time until a connection that did not come up is tried again, in seconds."},
    {"bgp.idle_hold_time", &type_number, .min = 1, .max = UINT16_MAX, .default_text = "1", AT(idle_hold_time),
     CONFIG_AT_ONCE, "How long a session stays Idle after its first error, in seconds; each further error doubles it."},
    {"bgp.idle_hold_max", &type_number, .min = 1, .max = UINT16_MAX, .default_text = "30", AT(idle_hold_max),
     CONFIG_AT_ONCE, "The longest a session stays Idle after errors, in seconds; at least bgp.idle_hold_time."},
    {"bgp.graceful_restart.enabled", &type_bool, .default_text = "true", AT(graceful_restart), CONFIG_NEXT_SESSION,
     "Offer graceful restart (RFC 4724): peers keep this node's routes while the daemon restarts, and it keeps "
     "theirs."},
    {"bgp.graceful_restart.restart_time", &type_number, .min = 1, .max = 4095, .default_text = "120", AT(restart_time),
     CONFIG_NEXT_SESSION,
     "How long peers shall keep this node's routes, in seconds, where no object says another time."},
    {"bgp.graceful_restart.long_lived_stale_time", &type_number, .min = 1, .max = 16777215, .or_word = "none",
     .default_text = "0", AT(llgr_time), CONFIG_NEXT_SESSION,
     "How long peers shall go on keeping this node's routes after that, in seconds, to be used only where there is no "
     "other (RFC 9494), where no BGPPeer says another time. Peers that ask for it themselves are served in any case."},
    {"bgp.graceful_shutdown.announce", &type_bool, .default_text = "false", AT(graceful_shutdown), CONFIG_AT_ONCE,
     "Ask all peers to use this node's routes last (RFC 8326), before maintenance: they carry the community "
     "GRACEFUL_SHUTDOWN, and inside the AS LOCAL_PREF 0. A BGPPeer's gracefulShutdown does so for one session."},
    {"bgp.graceful_shutdown.honour", &type_bool, .default_text = "true", AT(honour_graceful_shutdown), CONFIG_AT_ONCE,
     "Use routes from other ASes that carry the community GRACEFUL_SHUTDOWN last: with LOCAL_PREF 0."},
    {"bgp.both_families", &type_bool, .default_text = "true", AT(both_families), CONFIG_NEXT_SESSION,
     "Offer IPv4 and IPv6 on the IPv4 sessions between nodes; the IPv6 session between two nodes is then used only "
     "if the other one does not take both. Otherwise each session carries the family of its addresses, as Calico's "
     "own nodes have it."},
    {"bgp.max_paths", &type_number, .min = 1, .max = 128, .default_text = "16", AT(max_paths), CONFIG_RESTART,
     "How many equal routes are used side by side (ECMP)."},
    {"bgp.add_path", &type_add_path, .default_text = "auto", AT(add_path), CONFIG_AT_ONCE,
     "Offer to receive and to send several paths of a prefix (ADD-PATH, RFC 7911), where no BGPPeer says so itself. "
     "auto receives from everyone, and sends as a route reflector to its clients, so that they see all nodes that "
     "announce a service. Sessions for which a change makes a difference start anew."},
    {"bgp.extended_messages", &type_bool, .default_text = "true", AT(extended_messages), CONFIG_NEXT_SESSION,
     "Offer messages of up to 65535 octets instead of 4096 (RFC 8654)."},

    {"bfd.mesh", &type_bool, .default_text = "false", AT(bfd_mesh), CONFIG_AT_ONCE,
     "Watch the nodes of the node-to-node mesh with BFD (RFC 5880): their sessions end within the detection time when "
     "a node or the way to it dies. All nodes of the mesh need it. A BGPPeer says it for itself, in spec.bfd."},
    {"bfd.transmit_interval", &type_number, .min = 10, .max = 60000, .default_text = "300", AT(bfd_transmit_interval),
     CONFIG_AT_ONCE,
     "Time between the BFD packets that this node wants to send, in milliseconds, where no BGPPeer says another. The "
     "slower of both sides' wishes counts."},
    {"bfd.receive_interval", &type_number, .min = 10, .max = 60000, .default_text = "300", AT(bfd_receive_interval),
     CONFIG_AT_ONCE,
     "The least time between the BFD packets that this node wants to receive, in milliseconds, where no BGPPeer says "
     "another."},
    {"bfd.detect_multiplier", &type_number, .min = 1, .max = 255, .default_text = "3", AT(bfd_multiplier),
     CONFIG_AT_ONCE,
     "So many BFD packets in a row may be lost before the other side declares this node dead, where no BGPPeer says "
     "another number."},

    {"kernel.programming", &type_bool, .default_text = "true", AT(programming), CONFIG_AT_ONCE,
     "Write routes to the kernel. A route reflector without workloads needs none."},
    {"kernel.workload_routes", &type_bool, .default_text = "true", AT(workload_routes), CONFIG_AT_ONCE,
     "Write the routes to workload interfaces, and these interfaces' settings. Switch it off beside a running Felix, "
     "which does this itself."},
    {"kernel.onlink", &type_bool, .default_text = "true", AT(onlink), CONFIG_AT_ONCE,
     "Write gateways that are on a connected network with the flag onlink."},
    {"kernel.protocol", &type_number, .min = 5, .max = 255, .default_text = "186", AT(protocol), CONFIG_AT_ONCE,
     "Protocol number of the routes written; 186 is bgp. Routes in the kernel that carry it belong to this daemon, "
     "which removes those that nobody wants."},
    {"kernel.table", &type_number, .min = 1, .max = UINT32_MAX, .default_text = "254", AT(table), CONFIG_AT_ONCE,
     "Routing table to write to; 254 is main."},
    {"kernel.metric", &type_metric, .max = UINT32_MAX, .or_word = "priority", .default_text = "priority", AT(metric),
     CONFIG_AT_ONCE,
     "Metric of the routes written. priority gives each route its own, as Calico's nodes do since 3.32: 1024, or what "
     "LOCAL_PREF says; a number gives it to all, and 0 is what older nodes have."},
    {"kernel.audit_interval", &type_number, .min = 1, .max = 86400, .or_word = "never", .default_text = "60",
     AT(audit_interval), CONFIG_AT_ONCE,
     "Time between comparisons with the whole kernel table, in seconds, for what notifications may have missed."},
    {"kernel.takeover", &type_takeover, .default_text = "none", AT(takeover), CONFIG_AT_ONCE,
     "Whose routes are taken over as if this daemon had written them: bird (protocol 12), felix (protocol 80, and 3 on "
     "interfaces of workloads and tunnels), or both, with a blank between them. They are replaced where this node "
     "wants "
     "a route, and removed where nobody does once the start is complete. Do not name what still runs."},
    {"kernel.ipip_mtu", &type_number, .min = 576, .max = UINT16_MAX, .or_word = "auto", .default_text = "0",
     .alias = "FELIX_IPINIPMTU", AT(ipip_mtu), CONFIG_AT_ONCE,
     "MTU of tunl0. 0 takes that of the interface with the node's address, less the 20 octets of the outer header."},
    {"kernel.vxlan_mtu", &type_number, .min = 576, .max = UINT16_MAX, .or_word = "auto", .default_text = "0",
     .alias = "FELIX_VXLANMTU", AT(vxlan_mtu), CONFIG_AT_ONCE,
     "MTU of vxlan.calico. 0 takes that of the interface with the node's address, less 50 octets."},
    {"kernel.vxlan_mtu6", &type_number, .min = 1280, .max = UINT16_MAX, .or_word = "auto", .default_text = "0",
     .alias = "FELIX_VXLANMTUV6", AT(vxlan_mtu6), CONFIG_AT_ONCE,
     "MTU of vxlan-v6.calico. 0 takes that of the interface with the node's address, less 70 octets."},
    {"kernel.vxlan_vni", &type_number, .min = 1, .max = 16777215, .default_text = "4096", .alias = "FELIX_VXLANVNI",
     AT(vxlan_vni), CONFIG_AT_ONCE, "VXLAN network identifier; the same on all nodes."},
    {"kernel.vxlan_port", &type_number, .min = 1, .max = UINT16_MAX, .default_text = "4789", .alias = "FELIX_VXLANPORT",
     AT(vxlan_port), CONFIG_AT_ONCE, "UDP port of VXLAN; the same on all nodes."},
    {"kernel.interface_prefix", &type_interface, .max = 14, .default_text = "cali", .alias = "FELIX_INTERFACEPREFIX",
     .alias_is_list = true, AT(interface_prefix), CONFIG_AT_ONCE,
     "Interfaces whose names begin so belong to workloads. Of a list in the environment the first is used."},

    {"control.socket", &type_path, .max = SOCKET_LEN, .default_text = CONTROL_SOCKET, AT(control_socket),
     CONFIG_RESTART, "Unix socket on which calidris(8) talks to the daemon."},
    {"control.group", &type_name, .max = 32, .default_text = "", AT(control_group), CONFIG_RESTART,
     "Group that may use the control socket, by name or number. If empty only the daemon's own user and root may."},

    {"bmp.stations", &type_stations, .max = 4000, .default_text = "", AT(bmp_stations), CONFIG_AT_ONCE,
     "BMP stations to report to (RFC 7854): the daemon connects to each of them."},
    {"bmp.adj_rib_in", &type_adj_rib_in, .default_text = "pre-policy", AT(bmp_adj_rib_in), CONFIG_AT_ONCE,
     "Which of the peers' routes are reported: as they were received, as import policy left them, or both."},
    {"bmp.adj_rib_out", &type_bool, .default_text = "false", AT(bmp_adj_rib_out), CONFIG_AT_ONCE,
     "Report what each peer is sent (RFC 8671). With many peers that is much."},
    {"bmp.loc_rib", &type_bool, .default_text = "true", AT(bmp_loc_rib), CONFIG_AT_ONCE,
     "Report the selected routes (RFC 9069)."},
    {"bmp.statistics_interval", &type_number, .min = 1, .max = 86400, .or_word = "never", .default_text = "60",
     AT(bmp_statistics_interval), CONFIG_AT_ONCE, "Time between two statistics reports, in seconds."},
    {"bmp.connect_retry_time", &type_number, .min = 1, .max = UINT16_MAX, .default_text = "30",
     AT(bmp_connect_retry_time), CONFIG_AT_ONCE,
     "Time until a station that cannot be reached, or that was lost, is tried again, in seconds; doubled with each "
     "attempt."},
    {"bmp.connect_retry_max", &type_number, .min = 1, .max = UINT16_MAX, .default_text = "720",
     AT(bmp_connect_retry_max), CONFIG_AT_ONCE, "The longest time between two attempts, in seconds."},
    {"bmp.buffer", &type_number, .min = 65536, .max = 1073741824, .default_text = "16777216", AT(bmp_buffer),
     CONFIG_AT_ONCE,
     "How many octets are kept for stations that read slowly, for all of them together. The connection to one that "
     "falls "
     "behind by more is closed, and it is told everything anew."},

    {"mrt.table_interval", &type_number, .min = 1, .max = 604800, .or_word = "never", .default_text = "0",
     AT(mrt_table_interval), CONFIG_AT_ONCE,
     "Time between two dumps of all routes into files in MRT format, in seconds; at full multiples of it (UTC)."},
    {"mrt.table_file", &type_pattern, .max = 1024, .default_text = "/var/lib/calidris/rib.%Y%m%d-%H%M%S.mrt",
     AT(mrt_table_file), CONFIG_AT_ONCE,
     "Name of these files, with the time (UTC) put in as strftime(3) does. The directory must be there, and the "
     "daemon's "
     "user must be able to write to it."},
    {"mrt.table_keep", &type_number, .min = 1, .max = 100000, .or_word = "all", .default_text = "24",
     AT(mrt_table_keep), CONFIG_AT_ONCE,
     "How many of these files to keep: after each dump the oldest ones go that mrt.table_file can have named."},

    {"log.level", &type_level, .default_text = "info", .alias = "BGP_LOGSEVERITYSCREEN", AT(log_level), CONFIG_AT_ONCE,
     "Messages below this severity are not logged. Calico's names for severities are understood too."},

    {"user", &type_name, .max = 32, .default_text = "", AT(user), CONFIG_RESTART,
     "User to run as once everything is open; only what routing needs is kept of root's powers. If empty the user "
     "stays."},
};
const unsigned config_rows = sizeof config_schema / sizeof *config_schema;

const char *config_env_name(const struct config_row *row, char buf[static CONFIG_ENV_LEN])
{
	static const char prefix[] = "CALIDRIS_";
	size_t n = sizeof prefix - 1;

	memcpy(buf, prefix, n);
	for (const char *c = row->path; *c && n < CONFIG_ENV_LEN - 1; c++)
		buf[n++] = *c == '.' ? '_' : (char)toupper((unsigned char)*c);
	buf[n] = '\0';
	return buf;
}

const char *config_effect_name(enum config_effect e)
{
	static const char *const names[] = {
	    [CONFIG_AT_ONCE] = "at once",
	    [CONFIG_NEXT_SESSION] = "with the next session",
	    [CONFIG_RESTART] = "after a restart",
	};

	return names[e];
}
