/* The table behind peering.h: remotes, those who claim them, and what these look at. Private to peering_*.c. */
#ifndef DAEMON_PEERS_PEERING_TABLE_H
#define DAEMON_PEERS_PEERING_TABLE_H

#include <bsd/sys/queue.h>

#include "daemon/base/hash.h"
#include "daemon/peers/label_index.h"
#include "daemon/peers/node_index.h"
#include "daemon/peers/peering.h"
#include "daemon/peers/peering_rule.h"

/* The two objects that a claim may come from. */
enum role { ROLE_PEER, ROLE_OTHER, ROLE_COUNT };

/* An object, or a BGPPeer and a Node or workload together, asks for a remote. */
struct claim {
	LIST_ENTRY(claim) of_remote;
	LIST_ENTRY(claim) of_source[ROLE_COUNT];
	struct remote *remote;
	struct ask ask;
};

struct remote {
	struct peer_key key;	   /* an interface is owned */
	LIST_HEAD(, claim) claims; /* in order of precedence: the first one has it */
	TAILQ_ENTRY(remote) dirty_link;
	LIST_ENTRY(remote) range_link;
	bool dirty;
	bool workload; /* as it was told last */
};

/* What BGPPeers look at besides themselves. */
enum watch {
	WATCH_NODES,	 /* it selects this node, and others by peerSelector */
	WATCH_REVERSE,	 /* it leads here, from nodes by its nodeSelector */
	WATCH_WORKLOADS, /* it selects this node, and workloads */
	WATCH_COUNT
};

/* A BGPPeer, Node or workload that asks, watches, or is yet to be looked at: of all others nothing is kept. */
struct source {
	const struct object *o; /* in the store */
	LIST_HEAD(, claim) claims;
	TAILQ_ENTRY(source) dirty_link;
	bool dirty;
	uint8_t watching; /* bit per enum watch */
	LIST_ENTRY(source) watch[WATCH_COUNT];
	bool by_address; /* among those of its peerIP */
	bool by_node;	 /* it leads here, from the node that it names */
};

struct peering {
	const struct store *store;
	const struct config *conf;
	struct self self;
	bool active; /* this node has an object */
	bool everything;
	struct node_index nodes;
	struct label_index labels;
	struct htab sources, remotes;
	LIST_HEAD(, remote) ranges;
	TAILQ_HEAD(, remote) dirty_remotes;
	unsigned dirty_count, workloads;
	TAILQ_HEAD(sources, source) dirty[ROLE_COUNT];
	unsigned dirty_others;
	LIST_HEAD(, source) watchers[WATCH_COUNT];
	struct htab by_address, by_node; /* of BGPPeers' struct source, by what they look for */
};

static inline struct peering_view peering_view_of(const struct peering *p)
{
	return (struct peering_view){.store = p->store, .conf = p->conf, .self = &p->self, .nodes = &p->nodes};
}

static inline const struct obj_bgp_peer *bgp_peer(const struct source *s)
{
	return (const void *)s->o;
}

static inline bool remote_is_range(const struct remote *r)
{
	return !addr_is_none(&r->key.range.addr);
}

/* Without claims. */
void remote_free(struct peering *p, struct remote *r);

/* What is kept of the object; NULL: nothing. */
struct source *source_find(const struct peering *p, const struct object *o);
struct source *source_get(struct peering *p, const struct object *o);
/* It is yet to be looked at; it no longer is. */
void source_dirty(struct peering *p, struct source *s);
void source_clean(struct peering *p, struct source *s);
/* Frees it if nothing is to be kept of it. */
void source_release(struct peering *p, struct source *s);
/* The object is gone: takes back its claims, and lets go of it. */
void source_forget(struct peering *p, struct source *s);

/* Asks for what the rules make of these; nothing, if they make no session of it. The sources remember it. */
void claim_add(struct peering *p, enum ask_tier tier, const struct obj_bgp_peer *peer, const struct object *other,
	       unsigned index);
void source_claims_drop(struct peering *p, struct source *s);

/* A BGPPeer is told of changes of these: of all that `what` says, of the Nodes with its peerIP, of the Node it names.
 */
void source_watch(struct peering *p, struct source *s, enum watch what);
void source_watch_address(struct peering *p, struct source *s);
void source_watch_node(struct peering *p, struct source *s);
void source_unwatch(struct peering *p, struct source *s);
/* Has all sources that are dirty ask (peering.c). */
void peering_ask_anew(struct peering *p);
/* The hash by which by_address is kept. */
uint32_t peering_addr_hash(const struct addr *a);

#endif
