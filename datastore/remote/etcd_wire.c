#include "datastore/remote/etcd_wire.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/remote/base64.h"
#include "datastore/remote/json.h"

static void put_bytes(struct strbuf *out, const char *name, const char *data, size_t len)
{
	strbuf_printf(out, "\"%s\":\"", name);
	base64_encode(out, data, len);
	strbuf_puts(out, "\"");
}

/* Of all that begins with prefix: its last octet plus one. Prefixes end in a slash. */
static void put_range_end(struct strbuf *out, const char *prefix)
{
	struct strbuf end = {0};

	strbuf_puts(&end, prefix);
	end.s[end.len - 1]++;
	put_bytes(out, "range_end", end.s, end.len);
	strbuf_free(&end);
}

void etcd_write_range(struct strbuf *out, const char *prefix, const char *from, uint64_t revision, unsigned limit)
{
	strbuf_puts(out, "{");
	/* The first key behind `from` is `from` and a NUL. */
	put_bytes(out, "key", from ? from : prefix, from ? strlen(from) + 1 : strlen(prefix));
	strbuf_puts(out, ",");
	put_range_end(out, prefix);
	if (revision)
		strbuf_printf(out, ",\"revision\":\"%" PRIu64 "\"", revision);
	strbuf_printf(out, ",\"limit\":\"%u\"}", limit);
}

void etcd_write_watch(struct strbuf *out, const char *prefix, uint64_t revision)
{
	strbuf_puts(out, "{\"create_request\":{");
	put_bytes(out, "key", prefix, strlen(prefix));
	strbuf_puts(out, ",");
	put_range_end(out, prefix);
	strbuf_printf(out, ",\"start_revision\":\"%" PRIu64 "\",\"progress_notify\":true,\"fragment\":true}}\n",
		      revision);
}

void etcd_write_get(struct strbuf *out, const char *key)
{
	strbuf_puts(out, "{");
	put_bytes(out, "key", key, strlen(key));
	strbuf_puts(out, "}");
}

void etcd_write_put_if(struct strbuf *out, const char *key, const char *value, uint64_t revision)
{
	strbuf_puts(out, "{\"compare\":[{\"target\":\"MOD\",\"result\":\"EQUAL\",");
	put_bytes(out, "key", key, strlen(key));
	/* That of a key which is not there is 0. */
	strbuf_printf(out, ",\"mod_revision\":\"%" PRIu64 "\"}],\"success\":[{\"request_put\":{", revision);
	put_bytes(out, "key", key, strlen(key));
	strbuf_puts(out, ",");
	put_bytes(out, "value", value, strlen(value));
	strbuf_puts(out, "}}]}");
}

void etcd_write_authenticate(struct strbuf *out, const char *user, const char *password)
{
	struct arena a = {0};
	struct yaml_node *n = json_new_map(&a);

	json_set(&a, n, "name", json_new_text(&a, user));
	json_set(&a, n, "password", json_new_text(&a, password));
	json_write(out, n);
	arena_free(&a);
}

static uint64_t number_at(const struct yaml_node *n, const char *path)
{
	const char *text = json_text_at(n, path);

	return text ? strtoull(text, NULL, 10) : 0;
}

static bool true_at(const struct yaml_node *n, const char *path)
{
	const char *text = json_text_at(n, path);

	return text && strcmp(text, "true") == 0;
}

bool etcd_read_kv(struct etcd_kv *kv, const struct yaml_node *n, const char **reason)
{
	const struct yaml_node *inner = yaml_get(n, "kv");
	const char *type = json_text_at(n, "type"), *key, *value;

	n = inner ? inner : n;
	key = json_text_at(n, "key");
	value = json_text_at(n, "value");
	strbuf_reset(&kv->key);
	strbuf_reset(&kv->value);
	kv->revision = number_at(n, "mod_revision");
	kv->deleted = type && strcmp(type, "DELETE") == 0;
	*reason = "an answer without a key";
	if (!key || !base64_decode(&kv->key, key, strlen(key)) || !kv->key.len)
		return false;
	*reason = "a key that is no text, or too long";
	if (kv->key.len > ETCD_MAX_KEY || memchr(kv->key.s, '\0', kv->key.len)) {
		strbuf_reset(&kv->key);
		return false;
	}
	*reason = "its value is not base64";
	return base64_decode(&kv->value, value ? value : "", value ? strlen(value) : 0);
}

bool etcd_read_cut_key(struct strbuf *key, const char *text, size_t len)
{
	static const char name[] = "\"key\":\"";
	const char *at = memmem(text, len, name, sizeof name - 1), *end;
	size_t before = key->len;

	if (!at)
		return false;
	at += sizeof name - 1;
	end = memchr(at, '"', len - (size_t)(at - text));
	return end && base64_decode(key, at, (size_t)(end - at)) && key->len - before <= ETCD_MAX_KEY &&
	       !memchr(key->s + before, '\0', key->len - before);
}

void etcd_kv_free(struct etcd_kv *kv)
{
	strbuf_free(&kv->key);
	strbuf_free(&kv->value);
}

/* An answer, a message of a stream ("result"), or an error: {"error":"...","code":7}, in a stream
 * {"error":{"message":"...","grpc_code":14}}. */
struct etcd_head etcd_read_head(const struct yaml_node *n)
{
	const struct yaml_node *result = yaml_get(n, "result"), *error = yaml_get(n, "error");
	struct etcd_head h = {0};

	if (error) {
		h.error = json_text_at(n, error->type == YAML_MAP ? "error.message" : "error");
		h.error = h.error ? h.error : "an error without a reason";
		h.code = (unsigned)number_at(n, error->type == YAML_MAP ? "error.grpc_code" : "code");
		return h;
	}
	n = result ? result : n;
	h.cluster = number_at(n, "header.cluster_id");
	h.revision = number_at(n, "header.revision");
	h.compacted = number_at(n, "compact_revision");
	h.more = true_at(n, "more");
	h.created = true_at(n, "created");
	h.canceled = true_at(n, "canceled");
	h.fragment = true_at(n, "fragment");
	h.token = json_text_at(n, "token");
	if (h.canceled) {
		h.error = json_text_at(n, "cancel_reason");
		h.error = h.error ? h.error : "the watch was canceled";
	}
	return h;
}
