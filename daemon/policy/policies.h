/* What may come in from a peer and go out to it: its BGPFilters in order, and behind those, on export, Calico's
 * built-in filter. Peers with the same filters share their policies, and one whose objects changed without a difference
 * stays the same, so that nothing moves. */
#ifndef DAEMON_POLICY_POLICIES_H
#define DAEMON_POLICY_POLICIES_H

#include "daemon/cluster/self.h"
#include "rib/policy.h"

struct policies;

struct peer_policy {
	struct policy *import; /* NULL: everything is accepted */
	struct policy *export;
};

struct policies *policies_new(const struct store *s);
void policies_free(struct policies *p);
/* A BlockAffinity changed. True if policies say something else for it from the next update on. */
bool policies_on_affinity(struct policies *p, const struct object *before, const struct object *after);
/* The objects, or what this node is, may have changed: those that are in use are made anew. */
void policies_update(struct policies *p, const struct self *self);
/* For a peer with these filters: names with '\n' between them; NULL: none. Borrowed, until the next update. */
const struct peer_policy *policies_get(struct policies *p, const char *filters);
/* Forgets those that nobody has asked for since the last update. */
void policies_sweep(struct policies *p);
/* Filters that are missing or refused, and communities nothing defines: a line each. */
void policies_problems(const struct policies *p, struct strbuf *out);

#endif
