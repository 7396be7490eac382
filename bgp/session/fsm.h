/* The state machine of RFC 4271 8 as one table. */
#ifndef BGP_SESSION_FSM_H
#define BGP_SESSION_FSM_H

#include "bgp/session/internal.h"

/* Numbered as in RFC 4271 8.1; 29 is RFC 9687's. Of the optional ones those about DelayOpen (12, 20) and about tracking
 * TCP (14, 15) have their rows but nothing raises them. */
enum fsm_event {
	EV_MANUAL_START = 1,
	EV_MANUAL_STOP,
	EV_AUTO_START,
	EV_MANUAL_START_PASSIVE,
	EV_AUTO_START_PASSIVE,
	EV_AUTO_START_DAMPED,
	EV_AUTO_START_DAMPED_PASSIVE,
	EV_AUTO_STOP,
	EV_CONNECT_RETRY_TIMER,
	EV_HOLD_TIMER,
	EV_KEEPALIVE_TIMER,
	EV_DELAY_OPEN_TIMER,
	EV_IDLE_HOLD_TIMER,
	EV_TCP_VALID,
	EV_TCP_INVALID,
	EV_TCP_ACKED,	  /* our dial went through */
	EV_TCP_CONFIRMED, /* the peer's was accepted */
	EV_TCP_FAILS,
	EV_OPEN,
	EV_OPEN_DELAYED,
	EV_HEADER_ERROR,
	EV_OPEN_ERROR,
	EV_COLLISION_DUMP,
	EV_NOTIFICATION_VERSION,
	EV_NOTIFICATION,
	EV_KEEPALIVE,
	EV_UPDATE,
	EV_UPDATE_ERROR,
	EV_SEND_HOLD_TIMER, /* RFC 9687 */
	EV_REFRESH,	    /* RFC 2918 */
	EV_REFRESH_ERROR,   /* RFC 7313 */
	EV_REPLACED,	    /* RFC 4724 5: the peer restarted and is back on another connection */
	EV_COUNT
};

/* What a row does, in this order. */
enum fsm_action {
	DO_FSM_ERROR = 1 << 0,	 /* the NOTIFICATION is RFC 6608's, by state */
	DO_NOTIFY = 1 << 1,	 /* send the NOTIFICATION the event's cause names */
	DO_DROP = 1 << 2,	 /* close the connection */
	DO_RETRY_STOP = 1 << 3,	 /* ConnectRetryTimer off */
	DO_COUNT_RESET = 1 << 4, /* ConnectRetryCounter = 0 */
	DO_COUNT = 1 << 5,	 /* ConnectRetryCounter + 1 */
	DO_DAMP = 1 << 6,	 /* IdleHoldTimer on, with back-off */
	DO_SEND_OPEN = 1 << 7,	 /* and the hold timer to its large value */
	DO_SEND_KEEPALIVE = 1 << 8,
	DO_HOLD = 1 << 9,	  /* restart the hold timer */
	DO_RETRY_START = 1 << 10, /* ConnectRetryTimer on */
	DO_DIAL = 1 << 11,	  /* last: may raise EV_TCP_FAILS at once */
};
#define DO_COUNT_ACTIONS 12

struct fsm_row {
	uint16_t actions; /* set of enum fsm_action */
	uint8_t next;	  /* enum bgp_state */
	bool listed;
};

/* The row in force: the table's, or the state's "any other event". */
const struct fsm_row *fsm_row(enum bgp_state state, enum fsm_event event);
/* "ManualStart", ... as the RFC writes them. */
const char *fsm_event_name(enum fsm_event event);

/* Runs one event. cause may be NULL. Callbacks may run in it: the session may be dead and every connection closed
 * afterwards. */
void fsm_event(struct bgp_session *s, struct fsm *f, enum fsm_event event, const struct cause *cause);

#endif
