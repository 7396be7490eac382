#include "daemon/peers/peering.h"

#include <bsd/sys/queue.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/base/mem.h"
#include "daemon/peers/node_index.h"
#include "daemon/peers/peering_rule.h"
#include "datastore/secrets.h"

/* The two objects that a claim may come from. */
enum role { ROLE_PEER, ROLE_OTHER, ROLE_COUNT };

/* An object, or a BGPPeer and a Node or workload together, asks for a remote. */
struct claim {
	LIST_ENTRY(claim) of_remote;
	LIST_ENTRY(claim) of_source[ROLE_COUNT];
	struct remote *remote;
	struct ask ask;
};

struct remote {
	struct peer_key key;	   /* an interface is owned */
	LIST_HEAD(, claim) claims; /* in order of precedence: the first one has it */
	TAILQ_ENTRY(remote) dirty_link;
	LIST_ENTRY(remote) range_link;
	bool dirty;
	bool workload; /* as it was told last */
};

/* What BGPPeers look at besides themselves. */
enum watch {
	WATCH_NODES,	 /* it selects this node, and others by peerSelector */
	WATCH_REVERSE,	 /* it leads here, from nodes by its nodeSelector */
	WATCH_WORKLOADS, /* it selects this node, and workloads */
	WATCH_COUNT
};

/* A BGPPeer, Node or workload that asks, watches, or is yet to be looked at: of all others nothing is kept. */
struct source {
	const struct object *o; /* in the store */
	LIST_HEAD(, claim) claims;
	TAILQ_ENTRY(source) dirty_link;
	bool dirty;
	uint8_t watching; /* bit per enum watch */
	LIST_ENTRY(source) watch[WATCH_COUNT];
	bool by_address; /* among those of its peerIP */
	bool by_node;	 /* it leads here, from the node that it names */
};

struct peering {
	const struct store *store;
	const struct config *conf;
	struct self self;
	bool active; /* this node has an object */
	bool everything;
	struct node_index nodes;
	struct htab sources, remotes;
	LIST_HEAD(, remote) ranges;
	TAILQ_HEAD(, remote) dirty_remotes;
	unsigned dirty_count, workloads;
	TAILQ_HEAD(sources, source) dirty[ROLE_COUNT];
	unsigned dirty_others;
	LIST_HEAD(, source) watchers[WATCH_COUNT];
	struct htab by_address, by_node; /* of BGPPeers' struct source, by what they look for */
};

static struct peering_view view(const struct peering *p)
{
	return (struct peering_view){.store = p->store, .conf = p->conf, .self = &p->self, .nodes = &p->nodes};
}

static const struct obj_bgp_peer *bgp_peer(const struct source *s)
{
	return (const void *)s->o;
}

static enum role role_of(const struct object *o)
{
	return o->kind == OBJ_BGP_PEER ? ROLE_PEER : ROLE_OTHER;
}

/* ---- Remotes ---- */

static bool remote_is(const void *item, const void *key)
{
	return peer_key_cmp(&((const struct remote *)item)->key, key) == 0;
}

static bool is_range(const struct remote *r)
{
	return !addr_is_none(&r->key.range.addr);
}

static struct remote *remote_get(struct peering *p, const struct peer_key *key)
{
	struct remote *r = htab_find(&p->remotes, peer_key_hash(key), remote_is, key);

	if (r)
		return r;
	r = mem_calloc(1, sizeof *r);
	r->key = *key;
	r->key.interface = *key->interface ? mem_strdup(key->interface) : "";
	LIST_INIT(&r->claims);
	if (is_range(r))
		LIST_INSERT_HEAD(&p->ranges, r, range_link);
	htab_insert(&p->remotes, peer_key_hash(key), r);
	return r;
}

static void remote_free(struct peering *p, struct remote *r)
{
	if (is_range(r))
		LIST_REMOVE(r, range_link);
	htab_remove(&p->remotes, peer_key_hash(&r->key), r);
	if (*r->key.interface)
		free((char *)(uintptr_t)r->key.interface);
	free(r);
}

static void remote_dirty(struct peering *p, struct remote *r)
{
	if (r->dirty)
		return;
	r->dirty = true;
	TAILQ_INSERT_TAIL(&p->dirty_remotes, r, dirty_link);
	p->dirty_count++;
}

/* ---- Sources ---- */

static uint32_t source_hash(const struct object *o)
{
	return hash_str(o->name) + 31 * hash_str(o->namespace) + 1009 * (uint32_t)o->kind;
}

static bool source_is(const void *item, const void *key)
{
	const struct object *a = ((const struct source *)item)->o, *b = key;

	return a->kind == b->kind && strcmp(a->name, b->name) == 0 && strcmp(a->namespace, b->namespace) == 0;
}

static struct source *source_find(const struct peering *p, const struct object *o)
{
	return htab_find(&p->sources, source_hash(o), source_is, o);
}

static struct source *source_get(struct peering *p, const struct object *o)
{
	struct source *s = source_find(p, o);

	if (s)
		return s;
	s = mem_calloc(1, sizeof *s);
	s->o = o;
	LIST_INIT(&s->claims);
	htab_insert(&p->sources, source_hash(o), s);
	return s;
}

static void source_dirty(struct peering *p, struct source *s)
{
	enum role role = role_of(s->o);

	if (s->dirty)
		return;
	s->dirty = true;
	p->dirty_others += role == ROLE_OTHER;
	TAILQ_INSERT_TAIL(&p->dirty[role], s, dirty_link);
}

static void source_clean(struct peering *p, struct source *s)
{
	enum role role = role_of(s->o);

	if (!s->dirty)
		return;
	s->dirty = false;
	p->dirty_others -= role == ROLE_OTHER;
	TAILQ_REMOVE(&p->dirty[role], s, dirty_link);
}

/* Of what asks and watches nothing is kept. */
static void source_release(struct peering *p, struct source *s)
{
	if (s->dirty || s->watching || s->by_address || s->by_node || !LIST_EMPTY(&s->claims))
		return;
	htab_remove(&p->sources, source_hash(s->o), s);
	free(s);
}

/* ---- Claims ---- */

static void claim_link(struct source *s, struct claim *c, enum role role)
{
	LIST_INSERT_HEAD(&s->claims, c, of_source[role]);
}

static void claim_order(struct peering *p, struct remote *r, struct claim *c)
{
	struct claim *before = NULL, *next;

	LIST_FOREACH(next, &r->claims, of_remote)
	{
		if (ask_cmp(&next->ask, &c->ask) > 0)
			break;
		before = next;
	}
	if (before) {
		LIST_INSERT_AFTER(before, c, of_remote);
		return;
	}
	LIST_INSERT_HEAD(&r->claims, c, of_remote);
	remote_dirty(p, r);
}

static void claim_add(struct peering *p, enum ask_tier tier, const struct obj_bgp_peer *peer,
		      const struct object *other, unsigned index)
{
	struct peering_view v = view(p);
	struct ask ask = {.tier = tier, .peer = peer, .other = other, .index = index};
	struct peer_want w;
	struct peer_key key;
	struct claim *c;

	if (!ask_want(&v, &ask, &w))
		return;
	key = peer_key_of(&w);
	c = mem_calloc(1, sizeof *c);
	c->ask = ask;
	c->remote = remote_get(p, &key);
	claim_order(p, c->remote, c);
	if (peer)
		claim_link(source_get(p, &peer->o), c, ROLE_PEER);
	if (other)
		claim_link(source_get(p, other), c, ROLE_OTHER);
}

/* And what it leaves in the other of its two sources. */
static void claim_drop(struct peering *p, struct claim *c, enum role from)
{
	const struct object *other = from == ROLE_OTHER ? (c->ask.peer ? &c->ask.peer->o : NULL) : c->ask.other;

	if (LIST_FIRST(&c->remote->claims) == c)
		remote_dirty(p, c->remote);
	LIST_REMOVE(c, of_remote);
	if (c->ask.peer)
		LIST_REMOVE(c, of_source[ROLE_PEER]);
	if (c->ask.other)
		LIST_REMOVE(c, of_source[ROLE_OTHER]);
	free(c);
	if (other)
		source_release(p, source_find(p, other));
}

static void claims_drop(struct peering *p, struct source *s)
{
	enum role role = role_of(s->o);
	struct claim *c;

	while ((c = LIST_FIRST(&s->claims)))
		claim_drop(p, c, role);
}

/* ---- What BGPPeers look at ---- */

static uint32_t addr_hash(const struct addr *a)
{
	return (uint32_t)hash_bytes(a, sizeof *a);
}

static void watch(struct peering *p, struct source *s, enum watch what)
{
	s->watching |= (uint8_t)(1u << what);
	LIST_INSERT_HEAD(&p->watchers[what], s, watch[what]);
}

static void watch_address(struct peering *p, struct source *s)
{
	s->by_address = true;
	htab_insert(&p->by_address, addr_hash(&bgp_peer(s)->peer_ip), s);
}

static void watch_node(struct peering *p, struct source *s)
{
	s->by_node = true;
	htab_insert(&p->by_node, hash_str(bgp_peer(s)->node), s);
}

static void unwatch(struct peering *p, struct source *s)
{
	for (int w = 0; w < WATCH_COUNT; w++)
		if (s->watching >> w & 1)
			LIST_REMOVE(s, watch[w]);
	if (s->by_address)
		htab_remove(&p->by_address, addr_hash(&bgp_peer(s)->peer_ip), s);
	if (s->by_node)
		htab_remove(&p->by_node, hash_str(bgp_peer(s)->node), s);
	s->watching = 0;
	s->by_address = s->by_node = false;
}

static void source_forget(struct peering *p, struct source *s)
{
	claims_drop(p, s);
	unwatch(p, s);
	source_clean(p, s);
	source_release(p, s);
}

/* ---- Asking ---- */

static void ask_node(struct peering *p, enum ask_tier tier, const struct obj_bgp_peer *peer, const struct obj_node *n)
{
	for (unsigned f = 0; f < FAM_COUNT; f++)
		claim_add(p, tier, peer, &n->o, f);
}

/* A BGPPeer that selects this node by peerSelector, and another node. */
static void ask_selected(struct peering *p, const struct source *s, const struct obj_node *n)
{
	const struct obj_bgp_peer *peer = bgp_peer(s);

	if (n != p->self.node && selector_match(peer->peer_sel, &n->o.labels))
		ask_node(p, ask_tier(peer), peer, n);
}

/* One that leads here, and the node that it is said for. */
static void ask_reverse(struct peering *p, const struct source *s, const struct obj_node *n)
{
	if (n != p->self.node && peering_selects(bgp_peer(s), n))
		ask_node(p, ASK_REVERSE, bgp_peer(s), n);
}

static void ask_workload(struct peering *p, const struct source *s, const struct obj_workload_endpoint *e)
{
	if (!peering_selects_workload(bgp_peer(s), &p->self, e))
		return;
	for (unsigned i = 0; i < e->network_count; i++)
		claim_add(p, ask_tier(bgp_peer(s)), bgp_peer(s), &e->o, i);
}

/* Of a pair of objects that are both to be looked at the other one sees to it. */
static bool is_left_to(const struct peering *p, const struct object *o)
{
	const struct source *s;

	if (!p->dirty_others)
		return false;
	s = source_find(p, o);
	return s && s->dirty;
}

static void ask_all_nodes(struct peering *p, const struct source *s,
			  void (*ask)(struct peering *p, const struct source *s, const struct obj_node *n))
{
	const struct object *o;
	unsigned pos = 0;

	/* Then all of them are to be looked at. */
	if (p->everything)
		return;
	while ((o = store_next(p->store, OBJ_NODE, &pos)))
		if (!is_left_to(p, o))
			ask(p, s, object_node(o));
}

static void ask_all_workloads(struct peering *p, const struct source *s)
{
	const struct object *o;
	unsigned pos = 0;

	while ((o = store_next(p->store, OBJ_WORKLOAD_ENDPOINT, &pos)))
		if (!is_left_to(p, o))
			ask_workload(p, s, (const void *)o);
}

static void ask_forward(struct peering *p, struct source *s)
{
	const struct obj_bgp_peer *peer = bgp_peer(s);

	if (!peering_selects(peer, p->self.node))
		return;
	if (!addr_is_none(&peer->opt.range.addr)) {
		claim_add(p, ask_tier(peer), peer, NULL, 0);
	} else if (peer->workload_sel) {
		watch(p, s, WATCH_WORKLOADS);
		ask_all_workloads(p, s);
	} else if (peer->peer_sel) {
		watch(p, s, WATCH_NODES);
		ask_all_nodes(p, s, ask_selected);
	} else {
		if (!addr_is_none(&peer->peer_ip))
			watch_address(p, s);
		claim_add(p, ask_tier(peer), peer, NULL, 0);
	}
}

static void ask_back(struct peering *p, struct source *s)
{
	const struct obj_bgp_peer *peer = bgp_peer(s);
	const struct object *o;

	if (!peering_leads_here(peer, &p->self))
		return;
	if (!peer->node) {
		watch(p, s, WATCH_REVERSE);
		ask_all_nodes(p, s, ask_reverse);
		return;
	}
	watch_node(p, s);
	o = store_get(p->store, OBJ_NODE, "", peer->node);
	if (o && !p->everything && !is_left_to(p, o))
		ask_reverse(p, s, object_node(o));
}

struct visit {
	struct peering *p;
	const char *name;
	const struct addr *addr;
	const struct obj_node *node;
};

/* Looks at all that there are. */
static bool visit_by_node(const void *item, const void *key)
{
	const struct visit *v = key;
	const struct source *s = item;

	if (strcmp(bgp_peer(s)->node, v->name) == 0)
		ask_reverse(v->p, s, v->node);
	return false;
}

static void ask_by_node(struct peering *p, const struct obj_node *n)
{
	struct visit v = {.p = p, .name = n->o.name, .node = n};
	const struct source *s;

	if (peering_meshes(&p->self, n))
		ask_node(p, ASK_MESH, NULL, n);
	LIST_FOREACH(s, &p->watchers[WATCH_NODES], watch[WATCH_NODES])
	ask_selected(p, s, n);
	LIST_FOREACH(s, &p->watchers[WATCH_REVERSE], watch[WATCH_REVERSE])
	ask_reverse(p, s, n);
	htab_find(&p->by_node, hash_str(n->o.name), visit_by_node, &v);
}

static void ask_by_other(struct peering *p, const struct object *o)
{
	const struct source *s;

	if (o->kind == OBJ_NODE) {
		ask_by_node(p, object_node(o));
		return;
	}
	LIST_FOREACH(s, &p->watchers[WATCH_WORKLOADS], watch[WATCH_WORKLOADS])
	ask_workload(p, s, (const void *)o);
}

/* BGPPeers first: they say what they look at. */
static void ask_anew(struct peering *p)
{
	struct source *s;

	while ((s = TAILQ_FIRST(&p->dirty[ROLE_PEER]))) {
		source_clean(p, s);
		ask_forward(p, s);
		ask_back(p, s);
		source_release(p, s);
	}
	while ((s = TAILQ_FIRST(&p->dirty[ROLE_OTHER]))) {
		source_clean(p, s);
		ask_by_other(p, s->o);
		source_release(p, s);
	}
}

/* ---- Changes ---- */

/* It takes back what it asked for, and will ask again. */
static void source_again(struct peering *p, struct source *s)
{
	claims_drop(p, s);
	unwatch(p, s);
	source_dirty(p, s);
}

static void replace(struct peering *p, const struct object *before, const struct object *after)
{
	struct source *s = source_find(p, after ? after : before);

	if (s && !after) {
		source_forget(p, s);
	} else if (after) {
		s = s ? s : source_get(p, after);
		source_again(p, s);
		s->o = after;
	}
}

/* Takes the first of the BGPPeers that name this address. */
static bool is_of_address(const void *item, const void *key)
{
	return addr_equal(&bgp_peer(item)->peer_ip, key);
}

/* A session with a node has the node's port and other address, also by the node's address. */
static void again_by_address(struct peering *p, const struct addr *a)
{
	struct source *s;

	while (!addr_is_none(a) && (s = htab_find(&p->by_address, addr_hash(a), is_of_address, a)))
		source_again(p, s);
}

static bool same_labels(const struct labels *a, const struct labels *b)
{
	for (unsigned i = 0; a->count == b->count && i < a->count; i++)
		if (strcmp(a->keys[i], b->keys[i]) != 0 || strcmp(a->values[i], b->values[i]) != 0)
			return false;
	return a->count == b->count;
}

/* This node's object. All BGPPeers are looked at, but only of those that select it otherwise more than that. */
static void self_relabelled(struct peering *p, const struct obj_node *after)
{
	struct self now = p->self;
	const struct object *o;
	unsigned pos = 0;

	now.node = after;
	while (!same_labels(&p->self.node->o.labels, &after->o.labels) &&
	       (o = store_next(p->store, OBJ_BGP_PEER, &pos))) {
		const struct obj_bgp_peer *peer = (const void *)o;

		if (peering_selects(peer, p->self.node) != peering_selects(peer, after) ||
		    peering_leads_here(peer, &p->self) != peering_leads_here(peer, &now))
			source_again(p, source_get(p, o));
	}
}

static void node_changed(struct peering *p, const struct obj_node *before, const struct obj_node *after)
{
	const struct obj_node *either[] = {before, after};

	if (before && before == p->self.node) {
		if (after)
			self_relabelled(p, after);
		p->self.node = after;
	}
	if (before)
		node_index_remove(&p->nodes, before);
	if (after)
		node_index_add(&p->nodes, after);
	for (int i = 0; i < 2; i++) {
		if (!either[i])
			continue;
		again_by_address(p, &either[i]->ipv4.addr);
		again_by_address(p, &either[i]->ipv6.addr);
	}
	replace(p, before ? &before->o : NULL, after ? &after->o : NULL);
}

/* Of workloads only this node's count. */
static const struct object *workload_here(const struct peering *p, const struct object *o)
{
	const struct obj_workload_endpoint *e = (const void *)o;

	return e && e->node && strcmp(e->node, p->conf->node_name) == 0 ? o : NULL;
}

static void workload_changed(struct peering *p, const struct object *before, const struct object *after)
{
	after = workload_here(p, after);
	if (after || (before && source_find(p, before)))
		replace(p, before, after);
}

/* Another node's port. */
static void configuration_changed(struct peering *p, const struct object *o)
{
	const struct object *node;

	if (strncmp(o->name, "node.", 5) != 0)
		return;
	node = store_get(p->store, OBJ_NODE, "", o->name + 5);
	if (node)
		node_changed(p, object_node(node), object_node(node));
}

void peering_on_change(struct peering *p, const struct object *before, const struct object *after)
{
	enum object_kind kind = after ? after->kind : before->kind;

	if (!p->active)
		return;
	if (kind == OBJ_NODE)
		node_changed(p, before ? object_node(before) : NULL, after ? object_node(after) : NULL);
	else if (kind == OBJ_BGP_PEER)
		replace(p, before, after);
	else if (kind == OBJ_WORKLOAD_ENDPOINT)
		workload_changed(p, before, after);
	else if (kind == OBJ_BGP_CONFIGURATION)
		configuration_changed(p, after ? after : before);
}

static void forget_everything(struct peering *p)
{
	struct source *s;

	for (uint32_t pos = 0; p->sources.count; pos = 0) /* a walk that removes may miss some */
		while ((s = htab_next(&p->sources, &pos)))
			source_forget(p, s);
	node_index_clear(&p->nodes);
}

void peering_apply(struct peering *p, const struct self *self)
{
	static const enum object_kind kinds[] = {OBJ_BGP_PEER, OBJ_NODE};
	const struct object *o;

	forget_everything(p);
	p->self = *self;
	p->active = self->node;
	p->everything = true;
	for (size_t k = 0; p->active && k < sizeof kinds / sizeof *kinds; k++) {
		for (unsigned pos = 0; (o = store_next(p->store, kinds[k], &pos));) {
			source_dirty(p, source_get(p, o));
			if (kinds[k] == OBJ_NODE)
				node_index_add(&p->nodes, object_node(o));
		}
	}
}

bool peering_is_dirty(const struct peering *p)
{
	return p->everything || p->dirty_count || !TAILQ_EMPTY(&p->dirty[ROLE_PEER]) ||
	       !TAILQ_EMPTY(&p->dirty[ROLE_OTHER]);
}

/* ---- The diff ---- */

static struct peer_want want_of(const struct peering *p, const struct remote *r)
{
	struct peering_view v = view(p);
	const struct claim *first = LIST_FIRST(&r->claims);
	struct peer_want w;

	if (first && ask_want(&v, &first->ask, &w)) {
		ask_texts(&v, &first->ask, &w);
		return w;
	}
	w = (struct peer_want){.remote = r->key.remote,
			       .remote_port = r->key.remote_port,
			       .interface = *r->key.interface ? mem_strdup(r->key.interface) : NULL};
	memcpy(w.opt.vrf, r->key.vrf, sizeof w.opt.vrf);
	return w;
}

static void settle(struct peering *p, struct remote *r, struct peering_diff *d)
{
	const struct claim *first = LIST_FIRST(&r->claims);
	bool workload = first && first->ask.other && first->ask.other->kind == OBJ_WORKLOAD_ENDPOINT;

	TAILQ_REMOVE(&p->dirty_remotes, r, dirty_link);
	p->dirty_count--;
	r->dirty = false;
	p->workloads += (unsigned)workload - (unsigned)r->workload;
	r->workload = workload;
	if (is_range(r))
		d->ranges_changed = true;
	else
		d->change[d->count++] = (struct peer_change){.want = want_of(p, r), .wanted = first};
	if (!first)
		remote_free(p, r);
}

static int change_cmp(const void *a, const void *b)
{
	const struct peer_change *x = a, *y = b;

	return peer_want_cmp(&x->want, &y->want);
}

static int range_cmp(const void *a, const void *b)
{
	return peer_want_cmp(a, b);
}

static void list_ranges(const struct peering *p, struct peering_diff *d)
{
	const struct remote *r;

	LIST_FOREACH(r, &p->ranges, range_link)
	d->range_count++;
	d->range = mem_calloc(d->range_count, sizeof *d->range);
	d->range_count = 0;
	LIST_FOREACH(r, &p->ranges, range_link)
	d->range[d->range_count++] = want_of(p, r);
	if (d->range_count)
		qsort(d->range, d->range_count, sizeof *d->range, range_cmp);
}

struct peering_diff peering_settle(struct peering *p)
{
	struct peering_diff d = {.everything = p->everything, .ranges_changed = p->everything};
	struct remote *r;

	ask_anew(p);
	p->everything = false;
	d.change = mem_calloc(p->dirty_count, sizeof *d.change);
	while ((r = TAILQ_FIRST(&p->dirty_remotes)))
		settle(p, r, &d);
	if (d.count)
		qsort(d.change, d.count, sizeof *d.change, change_cmp);
	if (d.ranges_changed)
		list_ranges(p, &d);
	return d;
}

void peering_diff_free(struct peering_diff *d)
{
	for (unsigned i = 0; i < d->count; i++)
		peer_want_free(&d->change[i].want);
	for (unsigned i = 0; i < d->range_count; i++)
		peer_want_free(&d->range[i]);
	free(d->change);
	free(d->range);
	*d = (struct peering_diff){0};
}

/* ---- Looking ---- */

unsigned peering_count(const struct peering *p)
{
	return p->remotes.count;
}

unsigned peering_workload_count(const struct peering *p)
{
	return p->workloads;
}

struct gateway {
	const struct addr *remote;
	const char *vrf;
	const struct remote *of;
	struct addr by;
};

static bool look_for_gateway(const void *item, const void *key)
{
	struct gateway *g = (struct gateway *)(uintptr_t)key;
	const struct remote *r = item;
	const struct claim *first = LIST_FIRST(&r->claims);
	const struct ask *a = first ? &first->ask : NULL;

	if (a && a->peer && !a->other && a->tier < ASK_REVERSE && addr_equal(&r->key.remote, g->remote) &&
	    strcmp(r->key.vrf, g->vrf) == 0 && !addr_is_none(&a->peer->reachable_by) &&
	    (!g->of || peer_key_cmp(&r->key, &g->of->key) < 0)) {
		g->of = r;
		g->by = a->peer->reachable_by;
	}
	return false;
}

struct addr peering_gateway(const struct peering *p, const struct addr *remote, const char *vrf)
{
	struct peer_key key = {.remote = *remote, .interface = ""};
	struct gateway g = {.remote = remote, .vrf = vrf};

	htab_find(&p->remotes, peer_key_hash(&key), look_for_gateway, &g);
	return g.by;
}

void peering_ask_secrets(const struct peering *p)
{
	const struct source *s;
	uint32_t pos = 0;

	if (p->self.mesh_secret)
		secrets_get(p->self.secrets, p->self.mesh_secret);
	while ((s = htab_next(&p->sources, &pos)))
		if (s->o->kind == OBJ_BGP_PEER && !LIST_EMPTY(&s->claims) && !bgp_peer(s)->password)
			secrets_get(p->self.secrets, &bgp_peer(s)->secret);
}

static void note_lost(const struct ask *a, const struct remote *r, struct strbuf *out)
{
	const struct ask *first = &LIST_FIRST(&r->claims)->ask;
	char *who, *whose, addr[ADDR_STRLEN], range[PREFIX_STRLEN];

	if (a == first || ask_is_same(a, first))
		return;
	who = ask_origin(a);
	whose = ask_origin(first);
	if (is_range(r))
		strbuf_printf(out, "%s: no range of its own, %s has %s\n", who, whose,
			      prefix_format(&r->key.range, range));
	else
		strbuf_printf(out, "%s: no session of its own with %s, %s has it\n", who,
			      addr_format(&r->key.remote, addr), whose);
	free(who);
	free(whose);
}

void peering_notes(const struct peering *p, struct strbuf *out)
{
	struct peering_view v = view(p);
	const struct object *o;
	unsigned pos = 0;

	while (p->active && p->self.node && (o = store_next(p->store, OBJ_BGP_PEER, &pos))) {
		const struct source *s = source_find(p, o);
		const struct claim *c;

		if (peering_selects((const void *)o, p->self.node))
			ask_complain(&v, (const void *)o, out);
		if (!s)
			continue;
		LIST_FOREACH(c, &s->claims, of_source[ROLE_PEER])
		note_lost(&c->ask, c->remote, out);
	}
}

/* ---- Life ---- */

struct peering *peering_new(const struct store *s, const struct config *c)
{
	struct peering *p = mem_calloc(1, sizeof *p);

	p->store = s;
	p->conf = c;
	LIST_INIT(&p->ranges);
	TAILQ_INIT(&p->dirty_remotes);
	for (int role = 0; role < ROLE_COUNT; role++)
		TAILQ_INIT(&p->dirty[role]);
	for (int w = 0; w < WATCH_COUNT; w++)
		LIST_INIT(&p->watchers[w]);
	return p;
}

void peering_free(struct peering *p)
{
	struct remote *r;

	forget_everything(p);
	/* With nobody who asks for them all that are left are dirty. */
	while ((r = TAILQ_FIRST(&p->dirty_remotes))) {
		TAILQ_REMOVE(&p->dirty_remotes, r, dirty_link);
		remote_free(p, r);
	}
	htab_clear(&p->sources);
	htab_clear(&p->remotes);
	htab_clear(&p->by_address);
	htab_clear(&p->by_node);
	free(p);
}
