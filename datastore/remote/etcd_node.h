/* What this node says of itself, as Calico has it in etcd: fields of its Node resource, which is written only if nobody
 * has changed it since it was read, and made if there is none. */
#ifndef DATASTORE_REMOTE_ETCD_NODE_H
#define DATASTORE_REMOTE_ETCD_NODE_H

#include "datastore/remote/json.h"
#include "datastore/store.h"

struct backend;
struct etcd_node;

/* b is asked with: where, and as whom. */
struct etcd_node *etcd_node_new(struct backend *b);
void etcd_node_free(struct etcd_node *n);
/* See store_publish(). */
void etcd_node_wish(struct etcd_node *n, const struct store_node *wish);

/* Makes a Node say it, and leaves all else in it as it is. False: it says so already. */
bool etcd_node_change(struct arena *a, struct yaml_node *node, const struct store_node *wish);
/* A Node with nothing but its name. */
struct yaml_node *etcd_node_make(struct arena *a, const char *name);

#endif
