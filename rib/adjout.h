/* The sent state of an update group, per family: one entry per route that goes out, and the log of changes.
 *
 * Entries have ids. Where a prefix has one route, the best one, the id is the node's, and entries are an array over
 * nodes. Where it may have several (RFC 7911), each has an entry of a pool, and those of a prefix are a list in the
 * order of their path identifiers. What is sent as path identifier is the id of the RIB's route plus one: it stays as
 * long as the route does, whatever the best one is, and is the same in every group.
 *
 * The log holds entry ids in the order of their last change. An entry is in it at most once: a change appends it and
 * blanks its old place. Readers (cursors) go along it; what all have passed is forgotten, and a log that is mostly
 * blanks is compacted, so it never exceeds twice the number of entries however slow a reader is. */
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
	struct attrs *attrs;   /* NULL: withdrawn, and somebody may not know it yet. One reference */
	uint32_t pos;	       /* low half of the log position, if the log has the node there */
	uint16_t source;       /* peer index; of a withdrawn prefix, whose it was */
	uint16_t kind : 3;     /* enum route_source */
	uint16_t identity : 6; /* the source's at that time */
	uint16_t flags : 7;    /* ENTRY_* */
};
#define ENTRY_USED 1
#define ENTRY_MOVED \
	2 /* came from another peer before, and not every reader has passed that change: `source` may have it */
#define ENTRY_NEW 4 /* nobody has been sent anything of it yet */

/* One of several of a prefix: 32 octets. */
struct path_entry {
	struct entry e;
	uint32_t node;
	uint32_t next;	  /* entry of the same node with the next higher path identifier, ID_NONE */
	uint32_t path_id; /* as sent */
};

/* By node: its entry, or the first one of its list. */
struct entry_page {
	uint32_t used;
	struct entry e[PAGE_NODES];
};
struct list_page {
	uint32_t used;
	uint32_t first[PAGE_NODES];
};

/* A place in the order in which walks come by: nodes, and in a node path identifiers. */
static inline uint64_t place_of(uint32_t node, uint32_t path_id)
{
	return (uint64_t)node << 32 | path_id;
}
static inline uint32_t place_node(uint64_t place)
{
	return (uint32_t)(place >> 32);
}

TAILQ_HEAD(chunk_list, chunk);

struct stream {
	struct rib *rib;
	struct group *group; /* NULL once dying */
	enum family family;
	bool add_path;
	void **pages; /* struct entry_page or, with add_path, struct list_page; by node id >> PAGE_SHIFT */
	uint32_t n_pages;
	struct pool paths; /* struct path_entry, with add_path */
	uint32_t filled;   /* nodes below have their entries; the first walk fills as it goes. ID_NONE: all of them */
	uint32_t sent;	   /* entries with attrs */
	uint32_t *sent_by; /* the same by source */
	uint32_t n_sent_by;
	/* By entry id: which operations of the export policy were applied, where they may change without the route:
	 * its rules ask for interfaces (tracks_ops). NULL otherwise. */
	uint32_t *ops;
	uint32_t n_ops;
	bool tracks_ops;

	uint32_t *log; /* ring of entry ids, ID_NONE for blanks */
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

/* The node was decided: evaluates export, changes entries, appends to the log. */
void stream_change(struct stream *s, uint32_t node, const struct node *n);
/* The walk that fills the state comes to this node, the first one that is not filled. */
void stream_fill(struct stream *s, uint32_t node);
void stream_filled(struct stream *s);

/* The entry if it is used, else NULL. */
static inline struct entry *stream_entry(const struct stream *s, uint32_t id)
{
	const uint32_t page = id >> PAGE_SHIFT;
	struct entry_page *ep;
	struct entry *e;

	if (s->add_path) {
		e = id < s->paths.bound ? pool_at(&s->paths, id) : NULL;
	} else {
		ep = page < s->n_pages ? s->pages[page] : NULL;
		e = ep ? &ep->e[id & (PAGE_NODES - 1)] : NULL;
	}
	return e && e->flags & ENTRY_USED ? e : NULL;
}

/* What was sent of the entry's route can still be told: its source looks as it did. */
bool entry_is_current(const struct stream *s, const struct entry *e);

/* entries.c */

/* The node's first entry with at least this path identifier, and the one behind an entry; ID_NONE if there is none. */
uint32_t entry_first(const struct stream *s, uint32_t node, uint32_t path_id);
uint32_t entry_next(const struct stream *s, uint32_t id);
static inline uint32_t entry_node(const struct stream *s, uint32_t id)
{
	return s->add_path ? ((const struct path_entry *)pool_at(&s->paths, id))->node : id;
}
static inline uint32_t entry_path(const struct stream *s, uint32_t id)
{
	return s->add_path ? ((const struct path_entry *)pool_at(&s->paths, id))->path_id : 0;
}
/* A new entry of the node without attributes; `after` is the one before it in the list, ID_NONE if it is the first. */
uint32_t entry_make(struct stream *s, uint32_t node, uint32_t path_id, uint32_t after);
/* Frees an entry without attributes; the node may go with it. */
void entry_clear(struct stream *s, uint32_t id);
/* Takes the last page of entries apart, references included. */
void entries_reap(struct stream *s);
size_t entries_bytes(const struct stream *s);

/* The place of the entry in the log: false if it is not there (everybody has passed it). */
bool log_place(const struct stream *s, const struct entry *e, uint32_t id, uint64_t *pos);
/* The entry id at a place base <= pos < end; ID_NONE is blank. */
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
