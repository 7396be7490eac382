/* Nodes with many routes: a thousand clients announce one prefix, or a peer sends a thousand paths of it.
 *
 * A node's routes are a list, which is all that the few of nearly every node need. Where it gets long, an index finds a
 * route by its peer and path identifier; and as a list of one direction does not tell what is before a route, one that
 * is withdrawn there is only marked as dead: the decision that follows goes along the whole list anyway. */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "rib/core.h"

/* An index is made at more routes than this, and goes with a quarter of them. */
#define CROWD_FROM 16u

/* Route ids in open addressing, ID_NONE where there is none. A quarter of the slots at least is empty. */
struct crowd {
	uint32_t node;
	uint32_t mask, count;
	uint32_t *slots;
};

static uint32_t node_hash(uint32_t node)
{
	return node * 0x9e3779b1u;
}

static bool node_eq(const void *item, const void *key)
{
	return ((const struct crowd *)item)->node == *(const uint32_t *)key;
}

static struct crowd *crowd_of(const struct rib *r, enum family f, uint32_t node)
{
	return htab_find(&r->crowds[f], node_hash(node), node_eq, &node);
}

/* Peers choose path identifiers: the key is a secret. */
static uint32_t route_hash(const struct table *t, uint16_t peer, uint32_t path_id)
{
	return (uint32_t)hash_fold(((uint64_t)peer << 32 | path_id) ^ t->key[2], t->key[3]);
}

static uint32_t home_of(const struct rib *r, enum family f, const struct crowd *c, uint32_t route)
{
	const struct route *rt = route_at(r, route);

	return route_hash(&r->table[f], rt->peer, rt->path_id) & c->mask;
}

static void slots_put(const struct rib *r, enum family f, struct crowd *c, uint32_t route)
{
	uint32_t at = home_of(r, f, c, route);

	while (c->slots[at] != ID_NONE)
		at = (at + 1) & c->mask;
	c->slots[at] = route;
}

static void slots_resize(const struct rib *r, enum family f, struct crowd *c, uint32_t size)
{
	uint32_t *old = c->slots, n = old ? c->mask + 1 : 0;

	c->slots = mem_alloc(size * sizeof *c->slots);
	memset(c->slots, 0xff, size * sizeof *c->slots);
	c->mask = size - 1;
	for (uint32_t i = 0; i < n; i++)
		if (old[i] != ID_NONE)
			slots_put(r, f, c, old[i]);
	free(old);
}

static void crowd_put(const struct rib *r, enum family f, struct crowd *c, uint32_t route)
{
	if (!c->slots || (c->count + 1) * 4ull > (c->mask + 1ull) * 3)
		slots_resize(r, f, c, c->slots ? (c->mask + 1) * 2 : CROWD_FROM * 4);
	slots_put(r, f, c, route);
	c->count++;
}

/* The slots behind the one that gets empty move up, where they may: nobody who looks for them stops before. */
static void slot_empty(const struct rib *r, enum family f, struct crowd *c, uint32_t at)
{
	for (uint32_t i = (at + 1) & c->mask; c->slots[i] != ID_NONE; i = (i + 1) & c->mask) {
		if (((i - home_of(r, f, c, c->slots[i])) & c->mask) < ((i - at) & c->mask))
			continue;
		c->slots[at] = c->slots[i];
		at = i;
	}
	c->slots[at] = ID_NONE;
}

static void crowd_make(struct rib *r, enum family f, uint32_t node_id)
{
	struct crowd *c = mem_calloc(1, sizeof *c);
	struct node *n = table_node(&r->table[f], node_id);

	c->node = node_id;
	for (uint32_t id = n->routes; id != ID_NONE; id = route_at(r, id)->next)
		crowd_put(r, f, c, id);
	htab_insert(&r->crowds[f], node_hash(node_id), c);
	n->flags |= NODE_CROWDED;
}

static void crowd_free(struct crowd *c)
{
	free(c->slots);
	free(c);
}

static uint32_t crowd_find(const struct rib *r, enum family f, const struct crowd *c, uint16_t peer, uint32_t path_id)
{
	uint32_t at = route_hash(&r->table[f], peer, path_id) & c->mask;

	for (; c->slots[at] != ID_NONE; at = (at + 1) & c->mask) {
		const struct route *rt = route_at(r, c->slots[at]);

		if (rt->peer == peer && rt->path_id == path_id)
			break;
	}
	return c->slots[at];
}

uint32_t node_route(struct rib *r, enum family f, uint32_t node_id, uint16_t peer, uint32_t path_id)
{
	const struct node *n = table_node(&r->table[f], node_id);
	uint32_t id = n->routes;
	unsigned passed = 0;

	if (n->flags & NODE_CROWDED)
		return crowd_find(r, f, crowd_of(r, f, node_id), peer, path_id);
	for (; id != ID_NONE; id = route_at(r, id)->next, passed++) {
		const struct route *rt = route_at(r, id);

		if (rt->peer == peer && rt->path_id == path_id)
			break;
	}
	if (passed > CROWD_FROM)
		crowd_make(r, f, node_id);
	return id;
}

void crowd_add(struct rib *r, enum family f, uint32_t node_id, uint32_t route_id)
{
	if (table_node(&r->table[f], node_id)->flags & NODE_CROWDED)
		crowd_put(r, f, crowd_of(r, f, node_id), route_id);
}

void crowd_remove(struct rib *r, enum family f, uint32_t node_id, uint32_t route_id)
{
	struct node *n = table_node(&r->table[f], node_id);
	struct crowd *c;
	uint32_t at;

	if (!(n->flags & NODE_CROWDED))
		return;
	c = crowd_of(r, f, node_id);
	at = home_of(r, f, c, route_id);
	while (c->slots[at] != route_id)
		at = (at + 1) & c->mask;
	slot_empty(r, f, c, at);
	if (--c->count > CROWD_FROM / 4) {
		if (c->count * 8ull < c->mask && c->mask >= CROWD_FROM * 8)
			slots_resize(r, f, c, (c->mask + 1) / 2);
		return;
	}
	htab_remove(&r->crowds[f], node_hash(node_id), c);
	crowd_free(c);
	n->flags &= (uint8_t)~NODE_CROWDED;
}

void crowds_clear(struct rib *r)
{
	for (int f = 0; f < FAM_COUNT; f++) {
		uint32_t pos = 0;
		struct crowd *c;

		while ((c = htab_next(&r->crowds[f], &pos)))
			crowd_free(c);
		htab_clear(&r->crowds[f]);
	}
}

size_t crowds_bytes(const struct rib *r)
{
	size_t bytes = 0;

	for (int f = 0; f < FAM_COUNT; f++) {
		const struct crowd *c;
		uint32_t pos = 0;

		bytes += htab_bytes(&r->crowds[f]);
		while ((c = htab_next(&r->crowds[f], &pos)))
			bytes += sizeof *c + (c->mask + 1ull) * sizeof *c->slots;
	}
	return bytes;
}
