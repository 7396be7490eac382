/* Where a kernel route leads, interned: everything a route says apart from its key (prefix, metric).
 *
 * A hundred thousand routes share a handful of these, and comparing what is wanted with what the kernel has is
 * comparing two numbers. Hops are kept in one canonical order, so that the order in which ECMP members were named, or
 * in which the kernel lists them, makes no difference. */
#ifndef FIB_NHSET_H
#define FIB_NHSET_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/addr.h"
#include "daemon/base/hash.h"
#include "daemon/base/pageset.h"
#include "daemon/base/pool.h"

/* More than the kernel takes from anyone in practice; what is beyond is cut off and marks the set odd. */
#define NHSET_MAX 128

/* One final hop: a neighbour (or none) on an interface, be it a tunnel's. */
struct nhop {
	struct addr gateway; /* AF_UNSPEC: directly on the interface */
	uint8_t onlink;
	uint8_t weight; /* as in rtnh_hops: 0 is weight one */
	uint8_t zero;
	uint32_t ifindex;
};

/* Compared and hashed as bytes: no padding. */
struct nhset_key {
	uint32_t table;
	uint16_t count;
	uint8_t af, protocol, type, scope;
	uint8_t odd; /* carries something this daemon never writes (metrics, encapsulation, ...): equals no want */
	struct addr source; /* preferred source, if any */
};

struct nhset {
	uint32_t refs, hash;
	uint32_t number;      /* by which routes refer to it */
	uint32_t own;	      /* count of routes of ours that are in the kernel with it, */
	struct pageset pages; /* ... and where they are: see route_next_of_set() */
	uint32_t foreign;     /* count of foreign routes with it */
	struct nhset_key key;
	struct nhop hop[];
};

/* Zero-initialised is empty. */
struct nhsets {
	struct htab all;
	struct numbers numbers;
};

/* A set under construction. Zero the key first. */
struct nhset_draft {
	struct nhset_key key;
	struct nhop hop[NHSET_MAX];
};

/* Adds a hop unless it is there already; beyond NHSET_MAX the set becomes odd. */
void nhset_draft_add(struct nhset_draft *d, const struct nhop *hop);

/* The one set equal to the draft (which gets sorted), with a new reference. */
struct nhset *nhset_get(struct nhsets *all, struct nhset_draft *d);
struct nhset *nhset_ref(struct nhset *s);
/* Drops a reference; frees with the last. NULL is allowed. */
void nhset_unref(struct nhsets *all, struct nhset *s);

/* Frees all sets, whoever still refers to them. */
void nhset_free_all(struct nhsets *all);

/* Is every hop of part also in whole? Both of the same family. */
bool nhset_includes(const struct nhset *whole, const struct nhset *part);
/* Whole without the hops of part, with a new reference; NULL if nothing is left. */
struct nhset *nhset_without(struct nhsets *all, const struct nhset *whole, const struct nhset *part);
/* Could the kernel join it with others to an IPv6 multipath route (a unicast route by gateways)? */
bool nhset_is_gatewayed(const struct nhset *s);
bool nhset_uses(const struct nhset *s, uint32_t ifindex);

#endif
