/* Messages: framing, OPEN with capabilities, NOTIFICATION, KEEPALIVE, ROUTE-REFRESH.
 *
 * Pure: bytes in, structs out and back. Encoders write whole messages, header included; a message that does not fit
 * makes the writer bad. RFC 4271, 5492, 2918, 7313, 4724, 6793, 7911, 8654, 8950, 9003, 9072. */
#ifndef BGP_CODEC_MSG_H
#define BGP_CODEC_MSG_H

#include "bgp/codec/attr.h"
#include "bgp/codec/error.h"
#include "daemon/base/addr.h"
#include "daemon/base/wire.h"

#define BGP_HEADER_LEN 19u
#define BGP_MAX_MESSAGE 4096u
#define BGP_MAX_EXTENDED 65535u
#define BGP_PORT 179

enum bgp_type { BGP_OPEN = 1, BGP_UPDATE, BGP_NOTIFICATION, BGP_KEEPALIVE, BGP_ROUTE_REFRESH };
extern const char *const bgp_type_names[]; /* indexed by enum bgp_type */

/* A framed message: its type, all of it, and the reader over its body. */
struct bgp_msg {
	uint8_t type;
	uint32_t len; /* the whole message */
	struct span whole;
	struct rd body;
};

/* Takes the next whole message from data. Returns its length; 0 if more bytes are needed; -1 if the header is broken
 * (err says how). max_message is what this side announced (4096 or 65535); OPEN and KEEPALIVE never exceed 4096. */
int bgp_msg_next(struct bgp_msg *m, const void *data, size_t len, uint32_t max_message, struct bgp_error *err);

/* Writes a message's header; close it when the body is there. */
struct wr_mark bgp_header_write(struct wr *w, enum bgp_type type);
void bgp_header_close(struct wr *w, struct wr_mark length);

/* The address families by wire numbers: -1 if this pair is not one of ours (unicast IPv4 and IPv6). */
int bgp_family(uint16_t afi, uint8_t safi);
uint16_t bgp_afi(enum family f);
#define BGP_SAFI_UNICAST 1

#define BGP_ADD_PATH_RECEIVE 1
#define BGP_ADD_PATH_SEND 2

/* An OPEN, ours or theirs: one row per capability in msg.c (open.c) decodes and encodes it. */
struct bgp_open {
	uint32_t as;	    /* from the 4-octet capability if there, else My Autonomous System */
	uint16_t hold_time; /* seconds */
	uint32_t router_id; /* host order */
	uint8_t families;   /* bit per enum family. Received without any MP capability: IPv4 only */
	bool has_mp;	    /* whether MP capabilities were there at all */
	bool as4, route_refresh, enhanced_refresh, extended_message;
	bool gr;				/* RFC 4724 */
	bool gr_restarting;			/* R bit */
	bool gr_notification;			/* N bit, RFC 8538 */
	uint16_t gr_time;			/* seconds, 0..4095 */
	uint8_t gr_families, gr_forwarding;	/* bit per enum family: listed; F bit set */
	uint8_t add_path[FAM_COUNT];		/* BGP_ADD_PATH_* of the sender of this OPEN */
	uint8_t ext_next_hop;			/* bit per enum family: IPv6 next hops */
	bool llgr;				/* RFC 9494 */
	uint8_t llgr_families, llgr_forwarding; /* bit per enum family: listed; F bit set */
	uint32_t llgr_time[FAM_COUNT];		/* seconds */
	char hostname[65];			/* FQDN capability (draft-walton), "" if absent; printable */
};

/* Decodes the body of an OPEN. What only the configuration can judge (the AS, the identifier) is left to the session;
 * version, hold time 1 or 2, identifier 0, AS 0 and every overrun are judged here. Never sets action below BGP_RESET.
 */
struct bgp_error bgp_open_decode(struct bgp_open *o, struct rd body);
void bgp_open_encode(struct wr *w, const struct bgp_open *o);

/* One row per capability. A value of another length is ignored (RFC 5492 leaves that to each; nobody needs a reset). */
struct bgp_capability_row {
	uint8_t code;
	const char *name;
	uint8_t min_len, max_len; /* of the value */
	uint8_t unit;		  /* beyond min_len the length must be a multiple of this; 0 is none */
	/* Reads the value of one instance; false if it is malformed and thus ignored. */
	bool (*decode)(struct bgp_open *o, struct rd *value);
	/* Writes the capability, as many instances of it as this OPEN needs (none, too). */
	void (*encode)(struct wr *w, const struct bgp_open *o, const struct bgp_capability_row *row);
};
extern const struct bgp_capability_row bgp_capability_table[];
extern const unsigned bgp_capability_count;

struct bgp_notification {
	uint8_t code, subcode;
	struct span data;
};
/* False if the body is shorter than two octets. */
bool bgp_notification_decode(struct bgp_notification *n, struct rd body);
void bgp_notification_encode(struct wr *w, uint8_t code, uint8_t subcode, struct span data);
/* RFC 9003: the shutdown text of a Cease, made printable, or "" . */
void bgp_shutdown_text(const struct bgp_notification *n, char out[static 256]);

void bgp_keepalive_encode(struct wr *w);

enum bgp_refresh { BGP_REFRESH_NORMAL, BGP_REFRESH_BEGIN, BGP_REFRESH_END };
/* *family is -1 for one that is not ours; subtype other than the three is left as it is (ignore it). */
struct bgp_error bgp_refresh_decode(int *family, uint8_t *subtype, const struct bgp_msg *m);
void bgp_refresh_encode(struct wr *w, enum family f, uint8_t subtype);

#endif
