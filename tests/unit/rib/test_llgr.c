/* Long-lived stale routes (RFC 9494): marked, used last, told only to those who know; and gone when they should be. */
#include "tests/unit/rib/inbox.h"

#define P1 "10.244.0.0/26"
#define P2 "10.244.1.0/26"
#define P3 "fd00:10::/122"
#define TAG (65001u << 16 | 7)

static bool is_marked(const char *prefix)
{
	return only_route(prefix).attrs->flags & ATTRS_LLGR_STALE;
}

static void begin_long(struct rib_peer *p, enum family f)
{
	rib_peer_long_lived(p, f);
	rig_settle();
}

static struct inbox *listener(unsigned i, bool ebgp, bool llgr)
{
	struct rib_peer_conf conf = peer_conf(i, ebgp);
	struct rib_peer *p = rib_peer_new(rig.rib, &conf, NULL);
	struct bgp_codec codec = peer_codec(p);

	codec.llgr = llgr;
	peer_up_with(p, &codec);
	return inbox_new(p);
}

/* From fresh to stale to long-lived stale and back, family by family. */
START_TEST(test_life)
{
	struct rib_peer *p;
	struct rib_peer_stats s;

	rig_begin();
	p = peer_add(1, false);
	announce(p, P1, (struct spec){{65001}});
	announce(p, P2, (struct spec){{65001}});
	announce(p, P3, (struct spec){{65001}});
	rig_settle();
	rib_peer_down(p, BOTH);
	rig_settle();
	ck_assert(only_route(P1).stale && !only_route(P1).long_lived && !is_marked(P1));
	begin_long(p, FAM_IPV4);
	ck_assert(only_route(P1).stale && only_route(P1).long_lived && is_marked(P1));
	ck_assert(only_route(P3).stale && !only_route(P3).long_lived && !is_marked(P3));
	ck_assert_ptr_eq(best_peer(P1), p);
	s = rib_peer_stats(p);
	ck_assert_uint_eq(s.received[FAM_IPV4], 2);
	ck_assert_uint_eq(s.accepted[FAM_IPV4], 2);
	ck_assert_uint_eq(s.stale[FAM_IPV4], 2);
	ck_assert_uint_eq(s.long_lived[FAM_IPV4], 2);
	ck_assert_uint_eq(s.stale[FAM_IPV6], 1);
	ck_assert_uint_eq(s.long_lived[FAM_IPV6], 0);
	/* It is back, and repeats one of them. */
	peer_up(p);
	announce(p, P1, (struct spec){{65001}});
	rig_settle();
	ck_assert(!only_route(P1).stale && !is_marked(P1));
	ck_assert(only_route(P2).long_lived && is_marked(P2));
	rib_peer_sweep(p, FAM_IPV4);
	rig_settle();
	ck_assert_uint_eq(views_of(P1).n, 1);
	ck_assert_uint_eq(views_of(P2).n, 0);
	ck_assert_uint_eq(views_of(P3).n, 1);
	s = rib_peer_stats(p);
	ck_assert_uint_eq(s.received[FAM_IPV4], 1);
	ck_assert_uint_eq(s.stale[FAM_IPV4] + s.long_lived[FAM_IPV4], 0);
	rib_peer_down(p, 0);
	rig_settle();
	ck_assert_uint_eq(rib_stats(rig.rib).attrs, 0);
	rig_end();
}
END_TEST

/* A second restart before everything was repeated: what is long-lived stale stays so, the rest is stale. */
START_TEST(test_consecutive)
{
	struct rib_peer *p;

	rig_begin();
	p = peer_add(1, false);
	announce(p, P1, (struct spec){{65001}});
	announce(p, P2, (struct spec){{65001}});
	rib_peer_down(p, BOTH);
	begin_long(p, FAM_IPV4);
	peer_up(p);
	announce(p, P1, (struct spec){{65001}});
	rib_peer_down(p, BOTH);
	rig_settle();
	ck_assert(only_route(P1).stale && !only_route(P1).long_lived && !is_marked(P1));
	ck_assert(only_route(P2).long_lived && is_marked(P2));
	begin_long(p, FAM_IPV4);
	ck_assert(only_route(P1).long_lived && is_marked(P1) && is_marked(P2));
	/* Without anything stale there is nothing to do. */
	begin_long(p, FAM_IPV6);
	rib_peer_sweep(p, FAM_IPV4);
	rig_settle();
	ck_assert_uint_eq(routes_in(FAM_IPV4), 0);
	rig_end();
}
END_TEST

/* Ages are numbers that wrap around: hundreds of restarts with all three kinds of routes there. */
START_TEST(test_many_restarts)
{
	struct rib_peer *p;

	rig_begin();
	p = peer_add(1, false);
	announce(p, P1, (struct spec){{65001}});
	rib_peer_down(p, BOTH);
	begin_long(p, FAM_IPV4);
	for (unsigned i = 0; i < 600; i++) {
		peer_up(p);
		announce(p, P2, (struct spec){{65001}});
		ck_assert(only_route(P1).long_lived && !only_route(P2).stale);
		rib_peer_down(p, BOTH);
		ck_assert(only_route(P1).long_lived && only_route(P2).stale && !only_route(P2).long_lived);
	}
	ck_assert_uint_eq(rib_peer_stats(p).long_lived[FAM_IPV4], 1);
	ck_assert_uint_eq(rib_peer_stats(p).stale[FAM_IPV4], 2);
	rib_peer_sweep(p, FAM_IPV4);
	rig_settle();
	ck_assert_uint_eq(routes_in(FAM_IPV4), 0);
	rig_end();
}
END_TEST

/* Used only if there is nothing else. */
START_TEST(test_used_last)
{
	struct rib_peer *p, *other;

	rig_begin();
	p = peer_add(1, false);
	other = peer_add(2, false);
	announce(p, P1, (struct spec){{65001}, .local_pref = 900});
	announce(other, P1, (struct spec){{65001, 65002}, .local_pref = 1});
	rib_peer_down(p, BOTH);
	rig_settle();
	ck_assert_ptr_eq(best_peer(P1), p);
	begin_long(p, FAM_IPV4);
	ck_assert_ptr_eq(best_peer(P1), other);
	withdraw(other, P1);
	rig_settle();
	ck_assert_ptr_eq(best_peer(P1), p);
	/* Somebody else's word counts as ours. */
	announce(other, P1, (struct spec){{65001, 65002}, .local_pref = 1, .communities = {BGP_COMMUNITY_LLGR_STALE}});
	rig_settle();
	ck_assert_ptr_eq(best_peer(P1), p);
	rig_end();
}
END_TEST

/* NO_LLGR, from the peer or from our own import policy: not kept. */
START_TEST(test_no_llgr)
{
	static const struct policy_op forbid = {OP_ADD_COMMUNITY, {BGP_COMMUNITY_NO_LLGR}};
	struct policy_rule rule = {.has_prefix = true,
				   .prefix = prefix_of(P2),
				   .op = MATCH_EQUAL,
				   .action = RULE_ACCEPT,
				   .ops = &forbid,
				   .op_count = 1};
	struct rib_peer_conf conf = peer_conf(1, false);
	struct rib_peer *p;

	rig_begin();
	conf.import = policy_new("import", &rule, 1, RULE_ACCEPT);
	p = rib_peer_new(rig.rib, &conf, NULL);
	peer_up(p);
	announce(p, P1, (struct spec){{65001}, .communities = {TAG, BGP_COMMUNITY_NO_LLGR}});
	announce(p, P2, (struct spec){{65001}});
	announce(p, "10.244.2.0/26", (struct spec){{65001}});
	rib_peer_down(p, BOTH);
	rig_settle();
	ck_assert_uint_eq(routes_in(FAM_IPV4), 3);
	begin_long(p, FAM_IPV4);
	ck_assert_uint_eq(routes_in(FAM_IPV4), 1);
	ck_assert(is_marked("10.244.2.0/26"));
	ck_assert_uint_eq(rib_peer_stats(p).received[FAM_IPV4], 1);
	/* A policy that comes meanwhile decides too, and the mark stays. */
	policy_unref(conf.import);
	rule.prefix = prefix_of("10.0.0.0/8");
	conf.import = policy_new("import", &rule, 1, RULE_ACCEPT);
	rib_peer_configure(p, &conf);
	rig_settle();
	ck_assert(is_marked("10.244.2.0/26"));
	rule.prefix = prefix_of("10.244.2.0/26");
	policy_unref(conf.import);
	conf.import = policy_new("import", &rule, 1, RULE_ACCEPT);
	rib_peer_configure(p, &conf);
	rig_settle();
	ck_assert_uint_eq(routes_in(FAM_IPV4), 0);
	policy_unref(conf.import);
	rig_end();
}
END_TEST

/* Told again with the community; to those who did not offer the capability it is gone. */
START_TEST(test_announced)
{
	struct inbox *knows[2], *does_not[2];
	struct rib_peer *p;

	rig_begin();
	release_all();
	p = peer_add(1, true);
	for (unsigned i = 0; i < 2; i++) {
		knows[i] = listener(2 + i, i, true);
		does_not[i] = listener(4 + i, i, false);
	}
	announce(p, P1, (struct spec){{65001}, .communities = {TAG}});
	rib_peer_down(p, BOTH);
	for (unsigned i = 0; i < 2; i++) {
		inbox_drain(knows[i]);
		inbox_drain(does_not[i]);
		ck_assert(inbox_at(knows[i], P1)->there && inbox_at(does_not[i], P1)->there);
		ck_assert_uint_eq(inbox_at(knows[i], P1)->said.communities[1], 0);
	}
	begin_long(p, FAM_IPV4);
	for (unsigned i = 0; i < 2; i++) {
		inbox_drain(knows[i]);
		inbox_drain(does_not[i]);
		ck_assert(inbox_at(knows[i], P1)->there && !inbox_at(does_not[i], P1)->there);
		ck_assert_uint_eq(inbox_at(knows[i], P1)->said.communities[1], BGP_COMMUNITY_LLGR_STALE);
	}
	peer_up(p);
	announce(p, P1, (struct spec){{65001}, .communities = {TAG}});
	for (unsigned i = 0; i < 2; i++) {
		inbox_drain(knows[i]);
		inbox_drain(does_not[i]);
		ck_assert(inbox_at(knows[i], P1)->there && inbox_at(does_not[i], P1)->there);
		ck_assert_uint_eq(inbox_at(knows[i], P1)->said.communities[1], 0);
		inbox_free(knows[i]);
		inbox_free(does_not[i]);
	}
	rig_end();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("llgr");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_life);
	tcase_add_test(tc, test_consecutive);
	tcase_add_test(tc, test_many_restarts);
	tcase_add_test(tc, test_used_last);
	tcase_add_test(tc, test_no_llgr);
	tcase_add_test(tc, test_announced);
	return run_suite(tc, "llgr");
}
