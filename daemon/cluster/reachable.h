/* BGPPeers' reachableBy: the host routes to their addresses. */
#ifndef DAEMON_CLUSTER_REACHABLE_H
#define DAEMON_CLUSTER_REACHABLE_H

#include "daemon/base/hash.h"
#include "fib/fib.h"

/* Those that the FIB was told. Zero-initialise. */
struct reachable {
	struct htab to; /* of struct addr */
};

/* The gateway to this address, none: the kernel's routes say. */
void reachable_set(struct reachable *r, struct fib *f, const struct addr *to, const struct addr *gateway);
/* Forgets them; the FIB keeps what it was told. */
void reachable_free(struct reachable *r);

#endif
