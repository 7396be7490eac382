/* Which sessions this node should have: the one table of who asks for a session with whom.
 *
 * Objects ask for remotes: a BGPPeer for the address, range, workloads or nodes that it names, a Node as a member of
 * the mesh. Of those who ask for the same remote the first has it (ask_cmp()). A change of an object takes back what it
 * asked for, and has it ask anew; remotes whose first one is another now are told in the next diff, and no others. What
 * depends on everything (this node itself) has all objects ask anew: there is no other way to compute the whole. */
#ifndef DAEMON_PEERS_PEERING_H
#define DAEMON_PEERS_PEERING_H

#include "daemon/cluster/self.h"
#include "daemon/config/config.h"
#include "daemon/peers/peer_want.h"
#include "datastore/store.h"

struct peering;

/* Both are borrowed. Nothing is wanted before the first peering_apply(). */
struct peering *peering_new(const struct store *s, const struct config *c);
void peering_free(struct peering *p);

/* An object changed. It is looked at by the next peering_settle(); before that peering_apply() has to be called if it
 * was this node's own and changed more than labels, or a BGPConfiguration of this node. */
void peering_on_change(struct peering *p, const struct object *before, const struct object *after);
/* This node may be another now, or its configuration, or what the default BGPConfiguration says: everything is looked
 * at anew, and told. What self borrows stays until the next call. Without a Node object nothing is wanted. */
void peering_apply(struct peering *p, const struct self *self);
/* Is there something to settle? */
bool peering_is_dirty(const struct peering *p);

/* What is wanted otherwise than it was. */
struct peering_diff {
	struct peer_change {
		struct peer_want want; /* owned; if it is no longer wanted, only what it is known by */
		bool wanted;
	} * change; /* sorted by peer_want_cmp() */
	unsigned count;
	bool everything; /* all sessions that are wanted are among the changes */
	bool ranges_changed;
	struct peer_want *range; /* if they changed: what the peers of each opt.range have in common; all, sorted */
	unsigned range_count;
};
struct peering_diff peering_settle(struct peering *p);
void peering_diff_free(struct peering_diff *d);

/* Sessions and ranges that are wanted; and of them, those with workloads. */
unsigned peering_count(const struct peering *p);
unsigned peering_workload_count(const struct peering *p);
/* The gateway to this remote address in a VRF ("": in none) (reachableBy), of the session with the lowest port; none:
 * nobody says. */
struct addr peering_gateway(const struct peering *p, const struct addr *remote, const char *vrf);
/* Asks for all Secrets that sessions have, see secrets_begin(). */
void peering_ask_secrets(const struct peering *p);
/* A line for each BGPPeer that selects this node and gives no session, and why. */
void peering_notes(const struct peering *p, struct strbuf *out);

#endif
