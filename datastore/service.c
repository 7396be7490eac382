/* A cluster's EndpointSlices change with every Pod, but announcing a Service depends only on which nodes have a ready
 * endpoint. So that is all that is kept of a slice: most of its changes are none, and the endpoints of a large cluster
 * take a name per node. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "datastore/kinds.h"
#include "datastore/rows.h"
#include "datastore/types.h"

#define NODE_NAME_MAX 253u

/* ---- Service ---- */

static bool refuse_item(struct object_error *err, const struct yaml_node *item, const char *path, size_t i)
{
	snprintf(err->field, sizeof err->field, "%s[%zu]", path, i);
	return schema_refuse(err, item, "expected an address, not '%.60s'",
			     item->type == YAML_SCALAR ? item->text : "...");
}

static void add_addr(struct obj_service *s, const struct addr *a, enum service_origin from)
{
	s->addrs = mem_realloc(s->addrs, (s->addr_count + 1) * sizeof *s->addrs);
	s->addrs[s->addr_count++] = (struct service_addr){.addr = *a, .from = from};
}

/* "None" is what a headless Service has, and "" one that has not got an address yet. */
static bool take_cluster_ip(struct obj_service *s, const struct yaml_node *item, const char *path, size_t i,
			    struct object_error *err)
{
	struct addr a;

	if (item->type == YAML_SCALAR && (!*item->text || strcmp(item->text, "None") == 0)) {
		s->headless = s->headless || *item->text;
		return true;
	}
	if (item->type != YAML_SCALAR || !addr_parse(&a, item->text) || addr_is_martian(&a))
		return refuse_item(err, item, path, i);
	add_addr(s, &a, SERVICE_CLUSTER_IP);
	return true;
}

/* clusterIP is the first of clusterIPs, and all that older objects have. */
static bool take_cluster_ips(struct obj_service *s, const struct yaml_node *doc, struct object_error *err)
{
	const struct yaml_node *list = schema_list_at(doc, "spec.clusterIPs", err),
			       *one = schema_at(doc, "spec.clusterIP");

	if (!list)
		return false;
	if (list->count == 0 && one)
		return take_cluster_ip(s, one, "spec.clusterIP", 0, err);
	for (size_t i = 0; i < list->count; i++)
		if (!take_cluster_ip(s, list->items[i], "spec.clusterIPs", i, err))
			return false;
	return true;
}

static bool take_external_ips(struct obj_service *s, const struct yaml_node *doc, struct object_error *err)
{
	const struct yaml_node *list = schema_list_at(doc, "spec.externalIPs", err);
	struct addr a;

	for (size_t i = 0; list && i < list->count; i++) {
		const struct yaml_node *item = list->items[i];
		if (item->type != YAML_SCALAR || !addr_parse(&a, item->text) || addr_is_martian(&a))
			return refuse_item(err, item, "spec.externalIPs", i);
		add_addr(s, &a, SERVICE_EXTERNAL_IP);
	}
	return list;
}

/* A load balancer may have a host name instead of an address. */
static bool take_ingress(struct obj_service *s, const struct yaml_node *doc, struct object_error *err)
{
	static const char path[] = "status.loadBalancer.ingress";
	const struct yaml_node *list = schema_list_at(doc, path, err);
	struct addr a;

	for (size_t i = 0; list && i < list->count; i++) {
		const struct yaml_node *item = list->items[i], *ip = yaml_get(item, "ip");
		if (item->type == YAML_MAP && (!ip || yaml_is_null(ip) || (ip->type == YAML_SCALAR && !*ip->text)))
			continue;
		if (!ip || ip->type != YAML_SCALAR || !addr_parse(&a, ip->text) || addr_is_martian(&a))
			return refuse_item(err, ip ? ip : item, path, i);
		add_addr(s, &a, SERVICE_LOAD_BALANCER_IP);
	}
	return list;
}

static bool service_finish(void *object, const struct yaml_node *doc, struct object_error *err)
{
	struct obj_service *s = object;

	if (!take_cluster_ips(s, doc, err) || !take_external_ips(s, doc, err) || !take_ingress(s, doc, err))
		return false;
	/* The API server fills ipFamilies in; what was written by hand may leave it out. */
	s->families = s->ip_families;
	for (unsigned i = 0; !s->ip_families && i < s->addr_count; i++)
		if (s->addrs[i].from == SERVICE_CLUSTER_IP)
			s->families |= (uint8_t)(1u << family_of_af(s->addrs[i].addr.af));
	if (!s->families)
		s->families = 1u << FAM_IPV4 | 1u << FAM_IPV6;
	return true;
}

static void service_put(const void *object, struct strbuf *out)
{
	const struct obj_service *s = object;

	strbuf_add(out, &s->headless, sizeof s->headless);
	strbuf_add(out, &s->families, sizeof s->families);
	for (unsigned i = 0; i < s->addr_count; i++) {
		strbuf_add(out, &s->addrs[i].addr, sizeof s->addrs[i].addr);
		strbuf_putc(out, (char)s->addrs[i].from);
	}
}

static void service_drop(void *object)
{
	free(((struct obj_service *)object)->addrs);
}

static const struct schema_name service_type_names[] = {
    {"", SERVICE_TYPE_CLUSTER_IP},
    {"ClusterIP", SERVICE_TYPE_CLUSTER_IP},
    {"NodePort", SERVICE_TYPE_NODE_PORT},
    {"LoadBalancer", SERVICE_TYPE_LOAD_BALANCER},
    {"ExternalName", SERVICE_TYPE_EXTERNAL_NAME},
    {0},
};
static const struct schema_name traffic_policy_names[] = {{"", false}, {"Cluster", false}, {"Local", true}, {0}};
static const struct schema_name ip_family_names[] = {
    {"IPv4", FAM_IPV4}, {"IPv6", FAM_IPV6}, {"ipv4", FAM_IPV4}, {"ipv6", FAM_IPV6}, {0}};

/* clang-format off */
/* service_finish() reads its addresses. */
static const struct schema_row service_rows[] = {
	ROWS_OF_ALL({.path = "metadata.namespace", .type = &schema_object_name, .def = "default",
		     TAKEN(object, namespace)}),
	{.path = "spec.type", .type = &schema_enum, .names = service_type_names, TAKEN(obj_service, type)},
	{.path = "spec.externalTrafficPolicy", .type = &schema_enum, .names = traffic_policy_names,
	 TAKEN(obj_service, external_local)},
	{.path = "spec.internalTrafficPolicy", .type = &schema_enum, .names = traffic_policy_names,
	 TAKEN(obj_service, internal_local)},
	{.path = "spec.ipFamilies", .type = &schema_flags, .names = ip_family_names, TAKEN(obj_service, ip_families)},
};
/* clang-format on */

const struct schema service_schema = {
    .kind = "Service",
    .api = "v1",
    SCHEMA_ROWS(service_rows),
    .size = sizeof(struct obj_service),
    .namespaced = true,
    .lax = true,
    .finish = service_finish,
    .put = service_put,
    .drop = service_drop,
};

/* ---- EndpointSlice ---- */

/* conditions.ready: what says nothing is ready. */
static bool take_ready(const struct yaml_node *endpoint, size_t i, bool *ready, struct object_error *err)
{
	const struct yaml_node *n = yaml_get(yaml_get(endpoint, "conditions"), "ready");

	*ready = true;
	if (!n || yaml_is_null(n))
		return true;
	*ready = n->type == YAML_SCALAR && strcmp(n->text, "true") == 0;
	if (*ready || (n->type == YAML_SCALAR && strcmp(n->text, "false") == 0))
		return true;
	snprintf(err->field, sizeof err->field, "endpoints[%zu].conditions.ready", i);
	return schema_refuse(err, n, "expected true or false");
}

static bool take_node(const struct yaml_node *endpoint, size_t i, const char **node, struct object_error *err)
{
	const struct yaml_node *n = yaml_get(endpoint, "nodeName");

	*node = NULL;
	if (!n || yaml_is_null(n) || (n->type == YAML_SCALAR && !*n->text))
		return true;
	if (n->type == YAML_SCALAR && strlen(n->text) <= NODE_NAME_MAX) {
		*node = n->text;
		return true;
	}
	snprintf(err->field, sizeof err->field, "endpoints[%zu].nodeName", i);
	return schema_refuse(err, n, "expected a name of at most %u characters", NODE_NAME_MAX);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The distinct ones of n names; they and the list are one piece of memory. */
static void keep_nodes(struct obj_endpoint_slice *s, const char **names, unsigned n)
{
	size_t bytes = 0;
	unsigned kept = 0;
	char *text;

	if (!n)
		return;
	qsort(names, n, sizeof *names, by_text);
	for (unsigned i = 0; i < n; i++) {
		if (kept && strcmp(names[kept - 1], names[i]) == 0)
			continue;
		names[kept++] = names[i];
		bytes += strlen(names[i]) + 1;
	}
	s->ready_nodes = mem_alloc(kept * sizeof *s->ready_nodes + bytes);
	text = (char *)(s->ready_nodes + kept);
	for (unsigned i = 0; i < kept; i++) {
		s->ready_nodes[i] = strcpy(text, names[i]);
		text += strlen(text) + 1;
	}
	s->ready_node_count = kept;
}

static bool endpoint_slice_finish(void *object, const struct yaml_node *doc, struct object_error *err)
{
	struct obj_endpoint_slice *s = object;
	const struct yaml_node *list = schema_list_at(doc, "endpoints", err);
	const char **names, *node;
	unsigned n = 0;
	bool ready, ok = list;

	if (!list)
		return false;
	names = mem_calloc(list->count, sizeof *names);
	for (size_t i = 0; ok && i < list->count; i++) {
		ok = take_ready(list->items[i], i, &ready, err) && take_node(list->items[i], i, &node, err);
		if (!ok || !ready)
			continue;
		s->any_ready = true;
		if (node)
			names[n++] = node;
	}
	if (ok)
		keep_nodes(s, names, n);
	free(names);
	return ok;
}

static void endpoint_slice_put(const void *object, struct strbuf *out)
{
	const struct obj_endpoint_slice *s = object;

	strbuf_add(out, &s->any_ready, sizeof s->any_ready);
	for (unsigned i = 0; i < s->ready_node_count; i++)
		strbuf_add(out, s->ready_nodes[i], strlen(s->ready_nodes[i]) + 1);
}

static void endpoint_slice_drop(void *object)
{
	free(((struct obj_endpoint_slice *)object)->ready_nodes);
}

static const struct schema_name address_type_names[] = {
    {"IPv4", FAM_IPV4},
    {"IPv6", FAM_IPV6},
    {"FQDN", FAM_COUNT},
    {0},
};

/* clang-format off */
/* endpoint_slice_finish() reads its endpoints. */
static const struct schema_row endpoint_slice_rows[] = {
	ROWS_OF_ALL({.path = "metadata.namespace", .type = &schema_object_name, .def = "default",
		     TAKEN(object, namespace)}),
	{.path = "addressType", .type = &schema_enum, .names = address_type_names, .required = true,
	 TAKEN(obj_endpoint_slice, family)},
};
/* clang-format on */

const struct schema endpoint_slice_schema = {
    .kind = "EndpointSlice",
    .api = "discovery.k8s.io/v1",
    SCHEMA_ROWS(endpoint_slice_rows),
    .size = sizeof(struct obj_endpoint_slice),
    .namespaced = true,
    .lax = true,
    .finish = endpoint_slice_finish,
    .put = endpoint_slice_put,
    .drop = endpoint_slice_drop,
};

const char *endpoint_slice_service(const struct obj_endpoint_slice *s)
{
	return labels_get(&s->o.labels, "kubernetes.io/service-name");
}

bool endpoint_slice_is_ready_on(const struct obj_endpoint_slice *s, const char *node)
{
	return s->ready_node_count &&
	       bsearch(&node, s->ready_nodes, s->ready_node_count, sizeof *s->ready_nodes, by_text);
}
