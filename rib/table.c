/* The hash is open, a slot four octets: the node's id in as many low bits as slots are numbered with, and above them
 * those bits of the node's hash that the slot's own number does not tell. So a lookup of what is not there touches the
 * slots from the hash's own one on up to an empty one, nearly always in one line of the cache, and no node; one of what
 * is there touches its node besides. What was removed from the middle of a run stays as a mark until the run ends
 * there, or the table is built anew. */
#include "rib/table.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/base/mem.h"

static inline uint32_t hash_prefix(const struct table *t, const uint8_t *addr, unsigned len)
{
	uint64_t hi, lo;
	uint32_t v4;

	if (t->family == FAM_IPV4) {
		memcpy(&v4, addr, sizeof v4);
		return (uint32_t)hash_fold(((uint64_t)len << 32 | v4) ^ t->key[0], t->key[1]);
	}
	memcpy(&hi, addr, 8);
	memcpy(&lo, addr + 8, 8);
	return (uint32_t)hash_fold(hash_fold(hi ^ t->key[0], t->key[1]) ^ lo ^ t->key[2], t->key[3] ^ len);
}

static inline bool node_is(const struct table *t, const struct node *n, const struct prefix *p)
{
	/* Each with a length that the compiler knows, for it to be a few instructions. */
	return n->len == p->len &&
	       (t->family == FAM_IPV4 ? memcmp(n->addr, p->addr.b, 4) == 0 : memcmp(n->addr, p->addr.b, 16) == 0);
}

void table_init(struct table *t, enum family f)
{
	*t = (struct table){.family = f};
	pool_init(&t->nodes, (uint32_t)(offsetof(struct node, addr) + addr_bytes(family_af(f))));
	for (unsigned i = 0; i < 4; i++) {
		uint8_t label[] = {'r', 'i', 'b', (uint8_t)f, (uint8_t)i};

		t->key[i] = hash_bytes(label, sizeof label) | 1;
	}
}

void table_clear(struct table *t)
{
	pool_clear(&t->nodes);
	free(t->slots);
	table_init(t, t->family);
}

size_t table_bytes(const struct table *t)
{
	return pool_bytes(&t->nodes) + (t->slots ? ((size_t)t->mask + 1) * sizeof *t->slots : 0);
}

/* Values no node's slot has, as less than two thirds of the slots, and so of the ids that fit, are in use. */
#define SLOT_EMPTY UINT32_MAX
#define SLOT_GONE (UINT32_MAX - 1)

static inline uint32_t slot_make(const struct table *t, uint32_t hash, uint32_t id)
{
	return (hash & ~t->mask) | id;
}

/* The first slot from the hash's own one on that can be taken. */
static inline uint32_t slot_free(const struct table *t, uint32_t hash)
{
	uint32_t at = hash & t->mask;

	while (t->slots[at] < SLOT_GONE)
		at = (at + 1) & t->mask;
	return at;
}

/* How many slots are on their way into the cache at once. */
#define AHEAD 16u

/* Fills the slots, which are empty, in the order of the ids, since nodes are sequential memory. */
static void slots_fill(struct table *t)
{
	uint32_t hash[AHEAD] = {0}, ids[AHEAD] = {0};

	for (uint32_t i = 0; i < t->nodes.bound + AHEAD; i++) {
		const uint32_t k = i % AHEAD;
		const struct node *n;

		if (i >= AHEAD && ids[k] != ID_NONE)
			t->slots[slot_free(t, hash[k])] = slot_make(t, hash[k], ids[k]);
		ids[k] = ID_NONE;
		if (i >= t->nodes.bound)
			continue;
		n = table_node(t, i);
		if (!(n->flags & NODE_USED))
			continue;
		ids[k] = i;
		hash[k] = hash_prefix(t, n->addr, n->len);
		__builtin_prefetch(&t->slots[hash[k] & t->mask], 1);
	}
}

/* Twice as many, if it is not for the marks of what is gone that they are full. */
static void slots_grow(struct table *t)
{
	size_t size = t->slots ? t->mask + 1ull : 32;

	if (t->nodes.live * 3ull >= size || !t->slots)
		size *= 2;
	free(t->slots);
	t->slots = mem_alloc(size * sizeof *t->slots);
	memset(t->slots, 0xff, size * sizeof *t->slots);
	t->mask = (uint32_t)(size - 1);
	t->taken = t->nodes.live;
	slots_fill(t);
}

uint32_t table_hash(const struct table *t, const struct prefix *p)
{
	uint32_t hash = hash_prefix(t, p->addr.b, p->len);

	if (t->slots)
		__builtin_prefetch(&t->slots[hash & t->mask]);
	return hash;
}

uint32_t table_find_hashed(const struct table *t, const struct prefix *p, uint32_t hash)
{
	if (!t->slots)
		return ID_NONE;
	for (uint32_t at = hash & t->mask;; at = (at + 1) & t->mask) {
		uint32_t slot = t->slots[at], id = slot & t->mask;

		if (slot == SLOT_EMPTY)
			return ID_NONE;
		if (((slot ^ hash) & ~t->mask) == 0 && slot != SLOT_GONE && node_is(t, table_node(t, id), p))
			return id;
	}
}

uint32_t table_find(const struct table *t, const struct prefix *p)
{
	return table_find_hashed(t, p, hash_prefix(t, p->addr.b, p->len));
}

uint32_t table_get_hashed(struct table *t, const struct prefix *p, uint32_t hash)
{
	uint32_t id = table_find_hashed(t, p, hash), at;
	struct node *n;

	if (id != ID_NONE)
		return id;
	if (!t->slots || (t->taken + 1ull) * 3 > (t->mask + 1ull) * 2)
		slots_grow(t);
	id = pool_get(&t->nodes);
	n = table_node(t, id);
	n->routes = ID_NONE;
	n->len = p->len;
	n->flags = NODE_USED;
	memcpy(n->addr, p->addr.b, t->family == FAM_IPV4 ? 4 : 16);
	at = slot_free(t, hash);
	t->taken += t->slots[at] == SLOT_EMPTY;
	t->slots[at] = slot_make(t, hash, id);
	t->by_length[n->len]++;
	return id;
}

uint32_t table_get(struct table *t, const struct prefix *p)
{
	return table_get_hashed(t, p, hash_prefix(t, p->addr.b, p->len));
}

/* Those at the end of a run are empty again. */
static void slot_clear(struct table *t, uint32_t at)
{
	t->slots[at] = SLOT_GONE;
	if (t->slots[(at + 1) & t->mask] != SLOT_EMPTY)
		return;
	for (; t->slots[at] == SLOT_GONE; at = (at - 1) & t->mask) {
		t->slots[at] = SLOT_EMPTY;
		t->taken--;
	}
}

void table_remove(struct table *t, uint32_t id)
{
	const struct node *n = table_node(t, id);
	uint32_t hash = hash_prefix(t, n->addr, n->len), at = hash & t->mask;

	while (t->slots[at] != slot_make(t, hash, id))
		at = (at + 1) & t->mask;
	slot_clear(t, at);
	t->by_length[n->len]--;
	pool_put(&t->nodes, id);
}

uint32_t table_lookup(const struct table *t, const struct addr *a, bool (*test)(const void *arg, const struct node *n),
		      const void *arg)
{
	for (int len = (int)addr_bits(family_af(t->family)); len >= 0; len--) {
		struct prefix p;
		uint32_t id;

		if (!t->by_length[len])
			continue;
		p = prefix_make(a, (unsigned)len);
		id = table_find(t, &p);
		if (id != ID_NONE && test(arg, table_node(t, id)))
			return id;
	}
	return ID_NONE;
}
