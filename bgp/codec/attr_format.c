/* The attributes as people read them. */
#include "bgp/codec/private.h"

static const char *const origin_names[] = {
    [BGP_ORIGIN_IGP] = "IGP", [BGP_ORIGIN_EGP] = "EGP", [BGP_ORIGIN_INCOMPLETE] = "incomplete"};

static const struct {
	uint32_t value;
	const char *name;
} well_known[] = {
    {BGP_COMMUNITY_GRACEFUL_SHUTDOWN, "graceful-shutdown"},
    {BGP_COMMUNITY_LLGR_STALE, "llgr-stale"},
    {BGP_COMMUNITY_NO_LLGR, "no-llgr"},
    {BGP_COMMUNITY_BLACKHOLE, "blackhole"},
    {BGP_COMMUNITY_NO_EXPORT, "no-export"},
    {BGP_COMMUNITY_NO_ADVERTISE, "no-advertise"},
    {BGP_COMMUNITY_NO_EXPORT_SUBCONFED, "no-export-subconfed"},
    {BGP_COMMUNITY_NO_PEER, "no-peer"},
};

static void format_id(struct strbuf *out, uint32_t id)
{
	struct addr a = addr_from_u32(id);
	char text[ADDR_STRLEN];

	strbuf_puts(out, addr_format(&a, text));
}

static void format_hex(struct strbuf *out, struct rd *r, size_t n)
{
	while (n-- > 0)
		strbuf_printf(out, "%02x", rd_u8(r));
}

/* Each unit of a list through one(), blanks between them. */
static void format_list(struct strbuf *out, struct span list, size_t unit, void (*one)(struct strbuf *, struct rd *))
{
	struct rd r = rd_span(list);
	const char *gap = "";

	while (rd_left(&r) >= unit) {
		struct rd item = rd_sub(&r, unit);

		strbuf_puts(out, gap);
		one(out, &item);
		gap = " ";
	}
}

static void format_community(struct strbuf *out, struct rd *r)
{
	uint32_t value = rd_u32(r);

	for (size_t i = 0; i < sizeof well_known / sizeof *well_known; i++) {
		if (well_known[i].value == value) {
			strbuf_puts(out, well_known[i].name);
			return;
		}
	}
	strbuf_printf(out, "%u:%u", value >> 16, value & 0xffff);
}

/* RFC 4360 4 and 5, RFC 5668: route targets and origins of the three usual shapes; all else in hexadecimal. */
static void format_ext_community(struct strbuf *out, struct rd *r)
{
	struct rd whole = *r;
	uint8_t type = rd_u8(r), subtype = rd_u8(r);
	const char *kind = subtype == 2 ? "rt" : "soo";

	if ((subtype != 2 && subtype != 3) || type > 2) {
		format_hex(out, &whole, 8);
		return;
	}
	strbuf_printf(out, "%s:", kind);
	if (type == 0) {
		strbuf_printf(out, "%u:", rd_u16(r));
		strbuf_printf(out, "%u", rd_u32(r));
		return;
	}
	if (type == 1)
		format_id(out, rd_u32(r));
	else
		strbuf_printf(out, "%u", rd_u32(r));
	strbuf_printf(out, ":%u", rd_u16(r));
}

static void format_large_community(struct strbuf *out, struct rd *r)
{
	strbuf_printf(out, "%u", rd_u32(r));
	strbuf_printf(out, ":%u", rd_u32(r));
	strbuf_printf(out, ":%u", rd_u32(r));
}

static void format_cluster(struct strbuf *out, struct rd *r)
{
	format_id(out, rd_u32(r));
}

static void format_rest(struct strbuf *out, struct rd *r)
{
	format_hex(out, r, rd_left(r));
}

ATTR_FORMATTER(origin)
{
	strbuf_puts(out, a->origin <= BGP_ORIGIN_INCOMPLETE ? origin_names[a->origin] : "?");
}

ATTR_FORMATTER(as_path)
{
	as_path_format(out, a->as_path);
}

ATTR_FORMATTER(next_hop)
{
	char text[ADDR_STRLEN];

	strbuf_puts(out, addr_format(&a->next_hop.addr, text));
	if (!addr_is_none(&a->next_hop.link_local))
		strbuf_printf(out, " %s", addr_format(&a->next_hop.link_local, text));
}

ATTR_FORMATTER(med)
{
	strbuf_printf(out, "%u", a->med);
}

ATTR_FORMATTER(local_pref)
{
	strbuf_printf(out, "%u", a->local_pref);
}

ATTR_FORMATTER(atomic_aggregate)
{
	strbuf_puts(out, bgp_attrs_have(a, BA_ATOMIC_AGGREGATE) ? "set" : "not set");
}

ATTR_FORMATTER(aggregator)
{
	strbuf_printf(out, "%u ", a->aggregator_as);
	format_id(out, a->aggregator_id);
}

ATTR_FORMATTER(communities)
{
	format_list(out, a->communities, 4, format_community);
}

ATTR_FORMATTER(originator_id)
{
	format_id(out, a->originator_id);
}

ATTR_FORMATTER(cluster_list)
{
	format_list(out, a->cluster_list, 4, format_cluster);
}

ATTR_FORMATTER(ext_communities)
{
	format_list(out, a->ext_communities, 8, format_ext_community);
}

ATTR_FORMATTER(ipv6_ext_communities)
{
	format_list(out, a->ipv6_ext_communities, 20, format_rest);
}

ATTR_FORMATTER(aigp)
{
	struct rd r = rd_span(a->aigp);

	format_rest(out, &r);
}

ATTR_FORMATTER(large_communities)
{
	format_list(out, a->large_communities, 12, format_large_community);
}

ATTR_FORMATTER(otc)
{
	strbuf_printf(out, "%u", a->otc);
}

ATTR_FORMATTER(prefix_sid)
{
	struct rd r = rd_span(a->prefix_sid);

	format_rest(out, &r);
}
