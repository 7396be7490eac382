/* Which file says what about which object.
 *
 * A file claims the objects that it describes. An object is what its first claimant by file name says; other claimants
 * are refused. An object that nobody claims any more is deleted, but only after a moment, so that one that moves from
 * file to file is never gone. What cannot be read keeps its claims: a broken file deletes nothing. */
#ifndef DATASTORE_CLAIMS_H
#define DATASTORE_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datastore/store.h"

struct claims;
struct claims_file;

/* How long an object that nobody claims any more stays, and how many problems of one file are named. */
#define CLAIMS_GRACE (250 * MONO_MSEC)
#define CLAIMS_MAX_REFUSALS 1000u

/* reload(arg): the file (by the arg it was made with) has to be read again, since others' claims changed. */
struct claims *claims_new(struct store *s, void (*reload)(void *arg));
/* The files first. The store's objects stay as they are. */
void claims_free(struct claims *c);

/* A file that was not read yet. path is for messages; name decides who is first. Both are copied. */
struct claims_file *claims_file_new(struct claims *c, const char *path, const char *name, void *arg);
/* Frees it, as the daemon ends: nothing is deleted or logged. */
void claims_file_free(struct claims_file *f);

/* What is in the file now. whole: false if more may follow, so that what is missing is not deleted. */
void claims_read(struct claims_file *f, const char *text, size_t len, bool whole);
/* The file is there, but not readable: everything it said stays. */
void claims_unreadable(struct claims_file *f, const char *reason);
/* The file changed and waits to be read: what it said is not held against others until then. */
void claims_set_outdated(struct claims_file *f, bool outdated);
/* The file is not there, maybe only for a moment: its claims stand back behind those of all other files. */
void claims_suspend(struct claims_file *f);
/* The file is gone for good: what only it claimed is deleted now. */
void claims_drop(struct claims_file *f);

/* Deletes what was unclaimed for long enough. Returns when to call again, 0 if nothing waits. */
uint64_t claims_reap(struct claims *c, uint64_t now);

#endif
