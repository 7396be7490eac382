/* Gateways that are known to be dead by other means than their links: somebody (BFD) watches them and says so.
 *
 * They are few and change rarely, and nobody pays for the table while it is empty. */
#ifndef FIB_GATEWAYS_H
#define FIB_GATEWAYS_H

#include <stdbool.h>

#include "daemon/base/addr.h"
#include "daemon/base/hash.h"
#include "fib/nhset.h"

struct fib;
struct nexthop_key;

struct gateways {
	struct htab down; /* of struct addr, link-local ones with their scope */
};

void gateways_clear(struct gateways *g);
/* Takes the hops that lead to dead gateways out of what a next hop resolved to (only the hops of `to` count), and
 * notes the first such gateway in *lost. */
void gateways_sift(const struct fib *f, const struct nexthop_key *key, struct nhset_draft *to, struct addr *lost);

#endif
