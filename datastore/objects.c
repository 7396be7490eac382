/* The tables of all kinds, and the checks that span several fields. */
#include "datastore/objects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "datastore/forms.h"
#include "datastore/ipam.h"
#include "datastore/kinds.h"
#include "datastore/rows.h"

/* clang-format off */
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
	{.path = "spec.unschedulable", .type = &schema_bool, OURS(obj_node, unschedulable)},
	{.path = "spec.gracefulShutdown", .type = &schema_bool, OURS(obj_node, graceful_shutdown)},
	QUIET("spec.orchRefs", "what orchestrators call the node"), QUIET("spec.interfaces", "for policy of hosts"),
	{.path = "spec.wireguard.interfaceIPv4Address", .type = &schema_addr, .af = AF_INET,
	 TAKEN(obj_node, wireguard[FAM_IPV4])},
	{.path = "spec.wireguard.interfaceIPv6Address", .type = &schema_addr, .af = AF_INET6,
	 TAKEN(obj_node, wireguard[FAM_IPV6])},
	{.path = "spec.addresses", .type = &schema_internal_ips, TAKEN(obj_node, internal)},
	{.path = "status.podCIDRs", .type = &schema_prefixes, TAKEN(obj_node, pod_cidrs),
	 .second = offsetof(struct obj_node, pod_cidr_count)},
	{.path = "status.wireguardPublicKey", .type = &schema_text, .max = 64,
	 TAKEN(obj_node, wireguard_key[FAM_IPV4])},
	{.path = "status.wireguardPublicKeyV6", .type = &schema_text, .max = 64,
	 TAKEN(obj_node, wireguard_key[FAM_IPV6])},
};

static const struct schema_name encap_names[] = {
	{"", ENCAP_NEVER}, {"Never", ENCAP_NEVER}, {"Always", ENCAP_ALWAYS}, {"CrossSubnet", ENCAP_CROSS_SUBNET}, {0},
};

static const struct schema_row ip_pool_rows[] = {
	ROWS_OF_ALL(QUIET("metadata.namespace")),
	{.path = "spec.cidr", .type = &schema_prefix, .required = true, TAKEN(obj_ip_pool, cidr)},
	{.path = "spec.ipipMode", .type = &schema_enum, .names = encap_names, TAKEN(obj_ip_pool, ipip)},
	{.path = "spec.vxlanMode", .type = &schema_enum, .names = encap_names, TAKEN(obj_ip_pool, vxlan)},
	{.path = "spec.disabled", .type = &schema_bool, TAKEN(obj_ip_pool, disabled)},
	{.path = "spec.disableBGPExport", .type = &schema_bool, TAKEN(obj_ip_pool, disable_bgp_export)},
	{.path = "spec.blockSize", .type = &schema_uint, .min = 0, .max = 128, TAKEN(obj_ip_pool, block_size)},
	{.path = "spec.nodeSelector", .type = &schema_text, TAKEN(obj_ip_pool, node_selector)},
	QUIET("spec.natOutgoing", "NAT is Felix's"), QUIET("spec.nat-outgoing", "NAT is Felix's"),
	QUIET("spec.namespaceSelector", "who gets addresses of the pool"),
	QUIET("spec.allowedUses", "what addresses of the pool are given out for"),
	QUIET("spec.assignmentMode", "how addresses of the pool are given out"),
	/* Forms of API v1 that the v3 API still knows by name. */
	LATER("spec.ipip", .why = "a form of API v1: ipipMode says it"),
};

static const struct schema_name migration_names[] = {
	{"", MIGRATION_BASE}, {"Base", MIGRATION_BASE}, {"Target", MIGRATION_TARGET}, {"Live", MIGRATION_LIVE},
	{"TimeWait", MIGRATION_TIME_WAIT}, {0},
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
	{.path = "spec.liveMigration", .type = &schema_enum, .names = migration_names,
	 OURS(obj_workload_endpoint, migration)},
	QUIET("spec.orchestrator", "a part of its name"), QUIET("spec.workload", "a part of its name"),
	QUIET("spec.containerID", "a part of its name"), QUIET("spec.profiles", "policy, which is Felix's"),
	QUIET("spec.serviceAccountName", "a label says it"), QUIET("spec.ports", "policy, which is Felix's"),
	QUIET("spec.ipv4Gateway", "of API v1, and never used"), QUIET("spec.ipv6Gateway", "of API v1, and never used"),
	QUIET("spec.qosControls", "traffic control, which is Felix's"),
	LATER("spec.ipNATs", .why = "floating addresses need NAT, which is Felix's: routes to them are those of a Felix "
				    "only"),
	LATER("spec.allowSpoofedSourcePrefixes", .why = "a Felix that runs here makes rp_filter of the interface loose; "
							"this daemon does not"),
};

static const struct schema_name state_names[] = {
	{"", AFFINITY_CONFIRMED}, {"confirmed", AFFINITY_CONFIRMED}, {"pending", AFFINITY_PENDING},
	{"pendingDeletion", AFFINITY_PENDING_DELETION}, {0},
};
/* Ours: podCIDR, a block that no IPAM gave out (USE_POD_CIDR). */
#define POD_CIDR "podCIDR"
static const struct schema_name affinity_type_names[] = {
	{"", false}, {"host", false}, {"virtual", true}, {POD_CIDR, false}, {0},
};

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
	QUIET("spec.allocations", "read as a whole"), QUIET("spec.attributes", "read as a whole"),
	QUIET("spec.hostAffinity", "read as a whole"),
	QUIET("spec.unallocated", "what allocations say"), QUIET("spec.affinityClaimTime", "for who gives out addresses"),
	QUIET("spec.affinity_claim_time", "for who gives out addresses"),
	QUIET("spec.sequenceNumber", "for who gives out addresses"),
	QUIET("spec.sequenceNumberForAllocation", "for who gives out addresses"),
	QUIET("spec.strictAffinity", "for who gives out addresses"),
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
	const struct yaml_node *type = schema_at(doc, "spec.type");

	/* Of any size, but not everything. */
	if (type && strcmp(type->text, POD_CIDR) == 0)
		return ((struct obj_block_affinity *)object)->cidr.len >= 8 ||
		       schema_refuse_field(err, doc, "spec.cidr", "a podCIDR is /8 or longer");
	return ipam_check_block(&((struct obj_block_affinity *)object)->cidr, doc, err);
}

static const struct schema node_schema = {
    .kind = "Node",
    SCHEMA_ROWS(node_rows),
    .size = sizeof(struct obj_node),
};

static const struct schema ip_pool_schema = {
    .kind = "IPPool",
    SCHEMA_ROWS(ip_pool_rows),
    .size = sizeof(struct obj_ip_pool),
    .finish = ip_pool_finish,
};

static const struct schema workload_endpoint_schema = {
    .kind = "WorkloadEndpoint",
    SCHEMA_ROWS(workload_endpoint_rows),
    .size = sizeof(struct obj_workload_endpoint),
    .namespaced = true,
    .finish = workload_endpoint_finish,
};

static const struct schema block_affinity_schema = {
    .kind = "BlockAffinity",
    SCHEMA_ROWS(block_affinity_rows),
    .size = sizeof(struct obj_block_affinity),
    .finish = block_affinity_finish,
};

static const struct schema ipam_block_schema = {
    .kind = "IPAMBlock",
    SCHEMA_ROWS(ipam_block_rows),
    .size = sizeof(struct obj_ipam_block),
    .finish = ipam_block_finish,
    .put = ipam_block_put,
    .drop = ipam_block_drop,
};

static const struct schema *const kinds[OBJ_KIND_COUNT] = {
    [OBJ_NODE] = &node_schema,
    [OBJ_IP_POOL] = &ip_pool_schema,
    [OBJ_BGP_CONFIGURATION] = &bgp_configuration_schema,
    [OBJ_BGP_PEER] = &bgp_peer_schema,
    [OBJ_BGP_FILTER] = &bgp_filter_schema,
    [OBJ_WORKLOAD_ENDPOINT] = &workload_endpoint_schema,
    [OBJ_BLOCK_AFFINITY] = &block_affinity_schema,
    [OBJ_IPAM_BLOCK] = &ipam_block_schema,
    [OBJ_SERVICE] = &service_schema,
    [OBJ_ENDPOINT_SLICE] = &endpoint_slice_schema,
    [OBJ_FELIX_CONFIGURATION] = &felix_configuration_schema,
};

/* Policy, who is given addresses, and how Calico's own parts work. */
static const char *const foreign_kinds[] = {
    "ClusterInformation",
    "GlobalNetworkPolicy",
    "GlobalNetworkSet",
    "HostEndpoint",
    "IPAMConfig",
    "IPAMConfiguration",
    "IPAMHandle",
    "IPReservation",
    "KubeControllersConfiguration",
    "NetworkPolicy",
    "NetworkSet",
    "Profile",
    "RemoteClusterConfiguration",
    "StagedGlobalNetworkPolicy",
    "StagedKubernetesNetworkPolicy",
    "StagedNetworkPolicy",
    "Tier",
};

/* What has to do with routes and sessions, and is not read: told wherever it is found. */
static const struct {
	const char *kind, *why;
} unread_kinds[] = {
    {"CalicoNodeStatus", "is filled in where the datastore is the Kubernetes API, and only there"},
    {"LiveMigration", "is not read: a WorkloadEndpoint's liveMigration says how far a migration has come"},
};

const char *object_kind_name(enum object_kind k)
{
	return kinds[k]->kind;
}

bool object_kind_has_namespace(enum object_kind k)
{
	return kinds[k]->namespaced;
}

const char *object_kind_api(enum object_kind k)
{
	return kinds[k]->api ? kinds[k]->api : "projectcalico.org/v3";
}

int object_kind_by_name(const char *name)
{
	for (int k = 0; k < OBJ_KIND_COUNT; k++)
		if (strcmp(kinds[k]->kind, name) == 0)
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

const struct schema *object_schema(enum object_kind k)
{
	return kinds[k];
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
	if (!kinds[*kind]->namespaced) {
		*name = mem_strdup(text);
		return;
	}
	ns = schema_at(doc, "metadata.namespace") ? text_of(doc, "metadata.namespace") : "default";
	if (ns && schema_is_name(ns))
		*name = mem_printf("%s/%s", ns, text);
}

static bool is_api(int kind, const char *api)
{
	if (kinds[kind]->api)
		return strcmp(api, kinds[kind]->api) == 0;
	return strcmp(api, "projectcalico.org/v3") == 0 || strcmp(api, "crd.projectcalico.org/v1") == 0;
}

static bool check_kind(const struct yaml_node *doc, int kind, struct object_error *err)
{
	const char *text = text_of(doc, "kind"), *api = text_of(doc, "apiVersion");

	if (!text)
		return schema_refuse_field(err, doc, "kind", "missing: expected Node, IPPool, BGPPeer, ...");
	for (size_t i = 0; kind < 0 && i < sizeof unread_kinds / sizeof *unread_kinds; i++)
		if (strcmp(text, unread_kinds[i].kind) == 0)
			return schema_refuse_field(err, doc, "kind", "%s %s", text, unread_kinds[i].why);
	if (kind < 0)
		return schema_refuse_field(err, doc, "kind", "'%.60s' is not a known kind", text);
	if (is_api(kind, api ? api : ""))
		return true;
	return schema_refuse_field(
	    err, doc, "apiVersion", "expected %s, not '%.60s'",
	    kinds[kind]->api ? kinds[kind]->api : "projectcalico.org/v3 or crd.projectcalico.org/v1", api ? api : "");
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

/* Decodes a document in Calico's own form. */
static struct object *decode_plain(const struct yaml_node *doc, struct object_error *err, int *kind, char **name,
				   struct schema_report report)
{
	struct object *o;

	identify(doc, kind, name);
	if (!check_kind(doc, *kind, err) || !check_unique(doc, err))
		return NULL;
	o = mem_calloc(1, kinds[*kind]->size);
	o->kind = (enum object_kind) * kind;
	if (!schema_decode(kinds[*kind], doc, o, report, err)) {
		object_free(o);
		return NULL;
	}
	if (!o->namespace)
		o->namespace = mem_strdup("");
	o->digest = schema_digest(kinds[*kind], o);
	return o;
}

/* Puts the name that the field has in the document in place of that in Calico's form. */
static void name_source(const struct form_field *field, struct object_error *err)
{
	if (field->annotation)
		snprintf(err->field, sizeof err->field, "metadata.annotations[%s]", field->annotation);
	else if (field->from && strcmp(field->from, field->to) != 0)
		snprintf(err->field, sizeof err->field, "%s", field->from);
}

/* What is said of a document in another form: kept until it is decoded in the end, by then under its own names. */
#define REPORTS_MAX 8u

struct form_reports {
	const struct form *form;
	unsigned count;
	struct {
		char field[120];
		unsigned line, col;
		const char *reason; /* a row's */
	} list[REPORTS_MAX];
};

static void keep_report(void *arg, const char *field, unsigned line, unsigned col, const char *reason)
{
	struct form_reports *r = arg;
	int at = form_field_to(r->form, field);

	if (r->count == REPORTS_MAX)
		return;
	if (at >= 0 && r->form->fields[at].annotation)
		snprintf(r->list[r->count].field, sizeof r->list->field, "metadata.annotations[%s]",
			 r->form->fields[at].annotation);
	else
		snprintf(r->list[r->count].field, sizeof r->list->field, "%s", field);
	r->list[r->count].line = line;
	r->list[r->count].col = col;
	r->list[r->count++].reason = reason;
}

/* Decodes a document in another form. What it may leave out, it leaves out if it cannot be read. */
static struct object *decode_form(const struct form *f, const struct yaml_node *doc, struct arena *a,
				  struct object_error *err, int *kind, char **name, struct schema_report report)
{
	struct form_reports kept = {.form = f};
	uint64_t left_out = 0;
	struct object *o;
	int at;

	for (;;) {
		kept.count = 0;
		*err = (struct object_error){.line = doc->line, .col = doc->col};
		free(*name);
		*name = NULL;
		o = decode_plain(form_translate(f, doc, left_out, a), err, kind, name,
				 (struct schema_report){keep_report, &kept});
		at = o ? -1 : form_field_to(f, err->field);
		if (at < 0)
			break;
		name_source(&f->fields[at], err);
		if (!f->fields[at].lenient)
			break;
		left_out |= UINT64_C(1) << at;
		if (report.fn)
			report.fn(report.arg, err->field, err->line, err->col, err->reason);
	}
	for (unsigned i = 0; report.fn && i < kept.count; i++)
		report.fn(report.arg, kept.list[i].field, kept.list[i].line, kept.list[i].col, kept.list[i].reason);
	if (o && f->finish)
		f->finish(o);
	return o;
}

static struct object *decode_any(const struct yaml_node *doc, struct arena *a, struct object_error *err, int *kind,
				 char **name, struct schema_report report)
{
	const struct yaml_node *whole = form_unpack(doc, a, err);
	const struct form *f;

	if (!whole && report.fn)
		report.fn(report.arg, err->field, err->line, err->col, err->reason);
	if (!whole)
		*err = (struct object_error){.line = doc->line, .col = doc->col};
	doc = whole ? whole : doc;
	f = form_of(doc);
	return f ? decode_form(f, doc, a, err, kind, name, report) : decode_plain(doc, err, kind, name, report);
}

struct object *object_decode(const struct yaml_node *doc, struct object_error *err, int *kind, char **name,
			     object_report_fn *report, void *arg)
{
	struct arena a = {0};
	struct object *o;

	*err = (struct object_error){.line = 1, .col = 1};
	*kind = -1;
	*name = NULL;
	if (!doc || doc->type != YAML_MAP) {
		if (doc)
			schema_refuse(err, doc, "expected an object: a map with apiVersion, kind, metadata and spec");
		return NULL;
	}
	o = decode_any(doc, &a, err, kind, name, (struct schema_report){report, arg});
	arena_free(&a);
	return o;
}

bool object_is_nobody(const struct yaml_node *doc)
{
	const char *kind = text_of(doc, "kind");
	const struct form *f = form_of(doc);

	return (kind && object_kind_is_foreign(kind)) || (f && f->is_nobody && f->is_nobody(doc));
}

void object_free(struct object *o)
{
	if (!o)
		return;
	schema_drop(kinds[o->kind], o);
	if (!kinds[o->kind]->namespaced)
		free(o->namespace);
	free(o->source);
	free(o);
}
