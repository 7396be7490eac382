/* Addresses that are reached by a gateway somebody named, whatever the kernel's own routes say (a BGPPeer's
 * reachableBy): each has a host route, and next hops are resolved through it. */
#ifndef FIB_REACH_H
#define FIB_REACH_H

#include "daemon/base/addr.h"
#include "daemon/base/hash.h"

struct reaches {
	struct htab all;
};

void reach_free(struct reaches *r);
/* The gateway named for the address; NULL: none. */
const struct addr *reach_via(const struct reaches *r, const struct addr *a);

#endif
