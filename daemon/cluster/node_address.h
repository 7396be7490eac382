/* This node's addresses as they are found among its interfaces (detect.h), and kept up with their changes. */
#ifndef DAEMON_CLUSTER_NODE_ADDRESS_H
#define DAEMON_CLUSTER_NODE_ADDRESS_H

#include "daemon/cluster/lookup.h"
#include "daemon/cluster/self.h"
#include "daemon/daemon.h"

struct node_address {
	struct daemon *d;
	void (*on_change)(void *arg); /* what is found is another one */
	void *arg;
	struct host_addr found[FAM_COUNT];  /* see detect_all() */
	struct addr destination[FAM_COUNT]; /* watched as a next hop: what an address is found by */
	struct lookup *lookup;		    /* of the names that addresses are found by */
	struct loop_timer timer;
};

void node_address_init(struct node_address *a, struct daemon *d, void (*on_change)(void *arg), void *arg);
void node_address_end(struct node_address *a);
/* The configuration or the Node object may be others: looks at once, unless a change is being waited out. */
void node_address_refresh(struct node_address *a);
/* An address of this machine came or went; or (next_hop) the way to a next hop changed. Looked at after a moment. */
void node_address_touch(struct node_address *a, const struct addr *next_hop);
/* What this node says of itself, where its Node object does not say so: the datastore is told, if it takes that. */
void node_address_publish(const struct node_address *a, const struct self *self);
/* A line for each address that is asked for and not found, or that the other nodes do not know. */
void node_address_problems(const struct node_address *a, const struct self *self, struct strbuf *out);

#endif
