/* SRV records: what is read of a DNS answer, and in which order its targets are tried. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/remote/etcd_srv.h"

/* An answer to a question for srv.x, with two records: 10 5 2379 a.x, 20 0 2380 b.x; and an address, which is none. */
static const unsigned char good[] = {
    0,	  1,   0x84, 0,	  0,	1,    0, 3,   0,  0,   0, 0,		   /* header */
    3,	  's', 'r',  'v', 1,	'x',  0, 0,   33, 0,   1,		   /* question */
    0xc0, 12,  0,    33,  0,	1,    0, 0,   0,  9,   0, 11,		   /* a record, of 11 octets */
    0,	  10,  0,    5,	  0x09, 0x4b, 1, 'a', 1,  'x', 0,		   /* 10 5 2379 a.x */
    0xc0, 12,  0,    1,	  0,	1,    0, 0,   0,  9,   0, 4,  10, 0, 0, 1, /* an address */
    0xc0, 12,  0,    33,  0,	1,    0, 0,   0,  9,   0, 11,		   /* another one */
    0,	  20,  0,    0,	  0x09, 0x4c, 1, 'b', 1,  'x', 0,		   /* 20 0 2380 b.x */
};

static struct etcd_srv_target targets[ETCD_SRV_MAX];

START_TEST(records_are_read)
{
	ck_assert_uint_eq(etcd_srv_read(good, sizeof good, targets), 2);
	ck_assert_str_eq(targets[0].host, "a.x");
	ck_assert(targets[0].priority == 10 && targets[0].weight == 5 && targets[0].port == 2379);
	ck_assert_str_eq(targets[1].host, "b.x");
	ck_assert(targets[1].priority == 20 && targets[1].weight == 0 && targets[1].port == 2380);
}
END_TEST

/* Of a copy that ends where the packet does, so that reading on is noticed. */
static unsigned read_copy(const unsigned char *packet, size_t len)
{
	unsigned char *copy = malloc(len ? len : 1);
	unsigned n;

	memcpy(copy, packet, len);
	n = etcd_srv_read(copy, (int)len, targets);
	free(copy);
	return n;
}

START_TEST(nonsense_is_no_record)
{
	unsigned char bad[sizeof good];

	for (size_t n = 0; n < sizeof good; n++)
		ck_assert_uint_le(read_copy(good, n), 1);
	for (size_t at = 0; at < sizeof good; at++) {
		for (unsigned value = 0; value < 256; value++) {
			memcpy(bad, good, sizeof good);
			bad[at] = (unsigned char)value;
			ck_assert_uint_le(read_copy(bad, sizeof bad), 3);
		}
	}
	/* "There is no such service": a target that is the root. */
	memcpy(bad, good, sizeof good);
	bad[sizeof good - 5] = 0;
	bad[sizeof good - 17 + 5] = 7;
	ck_assert_uint_eq(read_copy(bad, sizeof bad - 4), 1);
}
END_TEST

START_TEST(priorities_then_weights)
{
	unsigned heavy_first = 0, light_first = 0;

	for (unsigned round = 0; round < 2000; round++) {
		struct etcd_srv_target t[] = {
		    {20, 100, 1, "last"}, {10, 9, 1, "heavy"}, {10, 1, 1, "light"}, {10, 0, 1, "hardly"}};
		etcd_srv_sort(t, 4);
		ck_assert_str_eq(t[3].host, "last");
		heavy_first += strcmp(t[0].host, "heavy") == 0;
		light_first += strcmp(t[0].host, "light") == 0;
	}
	/* 9 and 1 of 11 draws each: what is far from that is no chance. */
	ck_assert_uint_gt(heavy_first, 1400);
	ck_assert_uint_lt(heavy_first, 1850);
	ck_assert_uint_gt(light_first, 50);
	etcd_srv_sort(targets, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("etcd_srv");
	TCase *t = tcase_create("etcd_srv");
	SRunner *sr;
	int failures;

	tcase_add_test(t, records_are_read);
	tcase_add_test(t, nonsense_is_no_record);
	tcase_add_test(t, priorities_then_weights);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
