/* What the files of this directory share. Nobody outside includes it, but one of its tests.
 *
 * A session runs RFC 4271's state machine once per connection (8.2.1): its own machine, which dials and which everybody
 * sees, and one for a connection the peer opened. A connection that reaches Established always moves into the own
 * machine, so the other place is free for whoever comes next. Connections exist only while there is a socket.
 *
 * Nothing is freed while somebody up the stack may hold it: sessions and connections that end are closed at once and
 * buried at the end of the loop turn. */
#ifndef BGP_SESSION_INTERNAL_H
#define BGP_SESSION_INTERNAL_H

#include <bsd/sys/queue.h>

#include "bgp/session/session.h"
#include "daemon/base/hash.h"
#include "daemon/base/log.h"

#define LOG_BGP "bgp"

/* What a connection's turn reads at most, so that no peer starves the others. */
#define READ_QUANTUM 65536u
/* How far ahead of the socket a session pulls, and in how many slices. */
#define WRITE_AHEAD 65536u
#define WRITE_SLICES 64u
/* RFC 4271 8.2.2: the hold timer until the peer's OPEN is there. */
#define OPEN_HOLD (240 * MONO_SEC)

struct conn;

/* Whose connections must be signed: those from a prefix, in a VRF ("": in none). Compared octet by octet. */
struct key_of {
	struct prefix prefix;
	char vrf[16];
};

/* Somebody's wish for a signature (RFC 2385) on the listening sockets: see keys.c. */
struct key_claim {
	struct key *key;      /* NULL: no claim */
	const char *password; /* both borrowed */
	const char *name;
	TAILQ_ENTRY(key_claim) entry;
};

/* What peers can make us log at will is limited, per session or for all of a range. */
struct log_limits {
	struct log_limit update, refuse, up, down;
};

/* One run of the state machine of RFC 4271 8. */
struct fsm {
	struct conn *conn; /* NULL below OpenSent, but for a dial in Connect */
	uint8_t state;	   /* enum bgp_state */
};

struct bgp_session {
	struct bgp_engine *engine;
	void *arg;
	struct bgp_session_conf conf;
	struct fsm own;
	struct fsm incoming;	 /* Idle means: there is none */
	struct loop_timer timer; /* of the own machine: IdleHold in Idle, ConnectRetry in Connect and Active */
	SLIST_ENTRY(bgp_session) grave;
	uint32_t hash;	 /* in the engine's table */
	bool dead;	 /* freed by its owner: no more callbacks */
	bool up;	 /* on_established was called, on_down not yet */
	bool damped;	 /* the last end was somebody's protocol error */
	bool plain_open; /* the peer choked on our capabilities: the next OPEN has none */
	uint8_t dials;	 /* since the start or the last Established: the ConnectRetry ramp */
	unsigned attempts_failed;
	uint64_t failed_at, since, last_error_at;
	char *last_error;
	uint64_t established;
	uint64_t messages_in[6], messages_out[6];
	struct key_claim key;
	struct log_limits logs; /* its own: see session_logs() */
};

/* Why an event came: what to tell the peer and people. All borrowed for the call. */
struct cause {
	uint8_t code, subcode; /* of the NOTIFICATION sent or received; code 0: none */
	bool received;	       /* the peer sent it */
	struct span data;
	const char *text; /* for people; NULL: nothing to tell */
};

/* One TCP connection. */
struct conn {
	struct bgp_session *session;
	struct fsm *fsm; /* the machine it belongs to */
	int fd;		 /* -1: closed, waits for its burial */
	struct addr local;
	bool outgoing; /* we dialled */
	bool connecting;
	bool blocked;	   /* the socket's buffer is full: LOOP_WRITE is watched */
	bool wants;	   /* pull() may have something */
	bool ready, dirty; /* in the engine's lists */
	bool urgent;	   /* in `urgent` instead of `dirty` */
	bool have_peer;	   /* the peer's OPEN was accepted */
	bool out_started;  /* the first of `out` is partly written */
	struct loop_io io;
	struct loop_timer timer; /* the nearest of hold, keepalive and send hold; lazy: see conn_timer() */
	uint8_t *tail;		 /* an incomplete message, NULL if none */
	uint32_t tail_len;
	uint32_t out_count; /* slices pulled but not written, only while blocked */
	struct slice *out;
	struct strbuf own; /* our small messages; they go first */
	uint64_t since;
	uint16_t hold_time;	  /* s, negotiated */
	uint64_t hold, keepalive; /* ns, in force; 0 none */
	uint64_t heard;	 /* the last message that restarts the hold timer; dozing: of those read, at the earliest */
	uint64_t dozing; /* no waking up for a lone KEEPALIVE; heard at the latest, if later. What is unread came after
			    both. 0: awake */
	uint64_t sent;	 /* the last KEEPALIVE or UPDATE */
	uint64_t keepalive_gap; /* ns, from then to the next one; 0 not begun */
	uint64_t written, acked,
	    progress; /* octets given to the socket, of those acknowledged, and since when not more */
	struct bgp_open mine, peer;
	struct buf *peer_open; /* its body as received, if engine->keep_opens */
	struct bgp_codec codec;
	TAILQ_ENTRY(conn) ready_entry, dirty_entry;
	SLIST_ENTRY(conn) grave;
};

struct bgp_range {
	struct bgp_engine *engine;
	struct bgp_range_conf conf;
	bgp_caller_fn *on_caller;
	void *arg;
	struct key_claim key;
	struct log_limits logs; /* of its sessions */
	struct log_limit refuse_log;
	LIST_ENTRY(bgp_range) entry;
};

struct listener {
	struct bgp_engine *engine;
	struct bgp_listen at;
	int fd;
	bool wanted;
	struct loop_io io;
	struct loop_timer pause; /* out of descriptors */
	LIST_ENTRY(listener) entry;
};

/* A socket that said its last words and waits until the peer has read them: closing it while data from the peer is
 * unread would make the kernel send a RST, and the peer lose our NOTIFICATION. */
struct farewell {
	struct bgp_engine *engine;
	int fd;
	struct loop_io io;
	struct loop_timer timer;
	LIST_ENTRY(farewell) entry;
};

TAILQ_HEAD(conn_queue, conn);

struct bgp_engine {
	struct loop *loop;
	struct bgp_session_ops ops;
	struct htab sessions;	       /* by remote address */
	struct htab keys;	       /* by struct key_of */
	LIST_HEAD(, bgp_range) ranges; /* longest first */
	LIST_HEAD(, listener) listeners;
	LIST_HEAD(, farewell) farewells;
	unsigned farewell_count;
	struct conn_queue ready;	 /* something came, or a dial is decided */
	struct conn_queue dirty, urgent; /* something is to be written; messages of our own among it */
	SLIST_HEAD(, conn) dead_conns;
	SLIST_HEAD(, bgp_session) dead_sessions;
	struct loop_work receive, hurry, send;
	struct arena arena; /* of the UPDATE being handled */
	struct log_limit unknown_log, accept_log;
	bool restarting, keep_opens;
	char hostname[65];
	uint8_t rx[READ_QUANTUM + BGP_MAX_EXTENDED]; /* a kept tail, then what was read */
};

/* engine.c */
void engine_mark_ready(struct conn *c);
void engine_mark_dirty(struct conn *c);
void engine_mark_urgent(struct conn *c);
void engine_bury_conn(struct conn *c);
void engine_bury_session(struct bgp_session *s);
/* Takes the descriptor: sends a Cease and closes it once the peer has it. With an OPEN (NULL: none), it goes before:
 * see collision.c. */
void engine_refuse(struct bgp_engine *e, int fd, const struct bgp_open *open, uint8_t subcode, struct span data);
void engine_farewell(struct bgp_engine *e, int fd);

/* listen.c */
void listen_stop(struct bgp_engine *e);
void engine_table_add(struct bgp_session *s);
void engine_table_remove(struct bgp_session *s);

/* keys.c */
/* Claims, changes (for the same again) or, with password NULL, gives up a key. The texts are borrowed until then. */
void key_claim(struct bgp_engine *e, struct key_claim *c, const struct key_of *of, const char *password,
	       const char *name);
/* Whether connections that match this claim's prefix have proved to know its password. */
bool key_in_force(const struct key_claim *c);
/* Puts all keys on a listening socket that is new. */
void key_listener(struct listener *l);

/* range.c */
/* The longest range with this caller; NULL if none has it, as in a VRF. */
struct bgp_range *range_find(const struct bgp_engine *e, const struct bgp_caller *who);

/* conn.c */
/* local: none of a dial, which does not know yet. */
struct conn *conn_new(struct bgp_session *s, struct fsm *f, int fd, bool outgoing, const struct addr *local);
/* Closes, detaches from its machine and buries. said_goodbye: a NOTIFICATION was written. */
void conn_close(struct conn *c, bool said_goodbye);
void conn_watch(struct conn *c);
/* The connection's turn: a decided dial goes on, or what came is read. */
void conn_ready(struct conn *c);
/* Reads once and handles the whole messages. */
void conn_read(struct conn *c);
/* Queues one of our small messages (its types are counted). */
void conn_send(struct conn *c, const void *data, size_t len);
/* Writes what is queued; with pull also what the owner has. True if it should be called again soon. */
bool conn_flush(struct conn *c, bool pull);
uint64_t conn_queued(const struct conn *c);

/* timers.c */
/* (Re)computes when the timer must fire next. */
void conn_timer_arm(struct conn *c);
/* The next keepalive counts from now. */
void conn_keepalive_sent(struct conn *c);
/* The keepalive interval in force: the configuration's, at most a third of the negotiated hold time. */
void conn_keepalive_set(struct conn *c);
/* A part of a message came: its rest is waited for, however short. */
void conn_wake(struct conn *c);
/* So little was read that nobody was woken for it, if the connection dozes: c->heard is when it was read, and `heard`
 * what it was before. */
void conn_slept(struct conn *c, uint64_t heard);
/* When the peer was heard last, by what has been read and what lies in the socket. */
uint64_t conn_heard(const struct conn *c, uint64_t now);

/* message.c */
void message_received(struct conn *c, struct bgp_msg *m);
/* "40 02 06 ...", at most some 24 octets. Returns buf. */
const char *message_hex(struct span data, char buf[static 80]);

/* open.c */
void open_make(struct bgp_session *s, struct bgp_open *o);
/* Judges the peer's OPEN by the configuration; on BGP_RESET text says why. data has room for the NOTIFICATION's. */
struct bgp_error open_judge(const struct conn *c, const struct bgp_open *o, char *text, size_t size,
			    uint8_t data[static 32]);
/* Takes the peer's OPEN: what both sides share becomes the connection's codec and timers. */
void open_accept(struct conn *c, const struct bgp_open *o);
/* Whether the paths on an accepted connection must begin with the peer's AS. */
void open_first_as(struct conn *c);
/* What this session would negotiate with that OPEN under this configuration. */
struct bgp_codec open_negotiate(const struct bgp_open *mine, const struct bgp_open *theirs, uint32_t local_as);

/* collision.c */
/* A connection from the peer: takes the descriptor. */
void collision_incoming(struct bgp_session *s, int fd, const struct addr *local);
/* Our dial went through: false if it lost already and was closed. */
bool collision_dialled(struct conn *c);
/* The peer's OPEN came on c: false if c lost and was closed. */
bool collision_open(struct conn *c, const struct bgp_open *o);
/* c is Established: everything else goes, and c becomes the session's own. */
void collision_won(struct conn *c);

/* configure.c: deep copies. */
void conf_copy(struct bgp_session_conf *to, const struct bgp_session_conf *from);
void conf_clear(struct bgp_session_conf *c);

/* session.c */
void session_dial(struct bgp_session *s);
void session_retry_start(struct bgp_session *s);
/* Starts IdleHoldTimer: with back-off, or for a moment only. */
void session_idle_hold(struct bgp_session *s, bool was_up);
void session_start_soon(struct bgp_session *s);
void session_set_error(struct bgp_session *s, const char *text);
/* The NOTIFICATION that this cause becomes on this connection. */
void session_notification(struct wr *w, const struct conn *c, const struct cause *why);
/* Sends it; false if the socket does not take it: the peer will see nothing but the end. */
bool session_notify(struct conn *c, const struct cause *why);
/* notified: we sent a NOTIFICATION. */
void session_report_down(struct bgp_session *s, const struct conn *c, const struct cause *why, bool notified,
			 uint8_t event);
void session_report_up(struct bgp_session *s);
void session_changed(struct bgp_session *s);
void session_start(struct bgp_session *s);
/* Claims the key of its password, or gives it up. */
void session_claim_key(struct bgp_session *s);
struct log_limits *session_logs(struct bgp_session *s);
/* The claim that its connections are accepted by: its own, or its range's. */
const struct key_claim *session_key(const struct bgp_session *s);
/* Ends both machines, telling the peer (code 0: not). The own machine is Idle afterwards, its timer stopped. */
void session_stop(struct bgp_session *s, const struct cause *why);
/* 3/4 to 1 of it, RFC 4271 10. */
uint64_t session_jitter(uint64_t ns);
/* "10.0.0.2:179" or "[fd00::2]:179". Returns buf. */
const char *session_endpoint(const struct addr *a, uint16_t port, char buf[static ADDR_STRLEN + 8]);
/* The Cease data of RFC 9003 for this session's text. */
struct span session_shutdown_data(const struct bgp_session *s, uint8_t buf[static 256]);

/* What callers outside the machine do with both. */
static inline bool conn_is_open(const struct conn *c)
{
	return c->fd >= 0;
}

#endif
