/* What the files of the joint with BMP share. */
#ifndef DAEMON_MONITOR_BMP_CORE_H
#define DAEMON_MONITOR_BMP_CORE_H

#include <bsd/sys/queue.h>

#include "daemon/base/buf.h"
#include "daemon/base/loop.h"
#include "daemon/monitor/bmp.h"
#include "daemon/monitor/bmp_feed.h"
#include "daemon/monitor/bmp_pack.h"

/* Who is reported: a session that is up, or Loc-RIB. */
struct bmp_source {
	struct pack_source id;
	struct peer *of; /* NULL: Loc-RIB */
	uint8_t families;
	uint64_t since; /* mono: it is up */
	bool as2;	/* what it is sent has 2-octet AS numbers */
	struct buf *up; /* its Peer Up message */
	TAILQ_ENTRY(bmp_source) link;
};

struct bmp_settings {
	bool views[BMP_VIEWS];
	uint64_t report_interval;  /* ns, 0: never */
	uint64_t retry, retry_max; /* ns */
	size_t buffer;
};

struct bmp {
	struct daemon *d;
	struct bmp_settings set;
	TAILQ_HEAD(, bmp_source) sources; /* of sessions, by rising number */
	uint64_t last_number;
	struct bmp_source loc_rib; /* has no `up` as long as it is not reported */
	struct feed feed;
	struct packer live; /* into the feed */
	struct packer dump; /* into the station that is being told the state; empty otherwise */
	TAILQ_HEAD(bmp_stations, station) stations;
	struct rib_observer observer;
	struct loop_work work;
	struct loop_timer report_timer;
};

/* bmp.c */
static inline void bmp_schedule(struct bmp *b)
{
	loop_work_schedule(b->d->loop, &b->work);
}
/* A station was connected or lost: somebody or nobody looks at the RIB. */
void bmp_watch(struct bmp *b);

/* bmp_station.c */

/* The state, told piece by piece: routes, what was sent, End-of-RIB. */
enum dump_phase { DUMP_PATHS, DUMP_SENT, DUMP_MARKS, DUMP_LOC_RIB_MARKS, DUMP_DONE };
struct dump {
	enum dump_phase phase;
	enum family f;
	uint64_t pos;
	uint64_t limit;	  /* sources up to this number were there when it began: the later ones tell themselves */
	uint64_t at;	  /* of the sources, the last that the phase is done with */
	uint64_t walking; /* the one that f and pos are about; 0: none */
};

enum station_state { STATION_WAITING, STATION_CONNECTING, STATION_UP };

struct station {
	TAILQ_ENTRY(station) link;
	struct bmp *b;
	struct endpoint at;
	char name[ENDPOINT_STRLEN];
	bool wanted; /* while a configuration is applied */
	enum station_state state;
	uint64_t since;
	int fd;
	bool blocked; /* the socket is full */
	bool lost;    /* the feed has given it up */
	struct loop_io io;
	struct loop_timer timer; /* WAITING: the next attempt; CONNECTING: the patience */
	uint64_t backoff;	 /* ns, of the next wait after a failure */
	uint64_t catch_up;	 /* the same after it fell behind */
	uint64_t progress;	 /* mono: it took something */
	struct feed_reader reader;
	struct strbuf own; /* what is for it alone; goes before what the feed has */
	size_t own_sent;
	struct dump dump;
	uint64_t connected, overruns, bytes, messages;
	uint64_t feed_from; /* messages the feed had when it joined */
	char *last_error;
	uint64_t last_error_at;
};

struct station *station_new(struct bmp *b, const struct endpoint *at);
/* Says goodbye if it can. */
void station_free(struct station *st, enum bmp_termination reason, const char *text);
/* Writes what there is until the socket is full or time is over: true if there is more to be done at once. */
bool station_write(struct station *st, uint64_t deadline);
/* The state is told from its beginning. */
void station_dump(struct station *st);
/* For the packers and the feed. */
void station_emit(void *arg, struct span message);
void station_on_lost(void *arg, struct feed_reader *r);

/* bmp_dump.c: the next piece into the station's own stream. */
void dump_step(struct station *st);

/* bmp_source.c */

/* Reports a session that is up, or Loc-RIB as this AS and router id; NULL if there is no memory of it. */
struct bmp_source *source_of_peer(struct bmp *b, struct peer *p);
void source_make_loc_rib(struct bmp *b, uint32_t as, uint32_t router_id);
/* Peer Up, Peer Down and the statistics, into the feed. */
void source_tell_up(struct bmp *b, const struct bmp_source *s);
void source_tell_down(struct bmp *b, const struct bmp_source *s, const struct bmp_peer_down *down);
void source_report(struct bmp *b, const struct bmp_source *s);
/* Of a session. */
void source_free(struct bmp *b, struct bmp_source *s);
/* The first source with a number above this one, at most the limit; NULL if there is none. */
const struct bmp_source *source_next(const struct bmp *b, uint64_t above, uint64_t limit);

#endif
