/* Calico's peering rules (confd's bgp_processor.go and client.go): the mesh, global and node-specific BGPPeers, and the
 * reverse sessions they imply. Explicit peers come before implicit ones, global before node-specific, then by name; the
 * first to claim a remote address and port has it. */
#include "daemon/peers/peering.h"

#include <stdlib.h>
#include <string.h>

#include "bgp/codec/msg.h"
#include "daemon/base/hash.h"
#include "daemon/base/mem.h"
#include "daemon/peers/peering_rule.h"
#include "datastore/secrets.h"

#define DEFAULT_RANGE_LIMIT 100u
#define BOTH_FAMILIES ((uint8_t)(1u << FAM_IPV4 | 1u << FAM_IPV6))

static const char *const kind_names[] = {
    [PEER_MESH] = "node-to-node mesh",
    [PEER_GLOBAL] = "global",
    [PEER_NODE] = "node specific",
    [PEER_DYNAMIC] = "dynamic",
    [PEER_LOCAL_WORKLOAD] = "local workload",
};

const char *peer_kind_name(enum peer_kind k)
{
	return kind_names[k];
}

/* ---- Building the list ---- */

struct build {
	const struct store *store;
	const struct config *conf;
	const struct self *self;
	struct peering *out;
	struct htab by_remote; /* of struct peer_want *, which move only at the end */
	struct peer_want **want;
	unsigned cap, range_cap;
};

static const char *interface_of(const struct peer_want *w)
{
	return w->interface ? w->interface : "";
}

int peer_want_cmp(const struct peer_want *a, const struct peer_want *b)
{
	int c = addr_cmp(&a->remote, &b->remote);

	if (!c)
		c = strcmp(interface_of(a), interface_of(b));
	return c ? c : (int)a->remote_port - (int)b->remote_port;
}

static uint32_t want_hash(const struct peer_want *w)
{
	uint64_t of_interface = w->interface ? hash_str(w->interface) : 0;

	return (uint32_t)(hash_bytes(&w->remote, sizeof w->remote) ^ of_interface) + w->remote_port;
}

static bool want_eq(const void *item, const void *key)
{
	return peer_want_cmp(item, key) == 0;
}

/* "Mesh_10_0_0_2", "Global_10_0_0_9_port_1179": as Calico names BIRD's protocols; "Global_fe80__1_eth0", "Global_eth0".
 */
static char *session_name(const struct peer_want *w)
{
	static const char *const heads[] = {[PEER_MESH] = "Mesh",
					    [PEER_GLOBAL] = "Global",
					    [PEER_NODE] = "Node",
					    [PEER_DYNAMIC] = "Dynamic",
					    [PEER_LOCAL_WORKLOAD] = "Local_Workload"};
	struct strbuf name = {0};
	char a[ADDR_STRLEN], *text;

	strbuf_puts(&name, heads[w->kind]);
	if (!addr_is_none(&w->remote))
		strbuf_printf(&name, "_%s", addr_format(&w->remote, a));
	if (w->interface)
		strbuf_printf(&name, "_%s", w->interface);
	if (w->remote_port != BGP_PORT)
		strbuf_printf(&name, "_port_%u", w->remote_port);
	for (char *p = name.s; *p; p++)
		if (*p == '.' || *p == ':')
			*p = '_';
	text = mem_strdup(name.s);
	strbuf_free(&name);
	return text;
}

/* Takes w's allocated texts. A remote that is taken already is noted and dropped. */
static void add(struct build *b, struct peer_want *w)
{
	uint32_t hash = want_hash(w);
	const struct peer_want *there = htab_find(&b->by_remote, hash, want_eq, w);
	char a[ADDR_STRLEN];

	if (there) {
		if (w->kind != PEER_MESH && strcmp(there->origin, w->origin) != 0)
			strbuf_printf(&b->out->notes, "%s: no session of its own with %s, %s has it\n", w->origin,
				      addr_format(&w->remote, a), there->origin);
		peer_want_free(w);
		return;
	}
	w->name = session_name(w);
	if (b->out->count == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 16;
		b->want = mem_realloc(b->want, b->cap * sizeof *b->want);
	}
	b->want[b->out->count] = mem_dup(w, sizeof *w);
	htab_insert(&b->by_remote, hash, b->want[b->out->count++]);
}

/* Go's string comparison of the addresses decides who dials, so that mixed meshes agree: the higher one does. */
static bool passive_towards(const struct addr *remote, const struct addr *own)
{
	char r[ADDR_STRLEN], o[ADDR_STRLEN];

	return strcmp(addr_format(remote, r), addr_format(own, o)) > 0;
}

static struct peer_want defaults(const struct build *b)
{
	return (struct peer_want){
	    .local_as = b->self->as,
	    .hold_time = (uint16_t)b->conf->hold_time,
	    .keepalive_time = (uint16_t)b->conf->keepalive_time,
	    .restart_time = (uint16_t)b->conf->restart_time,
	    .bfd =
		{
		    .transmit_interval = b->conf->bfd_transmit_interval,
		    .receive_interval = b->conf->bfd_receive_interval,
		    .multiplier = b->conf->bfd_multiplier,
		},
	};
}

/* The text itself, or what the Secret holds; a copy. NULL: none. */
static char *password(const char *text, struct secrets *secrets, const struct secret_ref *ref)
{
	if (!text && ref)
		text = secrets_get(secrets, ref);
	return text ? mem_strdup(text) : NULL;
}

static char *join_filters(const struct obj_bgp_peer *p)
{
	struct strbuf names = {0};

	for (unsigned i = 0; i < p->filter_count; i++)
		strbuf_printf(&names, "%s%s", i ? "\n" : "", p->filters[i]);
	return names.s;
}

/* The texts that each session of the BGPPeer has for itself. */
static void take_texts(const struct self *self, struct peer_want *w, const struct obj_bgp_peer *p, const char *origin)
{
	w->origin = mem_strdup(origin);
	w->password = password(p->password, self->secrets, &p->secret);
	w->interface = p->interface ? mem_strdup(p->interface) : NULL;
	w->shutdown_text = p->shutdown_text ? mem_strdup(p->shutdown_text) : NULL;
	w->filters = join_filters(p);
}

static bool may_be_internal(const struct peer_want *w)
{
	return !w->remote_as || w->remote_as == w->local_as;
}

/* RFC 4456 where nothing is said: what Calico's rule for the kind of peer gave. */
static bool is_client(const struct build *b, const struct peer_want *w, bool by_rule)
{
	if (w->opt.rr_client == CHOICE_AUTO)
		return by_rule;
	return w->opt.rr_client == CHOICE_ON && b->self->cluster_id && may_be_internal(w);
}

/* Between two nodes the IPv4 session offers both families if both ends have IPv6 too; the IPv6 session stays as the
 * fallback for peers that speak one family a session (the speaker holds it back while it is not needed). */
static uint8_t node_families(const struct build *b, const struct obj_node *peer, enum family f)
{
	uint8_t own = (uint8_t)(1u << f);

	if (f == FAM_IPV4 && b->conf->both_families && !addr_is_none(&b->self->ip[FAM_IPV6].addr) &&
	    !addr_is_none(&peer->ipv6.addr))
		own |= 1u << FAM_IPV6;
	return own;
}

static bool has_ipv4(const struct build *b, const struct obj_node *peer)
{
	return !addr_is_none(&b->self->ip[FAM_IPV4].addr) && !addr_is_none(&peer->ipv4.addr);
}

static const struct addr *node_address(const struct obj_node *n, enum family f)
{
	return f == FAM_IPV4 ? &n->ipv4.addr : &n->ipv6.addr;
}

/* A session with each address that both nodes have. template: everything but what follows from the peer's node. p: the
 * BGPPeer that asks for it, NULL for the mesh. */
static void add_node_sessions(struct build *b, const struct obj_node *peer, const struct peer_want *template,
			      const char *origin, const struct obj_bgp_peer *p, uint32_t default_as, bool no_source)
{
	for (int f = 0; f < FAM_COUNT; f++) {
		const struct addr *remote = node_address(peer, f), *own = &b->self->ip[f].addr;
		struct peer_want w = *template;

		if (addr_is_none(remote) || addr_is_none(own))
			continue;
		w.remote = *remote;
		w.local = no_source ? (struct addr){0} : *own;
		w.other = *node_address(peer, f == FAM_IPV4 ? FAM_IPV6 : FAM_IPV4);
		w.remote_port = self_listen_port(b->store, b->conf, peer->o.name);
		w.remote_as = peer->as_number ? peer->as_number : default_as;
		w.families = w.opt.families ? w.opt.families : node_families(b, peer, f);
		if (f == FAM_IPV6 && (node_families(b, peer, FAM_IPV4) & 1u << FAM_IPV6) && has_ipv4(b, peer))
			w.sibling = peer->ipv4.addr;
		w.passive = template->passive || (w.kind == PEER_MESH && passive_towards(remote, own));
		w.rr_client = is_client(b, &w,
					b->self->cluster_id && w.remote_as == w.local_as &&
					    (!peer->has_cluster_id || peer->cluster_id != b->self->cluster_id));
		w.node = mem_strdup(peer->o.name);
		if (p) {
			take_texts(b->self, &w, p, origin);
		} else {
			w.origin = mem_strdup(origin);
			w.password = password(b->self->mesh_password, b->self->secrets, b->self->mesh_secret);
		}
		add(b, &w);
	}
}

static void add_mesh(struct build *b)
{
	const struct object *o;
	unsigned pos = 0;

	if (!b->self->mesh || b->self->cluster_id)
		return;
	while ((o = store_next(b->store, OBJ_NODE, &pos))) {
		const struct obj_node *peer = object_node(o);
		struct peer_want w = defaults(b);
		char *origin;

		if (peer == b->self->node || peer->has_cluster_id)
			continue;
		w.kind = PEER_MESH;
		w.bfd.enabled = b->conf->bfd_mesh;
		w.restart_time = b->self->mesh_restart_time;
		origin = mem_printf("mesh with %s", o->name);
		add_node_sessions(b, peer, &w, origin, NULL, b->self->as, false);
		free(origin);
	}
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

static struct peer_want from_bgp_peer(const struct build *b, const struct obj_bgp_peer *p, enum peer_kind kind)
{
	struct peer_want w = defaults(b);

	w.kind = kind;
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
	take_bfd(&w.bfd, &p->bfd);
	return w;
}

static const struct obj_node *node_by_address(const struct build *b, const struct addr *a)
{
	const struct object *o;
	unsigned pos = 0;

	while ((o = store_next(b->store, OBJ_NODE, &pos))) {
		const struct obj_node *n = object_node(o);
		if (addr_equal(a, &n->ipv4.addr) || addr_equal(a, &n->ipv6.addr))
			return n;
	}
	return NULL;
}

/* A BGPPeer that names its peer by address, or, without one, by the interface that it is at. */
static void add_by_address(struct build *b, const struct obj_bgp_peer *p, enum peer_kind kind, const char *origin)
{
	const struct obj_node *node = addr_is_none(&p->peer_ip) ? NULL : node_by_address(b, &p->peer_ip);
	enum family f = family_of_af(p->peer_ip.af);
	struct peer_want w = from_bgp_peer(b, p, kind);
	bool on_link = p->interface;
	char a[ADDR_STRLEN];

	if (!addr_is_none(&p->peer_ip) && self_has_address(b->self, &p->peer_ip))
		return;
	if (addr_is_none(&b->self->ip[f].addr) && !p->no_source_address && !on_link) {
		strbuf_printf(&b->out->notes, "%s: this node has no %s address to speak to %s from\n", origin,
			      family_name(f), addr_format(&p->peer_ip, a));
		return;
	}
	w.remote = p->peer_ip;
	w.reachable_by = p->reachable_by;
	if (node)
		w.other = *node_address(node, f == FAM_IPV4 ? FAM_IPV6 : FAM_IPV4);
	w.local = p->no_source_address || on_link ? (struct addr){0} : b->self->ip[f].addr;
	w.remote_as = p->as_number;
	w.remote_port = p->peer_port ? p->peer_port : BGP_PORT;
	if (!p->peer_port && node && self_node_as(b->store, node) == p->as_number)
		w.remote_port = self_listen_port(b->store, b->conf, node->o.name);
	if (p->local_as)
		w.local_as = p->local_as;
	w.allowed_local_as = p->allowed_local_as;
	/* keepOriginalNextHop is the older form, for eBGP only. */
	if (w.next_hop_mode == NEXT_HOP_AUTO && p->keep_original_next_hop && w.remote_as != w.local_as)
		w.next_hop_mode = NEXT_HOP_KEEP;
	/* A link has one session, whatever is on it. */
	w.families = p->opt.families ? p->opt.families : (uint8_t)(on_link ? BOTH_FAMILIES : 1u << f);
	if (kind == PEER_GLOBAL && node)
		w.passive = w.passive || passive_towards(&p->peer_ip, &b->self->ip[f].addr);
	w.rr_client = is_client(b, &w, b->self->cluster_id && may_be_internal(&w));
	take_texts(b->self, &w, p, origin);
	add(b, &w);
}

int peer_range_cmp(const struct peer_want *a, const struct peer_want *b)
{
	int c = prefix_cmp(&a->opt.range, &b->opt.range);

	return c ? c : strcmp(interface_of(a), interface_of(b));
}

/* As between nodes: on IPv4 both families, if this node has both; and on a link, which has one session for all. */
static uint8_t range_families(const struct build *b, const struct prefix *range)
{
	enum family f = family_of_af(range->addr.af);
	bool both = f == FAM_IPV4 && b->conf->both_families && !addr_is_none(&b->self->ip[FAM_IPV4].addr) &&
		    !addr_is_none(&b->self->ip[FAM_IPV6].addr);

	return both || (f == FAM_IPV6 && addr_is_link_local(&range->addr)) ? BOTH_FAMILIES : (uint8_t)(1u << f);
}

/* A BGPPeer that names its peers by a range of addresses: they connect, this node waits. */
static void add_range(struct build *b, const struct obj_bgp_peer *p, const char *origin)
{
	struct peer_want w = from_bgp_peer(b, p, PEER_DYNAMIC);
	char range[PREFIX_STRLEN];

	w.remote_as = p->as_number;
	w.remote_port = BGP_PORT;
	if (p->local_as)
		w.local_as = p->local_as;
	w.allowed_local_as = p->allowed_local_as;
	w.passive = true;
	if (!w.opt.range_limit)
		w.opt.range_limit = DEFAULT_RANGE_LIMIT;
	w.families = p->opt.families ? p->opt.families : range_families(b, &p->opt.range);
	w.rr_client = is_client(b, &w, b->self->cluster_id && may_be_internal(&w));
	take_texts(b->self, &w, p, origin);
	for (unsigned i = 0; i < b->out->range_count; i++) {
		if (peer_range_cmp(&b->out->ranges[i], &w) != 0)
			continue;
		strbuf_printf(&b->out->notes, "%s: no range of its own, %s has %s\n", origin, b->out->ranges[i].origin,
			      prefix_format(&w.opt.range, range));
		peer_want_free(&w);
		return;
	}
	w.name = mem_printf("%s, range %s", origin, prefix_format(&w.opt.range, range));
	if (b->out->range_count == b->range_cap) {
		b->range_cap = b->range_cap ? b->range_cap * 2 : 4;
		b->out->ranges = mem_realloc(b->out->ranges, b->range_cap * sizeof *b->out->ranges);
	}
	b->out->ranges[b->out->range_count++] = w;
}

struct peer_want peer_want_of_range(const struct peer_want *range, const struct addr *remote, const char *interface)
{
	struct peer_want w = *range;

	w.remote = addr_on_link(remote, 0);
	w.origin = mem_strdup(range->origin);
	w.password = range->password ? mem_strdup(range->password) : NULL;
	w.interface = interface ? mem_strdup(interface) : NULL;
	w.shutdown_text = range->shutdown_text ? mem_strdup(range->shutdown_text) : NULL;
	w.filters = range->filters ? mem_strdup(range->filters) : NULL;
	w.name = session_name(&w);
	return w;
}

/* Workloads of this node that speak BGP: they connect, from their own addresses. Calico gives them neither password nor
 * timers nor ttlSecurity. */
static void add_workload(struct build *b, const struct obj_bgp_peer *p, const struct obj_workload_endpoint *e,
			 const char *origin)
{
	for (unsigned i = 0; i < e->network_count; i++) {
		struct peer_want w = defaults(b);

		w.kind = PEER_LOCAL_WORKLOAD;
		w.opt = p->opt;
		w.next_hop_mode = p->next_hop_mode;
		take_bfd(&w.bfd, &p->bfd);
		w.remote = e->networks[i].addr;
		w.remote_port = BGP_PORT;
		w.remote_as = p->as_number;
		if (p->local_as)
			w.local_as = p->local_as;
		w.allowed_local_as = p->allowed_local_as;
		w.passive = true;
		w.families = p->opt.families ? p->opt.families : (uint8_t)(1u << family_of_af(w.remote.af));
		w.rr_client = is_client(b, &w, b->self->cluster_id && may_be_internal(&w));
		take_texts(b->self, &w, p, origin);
		free(w.password);
		w.password = NULL;
		add(b, &w);
	}
}

static void add_workloads(struct build *b, const struct obj_bgp_peer *p, const char *origin)
{
	const struct object *o;
	unsigned pos = 0;

	if (!p->as_number) {
		strbuf_printf(&b->out->notes, "%s: localWorkloadSelector needs asNumber\n", origin);
		return;
	}
	while ((o = store_next(b->store, OBJ_WORKLOAD_ENDPOINT, &pos))) {
		const struct obj_workload_endpoint *e = (const void *)o;
		if (peering_selects_workload(p, b->self, e))
			add_workload(b, p, e, origin);
	}
}

static void add_forward(struct build *b, const struct obj_bgp_peer *p)
{
	enum peer_kind kind = p->node || p->node_sel ? PEER_NODE : PEER_GLOBAL;
	char *origin = mem_printf("BGPPeer %s", p->o.name);
	const struct object *o;
	unsigned pos = 0;

	if (!peering_selects(p, b->self->node))
		goto out;
	if (!addr_is_none(&p->opt.range.addr)) {
		add_range(b, p, origin);
		goto out;
	}
	if (p->workload_sel) {
		add_workloads(b, p, origin);
		goto out;
	}
	if (!p->peer_sel) {
		add_by_address(b, p, kind, origin);
		goto out;
	}
	while ((o = store_next(b->store, OBJ_NODE, &pos))) {
		struct peer_want w = from_bgp_peer(b, p, kind);
		if (object_node(o) == b->self->node || !selector_match(p->peer_sel, &o->labels))
			continue;
		add_node_sessions(b, object_node(o), &w, origin, p, self_node_as(b->store, object_node(o)),
				  p->no_source_address);
	}
out:
	free(origin);
}

/* Who sends several paths to somebody wants to be understood, and who receives them wants them sent (RFC 7911). */
static const enum add_path_mode add_path_mirror[] = {
    [ADD_PATH_AUTO] = ADD_PATH_AUTO,	[ADD_PATH_OFF] = ADD_PATH_OFF,	 [ADD_PATH_RECEIVE] = ADD_PATH_SEND,
    [ADD_PATH_SEND] = ADD_PATH_RECEIVE, [ADD_PATH_BOTH] = ADD_PATH_BOTH,
};

static void add_reverse(struct build *b, const struct obj_bgp_peer *p)
{
	char *origin;
	const struct object *o;
	unsigned pos = 0;

	if (p->manual_reverse_peering || !peering_leads_here(p, b->self))
		return;
	origin = mem_printf("BGPPeer %s (reverse)", p->o.name);
	while ((o = store_next(b->store, OBJ_NODE, &pos))) {
		struct peer_want w = from_bgp_peer(b, p, PEER_NODE);
		if (object_node(o) == b->self->node || !peering_selects(p, object_node(o)))
			continue;
		/* What the BGPPeer says of the side it selects is not about this side. */
		w.passive = w.bfd.passive = false;
		w.next_hop_mode = NEXT_HOP_AUTO;
		w.opt = (struct peer_options){
		    .families = p->opt.families,
		    .add_path = add_path_mirror[p->opt.add_path],
		    .ext_next_hop = p->opt.ext_next_hop,
		    .llgr_time = p->opt.llgr_time,
		};
		add_node_sessions(b, object_node(o), &w, origin, p, self_node_as(b->store, object_node(o)), false);
	}
	free(origin);
}

static int by_name(const void *a, const void *b)
{
	const struct object *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static void add_bgp_peers(struct build *b)
{
	unsigned n = store_count(b->store, OBJ_BGP_PEER), pos = 0, count = 0;
	const struct object **sorted = mem_calloc(n, sizeof *sorted), *o;

	while (count < n && (o = store_next(b->store, OBJ_BGP_PEER, &pos)))
		sorted[count++] = o;
	qsort(sorted, count, sizeof(void *), by_name);
	for (int global = 1; global >= 0; global--) {
		for (unsigned i = 0; i < count; i++) {
			const struct obj_bgp_peer *p = (const void *)sorted[i];
			if ((!p->node && !p->node_sel) == (bool)global)
				add_forward(b, p);
		}
	}
	for (unsigned i = 0; i < count; i++)
		add_reverse(b, (const void *)sorted[i]);
	free(sorted);
}

static int by_key(const void *a, const void *b)
{
	return peer_want_cmp(a, b);
}

static int by_range(const void *a, const void *b)
{
	return peer_range_cmp(a, b);
}

struct peering peering_compute(const struct store *s, const struct config *c, const struct self *self)
{
	struct peering out = {0};
	struct build b = {.store = s, .conf = c, .self = self, .out = &out};

	if (!self->node)
		return out;
	add_bgp_peers(&b);
	add_mesh(&b);
	out.want = mem_calloc(out.count, sizeof *out.want);
	for (unsigned i = 0; i < out.count; i++) {
		out.want[i] = *b.want[i];
		free(b.want[i]);
	}
	free(b.want);
	htab_clear(&b.by_remote);
	qsort(out.want, out.count, sizeof *out.want, by_key);
	if (out.range_count)
		qsort(out.ranges, out.range_count, sizeof *out.ranges, by_range);
	return out;
}

void peer_want_free(struct peer_want *w)
{
	free(w->name);
	free(w->origin);
	free(w->node);
	free(w->password);
	free(w->interface);
	free(w->shutdown_text);
	free(w->filters);
	*w = (struct peer_want){0};
}

void peering_free(struct peering *p)
{
	for (unsigned i = 0; i < p->count; i++)
		peer_want_free(&p->want[i]);
	for (unsigned i = 0; i < p->range_count; i++)
		peer_want_free(&p->ranges[i]);
	free(p->want);
	free(p->ranges);
	strbuf_free(&p->notes);
	*p = (struct peering){0};
}
