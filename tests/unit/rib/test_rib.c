/* What UPDATEs, next hops and settings do to the selection and to what is shown. */
#include "tests/unit/rib/inbox.h"

#define P1 "10.244.0.0/26"
#define P2 "10.244.1.0/26"

static const struct rig_best *best_of(const char *prefix)
{
	struct prefix p = prefix_of(prefix);
	static const struct rig_best none;
	const struct rig_best *b = rig_best_of(&p);

	return b ? b : &none;
}

static void next_hop_is(const char *nh, bool reachable, uint32_t metric)
{
	struct addr a = addr_of(nh);

	rib_nexthop_update(rig.rib, &a, reachable, metric);
	rig_settle();
}

/* ---- Updates in, selections out ---- */

START_TEST(test_selection)
{
	static const char *const prefixes[] = {P1, "fd00:10::/122"};
	const char *prefix = prefixes[_i];
	struct rib_peer *p;

	rig_begin();
	p = peer_add(1, false);
	announce(p, prefix, (struct spec){{65001}});
	ck_assert_uint_eq(best_calls(prefix), 0);
	rig_settle();
	ck_assert_ptr_eq(best_peer(prefix), p);
	ck_assert_uint_eq(best_calls(prefix), 1);
	ck_assert_int_eq(best_of(prefix)->route[0].source, SOURCE_BGP);
	ck_assert_uint_eq(best_of(prefix)->route[0].attrs->path_length, 1);
	/* The same again is no change, other attributes are. */
	announce(p, prefix, (struct spec){{65001}});
	rig_settle();
	ck_assert_uint_eq(best_calls(prefix), 1);
	announce(p, prefix, (struct spec){{65001, 65002}});
	rig_settle();
	ck_assert_uint_eq(best_calls(prefix), 2);
	ck_assert_uint_eq(best_of(prefix)->route[0].attrs->path_length, 2);
	withdraw(p, prefix);
	rig_settle();
	ck_assert_uint_eq(best_calls(prefix), 3);
	ck_assert_uint_eq(best_of(prefix)->n, 0);
	ck_assert_uint_eq(rib_stats(rig.rib).prefixes[_i], 0);
	/* The attributes of the last UPDATE are remembered for the next one, at most as long as the session. */
	rib_peer_down(p, 0);
	ck_assert_uint_eq(rib_stats(rig.rib).attrs, 0);
	ck_assert_uint_eq(rig.used, 1);
	ck_assert_uint_eq(rig.unused, 1);
	rig_end();
}
END_TEST

/* A worse route that comes, changes and goes is nobody's business. */
START_TEST(test_worse)
{
	struct rib_peer *a, *b;

	rig_begin();
	a = peer_add(1, false);
	b = peer_add(2, false);
	announce(a, P1, (struct spec){{65001}});
	rig_settle();
	announce(b, P1, (struct spec){{65001, 65002}});
	rig_settle();
	announce(b, P1, (struct spec){{65001, 65002, 65003}});
	rig_settle();
	ck_assert_uint_eq(best_calls(P1), 1);
	withdraw(a, P1);
	rig_settle();
	ck_assert_ptr_eq(best_peer(P1), b);
	announce(a, P1, (struct spec){{65001}});
	rig_settle();
	withdraw(b, P1);
	rig_settle();
	ck_assert_uint_eq(best_calls(P1), 3);
	ck_assert_ptr_eq(best_peer(P1), a);
	rig_end();
}
END_TEST

/* ---- Multipath and next hops ---- */

START_TEST(test_ecmp)
{
	struct rib_peer *p[4];

	rig_begin_with((struct rib_conf){.max_paths = 3, .deterministic_med = true});
	for (unsigned i = 0; i < 4; i++)
		p[i] = peer_add(i + 1, false);
	announce(p[0], P1, (struct spec){{65001}, .next_hop = "10.9.0.1"});
	announce(p[1], P1, (struct spec){{65002}, .next_hop = "10.9.0.2"});
	rig_settle();
	ck_assert_uint_eq(best_of(P1)->n, 2);
	ck_assert_ptr_eq(best_of(P1)->route[0].peer, p[0]);
	ck_assert_ptr_eq(best_of(P1)->route[1].peer, p[1]);
	/* The same next hop again adds nothing. */
	announce(p[2], P1, (struct spec){{65003}, .next_hop = "10.9.0.2"});
	rig_settle();
	ck_assert_uint_eq(best_of(P1)->n, 2);
	announce(p[2], P1, (struct spec){{65003}, .next_hop = "10.9.0.3"});
	announce(p[3], P1, (struct spec){{65004}, .next_hop = "10.9.0.4"});
	rig_settle();
	ck_assert_uint_eq(best_of(P1)->n, 3);
	ck_assert_ptr_eq(best_of(P1)->route[2].peer, p[2]);
	/* The fourth takes the place of one that fails, whoever it is. */
	next_hop_is("10.9.0.2", false, 0);
	ck_assert_uint_eq(best_of(P1)->n, 3);
	ck_assert_ptr_eq(best_of(P1)->route[1].peer, p[2]);
	ck_assert_ptr_eq(best_of(P1)->route[2].peer, p[3]);
	next_hop_is("10.9.0.1", false, 0);
	ck_assert_uint_eq(best_of(P1)->n, 2);
	ck_assert_ptr_eq(best_peer(P1), p[2]);
	/* Farther away is no longer equal. */
	next_hop_is("10.9.0.4", true, 11);
	ck_assert_uint_eq(best_of(P1)->n, 1);
	next_hop_is("10.9.0.2", true, 10);
	ck_assert_uint_eq(best_of(P1)->n, 2);
	ck_assert_ptr_eq(best_peer(P1), p[1]);
	rig_end();
}
END_TEST

START_TEST(test_unreachable)
{
	struct rib_peer *a, *b;
	unsigned calls;

	rig_begin_with((struct rib_conf){.max_paths = 2, .deterministic_med = true});
	rig.unreachable = true;
	a = peer_add(1, false);
	b = peer_add(2, false);
	announce(a, P1, (struct spec){{65001}, .local_pref = 200, .next_hop = "10.9.0.1"});
	rig_settle();
	/* Nothing better is there. */
	ck_assert_ptr_eq(best_peer(P1), a);
	announce(b, P1, (struct spec){{65001}, .next_hop = "10.9.0.2"});
	rig_settle();
	ck_assert_ptr_eq(best_peer(P1), a);
	ck_assert_uint_eq(best_of(P1)->n, 1);
	next_hop_is("10.9.0.2", true, 5);
	ck_assert_ptr_eq(best_peer(P1), b);
	ck_assert_uint_eq(best_of(P1)->n, 1);
	next_hop_is("10.9.0.1", true, 50);
	ck_assert_ptr_eq(best_peer(P1), a);
	calls = best_calls(P1);
	/* The same again, and an address nobody uses. */
	next_hop_is("10.9.0.1", true, 50);
	next_hop_is("10.9.0.9", true, 50);
	ck_assert_uint_eq(best_calls(P1), calls);
	rig_end();
}
END_TEST

/* ---- Loops ---- */

static const struct {
	const char *why; /* NULL: accepted */
	bool ebgp;
	unsigned allowed;
	struct spec s;
} loops[] = {
    {NULL, true, 0, {{65001, 65002}}},
    {"AS_PATH contains our own AS", true, 0, {{65001, OUR_AS}}},
    {"AS_PATH contains our own AS", false, 0, {{65001, OUR_AS}}},
    {NULL, true, 1, {{65001, OUR_AS}}},
    {"AS_PATH contains our own AS", true, 1, {{65001, OUR_AS, OUR_AS}}},
    {NULL, true, 2, {{65001, OUR_AS, 65003, OUR_AS}}},
    {"ORIGINATOR_ID is our own router id", false, 0, {{0}, .originator = OUR_ID}},
    {NULL, false, 0, {{0}, .originator = OUR_ID + 1}},
    {"CLUSTER_LIST contains our own cluster id", false, 0, {{0}, .originator = 5, .clusters = {7, 8, 9}}},
    {NULL, false, 0, {{0}, .originator = 5, .clusters = {7, 8}}},
    {"next hop is our own address", false, 0, {{0}, .next_hop = OUR_V4}},
};

START_TEST(test_loop)
{
	struct rib_peer_conf conf = peer_conf(1, loops[_i].ebgp);
	struct rib_peer *p;
	struct rib_route route;

	rig_begin();
	conf.allowed_local_as = loops[_i].allowed;
	conf.cluster_id = 9;
	p = rib_peer_new(rig.rib, &conf, NULL);
	peer_up(p);
	announce(p, P1, loops[_i].s);
	rig_settle();
	route = only_route(P1);
	ck_assert(route.rejected == (loops[_i].why != NULL));
	ck_assert_ptr_eq(best_peer(P1), loops[_i].why ? NULL : p);
	ck_assert_uint_eq(rib_peer_stats(p).accepted[FAM_IPV4], loops[_i].why ? 0 : 1);
	ck_assert_uint_eq(rib_peer_stats(p).received[FAM_IPV4], 1);
	if (loops[_i].why)
		ck_assert_str_eq(route.why, loops[_i].why);
	rig_end();
}
END_TEST

/* Nothing to route to: ignored, and what stands beside it is not. */
START_TEST(test_martian_prefixes)
{
	static const char *const none[] = {"127.0.0.0/8", "224.0.0.0/4", "0.1.0.0/16",
					   "fe80::/10",	  "ff00::/8",	 "::1/128"};
	struct rib_peer *p;

	rig_begin();
	p = peer_add(1, true);
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		announce(p, none[i], (struct spec){{65001}});
	announce(p, P1, (struct spec){{65001}});
	announce(p, "0.0.0.0/0", (struct spec){{65001}});
	rig_settle();
	ck_assert_ptr_eq(best_peer(P1), p);
	ck_assert_ptr_eq(best_peer("0.0.0.0/0"), p);
	ck_assert_uint_eq(rib_stats(rig.rib).prefixes[FAM_IPV4], 2);
	ck_assert_uint_eq(rib_stats(rig.rib).prefixes[FAM_IPV6], 0);
	ck_assert_uint_eq(rib_peer_stats(p).received[FAM_IPV6], 0);
	rig_end();
}
END_TEST

/* The checks follow the settings and our addresses, without a word from the peer. */
START_TEST(test_loop_settings)
{
	struct bgp_nexthop self[FAM_COUNT] = {{.addr = addr_of(OUR_V4)}, {.addr = addr_of(OUR_V6)}};
	struct rib_peer_conf conf = peer_conf(1, true);
	struct rib_peer *p;

	rig_begin();
	p = peer_add(1, true);
	announce(p, P1, (struct spec){{65001, OUR_AS}});
	announce(p, P2, (struct spec){{65001}, .next_hop = "192.168.0.7"});
	rig_settle();
	ck_assert_ptr_null(best_peer(P1));
	ck_assert_ptr_eq(best_peer(P2), p);
	conf.allowed_local_as = 1;
	rib_peer_configure(p, &conf);
	rig_settle();
	ck_assert_ptr_eq(best_peer(P1), p);
	conf.allowed_local_as = 0;
	rib_peer_configure(p, &conf);
	self[FAM_IPV4].addr = addr_of("192.168.0.7");
	rib_peer_self(p, self);
	rig_settle();
	ck_assert_ptr_null(best_peer(P1));
	ck_assert_ptr_null(best_peer(P2));
	self[FAM_IPV4].addr = addr_of(OUR_V4);
	rib_peer_self(p, self);
	rig_settle();
	ck_assert_ptr_eq(best_peer(P2), p);
	rig_end();
}
END_TEST

/* An address becomes ours through another peer's session: routes over it are no longer good, whoever sent them. */
START_TEST(test_own_address_of_another_session)
{
	struct bgp_nexthop self[FAM_COUNT] = {{.addr = addr_of("192.168.0.7")}, {.addr = addr_of(OUR_V6)}};
	struct rib_peer_conf conf = peer_conf(2, false);
	struct bgp_codec codec;
	struct rib_peer *a, *b;

	rig_begin();
	a = peer_add(1, false);
	announce(a, P1, (struct spec){{0}, .next_hop = "192.168.0.7"});
	rig_settle();
	ck_assert_ptr_eq(best_peer(P1), a);
	b = rib_peer_new(rig.rib, &conf, NULL);
	codec = peer_codec(b);
	rib_peer_up(b, &codec, 2, self);
	rig_settle();
	ck_assert_ptr_null(best_peer(P1));
	rib_peer_down(b, 0);
	rig_settle();
	ck_assert_ptr_eq(best_peer(P1), a);
	rig_end();
}
END_TEST

/* ---- Import policy ---- */

static struct policy *policy_one(struct policy_rule rule)
{
	rule.has_prefix = true;
	rule.prefix = prefix_of("10.244.0.0/24");
	rule.op = MATCH_IN;
	if (!rule.why)
		rule.why = "the rule";
	return policy_new("p", &rule, 1, RULE_ACCEPT);
}

static void import_set(struct rib_peer *p, const struct policy_rule *rule)
{
	struct rib_peer_conf conf = *rib_peer_config(p);

	conf.import = rule ? policy_one(*rule) : NULL;
	rib_peer_configure(p, &conf);
	policy_unref(conf.import);
	rig_settle();
}

START_TEST(test_import)
{
	static const struct policy_op to_700 = {OP_SET_LOCAL_PREF, {700}};
	static const struct policy_rule reject = {.action = RULE_REJECT},
					raise = {.action = RULE_ACCEPT, .ops = &to_700, .op_count = 1};
	struct rib_peer *p;
	unsigned calls;

	rig_begin();
	p = peer_add(1, false);
	announce(p, P1, (struct spec){{65001}});
	announce(p, P2, (struct spec){{65001}});
	rig_settle();
	calls = best_calls(P2);
	import_set(p, &reject);
	ck_assert_ptr_null(best_peer(P1));
	ck_assert(only_route(P1).rejected);
	ck_assert_uint_eq(rib_peer_stats(p).accepted[FAM_IPV4], 1);
	import_set(p, &raise);
	ck_assert_ptr_eq(best_peer(P1), p);
	ck_assert_uint_eq(only_route(P1).attrs->local_pref, 700);
	/* What was received is not forgotten, also if it came while the policy was there. */
	announce(p, P1, (struct spec){{65001}, .local_pref = 120});
	rig_settle();
	ck_assert_uint_eq(only_route(P1).attrs->local_pref, 700);
	import_set(p, NULL);
	ck_assert_uint_eq(only_route(P1).attrs->local_pref, 120);
	ck_assert_uint_eq(best_calls(P2), calls);
	ck_assert_uint_eq(rib_stats(rig.rib).attrs, 2);
	import_set(p, &raise);
	withdraw(p, P1);
	withdraw(p, P2);
	rig_settle();
	ck_assert_uint_eq(rib_stats(rig.rib).attrs, 0);
	rig_end();
}
END_TEST

/* People read the words of the rule; without any, what rejected it all the same. */
START_TEST(test_import_reason)
{
	static const struct policy_rule told = {.action = RULE_REJECT, .why = "not ours to take"},
					silent = {.action = RULE_REJECT, .why = ""};
	struct rib_peer *p;

	rig_begin();
	p = peer_add(1, false);
	announce(p, P1, (struct spec){{65001}});
	import_set(p, &told);
	ck_assert_str_eq(only_route(P1).why, "not ours to take");
	import_set(p, &silent);
	ck_assert_str_eq(only_route(P1).why, "import policy");
	import_set(p, NULL);
	ck_assert_ptr_null(only_route(P1).why);
	rig_end();
}
END_TEST

/* ---- RFC 7606 ---- */

static void deliver_bad(struct rib_peer *p, const char *prefix, bool as_withdraw, uint8_t disable)
{
	struct bgp_nlri nlri = {prefix_of(prefix), 0};
	enum family f = family_of_af(nlri.prefix.addr.af);
	struct bgp_codec codec = peer_codec(p);
	struct spec s = {{65001, 65002}};
	struct bgp_attrs a = spec_attrs(p, f, &s);
	uint8_t message[BGP_MAX_MESSAGE];
	struct wr w = wr_make(message, sizeof message);
	struct bgp_update u;
	struct bgp_error err;
	struct bgp_msg m;

	bgp_update_encode_reach(&w, &codec, f, &a, &nlri, 1);
	ck_assert_int_gt(bgp_msg_next(&m, message, wr_len(&w), BGP_MAX_MESSAGE, &err), 0);
	ck_assert_int_eq(bgp_update_decode(&u, m.body, &codec, &rig.arena).action, BGP_OK);
	u.disable = disable;
	rib_update(p, &u, as_withdraw);
	arena_reset(&rig.arena);
	rig_settle();
}

START_TEST(test_treat_as_withdraw)
{
	struct rib_peer *p;

	rig_begin();
	p = peer_add(1, false);
	announce(p, P1, (struct spec){{65001}});
	announce(p, P2, (struct spec){{65001}});
	announce(p, "fd00:10::/122", (struct spec){{65001}});
	rig_settle();
	deliver_bad(p, P1, true, 0);
	ck_assert_ptr_null(best_peer(P1));
	ck_assert_ptr_eq(best_peer(P2), p);
	ck_assert_uint_eq(routes_in(FAM_IPV4), 1);
	/* One that was never announced. */
	deliver_bad(p, "10.244.7.0/26", true, 0);
	ck_assert_uint_eq(rib_stats(rig.rib).prefixes[FAM_IPV4], 1);
	/* A family that is given up goes as a whole, the other one stays. */
	deliver_bad(p, "10.244.7.0/26", false, 1u << FAM_IPV6);
	ck_assert_uint_eq(routes_in(FAM_IPV6), 0);
	ck_assert_ptr_null(best_peer("fd00:10::/122"));
	ck_assert_uint_eq(routes_in(FAM_IPV4), 2);
	rig_end();
}
END_TEST

/* ---- Received path identifiers ---- */

START_TEST(test_add_path)
{
	struct rib_peer_conf conf = peer_conf(1, false);
	struct prefix p = prefix_of(P1);
	struct bgp_codec codec;
	struct rib_peer *peer;

	rig_begin_with((struct rib_conf){.max_paths = 4, .deterministic_med = true});
	peer = rib_peer_new(rig.rib, &conf, NULL);
	codec = peer_codec(peer);
	codec.add_path_rx = BOTH;
	peer_up_with(peer, &codec);
	announce_prefix(peer, &p, &(struct spec){{65001}, .path_id = 7, .next_hop = "10.9.0.1"}, true);
	announce_prefix(peer, &p, &(struct spec){{65001}, .path_id = 0, .next_hop = "10.9.0.2"}, true);
	announce_prefix(peer, &p, &(struct spec){{65001}, .path_id = UINT32_MAX, .next_hop = "10.9.0.3"}, true);
	rig_settle();
	ck_assert_uint_eq(best_of(P1)->n, 3);
	ck_assert_uint_eq(best_of(P1)->route[0].path_id, 0);
	/* The same identifier replaces, another one does not. */
	announce_prefix(peer, &p, &(struct spec){{65001, 65002}, .path_id = 7, .next_hop = "10.9.0.1"}, true);
	rig_settle();
	ck_assert_uint_eq(best_of(P1)->n, 2);
	ck_assert_uint_eq(rib_peer_stats(peer).received[FAM_IPV4], 3);
	withdraw_prefix(peer, &p, 0, true);
	withdraw_prefix(peer, &p, 8, true);
	rig_settle();
	ck_assert_uint_eq(best_of(P1)->n, 1);
	ck_assert_uint_eq(best_of(P1)->route[0].path_id, UINT32_MAX);
	/* Stale paths under identifiers that the next session does not use. */
	rib_peer_down(peer, BOTH);
	peer_up_with(peer, &codec);
	announce_prefix(peer, &p, &(struct spec){{65001}, .path_id = 1, .next_hop = "10.9.0.1"}, true);
	rib_peer_sweep(peer, FAM_IPV4);
	rig_settle();
	ck_assert_uint_eq(routes_in(FAM_IPV4), 1);
	ck_assert_uint_eq(best_of(P1)->route[0].path_id, 1);
	rig_end();
}
END_TEST

/* ---- Routes of our own ---- */

START_TEST(test_local)
{
	struct rib_peer_conf conf = peer_conf(3, false);
	struct prefix p = prefix_of(P1);
	struct inbox *ebgp, *ibgp, *no_v4;
	struct bgp_nexthop self[FAM_COUNT] = {{.addr = {0}}, {.addr = addr_of(OUR_V6)}};
	struct bgp_codec codec;

	rig_begin();
	release_all();
	ebgp = inbox_new(peer_add(1, true));
	ibgp = inbox_new(peer_add(2, false));
	no_v4 = inbox_new(rib_peer_new(rig.rib, &conf, NULL));
	codec = peer_codec(no_v4->peer);
	rib_peer_up(no_v4->peer, &codec, 3, self);
	rib_local_set(rig.rib, &p, SOURCE_BLOCK, 1024);
	inbox_drain(ebgp);
	inbox_drain(ibgp);
	inbox_drain(no_v4);
	ck_assert_ptr_eq(best_peer(P1), rib_local_peer(rig.rib));
	ck_assert_int_eq(best_of(P1)->route[0].source, SOURCE_BLOCK);
	ck_assert_uint_eq(ibgp->known, 1);
	ck_assert_uint_eq(inbox_at(ibgp, P1)->said.local_pref, INT32_MAX - 1024);
	ck_assert_uint_eq(inbox_at(ibgp, P1)->said.path[0], 0);
	conf.remote = addr_of(OUR_V4);
	ck_assert(addr_equal(&inbox_at(ibgp, P1)->said.next_hop, &conf.remote));
	ck_assert_uint_eq(inbox_at(ebgp, P1)->said.path[0], OUR_AS);
	ck_assert(!inbox_at(ebgp, P1)->said.has_local_pref);
	/* No address to announce it with. */
	ck_assert_uint_eq(no_v4->known, 0);
	ck_assert_str_eq(rib_explain_export(no_v4->peer, &p).why,
			 "the session has no address of this family to announce as next hop");
	/* Another priority is another route; the same again is none. */
	rib_local_set(rig.rib, &p, SOURCE_BLOCK, 512);
	inbox_drain(ibgp);
	ck_assert_str_eq(ibgp->log, "+" P1);
	ck_assert_uint_eq(inbox_at(ibgp, P1)->said.local_pref, INT32_MAX - 512);
	rib_local_set(rig.rib, &p, SOURCE_BLOCK, 512);
	inbox_drain(ibgp);
	ck_assert_str_eq(ibgp->log, "");
	rib_local_set(rig.rib, &p, SOURCE_WORKLOAD, 512);
	rig_settle();
	ck_assert_int_eq(best_of(P1)->route[0].source, SOURCE_WORKLOAD);
	rib_local_unset(rig.rib, &p);
	rib_local_unset(rig.rib, &p);
	inbox_drain(ibgp);
	ck_assert_str_eq(ibgp->log, "-" P1);
	inbox_drain(ebgp);
	ck_assert_uint_eq(ebgp->known, 0);
	ck_assert_uint_eq(rib_stats(rig.rib).prefixes[FAM_IPV4], 0);
	inbox_free(ebgp);
	inbox_free(ibgp);
	inbox_free(no_v4);
	rig_end();
}
END_TEST

/* ---- Looking ---- */

static void count_views(void *arg, const struct rib_view *v)
{
	unsigned *n = arg;

	ck_assert(v->best);
	++*n;
}

START_TEST(test_walk)
{
	struct rib_peer *p;
	unsigned n = 0, calls = 0;
	uint64_t pos = 0;
	bool more;

	rig_begin();
	p = peer_add(1, true);
	for (unsigned i = 0; i < 250; i++) {
		struct prefix prefix = host(i);

		announce_prefix(p, &prefix, &(struct spec){{65001}}, false);
	}
	for (unsigned i = 0; i < 50; i++) {
		struct prefix prefix = host(i);

		withdraw_prefix(p, &prefix, 0, false);
	}
	rig_settle();
	do {
		unsigned before = n;

		more = rib_walk(rig.rib, FAM_IPV4, &pos, 30, count_views, &n);
		ck_assert_uint_le(n - before, 30);
		calls++;
	} while (more);
	ck_assert_uint_eq(n, 200);
	ck_assert_uint_ge(calls, 7);
	pos = 0;
	n = 0;
	ck_assert(!rib_walk(rig.rib, FAM_IPV6, &pos, 30, count_views, &n));
	ck_assert_uint_eq(n, 0);
	rig_end();
}
END_TEST

static void check_lookup(const char *addr, const char *expected)
{
	struct addr a = addr_of(addr);
	char text[PREFIX_STRLEN];
	struct prefix p;

	ck_assert(rib_lookup(rig.rib, &a, &p) == (expected != NULL));
	if (expected)
		ck_assert_str_eq(prefix_format(&p, text), expected);
}

START_TEST(test_lookup)
{
	struct rib_peer *p;
	struct prefix out;

	rig_begin();
	p = peer_add(1, true);
	announce(p, "10.244.0.0/16", (struct spec){{65001}});
	announce(p, P1, (struct spec){{65001}});
	announce(p, "10.244.0.5/32", (struct spec){{65001, OUR_AS}}); /* rejected: does not forward */
	announce(p, "10.245.0.0/16", (struct spec){{65001, OUR_AS}});
	announce(p, "fd00::/8", (struct spec){{65001}});
	rig_settle();
	check_lookup("10.244.0.5", P1);
	check_lookup("10.244.0.64", "10.244.0.0/16");
	check_lookup("10.245.0.1", "10.245.0.0/16"); /* better than no answer */
	check_lookup("10.246.0.1", NULL);
	check_lookup("fd01::1", "fd00::/8");
	check_lookup("fe00::1", NULL);
	ck_assert(!rib_lookup(rig.rib, &(struct addr){0}, &out));
	rig_end();
}
END_TEST

static void check_explained(const struct rib_peer *p, const char *prefix, bool sent, const char *why)
{
	struct prefix pf = prefix_of(prefix);
	struct rib_export_view v = rib_explain_export(p, &pf);

	ck_assert_str_eq(v.why, why);
	ck_assert(v.sent == sent);
}

START_TEST(test_explain)
{
	struct rib_peer_conf conf = peer_conf(2, false);
	struct rib_peer *a, *b, *e, *down;

	rig_begin();
	a = peer_add(1, false);
	conf.export = policy_one((struct policy_rule){.action = RULE_REJECT});
	b = rib_peer_new(rig.rib, &conf, NULL);
	policy_unref(conf.export);
	conf = peer_conf(9, true);
	down = rib_peer_new(rig.rib, &conf, NULL);
	check_explained(b, P1, false, "the session is not established");
	peer_up(b);
	e = peer_add(3, true);
	check_explained(b, P1, false,
			"nothing is announced yet: waiting for local routes and for the peers' End-of-RIB");
	release_all();
	check_explained(b, P1, false, "no usable route for this prefix");
	announce(a, P2, (struct spec){{65001}});
	announce(e, P1, (struct spec){{65003}});
	announce(e, "10.244.9.0/26", (struct spec){{65003}, .next_hop = "10.0.0.1"});
	announce(e, "10.244.3.0/26", (struct spec){{65003}, .communities = {BGP_COMMUNITY_NO_ADVERTISE}});
	announce(a, "10.244.4.0/26", (struct spec){{65001}, .communities = {BGP_COMMUNITY_NO_EXPORT}});
	announce(a, "10.244.5.0/26", (struct spec){{65001, OUR_AS}});
	rig_settle();
	check_explained(down, P1, false, "the session is not established");
	check_explained(a, P2, false, "split horizon: the best route came from this peer");
	check_explained(b, P2, false,
			"iBGP to iBGP without reflection: neither the peer nor the route's source is a client");
	check_explained(e, P2, true, "best route");
	check_explained(b, P1, false, "the rule");
	check_explained(a, P1, true, "best route");
	check_explained(a, "10.244.9.0/26", false, "the next hop is the peer's own address");
	check_explained(a, "10.244.3.0/26", false, "community NO_ADVERTISE");
	check_explained(e, "10.244.4.0/26", false, "community NO_EXPORT, and the peer is in another AS");
	check_explained(e, "10.244.5.0/26", false, "no usable route for this prefix");
	rig_end();
}
END_TEST

START_TEST(test_stats)
{
	struct rib_peer_stats s;
	struct rib_peer *a;
	struct inbox *in;

	rig_begin();
	release_all();
	a = peer_add(1, true);
	in = inbox_new(peer_add(2, false));
	announce(a, P1, (struct spec){{65001}});
	announce(a, P2, (struct spec){{65001}});
	announce(in->peer, P2, (struct spec){{0}, .local_pref = 200});
	rig_settle();
	ck_assert(!rib_peer_stats(in->peer).up_to_date);
	inbox_drain(in);
	s = rib_peer_stats(a);
	ck_assert_uint_eq(s.received[FAM_IPV4], 2);
	ck_assert_uint_eq(s.best[FAM_IPV4], 1);
	ck_assert_uint_eq(s.updates_in, 2);
	withdraw(a, P1);
	inbox_drain(in);
	ck_assert_uint_eq(rib_peer_stats(a).withdraws_in, 1);
	ck_assert_uint_eq(rib_peer_stats(a).best[FAM_IPV4], 0);
	s = rib_peer_stats(in->peer);
	ck_assert_uint_eq(s.best[FAM_IPV4], 1);
	ck_assert_uint_eq(s.updates_out, 1);
	ck_assert_uint_eq(s.withdraws_out, 1);
	ck_assert_uint_eq(s.sent[FAM_IPV4], 0);
	ck_assert(s.up_to_date && s.end_of_rib_sent[FAM_IPV4] && s.end_of_rib_sent[FAM_IPV6]);
	inbox_free(in);
	rig_end();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("rib");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_selection, 0, FAM_COUNT);
	tcase_add_test(tc, test_worse);
	tcase_add_test(tc, test_ecmp);
	tcase_add_test(tc, test_unreachable);
	tcase_add_loop_test(tc, test_loop, 0, sizeof loops / sizeof *loops);
	tcase_add_test(tc, test_martian_prefixes);
	tcase_add_test(tc, test_loop_settings);
	tcase_add_test(tc, test_own_address_of_another_session);
	tcase_add_test(tc, test_import);
	tcase_add_test(tc, test_import_reason);
	tcase_add_test(tc, test_treat_as_withdraw);
	tcase_add_test(tc, test_add_path);
	tcase_add_test(tc, test_local);
	tcase_add_test(tc, test_walk);
	tcase_add_test(tc, test_lookup);
	tcase_add_test(tc, test_explain);
	tcase_add_test(tc, test_stats);
	return run_suite(tc, "rib");
}
