#include "datastore/remote/json.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* ---- Reading ---- */

struct builder {
	struct arena *arena;
	unsigned nodes;
	const char *error;
};

static struct yaml_node *node_new(struct arena *a, enum yaml_type type)
{
	struct yaml_node *n = arena_alloc(a, sizeof *n);

	*n = (struct yaml_node){.type = type};
	return n;
}

static char *arena_text(struct arena *a, const char *text, size_t len)
{
	char *copy = arena_alloc(a, len + 1);

	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

static struct yaml_node *scalar(struct arena *a, const char *text, size_t len, bool quoted)
{
	struct yaml_node *n = node_new(a, YAML_SCALAR);

	n->text = arena_text(a, text, len);
	n->quoted = quoted;
	return n;
}

static struct yaml_node *word(struct arena *a, const json_t *v)
{
	char text[40];

	switch (json_typeof(v)) {
	case JSON_INTEGER:
		snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
		break;
	case JSON_REAL:
		snprintf(text, sizeof text, "%.17g", json_real_value(v));
		break;
	default:
		snprintf(text, sizeof text, "%s", json_is_true(v) ? "true" : json_is_false(v) ? "false" : "null");
	}
	return scalar(a, text, strlen(text), false);
}

static struct yaml_node *convert(struct builder *b, json_t *v, unsigned depth);

static bool convert_map(struct builder *b, struct yaml_node *n, json_t *v, unsigned depth)
{
	const char *key;
	json_t *value;

	n->keys = arena_alloc(b->arena, json_object_size(v) * sizeof(char *));
	n->items = arena_alloc(b->arena, json_object_size(v) * sizeof(struct yaml_node *));
	json_object_foreach(v, key, value)
	{
		n->keys[n->count] = arena_text(b->arena, key, strlen(key));
		n->items[n->count] = convert(b, value, depth);
		if (!n->items[n->count++])
			return false;
	}
	return true;
}

static bool convert_list(struct builder *b, struct yaml_node *n, const json_t *v, unsigned depth)
{
	n->items = arena_alloc(b->arena, json_array_size(v) * sizeof(struct yaml_node *));
	for (size_t i = 0; i < json_array_size(v); i++) {
		n->items[i] = convert(b, json_array_get(v, i), depth);
		if (!n->items[i])
			return false;
		n->count++;
	}
	return true;
}

static struct yaml_node *convert(struct builder *b, json_t *v, unsigned depth)
{
	struct yaml_node *n;

	if (++b->nodes > YAML_MAX_NODES) {
		b->error = "the document is too large";
		return NULL;
	}
	if (json_is_string(v))
		return scalar(b->arena, json_string_value(v), json_string_length(v), true);
	if (!json_is_object(v) && !json_is_array(v))
		return word(b->arena, v);
	if (depth == YAML_MAX_DEPTH) {
		b->error = "lists and maps are nested too deep";
		return NULL;
	}
	n = node_new(b->arena, json_is_object(v) ? YAML_MAP : YAML_LIST);
	return (json_is_object(v) ? convert_map(b, n, v, depth + 1) : convert_list(b, n, v, depth + 1)) ? n : NULL;
}

struct yaml_node *json_parse(const char *text, size_t len, struct arena *a, char err[static JSON_ERROR_LEN])
{
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY;
	struct builder b = {.arena = a};
	struct yaml_node *root;
	json_error_t e;
	json_t *v = json_loadb(text, len, flags, &e);

	/* A number beyond 63 bits is none that routing needs: its last digits may go. */
	if (!v && json_error_code(&e) == json_error_numeric_overflow)
		v = json_loadb(text, len, flags | JSON_DECODE_INT_AS_REAL, &e);
	if (!v) {
		snprintf(err, JSON_ERROR_LEN, "is not JSON: octet %d: %.150s", e.position, e.text);
		return NULL;
	}
	root = convert(&b, v, 0);
	json_decref(v);
	if (!root)
		snprintf(err, JSON_ERROR_LEN, "%s", b.error);
	return root;
}

struct yaml_node *json_at(const struct yaml_node *map, const char *path)
{
	char key[128];

	for (;;) {
		size_t n = strcspn(path, ".");
		struct yaml_node *value;
		if (n >= sizeof key)
			return NULL;
		memcpy(key, path, n);
		key[n] = '\0';
		value = yaml_get(map, key);
		if (!value || !path[n])
			return value;
		map = value;
		path += n + 1;
	}
}

const char *json_text_at(const struct yaml_node *map, const char *path)
{
	const struct yaml_node *n = json_at(map, path);

	return n && n->type == YAML_SCALAR && !yaml_is_null(n) ? n->text : NULL;
}

/* ---- Building ---- */

struct yaml_node *json_new_map(struct arena *a)
{
	return node_new(a, YAML_MAP);
}

struct yaml_node *json_new_list(struct arena *a)
{
	return node_new(a, YAML_LIST);
}

struct yaml_node *json_new_text(struct arena *a, const char *text)
{
	return scalar(a, text, strlen(text), true);
}

struct yaml_node *json_new_word(struct arena *a, const char *text)
{
	return scalar(a, text, strlen(text), false);
}

static void *moved(struct arena *a, const void *old, size_t count, size_t room, size_t size)
{
	void *fresh = arena_alloc(a, room * size);

	if (count)
		memcpy(fresh, old, count * size);
	return fresh;
}

static void add(struct arena *a, struct yaml_node *n, char *key, struct yaml_node *value)
{
	if (n->count >= n->room) {
		n->room = n->count ? n->count * 2 : 4;
		n->items = moved(a, n->items, n->count, n->room, sizeof(struct yaml_node *));
		if (n->type == YAML_MAP)
			n->keys = moved(a, n->keys, n->count, n->room, sizeof(char *));
	}
	if (n->type == YAML_MAP)
		n->keys[n->count] = key;
	n->items[n->count++] = value;
}

void json_set(struct arena *a, struct yaml_node *map, const char *key, struct yaml_node *value)
{
	for (size_t i = 0; i < map->count; i++) {
		if (strcmp(map->keys[i], key) == 0) {
			map->items[i] = value;
			return;
		}
	}
	add(a, map, arena_text(a, key, strlen(key)), value);
}

void json_remove(struct yaml_node *map, const char *key)
{
	size_t n = 0;

	for (size_t i = 0; i < map->count; i++) {
		if (strcmp(map->keys[i], key) == 0)
			continue;
		map->keys[n] = map->keys[i];
		map->items[n++] = map->items[i];
	}
	map->count = n;
}

void json_append(struct arena *a, struct yaml_node *list, struct yaml_node *value)
{
	add(a, list, NULL, value);
}

/* ---- Writing ---- */

/* RFC 8259 section 7: quotes, backslashes and control characters are escaped; the rest is UTF-8 already. */
static void write_text(struct strbuf *out, const char *text)
{
	strbuf_putc(out, '"');
	for (const char *c = text; *c; c++) {
		if (*c == '"' || *c == '\\')
			strbuf_printf(out, "\\%c", *c);
		else if ((unsigned char)*c < 0x20)
			strbuf_printf(out, "\\u%04x", (unsigned)*c);
		else
			strbuf_putc(out, *c);
	}
	strbuf_putc(out, '"');
}

void json_write(struct strbuf *out, const struct yaml_node *n)
{
	if (n->type == YAML_SCALAR && n->quoted) {
		write_text(out, n->text);
		return;
	}
	if (n->type == YAML_SCALAR) {
		strbuf_puts(out, n->text);
		return;
	}
	strbuf_putc(out, n->type == YAML_MAP ? '{' : '[');
	for (size_t i = 0; i < n->count; i++) {
		if (i)
			strbuf_putc(out, ',');
		if (n->type == YAML_MAP) {
			write_text(out, n->keys[i]);
			strbuf_putc(out, ':');
		}
		json_write(out, n->items[i]);
	}
	strbuf_putc(out, n->type == YAML_MAP ? '}' : ']');
}
