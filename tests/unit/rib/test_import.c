/* What the RFCs change on the way in: blackholes (RFC 7999), leaving peers (RFC 8326), and loops of both our ASes. */
#include "tests/unit/rib/inbox.h"

#define P1 "10.244.0.0/26"
#define NODE_AS 64999u
#define TAG (65001u << 16 | 7)

static void configure(struct rib_peer *p, const struct rib_peer_conf *conf)
{
	rib_peer_configure(p, conf);
	rig_settle();
}

/* The route's communities as text. */
static bool communities_are(const char *prefix, const char *expected)
{
	struct rib_route route = only_route(prefix);
	struct strbuf text = {0};
	struct bgp_attrs a;
	bool equal;

	attrs_get(route.attrs, &a);
	strbuf_puts(&text, "");
	bgp_attr_table[BA_COMMUNITIES].format(&text, &a);
	equal = strcmp(text.s, expected) == 0;
	if (!equal)
		printf("%s: %s\n", prefix, text.s);
	strbuf_free(&text);
	return equal;
}

/* ---- Blackholes ---- */

/* What another AS wants thrown away stays inside our AS, and says so there. */
START_TEST(test_blackhole)
{
	struct rib_peer *external, *internal;
	struct inbox *to_external, *to_internal;

	rig_begin();
	release_all();
	external = peer_add(1, true);
	to_external = inbox_new(peer_add(2, true));
	to_internal = inbox_new(peer_add(3, false));
	announce(external, P1, (struct spec){{65001}, .communities = {TAG, BGP_COMMUNITY_BLACKHOLE}});
	inbox_drain(to_external);
	inbox_drain(to_internal);
	ck_assert_ptr_eq(best_peer(P1), external);
	ck_assert_uint_eq(to_external->known, 0);
	ck_assert(inbox_at(to_internal, P1)->there);
	ck_assert(communities_are(P1, "65001:7 blackhole no-export"));
	/* From inside it is as who brought it in wanted it. */
	withdraw(external, P1);
	internal = peer_add(4, false);
	announce(internal, P1, (struct spec){{65001}, .communities = {BGP_COMMUNITY_BLACKHOLE}});
	inbox_drain(to_external);
	ck_assert(inbox_at(to_external, P1)->there);
	ck_assert(communities_are(P1, "blackhole"));
	inbox_free(to_external);
	inbox_free(to_internal);
	rig_end();
}
END_TEST

/* RFC 3765: passed on, as nobody says which sessions are between equals. */
START_TEST(test_no_peer)
{
	struct inbox *to;

	rig_begin();
	release_all();
	to = inbox_new(peer_add(2, true));
	announce(peer_add(1, true), P1, (struct spec){{65001}, .communities = {BGP_COMMUNITY_NO_PEER}});
	inbox_drain(to);
	ck_assert(inbox_at(to, P1)->there);
	ck_assert_uint_eq(inbox_at(to, P1)->said.communities[0], BGP_COMMUNITY_NO_PEER);
	inbox_free(to);
	rig_end();
}
END_TEST

/* ---- Peers that leave ---- */

static const struct leaving {
	bool ebgp, honour, avoid, community;
	uint32_t local_pref; /* of the route then */
} leavings[] = {
    {true, true, false, true, 0},
    {true, true, false, false, 100},
    {true, false, false, true, 100},
    /* Inside the AS it is LOCAL_PREF that says it. */
    {false, true, false, true, 100},
    /* A session we are about to shut down ourselves. */
    {true, false, true, false, 0},
    {false, false, true, false, 0},
    {true, true, true, true, 0},
};

START_TEST(test_leaving)
{
	const struct leaving *l = &leavings[_i];
	struct rib_peer_conf conf = peer_conf(1, l->ebgp), plain = conf;
	struct spec s = {{65001}, .communities = {l->community ? BGP_COMMUNITY_GRACEFUL_SHUTDOWN : TAG}};
	struct rib_peer *p;

	rig_begin();
	conf.honour_graceful_shutdown = l->honour;
	conf.avoid = l->avoid;
	p = rib_peer_new(rig.rib, &conf, NULL);
	peer_up(p);
	announce(p, P1, s);
	rig_settle();
	ck_assert_uint_eq(only_route(P1).attrs->local_pref, l->local_pref);
	/* The word is passed on. */
	ck_assert(communities_are(P1, l->community ? "graceful-shutdown" : "65001:7"));
	/* In place, both ways. */
	configure(p, &plain);
	ck_assert_uint_eq(only_route(P1).attrs->local_pref, 100);
	configure(p, &conf);
	ck_assert_uint_eq(only_route(P1).attrs->local_pref, l->local_pref);
	withdraw(p, P1);
	rig_settle();
	rib_peer_down(p, 0);
	ck_assert_uint_eq(rib_stats(rig.rib).attrs, 0);
	rig_end();
}
END_TEST

/* Whatever else speaks for the route of the one that leaves, another one is used. */
START_TEST(test_leaving_loses)
{
	struct rib_peer_conf conf = peer_conf(1, true);
	struct rib_peer *leaving, *other;

	rig_begin();
	conf.honour_graceful_shutdown = true;
	leaving = rib_peer_new(rig.rib, &conf, NULL);
	peer_up(leaving);
	other = peer_add(2, false);
	announce(leaving, P1, (struct spec){{65001}});
	announce(other, P1, (struct spec){{65001, 65002, 65003}, .origin = 2, .local_pref = 1});
	rig_settle();
	ck_assert_ptr_eq(best_peer(P1), leaving);
	announce(leaving, P1, (struct spec){{65001}, .communities = {BGP_COMMUNITY_GRACEFUL_SHUTDOWN}});
	rig_settle();
	ck_assert_ptr_eq(best_peer(P1), other);
	withdraw(other, P1);
	rig_settle();
	ck_assert_ptr_eq(best_peer(P1), leaving);
	rig_end();
}
END_TEST

/* Policy comes after, and may see it otherwise. */
START_TEST(test_policy_comes_after)
{
	static const struct policy_op raise = {OP_SET_LOCAL_PREF, {300}};
	const struct policy_rule rule = {.priority_match = PRIORITY_EQUAL,
					 .priority = INT32_MAX, /* LOCAL_PREF 0 */
					 .action = RULE_ACCEPT,
					 .ops = &raise,
					 .op_count = 1};
	struct rib_peer_conf conf = peer_conf(1, true);
	struct rib_peer *p;

	rig_begin();
	conf.honour_graceful_shutdown = true;
	conf.import = policy_new("import", &rule, 1, RULE_ACCEPT);
	p = rib_peer_new(rig.rib, &conf, NULL);
	peer_up(p);
	announce(p, P1, (struct spec){{65001}, .communities = {BGP_COMMUNITY_GRACEFUL_SHUTDOWN}});
	rig_settle();
	ck_assert_uint_eq(only_route(P1).attrs->local_pref, 300);
	announce(p, P1, (struct spec){{65001}});
	rig_settle();
	ck_assert_uint_eq(only_route(P1).attrs->local_pref, 100);
	policy_unref(conf.import);
	rig_end();
}
END_TEST

/* ---- Loops of a session with an AS number of its own ---- */

static const struct {
	uint32_t path[8];
	unsigned allowed;
	bool rejected;
} loops[] = {
    {{65001, 65002}, 0, false},
    {{65001, OUR_AS}, 0, true},	 /* the session's */
    {{65001, NODE_AS}, 0, true}, /* the node's */
    {{65001, OUR_AS, NODE_AS}, 0, true},
    {{65001, OUR_AS, NODE_AS}, 1, false}, /* each of them once */
    {{65001, OUR_AS, NODE_AS, NODE_AS}, 1, true},
    {{65001, OUR_AS, OUR_AS, NODE_AS}, 1, true},
    {{65001, OUR_AS, OUR_AS, NODE_AS, NODE_AS}, 2, false},
};

START_TEST(test_loop_of_both)
{
	struct rib_peer_conf conf = peer_conf(1, true);
	struct rib_peer *p;
	struct spec s = {.med = 0};
	unsigned of_session = 0;

	rig_begin();
	memcpy(s.path, loops[_i].path, sizeof s.path);
	conf.node_as = NODE_AS;
	conf.allowed_local_as = loops[_i].allowed;
	p = rib_peer_new(rig.rib, &conf, NULL);
	peer_up(p);
	announce(p, P1, s);
	rig_settle();
	ck_assert(only_route(P1).rejected == loops[_i].rejected);
	if (loops[_i].rejected)
		ck_assert_str_eq(only_route(P1).why, "AS_PATH contains our own AS");
	/* Without another AS the node's is as any. */
	conf.node_as = 0;
	configure(p, &conf);
	for (unsigned i = 0; i < 8; i++)
		of_session += s.path[i] == OUR_AS;
	ck_assert(only_route(P1).rejected == (of_session > conf.allowed_local_as));
	rig_end();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("import");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_blackhole);
	tcase_add_test(tc, test_no_peer);
	tcase_add_loop_test(tc, test_leaving, 0, sizeof leavings / sizeof *leavings);
	tcase_add_test(tc, test_leaving_loses);
	tcase_add_test(tc, test_policy_comes_after);
	tcase_add_loop_test(tc, test_loop_of_both, 0, sizeof loops / sizeof *loops);
	return run_suite(tc, "import");
}
