#include "datastore/remote/kube_reflector.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "datastore/remote/backoff.h"
#include "datastore/remote/explain.h"
#include "datastore/remote/json_stream.h"

#define PAGE 500u
#define MAX_OBJECT (4u << 20)	      /* etcd behind the server takes no more than 1.5 MB */
#define MAX_ERROR 16384u	      /* octets of an answer that is an error */
#define WATCH_TIME (360 * MONO_SEC)   /* at most; the server ends the watch then, and it is taken up again */
#define WATCH_SLACK (60 * MONO_SEC)   /* a server that does not is not there */
#define LIST_IDLE (30 * MONO_SEC)     /* a listing on which nothing comes for so long has stopped */
#define REFUSED_DELAY (30 * MONO_SEC) /* between looks at what is refused */
#define SHORT_WATCH (1 * MONO_SEC)    /* one that ends sooner is not taken up at once */

enum phase { PHASE_WAIT, PHASE_LIST, PHASE_WATCH };

struct kube_reflector {
	struct loop *loop;
	struct kube_client *client;
	char *base, *selector;
	const struct kube_reflector_ops *ops;
	void *arg;
	enum phase phase;
	enum kube_state state;
	int refusal;
	char problem[400];
	char *version; /* where the watch goes on; NULL: a listing is needed */
	char *page;    /* the token of the next page; NULL: this is the first */
	bool at_once;  /* list in one piece: the pages expired */
	bool was_gone; /* the last thing that went wrong was 410: one more of them waits */
	struct http_request *request;
	struct json_stream stream;
	struct strbuf error; /* the body of an answer that is an error */
	const char *broken;  /* what is wrong with the stream */
	bool established;    /* the watch that is going on was accepted */
	bool has_end;	     /* the listing's own metadata came; the watch said that it is over */
	int stream_status;   /* of an ERROR event; 0 none */
	uint64_t started;
	struct backoff backoff;
	struct loop_timer timer;
};

enum kube_state kube_reflector_state(const struct kube_reflector *r)
{
	return r->state;
}

const char *kube_reflector_problem(const struct kube_reflector *r)
{
	return r->problem;
}

int kube_reflector_refusal(const struct kube_reflector *r)
{
	return r->refusal;
}

static void set_state(struct kube_reflector *r, enum kube_state state, const char *problem)
{
	bool changed = state != r->state || strcmp(problem, r->problem) != 0;

	r->state = state;
	if (state != KUBE_REFUSED)
		r->refusal = 0;
	if (problem != r->problem)
		snprintf(r->problem, sizeof r->problem, "%s", problem);
	if (changed)
		r->ops->on_state(r->arg);
}

static void set_text(char **to, const char *text)
{
	char *copy = text && *text ? mem_strdup(text) : NULL;

	free(*to);
	*to = copy;
}

/* ---- What comes ---- */

/* Where the server is after this object or bookmark. */
static void take_version(struct kube_reflector *r, const struct yaml_node *object)
{
	const char *version = json_text_at(object, "metadata.resourceVersion");

	if (version)
		set_text(&r->version, version);
}

static bool take_item(struct kube_reflector *r, enum json_piece what, const char *text, size_t len)
{
	char err[JSON_ERROR_LEN];
	struct arena a = {0};
	struct yaml_node *n = what == JSON_TOO_LARGE ? NULL : json_parse(text, len, &a, err);
	const char *page;

	if (what == JSON_TOO_LARGE) {
		r->ops->on_bad(r->arg, "an object of more than 4 MiB is left out");
	} else if (!n) {
		r->broken = "the listing is no JSON";
	} else if (what == JSON_ELEMENT) {
		r->ops->on_object(r->arg, n, &a);
	} else {
		page = json_text_at(n, "metadata.continue");
		set_text(&r->page, page);
		if (!json_text_at(n, "metadata.resourceVersion"))
			r->broken = "the answer is no listing of a Kubernetes API server";
		take_version(r, n);
		r->has_end = true;
	}
	arena_free(&a);
	return !r->broken;
}

static void take_event(struct kube_reflector *r, const char *type, struct yaml_node *object, struct arena *a)
{
	const char *code;

	/* It works: whatever breaks next is tried again soon. */
	if (strcmp(type, "ERROR") != 0)
		backoff_reset(&r->backoff);
	if (strcmp(type, "ADDED") == 0 || strcmp(type, "MODIFIED") == 0) {
		r->ops->on_object(r->arg, object, a);
		take_version(r, object);
	} else if (strcmp(type, "DELETED") == 0) {
		r->ops->on_gone(r->arg, object, a);
		take_version(r, object);
	} else if (strcmp(type, "BOOKMARK") == 0) {
		take_version(r, object);
		r->ops->on_state(r->arg);
	} else if (strcmp(type, "ERROR") == 0) {
		code = json_text_at(object, "code");
		r->stream_status = code ? atoi(code) : 500;
		strbuf_reset(&r->error);
		json_write(&r->error, object);
	}
}

static bool take_line(struct kube_reflector *r, enum json_piece what, const char *text, size_t len)
{
	char err[JSON_ERROR_LEN];
	struct arena a = {0};
	struct yaml_node *event = what == JSON_TOO_LARGE ? NULL : json_parse(text, len, &a, err), *object;
	const char *type;

	object = event ? json_at(event, "object") : NULL;
	type = event ? json_text_at(event, "type") : NULL;
	if (object && type)
		take_event(r, type, object, &a);
	else
		r->broken = "the watch sends what is no event";
	arena_free(&a);
	return !r->broken && !r->stream_status;
}

static bool on_piece(void *arg, enum json_piece what, const char *text, size_t len)
{
	struct kube_reflector *r = arg;

	return r->phase == PHASE_LIST ? take_item(r, what, text, len) : take_line(r, what, text, len);
}

static bool on_data(void *arg, int status, const char *data, size_t len)
{
	struct kube_reflector *r = arg;
	const char *error = NULL;

	if (status != 200) {
		if (r->error.len + len <= MAX_ERROR)
			strbuf_add(&r->error, data, len);
		return true;
	}
	if (json_stream_feed(&r->stream, data, len, &error))
		return true;
	if (error)
		r->broken = error;
	return false;
}

/* ---- Requests ---- */

static void on_answer(void *arg, int status)
{
	struct kube_reflector *r = arg;

	/* A watch that nothing happens on says so only by its headers. */
	if (r->phase != PHASE_WATCH || status != 200)
		return;
	r->established = true;
	set_state(r, KUBE_WATCHING, "");
}

static void on_end(void *arg, const struct http_result *result);

static const struct http_ops http_ops = {.on_data = on_data, .on_end = on_end, .on_answer = on_answer};

static void on_timer(void *arg);

static void wait_for(struct kube_reflector *r, uint64_t delay)
{
	r->phase = PHASE_WAIT;
	loop_timer_set(r->loop, &r->timer, delay, on_timer, r);
}

static void prepare(struct kube_reflector *r, enum phase phase)
{
	json_stream_reset(&r->stream);
	r->stream.member = phase == PHASE_LIST ? "items" : NULL;
	r->stream.max = MAX_OBJECT;
	r->stream.on_piece = on_piece;
	r->stream.arg = r;
	strbuf_reset(&r->error);
	r->broken = NULL;
	r->established = false;
	r->has_end = false;
	r->stream_status = 0;
	r->started = mono_now();
	r->phase = phase;
}

static void start(struct kube_reflector *r, const char *path, uint64_t timeout, uint64_t idle)
{
	struct kube_request q = {.path = path, .timeout = timeout, .idle_timeout = idle};
	char reason[sizeof r->problem];

	/* Whatever else was wrong, a rotated certificate or another kubeconfig may be the cure. */
	if (r->state != KUBE_WATCHING && !kube_client_refresh(r->client, reason, sizeof reason) &&
	    !*kube_client_server(r->client)) {
		set_state(r, KUBE_LOST, reason);
		wait_for(r, backoff_delay(&r->backoff));
		return;
	}
	r->request = kube_client_start(r->client, &q, &http_ops, r);
}

static void list(struct kube_reflector *r)
{
	struct strbuf path = {0};

	strbuf_printf(&path, "%s?", r->base);
	if (!r->at_once)
		strbuf_printf(&path, "limit=%u", PAGE);
	strbuf_puts(&path, r->selector);
	if (r->page) {
		strbuf_puts(&path, "&continue=");
		kube_escape(&path, r->page);
	} else {
		r->ops->on_begin(r->arg);
	}
	prepare(r, PHASE_LIST);
	start(r, path.s, 0, LIST_IDLE);
	strbuf_free(&path);
}

static void watch(struct kube_reflector *r)
{
	uint64_t time = backoff_jitter(WATCH_TIME);
	struct strbuf path = {0};

	strbuf_printf(&path,
		      "%s?watch=true&allowWatchBookmarks=true&timeoutSeconds=%" PRIu64 "%s&resourceVersion=", r->base,
		      (uint64_t)(time / MONO_SEC), r->selector);
	kube_escape(&path, r->version);
	prepare(r, PHASE_WATCH);
	start(r, path.s, time + WATCH_SLACK, 0);
	strbuf_free(&path);
}

/* What is next: a page, a listing, or the watch. */
static void go_on(struct kube_reflector *r)
{
	if (r->version && !r->page)
		watch(r);
	else
		list(r);
}

static void on_timer(void *arg)
{
	go_on(arg);
}

/* From the beginning. */
static void forget(struct kube_reflector *r)
{
	set_text(&r->version, NULL);
	set_text(&r->page, NULL);
}

/* ---- Ends ---- */

static void retry(struct kube_reflector *r, enum kube_state state, const char *problem, uint64_t at_least)
{
	uint64_t delay = backoff_delay(&r->backoff);

	wait_for(r, delay > at_least ? delay : backoff_jitter(2 * at_least));
	set_state(r, state, problem);
}

/* 410: what we want to go on from is no more. Said of a page that expired: then pages are too slow for this server. */
static void on_expired(struct kube_reflector *r, const char *problem)
{
	bool again = r->was_gone && mono_now() - r->started < SHORT_WATCH;

	log_info("datastore", "%s: listed anew: %s", r->base, problem);
	r->at_once = r->page != NULL;
	r->was_gone = true;
	forget(r);
	if (again)
		retry(r, KUBE_LOST, problem, 0);
	else
		go_on(r);
}

static void on_refused(struct kube_reflector *r, int status, const char *problem)
{
	r->refusal = status;
	forget(r);
	wait_for(r, backoff_jitter(REFUSED_DELAY));
	set_state(r, KUBE_REFUSED, problem);
}

/* Servers restart: only what cannot be taken up again is lost. */
static void on_watch_broken(struct kube_reflector *r)
{
	if (mono_now() - r->started >= SHORT_WATCH)
		backoff_reset(&r->backoff);
	retry(r, KUBE_WATCHING, "", 0);
}

static void on_failed(struct kube_reflector *r, const struct http_result *result)
{
	int status = r->stream_status ? r->stream_status : result->status;
	struct http_result said = {.status = status == 200 ? 0 : status,
				   .error = r->broken ? r->broken : result->error};
	char problem[sizeof r->problem];

	explain_answer(&said, &r->error, problem, sizeof problem);
	/* Pages are only good as a whole, but a listing that broke off need not begin again. */
	if (status == 410)
		on_expired(r, problem);
	else if (status == 403 || status == 404)
		on_refused(r, status, problem);
	else if (r->established)
		on_watch_broken(r);
	else
		retry(r, KUBE_LOST, problem, result->retry_after * MONO_SEC);
}

static void on_list_end(struct kube_reflector *r)
{
	if (r->page) {
		list(r);
		return;
	}
	r->at_once = false;
	r->ops->on_listed(r->arg);
	watch(r);
}

static void on_watch_end(struct kube_reflector *r)
{
	bool is_short = mono_now() - r->started < SHORT_WATCH;

	if (is_short) {
		wait_for(r, backoff_delay(&r->backoff));
		return;
	}
	backoff_reset(&r->backoff);
	watch(r);
}

static void on_end(void *arg, const struct http_result *result)
{
	struct kube_reflector *r = arg;
	bool whole = result->status == 200 && !result->error && !r->broken && !r->stream_status;

	r->request = NULL;
	if (whole && json_stream_is_open(&r->stream)) {
		r->broken = "the answer ends in the middle of an object";
		whole = false;
	}
	if (whole && r->phase == PHASE_LIST && !r->has_end) {
		r->broken = "the answer is no listing of a Kubernetes API server";
		whole = false;
	}
	if (!whole)
		on_failed(r, result);
	else if (r->phase == PHASE_LIST)
		on_list_end(r);
	else
		on_watch_end(r);
}

struct kube_reflector *kube_reflector_new(struct loop *l, struct kube_client *c, const char *base, const char *selector,
					  const struct kube_reflector_ops *ops, void *arg)
{
	struct kube_reflector *r = mem_calloc(1, sizeof *r);

	r->loop = l;
	r->client = c;
	r->base = mem_strdup(base);
	r->selector = mem_strdup(selector);
	r->ops = ops;
	r->arg = arg;
	r->backoff = (struct backoff){.least = 500 * MONO_MSEC, .most = 30 * MONO_SEC};
	wait_for(r, 1);
	return r;
}

void kube_reflector_free(struct kube_reflector *r)
{
	if (!r)
		return;
	if (r->request)
		http_cancel(r->request);
	loop_timer_stop(r->loop, &r->timer);
	json_stream_reset(&r->stream);
	strbuf_free(&r->error);
	free(r->version);
	free(r->page);
	free(r->base);
	free(r->selector);
	free(r);
}
