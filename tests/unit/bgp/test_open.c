/* OPEN and its capabilities. "Row" is a row of the malformed-input table. */
#include "bgp/codec/msg.h"

#include "tests/unit/bgp/bytes.h"
#include "tests/unit/bgp/stable.h"

/* Version 4, AS 65001, hold time 90 s, identifier 10.0.0.1. */
#define HEAD "04 fde9 005a 0a000001 "

static const struct bgp_open plain = {
    .as = 65001, .hold_time = 90, .router_id = 0x0a000001, .families = 1u << FAM_IPV4};
static const struct bgp_open full = {
    .as = 70013,
    .hold_time = 90,
    .router_id = 0x0a000001,
    .families = 3,
    .has_mp = true,
    .as4 = true,
    .route_refresh = true,
    .enhanced_refresh = true,
    .extended_message = true,
    .gr = true,
    .gr_restarting = true,
    .gr_notification = true,
    .gr_time = 120,
    .gr_families = 3,
    .gr_forwarding = 1u << FAM_IPV6,
    .add_path = {BGP_ADD_PATH_RECEIVE, BGP_ADD_PATH_RECEIVE | BGP_ADD_PATH_SEND},
    .ext_next_hop = 1u << FAM_IPV4,
    .llgr = true,
    .llgr_families = 3,
    .llgr_forwarding = 1u << FAM_IPV6,
    .llgr_time = {3600, 0xffffff},
    .hostname = "node-1",
};

/* An OPEN's body of a fixed part and one parameter of these capabilities. */
static struct span body_with(struct wr *w, const char *capabilities)
{
	struct wr_mark params, param;

	wr_hex(w, HEAD);
	params = wr_mark8(w);
	wr_u8(w, 2);
	param = wr_mark8(w);
	wr_hex(w, capabilities);
	wr_close8(w, param);
	wr_close8(w, params);
	ck_assert(!w->bad);
	return wr_span(w);
}

static struct bgp_error decode_with(struct bgp_open *o, const char *capabilities)
{
	uint8_t room[512];
	struct wr w = wr_make(room, sizeof room);
	struct span copy = exact_copy(body_with(&w, capabilities));
	struct bgp_error err = bgp_open_decode(o, rd_span(copy));

	span_free(copy);
	return err;
}

START_TEST(test_full_open)
{
	uint8_t room[512];
	struct wr w = wr_make(room, sizeof room);
	struct bgp_error err;
	struct bgp_open o;
	struct bgp_msg m;

	bgp_open_encode(&w, &full);
	ck_hex_eq(wr_span(&w),
		  "ffffffffffffffffffffffffffffffff 006f 01"
		  "04 5ba0 005a 0a000001 52 02 50"
		  "01 04 0001 00 01  01 04 0002 00 01  02 00  05 06 0001 0001 0002  06 00"
		  "40 0a c078 0001 01 00 0002 01 80  41 04 0001117d"
		  "45 08 0001 01 01 0002 01 03  46 00"
		  "47 0e 0001 01 00 000e10 0002 01 80 ffffff"
		  "49 08 06 6e6f64652d31 00",
		  "OPEN");
	ck_assert_int_eq(bgp_msg_next(&m, room, wr_len(&w), 4096, &err), (int)wr_len(&w));
	ck_assert_int_eq(bgp_open_decode(&o, m.body).action, BGP_OK);
	ck_assert(stable_open_equal(&o, &full));
	w = wr_make(room, wr_len(&w) - 1);
	bgp_open_encode(&w, &full);
	ck_assert(w.bad);
}
END_TEST

START_TEST(test_plain_open)
{
	uint8_t room[64];
	struct wr w = wr_make(room, sizeof room);
	struct bgp_open o;

	bgp_open_encode(&w, &plain);
	ck_hex_eq(wr_span(&w), "ffffffffffffffffffffffffffffffff 001d 01" HEAD "00", "OPEN");
	ck_assert_int_eq(bgp_open_decode(&o, rd_make(room + BGP_HEADER_LEN, 10)).action, BGP_OK);
	ck_assert(stable_open_equal(&o, &plain));
	/* IPv6 cannot be meant without a capability that says so. */
	o.families = 1u << FAM_IPV6;
	wr_undo(&w, 0);
	bgp_open_encode(&w, &o);
	ck_hex_eq(wr_span(&w), "ffffffffffffffffffffffffffffffff 0025 01" HEAD "08 02 06 01 04 0002 00 01", "OPEN");
}
END_TEST

/* What makes each capability's encoder write, and nothing else does. */
static const struct {
	uint8_t code;
	struct bgp_open open;
} wants[] = {
    {1, {.has_mp = true, .families = 3}},
    {2, {.route_refresh = true}},
    {5, {.ext_next_hop = 1}},
    {6, {.extended_message = true}},
    {64, {.gr = true, .gr_time = 5, .gr_families = 1}},
    {65, {.as4 = true, .as = 70013}},
    {69, {.add_path = {BGP_ADD_PATH_SEND}}},
    {70, {.enhanced_refresh = true}},
    {71, {.llgr = true, .llgr_families = 1, .llgr_time = {60}}},
    {73, {.hostname = "a"}},
};

/* Each row of the capability table: bytes from a struct, the struct again from the bytes, and no value of a length
 * that the row forbids is taken. */
START_TEST(test_capability_row)
{
	const struct bgp_capability_row *row = &bgp_capability_table[_i];
	struct bgp_open want, got = {0};
	uint8_t room[64], again[64];
	struct wr w = wr_make(room, sizeof room), w2 = wr_make(again, sizeof again);
	struct rd r, value;

	ck_assert_uint_eq(bgp_capability_count, sizeof wants / sizeof *wants);
	ck_assert_msg(wants[_i].code == row->code, "no sample of capability %u", row->code);
	ck_assert_ptr_nonnull(row->name);
	ck_assert_uint_le(row->min_len, row->max_len);
	want = wants[_i].open;
	row->encode(&w, &want, row);
	ck_assert_uint_gt(wr_len(&w), 1);
	r = rd_span(wr_span(&w));
	while (rd_left(&r)) {
		ck_assert_uint_eq(rd_u8(&r), row->code);
		value = rd_sub(&r, rd_u8(&r));
		ck_assert_uint_ge(rd_left(&value), row->min_len);
		ck_assert_uint_le(rd_left(&value), row->max_len);
		ck_assert(!row->unit || (rd_left(&value) - row->min_len) % row->unit == 0);
		ck_assert(row->decode(&got, &value));
		ck_assert(rd_done(&value));
	}
	ck_assert(rd_done(&r));
	ck_assert(stable_open_equal(&want, &got));
	row->encode(&w2, &got, row);
	ck_span_eq(wr_span(&w2), wr_span(&w), row->name);
	/* Without it, nothing. */
	wr_undo(&w2, 0);
	row->encode(&w2, &plain, row);
	ck_assert_uint_eq(wr_len(&w2), 0);
	for (unsigned other = 0; other < sizeof wants / sizeof *wants; other++) {
		want = wants[other].open;
		if (!want.families)
			want.families = 1u << FAM_IPV4;
		row->encode(&w2, &want, row);
		ck_assert_msg((wr_len(&w2) > 0) == (other == (unsigned)_i), "%s and sample %u", row->name, other);
		wr_undo(&w2, 0);
	}
}
END_TEST

/* Row 11: a capability of a length it cannot have is ignored, and the ones around it are not. */
START_TEST(test_capability_of_bad_length)
{
	const struct bgp_capability_row *row = &bgp_capability_table[_i];

	for (unsigned len = 0; len < 64; len++) {
		uint8_t room[512];
		struct wr w = wr_make(room, sizeof room);
		bool good =
		    len >= row->min_len && len <= row->max_len && (!row->unit || (len - row->min_len) % row->unit == 0);
		struct bgp_open o;
		struct rd r;

		wr_hex(&w, HEAD);
		wr_u8(&w, (uint8_t)(4 + len + 6));
		wr_u8(&w, 2);
		wr_u8(&w, (uint8_t)(2 + len + 6));
		wr_u8(&w, row->code);
		wr_u8(&w, (uint8_t)len);
		for (unsigned i = 0; i < len; i++)
			wr_u8(&w, 1);
		wr_hex(&w, "41 04 0001117d");
		r = rd_span(wr_span(&w));
		ck_assert_int_eq(bgp_open_decode(&o, r).action, BGP_OK);
		ck_assert_uint_eq(o.as, 70013);
		ck_assert(o.as4);
		if (!good) {
			struct bgp_open only = plain;

			only.as4 = true;
			only.as = 70013;
			ck_assert_msg(stable_open_equal(&o, &only), "%s of %u octets", row->name, len);
		}
	}
}
END_TEST

START_TEST(test_bad_hostname)
{
	static const char *const bad[] = {"49 02 01 61", "49 03 02 61 00", "49 04 01 61 00 00", "49 03 01 61 05",
					  "49 02 ff 00"};
	struct bgp_open o;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ck_assert_int_eq(decode_with(&o, bad[i]).action, BGP_OK);
		ck_assert_msg(stable_open_equal(&o, &plain), "%s", bad[i]);
	}
	ck_assert_int_eq(decode_with(&o, "49 09 04 611b0062 03 646f6d").action, BGP_OK);
	ck_assert_str_eq(o.hostname, "a? b");
}
END_TEST

/* A host name of 255 octets does not fit one parameter beside others; what is kept is its beginning. */
START_TEST(test_long_hostname)
{
	uint8_t room[512];
	struct wr w = wr_make(room, sizeof room);
	struct bgp_open o;

	wr_hex(&w, HEAD "ce 02 cc 49 ca c8");
	for (int i = 0; i < 200; i++)
		wr_u8(&w, 'h');
	wr_u8(&w, 0);
	ck_assert_int_eq(bgp_open_decode(&o, rd_span(wr_span(&w))).action, BGP_OK);
	ck_assert_uint_eq(strlen(o.hostname), 64);
}
END_TEST

/* Row 12, and what each capability makes of several instances. */
START_TEST(test_instances)
{
	struct bgp_open o, want = plain;

	ck_assert_int_eq(decode_with(&o, "c8 03 010203  ff 00  80 00").action, BGP_OK);
	ck_assert(stable_open_equal(&o, &plain));
	ck_assert_int_eq(decode_with(&o, "01 04 0002 00 01  01 04 0002 00 01").action, BGP_OK);
	want.has_mp = true;
	want.families = 1u << FAM_IPV6;
	ck_assert(stable_open_equal(&o, &want));
	ck_assert_int_eq(decode_with(&o, "01 04 0002 00 01  01 04 0001 00 01  01 04 0001 00 80").action, BGP_OK);
	want.families = 3;
	ck_assert(stable_open_equal(&o, &want));
	/* Families that are none of ours: MP was there, IPv4 was not. */
	ck_assert_int_eq(decode_with(&o, "01 04 0019 00 46").action, BGP_OK);
	want.families = 0;
	ck_assert(stable_open_equal(&o, &want));
	/* RFC 4724 3: the last one counts. */
	want = plain;
	want.gr = true;
	want.gr_time = 7;
	want.gr_families = 1u << FAM_IPV6;
	ck_assert_int_eq(decode_with(&o, "40 06 8078 0001 01 80  40 06 0007 0002 01 00").action, BGP_OK);
	ck_assert(stable_open_equal(&o, &want));
	/* RFC 7911 4: only 1 to 3. */
	want = plain;
	want.add_path[FAM_IPV6] = BGP_ADD_PATH_SEND;
	ck_assert_int_eq(decode_with(&o, "45 10 0001 01 00 0001 01 04 0002 01 02 0001 80 03").action, BGP_OK);
	ck_assert(stable_open_equal(&o, &want));
	/* RFC 9494 3: long-lived only beside the ordinary one, in whatever order. */
	ck_assert_int_eq(decode_with(&o, "47 07 0001 01 80 000e10").action, BGP_OK);
	ck_assert(stable_open_equal(&o, &plain));
	ck_assert_int_eq(decode_with(&o, "47 07 0001 01 80 000e10  40 02 0000").action, BGP_OK);
	ck_assert(o.llgr && o.llgr_time[FAM_IPV4] == 3600 && o.llgr_time[FAM_IPV6] == 0);
	ck_assert(o.llgr_families == 1u << FAM_IPV4 && o.llgr_forwarding == 1u << FAM_IPV4);
	/* Without any family it says that the peer understands the communities; the last one counts. */
	ck_assert_int_eq(decode_with(&o, "47 07 0001 01 80 000e10  47 00  40 02 0000").action, BGP_OK);
	ck_assert(o.llgr && !o.llgr_families && !o.llgr_forwarding && !o.llgr_time[FAM_IPV4]);
	/* RFC 8950 4: only IPv6 next hops are of interest. */
	ck_assert_int_eq(decode_with(&o, "05 0c 0001 0001 0001 0001 0080 0002").action, BGP_OK);
	ck_assert(stable_open_equal(&o, &plain));
}
END_TEST

/* Several parameters, and RFC 9072's long ones. */
START_TEST(test_parameters)
{
	static const char *const forms[] = {
	    HEAD "0c 02 02 02 00  02 06 41 04 0001117d",
	    HEAD "ff ff 000e 02 0002 02 00  02 0006 41 04 0001117d",
	    HEAD "01 ff 000e 02 0002 02 00  02 0006 41 04 0001117d",
	};
	struct bgp_open want = plain, o;

	want.as4 = want.route_refresh = true;
	want.as = 70013;
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		uint8_t room[128];
		struct wr w = wr_make(room, sizeof room);

		wr_hex(&w, forms[i]);
		ck_assert_msg(bgp_open_decode(&o, rd_span(wr_span(&w))).action == BGP_OK, "%s", forms[i]);
		ck_assert_msg(stable_open_equal(&o, &want), "%s", forms[i]);
	}
}
END_TEST

/* More parameters than one octet can count. */
START_TEST(test_extended_parameters_of_400_octets)
{
	uint8_t room[512];
	struct wr w = wr_make(room, sizeof room);
	struct wr_mark all, one;
	struct bgp_open o;

	wr_hex(&w, HEAD "ff ff");
	all = wr_mark16(&w);
	wr_u8(&w, 2);
	one = wr_mark16(&w);
	for (int i = 0; i < 40; i++)
		wr_hex(&w, "c8 06 000000000000");
	for (int i = 0; i < 15; i++)
		wr_hex(&w, "01 04 0002 00 01");
	wr_close16(&w, one);
	wr_close16(&w, all);
	ck_assert(!w.bad && wr_len(&w) > 400);
	ck_assert_int_eq(bgp_open_decode(&o, rd_span(wr_span(&w))).action, BGP_OK);
	ck_assert_uint_eq(o.families, 1u << FAM_IPV6);
}
END_TEST

static const struct {
	const char *what, *body;
	uint8_t subcode;
	const char *data;
} bad[] = {
    {"nothing", "", 0, ""},
    {"9 octets", "04 fde9 005a 0a000001", 0, ""},
    {"row 5: version 3", "03 fde9 005a 0a000001 00", 1, "0004"},
    {"row 5: version 5, whatever follows", "05 0000 0001 00000000 ff", 1, "0004"},
    {"row 6: AS 0", "04 0000 005a 0a000001 00", 2, ""},
    {"row 6: AS 0 in the capability", HEAD "08 02 06 41 04 00000000", 2, ""},
    {"row 6: AS 0 beside the capability", "04 0000 005a 0a000001 08 02 06 41 04 0001117d", 2, ""},
    {"row 7: identifier 0", "04 fde9 005a 00000000 00", 3, ""},
    {"row 8: unknown parameter", HEAD "03 05 01 00", 4, "05 01 00"},
    {"row 8: authentication", HEAD "03 01 01 00", 4, "01 01 00"},
    {"row 8: unknown long parameter", HEAD "ff ff 0004 05 0001 00", 4, "05 0001 00"},
    {"row 9: hold time 1", "04 fde9 0001 0a000001 00", 6, ""},
    {"row 9: hold time 2", "04 fde9 0002 0a000001 00", 6, ""},
    {"row 10: parameters longer than the message", HEAD "04 02 00", 0, ""},
    {"row 10: parameters shorter than the message", HEAD "02 02 00 00", 0, ""},
    {"row 10: length 0 with something behind it", HEAD "00 02 00", 0, ""},
    {"row 10: parameter longer than the parameters", HEAD "04 02 03 02 00", 0, "02 03 02 00"},
    {"row 10: parameter without a length", HEAD "01 02", 0, "02"},
    {"row 10: capability longer than the parameter", HEAD "04 02 02 41 04", 0, "02 02 41 04"},
    {"row 10: capability without a length", HEAD "03 02 01 41", 0, "02 01 41"},
    {"row 10: long form, no length", HEAD "ff ff", 0, ""},
    {"row 10: long form, half a length", HEAD "ff ff 00", 0, ""},
    {"row 10: long form, too long", HEAD "ff ff 0004 02 0000", 0, ""},
    {"row 10: long form, too short", HEAD "ff ff 0003 02 0000 00", 0, ""},
    {"row 10: long form, parameter too long", HEAD "ff ff 0005 02 0003 02 00", 0, "02 0003 02 00"},
    {"row 10: long form, parameter without a length", HEAD "ff ff 0002 02 00", 0, "02 00"},
    {"row 10: long form, capability too long", HEAD "ff ff 0005 02 0002 41 04", 0, "02 0002 41 04"},
};

START_TEST(test_bad_open)
{
	uint8_t room[128];
	struct wr w = wr_make(room, sizeof room);
	struct bgp_error err;
	struct bgp_open o;
	struct span body;

	wr_hex(&w, bad[_i].body);
	body = exact_copy(wr_span(&w));
	err = bgp_open_decode(&o, rd_span(body));
	ck_assert_msg(err.action == BGP_RESET, "%s", bad[_i].what);
	ck_assert_uint_eq(err.code, BGP_ERR_OPEN);
	ck_assert_msg(err.subcode == bad[_i].subcode, "%s: subcode %u", bad[_i].what, err.subcode);
	ck_hex_eq(err.data, bad[_i].data, bad[_i].what);
	ck_assert_ptr_nonnull(err.reason);
	span_free(body);
}
END_TEST

START_TEST(test_hold_time_0_and_3_are_good)
{
	struct bgp_open o;
	uint8_t room[16];

	for (unsigned hold = 0; hold <= 3; hold += 3) {
		struct wr w = wr_make(room, sizeof room);

		wr_hex(&w, hold ? "04 fde9 0003 0a000001 00" : "04 fde9 0000 0a000001 00");
		ck_assert_int_eq(bgp_open_decode(&o, rd_span(wr_span(&w))).action, BGP_OK);
		ck_assert_uint_eq(o.hold_time, hold);
	}
}
END_TEST

/* Numbers beyond their fields go out as the largest there is. */
START_TEST(test_encode_clamps)
{
	struct bgp_open o = full, got;
	uint8_t room[512];
	struct wr w = wr_make(room, sizeof room);

	o.gr_time = 5000;
	o.llgr_time[FAM_IPV4] = 0x2000000;
	bgp_open_encode(&w, &o);
	ck_assert_int_eq(bgp_open_decode(&got, rd_make(room + BGP_HEADER_LEN, wr_len(&w) - BGP_HEADER_LEN)).action,
			 BGP_OK);
	ck_assert_uint_eq(got.gr_time, 4095);
	ck_assert_uint_eq(got.llgr_time[FAM_IPV4], 0xffffff);
}
END_TEST

static void visit(struct span input, void *arg)
{
	const char *wrong = stable_open(input);

	(void)arg;
	ck_assert_msg(!wrong, "%s", wrong);
}

static const char *const samples[] = {
    HEAD "00",
    HEAD "52 02 50 01 04 0001 00 01  01 04 0002 00 01  02 00  05 06 0001 0001 0002  06 00"
	 "40 0a c078 0001 01 00 0002 01 80  41 04 0001117d 45 08 0001 01 01 0002 01 03  46 00"
	 "47 0e 0001 01 00 000e10 0002 01 80 ffffff 49 08 06 6e6f64652d31 00",
    HEAD "0c 02 02 02 00  02 06 41 04 0001117d",
    HEAD "ff ff 0018 02 0002 02 00  02 0010 41 04 0001117d 40 02 0078 01 04 0002 00 01",
};

START_TEST(test_mutations)
{
	uint8_t room[256];
	struct wr w = wr_make(room, sizeof room);
	struct bgp_open o;

	wr_hex(&w, samples[_i]);
	ck_assert_int_eq(bgp_open_decode(&o, rd_span(wr_span(&w))).action, BGP_OK);
	ck_assert(!stable_open(wr_span(&w)));
	mutate(wr_span(&w), visit, NULL);
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

int main(void)
{
	Suite *s = suite_create("open");
	TCase *tc = tcase_create("open");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_full_open);
	tcase_add_test(tc, test_plain_open);
	tcase_add_loop_test(tc, test_capability_row, 0, (int)bgp_capability_count);
	tcase_add_loop_test(tc, test_capability_of_bad_length, 0, (int)bgp_capability_count);
	tcase_add_test(tc, test_bad_hostname);
	tcase_add_test(tc, test_long_hostname);
	tcase_add_test(tc, test_instances);
	tcase_add_test(tc, test_parameters);
	tcase_add_test(tc, test_extended_parameters_of_400_octets);
	tcase_add_loop_test(tc, test_bad_open, 0, COUNT(bad));
	tcase_add_test(tc, test_hold_time_0_and_3_are_good);
	tcase_add_test(tc, test_encode_clamps);
	tcase_add_loop_test(tc, test_mutations, 0, COUNT(samples));
	suite_add_tcase(s, tc);
	return run_suite(s);
}
