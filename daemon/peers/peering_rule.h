/* Who has sessions with whom: what peering.c builds its list by, and what tells whether a changed object can change it.
 */
#ifndef DAEMON_PEERS_PEERING_RULE_H
#define DAEMON_PEERS_PEERING_RULE_H

#include "daemon/cluster/self.h"

/* Is it about sessions of this node: by its name, its labels, or because it says nothing of nodes? */
bool peering_selects(const struct obj_bgp_peer *p, const struct obj_node *n);
/* Does it, seen from the nodes it selects, lead to this node? */
bool peering_leads_here(const struct obj_bgp_peer *p, const struct self *self);

/* Could the sessions of this node be others without this object, or with it? `self` as it is now (with a node that
 * lives). Asked of an object's versions before and after a change: false for both means that the change changes no
 * session. It costs a walk over the BGPPeers at most. */
bool peering_depends_on(const struct store *s, const struct self *self, const struct object *o);

/* Does this BGPPeer make the workload a peer of this node (localWorkloadSelector)? */
bool peering_selects_workload(const struct obj_bgp_peer *p, const struct self *self,
			      const struct obj_workload_endpoint *e);

#endif
