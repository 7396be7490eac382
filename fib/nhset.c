#include "fib/nhset.h"

#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"

_Static_assert(sizeof(struct nhop) == 28, "nhop is compared as bytes");
_Static_assert(sizeof(struct nhset_key) == 32, "nhset_key is compared as bytes");

static int nhop_cmp(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct nhop));
}

void nhset_draft_add(struct nhset_draft *d, const struct nhop *hop)
{
	for (unsigned i = 0; i < d->key.count; i++)
		if (nhop_cmp(&d->hop[i], hop) == 0)
			return;
	if (d->key.count == NHSET_MAX) {
		d->key.odd = 1;
		return;
	}
	d->hop[d->key.count++] = *hop;
}

static bool nhset_equals_draft(const void *item, const void *draft)
{
	const struct nhset *s = item;
	const struct nhset_draft *d = draft;

	return memcmp(&s->key, &d->key, sizeof s->key) == 0 &&
	       memcmp(s->hop, d->hop, d->key.count * sizeof *d->hop) == 0;
}

struct nhset *nhset_get(struct nhsets *all, struct nhset_draft *d)
{
	size_t hops = d->key.count * sizeof *d->hop;
	struct nhset *s;
	uint32_t hash;

	if (d->key.count > 1)
		qsort(d->hop, d->key.count, sizeof *d->hop, nhop_cmp);
	/* The draft begins with the key and the hops follow it without a gap. */
	hash = (uint32_t)hash_bytes(d, sizeof d->key + hops);
	s = htab_find(&all->all, hash, nhset_equals_draft, d);
	if (s)
		return nhset_ref(s);
	s = mem_calloc(1, sizeof *s + hops);
	s->refs = 1;
	s->number = number_give(&all->numbers, s);
	s->hash = hash;
	s->key = d->key;
	memcpy(s->hop, d->hop, hops);
	htab_insert(&all->all, hash, s);
	return s;
}

struct nhset *nhset_ref(struct nhset *s)
{
	s->refs++;
	return s;
}

void nhset_unref(struct nhsets *all, struct nhset *s)
{
	if (!s)
		return;
	if (s->refs == 0)
		abort(); /* dropped twice: what routes point at would be freed memory */
	if (--s->refs > 0)
		return;
	htab_remove(&all->all, s->hash, s);
	number_drop(&all->numbers, s->number);
	pageset_free(&s->pages);
	free(s);
}

void nhset_free_all(struct nhsets *all)
{
	uint32_t pos = 0;

	for (struct nhset *s; (s = htab_next(&all->all, &pos));) {
		pageset_free(&s->pages);
		free(s);
	}
	htab_clear(&all->all);
	numbers_clear(&all->numbers);
}

static bool nhset_has(const struct nhset *s, const struct nhop *hop)
{
	for (unsigned i = 0; i < s->key.count; i++)
		if (s->hop[i].ifindex == hop->ifindex && addr_equal(&s->hop[i].gateway, &hop->gateway))
			return true;
	return false;
}

bool nhset_includes(const struct nhset *whole, const struct nhset *part)
{
	for (unsigned i = 0; i < part->key.count; i++)
		if (!nhset_has(whole, &part->hop[i]))
			return false;
	return true;
}

struct nhset *nhset_without(struct nhsets *all, const struct nhset *whole, const struct nhset *part)
{
	struct nhset_draft d = {.key = whole->key};

	d.key.count = 0;
	for (unsigned i = 0; i < whole->key.count; i++)
		if (!nhset_has(part, &whole->hop[i]))
			nhset_draft_add(&d, &whole->hop[i]);
	return d.key.count ? nhset_get(all, &d) : NULL;
}

bool nhset_is_gatewayed(const struct nhset *s)
{
	return s->key.type == RTN_UNICAST && s->key.count && !addr_is_none(&s->hop[0].gateway);
}

bool nhset_uses(const struct nhset *s, uint32_t ifindex)
{
	for (unsigned i = 0; i < s->key.count; i++)
		if (s->hop[i].ifindex == ifindex)
			return true;
	return false;
}
