/* The helper of peers that restart for long (RFC 9494 4.2): which clocks run, and what ends them. RFC 4724 alone is
 * test_speaker_review.c's. */
#include "tests/unit/daemon/speaker_rig.h"

/* A peer that asks for both: its routes shall be kept gr_time s, and then llgr_time s more. */
static struct bgp_open long_open(uint16_t gr_time, uint32_t llgr_time)
{
	struct bgp_open o = open_of(V4);

	o.gr_time = gr_time;
	o.llgr = true;
	o.llgr_families = o.llgr_forwarding = V4;
	o.llgr_time[FAM_IPV4] = llgr_time;
	return o;
}

static void apply_one(struct peer_options opt)
{
	struct peer_want w[] = {want(TWO, V4)};

	w[0].opt = opt;
	apply(w, 1);
}

static bool is_long_lived(const char *prefix)
{
	settle();
	return peer_of(TWO)->helper.long_lived == V4 && routes(prefix) == 1 &&
	       rib_peer_stats(peer_of(TWO)->rib).long_lived[FAM_IPV4] > 0;
}

static uint64_t left(void)
{
	return helper_left(peer_of(TWO), FAM_IPV4);
}

/* Up with one route, and gone. */
static void come_and_go(const struct bgp_open *o, const char *prefix)
{
	int fd = establish_with(TWO, o);

	announce(fd, prefix);
	end_of_rib(fd, FAM_IPV4);
	lose(fd, TWO);
}

START_TEST(test_short_then_long)
{
	struct bgp_open o = long_open(1, 1);

	apply_one((struct peer_options){0});
	come_and_go(&o, "10.1.0.0/24");
	ck_assert(!is_long_lived("10.1.0.0/24"));
	ck_assert_uint_eq(peer_of(TWO)->stale, V4);
	ck_assert(left() > 0 && left() <= MONO_SEC);
	TURN_UNTIL(is_long_lived("10.1.0.0/24"), 3);
	ck_assert(left() > 0 && left() <= MONO_SEC);
	TURN_UNTIL(routes("10.1.0.0/24") == 0, 3);
	ck_assert_uint_eq(peer_of(TWO)->stale | peer_of(TWO)->helper.long_lived, 0);
	ck_assert_uint_eq(left(), 0);
}
END_TEST

/* Without the short time, or with a family that it does not cover, the long one begins at once. */
START_TEST(test_long_alone)
{
	struct bgp_open o = long_open(0, 100);

	if (_i) {
		o.gr_time = 100;
		o.gr_families = o.gr_forwarding = 0;
	}
	apply_one((struct peer_options){0});
	come_and_go(&o, "10.1.0.0/24");
	ck_assert(is_long_lived("10.1.0.0/24"));
	ck_assert(left() > 90 * MONO_SEC && left() <= 100 * MONO_SEC);
}
END_TEST

/* Who is back and kept forwarding repeats what there is until End-of-RIB; anybody else has lost it. */
static const struct back {
	const char *what;
	bool llgr, forwarding, kept;
} backs[] = {
    {"with forwarding kept", true, true, true},
    {"without", true, false, false},
    {"without the capability", false, false, false},
};

START_TEST(test_back)
{
	struct bgp_open o = long_open(0, 100);
	int fd;

	apply_one((struct peer_options){0});
	come_and_go(&o, "10.1.0.0/24");
	o.llgr = backs[_i].llgr;
	o.llgr_forwarding = backs[_i].forwarding ? V4 : 0;
	fd = establish_with(TWO, &o);
	ck_assert_msg(is_long_lived("10.1.0.0/24") == backs[_i].kept, "%s", backs[_i].what);
	announce(fd, "10.2.0.0/24");
	end_of_rib(fd, FAM_IPV4);
	ck_assert_uint_eq(routes("10.1.0.0/24"), 0);
	ck_assert_uint_eq(routes("10.2.0.0/24"), 1);
	ck_assert_uint_eq(left(), 0);
	close(fd);
}
END_TEST

/* Down again before End-of-RIB: the clock goes on as it was, whatever the peer says now; what it sent meanwhile is
 * stale for its restart time first. */
START_TEST(test_consecutive)
{
	struct bgp_open o = long_open(0, 100);
	uint64_t before;
	int fd;

	apply_one((struct peer_options){0});
	come_and_go(&o, "10.1.0.0/24");
	before = left();
	o = long_open(1, 4000);
	fd = establish_with(TWO, &o);
	announce(fd, "10.2.0.0/24");
	settle();
	lose(fd, TWO);
	ck_assert_uint_eq(routes("10.1.0.0/24") + routes("10.2.0.0/24"), 2);
	ck_assert_uint_eq(rib_peer_stats(peer_of(TWO)->rib).long_lived[FAM_IPV4], 1);
	ck_assert_uint_eq(rib_peer_stats(peer_of(TWO)->rib).stale[FAM_IPV4], 2);
	ck_assert_uint_lt(left(), before);
	TURN_UNTIL(rib_peer_stats(peer_of(TWO)->rib).long_lived[FAM_IPV4] == 2, 3);
	ck_assert_uint_lt(left(), before);
	ck_assert_uint_gt(left(), 90 * MONO_SEC);
	/* Only a session that is complete starts it anew. */
	fd = establish_with(TWO, &o);
	announce(fd, "10.1.0.0/24");
	end_of_rib(fd, FAM_IPV4);
	lose(fd, TWO);
	ck_assert_uint_eq(rib_peer_stats(peer_of(TWO)->rib).long_lived[FAM_IPV4], 0);
	TURN_UNTIL(is_long_lived("10.1.0.0/24"), 3);
	ck_assert_uint_gt(left(), 3900 * MONO_SEC);
}
END_TEST

/* Twice stale in the short time: with the long one it is not lost (RFC 9494 4.2), but has no more than that. */
START_TEST(test_consecutive_short)
{
	struct bgp_open o = long_open(100, 200);
	int fd;

	apply_one((struct peer_options){0});
	come_and_go(&o, "10.1.0.0/24");
	fd = establish_with(TWO, &o);
	announce(fd, "10.2.0.0/24");
	settle();
	lose(fd, TWO);
	ck_assert(is_long_lived("10.1.0.0/24"));
	ck_assert_uint_eq(rib_peer_stats(peer_of(TWO)->rib).long_lived[FAM_IPV4], 1);
	ck_assert_uint_eq(rib_peer_stats(peer_of(TWO)->rib).stale[FAM_IPV4], 2);
}
END_TEST

/* A peer that comes back and never says End-of-RIB: no more is waited for than its restart time, or ours. */
START_TEST(test_never_complete)
{
	struct bgp_open o = long_open(_i ? 0 : 1, 100);
	struct peer_want w[] = {want(TWO, V4)};
	int fd;

	w[0].restart_time = 1;
	apply(w, 1);
	come_and_go(&o, "10.1.0.0/24");
	TURN_UNTIL(is_long_lived("10.1.0.0/24"), 3);
	fd = establish_with(TWO, &o);
	ck_assert(is_long_lived("10.1.0.0/24"));
	TURN_UNTIL(routes("10.1.0.0/24") == 0, 3);
	ck_assert(is_up(TWO));
	close(fd);
}
END_TEST

/* What is meant is no restart, and who does not want to help does not. */
START_TEST(test_not_kept)
{
	struct bgp_open o = long_open(0, 100);
	int fd;

	apply_one((struct peer_options){.prefix_limit = 1});
	fd = establish_with(TWO, &o);
	announce(fd, "10.1.0.0/24");
	announce(fd, "10.2.0.0/24");
	TURN_UNTIL(!is_up(TWO), 3);
	ck_assert_uint_eq(routes("10.1.0.0/24"), 0);
	close(fd);
	d.config.graceful_restart = false;
	apply_one((struct peer_options){0});
	come_and_go(&o, "10.1.0.0/24");
	ck_assert_uint_eq(routes("10.1.0.0/24"), 0);
	ck_assert_uint_eq(peer_of(TWO)->stale, 0);
}
END_TEST

/* The OPEN that the daemon sends. */
static struct bgp_open offered(void)
{
	uint8_t room[BGP_MAX_MESSAGE];
	size_t have = 0;
	struct bgp_error err;
	struct bgp_open o;
	struct bgp_msg m;
	int fd = dial(TWO);

	for (unsigned i = 0; i < 200; i++) {
		ssize_t got = read(fd, room + have, sizeof room - have);

		have += got > 0 ? (size_t)got : 0;
		loop_turn(d.loop, false);
	}
	ck_assert_int_gt(bgp_msg_next(&m, room, have, BGP_MAX_MESSAGE, &err), 0);
	ck_assert_uint_eq(m.type, BGP_OPEN);
	ck_assert_int_eq(bgp_open_decode(&o, m.body).action, BGP_OK);
	close(fd);
	settle();
	return o;
}

START_TEST(test_offer)
{
	struct bgp_open o;

	apply_one((struct peer_options){0});
	o = offered();
	ck_assert(o.llgr && o.llgr_families == 0);
	d.config.llgr_time = 3600;
	apply_one((struct peer_options){0});
	o = offered();
	ck_assert(o.llgr && o.llgr_families == V4 && o.llgr_forwarding == V4 && o.llgr_time[FAM_IPV4] == 3600);
	apply_one((struct peer_options){.llgr_time = 7200});
	ck_assert_uint_eq(offered().llgr_time[FAM_IPV4], 7200);
	d.config.graceful_restart = false;
	apply_one((struct peer_options){.llgr_time = 7200});
	o = offered();
	ck_assert(!o.gr && !o.llgr);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("helper");

	tcase_add_test(tc, test_short_then_long);
	tcase_add_loop_test(tc, test_long_alone, 0, 2);
	tcase_add_loop_test(tc, test_back, 0, sizeof backs / sizeof *backs);
	tcase_add_test(tc, test_consecutive);
	tcase_add_test(tc, test_consecutive_short);
	tcase_add_loop_test(tc, test_never_complete, 0, 2);
	tcase_add_test(tc, test_not_kept);
	tcase_add_test(tc, test_offer);
	return rig_run(tc, "helper");
}
