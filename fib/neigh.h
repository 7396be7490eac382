/* Permanent neighbour entries of workloads, since the node does not ask a pod for its MAC address but is told; and
 * those of the other ends of VXLANs, with the entries of the forwarding table that say to which node their frames go.
 *
 * A workload's entry belongs to the wants of its route. Entries are written when their interface is up. The kernel
 * drops them with their interface. Events of permanent entries are followed from the first one of ours on (those of the
 * others stay in the kernel: every ARP reply of the node would be one), and entries that somebody else removed or
 * changed are put back. */
#ifndef FIB_NEIGH_H
#define FIB_NEIGH_H

#include <bsd/sys/queue.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/addr.h"
#include "daemon/base/hash.h"
#include "fib/backoff.h"
#include "fib/rtmsg.h"

struct fib;
struct link;

struct neigh {
	struct addr addr;
	char ifname[IFNAMSIZ];
	uint8_t mac[6];
	bool fdb; /* of the forwarding table: addr is the node that frames for mac go to */
	uint32_t refs;
	uint32_t have; /* the interface (index) on which the kernel has it; 0 nowhere */
	uint8_t seen;
	bool dirty, flight;
	int error;
	uint64_t lost; /* when somebody else removed or changed it last */
	struct backoff wait;
	TAILQ_ENTRY(neigh) queue;
};
TAILQ_HEAD(neigh_queue, neigh);

struct neighs {
	struct htab all;
	struct neigh_queue queue;
	struct backoffs backoffs;
};

void neighs_init(struct fib *f);
void neighs_free(struct fib *f);
struct neigh *neigh_get(struct fib *f, const struct addr *a, const char *ifname, const uint8_t mac[static 6], bool fdb);
/* With the last reference the entry is removed from the kernel, too. */
void neigh_put(struct fib *f, struct neigh *n);
/* The interface came, went or changed its state. */
void neigh_link_changed(struct fib *f, const struct link *l);
/* The interface lost its last IPv4 address: the kernel has dropped its IPv4 neighbours without telling. */
void neigh_ipv4_disabled(struct fib *f, uint32_t ifindex);
/* A permanent entry that the kernel has. */
void neigh_seen(struct fib *f, const struct rtmsg_neigh *m);
/* Events: an entry was made or changed, is gone. */
void neigh_added(struct fib *f, const struct rtmsg_neigh *m);
void neigh_removed(struct fib *f, const struct rtmsg_neigh *m);
/* A resync is over: what was not seen is not there. */
void neigh_sweep(struct fib *f);
/* Looks at all again (configuration changed). */
void neigh_check_all(struct fib *f);
/* Puts requests for what is queued into the batch, as far as there is room; true if something is left. */
bool neigh_write(struct fib *f);
void neigh_done(struct fib *f, struct neigh *n, int error, const char *text);

#endif
