/* What this node knows of a remote datastore: its documents by key.
 *
 * A backend tells what it reads. The mirror leaves out what it has seen already, parses the rest, has it translated
 * into objects for the store, deletes what a listing shows no more, notes refusals by key, and keeps the cache: the
 * documents' texts are in its file and not in memory. While the datastore cannot be reached at the start, the cache
 * stands in.
 *
 * A key is the backend's own, and starts messages: an etcd key, "KIND/NAMESPACE/NAME". */
#ifndef DATASTORE_REMOTE_MIRROR_H
#define DATASTORE_REMOTE_MIRROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datastore/backend.h"
#include "datastore/remote/json.h"

struct mirror;

struct mirror_ops {
	/* Makes objects of a document: mirror_emit() for each of them, mirror_refuse() if there should be some and
	 * cannot. Trees that it needs live in mirror_arena() until it returns. */
	void (*translate)(void *arg, struct mirror *m, const char *key, struct yaml_node *doc);
};

/* The texts are copied. */
struct mirror_conf {
	struct store *store;
	struct loop *loop;
	const char *cache;    /* its file; "" none */
	const char *identity; /* what the documents depend on: a cache with another one is refused. "etcdv3 node-1" */
	uint64_t cache_delay; /* ns; how long the datastore may keep a start waiting before the cache stands in */
	const struct mirror_ops *ops;
	void *arg;
};

#define MIRROR_MAX_KEY 1024u
#define MIRROR_MAX_TEXT (8u << 20)

struct mirror *mirror_new(const struct mirror_conf *conf);
/* The store keeps its objects. */
void mirror_free(struct mirror *m);

/* The document is now so (JSON text). Equal text is no change. */
void mirror_put(struct mirror *m, const char *key, const char *text, size_t len);
/* The document is there, but cannot be had: too large, not what it should be. Its last good version stays in force. */
void mirror_put_bad(struct mirror *m, const char *key, const char *reason);
/* It is no more. No change if it was not there. */
void mirror_delete(struct mirror *m, const char *key);

/* A listing of all keys that begin with prefix starts: all of them are put between here and the end, and may change
 * meanwhile. Returns what mirror_list_end() takes. A listing that breaks off is never ended. */
uint32_t mirror_list_begin(struct mirror *m);
/* It is complete: what begins with prefix and was not put since is deleted, very many in slices of the loop. */
void mirror_list_end(struct mirror *m, const char *prefix, uint32_t begun);

/* What begins with prefix cannot be listed, but what the cache knew of it shall stay when the rest is in sync. */
void mirror_keep(struct mirror *m, const char *prefix);

/* All listings that there are have been completed: the store is in sync, and the cache a known state, as soon as all is
 * deleted that is to be. Also after each reconnection. revision: for status; NULL none. */
void mirror_synced(struct mirror *m, const char *revision);
/* The datastore cannot be read or watched now. If it never could since the start, the cache stands in. */
void mirror_lost(struct mirror *m, const char *problem);
/* The datastore was heard of; all up to revision (NULL: as before) has been told. */
void mirror_heard(struct mirror *m, const char *revision);
bool mirror_is_synced(const struct mirror *m);

/* ---- For translate() ---- */

/* Lives until translate() returns. */
struct arena *mirror_arena(struct mirror *m);
/* One object, as a tree that object_decode() takes. The tree's own refusals are noted. No two documents may be about
 * the same object. */
void mirror_emit(struct mirror *m, const struct yaml_node *object);
/* What is wrong with the document itself. field: "" if all of it is meant. */
void mirror_refuse(struct mirror *m, const char *field, const char *reason);

#endif
