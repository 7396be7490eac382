#include "fib/gateways.h"

#include <linux/rtnetlink.h>
#include <stdlib.h>

#include "fib/state.h"

static uint32_t gateway_hash(const struct addr *a)
{
	return (uint32_t)hash_bytes(a, sizeof *a);
}

static bool gateway_eq(const void *item, const void *key)
{
	return addr_equal(item, key);
}

static struct addr *gateway_find(const struct gateways *g, const struct addr *a)
{
	return g->down.count ? htab_find(&g->down, gateway_hash(a), gateway_eq, a) : NULL;
}

void gateways_clear(struct gateways *g)
{
	uint32_t pos = 0;

	for (struct addr *a; (a = htab_next(&g->down, &pos));)
		free(a);
	htab_clear(&g->down);
}

bool gateways_sift(const struct gateways *g, const struct nexthop_key *key, struct nhset_draft *to, struct addr *lost)
{
	unsigned living = 0;

	*lost = (struct addr){0};
	if (!g->down.count || !to->key.count)
		return true;
	if (gateway_find(g, &key->gateway)) {
		*lost = key->gateway;
		return false;
	}
	/* The living move to the front; without any, all stay where they are. */
	for (unsigned i = 0; i < to->key.count; i++) {
		if (!gateway_find(g, &to->hop[i].gateway))
			to->hop[living++] = to->hop[i];
		else if (addr_is_none(lost))
			*lost = to->hop[i].gateway;
	}
	if (!living)
		return false;
	to->key.count = (uint16_t)living;
	return true;
}

/* Reached through another gateway than itself: which ones it had before the dead ones were left out is not kept. */
static bool is_recursive(const struct nexthop *h)
{
	for (unsigned i = 0; i < h->count; i++)
		if (!addr_equal(&h->hops[i].gateway, &h->key.gateway) &&
		    !addr_equal(&h->hops[i].gateway, &h->key.link_local))
			return true;
	return false;
}

static void queue_concerned(struct fib *f, const struct addr *a)
{
	struct nexthop *h;

	TAILQ_FOREACH(h, &f->resolver.all, all)
	{
		if (addr_equal(&h->key.gateway, a) || is_recursive(h))
			nexthop_queue(f, h);
	}
}

void fib_gateway_down(struct fib *f, const struct addr *a)
{
	struct gateways *g = &f->resolver.gateways;

	if (gateway_find(g, a))
		return;
	htab_insert(&g->down, gateway_hash(a), mem_dup(a, sizeof *a));
	queue_concerned(f, a);
}

void fib_gateway_up(struct fib *f, const struct addr *a)
{
	struct gateways *g = &f->resolver.gateways;
	struct addr *there = gateway_find(g, a);

	if (!there)
		return;
	htab_remove(&g->down, gateway_hash(a), there);
	free(there);
	queue_concerned(f, a);
}

bool fib_gateway_is_down(const struct fib *f, const struct addr *a)
{
	return gateway_find(&f->resolver.gateways, a) != NULL;
}

/* By the route that the kernel would take, the one with the lowest metric. A default route names no network. */
enum fib_place fib_place_of(const struct fib *f, const struct addr *a)
{
	const struct foreign *r;

	if (addr_scope(a))
		return links_by_index(&f->links, addr_scope(a)) ? FIB_CONNECTED : FIB_NOWHERE;
	r = foreign_match(&f->foreign, a);
	while (r && r->tos)
		r = r->next;
	if (!r || r->to->key.type != RTN_UNICAST || !r->to->key.count)
		return FIB_NOWHERE;
	return addr_is_none(&r->to->hop[0].gateway) && r->prefix.len ? FIB_CONNECTED : FIB_BEHIND_ROUTERS;
}
