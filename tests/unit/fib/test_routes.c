/* The table of routes: against a plain list, the queues, and the walks over who leads to the same. */
#include "tests/unit/fib/net.h"

static uint32_t next_random(uint32_t *x)
{
	*x = *x * 1103515245u + 12345u;
	return *x >> 8;
}

/* Few enough that they meet again, of several lengths. */
static struct prefix any_prefix(uint32_t *x, enum family family)
{
	const struct addr base = family == FAM_IPV4 ? A("32.1.0.0") : A("2001:db8::");
	struct addr a = base;

	a.b[3] = (uint8_t)(next_random(x) % 4 << 6);
	return prefix_make(&a, 24 + next_random(x) % 9);
}

struct record {
	struct pitem item;
	uint16_t value;
	uint8_t pad;
	uint8_t key[];
};

/* Against a list: what is found, in which number, what a walk sees, and that prefixes are said as they were. */
START_TEST(table_is_a_list)
{
	enum { N = 600 };
	enum family family = (enum family)_i;
	struct prefix prefix[N];
	struct record *record[N] = {NULL};
	uint32_t x = 7, live = 0;
	struct ptab t;

	ptab_init(&t, family, offsetof(struct record, key));
	for (unsigned step = 0; step < 6000; step++) {
		unsigned i = next_random(&x) % N, same = 0, found = 0;

		if (record[i]) {
			if (record[i]->value % 3)
				ptab_unlink(&t, record[i]);
			ptab_free(&t, record[i]);
			record[i] = NULL;
			live--;
		} else {
			prefix[i] = any_prefix(&x, family);
			record[i] = ptab_make(&t, &prefix[i]);
			ck_assert_uint_eq(record[i]->value, 0);
			record[i]->value = (uint16_t)(i + 1);
			/* Every third one is not to be found. */
			if (record[i]->value % 3)
				ptab_link(&t, record[i]);
			live++;
		}
		for (unsigned k = 0; k < N; k++)
			same += record[k] && record[k]->value % 3 && prefix_equal(&prefix[k], &prefix[i]);
		for (struct record *r = ptab_find(&t, &prefix[i]); r; r = ptab_more(&t, r), found++) {
			const struct prefix said = ptab_prefix(family, r->key);
			ck_assert_ptr_eq(r, record[r->value - 1u]);
			ck_assert_ptr_eq(r, ptab_at(&t, r->item.id));
			ck_assert(prefix_equal(&said, &prefix[i]));
		}
		ck_assert_uint_eq(found, same);
		ck_assert_uint_eq(t.items.live, live + 1);
	}
	for (uint32_t pos = 0, last = 0; (void)last, true;) {
		const struct record *r = ptab_next(&t, &pos);

		ck_assert_uint_eq(live == 0, r == NULL);
		if (!r)
			break;
		ck_assert_uint_gt(r->item.id, last);
		last = r->item.id;
		live--;
	}
	ptab_clear(&t);
	ck_assert_ptr_null(ptab_find(&t, &prefix[0]));
}
END_TEST

/* The promises at the top of route.h and foreign.h. */
START_TEST(records_are_small)
{
	struct foreign_table t;
	struct routes s;

	routes_init(&s);
	ck_assert_uint_eq(s.table[FAM_IPV4].items.size, 32);
	ck_assert_uint_eq(s.table[FAM_IPV6].items.size, 44);
	ck_assert_uint_eq(offsetof(struct route, key) % 4, 3);
	routes_clear(&s);
	foreign_init(&t, NULL);
	ck_assert_uint_eq(t.prefixes[FAM_IPV4].items.size, 28);
	ck_assert_uint_eq(offsetof(struct foreign, key) % 4, 3);
}
END_TEST

static struct net *net_started(void)
{
	struct net *n = net_new();

	net_start(n);
	return n;
}

static struct route *obtain(struct net *n, unsigned i)
{
	const struct prefix v4 = {A("20.0.0.0"), 32}, v6 = {A("fd20::"), 128};
	const struct prefix *base = i % 2 ? &v6 : &v4;
	struct addr a = addr_add(&base->addr, i);
	const struct prefix p = prefix_make(&a, base->len);

	return route_obtain(n->fib, &p, i % 3);
}

/* Routes of both families leave a queue in the order in which they came, and a walk sees each of them once. */
START_TEST(queues_keep_the_order)
{
	enum { N = 1000 };
	struct net *n = net_started();
	struct route_queue q = {0};
	struct route *r[N];
	uint32_t pos = 0;
	unsigned seen = 0;

	for (unsigned i = 0; i < N; i++) {
		r[i] = obtain(n, i);
		route_queue_put(&n->fib->routes, &q, r[i]);
	}
	ck_assert_uint_eq(routes_count(&n->fib->routes), N);
	for (unsigned i = 0; i < N / 2; i++)
		ck_assert_ptr_eq(route_queue_take(&n->fib->routes, &q), r[i]);
	/* Comes again behind the others. */
	route_queue_put(&n->fib->routes, &q, r[0]);
	for (unsigned i = N / 2; i < N; i++)
		ck_assert_ptr_eq(route_queue_take(&n->fib->routes, &q), r[i]);
	ck_assert_ptr_eq(route_queue_take(&n->fib->routes, &q), r[0]);
	ck_assert(route_queue_is_empty(&q));
	for (struct route *one; (one = routes_next(&n->fib->routes, &pos)); seen++) {
		ck_assert_uint_eq(one->flags & ROUTE_DIRTY, 0);
		route_release(n->fib, one);
	}
	ck_assert_uint_eq(seen, N);
	ck_assert_uint_eq(routes_count(&n->fib->routes), 0);
	net_free(n);
}
END_TEST

static struct nhset *set_by(struct net *n, enum family family, uint32_t ifindex)
{
	struct nhset_draft d;
	struct nhop hop = {.ifindex = ifindex};

	memset(&d.key, 0, sizeof d.key);
	d.key.af = family_af(family);
	nhset_draft_add(&d, &hop);
	return nhset_get(&n->fib->nhsets, &d);
}

static unsigned walked(struct net *n, struct nhset *s)
{
	struct route_walk walk = {0};
	unsigned count = 0;

	for (struct route *r; (r = route_next_of_set(n->fib, s, &walk)); count++)
		ck_assert_ptr_eq(route_have(n->fib, r), s);
	return count;
}

/* Which routes the kernel has with a set: as many as it counts, whatever came and went meanwhile, also during a walk;
 * and pages without any are not looked at again. */
START_TEST(walks_find_all)
{
	enum { N = 2000 };
	struct net *n = net_started();
	struct route_walk walk = {0};
	struct nhset *set[4];
	struct route *r[N];
	uint32_t x = 3, page = 0;

	for (unsigned k = 0; k < 4; k++)
		set[k] = set_by(n, (enum family)(k % 2), 100 + k);
	for (unsigned i = 0; i < N; i++)
		r[i] = obtain(n, i);
	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = next_random(&x) % N, k = next_random(&x) % 3;
		route_set_have(n->fib, r[i], k == 2 ? NULL : nhset_ref(set[2 * k + i % 2]));
	}
	for (unsigned k = 0; k < 4; k++) {
		ck_assert_uint_gt(set[k]->own, 0);
		ck_assert_uint_eq(walked(n, set[k]), set[k]->own);
	}
	/* What is moved to the set ahead of its walk is found by it, too, and what is taken away is not found again. */
	route_set_have(n->fib, r[N - 2], NULL);
	route_set_have(n->fib, route_next_of_set(n->fib, set[0], &walk), nhset_ref(set[2]));
	route_set_have(n->fib, r[N - 2], nhset_ref(set[0]));
	for (unsigned left = set[0]->own; left; left--)
		route_set_have(n->fib, route_next_of_set(n->fib, set[0], &walk), nhset_ref(set[2]));
	ck_assert_ptr_null(route_next_of_set(n->fib, set[0], &walk));
	ck_assert_uint_eq(set[0]->own, 0);
	ck_assert_uint_eq(walked(n, set[0]), 0);
	ck_assert(!pageset_next(&set[0]->pages, &page));
	ck_assert_uint_eq(walked(n, set[2]), set[2]->own);
	for (unsigned i = 0; i < N; i++) {
		route_set_have(n->fib, r[i], NULL);
		route_release(n->fib, r[i]);
	}
	for (unsigned k = 0; k < 4; k++)
		nhset_unref(&n->fib->nhsets, set[k]);
	net_free(n);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {records_are_small, queues_keep_the_order, walks_find_all};
	Suite *s = suite_create("fib/routes");
	TCase *t = tcase_create("table");

	tcase_add_loop_test(t, table_is_a_list, FAM_IPV4, FAM_COUNT);
	suite_add_tcase(s, t);
	net_add(s, "routes", tests, sizeof tests / sizeof *tests, NULL);
	return net_run_suite(s);
}
