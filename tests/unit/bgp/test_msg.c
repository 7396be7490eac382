/* Framing, KEEPALIVE, NOTIFICATION, ROUTE-REFRESH. "Row" is a row of the malformed-input table. */
#include "bgp/codec/msg.h"

#include "tests/unit/bgp/bytes.h"

#define MARKER "ffffffffffffffffffffffffffffffff"

static const struct {
	const char *what, *hex;
	uint32_t pad; /* octets of zero behind it */
	uint32_t max;
	int result;
	uint8_t subcode;
	const char *data;
} frames[] = {
    {"nothing", "", 0, 4096, 0, 0, NULL},
    {"half a header", MARKER "0013", 0, 4096, 0, 0, NULL},
    {"KEEPALIVE", MARKER "0013 04", 0, 4096, 19, 0, NULL},
    {"KEEPALIVE and the next one's beginning", MARKER "0013 04 ffffff", 0, 4096, 19, 0, NULL},
    {"UPDATE, not all there", MARKER "0017 02 0000", 0, 4096, 0, 0, NULL},
    {"UPDATE", MARKER "0017 02 0000 0000", 0, 4096, 23, 0, NULL},
    {"UPDATE of 4096", MARKER "1000 02", 4077, 4096, 4096, 0, NULL},
    {"extended UPDATE", MARKER "ffff 02", 65516, 65535, 65535, 0, NULL},
    {"NOTIFICATION", MARKER "0015 03 0602", 0, 4096, 21, 0, NULL},
    {"ROUTE-REFRESH", MARKER "0017 05 0001 0001", 0, 4096, 23, 0, NULL},
    {"row 1: marker", "ffffffffffffffffffffffffffffff7f 0013 04", 0, 4096, -1, 1, ""},
    {"row 2: 18", MARKER "0012 04", 0, 4096, -1, 2, "0012"},
    {"row 2: 4097", MARKER "1001 02", 0, 4096, -1, 2, "1001"},
    {"row 2: OPEN of 4097 where extended ones are allowed", MARKER "1001 01", 0, 65535, -1, 2, "1001"},
    {"row 2: OPEN of 28", MARKER "001c 01", 0, 4096, -1, 2, "001c"},
    {"row 2: UPDATE of 22", MARKER "0016 02", 0, 4096, -1, 2, "0016"},
    {"row 2: NOTIFICATION of 20", MARKER "0014 03", 0, 4096, -1, 2, "0014"},
    {"row 3: type 0", MARKER "0013 00", 0, 4096, -1, 3, "00"},
    {"row 3: type 6", MARKER "0013 06", 0, 4096, -1, 3, "06"},
    {"row 3: type 255", MARKER "0013 ff", 0, 4096, -1, 3, "ff"},
    {"row 4: KEEPALIVE of 20", MARKER "0014 04 00", 0, 4096, -1, 2, "0014"},
    {"row 4: extended KEEPALIVE", MARKER "ffff 04", 0, 65535, -1, 2, "ffff"},
    {"row 44: ROUTE-REFRESH of 22", MARKER "0016 05 000100", 0, 4096, -1, 2, "0016"},
};

START_TEST(test_frame)
{
	uint8_t *room = mem_calloc(1, 70000);
	struct wr w = wr_make(room, 70000);
	struct bgp_error err = {0};
	struct bgp_msg m;
	struct span input;

	wr_hex(&w, frames[_i].hex);
	wr_take(&w, frames[_i].pad);
	input = exact_copy(wr_span(&w));
	ck_assert_msg(bgp_msg_next(&m, input.p, input.len, frames[_i].max, &err) == frames[_i].result, "%s",
		      frames[_i].what);
	if (frames[_i].result > 0) {
		ck_assert_uint_eq(m.len, (unsigned)frames[_i].result);
		ck_assert_uint_eq(rd_left(&m.body), m.len - BGP_HEADER_LEN);
		ck_assert_ptr_nonnull(bgp_type_names[m.type]);
	} else if (frames[_i].result < 0) {
		ck_assert_int_eq(err.action, BGP_RESET);
		ck_assert_uint_eq(err.code, BGP_ERR_HEADER);
		ck_assert_uint_eq(err.subcode, frames[_i].subcode);
		ck_hex_eq(err.data, frames[_i].data, frames[_i].what);
		ck_assert_ptr_nonnull(err.reason);
	}
	span_free(input);
	free(room);
}
END_TEST

/* Row 48: a stream read octet by octet gives the same messages as one of 1,000 messages at once. */
START_TEST(test_stream)
{
	size_t cap = 1000 * 23, done = 0;
	uint8_t *room = mem_alloc(cap);
	struct wr w = wr_make(room, cap);
	struct bgp_error err;
	struct bgp_msg m;
	unsigned whole = 0, slow = 0;
	int n;

	for (int i = 0; i < 500; i++) {
		bgp_keepalive_encode(&w);
		bgp_refresh_encode(&w, i % 2 ? FAM_IPV6 : FAM_IPV4, BGP_REFRESH_NORMAL);
	}
	ck_assert(!w.bad);
	while ((n = bgp_msg_next(&m, room + done, wr_len(&w) - done, 4096, &err)) > 0) {
		ck_assert_uint_eq(m.type, whole % 2 ? BGP_ROUTE_REFRESH : BGP_KEEPALIVE);
		done += (size_t)n;
		whole++;
	}
	ck_assert_uint_eq(whole, 1000);
	ck_assert_uint_eq(done, wr_len(&w));
	done = 0;
	for (size_t have = 0; have <= wr_len(&w); have++) {
		n = bgp_msg_next(&m, room + done, have - done, 4096, &err);
		ck_assert_int_ge(n, 0);
		if (n > 0) {
			ck_assert_uint_eq((size_t)n, have - done);
			done = have;
			slow++;
		}
	}
	ck_assert_uint_eq(slow, 1000);
	free(room);
}
END_TEST

/* Whatever a header and a body hold, nothing outside is read. */
static void visit_frame(struct span input, void *arg)
{
	struct bgp_error err = {0};
	struct bgp_msg m;
	int n = bgp_msg_next(&m, input.p, input.len, *(const uint32_t *)arg, &err);

	ck_assert(n <= (int)input.len);
	ck_assert(n >= 0 || (err.action == BGP_RESET && err.reason));
}

START_TEST(test_frame_mutations)
{
	uint8_t room[64];
	struct wr w = wr_make(room, sizeof room);
	uint32_t max = _i ? BGP_MAX_EXTENDED : BGP_MAX_MESSAGE;

	wr_hex(&w, MARKER "001d 02 0000 0000 20 c0000201");
	mutate(wr_span(&w), visit_frame, &max);
}
END_TEST

START_TEST(test_keepalive)
{
	uint8_t room[BGP_HEADER_LEN];
	struct wr w = wr_make(room, sizeof room);

	bgp_keepalive_encode(&w);
	ck_assert(!w.bad);
	ck_hex_eq(wr_span(&w), MARKER "0013 04", "KEEPALIVE");
	w = wr_make(room, sizeof room - 1);
	bgp_keepalive_encode(&w);
	ck_assert(w.bad);
}
END_TEST

START_TEST(test_families)
{
	for (enum family f = 0; f < FAM_COUNT; f++)
		ck_assert_int_eq(bgp_family(bgp_afi(f), BGP_SAFI_UNICAST), f);
	ck_assert_int_eq(bgp_family(1, 2), -1);
	ck_assert_int_eq(bgp_family(25, 1), -1);
	ck_assert_int_eq(bgp_family(0, 0), -1);
}
END_TEST

START_TEST(test_notification)
{
	static const uint8_t version[] = {0, 4};
	uint8_t room[5000], large[4500] = {0};
	struct wr w = wr_make(room, sizeof room);
	struct bgp_notification n;
	struct bgp_error err;
	struct bgp_msg m;

	bgp_notification_encode(&w, BGP_ERR_OPEN, 1, (struct span){version, 2});
	ck_hex_eq(wr_span(&w), MARKER "0017 03 02 01 0004", "NOTIFICATION");
	ck_assert_int_eq(bgp_msg_next(&m, room, wr_len(&w), 4096, &err), 23);
	ck_assert(bgp_notification_decode(&n, m.body));
	ck_assert_uint_eq(n.code, BGP_ERR_OPEN);
	ck_assert_uint_eq(n.subcode, 1);
	ck_hex_eq(n.data, "0004", "data");
	ck_assert(!bgp_notification_decode(&n, rd_make(room, 1)));
	ck_assert(!bgp_notification_decode(&n, rd_make(room, 0)));
	/* What does not fit is cut: the peer takes 4096 octets at least, and not necessarily more. */
	wr_undo(&w, 0);
	bgp_notification_encode(&w, BGP_ERR_UPDATE, 2, (struct span){large, sizeof large});
	ck_assert(!w.bad);
	ck_assert_uint_eq(wr_len(&w), 4096);
}
END_TEST

/* RFC 9003, RFC 8538; row 45. */
static const struct {
	uint8_t subcode;
	const char *data, *text;
} texts[] = {
    {BGP_CEASE_SHUTDOWN, "05 6c61746572", "later"},
    {BGP_CEASE_RESET, "05 6c61746572", "later"},
    {BGP_CEASE_REJECTED, "05 6c61746572", ""},
    {BGP_CEASE_SHUTDOWN, "", ""},
    {BGP_CEASE_SHUTDOWN, "00", ""},
    {BGP_CEASE_SHUTDOWN, "06 6c61746572", ""},		 /* runs past the end */
    {BGP_CEASE_SHUTDOWN, "05 6c61746572 6c6c", "later"}, /* more behind it */
    {BGP_CEASE_SHUTDOWN, "ff", ""},
    {BGP_CEASE_SHUTDOWN, "05 61 0a 1b 00 62", "a?? b"}, /* control characters */
    {BGP_CEASE_SHUTDOWN, "03 c3bc 7f", "\xc3\xbc?"},	/* UTF-8 stays */
    {BGP_CEASE_SHUTDOWN, "04 f09f90a6", "\xf0\x9f\x90\xa6"},
    {BGP_CEASE_SHUTDOWN, "02 61c3", "a?"},		    /* cut in a character */
    {BGP_CEASE_SHUTDOWN, "02 c0af", "??"},		    /* longer than needed */
    {BGP_CEASE_SHUTDOWN, "03 eda080", "???"},		    /* half of a pair */
    {BGP_CEASE_SHUTDOWN, "04 f4908080", "????"},	    /* beyond Unicode */
    {BGP_CEASE_SHUTDOWN, "02 c285", "??"},		    /* a control character of two octets */
    {BGP_CEASE_HARD_RESET, "06 02 05 6c61746572", "later"}, /* wrapped */
    {BGP_CEASE_HARD_RESET, "06 09 05 6c61746572", ""},
    {BGP_CEASE_HARD_RESET, "06", ""},
    {BGP_CEASE_HARD_RESET, "02 02 05 6c61746572", ""},
};

START_TEST(test_shutdown_text)
{
	uint8_t room[300];
	struct wr w = wr_make(room, sizeof room);
	char text[256];
	struct bgp_notification n = {.code = BGP_ERR_CEASE, .subcode = texts[_i].subcode};

	wr_hex(&w, texts[_i].data);
	n.data = exact_copy(wr_span(&w));
	bgp_shutdown_text(&n, text);
	ck_assert_str_eq(text, texts[_i].text);
	n.code = BGP_ERR_UPDATE;
	bgp_shutdown_text(&n, text);
	ck_assert_str_eq(text, "");
	span_free(n.data);
}
END_TEST

START_TEST(test_longest_shutdown_text)
{
	uint8_t data[256];
	char text[256];
	struct bgp_notification n = {.code = BGP_ERR_CEASE, .subcode = BGP_CEASE_SHUTDOWN, .data = {data, sizeof data}};

	memset(data, 'x', sizeof data);
	data[0] = 255;
	bgp_shutdown_text(&n, text);
	ck_assert_uint_eq(strlen(text), 255);
	memset(data + 1, 0xff, 255);
	bgp_shutdown_text(&n, text);
	ck_assert_uint_eq(strspn(text, "?"), 255);
}
END_TEST

static void visit_notification(struct span input, void *arg)
{
	char *text = arg;
	struct bgp_notification n;

	text[0] = '\0';
	if (bgp_notification_decode(&n, rd_span(input)))
		bgp_shutdown_text(&n, text);
	else
		ck_assert_uint_lt(input.len, 2);
	ck_assert_uint_lt(strlen(text), 256);
	for (const char *c = text; *c; c++)
		ck_assert((unsigned char)*c >= ' ' && *c != 0x7f);
}

START_TEST(test_notification_mutations)
{
	uint8_t room[64];
	char text[256];
	struct wr w = wr_make(room, sizeof room);

	wr_hex(&w, _i ? "06 09 06 04 08 62c3bc e282ac 6f6f" : "06 02 0a 61f09f90a6 e282ac 6f6f");
	mutate(wr_span(&w), visit_notification, text);
}
END_TEST

/* Row 44; RFC 7313 5. */
static const struct {
	const char *body;
	enum bgp_action action;
	uint8_t code, subcode;
	int family;
	uint8_t subtype;
	const char *data; /* of the NOTIFICATION: the length field, or the whole message */
} refreshes[] = {
    {"0001 00 01", BGP_OK, 0, 0, FAM_IPV4, BGP_REFRESH_NORMAL},
    {"0002 00 01", BGP_OK, 0, 0, FAM_IPV6, BGP_REFRESH_NORMAL},
    {"0002 01 01", BGP_OK, 0, 0, FAM_IPV6, BGP_REFRESH_BEGIN},
    {"0001 02 01", BGP_OK, 0, 0, FAM_IPV4, BGP_REFRESH_END},
    {"0001 00 80", BGP_OK, 0, 0, -1, BGP_REFRESH_NORMAL},
    {"0019 00 41", BGP_OK, 0, 0, -1, BGP_REFRESH_NORMAL},
    {"0001 03 01", BGP_OK, 0, 0, FAM_IPV4, 3},
    {"0001 ff 01 00", BGP_OK, 0, 0, FAM_IPV4, 255},
    {"0001 01 01 00", BGP_RESET, BGP_ERR_ROUTE_REFRESH, 1, FAM_IPV4, 1, MARKER "0018 05 0001 01 01 00"},
    {"0001 02 01 0000", BGP_RESET, BGP_ERR_ROUTE_REFRESH, 1, FAM_IPV4, 2, MARKER "0019 05 0001 02 01 0000"},
    {"0001 00 01 01 80 0000", BGP_RESET, BGP_ERR_HEADER, 2, FAM_IPV4, 0, "001b"},
    {"0001 00", BGP_RESET, BGP_ERR_HEADER, 2, -1, 0, "0016"},
    {"", BGP_RESET, BGP_ERR_HEADER, 2, -1, 0, "0013"},
};

START_TEST(test_refresh)
{
	uint8_t room[64];
	struct wr w = wr_make(room, sizeof room);
	struct wr_mark length = bgp_header_write(&w, BGP_ROUTE_REFRESH);
	struct bgp_error err;
	struct bgp_msg m = {.type = BGP_ROUTE_REFRESH};
	uint8_t subtype;
	struct span body;
	struct rd r;
	int family;

	/* Framed by hand: bgp_msg_next() keeps those that are too short away. */
	wr_hex(&w, refreshes[_i].body);
	bgp_header_close(&w, length);
	m.whole = exact_copy(wr_span(&w));
	r = rd_span(m.whole);
	rd_take(&r, BGP_HEADER_LEN);
	m.body = r;
	body = rd_rest(&r);
	err = bgp_refresh_decode(&family, &subtype, &m);
	ck_assert_int_eq(err.action, refreshes[_i].action);
	ck_assert_uint_eq(err.code, refreshes[_i].code);
	ck_assert_uint_eq(err.subcode, refreshes[_i].subcode);
	ck_assert_int_eq(family, refreshes[_i].family);
	ck_assert_uint_eq(subtype, refreshes[_i].subtype);
	ck_hex_eq(err.data, refreshes[_i].data ? refreshes[_i].data : "", "data");
	if (err.action == BGP_OK && family >= 0 && body.len == 4) {
		wr_undo(&w, 0);
		bgp_refresh_encode(&w, (enum family)family, subtype);
		ck_span_eq((struct span){room + BGP_HEADER_LEN, wr_len(&w) - BGP_HEADER_LEN}, body, "again");
	}
	span_free(m.whole);
}
END_TEST

START_TEST(test_error_names)
{
	char buf[96];

	ck_assert_str_eq(bgp_error_name(3, 11, buf), "UPDATE Message Error/Malformed AS_PATH");
	ck_assert_str_eq(bgp_error_name(6, 10, buf), "Cease/BFD Down");
	ck_assert_str_eq(bgp_error_name(4, 0, buf), "Hold Timer Expired");
	ck_assert_str_eq(bgp_error_name(8, 0, buf), "Send Hold Timer Expired");
	ck_assert_str_eq(bgp_error_name(2, 255, buf), "OPEN Message Error/subcode 255");
	ck_assert_str_eq(bgp_error_name(0, 0, buf), "code 0/subcode 0");
	ck_assert_str_eq(bgp_error_name(255, 255, buf), "code 255/subcode 255");
	for (unsigned code = 0; code < 256; code++)
		for (unsigned subcode = 0; subcode < 256; subcode++)
			ck_assert_uint_lt(strlen(bgp_error_name((uint8_t)code, (uint8_t)subcode, buf)), 96);
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

int main(void)
{
	Suite *s = suite_create("msg");
	TCase *tc = tcase_create("framing");

	tcase_add_loop_test(tc, test_frame, 0, COUNT(frames));
	tcase_add_test(tc, test_stream);
	tcase_add_loop_test(tc, test_frame_mutations, 0, 2);
	tcase_add_test(tc, test_keepalive);
	tcase_add_test(tc, test_families);
	suite_add_tcase(s, tc);
	tc = tcase_create("bodies");
	tcase_add_test(tc, test_notification);
	tcase_add_loop_test(tc, test_shutdown_text, 0, COUNT(texts));
	tcase_add_test(tc, test_longest_shutdown_text);
	tcase_add_loop_test(tc, test_notification_mutations, 0, 2);
	tcase_add_loop_test(tc, test_refresh, 0, COUNT(refreshes));
	tcase_add_test(tc, test_error_names);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
