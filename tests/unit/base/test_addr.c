#include "daemon/base/addr.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct prefix pfx(const char *text)
{
	struct prefix p;

	ck_assert_msg(prefix_parse(&p, text), "%s", text);
	return p;
}

static struct addr adr(const char *text)
{
	struct addr a;

	ck_assert_msg(addr_parse(&a, text), "%s", text);
	return a;
}

static const struct {
	const char *in, *out; /* out NULL: refused */
} prefixes[] = {
    {"10.244.1.0/26", "10.244.1.0/26"},
    {"10.244.1.77/26", "10.244.1.64/26"},
    {"10.1.2.3", "10.1.2.3/32"},
    {"0.0.0.0/0", "0.0.0.0/0"},
    {"255.255.255.255/1", "128.0.0.0/1"},
    {"fd00:1::ffff/122", "fd00:1::ffc0/122"},
    {"fd00::1", "fd00::1/128"},
    {"::/0", "::/0"},
    {"10.0.0.0/33", NULL},
    {"10.0.0.0/-1", NULL},
    {"10.0.0.0/", NULL},
    {"10.0.0.0/8x", NULL},
    {"10.0.0.0/ 8", NULL},
    {"10.0.0/8", NULL},
    {"fd00::/129", NULL},
    {"", NULL},
    {"/24", NULL},
    {"10.0.0.0/99999999999999999999", NULL},
    {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc/64", NULL},
};

START_TEST(test_prefix_text)
{
	struct prefix p, q;
	char buf[PREFIX_STRLEN];

	if (!prefixes[_i].out) {
		ck_assert(!prefix_parse(&p, prefixes[_i].in));
		return;
	}
	ck_assert(prefix_parse(&p, prefixes[_i].in));
	ck_assert_str_eq(prefix_format(&p, buf), prefixes[_i].out);
	ck_assert(prefix_parse(&q, buf));
	ck_assert_mem_eq(&p, &q, sizeof p);
}
END_TEST

static const struct {
	const char *outer, *inner;
	bool covers;
} covers[] = {
    {"10.0.0.0/8", "10.1.0.0/16", true},     {"10.0.0.0/8", "10.0.0.0/8", true},
    {"10.1.0.0/16", "10.0.0.0/8", false},    {"10.0.0.0/8", "11.0.0.0/16", false},
    {"0.0.0.0/0", "1.2.3.4/32", true},	     {"0.0.0.0/0", "::/0", false},
    {"10.0.0.64/26", "10.0.0.63/32", false}, {"10.0.0.64/26", "10.0.0.127/32", true},
    {"fd00::/122", "fd00::3f/128", true},    {"fd00::/122", "fd00::40/128", false},
    {"10.0.0.0/9", "10.128.0.0/9", false},
};

START_TEST(test_covers)
{
	struct prefix a = pfx(covers[_i].outer), b = pfx(covers[_i].inner);

	ck_assert_int_eq(prefix_covers(&a, &b), covers[_i].covers);
}
END_TEST

START_TEST(test_order)
{
	static const char *const sorted[] = {"9.0.0.0/8",   "10.0.0.0/8", "10.0.0.0/16",
					     "10.0.1.0/24", "fd00::/16",  "fd00::/64"};
	enum { N = sizeof sorted / sizeof *sorted };

	for (int i = 0; i < N; i++) {
		for (int j = 0; j < N; j++) {
			struct prefix a = pfx(sorted[i]), b = pfx(sorted[j]);
			int c = prefix_cmp(&a, &b);
			ck_assert_int_eq(c < 0 ? -1 : c > 0, i < j ? -1 : i > j);
			ck_assert_int_eq(prefix_equal(&a, &b), i == j);
		}
	}
}
END_TEST

START_TEST(test_arithmetic)
{
	struct addr a = adr("10.0.0.250"), b = adr("fd00::ffff"), c;

	c = addr_add(&a, 10);
	ck_assert_uint_eq(addr_to_u32(&c), 0x0a000104);
	c = addr_add(&b, 1);
	a = adr("fd00::1:0");
	ck_assert(addr_equal(&c, &a));
	a = adr("255.255.255.255");
	c = addr_add(&a, 1);
	ck_assert_uint_eq(addr_to_u32(&c), 0);
	a = addr_from_u32(0xc0a80001);
	b = adr("192.168.0.1");
	ck_assert(addr_equal(&a, &b));
}
END_TEST

START_TEST(test_martians)
{
	static const char *const bad[] = {"0.0.0.0",   "0.1.2.3", "127.0.0.1", "224.0.0.1", "255.255.255.255",
					  "240.0.0.1", "::",	  "::1",       "ff02::1"};
	static const char *const good[] = {"10.0.0.1", "223.255.255.255", "169.254.1.1",
					   "fe80::1",  "2001:db8::1",	  "::2"};
	struct addr a, none = {0};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		a = adr(bad[i]);
		ck_assert_msg(addr_is_martian(&a), "%s", bad[i]);
	}
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		a = adr(good[i]);
		ck_assert_msg(!addr_is_martian(&a), "%s", good[i]);
	}
	ck_assert(addr_is_martian(&none));
	a = adr("fe80::1");
	ck_assert(addr_is_link_local(&a));
	a = adr("fec0::1");
	ck_assert(!addr_is_link_local(&a));
	a = adr("169.254.1.1");
	ck_assert(addr_is_link_local(&a));
}
END_TEST

/* A link-local address belongs to its link; what was only written down belongs to none. */
START_TEST(test_scope)
{
	struct addr plain = adr("fe80::1"), here = addr_on_link(&plain, 1), there = addr_on_link(&plain, 4000000000u);
	struct addr global = adr("fd00::1"), four = adr("169.254.0.1"), a;
	struct prefix any = pfx("fe80::/10"), on_here = prefix_make(&here, 10);
	char text[ADDR_STRLEN], prefix[PREFIX_STRLEN];

	ck_assert_uint_eq(addr_scope(&plain), 0);
	ck_assert_uint_eq(addr_scope(&here), 1);
	ck_assert(!addr_equal(&plain, &here) && !addr_equal(&here, &there));
	ck_assert_int_lt(addr_cmp(&plain, &here) * addr_cmp(&here, &plain), 0);
	ck_assert(addr_is_link_local(&here));
	a = addr_on_link(&here, 0);
	ck_assert(addr_equal(&a, &plain));
	ck_assert_int_eq(memcmp(&a, &plain, sizeof a), 0);
	/* Others have none. */
	a = addr_on_link(&global, 1);
	ck_assert(addr_equal(&a, &global));
	a = addr_on_link(&four, 1);
	ck_assert(addr_equal(&a, &four));
	ck_assert_str_eq(addr_format(&plain, text), "fe80::1");
	ck_assert_str_eq(addr_format(&here, text), "fe80::1%lo");
	ck_assert_str_eq(addr_format(&there, text), "fe80::1%4000000000");
	ck_assert_str_eq(prefix_format(&on_here, prefix), "fe80::%lo/10");
	ck_assert(prefix_contains(&any, &here) && prefix_contains(&any, &there) && prefix_contains(&any, &plain));
	ck_assert(prefix_contains(&on_here, &here));
	ck_assert(!prefix_contains(&on_here, &there) && !prefix_contains(&on_here, &plain));
	ck_assert(!prefix_equal(&any, &on_here));
}
END_TEST

START_TEST(test_mac)
{
	static const char *const bad[] = {
	    "", "ee:ee:ee:ee:ee", "ee:ee:ee:ee:ee:ee:ee", "ee-ee-ee-ee-ee-ee", "xx:ee:ee:ee:ee:ee", NULL};
	uint8_t mac[6] = {1, 2, 3, 4, 5, 6};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ck_assert(!mac_parse(mac, bad[i]));
		ck_assert_mem_eq(mac, "\1\2\3\4\5\6", 6);
	}
	ck_assert(mac_parse(mac, "66:b3:68:28:39:8E"));
	ck_assert_mem_eq(mac, "\x66\xb3\x68\x28\x39\x8e", 6);
}
END_TEST

START_TEST(test_martian_prefixes)
{
	static const char *const bad[] = {"0.0.0.0/8",	 "0.1.2.0/24",	       "127.0.0.0/8", "127.0.0.53/32",
					  "224.0.0.0/4", "239.255.255.255/32", "::/128",      "::1/128",
					  "::/127",	 "fe80::/10",	       "fe80::1/128", "ff00::/8",
					  "ff02::1/128", "255.255.255.255/32"};
	static const char *const good[] = {"0.0.0.0/0",		 "0.0.0.0/1",	"0.0.0.0/7", "126.0.0.0/7",
					   "224.0.0.0/3",	 "240.0.0.0/4", "1.0.0.0/8", "128.0.0.0/8",
					   "255.255.255.254/31", "::/0",	"::/126",    "::2/128",
					   "fe80::/9",		 "fec0::/10",	"fe00::/7"};
	struct prefix p;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ck_assert(prefix_parse(&p, bad[i]));
		ck_assert_msg(prefix_is_martian(&p), "%s", bad[i]);
	}
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		ck_assert(prefix_parse(&p, good[i]));
		ck_assert_msg(!prefix_is_martian(&p), "%s", good[i]);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("addr");
	TCase *t = tcase_create("addr");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(t, test_scope);
	tcase_add_loop_test(t, test_prefix_text, 0, sizeof prefixes / sizeof *prefixes);
	tcase_add_loop_test(t, test_covers, 0, sizeof covers / sizeof *covers);
	tcase_add_test(t, test_order);
	tcase_add_test(t, test_arithmetic);
	tcase_add_test(t, test_martians);
	tcase_add_test(t, test_mac);
	tcase_add_test(t, test_martian_prefixes);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
