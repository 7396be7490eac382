#include "datastore/claims.h"

#include <bsd/sys/queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "datastore/backend.h"

#define MAX_REPORTS 16u /* fields of one object that are named as not honoured */

/* An object by its identity, as long as somebody claims it or it is in force. */
struct entry {
	enum object_kind kind;
	LIST_HEAD(, claim) claims;
	struct claim *winner; /* the first of them; NULL if there is none */
	TAILQ_ENTRY(entry) doomed_link;
	uint64_t doomed;  /* when it is deleted; 0: it is claimed */
	const char *name; /* both are behind the struct */
	char namespace[];
};

struct claim {
	LIST_ENTRY(claim) of_entry;
	TAILQ_ENTRY(claim) of_file;
	struct entry *entry;
	struct claims_file *file;
	unsigned line;	/* where its document begins */
	unsigned round; /* the file's round in which it was seen last */
};

struct claims_file {
	struct claims *owner;
	void *arg;
	char *path, *name;
	TAILQ_HEAD(, claim) claims; /* in the order in which they were first made */
	struct refusal_set refusals;
	bool suspended;
	bool outdated;
	unsigned round;
	/* While it is read: */
	bool whole;	  /* what was not seen is not there any more */
	unsigned refused; /* noted so far */
};

struct claims {
	struct store *store;
	void (*reload)(void *arg);
	struct htab entries;
	TAILQ_HEAD(, entry) doomed;
};

struct entry_key {
	enum object_kind kind;
	const char *namespace, *name;
};

struct claims *claims_new(struct store *s, void (*reload)(void *arg))
{
	struct claims *c = mem_calloc(1, sizeof *c);

	c->store = s;
	c->reload = reload;
	TAILQ_INIT(&c->doomed);
	return c;
}

void claims_free(struct claims *c)
{
	uint32_t pos = 0;
	struct entry *e;

	while ((e = htab_next(&c->entries, &pos)))
		free(e);
	htab_clear(&c->entries);
	free(c);
}

static uint32_t entry_hash(const struct entry_key *k)
{
	return hash_str(k->name) + 31 * hash_str(k->namespace) + 1009 * (uint32_t)k->kind;
}

static bool entry_is(const void *item, const void *wanted)
{
	const struct entry *e = item;
	const struct entry_key *k = wanted;

	return e->kind == k->kind && strcmp(e->name, k->name) == 0 && strcmp(e->namespace, k->namespace) == 0;
}

/* id: "NAME", or "NAMESPACE/NAME" (object_decode). */
static struct entry *entry_get(struct claims *c, int kind, const char *id)
{
	const char *slash = object_kind_has_namespace((enum object_kind)kind) ? strchr(id, '/') : NULL;
	char *namespace = mem_strndup(id, slash ? (size_t)(slash - id) : 0);
	struct entry_key k = {(enum object_kind)kind, namespace, slash ? slash + 1 : id};
	struct entry *e = htab_find(&c->entries, entry_hash(&k), entry_is, &k);

	if (!e) {
		size_t n = strlen(namespace) + 1, m = strlen(k.name) + 1;
		e = mem_calloc(1, sizeof *e + n + m);
		e->kind = k.kind;
		memcpy(e->namespace, namespace, n);
		e->name = memcpy(e->namespace + n, k.name, m);
		htab_insert(&c->entries, entry_hash(&k), e);
	}
	free(namespace);
	return e;
}

static bool in_force(const struct claims *c, const struct entry *e)
{
	return store_get(c->store, e->kind, e->namespace, e->name) != NULL;
}

static void entry_remove(struct claims *c, struct entry *e)
{
	struct entry_key k = {e->kind, e->namespace, e->name};

	if (e->doomed)
		TAILQ_REMOVE(&c->doomed, e, doomed_link);
	htab_remove(&c->entries, entry_hash(&k), e);
	free(e);
}

static void entry_delete(struct claims *c, struct entry *e)
{
	store_delete(c->store, e->kind, e->namespace, e->name);
	entry_remove(c, e);
}

/* Does a go before b? A file that is not there now goes behind all others. */
static bool goes_before(const struct claims_file *a, const struct claims_file *b)
{
	if (a->suspended != b->suspended)
		return b->suspended;
	return strcmp(a->name, b->name) < 0;
}

/* Decides anew whose word counts. If that changes, the others concerned are read again: what they say of the object is
 * not kept anywhere. `reading` is being read at this moment. */
static void entry_settle(struct claims *c, struct entry *e, const struct claims_file *reading)
{
	struct claim *claim, *first = NULL;
	bool changed;

	LIST_FOREACH(claim, &e->claims, of_entry)
	if (!first || goes_before(claim->file, first->file))
		first = claim;
	changed = first != e->winner;
	e->winner = first;
	if (first && e->doomed) {
		TAILQ_REMOVE(&c->doomed, e, doomed_link);
		e->doomed = 0;
	}
	if (changed)
		LIST_FOREACH(claim, &e->claims, of_entry)
	if (claim->file != reading && !claim->file->suspended)
		c->reload(claim->file->arg);
}

static void claim_free(struct claim *claim)
{
	LIST_REMOVE(claim, of_entry);
	TAILQ_REMOVE(&claim->file->claims, claim, of_file);
	free(claim);
}

/* The file does not claim it any more. grace: nobody may claim it for that long before it is deleted. */
static void claim_drop(struct claims *c, struct claim *claim, uint64_t grace)
{
	struct claims_file *f = claim->file;
	struct entry *e = claim->entry;

	claim_free(claim);
	entry_settle(c, e, f);
	if (e->winner)
		return;
	if (!in_force(c, e)) {
		entry_remove(c, e);
	} else if (!grace) {
		entry_delete(c, e);
	} else {
		e->doomed = mono_now() + grace;
		TAILQ_INSERT_TAIL(&c->doomed, e, doomed_link);
	}
}

uint64_t claims_reap(struct claims *c, uint64_t now)
{
	struct entry *e;

	while ((e = TAILQ_FIRST(&c->doomed)) && e->doomed <= now)
		entry_delete(c, e);
	return e ? e->doomed : 0;
}

struct claims_file *claims_file_new(struct claims *c, const char *path, const char *name, void *arg)
{
	struct claims_file *f = mem_calloc(1, sizeof *f);

	f->owner = c;
	f->arg = arg;
	TAILQ_INIT(&f->claims);
	f->path = mem_strdup(path);
	f->name = mem_strdup(name);
	return f;
}

void claims_file_free(struct claims_file *f)
{
	while (!TAILQ_EMPTY(&f->claims))
		claim_free(TAILQ_FIRST(&f->claims));
	refusals_clear(f->owner->store, &f->refusals, true);
	free(f->path);
	free(f->name);
	free(f);
}

/* Notes a refusal of the file; col 0: the file as a whole. Of very many only the first are named. */
static void refuse(struct claims_file *f, unsigned line, unsigned col, struct store_refusal r)
{
	char *source;

	if (++f->refused > CLAIMS_MAX_REFUSALS)
		return;
	source = col ? mem_printf("%s:%u:%u", f->path, line, col) : mem_strdup(f->path);
	r.source = source;
	refusals_note(f->owner->store, &f->refusals, &r);
	free(source);
}

/* Is something of what the file had before in force? What was refused too, or is another file's, is not. */
static bool file_in_force(const struct claims_file *f)
{
	const struct claim *claim;

	TAILQ_FOREACH(claim, &f->claims, of_file)
	{
		if (claim->entry->winner == claim && in_force(f->owner, claim->entry))
			return true;
	}
	return false;
}

/* A refusal of the file as a whole, or of a part of it that has no name. */
static void refuse_file(struct claims_file *f, unsigned line, unsigned col, const char *field, const char *reason)
{
	struct store_refusal r = {.object = (char[]){""}, .last_good = file_in_force(f)};
	char *field_copy = mem_strdup(field), *reason_copy = mem_strdup(reason);

	r.field = field_copy;
	r.reason = reason_copy;
	refuse(f, line, col, r);
	free(field_copy);
	free(reason_copy);
}

/* Fields of the object being decoded that are not honoured; told only if the object comes into force. */
struct report {
	unsigned line, col;
	char *field;
	char *reason;
};

struct reports {
	struct report list[MAX_REPORTS];
	unsigned count, more;
};

static void on_report(void *arg, const char *field, unsigned line, unsigned col, const char *reason)
{
	struct reports *r = arg;

	if (r->count == MAX_REPORTS)
		r->more++;
	else
		r->list[r->count++] = (struct report){line, col, mem_strdup(field), mem_strdup(reason)};
}

static void reports_free(struct reports *r)
{
	for (unsigned i = 0; i < r->count; i++) {
		free(r->list[i].field);
		free(r->list[i].reason);
	}
}

static void tell_reports(struct claims_file *f, char *object, struct reports *r)
{
	for (unsigned i = 0; i < r->count; i++) {
		struct report *one = &r->list[i];
		refuse(f, one->line, one->col,
		       (struct store_refusal){
			   .object = object, .field = one->field, .reason = one->reason, .warning = true});
	}
	if (r->more) {
		char *reason = mem_printf("%u more fields are not honoured", r->more);
		refuse(
		    f, r->list[0].line, r->list[0].col,
		    (struct store_refusal){.object = object, .field = (char[]){""}, .reason = reason, .warning = true});
		free(reason);
	}
}

static struct claim *claim_find(const struct claims_file *f, const struct entry *e)
{
	struct claim *claim;

	LIST_FOREACH(claim, &e->claims, of_entry)
	if (claim->file == f)
		return claim;
	return NULL;
}

static struct claim *claim_get(struct claims_file *f, struct entry *e)
{
	struct claim *claim = claim_find(f, e);

	if (claim)
		return claim;
	claim = mem_calloc(1, sizeof *claim);
	claim->file = f;
	claim->entry = e;
	claim->round = f->round - 1;
	LIST_INSERT_HEAD(&e->claims, claim, of_entry);
	TAILQ_INSERT_TAIL(&f->claims, claim, of_file);
	return claim;
}

/* What was decoded from one document. */
struct decoded {
	const struct yaml_node *doc;
	struct object *o; /* NULL: refused for err */
	struct object_error err;
	char *object; /* "BGPPeer rack1-tor" */
	struct reports reports;
};

/* The document is about an object that has a claimant before it. */
static void refuse_claimed(struct claims_file *f, const struct claim *first, struct decoded *d)
{
	char *reason = mem_printf("is also in %s:%u, which counts", first->file->path, first->line);

	refuse(f, d->doc->line, d->doc->col,
	       (struct store_refusal){.object = d->object, .field = (char[]){"metadata.name"}, .reason = reason});
	free(reason);
}

static void take_object(struct claims_file *f, struct entry *e, struct decoded *d)
{
	struct claims *c = f->owner;
	struct claim *claim = claim_get(f, e);

	if (claim->round == f->round) {
		refuse_claimed(f, claim, d);
		return;
	}
	claim->round = f->round;
	claim->line = d->doc->line;
	entry_settle(c, e, f);
	if (e->winner != claim && e->winner->file->outdated) {
		c->reload(f->arg); /* it may be gone from there: look again after that file was read */
		return;
	}
	if (e->winner != claim) {
		refuse_claimed(f, e->winner, d);
		return;
	}
	if (!d->o) {
		refuse(f, d->err.line, d->err.col,
		       (struct store_refusal){.object = d->object,
					      .field = d->err.field,
					      .reason = d->err.reason,
					      .last_good = in_force(c, e)});
		return;
	}
	d->o->source = mem_printf("%s:%u", f->path, d->doc->line);
	tell_reports(f, d->object, &d->reports);
	store_put(c->store, d->o);
	d->o = NULL;
}

static bool has_kind(const struct yaml_node *doc, bool (*is)(const char *kind))
{
	const struct yaml_node *kind = yaml_get(doc, "kind");

	return kind && kind->type == YAML_SCALAR && is(kind->text);
}

/* Can a document that names no object of ours have been about one, had it been written right? Not if it is about
 * another API's objects. */
static bool may_be_ours(const struct yaml_node *doc, int kind)
{
	const struct yaml_node *api = yaml_get(doc, "apiVersion");

	if (kind >= 0 || !api || api->type != YAML_SCALAR)
		return true;
	return strstr(api->text, "projectcalico.org");
}

static void read_object(struct claims_file *f, const struct yaml_node *doc)
{
	struct decoded d = {.doc = doc};
	char *id;
	int kind;

	if (object_is_nobody(doc))
		return;
	d.o = object_decode(doc, &d.err, &kind, &id, on_report, &d.reports);
	if (kind >= 0 && id) {
		d.object = mem_printf("%s %s", object_kind_name((enum object_kind)kind), id);
		take_object(f, entry_get(f->owner, kind, id), &d);
	} else {
		/* Whoever it was about is not to be deleted for that. */
		if (may_be_ours(doc, kind))
			f->whole = false;
		refuse_file(f, d.err.line, d.err.col, d.err.field, d.err.reason);
	}
	object_free(d.o);
	reports_free(&d.reports);
	free(d.object);
	free(id);
}

/* "List", "NodeList", ...: what lists of objects are printed as. */
static bool is_list_kind(const char *kind)
{
	size_t n = strlen(kind);

	return n >= 4 && strcmp(kind + n - 4, "List") == 0;
}

static void on_document(void *arg, struct yaml_node *root)
{
	struct claims_file *f = arg;
	const struct yaml_node *items;

	if (!root)
		return;
	if (!has_kind(root, is_list_kind)) {
		read_object(f, root);
		return;
	}
	items = yaml_get(root, "items");
	if (items && items->type == YAML_LIST) {
		for (size_t i = 0; i < items->count; i++)
			read_object(f, items->items[i]);
	} else if (!items || !yaml_is_null(items)) {
		f->whole = false;
		refuse_file(f, root->line, root->col, "items", "missing: expected a list of objects");
	}
}

static void begin(struct claims_file *f, bool whole)
{
	struct claim *claim, *next;

	if (f->suspended) {
		f->suspended = false;
		TAILQ_FOREACH_SAFE(claim, &f->claims, of_file, next)
		entry_settle(f->owner, claim->entry, f);
	}
	f->round++;
	f->whole = whole;
	f->refused = 0;
	refusals_begin(&f->refusals);
}

static void end(struct claims_file *f)
{
	struct claim *claim, *next;

	if (f->whole)
		TAILQ_FOREACH_SAFE(claim, &f->claims, of_file, next)
	if (claim->round != f->round)
		claim_drop(f->owner, claim, CLAIMS_GRACE);
	if (f->refused > CLAIMS_MAX_REFUSALS) {
		char *reason = mem_printf("%u more problems are not named", f->refused - CLAIMS_MAX_REFUSALS);
		f->refused = 0;
		refuse_file(f, 0, 0, "", reason);
		free(reason);
	}
	refusals_end(f->owner->store, &f->refusals);
}

void claims_read(struct claims_file *f, const char *text, size_t len, bool whole)
{
	struct yaml_error err;

	/* Emptied, most likely in order to be written: nobody deletes a cluster that way. */
	if (len == 0 && !TAILQ_EMPTY(&f->claims)) {
		claims_unreadable(f, "is empty; to delete its objects, remove the file");
		return;
	}
	begin(f, whole);
	if (!yaml_parse(text, len, on_document, f, &err)) {
		f->whole = false;
		refuse_file(f, err.line, err.col, "", err.reason);
	}
	end(f);
}

void claims_unreadable(struct claims_file *f, const char *reason)
{
	begin(f, false);
	refuse_file(f, 0, 0, "", reason);
	end(f);
}

void claims_set_outdated(struct claims_file *f, bool outdated)
{
	f->outdated = outdated;
}

void claims_suspend(struct claims_file *f)
{
	struct claim *claim, *next;

	if (f->suspended)
		return;
	f->suspended = true;
	TAILQ_FOREACH_SAFE(claim, &f->claims, of_file, next)
	entry_settle(f->owner, claim->entry, f);
}

void claims_drop(struct claims_file *f)
{
	struct claim *claim, *next;

	TAILQ_FOREACH_SAFE(claim, &f->claims, of_file, next)
	claim_drop(f->owner, claim, 0);
	refusals_clear(f->owner->store, &f->refusals, false);
}
