/* Encoding stretches of a stream into shared buffers. */
#ifndef RIB_ENCODE_H
#define RIB_ENCODE_H

#include <bsd/sys/queue.h>

#include "daemon/base/buf.h"
#include "rib/adjout.h"

/* About so many octets of UPDATEs go into one chunk. */
#define CHUNK_BYTES 65536u

/* Consecutive messages for the same readers. Peer index 0 is nobody. */
struct seg {
	uint32_t off, len;
	uint32_t reach, unreach; /* prefixes */
	uint16_t source;	 /* not for this peer: the route is its own; with `only`: for nobody but this peer */
	uint16_t owner;		 /* nor for this one: its address is the next hop */
	bool only;
};

enum chunk_kind { CHUNK_LOG, CHUNK_WALK, CHUNK_PRIVATE };

/* The UPDATEs of positions of the log, or of places of a walk, [start, end). */
struct chunk {
	TAILQ_ENTRY(chunk) link;
	uint32_t refs;
	enum chunk_kind kind;
	uint64_t start, end;
	uint64_t encoded_at; /* the log's end then: a walk's chunk lacks what was logged since */
	struct buf *buf;     /* NULL if there is nothing to say */
	uint32_t n_segs;
	struct seg segs[];
};

struct encoder;
struct encoder *encoder_new(struct rib *r);
void encoder_free(struct encoder *e);

/* The chunk that begins at this position or place: shared if somebody came by before, else encoded now. A reference
 * for the caller. For a walk, rewinds *log_pos so that what was logged since the chunk was encoded is sent too. */
struct chunk *chunk_log(struct stream *s, uint64_t pos);
struct chunk *chunk_walk(struct stream *s, uint64_t place, uint64_t *log_pos);
/* The next differences for a peer that moves here from another stream; private. */
struct chunk *chunk_diff(struct stream *s, struct rib_peer *p, uint64_t place);
/* What the readers have been sent of the places up to the limit; private. */
struct chunk *chunk_sent(struct stream *s, uint64_t place, uint64_t limit);
/* End-of-RIB and the markers of RFC 7313, in this order if several. */
struct chunk *chunk_markers(enum family f, bool borr, bool eorr, bool eor);
void chunk_unref(struct chunk *c);

/* chunk.c */

/* The shared chunk that starts here (a reference for the caller), or NULL and where an encoder must stop at the latest
 * to fall into step with one. */
struct chunk *chunk_find(struct stream *s, enum chunk_kind kind, uint64_t start, uint64_t *limit);
/* Others may come by here: keeps it for them, if there are any. */
void chunk_share(struct stream *s, struct chunk *c);
/* It is of no use to others any more. */
void chunk_remove(struct stream *s, struct chunk *c);
/* Frees shared chunks: those of no more use, those of a kind, or all. */
void chunks_expire(struct stream *s);
void chunks_forget_kind(struct stream *s, enum chunk_kind kind);
void chunks_forget(struct stream *s);

#endif
