/* Routing instances: kernel tables that BGPPeers name (`vrf`, `kernelTable`), each with a RIB and a FIB of its own.
 *
 * Peers without these fields are in the main instance, which is not in this list: where a struct instance is asked for,
 * NULL means that one, and its RIB and FIB are the daemon's. An instance is there while a peer asks for it. Routes
 * never go from one to another; this node's own ones are in all of them. Instances nobody asks for any more, and tables
 * that an earlier run has left routes in, are leaving: a FIB without intents, until the kernel has nothing of ours
 * there. */
#ifndef DAEMON_INSTANCE_H
#define DAEMON_INSTANCE_H

#include "daemon/cluster/reachable.h"
#include "daemon/daemon.h"

struct instance {
	struct daemon *d;
	char vrf[16];	/* the VRF's device; "": the sessions are in none */
	uint32_t table; /* of the kernel; 0: the VRF's */
	struct rib *rib;
	struct fib *fib;
	struct reachable reachable;
	unsigned peers;	      /* that are in it; without any it goes */
	uint64_t leave_until; /* mono: while leaving */
	char name[32];	      /* for people: "VRF red", "table 100" */
	LIST_ENTRY(instance) link;
};

static inline struct rib *instance_rib(const struct daemon *d, const struct instance *i)
{
	return i ? i->rib : d->rib;
}

static inline struct fib *instance_fib(const struct daemon *d, const struct instance *i)
{
	return i ? i->fib : d->fib;
}

/* Makes those that the peers of the diff ask for; a peer whose one cannot be is no longer wanted, and why is said by
 * instances_problems(). True if there are others now. */
bool instances_apply(struct daemon *d, struct peering_diff *diff);
/* Lets those go that have no peers. True if there were some. */
bool instances_sweep(struct daemon *d);
/* Makes the one that peers with these options are in. False, with why filled, if it cannot be. */
bool instance_make(struct daemon *d, const struct peer_options *opt, char *why, size_t size);
/* That one, if it was made. */
struct instance *instance_of(const struct daemon *d, const struct peer_options *opt);
/* Is it that one? */
bool instance_fits(const struct daemon *d, const struct instance *i, const struct peer_options *opt);
/* The gateway to this address of a peer in a VRF ("": in none), as reachable_set(). */
void instances_reach(struct daemon *d, const struct addr *to, const struct addr *gateway, const char *vrf);
/* A line for each BGPPeer that cannot be in the table it names. */
void instances_problems(const struct daemon *d, struct strbuf *out);
/* For people: a VRF's device, or a number of a table. False if there is none of it; *found NULL: the main one. */
bool instance_named(const struct daemon *d, const char *name, struct instance **found);
/* May a change of this interface make another list of instances? */
bool instances_concern_link(const struct daemon *d, const struct fib_link *l);
/* Why the peers of this VRF cannot be reached; NULL if it is there. */
const char *instance_trouble(const struct daemon *d, const struct peer_options *opt, char *buf, size_t size);
/* Where to listen for the peers in VRFs: at most max into out; returns how many. */
unsigned instances_listen(const struct daemon *d, uint16_t port, struct bgp_listen *out, unsigned max);

/* The start is complete: what an earlier run has left in tables that no instance has goes. */
void instances_sync_done(struct daemon *d);
/* The configuration, or the ECMP width, changed. */
void instances_configure(struct daemon *d, unsigned max_paths);
/* Everything of ours is to leave the kernel; it has when instances_are_idle(). */
void instances_teardown(struct daemon *d);
bool instances_are_idle(const struct daemon *d);
/* The peers are gone. Kernel routes stay. */
void instances_free(struct daemon *d);

#endif
