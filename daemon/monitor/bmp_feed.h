/* A stream of messages that several readers follow, each at its own pace, and of which at most a fixed number of octets
 * is kept: who is further behind loses its place. Nothing is kept while nobody reads. */
#ifndef DAEMON_MONITOR_BMP_FEED_H
#define DAEMON_MONITOR_BMP_FEED_H

#include <bsd/sys/queue.h>
#include <stdbool.h>

#include "daemon/base/wire.h"

struct feed_block;

struct feed_reader {
	uint64_t pos;
	bool reading;
	LIST_ENTRY(feed_reader) link;
};

struct feed {
	size_t limit;
	/* This reader was removed: it was too far behind. It must not be freed in the call. */
	void (*on_lost)(void *arg, struct feed_reader *r);
	void *arg;
	TAILQ_HEAD(feed_blocks, feed_block) blocks;
	LIST_HEAD(, feed_reader) readers;
	uint64_t end;	   /* octets ever written */
	uint64_t messages; /* the same in messages */
};

void feed_init(struct feed *f, size_t limit, void (*on_lost)(void *arg, struct feed_reader *r), void *arg);
/* Frees what is kept; readers must have gone. */
void feed_clear(struct feed *f);
/* Reads what is written from now on. */
void feed_join(struct feed *f, struct feed_reader *r);
/* A reader that is none is left alone. */
void feed_leave(struct feed *f, struct feed_reader *r);
static inline bool feed_is_read(const struct feed *f)
{
	return !LIST_EMPTY(&f->readers);
}
/* Adds a whole message (copied). */
void feed_write(struct feed *f, struct span message);
/* What comes next for the reader, as far as it is in one piece; empty if there is nothing. Valid until the next write.
 */
struct span feed_peek(const struct feed *f, const struct feed_reader *r);
void feed_advance(struct feed *f, struct feed_reader *r, size_t n);
static inline size_t feed_behind(const struct feed *f, const struct feed_reader *r)
{
	return r->reading ? (size_t)(f->end - r->pos) : 0;
}

#endif
