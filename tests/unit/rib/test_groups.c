/* Update groups: what makes peers share one, what goes out to whom, and how often; anything in any order against a
 * model that knows only the rules of the RFCs. */
#include "tests/unit/rib/inbox.h"

static void release(void)
{
	for (int f = 0; f < FAM_COUNT; f++)
		rib_release(rig.rib, (enum family)f);
}

static void begin(void)
{
	rig_begin();
	release();
}

/* ---- The key ---- */

/* Everything the group of a peer may depend on. */
struct shape {
	struct rib_peer_conf conf;
	struct bgp_codec codec;
	struct bgp_nexthop self[FAM_COUNT];
};

static struct policy *policy_for(const char *prefix, enum rule_action fallback)
{
	struct policy_rule rule = {
	    .has_prefix = true, .prefix = prefix_of(prefix), .op = MATCH_IN, .action = RULE_REJECT, .why = "a rule"};

	return policy_new("p", &rule, 1, fallback);
}

#define CHANGE(name, statement)           \
	static void name(struct shape *s) \
	{                                 \
		statement;                \
	}
CHANGE(change_nothing, (void)s)
CHANGE(change_local_as, s->conf.local_as++)
CHANGE(change_cluster, s->conf.cluster_id++)
CHANGE(change_size, s->codec.max_message = BGP_MAX_EXTENDED)
CHANGE(change_default_size, s->codec.max_message = 0)
CHANGE(change_next_hop_self, s->conf.next_hop_mode = RIB_NEXT_HOP_SELF)
CHANGE(change_next_hop_keep, s->conf.next_hop_mode = RIB_NEXT_HOP_KEEP)
CHANGE(change_prepend, s->conf.prepend = 2)
CHANGE(change_graceful_shutdown, s->conf.graceful_shutdown = true)
CHANGE(change_llgr, s->codec.llgr = true)
CHANGE(change_avoid, s->conf.avoid = s->conf.honour_graceful_shutdown = true)
CHANGE(change_node_as, s->conf.node_as = 7)
CHANGE(change_ebgp, s->conf.ebgp = !s->conf.ebgp)
CHANGE(change_client, s->conf.rr_client = !s->conf.rr_client)
CHANGE(change_as4, s->codec.as4 = !s->codec.as4)
CHANGE(change_families, s->codec.families = 1u << FAM_IPV6)
CHANGE(change_add_path, s->codec.add_path_tx = 1u << FAM_IPV4)
CHANGE(change_ext_next_hop, s->codec.ext_next_hop = 1u << FAM_IPV4)
CHANGE(change_self_v4, s->self[FAM_IPV4].addr = addr_of("192.168.0.2"))
CHANGE(change_self_v6, s->self[FAM_IPV6].addr = addr_of("2001:db8:ffff::2"))
CHANGE(change_self_link_local, s->self[FAM_IPV6].link_local = addr_of("fe80::9"))
CHANGE(change_export, s->conf.export = policy_for("10.1.0.0/16", RULE_ACCEPT))
CHANGE(change_export_prefix, s->conf.export = policy_for("10.2.0.0/16", RULE_ACCEPT))
CHANGE(change_export_fallback, s->conf.export = policy_for("10.1.0.0/16", RULE_REJECT))
CHANGE(change_export_none, s->conf.export = NULL)
CHANGE(change_import, s->conf.import = policy_for("10.3.0.0/16", RULE_ACCEPT))
CHANGE(change_name, memcpy(s->conf.name, "other", 6))
CHANGE(change_remote_as, s->conf.remote_as++)
CHANGE(change_our_id, s->conf.our_router_id++)
CHANGE(change_allowed, s->conf.allowed_local_as = 3)
CHANGE(change_peer_as, s->codec.peer_as = 7)
CHANGE(change_add_path_rx, s->codec.add_path_rx = BOTH)

static const struct {
	const char *what;
	void (*change)(struct shape *s);
	bool shared;
} keys[] = {
    {"nothing", change_nothing, true},
    {"local_as", change_local_as, false},
    {"cluster_id", change_cluster, false},
    {"max_message", change_size, false},
    {"max_message 0 is 4096", change_default_size, true},
    {"next_hop_mode self", change_next_hop_self, false},
    {"next_hop_mode keep", change_next_hop_keep, false},
    {"prepend", change_prepend, false},
    {"graceful_shutdown", change_graceful_shutdown, false},
    {"llgr", change_llgr, false},
    {"avoid", change_avoid, true},
    {"node_as", change_node_as, true},
    {"ebgp", change_ebgp, false},
    {"rr_client", change_client, false},
    {"as4", change_as4, false},
    {"families", change_families, false},
    {"add_path_tx", change_add_path, false},
    {"ext_next_hop", change_ext_next_hop, false},
    {"self IPv4", change_self_v4, false},
    {"self IPv6", change_self_v6, false},
    {"self link-local", change_self_link_local, false},
    {"export, equal content", change_export, true},
    {"export, another prefix", change_export_prefix, false},
    {"export, another fallback", change_export_fallback, false},
    {"no export", change_export_none, false},
    {"import", change_import, true},
    {"name", change_name, true},
    {"remote_as", change_remote_as, true},
    {"our_router_id", change_our_id, true},
    {"allowed_local_as", change_allowed, true},
    {"peer_as", change_peer_as, true},
    {"add_path_rx", change_add_path_rx, true},
};

static struct shape shape_of(unsigned i, bool ebgp)
{
	struct shape s = {.conf = peer_conf(i, ebgp),
			  .codec = {.as4 = true, .ebgp = ebgp, .families = BOTH, .max_message = BGP_MAX_MESSAGE},
			  .self = {{.addr = addr_of(OUR_V4)}, {.addr = addr_of(OUR_V6)}}};

	s.conf.export = policy_for("10.1.0.0/16", RULE_ACCEPT);
	return s;
}

static struct rib_peer *shape_up(const struct shape *s)
{
	struct rib_peer *p = rib_peer_new(rig.rib, &s->conf, NULL);

	rib_peer_up(p, &s->codec, 1, s->self);
	return p;
}

static void shape_drop(struct shape *s, struct policy *made)
{
	if (s->conf.export != made)
		policy_unref(s->conf.export);
	policy_unref(s->conf.import);
	policy_unref(made);
}

START_TEST(test_key)
{
	bool ebgp = _i % 2, shared = keys[_i / 2].shared;
	struct shape a = shape_of(1, ebgp), b = shape_of(2, ebgp);
	struct policy *made = b.conf.export;
	struct rib_peer *pa, *pb;

	begin();
	keys[_i / 2].change(&b);
	pa = shape_up(&a);
	pb = shape_up(&b);
	ck_assert_msg((rib_peer_stats(pa).group == rib_peer_stats(pb).group) == shared, "%s", keys[_i / 2].what);
	ck_assert_uint_eq(rib_stats(rig.rib).groups, shared ? 1 : 2);
	/* The group goes with its last member. */
	rib_peer_down(pb, 0);
	ck_assert_uint_eq(rib_stats(rig.rib).groups, 1);
	rib_peer_down(pa, 0);
	ck_assert_uint_eq(rib_stats(rig.rib).groups, 0);
	rig_settle();
	shape_drop(&a, a.conf.export);
	shape_drop(&b, made);
	rig_end();
}
END_TEST

/* ---- To whom, and how often ---- */

static void all_said(struct inbox *in, const char *expected)
{
	inbox_drain(in);
	ck_assert_str_eq(in->log, expected);
}

START_TEST(test_once)
{
	struct inbox *to;
	struct rib_peer *from;

	begin();
	from = peer_add(1, true);
	to = inbox_new(peer_add(2, false));
	all_said(to, "eor4 eor6");
	announce(from, "10.0.0.1/32", (struct spec){{65001}});
	all_said(to, "+10.0.0.1/32");
	/* The same again, a change that is taken back, and one that comes and goes: nothing new. */
	announce(from, "10.0.0.1/32", (struct spec){{65001}});
	all_said(to, "");
	announce(from, "10.0.0.1/32", (struct spec){{65001, 65009}});
	announce(from, "10.0.0.1/32", (struct spec){{65001}});
	all_said(to, "");
	announce(from, "10.0.0.2/32", (struct spec){{65001}});
	rig_settle();
	withdraw(from, "10.0.0.2/32");
	all_said(to, "");
	/* A slow reader is told the newest only. */
	for (unsigned i = 0; i < 50; i++) {
		announce(from, "10.0.0.1/32", (struct spec){{65001, 65002 + i}});
		rig_settle();
	}
	all_said(to, "+10.0.0.1/32");
	ck_assert_uint_eq(inbox_at(to, "10.0.0.1/32")->said.path[1], 65051);
	withdraw(from, "10.0.0.1/32");
	all_said(to, "-10.0.0.1/32");
	withdraw(from, "10.0.0.1/32");
	all_said(to, "");
	ck_assert_uint_eq(rib_stats(rig.rib).prefixes[FAM_IPV4], 0);
	inbox_free(to);
	rig_end();
}
END_TEST

/* The best path goes from one member to another and on: nobody ever gets its own, everybody has the other's. */
START_TEST(test_split_horizon)
{
	struct inbox *a, *b, *c;

	begin();
	a = inbox_new(peer_add(1, true));
	b = inbox_new(peer_add(2, true));
	c = inbox_new(peer_add(3, true));
	all_said(a, "eor4 eor6");
	all_said(b, "eor4 eor6");
	all_said(c, "eor4 eor6");
	announce(a->peer, "10.0.0.1/32", (struct spec){{65001, 65009}});
	all_said(a, "");
	all_said(b, "+10.0.0.1/32");
	all_said(c, "+10.0.0.1/32");
	announce(b->peer, "10.0.0.1/32", (struct spec){{65002}});
	all_said(a, "+10.0.0.1/32");
	all_said(b, "-10.0.0.1/32");
	all_said(c, "+10.0.0.1/32");
	/* Back again before b reads, while c is asleep. */
	withdraw(b->peer, "10.0.0.1/32");
	all_said(a, "-10.0.0.1/32");
	announce(b->peer, "10.0.0.1/32", (struct spec){{65002}});
	all_said(a, "+10.0.0.1/32");
	rig_settle();
	inbox_drain(b);
	ck_assert(!inbox_at(b, "10.0.0.1/32")->there);
	/* It may hear of the state between, which is shared with those who were awake. */
	inbox_drain(c);
	ck_assert_uint_eq(inbox_at(c, "10.0.0.1/32")->said.path[0], OUR_AS);
	ck_assert_uint_eq(inbox_at(c, "10.0.0.1/32")->said.path[1], 65002);
	ck_assert_uint_eq(c->unreach, 0);
	inbox_free(a);
	inbox_free(b);
	inbox_free(c);
	rig_end();
}
END_TEST

/* A new member of a group asks for everything again, and gets shared chunks from before its time: an old walk's with a
 * prefix that has become its own since, and the log's behind it. It must not be left with that prefix. */
START_TEST(test_old_chunks)
{
	struct rib_peer_conf conf = peer_conf(2, true);
	struct inbox *b, *reader, *sleeper;
	struct rib_peer *a;

	begin();
	a = peer_add(1, true);
	conf.export = policy_for("10.9.0.0/16", RULE_ACCEPT);
	b = inbox_new(rib_peer_new(rig.rib, &conf, NULL));
	policy_unref(conf.export);
	peer_up(b->peer);
	reader = inbox_new(peer_add(3, true));
	sleeper = inbox_new(peer_add(4, true));
	announce(a, "10.0.0.1/32", (struct spec){{65001, 65009}});
	all_said(reader, "+10.0.0.1/32 eor4 eor6");
	ck_assert_uint_eq(inbox_pull(sleeper, 1), 1);
	announce(b->peer, "10.0.0.1/32", (struct spec){{65002}});
	all_said(reader, "+10.0.0.1/32");
	all_said(b, "eor4 eor6");
	conf.export = NULL;
	rib_peer_configure(b->peer, &conf);
	all_said(b, "");
	ck_assert_uint_eq(rib_peer_stats(b->peer).group, rib_peer_stats(reader->peer).group);
	rib_peer_resend(b->peer, FAM_IPV4, false);
	inbox_drain(b);
	ck_assert(!inbox_at(b, "10.0.0.1/32")->there);
	inbox_drain(sleeper);
	ck_assert_uint_eq(inbox_at(sleeper, "10.0.0.1/32")->said.path[1], 65002);
	inbox_free(b);
	inbox_free(reader);
	inbox_free(sleeper);
	rig_end();
}
END_TEST

/* A policy that says the same in other words moves nothing; another one is told as the difference. */
START_TEST(test_move)
{
	struct rib_peer_conf conf = peer_conf(2, false);
	struct rib_peer *from;
	struct inbox *to;
	unsigned group;

	begin();
	from = peer_add(1, true);
	to = inbox_new(peer_add(2, false));
	announce(from, "10.1.0.1/32", (struct spec){{65001}});
	announce(from, "10.2.0.1/32", (struct spec){{65001}});
	all_said(to, "+10.1.0.1/32 +10.2.0.1/32 eor4 eor6");
	group = rib_peer_stats(to->peer).group;
	conf.export = policy_for("10.3.0.0/16", RULE_ACCEPT);
	rib_peer_configure(to->peer, &conf);
	policy_unref(conf.export);
	all_said(to, "");
	ck_assert_uint_ne(rib_peer_stats(to->peer).group, group);
	conf.export = policy_for("10.2.0.0/16", RULE_ACCEPT);
	rib_peer_configure(to->peer, &conf);
	policy_unref(conf.export);
	all_said(to, "-10.2.0.1/32");
	/* Two moves at once: the second waits for the first. */
	conf.export = policy_for("10.1.0.0/16", RULE_ACCEPT);
	rib_peer_configure(to->peer, &conf);
	policy_unref(conf.export);
	conf.export = policy_for("10.0.0.0/8", RULE_ACCEPT);
	rib_peer_configure(to->peer, &conf);
	policy_unref(conf.export);
	inbox_drain(to);
	ck_assert_uint_eq(to->known, 0);
	conf.export = NULL;
	rib_peer_configure(to->peer, &conf);
	all_said(to, "+10.1.0.1/32 +10.2.0.1/32");
	conf.next_hop_mode = RIB_NEXT_HOP_SELF;
	rib_peer_configure(to->peer, &conf);
	all_said(to, "+10.1.0.1/32 +10.2.0.1/32");
	conf.remote = addr_of(OUR_V4);
	ck_assert(addr_equal(&inbox_at(to, "10.1.0.1/32")->said.next_hop, &conf.remote));
	inbox_free(to);
	rig_end();
}
END_TEST

/* ---- Sharing ---- */

#define MEMBERS 100u

static void announce_many(struct rib_peer *p, unsigned n, uint32_t med)
{
	for (unsigned i = 0; i < n; i++) {
		struct addr a = addr_from_u32(0x0a640000u + i);
		struct prefix prefix = prefix_make(&a, 32);

		/* Sets of their own, so that there is more than one chunk. */
		announce_prefix(p, &prefix, &(struct spec){.path = {65001, 1 + i}, .has_med = true, .med = med}, false);
	}
	rig_settle();
}

static void check_shared(struct inbox **in, unsigned want_reach)
{
	rig_settle();
	for (unsigned m = 0; m < MEMBERS; m++)
		while (inbox_pull(in[m], 16))
			;
	for (unsigned m = 0; m < MEMBERS; m++) {
		ck_assert_uint_eq(in[m]->reach, want_reach);
		ck_assert_uint_eq(in[m]->unreach, 0);
		for (unsigned i = 0; i < in[m]->n_bufs; i++)
			inbox_keep(in[0], in[m]->bufs[i]);
	}
}

/* Everything is encoded once, whoever comes by: the first dump, changes, and a refresh. (Markers are each member's own,
 * so the buffers with routes are counted.) */
START_TEST(test_shared)
{
	struct inbox *in[MEMBERS];
	struct rib_peer *from;
	unsigned before;

	rig_begin();
	for (int f = 0; f < FAM_COUNT; f++)
		rib_release_routes(rig.rib, (enum family)f);
	from = peer_add(200, true);
	announce_many(from, 1500, 1);
	for (unsigned m = 0; m < MEMBERS; m++) {
		in[m] = inbox_new(peer_add(1 + m, false));
		in[m]->keep_bufs = true;
	}
	check_shared(in, 1500);
	ck_assert_uint_ge(in[0]->n_bufs, 2);
	before = in[0]->n_bufs;
	ck_assert_uint_eq(before, in[1]->n_bufs);
	announce_many(from, 1500, 2);
	check_shared(in, 3000);
	ck_assert_uint_eq(in[0]->n_bufs, in[1]->n_bufs);
	ck_assert_uint_gt(in[0]->n_bufs, before);
	before = in[0]->n_bufs;
	for (unsigned m = 0; m < MEMBERS; m++)
		rib_peer_resend(in[m]->peer, FAM_IPV4, false);
	check_shared(in, 4500);
	ck_assert_uint_eq(in[0]->n_bufs, in[1]->n_bufs);
	for (unsigned m = 0; m < MEMBERS; m++)
		inbox_free(in[m]);
	rig_end();
}
END_TEST

/* A member that never reads costs no more than one place per prefix, and nobody waits for it. */
START_TEST(test_sleeper)
{
	struct inbox *reader, *sleeper;
	struct rib_peer *from;
	size_t bytes = 0;

	begin();
	from = peer_add(200, true);
	reader = inbox_new(peer_add(1, false));
	sleeper = inbox_new(peer_add(2, false));
	inbox_drain(sleeper);
	for (unsigned round = 0; round < 60; round++) {
		announce_many(from, 100, round);
		inbox_drain(reader);
		ck_assert_uint_eq(reader->reach, (round + 1) * 100);
		if (round == 20)
			bytes = rib_stats(rig.rib).bytes;
	}
	ck_assert_uint_le(rib_stats(rig.rib).bytes, bytes + bytes / 2);
	inbox_drain(sleeper);
	ck_assert_uint_eq(sleeper->reach, 100);
	ck_assert_uint_eq(sleeper->known, 100);
	inbox_free(reader);
	inbox_free(sleeper);
	rig_end();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("groups");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_key, 0, 2 * sizeof keys / sizeof *keys);
	tcase_add_test(tc, test_once);
	tcase_add_test(tc, test_split_horizon);
	tcase_add_test(tc, test_old_chunks);
	tcase_add_test(tc, test_move);
	tcase_add_test(tc, test_shared);
	tcase_add_test(tc, test_sleeper);
	return run_suite(tc, "update groups");
}
