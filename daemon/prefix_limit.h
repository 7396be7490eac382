/* How many routes a peer may send: a BGPPeer's prefixLimit, for each family on its own.
 *
 * What is received counts, whatever import makes of it (BIRD's receive limit; with ADD-PATH every path). This file
 * keeps what was said and judges; the speaker ends sessions. */
#ifndef DAEMON_PREFIX_LIMIT_H
#define DAEMON_PREFIX_LIMIT_H

#include "daemon/base/buf.h"
#include "daemon/base/loop.h"
#include "datastore/objects.h"

struct prefix_limit {
	bool near[FAM_COUNT], over[FAM_COUNT]; /* said; taken back when the count is below again */
	bool down;			       /* the session is held down for it */
	enum family family;		       /* which family was over its limit then */
	unsigned maximum, count;	       /* ... how many routes were allowed, how many there were */
	char *text;			       /* in words, for the peer too; NULL unless down */
	struct loop_timer timer;	       /* until the session is tried again; unset: nobody tries */
};

/* Notes and logs (once per crossing) where the count stands. True if the session must end for it. */
bool prefix_limit_judge(struct prefix_limit *l, const struct peer_options *opt, const char *name, enum family f,
			unsigned count);
/* The session is to be held down. */
void prefix_limit_trip(struct prefix_limit *l, const struct peer_options *opt, enum family f, unsigned count);
/* No longer; its timer is the caller's to stop. */
void prefix_limit_lift(struct prefix_limit *l);
/* The least count that is worth a warning. */
unsigned prefix_limit_warning(const struct peer_options *opt);
/* Do both say the same of limits? */
bool prefix_limit_same(const struct peer_options *a, const struct peer_options *b);
/* RFC 4486 4: the data of the Cease: AFI, SAFI, the limit. */
#define PREFIX_LIMIT_DATA 7
void prefix_limit_data(const struct prefix_limit *l, uint8_t data[static PREFIX_LIMIT_DATA]);

#endif
