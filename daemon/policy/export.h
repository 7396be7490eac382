/* Calico's built-in export filter (reference: confd's buildExportFilter and bird_ipam) as rules of a policy. */
#ifndef DAEMON_POLICY_EXPORT_H
#define DAEMON_POLICY_EXPORT_H

#include "daemon/cluster/self.h"
#include "daemon/policy/rules.h"

/* What may leave this node: pools that may be exported, with the communities of prefixAdvertisements; this node's
 * blocks (in any order that stays) aggregated; routes that outrank the normal priority (live migration) on their own;
 * everything else in the pools. What none of them decides is to be rejected. The rules borrow from the store. */
void export_rules(struct rules *out, const struct store *s, const struct self *self, const struct prefix *blocks,
		  unsigned block_count);
/* Is it a block of the node's, which is announced as a whole? */
bool export_is_block(const struct object *affinity, const char *node);
/* Is it a device that routes through are withheld from internal peers for? Then self.tunnel_next_hops matters. */
bool export_is_tunnel(const char *interface);
/* Names of communities that prefixAdvertisements refer to and nothing defines: a line each. */
void export_problems(const struct store *s, const struct self *self, struct strbuf *out);

#endif
