/* Every message, written and read again field by field; each row of the statistics; room that is too small by any
 * number of octets; the largest that there is. */
#include "bgp/bmp/bmp.h"

#include "bgp/codec/update.h"
#include "tests/unit/bgp/bytes.h"
#include "tests/unit/bmp/station.h"

static const struct bmp_time noon = {1700000000, 250000};

static struct addr addr_of(const char *text)
{
	struct addr a;

	ck_assert(addr_parse(&a, text));
	return a;
}

static struct bmp_peer peer4(void)
{
	return (struct bmp_peer){
	    .type = BMP_PEER_GLOBAL, .address = addr_of("10.0.0.9"), .as = 4200000001, .router_id = 0x0a000009};
}

static struct bmp_peer peer6(void)
{
	return (struct bmp_peer){
	    .type = BMP_PEER_GLOBAL, .address = addr_of("fd00::9"), .as = 65001, .router_id = 0x0a000009};
}

static struct bmp_peer loc_rib(void)
{
	return (struct bmp_peer){.type = BMP_PEER_LOC_RIB, .as = 64512, .router_id = 0x0a000001};
}

static uint8_t room[200000];

static struct wr writer(void)
{
	return wr_make(room, sizeof room);
}

/* The only message that was written. */
static struct report only(const struct wr *w, uint8_t type)
{
	struct rd r = rd_make(w->start, wr_len(w));
	struct report m;

	ck_assert(!w->bad);
	ck_assert(report_next(&m, &r));
	ck_assert(rd_done(&r));
	ck_assert_uint_eq(m.type, type);
	ck_assert_uint_eq(m.length, wr_len(w));
	return m;
}

static void expect_peer(const struct report *m, const struct bmp_peer *p, uint8_t flags)
{
	ck_assert_uint_eq(m->peer_type, p->type);
	ck_assert_uint_eq(m->flags, flags);
	ck_assert_uint_eq(m->distinguisher, 0);
	ck_assert(addr_equal(&m->address, &p->address));
	ck_assert_uint_eq(m->as, p->as);
	ck_assert_uint_eq(m->router_id, p->router_id);
	ck_assert_uint_eq(m->seconds, noon.seconds);
	ck_assert_uint_eq(m->micros, noon.micros);
}

/* ---- Sessions ---- */

START_TEST(test_initiation)
{
	struct wr w = writer();
	struct report m;
	struct tlv t;

	bmp_initiation_encode(&w, "node-1", "calidrisd 1");
	m = only(&w, BMP_INITIATION);
	ck_assert(tlv_next(&t, &m.body));
	ck_assert_uint_eq(t.type, 1);
	ck_text_eq(t.value, "calidrisd 1");
	ck_assert(tlv_next(&t, &m.body));
	ck_assert_uint_eq(t.type, 2);
	ck_text_eq(t.value, "node-1");
	ck_assert(!tlv_next(&t, &m.body));
}
END_TEST

START_TEST(test_termination)
{
	struct report m;
	struct tlv t;

	for (unsigned reason = BMP_TERM_ADMIN; reason <= BMP_TERM_ADMIN_FOR_GOOD; reason++) {
		struct wr w = writer();

		bmp_termination_encode(&w, reason, reason % 2 ? "why" : "");
		m = only(&w, BMP_TERMINATION);
		ck_assert(tlv_next(&t, &m.body));
		ck_assert_uint_eq(t.type, 1);
		ck_assert_uint_eq(t.value.len, 2);
		ck_assert_uint_eq(t.value.p[0] << 8 | t.value.p[1], reason);
		if (reason % 2) {
			ck_assert(tlv_next(&t, &m.body));
			ck_assert_uint_eq(t.type, 0);
			ck_text_eq(t.value, "why");
		}
		ck_assert(!tlv_next(&t, &m.body));
	}
}
END_TEST

/* Texts from outside may be of any length: cut, but not in the middle of a character. */
START_TEST(test_long_texts)
{
	struct wr w = writer();
	char text[70001];
	struct report m;
	struct tlv t;

	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	memcpy(text + 4095, "\xc3\xa4", 2);
	bmp_initiation_encode(&w, text, text);
	m = only(&w, BMP_INITIATION);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert(tlv_next(&t, &m.body));
		ck_assert_uint_eq(t.value.len, 4095);
		ck_assert_mem_eq(t.value.p, text, t.value.len);
	}
	w = writer();
	bmp_termination_encode(&w, BMP_TERM_ADMIN, text + 1);
	m = only(&w, BMP_TERMINATION);
	ck_assert(tlv_next(&t, &m.body) && tlv_next(&t, &m.body));
	ck_assert_uint_eq(t.value.len, 4096);
}
END_TEST

/* ---- Peers ---- */

static struct span bgp_message(uint8_t type, size_t body)
{
	struct wr w = wr_make(mem_calloc(1, BGP_HEADER_LEN + body), BGP_HEADER_LEN + body);

	for (unsigned i = 0; i < 16; i++)
		wr_u8(&w, 0xff);
	wr_u16(&w, (uint16_t)(BGP_HEADER_LEN + body));
	wr_u8(&w, type);
	while (wr_room(&w))
		wr_u8(&w, (uint8_t)wr_len(&w));
	return (struct span){w.start, wr_len(&w)};
}

START_TEST(test_peer_up)
{
	struct bmp_peer p = _i ? peer6() : peer4();
	struct bmp_peer_up up = {
	    .local = addr_of(_i ? "fd00::1" : "10.0.0.1"),
	    .local_port = 179,
	    .remote_port = 40001,
	    .sent_open = bgp_message(BGP_OPEN, 60),
	    .received_open = bgp_message(BGP_OPEN, 4077),
	    .admin_label = "Mesh_10_0_0_9",
	};
	struct wr w = writer();
	struct report m;
	struct addr local;
	struct tlv t;

	bmp_peer_up_encode(&w, &p, noon, &up);
	m = only(&w, BMP_PEER_UP);
	expect_peer(&m, &p, _i ? 0x80 : 0);
	local = report_address(&m.body, _i);
	ck_assert(addr_equal(&local, &up.local));
	ck_assert_uint_eq(rd_u16(&m.body), 179);
	ck_assert_uint_eq(rd_u16(&m.body), 40001);
	ck_span_eq(bgp_take(&m.body, BGP_OPEN), up.sent_open, "sent OPEN");
	ck_span_eq(bgp_take(&m.body, BGP_OPEN), up.received_open, "received OPEN");
	ck_assert(tlv_next(&t, &m.body));
	ck_assert_uint_eq(t.type, 4);
	ck_text_eq(t.value, "Mesh_10_0_0_9");
	ck_assert(!tlv_next(&t, &m.body));
	span_free(up.sent_open);
	span_free(up.received_open);
}
END_TEST

/* RFC 9069 5.2: zeroes where a peer has its own, the OPEN twice, the table's name. */
START_TEST(test_loc_rib_up)
{
	struct bmp_peer p = loc_rib();
	struct span open = bgp_message(BGP_OPEN, 20);
	struct bmp_peer_up up = {.sent_open = open, .received_open = open, .table_name = "global"};
	struct wr w = writer();
	struct report m;
	struct addr local;
	struct tlv t;

	bmp_peer_up_encode(&w, &p, noon, &up);
	m = only(&w, BMP_PEER_UP);
	expect_peer(&m, &p, 0);
	local = report_address(&m.body, false);
	ck_assert(addr_is_none(&local));
	ck_assert_uint_eq(rd_u32(&m.body), 0);
	ck_span_eq(bgp_take(&m.body, BGP_OPEN), open, "sent OPEN");
	ck_span_eq(bgp_take(&m.body, BGP_OPEN), open, "received OPEN");
	ck_assert(tlv_next(&t, &m.body));
	ck_assert_uint_eq(t.type, 3);
	ck_text_eq(t.value, "global");
	ck_assert(!tlv_next(&t, &m.body));
	span_free(open);
}
END_TEST

START_TEST(test_peer_down)
{
	enum bmp_down reason = (enum bmp_down)_i;
	bool is_loc_rib = reason == BMP_DOWN_LOC_RIB;
	struct bmp_peer p = is_loc_rib ? loc_rib() : peer6();
	struct bmp_peer_down down = {.reason = reason,
				     .notification = bgp_message(BGP_NOTIFICATION, _i % 2 ? 65516 : 2),
				     .event = 29,
				     .table_name = "global"};
	struct wr w = writer();
	struct report m;
	struct tlv t;

	bmp_peer_down_encode(&w, &p, noon, &down);
	m = only(&w, BMP_PEER_DOWN);
	expect_peer(&m, &p, is_loc_rib ? 0 : 0x80);
	ck_assert_uint_eq(rd_u8(&m.body), reason);
	if (reason == BMP_DOWN_LOCAL_NOTIFICATION || reason == BMP_DOWN_REMOTE_NOTIFICATION) {
		ck_span_eq(bgp_take(&m.body, BGP_NOTIFICATION), down.notification, "NOTIFICATION");
	} else if (reason == BMP_DOWN_LOCAL) {
		ck_assert_uint_eq(rd_u16(&m.body), 29);
	} else if (is_loc_rib) {
		ck_assert(tlv_next(&t, &m.body));
		ck_assert_uint_eq(t.type, 3);
		ck_text_eq(t.value, "global");
	}
	ck_assert(rd_done(&m.body));
	span_free(down.notification);
}
END_TEST

/* ---- Routes ---- */

/* V, L, A, O for each view: IPv4 peer, IPv6 peer. Loc-RIB has flags of its own, none of which is set. */
static const struct {
	enum bmp_view view;
	bool as2;
	uint8_t flags;
} views[] = {
    {BMP_ADJ_IN_PRE, false, 0x00},   {BMP_ADJ_IN_PRE, true, 0x20},   {BMP_ADJ_IN_POST, false, 0x40},
    {BMP_ADJ_OUT_POST, false, 0x50}, {BMP_ADJ_OUT_POST, true, 0x70}, {BMP_LOC_RIB, false, 0x00},
};

START_TEST(test_route_monitoring)
{
	enum bmp_view v = views[_i].view;
	struct bmp_peer peers[] = {v == BMP_LOC_RIB ? loc_rib() : peer4(), v == BMP_LOC_RIB ? loc_rib() : peer6()};

	for (unsigned i = 0; i < 2; i++) {
		struct wr w = writer();
		struct wr_mark length = bmp_route_monitoring_open(&w, &peers[i], v, views[_i].as2, noon);
		struct report m;
		struct span update;

		bgp_update_encode_end_of_rib(&w, FAM_IPV6);
		bmp_close(&w, length);
		m = only(&w, BMP_ROUTE_MONITORING);
		expect_peer(&m, &peers[i], views[_i].flags | (i && v != BMP_LOC_RIB ? 0x80 : 0));
		update = bgp_take(&m.body, BGP_UPDATE);
		ck_assert_uint_eq(update.len, 30);
		ck_assert(rd_done(&m.body));
	}
}
END_TEST

/* ---- Statistics ---- */

START_TEST(test_statistics)
{
	const uint64_t value = 0x1122334455667788;
	struct bmp_peer p = peer4();
	struct wr w = writer();
	struct bmp_report r = bmp_report_open(&w, &p, noon);
	struct report m;

	for (unsigned i = 0; i < bmp_stat_count; i++)
		bmp_report_add(&w, &r, bmp_stat_table[i].type, FAM_IPV6, value + i);
	bmp_report_close(&w, &r);
	m = only(&w, BMP_STATISTICS_REPORT);
	expect_peer(&m, &p, 0);
	ck_assert_uint_eq(rd_u32(&m.body), bmp_stat_count);
	for (unsigned i = 0; i < bmp_stat_count; i++) {
		const struct bmp_stat_row *row = &bmp_stat_table[i];
		struct rd v;

		ck_assert_uint_eq(rd_u16(&m.body), row->type);
		v = rd_sub(&m.body, rd_u16(&m.body));
		if (row->by_family) {
			ck_assert_uint_eq(rd_u16(&v), 2);
			ck_assert_uint_eq(rd_u8(&v), 1);
		}
		if (row->octets == 8)
			ck_assert_uint_eq(rd_u64(&v), value + i);
		else
			ck_assert_uint_eq(rd_u32(&v), (uint32_t)(value + i));
		ck_assert(rd_done(&v));
	}
	ck_assert(rd_done(&m.body));
	/* Counters are of 4 octets, gauges of 8: RFC 7854 4.8, RFC 8671 6. */
	for (unsigned i = 0; i < bmp_stat_count; i++) {
		unsigned type = bmp_stat_table[i].type;
		bool gauge = (type >= 7 && type <= 10) || type >= 14;

		ck_assert_uint_eq(bmp_stat_table[i].octets, gauge ? 8 : 4);
		ck_assert_int_eq(bmp_stat_table[i].by_family, type == 9 || type == 10 || type == 16 || type == 17);
		for (unsigned k = 0; k < i; k++)
			ck_assert_uint_ne(bmp_stat_table[k].type, type);
	}
}
END_TEST

START_TEST(test_no_such_statistic)
{
	struct bmp_peer p = peer4();
	struct wr w = writer();
	struct bmp_report r = bmp_report_open(&w, &p, noon);

	bmp_report_add(&w, &r, (enum bmp_stat)6, FAM_IPV4, 1);
	ck_assert(w.bad);
}
END_TEST

/* ---- Room ---- */

static void put_initiation(struct wr *w)
{
	bmp_initiation_encode(w, "node-1", "calidrisd");
}

static void put_termination(struct wr *w)
{
	bmp_termination_encode(w, BMP_TERM_ADMIN, "text");
}

static void put_up(struct wr *w)
{
	static const uint8_t open[29];
	struct bmp_peer p = peer6();
	struct bmp_peer_up up = {.local = addr_of("fd00::1"),
				 .sent_open = {open, sizeof open},
				 .received_open = {open, sizeof open},
				 .table_name = "global",
				 .admin_label = "label"};

	bmp_peer_up_encode(w, &p, noon, &up);
}

static void put_down(struct wr *w)
{
	static const uint8_t words[21];
	struct bmp_peer p = peer4();
	struct bmp_peer_down down = {.reason = BMP_DOWN_REMOTE_NOTIFICATION, .notification = {words, sizeof words}};

	bmp_peer_down_encode(w, &p, noon, &down);
}

static void put_route(struct wr *w)
{
	struct bmp_peer p = peer4();
	struct wr_mark length = bmp_route_monitoring_open(w, &p, BMP_ADJ_IN_PRE, false, noon);

	bgp_update_encode_end_of_rib(w, FAM_IPV4);
	bmp_close(w, length);
}

static void put_report(struct wr *w)
{
	struct bmp_peer p = peer4();
	struct bmp_report r = bmp_report_open(w, &p, noon);

	for (unsigned i = 0; i < bmp_stat_count; i++)
		bmp_report_add(w, &r, bmp_stat_table[i].type, FAM_IPV4, UINT64_MAX);
	bmp_report_close(w, &r);
}

static void (*const puts_of[])(struct wr *w) = {put_initiation, put_termination, put_up,
						put_down,	put_route,	 put_report};
#define PUTS (int)(sizeof puts_of / sizeof *puts_of)

/* In a buffer of exactly each size, so that a sanitizer sees the first octet beyond. */
START_TEST(test_room)
{
	struct wr w = writer();
	size_t need;

	puts_of[_i](&w);
	ck_assert(!w.bad);
	need = wr_len(&w);
	ck_assert_uint_ge(need, 20);
	for (size_t size = 0; size <= need; size++) {
		uint8_t *exact = mem_alloc(size);
		struct wr small = wr_make(exact, size);

		puts_of[_i](&small);
		ck_assert_int_eq(small.bad, size < need);
		if (size == need)
			ck_assert_mem_eq(exact, room, need);
		free(exact);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("bmp");
	TCase *tc = tcase_create("messages");
	SRunner *sr;
	int failures;

	tcase_add_test(tc, test_initiation);
	tcase_add_test(tc, test_termination);
	tcase_add_test(tc, test_long_texts);
	tcase_add_loop_test(tc, test_peer_up, 0, 2);
	tcase_add_test(tc, test_loc_rib_up);
	tcase_add_loop_test(tc, test_peer_down, BMP_DOWN_LOCAL_NOTIFICATION, BMP_DOWN_LOC_RIB + 1);
	tcase_add_loop_test(tc, test_route_monitoring, 0, sizeof views / sizeof *views);
	tcase_add_test(tc, test_statistics);
	tcase_add_test(tc, test_no_such_statistic);
	tcase_add_loop_test(tc, test_room, 0, PUTS);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
