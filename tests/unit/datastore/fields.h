/* The least document of each kind, with any one field put into it: what becomes of that. */
#ifndef TESTS_UNIT_DATASTORE_FIELDS_H
#define TESTS_UNIT_DATASTORE_FIELDS_H

#include "tests/unit/datastore/decode.h"

/* A document as fields by path, so that a test can put any one in. */
struct field {
	const char *path, *value; /* value: flow style */
};

#define MAX_FIELDS 16

static bool is_below(const char *path, const char *prefix, size_t n)
{
	return strncmp(path, prefix, n) == 0 && (n == 0 || path[n] == '.');
}

/* Writes all fields below prefix as a map. */
static void render(struct strbuf *out, const struct field *fields, const char *prefix)
{
	size_t n = strlen(prefix), start = n ? n + 1 : 0;
	char done[MAX_FIELDS][80];
	unsigned done_count = 0;

	strbuf_puts(out, "{");
	for (const struct field *f = fields; f->path; f++) {
		char key[80], below[80];
		unsigned i = 0;
		if (!is_below(f->path, prefix, n))
			continue;
		snprintf(key, sizeof key, "%.*s", (int)strcspn(f->path + start, "."), f->path + start);
		while (i < done_count && strcmp(done[i], key) != 0)
			i++;
		if (i < done_count)
			continue;
		strcpy(done[done_count++], key);
		strbuf_printf(out, "%s%s: ", done_count > 1 ? ", " : "", key);
		if (strlen(f->path + start) == strlen(key)) {
			strbuf_puts(out, f->value);
			continue;
		}
		snprintf(below, sizeof below, "%.*s", (int)(start + strlen(key)), f->path);
		render(out, fields, below);
	}
	strbuf_puts(out, "}");
}

/* The least that every kind needs. */
static const struct field least[OBJ_KIND_COUNT][MAX_FIELDS] = {
    [OBJ_NODE] = {{"metadata.name", "n1"}},
    [OBJ_IP_POOL] = {{"metadata.name", "p1"}, {"spec.cidr", "10.0.0.0/8"}},
    [OBJ_BGP_CONFIGURATION] = {{"metadata.name", "default"}},
    [OBJ_BGP_PEER] = {{"metadata.name", "b1"}, {"spec.peerIP", "10.9.9.9"}},
    [OBJ_BGP_FILTER] = {{"metadata.name", "f1"}},
    [OBJ_WORKLOAD_ENDPOINT] = {{"metadata.name", "w1"}, {"spec.node", "n9"}, {"spec.interfaceName", "cali9"}},
    [OBJ_BLOCK_AFFINITY] = {{"metadata.name", "a1"}, {"spec.cidr", "10.9.0.0/26"}, {"spec.node", "n9"}},
    [OBJ_IPAM_BLOCK] = {{"metadata.name", "k1"}, {"spec.cidr", "10.9.0.0/26"}},
    [OBJ_SERVICE] = {{"metadata.name", "s1"}},
    [OBJ_ENDPOINT_SLICE] = {{"metadata.name", "e1"}, {"addressType", "IPv4"}},
    [OBJ_FELIX_CONFIGURATION] = {{"metadata.name", "default"}},
};

/* Fields that cannot stand beside each other: the first is left out of `least` when the second is tried. */
static const struct field excluded[] = {
    {"spec.peerIP", "spec.peerSelector"},
    {"spec.peerIP", "spec.localWorkloadSelector"},
    {"spec.peerIP", "spec.peerRange"},
    {"spec.peerIP", "spec.interface"},
    {0},
};

static bool is_empty(const char *value)
{
	return !value || strcmp(value, "null") == 0 || strcmp(value, "''") == 0 || strcmp(value, "{}") == 0 ||
	       strcmp(value, "[]") == 0;
}

static bool excludes(const char *path, const char *tried, const char *value)
{
	for (const struct field *x = excluded; !is_empty(value) && x->path; x++)
		if (strcmp(x->path, path) == 0 && strcmp(x->value, tried) == 0)
			return true;
	return strcmp(path, tried) == 0;
}

/* The list whose items' rows are walked: in which list or document that is, and the least that an item needs. */
struct nest {
	const struct nest *outer; /* NULL: the document */
	const struct schema_row *list;
	const struct field *least;
};
static const struct nest *nest;

static const struct field least_rule4[] = {{"action", "Accept"}, {"cidr", "10.0.0.0/8"}, {"matchOperator", "In"}, {0}};
static const struct field least_rule6[] = {{"action", "Accept"}, {"cidr", "'fd00::/16'"}, {"matchOperator", "In"}, {0}};
static const struct field least_operation[] = {{0}};
static const struct field least_community[] = {{"name", "a"}, {"value", "'1:2'"}, {0}};
static const struct field least_advertisement[] = {{"cidr", "10.0.0.0/8"}, {0}};
static const struct field some_operation[] = {{"setPriority.value", "5"}, {0}};
static const struct {
	const char *list;
	const struct field *least, *some;
} item_samples[] = {
    {"spec.importV4", least_rule4, least_rule4},
    {"spec.importV6", least_rule6, least_rule6},
    {"spec.exportV4", least_rule4, least_rule4},
    {"spec.exportV6", least_rule6, least_rule6},
    {"operations", least_operation, some_operation},
    {"spec.communities", least_community, least_community},
    {"spec.prefixAdvertisements", least_advertisement, least_advertisement},
};

/* Flow style of the fields, those that the tried one excludes left out. */
static void render_item(struct strbuf *out, const struct field *least_fields, const char *path, const char *value)
{
	struct field fields[MAX_FIELDS] = {0};
	unsigned n = 0;

	for (const struct field *f = least_fields; f->path; f++)
		if (!path || !excludes(f->path, path, value))
			fields[n++] = *f;
	if (path && value)
		fields[n++] = (struct field){path, value};
	render(out, fields, "");
}

static struct outcome try_in_document(int kind, const char *path, const char *value);

/* The least document of the kind, or item of the list, and in it the field (value NULL: without it). */
static struct outcome try_field(int kind, const char *path, const char *value)
{
	struct strbuf text[4] = {0};
	unsigned depth = 0;
	struct outcome out;

	for (const struct nest *n = nest; n; n = n->outer, depth++) {
		strbuf_puts(&text[depth], "[");
		render_item(&text[depth], n->least, path, value);
		strbuf_puts(&text[depth], "]");
		path = n->list->path;
		value = text[depth].s;
	}
	out = try_in_document(kind, path, value);
	for (unsigned i = 0; i < depth; i++)
		strbuf_free(&text[i]);
	return out;
}

/* As messages name it: "spec.importV4[0].operations[0].setPriority.value". */
static void full_path(struct strbuf *out, const struct nest *n, const char *path)
{
	if (n) {
		full_path(out, n->outer, n->list->path);
		strbuf_puts(out, *path ? "[0]." : "[0]");
	}
	strbuf_puts(out, path);
}

/* The item itself. */
static const void *innermost(const struct nest *n, const struct object *o)
{
	const char *items;

	if (!n)
		return o;
	memcpy(&items, (const char *)innermost(n->outer, o) + n->list->offset, sizeof items);
	return items;
}

static struct outcome try_in_document(int kind, const char *path, const char *value)
{
	struct field fields[MAX_FIELDS + 4] = {{"apiVersion", object_kind_api((enum object_kind)kind)},
					       {"kind", object_kind_name((enum object_kind)kind)}};
	unsigned n = 2;
	struct strbuf text = {0};
	struct outcome out;

	for (const struct field *f = least[kind]; f->path; f++)
		if (!excludes(f->path, path, value))
			fields[n++] = *f;
	if (strcmp(path, "kind") == 0 || strcmp(path, "apiVersion") == 0)
		value = NULL;
	if (value)
		fields[n++] = (struct field){path, value};
	render(&text, fields, "");
	out = decode(text.s);
	strbuf_free(&text);
	return out;
}

static void check_taken(int kind, const char *path, const char *value, uint64_t *digest)
{
	struct outcome out = try_field(kind, path, value);

	ck_assert_msg(out.o != NULL, "%s %s=%s: %s: %s", object_kind_name((enum object_kind)kind), path, value,
		      out.err.field, out.err.reason);
	ck_assert_str_eq(out.reported.s, "");
	ck_assert_int_eq(out.kind, kind);
	*digest = out.o->digest;
	outcome_free(&out);
}

static void check_refused(int kind, const char *path, const char *value)
{
	struct outcome out = try_field(kind, path, value);
	const char *what = object_kind_name((enum object_kind)kind);

	struct strbuf named = {0};

	ck_assert_msg(!out.o, "%s %s=%s was taken", what, path, value);
	full_path(&named, nest, path);
	ck_assert_msg(strncmp(out.err.field, named.s, strlen(named.s)) == 0, "%s %s=%s: %s", what, path, value,
		      out.err.field);
	strbuf_free(&named);
	ck_assert_uint_eq(out.err.line, 1);
	ck_assert_uint_gt(out.err.col, 1);
	ck_assert_uint_gt(strlen(out.err.reason), 0);
	ck_assert_int_eq(out.kind, kind);
	outcome_free(&out);
}

#endif
