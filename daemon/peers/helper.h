/* Being the helper of peers that restart: their routes are kept as stale for the restart time they announced (RFC
 * 4724), then as long-lived stale for the time they announced for that (RFC 9494), family by family, until they are
 * back and have sent End-of-RIB. */
#ifndef DAEMON_PEERS_HELPER_H
#define DAEMON_PEERS_HELPER_H

#include "bgp/session/session.h"
#include "daemon/base/loop.h"

struct peer;

/* What a peer has of it; empty when zeroed. */
struct helper {
	struct loop_timer timer;		/* the restart time */
	uint8_t long_lived;			/* bit per enum family: has long-lived stale routes; their timer runs */
	uint32_t llgr_time[FAM_COUNT];		/* s, as the peer announced on its last session */
	struct helper_long *lasting[FAM_COUNT]; /* the clocks of what is long-lived stale; NULL elsewhere */
};

/* The session is Established: routes that the peer did not keep forwarding go. */
void helper_up(struct peer *p, const struct bgp_open *open, const struct bgp_codec *codec);
/* The session has ended: tells the RIB what to keep. standing_in: families that are kept although RFC 4724 does not say
 * so, for the restart time configured for the peer. */
void helper_down(struct peer *p, const struct bgp_down *why, uint8_t standing_in);
/* The restart takes too long, or is none: what is kept goes, or is kept for long, as the peer asked. why is for people.
 */
void helper_expire(struct peer *p, const char *why);
/* What is kept of these families (of those in p->stale) goes. */
void helper_end(struct peer *p, uint8_t families);
/* Stops all clocks. */
void helper_stop(struct peer *p);
/* ns until what is kept of the family goes at the latest, or with long_lived ahead of it becomes so; 0: nothing is. */
uint64_t helper_left(const struct peer *p, enum family f);

#endif
