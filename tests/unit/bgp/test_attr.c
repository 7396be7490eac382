/* The attribute table, row by row; AS paths; the canonical form. */
#include "bgp/codec/attr.h"

#include "bgp/codec/private.h"
#include "tests/unit/bgp/bytes.h"
#include "tests/unit/bgp/stable.h"

static const struct bgp_codec ibgp = {.as4 = true, .families = 3, .max_message = 4096};
static const struct bgp_codec ebgp = {.as4 = true, .ebgp = true, .families = 3, .max_message = 4096};
static const struct bgp_codec old_peer = {.ebgp = true, .families = 3, .max_message = 4096};

/* One good value of each attribute: as received with 4-octet numbers, as people read it, and a bad one that only
 * decode() can find (NULL if the length is all that can be wrong). */
static const struct sample {
	const char *value, *text, *bad;
} samples[BA_COUNT] = {
    [BA_ORIGIN] = {"02", "incomplete", "03"},
    [BA_AS_PATH] = {"0202 0000fde9 0001117d", "65001 70013", "0101 0000fde9"},
    [BA_NEXT_HOP] = {"0a000001", "10.0.0.1", NULL},
    [BA_MED] = {"00000400", "1024", NULL},
    [BA_LOCAL_PREF] = {"7ffffbff", "2147482623", NULL},
    [BA_ATOMIC_AGGREGATE] = {"", "set", NULL},
    [BA_AGGREGATOR] = {"0001117d 0a000009", "70013 10.0.0.9", "00000000 0a000009"},
    [BA_COMMUNITIES] = {"fde90001 ffffff01 ffff0000", "65001:1 no-export graceful-shutdown", NULL},
    [BA_ORIGINATOR_ID] = {"0a000007", "10.0.0.7", NULL},
    [BA_CLUSTER_LIST] = {"0a000008 00000001", "10.0.0.8 0.0.0.1", NULL},
    [BA_EXT_COMMUNITIES] = {"0002fde900000064 01030a0000010005 02020001117d0005 4004000000000001",
			    "rt:65001:100 soo:10.0.0.1:5 rt:70013:5 4004000000000001", NULL},
    [BA_IPV6_EXT_COMMUNITIES] = {"00022001 0db80000 00000000 00000000 00010005",
				 "000220010db800000000000000000000"
				 "00010005",
				 NULL},
    [BA_AIGP] = {"01000b 0000000000000010", "01000b0000000000000010", "01000c 0000000000000010 00"},
    [BA_LARGE_COMMUNITIES] = {"0000fde9 00000001 00000002", "65001:1:2", NULL},
    [BA_OTC] = {"0000fde9", "65001", NULL},
    [BA_PREFIX_SID] = {"010007 00000000000001", "01000700000000000001", "010007 000000"},
};

static struct arena arena;

static struct span hex_value(uint8_t *room, size_t size, const char *hex)
{
	struct wr w = wr_make(room, size);

	wr_hex(&w, hex);
	return wr_span(&w);
}

START_TEST(test_row_is_sound)
{
	const struct bgp_attr_row *row = &bgp_attr_table[_i];

	ck_assert_int_eq(bgp_attr_by_code(row->code), _i);
	ck_assert(_i == 0 || bgp_attr_table[_i - 1].code < row->code);
	ck_assert_ptr_nonnull(row->name);
	ck_assert_uint_eq(row->flags & ~(BGP_ATTR_OPTIONAL | BGP_ATTR_TRANSITIVE), 0);
	ck_assert_uint_ne(row->flags, 0);
	ck_assert_uint_le(row->min_len, row->max_len);
	ck_assert(!row->unit || row->min_len % row->unit == 0);
	ck_assert(row->malformed_ibgp > BGP_OK && row->malformed_ebgp > BGP_OK && row->wrong_flags > BGP_OK);
	ck_assert(row->ebgp_discard ? row->malformed_ebgp == BGP_ATTR_DISCARD : true);
	ck_assert_uint_ne(row->subcode, 0);
	/* What is decoded can be written and shown, too. */
	ck_assert(!row->decode || (row->encode && row->format));
}
END_TEST

START_TEST(test_other_codes_have_no_row)
{
	unsigned rows = 0;

	for (unsigned code = 0; code < 256; code++)
		rows += bgp_attr_by_code((uint8_t)code) >= 0;
	ck_assert_uint_eq(rows, BA_COUNT);
}
END_TEST

/* bytes -> struct -> bytes, and as text. */
START_TEST(test_row_round_trip)
{
	const struct bgp_attr_row *row = &bgp_attr_table[_i];
	struct bgp_attrs a = {0};
	struct strbuf text = {0};
	uint8_t in[256], out[256];
	struct span value;
	struct wr w = wr_make(out, sizeof out);
	struct rd r;

	if (!row->decode) {
		ck_assert_msg(_i == BA_MP_REACH || _i == BA_MP_UNREACH || _i == BA_AS4_PATH || _i == BA_AS4_AGGREGATOR,
			      "%s has no decoder", row->name);
		return;
	}
	ck_assert_msg(samples[_i].value != NULL, "no sample of %s", row->name);
	value = hex_value(in, sizeof in, samples[_i].value);
	r = rd_span(value);
	ck_assert_msg(row->decode(&a, &r, &ibgp, &arena), "%s", row->name);
	ck_assert_msg(rd_done(&r), "%s is not read to its end", row->name);
	a.present = 1u << _i;
	row->encode(&w, &a, &ibgp);
	ck_assert(!w.bad);
	ck_span_eq(wr_span(&w), value, row->name);
	row->format(&text, &a);
	ck_assert_str_eq(text.s, samples[_i].text);
	strbuf_free(&text);
	if (samples[_i].bad) {
		r = rd_span(hex_value(in, sizeof in, samples[_i].bad));
		ck_assert_msg(!row->decode(&a, &r, &ibgp, &arena), "%s takes a bad value", row->name);
		ck_assert_ptr_nonnull(row->fault);
	}
	arena_reset(&arena);
}
END_TEST

/* An attribute with all its flags, alone in a list. */
static void put_attr(struct wr *w, const struct bgp_attr_row *row, uint8_t more_flags, const char *hex)
{
	struct wr_mark m;

	wr_u8(w, row->flags | more_flags);
	wr_u8(w, row->code);
	m = wr_mark8(w);
	wr_hex(w, hex);
	wr_close8(w, m);
}

static void put_all(struct wr *w)
{
	for (int id = 0; id < BA_COUNT; id++)
		if (samples[id].value && id != BA_NEXT_HOP)
			put_attr(w, &bgp_attr_table[id], 0, samples[id].value);
	wr_hex(w, "e0 0b 01 07  e0 80 02 aabb  f0 81 0002 ccdd");
}

START_TEST(test_canonical_round_trip)
{
	uint8_t in[1024], out[1024];
	struct wr w = wr_make(in, sizeof in), again = wr_make(out, sizeof out);
	struct bgp_attrs a;

	put_all(&w);
	ck_assert(bgp_attrs_from_canonical(&a, wr_span(&w)));
	ck_assert_uint_eq(a.med, 1024);
	ck_assert_uint_eq(a.local_pref, 2147482623);
	ck_assert_uint_eq(a.unknown.len, 4 + 5 + 6);
	ck_assert(!bgp_attrs_have(&a, BA_NEXT_HOP));
	bgp_attrs_encode(&again, &a, &bgp_codec_canonical, true);
	ck_span_eq(wr_span(&again), wr_span(&w), "canonical form");
}
END_TEST

static void visit_canonical(struct span input, void *arg)
{
	struct wr *w = arg;
	struct bgp_attrs a;

	if (!bgp_attrs_from_canonical(&a, input))
		return;
	/* What is accepted is canonical: written again, it is the same. */
	wr_undo(w, 0);
	ck_span_eq(stable_canonical(&a, w), input, "accepted although it is not canonical");
}

START_TEST(test_canonical_mutations)
{
	uint8_t in[1024], out[2048];
	struct wr w = wr_make(in, sizeof in), again = wr_make(out, sizeof out);

	put_all(&w);
	mutate(wr_span(&w), visit_canonical, &again);
}
END_TEST

static const struct {
	const char *what, *hex;
} not_canonical[] = {
    {"descending codes", "80 04 04 00000001  40 01 01 00"},
    {"an attribute twice", "40 01 01 00  40 01 01 00"},
    {"an extended length that is not needed", "50 01 0001 00"},
    {"wrong flags", "c0 01 01 00"},
    {"a bad value", "40 01 01 07"},
    {"an attribute with MP routes", "80 0e 05 0001010000"},
    {"AS4_PATH", "c0 11 06 020100000001"},
    {"unknown before known", "e0 0b 01 00  e0 23 04 00000001"},
    {"unknown without Partial", "c0 80 01 00"},
    {"unknown without Transitive", "a0 80 01 00"},
    {"unknown, descending", "e0 81 01 00  e0 80 01 00"},
    {"cut short", "40 01 01"},
};

START_TEST(test_canonical_refuses)
{
	uint8_t in[64];
	struct bgp_attrs a;

	ck_assert_msg(!bgp_attrs_from_canonical(&a, hex_value(in, sizeof in, not_canonical[_i].hex)), "%s",
		      not_canonical[_i].what);
}
END_TEST

START_TEST(test_empty_canonical)
{
	struct bgp_attrs a = {.med = 7};

	ck_assert(bgp_attrs_from_canonical(&a, (struct span){0}));
	ck_assert_uint_eq(a.present, 0);
	ck_assert_uint_eq(a.med, 0);
}
END_TEST

START_TEST(test_partial_is_kept)
{
	uint8_t in[64], out[64];
	struct wr w = wr_make(out, sizeof out);
	struct span value = hex_value(in, sizeof in, "e0 08 04 fde90001");
	struct bgp_attrs a;

	ck_assert(bgp_attrs_from_canonical(&a, value));
	ck_assert_uint_eq(a.partial, 1u << BA_COMMUNITIES);
	bgp_attrs_encode(&w, &a, &ebgp, true);
	ck_span_eq(wr_span(&w), value, "Partial");
}
END_TEST

START_TEST(test_nothing_leaks_to_another_as)
{
	uint8_t in[1024], out[1024];
	struct wr w = wr_make(in, sizeof in), sent = wr_make(out, sizeof out);
	struct bgp_attrs a;
	struct rd r;

	put_all(&w);
	ck_assert(bgp_attrs_from_canonical(&a, wr_span(&w)));
	bgp_attrs_encode(&sent, &a, &ebgp, false);
	r = rd_span(wr_span(&sent));
	for (int last = 0, in_unknown = 0; rd_left(&r);) {
		uint8_t flags = rd_u8(&r), code = rd_u8(&r);
		int id = bgp_attr_by_code(code);

		ck_assert(id < 0 || !bgp_attr_table[id].ebgp_discard);
		if (id < 0 && !in_unknown) {
			in_unknown = 1;
			last = 0;
		}
		ck_assert_int_gt(code, last);
		last = code;
		rd_take(&r, flags & BGP_ATTR_EXTENDED ? rd_u16(&r) : rd_u8(&r));
	}
	ck_assert(rd_done(&r));
}
END_TEST

/* What a policy has emptied must not go out: receivers call a list of length 0 malformed. */
START_TEST(test_emptied_list_is_left_out)
{
	struct bgp_attrs a = {.present = 1u << BA_ORIGIN | 1u << BA_COMMUNITIES | 1u << BA_LARGE_COMMUNITIES};
	uint8_t out[64];
	struct wr w = wr_make(out, sizeof out);

	bgp_attrs_encode(&w, &a, &ibgp, false);
	ck_hex_eq(wr_span(&w), "40 01 01 00", "emptied lists");
}
END_TEST

START_TEST(test_next_hop_is_the_callers_choice)
{
	struct bgp_attrs a = {0};
	uint8_t out[64];
	struct wr w = wr_make(out, sizeof out);

	ck_assert(addr_parse(&a.next_hop.addr, "10.0.0.1"));
	bgp_attrs_encode(&w, &a, &ibgp, false);
	ck_assert_uint_eq(wr_len(&w), 0);
	bgp_attrs_encode(&w, &a, &ibgp, true);
	ck_hex_eq(wr_span(&w), "40 03 04 0a000001", "NEXT_HOP");
	ck_assert(addr_parse(&a.next_hop.addr, "2001:db8::1"));
	wr_undo(&w, 0);
	bgp_attrs_encode(&w, &a, &ibgp, true);
	ck_assert_uint_eq(wr_len(&w), 0);
}
END_TEST

START_TEST(test_long_attribute_is_extended)
{
	uint8_t list[300] = {0}, out[400];
	struct bgp_attrs a = {.present = 1u << BA_COMMUNITIES, .communities = {list, sizeof list}}, back;
	struct wr w = wr_make(out, sizeof out);

	bgp_attrs_encode(&w, &a, &ibgp, false);
	ck_assert(!w.bad);
	ck_hex_eq((struct span){out, 4}, "d0 08 012c", "head");
	ck_assert_uint_eq(wr_len(&w), 304);
	ck_assert(bgp_attrs_from_canonical(&back, wr_span(&w)));
	ck_assert_uint_eq(back.communities.len, 300);
	w = wr_make(out, 303);
	bgp_attrs_encode(&w, &a, &ibgp, false);
	ck_assert(w.bad);
}
END_TEST

/* 255 octets are the most that a plain length can say. */
START_TEST(test_length_of_255)
{
	uint8_t value[256] = {0}, out[300];
	struct bgp_attrs a = {.present = 1u << BA_PREFIX_SID, .prefix_sid = {value, 255}};
	struct wr w = wr_make(out, sizeof out);

	bgp_attrs_encode(&w, &a, &ibgp, false);
	ck_hex_eq((struct span){out, 3}, "c0 28 ff", "head");
	a.prefix_sid.len = 256;
	wr_undo(&w, 0);
	bgp_attrs_encode(&w, &a, &ibgp, false);
	ck_hex_eq((struct span){out, 4}, "d0 28 0100", "head");
}
END_TEST

/* RFC 6793 4.2.2: what old peers are sent. */
START_TEST(test_old_peer)
{
	uint8_t in[64], out[128];
	struct bgp_attrs a = {
	    .present = 1u << BA_AS_PATH | 1u << BA_AGGREGATOR, .aggregator_as = 70013, .aggregator_id = 0x0a000009};
	struct wr w = wr_make(out, sizeof out);

	a.as_path = hex_value(in, sizeof in, "0301 0000fe01  0202 0001117d 0000fde9");
	bgp_attrs_encode(&w, &a, &old_peer, false);
	ck_hex_eq(wr_span(&w),
		  "40 02 0a 0301fe01 0202 5ba0 fde9  c0 07 06 5ba0 0a000009"
		  "c0 11 0a 0202 0001117d 0000fde9  c0 12 08 0001117d 0a000009",
		  "wide path");
	a.as_path = hex_value(in, sizeof in, "0202 0000fde8 0000fde9");
	a.aggregator_as = 65001;
	wr_undo(&w, 0);
	bgp_attrs_encode(&w, &a, &old_peer, false);
	ck_hex_eq(wr_span(&w), "40 02 06 0202 fde8 fde9  c0 07 06 fde9 0a000009", "narrow path");
}
END_TEST

static const struct {
	const char *path;
	const char *text;
	unsigned length;
	uint32_t first;
} paths[] = {
    {"", "", 0, 0},
    {"0202 0000fde9 0000fdea", "65001 65002", 2, 65001},
    {"0201 0000fde9 0102 0000fdea 0000fdeb", "65001 {65002 65003}", 2, 65001},
    {"0101 0000fde9 0201 0000fdea", "{65001} 65002", 2, 0},
    {"0302 0000fde9 0000fdea 0201 0001117d", "(65001 65002) 70013", 1, 70013},
    {"0401 0000fde9 0201 0001117d", "[65001] 70013", 1, 70013},
};

START_TEST(test_path)
{
	struct strbuf text = {0};
	uint8_t in[64];
	struct span path = hex_value(in, sizeof in, paths[_i].path);

	strbuf_puts(&text, "");
	as_path_format(&text, path);
	ck_assert_str_eq(text.s, paths[_i].text);
	ck_assert_uint_eq(as_path_length(path), paths[_i].length);
	ck_assert_uint_eq(as_path_first(path), paths[_i].first);
	ck_assert_uint_eq(as_path_count(path, 65001), _i > 0);
	strbuf_free(&text);
}
END_TEST

/* RFC 5065 4.1: the segments of a confederation are for its members. */
START_TEST(test_path_without_confed)
{
	uint8_t in[64];
	struct span path = hex_value(in, sizeof in, "0202 0000fde9 0000fdea 0101 00000001"), out;

	out = as_path_without_confed(path, &arena);
	ck_assert_ptr_eq(out.p, path.p);
	path = hex_value(in, sizeof in, "0302 0000fde9 0000fdea 0201 0001117d 0401 00000005 0101 00000007");
	ck_hex_eq(as_path_without_confed(path, &arena), "0201 0001117d 0101 00000007", "both kinds");
	path = hex_value(in, sizeof in, "0301 0000fde9");
	ck_assert_uint_eq(as_path_without_confed(path, &arena).len, 0);
}
END_TEST

START_TEST(test_path_begins)
{
	static const uint32_t as[3] = {70013, 65001, 65002};
	uint8_t in[64];
	struct span path = hex_value(in, sizeof in, "0301 00000009 0201 0001117d 0201 0000fde9 0101 0000fdea");

	ck_assert(as_path_begins(path, as, 0) && as_path_begins((struct span){0}, as, 0));
	ck_assert(as_path_begins(path, as, 1));
	ck_assert(as_path_begins(path, as, 2));
	ck_assert(!as_path_begins(path, as, 3));
	ck_assert(!as_path_begins(path, as + 1, 1));
	ck_assert(!as_path_begins((struct span){0}, as, 1));
}
END_TEST

START_TEST(test_path_prepend)
{
	uint8_t in[2048], full[2 + 255 * 4];
	struct wr w = wr_make(full, sizeof full);
	struct span path;

	path = as_path_prepend((struct span){0}, 70013, 2, &arena);
	ck_hex_eq(path, "0202 0001117d 0001117d", "to an empty path");
	path = as_path_prepend(path, 65001, 1, &arena);
	ck_hex_eq(path, "0203 0000fde9 0001117d 0001117d", "into a sequence");
	ck_hex_eq(as_path_prepend(path, 65001, 0, &arena), "0203 0000fde9 0001117d 0001117d", "nothing");
	path = as_path_prepend(hex_value(in, sizeof in, "0101 0000fde9"), 65002, 1, &arena);
	ck_hex_eq(path, "0201 0000fdea 0101 0000fde9", "before a set");
	wr_hex(&w, "02ff");
	for (int i = 0; i < 255; i++)
		wr_u32(&w, 65001);
	path = as_path_prepend(wr_span(&w), 65002, 1, &arena);
	ck_assert_uint_eq(path.len, 6 + sizeof full);
	ck_hex_eq((struct span){path.p, 8}, "0201 0000fdea 02ff", "before a full sequence");
	path = as_path_prepend(wr_span(&w), 65002, 600, &arena);
	ck_assert_uint_eq(as_path_length(path), 855);
	ck_assert_uint_eq(as_path_count(path, 65002), 600);
	ck_assert_int_eq(as_path_check(path, 4, false), AS_PATH_FINE);
	arena_reset(&arena);
}
END_TEST

static const struct {
	const char *path;
	unsigned width;
	bool confed;
	enum as_path_fault fault;
} checks[] = {
    {"", 4, false, AS_PATH_FINE},
    {"0201 0000fde9", 4, false, AS_PATH_FINE},
    {"0202 fde9 fdea", 2, false, AS_PATH_FINE},
    {"0301 0000fde9", 4, true, AS_PATH_FINE},
    {"0301 0000fde9", 4, false, AS_PATH_TYPE},
    {"0001 0000fde9", 4, true, AS_PATH_TYPE},
    {"0501 0000fde9", 4, true, AS_PATH_TYPE},
    {"0202 0000fde9 00000000", 4, false, AS_PATH_ZERO},
    {"0202 fde9 0000", 2, false, AS_PATH_ZERO},
    {"0101 0000fde9", 4, false, AS_PATH_SET},
    {"0401 0000fde9", 4, true, AS_PATH_SET},
    {"0101 00000000", 4, true, AS_PATH_SET},
    {"0200", 4, false, AS_PATH_EMPTY},
    {"0101 0000fde9 0200", 4, false, AS_PATH_EMPTY},
    {"0202 0000fde9", 4, false, AS_PATH_OVERRUN},
    {"0101 0000fde9 02", 4, false, AS_PATH_OVERRUN},
    {"0201 fde9 0200", 2, false, AS_PATH_EMPTY},
};

START_TEST(test_path_check)
{
	uint8_t in[64];
	struct span path = exact_copy(hex_value(in, sizeof in, checks[_i].path));

	ck_assert_int_eq(as_path_check(path, checks[_i].width, checks[_i].confed), checks[_i].fault);
	ck_assert(checks[_i].fault == AS_PATH_FINE || as_path_faults[checks[_i].fault]);
	span_free(path);
}
END_TEST

/* RFC 6793 4.2.3. */
static const struct {
	const char *path, *as4_path, *merged;
} merges[] = {
    {"65001 23456 23456", "70001 70002", "65001 70001 70002"},
    {"23456 23456", "70001 70002", "70001 70002"},
    {"65001 65002 65003", "70001", "65001 65002 70001"},
    {"65001", "70001 70002", "65001"}, /* the longer one is out of date */
    {"65001 23456", "(65009) 70001", "65001 70001"},
    {"65001 23456", "(65009)", "65001 23456"},
    {"(65101) 65001 23456", "70001", "(65101) 65001 70001"},
    {"(65101) 23456", "70001", "(65101) 70001"},
    {"65001 (65101) 23456", "70001", "65001 (65101) 70001"},
};

/* "65001 (65002)" to segments. */
static struct span path_of(struct wr *w, const char *text)
{
	const char *at = text;
	char *end;

	while (*at) {
		bool confed = *at == '(';
		struct wr segment = *w;
		unsigned n = 0;

		at += confed;
		wr_u8(w, confed ? BGP_AS_CONFED_SEQUENCE : BGP_AS_SEQUENCE);
		wr_u8(w, 0);
		do {
			wr_u32(w, (uint32_t)strtoul(at, &end, 10));
			n++;
			at = end + strspn(end, " ");
		} while (*end == ' ' && *at >= '0' && *at <= '9');
		if (*end == ')')
			at = end + 1 + strspn(end + 1, " ");
		wr_u8(&segment, confed ? BGP_AS_CONFED_SEQUENCE : BGP_AS_SEQUENCE);
		wr_u8(&segment, (uint8_t)n);
	}
	return wr_span(w);
}

START_TEST(test_path_merge)
{
	uint8_t one[128], two[128];
	struct wr w = wr_make(one, sizeof one), w4 = wr_make(two, sizeof two);
	struct span merged = as_path_merge(path_of(&w, merges[_i].path), path_of(&w4, merges[_i].as4_path), &arena);
	struct strbuf text = {0};

	as_path_format(&text, merged);
	ck_assert_str_eq(text.s, merges[_i].merged);
	ck_assert_int_eq(as_path_check(merged, 4, true), AS_PATH_FINE);
	strbuf_free(&text);
	arena_reset(&arena);
}
END_TEST

/* The head may be longer than one segment can be. */
START_TEST(test_path_merge_long)
{
	uint8_t one[4096], two[4096];
	struct wr w = wr_make(one, sizeof one), w4 = wr_make(two, sizeof two);
	struct span merged;

	wr_hex(&w, "02ff");
	for (int i = 0; i < 255; i++)
		wr_u32(&w, 65001);
	wr_hex(&w, "0202 00005ba0 00005ba0");
	wr_hex(&w4, "0203 00011171 00011172 00011173");
	merged = as_path_merge(wr_span(&w), wr_span(&w4), &arena);
	ck_assert_uint_eq(as_path_length(merged), 257);
	ck_assert_uint_eq(as_path_count(merged, 65001), 254);
	ck_assert_int_eq(as_path_check(merged, 4, false), AS_PATH_FINE);
	arena_reset(&arena);
}
END_TEST

static void visit_path(struct span input, void *arg)
{
	struct strbuf *text = arg;
	struct arena scratch = {0};
	enum as_path_fault narrow = as_path_check(input, 2, true), wide = as_path_check(input, 4, true);

	if (narrow < AS_PATH_TYPE)
		ck_assert_int_eq(as_path_check(as_path_widen(input, &scratch), 4, true), narrow);
	if (wide < AS_PATH_SET)
		ck_assert_int_eq(as_path_check(as_path_merge(input, input, &scratch), 4, true), wide);
	/* The public functions stop at the end of anything. */
	as_path_length(input);
	as_path_first(input);
	as_path_count(input, 65001);
	as_path_prepend(input, 65001, 3, &scratch);
	strbuf_reset(text);
	as_path_format(text, input);
	arena_free(&scratch);
}

START_TEST(test_path_mutations)
{
	struct strbuf text = {0};
	uint8_t in[64];

	mutate(hex_value(in, sizeof in, "0202 0000fde9 0001117d 0101 0000fdea 0301 00000001"), visit_path, &text);
	ck_assert_uint_gt(text.len, 0);
	strbuf_free(&text);
}
END_TEST

START_TEST(test_communities_have)
{
	uint8_t in[64];
	struct span list = hex_value(in, sizeof in, "fde90001 ffffff01 00");
	static const uint8_t large[24] = {0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6};
	struct bgp_attrs a = {.present = 0};

	ck_assert(bgp_communities_have(list, BGP_COMMUNITY_NO_EXPORT));
	ck_assert(bgp_communities_have(list, 65001u << 16 | 1));
	ck_assert(!bgp_communities_have(list, BGP_COMMUNITY_NO_ADVERTISE));
	ck_assert(!bgp_communities_have(list, 0x01ffffff));
	ck_assert(!bgp_communities_have((struct span){0}, 0));
	a.communities = list = (struct span){list.p, 8};
	bgp_attrs_add_community(&a, 65001u << 16 | 1, &arena);
	ck_assert_ptr_eq(a.communities.p, list.p);
	bgp_attrs_add_community(&a, BGP_COMMUNITY_NO_ADVERTISE, &arena);
	ck_assert_uint_eq(a.communities.len, list.len + 4);
	ck_assert(bgp_communities_have(a.communities, BGP_COMMUNITY_NO_EXPORT));
	ck_assert(bgp_communities_have(a.communities, BGP_COMMUNITY_NO_ADVERTISE));
	ck_assert_uint_eq(a.present, 1u << BA_COMMUNITIES);
	ck_assert(bgp_large_communities_have((struct span){large, 24}, (uint32_t[]){4, 5, 6}));
	ck_assert(!bgp_large_communities_have((struct span){large, 24}, (uint32_t[]){2, 3, 4}));
	ck_assert(!bgp_large_communities_have((struct span){large, 23}, (uint32_t[]){4, 5, 6}));
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

int main(void)
{
	Suite *s = suite_create("attr");
	TCase *tc = tcase_create("table");

	tcase_add_loop_test(tc, test_row_is_sound, 0, BA_COUNT);
	tcase_add_test(tc, test_other_codes_have_no_row);
	tcase_add_loop_test(tc, test_row_round_trip, 0, BA_COUNT);
	suite_add_tcase(s, tc);
	tc = tcase_create("lists");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_canonical_round_trip);
	tcase_add_test(tc, test_canonical_mutations);
	tcase_add_loop_test(tc, test_canonical_refuses, 0, COUNT(not_canonical));
	tcase_add_test(tc, test_empty_canonical);
	tcase_add_test(tc, test_partial_is_kept);
	tcase_add_test(tc, test_nothing_leaks_to_another_as);
	tcase_add_test(tc, test_emptied_list_is_left_out);
	tcase_add_test(tc, test_next_hop_is_the_callers_choice);
	tcase_add_test(tc, test_long_attribute_is_extended);
	tcase_add_test(tc, test_length_of_255);
	tcase_add_test(tc, test_old_peer);
	tcase_add_test(tc, test_communities_have);
	suite_add_tcase(s, tc);
	tc = tcase_create("paths");
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_path, 0, COUNT(paths));
	tcase_add_test(tc, test_path_without_confed);
	tcase_add_test(tc, test_path_begins);
	tcase_add_test(tc, test_path_prepend);
	tcase_add_loop_test(tc, test_path_check, 0, COUNT(checks));
	tcase_add_loop_test(tc, test_path_merge, 0, COUNT(merges));
	tcase_add_test(tc, test_path_merge_long);
	tcase_add_test(tc, test_path_mutations);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
