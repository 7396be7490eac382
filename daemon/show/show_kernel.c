/* show kernel. */
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/mem.h"
#include "daemon/show/show.h"

struct kernel_walk {
	bool sorted;
	uint64_t pos;
	struct show_rows rows;
};

static const char *class_name(const struct fib_view *v)
{
	static const char *const names[FIB_CLASS_COUNT] = {
	    [FIB_WORKLOAD] = "workload", [FIB_OVERLAY] = "overlay", [FIB_REACH] = "peer",
	    [FIB_BGP] = "bgp",		 [FIB_BLOCK] = "block",
	};

	return v->state == FIB_STALE || (unsigned)v->class >= FIB_CLASS_COUNT ? NULL : names[v->class];
}

void show_kernel_route(struct request *r, const struct fib_view *v)
{
	struct out *o = &r->out;

	out_prefix(o, "prefix", "PREFIX", &v->prefix);
	out_number(o, "metric", "METRIC", v->metric);
	out_text(o, "class", "CLASS", class_name(v));
	out_text(o, "state", "STATE", fib_state_name(v->state));
	out_text(o, "route", NULL, v->route);
	out_text(o, "reason", NULL, v->reason);
	if (*v->reason)
		out_printf(o, NULL, "ROUTE", "%s%s%s", v->reason, *v->route ? ": " : "", v->route);
	else
		out_text(o, NULL, "ROUTE", v->route);
}

static void put_row(struct request *r, const struct fib_view *v)
{
	out_row(&r->out);
	show_table(r, show_instance(r));
	show_kernel_route(r, v);
	out_end(&r->out);
}

static bool sorted_more(struct request *r, struct kernel_walk *w)
{
	struct fib_view v;

	for (unsigned n = 0; n < SHOW_PIECE && w->rows.next < w->rows.count; n++) {
		const struct show_row *row = &w->rows.rows[w->rows.next++];
		uint64_t pos = row->pos;
		/* The table may have changed since it was sorted: what is no longer there is left out. */
		if (fib_next(show_fib(r), &pos, &v) && prefix_equal(&v.prefix, &row->prefix))
			put_row(r, &v);
	}
	return w->rows.next < w->rows.count;
}

static bool kernel_more(struct request *r)
{
	struct kernel_walk *w = r->state;
	struct fib_view v;

	/* The table may have gone since the last piece. */
	if (!show_fib(r))
		return false;
	if (w->sorted)
		return sorted_more(r, w);
	for (unsigned n = 0; n < SHOW_PIECE; n++) {
		if (!fib_next(show_fib(r), &w->pos, &v))
			return false;
		put_row(r, &v);
	}
	return true;
}

static void walk_free(void *state)
{
	struct kernel_walk *w = state;

	show_rows_free(&w->rows);
	free(w);
}

static bool kernel_start(struct request *r)
{
	struct kernel_walk *w = mem_calloc(1, sizeof *w);
	uint64_t pos = 0, at = 0;
	struct fib_stats s;
	struct fib_view v;

	r->state = w;
	r->free_state = walk_free;
	if (!show_take_table(r))
		return false;
	if (r->argc) {
		snprintf(r->error, sizeof r->error, "\"%.60s\": expected \"table\" and its name", r->argv[0]);
		return false;
	}
	s = fib_stats(show_fib(r));
	out_table(&r->out, "kernel", NULL, "no routes are wanted, and none of ours are there");
	w->sorted = s.intents + s.stale <= SHOW_SORT_MAX;
	while (w->sorted && fib_next(show_fib(r), &pos, &v)) {
		show_rows_add(&w->rows, &v.prefix, at);
		at = pos;
	}
	show_rows_sort(&w->rows);
	return true;
}
const struct command_ops command_show_kernel = {.start = kernel_start, .more = kernel_more};

/* ---- Taking over ---- */

static void put_plan(struct out *o, const struct fib_plan *p)
{
	out_row(o);
	out_text(o, "deed", "WHAT", fib_deed_name(p->deed));
	out_prefix(o, "prefix", "PREFIX", &p->prefix);
	out_text(o, "before", NULL, p->before);
	out_text(o, "now", NULL, p->now);
	out_text(o, "reason", NULL, p->why);
	out_printf(o, NULL, "ROUTE", "%s%s%s%s%s%s", p->before, *p->before && *p->now ? " -> " : "", p->now,
		   *p->why ? " (" : "", p->why, *p->why ? ")" : "");
	out_end(o);
}

/* In one piece: what the walk stands on may be gone in the next turn, and only changes are told. */
static bool takeover_start(struct request *r)
{
	unsigned owners = r->d->config.takeover ? r->d->config.takeover : FIB_OWNER_BIRD | FIB_OWNER_FELIX;
	struct fib_plan_walk walk = {0};
	struct fib_plan p;

	out_table(&r->out, "takeover", NULL, "nothing would change");
	while (fib_plan_next(r->d->fib, owners, &walk, &p))
		put_plan(&r->out, &p);
	out_end(&r->out);
	return true;
}
const struct command_ops command_show_takeover = {.start = takeover_start};
