/* Objects into intent: this node's blocks, workloads and borrowed addresses become local routes (RIB) and kernel
 * intents (FIB); pools and blocks become the export policy; nodes, BGPPeers and BGPConfigurations become peers. */
#ifndef DAEMON_CLUSTER_CLUSTER_H
#define DAEMON_CLUSTER_CLUSTER_H

#include "daemon/daemon.h"

struct cluster;

struct cluster *cluster_new(struct daemon *d);
void cluster_free(struct cluster *c);
/* The store's callbacks. */
void cluster_on_change(void *arg, const struct object *before, const struct object *after);
void cluster_on_sync(void *arg);
void cluster_on_report(void *arg, struct store_report *r);
void cluster_on_refusals(void *arg);
/* The daemon's configuration changed: look at everything again. */
void cluster_reconfigure(struct cluster *c);
/* The kernel's own routes of this prefix to workloads changed: fib_workload_find(). */
void cluster_workload_changed(struct cluster *c, const struct prefix *p);
/* Has everything been applied that was there when the datastore came in sync? */
bool cluster_is_settled(const struct cluster *c);
const struct self *cluster_self(const struct cluster *c);
/* An address of this machine, or the way to a next hop, may be another one now. */
void cluster_address_changed(struct cluster *c, const struct addr *next_hop);
/* Which peers there can be may be another question now. */
void cluster_peers_changed(struct cluster *c);
/* There is something to do at the end of the turn. */
void cluster_kick(struct cluster *c);
/* What keeps this node from working fully, a line each: no Node object, no address, a port that is taken, BGPPeers
 * without effect. */
void cluster_problems(const struct cluster *c, struct strbuf *out);

#endif
