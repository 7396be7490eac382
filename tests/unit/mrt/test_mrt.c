/* MRT: tables byte for byte as RFC 6396 and 8050 draw them and back, messages, UPDATEs made of entries, hostile files.
 */
#include "bgp/mrt/mrt.h"

#include "tests/unit/bgp/bytes.h"
#include "tests/unit/mrt/walk.h"

#define TIME "5f5e1000 "
#define V6 "20010db8 00000000 00000000 00000001 "
#define LL "fe800000 00000000 00000000 00000002 "

#define ORIGIN "40 01 01 00 "
#define PATH "40 02 0a 02 02 0000fde8 00011170 "
#define NEXT_HOP "40 03 04 0a000001 "
#define MED "80 04 04 00000400 "
#define AGGREGATOR "c0 07 08 00011170 0a000009 "
#define LARGE "c0 20 0c 0000fde9 00000001 00000002 "
#define UNKNOWN "e0 63 02 aabb "

static struct span hex(struct wr *w, const char *text)
{
	wr_hex(w, text);
	ck_assert(!w->bad);
	return wr_span(w);
}

/* ---- Records ---- */

START_TEST(test_record_head)
{
	uint8_t in[128];
	struct wr w = wr_make(in, sizeof in);
	struct rd file = rd_span(hex(&w, TIME "000d 0063 00000002 aabb "    /* a subtype of others */
				     TIME "0011 0001 00000005 0000000a ff " /* with microseconds */
				     TIME "000d 0001 00000003 aabb"));	    /* cut off */
	struct mrt_record r;

	ck_assert(mrt_record_next(&r, &file));
	ck_assert_uint_eq(r.time, 1600000000);
	ck_assert_uint_eq(r.type, 13);
	ck_assert_uint_eq(r.subtype, 99);
	ck_assert_ptr_null(r.is);
	ck_assert_uint_eq(rd_left(&r.body), 2);
	ck_assert(mrt_record_next(&r, &file));
	ck_assert_uint_eq(r.type, 17);
	ck_assert_uint_eq(r.usec, 10);
	ck_assert_str_eq(r.is->name, "BGP4MP_MESSAGE");
	ck_assert_uint_eq(rd_left(&r.body), 1);
	ck_assert(!mrt_record_next(&r, &file));
	ck_assert(file.bad);
	file = rd_make(in, 14);
	ck_assert(mrt_record_next(&r, &file));
	ck_assert(!mrt_record_next(&r, &file));
	ck_assert(!file.bad);
}
END_TEST

/* Every row can be told from every other by what is in the file, and by what is asked for when writing. */
START_TEST(test_subtypes)
{
	for (unsigned i = 0; i < mrt_subtype_count; i++) {
		const struct mrt_subtype *a = &mrt_subtypes[i];

		ck_assert_uint_eq(a->type, a->kind == MRT_MESSAGE ? 16 : 13);
		for (unsigned j = 0; j < i; j++) {
			const struct mrt_subtype *b = &mrt_subtypes[j];

			ck_assert(a->type != b->type || a->subtype != b->subtype);
			ck_assert_str_ne(a->name, b->name);
			ck_assert(a->kind != b->kind || a->family != b->family || a->add_path != b->add_path ||
				  a->as4 != b->as4 || a->local != b->local);
		}
	}
}
END_TEST

/* ---- The index of peers ---- */

static struct mrt_record only_record(struct span file)
{
	struct rd r = rd_span(file);
	struct mrt_record rec;

	ck_assert(mrt_record_next(&rec, &r));
	ck_assert(rd_done(&r));
	ck_assert_ptr_nonnull(rec.is);
	return rec;
}

START_TEST(test_index)
{
	static const uint8_t v6[16] = {0x20, 1, 0xd, 0xb8, [15] = 1};
	const struct mrt_peer peers[] = {
	    {{0}, 0x0a000063, 0},
	    {addr_from_u32(0x0a000001), 0x0a000001, 65000},
	    {addr_make(AF_INET6, v6), 0xc0000201, 4200000000u},
	};
	uint8_t out[256];
	struct wr w = wr_make(out, sizeof out);
	struct mrt_record rec;
	struct mrt_index x;
	struct mrt_peer p;

	mrt_index_encode(&w, 1600000000, 0x0a000063, "all", peers, 3);
	ck_assert(!w.bad);
	ck_hex_eq(wr_span(&w),
		  TIME "000d 0001 0000003e 0a000063 0003 616c6c 0003 "
		       "02 0a000063 00000000 00000000  02 0a000001 0a000001 0000fde8  03 c0000201 " V6 "fa56ea00",
		  "index");
	rec = only_record(wr_span(&w));
	ck_assert_uint_eq(rec.time, 1600000000);
	ck_assert_int_eq(rec.is->kind, MRT_INDEX);
	ck_assert(mrt_index_decode(&x, &rec));
	ck_assert_uint_eq(x.collector_id, 0x0a000063);
	ck_assert_uint_eq(x.count, 3);
	ck_assert_uint_eq(x.view.len, 3);
	ck_assert_mem_eq(x.view.p, "all", 3);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(mrt_peer_next(&p, &x));
		ck_assert_uint_eq(p.router_id, peers[i].router_id);
		ck_assert_uint_eq(p.as, peers[i].as);
		if (i)
			ck_assert(addr_equal(&p.addr, &peers[i].addr));
		else
			ck_assert_uint_eq(addr_to_u32(&p.addr), 0);
	}
	ck_assert(!mrt_peer_next(&p, &x));
}
END_TEST

/* What others write: 2-octet AS numbers, no view. And what nobody may. */
START_TEST(test_index_of_others)
{
	static const struct {
		const char *body;
		bool good;
	} rows[] = {
	    {"0a000063 0000 0001 00 0a000001 0a000001 fde8", true},
	    {"0a000063 0000 0000", true},
	    {"0a000063 0000 0001 01 0a000001 " V6 "fde8", true},
	    {"0a000063 0000 0001 00 0a000001 0a000001 fd", false},
	    {"0a000063 0000 0002 00 0a000001 0a000001 fde8", false},
	    {"0a000063 0000 0000 00 0a000001 0a000001 fde8", false},
	    {"0a000063 ffff 0000", false},
	    {"0a000063 0000", false},
	    {"", false},
	};
	struct mrt_index x;
	struct mrt_peer p;

	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint8_t in[128];
		struct wr w = wr_make(in, sizeof in);
		struct mrt_record rec = {.is = &mrt_subtypes[0], .body = rd_span(hex(&w, rows[i].body))};

		ck_assert_msg(mrt_index_decode(&x, &rec) == rows[i].good, "row %u", i);
		if (!rows[i].good || !mrt_peer_next(&p, &x))
			continue;
		ck_assert_uint_eq(p.as, 65000);
		ck_assert_uint_eq(p.router_id, 0x0a000001);
	}
}
END_TEST

/* ---- Routes ---- */

/* The canonical form in, the entry's attributes out, for each kind of next hop. */
static const struct {
	const char *what, *prefix, *next_hop, *link_local;
	const char *canonical, *attrs;
	uint32_t path_id;
	const char *subtype, *nlri;
} entries[] = {
    {"IPv4", "10.1.2.0/24", "10.0.0.1", NULL, ORIGIN PATH MED AGGREGATOR LARGE UNKNOWN,
     ORIGIN PATH NEXT_HOP MED AGGREGATOR LARGE UNKNOWN, 0, "RIB_IPV4_UNICAST", "18 0a0102"},
    {"IPv4, nothing but the next hop", "0.0.0.0/0", "10.0.0.1", NULL, "", NEXT_HOP, 0, "RIB_IPV4_UNICAST", "00"},
    {"IPv6", "2001:db8::/33", "2001:db8::1", NULL, ORIGIN PATH MED AGGREGATOR LARGE UNKNOWN,
     ORIGIN PATH MED AGGREGATOR "80 0e 11 10 " V6 LARGE UNKNOWN, 0, "RIB_IPV6_UNICAST", "21 20010db800"},
    {"IPv6, the next hop at the end", "2001:db8::/33", "2001:db8::1", NULL, ORIGIN PATH, ORIGIN PATH "80 0e 11 10 " V6,
     0, "RIB_IPV6_UNICAST", "21 20010db800"},
    {"IPv6 with a link-local next hop", "::/0", "2001:db8::1", "fe80::2", ORIGIN, ORIGIN "80 0e 21 20 " V6 LL, 0,
     "RIB_IPV6_UNICAST", "00"},
    {"IPv4 via IPv6 (RFC 8950)", "10.1.2.3/32", "2001:db8::1", NULL, ORIGIN LARGE, ORIGIN "80 0e 11 10 " V6 LARGE, 0,
     "RIB_IPV4_UNICAST", "20 0a010203"},
    {"IPv6 via IPv4", "2001:db8::/32", "10.0.0.1", NULL, ORIGIN,
     ORIGIN "80 0e 11 10 00000000 00000000 0000ffff 0a000001", 0, "RIB_IPV6_UNICAST", "20 20010db8"},
    {"IPv4, our own", "10.1.2.0/26", NULL, NULL, ORIGIN PATH, ORIGIN PATH "40 03 04 00000000", 0, "RIB_IPV4_UNICAST",
     "1a 0a010200"},
    {"IPv6, our own", "2001:db8::/32", NULL, NULL, ORIGIN, ORIGIN "80 0e 11 10 00000000 00000000 00000000 00000000", 0,
     "RIB_IPV6_UNICAST", "20 20010db8"},
    {"IPv4 with a path identifier", "10.1.2.0/24", "10.0.0.1", NULL, ORIGIN, ORIGIN NEXT_HOP, 0x01020304,
     "RIB_IPV4_UNICAST_ADDPATH", "18 0a0102"},
    {"IPv6 with a path identifier", "2001:db8::/32", "2001:db8::1", NULL, ORIGIN, ORIGIN "80 0e 11 10 " V6, 1,
     "RIB_IPV6_UNICAST_ADDPATH", "20 20010db8"},
};
#define ENTRIES (sizeof entries / sizeof *entries)

static struct bgp_nexthop next_hop_of(const char *global, const char *link_local)
{
	struct bgp_nexthop nh = {0};

	ck_assert(!global || addr_parse(&nh.addr, global));
	ck_assert(!link_local || addr_parse(&nh.link_local, link_local));
	return nh;
}

/* Writes entry i twice, as peer 7's and 258's. */
static struct span entry_record(struct wr *w, unsigned i)
{
	struct bgp_nexthop nh = next_hop_of(entries[i].next_hop, entries[i].link_local);
	uint8_t canonical[256];
	struct wr c = wr_make(canonical, sizeof canonical);
	struct mrt_entry e = {.peer = 7, .time = 1600000001, .path_id = entries[i].path_id};
	struct mrt_rib_writer x;
	struct prefix prefix;

	e.attrs = hex(&c, entries[i].canonical);
	ck_assert(prefix_parse(&prefix, entries[i].prefix));
	x = mrt_rib_open(w, 1600000000, 0x10000 + i, &prefix, entries[i].path_id != 0);
	ck_assert(mrt_rib_add(w, &x, &e, &nh));
	e.peer = 258;
	ck_assert(mrt_rib_add(w, &x, &e, &nh));
	ck_assert(mrt_rib_close(w, &x));
	ck_assert(!w->bad);
	return wr_span(w);
}

static void put_entry(struct strbuf *s, const char *peer, unsigned i)
{
	uint8_t attrs[256];
	struct wr a = wr_make(attrs, sizeof attrs);

	strbuf_printf(s, "%s 5f5e1001 ", peer);
	if (entries[i].path_id)
		strbuf_printf(s, "%08x ", entries[i].path_id);
	strbuf_printf(s, "%04zx %s", hex(&a, entries[i].attrs).len, entries[i].attrs);
}

START_TEST(test_entry_bytes)
{
	const unsigned i = (unsigned)_i;
	uint8_t out[512], body[512];
	struct wr w = wr_make(out, sizeof out), b = wr_make(body, sizeof body);
	struct span record = entry_record(&w, i);
	struct strbuf want = {0};

	strbuf_printf(&want, "%08x %s 0002 ", 0x10000 + i, entries[i].nlri);
	put_entry(&want, "0007", i);
	put_entry(&want, "0102", i);
	ck_span_eq((struct span){record.p + 12, record.len - 12}, hex(&b, want.s), entries[i].what);
	strbuf_free(&want);
}
END_TEST

START_TEST(test_entry_again)
{
	const unsigned i = (unsigned)_i;
	uint8_t out[512], attrs[256];
	struct wr w = wr_make(out, sizeof out), a = wr_make(attrs, sizeof attrs);
	struct mrt_record rec = only_record(entry_record(&w, i));
	struct span want = hex(&a, entries[i].attrs);
	char text[PREFIX_STRLEN];
	struct mrt_entry e;
	struct mrt_rib x;

	ck_assert_str_eq(rec.is->name, entries[i].subtype);
	ck_assert(mrt_rib_decode(&x, &rec));
	ck_assert_uint_eq(x.sequence, 0x10000 + i);
	ck_assert_str_eq(prefix_format(&x.prefix, text), entries[i].prefix);
	ck_assert_uint_eq(x.count, 2);
	for (unsigned n = 0; n < 2; n++) {
		ck_assert(mrt_entry_next(&e, &x));
		ck_assert_uint_eq(e.peer, n ? 258 : 7);
		ck_assert_uint_eq(e.time, 1600000001);
		ck_assert_uint_eq(e.path_id, entries[i].path_id);
		ck_span_eq(e.attrs, want, entries[i].what);
	}
	ck_assert(!mrt_entry_next(&e, &x));
}
END_TEST

/* One unknown attribute of len octets, its head included. */
static __attribute__((noinline)) struct span one_attribute(uint8_t *at, size_t len)
{
	struct wr w = wr_make(at, len);

	wr_u8(&w, BGP_ATTR_OPTIONAL | BGP_ATTR_TRANSITIVE | BGP_ATTR_EXTENDED);
	wr_u8(&w, 99);
	wr_u16(&w, (uint16_t)(len - 4));
	return (struct span){at, len};
}

/* Attributes of more octets than the field counts: the entry is left out, the record stays in order. */
START_TEST(test_entry_too_long)
{
	size_t len = UINT16_MAX - 6;
	uint8_t *big = mem_calloc(1, len), *out = mem_alloc(3 * UINT16_MAX);
	struct wr w = wr_make(out, 3 * UINT16_MAX);
	struct bgp_nexthop nh = next_hop_of("10.0.0.1", NULL);
	struct mrt_entry e = {.peer = 1};
	struct mrt_rib_writer x;
	struct mrt_record rec;
	struct prefix prefix;
	struct mrt_rib rib;

	e.attrs = one_attribute(big, len);
	ck_assert(prefix_parse(&prefix, "10.0.0.0/8"));
	x = mrt_rib_open(&w, 0, 0, &prefix, false);
	ck_assert(!mrt_rib_add(&w, &x, &e, &nh));
	ck_assert(!w.bad);
	ck_assert(!mrt_rib_close(&w, &x));
	ck_assert_uint_eq(wr_len(&w), 0);
	x = mrt_rib_open(&w, 0, 0, &prefix, false);
	e.attrs.len = 0;
	ck_assert(mrt_rib_add(&w, &x, &e, &nh));
	e.attrs = one_attribute(big, len - 1);
	ck_assert(mrt_rib_add(&w, &x, &e, &nh)); /* exactly 65,535 */
	e.attrs = one_attribute(big, len);
	ck_assert(!mrt_rib_add(&w, &x, &e, &nh));
	ck_assert(mrt_rib_close(&w, &x));
	rec = only_record(wr_span(&w));
	ck_assert(mrt_rib_decode(&rib, &rec));
	ck_assert_uint_eq(rib.count, 2);
	free(big);
	free(out);
}
END_TEST

/* No more entries than the count can tell, and peers. */
START_TEST(test_counts)
{
	size_t cap = 66000 * 20;
	uint8_t *out = mem_alloc(cap);
	struct wr w = wr_make(out, cap);
	struct bgp_nexthop nh = next_hop_of("10.0.0.1", NULL);
	struct mrt_peer *peers = mem_calloc(UINT16_MAX + 1u, sizeof *peers);
	struct mrt_entry e = {0};
	struct mrt_rib_writer x;
	struct mrt_record rec;
	struct prefix prefix;
	struct mrt_index index;
	struct mrt_rib rib;

	ck_assert(prefix_parse(&prefix, "10.0.0.0/8"));
	x = mrt_rib_open(&w, 0, 0, &prefix, false);
	for (unsigned i = 0; i < UINT16_MAX; i++)
		ck_assert(mrt_rib_add(&w, &x, &e, &nh));
	ck_assert(!mrt_rib_add(&w, &x, &e, &nh));
	ck_assert(mrt_rib_close(&w, &x));
	rec = only_record(wr_span(&w));
	ck_assert(mrt_rib_decode(&rib, &rec));
	ck_assert_uint_eq(rib.count, UINT16_MAX);

	w = wr_make(out, cap);
	mrt_index_encode(&w, 0, 0, "", peers, UINT16_MAX);
	ck_assert(!w.bad);
	rec = only_record(wr_span(&w));
	ck_assert(mrt_index_decode(&index, &rec));
	ck_assert_uint_eq(index.count, UINT16_MAX);
	w = wr_make(out, cap);
	mrt_index_encode(&w, 0, 0, "", peers, UINT16_MAX + 1u);
	ck_assert(w.bad);
	free(peers);
	free(out);
}
END_TEST

START_TEST(test_rib_bad)
{
	static const char *const bodies[] = {
	    "",
	    "00000000",
	    "00000000 21 0a01020304 0000",		  /* a length IPv4 does not have */
	    "00000000 18 0a01",				  /* cut off in the prefix */
	    "00000000 18 0a0102 0001",			  /* an entry that is not there */
	    "00000000 18 0a0102 0000 00",		  /* one that is not counted */
	    "00000000 18 0a0102 0001 0000 00000000 0001", /* attributes that are not there */
	    "00000000 18 0a0102 0001 0000 00000000 ffff 4001",
	    "00000000 18 0a0102 0001 0000 00000000 0000 00", /* and something behind */
	    "00000000 18 0a0102 ffff 0000 00000000 0000",
	};
	struct mrt_rib x;

	for (unsigned i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		uint8_t in[64];
		struct wr w = wr_make(in, sizeof in);
		struct mrt_record rec = {.is = &mrt_subtypes[1], .body = rd_span(hex(&w, bodies[i]))};

		ck_assert_str_eq(rec.is->name, "RIB_IPV4_UNICAST");
		ck_assert_msg(!mrt_rib_decode(&x, &rec), "body %u", i);
	}
}
END_TEST

/* ---- Messages ---- */

#define KEEPALIVE "ffffffff ffffffff ffffffff ffffffff 0013 04"

START_TEST(test_message)
{
	static const struct {
		const char *record;
		const char *subtype;
		uint32_t peer_as, local_as;
		const char *peer, *local;
		bool as4, add_path, sent;
	} rows[] = {
	    {"0010 0001 00000023 fde8 fde9 0003 0001 0a000001 0a000002 " KEEPALIVE, "BGP4MP_MESSAGE", 65000, 65001,
	     "10.0.0.1", "10.0.0.2", false, false, false},
	    {"0010 0004 00000027 0000fde8 fa56ea00 0003 0001 0a000001 0a000002 " KEEPALIVE, "BGP4MP_MESSAGE_AS4", 65000,
	     4200000000u, "10.0.0.1", "10.0.0.2", true, false, false},
	    {"0010 0007 0000003f 0000fde8 fa56ea00 0003 0002 " V6 LL KEEPALIVE, "BGP4MP_MESSAGE_AS4_LOCAL", 65000,
	     4200000000u, "2001:db8::1", "fe80::2", true, false, true},
	    {"0011 0009 0000002b 000f423f 0000fde8 fa56ea00 0003 0001 0a000001 0a000002 " KEEPALIVE,
	     "BGP4MP_MESSAGE_AS4_ADDPATH", 65000, 4200000000u, "10.0.0.1", "10.0.0.2", true, true, false},
	    {"0010 0006 00000023 fde8 fde9 0003 0001 0a000001 0a000002 " KEEPALIVE, "BGP4MP_MESSAGE_LOCAL", 65000,
	     65001, "10.0.0.1", "10.0.0.2", false, false, true},
	    {"0010 0008 00000023 fde8 fde9 0003 0001 0a000001 0a000002 " KEEPALIVE, "BGP4MP_MESSAGE_ADDPATH", 65000,
	     65001, "10.0.0.1", "10.0.0.2", false, true, false},
	    {"0010 000a 00000023 fde8 fde9 0003 0001 0a000001 0a000002 " KEEPALIVE, "BGP4MP_MESSAGE_LOCAL_ADDPATH",
	     65000, 65001, "10.0.0.1", "10.0.0.2", false, true, true},
	    {"0010 000b 00000027 0000fde8 fa56ea00 0003 0001 0a000001 0a000002 " KEEPALIVE,
	     "BGP4MP_MESSAGE_AS4_LOCAL_ADDPATH", 65000, 4200000000u, "10.0.0.1", "10.0.0.2", true, true, true},
	};
	char text[ADDR_STRLEN];

	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint8_t in[128];
		struct wr w = wr_make(in, sizeof in);
		struct mrt_record rec;
		struct mrt_message m;

		hex(&w, TIME);
		rec = only_record(hex(&w, rows[i].record));
		ck_assert_str_eq(rec.is->name, rows[i].subtype);
		ck_assert_int_eq(rec.is->kind, MRT_MESSAGE);
		ck_assert(rec.is->as4 == rows[i].as4 && rec.is->add_path == rows[i].add_path &&
			  rec.is->local == rows[i].sent);
		ck_assert(mrt_message_decode(&m, &rec));
		ck_assert_uint_eq(m.peer_as, rows[i].peer_as);
		ck_assert_uint_eq(m.local_as, rows[i].local_as);
		ck_assert_uint_eq(m.interface, 3);
		ck_assert_str_eq(addr_format(&m.peer, text), rows[i].peer);
		ck_assert_str_eq(addr_format(&m.local, text), rows[i].local);
		ck_hex_eq(m.message, KEEPALIVE, rows[i].subtype);
		/* A family nobody knows, and nothing behind the addresses. */
		rec.body.end -= 19;
		ck_assert(mrt_message_decode(&m, &rec) && m.message.len == 0);
		rec.body.end--;
		ck_assert(!mrt_message_decode(&m, &rec));
	}
}
END_TEST

START_TEST(test_message_of_no_family)
{
	uint8_t in[128];
	struct wr w = wr_make(in, sizeof in);
	struct mrt_record rec =
	    only_record(hex(&w, TIME "0010 0001 00000023 fde8 fde9 0003 0003 0a000001 0a000002 " KEEPALIVE));
	struct mrt_message m;

	ck_assert(!mrt_message_decode(&m, &rec));
}
END_TEST

/* ---- UPDATEs ---- */

#define MARKER "ffffffff ffffffff ffffffff ffffffff "

static const struct {
	const char *what;
	enum family family;
	bool add_path;
	const char *attrs, *update; /* NULL: none can be made */
} updates[] = {
    {"IPv4", FAM_IPV4, false, ORIGIN NEXT_HOP UNKNOWN,
     MARKER "002f 02 0000 0010 " ORIGIN NEXT_HOP UNKNOWN "18 0a0101 18 0a0102"},
    {"IPv4 with path identifiers", FAM_IPV4, true, ORIGIN NEXT_HOP,
     MARKER "0032 02 0000 000b " ORIGIN NEXT_HOP "00000001 18 0a0101 00000002 18 0a0102"},
    {"IPv6", FAM_IPV6, false, ORIGIN "80 0e 11 10 " V6 LARGE,
     MARKER "0051 02 0000 003a 900e 0023 0002 01 10 " V6 "00 30 20010db8 0001 30 20010db8 0002" ORIGIN LARGE},
    {"IPv6, MP_REACH_NLRI whole, as some write it", FAM_IPV6, false, "80 0e 1a 0002 01 10 " V6 "00 20 20010db8" ORIGIN,
     MARKER "0042 02 0000 002b 900e 0023 0002 01 10 " V6 "00 30 20010db8 0001 30 20010db8 0002" ORIGIN},
    {"IPv6 with a NEXT_HOP beside", FAM_IPV6, false, NEXT_HOP "90 0e 0021 20 " V6 LL,
     MARKER "004e 02 0000 0037 900e 0033 0002 01 20 " V6 LL "00 30 20010db8 0001 30 20010db8 0002"},
    {"IPv4 via IPv6", FAM_IPV4, false, ORIGIN "80 0e 11 10 " V6,
     MARKER "003c 02 0000 0025 900e 001d 0001 01 10 " V6 "00 18 0a0101 18 0a0102" ORIGIN},
    {"IPv6 without a next hop", FAM_IPV6, false, ORIGIN NEXT_HOP, NULL},
    {"an empty next hop", FAM_IPV6, false, "80 0e 02 0a 00", NULL},
    {"a list cut off", FAM_IPV4, false, ORIGIN "40 03 04 0a0000", NULL},
};

START_TEST(test_update)
{
	uint8_t in[256], out[BGP_MAX_MESSAGE], want[256];
	struct wr a = wr_make(in, sizeof in), w = wr_make(out, sizeof out), e = wr_make(want, sizeof want);
	struct bgp_codec codec = {.as4 = true, .families = 3, .add_path_tx = updates[_i].add_path ? 3 : 0};
	bool v4 = updates[_i].family == FAM_IPV4;
	struct bgp_nlri nlri[2] = {{.path_id = 1}, {.path_id = 2}};
	size_t n;

	ck_assert(prefix_parse(&nlri[0].prefix, v4 ? "10.1.1.0/24" : "2001:db8:1::/48"));
	ck_assert(prefix_parse(&nlri[1].prefix, v4 ? "10.1.2.0/24" : "2001:db8:2::/48"));
	n = mrt_update_encode(&w, &codec, updates[_i].family, hex(&a, updates[_i].attrs), nlri, 2);
	if (!updates[_i].update) {
		ck_assert(n == 0 && w.bad);
		return;
	}
	ck_assert_uint_eq(n, 2);
	ck_span_eq(wr_span(&w), hex(&e, updates[_i].update), updates[_i].what);
}
END_TEST

/* As many prefixes as fit, and the rest into the next. */
START_TEST(test_update_full)
{
	static struct bgp_nlri nlri[3000];
	struct bgp_codec codec = {.as4 = true, .families = 3, .max_message = BGP_MAX_MESSAGE};
	uint8_t in[128], out[BGP_MAX_MESSAGE * 2];
	struct wr w, a = wr_make(in, sizeof in);
	struct span attrs = hex(&a, ORIGIN PATH NEXT_HOP "80 0e 11 10 " V6);
	size_t done = 0, n = 0, messages = 0;
	struct bgp_error err;
	struct bgp_msg m;

	for (unsigned i = 0; i < 3000; i++)
		nlri[i].prefix = (struct prefix){addr_from_u32(0x0a000000 + (i << 8)), 24};
	for (; done < 3000; done += n, messages++) {
		w = wr_make(out, sizeof out);
		n = mrt_update_encode(&w, &codec, FAM_IPV4, attrs, nlri + done, 3000 - done);
		ck_assert(n && !w.bad);
		ck_assert_uint_le(wr_len(&w), BGP_MAX_MESSAGE);
		ck_assert_int_eq(bgp_msg_next(&m, out, wr_len(&w), BGP_MAX_MESSAGE, &err), (int)wr_len(&w));
	}
	ck_assert_uint_eq(messages, 3);
	/* No room for a single one. */
	codec.max_message = 60;
	w = wr_make(out, sizeof out);
	ck_assert(mrt_update_encode(&w, &codec, FAM_IPV4, attrs, nlri, 1) == 0 && w.bad);
}
END_TEST

/* ---- Hostile files ---- */

static void visit(struct span input, void *arg)
{
	struct walked seen;
	const char *wrong = walk_file(input, &seen);

	(void)arg;
	ck_assert_msg(!wrong, "%s", wrong);
}

START_TEST(test_mutations)
{
	const struct mrt_peer peers[] = {{addr_from_u32(0x0a000001), 1, 2}, {{.af = AF_INET6}, 3, 4}};
	uint8_t out[4096];
	struct wr w = wr_make(out, sizeof out);
	struct walked seen;

	mrt_index_encode(&w, 1, 2, "view", peers, 2);
	entry_record(&w, 0);
	entry_record(&w, 4);
	entry_record(&w, 9);
	hex(&w, TIME "0010 0007 0000003f 0000fde8 fa56ea00 0003 0002 " V6 LL KEEPALIVE);
	ck_assert_ptr_null(walk_file(wr_span(&w), &seen));
	ck_assert_uint_eq(seen.peers, 2);
	ck_assert_uint_eq(seen.entries, 6);
	ck_assert_uint_eq(seen.updates, 6);
	ck_assert_uint_eq(seen.messages, 1);
	mutate(wr_span(&w), visit, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mrt");
	TCase *t = tcase_create("mrt");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_record_head);
	tcase_add_test(t, test_subtypes);
	tcase_add_test(t, test_index);
	tcase_add_test(t, test_index_of_others);
	tcase_add_loop_test(t, test_entry_bytes, 0, ENTRIES);
	tcase_add_loop_test(t, test_entry_again, 0, ENTRIES);
	tcase_add_test(t, test_entry_too_long);
	tcase_add_test(t, test_counts);
	tcase_add_test(t, test_rib_bad);
	tcase_add_test(t, test_message);
	tcase_add_test(t, test_message_of_no_family);
	tcase_add_loop_test(t, test_update, 0, sizeof updates / sizeof *updates);
	tcase_add_test(t, test_update_full);
	tcase_add_test(t, test_mutations);
	suite_add_tcase(s, t);
	return run_suite(s);
}
