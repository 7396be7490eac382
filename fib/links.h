/* The node's interfaces, by index and by name, and its own addresses. Fed by kernel.c. */
#ifndef FIB_LINKS_H
#define FIB_LINKS_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/addr.h"
#include "daemon/base/hash.h"
#include "fib/rtmsg.h"

/* What a tunnel device is like. */
struct link_tunnel {
	char kind[RTMSG_KIND_LEN];
	uint8_t mac[6];
	uint32_t vni;
	uint16_t port;
	bool learning;
	struct addr local;
};

struct link {
	uint32_t ifindex;
	unsigned flags; /* IFF_* */
	char name[IFNAMSIZ];
	uint32_t mtu;
	uint32_t master;	    /* the interface that it belongs to; 0 none */
	uint32_t vrf_table;	    /* of a VRF device; 0: it is none */
	struct link_tunnel *tunnel; /* of devices that can be tunnels of ours; NULL otherwise */
	uint32_t ipv4_count;	    /* its IPv4 addresses */
	bool configured;	    /* a workload's settings were made (or tried) */
	uint8_t seen;		    /* the resync that saw it last */
};

/* One address on one interface. */
struct link_addr {
	struct addr addr;
	uint8_t len, seen;
	uint32_t ifindex;
	uint32_t order; /* rises with each that comes */
};

struct links {
	struct htab by_index, by_name, addrs;
	uint32_t addrs_seen;
};

/* NULL if there is none. */
struct link *links_by_index(const struct links *l, uint32_t ifindex);
struct link *links_by_name(const struct links *l, const char *name);
/* The name for showing: "if7" if there is no such interface (any more). buf is used then. */
const char *links_name(const struct links *l, uint32_t ifindex, char buf[static IFNAMSIZ]);

/* Up: routes can point at it. Running: and it has a carrier, so neighbours may answer. NULL is neither. */
bool link_is_up(const struct link *l);
bool link_is_running(const struct link *l);

/* Adds a link, or renames and updates the one with this index. */
struct link *links_put(struct links *l, const struct rtmsg_link *m);
void links_remove(struct links *l, struct link *link);

/* Adds an address; false if it was there. Removes it; false if it was not. */
bool links_addr_put(struct links *l, const struct rtmsg_addr *m, uint8_t seen);
bool links_addr_remove(struct links *l, const struct rtmsg_addr *m);
/* The interface that has this address, NULL if none has. */
struct link *links_by_addr(const struct links *l, const struct addr *a);
/* The VRF device that the link is, or belongs to; 0 if it is in none. */
uint32_t links_vrf(const struct links *l, const struct link *link);
/* Is it an address of an interface in this VRF (0: in none)? */
bool links_is_own_in(const struct links *l, const struct addr *a, uint32_t vrf);
/* Is it an address of this interface? */
bool links_has(const struct links *l, uint32_t ifindex, const struct addr *a);
/* Is it an address of this node? */
bool links_is_own(const struct links *l, const struct addr *a);

void links_clear(struct links *l);

#endif
