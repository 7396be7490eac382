#include "daemon/peers/node_index.h"

#include <string.h>

static uint32_t addr_hash(const struct addr *a)
{
	return (uint32_t)hash_bytes(a, sizeof *a);
}

static void *item_of(const struct obj_node *n)
{
	/* The table hands it out as it was given. */
	return (void *)(uintptr_t)n;
}

void node_index_add(struct node_index *x, const struct obj_node *n)
{
	if (!addr_is_none(&n->ipv4.addr))
		htab_insert(&x->by_address, addr_hash(&n->ipv4.addr), item_of(n));
	if (!addr_is_none(&n->ipv6.addr))
		htab_insert(&x->by_address, addr_hash(&n->ipv6.addr), item_of(n));
}

void node_index_remove(struct node_index *x, const struct obj_node *n)
{
	if (!addr_is_none(&n->ipv4.addr))
		htab_remove(&x->by_address, addr_hash(&n->ipv4.addr), n);
	if (!addr_is_none(&n->ipv6.addr))
		htab_remove(&x->by_address, addr_hash(&n->ipv6.addr), n);
}

void node_index_clear(struct node_index *x)
{
	htab_clear(&x->by_address);
}

struct search {
	const struct addr *addr;
	const struct obj_node *first;
};

/* Looks at all that there are. */
static bool note_first(const void *item, const void *key)
{
	struct search *s = (struct search *)(uintptr_t)key;
	const struct obj_node *n = item;

	if ((addr_equal(s->addr, &n->ipv4.addr) || addr_equal(s->addr, &n->ipv6.addr)) &&
	    (!s->first || strcmp(n->o.name, s->first->o.name) < 0))
		s->first = n;
	return false;
}

const struct obj_node *node_index_find(const struct node_index *x, const struct addr *a)
{
	struct search s = {.addr = a};

	htab_find(&x->by_address, addr_hash(a), note_first, &s);
	return s.first;
}
