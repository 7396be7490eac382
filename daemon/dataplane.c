#include "daemon/dataplane.h"

#include <string.h>

#include "daemon/base/mono.h"
#include "daemon/cluster/cluster.h"
#include "daemon/cluster/locals.h"
#include "daemon/cluster/overlay.h"
#include "daemon/cluster/service.h"
#include "daemon/instance.h"
#include "daemon/peers/dynamic.h"
#include "daemon/peers/link.h"
#include "daemon/peers/liveness.h"
#include "daemon/peers/speaker.h"

bool dataplane_takes(const struct daemon *d, const struct prefix *p, const struct rib_route *routes, unsigned n)
{
	return n && routes[0].source == SOURCE_BGP && d->wants_bgp && !service_has(d->service, p);
}

static void on_best(void *arg, const struct prefix *p, const struct rib_route *routes, unsigned n)
{
	struct daemon *d = arg;
	struct fib_hop hops[DATAPLANE_HOPS];
	struct fib_route r = {.prefix = *p, .class = FIB_BGP, .type = FIB_VIA, .hops = hops};

	if (!dataplane_takes(d, p, routes, n)) {
		fib_unset(d->fib, p, FIB_BGP);
		return;
	}
	for (unsigned i = 0; i < n && r.hop_count < DATAPLANE_HOPS; i++) {
		const struct nexthop *nh = routes[i].attrs->next_hop;
		enum overlay_way way = nh ? overlay_choose(d->overlay, p, &nh->addr.addr) : OVERLAY_OWN;
		if (way == OVERLAY_OWN)
			continue;
		hops[r.hop_count++] = (struct fib_hop){
		    .gateway = nh->addr.addr,
		    .link_local = nh->addr.link_local,
		    .tunnel = way == OVERLAY_IPIP ? FIB_IPIP : FIB_NO_TUNNEL,
		};
	}
	if (!r.hop_count) {
		fib_unset(d->fib, p, FIB_BGP);
		return;
	}
	/* Calico's convention since 3.32: the kernel's metric is the route's priority. */
	r.metric = priority_of_local_pref(routes[0].attrs->local_pref);
	fib_set(d->fib, &r);
}

static void on_rib_nexthop(void *arg, const struct addr *nh, bool used)
{
	struct daemon *d = arg;

	if (used)
		fib_nexthop_watch(d->fib, nh);
	else
		fib_nexthop_unwatch(d->fib, nh);
}

static void on_fib_nexthop(void *arg, const struct addr *nh, bool reachable, uint32_t metric)
{
	struct daemon *d = arg;

	rib_nexthop_update(d->rib, nh, reachable, metric);
	rib_interfaces_changed(d->rib);
	cluster_address_changed(d->cluster, nh);
	if (d->liveness)
		liveness_place_changed(d->liveness, nh);
}

static void on_fib_address(void *arg)
{
	struct daemon *d = arg;

	/* The first ones are read before there is anybody to know; the last go in a teardown. */
	if (d->cluster)
		cluster_address_changed(d->cluster, NULL);
}

void dataplane_interfaces_changed(struct daemon *d)
{
	struct instance *i;

	rib_interfaces_changed(d->rib);
	LIST_FOREACH(i, &d->instances, link)
	rib_interfaces_changed(i->rib);
}

void dataplane_reselect(struct daemon *d, const struct prefix *within)
{
	struct instance *i;

	rib_reselect(d->rib, within);
	LIST_FOREACH(i, &d->instances, link)
	rib_reselect(i->rib, within);
}

static void on_fib_link(void *arg, const struct fib_link *l, const char *old_name)
{
	struct daemon *d = arg;

	if (d->locals)
		locals_link_changed(d->locals, l);
	/* The first ones are read before there are peers. */
	if (!d->speaker)
		return;
	if (old_name)
		dataplane_interfaces_changed(d);
	if (instances_concern_link(d, l))
		cluster_peers_changed(d->cluster);
	link_changed(speaker_links(d->speaker), l, old_name);
	dynamic_link_changed(speaker_dynamic(d->speaker));
}

static void on_fib_workload(void *arg, const struct prefix *p)
{
	struct daemon *d = arg;

	/* Those of the start are asked for when the objects are there. */
	if (d->cluster)
		cluster_workload_changed(d->cluster, p);
}

static void on_interface(void *arg, const struct prefix *p, const struct addr *next_hop, char name[static 16])
{
	struct daemon *d = arg;

	if (next_hop)
		fib_nexthop_interface(d->fib, next_hop, name);
	else
		locals_interface(d->locals, p, name);
}

const struct rib_sink dataplane_rib_sink = {
    .interface = on_interface,
    .on_best = on_best,
    .on_ready = speaker_on_ready,
    .on_nexthop = on_rib_nexthop,
};

const struct fib_ops dataplane_fib_ops = {
    .on_nexthop = on_fib_nexthop,
    .on_link = on_fib_link,
    .on_address = on_fib_address,
    .on_workload = on_fib_workload,
};

void dataplane_apply(struct daemon *d, const struct self *self)
{
	static const struct prefix all[FAM_COUNT] = {{.addr.af = AF_INET}, {.addr.af = AF_INET6}};
	bool wants_bgp = d->config.programming || !self->cluster_id;

	if (wants_bgp == d->wants_bgp)
		return;
	d->wants_bgp = wants_bgp;
	for (int f = 0; f < FAM_COUNT; f++)
		dataplane_reselect(d, &all[f]);
}

struct fib_conf dataplane_fib_conf(const struct config *c, unsigned max_paths)
{
	return (struct fib_conf){
	    .programming = c->programming,
	    .workload_routes = c->workload_routes,
	    .protocol = (uint8_t)c->protocol,
	    .table = c->table,
	    .onlink = c->onlink,
	    .fixed_metric = c->metric,
	    .interface_prefix = c->interface_prefix,
	    .audit = c->audit_interval * MONO_SEC,
	    .max_paths = max_paths ? max_paths : c->max_paths,
	    /* What is left to a Felix that runs is not taken from it. */
	    .takeover = c->workload_routes ? c->takeover : c->takeover & ~(unsigned)FIB_OWNER_FELIX,
	};
}

void dataplane_set_max_paths(struct daemon *d, unsigned max_paths)
{
	struct fib_conf conf = dataplane_fib_conf(&d->config, max_paths);

	rib_set_max_paths(d->rib, max_paths);
	fib_configure(d->fib, &conf);
	instances_configure(d, max_paths);
}

struct rib_conf dataplane_rib_conf(const struct config *c)
{
	return (struct rib_conf){.max_paths = c->max_paths, .deterministic_med = true};
}
