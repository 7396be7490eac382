/* BGPFilters as rules of a policy. */
#ifndef DAEMON_POLICY_FILTER_H
#define DAEMON_POLICY_FILTER_H

#include "daemon/policy/rules.h"

/* Adds the filter's rules of one direction, for both families. The rules borrow from the filter. */
void filter_rules(struct rules *out, const struct obj_bgp_filter *f, enum filter_direction d);

#endif
