/* Nodes by their addresses. */
#ifndef DAEMON_PEERS_NODE_INDEX_H
#define DAEMON_PEERS_NODE_INDEX_H

#include "daemon/base/hash.h"
#include "datastore/objects.h"

/* Zero-initialise. */
struct node_index {
	struct htab by_address; /* of struct obj_node *, one for each address */
};

void node_index_add(struct node_index *x, const struct obj_node *n);
void node_index_remove(struct node_index *x, const struct obj_node *n);
void node_index_clear(struct node_index *x);
/* The first by name, if several have it; NULL if none. */
const struct obj_node *node_index_find(const struct node_index *x, const struct addr *a);

#endif
