#include "daemon/peers/liveness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bgp/codec/error.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/instance.h"
#include "daemon/peers/link.h"
#include "daemon/peers/speaker.h"

/* Peers that are up for longer without BFD are worth a word. */
#define PATIENCE (10 * MONO_SEC)
/* Who runs BFD has answered by then. */
#define SURE MONO_SEC
/* How late the end of a BFD session may come to notice, on both sides together. */
#define EXCUSE MONO_SEC

struct liveness {
	struct daemon *d;
	struct bfd_engine *engine; /* NULL until a peer asks */
	struct addr listen[FAM_COUNT];
	LIST_HEAD(, lifeline) lifelines;
};

/* ---- What is wanted ---- */

/* IPv6 sessions that are held back have nothing to lose: the IPv4 session carries their routes, and its BFD session
 * watches the node. */
static bool asks(const struct peer *p)
{
	struct addr remote = link_remote(p);

	return p->want.bfd.enabled && !p->want.opt.shutdown && p->held == PEER_NOT_HELD && !addr_is_none(&remote);
}

/* RFC 5881 is for neighbours on one link, and its TTL of 255 says so; everybody else is RFC 5883's. was: what the
 * session is now; it stays so while the kernel knows no way, since that is what a dead link looks like. */
static bool is_multihop(const struct peer *p, enum fib_place place, bool was)
{
	if (p->want.interface)
		return false;
	if (p->want.bfd.min_ttl)
		return true;
	if (p->want.ttl_security)
		return p->want.ttl_security > 1;
	return place == FIB_NOWHERE ? was : place == FIB_BEHIND_ROUTERS;
}

/* What packets over several hops must arrive with: what is said, else what GTSM (RFC 5082) says for BGP's. */
static uint8_t min_ttl(const struct peer_want *w)
{
	if (w->bfd.min_ttl)
		return (uint8_t)w->bfd.min_ttl;
	return w->ttl_security ? (uint8_t)(256 - w->ttl_security) : 1;
}

static struct bfd_session_conf conf_of(const struct liveness *l, const struct peer *p, bool was_multihop)
{
	const struct peer_want *w = &p->want;
	struct addr remote = link_remote(p);
	struct bfd_session_conf c = {
	    .remote = addr_is_link_local(&remote) ? addr_on_link(&remote, 0) : remote,
	    .local = w->local,
	    .multihop = is_multihop(p, fib_place_of(l->d->fib, &remote), was_multihop),
	    .min_tx = w->bfd.transmit_interval * 1000,
	    .min_rx = w->bfd.receive_interval * 1000,
	    .multiplier = (uint8_t)w->bfd.multiplier,
	    .passive = w->bfd.passive,
	    .min_ttl = min_ttl(w),
	};

	if (w->interface)
		snprintf(c.ifname, sizeof c.ifname, "%s", w->interface);
	return c;
}

static uint32_t lower(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* The most cautious of what those who share it ask for. */
static struct bfd_session_conf conf_of_all(const struct lifeline *w, bool was_multihop)
{
	const struct peer *p = LIST_FIRST(&w->peers);
	struct bfd_session_conf all = conf_of(w->liveness, p, was_multihop);

	while ((p = LIST_NEXT(p, lifeline_link))) {
		struct bfd_session_conf c = conf_of(w->liveness, p, was_multihop);
		all.min_tx = lower(all.min_tx, c.min_tx);
		all.min_rx = lower(all.min_rx, c.min_rx);
		all.multiplier = (uint8_t)lower(all.multiplier, c.multiplier);
		all.passive = all.passive && c.passive;
		all.min_ttl = all.min_ttl > c.min_ttl ? all.min_ttl : c.min_ttl;
	}
	return all;
}

/* ---- What BFD says ---- */

static void settle(struct lifeline *w);

static void mark_gateway(struct lifeline *w, bool dead)
{
	void (*tell)(struct fib * f, const struct addr *gateway) = dead ? fib_gateway_down : fib_gateway_up;
	const struct instance *i;

	if (w->dead == dead)
		return;
	w->dead = dead;
	tell(w->liveness->d->fib, &w->remote);
	/* There is no BFD in VRFs. */
	LIST_FOREACH(i, &w->liveness->d->instances, link)
	if (!i->vrf[0])
		tell(i->fib, &w->remote);
}

/* RFC 5882 4.3.2: the peer restarts gracefully, and its BFD has died with its BGP (C bit clear). That its BFD session
 * fails says nothing about the forwarding; nor if BGP is back before it does. */
static bool is_excused(const struct peer *p, const struct bfd_change *c)
{
	if (c->remote_independent)
		return false;
	if (bgp_session_state(p->session) == BGP_ESTABLISHED)
		return mono_now() < p->lifeline->excused_until;
	return p->stale;
}

/* What RFC 5882 4.2 and 4.3 want of one peer. False if its gateway may still forward. */
static bool peer_failed(struct peer *p, const struct bfd_change *c)
{
	char text[200];

	if (is_excused(p, c))
		return false;
	snprintf(text, sizeof text, "BFD: %s", c->reason);
	if (bgp_session_state(p->session) >= BGP_OPENSENT)
		bgp_session_reset(p->session, BGP_ERR_CEASE, BGP_CEASE_BFD_DOWN, text);
	helper_expire(p, text);
	return true;
}

static void failed(struct lifeline *w, const struct bfd_change *c)
{
	bool dead = false;
	struct peer *p, *next;

	LIST_FOREACH_SAFE(p, &w->peers, lifeline_link, next)
	dead = peer_failed(p, c) || dead;
	if (dead)
		mark_gateway(w, true);
}

/* The remote has heard of this process, or there is nobody who could have heard of one before. */
static void be_sure(void *arg)
{
	struct lifeline *w = arg;
	struct peer *p, *next;

	loop_timer_stop(w->liveness->d->loop, &w->sure_timer);
	if (!w->unsure)
		return;
	w->unsure = false;
	LIST_FOREACH_SAFE(p, &w->peers, lifeline_link, next)
	speaker_refresh(p);
}

static void on_change(void *arg, struct bfd_session *s, const struct bfd_change *c)
{
	struct lifeline *w = arg;

	(void)s;
	be_sure(w);
	if (bfd_change_is_failure(c))
		failed(w, c);
	/* RFC 5882 3.2: somebody's wish to be silent tells nothing about the path. */
	else if (c->state == BFD_UP || c->state == BFD_ADMIN_DOWN || c->remote_state == BFD_ADMIN_DOWN)
		mark_gateway(w, false);
	/* What comes after this is another process of the remote, or the same that has not restarted its BFD. */
	w->excused_until = 0;
	/* The remote may have moved while it was up. */
	if (c->was == BFD_UP)
		settle(w);
}

static const struct bfd_ops bfd_callbacks = {.on_change = on_change};

/* ---- Lifelines ---- */

static struct bfd_engine *engine_of(struct liveness *l)
{
	if (l->engine)
		return l->engine;
	l->engine = bfd_engine_new(l->d->loop, &bfd_callbacks);
	for (int f = 0; f < FAM_COUNT; f++)
		bfd_engine_listen(l->engine, (enum family)f, &l->listen[f]);
	return l->engine;
}

static void begin(struct lifeline *w, const struct bfd_session_conf *conf)
{
	const char *why;

	w->session = bfd_session_new(engine_of(w->liveness), conf, w, &why);
	if (!w->session)
		abort(); /* it was checked, and nobody else has one with this remote */
}

/* Between these ends. Whether over one hop or several is the lifeline's own matter. */
static bool is_between(const struct lifeline *w, const struct addr *remote, const struct bfd_session_conf *conf)
{
	const struct bfd_session_conf *now = bfd_session_config(w->session);

	return addr_equal(&w->remote, remote) && addr_equal(&now->local, &conf->local) &&
	       strcmp(now->ifname, conf->ifname) == 0;
}

static struct lifeline *lifeline_get(struct liveness *l, const struct addr *remote, const struct bfd_session_conf *conf)
{
	struct lifeline *w;

	LIST_FOREACH(w, &l->lifelines, entry)
	{
		if (is_between(w, remote, conf))
			return w;
	}
	w = mem_calloc(1, sizeof *w);
	w->liveness = l;
	w->remote = *remote;
	LIST_INIT(&w->peers);
	begin(w, conf);
	LIST_INSERT_HEAD(&l->lifelines, w, entry);
	fib_nexthop_watch(l->d->fib, remote);
	if (!speaker_has_started(l->d->speaker)) {
		w->unsure = true;
		loop_timer_set(l->d->loop, &w->sure_timer, SURE, be_sure, w);
	}
	return w;
}

static void lifeline_free(struct lifeline *w)
{
	mark_gateway(w, false);
	loop_timer_stop(w->liveness->d->loop, &w->sure_timer);
	fib_nexthop_unwatch(w->liveness->d->fib, &w->remote);
	LIST_REMOVE(w, entry);
	bfd_session_free(w->session, true);
	free(w);
}

/* Does what its peers ask for now, where the remote is now. A session that is up stays of the kind it is: whatever the
 * kernel thinks of the way to the remote, it works. */
static void settle(struct lifeline *w)
{
	struct bfd_session_conf want = conf_of_all(w, bfd_session_config(w->session)->multihop);
	char remote[ADDR_STRLEN];

	if (bfd_session_is_up(w->session))
		want.multihop = bfd_session_config(w->session)->multihop;
	if (bfd_session_configure(w->session, &want))
		return;
	log_info("bfd", "%s: %s", addr_format(&w->remote, remote),
		 want.multihop ? "is behind routers: watched over several hops"
			       : "is on a connected network: watched over one hop");
	/* Not announced: if the session has failed, that must not look like somebody's wish to the remote. */
	bfd_session_free(w->session, false);
	begin(w, &want);
}

void liveness_release(struct peer *p)
{
	struct lifeline *w = p->lifeline;

	if (!w)
		return;
	p->lifeline = NULL;
	LIST_REMOVE(p, lifeline_link);
	if (LIST_EMPTY(&w->peers))
		lifeline_free(w);
	else
		settle(w);
}

void liveness_configure(struct liveness *l, struct peer *p)
{
	struct addr remote = link_remote(p);
	struct bfd_session_conf conf;
	const char *why;

	if (!asks(p)) {
		liveness_release(p);
		return;
	}
	conf = conf_of(l, p, false);
	why = bfd_session_conf_check(&conf);
	if (why)
		log_error("bfd", "%s: not watched: %s", p->want.name, why);
	if (p->lifeline && (why || !is_between(p->lifeline, &remote, &conf)))
		liveness_release(p);
	if (why)
		return;
	if (!p->lifeline) {
		p->lifeline = lifeline_get(l, &remote, &conf);
		LIST_INSERT_HEAD(&p->lifeline->peers, p, lifeline_link);
	}
	settle(p->lifeline);
}

bool liveness_holds_back(const struct peer *p)
{
	return p->lifeline && p->lifeline->unsure;
}

void liveness_restarting(struct peer *p)
{
	struct bfd_session_info i;

	if (!p->lifeline)
		return;
	i = bfd_session_info(p->lifeline->session);
	if (i.state == BFD_UP)
		p->lifeline->excused_until = mono_now() + i.detection_time * MONO_USEC + EXCUSE;
}

void liveness_established(struct peer *p)
{
	if (p->lifeline)
		mark_gateway(p->lifeline, false);
}

void liveness_place_changed(struct liveness *l, const struct addr *a)
{
	struct lifeline *w;

	LIST_FOREACH(w, &l->lifelines, entry)
	{
		if (addr_equal(&w->remote, a))
			settle(w);
	}
}

/* ---- Life ---- */

void liveness_listen(struct liveness *l, const struct self *self)
{
	for (int f = 0; f < FAM_COUNT; f++) {
		l->listen[f] = self->bind_node_ip ? self->ip[f].addr : (struct addr){0};
		if (l->engine)
			bfd_engine_listen(l->engine, (enum family)f, &l->listen[f]);
	}
}

void liveness_tell(const struct liveness *l, struct fib *f)
{
	const struct lifeline *w;

	LIST_FOREACH(w, &l->lifelines, entry)
	if (w->dead)
		fib_gateway_down(f, &w->remote);
}

const struct lifeline *liveness_find_dead(const struct liveness *l, const struct addr *gateway)
{
	const struct lifeline *w;

	LIST_FOREACH(w, &l->lifelines, entry)
	{
		if (w->dead && addr_equal(&w->remote, gateway))
			return w;
	}
	return NULL;
}

/* BGP has been up for long enough that BFD should be, too. */
static bool is_unwatched(const struct lifeline *w, const struct bfd_session_info *i)
{
	const struct peer *p;
	bool up = false;

	LIST_FOREACH(p, &w->peers, lifeline_link)
	{
		struct bgp_session_info s = bgp_session_info(p->session);
		up = up || (s.state == BGP_ESTABLISHED && mono_now() - s.since > PATIENCE);
	}
	return up && i->state != BFD_UP && i->remote_state != BFD_ADMIN_DOWN;
}

void liveness_problems(const struct liveness *l, struct strbuf *out)
{
	const struct lifeline *w;
	char remote[ADDR_STRLEN];

	LIST_FOREACH(w, &l->lifelines, entry)
	{
		struct bfd_session_info i = bfd_session_info(w->session);
		addr_format(&w->remote, remote);
		if (*i.error)
			strbuf_printf(out, "BFD with %s: %s; tried again\n", remote, i.error);
		else if (is_unwatched(w, &i))
			strbuf_printf(out, "BFD with %s is not up though BGP is: %s; see show bfd %s\n", remote,
				      i.remote_discr ? "it does not hear us" : "nothing is heard", remote);
	}
}

const struct bfd_stats *liveness_stats(const struct liveness *l)
{
	return l->engine ? bfd_engine_stats(l->engine) : NULL;
}

struct liveness *liveness_new(struct daemon *d)
{
	struct liveness *l = mem_calloc(1, sizeof *l);

	l->d = d;
	LIST_INIT(&l->lifelines);
	return l;
}

void liveness_free(struct liveness *l)
{
	bfd_engine_free(l->engine);
	free(l);
}
