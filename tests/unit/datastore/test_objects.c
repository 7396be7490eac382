/* What objects mean, kind by kind, and what is refused of them. */
#include "tests/unit/datastore/decode.h"

/* Documents that are refused as a whole: where, which field, why, and who was meant. */
static const struct {
	const char *text, *at, *reason, *name; /* at: "LINE:COL FIELD" */
	int kind;
} refused[] = {
    {"- a\n", "1:1 ", "expected an object", NULL, -1},
    {"text\n", "1:1 ", "expected an object", NULL, -1},
    {"{}\n", "1:1 kind", "missing", NULL, -1},
    {"kind: [Node]\n", "1:7 kind", "missing", NULL, -1},
    {"kind: Pod\nmetadata: {name: x}\n", "1:7 kind", "'Pod' is not a known kind", NULL, -1},
    {"kind: LiveMigration\nmetadata: {name: x}\n", "1:7 kind", "LiveMigration is not read: a Work", NULL, -1},
    {"kind: CalicoNodeStatus\nmetadata: {name: x}\n", "1:7 kind", "where the datastore is the Kubernetes API", NULL,
     -1},
    {"kind: Node\nmetadata: {name: x}\n", "1:1 apiVersion", "expected projectcalico.org/v3", "x", OBJ_NODE},
    {"kind: Node\napiVersion: v2\nmetadata: {name: x}\n", "2:13 apiVersion", "not 'v2'", "x", OBJ_NODE},
    {"kind: Node\napiVersion: projectcalico.org/v3\n", "1:1 metadata.name", "missing: expected a name", NULL, OBJ_NODE},
    {"kind: Node\napiVersion: projectcalico.org/v3\nmetadata: {name: ''}\n", "3:18 metadata.name", "expected a name",
     NULL, OBJ_NODE},
    {"kind: Node\napiVersion: projectcalico.org/v3\nmetadata: [name]\n", "3:11 metadata", "expected a map, not a list",
     NULL, OBJ_NODE},
    {"kind: Node\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\nspec: 5\n", "4:7 spec",
     "expected a map, not a plain value", "x", OBJ_NODE},
    {"kind: Node\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\nspec:\n  bgp:\n    asNumber: 1\n    asNumber: "
     "2\n",
     "7:5 ", "\"asNumber\" is there twice", "x", OBJ_NODE},
    {"kind: IPPool\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\nspec:\n  cidr: fd00::/64\n  ipipMode: "
     "Always\n",
     "6:13 spec.ipipMode", "IPv4 pools only", "x", OBJ_IP_POOL},
    {"kind: IPPool\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {cidr: 10.0.0.0/8, vxlanMode: Always, ipipMode: CrossSubnet}\n",
     "4:37 spec.vxlanMode", "excludes ipipMode", "x", OBJ_IP_POOL},
    {"kind: BGPPeer\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n", "1:1 spec.peerIP", "missing", "x",
     OBJ_BGP_PEER},
    {"kind: BGPPeer\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {node: a, nodeSelector: all(), peerIP: 10.0.0.1}\n",
     "4:31 spec.nodeSelector", "excludes spec.node", "x", OBJ_BGP_PEER},
    {"kind: BGPPeer\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {peerIP: 10.0.0.1, peerSelector: all()}\n",
     "4:16 spec.peerIP", "excludes spec.peerSelector", "x", OBJ_BGP_PEER},
    {"kind: BGPPeer\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {peerIP: 10.0.0.1, reachableBy: 'fd00::1'}\n",
     "4:39 spec.reachableBy", "of the family of spec.peerIP", "x", OBJ_BGP_PEER},
    {"kind: BGPFilter\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {exportV4: [{action: Accept}, {action: Accept, cidr: 10.0.0.0/8}]}\n",
     "4:37 spec.exportV4[1].matchOperator", "missing", "x", OBJ_BGP_FILTER},
    {"kind: BGPFilter\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {exportV4: [{action: Accept, prefixLength: {min: 8}}]}\n",
     "4:50 spec.exportV4[0].prefixLength", "needs a cidr", "x", OBJ_BGP_FILTER},
    {"kind: BGPFilter\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {exportV4: [{action: Accept, cidr: 10.0.0.0/8, matchOperator: In, prefixLength: {min: 9, max: 8}}]}\n",
     "4:93 spec.exportV4[0].prefixLength.min", "is above", "x", OBJ_BGP_FILTER},
    {"kind: BGPFilter\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {importV6: [{action: Reject, operations: [{setPriority: {value: 5}}]}]}\n",
     "4:48 spec.importV6[0].operations", "are for rules with the action Accept", "x", OBJ_BGP_FILTER},
    {"kind: BGPFilter\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {importV6: [{action: Accept, operations: [{setPriority: {value: 5}, addCommunity: {value: '1:2'}}]}]}\n",
     "4:49 spec.importV6[0].operations[0]", "expected one of", "x", OBJ_BGP_FILTER},
    {"kind: BGPPeer\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {asNumber: 1, peerSelector: all()}\n",
     "4:18 spec.asNumber", "excludes spec.peerSelector", "x", OBJ_BGP_PEER},
    {"kind: WorkloadEndpoint\napiVersion: projectcalico.org/v3\nmetadata: {name: x, namespace: ns}\n"
     "spec: {node: n, interfaceName: c, ipNetworks: [10.0.0.1, 10.0.0.0/24]}\n",
     "4:47 spec.ipNetworks", "item 1: expected a /32 or /128", "ns/x", OBJ_WORKLOAD_ENDPOINT},
    {"kind: BlockAffinity\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\nspec: {node: n, cidr: 10.0.0.0/16}\n",
     "4:23 spec.cidr", "a block is /20 to /32", "x", OBJ_BLOCK_AFFINITY},
    {"kind: IPAMBlock\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\nspec: {cidr: 'fd00::/64'}\n",
     "4:14 spec.cidr", "a block is /20 to /32", "x", OBJ_IPAM_BLOCK},
    {"kind: IPAMBlock\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {cidr: 10.0.0.0/31, allocations: [null, null, null]}\n",
     "4:40 spec.allocations", "3 addresses in a block of 2", "x", OBJ_IPAM_BLOCK},
    {"kind: IPAMBlock\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {cidr: 10.0.0.0/26, allocations: [null, 1], attributes: [{}]}\n",
     "4:47 spec.allocations[1]", "one of the 1 attributes", "x", OBJ_IPAM_BLOCK},
    {"kind: IPAMBlock\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {cidr: 10.0.0.0/26, allocations: [-1], attributes: [{}]}\n",
     "4:41 spec.allocations[0]", "expected null", "x", OBJ_IPAM_BLOCK},
    {"kind: IPAMBlock\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {cidr: 10.0.0.0/26, allocations: [[0]], attributes: [{}]}\n",
     "4:41 spec.allocations[0]", "expected null", "x", OBJ_IPAM_BLOCK},
    {"kind: IPAMBlock\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\nspec: {cidr: 10.0.0.0/26, allocations: "
     "x}\n",
     "4:40 spec.allocations", "expected a list", "x", OBJ_IPAM_BLOCK},
    {"kind: IPAMBlock\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\nspec: {cidr: 10.0.0.0/26, attributes: "
     "{}}\n",
     "4:39 spec.attributes", "expected a list", "x", OBJ_IPAM_BLOCK},
};

START_TEST(test_refused)
{
	struct outcome out = decode(refused[_i].text);
	char at[200];

	ck_assert_msg(!out.o, "%s", refused[_i].text);
	snprintf(at, sizeof at, "%u:%u %s", out.err.line, out.err.col, out.err.field);
	ck_assert_str_eq(at, refused[_i].at);
	ck_assert_msg(strstr(out.err.reason, refused[_i].reason) != NULL, "%s", out.err.reason);
	ck_assert_int_eq(out.kind, refused[_i].kind);
	if (refused[_i].name)
		ck_assert_pstr_eq(out.name, refused[_i].name);
	else
		ck_assert_ptr_null(out.name);
	outcome_free(&out);
}
END_TEST

START_TEST(test_node)
{
	struct object *o = decode_good(
	    "{\"kind\":\"Node\",\"apiVersion\":\"projectcalico.org/v3\",\"metadata\":{\"name\":\"node-1\","
	    "\"uid\":\"6e9f\",\"creationTimestamp\":\"2026-08-01T10:00:00Z\",\"labels\":{\"rack\":\"r1\",\"a\":\"b\"}},"
	    "\"spec\":{\"bgp\":{\"asNumber\":64512,\"ipv4Address\":\"10.192.0.2/16\",\"ipv6Address\":\"2001:20::8/64\","
	    "\"ipv4IPIPTunnelAddr\":\"10.244.1.0\",\"routeReflectorClusterID\":\"10.0.0.1\"},"
	    "\"ipv4VXLANTunnelAddr\":\"10.244.1.1\",\"ipv6VXLANTunnelAddr\":\"fd00::1\","
	    "\"vxlanTunnelMACAddr\":\"66:b3:68:28:39:8e\",\"vxlanTunnelMACAddrV6\":\"66:b3:68:28:39:8f\","
	    "\"orchRefs\":[{\"nodeName\":\"node-1\",\"orchestrator\":\"k8s\"}],"
	    "\"addresses\":[{\"address\":\"10.192.0.2/16\",\"type\":\"CalicoNodeIP\"}]},"
	    "\"status\":{\"podCIDRs\":[\"10.244.1.0/24\",\"fd00::/64\"],\"wireguardPublicKey\":\"x\"}}");
	const struct obj_node *n = object_node(o);

	ck_assert_int_eq(o->kind, OBJ_NODE);
	ck_assert_str_eq(o->name, "node-1");
	ck_assert_str_eq(o->namespace, "");
	ck_assert_uint_eq(o->labels.count, 2);
	ck_assert_str_eq(o->labels.keys[0], "a");
	ck_assert_str_eq(labels_get(&o->labels, "rack"), "r1");
	ck_assert_uint_eq(n->as_number, 64512);
	assert_addr(&n->ipv4.addr, "10.192.0.2");
	ck_assert_uint_eq(n->ipv4.len, 16);
	assert_addr(&n->ipv6.addr, "2001:20::8");
	ck_assert_uint_eq(n->ipv6.len, 64);
	assert_addr(&n->ipip_tunnel, "10.244.1.0");
	assert_addr(&n->vxlan_tunnel, "10.244.1.1");
	assert_addr(&n->vxlan_tunnel6, "fd00::1");
	ck_assert_str_eq(n->vxlan_mac, "66:b3:68:28:39:8e");
	ck_assert_str_eq(n->vxlan_mac6, "66:b3:68:28:39:8f");
	ck_assert(n->has_cluster_id);
	ck_assert_uint_eq(n->cluster_id, 0x0a000001);
	ck_assert_uint_eq(n->pod_cidr_count, 2);
	assert_prefix(&n->pod_cidrs[1], "fd00::/64");
	object_free(o);
	/* Without a mask: a host's own. */
	o = decode_good("{kind: Node, apiVersion: crd.projectcalico.org/v1, metadata: {name: n}, "
			"spec: {bgp: {ipv4Address: 10.0.0.1, ipv6Address: ''}}}");
	ck_assert_uint_eq(object_node(o)->ipv4.len, 32);
	ck_assert(addr_is_none(&object_node(o)->ipv6.addr));
	ck_assert(!object_node(o)->has_cluster_id);
	object_free(o);
}
END_TEST

START_TEST(test_ip_pool)
{
	struct object *o =
	    decode_good("{kind: IPPool, apiVersion: projectcalico.org/v3, metadata: {name: p}, spec: {"
			"cidr: 10.244.3.4/16, vxlanMode: Never, ipipMode: CrossSubnet, natOutgoing: true, "
			"blockSize: 26, nodeSelector: all(), allowedUses: [Workload, Tunnel], "
			"assignmentMode: Automatic, disabled: true, disableBGPExport: true}, "
			"status: {conditions: [{type: Allocatable, status: 'True'}]}}");
	const struct obj_ip_pool *p = (const void *)o;

	assert_prefix(&p->cidr, "10.244.0.0/16");
	ck_assert_int_eq(p->ipip, ENCAP_CROSS_SUBNET);
	ck_assert_int_eq(p->vxlan, ENCAP_NEVER);
	ck_assert(p->disabled && p->disable_bgp_export);
	ck_assert_uint_eq(p->block_size, 26);
	ck_assert_str_eq(p->node_selector, "all()");
	object_free(o);
}
END_TEST

START_TEST(test_bgp_configuration)
{
	struct object *o =
	    decode_good("{kind: BGPConfiguration, apiVersion: projectcalico.org/v3, metadata: {name: default}, "
			"spec: {logSeverityScreen: Info, nodeToNodeMeshEnabled: false, asNumber: '1.10', "
			"listenPort: 1790, bindMode: NodeIP, nodeMeshMaxRestartTime: 2m0s, "
			"ipv4NormalRoutePriority: 512, ipv6NormalRoutePriority: 513}}");
	const struct obj_bgp_configuration *c = (const void *)o;

	ck_assert(c->has_mesh && !c->mesh_enabled && c->bind_node_ip);
	ck_assert_uint_eq(c->as_number, 65546);
	ck_assert_uint_eq(c->listen_port, 1790);
	ck_assert_uint_eq(c->mesh_restart_time, 120);
	ck_assert_str_eq(c->log_severity, "Info");
	ck_assert_uint_eq(c->ipv4_priority, 512);
	ck_assert_uint_eq(c->ipv6_priority, 513);
	object_free(o);
	o = decode_good(
	    "{kind: BGPConfiguration, apiVersion: projectcalico.org/v3, metadata: {name: default}, spec: {}}");
	c = (const void *)o;
	ck_assert(!c->has_mesh && c->mesh_enabled);
	object_free(o);
}
END_TEST

START_TEST(test_bgp_peer)
{
	struct object *o = decode_good(
	    "{kind: BGPPeer, apiVersion: projectcalico.org/v3, metadata: {name: rack1-tor}, spec: {"
	    "nodeSelector: \"rack == 'r1'\", peerIP: '[fd00::5]:1790', asNumber: 65101, localASNumber: 65000, "
	    "maxRestartTime: 90s, keepaliveTime: 1m, ttlSecurity: 1, numAllowedLocalASNumbers: 2, nextHopMode: Keep, "
	    "keepOriginalNextHop: true, sourceAddress: None, reversePeering: Manual, holdTime: 9, passive: true, "
	    "password: s3cret}}");
	const struct obj_bgp_peer *p = (const void *)o;
	struct labels none = {0};

	ck_assert_str_eq(p->node_selector, "rack == 'r1'");
	ck_assert(p->node_sel && !selector_match(p->node_sel, &none) && !p->peer_sel && !p->node);
	assert_addr(&p->peer_ip, "fd00::5");
	ck_assert_uint_eq(p->peer_port, 1790);
	ck_assert_uint_eq(p->as_number, 65101);
	ck_assert_uint_eq(p->local_as, 65000);
	ck_assert_uint_eq(p->restart_time, 90);
	ck_assert_uint_eq(p->keepalive_time, 60);
	ck_assert_uint_eq(p->hold_time, 9);
	ck_assert_uint_eq(p->ttl_security, 1);
	ck_assert_uint_eq(p->allowed_local_as, 2);
	ck_assert_int_eq(p->next_hop_mode, NEXT_HOP_KEEP);
	ck_assert(p->keep_original_next_hop && p->no_source_address && p->manual_reverse_peering && p->passive);
	ck_assert_str_eq(p->password, "s3cret");
	object_free(o);
	/* Empty means not set. */
	o = decode_good("{kind: BGPPeer, apiVersion: projectcalico.org/v3, metadata: {name: x}, "
			"spec: {node: '', nodeSelector: ' ', peerIP: '', peerSelector: has(rr)}}");
	p = (const void *)o;
	ck_assert(!p->node && !p->node_selector && !p->node_sel && addr_is_none(&p->peer_ip));
	ck_assert_str_eq(p->peer_selector, "has(rr)");
	ck_assert_ptr_nonnull(p->peer_sel);
	object_free(o);
}
END_TEST

START_TEST(test_workload_endpoint)
{
	struct object *o = decode_good(
	    "{kind: WorkloadEndpoint, apiVersion: projectcalico.org/v3, metadata: {name: node--1-k8s-web--0-eth0, "
	    "namespace: shop}, spec: {orchestrator: k8s, node: node-1, pod: web-0, endpoint: eth0, containerID: 3a, "
	    "ipNetworks: [10.244.1.5/32, 'fd00::5'], profiles: [kns.default], interfaceName: cali0d7763386da, "
	    "mac: 'ee:ee:ee:ee:ee:ee'}}");
	const struct obj_workload_endpoint *w = (const void *)o;

	ck_assert_str_eq(o->namespace, "shop");
	ck_assert_str_eq(w->node, "node-1");
	ck_assert_str_eq(w->interface, "cali0d7763386da");
	ck_assert_str_eq(w->pod, "web-0");
	ck_assert_str_eq(w->endpoint, "eth0");
	ck_assert_str_eq(w->mac, "ee:ee:ee:ee:ee:ee");
	ck_assert_uint_eq(w->network_count, 2);
	assert_prefix(&w->networks[0], "10.244.1.5/32");
	assert_prefix(&w->networks[1], "fd00::5/128");
	object_free(o);
	o = decode_good("{kind: WorkloadEndpoint, apiVersion: projectcalico.org/v3, metadata: {name: w}, "
			"spec: {node: n, interfaceName: c}}");
	ck_assert_str_eq(o->namespace, "default");
	object_free(o);
}
END_TEST

static const struct {
	const char *spec;
	enum affinity_state state;
	bool virtual, deleted;
} affinities[] = {
    {"node: n, cidr: 10.0.0.0/26", AFFINITY_CONFIRMED, false, false},
    {"node: n, cidr: 10.0.0.0/26, state: '', type: ''", AFFINITY_CONFIRMED, false, false},
    {"node: n, cidr: 10.0.0.0/26, state: confirmed, type: host, deleted: 'false'", AFFINITY_CONFIRMED, false, false},
    {"node: n, cidr: 10.0.0.0/26, state: pending, deleted: 'true'", AFFINITY_PENDING, false, true},
    {"node: n, cidr: 10.0.0.0/26, state: pendingDeletion, deleted: true", AFFINITY_PENDING_DELETION, false, true},
    {"node: lb, cidr: 'fd00::/122', state: confirmed, type: virtual, deleted: ''", AFFINITY_CONFIRMED, true, false},
};

START_TEST(test_block_affinity)
{
	char *text =
	    mem_printf("{kind: BlockAffinity, apiVersion: crd.projectcalico.org/v1, metadata: {name: a}, spec: {%s}}",
		       affinities[_i].spec);
	struct object *o = decode_good(text);
	const struct obj_block_affinity *a = (const void *)o;

	ck_assert_int_eq(a->state, affinities[_i].state);
	ck_assert(a->virtual == affinities[_i].virtual);
	ck_assert(a->deleted == affinities[_i].deleted);
	object_free(o);
	free(text);
}
END_TEST

START_TEST(test_ipam_block)
{
	struct object *o = decode_good(
	    "{kind: IPAMBlock, apiVersion: crd.projectcalico.org/v1, metadata: {name: 10-244-1-0-29}, spec: {"
	    "cidr: 10.244.1.0/29, affinity: 'host:node-1', affinityClaimTime: x, "
	    "allocations: [0, null, 1, 2, 3, 4, 5, 6], unallocated: [1], strictAffinity: false, deleted: false, "
	    "sequenceNumber: 1722500000, sequenceNumberForAllocation: {'0': 1, '2': 2}, attributes: ["
	    "{handle_id: ipip-tunnel-addr-node-1, secondary: {node: node-1, type: ipipTunnelAddress}}, "
	    "{handle_id: k8s-pod-network.3a, secondary: {namespace: default, node: node-1, pod: web-0}}, "
	    "{handle_id: x, secondary: {node: node-2}, alternateOwnerAttrs: {node: node-3}}, "
	    "{releasedAt: '2026-08-01T10:00:00Z'}, "
	    "{handle_id: x, secondary: {node: node-1}, releasedAt: '2026-08-01T10:00:00Z'}, "
	    "{handle_id: x, secondary: null}, "
	    "{secondary: {node: node-1}}]}}");
	const struct obj_ipam_block *b = (const void *)o;
	static const struct ipam_owner owners[] = {{0, "node-1"}, {2, "node-1"}, {3, "node-2"}, {7, "node-1"}};

	assert_prefix(&b->cidr, "10.244.1.0/29");
	ck_assert_str_eq(b->node, "node-1");
	ck_assert(!b->deleted);
	ck_assert_uint_eq(b->owner_count, 4);
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_uint_eq(b->owners[i].ordinal, owners[i].ordinal);
		ck_assert_str_eq(b->owners[i].node, owners[i].node);
	}
	object_free(o);
}
END_TEST

static const struct {
	const char *spec, *node; /* node NULL: nobody's */
} block_nodes[] = {
    {"affinity: 'host:n1'", "n1"},
    {"affinity: null", NULL},
    {"affinity: ''", NULL},
    {"affinity: 'virtual:load-balancer'", NULL},
    {"hostAffinity: n1", "n1"},
    {"hostAffinity: n1, affinity: 'host:n2'", "n2"},
    {"affinity: 'virtual:lb', hostAffinity: n1", NULL},
};

START_TEST(test_block_nodes)
{
	char *text = mem_printf("{kind: IPAMBlock, apiVersion: projectcalico.org/v3, metadata: {name: b}, "
				"spec: {cidr: 'fd00:1::/122', %s, deleted: 'true'}}",
				block_nodes[_i].spec);
	struct object *o = decode_good(text);
	const struct obj_ipam_block *b = (const void *)o;

	if (block_nodes[_i].node)
		ck_assert_pstr_eq(b->node, block_nodes[_i].node);
	else
		ck_assert_ptr_null(b->node);
	ck_assert(b->deleted);
	ck_assert_uint_eq(b->owner_count, 0);
	object_free(o);
	free(text);
}
END_TEST

/* Different owners, same everything else: a change. The place in the document, the resource version: none. */
START_TEST(test_digest)
{
	static const char form[] = "%s{kind: IPAMBlock, apiVersion: projectcalico.org/v3, metadata: {name: b, "
				   "resourceVersion: '%u', uid: u%u}, spec: {cidr: 10.0.0.0/26, allocations: [%s], "
				   "attributes: [{secondary: {node: %s}}, {secondary: {node: n2}}]}}";
	static const char *const variants[][3] = {
	    {"", "0", "n1"}, {"\n\n", "0", "n1"}, {"", "1", "n1"},
	    {"", "0", "n9"}, {"", "0, 0", "n1"},  {"", "null, 0", "n1"},
	};
	uint64_t digest[6];

	for (unsigned i = 0; i < 6; i++) {
		char *text = mem_printf(form, variants[i][0], i, i, variants[i][1], variants[i][2]);
		struct object *o = decode_good(text);
		digest[i] = o->digest;
		object_free(o);
		free(text);
	}
	ck_assert_uint_eq(digest[0], digest[1]);
	for (unsigned i = 1; i < 6; i++)
		for (unsigned j = i + 1; j < 6; j++)
			ck_assert_uint_ne(digest[i], digest[j]);
}
END_TEST

START_TEST(test_kinds)
{
	for (int k = 0; k < OBJ_KIND_COUNT; k++) {
		ck_assert_int_eq(object_kind_by_name(object_kind_name((enum object_kind)k)), k);
		ck_assert(!object_kind_is_foreign(object_kind_name((enum object_kind)k)));
		ck_assert(object_kind_has_namespace((enum object_kind)k) ==
			  (k == OBJ_WORKLOAD_ENDPOINT || k == OBJ_SERVICE || k == OBJ_ENDPOINT_SLICE));
	}
	ck_assert_int_eq(object_kind_by_name("node"), -1);
	ck_assert(object_kind_is_foreign("IPReservation"));
	ck_assert(!object_kind_is_foreign("BGPFilter") && !object_kind_is_foreign("Pod"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("objects");
	TCase *t = tcase_create("objects");
	SRunner *sr = srunner_create(s);
	int failures;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_refused, 0, sizeof refused / sizeof *refused);
	tcase_add_test(t, test_node);
	tcase_add_test(t, test_ip_pool);
	tcase_add_test(t, test_bgp_configuration);
	tcase_add_test(t, test_bgp_peer);
	tcase_add_test(t, test_workload_endpoint);
	tcase_add_loop_test(t, test_block_affinity, 0, sizeof affinities / sizeof *affinities);
	tcase_add_test(t, test_ipam_block);
	tcase_add_loop_test(t, test_block_nodes, 0, sizeof block_nodes / sizeof *block_nodes);
	tcase_add_test(t, test_digest);
	tcase_add_test(t, test_kinds);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
