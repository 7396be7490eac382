/* Stale, kept for long, swept and dropped, far more often than there are numbers for ages, with and without the time to
 * walk over what is old. */
#include "tests/unit/rib/inbox.h"

#define MANY 2000u

static struct prefix nth(unsigned i)
{
	struct addr a = addr_from_u32(0x0a640000u + i);

	return prefix_make(&a, 32);
}

static void announce_nth(struct rib_peer *p, unsigned i)
{
	struct prefix prefix = nth(i);

	announce_prefix(p, &prefix, &(struct spec){{65001}}, false);
}

static unsigned routes(void)
{
	return rib_stats(rig.rib).routes[FAM_IPV4];
}

static void take_view(void *arg, const struct rib_view *v)
{
	*(struct rib_view *)arg = *v;
}

/* What it is by itself, whatever the counts say. */
static void is(unsigned i, bool stale, bool long_lived)
{
	struct prefix p = nth(i);
	struct rib_view v = {0};

	rib_show_prefix(rig.rib, &p, take_view, &v);
	ck_assert_msg(v.route.peer, "%u is gone", i);
	ck_assert_int_eq(v.route.stale, stale);
	ck_assert_int_eq(v.route.long_lived, long_lived);
}

/* A route is told again between any two refreshes that begin, another one never, and none of them ends. */
START_TEST(test_beginning_for_ever)
{
	bool breathe = _i & 1;
	struct rib_peer *p;

	rig_begin();
	p = peer_add(1, true);
	for (unsigned i = 0; i < MANY; i++)
		announce_nth(p, i);
	for (unsigned i = 0; i < 1000; i++) {
		rib_peer_mark_stale(p, FAM_IPV4);
		announce_nth(p, 0);
		for (unsigned turns = 0; breathe && turns < 3; turns++)
			loop_turn(rig.loop, false);
		ck_assert_uint_eq(rib_peer_stats(p).received[FAM_IPV4], MANY);
		ck_assert_uint_eq(rib_peer_stats(p).stale[FAM_IPV4], MANY - 1);
		ck_assert_uint_eq(routes(), MANY);
		is(0, false, false);
		is(MANY - 1, true, false);
	}
	rib_peer_sweep(p, FAM_IPV4);
	rig_settle();
	ck_assert_uint_eq(routes(), 1);
	/* And all is as it should be afterwards. */
	for (unsigned i = 0; i < 10; i++)
		announce_nth(p, i);
	rib_peer_mark_stale(p, FAM_IPV4);
	announce_nth(p, 3);
	rib_peer_sweep(p, FAM_IPV4);
	rig_settle();
	ck_assert_uint_eq(routes(), 1);
	rig_end();
}
END_TEST

/* Where no walk is through, what came late enough may be taken for fresh, but what was never told again is swept. */
START_TEST(test_no_numbers_left)
{
	struct rib_peer *p;

	rig_begin();
	p = peer_add(1, true);
	for (unsigned i = 0; i < 1000; i++) {
		announce_nth(p, i);
		rib_peer_mark_stale(p, FAM_IPV4);
	}
	announce_nth(p, 1000);
	rib_peer_sweep(p, FAM_IPV4);
	ck_assert_uint_lt(rib_peer_stats(p).received[FAM_IPV4], 800);
	/* Nobody stops for a walk over all of it at once. */
	ck_assert_uint_gt(rib_peer_stats(p).received[FAM_IPV4], 1);
	rig_settle();
	ck_assert_uint_eq(routes(), rib_peer_stats(p).received[FAM_IPV4]);
	rib_peer_mark_stale(p, FAM_IPV4);
	rib_peer_sweep(p, FAM_IPV4);
	rig_settle();
	ck_assert_uint_eq(routes(), 0);
	rig_end();
}
END_TEST

/* Sessions that come and go: the dead must not come back to life, however many there are. */
START_TEST(test_dropping_for_ever)
{
	bool breathe = _i & 1;
	struct rib_peer *p;

	rig_begin();
	p = peer_add(1, true);
	for (unsigned i = 0; i < 1000; i++) {
		announce_nth(p, i);
		announce_nth(p, i + 1);
		rib_peer_down(p, 0);
		ck_assert_uint_eq(rib_peer_stats(p).received[FAM_IPV4], 0);
		for (unsigned turns = 0; breathe && turns < 3; turns++)
			loop_turn(rig.loop, false);
		peer_up(p);
	}
	announce_nth(p, 5);
	rig_settle();
	ck_assert_uint_eq(routes(), 1);
	rig_end();
}
END_TEST

/* Kept for long while refreshes come and go: each kind stays what it is. */
START_TEST(test_long_lived)
{
	bool breathe = _i & 1;
	struct rib_peer *p;

	rig_begin();
	p = peer_add(1, true);
	for (unsigned i = 0; i < MANY; i++)
		announce_nth(p, i);
	rib_peer_down(p, BOTH);
	rib_peer_long_lived(p, FAM_IPV4);
	peer_up(p);
	for (unsigned i = 0; i < 700; i++) {
		struct rib_peer_stats s;

		announce_nth(p, MANY);
		announce_nth(p, MANY + 1);
		rib_peer_mark_stale(p, FAM_IPV4);
		announce_nth(p, MANY);
		for (unsigned turns = 0; breathe && turns < 3; turns++)
			loop_turn(rig.loop, false);
		s = rib_peer_stats(p);
		ck_assert_uint_eq(s.long_lived[FAM_IPV4], MANY);
		ck_assert_uint_eq(s.received[FAM_IPV4], MANY + 2);
		ck_assert_uint_eq(routes(), MANY + 2);
		is(0, true, true);
		if (breathe)
			is(MANY + 1, true, false);
	}
	rib_peer_sweep(p, FAM_IPV4);
	rig_settle();
	ck_assert_uint_le(routes(), breathe ? 1 : 2);
	rig_end();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("ages");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_beginning_for_ever, 0, 2);
	tcase_add_test(tc, test_no_numbers_left);
	tcase_add_loop_test(tc, test_dropping_for_ever, 0, 2);
	tcase_add_loop_test(tc, test_long_lived, 0, 2);
	return run_suite(tc, "ages");
}
