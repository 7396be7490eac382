/* Objects into intent. Local prefixes (locals.h) and sessions (peering.h) are kept by who claims them, and change with
 * the object. What a change means beyond that one table here says: most means nothing; the policies are made anew for
 * few objects, and compared with those in force; everything is looked at anew where this node itself may be another. */
#include "daemon/cluster/cluster.h"

#include <bsd/sys/queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/cluster/felix.h"
#include "daemon/cluster/locals.h"
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
#include "datastore/secrets.h"

#define LISTEN_RETRY (5 * MONO_SEC)
/* In which there are listening sockets; in more, peers are only dialled. */
#define VRFS_MAX 256u

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
};

void cluster_kick(struct cluster *c)
{
	loop_work_schedule(c->d->loop, &c->work);
}

static bool is_self(const struct cluster *c, const char *node)
{
	return node && strcmp(node, c->d->config.node_name) == 0;
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

/* Which kinds of objects ask for sessions, and what else a change of them means. */
static const struct {
	meaning_fn *means;
	bool sessions; /* it may ask for sessions */
} kinds[OBJ_KIND_COUNT] = {
    [OBJ_NODE] = {.means = node_means, .sessions = true},
    [OBJ_IP_POOL] = {.means = means_pools},
    [OBJ_BGP_CONFIGURATION] = {.means = configuration_means, .sessions = true},
    [OBJ_BGP_PEER] = {.means = bgp_peer_means, .sessions = true},
    [OBJ_BGP_FILTER] = {.means = means_policy},
    [OBJ_WORKLOAD_ENDPOINT] = {.sessions = true}, /* it may be a peer */
    [OBJ_BLOCK_AFFINITY] = {.means = affinity_means},
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

	locals_on_change(c->d->locals, before, after);
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

void cluster_workload_changed(struct cluster *c, const struct prefix *p)
{
	/* What was there before is asked for when the objects are there. */
	if (c->synced)
		locals_mark(c->d->locals, p);
}

void cluster_on_report(void *arg, struct store_report *r)
{
	node_status(((struct cluster *)arg)->d, r);
}

/* ---- Identity, peers, policy ---- */

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
		locals_mark_all(c->d->locals);
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
		locals_mark_all(c->d->locals);
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
	left = service_settle(c->d->service, deadline) || locals_settle(c->d->locals, deadline);
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
	c->secrets = secrets_new(d->loop, d->config.datastore_secrets, on_secrets, c);
	c->work = (struct loop_work){.run = cluster_work, .arg = c, .rank = LOOP_RANK_CLUSTER};
	node_address_init(&c->address, d, on_address_change, c);
	d->locals = locals_new(d, &c->self, &c->work);
	return c;
}

void cluster_free(struct cluster *c)
{
	loop_work_cancel(c->d->loop, &c->work);
	loop_timer_stop(c->d->loop, &c->listen_timer);
	node_address_end(&c->address);
	locals_free(c->d->locals);
	c->d->locals = NULL;
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
	/* The node's name may be another one now. */
	locals_anew(c->d->locals);
	service_forget(c->d->service);
	fib_each_workload(c->d->fib);
	mark(c, ANEW_SELF);
}

bool cluster_is_settled(const struct cluster *c)
{
	return c->announced_sync;
}

const struct self *cluster_self(const struct cluster *c)
{
	return &c->self;
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
	locals_problems(c->d->locals, out);
	overlay_problems(c->d->overlay, out);
	if (c->policies)
		policies_problems(c->policies, out);
	secrets_problems(c->secrets, out);
	if (c->peering)
		peering_notes(c->peering, out);
	instances_problems(c->d, out);
	strbuf_puts(out, c->severity ? c->severity : "");
}
