/* Tunnel devices and the other ends of VXLANs. IP-in-IP is not in every kernel: where it is missing, that is said. */
#include "tests/unit/fib/net.h"

#define MAC1 "66:00:00:00:00:01"
#define MAC2 "66:00:00:00:00:02"

static struct fib_tunnel_conf vxlan(const char *addr, const char *local)
{
	struct fib_tunnel_conf c = {.addr = A(addr), .local = A(local), .vni = 4096, .port = 4789, .users = "IPPool p"};

	memcpy(c.mac, "\x66\0\0\0\0\x09", 6);
	return c;
}

static void set_vtep(struct net *n, enum fib_tunnel t, const char *addr, const char *node, const char *mac)
{
	struct fib_vtep v = {.addr = A(addr), .node = A(node)};

	ck_assert_int_eq(sscanf(mac, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &v.mac[0], &v.mac[1], &v.mac[2], &v.mac[3],
				&v.mac[4], &v.mac[5]),
			 6);
	fib_vtep_set(n->fib, t, &v);
}

static void set_through(struct net *n, const char *prefix, const char *gateway, enum fib_tunnel t)
{
	struct fib_hop hop = {.gateway = A(gateway), .tunnel = t};

	set_hops(n, prefix, 1024, FIB_OVERLAY, FIB_VIA, 1, &hop);
}

static const char *device(const char *name)
{
	return output(
	    "ip -o -d link show %s 2>/dev/null | sed 's/.* mtu \\([0-9]*\\) .*ether \\([0-9a-f:]*\\) .* vxlan id "
	    "\\([0-9]*\\) .*local \\([0-9a-f.:]*\\) .* dstport \\([0-9]*\\) .*/\\1 \\2 \\3 \\4 \\5/'",
	    name);
}

static const char *index_of(const char *name)
{
	return output("ip -o link show %s | cut -d: -f1", name);
}

static const char *addresses(const char *name)
{
	return output("ip -o addr show dev %s 2>/dev/null | grep -v fe80 | awk '{print $4}'", name);
}

static const char *neighbours(const char *name)
{
	return output("(ip -4 neigh show dev %s nud permanent; ip -6 neigh show dev %s nud permanent) | sort", name,
		      name);
}

static const char *forwarding(const char *name)
{
	return output("bridge fdb show dev %s | grep ' dst ' | sort", name);
}

#define WAIT_TEXT(n, text, want)                                                                       \
	do {                                                                                           \
		uint64_t until_ = mono_now() + NET_DEADLINE;                                           \
		while (strcmp(text, want) != 0) {                                                      \
			ck_assert_msg(mono_now() < until_, "%s is\n%s\nnot\n%s", #text, (text), want); \
			loop_turn((n)->loop, true);                                                    \
		}                                                                                      \
	} while (0)

static struct net *new_synced(void)
{
	struct net *n = net_new();

	net_start(n);
	net_synced(n);
	return n;
}

static const char *problems(struct net *n)
{
	static char text[2000];
	struct strbuf b = {0};

	fib_problems(n->fib, &b);
	snprintf(text, sizeof text, "%s", b.s ? b.s : "");
	strbuf_free(&b);
	return text;
}

START_TEST(makes_device)
{
	struct net *n = new_synced();
	struct fib_tunnel_conf c = vxlan("10.9.0.1", "10.0.0.1"), c6 = vxlan("fd09::1", "fd00::1");

	fib_tunnel_set(n->fib, FIB_VXLAN, &c);
	fib_tunnel_set(n->fib, FIB_VXLAN6, &c6);
	WAIT_TEXT(n, device("vxlan.calico"), "1450 66:00:00:00:00:09 4096 10.0.0.1 4789");
	WAIT_TEXT(n, device("vxlan-v6.calico"), "1430 66:00:00:00:00:09 4096 fd00::1 4789");
	WAIT_TEXT(n, addresses("vxlan.calico"), "10.9.0.1/32");
	WAIT_TEXT(n, addresses("vxlan-v6.calico"), "fd09::1/128");
	/* What can change in place does. */
	c.mtu = 1400;
	c.mac[5] = 8;
	c.addr = A("10.9.0.2");
	fib_tunnel_set(n->fib, FIB_VXLAN, &c);
	WAIT_TEXT(n, device("vxlan.calico"), "1400 66:00:00:00:00:08 4096 10.0.0.1 4789");
	WAIT_TEXT(n, addresses("vxlan.calico"), "10.9.0.2/32");
	/* What cannot makes another device. */
	c.vni = 7;
	c.port = 8472;
	fib_tunnel_set(n->fib, FIB_VXLAN, &c);
	WAIT_TEXT(n, device("vxlan.calico"), "1400 66:00:00:00:00:08 7 10.0.0.1 8472");
	WAIT_TEXT(n, addresses("vxlan.calico"), "10.9.0.2/32");
	ck_assert_str_eq(problems(n), "");
	fib_tunnel_set(n->fib, FIB_VXLAN, NULL);
	fib_tunnel_set(n->fib, FIB_VXLAN6, NULL);
	WAIT_TEXT(n, output("ip -o link show type vxlan"), "");
	net_free(n);
}
END_TEST

START_TEST(routes_follow_device)
{
	struct net *n = new_synced();
	struct fib_tunnel_conf c = vxlan("10.9.0.1", "10.0.0.1");

	set_through(n, "10.1.0.0/26", "10.9.0.2", FIB_VXLAN);
	net_settle(n);
	ck_assert_str_eq(routes("10.1.0.0/26"), "");
	ck_assert_int_eq(state(n, "10.1.0.1"), FIB_UNRESOLVED);
	fib_tunnel_set(n->fib, FIB_VXLAN, &c);
#define ROUTE "10.1.0.0/26 via 10.9.0.2 dev vxlan.calico proto 186 metric 1024 onlink"
	WAIT_ROUTES(n, "10.1.0.0/26", ROUTE);
	run("ip link del vxlan.calico");
	WAIT_ROUTES(n, "10.1.0.0/26", "");
	WAIT_ROUTES(n, "10.1.0.0/26", ROUTE);
	/* From the plain way through the tunnel and back, each by replacement. */
	fib_gateway_down(n->fib, &c.local);
	unset(n, "10.1.0.0/26", FIB_OVERLAY);
	WAIT_ROUTES(n, "10.1.0.0/26", "");
	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	set_through(n, "10.1.0.0/26", "10.9.0.2", FIB_VXLAN);
	WAIT_ROUTES(n, "10.1.0.0/26", ROUTE);
	ck_assert_uint_eq(fib_stats(n->fib).deletes, 1);
	net_free(n);
}
END_TEST

START_TEST(other_ends)
{
	struct net *n = new_synced();
	struct fib_tunnel_conf c = vxlan("10.9.0.1", "10.0.0.1"), c6 = vxlan("fd09::1", "fd00::1");

	/* Before the device is there. */
	set_vtep(n, FIB_VXLAN, "10.9.0.2", "10.0.0.2", MAC1);
	fib_tunnel_set(n->fib, FIB_VXLAN, &c);
	fib_tunnel_set(n->fib, FIB_VXLAN6, &c6);
	set_vtep(n, FIB_VXLAN, "10.9.0.3", "10.0.0.3", MAC2);
	set_vtep(n, FIB_VXLAN6, "fd09::2", "fd00::2", MAC1);
	WAIT_TEXT(n, neighbours("vxlan.calico"),
		  "10.9.0.2 lladdr " MAC1 " PERMANENT\n10.9.0.3 lladdr " MAC2 " PERMANENT");
	WAIT_TEXT(n, forwarding("vxlan.calico"),
		  MAC1 " dst 10.0.0.2 self permanent\n" MAC2 " dst 10.0.0.3 self permanent");
	WAIT_TEXT(n, neighbours("vxlan-v6.calico"), "fd09::2 lladdr " MAC1 " PERMANENT");
	WAIT_TEXT(n, forwarding("vxlan-v6.calico"), MAC1 " dst fd00::2 self permanent");
	/* The node's address changes, another's MAC does, one goes. */
	set_vtep(n, FIB_VXLAN, "10.9.0.2", "10.0.0.22", MAC1);
	WAIT_TEXT(n, forwarding("vxlan.calico"),
		  MAC1 " dst 10.0.0.22 self permanent\n" MAC2 " dst 10.0.0.3 self permanent");
	set_vtep(n, FIB_VXLAN, "10.9.0.3", "10.0.0.3", "66:00:00:00:00:03");
	WAIT_TEXT(n, neighbours("vxlan.calico"),
		  "10.9.0.2 lladdr " MAC1 " PERMANENT\n10.9.0.3 lladdr 66:00:00:00:00:03 PERMANENT");
	WAIT_TEXT(n, forwarding("vxlan.calico"),
		  MAC1 " dst 10.0.0.22 self permanent\n66:00:00:00:00:03 dst 10.0.0.3 self permanent");
	fib_vtep_unset(n->fib, FIB_VXLAN, &(struct addr){0});
	fib_vtep_unset(n->fib, FIB_VXLAN, &(struct addr){.af = AF_INET, .b = {10, 9, 0, 3}});
	WAIT_TEXT(n, neighbours("vxlan.calico"), "10.9.0.2 lladdr " MAC1 " PERMANENT");
	WAIT_TEXT(n, forwarding("vxlan.calico"), MAC1 " dst 10.0.0.22 self permanent");
	/* What others remove, or change, is put back. */
	run("ip neigh del 10.9.0.2 dev vxlan.calico; bridge fdb del " MAC1 " dev vxlan.calico dst 10.0.0.22");
	WAIT_TEXT(n, neighbours("vxlan.calico"), "10.9.0.2 lladdr " MAC1 " PERMANENT");
	WAIT_TEXT(n, forwarding("vxlan.calico"), MAC1 " dst 10.0.0.22 self permanent");
	run("ip neigh replace 10.9.0.2 lladdr " MAC2 " dev vxlan.calico nud permanent");
	run("bridge fdb replace " MAC1 " dev vxlan.calico dst 10.0.0.23");
	WAIT_TEXT(n, neighbours("vxlan.calico"), "10.9.0.2 lladdr " MAC1 " PERMANENT");
	WAIT_TEXT(n, forwarding("vxlan.calico"), MAC1 " dst 10.0.0.22 self permanent");
	ck_assert_uint_eq(fib_stats(n->fib).resyncs, 0);
	/* The kernel drops the one without a word when the last IPv4 address goes; we put the address back, too. */
	run("ip addr del 10.9.0.1/32 dev vxlan.calico");
	WAIT_TEXT(n, addresses("vxlan.calico"), "10.9.0.1/32");
	WAIT_TEXT(n, neighbours("vxlan.calico"), "10.9.0.2 lladdr " MAC1 " PERMANENT");
	ck_assert_str_eq(problems(n), "");
	net_free(n);
}
END_TEST

START_TEST(adopts)
{
	struct net *n = new_synced();
	struct fib_tunnel_conf c = vxlan("10.9.0.1", "10.0.0.1");
	char before[200];

	fib_tunnel_set(n->fib, FIB_VXLAN, &c);
	set_vtep(n, FIB_VXLAN, "10.9.0.2", "10.0.0.2", MAC1);
	set_vtep(n, FIB_VXLAN, "10.9.0.3", "10.0.0.3", MAC2);
	WAIT_TEXT(n, neighbours("vxlan.calico"),
		  "10.9.0.2 lladdr " MAC1 " PERMANENT\n10.9.0.3 lladdr " MAC2 " PERMANENT");
	WAIT_TEXT(n, addresses("vxlan.calico"), "10.9.0.1/32");
	snprintf(before, sizeof before, "%s", index_of("vxlan.calico"));
	net_settle(n);
	net_stop(n);
	/* One of the ends is not wanted any more: it stays until all is known. */
	net_start(n);
	fib_tunnel_set(n->fib, FIB_VXLAN, &c);
	set_vtep(n, FIB_VXLAN, "10.9.0.2", "10.0.0.2", MAC1);
	net_settle(n);
	ck_assert_str_eq(index_of("vxlan.calico"), before);
	ck_assert_str_eq(neighbours("vxlan.calico"),
			 "10.9.0.2 lladdr " MAC1 " PERMANENT\n10.9.0.3 lladdr " MAC2 " PERMANENT");
	net_synced(n);
	WAIT_TEXT(n, neighbours("vxlan.calico"), "10.9.0.2 lladdr " MAC1 " PERMANENT");
	WAIT_TEXT(n, forwarding("vxlan.calico"), MAC1 " dst 10.0.0.2 self permanent");
	net_free(n);
}
END_TEST

START_TEST(follows_uplink)
{
	struct net *n = new_synced();
	struct fib_tunnel_conf c = vxlan("10.9.0.1", "10.0.0.1");

	run("ip link set eth0 mtu 1400");
	fib_tunnel_set(n->fib, FIB_VXLAN, &c);
	WAIT_TEXT(n, device("vxlan.calico"), "1350 66:00:00:00:00:09 4096 10.0.0.1 4789");
	run("ip link set eth0 mtu 1500");
	WAIT_TEXT(n, device("vxlan.calico"), "1450 66:00:00:00:00:09 4096 10.0.0.1 4789");
	run("ip link set vxlan.calico down mtu 1300");
	WAIT_TEXT(n, device("vxlan.calico"), "1450 66:00:00:00:00:09 4096 10.0.0.1 4789");
	WAIT(n, strstr(output("ip -o link show vxlan.calico"), "UP"));
	net_free(n);
}
END_TEST

START_TEST(ipip_or_says_why)
{
	struct net *n = new_synced();
	struct fib_tunnel_conf c = {.addr = A("10.9.0.1"), .local = A("10.0.0.1"), .users = "IPPool p"};

	fib_tunnel_set(n->fib, FIB_IPIP, &c);
	set_through(n, "10.1.0.0/26", "10.0.0.2", FIB_IPIP);
	WAIT(n, *problems(n) || strcmp(addresses("tunl0"), "10.9.0.1/32") == 0);
	if (*problems(n)) {
		ck_assert_msg(strstr(problems(n),
				     "tunl0: making the device: Operation not supported: the kernel has no "
				     "module ipip; routes through it wait (IPPool p)"),
			      "%s", problems(n));
		ck_assert_int_eq(state(n, "10.1.0.1"), FIB_UNRESOLVED);
		/* Everything else works. */
		set_via(n, "10.2.0.0/26", 1024, "10.0.0.2");
		WAIT_ROUTES(n, "10.2.0.0/26", "10.2.0.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
		fib_tunnel_set(n->fib, FIB_IPIP, NULL);
		WAIT(n, !*problems(n));
	} else {
		WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.0.2 dev tunl0 proto 186 metric 1024 onlink");
	}
	net_free(n);
}
END_TEST

START_TEST(names)
{
	ck_assert_str_eq(fib_tunnel_name(FIB_NO_TUNNEL), "");
	for (int t = FIB_IPIP; t < FIB_TUNNEL_COUNT; t++) {
		ck_assert(tunnels_is_device(fib_tunnel_name((enum fib_tunnel)t)));
		ck_assert_uint_lt(strlen(fib_tunnel_name((enum fib_tunnel)t)), 16);
	}
	ck_assert(!tunnels_is_device("eth0"));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {makes_device,   routes_follow_device, other_ends, adopts,
				      follows_uplink, ipip_or_says_why,	    names};

	return net_run("fib/tunnel", tests, sizeof tests / sizeof tests[0]);
}
