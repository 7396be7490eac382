#include "bgp/codec/attr.h"

#include "bgp/codec/private.h"

/* Type codes as IANA assigns them; here for the table and the index only. */
enum code {
	CODE_ORIGIN = 1,
	CODE_AS_PATH = 2,
	CODE_NEXT_HOP = 3,
	CODE_MED = 4,
	CODE_LOCAL_PREF = 5,
	CODE_ATOMIC_AGGREGATE = 6,
	CODE_AGGREGATOR = 7,
	CODE_COMMUNITIES = 8,
	CODE_ORIGINATOR_ID = 9,
	CODE_CLUSTER_LIST = 10,
	CODE_MP_REACH = 14,
	CODE_MP_UNREACH = 15,
	CODE_EXT_COMMUNITIES = 16,
	CODE_AS4_PATH = 17,
	CODE_AS4_AGGREGATOR = 18,
	CODE_IPV6_EXT_COMMUNITIES = 25,
	CODE_AIGP = 26,
	CODE_LARGE_COMMUNITIES = 32,
	CODE_OTC = 35,
	CODE_PREFIX_SID = 40,
};

#define WELL_KNOWN BGP_ATTR_TRANSITIVE
#define OPTIONAL BGP_ATTR_OPTIONAL
#define TRANSITIVE (BGP_ATTR_OPTIONAL | BGP_ATTR_TRANSITIVE)
#define DISCARD BGP_ATTR_DISCARD
#define WITHDRAW BGP_TREAT_AS_WITHDRAW
#define DISABLE BGP_AFI_DISABLE
#define NO_LIMIT 0xffff
#define VALUE(name) .decode = attr_##name##_decode, .encode = attr_##name##_encode, .format = attr_##name##_format

/* Reactions: RFC 7606 7 unless the row says otherwise. */
const struct bgp_attr_row bgp_attr_table[BA_COUNT] = {
    [BA_ORIGIN] = {CODE_ORIGIN, WELL_KNOWN, "ORIGIN", 1, 1, 0, WITHDRAW, WITHDRAW, WITHDRAW, 6,
		   "ORIGIN is none of IGP, EGP, INCOMPLETE", VALUE(origin)},
    [BA_AS_PATH] = {CODE_AS_PATH, WELL_KNOWN, "AS_PATH", 0, NO_LIMIT, 0, WITHDRAW, WITHDRAW, WITHDRAW, 11,
		    "AS_PATH is malformed", VALUE(as_path)},
    [BA_NEXT_HOP] = {CODE_NEXT_HOP, WELL_KNOWN, "NEXT_HOP", 4, 4, 0, WITHDRAW, WITHDRAW, WITHDRAW, 8,
		     "NEXT_HOP is not an address that can be one", VALUE(next_hop)},
    [BA_MED] = {CODE_MED, OPTIONAL, "MULTI_EXIT_DISC", 4, 4, 0, WITHDRAW, WITHDRAW, WITHDRAW, 9, NULL, VALUE(med)},
    [BA_LOCAL_PREF] = {CODE_LOCAL_PREF, WELL_KNOWN, "LOCAL_PREF", 4, 4, 0, WITHDRAW, DISCARD, WITHDRAW, 1, NULL,
		       .ebgp_discard = true, VALUE(local_pref)},
    [BA_ATOMIC_AGGREGATE] = {CODE_ATOMIC_AGGREGATE, WELL_KNOWN, "ATOMIC_AGGREGATE", 0, 0, 0, DISCARD, DISCARD, WITHDRAW,
			     1, NULL, VALUE(atomic_aggregate)},
    /* 6 octets from a peer with 2-octet numbers, 8 otherwise. */
    [BA_AGGREGATOR] = {CODE_AGGREGATOR, TRANSITIVE, "AGGREGATOR", 6, 8, 2, DISCARD, DISCARD, WITHDRAW, 9,
		       "AGGREGATOR of a wrong length or with AS 0", VALUE(aggregator)},
    [BA_COMMUNITIES] = {CODE_COMMUNITIES, TRANSITIVE, "COMMUNITIES", 4, NO_LIMIT, 4, WITHDRAW, WITHDRAW, WITHDRAW, 9,
			NULL, VALUE(communities)},
    [BA_ORIGINATOR_ID] = {CODE_ORIGINATOR_ID, OPTIONAL, "ORIGINATOR_ID", 4, 4, 0, WITHDRAW, DISCARD, WITHDRAW, 9, NULL,
			  .ebgp_discard = true, VALUE(originator_id)},
    [BA_CLUSTER_LIST] = {CODE_CLUSTER_LIST, OPTIONAL, "CLUSTER_LIST", 4, NO_LIMIT, 4, WITHDRAW, DISCARD, WITHDRAW, 9,
			 NULL, .ebgp_discard = true, VALUE(cluster_list)},
    /* RFC 4760 7: what cannot be parsed here may hide any prefix of the family. */
    [BA_MP_REACH] = {CODE_MP_REACH, OPTIONAL, "MP_REACH_NLRI", 5, NO_LIMIT, 0, DISABLE, DISABLE, DISABLE, 9, NULL},
    [BA_MP_UNREACH] = {CODE_MP_UNREACH, OPTIONAL, "MP_UNREACH_NLRI", 3, NO_LIMIT, 0, DISABLE, DISABLE, DISABLE, 9,
		       NULL},
    [BA_EXT_COMMUNITIES] = {CODE_EXT_COMMUNITIES, TRANSITIVE, "EXTENDED COMMUNITIES", 8, NO_LIMIT, 8, WITHDRAW,
			    WITHDRAW, WITHDRAW, 9, NULL, VALUE(ext_communities)},
    /* RFC 6793 6. Read by the UPDATE decoder, which merges them; written only for peers with 2-octet numbers. */
    [BA_AS4_PATH] = {CODE_AS4_PATH, TRANSITIVE, "AS4_PATH", 6, NO_LIMIT, 2, DISCARD, DISCARD, WITHDRAW, 9,
		     "AS4_PATH is malformed", .encode = attr_as4_path_encode},
    [BA_AS4_AGGREGATOR] = {CODE_AS4_AGGREGATOR, TRANSITIVE, "AS4_AGGREGATOR", 8, 8, 0, DISCARD, DISCARD, WITHDRAW, 9,
			   "AS4_AGGREGATOR with AS 0", .encode = attr_as4_aggregator_encode},
    [BA_IPV6_EXT_COMMUNITIES] = {CODE_IPV6_EXT_COMMUNITIES, TRANSITIVE, "IPv6 EXTENDED COMMUNITIES", 20, NO_LIMIT, 20,
				 WITHDRAW, WITHDRAW, WITHDRAW, 9, NULL, VALUE(ipv6_ext_communities)},
    /* RFC 7311 3.2 and 3.4: wrong flags are no worse than a wrong value; from other ASes only if configured. */
    [BA_AIGP] = {CODE_AIGP, OPTIONAL, "AIGP", 3, NO_LIMIT, 0, DISCARD, DISCARD, DISCARD, 9, "AIGP TLV is malformed",
		 .ebgp_discard = true, VALUE(aigp)},
    [BA_LARGE_COMMUNITIES] = {CODE_LARGE_COMMUNITIES, TRANSITIVE, "LARGE_COMMUNITY", 12, NO_LIMIT, 12, WITHDRAW,
			      WITHDRAW, WITHDRAW, 9, NULL, VALUE(large_communities)},
    [BA_OTC] = {CODE_OTC, TRANSITIVE, "OTC", 4, 4, 0, WITHDRAW, WITHDRAW, WITHDRAW, 9, NULL, VALUE(otc)},
    /* RFC 8669 5 and 6: stays inside one administration unless configured. */
    [BA_PREFIX_SID] = {CODE_PREFIX_SID, TRANSITIVE, "BGP Prefix-SID", 3, NO_LIMIT, 0, DISCARD, DISCARD, WITHDRAW, 9,
		       "Prefix-SID TLV is malformed", .ebgp_discard = true, VALUE(prefix_sid)},
};

/* One look instead of a search for each attribute received. Zero is "no row". */
#define INDEX(name) [CODE_##name] = BA_##name + 1
static const uint8_t by_code[256] = {
    INDEX(ORIGIN),
    INDEX(AS_PATH),
    INDEX(NEXT_HOP),
    INDEX(MED),
    INDEX(LOCAL_PREF),
    INDEX(ATOMIC_AGGREGATE),
    INDEX(AGGREGATOR),
    INDEX(COMMUNITIES),
    INDEX(ORIGINATOR_ID),
    INDEX(CLUSTER_LIST),
    INDEX(MP_REACH),
    INDEX(MP_UNREACH),
    INDEX(EXT_COMMUNITIES),
    INDEX(AS4_PATH),
    INDEX(AS4_AGGREGATOR),
    INDEX(IPV6_EXT_COMMUNITIES),
    INDEX(AIGP),
    INDEX(LARGE_COMMUNITIES),
    INDEX(OTC),
    INDEX(PREFIX_SID),
};

const struct bgp_codec bgp_codec_canonical = {
    .as4 = true, .families = (1u << FAM_COUNT) - 1, .max_message = UINT16_MAX};

int bgp_attr_by_code(uint8_t code)
{
	return by_code[code] - 1;
}

/* The attributes to be written for this peer: a bit for each. */
static uint32_t attrs_wanted(const struct bgp_attrs *a, const struct bgp_codec *codec, bool with_next_hop)
{
	uint32_t wanted = a->present & ~(1u << BA_NEXT_HOP | 1u << BA_AS4_PATH | 1u << BA_AS4_AGGREGATOR);

	if (with_next_hop && a->next_hop.addr.af == AF_INET)
		wanted |= 1u << BA_NEXT_HOP;
	if (!codec->as4 && bgp_attrs_have(a, BA_AS_PATH) && as_path_is_wide(a->as_path))
		wanted |= 1u << BA_AS4_PATH;
	if (!codec->as4 && bgp_attrs_have(a, BA_AGGREGATOR) && a->aggregator_as > UINT16_MAX)
		wanted |= 1u << BA_AS4_AGGREGATOR;
	return wanted;
}

/* Writes one attribute; nothing if its value turns out shorter than it may be. */
static void attr_write(struct wr *w, enum bgp_attr_id id, const struct bgp_attrs *a, const struct bgp_codec *codec)
{
	const struct bgp_attr_row *row = &bgp_attr_table[id];
	uint8_t flags = row->flags | (a->partial >> id & 1 ? BGP_ATTR_PARTIAL : 0);
	size_t start = wr_save(w), len;
	struct wr_mark mark;

	wr_u8(w, flags);
	wr_u8(w, row->code);
	mark = wr_mark8(w);
	row->encode(w, a, codec);
	if (w->bad)
		return;
	len = wr_len(w) - mark.at - 1;
	if (len <= UINT8_MAX) {
		wr_close8(w, mark);
		if (len < row->min_len)
			wr_undo(w, start);
		return;
	}
	wr_undo(w, start);
	wr_u8(w, flags | BGP_ATTR_EXTENDED);
	wr_u8(w, row->code);
	mark = wr_mark16(w);
	row->encode(w, a, codec);
	wr_close16(w, mark);
}

void bgp_attrs_encode(struct wr *w, const struct bgp_attrs *a, const struct bgp_codec *codec, bool with_next_hop)
{
	for (uint32_t left = attrs_wanted(a, codec, with_next_hop); left; left &= left - 1) {
		enum bgp_attr_id id = (enum bgp_attr_id)__builtin_ctz(left);
		const struct bgp_attr_row *row = &bgp_attr_table[id];

		if (row->encode && !(row->ebgp_discard && codec->ebgp))
			attr_write(w, id, a, codec);
	}
	wr_bytes(w, a->unknown.p, a->unknown.len);
}

/* Reads one known attribute of the canonical form. */
static bool canonical_known(struct bgp_attrs *a, enum bgp_attr_id id, uint8_t flags, struct rd *value)
{
	const struct bgp_attr_row *row = &bgp_attr_table[id];
	size_t len = rd_left(value);
	uint8_t want = row->flags | (len > UINT8_MAX ? BGP_ATTR_EXTENDED : 0);

	if ((flags & ~BGP_ATTR_PARTIAL) != want || !row->decode || len < row->min_len || len > row->max_len ||
	    (row->unit && len % row->unit) || !row->decode(a, value, &bgp_codec_canonical, NULL))
		return false;
	a->present |= 1u << id;
	if (flags & BGP_ATTR_PARTIAL)
		a->partial |= 1u << id;
	return true;
}

bool bgp_attrs_from_canonical(struct bgp_attrs *a, struct span canonical)
{
	struct rd r = rd_span(canonical), unknown = r;
	int last = -1;
	bool in_unknown = false;

	*a = (struct bgp_attrs){0};
	while (rd_left(&r)) {
		struct rd start = r;
		uint8_t flags = rd_u8(&r), code = rd_u8(&r);
		struct rd value = rd_sub(&r, flags & BGP_ATTR_EXTENDED ? rd_u16(&r) : rd_u8(&r));
		int id = bgp_attr_by_code(code);

		if (r.bad)
			return false;
		if (id < 0 && !in_unknown) {
			in_unknown = true;
			unknown = start;
			last = -1;
		}
		if (code <= last || (id >= 0 && in_unknown))
			return false;
		last = code;
		if (id < 0 && (flags & ~BGP_ATTR_EXTENDED) != (TRANSITIVE | BGP_ATTR_PARTIAL))
			return false;
		if (id >= 0 && !canonical_known(a, (enum bgp_attr_id)id, flags, &value))
			return false;
	}
	if (in_unknown)
		a->unknown = rd_rest(&unknown);
	return true;
}

bool bgp_communities_have(struct span communities, uint32_t community)
{
	struct rd r = rd_span(communities);

	while (rd_left(&r) >= 4)
		if (rd_u32(&r) == community)
			return true;
	return false;
}

bool bgp_large_communities_have(struct span communities, const uint32_t community[3])
{
	struct rd r = rd_span(communities);

	while (rd_left(&r) >= 12) {
		uint32_t global = rd_u32(&r), first = rd_u32(&r), second = rd_u32(&r);

		if (global == community[0] && first == community[1] && second == community[2])
			return true;
	}
	return false;
}

void bgp_attrs_add_community(struct bgp_attrs *a, uint32_t community, struct arena *arena)
{
	struct span old = a->communities;
	struct wr w;

	if (bgp_communities_have(old, community))
		return;
	w = wr_make(arena_alloc(arena, old.len + 4), old.len + 4);
	wr_bytes(&w, old.p, old.len);
	wr_u32(&w, community);
	a->communities = (struct span){w.start, wr_len(&w)};
	a->present |= 1u << BA_COMMUNITIES;
}
