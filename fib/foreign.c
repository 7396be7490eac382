#include "fib/foreign.h"

#include <stddef.h>

void foreign_init(struct foreign_table *t, struct nhsets *nhsets)
{
	*t = (struct foreign_table){.nhsets = nhsets};
	for (int k = 0; k < FAM_COUNT; k++)
		ptab_init(&t->prefixes[k], (enum family)k, offsetof(struct foreign, key));
}

void foreign_clear(struct foreign_table *t)
{
	uint32_t pos = 0;

	for (struct foreign *r; (r = foreign_walk(t, &pos));)
		nhset_unref(t->nhsets, foreign_to(t, r));
	for (int k = 0; k < FAM_COUNT; k++)
		ptab_clear(&t->prefixes[k]);
	foreign_init(t, t->nhsets);
}

size_t foreign_bytes(const struct foreign_table *t)
{
	return ptab_bytes(&t->prefixes[FAM_IPV4]) + ptab_bytes(&t->prefixes[FAM_IPV6]);
}

struct foreign *foreign_walk(const struct foreign_table *t, uint32_t *pos)
{
	return ptab_next_of_both(t->prefixes, pos);
}

struct foreign *foreign_exact(const struct foreign_table *t, const struct prefix *p)
{
	return ptab_find(&t->prefixes[family_of_af(p->addr.af)], p);
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

static void set_to(struct foreign *r, struct nhset *to)
{
	r->to = to->number;
	to->foreign++;
}

static void drop_to(struct foreign_table *t, struct foreign *r)
{
	struct nhset *to = foreign_to(t, r);

	to->foreign--;
	nhset_unref(t->nhsets, to);
}

struct foreign *foreign_add(struct foreign_table *t, const struct prefix *p, uint32_t metric, uint8_t tos,
			    struct nhset *to)
{
	enum family family = family_of_af(p->addr.af);
	struct ptab *table = &t->prefixes[family];
	struct foreign *head = ptab_find(table, p), *before = NULL, *r = ptab_make(table, p);

	r->metric = metric;
	r->tos = tos;
	r->family = (uint8_t)family;
	set_to(r, to);
	for (struct foreign *k = head; k && k->metric <= metric; k = foreign_next(t, k))
		before = k;
	if (before) {
		r->next = before->next;
		before->next = r->item.id;
	} else {
		r->next = head ? head->item.id : 0;
		if (head)
			ptab_unlink(table, head);
		ptab_link(table, r);
	}
	t->lengths[family][p->len] += !head;
	t->count++;
	return r;
}

void foreign_remove(struct foreign_table *t, struct foreign *r)
{
	const struct prefix p = foreign_prefix(r);
	struct ptab *table = &t->prefixes[r->family];
	struct foreign *before = ptab_find(table, &p), *next = foreign_next(t, r);

	if (before == r) {
		ptab_unlink(table, r);
		if (next)
			ptab_link(table, next);
		t->lengths[r->family][p.len] -= !next;
	} else {
		while (before->next != r->item.id)
			before = foreign_next(t, before);
		before->next = r->next;
	}
	t->count--;
	drop_to(t, r);
	ptab_free(table, r);
}

void foreign_change(struct foreign_table *t, struct foreign *r, struct nhset *to)
{
	drop_to(t, r);
	set_to(r, to);
}
