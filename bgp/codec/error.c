#include "bgp/codec/error.h"

#include <stddef.h>
#include <stdio.h>

/* The IANA registry "BGP Error (Notification) Codes" and its subcodes. */
static const struct {
	const char *name;
	const char *subcodes[16];
} names[] = {
    [BGP_ERR_HEADER] = {"Message Header Error",
			{[1] = "Connection Not Synchronized", [2] = "Bad Message Length", [3] = "Bad Message Type"}},
    [BGP_ERR_OPEN] = {"OPEN Message Error",
		      {[1] = "Unsupported Version Number",
		       [2] = "Bad Peer AS",
		       [3] = "Bad BGP Identifier",
		       [4] = "Unsupported Optional Parameter",
		       [5] = "Authentication Failure",
		       [6] = "Unacceptable Hold Time",
		       [7] = "Unsupported Capability",
		       [11] = "Role Mismatch"}},
    [BGP_ERR_UPDATE] = {"UPDATE Message Error",
			{[1] = "Malformed Attribute List",
			 [2] = "Unrecognized Well-known Attribute",
			 [3] = "Missing Well-known Attribute",
			 [4] = "Attribute Flags Error",
			 [5] = "Attribute Length Error",
			 [6] = "Invalid ORIGIN Attribute",
			 [7] = "AS Routing Loop",
			 [8] = "Invalid NEXT_HOP Attribute",
			 [9] = "Optional Attribute Error",
			 [10] = "Invalid Network Field",
			 [11] = "Malformed AS_PATH"}},
    [BGP_ERR_HOLD_TIMER] = {"Hold Timer Expired", {NULL}},
    [BGP_ERR_FSM] = {"Finite State Machine Error",
		     {[1] = "Receive Unexpected Message in OpenSent State",
		      [2] = "Receive Unexpected Message in OpenConfirm State",
		      [3] = "Receive Unexpected Message in Established State"}},
    [BGP_ERR_CEASE] = {"Cease",
		       {[BGP_CEASE_MAX_PREFIXES] = "Maximum Number of Prefixes Reached",
			[BGP_CEASE_SHUTDOWN] = "Administrative Shutdown",
			[BGP_CEASE_DECONFIGURED] = "Peer De-configured",
			[BGP_CEASE_RESET] = "Administrative Reset",
			[BGP_CEASE_REJECTED] = "Connection Rejected",
			[BGP_CEASE_CONFIG_CHANGE] = "Other Configuration Change",
			[BGP_CEASE_COLLISION] = "Connection Collision Resolution",
			[BGP_CEASE_RESOURCES] = "Out of Resources",
			[BGP_CEASE_HARD_RESET] = "Hard Reset",
			[BGP_CEASE_BFD_DOWN] = "BFD Down"}},
    [BGP_ERR_ROUTE_REFRESH] = {"ROUTE-REFRESH Message Error", {[1] = "Invalid Message Length"}},
    [BGP_ERR_SEND_HOLD] = {"Send Hold Timer Expired", {NULL}},
};

const char *bgp_error_name(uint8_t code, uint8_t subcode, char buf[static 96])
{
	const char *name = code < sizeof names / sizeof *names ? names[code].name : NULL;
	const char *sub = name && subcode < 16 ? names[code].subcodes[subcode] : NULL;

	if (!name)
		snprintf(buf, 96, "code %u/subcode %u", code, subcode);
	else if (sub)
		snprintf(buf, 96, "%s/%s", name, sub);
	else if (subcode)
		snprintf(buf, 96, "%s/subcode %u", name, subcode);
	else
		snprintf(buf, 96, "%s", name);
	return buf;
}
