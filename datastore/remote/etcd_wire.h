/* Requests and answers of etcd's JSON gateway (API v3): keys and values are base64, 64-bit numbers are texts. Pure. */
#ifndef DATASTORE_REMOTE_ETCD_WIRE_H
#define DATASTORE_REMOTE_ETCD_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/buf.h"
#include "datastore/yaml.h"

/* Appends the body of a request for a page of keys from `from` on (which is its own end; up to the last that begins
 * with prefix), as they were at that revision; 0: now. */
void etcd_write_range(struct strbuf *out, const char *prefix, const char *from, uint64_t revision, unsigned limit);
/* Appends the body of a request for a watch of all keys that begin with prefix, from the revision on. */
void etcd_write_watch(struct strbuf *out, const char *prefix, uint64_t revision);
/* Of a request for one key. */
void etcd_write_get(struct strbuf *out, const char *key);
/* Of a transaction: sets the key if it was changed last in that revision, or (0) if it is not there. */
void etcd_write_put_if(struct strbuf *out, const char *key, const char *value, uint64_t revision);
void etcd_write_authenticate(struct strbuf *out, const char *user, const char *password);

/* An element of a list: a key and its value, or (with kv) an event. */
struct etcd_kv {
	struct strbuf key, value; /* decoded; NUL-terminated */
	uint64_t revision;	  /* of the last change */
	bool deleted;		  /* an event: the key is no more */
};
/* Reads an element into *kv (zero-initialise it once; it is reused). False, with *reason (a constant): it is none (the
 * key is empty then: also if it holds a NUL, or is too long), or its value cannot be read. */
bool etcd_read_kv(struct etcd_kv *kv, const struct yaml_node *n, const char **reason);
/* The key of an element that is cut off at the end: appends it. False if that is not in what is there. */
bool etcd_read_cut_key(struct strbuf *key, const char *text, size_t len);
void etcd_kv_free(struct etcd_kv *kv);

/* What is around the list. */
struct etcd_head {
	uint64_t cluster, revision, compacted; /* 0: not there */
	bool more, created, canceled, fragment;
	const char *error; /* borrowed from the tree; NULL none */
	const char *token;
	unsigned code; /* gRPC's, of the error */
};
/* From the tree of a whole answer. */
struct etcd_head etcd_read_head(const struct yaml_node *n);

#define ETCD_CODE_UNAUTHENTICATED 16u
#define ETCD_MAX_KEY 1024u

#endif
