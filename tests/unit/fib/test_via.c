/* Routes by gateways: direct, onlink, recursive, several; and what happens when the way to them changes. */
#include "tests/unit/fib/net.h"

static struct net *new_started(void)
{
	struct net *n = net_new();

	net_start(n);
	return n;
}

static void configure_onlink(struct net *n, bool onlink)
{
	n->conf.onlink = onlink;
	fib_configure(n->fib, &n->conf);
}

START_TEST(direct_gateway)
{
	struct net *n = new_started();

	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	set_via(n, "fd01::/122", 1024, "fd00::2");
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fd00::2 dev eth0 proto 186 metric 1024 onlink");
	net_settle(n);
	ck_assert_str_eq(explain(n, "10.1.0.1").route, "via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	/* Another gateway is one replacement. */
	set_via(n, "10.1.0.0/26", 1024, "10.0.1.2");
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.1.2 dev eth1 proto 186 metric 1024 onlink");
	/* Without onlink, in place. */
	configure_onlink(n, false);
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.1.2 dev eth1 proto 186 metric 1024");
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fd00::2 dev eth0 proto 186 metric 1024");
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).writes, 5);
	ck_assert_uint_eq(fib_stats(n->fib).deletes, 0);
	net_free(n);
}
END_TEST

START_TEST(metric_zero)
{
	struct net *n = new_started();

	set_via(n, "10.1.0.0/26", 0, "10.0.0.2");
	set_via(n, "fd01::/122", 0, "fd00::2");
	net_synced(n);
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.0.2 dev eth0 proto 186 onlink");
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fd00::2 dev eth0 proto 186 metric 1024 onlink");
	net_settle(n);
	ck_assert_int_eq(state(n, "fd01::1"), FIB_INSTALLED);
	ck_assert_uint_eq(fib_stats(n->fib).writes, 2);
	unset(n, "10.1.0.0/26", FIB_BGP);
	unset(n, "fd01::/122", FIB_BGP);
	WAIT_ROUTES(n, "10.1.0.0/26", "");
	WAIT_ROUTES(n, "fd01::/122", "");
	net_free(n);
}
END_TEST

START_TEST(recursive_gateway)
{
	struct net *n = new_started();

	set_via(n, "10.1.0.0/26", 1024, "172.16.0.9");
	net_synced(n);
	net_settle(n);
	ck_assert_int_eq(state(n, "10.1.0.1"), FIB_UNRESOLVED);
	ck_assert_str_eq(explain(n, "10.1.0.1").reason, "next hop 172.16.0.9: no route");
	ck_assert_str_eq(explain(n, "10.1.0.1").route, "via 172.16.0.9 metric 1024");
	/* The default route resolves it, a better one takes over, and the way back. */
	run("ip route add default via 10.0.0.254 proto static");
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.0.254 dev eth0 proto 186 metric 1024 onlink");
	run("ip route add 172.16.0.0/16 via 10.0.1.254 proto static metric 50");
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.1.254 dev eth1 proto 186 metric 1024 onlink");
	run("ip route add 172.16.0.0/16 via 10.0.0.253 proto static metric 10");
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.0.253 dev eth0 proto 186 metric 1024 onlink");
	run("ip route change 172.16.0.0/16 via 10.0.0.252 proto static metric 10");
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.0.252 dev eth0 proto 186 metric 1024 onlink");
	run("ip route flush 172.16.0.0/16");
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.0.254 dev eth0 proto 186 metric 1024 onlink");
	run("ip route del default");
	WAIT_ROUTES(n, "10.1.0.0/26", "");
	WAIT(n, state(n, "10.1.0.1") == FIB_UNRESOLVED);
	/* In IPv6 as well, and a blackhole on the way is no way. */
	set_via(n, "fd01::/122", 1024, "fd77::9");
	run("ip -6 route add fd77::/32 via fd00:1::fe");
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fd00:1::fe dev eth1 proto 186 metric 1024 onlink");
	run("ip -6 route add blackhole fd77::/64");
	WAIT_ROUTES(n, "fd01::/122", "");
	ck_assert_str_eq(explain(n, "fd01::1").reason,
			 "next hop fd77::9: a blackhole or unreachable route stands before it");
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).errors, 0);
	net_free(n);
}
END_TEST

/* Our own routes resolve nothing: a next hop inside a block we program would resolve through itself. */
START_TEST(never_through_our_own_routes)
{
	struct net *n = new_started();

	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	WAIT(n, state(n, "10.1.0.1") == FIB_INSTALLED);
	set_via(n, "10.2.0.0/26", 1024, "10.1.0.1");
	net_settle(n);
	ck_assert_int_eq(state(n, "10.2.0.1"), FIB_UNRESOLVED);
	ck_assert_str_eq(routes("10.2.0.0/26"), "");
	/* Nor through an address of this node. */
	set_via(n, "10.3.0.0/26", 1024, "10.0.0.1");
	net_settle(n);
	ck_assert_str_eq(explain(n, "10.3.0.1").reason, "next hop 10.0.0.1: is an address of this node");
	run("ip addr add 10.0.0.7/24 dev eth0; ip addr del 10.0.0.1/24 dev eth0; ip addr add 10.0.0.7/24 dev eth0");
	WAIT_ROUTES(n, "10.3.0.0/26", "10.3.0.0/26 via 10.0.0.1 dev eth0 proto 186 metric 1024 onlink");
	net_free(n);
}
END_TEST

START_TEST(address_of_the_network_goes_and_comes)
{
	struct net *n = new_started();

	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	set_via(n, "fd01::/122", 1024, "fd00::2");
	net_synced(n);
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	run("ip addr del 10.0.0.1/24 dev eth0; ip -6 addr del fd00::1/64 dev eth0");
	WAIT(n, state(n, "10.1.0.1") == FIB_UNRESOLVED && state(n, "fd01::1") == FIB_UNRESOLVED);
	WAIT_ROUTES(n, "fd01::/122", "");
	run("ip addr add 10.0.0.1/24 dev eth0; ip -6 addr add fd00::1/64 dev eth0 nodad");
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fd00::2 dev eth0 proto 186 metric 1024 onlink");
	net_free(n);
}
END_TEST

START_TEST(uplink_goes_down_and_up)
{
	struct net *n = new_started();

	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	set_via(n, "10.2.0.0/26", 1024, "172.16.0.9");
	run("ip route add 172.16.0.0/16 via 10.0.0.254 proto static");
	net_synced(n);
	WAIT(n, state(n, "10.1.0.1") == FIB_INSTALLED && state(n, "10.2.0.1") == FIB_INSTALLED);
	run("ip link set eth0 down");
	WAIT(n, state(n, "10.1.0.1") == FIB_UNRESOLVED && state(n, "10.2.0.1") == FIB_UNRESOLVED);
	ck_assert_str_eq(routes("10.0.0.0/8"), "");
	run("ip link set eth0 up");
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	/* The static route went with the link, and nobody brought it back. */
	net_settle(n);
	ck_assert_int_eq(state(n, "10.2.0.1"), FIB_UNRESOLVED);
	ck_assert_uint_eq(fib_stats(n->fib).repaired, 0);
	net_free(n);
}
END_TEST

START_TEST(uplink_loses_its_carrier)
{
	struct fib_hop hops[2] = {{.gateway = A("10.0.0.2")}, {.gateway = A("10.0.1.2")}};
	struct net *n = new_started();

	set_hops(n, "10.1.0.0/26", 1024, FIB_BGP, FIB_VIA, 2, hops);
	set_hops(n, "fd01::/122", 1024, FIB_BGP, FIB_VIA, 2,
		 (struct fib_hop[]){{.gateway = A("fd00::2")}, {.gateway = A("fd00:1::2")}});
	net_synced(n);
	WAIT(n, state(n, "10.1.0.1") == FIB_INSTALLED && state(n, "fd01::1") == FIB_INSTALLED);
	run("ip link set eth1p down");
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fd00::2 dev eth0 proto 186 metric 1024 onlink");
	run("ip link set eth1p up");
	WAIT_ROUTES(n, "10.1.0.0/26",
		    "10.1.0.0/26 proto 186 metric 1024\n"
		    "\tnexthop via 10.0.0.2 dev eth0 weight 1 onlink\n"
		    "\tnexthop via 10.0.1.2 dev eth1 weight 1 onlink");
	run("ip link set eth0p down; ip link set eth1p down");
	WAIT(n, strstr(explain(n, "10.1.0.1").reason, "carrier"));
	WAIT_ROUTES(n, "10.1.0.0/26", "");
	net_free(n);
}
END_TEST

START_TEST(several_gateways)
{
	struct fib_hop hops[3] = {{.gateway = A("10.0.1.2")}, {.gateway = A("10.0.0.2")}, {.gateway = A("172.16.0.9")}};
	struct fib_hop hops6[2] = {{.gateway = A("fd00:1::2")}, {.gateway = A("fd00::2")}};
	struct net *n = new_started();

	set_hops(n, "10.1.0.0/26", 1024, FIB_BGP, FIB_VIA, 3, hops);
	set_hops(n, "fd01::/122", 1024, FIB_BGP, FIB_VIA, 2, hops6);
	net_synced(n);
	WAIT_ROUTES(n, "10.1.0.0/26",
		    "10.1.0.0/26 proto 186 metric 1024\n"
		    "\tnexthop via 10.0.0.2 dev eth0 weight 1 onlink\n"
		    "\tnexthop via 10.0.1.2 dev eth1 weight 1 onlink");
	WAIT_ROUTES(n, "fd01::/122",
		    "fd01::/122 proto 186 metric 1024\n"
		    "\tnexthop via fd00::2 dev eth0 weight 1 onlink\n"
		    "\tnexthop via fd00:1::2 dev eth1 weight 1 onlink");
	/* The third joins when it resolves. */
	run("ip route add 172.16.0.0/16 via 10.0.1.254 proto static");
	WAIT_ROUTES(n, "10.1.0.0/26",
		    "10.1.0.0/26 proto 186 metric 1024\n"
		    "\tnexthop via 10.0.0.2 dev eth0 weight 1 onlink\n"
		    "\tnexthop via 10.0.1.2 dev eth1 weight 1 onlink\n"
		    "\tnexthop via 10.0.1.254 dev eth1 weight 1 onlink");
	/* A member is lost with its interface, and comes back with it. */
	run("ip link set eth0 down");
	WAIT_ROUTES(n, "10.1.0.0/26",
		    "10.1.0.0/26 proto 186 metric 1024\n"
		    "\tnexthop via 10.0.1.2 dev eth1 weight 1 onlink\n"
		    "\tnexthop via 10.0.1.254 dev eth1 weight 1 onlink");
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fd00:1::2 dev eth1 proto 186 metric 1024 onlink");
	run("ip link set eth0 up; ip -6 addr add fd00::1/64 dev eth0 nodad");
	WAIT_ROUTES(n, "fd01::/122",
		    "fd01::/122 proto 186 metric 1024\n"
		    "\tnexthop via fd00::2 dev eth0 weight 1 onlink\n"
		    "\tnexthop via fd00:1::2 dev eth1 weight 1 onlink");
	run("ip link del eth0");
	WAIT_ROUTES(n, "10.1.0.0/26",
		    "10.1.0.0/26 proto 186 metric 1024\n"
		    "\tnexthop via 10.0.1.2 dev eth1 weight 1 onlink\n"
		    "\tnexthop via 10.0.1.254 dev eth1 weight 1 onlink");
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fd00:1::2 dev eth1 proto 186 metric 1024 onlink");
	/* Not more than configured, in the order of the intent. */
	n->conf.max_paths = 1;
	fib_configure(n->fib, &n->conf);
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.1.2 dev eth1 proto 186 metric 1024 onlink");
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).errors, 0);
	ck_assert_uint_eq(fib_stats(n->fib).repaired, 0);
	net_free(n);
}
END_TEST

/* The order in which members are named is no difference, neither here nor in what the kernel tells. */
START_TEST(order_of_gateways)
{
	struct fib_hop a[2] = {{.gateway = A("fd00:1::2")}, {.gateway = A("fd00::2")}};
	struct fib_hop b[2] = {{.gateway = A("fd00::2")}, {.gateway = A("fd00:1::2")}};
	struct net *n = new_started();

	set_hops(n, "fd01::/122", 1024, FIB_BGP, FIB_VIA, 2, a);
	WAIT(n, state(n, "fd01::1") == FIB_INSTALLED);
	net_settle(n);
	set_hops(n, "fd01::/122", 1024, FIB_BGP, FIB_VIA, 2, b);
	net_settle(n);
	ck_assert_int_eq(state(n, "fd01::1"), FIB_INSTALLED);
	ck_assert_uint_eq(fib_stats(n->fib).writes, 1);
	net_free(n);
}
END_TEST

/* Whatever an IPv6 route was before, a replacement leaves the new one alone in its place. */
START_TEST(ipv6_replacement)
{
	static const struct {
		enum fib_type type;
		unsigned count;
		struct fib_hop hops[2];
		const char *text;
	} forms[] = {
	    {FIB_BLACKHOLE, 0, {{{0}}}, "blackhole fd01::/122 dev lo proto 186 metric 1024"},
	    {FIB_DEV, 1, {{.ifname = "eth1"}}, "fd01::/122 dev eth1 proto 186 metric 1024"},
	    {FIB_VIA,
	     1,
	     {{.gateway = {10, {0xfd, [15] = 3}}}},
	     "fd01::/122 via fd00::3 dev eth0 proto 186 metric 1024 onlink"},
	    {FIB_VIA,
	     2,
	     {{.gateway = {10, {0xfd, [15] = 4}}}, {.gateway = {10, {0xfd, [15] = 5}}}},
	     "fd01::/122 proto 186 metric 1024\n"
	     "\tnexthop via fd00::4 dev eth0 weight 1 onlink\n"
	     "\tnexthop via fd00::5 dev eth0 weight 1 onlink"},
	    {FIB_VIA,
	     2,
	     {{.gateway = {10, {0xfd, [15] = 5}}}, {.gateway = {10, {0xfd, [15] = 6}}}},
	     "fd01::/122 proto 186 metric 1024\n"
	     "\tnexthop via fd00::5 dev eth0 weight 1 onlink\n"
	     "\tnexthop via fd00::6 dev eth0 weight 1 onlink"},
	};
	const size_t count = sizeof forms / sizeof *forms;
	struct net *n = new_started();

	for (size_t from = 0; from < count; from++) {
		for (size_t to = 0; to < count; to++) {
			for (int i = 0; i < 2; i++) {
				size_t k = i ? to : from;
				set_hops(n, "fd01::/122", 1024, FIB_BGP, forms[k].type, forms[k].count, forms[k].hops);
				WAIT_ROUTES(n, "fd01::/122", forms[k].text);
				net_settle(n);
				ck_assert_int_eq(state(n, "fd01::1"), FIB_INSTALLED);
			}
		}
	}
	ck_assert_uint_eq(fib_stats(n->fib).deletes, 0);
	ck_assert_uint_eq(fib_stats(n->fib).errors, 0);
	ck_assert_uint_eq(fib_stats(n->fib).repaired, 0);
	net_free(n);
}
END_TEST

START_TEST(link_local_gateway)
{
	struct fib_hop hop = {.gateway = A("fe80::2"), .ifname = "eth1"};
	struct fib_hop both = {.gateway = A("fd00::2"), .link_local = A("fe80::3")};
	struct fib_hop only = {.link_local = A("fe80::4"), .ifname = "eth0"};
	struct fib_hop nowhere = {.gateway = A("fe80::2")};
	struct net *n = new_started();

	set_hops(n, "fd01::/122", 1024, FIB_BGP, FIB_VIA, 1, &hop);
	set_hops(n, "fd02::/122", 1024, FIB_BGP, FIB_VIA, 1, &both);
	set_hops(n, "fd03::/122", 1024, FIB_BGP, FIB_VIA, 1, &only);
	set_hops(n, "fd04::/122", 1024, FIB_BGP, FIB_VIA, 1, &nowhere);
	/* IPv4 through an IPv6 gateway (RFC 5549). */
	set_hops(n, "10.1.0.0/26", 1024, FIB_BGP, FIB_VIA, 1, &hop);
	set_via(n, "10.2.0.0/26", 1024, "fd00::2");
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fe80::2 dev eth1 proto 186 metric 1024 onlink");
	WAIT_ROUTES(n, "fd02::/122", "fd02::/122 via fe80::3 dev eth0 proto 186 metric 1024 onlink");
	WAIT_ROUTES(n, "fd03::/122", "fd03::/122 via fe80::4 dev eth0 proto 186 metric 1024 onlink");
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via inet6 fe80::2 dev eth1 proto 186 metric 1024 onlink");
	WAIT_ROUTES(n, "10.2.0.0/26", "10.2.0.0/26 via inet6 fd00::2 dev eth0 proto 186 metric 1024 onlink");
	net_settle(n);
	ck_assert_int_eq(state(n, "fd04::1"), FIB_UNRESOLVED);
	ck_assert_int_eq(state(n, "10.1.0.1"), FIB_INSTALLED);
	ck_assert_str_eq(explain(n, "10.1.0.1").route, "via inet6 fe80::2 dev eth1 proto 186 metric 1024 onlink");
	run("ip link set eth1 down");
	WAIT(n, state(n, "fd01::1") == FIB_UNRESOLVED && state(n, "10.1.0.1") == FIB_UNRESOLVED);
	run("ip link set eth1 up");
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fe80::2 dev eth1 proto 186 metric 1024 onlink");
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via inet6 fe80::2 dev eth1 proto 186 metric 1024 onlink");
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).errors, 0);
	net_free(n);
}
END_TEST

/* RFC 2545 and RFC 8950: with the next hop on a connected network its link-local address is used, behind a gateway the
 * gateway is, for routes of both families; all along with what the kernel's own routes say. */
START_TEST(way_to_ipv6_next_hop_changes)
{
	struct fib_hop both = {.gateway = A("fd77::2"), .link_local = A("fe80::3")};
	static const struct {
		const char *command, *way;
	} steps[] = {
	    {"ip -6 route add fd77::/64 dev eth0", "via fe80::3 dev eth0"},
	    {"ip -6 route replace fd77::/64 via fd00:1::fe", "via fd00:1::fe dev eth1"},
	    {"ip -6 route add fd77::/96 dev eth1", "via fe80::3 dev eth1"},
	    {"ip -6 route del fd77::/96 dev eth1", "via fd00:1::fe dev eth1"},
	    {"ip -6 route replace fd77::/64 via fe80::fe dev eth0", "via fe80::fe dev eth0"},
	    {"ip -6 route add fd77::2/128 via fd00::fd metric 7", "via fd00::fd dev eth0"},
	    {"ip -6 route del fd77::2/128; ip -6 route del fd77::/64", NULL},
	    {"ip -6 route add default via fd00::fe metric 9", "via fd00::fe dev eth0"},
	    {"ip -6 route add default via fd00:1::fe metric 5", "via fd00:1::fe dev eth1"},
	    {"ip link set eth1 down", "via fd00::fe dev eth0"},
	};
	struct net *n = new_started();
	char want[200];

	set_hops(n, "fd01::/122", 1024, FIB_BGP, FIB_VIA, 1, &both);
	set_hops(n, "10.1.0.0/26", 1024, FIB_BGP, FIB_VIA, 1, &both);
	net_synced(n);
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		run("%s", steps[i].command);
		if (!steps[i].way) {
			WAIT_ROUTES(n, "fd01::/122", "");
			WAIT_ROUTES(n, "10.1.0.0/26", "");
			continue;
		}
		snprintf(want, sizeof want, "fd01::/122 %s proto 186 metric 1024 onlink", steps[i].way);
		WAIT_ROUTES(n, "fd01::/122", want);
		snprintf(want, sizeof want, "10.1.0.0/26 via inet6 %s proto 186 metric 1024 onlink", steps[i].way + 4);
		WAIT_ROUTES(n, "10.1.0.0/26", want);
	}
	/* Several ways at once. */
	run("ip link set eth1 up; ip -6 addr add fd00:1::1/64 dev eth1 nodad");
	run("ip -6 route add fd77::/64 nexthop via fd00::fa nexthop via fd00:1::fa");
	WAIT_ROUTES(n, "fd01::/122",
		    "fd01::/122 proto 186 metric 1024\n"
		    "\tnexthop via fd00::fa dev eth0 weight 1 onlink\n"
		    "\tnexthop via fd00:1::fa dev eth1 weight 1 onlink");
	WAIT_ROUTES(n, "10.1.0.0/26",
		    "10.1.0.0/26 proto 186 metric 1024\n"
		    "\tnexthop via inet6 fd00::fa dev eth0 weight 1 onlink\n"
		    "\tnexthop via inet6 fd00:1::fa dev eth1 weight 1 onlink");
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).errors, 0);
	ck_assert_uint_eq(fib_stats(n->fib).repaired, 0);
	net_free(n);
}
END_TEST

START_TEST(blackhole_of_a_block)
{
	struct net *n = new_started();

	set_hops(n, "10.1.0.0/26", 0, FIB_BLOCK, FIB_BLACKHOLE, 0, NULL);
	set_hops(n, "fd01::/122", 0, FIB_BLOCK, FIB_BLACKHOLE, 0, NULL);
	WAIT_ROUTES(n, "10.1.0.0/26", "blackhole 10.1.0.0/26 proto 186");
	WAIT_ROUTES(n, "fd01::/122", "blackhole fd01::/122 dev lo proto 186 metric 1024");
	net_settle(n);
	ck_assert_int_eq(state(n, "10.1.0.1"), FIB_INSTALLED);
	ck_assert_int_eq(state(n, "fd01::1"), FIB_INSTALLED);
	ck_assert_str_eq(explain(n, "10.1.0.1").route, "blackhole proto 186");
	ck_assert_uint_eq(fib_stats(n->fib).writes, 2);
	/* A better class at the same metric takes its place, and gives it back. */
	set_via(n, "10.1.0.0/26", 0, "10.0.0.2");
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.0.2 dev eth0 proto 186 onlink");
	unset(n, "10.1.0.0/26", FIB_BGP);
	WAIT_ROUTES(n, "10.1.0.0/26", "blackhole 10.1.0.0/26 proto 186");
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).deletes, 0);
	net_free(n);
}
END_TEST

START_TEST(watched_next_hop)
{
	struct addr direct = A("10.0.0.2"), far = A("172.16.0.9");
	struct net *n = new_started();

	fib_nexthop_watch(n->fib, &direct);
	WAIT(n, n->told == 1);
	ck_assert(n->reachable && n->metric == 0 && addr_equal(&n->nexthop, &direct));
	fib_nexthop_watch(n->fib, &far);
	WAIT(n, n->told == 2);
	ck_assert(!n->reachable && addr_equal(&n->nexthop, &far));
	run("ip route add 172.16.0.0/16 via 10.0.1.254 metric 77");
	WAIT(n, n->told == 3);
	ck_assert(n->reachable && n->metric == 77);
	/* A better way changes the metric; a change elsewhere is none of its business. */
	run("ip route add 172.16.0.0/24 via 10.0.1.254 metric 66");
	WAIT(n, n->told == 4);
	ck_assert(n->reachable && n->metric == 66);
	run("ip route add 172.17.0.0/24 via 10.0.1.254");
	net_settle(n);
	ck_assert_uint_eq(n->told, 4);
	run("ip link set eth1 down");
	WAIT(n, n->told == 5);
	ck_assert(!n->reachable && addr_equal(&n->nexthop, &far));
	fib_nexthop_unwatch(n->fib, &far);
	run("ip link set eth1 up; ip route add 172.16.0.0/16 via 10.0.1.254");
	net_settle(n);
	ck_assert_uint_eq(n->told, 5);
	/* Watched twice, it is told until unwatched twice. */
	fib_nexthop_watch(n->fib, &direct);
	WAIT(n, n->told == 6);
	fib_nexthop_unwatch(n->fib, &direct);
	run("ip link set eth0 down");
	WAIT(n, n->told == 7);
	ck_assert(!n->reachable && addr_equal(&n->nexthop, &direct));
	fib_nexthop_unwatch(n->fib, &direct);
	fib_nexthop_unwatch(n->fib, &direct);
	ck_assert_uint_eq(n->fib->resolver.nexthops.count, 0);
	net_free(n);
}
END_TEST

/* Without programming nothing is written, and next hops are watched all the same. */
START_TEST(read_only)
{
	struct addr direct = A("10.0.0.2");
	struct net *n = net_new();

	run("echo 0 > /proc/sys/net/ipv4/ip_forward");
	run("ip route add 10.9.0.0/24 via 10.0.0.2 proto 186");
	n->conf.programming = false;
	net_start(n);
	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	fib_nexthop_watch(n->fib, &direct);
	net_synced(n);
	WAIT(n, n->told == 1);
	net_settle(n);
	ck_assert(n->reachable);
	ck_assert_int_eq(state(n, "10.1.0.1"), FIB_OFF);
	ck_assert_str_eq(routes("10.1.0.0/26"), "");
	ck_assert_str_ne(routes("10.9.0.0/24"), "");
	ck_assert_str_eq(output("cat /proc/sys/net/ipv4/ip_forward"), "0");
	net_free(n);
}
END_TEST

/* Next hops follow a foreign table of some size without looking at each of its routes again and again. */
START_TEST(large_foreign_table)
{
	struct net *n = net_new();
	uint64_t began;
	FILE *f;

	f = popen("ip -batch -", "w");
	ck_assert_ptr_nonnull(f);
	for (unsigned i = 0; i < 50000; i++)
		fprintf(f, "route add 20.%u.%u.%u/28 via 10.0.0.254 proto static\n", i >> 12, i >> 4 & 255,
			(i & 15) << 4);
	ck_assert_int_eq(pclose(f), 0);
	net_start(n);
	ck_assert_uint_ge(n->fib->foreign.count, 50000);
	for (unsigned i = 0; i < 1000; i++) {
		char prefix[32], gateway[32];
		snprintf(prefix, sizeof prefix, "10.%u.%u.0/26", 16 + (i >> 8), i & 255);
		snprintf(gateway, sizeof gateway, "20.%u.%u.1", i >> 8, i & 255);
		set_via(n, prefix, 1024, gateway);
	}
	net_synced(n);
	WAIT(n, fib_stats(n->fib).installed == 1000);
	/* One route of one next hop changes: one write. */
	began = fib_stats(n->fib).writes;
	run("ip route replace 20.0.7.0/28 via 10.0.1.254 proto static");
	WAIT_ROUTES(n, "10.16.7.0/26", "10.16.7.0/26 via 10.0.1.254 dev eth1 proto 186 metric 1024 onlink");
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).writes - began, 1);
	/* All go with the link. */
	run("ip link set eth0 down");
	WAIT(n, fib_stats(n->fib).unresolved == 999);
	ck_assert_uint_le(n->fib->foreign.count, 10);
	net_free(n);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
	    direct_gateway,
	    metric_zero,
	    recursive_gateway,
	    never_through_our_own_routes,
	    address_of_the_network_goes_and_comes,
	    uplink_goes_down_and_up,
	    uplink_loses_its_carrier,
	    several_gateways,
	    order_of_gateways,
	    ipv6_replacement,
	    link_local_gateway,
	    way_to_ipv6_next_hop_changes,
	    blackhole_of_a_block,
	    watched_next_hop,
	    read_only,
	    large_foreign_table,
	};

	return net_run("fib/via", tests, sizeof tests / sizeof *tests);
}
