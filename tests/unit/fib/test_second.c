/* A second fib of the process, for a table of its own beside the first one's; and what an earlier run has left in other
 * tables. */
#include "tests/unit/fib/net.h"

/* As routes(), in another table, the whole of it. */
static const char *table(unsigned number)
{
	return output("ip -N route show table %u 2>/dev/null | sed 's/scope 253/scope link/; s/^6 /blackhole /'",
		      number);
}

#define WAIT_TABLE(n, number, text)                                                                         \
	do {                                                                                                \
		uint64_t until_ = mono_now() + NET_DEADLINE;                                                \
		while (strcmp(table(number), text) != 0) {                                                  \
			ck_assert_msg(mono_now() < until_, "still not '%s' but '%s'", text, table(number)); \
			loop_turn((n)->loop, true);                                                         \
		}                                                                                           \
	} while (0)

/* The same namespace and loop, another fib. */
static struct net second_of(struct net *first, const struct fib_conf *conf)
{
	struct net second = *first;

	second.conf = *conf;
	second.fib = fib_new(second.loop, conf, NULL, NULL, second.err, sizeof second.err);
	ck_assert_msg(second.fib != NULL, "%s", second.err);
	return second;
}

static struct fib_conf conf_of_table(const struct net *n, uint32_t number)
{
	struct fib_conf conf = n->conf;

	conf.table = number;
	conf.routes_only = true;
	return conf;
}

START_TEST(a_table_of_its_own)
{
	struct net *n = net_new(), s;
	struct fib_conf conf = conf_of_table(n, 300);

	run("ip link add cali1 type veth peer name p1; ip link set p1 up; ip link set cali1 up");
	run("ip route add 192.0.2.0/24 via 10.0.0.9 proto static table 300");
	net_start(n);
	s = second_of(n, &conf);
	set_via(n, "10.1.0.0/24", 1024, "10.0.0.2");
	fib_mark_table(s.fib);
	set_via(&s, "10.1.0.0/24", 1024, "10.0.1.2");
	set_workload(&s, "10.65.0.2/32", 1024, "cali1", "02:00:00:00:00:01");
	WAIT_TABLE(n, 300,
		   "10.1.0.0/24 via 10.0.1.2 dev eth1 proto 186 metric 1024 onlink\n"
		   "10.65.0.2 dev cali1 proto 186 scope link metric 1024\n"
		   "blackhole 192.0.0.8 proto 186\n"
		   "192.0.2.0/24 via 10.0.0.9 dev eth0 proto 4");
	WAIT_ROUTES(n, "10.1.0.0/24", "10.1.0.0/24 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	/* Neighbours and settings of workloads are the first one's. */
	net_settle(&s);
	ck_assert_str_eq(output("ip neigh show dev cali1 nud permanent"), "");
	ck_assert_str_eq(output("cat /proc/sys/net/ipv4/conf/cali1/proxy_arp"), "0");
	/* Next hops are resolved by the main table, but not by what the first one wrote there. */
	set_via(&s, "10.2.0.0/24", 1024, "10.1.0.9");
	net_settle(&s);
	ck_assert_int_eq(state(&s, "10.2.0.1"), FIB_UNRESOLVED);
	run("ip route add 10.1.0.9/32 via 10.0.0.7 proto static");
	WAIT(n, state(&s, "10.2.0.1") == FIB_INSTALLED);
	/* What is ours goes, and nothing else, there or in the main table. */
	fib_teardown(s.fib);
	WAIT_TABLE(n, 300, "192.0.2.0/24 via 10.0.0.9 dev eth0 proto 4");
	WAIT(n, fib_is_idle(s.fib));
	fib_free(s.fib);
	ck_assert_str_eq(routes("10.1.0.0/24"), "10.1.0.0/24 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	ck_assert_uint_eq(fib_stats(n->fib).repaired, 0);
	net_free(n);
}
END_TEST

START_TEST(what_others_left)
{
	struct net *n = net_new(), s;
	struct fib_conf conf = conf_of_table(n, 301);
	uint32_t tables[4];

	run("ip route add 10.3.0.0/24 via 10.0.0.2 proto 186 table 301");
	run("ip route add 10.4.0.0/24 via 10.0.0.2 proto 186 table 301");
	run("ip route add blackhole 192.0.0.8 proto 186 table 301");
	/* Without the mark it may be another daemon's. */
	run("ip route add 10.5.0.0/24 via 10.0.0.2 proto 186 table 302");
	run("ip route add blackhole 192.0.0.8 proto static table 302");
	run("ip route add blackhole 192.0.0.8 proto 186 table 77");
	run("ip -6 route add fd05::/64 via fd00::2 proto 186 table 77");
	run("ip route add 10.6.0.0/24 via 10.0.0.2 proto 186");
	net_start(n);
	ck_assert_uint_eq(fib_other_tables(n->fib, tables, 4), 2);
	ck_assert_uint_eq(tables[0] + tables[1], 301 + 77);
	ck_assert_uint_eq(fib_other_tables(n->fib, tables, 1), 1);
	/* They are stale routes of a fib of that table, and there is nothing to learn from it about others. */
	s = second_of(n, &conf);
	ck_assert_uint_eq(fib_stats(s.fib).stale, 3);
	ck_assert_uint_eq(fib_other_tables(s.fib, tables, 4), 0);
	fib_teardown(s.fib);
	WAIT_TABLE(n, 301, "");
	WAIT(n, fib_is_idle(s.fib));
	fib_free(s.fib);
	ck_assert_ptr_nonnull(strstr(table(302), "10.5.0.0/24 via 10.0.0.2 dev eth0 proto 186"));
	ck_assert_str_eq(output("ip -N -6 route show table 77 | wc -l"), "1");
	net_free(n);
}
END_TEST

START_TEST(no_such_vrf)
{
	struct net *n = net_new(), s;
	struct fib_conf conf = conf_of_table(n, 254);

	conf.vrf = "red";
	net_start(n);
	s = second_of(n, &conf);
	ck_assert_uint_eq(fib_table(s.fib), 0);
	set_via(&s, "10.1.0.0/24", 1024, "10.0.0.2");
	net_synced(&s);
	net_settle(&s);
	ck_assert_int_eq(state(&s, "10.1.0.1"), FIB_OFF);
	/* An interface of that name is not yet a VRF. */
	run("ip link add red type veth peer name redp; ip link set red up");
	net_settle(&s);
	ck_assert_uint_eq(fib_table(s.fib), 0);
	ck_assert_str_eq(routes("10.1.0.0/24"), "");
	ck_assert_uint_eq(fib_stats(s.fib).writes, 0);
	fib_free(s.fib);
	net_free(n);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {a_table_of_its_own, what_others_left, no_such_vrf};

	return net_run("fib/second", tests, sizeof tests / sizeof *tests);
}
