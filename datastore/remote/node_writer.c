#include "datastore/remote/node_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/base/mono.h"
#include "datastore/backend.h"
#include "datastore/remote/backoff.h"
#include "datastore/remote/explain.h"

#define FIRST (20 * MONO_MSEC)	       /* both families' addresses come together */
#define MOST_OFTEN (10 * MONO_SEC)     /* whoever writes something else there is not fought */
#define QUICKER (100 * MONO_MSEC)      /* after somebody else wrote */
#define ANSWER_MOST (2u * 1024 * 1024) /* octets; the objects themselves are smaller */

struct node_writer {
	struct node_writer_conf conf;
	struct store_node wish; /* as of last: it may have come true */
	struct loop_timer timer;
	struct http_request *request; /* NULL: nothing is being asked */
	unsigned step;
	struct strbuf body;
	struct backoff backoff;
	uint64_t written; /* when the object said it last; 0 never */
	char problem[400];
};

static void start(void *arg);

static bool is_same(const struct store_node *a, const struct store_node *b)
{
	bool same = a->as == b->as;

	for (int f = 0; f < FAM_COUNT; f++)
		same = same && a->addr[f].len == b->addr[f].len && addr_equal(&a->addr[f].addr, &b->addr[f].addr);
	return same;
}

const char *node_writer_address(const struct store_node *n, enum family f, char text[static NODE_WRITER_ADDRESS_LEN])
{
	char address[ADDR_STRLEN];

	if (addr_is_none(&n->addr[f].addr))
		return NULL;
	snprintf(text, NODE_WRITER_ADDRESS_LEN, "%s/%u", addr_format(&n->addr[f].addr, address), n->addr[f].len);
	return text;
}

static void set_problem(struct node_writer *w, const char *problem)
{
	if (*problem && strcmp(w->problem, problem) != 0)
		log_warn("datastore", "other nodes do not know what this node says of itself: %s", problem);
	snprintf(w->problem, sizeof w->problem, "%s", problem);
	store_set_publish_problem(w->conf.store, problem);
}

static void quiet(struct node_writer *w)
{
	loop_timer_stop(w->conf.loop, &w->timer);
	if (w->request)
		http_cancel(w->request);
	w->request = NULL;
	strbuf_free(&w->body);
}

static void start_in(struct node_writer *w, uint64_t delay)
{
	loop_timer_set(w->conf.loop, &w->timer, delay, start, w);
}

/* ---- A step's end ---- */

static void done(struct node_writer *w)
{
	char text[FAM_COUNT][NODE_WRITER_ADDRESS_LEN];
	const char *four = node_writer_address(&w->wish, FAM_IPV4, text[FAM_IPV4]),
		   *six = node_writer_address(&w->wish, FAM_IPV6, text[FAM_IPV6]);

	log_info("datastore", "this node's Node object says what it should:%s%s%s%s%s", four ? " IPv4 address " : "",
		 four ? four : "", six ? " IPv6 address " : "", six ? six : "", w->wish.as ? " AS number" : "");
	w->written = mono_now();
	backoff_reset(&w->backoff);
	set_problem(w, "");
}

static void failed(struct node_writer *w, const char *reason, bool refused)
{
	char problem[sizeof w->problem];

	snprintf(problem, sizeof problem, "%s%s%s", reason, refused ? "; this node needs " : "",
		 refused ? w->conf.permission : "");
	set_problem(w, problem);
	start_in(w, backoff_delay(&w->backoff));
}

static void go_on(struct node_writer *w, struct yaml_node *answer, struct arena *a, const struct http_ops *ops)
{
	struct node_writer_step s = {
	    .number = w->step, .wish = &w->wish, .answer = answer, .arena = a, .ops = ops, .ops_arg = w};
	enum node_writer_verdict v = w->conf.step(w->conf.arg, &s);

	if (v == NODE_WRITER_ASKED && !s.request) {
		snprintf(s.reason, sizeof s.reason, "the datastore cannot be asked now");
		v = NODE_WRITER_FAILED;
	}
	if (v == NODE_WRITER_DONE) {
		done(w);
	} else if (v == NODE_WRITER_AGAIN) {
		start_in(w, backoff_jitter(QUICKER));
	} else if (v == NODE_WRITER_FAILED) {
		failed(w, s.reason, false);
	} else {
		w->request = s.request;
		w->step++;
	}
}

/* ---- Requests ---- */

static bool on_data(void *arg, int status, const char *data, size_t len)
{
	struct node_writer *w = arg;

	(void)status;
	strbuf_add(&w->body, data, len);
	return w->body.len <= ANSWER_MOST;
}

static void on_end(void *arg, const struct http_result *result);

static const struct http_ops http_ops = {.on_data = on_data, .on_end = on_end};

static void on_answer(struct node_writer *w, struct strbuf *body)
{
	char error[JSON_ERROR_LEN], reason[JSON_ERROR_LEN + 20];
	struct arena a = {0};
	struct yaml_node *answer = json_parse(body->s ? body->s : "", body->len, &a, error);

	if (answer && answer->type == YAML_MAP) {
		go_on(w, answer, &a, &http_ops);
	} else {
		snprintf(reason, sizeof reason, "the answer %s", answer ? "is no JSON object" : error);
		failed(w, reason, false);
	}
	arena_free(&a);
}

static void on_end(void *arg, const struct http_result *result)
{
	struct node_writer *w = arg;
	struct strbuf body = w->body;
	char reason[300];

	w->body = (struct strbuf){0};
	w->request = NULL;
	if (result->status == 200 && !result->error) {
		on_answer(w, &body);
	} else if (result->status == 409) {
		start_in(w, backoff_jitter(QUICKER));
	} else {
		explain_answer(result, &body, reason, sizeof reason);
		failed(w, reason,
		       result->status == 403 || (result->status && strstr(reason, "permission denied") != NULL));
	}
	strbuf_free(&body);
}

static void start(void *arg)
{
	struct node_writer *w = arg;

	w->step = 0;
	go_on(w, NULL, NULL, &http_ops);
}

/* ---- What is to be said ---- */

void node_writer_wish(struct node_writer *w, const struct store_node *wish)
{
	bool same = wish && is_same(wish, &w->wish), is_asking = w->request,
	     busy = is_asking || loop_timer_is_set(&w->timer);
	uint64_t age = mono_now() - w->written;

	if (same && busy)
		return;
	quiet(w);
	if (!wish) {
		/* What was written may be heard of before the answer comes that it is. */
		if (is_asking)
			done(w);
		set_problem(w, "");
		return;
	}
	backoff_reset(&w->backoff);
	/* What was written is on its way back, or somebody else has changed it since. */
	start_in(w, same && w->written && age < MOST_OFTEN ? MOST_OFTEN - age : FIRST);
	w->wish = *wish;
}

struct node_writer *node_writer_new(const struct node_writer_conf *conf)
{
	struct node_writer *w = mem_calloc(1, sizeof *w);

	w->conf = *conf;
	w->backoff = (struct backoff){.least = 1 * MONO_SEC, .most = 60 * MONO_SEC};
	return w;
}

void node_writer_free(struct node_writer *w)
{
	if (!w)
		return;
	quiet(w);
	free(w);
}
