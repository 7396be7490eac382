/* Encoding UPDATEs. MP_REACH_NLRI and MP_UNREACH_NLRI stand first among the attributes (RFC 7606 5.1), so that a
 * receiver knows the routes whatever is wrong behind them. */
#include "bgp/codec/private.h"
#include "bgp/codec/update.h"

/* An MP attribute's length is known only when its routes are in: always the 2-octet form. */
#define MP_FLAGS (BGP_ATTR_OPTIONAL | BGP_ATTR_EXTENDED)

/* How many octets the message may still grow by, without what is reserved for its end. */
static size_t budget(const struct wr *w, size_t start, const struct bgp_codec *codec, size_t reserved)
{
	size_t max = codec->max_message ? codec->max_message : BGP_MAX_MESSAGE, used = wr_len(w) - start;
	size_t left = max > used ? max - used : 0, room = wr_room(w);

	left = left < room ? left : room;
	return left > reserved ? left - reserved : 0;
}

size_t bgp_nlri_write(struct wr *w, size_t left, bool add_path, const struct bgp_nlri *nlri, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		size_t bytes = (nlri[i].prefix.len + 7u) / 8, need = (add_path ? 4 : 0) + 1 + bytes;

		if (need > left)
			break;
		left -= need;
		if (add_path)
			wr_u32(w, nlri[i].path_id);
		wr_u8(w, nlri[i].prefix.len);
		wr_bytes(w, nlri[i].prefix.addr.b, bytes);
	}
	return i;
}

/* Ends the message; one without any prefix in it is taken back, and the writer is bad. */
static size_t message_end(struct wr *w, size_t start, struct wr_mark header, size_t done)
{
	bgp_header_close(w, header);
	if (w->bad || done == 0) {
		wr_undo(w, start);
		w->bad = true;
		return 0;
	}
	return done;
}

/* 4, 16 or 32 octets. An IPv4 next hop of IPv6 routes is written IPv4-mapped: there is no other form. */
static void next_hop_write(struct wr *w, enum family f, const struct bgp_nexthop *nh)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct wr_mark len = wr_mark8(w);

	if (addr_is_none(&nh->addr))
		w->bad = true;
	if (f == FAM_IPV6 && nh->addr.af == AF_INET)
		wr_bytes(w, mapped, sizeof mapped);
	wr_bytes(w, nh->addr.b, addr_bytes(nh->addr.af));
	if (nh->addr.af == AF_INET6 && !addr_is_none(&nh->link_local))
		wr_bytes(w, nh->link_local.b, 16);
	wr_close8(w, len);
}

static struct wr_mark mp_begin(struct wr *w, enum bgp_attr_id id, enum family f)
{
	struct wr_mark len;

	wr_u8(w, MP_FLAGS);
	wr_u8(w, bgp_attr_table[id].code);
	len = wr_mark16(w);
	wr_u16(w, bgp_afi(f));
	wr_u8(w, BGP_SAFI_UNICAST);
	return len;
}

/* How many octets the attributes besides MP_REACH_NLRI take. */
static size_t attrs_size(struct wr *w, const struct bgp_attrs *a, const struct bgp_codec *codec)
{
	size_t start = wr_save(w), size;
	bool fits;

	bgp_attrs_encode(w, a, codec, false);
	fits = !w->bad;
	size = wr_len(w) - start;
	wr_undo(w, start);
	w->bad = !fits;
	return size;
}

static size_t reach_classic(struct wr *w, const struct bgp_codec *codec, const struct bgp_attrs *a,
			    const struct bgp_nlri *nlri, size_t n)
{
	size_t start = wr_save(w);
	struct wr_mark header = bgp_header_write(w, BGP_UPDATE), len;

	wr_u16(w, 0); /* nothing withdrawn */
	len = wr_mark16(w);
	bgp_attrs_encode(w, a, codec, true);
	wr_close16(w, len);
	n = bgp_nlri_write(w, budget(w, start, codec, 0), codec->add_path_tx >> FAM_IPV4 & 1, nlri, n);
	return message_end(w, start, header, n);
}

static size_t reach_mp(struct wr *w, const struct bgp_codec *codec, enum family f, const struct bgp_attrs *a,
		       const struct bgp_nlri *nlri, size_t n)
{
	size_t start = wr_save(w), reserved = attrs_size(w, a, codec);
	struct wr_mark header = bgp_header_write(w, BGP_UPDATE), len, mp;

	wr_u16(w, 0);
	len = wr_mark16(w);
	mp = mp_begin(w, BA_MP_REACH, f);
	next_hop_write(w, f, &a->next_hop);
	wr_u8(w, 0);
	n = bgp_nlri_write(w, budget(w, start, codec, reserved), codec->add_path_tx >> f & 1, nlri, n);
	wr_close16(w, mp);
	bgp_attrs_encode(w, a, codec, false);
	wr_close16(w, len);
	return message_end(w, start, header, n);
}

size_t bgp_update_encode_reach(struct wr *w, const struct bgp_codec *codec, enum family f, const struct bgp_attrs *a,
			       const struct bgp_nlri *nlri, size_t n)
{
	if (f == FAM_IPV4 && a->next_hop.addr.af == AF_INET)
		return reach_classic(w, codec, a, nlri, n);
	return reach_mp(w, codec, f, a, nlri, n);
}

size_t bgp_update_encode_unreach(struct wr *w, const struct bgp_codec *codec, enum family f,
				 const struct bgp_nlri *nlri, size_t n)
{
	bool classic = f == FAM_IPV4;
	size_t start = wr_save(w);
	struct wr_mark header = bgp_header_write(w, BGP_UPDATE), len, mp = {0};

	if (!classic)
		wr_u16(w, 0);
	len = wr_mark16(w);
	if (!classic)
		mp = mp_begin(w, BA_MP_UNREACH, f);
	/* The classic form has an empty attribute field behind the routes. */
	n = bgp_nlri_write(w, budget(w, start, codec, classic ? 2 : 0), codec->add_path_tx >> f & 1, nlri, n);
	if (!classic)
		wr_close16(w, mp);
	wr_close16(w, len);
	if (classic)
		wr_u16(w, 0);
	return message_end(w, start, header, n);
}

void bgp_update_encode_end_of_rib(struct wr *w, enum family f)
{
	struct wr_mark header = bgp_header_write(w, BGP_UPDATE), len;

	wr_u16(w, 0);
	len = wr_mark16(w);
	if (f != FAM_IPV4)
		wr_close16(w, mp_begin(w, BA_MP_UNREACH, f));
	wr_close16(w, len);
	bgp_header_close(w, header);
}
