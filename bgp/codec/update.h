/* UPDATE: RFC 4271 4.3, 4760, 7606, 7911, 8950.
 *
 * Decoding finds every error first (lengths, flags, attributes, each prefix), so that walking the NLRI afterwards
 * cannot fail. */
#ifndef BGP_CODEC_UPDATE_H
#define BGP_CODEC_UPDATE_H

#include "bgp/codec/attr.h"
#include "bgp/codec/error.h"
#include "bgp/codec/msg.h"

/* One run of prefixes of an UPDATE: the two fields of RFC 4271, or an MP attribute's. */
struct bgp_nlri_run {
	enum family family;
	bool reach;		     /* announced; otherwise withdrawn */
	struct span nlri;	     /* validated */
	struct bgp_nexthop next_hop; /* of announced routes */
};

struct bgp_update {
	struct bgp_attrs attrs;	    /* attrs.next_hop is not set: see each run */
	struct bgp_nlri_run run[4]; /* withdrawals first: a prefix in both is announced. Never empty, never of a
				       family that is not negotiated, ignored or in `disable` */
	unsigned runs;
	int end_of_rib;	       /* the family this UPDATE is the End-of-RIB marker of, or -1 */
	uint8_t disable;       /* BGP_AFI_DISABLE: bit per enum family */
	struct span raw_attrs; /* the whole path attribute field, as received: a key for memoising */
};

/* Decodes the body. The returned error is the strongest found (BGP_OK if none): with BGP_TREAT_AS_WITHDRAW the caller
 * withdraws the prefixes of every run: all have `reach` false then, also if a BGP_AFI_DISABLE of another family came
 * on top of it; with BGP_RESET *u must not be used. All spans borrow the body or the arena. */
struct bgp_error bgp_update_decode(struct bgp_update *u, struct rd body, const struct bgp_codec *codec,
				   struct arena *arena);

/* A prefix with its path identifier (0 without ADD-PATH). */
struct bgp_nlri {
	struct prefix prefix;
	uint32_t path_id;
};
/* Takes the next prefix of a validated run. False at the end. */
bool bgp_nlri_next(struct bgp_nlri *n, struct rd *r, enum family f, bool add_path);
/* Writes as many of the n prefixes as `left` octets hold; returns how many. */
size_t bgp_nlri_write(struct wr *w, size_t left, bool add_path, const struct bgp_nlri *nlri, size_t n);

/* Whole UPDATE messages. Each writes one message holding as many of the n prefixes as fit into max_message and returns
 * how many (0 only if not even one fits: the writer is bad then). a->next_hop is the next hop to announce. IPv4 with an
 * IPv4 next hop uses the classic fields, everything else MP_REACH_NLRI / MP_UNREACH_NLRI (put first, RFC 7606 5.1). */
size_t bgp_update_encode_reach(struct wr *w, const struct bgp_codec *codec, enum family f, const struct bgp_attrs *a,
			       const struct bgp_nlri *nlri, size_t n);
size_t bgp_update_encode_unreach(struct wr *w, const struct bgp_codec *codec, enum family f,
				 const struct bgp_nlri *nlri, size_t n);
void bgp_update_encode_end_of_rib(struct wr *w, enum family f);

#endif
