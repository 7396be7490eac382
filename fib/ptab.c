#include "fib/ptab.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/base/mem.h"

static inline const uint8_t *key_of(const struct ptab *t, const void *item)
{
	return (const uint8_t *)item + t->key_at;
}

static inline uint32_t *bucket_of(const struct ptab *t, unsigned len, const uint8_t *addr)
{
	uint64_t hi, lo, hash;
	uint32_t v4;

	if (t->family == FAM_IPV4) {
		memcpy(&v4, addr, sizeof v4);
		hash = hash_fold(((uint64_t)len << 32 | v4) ^ t->secret[0], t->secret[1]);
	} else {
		memcpy(&hi, addr, 8);
		memcpy(&lo, addr + 8, 8);
		hash = hash_fold(hash_fold(hi ^ t->secret[0], t->secret[1]) ^ lo ^ t->secret[2], t->secret[3] ^ len);
	}
	return &t->buckets[(uint32_t)hash & t->mask];
}

static uint32_t *bucket_of_item(const struct ptab *t, const void *item)
{
	const uint8_t *key = key_of(t, item);

	return bucket_of(t, key[0], key + 1);
}

void ptab_init(struct ptab *t, enum family family, size_t key_at)
{
	*t = (struct ptab){.family = family, .key_at = (uint32_t)key_at};
	pool_init(&t->items, (uint32_t)key_at + 1 + addr_bytes(family_af(family)));
	for (unsigned i = 0; i < 4; i++) {
		uint8_t label[] = {'f', 'i', 'b', (uint8_t)family, (uint8_t)i};

		t->secret[i] = hash_bytes(label, sizeof label) | 1;
	}
}

void ptab_clear(struct ptab *t)
{
	pool_clear(&t->items);
	free(t->buckets);
	ptab_init(t, t->family, t->key_at);
}

size_t ptab_bytes(const struct ptab *t)
{
	return pool_bytes(&t->items) + (t->buckets ? ((size_t)t->mask + 1) * sizeof *t->buckets : 0);
}

static void put_in_bucket(struct ptab *t, struct pitem *item)
{
	uint32_t *bucket = bucket_of_item(t, item);

	item->chain = *bucket;
	*bucket = item->id;
}

static void grow(struct ptab *t)
{
	uint32_t size = t->buckets ? (t->mask + 1) * 2 : 64, pos = 0;

	free(t->buckets);
	t->buckets = mem_calloc(size, sizeof *t->buckets);
	t->mask = size - 1;
	for (struct pitem *item; (item = ptab_next(t, &pos));)
		if (item->chain != PTAB_UNLINKED)
			put_in_bucket(t, item);
}

void *ptab_make(struct ptab *t, const struct prefix *p)
{
	struct pitem *item;
	uint8_t *key;
	uint32_t id;

	if (!t->items.bound)
		pool_get(&t->items); /* 0 is nobody's */
	id = pool_get(&t->items);
	item = ptab_at(t, id);
	*item = (struct pitem){.chain = PTAB_UNLINKED, .id = id};
	key = (uint8_t *)item + t->key_at;
	key[0] = p->len;
	memcpy(key + 1, p->addr.b, addr_bytes(p->addr.af));
	return item;
}

void ptab_free(struct ptab *t, void *item)
{
	pool_put(&t->items, ((struct pitem *)item)->id);
}

void ptab_link(struct ptab *t, void *item)
{
	if (!t->buckets || t->count > t->mask)
		grow(t);
	put_in_bucket(t, item);
	t->count++;
}

void ptab_unlink(struct ptab *t, void *unlinked)
{
	struct pitem *item = unlinked;
	uint32_t *at = bucket_of_item(t, item);

	while (*at != item->id)
		at = &((struct pitem *)ptab_at(t, *at))->chain;
	*at = item->chain;
	item->chain = PTAB_UNLINKED;
	t->count--;
}

static inline bool has_key(const struct ptab *t, const uint8_t *key, unsigned len, const uint8_t *addr)
{
	return key[0] == len && (t->family == FAM_IPV4 ? memcmp(key + 1, addr, 4) : memcmp(key + 1, addr, 16)) == 0;
}

/* The first of a chain, from this one on, that has the key. */
static void *match(const struct ptab *t, uint32_t id, unsigned len, const uint8_t *addr)
{
	while (id) {
		struct pitem *item = ptab_at(t, id);

		if (has_key(t, key_of(t, item), len, addr))
			return item;
		id = item->chain;
	}
	return NULL;
}

void *ptab_find(const struct ptab *t, const struct prefix *p)
{
	return t->buckets ? match(t, *bucket_of(t, p->len, p->addr.b), p->len, p->addr.b) : NULL;
}

void *ptab_more(const struct ptab *t, const void *item)
{
	const uint8_t *key = key_of(t, item);

	return match(t, ((const struct pitem *)item)->chain, key[0], key + 1);
}

void *ptab_next(const struct ptab *t, uint32_t *pos)
{
	while (++*pos < t->items.bound) {
		struct pitem *item = ptab_at(t, *pos);

		if (item->id)
			return item;
	}
	return NULL;
}

/* A position has the family in its lowest bit and the id above; all of IPv4 comes first. */
void *ptab_next_of_both(const struct ptab t[static FAM_COUNT], uint32_t *pos)
{
	for (uint32_t k = *pos & 1, id = *pos >> 1; k < FAM_COUNT; k++, id = 0) {
		void *item = ptab_next(&t[k], &id);

		if (item) {
			*pos = id << 1 | k;
			return item;
		}
	}
	return NULL;
}
