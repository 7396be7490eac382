/* How each attribute's value is read and written: the functions behind the rows of the table in attr.c. The generic
 * code has already checked flags and length against the row, and keeps account of `present`. */
#include "bgp/codec/private.h"

/* A value that is one number, and one that is kept as it is. */
#define NUMBER(name)                     \
	ATTR_DECODER(name)               \
	{                                \
		a->name = rd_u32(value); \
		return rd_done(value);   \
	}                                \
	ATTR_ENCODER(name)               \
	{                                \
		wr_u32(w, a->name);      \
	}
#define BYTES_ENCODER(name)                          \
	ATTR_ENCODER(name)                           \
	{                                            \
		wr_bytes(w, a->name.p, a->name.len); \
	}
#define BYTES(name)                       \
	ATTR_DECODER(name)                \
	{                                 \
		a->name = rd_rest(value); \
		return true;              \
	}                                 \
	BYTES_ENCODER(name)

NUMBER(med)
NUMBER(local_pref)
NUMBER(originator_id)
NUMBER(otc)
BYTES(communities)
BYTES(cluster_list)
BYTES(ext_communities)
BYTES(ipv6_ext_communities)
BYTES(large_communities)
BYTES_ENCODER(aigp)
BYTES_ENCODER(prefix_sid)

ATTR_DECODER(origin)
{
	a->origin = rd_u8(value);
	return rd_done(value) && a->origin <= BGP_ORIGIN_INCOMPLETE;
}

ATTR_ENCODER(origin)
{
	wr_u8(w, a->origin);
}

ATTR_DECODER(as_path)
{
	struct span path = rd_rest(value);

	if (as_path_check(path, codec->as4 ? 4 : 2, !codec->ebgp) != AS_PATH_FINE)
		return false;
	a->as_path = codec->as4 || path.len == 0 ? path : as_path_widen(path, arena);
	return true;
}

ATTR_ENCODER(as_path)
{
	if (codec->as4)
		wr_bytes(w, a->as_path.p, a->as_path.len);
	else
		as_path_write_narrow(w, a->as_path);
}

ATTR_ENCODER(as4_path)
{
	as_path_write_as4(w, a->as_path);
}

/* Whether the address makes sense is judged where it is used: beside MP_REACH_NLRI it does not matter at all. */
ATTR_DECODER(next_hop)
{
	const uint8_t *b = rd_take(value, 4);

	if (!b || !rd_done(value))
		return false;
	a->next_hop = (struct bgp_nexthop){.addr = addr_make(AF_INET, b)};
	return true;
}

ATTR_ENCODER(next_hop)
{
	wr_bytes(w, a->next_hop.addr.b, 4);
}

ATTR_DECODER(atomic_aggregate)
{
	return rd_done(value);
}

ATTR_ENCODER(atomic_aggregate)
{
	/* Its presence is all it says. */
}

ATTR_DECODER(aggregator)
{
	uint32_t as = codec->as4 ? rd_u32(value) : rd_u16(value), id = rd_u32(value);

	if (!rd_done(value) || as == 0) /* AS 0: RFC 7607 2 */
		return false;
	a->aggregator_as = as;
	a->aggregator_id = id;
	return true;
}

ATTR_ENCODER(aggregator)
{
	if (codec->as4)
		wr_u32(w, a->aggregator_as);
	else
		wr_u16(w, (uint16_t)(a->aggregator_as > UINT16_MAX ? BGP_AS_TRANS : a->aggregator_as));
	wr_u32(w, a->aggregator_id);
}

ATTR_ENCODER(as4_aggregator)
{
	wr_u32(w, a->aggregator_as);
	wr_u32(w, a->aggregator_id);
}

/* RFC 7311 3: TLVs whose 2-octet length counts their 3-octet head; the AIGP TLV (1) is 11 octets. */
ATTR_DECODER(aigp)
{
	struct rd r = *value;

	while (rd_left(&r)) {
		uint8_t type = rd_u8(&r);
		unsigned len = rd_u16(&r);

		if (len < 3 || (type == 1 && len != 11))
			return false;
		rd_take(&r, len - 3);
	}
	a->aigp = rd_rest(value);
	return rd_done(&r);
}

/* RFC 8669 3: TLVs whose 2-octet length counts the value alone; Label-Index (1) has 7 octets, Originator SRGB (3) has
 * 2 of flags and any number of 6-octet ranges. */
ATTR_DECODER(prefix_sid)
{
	struct rd r = *value;

	while (rd_left(&r)) {
		uint8_t type = rd_u8(&r);
		unsigned len = rd_u16(&r);

		if ((type == 1 && len != 7) || (type == 3 && (len < 8 || (len - 2) % 6 != 0)))
			return false;
		rd_take(&r, len);
	}
	a->prefix_sid = rd_rest(value);
	return rd_done(&r);
}
