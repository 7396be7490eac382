#include "fib/reach.h"

#include <stdlib.h>

#include "daemon/base/mem.h"
#include "fib/state.h"

struct reach {
	struct addr to, via;
};

static uint32_t reach_hash(const struct addr *a)
{
	return (uint32_t)hash_bytes(a, sizeof *a);
}

static bool reach_eq(const void *item, const void *key)
{
	return addr_equal(&((const struct reach *)item)->to, key);
}

static struct reach *reach_find(const struct reaches *r, const struct addr *a)
{
	return r->all.count ? htab_find(&r->all, reach_hash(a), reach_eq, a) : NULL;
}

const struct addr *reach_via(const struct reaches *r, const struct addr *a)
{
	const struct reach *found = reach_find(r, a);

	return found ? &found->via : NULL;
}

void fib_reach_set(struct fib *f, const struct addr *to, const struct addr *via)
{
	struct fib_hop hop = {.gateway = *via};
	struct fib_route route = {
	    .prefix = prefix_make(to, addr_bits(to->af)),
	    .class = FIB_REACH,
	    .type = FIB_VIA,
	    .hop_count = 1,
	    .hops = &hop,
	};
	struct reach *r = reach_find(&f->reaches, to);

	if (r && addr_equal(&r->via, via))
		return;
	if (!r) {
		r = mem_calloc(1, sizeof *r);
		r->to = *to;
		htab_insert(&f->reaches.all, reach_hash(to), r);
	}
	r->via = *via;
	resolve_addr_changed(f, to);
	fib_set(f, &route);
}

void fib_reach_unset(struct fib *f, const struct addr *to)
{
	struct reach *r = reach_find(&f->reaches, to);
	struct prefix host = prefix_make(to, addr_bits(to->af));

	if (!r)
		return;
	htab_remove(&f->reaches.all, reach_hash(to), r);
	free(r);
	resolve_addr_changed(f, to);
	fib_unset(f, &host, FIB_REACH);
}

void reach_free(struct reaches *r)
{
	uint32_t pos = 0;

	for (struct reach *one; (one = htab_next(&r->all, &pos));)
		free(one);
	htab_clear(&r->all);
}
