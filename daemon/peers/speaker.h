/* Sessions joined with the RIB: makes the running peers those that peering.h wants, feeds received UPDATEs to
 * the RIB and its output to the sessions, and holds the graceful restart clocks of both roles. */
#ifndef DAEMON_PEERS_SPEAKER_H
#define DAEMON_PEERS_SPEAKER_H

#include <bsd/sys/queue.h>

#include "bgp/session/session.h"
#include "daemon/daemon.h"
#include "daemon/peers/helper.h"
#include "daemon/peers/prefix_limit.h"

struct speaker;
struct dynamic;	 /* dynamic.h */
struct policies; /* policies.h */
struct range;
struct link_peers; /* link.h */
struct bmp_source; /* bmp_core.h */

/* An IPv6 session whose node's IPv4 session may carry both families is held back while that may be so. */
enum peer_held { PEER_NOT_HELD, PEER_HELD_PASSIVE, PEER_HELD_DOWN };

/* A running peer. */
struct peer {
	struct speaker *speaker;
	struct peer_want want;
	uint32_t as;	    /* of one that may have any: what its last OPEN said, 0 before; else want.remote_as */
	uint8_t stale;	    /* bit per enum family: routes kept over its restart, see helper.h */
	uint8_t eor;	    /* bit per enum family: End-of-RIB received on this session */
	uint8_t refreshing; /* bit per enum family: between the peer's BoRR and its EoRR */
	bool moving;	    /* it gets another address, or we do: its routes stay over this end */
	bool tried;	    /* came up or failed at least once since the start of the daemon */
	bool ending;	    /* in the list of those that may have ended, see dynamic.c */
	bool waiting;	    /* in its range's list of those that have not been Established */
	bool held_long;	    /* held_timer ran out */
	enum peer_held held;
	struct loop_timer held_timer; /* until it no longer waits for a sibling that has never come up */
	struct peer *sibling;	      /* the IPv4 session that want.sibling names */
	struct peer *follower;	      /* the IPv6 session whose sibling this one is */
	struct range *range;	      /* that it came by; NULL: it is configured */
	TAILQ_ENTRY(peer) ended;
	uint64_t waits_from; /* mono */
	TAILQ_ENTRY(peer) wait;
	struct link_state *link; /* of one on a link, see link.c; else NULL */
	LIST_ENTRY(peer) on_link;
	struct bgp_session *session;
	struct instance *instance; /* instance.h: NULL is the main one */
	struct rib_peer *rib;
	struct bmp_source *bmp;	   /* as it is reported to stations; NULL if it is not, or not up */
	struct lifeline *lifeline; /* liveness.h: its BFD session; NULL none */
	LIST_ENTRY(peer) lifeline_link;
	struct helper helper;
	uint64_t heard; /* mono: of the last UPDATE on this session, or of its start */
	struct prefix_limit limit;
};

struct loop *peer_loop(const struct peer *p);
struct daemon *peer_daemon(const struct peer *p);
/* What all peers' configurations have in common (peer_conf.h). */
struct peer_common;
const struct peer_common *peer_common(const struct peer *p);
/* Hands the peer's present configuration to session and RIB; both find out what really changed. */
void peer_configure(struct peer *p);

/* peer_events.c, for bgp_engine_new() and the RIB's sink: sessions' and RIB peers' arg is a struct peer. */
extern const struct bgp_session_ops speaker_session_ops;
void speaker_on_ready(void *arg, struct rib_peer *rib);

struct speaker *speaker_new(struct daemon *d);
/* Ends all sessions: gracefully (the peers keep our routes) or with a Cease. */
void speaker_free(struct speaker *s, bool graceful);
/* Adds, changes and removes the peers of the diff, whose wants it takes (and empties it); others are not touched. With
 * d->everything self is looked at, too. The policies are borrowed until the next call; NULL: everything is accepted. */
void speaker_apply(struct speaker *s, struct peering_diff *d, const struct self *self, struct policies *policies);
/* Policies may be others now. */
void speaker_policies_changed(struct speaker *s);
/* Not until the daemon's own start is complete (see restart_status). */
bool speaker_has_started(const struct speaker *s);
/* An instance was made: peers of its may begin where the others are. */
void speaker_instance_came(struct speaker *s, struct instance *i);
/* The datastore is in sync: the restart clock may look at the peers. */
void speaker_datastore_synced(struct speaker *s);

/* Peers sorted by address; index from 0, NULL past the end. */
struct peer *speaker_peer(const struct speaker *s, unsigned index);
unsigned speaker_count(const struct speaker *s);
/* An operator's wish: the session ends with a Cease and starts anew, also one that is held down for its prefix limit.
 */
void speaker_reset(struct peer *p);
/* What keeps peers from coming up that is nobody's but ours: a line each. */
void speaker_problems(const struct speaker *s, struct strbuf *out);
/* By session name or remote address; NULL if none. */
struct peer *speaker_find(const struct speaker *s, const char *name);

/* For peer_events.c: the session came up for the first time; the peer has changed in a way that its sibling, and with
 * speaker_recheck() also our own restart, may wait for. */
void speaker_came_up(struct peer *p);
void speaker_sibling_check(struct peer *changed);
void speaker_recheck(struct peer *changed);

/* For dynamic.c: a peer of this range more, which takes the want's texts; and one less. cease as in bgp_session_free().
 */
struct peer *speaker_add(struct speaker *s, struct peer_want *w, struct range *r);
void speaker_remove(struct peer *p, uint8_t cease);
struct dynamic *speaker_dynamic(const struct speaker *s);
/* For moved.c: the one that is known as the want says, NULL if none; and one is known otherwise from now on. */
struct peer *speaker_peer_of(const struct speaker *s, const struct peer_want *w);
void speaker_move(struct peer *p, const struct peer_want *w);
/* For link.c: where the peer is has changed. And for those who hear of interfaces. */
void speaker_refresh(struct peer *p);
struct link_peers *speaker_links(const struct speaker *s);

/* Our own restart (RFC 4724 4.1): while it goes on nothing stale leaves the kernel. */
struct restart_status {
	bool in_progress;
	uint64_t left;	   /* ns until it ends at the latest */
	unsigned waiting;  /* peers that are waited for */
	const char *ended; /* why it ended: "every peer is up and has sent its routes"; NULL while in progress */
};
struct restart_status speaker_restart(const struct speaker *s);

#endif
