/* Sessions: RFC 4271's state machine, timers and transport, for all peers of the process.
 *
 * The engine owns the listening sockets, one receive buffer shared by all sessions (a session keeps only an incomplete
 * message), and the table of sessions by remote address. A session owns up to two connections while a collision
 * (RFC 4271 6.8) is open. It decodes messages and calls back; what to send it pulls, when the socket takes it, as
 * slices of shared buffers: UPDATEs are never copied per peer. It knows nothing of routes. */
#ifndef BGP_SESSION_H
#define BGP_SESSION_H

#include "bgp/codec/attr.h"
#include "bgp/codec/msg.h"
#include "bgp/codec/update.h"
#include "daemon/base/addr.h"
#include "daemon/base/buf.h"
#include "daemon/base/loop.h"

struct bgp_engine;
struct bgp_session;
struct bgp_range;

enum bgp_state { BGP_IDLE, BGP_CONNECT, BGP_ACTIVE, BGP_OPENSENT, BGP_OPENCONFIRM, BGP_ESTABLISHED, BGP_STATE_COUNT };
const char *bgp_state_name(enum bgp_state s); /* "Idle", ... as RFC 4271 writes them */

struct bgp_session_conf {
	char *name; /* for logs: "Mesh_10_0_0_2"; copied */
	struct addr remote;
	uint16_t remote_port; /* 179 */
	struct addr local;    /* source address, none: the kernel's choice */
	char vrf[16];	      /* the device of the VRF that it is in, "" none; for a session's whole life */
	char ifname[16];      /* the link of a link-local peer; while there is no such interface, remote has no scope */
	uint32_t local_as;
	uint32_t remote_as;		   /* 0: any (taken from the OPEN) */
	uint32_t router_id;		   /* host order */
	uint16_t hold_time;		   /* s, 0 or >= 3: proposed */
	uint16_t keepalive_time;	   /* s; 0: a third of the negotiated hold time */
	uint16_t connect_retry;		   /* s */
	uint16_t idle_hold, idle_hold_max; /* s: back-off after errors, doubling from one to the other */
	uint16_t send_hold;		   /* s, RFC 9687; 0: twice the hold time, at least 480 s as the RFC says */
	bool passive;			   /* never dials */
	uint8_t ttl;			   /* of what is sent: 1 directly connected eBGP, 64, 255 */
	uint8_t min_ttl;		   /* RFC 5082: received packets below are dropped; 0 off */
	char *password;			   /* RFC 2385, NULL none; copied */
	uint8_t families;		   /* bit per enum family: offered */
	bool gr;			   /* RFC 4724 offered, for all offered families */
	uint16_t gr_time;		   /* s */
	uint8_t gr_forwarding;		   /* bit per enum family: F bit */
	bool llgr;			   /* RFC 9494 offered; needs gr */
	uint32_t llgr_time; /* s: how long the peer may keep our routes after gr_time; 0: not, only we may
			       keep its */
	bool add_path_tx, add_path_rx, ext_next_hop, extended_messages;
	bool any_first_as; /* eBGP: the leftmost AS of a path may be another one than the peer's (route servers) */
	bool admin_down;
	char *shutdown_text; /* RFC 9003, NULL none; copied */
	struct bgp_range
	    *range; /* that it came by; NULL for a configured peer. It shares that one's limits of logging */
};

/* Who connects. */
struct bgp_caller {
	struct addr remote, local;
	uint8_t ttl;  /* of its SYN; 0 if the kernel does not tell */
	char vrf[16]; /* the device of the VRF that it came by, "" none (nor for callers on a link) */
};

/* Why a session left Established. */
struct bgp_down {
	uint8_t gr_families; /* bit per enum family: RFC 4724 says to keep the peer's routes as stale */
	uint16_t gr_time;    /* s, as the peer announced */
	/* s: RFC 9494 says to keep the family's routes so long after that (or at once, without the above); 0: it does
	 * not */
	uint32_t llgr_time[FAM_COUNT];
	const char *reason; /* for people */
};

/* How a connection that was Established ended, for those who report it elsewhere (RFC 7854 4.9). */
struct bgp_end {
	bool received;		  /* the NOTIFICATION is the peer's */
	struct span notification; /* the whole message; empty: there was none */
	uint8_t event;		  /* as RFC 4271 8.1 numbers them, 29 is RFC 9687's; 0: none of these */
};

struct bgp_session_ops {
	void (*on_established)(void *arg, struct bgp_session *s);
	/* Only after on_established. */
	void (*on_down)(void *arg, struct bgp_session *s, const struct bgp_down *why);
	/* After on_established: before on_down, and also in bgp_session_free(), which calls nothing else. May be NULL.
	 */
	void (*on_end)(void *arg, struct bgp_session *s, const struct bgp_end *end);
	/* e->action is below BGP_RESET. Everything is borrowed for the call. */
	void (*on_update)(void *arg, struct bgp_session *s, const struct bgp_update *u, const struct bgp_error *e);
	void (*on_refresh)(void *arg, struct bgp_session *s, enum family f, uint8_t subtype);
	/* Something else to tell people changed (state, last error). May be NULL. */
	void (*on_state)(void *arg, struct bgp_session *s);
	/* More to send: fills at most max slices and gives their references away; returns how many. Each
	 * slice holds whole messages: the session's own go between slices. 0: nothing now, wait for
	 * bgp_session_kick(). Only called in Established. */
	unsigned (*pull)(void *arg, struct bgp_session *s, struct slice *out, unsigned max);
};

struct bgp_engine *bgp_engine_new(struct loop *loop, const struct bgp_session_ops *ops);
/* All sessions must have been freed. */
void bgp_engine_free(struct bgp_engine *e);
/* Listens on exactly these (address none: any address of both families) from now on; sockets that stay are untouched.
 * count 0: nobody listens. False with err filled if one of them cannot be opened (the others are). */
struct bgp_listen {
	struct addr addr;
	uint16_t port;
	char vrf[16];	      /* the device of a VRF: only what arrives in that is heard; "" for what arrives in none */
	uint32_t vrf_ifindex; /* of that device, so that another one of its name is a change; 0 none */
};
bool bgp_engine_listen(struct bgp_engine *e, const struct bgp_listen *want, unsigned count, char *err, size_t err_size);
/* Whether OPENs carry RFC 4724's Restart State bit. */
void bgp_engine_set_restarting(struct bgp_engine *e, bool restarting);
/* Whether the peers' OPENs are kept as they come, for bgp_session_opens(). */
void bgp_engine_keep_opens(struct bgp_engine *e, bool keep);
/* Name sent in the hostname capability; "" sends none. Copied. */
void bgp_engine_set_hostname(struct bgp_engine *e, const char *hostname);

/* Dynamic neighbours: peers of which only a range of addresses is known. The longest range that has the caller's
 * address decides; a session with that address, wherever it listens, beats them all. */
struct bgp_range_conf {
	char *name;	      /* for logs; copied */
	struct prefix prefix; /* of link-local addresses: with a scope only that link's */
	char *password;	 /* RFC 2385, NULL none; copied. The kernel demands it of the whole range, longer ones included
			  */
	uint8_t min_ttl; /* RFC 5082; 0 off */
};
/* A connection from the range that no session has: returns the session that takes it, most likely just made; or NULL
 * with *why for people: the caller gets a Cease/5. */
typedef struct bgp_session *bgp_caller_fn(void *arg, const struct bgp_caller *who, const char **why);
struct bgp_range *bgp_range_new(struct bgp_engine *e, const struct bgp_range_conf *conf, bgp_caller_fn *on_caller,
				void *arg);
/* What changes holds for those who connect from now on. */
void bgp_range_configure(struct bgp_range *r, const struct bgp_range_conf *conf);
/* Its sessions must have been freed, or given another range. */
void bgp_range_free(struct bgp_range *r);

/* Creates and starts (unless admin_down). arg is handed to the callbacks. */
struct bgp_session *bgp_session_new(struct bgp_engine *e, const struct bgp_session_conf *conf, void *arg);
/* Sends a Cease with this subcode if there is a connection, and frees. on_down is not called. subcode 0: closes
 * without a NOTIFICATION (a graceful restart of ours: the peer keeps our routes). */
void bgp_session_free(struct bgp_session *s, uint8_t cease_subcode);
/* Applies a changed configuration with the least effect: most settings wait for the next OPEN or apply at once; only
 * what RFC 4271 forces resets the session. Returns true if it was reset. */
bool bgp_session_configure(struct bgp_session *s, const struct bgp_session_conf *conf);
/* Drops the connection with a NOTIFICATION and starts anew. */
void bgp_session_reset(struct bgp_session *s, uint8_t code, uint8_t subcode, const char *reason);
/* The same, with data for the NOTIFICATION. */
void bgp_session_reset_with(struct bgp_session *s, uint8_t code, uint8_t subcode, struct span data, const char *reason);
/* pull() has something again. Cheap; the write happens at the end of the loop turn. */
void bgp_session_kick(struct bgp_session *s);
/* Asks the peer for its routes again (RFC 2918). False if it cannot. */
bool bgp_session_request_refresh(struct bgp_session *s, enum family f);
/* Queues a ROUTE-REFRESH marker (RFC 7313) or any small message of the caller's ahead of what pull() gives. Takes the
 * reference. */
void bgp_session_send(struct bgp_session *s, struct buf *b);

/* Valid in Established: the peer's OPEN and what was negotiated. */
const struct bgp_open *bgp_session_peer(const struct bgp_session *s);
const struct bgp_codec *bgp_session_codec(const struct bgp_session *s);
/* The strings live until the next bgp_session_configure(). */
const struct bgp_session_conf *bgp_session_config(const struct bgp_session *s);
/* Valid in Established: writes the OPENs as whole messages; ours as it was sent, the peer's as it came, or, if it was
 * not kept, as it was understood. */
void bgp_session_opens(const struct bgp_session *s, struct wr *ours, struct wr *peers);
void *bgp_session_arg(const struct bgp_session *s);

struct bgp_session_info {
	enum bgp_state state;
	uint64_t since;	   /* mono time of the last change of state to or from Established, or of the start */
	struct addr local; /* of the established connection; the ports too */
	uint16_t local_port, remote_port;
	uint16_t hold_time, keepalive_time;	  /* negotiated; 0 if not Established */
	uint64_t hold_left;			  /* ns */
	uint64_t messages_in[6], messages_out[6]; /* by enum bgp_type; a lone KEEPALIVE counts when ours is due */
	uint64_t established;			  /* times */
	uint64_t queued;			  /* bytes waiting for the socket */
	bool outgoing;				  /* who dialled */
	const char *last_error;			  /* "" if none; owned by the session */
	uint64_t last_error_at;			  /* mono */
	uint64_t retry_in;			  /* ns until the next attempt, 0 if none is due */
	unsigned attempts_failed;		  /* since the start or the last Established */
};
struct bgp_session_info bgp_session_info(const struct bgp_session *s);
/* The state alone: for those who ask all peers. */
enum bgp_state bgp_session_state(const struct bgp_session *s);
/* Whether there is a connection, or an attempt at one. */
bool bgp_session_is_connected(const struct bgp_session *s);

#endif
