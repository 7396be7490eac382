#include "datastore/objects.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/buf.h"
#include "daemon/base/mem.h"
#include "datastore/schema.h"

/* What became of one document. */
struct outcome {
	struct object *o; /* NULL: refused */
	struct object_error err;
	int kind;
	char *name;
	struct strbuf reported; /* "FIELD LINE reason;" each */
	unsigned docs;
};

static void on_report(void *arg, const char *field, unsigned line, unsigned col, const char *reason)
{
	struct outcome *out = arg;

	ck_assert_uint_gt(col, 0);
	strbuf_printf(&out->reported, "%s %u %s;", field, line, reason);
}

static void on_doc(void *arg, struct yaml_node *root)
{
	struct outcome *out = arg;

	out->docs++;
	out->o = object_decode(root, &out->err, &out->kind, &out->name, on_report, out);
}

static struct outcome decode(const char *text)
{
	struct outcome out = {0};
	struct yaml_error err;

	ck_assert_msg(yaml_parse(text, strlen(text), on_doc, &out, &err), "%s: %u:%u %s", text, err.line, err.col,
		      err.reason);
	ck_assert_uint_eq(out.docs, 1);
	strbuf_puts(&out.reported, "");
	return out;
}

static void outcome_free(struct outcome *out)
{
	object_free(out->o);
	free(out->name);
	strbuf_free(&out->reported);
}

static struct object *decode_good(const char *text)
{
	struct outcome out = decode(text);
	struct object *o = out.o;

	ck_assert_msg(o != NULL, "%s: %u:%u %s: %s", text, out.err.line, out.err.col, out.err.field, out.err.reason);
	ck_assert_str_eq(out.reported.s, "");
	out.o = NULL;
	outcome_free(&out);
	return o;
}

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

static void check_row(int kind, const struct schema_row *row);

/* By type: two values that differ from each other and from what is there without the field, and values that are none.
 */
static const struct type_samples {
	const struct schema_type *type;
	const char *good[2], *bad[14];
} type_samples[] = {
    {&schema_bool, {"true", "false"}, {"1", "'true'", "maybe", "''"}},
    {&schema_loose_bool, {"true", "false"}, {"1", "maybe", "'x'"}},
    {&schema_uint, {"20", "21"}, {"-1", "x", "'20'", "1.5", "0x20", "99999999999999999999", "'20 '"}},
    {&schema_as,
     {"64999", "'1.10'"},
     {"0", "'0'", "-1", "4294967296", "x", "65536.1", "1.65536", "1.", ".1", "1.2.3", "'1 '"}},
    {&schema_seconds, {"2m0s", "'90s'"}, {"x", "s", "-5s", "1x", "5s7", "1.2.3s", "''", "0s", "100000h", "1e5s"}},
    {&schema_text, {"abc", "'def ghi'"}, {0}},
    {&schema_object_name, {"abc", "d-e.f"}, {"''", "a/b", "'a b'", "'a\tb'", "a@b"}},
    {&schema_ifname, {"cali1", "eth0.5"}, {"''", "a234567890123456", "a/b", "'a b'", "..", ".", "'a:b'"}},
    {&schema_mac,
     {"'ee:ee:ee:ee:ee:ee'", "66:b3:68:28:39:8e"},
     {"ee:ee", "ee:ee:ee:ee:ee:eg", "ee-ee-ee-ee-ee-ee", "eee:ee:ee:ee:ee:e", "ee:ee:ee:ee:ee:ee:ee"}},
    {&schema_addr,
     {"10.0.0.1", "10.0.0.2"},
     {"x", "10.0.0", "10.0.0.1/24", "0.0.0.0", "'::'", "224.0.0.1", "255.255.255.255", "ff02::1"}},
    {&schema_host_addr,
     {0},
     {"x", "10.0.0", "10.0.0.1/33", "10.0.0.1/", "fd00::1/129", "0.0.0.0/0", "239.1.1.1/8", "ff02::1/64"}},
    {&schema_endpoint,
     {"10.0.0.7", "'[fd00::1]:1790'"},
     {"x", "'10.0.0.1:'", "10.0.0.1:0", "10.0.0.1:65536", "'[fd00::1]'", "'[fd00::1:5'", "'[10.0.0.1]:5'", "'fd00::g'",
      "10.0.0.1/32", "224.0.0.5", "host:179", "0.0.0.0:179"}},
    {&schema_cluster_id, {"10.0.0.1", "'1.2.3.4'"}, {"5", "0.0.0.0", "fd00::1", "x"}},
    {&schema_prefix,
     {"10.1.0.0/26", "'fd00:1::/122'"},
     {"x", "10.0.0.0/33", "fd00::/129", "''", "10.0.0.0-26", "10.0.0.0/2x"}},
    {&schema_prefixes, {"[10.0.0.1/32]", "['fd00::1', 10.0.0.2]"}, {"[x]", "[[10.0.0.1]]", "[10.0.0.1, {}]", "[null]"}},
    {&schema_cidrs,
     {"[{cidr: 10.96.0.0/12}]", "[{cidr: 'fd00::/112'}, {cidr: 10.0.0.2}]"},
     {"[x]", "[10.96.0.0/12]", "[{cidr: [10.0.0.1]}]", "[{cidr: x}]", "[{}]", "[null]", "[{cidr: ''}]"}},
    {&schema_internal_ips,
     {"[{address: n1, type: Hostname}, {address: 10.0.0.1, type: InternalIP}]",
      "[{address: 10.0.0.1, type: InternalIP}, {address: 'fd00::1', type: InternalIP}]"},
     {0}},
    {&schema_flags, {"[ipv4]", "[ipv6, ipv4]"}, {"[x]", "[[ipv4]]", "[ipv4, {}]", "[null]"}},
    {&schema_selector, {"has(a)", "\"rack == 'r1'\""}, {"rack", "'rack == r1'", "'('"}},
    {&schema_texts, {"[a, b]", "[ab]"}, {"[[a]]", "[a, {}]", "[null]", "['']"}},
    {&schema_as_list,
     {"[65001, '1.10']", "[65001, 5]"},
     {"[x]", "[[1]]", "[-1]", "[4294967296]", "[1, {}]", "[null]", "[1, '']"}},
    {&schema_community,
     {"'65000:100'", "65000:1:4294967295"},
     {"x", "'1'", "'1:'", "'65536:1'", "'1:65536'", "'1:2:'", "'1:2:3:4'", "'1:2:4294967296'", "'-1:2'", "''",
      "'1:2 '"}},
    {&schema_communities, {"['65000:100']", "['1:2:3']"}, {"[x]", "[[a]]", "['1:2:3:4']", "[{}]", "[null]"}},
    {&schema_labels, {"{a: b}", "{a: b, c: '1'}"}, {"{a: [b]}", "{a: {b: c}}"}},
    {&schema_affinity, {"host:n1", "host:n2"}, {"n1", "'host:'", "'host'"}},
};

static const struct type_samples *samples_of(const struct schema_row *row)
{
	static struct type_samples addr4 = {0}, addr6 = {0};

	for (size_t i = 0; i < sizeof type_samples / sizeof *type_samples; i++) {
		if (type_samples[i].type != row->type)
			continue;
		if (!row->af)
			return &type_samples[i];
		/* Addresses of a family: good are its own, bad the other's too. */
		addr4 = addr6 = type_samples[i];
		addr4.good[0] = addr6.bad[8] = "10.0.0.1";
		addr4.good[1] = addr6.bad[9] = row->type == &schema_host_addr ? "10.0.0.1/24" : "'10.0.0.2'";
		addr6.good[0] = addr4.bad[8] = "fd00::1";
		addr6.good[1] = addr4.bad[9] = row->type == &schema_host_addr ? "'fd00::1/64'" : "'fd00::2'";
		return row->af == AF_INET ? &addr4 : &addr6;
	}
	ck_abort_msg("%s: no samples for its type", row->path);
	return NULL;
}

static uint64_t stored_number(const struct schema_row *row, const struct object *o)
{
	const uint8_t *at = (const uint8_t *)innermost(nest, o) + row->offset;
	uint32_t v32;
	uint16_t v16;

	if (row->size == 1)
		return *at;
	memcpy(&v16, at, sizeof v16);
	if (row->size == 2)
		return v16;
	ck_assert_uint_eq(row->size, 4);
	memcpy(&v32, at, sizeof v32);
	return v32;
}

static void check_stored(int kind, const struct schema_row *row, const char *value, uint64_t expected)
{
	struct outcome out = try_field(kind, row->path, value);

	ck_assert_msg(out.o != NULL, "%s=%s: %s", row->path, value, out.err.reason);
	ck_assert_uint_eq(stored_number(row, out.o), expected);
	if (row->present)
		ck_assert(*(const bool *)schema_place_const(innermost(nest, out.o), row->present));
	outcome_free(&out);
}

/* The ends of a range, and what is beyond them. */
static void check_range(int kind, const struct schema_row *row)
{
	const char *unit = row->type == &schema_seconds ? "s" : "";
	char text[40];

	snprintf(text, sizeof text, "%llu%s", (unsigned long long)row->min, unit);
	check_stored(kind, row, text, row->min);
	snprintf(text, sizeof text, "%llu%s", (unsigned long long)row->max, unit);
	check_stored(kind, row, text, row->max);
	snprintf(text, sizeof text, "%llu%s", (unsigned long long)row->max + 1, unit);
	check_refused(kind, row->path, text);
	if (row->min == 0)
		return;
	snprintf(text, sizeof text, "%llu%s", (unsigned long long)row->min - 1, unit);
	check_refused(kind, row->path, text);
}

static void check_enum(int kind, const struct schema_row *row)
{
	char text[40];

	for (const struct schema_name *name = row->names; name->text; name++) {
		snprintf(text, sizeof text, "'%s'", name->text);
		check_stored(kind, row, text, (uint64_t)name->value);
	}
	check_refused(kind, row->path, "nonsense");
	check_refused(kind, row->path, "never");
}

static void check_text_length(int kind, const struct schema_row *row)
{
	size_t max = row->max ? row->max : 4096;
	char *text = mem_alloc(max + 2);
	uint64_t digest;

	memset(text, 'x', max + 1);
	text[max + 1] = '\0';
	check_refused(kind, row->path, text);
	text[max] = '\0';
	check_taken(kind, row->path, text, &digest);
	free(text);
	if (row->min)
		check_refused(kind, row->path, "''");
}

/* Fields that are not required by their row, and yet none of the kind can do without. */
static bool is_needed(const struct schema_row *row)
{
	static const char *const needed[] = {"spec.peerIP", "cidr", "matchOperator"};

	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
		if (strcmp(row->path, needed[i]) == 0)
			return true;
	return row->required || (nest && nest->least == least_operation);
}

/* A list of maps: its length, and each row of its items. */
static void check_items(int kind, const struct schema_row *row)
{
	struct nest inner = {.outer = nest, .list = row};
	const struct field *some = NULL;
	struct strbuf one = {0}, two = {0}, many = {0};
	uint64_t digest[3];

	for (size_t i = 0; i < sizeof item_samples / sizeof *item_samples; i++) {
		if (strcmp(item_samples[i].list, row->path) != 0)
			continue;
		inner.least = item_samples[i].least;
		some = item_samples[i].some;
	}
	ck_assert_msg(some != NULL, "%s: no samples for its items", row->path);
	render_item(&one, some, NULL, NULL);
	strbuf_printf(&two, "[%s, %s]", one.s, one.s);
	strbuf_printf(&many, "[%s", one.s);
	for (uint64_t n = 0; n < row->max; n++)
		strbuf_printf(&many, ",%s", one.s);
	strbuf_puts(&many, "]");
	check_taken(kind, row->path, "[]", &digest[0]);
	check_taken(kind, row->path, two.s, &digest[2]);
	strbuf_reset(&two);
	strbuf_printf(&two, "[%s]", one.s);
	check_taken(kind, row->path, two.s, &digest[1]);
	ck_assert(digest[0] != digest[1] && digest[1] != digest[2]);
	if (row->max)
		check_refused(kind, row->path, many.s);
	check_refused(kind, row->path, "[x]");
	check_refused(kind, row->path, "[[]]");
	check_refused(kind, row->path, "[null]");
	nest = &inner;
	for (unsigned i = 0; i < row->items->row_count; i++)
		check_row(kind, &row->items->rows[i]);
	nest = inner.outer;
	strbuf_free(&one);
	strbuf_free(&two);
	strbuf_free(&many);
}

/* {"calidris.io/NAME": "VALUE"} for a field of ours. */
static char *annotation_of(const char *path, const char *value)
{
	struct strbuf text = {0};

	strbuf_printf(&text, "{\"calidris.io/%s\": \"", path + strlen("spec."));
	for (const char *c = value; *c; c++)
		strbuf_printf(&text, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
	strbuf_puts(&text, "\"}");
	return text.s;
}

/* What a field of ours says, an annotation of its name says, too. */
static void check_annotation(int kind, const struct schema_row *row, const char *value)
{
	struct outcome field = try_field(kind, row->path, value), annotation;
	bool is_identity = strncmp(row->path, "spec.peerRange", 14) == 0 || strcmp(row->path, "spec.interface") == 0;
	char *text = annotation_of(row->path, value);

	/* These cannot stand beside the peerIP of the least document. */
	if (!is_identity) {
		annotation = try_field(kind, "metadata.annotations", text);
		ck_assert_msg(!field.o == !annotation.o, "%s: %s", text, annotation.err.reason);
		if (field.o) {
			ck_assert_msg(field.o->digest == annotation.o->digest, "%s", text);
			ck_assert_str_eq(annotation.reported.s, "");
		} else {
			ck_assert_msg(strstr(annotation.err.field, "metadata.annotations[calidris.io/") != NULL, "%s",
				      annotation.err.field);
		}
		outcome_free(&annotation);
	}
	outcome_free(&field);
	free(text);
}

/* Everything that a decoded field owes: two values that are told apart, and nothing else accepted. */
static void check_taken_row(int kind, const struct schema_row *row)
{
	struct outcome absent = try_field(kind, row->path, NULL), null = try_field(kind, row->path, "null");
	bool needed = is_needed(row);
	struct strbuf named = {0};
	uint64_t digest[2];

	ck_assert_msg(!absent.o == needed && !null.o == needed, "%s absent", row->path);
	full_path(&named, nest, nest && nest->least == least_operation ? "" : row->path);
	if (needed)
		ck_assert_str_eq(absent.err.field, named.s);
	strbuf_free(&named);
	check_refused(kind, row->path, row->type->takes == YAML_LIST ? "{}" : "[]");
	check_refused(kind, row->path, row->type->takes == YAML_SCALAR ? "[x]" : "x");
	if (row->type == &schema_enum) {
		check_enum(kind, row);
	} else if (row->items) {
		check_items(kind, row);
	} else {
		const struct type_samples *s = samples_of(row);
		for (int i = 0; i < 2; i++) {
			check_taken(kind, row->path, s->good[i], &digest[i]);
			if (row->ours)
				check_annotation(kind, row, s->good[i]);
			if (absent.o && row->type != &schema_bool && row->type != &schema_loose_bool)
				ck_assert_msg(digest[i] != absent.o->digest, "%s=%s", row->path, s->good[i]);
		}
		ck_assert_msg(digest[0] != digest[1], "%s", row->path);
		for (const char *const *bad = s->bad; *bad; bad++)
			check_refused(kind, row->path, *bad);
		if (row->ours && s->bad[0])
			check_annotation(kind, row, s->bad[0]);
	}
	if (row->type == &schema_uint || row->type == &schema_seconds)
		check_range(kind, row);
	if (row->type == &schema_text)
		check_text_length(kind, row);
	outcome_free(&absent);
	outcome_free(&null);
}

static void check_not_taken(int kind, const char *path, const char *value, const char *reason)
{
	struct outcome out = try_field(kind, path, value);
	char expected[300] = "";

	ck_assert_msg(out.o != NULL, "%s=%s: %s: %s", path, value, out.err.field, out.err.reason);
	if (*reason)
		snprintf(expected, sizeof expected, "%s 1 %s;", path, reason);
	ck_assert_str_eq(out.reported.s, expected);
	outcome_free(&out);
}

static void check_row(int kind, const struct schema_row *row)
{
	static const char *const values[] = {"x", "5", "true", "[x]", "[{a: b}]", "{a: {b: [c]}}"};
	bool later = row->use == SCHEMA_LATER;
	char first[60];

	if (row->use == SCHEMA_TAKEN) {
		check_taken_row(kind, row);
		return;
	}
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		/* Node's status has fields of its own; allocations and attributes have a form. */
		bool special = strcmp(row->path, "status") == 0 || strcmp(row->path, "spec.allocations") == 0 ||
			       strcmp(row->path, "spec.attributes") == 0;
		if (!special)
			check_not_taken(kind, row->path, values[i],
					!later	   ? ""
					: row->why ? row->why
						   : "not honoured yet");
	}
	check_not_taken(kind, row->path, "null", "");
	if (!later)
		return;
	check_not_taken(kind, row->path, "[]", "");
	check_not_taken(kind, row->path, "{}", "");
	snprintf(first, sizeof first, "'%.*s'", row->def ? (int)strcspn(row->def, "|") : 0, row->def ? row->def : "");
	check_not_taken(kind, row->path, first, "");
	if (row->def && strchr(row->def, '|'))
		check_not_taken(kind, row->path, strchr(row->def, '|') + 1, "");
}

START_TEST(test_every_row)
{
	const struct schema *s = object_schema((enum object_kind)_i);

	for (unsigned i = 0; i < s->row_count; i++)
		check_row(_i, &s->rows[i]);
}
END_TEST

/* What schema.h demands of a table: no row twice, rows of one map together, values that do not overlap. */
START_TEST(test_tables)
{
	const struct schema *s = object_schema((enum object_kind)_i);

	ck_assert_uint_le(s->row_count, SCHEMA_ROWS_MAX);
	for (unsigned i = 0; i < s->row_count; i++) {
		const struct schema_row *row = &s->rows[i];
		size_t map = strrchr(row->path, '.') ? (size_t)(strrchr(row->path, '.') - row->path) + 1 : 0;
		bool left = false;
		for (unsigned j = i + 1; j < s->row_count; j++) {
			const struct schema_row *other = &s->rows[j];
			bool same = strncmp(row->path, other->path, map) == 0;
			ck_assert_str_ne(row->path, other->path);
			ck_assert_msg(!(left && same), "%s is apart from %s", other->path, row->path);
			left = left || !same;
			if (row->use == SCHEMA_TAKEN && other->use == SCHEMA_TAKEN)
				ck_assert_msg(row->offset + row->size <= other->offset ||
						  other->offset + other->size <= row->offset,
					      "%s and %s share a place", row->path, other->path);
		}
		ck_assert_msg((row->use == SCHEMA_TAKEN) == (row->type != NULL), "%s", row->path);
		ck_assert_uint_le(row->offset + row->size, s->size);
	}
}
END_TEST

/* Annotations: maps and lists, who wins beside a field, what is none of ours, and where a wrong one stands. */
START_TEST(test_annotations)
{
	struct outcome out =
	    decode("apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata:\n  name: x\n"
		   "  annotations:\n    calidris.io/bfd: '{\"enabled\": true, \"detectMultiplier\": 5}'\n"
		   "    calidris.io/families: ipv4, ipv6\n    calidris.io/holdTime: 9s\n"
		   "    calidris.io/asNumber: '5'\n    calidris.io/nonsense: x\n    example.org/y: z\n"
		   "    calidris.io/prefixLimit.maximum: '7'\n    calidris.io/passive: ''\n"
		   "    calidris.io/password: '{secretKeyRef: {name: a, key: b}}'\n"
		   "spec: {peerIP: 10.0.0.1, holdTime: 30}\n");
	const struct obj_bgp_peer *p = (const void *)out.o;

	ck_assert_msg(out.o != NULL, "%s: %s", out.err.field, out.err.reason);
	ck_assert(p->bfd.enabled && p->bfd.multiplier == 5);
	ck_assert_uint_eq(p->opt.families, 3);
	ck_assert_uint_eq(p->opt.prefix_limit, 7);
	ck_assert_uint_eq(p->hold_time, 30);
	ck_assert_uint_eq(p->as_number, 0);
	ck_assert(!p->passive && !p->password && !p->secret.name);
	ck_assert_str_eq(out.reported.s,
			 "calidris.io/holdTime 8 the field of that name is there, too, and counts;"
			 "calidris.io/asNumber 9 not a known annotation;calidris.io/nonsense 10 not a known annotation;"
			 "calidris.io/password 14 not a known field;calidris.io/password 14 not a known field;");
	outcome_free(&out);
	out = decode("apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata:\n  name: x\n  annotations:\n"
		     "    calidris.io/bfd: '{detectMultiplier: 500}'\nspec: {peerIP: 10.0.0.1}\n");
	ck_assert_ptr_null(out.o);
	ck_assert_str_eq(out.err.field, "metadata.annotations[calidris.io/bfd]");
	ck_assert_uint_eq(out.err.line, 6);
	ck_assert_str_eq(out.err.reason, "500 is out of range: 1 to 255");
	outcome_free(&out);
	out = decode("{apiVersion: projectcalico.org/v3, kind: BGPPeer, metadata: {name: x, annotations: "
		     "{calidris.io/bfd: '{'}}, spec: {peerIP: 10.0.0.1}}");
	ck_assert_ptr_null(out.o);
	ck_assert_str_eq(out.err.field, "metadata.annotations[calidris.io/bfd]");
	outcome_free(&out);
}
END_TEST

/* A condition that is not known must not be left out: the rule would match what it was not meant for. */
START_TEST(test_filter_is_strict)
{
	struct outcome out = decode("apiVersion: projectcalico.org/v3\nkind: BGPFilter\nmetadata: {name: x}\nspec:\n"
				    "  importV4: []\n  exportV6:\n  - action: Accept\n"
				    "  - {action: Accept, vrf: blue}\n");

	ck_assert_ptr_null(out.o);
	ck_assert_str_eq(out.err.field, "spec.exportV6[1].vrf");
	ck_assert_uint_eq(out.err.line, 8);
	ck_assert_str_eq(out.err.reason, "not a known field");
	outcome_free(&out);
}
END_TEST

/* The fields of Calico's API (and of its Enterprise edition's BGPPeer), of the objects' specs unless they say status,
 * and what is done with each: '+' it is honoured, '-' nothing follows from it, which the row says why, '!' it is
 * reported by name wherever it is set. A map that is read as a whole has no fields of its own. */
static const struct {
	enum object_kind kind;
	const char *fields;
} calicos[] = {
    {OBJ_NODE, "+bgp.asNumber +bgp.ipv4Address +bgp.ipv4IPIPTunnelAddr +bgp.ipv6Address +bgp.routeReflectorClusterID "
	       "+ipv4VXLANTunnelAddr +ipv6VXLANTunnelAddr +vxlanTunnelMACAddr +vxlanTunnelMACAddrV6 -orchRefs "
	       "+wireguard.interfaceIPv4Address +wireguard.interfaceIPv6Address +addresses -interfaces "
	       "+status.podCIDRs +status.wireguardPublicKey +status.wireguardPublicKeyV6"},
    {OBJ_IP_POOL, "+cidr +vxlanMode +ipipMode -natOutgoing +disabled +disableBGPExport +blockSize +nodeSelector "
		  "-namespaceSelector -allowedUses -assignmentMode !ipip -nat-outgoing"},
    {OBJ_BGP_CONFIGURATION,
     "+logSeverityScreen +nodeToNodeMeshEnabled +asNumber +serviceClusterIPs +serviceExternalIPs "
     "+serviceLoadBalancerIPs +serviceLoadBalancerAggregation +communities +prefixAdvertisements +listenPort "
     "+nodeMeshPassword.secretKeyRef.name +nodeMeshPassword.secretKeyRef.key -nodeMeshPassword.secretKeyRef.optional "
     "+nodeMeshMaxRestartTime +bindMode -ignoredInterfaces +localWorkloadPeeringIPV4 +localWorkloadPeeringIPV6 "
     "+programClusterRoutes +ipv4NormalRoutePriority +ipv6NormalRoutePriority"},
    {OBJ_BGP_PEER, "+node +nodeSelector +peerIP +asNumber +peerSelector +localASNumber +keepOriginalNextHop "
		   "+nextHopMode +password.secretKeyRef.name +password.secretKeyRef.key "
		   "-password.secretKeyRef.optional +sourceAddress +maxRestartTime +keepaliveTime "
		   "+numAllowedLocalASNumbers +ttlSecurity +reachableBy +filters +localWorkloadSelector "
		   "+reversePeering !failureDetectionMode !restartMode !birdGatewayMode !externalNetwork"},
    {OBJ_BGP_FILTER, "+exportV4 +importV4 +exportV6 +importV6"},
    {OBJ_WORKLOAD_ENDPOINT,
     "-orchestrator -workload +node -containerID +pod +endpoint -serviceAccountName +ipNetworks !ipNATs -ipv4Gateway "
     "-ipv6Gateway -profiles +interfaceName +mac -ports !allowSpoofedSourcePrefixes -qosControls"},
    {OBJ_BLOCK_AFFINITY, "+state +node +type +cidr +deleted"},
    {OBJ_IPAM_BLOCK, "+cidr +affinity -hostAffinity -affinityClaimTime -strictAffinity -allocations -unallocated "
		     "-attributes +deleted -sequenceNumber -sequenceNumberForAllocation"},
};

/* A rule of a BGPFilter, whose lists have them all alike. */
static const char rule_fields[] = "cidr matchOperator prefixLength.min prefixLength.max source interface peerType "
				  "communities.values asPathPrefix priority action operations";
static const char operation_fields[] = "addCommunity.value prependASPath.prefix setPriority.value";

static const struct schema_row *find_row(const struct schema *s, const char *path)
{
	for (unsigned i = 0; i < s->row_count; i++)
		if (strcmp(s->rows[i].path, path) == 0)
			return &s->rows[i];
	return NULL;
}

START_TEST(test_calicos_fields)
{
	static const char *const head[] = {"spec.", ""};
	const struct schema *s = object_schema(calicos[_i].kind);
	char fields[1024], path[80], *save = NULL;
	unsigned named = 0, rows = 0;

	snprintf(fields, sizeof fields, "%s", calicos[_i].fields);
	for (char *field = strtok_r(fields, " ", &save); field; field = strtok_r(NULL, " ", &save), named++) {
		const enum schema_use use = *field == '+' ? SCHEMA_TAKEN : *field == '-' ? SCHEMA_QUIET : SCHEMA_LATER;
		const struct schema_row *row;

		snprintf(path, sizeof path, "%s%s", head[strncmp(field + 1, "status.", 7) == 0], field + 1);
		row = find_row(s, path);
		ck_assert_msg(row && !row->ours, "%s: %s is not known", s->kind, path);
		ck_assert_msg(row->use == use, "%s: %s: not %c", s->kind, path, *field);
		ck_assert_msg(use == SCHEMA_TAKEN || (row->why && *row->why), "%s: %s: why?", s->kind, path);
	}
	/* Nothing else is known. */
	for (unsigned i = 0; i < s->row_count; i++)
		rows += !s->rows[i].ours &&
			(strncmp(s->rows[i].path, "spec.", 5) == 0 || strncmp(s->rows[i].path, "status.", 7) == 0) &&
			!strstr(s->rows[i].path, "echo") && strcmp(s->rows[i].path, "spec.affinity_claim_time") != 0;
	ck_assert_msg(rows == named, "%s: %u fields are known, %u are Calico's", s->kind, rows, named);
}
END_TEST

static void check_all_taken(const struct schema *s, const char *list)
{
	char fields[512], *save = NULL;
	unsigned named = 0;

	snprintf(fields, sizeof fields, "%s", list);
	for (char *field = strtok_r(fields, " ", &save); field; field = strtok_r(NULL, " ", &save), named++) {
		const struct schema_row *row = find_row(s, field);

		ck_assert_msg(row && row->use == SCHEMA_TAKEN, "%s", field);
	}
	ck_assert_uint_eq(named, s->row_count);
}

START_TEST(test_calicos_rules)
{
	static const char *const lists[] = {"spec.importV4", "spec.importV6", "spec.exportV4", "spec.exportV6"};
	const struct schema *s = object_schema(OBJ_BGP_FILTER);

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		const struct schema *rule = find_row(s, lists[i])->items;

		check_all_taken(rule, rule_fields);
		check_all_taken(find_row(rule, "operations")->items, operation_fields);
	}
}
END_TEST

/* What fields mean to each other they mean as annotations, too: who the peer is, and what excludes it. */
START_TEST(test_annotations_together)
{
	static const struct {
		const char *annotations, *spec, *field, *reason; /* field NULL: it is taken */
	} cases[] = {
	    {"calidris.io/peerRange: 10.0.0.0/24", "asNumber: 5", NULL, NULL},
	    {"calidris.io/interface: eth0", "asNumber: 5", NULL, NULL},
	    {"calidris.io/interface: eth0", "peerIP: 'fe80::1', asNumber: 5", NULL, NULL},
	    {"calidris.io/peerRange: 10.0.0.0/24", "peerIP: 10.0.0.1", "spec.peerIP", "excludes spec.peerRange"},
	    {"calidris.io/interface: eth0", "peerSelector: all()", "spec.peerSelector", "excludes spec.interface"},
	    {"calidris.io/interface: eth0", "peerIP: 10.0.0.1", "spec.interface", "is for link-local peers"},
	    {"calidris.io/vrf: red, calidris.io/kernelTable: '300'", "peerIP: 10.0.0.1, asNumber: 5", NULL, NULL},
	    {"calidris.io/kernelTable: '255'", "peerIP: 10.0.0.1", "spec.kernelTable", "the node's own addresses"},
	    {"calidris.io/vrf: red", "peerSelector: all()", "spec.peerSelector", "excludes spec.vrf"},
	    {"calidris.io/vrf: red", "localWorkloadSelector: all()", "spec.localWorkloadSelector", "excludes spec.vrf"},
	    {"calidris.io/vrf: red, calidris.io/peerRange: 10.0.0.0/24", "asNumber: 5", "spec.peerRange",
	     "excludes spec.vrf"},
	    {"calidris.io/vrf: red, calidris.io/bfd.enabled: 'true'", "peerIP: 10.0.0.1", "spec.bfd.enabled",
	     "no BFD in a VRF"},
	    {"calidris.io/vrf: red, calidris.io/bfd.enabled: 'false'", "peerIP: 10.0.0.1, asNumber: 5", NULL, NULL},
	    {"calidris.io/holdTime: '9'", "asNumber: 5", "spec.peerIP", "missing"},
	    /* A field of Calico's cannot be an annotation. */
	    {"calidris.io/peerIP: 10.0.0.1", "asNumber: 5", "spec.peerIP", "missing"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *text = mem_printf("{apiVersion: projectcalico.org/v3, kind: BGPPeer, metadata: {name: x, "
					"annotations: {%s}}, spec: {%s}}",
					cases[i].annotations, cases[i].spec);
		struct outcome out = decode(text);

		ck_assert_msg(!out.o == !!cases[i].field, "%s: %s", text, out.err.reason);
		if (cases[i].field)
			ck_assert_msg(strstr(out.err.reason, cases[i].reason) != NULL, "%s: %s", text, out.err.reason);
		outcome_free(&out);
		free(text);
	}
}
END_TEST

START_TEST(test_unknown_fields)
{
	struct outcome out = decode("apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: {name: x, nmae: y}\n"
				    "spec:\n  peerIP: 10.0.0.1\n  asNumbr: 5\n  Node: n1\n  spec.node: n2\n"
				    "  password:\n    secretKeyRef: {name: a, key: b}\n    secret: c\nspec.node: n3\n"
				    "metadata.name: n4\nstuff: {a: {b: c}}\n");

	ck_assert_ptr_nonnull(out.o);
	ck_assert_str_eq(out.reported.s, "metadata.nmae 3 not a known field;"
					 "spec.asNumbr 6 not a known field;"
					 "spec.Node 7 not a known field;"
					 "spec.spec.node 8 not a known field;"
					 "spec.password.secret 11 not a known field;"
					 "spec.node 12 not a known field;"
					 "metadata.name 13 not a known field;"
					 "stuff 14 not a known field;");
	ck_assert_str_eq(out.o->name, "x");
	ck_assert_ptr_null(((struct obj_bgp_peer *)(void *)out.o)->node);
	outcome_free(&out);
}
END_TEST

/* Documents that are refused as a whole: where, which field, why, and who was meant. */
static const struct {
	const char *text, *at, *reason, *name; /* at: "LINE:COL FIELD" */
	int kind;
} refused[] = {
    {"- a\n", "1:1 ", "expected an object", NULL, -1},
    {"text\n", "1:1 ", "expected an object", NULL, -1},
    {"{}\n", "1:1 kind", "missing", NULL, -1},
    {"kind: [Node]\n", "1:7 kind", "missing", NULL, -1},
    {"kind: Pod\nmetadata: {name: x}\n", "1:7 kind", "'Pod' is not a known kind", NULL, -1},
    {"kind: LiveMigration\nmetadata: {name: x}\n", "1:7 kind", "LiveMigration is not read: a Work", NULL, -1},
    {"kind: CalicoNodeStatus\nmetadata: {name: x}\n", "1:7 kind", "where the datastore is the Kubernetes API", NULL,
     -1},
    {"kind: Node\nmetadata: {name: x}\n", "1:1 apiVersion", "expected projectcalico.org/v3", "x", OBJ_NODE},
    {"kind: Node\napiVersion: v2\nmetadata: {name: x}\n", "2:13 apiVersion", "not 'v2'", "x", OBJ_NODE},
    {"kind: Node\napiVersion: projectcalico.org/v3\n", "1:1 metadata.name", "missing: expected a name", NULL, OBJ_NODE},
    {"kind: Node\napiVersion: projectcalico.org/v3\nmetadata: {name: ''}\n", "3:18 metadata.name", "expected a name",
     NULL, OBJ_NODE},
    {"kind: Node\napiVersion: projectcalico.org/v3\nmetadata: [name]\n", "3:11 metadata", "expected a map, not a list",
     NULL, OBJ_NODE},
    {"kind: Node\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\nspec: 5\n", "4:7 spec",
     "expected a map, not a plain value", "x", OBJ_NODE},
    {"kind: Node\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\nspec:\n  bgp:\n    asNumber: 1\n    asNumber: "
     "2\n",
     "7:5 ", "\"asNumber\" is there twice", "x", OBJ_NODE},
    {"kind: IPPool\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\nspec:\n  cidr: fd00::/64\n  ipipMode: "
     "Always\n",
     "6:13 spec.ipipMode", "IPv4 pools only", "x", OBJ_IP_POOL},
    {"kind: IPPool\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {cidr: 10.0.0.0/8, vxlanMode: Always, ipipMode: CrossSubnet}\n",
     "4:37 spec.vxlanMode", "excludes ipipMode", "x", OBJ_IP_POOL},
    {"kind: BGPPeer\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n", "1:1 spec.peerIP", "missing", "x",
     OBJ_BGP_PEER},
    {"kind: BGPPeer\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {node: a, nodeSelector: all(), peerIP: 10.0.0.1}\n",
     "4:31 spec.nodeSelector", "excludes spec.node", "x", OBJ_BGP_PEER},
    {"kind: BGPPeer\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {peerIP: 10.0.0.1, peerSelector: all()}\n",
     "4:16 spec.peerIP", "excludes spec.peerSelector", "x", OBJ_BGP_PEER},
    {"kind: BGPPeer\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {peerIP: 10.0.0.1, reachableBy: 'fd00::1'}\n",
     "4:39 spec.reachableBy", "of the family of spec.peerIP", "x", OBJ_BGP_PEER},
    {"kind: BGPFilter\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {exportV4: [{action: Accept}, {action: Accept, cidr: 10.0.0.0/8}]}\n",
     "4:37 spec.exportV4[1].matchOperator", "missing", "x", OBJ_BGP_FILTER},
    {"kind: BGPFilter\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {exportV4: [{action: Accept, prefixLength: {min: 8}}]}\n",
     "4:50 spec.exportV4[0].prefixLength", "needs a cidr", "x", OBJ_BGP_FILTER},
    {"kind: BGPFilter\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {exportV4: [{action: Accept, cidr: 10.0.0.0/8, matchOperator: In, prefixLength: {min: 9, max: 8}}]}\n",
     "4:93 spec.exportV4[0].prefixLength.min", "is above", "x", OBJ_BGP_FILTER},
    {"kind: BGPFilter\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {importV6: [{action: Reject, operations: [{setPriority: {value: 5}}]}]}\n",
     "4:48 spec.importV6[0].operations", "are for rules with the action Accept", "x", OBJ_BGP_FILTER},
    {"kind: BGPFilter\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {importV6: [{action: Accept, operations: [{setPriority: {value: 5}, addCommunity: {value: '1:2'}}]}]}\n",
     "4:49 spec.importV6[0].operations[0]", "expected one of", "x", OBJ_BGP_FILTER},
    {"kind: BGPPeer\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {asNumber: 1, peerSelector: all()}\n",
     "4:18 spec.asNumber", "excludes spec.peerSelector", "x", OBJ_BGP_PEER},
    {"kind: WorkloadEndpoint\napiVersion: projectcalico.org/v3\nmetadata: {name: x, namespace: ns}\n"
     "spec: {node: n, interfaceName: c, ipNetworks: [10.0.0.1, 10.0.0.0/24]}\n",
     "4:47 spec.ipNetworks", "item 1: expected a /32 or /128", "ns/x", OBJ_WORKLOAD_ENDPOINT},
    {"kind: BlockAffinity\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\nspec: {node: n, cidr: 10.0.0.0/16}\n",
     "4:23 spec.cidr", "a block is /20 to /32", "x", OBJ_BLOCK_AFFINITY},
    {"kind: IPAMBlock\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\nspec: {cidr: 'fd00::/64'}\n",
     "4:14 spec.cidr", "a block is /20 to /32", "x", OBJ_IPAM_BLOCK},
    {"kind: IPAMBlock\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {cidr: 10.0.0.0/31, allocations: [null, null, null]}\n",
     "4:40 spec.allocations", "3 addresses in a block of 2", "x", OBJ_IPAM_BLOCK},
    {"kind: IPAMBlock\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {cidr: 10.0.0.0/26, allocations: [null, 1], attributes: [{}]}\n",
     "4:47 spec.allocations[1]", "one of the 1 attributes", "x", OBJ_IPAM_BLOCK},
    {"kind: IPAMBlock\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {cidr: 10.0.0.0/26, allocations: [-1], attributes: [{}]}\n",
     "4:41 spec.allocations[0]", "expected null", "x", OBJ_IPAM_BLOCK},
    {"kind: IPAMBlock\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
     "spec: {cidr: 10.0.0.0/26, allocations: [[0]], attributes: [{}]}\n",
     "4:41 spec.allocations[0]", "expected null", "x", OBJ_IPAM_BLOCK},
    {"kind: IPAMBlock\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\nspec: {cidr: 10.0.0.0/26, allocations: "
     "x}\n",
     "4:40 spec.allocations", "expected a list", "x", OBJ_IPAM_BLOCK},
    {"kind: IPAMBlock\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\nspec: {cidr: 10.0.0.0/26, attributes: "
     "{}}\n",
     "4:39 spec.attributes", "expected a list", "x", OBJ_IPAM_BLOCK},
};

START_TEST(test_refused)
{
	struct outcome out = decode(refused[_i].text);
	char at[200];

	ck_assert_msg(!out.o, "%s", refused[_i].text);
	snprintf(at, sizeof at, "%u:%u %s", out.err.line, out.err.col, out.err.field);
	ck_assert_str_eq(at, refused[_i].at);
	ck_assert_msg(strstr(out.err.reason, refused[_i].reason) != NULL, "%s", out.err.reason);
	ck_assert_int_eq(out.kind, refused[_i].kind);
	if (refused[_i].name)
		ck_assert_pstr_eq(out.name, refused[_i].name);
	else
		ck_assert_ptr_null(out.name);
	outcome_free(&out);
}
END_TEST

static void assert_addr(const struct addr *a, const char *text)
{
	char buf[ADDR_STRLEN];

	ck_assert_str_eq(addr_format(a, buf), text);
}

static void assert_prefix(const struct prefix *p, const char *text)
{
	char buf[PREFIX_STRLEN];

	ck_assert_str_eq(prefix_format(p, buf), text);
}

START_TEST(test_node)
{
	struct object *o = decode_good(
	    "{\"kind\":\"Node\",\"apiVersion\":\"projectcalico.org/v3\",\"metadata\":{\"name\":\"node-1\","
	    "\"uid\":\"6e9f\",\"creationTimestamp\":\"2026-08-01T10:00:00Z\",\"labels\":{\"rack\":\"r1\",\"a\":\"b\"}},"
	    "\"spec\":{\"bgp\":{\"asNumber\":64512,\"ipv4Address\":\"10.192.0.2/16\",\"ipv6Address\":\"2001:20::8/64\","
	    "\"ipv4IPIPTunnelAddr\":\"10.244.1.0\",\"routeReflectorClusterID\":\"10.0.0.1\"},"
	    "\"ipv4VXLANTunnelAddr\":\"10.244.1.1\",\"ipv6VXLANTunnelAddr\":\"fd00::1\","
	    "\"vxlanTunnelMACAddr\":\"66:b3:68:28:39:8e\",\"vxlanTunnelMACAddrV6\":\"66:b3:68:28:39:8f\","
	    "\"orchRefs\":[{\"nodeName\":\"node-1\",\"orchestrator\":\"k8s\"}],"
	    "\"addresses\":[{\"address\":\"10.192.0.2/16\",\"type\":\"CalicoNodeIP\"}]},"
	    "\"status\":{\"podCIDRs\":[\"10.244.1.0/24\",\"fd00::/64\"],\"wireguardPublicKey\":\"x\"}}");
	const struct obj_node *n = object_node(o);

	ck_assert_int_eq(o->kind, OBJ_NODE);
	ck_assert_str_eq(o->name, "node-1");
	ck_assert_str_eq(o->namespace, "");
	ck_assert_uint_eq(o->labels.count, 2);
	ck_assert_str_eq(o->labels.keys[0], "a");
	ck_assert_str_eq(labels_get(&o->labels, "rack"), "r1");
	ck_assert_uint_eq(n->as_number, 64512);
	assert_addr(&n->ipv4.addr, "10.192.0.2");
	ck_assert_uint_eq(n->ipv4.len, 16);
	assert_addr(&n->ipv6.addr, "2001:20::8");
	ck_assert_uint_eq(n->ipv6.len, 64);
	assert_addr(&n->ipip_tunnel, "10.244.1.0");
	assert_addr(&n->vxlan_tunnel, "10.244.1.1");
	assert_addr(&n->vxlan_tunnel6, "fd00::1");
	ck_assert_str_eq(n->vxlan_mac, "66:b3:68:28:39:8e");
	ck_assert_str_eq(n->vxlan_mac6, "66:b3:68:28:39:8f");
	ck_assert(n->has_cluster_id);
	ck_assert_uint_eq(n->cluster_id, 0x0a000001);
	ck_assert_uint_eq(n->pod_cidr_count, 2);
	assert_prefix(&n->pod_cidrs[1], "fd00::/64");
	object_free(o);
	/* Without a mask: a host's own. */
	o = decode_good("{kind: Node, apiVersion: crd.projectcalico.org/v1, metadata: {name: n}, "
			"spec: {bgp: {ipv4Address: 10.0.0.1, ipv6Address: ''}}}");
	ck_assert_uint_eq(object_node(o)->ipv4.len, 32);
	ck_assert(addr_is_none(&object_node(o)->ipv6.addr));
	ck_assert(!object_node(o)->has_cluster_id);
	object_free(o);
}
END_TEST

START_TEST(test_ip_pool)
{
	struct object *o =
	    decode_good("{kind: IPPool, apiVersion: projectcalico.org/v3, metadata: {name: p}, spec: {"
			"cidr: 10.244.3.4/16, vxlanMode: Never, ipipMode: CrossSubnet, natOutgoing: true, "
			"blockSize: 26, nodeSelector: all(), allowedUses: [Workload, Tunnel], "
			"assignmentMode: Automatic, disabled: true, disableBGPExport: true}, "
			"status: {conditions: [{type: Allocatable, status: 'True'}]}}");
	const struct obj_ip_pool *p = (const void *)o;

	assert_prefix(&p->cidr, "10.244.0.0/16");
	ck_assert_int_eq(p->ipip, ENCAP_CROSS_SUBNET);
	ck_assert_int_eq(p->vxlan, ENCAP_NEVER);
	ck_assert(p->disabled && p->disable_bgp_export);
	ck_assert_uint_eq(p->block_size, 26);
	ck_assert_str_eq(p->node_selector, "all()");
	object_free(o);
}
END_TEST

START_TEST(test_bgp_configuration)
{
	struct object *o =
	    decode_good("{kind: BGPConfiguration, apiVersion: projectcalico.org/v3, metadata: {name: default}, "
			"spec: {logSeverityScreen: Info, nodeToNodeMeshEnabled: false, asNumber: '1.10', "
			"listenPort: 1790, bindMode: NodeIP, nodeMeshMaxRestartTime: 2m0s, "
			"ipv4NormalRoutePriority: 512, ipv6NormalRoutePriority: 513}}");
	const struct obj_bgp_configuration *c = (const void *)o;

	ck_assert(c->has_mesh && !c->mesh_enabled && c->bind_node_ip);
	ck_assert_uint_eq(c->as_number, 65546);
	ck_assert_uint_eq(c->listen_port, 1790);
	ck_assert_uint_eq(c->mesh_restart_time, 120);
	ck_assert_str_eq(c->log_severity, "Info");
	ck_assert_uint_eq(c->ipv4_priority, 512);
	ck_assert_uint_eq(c->ipv6_priority, 513);
	object_free(o);
	o = decode_good(
	    "{kind: BGPConfiguration, apiVersion: projectcalico.org/v3, metadata: {name: default}, spec: {}}");
	c = (const void *)o;
	ck_assert(!c->has_mesh && c->mesh_enabled);
	object_free(o);
}
END_TEST

START_TEST(test_bgp_peer)
{
	struct object *o = decode_good(
	    "{kind: BGPPeer, apiVersion: projectcalico.org/v3, metadata: {name: rack1-tor}, spec: {"
	    "nodeSelector: \"rack == 'r1'\", peerIP: '[fd00::5]:1790', asNumber: 65101, localASNumber: 65000, "
	    "maxRestartTime: 90s, keepaliveTime: 1m, ttlSecurity: 1, numAllowedLocalASNumbers: 2, nextHopMode: Keep, "
	    "keepOriginalNextHop: true, sourceAddress: None, reversePeering: Manual, holdTime: 9, passive: true, "
	    "password: s3cret}}");
	const struct obj_bgp_peer *p = (const void *)o;
	struct labels none = {0};

	ck_assert_str_eq(p->node_selector, "rack == 'r1'");
	ck_assert(p->node_sel && !selector_match(p->node_sel, &none) && !p->peer_sel && !p->node);
	assert_addr(&p->peer_ip, "fd00::5");
	ck_assert_uint_eq(p->peer_port, 1790);
	ck_assert_uint_eq(p->as_number, 65101);
	ck_assert_uint_eq(p->local_as, 65000);
	ck_assert_uint_eq(p->restart_time, 90);
	ck_assert_uint_eq(p->keepalive_time, 60);
	ck_assert_uint_eq(p->hold_time, 9);
	ck_assert_uint_eq(p->ttl_security, 1);
	ck_assert_uint_eq(p->allowed_local_as, 2);
	ck_assert_int_eq(p->next_hop_mode, NEXT_HOP_KEEP);
	ck_assert(p->keep_original_next_hop && p->no_source_address && p->manual_reverse_peering && p->passive);
	ck_assert_str_eq(p->password, "s3cret");
	object_free(o);
	/* Empty means not set. */
	o = decode_good("{kind: BGPPeer, apiVersion: projectcalico.org/v3, metadata: {name: x}, "
			"spec: {node: '', nodeSelector: ' ', peerIP: '', peerSelector: has(rr)}}");
	p = (const void *)o;
	ck_assert(!p->node && !p->node_selector && !p->node_sel && addr_is_none(&p->peer_ip));
	ck_assert_str_eq(p->peer_selector, "has(rr)");
	ck_assert_ptr_nonnull(p->peer_sel);
	object_free(o);
}
END_TEST

static const struct {
	const char *text, *addr;
	unsigned port;
} endpoints[] = {
    {"10.0.0.1", "10.0.0.1", 0},
    {"10.0.0.1:179", "10.0.0.1", 179},
    {"10.0.0.1:65535", "10.0.0.1", 65535},
    {"fd00::1", "fd00::1", 0},
    {"[fd00::1]:1", "fd00::1", 1},
    {"fd00::1:179", "fd00::1:179", 0},
    {"[::ffff:10.0.0.1]:5", "::ffff:10.0.0.1", 5},
};

START_TEST(test_endpoints)
{
	char value[80];
	struct outcome out;
	const struct obj_bgp_peer *p;

	snprintf(value, sizeof value, "'%s'", endpoints[_i].text);
	out = try_field(OBJ_BGP_PEER, "spec.peerIP", value);
	ck_assert_ptr_nonnull(out.o);
	p = (const void *)out.o;
	assert_addr(&p->peer_ip, endpoints[_i].addr);
	ck_assert_uint_eq(p->peer_port, endpoints[_i].port);
	outcome_free(&out);
}
END_TEST

static const struct {
	const char *text;
	uint64_t value;
} durations[] = {
    {"90s", 90},  {"2m0s", 120}, {"1h", 3600},	   {"1h1m1s", 3661}, {"1.5s", 2},	  {"1499ms", 1},
    {"120", 120}, {"0.5m", 30},	 {"1500000us", 2}, {"2m", 120},	     {"2000000000ns", 2}, {"1.4s", 1},
};

START_TEST(test_durations)
{
	struct outcome out = try_field(OBJ_BGP_PEER, "spec.maxRestartTime", durations[_i].text);

	ck_assert_ptr_nonnull(out.o);
	ck_assert_uint_eq(((struct obj_bgp_peer *)(void *)out.o)->restart_time, durations[_i].value);
	outcome_free(&out);
}
END_TEST

START_TEST(test_workload_endpoint)
{
	struct object *o = decode_good(
	    "{kind: WorkloadEndpoint, apiVersion: projectcalico.org/v3, metadata: {name: node--1-k8s-web--0-eth0, "
	    "namespace: shop}, spec: {orchestrator: k8s, node: node-1, pod: web-0, endpoint: eth0, containerID: 3a, "
	    "ipNetworks: [10.244.1.5/32, 'fd00::5'], profiles: [kns.default], interfaceName: cali0d7763386da, "
	    "mac: 'ee:ee:ee:ee:ee:ee'}}");
	const struct obj_workload_endpoint *w = (const void *)o;

	ck_assert_str_eq(o->namespace, "shop");
	ck_assert_str_eq(w->node, "node-1");
	ck_assert_str_eq(w->interface, "cali0d7763386da");
	ck_assert_str_eq(w->pod, "web-0");
	ck_assert_str_eq(w->endpoint, "eth0");
	ck_assert_str_eq(w->mac, "ee:ee:ee:ee:ee:ee");
	ck_assert_uint_eq(w->network_count, 2);
	assert_prefix(&w->networks[0], "10.244.1.5/32");
	assert_prefix(&w->networks[1], "fd00::5/128");
	object_free(o);
	o = decode_good("{kind: WorkloadEndpoint, apiVersion: projectcalico.org/v3, metadata: {name: w}, "
			"spec: {node: n, interfaceName: c}}");
	ck_assert_str_eq(o->namespace, "default");
	object_free(o);
}
END_TEST

static const struct {
	const char *spec;
	enum affinity_state state;
	bool virtual, deleted;
} affinities[] = {
    {"node: n, cidr: 10.0.0.0/26", AFFINITY_CONFIRMED, false, false},
    {"node: n, cidr: 10.0.0.0/26, state: '', type: ''", AFFINITY_CONFIRMED, false, false},
    {"node: n, cidr: 10.0.0.0/26, state: confirmed, type: host, deleted: 'false'", AFFINITY_CONFIRMED, false, false},
    {"node: n, cidr: 10.0.0.0/26, state: pending, deleted: 'true'", AFFINITY_PENDING, false, true},
    {"node: n, cidr: 10.0.0.0/26, state: pendingDeletion, deleted: true", AFFINITY_PENDING_DELETION, false, true},
    {"node: lb, cidr: 'fd00::/122', state: confirmed, type: virtual, deleted: ''", AFFINITY_CONFIRMED, true, false},
};

START_TEST(test_block_affinity)
{
	char *text =
	    mem_printf("{kind: BlockAffinity, apiVersion: crd.projectcalico.org/v1, metadata: {name: a}, spec: {%s}}",
		       affinities[_i].spec);
	struct object *o = decode_good(text);
	const struct obj_block_affinity *a = (const void *)o;

	ck_assert_int_eq(a->state, affinities[_i].state);
	ck_assert(a->virtual == affinities[_i].virtual);
	ck_assert(a->deleted == affinities[_i].deleted);
	object_free(o);
	free(text);
}
END_TEST

START_TEST(test_ipam_block)
{
	struct object *o = decode_good(
	    "{kind: IPAMBlock, apiVersion: crd.projectcalico.org/v1, metadata: {name: 10-244-1-0-29}, spec: {"
	    "cidr: 10.244.1.0/29, affinity: 'host:node-1', affinityClaimTime: x, "
	    "allocations: [0, null, 1, 2, 3, 4, 5, 6], unallocated: [1], strictAffinity: false, deleted: false, "
	    "sequenceNumber: 1722500000, sequenceNumberForAllocation: {'0': 1, '2': 2}, attributes: ["
	    "{handle_id: ipip-tunnel-addr-node-1, secondary: {node: node-1, type: ipipTunnelAddress}}, "
	    "{handle_id: k8s-pod-network.3a, secondary: {namespace: default, node: node-1, pod: web-0}}, "
	    "{handle_id: x, secondary: {node: node-2}, alternateOwnerAttrs: {node: node-3}}, "
	    "{releasedAt: '2026-08-01T10:00:00Z'}, "
	    "{handle_id: x, secondary: {node: node-1}, releasedAt: '2026-08-01T10:00:00Z'}, "
	    "{handle_id: x, secondary: null}, "
	    "{secondary: {node: node-1}}]}}");
	const struct obj_ipam_block *b = (const void *)o;
	static const struct ipam_owner owners[] = {{0, "node-1"}, {2, "node-1"}, {3, "node-2"}, {7, "node-1"}};

	assert_prefix(&b->cidr, "10.244.1.0/29");
	ck_assert_str_eq(b->node, "node-1");
	ck_assert(!b->deleted);
	ck_assert_uint_eq(b->owner_count, 4);
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_uint_eq(b->owners[i].ordinal, owners[i].ordinal);
		ck_assert_str_eq(b->owners[i].node, owners[i].node);
	}
	object_free(o);
}
END_TEST

static const struct {
	const char *spec, *node; /* node NULL: nobody's */
} block_nodes[] = {
    {"affinity: 'host:n1'", "n1"},
    {"affinity: null", NULL},
    {"affinity: ''", NULL},
    {"affinity: 'virtual:load-balancer'", NULL},
    {"hostAffinity: n1", "n1"},
    {"hostAffinity: n1, affinity: 'host:n2'", "n2"},
    {"affinity: 'virtual:lb', hostAffinity: n1", NULL},
};

START_TEST(test_block_nodes)
{
	char *text = mem_printf("{kind: IPAMBlock, apiVersion: projectcalico.org/v3, metadata: {name: b}, "
				"spec: {cidr: 'fd00:1::/122', %s, deleted: 'true'}}",
				block_nodes[_i].spec);
	struct object *o = decode_good(text);
	const struct obj_ipam_block *b = (const void *)o;

	if (block_nodes[_i].node)
		ck_assert_pstr_eq(b->node, block_nodes[_i].node);
	else
		ck_assert_ptr_null(b->node);
	ck_assert(b->deleted);
	ck_assert_uint_eq(b->owner_count, 0);
	object_free(o);
	free(text);
}
END_TEST

/* Different owners, same everything else: a change. The place in the document, the resource version: none. */
START_TEST(test_digest)
{
	static const char form[] = "%s{kind: IPAMBlock, apiVersion: projectcalico.org/v3, metadata: {name: b, "
				   "resourceVersion: '%u', uid: u%u}, spec: {cidr: 10.0.0.0/26, allocations: [%s], "
				   "attributes: [{secondary: {node: %s}}, {secondary: {node: n2}}]}}";
	static const char *const variants[][3] = {
	    {"", "0", "n1"}, {"\n\n", "0", "n1"}, {"", "1", "n1"},
	    {"", "0", "n9"}, {"", "0, 0", "n1"},  {"", "null, 0", "n1"},
	};
	uint64_t digest[6];

	for (unsigned i = 0; i < 6; i++) {
		char *text = mem_printf(form, variants[i][0], i, i, variants[i][1], variants[i][2]);
		struct object *o = decode_good(text);
		digest[i] = o->digest;
		object_free(o);
		free(text);
	}
	ck_assert_uint_eq(digest[0], digest[1]);
	for (unsigned i = 1; i < 6; i++)
		for (unsigned j = i + 1; j < 6; j++)
			ck_assert_uint_ne(digest[i], digest[j]);
}
END_TEST

START_TEST(test_kinds)
{
	for (int k = 0; k < OBJ_KIND_COUNT; k++) {
		ck_assert_int_eq(object_kind_by_name(object_kind_name((enum object_kind)k)), k);
		ck_assert(!object_kind_is_foreign(object_kind_name((enum object_kind)k)));
		ck_assert(object_kind_has_namespace((enum object_kind)k) ==
			  (k == OBJ_WORKLOAD_ENDPOINT || k == OBJ_SERVICE || k == OBJ_ENDPOINT_SLICE));
	}
	ck_assert_int_eq(object_kind_by_name("node"), -1);
	ck_assert(object_kind_is_foreign("IPReservation"));
	ck_assert(!object_kind_is_foreign("BGPFilter") && !object_kind_is_foreign("Pod"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("objects");
	TCase *t = tcase_create("objects");
	SRunner *sr = srunner_create(s);
	int failures;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_tables, 0, OBJ_KIND_COUNT);
	tcase_add_loop_test(t, test_every_row, 0, OBJ_KIND_COUNT);
	tcase_add_test(t, test_unknown_fields);
	tcase_add_loop_test(t, test_calicos_fields, 0, sizeof calicos / sizeof *calicos);
	tcase_add_test(t, test_calicos_rules);
	tcase_add_test(t, test_annotations);
	tcase_add_test(t, test_annotations_together);
	tcase_add_test(t, test_filter_is_strict);
	tcase_add_loop_test(t, test_refused, 0, sizeof refused / sizeof *refused);
	tcase_add_test(t, test_node);
	tcase_add_test(t, test_ip_pool);
	tcase_add_test(t, test_bgp_configuration);
	tcase_add_test(t, test_bgp_peer);
	tcase_add_loop_test(t, test_endpoints, 0, sizeof endpoints / sizeof *endpoints);
	tcase_add_loop_test(t, test_durations, 0, sizeof durations / sizeof *durations);
	tcase_add_test(t, test_workload_endpoint);
	tcase_add_loop_test(t, test_block_affinity, 0, sizeof affinities / sizeof *affinities);
	tcase_add_test(t, test_ipam_block);
	tcase_add_loop_test(t, test_block_nodes, 0, sizeof block_nodes / sizeof *block_nodes);
	tcase_add_test(t, test_digest);
	tcase_add_test(t, test_kinds);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
