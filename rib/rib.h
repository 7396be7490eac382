/* The routing information base: both families, all peers, the decision process, and what goes out to whom.
 *
 * A prefix node holds its routes; routes[0] is the best (rib_run keeps it so). Updates mark nodes dirty; rib_run()
 * decides dirty nodes, tells the sink about changed selections, and appends changes to the update groups. Peers with
 * the same export key share a group; its log of changed prefixes is read by each member at its own pace (newest wins: a
 * slow member never holds memory for the others), and the UPDATEs of a stretch of the log are encoded once and shared
 * by all members that come past it. Adj-RIB-In is the node's routes themselves. */
#ifndef RIB_H
#define RIB_H

#include "bgp/codec/attr.h"
#include "bgp/codec/update.h"
#include "daemon/base/addr.h"
#include "daemon/base/buf.h"
#include "daemon/base/loop.h"
#include "rib/attrs.h"
#include "rib/policy.h"

struct rib;
struct rib_peer;

/* A route as others see it; valid during the call it is handed to. */
struct rib_route {
	const struct rib_peer *peer; /* the local peer for our own */
	const struct attrs *attrs;
	uint32_t path_id;
	enum route_source source;
	bool stale;	 /* kept over a graceful restart */
	bool long_lived; /* ... and for so long that it is used last (RFC 9494) */
	bool rejected;	 /* by import policy or a loop check; kept for explain and soft changes */
	const char *why; /* why it is rejected, NULL if it is not; lives as long as the peer's policy */
	uint64_t since;	 /* mono, second resolution */
};

struct rib_sink {
	/* The selection for a prefix changed: routes[0..n) are the best and those equal to it (ECMP), n == 0 none.
	 * Routes whose next hop cannot be reached are included only if nothing better is there (the FIB waits for
	 * them). */
	void (*on_best)(void *arg, const struct prefix *p, const struct rib_route *routes, unsigned n);
	/* rib_pull() has something for this peer. */
	void (*on_ready)(void *arg, struct rib_peer *peer);
	/* The interface that a route leads over: by the next hop, or (NULL) of a local route of this prefix. "": none
	 * is known. Asked for only where a policy has such conditions; see rib_interfaces_changed(). May be NULL. */
	void (*interface)(void *arg, const struct prefix *p, const struct addr *next_hop, char name[static 16]);
	/* A next hop came into or went out of use. */
	void (*on_nexthop)(void *arg, const struct addr *nh, bool used);
};

struct rib_conf {
	unsigned max_paths;			    /* ECMP width */
	bool always_compare_med, deterministic_med; /* as in BIRD and FRR; default false, true */
};

struct rib *rib_new(struct loop *loop, const struct rib_conf *conf, const struct rib_sink *sink, void *arg);
void rib_free(struct rib *r);

/* What the RIB must know of a peer. The export-relevant part is the update group key (one table in group.c). */
struct rib_peer_conf {
	char name[64];
	struct addr remote;	      /* for the last tie-break */
	struct addr other;	      /* another address of the peer's (from the next session on); none: none known */
	uint32_t remote_as, local_as; /* of this session */
	uint32_t node_as; /* the AS this node is in if the session's local_as is another one; 0: it is not */
	bool ebgp;
	bool rr_client;	     /* RFC 4456: the peer is our client */
	uint32_t cluster_id; /* ours, host order, 0 if no reflector */
	uint32_t our_router_id;
	unsigned allowed_local_as;     /* times our own AS (either of them) may occur in a received AS_PATH */
	unsigned prepend;	       /* towards another AS our own one stands so often more in AS_PATH */
	bool graceful_shutdown;	       /* RFC 8326 4.1: what is sent asks the peer's AS and ours to be used last */
	bool avoid;		       /* what the peer sends is used last: LOCAL_PREF 0 */
	bool honour_graceful_shutdown; /* RFC 8326 4.2: so is what another AS asks for */
	unsigned add_path_limit;       /* RFC 7911: of each prefix so many of the best are sent; 0: all */
	enum { RIB_NEXT_HOP_AUTO, RIB_NEXT_HOP_SELF, RIB_NEXT_HOP_KEEP } next_hop_mode;
	struct policy *import, *export; /* NULL: accept all. A reference is taken */
};

/* The pseudo peer of routes originated here. */
struct rib_peer *rib_local_peer(const struct rib *r);
/* A peer that is not up yet. arg is for rib_peer_arg(). */
struct rib_peer *rib_peer_new(struct rib *r, const struct rib_peer_conf *conf, void *arg);
/* Withdraws all its routes and frees it (when the last route is gone). */
void rib_peer_free(struct rib_peer *p);
void *rib_peer_arg(const struct rib_peer *p);
const struct rib_peer_conf *rib_peer_config(const struct rib_peer *p);
/* What the last session negotiated, and the peer's identifier in it; zero before the first. */
const struct bgp_codec *rib_peer_codec(const struct rib_peer *p);
uint32_t rib_peer_router_id(const struct rib_peer *p);
/* Rises with each peer that is made, and is never used again. */
uint64_t rib_peer_serial(const struct rib_peer *p);
/* Calls back for each peer, the local one first; not for those that were freed and have routes left. */
void rib_each_peer(const struct rib *r, void (*cb)(void *arg, const struct rib_peer *p), void *arg);
/* A changed import policy re-evaluates the peer's routes (soft), changed export settings move it to another group,
 * which sends only what differs. */
void rib_peer_configure(struct rib_peer *p, const struct rib_peer_conf *conf);
/* The session is Established: codec is what was negotiated, router_id the peer's. self[f] is the next hop to announce
 * as our own for this family (none: that family's own routes cannot be announced). Everything exportable will be sent,
 * then End-of-RIB per negotiated family, once rib_release() was called for the family. */
void rib_peer_up(struct rib_peer *p, const struct bgp_codec *codec, uint32_t router_id,
		 const struct bgp_nexthop self[FAM_COUNT]);
/* Our addresses changed while the session is up: what was announced with the old ones is announced with these. */
void rib_peer_self(struct rib_peer *p, const struct bgp_nexthop self[FAM_COUNT]);
/* The session is gone. Routes of the families in keep (bit per family) become stale, the others are withdrawn. */
void rib_peer_down(struct rib_peer *p, uint8_t keep);
/* What is stale now is kept on as long-lived stale (RFC 9494 4.2 and 4.3): marked LLGR_STALE, used only if there is
 * nothing else, and not kept if it is marked NO_LLGR. */
void rib_peer_long_lived(struct rib_peer *p, enum family f);
/* Removes the routes still stale (End-of-RIB came or the restart time is over), also those that are so for long. */
void rib_peer_sweep(struct rib_peer *p, enum family f);
/* RFC 7313 begin: marks all routes stale, so that a following sweep drops what was not refreshed. */
void rib_peer_mark_stale(struct rib_peer *p, enum family f);
/* Sends everything of the family again (the peer asked: RFC 2918). enhanced: between BoRR and EoRR markers. */
void rib_peer_resend(struct rib_peer *p, enum family f, bool enhanced);

/* Until released, nothing is sent to any peer for the family (deferral at start, RFC 4724 4.1): call when local routes
 * are known and the peers that are up have sent End-of-RIB. Cannot be taken back. */
void rib_release(struct rib *r, enum family f);
/* Routes may be sent from now on, End-of-RIB not before rib_release(): the first is safe as soon as the local routes
 * are known, the second makes peers drop what they kept for us and has not been said again. */
void rib_release_routes(struct rib *r, enum family f);

/* Applies a received UPDATE (after RFC 7606): interns the attributes once, checks loops (AS_PATH, ORIGINATOR_ID,
 * CLUSTER_LIST, own next hop), evaluates import policy, changes the table. treat_as_withdraw: e->action said so. */
void rib_update(struct rib_peer *p, const struct bgp_update *u, bool treat_as_withdraw);

/* Our own routes. next_hop none: announced with our own address as next hop. priority is Calico's: LOCAL_PREF =
 * 2147483647 - priority. */
void rib_local_set(struct rib *r, const struct prefix *p, enum route_source source, uint32_t priority);
void rib_local_unset(struct rib *r, const struct prefix *p);

/* What is known about a next hop changed: routes over it are decided again. */
void rib_nexthop_update(struct rib *r, const struct addr *nh, bool reachable, uint32_t metric);

/* Routes may lead over other interfaces now: policies that ask for them are evaluated again, the others not. */
void rib_interfaces_changed(struct rib *r);
/* Another ECMP width. */
void rib_set_max_paths(struct rib *r, unsigned max_paths);

/* Tells the sink again what is selected for every prefix within this one: how it carries them out has changed. */
void rib_reselect(struct rib *r, const struct prefix *within);

/* The next slices of this peer's stream (a reference each goes to the caller), at most max; 0 when it is up to date. */
unsigned rib_pull(struct rib_peer *p, struct slice *out, unsigned max);

/* ---- Looking ---- */

enum rib_step {			  /* the decision process in order; what separated a route from the best one */
		STEP_BEST,	  /* it is the best */
		STEP_REJECTED,	  /* import policy */
		STEP_UNREACHABLE, /* next hop cannot be reached */
		STEP_LLGR_STALE,  /* RFC 9494 4.3: whoever marked it so */
		STEP_LOCAL_PREF,
		STEP_LOCAL_ORIGIN, /* originated here wins */
		STEP_AS_PATH,
		STEP_ORIGIN,
		STEP_MED,
		STEP_EBGP,
		STEP_IGP_METRIC,
		STEP_ECMP,	/* equal up to here: a member of the multipath set */
		STEP_STALE,	/* fresh beats stale, if all of the above is equal */
		STEP_ROUTER_ID, /* or ORIGINATOR_ID */
		STEP_CLUSTER_LIST,
		STEP_PEER_ADDRESS,
		STEP_PATH_ID,
		STEP_COUNT
};
const char *rib_step_name(enum rib_step s); /* "LOCAL_PREF", "AS_PATH length", ... */

struct rib_view {
	struct prefix prefix;
	struct rib_route route;
	bool best, multipath;
	enum rib_step step; /* why it is not the best */
};
/* All routes of the prefix, best first. */
void rib_show_prefix(const struct rib *r, const struct prefix *p, void (*cb)(void *arg, const struct rib_view *v),
		     void *arg);
/* The longest prefix with a route that covers the address; false if none. */
bool rib_lookup(const struct rib *r, const struct addr *a, struct prefix *out);
/* A resumable walk over all prefixes of a family: up to `max` prefixes a call, *pos starts at 0; false at the end.
 * Order is the table's; prefixes added meanwhile may be missed. */
bool rib_walk(const struct rib *r, enum family f, uint64_t *pos, unsigned max,
	      void (*cb)(void *arg, const struct rib_view *v), void *arg);

/* Would this prefix be sent to the peer, and what was: for explain. */
struct rib_export_view {
	bool sent;	 /* is announced now */
	bool add_path;	 /* it may be sent several paths: rib_explain_paths() */
	const char *why; /* why (not): "split horizon", "iBGP to iBGP without reflection", a policy rule's text */
};
struct rib_export_view rib_explain_export(const struct rib_peer *p, const struct prefix *prefix);
/* The same for each route of the prefix, the best one first, if the peer may be sent several; else nothing. path_id is
 * the one that it is sent with. */
void rib_explain_paths(const struct rib_peer *p, const struct prefix *prefix,
		       void (*cb)(void *arg, const struct rib_route *route, uint32_t path_id, bool sent,
				  const char *why),
		       void *arg);

/* What was wrong or of no use in what a peer sent, since it was configured. */
struct rib_faults {
	uint32_t by_policy;			  /* prefixes that import policy rejected */
	uint32_t as_loops, originators, clusters; /* UPDATEs that had been here before */
	uint32_t duplicates, duplicate_withdraws; /* prefixes that were as they were; that were not there */
	uint32_t malformed, malformed_prefixes;	  /* UPDATEs, and their prefixes, treated as withdrawals (RFC 7606) */
};
struct rib_peer_stats {
	unsigned received[FAM_COUNT], accepted[FAM_COUNT], best[FAM_COUNT], sent[FAM_COUNT];
	unsigned stale[FAM_COUNT], long_lived[FAM_COUNT]; /* of those received; long_lived of those stale */
	uint64_t updates_in, withdraws_in, updates_out, withdraws_out;
	bool up_to_date; /* everything has been handed out */
	bool end_of_rib_sent[FAM_COUNT];
	unsigned group; /* number of its update group */
	struct rib_faults faults;
};
struct rib_peer_stats rib_peer_stats(const struct rib_peer *p);
/* rib_peer_stats().received of one family, for those who ask after each UPDATE. */
unsigned rib_peer_received(const struct rib_peer *p, enum family f);

/* ---- Watching ---- */

/* A route of a peer, or of our own, with both of its faces. Everything is borrowed for the call. */
struct rib_path {
	const struct rib_peer *peer;
	struct prefix prefix;
	uint32_t path_id;
	enum route_source source;
	const struct attrs *received; /* as it came; NULL: it is gone */
	const struct attrs *accepted; /* after import policy; NULL: rejected, or gone */
	bool best;
	bool stale;	/* kept from before a restart or the beginning of a refresh */
	uint64_t since; /* mono, second resolution */
};

/* Somebody who wants to see each change as it happens. The callbacks must not change the RIB, except that they may end
 * the watching. */
struct rib_observer {
	void *arg;
	/* What was received (accepted) is other than what it was, or was received anew after a restart or in a refresh.
	 * Routes of a session that ended are reported as gone when they are removed, which is later. */
	void (*on_route)(void *arg, const struct rib_path *path, bool received, bool accepted);
	/* The best route of a prefix changed; NULL: there is none any more. */
	void (*on_best)(void *arg, const struct prefix *p, const struct rib_path *best);
	/* Whole messages that rib_pull() hands out for the peer. */
	void (*on_sent)(void *arg, struct rib_peer *p, const struct slice *s);
};
/* One observer at a time, who keeps *o; NULL: nobody any more. */
void rib_observe(struct rib *r, const struct rib_observer *o);
/* A resumable walk over all routes of a family: as rib_walk(), but without weighing them, and in no order among those
 * of a prefix. `max` counts places in the table and routes; those of one prefix stay together. */
bool rib_walk_paths(const struct rib *r, enum family f, uint64_t *pos, unsigned max,
		    void (*cb)(void *arg, const struct rib_path *path), void *arg);
/* A resumable walk over what the peer has been sent, as UPDATEs: some tens of kilobytes a call. What it is sent
 * meanwhile is told to the observer; both together are its Adj-RIB-Out. */
bool rib_walk_sent(struct rib_peer *p, enum family f, uint64_t *pos, void (*cb)(void *arg, const struct slice *s),
		   void *arg);

struct rib_stats {
	unsigned prefixes[FAM_COUNT], routes[FAM_COUNT], best[FAM_COUNT], attrs, next_hops, groups;
	size_t bytes;
	bool released[FAM_COUNT];
	unsigned dirty;
};
struct rib_stats rib_stats(const struct rib *r);

#endif
