/* What this node says of itself, as Calico has it at a Kubernetes API server: annotations of its Node, written through
 * the subresource status, which needs no right to change anything else of a Node but its status. */
#ifndef DATASTORE_REMOTE_KUBE_NODE_H
#define DATASTORE_REMOTE_KUBE_NODE_H

#include "datastore/remote/json.h"
#include "datastore/remote/kube_client.h"

struct kube_node;

struct kube_node *kube_node_new(struct loop *l, struct kube_client *c, struct store *s, const char *node);
void kube_node_free(struct kube_node *n);
/* See store_publish(). */
void kube_node_wish(struct kube_node *n, const struct store_node *wish);

/* The merge patch that makes a Node say it, of nothing but the annotations that differ; NULL: it says so already. */
struct yaml_node *kube_node_patch(struct arena *a, const struct yaml_node *node, const struct store_node *wish);

#endif
