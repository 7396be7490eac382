/* The etcd v3 backend: Calico's own keys and values, through etcd's JSON gateway.
 *
 * Each range of keys (etcd_keys.h) is listed page by page, all pages at one revision, and then watched from there on. A
 * watch is a request of its own: over HTTP/1.1 the gateway's server drops what it has not read of a request's body when
 * it begins to answer, so a body holds no more than one. Each range remembers up to which revision everything has been
 * told, so that a broken connection is continued elsewhere; what is compacted by then is listed anew, which is a diff
 * (mirror.h). */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "datastore/remote/backoff.h"
#include "datastore/remote/etcd_keys.h"
#include "datastore/remote/etcd_wire.h"
#include "datastore/remote/http.h"
#include "datastore/remote/json_stream.h"
#include "datastore/remote/mirror.h"
#include "datastore/remote/plugin.h"

#define CONNECT_TIMEOUT (5 * MONO_SEC)
#define ANSWER_TIMEOUT (15 * MONO_SEC) /* without an octet, where one is due */
#define CACHE_DELAY (5 * MONO_SEC)
#define RETRY_LEAST (200 * MONO_MSEC)
#define RETRY_MOST (20 * MONO_SEC)
#define PAGE 500u
#define PAGE_MOST 64000u
/* etcd refuses what is larger (--max-request-bytes) unless told otherwise; base64 adds a third. */
#define MAX_ELEMENT (4u << 20)
#define MAX_ERROR 4096u

struct backend;
struct range;

/* A request, and what of its answer is there. */
struct answer {
	struct backend *owner;
	struct range *range;	      /* that is watched; NULL: another step */
	struct http_request *request; /* NULL none */
	struct json_stream stream;
	struct strbuf body; /* of an answer that is an error */
	bool had_events;    /* the message that comes now */
};

struct range {
	char *prefix;
	bool listed;
	uint64_t revision; /* all up to it has been told */
	uint64_t newest;   /* the event told last is of this one, and further ones may be */
	bool watched;
	struct answer answer;
};

enum step { IDLE, AUTHENTICATE, LIST, WATCH };

/* What is found while an answer comes, and done when the request has ended. */
enum verdict { GO_ON, FAILED, AGAIN };

struct backend {
	struct loop *loop;
	struct mirror *mirror;
	struct store *store;
	struct http *http;
	char *node, *username, *password;
	char **endpoints;
	unsigned endpoint_count, endpoint; /* which is used */
	unsigned failures;		   /* in a row: endpoints that did not do */
	bool lost;			   /* the store was told so */
	struct backoff backoff;
	struct loop_timer timer;

	enum step step;
	struct answer answer; /* of all steps but WATCH */
	enum verdict verdict;
	char reason[300];
	struct arena arena;
	struct etcd_kv kv;
	struct log_limit nonsense;

	char *token;
	bool token_is_fresh; /* nothing has been asked with it yet */

	struct range *ranges;
	unsigned range_count;
	uint64_t cluster, revision; /* of all answers: the newest */
	/* The listing: */
	unsigned row, page;
	uint32_t begun;
	uint64_t list_revision; /* 0: that of the first page */
	struct strbuf last_key;
	bool page_is_whole, more;
};

static void attempt(struct backend *b);
static bool watch_next(struct backend *b);

/* ---- Ends of attempts ---- */

static void set_reason(struct backend *b, enum verdict v, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void set_reason(struct backend *b, enum verdict v, const char *fmt, ...)
{
	va_list ap;

	b->verdict = v;
	va_start(ap, fmt);
	vsnprintf(b->reason, sizeof b->reason, fmt, ap);
	va_end(ap);
}

static void on_timer(void *arg)
{
	attempt(arg);
}

static void retry(struct backend *b)
{
	loop_timer_set(b->loop, &b->timer, backoff_delay(&b->backoff), on_timer, b);
}

/* This endpoint does not do: the next one. When all have been tried, the store is told, and they have a pause. */
static void fail(struct backend *b)
{
	const char *endpoint = b->endpoints[b->endpoint];

	log_debug("datastore", "%s: %s", endpoint, b->reason);
	b->endpoint = (b->endpoint + 1) % b->endpoint_count;
	if (++b->failures < b->endpoint_count) {
		attempt(b);
	} else {
		b->failures = 0;
		b->lost = true;
		store_set_location(b->store, endpoint);
		mirror_lost(b->mirror, b->reason);
		retry(b);
	}
}

static void list_restart(struct backend *b)
{
	b->list_revision = 0;
	strbuf_reset(&b->last_key);
}

static void relist(struct backend *b, struct range *r)
{
	r->listed = false;
	list_restart(b);
}

static void relist_all(struct backend *b)
{
	for (unsigned i = 0; i < b->range_count; i++)
		relist(b, &b->ranges[i]);
}

/* Everything that there is has been told. */
static void in_sync(struct backend *b)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRIu64, b->revision);
	b->lost = false;
	store_set_location(b->store, b->endpoints[b->endpoint]);
	mirror_synced(b->mirror, text);
}

static void heard(struct backend *b, uint64_t revision)
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
static struct range *range_of(struct backend *b, const char *key)
{
	int row = etcd_range_of(key, b->node);

	return row >= 0 && !etcd_key_is_others((unsigned)row, key, b->node) ? &b->ranges[row] : NULL;
}

static void take_value(struct backend *b, const struct etcd_kv *kv)
{
	static const char empty[] = "{}"; /* as old affinities are */

	if (kv->deleted)
		mirror_delete(b->mirror, kv->key.s);
	else if (kv->value.len)
		mirror_put(b->mirror, kv->key.s, kv->value.s, kv->value.len);
	else
		mirror_put(b->mirror, kv->key.s, empty, sizeof empty - 1);
}

/* Events come in the order of their revisions, for each range. */
static void take_event(struct backend *b, const struct etcd_kv *kv)
{
	int row = etcd_range_of(kv->key.s, b->node);
	struct range *r = row >= 0 ? &b->ranges[row] : NULL;

	if (!r)
		return;
	if (kv->revision > r->newest) {
		r->newest = kv->revision;
		if (kv->revision - 1 > r->revision)
			r->revision = kv->revision - 1;
	}
	if (range_of(b, kv->key.s))
		take_value(b, kv);
}

static bool on_element(struct backend *b, const struct yaml_node *n)
{
	const char *reason;
	uint32_t left_out;

	if (!etcd_read_kv(&b->kv, n, &reason)) {
		if (b->kv.key.len && range_of(b, b->kv.key.s))
			mirror_put_bad(b->mirror, b->kv.key.s, reason);
		else if (log_allowed(&b->nonsense, 1, MONO_SEC * 60, &left_out))
			log_warn("datastore", "%s: %s; it is left out", b->endpoints[b->endpoint], reason);
		return true;
	}
	if (b->step == WATCH) {
		take_event(b, &b->kv);
		return true;
	}
	strbuf_reset(&b->last_key);
	strbuf_add(&b->last_key, b->kv.key.s, b->kv.key.len);
	if (range_of(b, b->kv.key.s))
		take_value(b, &b->kv);
	return true;
}

/* A value that is too large to be read at all. */
static bool on_large(struct backend *b, const char *text, size_t len)
{
	char reason[64];

	strbuf_reset(&b->kv.key);
	if (!etcd_read_cut_key(&b->kv.key, text, len)) {
		set_reason(b, FAILED, "a key that is too long");
		return false;
	}
	snprintf(reason, sizeof reason, "its value is larger than %u octets", MAX_ELEMENT * 3 / 4);
	if (range_of(b, b->kv.key.s))
		mirror_put_bad(b->mirror, b->kv.key.s, reason);
	if (b->step == LIST) {
		strbuf_reset(&b->last_key);
		strbuf_add(&b->last_key, b->kv.key.s, b->kv.key.len);
	}
	return true;
}

/* ---- Answers ---- */

/* Tokens have an end, and die with any change of users and roles: a new one, unless this was new. */
static void check_token(struct backend *b, const struct etcd_head *h)
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
static bool check_cluster(struct backend *b, const struct etcd_head *h)
{
	bool same = !b->cluster || b->cluster == h->cluster;

	b->cluster = h->cluster;
	if (same)
		return true;
	b->revision = 0;
	relist_all(b);
	set_reason(b, AGAIN, "is another cluster than before");
	return false;
}

/* A watch begins where the range's listing ended; a server whose revision is before that was set back. */
static bool on_created(struct backend *b, const struct etcd_head *h, struct range *r)
{
	if (h->revision < r->revision) {
		b->revision = 0;
		relist_all(b);
		set_reason(b, AGAIN, "its revision went back");
		return false;
	}
	r->watched = true;
	if (watch_next(b))
		return true;
	loop_timer_stop(b->loop, &b->timer);
	b->failures = 0;
	b->token_is_fresh = false;
	backoff_reset(&b->backoff);
	if (b->lost || !mirror_is_synced(b->mirror))
		in_sync(b);
	return true;
}

static bool on_canceled(struct backend *b, const struct etcd_head *h, struct range *r)
{
	if (h->compacted) {
		relist(b, r);
		/* The others that it concerns would be told so one by one. */
		for (unsigned i = 0; i < b->range_count; i++)
			if (b->ranges[i].revision < h->compacted)
				relist(b, &b->ranges[i]);
		set_reason(b, AGAIN, "what happened meanwhile is compacted");
	} else {
		set_reason(b, FAILED, "the watch ended: %s", h->error);
		check_token(b, h);
	}
	return false;
}

static bool on_message(struct backend *b, const struct etcd_head *h, struct answer *a)
{
	struct range *r = a->range;
	bool had_events = a->had_events;

	a->had_events = false;
	if (h->canceled)
		return on_canceled(b, h, r);
	if (!check_cluster(b, h))
		return false;
	heard(b, h->created ? 0 : h->revision);
	if (h->created)
		return on_created(b, h, r);
	if (h->fragment)
		return true;
	if (!had_events && h->revision > r->newest)
		r->newest = h->revision; /* progress: there was nothing to be told */
	if (r->newest > r->revision)
		r->revision = r->newest;
	return true;
}

static bool on_page(struct backend *b, const struct etcd_head *h)
{
	if (!check_cluster(b, h))
		return false;
	heard(b, h->revision);
	if (!b->list_revision)
		b->list_revision = h->revision;
	b->page_is_whole = true;
	b->more = h->more;
	return true;
}

static bool on_object(struct backend *b, const struct yaml_node *n, struct answer *a)
{
	struct etcd_head h = etcd_read_head(n);

	if (h.error && !h.canceled) {
		set_reason(b, FAILED, "%s", h.error);
		check_token(b, &h);
		return false;
	}
	if (a->range)
		return on_message(b, &h, a);
	if (b->step == LIST)
		return on_page(b, &h);
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
		set_reason(b, FAILED, "the answer %s", error);
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
		set_reason(a->owner, FAILED, "the answer %s", error);
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
	set_reason(b, FAILED, "%s", h.error ? h.error : text);
	if (b->step == LIST && h.error && strstr(h.error, "compacted")) {
		/* Larger pages, so that the listing gets through between two compactions. */
		b->page = b->page < PAGE_MOST / 4 ? b->page * 4 : PAGE_MOST;
		list_restart(b);
		b->verdict = AGAIN;
	}
	check_token(b, &h);
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
static void hush(struct backend *b)
{
	loop_timer_stop(b->loop, &b->timer);
	answer_reset(&b->answer);
	for (unsigned i = 0; i < b->range_count; i++)
		answer_reset(&b->ranges[i].answer);
}

/* ---- What comes next ---- */

static void end_range(struct backend *b)
{
	struct range *r = &b->ranges[b->row];

	mirror_list_end(b->mirror, r->prefix, b->begun);
	r->listed = true;
	r->revision = r->newest = b->list_revision;
	list_restart(b);
	b->page = PAGE;
	for (unsigned i = 0; i < b->range_count; i++)
		if (!b->ranges[i].listed)
			return;
	in_sync(b);
}

/* The answer is whole. */
static void end_step(struct backend *b, bool is_cut)
{
	if (b->step == WATCH) {
		set_reason(b, FAILED, "the watch ended");
	} else if (is_cut || (b->step == LIST && !b->page_is_whole)) {
		set_reason(b, FAILED, "the answer ends early");
	} else if (b->step == AUTHENTICATE && !b->token) {
		set_reason(b, FAILED, "it gave no token");
	} else {
		if (b->step == LIST)
			b->token_is_fresh = false;
		if (b->step == LIST && !b->more)
			end_range(b);
		attempt(b);
		return;
	}
	fail(b);
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
		set_reason(b, FAILED, "%s%s", b->step == WATCH && r->status ? "the watch broke off: " : "", r->error);
	hush(b);
	if (b->verdict == FAILED) {
		fail(b);
	} else if (b->verdict == AGAIN) {
		log_info("datastore", "%s: %s; it is asked again", b->endpoints[b->endpoint], b->reason);
		retry(b);
	} else {
		end_step(b, is_cut);
	}
}

static const struct http_ops http_ops = {.on_data = on_data, .on_end = on_end};

static void ask(struct backend *b, struct answer *a, const char *path, const struct strbuf *body)
{
	char *url = mem_printf("%s/v3/%s", b->endpoints[b->endpoint], path);
	char *authorization = b->token ? mem_printf("Authorization: %s", b->token) : NULL;
	struct http_conf c = {
	    .url = url,
	    .headers = {"Content-Type: application/json", "Grpc-Metadata-hasleader: true", authorization},
	    .body = body->s,
	    .body_len = body->len,
	    .connect_timeout = CONNECT_TIMEOUT,
	    .idle_timeout = a->range ? 0 : ANSWER_TIMEOUT};

	a->had_events = false;
	a->stream = (struct json_stream){
	    .member = a->range ? "result.events" : "kvs", .max = MAX_ELEMENT, .on_piece = on_piece, .arg = a};
	a->request = http_start(b->http, &c, &http_ops, a);
	free(url);
	free(authorization);
}

static void begin(struct backend *b, enum step step)
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
	begin(b, AUTHENTICATE);
	ask(b, &b->answer, "auth/authenticate", &body);
	explicit_bzero(body.s, body.len);
	strbuf_free(&body);
}

static void list(struct backend *b, unsigned row)
{
	bool first = !b->list_revision;
	struct strbuf body = {0};

	if (first || b->row != row) {
		list_restart(b);
		b->begun = mirror_list_begin(b->mirror);
	}
	b->row = row;
	b->page_is_whole = b->more = false;
	etcd_write_range(&body, b->ranges[row].prefix, b->last_key.len ? b->last_key.s : NULL, b->list_revision,
			 b->page);
	begin(b, LIST);
	ask(b, &b->answer, "kv/range", &body);
	strbuf_free(&body);
}

static void on_silence(void *arg)
{
	struct backend *b = arg;

	hush(b);
	set_reason(b, FAILED, "the watch did not begin");
	fail(b);
}

/* One after the other: by then it is known whether they can share a connection (HTTP/2). False if all are there. */
static bool watch_next(struct backend *b)
{
	struct strbuf body = {0};
	struct range *r = b->ranges;

	while (r < b->ranges + b->range_count && r->watched)
		r++;
	if (r == b->ranges + b->range_count)
		return false;
	r->newest = r->revision;
	/* The last one again: a compaction up to the next one may have taken it away, and then it is refused. */
	etcd_write_watch(&body, r->prefix, r->revision);
	ask(b, &r->answer, "watch", &body);
	strbuf_free(&body);
	return true;
}

static void watch(struct backend *b)
{
	begin(b, WATCH);
	for (unsigned i = 0; i < b->range_count; i++)
		b->ranges[i].watched = false;
	watch_next(b);
	loop_timer_set(b->loop, &b->timer, ANSWER_TIMEOUT, on_silence, b);
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
			list(b, i);
			return;
		}
	}
	watch(b);
}

/* ---- Start and stop ---- */

/* "http://10.0.0.1:2379, https://b:2379/": each without its slash at the end, and with a scheme. */
static void split_endpoints(struct backend *b, const char *text)
{
	for (text += strspn(text, ", "); *text; text += strspn(text, ", ")) {
		size_t n = strcspn(text, ", "), len = n;
		while (len && text[len - 1] == '/')
			len--;
		b->endpoints = mem_realloc(b->endpoints, (b->endpoint_count + 1) * sizeof *b->endpoints);
		b->endpoints[b->endpoint_count++] =
		    mem_printf("%s%.*s", memmem(text, n, "://", 3) ? "" : "http://", (int)len, text);
		text += n;
	}
}

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
	b->page = PAGE;
	split_endpoints(b, conf->etcd.endpoints);
	make_ranges(b);
	store_set_location(s, conf->etcd.endpoints);
	b->mirror = make_mirror(b, conf);
	b->http = http_new(l, &tls);
	/* A cluster's nodes spread over its members. */
	b->endpoint = (unsigned)(backoff_jitter(1u << 20) % b->endpoint_count);
	attempt(b);
	return b;
}

static void etcd_stop(struct backend *b)
{
	hush(b);
	http_free(b->http);
	mirror_free(b->mirror);
	for (unsigned i = 0; i < b->range_count; i++)
		free(b->ranges[i].prefix);
	for (unsigned i = 0; i < b->endpoint_count; i++)
		free(b->endpoints[i]);
	free(b->ranges);
	free(b->endpoints);
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

const struct backend_ops backend_etcdv3 = {.name = "etcdv3", .start = etcd_start, .stop = etcd_stop};
