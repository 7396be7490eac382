/* Keyed hashing and the one growing hash table.
 *
 * Keys come from peers and from the datastore, so the hash is SipHash-1-3 under a random per-process key: nobody
 * outside can build collisions. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Draws the process's key; call once, before any table is filled. Not calling it leaves a fixed key (tests). */
void hash_seed_random(void);
/* SipHash-1-3 of the bytes under the process's key. */
uint64_t hash_bytes(const void *data, size_t len);
uint32_t hash_str(const char *s);

/* Multiply and fold under a secret odd key (as wyhash does): as few cycles as a plain multiplicative hash, and nobody
 * who does not know the key can aim at one place. */
static inline uint64_t hash_fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* An open-addressing table of pointers. It does not own the items. The caller keeps the hash of an item stable while
 * the item is in the table. Zero-initialised is empty and valid; nothing is allocated until the first insertion. */
struct htab {
	void **items;
	uint32_t *hashes; /* parallel to items; meaningful where items[i] is not NULL */
	uint32_t mask;	  /* slots - 1; slots is 0 or a power of two */
	uint32_t count;
};

typedef bool htab_eq_fn(const void *item, const void *key);

/* The item that eq() says equals key, or NULL. */
void *htab_find(const struct htab *t, uint32_t hash, htab_eq_fn *eq, const void *key);
/* Adds an item that is not in the table yet. */
void htab_insert(struct htab *t, uint32_t hash, void *item);
/* Removes this very pointer; false if it is not in the table. */
bool htab_remove(struct htab *t, uint32_t hash, const void *item);
/* Walks all items in no particular order: start with *pos = 0, NULL at the end. An insertion or removal during the
 * walk may make it miss or repeat items (removing the item just returned: it may repeat none and miss some). */
void *htab_next(const struct htab *t, uint32_t *pos);
/* Frees the slots (not the items) and leaves an empty table. */
void htab_clear(struct htab *t);
/* Bytes held by the slots. */
size_t htab_bytes(const struct htab *t);

#endif
