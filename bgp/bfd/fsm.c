#include "bgp/bfd/fsm.h"

#define STAY(state)                                 \
	{                                           \
		.next = BFD_##state, .listed = true \
	}
#define GO(state) STAY(state)
#define GO_DIAG(state, why)                                                                         \
	{                                                                                           \
		.next = BFD_##state, .actions = BFD_DO_DIAG, .diag = BFD_DIAG_##why, .listed = true \
	}
#define FORGET(state)                                                         \
	{                                                                     \
		.next = BFD_##state, .actions = BFD_DO_FORGET, .listed = true \
	}
#define LOST                                                                                                       \
	{                                                                                                          \
		.next = BFD_DOWN, .actions = BFD_DO_DIAG | BFD_DO_FORGET, .diag = BFD_DIAG_TIMEOUT, .listed = true \
	}

/* The diagnostic says why the session last went down, also while it is coming up again; Up clears it. */
static const struct bfd_row table[BFD_STATE_COUNT][BFD_EV_COUNT] = {
    [BFD_ADMIN_DOWN] =
	{
	    [BFD_EV_DISABLE] = STAY(ADMIN_DOWN),
	    [BFD_EV_ENABLE] = GO_DIAG(DOWN, NONE),
	    [BFD_EV_TIMEOUT] = FORGET(ADMIN_DOWN),
	    [BFD_EV_REMOTE_ADMIN_DOWN] = STAY(ADMIN_DOWN),
	    [BFD_EV_REMOTE_DOWN] = STAY(ADMIN_DOWN),
	    [BFD_EV_REMOTE_INIT] = STAY(ADMIN_DOWN),
	    [BFD_EV_REMOTE_UP] = STAY(ADMIN_DOWN),
	},
    [BFD_DOWN] =
	{
	    [BFD_EV_DISABLE] = GO_DIAG(ADMIN_DOWN, ADMIN),
	    [BFD_EV_ENABLE] = STAY(DOWN),
	    [BFD_EV_TIMEOUT] = FORGET(DOWN),
	    [BFD_EV_REMOTE_ADMIN_DOWN] = STAY(DOWN),
	    [BFD_EV_REMOTE_DOWN] = GO(INIT),
	    [BFD_EV_REMOTE_INIT] = GO_DIAG(UP, NONE),
	    [BFD_EV_REMOTE_UP] = STAY(DOWN),
	},
    [BFD_INIT] =
	{
	    [BFD_EV_DISABLE] = GO_DIAG(ADMIN_DOWN, ADMIN),
	    [BFD_EV_ENABLE] = STAY(INIT),
	    [BFD_EV_TIMEOUT] = LOST,
	    [BFD_EV_REMOTE_ADMIN_DOWN] = GO_DIAG(DOWN, NEIGHBOR),
	    [BFD_EV_REMOTE_DOWN] = STAY(INIT),
	    [BFD_EV_REMOTE_INIT] = GO_DIAG(UP, NONE),
	    [BFD_EV_REMOTE_UP] = GO_DIAG(UP, NONE),
	},
    [BFD_UP] =
	{
	    [BFD_EV_DISABLE] = GO_DIAG(ADMIN_DOWN, ADMIN),
	    [BFD_EV_ENABLE] = STAY(UP),
	    [BFD_EV_TIMEOUT] = LOST,
	    [BFD_EV_REMOTE_ADMIN_DOWN] = GO_DIAG(DOWN, NEIGHBOR),
	    [BFD_EV_REMOTE_DOWN] = GO_DIAG(DOWN, NEIGHBOR),
	    [BFD_EV_REMOTE_INIT] = STAY(UP),
	    [BFD_EV_REMOTE_UP] = STAY(UP),
	},
};

static const enum bfd_event events[BFD_STATE_COUNT] = {
    [BFD_ADMIN_DOWN] = BFD_EV_REMOTE_ADMIN_DOWN,
    [BFD_DOWN] = BFD_EV_REMOTE_DOWN,
    [BFD_INIT] = BFD_EV_REMOTE_INIT,
    [BFD_UP] = BFD_EV_REMOTE_UP,
};

const struct bfd_row *bfd_row(enum bfd_state state, enum bfd_event event)
{
	return &table[state][event];
}

enum bfd_event bfd_event_of(enum bfd_state remote)
{
	return events[remote];
}
