/* Calls that block and cannot be interrupted, such as the resolver's: each is made in a thread of its own, which shares
 * nothing with the loop but a socket for its answer. Who does not want to know any more does not read it. */
#ifndef DAEMON_BASE_ERRAND_H
#define DAEMON_BASE_ERRAND_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/loop.h"

/* Runs in the thread, with the question that it alone has; answer is zeroed memory of the size that was agreed. */
typedef void errand_fn(void *question, void *answer);
/* In the loop, with the errand over; answer: NULL if none came. It is gone with the call. */
typedef void errand_answer_fn(void *arg, const void *answer);

/* Zero-initialise. */
struct errand {
	struct loop *loop;
	struct loop_io io;
	errand_answer_fn *on_answer;
	void *arg;
	size_t size;
	int fd;
	bool out; /* an answer is to come on fd */
};

/* Sends a thread out, which none is yet for this errand. Takes question, a single allocation that points to nothing of
 * others. size: the answer's, below 64 KiB. False, with the question freed, if no thread can be started. */
bool errand_start(struct errand *e, struct loop *loop, errand_fn *work, void *question, size_t size,
		  errand_answer_fn *on_answer, void *arg);
/* Nobody wants to know any more, and nobody waits; nothing, if it is not out. */
void errand_forget(struct errand *e);

#endif
