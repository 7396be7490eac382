#include "bgp/bfd/codec.h"

/* RFC 5880 4.1, without the optional authentication section:
 *
 *	 0                   1                   2                   3
 *	|Vers |  Diag   |Sta|P|F|C|A|D|M|  Detect Mult  |    Length     |
 *	|                       My Discriminator                        |
 *	|                      Your Discriminator                       |
 *	|                    Desired Min TX Interval                    |
 *	|                   Required Min RX Interval                    |
 *	|                 Required Min Echo RX Interval                 |
 */
#define FLAG_POLL 0x20
#define FLAG_FINAL 0x10
#define FLAG_INDEPENDENT 0x08
#define FLAG_AUTH 0x04
#define FLAG_DEMAND 0x02
#define FLAG_MULTIPOINT 0x01

/* The least an authentication section takes. */
#define AUTH_LEN 2

static const char *const state_names[BFD_STATE_COUNT] = {
    [BFD_ADMIN_DOWN] = "AdminDown",
    [BFD_DOWN] = "Down",
    [BFD_INIT] = "Init",
    [BFD_UP] = "Up",
};

static const char *const diag_names[BFD_DIAG_COUNT] = {
    [BFD_DIAG_NONE] = "No Diagnostic",
    [BFD_DIAG_TIMEOUT] = "Control Detection Time Expired",
    [BFD_DIAG_ECHO] = "Echo Function Failed",
    [BFD_DIAG_NEIGHBOR] = "Neighbor Signaled Session Down",
    [BFD_DIAG_FORWARDING] = "Forwarding Plane Reset",
    [BFD_DIAG_PATH] = "Path Down",
    [BFD_DIAG_CONCATENATED] = "Concatenated Path Down",
    [BFD_DIAG_ADMIN] = "Administratively Down",
    [BFD_DIAG_REVERSE] = "Reverse Concatenated Path Down",
};

const char *bfd_state_name(enum bfd_state s)
{
	return state_names[s];
}

const char *bfd_diag_name(uint8_t diag)
{
	return diag < BFD_DIAG_COUNT ? diag_names[diag] : "reserved";
}

static bool is_truncated(const struct bfd_arrival *a)
{
	return a->payload < BFD_PACKET_LEN;
}
static bool is_other_version(const struct bfd_arrival *a)
{
	return a->packet.version != BFD_VERSION;
}
static bool is_too_short(const struct bfd_arrival *a)
{
	return a->packet.length < BFD_PACKET_LEN + (a->packet.auth ? AUTH_LEN : 0);
}
static bool is_beyond_payload(const struct bfd_arrival *a)
{
	return a->packet.length > a->payload;
}
static bool has_no_multiplier(const struct bfd_arrival *a)
{
	return !a->packet.multiplier;
}
static bool is_multipoint(const struct bfd_arrival *a)
{
	return a->packet.multipoint;
}
static bool has_no_my_discr(const struct bfd_arrival *a)
{
	return !a->packet.my_discr;
}
static bool is_state_without_discr(const struct bfd_arrival *a)
{
	return !a->packet.your_discr && a->packet.state != BFD_DOWN && a->packet.state != BFD_ADMIN_DOWN;
}
static bool is_authenticated(const struct bfd_arrival *a)
{
	return a->packet.auth;
}
static bool is_low_ttl(const struct bfd_arrival *a)
{
	return a->ttl < a->min_ttl;
}
static bool is_unknown_discr(const struct bfd_arrival *a)
{
	return a->packet.your_discr && !a->found;
}
static bool is_unknown_source(const struct bfd_arrival *a)
{
	return !a->found;
}
static bool is_wrong_interface(const struct bfd_arrival *a)
{
	return a->bound && a->ifindex != a->session_ifindex;
}

/* RFC 5880 6.8.6, and of RFC 5881 5 the TTL. */
static const struct {
	const char *text;
	bool (*is_bad)(const struct bfd_arrival *a);
} checks[BFD_DISCARD_COUNT] = {
    [BFD_ACCEPTED] = {"accepted", NULL},
    [BFD_TRUNCATED] = {"shorter than 24 octets", is_truncated},
    [BFD_BAD_VERSION] = {"version is not 1", is_other_version},
    [BFD_BAD_LENGTH] = {"Length is less than the packet needs", is_too_short},
    [BFD_LENGTH_BEYOND] = {"Length is more than the datagram has", is_beyond_payload},
    [BFD_NO_MULTIPLIER] = {"Detect Mult is zero", has_no_multiplier},
    [BFD_MULTIPOINT] = {"Multipoint bit is set", is_multipoint},
    [BFD_NO_MY_DISCR] = {"My Discriminator is zero", has_no_my_discr},
    [BFD_STATE_WITHOUT_DISCR] = {"Your Discriminator is zero in state Init or Up", is_state_without_discr},
    [BFD_AUTHENTICATED] = {"it is authenticated, and no authentication is in use", is_authenticated},
    [BFD_LOW_TTL] = {"TTL is too low: it came from further away than allowed", is_low_ttl},
    [BFD_UNKNOWN_DISCR] = {"Your Discriminator is no session's here", is_unknown_discr},
    [BFD_UNKNOWN_SOURCE] = {"no session with that address", is_unknown_source},
    [BFD_WRONG_INTERFACE] = {"it came in on another interface than the session's", is_wrong_interface},
};

const char *bfd_discard_text(enum bfd_discard why)
{
	return checks[why].text;
}

static enum bfd_discard run_checks(const struct bfd_arrival *a, int from, int to)
{
	for (int i = from; i < to; i++)
		if (checks[i].is_bad(a))
			return (enum bfd_discard)i;
	return BFD_ACCEPTED;
}

enum bfd_discard bfd_decode(struct span datagram, struct bfd_arrival *a)
{
	struct bfd_packet *p = &a->packet;
	struct rd r = rd_span(datagram);
	uint8_t first = rd_u8(&r), second = rd_u8(&r);

	a->payload = datagram.len;
	*p = (struct bfd_packet){
	    .version = first >> 5,
	    .diag = first & 0x1f,
	    .state = second >> 6,
	    .poll = second & FLAG_POLL,
	    .final = second & FLAG_FINAL,
	    .independent = second & FLAG_INDEPENDENT,
	    .auth = second & FLAG_AUTH,
	    .demand = second & FLAG_DEMAND,
	    .multipoint = second & FLAG_MULTIPOINT,
	};
	p->multiplier = rd_u8(&r);
	p->length = rd_u8(&r);
	p->my_discr = rd_u32(&r);
	p->your_discr = rd_u32(&r);
	p->min_tx = rd_u32(&r);
	p->min_rx = rd_u32(&r);
	p->min_echo_rx = rd_u32(&r);
	return run_checks(a, BFD_TRUNCATED, BFD_LOW_TTL);
}

enum bfd_discard bfd_admit(const struct bfd_arrival *a)
{
	return run_checks(a, BFD_LOW_TTL, BFD_DISCARD_COUNT);
}

void bfd_encode(struct wr *w, const struct bfd_packet *p)
{
	wr_u8(w, (uint8_t)(BFD_VERSION << 5 | (p->diag & 0x1f)));
	wr_u8(w, (uint8_t)(p->state << 6 | (p->poll ? FLAG_POLL : 0) | (p->final ? FLAG_FINAL : 0) |
			   (p->independent ? FLAG_INDEPENDENT : 0) | (p->demand ? FLAG_DEMAND : 0)));
	wr_u8(w, p->multiplier);
	wr_u8(w, BFD_PACKET_LEN);
	wr_u32(w, p->my_discr);
	wr_u32(w, p->your_discr);
	wr_u32(w, p->min_tx);
	wr_u32(w, p->min_rx);
	wr_u32(w, p->min_echo_rx);
}
