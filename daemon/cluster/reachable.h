/* BGPPeers' reachableBy: the host routes to their addresses. */
#ifndef DAEMON_CLUSTER_REACHABLE_H
#define DAEMON_CLUSTER_REACHABLE_H

#include "daemon/peers/peering.h"
#include "fib/fib.h"

/* Those that the FIB was told. Zero-initialise. */
struct reachable {
	struct addr *to;
	unsigned count;
};

/* Makes them those of the sessions that are wanted. */
void reachable_apply(struct reachable *r, struct fib *f, const struct peering *p);
/* Forgets them; the FIB keeps what it was told. */
void reachable_free(struct reachable *r);

#endif
