/* What this node says of itself in Calico's CalicoNodeStatus objects (api/pkg/apis/projectcalico/v3/nodestatus.go). */
#ifndef DAEMON_CLUSTER_NODE_STATUS_H
#define DAEMON_CLUSTER_NODE_STATUS_H

#include "datastore/store.h"

struct daemon;

/* Appends the `status` of such an object, and says what of it is left out. */
void node_status(const struct daemon *d, struct store_report *r);

#endif
