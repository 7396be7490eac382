/* Invariants: an entry is used as long as it has attributes or its withdrawal is in the log; a used entry holds its
 * node (node.held), so node ids in the log are valid; log_place() finds an entry exactly if some reader may not have
 * passed its last change. */
#include "rib/adjout.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "rib/core.h"
#include "rib/encode.h"
#include "rib/export.h"

/* ---- Life ---- */

struct stream *stream_new(struct rib *r, struct group *g, enum family f)
{
	struct stream *s = mem_calloc(1, sizeof *s);

	s->rib = r;
	s->group = g;
	s->family = f;
	LIST_INIT(&s->readers);
	TAILQ_INIT(&s->chunks);
	return s;
}

void stream_retire(struct stream *s)
{
	struct rib *r = s->rib;

	chunks_forget(s);
	free(s->log);
	free(s->sent_by);
	s->log = NULL;
	s->sent_by = NULL;
	s->group = NULL;
	LIST_INSERT_HEAD(&r->dying, s, dying);
	loop_work_schedule(r->loop, &r->reap_work);
}

static void page_reap(struct stream *s, uint32_t page)
{
	struct rib *r = s->rib;
	struct entry_page *ep = s->pages[page];

	for (uint32_t i = 0; ep && i < PAGE_NODES; i++) {
		uint32_t id = page << PAGE_SHIFT | i;

		if (!(ep->e[i].flags & ENTRY_USED))
			continue;
		attrs_unref(r->attrs, ep->e[i].attrs);
		table_node(&r->table[s->family], id)->held--;
		node_release(r, s->family, id);
	}
	free(ep);
}

bool streams_reap(struct rib *r, uint64_t deadline)
{
	struct stream *s;

	while ((s = LIST_FIRST(&r->dying))) {
		while (s->n_pages) {
			page_reap(s, --s->n_pages);
			if (mono_now() >= deadline)
				return true;
		}
		LIST_REMOVE(s, dying);
		free(s->pages);
		free(s);
	}
	return false;
}

size_t stream_bytes(const struct stream *s)
{
	size_t bytes = sizeof *s + s->n_pages * sizeof *s->pages + s->n_sent_by * sizeof *s->sent_by + s->chunk_bytes;

	for (uint32_t i = 0; i < s->n_pages; i++)
		bytes += s->pages[i] ? sizeof *s->pages[i] : 0;
	return bytes + (s->log ? ((size_t)s->mask + 1) * sizeof *s->log : 0);
}

/* ---- Entries ---- */

static struct entry *entry_slot(const struct stream *s, uint32_t id)
{
	uint32_t page = id >> PAGE_SHIFT;

	if (page >= s->n_pages || !s->pages[page])
		return NULL;
	return &s->pages[page]->e[id & (PAGE_NODES - 1)];
}

struct entry *stream_entry(const struct stream *s, uint32_t id)
{
	struct entry *e = entry_slot(s, id);

	return e && e->flags & ENTRY_USED ? e : NULL;
}

static struct entry *entry_make(struct stream *s, uint32_t id)
{
	uint32_t page = id >> PAGE_SHIFT;
	struct entry *e;

	if (page >= s->n_pages) {
		uint32_t n = page + 1 + page / 2;

		s->pages = mem_realloc(s->pages, n * sizeof(struct entry_page *));
		memset(s->pages + s->n_pages, 0, (n - s->n_pages) * sizeof(struct entry_page *));
		s->n_pages = n;
	}
	if (!s->pages[page])
		s->pages[page] = mem_calloc(1, sizeof *s->pages[page]);
	s->pages[page]->used++;
	e = &s->pages[page]->e[id & (PAGE_NODES - 1)];
	e->flags = ENTRY_USED;
	table_node(&s->rib->table[s->family], id)->held++;
	return e;
}

static void entry_clear(struct stream *s, uint32_t id)
{
	uint32_t page = id >> PAGE_SHIFT;

	s->pages[page]->e[id & (PAGE_NODES - 1)] = (struct entry){0};
	if (--s->pages[page]->used == 0) {
		free(s->pages[page]);
		s->pages[page] = NULL;
	}
	table_node(&s->rib->table[s->family], id)->held--;
	node_release(s->rib, s->family, id);
}

static void sent_count(struct stream *s, uint16_t source, int by)
{
	if (source >= s->n_sent_by) {
		uint32_t n = source + 1u + source / 2;

		s->sent_by = mem_realloc(s->sent_by, n * sizeof *s->sent_by);
		memset(s->sent_by + s->n_sent_by, 0, (n - s->n_sent_by) * sizeof *s->sent_by);
		s->n_sent_by = n;
	}
	s->sent_by[source] += (uint32_t)by;
	s->sent += (uint32_t)by;
}

/* ---- The log ---- */

void reader_add(struct stream *s, struct reader *rd, uint64_t pos)
{
	rd->pos = pos;
	LIST_INSERT_HEAD(&s->readers, rd, link);
}

void reader_remove(struct reader *rd)
{
	LIST_REMOVE(rd, link);
}

bool log_place(const struct stream *s, const struct entry *e, uint32_t id, uint64_t *pos)
{
	uint32_t ahead = e->pos - (uint32_t)s->base;

	/* The half position may be an old one that looks current: what counts is that the node is there. */
	if (ahead >= s->end - s->base || log_at(s, s->base + ahead) != id)
		return false;
	*pos = s->base + ahead;
	return true;
}

static void log_blank(struct stream *s, uint64_t pos)
{
	s->log[pos & s->mask] = ID_NONE;
	s->live--;
}

static int by_position_down(const void *pa, const void *pb)
{
	uint64_t a = (*(struct reader *const *)pa)->pos, b = (*(struct reader *const *)pb)->pos;

	return (a < b) - (a > b);
}

/* All readers, the foremost first. The caller frees the array. */
static struct reader **readers_sorted(const struct stream *s, size_t *n)
{
	struct reader *rd, **all;

	*n = 0;
	LIST_FOREACH(rd, &s->readers, link)
	++*n;
	all = mem_alloc(*n * sizeof(struct reader *));
	*n = 0;
	LIST_FOREACH(rd, &s->readers, link)
	all[(*n)++] = rd;
	qsort(all, *n, sizeof(struct reader *), by_position_down);
	return all;
}

/* Squeezes the blanks out towards the end, which keeps its number; readers keep what is still ahead of them. */
static void log_compact(struct stream *s)
{
	size_t n, next = 0;
	struct reader **readers = readers_sorted(s, &n);
	uint64_t to = s->end;

	for (uint64_t pos = s->end;; pos--) {
		uint32_t id;

		while (next < n && readers[next]->pos == pos)
			readers[next++]->pos = to;
		if (pos == s->base)
			break;
		id = log_at(s, pos - 1);
		if (id == ID_NONE)
			continue;
		s->log[--to & s->mask] = id;
		stream_entry(s, id)->pos = (uint32_t)to;
	}
	s->base = to;
	s->encoded = s->end; /* not known per place any more: as if all were */
	free(readers);
	chunks_forget(s);
}

static void log_grow(struct stream *s)
{
	uint32_t size = s->log ? (s->mask + 1) * 2 : 64;
	uint32_t *log = mem_alloc(size * sizeof *log);

	for (uint64_t pos = s->base; pos < s->end; pos++)
		log[pos & (size - 1)] = log_at(s, pos);
	free(s->log);
	s->log = log;
	s->mask = size - 1;
}

static uint32_t log_push(struct stream *s, uint32_t id)
{
	if (s->log && s->end - s->base > s->mask)
		stream_trim(s);
	if (s->log && s->end - s->base > s->mask && s->live <= s->mask / 2)
		log_compact(s);
	if (!s->log || s->end - s->base > s->mask)
		log_grow(s);
	s->log[s->end & s->mask] = id;
	s->live++;
	return (uint32_t)s->end++;
}

void stream_trim(struct stream *s)
{
	uint64_t upto = s->end;
	struct reader *rd;

	LIST_FOREACH(rd, &s->readers, link)
	if (rd->pos < upto)
		upto = rd->pos;
	for (; s->base < upto; s->base++) {
		uint32_t id = log_at(s, s->base);

		if (id == ID_NONE)
			continue;
		s->live--;
		if (!stream_entry(s, id)->attrs)
			entry_clear(s, id);
	}
	if (s->base == s->end && s->mask > 4096) {
		free(s->log);
		s->log = NULL;
	}
	chunks_expire(s);
}

/* ---- Changes ---- */

/* What should be sent of a prefix. */
struct wanted {
	struct attrs *attrs; /* NULL: nothing */
	uint16_t source;
	uint8_t kind;
};

static struct wanted stream_want(const struct stream *s, const struct node *n)
{
	struct rib *r = s->rib;
	const struct route *rt;
	struct export x;

	if (n->routes == ID_NONE)
		return (struct wanted){0};
	rt = route_at(r, n->routes);
	if (!(rt->flags & ROUTE_BEST))
		return (struct wanted){0};
	x = (struct export){
	    &s->group->key, r, s->family, rt->peer, route_source(rt), rt->attrs, table_prefix(&r->table[s->family], n)};
	if (export_refusal(&x, NULL))
		return (struct wanted){0};
	return (struct wanted){rt->attrs, rt->peer, (uint8_t)x.kind};
}

static bool entry_is(const struct entry *e, const struct wanted *w)
{
	if (!e || !e->attrs)
		return !w->attrs;
	return e->attrs == w->attrs && e->source == w->source && e->kind == w->kind;
}

/* Puts the new state into the entry (references and counts included). */
static void entry_assign(struct stream *s, struct entry *e, const struct wanted *w)
{
	if (e->attrs)
		sent_count(s, e->source, -1);
	if (w->attrs) {
		attrs_ref(w->attrs);
		sent_count(s, w->source, 1);
		e->source = w->source;
		e->kind = w->kind;
	}
	attrs_unref(s->rib->attrs, e->attrs);
	e->attrs = w->attrs;
}

/* The entry loses its place in the log, for a new one at the end. False if it goes without having been noticed. */
static bool entry_unplace(struct stream *s, struct entry *e, uint32_t id, const struct wanted *w)
{
	uint64_t pos;

	if (!log_place(s, e, id, &pos)) {
		e->flags &= (uint8_t) ~(ENTRY_MOVED | ENTRY_NEW);
		return true;
	}
	log_blank(s, pos);
	if (pos < s->encoded)
		e->flags &= (uint8_t)~ENTRY_NEW;
	return w->attrs || !(e->flags & ENTRY_NEW);
}

void stream_change(struct stream *s, uint32_t id, const struct node *n)
{
	struct entry *e = stream_entry(s, id);
	struct wanted w;

	if (id >= s->filled)
		return;
	w = stream_want(s, n);
	if (entry_is(e, &w) && !(n->flags & NODE_TELL && w.attrs))
		return;
	if (!e) {
		e = entry_make(s, id);
		e->flags |= ENTRY_NEW;
	} else if (!entry_unplace(s, e, id, &w)) {
		entry_assign(s, e, &w);
		entry_clear(s, id);
		return;
	} else if (w.attrs && e->source != w.source) {
		e->flags |= ENTRY_MOVED;
	}
	entry_assign(s, e, &w);
	e->pos = log_push(s, id);
	s->rib->notify = true;
}

void stream_fill(struct stream *s, uint32_t id)
{
	const struct node *n = table_node(&s->rib->table[s->family], id);
	struct wanted w;

	s->filled = id + 1;
	if (!(n->flags & NODE_USED))
		return;
	w = stream_want(s, n);
	if (w.attrs)
		entry_assign(s, entry_make(s, id), &w);
}

void stream_filled(struct stream *s)
{
	s->filled = ID_NONE;
}
