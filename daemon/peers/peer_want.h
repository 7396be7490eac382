/* A session that this node should have, whoever asks for it. */
#ifndef DAEMON_PEERS_PEER_WANT_H
#define DAEMON_PEERS_PEER_WANT_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/addr.h"
#include "datastore/objects.h"

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

/* What a session, or a range of them, is known by. */
struct peer_key {
	struct prefix range; /* none: a session */
	struct addr remote;
	const char *interface; /* borrowed; "" none */
	uint16_t remote_port;
	char vrf[16]; /* "" none */
};
struct peer_key peer_key_of(const struct peer_want *w);
int peer_key_cmp(const struct peer_key *a, const struct peer_key *b);
/* By the address alone (unnumbered: the interface): sessions with several ports of one address have the same. */
uint32_t peer_key_hash(const struct peer_key *k);

/* Order and identity: of sessions by remote address, interface, port and VRF, of ranges by prefix and interface. */
int peer_want_cmp(const struct peer_want *a, const struct peer_want *b);
/* "Mesh_10_0_0_2", "Global_10_0_0_9_port_1179": as Calico names BIRD's protocols; "Global_fe80__1_eth0", "Global_eth0".
 * The caller frees it. */
char *peer_want_name(const struct peer_want *w);
/* What a caller of a range becomes: the name is made of its address. interface: of a link-local one. */
struct peer_want peer_want_of_range(const struct peer_want *range, const struct addr *remote, const char *interface);
/* Frees the texts of one want and zeroes it. */
void peer_want_free(struct peer_want *w);

#endif
