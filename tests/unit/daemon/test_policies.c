/* BGPFilters, prefixAdvertisements and Calico's built-in export filter together: what becomes of a route, which rule
 * says so, and what it looks like then. */
#include "daemon/policy/policies.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/policy/export.h"
#include "datastore/backend.h"
#include "rib/attrs.h"

#define OBJECT(kind, name, spec) \
	"---\napiVersion: projectcalico.org/v3\nkind: " kind "\nmetadata: {name: " name "}\nspec: {" spec "}\n"
#define FILTER(name, spec) OBJECT("BGPFilter", name, spec)
#define POOL(name, spec) OBJECT("IPPool", name, spec)
#define CONF(name, spec) OBJECT("BGPConfiguration", name, spec)
#define BLOCK(cidr) OBJECT("BlockAffinity", "b", "node: a, state: confirmed, cidr: " cidr)
#define CLUSTER \
	POOL("p", "cidr: 10.1.0.0/16") POOL("q", "cidr: 10.2.0.0/16, disableBGPExport: true") BLOCK("10.1.5.0/26")

#define TUNNELS                                                                                                       \
	OBJECT("Node", "a",                                                                                           \
	       "ipv4VXLANTunnelAddr: 10.1.6.1, ipv6VXLANTunnelAddr: 'fd01::1', bgp: {ipv4IPIPTunnelAddr: 10.1.6.2}, " \
	       "wireguard: {interfaceIPv4Address: 10.1.6.3}")

#define NORMAL 2147482623u   /* LOCAL_PREF of the priority 1024 */
#define ELEVATED 2147483135u /* 512 */

static const struct test {
	const char *what, *objects, *filters;
	enum filter_direction direction;
	const char *prefix;
	uint32_t local_pref;
	const char *peer; /* "ebgp" or "ibgp" */
	const char
	    *route; /* what it carries: "path 1 2 community 1:2 over eth0 own" in this order; own: originated here */
	const char *outcome; /* "accept: why"; what was changed follows */
} tests[] = {
    /* The built-in filter alone. */
    {"a block of this node", CLUSTER, NULL, FILTER_EXPORT, "10.1.5.0/26", NORMAL, "ebgp", "own",
     "accept: a block of this node"},
    {"inside it", CLUSTER, NULL, FILTER_EXPORT, "10.1.5.7/32", NORMAL, "ibgp", "own",
     "reject: inside a block of this node, which is announced"},
    {"inside it, while it moves", CLUSTER, NULL, FILTER_EXPORT, "10.1.5.7/32", ELEVATED, "ibgp", "own",
     "accept: its priority outranks its block"},
    {"inside it, another normal priority", CLUSTER CONF("default", "ipv4NormalRoutePriority: 500"), NULL, FILTER_EXPORT,
     "10.1.5.7/32", ELEVATED, "ibgp", "own", "reject: inside a block of this node, which is announced"},
    {"borrowed", CLUSTER, NULL, FILTER_EXPORT, "10.1.6.7/32", NORMAL, "ibgp", "own", "accept: inside an IPPool"},
    {"a pool that is not exported", CLUSTER, NULL, FILTER_EXPORT, "10.2.6.7/32", NORMAL, "ibgp", "own",
     "reject: the pool has disableBGPExport"},
    {"a disabled pool is exported", POOL("p", "cidr: 10.3.0.0/16, disabled: true"), NULL, FILTER_EXPORT, "10.3.0.0/26",
     NORMAL, "ibgp", "own", "accept: inside an IPPool"},
    {"what is no pool's", CLUSTER, NULL, FILTER_EXPORT, "192.168.0.0/24", 100, "ibgp", "", "reject: no rule matched"},
    {"import takes everything", CLUSTER, NULL, FILTER_IMPORT, "192.168.0.0/24", 100, "ebgp", "", "accept: no policy"},
    /* Devices of tunnels: their own addresses, borrowed from another node's block, and what leads through them. */
    {"the address of a VXLAN device", CLUSTER TUNNELS, NULL, FILTER_EXPORT, "10.1.6.1/32", NORMAL, "ibgp", "own",
     "reject: the address of a VXLAN device"},
    {"... to another AS", CLUSTER TUNNELS, NULL, FILTER_EXPORT, "10.1.6.1/32", NORMAL, "ebgp", "own",
     "accept: inside an IPPool"},
    {"... of IPv6", CLUSTER TUNNELS POOL("s", "cidr: 'fd01::/64'"), NULL, FILTER_EXPORT, "fd01::1/128", NORMAL, "ibgp",
     "own", "reject: the address of a VXLAN device"},
    {"of WireGuard", CLUSTER TUNNELS, NULL, FILTER_EXPORT, "10.1.6.3/32", NORMAL, "ibgp", "own",
     "reject: the address of a WireGuard device"},
    {"of tunl0", CLUSTER TUNNELS, NULL, FILTER_EXPORT, "10.1.6.2/32", NORMAL, "ibgp", "own",
     "accept: inside an IPPool"},
    {"of tunl0, where it is Felix's", CLUSTER TUNNELS CONF("default", "programClusterRoutes: EnabledNoEncapOnly"), NULL,
     FILTER_EXPORT, "10.1.6.2/32", NORMAL, "ibgp", "own", "reject: the address of tunl0, which is Felix's to program"},
    {"inside a block of its own it is the block's", CLUSTER TUNNELS BLOCK("10.1.6.0/26"), NULL, FILTER_EXPORT,
     "10.1.6.2/32", NORMAL, "ibgp", "own", "reject: inside a block of this node, which is announced"},
    {"through a VXLAN device", CLUSTER, NULL, FILTER_EXPORT, "10.1.9.0/26", 100, "ibgp", "over vxlan-v6.calico",
     "reject: leads through a VXLAN device"},
    {"... to another AS", CLUSTER, NULL, FILTER_EXPORT, "10.1.9.0/26", 100, "ebgp", "over vxlan.calico",
     "accept: inside an IPPool"},
    {"through WireGuard", CLUSTER, NULL, FILTER_EXPORT, "10.1.9.0/26", 100, "ibgp", "over wireguard.cali",
     "reject: leads through a device of Felix's"},
    {"through BPF's devices, to nobody", CLUSTER, NULL, FILTER_EXPORT, "10.1.9.0/26", 100, "ebgp", "over bpfin.cali",
     "reject: leads through a device of Felix's"},
    {"through tunl0", CLUSTER, NULL, FILTER_EXPORT, "10.1.9.0/26", 100, "ibgp", "over tunl0",
     "accept: inside an IPPool"},
    {"through tunl0, where it is Felix's", CLUSTER CONF("default", "programClusterRoutes: Disabled"), NULL,
     FILTER_EXPORT, "10.1.9.0/26", 100, "ibgp", "over tunl0",
     "reject: leads through tunl0, which is Felix's to program"},
    {"through a workload's interface", CLUSTER, NULL, FILTER_EXPORT, "10.1.9.0/26", 100, "ibgp", "over cali0123456789a",
     "accept: inside an IPPool"},
    {"a filter's Accept is before all this", CLUSTER FILTER("f", "exportV4: [{action: Accept}]"), "f", FILTER_EXPORT,
     "10.1.9.0/26", 100, "ibgp", "over vxlan.calico", "accept: BGPFilter f, exportV4[0]"},
    /* Filters before it, in order; the first rule that matches ends it. */
    {"an Accept skips the built-in filter",
     CLUSTER FILTER("f", "exportV4: [{action: Accept, cidr: 10.0.0.0/8, matchOperator: In}]"), "f", FILTER_EXPORT,
     "10.2.6.7/32", NORMAL, "ibgp", "own", "accept: BGPFilter f, exportV4[0]"},
    {"... its communities too",
     CLUSTER CONF("default", "prefixAdvertisements: [{cidr: 10.0.0.0/8, communities: ['1:2']}]")
	 FILTER("f", "exportV4: [{action: Accept, cidr: 10.1.0.0/16, matchOperator: In}]"),
     "f", FILTER_EXPORT, "10.1.5.0/26", NORMAL, "ibgp", "own", "accept: BGPFilter f, exportV4[0]"},
    {"a Reject", CLUSTER FILTER("f", "exportV4: [{action: Reject}]"), "f", FILTER_EXPORT, "10.1.5.0/26", NORMAL, "ibgp",
     "own", "reject: BGPFilter f, exportV4[0]"},
    {"what no filter decides is the built-in filter's",
     CLUSTER FILTER("f", "exportV4: [{action: Reject, cidr: 10.9.0.0/16, matchOperator: In}]"), "f", FILTER_EXPORT,
     "10.1.5.0/26", NORMAL, "ibgp", "own", "accept: a block of this node"},
    {"the second filter decides what the first does not",
     CLUSTER FILTER("f", "exportV4: [{action: Reject, cidr: 10.9.0.0/16, matchOperator: In}]")
	 FILTER("g", "exportV4: [{action: Reject, source: RemotePeers}, {action: Accept}]"),
     "f\ng", FILTER_EXPORT, "10.7.5.0/26", NORMAL, "ibgp", "own", "accept: BGPFilter g, exportV4[1]"},
    {"the first filter decides",
     CLUSTER FILTER("f", "exportV4: [{action: Reject}]") FILTER("g", "exportV4: [{action: Accept}]"), "g\nf",
     FILTER_EXPORT, "10.7.5.0/26", NORMAL, "ibgp", "own", "accept: BGPFilter g, exportV4[0]"},
    {"a filter that is not there is skipped", CLUSTER, "nobody", FILTER_EXPORT, "10.1.5.0/26", NORMAL, "ibgp", "own",
     "accept: a block of this node"},
    {"the lists of the other family say nothing", CLUSTER FILTER("f", "exportV6: [{action: Reject}]"), "f",
     FILTER_EXPORT, "10.1.5.0/26", NORMAL, "ibgp", "own", "accept: a block of this node"},
    {"nor do those of the other direction", CLUSTER FILTER("f", "exportV4: [{action: Reject}]"), "f", FILTER_IMPORT,
     "10.1.5.0/26", NORMAL, "ibgp", "", "accept: no policy"},
    {"import: what no rule decides is accepted",
     FILTER("f", "importV4: [{action: Reject, cidr: 10.0.0.0/8, matchOperator: In}]"), "f", FILTER_IMPORT, "11.0.0.0/8",
     100, "ebgp", "", "accept: no rule matched"},
    {"IPv6, too", FILTER("f", "importV6: [{action: Reject, cidr: 'fd00::/8', matchOperator: NotIn}]"), "f",
     FILTER_IMPORT, "2001:db8::/32", 100, "ebgp", "", "reject: BGPFilter f, importV6[0]"},
    /* Conditions. */
    {"Equal", FILTER("f", "importV4: [{action: Reject, cidr: 10.0.0.0/8, matchOperator: Equal}]"), "f", FILTER_IMPORT,
     "10.1.0.0/16", 100, "ebgp", "", "accept: no rule matched"},
    {"NotEqual", FILTER("f", "importV4: [{action: Reject, cidr: 0.0.0.0/0, matchOperator: NotEqual}]"), "f",
     FILTER_IMPORT, "0.0.0.0/0", 100, "ebgp", "", "accept: no rule matched"},
    {"lengths",
     FILTER("f", "importV4: [{action: Accept, cidr: 10.0.0.0/8, matchOperator: In, prefixLength: {min: 16, "
		 "max: 24}}, {action: Reject}]"),
     "f", FILTER_IMPORT, "10.1.2.0/25", 100, "ebgp", "", "reject: BGPFilter f, importV4[1]"},
    {"lengths: not less than that of cidr",
     FILTER("f", "importV4: [{action: Reject, cidr: 10.0.0.0/16, matchOperator: In, prefixLength: {min: 8, max: 16}}]"),
     "f", FILTER_IMPORT, "10.0.0.0/16", 100, "ebgp", "", "reject: BGPFilter f, importV4[0]"},
    {"lengths: nothing is both in the cidr and so short",
     FILTER("f", "importV4: [{action: Reject, cidr: 10.0.0.0/16, matchOperator: In, prefixLength: {max: 8}}]"), "f",
     FILTER_IMPORT, "10.0.0.0/16", 100, "ebgp", "", "accept: no rule matched"},
    {"lengths: exactly the default route",
     FILTER("f", "importV4: [{action: Accept, cidr: 0.0.0.0/0, matchOperator: In, prefixLength: {max: 0}}, {action: "
		 "Reject}]"),
     "f", FILTER_IMPORT, "10.0.0.0/16", 100, "ebgp", "", "reject: BGPFilter f, importV4[1]"},
    {"source: RemotePeers", CLUSTER FILTER("f", "exportV4: [{action: Reject, source: RemotePeers}]"), "f",
     FILTER_EXPORT, "10.1.9.0/26", 100, "ibgp", "", "reject: BGPFilter f, exportV4[0]"},
    {"peerType", CLUSTER FILTER("f", "exportV4: [{action: Reject, peerType: eBGP}]"), "f", FILTER_EXPORT, "10.1.5.0/26",
     NORMAL, "ebgp", "own", "reject: BGPFilter f, exportV4[0]"},
    {"peerType: the other", CLUSTER FILTER("f", "exportV4: [{action: Reject, peerType: iBGP}]"), "f", FILTER_EXPORT,
     "10.1.5.0/26", NORMAL, "ebgp", "own", "accept: a block of this node"},
    {"communities", FILTER("f", "importV4: [{action: Reject, communities: {values: ['1:2']}}]"), "f", FILTER_IMPORT,
     "10.1.5.0/26", 100, "ebgp", "community 1:2", "reject: BGPFilter f, importV4[0]"},
    {"large communities", FILTER("f", "importV4: [{action: Reject, communities: {values: ['1:2:3']}}]"), "f",
     FILTER_IMPORT, "10.1.5.0/26", 100, "ebgp", "community 1:2:3", "reject: BGPFilter f, importV4[0]"},
    {"communities: another", FILTER("f", "importV4: [{action: Reject, communities: {values: ['1:2:3']}}]"), "f",
     FILTER_IMPORT, "10.1.5.0/26", 100, "ebgp", "community 1:2", "accept: no rule matched"},
    {"asPathPrefix", FILTER("f", "importV4: [{action: Reject, asPathPrefix: [65001, 65002]}]"), "f", FILTER_IMPORT,
     "10.1.5.0/26", 100, "ebgp", "path 65001 65002 65003", "reject: BGPFilter f, importV4[0]"},
    {"asPathPrefix: a path that is shorter", FILTER("f", "importV4: [{action: Reject, asPathPrefix: [65001, 65002]}]"),
     "f", FILTER_IMPORT, "10.1.5.0/26", 100, "ebgp", "path 65001", "accept: no rule matched"},
    {"priority", CLUSTER FILTER("f", "exportV4: [{action: Reject, priority: 512}]"), "f", FILTER_EXPORT, "10.1.5.7/32",
     ELEVATED, "ibgp", "own", "reject: BGPFilter f, exportV4[0]"},
    {"interface", FILTER("f", "importV4: [{action: Reject, interface: 'eth*'}]"), "f", FILTER_IMPORT, "10.1.5.0/26",
     100, "ebgp", "over eth1", "reject: BGPFilter f, importV4[0]"},
    {"interface: another", FILTER("f", "importV4: [{action: Reject, interface: 'eth*'}]"), "f", FILTER_IMPORT,
     "10.1.5.0/26", 100, "ebgp", "over bond0", "accept: no rule matched"},
    {"all conditions together",
     FILTER("f", "importV4: [{action: Reject, cidr: 10.0.0.0/8, matchOperator: In, communities: {values: ['1:2']}}]"),
     "f", FILTER_IMPORT, "10.1.5.0/26", 100, "ebgp", "", "accept: no rule matched"},
    /* Operations, in order. */
    {"operations",
     FILTER("f", "importV4: [{action: Accept, operations: [{prependASPath: {prefix: [65010, 65011]}}, {setPriority: "
		 "{value: 512}}, {addCommunity: {value: '1:2'}}, {addCommunity: {value: '1:2:3'}}]}]"),
     "f", FILTER_IMPORT, "10.1.5.0/26", 100, "ebgp", "path 65001",
     "accept: BGPFilter f, importV4[0]; local_pref 2147483135; path 65010 65011 65001; community 1:2; large 1:2:3"},
    {"operations: prepended twice",
     FILTER("f", "importV4: [{action: Accept, operations: [{prependASPath: {prefix: [1, 2]}}, {prependASPath: {prefix: "
		 "[3]}}]}]"),
     "f", FILTER_IMPORT, "10.1.5.0/26", 100, "ebgp", "", "accept: BGPFilter f, importV4[0]; path 3 1 2"},
    /* prefixAdvertisements. */
    {"named and literal communities, of all prefixes that cover it",
     CLUSTER CONF("default",
		  "communities: [{name: c1, value: '65001:100'}], prefixAdvertisements: [{cidr: 10.1.0.0/16, "
		  "communities: [c1, '65001:200:1']}, {cidr: 10.0.0.0/8, communities: ['65001:300']}, "
		  "{cidr: 10.9.0.0/16, communities: ['65001:400']}]"),
     NULL, FILTER_EXPORT, "10.1.5.0/26", NORMAL, "ebgp", "own",
     "accept: a block of this node; community 65001:100 65001:300; large 65001:200:1"},
    {"they announce nothing by themselves",
     CLUSTER CONF("default", "prefixAdvertisements: [{cidr: 192.168.0.0/16, communities: ['1:2']}]"), NULL,
     FILTER_EXPORT, "192.168.0.0/24", 100, "ebgp", "", "reject: no rule matched"},
    {"a name that nobody defined is left out",
     CLUSTER CONF("default", "prefixAdvertisements: [{cidr: 10.1.0.0/16, communities: [nobody, '1:2']}]"), NULL,
     FILTER_EXPORT, "10.1.5.0/26", NORMAL, "ebgp", "own", "accept: a block of this node; community 1:2"},
    {"node.NAME replaces the whole list, with names of its own",
     CLUSTER CONF("default", "communities: [{name: c1, value: '1:1'}, {name: c2, value: '1:2'}], prefixAdvertisements: "
			     "[{cidr: 10.1.0.0/16, communities: [c1]}]")
	 CONF("node.a",
	      "communities: [{name: c1, value: '2:1'}], prefixAdvertisements: [{cidr: 10.0.0.0/8, communities: "
	      "[c1, c2]}]"),
     NULL, FILTER_EXPORT, "10.1.5.0/26", NORMAL, "ebgp", "own", "accept: a block of this node; community 2:1"},
    {"node.NAME without a list leaves it",
     CLUSTER CONF("default", "prefixAdvertisements: [{cidr: 10.1.0.0/16, communities: ['1:1']}]")
	 CONF("node.a", "listenPort: 1790, communities: [{name: c1, value: '2:1'}]"),
     NULL, FILTER_EXPORT, "10.1.5.0/26", NORMAL, "ebgp", "own", "accept: a block of this node; community 1:1"},
    {"another node's is nobody's here",
     CLUSTER CONF("node.b", "prefixAdvertisements: [{cidr: 10.1.0.0/16, communities: ['1:1']}]"), NULL, FILTER_EXPORT,
     "10.1.5.0/26", NORMAL, "ebgp", "own", "accept: a block of this node"},
};

/* ---- Objects ---- */

static struct policies *policies;

static void on_change(void *arg, const struct object *before, const struct object *after)
{
	(void)arg;
	if (policies && (after ? after : before)->kind == OBJ_BLOCK_AFFINITY)
		policies_on_affinity(policies, before, after);
}

static void on_doc(void *arg, struct yaml_node *doc)
{
	struct object_error err;
	char *name;
	int kind;
	struct object *o;

	if (!doc)
		return;
	o = object_decode(doc, &err, &kind, &name, NULL, NULL);
	ck_assert_msg(o != NULL, "%s: %s", err.field, err.reason);
	free(name);
	o->source = mem_strdup("a test");
	store_put(arg, o);
}

static struct loop *loop;
static struct store *store;
static struct config config;
static struct arena arena;

static void put(const char *objects)
{
	struct yaml_error err;

	ck_assert_msg(yaml_parse(objects, strlen(objects), on_doc, store, &err), "%u: %s", err.line, err.reason);
}

static bool through_tunnels; /* some next hop leads through one */

static void update(void)
{
	struct self self = self_from(store, &config, NULL);

	self.tunnel_next_hops = through_tunnels;
	policies_update(policies, &self);
}

static void setup(void)
{
	static const struct store_ops ops = {.on_change = on_change};
	struct strbuf err = {0};

	setenv("NODENAME", "a", 1);
	ck_assert(config_load(&config, NULL, false, &err));
	loop = loop_new();
	store = store_new(loop, &ops, NULL);
	policies = policies_new(store);
}

static void teardown(void)
{
	policies_free(policies);
	store_free(store);
	loop_free(loop);
	config_free(&config);
	arena_free(&arena);
}

/* ---- Routes ---- */

static void put_community(struct bgp_attrs *a, const char *text)
{
	struct community c;
	struct wr w = wr_make(arena_alloc(&arena, 12), 12);

	ck_assert(community_parse(&c, text));
	if (c.parts == 2) {
		bgp_attrs_add_community(a, c.part[0] << 16 | c.part[1], &arena);
		return;
	}
	for (int i = 0; i < 3; i++)
		wr_u32(&w, c.part[i]);
	a->large_communities = (struct span){w.start, wr_len(&w)};
	a->present |= 1u << BA_LARGE_COMMUNITIES;
}

/* "path 1 2 community 1:2 over eth0 own" */
static struct bgp_attrs make_route(const char *text, struct policy_input *in)
{
	struct bgp_attrs a = {.present = 1u << BA_ORIGIN | 1u << BA_AS_PATH | 1u << BA_LOCAL_PREF,
			      .local_pref = in->local_pref};
	char *copy = strcpy(arena_alloc(&arena, strlen(text) + 1), text), *save = NULL;
	const char *about = "";
	uint32_t path[8];
	unsigned n = 0;

	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (strcmp(word, "own") == 0)
			in->source = SOURCE_BLOCK;
		else if (strcmp(word, "path") == 0 || strcmp(word, "community") == 0 || strcmp(word, "over") == 0)
			about = word;
		else if (*about == 'p')
			path[n++] = (uint32_t)strtoul(word, NULL, 10);
		else if (*about == 'c')
			put_community(&a, word);
		else
			strcpy(in->interface, word);
	}
	while (n)
		a.as_path = as_path_prepend(a.as_path, path[--n], 1, &arena);
	return a;
}

static void put_list(struct strbuf *out, const char *what, struct span s, unsigned parts, unsigned width)
{
	struct rd rd = rd_span(s);

	strbuf_printf(out, "; %s", what);
	while (rd_left(&rd))
		for (unsigned i = 0; i < parts; i++)
			strbuf_printf(out, "%c%u", i ? ':' : ' ', width == 2 ? rd_u16(&rd) : rd_u32(&rd));
}

static void describe(struct strbuf *out, const struct bgp_attrs *was, const struct bgp_attrs *is)
{
	if (was->local_pref != is->local_pref)
		strbuf_printf(out, "; local_pref %u", is->local_pref);
	if (was->as_path.p != is->as_path.p) {
		strbuf_puts(out, "; path ");
		as_path_format(out, is->as_path);
	}
	if (was->communities.p != is->communities.p)
		put_list(out, "community", is->communities, 2, 2);
	if (was->large_communities.p != is->large_communities.p)
		put_list(out, "large", is->large_communities, 3, 4);
}

START_TEST(test_outcomes)
{
	const struct test *t = &tests[_i];
	struct policy_input in = {
	    .source = SOURCE_BGP, .local_pref = t->local_pref, .ibgp = strcmp(t->peer, "ibgp") == 0};
	struct attrs_table *table = attrs_table_new();
	const struct peer_policy *both;
	struct policy_result res;
	struct bgp_attrs was, is;
	const struct policy *p;
	struct attrs *attrs;
	struct strbuf got = {0};

	put(t->objects);
	through_tunnels = strstr(t->route, "over ");
	update();
	both = policies_get(policies, t->filters);
	p = t->direction == FILTER_IMPORT ? both->import : both->export;
	ck_assert(prefix_parse(&in.prefix, t->prefix));
	was = is = make_route(t->route, &in);
	in.attrs = attrs = attrs_intern(table, &was);
	res = policy_eval(p, &in);
	strbuf_printf(&got, "%s: %s", res.accept ? "accept" : "reject", res.why);
	policy_apply(p, &in, &is, &arena);
	if (res.accept)
		describe(&got, &was, &is);
	ck_assert_msg(strcmp(got.s, t->outcome) == 0, "%s: %s", t->what, got.s);
	strbuf_free(&got);
	attrs_unref(table, attrs);
	attrs_table_free(table);
}
END_TEST

/* ---- Sharing, and what does not change ---- */

START_TEST(test_tunnel_names)
{
	static const char *const tunnels[] = {"tunl0", "vxlan.calico", "vxlan-v6.calico", "wireguard.cali",
					      "bpfout.cali"};
	static const char *const others[] = {"", "eth0", "cali0123456789a", "tunl1", "calico", "calico0"};

	for (size_t i = 0; i < sizeof tunnels / sizeof *tunnels; i++)
		ck_assert(export_is_tunnel(tunnels[i]));
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		ck_assert(!export_is_tunnel(others[i]));
}
END_TEST

START_TEST(test_equal_content_stays_the_same_object)
{
	struct policy *import, *export, *plain;

	put(CLUSTER FILTER("f", "importV4: [{action: Reject, cidr: 10.0.0.0/8, matchOperator: In}]"));
	update();
	import = policies_get(policies, "f")->import;
	export = policies_get(policies, "f")->export;
	plain = policies_get(policies, NULL)->export;
	ck_assert_ptr_null(policies_get(policies, NULL)->import);
	/* Neither a pool's mode nor an object that says the same in other words moves anything. */
	put(POOL("p", "cidr: 10.1.0.0/16, ipipMode: Always")
		FILTER("f", "importV4: [{action: Reject, matchOperator: In, cidr: 10.3.2.1/8}], exportV6: []"));
	update();
	ck_assert_ptr_eq(policies_get(policies, "f")->import, import);
	ck_assert_ptr_eq(policies_get(policies, "f")->export, export);
	ck_assert_ptr_eq(policies_get(policies, NULL)->export, plain);
	/* A filter's change is its peers' alone. */
	put(FILTER("f", "importV4: [{action: Accept}], exportV4: [{action: Reject}]"));
	update();
	ck_assert(!policy_equal(policies_get(policies, "f")->export, plain));
	ck_assert_ptr_eq(policies_get(policies, NULL)->export, plain);
	ck_assert(store_delete(store, OBJ_BGP_FILTER, "", "f"));
	update();
	ck_assert_ptr_null(policies_get(policies, "f")->import);
	ck_assert(policy_equal(policies_get(policies, "f")->export, plain));
}
END_TEST

/* A filter that cannot be read was to hold something back: its peers get and give nothing until it can be. */
START_TEST(test_refused_filter)
{
	char source[] = "f.yaml:1:1", object[] = "BGPFilter f", none[] = "";
	const struct store_refusal refusal = {.source = source, .object = object, .field = none, .reason = source};
	struct policy_input in = {.source = SOURCE_BGP, .local_pref = 100};
	struct refusal_set set = {0};
	struct strbuf problems = {0};

	put(CLUSTER);
	refusals_begin(&set);
	refusals_note(store, &set, &refusal);
	refusals_end(store, &set);
	update();
	ck_assert(prefix_parse(&in.prefix, "fd00::/64"));
	ck_assert(!policy_eval(policies_get(policies, "g\nf")->import, &in).accept);
	ck_assert(!policy_eval(policies_get(policies, "g\nf")->export, &in).accept);
	policies_sweep(policies);
	policies_problems(policies, &problems);
	ck_assert_str_eq(
	    problems.s, "BGPFilter g, which BGPPeers name, is not there: skipped, as Calico does\n"
			"BGPFilter f is refused, and was never read: nothing is taken from the peers that have it, and "
			"nothing sent to them\n");
	strbuf_free(&problems);
	/* Nobody has it any more. */
	update();
	policies_sweep(policies);
	policies_problems(policies, &problems);
	ck_assert_uint_eq(problems.len, 0);
	strbuf_free(&problems);
	refusals_clear(store, &set, true);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("policies");
	TCase *t = tcase_create("policies");
	SRunner *sr;
	int failures;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, test_outcomes, 0, sizeof tests / sizeof *tests);
	tcase_add_test(t, test_tunnel_names);
	tcase_add_test(t, test_equal_content_stays_the_same_object);
	tcase_add_test(t, test_refused_filter);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
