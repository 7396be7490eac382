/* Which of a machine's addresses is the node's: Calico's methods over lists of interfaces, and over a namespace's real
 * ones. */
#include "daemon/cluster/detect.h"

#include "tests/unit/fib/net.h"

/* ---- Lists ---- */

static struct fib_address list[16];
static unsigned list_count;

static void add(uint32_t ifindex, const char *ifname, const char *text)
{
	struct fib_address *a = &list[list_count++];
	unsigned len;

	*a = (struct fib_address){.ifindex = ifindex};
	strcpy(a->ifname, ifname);
	ck_assert(prefix_parse_host(&a->addr, &len, text));
	a->len = (uint8_t)len;
}

static void add_machine(void)
{
	list_count = 0;
	add(1, "lo", "127.0.0.1/8");
	add(1, "lo", "192.0.2.99/32");
	add(2, "eth0", "10.0.0.5/24");
	add(2, "eth0", "10.0.0.6/24");
	add(2, "eth0", "fe80::5/64");
	add(2, "eth0", "fd00::5/64");
	add(3, "eth1", "172.16.0.5/16");
	add(4, "docker0", "172.17.0.1/16");
	add(5, "ens9", "169.254.7.7/16");
	add(6, "vxlan.calico", "10.244.1.0/32");
	add(7, "cali0d7763386da", "203.0.113.7/24");
}

static const struct {
	const char *method, *ipv4, *ipv6;
} cases[] = {
    /* The highest index that is none of containers', with a global unicast address. */
    {"first-found", "172.16.0.5/16", "fd00::5/64"},
    {"skip-interface=eth1", "10.0.0.5/24", "fd00::5/64"},
    {"skip-interface=th1,nothing", "10.0.0.5/24", "fd00::5/64"},
    {"skip-interface=eth.*", "none/0", "none/0"},
    {"interface=eth0", "10.0.0.5/24", "fd00::5/64"},
    {"interface=^eth", "172.16.0.5/16", "fd00::5/64"},
    {"interface=nothing,0$", "172.17.0.1/16", "fd00::5/64"}, /* docker0: without the list of what is skipped */
    {"interface=lo$", "192.0.2.99/32", "none/0"},
    {"cidr=10.0.0.0/8", "10.244.1.0/32", "none/0"},
    {"cidr=10.0.0.6/32,fd00::/8", "10.0.0.6/24", "fd00::5/64"},
    {"cidr=192.0.2.0/24", "192.0.2.99/32", "none/0"},
    {"kubernetes-internal-ip", "10.0.0.6/24", "fd00::77/128"},
};

static const char *text_of(const struct host_addr *a, char *buf)
{
	char text[ADDR_STRLEN];

	sprintf(buf, "%s/%u", addr_format(&a->addr, text), a->len);
	return buf;
}

START_TEST(test_methods)
{
	struct detect_source s = {.list = list};
	struct obj_node node = {0};
	struct host_addr a;
	char text[ADDR_STRLEN + 8];

	add_machine();
	s.count = list_count;
	s.node = &node;
	ck_assert(addr_parse(&node.internal[FAM_IPV4], "10.0.0.6"));
	ck_assert(addr_parse(&node.internal[FAM_IPV6], "fd00::77"));
	ck_assert_ptr_null(detect_check(cases[_i].method));
	a = detect_address(&s, cases[_i].method, FAM_IPV4);
	ck_assert_str_eq(text_of(&a, text), cases[_i].ipv4);
	a = detect_address(&s, cases[_i].method, FAM_IPV6);
	ck_assert_str_eq(text_of(&a, text), cases[_i].ipv6);
	/* A machine without interfaces, a cluster without the Node. */
	a = detect_address(&(struct detect_source){0}, cases[_i].method, FAM_IPV4);
	ck_assert_str_eq(text_of(&a, text), "none/0");
}
END_TEST

START_TEST(test_no_methods)
{
	static const char *const bad[] = {"",
					  "first",
					  "first-found=x",
					  "can-reach",
					  "can-reach=",
					  "can-reach=10.0.0",
					  "can-reach=10.0.0.256",
					  "can-reach=fd00::x",
					  "can-reach=-a",
					  "can-reach=a..b",
					  "can-reach=a b",
					  "interface",
					  "interface=",
					  "interface=(",
					  "interface=a,,b",
					  "skip-interface=[",
					  "cidr=",
					  "cidr=10.0.0.0/8,x",
					  "cidr=10.0.0.0/33",
					  "kubernetes-internal-ip=a",
					  "FIRST-FOUND"};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(detect_check(bad[i]) != NULL, "%s", bad[i]);
}
END_TEST

/* ---- Real interfaces ---- */

static unsigned changes;

static void on_address(void *arg)
{
	(void)arg;
	changes++;
}

static const struct fib_ops ops = {.on_address = on_address};

static struct addr named[FAM_COUNT];

static void expect_found(struct net *n, struct config *c, const char *ipv4, const char *ipv6)
{
	struct host_addr found[FAM_COUNT];
	char text[ADDR_STRLEN + 8];

	detect_all(n->fib, c, NULL, false, named, found);
	ck_assert_str_eq(text_of(&found[FAM_IPV4], text), ipv4);
	ck_assert_str_eq(text_of(&found[FAM_IPV6], text), ipv6);
}

static void wait_changes(struct net *n, unsigned at_least)
{
	uint64_t until = mono_now() + NET_DEADLINE;

	while (changes < at_least && mono_now() < until)
		loop_turn(n->loop, true);
	ck_assert_uint_ge(changes, at_least);
}

START_TEST(test_real_interfaces)
{
	struct net *n = net_new();
	struct config c = {.node_ip.mode = NODE_IP_DETECT,
			   .node_ip6.mode = NODE_IP_DETECT,
			   .detection = (char[]){"interface=^eth[01]$"},
			   .detection6 = (char[]){"can-reach=fd07::1"}};
	unsigned before;

	run("ip -6 route add fd07::/64 via fd00::9");
	n->fib = fib_new(n->loop, &n->conf, &ops, n, n->err, sizeof n->err);
	ck_assert_ptr_nonnull(n->fib);
	ck_assert(detect_is_wanted(&c, false));
	expect_found(n, &c, "10.0.1.1/24", "fd00::1/64");
	/* As they change: another address before, one more beside, the interface's last one gone. */
	before = changes;
	run("ip addr add 10.0.7.1/20 dev eth1; ip addr del 10.0.1.1/24 dev eth1");
	wait_changes(n, before + 2);
	expect_found(n, &c, "10.0.7.1/20", "fd00::1/64");
	before = changes;
	run("ip addr del 10.0.7.1/20 dev eth1");
	wait_changes(n, before + 1);
	expect_found(n, &c, "10.0.0.1/24", "fd00::1/64");
	run("ip -6 route replace fd07::/64 via fd00:1::9");
	expect_found(n, &c, "10.0.0.1/24", "fd00:1::1/64");
	ck_assert_uint_eq(detect_destination(&c, FAM_IPV4, &named[FAM_IPV4]).af, 0);
	ck_assert_uint_eq(detect_destination(&c, FAM_IPV6, &named[FAM_IPV6]).af, AF_INET6);
	/* can-reach without a way, and to the other family. */
	c.detection6 = (char[]){"can-reach=fd08::1"};
	c.detection = (char[]){"can-reach=10.0.0.77"};
	expect_found(n, &c, "10.0.0.1/24", "none/0");
	c.detection = (char[]){"can-reach=fd07::1"};
	expect_found(n, &c, "none/0", "none/0");
	/* By name: as far as the name's address is known. */
	ck_assert_ptr_null(detect_name(&c, FAM_IPV4));
	c.detection = (char[]){"can-reach=www.example.org"};
	ck_assert_str_eq(detect_name(&c, FAM_IPV4), "www.example.org");
	ck_assert_ptr_null(detect_name(&c, FAM_IPV6));
	expect_found(n, &c, "none/0", "none/0");
	ck_assert(addr_parse(&named[FAM_IPV4], "10.0.0.77"));
	expect_found(n, &c, "10.0.0.1/24", "none/0");
	ck_assert_uint_eq(detect_destination(&c, FAM_IPV4, &named[FAM_IPV4]).af, AF_INET);
	named[FAM_IPV4] = (struct addr){0};
	c.detection = (char[]){"can-reach=fd07::1"};
	ck_assert_uint_eq(detect_destination(&c, FAM_IPV4, &named[FAM_IPV4]).af, 0);
	net_free(n);
}
END_TEST

/* A configured address without a length has that of its interface; where nothing is asked, nothing is found. */
START_TEST(test_configured)
{
	struct net *n = net_new();
	struct config c = {.detection = (char[]){"first-found"}, .detection6 = (char[]){"first-found"}};

	net_start(n);
	ck_assert(!detect_is_wanted(&c, true));
	expect_found(n, &c, "none/0", "none/0");
	c.node_ip.mode = NODE_IP_FIXED;
	ck_assert(addr_parse(&c.node_ip.addr.addr, "10.0.1.1"));
	expect_found(n, &c, "10.0.1.1/24", "none/0");
	c.node_ip.addr.len = 8;
	expect_found(n, &c, "none/0", "none/0");
	net_free(n);
}
END_TEST

/* Left to chance: only where the object has none, and others can be told. */
START_TEST(test_filled_in)
{
	struct net *n = net_new();
	struct config c = {.node_ip.mode = NODE_IP_AUTO,
			   .detection = (char[]){"interface=eth1"},
			   .detection6 = (char[]){"first-found"}};
	struct host_addr found[FAM_COUNT];
	struct obj_node node = {.o.kind = OBJ_NODE};
	char text[ADDR_STRLEN + 8];

	net_start(n);
	ck_assert(!detect_is_wanted(&c, false) && detect_is_wanted(&c, true));
	expect_found(n, &c, "none/0", "none/0");
	detect_all(n->fib, &c, NULL, true, named, found);
	ck_assert_str_eq(text_of(&found[FAM_IPV4], text), "10.0.1.1/24");
	ck_assert_str_eq(text_of(&found[FAM_IPV6], text), "none/0");
	detect_all(n->fib, &c, &node, true, named, found);
	ck_assert_str_eq(text_of(&found[FAM_IPV4], text), "10.0.1.1/24");
	ck_assert(addr_parse(&node.ipv4.addr, "10.9.9.9"));
	detect_all(n->fib, &c, &node, true, named, found);
	ck_assert_str_eq(text_of(&found[FAM_IPV4], text), "none/0");
	net_free(n);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("detect");
	TCase *t = tcase_create("detect");
	SRunner *sr;
	int failures;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_methods, 0, sizeof cases / sizeof *cases);
	tcase_add_test(t, test_no_methods);
	tcase_add_test(t, test_real_interfaces);
	tcase_add_test(t, test_configured);
	tcase_add_test(t, test_filled_in);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
