/* The kernel's routing table as a benchmark sees it: all routes of a plan, each with the gateway that it must have. */
#ifndef TESTS_BENCH_LOAD_WATCH_H
#define TESTS_BENCH_LOAD_WATCH_H

#include "tests/bench/load/plan.h"

struct watch;

/* Watches the main table of the network namespace at a path ("/run/netns/x") from now on. NULL, with errno, if it
 * cannot. */
struct watch *watch_new(const struct plan *p, const char *netns);
int watch_fd(const struct watch *w);
/* Reads what there is. How many of the plan's routes are in the kernel now; -1 if one has another gateway, or events
 * were lost and have to be asked for (watch_again()). */
long watch_read(struct watch *w);
/* Reads the whole table anew. How many of the plan's routes are there with their gateways. */
long watch_again(struct watch *w);
/* Routes written since the start: more than there are, if some were written more than once. */
unsigned long watch_writes(const struct watch *w);

#endif
