/* A network namespace of its own for each test, with veth pairs, and a fib in it. Include once per test program. */
#ifndef TEST_FIB_NET_H
#define TEST_FIB_NET_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/loop.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "fib/fib.h"
#include "fib/state.h"
#include "tests/unit/namespace.h"

#define NET_DEADLINE (30 * MONO_SEC)

struct net {
	struct loop *loop;
	struct fib *fib;
	struct loop_timer tick;
	struct fib_conf conf;
	char err[300];
	/* What on_nexthop said last. */
	unsigned told;
	bool reachable;
	uint32_t metric;
	struct addr nexthop;
	unsigned workloads_told;
};

/* Runs a shell command, which must succeed. */
static void __attribute__((format(printf, 1, 2))) run(const char *fmt, ...)
{
	char cmd[2000];
	va_list ap;
	int status;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof cmd, fmt, ap);
	va_end(ap);
	status = system(cmd);
	ck_assert_msg(status == 0, "command failed (%d): %s", status, cmd);
}

/* The output of a command, without blanks at line ends; the buffer is overwritten by the next call. */
static const char *__attribute__((format(printf, 1, 2))) output(const char *fmt, ...)
{
	static char text[65536];
	char cmd[1000];
	va_list ap;
	size_t n = 0;
	FILE *p;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof cmd, fmt, ap);
	va_end(ap);
	p = popen(cmd, "r");
	ck_assert_msg(p != NULL, "%s: %s", cmd, strerror(errno));
	while (fgets(text + n, (int)(sizeof text - n), p)) {
		n += strlen(text + n);
		while (n && (text[n - 1] == '\n' || text[n - 1] == ' '))
			n--;
		if (n + 1 < sizeof text)
			text[n++] = '\n';
	}
	pclose(p);
	if (n && text[n - 1] == '\n')
		n--;
	text[n] = '\0';
	return text;
}

/* What `ip route` shows for a prefix (protocols as numbers), in the main table. */
static __attribute__((unused)) const char *routes(const char *prefix)
{
	return output("ip -N %s route show %s | sed 's/ pref [a-z0-9]*//; s/scope 253/scope link/; s/ linkdown//; s/^6 "
		      "/blackhole /'",
		      strchr(prefix, ':') ? "-6" : "-4", prefix);
}

static struct addr A(const char *text) {
	struct addr a = {0};

	ck_assert_msg(!*text || addr_parse(&a, text), "%s", text);
	return a;
}

static struct prefix
P(const char *text) {
	struct prefix p;

	ck_assert_msg(prefix_parse(&p, text), "%s", text);
	return p;
}

static void
net_tick(void *arg)
{
	struct net *n = arg;

	loop_timer_set(n->loop, &n->tick, 5 * MONO_MSEC, net_tick, n);
}

static void net_on_nexthop(void *arg, const struct addr *nh, bool reachable, uint32_t metric)
{
	struct net *n = arg;

	n->told++;
	n->nexthop = *nh;
	n->reachable = reachable;
	n->metric = metric;
}

static void net_on_workload(void *arg, const struct prefix *p)
{
	struct net *n = arg;

	(void)p;
	n->workloads_told++;
}

static const struct fib_ops net_ops = {.on_nexthop = net_on_nexthop, .on_workload = net_on_workload};

/* eth0 10.0.0.1/24 and fd00::1/64, its other end eth0p; eth1 10.0.1.1/24 and fd00:1::1/64, its other end eth1p. */
static __attribute__((unused)) struct net *net_new(void)
{
	struct net *n = mem_calloc(1, sizeof *n);

	namespace_unshare();
	run("ip link set lo up");
	for (int i = 0; i < 2; i++) {
		run("ip link add eth%d type veth peer name eth%dp", i, i);
		run("ip link set eth%d up; ip link set eth%dp up", i, i);
		run("ip addr add 10.0.%d.1/24 dev eth%d", i, i);
		run("ip -6 addr add fd00:%x::1/64 dev eth%d nodad", i, i);
	}
	n->loop = loop_new();
	n->conf = (struct fib_conf){.programming = true,
				    .workload_routes = true,
				    .protocol = 186,
				    .table = 254,
				    .onlink = true,
				    .fixed_metric = -1,
				    .interface_prefix = "cali",
				    .max_paths = 16};
	net_tick(n);
	return n;
}

/* Requests go out by a thread, as they do with large tables. */
static bool net_by_thread;

static __attribute__((unused)) void net_start(struct net *n)
{
	n->fib = fib_new(n->loop, &n->conf, &net_ops, n, n->err, sizeof n->err);
	ck_assert_msg(n->fib != NULL, "fib_new: %s", n->err);
	if (net_by_thread)
		netlink_use_thread(n->fib->netlink);
}

static __attribute__((unused)) void net_synced(struct net *n)
{
	fib_sync_done(n->fib, FAM_IPV4);
	fib_sync_done(n->fib, FAM_IPV6);
}

static void net_check_counts(const struct net *n);

static __attribute__((unused)) void net_stop(struct net *n)
{
	if (n->fib)
		net_check_counts(n);
	fib_free(n->fib);
	n->fib = NULL;
}

static __attribute__((unused)) void net_free(struct net *n)
{
	net_stop(n);
	loop_timer_stop(n->loop, &n->tick);
	loop_free(n->loop);
	free(n);
}

/* Turns the loop until the condition holds; fails after the deadline. */
#define WAIT(n, cond)                                                                    \
	do {                                                                             \
		uint64_t until_ = mono_now() + NET_DEADLINE;                             \
		while (!(cond)) {                                                        \
			ck_assert_msg(mono_now() < until_, "still not true: %s", #cond); \
			loop_turn((n)->loop, true);                                      \
		}                                                                        \
	} while (0)

/* Turns the loop until `ip route` shows exactly this. */
#define WAIT_ROUTES(n, prefix, want)                                                                            \
	do {                                                                                                    \
		uint64_t until_ = mono_now() + NET_DEADLINE;                                                    \
		while (strcmp(routes(prefix), want) != 0) {                                                     \
			ck_assert_msg(mono_now() < until_, "%s is\n%s\nnot\n%s", prefix, routes(prefix), want); \
			loop_turn((n)->loop, true);                                                             \
		}                                                                                               \
	} while (0)

/* Everything that is queued was sent and answered. */
static __attribute__((unused)) bool net_is_idle(const struct net *n)
{
	const struct fib *f = n->fib;

	return route_queue_is_empty(&f->dirty) && route_queue_is_empty(&f->doomed) && STAILQ_EMPTY(&f->surplus) &&
	       !f->resync.running && !f->resolve_work.queued && !f->write_work.queued && f->sent_slab.live == 0;
}

/* The counts that are kept are those of a walk through the table. */
static void net_check_counts(const struct net *n)
{
	const struct fib *f = n->fib;
	struct fib_stats walked = {0}, s = fib_stats(f);
	uint32_t pos = 0;

	for (const struct route *r; (r = routes_next(&f->routes, &pos));) {
		const struct route_extra *e = route_extra(f, r);
		const struct want *w = route_want(f, r);
		bool there = r->have && w && w->to == route_have(f, r);
		walked.intents += w != NULL;
		for (const struct intent *i = e ? e->others : NULL; i; i = i->next)
			walked.intents++;
		walked.stale += !w && r->have;
		walked.unresolved += w && !w->to && !route_is_off(f, r);
		walked.failed += e && e->error;
		walked.installed += there;
		walked.adopted += there && r->flags & ROUTE_ADOPTED;
	}
	ck_assert_uint_eq(s.intents, walked.intents);
	ck_assert_uint_eq(s.stale, walked.stale);
	ck_assert_uint_eq(s.unresolved, walked.unresolved);
	ck_assert_uint_eq(s.failed, walked.failed);
	ck_assert_uint_eq(s.installed, walked.installed);
	ck_assert_uint_eq(s.adopted, walked.adopted);
}

/* Turns the loop until nothing is under way and all events so far were read. */
static __attribute__((unused)) void net_settle(struct net *n)
{
	for (int i = 0; i < 3; i++) {
		loop_turn(n->loop, true);
		WAIT(n, net_is_idle(n));
	}
	net_check_counts(n);
}

static __attribute__((unused)) void set_hops(struct net *n, const char *prefix, uint32_t metric, enum fib_class class,
					     enum fib_type type, unsigned count, const struct fib_hop *hops)
{
	struct fib_route r = {
	    .prefix = P(prefix), .metric = metric, .class = class, .type = type, .hop_count = count, .hops = hops};

	fib_set(n->fib, &r);
}

static __attribute__((unused)) void set_via(struct net *n, const char *prefix, uint32_t metric, const char *gateway)
{
	struct fib_hop hop = {.gateway = A(gateway)};

	set_hops(n, prefix, metric, FIB_BGP, FIB_VIA, 1, &hop);
}

static __attribute__((unused)) void set_workload(struct net *n, const char *prefix, uint32_t metric, const char *ifname,
						 const char *mac)
{
	struct fib_hop hop = {.ifname = ""};
	struct fib_route r = {.prefix = P(prefix),
			      .metric = metric,
			      .class = FIB_WORKLOAD,
			      .type = FIB_DEV,
			      .hop_count = 1,
			      .hops = &hop};

	snprintf(hop.ifname, sizeof hop.ifname, "%s", ifname);
	if (mac)
		ck_assert_int_eq(sscanf(mac, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &r.mac[0], &r.mac[1], &r.mac[2],
					&r.mac[3], &r.mac[4], &r.mac[5]),
				 6);
	fib_set(n->fib, &r);
}

static __attribute__((unused)) void unset(struct net *n, const char *prefix, enum fib_class class)
{
	struct prefix p = P(prefix);

	fib_unset(n->fib, &p, class);
}

static void net_first_view(void *arg, const struct fib_view *v)
{
	struct fib_view *first = arg;

	if (!first->route[0] && !first->reason[0])
		*first = *v;
}

/* The first thing that fib_explain() says about an address. */
static __attribute__((unused)) struct fib_view explain(struct net *n, const char *addr)
{
	struct fib_view v = {.state = FIB_STATE_COUNT};
	struct addr a = A(addr);

	fib_explain(n->fib, &a, net_first_view, &v);
	return v;
}

static __attribute__((unused)) enum fib_state state(struct net *n, const char *addr)
{
	return explain(n, addr).state;
}

static __attribute__((unused)) void net_set_thread(void)
{
	net_by_thread = true;
}

static void net_add(Suite *s, const char *name, const TTest *const *tests, size_t count, void (*setup)(void))
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 120);
	if (setup)
		tcase_add_checked_fixture(tc, setup, NULL);
	for (size_t i = 0; i < count; i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(s, tc);
}

static int net_run_suite(Suite *s)
{
	SRunner *sr = srunner_create(s);
	int failed;

	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}

/* All tests of a program, each in its own process and so in its own namespace. */
static __attribute__((unused)) int net_run(const char *name, const TTest *const *tests, size_t count)
{
	Suite *s = suite_create(name);

	net_add(s, name, tests, count, NULL);
	return net_run_suite(s);
}

#endif
