/* Beside a Felix: what is its stays as it is, and its routes to workloads are told. */
#include "fib/kernel.h"
#include "tests/unit/fib/net.h"

static struct net *new_beside(void)
{
	struct net *n = net_new();

	run("ip link add cali1 type veth peer name cali1p; ip link set cali1 up; ip link set cali1p up");
	n->conf.workload_routes = false;
	net_start(n);
	net_synced(n);
	return n;
}

/* The priority of a workload's route, with 1024 as the normal one; 0 if there is none. */
static uint32_t priority(struct net *n, const char *prefix)
{
	struct prefix p = P(prefix);
	uint32_t found = 0;

	return fib_workload_find(n->fib, &p, 1024, &found) ? found : 0;
}

static const char *interface(struct net *n, const char *prefix, char name[static 16])
{
	struct prefix p = P(prefix);

	fib_workload_interface(n->fib, &p, name);
	return name;
}

static const char *const addresses[] = {"10.1.0.5/32", "fd01::5/128"};

START_TEST(workloads_are_told)
{
	const char *prefix = addresses[_i], *flag = _i ? "-6" : "-4";
	struct net *n = new_beside();
	unsigned told = n->workloads_told;
	char name[16];

	ck_assert_str_eq(interface(n, prefix, name), "");
	run("ip %s route add %s dev cali1 proto boot metric 1024", flag, prefix);
	WAIT(n, priority(n, prefix) == 1024);
	ck_assert_str_eq(interface(n, prefix, name), "cali1");
	ck_assert_uint_gt(n->workloads_told, told);
	/* The lowest metric counts, whoever's it is. */
	run("ip %s route add %s dev cali1 proto 80 metric 512", flag, prefix);
	WAIT(n, priority(n, prefix) == 512);
	run("ip %s route del %s dev cali1 metric 512", flag, prefix);
	WAIT(n, priority(n, prefix) == 1024);
	told = n->workloads_told;
	/* Elsewhere it is no workload's, and nobody is told. */
	run("ip %s route replace %s via %s metric 1024", flag, prefix, _i ? "fd00::2" : "10.0.0.2");
	WAIT(n, priority(n, prefix) == 0);
	ck_assert_uint_gt(n->workloads_told, told);
	told = n->workloads_told;
	run("ip %s route add %s via %s", flag, _i ? "fd07::/64" : "10.7.0.0/16", _i ? "fd00::2" : "10.0.0.2");
	run("ip %s route del %s metric 1024", flag, prefix);
	net_settle(n);
	ck_assert_uint_eq(n->workloads_told, told);
	net_free(n);
}
END_TEST

START_TEST(metric_of_zero_is_normal)
{
	struct net *n = new_beside();

	run("ip route add 10.1.0.5/32 dev cali1 scope link");
	WAIT(n, priority(n, "10.1.0.5/32") == 1024);
	run("ip route add 10.1.0.5/32 dev cali1 scope link metric 2000");
	net_settle(n);
	ck_assert_uint_eq(priority(n, "10.1.0.5/32"), 1024);
	net_free(n);
}
END_TEST

START_TEST(what_is_there_at_the_start)
{
	struct net *n = net_new();

	run("ip link add cali1 type veth peer name cali1p; ip link set cali1 up; ip link set cali1p up");
	run("ip route add 10.1.0.5/32 dev cali1 scope link metric 700");
	run("ip route add 10.1.0.6/32 dev eth0 scope link metric 700");
	net_start(n);
	net_synced(n);
	/* With workloads of our own nobody asks. */
	fib_each_workload(n->fib);
	ck_assert_uint_eq(n->workloads_told, 0);
	ck_assert_uint_eq(priority(n, "10.1.0.5/32"), 0);
	n->conf.workload_routes = false;
	fib_configure(n->fib, &n->conf);
	fib_each_workload(n->fib);
	ck_assert_uint_eq(n->workloads_told, 1);
	ck_assert_uint_eq(priority(n, "10.1.0.5/32"), 700);
	ck_assert_uint_eq(priority(n, "10.1.0.6/32"), 0);
	net_free(n);
}
END_TEST

START_TEST(interface_gets_its_name_and_goes)
{
	struct net *n = new_beside();
	unsigned told;

	run("ip link add tmp type veth peer name tmpp; ip link set tmp up; ip link set tmpp up");
	run("ip route add 10.1.0.7/32 dev tmp scope link metric 1024");
	net_settle(n);
	ck_assert_uint_eq(priority(n, "10.1.0.7/32"), 0);
	told = n->workloads_told;
	run("ip link set tmp name cali7");
	WAIT(n, n->workloads_told > told);
	ck_assert_uint_eq(priority(n, "10.1.0.7/32"), 1024);
	run("ip link del cali7");
	WAIT(n, priority(n, "10.1.0.7/32") == 0);
	net_free(n);
}
END_TEST

/* The same prefix and metric: its stays, whoever was there first, and ours comes when it goes. */
START_TEST(its_routes_at_our_place)
{
	const char *prefix = _i ? "fd02::/122" : "10.2.0.0/26", *flag = _i ? "-6" : "-4";
	const char *gateway = _i ? "fd00::2" : "10.0.0.2", *its = _i ? "fd00::3" : "10.0.0.3";
	char ours_text[200], its_text[200];
	struct net *n = new_beside();
	uint64_t writes;

	snprintf(ours_text, sizeof ours_text, "%s via %s dev eth0 proto 186 metric 1024 onlink", prefix, gateway);
	snprintf(its_text, sizeof its_text, "%s via %s dev eth0 proto 80 metric 1024", prefix, its);
	set_via(n, prefix, 1024, gateway);
	WAIT_ROUTES(n, prefix, ours_text);
	run("ip %s route replace %s via %s proto 80 metric 1024", flag, prefix, its);
	WAIT(n, state(n, _i ? "fd02::1" : "10.2.0.1") == FIB_SHADOWED);
	net_settle(n);
	writes = n->fib->stats.writes;
	kernel_resync(n->fib);
	net_settle(n);
	ck_assert_str_eq(routes(prefix), its_text);
	ck_assert_uint_eq(n->fib->stats.writes, writes);
	run("ip %s route del %s proto 80", flag, prefix);
	WAIT_ROUTES(n, prefix, ours_text);
	/* Without a Felix the place is ours. */
	n->conf.workload_routes = true;
	fib_configure(n->fib, &n->conf);
	run("ip %s route replace %s via %s proto 80 metric 1024", flag, prefix, its);
	WAIT_ROUTES(n, prefix, ours_text);
	net_free(n);
}
END_TEST

START_TEST(overlay_and_its_devices_are_left)
{
	struct net *n = new_beside();
	struct fib_tunnel_conf c = {
	    .addr = A("10.9.0.1"), .local = A("10.0.0.1"), .vni = 4096, .port = 4789, .users = "IPPool p"};
	struct fib_vtep v = {.addr = A("10.9.0.2"), .node = A("10.0.0.2"), .mac = {0x66, 0, 0, 0, 0, 2}};
	struct fib_hop hop = {.gateway = A("10.9.0.2"), .tunnel = FIB_VXLAN};
	struct strbuf text = {0};

	fib_tunnel_set(n->fib, FIB_VXLAN, &c);
	fib_tunnel_set(n->fib, FIB_IPIP, &c);
	fib_vtep_set(n->fib, FIB_VXLAN, &v);
	set_hops(n, "10.3.0.0/26", 1024, FIB_OVERLAY, FIB_VIA, 1, &hop);
	net_settle(n);
	ck_assert_int_eq(state(n, "10.3.0.1"), FIB_OFF);
	ck_assert_str_eq(output("ip -br link | grep -c 'vxlan\\|tunl' || true"), "0");
	/* Felix makes its device: not a hair of it is changed. */
	run("ip link add vxlan.calico type vxlan id 4096 dstport 4789 dev eth0 && ip link set vxlan.calico mtu 1300 "
	    "up");
	run("ip addr add 10.9.0.77/32 dev vxlan.calico");
	run("bridge fdb add 66:00:00:00:00:07 dev vxlan.calico dst 10.0.0.7 self permanent");
	run("ip neigh add 10.9.0.7 lladdr 66:00:00:00:00:07 dev vxlan.calico nud permanent");
	run("ip route add 10.3.0.0/26 via 10.9.0.7 dev vxlan.calico onlink");
	net_settle(n);
	kernel_resync(n->fib);
	net_settle(n);
	ck_assert_str_eq(output("ip -o -4 addr show vxlan.calico | awk '{print $4}'"), "10.9.0.77/32");
	ck_assert_str_eq(output("ip -o link show vxlan.calico | grep -c 'mtu 1300'"), "1");
	ck_assert_str_eq(output("bridge fdb show dev vxlan.calico | grep -c 'dst 10.0.0.7'"), "1");
	ck_assert_str_eq(output("ip neigh show dev vxlan.calico nud permanent"),
			 "10.9.0.7 lladdr 66:00:00:00:00:07 PERMANENT");
	ck_assert_str_eq(routes("10.3.0.0/26"), "10.3.0.0/26 via 10.9.0.7 dev vxlan.calico onlink");
	fib_problems(n->fib, &text);
	ck_assert_uint_eq(text.len, 0);
	strbuf_free(&text);
	net_free(n);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fib/beside");
	TCase *tc = tcase_create("beside");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, workloads_are_told, 0, 2);
	tcase_add_test(tc, metric_of_zero_is_normal);
	tcase_add_test(tc, what_is_there_at_the_start);
	tcase_add_test(tc, interface_gets_its_name_and_goes);
	tcase_add_loop_test(tc, its_routes_at_our_place, 0, 2);
	tcase_add_test(tc, overlay_and_its_devices_are_left);
	suite_add_tcase(s, tc);
	return net_run_suite(s);
}
