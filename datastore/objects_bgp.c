/* The tables of what concerns BGP, and the checks that span several of their fields. */
#include <string.h>

#include "datastore/kinds.h"
#include "datastore/rows.h"

/* clang-format off */
static const struct schema_row named_community_rows[] = {
	{.path = "name", .type = &schema_text, .required = true, .min = 1, .max = 253, TAKEN(named_community, name)},
	{.path = "value", .type = &schema_community, .required = true, TAKEN(named_community, value)},
};
static const struct schema_row prefix_advertisement_rows[] = {
	{.path = "cidr", .type = &schema_prefix, .required = true, TAKEN(prefix_advertisement, cidr)},
	{.path = "communities", .type = &schema_texts, TAKEN(prefix_advertisement, communities),
	 .second = offsetof(struct prefix_advertisement, community_count)},
};
/* clang-format on */

static const struct schema named_community_schema = {
    SCHEMA_ROWS(named_community_rows),
    .size = sizeof(struct named_community),
};
static const struct schema prefix_advertisement_schema = {
    SCHEMA_ROWS(prefix_advertisement_rows),
    .size = sizeof(struct prefix_advertisement),
};

/* clang-format off */
static const struct schema_name bind_names[] = {{"", false}, {"None", false}, {"NodeIP", true}, {0}};

static const struct schema_name aggregation_names[] = {{"", false}, {"Enabled", false}, {"Disabled", true}, {0}};

static const struct schema_name cluster_routes_names[] = {
	{"", ROUTES_AUTO}, {"Enabled", ROUTES_ALL}, {"Disabled", ROUTES_NONE}, {"EnabledNoEncapOnly", ROUTES_NO_ENCAP},
	{"EnabledIPIPOnly", ROUTES_IPIP}, {0},
};

#define SECRET(at, structure, member)                                                                                  \
	{.path = at ".secretKeyRef.name", .type = &schema_text, .max = 253, TAKEN(structure, member.name)},            \
	{.path = at ".secretKeyRef.key", .type = &schema_text, .max = 253, TAKEN(structure, member.key)},              \
	QUIET(at ".secretKeyRef.optional", "a Secret that is missing is no password, and told")

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
	SECRET("spec.nodeMeshPassword", obj_bgp_configuration, mesh_secret),
	/* Ours: the text itself. */
	{.path = "spec.nodeMeshPassword", .type = &schema_text, .min = 1, .max = 80,
	 OURS(obj_bgp_configuration, mesh_password)},
	{.path = "spec.maxPaths", .type = &schema_uint, .min = 1, .max = 128, OURS(obj_bgp_configuration, max_paths)},
	{.path = "spec.ipv4NormalRoutePriority", .type = &schema_uint, .min = 1, .max = 2147483646,
	 TAKEN(obj_bgp_configuration, ipv4_priority)},
	{.path = "spec.ipv6NormalRoutePriority", .type = &schema_uint, .min = 1, .max = 2147483646,
	 TAKEN(obj_bgp_configuration, ipv6_priority)},
	{.path = "spec.serviceClusterIPs", .type = &schema_cidrs, TAKEN(obj_bgp_configuration, service_cluster),
	 .second = offsetof(struct obj_bgp_configuration, service_cluster_count)},
	{.path = "spec.serviceExternalIPs", .type = &schema_cidrs, TAKEN(obj_bgp_configuration, service_external),
	 .second = offsetof(struct obj_bgp_configuration, service_external_count)},
	{.path = "spec.serviceLoadBalancerIPs", .type = &schema_cidrs,
	 TAKEN(obj_bgp_configuration, service_load_balancer),
	 .second = offsetof(struct obj_bgp_configuration, service_load_balancer_count)},
	{.path = "spec.serviceLoadBalancerAggregation", .type = &schema_enum, .names = aggregation_names,
	 TAKEN(obj_bgp_configuration, no_load_balancer_aggregation)},
	{.path = "spec.communities", .type = &schema_items, .items = &named_community_schema,
	 TAKEN(obj_bgp_configuration, communities), .second = offsetof(struct obj_bgp_configuration, community_count)},
	{.path = "spec.prefixAdvertisements", .type = &schema_items, .items = &prefix_advertisement_schema,
	 TAKEN(obj_bgp_configuration, advertisements),
	 .second = offsetof(struct obj_bgp_configuration, advertisement_count)},
	QUIET("spec.ignoredInterfaces", "connected networks are not announced, so there is none to leave out"),
	{.path = "spec.localWorkloadPeeringIPV4", .type = &schema_addr, .af = AF_INET,
	 TAKEN(obj_bgp_configuration, workload_peering4)},
	{.path = "spec.localWorkloadPeeringIPV6", .type = &schema_addr, .af = AF_INET6,
	 TAKEN(obj_bgp_configuration, workload_peering6)},
	{.path = "spec.programClusterRoutes", .type = &schema_enum, .names = cluster_routes_names,
	 TAKEN(obj_bgp_configuration, cluster_routes)},
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
	{.path = "spec.filters", .type = &schema_texts, TAKEN(obj_bgp_peer, filters),
	 .second = offsetof(struct obj_bgp_peer, filter_count)},
	{.path = "spec.localWorkloadSelector", .type = &schema_selector, TAKEN(obj_bgp_peer, workload_selector),
	 .second = offsetof(struct obj_bgp_peer, workload_sel)},
	{.path = "spec.reachableBy", .type = &schema_addr, TAKEN(obj_bgp_peer, reachable_by)},
	SECRET("spec.password", obj_bgp_peer, secret),
	/* Calico Enterprise's. */
	LATER("spec.failureDetectionMode", .def = "None", .why = "Calico Enterprise's: bfd says it here"),
	LATER("spec.restartMode", .def = "GracefulRestart",
	      .why = "Calico Enterprise's: longLivedStaleTime says it here"),
	LATER("spec.birdGatewayMode", .def = "Recursive",
	      .why = "Calico Enterprise's: next hops on a connected network are used as they are"),
	LATER("spec.externalNetwork", .why = "Calico Enterprise's"),
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
	{.path = "spec.vrf", .type = &schema_ifname, OURS(obj_bgp_peer, vrf)},
	{.path = "spec.kernelTable", .type = &schema_uint, .min = 1, .max = UINT32_MAX,
	 OURS(obj_bgp_peer, opt.kernel_table)},
	{.path = "spec.bfd.enabled", .type = &schema_bool, OURS(obj_bgp_peer, bfd.enabled)},
	{.path = "spec.bfd.transmitInterval", .type = &schema_uint, .min = 10, .max = 60000,
	 OURS(obj_bgp_peer, bfd.transmit_interval)},
	{.path = "spec.bfd.receiveInterval", .type = &schema_uint, .min = 10, .max = 60000,
	 OURS(obj_bgp_peer, bfd.receive_interval)},
	{.path = "spec.bfd.detectMultiplier", .type = &schema_uint, .min = 1, .max = 255,
	 OURS(obj_bgp_peer, bfd.multiplier)},
	{.path = "spec.bfd.minimumTtl", .type = &schema_uint, .min = 1, .max = 255, OURS(obj_bgp_peer, bfd.min_ttl)},
	{.path = "spec.bfd.passiveMode", .type = &schema_bool, OURS(obj_bgp_peer, bfd.passive)},
	LATER("spec.bfd.echoMode", .def = "false", .why = "there is no echo function (RFC 5880 6.4)"),
	LATER("spec.bfd.echoInterval", .why = "there is no echo function (RFC 5880 6.4)"),
};
/* clang-format on */

/* RT_TABLE_LOCAL. */
#define LOCAL_TABLE 255u

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
    {"spec.interface", "spec.localWorkloadSelector"},
    /* Nodes and their workloads are not in VRFs; callers of a range are only listened to outside them. */
    {"spec.vrf", "spec.peerSelector"},
    {"spec.vrf", "spec.localWorkloadSelector"},
    {"spec.vrf", "spec.peerRange"},
};

/* One of these says who the peer is. */
static const char *const peer_identity[] = {
    "spec.peerIP", "spec.peerSelector", "spec.peerRange", "spec.interface", "spec.localWorkloadSelector",
};

static bool is_set(const struct yaml_node *doc, const char *path)
{
	const struct yaml_node *n = schema_source(&bgp_peer_schema, doc, path);

	return n && (n->type == YAML_SCALAR ? n->text[strspn(n->text, " \t")] != '\0' : n->count > 0);
}

static bool is_ipv6_link_local(const struct addr *a)
{
	return a->af == AF_INET6 && addr_is_link_local(a);
}

static bool bgp_peer_finish(void *object, const struct yaml_node *doc, struct object_error *err)
{
	struct obj_bgp_peer *p = object;
	bool identified = false;

	for (size_t i = 0; i < sizeof peer_exclusive / sizeof *peer_exclusive; i++)
		if (is_set(doc, peer_exclusive[i][0]) && is_set(doc, peer_exclusive[i][1]))
			return schema_refuse_field(err, doc, peer_exclusive[i][1], "excludes %s", peer_exclusive[i][0]);
	for (size_t i = 0; i < sizeof peer_identity / sizeof *peer_identity; i++)
		identified = identified || is_set(doc, peer_identity[i]);
	if (!identified)
		return schema_refuse_field(err, doc, "spec.peerIP",
					   "missing: expected peerIP, peerSelector, peerRange or interface");
	if (!addr_is_none(&p->reachable_by) && p->reachable_by.af != p->peer_ip.af)
		return schema_refuse_field(err, doc, "spec.reachableBy",
					   "expected an address of the family of spec.peerIP");
	if (is_ipv6_link_local(&p->peer_ip) && !p->interface)
		return schema_refuse_field(err, doc, "spec.interface", "missing: a link-local peer needs one");
	if (p->interface && !addr_is_none(&p->peer_ip) && !is_ipv6_link_local(&p->peer_ip))
		return schema_refuse_field(err, doc, "spec.interface",
					   "is for link-local peers, and for those without peerIP");
	if (p->interface && !addr_is_none(&p->opt.range.addr) && !is_ipv6_link_local(&p->opt.range.addr))
		return schema_refuse_field(err, doc, "spec.interface", "is for ranges of link-local addresses only");
	if (p->opt.kernel_table == LOCAL_TABLE)
		return schema_refuse_field(err, doc, "spec.kernelTable",
					   "is the table of the node's own addresses (local): choose another one");
	if (p->vrf && p->bfd.enabled)
		return schema_refuse_field(err, doc, "spec.bfd.enabled",
					   "cannot be: there is no BFD in a VRF (spec.vrf)");
	if (p->vrf)
		strncpy(p->opt.vrf, p->vrf, sizeof p->opt.vrf - 1);
	return true;
}

const struct schema bgp_configuration_schema = {
    .kind = "BGPConfiguration",
    SCHEMA_ROWS(bgp_configuration_rows),
    .size = sizeof(struct obj_bgp_configuration),
};

const struct schema bgp_peer_schema = {
    .kind = "BGPPeer",
    SCHEMA_ROWS(bgp_peer_rows),
    .size = sizeof(struct obj_bgp_peer),
    .finish = bgp_peer_finish,
};
