/* Invariants: an entry is used as long as it has attributes or its withdrawal is in the log; a used entry holds its
 * node (node.held), so what the log names is valid; log_place() finds an entry exactly if some reader may not have
 * passed its last change. */
#include "rib/adjout.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "rib/core.h"
#include "rib/encode.h"
#include "rib/export.h"
#include "rib/policy_ops.h"
#include "rib/want.h"

/* ---- Life ---- */

struct stream *stream_new(struct rib *r, struct group *g, enum family f)
{
	struct stream *s = mem_calloc(1, sizeof *s);

	s->rib = r;
	s->group = g;
	s->family = f;
	s->add_path = g->key.add_path_tx >> f & 1;
	s->tracks_ops = policy_has_interfaces(g->key.export) && policy_has_ops(g->key.export);
	pool_init(&s->paths, sizeof(struct path_entry));
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
	free(s->ops);
	s->log = NULL;
	s->sent_by = s->ops = NULL;
	s->group = NULL;
	LIST_INSERT_HEAD(&r->dying, s, dying);
	loop_work_schedule(r->loop, &r->reap_work);
}

bool streams_reap(struct rib *r, uint64_t deadline)
{
	struct stream *s;

	while ((s = LIST_FIRST(&r->dying))) {
		while (s->n_pages) {
			entries_reap(s);
			if (mono_now() >= deadline)
				return true;
		}
		LIST_REMOVE(s, dying);
		free(s->pages);
		pool_clear(&s->paths);
		free(s);
	}
	return false;
}

size_t stream_bytes(const struct stream *s)
{
	size_t bytes = sizeof *s + entries_bytes(s) + s->n_sent_by * sizeof *s->sent_by + s->chunk_bytes;

	bytes += s->n_ops * sizeof *s->ops;
	return bytes + (s->log ? ((size_t)s->mask + 1) * sizeof *s->log : 0);
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

/* Room for so many more places: what was passed is forgotten first. */
static void log_reserve(struct stream *s, uint32_t n)
{
	if (s->log && s->end - s->base + n > s->mask + 1ull)
		stream_trim(s);
	if (s->log && s->end - s->base + n > s->mask + 1ull && s->live + n <= s->mask / 2)
		log_compact(s);
	while (!s->log || s->end - s->base + n > s->mask + 1ull)
		log_grow(s);
}

static uint32_t log_push(struct stream *s, uint32_t id)
{
	log_reserve(s, 1);
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

static bool entry_is(const struct entry *e, const struct want *w)
{
	return e->attrs == w->attrs &&
	       (!w->attrs || (e->source == w->source && e->kind == w->kind && e->identity == w->identity));
}

/* Does the peer go along this stream? Then it is of consequence which routes are its own. */
static bool is_read_by(const struct stream *s, uint16_t peer)
{
	const struct rib_peer *p = s->rib->peers[peer];

	return p && (p->fam[s->family].cursor.stream == s || p->fam[s->family].cursor.from == s);
}

bool entry_is_current(const struct stream *s, const struct entry *e)
{
	const struct rib_peer *source = s->rib->peers[e->source];

	return source && source->identity == e->identity;
}

/* Does what is wanted look the same to everybody as what was sent? A change of the best route often does where next hop
 * and MED are ours. */
static bool entry_looks(const struct stream *s, uint32_t id, const struct entry *e, const struct want *w)
{
	const struct table *t = &s->rib->table[s->family];
	struct export was, is;

	if (!e->attrs || !w->attrs || !entry_is_current(s, e))
		return false;
	if (e->source != w->source && (is_read_by(s, e->source) || is_read_by(s, w->source)))
		return false;
	was = (struct export){&s->group->key,
			      s->rib,
			      s->family,
			      e->source,
			      (enum route_source)e->kind,
			      e->attrs,
			      table_prefix(t, table_node(t, entry_node(s, id)))};
	is = was;
	is.source = w->source;
	is.kind = (enum route_source)w->kind;
	is.attrs = w->attrs;
	return export_same(&was, &is, &s->rib->arena);
}

/* What an entry's route would be changed by on its way out. */
static uint32_t ops_of(const struct stream *s, uint32_t id, const struct want *w)
{
	const struct table *t = &s->rib->table[s->family];
	struct export x = {&s->group->key,
			   s->rib,
			   s->family,
			   w->source,
			   (enum route_source)w->kind,
			   w->attrs,
			   table_prefix(t, table_node(t, entry_node(s, id)))};
	uint64_t ops = w->attrs ? export_ops_id(&x) : 0;

	return (uint32_t)(ops ^ ops >> 32);
}

/* Does the same route go out with other changes than it did? */
static bool ops_differ(const struct stream *s, uint32_t id, const struct want *w)
{
	return s->tracks_ops && (id < s->n_ops ? s->ops[id] : 0) != ops_of(s, id, w);
}

static void ops_note(struct stream *s, uint32_t id, const struct want *w)
{
	if (!s->tracks_ops)
		return;
	if (id >= s->n_ops) {
		uint32_t n = id + 1u + id / 2;

		s->ops = mem_realloc(s->ops, n * sizeof *s->ops);
		memset(s->ops + s->n_ops, 0, (n - s->n_ops) * sizeof *s->ops);
		s->n_ops = n;
	}
	s->ops[id] = ops_of(s, id, w);
}

/* Puts the new state into the entry (references and counts included). */
static void entry_assign(struct stream *s, struct entry *e, uint32_t id, const struct want *w)
{
	if (e->attrs)
		sent_count(s, e->source, -1);
	if (w->attrs) {
		attrs_ref(w->attrs);
		sent_count(s, w->source, 1);
		e->source = w->source;
		e->kind = w->kind & 7u;
		e->identity = w->identity & (IDENTITIES - 1);
	}
	attrs_unref(s->rib->attrs, e->attrs);
	e->attrs = w->attrs;
	ops_note(s, id, w);
}

/* The entry loses its place in the log, for a new one at the end. False if it goes without having been noticed. */
static bool entry_unplace(struct stream *s, struct entry *e, uint32_t id, const struct want *w)
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

static void entry_log(struct stream *s, struct entry *e, uint32_t id, const struct want *w)
{
	entry_assign(s, e, id, w);
	e->pos = log_push(s, id);
	s->rib->notify = true;
}

static void entry_add(struct stream *s, uint32_t id, const struct want *w)
{
	struct entry *e = stream_entry(s, id);

	e->flags |= ENTRY_NEW;
	entry_log(s, e, id, w);
}

static void entry_change(struct stream *s, uint32_t id, const struct want *w)
{
	struct entry *e = stream_entry(s, id);
	bool same_ops = !ops_differ(s, id, w);

	if (entry_is(e, w) && same_ops)
		return;
	if (same_ops && entry_looks(s, id, e, w)) {
		/* The log will not say that the route is now another's: a walk's chunk must not say that it is not. */
		if (e->source != w->source)
			chunks_forget_kind(s, CHUNK_WALK);
		entry_assign(s, e, id, w);
		return;
	}
	if (!entry_unplace(s, e, id, w)) {
		entry_assign(s, e, id, w);
		entry_clear(s, id);
		return;
	}
	if (w->attrs && e->source != w->source)
		e->flags |= ENTRY_MOVED;
	entry_log(s, e, id, w);
}

static void best_change(struct stream *s, uint32_t node, const struct node *n)
{
	struct want w = want_best(s->group, s->family, n);

	if (stream_entry(s, node))
		entry_change(s, node, &w);
	else if (w.attrs)
		entry_add(s, entry_make(s, node, 0, ID_NONE), &w);
}

/* Both the entries and what is wanted are in the order of path identifiers. */
static void paths_change(struct stream *s, uint32_t node, const struct node *n)
{
	const struct want_list *want = want_paths(s->group, s->family, n, true);
	uint32_t last = ID_NONE, id, next, count = want->n;

	for (id = entry_first(s, node, 0); id != ID_NONE; id = entry_next(s, id))
		count++;
	if (!count)
		return;
	/* Making room forgets entries, perhaps of this very node: now, and not between two of them. */
	log_reserve(s, count);
	id = entry_first(s, node, 0);
	for (unsigned i = 0; i < want->n || id != ID_NONE; id = next) {
		const struct want *w = i < want->n ? &want->w[i] : NULL;

		next = id;
		if (id == ID_NONE || (w && w->path_id < entry_path(s, id))) {
			last = entry_make(s, node, w->path_id, last);
			entry_add(s, last, w);
			i++;
			continue;
		}
		next = entry_next(s, id);
		if (w && w->path_id == entry_path(s, id)) {
			entry_change(s, id, w);
			i++;
		} else {
			entry_change(s, id, &(struct want){0});
		}
		if (stream_entry(s, id))
			last = id;
	}
}

void stream_change(struct stream *s, uint32_t node, const struct node *n)
{
	if (node >= s->filled)
		return;
	if (s->add_path)
		paths_change(s, node, n);
	else
		best_change(s, node, n);
}

static uint32_t entry_fill(struct stream *s, uint32_t node, uint32_t after, const struct want *w)
{
	uint32_t id = entry_make(s, node, w->path_id, after);

	entry_assign(s, stream_entry(s, id), id, w);
	return id;
}

void stream_fill(struct stream *s, uint32_t node)
{
	const struct node *n = table_node(&s->rib->table[s->family], node);
	const struct want_list *list;
	uint32_t last = ID_NONE;
	struct want w;

	s->filled = node + 1;
	if (!(n->flags & NODE_USED))
		return;
	if (s->add_path) {
		list = want_paths(s->group, s->family, n, true);
		for (unsigned i = 0; i < list->n; i++)
			last = entry_fill(s, node, last, &list->w[i]);
	} else {
		w = want_best(s->group, s->family, n);
		if (w.attrs)
			entry_fill(s, node, last, &w);
	}
}

void stream_filled(struct stream *s)
{
	s->filled = ID_NONE;
}
