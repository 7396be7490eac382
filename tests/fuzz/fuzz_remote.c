/* Bytes of a remote datastore: the stream of a watch, cut into pieces; keys and values; documents by key; the records
 * of a cache.
 *
 * Whatever the bytes are: in pieces of any size they are the same stream; every object in force has a name; a document
 * that is put again changes nothing; and when the listing is empty nothing is left of it. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/base/hash.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "datastore/remote/base64.h"
#include "datastore/remote/cache_record.h"
#include "datastore/remote/etcd_keys.h"
#include "datastore/remote/etcd_wire.h"
#include "datastore/remote/json_stream.h"
#include "datastore/remote/mirror.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
	struct store *store;
	struct mirror *mirror;
	struct arena arena;
	struct etcd_kv kv;
	uint64_t pieces; /* a digest of them */
	unsigned changes;
	bool take;
};

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void on_change(void *arg, const struct object *before, const struct object *after)
{
	struct fuzz *f = arg;
	const struct object *o = after ? after : before;

	require(o->name && *o->name && o->namespace && o->source);
	f->changes++;
}

static void on_sync(void *arg)
{
	(void)arg;
}

static void translate(void *arg, struct mirror *m, const char *key, struct yaml_node *doc)
{
	int row = etcd_range_of(key, "node-1");
	const char *field = "", *reason = "none";
	struct yaml_node *object = NULL;

	(void)arg;
	if (row >= 0)
		object = etcd_object((unsigned)row, key, "node-1", doc, mirror_arena(m), &field, &reason);
	if (object)
		mirror_emit(m, object);
	else
		mirror_refuse(m, field, reason);
}

static void take(struct fuzz *f, const struct yaml_node *n)
{
	struct etcd_kv *kv = &f->kv;
	const char *reason;
	unsigned before;

	if (!etcd_read_kv(kv, n, &reason)) {
		if (kv->key.len)
			mirror_put_bad(f->mirror, kv->key.s, reason);
		return;
	}
	if (kv->deleted) {
		mirror_delete(f->mirror, kv->key.s);
		return;
	}
	mirror_put(f->mirror, kv->key.s, kv->value.s, kv->value.len);
	before = f->changes;
	mirror_put(f->mirror, kv->key.s, kv->value.s, kv->value.len);
	require(f->changes == before);
}

static bool on_piece(void *arg, enum json_piece what, const char *text, size_t len)
{
	struct fuzz *f = arg;
	char err[JSON_ERROR_LEN];
	struct yaml_node *n;
	struct strbuf key = {0};

	f->pieces = f->pieces * 31 + hash_bytes(text, len) + what;
	if (!f->take)
		return true;
	if (what == JSON_TOO_LARGE) {
		if (etcd_read_cut_key(&key, text, len))
			require(strlen(key.s) == key.len);
	} else if ((n = json_parse(text, len, &f->arena, err))) {
		etcd_read_head(n);
		if (what == JSON_ELEMENT)
			take(f, n);
	}
	strbuf_free(&key);
	arena_reset(&f->arena);
	return true;
}

static uint64_t feed(struct fuzz *f, const uint8_t *data, size_t size, size_t step)
{
	struct json_stream s = {.member = "result.events", .max = 4096, .on_piece = on_piece, .arg = f};
	const char *error;
	bool good = true;

	f->pieces = 0;
	for (size_t at = 0; good && at < size; at += step)
		good = json_stream_feed(&s, (const char *)data + at, size - at < step ? size - at : step, &error);
	json_stream_reset(&s);
	return f->pieces + good;
}

/* The whole input as one value, under the key of each range. */
static void as_values(struct fuzz *f, const uint8_t *data, size_t size)
{
	for (unsigned i = 0; i < etcd_range_count(); i++) {
		char *prefix = etcd_range_prefix(i, "node-1");
		char *key = mem_printf("%s%s", prefix, i % 2 ? "ipv4/block/10.0.0.0-26" : "x");
		mirror_put(f->mirror, key, (const char *)data, size);
		free(key);
		free(prefix);
	}
}

static void as_cache(const uint8_t *data, size_t size)
{
	struct record_walk w = {.fd = memfd_create("fuzz", MFD_CLOEXEC), .end = size};
	struct record r;
	const char *error;

	require(w.fd >= 0 && write(w.fd, data, size) == (ssize_t)size);
	while (record_next(&w, &r, &error))
		require(strlen(r.key) == r.key_len && r.offset + r.len <= size);
	record_walk_free(&w);
	close(w.fd);
}

static void as_base64(const uint8_t *data, size_t size)
{
	struct strbuf text = {0}, again = {0};

	strbuf_puts(&text, "");
	base64_encode(&text, data, size);
	require(base64_decode(&again, text.s, text.len) && again.len == size && memcmp(again.s, data, size) == 0);
	strbuf_reset(&again);
	base64_decode(&again, (const char *)data, size);
	strbuf_free(&text);
	strbuf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct store_ops store_ops = {on_change, on_sync};
	static const struct mirror_ops mirror_ops = {translate};
	struct fuzz f = {.take = true};
	struct mirror_conf conf = {.cache = "", .identity = "", .ops = &mirror_ops, .arg = &f};
	uint64_t whole;

	log_setup(LOG_LVL_ERROR, false);
	conf.loop = loop_new();
	conf.store = f.store = store_new(conf.loop, &store_ops, &f);
	conf.arg = &f;
	f.mirror = mirror_new(&conf);
	whole = feed(&f, data, size, size ? size : 1);
	f.take = false;
	require(feed(&f, data, size, 1) == whole && feed(&f, data, size, 7) == whole);
	as_values(&f, data, size);
	as_cache(data, size);
	as_base64(data, size);
	mirror_list_end(f.mirror, "", mirror_list_begin(f.mirror));
	for (int k = 0; k < OBJ_KIND_COUNT; k++)
		require(store_count(f.store, (enum object_kind)k) == 0);
	require(store_status(f.store).refused == 0 || store_refusal(f.store, 0));
	mirror_free(f.mirror);
	store_free(f.store);
	loop_free(conf.loop);
	etcd_kv_free(&f.kv);
	arena_free(&f.arena);
	return 0;
}
