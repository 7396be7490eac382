/* Who has sessions with whom, and how they are: Calico's rules for the mesh and for BGPPeers (confd's bgp_processor.go
 * and client.go). Pure functions of a few objects and this node's identity; peering.c knows when to ask them. */
#ifndef DAEMON_PEERS_PEERING_RULE_H
#define DAEMON_PEERS_PEERING_RULE_H

#include "daemon/cluster/self.h"
#include "daemon/peers/node_index.h"
#include "daemon/peers/peer_want.h"

/* What they are asked with. */
struct peering_view {
	const struct store *store;
	const struct config *conf;
	const struct self *self; /* with a node that lives */
	const struct node_index *nodes;
};

/* Is it about sessions of this node: by its name, its labels, or because it says nothing of nodes? */
bool peering_selects(const struct obj_bgp_peer *p, const struct obj_node *n);
/* Does it, seen from the nodes it selects, lead to this node? */
bool peering_leads_here(const struct obj_bgp_peer *p, const struct self *self);
/* Does this BGPPeer make the workload a peer of this node (localWorkloadSelector)? */
bool peering_selects_workload(const struct obj_bgp_peer *p, const struct self *self,
			      const struct obj_workload_endpoint *e);
/* Is this other node a member of the mesh that this node is a member of? */
bool peering_meshes(const struct self *self, const struct obj_node *n);

/* Explicit peers come before implicit ones, global before node-specific, then by name; the first to ask for a remote
 * has it. */
enum ask_tier { ASK_GLOBAL, ASK_NODE, ASK_REVERSE, ASK_MESH };
enum ask_tier ask_tier(const struct obj_bgp_peer *p);

/* Who asks for a session. */
struct ask {
	enum ask_tier tier;
	const struct obj_bgp_peer *peer; /* NULL: the mesh */
	const struct object *other;	 /* the Node or WorkloadEndpoint it leads to; NULL: what the BGPPeer names */
	unsigned index;			 /* of the Node's address (enum family), of the workload's networks */
};
/* The one that comes first has the remote. */
int ask_cmp(const struct ask *a, const struct ask *b);
/* Is it said of the same peers by the same object? */
bool ask_is_same(const struct ask *a, const struct ask *b);
/* "mesh with node-2", "BGPPeer rack1-tor"; the caller frees it. */
char *ask_origin(const struct ask *a);

/* What it asks for, without texts; the interface is the object's. False: there is no such session. */
bool ask_want(const struct peering_view *v, const struct ask *a, struct peer_want *w);
/* And the texts, w's own. */
void ask_texts(const struct peering_view *v, const struct ask *a, struct peer_want *w);
/* Why a BGPPeer that selects this node gives no session, a line; nothing if it may. */
void ask_complain(const struct peering_view *v, const struct obj_bgp_peer *p, struct strbuf *out);

#endif
