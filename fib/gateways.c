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

static struct addr *gateway_find(const struct fib *f, const struct addr *a)
{
	const struct htab *down = &f->resolver.gateways.down;

	return down->count ? htab_find(down, gateway_hash(a), gateway_eq, a) : NULL;
}

/* The kernel's gateways have their interface beside them. */
static bool is_down(const struct fib *f, const struct nhop *hop)
{
	struct addr a = addr_is_link_local(&hop->gateway) ? addr_on_link(&hop->gateway, hop->ifindex) : hop->gateway;

	return gateway_find(f, &a) != NULL;
}

void gateways_clear(struct gateways *g)
{
	uint32_t pos = 0;

	for (struct addr *one; (one = htab_next(&g->down, &pos));)
		free(one);
	htab_clear(&g->down);
}

void gateways_sift(const struct fib *f, const struct nexthop_key *key, struct nhset_draft *to, struct addr *lost)
{
	uint16_t living = 0;

	*lost = (struct addr){0};
	if (!f->resolver.gateways.down.count)
		return;
	/* Over several hops it may be dead while the gateways that lead to it live. */
	if (to->key.count && gateway_find(f, &key->gateway)) {
		*lost = key->gateway;
		to->key.count = 0;
	}
	for (unsigned i = 0; i < to->key.count; i++) {
		if (!is_down(f, &to->hop[i]))
			to->hop[living++] = to->hop[i];
		else if (addr_is_none(lost))
			*lost = to->hop[i].gateway;
	}
	to->key.count = living;
}

/* What it was reached through before dead gateways were left out is not kept: through others than itself, or not at
 * all. */
static bool may_be_recursive(const struct nexthop *h)
{
	for (unsigned i = 0; i < h->count; i++)
		if (!addr_equal(&h->hops[i].gateway, &h->key.gateway) &&
		    !addr_equal(&h->hops[i].gateway, &h->key.link_local))
			return true;
	return !h->count;
}

static void queue_concerned(struct fib *f, const struct addr *a)
{
	struct nexthop *h;

	TAILQ_FOREACH(h, &f->resolver.all, all)
	{
		if (addr_equal(&h->key.gateway, a) || addr_equal(&h->key.link_local, a) || may_be_recursive(h))
			nexthop_queue(f, h);
	}
}

void fib_gateway_down(struct fib *f, const struct addr *a)
{
	if (gateway_find(f, a))
		return;
	htab_insert(&f->resolver.gateways.down, gateway_hash(a), mem_dup(a, sizeof *a));
	queue_concerned(f, a);
}

void fib_gateway_up(struct fib *f, const struct addr *a)
{
	struct addr *there = gateway_find(f, a);

	if (!there)
		return;
	htab_remove(&f->resolver.gateways.down, gateway_hash(a), there);
	free(there);
	queue_concerned(f, a);
}

/* By the route that the kernel would take, the one with the lowest metric. A default route names no network. */
enum fib_place fib_place_of(const struct fib *f, const struct addr *a)
{
	const struct foreign *r;
	const struct nhset *to;

	if (addr_scope(a))
		return links_by_index(&f->links, addr_scope(a)) ? FIB_CONNECTED : FIB_NOWHERE;
	r = foreign_match(&f->foreign, a);
	while (r && r->tos)
		r = foreign_next(&f->foreign, r);
	to = r ? foreign_to(&f->foreign, r) : NULL;
	if (!to || to->key.type != RTN_UNICAST || !to->key.count)
		return FIB_NOWHERE;
	return addr_is_none(&to->hop[0].gateway) && foreign_prefix(r).len ? FIB_CONNECTED : FIB_BEHIND_ROUTERS;
}
