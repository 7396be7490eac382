/* The kernel's routes that are not ours: what next hops are resolved through.
 *
 * Longest-prefix match by one hash table over (prefix) and a count of prefixes per length: a look-up probes only the
 * lengths that exist. A node may carry a full table of some other daemon here, so an IPv4 route takes 28 octets and its
 * part of a bucket. */
#ifndef FIB_FOREIGN_H
#define FIB_FOREIGN_H

#include <stdint.h>

#include "daemon/base/addr.h"
#include "fib/nhset.h"
#include "fib/ptab.h"

/* All routes of one prefix form a list, lowest metric first; of equal ones the first that came. */
struct foreign {
	struct pitem item;
	uint32_t next; /* of the same prefix; 0: the last one */
	uint32_t to;   /* number of a set: see foreign_to() */
	uint32_t metric;
	uint8_t tos, seen;
	uint8_t family;
	uint8_t key[];
};

struct foreign_table {
	struct ptab prefixes[FAM_COUNT]; /* the first of each list is linked */
	struct nhsets *nhsets;
	uint32_t lengths[FAM_COUNT][129];
	uint32_t count;
};

void foreign_init(struct foreign_table *t, struct nhsets *nhsets);
void foreign_clear(struct foreign_table *t);
size_t foreign_bytes(const struct foreign_table *t);

/* Adds a route; takes over the caller's reference to `to`. */
struct foreign *foreign_add(struct foreign_table *t, const struct prefix *p, uint32_t metric, uint8_t tos,
			    struct nhset *to);
void foreign_remove(struct foreign_table *t, struct foreign *r);
/* Gives the route another set, taking over the caller's reference. */
void foreign_change(struct foreign_table *t, struct foreign *r, struct nhset *to);

/* The list of exactly this prefix, or NULL. */
struct foreign *foreign_exact(const struct foreign_table *t, const struct prefix *p);
/* The list of the longest prefix that contains the address, or NULL. */
struct foreign *foreign_match(const struct foreign_table *t, const struct addr *a);
/* The next of a list; NULL at its end. */
static inline struct foreign *foreign_next(const struct foreign_table *t, const struct foreign *r)
{
	return r->next ? ptab_at(&t->prefixes[r->family], r->next) : NULL;
}
/* All routes: start with *pos = 0, NULL at the end. Stays right whatever is removed meanwhile. */
struct foreign *foreign_walk(const struct foreign_table *t, uint32_t *pos);

static inline struct prefix foreign_prefix(const struct foreign *r)
{
	return ptab_prefix((enum family)r->family, r->key);
}
static inline struct nhset *foreign_to(const struct foreign_table *t, const struct foreign *r)
{
	return number_at(&t->nhsets->numbers, r->to);
}

#endif
