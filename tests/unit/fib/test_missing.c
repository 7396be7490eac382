/* What a kernel was built or set without: it is said once, and everything else works. */
#include "tests/unit/fib/net.h"

static const char *problems(struct net *n)
{
	static char text[2000];
	struct strbuf out = {0};

	fib_problems(n->fib, &out);
	snprintf(text, sizeof text, "%s", out.len ? out.s : "");
	strbuf_free(&out);
	return text;
}

static void set_two(struct net *n, const char *prefix, const char *a, const char *b)
{
	const struct fib_hop hops[] = {{.gateway = A(a)}, {.gateway = A(b)}};

	set_hops(n, prefix, 1024, FIB_BGP, FIB_VIA, 2, hops);
}

/* As Linux says it that was built without CONFIG_IP_ROUTE_MULTIPATH. */
START_TEST(no_multipath)
{
	struct net *n = net_new();
	struct prefix p = P("10.2.0.0/26");

	net_start(n);
	net_synced(n);
	set_two(n, "10.2.0.0/26", "10.0.0.2", "10.0.0.3");
	set_two(n, "fd02::/122", "fd00::2", "fd00::3");
	WAIT(n, strstr(routes("10.2.0.0/26"), "10.0.0.3"));
	WAIT(n, strstr(routes("fd02::/122"), "fd00::3"));
	write_failed(n->fib, route_find(n->fib, &p, 1024), false, EINVAL, "Multipath support not enabled in kernel");
	WAIT_ROUTES(n, "10.2.0.0/26", "10.2.0.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	/* IPv6 always can. */
	ck_assert_ptr_nonnull(strstr(routes("fd02::/122"), "fd00::3"));
	ck_assert_str_eq(problems(n),
			 "the kernel has no multipath routing (CONFIG_IP_ROUTE_MULTIPATH): IPv4 routes use one "
			 "next hop each\n");
	set_two(n, "10.3.0.0/26", "10.0.0.2", "10.0.0.3");
	WAIT_ROUTES(n, "10.3.0.0/26", "10.3.0.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	net_free(n);
}
END_TEST

START_TEST(ipv6_is_disabled)
{
	struct net *n = net_new();

	net_start(n);
	net_synced(n);
	run("ip link add cali1 type veth peer name cali1p; ip link set cali1 up; ip link set cali1p up");
	run("echo 1 >/proc/sys/net/ipv6/conf/cali1/disable_ipv6");
	set_workload(n, "fd01::5/128", 1024, "cali1", NULL);
	set_workload(n, "10.1.0.5/32", 1024, "cali1", NULL);
	set_via(n, "fd02::/122", 1024, "fd00::2");
	WAIT_ROUTES(n, "10.1.0.5", "10.1.0.5 dev cali1 proto 186 scope link metric 1024");
	WAIT(n, state(n, "fd01::5") == FIB_FAILED);
	ck_assert_msg(strstr(explain(n, "fd01::5").reason, "IPv6 is disabled"), "%s", explain(n, "fd01::5").reason);
	WAIT(n, *routes("fd02::/122"));
	run("echo 0 >/proc/sys/net/ipv6/conf/cali1/disable_ipv6");
	WAIT(n, *routes("fd01::5"));
	net_settle(n);
	ck_assert_str_eq(problems(n), "");
	net_free(n);
}
END_TEST

START_TEST(what_is_said)
{
	static const struct {
		const char *prefix;
		int error;
		const char *says;
	} rows[] = {
	    {"fd02::/122", EOPNOTSUPP, "the kernel has no IPv6"},
	    {"fd02::/122", EAFNOSUPPORT, "the kernel has no IPv6"},
	    {"fd02::/122", EACCES, "IPv6 is disabled on interfaces"},
	    {"10.2.0.0/26", EPERM, "CAP_NET_ADMIN was lost"},
	};
	struct net *n = net_new();
	struct prefix p = P(rows[_i].prefix);

	net_start(n);
	net_synced(n);
	set_via(n, rows[_i].prefix, 1024, p.addr.af == AF_INET ? "10.0.0.2" : "fd00::2");
	WAIT(n, *routes(rows[_i].prefix));
	write_failed(n->fib, route_find(n->fib, &p, 1024), false, rows[_i].error, "");
	ck_assert_msg(strstr(problems(n), rows[_i].says), "%s", problems(n));
	/* The next that goes well takes it back. */
	run("ip %s route del %s", p.addr.af == AF_INET ? "-4" : "-6", rows[_i].prefix);
	WAIT(n, !*problems(n));
	net_free(n);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fib/missing");
	TCase *tc = tcase_create("missing");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, no_multipath);
	tcase_add_test(tc, ipv6_is_disabled);
	tcase_add_loop_test(tc, what_is_said, 0, 4);
	suite_add_tcase(s, tc);
	return net_run_suite(s);
}
