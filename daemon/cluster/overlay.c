#include "daemon/cluster/overlay.h"

#include <sha1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/cluster/remote.h"
#include "daemon/cluster/wireguard.h"

#define NAMES_SHOWN 5u
/* What Felix marks its routes with, and removes where it did not want them. */
#define FELIX_PROTOCOL 80u

/* What matters of an IPPool. */
struct pool {
	struct prefix cidr;
	enum encap_mode ipip, vxlan;
	bool left; /* its routes are somebody else's to program */
	char name[64];
};

struct overlay {
	struct daemon *d;
	struct pool *pools; /* those that encapsulate, and those whose routes are left to others */
	unsigned count;
	struct self self;
	struct remotes *remotes; /* NULL: no VXLAN pool */
	struct wireguard *wireguard;
};

/* ---- pools ---- */

static int pool_cmp(const void *a, const void *b)
{
	const struct pool *x = a, *y = b;
	int c = addr_cmp(&x->cidr.addr, &y->cidr.addr);

	return c ? c : (int)x->cidr.len - (int)y->cidr.len;
}

/* programClusterRoutes; of VXLAN pools it says nothing. */
static bool is_left(enum cluster_routes routes, const struct obj_ip_pool *p)
{
	static const bool left[][2] = {
	    /* without encapsulation, IP-in-IP */
	    [ROUTES_AUTO] = {false, false},    [ROUTES_ALL] = {false, false}, [ROUTES_NONE] = {true, true},
	    [ROUTES_NO_ENCAP] = {false, true}, [ROUTES_IPIP] = {true, false},
	};

	return p->vxlan == ENCAP_NEVER && left[routes][p->ipip != ENCAP_NEVER];
}

static struct pool *read_pools(const struct overlay *o, unsigned *count)
{
	struct pool *pools = mem_calloc(store_count(o->d->store, OBJ_IP_POOL) + 1, sizeof *pools);
	const struct object *object;
	unsigned pos = 0;

	*count = 0;
	while ((object = store_next(o->d->store, OBJ_IP_POOL, &pos))) {
		const struct obj_ip_pool *p = (const void *)object;
		struct pool *to = &pools[*count];

		to->left = is_left(o->self.cluster_routes, p);
		if (p->ipip == ENCAP_NEVER && p->vxlan == ENCAP_NEVER && !to->left)
			continue;
		to->cidr = p->cidr;
		to->ipip = p->ipip;
		to->vxlan = p->vxlan;
		snprintf(to->name, sizeof to->name, "%s", object->name);
		++*count;
	}
	qsort(pools, *count, sizeof *pools, pool_cmp);
	return pools;
}

static const struct pool *pool_of(const struct overlay *o, const struct prefix *p)
{
	for (unsigned i = 0; i < o->count; i++)
		if (o->pools[i].cidr.addr.af == p->addr.af && p->len >= o->pools[i].cidr.len &&
		    prefix_contains(&o->pools[i].cidr, &p->addr))
			return &o->pools[i];
	return NULL;
}

/* The same subnet, by this node's own idea of its network. */
static bool is_near(const struct overlay *o, const struct addr *a)
{
	const struct host_addr *own = &o->self.ip[family_of_af(a->af)];
	struct prefix network;

	if (addr_is_none(&own->addr))
		return false;
	network = prefix_make(&own->addr, own->len);
	return prefix_contains(&network, a);
}

static bool goes_through(const struct overlay *o, enum encap_mode mode, const struct addr *to)
{
	return mode == ENCAP_ALWAYS || (mode == ENCAP_CROSS_SUBNET && !is_near(o, to));
}

enum overlay_way overlay_choose(const struct overlay *o, const struct prefix *p, const struct addr *next_hop)
{
	const struct pool *pool = o && o->count ? pool_of(o, p) : NULL;

	if (o && wireguard_takes(o->wireguard, next_hop))
		return OVERLAY_OWN;
	if (!pool)
		return OVERLAY_PLAIN;
	if (pool->vxlan != ENCAP_NEVER || pool->left)
		return OVERLAY_OWN;
	return next_hop->af == AF_INET && goes_through(o, pool->ipip, next_hop) ? OVERLAY_IPIP : OVERLAY_PLAIN;
}

const char *overlay_refusal(const struct overlay *o, const struct prefix *p, const struct addr *next_hop)
{
	const struct pool *pool = pool_of(o, p);

	if (overlay_choose(o, p, next_hop) != OVERLAY_OWN)
		return NULL;
	if (wireguard_takes(o->wireguard, next_hop))
		return "its next hop is reached by WireGuard, through routes of Felix's";
	return pool && pool->left ? "the routes of its IPPool are left to others by programClusterRoutes"
				  : "the routes of its VXLAN pool follow from the objects, not from BGP";
}

bool overlay_leaves(const struct overlay *o, const struct prefix *p)
{
	const struct pool *pool = pool_of(o, p);

	return pool && pool->left;
}

/* ---- VXLAN routes ---- */

void overlay_vxlan_mac(const struct obj_node *n, enum family f, uint8_t mac[static 6])
{
	const char *text = f == FAM_IPV4 ? n->vxlan_mac : n->vxlan_mac6;
	uint8_t digest[SHA1_DIGEST_LENGTH];
	SHA1_CTX ctx;

	if (mac_parse(mac, text))
		return;
	/* As Felix makes it, so that nodes agree before the Node object says it. */
	SHA1Init(&ctx);
	SHA1Update(&ctx, (const uint8_t *)n->o.name, strlen(n->o.name));
	if (f == FAM_IPV6)
		SHA1Update(&ctx, (const uint8_t *)"-v6", 3);
	SHA1Final(digest, &ctx);
	mac[0] = 0x66;
	memcpy(mac + 1, digest, 5);
}

bool overlay_remote_route(const struct overlay *o, const struct prefix *p, const struct obj_node *owner,
			  struct fib_hop *hop)
{
	enum family f = family_of_af(p->addr.af);
	const struct pool *pool = pool_of(o, p);
	const struct addr *node = f == FAM_IPV4 ? &owner->ipv4.addr : &owner->ipv6.addr;
	const struct addr *tunnel = f == FAM_IPV4 ? &owner->vxlan_tunnel : &owner->vxlan_tunnel6;

	if (!pool || pool->vxlan == ENCAP_NEVER || addr_is_none(node))
		return false;
	*hop = (struct fib_hop){.gateway = *node};
	if (!goes_through(o, pool->vxlan, node))
		return true;
	*hop = (struct fib_hop){.gateway = *tunnel, .tunnel = f == FAM_IPV4 ? FIB_VXLAN : FIB_VXLAN6};
	return !addr_is_none(tunnel);
}

/* ---- devices ---- */

static void name_users(const struct overlay *o, enum fib_tunnel t, struct fib_tunnel_conf *conf)
{
	size_t used = 0;

	for (unsigned i = 0; i < o->count && used < sizeof conf->users; i++) {
		const struct pool *p = &o->pools[i];
		bool uses = t == FIB_IPIP ? p->ipip != ENCAP_NEVER && !p->left
					  : p->vxlan != ENCAP_NEVER && (p->cidr.addr.af == AF_INET) == (t == FIB_VXLAN);
		if (uses)
			used += (size_t)snprintf(conf->users + used, sizeof conf->users - used, "%s%s",
						 used ? ", " : "IPPool ", p->name);
	}
}

static void set_device(struct overlay *o, enum fib_tunnel t)
{
	const struct config *c = &o->d->config;
	const struct obj_node *n = o->self.node;
	enum family f = t == FIB_VXLAN6 ? FAM_IPV6 : FAM_IPV4;
	struct fib_tunnel_conf conf = {
	    .local = o->self.ip[f].addr, .vni = c->vxlan_vni, .port = (uint16_t)c->vxlan_port};

	name_users(o, t, &conf);
	if (!n || !*conf.users || addr_is_none(&conf.local)) {
		fib_tunnel_set(o->d->fib, t, NULL);
		return;
	}
	conf.addr = t == FIB_IPIP ? n->ipip_tunnel : t == FIB_VXLAN ? n->vxlan_tunnel : n->vxlan_tunnel6;
	conf.mtu = t == FIB_IPIP ? c->ipip_mtu : t == FIB_VXLAN ? c->vxlan_mtu : c->vxlan_mtu6;
	if (t != FIB_IPIP)
		overlay_vxlan_mac(n, f, conf.mac);
	fib_tunnel_set(o->d->fib, t, &conf);
}

/* ---- changes ---- */

static bool has_vxlan(const struct overlay *o)
{
	for (unsigned i = 0; i < o->count; i++)
		if (o->pools[i].vxlan != ENCAP_NEVER)
			return true;
	return false;
}

static bool same_pool(const struct pool *a, const struct pool *b)
{
	return pool_cmp(a, b) == 0 && a->ipip == b->ipip && a->vxlan == b->vxlan && a->left == b->left;
}

/* Pools of the one list that are not in the other as they are: the routes in them go another way now. */
static void reselect_changed(struct overlay *o, const struct pool *a, unsigned n, const struct pool *b, unsigned m)
{
	for (unsigned i = 0, j = 0; i < n; i++) {
		while (j < m && pool_cmp(&b[j], &a[i]) < 0)
			j++;
		if (j == m || !same_pool(&a[i], &b[j]))
			rib_reselect(o->d->rib, &a[i].cidr);
	}
}

static bool same_pools(const struct pool *a, unsigned n, const struct pool *b, unsigned m)
{
	for (unsigned i = 0; n == m && i < n; i++)
		if (!same_pool(&a[i], &b[i]))
			return false;
	return n == m;
}

static bool same_network(const struct self *a, const struct self *b)
{
	for (int f = 0; f < FAM_COUNT; f++)
		if (a->priority[f] != b->priority[f] || a->ip[f].len != b->ip[f].len ||
		    !addr_equal(&a->ip[f].addr, &b->ip[f].addr))
			return false;
	return true;
}

bool overlay_apply(struct overlay *o, const struct self *self)
{
	struct pool *old = o->pools;
	unsigned was = o->count;
	bool moved = !same_network(self, &o->self), changed;

	o->self = *self;
	o->pools = read_pools(o, &o->count);
	changed = moved || !same_pools(old, was, o->pools, o->count);
	reselect_changed(o, old, was, o->pools, o->count);
	reselect_changed(o, o->pools, o->count, moved ? NULL : old, moved ? 0 : was);
	free(old);
	wireguard_apply(o->wireguard, self);
	for (int t = FIB_IPIP; t < FIB_TUNNEL_COUNT; t++)
		set_device(o, (enum fib_tunnel)t);
	if (!has_vxlan(o)) {
		remotes_free(o->remotes);
		o->remotes = NULL;
	} else if (!o->remotes) {
		o->remotes = remotes_new(o->d, o);
	} else if (changed) {
		remotes_check_all(o->remotes);
	}
	return changed;
}

void overlay_on_change(struct overlay *o, const struct object *before, const struct object *after)
{
	wireguard_on_change(o->wireguard, before, after);
	if (o->remotes)
		remotes_on_change(o->remotes, before, after);
}

struct overlay *overlay_new(struct daemon *d)
{
	struct overlay *o = mem_calloc(1, sizeof *o);

	o->d = d;
	o->wireguard = wireguard_new(d);
	return o;
}

void overlay_free(struct overlay *o)
{
	remotes_free(o->remotes);
	wireguard_free(o->wireguard);
	free(o->pools);
	free(o);
}

/* ---- problems ---- */

static bool uses_ipip(const struct overlay *o)
{
	for (unsigned i = 0; i < o->count; i++)
		if (o->pools[i].ipip != ENCAP_NEVER && !o->pools[i].left)
			return true;
	return false;
}

/* Nodes that no VXLAN route can lead to. */
static void name_nodes_without_tunnel(const struct overlay *o, struct strbuf *out)
{
	const struct object *object;
	unsigned pos = 0, n = 0;

	while ((object = store_next(o->d->store, OBJ_NODE, &pos))) {
		const struct obj_node *node = object_node(object);
		if (!addr_is_none(&node->vxlan_tunnel) || !addr_is_none(&node->vxlan_tunnel6))
			continue;
		if (n < NAMES_SHOWN)
			strbuf_printf(out, "%s%s",
				      n ? ", "
					: "nodes without a VXLAN tunnel address, whose blocks in VXLAN "
					  "pools cannot be reached across subnets: ",
				      object->name);
		n++;
	}
	if (n > NAMES_SHOWN)
		strbuf_printf(out, " and %u more", n - NAMES_SHOWN);
	if (n)
		strbuf_puts(out, "\n");
}

/* The device comes and goes as Felix wants it. */
static void note_missing_tunl0(const struct overlay *o, struct strbuf *out)
{
	struct fib_link l;

	if (uses_ipip(o) && !fib_link_find(o->d->fib, fib_tunnel_name(FIB_IPIP), &l))
		strbuf_puts(out,
			    "tunl0 is missing, and left to Felix (kernel.workload_routes is false): routes of IP-in-IP "
			    "pools wait until Felix makes it\n");
}

void overlay_problems(const struct overlay *o, struct strbuf *out)
{
	wireguard_problems(o->wireguard, out);
	if (!o->d->config.workload_routes) {
		if (o->d->config.protocol == FELIX_PROTOCOL)
			strbuf_puts(
			    out,
			    "kernel.protocol is 80, and a Felix runs here (kernel.workload_routes is false), which "
			    "removes such routes: choose another one\n");
		note_missing_tunl0(o, out);
		return;
	}
	if (uses_ipip(o) && o->self.node && addr_is_none(&o->self.node->ipip_tunnel))
		strbuf_printf(out,
			      "Node %s has no spec.bgp.ipv4IPIPTunnelAddr: tunl0 has no address of its own, and what "
			      "this host itself (not its pods) sends through it carries the node's address\n",
			      o->self.name);
	if (o->remotes)
		name_nodes_without_tunnel(o, out);
}
