/* What a malformed message causes: the reaction (RFC 7606), the NOTIFICATION it would need, and words for the log. */
#ifndef BGP_CODEC_ERROR_H
#define BGP_CODEC_ERROR_H

#include <stdint.h>

#include "daemon/base/wire.h"

/* In rising strength: with several errors in one UPDATE the strongest wins. */
enum bgp_action {
	BGP_OK,
	BGP_ATTR_DISCARD,      /* RFC 7606: ignore the attribute, keep the route */
	BGP_TREAT_AS_WITHDRAW, /* RFC 7606: the routes of this UPDATE are withdrawn */
	BGP_AFI_DISABLE,       /* RFC 4760 7: drop the family's routes and ignore it for the rest of the session */
	BGP_RESET,	       /* NOTIFICATION and close */
};

enum bgp_error_code {
	BGP_ERR_HEADER = 1,
	BGP_ERR_OPEN,
	BGP_ERR_UPDATE,
	BGP_ERR_HOLD_TIMER,
	BGP_ERR_FSM,
	BGP_ERR_CEASE,
	BGP_ERR_ROUTE_REFRESH,
	BGP_ERR_SEND_HOLD, /* RFC 9687 */
};

enum bgp_cease {
	BGP_CEASE_MAX_PREFIXES = 1,
	BGP_CEASE_SHUTDOWN,
	BGP_CEASE_DECONFIGURED,
	BGP_CEASE_RESET,
	BGP_CEASE_REJECTED,
	BGP_CEASE_CONFIG_CHANGE,
	BGP_CEASE_COLLISION,
	BGP_CEASE_RESOURCES,
	BGP_CEASE_HARD_RESET,
	BGP_CEASE_BFD_DOWN, /* RFC 9384 */
};

struct bgp_error {
	enum bgp_action action;
	uint8_t code, subcode; /* of the NOTIFICATION, when action is BGP_RESET */
	uint8_t attr;	       /* the path attribute's type code, 0 if none is to blame */
	struct span data;      /* for the NOTIFICATION and the log; borrows the message */
	const char *reason;    /* static text: what is wrong, "AS_PATH segment runs past the end" */
};

/* "UPDATE Message Error/Malformed AS_PATH" and the like, as IANA names them. Returns buf. */
const char *bgp_error_name(uint8_t code, uint8_t subcode, char buf[static 96]);

#endif
