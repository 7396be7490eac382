/* Update groups: peers to which exactly the same goes out. What makes it the same is one table (group.c). */
#ifndef RIB_GROUP_H
#define RIB_GROUP_H

#include <bsd/sys/queue.h>

#include "rib/adjout.h"
#include "rib/rib.h"

/* Everything the outgoing stream depends on. */
struct group_key {
	uint32_t local_as;
	uint32_t cluster_id;
	uint32_t max_message;
	uint8_t next_hop_mode, prepend;
	bool ebgp, rr_client, as4, graceful_shutdown, llgr;
	uint8_t families, add_path_tx, ext_next_hop;
	uint32_t add_path_limit; /* paths of a prefix; 0: all. Also 0 without add_path_tx */
	struct bgp_nexthop self[FAM_COUNT];
	struct policy *export; /* one reference */
};

struct group {
	struct rib *rib;
	struct group_key key;
	struct bgp_codec codec; /* for the encoders: what the key says */
	uint32_t hash;
	unsigned number;
	unsigned members;		  /* peers in it, and peers that are leaving it but still compare with it */
	struct stream *stream[FAM_COUNT]; /* NULL if not negotiated */
	LIST_ENTRY(group) link;
};

/* What the encoders need of the key. */
struct bgp_codec group_key_codec(const struct group_key *k);
/* The session came up: finds or makes the peer's group and starts its cursors. */
void group_join(struct rib_peer *p);
/* The session went down. */
void group_leave(struct rib_peer *p);
/* The configuration changed: moves the peer to another group if its key is now another one. */
void group_rejoin(struct rib_peer *p);
/* One more or one less user; the last one frees it. */
void group_hold(struct group *g);
void group_drop(struct group *g);

void groups_node_decided(struct rib *r, enum family f, uint32_t id, const struct node *n);
void groups_trim(struct rib *r);
void groups_forget_chunks(struct rib *r);
size_t groups_bytes(const struct rib *r);
unsigned group_number(const struct group *g);

/* send.c */
void cursor_start(struct rib_peer *p, enum family f, struct stream *s);
void cursor_stop(struct rib_peer *p, enum family f);
/* Sends what differs from the current stream, and goes on with this one. */
void cursor_move(struct rib_peer *p, enum family f, struct stream *to);
/* The family was released: waits for what is dirty now. */
void cursor_wait(struct rib_peer *p, enum family f);
bool peer_is_moving(const struct rib_peer *p);
bool peer_has_more(const struct rib_peer *p);
bool peer_is_up_to_date(const struct rib_peer *p);
unsigned peer_sent(const struct rib_peer *p, enum family f);

#endif
