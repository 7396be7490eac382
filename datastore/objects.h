/* The cluster's objects as typed structs: Calico's v3 model (and its IPAM kinds), decoded through one schema table.
 *
 * A row of the table is a field: its path in the document, its type and range, its default, and the place in the
 * struct. A further kind is a further table. Objects are immutable once they are in the store; their memory is theirs
 * alone (object_free). Unknown fields are remembered by name and reported, never silently ignored. */
#ifndef DATASTORE_OBJECTS_H
#define DATASTORE_OBJECTS_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/addr.h"
#include "datastore/selector.h"
#include "datastore/yaml.h"

enum object_kind {
	OBJ_NODE,
	OBJ_IP_POOL,
	OBJ_BGP_CONFIGURATION,
	OBJ_BGP_PEER,
	OBJ_BGP_FILTER,
	OBJ_WORKLOAD_ENDPOINT,
	OBJ_BLOCK_AFFINITY,
	OBJ_IPAM_BLOCK,
	OBJ_SERVICE,
	OBJ_ENDPOINT_SLICE,
	OBJ_FELIX_CONFIGURATION,
	OBJ_KIND_COUNT
};
/* "Node", "IPPool", ... */
const char *object_kind_name(enum object_kind k);
bool object_kind_has_namespace(enum object_kind k);
/* The API that defines it: "projectcalico.org/v3", "v1", "discovery.k8s.io/v1". */
const char *object_kind_api(enum object_kind k);
/* -1 if it is none of ours. */
int object_kind_by_name(const char *name);

/* What every object has. The typed structs below start with it. */
struct object {
	enum object_kind kind;
	char *namespace; /* "" for kinds that have none */
	char *name;
	struct labels labels;
	char *source;	 /* "dir/file.yaml:12", or an etcd key: for messages; set by the backend */
	uint64_t digest; /* of the decoded content (not of source): equal digest means nothing changed */
};

/* An address with the length it was written with: "10.0.0.5/24" keeps the host part. addr is none if unset. */
struct host_addr {
	struct addr addr;
	uint8_t len;
};

struct obj_node {
	struct object o;
	uint32_t as_number; /* spec.bgp.asNumber; 0 unset */
	struct host_addr ipv4, ipv6;
	struct addr ipip_tunnel, vxlan_tunnel, vxlan_tunnel6;
	char *vxlan_mac, *vxlan_mac6; /* NULL unset */
	/* Of a node that runs WireGuard: its device's address, and the key by which others speak to it. */
	struct addr wireguard[FAM_COUNT];
	char *wireguard_key[FAM_COUNT]; /* NULL or "": it does not */
	bool has_cluster_id;
	uint32_t cluster_id;	  /* spec.bgp.routeReflectorClusterID, host order */
	struct prefix *pod_cidrs; /* status.podCIDRs */
	unsigned pod_cidr_count;
	struct addr internal[FAM_COUNT]; /* spec.addresses: the first InternalIP of each family */
	uint16_t listen_port;		 /* 0 unset (not in Calico's Node; from BGPConfiguration node.<name>) */
	bool unschedulable; /* it is cordoned, or being drained: unschedulable of Kubernetes' Node (ours in files) */
	bool graceful_shutdown; /* gracefulShutdown (ours): it asks all its peers to use its routes last */
};

enum encap_mode { ENCAP_NEVER, ENCAP_ALWAYS, ENCAP_CROSS_SUBNET };

struct obj_ip_pool {
	struct object o;
	struct prefix cidr;
	enum encap_mode ipip, vxlan;
	bool disabled, disable_bgp_export;
	unsigned block_size; /* 0 unset: 26 or 122 */
	char *node_selector;
};

/* As it is written, "aa:nn" (RFC 1997) or "aa:nn:mm" (RFC 8092). */
struct community {
	uint32_t part[3];
	uint32_t parts; /* 2 or 3 */
};
bool community_parse(struct community *c, const char *text);

/* A password's place in a Secret; NULL what is not said. */
struct secret_ref {
	char *name, *key;
};

/* Whose routes to the nodes' blocks reach the kernel by BGP; those of the other pools are somebody else's (Felix's). */
enum cluster_routes { ROUTES_AUTO, ROUTES_ALL, ROUTES_NONE, ROUTES_NO_ENCAP, ROUTES_IPIP };

struct obj_bgp_configuration {
	struct object o; /* name "default" or "node.<name>" */
	bool has_mesh;
	bool mesh_enabled;		       /* nodeToNodeMeshEnabled */
	uint32_t as_number;		       /* 0 unset (64512) */
	uint16_t listen_port;		       /* 0 unset (179) */
	bool bind_node_ip;		       /* bindMode: NodeIP */
	unsigned mesh_restart_time;	       /* nodeMeshMaxRestartTime in seconds; 0 unset (120) */
	char *mesh_password;		       /* nodeMeshPassword (ours: text in a file datastore); NULL unset */
	struct secret_ref mesh_secret;	       /* nodeMeshPassword.secretKeyRef */
	char *log_severity;		       /* logSeverityScreen, NULL unset */
	enum cluster_routes cluster_routes;    /* programClusterRoutes */
	unsigned max_paths;		       /* maxPaths (ours); 0 unset */
	unsigned ipv4_priority, ipv6_priority; /* ipv4NormalRoutePriority; 0 unset (1024) */
	struct prefix *service_cluster, *service_external, *service_load_balancer; /* serviceClusterIPs, ... */
	unsigned service_cluster_count, service_external_count, service_load_balancer_count;
	bool no_load_balancer_aggregation; /* serviceLoadBalancerAggregation: Disabled */
	struct named_community {
		char *name;
		struct community value;
	} * communities;
	unsigned community_count;
	struct prefix_advertisement {
		struct prefix cidr;
		char **communities; /* names of the above, or communities themselves */
		unsigned community_count;
	} * advertisements; /* prefixAdvertisements */
	unsigned advertisement_count;
	struct addr workload_peering4, workload_peering6; /* localWorkloadPeeringIPV4, ...IPV6; none unset */
};

enum on_off { CHOICE_AUTO, CHOICE_ON, CHOICE_OFF };

/* What a BGPPeer may say here that Calico's API has no field for. Zeros: nothing is said. */
struct peer_options {
	uint8_t families; /* families: bit per enum family */
	enum add_path_mode { ADD_PATH_AUTO, ADD_PATH_OFF, ADD_PATH_RECEIVE, ADD_PATH_SEND, ADD_PATH_BOTH } add_path;
	unsigned add_path_limit;  /* addPathLimit: paths sent per prefix; 0 all */
	enum on_off ext_next_hop; /* extendedNextHop (RFC 8950) */
	enum on_off rr_client;	  /* routeReflectorClient (RFC 4456) */
	enum on_off first_as;	  /* enforceFirstAS: off for route servers */
	unsigned prefix_limit;	  /* prefixLimit.maximum, per family; 0 none */
	unsigned prefix_warning;  /* prefixLimit.warning, percent; 0: 75 */
	unsigned prefix_restart;  /* prefixLimit.restartTime, s; 0: stays down */
	bool prefix_warn_only;	  /* prefixLimit.action: Warn */
	unsigned llgr_time;	  /* longLivedStaleTime (RFC 9494), s; 0 unset */
	unsigned prepend;	  /* asPathPrepend: our AS this many times more */
	bool graceful_shutdown;	  /* gracefulShutdown (RFC 8326): announced to this peer */
	bool shutdown;		  /* shutdown: administratively down */
	struct prefix range;	  /* peerRange: dynamic neighbours; unset: addr is none */
	unsigned range_limit;	  /* peerLimit: how many of them; 0: 100 */
	uint32_t kernel_table; /* kernelTable: what the peer's routes are programmed in; 0: the node's, or the VRF's */
	char vrf[16];	       /* vrf: the device of the VRF that the session is in; "" none */
};

/* bfd, with the names of MetalLB's BFDProfile. Zeros: nothing is said. */
struct peer_bfd {
	bool enabled, passive;
	unsigned transmit_interval, receive_interval; /* ms */
	unsigned multiplier;
	unsigned
	    min_ttl; /* what packets over several hops must arrive with; it makes the session one over several hops */
};

struct obj_bgp_peer {
	struct object o;
	char *node;			      /* NULL unset */
	char *node_selector, *peer_selector;  /* text, NULL unset */
	struct selector *node_sel, *peer_sel; /* parsed; NULL if unset */
	char *workload_selector;	      /* localWorkloadSelector: text, NULL unset */
	struct selector *workload_sel;	      /* parsed; NULL if unset */
	struct addr peer_ip;
	uint16_t peer_port;	   /* 0 unset */
	uint32_t as_number;	   /* 0 unset */
	uint32_t local_as;	   /* localASNumber; 0 unset */
	unsigned restart_time;	   /* maxRestartTime, s; 0 unset */
	unsigned keepalive_time;   /* keepaliveTime, s; 0 unset */
	unsigned hold_time;	   /* holdTime (ours, not Calico's), s; 0 unset */
	unsigned ttl_security;	   /* hops; 0 off */
	unsigned allowed_local_as; /* numAllowedLocalASNumbers */
	enum next_hop_mode { NEXT_HOP_AUTO, NEXT_HOP_SELF, NEXT_HOP_KEEP } next_hop_mode;
	bool keep_original_next_hop;
	bool no_source_address;	     /* sourceAddress: None */
	bool manual_reverse_peering; /* reversePeering: Manual */
	bool passive;		     /* passive (ours) */
	char *password;		     /* password (ours: text in a file datastore); NULL unset */
	struct secret_ref secret;    /* password.secretKeyRef */
	struct addr reachable_by;    /* reachableBy; none unset */
	struct peer_options opt;
	struct peer_bfd bfd;
	char *shutdown_text; /* shutdownMessage (RFC 9003); NULL unset */
	char *interface;     /* interface: link-local and unnumbered peers; NULL unset */
	char *vrf;	     /* as opt has it; NULL unset */
	char **filters;	     /* names of BGPFilters, in order */
	unsigned filter_count;
};

/* A BGPFilter's: operations of a rule, of which one is set in each. */
struct filter_operation {
	struct community add_community; /* parts 0: unset */
	uint32_t *prepend;		/* prependASPath.prefix: as it will stand in the path; NULL unset */
	unsigned prepend_count;
	uint32_t set_priority; /* 0 unset */
};

/* A rule of a BGPFilter; the conditions that are set hold all together. */
struct filter_rule {
	struct prefix cidr;
	bool has_cidr;
	enum filter_operator { FILTER_ANY, FILTER_EQUAL, FILTER_NOT_EQUAL, FILTER_IN, FILTER_NOT_IN } op;
	bool has_min, has_max; /* prefixLength */
	unsigned min_length, max_length;
	bool remote_peers; /* source: RemotePeers */
	char *interface;   /* with '*' and '?' for any text and any character; NULL unset */
	enum filter_peer_type { FILTER_PEER_ANY, FILTER_PEER_EBGP, FILTER_PEER_IBGP } peer_type;
	struct community *communities; /* communities.values */
	unsigned community_count;
	uint32_t *as_path; /* asPathPrefix */
	unsigned as_path_count;
	uint32_t priority; /* 0 unset */
	bool reject;	   /* action */
	struct filter_operation *operations;
	unsigned operation_count;
};

enum filter_direction { FILTER_IMPORT, FILTER_EXPORT, FILTER_DIRECTIONS };
struct obj_bgp_filter {
	struct object o;
	struct filter_rules {
		struct filter_rule *rules;
		unsigned count;
	} rules[FILTER_DIRECTIONS][FAM_COUNT]; /* importV4, ... */
};

struct obj_workload_endpoint {
	struct object o;
	char *node, *interface, *pod, *endpoint;
	/* From a Pod, which does not say it: the interface is what pod_interface() makes of the prefix "cali". Where
	 * interfaces have another prefix (kernel.interface_prefix), that counts. */
	bool interface_by_rule;
	struct prefix *networks; /* spec.ipNetworks */
	unsigned network_count;
	char *mac; /* NULL unset */
	/* liveMigration (ours, with the names of Felix's states) */
	enum live_migration { MIGRATION_BASE, MIGRATION_TARGET, MIGRATION_LIVE, MIGRATION_TIME_WAIT } migration;
};

struct obj_block_affinity {
	struct object o;
	struct prefix cidr;
	char *node;
	bool virtual; /* spec.type: virtual (not a node's) */
	enum affinity_state { AFFINITY_CONFIRMED, AFFINITY_PENDING, AFFINITY_PENDING_DELETION } state;
	bool deleted;
};

/* An address of a block that a node uses. */
struct ipam_owner {
	unsigned ordinal;
	const char *node; /* owned by the object */
};
struct obj_ipam_block {
	struct object o;
	struct prefix cidr;
	char *node;		   /* the affine host, NULL if none or virtual */
	struct ipam_owner *owners; /* ascending ordinals; addresses in cooldown or without a node are left out */
	unsigned owner_count;
	bool deleted;
};

/* What Felix is told, as far as it concerns this daemon, too (daemon/cluster/felix.h). 0, NULL: nothing is said. */
struct obj_felix_configuration {
	struct object o; /* name "default" or "node.<name>" */
	char *interface_prefix, *source_address[FAM_COUNT];
	unsigned ipip_mtu, vxlan_mtu, vxlan_mtu6, vxlan_port, vxlan_vni;
	unsigned normal_priority[FAM_COUNT], elevated_priority[FAM_COUNT];
	unsigned migration_time; /* s */
	enum cluster_routes cluster_routes;
	bool route_sync_disabled;
};

/* Where a Service has an address from. */
enum service_origin { SERVICE_CLUSTER_IP, SERVICE_EXTERNAL_IP, SERVICE_LOAD_BALANCER_IP, SERVICE_ORIGIN_COUNT };
struct service_addr {
	struct addr addr;
	enum service_origin from;
};
/* Kubernetes' Service, as far as routes need it. */
struct obj_service {
	struct object o;
	enum service_type {
		SERVICE_TYPE_CLUSTER_IP,
		SERVICE_TYPE_NODE_PORT,
		SERVICE_TYPE_LOAD_BALANCER,
		SERVICE_TYPE_EXTERNAL_NAME
	} type;
	bool headless;			     /* clusterIP: None */
	bool external_local, internal_local; /* externalTrafficPolicy, internalTrafficPolicy: Local */
	uint8_t ip_families;		     /* ipFamilies: bit per enum family */
	uint8_t families;		     /* the same, or those of its cluster IPs, or both: never 0 */
	struct service_addr *addrs;
	unsigned addr_count;
};

/* Kubernetes' EndpointSlice: who serves is of no consequence, only where somebody is ready. */
struct obj_endpoint_slice {
	struct object o;
	uint8_t family; /* addressType; FAM_COUNT: FQDN */
	bool any_ready;
	char **ready_nodes; /* sorted, each once */
	unsigned ready_node_count;
};
/* The Service it belongs to, in its own namespace; NULL if it says none. */
const char *endpoint_slice_service(const struct obj_endpoint_slice *s);
bool endpoint_slice_is_ready_on(const struct obj_endpoint_slice *s, const char *node);

/* The fixed part for a kind: every object pointer may be cast to its typed struct by its kind. */
static inline const struct obj_node *object_node(const struct object *o)
{
	return (const struct obj_node *)(const void *)o;
}

struct object_error {
	unsigned line, col;
	char field[120]; /* "spec.bgp.ipv4Address"; "" if the whole object is meant */
	char reason[200];
};

/* A field that is in force nowhere: unknown, or known to Calico and not honoured here. reason says which. */
typedef void object_report_fn(void *arg, const char *field, unsigned line, unsigned col, const char *reason);

/* Decodes one document (not a List): Calico's own, or a Node or Pod of Kubernetes (forms.h). On success the caller owns
 * *out and sets its source. NULL with err filled otherwise. Fields that are not honoured are passed to report(arg,
 * ...), if not NULL, also if the document is refused in the end. *kind (-1) and *name (a copy, or NULL;
 * "namespace/name" for kinds that have namespaces) are filled as far as they could be read, also on failure. */
struct object *object_decode(const struct yaml_node *doc, struct object_error *err, int *kind, char **name,
			     object_report_fn *report, void *arg);
/* Is the document about nothing that is of interest here: an object of a foreign kind (see below), or a Pod that has no
 * addresses of its own? */
bool object_is_nobody(const struct yaml_node *doc);
/* Is this a kind of Calico's that has nothing to say about routes (Profile, IPReservation, ...)? Such documents
 * are left out quietly. */
bool object_kind_is_foreign(const char *name);
void object_free(struct object *o);

#endif
