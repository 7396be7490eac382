/* Calico's autodetection (node/pkg/lifecycle/startup/autodetection): interfaces are tried from the highest index down,
 * and of the first that passes, its first global unicast address is taken. */
#include "daemon/cluster/detect.h"

#include <netinet/in.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/mem.h"

#define REACH_PORT 80
#define MAX_NAME 253u

/* Interfaces of containers, bridges and tunnels; names that begin so. */
static const char *const skipped[] = {
    "docker",
    "cbr",
    "dummy",
    "podman",
    "virbr",
    "lxcbr",
    "veth",
    "lo",
    "br-",
    "cali",
    "tunl",
    "flannel",
    "kube-ipvs",
    "cni",
    "vxlan.calico",
    "vxlan-v6.calico",
    "wireguard.cali",
    "wg-v6.cali",
    "nodelocaldns",
};

static bool is_skipped(const char *ifname)
{
	for (size_t i = 0; i < sizeof skipped / sizeof *skipped; i++)
		if (strncmp(ifname, skipped[i], strlen(skipped[i])) == 0)
			return true;
	return false;
}

/* ---- Lists with commas ---- */

/* Calls for each part of the list, until one says true. */
static bool any_part(const char *list, bool (*fn)(const char *part, const void *arg), const void *arg)
{
	while (*list) {
		size_t n = strcspn(list, ",");
		char *part = mem_strndup(list, n);
		bool found = fn(part, arg);

		free(part);
		if (found)
			return true;
		list += n + (list[n] == ',');
	}
	return false;
}

/* Unanchored, as in Calico. */
static bool matches(const char *regex, const void *ifname)
{
	regex_t r;
	bool found;

	if (regcomp(&r, regex, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	found = regexec(&r, ifname, 0, NULL, 0) == 0;
	regfree(&r);
	return found;
}

static bool contains(const char *cidr, const void *a)
{
	struct prefix p;

	return prefix_parse(&p, cidr) && prefix_contains(&p, a);
}

static bool is_no_regex(const char *regex, const void *arg)
{
	regex_t r;

	(void)arg;
	if (!*regex || regcomp(&r, regex, REG_EXTENDED | REG_NOSUB) != 0)
		return true;
	regfree(&r);
	return false;
}

static bool is_no_cidr(const char *cidr, const void *arg)
{
	struct prefix p;

	(void)arg;
	return !prefix_parse(&p, cidr);
}

/* ---- Methods ---- */

/* Global unicast, in Go's sense: private addresses are. */
static bool is_global(const struct addr *a)
{
	return !addr_is_martian(a) && !addr_is_link_local(a);
}

static bool first_found(const struct fib_address *a, const char *arg)
{
	(void)arg;
	return !is_skipped(a->ifname);
}

static bool by_interface(const struct fib_address *a, const char *arg)
{
	return any_part(arg, matches, a->ifname);
}

static bool by_other_interface(const struct fib_address *a, const char *arg)
{
	return !is_skipped(a->ifname) && !any_part(arg, matches, a->ifname);
}

static bool by_cidr(const struct fib_address *a, const char *arg)
{
	return any_part(arg, contains, &a->addr);
}

static const char *check_regexes(const char *arg)
{
	return !*arg || any_part(arg, is_no_regex, NULL) ? "expected regular expressions with commas between them"
							 : NULL;
}

static const char *check_cidrs(const char *arg)
{
	return !*arg || any_part(arg, is_no_cidr, NULL) ? "expected prefixes with commas between them" : NULL;
}

/* A host's name, and nothing that was meant as an address: the last part of a name is no number. */
static bool is_name(const char *text)
{
	size_t n = strlen(text);
	const char *last = strrchr(text, '.');

	if (!n || n > MAX_NAME ||
	    text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")])
		return false;
	last = last ? last + 1 : text;
	return *text != '.' && *text != '-' && !strstr(text, "..") && (!*last || last[strspn(last, "0123456789")] != 0);
}

static const char *check_dest(const char *arg)
{
	struct addr a;

	return addr_parse(&a, arg) || is_name(arg) ? NULL : "expected an address or a host name";
}

/* The address that packets to there would leave with. Nothing is sent. */
static struct addr source_towards(const struct addr *dest)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(REACH_PORT)};
	struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6, .sin6_port = htons(REACH_PORT)};
	bool six = dest->af == AF_INET6;
	struct sockaddr *sa = six ? (struct sockaddr *)&sin6 : (struct sockaddr *)&sin;
	socklen_t len = six ? sizeof sin6 : sizeof sin;
	int fd = socket(dest->af, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct addr a = {0};

	if (fd < 0)
		return a;
	memcpy(six ? (void *)&sin6.sin6_addr : (void *)&sin.sin_addr, dest->b, addr_bytes(dest->af));
	if (connect(fd, sa, len) == 0 && getsockname(fd, sa, &len) == 0)
		a = addr_make(dest->af, six ? (void *)&sin6.sin6_addr : (void *)&sin.sin_addr);
	close(fd);
	return a;
}

static struct addr can_reach(const struct detect_source *s, const char *arg, enum family f)
{
	struct addr dest, none = {0};

	if (!addr_parse(&dest, arg))
		dest = s->destination;
	return !addr_is_none(&dest) && family_of_af(dest.af) == f ? source_towards(&dest) : none;
}

static struct addr internal_ip(const struct detect_source *s, const char *arg, enum family f)
{
	(void)arg;
	return s->node ? s->node->internal[f] : (struct addr){0};
}

/* A method either passes addresses of interfaces, or names one. */
static const struct method {
	const char *name;
	const char *(*check)(const char *arg); /* NULL: it has no argument */
	bool (*passes)(const struct fib_address *a, const char *arg);
	struct addr (*names)(const struct detect_source *s, const char *arg, enum family f);
} methods[] = {
    {"first-found", NULL, first_found, NULL},
    {"can-reach", check_dest, NULL, can_reach},
    {"interface", check_regexes, by_interface, NULL},
    {"skip-interface", check_regexes, by_other_interface, NULL},
    {"cidr", check_cidrs, by_cidr, NULL},
    {"kubernetes-internal-ip", NULL, NULL, internal_ip},
};

static const struct method *method_of(const char *text, const char **arg)
{
	size_t n = strcspn(text, "=");

	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
		const struct method *m = &methods[i];
		if (strlen(m->name) != n || strncmp(m->name, text, n) != 0 || (text[n] == '=') != (m->check != NULL))
			continue;
		*arg = text + n + (text[n] == '=');
		return m;
	}
	return NULL;
}

const char *detect_check(const char *method)
{
	const char *arg;
	const struct method *m = method_of(method, &arg);

	if (!m)
		return "expected first-found, can-reach=DESTINATION, interface=REGEX, skip-interface=REGEX, "
		       "cidr=PREFIX or "
		       "kubernetes-internal-ip";
	return m->check ? m->check(arg) : NULL;
}

/* With the length of the network that the interface has it in. */
static struct host_addr on_interface(const struct detect_source *s, const struct addr *a)
{
	if (addr_is_none(a))
		return (struct host_addr){0};
	for (unsigned i = 0; i < s->count; i++)
		if (addr_equal(&s->list[i].addr, a))
			return (struct host_addr){.addr = *a, .len = s->list[i].len};
	return (struct host_addr){.addr = *a, .len = (uint8_t)addr_bits(a->af)};
}

/* The interfaces from the last to the first, of each the addresses in their order. */
static struct host_addr search(const struct detect_source *s, const struct method *m, const char *arg, enum family f)
{
	for (unsigned end = s->count; end > 0;) {
		unsigned first = end - 1;
		while (first > 0 && s->list[first - 1].ifindex == s->list[end - 1].ifindex)
			first--;
		for (unsigned i = first; i < end; i++) {
			const struct fib_address *a = &s->list[i];
			if (a->addr.af == family_af(f) && is_global(&a->addr) && m->passes(a, arg))
				return (struct host_addr){.addr = a->addr, .len = a->len};
		}
		end = first;
	}
	return (struct host_addr){0};
}

struct host_addr detect_address(const struct detect_source *s, const char *method, enum family f)
{
	const char *arg;
	const struct method *m = method_of(method, &arg);
	struct addr named;

	if (!m)
		return (struct host_addr){0};
	if (m->passes)
		return search(s, m, arg, f);
	named = m->names(s, arg, f);
	return on_interface(s, &named);
}

/* ---- The configuration ---- */

static const struct node_ip *node_ip(const struct config *c, enum family f)
{
	return f == FAM_IPV4 ? &c->node_ip : &c->node_ip6;
}

static const char *method_for(const struct config *c, enum family f)
{
	return f == FAM_IPV4 ? c->detection : c->detection6;
}

/* May it have to be looked for? */
static bool may_want(const struct node_ip *ip, bool fill)
{
	return ip->mode == NODE_IP_DETECT || (ip->mode == NODE_IP_AUTO && fill) ||
	       (ip->mode == NODE_IP_FIXED && !ip->addr.len);
}

static bool has_address(const struct obj_node *node, enum family f)
{
	return node && !addr_is_none(f == FAM_IPV4 ? &node->ipv4.addr : &node->ipv6.addr);
}

bool detect_is_wanted(const struct config *c, bool fill)
{
	return may_want(&c->node_ip, fill) || may_want(&c->node_ip6, fill);
}

static struct host_addr find(const struct detect_source *s, const struct config *c, enum family f, bool fill)
{
	const struct node_ip *ip = node_ip(c, f);

	if (ip->mode == NODE_IP_DETECT || (ip->mode == NODE_IP_AUTO && fill && !has_address(s->node, f)))
		return detect_address(s, method_for(c, f), f);
	if (ip->mode == NODE_IP_FIXED && !ip->addr.len)
		return on_interface(s, &ip->addr.addr);
	return (struct host_addr){0};
}

void detect_all(const struct fib *f, const struct config *c, const struct obj_node *node, bool fill,
		const struct addr named[FAM_COUNT], struct host_addr found[FAM_COUNT])
{
	struct fib_address *list = NULL;
	struct detect_source s = {.node = node};

	memset(found, 0, FAM_COUNT * sizeof *found);
	if (!detect_is_wanted(c, fill))
		return;
	s.count = fib_addresses(f, &list);
	s.list = list;
	for (int k = 0; k < FAM_COUNT; k++) {
		s.destination = named[k];
		found[k] = find(&s, c, (enum family)k, fill);
	}
	free(list);
}

/* What follows "can-reach=", if that is the method; NULL otherwise. */
static const char *reached(const struct config *c, enum family f)
{
	const char *arg = NULL;
	const struct method *m = method_of(method_for(c, f), &arg);
	enum node_ip_mode mode = node_ip(c, f)->mode;

	return (mode == NODE_IP_DETECT || mode == NODE_IP_AUTO) && m && m->names == can_reach ? arg : NULL;
}

struct addr detect_destination(const struct config *c, enum family f, const struct addr *named)
{
	const char *arg = reached(c, f);
	struct addr dest = {0};

	if (!arg)
		return dest;
	if (!addr_parse(&dest, arg))
		return *named;
	return family_of_af(dest.af) == f ? dest : (struct addr){0};
}

const char *detect_name(const struct config *c, enum family f)
{
	const char *arg = reached(c, f);
	struct addr dest;

	return arg && !addr_parse(&dest, arg) ? arg : NULL;
}
