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
	if (w->report.fn && !w->schema->lax)
		w->report.fn(w->report.arg, w->path, n->key_line, n->key_col, reason);
}

static bool take(struct walk *w, const struct schema_row *row, const struct yaml_node *n)
{
	snprintf(w->err->field, sizeof w->err->field, "%s", row->path);
	if (n->type != row->type->takes)
		return schema_refuse(w->err, n, "expected %s, not %s", row->type->expects, node_types[n->type]);
	if (!row->type->decode(row, n, w->object, w->err))
		return false;
	if (row->present)
		*(bool *)schema_place(w->object, row->present) = true;
	return true;
}

static bool take_field(struct walk *w, const struct schema_row *row, const struct yaml_node *n)
{
	if (yaml_is_null(n))
		return true;
	w->seen[row - w->schema->rows] = true;
	if (row->use == SCHEMA_TAKEN)
		return take(w, row, n);
	if (row->use == SCHEMA_LATER && !(n->type == YAML_SCALAR ? is_default(row->def, n->text) : n->count == 0))
		report(w, n, "not honoured yet");
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

static bool walk_item(struct walk *w, const struct yaml_node *n, struct range r, size_t from)
{
	const struct schema_row *row = find_row(w, r, from);
	struct range below = rows_below(w, r, from);
	size_t len = strlen(w->path);
	bool is_map = n->type == YAML_MAP;

	if (row && (!is_map || below.first == below.end))
		return take_field(w, row, n);
	if (below.first == below.end) {
		report(w, n, "not a known field");
		return true;
	}
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
			report(w, map->items[i], "not a known field");
		else
			ok = walk_item(w, map->items[i], r, from);
		w->path[from] = '\0';
	}
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

bool schema_decode(const struct schema *s, const struct yaml_node *doc, void *object, struct schema_report report_to,
		   struct object_error *err)
{
	struct walk w = {.schema = s, .object = object, .report = report_to, .err = err};

	return walk_map(&w, doc, (struct range){0, s->row_count}) && fill_absent(&w, doc) &&
	       (!s->finish || s->finish(object, doc, err));
}

uint64_t schema_digest(const struct schema *s, const void *object)
{
	struct strbuf out = {0};
	uint64_t digest;

	for (unsigned i = 0; i < s->row_count; i++) {
		const struct schema_row *row = &s->rows[i];
		if (row->use != SCHEMA_TAKEN)
			continue;
		if (row->type->put)
			row->type->put(row, object, &out);
		else
			strbuf_add(&out, schema_place_const(object, row->offset), row->size);
		if (row->present)
			strbuf_add(&out, schema_place_const(object, row->present), sizeof(bool));
	}
	if (s->put)
		s->put(object, &out);
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
