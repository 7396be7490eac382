/* Objects into claims, and which objects a change has ask anew. */
#include "daemon/peers/peering.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/peers/peering_table.h"

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
		source_watch(p, s, WATCH_WORKLOADS);
		ask_all_workloads(p, s);
	} else if (peer->peer_sel) {
		source_watch(p, s, WATCH_NODES);
		ask_all_nodes(p, s, ask_selected);
	} else {
		if (!addr_is_none(&peer->peer_ip))
			source_watch_address(p, s);
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
		source_watch(p, s, WATCH_REVERSE);
		ask_all_nodes(p, s, ask_reverse);
		return;
	}
	source_watch_node(p, s);
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
void peering_ask_anew(struct peering *p)
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
	source_claims_drop(p, s);
	source_unwatch(p, s);
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

	while (!addr_is_none(a) && (s = htab_find(&p->by_address, peering_addr_hash(a), is_of_address, a)))
		source_again(p, s);
}

/* Those who ask about a label of this node's: only of those that select it otherwise more than that is done again. */
static void self_label_changed(struct peering *p, const struct obj_node *after, const char *key)
{
	const struct label_peers *l = label_index_find(&p->labels, key);
	struct self now = p->self;

	now.node = after;
	for (unsigned i = 0; l && i < l->count; i++) {
		const struct obj_bgp_peer *peer = l->peers[i];

		if (peering_selects(peer, p->self.node) != peering_selects(peer, after) ||
		    peering_leads_here(peer, &p->self) != peering_leads_here(peer, &now))
			source_again(p, source_get(p, &peer->o));
	}
}

/* This node's object. Labels are sorted. */
static void self_relabelled(struct peering *p, const struct obj_node *after)
{
	const struct labels *a = &p->self.node->o.labels, *b = &after->o.labels;
	unsigned i = 0, j = 0;

	while (i < a->count || j < b->count) {
		int c = i == a->count ? 1 : j == b->count ? -1 : strcmp(a->keys[i], b->keys[j]);

		if (c != 0 || strcmp(a->values[i], b->values[j]) != 0)
			self_label_changed(p, after, c <= 0 ? a->keys[i] : b->keys[j]);
		i += c <= 0;
		j += c >= 0;
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

static void bgp_peer_changed(struct peering *p, const struct object *before, const struct object *after)
{
	if (before)
		label_index_remove(&p->labels, (const void *)before);
	if (after)
		label_index_add(&p->labels, (const void *)after);
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
		bgp_peer_changed(p, before, after);
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
	label_index_clear(&p->labels);
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
			else
				label_index_add(&p->labels, (const void *)o);
		}
	}
}

bool peering_is_dirty(const struct peering *p)
{
	return p->everything || p->dirty_count || !TAILQ_EMPTY(&p->dirty[ROLE_PEER]) ||
	       !TAILQ_EMPTY(&p->dirty[ROLE_OTHER]);
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
