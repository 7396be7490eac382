/* Which sessions this node should have: Calico's rules for the mesh and for BGPPeers, applied to the objects.
 *
 * A pure function of the objects and this node's identity; the speaker compares its result with what runs. */
#ifndef DAEMON_PEERS_PEERING_H
#define DAEMON_PEERS_PEERING_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/addr.h"
#include "daemon/cluster/self.h"
#include "daemon/config/config.h"
#include "datastore/store.h"

enum peer_kind { PEER_MESH, PEER_GLOBAL, PEER_NODE, PEER_DYNAMIC, PEER_LOCAL_WORKLOAD };
/* "node-to-node mesh", "global", "node specific", "dynamic", "local workload" */
const char *peer_kind_name(enum peer_kind k);

/* A session that should exist. Owned text; key: see peer_want_cmp(). */
struct peer_want {
	char *name;   /* Mesh_10_0_0_2, Global_..., Node_..., as Calico names them */
	char *origin; /* for people: "mesh with node-2", "BGPPeer rack1-tor" */
	char *node;   /* the Node whose address remote is, by whatever name it stays the same peer; NULL none */
	enum peer_kind kind;
	struct addr remote; /* none: unnumbered, known by its interface alone */
	struct addr local;
	struct addr reachable_by; /* the gateway that leads to it; none: the kernel's routes say */
	struct addr other;	  /* the peer's address of the other family, if it is a node; none if not known */
	uint16_t remote_port;
	uint32_t remote_as; /* 0: any */
	uint32_t local_as;
	bool passive;
	bool rr_client;	     /* of peers whose AS is not known yet: if they turn out to be internal */
	uint8_t families;    /* bit per enum family: offered */
	struct addr sibling; /* the remote of the IPv4 session with the same node, if that one offers both families:
				this IPv6 session is held back while the sibling carries IPv6 */
	uint16_t hold_time, keepalive_time, restart_time; /* s */
	uint8_t ttl_security;				  /* hops, 0 off */
	unsigned allowed_local_as;
	enum next_hop_mode next_hop_mode;
	char *password; /* NULL none */
	struct peer_options opt;
	struct peer_bfd bfd; /* what nothing was said of is filled in, but for min_ttl */
	char *interface;     /* of link-local and unnumbered peers; NULL otherwise */
	char *shutdown_text; /* with opt.shutdown; NULL none */
	char *filters;	     /* names of BGPFilters with '\n' between them; NULL none */
};

struct peering {
	struct peer_want *want; /* sorted by peer_want_cmp() */
	unsigned count;
	struct peer_want *ranges; /* what the peers of each opt.range have in common; sorted by it and by interface */
	unsigned range_count;
	struct strbuf notes; /* a line for each BGPPeer that gives no session here, and why */
};
struct peering peering_compute(const struct store *s, const struct config *c, const struct self *self);
void peering_free(struct peering *p);
/* Order and identity of ranges. */
int peer_range_cmp(const struct peer_want *a, const struct peer_want *b);
/* Order and identity of sessions: by remote address, interface and port. */
int peer_want_cmp(const struct peer_want *a, const struct peer_want *b);
/* What a caller of a range becomes: the name is made of its address. interface: of a link-local one. */
struct peer_want peer_want_of_range(const struct peer_want *range, const struct addr *remote, const char *interface);
/* Frees the texts of one want and zeroes it. */
void peer_want_free(struct peer_want *w);

#endif
