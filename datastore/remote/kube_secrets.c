#include "datastore/remote/kube_secrets.h"

#include <bsd/sys/queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "datastore/remote/base64.h"
#include "datastore/remote/kube_reflector.h"
#include "datastore/remote/kube_resource.h"

struct secret {
	LIST_ENTRY(secret) link;
	struct kube_secrets *owner;
	struct kube_reflector *reflector;
	unsigned refs;
	char *data; /* its map, as JSON; NULL: it is not there */
	bool seen;  /* by the listing that is going on */
	bool known; /* it was listed, or we may not */
	char name[];
};

struct kube_secrets {
	struct loop *loop;
	struct kube_client *client;
	char *namespace;
	const struct kube_secrets_ops *ops;
	void *arg;
	LIST_HEAD(, secret) list;
};

static void set_data(struct secret *s, char *data)
{
	bool same = s->data && data ? strcmp(s->data, data) == 0 : s->data == data;

	free(s->data);
	s->data = data;
	if (!same && s->known)
		s->owner->ops->on_change(s->owner->arg, s->name);
}

static void on_begin(void *arg)
{
	((struct secret *)arg)->seen = false;
}

static bool is_it(const struct secret *s, const struct yaml_node *object)
{
	const char *name = json_text_at(object, "metadata.name");

	return name && strcmp(name, s->name) == 0;
}

static void on_object(void *arg, struct yaml_node *object, struct arena *a)
{
	struct secret *s = arg;
	const struct yaml_node *data = json_at(object, "data");
	struct strbuf text = {0};

	(void)a;
	if (!is_it(s, object))
		return;
	s->seen = true;
	if (data && data->type == YAML_MAP)
		json_write(&text, data);
	else
		strbuf_puts(&text, "{}");
	set_data(s, text.s);
}

static void on_gone(void *arg, struct yaml_node *object, struct arena *a)
{
	(void)a;
	if (is_it(arg, object))
		set_data(arg, NULL);
}

/* Known for the first time, it is to be resolved even if it is not there. */
static void become_known(struct secret *s)
{
	if (s->known)
		return;
	s->known = true;
	s->owner->ops->on_change(s->owner->arg, s->name);
}

static void on_listed(void *arg)
{
	struct secret *s = arg;

	if (!s->seen)
		set_data(s, NULL);
	become_known(s);
}

static void on_bad(void *arg, const char *reason)
{
	(void)arg;
	(void)reason;
}

static void on_state(void *arg)
{
	struct secret *s = arg;

	if (kube_reflector_state(s->reflector) == KUBE_REFUSED)
		become_known(s);
	s->owner->ops->on_state(s->owner->arg);
}

static const struct kube_reflector_ops reflector_ops = {
    .on_begin = on_begin,
    .on_object = on_object,
    .on_gone = on_gone,
    .on_listed = on_listed,
    .on_bad = on_bad,
    .on_state = on_state,
};

struct kube_secrets *kube_secrets_new(struct loop *l, struct kube_client *c, const char *namespace,
				      const struct kube_secrets_ops *ops, void *arg)
{
	struct kube_secrets *s = mem_calloc(1, sizeof *s);

	s->loop = l;
	s->client = c;
	s->namespace = mem_strdup(namespace);
	s->ops = ops;
	s->arg = arg;
	LIST_INIT(&s->list);
	return s;
}

static void secret_free(struct secret *s)
{
	LIST_REMOVE(s, link);
	kube_reflector_free(s->reflector);
	free(s->data);
	free(s);
}

void kube_secrets_free(struct kube_secrets *s)
{
	if (!s)
		return;
	while (!LIST_EMPTY(&s->list))
		secret_free(LIST_FIRST(&s->list));
	free(s->namespace);
	free(s);
}

static struct secret *find(const struct kube_secrets *s, const char *name)
{
	struct secret *one;

	LIST_FOREACH(one, &s->list, link)
	if (strcmp(one->name, name) == 0)
		return one;
	return NULL;
}

void kube_secrets_ref(struct kube_secrets *s, const char *name)
{
	struct secret *one = find(s, name);
	struct strbuf selector = {0};
	char *path;

	if (one) {
		one->refs++;
		return;
	}
	one = mem_calloc(1, sizeof *one + strlen(name) + 1);
	strcpy(one->name, name);
	one->owner = s;
	one->refs = 1;
	path = kube_resource_path("v1", s->namespace, "secrets");
	strbuf_puts(&selector, "&fieldSelector=metadata.name%3D");
	kube_escape(&selector, name);
	one->reflector = kube_reflector_new(s->loop, s->client, path, selector.s, &reflector_ops, one);
	LIST_INSERT_HEAD(&s->list, one, link);
	strbuf_free(&selector);
	free(path);
}

void kube_secrets_unref(struct kube_secrets *s, const char *name)
{
	struct secret *one = find(s, name);

	if (one && --one->refs == 0)
		secret_free(one);
}

static char *text_under(const struct secret *s, const char *key)
{
	char err[JSON_ERROR_LEN];
	struct arena a = {0};
	const struct yaml_node *map = json_parse(s->data, strlen(s->data), &a, err),
			       *n = map ? yaml_get(map, key) : NULL;
	struct strbuf text = {0};
	bool ok = n && n->type == YAML_SCALAR && base64_decode(&text, n->text, strlen(n->text));

	arena_free(&a);
	if (ok)
		strbuf_puts(&text, "");
	else
		strbuf_free(&text);
	return ok ? text.s : NULL;
}

enum kube_secret_answer kube_secrets_get(const struct kube_secrets *s, const char *name, const char *key, char **text,
					 char *why, size_t why_size)
{
	const struct secret *one = find(s, name);

	*text = NULL;
	if (!one || !one->known)
		return KUBE_SECRET_UNKNOWN;
	if (kube_reflector_state(one->reflector) == KUBE_REFUSED && !one->data) {
		snprintf(why, why_size, "%s", kube_reflector_problem(one->reflector));
		return KUBE_SECRET_ABSENT;
	}
	if (!one->data) {
		snprintf(why, why_size, "there is no Secret %s in the namespace %s", name, s->namespace);
		return KUBE_SECRET_ABSENT;
	}
	*text = text_under(one, key);
	if (!*text)
		snprintf(why, why_size, "the Secret %s of the namespace %s has no key %s", name, s->namespace, key);
	return *text ? KUBE_SECRET_FOUND : KUBE_SECRET_ABSENT;
}

bool kube_secrets_settled(const struct kube_secrets *s, const char **problem)
{
	const struct secret *one;
	bool settled = true;

	*problem = NULL;
	LIST_FOREACH(one, &s->list, link)
	{
		settled = settled && one->known;
		if (kube_reflector_state(one->reflector) == KUBE_LOST)
			*problem = kube_reflector_problem(one->reflector);
	}
	return settled;
}
