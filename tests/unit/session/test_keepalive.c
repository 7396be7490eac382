/* When the next KEEPALIVE goes out: jittered as RFC 4271 10 has it where sessions' timers may start together, and still
 * many sessions' at the same moment. */
#include <check.h>
#include <stdlib.h>

#include "bgp/session/internal.h"
#include "daemon/base/mono.h"

/* Each round is from another moment, since the jitter follows from the clock. */
#define ROUNDS 2000u

static uint64_t gap_after(uint64_t interval, uint64_t now)
{
	struct conn c = {.keepalive = interval};

	mono_fake(now);
	conn_keepalive_sent(&c);
	ck_assert_uint_eq(c.sent, now);
	return c.keepalive_gap;
}

/* The timer ran out, this much too late: from then on the connection keeps its moment. */
static void rings_again(struct conn *c, uint64_t late)
{
	uint64_t due = c->sent + c->keepalive_gap;

	mono_fake(due + late);
	conn_keepalive_sent(c);
	ck_assert_uint_eq(c->sent, due + late);
	ck_assert_uint_eq(c->sent + c->keepalive_gap, due + c->keepalive);
}

static const unsigned intervals[] = {1, 2, 3, 10, 30, 60, 21845};

/* From 3/4 of the interval to all of it, never below a second (4.4), and on average where jitter would be. */
START_TEST(test_jittered)
{
	uint64_t interval = intervals[_i] * MONO_SEC, sum = 0, least = UINT64_MAX, most = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t gap = gap_after(interval, 100 * MONO_SEC + i * interval / 7 * 3 + i);

		ck_assert_uint_ge(gap, MONO_SEC);
		if (interval > MONO_SEC)
			ck_assert_uint_ge(gap, interval / 4 * 3);
		ck_assert_uint_le(gap, interval);
		sum += gap;
		least = gap < least ? gap : least;
		most = gap > most ? gap : most;
	}
	if (interval == MONO_SEC)
		return;
	ck_assert_uint_lt(least, interval / 100 * 80);
	ck_assert_uint_gt(most, interval / 100 * 95);
	ck_assert_uint_ge(sum / ROUNDS, interval / 1000 * 855);
	ck_assert_uint_le(sum / ROUNDS, interval / 1000 * 895);
}
END_TEST

START_TEST(test_moment_is_kept)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct conn c = {.keepalive = 30 * MONO_SEC};

		mono_fake(1000 * MONO_SEC + i * MONO_SEC / 3);
		conn_keepalive_sent(&c);
		for (unsigned n = 0; n < 5; n++)
			rings_again(&c, n * 300 * MONO_MSEC);
		/* An UPDATE goes out: a new moment, from there. */
		mono_fake(c.sent + c.keepalive / 2);
		conn_keepalive_sent(&c);
		ck_assert_uint_ge(c.keepalive_gap, c.keepalive / 4 * 3);
		ck_assert_uint_le(c.keepalive_gap, c.keepalive);
	}
}
END_TEST

static int by_value(const void *pa, const void *pb)
{
	const uint64_t *a = pa, *b = pb;

	return (*a > *b) - (*a < *b);
}

/* Whoever was sent the last one within some tenth of the interval is sent the next one at one of a few moments, and at
 * none of them most of all. */
START_TEST(test_together)
{
	uint64_t interval = 30 * MONO_SEC, due[ROUNDS];
	unsigned moments = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t now = 1000 * MONO_SEC + interval / 10 * i / ROUNDS;

		due[i] = now + gap_after(interval, now);
	}
	qsort(due, ROUNDS, sizeof *due, by_value);
	for (unsigned i = 0, last = 0; i < ROUNDS; i++) {
		if (i + 1 < ROUNDS && due[i + 1] == due[i])
			continue;
		moments++;
		ck_assert_uint_lt(i + 1 - last, ROUNDS / 2);
		last = i + 1;
	}
	ck_assert_uint_ge(moments, 4);
	ck_assert_uint_le(moments, 6);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("keepalive");
	TCase *tc = tcase_create("keepalive");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(tc, test_jittered, 0, sizeof intervals / sizeof *intervals);
	tcase_add_test(tc, test_moment_is_kept);
	tcase_add_test(tc, test_together);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
