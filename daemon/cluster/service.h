/* Services into local routes: which of their addresses this node announces.
 *
 * Ranges of addresses are announced as they are configured, by every node. A Service's own addresses are announced
 * besides where that says more: that this node has a ready endpoint of a Service whose traffic policy is Local, or that
 * no range stands for the address. What is announced becomes a claim of the cluster's, and never a route in the kernel,
 * where the service proxy takes over; nor do the other nodes' routes within the ranges get there. */
#ifndef DAEMON_CLUSTER_SERVICE_H
#define DAEMON_CLUSTER_SERVICE_H

#include "daemon/daemon.h"

struct service;

struct service *service_new(struct daemon *d);
void service_free(struct service *s);

/* A Service or an EndpointSlice changed; other kinds are ignored. What follows is done by service_settle(). */
void service_on_change(struct service *s, const struct object *before, const struct object *after);
/* What is configured may have changed: finds out, and claims the ranges. */
void service_apply(struct service *s, const struct self *self);
/* The cluster dropped all claims: makes them anew with the next service_apply(). */
void service_forget(struct service *s);
/* Claims and drops what the changes ask for. True if some are left when the deadline is over. */
bool service_settle(struct service *s, uint64_t deadline);

/* Is it within a range, so that no route to it belongs into the kernel? s NULL: no. */
bool service_has(const struct service *s, const struct prefix *p);

/* Is this address of the Service announced by itself, and why (not)? *why is valid until the next change. */
bool service_is_announced(const struct service *s, const struct obj_service *o, unsigned index, const char **why);

/* Is the range announced as it is, by this node? Of self's, for the export policy. */
bool service_range_is_announced(const struct service_conf *c, enum service_origin from, const struct prefix *p);

/* A range, for people. index from 0; false past the end. */
struct service_range {
	struct prefix prefix;
	enum service_origin from;
	bool announced;
	const char *why;
};
bool service_range(const struct service *s, unsigned index, struct service_range *out);
/* "serviceClusterIPs", ... */
const char *service_origin_field(enum service_origin from);

#endif
