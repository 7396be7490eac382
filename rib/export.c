/* Export: a table of reasons not to send, and a table of changes on the way out. RFC 4271 5 and 9.1.3, RFC 4456,
 * RFC 1997, RFC 8950. */
#include "rib/export.h"

#include <string.h>

#include "rib/core.h"
#include "rib/policy_ops.h"

static const struct rib_peer_conf *source_conf(const struct export *x)
{
	return &peer_at(x->rib, x->source)->conf;
}

/* From an internal peer to an internal peer: RFC 4456's case. */
static bool is_reflected(const struct export *x)
{
	return x->source != LOCAL_PEER && !source_conf(x)->ebgp && !x->key->ebgp;
}

/* How often our own AS is put in front of AS_PATH: RFC 4271 5.1.2. */
static unsigned as_count(const struct export *x)
{
	return x->key->ebgp ? 1u + x->key->prepend : 0;
}

static struct policy_input policy_input(const struct export *x)
{
	struct policy_input in = {
	    .prefix = x->prefix,
	    .source = x->kind,
	    .local_pref = x->attrs->local_pref,
	    .ibgp = !x->key->ebgp,
	    .attrs = x->attrs,
	    .put_as = x->key->local_as,
	    .put_count = as_count(x),
	};

	policy_input_interface(x->rib, x->key->export, &in);
	return in;
}

/* ---- May it go? ---- */

/* The route, and the next hop it would have: `self` if that is our own address. */
struct offer {
	const struct export *x;
	struct bgp_nexthop next_hop;
	bool self;
};

static bool refuses_no_advertise(const struct offer *o)
{
	return o->x->attrs->flags & ATTRS_NO_ADVERTISE;
}

static bool refuses_no_export(const struct offer *o)
{
	return o->x->key->ebgp && o->x->attrs->flags & ATTRS_NO_EXPORT;
}

/* RFC 9494 4.3: who does not know the community would use the route as any other. */
static bool refuses_llgr_stale(const struct offer *o)
{
	return o->x->attrs->flags & ATTRS_LLGR_STALE && !o->x->key->llgr;
}

static bool refuses_reflection(const struct offer *o)
{
	return is_reflected(o->x) && !source_conf(o->x)->rr_client && !o->x->key->rr_client;
}

static bool refuses_no_self(const struct offer *o)
{
	return o->self && addr_is_none(&o->next_hop.addr);
}

static bool refuses_ipv6_next_hop(const struct offer *o)
{
	return o->x->family == FAM_IPV4 && o->next_hop.addr.af == AF_INET6 &&
	       !(o->x->key->ext_next_hop >> FAM_IPV4 & 1);
}

static bool refuses_ipv4_next_hop(const struct offer *o)
{
	return o->x->family == FAM_IPV6 && o->next_hop.addr.af == AF_INET;
}

static const struct refusal {
	bool (*refuses)(const struct offer *o);
	const char *why;
} refusals[] = {
    {refuses_no_advertise, "community NO_ADVERTISE"},
    {refuses_no_export, "community NO_EXPORT, and the peer is in another AS"},
    {refuses_llgr_stale, "community LLGR_STALE, and the peer did not offer long-lived graceful restart (RFC 9494)"},
    {refuses_reflection, "iBGP to iBGP without reflection: neither the peer nor the route's source is a client"},
    {refuses_no_self, "the session has no address of this family to announce as next hop"},
    {refuses_ipv6_next_hop, "IPv6 next hop, and the peer did not negotiate extended next hops (RFC 8950)"},
    {refuses_ipv4_next_hop, "IPv4 next hop, which an IPv6 route cannot be announced with"},
};

const char export_too_long[] = "its attributes do not fit a message of 65535 octets";
const char export_too_long_for_plain[] =
    "its attributes do not fit a message of 4096 octets, and the session has no longer ones (RFC 8654)";

/* What attributes may grow by on the way out: AS_PATH of 4-octet numbers has a twin for old peers. Policies can do
 * worse than that; the encoder copes. */
#define GROWTH 512u

static bool is_too_long(const struct export *x)
{
	uint32_t max = x->key->max_message;
	struct bgp_nlri nlri = {.prefix = x->prefix};
	struct bgp_codec codec;
	struct arena arena = {0};
	struct bgp_attrs a;
	struct wr w;

	if (x->attrs->len * 2u + as_count(x) * 8u + GROWTH <= max)
		return false;
	codec = group_key_codec(x->key);
	export_attrs(x, &a, &arena);
	w = wr_make(arena_alloc(&arena, max), max);
	bgp_update_encode_reach(&w, &codec, x->family, &a, &nlri, 1);
	arena_free(&arena);
	return w.bad;
}

const char *export_refusal(const struct export *x, const char **why)
{
	struct policy_result res = {.accept = true};
	struct offer o = {.x = x};
	struct policy_input in;

	o.self = export_next_hop(x, &o.next_hop);
	for (unsigned i = 0; i < sizeof refusals / sizeof *refusals; i++)
		if (refusals[i].refuses(&o))
			return refusals[i].why;
	if (x->key->export) {
		in = policy_input(x);
		res = policy_eval(x->key->export, &in);
		if (why)
			*why = res.why;
	}
	if (!res.accept)
		return res.why;
	if (is_too_long(x))
		return x->key->max_message == BGP_MAX_MESSAGE ? export_too_long_for_plain : export_too_long;
	return NULL;
}

/* ---- How does it look there? ---- */

/* AUTO: our own address to other ASes, unchanged inside. What originates here has no next hop but our own. */
bool export_next_hop(const struct export *x, struct bgp_nexthop *nh)
{
	static const bool self[2][3] = {
	    [false] = {[RIB_NEXT_HOP_SELF] = true},
	    [true] = {[RIB_NEXT_HOP_AUTO] = true, [RIB_NEXT_HOP_SELF] = true},
	};

	/* A link-local next hop is for those on its link: nobody else can be told it, whatever the mode. */
	if (!x->attrs->next_hop || self[x->key->ebgp][x->key->next_hop_mode] ||
	    addr_scope(&x->attrs->next_hop->addr.addr)) {
		*nh = x->key->self[x->family];
		return true;
	}
	/* RFC 2545 3: the link-local address is for those on the link it came from. */
	nh->addr = x->attrs->next_hop->addr.addr;
	nh->link_local = (struct addr){0};
	return false;
}

bool export_is_owner(const struct export *x, const struct rib_peer *p)
{
	struct bgp_nexthop nh;

	return !export_next_hop(x, &nh) && peer_has_address(p, &nh.addr);
}

static void put_next_hop(const struct export *x, struct bgp_attrs *a, struct arena *arena)
{
	(void)arena;
	export_next_hop(x, &a->next_hop);
}

/* RFC 4271 5.1.2 b: our AS goes in front for other ASes. RFC 5065 4.1: what is a confederation's stays inside. */
static void put_as_path(const struct export *x, struct bgp_attrs *a, struct arena *arena)
{
	a->present |= 1u << BA_AS_PATH;
	if (x->key->ebgp)
		a->as_path =
		    as_path_prepend(as_path_without_confed(a->as_path, arena), x->key->local_as, as_count(x), arena);
}

/* RFC 4456 8: who brought it in, and through which clusters it went. */
static void put_reflection(const struct export *x, struct bgp_attrs *a, struct arena *arena)
{
	size_t old = bgp_attrs_have(a, BA_CLUSTER_LIST) ? a->cluster_list.len : 0;
	struct wr w;

	if (!is_reflected(x))
		return;
	if (!bgp_attrs_have(a, BA_ORIGINATOR_ID)) {
		a->originator_id = peer_at(x->rib, x->source)->router_id;
		a->present |= 1u << BA_ORIGINATOR_ID;
	}
	w = wr_make(arena_alloc(arena, old + 4), old + 4);
	wr_u32(&w, x->key->cluster_id);
	wr_bytes(&w, a->cluster_list.p, old);
	a->cluster_list = (struct span){w.start, wr_len(&w)};
	a->present |= 1u << BA_CLUSTER_LIST;
}

/* RFC 4271 5.1.5: every internal peer is told a LOCAL_PREF. */
static void put_local_pref(const struct export *x, struct bgp_attrs *a, struct arena *arena)
{
	(void)arena;
	if (bgp_attrs_have(a, BA_LOCAL_PREF))
		return;
	a->local_pref = x->attrs->local_pref;
	a->present |= 1u << BA_LOCAL_PREF;
}

static void put_policy(const struct export *x, struct bgp_attrs *a, struct arena *arena)
{
	struct policy_input in;

	if (!policy_has_ops(x->key->export))
		return;
	in = policy_input(x);
	policy_apply(x->key->export, &in, a, arena);
}

/* RFC 8326 4.1: other ASes are asked, our own is told. After policy, which does not know that the end is near. */
static void put_graceful_shutdown(const struct export *x, struct bgp_attrs *a, struct arena *arena)
{
	if (!x->key->graceful_shutdown)
		return;
	bgp_attrs_add_community(a, BGP_COMMUNITY_GRACEFUL_SHUTDOWN, arena);
	a->local_pref = 0;
	a->present |= 1u << BA_LOCAL_PREF; /* taken out again towards other ASes */
}

static void drop(struct bgp_attrs *a, enum bgp_attr_id id)
{
	a->present &= ~(1u << id);
}

/* RFC 4271 5.1.4 and 5.1.5, RFC 4456 8, RFC 7311 3.2: what stays inside the AS, as the attribute table marks it. Of
 * MEDs only our own goes out. */
static void strip_internal(const struct export *x, struct bgp_attrs *a, struct arena *arena)
{
	(void)arena;
	if (!x->key->ebgp)
		return;
	for (unsigned id = 0; id < BA_COUNT; id++)
		if (bgp_attr_table[id].ebgp_discard)
			drop(a, (enum bgp_attr_id)id);
	if (x->source != LOCAL_PEER)
		drop(a, BA_MED);
}

/* The communities, of so many octets each, that may cross the border. */
#define NON_TRANSITIVE 0x40
static struct span transitive_only(struct span list, size_t unit, struct arena *arena)
{
	struct wr w = wr_make(arena_alloc(arena, list.len), list.len);
	struct rd rd = rd_span(list);

	while (rd_left(&rd)) {
		struct rd peek = rd;
		uint8_t type = rd_u8(&peek);
		struct span one = rd_take_span(&rd, unit);

		if (!(type & NON_TRANSITIVE))
			wr_bytes(&w, one.p, one.len);
	}
	return (struct span){w.start, wr_len(&w)};
}

/* RFC 4360 6, RFC 5701 2. */
static void strip_communities(const struct export *x, struct bgp_attrs *a, struct arena *arena)
{
	if (!x->key->ebgp)
		return;
	if (bgp_attrs_have(a, BA_EXT_COMMUNITIES)) {
		a->ext_communities = transitive_only(a->ext_communities, 8, arena);
		if (!a->ext_communities.len)
			drop(a, BA_EXT_COMMUNITIES);
	}
	if (bgp_attrs_have(a, BA_IPV6_EXT_COMMUNITIES)) {
		a->ipv6_ext_communities = transitive_only(a->ipv6_ext_communities, 20, arena);
		if (!a->ipv6_ext_communities.len)
			drop(a, BA_IPV6_EXT_COMMUNITIES);
	}
}

static void (*const transforms[])(const struct export *x, struct bgp_attrs *a, struct arena *arena) = {
    put_next_hop, put_as_path,		 put_reflection, put_local_pref,
    put_policy,	  put_graceful_shutdown, strip_internal, strip_communities,
};

void export_attrs(const struct export *x, struct bgp_attrs *out, struct arena *arena)
{
	attrs_get(x->attrs, out);
	for (unsigned i = 0; i < sizeof transforms / sizeof *transforms; i++)
		transforms[i](x, out, arena);
}

/* ---- Does it look the same? ---- */

static bool spans_equal(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* Different in what no change above makes equal: most changes of a route are found here, before anything is encoded. */
static bool differs_plainly(const struct export *x, const struct export *y, const struct bgp_attrs *a,
			    const struct bgp_attrs *b)
{
	if (policy_has_ops(x->key->export) || policy_has_ops(y->key->export))
		return false;
	return a->origin != b->origin || !spans_equal(a->as_path, b->as_path) ||
	       !spans_equal(a->communities, b->communities) ||
	       !spans_equal(a->large_communities, b->large_communities) || !spans_equal(a->unknown, b->unknown);
}

static struct span announcement(const struct export *x, struct bgp_nexthop *nh, struct arena *arena)
{
	size_t cap = x->attrs->len + 512u;
	struct bgp_attrs a;
	struct wr w;

	export_attrs(x, &a, arena);
	*nh = a.next_hop;
	do {
		w = wr_make(arena_alloc(arena, cap), cap);
		bgp_attrs_encode(&w, &a, &bgp_codec_canonical, false);
		cap *= 4;
	} while (w.bad);
	return (struct span){w.start, wr_len(&w)};
}

static bool nexthops_equal(const struct bgp_nexthop *a, const struct bgp_nexthop *b)
{
	return addr_equal(&a->addr, &b->addr) && addr_equal(&a->link_local, &b->link_local);
}

bool export_same(const struct export *a, const struct export *b, struct arena *arena)
{
	struct bgp_nexthop nh_a, nh_b;
	struct bgp_attrs attrs_a, attrs_b;
	struct span as_a, as_b;
	bool same;

	export_next_hop(a, &nh_a);
	export_next_hop(b, &nh_b);
	if (!nexthops_equal(&nh_a, &nh_b))
		return false;
	attrs_get(a->attrs, &attrs_a);
	attrs_get(b->attrs, &attrs_b);
	if (differs_plainly(a, b, &attrs_a, &attrs_b))
		return false;
	as_a = announcement(a, &nh_a, arena);
	as_b = announcement(b, &nh_b, arena);
	same = spans_equal(as_a, as_b) && nexthops_equal(&nh_a, &nh_b);
	arena_reset(arena);
	return same;
}

uint64_t export_ops_id(const struct export *x)
{
	struct policy_input in;

	if (!policy_has_ops(x->key->export))
		return 0;
	in = policy_input(x);
	return policy_ops_id(x->key->export, &in);
}
