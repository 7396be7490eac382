#include "daemon/base/wire.h"

#include <check.h>
#include <stdlib.h>

static const uint8_t bytes[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08};

START_TEST(test_reads)
{
	struct rd r = rd_make(bytes, sizeof bytes), sub;

	ck_assert_uint_eq(rd_u8(&r), 1);
	ck_assert_uint_eq(rd_u16(&r), 0x0203);
	sub = rd_sub(&r, 4);
	ck_assert_uint_eq(rd_u32(&sub), 0x04050607);
	ck_assert(rd_done(&sub));
	ck_assert(!rd_done(&r));
	ck_assert_uint_eq(rd_rest(&r).len, 1);
	ck_assert(rd_done(&r));
}
END_TEST

/* Once short, always bad: nothing is consumed, everything reads as zero, and sub-readers are bad too. */
START_TEST(test_underflow_sticks)
{
	struct rd r = rd_make(bytes, 3), sub;
	uint8_t out[4] = {9, 9, 9, 9};

	ck_assert_uint_eq(rd_u32(&r), 0);
	ck_assert(r.bad);
	ck_assert_uint_eq(rd_left(&r), 0);
	ck_assert_uint_eq(rd_u8(&r), 0);
	rd_bytes(&r, out, sizeof out);
	ck_assert_uint_eq(out[0] | out[3], 0);
	sub = rd_sub(&r, 0);
	ck_assert(sub.bad);
	ck_assert(!rd_done(&r));
}
END_TEST

START_TEST(test_writes)
{
	uint8_t out[32];
	struct wr w = wr_make(out, sizeof out);
	struct wr_mark outer, inner;

	outer = wr_mark16(&w);
	wr_u8(&w, 7);
	inner = wr_mark8(&w);
	wr_u32(&w, 0xdeadbeef);
	wr_close8(&w, inner);
	wr_close16(&w, outer);
	ck_assert(!w.bad);
	static const uint8_t expected[] = {0, 6, 7, 4, 0xde, 0xad, 0xbe, 0xef};
	ck_assert_uint_eq(wr_len(&w), sizeof expected);
	ck_assert_mem_eq(out, expected, sizeof expected);
}
END_TEST

START_TEST(test_overflow_and_undo)
{
	uint8_t out[4];
	struct wr w = wr_make(out, sizeof out);
	size_t saved;

	wr_u16(&w, 1);
	saved = wr_save(&w);
	wr_u32(&w, 2);
	ck_assert(w.bad);
	ck_assert_uint_eq(wr_room(&w), 0);
	wr_undo(&w, saved);
	ck_assert(!w.bad);
	wr_u16(&w, 3);
	ck_assert(!w.bad);
	ck_assert_uint_eq(wr_len(&w), 4);
}
END_TEST

/* Fields that are written later: a length of 4 octets, a number; nothing where there was no room. */
START_TEST(test_fields_filled_later)
{
	static const uint8_t expected[] = {0, 0, 1, 3, 0x12, 0x34};
	uint8_t out[4 + 259];
	struct wr w = wr_make(out, sizeof out);
	struct wr_mark length = wr_mark32(&w), count = wr_mark16(&w);

	wr_take(&w, 257);
	wr_fill16(&w, count, 0x1234);
	wr_close32(&w, length);
	ck_assert(!w.bad);
	ck_assert_mem_eq(out, expected, sizeof expected);
	w = wr_make(out, 1);
	length = wr_mark32(&w);
	count = wr_mark16(&w);
	wr_fill16(&w, count, 0xffff);
	wr_close32(&w, length);
	ck_assert(w.bad);
	ck_assert_mem_eq(out, expected, sizeof expected);
}
END_TEST

/* A length that its field cannot hold must not be written cut. */
START_TEST(test_mark_range)
{
	uint8_t *out = calloc(1, 70000);
	struct wr w = wr_make(out, 70000);
	struct wr_mark m = wr_mark8(&w);

	wr_take(&w, 256);
	wr_close8(&w, m);
	ck_assert(w.bad);
	w = wr_make(out, 70000);
	m = wr_mark16(&w);
	wr_take(&w, 65536);
	wr_close16(&w, m);
	ck_assert(w.bad);
	free(out);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("wire");
	TCase *t = tcase_create("wire");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(t, test_reads);
	tcase_add_test(t, test_underflow_sticks);
	tcase_add_test(t, test_writes);
	tcase_add_test(t, test_overflow_and_undo);
	tcase_add_test(t, test_fields_filled_later);
	tcase_add_test(t, test_mark_range);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
