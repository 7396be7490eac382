/* Objects into intent. The one table here says who claims which prefix for this node: an affinity its block, a workload
 * its addresses, an IPAM block the addresses this node borrows. A change of an object changes claims and marks their
 * prefixes dirty; at the end of the turn each dirty prefix is settled once, so that an object that is replaced by
 * another never makes its route blink. Peers and the export policy are computed anew when something they depend on
 * changed, and compared with what is in force where they are applied. */
#include "daemon/cluster/cluster.h"

#include <bsd/sys/queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/cluster/node_address.h"
#include "daemon/cluster/node_status.h"
#include "daemon/cluster/overlay.h"
#include "daemon/cluster/reachable.h"
#include "daemon/cluster/service.h"
#include "daemon/dataplane.h"
#include "daemon/monitor/bmp.h"
#include "daemon/peers/peering_rule.h"
#include "daemon/peers/speaker.h"
#include "daemon/policy/policies.h"
#include "datastore/pod.h"
#include "datastore/secrets.h"

#define LISTEN_RETRY (5 * MONO_SEC)

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

struct cluster {
	struct daemon *d;
	struct self self;
	struct htab prefixes; /* of struct local_prefix */
	STAILQ_HEAD(, local_prefix) dirty;
	struct loop_work work;
	bool synced, dirty_self, announced_sync;
	struct strbuf peering_notes;
	struct policies *policies;
	struct secrets *secrets;
	struct reachable reachable;
	bool has_peers, has_workload_peers;
	char listen_problem[200]; /* "" if we listen where we should */
	struct loop_timer listen_timer;
	struct node_address address;
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

/* Which kinds of objects claim prefixes, and which ones peers and policy depend on. */
static const struct {
	void (*claims)(struct cluster *c, const struct object *o, claim_fn *fn);
	bool self; /* peers, policy, identity */
} kinds[OBJ_KIND_COUNT] = {
    [OBJ_NODE] = {.self = true},
    [OBJ_IP_POOL] = {.self = true},
    [OBJ_BGP_CONFIGURATION] = {.self = true},
    [OBJ_BGP_PEER] = {.self = true},
    [OBJ_BGP_FILTER] = {.self = true},
    [OBJ_WORKLOAD_ENDPOINT] = {.claims = workload_claims, .self = true}, /* it may be a peer */
    [OBJ_BLOCK_AFFINITY] = {.claims = block_claims, .self = true},
    [OBJ_IPAM_BLOCK] = {.claims = borrowed_claims},
};

/* In a large cluster something changes all the time; most of it means nothing to this node's peers and policy. */
static bool concerns_self(const struct cluster *c, const struct object *o)
{
	struct self now = c->self;

	if (!o || !kinds[o->kind].self)
		return false;
	if (o->kind == OBJ_BLOCK_AFFINITY)
		return is_self(c, ((const struct obj_block_affinity *)(const void *)o)->node);
	now.node = (const void *)store_get(c->d->store, OBJ_NODE, "", c->d->config.node_name);
	return !now.node || peering_depends_on(c->d->store, &now, o);
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
	if (kind == OBJ_WORKLOAD_ENDPOINT)
		rib_interfaces_changed(c->d->rib);
	overlay_on_change(c->d->overlay, before, after);
	service_on_change(c->d->service, before, after);
	if (!c->dirty_self && c->synced && (concerns_self(c, before) || concerns_self(c, after))) {
		c->dirty_self = true;
		loop_work_schedule(c->d->loop, &c->work);
	}
}

static void on_secrets(void *arg)
{
	struct cluster *c = arg;

	c->dirty_self = true;
	loop_work_schedule(c->d->loop, &c->work);
}

void cluster_on_refusals(void *arg)
{
	struct cluster *c = arg;

	c->dirty_self = true;
	loop_work_schedule(c->d->loop, &c->work);
}

void cluster_on_sync(void *arg)
{
	struct cluster *c = arg;

	c->synced = true;
	c->dirty_self = true;
	fib_each_workload(c->d->fib);
	loop_work_schedule(c->d->loop, &c->work);
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
	bool elevated = w->migration == MIGRATION_LIVE || w->migration == MIGRATION_TIME_WAIT;

	if (elevated)
		*priority =
		    l->prefix.addr.af == AF_INET ? c->d->config.elevated_priority : c->d->config.elevated_priority6;
	return w->migration != MIGRATION_TARGET;
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

void cluster_on_report(void *arg, unsigned classes, struct strbuf *out)
{
	node_status(((struct cluster *)arg)->d, classes, out);
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

static void want_workload(struct cluster *c, const struct local_prefix *l, const struct object *o, uint32_t priority)
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
	fib_set(c->d->fib, &r);
}

static void settle_kernel(struct cluster *c, struct local_prefix *l)
{
	const struct claim *workload = find_claim(l, CLAIM_WORKLOAD);
	uint32_t priority = c->self.priority[family_of_af(l->prefix.addr.af)];
	/* A blackhole for a single address would keep the CNI plugin from adding the workload's own route. */
	bool block =
	    find_claim(l, CLAIM_BLOCK) && !prefix_is_host(&l->prefix) && !overlay_leaves(c->d->overlay, &l->prefix);

	if (workload && !migration_priority(c, l, workload, &priority))
		workload = NULL;
	if (workload)
		want_workload(c, l, workload->object, priority);
	else if (l->workload_wanted)
		fib_unset(c->d->fib, &l->prefix, FIB_WORKLOAD);
	l->workload_wanted = workload;
	if (block && !l->block_wanted)
		fib_set(c->d->fib, &(struct fib_route){.prefix = l->prefix, .class = FIB_BLOCK, .type = FIB_BLACKHOLE});
	else if (!block && l->block_wanted)
		fib_unset(c->d->fib, &l->prefix, FIB_BLOCK);
	l->block_wanted = block;
}

/* Whose address is borrowed is a workload that is known: that one says whether it is here yet. */
static bool speaks(const struct local_prefix *l, enum claim_kind kind)
{
	return find_claim(l, kind) && !(kind == CLAIM_BORROWED && find_claim(l, CLAIM_WORKLOAD));
}

static void settle_rib(struct cluster *c, struct local_prefix *l)
{
	uint32_t priority;
	int kind = CLAIM_WORKLOAD;

	if (!workload_priority(c, l, &priority))
		for (kind++; kind < CLAIM_KIND_COUNT && !speaks(l, (enum claim_kind)kind);)
			kind++;
	if (kind < CLAIM_KIND_COUNT)
		rib_local_set(c->d->rib, &l->prefix, claim_source[kind], priority);
	else if (l->in_rib)
		rib_local_unset(c->d->rib, &l->prefix);
	l->in_rib = kind < CLAIM_KIND_COUNT;
}

static bool settle_prefixes(struct cluster *c, uint64_t deadline)
{
	struct local_prefix *l;

	while ((l = STAILQ_FIRST(&c->dirty))) {
		STAILQ_REMOVE_HEAD(&c->dirty, dirty_link);
		l->dirty = false;
		settle_kernel(c, l);
		settle_rib(c, l);
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
	struct bgp_listen want[2 * FAM_COUNT];
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
	note_listening(c, bgp_engine_listen(c->d->engine, want, n, err, sizeof err) ? "" : err);
}

/* Workloads that are peers speak to an address of their own, if one is configured. Felix puts it on their interfaces.
 */
static void find_workload_peers(struct cluster *c, const struct peering *p)
{
	bool ours = c->d->config.workload_routes && !c->d->dry_run;

	c->has_workload_peers = false;
	for (unsigned i = 0; i < p->count && !c->has_workload_peers; i++)
		c->has_workload_peers = p->want[i].kind == PEER_LOCAL_WORKLOAD;
	for (int f = 0; f < FAM_COUNT; f++)
		fib_own_address_set(c->d->fib, (enum family)f,
				    c->has_workload_peers && ours ? &c->self.workload_peering[f] : &(struct addr){0});
}

static void on_address_change(void *arg)
{
	struct cluster *c = arg;

	c->dirty_self = true;
	loop_work_schedule(c->d->loop, &c->work);
}

void cluster_address_changed(struct cluster *c, const struct addr *next_hop)
{
	if (c && c->synced)
		node_address_touch(&c->address, next_hop);
}

static void apply_self(struct cluster *c)
{
	struct self self = self_from(c->d->store, &c->d->config, c->address.found);
	bool priorities = memcmp(self.priority, c->self.priority, sizeof self.priority) != 0;
	struct strbuf severity = {0};
	struct peering p;

	if (!self.node && (c->self.node || !c->announced_sync))
		log_warn("cluster",
			 "there is no Node object \"%s\": this node has no peers until there is one; set node.name "
			 "or NODENAME if the name is wrong",
			 self.name);
	if (self.max_paths != c->self.max_paths)
		dataplane_set_max_paths(c->d, self.max_paths);
	c->self = self;
	if (!c->policies)
		c->policies = policies_new(c->d->store);
	if (priorities)
		mark_all_dirty(c);
	if (!daemon_set_log_level(c->d, self.log_severity))
		strbuf_printf(&severity, "BGPConfiguration: spec.logSeverityScreen: '%.30s' is no severity: ignored\n",
			      self.log_severity);
	policies_update(c->policies, &c->self);
	if (overlay_apply(c->d->overlay, &c->self))
		mark_all_dirty(c);
	dataplane_apply(c->d, &c->self);
	service_apply(c->d->service, &c->self);
	secrets_begin(c->secrets);
	c->self.secrets = c->secrets;
	p = peering_compute(c->d->store, &c->d->config, &c->self);
	strbuf_free(&c->peering_notes);
	c->peering_notes = p.notes;
	if (severity.len)
		strbuf_add(&c->peering_notes, severity.s, severity.len);
	strbuf_free(&severity);
	p.notes = (struct strbuf){0};
	c->has_peers = p.count > 0 || p.range_count > 0;
	find_workload_peers(c, &p);
	listen_where_wanted(c);
	if (c->d->dry_run) {
		peering_free(&p);
		return;
	}
	if (c->d->bmp)
		bmp_identity(c->d->bmp, c->self.as, c->self.router_id);
	reachable_apply(&c->reachable, c->d->fib, &p);
	speaker_apply(c->d->speaker, &p, &c->self, c->policies);
	policies_sweep(c->policies);
	secrets_sweep(c->secrets);
}

static bool cluster_work(void *arg, uint64_t deadline)
{
	struct cluster *c = arg;
	bool left;

	/* Half of the objects would be half of the peers: nothing is applied before all have been seen once. */
	if (!c->synced)
		return false;
	if (c->dirty_self) {
		node_address_refresh(&c->address);
		c->dirty_self = false;
		apply_self(c);
	}
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

struct cluster *cluster_new(struct daemon *d)
{
	struct cluster *c = mem_calloc(1, sizeof *c);

	c->d = d;
	STAILQ_INIT(&c->dirty);
	c->secrets = secrets_new(d->loop, d->config.datastore_secrets, on_secrets, c);
	c->work = (struct loop_work){.run = cluster_work, .arg = c, .rank = LOOP_RANK_CLUSTER};
	node_address_init(&c->address, d, on_address_change, c);
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
	drop_all_claims(c);
	while ((l = htab_next(&c->prefixes, &pos)))
		free(l);
	htab_clear(&c->prefixes);
	strbuf_free(&c->peering_notes);
	if (c->policies)
		policies_free(c->policies);
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
		while (kinds[k].claims && (o = store_next(c->d->store, (enum object_kind)k, &pos)))
			kinds[k].claims(c, o, claim_add);
	}
	c->dirty_self = true;
	loop_work_schedule(c->d->loop, &c->work);
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
		node_address_problems(&c->address, out);
	if (*c->listen_problem)
		strbuf_printf(out, "%s; tried again every %u s\n", c->listen_problem,
			      (unsigned)(LISTEN_RETRY / MONO_SEC));
	overlay_problems(c->d->overlay, out);
	if (c->policies)
		policies_problems(c->policies, out);
	secrets_problems(c->secrets, out);
	if (c->peering_notes.len)
		strbuf_add(out, c->peering_notes.s, c->peering_notes.len);
}
