#include "fib/foreign.h"

#include <stddef.h>

static uint32_t prefix_hash(const struct prefix *p)
{
	return (uint32_t)hash_bytes(p, sizeof *p);
}

static bool prefix_eq(const void *item, const void *key)
{
	return prefix_equal(&((const struct foreign *)item)->prefix, key);
}

void foreign_init(struct foreign_table *t)
{
	*t = (struct foreign_table){.slab = {.size = sizeof(struct foreign)}};
}

void foreign_clear(struct foreign_table *t, struct nhsets *nhsets)
{
	uint32_t pos = 0;

	for (struct foreign *r; (r = htab_next(&t->prefixes, &pos));)
		for (; r; r = r->next)
			nhset_unref(nhsets, r->to);
	htab_clear(&t->prefixes);
	slab_clear(&t->slab);
	foreign_init(t);
}

struct foreign *foreign_exact(const struct foreign_table *t, const struct prefix *p)
{
	return htab_find(&t->prefixes, prefix_hash(p), prefix_eq, p);
}

struct foreign *foreign_match(const struct foreign_table *t, const struct addr *a)
{
	const uint32_t *lengths = t->lengths[family_of_af(a->af)];

	for (int len = (int)addr_bits(a->af); len >= 0; len--) {
		struct prefix p;
		struct foreign *r;

		if (!lengths[len])
			continue;
		p = prefix_make(a, (unsigned)len);
		r = foreign_exact(t, &p);
		if (r)
			return r;
	}
	return NULL;
}

/* The table holds the head of a list: a new head takes the old one's slot. */
static void set_head(struct foreign_table *t, struct foreign *old, struct foreign *head)
{
	uint32_t hash = prefix_hash(old ? &old->prefix : &head->prefix);

	if (old == head)
		return;
	if (old)
		htab_remove(&t->prefixes, hash, old);
	if (head)
		htab_insert(&t->prefixes, hash, head);
}

struct foreign *foreign_add(struct foreign_table *t, const struct prefix *p, uint32_t metric, uint8_t tos,
			    struct nhset *to)
{
	struct foreign *old = foreign_exact(t, p), *head = old, **at = &head, *r = slab_get(&t->slab);

	r->prefix = *p;
	r->metric = metric;
	r->tos = tos;
	r->to = to;
	to->foreign++;
	while (*at && (*at)->metric <= metric)
		at = &(*at)->next;
	r->next = *at;
	*at = r;
	set_head(t, old, head);
	if (!old)
		t->lengths[family_of_af(p->addr.af)][p->len]++;
	t->count++;
	return r;
}

void foreign_remove(struct foreign_table *t, struct nhsets *nhsets, struct foreign *r)
{
	struct foreign *old = foreign_exact(t, &r->prefix), *head = old, **at = &head;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	set_head(t, old, head);
	if (!head)
		t->lengths[family_of_af(r->prefix.addr.af)][r->prefix.len]--;
	t->count--;
	r->to->foreign--;
	nhset_unref(nhsets, r->to);
	slab_put(&t->slab, r);
}

void foreign_change(struct nhsets *nhsets, struct foreign *r, struct nhset *to)
{
	r->to->foreign--;
	nhset_unref(nhsets, r->to);
	r->to = to;
	to->foreign++;
}
