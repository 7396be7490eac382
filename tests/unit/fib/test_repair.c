/* What others do to our routes is undone, with patience; theirs are left alone; lost events are made up for. */
#include <sys/socket.h>

#include "tests/unit/fib/net.h"

#define OURS "10.1.0.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink"

static struct net *new_installed(void)
{
	struct net *n = net_new();

	net_start(n);
	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	set_via(n, "fd01::/122", 1024, "fd00::2");
	net_synced(n);
	WAIT(n, fib_stats(n->fib).installed == 2);
	net_settle(n);
	return n;
}

START_TEST(deleted_routes_come_back)
{
	struct net *n = new_installed();

	run("ip route del 10.1.0.0/26 metric 1024");
	WAIT_ROUTES(n, "10.1.0.0/26", OURS);
	run("ip -6 route del fd01::/122 metric 1024");
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fd00::2 dev eth0 proto 186 metric 1024 onlink");
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).repaired, 2);
	ck_assert_uint_eq(fib_stats(n->fib).writes, 4);
	net_free(n);
}
END_TEST

START_TEST(changed_routes_are_changed_back)
{
	struct net *n = new_installed();

	run("ip route replace 10.1.0.0/26 via 10.0.1.2 metric 1024 proto 186");
	WAIT_ROUTES(n, "10.1.0.0/26", OURS);
	/* By a route of another protocol, too. */
	run("ip route replace 10.1.0.0/26 via 10.0.1.2 metric 1024 proto static");
	WAIT_ROUTES(n, "10.1.0.0/26", OURS);
	run("ip -6 route replace fd01::/122 via fd00:1::2 metric 1024 proto static");
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fd00::2 dev eth0 proto 186 metric 1024 onlink");
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).repaired, 3);
	net_free(n);
}
END_TEST

START_TEST(lost_member_comes_back)
{
	static const char want[] = "fd01::/122 proto 186 metric 1024\n"
				   "\tnexthop via fd00::2 dev eth0 weight 1 onlink\n"
				   "\tnexthop via fd00:1::2 dev eth1 weight 1 onlink";
	struct fib_hop hops[2] = {{.gateway = A("fd00::2")}, {.gateway = A("fd00:1::2")}};
	struct net *n = new_installed();

	set_hops(n, "fd01::/122", 1024, FIB_BGP, FIB_VIA, 2, hops);
	WAIT_ROUTES(n, "fd01::/122", want);
	net_settle(n);
	run("ip -6 route del fd01::/122 via fd00::2 dev eth0 metric 1024");
	WAIT_ROUTES(n, "fd01::/122", want);
	/* A member too many goes. */
	run("ip -6 route append fd01::/122 via fd00::7 dev eth0 metric 1024 proto 186");
	WAIT_ROUTES(n, "fd01::/122", want);
	net_free(n);
}
END_TEST

START_TEST(fights_are_damped)
{
	struct net *n = new_installed();
	unsigned rounds = 0;
	uint64_t until = mono_now() + 2 * MONO_SEC;
	struct strbuf problems = {0};
	bool deleted = false;

	/* Somebody deletes it as soon as it is there, and at last once more. */
	while (mono_now() < until || !deleted) {
		deleted = system("ip route del 10.1.0.0/26 metric 1024 2>/dev/null") == 0;
		rounds += deleted;
		loop_turn(n->loop, true);
	}
	/* 3 at once, then after 0.1, 0.2, 0.4, 0.8 s and so on, a quarter more or less. */
	ck_assert_uint_ge(rounds, 5);
	ck_assert_uint_le(rounds, 11);
	ck_assert_int_eq(state(n, "10.1.0.1"), FIB_PENDING);
	ck_assert_msg(strstr(explain(n, "10.1.0.1").reason, "removed or changed by others"), "%s",
		      explain(n, "10.1.0.1").reason);
	fib_problems(n->fib, &problems);
	ck_assert_msg(problems.s && strstr(problems.s, "removing or changing 1 of our routes, 10.1.0.0/26"), "%s",
		      problems.s ? problems.s : "no problem");
	strbuf_free(&problems);
	/* A new intent does not wait. */
	ck_assert_uint_eq(n->fib->backoffs.count, 1);
	set_via(n, "10.1.0.0/26", 1024, "10.0.1.2");
	ck_assert_uint_eq(n->fib->backoffs.count, 0);
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.1.2 dev eth1 proto 186 metric 1024 onlink");
	net_free(n);
}
END_TEST

START_TEST(foreign_routes_are_left_alone)
{
	struct net *n = net_new();
	char before[4000];

	run("ip route add default via 10.0.0.254 proto static");
	run("ip route add 10.1.0.0/26 via 10.0.1.9 proto static metric 7");
	run("ip route add 10.9.0.0/16 via 10.0.1.9 proto 80");
	run("ip route add 10.9.0.0/16 via 10.0.1.9 proto 186 table 77");
	run("ip -6 route add fd09::/64 via fd00::9 proto bird");
	run("ip link add cali9 type veth peer name p9; ip link set cali9 up; ip link set p9 up");
	run("ip route add 10.1.0.9/32 dev cali9");
	snprintf(before, sizeof before, "%s",
		 output("ip route show table all proto static; ip route show table all proto 80; "
			"ip route show table 77; ip -6 route show proto bird; ip route show "
			"10.1.0.9"));
	net_start(n);
	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	net_synced(n);
	WAIT(n, state(n, "10.1.0.1") == FIB_INSTALLED);
	unset(n, "10.1.0.0/26", FIB_BGP);
	WAIT(n, fib_stats(n->fib).deletes == 1);
	net_settle(n);
	ck_assert_str_eq(output("ip route show table all proto static; ip route show table all proto 80; "
				"ip route show table 77; ip -6 route show proto bird; ip route show 10.1.0.9"),
			 before);
	net_free(n);
}
END_TEST

/* The kernel's own route to a connected network is not taken over, whoever announces its prefix. */
START_TEST(connected_networks_are_not_taken_over)
{
	struct net *n = net_new();

	n->conf.fixed_metric = 0;
	net_start(n);
	set_via(n, "10.0.0.0/24", 1024, "10.0.0.2");
	net_settle(n);
	ck_assert_str_eq(routes("10.0.0.0/24"), "10.0.0.0/24 dev eth0 proto 2 scope link src 10.0.0.1");
	ck_assert_int_eq(state(n, "10.0.0.5"), FIB_SHADOWED);
	ck_assert_str_eq(explain(n, "10.0.0.5").reason,
			 "a route to a connected network, or one that next hops resolve through, stands here");
	/* When the network is no longer connected, the place is free. */
	set_via(n, "10.0.0.0/24", 1024, "10.0.1.2");
	run("ip addr del 10.0.0.1/24 dev eth0");
	WAIT_ROUTES(n, "10.0.0.0/24", "10.0.0.0/24 via 10.0.1.2 dev eth1 proto 186 onlink");
	net_free(n);
}
END_TEST

START_TEST(foreign_route_at_our_key_is_taken_over)
{
	struct net *n = net_new();

	run("ip route add 10.1.0.0/26 via 10.0.1.9 proto bird metric 1024");
	run("ip -6 route add fd01::/122 via fd00:1::9 proto bird metric 1024");
	net_start(n);
	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	set_via(n, "fd01::/122", 1024, "fd00::2");
	WAIT_ROUTES(n, "10.1.0.0/26", OURS);
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fd00::2 dev eth0 proto 186 metric 1024 onlink");
	net_settle(n);
	ck_assert_ptr_null(foreign_exact(&n->fib->foreign, &(struct prefix){A("10.1.0.0"), 26}));
	net_free(n);
}
END_TEST

/* A default route learned by BGP does not take away the default route that leads to its own next hop. */
START_TEST(way_to_the_next_hops_is_not_taken_over)
{
	struct net *n = net_new();

	run("ip route add default via 10.0.0.254 proto static");
	n->conf.fixed_metric = 0;
	net_start(n);
	net_synced(n);
	set_via(n, "10.1.0.0/26", 1024, "172.16.0.9");
	set_via(n, "0.0.0.0/0", 1024, "172.16.0.8");
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.0.254 dev eth0 proto 186 onlink");
	net_settle(n);
	ck_assert_str_eq(routes("default"), "default via 10.0.0.254 dev eth0 proto 4");
	ck_assert_int_eq(state(n, "9.9.9.9"), FIB_SHADOWED);
	/* It comes when there is another way to them, and stays. */
	run("ip route add 172.16.0.0/16 via 10.0.1.254");
	WAIT_ROUTES(n, "default", "default via 10.0.1.254 dev eth1 proto 186 onlink");
	net_settle(n);
	ck_assert_str_eq(routes("10.1.0.0/26"), "10.1.0.0/26 via 10.0.1.254 dev eth1 proto 186 onlink");
	net_free(n);
}
END_TEST

/* A connected network that comes where our route stands gets its place. */
START_TEST(connected_network_comes_later)
{
	struct net *n = net_new();

	net_start(n);
	net_synced(n);
	set_via(n, "10.7.0.0/24", 0, "10.0.0.2");
	WAIT_ROUTES(n, "10.7.0.0/24", "10.7.0.0/24 via 10.0.0.2 dev eth0 proto 186 onlink");
	net_settle(n);
	run("ip addr add 10.7.0.1/24 dev eth1");
	WAIT_ROUTES(n, "10.7.0.0/24", "10.7.0.0/24 dev eth1 proto 2 scope link src 10.7.0.1");
	net_settle(n);
	ck_assert_int_eq(state(n, "10.7.0.5"), FIB_SHADOWED);
	run("ip addr del 10.7.0.1/24 dev eth1");
	WAIT_ROUTES(n, "10.7.0.0/24", "10.7.0.0/24 via 10.0.0.2 dev eth0 proto 186 onlink");
	net_free(n);
}
END_TEST

/* A route before or behind ours at its very key, which only `prepend` and `append` make. */
START_TEST(nobody_beside_our_key)
{
	struct net *n = new_installed();

	run("ip route prepend 10.1.0.0/26 via 10.0.1.9 proto static metric 1024");
	WAIT_ROUTES(n, "10.1.0.0/26", OURS);
	run("ip route append 10.1.0.0/26 via 10.0.1.9 proto static metric 1024");
	WAIT_ROUTES(n, "10.1.0.0/26", OURS);
	run("ip -6 route append fd01::/122 dev eth1 proto static metric 1024");
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fd00::2 dev eth0 proto 186 metric 1024 onlink");
	run("ip -6 route append fd01::/122 via fd00:1::9 proto static metric 1024");
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fd00::2 dev eth0 proto 186 metric 1024 onlink");
	/* They were there before us. */
	net_stop(n);
	run("ip route prepend 10.1.0.0/26 via 10.0.1.9 proto static metric 1024");
	run("ip -6 route append fd01::/122 dev eth1 proto static metric 1024");
	net_start(n);
	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	set_via(n, "fd01::/122", 1024, "fd00::2");
	net_synced(n);
	WAIT_ROUTES(n, "10.1.0.0/26", OURS);
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fd00::2 dev eth0 proto 186 metric 1024 onlink");
	net_free(n);
}
END_TEST

static void set_event_buffer(struct net *n, int bytes)
{
	ck_assert_int_eq(setsockopt(netlink_event_fd(n->fib->netlink), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), 0);
}

START_TEST(overflow_is_made_up_for)
{
	struct net *n = new_installed();
	struct addr nh = A("172.16.0.9");
	uint64_t resyncs;

	fib_nexthop_watch(n->fib, &nh);
	WAIT(n, n->told == 1);
	set_event_buffer(n, 0);
	/* More than the buffer holds, while nobody reads: what happened in between is never told. */
	run("for i in $(seq 1 60); do echo route add 20.0.$i.0/24 via 10.0.0.9; done | ip -batch -");
	run("ip route del 10.1.0.0/26 metric 1024; ip -6 route del fd01::/122 metric 1024");
	run("ip route add 172.16.0.0/16 via 10.0.0.254");
	run("ip route add 10.7.0.0/26 via 10.0.0.9 proto 186; ip link add cali1 type veth peer name p; ip link set "
	    "cali1 up");
	run("ip addr add 10.0.9.1/24 dev eth1; ip link del eth1");
	set_event_buffer(n, 1 << 20);
	WAIT_ROUTES(n, "10.1.0.0/26", OURS);
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fd00::2 dev eth0 proto 186 metric 1024 onlink");
	WAIT_ROUTES(n, "10.7.0.0/26", "");
	WAIT(n, n->told == 2 && n->reachable);
	net_settle(n);
	resyncs = fib_stats(n->fib).resyncs;
	ck_assert_uint_ge(resyncs, 1);
	ck_assert_ptr_null(links_by_name(&n->fib->links, "eth1"));
	ck_assert_ptr_nonnull(links_by_name(&n->fib->links, "cali1"));
	ck_assert_ptr_nonnull(foreign_exact(&n->fib->foreign, &(struct prefix){A("20.0.60.0"), 24}));
	/* And what is foreign and gone is gone. */
	set_event_buffer(n, 0);
	run("for i in $(seq 1 60); do echo route del 20.0.$i.0/24; done | ip -batch -");
	set_event_buffer(n, 1 << 20);
	WAIT(n, fib_stats(n->fib).resyncs > resyncs && !n->fib->resync.running);
	ck_assert_ptr_null(foreign_exact(&n->fib->foreign, &(struct prefix){A("20.0.60.0"), 24}));
	net_free(n);
}
END_TEST

/* Our own routes overflow a tiny buffer again and again: they all arrive, and the fib ends up knowing it. */
START_TEST(overflow_by_ourselves)
{
	struct net *n = new_installed();

	set_event_buffer(n, 0);
	for (unsigned i = 0; i < 5000; i++) {
		char prefix[32];
		snprintf(prefix, sizeof prefix, "20.%u.%u.0/24", i >> 8, i & 255);
		set_via(n, prefix, 1024, "10.0.0.2");
	}
	WAIT(n, fib_stats(n->fib).installed == 5002);
	ck_assert_int_eq(atoi(output("ip route show proto 186 | wc -l")), 5001);
	ck_assert_uint_eq(fib_stats(n->fib).errors, 0);
	net_free(n);
}
END_TEST

/* Reads away what the kernel tells, so that the fib never hears of it. */
static void swallow_events(struct net *n)
{
	char buf[65536];

	while (recv(netlink_event_fd(n->fib->netlink), buf, sizeof buf, MSG_DONTWAIT) > 0)
		;
}

START_TEST(audit_finds_what_events_missed)
{
	struct net *n = new_installed();

	run("ip route del 10.1.0.0/26 metric 1024");
	run("ip -6 route replace fd01::/122 via fd00::9 metric 1024 proto 186");
	run("ip route add 10.7.0.0/26 via 10.0.0.9 proto 186");
	swallow_events(n);
	net_settle(n);
	ck_assert_int_eq(state(n, "10.1.0.1"), FIB_INSTALLED);
	n->conf.audit = 50 * MONO_MSEC;
	fib_configure(n->fib, &n->conf);
	WAIT_ROUTES(n, "10.1.0.0/26", OURS);
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fd00::2 dev eth0 proto 186 metric 1024 onlink");
	WAIT_ROUTES(n, "10.7.0.0/26", "");
	net_free(n);
}
END_TEST

/* Others change routes while a dump runs, all the time: in the end we are right. */
START_TEST(resync_amid_changes)
{
	struct net *n = new_installed();

	for (unsigned i = 0; i < 3000; i++) {
		char prefix[32];
		snprintf(prefix, sizeof prefix, "fd20:%x::/64", i);
		set_via(n, prefix, 1024, "fd00::2");
	}
	WAIT(n, fib_stats(n->fib).installed == 3002);
	n->conf.audit = 5 * MONO_MSEC;
	fib_configure(n->fib, &n->conf);
	for (unsigned i = 0; i < 100; i++) {
		run("ip -6 route add fd30:%x::/64 via fd00::9", i);
		if (i % 10 == 0)
			run("ip -6 route del fd20:%x::/64 metric 1024", i);
		if (i % 10 == 5)
			run("ip -6 route del fd30:%x::/64", i);
		loop_turn(n->loop, true);
	}
	WAIT(n, atoi(output("ip -6 route show proto 186 | wc -l")) == 3001);
	n->conf.audit = 0;
	fib_configure(n->fib, &n->conf);
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).installed, 3002);
	ck_assert_ptr_nonnull(foreign_exact(&n->fib->foreign, &(struct prefix){A("fd30:14::"), 64}));
	ck_assert_ptr_null(foreign_exact(&n->fib->foreign, &(struct prefix){A("fd30:5::"), 64}));
	ck_assert_uint_gt(fib_stats(n->fib).resyncs, 3);
	net_free(n);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
	    deleted_routes_come_back,
	    changed_routes_are_changed_back,
	    lost_member_comes_back,
	    fights_are_damped,
	    foreign_routes_are_left_alone,
	    connected_networks_are_not_taken_over,
	    foreign_route_at_our_key_is_taken_over,
	    way_to_the_next_hops_is_not_taken_over,
	    connected_network_comes_later,
	    nobody_beside_our_key,
	    overflow_is_made_up_for,
	    overflow_by_ourselves,
	    audit_finds_what_events_missed,
	    resync_amid_changes,
	};

	return net_run("fib/repair", tests, sizeof tests / sizeof *tests);
}
