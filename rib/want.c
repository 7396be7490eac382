#include "rib/want.h"

#include <stdio.h>
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

/* Whom it concerns: "peer and 3 more". */
static void members_format(const struct group *g, char *out, size_t size)
{
	const struct rib_peer *first = NULL;
	unsigned n = 0;

	for (unsigned i = LOCAL_PEER + 1; i < g->rib->n_peers; i++) {
		const struct rib_peer *p = g->rib->peers[i];

		if (!p || p->group != g)
			continue;
		first = first ? first : p;
		n++;
	}
	if (n > 1)
		snprintf(out, size, "%s and %u more", first->conf.name, n - 1);
	else
		snprintf(out, size, "%s", first ? first->conf.name : "nobody");
}

/* RFC 8654 4: for some peers a route may be too long. */
static void log_too_long(const struct group *g, const struct export *x, const char *why)
{
	char prefix[PREFIX_STRLEN], members[96];
	uint32_t suppressed;

	if (!log_allowed(&g->rib->long_limit, 10, 10 * MONO_SEC, &suppressed))
		return;
	members_format(g, members, sizeof members);
	log_warn("rib", "%s: %s from %s is not announced: %s (%u more since)", members,
		 prefix_format(&x->prefix, prefix), peer_at(g->rib, x->source)->conf.name, why, suppressed);
}

static bool passes(const struct group *g, enum family f, const struct node *n, const struct route *rt, bool log)
{
	struct export x = {&g->key, g->rib, f, rt->peer, route_source(rt), rt->attrs};
	const char *why;

	table_prefix_to(&g->rib->table[f], n, &x.prefix);
	why = export_refusal(&x, NULL);
	if (log && (why == export_too_long || why == export_too_long_for_plain))
		log_too_long(g, &x, why);
	return !why;
}

static struct want want_of(const struct rib *r, const struct route *rt, uint32_t path_id)
{
	return (struct want){.attrs = rt->attrs,
			     .path_id = path_id,
			     .source = rt->peer,
			     .kind = (uint8_t)route_source(rt),
			     .identity = peer_at(r, rt->peer)->identity};
}

struct want want_best(const struct group *g, enum family f, const struct node *n)
{
	const struct rib *r = g->rib;
	const struct route *rt;

	if (n->routes == ID_NONE)
		return (struct want){0};
	rt = route_at(r, n->routes);
	if (!(rt->flags & ROUTE_BEST) || !passes(g, f, n, rt, true))
		return (struct want){0};
	return want_of(r, rt, 0);
}

/* Drops the candidates that do not go out, keeping the order of the others. */
static void sift(const struct group *g, enum family f, const struct node *n, struct decision *d, bool log)
{
	unsigned kept = 0;
	bool reachable = false;

	for (unsigned i = 0; i < d->n; i++)
		reachable |= d->c[i].step != STEP_REJECTED && route_is_reachable(d->c[i].route);
	for (unsigned i = 0; i < d->n; i++) {
		const struct route *rt = d->c[i].route;

		if (d->c[i].step != STEP_REJECTED && (!reachable || route_is_reachable(rt)) && passes(g, f, n, rt, log))
			d->c[kept++] = d->c[i];
	}
	d->n = kept;
}

static int by_path_id(const void *pa, const void *pb)
{
	const struct want *a = pa, *b = pb;

	return (a->path_id > b->path_id) - (a->path_id < b->path_id);
}

const struct want_list *want_paths(const struct group *g, enum family f, const struct node *n, bool log)
{
	const struct rib *r = g->rib;
	unsigned limit = g->key.add_path_limit;
	struct decision *d = &r->wants->d;
	struct want_list *list = &r->wants->list;

	decide_collect(r, f, n, d);
	sift(g, f, n, d, log);
	if (limit && d->n > limit) {
		decide_rank(r, f, d, limit);
		d->n = limit;
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
