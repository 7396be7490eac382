/* Where entries live: in pages by node, or in a pool with a list for each node. */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "rib/adjout.h"
#include "rib/core.h"

static inline uint32_t page_index(uint32_t node)
{
	return node & (PAGE_NODES - 1);
}

/* ---- Pages ---- */

static struct list_page *list_page_new(void)
{
	struct list_page *lp = mem_alloc(sizeof *lp);

	memset(lp, 0xff, sizeof *lp);
	lp->used = 0;
	return lp;
}

/* The page of the node, made if there is none. */
static void *page_get(struct stream *s, uint32_t node)
{
	uint32_t page = node >> PAGE_SHIFT;

	if (page >= s->n_pages) {
		uint32_t n = page + 1 + page / 2;

		s->pages = mem_realloc(s->pages, n * sizeof(void *));
		memset(s->pages + s->n_pages, 0, (n - s->n_pages) * sizeof(void *));
		s->n_pages = n;
	}
	if (!s->pages[page])
		s->pages[page] = s->add_path ? (void *)list_page_new() : mem_calloc(1, sizeof(struct entry_page));
	return s->pages[page];
}

static void page_drop(struct stream *s, uint32_t node)
{
	free(s->pages[node >> PAGE_SHIFT]);
	s->pages[node >> PAGE_SHIFT] = NULL;
}

static void node_hold(struct stream *s, uint32_t node)
{
	table_node(&s->rib->table[s->family], node)->held++;
}

static void node_drop(struct stream *s, uint32_t node)
{
	table_node(&s->rib->table[s->family], node)->held--;
	node_release(s->rib, s->family, node);
}

/* ---- One for each node ---- */

static uint32_t plain_make(struct stream *s, uint32_t node)
{
	struct entry_page *ep = page_get(s, node);

	ep->used++;
	ep->e[page_index(node)].flags = ENTRY_USED;
	node_hold(s, node);
	return node;
}

static void plain_clear(struct stream *s, uint32_t node)
{
	struct entry_page *ep = s->pages[node >> PAGE_SHIFT];

	ep->e[page_index(node)] = (struct entry){0};
	if (--ep->used == 0)
		page_drop(s, node);
	node_drop(s, node);
}

static void plain_reap(struct stream *s, struct entry_page *ep, uint32_t first)
{
	for (uint32_t i = 0; i < PAGE_NODES; i++) {
		if (!(ep->e[i].flags & ENTRY_USED))
			continue;
		attrs_unref(s->rib->attrs, ep->e[i].attrs);
		node_drop(s, first + i);
	}
}

/* ---- Several for each node ---- */

static struct path_entry *path_at(const struct stream *s, uint32_t id)
{
	return pool_at(&s->paths, id);
}

static uint32_t path_make(struct stream *s, uint32_t node, uint32_t path_id, uint32_t after)
{
	struct list_page *lp = page_get(s, node);
	uint32_t id = pool_get(&s->paths), *link = &lp->first[page_index(node)];
	struct path_entry *pe = path_at(s, id);

	if (*link == ID_NONE) {
		lp->used++;
		node_hold(s, node);
	}
	if (after != ID_NONE)
		link = &path_at(s, after)->next;
	*pe = (struct path_entry){.e.flags = ENTRY_USED, .node = node, .path_id = path_id, .next = *link};
	*link = id;
	return id;
}

static void path_clear(struct stream *s, uint32_t id)
{
	uint32_t node = path_at(s, id)->node;
	struct list_page *lp = s->pages[node >> PAGE_SHIFT];
	uint32_t *first = &lp->first[page_index(node)], *link = first;

	while (*link != id)
		link = &path_at(s, *link)->next;
	*link = path_at(s, id)->next;
	pool_put(&s->paths, id);
	if (*first != ID_NONE)
		return;
	if (--lp->used == 0)
		page_drop(s, node);
	node_drop(s, node);
}

static void paths_reap(struct stream *s, const struct list_page *lp, uint32_t first)
{
	for (uint32_t i = 0; i < PAGE_NODES; i++) {
		if (lp->first[i] == ID_NONE)
			continue;
		for (uint32_t id = lp->first[i]; id != ID_NONE; id = path_at(s, id)->next)
			attrs_unref(s->rib->attrs, path_at(s, id)->e.attrs);
		node_drop(s, first + i);
	}
}

/* ---- Either ---- */

uint32_t entry_make(struct stream *s, uint32_t node, uint32_t path_id, uint32_t after)
{
	return s->add_path ? path_make(s, node, path_id, after) : plain_make(s, node);
}

void entry_clear(struct stream *s, uint32_t id)
{
	if (s->add_path)
		path_clear(s, id);
	else
		plain_clear(s, id);
}

uint32_t entry_first(const struct stream *s, uint32_t node, uint32_t path_id)
{
	const struct list_page *lp;
	uint32_t id;

	if (!s->add_path)
		return path_id == 0 && stream_entry(s, node) ? node : ID_NONE;
	lp = node >> PAGE_SHIFT < s->n_pages ? s->pages[node >> PAGE_SHIFT] : NULL;
	id = lp ? lp->first[page_index(node)] : ID_NONE;
	while (id != ID_NONE && path_at(s, id)->path_id < path_id)
		id = path_at(s, id)->next;
	return id;
}

uint32_t entry_next(const struct stream *s, uint32_t id)
{
	return s->add_path ? path_at(s, id)->next : ID_NONE;
}

void entries_reap(struct stream *s)
{
	uint32_t page = --s->n_pages;

	if (!s->pages[page])
		return;
	if (s->add_path)
		paths_reap(s, s->pages[page], page << PAGE_SHIFT);
	else
		plain_reap(s, s->pages[page], page << PAGE_SHIFT);
	free(s->pages[page]);
}

size_t entries_bytes(const struct stream *s)
{
	size_t one = s->add_path ? sizeof(struct list_page) : sizeof(struct entry_page);
	size_t bytes = s->n_pages * sizeof(void *) + pool_bytes(&s->paths);

	for (uint32_t i = 0; i < s->n_pages; i++)
		bytes += s->pages[i] ? one : 0;
	return bytes;
}
