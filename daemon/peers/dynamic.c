#include "daemon/peers/dynamic.h"

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/instance.h"

/* Of all ranges together: what the RIB can number, less room for those configured. */
#define PEERS_MAX 60000u

/* How long a caller may hold a place that others want without having come up. */
#define PATIENCE (10 * MONO_SEC)

struct range {
	struct dynamic *dyn;
	struct peer_want want;
	struct bgp_range *range; /* NULL: no longer wanted */
	unsigned peers;
	TAILQ_HEAD(, peer) waiting; /* those that were never up, the oldest first */
	uint64_t refused;
	char full[80];	    /* why nobody more is let in */
	char no_table[200]; /* ... and nobody at all */
};

struct dynamic {
	struct daemon *d;
	struct speaker *speaker;
	struct range **ranges; /* sorted by peer_want_cmp() */
	unsigned count;
	struct range **gone; /* until dynamic_sweep() */
	unsigned gone_count;
	TAILQ_HEAD(, peer) ended;
	struct loop_work work;
};

static bgp_caller_fn on_caller;

/* ---- Ranges ---- */

static void configure(struct range *r)
{
	const struct peer_want *w = &r->want;
	/* As long as there is no such interface nobody is on it. */
	struct fib_link link = {.ifindex = UINT32_MAX};
	struct bgp_range_conf conf = {
	    .name = w->name,
	    .prefix = w->opt.range,
	    .password = w->password,
	    .min_ttl = w->ttl_security ? (uint8_t)(256 - w->ttl_security) : 0,
	};

	if (w->interface) {
		fib_link_find(r->dyn->d->fib, w->interface, &link);
		conf.prefix.addr = addr_on_link(&conf.prefix.addr, link.ifindex);
	}
	snprintf(r->full, sizeof r->full, "its %u peers are there (peerLimit)", w->opt.range_limit);
	if (r->range)
		bgp_range_configure(r->range, &conf);
	else
		r->range = bgp_range_new(r->dyn->d->engine, &conf, on_caller, r);
}

static struct range *range_new(struct dynamic *dyn, struct peer_want *w)
{
	struct range *r = mem_calloc(1, sizeof *r);

	r->dyn = dyn;
	TAILQ_INIT(&r->waiting);
	r->want = *w;
	*w = (struct peer_want){0};
	configure(r);
	return r;
}

static void range_change(struct range *r, struct peer_want *w)
{
	struct peer_want old = r->want;

	r->want = *w;
	*w = (struct peer_want){0};
	configure(r);
	peer_want_free(&old);
}

static void range_free(struct range *r)
{
	bgp_range_free(r->range);
	peer_want_free(&r->want);
	free(r);
}

void dynamic_apply(struct dynamic *dyn, struct peering_diff *d)
{
	struct range **old = dyn->ranges;
	unsigned was = dyn->count, i = 0, j = 0;

	dyn->ranges = mem_calloc(d->range_count, sizeof *dyn->ranges);
	dyn->gone = mem_calloc(was, sizeof *dyn->gone);
	dyn->count = 0;
	/* Both are sorted. */
	while (i < was || j < d->range_count) {
		struct peer_want *w = j < d->range_count ? &d->range[j] : NULL;
		int c = i == was ? 1 : !w ? -1 : peer_want_cmp(&old[i]->want, w);

		if (c < 0) {
			dyn->gone[dyn->gone_count++] = old[i++];
			continue;
		}
		if (c == 0)
			range_change(old[i], w);
		dyn->ranges[dyn->count++] = c ? range_new(dyn, w) : old[i++];
		j++;
	}
	free(old);
}

void dynamic_link_changed(struct dynamic *dyn)
{
	for (unsigned i = 0; i < dyn->count; i++)
		if (dyn->ranges[i]->want.interface)
			configure(dyn->ranges[i]);
}

void dynamic_sweep(struct dynamic *dyn)
{
	for (unsigned i = 0; i < dyn->gone_count; i++)
		range_free(dyn->gone[i]);
	free(dyn->gone);
	dyn->gone = NULL;
	dyn->gone_count = 0;
}

struct range *dynamic_find(const struct dynamic *dyn, const struct peer_want *w)
{
	struct range *best = NULL;

	for (unsigned i = 0; i < dyn->count; i++) {
		struct range *r = dyn->ranges[i];

		if (prefix_contains(&r->want.opt.range, &w->remote) &&
		    (!r->want.interface || (w->interface && strcmp(r->want.interface, w->interface) == 0)) &&
		    (!best || r->want.opt.range.len > best->want.opt.range.len))
			best = r;
	}
	return best;
}

/* ---- Peers ---- */

static void wait_end(struct peer *p)
{
	if (p->waiting)
		TAILQ_REMOVE(&p->range->waiting, p, wait);
	p->waiting = false;
}

void dynamic_join(struct peer *p, struct range *r)
{
	bool waiting = p->range ? p->waiting : true;

	if (p->range == r)
		return;
	if (p->range) {
		p->range->peers--;
		wait_end(p);
		if (p->ending)
			TAILQ_REMOVE(&p->range->dyn->ended, p, ended);
		p->ending = false;
	}
	p->range = r;
	if (!r)
		return;
	r->peers++;
	if (!waiting)
		return;
	p->waiting = true;
	p->waits_from = mono_now();
	TAILQ_INSERT_TAIL(&r->waiting, p, wait);
}

void dynamic_established(struct peer *p)
{
	wait_end(p);
}

/* Connections that say nothing must not keep others out: the oldest of them makes room. */
static bool make_room(struct range *r)
{
	struct peer *p = TAILQ_FIRST(&r->waiting);

	if (!p || mono_now() - p->waits_from < PATIENCE)
		return false;
	speaker_remove(p, BGP_CEASE_REJECTED);
	return true;
}

static bool is_full(const struct range *r)
{
	return r->peers >= r->want.opt.range_limit || speaker_count(r->dyn->speaker) >= PEERS_MAX;
}

static struct bgp_session *on_caller(void *arg, const struct bgp_caller *who, const char **why)
{
	struct range *r = arg;
	struct speaker *s = r->dyn->speaker;
	const char *interface = r->want.interface;
	char name[IFNAMSIZ];
	struct peer_want w;

	if (r->want.opt.shutdown) {
		*why = "it is administratively down";
		return NULL;
	}
	if (!instance_make(r->dyn->d, &r->want.opt, r->no_table, sizeof r->no_table)) {
		*why = r->no_table;
		return NULL;
	}
	if (is_full(r) && !make_room(r)) {
		r->refused++;
		*why = r->full;
		return NULL;
	}
	/* Of a range that names no interface, the caller's. */
	if (addr_scope(&who->remote) && !interface)
		interface = if_indextoname(addr_scope(&who->remote), name);
	w = peer_want_of_range(&r->want, &who->remote, interface);
	return speaker_add(s, &w, r)->session;
}

void dynamic_check(struct peer *p)
{
	struct dynamic *dyn = p->range->dyn;

	if (p->ending)
		return;
	p->ending = true;
	TAILQ_INSERT_TAIL(&dyn->ended, p, ended);
	loop_work_schedule(dyn->d->loop, &dyn->work);
}

/* At the end of the turn: nobody who told of the end holds the peer any more. */
static bool ended_work(void *arg, uint64_t deadline)
{
	struct dynamic *dyn = arg;
	struct peer *p;

	while ((p = TAILQ_FIRST(&dyn->ended))) {
		TAILQ_REMOVE(&dyn->ended, p, ended);
		p->ending = false;
		if (!bgp_session_is_connected(p->session) && !p->stale && !p->limit.down)
			speaker_remove(p, 0);
		if (mono_now() >= deadline)
			break;
	}
	return !TAILQ_EMPTY(&dyn->ended);
}

/* ---- Life and looking ---- */

struct bgp_range *dynamic_bgp_range(const struct range *r)
{
	return r->range;
}

const struct peer_want *dynamic_want(const struct range *r)
{
	return &r->want;
}

bool dynamic_view(const struct dynamic *dyn, unsigned index, struct dynamic_view *v)
{
	const struct range *r = index < dyn->count ? dyn->ranges[index] : NULL;

	if (r)
		*v = (struct dynamic_view){.want = &r->want, .peers = r->peers, .refused = r->refused};
	return r;
}

struct dynamic *dynamic_new(struct daemon *d, struct speaker *s)
{
	struct dynamic *dyn = mem_calloc(1, sizeof *dyn);

	dyn->d = d;
	dyn->speaker = s;
	TAILQ_INIT(&dyn->ended);
	dyn->work = (struct loop_work){.run = ended_work, .arg = dyn, .rank = LOOP_RANK_CLUSTER};
	return dyn;
}

void dynamic_free(struct dynamic *dyn)
{
	loop_work_cancel(dyn->d->loop, &dyn->work);
	for (unsigned i = 0; i < dyn->count; i++)
		range_free(dyn->ranges[i]);
	free(dyn->ranges);
	free(dyn);
}
