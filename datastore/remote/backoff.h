/* How long to wait before the next attempt: doubled each time, and drawn by chance, so that a cluster's nodes do not
 * come back all at once. */
#ifndef DATASTORE_REMOTE_BACKOFF_H
#define DATASTORE_REMOTE_BACKOFF_H

#include <stdint.h>

/* ns. The first delay is `least`; zero-initialise `next`. */
struct backoff {
	uint64_t least, most;
	uint64_t next;
};

/* The delay before the next attempt: between a half of and the whole of what is due. */
uint64_t backoff_delay(struct backoff *b);
/* It went well: the next delay is short again. */
void backoff_reset(struct backoff *b);
/* From half of the time to all of it, by chance. */
uint64_t backoff_jitter(uint64_t time);

#endif
