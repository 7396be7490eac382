#include "daemon/peers/peering_rule.h"

#include <stdlib.h>
#include <string.h>

#include "bgp/codec/msg.h"
#include "daemon/base/mem.h"
#include "datastore/secrets.h"

#define DEFAULT_RANGE_LIMIT 100u
#define BOTH_FAMILIES ((uint8_t)(1u << FAM_IPV4 | 1u << FAM_IPV6))

/* ---- Who ---- */

bool peering_selects(const struct obj_bgp_peer *p, const struct obj_node *n)
{
	if (p->node)
		return strcmp(p->node, n->o.name) == 0;
	/* A nodeSelector that does not parse was refused with its object, so text without a parsed form cannot be. */
	return p->node_sel ? selector_match(p->node_sel, &n->o.labels) : true;
}

bool peering_leads_here(const struct obj_bgp_peer *p, const struct self *self)
{
	if (p->manual_reverse_peering)
		return false;
	if (p->peer_sel)
		return selector_match(p->peer_sel, &self->node->o.labels);
	return !p->vrf && self_has_address(self, &p->peer_ip) && p->as_number == self->as &&
	       (!p->peer_port || p->peer_port == self->listen_port);
}

bool peering_selects_workload(const struct obj_bgp_peer *p, const struct self *self,
			      const struct obj_workload_endpoint *e)
{
	return p->workload_sel && e->node && strcmp(e->node, self->name) == 0 && peering_selects(p, self->node) &&
	       selector_match(p->workload_sel, &e->o.labels);
}

bool peering_meshes(const struct self *self, const struct obj_node *n)
{
	return self->mesh && !self->cluster_id && !n->has_cluster_id && n != self->node;
}

/* ---- Who first ---- */

enum ask_tier ask_tier(const struct obj_bgp_peer *p)
{
	return p->node || p->node_sel ? ASK_NODE : ASK_GLOBAL;
}

static int object_cmp(const struct object *a, const struct object *b)
{
	int c = strcmp(a->namespace, b->namespace);

	return c ? c : strcmp(a->name, b->name);
}

int ask_cmp(const struct ask *a, const struct ask *b)
{
	int c = (int)a->tier - (int)b->tier;

	if (!c && a->peer)
		c = strcmp(a->peer->o.name, b->peer->o.name);
	if (!c && a->other && b->other)
		c = object_cmp(a->other, b->other);
	return c ? c : (int)a->index - (int)b->index;
}

bool ask_is_same(const struct ask *a, const struct ask *b)
{
	return a->peer == b->peer && a->tier == b->tier && (a->peer || a->other == b->other);
}

char *ask_origin(const struct ask *a)
{
	if (!a->peer)
		return mem_printf("mesh with %s", a->other->name);
	return mem_printf("BGPPeer %s%s", a->peer->o.name, a->tier == ASK_REVERSE ? " (reverse)" : "");
}

/* ---- What all have in common ---- */

/* Go's string comparison of the addresses decides who dials, so that mixed meshes agree: the higher one does. */
static bool passive_towards(const struct addr *remote, const struct addr *own)
{
	char r[ADDR_STRLEN], o[ADDR_STRLEN];

	return strcmp(addr_format(remote, r), addr_format(own, o)) > 0;
}

static struct peer_want defaults(const struct peering_view *v)
{
	return (struct peer_want){
	    .local_as = v->self->as,
	    .remote_port = BGP_PORT,
	    .hold_time = (uint16_t)v->conf->hold_time,
	    .keepalive_time = (uint16_t)v->conf->keepalive_time,
	    .restart_time = (uint16_t)v->conf->restart_time,
	    .bfd =
		{
		    .transmit_interval = v->conf->bfd_transmit_interval,
		    .receive_interval = v->conf->bfd_receive_interval,
		    .multiplier = v->conf->bfd_multiplier,
		},
	};
}

static void take_bfd(struct peer_bfd *to, const struct peer_bfd *from)
{
	to->enabled = from->enabled;
	to->passive = from->passive;
	to->min_ttl = from->min_ttl;
	if (from->transmit_interval)
		to->transmit_interval = from->transmit_interval;
	if (from->receive_interval)
		to->receive_interval = from->receive_interval;
	if (from->multiplier)
		to->multiplier = from->multiplier;
}

static struct peer_want from_bgp_peer(const struct peering_view *v, const struct ask *a)
{
	const struct obj_bgp_peer *p = a->peer;
	struct peer_want w = defaults(v);

	w.kind = a->tier == ASK_GLOBAL ? PEER_GLOBAL : PEER_NODE;
	if (p->restart_time)
		w.restart_time = (uint16_t)p->restart_time;
	if (p->hold_time)
		w.hold_time = (uint16_t)p->hold_time;
	if (p->keepalive_time)
		w.keepalive_time = (uint16_t)p->keepalive_time;
	w.ttl_security = (uint8_t)p->ttl_security;
	w.next_hop_mode = p->next_hop_mode;
	w.passive = p->passive;
	w.opt = p->opt;
	w.interface = p->interface;
	take_bfd(&w.bfd, &p->bfd);
	return w;
}

static bool may_be_internal(const struct peer_want *w)
{
	return !w->remote_as || w->remote_as == w->local_as;
}

/* RFC 4456 where nothing is said: what Calico's rule for the kind of peer gave. */
static bool is_client(const struct peering_view *v, const struct peer_want *w, bool by_rule)
{
	if (w->opt.rr_client == CHOICE_AUTO)
		return by_rule;
	return w->opt.rr_client == CHOICE_ON && v->self->cluster_id && may_be_internal(w);
}

/* What a BGPPeer says of a peer that is no Node of its own choice. */
static void take_as(const struct peering_view *v, const struct obj_bgp_peer *p, struct peer_want *w)
{
	w->remote_as = p->as_number;
	if (p->local_as)
		w->local_as = p->local_as;
	w->allowed_local_as = p->allowed_local_as;
	w->rr_client = is_client(v, w, v->self->cluster_id && may_be_internal(w));
}

/* ---- Sessions with nodes ---- */

static const struct addr *node_address(const struct obj_node *n, enum family f)
{
	return f == FAM_IPV4 ? &n->ipv4.addr : &n->ipv6.addr;
}

static enum family other_family(enum family f)
{
	return f == FAM_IPV4 ? FAM_IPV6 : FAM_IPV4;
}

/* Between two nodes the IPv4 session offers both families if both ends have IPv6 too; the IPv6 session stays as the
 * fallback for peers that speak one family a session (the speaker holds it back while it is not needed). */
static uint8_t node_families(const struct peering_view *v, const struct obj_node *peer, enum family f)
{
	uint8_t own = (uint8_t)(1u << f);

	if (f == FAM_IPV4 && v->conf->both_families && !addr_is_none(&v->self->ip[FAM_IPV6].addr) &&
	    !addr_is_none(&peer->ipv6.addr))
		own |= 1u << FAM_IPV6;
	return own;
}

static bool has_ipv4(const struct peering_view *v, const struct obj_node *peer)
{
	return !addr_is_none(&v->self->ip[FAM_IPV4].addr) && !addr_is_none(&peer->ipv4.addr);
}

/* With an address that both nodes have. w has everything but what follows from the peer's node. */
static bool take_node(const struct peering_view *v, const struct ask *a, struct peer_want *w, uint32_t default_as,
		      bool no_source)
{
	const struct obj_node *peer = object_node(a->other);
	enum family f = (enum family)a->index;
	const struct addr *remote = node_address(peer, f), *own = &v->self->ip[f].addr;

	if (addr_is_none(remote) || addr_is_none(own))
		return false;
	w->remote = *remote;
	w->local = no_source ? (struct addr){0} : *own;
	w->other = *node_address(peer, other_family(f));
	w->remote_port = self_listen_port(v->store, v->conf, peer->o.name);
	w->remote_as = peer->as_number ? peer->as_number : default_as;
	w->families = w->opt.families ? w->opt.families : node_families(v, peer, f);
	if (f == FAM_IPV6 && (node_families(v, peer, FAM_IPV4) & 1u << FAM_IPV6) && has_ipv4(v, peer))
		w->sibling = peer->ipv4.addr;
	w->passive = w->passive || (w->kind == PEER_MESH && passive_towards(remote, own));
	w->rr_client = is_client(v, w,
				 v->self->cluster_id && w->remote_as == w->local_as &&
				     (!peer->has_cluster_id || peer->cluster_id != v->self->cluster_id));
	return true;
}

static bool want_mesh(const struct peering_view *v, const struct ask *a, struct peer_want *w)
{
	*w = defaults(v);
	w->kind = PEER_MESH;
	w->bfd.enabled = v->conf->bfd_mesh;
	w->restart_time = v->self->mesh_restart_time;
	return take_node(v, a, w, v->self->as, false);
}

static bool want_node(const struct peering_view *v, const struct ask *a, struct peer_want *w)
{
	*w = from_bgp_peer(v, a);
	return take_node(v, a, w, self_node_as(v->store, object_node(a->other)), a->peer->no_source_address);
}

/* Who sends several paths to somebody wants to be understood, and who receives them wants them sent (RFC 7911). */
static const enum add_path_mode add_path_mirror[] = {
    [ADD_PATH_AUTO] = ADD_PATH_AUTO,	[ADD_PATH_OFF] = ADD_PATH_OFF,	 [ADD_PATH_RECEIVE] = ADD_PATH_SEND,
    [ADD_PATH_SEND] = ADD_PATH_RECEIVE, [ADD_PATH_BOTH] = ADD_PATH_BOTH,
};

static bool want_reverse(const struct peering_view *v, const struct ask *a, struct peer_want *w)
{
	const struct obj_bgp_peer *p = a->peer;

	*w = from_bgp_peer(v, a);
	/* What the BGPPeer says of the side it selects is not about this side. */
	w->passive = w->bfd.passive = false;
	w->next_hop_mode = NEXT_HOP_AUTO;
	w->opt = (struct peer_options){
	    .families = p->opt.families,
	    .add_path = add_path_mirror[p->opt.add_path],
	    .ext_next_hop = p->opt.ext_next_hop,
	    .llgr_time = p->opt.llgr_time,
	};
	return take_node(v, a, w, self_node_as(v->store, object_node(a->other)), false);
}

/* ---- Sessions with others ---- */

static bool lacks_source(const struct peering_view *v, const struct obj_bgp_peer *p)
{
	return !p->no_source_address && !p->interface && !p->vrf &&
	       addr_is_none(&v->self->ip[family_of_af(p->peer_ip.af)].addr);
}

/* What a peer has from being a node, too. */
static void take_node_of_address(const struct peering_view *v, const struct ask *a, struct peer_want *w)
{
	const struct obj_bgp_peer *p = a->peer;
	const struct obj_node *n = addr_is_none(&p->peer_ip) || p->vrf ? NULL : node_index_find(v->nodes, &p->peer_ip);
	enum family f = family_of_af(p->peer_ip.af);

	if (!n)
		return;
	w->other = *node_address(n, other_family(f));
	if (!p->peer_port && self_node_as(v->store, n) == p->as_number)
		w->remote_port = self_listen_port(v->store, v->conf, n->o.name);
	if (a->tier == ASK_GLOBAL)
		w->passive = w->passive || passive_towards(&p->peer_ip, &v->self->ip[f].addr);
}

/* A BGPPeer that names its peer by address, or, without one, by the interface that it is at. */
static bool want_address(const struct peering_view *v, const struct ask *a, struct peer_want *w)
{
	const struct obj_bgp_peer *p = a->peer;
	enum family f = family_of_af(p->peer_ip.af);

	/* This node's addresses are in no VRF, and whoever has them there is somebody else. */
	if ((!p->vrf && self_has_address(v->self, &p->peer_ip)) || lacks_source(v, p))
		return false;
	*w = from_bgp_peer(v, a);
	w->remote = p->peer_ip;
	w->reachable_by = p->reachable_by;
	w->local = p->no_source_address || p->interface || p->vrf ? (struct addr){0} : v->self->ip[f].addr;
	if (p->peer_port)
		w->remote_port = p->peer_port;
	take_node_of_address(v, a, w);
	take_as(v, p, w);
	/* keepOriginalNextHop is the older form, for eBGP only. */
	if (w->next_hop_mode == NEXT_HOP_AUTO && p->keep_original_next_hop && w->remote_as != w->local_as)
		w->next_hop_mode = NEXT_HOP_KEEP;
	/* A link has one session, whatever is on it. */
	w->families = p->opt.families ? p->opt.families : (uint8_t)(p->interface ? BOTH_FAMILIES : 1u << f);
	return true;
}

/* As between nodes: on IPv4 both families, if this node has both; and on a link, which has one session for all. */
static uint8_t range_families(const struct peering_view *v, const struct prefix *range)
{
	enum family f = family_of_af(range->addr.af);
	bool both = f == FAM_IPV4 && v->conf->both_families && !addr_is_none(&v->self->ip[FAM_IPV4].addr) &&
		    !addr_is_none(&v->self->ip[FAM_IPV6].addr);

	return both || (f == FAM_IPV6 && addr_is_link_local(&range->addr)) ? BOTH_FAMILIES : (uint8_t)(1u << f);
}

/* A BGPPeer that names its peers by a range of addresses: they connect, this node waits. */
static bool want_range(const struct peering_view *v, const struct ask *a, struct peer_want *w)
{
	const struct obj_bgp_peer *p = a->peer;

	*w = from_bgp_peer(v, a);
	w->kind = PEER_DYNAMIC;
	w->passive = true;
	if (!w->opt.range_limit)
		w->opt.range_limit = DEFAULT_RANGE_LIMIT;
	w->families = p->opt.families ? p->opt.families : range_families(v, &p->opt.range);
	take_as(v, p, w);
	return true;
}

/* Workloads of this node that speak BGP: they connect, from their own addresses. Calico gives them neither password nor
 * timers nor ttlSecurity. */
static bool want_workload(const struct peering_view *v, const struct ask *a, struct peer_want *w)
{
	const struct obj_workload_endpoint *e = (const void *)a->other;
	const struct obj_bgp_peer *p = a->peer;

	*w = defaults(v);
	w->kind = PEER_LOCAL_WORKLOAD;
	w->opt = p->opt;
	w->interface = p->interface;
	w->next_hop_mode = p->next_hop_mode;
	take_bfd(&w->bfd, &p->bfd);
	w->remote = e->networks[a->index].addr;
	w->passive = true;
	w->families = p->opt.families ? p->opt.families : (uint8_t)(1u << family_of_af(w->remote.af));
	take_as(v, p, w);
	return p->as_number;
}

bool ask_want(const struct peering_view *v, const struct ask *a, struct peer_want *w)
{
	if (!a->peer)
		return want_mesh(v, a, w);
	if (a->tier == ASK_REVERSE)
		return want_reverse(v, a, w);
	if (a->other)
		return a->other->kind == OBJ_NODE ? want_node(v, a, w) : want_workload(v, a, w);
	return addr_is_none(&a->peer->opt.range.addr) ? want_address(v, a, w) : want_range(v, a, w);
}

/* ---- Texts ---- */

static char *copy(const char *text)
{
	return text ? mem_strdup(text) : NULL;
}

/* The text itself, or what the Secret holds; a copy. NULL: none. */
static char *password(const char *text, struct secrets *secrets, const struct secret_ref *ref)
{
	return copy(!text && ref ? secrets_get(secrets, ref) : text);
}

static char *join_filters(const struct obj_bgp_peer *p)
{
	struct strbuf names = {0};

	for (unsigned i = 0; i < p->filter_count; i++)
		strbuf_printf(&names, "%s%s", i ? "\n" : "", p->filters[i]);
	return strbuf_take(&names);
}

static char *name(const struct peer_want *w)
{
	char range[PREFIX_STRLEN];

	if (w->kind == PEER_DYNAMIC)
		return mem_printf("%s, range %s", w->origin, prefix_format(&w->opt.range, range));
	return peer_want_name(w);
}

void ask_texts(const struct peering_view *v, const struct ask *a, struct peer_want *w)
{
	const struct obj_bgp_peer *p = a->peer;
	const struct self *self = v->self;

	w->origin = ask_origin(a);
	w->interface = copy(w->interface);
	w->name = name(w);
	if (a->other && a->other->kind == OBJ_NODE)
		w->node = mem_strdup(a->other->name);
	if (!p) {
		w->password = password(self->mesh_password, self->secrets, self->mesh_secret);
		return;
	}
	if (w->kind != PEER_LOCAL_WORKLOAD)
		w->password = password(p->password, self->secrets, &p->secret);
	w->shutdown_text = copy(p->shutdown_text);
	w->filters = join_filters(p);
}

void ask_complain(const struct peering_view *v, const struct obj_bgp_peer *p, struct strbuf *out)
{
	char a[ADDR_STRLEN];

	if (!addr_is_none(&p->opt.range.addr))
		return;
	if (p->workload_sel && !p->as_number)
		strbuf_printf(out, "BGPPeer %s: localWorkloadSelector needs asNumber\n", p->o.name);
	else if (!p->workload_sel && !p->peer_sel && !self_has_address(v->self, &p->peer_ip) && lacks_source(v, p))
		strbuf_printf(out, "BGPPeer %s: this node has no %s address to speak to %s from\n", p->o.name,
			      family_name(family_of_af(p->peer_ip.af)), addr_format(&p->peer_ip, a));
}
