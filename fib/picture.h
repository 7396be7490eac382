/* The routes of the kernel as we know them: ours in struct route, the others in the foreign table. */
#ifndef FIB_PICTURE_H
#define FIB_PICTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/addr.h"

struct fib;
struct nlmsghdr;
struct route;

/* RTM_NEWROUTE or RTM_DELROUTE as an event. */
void picture_event(struct fib *f, const struct nlmsghdr *h);
/* A route of a dump; ignored where an event was seen since the resync began. */
void picture_dumped(struct fib *f, const struct nlmsghdr *h);
/* The resync is over: what it did not show is gone. */
void picture_sweep(struct fib *f);
/* After the first resync: what is ours now was there before us. */
void picture_adopt(struct fib *f);

/* Somebody put a route before or behind ours, at the very key that an intent of ours wants: it goes, unless the kernel
 * made it for a connected network (then ours does, see route_judge()). Nothing happens where there is no such route. */
void picture_evict(struct fib *f, struct route *r);

/* What the kernel drops without telling: */
/* - the interface went down: routes all of whose hops are on dead interfaces; */
void picture_link_down(struct fib *f, uint32_t ifindex);
/* - the interface is gone: also IPv4 routes with one hop of several on it; */
void picture_link_gone(struct fib *f, uint32_t ifindex);
/* - the interface lost its last IPv4 address: IPv4 routes as if it were down. */
void picture_ipv4_disabled(struct fib *f, uint32_t ifindex);
/* Is there a foreign route with this preferred source? */
bool picture_has_source(const struct fib *f, const struct addr *a);

#endif
