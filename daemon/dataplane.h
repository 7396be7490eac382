/* The RIB joined with the FIB: selections become kernel intents, next hops are resolved by the kernel's routes. */
#ifndef DAEMON_DATAPLANE_H
#define DAEMON_DATAPLANE_H

#include "daemon/daemon.h"

/* The callbacks of rib_new() and fib_new(); arg is the struct daemon. */
extern const struct rib_sink dataplane_rib_sink;
extern const struct fib_ops dataplane_fib_ops;
/* The fib's settings as the configuration has them. */
struct fib_conf dataplane_fib_conf(const struct config *c);
struct rib_conf dataplane_rib_conf(const struct config *c);

#endif
