#include "fib/picture.h"

#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/buf.h"
#include "fib/beside.h"
#include "fib/kernel.h"
#include "fib/owners.h"
#include "fib/state.h"

/* An event about a route. */
struct change {
	struct rtmsg_route m;
	struct nhset *to; /* interned from m.to; whoever keeps it takes a reference */
	bool replace;	  /* it took the place of whatever was first at its key */
	bool echo;	  /* we asked for it */
};

static bool is_ours(const struct fib *f, const struct rtmsg_route *m)
{
	return m->to.key.table == f->conf.table && m->tos == 0 &&
	       (m->to.key.protocol == f->conf.protocol || owners_made(f, f->conf.takeover, &m->to.key, m->to.hop));
}

/* Is it in a table we look at, and of a kind that says where packets go? Link-local and multicast prefixes exist once
 * per interface and lead nowhere. */
static bool is_of_interest(const struct fib *f, const struct nlmsghdr *h, struct rtmsg_route *m)
{
	uint32_t table = rtmsg_route_table(h);
	const struct addr *a = &m->prefix.addr;

	if (table != f->conf.table && table != base_table(f))
		return false;
	if (!rtmsg_parse_route(h, m) || m->cloned)
		return false;
	if (f->conf.routes_only && table != f->conf.table && m->to.key.protocol == f->conf.protocol)
		return false;
	if (a->af == AF_INET6 && m->prefix.len >= 8 && (addr_is_link_local(a) || a->b[0] == 0xff))
		return false;
	switch (m->to.key.type) {
	case RTN_UNICAST:
	case RTN_BLACKHOLE:
	case RTN_UNREACHABLE:
	case RTN_PROHIBIT:
	case RTN_THROW:
		return true;
	default:
		return false;
	}
}

/* Would the kernel have joined these two IPv6 routes of one key into one multipath route? */
static bool is_grown(const struct nhset *now, const struct nhset *before)
{
	return now->key.af == AF_INET6 && nhset_is_gatewayed(now) && nhset_is_gatewayed(before) &&
	       nhset_includes(now, before);
}

/* ---- foreign routes ---- */

static bool same_key(const struct fib *f, const struct foreign *r, const struct rtmsg_route *m)
{
	return r->metric == m->metric && r->tos == m->tos && foreign_to(&f->foreign, r)->key.table == m->to.key.table;
}

static struct foreign *foreign_find(const struct fib *f, const struct rtmsg_route *m, const struct nhset *to)
{
	for (struct foreign *r = foreign_exact(&f->foreign, &m->prefix); r; r = foreign_next(&f->foreign, r))
		if (same_key(f, r, m) && r->to == to->number)
			return r;
	return NULL;
}

static void foreign_drop(struct fib *f, struct foreign *r)
{
	const struct prefix p = foreign_prefix(r);
	struct nhset *to = nhset_ref(foreign_to(&f->foreign, r));

	foreign_remove(&f->foreign, r);
	beside_foreign_changed(f, &p, to);
	nhset_unref(&f->nhsets, to);
}

/* A replacement takes the place of one route. If there were several of the key, the kernel knows which. */
static void foreign_replaced(struct fib *f, const struct rtmsg_route *m)
{
	struct foreign *r = foreign_exact(&f->foreign, &m->prefix), *next;
	unsigned n = 0;

	for (; r; r = next) {
		next = foreign_next(&f->foreign, r);
		if (!same_key(f, r, m))
			continue;
		foreign_drop(f, r);
		n++;
	}
	if (n)
		resolve_route_changed(f, &m->prefix);
	if (n > 1)
		kernel_resync_soon(f);
}

/* Adds it unless it is known; an IPv6 route may have grown by a hop instead. */
static void foreign_learn(struct fib *f, const struct rtmsg_route *m, struct nhset *to)
{
	struct foreign *r = foreign_find(f, m, to);

	if (r) {
		r->seen = f->resync.generation;
		return;
	}
	for (r = foreign_exact(&f->foreign, &m->prefix); r; r = foreign_next(&f->foreign, r))
		if (same_key(f, r, m) && is_grown(to, foreign_to(&f->foreign, r)))
			break;
	if (r)
		foreign_change(&f->foreign, r, nhset_ref(to));
	else
		r = foreign_add(&f->foreign, &m->prefix, m->metric, m->tos, nhset_ref(to));
	r->seen = f->resync.generation;
	resolve_route_changed(f, &m->prefix);
	beside_foreign_changed(f, &m->prefix, to);
}

void picture_evict(struct fib *f, struct route *r)
{
	const struct prefix p = route_prefix(r);

	if (!r->want || !r->have || route_is_off(f, r))
		return;
	for (const struct foreign *k = NULL; (k = route_rival(f, r, k));) {
		struct nhset *to = foreign_to(&f->foreign, k);

		if (to->key.protocol != RTPROT_KERNEL && !beside_is_felix(f, k))
			write_surplus(f, &p, r->metric, nhset_ref(to));
	}
}

static void foreign_added(struct fib *f, const struct change *c)
{
	struct route *r =
	    c->m.tos || c->m.to.key.table != f->conf.table ? NULL : route_find(f, &c->m.prefix, c->m.metric);

	if (c->replace)
		foreign_replaced(f, &c->m);
	foreign_learn(f, &c->m, c->to);
	if (!r)
		return;
	if (r->have && !c->replace) {
		if (is_grown(c->to, route_have(f, r)))
			kernel_resync_soon(f);
		else
			picture_evict(f, r);
	}
	if (r->have && c->replace) {
		bool lost = route_is_in_sync(f, r);
		r->seen = f->resync.generation;
		r->flags &= (uint16_t)~ROUTE_DUMPED;
		route_set_have(f, r, NULL);
		if (lost) {
			write_repair(f, r);
			return;
		}
	}
	route_check(f, r);
}

static void note_gone(struct fib *f, const struct prefix *p)
{
	struct resync *s = &f->resync;

	if (!s->running)
		return;
	if (s->gone_count < RESYNC_GONE)
		s->gone[s->gone_count++] = *p;
	else
		s->again = true;
}

static bool is_gone(const struct fib *f, const struct prefix *p)
{
	for (unsigned i = 0; i < f->resync.gone_count; i++)
		if (prefix_equal(&f->resync.gone[i], p))
			return true;
	return false;
}

/* IPv6 tells the removal of one hop of several as the removal of a route with this hop. */
static void foreign_shrink(struct fib *f, const struct change *c)
{
	struct foreign *r = foreign_exact(&f->foreign, &c->m.prefix);
	struct nhset *rest;

	for (; r; r = foreign_next(&f->foreign, r))
		if (same_key(f, r, &c->m) && is_grown(foreign_to(&f->foreign, r), c->to))
			break;
	rest = r ? nhset_without(&f->nhsets, foreign_to(&f->foreign, r), c->to) : NULL;
	if (rest)
		foreign_change(&f->foreign, r, rest);
	else if (r)
		foreign_drop(f, r);
}

static void foreign_removed(struct fib *f, const struct change *c)
{
	struct foreign *known = foreign_find(f, &c->m, c->to);
	struct route *r;

	note_gone(f, &c->m.prefix);
	if (known)
		foreign_drop(f, known);
	else
		foreign_shrink(f, c);
	resolve_route_changed(f, &c->m.prefix);
	/* It may have stood in the way of one of ours. */
	r = route_find(f, &c->m.prefix, c->m.metric);
	if (r)
		route_check(f, r);
}

/* ---- our routes ---- */

static void touch(struct fib *f, struct route *r, bool echo)
{
	r->seen = f->resync.generation;
	r->flags &= (uint16_t)~ROUTE_DUMPED;
	if (echo && (r->flags & ROUTE_FLIGHT))
		r->flags |= ROUTE_ECHO;
}

static void ours_added(struct fib *f, const struct change *c)
{
	struct route *r = route_obtain(f, &c->m.prefix, c->m.metric);
	struct nhset *have = route_have(f, r);
	bool lost = route_is_in_sync(f, r) && c->to != have && !c->echo;

	touch(f, r, c->echo);
	if (c->replace)
		foreign_replaced(f, &c->m);
	else if (have && have != c->to && !is_grown(c->to, have))
		kernel_resync_soon(f);
	if (have != c->to)
		route_set_have(f, r, nhset_ref(c->to));
	if (lost)
		write_repair(f, r);
	else
		route_check(f, r);
}

static void ours_removed(struct fib *f, const struct change *c)
{
	struct route *r = route_find(f, &c->m.prefix, c->m.metric);
	struct nhset *have = r ? route_have(f, r) : NULL;
	bool lost;

	if (!have)
		return;
	lost = route_is_in_sync(f, r) && !c->echo;
	touch(f, r, c->echo);
	if (have == c->to)
		route_set_have(f, r, NULL);
	else if (is_grown(have, c->to))
		route_set_have(f, r, nhset_without(&f->nhsets, have, c->to));
	else
		kernel_resync_soon(f);
	if (lost)
		write_repair(f, r);
	else
		route_check(f, r);
}

void picture_event(struct fib *f, const struct nlmsghdr *h)
{
	bool added = h->nlmsg_type == RTM_NEWROUTE;
	struct change c;

	if (!is_of_interest(f, h, &c.m))
		return;
	c.to = nhset_get(&f->nhsets, &c.m.to);
	c.replace = added && (h->nlmsg_flags & NLM_F_REPLACE);
	c.echo = h->nlmsg_pid == netlink_port(f->netlink);
	if (is_ours(f, &c.m))
		(added ? ours_added : ours_removed)(f, &c);
	else
		(added ? foreign_added : foreign_removed)(f, &c);
	nhset_unref(&f->nhsets, c.to);
}

/* ---- dumps ---- */

/* A second route of ours with the same key is one too many: the first is the one that counts. While a dump is repeated,
 * though, it may be the same one, changed meanwhile. */
static void ours_dumped(struct fib *f, const struct rtmsg_route *m, struct nhset *to)
{
	struct route *r = route_obtain(f, &m->prefix, m->metric);
	struct nhset *have = route_have(f, r);
	bool lost;

	if (r->seen == f->resync.generation) {
		if ((r->flags & ROUTE_DUMPED) && have && have != to && !f->resync.interrupted)
			write_surplus(f, &m->prefix, m->metric, nhset_ref(to));
		return;
	}
	lost = route_is_in_sync(f, r) && have != to && !(r->flags & ROUTE_FLIGHT);
	r->seen = f->resync.generation;
	r->flags |= ROUTE_DUMPED;
	if (have != to)
		route_set_have(f, r, nhset_ref(to));
	if (lost)
		write_repair(f, r);
	else
		route_check(f, r);
}

void picture_dumped(struct fib *f, const struct nlmsghdr *h)
{
	struct rtmsg_route m;
	struct nhset *to;

	if (h->nlmsg_type != RTM_NEWROUTE)
		return;
	vrf_note_table(f, h);
	if (!is_of_interest(f, h, &m))
		return;
	to = nhset_get(&f->nhsets, &m.to);
	if (is_ours(f, &m))
		ours_dumped(f, &m, to);
	else if (!is_gone(f, &m.prefix))
		foreign_learn(f, &m, to);
	nhset_unref(&f->nhsets, to);
}

static void sweep_ours(struct fib *f)
{
	struct strbuf lost = {0};
	uint32_t pos = 0;

	for (struct route *r; (r = routes_next(&f->routes, &pos));)
		if (r->have && r->seen != f->resync.generation && !(r->flags & ROUTE_FLIGHT))
			strbuf_add(&lost, &r, sizeof r);
	for (size_t i = 0; i < lost.len / sizeof(struct route *); i++) {
		struct route *r;
		bool wanted;
		memcpy(&r, lost.s + i * sizeof r, sizeof r);
		wanted = route_is_in_sync(f, r);
		route_set_have(f, r, NULL);
		if (wanted)
			write_repair(f, r);
		else
			route_check(f, r);
	}
	strbuf_free(&lost);
}

/* Removes the foreign routes with this set, or (set NULL) those that the resync did not see. */
static void sweep_foreign(struct fib *f, const struct nhset *set)
{
	struct strbuf lost = {0};
	uint32_t pos = 0;

	for (struct foreign *r; (r = foreign_walk(&f->foreign, &pos));)
		if (set ? r->to == set->number : r->seen != f->resync.generation)
			strbuf_add(&lost, &r, sizeof r);
	for (size_t i = 0; i < lost.len / sizeof(struct foreign *); i++) {
		struct foreign *r;
		struct prefix p;
		struct route *own;
		memcpy(&r, lost.s + i * sizeof r, sizeof r);
		p = foreign_prefix(r);
		own = route_find(f, &p, r->metric);
		foreign_drop(f, r);
		resolve_route_changed(f, &p);
		if (own)
			route_check(f, own);
	}
	strbuf_free(&lost);
}

void picture_sweep(struct fib *f)
{
	uint32_t pos = 0;

	sweep_ours(f);
	sweep_foreign(f, NULL);
	for (struct route *r; (r = routes_next(&f->routes, &pos));) {
		const struct route_extra *e = route_extra(f, r);

		picture_evict(f, r);
		if (e && !e->error)
			write_forgive(f, r);
	}
}

void picture_adopt(struct fib *f)
{
	uint32_t pos = 0;

	for (struct route *r; (r = routes_next(&f->routes, &pos));)
		if (r->have) {
			r->flags |= ROUTE_ADOPTED;
			route_count(f, r);
		}
}

/* ---- what goes silently ---- */

/* All routes with this set went. It is not somebody's doing, so it is no repair. */
static void drop_set(struct fib *f, struct nhset *s)
{
	struct route_walk walk = {0};

	nhset_ref(s);
	for (struct route *r; (r = route_next_of_set(f, s, &walk));) {
		touch(f, r, false);
		route_set_have(f, r, NULL);
		route_check(f, r);
	}
	if (s->foreign)
		sweep_foreign(f, s);
	nhset_unref(&f->nhsets, s);
}

/* May the kernel still send through one of the hops? ifindex is dead for this family, whatever its flags say. */
static bool is_alive(const struct fib *f, const struct nhset *s, uint32_t ifindex)
{
	for (unsigned i = 0; i < s->key.count; i++)
		if (s->hop[i].ifindex != ifindex && link_is_up(links_by_index(&f->links, s->hop[i].ifindex)))
			return true;
	return false;
}

static void drop_by_link(struct fib *f, uint32_t ifindex, bool only_ipv4, bool gone)
{
	struct strbuf dead = {0};
	uint32_t pos = 0;

	for (struct nhset *s; (s = htab_next(&f->nhsets.all, &pos));) {
		bool ipv4 = s->key.af == AF_INET;
		if ((only_ipv4 && !ipv4) || (!s->own && !s->foreign) || !nhset_uses(s, ifindex))
			continue;
		if ((ipv4 && gone) || !is_alive(f, s, ifindex))
			strbuf_add(&dead, &s, sizeof s);
	}
	for (size_t i = 0; i < dead.len / sizeof(struct nhset *); i++) {
		struct nhset *s;
		memcpy(&s, dead.s + i * sizeof s, sizeof s);
		drop_set(f, s);
	}
	strbuf_free(&dead);
}

void picture_link_down(struct fib *f, uint32_t ifindex)
{
	drop_by_link(f, ifindex, false, false);
}

void picture_link_gone(struct fib *f, uint32_t ifindex)
{
	drop_by_link(f, ifindex, false, true);
}

void picture_ipv4_disabled(struct fib *f, uint32_t ifindex)
{
	drop_by_link(f, ifindex, true, false);
}

bool picture_has_source(const struct fib *f, const struct addr *a)
{
	uint32_t pos = 0;

	for (const struct nhset *s; (s = htab_next(&f->nhsets.all, &pos));)
		if (s->foreign && addr_equal(&s->key.source, a))
			return true;
	return false;
}
