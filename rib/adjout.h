/* The sent state of an update group, per family: one entry per prefix that goes out, and the log of changes.
 *
 * The log holds node ids in the order of their last change. A prefix is in it at most once: a change appends it and
 * blanks its old place. Readers (cursors) go along it; what all have passed is forgotten, and a log that is mostly
 * blanks is compacted, so it never exceeds twice the number of prefixes however slow a reader is. */
#ifndef RIB_ADJOUT_H
#define RIB_ADJOUT_H

#include <bsd/sys/queue.h>

#include "rib/rib.h"
#include "rib/send.h"
#include "rib/table.h"

struct chunk;
struct group;

/* 16 octets. attrs are those of the RIB; what goes out is computed when it is encoded. */
struct entry {
	struct attrs *attrs; /* NULL: withdrawn, and somebody may not know it yet. One reference */
	uint32_t pos;	     /* low half of the log position, if the log has the node there */
	uint16_t source;     /* peer index; of a withdrawn prefix, whose it was */
	uint8_t kind;	     /* enum route_source */
	uint8_t flags;	     /* ENTRY_* */
};
#define ENTRY_USED 1
#define ENTRY_MOVED \
	2 /* came from another peer before, and not every reader has passed that change: `source` may have it */
#define ENTRY_NEW 4 /* nobody has been sent anything of it yet */

struct entry_page {
	uint32_t used;
	struct entry e[PAGE_NODES];
};

TAILQ_HEAD(chunk_list, chunk);

struct stream {
	struct rib *rib;
	struct group *group; /* NULL once dying */
	enum family family;
	struct entry_page **pages; /* by node id >> PAGE_SHIFT */
	uint32_t n_pages;
	uint32_t filled;   /* nodes below have their entries; the first walk fills as it goes. ID_NONE: all of them */
	uint32_t sent;	   /* entries with attrs */
	uint32_t *sent_by; /* the same by source */
	uint32_t n_sent_by;

	uint32_t *log; /* ring of node ids, ID_NONE for blanks */
	uint32_t mask;
	uint64_t base, end;
	uint32_t live;	  /* places that are not blank */
	uint64_t encoded; /* places before were put into some UPDATE */
	LIST_HEAD(, reader) readers;

	struct chunk_list chunks; /* encoded stretches, the last used first */
	size_t chunk_bytes;
	unsigned n_chunks;

	LIST_ENTRY(stream) dying;
};

struct stream *stream_new(struct rib *r, struct group *g, enum family f);
/* Nobody uses it any more: it is taken apart in slices by streams_reap(). */
void stream_retire(struct stream *s);
/* Takes dying streams apart until the deadline; true if some are left. */
bool streams_reap(struct rib *r, uint64_t deadline);

/* The node's entry if it is used, else NULL. */
struct entry *stream_entry(const struct stream *s, uint32_t id);
/* The node was decided: evaluates export, changes the entry, appends to the log. */
void stream_change(struct stream *s, uint32_t id, const struct node *n);
/* The walk that fills the state comes to this node, the first one that is not filled. */
void stream_fill(struct stream *s, uint32_t id);
void stream_filled(struct stream *s);

/* The place of the entry in the log: false if it is not there (everybody has passed it). */
bool log_place(const struct stream *s, const struct entry *e, uint32_t id, uint64_t *pos);
/* The node id at a place base <= pos < end; ID_NONE is blank. */
static inline uint32_t log_at(const struct stream *s, uint64_t pos)
{
	return s->log[pos & s->mask];
}
void reader_add(struct stream *s, struct reader *rd, uint64_t pos);
void reader_remove(struct reader *rd);
/* Forgets what all readers have passed. */
void stream_trim(struct stream *s);
size_t stream_bytes(const struct stream *s);

#endif
