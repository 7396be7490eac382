#include "daemon/cluster/reachable.h"

#include <stdlib.h>

#include "daemon/base/mem.h"

static bool is_to(const void *item, const void *key)
{
	return addr_equal(item, key);
}

void reachable_set(struct reachable *r, struct fib *f, const struct addr *to, const struct addr *gateway)
{
	uint32_t hash = (uint32_t)hash_bytes(to, sizeof *to);
	struct addr *there = htab_find(&r->to, hash, is_to, to);

	if (!addr_is_none(gateway)) {
		if (!there)
			htab_insert(&r->to, hash, mem_dup(to, sizeof *to));
		fib_reach_set(f, to, gateway);
	} else if (there) {
		fib_reach_unset(f, to);
		htab_remove(&r->to, hash, there);
		free(there);
	}
}

void reachable_free(struct reachable *r)
{
	uint32_t pos = 0;
	struct addr *to;

	while ((to = htab_next(&r->to, &pos)))
		free(to);
	htab_clear(&r->to);
}
