/* The types a row of a schema table may have (schema.h declares them): text to value, with a reason if it is none.
 * Addresses and prefixes are types_addr.c's. */
#include "datastore/types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"

#define TEXT_MAX 4096u

/* Numbers, booleans and enumerations are stored as wide as their member is. */
void type_store_number(const struct schema_row *row, void *object, uint64_t v)
{
	void *at = schema_place(object, row->offset);
	uint32_t v32 = (uint32_t)v;
	uint16_t v16 = (uint16_t)v;
	uint8_t v8 = (uint8_t)v;

	if (row->size == sizeof v32)
		memcpy(at, &v32, sizeof v32);
	else if (row->size == sizeof v16)
		memcpy(at, &v16, sizeof v16);
	else if (row->size == sizeof v8)
		memcpy(at, &v8, sizeof v8);
	else
		abort(); /* no such member in any struct */
}

bool type_refuse(const struct schema_row *row, const struct yaml_node *n, struct object_error *err)
{
	return schema_refuse(err, n, "expected %s, not '%.60s'", row->type->expects, n->text);
}

static bool bool_of_text(const char *text, bool *value)
{
	static const char *const names[2][4] = {{"false", "no", "off"}, {"true", "yes", "on"}};

	for (int v = 0; v < 2; v++)
		for (const char *const *name = names[v]; *name; name++)
			if (strcasecmp(text, *name) == 0) {
				*value = v;
				return true;
			}
	return false;
}

static bool decode_bool(const struct schema_row *row, const struct yaml_node *n, void *object, struct object_error *err)
{
	bool v;

	if (n->quoted || !bool_of_text(n->text, &v))
		return type_refuse(row, n, err);
	type_store_number(row, object, v);
	return true;
}

/* Some releases of Calico write a boolean as a text. */
static bool decode_loose_bool(const struct schema_row *row, const struct yaml_node *n, void *object,
			      struct object_error *err)
{
	bool v = false;

	if (*n->text && !bool_of_text(n->text, &v))
		return type_refuse(row, n, err);
	type_store_number(row, object, v);
	return true;
}

static bool decode_uint(const struct schema_row *row, const struct yaml_node *n, void *object, struct object_error *err)
{
	uint64_t v;

	if (n->quoted || !schema_number(n->text, UINT64_MAX, &v))
		return type_refuse(row, n, err);
	if (v < row->min || v > row->max)
		return schema_refuse(err, n, "%.30s is out of range: %llu to %llu", n->text,
				     (unsigned long long)row->min, (unsigned long long)row->max);
	type_store_number(row, object, v);
	return true;
}

/* RFC 5396: asplain, and asdot ("1.10" is 65546). */
bool type_as_of_text(const char *text, uint32_t *as)
{
	const char *dot = strchr(text, '.');
	char high[8];
	uint64_t h = 0, v;

	if (dot) {
		snprintf(high, sizeof high, "%.*s", (int)(dot - text), text);
		if (dot - text >= (int)sizeof high || !schema_number(high, UINT16_MAX, &h) ||
		    !schema_number(dot + 1, UINT16_MAX, &v))
			return false;
	} else if (!schema_number(text, UINT32_MAX, &v)) {
		return false;
	}
	*as = (uint32_t)(h << 16 | v);
	return true;
}

/* AS 0 is reserved (RFC 7607). */
static bool decode_as(const struct schema_row *row, const struct yaml_node *n, void *object, struct object_error *err)
{
	uint32_t as;

	if (!type_as_of_text(n->text, &as))
		return type_refuse(row, n, err);
	if (as == 0)
		return schema_refuse(err, n, "AS 0 is reserved (RFC 7607)");
	type_store_number(row, object, as);
	return true;
}

static const struct {
	const char *name;
	double seconds;
} units[] = {
    {"h", 3600}, {"m", 60}, {"s", 1}, {"ms", 1e-3}, {"us", 1e-6}, {"\xc2\xb5s", 1e-6}, {"ns", 1e-9}, {"", 1},
};

/* One "90s" of a "2m90s"; a bare number, which is seconds, only as the whole. */
static bool take_duration_part(const char **text, bool first, double *seconds)
{
	size_t digits = strspn(*text, "0123456789."), letters = strcspn(*text + digits, "0123456789.");
	char number[32], *end;

	if (digits == 0 || digits >= sizeof number)
		return false;
	snprintf(number, sizeof number, "%.*s", (int)digits, *text);
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (strlen(units[i].name) != letters || strncmp(*text + digits, units[i].name, letters) != 0)
			continue;
		*seconds += strtod(number, &end) * units[i].seconds;
		*text += digits + letters;
		return !*end && (letters || first);
	}
	return false;
}

static bool decode_seconds(const struct schema_row *row, const struct yaml_node *n, void *object,
			   struct object_error *err)
{
	const char *at = n->text;
	double seconds = 0;

	do
		if (!take_duration_part(&at, at == n->text, &seconds))
			return type_refuse(row, n, err);
	while (*at);
	seconds += 0.5; /* Calico rounds to whole seconds */
	if (seconds < (double)row->min || seconds >= (double)row->max + 1)
		return schema_refuse(err, n, "%.30s is out of range: %llus to %llus", n->text,
				     (unsigned long long)row->min, (unsigned long long)row->max);
	type_store_number(row, object, (uint64_t)seconds);
	return true;
}

/* A text that is empty is one that is not set. */
void type_store_text(const struct schema_row *row, void *object, const char *text, size_t len)
{
	char *copy = len ? mem_strndup(text, len) : NULL;

	memcpy(schema_place(object, row->offset), &copy, sizeof copy);
}

static const char *text_at(const void *object, size_t offset)
{
	const char *text;

	memcpy(&text, schema_place_const(object, offset), sizeof text);
	return text;
}

void type_put_text(const struct schema_row *row, const void *object, struct strbuf *out)
{
	const char *text = text_at(object, row->offset);

	strbuf_putc(out, text ? 1 : 0);
	if (text)
		strbuf_add(out, text, strlen(text) + 1);
}

void type_drop_text(const struct schema_row *row, void *object)
{
	char *text;

	memcpy(&text, schema_place(object, row->offset), sizeof text);
	free(text);
}

static bool decode_text(const struct schema_row *row, const struct yaml_node *n, void *object, struct object_error *err)
{
	size_t len = strlen(n->text), max = row->max ? row->max : TEXT_MAX;

	/* The text itself is not repeated: it may be a password. */
	if (len < row->min || len > max)
		return schema_refuse(err, n, "expected a text of %llu to %zu characters, not of %zu",
				     (unsigned long long)row->min, max, len);
	type_store_text(row, object, n->text, len);
	return true;
}

/* Names become keys, parts of paths and of messages. The longest are those of workload endpoints, which are made of two
 * names of up to 253 characters each, with dashes doubled. */
bool schema_is_name(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len <= SCHEMA_NAME_MAX &&
	       strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._:") == len;
}

static bool decode_object_name(const struct schema_row *row, const struct yaml_node *n, void *object,
			       struct object_error *err)
{
	if (!schema_is_name(n->text))
		return type_refuse(row, n, err);
	type_store_text(row, object, n->text, strlen(n->text));
	return true;
}

static bool decode_ifname(const struct schema_row *row, const struct yaml_node *n, void *object,
			  struct object_error *err)
{
	size_t len = strlen(n->text);

	/* What the kernel refuses too (IFNAMSIZ, dev_valid_name). */
	if (len == 0 || len > 15 || n->text[strcspn(n->text, "/: \t\r\n\v\f")] || strcmp(n->text, ".") == 0 ||
	    strcmp(n->text, "..") == 0)
		return type_refuse(row, n, err);
	type_store_text(row, object, n->text, len);
	return true;
}

static bool decode_mac(const struct schema_row *row, const struct yaml_node *n, void *object, struct object_error *err)
{
	static const char hex[] = "0123456789abcdefABCDEF";
	size_t len = strlen(n->text);

	for (size_t i = 0; i < len; i++)
		if (i % 3 == 2 ? n->text[i] != ':' : !strchr(hex, n->text[i]))
			return type_refuse(row, n, err);
	if (len && len != 17)
		return type_refuse(row, n, err);
	type_store_text(row, object, n->text, len);
	return true;
}

static bool decode_enum(const struct schema_row *row, const struct yaml_node *n, void *object, struct object_error *err)
{
	char choice[120] = "";
	size_t used = 0;

	for (const struct schema_name *name = row->names; name->text; name++) {
		if (strcmp(name->text, n->text) == 0) {
			type_store_number(row, object, (uint64_t)name->value);
			return true;
		}
		if (*name->text && used < sizeof choice)
			used +=
			    (size_t)snprintf(choice + used, sizeof choice - used, "%s%s", used ? ", " : "", name->text);
	}
	return schema_refuse(err, n, "expected one of %s, not '%.60s'", choice, n->text);
}

static int name_value(const struct schema_name *names, const char *text)
{
	for (; names->text; names++)
		if (strcmp(names->text, text) == 0)
			return names->value;
	return -1;
}

/* A list of names: each sets the bit of its value. */
static bool decode_flags(const struct schema_row *row, const struct yaml_node *n, void *object,
			 struct object_error *err)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < n->count; i++) {
		const struct yaml_node *item = n->items[i];
		int value = item->type == YAML_SCALAR ? name_value(row->names, item->text) : -1;
		if (value < 0)
			return schema_refuse(err, item, "expected %s and the like, not '%.60s'", row->names->text,
					     item->type == YAML_SCALAR ? item->text : "...");
		bits |= UINT64_C(1) << value;
	}
	type_store_number(row, object, bits);
	return true;
}

/* The text, and beside it the parsed form. An empty selector is one that is not set. */
static bool decode_selector(const struct schema_row *row, const struct yaml_node *n, void *object,
			    struct object_error *err)
{
	char reason[120];
	struct selector *s;

	if (!n->text[strspn(n->text, " \t")])
		return true;
	s = selector_parse(n->text, reason, sizeof reason);
	if (!s)
		return schema_refuse(err, n, "not a selector: %s", reason);
	type_store_text(row, object, n->text, strlen(n->text));
	memcpy(schema_place(object, row->second), &s, sizeof s);
	return true;
}

static void drop_selector(const struct schema_row *row, void *object)
{
	struct selector *s;

	memcpy(&s, schema_place(object, row->second), sizeof s);
	selector_free(s);
	type_drop_text(row, object);
}

struct label {
	const char *key, *value;
};

static int label_cmp(const void *a, const void *b)
{
	return strcmp(((const struct label *)a)->key, ((const struct label *)b)->key);
}

static void store_labels(struct labels *l, struct label *pairs, size_t n)
{
	qsort(pairs, n, sizeof *pairs, label_cmp);
	l->count = (unsigned)n;
	l->keys = mem_alloc(n * sizeof *l->keys);
	l->values = mem_alloc(n * sizeof *l->values);
	for (size_t i = 0; i < n; i++) {
		l->keys[i] = mem_strdup(pairs[i].key);
		l->values[i] = mem_strdup(pairs[i].value);
	}
}

static bool decode_labels(const struct schema_row *row, const struct yaml_node *n, void *object,
			  struct object_error *err)
{
	struct label *pairs;

	for (size_t i = 0; i < n->count; i++)
		if (n->items[i]->type != YAML_SCALAR) {
			snprintf(err->field, sizeof err->field, "%s.%.80s", row->path, n->keys[i]);
			return schema_refuse(err, n->items[i], "expected a text");
		}
	if (n->count == 0)
		return true;
	pairs = mem_alloc(n->count * sizeof *pairs);
	for (size_t i = 0; i < n->count; i++)
		pairs[i] = (struct label){n->keys[i], yaml_is_null(n->items[i]) ? "" : n->items[i]->text};
	store_labels(schema_place(object, row->offset), pairs, n->count);
	free(pairs);
	return true;
}

static void put_labels(const struct schema_row *row, const void *object, struct strbuf *out)
{
	const struct labels *l = schema_place_const(object, row->offset);

	strbuf_add(out, &l->count, sizeof l->count);
	for (unsigned i = 0; i < l->count; i++) {
		strbuf_add(out, l->keys[i], strlen(l->keys[i]) + 1);
		strbuf_add(out, l->values[i], strlen(l->values[i]) + 1);
	}
}

static void drop_labels(const struct schema_row *row, void *object)
{
	struct labels *l = schema_place(object, row->offset);

	for (unsigned i = 0; i < l->count; i++) {
		free(l->keys[i]);
		free(l->values[i]);
	}
	free(l->keys);
	free(l->values);
}

/* "host:NODE" is that node's; "virtual:NAME" is nobody's. */
static bool decode_affinity(const struct schema_row *row, const struct yaml_node *n, void *object,
			    struct object_error *err)
{
	if (strncmp(n->text, "host:", 5) == 0 && n->text[5])
		type_store_text(row, object, n->text + 5, strlen(n->text + 5));
	else if (*n->text && strncmp(n->text, "virtual:", 8) != 0)
		return type_refuse(row, n, err);
	return true;
}

const struct schema_type schema_bool = {.expects = "true or false", .decode = decode_bool};
const struct schema_type schema_loose_bool = {.expects = "true or false", .decode = decode_loose_bool};
const struct schema_type schema_uint = {.expects = "a number", .decode = decode_uint};
const struct schema_type schema_as = {
    .expects = "an AS number (64512, or 1.10)",
    .decode = decode_as,
};
const struct schema_type schema_seconds = {.expects = "a duration (90s, 2m0s)", .decode = decode_seconds};
const struct schema_type schema_text = {
    .expects = "a text",
    .decode = decode_text,
    .put = type_put_text,
    .drop = type_drop_text,
};
const struct schema_type schema_object_name = {
    .expects = "a name of letters, digits, '-', '.', '_', ':'",
    .decode = decode_object_name,
    .put = type_put_text,
    .drop = type_drop_text,
};
const struct schema_type schema_ifname = {
    .expects = "an interface name of at most 15 characters",
    .decode = decode_ifname,
    .put = type_put_text,
    .drop = type_drop_text,
};
const struct schema_type schema_mac = {
    .expects = "a MAC address",
    .decode = decode_mac,
    .put = type_put_text,
    .drop = type_drop_text,
};
const struct schema_type schema_enum = {.expects = "a name", .decode = decode_enum};
const struct schema_type schema_flags = {.expects = "a list of names", .takes = YAML_LIST, .decode = decode_flags};
const struct schema_type schema_selector = {
    .expects = "a selector",
    .decode = decode_selector,
    .put = type_put_text,
    .drop = drop_selector,
};
const struct schema_type schema_labels = {
    .expects = "a map of labels",
    .takes = YAML_MAP,
    .decode = decode_labels,
    .put = put_labels,
    .drop = drop_labels,
};
const struct schema_type schema_affinity = {
    .expects = "host:NODE or virtual:NAME",
    .decode = decode_affinity,
    .put = type_put_text,
    .drop = type_drop_text,
};
