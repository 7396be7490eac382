/* prefixLimit: what it counts, what happens beyond it, and how a session that it holds down comes back. */
#include "tests/unit/daemon/speaker_rig.h"

#include "daemon/policy/policies.h"
#include "datastore/backend.h"

/* ---- Judging ---- */

static const struct step {
	unsigned count;
	bool near, over, ends;
} steps[] = {
    {0, false, false, false}, {7, false, false, false}, {8, true, false, false},  {10, true, false, false},
    {11, true, true, true},   {10, true, false, false}, {3, false, false, false},
};

START_TEST(test_judge)
{
	struct peer_options opt = {.prefix_limit = 10, .prefix_warn_only = _i % 2};
	struct prefix_limit l = {0};

	/* 75 percent, unless told otherwise: at least that many. */
	ck_assert_uint_eq(prefix_limit_warning(&opt), 8);
	for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
		bool ends = prefix_limit_judge(&l, &opt, "a peer", FAM_IPV6, steps[i].count);

		ck_assert(ends == (steps[i].ends && !opt.prefix_warn_only));
		ck_assert(l.near[FAM_IPV6] == steps[i].near && l.over[FAM_IPV6] == steps[i].over);
		ck_assert(!l.near[FAM_IPV4] && !l.over[FAM_IPV4]);
	}
	opt.prefix_warning = 100;
	ck_assert_uint_eq(prefix_limit_warning(&opt), 10);
	opt.prefix_warning = 1;
	ck_assert_uint_eq(prefix_limit_warning(&opt), 1);
	opt = (struct peer_options){0};
	ck_assert(!prefix_limit_judge(&l, &opt, "a peer", FAM_IPV6, UINT32_MAX));
	ck_assert(!l.near[FAM_IPV6] && !l.over[FAM_IPV6]);
}
END_TEST

/* ---- Sessions ---- */

static void apply_limit(uint8_t families, struct peer_options opt)
{
	struct peer_want w[] = {want(TWO, families)};

	w[0].opt = opt;
	apply(w, 1);
}

/* All that the daemon has said up to a NOTIFICATION: its code, subcode and data. */
static struct bgp_notification heard_notification(int fd, uint8_t *room, size_t size)
{
	struct bgp_notification n = {0};
	size_t have = 0;
	struct bgp_error err;
	struct bgp_msg m;

	for (unsigned i = 0; i < 200; i++) {
		ssize_t got = read(fd, room + have, size - have);

		have += got > 0 ? (size_t)got : 0;
		loop_turn(d.loop, false);
	}
	for (size_t at = 0; at < have;) {
		int len = bgp_msg_next(&m, room + at, have - at, BGP_MAX_MESSAGE, &err);

		ck_assert_int_gt(len, 0);
		at += (size_t)len;
		if (m.type == BGP_NOTIFICATION)
			ck_assert(bgp_notification_decode(&n, m.body));
	}
	return n;
}

static void ck_cease(int fd, uint8_t subcode, const void *data, size_t len)
{
	uint8_t room[8192];
	struct bgp_notification n;

	TURN_UNTIL(!is_up(TWO), 3);
	n = heard_notification(fd, room, sizeof room);
	ck_assert_uint_eq(n.code, BGP_ERR_CEASE);
	ck_assert_uint_eq(n.subcode, subcode);
	ck_assert_uint_eq(n.data.len, len);
	ck_assert_mem_eq(n.data.p, data, len);
	close(fd);
}

/* Does the daemon let the peer in? */
static bool lets_in(void)
{
	uint8_t room[8192];
	int fd = dial(TWO);
	bool in = heard_notification(fd, room, sizeof room).code == 0;

	close(fd);
	settle();
	return in;
}

/* RFC 4486 4. With graceful restart that covers NOTIFICATIONs it is a Hard Reset (RFC 8538), as nothing is to be kept.
 */
START_TEST(test_over)
{
	static const uint8_t data[] = {0, 1, 1, 0, 0, 0, 2}, hard[] = {6, 1, 0, 1, 1, 0, 0, 0, 2};
	struct bgp_open o = open_of(V4);
	int fd;

	o.gr_notification = _i;
	apply_limit(V4, (struct peer_options){.prefix_limit = 2});
	fd = establish_with(TWO, &o);
	announce(fd, "10.1.0.0/24");
	announce(fd, "10.2.0.0/24");
	announce(fd, "10.1.0.0/24"); /* again: no more than before */
	settle();
	ck_assert(is_up(TWO));
	announce(fd, "10.3.0.0/24");
	if (_i)
		ck_cease(fd, BGP_CEASE_HARD_RESET, hard, sizeof hard);
	else
		ck_cease(fd, BGP_CEASE_MAX_PREFIXES, data, sizeof data);
	/* Nothing is kept, and nobody tries again. */
	ck_assert_uint_eq(routes("10.1.0.0/24"), 0);
	ck_assert_uint_eq(peer_of(TWO)->stale, 0);
	ck_assert(!lets_in());
	ck_assert_str_eq(peer_of(TWO)->limit.down->text, "3 ipv4 routes received, the limit is 2");
	ck_assert_str_eq(bgp_session_info(peer_of(TWO)->session).last_error, "3 ipv4 routes received, the limit is 2");
	/* The same configuration again is no reason, another limit is. */
	apply_limit(V4, (struct peer_options){.prefix_limit = 2});
	ck_assert(!lets_in());
	apply_limit(V4, (struct peer_options){.prefix_limit = 3});
	fd = establish_with(TWO, &o);
	announce(fd, "10.3.0.0/24");
	ck_assert_uint_eq(routes("10.3.0.0/24"), 1);
	close(fd);
}
END_TEST

START_TEST(test_restart_time)
{
	int fd;

	apply_limit(V4, (struct peer_options){.prefix_limit = 1, .prefix_restart = 1});
	fd = establish(TWO, V4);
	announce(fd, "10.1.0.0/24");
	announce(fd, "10.2.0.0/24");
	TURN_UNTIL(!is_up(TWO), 3);
	close(fd);
	ck_assert(!lets_in());
	ck_assert_uint_gt(loop_timer_left(d.loop, &peer_of(TWO)->limit.down->timer), 0);
	TURN_UNTIL(!peer_of(TWO)->limit.down, 3);
	fd = establish(TWO, V4);
	announce(fd, "10.1.0.0/24");
	ck_assert_uint_eq(routes("10.1.0.0/24"), 1);
	close(fd);
}
END_TEST

START_TEST(test_reset)
{
	int fd;

	apply_limit(V4, (struct peer_options){.prefix_limit = 1});
	fd = establish(TWO, V4);
	announce(fd, "10.1.0.0/24");
	announce(fd, "10.2.0.0/24");
	TURN_UNTIL(!is_up(TWO), 3);
	close(fd);
	ck_assert(!lets_in());
	speaker_reset(peer_of(TWO));
	ck_assert(!peer_of(TWO)->limit.down);
	fd = establish(TWO, V4);
	/* Of a session that is up it is an ordinary reset. */
	speaker_reset(peer_of(TWO));
	ck_cease(fd, BGP_CEASE_RESET, "", 0);
	fd = establish(TWO, V4);
	close(fd);
}
END_TEST

/* In place: a higher limit, none, a lower one that is exceeded now. */
START_TEST(test_changes)
{
	static const uint8_t data[] = {0, 1, 1, 0, 0, 0, 1};
	int fd;

	apply_limit(V4, (struct peer_options){.prefix_limit = 2});
	fd = establish(TWO, V4);
	announce(fd, "10.1.0.0/24");
	announce(fd, "10.2.0.0/24");
	settle();
	apply_limit(V4, (struct peer_options){.prefix_limit = 3});
	announce(fd, "10.3.0.0/24");
	settle();
	apply_limit(V4, (struct peer_options){.prefix_limit = 0});
	announce(fd, "10.4.0.0/24");
	settle();
	apply_limit(V4, (struct peer_options){.prefix_limit = 1, .prefix_warn_only = true});
	settle();
	ck_assert(is_up(TWO));
	ck_assert(peer_of(TWO)->limit.over[FAM_IPV4]);
	ck_assert_uint_eq(routes("10.4.0.0/24"), 1);
	apply_limit(V4, (struct peer_options){.prefix_limit = 1});
	ck_cease(fd, BGP_CEASE_MAX_PREFIXES, data, sizeof data);
	ck_assert_uint_eq(bgp_session_info(peer_of(TWO)->session).established, 1);
}
END_TEST

/* Each family has its own. */
START_TEST(test_families)
{
	static const uint8_t data[] = {0, 2, 1, 0, 0, 0, 2};
	int fd;

	apply_limit(V4 | V6, (struct peer_options){.prefix_limit = 2});
	fd = establish(TWO, V4 | V6);
	announce(fd, "10.1.0.0/24");
	announce(fd, "10.2.0.0/24");
	announce(fd, "2001:db8:1::/64");
	announce(fd, "2001:db8:2::/64");
	settle();
	ck_assert(is_up(TWO));
	announce(fd, "2001:db8:3::/64");
	ck_cease(fd, BGP_CEASE_MAX_PREFIXES, data, sizeof data);
}
END_TEST

static void on_filter(void *arg, struct yaml_node *doc)
{
	struct object_error err;
	char *name;
	int kind;
	struct object *o = object_decode(doc, &err, &kind, &name, NULL, NULL);

	ck_assert_msg(o != NULL, "%s: %s", err.field, err.reason);
	free(name);
	o->source = mem_strdup("a test");
	store_put(arg, o);
}

static void on_change(void *arg, const struct object *before, const struct object *after)
{
	(void)arg;
	(void)before;
	(void)after;
}

/* What counts is what was received: a route that import rejects takes room too. */
START_TEST(test_rejected_counts)
{
	static const char filter[] = "{kind: BGPFilter, apiVersion: projectcalico.org/v3, metadata: {name: none}, "
				     "spec: {importV4: [{action: Reject}]}}";
	static const struct store_ops ops = {.on_change = on_change};
	struct store *store = store_new(d.loop, &ops, NULL);
	struct policies *policies = policies_new(store);
	struct peer_want w[] = {want(TWO, V4)};
	struct self self = {.name = "a", .as = OUR_AS, .router_id = 0x0a000001};
	struct yaml_error err;
	int fd;

	ck_assert(yaml_parse(filter, strlen(filter), on_filter, store, &err));
	w[0].opt.prefix_limit = 1;
	w[0].filters = mem_strdup("none");
	self.ip[FAM_IPV4].addr = addr_of("127.0.0.1");
	apply_as(w, 1, &self, policies);
	fd = establish(TWO, V4);
	announce(fd, "10.1.0.0/24");
	settle();
	ck_assert_uint_eq(rib_peer_stats(peer_of(TWO)->rib).accepted[FAM_IPV4], 0);
	ck_assert_uint_eq(rib_peer_received(peer_of(TWO)->rib, FAM_IPV4), 1);
	announce(fd, "10.2.0.0/24");
	TURN_UNTIL(peer_of(TWO)->limit.down, 3);
	close(fd);
	apply_as(NULL, 0, &self, NULL);
	policies_free(policies);
	store_free(store);
}
END_TEST

/* Routes kept over a restart count too; before the session ends for them they go. */
START_TEST(test_stale_gives_way)
{
	int fd;

	apply_limit(V4, (struct peer_options){.prefix_limit = 2});
	fd = establish(TWO, V4);
	announce(fd, "10.1.0.0/24");
	announce(fd, "10.2.0.0/24");
	end_of_rib(fd, FAM_IPV4);
	lose(fd, TWO);
	fd = establish(TWO, V4);
	announce(fd, "10.1.0.0/24");
	ck_assert_uint_eq(routes("10.2.0.0/24"), 1);
	announce(fd, "10.3.0.0/24");
	settle();
	ck_assert(is_up(TWO));
	ck_assert_uint_eq(routes("10.2.0.0/24"), 0);
	ck_assert_uint_eq(routes("10.1.0.0/24") + routes("10.3.0.0/24"), 2);
	announce(fd, "10.4.0.0/24");
	TURN_UNTIL(peer_of(TWO)->limit.down, 3);
	close(fd);
}
END_TEST

/* Established with a peer that is not there before. */
static int dynamic_establish(void)
{
	struct bgp_open o = open_of(V4);
	uint8_t bytes[BGP_MAX_MESSAGE];
	struct wr w = wr_make(bytes, sizeof bytes);
	int fd = dial(TWO);

	bgp_open_encode(&w, &o);
	bgp_keepalive_encode(&w);
	say(fd, &w);
	TURN_UNTIL(speaker_find(d.speaker, TWO) && is_up(TWO), 3);
	return fd;
}

/* Somebody of a range who sends too much is not forgotten with the session: that would let him in again. */
START_TEST(test_dynamic)
{
	struct peer_want range = {
	    .name = mem_strdup("range"),
	    .origin = mem_strdup("a test"),
	    .kind = PEER_DYNAMIC,
	    .remote_port = port,
	    .local_as = OUR_AS,
	    .passive = true,
	    .families = V4,
	    .hold_time = 90,
	    .restart_time = 120,
	    .opt = {.prefix_limit = 1, .range_limit = 5},
	};
	struct self self = {.name = "a", .as = OUR_AS, .router_id = 0x0a000001};
	struct peering_diff diff = {
	    .range = mem_dup(&range, sizeof range), .range_count = 1, .ranges_changed = true, .everything = true};
	int fd;

	ck_assert(prefix_parse(&diff.range[0].opt.range, "127.0.0.0/24"));
	self.ip[FAM_IPV4].addr = addr_of("127.0.0.1");
	speaker_apply(d.speaker, &diff, &self, NULL);
	fd = dial(TWO);
	TURN_UNTIL(speaker_find(d.speaker, TWO), 3);
	close(fd);
	TURN_UNTIL(!speaker_find(d.speaker, TWO), 3);
	fd = dynamic_establish();
	announce(fd, "10.1.0.0/24");
	announce(fd, "10.2.0.0/24");
	TURN_UNTIL(!is_up(TWO), 3);
	close(fd);
	settle();
	ck_assert(peer_of(TWO)->limit.down);
	ck_assert(!lets_in());
	speaker_reset(peer_of(TWO));
	TURN_UNTIL(!speaker_find(d.speaker, TWO), 3);
	fd = dynamic_establish();
	ck_assert(is_up(TWO));
	close(fd);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("limit");

	tcase_add_loop_test(tc, test_judge, 0, 2);
	tcase_add_loop_test(tc, test_over, 0, 2);
	tcase_add_test(tc, test_restart_time);
	tcase_add_test(tc, test_reset);
	tcase_add_test(tc, test_changes);
	tcase_add_test(tc, test_families);
	tcase_add_test(tc, test_rejected_counts);
	tcase_add_test(tc, test_stale_gives_way);
	tcase_add_test(tc, test_dynamic);
	return rig_run(tc, "prefix limit");
}
