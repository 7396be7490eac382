/* Addresses of the node's own, and next hops that are workloads of this node. */
#include "tests/unit/fib/net.h"

static bool has(const char *addr)
{
	return *output("ip addr show dev lo to %s", addr);
}

static void want(struct net *n, const char *addr)
{
	struct addr a = {0};

	if (addr)
		a = A(addr);
	fib_own_address_set(n->fib, addr ? family_of_af(a.af) : FAM_IPV4, &a);
}

START_TEST(address_comes_and_goes)
{
	struct net *n = net_new();

	net_start(n);
	want(n, "169.254.77.1");
	want(n, "fd77::1");
	ck_assert(has("169.254.77.1/32") && has("fd77::1/128"));
	net_settle(n);
	/* Somebody removes it. */
	run("ip addr del 169.254.77.1/32 dev lo");
	WAIT(n, has("169.254.77.1/32"));
	want(n, "169.254.77.2");
	ck_assert(!has("169.254.77.1/32") && has("169.254.77.2/32"));
	want(n, NULL);
	ck_assert(!has("169.254.77.0/24") && has("fd77::1/128"));
	/* What is there already is left as it is. */
	want(n, "10.0.0.1");
	ck_assert(!has("10.0.0.1/32"));
	fib_teardown(n->fib);
	ck_assert(!has("fd77::1/128"));
	net_settle(n);
	net_free(n);
}
END_TEST

START_TEST(nothing_without_programming)
{
	struct net *n = net_new();

	n->conf.programming = false;
	net_start(n);
	want(n, "169.254.77.1");
	ck_assert(!has("169.254.77.1/32"));
	net_free(n);
}
END_TEST

START_TEST(next_hop_is_a_workload)
{
	struct net *n = net_new();
	struct addr pod = A("10.1.0.5");

	run("ip route add default via 10.0.0.254");
	net_start(n);
	fib_nexthop_watch(n->fib, &pod);
	set_via(n, "10.200.0.0/24", 1024, "10.1.0.5");
	WAIT_ROUTES(n, "10.200.0.0/24", "10.200.0.0/24 via 10.0.0.254 dev eth0 proto 186 metric 1024 onlink");
	net_synced(n);
	/* Known before its interface: the next hop is there and nowhere else. */
	set_workload(n, "10.1.0.5/32", 1024, "cali1", NULL);
	WAIT(n, !*routes("10.200.0.0/24") && !n->reachable);
	run("ip link add cali1 type veth peer name p1; ip link set p1 up; ip link set cali1 up");
	WAIT_ROUTES(n, "10.200.0.0/24", "10.200.0.0/24 via 10.1.0.5 dev cali1 proto 186 metric 1024 onlink");
	WAIT(n, n->reachable && n->metric == 0);
	run("ip link set cali1 down");
	WAIT(n, !*routes("10.200.0.0/24") && !n->reachable);
	run("ip link set cali1 up");
	WAIT_ROUTES(n, "10.200.0.0/24", "10.200.0.0/24 via 10.1.0.5 dev cali1 proto 186 metric 1024 onlink");
	unset(n, "10.1.0.5/32", FIB_WORKLOAD);
	WAIT_ROUTES(n, "10.200.0.0/24", "10.200.0.0/24 via 10.0.0.254 dev eth0 proto 186 metric 1024 onlink");
	fib_nexthop_unwatch(n->fib, &pod);
	net_free(n);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {address_comes_and_goes, nothing_without_programming, next_hop_is_a_workload};

	return net_run("fib/own", tests, sizeof tests / sizeof *tests);
}
