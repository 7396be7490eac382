/* MRT tables on a schedule: mrt.table_interval, mrt.table_file, mrt.table_keep.
 *
 * A table is written at each multiple of the interval since 1970, in slices between everything else, to a temporary
 * file beside its place, and gets its name when it is whole. Then the oldest files that the pattern can have named go,
 * down to the number to keep. What fails is logged, is one of the daemon's problems until a dump succeeds, and touches
 * nothing else. */
#ifndef DAEMON_MONITOR_MRT_SCHEDULE_H
#define DAEMON_MONITOR_MRT_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/buf.h"

struct daemon;
struct mrt_schedule;

struct mrt_schedule *mrt_schedule_new(struct daemon *d);
/* A dump in the works is given up, and its temporary file removed. */
void mrt_schedule_free(struct mrt_schedule *s);
/* The configuration may have changed: the next dump is made as it says now. */
void mrt_schedule_configure(struct mrt_schedule *s);

struct mrt_schedule_status {
	bool on;
	uint64_t next; /* ns until the next dump */
	bool running;
	const char *last_file;			      /* "" if there was none yet */
	uint64_t last_routes, last_octets, last_took; /* ns */
	uint64_t last_at;			      /* mono */
	const char *problem;			      /* "" if the last one succeeded */
};
struct mrt_schedule_status mrt_schedule_status(const struct mrt_schedule *s);

/* Is it an absolute path whose last part alone has conversions: %Y %m %d %H %M %S %j as strftime(3) has them, and %%?
 * All are numbers of a fixed width, so that a pattern knows its own files again. */
bool mrt_pattern_is_good(const char *pattern);
/* Can the pattern's last part have made this file name? */
bool mrt_pattern_made(const char *pattern, const char *name);

#endif
