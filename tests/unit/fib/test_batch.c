/* Many routes at once, and what the kernel refuses among them. */
#include <linux/capability.h>
#include <sys/syscall.h>

#include "tests/unit/fib/net.h"

static void prefix_of(unsigned i, bool ipv6, char out[static 48])
{
	if (ipv6)
		snprintf(out, 48, "fd20:%x:%x::/64", i >> 8, i & 255);
	else
		snprintf(out, 48, "20.%u.%u.0/26", i >> 8, i & 255);
}

static void set_many(struct net *n, unsigned count, bool ipv6, const char *gateway)
{
	char prefix[48];

	for (unsigned i = 0; i < count; i++) {
		prefix_of(i, ipv6, prefix);
		set_via(n, prefix, 1024, gateway);
	}
}

static unsigned count_routes(const char *what)
{
	return (unsigned)atoi(output("ip %s | wc -l", what));
}

START_TEST(twenty_thousand)
{
	struct net *n = net_new();
	struct fib_stats s;
	char prefix[48];

	net_start(n);
	net_synced(n);
	set_many(n, 10000, false, "10.0.0.2");
	set_many(n, 10000, true, "fd00::2");
	/* The kernel's word of the last route may come before the thread's of the last batch. */
	WAIT(n, net_is_idle(n) && fib_stats(n->fib).installed == 20000 && fib_stats(n->fib).last_batch_ns);
	s = fib_stats(n->fib);
	ck_assert_uint_eq(s.writes, 20000);
	ck_assert_uint_eq(s.errors + s.resyncs + s.repaired, 0);
	ck_assert_uint_le(s.batches, 20000 / 64 + 64);
	ck_assert_uint_gt(s.last_batch_ns, 0);
	ck_assert_uint_eq(count_routes("-4 route show via 10.0.0.2"), 10000);
	ck_assert_uint_eq(count_routes("-6 route show via fd00::2"), 10000);
	/* All of them change, in place. */
	set_many(n, 10000, false, "10.0.1.3");
	set_many(n, 10000, true, "fd00:1::3");
	net_settle(n);
	WAIT(n, net_is_idle(n) && fib_stats(n->fib).installed == 20000);
	ck_assert_uint_eq(count_routes("-4 route show via 10.0.1.3"), 10000);
	ck_assert_uint_eq(count_routes("-6 route show via fd00:1::3"), 10000);
	s = fib_stats(n->fib);
	ck_assert_uint_eq(s.writes, 40000);
	ck_assert_uint_eq(s.deletes + s.errors, 0);
	for (unsigned i = 0; i < 10000; i++) {
		prefix_of(i, i & 1, prefix);
		unset(n, prefix, FIB_BGP);
	}
	WAIT(n, net_is_idle(n) && fib_stats(n->fib).deletes == 10000);
	ck_assert_uint_eq(count_routes("-4 route show proto 186"), 5000);
	ck_assert_uint_eq(count_routes("-6 route show proto 186"), 5000);
	net_free(n);
}
END_TEST

/* What is wanted and given up, or changed back, before the batch goes out is never written. */
START_TEST(only_the_newest_is_written)
{
	struct net *n = net_new();

	net_start(n);
	net_synced(n);
	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	net_settle(n);
	for (unsigned i = 0; i < 100; i++) {
		set_via(n, "10.1.0.0/26", 1024, i & 1 ? "10.0.0.2" : "10.0.0.3");
		set_via(n, "10.2.0.0/26", 1024, "10.0.0.2");
		unset(n, "10.2.0.0/26", FIB_BGP);
	}
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).writes, 1);
	ck_assert_uint_eq(fib_stats(n->fib).deletes, 0);
	net_free(n);
}
END_TEST

/* The kernel refuses the broadcast address as a gateway: this one fails among many, is retried, and goes through when
 * it is one no longer. */
START_TEST(refused_among_many)
{
	struct net *n = net_new();
	struct fib_view v;

	net_start(n);
	set_many(n, 500, false, "10.0.0.2");
	set_via(n, "10.1.0.0/26", 1024, "10.0.0.255");
	for (unsigned i = 500; i < 1000; i++) {
		char prefix[48];
		prefix_of(i, false, prefix);
		set_via(n, prefix, 1024, "10.0.0.2");
	}
	WAIT(n, fib_stats(n->fib).installed == 1000 && fib_stats(n->fib).failed == 1);
	v = explain(n, "10.1.0.1");
	ck_assert_int_eq(v.state, FIB_FAILED);
	ck_assert_str_eq(v.reason,
			 "the kernel refused: Invalid argument: Nexthop has invalid gateway: will be retried");
	/* With back-off: not more than a handful of times in a second. */
	WAIT(n, fib_stats(n->fib).errors >= 3);
	ck_assert_uint_le(fib_stats(n->fib).errors, 5);
	run("ip addr add 10.0.0.1/16 dev eth0; ip addr del 10.0.0.1/24 dev eth0");
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.0.255 dev eth0 proto 186 metric 1024 onlink");
	net_settle(n);
	ck_assert_int_eq(state(n, "10.1.0.1"), FIB_INSTALLED);
	ck_assert_uint_eq(fib_stats(n->fib).failed, 0);
	net_free(n);
}
END_TEST

/* A refused route that is wanted no more, or wanted otherwise, does not linger. */
START_TEST(refused_and_changed)
{
	struct net *n = net_new();

	net_start(n);
	net_synced(n);
	set_via(n, "10.1.0.0/26", 1024, "10.0.0.255");
	set_via(n, "10.2.0.0/26", 1024, "10.0.0.255");
	WAIT(n, fib_stats(n->fib).failed == 2);
	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	unset(n, "10.2.0.0/26", FIB_BGP);
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	net_settle(n);
	ck_assert_uint_eq(routes_count(&n->fib->routes), 1);
	ck_assert_uint_eq(n->fib->backoffs.count, 0);
	ck_assert_uint_eq(n->fib->routes.extras.count, 0);
	net_free(n);
}
END_TEST

static void drop_privilege(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};

	ck_assert_msg(syscall(SYS_capset, &h, none) == 0, "capset: %s", strerror(errno));
}

/* What the kernel has stays, the rest says why it does not come, and one line says what to do. */
START_TEST(privilege_is_lost)
{
	struct strbuf problems = {0};
	struct net *n = net_new();

	net_start(n);
	net_synced(n);
	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	WAIT(n, state(n, "10.1.0.1") == FIB_INSTALLED);
	drop_privilege();
	set_many(n, 100, false, "10.0.0.2");
	unset(n, "10.1.0.0/26", FIB_BGP);
	WAIT(n, fib_stats(n->fib).failed == 101);
	ck_assert_str_eq(explain(n, "20.0.0.1").reason, "the kernel refused: Operation not permitted: will be retried");
	ck_assert_str_ne(routes("10.1.0.0/26"), "");
	fib_problems(n->fib, &problems);
	ck_assert_msg(strstr(problems.s, "CAP_NET_ADMIN"), "%s", problems.s);
	ck_assert_ptr_null(strchr(problems.s, '\n')[1] ? problems.s : NULL);
	strbuf_free(&problems);
	net_free(n);
}
END_TEST

/* A removal for what is gone already is no error. */
START_TEST(removed_by_others_at_the_same_time)
{
	struct net *n = net_new();

	net_start(n);
	net_synced(n);
	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	WAIT(n, state(n, "10.1.0.1") == FIB_INSTALLED);
	net_settle(n);
	unset(n, "10.1.0.0/26", FIB_BGP);
	run("ip route del 10.1.0.0/26");
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).errors, 0);
	ck_assert_uint_eq(routes_count(&n->fib->routes), 0);
	net_free(n);
}
END_TEST

/* Freed with requests under way, whatever was answered or not: nothing leaks, nothing is touched afterwards
 * (sanitizers). */
START_TEST(freed_in_the_middle)
{
	struct net *n = net_new();

	net_start(n);
	set_many(n, 3000, false, "10.0.0.2");
	set_via(n, "10.1.0.0/26", 1024, "10.0.0.255");
	set_workload(n, "10.1.0.5/32", 1024, "cali1", "ee:ee:ee:00:00:05");
	run("ip link add cali1 type veth peer name p; ip link set cali1 up");
	loop_turn(n->loop, true);
	net_stop(n);
	net_start(n);
	ck_assert_uint_gt(fib_stats(n->fib).stale, 0);
	net_free(n);
}
END_TEST

int main(void)
{
	/* The last one only where the thread that loses its privilege is the one that sends. */
	const TTest *const tests[] = {
	    twenty_thousand,	 only_the_newest_is_written,	     refused_among_many,
	    refused_and_changed, removed_by_others_at_the_same_time, freed_in_the_middle,
	    privilege_is_lost,
	};
	size_t count = sizeof tests / sizeof *tests;
	Suite *s = suite_create("fib/batch");

	net_add(s, "batch", tests, count, NULL);
	net_add(s, "by thread", tests, count - 1, net_set_thread);
	return net_run_suite(s);
}
