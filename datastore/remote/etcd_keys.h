/* Calico's keys in etcd v3, and what their values stand for. Pure: keys and trees in, trees out.
 *
 * Resources are v3 objects as they are. IPAM has formats of its own, and its documents are made into the objects that
 * Calico has for the same things elsewhere: IPAMBlock and BlockAffinity. */
#ifndef DATASTORE_REMOTE_ETCD_KEYS_H
#define DATASTORE_REMOTE_ETCD_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/mem.h"
#include "datastore/yaml.h"

/* The rows of the table: a range of keys that is listed and watched. */
unsigned etcd_range_count(void);
/* What its keys begin with, for this node. The caller frees it. */
char *etcd_range_prefix(unsigned row, const char *node);

/* The key of a node's Node. The caller frees it. */
char *etcd_node_key(const char *node);

/* The range that the key is in; -1 if there is none. */
int etcd_range_of(const char *key, const char *node);
/* Is what the key stands for of no interest to this node? By the key alone: another node's workload. */
bool etcd_key_is_others(unsigned row, const char *key, const char *node);

/* The object that the value of a key stands for, as object_decode() takes it; it lives in the arena, and borrows from
 * doc. NULL: it cannot be one; *field and *reason (both in the arena) say why. An empty value is an empty map. */
struct yaml_node *etcd_object(unsigned row, const char *key, const char *node, struct yaml_node *doc, struct arena *a,
			      const char **field, const char **reason);

#endif
