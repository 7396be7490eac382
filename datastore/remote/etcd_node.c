#include "datastore/remote/etcd_node.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bsd/stdlib.h>

#include "datastore/remote/etcd_backend.h"
#include "datastore/remote/etcd_keys.h"
#include "datastore/remote/node_writer.h"

struct etcd_node {
	struct backend *backend;
	struct node_writer *writer;
	char *key;
	char *token; /* of this attempt: the watches' one may have expired long ago. NULL none */
};

/* ---- The object ---- */

static struct yaml_node *map_at(struct arena *a, struct yaml_node *in, const char *key)
{
	struct yaml_node *map = yaml_get(in, key);

	if (map && map->type == YAML_MAP)
		return map;
	map = json_new_map(a);
	json_set(a, in, key, map);
	return map;
}

static bool is_text(const struct yaml_node *n, const char *text)
{
	return n && n->type == YAML_SCALAR && strcmp(n->text, text) == 0;
}

/* Calico's list of all addresses has the node's own once more. */
static void list_address(struct arena *a, struct yaml_node *spec, enum family f, const char *text)
{
	struct yaml_node *list = yaml_get(spec, "addresses"), *entry = NULL;

	if (!list || list->type != YAML_LIST) {
		list = json_new_list(a);
		json_set(a, spec, "addresses", list);
	}
	for (size_t i = 0; i < list->count && !entry; i++) {
		const char *type = json_text_at(list->items[i], "type"),
			   *address = json_text_at(list->items[i], "address");
		if (type && strcmp(type, "CalicoNodeIP") == 0 && address &&
		    (strchr(address, ':') != NULL) == (f == FAM_IPV6))
			entry = list->items[i];
	}
	if (!entry) {
		entry = json_new_map(a);
		json_append(a, list, entry);
	}
	json_set(a, entry, "address", json_new_text(a, text));
	json_set(a, entry, "type", json_new_text(a, "CalicoNodeIP"));
}

bool etcd_node_change(struct arena *a, struct yaml_node *node, const struct store_node *wish)
{
	static const char *const keys[FAM_COUNT] = {"ipv4Address", "ipv6Address"};
	struct yaml_node *spec = map_at(a, node, "spec"), *bgp = map_at(a, spec, "bgp");
	char text[NODE_WRITER_ADDRESS_LEN], as[16];
	bool changed = false;

	for (int f = 0; f < FAM_COUNT; f++) {
		const char *address = node_writer_address(wish, (enum family)f, text);
		if (!address || is_text(yaml_get(bgp, keys[f]), address))
			continue;
		json_set(a, bgp, keys[f], json_new_text(a, address));
		list_address(a, spec, (enum family)f, address);
		changed = true;
	}
	snprintf(as, sizeof as, "%" PRIu32, wish->as);
	if (wish->as && !is_text(yaml_get(bgp, "asNumber"), as)) {
		json_set(a, bgp, "asNumber", json_new_word(a, as));
		changed = true;
	}
	return changed;
}

struct yaml_node *etcd_node_make(struct arena *a, const char *name)
{
	struct yaml_node *node = json_new_map(a), *metadata = json_new_map(a);
	time_t now = time(NULL);
	char when[32], uid[40];
	uint32_t r[4];
	struct tm tm;

	arc4random_buf(r, sizeof r);
	snprintf(uid, sizeof uid, "%08x-%04x-4%03x-%04x-%04x%08x", r[0], r[1] >> 16, r[1] & 0xfff,
		 0x8000 | (r[2] & 0x3fff), r[2] >> 16, r[3]);
	strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	json_set(a, node, "kind", json_new_text(a, "Node"));
	json_set(a, node, "apiVersion", json_new_text(a, "projectcalico.org/v3"));
	json_set(a, metadata, "name", json_new_text(a, name));
	json_set(a, metadata, "uid", json_new_text(a, uid));
	json_set(a, metadata, "creationTimestamp", json_new_text(a, when));
	json_set(a, node, "metadata", metadata);
	return node;
}

/* ---- Requests ---- */

static enum node_writer_verdict ask(struct etcd_node *n, struct node_writer_step *s, const char *path,
				    struct strbuf *body)
{
	struct etcd_request q = {.path = path, .body = body, .token = n->token, .timeout = NODE_WRITER_TIME};

	s->request = etcd_request(n->backend, &q, s->ops, s->ops_arg);
	explicit_bzero(body->s, body->len);
	strbuf_free(body);
	return NODE_WRITER_ASKED;
}

static enum node_writer_verdict authenticate(struct etcd_node *n, struct node_writer_step *s)
{
	struct strbuf body = {0};

	free(n->token);
	n->token = NULL;
	etcd_write_authenticate(&body, n->backend->username, n->backend->password);
	return ask(n, s, "auth/authenticate", &body);
}

static enum node_writer_verdict read_node(struct etcd_node *n, struct node_writer_step *s)
{
	const char *token = s->answer ? json_text_at(s->answer, "token") : NULL;
	struct strbuf body = {0};

	free(n->token);
	n->token = token ? mem_strdup(token) : NULL;
	etcd_write_get(&body, n->key);
	return ask(n, s, "kv/range", &body);
}

static enum node_writer_verdict put(struct etcd_node *n, struct node_writer_step *s, struct yaml_node *node,
				    uint64_t revision)
{
	struct strbuf value = {0}, body = {0};

	if (!etcd_node_change(s->arena, node, s->wish))
		return NODE_WRITER_DONE;
	json_write(&value, node);
	etcd_write_put_if(&body, n->key, value.s, revision);
	strbuf_free(&value);
	return ask(n, s, "kv/txn", &body);
}

static enum node_writer_verdict write_node(struct etcd_node *n, struct node_writer_step *s)
{
	const struct yaml_node *kvs = yaml_get(s->answer, "kvs");
	struct etcd_kv kv = {0};
	enum node_writer_verdict v = NODE_WRITER_FAILED;
	const char *reason = "";
	struct yaml_node *node = NULL;
	char error[JSON_ERROR_LEN];

	if (!kvs || kvs->type != YAML_LIST || !kvs->count)
		return put(n, s, etcd_node_make(s->arena, n->backend->node), 0);
	if (etcd_read_kv(&kv, kvs->items[0], &reason)) {
		node = json_parse(kv.value.s, kv.value.len, s->arena, error);
		reason = node ? "its value is no object" : error;
	}
	if (node && node->type == YAML_MAP)
		v = put(n, s, node, kv.revision);
	else
		snprintf(s->reason, sizeof s->reason, "%s: %s; it is left as it is", n->key, reason);
	etcd_kv_free(&kv);
	return v;
}

static enum node_writer_verdict check(const struct node_writer_step *s)
{
	const char *succeeded = json_text_at(s->answer, "succeeded");

	return succeeded && strcmp(succeeded, "true") == 0 ? NODE_WRITER_DONE : NODE_WRITER_AGAIN;
}

static enum node_writer_verdict step(void *arg, struct node_writer_step *s)
{
	struct etcd_node *n = arg;
	unsigned number = s->number + !*n->backend->username;

	switch (number) {
	case 0:
		return authenticate(n, s);
	case 1:
		return read_node(n, s);
	case 2:
		return write_node(n, s);
	default:
		return check(s);
	}
}

void etcd_node_wish(struct etcd_node *n, const struct store_node *wish)
{
	node_writer_wish(n->writer, wish);
}

struct etcd_node *etcd_node_new(struct backend *b)
{
	struct etcd_node *n = mem_calloc(1, sizeof *n);
	struct node_writer_conf conf = {.loop = b->loop,
					.store = b->store,
					.step = step,
					.arg = n,
					.permission = "to read and write the key of its own Node"};

	n->backend = b;
	n->key = etcd_node_key(b->node);
	n->writer = node_writer_new(&conf);
	return n;
}

void etcd_node_free(struct etcd_node *n)
{
	node_writer_free(n->writer);
	free(n->key);
	free(n->token);
	free(n);
}
