/* Between the store and where its objects come from. A backend watches its source, decodes what it finds (objects.h),
 * and tells the store by the calls below; it neither keeps objects nor compares them. A further backend is a further
 * struct backend_ops. */
#ifndef DATASTORE_BACKEND_H
#define DATASTORE_BACKEND_H

#include "datastore/store.h"

struct backend;

struct backend_ops {
	const char *name;
	/* Starts to watch what conf names. Never fails: what is wrong is said by store_lost(). */
	struct backend *(*start)(struct store *s, struct loop *l, const struct store_conf *conf);
	/* Ends and frees it. The store is not told about anything any more. */
	void (*stop)(struct backend *b);
	/* See store_publish(). NULL: nodes write nothing there. */
	void (*publish)(struct backend *b, const struct store_node *n);
};

extern const struct backend_ops backend_file;

/* The object is now so. Takes it. A version equal to what is in force is no change (but its source is remembered). */
void store_put(struct store *s, struct object *o);
/* The object is no more. False if it was not there. */
bool store_delete(struct store *s, enum object_kind k, const char *namespace, const char *name);

/* Everything that is there has been put; calls on_sync. */
void store_synced(struct store *s);
/* Appends how this node is (JSON, the status of a CalicoNodeStatus); "{}" if nobody says. */
void store_report(struct store *s, struct store_report *r);
/* Why what store_publish() was told is not written; "": it is, or is about to be. */
void store_set_publish_problem(struct store *s, const char *problem);
/* Why the cache is not written; "": it is, or there is none. */
void store_set_cache_problem(struct store *s, const char *problem);
/* The source cannot be read or watched now; everything stays in force. */
void store_lost(struct store *s, const char *problem);
/* All that was known at that time (wall clock, s) has been put, from the cache; the source has not been read since the
 * start. Calls on_sync; the store is not in sync. */
void store_cached(struct store *s, int64_t when);

/* What status says: where the objects come from now; that the datastore was heard of, and up to which revision all has
 * been read (NULL: as before). */
void store_set_location(struct store *s, const char *location);
void store_heard(struct store *s, const char *revision);

/* The refusals of one source (a file, a key). Whenever the source is read anew, all of them are noted anew between
 * begin and end: what was there already is kept without a word, what is new is logged, what is gone is logged as
 * resolved. Zero-initialise. */
struct refusal_set {
	struct refusal **list;
	unsigned count, cap;
	unsigned expected; /* where the next one is likely to be, among the old ones */
};
void refusals_begin(struct refusal_set *set);
/* Copies r. */
void refusals_note(struct store *s, struct refusal_set *set, const struct store_refusal *r);
void refusals_end(struct store *s, struct refusal_set *set);
/* All of them are resolved, or (quietly) forgotten because everything ends. */
void refusals_clear(struct store *s, struct refusal_set *set, bool quietly);

#endif
