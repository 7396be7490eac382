/* The decision process: every step separates a pair of routes that are equal up to it, in both orders of arrival; MED;
 * multipath; reasons. */
#include "tests/unit/rib/rig.h"

#define PREFIX "10.244.0.0/26"

/* A pair of routes whose first difference is the step. The better one is a; later steps, where they can, prefer b. */
static const struct pair {
	enum rib_step step;
	const char *what;
	bool ebgp_a, ebgp_b;
	struct spec a, b;
	uint32_t metric_a, metric_b; /* of the next hops; 0: unreachable */
} pairs[] = {
    {STEP_UNREACHABLE,
     "reachable beats LOCAL_PREF",
     false,
     false,
     {{65001}, .local_pref = 1},
     {{0}, .local_pref = 900},
     5,
     0},
    {STEP_UNREACHABLE,
     "reachable beats not being stale",
     true,
     false,
     {{65001}, .communities = {BGP_COMMUNITY_LLGR_STALE}},
     {{0}, .local_pref = 900},
     5,
     0},
    {STEP_LLGR_STALE,
     "not being long-lived stale beats LOCAL_PREF",
     false,
     true,
     {{65001, 65002}, .local_pref = 1},
     {{65001}, .communities = {65001u << 16 | 1, BGP_COMMUNITY_LLGR_STALE}},
     5,
     5},
    {STEP_LOCAL_PREF,
     "LOCAL_PREF beats path length",
     false,
     false,
     {{65001, 65002}, .local_pref = 101},
     {{65001}},
     5,
     5},
    {STEP_LOCAL_PREF, "eBGP counts 100", true, false, {{65001, 65002}}, {{65003}, .local_pref = 99}, 5, 5},
    {STEP_AS_PATH, "path length beats origin", false, false, {{65001}, .origin = 2}, {{65001, 65002}}, 5, 5},
    {STEP_ORIGIN, "origin beats MED", false, false, {{65001}, .has_med = true, .med = 9}, {{65001}, .origin = 1}, 5, 5},
    {STEP_MED,
     "MED beats eBGP",
     false,
     true,
     {{65002}, .has_med = true, .med = 1},
     {{65002}, .has_med = true, .med = 2},
     5,
     5},
    {STEP_MED, "no MED is 0", false, false, {{65002}}, {{65002}, .has_med = true, .med = 1}, 5, 5},
    {STEP_EBGP, "eBGP beats the IGP metric", true, false, {{65001}}, {{65001}}, 9, 5},
    {STEP_IGP_METRIC,
     "metric beats router id",
     false,
     false,
     {{65001}, .originator = 9},
     {{65001}, .originator = 1},
     4,
     5},
    {STEP_ROUTER_ID,
     "ORIGINATOR_ID beats cluster list",
     false,
     false,
     {{65001}, .originator = 1, .clusters = {1, 2}},
     {{65001}, .originator = 9},
     5,
     5},
    {STEP_CLUSTER_LIST,
     "shorter CLUSTER_LIST",
     false,
     false,
     {{65001}, .originator = 7, .clusters = {3}},
     {{65001}, .originator = 7, .clusters = {1, 2}},
     5,
     5},
};
#define PAIRS (sizeof pairs / sizeof *pairs)

static void next_hop_metric(const char *nh, uint32_t metric)
{
	struct addr a = addr_of(nh);

	rib_nexthop_update(rig.rib, &a, metric != 0, metric);
}

static void check_separated(const struct rib_peer *better, const struct rib_peer *worse, enum rib_step step,
			    const char *what)
{
	struct views all = views_of(PREFIX);

	ck_assert_msg(best_peer(PREFIX) == better, "%s: the wrong route is best", what);
	ck_assert_uint_eq(all.n, 2);
	ck_assert_ptr_eq(all.v[0].route.peer, better);
	ck_assert_int_eq(all.v[0].step, STEP_BEST);
	ck_assert(all.v[0].best && !all.v[1].best);
	ck_assert_msg(view_of(&all, worse)->step == step, "%s: reason %s", what,
		      rib_step_name(view_of(&all, worse)->step));
}

START_TEST(test_step)
{
	const struct pair *pair = &pairs[_i / 2];
	bool a_first = _i % 2 == 0;
	struct spec a = pair->a, b = pair->b;
	struct rib_peer *pa, *pb;

	rig_begin();
	rig.unreachable = true;
	/* The better one has the higher address and router id, so that every later step is against it. */
	pb = peer_add(1, pair->ebgp_b);
	pa = peer_add(2, pair->ebgp_a);
	a.next_hop = "10.9.0.1";
	b.next_hop = "10.9.0.2";
	if (a_first)
		announce(pa, PREFIX, a);
	announce(pb, PREFIX, b);
	if (!a_first)
		announce(pa, PREFIX, a);
	next_hop_metric(a.next_hop, pair->metric_a);
	next_hop_metric(b.next_hop, pair->metric_b);
	rig_settle();
	check_separated(pa, pb, pair->step, pair->what);
	rig_end();
}
END_TEST

/* Steps that the attributes alone cannot make. */
START_TEST(test_router_id_of_peers)
{
	struct rib_peer *pa, *pb;
	struct bgp_nexthop self[FAM_COUNT] = {{.addr = addr_of(OUR_V4)}};
	struct rib_peer_conf ca = peer_conf(2, false), cb = peer_conf(1, false);
	struct bgp_codec codec;

	rig_begin();
	pa = rib_peer_new(rig.rib, &ca, NULL);
	pb = rib_peer_new(rig.rib, &cb, NULL);
	codec = peer_codec(pa);
	rib_peer_up(pa, &codec, 5, self);
	rib_peer_up(pb, &codec, 6, self);
	announce(_i ? pa : pb, PREFIX, (struct spec){.path = {65001}});
	announce(_i ? pb : pa, PREFIX, (struct spec){.path = {65001}});
	rig_settle();
	check_separated(pa, pb, STEP_ROUTER_ID, "router id");
	rig_end();
}
END_TEST

START_TEST(test_peer_address)
{
	struct spec s = {.path = {65001}, .originator = 77};
	struct rib_peer *pa, *pb;

	rig_begin();
	pa = peer_add(1, false);
	pb = peer_add(2, false);
	announce(_i ? pa : pb, PREFIX, s);
	announce(_i ? pb : pa, PREFIX, s);
	rig_settle();
	check_separated(pa, pb, STEP_PEER_ADDRESS, "peer address");
	rig_end();
}
END_TEST

START_TEST(test_path_id)
{
	struct rib_peer_conf conf = peer_conf(1, false);
	struct prefix p = prefix_of(PREFIX);
	struct bgp_codec codec;
	struct rib_peer *peer;
	struct views all;

	rig_begin();
	peer = rib_peer_new(rig.rib, &conf, NULL);
	codec = peer_codec(peer);
	codec.add_path_rx = BOTH;
	peer_up_with(peer, &codec);
	announce_prefix(peer, &p, &(struct spec){.path = {65001}, .path_id = _i ? 3 : 4}, true);
	announce_prefix(peer, &p, &(struct spec){.path = {65001}, .path_id = _i ? 4 : 3}, true);
	rig_settle();
	all = views_of(PREFIX);
	ck_assert_uint_eq(all.n, 2);
	ck_assert_uint_eq(all.v[0].route.path_id, 3);
	ck_assert_int_eq(all.v[1].step, STEP_PATH_ID);
	ck_assert_uint_eq(rib_peer_stats(peer).received[FAM_IPV4], 2);
	/* A withdrawal takes only the path it names. */
	withdraw_prefix(peer, &p, 3, true);
	rig_settle();
	all = views_of(PREFIX);
	ck_assert_uint_eq(all.n, 1);
	ck_assert_uint_eq(all.v[0].route.path_id, 4);
	rig_end();
}
END_TEST

/* Local routes: a tie in LOCAL_PREF is theirs, an elevated route from elsewhere beats them (a live migration). */
START_TEST(test_local_origin)
{
	struct prefix p = prefix_of(PREFIX);
	struct rib_peer *peer;
	struct views all;

	rig_begin();
	peer = peer_add(1, false);
	announce(peer, PREFIX, (struct spec){.local_pref = 2147483647 - 1024});
	rib_local_set(rig.rib, &p, SOURCE_BLOCK, 1024);
	rig_settle();
	check_separated(rib_local_peer(rig.rib), peer, STEP_LOCAL_ORIGIN, "a tie");
	announce(peer, PREFIX, (struct spec){.local_pref = 2147483647 - 512});
	rig_settle();
	check_separated(peer, rib_local_peer(rig.rib), STEP_LOCAL_PREF, "elevated");
	rib_local_set(rig.rib, &p, SOURCE_WORKLOAD, 512);
	rig_settle();
	check_separated(rib_local_peer(rig.rib), peer, STEP_LOCAL_ORIGIN, "both elevated");
	all = views_of(PREFIX);
	ck_assert_int_eq(all.v[0].route.source, SOURCE_WORKLOAD);
	rig_end();
}
END_TEST

START_TEST(test_stale)
{
	struct rib_peer *a, *b;

	rig_begin();
	a = peer_add(1, false);
	b = peer_add(2, false);
	announce(a, PREFIX, (struct spec){.path = {65001}});
	announce(b, PREFIX, (struct spec){.path = {65001}});
	rig_settle();
	check_separated(a, b, STEP_ROUTER_ID, "both fresh");
	/* An equal fresh route takes over at once; a better stale one stays. */
	rib_peer_down(a, BOTH);
	rig_settle();
	check_separated(b, a, STEP_STALE, "one stale");
	announce(b, PREFIX, (struct spec){.path = {65001}, .local_pref = 99});
	rig_settle();
	check_separated(a, b, STEP_LOCAL_PREF, "a better stale one");
	rig_end();
}
END_TEST

START_TEST(test_rejected_never_wins)
{
	struct rib_peer *a, *b;

	rig_begin();
	a = peer_add(1, true);
	b = peer_add(2, false);
	announce(a, PREFIX, (struct spec){.path = {65001, OUR_AS}});
	rig_settle();
	ck_assert_ptr_null(best_peer(PREFIX));
	ck_assert_uint_eq(rig.best_calls, 0);
	announce(b, PREFIX, (struct spec){.path = {65001, 65002, 65003}, .local_pref = 1});
	rig_settle();
	check_separated(b, a, STEP_REJECTED, "rejected");
	rig_end();
}
END_TEST

/* ---- MED ---- */

static struct rib_peer *med_peers[3];

/* RFC 4271 9.1.2.2's trouble: a and c are of one AS, b of another. Pairwise, a beats b (router id), b beats c (router
 * id), c beats a (MED). */
static void med_triangle(struct rib_conf conf, const unsigned order[3])
{
	static const struct spec specs[3] = {
	    {.path = {65001, 1}, .has_med = true, .med = 20},
	    {.path = {65002, 1}, .has_med = true, .med = 50},
	    {.path = {65001, 2}, .has_med = true, .med = 10},
	};

	rig_begin_with(conf);
	for (unsigned i = 0; i < 3; i++)
		med_peers[i] = peer_add(i + 1, true);
	for (unsigned i = 0; i < 3; i++) {
		announce(med_peers[order[i]], PREFIX, specs[order[i]]);
		rig_settle();
	}
}

static const unsigned orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

START_TEST(test_med_deterministic)
{
	struct views all;

	med_triangle((struct rib_conf){.max_paths = 1, .deterministic_med = true}, orders[_i]);
	/* c drops a; then b has the lower router id. */
	ck_assert_ptr_eq(best_peer(PREFIX), med_peers[1]);
	all = views_of(PREFIX);
	ck_assert_int_eq(view_of(&all, med_peers[0])->step, STEP_MED);
	ck_assert_int_eq(view_of(&all, med_peers[2])->step, STEP_ROUTER_ID);
	rig_end();
}
END_TEST

START_TEST(test_med_always)
{
	struct views all;

	med_triangle((struct rib_conf){.max_paths = 1, .deterministic_med = true, .always_compare_med = true},
		     orders[_i]);
	ck_assert_ptr_eq(best_peer(PREFIX), med_peers[2]);
	all = views_of(PREFIX);
	ck_assert_int_eq(view_of(&all, med_peers[0])->step, STEP_MED);
	ck_assert_int_eq(view_of(&all, med_peers[1])->step, STEP_MED);
	rig_end();
}
END_TEST

/* Without determinism the winner depends on the order, but there is exactly one and everybody else has a reason. */
START_TEST(test_med_by_order)
{
	struct views all;
	unsigned best = 0;

	med_triangle((struct rib_conf){.max_paths = 1}, orders[_i]);
	all = views_of(PREFIX);
	ck_assert_uint_eq(all.n, 3);
	for (unsigned i = 0; i < 3; i++) {
		best += all.v[i].best;
		ck_assert(all.v[i].best == (all.v[i].step == STEP_BEST));
	}
	ck_assert_uint_eq(best, 1);
	ck_assert_ptr_eq(all.v[0].route.peer, best_peer(PREFIX));
	rig_end();
}
END_TEST

/* An empty path's neighbouring AS is our own: such routes compare their MEDs. */
START_TEST(test_med_of_empty_paths)
{
	struct rib_peer *a, *b;

	rig_begin();
	b = peer_add(1, false);
	a = peer_add(2, false);
	announce(b, PREFIX, (struct spec){.has_med = true, .med = 2});
	announce(a, PREFIX, (struct spec){.has_med = true, .med = 1});
	rig_settle();
	check_separated(a, b, STEP_MED, "empty paths");
	rig_end();
}
END_TEST

/* ---- Multipath ---- */

static const struct rig_best *selection(void)
{
	struct prefix p = prefix_of(PREFIX);
	const struct rig_best *b = rig_best_of(&p);

	ck_assert_ptr_nonnull(b);
	return b;
}

START_TEST(test_multipath)
{
	struct rib_peer *p[5];
	struct views all;

	rig_begin_with((struct rib_conf){.max_paths = 3, .deterministic_med = true});
	for (unsigned i = 0; i < 5; i++)
		p[i] = peer_add(i + 1, false);
	/* p[0] and p[1] share a next hop, p[4] is worse; so the set is p[0], p[2], p[3]. */
	announce(p[3], PREFIX, (struct spec){.path = {65001}});
	announce(p[4], PREFIX, (struct spec){.path = {65001, 65002}});
	announce(p[1], PREFIX, (struct spec){.path = {65001}, .next_hop = "10.0.0.1"});
	announce(p[2], PREFIX, (struct spec){.path = {65001}});
	announce(p[0], PREFIX, (struct spec){.path = {65001}});
	rig_settle();
	ck_assert_uint_eq(selection()->n, 3);
	ck_assert_ptr_eq(selection()->route[0].peer, p[0]);
	ck_assert_ptr_eq(selection()->route[1].peer, p[2]);
	ck_assert_ptr_eq(selection()->route[2].peer, p[3]);
	all = views_of(PREFIX);
	ck_assert(view_of(&all, p[2])->multipath && view_of(&all, p[2])->step == STEP_ECMP);
	ck_assert(!view_of(&all, p[1])->multipath && view_of(&all, p[1])->step == STEP_ROUTER_ID);
	ck_assert_int_eq(view_of(&all, p[4])->step, STEP_AS_PATH);
	/* Losing a companion is a change of the selection, losing a bystander is not. */
	rig.best_calls = 0;
	withdraw(p[4], PREFIX);
	withdraw(p[1], PREFIX);
	rig_settle();
	ck_assert_uint_eq(rig.best_calls, 0);
	withdraw(p[3], PREFIX);
	rig_settle();
	ck_assert_uint_eq(rig.best_calls, 1);
	ck_assert_uint_eq(selection()->n, 2);
	rig_end();
}
END_TEST

START_TEST(test_multipath_width)
{
	struct rib_peer *p[4];

	rig_begin_with((struct rib_conf){.max_paths = 2, .deterministic_med = true});
	for (unsigned i = 0; i < 4; i++) {
		p[i] = peer_add(i + 1, i < 3);
		announce(p[i], PREFIX, (struct spec){.path = {65001}});
	}
	rig_settle();
	/* The iBGP one is not equal: eBGP over iBGP comes before. */
	ck_assert_uint_eq(selection()->n, 2);
	ck_assert_ptr_eq(selection()->route[0].peer, p[0]);
	ck_assert_ptr_eq(selection()->route[1].peer, p[1]);
	rib_peer_down(p[0], 0);
	rig_settle();
	ck_assert_ptr_eq(selection()->route[0].peer, p[1]);
	ck_assert_ptr_eq(selection()->route[1].peer, p[2]);
	rig_end();
}
END_TEST

START_TEST(test_step_names)
{
	for (int a = 0; a < STEP_COUNT; a++) {
		ck_assert_ptr_nonnull(rib_step_name((enum rib_step)a));
		for (int b = 0; b < a; b++)
			ck_assert_str_ne(rib_step_name((enum rib_step)a), rib_step_name((enum rib_step)b));
	}
	ck_assert_str_eq(rib_step_name(STEP_COUNT), "unknown");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("decide");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_step, 0, 2 * PAIRS);
	tcase_add_loop_test(tc, test_router_id_of_peers, 0, 2);
	tcase_add_loop_test(tc, test_peer_address, 0, 2);
	tcase_add_loop_test(tc, test_path_id, 0, 2);
	tcase_add_test(tc, test_local_origin);
	tcase_add_test(tc, test_stale);
	tcase_add_test(tc, test_rejected_never_wins);
	tcase_add_loop_test(tc, test_med_deterministic, 0, 6);
	tcase_add_loop_test(tc, test_med_always, 0, 6);
	tcase_add_loop_test(tc, test_med_by_order, 0, 6);
	tcase_add_test(tc, test_med_of_empty_paths);
	tcase_add_test(tc, test_multipath);
	tcase_add_test(tc, test_multipath_width);
	tcase_add_test(tc, test_step_names);
	return run_suite(tc, "decide");
}
