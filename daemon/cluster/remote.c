#include "daemon/cluster/remote.h"

#include <bsd/sys/queue.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/cluster/cluster.h"

/* In order of precedence: whose a prefix is, if several objects speak of it. */
enum claim_kind { CLAIM_ADDRESS, CLAIM_BLOCK, CLAIM_KIND_COUNT };

struct claim {
	LIST_ENTRY(claim) link, of_owner;
	const struct object *object;
	struct owner *owner;
	struct remote *remote;
	enum claim_kind kind;
};

/* A node by its name, whether there is a Node object or not: what is said to be its. */
struct owner {
	LIST_HEAD(, claim) claims;
	char name[];
};

struct remote {
	struct prefix prefix;
	LIST_HEAD(, claim) claims;
	bool dirty, wanted;
	STAILQ_ENTRY(remote) dirty_link;
};

struct remotes {
	struct daemon *d;
	const struct overlay *overlay;
	struct htab all;    /* of struct remote */
	struct htab owners; /* of struct owner */
	STAILQ_HEAD(, remote) dirty;
	struct loop_work work;
};

static uint32_t prefix_hash(const struct prefix *p)
{
	return (uint32_t)hash_bytes(p, sizeof *p);
}

static bool remote_eq(const void *item, const void *key)
{
	return prefix_equal(&((const struct remote *)item)->prefix, key);
}

static void mark_dirty(struct remotes *r, struct remote *m)
{
	if (!m->dirty) {
		m->dirty = true;
		STAILQ_INSERT_TAIL(&r->dirty, m, dirty_link);
	}
	loop_work_schedule(r->d->loop, &r->work);
}

/* ---- claims: objects say which node a prefix belongs to ---- */

typedef void claim_fn(struct remotes *r, const struct object *o, enum claim_kind kind, const struct prefix *p,
		      const char *node);

static struct remote *remote_get(struct remotes *r, const struct prefix *p)
{
	struct remote *m = htab_find(&r->all, prefix_hash(p), remote_eq, p);

	if (!m) {
		m = mem_calloc(1, sizeof *m);
		m->prefix = *p;
		LIST_INIT(&m->claims);
		htab_insert(&r->all, prefix_hash(p), m);
	}
	return m;
}

static bool owner_is(const void *item, const void *name)
{
	return strcmp(((const struct owner *)item)->name, name) == 0;
}

static struct owner *owner_get(struct remotes *r, const char *name)
{
	struct owner *w = htab_find(&r->owners, hash_str(name), owner_is, name);

	if (w)
		return w;
	w = mem_calloc(1, sizeof *w + strlen(name) + 1);
	strcpy(w->name, name);
	LIST_INIT(&w->claims);
	htab_insert(&r->owners, hash_str(name), w);
	return w;
}

static void claim_free(struct remotes *r, struct claim *c)
{
	LIST_REMOVE(c, link);
	LIST_REMOVE(c, of_owner);
	if (LIST_EMPTY(&c->owner->claims)) {
		htab_remove(&r->owners, hash_str(c->owner->name), c->owner);
		free(c->owner);
	}
	free(c);
}

static void claim_add(struct remotes *r, const struct object *o, enum claim_kind kind, const struct prefix *p,
		      const char *node)
{
	struct remote *m = remote_get(r, p);
	struct claim *c = mem_calloc(1, sizeof *c);

	*c = (struct claim){.object = o, .owner = owner_get(r, node), .remote = m, .kind = kind};
	LIST_INSERT_HEAD(&m->claims, c, link);
	LIST_INSERT_HEAD(&c->owner->claims, c, of_owner);
	mark_dirty(r, m);
}

static void claim_drop(struct remotes *r, const struct object *o, enum claim_kind kind, const struct prefix *p,
		       const char *node)
{
	struct remote *m = remote_get(r, p);
	struct claim *c;

	(void)node;
	LIST_FOREACH(c, &m->claims, link)
	{
		if (c->object == o && c->kind == kind) {
			claim_free(r, c);
			break;
		}
	}
	mark_dirty(r, m);
}

static void affinity_claims(struct remotes *r, const struct object *o, claim_fn *fn)
{
	const struct obj_block_affinity *a = (const void *)o;

	if (!a->virtual && !a->deleted && a->state == AFFINITY_CONFIRMED)
		fn(r, o, CLAIM_BLOCK, &a->cidr, a->node);
}

/* The block, and the addresses in it that other nodes use. */
static void block_claims(struct remotes *r, const struct object *o, claim_fn *fn)
{
	const struct obj_ipam_block *b = (const void *)o;

	if (b->deleted)
		return;
	if (b->node)
		fn(r, o, CLAIM_BLOCK, &b->cidr, b->node);
	for (unsigned i = 0; i < b->owner_count; i++) {
		struct addr a = addr_add(&b->cidr.addr, b->owners[i].ordinal);
		struct prefix p = prefix_make(&a, addr_bits(a.af));
		if (!b->node || strcmp(b->owners[i].node, b->node) != 0)
			fn(r, o, CLAIM_ADDRESS, &p, b->owners[i].node);
	}
}

/* IPv6 takes a gateway on the device only if no other route leads to it elsewhere, as the one that is being replaced
 * may: each tunnel address has a route of its own. */
static void node_claims(struct remotes *r, const struct object *o, claim_fn *fn)
{
	const struct obj_node *n = (const void *)o;
	struct prefix p = prefix_make(&n->vxlan_tunnel6, addr_bits(AF_INET6));

	if (!addr_is_none(&n->vxlan_tunnel6))
		fn(r, o, CLAIM_ADDRESS, &p, o->name);
}

static void each_claim(struct remotes *r, const struct object *o, claim_fn *fn)
{
	if (o->kind == OBJ_NODE)
		node_claims(r, o, fn);
	else if (o->kind == OBJ_BLOCK_AFFINITY)
		affinity_claims(r, o, fn);
	else if (o->kind == OBJ_IPAM_BLOCK)
		block_claims(r, o, fn);
}

/* ---- other nodes' tunnel ends ---- */

/* False if the node has none of this family. */
static bool vtep_of(const struct remotes *r, const struct object *o, enum family f, struct fib_vtep *v)
{
	const struct obj_node *n = (const void *)o;

	if (!o || strcmp(o->name, r->d->config.node_name) == 0)
		return false;
	*v = (struct fib_vtep){
	    .addr = f == FAM_IPV4 ? n->vxlan_tunnel : n->vxlan_tunnel6,
	    .node = f == FAM_IPV4 ? n->ipv4.addr : n->ipv6.addr,
	};
	overlay_vxlan_mac(n, f, v->mac);
	return !addr_is_none(&v->addr) && !addr_is_none(&v->node);
}

static void update_vteps(struct remotes *r, const struct object *before, const struct object *after)
{
	for (int f = 0; f < FAM_COUNT; f++) {
		enum fib_tunnel t = f == FAM_IPV4 ? FIB_VXLAN : FIB_VXLAN6;
		struct fib_vtep old, now;
		bool had = vtep_of(r, before, (enum family)f, &old), has = vtep_of(r, after, (enum family)f, &now);

		if (has)
			fib_vtep_set(r->d->fib, t, &now);
		if (had && (!has || !addr_equal(&old.addr, &now.addr)))
			fib_vtep_unset(r->d->fib, t, &old.addr);
	}
}

static void check_node(struct remotes *r, const char *name)
{
	const struct owner *w = htab_find(&r->owners, hash_str(name), owner_is, name);
	const struct claim *c;

	if (!w)
		return;
	LIST_FOREACH(c, &w->claims, of_owner)
	mark_dirty(r, c->remote);
}

void remotes_on_change(struct remotes *r, const struct object *before, const struct object *after)
{
	const struct object *o = after ? after : before;

	if (o->kind == OBJ_NODE)
		update_vteps(r, before, after);
	/* The new version first: a prefix in both never is without a claim. */
	if (after)
		each_claim(r, after, claim_add);
	if (before)
		each_claim(r, before, claim_drop);
	if (o->kind == OBJ_NODE)
		check_node(r, o->name);
}

/* ---- settling ---- */

static const struct obj_node *owner_of(const struct remotes *r, const struct remote *m)
{
	const struct claim *c, *best = NULL;
	const struct object *o;

	LIST_FOREACH(c, &m->claims, link)
	if (!best || c->kind < best->kind)
		best = c;
	if (!best || strcmp(best->owner->name, r->d->config.node_name) == 0)
		return NULL;
	o = store_get(r->d->store, OBJ_NODE, "", best->owner->name);
	return o ? object_node(o) : NULL;
}

static bool is_tunnel_address(const struct obj_node *n, const struct prefix *p)
{
	return prefix_is_host(p) && (addr_equal(&p->addr, &n->vxlan_tunnel) || addr_equal(&p->addr, &n->vxlan_tunnel6));
}

static void settle(struct remotes *r, struct remote *m)
{
	const struct obj_node *owner = owner_of(r, m);
	struct fib_hop hop = {0};
	struct fib_route route = {
	    .prefix = m->prefix,
	    .metric = cluster_self(r->d->cluster)->priority[family_of_af(m->prefix.addr.af)],
	    .class = FIB_OVERLAY,
	    .type = FIB_VIA,
	    .hop_count = 1,
	    .hops = &hop,
	};
	bool wanted = owner && overlay_remote_route(r->overlay, &m->prefix, owner, &hop);

	/* The other end itself is right on the device. */
	if (wanted && is_tunnel_address(owner, &m->prefix)) {
		route.type = FIB_DEV;
		strcpy(hop.ifname, fib_tunnel_name(m->prefix.addr.af == AF_INET ? FIB_VXLAN : FIB_VXLAN6));
	}
	if (wanted)
		fib_set(r->d->fib, &route);
	else if (m->wanted)
		fib_unset(r->d->fib, &m->prefix, FIB_OVERLAY);
	m->wanted = wanted;
}

static bool on_work(void *arg, uint64_t deadline)
{
	struct remotes *r = arg;
	struct remote *m;

	while ((m = STAILQ_FIRST(&r->dirty))) {
		STAILQ_REMOVE_HEAD(&r->dirty, dirty_link);
		m->dirty = false;
		settle(r, m);
		if (LIST_EMPTY(&m->claims)) {
			htab_remove(&r->all, prefix_hash(&m->prefix), m);
			free(m);
		}
		if (mono_now() > deadline)
			return !STAILQ_EMPTY(&r->dirty);
	}
	return false;
}

void remotes_check_all(struct remotes *r)
{
	uint32_t pos = 0;

	for (struct remote *m; (m = htab_next(&r->all, &pos));)
		mark_dirty(r, m);
}

/* ---- life ---- */

struct remotes *remotes_new(struct daemon *d, const struct overlay *o)
{
	static const enum object_kind kinds[] = {OBJ_NODE, OBJ_BLOCK_AFFINITY, OBJ_IPAM_BLOCK};
	struct remotes *r = mem_calloc(1, sizeof *r);
	const struct object *object;

	r->d = d;
	r->overlay = o;
	STAILQ_INIT(&r->dirty);
	/* In the turn in which the RIB decides again after a pool's change: the one route takes the place of the other.
	 */
	r->work = (struct loop_work){.run = on_work, .arg = r, .rank = LOOP_RANK_DECIDE};
	for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		unsigned pos = 0;
		while ((object = store_next(d->store, kinds[i], &pos)))
			remotes_on_change(r, NULL, object);
	}
	return r;
}

void remotes_free(struct remotes *r)
{
	const struct object *object;
	unsigned pos = 0;
	uint32_t at = 0;

	if (!r)
		return;
	loop_work_cancel(r->d->loop, &r->work);
	while ((object = store_next(r->d->store, OBJ_NODE, &pos)))
		update_vteps(r, object, NULL);
	for (struct remote *m; (m = htab_next(&r->all, &at));) {
		struct claim *c;
		while ((c = LIST_FIRST(&m->claims)))
			claim_free(r, c);
		if (m->wanted)
			fib_unset(r->d->fib, &m->prefix, FIB_OVERLAY);
		free(m);
	}
	htab_clear(&r->all);
	htab_clear(&r->owners);
	free(r);
}
