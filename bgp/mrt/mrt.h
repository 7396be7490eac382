/* MRT, the format of route collectors' files: RFC 6396, and RFC 8050 for additional paths.
 *
 * Pure: bytes in, structs out and back. Tables (TABLE_DUMP_V2) are written and read; of messages (BGP4MP) those that
 * hold one are read. Readers take files from anybody: they check a whole record first, so that walking its parts cannot
 * fail, and find nothing in what they do not know.
 *
 * A record: timestamp (4 octets), type (2), subtype (2), length of what follows (4). */
#ifndef BGP_MRT_H
#define BGP_MRT_H

#include <stdbool.h>
#include <stdint.h>

#include "bgp/codec/attr.h"
#include "bgp/codec/update.h"
#include "daemon/base/addr.h"
#include "daemon/base/wire.h"

/* What a record is about, one row per subtype. */
enum mrt_kind { MRT_INDEX, MRT_RIB, MRT_MESSAGE };
struct mrt_subtype {
	uint16_t type, subtype;
	const char *name;
	enum mrt_kind kind;
	enum family family; /* of MRT_RIB */
	bool add_path;	    /* RFC 8050: with path identifiers */
	bool as4;	    /* MRT_MESSAGE: with 4-octet AS numbers */
	bool local;	    /* MRT_MESSAGE: sent, not received */
};
extern const struct mrt_subtype mrt_subtypes[];
extern const unsigned mrt_subtype_count;

/* A line of the index of peers. Without an address (IPv4 0.0.0.0) it stands for routes that no peer sent. */
struct mrt_peer {
	struct addr addr;
	uint32_t router_id, as; /* host order */
};

/* A route of one peer. */
struct mrt_entry {
	uint16_t peer;	   /* its place in the index */
	uint32_t time;	   /* since when: seconds since 1970 */
	uint32_t path_id;  /* 0 without add_path */
	struct span attrs; /* as 4.3.4 has them: 4-octet AS_PATH, MP_REACH_NLRI with nothing but the next hop */
};

/* ---- Writing ---- */

/* The whole record PEER_INDEX_TABLE (4.3.1); bad if view or peers are more than 65,535. */
void mrt_index_encode(struct wr *w, uint32_t time, uint32_t collector_id, const char *view,
		      const struct mrt_peer *peers, size_t count);

/* A record with the routes of one prefix (4.3.2): open it, add entries, close it. */
struct mrt_rib_writer {
	struct wr_mark length, count;
	size_t start;
	unsigned entries;
	bool add_path;
	enum family family;
};
struct mrt_rib_writer mrt_rib_open(struct wr *w, uint32_t time, uint32_t sequence, const struct prefix *prefix,
				   bool add_path);
/* The attributes are e->attrs in their canonical form (codec/attr.h) and the next hop; without one it is written as
 * the unspecified address of the prefix's family. False, with nothing written, if the attributes do not fit an entry or
 * the entry does not fit the record. An entry takes at most MRT_ENTRY_MORE octets more than the canonical form. */
bool mrt_rib_add(struct wr *w, struct mrt_rib_writer *x, const struct mrt_entry *e, const struct bgp_nexthop *nh);
/* Takes the record back if it has no entries; returns whether there is one. */
bool mrt_rib_close(struct wr *w, const struct mrt_rib_writer *x);
#define MRT_ENTRY_MORE 48u
/* What a record takes besides its entries, at most. */
#define MRT_RIB_HEAD 48u

/* ---- Reading ---- */

struct mrt_record {
	uint32_t time, usec;
	uint16_t type, subtype;
	const struct mrt_subtype *is; /* NULL: none of those above */
	struct rd body;
};
/* Takes the next record. False at the end, or where a record is cut off: file->bad then. */
bool mrt_record_next(struct mrt_record *r, struct rd *file);

struct mrt_index {
	uint32_t collector_id;
	struct span view;
	unsigned count;
	struct rd peers;
};
/* False if it is malformed; the record must be an MRT_INDEX. */
bool mrt_index_decode(struct mrt_index *x, const struct mrt_record *r);
/* Takes the next peer. False at the end. */
bool mrt_peer_next(struct mrt_peer *p, struct mrt_index *x);

struct mrt_rib {
	uint32_t sequence;
	struct prefix prefix;
	unsigned count;
	bool add_path;
	struct rd entries;
};
/* False if it is malformed; the record must be an MRT_RIB. The attributes' inside is not looked at. */
bool mrt_rib_decode(struct mrt_rib *x, const struct mrt_record *r);
/* Takes the next entry. False at the end. */
bool mrt_entry_next(struct mrt_entry *e, struct mrt_rib *x);

/* A message between two speakers (4.4.2, 4.4.3). */
struct mrt_message {
	uint32_t peer_as, local_as;
	uint16_t interface;
	struct addr peer, local;
	struct span message; /* with its header; not looked at */
};
/* False if it is malformed; the record must be an MRT_MESSAGE. */
bool mrt_message_decode(struct mrt_message *m, const struct mrt_record *r);

/* Writes one UPDATE that announces as many of the n prefixes as fit into max_message with the attributes of an entry,
 * octet by octet as they are; returns how many. 0 with a bad writer if not even one fits, or the attributes are no list
 * of attributes. To a peer that has 4-octet AS numbers. MP_REACH_NLRI may be whole in attrs, as some write it. */
size_t mrt_update_encode(struct wr *w, const struct bgp_codec *codec, enum family f, struct span attrs,
			 const struct bgp_nlri *nlri, size_t n);

#endif
