/* Workload routes: interfaces that come, go and change, their settings and neighbours. */
#include <sys/mount.h>

#include "tests/unit/fib/net.h"

#define MAC "ee:ee:ee:00:00:05"

/* A veth as Calico's plugin makes it: up, and its other end too. */
static void add_pod(const char *name)
{
	run("ip link add %s type veth peer name p%.9s", name, name);
	run("ip link set p%.9s up; ip link set %s up", name, name);
}

static const char *setting(const char *path)
{
	return output("cat /proc/sys/net/%s", path);
}

static struct net *new_with_pod(const char *name)
{
	struct net *n = net_new();

	add_pod(name);
	net_start(n);
	return n;
}

START_TEST(interface_before_the_intent)
{
	struct net *n = new_with_pod("cali1");

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
	ck_assert_str_eq(routes("10.1.0.5"), "");
	run("ip link set cali1 up");
	WAIT_ROUTES(n, "10.1.0.5", "10.1.0.5 dev cali1 proto 186 scope link");
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).errors, 0);
	net_free(n);
}
END_TEST

START_TEST(interface_is_renamed)
{
	struct net *n = net_new();

	net_start(n);
	run("ip link add veth9 type veth peer name p; ip link set p up");
	set_workload(n, "10.1.0.5/32", 1024, "cali1", NULL);
	set_workload(n, "10.1.0.6/32", 1024, "cali2", NULL);
	net_synced(n);
	run("ip link set veth9 name cali1; ip link set cali1 up");
	WAIT_ROUTES(n, "10.1.0.5", "10.1.0.5 dev cali1 proto 186 scope link metric 1024");
	ck_assert_str_eq(setting("ipv4/conf/cali1/proxy_arp"), "1");
	/* Also while it is up: the old name's route goes, the new name's comes. */
	run("ip link set cali1 down; ip link set cali1 name cali2; ip link set cali2 up");
	WAIT_ROUTES(n, "10.1.0.6", "10.1.0.6 dev cali2 proto 186 scope link metric 1024");
	WAIT_ROUTES(n, "10.1.0.5", "");
	net_settle(n);
	ck_assert_int_eq(state(n, "10.1.0.5"), FIB_UNRESOLVED);
	ck_assert_uint_eq(fib_stats(n->fib).errors, 0);
	net_free(n);
}
END_TEST

START_TEST(interface_is_recreated)
{
	struct net *n = new_with_pod("cali1");

	set_workload(n, "10.1.0.5/32", 1024, "cali1", MAC);
	set_workload(n, "fd01::5/128", 1024, "cali1", NULL);
	WAIT_ROUTES(n, "10.1.0.5", "10.1.0.5 dev cali1 proto 186 scope link metric 1024");
	run("ip link del cali1");
	WAIT(n, state(n, "10.1.0.5") == FIB_UNRESOLVED);
	add_pod("cali1");
	WAIT_ROUTES(n, "10.1.0.5", "10.1.0.5 dev cali1 proto 186 scope link metric 1024");
	/* And without the daemon getting to see it in between. */
	run("ip link del cali1");
	add_pod("cali1");
	WAIT_ROUTES(n, "10.1.0.5", "10.1.0.5 dev cali1 proto 186 scope link metric 1024");
	WAIT_ROUTES(n, "fd01::5", "fd01::5 dev cali1 proto 186 metric 1024");
	WAIT(n, strcmp(output("ip neigh show 10.1.0.5"), "10.1.0.5 dev cali1 lladdr " MAC " PERMANENT") == 0);
	ck_assert_str_eq(setting("ipv4/conf/cali1/proxy_arp"), "1");
	net_settle(n);
	ck_assert_int_eq(state(n, "10.1.0.5"), FIB_INSTALLED);
	ck_assert_uint_eq(fib_stats(n->fib).repaired, 0);
	net_free(n);
}
END_TEST

START_TEST(interface_goes_down_and_up)
{
	struct net *n = new_with_pod("cali1");

	set_workload(n, "10.1.0.5/32", 1024, "cali1", MAC);
	set_workload(n, "fd01::5/128", 1024, "cali1", NULL);
	WAIT_ROUTES(n, "10.1.0.5", "10.1.0.5 dev cali1 proto 186 scope link metric 1024");
	WAIT(n, state(n, "fd01::5") == FIB_INSTALLED);
	run("ip link set cali1 down");
	WAIT(n, state(n, "10.1.0.5") == FIB_UNRESOLVED && state(n, "fd01::5") == FIB_UNRESOLVED);
	ck_assert_str_eq(explain(n, "10.1.0.5").reason, "interface cali1: interface is down");
	ck_assert_str_eq(routes("10.1.0.5"), "");
	run("ip link set cali1 up");
	WAIT_ROUTES(n, "10.1.0.5", "10.1.0.5 dev cali1 proto 186 scope link metric 1024");
	WAIT_ROUTES(n, "fd01::5", "fd01::5 dev cali1 proto 186 metric 1024");
	WAIT(n, strcmp(output("ip neigh show 10.1.0.5"), "10.1.0.5 dev cali1 lladdr " MAC " PERMANENT") == 0);
	/* Others remove it. */
	run("ip neigh del 10.1.0.5 dev cali1");
	WAIT(n, strcmp(output("ip neigh show 10.1.0.5"), "10.1.0.5 dev cali1 lladdr " MAC " PERMANENT") == 0);
	/* Both at once, so that one turn sees down and up. */
	run("ip link set cali1 down; ip link set cali1 up");
	WAIT_ROUTES(n, "10.1.0.5", "10.1.0.5 dev cali1 proto 186 scope link metric 1024");
	WAIT_ROUTES(n, "fd01::5", "fd01::5 dev cali1 proto 186 metric 1024");
	WAIT(n, strcmp(output("ip neigh show 10.1.0.5"), "10.1.0.5 dev cali1 lladdr " MAC " PERMANENT") == 0);
	net_settle(n);
	ck_assert_uint_eq(fib_stats(n->fib).repaired, 0);
	ck_assert_uint_eq(fib_stats(n->fib).resyncs, 0);
	net_free(n);
}
END_TEST

/* The kernel drops all IPv4 routes of an interface with its last IPv4 address, silently. */
START_TEST(last_address_of_the_interface_goes)
{
	struct net *n = new_with_pod("cali1");

	run("ip addr add 169.254.7.7/32 dev cali1");
	set_workload(n, "10.1.0.5/32", 1024, "cali1", NULL);
	WAIT_ROUTES(n, "10.1.0.5", "10.1.0.5 dev cali1 proto 186 scope link metric 1024");
	net_settle(n);
	run("ip addr del 169.254.7.7/32 dev cali1");
	ck_assert_str_eq(routes("10.1.0.5"), "");
	WAIT_ROUTES(n, "10.1.0.5", "10.1.0.5 dev cali1 proto 186 scope link metric 1024");
	net_free(n);
}
END_TEST

START_TEST(workload_goes)
{
	struct net *n = new_with_pod("cali1");

	set_workload(n, "10.1.0.5/32", 1024, "cali1", MAC);
	net_synced(n);
	WAIT_ROUTES(n, "10.1.0.5", "10.1.0.5 dev cali1 proto 186 scope link metric 1024");
	unset(n, "10.1.0.5/32", FIB_WORKLOAD);
	WAIT_ROUTES(n, "10.1.0.5", "");
	WAIT(n, strcmp(output("ip neigh show 10.1.0.5"), "") == 0);
	net_settle(n);
	ck_assert_int_eq(state(n, "10.1.0.5"), FIB_STATE_COUNT);
	ck_assert_uint_eq(fib_stats(n->fib).deletes, 1);
	ck_assert_uint_eq(routes_count(&n->fib->routes), 0);
	ck_assert_uint_eq(n->fib->neighs.all.count, 0);
	net_free(n);
}
END_TEST

START_TEST(settings_of_the_interface)
{
	static const char *const want[][2] = {
	    {"ipv4/conf/cali1/route_localnet", "1"},
	    {"ipv4/neigh/cali1/proxy_delay", "0"},
	    {"ipv4/conf/cali1/proxy_arp", "1"},
	    {"ipv4/conf/cali1/forwarding", "1"},
	    {"ipv4/conf/cali1/rp_filter", "2"},
	    {"ipv6/conf/cali1/accept_ra", "0"},
	    {"ipv6/conf/cali1/proxy_ndp", "1"},
	    {"ipv6/conf/cali1/forwarding", "1"},
	    {"ipv4/ip_forward", "1"},
	    {"ipv6/conf/all/forwarding", "1"},
	};
	struct net *n = net_new();
	struct strbuf problems = {0};

	run("echo 2 > /proc/sys/net/ipv4/conf/default/rp_filter");
	add_pod("cali1");
	run("echo 0 > /proc/sys/net/ipv4/conf/cali1/rp_filter; echo 0 > /proc/sys/net/ipv4/ip_forward");
	net_start(n);
	set_workload(n, "10.1.0.5/32", 1024, "cali1", NULL);
	net_settle(n);
	for (size_t i = 0; i < sizeof want / sizeof *want; i++)
		ck_assert_msg(strcmp(setting(want[i][0]), want[i][1]) == 0, "%s is %s", want[i][0],
			      setting(want[i][0]));
	fib_problems(n->fib, &problems);
	ck_assert_msg(problems.len == 0, "%s", problems.s);
	/* The audit makes again what somebody undid. */
	run("echo 0 > /proc/sys/net/ipv4/conf/cali1/proxy_arp");
	n->conf.audit = 50 * MONO_MSEC;
	fib_configure(n->fib, &n->conf);
	WAIT(n, strcmp(setting("ipv4/conf/cali1/proxy_arp"), "1") == 0);
	strbuf_free(&problems);
	net_free(n);
}
END_TEST

/* An object that names the node's uplink must not turn it into a proxy. */
START_TEST(settings_only_of_workload_interfaces)
{
	struct net *n = net_new();

	net_start(n);
	set_workload(n, "10.0.0.77/32", 1024, "eth0", NULL);
	WAIT_ROUTES(n, "10.0.0.77", "10.0.0.77 dev eth0 proto 186 scope link metric 1024");
	net_settle(n);
	ck_assert_str_eq(setting("ipv4/conf/eth0/proxy_arp"), "0");
	net_free(n);
}
END_TEST

START_TEST(settings_cannot_be_written)
{
	struct net *n = net_new();
	struct strbuf problems = {0};

	run("echo 0 > /proc/sys/net/ipv4/ip_forward");
	ck_assert_msg(unshare(CLONE_NEWNS) == 0, "no mount namespace: %s", strerror(errno));
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_msg(mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL) == 0, "%s", strerror(errno));
	ck_assert_msg(mount(NULL, "/proc/sys", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) == 0, "%s",
		      strerror(errno));
	add_pod("cali1");
	net_start(n);
	set_workload(n, "10.1.0.5/32", 1024, "cali1", NULL);
	WAIT_ROUTES(n, "10.1.0.5", "10.1.0.5 dev cali1 proto 186 scope link metric 1024");
	fib_problems(n->fib, &problems);
	ck_assert_msg(strstr(problems.s, "/proc/sys/net/ipv4/ip_forward: cannot be set to 1: Read-only file system"),
		      "%s", problems.s);
	ck_assert_msg(strstr(problems.s, "/proc/sys/net/ipv4/conf/cali1/route_localnet: cannot be set to 1: Read-only"),
		      "%s", problems.s);
	/* The problem goes with its interface. */
	run("ip link del cali1");
	WAIT(n, state(n, "10.1.0.5") == FIB_UNRESOLVED);
	strbuf_reset(&problems);
	fib_problems(n->fib, &problems);
	ck_assert_ptr_null(strstr(problems.s, "cali1"));
	strbuf_free(&problems);
	net_free(n);
}
END_TEST

START_TEST(neighbour_of_the_workload)
{
	struct net *n = new_with_pod("cali1");

	set_workload(n, "10.1.0.5/32", 1024, "cali1", MAC);
	WAIT(n, strcmp(output("ip neigh show 10.1.0.5"), "10.1.0.5 dev cali1 lladdr " MAC " PERMANENT") == 0);
	set_workload(n, "10.1.0.5/32", 1024, "cali1", "ee:ee:ee:00:00:06");
	WAIT(n, strcmp(output("ip neigh show 10.1.0.5"), "10.1.0.5 dev cali1 lladdr ee:ee:ee:00:00:06 PERMANENT") == 0);
	net_settle(n);
	ck_assert_str_eq(output("ip neigh show 10.1.0.5"), "10.1.0.5 dev cali1 lladdr ee:ee:ee:00:00:06 PERMANENT");
	/* The same address at another metric (a migration): the entry stays when the first route goes. */
	set_workload(n, "10.1.0.5/32", 512, "cali1", "ee:ee:ee:00:00:06");
	net_settle(n);
	ck_assert_str_eq(output("ip neigh show 10.1.0.5"), "10.1.0.5 dev cali1 lladdr ee:ee:ee:00:00:06 PERMANENT");
	/* Somebody deletes it: the audit puts it back. */
	run("ip neigh del 10.1.0.5 dev cali1");
	n->conf.audit = 50 * MONO_MSEC;
	fib_configure(n->fib, &n->conf);
	WAIT(n, strcmp(output("ip neigh show 10.1.0.5"), "10.1.0.5 dev cali1 lladdr ee:ee:ee:00:00:06 PERMANENT") == 0);
	net_free(n);
}
END_TEST

START_TEST(neighbour_moves_to_another_interface)
{
	struct net *n = new_with_pod("cali1");

	add_pod("cali2");
	set_workload(n, "10.1.0.5/32", 1024, "cali1", MAC);
	WAIT(n, strcmp(output("ip neigh show 10.1.0.5"), "10.1.0.5 dev cali1 lladdr " MAC " PERMANENT") == 0);
	set_workload(n, "10.1.0.5/32", 1024, "cali2", MAC);
	WAIT(n, strcmp(output("ip neigh show 10.1.0.5"), "10.1.0.5 dev cali2 lladdr " MAC " PERMANENT") == 0);
	WAIT_ROUTES(n, "10.1.0.5", "10.1.0.5 dev cali2 proto 186 scope link metric 1024");
	net_free(n);
}
END_TEST

START_TEST(route_of_the_plugin)
{
	struct net *n = new_with_pod("cali1");

	run("ip route add 10.1.0.5/32 dev cali1 scope link proto boot");
	run("ip route add 10.1.0.6/32 dev cali1 scope link proto boot metric 1024");
	set_workload(n, "10.1.0.5/32", 1024, "cali1", NULL);
	set_workload(n, "10.1.0.6/32", 1024, "cali1", NULL);
	net_synced(n);
	/* At another metric it stays beside ours; at ours it is taken over. */
	WAIT_ROUTES(n, "10.1.0.5",
		    "10.1.0.5 dev cali1 scope link\n10.1.0.5 dev cali1 proto 186 scope link metric 1024");
	WAIT_ROUTES(n, "10.1.0.6", "10.1.0.6 dev cali1 proto 186 scope link metric 1024");
	unset(n, "10.1.0.5/32", FIB_WORKLOAD);
	unset(n, "10.1.0.6/32", FIB_WORKLOAD);
	WAIT_ROUTES(n, "10.1.0.5", "10.1.0.5 dev cali1 scope link");
	WAIT_ROUTES(n, "10.1.0.6", "");
	net_free(n);
}
END_TEST

START_TEST(left_to_others)
{
	struct net *n = net_new();

	add_pod("cali1");
	n->conf.workload_routes = false;
	net_start(n);
	set_workload(n, "10.1.0.5/32", 1024, "cali1", MAC);
	set_via(n, "10.2.0.0/26", 1024, "10.0.0.2");
	WAIT_ROUTES(n, "10.2.0.0/26", "10.2.0.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	net_synced(n);
	net_settle(n);
	ck_assert_str_eq(routes("10.1.0.5"), "");
	ck_assert_int_eq(state(n, "10.1.0.5"), FIB_OFF);
	ck_assert_str_eq(setting("ipv4/conf/cali1/proxy_arp"), "0");
	ck_assert_str_eq(output("ip neigh show 10.1.0.5"), "");
	/* Switched on later, all of it comes. */
	n->conf.workload_routes = true;
	fib_configure(n->fib, &n->conf);
	WAIT_ROUTES(n, "10.1.0.5", "10.1.0.5 dev cali1 proto 186 scope link metric 1024");
	WAIT(n, strcmp(output("ip neigh show 10.1.0.5"), "10.1.0.5 dev cali1 lladdr " MAC " PERMANENT") == 0);
	ck_assert_str_eq(setting("ipv4/conf/cali1/proxy_arp"), "1");
	/* And switched off again it is left as it is. */
	n->conf.workload_routes = false;
	fib_configure(n->fib, &n->conf);
	net_settle(n);
	ck_assert_str_eq(routes("10.1.0.5"), "10.1.0.5 dev cali1 proto 186 scope link metric 1024");
	net_free(n);
}
END_TEST

/* A better priority than the workload's says that it moves to another node: its route wins, be it at a metric of its
 * own or at the one that all routes have. */
START_TEST(workload_moves_away)
{
	struct net *n = net_new();

	n->conf.fixed_metric = 0;
	add_pod("cali1");
	net_start(n);
	set_via(n, "10.1.0.5/32", 512, "10.0.0.9");
	set_workload(n, "10.1.0.5/32", 1024, "cali1", NULL);
	WAIT_ROUTES(n, "10.1.0.5", "10.1.0.5 via 10.0.0.9 dev eth0 proto 186 onlink");
	/* It has moved, and the other node is done with it: then what is here counts. */
	set_via(n, "10.1.0.5/32", 1024, "10.0.0.9");
	WAIT_ROUTES(n, "10.1.0.5", "10.1.0.5 dev cali1 proto 186 scope link");
	set_via(n, "10.1.0.5/32", 512, "10.0.0.9");
	WAIT_ROUTES(n, "10.1.0.5", "10.1.0.5 via 10.0.0.9 dev eth0 proto 186 onlink");
	unset(n, "10.1.0.5/32", FIB_BGP);
	WAIT_ROUTES(n, "10.1.0.5", "10.1.0.5 dev cali1 proto 186 scope link");
	net_free(n);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
	    interface_before_the_intent,
	    interface_after_the_intent,
	    interface_is_renamed,
	    interface_is_recreated,
	    interface_goes_down_and_up,
	    last_address_of_the_interface_goes,
	    workload_goes,
	    settings_of_the_interface,
	    settings_only_of_workload_interfaces,
	    settings_cannot_be_written,
	    neighbour_of_the_workload,
	    neighbour_moves_to_another_interface,
	    route_of_the_plugin,
	    left_to_others,
	    workload_moves_away,
	};

	return net_run("fib/workload", tests, sizeof tests / sizeof *tests);
}
