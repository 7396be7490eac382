/* Routes become Route Monitoring messages: neighbours with equal attributes share one, as they did in the UPDATE they
 * came in. A message stays open for more until another one takes its place or everything is flushed. */
#ifndef DAEMON_MONITOR_BMP_PACK_H
#define DAEMON_MONITOR_BMP_PACK_H

#include "bgp/bmp/bmp.h"
#include "bgp/codec/update.h"
#include "daemon/base/log.h"
#include "rib/attrs.h"

/* Whose routes they are. Must stay until flushed. */
struct pack_source {
	struct bmp_peer peer;
	uint64_t number;  /* no two have the same */
	uint8_t add_path; /* bit per enum family: its prefixes have path identifiers */
	uint32_t max_message;
};

struct pack {
	/* What its routes have in common */
	const struct pack_source *source; /* NULL: free */
	enum bmp_view view;
	enum family family;
	bool reach;
	uint64_t since;
	struct bgp_nexthop next_hop;
	uint8_t *canonical; /* attributes */
	size_t len, cap;
	uint64_t time; /* mono, of the message */
	struct bgp_nlri *nlri;
	unsigned n;
};

#define PACKS 64u

struct packer {
	/* Routes of a table that does not change meanwhile may be sorted by attributes; changes as they happen are told
	 * in their order. */
	bool sort;
	void (*emit)(void *arg, struct span message);
	void *arg;
	struct pack packs[PACKS];
	unsigned turn;	  /* which of several goes to make room */
	uint8_t *message; /* being written */
	struct log_limit limit;
};

void packer_init(struct packer *k, bool sort, void (*emit)(void *arg, struct span message), void *arg);
/* Frees everything; what is open is lost. It may be used again. */
void packer_clear(struct packer *k);

/* a NULL: withdrawn. since: mono, of the route; 0: now, whenever its message was opened. */
void packer_add(struct packer *k, const struct pack_source *s, enum bmp_view v, const struct bgp_nlri *nlri,
		const struct attrs *a, uint64_t since);
/* Emits what is open. */
void packer_flush(struct packer *k);

/* At once, without being packed: End-of-RIB, and the UPDATEs of a piece of a session's stream as they are there (as2:
 * with 2-octet AS numbers). The piece holds whole messages. */
void packer_end_of_rib(struct packer *k, const struct pack_source *s, enum bmp_view v, enum family f);
void packer_stream(struct packer *k, const struct pack_source *s, enum bmp_view v, bool as2, struct span stream);

struct bmp_time bmp_time_of(uint64_t mono);

#endif
