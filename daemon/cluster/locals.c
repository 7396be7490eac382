/* Claims on prefixes, and what follows from them. A change of an object changes claims and marks their prefixes dirty;
 * at the end of the turn each dirty prefix is settled once, so that an object that is replaced by another never makes
 * its route blink. */
#include "daemon/cluster/locals.h"

#include <bsd/sys/queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/cluster/migration.h"
#include "daemon/cluster/overlay.h"
#include "daemon/dataplane.h"
#include "daemon/instance.h"
#include "datastore/pod.h"

/* In order of precedence: what a prefix is here, if several objects claim it. */
enum claim_kind { CLAIM_WORKLOAD, CLAIM_BLOCK, CLAIM_BORROWED, CLAIM_SERVICE, CLAIM_KIND_COUNT };

struct claim {
	LIST_ENTRY(claim) link;
	/* In the store, or the `before` of a change that is being handled; NULL: a range of Services' addresses. */
	const struct object *object;
	enum claim_kind kind;
};

/* A prefix that this node has a say in. */
struct local_prefix {
	struct prefix prefix;
	LIST_HEAD(, claim) claims; /* newest first */
	bool dirty;
	bool in_rib, workload_wanted, block_wanted; /* what was handed on */
	STAILQ_ENTRY(local_prefix) dirty_link;
};

struct locals {
	struct daemon *d;
	const struct self *self;
	struct loop_work *work; /* the owner's, at whose end dirty prefixes are settled */
	struct htab prefixes;	/* of struct local_prefix */
	STAILQ_HEAD(, local_prefix) dirty;
	struct migrations *migrations;
};

static uint32_t prefix_hash(const struct prefix *p)
{
	return (uint32_t)hash_bytes(p, sizeof *p);
}

static bool local_prefix_eq(const void *item, const void *key)
{
	return prefix_equal(&((const struct local_prefix *)item)->prefix, key);
}

static struct local_prefix *local_prefix_get(struct locals *c, const struct prefix *p)
{
	struct local_prefix *l = htab_find(&c->prefixes, prefix_hash(p), local_prefix_eq, p);

	if (!l) {
		l = mem_calloc(1, sizeof *l);
		l->prefix = *p;
		LIST_INIT(&l->claims);
		htab_insert(&c->prefixes, prefix_hash(p), l);
	}
	return l;
}

static void mark_dirty(struct locals *c, struct local_prefix *l)
{
	if (!l->dirty) {
		l->dirty = true;
		STAILQ_INSERT_TAIL(&c->dirty, l, dirty_link);
	}
	loop_work_schedule(c->d->loop, c->work);
}

/* ---- Who claims what ---- */

typedef void claim_fn(struct locals *c, const struct object *o, enum claim_kind kind, const struct prefix *p);

static void claim_add(struct locals *c, const struct object *o, enum claim_kind kind, const struct prefix *p)
{
	struct local_prefix *l = local_prefix_get(c, p);
	struct claim *claim = mem_calloc(1, sizeof *claim);

	claim->object = o;
	claim->kind = kind;
	LIST_INSERT_HEAD(&l->claims, claim, link);
	mark_dirty(c, l);
}

static void claim_drop(struct locals *c, const struct object *o, enum claim_kind kind, const struct prefix *p)
{
	struct local_prefix *l = local_prefix_get(c, p);
	struct claim *claim;

	LIST_FOREACH(claim, &l->claims, link)
	{
		if (claim->object == o && claim->kind == kind) {
			LIST_REMOVE(claim, link);
			free(claim);
			break;
		}
	}
	mark_dirty(c, l);
}

void locals_service(struct locals *c, const struct object *o, const struct prefix *p)
{
	claim_add(c, o, CLAIM_SERVICE, p);
}

void locals_service_drop(struct locals *c, const struct object *o, const struct prefix *p)
{
	claim_drop(c, o, CLAIM_SERVICE, p);
}

static bool is_self(const struct locals *c, const char *node)
{
	return node && strcmp(node, c->d->config.node_name) == 0;
}

static void block_claims(struct locals *c, const struct object *o, claim_fn *fn)
{
	const struct obj_block_affinity *a = (const void *)o;

	/* Pending blocks are not this node's yet. One that is being given up is not announced any more: its remaining
	 * workloads are, each on its own. */
	if (is_self(c, a->node) && !a->virtual && !a->deleted && a->state == AFFINITY_CONFIRMED)
		fn(c, o, CLAIM_BLOCK, &a->cidr);
}

static void workload_claims(struct locals *c, const struct object *o, claim_fn *fn)
{
	const struct obj_workload_endpoint *w = (const void *)o;

	for (unsigned i = 0; is_self(c, w->node) && i < w->network_count; i++)
		fn(c, o, CLAIM_WORKLOAD, &w->networks[i]);
}

/* NULL if it is something else. */
static const struct obj_workload_endpoint *own_workload(const struct locals *c, const struct object *o)
{
	const struct obj_workload_endpoint *w = o && o->kind == OBJ_WORKLOAD_ENDPOINT ? (const void *)o : NULL;

	return w && is_self(c, w->node) ? w : NULL;
}

/* Addresses this node uses in a block of another node (or of nobody) need routes of their own. */
static void borrowed_claims(struct locals *c, const struct object *o, claim_fn *fn)
{
	const struct obj_ipam_block *b = (const void *)o;

	if (b->deleted || is_self(c, b->node))
		return;
	for (unsigned i = 0; i < b->owner_count; i++) {
		struct addr a = addr_add(&b->cidr.addr, b->owners[i].ordinal);
		struct prefix p = prefix_make(&a, addr_bits(a.af));
		if (is_self(c, b->owners[i].node))
			fn(c, o, CLAIM_BORROWED, &p);
	}
}

/* The addresses of this node's tunnel devices: where they are inside its own blocks, these stand for them. */
static void tunnel_claims(struct locals *c, const struct object *o, claim_fn *fn)
{
	const struct obj_node *n = object_node(o);
	const struct addr *const tunnels[] = {&n->ipip_tunnel, &n->vxlan_tunnel, &n->vxlan_tunnel6,
					      &n->wireguard[FAM_IPV4], &n->wireguard[FAM_IPV6]};

	for (size_t i = 0; is_self(c, o->name) && i < sizeof tunnels / sizeof *tunnels; i++) {
		struct prefix p = prefix_make(tunnels[i], addr_bits(tunnels[i]->af));
		if (!addr_is_none(tunnels[i]))
			fn(c, o, CLAIM_BORROWED, &p);
	}
}

/* Which objects claim prefixes. */
static void (*const claims_of[OBJ_KIND_COUNT])(struct locals *c, const struct object *o, claim_fn *fn) = {
    [OBJ_NODE] = tunnel_claims,
    [OBJ_WORKLOAD_ENDPOINT] = workload_claims,
    [OBJ_BLOCK_AFFINITY] = block_claims,
    [OBJ_IPAM_BLOCK] = borrowed_claims,
};

void locals_on_change(struct locals *c, const struct object *before, const struct object *after)
{
	enum object_kind kind = before ? before->kind : after->kind;

	/* The new version claims first: a prefix in both never is without a claim. */
	if (after && claims_of[kind])
		claims_of[kind](c, after, claim_add);
	if (before && claims_of[kind])
		claims_of[kind](c, before, claim_drop);
	if (own_workload(c, before) || own_workload(c, after)) {
		dataplane_interfaces_changed(c->d);
		migrations_on_change(c->migrations, own_workload(c, before), own_workload(c, after));
	}
}

static void drop_all_claims(struct locals *c)
{
	struct local_prefix *l;
	struct claim *claim;
	uint32_t pos = 0;

	while ((l = htab_next(&c->prefixes, &pos))) {
		while ((claim = LIST_FIRST(&l->claims))) {
			LIST_REMOVE(claim, link);
			free(claim);
		}
	}
}

void locals_anew(struct locals *c)
{
	const struct object *o;

	drop_all_claims(c);
	locals_mark_all(c);
	for (int k = 0; k < OBJ_KIND_COUNT; k++) {
		unsigned pos = 0;
		while (claims_of[k] && (o = store_next(c->d->store, (enum object_kind)k, &pos))) {
			claims_of[k](c, o, claim_add);
			if (own_workload(c, o))
				migrations_on_change(c->migrations, own_workload(c, o), own_workload(c, o));
		}
	}
}

/* ---- Which priority, and whether it is there ---- */

static const struct claim *find_claim(const struct local_prefix *l, enum claim_kind kind)
{
	const struct claim *claim;

	LIST_FOREACH(claim, &l->claims, link)
	if (claim->kind == kind)
		return claim;
	return NULL;
}

/* The priority of a workload's routes where this daemon writes them. One that has just come by live migration outranks
 * those that still lead to where it was. False: it is still to come. */
static bool migration_priority(const struct locals *c, const struct local_prefix *l, const struct claim *claim,
			       uint32_t *priority)
{
	const struct obj_workload_endpoint *w = (const void *)claim->object;
	enum live_migration state = migrations_state(c->migrations, w);
	bool elevated = state == MIGRATION_LIVE || state == MIGRATION_TIME_WAIT;

	if (elevated)
		*priority =
		    l->prefix.addr.af == AF_INET ? c->d->config.elevated_priority : c->d->config.elevated_priority6;
	return state != MIGRATION_TARGET;
}

/* Is there a workload of this prefix? Beside a Felix the kernel's routes say so, with the priority that Felix gives
 * them: an object may speak of a workload that is still to come, or migrates. */
static bool workload_priority(const struct locals *c, const struct local_prefix *l, uint32_t *priority)
{
	const struct claim *claim = find_claim(l, CLAIM_WORKLOAD);
	uint32_t normal = c->self->priority[family_of_af(l->prefix.addr.af)];

	*priority = normal;
	if (!c->d->config.workload_routes)
		return fib_workload_find(c->d->fib, &l->prefix, normal, priority);
	return claim && migration_priority(c, l, claim, priority);
}

/* ---- Settling a prefix ---- */

static const enum route_source claim_source[CLAIM_KIND_COUNT] = {
    [CLAIM_WORKLOAD] = SOURCE_WORKLOAD,
    [CLAIM_BLOCK] = SOURCE_BLOCK,
    [CLAIM_BORROWED] = SOURCE_STATIC,
    [CLAIM_SERVICE] = SOURCE_SERVICE,
};

void workload_interface(const struct config *conf, const struct obj_workload_endpoint *w, char name[static 16])
{
	if (w->interface_by_rule)
		pod_interface(conf->interface_prefix, w->o.namespace, w->pod, name);
	else
		snprintf(name, 16, "%s", w->interface ? w->interface : "");
}

static void want_workload(struct locals *c, struct fib *f, const struct local_prefix *l, const struct object *o,
			  uint32_t priority)
{
	const struct obj_workload_endpoint *w = (const void *)o;
	struct fib_hop hop = {0};
	struct fib_route r = {
	    .prefix = l->prefix,
	    .metric = priority,
	    .class = FIB_WORKLOAD,
	    .type = FIB_DEV,
	    .hop_count = 1,
	    .hops = &hop,
	};

	workload_interface(&c->d->config, w, hop.ifname);
	mac_parse(r.mac, w->mac);
	fib_set(f, &r);
}

static const struct claim *workload_claim(const struct locals *c, const struct local_prefix *l, uint32_t *priority)
{
	const struct claim *workload = find_claim(l, CLAIM_WORKLOAD);

	*priority = c->self->priority[family_of_af(l->prefix.addr.af)];
	return workload && migration_priority(c, l, workload, priority) ? workload : NULL;
}

/* A blackhole for a single address would keep the CNI plugin from adding the workload's own route. */
static bool has_blackhole(const struct local_prefix *l)
{
	return find_claim(l, CLAIM_BLOCK) && !prefix_is_host(&l->prefix);
}

static void want_block(struct fib *f, const struct local_prefix *l)
{
	fib_set(f, &(struct fib_route){.prefix = l->prefix, .class = FIB_BLOCK, .type = FIB_BLACKHOLE});
}

/* What arrives in another table reaches this node's workloads, too; and what it has no workload for is dropped there.
 * Told what it knows the FIB does nothing. */
static void settle_instance_kernel(struct locals *c, const struct local_prefix *l, struct fib *f)
{
	uint32_t priority;
	const struct claim *workload = workload_claim(c, l, &priority);

	if (workload)
		want_workload(c, f, l, workload->object, priority);
	else
		fib_unset(f, &l->prefix, FIB_WORKLOAD);
	if (has_blackhole(l))
		want_block(f, l);
	else
		fib_unset(f, &l->prefix, FIB_BLOCK);
}

static void settle_kernel(struct locals *c, struct local_prefix *l)
{
	uint32_t priority;
	const struct claim *workload = workload_claim(c, l, &priority);
	bool block = has_blackhole(l) && !overlay_leaves(c->d->overlay, &l->prefix);

	if (workload)
		want_workload(c, c->d->fib, l, workload->object, priority);
	else if (l->workload_wanted)
		fib_unset(c->d->fib, &l->prefix, FIB_WORKLOAD);
	l->workload_wanted = workload;
	if (block && !l->block_wanted)
		want_block(c->d->fib, l);
	else if (!block && l->block_wanted)
		fib_unset(c->d->fib, &l->prefix, FIB_BLOCK);
	l->block_wanted = block;
}

/* Whose address is borrowed is a workload that is known: that one says whether it is here yet. */
static bool speaks(const struct local_prefix *l, enum claim_kind kind)
{
	return find_claim(l, kind) && !(kind == CLAIM_BORROWED && find_claim(l, CLAIM_WORKLOAD));
}

/* CLAIM_KIND_COUNT: nobody claims the prefix in a way that is announced. */
static enum claim_kind speaking_kind(const struct locals *c, const struct local_prefix *l, uint32_t *priority)
{
	int kind = CLAIM_WORKLOAD;

	if (!workload_priority(c, l, priority))
		for (kind++; kind < CLAIM_KIND_COUNT && !speaks(l, (enum claim_kind)kind);)
			kind++;
	return (enum claim_kind)kind;
}

static void settle_rib(const struct locals *c, const struct local_prefix *l, struct rib *r)
{
	uint32_t priority;
	enum claim_kind kind = speaking_kind(c, l, &priority);

	if (kind < CLAIM_KIND_COUNT)
		rib_local_set(r, &l->prefix, claim_source[kind], priority);
	else if (l->in_rib)
		rib_local_unset(r, &l->prefix);
}

static void settle(struct locals *c, struct local_prefix *l)
{
	const struct instance *i;
	uint32_t priority;

	settle_kernel(c, l);
	settle_rib(c, l, c->d->rib);
	LIST_FOREACH(i, &c->d->instances, link)
	{
		settle_instance_kernel(c, l, i->fib);
		settle_rib(c, l, i->rib);
	}
	l->in_rib = speaking_kind(c, l, &priority) < CLAIM_KIND_COUNT;
}

void locals_settle_into(struct locals *c, struct instance *i)
{
	const struct local_prefix *l;
	uint32_t pos = 0;

	while ((l = htab_next(&c->prefixes, &pos))) {
		settle_instance_kernel(c, l, i->fib);
		settle_rib(c, l, i->rib);
	}
}

bool locals_settle(struct locals *c, uint64_t deadline)
{
	struct local_prefix *l;

	while ((l = STAILQ_FIRST(&c->dirty))) {
		STAILQ_REMOVE_HEAD(&c->dirty, dirty_link);
		l->dirty = false;
		settle(c, l);
		if (LIST_EMPTY(&l->claims) && !l->in_rib) {
			htab_remove(&c->prefixes, prefix_hash(&l->prefix), l);
			free(l);
		}
		if (mono_now() > deadline)
			return !STAILQ_EMPTY(&c->dirty);
	}
	return false;
}

void locals_mark(struct locals *c, const struct prefix *p)
{
	mark_dirty(c, local_prefix_get(c, p));
}

void locals_mark_all(struct locals *c)
{
	struct local_prefix *l;
	uint32_t pos = 0;

	while ((l = htab_next(&c->prefixes, &pos)))
		mark_dirty(c, l);
}

static void on_migration(void *arg, const struct obj_workload_endpoint *w)
{
	struct locals *c = arg;

	for (unsigned i = 0; i < w->network_count; i++)
		mark_dirty(c, local_prefix_get(c, &w->networks[i]));
}

void locals_link_changed(struct locals *c, const struct fib_link *l)
{
	migrations_link_changed(c->migrations, l);
}

/* ---- Looking ---- */

void locals_interface(const struct locals *c, const struct prefix *p, char name[static 16])
{
	const struct local_prefix *l = htab_find(&c->prefixes, prefix_hash(p), local_prefix_eq, p);
	const struct claim *claim = l ? find_claim(l, CLAIM_WORKLOAD) : NULL;

	*name = '\0';
	if (!c->d->config.workload_routes)
		fib_workload_interface(c->d->fib, p, name);
	else if (claim)
		workload_interface(&c->d->config, (const struct obj_workload_endpoint *)(const void *)claim->object,
				   name);
}

static void put_origin(const struct object *o, struct strbuf *out)
{
	strbuf_puts(out, out->len ? ", " : "");
	if (o)
		strbuf_printf(out, "%s %s%s%s (%s)", object_kind_name(o->kind), o->namespace, *o->namespace ? "/" : "",
			      o->name, o->source);
	else
		strbuf_puts(out, "the configured ranges of Services");
}

void locals_origin(const struct locals *c, const struct prefix *p, struct strbuf *out)
{
	const struct local_prefix *l = htab_find(&c->prefixes, prefix_hash(p), local_prefix_eq, p);
	const struct claim *claim;
	uint32_t priority;

	if (!l)
		return;
	if (!c->d->config.workload_routes && workload_priority(c, l, &priority))
		strbuf_printf(out, "a route of the kernel to a workload, priority %u", priority);
	LIST_FOREACH(claim, &l->claims, link)
	put_origin(claim->object, out);
}

void locals_problems(const struct locals *c, struct strbuf *out)
{
	migrations_problems(c->migrations, out);
}

/* ---- Life ---- */

struct locals *locals_new(struct daemon *d, const struct self *self, struct loop_work *work)
{
	struct locals *c = mem_calloc(1, sizeof *c);

	c->d = d;
	c->self = self;
	c->work = work;
	STAILQ_INIT(&c->dirty);
	c->migrations = migrations_new(d, on_migration, c);
	return c;
}

void locals_free(struct locals *c)
{
	struct local_prefix *l;
	uint32_t pos = 0;

	if (!c)
		return;
	migrations_free(c->migrations);
	drop_all_claims(c);
	while ((l = htab_next(&c->prefixes, &pos)))
		free(l);
	htab_clear(&c->prefixes);
	free(c);
}
