#include "daemon/base/pool.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"

void pool_init(struct pool *p, uint32_t size)
{
	*p = (struct pool){.size = size, .free = ID_NONE};
}

static void pool_grow(struct pool *p)
{
	/* Powers of two: the array of pages is reallocated log(n) times. */
	if ((p->n_pages & (p->n_pages - 1)) == 0)
		p->pages = mem_realloc(p->pages, (p->n_pages ? p->n_pages * 2 : 1) * sizeof *p->pages);
	p->pages[p->n_pages++] = mem_calloc(POOL_PAGE, p->size);
}

uint32_t pool_get(struct pool *p)
{
	uint32_t id = p->free;
	void *obj;

	p->live++;
	if (id != ID_NONE) {
		obj = pool_at(p, id);
		memcpy(&p->free, obj, sizeof p->free);
		memset(obj, 0, sizeof p->free);
		return id;
	}
	if (p->bound == p->n_pages << POOL_SHIFT)
		pool_grow(p);
	return p->bound++;
}

void pool_put(struct pool *p, uint32_t id)
{
	void *obj = pool_at(p, id);

	memset(obj, 0, p->size);
	memcpy(obj, &p->free, sizeof p->free);
	p->free = id;
	p->live--;
}

void pool_clear(struct pool *p)
{
	for (uint32_t i = 0; i < p->n_pages; i++)
		free(p->pages[i]);
	free(p->pages);
	pool_init(p, p->size);
}

size_t pool_bytes(const struct pool *p)
{
	return (size_t)p->n_pages * (POOL_PAGE * p->size + sizeof *p->pages);
}

uint32_t number_give(struct numbers *n, void *object)
{
	uint32_t number;

	if (!n->objects.size) {
		pool_init(&n->objects, sizeof object);
		pool_get(&n->objects); /* 0 is nobody's */
	}
	number = pool_get(&n->objects);
	*(void **)pool_at(&n->objects, number) = object;
	return number;
}

void number_drop(struct numbers *n, uint32_t number)
{
	pool_put(&n->objects, number);
}

void numbers_clear(struct numbers *n)
{
	if (n->objects.size)
		pool_clear(&n->objects);
	*n = (struct numbers){0};
}
