/* How many routes a peer may send: a BGPPeer's prefixLimit, for each family on its own.
 *
 * What is received counts, whatever import makes of it (BIRD's receive limit; with ADD-PATH every path), and what is
 * kept of an earlier session, which gives way first. */
#ifndef DAEMON_PEERS_PREFIX_LIMIT_H
#define DAEMON_PEERS_PREFIX_LIMIT_H

#include "daemon/base/loop.h"
#include "datastore/objects.h"

struct peer;

/* What a peer has of it; empty when zeroed. */
struct prefix_limit {
	bool near[FAM_COUNT], over[FAM_COUNT]; /* said; taken back when the count is below again */
	struct prefix_limit_down {
		char *text;		 /* why, in words, for the peer too */
		struct loop_timer timer; /* until the session is tried again; unset: nobody tries */
	} * down;			 /* the session is held down for it; NULL: it is not */
};

/* Looks at what an established peer has sent; ends its session, for restartTime, if it is too much. */
void prefix_limit_check(struct peer *p);
/* The session is no longer held down, once it is configured (peer_configure()). */
void prefix_limit_lift(struct peer *p);
/* The peer goes. */
void prefix_limit_clear(struct peer *p);
/* Do both say the same of limits? */
bool prefix_limit_same(const struct peer_options *a, const struct peer_options *b);
/* The least count that is worth a warning. */
unsigned prefix_limit_warning(const struct peer_options *opt);
/* Notes and logs (once per crossing) where the count stands. True if the session must end for it. */
bool prefix_limit_judge(struct prefix_limit *l, const struct peer_options *opt, const char *name, enum family f,
			unsigned count);

#endif
