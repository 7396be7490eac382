/* What the fib says about itself, and a configuration that changes. */
#include "tests/unit/fib/net.h"

static void lookup(struct net *n, const char *addr, const char *want)
{
	struct addr a = A(addr);
	char text[200];

	fib_kernel_lookup(n->fib, &a, text, sizeof text);
	ck_assert_str_eq(text, want);
}

START_TEST(the_kernels_own_answer)
{
	struct net *n = net_new();
	struct addr a = A("10.9.0.1");
	char small[8];

	run("ip route add 10.9.0.0/16 via 10.0.0.9; ip route add blackhole 10.8.0.0/16; ip route add unreachable "
	    "10.7.0.0/16");
	run("ip -6 route add fd09::/64 via fd00::9; ip -6 route add blackhole fd08::/64");
	net_start(n);
	lookup(n, "10.9.0.1", "10.9.0.1 via 10.0.0.9 dev eth0");
	lookup(n, "10.0.0.7", "10.0.0.7 dev eth0");
	lookup(n, "10.0.0.1", "local 10.0.0.1 dev lo");
	lookup(n, "10.8.0.1", "10.8.0.1: blackhole (Invalid argument)");
	lookup(n, "10.7.0.1", "10.7.0.1: No route to host");
	lookup(n, "10.5.0.1", "10.5.0.1: Network is unreachable");
	lookup(n, "fd09::1", "fd09::1 via fd00::9 dev eth0");
	lookup(n, "fd00::7", "fd00::7 dev eth0");
	lookup(n, "fd08::1", "fd08::1: blackhole (Invalid argument)");
	lookup(n, "fd05::1", "fd05::1: Network is unreachable");
	fib_kernel_lookup(n->fib, &a, small, sizeof small);
	ck_assert_str_eq(small, "10.9.0.");
	net_free(n);
}
END_TEST

/* Is there exactly one view like this? */
static void seen(struct net *n, const char *prefix, uint32_t metric, enum fib_class class, enum fib_state want,
		 const char *route)
{
	struct prefix p = P(prefix);
	struct fib_view v;
	unsigned count = 0;
	uint64_t pos = 0;

	while (fib_next(n->fib, &pos, &v)) {
		if (!prefix_equal(&v.prefix, &p) || v.metric != metric || v.state != want)
			continue;
		if (want != FIB_STALE)
			ck_assert_int_eq(v.class, class);
		ck_assert_str_eq(v.route, route);
		count++;
	}
	ck_assert_msg(count == 1, "%s metric %u %s: %u times", prefix, metric, fib_state_name(want), count);
}

static unsigned count_views(struct net *n)
{
	struct fib_view v;
	unsigned count = 0;

	for (uint64_t pos = 0; fib_next(n->fib, &pos, &v);)
		count++;
	return count;
}

START_TEST(every_route_in_its_state)
{
	struct fib_hop hops[2] = {{.gateway = A("10.0.0.2")}, {.gateway = A("10.0.1.2")}};
	struct net *n = net_new();
	struct fib_stats s;

	run("ip route add 10.9.0.0/26 via 10.0.0.9 proto 186 metric 5");
	n->conf.workload_routes = false;
	net_start(n);
	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	set_hops(n, "10.1.1.0/26", 1024, FIB_BGP, FIB_VIA, 2, hops);
	set_via(n, "10.1.2.0/26", 1024, "172.16.0.9");
	set_via(n, "10.1.3.0/26", 1024, "10.0.0.255");
	set_hops(n, "10.1.0.0/26", 1024, FIB_BLOCK, FIB_BLACKHOLE, 0, NULL);
	set_workload(n, "10.1.0.5/32", 1024, "cali1", NULL);
	WAIT(n, fib_stats(n->fib).failed == 1 && fib_stats(n->fib).installed == 2);
	ck_assert_uint_eq(count_views(n), 7);
	seen(n, "10.1.0.0/26", 1024, FIB_BGP, FIB_INSTALLED, "via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	seen(n, "10.1.1.0/26", 1024, FIB_BGP, FIB_INSTALLED,
	     "proto 186 metric 1024 nexthop via 10.0.0.2 dev eth0 weight 1 onlink nexthop via 10.0.1.2 dev eth1 weight "
	     "1 "
	     "onlink");
	seen(n, "10.1.2.0/26", 1024, FIB_BGP, FIB_UNRESOLVED, "via 172.16.0.9 metric 1024");
	seen(n, "10.1.3.0/26", 1024, FIB_BGP, FIB_FAILED, "via 10.0.0.255 dev eth0 proto 186 metric 1024 onlink");
	seen(n, "10.1.0.0/26", 1024, FIB_BLOCK, FIB_SHADOWED, "blackhole proto 186 metric 1024");
	seen(n, "10.1.0.5/32", 1024, FIB_WORKLOAD, FIB_OFF, "dev cali1 metric 1024");
	seen(n, "10.9.0.0/26", 5, FIB_BGP, FIB_STALE, "via 10.0.0.9 dev eth0 proto 186 metric 5");
	s = fib_stats(n->fib);
	ck_assert_uint_eq(s.intents, 6);
	ck_assert_uint_eq(s.unresolved, 1);
	ck_assert_uint_eq(s.stale, 1);
	ck_assert_uint_eq(s.links, 5);
	/* Before it is written it is pending. */
	set_via(n, "10.1.4.0/26", 1024, "10.0.0.2");
	ck_assert_int_eq(state(n, "10.1.4.1"), FIB_PENDING);
	net_free(n);
}
END_TEST

struct views {
	unsigned count;
	struct fib_view v[8];
};

static void collect(void *arg, const struct fib_view *v)
{
	struct views *all = arg;

	ck_assert_uint_lt(all->count, 8);
	all->v[all->count++] = *v;
}

START_TEST(longest_match_is_explained)
{
	struct net *n = net_new();
	struct addr a = A("10.1.0.5"), other = A("10.2.0.5");
	struct views all = {0};

	run("ip route add 10.1.0.0/26 via 10.0.0.9 proto 186 metric 5");
	net_start(n);
	set_via(n, "10.1.0.0/16", 1024, "10.0.0.2");
	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	set_hops(n, "10.1.0.0/26", 1024, FIB_BLOCK, FIB_BLACKHOLE, 0, NULL);
	net_settle(n);
	fib_explain(n->fib, &a, collect, &all);
	ck_assert_uint_eq(all.count, 3);
	for (unsigned i = 0; i < all.count; i++) {
		ck_assert_uint_eq(all.v[i].prefix.len, 26);
		ck_assert_int_eq(all.v[i].state == FIB_STALE, i == 2);
	}
	all.count = 0;
	fib_explain(n->fib, &other, collect, &all);
	ck_assert_uint_eq(all.count, 0);
	net_free(n);
}
END_TEST

START_TEST(state_names)
{
	static const char *const want[] = {"installed", "pending", "unresolved", "failed", "shadowed", "stale", "off"};

	ck_assert_uint_eq(sizeof want / sizeof *want, FIB_STATE_COUNT);
	for (int i = 0; i < FIB_STATE_COUNT; i++)
		ck_assert_str_eq(fib_state_name((enum fib_state)i), want[i]);
	ck_assert_str_eq(fib_state_name(FIB_STATE_COUNT), "unknown");
}
END_TEST

START_TEST(intents_of_several_classes)
{
	struct net *n = net_new();

	run("ip link add cali1 type veth peer name p; ip link set p up; ip link set cali1 up");
	net_start(n);
	net_synced(n);
	/* Set from worst to best, unset in other orders: the best that is left is in the kernel. */
	set_hops(n, "10.1.0.5/32", 1024, FIB_BLOCK, FIB_BLACKHOLE, 0, NULL);
	WAIT_ROUTES(n, "10.1.0.5", "blackhole 10.1.0.5 proto 186 metric 1024");
	set_via(n, "10.1.0.5/32", 1024, "10.0.0.2");
	WAIT_ROUTES(n, "10.1.0.5", "10.1.0.5 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	set_workload(n, "10.1.0.5/32", 1024, "cali1", NULL);
	WAIT_ROUTES(n, "10.1.0.5", "10.1.0.5 dev cali1 proto 186 scope link metric 1024");
	/* A change of one that does not win shows when it does. */
	set_via(n, "10.1.0.5/32", 1024, "10.0.1.2");
	unset(n, "10.1.0.5/32", FIB_BLOCK);
	unset(n, "10.1.0.5/32", FIB_BLOCK);
	net_settle(n);
	ck_assert_str_eq(routes("10.1.0.5"), "10.1.0.5 dev cali1 proto 186 scope link metric 1024");
	unset(n, "10.1.0.5/32", FIB_WORKLOAD);
	WAIT_ROUTES(n, "10.1.0.5", "10.1.0.5 via 10.0.1.2 dev eth1 proto 186 metric 1024 onlink");
	unset(n, "10.1.0.5/32", FIB_BGP);
	WAIT_ROUTES(n, "10.1.0.5", "");
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).intents, 0);
	ck_assert_uint_eq(n->fib->resolver.wants.count, 0);
	ck_assert_uint_eq(n->fib->resolver.nexthops.count, 0);
	net_free(n);
}
END_TEST

START_TEST(metric_is_fixed_and_freed)
{
	struct net *n = net_new();

	net_start(n);
	net_synced(n);
	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	set_hops(n, "10.1.0.0/26", 512, FIB_BLOCK, FIB_BLACKHOLE, 0, NULL);
	set_via(n, "fd01::/122", 1024, "fd00::2");
	WAIT(n, fib_stats(n->fib).installed == 3);
	n->conf.fixed_metric = 0;
	fib_configure(n->fib, &n->conf);
	/* Two metrics meet in one route: the better class wins, and its end uncovers the other. */
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.0.2 dev eth0 proto 186 onlink");
	unset(n, "10.1.0.0/26", FIB_BGP);
	WAIT_ROUTES(n, "10.1.0.0/26", "blackhole 10.1.0.0/26 proto 186");
	unset(n, "10.1.0.0/26", FIB_BLOCK);
	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	n->conf.fixed_metric = -1;
	fib_configure(n->fib, &n->conf);
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).installed, 2);
	ck_assert_uint_eq(fib_stats(n->fib).intents, 2);
	net_free(n);
}
END_TEST

START_TEST(protocol_and_table_change)
{
	struct net *n = net_new();

	run("ip route add 10.7.0.0/26 via 10.0.0.9 proto 80");
	net_start(n);
	net_synced(n);
	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	set_via(n, "fd01::/122", 1024, "fd00::2");
	WAIT(n, fib_stats(n->fib).installed == 2);
	net_settle(n);
	n->conf.protocol = 80;
	fib_configure(n->fib, &n->conf);
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.0.2 dev eth0 proto 80 metric 1024 onlink");
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fd00::2 dev eth0 proto 80 metric 1024 onlink");
	/* What carries the new number is ours now. */
	WAIT_ROUTES(n, "10.7.0.0/26", "");
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).installed, 2);
	n->conf.table = 1000;
	fib_configure(n->fib, &n->conf);
	WAIT_ROUTES(n, "10.1.0.0/26 table 1000", "10.1.0.0/26 via 10.0.0.2 dev eth0 proto 80 metric 1024 onlink");
	WAIT_ROUTES(n, "fd01::/122 table 1000", "fd01::/122 via fd00::2 dev eth0 proto 80 metric 1024 onlink");
	WAIT_ROUTES(n, "10.1.0.0/26", "");
	WAIT_ROUTES(n, "fd01::/122", "");
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).installed, 2);
	/* In its own table it adopts and repairs as in the main one. */
	net_stop(n);
	net_start(n);
	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	set_via(n, "fd01::/122", 1024, "fd00::2");
	net_synced(n);
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).adopted, 2);
	run("ip route flush table 1000");
	WAIT_ROUTES(n, "10.1.0.0/26 table 1000", "10.1.0.0/26 via 10.0.0.2 dev eth0 proto 80 metric 1024 onlink");
	net_free(n);
}
END_TEST

START_TEST(programming_is_switched)
{
	struct net *n = net_new();

	net_start(n);
	net_synced(n);
	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	WAIT(n, state(n, "10.1.0.1") == FIB_INSTALLED);
	n->conf.programming = false;
	fib_configure(n->fib, &n->conf);
	set_via(n, "10.1.0.0/26", 1024, "10.0.1.2");
	set_via(n, "10.2.0.0/26", 1024, "10.0.1.2");
	net_settle(n);
	ck_assert_str_eq(routes("10.1.0.0/26"), "10.1.0.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	ck_assert_str_eq(routes("10.2.0.0/26"), "");
	n->conf.programming = true;
	fib_configure(n->fib, &n->conf);
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.1.2 dev eth1 proto 186 metric 1024 onlink");
	WAIT_ROUTES(n, "10.2.0.0/26", "10.2.0.0/26 via 10.0.1.2 dev eth1 proto 186 metric 1024 onlink");
	net_free(n);
}
END_TEST

/* An intent that is none is refused, not followed. */
START_TEST(nonsense_is_left_out)
{
	struct fib_route r = {.prefix = {.len = 24}, .class = FIB_BGP, .type = FIB_VIA};
	struct net *n = net_new();

	net_start(n);
	fib_set(n->fib, &r);
	r.prefix = P("10.1.0.0/26");
	r.class = FIB_CLASS_COUNT;
	fib_set(n->fib, &r);
	r.class = FIB_BGP;
	r.hop_count = 1;
	fib_set(n->fib, &r);
	ck_assert_uint_eq(fib_stats(n->fib).intents, 0);
	/* Without next hops it is an intent that waits. */
	r.hop_count = 0;
	fib_set(n->fib, &r);
	net_settle(n);
	ck_assert_int_eq(state(n, "10.1.0.1"), FIB_UNRESOLVED);
	ck_assert_str_eq(explain(n, "10.1.0.1").reason, "no next hop given");
	net_free(n);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
	    the_kernels_own_answer,	every_route_in_its_state,  longest_match_is_explained, state_names,
	    intents_of_several_classes, metric_is_fixed_and_freed, protocol_and_table_change,  programming_is_switched,
	    nonsense_is_left_out,
	};

	return net_run("fib/show", tests, sizeof tests / sizeof *tests);
}
