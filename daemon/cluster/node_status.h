/* What this node says of itself in Calico's CalicoNodeStatus objects (api/pkg/apis/projectcalico/v3/nodestatus.go). */
#ifndef DAEMON_CLUSTER_NODE_STATUS_H
#define DAEMON_CLUSTER_NODE_STATUS_H

#include "daemon/base/buf.h"

struct daemon;

/* Appends the `status` of such an object as JSON; classes: bits of STORE_REPORT_* (store.h). */
void node_status(const struct daemon *d, unsigned classes, struct strbuf *out);

#endif
