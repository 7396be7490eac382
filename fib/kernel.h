/* What the kernel has: read at start, followed by events, read again when events were lost or the audit is due.
 *
 * A resync reads everything once more beside the events. Chunks of a dump are made ahead of our reading them, so
 * whatever an event has touched since the resync began is newer than what the dump says about it, and the dump is not
 * believed there. What neither the dump nor an event showed is gone.
 *
 * Some changes come without an event: when an interface goes down the kernel drops IPv4 routes silently. They are
 * derived here from the event of the link. Where an event leaves doubt, a resync settles it. */
#ifndef FIB_KERNEL_H
#define FIB_KERNEL_H

#include <stdbool.h>

struct fib;
struct nlmsghdr;

/* Reads the kernel; waits for it. False if it does not answer. */
bool kernel_start(struct fib *f);
void kernel_stop(struct fib *f);
void kernel_event(void *arg, const struct nlmsghdr *h);
void kernel_overrun(void *arg);
/* Reads everything again, now or shortly (several requests become one). */
void kernel_resync(struct fib *f);
void kernel_resync_soon(struct fib *f);
/* (Re)starts the clock of the periodic comparison. */
void kernel_arm_audit(struct fib *f);

#endif
