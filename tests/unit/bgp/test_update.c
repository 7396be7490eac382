/* Decoding of UPDATEs that are in order, and the encoders. The malformed ones are in test_update_bad.c. */
#include "bgp/codec/update.h"

#include "tests/unit/bgp/stable.h"
#include "tests/unit/bgp/update_bodies.h"

static struct arena arena;

/* bytes -> struct -> text of the runs and canonical attributes; test_sample_again makes bytes of it again. */
static const struct sample {
	const char *what;
	unsigned options;
	const char *withdrawn, *attrs, *nlri;
	const char *runs;
	const char *canonical;
} samples[] = {
    {"IPv4, iBGP", 0, "", IBGP, NLRI "00 20 c0000201", "+10.1.2.0/24 0.0.0.0/0 192.0.2.1/32 via 10.0.0.1",
     ORIGIN PATH LOCAL_PREF},
    {"IPv4, eBGP, first AS checked", OPT_EBGP | OPT_FIRST, "", EBGP, NLRI, "+10.1.2.0/24 via 10.0.0.1", ORIGIN PATH},
    {"withdrawn only", 0, "18 0a0102 20 0a010203", "", "", "-10.1.2.0/24 10.1.2.3/32", ""},
    {"both", 0, "18 0a0103", IBGP, NLRI, "-10.1.3.0/24 +10.1.2.0/24 via 10.0.0.1", ORIGIN PATH LOCAL_PREF},
    {"host bits are cleared", 0, "", IBGP, "09 0aff 1f c00002ff", "+10.128.0.0/9 192.0.2.254/31 via 10.0.0.1",
     ORIGIN PATH LOCAL_PREF},
    {"IPv6", 0, "", REACH6 ORIGIN PATH LOCAL_PREF, "", "+2001:db8::/32 via 2001:db8::1", ORIGIN PATH LOCAL_PREF},
    {"IPv6 with a link-local next hop beside", 0, "",
     "80 0e 2a 0002 01 20 " NH6 LL6 "00 20 20010db8 " ORIGIN PATH LOCAL_PREF, "",
     "+2001:db8::/32 via 2001:db8::1 fe80::1", ORIGIN PATH LOCAL_PREF},
    {"IPv6 with a link-local next hop only", 0, "", "80 0e 1a 0002 01 10 " LL6 "00 20 20010db8 " ORIGIN PATH LOCAL_PREF,
     "", "+2001:db8::/32 via fe80::1", ORIGIN PATH LOCAL_PREF},
    {"IPv6 with :: beside a link-local next hop", 0, "",
     "80 0e 2a 0002 01 20 00000000 00000000 00000000 00000000" LL6 "00 20 20010db8 " ORIGIN PATH LOCAL_PREF, "",
     "+2001:db8::/32 via fe80::1 fe80::1", ORIGIN PATH LOCAL_PREF},
    {"IPv6 with something else beside", 0, "", "80 0e 2a 0002 01 20 " NH6 NH6 "00 20 20010db8 " ORIGIN PATH LOCAL_PREF,
     "", "+2001:db8::/32 via 2001:db8::1", ORIGIN PATH LOCAL_PREF},
    {"IPv6 over a link, two next hops: the one on it", OPT_LINK, "",
     "80 0e 2a 0002 01 20 " NH6 LL6 "00 20 20010db8 " ORIGIN PATH LOCAL_PREF, "", "+2001:db8::/32 via fe80::1%lo",
     ORIGIN PATH LOCAL_PREF},
    {"IPv6 over a link, the link-local address twice", OPT_LINK, "",
     "80 0e 2a 0002 01 20 " LL6 LL6 "00 20 20010db8 " ORIGIN PATH LOCAL_PREF, "", "+2001:db8::/32 via fe80::1%lo",
     ORIGIN PATH LOCAL_PREF},
    {"IPv6 over a link, the link-local address alone", OPT_LINK, "",
     "80 0e 1a 0002 01 10 " LL6 "00 20 20010db8 " ORIGIN PATH LOCAL_PREF, "", "+2001:db8::/32 via fe80::1%lo",
     ORIGIN PATH LOCAL_PREF},
    {"IPv6 over a link, a third party's next hop", OPT_LINK, "",
     "80 0e 1a 0002 01 10 " NH6 "00 20 20010db8 " ORIGIN PATH LOCAL_PREF, "", "+2001:db8::/32 via 2001:db8::1",
     ORIGIN PATH LOCAL_PREF},
    {"IPv4 over a link", OPT_LINK | OPT_NH6, "", "80 0e 29 0001 01 20 " NH6 LL6 "00 18 0a0102 " ORIGIN PATH LOCAL_PREF,
     "", "+10.1.2.0/24 via fe80::1%lo", ORIGIN PATH LOCAL_PREF},
    {"IPv6 withdrawn", 0, "", UNREACH6, "", "-2001:db9::/32", ""},
    {"everything at once", 0, "18 0a0103", REACH6 UNREACH6 IBGP, NLRI,
     "-10.1.3.0/24 -2001:db9::/32 +10.1.2.0/24 via 10.0.0.1 +2001:db8::/32 via 2001:db8::1", ORIGIN PATH LOCAL_PREF},
    {"a martian NEXT_HOP beside MP_REACH is of no concern", 0, "", REACH6 ORIGIN PATH LOCAL_PREF "40 03 04 00000000",
     "", "+2001:db8::/32 via 2001:db8::1", ORIGIN PATH LOCAL_PREF},
    {"IPv4 in MP_REACH", 0, "", "80 0e 0d 0001 01 04 0a000001 00 18 0a0102" ORIGIN PATH LOCAL_PREF, "",
     "+10.1.2.0/24 via 10.0.0.1", ORIGIN PATH LOCAL_PREF},
    {"IPv4 via IPv6", OPT_NH6, "", "80 0e 19 0001 01 10 " NH6 "00 18 0a0102 " ORIGIN PATH LOCAL_PREF, "",
     "+10.1.2.0/24 via 2001:db8::1", ORIGIN PATH LOCAL_PREF},
    {"IPv4 via IPv6 and link-local", OPT_NH6 | OPT_EBGP, "", "80 0e 29 0001 01 20 " NH6 LL6 "00 18 0a0102 " ORIGIN PATH,
     "", "+10.1.2.0/24 via 2001:db8::1 fe80::1", ORIGIN PATH},
    {"ADD-PATH", OPT_ADD4, "00000001 18 0a0103", IBGP, "00000007 18 0a0102 ffffffff 18 0a0102",
     "-10.1.3.0/24#1 +10.1.2.0/24#7 10.1.2.0/24#4294967295 via 10.0.0.1", ORIGIN PATH LOCAL_PREF},
    {"ADD-PATH, IPv6 only", OPT_ADD6, "",
     "80 0e 1e 0002 01 10 " NH6 "00 00000005 20 20010db8 80 0f 0c 0002 01 00000006 20 20010db9" IBGP, NLRI,
     "-2001:db9::/32#6 +10.1.2.0/24 via 10.0.0.1 +2001:db8::/32#5 via 2001:db8::1", ORIGIN PATH LOCAL_PREF},
    {"all attributes", 0, "",
     "c0 80 01 07  e0 20 0c 0000fde9 00000001 00000002  " LOCAL_PREF
     "80 1a 0b 01000b 0000000000000010  80 04 04 00000400 "
     "40 06 00  c0 07 08 0001117d 0a000009  d0 08 0004 fde90001  80 09 04 0a000007  80 0a 04 0a000008  "
     "c0 10 08 0002fde900000064  c0 23 04 0000fde9  c0 28 0a 010007 00000000000001 "
     "c0 19 14 00022001 0db80000 00000000 00000000 00010005  d0 0b 0002 aabb " NEXT_HOP PATH ORIGIN,
     NLRI, "+10.1.2.0/24 via 10.0.0.1",
     ORIGIN PATH "80 04 04 00000400 " LOCAL_PREF "40 06 00  c0 07 08 0001117d 0a000009  c0 08 04 fde90001 "
		 "80 09 04 0a000007  80 0a 04 0a000008  c0 10 08 0002fde900000064 "
		 "c0 19 14 00022001 0db80000 00000000 00000000 00010005  80 1a 0b 01000b 0000000000000010  "
		 "e0 20 0c 0000fde9 00000001 00000002  c0 23 04 0000fde9  c0 28 0a 010007 00000000000001  "
		 "f0 0b 0002 aabb  e0 80 01 07"},
    {"row 43: unknown ones", 0, "", "c0 c8 03 010203  80 c9 01 01  ef ca 00  c0 63 01 05 " IBGP, NLRI,
     "+10.1.2.0/24 via 10.0.0.1", ORIGIN PATH LOCAL_PREF "e0 63 01 05  e0 c8 03 010203  e0 ca 00"},
    {"an empty AS_PATH", 0, "", ORIGIN "40 02 00" NEXT_HOP LOCAL_PREF, NLRI, "+10.1.2.0/24 via 10.0.0.1",
     ORIGIN "40 02 00" LOCAL_PREF},
    {"a confederation's AS_PATH inside it", 0, "", ORIGIN "40 02 0c 0301 0000fe01 0201 0000fde9" NEXT_HOP LOCAL_PREF,
     NLRI, "+10.1.2.0/24 via 10.0.0.1", ORIGIN "40 02 0c 0301 0000fe01 0201 0000fde9" LOCAL_PREF},
    {"old peer", OPT_OLD | OPT_EBGP, "", ORIGIN PATH_OLD NEXT_HOP "c0 07 06 fde9 0a000009", NLRI,
     "+10.1.2.0/24 via 10.0.0.1", ORIGIN PATH "c0 07 08 0000fde9 0a000009"},
    {"old peer with AS4_PATH first", OPT_OLD | OPT_EBGP | OPT_FIRST, "",
     "c0 11 06 0201 0001117d " ORIGIN "40 02 06 0202 fde9 5ba0" NEXT_HOP
     "c0 07 06 5ba0 0a000001 c0 12 08 0001117d 0a000009",
     NLRI, "+10.1.2.0/24 via 10.0.0.1", ORIGIN "40 02 0c 0201 0000fde9 0201 0001117d c0 07 08 0001117d 0a000009"},
    {"old peer that has aggregated itself", OPT_OLD | OPT_EBGP, "",
     ORIGIN "40 02 06 0202 fde9 5ba0" NEXT_HOP
	    "c0 07 06 fde9 0a000001 c0 11 06 0201 0001117d c0 12 08 0001117d 0a000009",
     NLRI, "+10.1.2.0/24 via 10.0.0.1", ORIGIN "40 02 0a 0202 0000fde9 00005ba0 c0 07 08 0000fde9 0a000001"},
    {"AS4_AGGREGATOR alone", OPT_OLD | OPT_EBGP, "",
     ORIGIN "40 02 06 0202 fde9 5ba0" NEXT_HOP "c0 11 06 0201 0001117d c0 12 08 0001117d 0a000009", NLRI,
     "+10.1.2.0/24 via 10.0.0.1", ORIGIN "40 02 0c 0201 0000fde9 0201 0001117d"},
    {"a family given up: its routes are not even looked at", OPT_IGN6, "18 0a0103",
     "80 0e 05 0002 01 ff ff"
     "80 0f 04 0002 01 ff" IBGP,
     NLRI, "-10.1.3.0/24 +10.1.2.0/24 via 10.0.0.1", ORIGIN PATH LOCAL_PREF},
    {"no route to announce, attributes in order", 0, "", IBGP, "", "", ORIGIN PATH LOCAL_PREF},
};

static void describe(struct strbuf *out, const struct bgp_update *u, const struct bgp_codec *codec)
{
	char text[PREFIX_STRLEN];

	strbuf_puts(out, "");
	for (unsigned i = 0; i < u->runs; i++) {
		const struct bgp_nlri_run *run = &u->run[i];
		struct rd r = rd_span(run->nlri);
		const char *gap = "";
		struct bgp_nlri n;

		strbuf_printf(out, "%s%c", i ? " " : "", run->reach ? '+' : '-');
		while (bgp_nlri_next(&n, &r, run->family, codec->add_path_rx >> run->family & 1)) {
			strbuf_printf(out, "%s%s", gap, prefix_format(&n.prefix, text));
			if (n.path_id)
				strbuf_printf(out, "#%u", n.path_id);
			gap = " ";
		}
		ck_assert(rd_done(&r));
		if (run->reach)
			strbuf_printf(out, " via %s", addr_format(&run->next_hop.addr, text));
		if (run->reach && !addr_is_none(&run->next_hop.link_local))
			strbuf_printf(out, " %s", addr_format(&run->next_hop.link_local, text));
	}
}

static struct span sample_body(struct wr *w, const struct sample *s)
{
	return update_body(w, s->withdrawn, s->attrs, s->nlri);
}

START_TEST(test_sample)
{
	const struct sample *s = &samples[_i];
	struct bgp_codec codec = stable_codec(s->options);
	uint8_t room[1024], canonical[1024];
	struct wr w = wr_make(room, sizeof room), c = wr_make(canonical, sizeof canonical);
	struct span body = exact_copy(sample_body(&w, s));
	struct strbuf text = {0};
	struct bgp_update u;
	struct bgp_error err = bgp_update_decode(&u, rd_span(body), &codec, &arena);

	ck_assert_msg(err.action == BGP_OK, "%s: %s", s->what, err.reason);
	describe(&text, &u, &codec);
	ck_assert_msg(strcmp(text.s, s->runs) == 0, "%s: %s", s->what, text.s);
	ck_hex_eq(stable_canonical(&u.attrs, &c), s->canonical, s->what);
	ck_assert_int_eq(u.end_of_rib, -1);
	ck_assert_uint_eq(u.disable, 0);
	ck_assert(!bgp_attrs_have(&u.attrs, BA_NEXT_HOP));
	ck_hex_eq(u.raw_attrs, s->attrs, s->what);
	strbuf_free(&text);
	span_free(body);
	arena_reset(&arena);
}
END_TEST

/* Struct to bytes, and those to the same struct. */
START_TEST(test_sample_again)
{
	struct bgp_codec codec = stable_codec(samples[_i].options);
	uint8_t room[1024];
	struct wr w = wr_make(room, sizeof room);
	const char *wrong = stable_update(sample_body(&w, &samples[_i]), &codec);

	ck_assert_msg(!wrong, "%s: %s", samples[_i].what, wrong);
}
END_TEST

static void visit(struct span input, void *arg)
{
	const struct bgp_codec *codec = arg;
	const char *wrong = stable_update(input, codec);

	ck_assert_msg(!wrong, "%s", wrong);
}

START_TEST(test_mutations)
{
	struct bgp_codec codec = stable_codec(samples[_i].options);
	uint8_t room[1024];
	struct wr w = wr_make(room, sizeof room);

	mutate(sample_body(&w, &samples[_i]), visit, &codec);
}
END_TEST

/* The richest samples under every set of options: what one side means, the other may misread, but not beyond the end.
 */
START_TEST(test_all_options)
{
	for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
		struct bgp_codec codec = stable_codec((unsigned)_i);
		uint8_t room[1024];
		struct wr w = wr_make(room, sizeof room);
		struct span body = exact_copy(sample_body(&w, &samples[i]));
		const char *wrong = stable_update(body, &codec);

		ck_assert_msg(!wrong, "%s: %s", samples[i].what, wrong);
		span_free(body);
	}
}
END_TEST

/* Row 46 is in the last ones. */
static const struct {
	unsigned options;
	const char *withdrawn, *attrs, *nlri;
	int family;
} ends[] = {
    {0, "", "", "", FAM_IPV4},
    {0, "", "80 0f 03 0002 01", "", FAM_IPV6},
    {0, "", "90 0f 0003 0001 01", "", FAM_IPV4},
    {OPT_ONLY4, "", "80 0f 03 0002 01", "", -1},
    {0, "", "80 0f 03 0019 46", "", -1},
    {0, "18 0a0102", "", "", -1},
    {0, "", UNREACH6, "", -1},
    {0, "", IBGP, NLRI, -1},
    {0, "", "80 0f 03 0002 01" ORIGIN, "", -1},
    {0, "", "c0 80 01 07", "", -1},
    {0, "", "80 0f 03 0002 01 c0 80 01 07", "", -1},
    {0, "", "c0 0f 03 0002 01", "", -1},
};

START_TEST(test_end_of_rib)
{
	struct bgp_codec codec = stable_codec(ends[_i].options);
	uint8_t room[256];
	struct wr w = wr_make(room, sizeof room);
	struct span body = update_body(&w, ends[_i].withdrawn, ends[_i].attrs, ends[_i].nlri);
	struct bgp_update u;

	ck_assert_int_ne(bgp_update_decode(&u, rd_span(body), &codec, &arena).action, BGP_RESET);
	ck_assert_int_eq(u.end_of_rib, ends[_i].family);
	ck_assert(u.end_of_rib < 0 || u.runs == 0);
}
END_TEST

START_TEST(test_encode_end_of_rib)
{
	struct bgp_codec codec = stable_codec(0);
	uint8_t room[64];
	struct wr w = wr_make(room, sizeof room);
	struct bgp_update u;
	struct bgp_error err;
	struct bgp_msg m;

	bgp_update_encode_end_of_rib(&w, (enum family)_i);
	ck_assert_int_eq(bgp_msg_next(&m, room, wr_len(&w), 4096, &err), (int)wr_len(&w));
	ck_assert_int_eq(bgp_update_decode(&u, m.body, &codec, &arena).action, BGP_OK);
	ck_assert_int_eq(u.end_of_rib, _i);
}
END_TEST

static struct bgp_nlri nlri_of(const char *text, uint32_t path_id)
{
	struct bgp_nlri n = {.path_id = path_id};

	ck_assert(prefix_parse(&n.prefix, text));
	return n;
}

/* ORIGIN, an empty AS_PATH, LOCAL_PREF 100, and this next hop. */
static struct bgp_attrs attrs_via(const char *next_hop, const char *link_local)
{
	struct bgp_attrs a = {.present = 1u << BA_ORIGIN | 1u << BA_AS_PATH | 1u << BA_LOCAL_PREF, .local_pref = 100};

	ck_assert(addr_parse(&a.next_hop.addr, next_hop));
	ck_assert(!link_local || addr_parse(&a.next_hop.link_local, link_local));
	return a;
}

#define HEADER(len) "ffffffffffffffffffffffffffffffff " len " 02 "

static const struct {
	const char *what;
	unsigned options;
	const char *prefix, *next_hop, *link_local;
	const char *message;
} reaches[] = {
    {"IPv4", 0, "10.1.2.0/24", "10.0.0.1", NULL,
     HEADER("0030") "0000 0015 40 01 01 00 40 02 00" NEXT_HOP LOCAL_PREF NLRI},
    {"IPv4, ADD-PATH", OPT_ADD4, "10.1.2.0/24", "10.0.0.1", NULL,
     HEADER("0034") "0000 0015 40 01 01 00 40 02 00" NEXT_HOP LOCAL_PREF "00000009" NLRI},
    {"eBGP has no LOCAL_PREF", OPT_EBGP, "10.1.2.0/24", "10.0.0.1", NULL,
     HEADER("0029") "0000 000e 40 01 01 00 40 02 00" NEXT_HOP NLRI},
    {"IPv6", 0, "2001:db8::/32", "2001:db8::1", NULL,
     HEADER("0043") "0000 002c 90 0e 001a 0002 01 10" NH6 "00 20 20010db8 40 01 01 00 40 02 00" LOCAL_PREF},
    {"IPv6 and link-local", 0, "2001:db8::/32", "2001:db8::1", "fe80::1",
     HEADER("0053") "0000 003c 90 0e 002a 0002 01 20" NH6 LL6 "00 20 20010db8 40 01 01 00 40 02 00" LOCAL_PREF},
    {"IPv4 via IPv6", OPT_NH6, "10.1.2.0/24", "2001:db8::1", NULL,
     HEADER("0042") "0000 002b 90 0e 0019 0001 01 10" NH6 "00 18 0a0102 40 01 01 00 40 02 00" LOCAL_PREF},
    {"IPv6 via IPv4", 0, "2001:db8::/32", "10.0.0.1", NULL,
     HEADER("0043") "0000 002c 90 0e 001a 0002 01 10 00000000 00000000 0000ffff 0a000001"
		    "00 20 20010db8 40 01 01 00 40 02 00" LOCAL_PREF},
};

START_TEST(test_encode_reach)
{
	struct bgp_codec codec = stable_codec(reaches[_i].options);
	struct bgp_attrs a = attrs_via(reaches[_i].next_hop, reaches[_i].link_local);
	struct bgp_nlri n = nlri_of(reaches[_i].prefix, 9);
	uint8_t room[256];
	struct wr w = wr_make(room, sizeof room);

	ck_assert_uint_eq(bgp_update_encode_reach(&w, &codec, family_of_af(n.prefix.addr.af), &a, &n, 1), 1);
	ck_hex_eq(wr_span(&w), reaches[_i].message, reaches[_i].what);
	/* One octet less, and there is nothing, and what was there before stays. */
	w = wr_make(room, wr_len(&w) - 1);
	ck_assert_uint_eq(bgp_update_encode_reach(&w, &codec, family_of_af(n.prefix.addr.af), &a, &n, 1), 0);
	ck_assert(w.bad);
	ck_assert_uint_eq((size_t)(w.p - w.start), 0);
}
END_TEST

START_TEST(test_encode_unreach)
{
	struct bgp_codec codec = stable_codec(0);
	struct bgp_nlri n[] = {nlri_of("10.1.2.0/24", 0), nlri_of("2001:db9::/32", 0), nlri_of("10.0.0.0/8", 3)};
	uint8_t room[256];
	struct wr w = wr_make(room, sizeof room);

	ck_assert_uint_eq(bgp_update_encode_unreach(&w, &codec, FAM_IPV4, n, 1), 1);
	ck_hex_eq(wr_span(&w), HEADER("001b") "0004" NLRI "0000", "IPv4");
	wr_undo(&w, 0);
	ck_assert_uint_eq(bgp_update_encode_unreach(&w, &codec, FAM_IPV6, n + 1, 1), 1);
	ck_hex_eq(wr_span(&w), HEADER("0023") "0000 000c 90 0f 0008 0002 01 20 20010db9", "IPv6");
	codec = stable_codec(OPT_ADD4);
	wr_undo(&w, 0);
	ck_assert_uint_eq(bgp_update_encode_unreach(&w, &codec, FAM_IPV4, n + 2, 1), 1);
	ck_hex_eq(wr_span(&w), HEADER("001d") "0006 00000003 08 0a 0000", "ADD-PATH");
	w = wr_make(room, wr_len(&w) - 1);
	ck_assert_uint_eq(bgp_update_encode_unreach(&w, &codec, FAM_IPV4, n + 2, 1), 0);
	ck_assert(w.bad);
}
END_TEST

/* 3,000 prefixes in as few messages of 4096 octets as possible, and none of them larger. */
START_TEST(test_encode_many)
{
	enum family f = _i & 1 ? FAM_IPV6 : FAM_IPV4;
	bool reach = _i & 2;
	struct bgp_codec codec = stable_codec(0);
	struct bgp_attrs a = attrs_via(f == FAM_IPV6 ? "2001:db8::1" : "10.0.0.1", NULL);
	struct addr base = nlri_of(f == FAM_IPV6 ? "2001:db8::" : "10.0.0.0", 0).prefix.addr;
	struct bgp_nlri *all = mem_calloc(3000, sizeof *all), got;
	uint8_t room[8192];
	size_t done = 0;

	codec.max_message = 4096;
	for (unsigned i = 0; i < 3000; i++) {
		struct addr at = addr_add(&base, i);
		all[i].prefix = prefix_make(&at, addr_bits(base.af));
	}
	while (done < 3000) {
		struct wr w = wr_make(room, sizeof room);
		size_t n = reach ? bgp_update_encode_reach(&w, &codec, f, &a, all + done, 3000 - done)
				 : bgp_update_encode_unreach(&w, &codec, f, all + done, 3000 - done);
		struct bgp_error err;
		struct bgp_update u;
		struct bgp_msg m;
		struct rd r;

		ck_assert_uint_gt(n, 0);
		ck_assert_uint_le(wr_len(&w), 4096);
		ck_assert(done + n == 3000 || wr_len(&w) + addr_bytes(base.af) + 1 > 4096);
		ck_assert_int_gt(bgp_msg_next(&m, room, wr_len(&w), 4096, &err), 0);
		ck_assert_int_eq(bgp_update_decode(&u, m.body, &codec, &arena).action, BGP_OK);
		ck_assert_uint_eq(u.runs, 1);
		r = rd_span(u.run[0].nlri);
		for (; n > 0; n--, done++)
			ck_assert(bgp_nlri_next(&got, &r, f, false) && prefix_equal(&got.prefix, &all[done].prefix));
		ck_assert(rd_done(&r));
	}
	free(all);
}
END_TEST

/* Attributes that fill the message, up to where no prefix is left to fit. */
START_TEST(test_encode_large_attributes)
{
	static uint8_t list[8192], room[8192];
	struct bgp_codec codec = stable_codec(0);
	struct bgp_nlri n[] = {nlri_of("2001:db8::/128", 0), nlri_of("2001:db8::1/128", 0)};
	struct bgp_attrs a = attrs_via("2001:db8::1", NULL);
	bool seen[3] = {false};

	codec.max_message = 4096;
	a.present |= 1u << BA_COMMUNITIES;
	for (size_t len = 3900; len < 4096; len += 4) {
		struct wr w = wr_make(room, sizeof room);
		size_t done;

		a.communities = (struct span){list, len};
		done = bgp_update_encode_reach(&w, &codec, FAM_IPV6, &a, n, 2);
		seen[done] = true;
		ck_assert(done ? !w.bad && wr_len(&w) <= 4096 : w.bad);
	}
	ck_assert(seen[0] && seen[1] && seen[2]);
	a.communities.len = sizeof list;
	codec.max_message = 65535;
	struct wr w = wr_make(room, sizeof room);
	ck_assert_uint_eq(bgp_update_encode_reach(&w, &codec, FAM_IPV6, &a, n, 2), 0);
	ck_assert(w.bad);
}
END_TEST

/* Row 47: the largest AS_PATH that an extended message holds. */
START_TEST(test_huge_as_path)
{
	struct bgp_codec codec = stable_codec((unsigned)_i);
	unsigned width = codec.as4 ? 4 : 2, segments = (65535 - 60) / (2 + 255 * width);
	uint8_t *room = mem_alloc(65535);
	struct wr w = wr_make(room, 65535);
	struct wr_mark attrs, path;
	struct bgp_error err;
	struct bgp_update u;
	struct strbuf text = {0};

	wr_u16(&w, 0);
	attrs = wr_mark16(&w);
	wr_hex(&w, ORIGIN NEXT_HOP LOCAL_PREF "50 02");
	path = wr_mark16(&w);
	for (unsigned i = 0; i < segments; i++) {
		wr_hex(&w, "02ff");
		for (unsigned j = 0; j < 255; j++)
			width == 4 ? wr_u32(&w, 70000 + j) : wr_u16(&w, (uint16_t)(64512 + j));
	}
	wr_close16(&w, path);
	wr_close16(&w, attrs);
	wr_hex(&w, NLRI);
	ck_assert(!w.bad);
	err = bgp_update_decode(&u, rd_span(wr_span(&w)), &codec, &arena);
	ck_assert_int_eq(err.action, BGP_OK);
	ck_assert_uint_eq(as_path_length(u.attrs.as_path), segments * 255);
	as_path_format(&text, u.attrs.as_path);
	ck_assert_uint_gt(text.len, segments * 255 * 5);
	ck_assert(!stable_update(wr_span(&w), &codec));
	strbuf_free(&text);
	arena_free(&arena);
	free(room);
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

int main(void)
{
	Suite *s = suite_create("update");
	TCase *tc = tcase_create("decode");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, test_sample, 0, COUNT(samples));
	tcase_add_loop_test(tc, test_sample_again, 0, COUNT(samples));
	tcase_add_loop_test(tc, test_mutations, 0, COUNT(samples));
	tcase_add_loop_test(tc, test_all_options, 0, 256);
	tcase_add_loop_test(tc, test_end_of_rib, 0, COUNT(ends));
	tcase_add_loop_test(tc, test_huge_as_path, 0, 1);
	tcase_add_loop_test(tc, test_huge_as_path, OPT_OLD, OPT_OLD + 1);
	suite_add_tcase(s, tc);
	tc = tcase_create("encode");
	tcase_add_loop_test(tc, test_encode_end_of_rib, 0, FAM_COUNT);
	tcase_add_loop_test(tc, test_encode_reach, 0, COUNT(reaches));
	tcase_add_test(tc, test_encode_unreach);
	tcase_add_loop_test(tc, test_encode_many, 0, 4);
	tcase_add_test(tc, test_encode_large_attributes);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
