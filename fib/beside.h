/* Beside a running Felix (workload_routes is off): what is its, and its routes to workloads, which this node announces.
 *
 * Felix owns the interfaces of workloads, VXLAN, and the routes of its protocols; it removes what others put there and
 * replaces what stands where it wants a route. So where it has one at the very place of ours, ours steps back, and
 * nobody fights. Its routes to workloads are not copied: whoever is told that one changed looks it up. */
#ifndef FIB_BESIDE_H
#define FIB_BESIDE_H

#include <stdbool.h>
#include <stdint.h>

struct fib;
struct foreign;
struct nhset;
struct prefix;
struct route;

/* Is it a route that Felix made, and that is left to it? */
bool beside_is_felix(const struct fib *f, const struct foreign *k);
/* Is this class of intents left to it? */
bool beside_leaves(const struct fib *f, uint8_t class);
/* A foreign route with this set came or went. */
void beside_foreign_changed(struct fib *f, const struct prefix *p, const struct nhset *to);
/* What the kernel has of ours changed. */
void beside_own_changed(struct fib *f, const struct route *r);
/* The interface has another name: it may have become a workload's, or was one. */
void beside_link_renamed(struct fib *f, uint32_t ifindex);

#endif
