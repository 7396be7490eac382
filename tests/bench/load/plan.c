#include "tests/bench/load/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BASE 0x10000000u /* 16.0.0.0 */
#define STEP 64u	 /* addresses of a /26 */
#define VERSION_BITS 14
#define ATTRS_MAX 128

enum {
	ORIGIN = 1,
	AS_PATH = 2,
	NEXT_HOP = 3,
	MED = 4,
	LOCAL_PREF = 5,
	COMMUNITIES = 8,
	ORIGINATOR_ID = 9,
	CLUSTER_LIST = 10,
	EXTENDED = 0x10,
};

uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static void put16(uint8_t *at, unsigned n)
{
	at[0] = (uint8_t)(n >> 8);
	at[1] = (uint8_t)n;
}

static void put32(uint8_t *at, uint32_t n)
{
	put16(at, n >> 16);
	put16(at + 2, n & 0xffff);
}

void octets_add(struct octets *o, const void *data, size_t len)
{
	if (o->len + len > o->cap) {
		o->cap = (o->len + len) * 2;
		o->at = realloc(o->at, o->cap);
		if (!o->at)
			abort();
	}
	memcpy(o->at + o->len, data, len);
	o->len += len;
}

uint32_t plan_client(const struct plan *p, unsigned client)
{
	return p->first + client;
}

uint32_t plan_network(unsigned prefix)
{
	return BASE + prefix * STEP;
}

unsigned plan_total(const struct plan *p)
{
	return p->senders * p->routes;
}

unsigned plan_prefix(const struct plan *p, uint32_t network, unsigned len)
{
	uint32_t n = (network - BASE) / STEP;

	return len == PREFIX_LEN && network >= BASE && network % STEP == 0 && n < plan_total(p) ? n : UINT32_MAX;
}

unsigned plan_owner(const struct plan *p, unsigned prefix)
{
	return prefix / p->routes;
}

/* ---- Saying it ---- */

static void add_message(struct octets *out, unsigned type, const void *body, size_t len)
{
	uint8_t header[BGP_HEADER];

	memset(header, 0xff, 16);
	put16(header + 16, (unsigned)(BGP_HEADER + len));
	header[18] = (uint8_t)type;
	octets_add(out, header, sizeof header);
	octets_add(out, body, len);
}

void plan_open(const struct plan *p, unsigned client, unsigned hold, struct octets *out)
{
	/* Version, AS, hold time, identifier; one parameter: multiprotocol IPv4, route refresh, 4-octet AS numbers. */
	uint8_t body[] = {4, 0, 0, 0, 0, 0, 0, 0, 0, 16, 2, 14, 1, 4, 0, 1, 0, 1, 2, 0, 65, 4, 0, 0, 0, 0};

	put16(body + 1, p->as > 0xffff ? 23456 : p->as);
	put16(body + 3, hold);
	put32(body + 5, plan_client(p, client));
	put32(body + 22, p->as);
	add_message(out, MSG_OPEN, body, sizeof body);
}

void plan_keepalive(struct octets *out)
{
	add_message(out, MSG_KEEPALIVE, "", 0);
}

void plan_end_of_rib(struct octets *out)
{
	add_message(out, MSG_UPDATE, "\0\0\0", 4);
}

static uint8_t *put_attribute(uint8_t *at, unsigned flags, unsigned type, unsigned len)
{
	at[0] = (uint8_t)flags;
	at[1] = (uint8_t)type;
	at[2] = (uint8_t)len;
	return at + 3;
}

/* The values of a set. */
struct values {
	uint32_t path[2], med, local_pref, communities[2];
};

static struct values values_of(unsigned set, unsigned version)
{
	return (struct values){
	    .path = {64600 + set % 400, 4200000000u + set},
	    .med = set | version << (32 - VERSION_BITS),
	    .local_pref = 100 + set % 7,
	    .communities = {64512u << 16 | (set & 0xffff), 64513u << 16 | set >> 16},
	};
}

static size_t encode_attributes(const struct plan *p, unsigned client, unsigned set, unsigned version, uint8_t *out)
{
	struct values v = values_of(set, version);
	uint8_t *at = out;

	at = put_attribute(at, 0x40, ORIGIN, 1);
	*at++ = 0;
	at = put_attribute(at, 0x40, AS_PATH, 10);
	*at++ = 2;
	*at++ = 2;
	put32(at, v.path[0]);
	put32(at + 4, v.path[1]);
	at = put_attribute(at + 8, 0x40, NEXT_HOP, 4);
	put32(at, plan_client(p, client));
	at = put_attribute(at + 4, 0x80, MED, 4);
	put32(at, v.med);
	at = put_attribute(at + 4, 0x40, LOCAL_PREF, 4);
	put32(at, v.local_pref);
	at = put_attribute(at + 4, 0xc0, COMMUNITIES, 8);
	put32(at, v.communities[0]);
	put32(at + 4, v.communities[1]);
	return (size_t)(at + 8 - out);
}

static void announce_range(const struct plan *p, unsigned from, unsigned to, unsigned version, struct octets *out)
{
	uint8_t body[BGP_MESSAGE_MAX - BGP_HEADER];
	size_t attributes = encode_attributes(p, plan_owner(p, from), from / p->per, version, body + 4);

	put16(body, 0);
	put16(body + 2, (unsigned)attributes);
	while (from < to) {
		size_t len = 4 + attributes;

		for (; from < to && len + 5 <= sizeof body; from++, len += 5) {
			body[len] = PREFIX_LEN;
			put32(body + len + 1, plan_network(from));
		}
		add_message(out, MSG_UPDATE, body, len);
	}
}

void plan_announce_set(const struct plan *p, unsigned prefix, unsigned version, struct octets *out)
{
	unsigned from = prefix - prefix % p->per;

	announce_range(p, from, from + p->per, version, out);
}

void plan_announce(const struct plan *p, unsigned client, unsigned version, struct octets *out)
{
	for (unsigned at = client * p->routes; at < (client + 1) * p->routes; at += p->per)
		announce_range(p, at, at + p->per, version, out);
}

/* ---- Checking it ---- */

struct seen {
	unsigned attributes; /* bit per type */
	uint32_t next_hop, med, originator;
	struct values v;
};

static bool read_attribute(struct seen *s, unsigned flags, unsigned type, const uint8_t *at, size_t len)
{
	s->attributes |= type < 32 ? 1u << type : 0;
	switch (type) {
	case ORIGIN:
		return flags == 0x40 && len == 1 && *at == 0;
	case AS_PATH:
		if (flags != 0x40 || len != 10 || at[0] != 2 || at[1] != 2)
			return false;
		s->v.path[0] = get32(at + 2);
		s->v.path[1] = get32(at + 6);
		return true;
	case NEXT_HOP:
		s->next_hop = len == 4 ? get32(at) : 0;
		return flags == 0x40 && len == 4;
	case MED:
		s->med = len == 4 ? get32(at) : 0;
		return flags == 0x80 && len == 4;
	case LOCAL_PREF:
		s->v.local_pref = len == 4 ? get32(at) : 0;
		return flags == 0x40 && len == 4;
	case COMMUNITIES:
		if (flags != 0xc0 || len != 8)
			return false;
		s->v.communities[0] = get32(at);
		s->v.communities[1] = get32(at + 4);
		return true;
	case ORIGINATOR_ID:
		s->originator = len == 4 ? get32(at) : 0;
		return flags == 0x80 && len == 4;
	case CLUSTER_LIST:
		return flags == 0x80 && len == 4;
	default:
		return false;
	}
}

static bool read_attributes(struct seen *s, const uint8_t *at, const uint8_t *end)
{
	while (at < end) {
		size_t head = at[0] & EXTENDED ? 4 : 3, len;

		if (end - at < (long)head)
			return false;
		len = head == 4 ? get16(at + 2) : at[2];
		if ((size_t)(end - at) < head + len)
			return false;
		/* Whether a length takes one octet or two is not for the receiver to care about. */
		if (!read_attribute(s, at[0] & ~(unsigned)EXTENDED, at[1], at + head, len))
			return false;
		at += head + len;
	}
	return true;
}

#define OWN (1u << ORIGIN | 1u << AS_PATH | 1u << NEXT_HOP | 1u << MED | 1u << LOCAL_PREF | 1u << COMMUNITIES)
#define REFLECTED (1u << ORIGINATOR_ID | 1u << CLUSTER_LIST)

static const char *check_values(const struct plan *p, const struct plan_sight *sight, const struct seen *s,
				unsigned set)
{
	struct values v = values_of(set, s->med >> (32 - VERSION_BITS));
	uint32_t from = plan_client(p, plan_owner(p, set * p->per));

	if (s->attributes != (OWN | (sight->reflected ? REFLECTED : 0)))
		return "an attribute is missing, or one is too many";
	if (memcmp(s->v.path, v.path, sizeof v.path) != 0)
		return "another AS_PATH";
	if (s->v.local_pref != v.local_pref || s->med != v.med)
		return "another LOCAL_PREF or MED";
	if (memcmp(s->v.communities, v.communities, sizeof v.communities) != 0)
		return "other COMMUNITIES";
	if (s->next_hop != from)
		return "another NEXT_HOP";
	if (sight->reflected && s->originator != from)
		return "another ORIGINATOR_ID";
	return NULL;
}

/* Calls back for each prefix of a field. False if it is malformed. */
static bool read_prefixes(const struct plan *p, const struct plan_sight *sight, const uint8_t *at, const uint8_t *end,
			  unsigned set, unsigned version)
{
	while (at < end) {
		size_t octets = (*at + 7u) / 8;
		uint8_t network[4] = {0};
		unsigned prefix;

		if (octets > 4 || (size_t)(end - at) < 1 + octets)
			return false;
		memcpy(network, at + 1, octets);
		prefix = plan_prefix(p, get32(network), *at);
		if (prefix == UINT32_MAX || (set != UINT32_MAX && prefix / p->per != set))
			return false;
		sight->on_prefix(sight->arg, prefix, version, set != UINT32_MAX);
		at += 1 + octets;
	}
	return true;
}

const char *plan_check(const struct plan *p, const struct plan_sight *sight, const uint8_t *message, size_t len)
{
	const uint8_t *end = message + len, *gone = message + BGP_HEADER + 2, *attributes, *prefixes;
	struct seen s = {0};
	const char *wrong;
	unsigned set;

	if (len < BGP_HEADER + 4)
		return "an UPDATE that is too short";
	attributes = gone + get16(message + BGP_HEADER) + 2;
	if (attributes > end || attributes + get16(attributes - 2) > end)
		return "lengths beyond the message";
	prefixes = attributes + get16(attributes - 2);
	if (!read_prefixes(p, sight, gone, attributes - 2, UINT32_MAX, 0))
		return "withdrawn prefixes that nobody announced";
	if (prefixes == end)
		return NULL;
	if (!read_attributes(&s, attributes, prefixes))
		return "an attribute that nobody sent, or a malformed one";
	set = s.med & ((1u << (32 - VERSION_BITS)) - 1);
	if (set >= plan_total(p) / p->per)
		return "a MED that nobody sent";
	wrong = check_values(p, sight, &s, set);
	if (!wrong && !read_prefixes(p, sight, prefixes, end, set, s.med >> (32 - VERSION_BITS)))
		return "a prefix with another one's attributes";
	return wrong;
}
