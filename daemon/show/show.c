#include "daemon/show/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/instance.h"
#include "daemon/peers/speaker.h"

/* False: there is no such table (any more). */
static bool find_table(const struct request *r, struct instance **i)
{
	*i = NULL;
	return !r->table || instance_named(r->d, r->table, i);
}

bool show_take_table(struct request *r)
{
	struct instance *i;
	unsigned kept = 0;

	for (unsigned n = 0; n < r->argc; n++) {
		bool names = strcmp(r->argv[n], "table") == 0 || strcmp(r->argv[n], "vrf") == 0;
		if (names && n + 1 < r->argc)
			r->table = r->argv[++n];
		else
			r->argv[kept++] = r->argv[n];
	}
	r->argc = kept;
	if (find_table(r, &i))
		return true;
	snprintf(r->error, sizeof r->error,
		 "no peer is in a VRF or table \"%.40s\"; show peers has those that there are", r->table);
	return false;
}

struct instance *show_instance(const struct request *r)
{
	struct instance *i;

	find_table(r, &i);
	return i;
}

struct rib *show_rib(const struct request *r)
{
	struct instance *i;

	return find_table(r, &i) ? instance_rib(r->d, i) : NULL;
}

struct fib *show_fib(const struct request *r)
{
	struct instance *i;

	return find_table(r, &i) ? instance_fib(r->d, i) : NULL;
}

void show_table(struct request *r, const struct instance *i)
{
	out_text(&r->out, "vrf", NULL, i && i->vrf[0] ? i->vrf : NULL);
	out_number(&r->out, "table", NULL, i ? fib_table(i->fib) : r->d->config.table);
}

void show_rows_add(struct show_rows *s, const struct prefix *p, uint64_t pos)
{
	if (s->count == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 64;
		s->rows = mem_realloc(s->rows, s->cap * sizeof *s->rows);
	}
	s->rows[s->count++] = (struct show_row){.prefix = *p, .pos = pos};
}

static int row_cmp(const void *a, const void *b)
{
	const struct show_row *left = a, *right = b;
	int c = prefix_cmp(&left->prefix, &right->prefix);

	return c ? c : (left->pos > right->pos) - (left->pos < right->pos);
}

void show_rows_sort(struct show_rows *s)
{
	if (s->count)
		qsort(s->rows, s->count, sizeof *s->rows, row_cmp);
}

void show_rows_free(struct show_rows *s)
{
	free(s->rows);
	*s = (struct show_rows){0};
}

void show_peers_begin(struct request *r)
{
	r->state = mem_calloc(1, sizeof(unsigned));
	r->free_state = free;
}

bool show_peers_more(struct request *r, void (*put)(struct request *r, const struct peer *p))
{
	unsigned *next = r->state;

	for (unsigned n = 0; n < SHOW_PIECE; n++) {
		const struct peer *p = speaker_peer(r->d->speaker, *next);

		if (!p)
			return false;
		++*next;
		put(r, p);
	}
	return true;
}

void show_object_name(struct strbuf *out, const struct object *o)
{
	strbuf_printf(out, "%s%s%s", o->namespace ? o->namespace : "", o->namespace && *o->namespace ? "/" : "",
		      o->name);
}

void show_source(struct request *r, const struct object *o)
{
	struct store_status s = store_status(r->d->store);
	size_t n = s.location ? strlen(s.location) : 0;
	bool inside = n && strncmp(o->source, s.location, n) == 0 && o->source[n] == '/';

	out_text(&r->out, "source", NULL, o->source);
	out_text(&r->out, NULL, "SOURCE", o->source + (inside ? n + 1 : 0));
}

uint64_t show_age(uint64_t since)
{
	uint64_t now = mono_now();

	return now > since ? now - since : 0;
}
