#include "datastore/schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/base/mem.h"

#define MAX_PATH 256u

struct walk {
	const struct schema *schema;
	void *object;
	struct schema_report report;
	struct object_error *err;
	const char
	    *within; /* the path of the list's item that is being walked, with a dot at its end; "" of a document */
	const char *annotation; /* the one that is being walked, "calidris.io/..."; NULL: the fields are */
	bool seen[SCHEMA_ROWS_MAX];
	char path[MAX_PATH]; /* of the map being walked, with a dot at its end; "" at the top */
};

/* The rows [first, end) whose paths begin with that of a map. */
struct range {
	unsigned first, end;
};

static const char *const node_types[] = {
    [YAML_SCALAR] = "a plain value",
    [YAML_MAP] = "a map",
    [YAML_LIST] = "a list",
};

bool schema_refuse(struct object_error *err, const struct yaml_node *at, const char *fmt, ...)
{
	va_list ap;

	err->line = at->line;
	err->col = at->col;
	va_start(ap, fmt);
	vsnprintf(err->reason, sizeof err->reason, fmt, ap);
	va_end(ap);
	return false;
}

const struct yaml_node *schema_at(const struct yaml_node *doc, const char *path)
{
	char key[MAX_PATH];

	while (doc && *path) {
		size_t n = strcspn(path, ".");
		snprintf(key, sizeof key, "%.*s", (int)n, path);
		doc = yaml_get(doc, key);
		path += n + (path[n] == '.');
	}
	return doc && yaml_is_null(doc) ? NULL : doc;
}

const struct yaml_node *schema_list_at(const struct yaml_node *doc, const char *path, struct object_error *err)
{
	static const struct yaml_node empty = {.type = YAML_LIST};
	const struct yaml_node *n = schema_at(doc, path);

	if (!n)
		return &empty;
	if (n->type == YAML_LIST)
		return n;
	schema_refuse_field(err, doc, path, "expected a list");
	return NULL;
}

bool schema_refuse_field(struct object_error *err, const struct yaml_node *doc, const char *path, const char *fmt, ...)
{
	const struct yaml_node *at = schema_at(doc, path);
	va_list ap;

	snprintf(err->field, sizeof err->field, "%s", path);
	err->line = at ? at->line : doc->line;
	err->col = at ? at->col : doc->col;
	va_start(ap, fmt);
	vsnprintf(err->reason, sizeof err->reason, fmt, ap);
	va_end(ap);
	return false;
}

bool schema_number(const char *text, uint64_t max, uint64_t *value)
{
	uint64_t v = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		uint64_t digit = (uint64_t)(*text - '0');
		if (*text < '0' || *text > '9' || v > (max - digit) / 10 || digit > max)
			return false;
		v = v * 10 + digit;
	}
	*value = v;
	return true;
}

/* Is text one of the alternatives of "a|b"? */
static bool is_default(const char *def, const char *text)
{
	size_t n;

	for (; def && *def; def += n + (def[n] == '|')) {
		n = strcspn(def, "|");
		if (strlen(text) == n && memcmp(text, def, n) == 0)
			return true;
	}
	return !*text;
}

static void report(struct walk *w, const struct yaml_node *n, const char *reason)
{
	char path[2 * MAX_PATH];

	if (!w->report.fn || w->schema->lax)
		return;
	snprintf(path, sizeof path, "%s%s", w->within, w->annotation ? w->annotation : w->path);
	w->report.fn(w->report.arg, path, n->key_line, n->key_col, reason);
}

/* ---- Lists of maps ---- */

static bool walk_document(const struct schema *s, const struct yaml_node *doc, void *object,
			  struct schema_report report_to, const char *within, struct object_error *err);

/* An array of items in an object. */
struct items {
	char *at;
	unsigned count;
};

static struct items items_of(const struct schema_row *row, const void *object)
{
	struct items items;

	memcpy(&items.at, schema_place_const(object, row->offset), sizeof items.at);
	memcpy(&items.count, schema_place_const(object, row->second), sizeof items.count);
	return items;
}

static void put_items(const struct schema_row *row, const void *object, struct strbuf *out)
{
	struct items items = items_of(row, object);

	strbuf_add(out, &items.count, sizeof items.count);
	for (unsigned i = 0; i < items.count; i++)
		schema_put(row->items, items.at + i * row->items->size, out);
}

static void drop_items(const struct schema_row *row, void *object)
{
	struct items items = items_of(row, object);

	for (unsigned i = 0; i < items.count; i++)
		schema_drop(row->items, items.at + i * row->items->size);
	free(items.at);
}

/* Each item that was begun is the object's, so that it is dropped with it. */
static bool take_items(struct walk *w, const struct schema_row *row, const struct yaml_node *n)
{
	struct items items = {.at = n->count ? mem_calloc(n->count, row->items->size) : NULL};
	char within[MAX_PATH], field[sizeof w->err->field];
	bool ok = true;

	if (row->max && n->count > row->max) {
		free(items.at);
		return schema_refuse(w->err, n, "expected at most %llu items, not %zu", (unsigned long long)row->max,
				     n->count);
	}
	for (size_t i = 0; ok && i < n->count; i++) {
		snprintf(within, sizeof within, "%s%s[%zu].", w->within, row->path, i);
		items.count++;
		if (n->items[i]->type == YAML_MAP) {
			ok = walk_document(row->items, n->items[i], items.at + i * row->items->size, w->report, within,
					   w->err);
			continue;
		}
		snprintf(w->err->field, sizeof w->err->field, "%.*s", (int)strlen(within) - 1, within);
		ok = schema_refuse(w->err, n->items[i], "expected a map, not %s", node_types[n->items[i]->type]);
	}
	memcpy(schema_place(w->object, row->offset), &items.at, sizeof items.at);
	memcpy(schema_place(w->object, row->second), &items.count, sizeof items.count);
	/* Its own rows' names are known to the item; what lists within it refused has its whole name already. */
	if (!ok && strncmp(w->err->field, within, strlen(within) - 1) != 0) {
		snprintf(field, sizeof field, "%s", w->err->field);
		snprintf(w->err->field, sizeof w->err->field, "%.*s%.60s", (int)strlen(within) - !*field, within,
			 field);
	}
	return ok;
}

const struct schema_type schema_items = {
    .expects = "a list of maps",
    .takes = YAML_LIST,
    .put = put_items,
    .drop = drop_items,
};

/* ---- The walk ---- */

static bool take(struct walk *w, const struct schema_row *row, const struct yaml_node *n)
{
	snprintf(w->err->field, sizeof w->err->field, "%s", row->path);
	if (n->type != row->type->takes)
		return schema_refuse(w->err, n, "expected %s, not %s", row->type->expects, node_types[n->type]);
	if (row->items ? !take_items(w, row, n) : !row->type->decode(row, n, w->object, w->err))
		return false;
	if (row->present)
		*(bool *)schema_place(w->object, row->present) = true;
	return true;
}

/* Said, or refused where the rest would mean something else without it. */
static bool leave_out(struct walk *w, const struct schema_row *row, const struct yaml_node *n)
{
	const char *why = row->why ? row->why : "not honoured yet";

	if (!w->schema->strict) {
		report(w, n, why);
		return true;
	}
	snprintf(w->err->field, sizeof w->err->field, "%s", row->path);
	return schema_refuse(w->err, n, "%s", why);
}

static bool take_field(struct walk *w, const struct schema_row *row, const struct yaml_node *n)
{
	if (yaml_is_null(n))
		return true;
	if (w->annotation && w->seen[row - w->schema->rows]) {
		report(w, n, "the field of that name is there, too, and counts");
		return true;
	}
	w->seen[row - w->schema->rows] = true;
	if (row->use == SCHEMA_TAKEN)
		return take(w, row, n);
	if (row->use == SCHEMA_LATER && !(n->type == YAML_SCALAR ? is_default(row->def, n->text) : n->count == 0))
		return leave_out(w, row, n);
	return true;
}

/* The row of the path that w->path holds now, among the rows of the range. */
static const struct schema_row *find_row(const struct walk *w, struct range r, size_t from)
{
	for (unsigned i = r.first; i < r.end; i++)
		if (strcmp(w->schema->rows[i].path + from, w->path + from) == 0)
			return &w->schema->rows[i];
	return NULL;
}

/* The rows below the path that w->path holds now. */
static struct range rows_below(const struct walk *w, struct range r, size_t from)
{
	size_t n = strlen(w->path + from);
	const struct schema_row *rows = w->schema->rows;

	while (r.first < r.end &&
	       (strncmp(rows[r.first].path + from, w->path + from, n) != 0 || rows[r.first].path[from + n] != '.'))
		r.first++;
	for (unsigned i = r.first; i < r.end; i++)
		if (strncmp(rows[i].path + from, w->path + from, n) != 0 || rows[i].path[from + n] != '.')
			r.end = i;
	return r;
}

static bool walk_map(struct walk *w, const struct yaml_node *map, struct range r);

static bool unknown(struct walk *w, const struct yaml_node *n)
{
	static const char reason[] = "not a known field";

	if (!w->schema->strict) {
		report(w, n, reason);
		return true;
	}
	snprintf(w->err->field, sizeof w->err->field, "%.110s", w->path);
	return schema_refuse(w->err, n, "%s", reason);
}

static bool walk_item(struct walk *w, const struct yaml_node *n, struct range r, size_t from)
{
	const struct schema_row *row = find_row(w, r, from);
	struct range below = rows_below(w, r, from);
	size_t len = strlen(w->path);
	bool is_map = n->type == YAML_MAP;

	if (row && w->annotation && !row->ours)
		return unknown(w, n);
	if (row && (!is_map || below.first == below.end))
		return take_field(w, row, n);
	if (below.first == below.end)
		return unknown(w, n);
	if (yaml_is_null(n))
		return true;
	if (!is_map) {
		snprintf(w->err->field, sizeof w->err->field, "%s", w->path);
		return schema_refuse(w->err, n, "expected a map, not %s", node_types[n->type]);
	}
	if (len + 2 > sizeof w->path)
		return true;
	memcpy(w->path + len, ".", 2);
	return walk_map(w, n, below);
}

static bool walk_map(struct walk *w, const struct yaml_node *map, struct range r)
{
	size_t from = strlen(w->path);
	bool ok = true;

	for (size_t i = 0; ok && i < map->count; i++) {
		snprintf(w->path + from, sizeof w->path - from, "%s", map->keys[i]);
		/* A dot inside a key must not look like a path. */
		if (strchr(map->keys[i], '.'))
			ok = unknown(w, map->items[i]);
		else
			ok = walk_item(w, map->items[i], r, from);
		w->path[from] = '\0';
	}
	return ok;
}

/* ---- Annotations ---- */

/* Fields that Calico's API does not have may be annotations of the same name: API servers drop fields that they do not
 * know, and keep annotations. A value is written as it would be in a file, as YAML or JSON. */
#define ANNOTATION "calidris.io/"

const struct yaml_node *schema_source(const struct schema *s, const struct yaml_node *doc, const char *path)
{
	const struct yaml_node *at = schema_at(doc, path);
	char name[MAX_PATH];

	for (unsigned i = 0; !at && i < s->row_count; i++) {
		if (!s->rows[i].ours || strcmp(s->rows[i].path, path) != 0)
			continue;
		snprintf(name, sizeof name, ANNOTATION "%s", path + strlen("spec."));
		at = yaml_get(schema_at(doc, "metadata.annotations"), name);
	}
	return at && yaml_is_null(at) ? NULL : at;
}

struct annotation {
	struct walk *w;
	const struct yaml_node *at;
	bool ok;
};

/* Messages are about where the annotation stands. */
static void place_at(struct yaml_node *n, const struct yaml_node *at)
{
	n->line = at->line;
	n->col = at->col;
	n->key_line = at->key_line;
	n->key_col = at->key_col;
	for (size_t i = 0; i < n->count; i++)
		place_at(n->items[i], at);
}

static bool has_row_of_ours(const struct schema *s, struct range r)
{
	for (unsigned i = r.first; i < r.end; i++)
		if (s->rows[i].ours)
			return true;
	return false;
}

static void on_annotation(void *arg, struct yaml_node *root)
{
	struct annotation *a = arg;
	struct walk *w = a->w;
	struct range all = {0, w->schema->row_count};
	const struct schema_row *row = find_row(w, all, 0);

	if (!root || !a->ok)
		return;
	place_at(root, a->at);
	if (row ? !row->ours : !has_row_of_ours(w->schema, rows_below(w, all, 0)))
		report(w, root, "not a known annotation");
	else
		a->ok = walk_item(w, root, all, 0);
}

static bool take_annotation(struct walk *w, const char *key, const struct yaml_node *n)
{
	struct annotation a = {.w = w, .at = n, .ok = true};
	const struct schema_row *row;
	struct yaml_error broken;
	char *text;

	w->annotation = key;
	snprintf(w->path, sizeof w->path, "spec.%s", key + strlen(ANNOTATION));
	row = find_row(w, (struct range){0, w->schema->row_count}, 0);
	/* "ipv4, ipv6" is a list where one is expected. */
	text = row && row->ours && row->type->takes == YAML_LIST && !strchr(n->text, '[') ? mem_printf("[%s]", n->text)
											  : mem_strdup(n->text);
	if (!yaml_parse(text, strlen(text), on_annotation, &a, &broken))
		a.ok = schema_refuse(w->err, n, "%s", broken.reason);
	free(text);
	if (!a.ok)
		snprintf(w->err->field, sizeof w->err->field, "metadata.annotations[%.90s]", key);
	w->annotation = NULL;
	*w->path = '\0';
	return a.ok;
}

static bool take_annotations(struct walk *w, const struct yaml_node *doc)
{
	const struct yaml_node *map = *w->within ? NULL : schema_at(doc, "metadata.annotations");
	bool ok = true;

	for (size_t i = 0; ok && map && map->type == YAML_MAP && i < map->count; i++)
		if (strncmp(map->keys[i], ANNOTATION, strlen(ANNOTATION)) == 0 && map->items[i]->type == YAML_SCALAR)
			ok = take_annotation(w, map->keys[i], map->items[i]);
	return ok;
}

/* What the document did not say: what it must say, and what is taken instead. */
static bool fill_absent(struct walk *w, const struct yaml_node *doc)
{
	for (unsigned i = 0; i < w->schema->row_count; i++) {
		const struct schema_row *row = &w->schema->rows[i];
		struct yaml_node def = {.type = YAML_SCALAR, .line = doc->line, .col = doc->col};
		if (w->seen[i] || row->use != SCHEMA_TAKEN)
			continue;
		if (row->required) {
			snprintf(w->err->field, sizeof w->err->field, "%s", row->path);
			return schema_refuse(w->err, doc, "missing: expected %s", row->type->expects);
		}
		if (!row->def)
			continue;
		def.text = mem_strdup(row->def);
		if (!row->type->decode(row, &def, w->object, w->err))
			abort(); /* the table contradicts itself */
		free(def.text);
	}
	return true;
}

static bool walk_document(const struct schema *s, const struct yaml_node *doc, void *object,
			  struct schema_report report_to, const char *within, struct object_error *err)
{
	struct walk w = {.schema = s, .object = object, .report = report_to, .err = err, .within = within};

	if (!walk_map(&w, doc, (struct range){0, s->row_count}) || !take_annotations(&w, doc) || !fill_absent(&w, doc))
		return false;
	*err->field = '\0';
	return !s->finish || s->finish(object, doc, err);
}

bool schema_decode(const struct schema *s, const struct yaml_node *doc, void *object, struct schema_report report_to,
		   struct object_error *err)
{
	return walk_document(s, doc, object, report_to, "", err);
}

void schema_put(const struct schema *s, const void *object, struct strbuf *out)
{
	for (unsigned i = 0; i < s->row_count; i++) {
		const struct schema_row *row = &s->rows[i];
		if (row->use != SCHEMA_TAKEN)
			continue;
		if (row->type->put)
			row->type->put(row, object, out);
		else
			strbuf_add(out, schema_place_const(object, row->offset), row->size);
		if (row->present)
			strbuf_add(out, schema_place_const(object, row->present), sizeof(bool));
	}
	if (s->put)
		s->put(object, out);
}

uint64_t schema_digest(const struct schema *s, const void *object)
{
	struct strbuf out = {0};
	uint64_t digest;

	schema_put(s, object, &out);
	digest = hash_bytes(out.s, out.len);
	strbuf_free(&out);
	return digest;
}

void schema_drop(const struct schema *s, void *object)
{
	for (unsigned i = 0; i < s->row_count; i++)
		if (s->rows[i].use == SCHEMA_TAKEN && s->rows[i].type->drop)
			s->rows[i].type->drop(&s->rows[i], object);
	if (s->drop)
		s->drop(object);
}
