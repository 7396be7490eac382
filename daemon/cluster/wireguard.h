/* WireGuard, which is Felix's: between two nodes that run it, routes lead through its device by a table of its own, and
 * Calico's BIRD keeps routes to such nodes out of the main table (bird_ipam: "reject routes to WireGuard peers").
 *
 * A node runs it, for a family, if its Node has a public key for it. While this one does not, nothing is kept. */
#ifndef DAEMON_CLUSTER_WIREGUARD_H
#define DAEMON_CLUSTER_WIREGUARD_H

#include "daemon/daemon.h"

struct self;
struct wireguard;

struct wireguard *wireguard_new(struct daemon *d);
void wireguard_free(struct wireguard *w);
/* This node's identity, or its Node object, may be another one now. */
void wireguard_apply(struct wireguard *w, const struct self *self);
/* An object changed. Routes that lead to the node are selected anew at the end of the turn. */
void wireguard_on_change(struct wireguard *w, const struct object *before, const struct object *after);
/* Do packets to this next hop go through WireGuard? */
bool wireguard_takes(const struct wireguard *w, const struct addr *next_hop);
/* A line for each device that is missing. */
void wireguard_problems(const struct wireguard *w, struct strbuf *out);

#endif
