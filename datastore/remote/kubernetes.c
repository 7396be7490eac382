/* The `kubernetes` backend: each resource that matters (kube_resource.c) is listed and watched (kube_reflector.c), what
 * matters of its objects goes into the mirror, and together they are in sync when each of them is watched.
 *
 * What we may not read, or what the cluster does not have, is said and does not stop the rest; at a start it is given a
 * moment first, in which the cache may stand in for it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "datastore/remote/backoff.h"
#include "datastore/remote/explain.h"
#include "datastore/remote/kube_client.h"
#include "datastore/remote/kube_node.h"
#include "datastore/remote/kube_passwords.h"
#include "datastore/remote/kube_reflector.h"
#include "datastore/remote/kube_resource.h"
#include "datastore/remote/kube_status.h"
#include "datastore/remote/mirror.h"
#include "datastore/remote/plugin.h"

#define CACHE_DELAY (5 * MONO_SEC)   /* so long a start waits for the server before the cache stands in */
#define REFUSAL_GRACE (3 * MONO_SEC) /* and so long for what is refused */
#define DISCOVERY_TIME (20 * MONO_SEC)
#define DISCOVERY_SIZE (1u << 20)
#define DEFAULT_NAMESPACE "kube-system"

/* A resource that is watched. */
struct watched {
	struct backend *owner;
	const struct kube_resource *resource;
	struct kube_reflector *reflector; /* NULL: not watched now */
	char *api;			  /* "crd.projectcalico.org/v1" */
	char *path;			  /* also its name in messages */
	char *prefix;			  /* of its keys: "Node/" */
	uint32_t round;			  /* of the listing that is going on */
	bool is_ending;			  /* the listing is complete, but some of its documents wait for Secrets */
	bool complains;			  /* the mirror has a note about its refusal */
};

struct backend {
	struct store *store;
	struct loop *loop;
	struct mirror *mirror;
	struct kube_client *client;
	struct kube_passwords *passwords;
	struct kube_status *status;
	struct kube_node *writer;
	struct watched *watched; /* one per row of the table */
	char *node, *namespace, *calico_api;
	bool use_pod_cidr, advertise_services, has_cache;
	bool in_sync, was_synced; /* now; ever */
	uint64_t started;
	/* Discovery: */
	struct http_request *request;
	struct strbuf answer;
	struct backoff backoff;
	struct loop_timer discover_timer, grace_timer;
	struct loop_work work; /* what is needed, and whether all is in sync, is looked at once a turn */
};

static struct kube_scope scope_of(const struct backend *b)
{
	return (struct kube_scope){.store = b->store,
				   .node = b->node,
				   .use_pod_cidr = b->use_pod_cidr,
				   .advertise_services = b->advertise_services};
}

static void look_again(struct backend *b)
{
	loop_work_schedule(b->loop, &b->work);
}

/* ---- Objects ---- */

static void on_begin(void *arg)
{
	struct watched *w = arg;

	w->round = mirror_list_begin(w->owner->mirror);
	w->is_ending = false;
	kube_passwords_list_begin(w->owner->passwords, w->prefix);
}

static void on_gone(void *arg, struct yaml_node *object, struct arena *a)
{
	struct watched *w = arg;
	char *key = kube_resource_key(w->resource, object);

	(void)a;
	if (key)
		kube_passwords_delete(w->owner->passwords, key);
	free(key);
	if (w->resource->decides)
		look_again(w->owner);
}

static void on_object(void *arg, struct yaml_node *object, struct arena *a)
{
	struct watched *w = arg;
	struct kube_scope scope = scope_of(w->owner);
	char *key;

	if (w->resource->concerns && !w->resource->concerns(&scope, object)) {
		on_gone(arg, object, a);
		return;
	}
	key = kube_resource_key(w->resource, object);
	if (key && strlen(key) <= MIRROR_MAX_KEY)
		kube_passwords_put(w->owner->passwords, w->resource, key,
				   kube_resource_prune(w->resource, w->api, object, a), a);
	free(key);
	if (w->resource->decides)
		look_again(w->owner);
}

static void end_listing(struct watched *w)
{
	w->is_ending = false;
	kube_passwords_list_end(w->owner->passwords, w->prefix);
	mirror_list_end(w->owner->mirror, w->prefix, w->round);
}

static void on_listed(void *arg)
{
	struct watched *w = arg;

	/* Documents that wait have not been put, and must not be deleted for that. */
	w->is_ending = true;
	if (!w->resource->secret_ref || !kube_passwords_is_waiting(w->owner->passwords))
		end_listing(w);
	look_again(w->owner);
}

static void on_passwords_settled(void *arg)
{
	struct backend *b = arg;

	for (unsigned i = 0; i < kube_resource_count; i++)
		if (b->watched[i].is_ending)
			end_listing(&b->watched[i]);
	look_again(b);
}

static void on_bad(void *arg, const char *reason)
{
	struct watched *w = arg;

	/* Whose it was nobody knows: what is known of the resource stays as it is. */
	w->round = 0;
	log_warn("datastore", "%s: %s", w->path, reason);
}

static void on_state(void *arg)
{
	look_again(((struct watched *)arg)->owner);
}

static const struct kube_reflector_ops reflector_ops = {
    .on_begin = on_begin,
    .on_object = on_object,
    .on_gone = on_gone,
    .on_listed = on_listed,
    .on_bad = on_bad,
    .on_state = on_state,
};

/* ---- Documents to objects ---- */

/* Where podCIDRs are the blocks, this is what an IPAM's affinity would say. */
static void emit_affinity(struct mirror *m, const char *node, const char *cidr)
{
	struct arena *a = mirror_arena(m);
	struct yaml_node *doc = json_new_map(a), *metadata = json_new_map(a), *spec = json_new_map(a);
	char *name = mem_printf("%s-%s", node, cidr);

	for (char *c = name + strlen(node); *c; c++)
		if (*c == '.' || *c == ':' || *c == '/')
			*c = '-';
	json_set(a, doc, "apiVersion", json_new_text(a, KUBE_CALICO_V3));
	json_set(a, doc, "kind", json_new_text(a, "BlockAffinity"));
	json_set(a, metadata, "name", json_new_text(a, name));
	json_set(a, doc, "metadata", metadata);
	json_set(a, spec, "cidr", json_new_text(a, cidr));
	json_set(a, spec, "node", json_new_text(a, node));
	json_set(a, spec, "type", json_new_text(a, "podCIDR"));
	json_set(a, doc, "spec", spec);
	mirror_emit(m, doc);
	free(name);
}

/* The IP-in-IP device has the first address of the node's IPv4 podCIDR. */
static void set_tunnel_address(struct mirror *m, struct yaml_node *doc, const struct prefix *cidr)
{
	struct arena *a = mirror_arena(m);
	struct yaml_node *metadata = json_at(doc, "metadata"), *annotations = json_at(doc, "metadata.annotations");
	struct addr first = addr_add(&cidr->addr, 1);
	char text[ADDR_STRLEN];

	if (!annotations || annotations->type != YAML_MAP) {
		annotations = json_new_map(a);
		json_set(a, metadata, "annotations", annotations);
	}
	json_set(a, annotations, "projectcalico.org/IPv4IPIPTunnelAddr", json_new_text(a, addr_format(&first, text)));
}

static void translate_node(struct backend *b, struct mirror *m, struct yaml_node *doc)
{
	const struct yaml_node *list = json_at(doc, "spec.podCIDRs");
	const char *name = json_text_at(doc, "metadata.name"), *single = json_text_at(doc, "spec.podCIDR");
	size_t count = list && list->type == YAML_LIST ? list->count : single ? 1 : 0;
	struct prefix cidr;

	for (size_t i = 0; i < count; i++) {
		const char *text = list && list->count ? list->items[i]->text : single;
		if (!text || !prefix_parse(&cidr, text))
			continue;
		if (cidr.addr.af == AF_INET)
			set_tunnel_address(m, doc, &cidr);
		if (strcmp(name, b->node) == 0)
			emit_affinity(m, name, text);
	}
}

static void translate(void *arg, struct mirror *m, const char *key, struct yaml_node *doc)
{
	struct backend *b = arg;

	if (object_is_nobody(doc))
		return;
	if (b->use_pod_cidr && strncmp(key, "Node/", 5) == 0)
		translate_node(b, m, doc);
	mirror_emit(m, doc);
}

static const struct mirror_ops mirror_ops = {.translate = translate};

/* ---- What is watched ---- */

static void watch(struct watched *w)
{
	struct backend *b = w->owner;
	struct strbuf selector = {0};

	free(w->api);
	free(w->path);
	w->api = mem_strdup(w->resource->api ? w->resource->api : b->calico_api);
	w->path = kube_resource_path(w->api, NULL, w->resource->plural);
	strbuf_puts(&selector, "");
	if (w->resource->field) {
		strbuf_printf(&selector, "&fieldSelector=%s%%3D", w->resource->field);
		kube_escape(&selector, b->node);
	}
	w->reflector = kube_reflector_new(b->loop, b->client, w->path, selector.s, &reflector_ops, w);
	strbuf_free(&selector);
}

static void withdraw_complaint(struct watched *w)
{
	if (w->complains)
		mirror_delete(w->owner->mirror, w->path);
	w->complains = false;
}

/* What was known of it goes. */
static void unwatch(struct watched *w)
{
	withdraw_complaint(w);
	kube_reflector_free(w->reflector);
	w->reflector = NULL;
	on_begin(w);
	end_listing(w);
}

static void update_watches(struct backend *b)
{
	struct kube_scope scope = scope_of(b);

	for (unsigned i = 0; b->calico_api && i < kube_resource_count; i++) {
		struct watched *w = &b->watched[i];
		bool needed = !w->resource->is_needed || w->resource->is_needed(&scope);
		if (needed == (w->reflector != NULL))
			continue;
		if (needed)
			watch(w);
		else
			unwatch(w);
	}
}

/* ---- In sync or not ---- */

static void complain(struct watched *w)
{
	bool forbidden = kube_reflector_refusal(w->reflector) == 403;
	char *reason = mem_printf(forbidden ? "%s; this node needs the verbs get, list and watch on it "
					      "(etc/kubernetes/rbac.yaml)"
					    : "%s; the cluster lacks this resource: are Calico's "
					      "CustomResourceDefinitions installed?",
				  kube_reflector_problem(w->reflector));

	w->complains = true;
	mirror_put_bad(w->owner->mirror, w->path, reason);
	free(reason);
}

static void on_grace(void *arg)
{
	look_again(arg);
}

/* Does what is refused hold up the start? Only for the moment that the cache needs to stand in. */
static bool is_waiting_for_cache(struct backend *b)
{
	uint64_t age = mono_now() - b->started;

	if (b->was_synced || !b->has_cache || age > REFUSAL_GRACE)
		return false;
	loop_timer_set(b->loop, &b->grace_timer, REFUSAL_GRACE + MONO_MSEC - age, on_grace, b);
	return true;
}

struct summary {
	bool settled;	     /* nothing is on its way */
	const char *problem; /* NULL none */
	const char *where;
};

static void sum_up(struct watched *w, struct summary *s)
{
	enum kube_state state = kube_reflector_state(w->reflector);

	if (state == KUBE_REFUSED)
		complain(w);
	else if (state == KUBE_WATCHING)
		withdraw_complaint(w);
	if (state == KUBE_WATCHING && !w->is_ending)
		return;
	if (state == KUBE_REFUSED && !is_waiting_for_cache(w->owner))
		return;
	s->settled = false;
	if (state != KUBE_LOST && state != KUBE_REFUSED)
		return;
	s->problem = kube_reflector_problem(w->reflector);
	s->where = w->path;
}

/* What the cache knew of what we may not read any more stays in force. */
static void keep_refused(struct backend *b)
{
	for (unsigned i = 0; !b->was_synced && i < kube_resource_count; i++) {
		const struct watched *w = &b->watched[i];
		if (w->reflector && kube_reflector_state(w->reflector) == KUBE_REFUSED)
			mirror_keep(b->mirror, w->prefix);
	}
}

static void tell(struct backend *b, const struct summary *s)
{
	char *problem;

	if (s->problem) {
		problem = mem_printf("%s: %s", s->where, s->problem);
		b->in_sync = false;
		mirror_lost(b->mirror, problem);
		free(problem);
	} else if (s->settled) {
		keep_refused(b);
		/* There is no revision of all: a resource's own means nothing beside another's. */
		if (!b->in_sync)
			mirror_synced(b->mirror, NULL);
		b->in_sync = b->was_synced = true;
		mirror_heard(b->mirror, NULL);
	}
}

static bool work(void *arg, uint64_t deadline)
{
	struct backend *b = arg;
	struct summary s = {.settled = true};
	const char *problem;

	(void)deadline;
	if (!b->calico_api)
		return false;
	store_set_location(b->store, kube_client_server(b->client));
	update_watches(b);
	for (unsigned i = 0; i < kube_resource_count; i++)
		if (b->watched[i].reflector)
			sum_up(&b->watched[i], &s);
	s.settled = kube_passwords_settled(b->passwords, &problem) && s.settled;
	if (problem) {
		s.problem = problem;
		s.where = "secrets";
	}
	tell(b, &s);
	return false;
}

/* ---- Discovery: which of its two groups Calico uses here ---- */

static void discover(void *arg);

static void on_discovery_failed(struct backend *b, const char *problem)
{
	mirror_lost(b->mirror, problem);
	loop_timer_set(b->loop, &b->discover_timer, backoff_delay(&b->backoff), discover, b);
}

static bool has_group(const struct yaml_node *groups, const char *name)
{
	for (size_t i = 0; i < groups->count; i++) {
		const char *own = json_text_at(groups->items[i], "name");
		if (own && strcmp(own, name) == 0)
			return true;
	}
	return false;
}

static void begin(struct backend *b, const char *calico_api)
{
	log_info("datastore", "%s: Calico's objects are those of %s", kube_client_server(b->client), calico_api);
	b->calico_api = mem_strdup(calico_api);
	b->status = kube_status_new(b->loop, b->client, b->store, calico_api, b->node);
	store_set_location(b->store, kube_client_server(b->client));
	look_again(b);
}

/* As Calico decides it: the new group counts only where the old one is not. */
static void on_groups(struct backend *b, const struct yaml_node *groups)
{
	bool v3 = has_group(groups, "projectcalico.org"), crd = has_group(groups, "crd.projectcalico.org");

	begin(b, v3 && !crd ? KUBE_CALICO_V3 : KUBE_CALICO_CRD);
}

static bool on_discovery_data(void *arg, int status, const char *data, size_t len)
{
	struct backend *b = arg;

	(void)status;
	strbuf_add(&b->answer, data, len);
	return b->answer.len < DISCOVERY_SIZE;
}

static void on_discovery_end(void *arg, const struct http_result *result)
{
	struct backend *b = arg;
	char problem[400], err[JSON_ERROR_LEN];
	struct arena a = {0};
	const struct yaml_node *root, *groups = NULL;

	b->request = NULL;
	if (result->status == 200 && !result->error && b->answer.len) {
		root = json_parse(b->answer.s, b->answer.len, &a, err);
		groups = root ? json_at(root, "groups") : NULL;
	}
	if (groups && groups->type == YAML_LIST) {
		on_groups(b, groups);
	} else {
		if (result->status == 200)
			snprintf(problem, sizeof problem, "the answer is none of a Kubernetes API server");
		else
			explain_answer(result, &b->answer, problem, sizeof problem);
		on_discovery_failed(b, problem);
	}
	arena_free(&a);
	strbuf_free(&b->answer);
}

static const struct http_ops discovery_ops = {.on_data = on_discovery_data, .on_end = on_discovery_end};

static void discover(void *arg)
{
	struct backend *b = arg;
	struct kube_request q = {.path = "/apis", .timeout = DISCOVERY_TIME};
	char problem[400];

	if (!kube_client_refresh(b->client, problem, sizeof problem) && !*kube_client_server(b->client)) {
		on_discovery_failed(b, problem);
		return;
	}
	store_set_location(b->store, kube_client_server(b->client));
	b->request = kube_client_start(b->client, &q, &discovery_ops, b);
}

/* ---- Start and end ---- */

static void on_passwords_state(void *arg)
{
	look_again(arg);
}

static const struct kube_passwords_ops passwords_ops = {
    .on_settled = on_passwords_settled,
    .on_state = on_passwords_state,
};

static void make_watched(struct backend *b)
{
	b->watched = mem_calloc(kube_resource_count, sizeof *b->watched);
	for (unsigned i = 0; i < kube_resource_count; i++) {
		b->watched[i].owner = b;
		b->watched[i].resource = &kube_resources[i];
		b->watched[i].prefix = mem_printf("%s/", kube_resources[i].kind);
	}
}

static struct mirror *make_mirror(struct backend *b, const struct store_conf *conf)
{
	char *identity = mem_printf("kubernetes %s%s", conf->node, b->use_pod_cidr ? " podCIDR" : "");
	struct mirror_conf mirror = {.store = b->store,
				     .loop = b->loop,
				     .cache = conf->cache,
				     .identity = identity,
				     .cache_delay = CACHE_DELAY,
				     .ops = &mirror_ops,
				     .arg = b};
	struct mirror *m = mirror_new(&mirror);

	free(identity);
	return m;
}

static struct backend *kubernetes_start(struct store *s, struct loop *l, const struct store_conf *conf)
{
	const char *namespace = conf->kubernetes.namespace;
	struct backend *b = mem_calloc(1, sizeof *b);
	char problem[400];

	b->store = s;
	b->loop = l;
	b->node = mem_strdup(conf->node);
	b->use_pod_cidr = conf->kubernetes.use_pod_cidr;
	b->advertise_services = conf->kubernetes.advertise_services;
	b->has_cache = conf->cache && *conf->cache;
	b->started = mono_now();
	b->backoff = (struct backoff){.least = 500 * MONO_MSEC, .most = 30 * MONO_SEC};
	b->work = (struct loop_work){.run = work, .arg = b, .rank = LOOP_RANK_DATASTORE};
	b->mirror = make_mirror(b, conf);
	b->client = kube_client_new(l, conf);
	b->writer = kube_node_new(l, b->client, s, conf->node);
	kube_client_refresh(b->client, problem, sizeof problem); /* discovery says what is wrong */
	if (!namespace || !*namespace)
	namespace = kube_client_namespace(b->client);
	b->namespace = mem_strdup(*namespace ? namespace : DEFAULT_NAMESPACE);
	b->passwords = kube_passwords_new(l, b->client, b->namespace, b->mirror, &passwords_ops, b);
	make_watched(b);
	if (conf->kubernetes.api_group && *conf->kubernetes.api_group)
		begin(b, conf->kubernetes.api_group);
	else
		discover(b);
	return b;
}

static void kubernetes_stop(struct backend *b)
{
	loop_work_cancel(b->loop, &b->work);
	loop_timer_stop(b->loop, &b->discover_timer);
	loop_timer_stop(b->loop, &b->grace_timer);
	if (b->request)
		http_cancel(b->request);
	for (unsigned i = 0; i < kube_resource_count; i++) {
		struct watched *w = &b->watched[i];
		kube_reflector_free(w->reflector);
		free(w->api);
		free(w->path);
		free(w->prefix);
	}
	free(b->watched);
	kube_passwords_free(b->passwords);
	kube_status_free(b->status);
	kube_node_free(b->writer);
	kube_client_free(b->client);
	mirror_free(b->mirror);
	strbuf_free(&b->answer);
	free(b->node);
	free(b->namespace);
	free(b->calico_api);
	free(b);
}

static void kubernetes_publish(struct backend *b, const struct store_node *n)
{
	kube_node_wish(b->writer, n);
}

const struct backend_ops backend_kubernetes = {
    .name = "kubernetes",
    .start = kubernetes_start,
    .stop = kubernetes_stop,
    .publish = kubernetes_publish,
};
