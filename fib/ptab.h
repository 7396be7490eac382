/* Kernel routes by prefix, of one family, as records of a pool.
 *
 * A record has a 32-bit id, never 0, by which others refer to it, and never moves. The hash is chained through the
 * records: a bucket is four octets, and a chain has one record on average. A node may carry a million routes: an id
 * instead of a pointer, and an IPv4 prefix of five octets instead of 22, is what each of them saves several times. */
#ifndef FIB_PTAB_H
#define FIB_PTAB_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "daemon/base/addr.h"
#include "daemon/base/pool.h"

#define PTAB_UNLINKED UINT32_MAX

/* Every record begins with this, */
struct pitem {
	uint32_t chain; /* the next of the same bucket; PTAB_UNLINKED */
	uint32_t id;	/* 0: a free record */
};
/* ... and ends with its prefix: an octet for the length, then the address, at a multiple of 4. */

struct ptab {
	struct pool items;
	uint32_t *buckets;
	uint32_t mask;
	uint32_t count;	 /* of linked records */
	uint32_t key_at; /* where a record's prefix is */
	enum family family;
	uint64_t secret[4]; /* of hashes, odd: prefixes come from peers */
};

void ptab_init(struct ptab *t, enum family family, size_t key_at);
void ptab_clear(struct ptab *t);
size_t ptab_bytes(const struct ptab *t);

/* A new record for the prefix, zeroed otherwise. It is linked by the next function, and unlinked before it is freed. */
void *ptab_make(struct ptab *t, const struct prefix *p);
void ptab_free(struct ptab *t, void *item);
/* From now on it is found, or not found any more, whether there are others of the same prefix or not. */
void ptab_link(struct ptab *t, void *item);
void ptab_unlink(struct ptab *t, void *item);
/* A linked record of exactly this prefix and those after it, in no order; NULL at the end. */
void *ptab_find(const struct ptab *t, const struct prefix *p);
void *ptab_more(const struct ptab *t, const void *item);
/* All records by rising ids, linked or not: start with *pos = 0, NULL at the end. Stays right whatever is freed
 * meanwhile. */
void *ptab_next(const struct ptab *t, uint32_t *pos);
/* The same of two tables, one for each family. */
void *ptab_next_of_both(const struct ptab t[static FAM_COUNT], uint32_t *pos);

static inline void *ptab_at(const struct ptab *t, uint32_t id)
{
	return pool_at(&t->items, id);
}
/* What the end of a record says. */
static inline struct prefix ptab_prefix(enum family family, const uint8_t *key)
{
	struct prefix p = {.addr.af = family_af(family), .len = key[0]};

	memcpy(p.addr.b, key + 1, family == FAM_IPV4 ? 4 : 16);
	return p;
}

#endif
