/* TABLE_DUMP_V2, as it is written. */
#include "bgp/mrt/mrt.h"

#include "bgp/mrt/private.h"

const struct mrt_subtype mrt_subtypes[] = {
    {MRT_TABLE_DUMP_V2, 1, "PEER_INDEX_TABLE", MRT_INDEX},
    {MRT_TABLE_DUMP_V2, 2, "RIB_IPV4_UNICAST", MRT_RIB, FAM_IPV4},
    {MRT_TABLE_DUMP_V2, 4, "RIB_IPV6_UNICAST", MRT_RIB, FAM_IPV6},
    {MRT_TABLE_DUMP_V2, 8, "RIB_IPV4_UNICAST_ADDPATH", MRT_RIB, FAM_IPV4, .add_path = true},
    {MRT_TABLE_DUMP_V2, 10, "RIB_IPV6_UNICAST_ADDPATH", MRT_RIB, FAM_IPV6, .add_path = true},
    {MRT_BGP4MP, 1, "BGP4MP_MESSAGE", MRT_MESSAGE},
    {MRT_BGP4MP, 4, "BGP4MP_MESSAGE_AS4", MRT_MESSAGE, .as4 = true},
    {MRT_BGP4MP, 6, "BGP4MP_MESSAGE_LOCAL", MRT_MESSAGE, .local = true},
    {MRT_BGP4MP, 7, "BGP4MP_MESSAGE_AS4_LOCAL", MRT_MESSAGE, .as4 = true, .local = true},
    {MRT_BGP4MP, 8, "BGP4MP_MESSAGE_ADDPATH", MRT_MESSAGE, .add_path = true},
    {MRT_BGP4MP, 9, "BGP4MP_MESSAGE_AS4_ADDPATH", MRT_MESSAGE, .as4 = true, .add_path = true},
    {MRT_BGP4MP, 10, "BGP4MP_MESSAGE_LOCAL_ADDPATH", MRT_MESSAGE, .local = true, .add_path = true},
    {MRT_BGP4MP, 11, "BGP4MP_MESSAGE_AS4_LOCAL_ADDPATH", MRT_MESSAGE, .as4 = true, .local = true, .add_path = true},
};
const unsigned mrt_subtype_count = sizeof mrt_subtypes / sizeof *mrt_subtypes;

static const struct mrt_subtype *subtype_for(enum mrt_kind kind, enum family f, bool add_path)
{
	const struct mrt_subtype *s = mrt_subtypes;

	while (s->kind != kind || s->family != f || s->add_path != add_path)
		s++;
	return s;
}

/* The record's head; the mark is its length. */
static struct wr_mark head_write(struct wr *w, uint32_t time, const struct mrt_subtype *s)
{
	wr_u32(w, time);
	wr_u16(w, s->type);
	wr_u16(w, s->subtype);
	return wr_mark32(w);
}

/* Peer type (bit 0: IPv6, bit 1: 4-octet AS number), BGP identifier, address, AS. */
static void peer_write(struct wr *w, const struct mrt_peer *p)
{
	bool v6 = p->addr.af == AF_INET6;

	wr_u8(w, (uint8_t)(PEER_AS4 | (v6 ? PEER_IPV6 : 0)));
	wr_u32(w, p->router_id);
	wr_bytes(w, p->addr.b, v6 ? 16 : 4);
	wr_u32(w, p->as);
}

void mrt_index_encode(struct wr *w, uint32_t time, uint32_t collector_id, const char *view,
		      const struct mrt_peer *peers, size_t count)
{
	struct wr_mark length = head_write(w, time, subtype_for(MRT_INDEX, FAM_IPV4, false)), name;

	wr_u32(w, collector_id);
	name = wr_mark16(w);
	wr_bytes(w, view, strlen(view));
	wr_close16(w, name);
	if (count > UINT16_MAX)
		w->bad = true;
	wr_u16(w, (uint16_t)count);
	for (size_t i = 0; i < count; i++)
		peer_write(w, &peers[i]);
	wr_close32(w, length);
}

struct mrt_rib_writer mrt_rib_open(struct wr *w, uint32_t time, uint32_t sequence, const struct prefix *prefix,
				   bool add_path)
{
	enum family f = family_of_af(prefix->addr.af);
	struct mrt_rib_writer x = {.start = wr_save(w), .add_path = add_path, .family = f};

	x.length = head_write(w, time, subtype_for(MRT_RIB, f, add_path));
	wr_u32(w, sequence);
	wr_u8(w, prefix->len);
	wr_bytes(w, prefix->addr.b, (prefix->len + 7u) / 8);
	x.count = wr_mark16(w);
	return x;
}

/* NEXT_HOP, or MP_REACH_NLRI without anything but the next hop (4.3.4). */
static void next_hop_write(struct wr *w, const struct bgp_nexthop *nh)
{
	const struct bgp_attr_row *row = &bgp_attr_table[nh->addr.af == AF_INET ? BA_NEXT_HOP : BA_MP_REACH];
	struct wr_mark attr, len;

	wr_u8(w, row->flags);
	wr_u8(w, row->code);
	attr = wr_mark8(w);
	if (nh->addr.af == AF_INET) {
		wr_bytes(w, nh->addr.b, 4);
	} else {
		len = wr_mark8(w);
		wr_bytes(w, nh->addr.b, 16);
		if (!addr_is_none(&nh->link_local))
			wr_bytes(w, nh->link_local.b, 16);
		wr_close8(w, len);
	}
	wr_close8(w, attr);
}

/* An IPv4 next hop of an IPv6 route has no place but MP_REACH_NLRI, and no form there but the mapped one. */
static struct bgp_nexthop next_hop_form(const struct bgp_nexthop *nh, enum family f)
{
	static const uint8_t zero[16];
	struct bgp_nexthop out = *nh;

	if (addr_is_none(&nh->addr)) {
		out.addr = addr_make(family_af(f), zero);
	} else if (f == FAM_IPV6 && nh->addr.af == AF_INET) {
		out.addr = (struct addr){.af = AF_INET6, .b = {[10] = 0xff, [11] = 0xff}};
		memcpy(out.addr.b + 12, nh->addr.b, 4);
	}
	return out;
}

/* The canonical form with the next hop where its type code belongs. */
static void attrs_write(struct wr *w, struct span canonical, const struct bgp_nexthop *nh)
{
	uint8_t code = bgp_attr_table[nh->addr.af == AF_INET ? BA_NEXT_HOP : BA_MP_REACH].code;
	struct rd r = rd_span(canonical), at = r;
	struct attr a;
	size_t before;

	while (attr_next(&a, &r) && a.code < code)
		at = r;
	before = canonical.len - rd_left(&at);
	wr_bytes(w, canonical.p, before);
	next_hop_write(w, nh);
	wr_bytes(w, at.p, rd_left(&at));
}

bool mrt_rib_add(struct wr *w, struct mrt_rib_writer *x, const struct mrt_entry *e, const struct bgp_nexthop *nh)
{
	size_t start = wr_save(w);
	struct bgp_nexthop form = next_hop_form(nh, x->family);
	struct wr_mark len;

	wr_u16(w, e->peer);
	wr_u32(w, e->time);
	if (x->add_path)
		wr_u32(w, e->path_id);
	len = wr_mark16(w);
	attrs_write(w, e->attrs, &form);
	wr_close16(w, len);
	if (w->bad || x->entries == UINT16_MAX) {
		wr_undo(w, start);
		return false;
	}
	x->entries++;
	return true;
}

bool mrt_rib_close(struct wr *w, const struct mrt_rib_writer *x)
{
	if (!x->entries) {
		wr_undo(w, x->start);
		return false;
	}
	wr_fill16(w, x->count, (uint16_t)x->entries);
	wr_close32(w, x->length);
	return true;
}
