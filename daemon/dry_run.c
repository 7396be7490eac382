#include "daemon/dry_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/cluster/cluster.h"
#include "daemon/daemon.h"

/* How long the datastore may take. */
#define DATASTORE_TIME (30 * MONO_SEC)
#define TICK (50 * MONO_MSEC)

static void on_tick(void *arg)
{
	struct daemon *d = arg;

	loop_timer_set(d->loop, &d->ending, TICK, on_tick, d);
}

/* Until all objects are known, and all that follows from them. */
static bool settle(struct daemon *d)
{
	uint64_t until = mono_now() + DATASTORE_TIME;

	on_tick(d);
	while (!cluster_is_settled(d->cluster) && mono_now() < until && !store_status(d->store).problem)
		loop_turn(d->loop, true);
	while (cluster_is_settled(d->cluster) && loop_has_work(d->loop))
		loop_turn(d->loop, false);
	return cluster_is_settled(d->cluster);
}

/* ---- the plan ---- */

struct row {
	struct fib_plan plan;
	unsigned order; /* of equal prefixes: as they were found */
};

static int row_cmp(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int c = addr_cmp(&x->plan.prefix.addr, &y->plan.prefix.addr);

	if (!c)
		c = (int)x->plan.prefix.len - (int)y->plan.prefix.len;
	return c ? c : (x->order > y->order) - (x->order < y->order);
}

static void print_row(const struct fib_plan *p)
{
	char prefix[PREFIX_STRLEN];

	printf("%-8s %-20s %s%s%s", fib_deed_name(p->deed), prefix_format(&p->prefix, prefix), p->before,
	       *p->before && *p->now ? " -> " : "", p->now);
	printf(*p->why ? " (%s)\n" : "%s\n", p->why);
}

static void print_lines(const char *begin, const char *text)
{
	while (text && *text) {
		int n = (int)strcspn(text, "\n");
		printf("%s%.*s\n", begin, n, text);
		text += n + (text[n] == '\n');
	}
}

static void print_devices(const struct fib *f)
{
	struct strbuf lines = {0};

	fib_plan_devices(f, &lines);
	print_lines("device: ", lines.s);
	strbuf_free(&lines);
}

static void print_problems(const struct daemon *d)
{
	const struct store_refusal *r;
	struct strbuf lines = {0};

	cluster_problems(d->cluster, &lines);
	fib_problems(d->fib, &lines);
	for (unsigned i = 0; (r = store_refusal(d->store, i)); i++) {
		if (r->warning)
			continue;
		store_refusal_format(r, &lines);
		strbuf_putc(&lines, '\n');
	}
	print_lines("problem: ", lines.s);
	strbuf_free(&lines);
}

static void print_counts(const unsigned count[static FIB_DEED_COUNT])
{
	const char *between = "";

	for (int d = 0; d < FIB_DEED_COUNT; d++) {
		if (count[d])
			printf("%s%u to %s", between, count[d], fib_deed_name((enum fib_deed)d));
		between = count[d] ? ", " : between;
	}
	puts(*between ? "" : "no route would change");
}

static void print_plan(const struct daemon *d)
{
	struct fib_plan_walk walk = {0};
	struct strbuf found = {0};
	struct row row = {0}, *rows;
	unsigned count[FIB_DEED_COUNT] = {0};

	for (; fib_plan_next(d->fib, d->config.takeover, &walk, &row.plan); row.order++)
		strbuf_add(&found, &row, sizeof row);
	rows = mem_dup(found.s, found.len);
	strbuf_free(&found);
	qsort(rows, row.order, sizeof *rows, row_cmp);
	for (unsigned i = 0; i < row.order; i++) {
		print_row(&rows[i].plan);
		count[rows[i].plan.deed]++;
	}
	free(rows);
	print_devices(d->fib);
	print_counts(count);
}

int dry_run(struct daemon *d)
{
	if (!settle(d)) {
		const char *problem = store_status(d->store).problem;
		fprintf(stderr, "calidrisd: the objects cannot be read: %s\n", problem ? problem : "no answer");
		return EX_UNAVAILABLE;
	}
	print_plan(d);
	print_problems(d);
	return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}
