#include "fib/route.h"

#include <stdlib.h>

#include "fib/beside.h"
#include "fib/state.h"

/* ---- the table ---- */

void routes_init(struct routes *s)
{
	*s = (struct routes){0};
	for (int k = 0; k < FAM_COUNT; k++)
		ptab_init(&s->table[k], (enum family)k, offsetof(struct route, key));
}

void routes_clear(struct routes *s)
{
	for (int k = 0; k < FAM_COUNT; k++)
		ptab_clear(&s->table[k]);
	htab_clear(&s->extras);
}

uint32_t routes_count(const struct routes *s)
{
	return s->table[FAM_IPV4].count + s->table[FAM_IPV6].count;
}

size_t routes_bytes(const struct routes *s)
{
	return ptab_bytes(&s->table[FAM_IPV4]) + ptab_bytes(&s->table[FAM_IPV6]) + htab_bytes(&s->extras) +
	       s->extras.count * sizeof(struct route_extra);
}

/* How others than the table refer to a route: by its id and, in the lowest bit, its family. 0 is none. */
static uint32_t route_ref(const struct route *r)
{
	return r->item.id << 1 | (uint32_t)route_family(r);
}

static struct route *route_at(const struct routes *s, uint32_t ref)
{
	return ptab_at(&s->table[ref & 1], ref >> 1);
}

struct route *routes_next(const struct routes *s, uint32_t *pos)
{
	return ptab_next_of_both(s->table, pos);
}

struct route *route_find(const struct fib *f, const struct prefix *p, uint32_t metric)
{
	const struct ptab *t = &f->routes.table[family_of_af(p->addr.af)];
	struct route *r = ptab_find(t, p);

	while (r && r->metric != metric)
		r = ptab_more(t, r);
	return r;
}

struct route *route_obtain(struct fib *f, const struct prefix *p, uint32_t metric)
{
	enum family family = family_of_af(p->addr.af);
	struct route *r = route_find(f, p, metric);

	if (r)
		return r;
	r = ptab_make(&f->routes.table[family], p);
	ptab_link(&f->routes.table[family], r);
	r->metric = metric;
	r->flags = family == FAM_IPV6 ? ROUTE_IPV6 : 0;
	/* Not seen: a dump under way may still tell what the kernel has here. */
	r->seen = (uint8_t)(f->resync.generation - 1);
	return r;
}

void route_release(struct fib *f, struct route *r)
{
	if (r->want || r->have || (r->flags & (ROUTE_DIRTY | ROUTE_FLIGHT)))
		return;
	route_extra_free(f, r);
	route_count(f, r);
	ptab_unlink(&f->routes.table[route_family(r)], r);
	ptab_free(&f->routes.table[route_family(r)], r);
}

struct foreign *route_rival(const struct fib *f, const struct route *r, const struct foreign *after)
{
	const struct prefix p = route_prefix(r);
	struct foreign *k = after ? foreign_next(&f->foreign, after) : foreign_exact(&f->foreign, &p);

	while (k && (k->metric != r->metric || k->tos || foreign_to(&f->foreign, k)->key.table != f->conf.table))
		k = foreign_next(&f->foreign, k);
	return k;
}

/* ---- queues ---- */

void route_queue_put(const struct routes *s, struct route_queue *q, struct route *r)
{
	uint32_t ref = route_ref(r);

	if (q->first)
		route_at(s, q->last)->next = ref;
	else
		q->first = ref;
	q->last = ref;
	r->next = 0;
}

struct route *route_queue_take(const struct routes *s, struct route_queue *q)
{
	struct route *r = route_at(s, q->first);

	q->first = r->next;
	return r;
}

/* ---- what is wanted and what is there ---- */

void route_set_want(struct fib *f, struct route *r, struct want *want)
{
	f->stats.intents += (want != NULL) - (r->want != 0);
	r->want = want ? want->number : 0;
	if (want)
		pageset_add(&want->pages, r->item.id >> PAGE_SHIFT);
}

void route_set_have(struct fib *f, struct route *r, struct nhset *have)
{
	struct nhset *old = route_have(f, r);

	r->have = have ? have->number : 0;
	if (have) {
		have->own++;
		pageset_add(&have->pages, r->item.id >> PAGE_SHIFT);
	}
	if (old) {
		old->own--;
		nhset_unref(&f->nhsets, old);
	}
	route_count(f, r);
	beside_own_changed(f, r);
}

/* Pages where the walk finds none leave the set. A page leaves it when the walk comes to it, and comes back with each
 * route that is found there: so what is added during the walk is not lost. */
static struct route *next_of(const struct ptab *t, struct pageset *pages, struct route_walk *walk,
			     uint32_t number_of(const struct route *r), uint32_t number)
{
	uint32_t id = walk->pos, page = id >> PAGE_SHIFT;

	for (; pageset_next(pages, &page); page++) {
		uint32_t first = page << PAGE_SHIFT, end = first + PAGE_NODES;

		if (id <= first) {
			id = first;
			pageset_remove(pages, page);
		}
		for (; id < end && id < t->items.bound; id++) {
			struct route *r = ptab_at(t, id);

			if (!r->item.id || number_of(r) != number)
				continue;
			pageset_add(pages, page);
			walk->pos = id + 1;
			return r;
		}
	}
	walk->pos = t->items.bound;
	return NULL;
}

static uint32_t want_of(const struct route *r)
{
	return r->want;
}

static uint32_t have_of(const struct route *r)
{
	return r->have;
}

struct route *route_next_of_want(const struct fib *f, struct want *w, struct route_walk *walk)
{
	return next_of(&f->routes.table[family_of_af(w->af)], &w->pages, walk, want_of, w->number);
}

struct route *route_next_of_set(const struct fib *f, struct nhset *s, struct route_walk *walk)
{
	return next_of(&f->routes.table[family_of_af(s->key.af)], &s->pages, walk, have_of, s->number);
}

/* ---- what few need ---- */

static uint32_t extra_hash(const struct route *r)
{
	return (uint32_t)hash_bytes(&r, sizeof r);
}

static bool extra_is_of(const void *item, const void *route)
{
	return ((const struct route_extra *)item)->route == route;
}

struct route_extra *route_extra_find(const struct fib *f, const struct route *r)
{
	return htab_find(&f->routes.extras, extra_hash(r), extra_is_of, r);
}

struct route_extra *route_extra_make(struct fib *f, struct route *r)
{
	struct route_extra *e = route_extra(f, r);

	if (e)
		return e;
	e = mem_calloc(1, sizeof *e);
	e->route = r;
	e->wait.owner = e;
	r->flags |= ROUTE_EXTRA;
	htab_insert(&f->routes.extras, extra_hash(r), e);
	return e;
}

void route_extra_free(struct fib *f, struct route *r)
{
	struct route_extra *e = route_extra(f, r);

	if (!e)
		return;
	backoff_cancel(&f->backoffs, &e->wait);
	htab_remove(&f->routes.extras, extra_hash(r), e);
	r->flags &= (uint16_t)~ROUTE_EXTRA;
	free(e->text);
	free(e);
}

/* ---- counts ---- */

static unsigned route_state(const struct fib *f, const struct route *r)
{
	const struct route_extra *e = route_extra(f, r);
	unsigned is = 0;

	if (r->want && !route_to(f, r) && !route_is_off(f, r))
		is |= ROUTE_IS_UNRESOLVED;
	if (r->have && !r->want)
		is |= ROUTE_IS_STALE;
	if (route_is_in_sync(f, r))
		is |= r->flags & ROUTE_ADOPTED ? ROUTE_IS_INSTALLED | ROUTE_IS_ADOPTED : ROUTE_IS_INSTALLED;
	if (e && e->error)
		is |= ROUTE_IS_FAILED;
	return is;
}

void route_count(struct fib *f, struct route *r)
{
	const struct {
		unsigned flag;
		unsigned *count;
	} counts[] = {
	    {ROUTE_IS_STALE, &f->stats.stale},	   {ROUTE_IS_UNRESOLVED, &f->stats.unresolved},
	    {ROUTE_IS_FAILED, &f->stats.failed},   {ROUTE_IS_INSTALLED, &f->stats.installed},
	    {ROUTE_IS_ADOPTED, &f->stats.adopted},
	};
	unsigned is = route_state(f, r), was = r->flags & ROUTE_COUNTS;

	if (is == was)
		return;
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
		*counts[i].count += ((is & counts[i].flag) != 0) - ((was & counts[i].flag) != 0);
	r->flags = (uint16_t)((r->flags & ~ROUTE_COUNTS) | is);
}
