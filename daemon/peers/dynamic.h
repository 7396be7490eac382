/* Dynamic neighbours: the ranges of addresses that BGPPeers name (peerRange), and the peers that came by them. A peer
 * comes into being with its connection and goes with its end, once none of its routes is kept for its restart. */
#ifndef DAEMON_PEERS_DYNAMIC_H
#define DAEMON_PEERS_DYNAMIC_H

#include "bgp/session/session.h"
#include "daemon/peers/peering.h"
#include "daemon/peers/speaker.h"

struct dynamic;
struct range;

struct dynamic *dynamic_new(struct daemon *d, struct speaker *s);
/* After the last of its peers. */
void dynamic_free(struct dynamic *dyn);

/* Makes the ranges those of the diff, and takes them. What is no longer wanted lets nobody in, and lives until
 * dynamic_sweep(): its peers must find another home before. */
void dynamic_apply(struct dynamic *dyn, struct peering_diff *d);
void dynamic_sweep(struct dynamic *dyn);
/* Interfaces have changed: ranges on links are where these are. */
void dynamic_link_changed(struct dynamic *dyn);
/* The longest range that holds this peer; NULL if none does. */
struct range *dynamic_find(const struct dynamic *dyn, const struct peer_want *w);

/* The peer belongs to this range from now on; NULL: to none, it is configured or goes. */
void dynamic_join(struct peer *p, struct range *r);
/* It is up. */
void dynamic_established(struct peer *p);
/* Perhaps the peer has ended: looked at soon, and then it goes. */
void dynamic_check(struct peer *p);

/* What its sessions come by. */
struct bgp_range *dynamic_bgp_range(const struct range *r);
/* What its peers have in common. */
const struct peer_want *dynamic_want(const struct range *r);

struct dynamic_view {
	const struct peer_want *want;
	unsigned peers;
	uint64_t refused; /* for the limit */
};
/* Ranges in order from index 0; false past the end. */
bool dynamic_view(const struct dynamic *dyn, unsigned index, struct dynamic_view *v);

#endif
