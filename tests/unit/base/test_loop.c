#include "daemon/base/loop.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/base/mono.h"

static void count_cb(void *arg)
{
	(*(int *)arg)++;
}

static void io_cb(void *arg, int events)
{
	*(int *)arg |= events;
}

static void signal_cb(void *arg, int signo)
{
	*(int *)arg = signo;
}

START_TEST(test_timer)
{
	struct loop *l = loop_new();
	struct loop_timer a = {0}, b = {0};
	int fired = 0, stopped = 0;

	ck_assert(!loop_timer_is_set(&a));
	loop_timer_set(l, &a, 5 * MONO_MSEC, count_cb, &fired);
	loop_timer_set(l, &b, 1 * MONO_MSEC, count_cb, &stopped);
	ck_assert(loop_timer_left(l, &a) <= 5 * MONO_MSEC);
	ck_assert(loop_timer_left(l, &a) > 0);
	loop_timer_stop(l, &b);
	while (!fired)
		loop_turn(l, true);
	ck_assert_int_eq(fired, 1);
	ck_assert_int_eq(stopped, 0);
	ck_assert(!loop_timer_is_set(&a));
	loop_free(l);
}
END_TEST

START_TEST(test_io)
{
	struct loop *l = loop_new();
	struct loop_io w = {0};
	int fd[2], seen = 0;

	ck_assert_int_eq(pipe(fd), 0);
	loop_io_set(l, &w, fd[0], LOOP_READ, io_cb, &seen);
	loop_turn(l, false);
	ck_assert_int_eq(seen, 0);
	ck_assert_int_eq(write(fd[1], "x", 1), 1);
	loop_turn(l, true);
	ck_assert_int_eq(seen, LOOP_READ);
	seen = 0;
	loop_io_set(l, &w, fd[0], 0, io_cb, &seen);
	loop_turn(l, false);
	ck_assert_int_eq(seen, 0);
	loop_io_set(l, &w, fd[1], LOOP_WRITE, io_cb, &seen);
	loop_turn(l, true);
	ck_assert_int_eq(seen, LOOP_WRITE);
	loop_io_stop(l, &w);
	loop_free(l);
}
END_TEST

START_TEST(test_signal)
{
	struct loop *l = loop_new();
	struct loop_signal s = {0};
	int got = 0;

	loop_signal_set(l, &s, SIGUSR1, signal_cb, &got);
	raise(SIGUSR1);
	while (!got)
		loop_turn(l, true);
	ck_assert_int_eq(got, SIGUSR1);
	loop_signal_stop(l, &s);
	loop_free(l);
}
END_TEST

struct job {
	struct loop_work work;
	struct loop *loop;
	struct job *cancels;
	int left, runs, *order, rank_seen;
};

static bool job_run(void *arg, uint64_t deadline)
{
	struct job *j = arg;

	ck_assert(deadline > mono_now());
	j->runs++;
	if (j->order)
		j->rank_seen = (*j->order)++;
	if (j->cancels)
		loop_work_cancel(j->loop, &j->cancels->work);
	return --j->left > 0;
}

static struct job job_make(struct loop *l, enum loop_rank rank)
{
	return (struct job){.work = {.run = job_run, .rank = (uint8_t)rank}, .loop = l, .left = 1};
}

/* Work runs in the order of ranks, whatever order it was queued in; what is left makes the loop not sleep. */
START_TEST(test_work)
{
	struct loop *l = loop_new();
	struct job send = job_make(l, LOOP_RANK_SEND), decide = job_make(l, LOOP_RANK_DECIDE);
	int order = 0;

	send.work.arg = &send;
	decide.work.arg = &decide;
	send.order = decide.order = &order;
	decide.left = 3;
	loop_work_schedule(l, &send.work);
	loop_work_schedule(l, &decide.work);
	loop_work_schedule(l, &decide.work);
	loop_turn(l, false);
	ck_assert_int_eq(decide.rank_seen, 0);
	ck_assert_int_eq(send.rank_seen, 1);
	ck_assert_int_eq(decide.runs, 1);
	/* Were the loop to sleep with work left, this would hang. */
	loop_turn(l, true);
	loop_turn(l, false);
	ck_assert_int_eq(decide.runs, 3);
	ck_assert_int_eq(send.runs, 1);
	ck_assert(!decide.work.queued);
	ck_assert_uint_gt(loop_stats(l)->turns, 0);
	loop_free(l);
}
END_TEST

/* Work may cancel work that is queued behind it in the same turn. */
START_TEST(test_work_cancels)
{
	struct loop *l = loop_new();
	struct job first = job_make(l, LOOP_RANK_FIB), second = job_make(l, LOOP_RANK_FIB),
		   third = job_make(l, LOOP_RANK_FIB);

	first.work.arg = &first;
	second.work.arg = &second;
	third.work.arg = &third;
	first.cancels = &second;
	loop_work_schedule(l, &first.work);
	loop_work_schedule(l, &second.work);
	loop_work_schedule(l, &third.work);
	loop_turn(l, false);
	ck_assert_int_eq(first.runs, 1);
	ck_assert_int_eq(second.runs, 0);
	ck_assert_int_eq(third.runs, 1);
	loop_free(l);
}
END_TEST

static void take_line(void *arg, enum log_level level, const char *line)
{
	char **out = arg;

	(void)level;
	free(*out);
	*out = malloc(200);
	snprintf(*out, 200, "%s", line);
}

START_TEST(test_log)
{
	char *line = NULL;
	struct log_limit limit = {0};
	uint32_t suppressed = 99;
	int allowed = 0;

	log_setup(LOG_LVL_INFO, false);
	log_redirect(take_line, &line);
	log_debug("x", "not %s", "seen");
	ck_assert_ptr_null(line);
	log_info("x", "from a peer: \x1b[31m\n%d", 7);
	ck_assert_str_eq(line, "from a peer: ?[31m?7");
	log_redirect(NULL, NULL);
	free(line);

	mono_fake(1000 * MONO_SEC);
	for (int i = 0; i < 10; i++)
		allowed += log_allowed(&limit, 3, MONO_SEC, &suppressed);
	ck_assert_int_eq(allowed, 3);
	mono_fake(1001 * MONO_SEC);
	ck_assert(log_allowed(&limit, 3, MONO_SEC, &suppressed));
	ck_assert_uint_eq(suppressed, 7);
	mono_fake(0);
}
END_TEST

START_TEST(test_durations)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} row[] = {{0, "0ms"},
		   {350 * MONO_MSEC, "350ms"},
		   {12 * MONO_SEC, "12s"},
		   {307 * MONO_SEC, "5m07s"},
		   {7800 * MONO_SEC, "2h10m"},
		   {273600 * MONO_SEC, "3d04h"}};
	char buf[16];

	for (size_t i = 0; i < sizeof row / sizeof *row; i++)
		ck_assert_str_eq(mono_format(row[i].ns, buf), row[i].text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("loop");
	TCase *t = tcase_create("loop");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(t, test_timer);
	tcase_add_test(t, test_io);
	tcase_add_test(t, test_signal);
	tcase_add_test(t, test_work);
	tcase_add_test(t, test_work_cancels);
	tcase_add_test(t, test_log);
	tcase_add_test(t, test_durations);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
