#include "daemon/base/pageset.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/base/pool.h"

_Static_assert(PAGE_SHIFT == POOL_SHIFT, "a page of a set lies together");

void pageset_grow(struct pageset *s, uint32_t page)
{
	uint32_t words = page / 64 + 1;

	/* Node ids are dense and grow slowly: half as much again keeps the sets of many owners small. */
	words += words / 2;
	s->bits = mem_realloc(s->bits, words * sizeof *s->bits);
	memset(s->bits + s->words, 0, (words - s->words) * sizeof *s->bits);
	s->words = words;
}

bool pageset_next(const struct pageset *s, uint32_t *page)
{
	uint32_t word = *page / 64;
	uint64_t bits;

	if (word >= s->words)
		return false;
	bits = s->bits[word] & ~0ull << *page % 64;
	while (!bits) {
		if (++word == s->words)
			return false;
		bits = s->bits[word];
	}
	*page = word * 64 + (uint32_t)__builtin_ctzll(bits);
	return true;
}

void pageset_merge(struct pageset *s, const struct pageset *more)
{
	if (more->words > s->words)
		pageset_grow(s, more->words * 64 - 1);
	for (uint32_t i = 0; i < more->words; i++)
		s->bits[i] |= more->bits[i];
}

void pageset_free(struct pageset *s)
{
	free(s->bits);
	*s = (struct pageset){0};
}
