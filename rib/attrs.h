/* Interned attribute sets: equal attributes are one object, so comparing sets is comparing pointers.
 *
 * A set keeps its canonical encoded form and, beside it, what the decision process reads. Sets are reference-counted;
 * the table holds them weakly. */
#ifndef RIB_ATTRS_H
#define RIB_ATTRS_H

#include "bgp/codec/attr.h"
#include "daemon/base/pageset.h"

struct nexthop;

struct attrs {
	uint32_t refs, hash;
	struct nexthop *next_hop; /* interned too; NULL for local routes without one */
	uint32_t local_pref;	  /* 100 if absent */
	uint32_t med;		  /* 0 if absent */
	uint32_t first_as;	  /* leftmost AS of AS_PATH; 0 if empty */
	uint16_t path_length;	  /* as the decision process counts it */
	uint16_t len;		  /* of the canonical form */
	uint8_t origin;
	uint8_t flags; /* ATTRS_* */
	uint8_t canonical[];
};
#define ATTRS_HAS_ORIGINATOR 0x01 /* ORIGINATOR_ID or CLUSTER_LIST present: read them from the canonical form */
#define ATTRS_LOCAL_PREF 0x02	  /* LOCAL_PREF was present */
/* Well-known communities that mean something here. */
#define ATTRS_NO_EXPORT 0x04 /* or NO_EXPORT_SUBCONFED */
#define ATTRS_NO_ADVERTISE 0x08
#define ATTRS_BLACKHOLE 0x10	     /* RFC 7999 */
#define ATTRS_GRACEFUL_SHUTDOWN 0x20 /* RFC 8326 */
#define ATTRS_LLGR_STALE 0x40	     /* RFC 9494 */
#define ATTRS_NO_LLGR 0x80

/* A next hop, shared by all sets that use it. Reachability is set by whoever resolves it (rib_nexthop_update). Next
 * hops that differ only in the link-local address are separate objects of one chain with equal reachability. */
struct nexthop {
	struct bgp_nexthop addr;
	bool reachable;
	uint32_t refs;
	uint32_t metric;		 /* of the route that resolves it */
	struct nexthop *sibling;	 /* same global address, another link-local one */
	struct pageset pages[FAM_COUNT]; /* where the tables have routes over it (kept by the RIB) */
};

struct attrs_table;
struct attrs_table *attrs_table_new(void);
void attrs_table_free(struct attrs_table *t);

/* The set equal to a (a->next_hop included), with a reference for the caller. NULL if the canonical form would exceed
 * 65,535 octets (a huge AS_PATH of 2-octet numbers can): nobody could be sent such a route. */
struct attrs *attrs_intern(struct attrs_table *t, const struct bgp_attrs *a);
struct attrs *attrs_ref(struct attrs *a);
void attrs_unref(struct attrs_table *t, struct attrs *a);
/* Decodes the canonical form; spans borrow the set. */
void attrs_get(const struct attrs *set, struct bgp_attrs *out);

/* Called with true when a next hop's global address is used for the first time and with false when it is no longer used
 * (nh is freed after the call). The callback may set reachability, and must not intern or drop sets. */
void attrs_table_on_nexthop(struct attrs_table *t, void (*cb)(void *arg, struct nexthop *nh, bool used), void *arg);
struct nexthop *attrs_nexthop_find(const struct attrs_table *t, const struct bgp_nexthop *addr);
/* The chain of next hops with this global address (follow sibling), or NULL. */
struct nexthop *attrs_nexthop_chain(const struct attrs_table *t, const struct addr *addr);

unsigned attrs_count(const struct attrs_table *t);
unsigned attrs_nexthops(const struct attrs_table *t); /* distinct global addresses in use */
size_t attrs_bytes(const struct attrs_table *t);

#endif
