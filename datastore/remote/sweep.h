/* Deleting what a listing shows no more, in slices of the loop: it may be tens of thousands of documents at once.
 *
 * What is doomed is noted by its key when the listing ends, and looked at again when its turn comes: what has come back
 * by then stays. */
#ifndef DATASTORE_REMOTE_SWEEP_H
#define DATASTORE_REMOTE_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/loop.h"

struct sweep;

struct sweep_ops {
	/* Calls sweep_note() for the key of each document that is to go now. */
	void (*find)(void *arg, struct sweep *s, const char *prefix, uint32_t round);
	/* Deletes the document, if it still is to go. */
	void (*remove)(void *arg, const char *key, uint32_t round);
	/* All of them are gone, in a later turn than sweep_start() was called in. May start another. */
	void (*on_done)(void *arg);
};

struct sweep *sweep_new(struct loop *l, const struct sweep_ops *ops, void *arg);
/* What is still doomed stays. */
void sweep_free(struct sweep *s);
/* What begins with prefix and was put last before that round goes: what can be done in a moment at once, the rest in
 * the turns to come. */
void sweep_start(struct sweep *s, const char *prefix, uint32_t round);
void sweep_note(struct sweep *s, const char *key);
bool sweep_is_running(const struct sweep *s);

#endif
