/* One session for both families: the IPv6 session with a node whose IPv4 session may carry both does not dial until it
 * is known whether that one does, and is down while that one carries IPv6 and has delivered it. */
#ifndef DAEMON_PEERS_SIBLING_H
#define DAEMON_PEERS_SIBLING_H

#include "daemon/peers/speaker.h"

/* Something about this peer changed, be it the IPv6 or the IPv4 session. */
void sibling_check(struct peer *p);
/* What this IPv6 session's node will yet tell on the IPv4 session: until then the routes of this one stand in. */
bool sibling_will_deliver(const struct peer *p);
/* The IPv4 session of this IPv6 session's node from now on; NULL: there is none. */
void sibling_link(struct peer *p, struct peer *sibling);
/* The peer is no longer there for the other one. */
void sibling_leave(struct peer *p);

#endif
