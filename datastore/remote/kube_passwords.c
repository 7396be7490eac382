#include "datastore/remote/kube_passwords.h"

#include <bsd/sys/queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"

struct referrer {
	LIST_ENTRY(referrer) link;
	const struct kube_resource *resource;
	char *key, *text;	   /* the document, as JSON */
	char *secret, *secret_key; /* what it wants */
	char *problem_key;	   /* of the mirror's note about what is missing; NULL: there is none */
	bool waiting, seen;
};

struct kube_passwords {
	struct mirror *mirror;
	struct kube_secrets *secrets;
	const struct kube_passwords_ops *ops;
	void *arg;
	LIST_HEAD(, referrer) referrers;
};

static void resolved(struct kube_passwords *p, struct referrer *r)
{
	if (r->problem_key)
		mirror_delete(p->mirror, r->problem_key);
	free(r->problem_key);
	r->problem_key = NULL;
}

static void missing(struct kube_passwords *p, struct referrer *r, const char *why)
{
	char *reason = mem_printf("%s: the session has no password, as Calico has it", why);

	resolved(p, r);
	r->problem_key = mem_printf("%s of %s", r->resource->secret_ref, r->key);
	mirror_put_bad(p->mirror, r->problem_key, reason);
	free(reason);
}

/* Puts the document with its password, or without one. */
static void put_with(struct kube_passwords *p, const struct referrer *r, const char *password)
{
	char err[JSON_ERROR_LEN];
	struct arena a = {0};
	struct yaml_node *doc = json_parse(r->text, strlen(r->text), &a, err),
			 *spec = doc ? json_at(doc, "spec") : NULL;
	struct strbuf text = {0};

	if (spec && password)
		json_set(&a, spec, r->resource->password, json_new_text(&a, password));
	else if (spec)
		json_remove(spec, r->resource->password);
	if (doc) {
		json_write(&text, doc);
		mirror_put(p->mirror, r->key, text.s, text.len);
	}
	strbuf_free(&text);
	arena_free(&a);
}

static void resolve(struct kube_passwords *p, struct referrer *r)
{
	char *password, why[400];

	switch (kube_secrets_get(p->secrets, r->secret, r->secret_key, &password, why, sizeof why)) {
	case KUBE_SECRET_UNKNOWN:
		r->waiting = true;
		return;
	case KUBE_SECRET_FOUND:
		resolved(p, r);
		break;
	case KUBE_SECRET_ABSENT:
		missing(p, r, why);
		break;
	}
	r->waiting = false;
	put_with(p, r, password);
	free(password);
}

static void on_change(void *arg, const char *secret)
{
	struct kube_passwords *p = arg;
	struct referrer *r;

	LIST_FOREACH(r, &p->referrers, link)
	if (strcmp(r->secret, secret) == 0)
		resolve(p, r);
	if (!kube_passwords_is_waiting(p))
		p->ops->on_settled(p->arg);
}

static void on_state(void *arg)
{
	struct kube_passwords *p = arg;

	p->ops->on_state(p->arg);
}

static const struct kube_secrets_ops secrets_ops = {.on_change = on_change, .on_state = on_state};

struct kube_passwords *kube_passwords_new(struct loop *l, struct kube_client *c, const char *namespace,
					  struct mirror *m, const struct kube_passwords_ops *ops, void *arg)
{
	struct kube_passwords *p = mem_calloc(1, sizeof *p);

	p->mirror = m;
	p->ops = ops;
	p->arg = arg;
	p->secrets = kube_secrets_new(l, c, namespace, &secrets_ops, p);
	LIST_INIT(&p->referrers);
	return p;
}

static void referrer_free(struct referrer *r)
{
	LIST_REMOVE(r, link);
	free(r->key);
	free(r->text);
	free(r->secret);
	free(r->secret_key);
	free(r->problem_key);
	free(r);
}

void kube_passwords_free(struct kube_passwords *p)
{
	if (!p)
		return;
	while (!LIST_EMPTY(&p->referrers))
		referrer_free(LIST_FIRST(&p->referrers));
	kube_secrets_free(p->secrets);
	free(p);
}

static struct referrer *find(const struct kube_passwords *p, const char *key)
{
	struct referrer *r;

	LIST_FOREACH(r, &p->referrers, link)
	if (strcmp(r->key, key) == 0)
		return r;
	return NULL;
}

/* It refers to nothing any more. */
static void drop(struct kube_passwords *p, struct referrer *r)
{
	resolved(p, r);
	kube_secrets_unref(p->secrets, r->secret);
	referrer_free(r);
}

/* Where the document names its Secret: the map with name and key, if both are there. */
static const struct yaml_node *reference(const struct kube_resource *r, const struct yaml_node *doc)
{
	const struct yaml_node *ref = r->secret_ref ? json_at(doc, r->secret_ref) : NULL;

	return ref && json_text_at(ref, "name") && json_text_at(ref, "key") ? ref : NULL;
}

static struct referrer *refer(struct kube_passwords *p, const struct kube_resource *resource, const char *key,
			      const struct yaml_node *ref)
{
	struct referrer *r = mem_calloc(1, sizeof *r), *old = find(p, key);

	r->resource = resource;
	r->key = mem_strdup(key);
	r->secret = mem_strdup(json_text_at(ref, "name"));
	r->secret_key = mem_strdup(json_text_at(ref, "key"));
	/* The new reference first: a Secret that stays wanted is not read anew. */
	kube_secrets_ref(p->secrets, r->secret);
	if (old)
		drop(p, old);
	LIST_INSERT_HEAD(&p->referrers, r, link);
	return r;
}

void kube_passwords_put(struct kube_passwords *p, const struct kube_resource *resource, const char *key,
			struct yaml_node *doc, struct arena *a)
{
	const struct yaml_node *ref = reference(resource, doc);
	struct referrer *r = find(p, key);
	struct strbuf text = {0};

	(void)a;
	json_write(&text, doc);
	if (ref) {
		r = refer(p, resource, key, ref);
		r->seen = true;
		r->text = text.s;
		resolve(p, r);
		return;
	}
	if (r)
		drop(p, r);
	mirror_put(p->mirror, key, text.s, text.len);
	strbuf_free(&text);
}

void kube_passwords_delete(struct kube_passwords *p, const char *key)
{
	struct referrer *r = find(p, key);

	if (r)
		drop(p, r);
	mirror_delete(p->mirror, key);
}

static bool has_prefix(const struct referrer *r, const char *prefix)
{
	return strncmp(r->key, prefix, strlen(prefix)) == 0;
}

void kube_passwords_list_begin(struct kube_passwords *p, const char *prefix)
{
	struct referrer *r;

	LIST_FOREACH(r, &p->referrers, link)
	if (has_prefix(r, prefix))
		r->seen = false;
}

void kube_passwords_list_end(struct kube_passwords *p, const char *prefix)
{
	struct referrer *r, *next;

	LIST_FOREACH_SAFE(r, &p->referrers, link, next)
	if (has_prefix(r, prefix) && !r->seen)
		drop(p, r);
}

bool kube_passwords_is_waiting(const struct kube_passwords *p)
{
	const struct referrer *r;

	LIST_FOREACH(r, &p->referrers, link)
	if (r->waiting)
		return true;
	return false;
}

bool kube_passwords_settled(const struct kube_passwords *p, const char **problem)
{
	return kube_secrets_settled(p->secrets, problem);
}
