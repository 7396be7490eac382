/* The RIB as an MRT table (RFC 6396 TABLE_DUMP_V2), made piece by piece.
 *
 * The index of peers is of the moment the dump begins, the routes are of the moment their piece is made: a peer that
 * comes later is not in the dump, a route that changes meanwhile is in it as it was or as it is, and a prefix that goes
 * and comes back meanwhile may be in it twice. Every usable route is in it, whether it was selected or not, as import
 * policy left it; our own routes are those of the peer without an address. */
#ifndef DAEMON_MONITOR_MRT_DUMP_H
#define DAEMON_MONITOR_MRT_DUMP_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/buf.h"

struct rib;
struct mrt_dump;

/* Ours are the identifier (host order) of the file's collector, and the AS of our own routes. */
struct mrt_dump *mrt_dump_new(const struct rib *r, uint32_t router_id, uint32_t as);
void mrt_dump_free(struct mrt_dump *m);
/* Adds whole records until about `enough` octets have come or the deadline (mono) has passed, but at least one while
 * there is one. False when the last one is written. */
bool mrt_dump_more(struct mrt_dump *m, struct strbuf *out, size_t enough, uint64_t deadline);

struct mrt_dump_stats {
	unsigned peers;
	uint64_t prefixes, routes;
	uint64_t left_out; /* routes whose attributes do not fit an entry */
};
struct mrt_dump_stats mrt_dump_stats(const struct mrt_dump *m);

#endif
