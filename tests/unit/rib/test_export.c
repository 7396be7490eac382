/* Export without the streams: the reasons not to send, the next hop, and which attributes leave in which direction. */
#include "rib/export.h"

#include "tests/unit/rib/rig.h"

/* Peer indexes: 0 is the local one, then in the order of making. */
enum source { LOCAL, EXTERNAL, CLIENT, INTERNAL, SOURCES };

static struct attrs_table *table;
static struct group_key key;

static void begin(void)
{
	struct rib_peer_conf conf;

	rig_begin();
	peer_add(1, true);
	conf = peer_conf(2, false);
	conf.rr_client = true;
	peer_up(rib_peer_new(rig.rib, &conf, NULL));
	peer_add(3, false);
	table = attrs_table_new();
	key = (struct group_key){.local_as = OUR_AS,
				 .max_message = BGP_MAX_MESSAGE,
				 .cluster_id = 77,
				 .families = BOTH,
				 .as4 = true,
				 .self = {{.addr = addr_of(OUR_V4)}, {.addr = addr_of(OUR_V6)}}};
}

static void end(void)
{
	attrs_table_free(table);
	rig_end();
}

static struct export to_export(enum source source, enum family f, const struct attrs *set)
{
	return (struct export){.key = &key,
			       .rib = rig.rib,
			       .family = f,
			       .source = (uint16_t)source,
			       .kind = source == LOCAL ? SOURCE_BLOCK : SOURCE_BGP,
			       .attrs = set,
			       .prefix = prefix_of(f == FAM_IPV4 ? "10.244.0.0/26" : "fd00:10::/122")};
}

/* ---- Which attributes go out ---- */

#define ALWAYS                                                                                                         \
	(1u << BA_ORIGIN | 1u << BA_AS_PATH | 1u << BA_ATOMIC_AGGREGATE | 1u << BA_AGGREGATOR | 1u << BA_COMMUNITIES | \
	 1u << BA_EXT_COMMUNITIES | 1u << BA_LARGE_COMMUNITIES | 1u << BA_OTC)
#define MED (1u << BA_MED)
#define LOCAL_PREF (1u << BA_LOCAL_PREF)
#define REFLECTION (1u << BA_ORIGINATOR_ID | 1u << BA_CLUSTER_LIST)
#define AIGP (1u << BA_AIGP)

static const struct {
	enum source source;
	bool ebgp;
	uint32_t in, out;
} directions[] = {
    /* To another AS: neither what is ours to know, nor another AS's MED. */
    {EXTERNAL, true, ALWAYS | MED, ALWAYS},
    {CLIENT, true, ALWAYS | MED | LOCAL_PREF | REFLECTION | AIGP, ALWAYS},
    {LOCAL, true, ALWAYS | MED | LOCAL_PREF, ALWAYS | MED},
    /* Inside: everything, and a LOCAL_PREF always. */
    {EXTERNAL, false, ALWAYS | MED, ALWAYS | MED | LOCAL_PREF},
    {LOCAL, false, ALWAYS | LOCAL_PREF, ALWAYS | LOCAL_PREF},
    {CLIENT, false, ALWAYS | MED | LOCAL_PREF | AIGP, ALWAYS | MED | LOCAL_PREF | AIGP | REFLECTION},
    {INTERNAL, false, ALWAYS | LOCAL_PREF | REFLECTION, ALWAYS | LOCAL_PREF | REFLECTION},
};

/* All attributes that are present have some value. */
static struct bgp_attrs with(uint32_t present)
{
	static const uint8_t path[] = {BGP_AS_SEQUENCE, 1, 0, 0, 253, 233};
	static const uint8_t eight[8] = {0, 1, 0, 2, 0, 3, 0, 4}, twelve[12] = {1}, aigp[11] = {1, 0, 11};
	static const uint8_t cluster[4] = {0, 0, 0, 5};
	struct bgp_attrs a = {.present = present, .as_path = {path, sizeof path}, .next_hop.addr = addr_of("10.9.9.9")};

	a.communities = a.ext_communities = (struct span){eight, sizeof eight};
	a.large_communities = (struct span){twelve, sizeof twelve};
	if (present & AIGP)
		a.aigp = (struct span){aigp, sizeof aigp};
	if (present & 1u << BA_CLUSTER_LIST)
		a.cluster_list = (struct span){cluster, sizeof cluster};
	a.originator_id = present & 1u << BA_ORIGINATOR_ID ? 0x0b0b0b0bu : 0;
	a.med = present & MED ? 5 : 0;
	a.local_pref = present & LOCAL_PREF ? 300 : 0;
	a.aggregator_as = a.otc = 65001;
	return a;
}

START_TEST(test_direction)
{
	struct bgp_attrs in = with(directions[_i].in), out;
	struct attrs *set;
	struct export x;

	begin();
	key.ebgp = directions[_i].ebgp;
	set = attrs_intern(table, &in);
	x = to_export(directions[_i].source, FAM_IPV4, set);
	export_attrs(&x, &out, &rig.arena);
	ck_assert_msg(out.present == directions[_i].out, "present %x, expected %x", out.present, directions[_i].out);
	ck_assert_uint_eq(as_path_length(out.as_path), key.ebgp ? 2 : 1);
	ck_assert_uint_eq(as_path_first(out.as_path), key.ebgp ? OUR_AS : 65001);
	if (out.present & LOCAL_PREF)
		ck_assert_uint_eq(out.local_pref, in.present & LOCAL_PREF ? 300 : 100);
	attrs_unref(table, set);
	end();
}
END_TEST

/* RFC 4456 8: who brought it in is said once, every cluster adds itself in front. */
START_TEST(test_reflection)
{
	struct bgp_attrs in = with(ALWAYS | LOCAL_PREF), out;
	struct attrs *set;
	struct export x;
	struct rd rd;

	begin();
	set = attrs_intern(table, &in);
	x = to_export(CLIENT, FAM_IPV4, set);
	export_attrs(&x, &out, &rig.arena);
	ck_assert_uint_eq(out.originator_id, 0x0a000002u);
	ck_assert_uint_eq(out.cluster_list.len, 4);
	attrs_unref(table, set);
	in = with(ALWAYS | LOCAL_PREF | REFLECTION);
	set = attrs_intern(table, &in);
	x = to_export(CLIENT, FAM_IPV4, set);
	export_attrs(&x, &out, &rig.arena);
	ck_assert_uint_eq(out.originator_id, 0x0b0b0b0bu);
	rd = rd_span(out.cluster_list);
	ck_assert_uint_eq(rd_u32(&rd), 77);
	ck_assert_uint_eq(rd_u32(&rd), 5);
	ck_assert(rd_done(&rd));
	attrs_unref(table, set);
	end();
}
END_TEST

/* RFC 4360 6 and RFC 5701 2: an extended community without transitivity (0x40 of its first octet) ends at the border.
 */
START_TEST(test_extended_communities)
{
	static const uint8_t mixed[3][8] = {{0, 2, 1}, {0x43, 0, 2}, {0x80, 6, 3}}, inside[8] = {0x40, 4};
	static const uint8_t mixed6[2][20] = {{0x40, 2, 1}, {0, 2, 2}};
	struct bgp_attrs in = with(ALWAYS | 1u << BA_IPV6_EXT_COMMUNITIES), out;
	struct attrs *set;
	struct export x;

	begin();
	in.ext_communities = (struct span){mixed[0], sizeof mixed};
	in.ipv6_ext_communities = (struct span){mixed6[0], sizeof mixed6};
	set = attrs_intern(table, &in);
	x = to_export(EXTERNAL, FAM_IPV4, set);
	export_attrs(&x, &out, &rig.arena);
	ck_assert_uint_eq(out.ext_communities.len, sizeof mixed);
	ck_assert_uint_eq(out.ipv6_ext_communities.len, sizeof mixed6);
	key.ebgp = true;
	export_attrs(&x, &out, &rig.arena);
	ck_assert_uint_eq(out.ext_communities.len, 16);
	ck_assert_mem_eq(out.ext_communities.p, mixed[0], 8);
	ck_assert_mem_eq(out.ext_communities.p + 8, mixed[2], 8);
	ck_assert_uint_eq(out.ipv6_ext_communities.len, 20);
	ck_assert_mem_eq(out.ipv6_ext_communities.p, mixed6[1], 20);
	attrs_unref(table, set);
	/* With nothing left there is no attribute. */
	in = with(ALWAYS);
	in.ext_communities = (struct span){inside, sizeof inside};
	set = attrs_intern(table, &in);
	x = to_export(CLIENT, FAM_IPV4, set);
	export_attrs(&x, &out, &rig.arena);
	ck_assert_uint_eq(out.present, ALWAYS & ~(1u << BA_EXT_COMMUNITIES));
	attrs_unref(table, set);
	end();
}
END_TEST

/* RFC 4271 5.1.2, RFC 5065 4.1: our own AS as often as configured towards other ASes, and no confederation's ASes. */
static const struct {
	bool ebgp;
	unsigned prepend;
	const char *out;
} as_paths[] = {
    {true, 0, "64512 65002 65003"},
    {true, 1, "64512 64512 65002 65003"},
    {true, 3, "64512 64512 64512 64512 65002 65003"},
    {false, 3, "(65001) 65002 65003"},
};

START_TEST(test_as_path)
{
	/* (65001) 65002 65003 */
	static const uint8_t path[2 * 2 + 3 * 4] = {
	    BGP_AS_CONFED_SEQUENCE, 1, 0, 0, 253, 233, BGP_AS_SEQUENCE, 2, 0, 0, 253, 234, 0, 0, 253, 235};
	struct bgp_attrs in = with(ALWAYS), out;
	struct strbuf text = {0};
	struct attrs *set;
	struct export x;

	begin();
	key.ebgp = as_paths[_i].ebgp;
	key.prepend = (uint8_t)as_paths[_i].prepend;
	in.as_path = (struct span){path, sizeof path};
	set = attrs_intern(table, &in);
	x = to_export(CLIENT, FAM_IPV4, set);
	export_attrs(&x, &out, &rig.arena);
	as_path_format(&text, out.as_path);
	ck_assert_str_eq(text.s, as_paths[_i].out);
	strbuf_free(&text);
	attrs_unref(table, set);
	end();
}
END_TEST

/* RFC 8326 4.1: everything that is sent asks to be used last, whatever policy says of it. */
START_TEST(test_graceful_shutdown)
{
	static const struct policy_op raise = {OP_SET_LOCAL_PREF, {500}};
	const struct policy_rule rule = {.action = RULE_ACCEPT, .ops = &raise, .op_count = 1};
	enum source source = _i / 2 ? LOCAL : CLIENT;
	struct bgp_attrs in = with(ALWAYS | LOCAL_PREF), out;
	struct attrs *set;
	struct export x;

	begin();
	key.ebgp = _i % 2;
	key.export = policy_new("export", &rule, 1, RULE_ACCEPT);
	set = attrs_intern(table, &in);
	for (int on = 0; on < 2; on++) {
		key.graceful_shutdown = on;
		x = to_export(source, FAM_IPV4, set);
		export_attrs(&x, &out, &rig.arena);
		ck_assert(bgp_attrs_have(&out, BA_LOCAL_PREF) == !key.ebgp);
		if (!key.ebgp)
			ck_assert_uint_eq(out.local_pref, on ? 0 : 500);
		ck_assert_uint_eq(out.communities.len, on ? 12 : 8);
		ck_assert(bgp_communities_have(out.communities, BGP_COMMUNITY_GRACEFUL_SHUTDOWN) == on);
	}
	policy_unref(key.export);
	attrs_unref(table, set);
	end();
}
END_TEST

/* ---- Next hops ---- */

static const struct {
	unsigned mode;
	bool ebgp, self;
} next_hops[] = {
    {RIB_NEXT_HOP_AUTO, true, true},  {RIB_NEXT_HOP_AUTO, false, false}, {RIB_NEXT_HOP_SELF, true, true},
    {RIB_NEXT_HOP_SELF, false, true}, {RIB_NEXT_HOP_KEEP, true, false},	 {RIB_NEXT_HOP_KEEP, false, false},
};

START_TEST(test_next_hop)
{
	struct bgp_attrs in = with(ALWAYS), own = with(ALWAYS);
	struct addr their = addr_of("2001:db8::9"), ours = addr_of(OUR_V6), link_local = addr_of("fe80::9");
	struct addr on_lo = addr_on_link(&link_local, 1);
	struct attrs *set, *local, *linked;
	struct bgp_nexthop nh;
	struct export x;

	begin();
	key.next_hop_mode = (uint8_t)next_hops[_i].mode;
	key.ebgp = next_hops[_i].ebgp;
	in.next_hop = (struct bgp_nexthop){.addr = their, .link_local = addr_of("fe80::9")};
	own.next_hop = (struct bgp_nexthop){0};
	set = attrs_intern(table, &in);
	local = attrs_intern(table, &own);
	x = to_export(EXTERNAL, FAM_IPV6, set);
	ck_assert(export_next_hop(&x, &nh) == next_hops[_i].self);
	ck_assert(addr_equal(&nh.addr, next_hops[_i].self ? &ours : &their));
	/* Another link's address is never passed on (RFC 2545 3). */
	ck_assert(addr_is_none(&nh.link_local));
	/* A reflected route's is treated as any other's (RFC 4456 10 leaves it alone unless somebody asks). */
	x = to_export(CLIENT, FAM_IPV6, set);
	ck_assert(export_next_hop(&x, &nh) == next_hops[_i].self);
	ck_assert(addr_equal(&nh.addr, next_hops[_i].self ? &ours : &their));
	/* Nor is a next hop that is link-local itself. */
	in.next_hop = (struct bgp_nexthop){.addr = on_lo};
	linked = attrs_intern(table, &in);
	x = to_export(CLIENT, FAM_IPV6, linked);
	ck_assert(export_next_hop(&x, &nh));
	ck_assert(addr_equal(&nh.addr, &ours));
	attrs_unref(table, linked);
	/* What originates here has no other next hop than ours, whatever the mode. */
	x = to_export(LOCAL, FAM_IPV6, local);
	ck_assert(export_next_hop(&x, &nh));
	ck_assert(addr_equal(&nh.addr, &ours));
	attrs_unref(table, set);
	attrs_unref(table, local);
	end();
}
END_TEST

/* ---- Reasons not to send ---- */

static const struct reason {
	const char *why; /* the beginning; NULL: it goes */
	enum source source;
	enum family family;
	const char *next_hop; /* NULL: none, as of local routes */
	uint32_t community;
	bool ebgp, client, no_self, ext_next_hop, llgr;
} reasons[] = {
    {NULL, EXTERNAL, FAM_IPV4, "10.9.9.9"},
    {"community NO_ADVERTISE", EXTERNAL, FAM_IPV4, "10.9.9.9", .community = BGP_COMMUNITY_NO_ADVERTISE},
    {"community NO_EXPORT", INTERNAL, FAM_IPV4, "10.9.9.9", .community = BGP_COMMUNITY_NO_EXPORT, .ebgp = true},
    {"community NO_EXPORT", INTERNAL, FAM_IPV4, "10.9.9.9", .community = BGP_COMMUNITY_NO_EXPORT_SUBCONFED,
     .ebgp = true},
    {NULL, EXTERNAL, FAM_IPV4, "10.9.9.9", .community = BGP_COMMUNITY_NO_EXPORT},
    /* RFC 9494 4.3: to those who know what it means. */
    {"community LLGR_STALE", EXTERNAL, FAM_IPV4, "10.9.9.9", .community = BGP_COMMUNITY_LLGR_STALE},
    {"community LLGR_STALE", EXTERNAL, FAM_IPV4, "10.9.9.9", .community = BGP_COMMUNITY_LLGR_STALE, .ebgp = true},
    {NULL, EXTERNAL, FAM_IPV4, "10.9.9.9", .community = BGP_COMMUNITY_LLGR_STALE, .llgr = true},
    {NULL, EXTERNAL, FAM_IPV4, "10.9.9.9", .community = BGP_COMMUNITY_LLGR_STALE, .ebgp = true, .llgr = true},
    {NULL, EXTERNAL, FAM_IPV4, "10.9.9.9", .community = BGP_COMMUNITY_NO_LLGR},
    /* RFC 4456: client to all, non-client to clients; local and external routes to all. */
    {"iBGP to iBGP", INTERNAL, FAM_IPV4, "10.9.9.9"},
    {NULL, INTERNAL, FAM_IPV4, "10.9.9.9", .client = true},
    {NULL, CLIENT, FAM_IPV4, "10.9.9.9"},
    {NULL, CLIENT, FAM_IPV4, "10.9.9.9", .client = true},
    {NULL, INTERNAL, FAM_IPV4, "10.9.9.9", .ebgp = true},
    {NULL, LOCAL, FAM_IPV4, NULL},
    {"the session has no address", LOCAL, FAM_IPV4, NULL, .no_self = true},
    {"the session has no address", EXTERNAL, FAM_IPV6, "2001:db8::9", .no_self = true, .ebgp = true},
    {NULL, EXTERNAL, FAM_IPV6, "2001:db8::9", .no_self = true},
    {"IPv6 next hop", EXTERNAL, FAM_IPV4, "2001:db8::9"},
    {NULL, EXTERNAL, FAM_IPV4, "2001:db8::9", .ext_next_hop = true},
    {NULL, EXTERNAL, FAM_IPV4, "2001:db8::9", .ebgp = true},
    {"IPv4 next hop", EXTERNAL, FAM_IPV6, "10.9.9.9"},
    {NULL, EXTERNAL, FAM_IPV6, "2001:db8::9"},
};

START_TEST(test_reason)
{
	const struct reason *r = &reasons[_i];
	struct bgp_attrs in = with(ALWAYS);
	struct attrs *set;
	const char *why;
	struct export x;

	begin();
	key.ebgp = r->ebgp;
	key.rr_client = r->client;
	key.llgr = r->llgr;
	key.ext_next_hop = r->ext_next_hop ? 1u << FAM_IPV4 : 0;
	if (r->no_self)
		memset(key.self, 0, sizeof key.self);
	in.next_hop = (struct bgp_nexthop){0};
	if (r->next_hop)
		in.next_hop.addr = addr_of(r->next_hop);
	if (r->community)
		in.communities = words(&r->community, 1, NULL, 0);
	set = attrs_intern(table, &in);
	x = to_export(r->source, r->family, set);
	why = export_refusal(&x, NULL);
	if (r->why)
		ck_assert_msg(why && strncmp(why, r->why, strlen(r->why)) == 0, "%s", why ? why : "goes");
	else
		ck_assert_msg(!why, "%s", why);
	attrs_unref(table, set);
	end();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("export");

	tcase_add_loop_test(tc, test_direction, 0, sizeof directions / sizeof *directions);
	tcase_add_test(tc, test_reflection);
	tcase_add_test(tc, test_extended_communities);
	tcase_add_loop_test(tc, test_as_path, 0, sizeof as_paths / sizeof *as_paths);
	tcase_add_loop_test(tc, test_graceful_shutdown, 0, 4);
	tcase_add_loop_test(tc, test_next_hop, 0, sizeof next_hops / sizeof *next_hops);
	tcase_add_loop_test(tc, test_reason, 0, sizeof reasons / sizeof *reasons);
	return run_suite(tc, "export");
}
