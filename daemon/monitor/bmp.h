/* BMP (RFC 7854, 8671, 9069): the sessions and the RIB, reported to stations.
 *
 * What happens is written once, as messages, into one feed that all stations read (bmp_feed.h); a station that connects
 * is told the state by walks over the RIB, in between, at the pace at which it reads. Always first what the feed has
 * for it, then the next piece of the walk: so what it hears is in the order of time, and the last it hears of a route
 * is what is. The connection to a station that falls behind by more than the feed keeps is closed; it
 * begins anew.
 *
 * struct daemon has one as long as stations are configured; it watches the RIB as long as one of them is connected. */
#ifndef DAEMON_MONITOR_BMP_H
#define DAEMON_MONITOR_BMP_H

#include "bgp/session/session.h"
#include "daemon/config/endpoint.h"
#include "daemon/daemon.h"

struct bmp;
struct peer;

/* Makes d->bmp what the configuration says: NULL if there are no stations. */
void bmp_configure(struct daemon *d);
/* Says goodbye to the stations. NULL is allowed. */
void bmp_free(struct bmp *b);

/* This node's own AS number and router id, which Loc-RIB is reported with; 0: not known yet. */
void bmp_identity(struct bmp *b, uint32_t as, uint32_t router_id);
/* The session came up: before its first route. */
void bmp_peer_up(struct bmp *b, struct peer *p);
/* It ended, for this reason. */
void bmp_peer_end(struct bmp *b, struct peer *p, const struct bgp_end *end);
/* The peer has sent End-of-RIB. */
void bmp_end_of_rib(struct bmp *b, const struct peer *p, enum family f);

/* For people. */
struct bmp_station_info {
	struct endpoint at;
	const char *state; /* "waiting", "connecting", "dumping", "up" */
	bool is_up;
	uint64_t since;	   /* mono, of the state */
	uint64_t retry_in; /* ns, until the next attempt; 0: none is due */
	uint64_t connected, overruns;
	uint64_t messages, bytes; /* put into its stream, and taken by its socket, since the start of the daemon */
	size_t queued;		  /* bytes that wait for it */
	const char *last_error;	  /* "" if none */
	uint64_t last_error_at;	  /* mono */
};
/* Stations in the order of the configuration; false past the end. b may be NULL. */
bool bmp_station_info(const struct bmp *b, unsigned index, struct bmp_station_info *out);

#endif
