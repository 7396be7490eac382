/* Gateways that are declared down while their links are up: they leave groups at once, and are back. */
#include <net/if.h>

#include "tests/unit/fib/net.h"

#define VIA0 "nexthop via 10.0.0.2 dev eth0 weight 1 onlink"
#define VIA1 "nexthop via 10.0.1.2 dev eth1 weight 1 onlink"
#define BOTH "10.1.0.0/26 proto 186 metric 1024\n\t" VIA0 "\n\t" VIA1
#define ONLY(n) "10.1.0.0/26 via 10.0." #n ".2 dev eth" #n " proto 186 metric 1024 onlink"

static struct net *new_synced(void)
{
	struct net *n = net_new();

	net_start(n);
	net_synced(n);
	return n;
}

static void down(struct net *n, const char *gateway)
{
	struct addr a = A(gateway);

	fib_gateway_down(n->fib, &a);
}

static void up(struct net *n, const char *gateway)
{
	struct addr a = A(gateway);

	fib_gateway_up(n->fib, &a);
}

static void set_two(struct net *n, const char *prefix, const char *one, const char *other)
{
	struct fib_hop hops[2] = {{.gateway = A(one)}, {.gateway = A(other)}};

	set_hops(n, prefix, 1024, FIB_BGP, FIB_VIA, 2, hops);
}

static void watch(struct net *n, const char *nh)
{
	struct addr a = A(nh);

	fib_nexthop_watch(n->fib, &a);
}

static enum fib_place place(struct net *n, const char *nh)
{
	struct addr a = A(nh);

	return fib_place_of(n->fib, &a);
}

START_TEST(leaves_group)
{
	struct net *n = new_synced();

	set_two(n, "10.1.0.0/26", "10.0.0.2", "10.0.1.2");
	set_two(n, "fd01::/122", "fd00::2", "fd00:1::2");
	WAIT_ROUTES(n, "10.1.0.0/26", BOTH);
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).writes, 2);
	down(n, "10.0.0.2");
	WAIT_ROUTES(n, "10.1.0.0/26", ONLY(1));
	ck_assert_str_eq(explain(n, "10.1.0.1").reason, "without gateway 10.0.0.2, which BFD says is down");
	ck_assert_int_eq(state(n, "10.1.0.1"), FIB_INSTALLED);
	down(n, "10.0.0.2");
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).writes, 3);
	up(n, "10.0.0.2");
	WAIT_ROUTES(n, "10.1.0.0/26", BOTH);
	ck_assert_str_eq(explain(n, "10.1.0.1").reason, "");
	up(n, "10.0.0.2");
	down(n, "fd00:1::2");
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fd00::2 dev eth0 proto 186 metric 1024 onlink");
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).writes, 5);
	ck_assert_uint_eq(fib_stats(n->fib).deletes, 0);
	net_free(n);
}
END_TEST

/* What has no other way goes, as with a dead link; who watches is told, and may have another. */
START_TEST(last_one_goes)
{
	struct net *n = new_synced();

	set_via(n, "10.2.0.0/26", 1024, "10.0.0.2");
	set_two(n, "10.1.0.0/26", "10.0.0.2", "10.0.1.2");
	WAIT_ROUTES(n, "10.1.0.0/26", BOTH);
	watch(n, "10.0.0.2");
	WAIT(n, n->told == 1 && n->reachable);
	down(n, "10.0.0.2");
	WAIT(n, n->told == 2 && !n->reachable);
	WAIT_ROUTES(n, "10.1.0.0/26", ONLY(1));
	WAIT_ROUTES(n, "10.2.0.0/26", "");
	ck_assert_int_eq(state(n, "10.2.0.1"), FIB_UNRESOLVED);
	ck_assert_str_eq(explain(n, "10.2.0.1").reason, "next hop 10.0.0.2 on eth0: BFD says that the gateway is down");
	down(n, "10.0.1.2");
	WAIT_ROUTES(n, "10.1.0.0/26", "");
	up(n, "10.0.0.2");
	WAIT(n, n->told == 3 && n->reachable);
	WAIT_ROUTES(n, "10.1.0.0/26", ONLY(0));
	WAIT_ROUTES(n, "10.2.0.0/26", "10.2.0.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	net_free(n);
}
END_TEST

/* Wanted otherwise in the same turn, it is replaced and never missing. */
START_TEST(other_way_in_time)
{
	struct net *n = new_synced();

	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	WAIT_ROUTES(n, "10.1.0.0/26", ONLY(0));
	net_settle(n);
	down(n, "10.0.0.2");
	set_via(n, "10.1.0.0/26", 1024, "10.0.1.2");
	WAIT_ROUTES(n, "10.1.0.0/26", ONLY(1));
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).writes, 2);
	ck_assert_uint_eq(fib_stats(n->fib).deletes, 0);
	net_free(n);
}
END_TEST

/* A next hop behind gateways, of which one is down. */
START_TEST(recursive)
{
	struct net *n = new_synced();

	run("ip route add 172.16.0.0/16 proto static nexthop via 10.0.0.2 nexthop via 10.0.1.2");
	set_via(n, "10.1.0.0/26", 1024, "172.16.0.9");
	WAIT_ROUTES(n, "10.1.0.0/26", BOTH);
	watch(n, "172.16.0.9");
	WAIT(n, n->told >= 1 && n->reachable);
	down(n, "10.0.1.2");
	WAIT_ROUTES(n, "10.1.0.0/26", ONLY(0));
	ck_assert_str_eq(explain(n, "10.1.0.1").reason, "without gateway 10.0.1.2, which BFD says is down");
	down(n, "10.0.0.2");
	WAIT(n, n->told >= 2 && !n->reachable);
	up(n, "10.0.1.2");
	WAIT(n, n->told >= 3 && n->reachable);
	WAIT_ROUTES(n, "10.1.0.0/26", ONLY(1));
	up(n, "10.0.0.2");
	WAIT_ROUTES(n, "10.1.0.0/26", BOTH);
	/* The far next hop itself. */
	down(n, "172.16.0.9");
	WAIT(n, n->told >= 4 && !n->reachable);
	WAIT_ROUTES(n, "10.1.0.0/26", "");
	/* The route that leads there is another one while a gateway is down. */
	up(n, "172.16.0.9");
	down(n, "10.0.1.2");
	WAIT_ROUTES(n, "10.1.0.0/26", ONLY(0));
	run("ip route change 172.16.0.0/16 via 10.0.1.3 proto static");
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.1.3 dev eth1 proto 186 metric 1024 onlink");
	net_free(n);
}
END_TEST

/* What comes while a gateway is down does without it from the start. */
START_TEST(down_before)
{
	struct net *n = new_synced();

	down(n, "10.0.0.2");
	set_two(n, "10.1.0.0/26", "10.0.0.2", "10.0.1.2");
	WAIT_ROUTES(n, "10.1.0.0/26", ONLY(1));
	watch(n, "10.0.0.2");
	WAIT(n, n->told == 1 && !n->reachable);
	/* Neither a dead link nor a dead gateway is a way. */
	run("ip link set eth1 down");
	WAIT_ROUTES(n, "10.1.0.0/26", "");
	net_free(n);
}
END_TEST

/* The same link-local address on two links is two gateways. */
START_TEST(link_local)
{
	struct net *n = new_synced();
	struct addr one = A("fe80::1"), other = one;
	struct fib_hop hops[2] = {{.ifname = ""}};

	one = addr_on_link(&one, if_nametoindex("eth0"));
	other = addr_on_link(&other, if_nametoindex("eth1"));
	hops[0].gateway = one;
	hops[1].gateway = other;
	set_hops(n, "fd01::/122", 1024, FIB_BGP, FIB_VIA, 2, hops);
	WAIT(n, strstr(routes("fd01::/122"), "dev eth0") && strstr(routes("fd01::/122"), "dev eth1"));
	fib_gateway_down(n->fib, &other);
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fe80::1 dev eth0 proto 186 metric 1024 onlink");
	fib_gateway_up(n->fib, &one);
	fib_gateway_up(n->fib, &other);
	WAIT(n, strstr(routes("fd01::/122"), "dev eth0") && strstr(routes("fd01::/122"), "dev eth1"));
	fib_gateway_down(n->fib, &one);
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fe80::1 dev eth1 proto 186 metric 1024 onlink");
	net_free(n);
}
END_TEST

/* An IPv6 next hop's link-local address is the gateway then, but BFD may watch either. */
START_TEST(both_addresses)
{
	struct net *n = new_synced();
	struct addr local = A("fe80::2");
	struct fib_hop hop = {.gateway = A("fd00::2")};

	local = hop.link_local = addr_on_link(&local, if_nametoindex("eth0"));
	set_hops(n, "fd01::/122", 1024, FIB_BGP, FIB_VIA, 1, &hop);
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fe80::2 dev eth0 proto 186 metric 1024 onlink");
	down(n, "fd00::2");
	WAIT_ROUTES(n, "fd01::/122", "");
	up(n, "fd00::2");
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fe80::2 dev eth0 proto 186 metric 1024 onlink");
	fib_gateway_down(n->fib, &local);
	WAIT_ROUTES(n, "fd01::/122", "");
	fib_gateway_up(n->fib, &local);
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fe80::2 dev eth0 proto 186 metric 1024 onlink");
	net_free(n);
}
END_TEST

START_TEST(places)
{
	struct net *n = new_synced();

	ck_assert_int_eq(place(n, "10.0.0.2"), FIB_CONNECTED);
	ck_assert_int_eq(place(n, "fd00:1::9"), FIB_CONNECTED);
	ck_assert_int_eq(place(n, "172.16.0.9"), FIB_NOWHERE);
	watch(n, "172.16.0.9");
	WAIT(n, n->told == 1);
	run("ip route add default via 10.0.0.254 proto static metric 0");
	WAIT(n, n->told == 2 && n->reachable);
	ck_assert_int_eq(place(n, "172.16.0.9"), FIB_BEHIND_ROUTERS);
	/* Neither reachability nor metric changes, but the place does. */
	run("ip addr add 172.16.0.1/16 dev eth1 metric 0");
	WAIT(n, n->told == 3);
	ck_assert_int_eq(place(n, "172.16.0.9"), FIB_CONNECTED);
	ck_assert_uint_eq(n->metric, 0);
	run("ip route add unreachable 172.16.0.0/24 proto static");
	WAIT(n, n->told == 4 && !n->reachable);
	ck_assert_int_eq(place(n, "172.16.0.9"), FIB_NOWHERE);
	run("ip route replace default dev eth1 proto static metric 0");
	WAIT(n, place(n, "192.0.2.1") == FIB_BEHIND_ROUTERS);
	net_free(n);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
	    leaves_group, last_one_goes, other_way_in_time, recursive, down_before, link_local, both_addresses, places,
	};

	return net_run("fib/gateways", tests, sizeof tests / sizeof tests[0]);
}
