/* A stretch of changes becomes UPDATEs: prefixes with the same outgoing attributes go into one message, withdrawals
 * into theirs. Every message says for whom it is, so that a member never gets its own routes back:
 *
 *	announcement		all but the route's source, and but the owner of its next hop (RFC 4271 5.1.3)
 *	withdrawal		all but the source of what was announced, which never got it; all, if others were before
 *	withdrawal, `only`	one peer, which may have what has since become its own route (or its own next hop)
 *
 * Consecutive messages for the same readers are one segment. */
#include "rib/encode.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "rib/core.h"
#include "rib/export.h"
#include "rib/group.h"
#include "rib/policy_ops.h"

/* Nodes a walk looks at for one chunk: bounds the time of a slice when there is little to send. */
#define WALK_NODES 16384u
/* Octets of an UPDATE around attributes and prefixes, and what attributes grow by on the way out: an estimate. */
#define MESSAGE_OVERHEAD 64u
#define HEADS 1024u

struct item {
	uint32_t node, path_id;
	uint32_t next; /* of the same bucket */
};

/* What one UPDATE can carry: all prefixes that look the same to the same readers. */
struct bucket {
	const struct attrs *attrs; /* NULL: withdrawals */
	uint64_t ops;		   /* the policy's changes */
	uint16_t source;
	uint8_t kind;
	bool only;
	uint32_t first, last, count; /* items */
	uint32_t chain;
};

struct encoder {
	struct rib *rib;
	struct item *items;
	struct bucket *buckets;
	struct bgp_nlri *nlri;
	struct seg *segs;
	unsigned n_items, items_cap, n_buckets, buckets_cap, nlri_cap, n_segs, segs_cap;
	uint32_t heads[HEADS];
	size_t estimate;
	struct wr w; /* owns w.start */
	struct arena arena;
	struct log_limit limit;
	/* Memo of same_announcement(). */
	struct {
		const struct attrs *a, *b;
		uint16_t source_a, source_b;
		bool valid, same;
	} memo;
};

struct encoder *encoder_new(struct rib *r)
{
	struct encoder *e = mem_calloc(1, sizeof *e);

	e->rib = r;
	return e;
}

void encoder_free(struct encoder *e)
{
	free(e->items);
	free(e->buckets);
	free(e->nlri);
	free(e->segs);
	free(e->w.start);
	arena_free(&e->arena);
	free(e);
}

static void *array_grow(void *p, unsigned n, unsigned *cap, size_t size)
{
	if (n < *cap)
		return p;
	*cap = *cap ? *cap * 2 : 64;
	return mem_realloc(p, *cap * size);
}

/* ---- Collecting ---- */

static void collect_begin(struct encoder *e)
{
	e->n_items = e->n_buckets = e->n_segs = 0;
	e->estimate = 0;
	memset(e->heads, 0xff, sizeof e->heads);
}

static bool bucket_is(const struct bucket *a, const struct bucket *b)
{
	return a->attrs == b->attrs && a->ops == b->ops && a->source == b->source && a->kind == b->kind &&
	       a->only == b->only;
}

static struct bucket *bucket_get(struct encoder *e, const struct bucket *want)
{
	uint64_t h =
	    ((uintptr_t)want->attrs >> 3 ^ want->ops ^ (uint64_t)want->source << 40 ^ want->only) * 0x9e3779b97f4a7c15u;
	uint32_t *head = &e->heads[h >> 54];
	struct bucket *b;

	for (uint32_t i = *head; i != ID_NONE; i = e->buckets[i].chain)
		if (bucket_is(&e->buckets[i], want))
			return &e->buckets[i];
	e->buckets = array_grow(e->buckets, e->n_buckets, &e->buckets_cap, sizeof *e->buckets);
	b = &e->buckets[e->n_buckets];
	*b = *want;
	b->first = b->last = ID_NONE;
	b->count = 0;
	b->chain = *head;
	*head = e->n_buckets++;
	e->estimate += MESSAGE_OVERHEAD + (want->attrs ? want->attrs->len : 0);
	return b;
}

/* The prefix and path of an entry; of a stream that this one is compared with, too. */
static void collect(struct encoder *e, const struct stream *s, const struct bucket *want, uint32_t id)
{
	struct bucket *b = bucket_get(e, want);
	uint32_t node = entry_node(s, id);

	e->items = array_grow(e->items, e->n_items, &e->items_cap, sizeof *e->items);
	e->items[e->n_items] = (struct item){node, entry_path(s, id), ID_NONE};
	if (b->last == ID_NONE)
		b->first = e->n_items;
	else
		e->items[b->last].next = e->n_items;
	b->last = e->n_items++;
	b->count++;
	e->estimate += (s->add_path ? 5 : 1) + (table_node(&s->rib->table[s->family], node)->len + 7u) / 8;
}

static struct export entry_export(const struct stream *s, const struct group_key *key, uint32_t id,
				  const struct entry *entry)
{
	const struct table *t = &s->rib->table[s->family];

	return (struct export){key,
			       s->rib,
			       s->family,
			       entry->source,
			       (enum route_source)entry->kind,
			       entry->attrs,
			       table_prefix(t, table_node(t, entry_node(s, id)))};
}

static void collect_reach(struct encoder *e, const struct stream *s, uint32_t id, const struct entry *entry)
{
	struct bucket want = {.attrs = entry->attrs, .source = entry->source, .kind = entry->kind};
	struct export x;

	if (policy_has_ops(s->group->key.export)) {
		x = entry_export(s, &s->group->key, id, entry);
		want.ops = export_ops_id(&x);
	}
	collect(e, s, &want, id);
}

static void collect_unreach(struct encoder *e, const struct stream *s, uint32_t id, uint16_t source, bool only)
{
	struct bucket want = {.source = source, .only = only};

	collect(e, s, &want, id);
}

/* A place of the log. */
static void collect_change(struct encoder *e, const struct stream *s, uint32_t id, const struct entry *entry)
{
	bool moved = entry->flags & ENTRY_MOVED;
	const struct rib_peer *source = s->rib->peers[entry->source];

	if (!entry->attrs) {
		collect_unreach(e, s, id, moved ? LOCAL_PEER : entry->source, false);
		return;
	}
	if (moved && entry->source != LOCAL_PEER && source && source->group == s->group)
		collect_unreach(e, s, id, entry->source, true);
	collect_reach(e, s, id, entry);
}

/* ---- Writing ---- */

/* Room for a message, whatever its size. */
static void reserve(struct encoder *e, size_t more)
{
	size_t used = wr_len(&e->w), cap = CHUNK_BYTES;

	if (e->w.start && wr_room(&e->w) >= more)
		return;
	while (cap < used + more)
		cap *= 2;
	e->w = wr_make(mem_realloc(e->w.start, cap), cap);
	wr_take(&e->w, used);
}

static void seg_add(struct encoder *e, size_t from, uint16_t source, uint16_t owner, bool only, size_t reach,
		    size_t unreach)
{
	struct seg *last = e->n_segs ? &e->segs[e->n_segs - 1] : NULL;

	if (!last || last->source != source || last->owner != owner || last->only != only) {
		e->segs = array_grow(e->segs, e->n_segs, &e->segs_cap, sizeof *e->segs);
		last = &e->segs[e->n_segs++];
		*last = (struct seg){.off = (uint32_t)from, .source = source, .owner = owner, .only = only};
	}
	last->len = (uint32_t)(wr_len(&e->w) - last->off);
	last->reach += (uint32_t)reach;
	last->unreach += (uint32_t)unreach;
}

/* The bucket's prefixes, into e->nlri. */
static void gather(struct encoder *e, const struct stream *s, const struct bucket *b)
{
	const struct table *t = &s->rib->table[s->family];
	uint32_t n = 0;

	while (e->nlri_cap < b->count)
		e->nlri = array_grow(e->nlri, e->nlri_cap, &e->nlri_cap, sizeof *e->nlri);
	for (uint32_t i = b->first; i != ID_NONE; i = e->items[i].next, n++) {
		table_prefix_to(t, table_node(t, e->items[i].node), &e->nlri[n].prefix);
		e->nlri[n].path_id = e->items[i].path_id;
	}
}

static void write_unreach(struct encoder *e, const struct stream *s, uint32_t count, uint16_t source, bool only)
{
	const struct bgp_codec *codec = &s->group->codec;

	for (size_t done = 0, n; done < count; done += n) {
		size_t from = wr_len(&e->w);

		reserve(e, codec->max_message);
		n = bgp_update_encode_unreach(&e->w, codec, s->family, e->nlri + done, count - done);
		if (!n)
			abort(); /* a prefix is 26 octets at most */
		seg_add(e, from, source, LOCAL_PEER, only, 0, n);
	}
}

/* Attributes that leave no room for a prefix: the route cannot be announced, and what was before is no longer true. */
static void give_up(struct encoder *e, const struct stream *s, uint32_t count, uint16_t source)
{
	uint32_t suppressed;

	if (log_allowed(&e->limit, 1, 10 * MONO_SEC, &suppressed))
		log_warn("rib", "attributes too long for a message of %u octets: routes not announced (%u more since)",
			 s->group->codec.max_message, suppressed);
	write_unreach(e, s, count, source, false);
}

static void write_reach(struct encoder *e, const struct stream *s, const struct bucket *b, bool changes)
{
	const struct bgp_codec *codec = &s->group->codec;
	struct export x = {&s->group->key, s->rib,	     s->family, b->source, (enum route_source)b->kind,
			   b->attrs,	   e->nlri[0].prefix};
	uint16_t owner = LOCAL_PEER;
	struct bgp_attrs attrs;

	export_attrs(&x, &attrs, &e->arena);
	if (!export_next_hop(&x, &attrs.next_hop))
		owner = peer_by_address(s->rib, &attrs.next_hop.addr);
	if (owner == b->source)
		owner = LOCAL_PEER;
	for (size_t done = 0, n; done < b->count; done += n) {
		size_t from;

		reserve(e, codec->max_message);
		from = wr_save(&e->w);
		n = bgp_update_encode_reach(&e->w, codec, s->family, &attrs, e->nlri + done, b->count - done);
		if (!n) {
			wr_undo(&e->w, from);
			give_up(e, s, b->count, b->source);
			break;
		}
		seg_add(e, from, b->source, owner, false, n, 0);
	}
	if (changes && owner != LOCAL_PEER && s->rib->peers[owner]->group == s->group)
		write_unreach(e, s, b->count, owner, true);
	arena_reset(&e->arena);
}

/* Encodes what was collected. changes: readers may have something of these prefixes already. */
static struct chunk *finish(struct encoder *e, struct stream *s, enum chunk_kind kind, uint64_t start, uint64_t end)
{
	struct chunk *c;

	wr_undo(&e->w, 0);
	for (unsigned i = 0; i < e->n_buckets; i++) {
		const struct bucket *b = &e->buckets[i];

		if (b->attrs)
			continue;
		gather(e, s, b);
		write_unreach(e, s, b->count, b->source, b->only);
	}
	for (unsigned i = 0; i < e->n_buckets; i++) {
		if (!e->buckets[i].attrs)
			continue;
		gather(e, s, &e->buckets[i]);
		write_reach(e, s, &e->buckets[i], kind == CHUNK_LOG);
	}
	c = mem_alloc(sizeof *c + e->n_segs * sizeof *c->segs);
	*c = (struct chunk){.refs = 1, .kind = kind, .start = start, .end = end, .encoded_at = s->end};
	c->n_segs = e->n_segs;
	if (e->n_segs)
		memcpy(c->segs, e->segs, e->n_segs * sizeof *c->segs);
	if (wr_len(&e->w))
		c->buf = buf_new(e->w.start, wr_len(&e->w));
	return c;
}

/* ---- The log ---- */

struct chunk *chunk_log(struct stream *s, uint64_t pos)
{
	struct encoder *e = s->rib->encoder;
	uint64_t start = pos, limit = s->end;
	struct chunk *c = chunk_find(s, CHUNK_LOG, pos, &limit);

	if (c)
		return c;
	collect_begin(e);
	for (; pos < limit && e->estimate < CHUNK_BYTES; pos++) {
		uint32_t id = log_at(s, pos);

		if (id != ID_NONE)
			collect_change(e, s, id, stream_entry(s, id));
	}
	if (pos > s->encoded)
		s->encoded = pos;
	c = finish(e, s, CHUNK_LOG, start, pos);
	chunk_share(s, c);
	return c;
}

/* ---- Walks ---- */

/* The entry, marked as known to somebody; NULL if nothing is sent of it. */
static struct entry *walk_entry(struct stream *s, uint32_t id)
{
	struct entry *entry = id == ID_NONE ? NULL : stream_entry(s, id);

	if (!entry || !entry->attrs)
		return NULL;
	entry->flags &= (uint8_t)~ENTRY_NEW;
	return entry;
}

static uint64_t walk_limit(const struct stream *s, uint64_t place)
{
	uint32_t node = place_node(place), bound = s->rib->table[s->family].nodes.bound;

	return place_of(bound - node > WALK_NODES ? node + WALK_NODES : bound, 0);
}

/* Collects what the node has from this place up to the limit, as far as the chunk takes it; returns the place behind.
 */
static uint64_t collect_node(struct encoder *e, struct stream *s, uint64_t place, uint64_t limit)
{
	uint32_t node = place_node(place);

	if (node >= s->filled)
		stream_fill(s, node);
	for (uint32_t id = entry_first(s, node, (uint32_t)place); id != ID_NONE; id = entry_next(s, id)) {
		const struct entry *entry;

		place = place_of(node, entry_path(s, id));
		if (place >= limit || e->estimate >= CHUNK_BYTES)
			return place;
		entry = walk_entry(s, id);
		if (entry)
			collect_reach(e, s, id, entry);
	}
	return place_of(node + 1, 0);
}

struct chunk *chunk_walk(struct stream *s, uint64_t place, uint64_t *log_pos)
{
	struct encoder *e = s->rib->encoder;
	uint64_t start = place, limit = walk_limit(s, place);
	struct chunk *c = chunk_find(s, CHUNK_WALK, place, &limit);

	if (c && (c->encoded_at >= *log_pos || c->encoded_at >= s->base)) {
		if (c->encoded_at < *log_pos)
			*log_pos = c->encoded_at;
		return c;
	}
	if (c) {
		chunk_remove(s, c);
		chunk_unref(c);
	}
	collect_begin(e);
	while (place < limit && e->estimate < CHUNK_BYTES)
		place = collect_node(e, s, place, limit);
	c = finish(e, s, CHUNK_WALK, start, place);
	chunk_share(s, c);
	return c;
}

/* ---- Differences ---- */

/* Does (or did) this entry of a stream reach the peer? */
static bool reaches(const struct stream *s, uint32_t id, const struct entry *entry, const struct rib_peer *p)
{
	struct export x;

	if (!entry || !entry->attrs || entry->source == p->index)
		return false;
	x = entry_export(s, &s->group->key, id, entry);
	return !export_is_owner(&x, p);
}

/* Do both announce the prefix with the same attributes? Memoised: neighbours in the table often share theirs. */
static bool same_announcement(struct encoder *e, const struct export *a, const struct export *b)
{
	bool plain = !policy_has_ops(a->key->export) && !policy_has_ops(b->key->export) && a->kind == b->kind;
	bool same;

	if (plain && e->memo.valid && e->memo.a == a->attrs && e->memo.b == b->attrs && e->memo.source_a == a->source &&
	    e->memo.source_b == b->source)
		return e->memo.same;
	same = export_same(a, b, &e->arena);
	e->memo.a = a->attrs;
	e->memo.b = b->attrs;
	e->memo.source_a = a->source;
	e->memo.source_b = b->source;
	e->memo.same = same;
	e->memo.valid = plain;
	return same;
}

/* id and old_id, either of them ID_NONE if there is none, are the same path of the same prefix in both streams. */
static void collect_difference(struct encoder *e, struct stream *s, const struct rib_peer *p, uint32_t id,
			       uint32_t old_id)
{
	const struct cursor *c = &p->fam[s->family].cursor;
	const struct entry *new = walk_entry(s, id), *old = old_id == ID_NONE ? NULL : stream_entry(c->from, old_id);
	bool has = reaches(s, id, new, p);
	struct export x_new, x_old;
	uint64_t pos;

	if (old && log_place(c->from, old, old_id, &pos) && pos >= c->from_at.pos) {
		/* It had not been sent the last change there: what it has is not known. */
		if (!has)
			collect_unreach(e, c->from, old_id, LOCAL_PEER, false);
	} else if (!reaches(c->from, old_id, old, p)) {
		if (!has)
			return;
	} else if (!has) {
		collect_unreach(e, c->from, old_id, LOCAL_PEER, false);
	} else {
		x_new = entry_export(s, &s->group->key, id, new);
		x_old = entry_export(c->from, &c->from->group->key, old_id, old);
		if (entry_is_current(c->from, old) && same_announcement(e, &x_new, &x_old))
			return;
	}
	if (has)
		collect_reach(e, s, id, new);
}

/* Both lists of entries in the order of path identifiers. Returns the place behind what was collected. */
static uint64_t compare_node(struct encoder *e, struct stream *s, const struct rib_peer *p, uint64_t place)
{
	const struct cursor *c = &p->fam[s->family].cursor;
	uint32_t node = place_node(place), id, old = ID_NONE;

	if (node >= s->filled)
		stream_fill(s, node);
	id = entry_first(s, node, (uint32_t)place);
	if (node < c->from->filled)
		old = entry_first(c->from, node, (uint32_t)place);
	while (id != ID_NONE || old != ID_NONE) {
		uint64_t at = id == ID_NONE ? UINT64_MAX : place_of(node, entry_path(s, id));
		uint64_t old_at = old == ID_NONE ? UINT64_MAX : place_of(node, entry_path(c->from, old));

		if (e->estimate >= CHUNK_BYTES)
			return at < old_at ? at : old_at;
		collect_difference(e, s, p, at <= old_at ? id : ID_NONE,
				   old_at <= at && old_at < c->from_limit ? old : ID_NONE);
		id = at <= old_at ? entry_next(s, id) : id;
		old = old_at <= at ? entry_next(c->from, old) : old;
	}
	return place_of(node + 1, 0);
}

struct chunk *chunk_diff(struct stream *s, struct rib_peer *p, uint64_t place)
{
	struct encoder *e = s->rib->encoder;
	uint64_t start = place, limit = walk_limit(s, place);

	collect_begin(e);
	e->memo.valid = false;
	while (place < limit && e->estimate < CHUNK_BYTES)
		place = compare_node(e, s, p, place);
	return finish(e, s, CHUNK_PRIVATE, start, place);
}

/* ---- For those who watch ---- */

/* Nobody has been sent it yet: it may go as silently as it came. */
static bool is_unsaid(const struct stream *s, uint32_t id, const struct entry *entry)
{
	uint64_t pos;

	return entry->flags & ENTRY_NEW && log_place(s, entry, id, &pos) && pos >= s->encoded;
}

/* As collect_node(), but of what was said, and without a trace. */
static uint64_t collect_sent(struct encoder *e, const struct stream *s, uint64_t place, uint64_t limit)
{
	uint32_t node = place_node(place);

	for (uint32_t id = entry_first(s, node, (uint32_t)place); id != ID_NONE; id = entry_next(s, id)) {
		const struct entry *entry = stream_entry(s, id);

		place = place_of(node, entry_path(s, id));
		if (place >= limit || e->estimate >= CHUNK_BYTES)
			return place;
		if (entry->attrs && !is_unsaid(s, id, entry))
			collect_reach(e, s, id, entry);
	}
	return place_of(node + 1, 0);
}

struct chunk *chunk_sent(struct stream *s, uint64_t place, uint64_t limit)
{
	struct encoder *e = s->rib->encoder;
	uint64_t start = place, end = walk_limit(s, place);

	if (end > place_of(s->filled, 0))
		end = place_of(s->filled, 0);
	if (end > limit)
		end = limit;
	collect_begin(e);
	while (place < end && e->estimate < CHUNK_BYTES)
		place = collect_sent(e, s, place, end);
	return finish(e, s, CHUNK_PRIVATE, start, place);
}
