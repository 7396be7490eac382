/* RFC 4271 8.2.2, with these differences, all of them in the table:
 *
 * - A TCP failure in Connect leads to Active, not to Idle: Idle refuses the peer's own connections, and a peer that is
 *   not there yet will dial as soon as it is (RFC 4271 has this only while DelayOpenTimer runs). It counts as a
 * failure.
 * - A lost collision is nobody's fault: it neither counts nor damps.
 * - A NOTIFICATION in OpenSent closes; the RFC would answer it with a NOTIFICATION.
 * - A second connection never changes the machine of the first: it has one of its own, see collision.c. */
#include "bgp/session/fsm.h"

#include <stdio.h>

#include "daemon/base/mono.h"

#define GO(what, to)                                                \
	{                                                           \
		.actions = (what), .next = BGP_##to, .listed = true \
	}
#define STAY(state) GO(0, state)

/* Common ends. */
#define END (DO_RETRY_STOP | DO_DROP | DO_COUNT | DO_DAMP)
#define TELL (DO_NOTIFY | END)
#define STOP (DO_RETRY_STOP | DO_DROP | DO_COUNT_RESET)
#define LOST (DO_RETRY_STOP | DO_DROP)
#define BEGIN (DO_RETRY_STOP | DO_SEND_OPEN)
#define CONFIRM (DO_RETRY_STOP | DO_SEND_KEEPALIVE | DO_HOLD)

static const struct fsm_row table[BGP_STATE_COUNT][EV_COUNT] =
    {
	[BGP_IDLE] =
	    {
		[EV_MANUAL_START] = GO(DO_COUNT_RESET | DO_RETRY_START | DO_DIAL, CONNECT),
		[EV_AUTO_START] = GO(DO_COUNT_RESET | DO_RETRY_START | DO_DIAL, CONNECT),
		[EV_MANUAL_START_PASSIVE] = GO(DO_COUNT_RESET | DO_RETRY_START, ACTIVE),
		[EV_AUTO_START_PASSIVE] = GO(DO_COUNT_RESET | DO_RETRY_START, ACTIVE),
		[EV_AUTO_START_DAMPED] = GO(DO_RETRY_START | DO_DIAL, CONNECT),
		[EV_AUTO_START_DAMPED_PASSIVE] = GO(DO_RETRY_START, ACTIVE),
		[EV_IDLE_HOLD_TIMER] = GO(DO_RETRY_START | DO_DIAL, CONNECT),
	    },
	[BGP_CONNECT] =
	    {
		[EV_MANUAL_START] = STAY(CONNECT),
		[EV_MANUAL_STOP] = GO(STOP, IDLE),
		[EV_AUTO_START] = STAY(CONNECT),
		[EV_MANUAL_START_PASSIVE] = STAY(CONNECT),
		[EV_AUTO_START_PASSIVE] = STAY(CONNECT),
		[EV_AUTO_START_DAMPED] = STAY(CONNECT),
		[EV_AUTO_START_DAMPED_PASSIVE] = STAY(CONNECT),
		[EV_CONNECT_RETRY_TIMER] = GO(DO_DROP | DO_COUNT | DO_RETRY_START | DO_DIAL, CONNECT),
		[EV_DELAY_OPEN_TIMER] = GO(BEGIN, OPENSENT),
		[EV_TCP_VALID] = STAY(CONNECT),
		[EV_TCP_INVALID] = STAY(CONNECT),
		[EV_TCP_ACKED] = GO(BEGIN, OPENSENT),
		[EV_TCP_CONFIRMED] = GO(BEGIN, OPENSENT),
		[EV_TCP_FAILS] = GO(DO_DROP | DO_COUNT | DO_RETRY_START, ACTIVE),
		[EV_OPEN_DELAYED] = GO(BEGIN | CONFIRM, OPENCONFIRM),
		[EV_COLLISION_DUMP] = GO(LOST, IDLE),
	    },
	[BGP_ACTIVE] =
	    {
		[EV_MANUAL_START] = STAY(ACTIVE),
		[EV_MANUAL_STOP] = GO(STOP, IDLE),
		[EV_AUTO_START] = STAY(ACTIVE),
		[EV_MANUAL_START_PASSIVE] = STAY(ACTIVE),
		[EV_AUTO_START_PASSIVE] = STAY(ACTIVE),
		[EV_AUTO_START_DAMPED] = STAY(ACTIVE),
		[EV_AUTO_START_DAMPED_PASSIVE] = STAY(ACTIVE),
		[EV_CONNECT_RETRY_TIMER] = GO(DO_RETRY_START | DO_DIAL, CONNECT),
		[EV_DELAY_OPEN_TIMER] = GO(BEGIN, OPENSENT),
		[EV_TCP_VALID] = STAY(ACTIVE),
		[EV_TCP_INVALID] = STAY(ACTIVE),
		[EV_TCP_ACKED] = GO(BEGIN, OPENSENT),
		[EV_TCP_CONFIRMED] = GO(BEGIN, OPENSENT),
		[EV_OPEN_DELAYED] = GO(BEGIN | CONFIRM, OPENCONFIRM),
		[EV_COLLISION_DUMP] = GO(LOST, IDLE),
	    },
	[BGP_OPENSENT] =
	    {
		[EV_MANUAL_START] = STAY(OPENSENT),
		[EV_MANUAL_STOP] = GO(DO_NOTIFY | STOP, IDLE),
		[EV_AUTO_START] = STAY(OPENSENT),
		[EV_MANUAL_START_PASSIVE] = STAY(OPENSENT),
		[EV_AUTO_START_PASSIVE] = STAY(OPENSENT),
		[EV_AUTO_START_DAMPED] = STAY(OPENSENT),
		[EV_AUTO_START_DAMPED_PASSIVE] = STAY(OPENSENT),
		[EV_AUTO_STOP] = GO(TELL, IDLE),
		[EV_HOLD_TIMER] = GO(TELL, IDLE),
		[EV_TCP_VALID] = STAY(OPENSENT),
		[EV_TCP_INVALID] = STAY(OPENSENT),
		[EV_TCP_ACKED] = STAY(OPENSENT),
		[EV_TCP_CONFIRMED] = STAY(OPENSENT),
		[EV_TCP_FAILS] = GO(DO_DROP | DO_COUNT | DO_RETRY_START, ACTIVE),
		[EV_OPEN] = GO(CONFIRM, OPENCONFIRM),
		[EV_HEADER_ERROR] = GO(TELL, IDLE),
		[EV_OPEN_ERROR] = GO(TELL, IDLE),
		[EV_COLLISION_DUMP] = GO(DO_NOTIFY | LOST, IDLE),
		[EV_NOTIFICATION_VERSION] = GO(LOST, IDLE),
		[EV_NOTIFICATION] = GO(END, IDLE),
		[EV_SEND_HOLD_TIMER] = GO(TELL, IDLE),
	    },
	[BGP_OPENCONFIRM] =
	    {
		[EV_MANUAL_START] = STAY(OPENCONFIRM),
		[EV_MANUAL_STOP] = GO(DO_NOTIFY | STOP, IDLE),
		[EV_AUTO_START] = STAY(OPENCONFIRM),
		[EV_MANUAL_START_PASSIVE] = STAY(OPENCONFIRM),
		[EV_AUTO_START_PASSIVE] = STAY(OPENCONFIRM),
		[EV_AUTO_START_DAMPED] = STAY(OPENCONFIRM),
		[EV_AUTO_START_DAMPED_PASSIVE] = STAY(OPENCONFIRM),
		[EV_AUTO_STOP] = GO(TELL, IDLE),
		[EV_HOLD_TIMER] = GO(TELL, IDLE),
		[EV_KEEPALIVE_TIMER] = GO(DO_SEND_KEEPALIVE, OPENCONFIRM),
		[EV_TCP_VALID] = STAY(OPENCONFIRM),
		[EV_TCP_INVALID] = STAY(OPENCONFIRM),
		[EV_TCP_ACKED] = STAY(OPENCONFIRM),
		[EV_TCP_CONFIRMED] = STAY(OPENCONFIRM),
		[EV_TCP_FAILS] = GO(END, IDLE),
		[EV_HEADER_ERROR] = GO(TELL, IDLE),
		[EV_OPEN_ERROR] = GO(TELL, IDLE),
		[EV_COLLISION_DUMP] = GO(DO_NOTIFY | LOST, IDLE),
		[EV_NOTIFICATION_VERSION] = GO(LOST, IDLE),
		[EV_NOTIFICATION] = GO(END, IDLE),
		[EV_KEEPALIVE] = GO(DO_HOLD, ESTABLISHED),
		[EV_SEND_HOLD_TIMER] = GO(TELL, IDLE),
	    },
	[BGP_ESTABLISHED] =
	    {
		[EV_MANUAL_START] = STAY(ESTABLISHED),
		[EV_MANUAL_STOP] = GO(DO_NOTIFY | STOP, IDLE),
		[EV_AUTO_START] = STAY(ESTABLISHED),
		[EV_MANUAL_START_PASSIVE] = STAY(ESTABLISHED),
		[EV_AUTO_START_PASSIVE] = STAY(ESTABLISHED),
		[EV_AUTO_START_DAMPED] = STAY(ESTABLISHED),
		[EV_AUTO_START_DAMPED_PASSIVE] = STAY(ESTABLISHED),
		[EV_AUTO_STOP] = GO(TELL, IDLE),
		[EV_HOLD_TIMER] = GO(TELL, IDLE),
		[EV_KEEPALIVE_TIMER] = GO(DO_SEND_KEEPALIVE, ESTABLISHED),
		[EV_TCP_VALID] = STAY(ESTABLISHED),
		[EV_TCP_INVALID] = STAY(ESTABLISHED),
		[EV_TCP_ACKED] = STAY(ESTABLISHED),
		[EV_TCP_CONFIRMED] = STAY(ESTABLISHED),
		[EV_TCP_FAILS] = GO(END, IDLE),
		[EV_HEADER_ERROR] = GO(TELL, IDLE),
		[EV_COLLISION_DUMP] = GO(DO_NOTIFY | LOST, IDLE),
		[EV_NOTIFICATION_VERSION] = GO(END, IDLE),
		[EV_NOTIFICATION] = GO(END, IDLE),
		[EV_KEEPALIVE] = GO(DO_HOLD, ESTABLISHED),
		[EV_UPDATE] = GO(DO_HOLD, ESTABLISHED),
		[EV_UPDATE_ERROR] = GO(TELL, IDLE),
		[EV_SEND_HOLD_TIMER] = GO(TELL, IDLE),
		[EV_REFRESH] = GO(DO_HOLD, ESTABLISHED),
		[EV_REFRESH_ERROR] = GO(TELL, IDLE),
		[EV_REPLACED] = GO(LOST, IDLE),
	    },
};

/* "Any other event" of each state. */
static const struct fsm_row any_other[BGP_STATE_COUNT] = {
    [BGP_IDLE] = STAY(IDLE),
    [BGP_CONNECT] = GO(END, IDLE),
    [BGP_ACTIVE] = GO(END, IDLE),
    [BGP_OPENSENT] = GO(DO_FSM_ERROR | TELL, IDLE),
    [BGP_OPENCONFIRM] = GO(DO_FSM_ERROR | TELL, IDLE),
    [BGP_ESTABLISHED] = GO(DO_FSM_ERROR | TELL, IDLE),
};

static const char *const event_names[EV_COUNT] = {
    [EV_MANUAL_START] = "ManualStart",
    [EV_MANUAL_STOP] = "ManualStop",
    [EV_AUTO_START] = "AutomaticStart",
    [EV_MANUAL_START_PASSIVE] = "ManualStart_with_PassiveTcpEstablishment",
    [EV_AUTO_START_PASSIVE] = "AutomaticStart_with_PassiveTcpEstablishment",
    [EV_AUTO_START_DAMPED] = "AutomaticStart_with_DampPeerOscillations",
    [EV_AUTO_START_DAMPED_PASSIVE] = "AutomaticStart_with_DampPeerOscillations_and_PassiveTcpEstablishment",
    [EV_AUTO_STOP] = "AutomaticStop",
    [EV_CONNECT_RETRY_TIMER] = "ConnectRetryTimer_Expires",
    [EV_HOLD_TIMER] = "HoldTimer_Expires",
    [EV_KEEPALIVE_TIMER] = "KeepaliveTimer_Expires",
    [EV_DELAY_OPEN_TIMER] = "DelayOpenTimer_Expires",
    [EV_IDLE_HOLD_TIMER] = "IdleHoldTimer_Expires",
    [EV_TCP_VALID] = "TcpConnection_Valid",
    [EV_TCP_INVALID] = "Tcp_CR_Invalid",
    [EV_TCP_ACKED] = "Tcp_CR_Acked",
    [EV_TCP_CONFIRMED] = "TcpConnectionConfirmed",
    [EV_TCP_FAILS] = "TcpConnectionFails",
    [EV_OPEN] = "BGPOpen",
    [EV_OPEN_DELAYED] = "BGPOpen with DelayOpenTimer running",
    [EV_HEADER_ERROR] = "BGPHeaderErr",
    [EV_OPEN_ERROR] = "BGPOpenMsgErr",
    [EV_COLLISION_DUMP] = "OpenCollisionDump",
    [EV_NOTIFICATION_VERSION] = "NotifMsgVerErr",
    [EV_NOTIFICATION] = "NotifMsg",
    [EV_KEEPALIVE] = "KeepAliveMsg",
    [EV_UPDATE] = "UpdateMsg",
    [EV_UPDATE_ERROR] = "UpdateMsgErr",
    [EV_SEND_HOLD_TIMER] = "SendHoldTimer_Expires",
    [EV_REFRESH] = "RouteRefreshMsg",
    [EV_REFRESH_ERROR] = "RouteRefreshMsgErr",
    [EV_REPLACED] = "Replaced",
};

const struct fsm_row *fsm_row(enum bgp_state state, enum fsm_event event)
{
	const struct fsm_row *r = &table[state][event];

	return r->listed ? r : &any_other[state];
}

const char *fsm_event_name(enum fsm_event event)
{
	return event_names[event];
}

/* What an action may need. conn stays valid (though perhaps closed) until the end of the loop turn. */
struct step {
	struct bgp_session *s;
	struct fsm *f;
	struct conn *conn;
	enum bgp_state was;
	const struct cause *why;
	enum fsm_event event;
	bool notified;
};

static void do_notify(struct step *st)
{
	if (st->conn && st->why && st->why->code && !st->why->received)
		st->notified = session_notify(st->conn, st->why);
}

static void do_drop(struct step *st)
{
	if (st->conn)
		conn_close(st->conn, st->notified);
}

/* The session's timer and counters belong to the own machine; a connection of the peer's that fails counts too, since
 * it was an attempt, but our own dialling goes on undisturbed. */
static bool is_own(const struct step *st)
{
	return st->f == &st->s->own;
}

static void do_retry_stop(struct step *st)
{
	if (is_own(st))
		loop_timer_stop(st->s->engine->loop, &st->s->timer);
}

static void do_count_reset(struct step *st)
{
	st->s->attempts_failed = 0;
}

static void do_count(struct step *st)
{
	st->s->attempts_failed++;
	st->s->failed_at = mono_now();
}

/* Errors that a restart does not mend: whoever connects next will most likely run into them again. */
static bool is_protocol_error(const struct cause *why)
{
	return why && why->code && why->code != BGP_ERR_CEASE && why->code != BGP_ERR_HOLD_TIMER &&
	       why->code != BGP_ERR_SEND_HOLD;
}

static void do_damp(struct step *st)
{
	st->s->damped = is_protocol_error(st->why);
	if (is_own(st))
		session_idle_hold(st->s, st->was == BGP_ESTABLISHED);
}

static void do_send_open(struct step *st)
{
	uint8_t msg[BGP_MAX_MESSAGE];
	struct wr w = wr_make(msg, sizeof msg);
	struct conn *c = st->conn;

	open_make(st->s, &c->mine);
	bgp_open_encode(&w, &c->mine);
	conn_send(c, msg, wr_len(&w));
	c->hold = OPEN_HOLD;
	c->heard = mono_now();
	conn_timer_arm(c);
}

static void do_send_keepalive(struct step *st)
{
	uint8_t msg[BGP_HEADER_LEN];
	struct wr w = wr_make(msg, sizeof msg);

	bgp_keepalive_encode(&w);
	conn_send(st->conn, msg, wr_len(&w));
	conn_keepalive_sent(st->conn);
}

static void do_hold(struct step *st)
{
	st->conn->heard = mono_lately();
}

static void do_retry_start(struct step *st)
{
	if (is_own(st))
		session_retry_start(st->s);
}

static void do_dial(struct step *st)
{
	if (is_own(st))
		session_dial(st->s);
}

static void (*const actions[DO_COUNT_ACTIONS])(struct step *st) = {
    NULL, /* DO_FSM_ERROR changes the cause: see below */
    do_notify,	  do_drop,	     do_retry_stop, do_count_reset, do_count, do_damp,
    do_send_open, do_send_keepalive, do_hold,	    do_retry_start, do_dial,
};

static void enter_below_opensent(struct step *st)
{
	/* The peer's machine has nothing to wait for: it ends with its connection. */
	if (!is_own(st))
		st->f->state = BGP_IDLE;
	if (st->was == BGP_ESTABLISHED)
		session_report_down(st->s, st->conn, st->why, st->notified,
				    st->event <= EV_SEND_HOLD_TIMER ? (uint8_t)st->event : 0);
	else if (st->why && st->why->text && !st->s->dead)
		session_set_error(st->s, st->why->text);
}

/* Whatever brought the own machine to Idle: unless it was told to stay there, it comes back, after DO_DAMP's time or
 * soon. */
static void enter_idle(struct step *st)
{
	struct bgp_session *s = st->s;

	if (is_own(st) && !s->conf.admin_down && !s->dead && !loop_timer_is_set(&s->timer))
		session_start_soon(s);
	enter_below_opensent(st);
}

static void enter_established(struct step *st)
{
	struct conn *c = st->conn;

	collision_won(c);
	if (conn_is_open(c) && !st->s->dead)
		session_report_up(st->s);
}

/* Run on every change into a state; the last thing of a step, since these call back. */
static void (*const enter[BGP_STATE_COUNT])(struct step *st) = {
    [BGP_IDLE] = enter_idle, [BGP_CONNECT] = NULL,     [BGP_ACTIVE] = enter_below_opensent,
    [BGP_OPENSENT] = NULL,   [BGP_OPENCONFIRM] = NULL, [BGP_ESTABLISHED] = enter_established,
};

/* RFC 6608 */
static struct cause fsm_error(enum bgp_state state, enum fsm_event event, char text[static 128])
{
	snprintf(text, 128, "%s in state %s", fsm_event_name(event), bgp_state_name(state));
	return (struct cause){.code = BGP_ERR_FSM, .subcode = (uint8_t)(state - BGP_OPENSENT + 1), .text = text};
}

void fsm_event(struct bgp_session *s, struct fsm *f, enum fsm_event event, const struct cause *cause)
{
	const struct fsm_row *row = fsm_row(f->state, event);
	struct step st = {.s = s, .f = f, .conn = f->conn, .was = f->state, .why = cause, .event = event};
	struct cause error;
	char text[128];

	if (row->actions & DO_FSM_ERROR) {
		error = fsm_error(st.was, event, text);
		st.why = &error;
	}
	/* The state first: an action may raise the next event. */
	f->state = row->next;
	for (unsigned i = 0; i < DO_COUNT_ACTIONS; i++)
		if (row->actions >> i & 1 && actions[i])
			actions[i](&st);
	if (row->next != st.was) {
		log_debug(LOG_BGP, "%s: %s: %s -> %s%s", s->conf.name, fsm_event_name(event), bgp_state_name(st.was),
			  bgp_state_name(row->next), is_own(&st) ? "" : " (connection from the peer)");
		if (enter[row->next])
			enter[row->next](&st);
		session_changed(s);
	}
}
