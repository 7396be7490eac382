/* The hash is chained through the nodes: a bucket is four octets, growing it relinks the nodes in the order of their
 * ids (sequential memory), and a lookup touches one bucket and, on average, one and a half nodes. */
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
	return n->len == p->len && memcmp(n->addr, p->addr.b, t->family == FAM_IPV4 ? 4 : 16) == 0;
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
	free(t->buckets);
	table_init(t, t->family);
}

size_t table_bytes(const struct table *t)
{
	return pool_bytes(&t->nodes) + (t->buckets ? ((size_t)t->mask + 1) * sizeof *t->buckets : 0);
}

static void buckets_grow(struct table *t)
{
	uint32_t size = t->buckets ? (t->mask + 1) * 2 : 64;

	free(t->buckets);
	t->buckets = mem_alloc(size * sizeof *t->buckets);
	memset(t->buckets, 0xff, size * sizeof *t->buckets);
	t->mask = size - 1;
	for (uint32_t id = 0; id < t->nodes.bound; id++) {
		struct node *n = table_node(t, id);
		uint32_t *bucket;

		if (!(n->flags & NODE_USED))
			continue;
		bucket = &t->buckets[hash_prefix(t, n->addr, n->len) & t->mask];
		n->chain = *bucket;
		*bucket = id;
	}
}

static uint32_t find(const struct table *t, const struct prefix *p, uint32_t hash)
{
	uint32_t id;

	if (!t->buckets)
		return ID_NONE;
	id = t->buckets[hash & t->mask];
	while (id != ID_NONE) {
		const struct node *n = table_node(t, id);

		if (node_is(t, n, p))
			return id;
		id = n->chain;
	}
	return ID_NONE;
}

uint32_t table_find(const struct table *t, const struct prefix *p)
{
	return find(t, p, hash_prefix(t, p->addr.b, p->len));
}

uint32_t table_get(struct table *t, const struct prefix *p)
{
	uint32_t hash = hash_prefix(t, p->addr.b, p->len), id = find(t, p, hash);
	struct node *n;

	if (id != ID_NONE)
		return id;
	if (!t->buckets || t->nodes.live > t->mask)
		buckets_grow(t);
	id = pool_get(&t->nodes);
	n = table_node(t, id);
	n->routes = ID_NONE;
	n->len = p->len;
	n->flags = NODE_USED;
	memcpy(n->addr, p->addr.b, t->family == FAM_IPV4 ? 4 : 16);
	n->chain = t->buckets[hash & t->mask];
	t->buckets[hash & t->mask] = id;
	t->by_length[n->len]++;
	return id;
}

void table_remove(struct table *t, uint32_t id)
{
	struct node *n = table_node(t, id);
	uint32_t *at = &t->buckets[hash_prefix(t, n->addr, n->len) & t->mask];

	while (*at != id)
		at = &table_node(t, *at)->chain;
	*at = n->chain;
	t->by_length[n->len]--;
	pool_put(&t->nodes, id);
}

struct prefix table_prefix(const struct table *t, const struct node *n)
{
	struct prefix p = {.addr.af = family_af(t->family), .len = n->len};

	memcpy(p.addr.b, n->addr, t->family == FAM_IPV4 ? 4 : 16);
	return p;
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
