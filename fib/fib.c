#include "fib/fib.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "fib/beside.h"
#include "fib/kernel.h"
#include "fib/settings.h"
#include "fib/state.h"

/* IPv6 knows no metric 0: the kernel makes it this. */
#define IPV6_METRIC 1024u

/* ---- what changed ---- */

static void route_queue(struct fib *f, struct route *r)
{
	if (r->flags & ROUTE_DIRTY)
		return;
	r->flags |= ROUTE_DIRTY;
	route_queue_put(&f->routes, &f->dirty, r);
	write_schedule(f);
}

void route_check(struct fib *f, struct route *r)
{
	const struct route_extra *e = route_extra(f, r);
	struct nhset *to;

	if (r->flags & (ROUTE_DIRTY | ROUTE_FLIGHT))
		return;
	if (e && backoff_is_waiting(&e->wait))
		return;
	switch (route_judge(f, r, &to)) {
	case VERDICT_WRITE:
	case VERDICT_REMOVE:
		route_queue(f, r);
		break;
	default:
		route_release(f, r);
	}
}

void route_changed(struct fib *f, struct route *r)
{
	struct route_extra *e = route_extra(f, r);

	if (e) {
		backoff_cancel(&f->backoffs, &e->wait);
		e->wait.step = 0;
	}
	route_count(f, r);
	route_queue(f, r);
}

/* ---- judging ---- */

bool route_is_off(const struct fib *f, const struct route *r)
{
	return !f->conf.programming || !f->conf.table || (r->want && beside_leaves(f, route_want(f, r)->class));
}

/* A route to a connected network that the kernel made itself is never taken over: with it would go the way to the very
 * gateway, and any peer can announce the prefix. Nor is a foreign route that next hops resolve through: a default route
 * learned by BGP must not take away the one that leads to the peer. Nor what a Felix wrote that runs beside us. */
static bool is_blocked(const struct fib *f, const struct route *r)
{
	for (const struct foreign *k = NULL; (k = route_rival(f, r, k));) {
		const struct prefix p = foreign_prefix(k);

		if (foreign_to(&f->foreign, k)->key.protocol == RTPROT_KERNEL || beside_is_felix(f, k) ||
		    (!r->have && resolve_goes_through(f, &p, r->metric)))
			return true;
	}
	return false;
}

enum verdict route_judge(const struct fib *f, const struct route *r, struct nhset **to)
{
	*to = NULL;
	if (route_is_off(f, r))
		return VERDICT_NONE;
	*to = route_to(f, r);
	if (*to && is_blocked(f, r))
		return r->have ? VERDICT_REMOVE : VERDICT_BLOCKED;
	if ((*to ? (*to)->number : 0) == r->have)
		return VERDICT_NONE;
	if (*to)
		return VERDICT_WRITE;
	/* Until everybody has said what is wanted, what is there stays. */
	return f->synced[route_family(r)] ? VERDICT_REMOVE : VERDICT_NONE;
}

/* ---- intents ---- */

static uint32_t kernel_metric(const struct fib *f, const struct prefix *p, uint32_t asked)
{
	uint32_t metric = f->conf.fixed_metric >= 0 ? (uint32_t)f->conf.fixed_metric : asked;

	return metric == 0 && p->addr.af == AF_INET6 ? IPV6_METRIC : metric;
}

/* Makes this the winner, or nobody (want NULL). Takes over the reference. */
static void route_elect(struct fib *f, struct route *r, struct want *want)
{
	route_set_want(f, r, want);
	route_changed(f, r);
}

static bool is_same_intent(const struct want *a, const struct want *b)
{
	return a->class == b->class && a->metric == b->metric;
}

/* With a fixed metric, intents of different metrics meet in one route; of one class the lower one wins. So it does
 * between a workload and BGP: a better priority means that the workload moves, or has moved, to another node. */
static bool is_better(const struct want *a, const struct want *than)
{
	bool moves = (a->class == FIB_WORKLOAD && than->class == FIB_BGP) ||
		     (a->class == FIB_BGP && than->class == FIB_WORKLOAD);

	if (moves && a->metric != than->metric)
		return a->metric < than->metric;
	return a->class != than->class ? a->class < than->class : a->metric < than->metric;
}

static struct intent **intent_find(const struct fib *f, const struct route *r, const struct want *like)
{
	struct route_extra *e = route_extra(f, r);

	for (struct intent **at = e ? &e->others : NULL; at && *at; at = &(*at)->next)
		if (is_same_intent((*at)->want, like))
			return at;
	return NULL;
}

/* Keeps an intent that does not win, best first. */
static void intent_shelve(struct fib *f, struct route *r, struct want *want)
{
	struct intent *i = mem_alloc(sizeof *i), **at = &route_extra_make(f, r)->others;

	while (*at && is_better((*at)->want, want))
		at = &(*at)->next;
	*i = (struct intent){.want = want, .next = *at};
	*at = i;
	f->stats.intents++;
}

/* Takes over the reference to want. */
static void intent_put(struct fib *f, const struct prefix *p, struct want *want)
{
	struct route *r = route_obtain(f, p, kernel_metric(f, p, want->metric));
	struct want *old = route_want(f, r);
	struct intent **at;

	if (!old) {
		route_elect(f, r, want);
	} else if (is_same_intent(old, want)) {
		if (old != want)
			route_elect(f, r, want);
		want_unref(f, old);
	} else if ((at = intent_find(f, r, want))) {
		want_unref(f, (*at)->want);
		(*at)->want = want;
	} else if (is_better(want, old)) {
		intent_shelve(f, r, old);
		route_elect(f, r, want);
	} else {
		intent_shelve(f, r, want);
	}
}

/* Takes an intent off the shelf; the reference is the caller's. */
static struct want *intent_take(struct fib *f, struct intent **at)
{
	struct intent *i = *at;
	struct want *want = i->want;

	*at = i->next;
	free(i);
	f->stats.intents--;
	return want;
}

/* The winner goes; the best of the others takes its place. */
static void winner_drop(struct fib *f, struct route *r)
{
	struct want *old = route_want(f, r);
	struct route_extra *e = route_extra(f, r);

	route_elect(f, r, e && e->others ? intent_take(f, &e->others) : NULL);
	want_unref(f, old);
}

static bool is_sane(const struct fib_route *r)
{
	char text[PREFIX_STRLEN];

	if (addr_bytes(r->prefix.addr.af) && r->prefix.len <= addr_bits(r->prefix.addr.af) &&
	    (unsigned)r->class < FIB_CLASS_COUNT && (r->hop_count == 0 || r->hops))
		return true;
	log_error("fib", "route %s: not a route, left out", prefix_format(&r->prefix, text));
	return false;
}

/* An intent of this class for this prefix, at any metric but one. */
struct class_key {
	const struct prefix *prefix;
	uint8_t class;
	int64_t but; /* the metric asked for that does not count; -1 none */
};

static bool is_of_class(const struct want *w, const struct class_key *k)
{
	return w && w->class == k->class && (int64_t)w->metric != k->but;
}

static struct intent **intent_of_class(const struct fib *f, const struct route *r, const struct class_key *k)
{
	struct route_extra *e = route_extra(f, r);

	for (struct intent **at = e ? &e->others : NULL; at && *at; at = &(*at)->next)
		if (is_of_class((*at)->want, k))
			return at;
	return NULL;
}

static struct route *find_class(const struct fib *f, const struct class_key *k)
{
	const struct ptab *t = &f->routes.table[family_of_af(k->prefix->addr.af)];

	for (struct route *r = ptab_find(t, k->prefix); r; r = ptab_more(t, r))
		if (is_of_class(route_want(f, r), k) || intent_of_class(f, r, k))
			return r;
	return NULL;
}

struct route *route_of_class(const struct fib *f, const struct prefix *p, uint8_t class)
{
	const struct class_key k = {p, class, -1};
	struct route *r = find_class(f, &k);

	return r && is_of_class(route_want(f, r), &k) ? r : NULL;
}

static void class_drop(struct fib *f, const struct class_key *k)
{
	struct route *r;

	while ((r = find_class(f, k))) {
		if (is_of_class(route_want(f, r), k))
			winner_drop(f, r);
		else
			want_unref(f, intent_take(f, intent_of_class(f, r, k)));
	}
}

void fib_set(struct fib *f, const struct fib_route *r)
{
	if (!is_sane(r))
		return;
	intent_put(f, &r->prefix, want_get(f, r));
	/* The new metric is queued first: it is there before the old one goes. */
	class_drop(f, &(struct class_key){&r->prefix, (uint8_t)r->class, r->metric});
	if (r->class == FIB_WORKLOAD)
		resolve_route_changed(f, &r->prefix);
}

void fib_unset(struct fib *f, const struct prefix *p, enum fib_class class)
{
	class_drop(f, &(struct class_key){p, (uint8_t) class, -1});
	if (class == FIB_WORKLOAD)
		resolve_route_changed(f, p);
}

void check_all(struct fib *f)
{
	uint32_t pos = 0;

	for (struct route *r; (r = routes_next(&f->routes, &pos));)
		route_changed(f, r);
}

void fib_sync_done(struct fib *f, enum family family)
{
	uint32_t pos = 0;

	if (f->synced[family])
		return;
	f->synced[family] = true;
	for (struct route *r; (r = routes_next(&f->routes, &pos));)
		if (r->have && route_family(r) == family)
			route_queue(f, r);
	neigh_check_all(f);
	write_schedule(f);
}

bool fib_is_synced(const struct fib *f, enum family family)
{
	return f->synced[family];
}

/* ---- configuration ---- */

struct moved {
	struct prefix prefix;
	struct want *want;
};

/* Every intent goes to the route of its new metric. Routes of the old metric are left without one and go, after the new
 * ones came. */
static void rekey(struct fib *f)
{
	struct strbuf all = {0};
	uint32_t pos = 0;
	size_t n;

	for (struct route *r; (r = routes_next(&f->routes, &pos));) {
		while (r->want) {
			struct moved m = {route_prefix(r), want_ref(route_want(f, r))};
			strbuf_add(&all, &m, sizeof m);
			winner_drop(f, r);
		}
	}
	n = all.len / sizeof(struct moved);
	for (size_t i = 0; i < n; i++) {
		struct moved m;
		memcpy(&m, all.s + i * sizeof m, sizeof m);
		intent_put(f, &m.prefix, m.want);
	}
	strbuf_free(&all);
}

void leave_table(struct fib *f)
{
	uint32_t pos = 0;

	for (struct route *r; (r = routes_next(&f->routes, &pos));) {
		const struct prefix p = route_prefix(r);

		if (!r->have)
			continue;
		write_surplus(f, &p, r->metric, nhset_ref(route_have(f, r)));
		route_set_have(f, r, NULL);
	}
}

static void set_conf(struct fib *f, const struct fib_conf *conf)
{
	f->conf = *conf;
	snprintf(f->interface_prefix, sizeof f->interface_prefix, "%s",
		 conf->interface_prefix ? conf->interface_prefix : "");
	f->conf.interface_prefix = f->interface_prefix;
	snprintf(f->vrf, sizeof f->vrf, "%s", conf->vrf ? conf->vrf : "");
	f->conf.vrf = f->vrf;
	if (f->vrf[0])
		f->conf.table = vrf_table(f);
}

void fib_configure(struct fib *f, const struct fib_conf *conf)
{
	struct fib_conf old = f->conf;

	set_conf(f, conf);
	if (old.table != f->conf.table)
		leave_table(f);
	if (old.fixed_metric != conf->fixed_metric)
		rekey(f);
	resolve_all(f);
	check_all(f);
	neigh_check_all(f);
	tunnels_check(f);
	if (conf->programming && !conf->routes_only)
		settings_forwarding(f);
	kernel_arm_audit(f);
	/* Which routes are ours is another question now. */
	if (old.table != f->conf.table || old.protocol != conf->protocol || old.takeover != conf->takeover)
		kernel_resync(f);
}

/* ---- life ---- */

static void put_probe(void *arg, struct wr *w)
{
	struct rtgenmsg g = {.rtgen_family = AF_INET};

	(void)arg;
	wr_bytes(w, &g, sizeof g);
}

static void no_answer(void *arg, const struct nlmsghdr *h)
{
	(void)arg;
	(void)h;
}

/* The kernel checks privilege before it finds that this deletion names no route. */
static bool may_program(void)
{
	int error = netlink_ask(RTM_DELROUTE, NLM_F_ACK, put_probe, no_answer, NULL);

	return error != EPERM && error != EACCES;
}

static const struct netlink_ops netlink_callbacks = {
    .on_event = kernel_event,
    .on_overrun = kernel_overrun,
    .on_done = write_done,
    .on_room = write_room,
};

static bool start(struct fib *f, char *err, size_t err_size)
{
	f->netlink = netlink_new(f->loop, &netlink_callbacks, f, err, err_size);
	if (!f->netlink)
		return false;
	if (f->conf.programming && !may_program()) {
		snprintf(err, err_size,
			 "may not change kernel routes: %s: CAP_NET_ADMIN is missing: run as root, or grant it "
			 "(systemd: AmbientCapabilities=CAP_NET_ADMIN, container: add capability NET_ADMIN)",
			 strerror(EPERM));
		return false;
	}
	if (!kernel_start(f)) {
		snprintf(err, err_size,
			 "cannot read links, addresses and routes from the kernel by netlink: no answer");
		return false;
	}
	return true;
}

struct fib *fib_new(struct loop *loop, const struct fib_conf *conf, const struct fib_ops *ops, void *arg, char *err,
		    size_t err_size)
{
	struct fib *f = mem_calloc(1, sizeof *f);

	f->loop = loop;
	f->ops = ops;
	f->arg = arg;
	set_conf(f, conf);
	routes_init(&f->routes);
	foreign_init(&f->foreign, &f->nhsets);
	TAILQ_INIT(&f->problems);
	resolver_init(f);
	neighs_init(f);
	tunnels_init(f);
	write_init(f);
	if (!start(f, err, err_size)) {
		fib_free(f);
		return NULL;
	}
	if (conf->programming && !conf->routes_only)
		settings_forwarding(f);
	kernel_arm_audit(f);
	return f;
}

void fib_teardown(struct fib *f)
{
	uint32_t pos = 0;

	f->synced[FAM_IPV4] = f->synced[FAM_IPV6] = true;
	for (struct route *r; (r = routes_next(&f->routes, &pos));) {
		while (r->want)
			winner_drop(f, r);
		route_changed(f, r);
	}
	if (!f->conf.routes_only)
		tunnels_teardown(f);
	own_teardown(f);
}

bool fib_is_idle(const struct fib *f)
{
	return route_queue_is_empty(&f->dirty) && route_queue_is_empty(&f->doomed) && STAILQ_EMPTY(&f->surplus) &&
	       !f->resync.running && !f->resolve_work.queued && !f->write_work.queued && !f->tunnels.work.queued &&
	       TAILQ_EMPTY(&f->neighs.queue) && f->sent_slab.live == 0;
}

static void free_intents(struct fib *f)
{
	uint32_t pos = 0;

	for (struct route *r; (r = routes_next(&f->routes, &pos));) {
		struct route_extra *e = route_extra(f, r);

		while (e && e->others)
			want_unref(f, intent_take(f, &e->others));
		if (r->want)
			want_unref(f, route_want(f, r));
		route_extra_free(f, r);
		nhset_unref(&f->nhsets, route_have(f, r));
	}
	routes_clear(&f->routes);
}

void fib_free(struct fib *f)
{
	if (!f)
		return;
	/* Nothing must be queued by what goes now. */
	f->conf.programming = false;
	kernel_stop(f);
	free_intents(f);
	write_free(f);
	tunnels_free(f);
	neighs_free(f);
	resolver_free(f);
	foreign_clear(&f->foreign);
	/* Requests under way hold some, and nobody waits for their answers any more. */
	nhset_free_all(&f->nhsets);
	links_clear(&f->links);
	while (!TAILQ_EMPTY(&f->problems))
		problem_clear(f, TAILQ_FIRST(&f->problems)->key);
	netlink_free(f->netlink);
	free(f);
}
