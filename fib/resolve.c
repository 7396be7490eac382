#include "fib/resolve.h"

#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fib/settings.h"
#include "fib/state.h"

/* ---- next hops: where one hop leads ---- */

struct outcome {
	enum nexthop_trouble trouble;
	uint32_t ifindex, metric;
	const struct foreign *through;
	struct nhset_draft to; /* only the hops count */
};

/* The interface of a workload: the route needs it to be up, no more. */
static void find_device(struct fib *f, const struct nexthop *h, struct outcome *o)
{
	struct link *l = links_by_name(&f->links, h->key.ifname);
	struct nhop hop = {0};

	if (!l) {
		o->trouble = NEXTHOP_NO_LINK;
		return;
	}
	if (h->workload && f->conf.programming && f->conf.workload_routes && !f->conf.routes_only)
		settings_apply(f, l);
	o->ifindex = hop.ifindex = l->ifindex;
	o->trouble = link_is_up(l) ? NEXTHOP_OK : NEXTHOP_LINK_DOWN;
	if (o->trouble == NEXTHOP_OK)
		nhset_draft_add(&o->to, &hop);
}

static enum nexthop_trouble link_trouble(const struct link *l)
{
	return !l		     ? NEXTHOP_NO_LINK
	       : !link_is_up(l)	     ? NEXTHOP_LINK_DOWN
	       : !link_is_running(l) ? NEXTHOP_NO_CARRIER
				     : NEXTHOP_OK;
}

/* A link-local gateway says nothing without its interface. */
static void find_link_local(struct fib *f, const struct nexthop *h, const struct addr *gateway, struct outcome *o)
{
	uint32_t scope = addr_scope(gateway);
	const struct link *l = scope ? links_by_index(&f->links, scope) : links_by_name(&f->links, h->key.ifname);
	/* The kernel's routes have the interface beside the gateway. */
	struct nhop hop = {.gateway = addr_on_link(gateway, 0), .onlink = f->conf.onlink};

	o->trouble = link_trouble(l);
	if (l)
		o->ifindex = hop.ifindex = l->ifindex;
	if (o->trouble == NEXTHOP_OK)
		nhset_draft_add(&o->to, &hop);
}

/* Takes the usable hops of the route that the look-up found. On a connected network the next hop itself is the gateway
 * (or the link-local address it told us with it); otherwise the route's gateway is, as the kernel has it. */
static void take_hops(struct fib *f, const struct nexthop *h, const struct nhset *via, struct outcome *o)
{
	for (unsigned i = 0; i < via->key.count; i++) {
		struct nhop hop = via->hop[i];
		enum nexthop_trouble t = link_trouble(links_by_index(&f->links, hop.ifindex));

		o->ifindex = hop.ifindex;
		if (t != NEXTHOP_OK) {
			o->trouble = t;
			continue;
		}
		hop.weight = 0;
		if (addr_is_none(&hop.gateway))
			hop.gateway = addr_is_none(&h->key.link_local) ? h->key.gateway : h->key.link_local;
		/* The foreign route's gateway as well: the kernel keeps using it after its network is gone, but would
		 * not take it from us. */
		hop.onlink |= f->conf.onlink;
		nhset_draft_add(&o->to, &hop);
	}
	if (o->to.key.count)
		o->trouble = NEXTHOP_OK;
}

/* The other end of a tunnel: whatever route leads to it, the device finds it. */
static void find_tunnel(struct fib *f, const struct nexthop *h, struct outcome *o)
{
	const struct link *l = links_by_name(&f->links, h->key.ifname);
	struct nhop hop = {.gateway = h->key.gateway, .onlink = 1};

	o->trouble = !l ? NEXTHOP_NO_LINK : link_is_up(l) ? NEXTHOP_OK : NEXTHOP_LINK_DOWN;
	if (l)
		o->ifindex = hop.ifindex = l->ifindex;
	if (o->trouble == NEXTHOP_OK)
		nhset_draft_add(&o->to, &hop);
}

/* A workload of this node, at its interface: the route to it is ours. False if it is none. */
static bool find_workload(struct fib *f, const struct nexthop *h, struct outcome *o)
{
	struct prefix p = prefix_make(&h->key.gateway, addr_bits(h->key.gateway.af));
	const struct route *r = f->conf.workload_routes ? route_of_class(f, &p, FIB_WORKLOAD) : NULL;
	const struct want *w = r ? route_want(f, r) : NULL;
	const struct nexthop *dev = w && w->count ? w->member[0].nexthop : NULL;
	struct nhop hop = {.gateway = h->key.gateway, .onlink = f->conf.onlink};

	if (!dev)
		return false;
	o->trouble = dev->trouble;
	o->ifindex = dev->ifindex;
	if (!dev->count)
		return true;
	hop.ifindex = dev->hops[0].ifindex;
	nhset_draft_add(&o->to, &hop);
	return true;
}

/* Through the longest matching prefix; among its routes the kernel takes the lowest metric, and so do we, unless its
 * link is dead and another route of the same prefix is not. */
static void find_route(struct fib *f, const struct nexthop *h, struct outcome *o)
{
	const struct addr *via = reach_via(&f->reaches, &h->key.gateway);
	struct nexthop named = {.key.kind = FIB_VIA};

	o->trouble = NEXTHOP_NO_ROUTE;
	if (vrf_is_own(f, &h->key.gateway)) {
		o->trouble = NEXTHOP_OWN;
		return;
	}
	if (find_workload(f, h, o))
		return;
	if (via) {
		named.key.gateway = *via;
		h = &named;
	}
	for (struct foreign *r = foreign_match(&f->foreign, &h->key.gateway); r; r = foreign_next(&f->foreign, r)) {
		const struct nhset *to = foreign_to(&f->foreign, r);

		if (r->tos)
			continue;
		o->metric = r->metric;
		if (to->key.type != RTN_UNICAST)
			o->trouble = NEXTHOP_REJECTED;
		else
			take_hops(f, h, to, o);
		if (o->trouble == NEXTHOP_OK)
			o->through = r;
		if (o->trouble == NEXTHOP_OK || o->trouble == NEXTHOP_REJECTED)
			break;
	}
	/* "Directly connected" is metric 0 to whoever watches, whatever the kernel's metric of the connected route. */
	if (o->to.key.count && addr_equal(&o->to.hop[0].gateway, &h->key.gateway))
		o->metric = 0;
}

static void find(struct fib *f, const struct nexthop *h, struct outcome *o)
{
	const struct addr *gateway = &h->key.gateway;

	memset(&o->to.key, 0, sizeof o->to.key);
	o->trouble = NEXTHOP_NO_ROUTE;
	o->ifindex = o->metric = 0;
	o->through = NULL;
	if (h->key.kind == FIB_DEV)
		find_device(f, h, o);
	else if (h->key.tunnel)
		find_tunnel(f, h, o);
	else if (addr_is_none(gateway) || addr_is_link_local(gateway))
		find_link_local(f, h, addr_is_none(&h->key.link_local) ? gateway : &h->key.link_local, o);
	else
		find_route(f, h, o);
}

/* Notes which foreign route resolves the next hop. An intent for the very place of the one before may have been
 * waiting. */
static void set_through(struct fib *f, struct nexthop *h, const struct foreign *now)
{
	struct route_place old = h->through;
	struct route *r;

	h->through = now ? (struct route_place){foreign_prefix(now), now->metric} : (struct route_place){0};
	if (addr_is_none(&old.prefix.addr) ||
	    (now && old.metric == now->metric && prefix_equal(&old.prefix, &h->through.prefix)))
		return;
	r = route_find(f, &old.prefix, old.metric);
	if (r)
		route_check(f, r);
}

bool resolve_goes_through(const struct fib *f, const struct prefix *p, uint32_t metric)
{
	const struct nexthop *h;

	TAILQ_FOREACH(h, &f->resolver.all, all)
	{
		if (h->through.metric == metric && prefix_equal(&h->through.prefix, p))
			return true;
	}
	return false;
}

/* Looks the next hop up again; true if the hops it leads to changed. */
static bool nexthop_update(struct fib *f, struct nexthop *h)
{
	struct outcome o;
	bool same;

	find(f, h, &o);
	gateways_sift(f, &h->key, &o.to, &h->lost);
	if (o.trouble == NEXTHOP_OK && !o.to.key.count)
		o.trouble = NEXTHOP_GATEWAY_DOWN;
	h->trouble = (uint8_t)o.trouble;
	h->ifindex = o.ifindex;
	h->metric = o.metric;
	set_through(f, h, o.through);
	same = h->count == o.to.key.count && (!h->count || memcmp(h->hops, o.to.hop, h->count * sizeof *h->hops) == 0);
	if (same)
		return false;
	free(h->hops);
	h->count = o.to.key.count;
	h->hops = h->count ? mem_dup(o.to.hop, h->count * sizeof *h->hops) : NULL;
	return true;
}

static bool nexthop_eq(const void *item, const void *key)
{
	return memcmp(&((const struct nexthop *)item)->key, key, sizeof(struct nexthop_key)) == 0;
}

static struct nexthop *nexthop_find(const struct fib *f, const struct nexthop_key *key)
{
	return htab_find(&f->resolver.nexthops, (uint32_t)hash_bytes(key, sizeof *key), nexthop_eq, key);
}

static struct nexthop *nexthop_get(struct fib *f, const struct nexthop_key *key)
{
	struct nexthop *h = nexthop_find(f, key);

	if (!h) {
		h = mem_calloc(1, sizeof *h);
		h->key = *key;
		h->hash = (uint32_t)hash_bytes(key, sizeof *key);
		LIST_INIT(&h->members);
		htab_insert(&f->resolver.nexthops, h->hash, h);
		if (key->kind == FIB_VIA)
			TAILQ_INSERT_TAIL(&f->resolver.all, h, all);
		nexthop_update(f, h);
	}
	h->refs++;
	return h;
}

static void nexthop_put(struct fib *f, struct nexthop *h)
{
	if (--h->refs > 0)
		return;
	htab_remove(&f->resolver.nexthops, h->hash, h);
	if (h->key.kind == FIB_VIA)
		TAILQ_REMOVE(&f->resolver.all, h, all);
	if (h->queued)
		TAILQ_REMOVE(&f->resolver.queue, h, queue);
	free(h->hops);
	free(h);
}

void nexthop_queue(struct fib *f, struct nexthop *h)
{
	if (h->queued)
		return;
	h->queued = true;
	TAILQ_INSERT_TAIL(&f->resolver.queue, h, queue);
	loop_work_schedule(f->loop, &f->resolve_work);
}

/* ---- wants ---- */

/* Collects what the members lead to; those that lead nowhere are left out. */
static struct nhset *want_collect(struct fib *f, const struct want *w)
{
	struct nhset_draft d;
	unsigned max = !f->conf.max_paths || (f->no_multipath && w->af == AF_INET) ? 1 : f->conf.max_paths;

	memset(&d.key, 0, sizeof d.key);
	d.key.af = w->af;
	d.key.table = f->conf.table;
	d.key.protocol = f->conf.protocol;
	d.key.type = w->type == FIB_BLACKHOLE ? RTN_BLACKHOLE : RTN_UNICAST;
	d.key.scope = w->af == AF_INET && w->type == FIB_DEV ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	for (unsigned i = 0; i < w->count; i++) {
		const struct nexthop *h = w->member[i].nexthop;
		for (unsigned k = 0; k < h->count && d.key.count < max; k++)
			nhset_draft_add(&d, &h->hops[k]);
	}
	return d.key.count || w->type == FIB_BLACKHOLE ? nhset_get(&f->nhsets, &d) : NULL;
}

static void want_update(struct fib *f, struct want *w)
{
	struct nhset *to = want_collect(f, w), *old = w->to;
	struct route_walk walk = {0};

	w->to = to;
	nhset_unref(&f->nhsets, old);
	if (to == old)
		return;
	for (struct route *r; (r = route_next_of_want(f, w, &walk));) {
		const struct prefix p = route_prefix(r);

		route_changed(f, r);
		if (w->class == FIB_WORKLOAD)
			resolve_route_changed(f, &p);
	}
}

struct want_key {
	uint8_t af, type, class;
	uint32_t metric;
	unsigned count;
	const struct neigh *neigh;
	struct nexthop *const *nexthops;
};

static bool want_eq(const void *item, const void *key)
{
	const struct want *w = item;
	const struct want_key *k = key;

	if (w->af != k->af || w->type != k->type || w->class != k->class || w->metric != k->metric ||
	    w->count != k->count || w->neigh != k->neigh)
		return false;
	for (unsigned i = 0; i < k->count; i++)
		if (w->member[i].nexthop != k->nexthops[i])
			return false;
	return true;
}

static uint32_t want_hash(const struct want_key *k)
{
	uint64_t h = hash_bytes(k->nexthops, k->count * sizeof(struct nexthop *));
	uint64_t rest[] = {(uintptr_t)k->neigh, (uint64_t)k->metric << 32 | k->class << 16 | k->af << 8 | k->type};

	return (uint32_t)(h ^ hash_bytes(rest, sizeof rest));
}

static struct want *want_new(struct fib *f, const struct want_key *k, uint32_t hash)
{
	struct want *w = mem_calloc(1, sizeof *w + k->count * sizeof w->member[0]);

	w->hash = hash;
	w->af = k->af;
	w->type = k->type;
	w->class = k->class;
	w->metric = k->metric;
	w->count = (uint16_t)k->count;
	w->number = number_give(&f->resolver.want_numbers, w);
	for (unsigned i = 0; i < k->count; i++) {
		w->member[i] = (struct want_member){.nexthop = k->nexthops[i], .want = w};
		k->nexthops[i]->refs++;
		LIST_INSERT_HEAD(&k->nexthops[i]->members, &w->member[i], link);
	}
	htab_insert(&f->resolver.wants, hash, w);
	w->to = want_collect(f, w);
	return w;
}

static struct nexthop *hop_nexthop(struct fib *f, const struct fib_route *r, const struct fib_hop *hop)
{
	struct nexthop_key key = {.kind = (uint8_t)r->type};
	struct nexthop *h;

	if (r->type == FIB_VIA && hop->tunnel) {
		key.gateway = hop->gateway;
		key.tunnel = (uint8_t)hop->tunnel;
		strcpy(key.ifname, fib_tunnel_name(hop->tunnel));
		return nexthop_get(f, &key);
	}
	/* An interface name only matters where it decides. */
	if (r->type == FIB_VIA) {
		key.gateway = hop->gateway;
		key.link_local = hop->link_local;
	}
	if (r->type == FIB_DEV || addr_is_none(&hop->gateway) || addr_is_link_local(&hop->gateway))
		memcpy(key.ifname, hop->ifname, strnlen(hop->ifname, IFNAMSIZ - 1));
	h = nexthop_get(f, &key);
	if (r->class == FIB_WORKLOAD && r->type == FIB_DEV && !h->workload) {
		h->workload = true;
		nexthop_queue(f, h);
	}
	return h;
}

static struct neigh *route_neigh(struct fib *f, const struct fib_route *r)
{
	static const uint8_t none[6];

	if (f->conf.routes_only || r->class != FIB_WORKLOAD || r->type != FIB_DEV || r->prefix.addr.af != AF_INET ||
	    !r->hop_count || !prefix_is_host(&r->prefix) || memcmp(r->mac, none, 6) == 0)
		return NULL;
	return neigh_get(f, &r->prefix.addr, r->hops[0].ifname, r->mac, false);
}

struct want *want_get(struct fib *f, const struct fib_route *r)
{
	unsigned count = r->type == FIB_BLACKHOLE ? 0 : r->hop_count > NHSET_MAX ? NHSET_MAX : r->hop_count;
	struct nexthop *nexthops[NHSET_MAX];
	struct want_key k = {.af = r->prefix.addr.af,
			     .type = (uint8_t)r->type,
			     .class = (uint8_t)r->class,
			     .metric = r->metric,
			     .count = count,
			     .nexthops = nexthops};
	struct want *w;
	uint32_t hash;

	for (unsigned i = 0; i < count; i++)
		nexthops[i] = hop_nexthop(f, r, &r->hops[i]);
	k.neigh = route_neigh(f, r);
	hash = want_hash(&k);
	w = htab_find(&f->resolver.wants, hash, want_eq, &k);
	if (!w) {
		w = want_new(f, &k, hash);
		w->neigh = k.neigh ? neigh_get(f, &k.neigh->addr, k.neigh->ifname, k.neigh->mac, false) : NULL;
	}
	w->refs++;
	/* The want holds what it needs. */
	if (k.neigh)
		neigh_put(f, w->neigh);
	for (unsigned i = 0; i < count; i++)
		nexthop_put(f, nexthops[i]);
	return w;
}

struct want *want_ref(struct want *w)
{
	w->refs++;
	return w;
}

void want_unref(struct fib *f, struct want *w)
{
	if (--w->refs > 0)
		return;
	htab_remove(&f->resolver.wants, w->hash, w);
	for (unsigned i = 0; i < w->count; i++) {
		LIST_REMOVE(&w->member[i], link);
		nexthop_put(f, w->member[i].nexthop);
	}
	if (w->neigh)
		neigh_put(f, w->neigh);
	nhset_unref(&f->nhsets, w->to);
	number_drop(&f->resolver.want_numbers, w->number);
	pageset_free(&w->pages);
	free(w);
}

/* ---- changes ---- */

static void device_changed(struct fib *f, const char *name)
{
	struct nexthop_key key = {.kind = FIB_DEV};
	struct nexthop *h;

	memcpy(key.ifname, name, strnlen(name, IFNAMSIZ - 1));
	h = nexthop_find(f, &key);
	if (h)
		nexthop_queue(f, h);
}

void resolve_link_changed(struct fib *f, const struct link *l, const char *old_name)
{
	struct nexthop *h;

	device_changed(f, l->name);
	if (old_name)
		device_changed(f, old_name);
	TAILQ_FOREACH(h, &f->resolver.all, all)
	{
		bool named = strcmp(h->key.ifname, l->name) == 0 || (old_name && strcmp(h->key.ifname, old_name) == 0);
		bool leads = h->ifindex == l->ifindex;
		for (unsigned i = 0; i < h->count && !leads; i++)
			leads = h->hops[i].ifindex == l->ifindex;
		if (named || leads)
			nexthop_queue(f, h);
	}
}

void resolve_addr_changed(struct fib *f, const struct addr *a)
{
	struct nexthop *h;

	TAILQ_FOREACH(h, &f->resolver.all, all)
	{
		if (addr_equal(&h->key.gateway, a))
			nexthop_queue(f, h);
	}
}

void resolve_route_changed(struct fib *f, const struct prefix *p)
{
	struct resolver *s = &f->resolver;

	if (TAILQ_EMPTY(&s->all))
		return;
	if (s->change_count < RESOLVER_CHANGES)
		s->changes[s->change_count] = *p;
	if (s->change_count <= RESOLVER_CHANGES)
		s->change_count++;
	loop_work_schedule(f->loop, &f->resolve_work);
}

void resolve_all(struct fib *f)
{
	uint32_t pos = 0;

	for (struct nexthop *h; (h = htab_next(&f->resolver.nexthops, &pos));)
		nexthop_queue(f, h);
	pos = 0;
	for (struct want *w; (w = htab_next(&f->resolver.wants, &pos));)
		want_update(f, w);
}

static bool is_concerned(const struct fib *f, const struct nexthop *h)
{
	const struct addr *via = reach_via(&f->reaches, &h->key.gateway);
	const struct resolver *s = &f->resolver;

	if (s->change_count > RESOLVER_CHANGES)
		return true;
	for (unsigned i = 0; i < s->change_count; i++)
		if (prefix_contains(&s->changes[i], via ? via : &h->key.gateway))
			return true;
	return false;
}

static void queue_concerned(struct fib *f)
{
	struct resolver *s = &f->resolver;
	struct nexthop *h;

	if (!s->change_count)
		return;
	TAILQ_FOREACH(h, &s->all, all)
	{
		if (is_concerned(f, h))
			nexthop_queue(f, h);
	}
	s->change_count = 0;
}

/* The callback may watch, unwatch and set routes: the caller holds a reference. */
static void tell(struct fib *f, struct nexthop *h)
{
	bool reachable = h->count > 0;
	uint32_t metric = reachable ? h->metric : 0;
	uint8_t place;

	if (!h->watches)
		return;
	place = (uint8_t)fib_place_of(f, &h->key.gateway);
	if (h->told && h->told_reachable == reachable && h->told_metric == metric && h->told_place == place &&
	    h->told_ifindex == (reachable ? h->hops[0].ifindex : 0))
		return;
	h->told = true;
	h->told_reachable = reachable;
	h->told_metric = metric;
	h->told_ifindex = reachable ? h->hops[0].ifindex : 0;
	h->told_place = place;
	if (f->ops && f->ops->on_nexthop)
		f->ops->on_nexthop(f->arg, &h->key.gateway, reachable, metric);
}

void resolve_run(struct fib *f)
{
	struct nexthop *h;

	queue_concerned(f);
	while ((h = TAILQ_FIRST(&f->resolver.queue))) {
		struct want_member *m;

		TAILQ_REMOVE(&f->resolver.queue, h, queue);
		h->queued = false;
		h->refs++;
		if (nexthop_update(f, h))
			LIST_FOREACH(m, &h->members, link)
		want_update(f, m->want);
		tell(f, h);
		nexthop_put(f, h);
	}
}

static bool on_resolve_work(void *arg, uint64_t deadline)
{
	(void)deadline;
	resolve_run(arg);
	return false;
}

void fib_nexthop_interface(const struct fib *f, const struct addr *nh, char name[static 16])
{
	struct nexthop_key key = {.gateway = *nh, .kind = FIB_VIA};
	const struct nexthop *h = nexthop_find(f, &key);
	const struct link *l = h && h->count ? links_by_index(&f->links, h->hops[0].ifindex) : NULL;

	snprintf(name, 16, "%s", l ? l->name : "");
}

void fib_nexthop_watch(struct fib *f, const struct addr *nh)
{
	struct nexthop_key key = {.kind = FIB_VIA, .gateway = *nh};
	struct nexthop *h = nexthop_get(f, &key);

	h->watches++;
	/* A further watcher is told as well. */
	h->told = false;
	nexthop_queue(f, h);
}

void fib_nexthop_unwatch(struct fib *f, const struct addr *nh)
{
	struct nexthop_key key = {.kind = FIB_VIA, .gateway = *nh};
	struct nexthop *h = nexthop_find(f, &key);

	if (!h || !h->watches)
		return;
	h->watches--;
	nexthop_put(f, h);
}

static const char *const trouble_text[] = {
    [NEXTHOP_OK] = "resolved",
    [NEXTHOP_NO_ROUTE] = "no route",
    [NEXTHOP_NO_LINK] = "no such interface",
    [NEXTHOP_LINK_DOWN] = "interface is down",
    [NEXTHOP_NO_CARRIER] = "interface has no carrier",
    [NEXTHOP_OWN] = "is an address of this node",
    [NEXTHOP_GATEWAY_DOWN] = "BFD says that the gateway is down",
    [NEXTHOP_REJECTED] = "a blackhole or unreachable route stands before it",
};

void want_explain(const struct fib *f, const struct want *w, char *out, size_t size)
{
	char gateway[ADDR_STRLEN], name[IFNAMSIZ];
	const struct nexthop *h = NULL;

	for (unsigned i = 0; i < w->count && !h; i++)
		if (!w->member[i].nexthop->count)
			h = w->member[i].nexthop;
	if (!h) {
		snprintf(out, size, "%s", w->count || w->type == FIB_BLACKHOLE ? "" : "no next hop given");
		return;
	}
	addr_format(addr_is_none(&h->key.gateway) ? &h->key.link_local : &h->key.gateway, gateway);
	if (h->key.kind == FIB_DEV)
		snprintf(out, size, "interface %s: %s", h->key.ifname, trouble_text[h->trouble]);
	else if (h->key.ifname[0])
		snprintf(out, size, "next hop %s on %s: %s", gateway, h->key.ifname, trouble_text[h->trouble]);
	else if (h->ifindex)
		snprintf(out, size, "next hop %s on %s: %s", gateway, links_name(&f->links, h->ifindex, name),
			 trouble_text[h->trouble]);
	else
		snprintf(out, size, "next hop %s: %s", gateway, trouble_text[h->trouble]);
}

void resolver_init(struct fib *f)
{
	TAILQ_INIT(&f->resolver.all);
	TAILQ_INIT(&f->resolver.queue);
	f->resolve_work = (struct loop_work){.run = on_resolve_work, .arg = f, .rank = LOOP_RANK_CLUSTER};
}

/* The wants are gone already; watched next hops may be left. */
void resolver_free(struct fib *f)
{
	reach_free(&f->reaches);
	uint32_t pos = 0;

	loop_work_cancel(f->loop, &f->resolve_work);
	for (struct nexthop *h; (h = htab_next(&f->resolver.nexthops, &pos));) {
		free(h->hops);
		free(h);
	}
	htab_clear(&f->resolver.nexthops);
	htab_clear(&f->resolver.wants);
	numbers_clear(&f->resolver.want_numbers);
	gateways_clear(&f->resolver.gateways);
}
