/* libcalico-go/lib/backend/k8s/conversion: a Pod is a WorkloadEndpoint as soon as it has a node, unless it lives in
 * that node's own network. */
#include "datastore/pod.h"

#include <sha1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/schema.h"

#define HEX_DIGITS 11 /* of the digest, in an interface's name */
#define MAX_IPS 8u    /* of one pod; Kubernetes gives two */

const char *pod_interface(const char *prefix, const char *namespace, const char *pod,
			  char buf[static POD_INTERFACE_LEN])
{
	uint8_t digest[SHA1_DIGEST_LENGTH];
	char hex[2 * SHA1_DIGEST_LENGTH + 1];
	SHA1_CTX ctx;

	SHA1Init(&ctx);
	SHA1Update(&ctx, (const uint8_t *)namespace, strlen(namespace));
	SHA1Update(&ctx, (const uint8_t *)".", 1);
	SHA1Update(&ctx, (const uint8_t *)pod, strlen(pod));
	SHA1Final(digest, &ctx);
	for (size_t i = 0; i < sizeof digest; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	snprintf(buf, POD_INTERFACE_LEN, "%s%.*s", prefix, HEX_DIGITS, hex);
	return buf;
}

static bool is_text(const char *text, const char *wanted)
{
	return text && strcmp(text, wanted) == 0;
}

bool pod_is_nobody(const struct yaml_node *doc)
{
	const char *node = form_text_at(doc, "spec.nodeName");

	return is_text(form_text_at(doc, "spec.hostNetwork"), "true") || !node || !*node;
}

/* ---- Its addresses ---- */

#define POD_IP "cni.projectcalico.org/podIP"
#define AWS_IPS "vpc.amazonaws.com/pod-ips"

/* Its addresses may be somebody else's by now: it has ended, or it is being deleted and the CNI plugin says, by an
 * empty annotation, that they were given back. */
static bool is_finished(const struct yaml_node *doc)
{
	static const char *const ended[] = {"Succeeded", "Failed", "Completed"};
	static const char *const signs[] = {POD_IP, AWS_IPS};
	const char *phase = form_text_at(doc, "status.phase");

	for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
		if (is_text(phase, ended[i]))
			return true;
	for (size_t i = 0; schema_at(doc, "metadata.deletionTimestamp") && i < sizeof signs / sizeof *signs; i++)
		if (is_text(form_annotation(doc, signs[i]), ""))
			return true;
	return false;
}

/* One address, maybe with a length, which is not its own: it is a single one. */
static void add_ip(struct arena *a, struct yaml_node *list, const struct yaml_node *at, const char *text, size_t len)
{
	char copy[PREFIX_STRLEN];

	while (len && (*text == ' ' || text[len - 1] == ' ')) {
		text += *text == ' ';
		len--;
	}
	if (!len || list->count == MAX_IPS)
		return;
	snprintf(copy, sizeof copy, "%.*s", (int)(len < sizeof copy ? len : sizeof copy - 1), text);
	copy[strcspn(copy, "/")] = '\0';
	form_add(list, NULL, form_text(a, at, copy));
}

static void from_status_list(struct arena *a, struct yaml_node *list, const struct yaml_node *doc, const char *path)
{
	const struct yaml_node *ips = schema_at(doc, path);

	for (size_t i = 0; ips && ips->type == YAML_LIST && i < ips->count; i++) {
		const struct yaml_node *ip = yaml_get(ips->items[i], "ip");
		if (ip && ip->type == YAML_SCALAR)
			add_ip(a, list, ip, ip->text, strlen(ip->text));
	}
}

static void from_status(struct arena *a, struct yaml_node *list, const struct yaml_node *doc, const char *path)
{
	const char *text = form_text_at(doc, path);

	if (text)
		add_ip(a, list, schema_at(doc, path), text, strlen(text));
}

/* Separated by commas. */
static void from_annotation(struct arena *a, struct yaml_node *list, const struct yaml_node *doc, const char *name)
{
	const char *text = form_annotation(doc, name);

	while (text && *text) {
		size_t n = strcspn(text, ",");
		add_ip(a, list, yaml_get(schema_at(doc, "metadata.annotations"), name), text, n);
		text += n + (text[n] == ',');
	}
}

/* The first of these that has any counts. */
static const struct {
	void (*take)(struct arena *a, struct yaml_node *list, const struct yaml_node *doc, const char *where);
	const char *where;
} ip_sources[] = {
    {from_status_list, "status.podIPs"},
    {from_status, "status.podIP"},
    {from_annotation, "cni.projectcalico.org/podIPs"},
    {from_annotation, POD_IP},
    {from_annotation, AWS_IPS},
};

static struct yaml_node *make_networks(struct arena *a, const struct yaml_node *doc)
{
	struct yaml_node *list = form_tree(a, doc, YAML_LIST, MAX_IPS);

	for (size_t i = 0; !is_finished(doc) && !list->count && i < sizeof ip_sources / sizeof *ip_sources; i++)
		ip_sources[i].take(a, list, doc, ip_sources[i].where);
	return list;
}

/* ---- Its names ---- */

static const char *namespace_of(const struct yaml_node *doc)
{
	const char *namespace = form_text_at(doc, "metadata.namespace");

	return namespace && *namespace ? namespace : "default";
}

/* A dash inside a part is doubled, since one dash stands between parts. */
static void add_doubled(struct strbuf *out, const char *part)
{
	for (; *part; part++) {
		strbuf_putc(out, *part);
		if (*part == '-')
			strbuf_putc(out, '-');
	}
}

static struct yaml_node *make_name(struct arena *a, const struct yaml_node *doc)
{
	const char *node = form_text_at(doc, "spec.nodeName"), *pod = form_text_at(doc, "metadata.name");
	struct strbuf name = {0};
	struct yaml_node *made;

	if (!node || !pod || !*pod)
		return NULL;
	add_doubled(&name, node);
	strbuf_puts(&name, "-k8s-");
	add_doubled(&name, pod);
	strbuf_puts(&name, "-eth0");
	made = form_text(a, schema_at(doc, "metadata.name"), name.s);
	strbuf_free(&name);
	return made;
}

static struct yaml_node *make_interface(struct arena *a, const struct yaml_node *doc)
{
	const char *pod = form_text_at(doc, "metadata.name");
	char name[POD_INTERFACE_LEN];

	return pod ? form_text(a, doc, pod_interface("cali", namespace_of(doc), pod, name)) : NULL;
}

static struct yaml_node *make_endpoint(struct arena *a, const struct yaml_node *doc)
{
	return form_text(a, doc, "eth0");
}

/* The pod's own, and those by which Calico's selectors find workloads. */
static struct yaml_node *make_labels(struct arena *a, const struct yaml_node *doc)
{
	const struct yaml_node *own = schema_at(doc, "metadata.labels");
	const char *account = form_text_at(doc, "spec.serviceAccountName");
	const struct {
		const char *key, *value;
	} more[] = {
	    {"projectcalico.org/namespace", namespace_of(doc)},
	    {"projectcalico.org/orchestrator", "k8s"},
	    {"projectcalico.org/serviceaccount", account},
	};
	size_t n = own && own->type == YAML_MAP ? own->count : 0;
	struct yaml_node *made = form_tree(a, own ? own : doc, YAML_MAP, n + sizeof more / sizeof *more);

	for (size_t i = 0; i < sizeof more / sizeof *more; i++)
		if (more[i].value && *more[i].value)
			form_add(made, more[i].key, form_text(a, doc, more[i].value));
	for (size_t i = 0; i < n; i++)
		if (!yaml_get(made, own->keys[i]))
			form_add(made, own->keys[i], own->items[i]);
	return made;
}

const struct form_field pod_fields[POD_FIELDS] = {
    {.to = "metadata.name", .make = make_name},
    {.from = "metadata.namespace", .to = "metadata.namespace"},
    {.from = "metadata.annotations", .to = "metadata.annotations", .lenient = true},
    {.to = "metadata.labels", .make = make_labels},
    {.from = "spec.nodeName", .to = "spec.node"},
    {.from = "metadata.name", .to = "spec.pod"},
    {.to = "spec.endpoint", .make = make_endpoint},
    {.to = "spec.interfaceName", .make = make_interface},
    {.to = "spec.ipNetworks", .make = make_networks},
    {.from = "spec.serviceAccountName", .to = "spec.serviceAccountName"},
    {.annotation = "cni.projectcalico.org/floatingIPs", .to = "spec.ipNATs"},
    {.annotation = "cni.projectcalico.org/allowedSourcePrefixes", .to = "spec.allowSpoofedSourcePrefixes"},
};

void pod_finish(struct object *o)
{
	((struct obj_workload_endpoint *)(void *)o)->interface_by_rule = true;
}
