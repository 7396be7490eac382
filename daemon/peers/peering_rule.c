#include "daemon/peers/peering_rule.h"

#include <string.h>

bool peering_selects(const struct obj_bgp_peer *p, const struct obj_node *n)
{
	if (p->node)
		return strcmp(p->node, n->o.name) == 0;
	/* A nodeSelector that does not parse was refused with its object, so text without a parsed form cannot be. */
	return p->node_sel ? selector_match(p->node_sel, &n->o.labels) : true;
}

bool peering_leads_here(const struct obj_bgp_peer *p, const struct self *self)
{
	if (p->peer_sel)
		return selector_match(p->peer_sel, &self->node->o.labels);
	return self_has_address(self, &p->peer_ip) && p->as_number == self->as &&
	       (!p->peer_port || p->peer_port == self->listen_port);
}

bool peering_selects_workload(const struct obj_bgp_peer *p, const struct self *self,
			      const struct obj_workload_endpoint *e)
{
	return p->workload_sel && e->node && strcmp(e->node, self->name) == 0 && peering_selects(p, self->node) &&
	       selector_match(p->workload_sel, &e->o.labels);
}

static bool depends_on_workload(const struct store *s, const struct self *self, const struct obj_workload_endpoint *e)
{
	const struct object *o;
	unsigned pos = 0;

	if (!e->node || strcmp(e->node, self->name) != 0)
		return false;
	while ((o = store_next(s, OBJ_BGP_PEER, &pos)))
		if (peering_selects_workload((const struct obj_bgp_peer *)(const void *)o, self, e))
			return true;
	return false;
}

/* Is the node the other end of what this BGPPeer asks of us? */
static bool ends_at(const struct obj_bgp_peer *p, const struct self *self, const struct obj_node *n)
{
	if (!p->manual_reverse_peering && peering_leads_here(p, self) && peering_selects(p, n))
		return true;
	if (!peering_selects(p, self->node))
		return false;
	/* Of a peer that is a node the session takes its port and its other address. */
	return p->peer_sel ? selector_match(p->peer_sel, &n->o.labels)
			   : !addr_is_none(&p->peer_ip) &&
				 (addr_equal(&p->peer_ip, &n->ipv4.addr) || addr_equal(&p->peer_ip, &n->ipv6.addr));
}

static bool depends_on_node(const struct store *s, const struct self *self, const struct obj_node *n)
{
	const struct object *o;
	unsigned pos = 0;

	if (strcmp(n->o.name, self->name) == 0 || (self->mesh && !self->cluster_id && !n->has_cluster_id))
		return true;
	while ((o = store_next(s, OBJ_BGP_PEER, &pos)))
		if (ends_at((const struct obj_bgp_peer *)(const void *)o, self, n))
			return true;
	return false;
}

bool peering_depends_on(const struct store *s, const struct self *self, const struct object *o)
{
	const struct obj_bgp_peer *p = (const void *)o;

	switch (o->kind) {
	case OBJ_NODE:
		return depends_on_node(s, self, object_node(o));
	case OBJ_WORKLOAD_ENDPOINT:
		return depends_on_workload(s, self, (const void *)o);
	case OBJ_BGP_PEER:
		return peering_selects(p, self->node) || (!p->manual_reverse_peering && peering_leads_here(p, self));
	default:
		return true;
	}
}
