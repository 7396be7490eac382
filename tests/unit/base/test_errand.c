/* Errands: the answer comes in the loop, in whole; one that is forgotten tells nothing, and hurts nobody later. */
#include "daemon/base/errand.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/mem.h"
#include "daemon/base/mono.h"

#define DEADLINE (20 * MONO_SEC)

struct question {
	int go; /* the thread waits until this pipe says something, or is closed */
	unsigned n;
};
struct answer {
	unsigned n;
	char filler[40000];
};

static void work(void *question, void *answer)
{
	struct question *q = question;
	struct answer *a = answer;
	char c;

	ck_assert_int_ge(read(q->go, &c, 1), 0);
	close(q->go);
	a->n = 2 * q->n;
	memset(a->filler, 'x', sizeof a->filler);
}

struct heard {
	unsigned times, n;
};

static void on_answer(void *arg, const void *answer)
{
	struct heard *h = arg;
	const struct answer *a = answer;

	ck_assert_ptr_nonnull(a);
	h->times++;
	h->n = a->n;
	ck_assert_int_eq(a->filler[sizeof a->filler - 1], 'x');
}

/* Returns the end that lets the thread go. */
static int send_out(struct errand *e, struct loop *l, unsigned n, struct heard *h)
{
	struct question *q = mem_calloc(1, sizeof *q);
	int pair[2];

	ck_assert_int_eq(pipe(pair), 0);
	*q = (struct question){.go = pair[0], .n = n};
	ck_assert(errand_start(e, l, work, q, sizeof(struct answer), on_answer, h));
	ck_assert(e->out);
	return pair[1];
}

static void wait_answer(struct loop *l, const struct errand *e)
{
	uint64_t until = mono_now() + DEADLINE;

	while (e->out && mono_now() < until) {
		loop_turn(l, false);
		usleep(500);
	}
	ck_assert(!e->out);
}

START_TEST(test_answers)
{
	struct loop *l = loop_new();
	struct errand one = {0}, other = {0};
	struct heard of_one = {0}, of_other = {0};
	int go_one = send_out(&one, l, 4, &of_one), go_other = send_out(&other, l, 5, &of_other);

	/* The loop does not wait for them, nor they for each other. */
	loop_turn(l, false);
	ck_assert(one.out && other.out);
	close(go_other);
	wait_answer(l, &other);
	ck_assert_uint_eq(of_other.n, 10);
	ck_assert_uint_eq(of_one.times, 0);
	close(go_one);
	wait_answer(l, &one);
	ck_assert_uint_eq(of_one.n, 8);
	/* And once more with the same. */
	close(send_out(&one, l, 6, &of_one));
	wait_answer(l, &one);
	ck_assert_uint_eq(of_one.n, 12);
	ck_assert_uint_eq(of_one.times, 2);
	loop_free(l);
}
END_TEST

START_TEST(test_forgotten)
{
	struct loop *l = loop_new();
	struct errand e = {0};
	struct heard first = {0}, second = {0};
	int go = send_out(&e, l, 1, &first);

	errand_forget(&e);
	ck_assert(!e.out);
	errand_forget(&e);
	/* Its thread comes back to a closed door while the next one is out. */
	close(send_out(&e, l, 2, &second));
	close(go);
	wait_answer(l, &e);
	ck_assert_uint_eq(second.n, 4);
	ck_assert_uint_eq(first.times, 0);
	loop_free(l);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("errand");
	TCase *t = tcase_create("errand");
	SRunner *sr = srunner_create(s);
	int failures;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_answers);
	tcase_add_test(t, test_forgotten);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
