/* The difference between what is wanted and what the kernel has, as netlink requests.
 *
 * Queued routes are compared once more when their turn comes, so what changed back meanwhile costs nothing. What is to
 * be added or replaced goes first and deletions follow behind it in the same stream: where a route moves to another
 * metric, the new one is there before the old one goes. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/base/mono.h"
#include "fib/picture.h"
#include "fib/state.h"

/* So many repairs of a route are made at once, and one more for each time that nothing happened for so long: a network
 * manager that sweeps now and then is undone at once, one that keeps at it more and more slowly. */
#define FIGHT_PATIENCE 3
#define FIGHT_TIME (10 * MONO_SEC)
/* So many routes are sent at once. The kernel takes 10 to 40 us for each, while nobody else is served: more would not
 * be noticeably cheaper. */
#define BURST 64
/* From so many routes on the kernel may take longer over a single one than we can wait. */
#define LARGE 16384

/* One request on its way. */
struct sent {
	struct route *route;
	struct neigh *neigh; /* either of the two, or none (a surplus route) */
	struct nhset *to;    /* what was written; NULL for a removal */
};

static struct sent *sent_new(struct fib *f, struct route *r, struct nhset *to)
{
	struct sent *s = slab_get(&f->sent_slab);

	s->route = r;
	s->to = to ? nhset_ref(to) : NULL;
	return s;
}

static void sent_free(struct fib *f, struct sent *s)
{
	nhset_unref(&f->nhsets, s->to);
	slab_put(&f->sent_slab, s);
}

/* ---- trouble ---- */

static void fights_forget(struct route_extra *e, uint64_t now)
{
	uint64_t quiet = (now - e->fought) / FIGHT_TIME;

	e->fights = quiet < e->fights ? e->fights - (uint32_t)quiet : 0;
	e->fought += quiet * FIGHT_TIME;
}

void write_forgive(struct fib *f, struct route *r)
{
	struct route_extra *e = route_extra(f, r);

	if (!e)
		return;
	if (e->error) {
		e->error = 0;
		free(e->text);
		e->text = NULL;
		e->wait.step = 0;
	}
	route_count(f, r);
	fights_forget(e, mono_now());
	if (e->others || e->fights || backoff_is_waiting(&e->wait))
		return;
	route_extra_free(f, r);
}

/* Without privilege every route fails: one message that says what to do. */
static void note_privilege(struct fib *f, int error)
{
	if (error != EPERM)
		return;
	problem_set(f, "privilege",
		    "the kernel does not let us change routes: %s: CAP_NET_ADMIN was lost: give it to the service "
		    "(AmbientCapabilities=CAP_NET_ADMIN) and restart it",
		    strerror(error));
}

/* What the kernel was built or set without: said once, whatever the number of routes that wait for it. Without
 * multipath (IPv4 alone can lack it) routes go on with one hop each. */
static void note_missing(struct fib *f, const struct route *r, int error, const char *text)
{
	bool ipv6 = route_family(r) == FAM_IPV6;

	if (ipv6 && (error == EOPNOTSUPP || error == EAFNOSUPPORT))
		problem_set(f, "ipv6",
			    "the kernel has no IPv6: no module ipv6, or ipv6.disable=1: IPv6 routes wait for it, show "
			    "kernel lists them");
	else if (ipv6 && error == EACCES)
		problem_set(f, "ipv6",
			    "IPv6 is disabled on interfaces that routes lead to (net.ipv6.conf.*.disable_ipv6): these "
			    "wait, show kernel lists them");
	if (ipv6 || error != EINVAL || !text || !strstr(text, "Multipath support") || f->no_multipath)
		return;
	f->no_multipath = true;
	problem_set(
	    f, "multipath",
	    "the kernel has no multipath routing (CONFIG_IP_ROUTE_MULTIPATH): IPv4 routes use one next hop each");
	resolve_all(f);
}

void write_failed(struct fib *f, struct route *r, bool removal, int error, const char *text)
{
	struct route_extra *e = route_extra_make(f, r);
	const struct prefix p = route_prefix(r);
	char prefix[PREFIX_STRLEN];
	uint32_t suppressed = 0;

	f->stats.errors++;
	note_privilege(f, error);
	note_missing(f, r, error, text);
	e->error = error;
	route_count(f, r);
	free(e->text);
	e->text = text && *text ? mem_strdup(text) : NULL;
	backoff_wait(&f->backoffs, &e->wait);
	if (log_allowed(&f->refusals, 10, 10 * MONO_SEC, &suppressed))
		log_warn("fib", "%s %s metric %u: the kernel refused: %s%s%s; will be retried (%u more such)",
			 removal ? "removing" : "writing", prefix_format(&p, prefix), r->metric, strerror(error),
			 e->text ? ": " : "", e->text ? e->text : "", suppressed);
}

static void on_wait_over(void *arg, void *owner)
{
	route_check(arg, ((struct route_extra *)owner)->route);
}

/* Why somebody does so is not known here, but who looks for it should not have to guess that it happens. */
static void tell_fight(struct fib *f, const struct route *r, uint32_t fights)
{
	const struct prefix p = route_prefix(r);
	char prefix[PREFIX_STRLEN];
	uint32_t suppressed = 0;

	if (log_allowed(&f->fights, 5, 60 * MONO_SEC, &suppressed))
		log_warn(
		    "fib",
		    "%s metric %u: others have removed or changed our route %u times: it is put back more and more "
		    "slowly; `ip monitor route` shows when, a network manager or another routing daemon may be told "
		    "to leave protocol %u alone (%u more such)",
		    prefix_format(&p, prefix), r->metric, fights, f->conf.protocol, suppressed);
}

void write_repair(struct fib *f, struct route *r)
{
	struct route_extra *e = route_extra_make(f, r);
	uint64_t now = mono_now();

	r->flags |= ROUTE_LOST;
	fights_forget(e, now);
	if (!e->fights)
		e->wait.step = 0;
	e->fights++;
	e->fought = now;
	if (e->fights > FIGHT_PATIENCE && !backoff_is_waiting(&e->wait) && !(r->flags & ROUTE_DIRTY)) {
		backoff_wait(&f->backoffs, &e->wait);
		tell_fight(f, r, e->fights);
	}
	route_check(f, r);
}

/* ---- requests ---- */

static void send_route(struct fib *f, struct route *r, struct nhset *to)
{
	struct sent *s = sent_new(f, r, to);
	const struct prefix p = route_prefix(r);

	rtmsg_put_route(netlink_begin(f->netlink, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, s), &p, r->metric, to);
	if (!netlink_end(f->netlink)) {
		sent_free(f, s);
		write_failed(f, r, false, EMSGSIZE, "");
		return;
	}
	f->stats.writes++;
	if (r->flags & ROUTE_LOST)
		f->stats.repaired++;
	r->flags = (uint16_t)((r->flags & ~(ROUTE_ADOPTED | ROUTE_ECHO | ROUTE_LOST)) | ROUTE_FLIGHT);
	route_count(f, r);
}

static void send_removal(struct fib *f, struct route *r)
{
	const struct prefix p = route_prefix(r);

	rtmsg_put_route_removal(netlink_begin(f->netlink, RTM_DELROUTE, 0, sent_new(f, r, NULL)), &p, r->metric,
				route_have(f, r), false);
	netlink_end(f->netlink);
	f->stats.deletes++;
	r->flags = (uint16_t)((r->flags & ~(ROUTE_ECHO | ROUTE_LOST)) | ROUTE_FLIGHT);
}

static void send_surplus(struct fib *f)
{
	struct surplus *s = STAILQ_FIRST(&f->surplus);

	STAILQ_REMOVE_HEAD(&f->surplus, link);
	rtmsg_put_route_removal(netlink_begin(f->netlink, RTM_DELROUTE, 0, sent_new(f, NULL, NULL)), &s->prefix,
				s->metric, s->to, true);
	netlink_end(f->netlink);
	f->stats.deletes++;
	nhset_unref(&f->nhsets, s->to);
	free(s);
}

void write_surplus(struct fib *f, const struct prefix *p, uint32_t metric, struct nhset *to)
{
	struct surplus *s = mem_calloc(1, sizeof *s);

	*s = (struct surplus){.prefix = *p, .metric = metric, .to = to};
	STAILQ_INSERT_TAIL(&f->surplus, s, link);
	write_schedule(f);
}

/* The next route to be compared; those to be deleted are put back until nothing is left to be added. */
static void write_dirty(struct fib *f)
{
	struct route *r = route_queue_take(&f->routes, &f->dirty);
	enum verdict v;
	struct nhset *to;

	v = r->flags & ROUTE_FLIGHT ? VERDICT_NONE : route_judge(f, r, &to);
	if (v == VERDICT_REMOVE) {
		route_queue_put(&f->routes, &f->doomed, r);
		return;
	}
	r->flags &= (uint16_t)~ROUTE_DIRTY;
	if (v == VERDICT_WRITE) {
		send_route(f, r, to);
		return;
	}
	write_forgive(f, r);
	if (v == VERDICT_NONE)
		picture_evict(f, r);
	route_release(f, r);
}

static void write_doomed(struct fib *f)
{
	struct route *r = route_queue_take(&f->routes, &f->doomed);
	struct nhset *to;

	r->flags &= (uint16_t)~ROUTE_DIRTY;
	if (!(r->flags & ROUTE_FLIGHT) && route_judge(f, r, &to) == VERDICT_REMOVE)
		send_removal(f, r);
	else
		route_check(f, r);
}

/* One step; false if there is nothing to do. */
static bool write_next(struct fib *f)
{
	if (!route_queue_is_empty(&f->dirty))
		write_dirty(f);
	else if (neigh_write(f))
		return true;
	else if (!route_queue_is_empty(&f->doomed))
		write_doomed(f);
	else if (!STAILQ_EMPTY(&f->surplus) && f->conf.programming && f->synced[FAM_IPV4] && f->synced[FAM_IPV6])
		send_surplus(f);
	else
		return false;
	return true;
}

static bool on_write_work(void *arg, uint64_t deadline)
{
	struct fib *f = arg;
	bool left = true;

	/* What is sent must fit what links and routes are now. */
	resolve_run(f);
	if (routes_count(&f->routes) + f->foreign.count > LARGE)
		netlink_use_thread(f->netlink);
	for (unsigned n = 1; left && netlink_has_room(f->netlink); n++) {
		left = write_next(f);
		if (n % BURST)
			continue;
		/* The kernel does the work while we send: what it takes is known only afterwards. */
		netlink_flush(f->netlink);
		if (mono_now() > deadline)
			break;
	}
	netlink_flush(f->netlink);
	/* Without room, write_room() goes on. */
	return left && netlink_has_room(f->netlink);
}

/* ---- answers ---- */

static void route_done(struct fib *f, struct route *r, const struct sent *s, int error, const char *text)
{
	bool removal = s->to == NULL;

	if (removal && error == ESRCH)
		error = 0;
	r->flags &= (uint16_t)~ROUTE_FLIGHT;
	if (error) {
		write_failed(f, r, removal, error, text);
	} else {
		/* No event: the kernel had it like this all along. */
		if (!(r->flags & ROUTE_ECHO))
			route_set_have(f, r, s->to ? nhset_ref(s->to) : NULL);
		problem_clear(f, "privilege");
		if (route_family(r) == FAM_IPV6)
			problem_clear(f, "ipv6");
		write_forgive(f, r);
	}
	r->flags &= (uint16_t)~ROUTE_ECHO;
	/* The kernel tells the route otherwise than we wrote it: to write it again and again at once would not help. */
	if (!error && !removal && route_to(f, r) == s->to && route_have(f, r) != s->to && !(r->flags & ROUTE_LOST))
		write_repair(f, r);
	else
		route_check(f, r);
}

void write_done(void *arg, void *cookie, int error, const char *text)
{
	struct fib *f = arg;
	struct sent *s = cookie;

	if (s->route)
		route_done(f, s->route, s, error, text);
	else if (s->neigh)
		neigh_done(f, s->neigh, error, text);
	sent_free(f, s);
}

void write_room(void *arg)
{
	struct fib *f = arg;

	if (!route_queue_is_empty(&f->dirty) || !route_queue_is_empty(&f->doomed) || !STAILQ_EMPTY(&f->surplus) ||
	    !TAILQ_EMPTY(&f->neighs.queue))
		write_schedule(f);
}

void *write_neigh_cookie(struct fib *f, struct neigh *n)
{
	struct sent *s = sent_new(f, NULL, NULL);

	s->neigh = n;
	return s;
}

void write_schedule(struct fib *f)
{
	loop_work_schedule(f->loop, &f->write_work);
}

void write_init(struct fib *f)
{
	STAILQ_INIT(&f->surplus);
	f->sent_slab.size = sizeof(struct sent);
	f->write_work = (struct loop_work){.run = on_write_work, .arg = f, .rank = LOOP_RANK_FIB};
	backoffs_init(&f->backoffs, f->loop, on_wait_over, f);
}

void write_free(struct fib *f)
{
	struct surplus *s;

	loop_work_cancel(f->loop, &f->write_work);
	while ((s = STAILQ_FIRST(&f->surplus))) {
		STAILQ_REMOVE_HEAD(&f->surplus, link);
		nhset_unref(&f->nhsets, s->to);
		free(s);
	}
	backoffs_free(&f->backoffs);
	slab_clear(&f->sent_slab);
}
