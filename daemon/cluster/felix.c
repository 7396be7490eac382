#include "daemon/cluster/felix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"

/* Whom a field concerns. */
enum concern {
	ALWAYS,
	IN_ITS_PLACE, /* where this daemon writes the routes to workloads, and makes the tunnels */
};

/* Numbers that are compared as they are; 0 says nothing. */
static const struct number {
	const char *field, *key;
	enum concern concern;
	size_t felix, config;
} numbers[] = {
#define NUMBER(field, concern, theirs, key, ours)                                                                    \
	{                                                                                                            \
		field, key, concern, offsetof(struct obj_felix_configuration, theirs), offsetof(struct config, ours) \
	}
    NUMBER("ipipMTU", IN_ITS_PLACE, ipip_mtu, "kernel.ipip_mtu", ipip_mtu),
    NUMBER("vxlanMTU", IN_ITS_PLACE, vxlan_mtu, "kernel.vxlan_mtu", vxlan_mtu),
    NUMBER("vxlanMTUV6", IN_ITS_PLACE, vxlan_mtu6, "kernel.vxlan_mtu6", vxlan_mtu6),
    NUMBER("vxlanPort", IN_ITS_PLACE, vxlan_port, "kernel.vxlan_port", vxlan_port),
    NUMBER("vxlanVNI", IN_ITS_PLACE, vxlan_vni, "kernel.vxlan_vni", vxlan_vni),
    NUMBER("ipv4ElevatedRoutePriority", IN_ITS_PLACE, elevated_priority[FAM_IPV4], "kernel.elevated_priority",
	   elevated_priority),
    NUMBER("ipv6ElevatedRoutePriority", IN_ITS_PLACE, elevated_priority[FAM_IPV6], "kernel.elevated_priority6",
	   elevated_priority6),
    NUMBER("liveMigrationRouteConvergenceTime", IN_ITS_PLACE, migration_time, "kernel.migration_time", migration_time),
};

/* Both objects, the node's own first; either may be NULL. */
struct felix {
	const struct obj_felix_configuration *object[2];
	const struct config *config;
	const struct self *self;
	struct strbuf *out;
};

static unsigned number_at(const void *object, size_t at)
{
	unsigned n;

	memcpy(&n, (const char *)object + at, sizeof n);
	return n;
}

/* The first object that says the number; NULL if none does. */
static const struct obj_felix_configuration *sayer(const struct felix *f, size_t at)
{
	for (unsigned i = 0; i < 2; i++)
		if (f->object[i] && number_at(f->object[i], at))
			return f->object[i];
	return NULL;
}

static void compare_numbers(const struct felix *f)
{
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		const struct number *n = &numbers[i];
		const struct obj_felix_configuration *o = sayer(f, n->felix);
		unsigned ours = number_at(f->config, n->config);

		if (!o || number_at(o, n->felix) == ours || (n->concern == IN_ITS_PLACE && !f->config->workload_routes))
			continue;
		strbuf_printf(f->out,
			      "FelixConfiguration %s: spec.%s is %u, and %s of this node is %u: set it likewise\n",
			      o->o.name, n->field, number_at(o, n->felix), n->key, ours);
	}
}

/* Workloads' routes are told from better ones by this number. */
static void compare_priorities(const struct felix *f)
{
	static const size_t at[FAM_COUNT] = {offsetof(struct obj_felix_configuration, normal_priority[FAM_IPV4]),
					     offsetof(struct obj_felix_configuration, normal_priority[FAM_IPV6])};

	for (int family = 0; family < FAM_COUNT; family++) {
		const struct obj_felix_configuration *o = sayer(f, at[family]);

		if (o && number_at(o, at[family]) != f->self->priority[family])
			strbuf_printf(f->out,
				      "FelixConfiguration %s: spec.ipv%cNormalRoutePriority is %u, and that of the "
				      "BGPConfiguration %u: they belong together\n",
				      o->o.name, family == FAM_IPV4 ? '4' : '6', number_at(o, at[family]),
				      f->self->priority[family]);
	}
}

/* Of several prefixes the CNI plugin's is the first. */
static void compare_prefix(const struct felix *f)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct obj_felix_configuration *o = f->object[i];
		const char *said = o ? o->interface_prefix : NULL;

		if (!said || !*said)
			continue;
		if (strncmp(said, f->config->interface_prefix, strcspn(said, ",")) != 0 ||
		    f->config->interface_prefix[strcspn(said, ",")])
			strbuf_printf(f->out,
				      "FelixConfiguration %s: spec.interfacePrefix is %.60s, and "
				      "kernel.interface_prefix of this node is %s: set it likewise\n",
				      o->o.name, said, f->config->interface_prefix);
		return;
	}
}

static void name_unheard(const struct felix *f)
{
	for (unsigned i = 0; i < 2 && f->config->workload_routes; i++) {
		const struct obj_felix_configuration *o = f->object[i];

		for (int family = 0; o && family < FAM_COUNT; family++)
			if (o->source_address[family] && *o->source_address[family])
				strbuf_printf(f->out,
					      "FelixConfiguration %s: spec.deviceRouteSourceAddress%s: routes to "
					      "workloads have no source address here\n",
					      o->o.name, family == FAM_IPV4 ? "" : "IPv6");
		if (o && o->route_sync_disabled && f->config->programming)
			strbuf_printf(f->out,
				      "FelixConfiguration %s: spec.routeSyncDisabled: this daemon does write routes; "
				      "kernel.programming says whether\n",
				      o->o.name);
	}
}

/* Without encapsulation, IP-in-IP. */
static const bool programs[][2] = {
    [ROUTES_AUTO] = {true, true},      [ROUTES_ALL] = {true, true},   [ROUTES_NONE] = {false, false},
    [ROUTES_NO_ENCAP] = {true, false}, [ROUTES_IPIP] = {false, true},
};

/* Nothing of Calico's notices if both write a pool's routes, or nobody does. What Felix does if nothing is said depends
 * on its release. */
static void compare_cluster_routes(const struct felix *f)
{
	static const char *const what[] = {"pools without encapsulation", "IP-in-IP pools"};
	const struct obj_felix_configuration *o = sayer(f, offsetof(struct obj_felix_configuration, cluster_routes));

	for (unsigned i = 0; o && !f->config->workload_routes && i < 2; i++)
		if (programs[o->cluster_routes][i] == programs[f->self->cluster_routes][i])
			strbuf_printf(
			    f->out,
			    "spec.programClusterRoutes of FelixConfiguration %s and of the BGPConfiguration: %s "
			    "program%s the routes of %s\n",
			    o->o.name, programs[o->cluster_routes][i] ? "both" : "nobody",
			    programs[o->cluster_routes][i] ? "" : "s", what[i]);
}

static const struct obj_felix_configuration *find(const struct store *s, const char *name)
{
	return (const struct obj_felix_configuration *)(const void *)store_get(s, OBJ_FELIX_CONFIGURATION, "", name);
}

void felix_problems(const struct store *s, const struct config *c, const struct self *self, struct strbuf *out)
{
	char *own;
	struct felix f = {.config = c, .self = self, .out = out};

	if (!store_count(s, OBJ_FELIX_CONFIGURATION))
		return;
	own = mem_printf("node.%s", c->node_name);
	f.object[0] = find(s, own);
	f.object[1] = find(s, "default");
	free(own);
	compare_numbers(&f);
	compare_priorities(&f);
	compare_prefix(&f);
	compare_cluster_routes(&f);
	name_unheard(&f);
}
