/* Whose routes may be taken over: what Calico's BIRD and Felix leave in the kernel when they stop. */
#ifndef FIB_OWNERS_H
#define FIB_OWNERS_H

#include <stdbool.h>

struct fib;
struct rtmsg_route;
struct nhset_key;
struct nhop;

/* Is it a route that one of these (bits of enum fib_owner) made? */
bool owners_made(const struct fib *f, unsigned owners, const struct nhset_key *key, const struct nhop *hops);

#endif
