/* How old a peer's routes are, and the walks over what it has in the tables.
 *
 * Stale and withdrawn at once, whatever the number of routes: every route carries the epoch of its peer and family in
 * which it was last received. Making all of them stale is a new epoch; dropping all of them is a new epoch from which
 * on routes are kept. The walk that then really removes them runs in slices over the pages where the peer has routes,
 * and a decision that comes across a dead route meanwhile removes it too.
 *
 * Epochs are counted modulo 256, so what is kept must not fall behind for ever: each walk gives the stale routes it
 * comes by a later epoch of the same age, and long before numbers could run out one is begun for that alone. */
#include "rib/core.h"

/* Epochs in use after which they are drawn together; and at most: the one before them is that of what has just died. */
#define SPAN_LONG 64u
#define SPAN_MAX (UINT8_MAX - 1u)

/* ---- Ages ---- */

enum age route_age(const struct rib_peer *p, enum family f, const struct route *rt)
{
	const struct peer_family *pf = &p->fam[f];
	uint8_t age = (uint8_t)(pf->epoch - rt->epoch);

	if (age == 0)
		return AGE_FRESH;
	if (age > (uint8_t)(pf->epoch - pf->keep_from))
		return AGE_DEAD;
	return age > (uint8_t)(pf->epoch - pf->long_until) ? AGE_LONG_LIVED : AGE_STALE;
}

void peer_count(struct rib_peer *p, enum family f, const struct route *rt, int by)
{
	struct tally *t = &p->fam[f].tally[route_age(p, f, rt)];

	t->routes += (uint32_t)by;
	if (!route_reason(rt))
		t->accepted += (uint32_t)by;
}

void route_die(struct rib_peer *p, enum family f, struct route *rt)
{
	peer_count(p, f, rt, -1);
	rt->epoch = (uint8_t)(p->fam[f].keep_from - 1);
	peer_count(p, f, rt, 1);
}

static void tally_move(struct tally *to, struct tally *from)
{
	to->routes += from->routes;
	to->accepted += from->accepted;
	*from = (struct tally){0};
}

/* ---- Walks ---- */

/* Visits every route of the peer on one page; the visitor may remove it. Returns whether any is left. */
static bool page_walk(struct rib_peer *p, enum family f, uint32_t page,
		      void (*visit)(struct rib_peer *p, enum family f, uint32_t node, uint32_t *link))
{
	struct rib *r = p->rib;
	uint32_t first = page << PAGE_SHIFT, last = first + PAGE_NODES;
	bool any = false;

	if (last > r->table[f].nodes.bound)
		last = r->table[f].nodes.bound;
	for (uint32_t id = first; id < last; id++) {
		struct node *n = table_node(&r->table[f], id);
		uint32_t *link = &n->routes;

		while (n->flags & NODE_USED && *link != ID_NONE) {
			uint32_t route = *link;

			if (route_at(r, route)->peer == p->index) {
				visit(p, f, id, link);
				if (*link != route)
					continue;
				any = true;
			}
			link = &route_at(r, route)->next;
		}
	}
	return any;
}

/* Of the same age, and as young as that can be. */
static void route_lift(const struct peer_family *pf, struct route *rt, enum age age)
{
	if (age == AGE_STALE)
		rt->epoch = (uint8_t)(pf->epoch - 1);
	else if (age == AGE_LONG_LIVED)
		rt->epoch = (uint8_t)(pf->long_until - 1);
}

static void visit(struct rib_peer *p, enum family f, uint32_t node, uint32_t *link)
{
	struct rib *r = p->rib;
	uint32_t id = *link;
	struct route *rt = route_at(r, id);
	enum age age = route_age(p, f, rt);

	if (age == AGE_DEAD) {
		route_remove(r, f, node, link);
		return;
	}
	route_lift(&p->fam[f], rt, age);
	if (p->scan_flags & SCAN_REEVALUATE)
		route_reevaluate(r, f, node, id);
	else if (p->scan_flags & SCAN_DECIDE)
		node_mark_dirty(r, f, node);
	/* RFC 9494 4.2: the peer, or import policy, does not want it kept so long. */
	if (age == AGE_LONG_LIVED && rt->attrs->flags & ATTRS_NO_LLGR)
		route_remove(r, f, node, link);
}

/* The whole table was walked since walk_epoch was the present one and walk_long was long_until, and nothing but new
 * epochs came since: no route is dead (or it died behind the walk, and the next one draws together), the stale ones are
 * not older than walk_epoch - 1 and those that are so for long not than walk_long - 1. */
static void walk_done(struct rib_peer *p, enum family f)
{
	struct peer_family *pf = &p->fam[f];
	uint8_t stale_from = (uint8_t)(pf->walk_epoch - 1);

	pf->walking = false;
	if (pf->span < SPAN_LONG || pf->tally[AGE_DEAD].routes)
		return;
	pf->keep_from = pf->tally[AGE_LONG_LIVED].routes ? (uint8_t)(pf->walk_long - 1) : pf->long_until;
	if ((uint8_t)(pf->epoch - pf->long_until) > (uint8_t)(pf->epoch - stale_from)) {
		pf->long_until = stale_from;
		if (!pf->tally[AGE_LONG_LIVED].routes)
			pf->keep_from = stale_from;
	}
	pf->span = (uint8_t)(pf->epoch - pf->keep_from);
	/* Long-lived ones follow the boundary in a second walk. */
	if (pf->span >= SPAN_LONG)
		peer_scan(p, f, 0);
}

/* Walks the peer's pages of one family until the deadline. True if some are left. */
static bool scan_family(struct rib_peer *p, enum family f, uint64_t deadline)
{
	struct peer_family *pf = &p->fam[f];

	while (pf->walking) {
		for (uint32_t page = 0; pageset_next(&pf->todo, &page);) {
			pageset_remove(&pf->todo, page);
			if (!page_walk(p, f, page, visit))
				pageset_remove(&pf->pages, page);
			arena_reset(&p->rib->arena);
			if (mono_now() >= deadline)
				return true;
		}
		pageset_free(&pf->todo);
		walk_done(p, f);
	}
	return false;
}

static bool scan_peer(struct rib_peer *p, uint64_t deadline)
{
	for (int f = 0; f < FAM_COUNT; f++)
		if (scan_family(p, (enum family)f, deadline))
			return true;
	return false;
}

void peer_scan(struct rib_peer *p, enum family f, uint8_t what)
{
	struct rib *r = p->rib;
	struct peer_family *pf = &p->fam[f];

	p->scan_flags |= what;
	pageset_merge(&pf->todo, &pf->pages);
	pf->walking = true;
	pf->walk_epoch = pf->epoch;
	pf->walk_long = pf->long_until;
	if (!p->scanning) {
		p->scanning = true;
		TAILQ_INSERT_TAIL(&r->scans, p, scan);
	}
	loop_work_schedule(r->loop, &r->scan_work);
}

/* Nodes with a choice are decided again after next hops changed. With a single route there is nothing to choose. */
static bool scan_next_hops(struct rib *r, uint64_t deadline)
{
	for (int f = 0; f < FAM_COUNT; f++) {
		for (uint32_t page = 0; pageset_next(&r->next_hop_todo[f], &page);) {
			uint32_t first = page << PAGE_SHIFT;

			pageset_remove(&r->next_hop_todo[f], page);
			for (uint32_t id = first; id < first + PAGE_NODES && id < r->table[f].nodes.bound; id++) {
				const struct node *n = table_node(&r->table[f], id);

				if (n->flags & NODE_USED && n->routes != ID_NONE &&
				    route_at(r, n->routes)->next != ID_NONE)
					node_mark_dirty(r, (enum family)f, id);
			}
			if (mono_now() >= deadline)
				return true;
		}
	}
	return false;
}

bool peer_scan_run(void *arg, uint64_t deadline)
{
	struct rib *r = arg;
	struct rib_peer *p;

	interfaces_settle(r);
	if (scan_next_hops(r, deadline))
		return true;
	while ((p = TAILQ_FIRST(&r->scans))) {
		if (scan_peer(p, deadline))
			return true;
		TAILQ_REMOVE(&r->scans, p, scan);
		p->scanning = false;
		p->scan_flags = 0;
		for (int f = 0; f < FAM_COUNT; f++)
			p->free_after[f] = dirty_mark(r, (enum family)f);
		if (p->freed)
			rib_schedule(r);
	}
	return false;
}

/* ---- Changes of age ---- */

bool peer_ages_full(const struct rib_peer *p, enum family f)
{
	return p->fam[f].span >= SPAN_MAX;
}

void peer_all_stale(struct rib_peer *p, enum family f)
{
	struct peer_family *pf = &p->fam[f];

	if (!pf->tally[AGE_STALE].routes && !pf->tally[AGE_LONG_LIVED].routes && !pf->tally[AGE_DEAD].routes) {
		pf->keep_from = pf->long_until = pf->epoch;
		pf->span = 0;
	}
	if (pf->span >= SPAN_LONG && !pf->walking)
		peer_scan(p, f, 0);
	/* Its session came and went two hundred times while a walk waited for its turn: it has it now, as a whole. */
	if (peer_ages_full(p, f))
		scan_family(p, f, UINT64_MAX);
	pf->span++;
	pf->epoch++;
	tally_move(&pf->tally[AGE_STALE], &pf->tally[AGE_FRESH]);
}

void peer_end_stale(struct rib_peer *p, enum family f)
{
	struct peer_family *pf = &p->fam[f];

	if (!pf->tally[AGE_STALE].routes && !pf->tally[AGE_LONG_LIVED].routes)
		return;
	tally_move(&pf->tally[AGE_DEAD], &pf->tally[AGE_STALE]);
	tally_move(&pf->tally[AGE_DEAD], &pf->tally[AGE_LONG_LIVED]);
	pf->keep_from = pf->long_until = pf->epoch;
	peer_scan(p, f, 0);
}

void peer_long_lived(struct rib_peer *p, enum family f)
{
	struct peer_family *pf = &p->fam[f];

	if (!pf->tally[AGE_STALE].routes)
		return;
	tally_move(&pf->tally[AGE_LONG_LIVED], &pf->tally[AGE_STALE]);
	pf->long_until = pf->epoch;
	/* Import marks them. */
	memo_clear(p->rib);
	peer_scan(p, f, SCAN_REEVALUATE);
}

void peer_drop(struct rib_peer *p, enum family f)
{
	peer_all_stale(p, f);
	peer_end_stale(p, f);
}
