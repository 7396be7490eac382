/* The intern table.
 *
 * Owner: the RIB. Invariants: two live sets never have equal canonical bytes and next hop; a next hop lives exactly as
 * long as sets refer to it; every variant of one global address is in the same chain and has the same reachability. */
#include "rib/attrs.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/base/mem.h"

/* Sets up to this size come from slabs (one per 8 octets): a malloc header on each of a million would show. */
#define SLAB_LIMIT 256u
#define CANONICAL_MAX 65535u

struct attrs_table {
	struct htab sets, next_hops; /* next_hops holds the chains' heads */
	struct slab slab[SLAB_LIMIT / 8];
	size_t large_bytes; /* of sets beyond SLAB_LIMIT */
	void (*on_nexthop)(void *arg, struct nexthop *nh, bool used);
	void *arg;
	uint8_t *scratch; /* CANONICAL_MAX, made when a set does not fit on the stack */
};

struct attrs_table *attrs_table_new(void)
{
	struct attrs_table *t = mem_calloc(1, sizeof *t);

	for (unsigned i = 0; i < SLAB_LIMIT / 8; i++)
		t->slab[i].size = (i + 1) * 8;
	return t;
}

static size_t set_size(size_t canonical)
{
	return (offsetof(struct attrs, canonical) + canonical + 7) & ~(size_t)7;
}

static void nexthop_free(struct nexthop *nh)
{
	for (int f = 0; f < FAM_COUNT; f++)
		pageset_free(&nh->pages[f]);
	free(nh);
}

void attrs_table_free(struct attrs_table *t)
{
	struct nexthop *nh, *next;
	struct attrs *set;
	uint32_t pos = 0;

	if (!t)
		return;
	while ((set = htab_next(&t->sets, &pos)))
		if (set_size(set->len) > SLAB_LIMIT)
			free(set);
	for (pos = 0; (nh = htab_next(&t->next_hops, &pos));) {
		for (; nh; nh = next) {
			next = nh->sibling;
			nexthop_free(nh);
		}
	}
	for (unsigned i = 0; i < SLAB_LIMIT / 8; i++)
		slab_clear(&t->slab[i]);
	htab_clear(&t->sets);
	htab_clear(&t->next_hops);
	free(t->scratch);
	free(t);
}

void attrs_table_on_nexthop(struct attrs_table *t, void (*cb)(void *arg, struct nexthop *nh, bool used), void *arg)
{
	t->on_nexthop = cb;
	t->arg = arg;
}

/* ---- Next hops ---- */

static uint32_t addr_hash(const struct addr *a)
{
	return (uint32_t)hash_bytes(a, sizeof *a);
}

static bool chain_eq(const void *item, const void *key)
{
	const struct nexthop *nh = item;

	return addr_equal(&nh->addr.addr, key);
}

struct nexthop *attrs_nexthop_chain(const struct attrs_table *t, const struct addr *addr)
{
	return htab_find(&t->next_hops, addr_hash(addr), chain_eq, addr);
}

struct nexthop *attrs_nexthop_find(const struct attrs_table *t, const struct bgp_nexthop *addr)
{
	struct nexthop *nh = attrs_nexthop_chain(t, &addr->addr);

	while (nh && !addr_equal(&nh->addr.link_local, &addr->link_local))
		nh = nh->sibling;
	return nh;
}

static struct nexthop *nexthop_new(struct attrs_table *t, const struct bgp_nexthop *addr)
{
	struct nexthop *first = attrs_nexthop_chain(t, &addr->addr), *nh = mem_calloc(1, sizeof *nh);

	nh->addr = *addr;
	if (first) {
		nh->reachable = first->reachable;
		nh->metric = first->metric;
		nh->sibling = first->sibling;
		first->sibling = nh;
		return nh;
	}
	htab_insert(&t->next_hops, addr_hash(&addr->addr), nh);
	if (t->on_nexthop)
		t->on_nexthop(t->arg, nh, true);
	return nh;
}

static void nexthop_unref(struct attrs_table *t, struct nexthop *nh)
{
	struct nexthop *first;
	uint32_t hash;

	if (--nh->refs)
		return;
	hash = addr_hash(&nh->addr.addr);
	first = attrs_nexthop_chain(t, &nh->addr.addr);
	if (first != nh) {
		while (first->sibling != nh)
			first = first->sibling;
		first->sibling = nh->sibling;
	} else {
		htab_remove(&t->next_hops, hash, nh);
		if (nh->sibling)
			htab_insert(&t->next_hops, hash, nh->sibling);
		else if (t->on_nexthop)
			t->on_nexthop(t->arg, nh, false);
	}
	nexthop_free(nh);
}

/* ---- Sets ---- */

struct set_key {
	const uint8_t *canonical;
	size_t len;
	const struct nexthop *next_hop;
};

static bool set_eq(const void *item, const void *key)
{
	const struct attrs *set = item;
	const struct set_key *k = key;

	return set->len == k->len && set->next_hop == k->next_hop && memcmp(set->canonical, k->canonical, k->len) == 0;
}

static uint32_t set_hash(const struct set_key *k)
{
	uint64_t h = hash_bytes(k->canonical, k->len);

	/* Addresses of objects are not known outside either: mixing them in keeps the hash keyed. */
	return (uint32_t)h ^ (uint32_t)((uintptr_t)k->next_hop >> 4) * 0x9e3779b1u;
}

/* Without confederations NO_EXPORT_SUBCONFED means the same as NO_EXPORT (RFC 1997). NO_PEER (RFC 3765) is not here: it
 * speaks of sessions between equals, and nobody tells us which these are; it is passed on. */
static const struct well_known {
	uint32_t community;
	uint8_t flag;
} well_known[] = {
    {BGP_COMMUNITY_NO_EXPORT, ATTRS_NO_EXPORT},
    {BGP_COMMUNITY_NO_EXPORT_SUBCONFED, ATTRS_NO_EXPORT},
    {BGP_COMMUNITY_NO_ADVERTISE, ATTRS_NO_ADVERTISE},
    {BGP_COMMUNITY_BLACKHOLE, ATTRS_BLACKHOLE},
    {BGP_COMMUNITY_GRACEFUL_SHUTDOWN, ATTRS_GRACEFUL_SHUTDOWN},
    {BGP_COMMUNITY_LLGR_STALE, ATTRS_LLGR_STALE},
    {BGP_COMMUNITY_NO_LLGR, ATTRS_NO_LLGR},
};
#define FIRST_WELL_KNOWN 0xffff0000u

static uint8_t community_flags(struct span communities)
{
	struct rd r = rd_span(communities);
	uint8_t flags = 0;

	while (rd_left(&r)) {
		uint32_t c = rd_u32(&r);

		for (unsigned i = 0; c >= FIRST_WELL_KNOWN && i < sizeof well_known / sizeof *well_known; i++)
			if (well_known[i].community == c)
				flags |= well_known[i].flag;
	}
	return flags;
}

static void set_digest(struct attrs *set, const struct bgp_attrs *a)
{
	unsigned length = bgp_attrs_have(a, BA_AS_PATH) ? as_path_length(a->as_path) : 0;

	set->local_pref = bgp_attrs_have(a, BA_LOCAL_PREF) ? a->local_pref : 100;
	set->med = bgp_attrs_have(a, BA_MED) ? a->med : 0;
	set->first_as = bgp_attrs_have(a, BA_AS_PATH) ? as_path_first(a->as_path) : 0;
	set->path_length = (uint16_t)(length < UINT16_MAX ? length : UINT16_MAX);
	set->origin = bgp_attrs_have(a, BA_ORIGIN) ? a->origin : (uint8_t)BGP_ORIGIN_INCOMPLETE;
	set->flags = bgp_attrs_have(a, BA_COMMUNITIES) ? community_flags(a->communities) : 0;
	if (bgp_attrs_have(a, BA_ORIGINATOR_ID) || bgp_attrs_have(a, BA_CLUSTER_LIST))
		set->flags |= ATTRS_HAS_ORIGINATOR;
	if (bgp_attrs_have(a, BA_LOCAL_PREF))
		set->flags |= ATTRS_LOCAL_PREF;
}

static struct attrs *set_alloc(struct attrs_table *t, size_t size)
{
	if (size <= SLAB_LIMIT)
		return slab_get(&t->slab[size / 8 - 1]);
	t->large_bytes += size;
	return mem_calloc(1, size);
}

static struct attrs *intern(struct attrs_table *t, const struct bgp_attrs *a, struct span canonical)
{
	struct set_key key = {canonical.p, canonical.len, NULL};
	struct nexthop *nh = NULL;
	struct attrs *set;
	uint32_t hash;

	if (!addr_is_none(&a->next_hop.addr)) {
		nh = attrs_nexthop_find(t, &a->next_hop);
		if (!nh)
			nh = nexthop_new(t, &a->next_hop);
	}
	key.next_hop = nh;
	hash = set_hash(&key);
	set = htab_find(&t->sets, hash, set_eq, &key);
	if (set)
		return attrs_ref(set);
	set = set_alloc(t, set_size(canonical.len));
	set->refs = 1;
	set->hash = hash;
	set->next_hop = nh;
	if (nh)
		nh->refs++;
	set->len = (uint16_t)canonical.len;
	memcpy(set->canonical, canonical.p, canonical.len);
	set_digest(set, a);
	htab_insert(&t->sets, hash, set);
	return set;
}

struct attrs *attrs_intern(struct attrs_table *t, const struct bgp_attrs *a)
{
	uint8_t small[2048];
	struct wr w = wr_make(small, sizeof small);

	bgp_attrs_encode(&w, a, &bgp_codec_canonical, false);
	if (w.bad) {
		if (!t->scratch)
			t->scratch = mem_alloc(CANONICAL_MAX);
		w = wr_make(t->scratch, CANONICAL_MAX);
		bgp_attrs_encode(&w, a, &bgp_codec_canonical, false);
		if (w.bad)
			return NULL;
	}
	return intern(t, a, (struct span){w.start, wr_len(&w)});
}

struct attrs *attrs_ref(struct attrs *a)
{
	if (a->refs++ == UINT32_MAX)
		abort(); /* wrapped: the set would be freed under its users */
	return a;
}

void attrs_unref(struct attrs_table *t, struct attrs *a)
{
	size_t size;

	if (!a)
		return;
	if (a->refs == 0)
		abort(); /* a reference was dropped twice */
	if (--a->refs)
		return;
	htab_remove(&t->sets, a->hash, a);
	if (a->next_hop)
		nexthop_unref(t, a->next_hop);
	size = set_size(a->len);
	if (size <= SLAB_LIMIT) {
		slab_put(&t->slab[size / 8 - 1], a);
	} else {
		t->large_bytes -= size;
		free(a);
	}
}

void attrs_get(const struct attrs *set, struct bgp_attrs *out)
{
	*out = (struct bgp_attrs){0};
	if (!bgp_attrs_from_canonical(out, (struct span){set->canonical, set->len}))
		abort(); /* we wrote it ourselves: memory is corrupt */
	if (set->next_hop)
		out->next_hop = set->next_hop->addr;
}

unsigned attrs_count(const struct attrs_table *t)
{
	return t->sets.count;
}

unsigned attrs_nexthops(const struct attrs_table *t)
{
	return t->next_hops.count;
}

size_t attrs_bytes(const struct attrs_table *t)
{
	size_t bytes = sizeof *t + htab_bytes(&t->sets) + htab_bytes(&t->next_hops) + t->large_bytes +
		       t->next_hops.count * sizeof(struct nexthop);

	for (unsigned i = 0; i < SLAB_LIMIT / 8; i++)
		bytes += slab_bytes(&t->slab[i]);
	return bytes;
}
