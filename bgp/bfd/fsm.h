/* The state machine of RFC 5880 6.2 and 6.8.6 as one table. Pure. */
#ifndef BGP_BFD_FSM_H
#define BGP_BFD_FSM_H

#include "bgp/bfd/codec.h"

enum bfd_event {
	BFD_EV_DISABLE, /* the administrator's */
	BFD_EV_ENABLE,
	BFD_EV_TIMEOUT,		  /* a Detection Time passed without a packet */
	BFD_EV_REMOTE_ADMIN_DOWN, /* a packet with that state */
	BFD_EV_REMOTE_DOWN,
	BFD_EV_REMOTE_INIT,
	BFD_EV_REMOTE_UP,
	BFD_EV_COUNT
};

/* What a row does besides the change of state. */
enum bfd_action {
	BFD_DO_DIAG = 1 << 0,	/* the local diagnostic becomes the row's */
	BFD_DO_FORGET = 1 << 1, /* what the remote said is no longer known */
};

struct bfd_row {
	uint8_t next;	 /* enum bfd_state */
	uint8_t actions; /* set of enum bfd_action */
	uint8_t diag;	 /* enum bfd_diag */
	bool listed;
};

const struct bfd_row *bfd_row(enum bfd_state state, enum bfd_event event);
/* The event that a packet with this state in it is. */
enum bfd_event bfd_event_of(enum bfd_state remote);

#endif
