/* Things to try again later: a heap of owners, each due at its time, on one timer of the loop. */
#ifndef FIB_BACKOFF_H
#define FIB_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/loop.h"

/* Embedded in whatever is retried; zeroed is idle. */
struct backoff {
	uint64_t due;
	uint32_t at; /* its place in the heap, plus one; 0: does not wait */
	uint8_t step;
	void *owner; /* for on_due */
};

struct backoffs {
	struct loop *loop;
	struct backoff **heap;
	uint32_t count, cap;
	struct loop_timer timer;
	void (*on_due)(void *arg, void *owner);
	void *arg;
};

void backoffs_init(struct backoffs *s, struct loop *loop, void (*on_due)(void *arg, void *owner), void *arg);
void backoffs_free(struct backoffs *s);

/* Waits longer each time: 100 ms, 200 ms, ... 30 s, each a quarter more or less at random. */
void backoff_wait(struct backoffs *s, struct backoff *b);
/* No longer waits; step stays. */
void backoff_cancel(struct backoffs *s, struct backoff *b);
static inline bool backoff_is_waiting(const struct backoff *b)
{
	return b->at != 0;
}

#endif
