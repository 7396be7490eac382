/* Names through the system's resolver: the loop never waits, what was found stays, and who stops caring is not told. */
#include "daemon/cluster/lookup.h"

#include "tests/unit/fib/net.h"

static unsigned told;

static void on_change(void *arg)
{
	ck_assert_ptr_eq(arg, &told);
	told++;
}

static void wait_for(struct loop *loop, bool (*is_so)(const struct lookup *l), const struct lookup *l)
{
	uint64_t until = mono_now() + 4 * NET_DEADLINE;

	while (!is_so(l) && mono_now() < until) {
		loop_turn(loop, false);
		usleep(1000);
	}
	ck_assert(is_so(l));
}

static bool has_ipv4(const struct lookup *l)
{
	return !addr_is_none(lookup_found(l, FAM_IPV4));
}

static bool has_problem(const struct lookup *l)
{
	return lookup_problem(l, FAM_IPV4) != NULL;
}

static bool has_none(const struct lookup *l)
{
	return !lookup_problem(l, FAM_IPV4);
}

START_TEST(test_names)
{
	struct loop *loop = loop_new();
	struct lookup *l = lookup_new(loop, on_change, &told);
	char text[ADDR_STRLEN];

	namespace_unshare();
	ck_assert_ptr_null(lookup_problem(l, FAM_IPV4));
	lookup_want(l, FAM_IPV4, "localhost", MONO_SEC / 100);
	ck_assert(!has_ipv4(l));
	wait_for(loop, has_ipv4, l);
	ck_assert_str_eq(addr_format(lookup_found(l, FAM_IPV4), text), "127.0.0.1");
	ck_assert_uint_eq(told, 1);
	ck_assert(addr_is_none(lookup_found(l, FAM_IPV6)));
	/* Again and again the same is nothing to tell. */
	for (unsigned i = 0; i < 50; i++) {
		loop_turn(loop, false);
		usleep(2000);
	}
	ck_assert_uint_eq(told, 1);
	/* Another name, which nobody has: the address of the first one is not its. */
	lookup_want(l, FAM_IPV4, "nobody.invalid", MONO_SEC / 100);
	ck_assert(!has_ipv4(l));
	wait_for(loop, has_problem, l);
	ck_assert(!has_ipv4(l));
	ck_assert_uint_eq(told, 1);
	lookup_want(l, FAM_IPV4, NULL, MONO_SEC);
	ck_assert(has_none(l));
	/* The answer comes to nobody. */
	lookup_want(l, FAM_IPV4, "localhost", MONO_SEC);
	lookup_want(l, FAM_IPV6, "localhost", MONO_SEC);
	lookup_free(l);
	loop_turn(loop, false);
	loop_free(loop);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lookup");
	TCase *t = tcase_create("lookup");
	SRunner *sr;
	int failures;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_names);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
