#include "datastore/remote/kube_status.h"

#include <bsd/sys/queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "datastore/backend.h"
#include "datastore/remote/explain.h"
#include "datastore/remote/kube_reflector.h"
#include "datastore/remote/kube_resource.h"

#define PLURAL "caliconodestatuses"
#define DEFAULT_PERIOD 10u
#define LONGEST_PERIOD 86400u
#define FIRST (100 * MONO_MSEC) /* after the object came, or changed */
#define PATCH_TIME (20 * MONO_SEC)
#define ANSWER_MOST 16384u

/* An object about this node. */
struct wish {
	LIST_ENTRY(wish) link;
	struct kube_status *owner;
	unsigned classes, period; /* s; 0: once */
	bool seen;
	struct loop_timer timer;
	struct http_request *request;
	struct strbuf answer;
	bool is_cut; /* more than fits: it was said */
	char name[];
};

struct kube_status {
	struct loop *loop;
	struct kube_client *client;
	struct store *store;
	char *path, *node;
	struct kube_reflector *reflector;
	bool plain; /* there is no subresource: the object itself is patched */
	struct log_limit limit;
	LIST_HEAD(, wish) wishes;
};

/* ---- Telling ---- */

static void tell(void *arg);

static void again(struct wish *w)
{
	if (w->period)
		loop_timer_set(w->owner->loop, &w->timer, w->period * MONO_SEC, tell, w);
}

static bool on_data(void *arg, int status, const char *data, size_t len)
{
	struct wish *w = arg;

	(void)status;
	if (w->answer.len + len <= ANSWER_MOST)
		strbuf_add(&w->answer, data, len);
	return true;
}

static void on_end(void *arg, const struct http_result *result)
{
	struct wish *w = arg;
	struct kube_status *s = w->owner;
	uint32_t suppressed;
	char reason[300];

	w->request = NULL;
	if (result->status == 404) {
		/* The subresource is missing, or the object itself: the same answer says either. */
		s->plain = !s->plain;
		if (s->plain)
			tell(w);
		else
			again(w);
		return;
	}
	if (result->status != 200 && log_allowed(&s->limit, 1, 300 * MONO_SEC, &suppressed)) {
		explain_answer(result, &w->answer, reason, sizeof reason);
		log_warn("datastore",
			 "CalicoNodeStatus %s is not filled in: %s; this node needs the verb patch on " PLURAL
			 "/status (etc/kubernetes/rbac.yaml)",
			 w->name, reason);
	}
	again(w);
}

static const struct http_ops http_ops = {.on_data = on_data, .on_end = on_end};

/* The schema of the object has no place for it; an annotation can only be written with the object itself. */
static void put_omitted(struct wish *w, const struct store_report *r)
{
	if (w->owner->plain)
		strbuf_printf(r->out, ",\"metadata\":{\"annotations\":{\"calidris.io/omitted\":%s%s%s}}",
			      *r->omitted ? "\"" : "", *r->omitted ? r->omitted : "null", *r->omitted ? "\"" : "");
	if (*r->omitted && !w->is_cut)
		log_warn("datastore", "CalicoNodeStatus %s: not all routes fit into it: %s", w->name, r->omitted);
	w->is_cut = *r->omitted != '\0';
}

static void tell(void *arg)
{
	struct wish *w = arg;
	struct kube_status *s = w->owner;
	struct strbuf body = {0};
	struct store_report r = {.classes = w->classes, .out = &body};
	struct kube_request q = {
	    .method = "PATCH", .content_type = "application/merge-patch+json", .timeout = PATCH_TIME};
	char *path = mem_printf("%s/%s%s", s->path, w->name, s->plain ? "" : "/status");

	strbuf_reset(&w->answer);
	strbuf_puts(&body, "{\"status\":");
	store_report(s->store, &r);
	put_omitted(w, &r);
	strbuf_puts(&body, "}");
	q.path = path;
	q.body = body.s;
	w->request = kube_client_start(s->client, &q, &http_ops, w);
	if (!w->request)
		again(w);
	strbuf_free(&body);
	free(path);
}

/* ---- Who wants to know ---- */

static struct wish *find(const struct kube_status *s, const char *name)
{
	struct wish *w;

	LIST_FOREACH(w, &s->wishes, link)
	if (strcmp(w->name, name) == 0)
		return w;
	return NULL;
}

static void wish_free(struct wish *w)
{
	LIST_REMOVE(w, link);
	loop_timer_stop(w->owner->loop, &w->timer);
	if (w->request)
		http_cancel(w->request);
	strbuf_free(&w->answer);
	free(w);
}

static unsigned classes_of(const struct yaml_node *object)
{
	static const struct {
		const char *name;
		unsigned bit;
	} classes[] = {{"Agent", STORE_REPORT_AGENT}, {"BGP", STORE_REPORT_BGP}, {"Routes", STORE_REPORT_ROUTES}};
	const struct yaml_node *list = json_at(object, "spec.classes");
	unsigned bits = 0;

	for (size_t i = 0; list && list->type == YAML_LIST && i < list->count; i++)
		for (size_t c = 0; c < sizeof classes / sizeof *classes; c++)
			if (list->items[i]->type == YAML_SCALAR && strcmp(list->items[i]->text, classes[c].name) == 0)
				bits |= classes[c].bit;
	return bits;
}

static unsigned period_of(const struct yaml_node *object)
{
	const char *text = json_text_at(object, "spec.updatePeriodSeconds");
	unsigned long period = text ? strtoul(text, NULL, 10) : DEFAULT_PERIOD;

	return period > LONGEST_PERIOD ? LONGEST_PERIOD : (unsigned)period;
}

static void take(struct kube_status *s, const char *name, const struct yaml_node *object)
{
	struct wish *w = find(s, name);
	unsigned classes = classes_of(object), period = period_of(object);

	if (!w) {
		w = mem_calloc(1, sizeof *w + strlen(name) + 1);
		strcpy(w->name, name);
		w->owner = s;
		LIST_INSERT_HEAD(&s->wishes, w, link);
	} else if (w->classes == classes && w->period == period) {
		w->seen = true; /* our own patch comes back as an event */
		return;
	}
	w->seen = true;
	w->classes = classes;
	w->period = period;
	if (!w->request)
		loop_timer_set(s->loop, &w->timer, FIRST, tell, w);
}

static void on_gone(void *arg, struct yaml_node *object, struct arena *a)
{
	const char *name = json_text_at(object, "metadata.name");
	struct wish *w = name ? find(arg, name) : NULL;

	(void)a;
	if (w)
		wish_free(w);
}

static void on_object(void *arg, struct yaml_node *object, struct arena *a)
{
	struct kube_status *s = arg;
	const char *name = json_text_at(object, "metadata.name"), *node = json_text_at(object, "spec.node");

	if (name && node && strcmp(node, s->node) == 0)
		take(s, name, object);
	else
		on_gone(arg, object, a);
}

static void on_begin(void *arg)
{
	struct wish *w;

	LIST_FOREACH(w, &((struct kube_status *)arg)->wishes, link)
	w->seen = false;
}

static void on_listed(void *arg)
{
	struct wish *w, *next;

	LIST_FOREACH_SAFE(w, &((struct kube_status *)arg)->wishes, link, next)
	if (!w->seen)
		wish_free(w);
}

static void on_bad(void *arg, const char *reason)
{
	(void)arg;
	log_warn("datastore", PLURAL ": %s", reason);
}

/* Clusters whose definitions lack it, and nodes that may not, go without. */
static void on_state(void *arg)
{
	struct kube_status *s = arg;
	uint32_t suppressed;

	if (kube_reflector_state(s->reflector) == KUBE_REFUSED && kube_reflector_refusal(s->reflector) == 403 &&
	    log_allowed(&s->limit, 1, 300 * MONO_SEC, &suppressed))
		log_warn("datastore", "CalicoNodeStatus objects are not filled in: %s",
			 kube_reflector_problem(s->reflector));
}

static const struct kube_reflector_ops reflector_ops = {
    .on_begin = on_begin,
    .on_object = on_object,
    .on_gone = on_gone,
    .on_listed = on_listed,
    .on_bad = on_bad,
    .on_state = on_state,
};

struct kube_status *kube_status_new(struct loop *l, struct kube_client *c, struct store *store, const char *calico_api,
				    const char *node)
{
	struct kube_status *s = mem_calloc(1, sizeof *s);

	s->loop = l;
	s->client = c;
	s->store = store;
	s->node = mem_strdup(node);
	s->path = kube_resource_path(calico_api, NULL, PLURAL);
	LIST_INIT(&s->wishes);
	s->reflector = kube_reflector_new(l, c, s->path, "", &reflector_ops, s);
	return s;
}

void kube_status_free(struct kube_status *s)
{
	if (!s)
		return;
	kube_reflector_free(s->reflector);
	while (!LIST_EMPTY(&s->wishes))
		wish_free(LIST_FIRST(&s->wishes));
	free(s->path);
	free(s->node);
	free(s);
}
