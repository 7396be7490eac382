/* Routes that originate here: blocks, workloads, and what else the node announces. */
#include "rib/core.h"

void rib_local_set(struct rib *r, const struct prefix *p, enum route_source source, uint32_t priority)
{
	struct bgp_attrs a = {
	    .present = 1u << BA_ORIGIN | 1u << BA_AS_PATH | 1u << BA_LOCAL_PREF,
	    .origin = BGP_ORIGIN_IGP,
	    .local_pref = local_pref_of_priority(priority),
	};
	enum family f = family_of_af(p->addr.af);
	struct route_change c = {.family = f, .peer = rib_local_peer(r), .source = source, .now = mono_seconds()};

	c.node = table_get(&r->table[f], p);
	c.attrs = attrs_intern(r->attrs, &a);
	route_set(r, &c, p);
	attrs_unref(r->attrs, c.attrs);
}

void rib_local_unset(struct rib *r, const struct prefix *p)
{
	enum family f = family_of_af(p->addr.af);
	uint32_t id = table_find(&r->table[f], p);

	if (id != ID_NONE)
		route_withdraw(r, f, id, rib_local_peer(r), 0);
}
