/* Nodes whose address changes. A session is known by its remote address, and a change of either end's address makes it
 * another one; the routes are those of the same node nevertheless, and stay until the new session has told them. */
#ifndef DAEMON_PEERS_MOVED_H
#define DAEMON_PEERS_MOVED_H

#include "daemon/peers/speaker.h"

/* Of the running peers those that are no longer wanted, while another address of the same node and family is: they
 * become the peers of that address. */
void moved_follow(struct speaker *s, const struct peering_diff *d);
/* Whether with this want the session has another address of our own, or we another identifier. */
bool moved_self(const struct peer *p, const struct peer_want *w, uint32_t old_router_id, uint32_t router_id);

#endif
