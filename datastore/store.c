#include "datastore/store.h"

#include <bsd/sys/queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "datastore/backend.h"
#include "datastore/plugin.h"

struct item {
	struct object *o;
	unsigned at; /* its place in the table's order */
};

/* The objects of a kind: found by name, walked in order. The order is made good only when somebody walks: new items go
 * to its end, and removed ones leave holes. */
struct table {
	struct htab by_name;
	struct item **order;
	unsigned used, cap;
	bool untidy;
};

struct refusal {
	TAILQ_ENTRY(refusal) link;
	struct store_refusal r;
	bool stale; /* not noted yet since refusals_begin() */
};

struct store {
	struct loop *loop;
	struct store_ops ops;
	void *arg;
	struct table tables[OBJ_KIND_COUNT];
	struct slab items;
	TAILQ_HEAD(, refusal) refusals;
	unsigned refusal_count, warning_count;
	/* Where store_refusal() was last, so that a walk by index is a walk. */
	struct refusal *cursor;
	unsigned cursor_index;
	const struct backend_ops *backend_ops;
	struct backend *backend;
	char *location, *problem, *revision, *publish_problem, *cache_problem;
	bool in_sync;
	uint64_t since, changes, heard;
	int64_t cached;
};

struct name {
	const char *namespace, *name;
};

static uint32_t name_hash(const char *namespace, const char *name)
{
	return hash_str(name) + 31 * hash_str(namespace);
}

static bool item_is(const void *item, const void *wanted)
{
	const struct object *o = ((const struct item *)item)->o;
	const struct name *n = wanted;

	return strcmp(o->name, n->name) == 0 && strcmp(o->namespace, n->namespace) == 0;
}

static struct item *find(const struct store *s, enum object_kind k, const char *namespace, const char *name)
{
	struct name n = {namespace, name};

	return htab_find(&s->tables[k].by_name, name_hash(namespace, name), item_is, &n);
}

static int item_cmp(const void *left, const void *right)
{
	const struct object *a = (*(struct item *const *)left)->o, *b = (*(struct item *const *)right)->o;
	int c = strcmp(a->namespace, b->namespace);

	return c ? c : strcmp(a->name, b->name);
}

static void table_tidy(struct table *t)
{
	unsigned n = 0;

	if (!t->untidy)
		return;
	for (unsigned i = 0; i < t->used; i++)
		if (t->order[i])
			t->order[n++] = t->order[i];
	t->used = n;
	if (n)
		qsort(t->order, n, sizeof *t->order, item_cmp);
	for (unsigned i = 0; i < n; i++)
		t->order[i]->at = i;
	t->untidy = false;
}

static void table_add(struct table *t, struct item *item)
{
	struct item *last;

	if (t->used == t->cap && t->by_name.count * 2 < t->cap)
		table_tidy(t); /* mostly holes */
	if (t->used == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 16;
		t->order = mem_realloc(t->order, t->cap * sizeof(struct item *));
	}
	last = t->used ? t->order[t->used - 1] : NULL;
	if (t->used && (!last || item_cmp(&last, &item) > 0))
		t->untidy = true;
	item->at = t->used;
	t->order[t->used++] = item;
	htab_insert(&t->by_name, name_hash(item->o->namespace, item->o->name), item);
}

static void table_remove(struct table *t, struct item *item)
{
	htab_remove(&t->by_name, name_hash(item->o->namespace, item->o->name), item);
	t->order[item->at] = NULL;
	t->untidy = true;
}

struct store *store_new(struct loop *loop, const struct store_ops *ops, void *arg)
{
	struct store *s = mem_calloc(1, sizeof *s);

	s->loop = loop;
	s->ops = *ops;
	s->arg = arg;
	s->items.size = sizeof(struct item);
	TAILQ_INIT(&s->refusals);
	return s;
}

static void refusal_free(struct store *s, struct refusal *r)
{
	TAILQ_REMOVE(&s->refusals, r, link);
	s->refusal_count--;
	s->warning_count -= r->r.warning;
	s->cursor = NULL;
	free(r->r.source);
	free(r->r.object);
	free(r->r.field);
	free(r->r.reason);
	free(r);
}

void store_free(struct store *s)
{
	if (!s)
		return;
	if (s->backend)
		s->backend_ops->stop(s->backend);
	for (int k = 0; k < OBJ_KIND_COUNT; k++) {
		struct table *t = &s->tables[k];
		for (unsigned i = 0; i < t->used; i++)
			if (t->order[i])
				object_free(t->order[i]->o);
		free(t->order);
		htab_clear(&t->by_name);
	}
	slab_clear(&s->items);
	while (!TAILQ_EMPTY(&s->refusals))
		refusal_free(s, TAILQ_FIRST(&s->refusals));
	free(s->location);
	free(s->problem);
	free(s->revision);
	free(s->publish_problem);
	free(s->cache_problem);
	free(s);
}

bool store_start(struct store *s, const struct store_conf *conf, char *err, size_t err_size)
{
	bool is_file = strcmp(conf->type, backend_file.name) == 0;

	s->backend_ops = is_file ? &backend_file : plugin_load(conf->type, err, err_size);
	if (!s->backend_ops)
		return false;
	s->backend = s->backend_ops->start(s, s->loop, conf);
	return true;
}

void store_start_file(struct store *s, const char *directory)
{
	struct store_conf conf = {.type = backend_file.name, .directory = directory};

	store_start(s, &conf, NULL, 0);
}

static void changed(struct store *s, const struct object *before, const struct object *after)
{
	const struct object *o = after ? after : before;

	s->changes++;
	log_debug("datastore", "%s: %s %s%s%s: %s", o->source, object_kind_name(o->kind), o->namespace,
		  *o->namespace ? "/" : "", o->name,
		  !before ? "new"
		  : after ? "changed"
			  : "gone");
	s->ops.on_change(s->arg, before, after);
}

void store_put(struct store *s, struct object *o)
{
	struct item *item = find(s, o->kind, o->namespace, o->name);
	struct object *before = item ? item->o : NULL;

	if (before && before->digest == o->digest) {
		char *source = before->source;
		before->source = o->source;
		o->source = source;
		object_free(o);
		return;
	}
	if (before) {
		item->o = o;
	} else {
		item = slab_get(&s->items);
		item->o = o;
		table_add(&s->tables[o->kind], item);
	}
	changed(s, before, o);
	object_free(before);
}

bool store_delete(struct store *s, enum object_kind k, const char *namespace, const char *name)
{
	struct item *item = find(s, k, namespace, name);
	struct object *before;

	if (!item)
		return false;
	before = item->o;
	table_remove(&s->tables[k], item);
	slab_put(&s->items, item);
	changed(s, before, NULL);
	object_free(before);
	return true;
}

const struct object *store_get(const struct store *s, enum object_kind k, const char *namespace, const char *name)
{
	const struct item *item = find(s, k, namespace, name);

	return item ? item->o : NULL;
}

const struct object *store_next(const struct store *s, enum object_kind k, unsigned *pos)
{
	const struct table *t = &s->tables[k];

	/* Tidying changes nothing that a caller can see. */
	if (*pos == 0)
		table_tidy((struct table *)(uintptr_t)t);
	while (*pos < t->used) {
		const struct item *item = t->order[(*pos)++];
		if (item)
			return item->o;
	}
	return NULL;
}

unsigned store_count(const struct store *s, enum object_kind k)
{
	return s->tables[k].by_name.count;
}

static void set_sync(struct store *s, bool in_sync, const char *problem)
{
	if (s->in_sync != in_sync || !s->since)
		s->since = mono_now();
	s->in_sync = in_sync;
	free(s->problem);
	s->problem = problem ? mem_strdup(problem) : NULL;
}

void store_synced(struct store *s)
{
	unsigned objects = 0;

	for (int k = 0; k < OBJ_KIND_COUNT; k++)
		objects += s->tables[k].by_name.count;
	set_sync(s, true, NULL);
	s->cached = 0;
	log_info("datastore", "%s: in sync, %u objects", s->location ? s->location : "", objects);
	s->ops.on_sync(s->arg);
}

void store_cached(struct store *s, int64_t when)
{
	s->cached = when;
	s->ops.on_sync(s->arg);
}

void store_set_location(struct store *s, const char *location)
{
	char *copy = mem_strdup(location);

	free(s->location);
	s->location = copy;
}

void store_heard(struct store *s, const char *revision)
{
	s->heard = mono_now();
	if (!revision || (s->revision && strcmp(s->revision, revision) == 0))
		return;
	free(s->revision);
	s->revision = mem_strdup(revision);
}

void store_report(struct store *s, struct store_report *r)
{
	if (s->ops.on_report)
		s->ops.on_report(s->arg, r);
	else
		strbuf_puts(r->out, "{}");
}

bool store_can_publish(const struct store *s)
{
	return s->backend && s->backend_ops->publish;
}

void store_publish(struct store *s, const struct store_node *n)
{
	if (store_can_publish(s))
		s->backend_ops->publish(s->backend, n);
}

void store_set_publish_problem(struct store *s, const char *problem)
{
	free(s->publish_problem);
	s->publish_problem = *problem ? mem_strdup(problem) : NULL;
}

void store_set_cache_problem(struct store *s, const char *problem)
{
	free(s->cache_problem);
	s->cache_problem = *problem ? mem_strdup(problem) : NULL;
}

void store_lost(struct store *s, const char *problem)
{
	if (!s->problem || strcmp(s->problem, problem) != 0)
		log_warn("datastore", "%s: %s; %s", s->location && *s->location ? s->location : store_status(s).backend,
			 problem, s->changes ? "what was known stays in force" : "nothing is known yet");
	set_sync(s, false, problem);
}

struct store_status store_status(const struct store *s)
{
	return (struct store_status){
	    .backend = s->backend_ops ? s->backend_ops->name : "none",
	    .location = s->location ? s->location : "",
	    .in_sync = s->in_sync,
	    .since = s->since,
	    .problem = s->problem,
	    .changes = s->changes,
	    .refused = s->refusal_count - s->warning_count,
	    .revision = s->revision,
	    .heard = s->heard,
	    .cached = s->cached,
	    .cache_problem = s->cache_problem,
	    .publish_problem = s->publish_problem,
	};
}

const struct store_refusal *store_refusal(const struct store *const_s, unsigned index)
{
	/* The cursor is not part of what the store says. */
	struct store *s = (struct store *)(uintptr_t)const_s;

	if (index >= s->refusal_count)
		return NULL;
	if (!s->cursor || s->cursor_index > index) {
		s->cursor = TAILQ_FIRST(&s->refusals);
		s->cursor_index = 0;
	}
	for (; s->cursor_index < index; s->cursor_index++)
		s->cursor = TAILQ_NEXT(s->cursor, link);
	return &s->cursor->r;
}

void refusals_begin(struct refusal_set *set)
{
	for (unsigned i = 0; i < set->count; i++)
		set->list[i]->stale = true;
	set->expected = 0;
}

static bool is_same(const struct store_refusal *a, const struct store_refusal *b)
{
	return a->warning == b->warning && strcmp(a->object, b->object) == 0 && strcmp(a->field, b->field) == 0 &&
	       strcmp(a->reason, b->reason) == 0;
}

/* The same refusal as of old, wherever it stands now. They come in the same order again mostly. */
static struct refusal *find_stale(struct refusal_set *set, const struct store_refusal *r)
{
	for (unsigned n = 0; n < set->count; n++) {
		unsigned i = (set->expected + n) % set->count;
		if (set->list[i]->stale && is_same(&set->list[i]->r, r)) {
			set->expected = i + 1;
			return set->list[i];
		}
	}
	return NULL;
}

static void put_refusal(const struct store_refusal *r, struct strbuf *out)
{
	strbuf_printf(out, "%s: %s%s%s%s%s", r->source, r->object, *r->object ? ": " : "", r->field,
		      *r->field ? ": " : "", r->reason);
}

void store_refusal_format(const struct store_refusal *r, struct strbuf *out)
{
	put_refusal(r, out);
	strbuf_printf(out, "; %s",
		      r->warning     ? "the rest of the object is in force"
		      : r->last_good ? "the last good version stays in force"
		      : *r->object   ? "the object is not in force"
				     : "nothing of it is in force");
}

static void log_refusal(const struct store_refusal *r)
{
	struct strbuf text = {0};

	store_refusal_format(r, &text);
	log_warn("datastore", "%s", text.s);
	strbuf_free(&text);
}

static void log_resolved(const struct store_refusal *r)
{
	struct strbuf text = {0};

	put_refusal(r, &text);
	log_info("datastore", "resolved: %s", text.s);
	strbuf_free(&text);
}

static void refusals_changed(struct store *s, const struct store_refusal *r)
{
	if (s->ops.on_refusals && !r->warning)
		s->ops.on_refusals(s->arg);
}

void refusals_note(struct store *s, struct refusal_set *set, const struct store_refusal *r)
{
	struct refusal *entry = find_stale(set, r);

	if (entry) {
		entry->stale = false;
		if (entry->r.last_good != r->last_good)
			refusals_changed(s, r);
		entry->r.last_good = r->last_good;
		free(entry->r.source);
		entry->r.source = mem_strdup(r->source);
		return;
	}
	if (set->count == set->cap) {
		set->cap = set->cap ? set->cap * 2 : 4;
		set->list = mem_realloc(set->list, set->cap * sizeof(struct refusal *));
	}
	entry = mem_calloc(1, sizeof *entry);
	entry->r = *r;
	entry->r.source = mem_strdup(r->source);
	entry->r.object = mem_strdup(r->object);
	entry->r.field = mem_strdup(r->field);
	entry->r.reason = mem_strdup(r->reason);
	set->list[set->count++] = entry;
	TAILQ_INSERT_TAIL(&s->refusals, entry, link);
	s->refusal_count++;
	s->warning_count += r->warning;
	log_refusal(r);
	refusals_changed(s, r);
}

static void drop_stale(struct store *s, struct refusal_set *set, bool quietly)
{
	unsigned left = 0;

	for (unsigned i = 0; i < set->count; i++) {
		struct refusal *entry = set->list[i];
		if (!entry->stale) {
			set->list[left++] = entry;
			continue;
		}
		if (!quietly) {
			log_resolved(&entry->r);
			refusals_changed(s, &entry->r);
		}
		refusal_free(s, entry);
	}
	set->count = left;
	if (left)
		return;
	free(set->list);
	*set = (struct refusal_set){0};
}

void refusals_end(struct store *s, struct refusal_set *set)
{
	drop_stale(s, set, false);
}

void refusals_clear(struct store *s, struct refusal_set *set, bool quietly)
{
	refusals_begin(set);
	drop_stale(s, set, quietly);
}
