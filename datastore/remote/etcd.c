/* The etcd v3 backend: Calico's own keys and values, through etcd's JSON gateway. Here: which step is next, answers as
 * they come, and what is done when a member fails. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mono.h"
#include "datastore/remote/etcd_backend.h"
#include "datastore/remote/etcd_keys.h"
#include "datastore/remote/etcd_node.h"
#include "datastore/remote/plugin.h"

#define CONNECT_TIMEOUT (5 * MONO_SEC)
#define CACHE_DELAY (5 * MONO_SEC)
#define RETRY_LEAST (200 * MONO_MSEC)
#define RETRY_MOST (20 * MONO_SEC)
/* etcd refuses what is larger (--max-request-bytes) unless told otherwise; base64 adds a third. */
#define MAX_ELEMENT (4u << 20)
#define MAX_ERROR 4096u

static void attempt(struct backend *b);

/* ---- Ends of attempts ---- */

void etcd_set_reason(struct backend *b, enum verdict v, const char *fmt, ...)
{
	va_list ap;

	b->verdict = v;
	va_start(ap, fmt);
	vsnprintf(b->reason, sizeof b->reason, fmt, ap);
	va_end(ap);
}

static void on_timer(void *arg)
{
	struct backend *b = arg;

	/* Others may be named by now. */
	if (!b->lost || !etcd_endpoints_look_up(b->endpoints))
		attempt(b);
}

static void retry(struct backend *b)
{
	loop_timer_set(b->loop, &b->timer, backoff_delay(&b->backoff), on_timer, b);
}

/* This endpoint does not do: the next one. When all have been tried, the store is told, and they have a pause. */
void etcd_fail(struct backend *b)
{
	log_debug("datastore", "%s: %s", etcd_endpoint(b->endpoints), b->reason);
	if (++b->failures < etcd_endpoint_count(b->endpoints)) {
		etcd_endpoint_next(b->endpoints);
		attempt(b);
		return;
	}
	b->failures = 0;
	b->lost = true;
	store_set_location(b->store, etcd_endpoint(b->endpoints));
	mirror_lost(b->mirror, b->reason);
	etcd_endpoint_next(b->endpoints);
	retry(b);
}

static void on_endpoints(void *arg, const char *problem)
{
	struct backend *b = arg;

	b->failures = 0;
	if (etcd_endpoint_count(b->endpoints)) {
		attempt(b);
		return;
	}
	etcd_set_reason(b, FAILED, "%s", problem ? problem : "no server is known");
	etcd_fail(b);
}

/* Everything that there is has been told. */
void etcd_in_sync(struct backend *b)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRIu64, b->revision);
	b->lost = false;
	store_set_location(b->store, etcd_endpoint(b->endpoints));
	mirror_synced(b->mirror, text);
}

void etcd_heard(struct backend *b, uint64_t revision)
{
	char text[24];

	if (revision > b->revision)
		b->revision = revision;
	snprintf(text, sizeof text, "%" PRIu64, b->revision);
	mirror_heard(b->mirror, text);
}

/* ---- Keys and values ---- */

static void translate(void *arg, struct mirror *m, const char *key, struct yaml_node *doc)
{
	struct backend *b = arg;
	int row = etcd_range_of(key, b->node);
	const char *field = "", *reason = "is in no range that is read";
	struct yaml_node *object = NULL;

	if (row >= 0)
		object = etcd_object((unsigned)row, key, b->node, doc, mirror_arena(m), &field, &reason);
	if (object)
		mirror_emit(m, object);
	else
		mirror_refuse(m, field, reason);
}

/* Returns the key's range; NULL if it is of no interest. */
struct range *etcd_range(struct backend *b, const char *key)
{
	int row = etcd_range_of(key, b->node);

	return row >= 0 && !etcd_key_is_others((unsigned)row, key, b->node) ? &b->ranges[row] : NULL;
}

void etcd_take_value(struct backend *b, const struct etcd_kv *kv)
{
	static const char empty[] = "{}"; /* as old affinities are */

	if (kv->deleted)
		mirror_delete(b->mirror, kv->key.s);
	else if (kv->value.len)
		mirror_put(b->mirror, kv->key.s, kv->value.s, kv->value.len);
	else
		mirror_put(b->mirror, kv->key.s, empty, sizeof empty - 1);
}

static bool on_element(struct backend *b, const struct yaml_node *n)
{
	const char *reason;
	uint32_t left_out;

	if (!etcd_read_kv(&b->kv, n, &reason)) {
		if (b->kv.key.len && etcd_range(b, b->kv.key.s))
			mirror_put_bad(b->mirror, b->kv.key.s, reason);
		else if (log_allowed(&b->nonsense, 1, MONO_SEC * 60, &left_out))
			log_warn("datastore", "%s: %s; it is left out", etcd_endpoint(b->endpoints), reason);
		return true;
	}
	if (b->step == WATCH)
		etcd_watch_take(b, &b->kv);
	else
		etcd_list_take(b, &b->kv);
	return true;
}

/* A value that is too large to be read at all. */
static bool on_large(struct backend *b, const char *text, size_t len)
{
	char reason[64];

	strbuf_reset(&b->kv.key);
	if (!etcd_read_cut_key(&b->kv.key, text, len)) {
		etcd_set_reason(b, FAILED, "a key that is too long");
		return false;
	}
	snprintf(reason, sizeof reason, "its value is larger than %u octets", MAX_ELEMENT * 3 / 4);
	if (etcd_range(b, b->kv.key.s))
		mirror_put_bad(b->mirror, b->kv.key.s, reason);
	if (b->step == LIST) {
		strbuf_reset(&b->last_key);
		strbuf_add(&b->last_key, b->kv.key.s, b->kv.key.len);
	}
	return true;
}

/* ---- Answers ---- */

/* Tokens have an end, and die with any change of users and roles: a new one, unless this was new. */
void etcd_check_token(struct backend *b, const struct etcd_head *h)
{
	bool refused = h->code == ETCD_CODE_UNAUTHENTICATED ||
		       (h->error && (strstr(h->error, "invalid auth token") || strstr(h->error, "auth store is old")));

	if (!b->token || !refused)
		return;
	b->verdict = b->token_is_fresh ? FAILED : AGAIN;
	free(b->token);
	b->token = NULL;
}

/* Is it still the cluster that the revisions are of? */
bool etcd_check_cluster(struct backend *b, const struct etcd_head *h)
{
	bool same = !b->cluster || b->cluster == h->cluster;

	b->cluster = h->cluster;
	if (same)
		return true;
	b->revision = 0;
	etcd_relist_all(b);
	etcd_set_reason(b, AGAIN, "is another cluster than before");
	return false;
}

static bool on_object(struct backend *b, const struct yaml_node *n, struct answer *a)
{
	struct etcd_head h = etcd_read_head(n);

	if (h.error && !h.canceled) {
		etcd_set_reason(b, FAILED, "%s", h.error);
		etcd_check_token(b, &h);
		return false;
	}
	if (a->range)
		return etcd_watch_message(b, &h, a);
	if (b->step == LIST)
		return etcd_list_page(b, &h);
	free(b->token);
	b->token = h.token ? mem_strdup(h.token) : NULL;
	b->token_is_fresh = true;
	return true;
}

static bool on_piece(void *arg, enum json_piece what, const char *text, size_t len)
{
	struct answer *a = arg;
	struct backend *b = a->owner;
	char error[JSON_ERROR_LEN];
	struct yaml_node *n;
	bool good;

	a->had_events = a->had_events || what != JSON_OBJECT;
	if (what == JSON_TOO_LARGE)
		return on_large(b, text, len);
	n = json_parse(text, len, &b->arena, error);
	if (!n)
		etcd_set_reason(b, FAILED, "the answer %s", error);
	good = n && (what == JSON_ELEMENT ? on_element(b, n) : on_object(b, n, a));
	arena_reset(&b->arena);
	return good;
}

static bool on_data(void *arg, int status, const char *data, size_t len)
{
	struct answer *a = arg;
	const char *error;

	if (status != 200) {
		if (a->body.len < MAX_ERROR)
			strbuf_add(&a->body, data, len < MAX_ERROR - a->body.len ? len : MAX_ERROR - a->body.len);
		return true;
	}
	if (json_stream_feed(&a->stream, data, len, &error))
		return true;
	if (error)
		etcd_set_reason(a->owner, FAILED, "the answer %s", error);
	return false;
}

/* An answer with an error status. */
static void read_error(struct backend *b, const struct strbuf *body, int status)
{
	char error[JSON_ERROR_LEN], text[64];
	struct yaml_node *n = json_parse(body->s ? body->s : "", body->len, &b->arena, error);
	struct etcd_head h = {0};

	if (n)
		h = etcd_read_head(n);
	snprintf(text, sizeof text, "it answers with status %d", status);
	etcd_set_reason(b, FAILED, "%s", h.error ? h.error : text);
	if (b->step == LIST && h.error && strstr(h.error, "compacted"))
		etcd_list_compacted(b);
	etcd_check_token(b, &h);
	arena_reset(&b->arena);
}

static void answer_reset(struct answer *a)
{
	if (a->request)
		http_cancel(a->request);
	a->request = NULL;
	json_stream_reset(&a->stream);
	strbuf_free(&a->body);
}

/* Whatever is being asked is not asked any more. */
void etcd_hush(struct backend *b)
{
	loop_timer_stop(b->loop, &b->timer);
	answer_reset(&b->answer);
	for (unsigned i = 0; i < b->range_count; i++)
		answer_reset(&b->ranges[i].answer);
}

/* ---- What comes next ---- */

/* The answer is whole. */
static void end_step(struct backend *b, bool is_cut)
{
	if (b->step == WATCH) {
		etcd_set_reason(b, FAILED, "the watch ended");
	} else if (is_cut || (b->step == LIST && !b->page_is_whole)) {
		etcd_set_reason(b, FAILED, "the answer ends early");
	} else if (b->step == AUTHENTICATE && !b->token) {
		etcd_set_reason(b, FAILED, "it gave no token");
	} else {
		if (b->step == LIST)
			b->token_is_fresh = false;
		if (b->step == LIST && !b->more)
			etcd_list_end(b);
		attempt(b);
		return;
	}
	etcd_fail(b);
}

static void on_end(void *arg, const struct http_result *r)
{
	struct answer *a = arg;
	struct backend *b = a->owner;
	bool is_cut = json_stream_is_open(&a->stream);

	a->request = NULL;
	if (b->verdict == GO_ON && r->status && r->status != 200)
		read_error(b, &a->body, r->status);
	else if (b->verdict == GO_ON && r->error)
		etcd_set_reason(b, FAILED, "%s%s", b->step == WATCH && r->status ? "the watch broke off: " : "",
				r->error);
	etcd_hush(b);
	if (b->verdict == FAILED) {
		etcd_fail(b);
	} else if (b->verdict == AGAIN) {
		log_info("datastore", "%s: %s; it is asked again", etcd_endpoint(b->endpoints), b->reason);
		retry(b);
	} else {
		end_step(b, is_cut);
	}
}

static const struct http_ops http_ops = {.on_data = on_data, .on_end = on_end};

struct http_request *etcd_request(struct backend *b, const struct etcd_request *q, const struct http_ops *ops,
				  void *arg)
{
	char *url = mem_printf("%s/v3/%s", etcd_endpoint(b->endpoints), q->path);
	char *authorization = q->token ? mem_printf("Authorization: %s", q->token) : NULL;
	struct http_conf c = {
	    .url = url,
	    .headers = {"Content-Type: application/json", "Grpc-Metadata-hasleader: true", authorization},
	    .body = q->body->s,
	    .body_len = q->body->len,
	    .connect_timeout = CONNECT_TIMEOUT,
	    .timeout = q->timeout,
	    .idle_timeout = q->idle_timeout};
	struct http_request *r = http_start(b->http, &c, ops, arg);

	free(url);
	free(authorization);
	return r;
}

void etcd_ask(struct backend *b, struct answer *a, const char *path, const struct strbuf *body)
{
	struct etcd_request q = {
	    .path = path, .body = body, .token = b->token, .idle_timeout = a->range ? 0 : ETCD_ANSWER_TIMEOUT};

	a->had_events = false;
	a->stream = (struct json_stream){
	    .member = a->range ? "result.events" : "kvs", .max = MAX_ELEMENT, .on_piece = on_piece, .arg = a};
	a->request = etcd_request(b, &q, &http_ops, a);
}

void etcd_begin(struct backend *b, enum step step)
{
	b->step = step;
	b->verdict = GO_ON;
}

static void authenticate(struct backend *b)
{
	struct strbuf body = {0};

	free(b->token);
	b->token = NULL;
	etcd_write_authenticate(&body, b->username, b->password);
	etcd_begin(b, AUTHENTICATE);
	etcd_ask(b, &b->answer, "auth/authenticate", &body);
	explicit_bzero(body.s, body.len);
	strbuf_free(&body);
}

/* What is missing comes first. */
static void attempt(struct backend *b)
{
	if (*b->username && !b->token) {
		authenticate(b);
		return;
	}
	for (unsigned i = 0; i < b->range_count; i++) {
		if (!b->ranges[i].listed) {
			etcd_list(b, i);
			return;
		}
	}
	etcd_watch(b);
}

/* ---- Start and stop ---- */

static void make_ranges(struct backend *b)
{
	b->range_count = etcd_range_count();
	b->ranges = mem_calloc(b->range_count, sizeof *b->ranges);
	for (unsigned i = 0; i < b->range_count; i++) {
		b->ranges[i].prefix = etcd_range_prefix(i, b->node);
		b->ranges[i].answer = (struct answer){.owner = b, .range = &b->ranges[i]};
	}
	b->answer.owner = b;
}

static struct mirror *make_mirror(struct backend *b, const struct store_conf *conf)
{
	static const struct mirror_ops ops = {.translate = translate};
	char *identity = mem_printf("etcdv3 %s", conf->node);
	struct mirror_conf c = {.store = b->store,
				.loop = b->loop,
				.cache = conf->cache,
				.identity = identity,
				.cache_delay = CACHE_DELAY,
				.ops = &ops,
				.arg = b};
	struct mirror *m = mirror_new(&c);

	free(identity);
	return m;
}

static struct backend *etcd_start(struct store *s, struct loop *l, const struct store_conf *conf)
{
	struct backend *b = mem_calloc(1, sizeof *b);
	struct http_tls tls = {
	    .ca.file = conf->etcd.ca_file, .cert.file = conf->etcd.cert_file, .key.file = conf->etcd.key_file};

	b->store = s;
	b->loop = l;
	b->node = mem_strdup(conf->node);
	b->username = mem_strdup(conf->etcd.username);
	b->password = mem_strdup(conf->etcd.password);
	b->backoff = (struct backoff){.least = RETRY_LEAST, .most = RETRY_MOST};
	b->page = ETCD_PAGE;
	b->endpoints = etcd_endpoints_new(l, conf, on_endpoints, b);
	make_ranges(b);
	store_set_location(s, etcd_endpoint_count(b->endpoints) ? conf->etcd.endpoints : conf->etcd.discovery_srv);
	b->mirror = make_mirror(b, conf);
	b->http = http_new(l, &tls);
	b->writer = etcd_node_new(b);
	if (!etcd_endpoints_look_up(b->endpoints))
		attempt(b);
	return b;
}

static void etcd_stop(struct backend *b)
{
	etcd_hush(b);
	etcd_node_free(b->writer);
	http_free(b->http);
	mirror_free(b->mirror);
	for (unsigned i = 0; i < b->range_count; i++)
		free(b->ranges[i].prefix);
	free(b->ranges);
	etcd_endpoints_free(b->endpoints);
	etcd_kv_free(&b->kv);
	strbuf_free(&b->last_key);
	arena_free(&b->arena);
	explicit_bzero(b->password, strlen(b->password));
	free(b->node);
	free(b->username);
	free(b->password);
	free(b->token);
	free(b);
}

static void etcd_publish(struct backend *b, const struct store_node *n)
{
	etcd_node_wish(b->writer, n);
}

const struct backend_ops backend_etcdv3 = {
    .name = "etcdv3",
    .start = etcd_start,
    .stop = etcd_stop,
    .publish = etcd_publish,
};
