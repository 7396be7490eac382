/* What comes in: UPDATEs become routes. Attributes are interned once per run of prefixes, loops are checked once per
 * set, import policy once per prefix. All changes of routes in the whole RIB go through route_set() and route_remove().
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "rib/core.h"
#include "rib/policy_ops.h"

const char *const reject_texts[REJECT_COUNT] = {
    [REJECT_POLICY] = "import policy",
    [REJECT_AS_LOOP] = "AS_PATH contains our own AS",
    [REJECT_ORIGINATOR] = "ORIGINATOR_ID is our own router id",
    [REJECT_CLUSTER] = "CLUSTER_LIST contains our own cluster id",
    [REJECT_MARTIAN_NEXT_HOP] = "next hop cannot be one (martian)",
    [REJECT_OWN_NEXT_HOP] = "next hop is our own address",
    [REJECT_NO_NEXT_HOP] = "no next hop",
};

/* ---- Attributes as received, where import policy changed them ---- */

struct original {
	uint32_t route;
	struct attrs *attrs;
};

static uint32_t original_hash(uint32_t route)
{
	return route * 0x9e3779b1u;
}

static bool original_eq(const void *item, const void *key)
{
	const struct original *o = item;

	return o->route == *(const uint32_t *)key;
}

struct attrs *route_received(const struct rib *r, uint32_t route_id)
{
	const struct route *rt = route_at(r, route_id);
	const struct original *o;

	if (!(rt->flags & ROUTE_CHANGED))
		return rt->attrs;
	o = htab_find(&r->originals, original_hash(route_id), original_eq, &route_id);
	return o->attrs;
}

/* Remembers (attrs) or forgets (NULL) what was received. */
static void original_set(struct rib *r, uint32_t route_id, struct attrs *attrs)
{
	struct route *rt = route_at(r, route_id);
	struct original *o = NULL;

	if (rt->flags & ROUTE_CHANGED)
		o = htab_find(&r->originals, original_hash(route_id), original_eq, &route_id);
	if (o) {
		attrs_unref(r->attrs, o->attrs);
		o->attrs = attrs;
	}
	if (attrs && !o) {
		o = mem_alloc(sizeof *o);
		*o = (struct original){route_id, attrs};
		htab_insert(&r->originals, original_hash(route_id), o);
		rt->flags |= ROUTE_CHANGED;
	} else if (!attrs && o) {
		htab_remove(&r->originals, original_hash(route_id), o);
		free(o);
		rt->flags &= (uint8_t)~ROUTE_CHANGED;
	}
	if (attrs)
		attrs_ref(attrs);
}

void originals_clear(struct rib *r)
{
	struct original *o;
	uint32_t pos = 0;

	while ((o = htab_next(&r->originals, &pos)))
		free(o);
	htab_clear(&r->originals);
}

/* ---- Import ---- */

struct import_input {
	const struct rib_peer *peer;
	const struct attrs *set;
	const struct bgp_attrs *a;
};

static bool is_as_loop(const struct import_input *in)
{
	const struct rib_peer_conf *c = &in->peer->conf;

	/* On iBGP too: as Calico's nodes do, and RFC 4271 9.1.2 does not make a difference. Each of our ASes counts for
	 * itself. */
	return as_path_count(in->a->as_path, c->local_as) > c->allowed_local_as ||
	       (c->node_as && as_path_count(in->a->as_path, c->node_as) > c->allowed_local_as);
}

static bool is_originator_loop(const struct import_input *in)
{
	return bgp_attrs_have(in->a, BA_ORIGINATOR_ID) && in->a->originator_id == in->peer->conf.our_router_id;
}

static bool is_cluster_loop(const struct import_input *in)
{
	struct rd rd = rd_span(in->a->cluster_list);

	if (!bgp_attrs_have(in->a, BA_CLUSTER_LIST) || !in->peer->conf.cluster_id)
		return false;
	while (rd_left(&rd))
		if (rd_u32(&rd) == in->peer->conf.cluster_id)
			return true;
	return false;
}

static bool has_no_next_hop(const struct import_input *in)
{
	return !in->set->next_hop;
}

static bool is_martian_next_hop(const struct import_input *in)
{
	return addr_is_martian(&in->set->next_hop->addr.addr);
}

static bool is_own_next_hop(const struct import_input *in)
{
	return rib_is_own(in->peer->rib, &in->set->next_hop->addr.addr);
}

/* In order: has_no_next_hop() guards those below it. */
static const struct import_check {
	enum reject_reason reason;
	bool (*applies)(const struct import_input *in);
} import_checks[] = {
    {REJECT_AS_LOOP, is_as_loop},
    {REJECT_ORIGINATOR, is_originator_loop},
    {REJECT_CLUSTER, is_cluster_loop},
    {REJECT_NO_NEXT_HOP, has_no_next_hop},
    {REJECT_MARTIAN_NEXT_HOP, is_martian_next_hop},
    {REJECT_OWN_NEXT_HOP, is_own_next_hop},
};

enum reject_reason import_check(const struct rib_peer *p, const struct attrs *set, const struct bgp_attrs *a)
{
	const struct import_input in = {p, set, a};

	for (unsigned i = 0; i < sizeof import_checks / sizeof *import_checks; i++)
		if (import_checks[i].applies(&in))
			return import_checks[i].reason;
	return REJECT_NONE;
}

/* What the RFCs change on the way in, before policy. */

/* RFC 7999 3.2: the traffic of such a prefix is thrown away somewhere; the word does not travel on to further ASes.
 * Throwing it away here is nothing we do unasked (section 4). */
static bool is_blackhole(const struct route_change *c)
{
	return c->peer->conf.ebgp && c->attrs->flags & ATTRS_BLACKHOLE;
}

static void keep_inside(struct bgp_attrs *a, struct arena *arena)
{
	bgp_attrs_add_community(a, BGP_COMMUNITY_NO_EXPORT, arena);
}

/* RFC 8326 4.2, and 4.1 for the sessions that we are about to shut down ourselves. */
static bool is_leaving(const struct route_change *c)
{
	const struct rib_peer_conf *conf = &c->peer->conf;

	return conf->avoid ||
	       (conf->ebgp && conf->honour_graceful_shutdown && c->attrs->flags & ATTRS_GRACEFUL_SHUTDOWN);
}

static void use_last(struct bgp_attrs *a, struct arena *arena)
{
	(void)arena;
	a->local_pref = 0;
	a->present |= 1u << BA_LOCAL_PREF;
}

/* RFC 9494 4.2: so everybody who hears of it uses it last. */
static bool is_long_lived(const struct route_change *c)
{
	return c->long_lived;
}

static void mark_stale(struct bgp_attrs *a, struct arena *arena)
{
	bgp_attrs_add_community(a, BGP_COMMUNITY_LLGR_STALE, arena);
}

static const struct import_step {
	bool (*applies)(const struct route_change *c);
	void (*apply)(struct bgp_attrs *a, struct arena *arena);
} import_steps[] = {
    {is_blackhole, keep_inside},
    {is_leaving, use_last},
    {is_long_lived, mark_stale},
};

/* The received set after these steps, with a reference for the caller. */
static struct attrs *import_prepare(struct rib *r, const struct route_change *c)
{
	struct attrs *set = NULL;
	struct bgp_attrs a;
	bool any = false;

	for (unsigned i = 0; i < sizeof import_steps / sizeof *import_steps; i++) {
		if (!import_steps[i].applies(c))
			continue;
		if (!any)
			attrs_get(c->attrs, &a);
		any = true;
		import_steps[i].apply(&a, &r->arena);
	}
	if (any)
		set = attrs_intern(r->attrs, &a);
	return set ? set : attrs_ref(c->attrs);
}

/* What the policy makes of the set, which is taken: another one perhaps, with a reference for the caller. */
static struct attrs *import_policy(struct rib *r, const struct route_change *c, const struct prefix *prefix,
				   struct attrs *set, enum reject_reason *reason)
{
	const struct policy *policy = c->peer->conf.import;
	struct policy_input in = {.prefix = *prefix,
				  .source = c->source,
				  .ibgp = !c->peer->conf.ebgp,
				  .attrs = set,
				  .local_pref = set->local_pref};
	struct policy_result res;
	struct attrs *changed;
	struct bgp_attrs a;

	policy_input_interface(r, policy, &in);
	res = policy_eval(policy, &in);
	if (!res.accept)
		*reason = REJECT_POLICY;
	if (!res.accept || !res.changed)
		return set;
	attrs_get(set, &a);
	policy_apply(policy, &in, &a, &r->arena);
	changed = attrs_intern(r->attrs, &a);
	if (!changed)
		return set;
	attrs_unref(r->attrs, set);
	return changed;
}

/* What import makes of received attributes: the set to keep (with a reference for the caller) and the verdict. */
static struct attrs *import(struct rib *r, const struct route_change *c, const struct prefix *prefix,
			    enum reject_reason *reason)
{
	struct attrs *set;

	*reason = c->reason;
	if (c->reason)
		return attrs_ref(c->attrs);
	set = import_prepare(r, c);
	return c->peer->conf.import ? import_policy(r, c, prefix, set, reason) : set;
}

/* ---- Routes ---- */

static void note_place(struct peer_family *pf, enum family f, uint32_t node, const struct attrs *set)
{
	pageset_add(&pf->pages, node >> PAGE_SHIFT);
	if (set->next_hop)
		pageset_add(&set->next_hop->pages[f], node >> PAGE_SHIFT);
}

/* A new route, behind the selected ones: they stay in front until the node is decided. */
static uint32_t route_add(struct rib *r, const struct route_change *c)
{
	uint32_t id = pool_get(&r->routes), *link = &table_node(&r->table[c->family], c->node)->routes;
	struct route *rt = route_at(r, id);

	while (*link != ID_NONE && route_at(r, *link)->flags & ROUTE_SELECTED)
		link = &route_at(r, *link)->next;
	rt->next = *link;
	*link = id;
	rt->path_id = c->path_id;
	rt->peer = c->peer->index;
	rt->epoch = c->peer->fam[c->family].epoch;
	crowd_add(r, c->family, c->node, id);
	r->n_routes[c->family]++;
	return id;
}

/* Puts the outcome of import into the route; takes set. True if anything the selection looks at is different. */
static bool route_fill(struct rib *r, const struct route_change *c, uint32_t id, struct attrs *set,
		       enum reject_reason reason)
{
	struct route *rt = route_at(r, id);
	bool same = rt->attrs == set && route_reason(rt) == reason && route_source(rt) == c->source;

	original_set(r, id, set == c->attrs ? NULL : c->attrs);
	rt->flags = (uint8_t)((rt->flags & (ROUTE_SELECTED | ROUTE_CHANGED)) | route_source_flags(c->source) |
			      reason << ROUTE_REASON_SHIFT);
	attrs_unref(r->attrs, rt->attrs);
	rt->attrs = set;
	if (!same) {
		rt->since = c->now;
		if (rt->flags & ROUTE_SELECTED)
			table_node(&r->table[c->family], c->node)->flags |= NODE_CHANGED;
	}
	return !same;
}

void route_set(struct rib *r, const struct route_change *c, const struct prefix *prefix)
{
	struct rib_peer *p = c->peer;
	struct peer_family *pf = &p->fam[c->family];
	uint32_t known = node_route(r, c->family, c->node, p->index, c->path_id);
	uint32_t id = known != ID_NONE ? known : route_add(r, c);
	struct route *rt = route_at(r, id);
	enum reject_reason reason;
	struct attrs *set = import(r, c, prefix, &reason);
	struct outcome before = {0};
	bool aged = false;

	if (known != ID_NONE) {
		aged = rt->epoch != pf->epoch;
		peer_count(p, c->family, rt, -1);
		if (r->observer && !aged)
			before = route_outcome(r, id);
	}
	rt->epoch = pf->epoch;
	note_place(pf, c->family, c->node, set);
	if (route_fill(r, c, id, set, reason) || aged)
		node_mark_dirty(r, c->family, c->node);
	else
		p->faults.duplicates += known != ID_NONE;
	p->faults.by_policy += reason == REJECT_POLICY;
	peer_count(p, c->family, rt, 1);
	if (r->observer)
		observe_route(r, c->family, prefix, id, &before);
}

void route_reevaluate(struct rib *r, enum family f, uint32_t node_id, uint32_t route_id)
{
	const struct node *n = table_node(&r->table[f], node_id);
	struct route *rt = route_at(r, route_id);
	struct rib_peer *p = peer_at(r, rt->peer);
	struct attrs *received = attrs_ref(route_received(r, route_id));
	struct route_change c = {.family = f,
				 .node = node_id,
				 .peer = p,
				 .attrs = received,
				 .source = route_source(rt),
				 .long_lived = route_age(p, f, rt) == AGE_LONG_LIVED,
				 .now = mono_seconds()};
	struct prefix prefix = table_prefix(&r->table[f], n);
	struct outcome before = {0};
	enum reject_reason reason;
	struct bgp_attrs a;
	struct attrs *set;

	if (r->observer)
		before = route_outcome(r, route_id);
	attrs_get(received, &a);
	c.reason = import_check(p, received, &a);
	set = import(r, &c, &prefix, &reason);
	peer_count(p, f, rt, -1);
	note_place(&p->fam[f], f, node_id, set);
	route_fill(r, &c, route_id, set, reason);
	peer_count(p, f, rt, 1);
	/* Also without a change of the route: how it compares and to whom it may go can have changed. */
	node_mark_dirty(r, f, node_id);
	if (r->observer)
		observe_route(r, f, &prefix, route_id, &before);
	attrs_unref(r->attrs, received);
}

void route_remove(struct rib *r, enum family f, uint32_t node_id, uint32_t *link)
{
	struct node *n = table_node(&r->table[f], node_id);
	uint32_t id = *link;
	struct route *rt = route_at(r, id);
	struct rib_peer *p = peer_at(r, rt->peer);

	if (r->observer)
		observe_removal(r, f, n, id);
	if (rt->flags & ROUTE_SELECTED)
		n->flags |= NODE_CHANGED;
	if (rt->flags & ROUTE_BEST)
		p->fam[f].best--;
	peer_count(p, f, rt, -1);
	original_set(r, id, NULL);
	crowd_remove(r, f, node_id, id);
	*link = rt->next;
	attrs_unref(r->attrs, rt->attrs);
	pool_put(&r->routes, id);
	r->n_routes[f]--;
	node_mark_dirty(r, f, node_id);
}

bool route_withdraw(struct rib *r, enum family f, uint32_t node_id, struct rib_peer *p, uint32_t path_id)
{
	struct node *n = table_node(&r->table[f], node_id);
	uint32_t id = node_route(r, f, node_id, p->index, path_id), *link = &n->routes;

	if (id == ID_NONE || route_age(p, f, route_at(r, id)) == AGE_DEAD)
		return false;
	if (n->flags & NODE_CROWDED) {
		route_die(p, f, route_at(r, id));
		node_mark_dirty(r, f, node_id);
		return true;
	}
	while (*link != id)
		link = &route_at(r, *link)->next;
	route_remove(r, f, node_id, link);
	return true;
}

/* ---- UPDATE ---- */

void memo_clear(struct rib *r)
{
	if (r->memo.valid)
		attrs_unref(r->attrs, r->memo.attrs);
	r->memo.valid = false;
}

static bool memo_hits(const struct update_memo *m, const struct rib_peer *p, const struct bgp_update *u,
		      const struct bgp_nexthop *nh)
{
	return m->valid && m->peer == p->index && m->len == u->raw_attrs.len &&
	       memcmp(m->raw, u->raw_attrs.p, m->len) == 0 && memcmp(&m->next_hop, nh, sizeof *nh) == 0;
}

static void memo_store(struct rib *r, const struct rib_peer *p, const struct bgp_update *u, const struct bgp_attrs *a,
		       struct attrs *set, enum reject_reason reason)
{
	struct update_memo *m = &r->memo;

	memo_clear(r);
	if (u->raw_attrs.len > sizeof m->raw || !u->raw_attrs.len)
		return;
	memcpy(m->raw, u->raw_attrs.p, u->raw_attrs.len);
	m->len = u->raw_attrs.len;
	m->peer = p->index;
	m->next_hop = a->next_hop;
	m->attrs = attrs_ref(set);
	m->reason = (uint8_t)reason;
	m->valid = true;
}

/* The run's attributes, interned (a reference for the caller) and checked; NULL if they cannot be kept. */
static struct attrs *run_attrs(struct rib_peer *p, const struct bgp_update *u, const struct bgp_nlri_run *run,
			       enum reject_reason *reason)
{
	struct rib *r = p->rib;
	struct bgp_attrs a;
	struct attrs *set;

	if (memo_hits(&r->memo, p, u, &run->next_hop)) {
		*reason = (enum reject_reason)r->memo.reason;
		return attrs_ref(r->memo.attrs);
	}
	a = u->attrs;
	a.next_hop = run->next_hop;
	set = attrs_intern(r->attrs, &a);
	if (!set) {
		uint32_t suppressed;

		if (log_allowed(&r->log_limit, 1, 10 * MONO_SEC, &suppressed))
			log_warn("rib", "%s: attributes over 65535 octets, routes withdrawn (%u more since)",
				 p->conf.name, suppressed);
		return NULL;
	}
	*reason = import_check(p, set, &a);
	memo_store(r, p, u, &a, set, *reason);
	return set;
}

/* RFC 4271 6.3: what no route can lead to is said and ignored. */
static void note_martian(struct rib_peer *p, const struct prefix *prefix)
{
	char text[PREFIX_STRLEN];
	uint32_t suppressed;

	if (log_allowed(&p->rib->log_limit, 1, 10 * MONO_SEC, &suppressed))
		log_warn("rib", "%s: announces %s, which is nothing to route to: ignored (%u more since)", p->conf.name,
			 prefix_format(prefix, text), suppressed);
}

/* Prefixes of a run, a few at a time: where the table has them is asked of the memory for all before the first one is
 * looked at. */
#define BATCH 16u
struct batch {
	struct bgp_nlri nlri[BATCH];
	uint32_t hash[BATCH];
	unsigned n;
};

/* The next ones; none at the end. */
static void batch_next(struct batch *b, const struct table *t, struct rd *rd, bool add_path)
{
	for (b->n = 0; b->n < BATCH && bgp_nlri_next(&b->nlri[b->n], rd, t->family, add_path); b->n++)
		b->hash[b->n] = table_hash(t, &b->nlri[b->n].prefix);
}

static void count_loop(struct rib_faults *f, enum reject_reason reason)
{
	f->as_loops += reason == REJECT_AS_LOOP;
	f->originators += reason == REJECT_ORIGINATOR;
	f->clusters += reason == REJECT_CLUSTER;
}

/* The attributes are looked for while the prefixes are on their way from memory. False if they cannot be kept. */
static bool run_reach(struct rib_peer *p, const struct bgp_update *u, const struct bgp_nlri_run *run)
{
	struct rib *r = p->rib;
	struct table *t = &r->table[run->family];
	bool add_path = p->codec.add_path_rx >> run->family & 1;
	struct route_change c = {.family = run->family, .peer = p, .source = SOURCE_BGP, .now = mono_seconds()};
	struct rd rd = rd_span(run->nlri);
	struct batch b;

	batch_next(&b, t, &rd, add_path);
	c.attrs = run_attrs(p, u, run, &c.reason);
	if (!c.attrs)
		return false;
	count_loop(&p->faults, c.reason);
	for (; b.n; batch_next(&b, t, &rd, add_path)) {
		for (unsigned i = 0; i < b.n; i++) {
			const struct prefix *prefix = &b.nlri[i].prefix;

			if (prefix_is_martian(prefix)) {
				note_martian(p, prefix);
				continue;
			}
			c.node = table_get_hashed(t, prefix, b.hash[i]);
			c.path_id = b.nlri[i].path_id;
			route_set(r, &c, prefix);
			p->updates_in++;
		}
	}
	attrs_unref(r->attrs, c.attrs);
	return true;
}

static void run_unreach(struct rib_peer *p, const struct bgp_nlri_run *run)
{
	struct rib *r = p->rib;
	struct table *t = &r->table[run->family];
	bool add_path = p->codec.add_path_rx >> run->family & 1;
	struct rd rd = rd_span(run->nlri);
	struct batch b;

	for (batch_next(&b, t, &rd, add_path); b.n; batch_next(&b, t, &rd, add_path)) {
		for (unsigned i = 0; i < b.n; i++) {
			uint32_t id = table_find_hashed(t, &b.nlri[i].prefix, b.hash[i]);

			p->withdraws_in++;
			if (id == ID_NONE || !route_withdraw(r, run->family, id, p, b.nlri[i].path_id))
				p->faults.duplicate_withdraws++;
		}
	}
}

void rib_update(struct rib_peer *p, const struct bgp_update *u, bool treat_as_withdraw)
{
	uint64_t withdrawn = p->withdraws_in;
	struct rib *r = p->rib;

	if (!p->up)
		return;
	for (int f = 0; f < FAM_COUNT; f++)
		if (u->disable >> f & 1)
			peer_drop(p, (enum family)f);
	for (unsigned i = 0; i < u->runs; i++) {
		const struct bgp_nlri_run *run = &u->run[i];

		if (u->disable >> run->family & 1)
			continue;
		if (treat_as_withdraw || !run->reach || !run_reach(p, u, run))
			run_unreach(p, run);
	}
	if (treat_as_withdraw) {
		p->faults.malformed++;
		p->faults.malformed_prefixes += (uint32_t)(p->withdraws_in - withdrawn);
	}
	arena_reset(&r->arena);
}
