/* What the parts of the fib share: the struct fib itself and the routes in it. Private to fib/ (and to its tests).
 *
 *   fib.c      intents: who wants what; the winner per (prefix, metric)
 *   resolve.c  what is wanted, interned, and where it leads: next hops through foreign routes, interfaces by name
 *   kernel.c   what the kernel has: start, events, resync
 *   write.c    the difference: batches, answers, retries
 *   neigh.c, settings.c  what a workload's interface needs besides its route
 *   tunnel.c   the devices of encapsulated routes
 *   owners.c   whose routes are taken over
 *   beside.c   what is left to a running Felix, and learned from it
 *   show.c, plan.c  for people
 *
 * A change of any input ends in route_changed() or route_check(), which queue the route; at the end of the loop's turn
 * write.c compares want and have of what is queued. Nothing else writes routes. */
#ifndef FIB_STATE_H
#define FIB_STATE_H

#include <bsd/sys/queue.h>

#include "daemon/base/hash.h"
#include "daemon/base/log.h"
#include "daemon/base/loop.h"
#include "daemon/base/mem.h"
#include "fib/backoff.h"
#include "fib/fib.h"
#include "fib/foreign.h"
#include "fib/links.h"
#include "fib/neigh.h"
#include "fib/netlink.h"
#include "fib/nhset.h"
#include "fib/reach.h"
#include "fib/resolve.h"
#include "fib/tunnel.h"

enum {
	ROUTE_DIRTY = 1 << 0,	/* in one of the two queues */
	ROUTE_FLIGHT = 1 << 1,	/* a request is on its way: never freed, never sent twice */
	ROUTE_ECHO = 1 << 2,	/* the event of that request came: have is right as it is */
	ROUTE_ADOPTED = 1 << 3, /* was in the kernel at start and was not written since */
	ROUTE_LOST = 1 << 4,	/* somebody else took our route away; the next write is a repair */
	ROUTE_DUMPED = 1 << 5,	/* what we have is what the dump said last, not an event */
	/* What it is counted as in fib_stats: route_count() keeps these. */
	ROUTE_IS_STALE = 1 << 8,
	ROUTE_IS_UNRESOLVED = 1 << 9,
	ROUTE_IS_FAILED = 1 << 10,
	ROUTE_IS_INSTALLED = 1 << 11,
	ROUTE_IS_ADOPTED = 1 << 12,
};
#define ROUTE_COUNTS (ROUTE_IS_STALE | ROUTE_IS_UNRESOLVED | ROUTE_IS_FAILED | ROUTE_IS_INSTALLED | ROUTE_IS_ADOPTED)

/* An intent that is not the winner of its route. */
struct intent {
	uint8_t class;
	uint32_t asked;
	struct want *want;
	struct intent *next;
};

/* What few routes need. */
struct route_extra {
	struct intent *others; /* best first */
	struct backoff wait;
	int error;	 /* of the last write, 0 if it went well */
	char *text;	 /* what the kernel said about it */
	uint32_t fights; /* times of late that somebody undid what we wrote */
	uint64_t fought; /* when that was last */
};

/* One (prefix, metric): the intent that wins, and what the kernel has of ours there. */
struct route {
	struct prefix prefix;
	uint8_t class; /* of the winner */
	uint8_t seen;  /* the resync that saw it last */
	uint16_t flags;
	uint32_t metric;   /* in the kernel */
	uint32_t asked;	   /* the metric the winner's intent says */
	struct want *want; /* of the winner; NULL: nobody wants it */
	LIST_ENTRY(route) want_link;
	struct nhset *have; /* NULL: not in the kernel */
	LIST_ENTRY(route) have_link;
	STAILQ_ENTRY(route) dirty_link;
	struct route_extra *extra;
};
STAILQ_HEAD(route_queue, route);

/* A route of ours that must go and is not at the place where its route says: a duplicate, or left in another table. */
struct surplus {
	struct prefix prefix;
	uint32_t metric;
	struct nhset *to;
	STAILQ_ENTRY(surplus) link;
};
STAILQ_HEAD(surplus_queue, surplus);

struct problem {
	char *key, *text;
	TAILQ_ENTRY(problem) link;
};
TAILQ_HEAD(problem_list, problem);

#define RESYNC_GONE 64

/* The reading of the whole kernel, one stage after the other. */
struct resync {
	bool running, again, started;
	bool incomplete; /* a dump was interrupted to the end: what it did not show may be there nevertheless */
	uint8_t repeats; /* resyncs in a row that asked for another one */
	uint8_t stage, interrupted, generation;
	uint64_t began;
	struct log_limit overruns;
	struct loop_timer soon, audit;
	/* Foreign routes whose removal was told while the dump runs: a chunk made earlier may still show them. */
	struct prefix gone[RESYNC_GONE];
	unsigned gone_count;
};

struct fib {
	struct loop *loop;
	struct fib_conf conf;
	char interface_prefix[128];
	const struct fib_ops *ops;
	void *arg;
	bool synced[FAM_COUNT];

	struct netlink *netlink;
	struct resync resync;
	struct links links;
	struct htab nhsets;
	struct foreign_table foreign;
	struct reaches reaches;
	struct resolver resolver;
	struct neighs neighs;
	struct tunnels tunnels;
	struct addr own[FAM_COUNT]; /* see own.c */

	struct htab routes;
	struct slab route_slab;
	struct route_queue dirty, doomed; /* to be compared; to be deleted once nothing is to be added */
	struct surplus_queue surplus;
	struct slab sent_slab;
	struct backoffs backoffs;
	struct log_limit refusals, fights;
	bool no_multipath; /* the kernel said so: IPv4 routes have one hop */
	struct loop_work resolve_work, write_work;

	struct problem_list problems;
	struct fib_stats stats;
};

/* ---- routes (fib.c) ---- */

struct route *route_find(const struct fib *f, const struct prefix *p, uint32_t metric);
/* The route that this class's intent for the prefix is the winner of, or NULL. */
struct route *route_of_class(const struct fib *f, const struct prefix *p, uint8_t class);
struct route *route_obtain(struct fib *f, const struct prefix *p, uint32_t metric);
/* Frees it if nothing needs it any more. */
void route_release(struct fib *f, struct route *r);
struct route_extra *route_extra(struct route *r);
/* What it is may have changed: keeps the counts right, so that nobody has to walk a large table for them. */
void route_count(struct fib *f, struct route *r);
/* What we know of the kernel changed: compare again, but do not cut a wait short. */
void route_check(struct fib *f, struct route *r);
/* What is wanted changed: compare again, at once. */
void route_changed(struct fib *f, struct route *r);
/* Notes what the kernel has; takes over the reference to the set (NULL: nothing). */
void route_set_have(struct fib *f, struct route *r, struct nhset *have);

/* What is to be done about a route. */
enum verdict {
	VERDICT_NONE, /* as it should be, or not ours to touch */
	VERDICT_WRITE,
	VERDICT_REMOVE,
	VERDICT_BLOCKED, /* the kernel's own connected route stands there */
};
/* to: the set to be written, if WRITE. */
enum verdict route_judge(const struct fib *f, const struct route *r, struct nhset **to);
/* Is programming of this route switched off? */
bool route_is_off(const struct fib *f, const struct route *r);

/* ---- addresses of ours (own.c) ---- */

/* An address went: it is put back if it is to be there. */
void own_lost(struct fib *f, const struct addr *a);
void own_teardown(struct fib *f);

/* ---- for people (show.c) ---- */

/* As `ip route` prints it, without the prefix. */
void show_nhset(const struct fib *f, const struct nhset *s, uint32_t metric, char *out, size_t size);
/* The same of what is wanted and leads nowhere yet, as far as it is known. */
void show_want(const struct want *w, uint32_t metric, char *out, size_t size);

void problem_set(struct fib *f, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void problem_clear(struct fib *f, const char *key);

/* ---- writing (write.c) ---- */

void write_init(struct fib *f);
void write_free(struct fib *f);
void write_schedule(struct fib *f);
/* Somebody else removed or replaced our route: puts it back, the more slowly the more often it happens. */
void write_repair(struct fib *f, struct route *r);
/* Removes a route of ours that no struct route stands for. Takes over the reference. */
void write_surplus(struct fib *f, const struct prefix *p, uint32_t metric, struct nhset *to);
/* The kernel refused to write or to remove it; text is what it said, or "". It is tried again later. */
void write_failed(struct fib *f, struct route *r, bool removal, int error, const char *text);
/* Forgets an earlier failure. */
void write_forgive(struct fib *f, struct route *r);
/* What a request for a neighbour carries as its cookie. */
void *write_neigh_cookie(struct fib *f, struct neigh *n);
/* netlink's answers. */
void write_done(void *arg, void *cookie, int error, const char *text);
void write_room(void *arg);

#endif
