/* One (prefix, metric): the intent that wins, and what the kernel has of ours there; and the table of all of them.
 *
 * An IPv4 route takes 32 octets and its part of a bucket, an IPv6 one 44. What it leads to, wanted or there, is
 * interned and said by its number; what few routes need lies apart. Nobody but route.c makes or frees routes, links
 * them or writes want and have. */
#ifndef FIB_ROUTE_H
#define FIB_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/hash.h"
#include "daemon/base/pageset.h"
#include "fib/backoff.h"
#include "fib/ptab.h"

struct fib;
struct foreign;
struct nhset;
struct want;

enum {
	ROUTE_DIRTY = 1 << 0,	/* in one of the two queues */
	ROUTE_FLIGHT = 1 << 1,	/* a request is on its way: never freed, never sent twice */
	ROUTE_ECHO = 1 << 2,	/* the event of that request came: have is right as it is */
	ROUTE_ADOPTED = 1 << 3, /* was in the kernel at start and was not written since */
	ROUTE_LOST = 1 << 4,	/* somebody else took our route away; the next write is a repair */
	ROUTE_DUMPED = 1 << 5,	/* what we have is what the dump said last, not an event */
	ROUTE_IPV6 = 1 << 6,
	ROUTE_EXTRA = 1 << 7, /* there is a struct route_extra for it */
	/* What it is counted as in fib_stats: route_count() keeps these. */
	ROUTE_IS_STALE = 1 << 8,
	ROUTE_IS_UNRESOLVED = 1 << 9,
	ROUTE_IS_FAILED = 1 << 10,
	ROUTE_IS_INSTALLED = 1 << 11,
	ROUTE_IS_ADOPTED = 1 << 12,
};
#define ROUTE_COUNTS (ROUTE_IS_STALE | ROUTE_IS_UNRESOLVED | ROUTE_IS_FAILED | ROUTE_IS_INSTALLED | ROUTE_IS_ADOPTED)

struct route {
	struct pitem item;
	uint32_t next;	 /* of its queue, as queues refer to it */
	uint32_t want;	 /* of the winner; 0: nobody wants it */
	uint32_t have;	 /* 0: not in the kernel */
	uint32_t metric; /* in the kernel */
	uint16_t flags;
	uint8_t seen; /* the resync that saw it last */
	uint8_t key[];
};

/* An intent that is not the winner of its route. */
struct intent {
	struct want *want;
	struct intent *next;
};

/* What few routes need. */
struct route_extra {
	struct route *route;
	struct intent *others; /* best first */
	struct backoff wait;
	int error;	 /* of the last write, 0 if it went well */
	char *text;	 /* what the kernel said about it */
	uint32_t fights; /* times of late that somebody undid what we wrote */
	uint64_t fought; /* when that was last */
};

struct routes {
	struct ptab table[FAM_COUNT];
	struct htab extras;
};

void routes_init(struct routes *s);
/* Whoever still refers to them; extras must be gone. */
void routes_clear(struct routes *s);
uint32_t routes_count(const struct routes *s);
size_t routes_bytes(const struct routes *s);
/* All of them: start with *pos = 0, NULL at the end. Stays right whatever is released meanwhile. */
struct route *routes_next(const struct routes *s, uint32_t *pos);

static inline enum family route_family(const struct route *r)
{
	return r->flags & ROUTE_IPV6 ? FAM_IPV6 : FAM_IPV4;
}
static inline struct prefix route_prefix(const struct route *r)
{
	return ptab_prefix(route_family(r), r->key);
}

/* ---- a queue of routes, each at most in one ---- */

struct route_queue {
	uint32_t first, last; /* see route_ref() */
};

static inline bool route_queue_is_empty(const struct route_queue *q)
{
	return !q->first;
}
void route_queue_put(const struct routes *s, struct route_queue *q, struct route *r);
/* The first, which leaves the queue. Only if it is not empty. */
struct route *route_queue_take(const struct routes *s, struct route_queue *q);

/* ---- routes of a fib ---- */

struct route *route_find(const struct fib *f, const struct prefix *p, uint32_t metric);
struct route *route_obtain(struct fib *f, const struct prefix *p, uint32_t metric);
/* Frees it if nothing needs it any more. */
void route_release(struct fib *f, struct route *r);

/* Routes of others at the very place of this one: the first after that one (NULL: of all); NULL at the end. */
struct foreign *route_rival(const struct fib *f, const struct route *r, const struct foreign *after);

/* What is wanted and what is there is asked with route_want(), route_have() and the like in state.h. */

/* Notes who wins, or nobody; route_changed() has to follow. Takes over the reference, and leaves the one to the want
 * before to the caller. */
void route_set_want(struct fib *f, struct route *r, struct want *want);
/* Notes what the kernel has; takes over the reference to the set (NULL: nothing). */
void route_set_have(struct fib *f, struct route *r, struct nhset *have);

/* The routes whose winner a want is, or that the kernel has with a set: start with a walk of zeros, NULL at the end. */
struct route_walk {
	uint32_t pos;
};
struct route *route_next_of_want(const struct fib *f, struct want *w, struct route_walk *walk);
struct route *route_next_of_set(const struct fib *f, struct nhset *s, struct route_walk *walk);

struct route_extra *route_extra_find(const struct fib *f, const struct route *r);
/* NULL if it has none. */
static inline struct route_extra *route_extra(const struct fib *f, const struct route *r)
{
	return r->flags & ROUTE_EXTRA ? route_extra_find(f, r) : NULL;
}
/* Makes it if there is none. */
struct route_extra *route_extra_make(struct fib *f, struct route *r);
void route_extra_free(struct fib *f, struct route *r);

/* What it is may have changed: keeps the counts right, so that nobody has to walk a large table for them. */
void route_count(struct fib *f, struct route *r);

#endif
