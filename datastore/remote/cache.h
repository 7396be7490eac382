/* A file with documents by key that outlives the process: records are appended, the newest of a key counts, and what is
 * dead is left behind when most of the file is. No document is held in memory: the owner remembers a record's place.
 *
 * A mark says that the records before it are a state as a whole. Reading stops at the last mark, so a file that was cut
 * short, or whose end is damaged, still yields the last state before. A process writes a new file beside the old one,
 * which it replaces with the first mark. Writes go to the page cache at the end of a turn of the loop, and never wait
 * for the disk. The file is its owner's alone (0600): it may hold passwords. */
#ifndef DATASTORE_REMOTE_CACHE_H
#define DATASTORE_REMOTE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/loop.h"

struct cache;

/* Where the record of a document is. Zero: nowhere. */
struct cache_place {
	uint64_t offset;
	uint32_t len;	     /* of the whole record */
	uint32_t generation; /* of the file */
};

struct cache_ops {
	/* The place of a document's record as its owner remembers it; NULL if there is no such document. */
	struct cache_place *(*find)(void *arg, const char *key);
	/* Reading: a document, as it was last. Its owner puts it again. */
	void (*on_document)(void *arg, const char *key, const char *text, size_t len);
	/* Reading is over: when is the time of the last mark (wall clock, s). refused: why nothing was read; else NULL,
	 * and warning says what is wrong with the rest of the file, NULL nothing. */
	void (*on_read)(void *arg, const char *refused, const char *warning, int64_t when);
	/* Why nothing is written now; "": it is again. */
	void (*on_problem)(void *arg, const char *problem);
};

/* path and identity are copied; nothing is opened yet. */
struct cache *cache_new(struct loop *l, const char *path, const char *identity, const struct cache_ops *ops, void *arg);
/* Writes what waits. */
void cache_free(struct cache *c);

/* Reads the file that a process before left, in slices of the loop. on_read() ends it. */
void cache_read(struct cache *c);
/* Reading ends without a word. */
void cache_read_stop(struct cache *c);

/* Appends a record; *place is where the one before was, and becomes where this one is. */
void cache_put(struct cache *c, const char *key, const char *text, size_t len, struct cache_place *place);
/* The document is no more. */
void cache_delete(struct cache *c, const char *key, const struct cache_place *place);
/* What was written is a whole state, of this time (wall clock, s). After the first mark every turn ends with one. */
void cache_mark(struct cache *c, int64_t when);
/* Is the record in the file that is being written? If not, it is to be put again when its text is at hand. */
bool cache_holds(const struct cache *c, const struct cache_place *place);

#endif
