/* A new process finds the kernel as the old one left it: what is right is not touched, what is wrong is replaced, and
 * what nobody wants goes when everybody has spoken. */
#include <sys/wait.h>

#include "tests/unit/fib/net.h"

/* What a process before us left, both families. */
static void leave_routes(void)
{
	run("ip link add cali1 type veth peer name p1; ip link set p1 up; ip link set cali1 up");
	run("ip route add 10.1.0.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	run("ip route add 10.1.1.0/26 proto 186 metric 1024 nexthop via 10.0.1.2 dev eth1 onlink nexthop via 10.0.0.2 "
	    "dev eth0 "
	    "onlink");
	run("ip route add blackhole 10.1.2.0/26 proto 186");
	run("ip route add 10.1.3.5/32 dev cali1 scope link proto 186 metric 1024");
	run("ip -6 route add fd01::/122 via fd00::2 dev eth0 proto 186 metric 1024 onlink");
	run("ip -6 route add fd01:1::/122 proto 186 metric 1024 nexthop via fd00:1::2 dev eth1 onlink nexthop via "
	    "fd00::2 dev "
	    "eth0 onlink");
	run("ip -6 route add blackhole fd01:2::/122 proto 186");
	run("ip -6 route add fd01:3::5/128 dev cali1 proto 186 metric 1024");
	run("ip neigh add 10.1.3.5 lladdr ee:ee:ee:00:00:05 dev cali1 nud permanent");
}

static void want_routes(struct net *n)
{
	struct fib_hop hops[2] = {{.gateway = A("10.0.0.2")}, {.gateway = A("10.0.1.2")}};
	struct fib_hop hops6[2] = {{.gateway = A("fd00::2")}, {.gateway = A("fd00:1::2")}};

	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	set_hops(n, "10.1.1.0/26", 1024, FIB_BGP, FIB_VIA, 2, hops);
	set_hops(n, "10.1.2.0/26", 0, FIB_BLOCK, FIB_BLACKHOLE, 0, NULL);
	set_workload(n, "10.1.3.5/32", 1024, "cali1", "ee:ee:ee:00:00:05");
	set_via(n, "fd01::/122", 1024, "fd00::2");
	set_hops(n, "fd01:1::/122", 1024, FIB_BGP, FIB_VIA, 2, hops6);
	set_hops(n, "fd01:2::/122", 0, FIB_BLOCK, FIB_BLACKHOLE, 0, NULL);
	set_workload(n, "fd01:3::5/128", 1024, "cali1", NULL);
}

struct monitor {
	pid_t pid;
	char file[40];
};

/* Writes what `ip monitor route` sees to a file; returns when it sees. */
static struct monitor monitor_start(void)
{
	struct monitor m = {.file = "/tmp/calidris-monitor-XXXXXX"};
	int fd = mkstemp(m.file);

	ck_assert_msg(fd >= 0, "%s: %s", m.file, strerror(errno));
	m.pid = fork();
	ck_assert_int_ge(m.pid, 0);
	if (m.pid == 0) {
		dup2(fd, STDOUT_FILENO);
		execlp("ip", "ip", "-N", "monitor", "route", (char *)NULL);
		_exit(1);
	}
	close(fd);
	for (uint64_t until = mono_now() + NET_DEADLINE; atoi(output("grep -c 203.0.113.1 %s || true", m.file)) == 0;) {
		ck_assert_msg(mono_now() < until, "ip monitor sees nothing");
		run("ip route add 203.0.113.1/32 dev eth0; ip route del 203.0.113.1/32 dev eth0");
	}
	return m;
}

/* Waits until it has seen everything so far; what it saw of routes of protocol 186. */
static const char *monitor_stop(const struct monitor *m)
{
	const char *seen;

	for (uint64_t until = mono_now() + NET_DEADLINE;
	     atoi(output("grep -c 203.0.113.2 %s || true", m->file)) == 0;) {
		ck_assert_msg(mono_now() < until, "ip monitor sees nothing");
		run("ip route add 203.0.113.2/32 dev eth0; ip route del 203.0.113.2/32 dev eth0");
	}
	kill(m->pid, SIGTERM);
	waitpid(m->pid, NULL, 0);
	seen = output("grep -v 203.0.113 %s | grep 'proto 186'", m->file);
	unlink(m->file);
	return seen;
}

START_TEST(nothing_is_rewritten)
{
	struct net *n = net_new();
	const char *seen;
	struct monitor monitor;

	leave_routes();
	monitor = monitor_start();
	net_start(n);
	ck_assert_uint_eq(fib_stats(n->fib).stale, 8);
	ck_assert_int_eq(state(n, "10.1.0.1"), FIB_STALE);
	want_routes(n);
	net_synced(n);
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).installed, 8);
	ck_assert_uint_eq(fib_stats(n->fib).adopted, 8);
	ck_assert_uint_eq(fib_stats(n->fib).writes, 0);
	ck_assert_uint_eq(fib_stats(n->fib).deletes, 0);
	ck_assert_uint_eq(fib_stats(n->fib).batches, 0);
	seen = monitor_stop(&monitor);
	ck_assert_msg(strcmp(seen, "") == 0, "%s", seen);
	net_free(n);
}
END_TEST

START_TEST(routes_outlive_the_process)
{
	struct net *n = net_new();

	leave_routes();
	run("ip route flush proto 186; ip -6 route flush proto 186; ip neigh del 10.1.3.5 dev cali1");
	net_start(n);
	want_routes(n);
	net_synced(n);
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).writes, 8);
	net_stop(n);
	net_start(n);
	want_routes(n);
	net_synced(n);
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).adopted, 8);
	ck_assert_uint_eq(fib_stats(n->fib).writes, 0);
	ck_assert_uint_eq(fib_stats(n->fib).batches, 0);
	net_free(n);
}
END_TEST

START_TEST(stale_ones_go_after_sync)
{
	struct net *n = net_new();

	leave_routes();
	net_start(n);
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).stale, 8);
	/* Wanted and given up before the sync: still kept. */
	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	net_settle(n);
	unset(n, "10.1.0.0/26", FIB_BGP);
	net_settle(n);
	ck_assert_str_ne(routes("10.1.0.0/26"), "");
	fib_sync_done(n->fib, FAM_IPV6);
	ck_assert(fib_is_synced(n->fib, FAM_IPV6) && !fib_is_synced(n->fib, FAM_IPV4));
	WAIT(n, fib_stats(n->fib).stale == 4);
	ck_assert_str_eq(output("ip -6 route show proto 186"), "");
	ck_assert_str_ne(routes("10.1.0.0/26"), "");
	fib_sync_done(n->fib, FAM_IPV4);
	WAIT(n, fib_stats(n->fib).stale == 0);
	ck_assert_str_eq(output("ip route show proto 186"), "");
	ck_assert_uint_eq(fib_stats(n->fib).deletes, 8);
	/* From here on what is given up goes at once. */
	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	WAIT(n, state(n, "10.1.0.1") == FIB_INSTALLED);
	unset(n, "10.1.0.0/26", FIB_BGP);
	WAIT_ROUTES(n, "10.1.0.0/26", "");
	net_free(n);
}
END_TEST

START_TEST(another_gateway_is_a_replacement)
{
	struct net *n = net_new();
	const char *seen;
	struct monitor monitor;

	leave_routes();
	monitor = monitor_start();
	net_start(n);
	want_routes(n);
	set_via(n, "10.1.0.0/26", 1024, "10.0.1.9");
	set_via(n, "fd01::/122", 1024, "fd00:1::9");
	net_synced(n);
	net_settle(n);
	seen = monitor_stop(&monitor);
	ck_assert_str_eq(seen, "10.1.0.0/26 via 10.0.1.9 dev eth1 proto 186 metric 1024 onlink\n"
			       "fd01::/122 via fd00:1::9 dev eth1 proto 186 metric 1024 onlink pref medium");
	ck_assert_uint_eq(fib_stats(n->fib).writes, 2);
	ck_assert_uint_eq(fib_stats(n->fib).adopted, 6);
	net_free(n);
}
END_TEST

/* Both lines are in the text, once each, in this order. */
static void assert_order(const char *text, const char *first, const char *second)
{
	char *framed = mem_printf("\n%s\n", text);
	const char *a = strstr(framed, first), *b = strstr(framed, second);

	ck_assert_msg(a && b && a < b && !strstr(a + 1, first) && !strstr(b + 1, second), "%s before %s in %s", first,
		      second, text);
	free(framed);
}

/* The kernel carries them at another metric than we want: the new ones are there before the old ones go. */
START_TEST(another_metric)
{
	struct net *n = net_new();
	const char *seen;
	struct monitor monitor;

	run("ip route add 10.1.0.0/26 via 10.0.0.2 dev eth0 proto 186 onlink");
	run("ip route add 10.1.1.0/26 via 10.0.0.2 dev eth0 proto 186 onlink");
	monitor = monitor_start();
	net_start(n);
	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	set_via(n, "10.1.1.0/26", 1024, "10.0.0.2");
	net_synced(n);
	net_settle(n);
	/* And once more while we run: given up first and wanted anew in one turn. */
	unset(n, "10.1.0.0/26", FIB_BGP);
	set_via(n, "10.1.0.0/26", 512, "10.0.0.2");
	net_settle(n);
	seen = monitor_stop(&monitor);
	/* Both come before either goes. */
	assert_order(seen, "\n10.1.0.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink\n",
		     "\nDeleted 10.1.0.0/26 via 10.0.0.2 dev eth0 proto 186 onlink\n");
	assert_order(seen, "\n10.1.1.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink\n",
		     "\nDeleted 10.1.1.0/26 via 10.0.0.2 dev eth0 proto 186 onlink\n");
	assert_order(seen, "\n10.1.0.0/26 via 10.0.0.2 dev eth0 proto 186 metric 512 onlink\n",
		     "\nDeleted 10.1.0.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink\n");
	net_free(n);
}
END_TEST

/* Routes with attributes we never write are ours by protocol and not what we want. */
START_TEST(odd_ones_are_rewritten)
{
	struct net *n = net_new();

	run("ip route add 10.1.0.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink mtu 1400");
	run("ip route add 10.1.1.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink src 10.0.0.1");
	net_start(n);
	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	set_via(n, "10.1.1.0/26", 1024, "10.0.0.2");
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	WAIT_ROUTES(n, "10.1.1.0/26", "10.1.1.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	net_free(n);
}
END_TEST

/* Two routes of ours at one key, which only `append` or different kinds of IPv6 routes make: one goes. */
START_TEST(duplicates_go)
{
	struct net *n = net_new();

	run("ip route add 10.1.0.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	run("ip route append 10.1.0.0/26 via 10.0.1.2 dev eth1 proto 186 metric 1024 onlink");
	run("ip route add 10.1.1.0/26 via 10.0.1.2 dev eth1 proto 186 metric 1024 onlink");
	run("ip route append 10.1.1.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	run("ip -6 route add fd01::/122 dev eth1 proto 186 metric 1024");
	run("ip -6 route append fd01::/122 dev eth0 proto 186 metric 1024");
	net_start(n);
	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	set_via(n, "10.1.1.0/26", 1024, "10.0.0.2");
	set_via(n, "fd01::/122", 1024, "fd00::2");
	net_synced(n);
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	WAIT_ROUTES(n, "10.1.1.0/26", "10.1.1.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fd00::2 dev eth0 proto 186 metric 1024 onlink");
	net_free(n);
}
END_TEST

START_TEST(no_privilege)
{
	char text[16], err[300] = "";
	struct fib_conf conf = {.programming = true, .protocol = 186, .table = 254, .fixed_metric = -1, .max_paths = 1};
	struct loop *loop = loop_new();
	struct fib *f;

	/* A fresh network namespace whose owner we are not: root of another user namespace may nothing here. */
	namespace_unshare();
	snprintf(text, sizeof text, "%u", getuid());
	ck_assert_msg(unshare(CLONE_NEWUSER) == 0, "no user namespace: %s", strerror(errno));
	f = fib_new(loop, &conf, &net_ops, NULL, err, sizeof err);
	ck_assert_ptr_null(f);
	ck_assert_msg(strstr(err, "Operation not permitted") && strstr(err, "CAP_NET_ADMIN"), "%s", err);
	/* To look is allowed. */
	conf.programming = false;
	f = fib_new(loop, &conf, &net_ops, NULL, err, sizeof err);
	ck_assert_msg(f != NULL, "%s", err);
	fib_free(f);
	loop_free(loop);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
	    nothing_is_rewritten,
	    routes_outlive_the_process,
	    stale_ones_go_after_sync,
	    another_gateway_is_a_replacement,
	    another_metric,
	    odd_ones_are_rewritten,
	    duplicates_go,
	    no_privilege,
	};

	return net_run("fib/adopt", tests, sizeof tests / sizeof *tests);
}
