#include "fib/rtmsg.h"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

/* ---- reading ---- */

/* The payload behind the fixed header of a message, parsed into tb (max + 1 entries). */
static bool parse(const struct nlmsghdr *h, size_t header, struct nlattr **tb, int max)
{
	/* libnl's parser takes the header without const, and does not write to it. */
	struct nlmsghdr *hdr = (struct nlmsghdr *)(uintptr_t)h;

	return nlmsg_valid_hdr(hdr, (int)header) && nlmsg_parse(hdr, (int)header, tb, max, NULL) >= 0;
}

static bool get_u32(struct nlattr *a, uint32_t *v)
{
	if (!a || nla_len(a) < 4)
		return false;
	*v = nla_get_u32(a);
	return true;
}

static bool get_addr(struct nlattr *a, uint8_t af, struct addr *out)
{
	if (!a || addr_bytes(af) == 0 || nla_len(a) < (int)addr_bytes(af))
		return false;
	*out = addr_make(af, nla_data(a));
	return true;
}

/* The gateway of a route or of one of its hops: in the route's own family, or in any (RFC 5549). */
static bool get_gateway(struct nlattr **tb, uint8_t af, struct addr *out)
{
	const struct rtvia *via;

	if (tb[RTA_GATEWAY])
		return get_addr(tb[RTA_GATEWAY], af, out);
	if (!tb[RTA_VIA])
		return true;
	via = nla_data(tb[RTA_VIA]);
	if (nla_len(tb[RTA_VIA]) < (int)sizeof *via)
		return false;
	af = (uint8_t)via->rtvia_family;
	if (addr_bytes(af) == 0 || nla_len(tb[RTA_VIA]) < (int)(sizeof *via + addr_bytes(af)))
		return false;
	*out = addr_make(af, via->rtvia_addr);
	return true;
}

static bool has_content(struct nlattr *a)
{
	return a && nla_len(a) > 0;
}

/* A list of rtnexthop, each followed by its own attributes. */
static bool parse_multipath(struct nlattr *mp, uint8_t af, struct nhset_draft *to)
{
	struct rd r = rd_make(nla_data(mp), (size_t)nla_len(mp));

	while (rd_left(&r)) {
		struct nlattr *tb[RTA_MAX + 1];
		struct rtnexthop nh;
		struct span attrs;
		struct nhop hop = {0};

		rd_bytes(&r, &nh, sizeof nh);
		if (r.bad || nh.rtnh_len < sizeof nh)
			return false;
		attrs = rd_take_span(&r, nh.rtnh_len - sizeof nh);
		if (r.bad || nla_parse(tb, RTA_MAX, (struct nlattr *)(uintptr_t)attrs.p, (int)attrs.len, NULL) < 0 ||
		    !get_gateway(tb, af, &hop.gateway))
			return false;
		hop.ifindex = (uint32_t)nh.rtnh_ifindex;
		hop.weight = nh.rtnh_hops;
		hop.onlink = (nh.rtnh_flags & RTNH_F_ONLINK) != 0;
		if (tb[RTA_ENCAP])
			to->key.odd = 1;
		nhset_draft_add(to, &hop);
	}
	return true;
}

/* A route that rejects leads nowhere: an IPv6 blackhole names the loopback interface, which says nothing. */
static bool is_rejecting(uint8_t type)
{
	return type == RTN_BLACKHOLE || type == RTN_UNREACHABLE || type == RTN_PROHIBIT || type == RTN_THROW;
}

static bool parse_hops(struct nlattr **tb, const struct rtmsg *rtm, struct nhset_draft *to)
{
	struct nhop hop = {.onlink = (rtm->rtm_flags & RTNH_F_ONLINK) != 0};

	if (is_rejecting(rtm->rtm_type))
		return true;
	if (tb[RTA_MULTIPATH])
		return parse_multipath(tb[RTA_MULTIPATH], rtm->rtm_family, to);
	if (!get_gateway(tb, rtm->rtm_family, &hop.gateway))
		return false;
	get_u32(tb[RTA_OIF], &hop.ifindex);
	nhset_draft_add(to, &hop);
	return true;
}

bool rtmsg_parse_route(const struct nlmsghdr *h, struct rtmsg_route *r)
{
	struct nlattr *tb[RTA_MAX + 1];
	const struct rtmsg *rtm = nlmsg_data(h);
	struct addr dst = {0};

	if (!parse(h, sizeof *rtm, tb, RTA_MAX) || addr_bytes(rtm->rtm_family) == 0)
		return false;
	memset(&r->to.key, 0, sizeof r->to.key);
	r->to.key.af = dst.af = rtm->rtm_family;
	r->to.key.protocol = rtm->rtm_protocol;
	r->to.key.type = rtm->rtm_type;
	r->to.key.scope = rtm->rtm_family == AF_INET ? rtm->rtm_scope : 0;
	r->to.key.table = rtmsg_route_table(h);
	if (tb[RTA_DST] && !get_addr(tb[RTA_DST], rtm->rtm_family, &dst))
		return false;
	r->prefix = prefix_make(&dst, rtm->rtm_dst_len);
	r->metric = 0;
	get_u32(tb[RTA_PRIORITY], &r->metric);
	r->tos = rtm->rtm_tos;
	r->cloned = (rtm->rtm_flags & RTM_F_CLONED) != 0;
	get_addr(tb[RTA_PREFSRC], rtm->rtm_family, &r->to.key.source);
	r->to.key.odd = has_content(tb[RTA_METRICS]) || tb[RTA_ENCAP] || tb[RTA_NH_ID] || rtm->rtm_src_len;
	return parse_hops(tb, rtm, &r->to);
}

uint32_t rtmsg_route_table(const struct nlmsghdr *h)
{
	struct rtmsg *rtm = nlmsg_data(h);
	struct nlattr *a;
	uint32_t table;

	if (!nlmsg_valid_hdr(h, sizeof *rtm))
		return RT_TABLE_UNSPEC;
	if (rtm->rtm_table != RT_TABLE_COMPAT && rtm->rtm_table != RT_TABLE_UNSPEC)
		return rtm->rtm_table;
	a = nlmsg_find_attr((struct nlmsghdr *)(uintptr_t)h, sizeof *rtm, RTA_TABLE);
	return get_u32(a, &table) ? table : rtm->rtm_table;
}

static void parse_vxlan(struct nlattr *data, struct rtmsg_link *l)
{
	struct nlattr *tb[IFLA_VXLAN_MAX + 1];

	if (nla_parse_nested(tb, IFLA_VXLAN_MAX, data, NULL) < 0)
		return;
	get_u32(tb[IFLA_VXLAN_ID], &l->vni);
	if (tb[IFLA_VXLAN_PORT] && nla_len(tb[IFLA_VXLAN_PORT]) == 2)
		l->port = ntohs(nla_get_u16(tb[IFLA_VXLAN_PORT]));
	l->learning =
	    tb[IFLA_VXLAN_LEARNING] && nla_len(tb[IFLA_VXLAN_LEARNING]) == 1 && nla_get_u8(tb[IFLA_VXLAN_LEARNING]);
	if (tb[IFLA_VXLAN_LOCAL])
		get_addr(tb[IFLA_VXLAN_LOCAL], AF_INET, &l->local);
	else if (tb[IFLA_VXLAN_LOCAL6])
		get_addr(tb[IFLA_VXLAN_LOCAL6], AF_INET6, &l->local);
}

static void parse_vrf(struct nlattr *data, struct rtmsg_link *l)
{
	struct nlattr *tb[IFLA_VRF_MAX + 1];

	if (nla_parse_nested(tb, IFLA_VRF_MAX, data, NULL) >= 0)
		get_u32(tb[IFLA_VRF_TABLE], &l->vrf_table);
}

static void parse_link_info(struct nlattr *info, struct rtmsg_link *l)
{
	struct nlattr *tb[IFLA_INFO_MAX + 1];

	if (!info || nla_parse_nested(tb, IFLA_INFO_MAX, info, NULL) < 0 || !tb[IFLA_INFO_KIND])
		return;
	nla_strlcpy(l->kind, tb[IFLA_INFO_KIND], sizeof l->kind);
	if (strcmp(l->kind, "vxlan") == 0 && tb[IFLA_INFO_DATA])
		parse_vxlan(tb[IFLA_INFO_DATA], l);
	if (strcmp(l->kind, "vrf") == 0 && tb[IFLA_INFO_DATA])
		parse_vrf(tb[IFLA_INFO_DATA], l);
}

bool rtmsg_parse_link(const struct nlmsghdr *h, struct rtmsg_link *l)
{
	struct nlattr *tb[IFLA_MAX + 1];
	const struct ifinfomsg *ifi = nlmsg_data(h);

	/* AF_BRIDGE messages speak of bridge ports: a port that leaves its bridge is "deleted" but still a link. */
	if (!parse(h, sizeof *ifi, tb, IFLA_MAX) || ifi->ifi_family != AF_UNSPEC || !tb[IFLA_IFNAME])
		return false;
	*l = (struct rtmsg_link){.ifindex = (uint32_t)ifi->ifi_index, .flags = ifi->ifi_flags};
	nla_strlcpy(l->name, tb[IFLA_IFNAME], sizeof l->name);
	get_u32(tb[IFLA_MTU], &l->mtu);
	get_u32(tb[IFLA_MASTER], &l->master);
	if (tb[IFLA_ADDRESS] && nla_len(tb[IFLA_ADDRESS]) == 6)
		memcpy(l->mac, nla_data(tb[IFLA_ADDRESS]), 6);
	parse_link_info(tb[IFLA_LINKINFO], l);
	return true;
}

bool rtmsg_parse_addr(const struct nlmsghdr *h, struct rtmsg_addr *a)
{
	struct nlattr *tb[IFA_MAX + 1];
	const struct ifaddrmsg *ifa = nlmsg_data(h);

	if (!parse(h, sizeof *ifa, tb, IFA_MAX))
		return false;
	*a = (struct rtmsg_addr){.ifindex = ifa->ifa_index, .len = ifa->ifa_prefixlen};
	/* On a point-to-point interface IFA_ADDRESS is the other side. */
	return get_addr(tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS], ifa->ifa_family, &a->addr);
}

/* Forwarding entries name their destination in either family. */
static uint8_t neigh_af(const struct ndmsg *ndm, struct nlattr *dst)
{
	if (ndm->ndm_family != AF_BRIDGE)
		return ndm->ndm_family;
	return nla_len(dst) == 16 ? AF_INET6 : AF_INET;
}

bool rtmsg_parse_neigh(const struct nlmsghdr *h, struct rtmsg_neigh *n)
{
	struct nlattr *tb[NDA_MAX + 1];
	const struct ndmsg *ndm = nlmsg_data(h);

	if (!parse(h, sizeof *ndm, tb, NDA_MAX))
		return false;
	*n = (struct rtmsg_neigh){.ifindex = (uint32_t)ndm->ndm_ifindex, .state = ndm->ndm_state};
	n->fdb = ndm->ndm_family == AF_BRIDGE;
	/* Forwarding tables of bridges have entries without a destination. */
	if (!tb[NDA_DST] || !get_addr(tb[NDA_DST], neigh_af(ndm, tb[NDA_DST]), &n->addr))
		return false;
	if (tb[NDA_LLADDR] && nla_len(tb[NDA_LLADDR]) == 6) {
		memcpy(n->mac, nla_data(tb[NDA_LLADDR]), 6);
		n->has_mac = true;
	}
	return true;
}

/* ---- writing: host byte order, attributes padded to four bytes ---- */

static void put_bytes(struct wr *w, const void *data, size_t len)
{
	static const uint8_t zero[RTA_ALIGNTO];

	wr_bytes(w, data, len);
	wr_bytes(w, zero, RTA_ALIGN(len) - len);
}

static void put_attr(struct wr *w, uint16_t type, const void *data, size_t len)
{
	struct rtattr a = {.rta_len = (unsigned short)RTA_LENGTH(len), .rta_type = type};

	put_bytes(w, &a, sizeof a);
	put_bytes(w, data, len);
}

static void put_u32(struct wr *w, uint16_t type, uint32_t v)
{
	put_attr(w, type, &v, sizeof v);
}

static void put_addr(struct wr *w, uint16_t type, const struct addr *a)
{
	put_attr(w, type, a->b, addr_bytes(a->af));
}

static void put_gateway(struct wr *w, uint8_t af, const struct addr *gateway)
{
	uint8_t via[sizeof(struct rtvia) + 16];
	uint16_t gateway_af = gateway->af;

	if (addr_is_none(gateway))
		return;
	if (gateway->af == af) {
		put_addr(w, RTA_GATEWAY, gateway);
		return;
	}
	memcpy(via, &gateway_af, sizeof gateway_af);
	memcpy(via + sizeof gateway_af, gateway->b, addr_bytes(gateway->af));
	put_attr(w, RTA_VIA, via, sizeof gateway_af + addr_bytes(gateway->af));
}

/* rtnexthop and its attributes; both lengths are filled in when they are known. */
static void put_multipath(struct wr *w, const struct nhset *to)
{
	struct rtattr outer = {.rta_type = RTA_MULTIPATH};
	size_t start = wr_save(w);

	put_bytes(w, &outer, sizeof outer);
	for (unsigned i = 0; i < to->key.count && !w->bad; i++) {
		const struct nhop *hop = &to->hop[i];
		struct rtnexthop nh = {.rtnh_hops = hop->weight, .rtnh_ifindex = (int)hop->ifindex};
		size_t at = wr_save(w);

		nh.rtnh_flags = hop->onlink ? RTNH_F_ONLINK : 0;
		put_bytes(w, &nh, sizeof nh);
		put_gateway(w, to->key.af, &hop->gateway);
		nh.rtnh_len = (unsigned short)(wr_len(w) - at);
		if (!w->bad)
			memcpy(w->start + at, &nh, sizeof nh);
	}
	outer.rta_len = (unsigned short)(wr_len(w) - start);
	if (!w->bad)
		memcpy(w->start + start, &outer, sizeof outer);
}

static void put_hops(struct wr *w, const struct nhset *to)
{
	if (to->key.count > 1) {
		put_multipath(w, to);
	} else if (to->key.count == 1) {
		put_gateway(w, to->key.af, &to->hop[0].gateway);
		put_u32(w, RTA_OIF, to->hop[0].ifindex);
	}
}

static void put_key(struct wr *w, const struct rtmsg *rtm, const struct prefix *p, uint32_t metric, uint32_t table)
{
	put_bytes(w, rtm, sizeof *rtm);
	put_addr(w, RTA_DST, &p->addr);
	if (table > UINT8_MAX)
		put_u32(w, RTA_TABLE, table);
	if (metric)
		put_u32(w, RTA_PRIORITY, metric);
}

void rtmsg_put_route(struct wr *w, const struct prefix *p, uint32_t metric, const struct nhset *to)
{
	struct rtmsg rtm = {.rtm_family = p->addr.af,
			    .rtm_dst_len = p->len,
			    .rtm_table = to->key.table > UINT8_MAX ? RT_TABLE_COMPAT : (unsigned char)to->key.table,
			    .rtm_protocol = to->key.protocol,
			    .rtm_scope = to->key.scope,
			    .rtm_type = to->key.type};

	if (to->key.count == 1 && to->hop[0].onlink)
		rtm.rtm_flags = RTNH_F_ONLINK;
	put_key(w, &rtm, p, metric, to->key.table);
	put_hops(w, to);
}

/* The protocol is named, so that a route somebody else put there meanwhile is not hit. */
void rtmsg_put_route_removal(struct wr *w, const struct prefix *p, uint32_t metric, const struct nhset *to, bool exact)
{
	struct rtmsg rtm = {.rtm_family = p->addr.af,
			    .rtm_dst_len = p->len,
			    .rtm_table = to->key.table > UINT8_MAX ? RT_TABLE_COMPAT : (unsigned char)to->key.table,
			    .rtm_protocol = to->key.protocol,
			    .rtm_scope = RT_SCOPE_NOWHERE,
			    .rtm_type = to->key.type};

	put_key(w, &rtm, p, metric, to->key.table);
	if (exact)
		put_hops(w, to);
}

void rtmsg_put_neigh(struct wr *w, const struct addr *a, uint32_t ifindex, const uint8_t mac[static 6], bool fdb)
{
	struct ndmsg ndm = {
	    .ndm_family = fdb ? AF_BRIDGE : a->af,
	    .ndm_ifindex = (int)ifindex,
	    .ndm_state = fdb ? NUD_PERMANENT | NUD_NOARP : NUD_PERMANENT,
	    .ndm_flags = fdb ? NTF_SELF : 0,
	    .ndm_type = fdb ? 0 : RTN_UNICAST,
	};

	put_bytes(w, &ndm, sizeof ndm);
	put_addr(w, NDA_DST, a);
	put_attr(w, NDA_LLADDR, mac, 6);
}

/* An attribute of attributes: its length is known at its end. */
static size_t nest_begin(struct wr *w, uint16_t type)
{
	struct rtattr a = {.rta_type = type};
	size_t at = wr_save(w);

	put_bytes(w, &a, sizeof a);
	return at;
}

static void nest_end(struct wr *w, size_t at)
{
	unsigned short len = (unsigned short)(wr_len(w) - at);

	if (!w->bad)
		memcpy(w->start + at, &len, sizeof len);
}

static void put_vxlan_end(struct wr *w, const struct rtmsg_link *l)
{
	put_u32(w, IFLA_VXLAN_ID, l->vni);
	if (!addr_is_none(&l->local))
		put_addr(w, l->local.af == AF_INET ? IFLA_VXLAN_LOCAL : IFLA_VXLAN_LOCAL6, &l->local);
}

static void put_vxlan(struct wr *w, const struct rtmsg_link *l)
{
	uint16_t port = htons(l->port);
	uint8_t learning = l->learning;

	put_vxlan_end(w, l);
	put_attr(w, IFLA_VXLAN_PORT, &port, sizeof port);
	put_attr(w, IFLA_VXLAN_LEARNING, &learning, sizeof learning);
}

void rtmsg_put_link_creation(struct wr *w, const struct rtmsg_link *l)
{
	static const uint8_t no_mac[6];
	struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	size_t info, data;

	put_bytes(w, &ifi, sizeof ifi);
	put_attr(w, IFLA_IFNAME, l->name, strlen(l->name) + 1);
	if (l->mtu)
		put_u32(w, IFLA_MTU, l->mtu);
	if (memcmp(l->mac, no_mac, 6) != 0)
		put_attr(w, IFLA_ADDRESS, l->mac, 6);
	info = nest_begin(w, IFLA_LINKINFO);
	put_attr(w, IFLA_INFO_KIND, l->kind, strlen(l->kind));
	data = nest_begin(w, IFLA_INFO_DATA);
	if (strcmp(l->kind, "vxlan") == 0)
		put_vxlan(w, l);
	nest_end(w, data);
	nest_end(w, info);
}

void rtmsg_put_vxlan_local(struct wr *w, const struct rtmsg_link *l)
{
	struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC, .ifi_index = (int)l->ifindex};
	size_t info, data;

	put_bytes(w, &ifi, sizeof ifi);
	info = nest_begin(w, IFLA_LINKINFO);
	put_attr(w, IFLA_INFO_KIND, l->kind, strlen(l->kind));
	data = nest_begin(w, IFLA_INFO_DATA);
	put_vxlan_end(w, l);
	nest_end(w, data);
	nest_end(w, info);
}

void rtmsg_put_link_change(struct wr *w, uint32_t ifindex, uint32_t mtu, const uint8_t *mac)
{
	struct ifinfomsg ifi = {
	    .ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};

	put_bytes(w, &ifi, sizeof ifi);
	if (mtu)
		put_u32(w, IFLA_MTU, mtu);
	if (mac)
		put_attr(w, IFLA_ADDRESS, mac, 6);
}

void rtmsg_put_link_removal(struct wr *w, uint32_t ifindex)
{
	struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex};

	put_bytes(w, &ifi, sizeof ifi);
}

void rtmsg_put_addr(struct wr *w, const struct rtmsg_addr *a)
{
	struct ifaddrmsg ifa = {
	    .ifa_family = a->addr.af, .ifa_prefixlen = a->len, .ifa_flags = IFA_F_PERMANENT, .ifa_index = a->ifindex};

	put_bytes(w, &ifa, sizeof ifa);
	put_addr(w, IFA_LOCAL, &a->addr);
	put_addr(w, IFA_ADDRESS, &a->addr);
}

void rtmsg_put_route_dump(struct wr *w, uint8_t af, uint32_t table)
{
	struct rtmsg rtm = {.rtm_family = af};

	put_bytes(w, &rtm, sizeof rtm);
	if (table)
		put_u32(w, RTA_TABLE, table);
}

/* Without statistics, which are most of a link's bytes. */
void rtmsg_put_link_dump(struct wr *w)
{
	struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC};

	put_bytes(w, &ifi, sizeof ifi);
	put_u32(w, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
}

void rtmsg_put_addr_dump(struct wr *w)
{
	struct ifaddrmsg ifa = {.ifa_family = AF_UNSPEC};

	put_bytes(w, &ifa, sizeof ifa);
}

void rtmsg_put_neigh_dump(struct wr *w, uint8_t af)
{
	struct ndmsg ndm = {.ndm_family = af};

	put_bytes(w, &ndm, sizeof ndm);
}

void rtmsg_put_lookup(struct wr *w, const struct addr *a, uint32_t vrf)
{
	struct rtmsg rtm = {.rtm_family = a->af, .rtm_dst_len = (unsigned char)addr_bits(a->af)};

	put_bytes(w, &rtm, sizeof rtm);
	put_addr(w, RTA_DST, a);
	if (vrf)
		put_u32(w, RTA_OIF, vrf);
}
