/* BFD in asynchronous mode: RFC 5880, over one hop (RFC 5881) and over several (RFC 5883).
 *
 * The engine owns the sockets that receive, one per family and kind of hop and open only while a session needs it, and
 * finds the session a packet is for. A session owns the socket it sends from (a source port of its own, RFC 5881 4),
 * its timers, and what was negotiated. Nothing is allocated per packet. It knows nothing of BGP or of routes: whoever
 * created a session is called back when it changes.
 *
 * Not offered: the echo function (announced as 0), authentication (such packets are discarded), demand mode (never
 * asked for; a remote system that asks us to cease sending gets what RFC 5880 6.8.7 says). The C bit is always 0 in
 * what we send: this process is the control plane, and when it ends so does BFD. */
#ifndef BGP_BFD_H
#define BGP_BFD_H

#include "bgp/bfd/codec.h"
#include "daemon/base/addr.h"
#include "daemon/base/loop.h"

struct bfd_engine;
struct bfd_session;

/* Sessions */

/* The least interval that may be configured, in microseconds. */
#define BFD_MIN_INTERVAL 10000

struct bfd_session_conf {
	/* What makes it this session: these do not change. */
	struct addr remote;
	struct addr local; /* source address; none: the kernel's choice */
	char ifname[16];   /* single hop only: the interface it is bound to; "": any. A link-local remote needs it */
	bool multihop;

	uint32_t min_tx, min_rx; /* microseconds, at least BFD_MIN_INTERVAL: offered while the session is up */
	uint8_t multiplier;	 /* at least 1: packets the remote may miss */
	bool passive;		 /* silent until the remote was heard */
	uint8_t min_ttl;	 /* multihop only: packets that arrive with less are discarded */
};

/* Something changed that its owner may want to know. */
struct bfd_change {
	enum bfd_state was, state; /* equal if only the remote's administrative state changed */
	enum bfd_state remote_state;
	uint8_t diag,
	    remote_diag; /* the session's and the remote's diagnostic (enum bfd_diag, or more for the remote's) */
	bool remote_independent; /* the remote's C bit as it was before it was forgotten: see bfd_session_info */
	const char *reason;	 /* for people, if it is no longer up; borrowed for the call */
};

/* Whether this is a failure of the path or of the remote, and not somebody's wish (RFC 5882 4.2: a remote that is
 * administratively down must not take down what the session protects). */
static inline bool bfd_change_is_failure(const struct bfd_change *c)
{
	return c->was == BFD_UP && c->state == BFD_DOWN && c->remote_state != BFD_ADMIN_DOWN;
}

struct bfd_ops {
	/* Called on every change of the session's state, and when the remote enters or leaves AdminDown. It may free or
	 * change this or any other session. */
	void (*on_change)(void *arg, struct bfd_session *s, const struct bfd_change *c);
};

/* What is wrong with this configuration; NULL if nothing is. */
const char *bfd_session_conf_check(const struct bfd_session_conf *conf);
/* The session with the same remote, local, ifname and multihop, or NULL: there can be only one, so that users of the
 * same path have to share it. */
struct bfd_session *bfd_session_find(struct bfd_engine *e, const struct bfd_session_conf *conf);
/* Creates and starts. arg is handed to the callback. NULL, and the reason in *why, if the configuration is refused or
 * there is such a session already. What the system refuses (no such interface or address yet) is tried again until it
 * works; bfd_session_info() says so meanwhile. */
struct bfd_session *bfd_session_new(struct bfd_engine *e, const struct bfd_session_conf *conf, void *arg,
				    const char **why);
/* Frees it, without a callback. With announce the remote is told that this is the administrator's wish, as often as it
 * takes to be heard; without, it will notice after its detection time (what a restart of ours that should look like
 * one wants). */
void bfd_session_free(struct bfd_session *s, bool announce);
/* Applies other intervals, multiplier, role and TTL without leaving the state the session is in. False, and nothing
 * changed, if remote, local, ifname or multihop differ or the configuration is refused. */
bool bfd_session_configure(struct bfd_session *s, const struct bfd_session_conf *conf);
/* Takes it down administratively and tells the remote so for as long as it stays so; or lets it come up again. */
void bfd_session_admin_down(struct bfd_session *s, bool down);
const struct bfd_session_conf *bfd_session_config(const struct bfd_session *s);
void *bfd_session_arg(const struct bfd_session *s);
bool bfd_session_is_up(const struct bfd_session *s);

struct bfd_session_info {
	enum bfd_state state, remote_state;
	uint8_t diag, remote_diag;
	uint64_t since;		      /* mono: when it came into this state */
	uint32_t discr, remote_discr; /* remote 0: not known */
	uint16_t source_port;	      /* 0: no socket yet */
	struct addr local;	      /* in use; none: not known yet */
	uint32_t ifindex;	      /* of the interface it is bound to, 0 none */
	/* Microseconds. */
	uint32_t tx_interval;		       /* at which we send, before jitter; 0: not at all */
	uint32_t rx_interval;		       /* at which the remote may send; 0: not known */
	uint64_t detection_time;	       /* 0: not known */
	uint32_t remote_min_tx, remote_min_rx; /* as announced */
	uint8_t remote_multiplier;
	bool polling; /* changed intervals wait for the remote's answer */
	bool
	    remote_independent; /* the remote's C bit: its BFD outlives a restart of its control plane (RFC 5882 4.3) */
	bool remote_demand;	/* it asks us to cease sending while both are up */
	uint64_t packets_in, packets_out, packets_discarded, send_errors;
	uint64_t heard_at; /* mono of the last packet, 0 none */
	uint64_t times_up, times_down;
	const char *down_reason; /* the last time it went down, "" if it never did; owned by the session */
	uint64_t down_at;	 /* mono */
	const char *error;	 /* why it can neither send nor hear, "" if it can; owned by the session */
};
struct bfd_session_info bfd_session_info(const struct bfd_session *s);

/* The engine */

/* ops is borrowed. Nothing is opened before the first session. */
struct bfd_engine *bfd_engine_new(struct loop *loop, const struct bfd_ops *ops);
/* All sessions must have been freed; what they had left to announce goes out at once, a few packets each. */
void bfd_engine_free(struct bfd_engine *e);
/* From now on packets of this family are received at this address only (none: at any, which is how it starts). */
void bfd_engine_listen(struct bfd_engine *e, enum family f, const struct addr *a);
/* Walks the sessions: start with NULL; NULL at the end. */
struct bfd_session *bfd_engine_next(struct bfd_engine *e, struct bfd_session *s);

struct bfd_stats {
	uint64_t packets_in, packets_out;
	uint64_t discarded[BFD_DISCARD_COUNT]; /* by reason; [BFD_ACCEPTED] are those that were not */
	uint64_t overflows;		       /* packets the kernel dropped because we did not read in time */
	uint64_t send_errors;
	uint64_t late_worst; /* ns by which a packet left later than its timer said */
	uint64_t spared;     /* detection times that had run out only because we had not read yet */
	unsigned sessions, up;
};
const struct bfd_stats *bfd_engine_stats(const struct bfd_engine *e);

#endif
