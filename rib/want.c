#include "rib/want.h"

#include <stdlib.h>

#include "daemon/base/mem.h"
#include "rib/core.h"
#include "rib/decide.h"
#include "rib/export.h"

/* Room to think, owned by the RIB: grows to the most routes that a prefix had. */
struct wants {
	struct decision d;
	struct want_list list;
};

struct wants *wants_new(void)
{
	return mem_calloc(1, sizeof(struct wants));
}

void wants_free(struct wants *w)
{
	decision_clear(&w->d);
	free(w->list.w);
	free(w);
}

static bool passes(const struct rib *r, const struct group_key *key, enum family f, const struct node *n,
		   const struct route *rt)
{
	struct export x = {key, r, f, rt->peer, route_source(rt), rt->attrs, table_prefix(&r->table[f], n)};

	return !export_refusal(&x, NULL);
}

static struct want want_of(const struct rib *r, const struct route *rt, uint32_t path_id)
{
	return (struct want){.attrs = rt->attrs,
			     .path_id = path_id,
			     .source = rt->peer,
			     .kind = (uint8_t)route_source(rt),
			     .identity = peer_at(r, rt->peer)->identity};
}

struct want want_best(const struct rib *r, const struct group_key *key, enum family f, const struct node *n)
{
	const struct route *rt;

	if (n->routes == ID_NONE)
		return (struct want){0};
	rt = route_at(r, n->routes);
	if (!(rt->flags & ROUTE_BEST) || !passes(r, key, f, n, rt))
		return (struct want){0};
	return want_of(r, rt, 0);
}

/* Drops the candidates that do not go out, keeping the order of the others. */
static void sift(const struct rib *r, const struct group_key *key, enum family f, const struct node *n,
		 struct decision *d)
{
	unsigned kept = 0;
	bool reachable = false;

	for (unsigned i = 0; i < d->n; i++)
		reachable |= d->c[i].step != STEP_REJECTED && route_is_reachable(d->c[i].route);
	for (unsigned i = 0; i < d->n; i++) {
		const struct route *rt = d->c[i].route;

		if (d->c[i].step != STEP_REJECTED && (!reachable || route_is_reachable(rt)) && passes(r, key, f, n, rt))
			d->c[kept++] = d->c[i];
	}
	d->n = kept;
}

static int by_path_id(const void *pa, const void *pb)
{
	const struct want *a = pa, *b = pb;

	return (a->path_id > b->path_id) - (a->path_id < b->path_id);
}

const struct want_list *want_paths(const struct rib *r, const struct group_key *key, enum family f,
				   const struct node *n)
{
	struct decision *d = &r->wants->d;
	struct want_list *list = &r->wants->list;

	decide_collect(r, f, n, d);
	sift(r, key, f, n, d);
	if (key->add_path_limit && d->n > key->add_path_limit) {
		decide_rank(r, f, d, key->add_path_limit);
		d->n = key->add_path_limit;
	}
	if (list->cap < d->n) {
		list->cap = d->n * 2;
		list->w = mem_realloc(list->w, list->cap * sizeof *list->w);
	}
	for (unsigned i = 0; i < d->n; i++)
		list->w[i] = want_of(r, d->c[i].route, want_path_id(d->c[i].id));
	list->n = d->n;
	if (list->n > 1)
		qsort(list->w, list->n, sizeof *list->w, by_path_id);
	return list;
}
