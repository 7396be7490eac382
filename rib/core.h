/* The inside of the RIB, shared by the files of rib/ and nobody else.
 *
 * rib.c owns the queue of dirty nodes and the work items, update.c and local.c change routes, crowd.c
 * finds them where there are many, decide.c selects, peer.c
 * owns peers, ages.c how old their routes are and the walks over them; want.c, group.c, adjout.c, entries.c, encode.c,
 * chunk.c and send.c are what goes out. */
#ifndef RIB_CORE_H
#define RIB_CORE_H

#include <bsd/sys/queue.h>

#include "daemon/base/hash.h"
#include "daemon/base/log.h"
#include "daemon/base/mono.h"
#include "daemon/base/pageset.h"
#include "rib/rib.h"
#include "rib/send.h"
#include "rib/table.h"

#define LOCAL_PEER 0u /* index of the local peer */
#define PEERS_MAX UINT16_MAX

/* A route: 24 octets. Its list hangs off the node; the stale generation is epoch, see ages.c. */
struct route {
	struct attrs *attrs; /* after import policy; one reference */
	uint32_t next;	     /* of the same prefix, ID_NONE at the end */
	uint32_t path_id;
	uint32_t since; /* mono seconds */
	uint16_t peer;	/* index */
	uint8_t flags;	/* ROUTE_* */
	uint8_t epoch;
};
#define ROUTE_BEST 0x01
#define ROUTE_MULTIPATH 0x02 /* selected beside the best one */
#define ROUTE_SELECTED (ROUTE_BEST | ROUTE_MULTIPATH)
#define ROUTE_CHANGED 0x04 /* import policy changed its attributes; the received ones are in rib->originals */
#define ROUTE_SOURCE_SHIFT 3
#define ROUTE_SOURCE 0x18
#define ROUTE_REASON_SHIFT 5
#define ROUTE_REASON 0xe0

/* Why a route takes no part in the selection. */
enum reject_reason {
	REJECT_NONE,
	REJECT_POLICY,
	REJECT_AS_LOOP,
	REJECT_ORIGINATOR,
	REJECT_CLUSTER,
	REJECT_MARTIAN_NEXT_HOP,
	REJECT_OWN_NEXT_HOP,
	REJECT_NO_NEXT_HOP,
	REJECT_COUNT
};
extern const char *const reject_texts[REJECT_COUNT];

/* Peers' routes are SOURCE_BGP; for the others two bits are enough. */
_Static_assert(SOURCE_BGP == 0 && SOURCE_COUNT <= 5, "the sources of local routes fit ROUTE_SOURCE");
static inline enum route_source route_source(const struct route *rt)
{
	if (rt->peer != LOCAL_PEER)
		return SOURCE_BGP;
	return (enum route_source)(((rt->flags & ROUTE_SOURCE) >> ROUTE_SOURCE_SHIFT) + 1);
}
static inline uint8_t route_source_flags(enum route_source s)
{
	return s == SOURCE_BGP ? 0 : (uint8_t)((s - 1u) << ROUTE_SOURCE_SHIFT);
}
static inline enum reject_reason route_reason(const struct route *rt)
{
	return (enum reject_reason)(rt->flags >> ROUTE_REASON_SHIFT);
}

static inline bool route_is_reachable(const struct route *rt)
{
	return !rt->attrs->next_hop || rt->attrs->next_hop->reachable;
}

/* How many routes of a peer are in which state. */
enum age { AGE_FRESH, AGE_STALE, AGE_LONG_LIVED, AGE_DEAD, AGE_COUNT };
struct tally {
	uint32_t routes, accepted;
};

/* What a peer has of one family. */
struct peer_family {
	struct tally tally[AGE_COUNT];
	uint32_t best;		       /* prefixes whose best route is this peer's */
	uint8_t epoch;		       /* of routes that come in now */
	uint8_t long_until;	       /* routes of earlier epochs are long-lived stale (RFC 9494), */
	uint8_t keep_from;	       /* ... and those of still earlier ones dead */
	uint8_t span;		       /* epochs that routes in the table may have, less one */
	struct pageset pages;	       /* where its routes are */
	struct pageset todo;	       /* pages still to be walked */
	bool walking;		       /* it is not through */
	uint8_t walk_epoch, walk_long; /* epoch and long_until when it began */
	struct cursor cursor;	       /* what goes out */
};

struct rib_peer {
	struct rib *rib;
	void *arg;
	struct rib_peer_conf conf;
	struct addr other; /* conf.other, as it was when the session came up: what it was sent hangs on it */
	uint16_t index;
	uint64_t serial;
	bool up, freed;
	bool scanning;	    /* on rib->scans */
	uint8_t scan_flags; /* SCAN_*: what the walk does besides removing dead routes */
	bool idle;	    /* everything was pulled: on_ready is due when there is more */
	uint32_t router_id;
	uint8_t identity; /* modulo IDENTITIES: another one when its routes may look different to others */
	struct bgp_codec codec;
	struct bgp_nexthop self[FAM_COUNT];
	struct peer_family fam[FAM_COUNT];
	uint64_t free_after[FAM_COUNT]; /* dirty marks: see peer.c */
	TAILQ_ENTRY(rib_peer) scan;
	struct group *group;
	bool regroup; /* the configuration changed while it was moving between groups */
	TAILQ_ENTRY(rib_peer) member;
	uint8_t eor_sent; /* bit per family */
	uint64_t updates_in, withdraws_in, updates_out, withdraws_out;
	struct rib_faults faults;
};
TAILQ_HEAD(rib_peer_list, rib_peer);
#define IDENTITIES 64u
#define SCAN_REEVALUATE 1 /* import checks and policy again */
#define SCAN_DECIDE 2	  /* the decision process again */

/* A queue of node ids; counts of all pushed and popped ids serve as marks. */
struct fifo {
	uint32_t *ids;
	uint32_t mask;
	uint64_t head, tail;
};

/* The last UPDATE's attributes: the next one often has the same (RIB updates of one session come in runs). */
struct update_memo {
	uint8_t raw[512];
	size_t len;
	uint16_t peer;
	bool valid;
	struct bgp_nexthop next_hop;
	struct attrs *attrs;
	uint8_t reason;
};

struct own_address {
	struct addr addr;
	unsigned refs;
};

struct rib {
	struct loop *loop;
	struct rib_conf conf;
	struct rib_sink sink;
	void *arg;
	const struct rib_observer *observer; /* NULL: nobody looks */
	struct attrs_table *attrs;
	struct table table[FAM_COUNT];
	struct pool routes;
	unsigned n_routes[FAM_COUNT];
	struct htab originals;	       /* struct original by route id */
	struct htab crowds[FAM_COUNT]; /* struct crowd by node id */
	bool released[FAM_COUNT];      /* routes may be sent */
	bool complete[FAM_COUNT];      /* End-of-RIB too, once what was dirty at `complete_mark` is decided */
	uint64_t complete_mark[FAM_COUNT];

	struct rib_peer **peers; /* by index; [LOCAL_PEER] is the local one */
	unsigned n_peers, n_freed;
	unsigned free_from; /* no lower index is free */
	uint64_t next_serial;
	struct htab by_address;	 /* peers by each of their addresses */
	struct own_address *own; /* addresses of ours that up sessions use */
	unsigned n_own;
	struct rib_peer_list scans;
	struct pageset next_hop_todo[FAM_COUNT]; /* pages with routes over next hops that changed */

	struct fifo dirty[FAM_COUNT];
	struct loop_work scan_work, run_work, reap_work;
	bool interfaces;	 /* some policy asks, or asked, for interfaces */
	bool interfaces_changed; /* such policies are to be evaluated again */
	bool notify;		 /* somebody may have become ready */

	LIST_HEAD(, group) groups;
	LIST_HEAD(, stream) dying;
	unsigned n_groups, next_group;

	struct update_memo memo;
	struct arena arena; /* for the length of one call from outside or one slice */
	struct decision *decision;
	struct wants *wants;
	struct encoder *encoder;
	struct log_limit log_limit, long_limit;
};

static inline struct route *route_at(const struct rib *r, uint32_t id)
{
	return pool_at(&r->routes, id);
}
static inline struct rib_peer *peer_at(const struct rib *r, uint16_t index)
{
	return r->peers[index];
}

/* rib.c */
/* Fills in the interface, if the policy asks for it. */
void policy_input_interface(const struct rib *r, const struct policy *p, struct policy_input *in);
/* What rib_interfaces_changed() put off. */
void interfaces_settle(struct rib *r);
void node_mark_dirty(struct rib *r, enum family f, uint32_t id);
/* Frees the node if nothing needs it any more. */
void node_release(struct rib *r, enum family f, uint32_t id);
static inline void rib_schedule(struct rib *r)
{
	loop_work_schedule(r->loop, &r->run_work);
}
/* Everything that is dirty now has been decided once this many nodes have been popped. */
static inline uint64_t dirty_mark(const struct rib *r, enum family f)
{
	return r->dirty[f].tail;
}
static inline bool dirty_passed(const struct rib *r, enum family f, uint64_t mark)
{
	return r->dirty[f].head >= mark;
}

/* update.c: the only places where routes come and go. */
struct route_change {
	enum family family;
	uint32_t node;
	struct rib_peer *peer;
	uint32_t path_id;
	struct attrs *attrs;	   /* as received; not consumed */
	enum reject_reason reason; /* of the whole UPDATE, before policy */
	bool long_lived;	   /* the route is kept as long-lived stale */
	enum route_source source;
	uint32_t now; /* mono seconds */
};
void route_set(struct rib *r, const struct route_change *c, const struct prefix *prefix);
/* False if the peer has no such route. */
bool route_withdraw(struct rib *r, enum family f, uint32_t node_id, struct rib_peer *p, uint32_t path_id);
/* The route that this link (a list's head or a next field) holds. */
void route_remove(struct rib *r, enum family f, uint32_t node_id, uint32_t *link);
/* Evaluates loops and import policy again for a route that stays. */
void route_reevaluate(struct rib *r, enum family f, uint32_t node_id, uint32_t route_id);
enum reject_reason import_check(const struct rib_peer *p, const struct attrs *set, const struct bgp_attrs *a);
struct attrs *route_received(const struct rib *r, uint32_t route_id);
void originals_clear(struct rib *r);
void memo_clear(struct rib *r);

/* crowd.c */

/* The peer's route of a node, ID_NONE if it has none. */
uint32_t node_route(struct rib *r, enum family f, uint32_t node_id, uint16_t peer, uint32_t path_id);
/* A node's list has this route now; it is about to lose it. */
void crowd_add(struct rib *r, enum family f, uint32_t node_id, uint32_t route_id);
void crowd_remove(struct rib *r, enum family f, uint32_t node_id, uint32_t route_id);
void crowds_clear(struct rib *r);
size_t crowds_bytes(const struct rib *r);

/* ages.c */
enum age route_age(const struct rib_peer *p, enum family f, const struct route *rt);
/* The route is as good as withdrawn. */
void route_die(struct rib_peer *p, enum family f, struct route *rt);
void peer_count(struct rib_peer *p, enum family f, const struct route *rt, int by);
/* All fresh routes become stale; those that are stale die, or are kept as long-lived. */
void peer_all_stale(struct rib_peer *p, enum family f);
void peer_end_stale(struct rib_peer *p, enum family f);
void peer_long_lived(struct rib_peer *p, enum family f);
/* Withdraws all routes the peer has in the family, in slices. */
void peer_drop(struct rib_peer *p, enum family f);
/* No more ages can be told apart until a walk is through. */
bool peer_ages_full(const struct rib_peer *p, enum family f);
/* Walks over all routes of the peer, in slices; what: SCAN_*. */
void peer_scan(struct rib_peer *p, enum family f, uint8_t what);
bool peer_scan_run(void *arg, uint64_t deadline);

/* peer.c */
struct rib_peer *peer_make(struct rib *r, const struct rib_peer_conf *conf, void *arg);
void peer_destroy(struct rib_peer *p);
bool peer_has_address(const struct rib_peer *p, const struct addr *a);
/* The index of the peer with this address, one that is up if there are several; LOCAL_PEER if none. */
uint16_t peer_by_address(const struct rib *r, const struct addr *a);
bool rib_is_own(const struct rib *r, const struct addr *a);
/* Frees the indexes of peers whose last route is gone and decided. */
void peers_reap(struct rib *r);

/* observe.c: nothing below is to be called without an observer. */
struct outcome {
	const struct attrs *received, *accepted; /* only to be compared */
};
struct outcome route_outcome(const struct rib *r, uint32_t route_id);
/* The route was filled; `before` is all NULL if whatever it was does not count any more. */
void observe_route(const struct rib *r, enum family f, const struct prefix *prefix, uint32_t route_id,
		   const struct outcome *before);
/* It is about to be removed. */
void observe_removal(const struct rib *r, enum family f, const struct node *n, uint32_t route_id);
/* Another best route, or a changed one; ID_NONE: none. */
void observe_best(const struct rib *r, enum family f, const struct prefix *prefix, uint32_t route_id);

/* show.c */
void route_view(const struct rib *r, enum family f, const struct route *rt, struct rib_route *out);

#endif
