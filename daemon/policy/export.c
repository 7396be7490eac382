#include "daemon/policy/export.h"

#include <string.h>

#include "daemon/cluster/service.h"

/* Step 3: pools that must not leave by BGP. */
static void reject_unexported_pools(struct rules *r, const struct store *s)
{
	const struct object *o;
	unsigned pos = 0;

	while ((o = store_next(s, OBJ_IP_POOL, &pos))) {
		const struct obj_ip_pool *pool = (const void *)o;
		if (pool->disable_bgp_export)
			rules_add_prefix(
			    r, &pool->cidr, MATCH_IN,
			    (struct policy_rule){.action = RULE_REJECT, .why = "the pool has disableBGPExport"});
	}
}

/* ---- Tunnels ---- */

/* By the interface's name; which of them are whose. */
static const struct tunnel {
	const char *pattern, *why;
	bool ipip;  /* withheld only where IP-in-IP is Felix's to program */
	bool never; /* from external peers, too */
} tunnels[] = {
    {"*.cali", "leads through a device of Felix's", .ipip = false},
    {"*.calico", "leads through a VXLAN device", .ipip = false},
    {"tunl0", "leads through tunl0, which is Felix's to program", .ipip = true},
    {"bpf*.cali", "leads through a device of Felix's", .never = true},
};

static bool leaves_ipip(const struct self *self)
{
	return self->cluster_routes == ROUTES_NONE || self->cluster_routes == ROUTES_NO_ENCAP;
}

bool export_is_tunnel(const char *interface)
{
	size_t n = strlen(interface);

	return strcmp(interface, "tunl0") == 0 || (n >= 5 && strcmp(interface + n - 5, ".cali") == 0) ||
	       (n >= 7 && strcmp(interface + n - 7, ".calico") == 0);
}

static void withhold_address(struct rules *r, const struct addr *a, const char *why)
{
	struct prefix host;

	if (addr_is_none(a))
		return;
	host = prefix_make(a, addr_bits(a->af));
	rules_add_prefix(r, &host, MATCH_EQUAL,
			 (struct policy_rule){.ibgp_only = true, .action = RULE_REJECT, .why = why});
}

/* Steps 4 and 5. Of our own routes these are the devices' addresses, where they are another node's block's. Those of
 * peers have to be asked one by one, which is left out as long as no next hop leads through a tunnel. */
static void withhold_tunnels(struct rules *r, const struct self *self)
{
	static const char vxlan[] = "the address of a VXLAN device", wireguard[] = "the address of a WireGuard device";
	const struct obj_node *n = self->node;

	if (n) {
		withhold_address(r, &n->vxlan_tunnel, vxlan);
		withhold_address(r, &n->vxlan_tunnel6, vxlan);
		withhold_address(r, &n->wireguard[FAM_IPV4], wireguard);
		withhold_address(r, &n->wireguard[FAM_IPV6], wireguard);
	}
	if (n && leaves_ipip(self))
		withhold_address(r, &n->ipip_tunnel, "the address of tunl0, which is Felix's to program");
	for (size_t i = 0; self->tunnel_next_hops && i < sizeof tunnels / sizeof *tunnels; i++)
		if (!tunnels[i].ipip || leaves_ipip(self))
			rules_add(r, &(struct policy_rule){.interface = tunnels[i].pattern,
							   .ibgp_only = !tunnels[i].never,
							   .action = RULE_REJECT,
							   .why = tunnels[i].why});
}

/* Step 7: a block stands for all that is inside it, unless a route's priority is better than the normal one. */
static void aggregate_block(struct rules *r, const struct self *self, const struct prefix *block)
{
	rules_add_prefix(r, block, MATCH_EQUAL,
			 (struct policy_rule){.action = RULE_ACCEPT, .why = "a block of this node"});
	rules_add_prefix(r, block, MATCH_IN,
			 (struct policy_rule){.priority_match = PRIORITY_BETTER,
					      .priority = self->priority[family_of_af(block->addr.af)],
					      .action = RULE_ACCEPT,
					      .why = "its priority outranks its block"});
	rules_add_prefix(
	    r, block, MATCH_IN,
	    (struct policy_rule){.action = RULE_REJECT, .why = "inside a block of this node, which is announced"});
}

bool export_is_block(const struct object *affinity, const char *node)
{
	const struct obj_block_affinity *a = (const void *)affinity;

	return a->node && strcmp(a->node, node) == 0 && !a->virtual && !a->deleted && a->state == AFFINITY_CONFIRMED;
}

/* Steps 8 and 9. What leads to another node's Services is passed on by reflectors only: to other ASes this node would
 * stand for it as the next hop, without serving it or having a route to who does. */
static void accept_services(struct rules *r, const struct service_conf *c, bool reflector)
{
	struct policy_rule own = {
	    .sources = 1u << SOURCE_SERVICE, .action = RULE_ACCEPT, .why = "a Service that this node announces"};
	bool any = false;

	for (int from = 0; from < SERVICE_ORIGIN_COUNT; from++)
		any = any || c->count[from];
	if (!any)
		return;
	rules_add(r, &own);
	for (int from = 0; from < SERVICE_ORIGIN_COUNT; from++) {
		for (unsigned i = 0; i < c->count[from]; i++) {
			const struct prefix *p = &c->list[from][i];
			bool pass = service_range_is_announced(c, (enum service_origin)from, p) ||
				    (reflector && from != SERVICE_CLUSTER_IP);
			if (!reflector)
				rules_add_prefix(r, p, MATCH_IN,
						 (struct policy_rule){.sources = 1u << SOURCE_BGP,
								      .ebgp_only = true,
								      .action = RULE_REJECT,
								      .why = "another node's Service"});
			if (pass)
				rules_add_prefix(r, p, MATCH_IN,
						 (struct policy_rule){.action = RULE_ACCEPT,
								      .why = "inside an announced range of Services"});
		}
	}
}

/* Step 10: borrowed addresses, and on a reflector the other nodes' blocks. */
static void accept_pools(struct rules *r, const struct store *s)
{
	const struct object *o;
	unsigned pos = 0;

	while ((o = store_next(s, OBJ_IP_POOL, &pos)))
		rules_add_prefix(r, &((const struct obj_ip_pool *)(const void *)o)->cidr, MATCH_IN,
				 (struct policy_rule){.action = RULE_ACCEPT, .why = "inside an IPPool"});
}

/* ---- prefixAdvertisements ---- */

/* The object whose list counts on this node: node.<name>'s replaces that of the default one as a whole. */
static const struct obj_bgp_configuration *advertiser(const struct store *s, const struct self *self)
{
	const struct obj_bgp_configuration *own = self_node_configuration(s, self->name);

	return own && own->advertisement_count ? own : self_bgp_configuration(s, "default");
}

/* A name of the same object's communities, or a community itself. NULL if it is neither. */
static const struct community *find_community(const struct obj_bgp_configuration *c, const char *text,
					      struct community *literal)
{
	for (unsigned i = 0; i < c->community_count; i++)
		if (strcmp(c->communities[i].name, text) == 0)
			return &c->communities[i].value;
	return community_parse(literal, text) ? literal : NULL;
}

/* Step 6. A prefix that several of them cover gets the communities of all. */
static void add_communities(struct rules *r, const struct store *s, const struct self *self)
{
	const struct obj_bgp_configuration *c = advertiser(s, self);

	for (unsigned i = 0; c && i < c->advertisement_count; i++) {
		const struct prefix_advertisement *a = &c->advertisements[i];
		struct policy_op *ops = rules_ops(r, a->community_count);
		unsigned n = 0;

		for (unsigned j = 0; j < a->community_count; j++) {
			struct community literal;
			const struct community *found = find_community(c, a->communities[j], &literal);
			if (found)
				ops[n++] = rules_community_op(found);
		}
		if (n)
			rules_add_prefix(r, &a->cidr, MATCH_IN,
					 (struct policy_rule){.action = RULE_CONTINUE,
							      .ops = ops,
							      .op_count = n,
							      .why = "communities of prefixAdvertisements"});
	}
}

void export_problems(const struct store *s, const struct self *self, struct strbuf *out)
{
	const struct obj_bgp_configuration *c = advertiser(s, self);
	struct community literal;

	for (unsigned i = 0; c && i < c->advertisement_count; i++)
		for (unsigned j = 0; j < c->advertisements[i].community_count; j++)
			if (!find_community(c, c->advertisements[i].communities[j], &literal))
				strbuf_printf(out,
					      "BGPConfiguration %s: spec.prefixAdvertisements[%u]: no community is "
					      "called %.60s: left out\n",
					      c->o.name, i, c->advertisements[i].communities[j]);
}

void export_rules(struct rules *out, const struct store *s, const struct self *self, const struct prefix *blocks,
		  unsigned block_count)
{
	reject_unexported_pools(out, s);
	withhold_tunnels(out, self);
	add_communities(out, s, self);
	for (unsigned i = 0; i < block_count; i++)
		aggregate_block(out, self, &blocks[i]);
	accept_services(out, &self->services, self->cluster_id != 0);
	accept_pools(out, s);
}
