/* The RIB joined with the FIB: selections become kernel intents, next hops are resolved by the kernel's routes. */
#ifndef DAEMON_DATAPLANE_H
#define DAEMON_DATAPLANE_H

#include "daemon/cluster/self.h"
#include "daemon/daemon.h"

/* The callbacks of rib_new() and fib_new(); arg is the struct daemon. */
extern const struct rib_sink dataplane_rib_sink;
extern const struct fib_ops dataplane_fib_ops;
/* Next hops of a route, at most. */
#define DATAPLANE_HOPS 64u
/* Is what the RIB selected one that a kernel's table is to have? Our own routes reach the kernel from the objects that
 * ask for them, and the service proxy needs none. */
bool dataplane_takes(const struct daemon *d, const struct prefix *p, const struct rib_route *routes, unsigned n);
/* What BGP selects is meant for this node's kernel, programming or not (`show takeover` tells what would come of it),
 * but not for that of a reflector that does not program: there the routes are many and would be kept for nobody. Call
 * it when the configuration or the node may have changed. */
void dataplane_apply(struct daemon *d, const struct self *self);
/* The fib's settings as the configuration has them. */
/* max_paths: what the objects say; 0: they are not known yet. */
struct fib_conf dataplane_fib_conf(const struct config *c, unsigned max_paths);
/* Every RIB is told that routes may lead over other interfaces; to tell again what is selected within a prefix. */
void dataplane_interfaces_changed(struct daemon *d);
void dataplane_reselect(struct daemon *d, const struct prefix *within);
/* Another ECMP width. */
void dataplane_set_max_paths(struct daemon *d, unsigned max_paths);
struct rib_conf dataplane_rib_conf(const struct config *c);

#endif
