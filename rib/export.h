/* What goes out to whom, and how its attributes look there. */
#ifndef RIB_EXPORT_H
#define RIB_EXPORT_H

#include "rib/group.h"

/* A route about to be sent to a group. */
struct export
{
	const struct group_key *key;
	const struct rib *rib;
	enum family family;
	uint16_t source; /* peer index */
	enum route_source kind;
	const struct attrs *attrs;
	struct prefix prefix; /* for policy */
};

extern const char export_too_long[], export_too_long_for_plain[];
/* NULL if the route goes to the group, else the reason for people, one of these two if it is for its length (RFC 8654
 * 4). Split horizon is not judged here: it is a matter of single members. *why, if not NULL, becomes what let it pass.
 */
const char *export_refusal(const struct export *x, const char **why);
/* The next hop as announced; true if it is our own address. */
bool export_next_hop(const struct export *x, struct bgp_nexthop *nh);
/* Is the next hop as announced an address of the peer's own? Then it is not told the route (RFC 4271 5.1.3). */
bool export_is_owner(const struct export *x, const struct rib_peer *p);
/* The attributes as announced, next hop included; new spans are made in the arena. */
void export_attrs(const struct export *x, struct bgp_attrs *out, struct arena *arena);
/* Are both announced with the same attributes, next hop included? Scratch memory is taken from the arena, which is
 * reset. */
bool export_same(const struct export *a, const struct export *b, struct arena *arena);
/* Which changes the policy makes: routes with equal attributes, source and id are announced alike. */
uint64_t export_ops_id(const struct export *x);

#endif
