#include "datastore/remote/kube_resource.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"

/* ---- Conditions ---- */

static bool needs_affinities(const struct kube_scope *s)
{
	return !s->use_pod_cidr;
}

/* VXLAN routes lead to each block's node, and to the node of each address that is used elsewhere. BGP brings all other
 * routes; what this node borrows, its Pods say. */
static bool needs_blocks(const struct kube_scope *s)
{
	const struct object *o;
	unsigned pos = 0;

	while (!s->use_pod_cidr && (o = store_next(s->store, OBJ_IP_POOL, &pos)))
		if (((const struct obj_ip_pool *)(const void *)o)->vxlan != ENCAP_NEVER)
			return true;
	return false;
}

static bool needs_services(const struct kube_scope *s)
{
	const struct obj_bgp_configuration *c = (const void *)store_get(s->store, OBJ_BGP_CONFIGURATION, "", "default");

	return s->advertise_services ||
	       (c && (c->service_cluster_count || c->service_external_count || c->service_load_balancer_count));
}

/* There is a label for this (a hash of the node's name), but objects of older releases lack it. */
static bool is_own_affinity(const struct kube_scope *s, const struct yaml_node *object)
{
	const char *node = json_text_at(object, "spec.node");

	return node && strcmp(node, s->node) == 0;
}

/* ---- The table ---- */

/* clang-format off */
const struct kube_resource kube_resources[] = {
	{.kind = "Node", .api = "v1", .plural = "nodes",
	 .keep = {"spec.podCIDR", "spec.podCIDRs", "spec.unschedulable", "status.addresses"}},
	{.kind = "Pod", .api = "v1", .plural = "pods", .field = "spec.nodeName",
	 .keep = {"spec.nodeName", "spec.hostNetwork", "spec.serviceAccountName", "status.phase", "status.podIP",
		  "status.podIPs"}},
	{.kind = "IPPool", .plural = "ippools", .keep = {"spec"}, .decides = true},
	{.kind = "BGPConfiguration", .plural = "bgpconfigurations", .keep = {"spec"}, .decides = true,
	 .secret_ref = "spec.nodeMeshPassword.secretKeyRef", .password = "nodeMeshPassword"},
	{.kind = "BGPPeer", .plural = "bgppeers", .keep = {"spec"},
	 .secret_ref = "spec.password.secretKeyRef", .password = "password"},
	{.kind = "BGPFilter", .plural = "bgpfilters", .keep = {"spec"}},
	{.kind = "FelixConfiguration", .plural = "felixconfigurations", .keep = {"spec"}},
	{.kind = "BlockAffinity", .plural = "blockaffinities", .keep = {"spec"}, .is_needed = needs_affinities,
	 .concerns = is_own_affinity},
	{.kind = "IPAMBlock", .plural = "ipamblocks", .keep = {"spec"}, .is_needed = needs_blocks},
	{.kind = "Service", .api = "v1", .plural = "services", .keep = {"spec", "status.loadBalancer"},
	 .is_needed = needs_services},
	{.kind = "EndpointSlice", .api = "discovery.k8s.io/v1", .plural = "endpointslices",
	 .keep = {"addressType", "endpoints"}, .is_needed = needs_services},
};
/* clang-format on */
const unsigned kube_resource_count = sizeof kube_resources / sizeof *kube_resources;

/* ---- Paths, keys, and what is kept ---- */

char *kube_resource_path(const char *api, const char *namespace, const char *plural)
{
	const char *root = strchr(api, '/') ? "/apis/" : "/api/";

	return namespace ? mem_printf("%s%s/namespaces/%s/%s", root, api, namespace, plural)
			 : mem_printf("%s%s/%s", root, api, plural);
}

char *kube_resource_key(const struct kube_resource *r, const struct yaml_node *object)
{
	const char *name = json_text_at(object, "metadata.name"), *space = json_text_at(object, "metadata.namespace");

	if (!name || !*name)
		return NULL;
	return mem_printf("%s/%s%s%s", r->kind, space ? space : "", space ? "/" : "", name);
}

/* Whose annotations say something here. */
static const char *const annotations[] = {
    "projectcalico.org/",
    "cni.projectcalico.org/",
    "calidris.io/",
    "vpc.amazonaws.com/pod-ips",
};

static struct yaml_node *prune_annotations(const struct yaml_node *all, struct arena *a)
{
	struct yaml_node *kept = json_new_map(a);

	for (size_t i = 0; i < all->count; i++)
		for (size_t p = 0; p < sizeof annotations / sizeof *annotations; p++)
			if (strncmp(all->keys[i], annotations[p], strlen(annotations[p])) == 0)
				json_set(a, kept, all->keys[i], all->items[i]);
	return kept->count ? kept : NULL;
}

static struct yaml_node *prune_metadata(const struct yaml_node *all, struct arena *a)
{
	static const char *const kept_fields[] = {"name", "namespace", "labels", "deletionTimestamp"};
	struct yaml_node *kept = json_new_map(a), *n;

	for (size_t i = 0; i < sizeof kept_fields / sizeof *kept_fields; i++)
		if ((n = yaml_get(all, kept_fields[i])))
			json_set(a, kept, kept_fields[i], n);
	n = yaml_get(all, "annotations");
	n = n && n->type == YAML_MAP ? prune_annotations(n, a) : NULL;
	if (n)
		json_set(a, kept, "annotations", n);
	return kept;
}

/* Paths have one part or two. */
static void keep_path(struct arena *a, struct yaml_node *to, const struct yaml_node *from, const char *path)
{
	const char *dot = strchr(path, '.');
	struct yaml_node *value = json_at(from, path), *below;
	char *first;

	if (!value)
		return;
	if (!dot) {
		json_set(a, to, path, value);
		return;
	}
	first = mem_strndup(path, (size_t)(dot - path));
	below = yaml_get(to, first);
	if (!below) {
		below = json_new_map(a);
		json_set(a, to, first, below);
	}
	free(first);
	json_set(a, below, dot + 1, value);
}

struct yaml_node *kube_resource_prune(const struct kube_resource *r, const char *api, const struct yaml_node *object,
				      struct arena *a)
{
	struct yaml_node *kept = json_new_map(a), *metadata = json_at(object, "metadata");

	/* The elements of a list have neither of them. */
	json_set(a, kept, "apiVersion", json_new_text(a, api));
	json_set(a, kept, "kind", json_new_text(a, r->kind));
	if (metadata && metadata->type == YAML_MAP)
		json_set(a, kept, "metadata", prune_metadata(metadata, a));
	for (size_t i = 0; i < KUBE_KEEP_MAX && r->keep[i]; i++)
		keep_path(a, kept, object, r->keep[i]);
	return kept;
}
