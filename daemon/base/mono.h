/* Monotonic time. Nanoseconds since an arbitrary start, never going back; nothing else in the daemon measures time. */
#ifndef BASE_MONO_H
#define BASE_MONO_H

#include <stdint.h>

#define MONO_SEC 1000000000ull
#define MONO_MSEC 1000000ull
#define MONO_USEC 1000ull

/* Now, in nanoseconds. Never 0, so that 0 may stand for "never". */
uint64_t mono_now(void);
/* At most 10 ms ago, for a fifth of the price: for what is noted with each message. Never later than mono_now(). */
uint64_t mono_lately(void);
/* In whole seconds: for what is kept by the million. */
uint32_t mono_seconds(void);
/* Nanoseconds of processor time that this thread has had; a system call. */
uint64_t mono_thread_cpu(void);
/* For tests: freeze the clock at this value (0 goes back to the real one). */
void mono_fake(uint64_t now);

/* Wall-clock time in whole seconds that corresponds to a monotonic instant, for showing to people. */
int64_t mono_to_wall(uint64_t mono);
/* The same in microseconds. */
uint64_t mono_to_wall_usec(uint64_t mono);
/* "3d04h", "2h10m", "5m07s", "12s", "350ms": how long, for showing to people. Returns buf. */
const char *mono_format(uint64_t duration, char buf[static 16]);

#endif
