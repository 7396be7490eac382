/* What the files of bgp/mrt share and nobody else needs. */
#ifndef BGP_MRT_PRIVATE_H
#define BGP_MRT_PRIVATE_H

#include "bgp/codec/attr.h"

enum mrt_type { MRT_TABLE_DUMP_V2 = 13, MRT_BGP4MP = 16, MRT_BGP4MP_ET = 17 };

/* Bits of a peer's type. */
#define PEER_IPV6 1
#define PEER_AS4 2

/* An attribute of a list: `whole` from its flags on, and the value in it. */
struct attr {
	uint8_t flags, code;
	struct span whole, value;
};
/* Takes the next one. False at the end, or where the list is cut off: r->bad then. */
static inline bool attr_next(struct attr *a, struct rd *r)
{
	struct rd start = *r;

	if (!rd_left(r))
		return false;
	a->flags = rd_u8(r);
	a->code = rd_u8(r);
	a->value = rd_take_span(r, a->flags & BGP_ATTR_EXTENDED ? rd_u16(r) : rd_u8(r));
	if (r->bad)
		return false;
	a->whole = rd_take_span(&start, rd_left(&start) - rd_left(r));
	return true;
}

#endif
