/* Hash tables, slabs, pools and sets of their pages, arenas, buffers. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/buf.h"
#include "daemon/base/hash.h"
#include "daemon/base/mem.h"
#include "daemon/base/pageset.h"
#include "daemon/base/pool.h"

static bool int_eq(const void *item, const void *key)
{
	return *(const int *)item == *(const int *)key;
}

/* The reference vector of SipHash-1-3 would need its key; under the fixed key of tests the function must be stable and
 * depend on every byte and on the length. */
START_TEST(test_hash_depends_on_all)
{
	uint8_t data[20] = {0};
	uint64_t base = hash_bytes(data, sizeof data);

	ck_assert_uint_eq(base, hash_bytes(data, sizeof data));
	for (size_t i = 0; i < sizeof data; i++) {
		data[i] = 1;
		ck_assert_uint_ne(base, hash_bytes(data, sizeof data));
		data[i] = 0;
		ck_assert_uint_ne(base, hash_bytes(data, i));
	}
	hash_seed_random();
	ck_assert_uint_ne(base, hash_bytes(data, sizeof data));
}
END_TEST

/* Random insertions and removals against a plain array, with hashes that collide a lot. */
START_TEST(test_htab_model)
{
	enum { N = 500 };
	static int keys[N];
	static bool in[N];
	struct htab t = {0};
	unsigned count = 0;

	srandom(7);
	for (int i = 0; i < N; i++)
		keys[i] = i;
	for (int round = 0; round < 20000; round++) {
		int k = (int)(random() % N);
		uint32_t hash = (uint32_t)k % 37 * 0x9e3779b9u;
		ck_assert_ptr_eq(htab_find(&t, hash, int_eq, &k), in[k] ? &keys[k] : NULL);
		if (in[k])
			ck_assert(htab_remove(&t, hash, &keys[k]));
		else
			htab_insert(&t, hash, &keys[k]);
		in[k] = !in[k];
		count += in[k] ? 1 : -1u;
		ck_assert_uint_eq(t.count, count);
	}
	uint32_t pos = 0;
	int *item;
	while ((item = htab_next(&t, &pos))) {
		ck_assert(in[*item]);
		count--;
	}
	ck_assert_uint_eq(count, 0);
	htab_clear(&t);
	ck_assert(!htab_remove(&t, 1, &keys[0]));
}
END_TEST

START_TEST(test_slab)
{
	struct slab s = {.size = 24};
	uint64_t *obj[1000];

	for (int i = 0; i < 1000; i++) {
		obj[i] = slab_get(&s);
		ck_assert_uint_eq(obj[i][0] | obj[i][1] | obj[i][2], 0);
		memset(obj[i], 0xff, 24);
	}
	ck_assert_uint_eq(s.live, 1000);
	for (int i = 0; i < 1000; i += 2)
		slab_put(&s, obj[i]);
	uint32_t total = s.total;
	for (int i = 0; i < 500; i++)
		ck_assert_uint_eq(*(uint64_t *)slab_get(&s), 0);
	ck_assert_uint_eq(s.total, total);
	slab_clear(&s);
	ck_assert_uint_eq(s.total, 0);
}
END_TEST

START_TEST(test_pool)
{
	enum { N = 3000 };
	struct pool p;
	uint32_t id[N];
	uint8_t zero[24] = {0};

	pool_init(&p, 24);
	for (unsigned i = 0; i < N; i++) {
		id[i] = pool_get(&p);
		ck_assert_uint_eq(id[i], i); /* dense */
		ck_assert_int_eq(memcmp(pool_at(&p, id[i]), zero, 24), 0);
		memset(pool_at(&p, id[i]), (int)(i & 0xff) | 1, 24);
	}
	ck_assert_uint_eq(p.live, N);
	for (unsigned i = 0; i < N; i += 2)
		pool_put(&p, id[i]);
	ck_assert_uint_eq(p.live, N / 2);
	/* Used again before new ones, and zeroed again; the others are untouched. */
	for (unsigned i = 0; i < N / 2; i++) {
		uint32_t again = pool_get(&p);

		ck_assert_uint_lt(again, N);
		ck_assert_uint_eq(again % 2, 0);
		ck_assert_int_eq(memcmp(pool_at(&p, again), zero, 24), 0);
	}
	for (unsigned i = 1; i < N; i += 2)
		ck_assert_uint_eq(*(uint8_t *)pool_at(&p, i), (i & 0xff) | 1);
	ck_assert_uint_eq(pool_get(&p), N);
	ck_assert_uint_ge(pool_bytes(&p), N * 24);
	pool_clear(&p);
	ck_assert_uint_eq(pool_bytes(&p), 0);
}
END_TEST

START_TEST(test_numbers)
{
	enum { N = 1000 };
	struct numbers n = {0};
	uint32_t number[N];
	int object[N];

	ck_assert_ptr_null(number_at(&n, 0));
	for (unsigned i = 0; i < N; i++) {
		number[i] = number_give(&n, &object[i]);
		ck_assert_uint_ne(number[i], 0);
	}
	for (unsigned i = 0; i < N; i += 2)
		number_drop(&n, number[i]);
	/* Numbers come back to life with other objects; those in use stay what they are. */
	for (unsigned i = 0; i < N; i += 2)
		number[i] = number_give(&n, &object[i]);
	for (unsigned i = 0; i < N; i++) {
		ck_assert_uint_le(number[i], N);
		ck_assert_ptr_eq(number_at(&n, number[i]), &object[i]);
	}
	ck_assert_ptr_null(number_at(&n, 0));
	numbers_clear(&n);
	ck_assert_uint_ne(number_give(&n, object), 0);
	numbers_clear(&n);
}
END_TEST

START_TEST(test_pageset)
{
	static const uint32_t pages[] = {0, 1, 63, 64, 65, 500, 4095};
	struct pageset s = {0}, more = {0};
	uint32_t at = 0;

	ck_assert(!pageset_next(&s, &at));
	pageset_remove(&s, 7); /* nothing there: no harm */
	for (unsigned i = 0; i < sizeof pages / sizeof *pages; i++)
		pageset_add(&s, pages[i]);
	for (unsigned i = 0; i < sizeof pages / sizeof *pages; i++, at++) {
		ck_assert(pageset_next(&s, &at));
		ck_assert_uint_eq(at, pages[i]);
	}
	ck_assert(!pageset_next(&s, &at));
	pageset_add(&more, 9000);
	pageset_add(&more, 64);
	pageset_merge(&s, &more);
	pageset_remove(&s, 4095);
	at = 501;
	ck_assert(pageset_next(&s, &at));
	ck_assert_uint_eq(at, 9000);
	pageset_free(&s);
	pageset_free(&more);
}
END_TEST

START_TEST(test_arena)
{
	struct arena a = {0};
	char *first = arena_alloc(&a, 10), *second = arena_alloc(&a, 10), *big = arena_alloc(&a, 100000);

	ck_assert_uint_eq((uintptr_t)first % 8, 0);
	ck_assert(second >= first + 10);
	memset(big, 1, 100000);
	arena_reset(&a);
	memset(arena_alloc(&a, 4000), 2, 4000);
	arena_free(&a);
	ck_assert_ptr_null(a.page);
}
END_TEST

START_TEST(test_strbuf)
{
	struct strbuf b = {0};

	for (int i = 0; i < 1000; i++)
		strbuf_printf(&b, "%d,", i);
	ck_assert_uint_eq(b.len, 3890);
	strbuf_consume(&b, 2);
	ck_assert_int_eq(strncmp(b.s, "1,2,", 4), 0);
	strbuf_consume(&b, 1000000);
	ck_assert_str_eq(b.s, "");
	strbuf_free(&b);
}
END_TEST

START_TEST(test_strbuf_take)
{
	struct strbuf b = {0};
	char *text;

	ck_assert_ptr_null(strbuf_take(&b));
	strbuf_printf(&b, "%s_%d", "Mesh", 1);
	text = strbuf_take(&b);
	ck_assert_str_eq(text, "Mesh_1");
	ck_assert(!b.s && !b.len && !b.cap);
	free(text);
}
END_TEST

START_TEST(test_buf_counts)
{
	struct buf *b = buf_new("abc", 3);

	ck_assert_ptr_eq(buf_ref(b), b);
	buf_unref(b);
	ck_assert_mem_eq(b->data, "abc", 3);
	buf_unref(b);
	buf_unref(NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mem");
	TCase *t = tcase_create("mem");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(t, test_hash_depends_on_all);
	tcase_add_test(t, test_htab_model);
	tcase_add_test(t, test_slab);
	tcase_add_test(t, test_pool);
	tcase_add_test(t, test_numbers);
	tcase_add_test(t, test_pageset);
	tcase_add_test(t, test_arena);
	tcase_add_test(t, test_strbuf);
	tcase_add_test(t, test_strbuf_take);
	tcase_add_test(t, test_buf_counts);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
