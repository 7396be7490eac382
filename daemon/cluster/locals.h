/* Who claims which prefix for this node: an affinity its block, a workload its addresses, an IPAM block the addresses
 * this node borrows, a Service its own. The one table of this; what the RIB announces as local, and what workloads and
 * blocks have in the kernel, in the main table and in those of their own (instance.h), is settled from it. */
#ifndef DAEMON_CLUSTER_LOCALS_H
#define DAEMON_CLUSTER_LOCALS_H

#include "daemon/cluster/self.h"
#include "daemon/daemon.h"

struct locals;
struct instance;

/* All are borrowed. work is scheduled whenever there is something to settle. */
struct locals *locals_new(struct daemon *d, const struct self *self, struct loop_work *work);
/* NULL is allowed. */
void locals_free(struct locals *c);
/* An object changed, came (before NULL) or went (after NULL). */
void locals_on_change(struct locals *c, const struct object *before, const struct object *after);
/* A Service (NULL: a range of Services' addresses) has this prefix announced, no longer has it. */
void locals_service(struct locals *c, const struct object *o, const struct prefix *p);
void locals_service_drop(struct locals *c, const struct object *o, const struct prefix *p);
/* This node may be another one now: all objects claim again, but Services. What stays the same is settled as a no-op.
 */
void locals_anew(struct locals *c);
/* What is said of the prefix, or of all, may be something else now. */
void locals_mark(struct locals *c, const struct prefix *p);
void locals_mark_all(struct locals *c);
/* An interface of this machine came, or is another one. */
void locals_link_changed(struct locals *c, const struct fib_link *l);
/* Hands on what is dirty until the deadline; true: there is more. */
bool locals_settle(struct locals *c, uint64_t deadline);
/* An instance that has just been made gets what this node claims; what changes later it is told as all others are. */
void locals_settle_into(struct locals *c, struct instance *i);

/* The interface that the workload has: one that no object names follows from kernel.interface_prefix. */
void workload_interface(const struct config *conf, const struct obj_workload_endpoint *w, char name[static 16]);
/* The interface of the workload with this address on this node; "" if there is none. */
void locals_interface(const struct locals *c, const struct prefix *p, char name[static 16]);
/* The object a local route comes from, for explain: "WorkloadEndpoint default/web-0 (pods.yaml:12)"; "" if none. */
void locals_origin(const struct locals *c, const struct prefix *p, struct strbuf *out);
/* A line for each workload whose migration cannot be followed. */
void locals_problems(const struct locals *c, struct strbuf *out);

#endif
