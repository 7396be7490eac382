/* Encapsulation: which routes go through a tunnel, the tunnels themselves, and the routes of VXLAN pools.
 *
 * IPPools say how their addresses travel. Routes of IP-in-IP pools come by BGP like plain ones, and only their way into
 * the kernel differs: overlay_choose() says how. Routes of VXLAN pools follow from the objects alone (an affinity or
 * an IPAM block, and the owner's Node), with BGP or without, as Calico has it; BGP's routes of such pools stay out of
 * the kernel. Beside a Felix (kernel.workload_routes: false) devices and VXLAN are Felix's, and the FIB leaves them. */
#ifndef DAEMON_CLUSTER_OVERLAY_H
#define DAEMON_CLUSTER_OVERLAY_H

#include "daemon/daemon.h"

struct overlay *overlay_new(struct daemon *d);
void overlay_free(struct overlay *o);

/* An object changed; what follows from it is done at the end of the turn, and not before overlay_apply(). */
void overlay_on_change(struct overlay *o, const struct object *before, const struct object *after);
/* The identity of this node, the pools or the configuration may have changed: finds out what did, and applies it.
 * True if local blocks may have to be looked at again. */
bool overlay_apply(struct overlay *o, const struct self *self);

/* How a BGP route goes into the kernel. */
enum overlay_way {
	OVERLAY_PLAIN,
	OVERLAY_IPIP, /* through tunl0 to the same next hop */
	/* not at all: a VXLAN pool's routes come from the objects, others may program a pool's, and what goes to a node
	 * by WireGuard has routes of Felix's */
	OVERLAY_OWN,
};
/* o NULL: plain. */
enum overlay_way overlay_choose(const struct overlay *o, const struct prefix *p, const struct addr *next_hop);

/* Why not at all: for explain. NULL if it goes in. */
const char *overlay_refusal(const struct overlay *o, const struct prefix *p, const struct addr *next_hop);

/* Is the prefix in a pool whose routes others program (programClusterRoutes)? */
bool overlay_leaves(const struct overlay *o, const struct prefix *p);

/* A line for each thing that is missing. */
void overlay_problems(const struct overlay *o, struct strbuf *out);

#endif
