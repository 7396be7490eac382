/* What BFD's files share. Others include bfd.h. */
#ifndef BGP_BFD_INTERNAL_H
#define BGP_BFD_INTERNAL_H

#include <bsd/sys/queue.h>

#include "bgp/bfd/bfd.h"
#include "bgp/bfd/fsm.h"
#include "bgp/bfd/socket.h"
#include "daemon/base/hash.h"
#include "daemon/base/log.h"
#include "daemon/base/mono.h"

#define LOG_BFD "bfd"

/* What cannot be opened is tried again this often. */
#define BFD_RETRY MONO_SEC

/* A socket that receives: of one family, for single hops or for several. fd is -1 while no session needs it, or it
 * cannot be opened. */
struct bfd_listener {
	struct bfd_engine *engine;
	struct addr addr;
	bool multihop;
	int fd;
	struct loop_io io;
	unsigned users;
	uint64_t drained_at; /* mono: everything that had arrived by then was read */
	uint64_t retry_at;
	uint32_t overflows;
	char error[128];
};

LIST_HEAD(bfd_session_list, bfd_session);

struct bfd_engine {
	struct loop *loop;
	const struct bfd_ops *ops;
	struct bfd_listener listener[2][FAM_COUNT]; /* by multihop */
	struct bfd_batch *batch;
	struct htab by_discr, by_remote;
	struct bfd_session_list sessions;
	struct bfd_session_list leaving; /* freed by their owners, still announcing it */
	struct bfd_session_list dead;	 /* their memory goes at the end of the turn: callbacks may be under way */
	struct loop_work bury;
	uint64_t random;
	uint16_t next_port;		     /* counted from BFD_SOURCE_PORT */
	uint8_t ports[BFD_SOURCE_PORTS / 8]; /* in use */
	struct bfd_stats stats;
	struct log_limit discard_log;
};

/* The names of RFC 5880 6.8.1 are in brackets. Intervals are in microseconds, times in nanoseconds. */
struct bfd_session {
	LIST_ENTRY(bfd_session) entry;
	struct bfd_engine *engine;
	struct bfd_listener *listener;
	void *arg;
	struct bfd_session_conf conf;
	uint32_t discr; /* [bfd.LocalDiscr] */
	bool leaving, dead;

	int fd; /* to send; -1 if it is not open */
	uint16_t port;
	uint32_t ifindex;
	char error[128];

	uint8_t state, remote_state, diag, remote_diag;
	uint32_t remote_discr; /* 0: nothing is known about the remote */
	uint64_t since;

	/* What is announced, and what is in force: they differ during a Poll Sequence (6.8.3). */
	uint32_t min_tx, min_rx; /* [bfd.DesiredMinTxInterval], [bfd.RequiredMinRxInterval] */
	uint32_t used_tx, used_rx;
	bool polling;
	uint32_t remote_min_tx, remote_min_rx;
	uint8_t remote_multiplier;
	bool remote_independent, remote_demand;

	struct loop_timer tx, detect;
	uint32_t tx_interval; /* that the timer was set for */
	uint64_t tx_due, sent_at;
	uint64_t detect_due, heard_at;
	uint8_t repeats; /* how often AdminDown is still sent at the speed the session had */
	uint32_t repeat_interval;

	uint64_t packets_in, packets_out, packets_discarded, send_errors, times_up, times_down;
	uint64_t down_at;
	char down_reason[128];
};

/* engine.c */
struct bfd_listener *bfd_listener_of(struct bfd_engine *e, const struct bfd_session_conf *conf);
void bfd_listener_use(struct bfd_listener *l);
void bfd_listener_unuse(struct bfd_listener *l);
/* Whether it is open; tries to open it if it is time to. */
bool bfd_listener_ready(struct bfd_listener *l);
/* Reads what has arrived, but not without end: false if there may be more. */
bool bfd_listener_drain(struct bfd_listener *l);
/* The tables that packets are looked up in. */
void bfd_engine_add(struct bfd_session *s);
void bfd_engine_remove(struct bfd_session *s);
uint32_t bfd_engine_new_discr(struct bfd_engine *e);
/* Evenly from 0 to below n; good enough for jitter. */
uint32_t bfd_engine_random(struct bfd_engine *e, uint32_t n);
/* A source port that no other session has, as long as there are such. */
uint16_t bfd_engine_port_take(struct bfd_engine *e);
void bfd_engine_port_put(struct bfd_engine *e, uint16_t port);
/* Frees a session that is in no table and no list any more, when it is safe. */
void bfd_engine_bury(struct bfd_session *s);

/* timing.c */
/* Starts sending, the first packet at a random time soon. */
void bfd_timing_start(struct bfd_session *s);
void bfd_timing_stop(struct bfd_session *s);
/* After a packet out of turn: the next one is due an interval from now. */
void bfd_timing_restart(struct bfd_session *s);
/* Announces what the configuration and the state want. During a Poll Sequence that waits for its end, unless anew. */
void bfd_timing_negotiate(struct bfd_session *s, bool anew);
/* The remote answered our poll. */
void bfd_timing_final(struct bfd_session *s);
/* What the remote announces has been stored, and its packet counts as heard now. */
void bfd_timing_heard(struct bfd_session *s);
/* Nothing is known about the remote any more. */
void bfd_timing_forget(struct bfd_session *s);
uint32_t bfd_timing_tx_interval(const struct bfd_session *s);
uint64_t bfd_timing_detection(const struct bfd_session *s);
/* Whether RFC 5880 6.8.7 lets it send periodically. */
bool bfd_timing_may_send(const struct bfd_session *s);

/* session.c */
#define BFD_LABEL 96
/* "10.0.0.2", "fe80::2 on eth0", "10.0.0.2 (multihop)". */
const char *bfd_session_label(const struct bfd_session *s, char label[static BFD_LABEL]);
void bfd_session_receive(struct bfd_session *s, const struct bfd_packet *p);
void bfd_session_timeout(struct bfd_session *s);
/* Sends the session's state, as an answer to a poll with final. */
void bfd_session_send(struct bfd_session *s, bool final);
/* Opens what it needs to hear and be heard; if that does not work now, s->error says so. */
void bfd_session_keep_open(struct bfd_session *s);
/* Whether both are of the same session. */
bool bfd_session_conf_is_same(const struct bfd_session_conf *a, const struct bfd_session_conf *b);
/* The end of a session that was leaving. */
void bfd_session_left(struct bfd_session *s);

#endif
