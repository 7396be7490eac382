/* What a peer's want means to its session and to the RIB. */
#ifndef DAEMON_PEERS_PEER_CONF_H
#define DAEMON_PEERS_PEER_CONF_H

#include "daemon/peers/speaker.h"

/* What all peers of this node have in common. */
struct peer_common {
	struct daemon *d;
	struct policies *policies;	    /* NULL: everything is accepted */
	struct bgp_nexthop self[FAM_COUNT]; /* this node's addresses */
	uint32_t router_id, cluster_id;	    /* this node's, host order */
	uint32_t as;			    /* this node's */
	bool graceful_shutdown;		    /* this node's: all peers are asked to use its routes last */
	char *held_text;		    /* what a held back session tells its peer (RFC 9003) */
};

/* The texts and policies are borrowed. */
void peer_session_conf(const struct peer *p, const struct peer_common *s, struct bgp_session_conf *out);
struct rib_peer_conf peer_rib_conf(const struct peer *p, const struct peer_common *s);
/* What we announce as our own next hop on this session, which is established. */
void peer_self(const struct peer *p, const struct peer_common *s, struct bgp_nexthop self[FAM_COUNT]);

#endif
