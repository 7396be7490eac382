#include "datastore/forms.h"

#include <stdio.h>
#include <string.h>

#include "datastore/pod.h"
#include "datastore/schema.h"

#define PACKED "projectcalico.org/metadata"

/* ---- Trees ---- */

struct yaml_node *form_text(struct arena *a, const struct yaml_node *at, const char *text)
{
	struct yaml_node *n = arena_alloc(a, sizeof *n);
	size_t len = strlen(text) + 1;

	*n = (struct yaml_node){.type = YAML_SCALAR,
				.quoted = true,
				.line = at->line,
				.col = at->col,
				.key_line = at->line,
				.key_col = at->col};
	n->text = memcpy(arena_alloc(a, len), text, len);
	return n;
}

struct yaml_node *form_tree(struct arena *a, const struct yaml_node *at, enum yaml_type type, size_t room)
{
	struct yaml_node *n = arena_alloc(a, sizeof *n);

	*n = (struct yaml_node){
	    .type = type, .line = at->line, .col = at->col, .key_line = at->line, .key_col = at->col};
	n->items = arena_alloc(a, room * sizeof(struct yaml_node *));
	n->keys = type == YAML_MAP ? arena_alloc(a, room * sizeof(char *)) : NULL;
	return n;
}

void form_add(struct yaml_node *tree, const char *key, const struct yaml_node *value)
{
	/* Nobody changes a tree once it is built. */
	if (tree->keys)
		tree->keys[tree->count] = (char *)(uintptr_t)key;
	tree->items[tree->count++] = (struct yaml_node *)(uintptr_t)value;
}

const char *form_annotation(const struct yaml_node *doc, const char *name)
{
	const struct yaml_node *n = yaml_get(schema_at(doc, "metadata.annotations"), name);

	return n && n->type == YAML_SCALAR ? n->text : NULL;
}

const char *form_text_at(const struct yaml_node *doc, const char *path)
{
	const struct yaml_node *n = schema_at(doc, path);

	return n && n->type == YAML_SCALAR ? n->text : NULL;
}

/* Puts a value at a path, with the maps on the way; none of them gets more than `room` keys. */
static void put_at(struct arena *a, struct yaml_node *map, const char *path, const struct yaml_node *value, size_t room)
{
	size_t n = strcspn(path, ".");
	char *key = memcpy(arena_alloc(a, n + 1), path, n);
	struct yaml_node *below;

	key[n] = '\0';
	if (!path[n]) {
		form_add(map, key, value);
		return;
	}
	below = yaml_get(map, key);
	if (!below) {
		below = form_tree(a, value, YAML_MAP, room);
		form_add(map, key, below);
	}
	put_at(a, below, path + n + 1, value, room);
}

/* ---- Nodes of Kubernetes (libcalico-go/lib/backend/k8s/resources/node.go) ---- */

/* spec.podCIDRs, or as one-family clusters of old have it. */
static struct yaml_node *make_pod_cidrs(struct arena *a, const struct yaml_node *doc)
{
	const struct yaml_node *list = schema_at(doc, "spec.podCIDRs"), *one = schema_at(doc, "spec.podCIDR");
	struct yaml_node *made;

	if (!list && (!one || one->type != YAML_SCALAR || !*one->text))
		return NULL;
	made = form_tree(a, list ? list : one, YAML_LIST, list && list->count ? list->count : 1);
	for (size_t i = 0; list && i < list->count; i++)
		form_add(made, NULL, list->items[i]);
	if (!made->count && one)
		form_add(made, NULL, one);
	return made;
}

/* clang-format off */
#define ANNOTATION(name, path) {.annotation = "projectcalico.org/" name, .to = path, .lenient = true}

static const struct form_field node_fields[] = {
	{.from = "metadata.name", .to = "metadata.name"},
	{.from = "metadata.labels", .to = "metadata.labels"},
	{.from = "metadata.annotations", .to = "metadata.annotations", .lenient = true},
	{.from = "spec.unschedulable", .to = "spec.unschedulable"},
	ANNOTATION("ASNumber", "spec.bgp.asNumber"),
	ANNOTATION("IPv4Address", "spec.bgp.ipv4Address"),
	ANNOTATION("IPv6Address", "spec.bgp.ipv6Address"),
	ANNOTATION("IPv4IPIPTunnelAddr", "spec.bgp.ipv4IPIPTunnelAddr"),
	ANNOTATION("RouteReflectorClusterID", "spec.bgp.routeReflectorClusterID"),
	ANNOTATION("IPv4VXLANTunnelAddr", "spec.ipv4VXLANTunnelAddr"),
	ANNOTATION("IPv6VXLANTunnelAddr", "spec.ipv6VXLANTunnelAddr"),
	ANNOTATION("VXLANTunnelMACAddr", "spec.vxlanTunnelMACAddr"),
	ANNOTATION("VXLANTunnelMACAddrV6", "spec.vxlanTunnelMACAddrV6"),
	ANNOTATION("IPv4WireguardInterfaceAddr", "spec.wireguard.interfaceIPv4Address"),
	ANNOTATION("IPv6WireguardInterfaceAddr", "spec.wireguard.interfaceIPv6Address"),
	{.from = "status.addresses", .to = "spec.addresses"},
	{.to = "status.podCIDRs", .make = make_pod_cidrs},
	ANNOTATION("WireguardPublicKey", "status.wireguardPublicKey"),
	ANNOTATION("WireguardPublicKeyV6", "status.wireguardPublicKeyV6"),
};
/* clang-format on */

const struct form forms[] = {
    {"v1", "Node", "Node", node_fields, sizeof node_fields / sizeof *node_fields, .is_nobody = NULL, .finish = NULL},
    {"v1", "Pod", "WorkloadEndpoint", pod_fields, POD_FIELDS, .is_nobody = pod_is_nobody, .finish = pod_finish},
};
const unsigned form_count = sizeof forms / sizeof *forms;

/* ---- Translation ---- */

const struct form *form_of(const struct yaml_node *doc)
{
	const char *api = form_text_at(doc, "apiVersion"), *kind = form_text_at(doc, "kind");

	for (unsigned i = 0; api && kind && i < form_count; i++)
		if (strcmp(forms[i].api, api) == 0 && strcmp(forms[i].kind, kind) == 0)
			return &forms[i];
	return NULL;
}

static const struct yaml_node *value_of(const struct form_field *field, const struct yaml_node *doc, struct arena *a)
{
	const struct yaml_node *n;

	if (field->make)
		return field->make(a, doc);
	if (field->from)
		return schema_at(doc, field->from);
	/* An annotation that is empty is as good as none. What is in it has its type only by its place. */
	n = yaml_get(schema_at(doc, "metadata.annotations"), field->annotation);
	return n && n->type == YAML_SCALAR && *n->text ? n : NULL;
}

struct yaml_node *form_translate(const struct form *f, const struct yaml_node *doc, uint64_t left_out, struct arena *a)
{
	size_t room = f->field_count + 2;
	struct yaml_node *made = form_tree(a, doc, YAML_MAP, room);

	form_add(made, "apiVersion", form_text(a, doc, "projectcalico.org/v3"));
	form_add(made, "kind", form_text(a, doc, f->makes));
	for (unsigned i = 0; i < f->field_count; i++) {
		const struct yaml_node *value = left_out >> i & 1 ? NULL : value_of(&f->fields[i], doc, a);
		if (value)
			put_at(a, made, f->fields[i].to, value, room);
	}
	return made;
}

int form_field_to(const struct form *f, const char *to)
{
	size_t n = strcspn(to, "["); /* "metadata.annotations[calidris.io/gracefulShutdown]" */

	for (unsigned i = 0; i < f->field_count; i++)
		if (strncmp(f->fields[i].to, to, n) == 0 && !f->fields[i].to[n])
			return (int)i;
	return -1;
}

/* ---- Packed metadata (libcalico-go/lib/backend/k8s/resources/resources.go) ---- */

static struct yaml_node *copy_tree(struct arena *a, const struct yaml_node *n, const struct yaml_node *at)
{
	struct yaml_node *copy;

	if (n->type == YAML_SCALAR) {
		copy = form_text(a, at, n->text);
		copy->quoted = n->quoted;
		return copy;
	}
	copy = form_tree(a, at, n->type, n->count);
	for (size_t i = 0; i < n->count; i++)
		form_add(copy, n->type == YAML_MAP ? form_text(a, at, n->keys[i])->text : NULL,
			 copy_tree(a, n->items[i], at));
	return copy;
}

struct packed {
	struct arena *a;
	const struct yaml_node *at; /* the annotation, for places */
	struct yaml_node *tree;
};

static void on_packed(void *arg, struct yaml_node *root)
{
	struct packed *p = arg;
	struct yaml_error err;

	if (root && root->type == YAML_MAP && yaml_unique(root, &err))
		p->tree = copy_tree(p->a, root, p->at);
}

static const struct yaml_node *map_or_null(const struct yaml_node *n)
{
	return n && n->type == YAML_MAP ? n : NULL;
}

/* Both maps' keys; what the first one has counts. */
static const struct yaml_node *merge(struct arena *a, const struct yaml_node *first, const struct yaml_node *second)
{
	struct yaml_node *both;

	if (!first || !second)
		return first ? first : second;
	both = form_tree(a, first, YAML_MAP, first->count + second->count);
	for (size_t i = 0; i < first->count; i++)
		form_add(both, first->keys[i], first->items[i]);
	for (size_t i = 0; i < second->count; i++)
		if (!yaml_get(first, second->keys[i]))
			form_add(both, second->keys[i], second->items[i]);
	return both;
}

/* The map with that key's value put in place of what it has. */
static const struct yaml_node *replace(struct arena *a, const struct yaml_node *map, const char *key,
				       const struct yaml_node *value)
{
	struct yaml_node *made = form_tree(a, map, YAML_MAP, map->count + 1);

	made->key_line = map->key_line;
	made->key_col = map->key_col;
	for (size_t i = 0; i < map->count; i++)
		if (strcmp(map->keys[i], key) != 0)
			form_add(made, map->keys[i], map->items[i]);
	if (value)
		form_add(made, key, value);
	return made;
}

const struct yaml_node *form_unpack(const struct yaml_node *doc, struct arena *a, struct object_error *err)
{
	static const char *const merged[] = {"labels", "annotations"};
	const struct yaml_node *metadata = map_or_null(yaml_get(doc, "metadata"));
	const struct yaml_node *at = yaml_get(yaml_get(metadata, "annotations"), PACKED);
	struct packed p = {.a = a, .at = at};
	struct yaml_error bad;

	if (!at || at->type != YAML_SCALAR || !*at->text)
		return doc;
	if (!yaml_parse(at->text, strlen(at->text), on_packed, &p, &bad) || !p.tree) {
		snprintf(err->field, sizeof err->field, "metadata.annotations[%s]", PACKED);
		schema_refuse(err, at, "cannot be read as JSON, and counts as absent");
		return NULL;
	}
	for (size_t i = 0; i < sizeof merged / sizeof *merged; i++)
		metadata = replace(
		    a, metadata, merged[i],
		    merge(a, map_or_null(yaml_get(metadata, merged[i])), map_or_null(yaml_get(p.tree, merged[i]))));
	return replace(a, doc, "metadata", metadata);
}
