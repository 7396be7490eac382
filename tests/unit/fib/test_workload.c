/* Workload routes: interfaces that come, go and change, their settings and neighbours. */
#include "tests/unit/fib/net.h"

static void add_pod(const char *name)
{
	run("ip link add %s type veth peer name %.10sp", name, name);
	run("ip link set %s up; ip link set %.10sp up", name, name);
}

START_TEST(interface_before_the_intent)
{
	struct net *n = net_new();

	add_pod("cali1");
	net_start(n);
	set_workload(n, "10.1.0.5/32", 1024, "cali1", NULL);
	set_workload(n, "fd01::5/128", 1024, "cali1", NULL);
	WAIT_ROUTES(n, "10.1.0.5", "10.1.0.5 dev cali1 proto 186 scope link metric 1024");
	WAIT_ROUTES(n, "fd01::5", "fd01::5 dev cali1 proto 186 metric 1024");
	net_settle(n);
	ck_assert_int_eq(state(n, "10.1.0.5"), FIB_INSTALLED);
	ck_assert_int_eq(state(n, "fd01::5"), FIB_INSTALLED);
	ck_assert_uint_eq(fib_stats(n->fib).writes, 2);
	net_free(n);
}
END_TEST

START_TEST(interface_after_the_intent)
{
	struct net *n = net_new();

	net_start(n);
	set_workload(n, "10.1.0.5/32", 0, "cali1", NULL);
	net_settle(n);
	ck_assert_int_eq(state(n, "10.1.0.5"), FIB_UNRESOLVED);
	ck_assert_str_eq(explain(n, "10.1.0.5").reason, "interface cali1: no such interface");
	run("ip link add cali1 type veth peer name p");
	WAIT(n, strcmp(explain(n, "10.1.0.5").reason, "interface cali1: interface is down") == 0);
	run("ip link set cali1 up");
	WAIT_ROUTES(n, "10.1.0.5", "10.1.0.5 dev cali1 proto 186 scope link");
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).errors, 0);
	net_free(n);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		interface_before_the_intent,
		interface_after_the_intent,
	};

	return net_run("fib/workload", tests, sizeof tests / sizeof *tests);
}
