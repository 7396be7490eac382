/* The intern table: equal is identical, everything that differs is not; references; next hops. */
#include "tests/unit/rib/rig.h"

#include "daemon/base/hash.h"
#include "rib/attrs.h"

static struct attrs_table *t;
static struct nexthop *last_nh;
static unsigned used, unused;

static void on_nexthop(void *arg, struct nexthop *nh, bool in_use)
{
	ck_assert_ptr_eq(arg, &t);
	last_nh = nh;
	used += in_use;
	unused += !in_use;
}

static void begin(void)
{
	t = attrs_table_new();
	attrs_table_on_nexthop(t, on_nexthop, &t);
	used = unused = 0;
}

static void end(void)
{
	ck_assert_uint_eq(attrs_count(t), 0);
	ck_assert_uint_eq(attrs_nexthops(t), 0);
	ck_assert_uint_eq(used, unused);
	attrs_table_free(t);
	arena_free(&rig.arena);
}

/* Everything set, so that each field can be made to differ. */
static struct bgp_attrs full(void)
{
	static const uint8_t path[] = {BGP_AS_SEQUENCE, 2, 0, 0, 253, 233, 0, 1, 0, 1};
	static const uint8_t eight[8] = {0, 1, 0, 2, 0, 3, 0, 4}, twelve[12] = {1, 2, 3};
	static const uint8_t twenty[20] = {0, 2, 0x20, 1};
	static const uint8_t unknown[] = {0xe0, 200, 2, 7, 7};
	struct bgp_attrs a = {
	    .present = 1u << BA_ORIGIN | 1u << BA_AS_PATH | 1u << BA_MED | 1u << BA_LOCAL_PREF |
		       1u << BA_ATOMIC_AGGREGATE | 1u << BA_AGGREGATOR | 1u << BA_COMMUNITIES | 1u << BA_ORIGINATOR_ID |
		       1u << BA_CLUSTER_LIST | 1u << BA_EXT_COMMUNITIES | 1u << BA_IPV6_EXT_COMMUNITIES |
		       1u << BA_LARGE_COMMUNITIES | 1u << BA_OTC,
	    .origin = BGP_ORIGIN_EGP,
	    .med = 7,
	    .local_pref = 300,
	    .aggregator_as = 65001,
	    .aggregator_id = 9,
	    .originator_id = 11,
	    .otc = 65009,
	    .as_path = {path, sizeof path},
	    .communities = {eight, 8},
	    .cluster_list = {eight, 4},
	    .ext_communities = {eight, 8},
	    .ipv6_ext_communities = {twenty, 20},
	    .large_communities = {twelve, 12},
	    .unknown = {unknown, sizeof unknown},
	    .next_hop = {.addr = addr_of("10.0.0.1")},
	};

	return a;
}

/* ---- One difference each ---- */

static void other_origin(struct bgp_attrs *a)
{
	a->origin = BGP_ORIGIN_IGP;
}
static void other_med(struct bgp_attrs *a)
{
	a->med++;
}
static void no_med(struct bgp_attrs *a)
{
	a->present &= ~(1u << BA_MED);
	a->med = 0;
}
static void other_local_pref(struct bgp_attrs *a)
{
	a->local_pref++;
}
static void no_local_pref(struct bgp_attrs *a)
{
	a->present &= ~(1u << BA_LOCAL_PREF);
	a->local_pref = 0;
}
static void no_atomic(struct bgp_attrs *a)
{
	a->present &= ~(1u << BA_ATOMIC_AGGREGATE);
}
static void other_aggregator_as(struct bgp_attrs *a)
{
	a->aggregator_as++;
}
static void other_aggregator_id(struct bgp_attrs *a)
{
	a->aggregator_id++;
}
static void other_originator(struct bgp_attrs *a)
{
	a->originator_id++;
}
static void other_otc(struct bgp_attrs *a)
{
	a->otc++;
}
static void other_path(struct bgp_attrs *a)
{
	static const uint8_t path[] = {BGP_AS_SEQUENCE, 1, 0, 0, 253, 233};

	a->as_path = (struct span){path, sizeof path};
}
static void other_communities(struct bgp_attrs *a)
{
	a->communities.len = 4;
}
static void other_clusters(struct bgp_attrs *a)
{
	a->cluster_list.len = 8;
}
static void other_large(struct bgp_attrs *a)
{
	static const uint8_t twelve[12] = {1, 2, 4};

	a->large_communities.p = twelve;
}
static void other_ext(struct bgp_attrs *a)
{
	static const uint8_t eight[8] = {0, 1, 0, 2, 0, 3, 0, 5};

	a->ext_communities.p = eight;
}
static void other_ext6(struct bgp_attrs *a)
{
	static const uint8_t twenty[20] = {0, 2, 0x20, 2};

	a->ipv6_ext_communities.p = twenty;
}
static void other_unknown(struct bgp_attrs *a)
{
	static const uint8_t unknown[] = {0xe0, 200, 2, 7, 8};

	a->unknown.p = unknown;
}
static void other_next_hop(struct bgp_attrs *a)
{
	a->next_hop.addr = addr_of("10.0.0.2");
}
static void other_link_local(struct bgp_attrs *a)
{
	a->next_hop.link_local = addr_of("fe80::1");
}
static void no_next_hop(struct bgp_attrs *a)
{
	a->next_hop = (struct bgp_nexthop){0};
}

static void (*const differences[])(struct bgp_attrs *a) = {
    other_origin,	 other_med,	      no_med,		other_local_pref, no_local_pref, no_atomic,
    other_aggregator_as, other_aggregator_id, other_originator, other_otc,	  other_path,	 other_communities,
    other_clusters,	 other_large,	      other_ext,	other_ext6,	  other_unknown, other_next_hop,
    other_link_local,	 no_next_hop,
};
#define DIFFERENCES (sizeof differences / sizeof *differences)

START_TEST(test_difference)
{
	struct bgp_attrs a = full(), b = full(), back;
	struct attrs *sa, *sb, *again;

	begin();
	differences[_i](&b);
	sa = attrs_intern(t, &a);
	sb = attrs_intern(t, &b);
	ck_assert_ptr_ne(sa, sb);
	ck_assert_uint_eq(attrs_count(t), 2);
	/* What comes back out goes back in as the same set. */
	attrs_get(sb, &back);
	ck_assert_uint_eq(back.present, b.present);
	again = attrs_intern(t, &back);
	ck_assert_ptr_eq(again, sb);
	attrs_unref(t, again);
	attrs_unref(t, sa);
	attrs_unref(t, sb);
	end();
}
END_TEST

START_TEST(test_equal_is_identical)
{
	struct bgp_attrs a = full(), b = full();
	uint8_t copy[64];
	struct attrs *sa, *sb;

	begin();
	memcpy(copy, b.as_path.p, b.as_path.len);
	b.as_path.p = copy;
	sa = attrs_intern(t, &a);
	sb = attrs_intern(t, &b);
	ck_assert_ptr_eq(sa, sb);
	ck_assert_uint_eq(sa->refs, 2);
	ck_assert_uint_eq(attrs_count(t), 1);
	attrs_unref(t, sb);
	ck_assert_uint_eq(attrs_count(t), 1);
	ck_assert_ptr_eq(attrs_ref(sa), sa);
	attrs_unref(t, sa);
	attrs_unref(t, sa);
	end();
}
END_TEST

START_TEST(test_digest)
{
	struct bgp_attrs a = full(), bare = {.present = 1u << BA_ORIGIN | 1u << BA_AS_PATH};
	struct attrs *s;

	begin();
	s = attrs_intern(t, &a);
	ck_assert_uint_eq(s->local_pref, 300);
	ck_assert_uint_eq(s->med, 7);
	ck_assert_uint_eq(s->first_as, 65001);
	ck_assert_uint_eq(s->path_length, 2);
	ck_assert_uint_eq(s->origin, BGP_ORIGIN_EGP);
	ck_assert_uint_eq(s->flags, ATTRS_HAS_ORIGINATOR | ATTRS_LOCAL_PREF);
	attrs_unref(t, s);
	s = attrs_intern(t, &bare);
	ck_assert_uint_eq(s->local_pref, 100);
	ck_assert_uint_eq(s->med, 0);
	ck_assert_uint_eq(s->first_as, 0);
	ck_assert_uint_eq(s->path_length, 0);
	ck_assert_uint_eq(s->flags, 0);
	ck_assert_ptr_null(s->next_hop);
	attrs_unref(t, s);
	end();
}
END_TEST

static const struct {
	uint32_t community;
	uint8_t flags;
} well_known[] = {
    {BGP_COMMUNITY_NO_EXPORT, ATTRS_NO_EXPORT},
    {BGP_COMMUNITY_NO_EXPORT_SUBCONFED, ATTRS_NO_EXPORT},
    {BGP_COMMUNITY_NO_ADVERTISE, ATTRS_NO_ADVERTISE},
    {BGP_COMMUNITY_BLACKHOLE, ATTRS_BLACKHOLE},
    {BGP_COMMUNITY_GRACEFUL_SHUTDOWN, ATTRS_GRACEFUL_SHUTDOWN},
    {BGP_COMMUNITY_LLGR_STALE, ATTRS_LLGR_STALE},
    {BGP_COMMUNITY_NO_LLGR, ATTRS_NO_LLGR},
    {BGP_COMMUNITY_NO_PEER, 0},
};

START_TEST(test_well_known_communities)
{
	struct bgp_attrs a = {.present = 1u << BA_ORIGIN | 1u << BA_AS_PATH | 1u << BA_COMMUNITIES};
	uint32_t values[2] = {65001u << 16 | 1, well_known[_i].community};
	struct attrs *s;

	begin();
	a.communities = words(values, 2, NULL, 0);
	s = attrs_intern(t, &a);
	ck_assert_uint_eq(s->flags, well_known[_i].flags);
	attrs_unref(t, s);
	end();
}
END_TEST

START_TEST(test_next_hop_life)
{
	struct bgp_attrs a = full(), b = full();
	struct attrs *sa, *sb;

	begin();
	sa = attrs_intern(t, &a);
	ck_assert_uint_eq(used, 1);
	ck_assert_ptr_eq(last_nh, sa->next_hop);
	ck_assert_ptr_eq(attrs_nexthop_find(t, &a.next_hop), sa->next_hop);
	/* Another set over the same next hop: not used anew, and not unused before both are gone. */
	b.med = 99;
	sb = attrs_intern(t, &b);
	ck_assert_ptr_eq(sb->next_hop, sa->next_hop);
	ck_assert_uint_eq(used, 1);
	attrs_unref(t, sa);
	ck_assert_uint_eq(unused, 0);
	attrs_unref(t, sb);
	ck_assert_uint_eq(unused, 1);
	ck_assert_ptr_null(attrs_nexthop_find(t, &a.next_hop));
	end();
}
END_TEST

/* Variants of one global address are one next hop to whoever resolves it. */
START_TEST(test_next_hop_siblings)
{
	static const char *const link_local[3] = {NULL, "fe80::1", "fe80::2"};
	struct attrs *s[3];
	struct bgp_attrs a = full();
	struct addr global = addr_of("2001:db8::1");
	unsigned n = 0;

	begin();
	a.next_hop.addr = global;
	for (unsigned i = 0; i < 3; i++) {
		a.next_hop.link_local = link_local[i] ? addr_of(link_local[i]) : (struct addr){0};
		s[i] = attrs_intern(t, &a);
		if (i == 0) {
			s[0]->next_hop->reachable = true;
			s[0]->next_hop->metric = 77;
		}
		ck_assert(s[i]->next_hop->reachable);
		ck_assert_uint_eq(s[i]->next_hop->metric, 77);
		ck_assert_ptr_eq(attrs_nexthop_find(t, &a.next_hop), s[i]->next_hop);
	}
	ck_assert_uint_eq(used, 1);
	ck_assert_uint_eq(attrs_nexthops(t), 1);
	for (struct nexthop *nh = attrs_nexthop_chain(t, &global); nh; nh = nh->sibling)
		n++;
	ck_assert_uint_eq(n, 3);
	/* In every order: first the head, then a middle one or the last. */
	attrs_unref(t, s[_i]);
	attrs_unref(t, s[(_i + 1) % 3]);
	ck_assert_uint_eq(unused, 0);
	ck_assert_ptr_eq(attrs_nexthop_chain(t, &global), s[(_i + 2) % 3]->next_hop);
	attrs_unref(t, s[(_i + 2) % 3]);
	ck_assert_uint_eq(unused, 1);
	end();
}
END_TEST

/* Many, of all sizes: slabs, large ones, growth; then all go and the bytes with them. */
START_TEST(test_many)
{
	enum { N = 5000 };
	struct attrs **s = mem_calloc(N, sizeof *s);
	uint8_t *path = mem_calloc(1, 40000);
	size_t with;

	begin();
	for (unsigned i = 0; i < N; i++) {
		struct bgp_attrs a = full();
		unsigned hops = i % 250 + 1, segments = i % 100 == 0 ? 30 : 1;
		struct wr w = wr_make(path, 40000);

		for (unsigned k = 0; k < segments; k++) {
			wr_u8(&w, BGP_AS_SEQUENCE);
			wr_u8(&w, (uint8_t)hops);
			for (unsigned h = 0; h < hops; h++)
				wr_u32(&w, 65000 + h);
		}
		a.as_path = (struct span){path, wr_len(&w)};
		a.med = i;
		s[i] = attrs_intern(t, &a);
		ck_assert_ptr_nonnull(s[i]);
	}
	ck_assert_uint_eq(attrs_count(t), N);
	with = attrs_bytes(t);
	for (unsigned i = 0; i < N; i++) {
		struct bgp_attrs a;

		attrs_get(s[i], &a);
		ck_assert_uint_eq(a.med, i);
		attrs_unref(t, s[i]);
	}
	ck_assert_uint_lt(attrs_bytes(t), with);
	end();
	free(path);
	free(s);
}
END_TEST

/* A canonical form that does not fit 16 bits is refused and leaves nothing behind. */
START_TEST(test_too_long)
{
	enum { SEGMENTS = 65 };
	struct bgp_attrs a = full();
	uint8_t *path = mem_calloc(SEGMENTS, 2 + 255 * 4);
	struct wr w = wr_make(path, (size_t)SEGMENTS * (2 + 255 * 4));

	begin();
	for (unsigned k = 0; k < SEGMENTS; k++) {
		wr_u8(&w, BGP_AS_SEQUENCE);
		wr_u8(&w, 255);
		for (unsigned h = 0; h < 255; h++)
			wr_u32(&w, 65000 + h);
	}
	a.as_path = (struct span){path, wr_len(&w)};
	ck_assert_ptr_null(attrs_intern(t, &a));
	end();
	free(path);
}
END_TEST

START_TEST(test_unref_twice_aborts)
{
	struct bgp_attrs a = full();
	struct attrs *s;

	begin();
	s = attrs_intern(t, &a);
	s->refs = 0;
	attrs_unref(t, s);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("attrs");

	tcase_add_loop_test(tc, test_difference, 0, DIFFERENCES);
	tcase_add_test(tc, test_equal_is_identical);
	tcase_add_test(tc, test_digest);
	tcase_add_loop_test(tc, test_well_known_communities, 0, sizeof well_known / sizeof *well_known);
	tcase_add_test(tc, test_next_hop_life);
	tcase_add_loop_test(tc, test_next_hop_siblings, 0, 3);
	tcase_add_test(tc, test_many);
	tcase_add_test(tc, test_too_long);
	tcase_add_test_raise_signal(tc, test_unref_twice_aborts, 6);
	return run_suite(tc, "attrs");
}
