/* inotify on the loop: what a path leads to, followed through symbolic links and parents that may not exist yet.
 *
 * A path is walked component by component, and every name that was looked up on the way is watched in its directory; so
 * whatever makes the path lead elsewhere (a link renamed over another, a parent created, moved or removed) is noticed.
 * Callbacks only take note: they must not call back into this module. */
#ifndef DATASTORE_WATCH_H
#define DATASTORE_WATCH_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/loop.h"

struct watch;
struct watch_interest;

/* Something whose owner wants to know. Zero-initialise, set the callbacks and arg. */
struct watch_path {
	/* What the path leads to may be another now, or (mask has IN_MODIFY, IN_CLOSE_WRITE) its content. */
	void (*on_path)(void *arg, uint32_t mask);
	/* An entry of the directory that was given to watch_directory(). mask: see inotify(7). */
	void (*on_entry)(void *arg, const char *name, uint32_t mask);
	void *arg;
	LIST_HEAD(, watch_interest) interests;
};

/* on_overflow: events were lost, everything has to be looked at. NULL if the kernel has no instance left (errno). */
struct watch *watch_new(struct loop *l, void (*on_overflow)(void *arg), void *arg);
/* Takes note of what has happened until now, which otherwise comes with the loop's next turn. */
void watch_poll(struct watch *w);
/* All paths must have been cleared before. */
void watch_free(struct watch *w);

/* Watches what `path`, looked up in the directory `base` (absolute), leads to; replaces what p watched before. What is
 * there must be looked at after the call: then no change is missed. 0, or why the watch is not complete: ENOENT and the
 * like (the path leads nowhere now, its coming is watched), ENOSPC (no watches left in the kernel). */
int watch_file(struct watch *w, struct watch_path *p, const char *base, const char *path);
/* The same for an absolute path to a directory, with all its entries. */
int watch_directory(struct watch *w, struct watch_path *p, const char *path);
/* Watches nothing any more. */
void watch_clear(struct watch *w, struct watch_path *p);

#endif
