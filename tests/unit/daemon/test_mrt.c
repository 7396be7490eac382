/* MRT dumps: what is in one, over a RIB that peers have sent real UPDATEs to, whole and piece by piece while peers come
 * and go; and the names of files on a schedule. */
#include "daemon/monitor/mrt_dump.h"

#include <unistd.h>

#include "bgp/mrt/mrt.h"
#include "daemon/monitor/mrt_schedule.h"
#include "tests/unit/rib/rig.h"

static struct strbuf file;

static void begin(void)
{
	mono_fake(1000 * MONO_SEC);
	rig_begin_with((struct rib_conf){.max_paths = 2, .deterministic_med = true});
	file = (struct strbuf){0};
}

static void end(void)
{
	strbuf_free(&file);
	mono_fake(0);
	rig_end();
}

/* A whole dump, in pieces of at least so many octets. */
static struct mrt_dump_stats dump(size_t enough)
{
	struct mrt_dump *m = mrt_dump_new(rig.rib, OUR_ID, OUR_AS);
	struct mrt_dump_stats stats;

	strbuf_reset(&file);
	while (mrt_dump_more(m, &file, enough, UINT64_MAX))
		;
	stats = mrt_dump_stats(m);
	mrt_dump_free(m);
	return stats;
}

/* In seconds; what is just now may be of the second before, on a busy machine of some before that. */
static int age_of(uint32_t wall)
{
	int age = (int)(mono_to_wall(mono_now()) - (int64_t)wall);

	return age >= 0 && age <= 5 ? 0 : age;
}

/* The dump as text: a line for the index, a line per route. The sequence numbers must be right. */
static char *dump_text(void)
{
	struct rd r = rd_make(file.s, file.len);
	struct strbuf out = {0};
	struct mrt_record rec;
	struct mrt_index index;
	struct mrt_peer peer;
	struct mrt_entry e;
	struct mrt_rib rib;
	char buf[PREFIX_STRLEN];
	uint32_t sequence = 0;

	strbuf_puts(&out, "");
	while (mrt_record_next(&rec, &r)) {
		ck_assert_ptr_nonnull(rec.is);
		ck_assert_int_eq(age_of(rec.time), 0);
		if (rec.is->kind == MRT_INDEX) {
			ck_assert(mrt_index_decode(&index, &rec));
			ck_assert_uint_eq(index.collector_id, OUR_ID);
			while (mrt_peer_next(&peer, &index))
				strbuf_printf(&out, "[%s %u %08x]", addr_format(&peer.addr, buf), peer.as,
					      peer.router_id);
			strbuf_putc(&out, '\n');
			continue;
		}
		ck_assert_int_eq(rec.is->kind, MRT_RIB);
		ck_assert(mrt_rib_decode(&rib, &rec));
		ck_assert_uint_eq(rib.sequence, sequence++);
		while (mrt_entry_next(&e, &rib)) {
			strbuf_printf(&out, "%s", prefix_format(&rib.prefix, buf));
			if (rib.add_path)
				strbuf_printf(&out, "#%u", e.path_id);
			strbuf_printf(&out, " from %u %ds ", e.peer, age_of(e.time));
			for (size_t i = 0; i < e.attrs.len; i++)
				strbuf_printf(&out, "%02x", e.attrs.p[i]);
			strbuf_putc(&out, '\n');
		}
	}
	ck_assert(rd_done(&r));
	return out.s;
}

static void expect_dump(const char *want)
{
	char *have = dump_text();

	ck_assert_msg(strcmp(have, want) == 0, "the dump is\n%s\nnot\n%s", have, want);
	free(have);
}

#define ORIGIN "40010100"
#define EMPTY_PATH "400200"

START_TEST(every_usable_route)
{
	struct rib_peer *p1, *p2;
	struct prefix own = prefix_of("10.1.0.0/26"), own6 = prefix_of("fd00:1::/64");
	struct mrt_dump_stats stats;

	begin();
	p1 = peer_add(1, false);
	p2 = peer_add(2, true);
	rib_local_set(rig.rib, &own, SOURCE_BLOCK, 1024);
	rib_local_set(rig.rib, &own6, SOURCE_BLOCK, 1024);
	announce(p1, "10.2.0.0/26",
		 (struct spec){.local_pref = 300, .path = {65010, 70000}, .communities = {0xfde80064}});
	announce(p2, "10.2.0.0/26", (struct spec){.path = {65002}, .has_med = true, .med = 7});
	announce(p2, "10.3.0.0/26", (struct spec){.path = {65002, OUR_AS}}); /* a loop */
	announce(p1, "2001:db8:2::/48", (struct spec){.local_pref = 300});
	rig_settle();
	mono_fake(1061 * MONO_SEC);
	stats = dump(1 << 20);
	expect_dump("[0.0.0.0 64512 c0a80001][10.0.0.1 64512 0a000001][10.0.0.2 65002 0a000002]\n"
		    "10.1.0.0/26 from 0 61s " ORIGIN EMPTY_PATH "40030400000000"
		    "4005047ffffbff\n"
		    "10.2.0.0/26 from 1 61s " ORIGIN "40020a02020000fdf200011170"
		    "4003040a000001"
		    "4005040000012c"
		    "c00804fde80064\n"
		    "10.2.0.0/26 from 2 61s " ORIGIN "40020602010000fdea"
		    "4003040a000002"
		    "80040400000007\n"
		    "fd00:1::/64 from 0 61s " ORIGIN EMPTY_PATH "4005047ffffbff"
		    "800e1110"
		    "00000000000000000000000000000000\n"
		    "2001:db8:2::/48 from 1 61s " ORIGIN EMPTY_PATH "4005040000012c"
		    "800e1110"
		    "20010db8000000000000000000000001\n");
	ck_assert_uint_eq(stats.peers, 3);
	ck_assert_uint_eq(stats.prefixes, 4);
	ck_assert_uint_eq(stats.routes, 5);
	ck_assert_uint_eq(stats.left_out, 0);
	end();
}
END_TEST

/* RFC 8050: routes of a session with path identifiers in records of their own, the identifier 0 too. */
START_TEST(path_identifiers)
{
	struct prefix prefix = prefix_of("10.2.0.0/26");
	struct bgp_codec codec;
	struct rib_peer *p1, *p2;

	begin();
	p1 = peer_add(1, false);
	p2 = peer_add(2, false);
	codec = peer_codec(p2);
	codec.add_path_rx = BOTH;
	peer_up_with(p2, &codec);
	announce(p1, "10.2.0.0/26", (struct spec){.local_pref = 100});
	announce_prefix(p2, &prefix, &(struct spec){.local_pref = 300, .path_id = 0}, true);
	announce_prefix(p2, &prefix, &(struct spec){.local_pref = 200, .path_id = 0xfffffffe}, true);
	rig_settle();
	dump(1);
	expect_dump("[0.0.0.0 64512 c0a80001][10.0.0.1 64512 0a000001][10.0.0.2 64512 0a000002]\n"
		    "10.2.0.0/26 from 1 0s " ORIGIN EMPTY_PATH "4003040a000001"
		    "40050400000064\n"
		    "10.2.0.0/26#0 from 2 0s " ORIGIN EMPTY_PATH "4003040a000002"
		    "4005040000012c\n"
		    "10.2.0.0/26#4294967294 from 2 0s " ORIGIN EMPTY_PATH "4003040a000002"
		    "400504000000c8\n");
	end();
}
END_TEST

static void announce_many(struct rib_peer *p, unsigned from, unsigned n)
{
	for (unsigned i = from; i < from + n; i++) {
		struct addr a = addr_from_u32(0x0b000000u + (i << 8));
		struct prefix prefix = prefix_make(&a, 24);

		announce_prefix(p, &prefix, &(struct spec){.local_pref = 100 + i % 7}, false);
	}
}

/* However small the pieces, the file is the same. */
START_TEST(size_of_pieces)
{
	struct mrt_dump_stats whole, pieces;
	struct strbuf first;

	begin();
	announce_many(peer_add(1, false), 0, 500);
	rig_settle();
	whole = dump(1 << 20);
	first = file;
	file = (struct strbuf){0};
	pieces = dump(1);
	ck_assert_uint_eq(whole.routes, 500);
	ck_assert_mem_eq(&whole, &pieces, sizeof whole);
	ck_assert_uint_eq(first.len, file.len);
	ck_assert_mem_eq(first.s, file.s, file.len);
	strbuf_free(&first);
	end();
}
END_TEST

/* A piece ends when its time is over, but never without having got on. */
START_TEST(deadline)
{
	struct mrt_dump *m;
	unsigned n = 0;

	begin();
	announce_many(peer_add(1, false), 0, 500);
	rig_settle();
	m = mrt_dump_new(rig.rib, OUR_ID, OUR_AS);
	for (bool more = true; more; n++) {
		size_t before = file.len;

		more = mrt_dump_more(m, &file, 1 << 20, mono_now());
		ck_assert(file.len > before || !more);
		ck_assert_uint_lt(file.len - before, 5000);
	}
	ck_assert_uint_gt(n, 20);
	ck_assert_uint_eq(mrt_dump_stats(m).routes, 500);
	mrt_dump_free(m);
	end();
}
END_TEST

/* Peers that come after the index was written are not in the dump, even if they get the memory and the number of one
 * that was; peers that go take their routes along. */
START_TEST(peers_come_and_go)
{
	struct rib_peer *p1, *p2, *p3;
	struct mrt_dump *m;
	char *text;

	begin();
	p1 = peer_add(1, false);
	p2 = peer_add(2, false);
	announce_many(p1, 0, 200);
	announce_many(p2, 200, 200);
	rig_settle();
	m = mrt_dump_new(rig.rib, OUR_ID, OUR_AS);
	ck_assert(mrt_dump_more(m, &file, 1, UINT64_MAX));
	rib_peer_free(p2);
	rig_settle();
	p3 = peer_add(3, false);
	announce_many(p3, 150, 200);
	rig_settle();
	while (mrt_dump_more(m, &file, 1, UINT64_MAX))
		;
	ck_assert_uint_eq(mrt_dump_stats(m).peers, 3);
	ck_assert_uint_eq(mrt_dump_stats(m).routes, 200);
	text = dump_text();
	ck_assert_int_eq(
	    strncmp(text, "[0.0.0.0 64512 c0a80001][10.0.0.1 64512 0a000001][10.0.0.2 64512 0a000002]\n", 74), 0);
	ck_assert_ptr_null(strstr(text, " from 2 "));
	ck_assert_ptr_null(strstr(text, "4003040a000003")); /* nor anything of the third under another's name */
	free(text);
	mrt_dump_free(m);
	end();
}
END_TEST

START_TEST(stale_and_empty)
{
	struct rib_peer *p1;

	begin();
	dump(1);
	expect_dump("[0.0.0.0 64512 c0a80001]\n");
	p1 = peer_add(1, false);
	announce(p1, "10.2.0.0/26", (struct spec){.local_pref = 300});
	rig_settle();
	rib_peer_down(p1, BOTH);
	rig_settle();
	dump(1);
	expect_dump("[0.0.0.0 64512 c0a80001][10.0.0.1 64512 0a000001]\n"
		    "10.2.0.0/26 from 1 0s " ORIGIN EMPTY_PATH "4003040a000001"
		    "4005040000012c\n");
	end();
}
END_TEST

/* ---- Names ---- */

START_TEST(patterns)
{
	static const struct {
		const char *pattern;
		bool good;
	} rows[] = {
	    {"/rib", true},	{"/var/lib/rib.%Y%m%d-%H%M%S.mrt", true},
	    {"/a/100%%", true}, {"/a/%j", true},
	    {"rib", false},	{"/a/", false},
	    {"/", false},	{"/a/.hidden", false},
	    {"/%Y/rib", false}, {"/a/%", false},
	    {"/a/%s", false},	{"/a/%-d", false},
	};

	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
		ck_assert_msg(mrt_pattern_is_good(rows[i].pattern) == rows[i].good, "%s", rows[i].pattern);
}
END_TEST

START_TEST(own_names)
{
	static const struct {
		const char *pattern, *name;
		bool made;
	} rows[] = {
	    {"/a/rib.%Y%m%d.mrt", "rib.20261121.mrt", true},
	    {"/a/rib.%Y%m%d.mrt", "rib.20261321.mrt", false},
	    {"/a/rib.%Y%m%d.mrt", "rib.20261121.mrt.gz", false},
	    {"/a/rib.%Y%m%d.mrt", "rib.2026112.mrt", false},
	    {"/a/rib.%Y%m%d.mrt", "rib.2026112x.mrt", false},
	    {"/a/rib.%Y%m%d.mrt", "rib.202611", false},
	    {"/a/rib.%Y%m%d.mrt", "", false},
	    {"/a/rib.%Y%m%d.mrt", "xrib.20261121.mrt", false},
	    {"/a/%H%M%S-%j", "235960-366", true},
	    {"/a/%H%M%S-%j", "240000-001", false},
	    {"/a/%H%M%S-%j", "230000-367", false},
	    {"/a/50%%", "50%", true},
	    {"/a/50%%", "50%%", false},
	    {"/a/rib", "rib", true},
	    {"/a/rib", "ribs", false},
	};

	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
		ck_assert_msg(mrt_pattern_made(rows[i].pattern, rows[i].name) == rows[i].made, "%s %s", rows[i].pattern,
			      rows[i].name);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mrt");
	TCase *t = tcase_create("mrt");
	SRunner *sr = srunner_create(s);
	int failed;

	log_setup(LOG_LVL_ERROR, false);
	tcase_add_test(t, every_usable_route);
	tcase_add_test(t, path_identifiers);
	tcase_add_test(t, size_of_pieces);
	tcase_add_test(t, deadline);
	tcase_add_test(t, peers_come_and_go);
	tcase_add_test(t, stale_and_empty);
	tcase_add_test(t, patterns);
	tcase_add_test(t, own_names);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
