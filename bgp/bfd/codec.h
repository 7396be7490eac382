/* BFD control packets (RFC 5880 4.1): bytes in, struct out, and back; and the checks of section 6.8.6 as one table.
 *
 * Pure: no sockets, clock or logging. Authentication is not offered, so its section is never looked at: a packet that
 * has one is discarded, as the RFC wants it where none is in use. */
#ifndef BGP_BFD_CODEC_H
#define BGP_BFD_CODEC_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/wire.h"

#define BFD_VERSION 1
#define BFD_PACKET_LEN 24
/* RFC 5881 5: what single-hop packets leave with, and must still have when they arrive. */
#define BFD_TTL 255

/* Numbered as on the wire. */
enum bfd_state { BFD_ADMIN_DOWN, BFD_DOWN, BFD_INIT, BFD_UP, BFD_STATE_COUNT };

enum bfd_diag {
	BFD_DIAG_NONE,
	BFD_DIAG_TIMEOUT,
	BFD_DIAG_ECHO,
	BFD_DIAG_NEIGHBOR,
	BFD_DIAG_FORWARDING,
	BFD_DIAG_PATH,
	BFD_DIAG_CONCATENATED,
	BFD_DIAG_ADMIN,
	BFD_DIAG_REVERSE,
	BFD_DIAG_COUNT
};

/* "AdminDown", ... and "Control Detection Time Expired", ... as the RFC writes them; "reserved" for other numbers. */
const char *bfd_state_name(enum bfd_state s);
const char *bfd_diag_name(uint8_t diag);

struct bfd_packet {
	uint8_t version, diag, state;		     /* diag as received: may be one that is not known here */
	bool poll, final, independent, auth, demand; /* independent: the C bit, Control Plane Independent */
	bool multipoint;
	uint8_t multiplier, length;
	uint32_t my_discr, your_discr;
	uint32_t min_tx, min_rx, min_echo_rx; /* microseconds */
};

/* Appends the 24 octets; version, auth, multipoint and length are not taken from p but are what they must be. */
void bfd_encode(struct wr *w, const struct bfd_packet *p);

/* Why a packet was discarded. The order is that of the checks. */
enum bfd_discard {
	BFD_ACCEPTED,
	BFD_TRUNCATED,
	BFD_BAD_VERSION,
	BFD_BAD_LENGTH,
	BFD_LENGTH_BEYOND,
	BFD_NO_MULTIPLIER,
	BFD_MULTIPOINT,
	BFD_NO_MY_DISCR,
	BFD_STATE_WITHOUT_DISCR,
	BFD_AUTHENTICATED,
	BFD_LOW_TTL, /* from here on: the checks that need to know where it came from and which session it is for */
	BFD_UNKNOWN_DISCR,
	BFD_UNKNOWN_SOURCE,
	BFD_WRONG_INTERFACE,
	BFD_DISCARD_COUNT
};
/* For people: "version is not 1". */
const char *bfd_discard_text(enum bfd_discard why);

/* A packet with what else the checks need. */
struct bfd_arrival {
	struct bfd_packet packet;
	size_t payload; /* octets of the datagram */
	int ttl;	/* as it arrived; -1 not known */
	int min_ttl;	/* the least that is allowed */
	bool found;	/* there is a session for it */
	bool bound;	/* that session hears this interface only */
	uint32_t ifindex, session_ifindex;
};

/* Decodes a datagram into a->packet and a->payload and makes the checks that need nothing else. The fields of what is
 * discarded are for logs only. */
enum bfd_discard bfd_decode(struct span datagram, struct bfd_arrival *a);
/* The other checks, once the rest of the arrival is filled in. */
enum bfd_discard bfd_admit(const struct bfd_arrival *a);

#endif
