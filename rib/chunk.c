/* Encoded stretches of a stream: who shares them, and for how long. encode.c makes them. */
#include <stdlib.h>

#include "daemon/base/mem.h"
#include "rib/core.h"
#include "rib/encode.h"
#include "rib/group.h"

/* Shared chunks a stream keeps at most: a member further behind encodes again, from the newest state. */
#define SHARED_BYTES (4096u * 1024u)
#define SHARED_CHUNKS 64u

void chunk_unref(struct chunk *c)
{
	if (!c || --c->refs)
		return;
	buf_unref(c->buf);
	free(c);
}

static size_t chunk_size(const struct chunk *c)
{
	return sizeof *c + c->n_segs * sizeof *c->segs + (c->buf ? c->buf->len : 0);
}

void chunk_remove(struct stream *s, struct chunk *c)
{
	TAILQ_REMOVE(&s->chunks, c, link);
	s->chunk_bytes -= chunk_size(c);
	s->n_chunks--;
	chunk_unref(c);
}

void chunk_share(struct stream *s, struct chunk *c)
{
	/* With one member nobody will come by. (One that has not begun yet is no reader, but will be.) */
	if (s->group->members < 2)
		return;
	c->refs++;
	TAILQ_INSERT_HEAD(&s->chunks, c, link);
	s->chunk_bytes += chunk_size(c);
	s->n_chunks++;
	while (s->n_chunks > 1 && (s->chunk_bytes > SHARED_BYTES || s->n_chunks > SHARED_CHUNKS))
		chunk_remove(s, TAILQ_LAST(&s->chunks, chunk_list));
}

void chunks_forget(struct stream *s)
{
	struct chunk *c;

	while ((c = TAILQ_FIRST(&s->chunks)))
		chunk_remove(s, c);
}

void chunks_forget_kind(struct stream *s, enum chunk_kind kind)
{
	struct chunk *c, *next;

	TAILQ_FOREACH_SAFE(c, &s->chunks, link, next)
	{
		if (c->kind == kind)
			chunk_remove(s, c);
	}
}

/* A log chunk is of use until all have passed it; a walk's, as long as the log still has all that came after. */
void chunks_expire(struct stream *s)
{
	struct chunk *c, *next;

	TAILQ_FOREACH_SAFE(c, &s->chunks, link, next)
	{
		if ((c->kind == CHUNK_LOG ? c->end : c->encoded_at + 1) <= s->base)
			chunk_remove(s, c);
	}
}

struct chunk *chunk_find(struct stream *s, enum chunk_kind kind, uint64_t start, uint64_t *limit)
{
	struct chunk *c;

	TAILQ_FOREACH(c, &s->chunks, link)
	{
		if (c->kind != kind)
			continue;
		if (c->start == start) {
			TAILQ_REMOVE(&s->chunks, c, link);
			TAILQ_INSERT_HEAD(&s->chunks, c, link);
			c->refs++;
			return c;
		}
		if (c->start > start && c->start < *limit)
			*limit = c->start;
	}
	return NULL;
}

struct chunk *chunk_markers(enum family f, bool borr, bool eorr, bool eor)
{
	struct chunk *c = mem_alloc(sizeof *c + sizeof *c->segs);
	uint8_t bytes[128];
	struct wr w = wr_make(bytes, sizeof bytes);

	if (borr)
		bgp_refresh_encode(&w, f, BGP_REFRESH_BEGIN);
	if (eorr)
		bgp_refresh_encode(&w, f, BGP_REFRESH_END);
	if (eor)
		bgp_update_encode_end_of_rib(&w, f);
	*c = (struct chunk){.refs = 1, .kind = CHUNK_PRIVATE, .n_segs = 1};
	c->segs[0] = (struct seg){.len = (uint32_t)wr_len(&w)};
	c->buf = buf_new(bytes, wr_len(&w));
	return c;
}
