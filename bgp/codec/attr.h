/* Path attributes: one table says everything about each of them.
 *
 * A received attribute list becomes a struct bgp_attrs whose spans borrow the message or the caller's arena; it lives
 * only while the message is processed. The canonical encoded form (4-octet AS numbers, ascending type codes with the
 * unknown attributes after the known ones, minimal flags, no NEXT_HOP, MP_REACH_NLRI or MP_UNREACH_NLRI) is what the
 * RIB interns and keeps. */
#ifndef BGP_CODEC_ATTR_H
#define BGP_CODEC_ATTR_H

#include <stdbool.h>
#include <stdint.h>

#include "bgp/codec/error.h"
#include "daemon/base/addr.h"
#include "daemon/base/buf.h"
#include "daemon/base/mem.h"
#include "daemon/base/wire.h"

/* Dense ids of the attributes that have a row of their own, in ascending order of their type codes. */
enum bgp_attr_id {
	BA_ORIGIN,		 /* 1, RFC 4271 */
	BA_AS_PATH,		 /* 2 */
	BA_NEXT_HOP,		 /* 3 */
	BA_MED,			 /* 4 */
	BA_LOCAL_PREF,		 /* 5 */
	BA_ATOMIC_AGGREGATE,	 /* 6 */
	BA_AGGREGATOR,		 /* 7 */
	BA_COMMUNITIES,		 /* 8, RFC 1997 */
	BA_ORIGINATOR_ID,	 /* 9, RFC 4456 */
	BA_CLUSTER_LIST,	 /* 10 */
	BA_MP_REACH,		 /* 14, RFC 4760 */
	BA_MP_UNREACH,		 /* 15 */
	BA_EXT_COMMUNITIES,	 /* 16, RFC 4360 */
	BA_AS4_PATH,		 /* 17, RFC 6793 */
	BA_AS4_AGGREGATOR,	 /* 18 */
	BA_IPV6_EXT_COMMUNITIES, /* 25, RFC 5701 */
	BA_AIGP,		 /* 26, RFC 7311 */
	BA_LARGE_COMMUNITIES,	 /* 32, RFC 8092 */
	BA_OTC,			 /* 35, RFC 9234 */
	BA_PREFIX_SID,		 /* 40, RFC 8669 */
	BA_COUNT
};

#define BGP_ATTR_OPTIONAL 0x80
#define BGP_ATTR_TRANSITIVE 0x40
#define BGP_ATTR_PARTIAL 0x20
#define BGP_ATTR_EXTENDED 0x10

enum bgp_origin { BGP_ORIGIN_IGP, BGP_ORIGIN_EGP, BGP_ORIGIN_INCOMPLETE };
enum bgp_segment { BGP_AS_SET = 1, BGP_AS_SEQUENCE, BGP_AS_CONFED_SEQUENCE, BGP_AS_CONFED_SET };

#define BGP_AS_TRANS 23456u
#define BGP_COMMUNITY_GRACEFUL_SHUTDOWN 0xffff0000u /* RFC 8326 */
#define BGP_COMMUNITY_LLGR_STALE 0xffff0006u	    /* RFC 9494 */
#define BGP_COMMUNITY_NO_LLGR 0xffff0007u
#define BGP_COMMUNITY_BLACKHOLE 0xffff029au /* RFC 7999 */
#define BGP_COMMUNITY_NO_EXPORT 0xffffff01u /* RFC 1997 */
#define BGP_COMMUNITY_NO_ADVERTISE 0xffffff02u
#define BGP_COMMUNITY_NO_EXPORT_SUBCONFED 0xffffff03u
#define BGP_COMMUNITY_NO_PEER 0xffffff04u /* RFC 3765 */

/* A next hop: the global address, and for IPv6 sometimes a link-local one beside it (RFC 2545). */
struct bgp_nexthop {
	struct addr addr, link_local;
};

/* Decoded attributes. A field is meaningful only if its bit (1u << BA_...) is in `present`; all else is zero. */
struct bgp_attrs {
	uint32_t present;
	uint32_t partial; /* bit per id: came with the Partial bit, which nobody may take back (RFC 4271 4.3) */
	uint8_t origin;
	uint32_t med, local_pref;
	uint32_t aggregator_as, aggregator_id;
	uint32_t originator_id; /* host order */
	uint32_t otc;
	struct bgp_nexthop next_hop; /* from NEXT_HOP or MP_REACH_NLRI; which, depends on the routes being handled */
	struct span as_path;	     /* segments in canonical 4-octet form, merged with AS4_PATH (RFC 6793 4.2.3) */
	struct span communities;     /* multiples of 4 octets */
	struct span cluster_list;    /* multiples of 4 octets */
	struct span ext_communities; /* multiples of 8 octets */
	struct span ipv6_ext_communities; /* multiples of 20 octets */
	struct span large_communities;	  /* multiples of 12 octets */
	struct span aigp, prefix_sid;	  /* as received */
	struct span unknown; /* whole attributes (flags, code, length, value) nobody here knows, transitive ones only,
				Partial set, ascending codes */
};

static inline bool bgp_attrs_have(const struct bgp_attrs *a, enum bgp_attr_id id)
{
	return a->present >> id & 1;
}

/* What a session's negotiated options mean for the codec. */
struct bgp_codec {
	bool ebgp;	       /* the peer is in another AS */
	bool as4;	       /* both sides speak 4-octet AS numbers */
	bool enforce_first_as; /* eBGP: the leftmost AS must be peer_as (row 22 of the malformed-input table) */
	uint32_t peer_as;
	uint32_t link;	      /* the interface of a session over link-local addresses: where next hops are; 0 none */
	uint8_t families;     /* bit per enum family: negotiated */
	uint8_t add_path_rx;  /* bit per enum family: the peer sends path identifiers */
	uint8_t add_path_tx;  /* bit per enum family: we send path identifiers */
	uint8_t ext_next_hop; /* bit per enum family: RFC 8950, IPv4 routes may have an IPv6 next hop */
	uint8_t ignored; /* bit per enum family: the session has given up on this family after a broken MP attribute */
	bool llgr;	 /* the peer knows RFC 9494: it may be sent routes that are LLGR_STALE */
	uint32_t max_message; /* 4096, or 65535 with RFC 8654 */
};

/* One row per attribute: the single source of truth of names, flags, lengths and reactions (RFC 7606). */
struct bgp_attr_row {
	uint8_t code;
	uint8_t flags;		   /* the Optional and Transitive bits it must have */
	const char *name;	   /* as the RFC writes it, "AS_PATH" */
	uint16_t min_len, max_len; /* of the value; 0xffff is no limit */
	uint16_t unit;		   /* the length must be a multiple of this; 0 is none */
	enum bgp_action malformed_ibgp, malformed_ebgp;
	enum bgp_action wrong_flags; /* the reaction to other Optional and Transitive bits than these */
	uint8_t subcode;	     /* of an UPDATE error about the value; a wrong length has its own */
	const char *fault;	     /* what it means that decode says false */
	bool ebgp_discard;	     /* not accepted from and not sent to other ASes */
	/* Reads the value into a; false if it is malformed. NULL for attributes that the UPDATE decoder itself handles.
	 */
	bool (*decode)(struct bgp_attrs *a, struct rd *value, const struct bgp_codec *codec, struct arena *arena);
	/* Writes the value. NULL if never written by the generic encoder. */
	void (*encode)(struct wr *w, const struct bgp_attrs *a, const struct bgp_codec *codec);
	/* Adds a human-readable value ("65001 65002 {65003}"). */
	void (*format)(struct strbuf *out, const struct bgp_attrs *a);
};
extern const struct bgp_attr_row bgp_attr_table[BA_COUNT];

/* The row's id of a wire type code, or -1. */
int bgp_attr_by_code(uint8_t code);

/* Writes all attributes that are present and have an encoder, in ascending order of codes, then the unknown ones, for
 * a peer with these options: RFC 6793 for old peers (AS_TRANS, AS4_PATH, AS4_AGGREGATOR), nothing another AS must not
 * see. A list that has become empty is left out, since receivers call that malformed. NEXT_HOP is written only if
 * with_next_hop and a->next_hop is IPv4, whatever `present` says; MP_REACH_NLRI never. */
void bgp_attrs_encode(struct wr *w, const struct bgp_attrs *a, const struct bgp_codec *codec, bool with_next_hop);
/* Reads back the canonical form (see the top); spans borrow `canonical`. Never fails on what bgp_attrs_encode() wrote;
 * false on anything else. */
bool bgp_attrs_from_canonical(struct bgp_attrs *a, struct span canonical);
/* The codec options of the canonical form. */
extern const struct bgp_codec bgp_codec_canonical;

/* AS_PATH (canonical form). Length as the decision process counts it: a set is 1, confederation segments 0. */
unsigned as_path_length(struct span path);
/* The leftmost AS of a leading sequence; 0 for an empty path or a leading set. */
uint32_t as_path_first(struct span path);
/* How often an AS occurs anywhere in it. */
unsigned as_path_count(struct span path, uint32_t as);
/* A path with `as` put in front n times; made in the arena. */
struct span as_path_prepend(struct span path, uint32_t as, unsigned n, struct arena *arena);
/* Does it begin with exactly these n ASes? Confederation segments are passed over, sets match nothing. */
bool as_path_begins(struct span path, const uint32_t *as, unsigned n);
/* The path without confederation segments (RFC 5065 4.1): itself, or a copy in the arena. */
struct span as_path_without_confed(struct span path, struct arena *arena);
/* "65001 65002 {65003 65004}" */
void as_path_format(struct strbuf *out, struct span path);

/* Is this community among them (4-octet communities)? */
bool bgp_communities_have(struct span communities, uint32_t community);
/* Is this one among the large communities (12 octets each)? */
bool bgp_large_communities_have(struct span communities, const uint32_t community[3]);
/* Adds a community, unless it is there; the new list is made in the arena. */
void bgp_attrs_add_community(struct bgp_attrs *a, uint32_t community, struct arena *arena);

#endif
