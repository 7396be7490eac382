/* The tables of all kinds, and the checks that span several fields. */
#include "datastore/objects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "datastore/ipam.h"
#include "datastore/schema.h"

#define TAKEN(structure, member) .use = SCHEMA_TAKEN, SCHEMA_FIELD(structure, member)
#define OURS(structure, member) .ours = true, TAKEN(structure, member)
/* clang-format off */
#define QUIET(name) {.path = name, .use = SCHEMA_QUIET}
#define LATER(name, ...) {.path = name, .use = SCHEMA_LATER, __VA_ARGS__}

/* What the API server keeps about every object. */
#define ROWS_OF_ALL(...)                                                                                               \
	QUIET("apiVersion"), QUIET("kind"), QUIET("status"),                                                           \
	{.path = "metadata.name", .type = &schema_object_name, .required = true, TAKEN(object, name)},                 \
	{.path = "metadata.labels", .type = &schema_labels, TAKEN(object, labels)},                                    \
	__VA_ARGS__,                                                                                                   \
	QUIET("metadata.annotations"), QUIET("metadata.uid"), QUIET("metadata.creationTimestamp"),                     \
	QUIET("metadata.resourceVersion"), QUIET("metadata.generation"), QUIET("metadata.generateName"),               \
	QUIET("metadata.managedFields"), QUIET("metadata.ownerReferences"), QUIET("metadata.finalizers"),              \
	QUIET("metadata.selfLink"), QUIET("metadata.deletionTimestamp"), QUIET("metadata.deletionGracePeriodSeconds")

static const struct schema_row node_rows[] = {
	ROWS_OF_ALL(QUIET("metadata.namespace")),
	{.path = "spec.bgp.asNumber", .type = &schema_as, TAKEN(obj_node, as_number)},
	{.path = "spec.bgp.ipv4Address", .type = &schema_host_addr, .af = AF_INET, TAKEN(obj_node, ipv4)},
	{.path = "spec.bgp.ipv6Address", .type = &schema_host_addr, .af = AF_INET6, TAKEN(obj_node, ipv6)},
	{.path = "spec.bgp.ipv4IPIPTunnelAddr", .type = &schema_addr, .af = AF_INET, TAKEN(obj_node, ipip_tunnel)},
	{.path = "spec.bgp.routeReflectorClusterID", .type = &schema_cluster_id, TAKEN(obj_node, cluster_id),
	 .present = offsetof(struct obj_node, has_cluster_id)},
	{.path = "spec.ipv4VXLANTunnelAddr", .type = &schema_addr, .af = AF_INET, TAKEN(obj_node, vxlan_tunnel)},
	{.path = "spec.ipv6VXLANTunnelAddr", .type = &schema_addr, .af = AF_INET6, TAKEN(obj_node, vxlan_tunnel6)},
	{.path = "spec.vxlanTunnelMACAddr", .type = &schema_mac, TAKEN(obj_node, vxlan_mac)},
	{.path = "spec.vxlanTunnelMACAddrV6", .type = &schema_mac, TAKEN(obj_node, vxlan_mac6)},
	QUIET("spec.orchRefs"), QUIET("spec.wireguard"), QUIET("spec.addresses"), QUIET("spec.interfaces"),
	{.path = "status.podCIDRs", .type = &schema_prefixes, TAKEN(obj_node, pod_cidrs),
	 .second = offsetof(struct obj_node, pod_cidr_count)},
	QUIET("status.wireguardPublicKey"), QUIET("status.wireguardPublicKeyV6"),
};

static const struct schema_name encap_names[] = {
	{"", ENCAP_NEVER}, {"Never", ENCAP_NEVER}, {"Always", ENCAP_ALWAYS}, {"CrossSubnet", ENCAP_CROSS_SUBNET}, {0},
};

static const struct schema_row ip_pool_rows[] = {
	ROWS_OF_ALL(QUIET("metadata.namespace")),
	{.path = "spec.cidr", .type = &schema_prefix, .required = true, TAKEN(obj_ip_pool, cidr)},
	{.path = "spec.ipipMode", .type = &schema_enum, .names = encap_names, TAKEN(obj_ip_pool, ipip)},
	{.path = "spec.vxlanMode", .type = &schema_enum, .names = encap_names, TAKEN(obj_ip_pool, vxlan)},
	{.path = "spec.natOutgoing", .type = &schema_bool, TAKEN(obj_ip_pool, nat_outgoing)},
	{.path = "spec.disabled", .type = &schema_bool, TAKEN(obj_ip_pool, disabled)},
	{.path = "spec.disableBGPExport", .type = &schema_bool, TAKEN(obj_ip_pool, disable_bgp_export)},
	{.path = "spec.blockSize", .type = &schema_uint, .min = 0, .max = 128, TAKEN(obj_ip_pool, block_size)},
	{.path = "spec.nodeSelector", .type = &schema_text, TAKEN(obj_ip_pool, node_selector)},
	QUIET("spec.namespaceSelector"), QUIET("spec.allowedUses"), QUIET("spec.assignmentMode"),
	/* Forms of API v1 that the v3 API still knows by name. */
	LATER("spec.ipip"), QUIET("spec.nat-outgoing"),
};

static const struct schema_name bind_names[] = {{"", false}, {"None", false}, {"NodeIP", true}, {0}};

static const struct schema_row bgp_configuration_rows[] = {
	ROWS_OF_ALL(QUIET("metadata.namespace")),
	{.path = "spec.nodeToNodeMeshEnabled", .type = &schema_bool, .def = "true",
	 TAKEN(obj_bgp_configuration, mesh_enabled), .present = offsetof(struct obj_bgp_configuration, has_mesh)},
	{.path = "spec.asNumber", .type = &schema_as, TAKEN(obj_bgp_configuration, as_number)},
	{.path = "spec.listenPort", .type = &schema_uint, .min = 1, .max = 65535,
	 TAKEN(obj_bgp_configuration, listen_port)},
	{.path = "spec.bindMode", .type = &schema_enum, .names = bind_names, TAKEN(obj_bgp_configuration, bind_node_ip)},
	{.path = "spec.nodeMeshMaxRestartTime", .type = &schema_seconds, .min = 1, .max = 4095,
	 TAKEN(obj_bgp_configuration, mesh_restart_time)},
	{.path = "spec.logSeverityScreen", .type = &schema_text, .max = 32, TAKEN(obj_bgp_configuration, log_severity)},
	LATER("spec.nodeMeshPassword.secretKeyRef"),
	/* Ours: the text itself. */
	{.path = "spec.nodeMeshPassword", .type = &schema_text, .min = 1, .max = 80,
	 OURS(obj_bgp_configuration, mesh_password)},
	{.path = "spec.ipv4NormalRoutePriority", .type = &schema_uint, .min = 1, .max = 2147483646,
	 TAKEN(obj_bgp_configuration, ipv4_priority)},
	{.path = "spec.ipv6NormalRoutePriority", .type = &schema_uint, .min = 1, .max = 2147483646,
	 TAKEN(obj_bgp_configuration, ipv6_priority)},
	LATER("spec.serviceClusterIPs"), LATER("spec.serviceExternalIPs"), LATER("spec.serviceLoadBalancerIPs"),
	LATER("spec.serviceLoadBalancerAggregation", .def = "Enabled"),
	LATER("spec.communities"), LATER("spec.prefixAdvertisements"),
	LATER("spec.ignoredInterfaces"), LATER("spec.localWorkloadPeeringIPV4"), LATER("spec.localWorkloadPeeringIPV6"),
	LATER("spec.programClusterRoutes", .def = "Enabled|EnabledNoEncapOnly"),
};

static const struct schema_name next_hop_names[] = {
	{"", NEXT_HOP_AUTO}, {"Auto", NEXT_HOP_AUTO}, {"Self", NEXT_HOP_SELF}, {"Keep", NEXT_HOP_KEEP}, {0},
};
static const struct schema_name source_names[] = {{"", false}, {"UseNodeIP", false}, {"None", true}, {0}};
static const struct schema_name reverse_names[] = {{"", false}, {"Auto", false}, {"Manual", true}, {0}};

static const struct schema_name family_names[] = {
	{"ipv4", FAM_IPV4}, {"ipv6", FAM_IPV6}, {"IPv4", FAM_IPV4}, {"IPv6", FAM_IPV6}, {0},
};
static const struct schema_name add_path_names[] = {
	{"", ADD_PATH_AUTO}, {"Auto", ADD_PATH_AUTO}, {"Off", ADD_PATH_OFF}, {"Receive", ADD_PATH_RECEIVE},
	{"Send", ADD_PATH_SEND}, {"Both", ADD_PATH_BOTH}, {0},
};
static const struct schema_name on_off_names[] = {
	{"", CHOICE_AUTO}, {"Auto", CHOICE_AUTO}, {"true", CHOICE_ON}, {"false", CHOICE_OFF}, {0},
};
static const struct schema_name limit_action_names[] = {{"", false}, {"Restart", false}, {"Warn", true}, {0}};

static const struct schema_row bgp_peer_rows[] = {
	ROWS_OF_ALL(QUIET("metadata.namespace")),
	{.path = "spec.node", .type = &schema_text, .max = 253, TAKEN(obj_bgp_peer, node)},
	{.path = "spec.nodeSelector", .type = &schema_selector, TAKEN(obj_bgp_peer, node_selector),
	 .second = offsetof(struct obj_bgp_peer, node_sel)},
	{.path = "spec.peerSelector", .type = &schema_selector, TAKEN(obj_bgp_peer, peer_selector),
	 .second = offsetof(struct obj_bgp_peer, peer_sel)},
	{.path = "spec.peerIP", .type = &schema_endpoint, TAKEN(obj_bgp_peer, peer_ip),
	 .second = offsetof(struct obj_bgp_peer, peer_port)},
	{.path = "spec.asNumber", .type = &schema_as, TAKEN(obj_bgp_peer, as_number)},
	{.path = "spec.localASNumber", .type = &schema_as, TAKEN(obj_bgp_peer, local_as)},
	{.path = "spec.maxRestartTime", .type = &schema_seconds, .min = 1, .max = 4095, TAKEN(obj_bgp_peer, restart_time)},
	{.path = "spec.keepaliveTime", .type = &schema_seconds, .min = 1, .max = 21845,
	 TAKEN(obj_bgp_peer, keepalive_time)},
	{.path = "spec.ttlSecurity", .type = &schema_uint, .max = 255, TAKEN(obj_bgp_peer, ttl_security)},
	{.path = "spec.numAllowedLocalASNumbers", .type = &schema_uint, .max = 255,
	 TAKEN(obj_bgp_peer, allowed_local_as)},
	{.path = "spec.nextHopMode", .type = &schema_enum, .names = next_hop_names, TAKEN(obj_bgp_peer, next_hop_mode)},
	{.path = "spec.keepOriginalNextHop", .type = &schema_bool, TAKEN(obj_bgp_peer, keep_original_next_hop)},
	{.path = "spec.sourceAddress", .type = &schema_enum, .names = source_names,
	 TAKEN(obj_bgp_peer, no_source_address)},
	{.path = "spec.reversePeering", .type = &schema_enum, .names = reverse_names,
	 TAKEN(obj_bgp_peer, manual_reverse_peering)},
	LATER("spec.filters"), LATER("spec.reachableBy"), LATER("spec.localWorkloadSelector"),
	LATER("spec.password.secretKeyRef"),
	/* Ours: what Calico's API has no field for. */
	{.path = "spec.password", .type = &schema_text, .min = 1, .max = 80, OURS(obj_bgp_peer, password)},
	{.path = "spec.holdTime", .type = &schema_seconds, .min = 3, .max = 65535, OURS(obj_bgp_peer, hold_time)},
	{.path = "spec.passive", .type = &schema_bool, OURS(obj_bgp_peer, passive)},
	{.path = "spec.families", .type = &schema_flags, .names = family_names, OURS(obj_bgp_peer, opt.families)},
	{.path = "spec.addPath", .type = &schema_enum, .names = add_path_names, OURS(obj_bgp_peer, opt.add_path)},
	{.path = "spec.addPathLimit", .type = &schema_uint, .max = 255, OURS(obj_bgp_peer, opt.add_path_limit)},
	{.path = "spec.extendedNextHop", .type = &schema_enum, .names = on_off_names,
	 OURS(obj_bgp_peer, opt.ext_next_hop)},
	{.path = "spec.routeReflectorClient", .type = &schema_enum, .names = on_off_names,
	 OURS(obj_bgp_peer, opt.rr_client)},
	{.path = "spec.enforceFirstAS", .type = &schema_enum, .names = on_off_names, OURS(obj_bgp_peer, opt.first_as)},
	{.path = "spec.prefixLimit.maximum", .type = &schema_uint, .min = 1, .max = UINT32_MAX,
	 OURS(obj_bgp_peer, opt.prefix_limit)},
	{.path = "spec.prefixLimit.warning", .type = &schema_uint, .min = 1, .max = 100,
	 OURS(obj_bgp_peer, opt.prefix_warning)},
	{.path = "spec.prefixLimit.restartTime", .type = &schema_seconds, .min = 1, .max = 65535,
	 OURS(obj_bgp_peer, opt.prefix_restart)},
	{.path = "spec.prefixLimit.action", .type = &schema_enum, .names = limit_action_names,
	 OURS(obj_bgp_peer, opt.prefix_warn_only)},
	{.path = "spec.longLivedStaleTime", .type = &schema_seconds, .min = 1, .max = 16777215,
	 OURS(obj_bgp_peer, opt.llgr_time)},
	{.path = "spec.asPathPrepend", .type = &schema_uint, .max = 32, OURS(obj_bgp_peer, opt.prepend)},
	{.path = "spec.gracefulShutdown", .type = &schema_bool, OURS(obj_bgp_peer, opt.graceful_shutdown)},
	{.path = "spec.shutdown", .type = &schema_bool, OURS(obj_bgp_peer, opt.shutdown)},
	{.path = "spec.shutdownMessage", .type = &schema_text, .max = 255, OURS(obj_bgp_peer, shutdown_text)},
	{.path = "spec.peerRange", .type = &schema_prefix, OURS(obj_bgp_peer, opt.range)},
	{.path = "spec.peerLimit", .type = &schema_uint, .min = 1, .max = 65535, OURS(obj_bgp_peer, opt.range_limit)},
	{.path = "spec.interface", .type = &schema_ifname, OURS(obj_bgp_peer, interface)},
	{.path = "spec.bfd.enabled", .type = &schema_bool, OURS(obj_bgp_peer, bfd.enabled)},
	{.path = "spec.bfd.transmitInterval", .type = &schema_uint, .min = 10, .max = 60000,
	 OURS(obj_bgp_peer, bfd.transmit_interval)},
	{.path = "spec.bfd.receiveInterval", .type = &schema_uint, .min = 10, .max = 60000,
	 OURS(obj_bgp_peer, bfd.receive_interval)},
	{.path = "spec.bfd.detectMultiplier", .type = &schema_uint, .min = 1, .max = 255,
	 OURS(obj_bgp_peer, bfd.multiplier)},
	{.path = "spec.bfd.minimumTtl", .type = &schema_uint, .min = 1, .max = 255, OURS(obj_bgp_peer, bfd.min_ttl)},
	{.path = "spec.bfd.passiveMode", .type = &schema_bool, OURS(obj_bgp_peer, bfd.passive)},
	LATER("spec.bfd.echoMode", .def = "false"), LATER("spec.bfd.echoInterval"),
};

static const struct schema_row workload_endpoint_rows[] = {
	ROWS_OF_ALL({.path = "metadata.namespace", .type = &schema_object_name, .def = "default",
		     TAKEN(object, namespace)}),
	{.path = "spec.node", .type = &schema_text, .required = true, .min = 1, .max = 253,
	 TAKEN(obj_workload_endpoint, node)},
	{.path = "spec.interfaceName", .type = &schema_ifname, .required = true,
	 TAKEN(obj_workload_endpoint, interface)},
	{.path = "spec.ipNetworks", .type = &schema_prefixes, TAKEN(obj_workload_endpoint, networks),
	 .second = offsetof(struct obj_workload_endpoint, network_count)},
	{.path = "spec.pod", .type = &schema_text, .max = 253, TAKEN(obj_workload_endpoint, pod)},
	{.path = "spec.endpoint", .type = &schema_text, .max = 253, TAKEN(obj_workload_endpoint, endpoint)},
	{.path = "spec.mac", .type = &schema_mac, TAKEN(obj_workload_endpoint, mac)},
	QUIET("spec.orchestrator"), QUIET("spec.workload"), QUIET("spec.containerID"), QUIET("spec.profiles"),
	QUIET("spec.serviceAccountName"), QUIET("spec.ipNATs"), QUIET("spec.ipv4Gateway"), QUIET("spec.ipv6Gateway"),
	QUIET("spec.ports"), QUIET("spec.allowSpoofedSourcePrefixes"), QUIET("spec.qosControls"),
};

static const struct schema_name state_names[] = {
	{"", AFFINITY_CONFIRMED}, {"confirmed", AFFINITY_CONFIRMED}, {"pending", AFFINITY_PENDING},
	{"pendingDeletion", AFFINITY_PENDING_DELETION}, {0},
};
static const struct schema_name affinity_type_names[] = {{"", false}, {"host", false}, {"virtual", true}, {0}};

static const struct schema_row block_affinity_rows[] = {
	ROWS_OF_ALL(QUIET("metadata.namespace")),
	{.path = "spec.cidr", .type = &schema_prefix, .required = true, TAKEN(obj_block_affinity, cidr)},
	{.path = "spec.node", .type = &schema_text, .required = true, .min = 1, .max = 253,
	 TAKEN(obj_block_affinity, node)},
	{.path = "spec.type", .type = &schema_enum, .names = affinity_type_names, TAKEN(obj_block_affinity, virtual)},
	{.path = "spec.state", .type = &schema_enum, .names = state_names, TAKEN(obj_block_affinity, state)},
	{.path = "spec.deleted", .type = &schema_loose_bool, TAKEN(obj_block_affinity, deleted)},
};

static const struct schema_row ipam_block_rows[] = {
	ROWS_OF_ALL(QUIET("metadata.namespace")),
	{.path = "spec.cidr", .type = &schema_prefix, .required = true, TAKEN(obj_ipam_block, cidr)},
	{.path = "spec.affinity", .type = &schema_affinity, TAKEN(obj_ipam_block, node)},
	{.path = "spec.deleted", .type = &schema_loose_bool, TAKEN(obj_ipam_block, deleted)},
	/* Read by ipam_block_finish(). */
	QUIET("spec.allocations"), QUIET("spec.attributes"), QUIET("spec.hostAffinity"),
	QUIET("spec.unallocated"), QUIET("spec.affinityClaimTime"), QUIET("spec.affinity_claim_time"),
	QUIET("spec.sequenceNumber"), QUIET("spec.sequenceNumberForAllocation"), QUIET("spec.strictAffinity"),
};
/* clang-format on */

static bool ip_pool_finish(void *object, const struct yaml_node *doc, struct object_error *err)
{
	const struct obj_ip_pool *p = object;

	if (p->ipip != ENCAP_NEVER && p->cidr.addr.af == AF_INET6)
		return schema_refuse_field(err, doc, "spec.ipipMode", "IP-in-IP is for IPv4 pools only");
	if (p->ipip != ENCAP_NEVER && p->vxlan != ENCAP_NEVER)
		return schema_refuse_field(err, doc, "spec.vxlanMode",
					   "excludes ipipMode: a pool has one encapsulation");
	return true;
}

/* Fields of a BGPPeer of which only one may be set. */
static const char *const peer_exclusive[][2] = {
    {"spec.node", "spec.nodeSelector"},
    {"spec.peerSelector", "spec.peerIP"},
    {"spec.peerSelector", "spec.asNumber"},
    {"spec.localWorkloadSelector", "spec.peerIP"},
    {"spec.localWorkloadSelector", "spec.peerSelector"},
    {"spec.peerRange", "spec.peerIP"},
    {"spec.peerRange", "spec.peerSelector"},
    {"spec.peerRange", "spec.localWorkloadSelector"},
    {"spec.interface", "spec.peerSelector"},
};

/* One of these says who the peer is. */
static const char *const peer_identity[] = {
    "spec.peerIP", "spec.peerSelector", "spec.peerRange", "spec.interface", "spec.localWorkloadSelector",
};

static bool is_set(const struct yaml_node *doc, const char *path)
{
	const struct yaml_node *n = schema_at(doc, path);

	return n && (n->type == YAML_SCALAR ? n->text[strspn(n->text, " \t")] != '\0' : n->count > 0);
}

static bool is_ipv6_link_local(const struct addr *a)
{
	return a->af == AF_INET6 && addr_is_link_local(a);
}

static bool bgp_peer_finish(void *object, const struct yaml_node *doc, struct object_error *err)
{
	const struct obj_bgp_peer *p = object;
	bool identified = false;

	for (size_t i = 0; i < sizeof peer_exclusive / sizeof *peer_exclusive; i++)
		if (is_set(doc, peer_exclusive[i][0]) && is_set(doc, peer_exclusive[i][1]))
			return schema_refuse_field(err, doc, peer_exclusive[i][1], "excludes %s", peer_exclusive[i][0]);
	for (size_t i = 0; i < sizeof peer_identity / sizeof *peer_identity; i++)
		identified = identified || is_set(doc, peer_identity[i]);
	if (!identified)
		return schema_refuse_field(err, doc, "spec.peerIP",
					   "missing: expected peerIP, peerSelector, peerRange or interface");
	if (is_ipv6_link_local(&p->peer_ip) && !p->interface)
		return schema_refuse_field(err, doc, "spec.interface", "missing: a link-local peer needs one");
	if (p->interface && !addr_is_none(&p->peer_ip) && !is_ipv6_link_local(&p->peer_ip))
		return schema_refuse_field(err, doc, "spec.interface",
					   "is for link-local peers, and for those without peerIP");
	if (p->interface && !addr_is_none(&p->opt.range.addr) && !is_ipv6_link_local(&p->opt.range.addr))
		return schema_refuse_field(err, doc, "spec.interface", "is for ranges of link-local addresses only");
	return true;
}

static bool workload_endpoint_finish(void *object, const struct yaml_node *doc, struct object_error *err)
{
	const struct obj_workload_endpoint *w = object;

	for (unsigned i = 0; i < w->network_count; i++)
		if (!prefix_is_host(&w->networks[i]))
			return schema_refuse_field(err, doc, "spec.ipNetworks", "item %u: expected a /32 or /128", i);
	return true;
}

static bool block_affinity_finish(void *object, const struct yaml_node *doc, struct object_error *err)
{
	return ipam_check_block(&((struct obj_block_affinity *)object)->cidr, doc, err);
}

#define ROWS(table) .rows = table, .row_count = sizeof table / sizeof *table

static const struct kind {
	const char *name;
	struct schema schema;
} kinds[OBJ_KIND_COUNT] = {
    [OBJ_NODE] = {"Node", {ROWS(node_rows), .size = sizeof(struct obj_node)}},
    [OBJ_IP_POOL] = {"IPPool", {ROWS(ip_pool_rows), .size = sizeof(struct obj_ip_pool), .finish = ip_pool_finish}},
    [OBJ_BGP_CONFIGURATION] = {"BGPConfiguration",
			       {ROWS(bgp_configuration_rows), .size = sizeof(struct obj_bgp_configuration)}},
    [OBJ_BGP_PEER] = {"BGPPeer", {ROWS(bgp_peer_rows), .size = sizeof(struct obj_bgp_peer), .finish = bgp_peer_finish}},
    [OBJ_WORKLOAD_ENDPOINT] = {"WorkloadEndpoint",
			       {ROWS(workload_endpoint_rows), .size = sizeof(struct obj_workload_endpoint),
				.namespaced = true, .finish = workload_endpoint_finish}},
    [OBJ_BLOCK_AFFINITY] = {"BlockAffinity",
			    {ROWS(block_affinity_rows), .size = sizeof(struct obj_block_affinity),
			     .finish = block_affinity_finish}},
    [OBJ_IPAM_BLOCK] = {"IPAMBlock",
			{ROWS(ipam_block_rows), .size = sizeof(struct obj_ipam_block), .finish = ipam_block_finish,
			 .put = ipam_block_put, .drop = ipam_block_drop}},
};

static const char *const foreign_kinds[] = {
    "CalicoNodeStatus",
    "ClusterInformation",
    "FelixConfiguration",
    "GlobalNetworkPolicy",
    "GlobalNetworkSet",
    "HostEndpoint",
    "IPAMConfig",
    "IPAMConfiguration",
    "IPAMHandle",
    "IPReservation",
    "KubeControllersConfiguration",
    "LiveMigration",
    "NetworkPolicy",
    "NetworkSet",
    "Profile",
    "RemoteClusterConfiguration",
    "StagedGlobalNetworkPolicy",
    "StagedKubernetesNetworkPolicy",
    "StagedNetworkPolicy",
    "Tier",
};

const char *object_kind_name(enum object_kind k)
{
	return kinds[k].name;
}

bool object_kind_has_namespace(enum object_kind k)
{
	return kinds[k].schema.namespaced;
}

int object_kind_by_name(const char *name)
{
	for (int k = 0; k < OBJ_KIND_COUNT; k++)
		if (strcmp(kinds[k].name, name) == 0)
			return k;
	return -1;
}

bool object_kind_is_foreign(const char *name)
{
	for (size_t i = 0; i < sizeof foreign_kinds / sizeof *foreign_kinds; i++)
		if (strcmp(foreign_kinds[i], name) == 0)
			return true;
	return false;
}

bool object_kind_is_unsupported(const char *name)
{
	return strcmp(name, "BGPFilter") == 0;
}

const struct schema *object_schema(enum object_kind k)
{
	return &kinds[k].schema;
}

/* A text of the document; NULL if it is not there, or no text. */
static const char *text_of(const struct yaml_node *doc, const char *path)
{
	const struct yaml_node *n = schema_at(doc, path);

	return n && n->type == YAML_SCALAR && *n->text ? n->text : NULL;
}

/* Who the document is about, before anything else in it is believed. A name that cannot be one is nobody's. */
static void identify(const struct yaml_node *doc, int *kind, char **name)
{
	const char *kind_text = text_of(doc, "kind"), *text = text_of(doc, "metadata.name"), *ns;

	*kind = kind_text ? object_kind_by_name(kind_text) : -1;
	if (*kind < 0 || !text || !schema_is_name(text))
		return;
	if (!kinds[*kind].schema.namespaced) {
		*name = mem_strdup(text);
		return;
	}
	ns = schema_at(doc, "metadata.namespace") ? text_of(doc, "metadata.namespace") : "default";
	if (ns && schema_is_name(ns))
		*name = mem_printf("%s/%s", ns, text);
}

static bool check_kind(const struct yaml_node *doc, int kind, struct object_error *err)
{
	const char *text = text_of(doc, "kind"), *api = text_of(doc, "apiVersion");

	if (!text)
		return schema_refuse_field(err, doc, "kind", "missing: expected Node, IPPool, BGPPeer, ...");
	if (object_kind_is_unsupported(text))
		return schema_refuse_field(err, doc, "kind", "objects of the kind %s are not honoured yet", text);
	if (kind < 0)
		return schema_refuse_field(err, doc, "kind", "'%.60s' is not a known kind", text);
	if (!api || (strcmp(api, "projectcalico.org/v3") != 0 && strcmp(api, "crd.projectcalico.org/v1") != 0))
		return schema_refuse_field(err, doc, "apiVersion",
					   "expected projectcalico.org/v3 or crd.projectcalico.org/v1, not '%.60s'",
					   api ? api : "");
	return true;
}

static bool check_unique(const struct yaml_node *doc, struct object_error *err)
{
	struct yaml_error twice;

	if (yaml_unique(doc, &twice))
		return true;
	err->line = twice.line;
	err->col = twice.col;
	snprintf(err->reason, sizeof err->reason, "%s", twice.reason);
	return false;
}

struct object *object_decode(const struct yaml_node *doc, struct object_error *err, int *kind, char **name,
			     object_report_fn *report, void *arg)
{
	struct object *o;

	*err = (struct object_error){.line = 1, .col = 1};
	*kind = -1;
	*name = NULL;
	if (!doc || doc->type != YAML_MAP) {
		if (doc)
			schema_refuse(err, doc, "expected an object: a map with apiVersion, kind, metadata and spec");
		return NULL;
	}
	identify(doc, kind, name);
	if (!check_kind(doc, *kind, err) || !check_unique(doc, err))
		return NULL;
	o = mem_calloc(1, kinds[*kind].schema.size);
	o->kind = (enum object_kind) * kind;
	if (!schema_decode(&kinds[*kind].schema, doc, o, (struct schema_report){report, arg}, err)) {
		object_free(o);
		return NULL;
	}
	if (!o->namespace)
		o->namespace = mem_strdup("");
	o->digest = schema_digest(&kinds[*kind].schema, o);
	return o;
}

void object_free(struct object *o)
{
	if (!o)
		return;
	schema_drop(&kinds[o->kind].schema, o);
	if (!kinds[o->kind].schema.namespaced)
		free(o->namespace);
	free(o->source);
	free(o);
}
