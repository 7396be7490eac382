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

struct rtmsg_link {
	uint32_t ifindex;
	unsigned flags; /* IFF_* */
	char name[IFNAMSIZ];
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
void rtmsg_put_neigh(struct wr *w, const struct addr *a, uint32_t ifindex, const uint8_t mac[static 6]);
void rtmsg_put_route_dump(struct wr *w, uint8_t af, uint32_t table);
void rtmsg_put_link_dump(struct wr *w);
void rtmsg_put_addr_dump(struct wr *w);
void rtmsg_put_neigh_dump(struct wr *w);
void rtmsg_put_lookup(struct wr *w, const struct addr *a);

#endif
