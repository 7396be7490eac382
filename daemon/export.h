/* Calico's built-in export filter (reference: confd's buildExportFilter and bird_ipam) as a policy. */
#ifndef DAEMON_EXPORT_H
#define DAEMON_EXPORT_H

#include "daemon/peering.h"
#include "rib/policy.h"

/* What may leave this node: pools that may be exported, this node's blocks aggregated, routes that outrank the normal
 * priority (live migration) on their own, everything else in the pools. One reference for the caller. */
struct policy *export_policy(const struct store *s, const struct self *self);

#endif
