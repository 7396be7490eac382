/* The table below is the decision process. Selection drops candidates step by step, as RFC 4271 9.1.2.2 words it, which
 * makes MED deterministic by itself: a route is dropped by a lower MED from the same neighbouring AS among those that
 * are still candidates, whatever the order in which they came. The step that dropped a route is the reason people are
 * shown. */
#include "rib/decide.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "rib/core.h"
#include "rib/group.h"

/* What the comparisons may look at besides the two routes. */
struct scale {
	const struct rib *r;
	enum family f;
};

static int less(uint32_t a, uint32_t b)
{
	return (a > b) - (a < b);
}

static int cmp_reachable(const struct scale *s, const struct route *a, const struct route *b)
{
	(void)s;
	return route_is_reachable(b) - route_is_reachable(a);
}

static bool is_llgr_stale(const struct route *rt)
{
	return rt->attrs->flags & ATTRS_LLGR_STALE;
}

static int cmp_llgr_stale(const struct scale *s, const struct route *a, const struct route *b)
{
	(void)s;
	return is_llgr_stale(a) - is_llgr_stale(b);
}

static int cmp_local_pref(const struct scale *s, const struct route *a, const struct route *b)
{
	(void)s;
	return less(b->attrs->local_pref, a->attrs->local_pref);
}

static int cmp_local_origin(const struct scale *s, const struct route *a, const struct route *b)
{
	(void)s;
	return (b->peer == LOCAL_PEER) - (a->peer == LOCAL_PEER);
}

static int cmp_as_path(const struct scale *s, const struct route *a, const struct route *b)
{
	(void)s;
	return less(a->attrs->path_length, b->attrs->path_length);
}

static int cmp_origin(const struct scale *s, const struct route *a, const struct route *b)
{
	(void)s;
	return less(a->attrs->origin, b->attrs->origin);
}

static uint32_t med_class(const struct scale *s, const struct route *rt)
{
	return s->r->conf.always_compare_med ? 0 : rt->attrs->first_as;
}

/* Only between routes from the same neighbouring AS, so this is no total order. */
static int cmp_med(const struct scale *s, const struct route *a, const struct route *b)
{
	return med_class(s, a) == med_class(s, b) ? less(a->attrs->med, b->attrs->med) : 0;
}

static int cmp_ebgp(const struct scale *s, const struct route *a, const struct route *b)
{
	return peer_at(s->r, b->peer)->conf.ebgp - peer_at(s->r, a->peer)->conf.ebgp;
}

static uint32_t igp_metric(const struct route *rt)
{
	return rt->attrs->next_hop ? rt->attrs->next_hop->metric : 0;
}

static int cmp_igp_metric(const struct scale *s, const struct route *a, const struct route *b)
{
	(void)s;
	return less(igp_metric(a), igp_metric(b));
}

static int cmp_stale(const struct scale *s, const struct route *a, const struct route *b)
{
	bool stale_a = route_age(peer_at(s->r, a->peer), s->f, a) != AGE_FRESH;
	bool stale_b = route_age(peer_at(s->r, b->peer), s->f, b) != AGE_FRESH;

	return stale_a - stale_b;
}

/* RFC 4456 9: the ORIGINATOR_ID stands in for the router id of a reflected route. */
static uint32_t router_id(const struct scale *s, const struct route *rt)
{
	struct bgp_attrs a;

	if (rt->attrs->flags & ATTRS_HAS_ORIGINATOR) {
		attrs_get(rt->attrs, &a);
		if (bgp_attrs_have(&a, BA_ORIGINATOR_ID))
			return a.originator_id;
	}
	return peer_at(s->r, rt->peer)->router_id;
}

static int cmp_router_id(const struct scale *s, const struct route *a, const struct route *b)
{
	return less(router_id(s, a), router_id(s, b));
}

static uint32_t cluster_list_length(const struct route *rt)
{
	struct bgp_attrs a;

	if (!(rt->attrs->flags & ATTRS_HAS_ORIGINATOR))
		return 0;
	attrs_get(rt->attrs, &a);
	return (uint32_t)a.cluster_list.len;
}

static int cmp_cluster_list(const struct scale *s, const struct route *a, const struct route *b)
{
	(void)s;
	return less(cluster_list_length(a), cluster_list_length(b));
}

static int cmp_peer_address(const struct scale *s, const struct route *a, const struct route *b)
{
	return addr_cmp(&peer_at(s->r, a->peer)->conf.remote, &peer_at(s->r, b->peer)->conf.remote);
}

static int cmp_path_id(const struct scale *s, const struct route *a, const struct route *b)
{
	(void)s;
	/* Two peers may share an address (ports differ in tests and labs): the order must still be total. */
	return a->path_id != b->path_id ? less(a->path_id, b->path_id) : less(a->peer, b->peer);
}

/* In order. What is equal up to STEP_ECMP may share the traffic. */
static const struct row {
	enum rib_step step;
	int (*cmp)(const struct scale *s, const struct route *a, const struct route *b);
	/* Only routes of one class can be compared; NULL: all can. */
	uint32_t (*class)(const struct scale *s, const struct route *rt);
} rows[] = {
    {STEP_UNREACHABLE, cmp_reachable, NULL},
    {STEP_LLGR_STALE, cmp_llgr_stale, NULL},
    {STEP_LOCAL_PREF, cmp_local_pref, NULL},
    {STEP_LOCAL_ORIGIN, cmp_local_origin, NULL},
    {STEP_AS_PATH, cmp_as_path, NULL},
    {STEP_ORIGIN, cmp_origin, NULL},
    {STEP_MED, cmp_med, med_class},
    {STEP_EBGP, cmp_ebgp, NULL},
    {STEP_IGP_METRIC, cmp_igp_metric, NULL},
    {STEP_STALE, cmp_stale, NULL},
    {STEP_ROUTER_ID, cmp_router_id, NULL},
    {STEP_CLUSTER_LIST, cmp_cluster_list, NULL},
    {STEP_PEER_ADDRESS, cmp_peer_address, NULL},
    {STEP_PATH_ID, cmp_path_id, NULL},
};
#define ROWS (sizeof rows / sizeof *rows)

const char *rib_step_name(enum rib_step s)
{
	static const char *const names[STEP_COUNT] = {
	    [STEP_BEST] = "best",
	    [STEP_REJECTED] = "rejected on import",
	    [STEP_UNREACHABLE] = "next hop unreachable",
	    [STEP_LLGR_STALE] = "long-lived stale",
	    [STEP_LOCAL_PREF] = "LOCAL_PREF",
	    [STEP_LOCAL_ORIGIN] = "local origin",
	    [STEP_AS_PATH] = "AS_PATH length",
	    [STEP_ORIGIN] = "ORIGIN",
	    [STEP_MED] = "MED",
	    [STEP_EBGP] = "eBGP over iBGP",
	    [STEP_IGP_METRIC] = "IGP metric",
	    [STEP_ECMP] = "multipath",
	    [STEP_STALE] = "stale",
	    [STEP_ROUTER_ID] = "router id",
	    [STEP_CLUSTER_LIST] = "CLUSTER_LIST length",
	    [STEP_PEER_ADDRESS] = "peer address",
	    [STEP_PATH_ID] = "path identifier",
	};

	return (unsigned)s < STEP_COUNT ? names[s] : "unknown";
}

static int compare_from(const struct scale *s, enum rib_step from, const struct route *a, const struct route *b,
			enum rib_step *step)
{
	for (unsigned i = 0; i < ROWS; i++) {
		int c = rows[i].step < from ? 0 : rows[i].cmp(s, a, b);

		if (c) {
			*step = rows[i].step;
			return c;
		}
	}
	*step = STEP_BEST;
	return 0;
}

/* ---- Selection ---- */

/* A candidate that no step has dropped yet. */
#define STEP_OPEN STEP_COUNT

void decide_collect(const struct rib *r, enum family f, const struct node *n, struct decision *d)
{
	d->n = d->selected = 0;
	for (uint32_t id = n->routes; id != ID_NONE;) {
		struct route *rt = route_at(r, id);

		if (d->n == d->cap) {
			d->cap = d->cap ? d->cap * 2 : 8;
			d->c = mem_realloc(d->c, d->cap * sizeof *d->c);
			d->views = mem_realloc(d->views, d->cap * sizeof *d->views);
			d->classes = mem_realloc(d->classes, d->cap * 2 * sizeof *d->classes);
		}
		if (route_age(peer_at(r, rt->peer), f, rt) != AGE_DEAD) {
			uint8_t step = route_reason(rt) ? STEP_REJECTED : STEP_OPEN;

			d->c[d->n++] = (struct candidate){.id = id, .route = rt, .step = step};
		}
		id = rt->next;
	}
}

static unsigned count_open(const struct decision *d)
{
	unsigned open = 0;

	for (unsigned i = 0; i < d->n; i++)
		open += d->c[i].step == STEP_OPEN;
	return open;
}

/* Drops what is worse than the best candidate. Returns how many stay. */
static unsigned drop_worse(const struct scale *s, const struct row *row, struct decision *d)
{
	const struct route *best = NULL;
	unsigned open = 0;

	for (unsigned i = 0; i < d->n; i++)
		if (d->c[i].step == STEP_OPEN && (!best || row->cmp(s, d->c[i].route, best) < 0))
			best = d->c[i].route;
	for (unsigned i = 0; i < d->n; i++) {
		if (d->c[i].step != STEP_OPEN)
			continue;
		if (row->cmp(s, best, d->c[i].route) < 0)
			d->c[i].step = (uint8_t)row->step;
		else
			open++;
	}
	return open;
}

/* Where the best route of this one's class is noted; NULL there if none was yet. There are more places than classes. */
static const struct route **class_place(const struct scale *s, const struct row *row, const struct decision *d,
					uint32_t places, const struct route *rt)
{
	uint32_t class = row->class(s, rt), at = (uint32_t)hash_fold(class, s->r->table[s->f].key[1]);

	for (;; at++) {
		const struct route **place = &d->classes[at & (places - 1)];

		if (!*place || row->class(s, *place) == class)
			return place;
	}
}

/* Drops what is worse than the best of its class. A route that is worse than a dropped one is also worse than what
 * dropped it, so dropping at once is right. */
static unsigned drop_beaten(const struct scale *s, const struct row *row, struct decision *d)
{
	uint32_t places = 4;
	unsigned open = 0;

	while (places <= d->n)
		places *= 2;
	memset(d->classes, 0, places * sizeof *d->classes);
	for (unsigned i = 0; i < d->n; i++) {
		const struct route *rt = d->c[i].route, **best;

		if (d->c[i].step != STEP_OPEN)
			continue;
		best = class_place(s, row, d, places, rt);
		if (!*best || row->cmp(s, rt, *best) < 0)
			*best = rt;
	}
	for (unsigned i = 0; i < d->n; i++) {
		const struct route *rt = d->c[i].route;

		if (d->c[i].step != STEP_OPEN)
			continue;
		if (row->cmp(s, *class_place(s, row, d, places, rt), rt) < 0)
			d->c[i].step = (uint8_t)row->step;
		else
			open++;
	}
	return open;
}

static bool med_matters(const struct decision *d)
{
	const struct route *first = NULL;

	for (unsigned i = 0; i < d->n; i++) {
		if (d->c[i].step != STEP_OPEN)
			continue;
		if (!first)
			first = d->c[i].route;
		else if (d->c[i].route->attrs->med != first->attrs->med)
			return true;
	}
	return false;
}

static int by_id(const void *pa, const void *pb)
{
	const struct candidate *a = pa, *b = pb;

	return less(a->id, b->id);
}

/* deterministic_med off: each route against the best so far, over all remaining steps. The order is that of the routes'
 * ids, roughly that of arrival: it must not depend on what was selected before, or looking again would change it. */
static void fold(const struct scale *s, enum rib_step from, struct decision *d)
{
	struct candidate *best = NULL;
	enum rib_step step;

	qsort(d->c, d->n, sizeof *d->c, by_id);
	for (unsigned i = 0; i < d->n; i++) {
		struct candidate *c = &d->c[i];

		if (c->step == STEP_OPEN && (!best || compare_from(s, from, c->route, best->route, &step) < 0))
			best = c;
	}
	for (unsigned i = 0; i < d->n; i++) {
		struct candidate *c = &d->c[i];

		if (c->step != STEP_OPEN || c == best)
			continue;
		/* Without an order of all, one may seem better than the winner: MED is to blame. */
		c->step = compare_from(s, from, best->route, c->route, &step) < 0 ? (uint8_t)step : (uint8_t)STEP_MED;
	}
}

static void eliminate(const struct scale *s, struct decision *d)
{
	unsigned open = count_open(d);

	for (unsigned i = 0; i < ROWS && open > 1; i++) {
		if (!rows[i].class) {
			open = drop_worse(s, &rows[i], d);
		} else if (!med_matters(d)) {
			continue;
		} else if (s->r->conf.deterministic_med) {
			open = drop_beaten(s, &rows[i], d);
		} else {
			fold(s, rows[i].step, d);
			return;
		}
	}
}

static int by_preference(const void *pa, const void *pb, void *arg)
{
	const struct candidate *a = pa, *b = pb;
	enum rib_step step;
	int c;

	if (a->step != b->step)
		return less(b->step, a->step);
	c = compare_from(arg, STEP_UNREACHABLE, a->route, b->route, &step);
	return c ? c : less(a->id, b->id);
}

static bool shares_next_hop(const struct decision *d, const struct route *rt)
{
	for (unsigned i = 0; i < d->selected; i++)
		if (d->c[i].route->attrs->next_hop == rt->attrs->next_hop)
			return true;
	return false;
}

/* Companions of the best route: equal up to the IGP metric, each with a next hop of its own. c[0] is the best. */
static void select_multipath(const struct scale *s, struct decision *d)
{
	unsigned equal = 1;

	for (unsigned i = 1; i < d->n; i++) {
		if (d->c[i].step > STEP_ECMP) {
			struct candidate swap = d->c[equal];

			d->c[equal++] = d->c[i];
			d->c[i] = swap;
		}
	}
	if (equal > 2)
		qsort_r(d->c + 1, equal - 1, sizeof *d->c, by_preference, (void *)(uintptr_t)s);
	for (unsigned i = 1; i < equal && d->selected < s->r->conf.max_paths; i++) {
		struct candidate swap = d->c[i];

		if (shares_next_hop(d, swap.route))
			continue;
		memmove(&d->c[d->selected + 1], &d->c[d->selected], (i - d->selected) * sizeof *d->c);
		swap.step = STEP_ECMP;
		d->c[d->selected++] = swap;
	}
}

void decide_rank(const struct rib *r, enum family f, struct decision *d, unsigned upto)
{
	struct scale s = {r, f};

	for (unsigned k = 0; k < upto && k + 1 < d->n; k++) {
		struct decision rest = {.c = d->c + k, .n = d->n - k, .classes = d->classes};
		struct candidate best;
		unsigned at = 0;

		for (unsigned i = 0; i < rest.n; i++)
			rest.c[i].step = STEP_OPEN;
		eliminate(&s, &rest);
		while (rest.c[at].step != STEP_OPEN)
			at++;
		best = rest.c[at];
		rest.c[at] = rest.c[0];
		rest.c[0] = best;
	}
}

void decide_weigh(const struct rib *r, enum family f, const struct node *n, struct decision *d)
{
	struct scale s = {r, f};

	decide_collect(r, f, n, d);
	eliminate(&s, d);
	for (unsigned i = 0; i < d->n; i++) {
		if (d->c[i].step == STEP_OPEN) {
			struct candidate best = d->c[i];

			d->c[i] = d->c[0];
			best.step = STEP_BEST;
			d->c[0] = best;
			d->selected = 1;
			break;
		}
	}
	if (d->selected && d->n > 1 && r->conf.max_paths > 1)
		select_multipath(&s, d);
}

void decide_order(const struct rib *r, enum family f, struct decision *d)
{
	struct scale s = {r, f};

	if (d->n > d->selected + 1)
		qsort_r(d->c + d->selected, d->n - d->selected, sizeof *d->c, by_preference, &s);
}

void decision_clear(struct decision *d)
{
	free(d->c);
	free(d->views);
	free(d->classes);
	*d = (struct decision){0};
}

/* ---- Carrying out ---- */

/* Dead routes are as good as withdrawn: they go now, not when the walk over their peer's routes comes by. */
static void remove_dead(struct rib *r, enum family f, uint32_t id)
{
	uint32_t *link = &table_node(&r->table[f], id)->routes;

	while (*link != ID_NONE) {
		struct route *rt = route_at(r, *link);

		if (route_age(peer_at(r, rt->peer), f, rt) == AGE_DEAD)
			route_remove(r, f, id, link);
		else
			link = &rt->next;
	}
}

/* Sets the selection's flags; true if it differs from the one before. */
static bool mark_selected(struct rib *r, enum family f, struct decision *d)
{
	bool changed = false;

	for (unsigned i = 0; i < d->n; i++) {
		struct route *rt = d->c[i].route;
		uint8_t flags = i == 0 && d->selected ? ROUTE_BEST : i < d->selected ? ROUTE_MULTIPATH : 0;
		uint8_t old = rt->flags & ROUTE_SELECTED;

		if (flags == old)
			continue;
		changed = true;
		rt->flags = (uint8_t)((rt->flags & ~ROUTE_SELECTED) | flags);
		if (flags & ROUTE_BEST)
			peer_at(r, rt->peer)->fam[f].best++;
		else if (old & ROUTE_BEST)
			peer_at(r, rt->peer)->fam[f].best--;
	}
	return changed;
}

static void relink(struct node *n, const struct decision *d)
{
	uint32_t *link = &n->routes;

	for (unsigned i = 0; i < d->n; i++) {
		*link = d->c[i].id;
		link = &d->c[i].route->next;
	}
	*link = ID_NONE;
}

void decide_node(struct rib *r, enum family f, uint32_t id)
{
	struct node *n = table_node(&r->table[f], id);
	struct decision *d = r->decision;
	struct prefix prefix;
	unsigned selected;
	bool changed, tell;

	/* Still marked dirty, so that removing routes does not queue it again. */
	remove_dead(r, f, id);
	changed = n->flags & NODE_CHANGED;
	tell = n->flags & NODE_SINK;
	n->flags &= (uint8_t) ~(NODE_DIRTY | NODE_CHANGED | NODE_SINK);
	decide_weigh(r, f, n, d);
	changed |= mark_selected(r, f, d);
	tell |= changed;
	relink(n, d);
	/* A group that forgets a prefix nobody was told of must not free the node under our feet. */
	n->held++;
	groups_node_decided(r, f, id, n);
	n->held--;
	selected = d->selected;
	if (tell || r->observer)
		table_prefix_to(&r->table[f], n, &prefix);
	if (changed && r->observer)
		observe_best(r, f, &prefix, selected ? d->c[0].id : ID_NONE);
	for (unsigned i = 0; tell && i < selected; i++)
		route_view(r, f, d->c[i].route, &d->views[i]);
	node_release(r, f, id);
	/* Last: the sink may come back into the RIB. */
	if (tell && r->sink.on_best)
		r->sink.on_best(r->arg, &prefix, d->views, selected);
}
