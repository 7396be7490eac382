/* Objects into intent. The one table here says who claims which prefix for this node: an affinity its block, a workload
 * its addresses, an IPAM block the addresses this node borrows. A change of an object changes claims and marks their
 * prefixes dirty; at the end of the turn each dirty prefix is settled once, so that an object that is replaced by
 * another never makes its route blink. Sessions are kept the same way (peering.h). What a change means beyond claims
 * one table says: most means nothing, or a few sessions; the policies are made anew for few objects, and compared with
 * those in force; everything is looked at anew where this node itself may be another. */
#include "daemon/cluster/cluster.h"

#include <bsd/sys/queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/cluster/felix.h"
#include "daemon/cluster/migration.h"
#include "daemon/cluster/node_address.h"
#include "daemon/cluster/node_status.h"
#include "daemon/cluster/overlay.h"
#include "daemon/cluster/overrides.h"
#include "daemon/cluster/reachable.h"
#include "daemon/cluster/service.h"
#include "daemon/dataplane.h"
#include "daemon/instance.h"
#include "daemon/monitor/bmp.h"
#include "daemon/peers/peering.h"
#include "daemon/peers/peering_rule.h"
#include "daemon/peers/speaker.h"
#include "daemon/policy/export.h"
#include "daemon/policy/policies.h"
#include "datastore/pod.h"
#include "datastore/secrets.h"

#define LISTEN_RETRY (5 * MONO_SEC)
/* In which there are listening sockets; in more, peers are only dialled. */
#define VRFS_MAX 256u

/* In order of precedence: what a prefix is here, if several objects claim it. */
enum claim_kind { CLAIM_WORKLOAD, CLAIM_BLOCK, CLAIM_BORROWED, CLAIM_SERVICE, CLAIM_KIND_COUNT };

struct claim {
	LIST_ENTRY(claim) link;
	/* In the store, or the `before` of a change that is being handled; NULL: a range of Services' addresses. */
	const struct object *object;
	enum claim_kind kind;
};

/* A prefix that this node has a say in. */
struct local_prefix {
	struct prefix prefix;
	LIST_HEAD(, claim) claims; /* newest first */
	bool dirty;
	bool in_rib, workload_wanted, block_wanted; /* what was handed on */
	STAILQ_ENTRY(local_prefix) dirty_link;
};

/* What has to be looked at anew besides dirty prefixes and sessions. */
enum anew {
	ANEW_POLICY = 1,
	ANEW_POOLS = 2,
	ANEW_NODE = 4, /* this node's object: perhaps no more than its labels */
	ANEW_SELF = 8,
};

struct cluster {
	struct daemon *d;
	struct self self;
	struct htab prefixes; /* of struct local_prefix */
	STAILQ_HEAD(, local_prefix) dirty;
	struct loop_work work;
	bool synced, announced_sync;
	uint8_t anew; /* of enum anew */
	struct peering *peering;
	char *severity; /* logSeverityScreen that is none; NULL: nothing is wrong with it */
	struct policies *policies;
	struct secrets *secrets;
	struct reachable reachable;
	bool has_peers, has_workload_peers; /* as it was applied last */
	char listen_problem[200];	    /* "" if we listen where we should */
	bool tunnel_next_hops;		    /* since some next hop led through a tunnel device */
	struct loop_timer listen_timer;
	struct node_address address;
	struct migrations *migrations;
};

static uint32_t prefix_hash(const struct prefix *p)
{
	return (uint32_t)hash_bytes(p, sizeof *p);
}

static bool local_prefix_eq(const void *item, const void *key)
{
	return prefix_equal(&((const struct local_prefix *)item)->prefix, key);
}

static struct local_prefix *local_prefix_get(struct cluster *c, const struct prefix *p)
{
	struct local_prefix *l = htab_find(&c->prefixes, prefix_hash(p), local_prefix_eq, p);

	if (!l) {
		l = mem_calloc(1, sizeof *l);
		l->prefix = *p;
		LIST_INIT(&l->claims);
		htab_insert(&c->prefixes, prefix_hash(p), l);
	}
	return l;
}

static void mark_dirty(struct cluster *c, struct local_prefix *l)
{
	if (!l->dirty) {
		l->dirty = true;
		STAILQ_INSERT_TAIL(&c->dirty, l, dirty_link);
	}
	loop_work_schedule(c->d->loop, &c->work);
}

/* ---- Claims ---- */

typedef void claim_fn(struct cluster *c, const struct object *o, enum claim_kind kind, const struct prefix *p);

static void claim_add(struct cluster *c, const struct object *o, enum claim_kind kind, const struct prefix *p)
{
	struct local_prefix *l = local_prefix_get(c, p);
	struct claim *claim = mem_calloc(1, sizeof *claim);

	claim->object = o;
	claim->kind = kind;
	LIST_INSERT_HEAD(&l->claims, claim, link);
	mark_dirty(c, l);
}

static void claim_drop(struct cluster *c, const struct object *o, enum claim_kind kind, const struct prefix *p)
{
	struct local_prefix *l = local_prefix_get(c, p);
	struct claim *claim;

	LIST_FOREACH(claim, &l->claims, link)
	{
		if (claim->object == o && claim->kind == kind) {
			LIST_REMOVE(claim, link);
			free(claim);
			break;
		}
	}
	mark_dirty(c, l);
}

void cluster_claim_service(struct cluster *c, const struct object *o, const struct prefix *p)
{
	claim_add(c, o, CLAIM_SERVICE, p);
}

void cluster_unclaim_service(struct cluster *c, const struct object *o, const struct prefix *p)
{
	claim_drop(c, o, CLAIM_SERVICE, p);
}

void cluster_kick(struct cluster *c)
{
	loop_work_schedule(c->d->loop, &c->work);
}

static bool is_self(const struct cluster *c, const char *node)
{
	return node && strcmp(node, c->d->config.node_name) == 0;
}

static void block_claims(struct cluster *c, const struct object *o, claim_fn *fn)
{
	const struct obj_block_affinity *a = (const void *)o;

	/* Pending blocks are not this node's yet. One that is being given up is not announced any more: its remaining
	 * workloads are, each on its own. */
	if (is_self(c, a->node) && !a->virtual && !a->deleted && a->state == AFFINITY_CONFIRMED)
		fn(c, o, CLAIM_BLOCK, &a->cidr);
}

static void workload_claims(struct cluster *c, const struct object *o, claim_fn *fn)
{
	const struct obj_workload_endpoint *w = (const void *)o;

	for (unsigned i = 0; is_self(c, w->node) && i < w->network_count; i++)
		fn(c, o, CLAIM_WORKLOAD, &w->networks[i]);
}

/* NULL if it is something else. */
static const struct obj_workload_endpoint *own_workload(const struct cluster *c, const struct object *o)
{
	const struct obj_workload_endpoint *w = o && o->kind == OBJ_WORKLOAD_ENDPOINT ? (const void *)o : NULL;

	return w && is_self(c, w->node) ? w : NULL;
}

/* Addresses this node uses in a block of another node (or of nobody) need routes of their own. */
static void borrowed_claims(struct cluster *c, const struct object *o, claim_fn *fn)
{
	const struct obj_ipam_block *b = (const void *)o;

	if (b->deleted || is_self(c, b->node))
		return;
	for (unsigned i = 0; i < b->owner_count; i++) {
		struct addr a = addr_add(&b->cidr.addr, b->owners[i].ordinal);
		struct prefix p = prefix_make(&a, addr_bits(a.af));
		if (is_self(c, b->owners[i].node))
			fn(c, o, CLAIM_BORROWED, &p);
	}
}

/* The addresses of this node's tunnel devices: where they are inside its own blocks, these stand for them. */
static void tunnel_claims(struct cluster *c, const struct object *o, claim_fn *fn)
{
	const struct obj_node *n = object_node(o);
	const struct addr *const tunnels[] = {&n->ipip_tunnel, &n->vxlan_tunnel, &n->vxlan_tunnel6,
					      &n->wireguard[FAM_IPV4], &n->wireguard[FAM_IPV6]};

	for (size_t i = 0; is_self(c, o->name) && i < sizeof tunnels / sizeof *tunnels; i++) {
		struct prefix p = prefix_make(tunnels[i], addr_bits(tunnels[i]->af));
		if (!addr_is_none(tunnels[i]))
			fn(c, o, CLAIM_BORROWED, &p);
	}
}

/* ---- What a change means ---- */

/* What it means to this node besides what the object claims. One of both may be NULL. */
typedef uint8_t meaning_fn(const struct cluster *c, const struct object *before, const struct object *after);

static uint8_t means_pools(const struct cluster *c, const struct object *before, const struct object *after)
{
	(void)c;
	(void)before;
	(void)after;
	return ANEW_POOLS | ANEW_POLICY;
}

static uint8_t means_policy(const struct cluster *c, const struct object *before, const struct object *after)
{
	(void)c;
	(void)before;
	(void)after;
	return ANEW_POLICY;
}

static uint8_t node_means(const struct cluster *c, const struct object *before, const struct object *after)
{
	if (!is_self(c, (after ? after : before)->name))
		return 0;
	return before && after ? ANEW_NODE : ANEW_SELF;
}

/* Another node's has its port only, which is the sessions' affair. */
static uint8_t configuration_means(const struct cluster *c, const struct object *before, const struct object *after)
{
	const char *name = (after ? after : before)->name;

	return strncmp(name, "node.", 5) != 0 || is_self(c, name + 5) ? ANEW_SELF : 0;
}

static bool concerns(const struct cluster *c, const struct obj_bgp_peer *p)
{
	return p && (peering_selects(p, c->self.node) || peering_leads_here(p, &c->self));
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Do both name the same filters and Secrets? NULL names none. */
static bool same_names(const struct obj_bgp_peer *a, const struct obj_bgp_peer *b)
{
	static const struct obj_bgp_peer none;

	a = a ? a : &none;
	b = b ? b : &none;
	for (unsigned i = 0; a->filter_count == b->filter_count && i < a->filter_count; i++)
		if (strcmp(a->filters[i], b->filters[i]) != 0)
			return false;
	return a->filter_count == b->filter_count && same_text(a->secret.name, b->secret.name) &&
	       same_text(a->secret.key, b->secret.key);
}

/* Lists of filters that nobody had have to be made, and what nobody names any more is forgotten. */
static uint8_t bgp_peer_means(const struct cluster *c, const struct object *before, const struct object *after)
{
	const struct obj_bgp_peer *a = (const void *)before, *b = (const void *)after;

	if ((c->anew & (ANEW_NODE | ANEW_SELF)) || !c->self.node || same_names(a, b))
		return 0;
	return concerns(c, a) || concerns(c, b) ? ANEW_POLICY : 0;
}

/* What is inside this node's blocks is not announced. */
static uint8_t affinity_means(const struct cluster *c, const struct object *before, const struct object *after)
{
	return c->policies && policies_on_affinity(c->policies, before, after) ? ANEW_POLICY : 0;
}

/* Which kinds of objects claim prefixes, which ask for sessions, and what else a change of them means. */
static const struct {
	void (*claims)(struct cluster *c, const struct object *o, claim_fn *fn);
	meaning_fn *means;
	bool sessions; /* it may ask for sessions */
} kinds[OBJ_KIND_COUNT] = {
    [OBJ_NODE] = {.claims = tunnel_claims, .means = node_means, .sessions = true},
    [OBJ_IP_POOL] = {.means = means_pools},
    [OBJ_BGP_CONFIGURATION] = {.means = configuration_means, .sessions = true},
    [OBJ_BGP_PEER] = {.means = bgp_peer_means, .sessions = true},
    [OBJ_BGP_FILTER] = {.means = means_policy},
    [OBJ_WORKLOAD_ENDPOINT] = {.claims = workload_claims, .sessions = true}, /* it may be a peer */
    [OBJ_BLOCK_AFFINITY] = {.claims = block_claims, .means = affinity_means},
    [OBJ_IPAM_BLOCK] = {.claims = borrowed_claims},
};

static void mark(struct cluster *c, uint8_t anew)
{
	c->anew |= anew;
	loop_work_schedule(c->d->loop, &c->work);
}

void cluster_on_change(void *arg, const struct object *before, const struct object *after)
{
	struct cluster *c = arg;
	enum object_kind kind = before ? before->kind : after->kind;

	/* The new version claims first: a prefix in both never is without a claim. */
	if (after && kinds[kind].claims)
		kinds[kind].claims(c, after, claim_add);
	if (before && kinds[kind].claims)
		kinds[kind].claims(c, before, claim_drop);
	if (own_workload(c, before) || own_workload(c, after)) {
		dataplane_interfaces_changed(c->d);
		migrations_on_change(c->migrations, own_workload(c, before), own_workload(c, after));
	}
	overlay_on_change(c->d->overlay, before, after);
	service_on_change(c->d->service, before, after);
	/* When it is in sync everything is looked at. */
	if (!c->synced)
		return;
	if (kinds[kind].means)
		c->anew |= kinds[kind].means(c, before, after);
	if (c->peering && kinds[kind].sessions)
		peering_on_change(c->peering, before, after);
	if (c->anew || (c->peering && peering_is_dirty(c->peering)))
		mark(c, 0);
}

void cluster_peers_changed(struct cluster *c)
{
	mark(c, ANEW_SELF);
}

static void on_secrets(void *arg)
{
	mark(arg, ANEW_SELF);
}

void cluster_on_refusals(void *arg)
{
	mark(arg, ANEW_POLICY);
}

void cluster_on_sync(void *arg)
{
	struct cluster *c = arg;

	c->synced = true;
	fib_each_workload(c->d->fib);
	mark(c, ANEW_SELF);
}

/* ---- Beside a Felix: the kernel says what is there ---- */

static const struct claim *find_claim(const struct local_prefix *l, enum claim_kind kind)
{
	const struct claim *claim;

	LIST_FOREACH(claim, &l->claims, link)
	if (claim->kind == kind)
		return claim;
	return NULL;
}

void cluster_workload_changed(struct cluster *c, const struct prefix *p)
{
	if (c->synced)
		mark_dirty(c, local_prefix_get(c, p));
}

/* The priority of a workload's routes where this daemon writes them. One that has just come by live migration outranks
 * those that still lead to where it was. False: it is still to come. */
static bool migration_priority(const struct cluster *c, const struct local_prefix *l, const struct claim *claim,
			       uint32_t *priority)
{
	const struct obj_workload_endpoint *w = (const void *)claim->object;
	enum live_migration state = migrations_state(c->migrations, w);
	bool elevated = state == MIGRATION_LIVE || state == MIGRATION_TIME_WAIT;

	if (elevated)
		*priority =
		    l->prefix.addr.af == AF_INET ? c->d->config.elevated_priority : c->d->config.elevated_priority6;
	return state != MIGRATION_TARGET;
}

/* Is there a workload of this prefix? Beside a Felix the kernel's routes say so, with the priority that Felix gives
 * them: an object may speak of a workload that is still to come, or migrates. */
static bool workload_priority(const struct cluster *c, const struct local_prefix *l, uint32_t *priority)
{
	const struct claim *claim = find_claim(l, CLAIM_WORKLOAD);
	uint32_t normal = c->self.priority[family_of_af(l->prefix.addr.af)];

	*priority = normal;
	if (!c->d->config.workload_routes)
		return fib_workload_find(c->d->fib, &l->prefix, normal, priority);
	return claim && migration_priority(c, l, claim, priority);
}

void cluster_on_report(void *arg, struct store_report *r)
{
	node_status(((struct cluster *)arg)->d, r);
}

/* ---- Settling a prefix ---- */

static const enum route_source claim_source[CLAIM_KIND_COUNT] = {
    [CLAIM_WORKLOAD] = SOURCE_WORKLOAD,
    [CLAIM_BLOCK] = SOURCE_BLOCK,
    [CLAIM_BORROWED] = SOURCE_STATIC,
    [CLAIM_SERVICE] = SOURCE_SERVICE,
};

void cluster_workload_interface(const struct cluster *c, const struct obj_workload_endpoint *w, char name[static 16])
{
	if (w->interface_by_rule)
		pod_interface(c->d->config.interface_prefix, w->o.namespace, w->pod, name);
	else
		snprintf(name, 16, "%s", w->interface ? w->interface : "");
}

static void want_workload(struct cluster *c, struct fib *f, const struct local_prefix *l, const struct object *o,
			  uint32_t priority)
{
	const struct obj_workload_endpoint *w = (const void *)o;
	struct fib_hop hop = {0};
	struct fib_route r = {
	    .prefix = l->prefix,
	    .metric = priority,
	    .class = FIB_WORKLOAD,
	    .type = FIB_DEV,
	    .hop_count = 1,
	    .hops = &hop,
	};

	cluster_workload_interface(c, w, hop.ifname);
	mac_parse(r.mac, w->mac);
	fib_set(f, &r);
}

static const struct claim *workload_claim(const struct cluster *c, const struct local_prefix *l, uint32_t *priority)
{
	const struct claim *workload = find_claim(l, CLAIM_WORKLOAD);

	*priority = c->self.priority[family_of_af(l->prefix.addr.af)];
	return workload && migration_priority(c, l, workload, priority) ? workload : NULL;
}

/* A blackhole for a single address would keep the CNI plugin from adding the workload's own route. */
static bool has_blackhole(const struct local_prefix *l)
{
	return find_claim(l, CLAIM_BLOCK) && !prefix_is_host(&l->prefix);
}

static void want_block(struct fib *f, const struct local_prefix *l)
{
	fib_set(f, &(struct fib_route){.prefix = l->prefix, .class = FIB_BLOCK, .type = FIB_BLACKHOLE});
}

/* What arrives in another table reaches this node's workloads, too; and what it has no workload for is dropped there.
 * Told what it knows the FIB does nothing. */
static void settle_instance_kernel(struct cluster *c, const struct local_prefix *l, struct fib *f)
{
	uint32_t priority;
	const struct claim *workload = workload_claim(c, l, &priority);

	if (workload)
		want_workload(c, f, l, workload->object, priority);
	else
		fib_unset(f, &l->prefix, FIB_WORKLOAD);
	if (has_blackhole(l))
		want_block(f, l);
	else
		fib_unset(f, &l->prefix, FIB_BLOCK);
}

static void settle_kernel(struct cluster *c, struct local_prefix *l)
{
	uint32_t priority;
	const struct claim *workload = workload_claim(c, l, &priority);
	bool block = has_blackhole(l) && !overlay_leaves(c->d->overlay, &l->prefix);

	if (workload)
		want_workload(c, c->d->fib, l, workload->object, priority);
	else if (l->workload_wanted)
		fib_unset(c->d->fib, &l->prefix, FIB_WORKLOAD);
	l->workload_wanted = workload;
	if (block && !l->block_wanted)
		want_block(c->d->fib, l);
	else if (!block && l->block_wanted)
		fib_unset(c->d->fib, &l->prefix, FIB_BLOCK);
	l->block_wanted = block;
}

/* Whose address is borrowed is a workload that is known: that one says whether it is here yet. */
static bool speaks(const struct local_prefix *l, enum claim_kind kind)
{
	return find_claim(l, kind) && !(kind == CLAIM_BORROWED && find_claim(l, CLAIM_WORKLOAD));
}

/* CLAIM_KIND_COUNT: nobody claims the prefix in a way that is announced. */
static enum claim_kind speaking_kind(const struct cluster *c, const struct local_prefix *l, uint32_t *priority)
{
	int kind = CLAIM_WORKLOAD;

	if (!workload_priority(c, l, priority))
		for (kind++; kind < CLAIM_KIND_COUNT && !speaks(l, (enum claim_kind)kind);)
			kind++;
	return (enum claim_kind)kind;
}

static void settle_rib(const struct cluster *c, const struct local_prefix *l, struct rib *r)
{
	uint32_t priority;
	enum claim_kind kind = speaking_kind(c, l, &priority);

	if (kind < CLAIM_KIND_COUNT)
		rib_local_set(r, &l->prefix, claim_source[kind], priority);
	else if (l->in_rib)
		rib_local_unset(r, &l->prefix);
}

static void settle(struct cluster *c, struct local_prefix *l)
{
	const struct instance *i;
	uint32_t priority;

	settle_kernel(c, l);
	settle_rib(c, l, c->d->rib);
	LIST_FOREACH(i, &c->d->instances, link)
	{
		settle_instance_kernel(c, l, i->fib);
		settle_rib(c, l, i->rib);
	}
	l->in_rib = speaking_kind(c, l, &priority) < CLAIM_KIND_COUNT;
}

void cluster_settle_into(struct cluster *c, struct instance *i)
{
	const struct local_prefix *l;
	uint32_t pos = 0;

	while ((l = htab_next(&c->prefixes, &pos))) {
		settle_instance_kernel(c, l, i->fib);
		settle_rib(c, l, i->rib);
	}
}

static bool settle_prefixes(struct cluster *c, uint64_t deadline)
{
	struct local_prefix *l;

	while ((l = STAILQ_FIRST(&c->dirty))) {
		STAILQ_REMOVE_HEAD(&c->dirty, dirty_link);
		l->dirty = false;
		settle(c, l);
		if (LIST_EMPTY(&l->claims) && !l->in_rib) {
			htab_remove(&c->prefixes, prefix_hash(&l->prefix), l);
			free(l);
		}
		if (mono_now() > deadline)
			return !STAILQ_EMPTY(&c->dirty);
	}
	return false;
}

/* ---- Identity, peers, policy ---- */

static void mark_all_dirty(struct cluster *c)
{
	struct local_prefix *l;
	uint32_t pos = 0;

	while ((l = htab_next(&c->prefixes, &pos)))
		mark_dirty(c, l);
}

static void listen_where_wanted(struct cluster *c);

static void on_listen_timer(void *arg)
{
	listen_where_wanted(arg);
}

/* Somebody else may have the port, or the address may not be there yet: tried again, and said once. */
static void note_listening(struct cluster *c, const char *problem)
{
	if (*problem && strcmp(problem, c->listen_problem) != 0)
		log_error("bgp", "%s; tried again every %u s", problem, (unsigned)(LISTEN_RETRY / MONO_SEC));
	else if (!*problem && *c->listen_problem)
		log_info("bgp", "listens now");
	snprintf(c->listen_problem, sizeof c->listen_problem, "%s", problem);
	if (*problem)
		loop_timer_set(c->d->loop, &c->listen_timer, LISTEN_RETRY, on_listen_timer, c);
	else
		loop_timer_stop(c->d->loop, &c->listen_timer);
}

static void listen_where_wanted(struct cluster *c)
{
	struct bgp_listen want[2 * FAM_COUNT + VRFS_MAX];
	char err[sizeof c->listen_problem];
	unsigned n = 0;

	for (int f = 0; c->has_peers && !c->d->dry_run && f < FAM_COUNT; f++) {
		if (!c->self.bind_node_ip) {
			want[n++] = (struct bgp_listen){.port = c->self.listen_port};
			break;
		}
		if (!addr_is_none(&c->self.ip[f].addr))
			want[n++] = (struct bgp_listen){.addr = c->self.ip[f].addr, .port = c->self.listen_port};
		if (c->has_workload_peers && !addr_is_none(&c->self.workload_peering[f]))
			want[n++] =
			    (struct bgp_listen){.addr = c->self.workload_peering[f], .port = c->self.listen_port};
	}
	if (c->has_peers && !c->d->dry_run)
		n += instances_listen(c->d, c->self.listen_port, want + n, VRFS_MAX);
	note_listening(c, bgp_engine_listen(c->d->engine, want, n, err, sizeof err) ? "" : err);
}

/* Workloads that are peers speak to an address of their own, if one is configured. Felix puts it on their interfaces.
 */
static void set_workload_address(struct cluster *c)
{
	bool ours = c->d->config.workload_routes && !c->d->dry_run;

	for (int f = 0; f < FAM_COUNT; f++)
		fib_own_address_set(c->d->fib, (enum family)f,
				    c->has_workload_peers && ours ? &c->self.workload_peering[f] : &(struct addr){0});
}

static void on_address_change(void *arg)
{
	mark(arg, ANEW_SELF);
}

void cluster_address_changed(struct cluster *c, const struct addr *next_hop)
{
	char interface[16];

	if (!c)
		return;
	if (next_hop && !c->tunnel_next_hops) {
		fib_nexthop_interface(c->d->fib, next_hop, interface);
		c->tunnel_next_hops = export_is_tunnel(interface);
		if (c->tunnel_next_hops)
			mark(c, ANEW_SELF);
	}
	if (c->synced)
		node_address_touch(&c->address, next_hop);
}

static void note_severity(struct cluster *c)
{
	free(c->severity);
	c->severity = NULL;
	if (!daemon_set_log_level(c->d, c->self.log_severity))
		c->severity = mem_printf("BGPConfiguration: spec.logSeverityScreen: '%.30s' is no severity: ignored\n",
					 c->self.log_severity);
}

/* Who this node is, and all that follows from it but policies and sessions. These are all looked at, unless everything
 * is what it was but for the labels of this node's object. */
static void apply_self(struct cluster *c, bool everything)
{
	struct self self = self_from(c->d->store, &c->d->config, c->address.found);
	bool same = !everything && self_is_same(&self, &c->self);
	bool priorities = memcmp(self.priority, c->self.priority, sizeof self.priority) != 0;

	self.tunnel_next_hops = c->tunnel_next_hops;
	if (!self.node && (c->self.node || !c->announced_sync))
		log_warn("cluster",
			 "there is no Node object \"%s\": this node has no peers until there is one; set node.name "
			 "or NODENAME if the name is wrong",
			 self.name);
	if (self.max_paths != c->self.max_paths)
		dataplane_set_max_paths(c->d, self.max_paths);
	c->self = self;
	c->self.secrets = c->secrets;
	if (priorities)
		mark_all_dirty(c);
	note_severity(c);
	dataplane_apply(c->d, &c->self);
	service_apply(c->d->service, &c->self);
	if (c->d->bmp && !c->d->dry_run)
		bmp_identity(c->d->bmp, c->self.as, c->self.router_id);
	if (!same)
		peering_apply(c->peering, &c->self);
}

/* Where this node listens, and at what: as long as there is somebody to listen to. */
static void apply_listening(struct cluster *c, bool self_changed)
{
	bool has_peers = peering_count(c->peering) > 0, has_workload_peers = peering_workload_count(c->peering) > 0;

	if (!self_changed && has_peers == c->has_peers && has_workload_peers == c->has_workload_peers)
		return;
	c->has_peers = has_peers;
	c->has_workload_peers = has_workload_peers;
	set_workload_address(c);
	listen_where_wanted(c);
}

static void apply_sessions(struct cluster *c)
{
	struct peering_diff diff = peering_settle(c->peering);
	bool vrfs;

	apply_listening(c, diff.everything);
	if (c->d->dry_run) {
		peering_diff_free(&diff);
		return;
	}
	vrfs = instances_apply(c->d, &diff);
	for (unsigned i = 0; i < diff.count; i++) {
		const struct peer_want *w = &diff.change[i].want;
		struct addr gateway = peering_gateway(c->peering, &w->remote, w->opt.vrf);
		if (!w->opt.vrf[0])
			reachable_set(&c->reachable, c->d->fib, &w->remote, &gateway);
		instances_reach(c->d, &w->remote, &gateway, w->opt.vrf);
	}
	speaker_apply(c->d->speaker, &diff, &c->self, c->policies);
	vrfs |= instances_sweep(c->d);
	if (vrfs)
		listen_where_wanted(c);
}

static void apply(struct cluster *c)
{
	uint8_t anew = c->anew;

	c->anew = 0;
	if (!c->policies) {
		c->policies = policies_new(c->d->store);
		c->peering = peering_new(c->d->store, &c->d->config);
	}
	if (anew & (ANEW_NODE | ANEW_SELF))
		apply_self(c, anew & ANEW_SELF);
	if (anew & (ANEW_NODE | ANEW_SELF | ANEW_POOLS) && overlay_apply(c->d->overlay, &c->self))
		mark_all_dirty(c);
	if (anew) {
		policies_update(c->policies, &c->self);
		secrets_begin(c->secrets);
	}
	apply_sessions(c);
	if (c->d->dry_run)
		return;
	if (anew & (ANEW_NODE | ANEW_SELF))
		node_address_publish(&c->address, &c->self);
	if (anew && !(anew & ANEW_SELF))
		speaker_policies_changed(c->d->speaker);
	policies_sweep(c->policies);
	if (!anew)
		return;
	peering_ask_secrets(c->peering);
	secrets_sweep(c->secrets);
}

static bool cluster_work(void *arg, uint64_t deadline)
{
	struct cluster *c = arg;
	bool left;

	/* Half of the objects would be half of the peers: nothing is applied before all have been seen once. */
	if (!c->synced)
		return false;
	if (c->anew & (ANEW_NODE | ANEW_SELF))
		node_address_refresh(&c->address);
	if (c->anew || (c->peering && peering_is_dirty(c->peering)))
		apply(c);
	/* Prefixes wait until all Services have said what they claim: one that moves from one to another stays. */
	left = service_settle(c->d->service, deadline) || settle_prefixes(c, deadline);
	if (!left && !c->announced_sync) {
		c->announced_sync = true;
		if (c->d->dry_run)
			return false;
		speaker_datastore_synced(c->d->speaker);
	}
	return left;
}

static void on_migration(void *arg, const struct obj_workload_endpoint *w)
{
	struct cluster *c = arg;

	for (unsigned i = 0; i < w->network_count; i++)
		mark_dirty(c, local_prefix_get(c, &w->networks[i]));
}

void cluster_link_changed(struct cluster *c, const struct fib_link *l)
{
	if (c)
		migrations_link_changed(c->migrations, l);
}

struct cluster *cluster_new(struct daemon *d)
{
	struct cluster *c = mem_calloc(1, sizeof *c);

	c->d = d;
	STAILQ_INIT(&c->dirty);
	c->secrets = secrets_new(d->loop, d->config.datastore_secrets, on_secrets, c);
	c->work = (struct loop_work){.run = cluster_work, .arg = c, .rank = LOOP_RANK_CLUSTER};
	node_address_init(&c->address, d, on_address_change, c);
	c->migrations = migrations_new(d, on_migration, c);
	return c;
}

static void drop_all_claims(struct cluster *c)
{
	struct local_prefix *l;
	struct claim *claim;
	uint32_t pos = 0;

	while ((l = htab_next(&c->prefixes, &pos))) {
		while ((claim = LIST_FIRST(&l->claims))) {
			LIST_REMOVE(claim, link);
			free(claim);
		}
	}
}

void cluster_free(struct cluster *c)
{
	struct local_prefix *l;
	uint32_t pos = 0;

	loop_work_cancel(c->d->loop, &c->work);
	loop_timer_stop(c->d->loop, &c->listen_timer);
	node_address_end(&c->address);
	migrations_free(c->migrations);
	drop_all_claims(c);
	while ((l = htab_next(&c->prefixes, &pos)))
		free(l);
	htab_clear(&c->prefixes);
	free(c->severity);
	if (c->policies) {
		policies_free(c->policies);
		peering_free(c->peering);
	}
	secrets_free(c->secrets);
	reachable_free(&c->reachable);
	free(c);
}

void cluster_reconfigure(struct cluster *c)
{
	const struct object *o;

	/* The node's name may be another one now: claim everything again. What stays the same is settled as a no-op. */
	drop_all_claims(c);
	service_forget(c->d->service);
	mark_all_dirty(c);
	fib_each_workload(c->d->fib);
	for (int k = 0; k < OBJ_KIND_COUNT; k++) {
		unsigned pos = 0;
		while (kinds[k].claims && (o = store_next(c->d->store, (enum object_kind)k, &pos))) {
			kinds[k].claims(c, o, claim_add);
			if (own_workload(c, o))
				migrations_on_change(c->migrations, own_workload(c, o), own_workload(c, o));
		}
	}
	mark(c, ANEW_SELF);
}

bool cluster_is_settled(const struct cluster *c)
{
	return c->announced_sync;
}

void cluster_interface(const struct cluster *c, const struct prefix *p, char name[static 16])
{
	const struct local_prefix *l = htab_find(&c->prefixes, prefix_hash(p), local_prefix_eq, p);
	const struct claim *claim = l ? find_claim(l, CLAIM_WORKLOAD) : NULL;

	*name = '\0';
	if (!c->d->config.workload_routes)
		fib_workload_interface(c->d->fib, p, name);
	else if (claim)
		cluster_workload_interface(c, (const struct obj_workload_endpoint *)(const void *)claim->object, name);
}

const struct self *cluster_self(const struct cluster *c)
{
	return &c->self;
}

static void put_origin(const struct object *o, struct strbuf *out)
{
	strbuf_puts(out, out->len ? ", " : "");
	if (o)
		strbuf_printf(out, "%s %s%s%s (%s)", object_kind_name(o->kind), o->namespace, *o->namespace ? "/" : "",
			      o->name, o->source);
	else
		strbuf_puts(out, "the configured ranges of Services");
}

void cluster_origin(const struct cluster *c, const struct prefix *p, struct strbuf *out)
{
	const struct local_prefix *l = htab_find(&c->prefixes, prefix_hash(p), local_prefix_eq, p);
	const struct claim *claim;
	uint32_t priority;

	if (!l)
		return;
	if (!c->d->config.workload_routes && workload_priority(c, l, &priority))
		strbuf_printf(out, "a route of the kernel to a workload, priority %u", priority);
	LIST_FOREACH(claim, &l->claims, link)
	put_origin(claim->object, out);
}

void cluster_problems(const struct cluster *c, struct strbuf *out)
{
	if (c->synced && !c->self.node)
		strbuf_printf(out, "there is no Node object \"%s\"; set node.name or NODENAME if the name is wrong\n",
			      c->d->config.node_name);
	else if (c->synced && addr_is_none(&c->self.ip[FAM_IPV4].addr) && addr_is_none(&c->self.ip[FAM_IPV6].addr))
		strbuf_printf(out,
			      "Node %s has neither spec.bgp.ipv4Address nor ipv6Address: no sessions are possible\n",
			      c->self.name);
	if (c->synced)
		node_address_problems(&c->address, &c->self, out);
	if (*c->listen_problem)
		strbuf_printf(out, "%s; tried again every %u s\n", c->listen_problem,
			      (unsigned)(LISTEN_RETRY / MONO_SEC));
	overrides_problems(c->d->store, c->d->config.node_name, out);
	if (c->synced)
		felix_problems(c->d->store, &c->d->config, &c->self, out);
	migrations_problems(c->migrations, out);
	overlay_problems(c->d->overlay, out);
	if (c->policies)
		policies_problems(c->policies, out);
	secrets_problems(c->secrets, out);
	if (c->peering)
		peering_notes(c->peering, out);
	instances_problems(c->d, out);
	strbuf_puts(out, c->severity ? c->severity : "");
}
