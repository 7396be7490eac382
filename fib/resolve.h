/* Where wanted routes lead.
 *
 * A want is an intent without its prefix, interned: routes of one class with equal metrics and hops share it, and it
 * keeps the nhset it leads to at present. A next hop is one of those hops, shared by wants and watchers: an interface
 * by name (FIB_DEV), a link-local gateway on a named interface, or an address that is looked up in the foreign routes.
 * The kernel fixes gateway and interface of a route when it is added, so one look-up is all the recursion there is.
 *
 * When a link, an address or a foreign route changes, the next hops it may concern are queued, and at the end of the
 * turn they, their wants and the routes of these are looked at again, in this order, each only if the one before
 * changed. */
#ifndef FIB_RESOLVE_H
#define FIB_RESOLVE_H

#include <bsd/sys/queue.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/addr.h"
#include "daemon/base/hash.h"
#include "daemon/base/pageset.h"
#include "daemon/base/pool.h"
#include "fib/fib.h"
#include "fib/gateways.h"
#include "fib/nhset.h"

struct link;

struct nexthop_key {
	struct addr gateway, link_local;
	char ifname[IFNAMSIZ];
	uint8_t kind;	/* of enum fib_type: FIB_VIA or FIB_DEV */
	uint8_t tunnel; /* enum fib_tunnel */
};

/* Why it does not resolve. */
enum nexthop_trouble {
	NEXTHOP_OK,
	NEXTHOP_NO_ROUTE,
	NEXTHOP_NO_LINK,
	NEXTHOP_LINK_DOWN,
	NEXTHOP_NO_CARRIER,
	NEXTHOP_OWN,
	NEXTHOP_REJECTED,
	NEXTHOP_GATEWAY_DOWN,
};

LIST_HEAD(want_members, want_member);

struct route_place {
	struct prefix prefix;
	uint32_t metric;
};

struct nexthop {
	struct nexthop_key key;
	uint32_t hash;
	uint32_t refs; /* members of wants, and one per watch */
	uint32_t watches;
	struct want_members members;
	TAILQ_ENTRY(nexthop) all; /* of those with kind FIB_VIA */
	TAILQ_ENTRY(nexthop) queue;
	bool queued, workload, told, told_reachable;
	uint32_t told_metric, told_ifindex;
	uint8_t told_place; /* enum fib_place */
	/* The outcome. */
	uint8_t trouble;	    /* enum nexthop_trouble */
	struct addr lost;	    /* the first gateway that was left out because it is down */
	uint32_t ifindex;	    /* the interface it leads to, or would if it were up; 0 none */
	uint32_t metric;	    /* of the route that resolves it */
	struct route_place through; /* where that route stands */
	uint16_t count;
	struct nhop *hops;
};

/* The place of a next hop in a want. */
struct want_member {
	struct nexthop *nexthop;
	struct want *want;
	LIST_ENTRY(want_member) link;
};

struct neigh;

struct want {
	uint32_t refs, hash;
	uint32_t number; /* by which routes refer to it */
	uint8_t af, type, class;
	uint16_t count;
	uint32_t metric;      /* as asked for: the kernel's may be another one */
	struct pageset pages; /* where the routes are whose winner it is: see route_next_of_want() */
	struct nhset *to;     /* NULL: does not resolve */
	struct neigh *neigh;  /* the permanent neighbour that goes with it, or NULL */
	struct want_member member[];
};

TAILQ_HEAD(nexthop_list, nexthop);

#define RESOLVER_CHANGES 32

struct resolver {
	struct htab nexthops, wants;
	struct numbers want_numbers;
	struct nexthop_list all, queue;
	struct prefix changes[RESOLVER_CHANGES]; /* foreign prefixes that changed in this turn */
	unsigned change_count;			 /* above RESOLVER_CHANGES: too many to remember */
	struct gateways gateways;
};

struct fib;

void resolver_init(struct fib *f);
void resolver_free(struct fib *f);

/* The want of this intent, with a new reference. */
struct want *want_get(struct fib *f, const struct fib_route *r);
struct want *want_ref(struct want *w);
void want_unref(struct fib *f, struct want *w);

/* A link came, went or changed. old_name: what it was called before, or NULL. */
void resolve_link_changed(struct fib *f, const struct link *l, const char *old_name);
void resolve_addr_changed(struct fib *f, const struct addr *a);
void resolve_route_changed(struct fib *f, const struct prefix *p);
/* It is to be looked at again. */
void nexthop_queue(struct fib *f, struct nexthop *h);
/* Everything, because the configuration changed or much was missed. */
void resolve_all(struct fib *f);
/* Is there a next hop that resolves through the foreign route at this place? */
bool resolve_goes_through(const struct fib *f, const struct prefix *p, uint32_t metric);
/* The queued work; runs by itself at the end of the turn. */
void resolve_run(struct fib *f);
/* "next hop 10.0.0.9: no route": the first that does not resolve. */
void want_explain(const struct fib *f, const struct want *w, char *out, size_t size);

#endif
