/* CalicoNodeStatus: whoever wants to know how a node is makes such an object for it, and the node fills in its status
 * as often as the object says. */
#ifndef DATASTORE_REMOTE_KUBE_STATUS_H
#define DATASTORE_REMOTE_KUBE_STATUS_H

#include "datastore/remote/kube_client.h"

struct kube_status;

/* calico_api: "crd.projectcalico.org/v1". Starts at once. What is wrong here is logged, and holds up nothing. */
struct kube_status *kube_status_new(struct loop *l, struct kube_client *c, struct store *s, const char *calico_api,
				    const char *node);
void kube_status_free(struct kube_status *s);

#endif
