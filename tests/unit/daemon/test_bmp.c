/* The parts of the BMP joint: the list of stations, the bounded feed against a model of it, and routes packed into
 * messages and read again. The whole is tested with stations, in tests/net/test_bmp.py. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "daemon/base/mono.h"
#include "daemon/config/endpoint.h"
#include "daemon/monitor/bmp_feed.h"
#include "daemon/monitor/bmp_pack.h"
#include "tests/unit/bmp/station.h"

/* ---- Endpoints ---- */

START_TEST(test_endpoints)
{
	const char *list = "  10.0.0.9:11019,[fd00::9]:1 127.0.0.1:65535 [::1]:7 ";
	static const char *const want[] = {"10.0.0.9:11019", "[fd00::9]:1", "127.0.0.1:65535", "[::1]:7"};
	char text[ENDPOINT_STRLEN];
	struct endpoint e;

	for (unsigned i = 0; i < 4; i++) {
		ck_assert(endpoint_next(&e, &list));
		ck_assert_str_eq(endpoint_format(&e, text), want[i]);
	}
	ck_assert(!endpoint_next(&e, &list));
	ck_assert_str_eq(list, "");
}
END_TEST

static const char *const no_endpoints[] = {
    "10.0.0.9",	      "10.0.0.9:",   "10.0.0.9:0",
    "10.0.0.9:65536", "10.0.0.9:-1", "10.0.0.9:11019x",
    ":11019",	      "fd00::9:1",   "[fd00::9]",
    "[fd00::9]1",     "[fd00::9:1",  "[10.0.0.9]:1",
    "[fe80::1]:5",    "224.0.0.1:5", "0.0.0.0:5",
    "[::]:5",	      "[ff02::1]:5", "station:11019",
    "10.0.0.9 :5",    "[]:5",	     "[00000000000000000000000000000000000000000000000000000000000001]:5",
};

START_TEST(test_no_endpoint)
{
	const char *list = no_endpoints[_i];
	struct endpoint e = {.port = 99};

	ck_assert_msg(!endpoint_next(&e, &list), "%s", no_endpoints[_i]);
	ck_assert_str_eq(list, no_endpoints[_i]);
	ck_assert_uint_eq(e.port, 99);
}
END_TEST

/* ---- The feed ---- */

#define READERS 5u
#define LIMIT 300000u

static struct {
	uint8_t *all; /* what was ever written */
	size_t len;
	struct {
		struct feed_reader r;
		size_t at; /* in `all` */
		bool in;
	} reader[READERS];
	unsigned lost;
	uint64_t seed;
} model;

static uint32_t rnd(uint32_t n)
{
	model.seed = model.seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(model.seed >> 33) % n;
}

static void on_lost(void *arg, struct feed_reader *r)
{
	ck_assert_ptr_eq(arg, &model);
	for (unsigned i = 0; i < READERS; i++)
		if (&model.reader[i].r == r) {
			ck_assert(model.reader[i].in);
			model.reader[i].in = false;
			model.lost++;
			return;
		}
	ck_abort_msg("no such reader");
}

static void write_some(struct feed *f)
{
	static uint8_t message[100000];
	size_t len = rnd(20) ? 1 + rnd(3000) : 1 + rnd(sizeof message);
	bool behind[READERS];

	for (size_t i = 0; i < len; i++)
		message[i] = (uint8_t)(model.len + i) ^ (uint8_t)((model.len + i) >> 8);
	for (unsigned i = 0; i < READERS; i++)
		behind[i] = model.reader[i].in && model.len - model.reader[i].at + len > LIMIT;
	feed_write(f, (struct span){message, len});
	memcpy(model.all + model.len, message, len);
	/* Exactly those who would be too far behind are lost. */
	for (unsigned i = 0; i < READERS; i++)
		ck_assert(!behind[i] || !model.reader[i].in);
	if (feed_is_read(f))
		model.len += len;
}

static void read_some(struct feed *f, unsigned i)
{
	struct span s = feed_peek(f, &model.reader[i].r);
	size_t n;

	ck_assert_int_eq(s.len > 0, model.reader[i].at < model.len);
	if (!s.len)
		return;
	ck_assert_uint_le(s.len, model.len - model.reader[i].at);
	n = 1 + rnd((uint32_t)s.len);
	ck_assert_mem_eq(s.p, model.all + model.reader[i].at, n);
	feed_advance(f, &model.reader[i].r, n);
	model.reader[i].at += n;
	ck_assert_uint_eq(feed_behind(f, &model.reader[i].r), model.len - model.reader[i].at);
}

/* Readers come, go, read at their pace; nobody misses an octet, nobody is lost who need not be. */
START_TEST(test_feed)
{
	struct feed f;
	unsigned joined = 0;

	memset(&model, 0, sizeof model);
	model.seed = (uint64_t)_i + 3;
	model.all = mem_alloc(200u << 20);
	feed_init(&f, LIMIT, on_lost, &model);
	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = rnd(READERS), what = rnd(100);

		if (what < 35) {
			write_some(&f);
		} else if (!model.reader[i].in) {
			feed_join(&f, &model.reader[i].r);
			model.reader[i].in = true;
			model.reader[i].at = model.len;
			joined++;
		} else if (what < 37) {
			feed_leave(&f, &model.reader[i].r);
			model.reader[i].in = false;
		} else if (i < 3 || what < 45) {
			read_some(&f, i);
		}
	}
	ck_assert_uint_gt(joined, 50);
	ck_assert_uint_gt(model.lost, 10);
	for (unsigned i = 0; i < READERS; i++)
		feed_leave(&f, &model.reader[i].r);
	ck_assert(!feed_is_read(&f));
	ck_assert(TAILQ_EMPTY(&f.blocks));
	feed_clear(&f);
	free(model.all);
}
END_TEST

START_TEST(test_feed_unread)
{
	struct feed_reader r = {0};
	struct feed f;

	feed_init(&f, LIMIT, on_lost, &model);
	feed_write(&f, (struct span){(const uint8_t *)"abc", 3});
	ck_assert(TAILQ_EMPTY(&f.blocks));
	ck_assert_uint_eq(f.end, 0);
	ck_assert_uint_eq(feed_peek(&f, &r).len, 0);
	feed_leave(&f, &r);
	feed_join(&f, &r);
	ck_assert_uint_eq(feed_behind(&f, &r), 0);
	feed_leave(&f, &r);
	feed_clear(&f);
}
END_TEST

/* ---- Packing ---- */

static struct {
	struct strbuf out;
	struct attrs_table *attrs;
	struct packer k;
	struct arena arena;
} bench;

static void emit(void *arg, struct span message)
{
	ck_assert_ptr_eq(arg, &bench);
	strbuf_add(&bench.out, message.p, message.len);
}

static void pack_setup(void)
{
	memset(&bench, 0, sizeof bench);
	bench.attrs = attrs_table_new();
}

static void pack_teardown(void)
{
	packer_clear(&bench.k);
	strbuf_free(&bench.out);
	arena_free(&bench.arena);
	attrs_table_free(bench.attrs);
}

static struct addr addr_of(const char *text)
{
	struct addr a;

	ck_assert(addr_parse(&a, text));
	return a;
}

static struct bgp_nlri nlri_of(const char *text, uint32_t path_id)
{
	struct bgp_nlri n = {.path_id = path_id};

	ck_assert(prefix_parse(&n.prefix, text));
	return n;
}

static struct pack_source source_of(uint64_t number)
{
	return (struct pack_source){
	    .peer = {.type = BMP_PEER_GLOBAL, .address = addr_of("10.0.0.9"), .as = 65001, .router_id = 9},
	    .number = number,
	    .max_message = BGP_MAX_MESSAGE};
}

static struct attrs *attrs_of(uint32_t med, const char *next_hop)
{
	struct bgp_attrs a = {.present = 1u << BA_ORIGIN | 1u << BA_AS_PATH | 1u << BA_MED | 1u << BA_LOCAL_PREF,
			      .med = med,
			      .local_pref = 300};

	if (next_hop)
		a.next_hop.addr = addr_of(next_hop);
	return attrs_intern(bench.attrs, &a);
}

/* "4:+10.1.0.0/24,10.2.0.0/24(7) " for each message: the flags' L and O as in "p", "P", "o", what was said of routes.
 */
static void describe(struct strbuf *text, uint8_t add_path)
{
	struct bgp_codec codec = {.as4 = true, .families = 3, .add_path_rx = add_path, .ext_next_hop = 3};
	struct rd stream = rd_make(bench.out.s, bench.out.len);
	struct report m;

	strbuf_reset(text);
	strbuf_puts(text, "");
	while (report_next(&m, &stream)) {
		struct bgp_update u;
		struct rd body;

		ck_assert_uint_eq(m.type, BMP_ROUTE_MONITORING);
		body = rd_span(bgp_take(&m.body, BGP_UPDATE));
		rd_take(&body, BGP_HEADER_LEN);
		ck_assert(rd_done(&m.body));
		ck_assert_int_eq(bgp_update_decode(&u, body, &codec, &bench.arena).action, BGP_OK);
		strbuf_printf(text, "%s%u:", text->len ? " " : "", m.flags);
		if (u.end_of_rib >= 0)
			strbuf_printf(text, "eor%u", u.end_of_rib == FAM_IPV4 ? 4 : 6);
		for (unsigned i = 0; i < u.runs; i++) {
			struct rd rd = rd_span(u.run[i].nlri);
			char hop[ADDR_STRLEN], prefix[PREFIX_STRLEN];
			struct bgp_nlri n;

			strbuf_puts(text, u.run[i].reach ? "+" : "-");
			for (unsigned k = 0; bgp_nlri_next(&n, &rd, u.run[i].family, add_path); k++) {
				strbuf_printf(text, "%s%s", k ? "," : "", prefix_format(&n.prefix, prefix));
				if (n.path_id)
					strbuf_printf(text, "(%u)", n.path_id);
			}
			if (u.run[i].reach)
				strbuf_printf(text, "=%u@%s", u.attrs.med, addr_format(&u.run[i].next_hop.addr, hop));
			ck_assert(!u.run[i].reach || u.attrs.local_pref == 300);
		}
		arena_reset(&bench.arena);
	}
	strbuf_reset(&bench.out);
}

static void expect(const char *want)
{
	struct strbuf text = {0};

	packer_flush(&bench.k);
	describe(&text, 0);
	ck_assert_str_eq(text.s, want);
	strbuf_free(&text);
}

static void add(const struct pack_source *s, enum bmp_view v, const char *prefix, const struct attrs *a)
{
	struct bgp_nlri n = nlri_of(prefix, 0);

	packer_add(&bench.k, s, v, &n, a, 0);
}

START_TEST(test_pack)
{
	struct pack_source one = source_of(1), two = source_of(2);
	struct attrs *a = attrs_of(1, "10.0.0.1"), *b = attrs_of(2, "10.0.0.1"), *c = attrs_of(1, "10.0.0.2");
	struct attrs *six = attrs_of(1, "fd00::1");

	packer_init(&bench.k, false, emit, &bench);
	/* Equal attributes share a message, in their order; others do not. */
	add(&one, BMP_ADJ_IN_PRE, "10.1.0.0/24", a);
	add(&one, BMP_ADJ_IN_PRE, "10.2.0.0/24", a);
	add(&one, BMP_ADJ_IN_PRE, "10.3.0.0/24", b);
	add(&one, BMP_ADJ_IN_PRE, "10.4.0.0/24", c);
	expect("0:+10.1.0.0/24,10.2.0.0/24=1@10.0.0.1 0:+10.3.0.0/24=2@10.0.0.1 0:+10.4.0.0/24=1@10.0.0.2");
	/* What was told of a prefix later comes later. */
	add(&one, BMP_ADJ_IN_PRE, "10.1.0.0/24", a);
	add(&one, BMP_ADJ_IN_PRE, "10.1.0.0/24", NULL);
	add(&one, BMP_ADJ_IN_PRE, "10.1.0.0/24", b);
	expect("0:+10.1.0.0/24=1@10.0.0.1 0:-10.1.0.0/24 0:+10.1.0.0/24=2@10.0.0.1");
	/* Families, views and sources have their own. */
	add(&one, BMP_ADJ_IN_PRE, "fd00:1::/64", six);
	add(&one, BMP_ADJ_IN_PRE, "fd00:2::/64", six);
	expect("0:+fd00:1::/64,fd00:2::/64=1@fd00::1");
	add(&one, BMP_ADJ_IN_PRE, "10.1.0.0/24", a);
	add(&one, BMP_ADJ_IN_POST, "10.1.0.0/24", a);
	add(&one, BMP_ADJ_IN_PRE, "10.2.0.0/24", a);
	add(&one, BMP_ADJ_IN_POST, "10.2.0.0/24", NULL);
	expect("64:+10.1.0.0/24=1@10.0.0.1 0:+10.1.0.0/24,10.2.0.0/24=1@10.0.0.1 64:-10.2.0.0/24");
	add(&two, BMP_ADJ_IN_PRE, "10.1.0.0/24", a);
	add(&one, BMP_ADJ_IN_PRE, "10.2.0.0/24", a);
	expect("0:+10.2.0.0/24=1@10.0.0.1 0:+10.1.0.0/24=1@10.0.0.1");
	/* IPv4 over IPv6: RFC 8950. */
	add(&one, BMP_ADJ_IN_PRE, "10.1.0.0/24", six);
	expect("0:+10.1.0.0/24=1@fd00::1");
	expect("");
	packer_end_of_rib(&bench.k, &one, BMP_ADJ_OUT_POST, FAM_IPV4);
	packer_end_of_rib(&bench.k, &one, BMP_ADJ_IN_POST, FAM_IPV6);
	expect("80:eor4 64:eor6");
}
END_TEST

/* What originates here has no next hop: it is the unspecified address, as routers show it. */
START_TEST(test_own)
{
	static const uint8_t v4[] = {0x40, 3, 4, 0, 0, 0, 0}, v6[17] = {16};
	struct pack_source one = source_of(1);
	struct attrs *own = attrs_of(5, NULL);

	packer_init(&bench.k, false, emit, &bench);
	add(&one, BMP_LOC_RIB, "10.2.0.0/24", own);
	packer_flush(&bench.k);
	ck_assert_ptr_nonnull(memmem(bench.out.s, bench.out.len, v4, sizeof v4));
	strbuf_reset(&bench.out);
	add(&one, BMP_LOC_RIB, "fd00:1::/64", own);
	packer_flush(&bench.k);
	ck_assert_ptr_nonnull(memmem(bench.out.s, bench.out.len, v6, sizeof v6));
}
END_TEST

START_TEST(test_sorted)
{
	struct pack_source one = source_of(1), two = source_of(2);
	struct attrs *a = attrs_of(1, "10.0.0.1"), *b = attrs_of(2, "10.0.0.1");
	unsigned messages = 1, prefixes = 0;
	struct strbuf text = {0};
	char prefix[32];

	packer_init(&bench.k, true, emit, &bench);
	for (unsigned i = 0; i < 50; i++) {
		snprintf(prefix, sizeof prefix, "10.%u.0.0/24", i);
		add(&one, BMP_ADJ_IN_PRE, prefix, i % 2 ? a : b);
		add(&two, BMP_ADJ_IN_PRE, prefix, i % 2 ? b : a);
	}
	packer_flush(&bench.k);
	describe(&text, 0);
	/* Four messages hold them all. */
	for (const char *p = text.s; *p; p++) {
		messages += *p == ' ';
		prefixes += *p == '/';
	}
	ck_assert_uint_eq(messages, 4);
	ck_assert_uint_eq(prefixes, 100);
	strbuf_free(&text);
}
END_TEST

START_TEST(test_path_identifiers)
{
	struct pack_source one = source_of(1);
	struct attrs *a = attrs_of(1, "10.0.0.1");
	struct bgp_nlri n = nlri_of("10.1.0.0/24", 7), m = nlri_of("10.1.0.0/24", 8);
	struct strbuf text = {0};

	packer_init(&bench.k, false, emit, &bench);
	one.add_path = 1u << FAM_IPV4;
	packer_add(&bench.k, &one, BMP_ADJ_IN_PRE, &n, a, 0);
	packer_add(&bench.k, &one, BMP_ADJ_IN_PRE, &m, a, 0);
	packer_add(&bench.k, &one, BMP_ADJ_IN_PRE, &n, NULL, 0);
	packer_flush(&bench.k);
	describe(&text, 1u << FAM_IPV4);
	ck_assert_str_eq(text.s, "0:+10.1.0.0/24(7),10.1.0.0/24(8)=1@10.0.0.1 0:-10.1.0.0/24(7)");
	strbuf_free(&text);
}
END_TEST

/* Thousands of routes with one set of attributes: no message is longer than the session's own are. */
START_TEST(test_many)
{
	struct pack_source one = source_of(1);
	struct attrs *a = attrs_of(1, "10.0.0.1");
	struct rd stream;
	struct report m;
	unsigned messages = 0;

	packer_init(&bench.k, false, emit, &bench);
	one.max_message = _i ? BGP_MAX_EXTENDED : BGP_MAX_MESSAGE;
	one.add_path = 1u << FAM_IPV4;
	for (unsigned i = 0; i < 5000; i++) {
		struct addr host = addr_from_u32(0x0a000000u + i);
		struct bgp_nlri n = {.prefix = prefix_make(&host, 32), .path_id = i};

		packer_add(&bench.k, &one, BMP_ADJ_IN_PRE, &n, a, 0);
	}
	packer_flush(&bench.k);
	stream = rd_make(bench.out.s, bench.out.len);
	while (report_next(&m, &stream)) {
		messages++;
		ck_assert_uint_le(m.length, BMP_HEADER_LEN + BMP_PEER_HEADER_LEN + one.max_message);
	}
	ck_assert_uint_eq(messages, _i ? 10 : 19);
}
END_TEST

/* Attributes that leave no room in a message of 4,096 octets: a longer one. That leave none at all: nothing. */
START_TEST(test_huge_attributes)
{
	static uint8_t bytes[65000];
	struct bgp_attrs a = {.present = 1u << BA_ORIGIN | 1u << BA_AS_PATH | 1u << BA_COMMUNITIES};
	struct pack_source one = source_of(1);
	struct bgp_nlri n = nlri_of("10.1.0.0/24", 0);
	struct rd stream;
	struct report m;

	a.next_hop.addr = addr_of("10.0.0.1");
	a.communities = (struct span){bytes, _i ? 65000 : 5000};
	if (_i) {
		a.present |= 1u << BA_CLUSTER_LIST;
		a.cluster_list = (struct span){bytes, 500};
	}
	packer_init(&bench.k, false, emit, &bench);
	packer_add(&bench.k, &one, BMP_ADJ_IN_PRE, &n, attrs_intern(bench.attrs, &a), 0);
	packer_flush(&bench.k);
	stream = rd_make(bench.out.s, bench.out.len);
	ck_assert_int_eq(report_next(&m, &stream), !_i);
	ck_assert(_i || m.length > 5000);
}
END_TEST

START_TEST(test_stream)
{
	uint8_t room[200];
	struct wr w = wr_make(room, sizeof room);
	struct pack_source one = source_of(1);

	packer_init(&bench.k, false, emit, &bench);
	bgp_refresh_encode(&w, FAM_IPV4, BGP_REFRESH_BEGIN);
	bgp_update_encode_end_of_rib(&w, FAM_IPV6);
	bgp_keepalive_encode(&w);
	bgp_update_encode_end_of_rib(&w, FAM_IPV4);
	packer_stream(&bench.k, &one, BMP_ADJ_OUT_POST, true, (struct span){room, wr_len(&w)});
	expect("112:eor6 112:eor4");
	/* Not a message: nothing, and no end without one. */
	packer_stream(&bench.k, &one, BMP_ADJ_OUT_POST, true, (struct span){room, 10});
	expect("");
}
END_TEST

START_TEST(test_times)
{
	struct pack_source one = source_of(1);
	struct attrs *a = attrs_of(1, "10.0.0.1");
	uint64_t now = mono_now();
	struct bgp_nlri n = nlri_of("10.1.0.0/24", 0);
	struct rd stream;
	struct report m, other;

	packer_init(&bench.k, true, emit, &bench);
	/* A route's age is that of its message: others do not share it. */
	packer_add(&bench.k, &one, BMP_ADJ_IN_PRE, &n, a, now);
	packer_add(&bench.k, &one, BMP_ADJ_IN_PRE, &n, a, now > 3600 * MONO_SEC ? now - 100 * MONO_SEC : 1);
	packer_flush(&bench.k);
	stream = rd_make(bench.out.s, bench.out.len);
	ck_assert(report_next(&m, &stream));
	ck_assert(report_next(&other, &stream));
	if (m.seconds < other.seconds) { /* they come in any order */
		struct report swap = m;

		m = other;
		other = swap;
	}
	ck_assert_int_le(llabs((long long)time(NULL) - (long long)m.seconds), 2);
	if (now > 3600 * MONO_SEC)
		ck_assert_int_le(llabs((long long)m.seconds - (long long)other.seconds - 100), 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("bmp");
	TCase *plain = tcase_create("parts"), *packs = tcase_create("packing");
	SRunner *sr;
	int failures;

	tcase_set_timeout(plain, 60);
	tcase_add_test(plain, test_endpoints);
	tcase_add_loop_test(plain, test_no_endpoint, 0, sizeof no_endpoints / sizeof *no_endpoints);
	tcase_add_loop_test(plain, test_feed, 0, 4);
	tcase_add_test(plain, test_feed_unread);
	tcase_add_checked_fixture(packs, pack_setup, pack_teardown);
	tcase_add_test(packs, test_pack);
	tcase_add_test(packs, test_own);
	tcase_add_test(packs, test_sorted);
	tcase_add_test(packs, test_path_identifiers);
	tcase_add_loop_test(packs, test_many, 0, 2);
	tcase_add_loop_test(packs, test_huge_attributes, 0, 2);
	tcase_add_test(packs, test_stream);
	tcase_add_test(packs, test_times);
	suite_add_tcase(s, plain);
	suite_add_tcase(s, packs);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
