/* The other end of a BMP session, as RFC 7854, 8671 and 9069 describe it: one message at a time, field by field. */
#ifndef TESTS_BMP_STATION_H
#define TESTS_BMP_STATION_H

#include <check.h>
#include <string.h>

#include "bgp/bmp/bmp.h"
#include "bgp/codec/msg.h"

/* A message: the fields of both headers, and what follows them. */
struct report {
	uint8_t type;
	uint32_t length; /* of the whole */
	/* of messages that are about a peer */
	uint8_t peer_type, flags;
	uint64_t distinguisher;
	struct addr address;
	uint32_t as, router_id, seconds, micros;
	struct rd body;
};

static inline uint64_t rd_u64(struct rd *r)
{
	uint64_t high = rd_u32(r);

	return high << 32 | rd_u32(r);
}

/* 16 octets, IPv4 in the last four. */
static inline struct addr report_address(struct rd *r, bool v6)
{
	static const uint8_t zero[16];
	uint8_t b[16];

	rd_bytes(r, b, sizeof b);
	if (memcmp(b, zero, 16) == 0)
		return (struct addr){0};
	if (!v6)
		ck_assert_mem_eq(b, zero, 12);
	return v6 ? addr_make(AF_INET6, b) : addr_make(AF_INET, b + 12);
}

/* Takes the next message; false if there is none. What is broken fails the test. */
static inline bool report_next(struct report *m, struct rd *stream)
{
	if (!rd_left(stream))
		return false;
	*m = (struct report){0};
	ck_assert_uint_eq(rd_u8(stream), 3);
	m->length = rd_u32(stream);
	ck_assert_uint_ge(m->length, 6);
	m->type = rd_u8(stream);
	ck_assert_uint_le(m->type, BMP_ROUTE_MIRRORING);
	m->body = rd_sub(stream, m->length - 6);
	ck_assert(!stream->bad);
	if (m->type == BMP_INITIATION || m->type == BMP_TERMINATION)
		return true;
	m->peer_type = rd_u8(&m->body);
	m->flags = rd_u8(&m->body);
	m->distinguisher = rd_u64(&m->body);
	m->address = report_address(&m->body, m->peer_type != BMP_PEER_LOC_RIB && m->flags & 0x80);
	m->as = rd_u32(&m->body);
	m->router_id = rd_u32(&m->body);
	m->seconds = rd_u32(&m->body);
	m->micros = rd_u32(&m->body);
	ck_assert(!m->body.bad);
	return true;
}

struct tlv {
	uint16_t type;
	struct span value;
};

static inline bool tlv_next(struct tlv *t, struct rd *r)
{
	if (!rd_left(r))
		return false;
	t->type = rd_u16(r);
	t->value = rd_take_span(r, rd_u16(r));
	ck_assert(!r->bad);
	return true;
}

static inline void ck_text_eq(struct span got, const char *want)
{
	ck_assert_uint_eq(got.len, strlen(want));
	ck_assert_mem_eq(got.p, want, got.len);
}

/* Takes one whole BGP message of this type. */
static inline struct span bgp_take(struct rd *r, uint8_t type)
{
	struct rd rest = *r;
	struct span all = rd_rest(&rest);
	struct bgp_error err;
	struct bgp_msg m;
	int n = bgp_msg_next(&m, all.p, all.len, BGP_MAX_EXTENDED, &err);

	ck_assert_int_gt(n, 0);
	ck_assert_uint_eq(m.type, type);
	return rd_take_span(r, (size_t)n);
}

#endif
