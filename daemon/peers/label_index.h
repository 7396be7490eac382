/* BGPPeers by the labels that their nodeSelector and peerSelector ask about: whom a changed label may concern. */
#ifndef DAEMON_PEERS_LABEL_INDEX_H
#define DAEMON_PEERS_LABEL_INDEX_H

#include "daemon/base/hash.h"
#include "datastore/objects.h"

struct label_peers {
	char *key;
	uint32_t hash;
	unsigned count;
	const struct obj_bgp_peer **peers;
};

/* Zero-initialise. */
struct label_index {
	struct htab by_key; /* of struct label_peers */
};

/* The BGPPeer must stay as it is until it is removed. */
void label_index_add(struct label_index *x, const struct obj_bgp_peer *p);
void label_index_remove(struct label_index *x, const struct obj_bgp_peer *p);
void label_index_clear(struct label_index *x);
/* NULL if nobody asks. Valid until something is added or removed. */
const struct label_peers *label_index_find(const struct label_index *x, const char *key);

#endif
