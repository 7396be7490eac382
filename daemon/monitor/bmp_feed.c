#include "daemon/monitor/bmp_feed.h"

#include <stdlib.h>

#include "daemon/base/mem.h"

#define BLOCK_BYTES 65536u

struct feed_block {
	TAILQ_ENTRY(feed_block) link;
	uint64_t start;
	size_t len, cap;
	uint8_t data[];
};

void feed_init(struct feed *f, size_t limit, void (*on_lost)(void *arg, struct feed_reader *r), void *arg)
{
	*f = (struct feed){.limit = limit, .on_lost = on_lost, .arg = arg};
	TAILQ_INIT(&f->blocks);
	LIST_INIT(&f->readers);
}

static void block_free(struct feed *f, struct feed_block *b)
{
	TAILQ_REMOVE(&f->blocks, b, link);
	free(b);
}

void feed_clear(struct feed *f)
{
	while (!TAILQ_EMPTY(&f->blocks))
		block_free(f, TAILQ_FIRST(&f->blocks));
}

/* Drops what all have read; the last block stays for what comes, as long as somebody reads. */
static void trim(struct feed *f)
{
	uint64_t upto = f->end;
	const struct feed_reader *r;
	struct feed_block *b;

	LIST_FOREACH(r, &f->readers, link)
	if (r->pos < upto)
		upto = r->pos;
	while ((b = TAILQ_FIRST(&f->blocks)) && b->start + b->len <= upto) {
		if (feed_is_read(f) && !TAILQ_NEXT(b, link) && b->cap == BLOCK_BYTES) {
			b->start = f->end;
			b->len = 0;
			return;
		}
		block_free(f, b);
	}
}

void feed_join(struct feed *f, struct feed_reader *r)
{
	r->pos = f->end;
	r->reading = true;
	LIST_INSERT_HEAD(&f->readers, r, link);
}

void feed_leave(struct feed *f, struct feed_reader *r)
{
	if (!r->reading)
		return;
	LIST_REMOVE(r, link);
	r->reading = false;
	trim(f);
}

static void drop_stragglers(struct feed *f, size_t more)
{
	struct feed_reader *r, *next;

	LIST_FOREACH_SAFE(r, &f->readers, link, next)
	{
		if (feed_behind(f, r) + more <= f->limit)
			continue;
		feed_leave(f, r);
		f->on_lost(f->arg, r);
	}
}

static struct feed_block *room_for(struct feed *f, size_t len)
{
	struct feed_block *b = TAILQ_LAST(&f->blocks, feed_blocks);
	size_t cap = len > BLOCK_BYTES ? len : BLOCK_BYTES;

	if (b && b->cap - b->len >= len)
		return b;
	b = mem_alloc(sizeof *b + cap);
	b->start = f->end;
	b->len = 0;
	b->cap = cap;
	TAILQ_INSERT_TAIL(&f->blocks, b, link);
	return b;
}

void feed_write(struct feed *f, struct span message)
{
	struct feed_block *b;

	drop_stragglers(f, message.len);
	if (!feed_is_read(f))
		return;
	b = room_for(f, message.len);
	memcpy(&b->data[b->len], message.p, message.len);
	b->len += message.len;
	f->end += message.len;
	f->messages++;
}

struct span feed_peek(const struct feed *f, const struct feed_reader *r)
{
	struct feed_block *b;

	if (!r->reading)
		return (struct span){0};
	TAILQ_FOREACH(b, &f->blocks, link)
	if (r->pos < b->start + b->len)
		return (struct span){&b->data[r->pos - b->start], (size_t)(b->start + b->len - r->pos)};
	return (struct span){0};
}

void feed_advance(struct feed *f, struct feed_reader *r, size_t n)
{
	r->pos += n;
	trim(f);
}
