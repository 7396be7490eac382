/* Objects of one size by dense 32-bit id: where pointers and a malloc header for each of a million would show.
 *
 * They live in pages of POOL_PAGE objects that never move, so a pointer stays valid while its id is in use. Ids of
 * freed objects are used again. Pages go back in pool_clear() only. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>
#include <stdint.h>

#define ID_NONE UINT32_MAX
#define POOL_SHIFT 8
#define POOL_PAGE (1u << POOL_SHIFT)

struct pool {
	uint8_t **pages;
	uint32_t n_pages;
	uint32_t size;	/* of an object, a multiple of 4 */
	uint32_t bound; /* ids that ever were in use are below */
	uint32_t free;	/* list through the first four octets, ID_NONE at the end */
	uint32_t live;
};

void pool_init(struct pool *p, uint32_t size);
/* A zeroed object's id. */
uint32_t pool_get(struct pool *p);
void pool_put(struct pool *p, uint32_t id);
void pool_clear(struct pool *p);
size_t pool_bytes(const struct pool *p);
static inline void *pool_at(const struct pool *p, uint32_t id)
{
	return p->pages[id >> POOL_SHIFT] + (size_t)(id & (POOL_PAGE - 1)) * p->size;
}

/* Zero-initialised is empty. */
struct numbers {
	struct pool objects; /* pointers */
};

/* The object's number, never 0, until number_drop(). */
uint32_t number_give(struct numbers *n, void *object);
void number_drop(struct numbers *n, uint32_t number);
void numbers_clear(struct numbers *n);
/* NULL for 0. */
static inline void *number_at(const struct numbers *n, uint32_t number)
{
	return number ? *(void **)pool_at(&n->objects, number) : NULL;
}

#endif
