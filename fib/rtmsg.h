/* rtnetlink messages to structs and back: routes, links, addresses, neighbours. Pure: no sockets, no state. */
#ifndef FIB_RTMSG_H
#define FIB_RTMSG_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/addr.h"
#include "daemon/base/wire.h"
#include "fib/nhset.h"

struct nlmsghdr;

/* One route as the kernel tells it. */
struct rtmsg_route {
	struct prefix prefix;
	uint32_t metric;
	uint8_t tos;
	bool cloned; /* a cached or exceptional route: not from a table */
	struct nhset_draft to;
};

#define RTMSG_KIND_LEN 16

struct rtmsg_link {
	uint32_t ifindex;
	unsigned flags; /* IFF_* */
	uint32_t mtu;
	uint32_t master;    /* the interface that it belongs to; 0 none */
	uint32_t vrf_table; /* of a VRF device */
	char name[IFNAMSIZ];
	char kind[RTMSG_KIND_LEN]; /* "vxlan", "ipip", "veth", ...; "" for real ones */
	uint8_t mac[6];
	/* of a VXLAN device */
	uint32_t vni;
	uint16_t port;
	bool learning;
	struct addr local;
};

struct rtmsg_addr {
	uint32_t ifindex;
	struct addr addr; /* the local one */
	uint8_t len;
};

struct rtmsg_neigh {
	uint32_t ifindex;
	uint16_t state; /* NUD_* */
	struct addr addr;
	uint8_t mac[6];
	bool has_mac;
	bool fdb; /* of a VXLAN device's forwarding table: addr is where frames for mac go */
};

/* Parse a message of the fitting type. False if it is malformed or of a family that is not ours (AF_BRIDGE, ...). */
bool rtmsg_parse_route(const struct nlmsghdr *h, struct rtmsg_route *r);
bool rtmsg_parse_link(const struct nlmsghdr *h, struct rtmsg_link *l);
bool rtmsg_parse_addr(const struct nlmsghdr *h, struct rtmsg_addr *a);
bool rtmsg_parse_neigh(const struct nlmsghdr *h, struct rtmsg_neigh *n);
/* The table of a route message, without parsing the rest. */
uint32_t rtmsg_route_table(const struct nlmsghdr *h);

/* Each writes what follows the nlmsghdr. */
void rtmsg_put_route(struct wr *w, const struct prefix *p, uint32_t metric, const struct nhset *to);
/* exact: also names the hops, to pick one of several routes with the same key. */
void rtmsg_put_route_removal(struct wr *w, const struct prefix *p, uint32_t metric, const struct nhset *to, bool exact);
void rtmsg_put_neigh(struct wr *w, const struct addr *a, uint32_t ifindex, const uint8_t mac[static 6], bool fdb);
/* A new device of l->kind; what is zero is left to the kernel. */
void rtmsg_put_link_creation(struct wr *w, const struct rtmsg_link *l);
/* Another local address for the VXLAN device l->ifindex with the VNI l->vni. */
void rtmsg_put_vxlan_local(struct wr *w, const struct rtmsg_link *l);
/* Up, and with this MTU (0: as it is) and MAC address (NULL: as it is). */
void rtmsg_put_link_change(struct wr *w, uint32_t ifindex, uint32_t mtu, const uint8_t *mac);
void rtmsg_put_link_removal(struct wr *w, uint32_t ifindex);
/* An address of ours, to add or to remove. */
void rtmsg_put_addr(struct wr *w, const struct rtmsg_addr *a);
/* table 0: all of them. */
void rtmsg_put_route_dump(struct wr *w, uint8_t af, uint32_t table);
void rtmsg_put_link_dump(struct wr *w);
void rtmsg_put_addr_dump(struct wr *w);
/* af: AF_BRIDGE for forwarding tables. */
void rtmsg_put_neigh_dump(struct wr *w, uint8_t af);
/* vrf: the device of the VRF that is asked; 0 none. */
void rtmsg_put_lookup(struct wr *w, const struct addr *a, uint32_t vrf);

#endif
