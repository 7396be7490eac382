/* The data structures by themselves: longest match, interned sets, waiting, and messages that are cut short. */
#include <check.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mono.h"
#include "fib/backoff.h"
#include "fib/foreign.h"
#include "fib/nhset.h"
#include "fib/rtmsg.h"

static struct addr A(const char *text) {
	struct addr a = {0};

	ck_assert_msg(addr_parse(&a, text), "%s", text);
	return a;
}

/* A set by one gateway. */
static struct nhset *
one(struct nhsets *all, const char *gateway, uint32_t ifindex)
{
	struct nhset_draft d;
	struct nhop hop = {.gateway = A(gateway), .ifindex = ifindex};

	memset(&d.key, 0, sizeof d.key);
	d.key.af = hop.gateway.af;
	d.key.type = RTN_UNICAST;
	nhset_draft_add(&d, &hop);
	return nhset_get(all, &d);
}

/* ---- longest match ---- */

static struct foreign *add(struct foreign_table *t, struct nhsets *sets, const char *prefix, uint32_t metric,
			   const char *gateway)
{
	struct prefix p;

	ck_assert(prefix_parse(&p, prefix));
	return foreign_add(t, &p, metric, 0, one(sets, gateway, 2));
}

static void matches(const struct foreign_table *t, const char *addr, const struct foreign *want)
{
	struct addr a = A(addr);

	ck_assert_msg(foreign_match(t, &a) == want, "%s", addr);
}

START_TEST(longest_match)
{
	struct foreign_table t;
	struct nhsets sets = {0};
	struct foreign *def, *wide, *narrow, *host, *def6, *narrow6;

	foreign_init(&t, &sets);
	matches(&t, "10.0.0.1", NULL);
	def = add(&t, &sets, "0.0.0.0/0", 0, "192.0.2.1");
	wide = add(&t, &sets, "10.0.0.0/8", 0, "192.0.2.1");
	narrow = add(&t, &sets, "10.1.0.0/16", 0, "192.0.2.2");
	host = add(&t, &sets, "10.1.2.3/32", 0, "192.0.2.3");
	def6 = add(&t, &sets, "::/0", 1024, "fe80::1");
	narrow6 = add(&t, &sets, "fd00:1::/127", 1024, "fe80::2");
	matches(&t, "11.0.0.1", def);
	matches(&t, "10.255.0.1", wide);
	matches(&t, "10.1.255.255", narrow);
	matches(&t, "10.1.2.3", host);
	matches(&t, "10.1.2.2", narrow);
	matches(&t, "fd00:1::1", narrow6);
	matches(&t, "fd00:1::2", def6);
	foreign_remove(&t, narrow);
	matches(&t, "10.1.255.255", wide);
	matches(&t, "10.1.2.3", host);
	foreign_remove(&t, def);
	matches(&t, "11.0.0.1", NULL);
	/* The two families do not meet, even where their bytes do. */
	matches(&t, "a01::", def6);
	ck_assert_uint_eq(t.count, 4);
	foreign_clear(&t);
	ck_assert_uint_eq(sets.all.count, 0);
	nhset_free_all(&sets);
}
END_TEST

START_TEST(several_of_one_prefix)
{
	struct foreign_table t;
	struct nhsets sets = {0};
	struct foreign *low, *middle, *high, *same;

	foreign_init(&t, &sets);
	middle = add(&t, &sets, "10.0.0.0/8", 20, "192.0.2.2");
	matches(&t, "10.0.0.1", middle);
	high = add(&t, &sets, "10.0.0.0/8", 30, "192.0.2.3");
	low = add(&t, &sets, "10.0.0.0/8", 10, "192.0.2.1");
	same = add(&t, &sets, "10.0.0.0/8", 10, "192.0.2.9");
	matches(&t, "10.0.0.1", low);
	ck_assert(foreign_next(&t, low) == same && foreign_next(&t, same) == middle &&
		  foreign_next(&t, middle) == high && !foreign_next(&t, high));
	ck_assert_uint_eq(t.prefixes[FAM_IPV4].count, 1);
	foreign_remove(&t, low);
	matches(&t, "10.0.0.1", same);
	foreign_remove(&t, middle);
	ck_assert_ptr_eq(foreign_next(&t, same), high);
	foreign_remove(&t, high);
	foreign_remove(&t, same);
	matches(&t, "10.0.0.1", NULL);
	ck_assert_uint_eq(t.prefixes[FAM_IPV4].count + t.count + sets.all.count, 0);
	foreign_clear(&t);
	nhset_free_all(&sets);
}
END_TEST

static uint32_t next_random(uint32_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 17;
	*x ^= *x << 5;
	return *x;
}

/* Against the plainest way of finding it, over a table that changes. */
START_TEST(longest_match_at_random)
{
	struct foreign *all[300] = {0};
	struct foreign_table t;
	struct nhsets sets = {0};
	uint32_t x = 2463534242u;

	foreign_init(&t, &sets);
	for (unsigned round = 0; round < 20000; round++) {
		unsigned i = next_random(&x) % 300;
		uint32_t bits = next_random(&x) & 0xc3030303;
		struct addr a = addr_from_u32(bits), probe = addr_from_u32(next_random(&x) & 0xc3030303);
		struct prefix p = prefix_make(&a, next_random(&x) % 33);
		const struct foreign *found = foreign_match(&t, &probe);
		int longest = -1;

		for (unsigned k = 0; k < 300; k++) {
			const struct prefix one = all[k] ? foreign_prefix(all[k]) : (struct prefix){0};
			if (all[k] && prefix_contains(&one, &probe) && one.len > longest)
				longest = one.len;
		}
		if (found) {
			const struct prefix best = foreign_prefix(found);
			ck_assert_int_eq(best.len, longest);
			ck_assert(prefix_contains(&best, &probe));
		} else {
			ck_assert_int_eq(longest, -1);
		}
		if (all[i]) {
			foreign_remove(&t, all[i]);
			all[i] = NULL;
		} else {
			all[i] = foreign_add(&t, &p, next_random(&x) % 3, 0, one(&sets, "192.0.2.1", 2));
		}
	}
	foreign_clear(&t);
	nhset_free_all(&sets);
}
END_TEST

/* ---- interned sets ---- */

static void draft(struct nhset_draft *d, const char *const *gateways, unsigned count)
{
	memset(&d->key, 0, sizeof d->key);
	d->key.af = AF_INET6;
	d->key.type = RTN_UNICAST;
	for (unsigned i = 0; i < count; i++) {
		struct nhop hop = {.gateway = A(gateways[i]), .ifindex = 7};
		nhset_draft_add(d, &hop);
	}
}

START_TEST(equal_sets_are_one)
{
	const char *const ab[] = {"fd00::a", "fd00::b"}, *const ba[] = {"fd00::b", "fd00::a", "fd00::b"};
	struct nhsets sets = {0};
	struct nhset_draft d;
	struct nhset *first, *second, *rest, *single;

	draft(&d, ab, 2);
	first = nhset_get(&sets, &d);
	draft(&d, ba, 3);
	second = nhset_get(&sets, &d);
	ck_assert_ptr_eq(first, second);
	ck_assert_uint_eq(first->refs, 2);
	d.key.protocol = 9;
	rest = nhset_get(&sets, &d);
	ck_assert_ptr_ne(first, rest);
	nhset_unref(&sets, rest);
	draft(&d, ab, 1);
	single = nhset_get(&sets, &d);
	ck_assert(nhset_includes(first, single) && !nhset_includes(single, first));
	rest = nhset_without(&sets, first, single);
	ck_assert_uint_eq(rest->key.count, 1);
	ck_assert(addr_equal(&rest->hop[0].gateway, &(struct addr){AF_INET6, {0xfd, [15] = 0xb}}));
	ck_assert_ptr_null(nhset_without(&sets, single, first));
	ck_assert(nhset_uses(first, 7) && !nhset_uses(first, 8));
	nhset_unref(&sets, rest);
	nhset_unref(&sets, single);
	nhset_unref(&sets, first);
	ck_assert_uint_eq(sets.all.count, 1);
	nhset_unref(&sets, second);
	ck_assert_uint_eq(sets.all.count, 0);
	nhset_free_all(&sets);
}
END_TEST

START_TEST(sets_have_a_limit)
{
	struct nhsets sets = {0};
	struct nhset_draft d;

	memset(&d.key, 0, sizeof d.key);
	for (unsigned i = 0; i < NHSET_MAX + 5; i++) {
		struct nhop hop = {.gateway = addr_from_u32(0x0a000000 + i), .ifindex = 7};
		ck_assert_uint_eq(d.key.odd, i > NHSET_MAX);
		nhset_draft_add(&d, &hop);
	}
	ck_assert_uint_eq(d.key.count, NHSET_MAX);
	nhset_unref(&sets, nhset_get(&sets, &d));
	nhset_free_all(&sets);
}
END_TEST

/* ---- waiting ---- */

struct waiter {
	struct backoff wait;
	unsigned called;
};

static void on_due(void *arg, void *owner)
{
	struct waiter *w = owner;

	w->called++;
	(*(unsigned *)arg)++;
}

START_TEST(waits_grow)
{
	struct loop *loop = loop_new();
	struct waiter w = {.wait = {.owner = &w}};
	unsigned called = 0;
	struct backoffs s;
	uint64_t step = 100 * MONO_MSEC;

	backoffs_init(&s, loop, on_due, &called);
	for (int i = 0; i < 12; i++) {
		uint64_t now = mono_now(), delay;
		backoff_wait(&s, &w.wait);
		delay = w.wait.due - now;
		ck_assert_uint_ge(delay, step * 3 / 4);
		ck_assert_uint_le(delay, step * 5 / 4 + 10 * MONO_MSEC);
		ck_assert_uint_eq(s.count, 1);
		step = step * 2 > 30 * MONO_SEC ? 30 * MONO_SEC : step * 2;
	}
	backoff_cancel(&s, &w.wait);
	ck_assert(!backoff_is_waiting(&w.wait) && s.count == 0);
	backoff_cancel(&s, &w.wait);
	backoffs_free(&s);
	loop_free(loop);
}
END_TEST

START_TEST(the_due_ones_are_called)
{
	static struct waiter w[200];
	struct loop *loop = loop_new();
	unsigned called = 0;
	struct backoffs s;
	uint64_t until = mono_now() + 10 * MONO_SEC;

	backoffs_init(&s, loop, on_due, &called);
	for (unsigned i = 0; i < 200; i++) {
		w[i].wait.owner = &w[i];
		w[i].wait.step = i % 3 == 2 ? 8 : 0;
		backoff_wait(&s, &w[i].wait);
	}
	for (unsigned i = 0; i < 200; i += 3)
		backoff_cancel(&s, &w[i].wait);
	while (called < 67 && mono_now() < until)
		loop_turn(loop, true);
	for (unsigned i = 0; i < 200; i++)
		ck_assert_uint_eq(w[i].called, i % 3 == 1);
	/* Left are those of a later step, soonest on top. */
	ck_assert_uint_eq(s.count, 66);
	for (unsigned i = 1; i < s.count; i++)
		ck_assert_uint_le(s.heap[(i - 1) / 2]->due, s.heap[i]->due);
	backoffs_free(&s);
	loop_free(loop);
}
END_TEST

/* ---- messages ---- */

/* A route with all we write, as the kernel would send it back. */
static size_t sample(uint8_t *buf, size_t size, struct nhsets *sets, bool multipath)
{
	const char *const gateways[] = {"fd00::a", "fd00::b", "fd00::c"};
	struct nlmsghdr h = {.nlmsg_type = RTM_NEWROUTE};
	struct wr w = wr_make(buf, size);
	struct prefix p;
	struct nhset_draft d;
	struct nhset *s;

	ck_assert(prefix_parse(&p, "fd01:2:3::/64"));
	draft(&d, gateways, multipath ? 3 : 1);
	d.key.table = 1000;
	d.key.protocol = 186;
	d.hop[0].onlink = 1;
	s = nhset_get(sets, &d);
	wr_bytes(&w, &h, sizeof h);
	rtmsg_put_route(&w, &p, 1024, s);
	ck_assert(!w.bad);
	h.nlmsg_len = (uint32_t)wr_len(&w);
	memcpy(buf, &h, sizeof h);
	nhset_unref(sets, s);
	return wr_len(&w);
}

START_TEST(routes_survive_the_round_trip)
{
	for (int multipath = 0; multipath < 2; multipath++) {
		_Alignas(struct nlmsghdr) uint8_t buf[1024];
		struct nhsets sets = {0};
		struct rtmsg_route m;
		char text[PREFIX_STRLEN];

		sample(buf, sizeof buf, &sets, multipath);
		ck_assert(rtmsg_parse_route((struct nlmsghdr *)(void *)buf, &m));
		ck_assert_str_eq(prefix_format(&m.prefix, text), "fd01:2:3::/64");
		ck_assert_uint_eq(m.metric, 1024);
		ck_assert_uint_eq(m.to.key.table, 1000);
		ck_assert_uint_eq(m.to.key.protocol, 186);
		ck_assert_uint_eq(m.to.key.type, RTN_UNICAST);
		ck_assert_uint_eq(m.to.key.odd, 0);
		ck_assert_uint_eq(m.to.key.count, multipath ? 3 : 1);
		ck_assert(m.to.hop[0].onlink && m.to.hop[0].ifindex == 7);
		ck_assert(addr_equal(&m.to.hop[0].gateway, &(struct addr){AF_INET6, {0xfd, [15] = 0xa}}));
		nhset_free_all(&sets);
	}
}
END_TEST

/* Cut anywhere, or with any byte changed, a message is parsed or refused, and nothing is read beyond it (sanitizers).
 */
START_TEST(bent_messages)
{
	struct nhsets sets = {0};
	unsigned refused = 0;

	for (int multipath = 0; multipath < 2; multipath++) {
		_Alignas(struct nlmsghdr) uint8_t buf[1024];
		size_t len = sample(buf, sizeof buf, &sets, multipath);

		for (size_t n = sizeof(struct nlmsghdr); n < len; n++) {
			struct nlmsghdr *copy = malloc(n);
			struct rtmsg_route m;
			memcpy(copy, buf, n);
			copy->nlmsg_len = (uint32_t)n;
			refused += !rtmsg_parse_route(copy, &m);
			free(copy);
		}
		for (size_t i = sizeof(struct nlmsghdr); i < len; i++) {
			for (unsigned v = 0; v < 256; v += 5) {
				struct nlmsghdr *copy = malloc(len);
				struct rtmsg_route m;
				struct rtmsg_link l;
				struct rtmsg_addr a;
				struct rtmsg_neigh g;
				memcpy(copy, buf, len);
				((uint8_t *)copy)[i] = (uint8_t)v;
				rtmsg_parse_route(copy, &m);
				rtmsg_parse_link(copy, &l);
				rtmsg_parse_addr(copy, &a);
				rtmsg_parse_neigh(copy, &g);
				free(copy);
			}
		}
	}
	ck_assert_uint_gt(refused, 0);
	nhset_free_all(&sets);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fib/tables");
	TCase *tc = tcase_create("tables");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, longest_match);
	tcase_add_test(tc, several_of_one_prefix);
	tcase_add_test(tc, longest_match_at_random);
	tcase_add_test(tc, equal_sets_are_one);
	tcase_add_test(tc, sets_have_a_limit);
	tcase_add_test(tc, waits_grow);
	tcase_add_test(tc, the_due_ones_are_called);
	tcase_add_test(tc, routes_survive_the_round_trip);
	tcase_add_test(tc, bent_messages);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
