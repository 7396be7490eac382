/* Tunnel devices: tunl0 for IP-in-IP, vxlan.calico and vxlan-v6.calico, and the other nodes' ends of a VXLAN.
 *
 * A device is checked whenever something it depends on changed (what is wanted, its link, its addresses, the MTU of the
 * interface below) and by each audit; what is not as it should be is made so. Devices change rarely, so requests about
 * them are made one by one and waited for; entries of other nodes, of which there may be thousands, go with the batches
 * (neigh.c). */
#ifndef FIB_TUNNEL_H
#define FIB_TUNNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/hash.h"
#include "daemon/base/loop.h"
#include "fib/fib.h"

struct link;

struct tunnel {
	struct fib *fib;
	struct fib_tunnel_conf conf;
	bool wanted, was_wanted; /* was: the device has to go */
	uint64_t leave_at;	 /* ... then */
	unsigned failures;	 /* in a row */
	struct loop_timer retry;
	struct htab vteps; /* by tunnel address */
};

struct tunnels {
	struct tunnel tunnel[FIB_TUNNEL_COUNT];
	struct loop_work work;
};

void tunnels_init(struct fib *f);
void tunnels_free(struct fib *f);
/* A link came, went or changed (also its MTU); an address came or went on it. */
void tunnels_link_changed(struct fib *f, const struct link *l);
/* Looks at all devices at the end of the turn. */
void tunnels_check(struct fib *f);
/* None of them is needed any more, nor the other ends. */
void tunnels_teardown(struct fib *f);
/* Is it the name of one of the devices? */
bool tunnels_is_device(const char *name);

#endif
