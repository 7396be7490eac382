/* Sets of table pages: where in a prefix table an owner (a peer, a next hop) has routes.
 *
 * A page is PAGE_NODES consecutive node ids. The set is a superset: a bit is set when a route is added and cleared only
 * when a walk finds none left, so keeping it costs next to nothing and a walk still skips most of a big table. */
#ifndef BASE_PAGESET_H
#define BASE_PAGESET_H

#include <stdbool.h>
#include <stdint.h>

#define PAGE_SHIFT 8
#define PAGE_NODES (1u << PAGE_SHIFT)

/* Zero-initialised is empty. */
struct pageset {
	uint64_t *bits;
	uint32_t words;
};

/* Makes room for the page; only pageset_add() needs it. */
void pageset_grow(struct pageset *s, uint32_t page);

static inline void pageset_add(struct pageset *s, uint32_t page)
{
	if (page / 64 >= s->words)
		pageset_grow(s, page);
	s->bits[page / 64] |= 1ull << page % 64;
}

static inline void pageset_remove(struct pageset *s, uint32_t page)
{
	if (page / 64 < s->words)
		s->bits[page / 64] &= ~(1ull << page % 64);
}

/* The first page of the set that is not below *page goes to *page; false if there is none. */
bool pageset_next(const struct pageset *s, uint32_t *page);
/* Adds all pages of `more`. */
void pageset_merge(struct pageset *s, const struct pageset *more);
void pageset_free(struct pageset *s);

#endif
