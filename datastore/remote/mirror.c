#include "datastore/remote/mirror.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/base/hash.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "datastore/remote/cache.h"
#include "datastore/remote/sweep.h"

#define MAX_REPORTS 16u	   /* fields of one object that are named as not honoured */
#define MAX_REFUSALS 1000u /* documents whose problems are named */

struct document {
	uint64_t digest; /* of its text, good or bad; 0: there was none */
	struct cache_place place;
	uint32_t seen;		      /* the round in which it was put last; 0: it is the cache's */
	bool is_cached;		      /* its last good text belongs into the cache */
	bool refused;		      /* it is counted among those whose problems are named */
	struct refusal_set *refusals; /* NULL none */
	/* The objects that it stands for: a char (kind + 1) and "NAME" or "NAMESPACE/NAME" with its NUL for each, and a
	 * NUL. NULL none. */
	char *objects;
	char key[];
};

struct mirror {
	struct store *store;
	struct loop *loop;
	const struct mirror_ops *ops;
	void *arg;
	struct htab documents;
	uint32_t round;
	unsigned refused;
	struct refusal_set unnamed;
	bool synced, cache_tried;
	struct sweep *sweep;
	bool is_waiting;     /* in sync, but for what is still to be deleted */
	char revision[32];   /* "" none */
	struct cache *cache; /* NULL none */
	struct loop_timer timer;
	struct arena arena;
	/* The document being translated: */
	struct document *current;
	struct strbuf objects; /* what it stands for so far */
	bool is_bad;	       /* something of it was refused */
};

/* ---- Documents ---- */

static bool document_is(const void *item, const void *key)
{
	return strcmp(((const struct document *)item)->key, key) == 0;
}

static struct document *document_find(const struct mirror *m, const char *key)
{
	return htab_find(&m->documents, hash_str(key), document_is, key);
}

static struct document *document_get(struct mirror *m, const char *key)
{
	struct document *d = document_find(m, key);

	if (d)
		return d;
	d = mem_calloc(1, sizeof *d + strlen(key) + 1);
	strcpy(d->key, key);
	htab_insert(&m->documents, hash_str(key), d);
	return d;
}

/* The next of the objects in a list as struct document has it; NULL at its end. */
static const char *next_object(const char **at, enum object_kind *kind)
{
	const char *id = *at;

	if (!id || !*id)
		return NULL;
	*kind = (enum object_kind)(*id - 1);
	*at = id + strlen(id) + 1;
	return id + 1;
}

static bool has_object(const struct strbuf *objects, enum object_kind kind, const char *id)
{
	const char *at = objects->s, *other;
	enum object_kind k;

	while ((other = next_object(&at, &k)))
		if (k == kind && strcmp(other, id) == 0)
			return true;
	return false;
}

static void add_object(struct strbuf *objects, enum object_kind kind, const char *id)
{
	strbuf_putc(objects, (char)(kind + 1));
	strbuf_add(objects, id, strlen(id) + 1);
}

/* Splits "NAMESPACE/NAME"; the namespace is the caller's to free. */
static char *split(enum object_kind kind, const char *id, const char **name)
{
	const char *slash = object_kind_has_namespace(kind) ? strchr(id, '/') : NULL;

	*name = slash ? slash + 1 : id;
	return mem_strndup(id, slash ? (size_t)(slash - id) : 0);
}

static void object_delete(struct mirror *m, enum object_kind kind, const char *id)
{
	const char *name;
	char *namespace = split(kind, id, &name);

	store_delete(m->store, kind, namespace, name);
	free(namespace);
}

static bool object_in_force(const struct mirror *m, enum object_kind kind, const char *id)
{
	const char *name;
	char *namespace = split(kind, id, &name);
	bool found = store_get(m->store, kind, namespace, name) != NULL;

	free(namespace);
	return found;
}

static void document_free(struct mirror *m, struct document *d, bool quietly)
{
	if (d->refusals)
		refusals_clear(m->store, d->refusals, quietly);
	free(d->refusals);
	free(d->objects);
	free(d);
}

/* ---- Refusals ---- */

static void note(struct mirror *m, struct refusal_set **set, const struct store_refusal *r)
{
	if (!*set)
		*set = mem_calloc(1, sizeof **set);
	refusals_note(m->store, *set, r);
}

/* Of very many documents only the first are named. */
static bool may_name(struct mirror *m, struct document *d)
{
	if (d->refused)
		return true;
	if (m->refused >= MAX_REFUSALS)
		return false;
	d->refused = true;
	m->refused++;
	return true;
}

static void refuse(struct mirror *m, const char *object, const char *field, const char *reason, bool warning,
		   bool last_good)
{
	char *texts[] = {mem_strdup(m->current->key), mem_strdup(object), mem_strdup(field), mem_strdup(reason)};
	struct store_refusal r = {texts[0], texts[1], texts[2], texts[3], warning, last_good};
	struct store_refusal rest = {texts[0], texts[1], texts[1], texts[3], warning, last_good};

	if (may_name(m, m->current)) {
		note(m, &m->current->refusals, &r);
	} else if (!m->unnamed.count) {
		rest.object = rest.field = (char[]){""};
		rest.reason = (char[]){"and problems of further keys, which are not named"};
		refusals_note(m->store, &m->unnamed, &rest);
	}
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		free(texts[i]);
}

/* What the document stands for, for a message about all of it: "BGPPeer rack1-tor"; "" if that is unknown. */
static char *document_object(const struct document *d)
{
	const char *at = d->objects, *id;
	enum object_kind kind;

	id = next_object(&at, &kind);
	return id && !*at ? mem_printf("%s %s", object_kind_name(kind), id) : mem_strdup("");
}

static bool document_in_force(const struct mirror *m, const struct document *d)
{
	const char *at = d->objects, *id;
	enum object_kind kind;

	while ((id = next_object(&at, &kind)))
		if (object_in_force(m, kind, id))
			return true;
	return false;
}

void mirror_refuse(struct mirror *m, const char *field, const char *reason)
{
	char *object = document_object(m->current);

	m->is_bad = true;
	refuse(m, object, field, reason, false, document_in_force(m, m->current));
	free(object);
}

/* ---- From documents to objects ---- */

/* Fields that are not honoured; told only if the object comes into force. */
struct reports {
	struct {
		char *field, *reason;
	} list[MAX_REPORTS];
	unsigned count, more;
};

static void on_report(void *arg, const char *field, unsigned line, unsigned col, const char *reason)
{
	struct reports *r = arg;

	(void)line;
	(void)col;
	if (r->count == MAX_REPORTS) {
		r->more++;
		return;
	}
	r->list[r->count].field = mem_strdup(field);
	r->list[r->count++].reason = mem_strdup(reason);
}

static void tell_reports(struct mirror *m, const char *object, const struct reports *r)
{
	for (unsigned i = 0; i < r->count; i++)
		refuse(m, object, r->list[i].field, r->list[i].reason, true, false);
	if (r->more) {
		char *reason = mem_printf("%u more fields are not honoured", r->more);
		refuse(m, object, "", reason, true, false);
		free(reason);
	}
}

static void reports_free(struct reports *r)
{
	for (unsigned i = 0; i < r->count; i++) {
		free(r->list[i].field);
		free(r->list[i].reason);
	}
}

static void take(struct mirror *m, struct object *o, enum object_kind kind, const char *id,
		 const struct object_error *err, const struct reports *reports)
{
	char *object = mem_printf("%s %s", object_kind_name(kind), id);

	add_object(&m->objects, kind, id);
	if (o) {
		o->source = mem_strdup(m->current->key);
		tell_reports(m, object, reports);
		store_put(m->store, o);
	} else {
		m->is_bad = true;
		refuse(m, object, err->field, err->reason, false, object_in_force(m, kind, id));
	}
	free(object);
}

void mirror_emit(struct mirror *m, const struct yaml_node *object)
{
	struct reports reports = {.count = 0};
	struct object_error err;
	struct object *o;
	char *id;
	int kind;

	o = object_decode(object, &err, &kind, &id, on_report, &reports);
	if (kind >= 0 && id) {
		take(m, o, (enum object_kind)kind, id, &err, &reports);
	} else {
		mirror_refuse(m, err.field, err.reason);
		object_free(o);
	}
	reports_free(&reports);
	free(id);
}

struct arena *mirror_arena(struct mirror *m)
{
	return &m->arena;
}

/* Objects that the document stood for, and does not any more, go; unless it is bad, and may have meant them. */
static void settle_objects(struct mirror *m, struct document *d)
{
	const char *at = d->objects, *id;
	enum object_kind kind;

	while ((id = next_object(&at, &kind))) {
		if (has_object(&m->objects, kind, id))
			continue;
		if (m->is_bad)
			add_object(&m->objects, kind, id);
		else
			object_delete(m, kind, id);
	}
	free(d->objects);
	d->objects = m->objects.len ? mem_dup(m->objects.s, m->objects.len + 1) : NULL;
}

static void begin(struct mirror *m, struct document *d)
{
	m->current = d;
	m->is_bad = false;
	strbuf_reset(&m->objects);
	if (d->refusals)
		refusals_begin(d->refusals);
}

static void end(struct mirror *m)
{
	struct document *d = m->current;

	settle_objects(m, d);
	if (d->refusals)
		refusals_end(m->store, d->refusals);
	if (!d->refusals || !d->refusals->count) {
		free(d->refusals);
		d->refusals = NULL;
		m->refused -= d->refused;
		d->refused = false;
	}
	m->current = NULL;
	arena_reset(&m->arena);
}

/* True if all of the text came into force. */
static bool translate(struct mirror *m, struct document *d, const char *text, size_t len)
{
	char reason[JSON_ERROR_LEN];
	struct yaml_node *doc;

	begin(m, d);
	doc = json_parse(text, len, &m->arena, reason);
	if (doc)
		m->ops->translate(m->arg, m, d->key, doc);
	else
		mirror_refuse(m, "", reason);
	end(m);
	return !m->is_bad;
}

static void keep_text(struct mirror *m, struct document *d, const char *text, size_t len)
{
	d->is_cached = true;
	if (m->cache)
		cache_put(m->cache, d->key, text, len, &d->place);
}

void mirror_put(struct mirror *m, const char *key, const char *text, size_t len)
{
	uint64_t digest = hash_bytes(text, len) | 1;
	struct document *d = document_get(m, key);

	d->seen = m->round;
	if (d->digest == digest) {
		if (m->cache && d->is_cached && !cache_holds(m->cache, &d->place))
			cache_put(m->cache, key, text, len, &d->place);
		return;
	}
	d->digest = digest;
	if (translate(m, d, text, len))
		keep_text(m, d, text, len);
}

void mirror_put_bad(struct mirror *m, const char *key, const char *reason)
{
	struct document *d = document_get(m, key);

	d->seen = m->round;
	d->digest = 0;
	begin(m, d);
	mirror_refuse(m, "", reason);
	end(m);
}

static void remove_document(struct mirror *m, struct document *d)
{
	const char *at = d->objects, *id;
	enum object_kind kind;

	while ((id = next_object(&at, &kind)))
		object_delete(m, kind, id);
	if (m->cache)
		cache_delete(m->cache, d->key, &d->place);
	m->refused -= d->refused;
	htab_remove(&m->documents, hash_str(d->key), d);
	document_free(m, d, false);
}

void mirror_delete(struct mirror *m, const char *key)
{
	struct document *d = document_find(m, key);

	if (d)
		remove_document(m, d);
}

/* ---- Listings ---- */

uint32_t mirror_list_begin(struct mirror *m)
{
	return ++m->round;
}

static void find_doomed(void *arg, struct sweep *sweep, const char *prefix, uint32_t round)
{
	const struct mirror *m = arg;
	const struct document *d;
	size_t len = strlen(prefix);
	uint32_t pos = 0;

	while ((d = htab_next(&m->documents, &pos)))
		if (d->seen < round && strncmp(d->key, prefix, len) == 0)
			sweep_note(sweep, d->key);
}

static void remove_doomed(void *arg, const char *key, uint32_t round)
{
	struct document *d = document_find(arg, key);

	if (d && d->seen < round)
		remove_document(arg, d);
}

void mirror_list_end(struct mirror *m, const char *prefix, uint32_t begun)
{
	sweep_start(m->sweep, prefix, begun);
}

void mirror_keep(struct mirror *m, const char *prefix)
{
	struct document *d;
	uint32_t pos = 0;

	while ((d = htab_next(&m->documents, &pos)))
		if (!d->seen && strncmp(d->key, prefix, strlen(prefix)) == 0)
			d->seen = 1;
}

/* Is every text that belongs into the cache in the file that is being written? */
static bool is_cache_whole(const struct mirror *m)
{
	const struct document *d;
	uint32_t pos = 0;

	while ((d = htab_next(&m->documents, &pos)))
		if (d->is_cached && !cache_holds(m->cache, &d->place))
			return false;
	return true;
}

static void now_synced(struct mirror *m)
{
	m->synced = true;
	m->is_waiting = false;
	if (m->cache && is_cache_whole(m))
		cache_mark(m->cache, mono_to_wall(mono_now()));
	store_heard(m->store, *m->revision ? m->revision : NULL);
	store_synced(m->store);
	mem_trim();
}

static void on_swept(void *arg)
{
	struct mirror *m = arg;

	if (m->is_waiting)
		now_synced(m);
}

static const struct sweep_ops sweep_ops = {.find = find_doomed, .remove = remove_doomed, .on_done = on_swept};

void mirror_synced(struct mirror *m, const char *revision)
{
	loop_timer_stop(m->loop, &m->timer);
	snprintf(m->revision, sizeof m->revision, "%s", revision ? revision : "");
	if (m->cache) {
		cache_read_stop(m->cache);
		sweep_start(m->sweep, "", 1);
	}
	m->is_waiting = sweep_is_running(m->sweep);
	if (!m->is_waiting)
		now_synced(m);
}

bool mirror_is_synced(const struct mirror *m)
{
	return m->synced;
}

void mirror_heard(struct mirror *m, const char *revision)
{
	store_heard(m->store, revision);
}

/* ---- The cache ---- */

static struct cache_place *on_find(void *arg, const char *key)
{
	struct document *d = document_find(arg, key);

	return d ? &d->place : NULL;
}

static void on_document(void *arg, const char *key, const char *text, size_t len)
{
	struct mirror *m = arg;
	struct document *d;

	if (document_find(m, key))
		return; /* the datastore's own word is newer */
	d = document_get(m, key);
	d->digest = hash_bytes(text, len) | 1;
	if (translate(m, d, text, len))
		keep_text(m, d, text, len);
}

static void on_read(void *arg, const char *refused, const char *warning, int64_t when)
{
	struct mirror *m = arg;
	time_t seconds = (time_t)when;
	char text[32] = "";
	struct tm utc;

	if (refused) {
		log_warn("datastore", "no start from the cache: %s; nothing is known until the datastore is there",
			 refused);
		return;
	}
	if (gmtime_r(&seconds, &utc))
		strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &utc);
	if (warning)
		log_warn("datastore", "the end of the cache cannot be used: %s", warning);
	log_warn("datastore",
		 "the datastore is not there: start from the cache, the last state known, which is of %s (%u keys)",
		 text, m->documents.count);
	cache_mark(m->cache, when);
	store_cached(m->store, when);
	mem_trim();
}

static void on_problem(void *arg, const char *problem)
{
	store_set_cache_problem(((struct mirror *)arg)->store, problem);
}

static void use_cache(void *arg)
{
	struct mirror *m = arg;

	loop_timer_stop(m->loop, &m->timer);
	if (m->synced || m->is_waiting || m->cache_tried || !m->cache)
		return;
	m->cache_tried = true;
	cache_read(m->cache);
}

void mirror_lost(struct mirror *m, const char *problem)
{
	store_lost(m->store, problem);
	use_cache(m);
	m->is_waiting = false;
}

static const struct cache_ops cache_ops = {
    .find = on_find, .on_document = on_document, .on_read = on_read, .on_problem = on_problem};

struct mirror *mirror_new(const struct mirror_conf *conf)
{
	struct mirror *m = mem_calloc(1, sizeof *m);

	m->store = conf->store;
	m->loop = conf->loop;
	m->ops = conf->ops;
	m->arg = conf->arg;
	m->round = 1;
	m->sweep = sweep_new(m->loop, &sweep_ops, m);
	if (*conf->cache) {
		m->cache = cache_new(m->loop, conf->cache, conf->identity, &cache_ops, m);
		loop_timer_set(m->loop, &m->timer, conf->cache_delay, use_cache, m);
	}
	return m;
}

void mirror_free(struct mirror *m)
{
	struct document *d;
	uint32_t pos = 0;

	loop_timer_stop(m->loop, &m->timer);
	sweep_free(m->sweep);
	cache_free(m->cache);
	while ((d = htab_next(&m->documents, &pos)))
		document_free(m, d, true);
	htab_clear(&m->documents);
	refusals_clear(m->store, &m->unnamed, true);
	strbuf_free(&m->objects);
	arena_free(&m->arena);
	free(m);
}
