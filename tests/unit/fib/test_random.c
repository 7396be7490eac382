/* Anything may happen in any order. In the end the kernel must be as a fresh process with the same intents would make
 * it: so such a process is started, and must find nothing to do. */
#include <sys/socket.h>

#include "fib/kernel.h"
#include "tests/unit/fib/net.h"

#define PREFIXES 24
#define ACTIONS 250

struct intent_copy {
	bool wanted;
	struct fib_route route;
	struct fib_hop hops[3];
};

struct chaos {
	struct net *net;
	uint32_t x;
	bool fair; /* nothing happens that may end in a resync, which would hide what was not understood from events */
	struct intent_copy intent[PREFIXES];
	unsigned attacks[PREFIXES];
};

static uint32_t pick(struct chaos *c, uint32_t n)
{
	c->x ^= c->x << 13;
	c->x ^= c->x >> 17;
	c->x ^= c->x << 5;
	return (c->x >> 3) % n;
}

/* Half of each family; every third is a host's. */
static const char *prefix_of(unsigned i)
{
	static char text[64];

	if (i & 1)
		snprintf(text, sizeof text, i % 3 ? "fd20:%x::/64" : "fd20:%x::5/128", i);
	else
		snprintf(text, sizeof text, i % 3 ? "20.0.%u.0/24" : "20.0.%u.5/32", i);
	return text;
}

static const char *const gateways[2][6] = {
    {"10.0.0.2", "10.0.1.2", "10.0.0.3", "172.16.0.9", "172.17.0.9", "10.0.0.1"},
    {"fd00::2", "fd00:1::2", "fd00::3", "fd72::9", "fd73::9", "fd00::1"},
};

static void do_set(struct chaos *c)
{
	unsigned i = pick(c, PREFIXES);
	struct intent_copy *k = &c->intent[i];

	memset(k, 0, sizeof *k);
	k->wanted = true;
	k->route = (struct fib_route){.prefix = P(prefix_of(i)), .metric = pick(c, 3) * 512, .class = FIB_BGP};
	k->route.type = (enum fib_type)pick(c, 3);
	if (i % 3 == 0 && k->route.type == FIB_DEV) {
		k->route.class = FIB_WORKLOAD;
		k->route.mac[0] = 0xee;
		k->route.mac[5] = (uint8_t)(1 + pick(c, 3));
	}
	k->route.hop_count = k->route.type == FIB_VIA ? 1 + pick(c, 3) : k->route.type == FIB_DEV;
	for (unsigned h = 0; h < k->route.hop_count; h++) {
		if (k->route.type == FIB_VIA)
			k->hops[h].gateway = A(gateways[i & 1][pick(c, 6)]);
		else
			snprintf(k->hops[h].ifname, sizeof k->hops[h].ifname, "cali%u", pick(c, 3));
	}
	k->route.hops = k->hops;
	/* One class a prefix, so that the copy knows who wins. */
	for (int class = 0; class < FIB_CLASS_COUNT; class ++)
		if (class != (int)k->route.class)
			fib_unset(c->net->fib, &k->route.prefix, (enum fib_class) class);
	fib_set(c->net->fib, &k->route);
}

static void do_unset(struct chaos *c)
{
	struct intent_copy *k = &c->intent[pick(c, PREFIXES)];

	if (k->wanted)
		fib_unset(c->net->fib, &k->route.prefix, k->route.class);
	k->wanted = false;
}

static void try_run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void try_run(const char *fmt, ...)
{
	char cmd[600], quiet[700];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof cmd, fmt, ap);
	va_end(ap);
	snprintf(quiet, sizeof quiet, "(%s) >/dev/null 2>&1", cmd);
	if (system(quiet) < 0)
		ck_abort_msg("%s", cmd);
}

static void do_link(struct chaos *c)
{
	static const char *const names[] = {"cali0", "cali1", "cali2", "eth0", "eth1", "eth1p"};
	const char *name = names[pick(c, 6)];

	switch (pick(c, name[0] == 'c' ? 5 : 3)) {
	case 0:
		try_run("ip link set %s down", name);
		break;
	case 1:
		try_run("ip link set %s down; ip link set %s up", name, name);
		break;
	case 2:
		try_run("ip link set %s up", name);
		break;
	case 3:
		try_run("ip link del %s", name);
		break;
	default:
		try_run("ip link add %s type veth peer name p%s; ip link set p%s up; ip link set %s up", name, name,
			name, name);
	}
	if (name[0] == 'e')
		try_run("ip link set %s up; ip -6 addr add fd00:%c::1/64 dev %.4s nodad", name, name[3], name);
}

static void do_address(struct chaos *c)
{
	switch (pick(c, 4)) {
	case 0:
		try_run("ip addr del 10.0.1.1/24 dev eth1");
		break;
	case 1:
		try_run("ip addr add 10.0.1.1/24 dev eth1");
		break;
	case 2:
		try_run("ip -6 addr del fd00:1::1/64 dev eth1");
		break;
	default:
		try_run("ip -6 addr add fd00:1::1/64 dev eth1 nodad; ip -6 addr add fd00::1/64 dev eth0 nodad");
	}
}

static void do_foreign(struct chaos *c)
{
	unsigned net = 72 + pick(c, 2), eth = pick(c, 2), metric = 10 + pick(c, 2);
	const char *verb = pick(c, 2) ? "replace" : "del";

	if (pick(c, 2))
		try_run("ip route %s 172.%u.0.0/16 via 10.0.%u.254 metric %u proto static", verb, net - 56, eth,
			metric);
	else
		try_run("ip -6 route %s fd%u::/32 via fd00:%u::fe metric %u proto static", verb, net, eth, metric);
}

/* Not too often at one prefix: patience is tested elsewhere, and would only be waited for here. */
static void do_attack(struct chaos *c)
{
	unsigned i = pick(c, PREFIXES);
	const char *six = i & 1 ? "-6" : "", *gateway = i & 1 ? "fd00::77" : "10.0.0.77";
	unsigned metric = pick(c, 3) * 512;

	if (c->fair || ++c->attacks[i] > 4)
		return;
	switch (pick(c, 5)) {
	case 0:
		try_run("ip %s route del %s", six, prefix_of(i));
		break;
	case 1:
		try_run("ip %s route replace %s via %s metric %u proto 186", six, prefix_of(i), gateway, metric);
		break;
	case 2:
		try_run("ip %s route replace %s via %s metric %u proto static", six, prefix_of(i), gateway, metric);
		break;
	case 3:
		try_run("ip %s route append %s via %s metric %u proto 186", six, prefix_of(i), gateway, metric);
		break;
	default:
		try_run("ip %s route add blackhole %s metric %u proto 186", six, prefix_of(i), metric);
	}
}

static void do_turn(struct chaos *c)
{
	for (unsigned n = pick(c, 4); n; n--)
		loop_turn(c->net->loop, false);
}

/* Loses what the kernel tells, once in a while; a resync is asked for as an overflow would. */
static void do_lose(struct chaos *c)
{
	char buf[65536];

	if (c->fair || pick(c, 4))
		return;
	while (recv(netlink_event_fd(c->net->fib->netlink), buf, sizeof buf, MSG_DONTWAIT) > 0)
		;
	kernel_overrun(c->net->fib);
}

static void (*const actions[])(struct chaos *c) = {
    do_set,	do_set,	    do_set,    do_set,	  do_unset, do_unset, do_link, do_link, do_address,
    do_foreign, do_foreign, do_attack, do_attack, do_turn,  do_turn,  do_turn, do_lose,
};

/* Nothing waits and nothing is under way. */
static bool is_quiet(struct net *n)
{
	return net_is_idle(n) && n->fib->backoffs.count == 0 && n->fib->neighs.backoffs.count == 0 &&
	       !loop_timer_is_set(&n->fib->resync.soon);
}

/* Fails with what is left if it does not get quiet. */
static void settle(struct chaos *c)
{
	uint64_t until = mono_now() + NET_DEADLINE;

	for (unsigned quiet = 0; quiet < 3; quiet = is_quiet(c->net) ? quiet + 1 : 0) {
		loop_turn(c->net->loop, true);
		if (mono_now() > until)
			break;
	}
	for (uint64_t pos = 0; mono_now() > until;) {
		struct fib_view v;
		char text[PREFIX_STRLEN];
		if (!fib_next(c->net->fib, &pos, &v))
			ck_abort_msg("never quiet\n%s", output("ip a; ip -N route; ip -N -6 route"));
		if (v.state != FIB_INSTALLED)
			printf("%s %u %s: %s: %s\n", prefix_format(&v.prefix, text), v.metric, fib_state_name(v.state),
			       v.route, v.reason);
	}
}

static void set_all(struct chaos *c)
{
	for (unsigned i = 0; i < PREFIXES; i++)
		if (c->intent[i].wanted)
			fib_set(c->net->fib, &c->intent[i].route);
	net_synced(c->net);
	net_settle(c->net);
}

START_TEST(anything_in_any_order)
{
	struct chaos c = {.net = net_new(), .x = 2463534242u * (uint32_t)(_i + 1)};
	const char *seed = getenv("SEED");
	char before[65536];
	struct fib_stats s;

	net_by_thread = _i % 2;
	if (seed)
		c.x = (uint32_t)strtoul(seed, NULL, 10);
	net_start(c.net);
	net_synced(c.net);
	for (int fair = 0; fair < 2; fair++) {
		c.fair = fair;
		for (unsigned i = 0; i < ACTIONS; i++)
			actions[pick(&c, sizeof actions / sizeof *actions)](&c);
		/* What the kernel refuses while a hop is dying is tried again. */
		settle(&c);
	}
	snprintf(before, sizeof before, "%s", output("ip -N route; ip -N -6 route; ip neigh show nud permanent"));
	net_stop(c.net);
	net_start(c.net);
	set_all(&c);
	s = fib_stats(c.net->fib);
	ck_assert_msg(s.writes + s.deletes == 0, "run %d: %d writes, %d deletions were missing in\n%s\nnow\n%s", _i,
		      (int)s.writes, (int)s.deletes, before,
		      output("ip -N route; ip -N -6 route; ip neigh show nud permanent"));
	ck_assert_uint_eq(netlink_stats(c.net->fib->netlink)->batches, 0);
	net_free(c.net);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fib/random");
	TCase *tc = tcase_create("random");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, anything_in_any_order, 0, 4);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
