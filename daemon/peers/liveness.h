/* BFD joined with the sessions and the FIB: peers that ask for it are watched, and what BFD says ends sessions and
 * takes gateways out of the kernel's routes.
 *
 * A lifeline is one BFD session with those who use it. It begins when the peer is configured, whether BGP is up or not:
 * a session that BFD has never seen up is not held back (RFC 5882 4.1), and one that it has seen up and lost ends at
 * once (4.2). Peers with the same address share it. Nothing is opened before the first peer asks. */
#ifndef DAEMON_PEERS_LIVENESS_H
#define DAEMON_PEERS_LIVENESS_H

#include <bsd/sys/queue.h>

#include "bgp/bfd/bfd.h"
#include "daemon/daemon.h"

struct liveness;
struct peer;

/* One BFD session, and whose it is. Held by its peers (peer->lifeline). */
struct lifeline {
	struct liveness *liveness;
	LIST_ENTRY(lifeline) entry;
	LIST_HEAD(, peer) peers;
	struct bfd_session *session;
	struct addr remote;	      /* with its scope, which BFD has as an interface's name */
	bool dead;		      /* the FIB knows its gateway as down */
	uint64_t excused_until;	      /* mono: a failure up to then is that of a process that has restarted */
	bool unsure;		      /* the remote may take us for the process that was here before */
	struct loop_timer sure_timer; /* until it cannot any more */
};

struct liveness *liveness_new(struct daemon *d);
/* No peer may have a lifeline any more. Their farewells go out. */
void liveness_free(struct liveness *l);

/* Where packets are to be received: at the node's addresses only if BGP listens there only. */
void liveness_listen(struct liveness *l, const struct self *self);
/* What the peer asks for may have changed: begins, changes or ends. Changed timers are negotiated in place. */
void liveness_configure(struct liveness *l, struct peer *p);
/* It asks for nothing any more. The remote is told that this is no failure. */
void liveness_release(struct peer *p);
/* As long as this is so BGP is not to dial: just started, the process was perhaps killed, and for the remote its BFD
 * session is still up. When it goes down there, BGP had better not be up again already: some end it for that. */
bool liveness_holds_back(const struct peer *p);
/* The peer's BGP session is gone, and its routes are kept for its graceful restart. */
void liveness_restarting(struct peer *p);
/* The peer's BGP session came up: its gateway lives, even if BFD does not. */
void liveness_established(struct peer *p);
/* Where the FIB sees an address may have changed: sessions that are not up are begun anew if they are of the wrong kind
 * (one hop or several). */
void liveness_place_changed(struct liveness *l, const struct addr *a);
/* A FIB that has just been made is told which gateways are down. */
void liveness_tell(const struct liveness *l, struct fib *f);
/* The lifeline because of which the FIB takes this gateway for dead; NULL if there is none. */
const struct lifeline *liveness_find_dead(const struct liveness *l, const struct addr *gateway);
/* What keeps sessions from working, and peers that are up without being watched as they should: a line each. */
void liveness_problems(const struct liveness *l, struct strbuf *out);
/* NULL as long as no peer has asked. */
const struct bfd_stats *liveness_stats(const struct liveness *l);

#endif
