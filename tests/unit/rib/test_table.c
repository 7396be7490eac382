/* The prefix tables against a plain list. */
#include "tests/unit/rib/rig.h"

#include "rib/table.h"

static unsigned rnd(unsigned *seed, unsigned n)
{
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 16) % n;
}

static struct prefix random_prefix(enum family f, unsigned *seed)
{
	struct addr a = f == FAM_IPV4 ? addr_of("10.0.0.0") : addr_of("fd00::");
	unsigned bits = addr_bits(a.af);

	for (unsigned i = 1; i < addr_bytes(a.af); i++)
		a.b[i] = (uint8_t)(rnd(seed, 4) ? 0 : rnd(seed, 256));
	return prefix_make(&a, rnd(seed, bits + 1));
}

START_TEST(test_against_list)
{
	enum { N = 4000 };
	static struct prefix list[N];
	static uint32_t id[N];
	enum family f = (enum family)(_i % FAM_COUNT);
	unsigned seed = (unsigned)_i + 1, n = 0;
	struct table t;

	table_init(&t, f);
	for (unsigned step = 0; step < 20000; step++) {
		struct prefix p = random_prefix(f, &seed);
		unsigned i = 0;

		if (n && rnd(&seed, 3) == 0)
			p = list[rnd(&seed, n)];
		while (i < n && !prefix_equal(&list[i], &p))
			i++;
		ck_assert_uint_eq(table_find(&t, &p), i < n ? id[i] : ID_NONE);
		if (i < n && rnd(&seed, 2)) {
			table_remove(&t, id[i]);
			list[i] = list[--n];
			id[i] = id[n];
		} else if (i == n && n < N) {
			struct prefix back;

			list[n] = p;
			id[n] = table_get(&t, &p);
			ck_assert_uint_eq(table_get(&t, &p), id[n]);
			back = table_prefix(&t, table_node(&t, id[n]));
			ck_assert(prefix_equal(&back, &p));
			ck_assert_uint_eq(table_node(&t, id[n])->routes, ID_NONE);
			n++;
		}
		ck_assert_uint_eq(t.nodes.live, n);
	}
	ck_assert_uint_gt(n, 100);
	table_clear(&t);
}
END_TEST

static bool test_even(const void *arg, const struct node *n)
{
	const unsigned *divisor = arg;

	return n->len % *divisor == 0;
}

START_TEST(test_lookup)
{
	static const char *const prefixes[] = {"0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/23", "10.1.2.3/32"};
	static const struct {
		const char *addr, *odd_too, *even_only;
	} rows[] = {
	    {"10.1.2.3", "10.1.2.3/32", "10.1.2.3/32"}, {"10.1.2.4", "10.1.2.0/23", "10.1.0.0/16"},
	    {"10.1.4.4", "10.1.0.0/16", "10.1.0.0/16"}, {"10.2.4.4", "10.0.0.0/8", "10.0.0.0/8"},
	    {"11.2.4.4", "0.0.0.0/0", "0.0.0.0/0"},
	};
	struct table t;

	table_init(&t, FAM_IPV4);
	for (unsigned i = 0; i < 5; i++) {
		struct prefix p = prefix_of(prefixes[i]);

		table_get(&t, &p);
	}
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct addr a = addr_of(rows[i].addr);
		struct prefix odd = prefix_of(rows[i].odd_too), even = prefix_of(rows[i].even_only);

		ck_assert_uint_eq(table_lookup(&t, &a, test_even, &(unsigned){1}), table_find(&t, &odd));
		ck_assert_uint_eq(table_lookup(&t, &a, test_even, &(unsigned){2}), table_find(&t, &even));
	}
	table_clear(&t);
	ck_assert_uint_eq(table_lookup(&t, &(struct addr){.af = AF_INET}, test_even, &(unsigned){1}), ID_NONE);
}
END_TEST

static struct prefix numbered(unsigned i)
{
	struct addr a = addr_from_u32(0x0a000000u + i);

	return prefix_make(&a, 32);
}

/* Prefixes that come and go for ever: what they leave behind neither fills the table nor lets it grow. */
START_TEST(test_marks)
{
	enum { LIVE = 300, ROUNDS = 100000 };
	struct table t;
	struct prefix p;

	table_init(&t, FAM_IPV4);
	for (unsigned i = 0; i < ROUNDS; i++) {
		p = numbered(i);
		table_get(&t, &p);
		p = numbered(i - LIVE);
		if (i >= LIVE)
			table_remove(&t, table_find(&t, &p));
		ck_assert_uint_le(t.taken * 3ull, (t.mask + 1ull) * 2);
	}
	ck_assert_uint_le(t.mask + 1, 1024);
	for (unsigned i = 0; i < ROUNDS; i++) {
		p = numbered(i);
		ck_assert_int_eq(table_find(&t, &p) != ID_NONE, i >= ROUNDS - LIVE);
	}
	for (unsigned i = ROUNDS - LIVE; i < ROUNDS; i++) {
		p = numbered(i);
		table_remove(&t, table_find(&t, &p));
	}
	ck_assert_uint_eq(t.nodes.live, 0);
	p = numbered(1);
	ck_assert_uint_eq(table_find(&t, &p), ID_NONE);
	table_clear(&t);
}
END_TEST

START_TEST(test_node_size)
{
	struct table t;

	/* The promise at the top of table.h. */
	table_init(&t, FAM_IPV4);
	ck_assert_uint_eq(t.nodes.size, 12);
	table_init(&t, FAM_IPV6);
	ck_assert_uint_eq(t.nodes.size, 24);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("table");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_against_list, 0, 4);
	tcase_add_test(tc, test_lookup);
	tcase_add_test(tc, test_marks);
	tcase_add_test(tc, test_node_size);
	return run_suite(tc, "table");
}
