/* The kernel's routes that are not ours: what next hops are resolved through.
 *
 * Longest-prefix match by one hash table over (prefix) and a count of prefixes per length: a look-up probes only the
 * lengths that exist. A node may carry a full table of some other daemon here, so a route is 40 bytes and its slot in
 * the table. */
#ifndef FIB_FOREIGN_H
#define FIB_FOREIGN_H

#include <stdint.h>

#include "daemon/base/addr.h"
#include "daemon/base/hash.h"
#include "daemon/base/mem.h"
#include "fib/nhset.h"

/* All routes of one prefix form a list, lowest metric first. */
struct foreign {
	struct prefix prefix;
	uint8_t tos, seen;
	uint32_t metric;
	struct nhset *to;
	struct foreign *next;
};

struct foreign_table {
	struct htab prefixes; /* the first of each list */
	uint32_t lengths[FAM_COUNT][129];
	struct slab slab;
	uint32_t count;
};

void foreign_init(struct foreign_table *t);
void foreign_clear(struct foreign_table *t, struct nhsets *nhsets);

/* Adds a route; takes over the caller's reference to `to`. */
struct foreign *foreign_add(struct foreign_table *t, const struct prefix *p, uint32_t metric, uint8_t tos,
			    struct nhset *to);
void foreign_remove(struct foreign_table *t, struct nhsets *nhsets, struct foreign *r);
/* Gives the route another set, taking over the caller's reference. */
void foreign_change(struct nhsets *nhsets, struct foreign *r, struct nhset *to);

/* The list of exactly this prefix, or NULL. */
struct foreign *foreign_exact(const struct foreign_table *t, const struct prefix *p);
/* The list of the longest prefix that contains the address, or NULL. */
struct foreign *foreign_match(const struct foreign_table *t, const struct addr *a);

#endif
