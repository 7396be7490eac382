/* Other nodes' blocks and addresses in VXLAN pools: from the objects to routes and tunnel ends. Private to overlay.c,
 * which makes it only where a pool asks for VXLAN: on all other clusters nothing of this is kept. */
#ifndef DAEMON_CLUSTER_REMOTE_H
#define DAEMON_CLUSTER_REMOTE_H

#include "daemon/cluster/overlay.h"
#include "daemon/daemon.h"

struct remotes;

/* Reads what the store has now. */
struct remotes *remotes_new(struct daemon *d, const struct overlay *o);
/* Takes everything out of the FIB. NULL is allowed. */
void remotes_free(struct remotes *r);
void remotes_on_change(struct remotes *r, const struct object *before, const struct object *after);
/* Every route may lead another way now. */
void remotes_check_all(struct remotes *r);

/* What overlay.c knows: the way to a prefix of this node; false if there is none. */
bool overlay_remote_route(const struct overlay *o, const struct prefix *p, const struct obj_node *owner,
			  struct fib_hop *hop);
/* The MAC address of a node's VXLAN device: what its object says, or what Felix makes of its name. */
void overlay_vxlan_mac(const struct obj_node *n, enum family f, uint8_t mac[static 6]);

#endif
