/* From a table's entries back to UPDATEs. */
#include "bgp/mrt/mrt.h"

#include "bgp/mrt/private.h"

static uint8_t code_of(enum bgp_attr_id id)
{
	return bgp_attr_table[id].code;
}

/* The next hop in an MP_REACH_NLRI: its length and octets alone, or behind family and subsequent family, which no
 * length can be mistaken for. */
static struct span mp_next_hop(struct span value)
{
	struct rd r = rd_span(value);

	if (value.len && value.p[0] == 0)
		rd_take(&r, 3);
	return rd_take_span(&r, rd_u8(&r));
}

/* Is it to be copied? What says where the routes are is written anew, and one next hop is enough. */
static bool is_copied(uint8_t code, bool mp)
{
	return code != code_of(BA_MP_REACH) && code != code_of(BA_MP_UNREACH) && !(mp && code == code_of(BA_NEXT_HOP));
}

/* How many octets are copied, and the next hop of MP_REACH_NLRI if there is one. False if the list is malformed. */
static bool measure(struct span attrs, bool *mp, struct span *next_hop, size_t *copied)
{
	struct rd r = rd_span(attrs);
	struct attr a;

	while (attr_next(&a, &r)) {
		if (a.code != code_of(BA_MP_REACH))
			continue;
		*mp = true;
		*next_hop = mp_next_hop(a.value);
		if (!next_hop->len)
			return false;
	}
	if (r.bad)
		return false;
	*copied = 0;
	for (r = rd_span(attrs); attr_next(&a, &r);)
		*copied += is_copied(a.code, *mp) ? a.whole.len : 0;
	return true;
}

static void copy(struct wr *w, struct span attrs, bool mp)
{
	struct rd r = rd_span(attrs);
	struct attr a;

	while (attr_next(&a, &r))
		if (is_copied(a.code, mp))
			wr_bytes(w, a.whole.p, a.whole.len);
}

static size_t left(const struct wr *w, size_t start, const struct bgp_codec *codec, size_t reserved)
{
	size_t used = wr_len(w) - start + reserved, max = codec->max_message ? codec->max_message : BGP_MAX_MESSAGE;

	return used < max ? max - used : 0;
}

size_t mrt_update_encode(struct wr *w, const struct bgp_codec *codec, enum family f, struct span attrs,
			 const struct bgp_nlri *nlri, size_t n)
{
	size_t start = wr_save(w), copied, done = 0;
	bool mp = f != FAM_IPV4, with_id = codec->add_path_tx >> f & 1;
	struct span next_hop = {0};
	struct wr_mark header, len, attr;

	if (!measure(attrs, &mp, &next_hop, &copied) || (mp && !next_hop.len)) {
		w->bad = true;
		return 0;
	}
	header = bgp_header_write(w, BGP_UPDATE);
	wr_u16(w, 0); /* nothing withdrawn */
	len = wr_mark16(w);
	if (mp) {
		/* RFC 4760 3: family, next hop, a reserved octet, routes. */
		wr_u8(w, BGP_ATTR_OPTIONAL | BGP_ATTR_EXTENDED);
		wr_u8(w, code_of(BA_MP_REACH));
		attr = wr_mark16(w);
		wr_u16(w, bgp_afi(f));
		wr_u8(w, BGP_SAFI_UNICAST);
		wr_u8(w, (uint8_t)next_hop.len);
		wr_bytes(w, next_hop.p, next_hop.len);
		wr_u8(w, 0);
		done = bgp_nlri_write(w, left(w, start, codec, copied), with_id, nlri, n);
		wr_close16(w, attr);
	}
	copy(w, attrs, mp);
	wr_close16(w, len);
	if (!mp)
		done = bgp_nlri_write(w, left(w, start, codec, 0), with_id, nlri, n);
	bgp_header_close(w, header);
	if (w->bad || !done) {
		wr_undo(w, start);
		w->bad = true;
		return 0;
	}
	return done;
}
