#include "daemon/instance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/cluster/cluster.h"
#include "daemon/cluster/locals.h"
#include "daemon/dataplane.h"
#include "daemon/peers/liveness.h"
#include "daemon/peers/speaker.h"

/* How often it is looked whether the kernel has taken back what is ours in a table that is left, and how long. */
#define LEAVING_TICK (20 * MONO_MSEC)
#define LEAVING_TIME (30 * MONO_SEC)
#define OTHER_TABLES_MAX 32u

/* ---- RIB and FIB joined ---- */

static void on_best(void *arg, const struct prefix *p, const struct rib_route *routes, unsigned n)
{
	struct fib_hop hops[DATAPLANE_HOPS];
	struct fib_route r = {.prefix = *p, .class = FIB_BGP, .type = FIB_VIA, .hops = hops};
	const struct instance *i = arg;

	for (unsigned k = 0; k < n && r.hop_count < DATAPLANE_HOPS && dataplane_takes(i->d, p, routes, n); k++) {
		const struct nexthop *nh = routes[k].attrs->next_hop;
		if (nh)
			hops[r.hop_count++] =
			    (struct fib_hop){.gateway = nh->addr.addr, .link_local = nh->addr.link_local};
	}
	if (!r.hop_count) {
		fib_unset(i->fib, p, FIB_BGP);
		return;
	}
	r.metric = priority_of_local_pref(routes[0].attrs->local_pref);
	fib_set(i->fib, &r);
}

static void on_rib_nexthop(void *arg, const struct addr *nh, bool used)
{
	const struct instance *i = arg;

	(used ? fib_nexthop_watch : fib_nexthop_unwatch)(i->fib, nh);
}

static void on_fib_nexthop(void *arg, const struct addr *nh, bool reachable, uint32_t metric)
{
	const struct instance *i = arg;

	if (!i->rib)
		return;
	rib_nexthop_update(i->rib, nh, reachable, metric);
	rib_interfaces_changed(i->rib);
}

static void on_interface(void *arg, const struct prefix *p, const struct addr *next_hop, char name[static 16])
{
	const struct instance *i = arg;

	if (next_hop)
		fib_nexthop_interface(i->fib, next_hop, name);
	else
		locals_interface(i->d->locals, p, name);
}

static const struct rib_sink rib_sink = {
    .interface = on_interface,
    .on_best = on_best,
    .on_ready = speaker_on_ready,
    .on_nexthop = on_rib_nexthop,
};

static const struct fib_ops fib_ops = {.on_nexthop = on_fib_nexthop};

static struct fib_conf fib_conf(const struct instance *i, unsigned max_paths)
{
	struct fib_conf c = dataplane_fib_conf(&i->d->config, max_paths);

	c.programming &= !i->d->dry_run;
	c.table = i->table;
	c.vrf = i->vrf;
	c.routes_only = true;
	/* A Felix writes the main table alone: in others workloads' routes are ours, and nothing is another's. */
	c.workload_routes = true;
	c.takeover = 0;
	return c;
}

/* ---- Coming ---- */

/* Table 0: the VRF's, or, without one, the main instance. */
static uint32_t own_table(const struct daemon *d, const struct peer_options *opt)
{
	return opt->vrf[0] || opt->kernel_table == d->config.table ? 0 : opt->kernel_table;
}

static bool is_main(const struct daemon *d, const struct peer_options *opt)
{
	return !opt->vrf[0] && !own_table(d, opt);
}

static struct instance *find(const struct instance_list *list, const char *vrf, uint32_t table)
{
	struct instance *i;

	LIST_FOREACH(i, list, link)
	if (i->table == table && strcmp(i->vrf, vrf) == 0)
		return i;
	return NULL;
}

struct instance *instance_of(const struct daemon *d, const struct peer_options *opt)
{
	return LIST_EMPTY(&d->instances) || is_main(d, opt) ? NULL : find(&d->instances, opt->vrf, own_table(d, opt));
}

bool instance_fits(const struct daemon *d, const struct instance *i, const struct peer_options *opt)
{
	if (!i)
		return is_main(d, opt);
	return i->table == own_table(d, opt) && strcmp(i->vrf, opt->vrf) == 0;
}

static void set_name(struct instance *i)
{
	if (i->vrf[0])
		snprintf(i->name, sizeof i->name, "VRF %s", i->vrf);
	else
		snprintf(i->name, sizeof i->name, "table %u", i->table);
}

static struct instance *instance_new(struct daemon *d, const char *vrf, uint32_t table, char *err, size_t size)
{
	struct instance *i = mem_calloc(1, sizeof *i);
	struct fib_conf conf;

	i->d = d;
	i->table = table;
	snprintf(i->vrf, sizeof i->vrf, "%s", vrf);
	set_name(i);
	conf = fib_conf(i, d->cluster ? cluster_self(d->cluster)->max_paths : 0);
	i->fib = fib_new(d->loop, &conf, &fib_ops, i, err, size);
	if (i->fib)
		return i;
	free(i);
	return NULL;
}

static void instance_join(struct instance *i)
{
	struct daemon *d = i->d;
	unsigned max_paths = cluster_self(d->cluster)->max_paths;
	struct rib_conf conf = dataplane_rib_conf(&d->config);

	if (max_paths)
		conf.max_paths = max_paths;
	i->rib = rib_new(d->loop, &conf, &rib_sink, i);
	LIST_INSERT_HEAD(&d->instances, i, link);
	if (!i->vrf[0])
		liveness_tell(d->liveness, i->fib);
	fib_mark_table(i->fib);
	locals_settle_into(d->locals, i);
	speaker_instance_came(d->speaker, i);
	log_info("bgp", "%s: routes of its own", i->name);
}

/* The one whose routes go into this table; the main one is never meant. */
static const struct instance *holder(const struct instance_list *list, uint32_t table)
{
	const struct instance *i;

	LIST_FOREACH(i, list, link)
	if (table && fib_table(i->fib) == table)
		return i;
	return NULL;
}

/* Why there cannot be such an instance; "" if there can. */
static void find_conflict(const struct daemon *d, const struct peer_options *opt, struct strbuf *why)
{
	uint32_t table = own_table(d, opt);
	const struct instance *other;
	struct fib_link l = {0};

	strbuf_puts(why, "");
	if (opt->vrf[0] && fib_link_find(d->fib, opt->vrf, &l)) {
		table = l.vrf_table;
		if (!table)
			strbuf_printf(why, "vrf: the interface %s is no VRF device", opt->vrf);
		else if (opt->kernel_table && opt->kernel_table != table)
			strbuf_printf(why, "kernelTable is %u, but VRF %s has table %u: leave kernelTable out",
				      opt->kernel_table, opt->vrf, table);
		else if (table == d->config.table)
			strbuf_printf(why, "vrf: %s has table %u, which is the node's own (kernel.table)", opt->vrf,
				      table);
	}
	other = find(&d->instances, opt->vrf, own_table(d, opt)) ? NULL : holder(&d->instances, table);
	if (!why->len && other)
		strbuf_printf(why,
			      "table %u is that of %s, which other peers are in: say vrf here, too, or take "
			      "another table",
			      table, other->name);
	other = find(&d->leaving, opt->vrf, own_table(d, opt)) ? NULL : holder(&d->leaving, table);
	if (!why->len && other)
		strbuf_printf(why, "waits until the routes of %s have left table %u", other->name, table);
}

bool instance_make(struct daemon *d, const struct peer_options *opt, char *why, size_t size)
{
	uint32_t table = own_table(d, opt);
	struct instance *i = find(&d->instances, opt->vrf, table);
	struct strbuf conflict = {0};

	if (is_main(d, opt))
		return true;
	find_conflict(d, opt, &conflict);
	snprintf(why, size, "%s", conflict.s);
	strbuf_free(&conflict);
	if (*why || i)
		return !*why;
	i = find(&d->leaving, opt->vrf, table);
	if (i)
		LIST_REMOVE(i, link);
	else
		i = instance_new(d, opt->vrf, table, why, size);
	if (i)
		instance_join(i);
	return i;
}

/* ---- Whose cannot be ---- */

struct refusal {
	struct addr remote;
	uint16_t port;
	char interface[16], vrf[16];
	char *text;
	LIST_ENTRY(refusal) link;
};

static void refusal_free(struct refusal *r)
{
	LIST_REMOVE(r, link);
	free(r->text);
	free(r);
}

static const char *interface_of(const struct peer_want *w)
{
	return w->interface ? w->interface : "";
}

static void refusal_forget(struct daemon *d, const struct peer_want *w)
{
	struct refusal *r, *next;

	LIST_FOREACH_SAFE(r, &d->refusals, link, next)
	if (addr_equal(&r->remote, &w->remote) && r->port == w->remote_port && strcmp(r->vrf, w->opt.vrf) == 0 &&
	    strcmp(r->interface, interface_of(w)) == 0)
		refusal_free(r);
}

/* Said in the log once, however often everything is looked at. */
static bool is_said(const struct refusal_list *list, const char *text)
{
	const struct refusal *r;

	LIST_FOREACH(r, list, link)
	if (strcmp(r->text, text) == 0)
		return true;
	return false;
}

static void refuse(struct daemon *d, struct peer_change *c, const char *why, const struct refusal_list *before)
{
	struct refusal *r = mem_calloc(1, sizeof *r);

	r->remote = c->want.remote;
	r->port = c->want.remote_port;
	memcpy(r->vrf, c->want.opt.vrf, sizeof r->vrf);
	snprintf(r->interface, sizeof r->interface, "%s", interface_of(&c->want));
	r->text = mem_printf("%s: no session: %s", c->want.origin, why);
	if (!is_said(before, r->text))
		log_warn("bgp", "%s", r->text);
	LIST_INSERT_HEAD(&d->refusals, r, link);
	c->wanted = false;
}

static void refusals_clear(struct refusal_list *list)
{
	while (!LIST_EMPTY(list))
		refusal_free(LIST_FIRST(list));
}

void instances_problems(const struct daemon *d, struct strbuf *out)
{
	const struct refusal *r;

	LIST_FOREACH(r, &d->refusals, link)
	strbuf_printf(out, "%s\n", r->text);
}

bool instances_apply(struct daemon *d, struct peering_diff *diff)
{
	const struct instance *first = LIST_FIRST(&d->instances);
	struct refusal_list before = LIST_HEAD_INITIALIZER(before);
	char why[300];

	if (diff->everything)
		LIST_SWAP(&before, &d->refusals, refusal, link);
	/* Those in VRFs first: whose table is whose is the kernel's to say. */
	for (int with_table = 0; with_table < 2; with_table++) {
		for (unsigned n = 0; n < diff->count; n++) {
			struct peer_change *c = &diff->change[n];

			if (with_table != (c->want.opt.vrf[0] ? 0 : 1))
				continue;
			refusal_forget(d, &c->want);
			if (c->wanted && !instance_make(d, &c->want.opt, why, sizeof why))
				refuse(d, c, why, &before);
		}
	}
	refusals_clear(&before);
	return first != LIST_FIRST(&d->instances);
}

void instances_reach(struct daemon *d, const struct addr *to, const struct addr *gateway, const char *vrf)
{
	struct instance *i;

	LIST_FOREACH(i, &d->instances, link)
	if (strcmp(i->vrf, vrf) == 0)
		reachable_set(&i->reachable, i->fib, to, gateway);
}

/* ---- Going ---- */

static void instance_free(struct instance *i)
{
	if (i->rib)
		rib_free(i->rib);
	i->rib = NULL;
	fib_free(i->fib);
	reachable_free(&i->reachable);
	LIST_REMOVE(i, link);
	free(i);
}

static void on_leaving(void *arg)
{
	struct daemon *d = arg;
	struct instance *i, *next;

	LIST_FOREACH_SAFE(i, &d->leaving, link, next)
	{
		bool idle = fib_is_idle(i->fib);

		if (!idle && mono_now() < i->leave_until)
			continue;
		if (!idle)
			log_error("fib", "%s: the kernel did not take everything back in %u s: look with ip route",
				  i->name, (unsigned)(LEAVING_TIME / MONO_SEC));
		else
			log_info("fib", "%s: nothing of ours is left there", i->name);
		instance_free(i);
		/* Somebody may have waited for the table. */
		if (!LIST_EMPTY(&d->refusals))
			cluster_peers_changed(d->cluster);
	}
	if (!LIST_EMPTY(&d->leaving))
		loop_timer_set(d->loop, &d->leaving_timer, LEAVING_TICK, on_leaving, d);
}

/* It is in no list. */
static void instance_leave(struct instance *i)
{
	struct daemon *d = i->d;
	const struct addr *to;
	uint32_t pos = 0;

	while ((to = htab_next(&i->reachable.to, &pos)))
		fib_reach_unset(i->fib, to);
	reachable_free(&i->reachable);
	if (i->rib)
		rib_free(i->rib);
	i->rib = NULL;
	fib_teardown(i->fib);
	i->leave_until = mono_now() + LEAVING_TIME;
	LIST_INSERT_HEAD(&d->leaving, i, link);
	loop_timer_set(d->loop, &d->leaving_timer, LEAVING_TICK, on_leaving, d);
}

bool instances_sweep(struct daemon *d)
{
	struct instance *i, *next;
	bool any = false;

	LIST_FOREACH_SAFE(i, &d->instances, link, next)
	{
		if (i->peers)
			continue;
		log_info("bgp", "%s: no peer is in it any more", i->name);
		LIST_REMOVE(i, link);
		instance_leave(i);
		any = true;
	}
	return any;
}

/* Tables that only an earlier run knew. */
static void leave_others(struct daemon *d)
{
	uint32_t tables[OTHER_TABLES_MAX];
	unsigned n = fib_other_tables(d->fib, tables, OTHER_TABLES_MAX);
	char err[200];

	for (unsigned t = 0; t < n; t++) {
		struct instance *i;

		if (holder(&d->instances, tables[t]) || holder(&d->leaving, tables[t]))
			continue;
		i = instance_new(d, "", tables[t], err, sizeof err);
		if (!i) {
			log_error("fib", "table %u: routes of an earlier run stay there: %s", tables[t], err);
			continue;
		}
		log_info("fib", "table %u: what an earlier run has left there is removed, no peer asks for it",
			 tables[t]);
		instance_leave(i);
	}
}

void instances_sync_done(struct daemon *d)
{
	struct instance *i;

	LIST_FOREACH(i, &d->instances, link)
	for (int f = 0; f < FAM_COUNT; f++)
		fib_sync_done(i->fib, (enum family)f);
	leave_others(d);
}

/* ---- All ---- */

void instances_configure(struct daemon *d, unsigned max_paths)
{
	struct instance *i;

	LIST_FOREACH(i, &d->instances, link)
	{
		struct fib_conf conf = fib_conf(i, max_paths);

		rib_set_max_paths(i->rib, max_paths ? max_paths : d->config.max_paths);
		fib_configure(i->fib, &conf);
	}
}

void instances_teardown(struct daemon *d)
{
	struct instance *i;

	while ((i = LIST_FIRST(&d->instances))) {
		LIST_REMOVE(i, link);
		instance_leave(i);
	}
	leave_others(d);
	loop_timer_stop(d->loop, &d->leaving_timer);
}

bool instances_are_idle(const struct daemon *d)
{
	const struct instance *i;

	LIST_FOREACH(i, &d->leaving, link)
	if (!fib_is_idle(i->fib))
		return false;
	return true;
}

void instances_free(struct daemon *d)
{
	loop_timer_stop(d->loop, &d->leaving_timer);
	while (!LIST_EMPTY(&d->instances))
		instance_free(LIST_FIRST(&d->instances));
	while (!LIST_EMPTY(&d->leaving))
		instance_free(LIST_FIRST(&d->leaving));
	refusals_clear(&d->refusals);
}

/* ---- Asking ---- */

bool instance_named(const struct daemon *d, const char *name, struct instance **found)
{
	unsigned long table;
	char *end;

	*found = find(&d->instances, name, 0);
	if (*found && *name)
		return true;
	errno = 0;
	table = strtoul(name, &end, 10);
	if (strcmp(name, "main") == 0 || (end != name && !*end && !errno && table == d->config.table)) {
		*found = NULL;
		return true;
	}
	if (end == name || *end || errno || table > UINT32_MAX)
		return false;
	LIST_FOREACH(*found, &d->instances, link)
	if (fib_table((*found)->fib) == table)
		return true;
	return false;
}

bool instances_concern_link(const struct daemon *d, const struct fib_link *l)
{
	const struct refusal *r;

	LIST_FOREACH(r, &d->refusals, link)
	if (strcmp(r->vrf, l->name) == 0)
		return true;
	return find(&d->instances, l->name, 0) || (l->vrf_table && !LIST_EMPTY(&d->instances));
}

const char *instance_trouble(const struct daemon *d, const struct peer_options *opt, char *buf, size_t size)
{
	struct fib_link l;

	if (!opt->vrf[0] || fib_link_find(d->fib, opt->vrf, &l))
		return NULL;
	if (opt->kernel_table)
		snprintf(buf, size, "there is no VRF %s: ip link add %s type vrf table %u", opt->vrf, opt->vrf,
			 opt->kernel_table);
	else
		snprintf(buf, size, "there is no VRF %s: ip link add %s type vrf table NUMBER", opt->vrf, opt->vrf);
	return buf;
}

unsigned instances_listen(const struct daemon *d, uint16_t port, struct bgp_listen *out, unsigned max)
{
	const struct instance *i;
	struct fib_link l;
	unsigned n = 0;

	LIST_FOREACH(i, &d->instances, link)
	{
		if (n == max || !i->vrf[0] || !fib_link_find(d->fib, i->vrf, &l))
			continue;
		out[n] = (struct bgp_listen){.port = port, .vrf_ifindex = l.ifindex};
		memcpy(out[n++].vrf, i->vrf, sizeof i->vrf);
	}
	return n;
}
