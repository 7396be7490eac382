/* The kernel side: what routes should be in the kernel, and making it so by netlink.
 *
 * The fib keeps three things: intents (what the daemon wants, by prefix, metric and class), what the kernel has (read
 * at start and followed by events), and the links, addresses and foreign routes it needs to resolve next hops. At the
 * end of each loop turn the differences go out as one netlink batch; acknowledgements come back by sequence number and
 * failures are retried with back-off, counted and shown. Nothing is written that is already there; a change is one
 * RTM_NEWROUTE with NLM_F_REPLACE, never a deletion and an addition. libnl is included in fib/ only.
 *
 * Ownership: a route is ours if it carries our protocol number (and table), or stands at the very (prefix, metric) an
 * intent wants. Everything else is never touched. */
#ifndef FIB_FIB_H
#define FIB_FIB_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/addr.h"
#include "daemon/base/buf.h"
#include "daemon/base/loop.h"

struct fib;
struct fib_link;

/* Whose routes may be taken over as if they were ours; bits. */
enum fib_owner {
	FIB_OWNER_BIRD = 1,  /* protocol 12 */
	FIB_OWNER_FELIX = 2, /* protocol 80, and 3 on interfaces of workloads and tunnels */
};

struct fib_conf {
	bool programming;     /* false: read only (a route reflector) */
	bool workload_routes; /* false: beside a Felix. Routes and settings of workloads, VXLAN and tunnel devices are
				 its, and its routes to workloads are told */
	uint8_t protocol;     /* of the routes we write, 186 */
	uint32_t table;	      /* 254 main */
	/* A VRF device by its name, "" or NULL none: its table is used, whatever `table` says; next hops are resolved
	 * by that table alone, and while there is no such device nothing is written. Without one they are resolved by
	 * the main table. Copied. */
	const char *vrf;
	/* Beside another fib of this process: routes of its own table and nothing else, neither interfaces' settings
	 * nor neighbours, tunnels, addresses; and what the other one wrote resolves no next hop. */
	bool routes_only;
	bool onlink;		      /* write RTNH_F_ONLINK on gateways that are on a connected network */
	int64_t fixed_metric;	      /* -1: the metric each intent says; else this one for every route */
	const char *interface_prefix; /* "cali"; several with commas */
	uint64_t audit;		      /* ns between full comparisons with the kernel; 0 never */
	unsigned max_paths;	      /* ECMP width, at least 1 */
	unsigned takeover;	      /* bits of enum fib_owner */
};

struct fib_ops {
	/* A watched next hop changed, or its place did (also called once after fib_nexthop_watch, when known). metric:
	 * of the route that resolves it, 0 if directly connected. */
	void (*on_nexthop)(void *arg, const struct addr *nh, bool reachable, uint32_t metric);
	/* An interface came or went, went up or down, or has another name (then old_name is what it was called, else
	 * NULL). May be NULL. */
	void (*on_link)(void *arg, const struct fib_link *l, const char *old_name);
	/* An address of this node came or went. May be NULL. */
	void (*on_address)(void *arg);
	/* Beside a Felix: something about the routes of this prefix to workloads changed; fib_workload_find() says what
	 * there is. May be NULL. */
	void (*on_workload)(void *arg, const struct prefix *p);
};

/* An interface of this node. */
struct fib_link {
	uint32_t ifindex; /* 0: it is gone */
	bool up;	  /* and has a carrier */
	char name[16];
	uint32_t vrf_table; /* of a VRF device; 0: it is none */
};
/* By name; false if there is none. */
bool fib_link_find(const struct fib *f, const char *name, struct fib_link *l);
/* Has this interface the address? */
bool fib_link_has(const struct fib *f, uint32_t ifindex, const struct addr *a);

/* An address of an interface of this node. */
struct fib_address {
	struct addr addr;
	uint8_t len;
	uint32_t ifindex;
	char ifname[16];
};
/* All of them as the kernel lists them: by the interface's index, and of one in the order in which they came. Returns
 * how many; *out is the caller's to free. */
unsigned fib_addresses(const struct fib *f, struct fib_address **out);

/* Opens the sockets and reads the kernel (synchronously: links, addresses, routes). NULL with a message in err if
 * the kernel refuses. conf is copied. */
struct fib *fib_new(struct loop *loop, const struct fib_conf *conf, const struct fib_ops *ops, void *arg, char *err,
		    size_t err_size);
/* Leaves every kernel route in place. */
void fib_free(struct fib *f);
/* Applies a changed configuration: what it changes is rewritten in place. */
void fib_configure(struct fib *f, const struct fib_conf *conf);

/* Lower wins where two classes want the same prefix at the same metric. */
enum fib_class { FIB_WORKLOAD, FIB_OVERLAY, FIB_REACH, FIB_BGP, FIB_BLOCK, FIB_CLASS_COUNT };
enum fib_type { FIB_VIA, FIB_DEV, FIB_BLACKHOLE };

/* Devices for encapsulated routes, one of each kind. */
enum fib_tunnel { FIB_NO_TUNNEL, FIB_IPIP, FIB_VXLAN, FIB_VXLAN6, FIB_TUNNEL_COUNT };
const char *fib_tunnel_name(enum fib_tunnel t); /* "tunl0", "vxlan.calico", "vxlan-v6.calico" */

struct fib_hop {
	struct addr gateway;	/* FIB_VIA: the next hop as BGP knows it; resolved here */
	enum fib_tunnel tunnel; /* FIB_VIA: not resolved, but the other end on this device */
	struct addr link_local; /* FIB_VIA, IPv6: used as gateway if set and the next hop is on a connected network */
	char ifname[16]; /* FIB_DEV, and FIB_VIA with a link-local gateway without a scope: the interface's name */
};

struct fib_route {
	struct prefix prefix;
	uint32_t metric; /* 0 means 1024 in the kernel for IPv6 */
	enum fib_class class;
	enum fib_type type;
	uint8_t mac[6]; /* FIB_WORKLOAD with an IPv4 prefix: permanent neighbour, all zero for none */
	unsigned hop_count;
	const struct fib_hop *hops; /* copied */
};

/* Wants this route; replaces an earlier intent of the same prefix and class, whatever its metric. */
void fib_set(struct fib *f, const struct fib_route *r);
/* No longer wants it. Unknown ones are ignored. */
void fib_unset(struct fib *f, const struct prefix *p, enum fib_class class);

/* The address is reached by this gateway: it gets a host route (class FIB_REACH), and next hops with the address are
 * resolved as the gateway is, whatever other routes lead to them. Set again to change the gateway. */
void fib_reach_set(struct fib *f, const struct addr *to, const struct addr *via);
void fib_reach_unset(struct fib *f, const struct addr *to);

/* The table that is written; 0: its VRF device is not there. */
uint32_t fib_table(const struct fib *f);
/* The table is written by this process alone, whatever becomes of it: an intent that a later start knows it by. */
void fib_mark_table(struct fib *f);
/* Tables besides this one that the start has seen marked, left by an earlier run: at most max of them into out;
 * returns how many. */
unsigned fib_other_tables(const struct fib *f, uint32_t *out, unsigned max);

/* All intents are known now: kernel routes of our protocol that nobody wants are removed from here on. Before this
 * they are left (adopted) in place. Per family. */
void fib_sync_done(struct fib *f, enum family family);
bool fib_is_synced(const struct fib *f, enum family family);

/* What a tunnel device must be like. */
struct fib_tunnel_conf {
	struct addr addr;  /* its own address, with all bits of prefix; none: it has none */
	struct addr local; /* this node's address on the network between the nodes; the MTU comes from its interface */
	uint8_t mac[6];	   /* VXLAN; all zero: the kernel's choice */
	uint32_t vni;	   /* VXLAN */
	uint16_t port;	   /* VXLAN: UDP */
	uint32_t mtu;	   /* 0: what the interface of `local` leaves after encapsulation */
	char users[160];   /* who needs it, for messages: "IPPool a, b" */
};
/* Makes the device and keeps it so, whoever changes it; a device that is there and right is taken as it is. NULL: it is
 * not needed any more: seconds later, when the others have stopped using it, VXLAN devices go, and tunl0 (which is the
 * kernel's) loses our address. */
void fib_tunnel_set(struct fib *f, enum fib_tunnel t, const struct fib_tunnel_conf *conf);

/* An address that this node is to have, whatever its networks are (none: none): put on the loopback interface, and back
 * if somebody removes it. One of each family. */
void fib_own_address_set(struct fib *f, enum family family, const struct addr *a);

/* Another node's end of a VXLAN: neighbour and forwarding entries. Keyed by addr; set again to change it. */
struct fib_vtep {
	struct addr addr; /* its tunnel address: the gateway of routes through it */
	struct addr node; /* its address on the network between the nodes */
	uint8_t mac[6];
};
void fib_vtep_set(struct fib *f, enum fib_tunnel t, const struct fib_vtep *v);
void fib_vtep_unset(struct fib *f, enum fib_tunnel t, const struct addr *addr);

/* Beside a Felix: has the kernel a route of this prefix to a workload's interface? Priority is the lowest metric;
 * metric 0, which older Felixes and CNI plugins give, counts as normal. False when workload routes are ours. */
bool fib_workload_find(const struct fib *f, const struct prefix *p, uint32_t normal, uint32_t *priority);
/* The interface that it leads over, of the one with that priority; "" if there is none. */
void fib_workload_interface(const struct fib *f, const struct prefix *p, char name[static 16]);
/* Calls on_workload() for each that is there. */
void fib_each_workload(const struct fib *f);

/* The interface that a watched next hop leads over, the first if there are several; "" if it leads nowhere. Whoever
 * watches it is told when it changes. */
void fib_nexthop_interface(const struct fib *f, const struct addr *nh, char name[static 16]);
/* Asks to be told whether a next hop can be reached, until unwatched as often as watched. */
void fib_nexthop_watch(struct fib *f, const struct addr *nh);
void fib_nexthop_unwatch(struct fib *f, const struct addr *nh);

/* A gateway that does not forward, whatever its link says (BFD). It counts as a dead link does: at once it leaves every
 * route that has another way, be it the next hop as BGP knows it or the gateway of the kernel's route to one; a route
 * that has no other goes, as a shorter prefix may know better than to lose every packet; who watches a next hop is
 * told. Until it is up again; both may be said twice. */
void fib_gateway_down(struct fib *f, const struct addr *gateway);
void fib_gateway_up(struct fib *f, const struct addr *gateway);

/* Where an address is, as the kernel's routes have it: whoever watches it as a next hop is told if that changes. */
enum fib_place {
	FIB_NOWHERE,	    /* no route, or one that rejects */
	FIB_CONNECTED,	    /* on a network this node is connected to */
	FIB_BEHIND_ROUTERS, /* a route with a gateway, or the default route, leads to it */
};
enum fib_place fib_place_of(const struct fib *f, const struct addr *a);

/* What is known of one kernel route or intent, for show and explain. */
enum fib_state {
	FIB_INSTALLED,	/* in the kernel as wanted */
	FIB_PENDING,	/* will be written at the end of this turn, or is being retried */
	FIB_UNRESOLVED, /* waits: no route to the next hop, or the interface is missing or down */
	FIB_FAILED,	/* the kernel refused it; retried with back-off */
	FIB_SHADOWED,	/* another class has this prefix and metric */
	FIB_STALE,	/* ours in the kernel, not wanted (yet), waiting for sync */
	FIB_OFF,	/* not programmed by configuration */
	FIB_STATE_COUNT
};
const char *fib_state_name(enum fib_state s);

struct fib_view {
	struct prefix prefix;
	uint32_t metric;
	enum fib_class class; /* meaningless when stale */
	enum fib_state state;
	char reason[160]; /* why, when not installed: "next hop 10.0.0.9: no route"; or what is missing of it */
	char route[200];  /* as `ip route` would print it: "via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink" */
};
/* Walks intents and stale kernel routes; start with *pos = 0; false at the end. Not stable over changes. */
bool fib_next(const struct fib *f, uint64_t *pos, struct fib_view *v);
/* All that concerns the longest matching prefix for an address: calls back for each, intents first. */
void fib_explain(const struct fib *f, const struct addr *a, void (*cb)(void *arg, const struct fib_view *v), void *arg);
/* What would be done to the kernel if programming were on and the routes of these owners (bits of enum fib_owner) were
 * ours. Nothing is done. What waits is a route that leads nowhere yet, or, before fib_sync_done(), one by a gateway
 * that nobody wants yet: BGP may still tell it. */
enum fib_deed { FIB_DEED_ADD, FIB_DEED_REPLACE, FIB_DEED_REMOVE, FIB_DEED_WAIT, FIB_DEED_COUNT };
const char *fib_deed_name(enum fib_deed d);
struct fib_plan {
	struct prefix prefix;
	enum fib_deed deed;
	char before[200], now[200]; /* as `ip route` would print them; "" for what is not */
	char why[160];		    /* it waits; else "" */
};
/* Zero at first; valid as long as nothing changes. */
struct fib_plan_walk {
	uint32_t pos;
	bool routes_done;
};
/* The same for the devices of tunnels: a line for each that would be made, replaced or changed. */
void fib_plan_devices(const struct fib *f, struct strbuf *out);
/* False at the end. */
bool fib_plan_next(const struct fib *f, unsigned owners, struct fib_plan_walk *w, struct fib_plan *p);

/* Wants nothing any more, and removes what is ours: routes, entries of neighbours, VXLAN devices, our address on tunl0.
 * It is done when fib_is_idle(). */
void fib_teardown(struct fib *f);
/* Nothing is waiting to be written or to be answered. */
bool fib_is_idle(const struct fib *f);

/* The kernel's own answer for an address (RTM_GETROUTE): "10.1.2.3 via 10.0.0.2 dev eth0", or the error. Synchronous.
 */
void fib_kernel_lookup(struct fib *f, const struct addr *a, char *out, size_t size);

struct fib_stats {
	unsigned intents, installed, unresolved, failed, stale, adopted, links;
	unsigned foreign;	     /* routes of others that the kernel has */
	size_t bytes, foreign_bytes; /* of the table of our routes, and of the others' */
	uint64_t writes, deletes, batches, errors, repaired, resyncs; /* since the start */
	uint64_t last_batch_ns;
};
struct fib_stats fib_stats(const struct fib *f);
/* Interfaces whose settings could not be made, missing kernel features and the like: text per line, or "". */
void fib_problems(const struct fib *f, struct strbuf *out);

#endif
