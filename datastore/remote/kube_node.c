#include "datastore/remote/kube_node.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/remote/kube_resource.h"
#include "datastore/remote/node_writer.h"

#define ADDRESS4 "projectcalico.org/IPv4Address"
#define ADDRESS6 "projectcalico.org/IPv6Address"
#define AS_NUMBER "projectcalico.org/ASNumber"

struct kube_node {
	struct kube_client *client;
	struct node_writer *writer;
	char *path;
};

static void set_if_other(struct arena *a, const struct yaml_node *now, struct yaml_node *patch, const char *key,
			 const char *text)
{
	const struct yaml_node *before = yaml_get(now, key);

	if (text && (!before || before->type != YAML_SCALAR || strcmp(before->text, text) != 0))
		json_set(a, patch, key, json_new_text(a, text));
}

struct yaml_node *kube_node_patch(struct arena *a, const struct yaml_node *node, const struct store_node *wish)
{
	const struct yaml_node *now = json_at(node, "metadata.annotations");
	struct yaml_node *changed = json_new_map(a), *metadata = json_new_map(a), *patch = json_new_map(a);
	char text[NODE_WRITER_ADDRESS_LEN], as[16];

	set_if_other(a, now, changed, ADDRESS4, node_writer_address(wish, FAM_IPV4, text));
	set_if_other(a, now, changed, ADDRESS6, node_writer_address(wish, FAM_IPV6, text));
	snprintf(as, sizeof as, "%" PRIu32, wish->as);
	set_if_other(a, now, changed, AS_NUMBER, wish->as ? as : NULL);
	if (!changed->count)
		return NULL;
	json_set(a, metadata, "annotations", changed);
	json_set(a, patch, "metadata", metadata);
	return patch;
}

static enum node_writer_verdict ask(struct kube_node *n, struct node_writer_step *s)
{
	struct kube_request q = {.path = n->path, .timeout = NODE_WRITER_TIME};

	s->request = kube_client_start(n->client, &q, s->ops, s->ops_arg);
	return NODE_WRITER_ASKED;
}

static enum node_writer_verdict patch(struct kube_node *n, struct node_writer_step *s)
{
	const struct yaml_node *tree = kube_node_patch(s->arena, s->answer, s->wish);
	struct kube_request q = {
	    .method = "PATCH", .content_type = "application/merge-patch+json", .timeout = NODE_WRITER_TIME};
	struct strbuf body = {0};
	char *path;

	if (!tree)
		return NODE_WRITER_DONE;
	path = mem_printf("%s/status", n->path);
	json_write(&body, tree);
	q.path = path;
	q.body = body.s;
	s->request = kube_client_start(n->client, &q, s->ops, s->ops_arg);
	strbuf_free(&body);
	free(path);
	return NODE_WRITER_ASKED;
}

static enum node_writer_verdict step(void *arg, struct node_writer_step *s)
{
	if (s->number == 0)
		return ask(arg, s);
	return s->number == 1 ? patch(arg, s) : NODE_WRITER_DONE;
}

void kube_node_wish(struct kube_node *n, const struct store_node *wish)
{
	node_writer_wish(n->writer, wish);
}

struct kube_node *kube_node_new(struct loop *l, struct kube_client *c, struct store *s, const char *node)
{
	struct kube_node *n = mem_calloc(1, sizeof *n);
	struct node_writer_conf conf = {.loop = l,
					.store = s,
					.step = step,
					.arg = n,
					.permission = "the verb patch on nodes/status (etc/kubernetes/rbac.yaml)"};
	char *nodes = kube_resource_path("v1", NULL, "nodes");
	struct strbuf path = {0};

	strbuf_printf(&path, "%s/", nodes);
	kube_escape(&path, node);
	n->path = path.s;
	n->client = c;
	n->writer = node_writer_new(&conf);
	free(nodes);
	return n;
}

void kube_node_free(struct kube_node *n)
{
	if (!n)
		return;
	node_writer_free(n->writer);
	free(n->path);
	free(n);
}
