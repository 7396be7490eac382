/* SipHash (Aumasson, Bernstein 2012) with 1 compression and 3 finalisation rounds, and linear probing with backward
 * shift on removal, so that there are no tombstones and lookups never degrade. */
#include "daemon/base/hash.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/base/mem.h"

/* The only process-wide state in base: written once before any table exists, read-only afterwards. */
static uint64_t key[2] = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};

void hash_seed_random(void)
{
	uint64_t fresh[2];

	if (getrandom(fresh, sizeof fresh, 0) == (ssize_t)sizeof fresh)
		memcpy(key, fresh, sizeof key);
}

static inline uint64_t rotl(uint64_t v, int n)
{
	return v << n | v >> (64 - n);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

uint64_t hash_bytes(const void *data, size_t len)
{
	uint64_t v[4] = {key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du, key[0] ^ 0x6c7967656e657261u,
			 key[1] ^ 0x7465646279746573u};
	const uint8_t *p = data;
	uint64_t m, last = (uint64_t)len << 56;
	size_t i;

	for (i = 0; i + 8 <= len; i += 8) {
		memcpy(&m, p + i, 8);
		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	for (size_t k = 0; i + k < len; k++)
		last |= (uint64_t)p[i + k] << (8 * k);
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (int r = 0; r < 3; r++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint32_t hash_str(const char *s)
{
	return (uint32_t)hash_bytes(s, strlen(s));
}

void *htab_find(const struct htab *t, uint32_t hash, htab_eq_fn *eq, const void *wanted)
{
	if (!t->items)
		return NULL;
	for (uint32_t i = hash & t->mask; t->items[i]; i = (i + 1) & t->mask)
		if (t->hashes[i] == hash && eq(t->items[i], wanted))
			return t->items[i];
	return NULL;
}

static void place(struct htab *t, uint32_t hash, void *item)
{
	uint32_t i = hash & t->mask;

	while (t->items[i])
		i = (i + 1) & t->mask;
	t->items[i] = item;
	t->hashes[i] = hash;
}

static void grow(struct htab *t)
{
	struct htab old = *t;
	uint32_t slots = old.items ? (old.mask + 1) * 2 : 8;

	t->items = mem_calloc(slots, sizeof *t->items);
	t->hashes = mem_alloc(slots * sizeof *t->hashes);
	t->mask = slots - 1;
	for (uint32_t i = 0; old.items && i <= old.mask; i++)
		if (old.items[i])
			place(t, old.hashes[i], old.items[i]);
	free(old.items);
	free(old.hashes);
}

void htab_insert(struct htab *t, uint32_t hash, void *item)
{
	if (!t->items || (uint64_t)(t->count + 1) * 4 > ((uint64_t)t->mask + 1) * 3)
		grow(t);
	place(t, hash, item);
	t->count++;
}

bool htab_remove(struct htab *t, uint32_t hash, const void *item)
{
	uint32_t i, j;

	if (!t->items)
		return false;
	for (i = hash & t->mask; t->items[i] != item; i = (i + 1) & t->mask)
		if (!t->items[i])
			return false;
	/* Backward shift: move up every later item of the run whose home slot is not after the hole. */
	for (j = (i + 1) & t->mask; t->items[j]; j = (j + 1) & t->mask) {
		uint32_t home = t->hashes[j] & t->mask;
		if (((j - home) & t->mask) >= ((j - i) & t->mask)) {
			t->items[i] = t->items[j];
			t->hashes[i] = t->hashes[j];
			i = j;
		}
	}
	t->items[i] = NULL;
	t->count--;
	return true;
}

void *htab_next(const struct htab *t, uint32_t *pos)
{
	while (t->items && *pos <= t->mask) {
		void *item = t->items[(*pos)++];
		if (item)
			return item;
	}
	return NULL;
}

void htab_clear(struct htab *t)
{
	free(t->items);
	free(t->hashes);
	*t = (struct htab){0};
}

size_t htab_bytes(const struct htab *t)
{
	return t->items ? ((size_t)t->mask + 1) * (sizeof *t->items + sizeof *t->hashes) : 0;
}
