/* This node as the objects and the configuration describe it, and what BGPConfigurations say of any node: the default
 * one, and node.<name>. */
#ifndef DAEMON_CLUSTER_SELF_H
#define DAEMON_CLUSTER_SELF_H

#include "daemon/config/config.h"
#include "datastore/store.h"

/* What of Services this node may announce; lists are borrowed like self's. */
struct service_conf {
	const struct prefix *list[SERVICE_ORIGIN_COUNT]; /* the ranges, by where addresses within are from */
	unsigned count[SERVICE_ORIGIN_COUNT];
	bool aggregate;	  /* load balancers' ranges are announced, and not their addresses */
	bool excluded;	  /* by the node's label: nothing is announced */
	const char *node; /* what endpoints on this node call it */
};

/* This node as the objects and the configuration describe it. */
struct self {
	const struct obj_node *node; /* NULL if there is no Node object of this name (yet) */
	const char *name;
	struct host_addr ip[FAM_COUNT]; /* none if this node has no address of the family */
	enum self_source { SELF_FROM_OBJECT, SELF_CONFIGURED, SELF_DETECTED } ip_from[FAM_COUNT];
	uint32_t as;	     /* effective: node, then BGPConfiguration, then 64512 */
	uint32_t router_id;  /* 0 if it cannot be known yet */
	uint32_t cluster_id; /* 0: no reflector */
	uint16_t listen_port;
	bool bind_node_ip;
	bool mesh;			      /* node-to-node mesh is on (for nodes that are no reflectors) */
	uint16_t mesh_restart_time;	      /* s */
	const char *mesh_password;	      /* NULL none */
	const struct secret_ref *mesh_secret; /* that may hold it */
	struct secrets *secrets;	      /* secrets.h; NULL: none are known */
	const char *log_severity;	      /* logSeverityScreen; NULL: nothing is said */
	uint32_t priority[FAM_COUNT];	      /* normal route priority, 1024 */
	struct service_conf services;
	unsigned max_paths; /* ECMP width */
	enum cluster_routes cluster_routes;
	bool tunnel_next_hops;	/* some next hop of BGP's leads through a tunnel device: not set by self_from() */
	bool graceful_shutdown; /* all peers are asked to use this node's routes last */
	struct addr workload_peering[FAM_COUNT]; /* what workloads speak BGP to; none: the node's address */
};
/* Reads them from the store. Strings and node are borrowed from the store and the configuration. found: by family, what
 * detect_all() found on this machine; NULL: nothing. */
struct self self_from(const struct store *s, const struct config *c, const struct host_addr *found);

/* Is its address of the family, if it has one, that of its Node object, which the other nodes read? */
bool self_is_known(const struct self *self, enum family f);

/* Are they the same but for the Node object, of which labels may differ? What they borrow is compared by where it is:
 * for as long as no other object has changed. */
bool self_is_same(const struct self *a, const struct self *b);

/* Is it one of this node's own? */
bool self_has_address(const struct self *self, const struct addr *a);

/* By its name; NULL if there is none. */
const struct obj_bgp_configuration *self_bgp_configuration(const struct store *s, const char *name);
/* The one that overrides the default's for one node, "node.<name>"; NULL if there is none. */
const struct obj_bgp_configuration *self_node_configuration(const struct store *s, const char *node);
/* The port a node listens on: BGPConfiguration node.<name> may override the default one's. */
uint16_t self_listen_port(const struct store *s, const struct config *c, const char *node);
/* A node's AS: its own, the default BGPConfiguration's, 64512. */
uint32_t self_node_as(const struct store *s, const struct obj_node *n);

#endif
