/* What the parts of the fib share: the struct fib itself and the routes in it. Private to fib/ (and to its tests).
 *
 *   fib.c      intents: who wants what; the winner per (prefix, metric)
 *   route.c    the table of routes: what is wanted and what is there, by (prefix, metric)
 *   resolve.c  what is wanted, interned, and where it leads: next hops through foreign routes, interfaces by name
 *   kernel.c   what the kernel has: start, events, resync
 *   write.c    the difference: batches, answers, retries
 *   neigh.c, settings.c  what a workload's interface needs besides its route
 *   tunnel.c   the devices of encapsulated routes
 *   owners.c   whose routes are taken over
 *   beside.c   what is left to a running Felix, and learned from it
 *   vrf.c      whose table it is, and what is in others
 *   show.c, plan.c  for people
 *
 * A change of any input ends in route_changed() or route_check(), which queue the route; at the end of the loop's turn
 * write.c compares want and have of what is queued. Nothing else writes routes. */
#ifndef FIB_STATE_H
#define FIB_STATE_H

#include <bsd/sys/queue.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

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
#include "fib/route.h"
#include "fib/tunnel.h"

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
#define OTHER_TABLES 32

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
	char vrf[IFNAMSIZ];
	uint32_t other_tables[OTHER_TABLES]; /* see fib_other_tables() */
	unsigned other_table_count;
	const struct fib_ops *ops;
	void *arg;
	bool synced[FAM_COUNT];

	struct netlink *netlink;
	struct resync resync;
	struct links links;
	struct nhsets nhsets;
	struct foreign_table foreign;
	struct reaches reaches;
	struct resolver resolver;
	struct neighs neighs;
	struct tunnels tunnels;
	struct addr own[FAM_COUNT]; /* see own.c */

	struct routes routes;
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

/* The table that next hops are resolved by: a VRF's own, else the main one. */
static inline uint32_t base_table(const struct fib *f)
{
	return f->vrf[0] ? f->conf.table : RT_TABLE_MAIN;
}

/* ---- routes (route.c, fib.c) ---- */

/* NULL: nobody wants it; it is not in the kernel. */
static inline struct want *route_want(const struct fib *f, const struct route *r)
{
	return number_at(&f->resolver.want_numbers, r->want);
}
static inline struct nhset *route_have(const struct fib *f, const struct route *r)
{
	return number_at(&f->nhsets.numbers, r->have);
}
/* Where it is wanted to lead; NULL: nowhere (yet). */
static inline struct nhset *route_to(const struct fib *f, const struct route *r)
{
	const struct want *w = route_want(f, r);

	return w ? w->to : NULL;
}
/* The kernel has it, and as it is wanted. */
static inline bool route_is_in_sync(const struct fib *f, const struct route *r)
{
	const struct nhset *to = r->have ? route_to(f, r) : NULL;

	return to && to->number == r->have;
}

/* The route that this class's intent for the prefix is the winner of, or NULL. */
struct route *route_of_class(const struct fib *f, const struct prefix *p, uint8_t class);
/* What we know of the kernel changed: compare again, but do not cut a wait short. */
void route_check(struct fib *f, struct route *r);
/* What is wanted changed: compare again, at once. */
void route_changed(struct fib *f, struct route *r);

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

/* ---- tables (vrf.c) ---- */

/* What we wrote into the table we used before goes, after the new table has it (fib.c). */
void leave_table(struct fib *f);
/* Compares all routes again (fib.c). */
void check_all(struct fib *f);
/* The table of the VRF device; 0: there is none. */
uint32_t vrf_table(const struct fib *f);
/* The VRF device of the fib; 0: it is of none, or the device is not there. */
uint32_t vrf_ifindex(const struct fib *f);
/* The VRF device may have come, gone, or have another table. */
void vrf_follow(struct fib *f);
/* Is this an address of the node, in the VRF (or in none) that the fib is of? */
bool vrf_is_own(const struct fib *f, const struct addr *a);
/* A dump shows this route: remembers its table if it is the mark of another one of ours. */
void vrf_note_table(struct fib *f, const struct nlmsghdr *h);

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
