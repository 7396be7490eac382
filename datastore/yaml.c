#include "datastore/yaml.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "daemon/base/mem.h"

/* A finished node that waits for the end of the list or map it stands in, with its key if that is a map. */
struct child {
	struct yaml_node *node;
	char *key;
};

/* A list or map that is still open. Its children so far are children[first...]. */
struct open_node {
	struct yaml_node *node;
	size_t first;
	char *key; /* of the value that comes next; NULL: a key comes next */
	unsigned key_line, key_col;
};

/* Builds the tree of one document from events. Nodes, keys and texts live in the arena, and die with the document. */
struct builder {
	struct arena arena;
	struct child *children;
	size_t child_count, child_cap;
	struct open_node open[YAML_MAX_DEPTH];
	unsigned depth;
	unsigned nodes;
	struct yaml_node *root;
	struct yaml_error *err;
};

static bool fail(struct yaml_error *err, const yaml_mark_t *at, const char *reason)
{
	err->line = (unsigned)at->line + 1;
	err->col = (unsigned)at->column + 1;
	snprintf(err->reason, sizeof err->reason, "%s", reason);
	return false;
}

static struct yaml_node *node_new(struct builder *b, enum yaml_type type, const yaml_event_t *ev)
{
	struct yaml_node *n;

	if (++b->nodes > YAML_MAX_NODES) {
		fail(b->err, &ev->start_mark, "the document is too large");
		return NULL;
	}
	n = arena_alloc(&b->arena, sizeof *n);
	*n = (struct yaml_node){.type = type};
	n->line = n->key_line = (unsigned)ev->start_mark.line + 1;
	n->col = n->key_col = (unsigned)ev->start_mark.column + 1;
	return n;
}

static char *arena_text(struct builder *b, const void *text, size_t len)
{
	char *copy = arena_alloc(&b->arena, len + 1);

	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

/* Puts a finished node where it belongs: into the innermost open list or map, or at the top. */
static void place(struct builder *b, struct yaml_node *n)
{
	struct open_node *parent = b->depth ? &b->open[b->depth - 1] : NULL;

	if (!parent) {
		b->root = n;
		return;
	}
	if (b->child_count == b->child_cap) {
		b->child_cap = b->child_cap ? b->child_cap * 2 : 64;
		b->children = mem_realloc(b->children, b->child_cap * sizeof *b->children);
	}
	if (parent->node->type == YAML_MAP) {
		n->key_line = parent->key_line;
		n->key_col = parent->key_col;
	}
	b->children[b->child_count++] = (struct child){.node = n, .key = parent->key};
	parent->key = NULL;
}

static bool wants_key(const struct builder *b)
{
	return b->depth && b->open[b->depth - 1].node->type == YAML_MAP && !b->open[b->depth - 1].key;
}

static bool take_key(struct builder *b, const yaml_event_t *ev)
{
	struct open_node *parent = &b->open[b->depth - 1];

	parent->key = arena_text(b, ev->data.scalar.value, ev->data.scalar.length);
	parent->key_line = (unsigned)ev->start_mark.line + 1;
	parent->key_col = (unsigned)ev->start_mark.column + 1;
	return true;
}

static bool on_scalar(struct builder *b, const yaml_event_t *ev)
{
	struct yaml_node *n;

	if (memchr(ev->data.scalar.value, '\0', ev->data.scalar.length))
		return fail(b->err, &ev->start_mark, "a NUL character in a text");
	if (wants_key(b))
		return take_key(b, ev);
	n = node_new(b, YAML_SCALAR, ev);
	if (!n)
		return false;
	n->text = arena_text(b, ev->data.scalar.value, ev->data.scalar.length);
	n->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	place(b, n);
	return true;
}

static bool on_start(struct builder *b, const yaml_event_t *ev, enum yaml_type type)
{
	struct yaml_node *n;

	if (wants_key(b))
		return fail(b->err, &ev->start_mark, "a key must be a plain text");
	if (b->depth == YAML_MAX_DEPTH)
		return fail(b->err, &ev->start_mark, "lists and maps are nested too deep");
	n = node_new(b, type, ev);
	if (!n)
		return false;
	b->open[b->depth++] = (struct open_node){.node = n, .first = b->child_count};
	return true;
}

struct key_at {
	const char *key;
	size_t index;
};

static int key_at_cmp(const void *left, const void *right)
{
	const struct key_at *a = left, *b = right;
	int c = strcmp(a->key, b->key);

	return c ? c : (a->index > b->index) - (a->index < b->index);
}

/* Sorted, so that a map of very many keys costs no more than it should. */
static void mark_duplicates(struct yaml_node *map)
{
	struct key_at few[32], *keys = map->count <= 32 ? few : mem_alloc(map->count * sizeof *keys);

	for (size_t i = 0; i < map->count; i++)
		keys[i] = (struct key_at){.key = map->keys[i], .index = i};
	qsort(keys, map->count, sizeof *keys, key_at_cmp);
	for (size_t i = 1; i < map->count; i++)
		if (strcmp(keys[i - 1].key, keys[i].key) == 0)
			map->items[keys[i].index]->duplicate = true;
	if (keys != few)
		free(keys);
}

static bool on_end(struct builder *b)
{
	struct open_node *o = &b->open[--b->depth];
	struct yaml_node *n = o->node;

	n->count = b->child_count - o->first;
	n->items = arena_alloc(&b->arena, n->count * sizeof(struct yaml_node *));
	n->keys = n->type == YAML_MAP ? arena_alloc(&b->arena, n->count * sizeof(char *)) : NULL;
	for (size_t i = 0; i < n->count; i++) {
		n->items[i] = b->children[o->first + i].node;
		if (n->keys)
			n->keys[i] = b->children[o->first + i].key;
	}
	b->child_count = o->first;
	if (n->type == YAML_MAP)
		mark_duplicates(n);
	place(b, n);
	return true;
}

/* What is written before a value: &anchor and !tag. Anchors allow a small file to stand for a huge tree, and tags mean
 * nothing to us. */
static bool is_bare(const yaml_event_t *ev, struct yaml_error *err)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (ev->type == YAML_SCALAR_EVENT) {
		anchor = ev->data.scalar.anchor;
		tag = ev->data.scalar.tag;
	} else if (ev->type == YAML_SEQUENCE_START_EVENT) {
		anchor = ev->data.sequence_start.anchor;
		tag = ev->data.sequence_start.tag;
	} else if (ev->type == YAML_MAPPING_START_EVENT) {
		anchor = ev->data.mapping_start.anchor;
		tag = ev->data.mapping_start.tag;
	}
	if (anchor || ev->type == YAML_ALIAS_EVENT)
		return fail(err, &ev->start_mark, "anchors and aliases are not accepted");
	if (tag)
		return fail(err, &ev->start_mark, "tags are not accepted");
	return true;
}

static bool build(struct builder *b, const yaml_event_t *ev)
{
	if (!is_bare(ev, b->err))
		return false;
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		return on_scalar(b, ev);
	case YAML_SEQUENCE_START_EVENT:
		return on_start(b, ev, YAML_LIST);
	case YAML_MAPPING_START_EVENT:
		return on_start(b, ev, YAML_MAP);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return on_end(b);
	default:
		return true;
	}
}

/* What libyaml says, as "PROBLEM, CONTEXT that began at line N". */
static void fill_syntax_error(const yaml_parser_t *p, struct yaml_error *err)
{
	const char *problem = p->problem ? p->problem : "cannot be read as YAML";
	bool marked = p->error == YAML_SCANNER_ERROR || p->error == YAML_PARSER_ERROR;
	const yaml_mark_t *at = marked ? &p->problem_mark : &p->mark;

	fail(err, at, problem);
	if (p->context && p->context_mark.line != at->line)
		snprintf(err->reason, sizeof err->reason, "%s, %s that began at line %zu", problem, p->context,
			 p->context_mark.line + 1);
	else if (p->context)
		snprintf(err->reason, sizeof err->reason, "%s, %s", problem, p->context);
}

/* The length of the UTF-8 character at p if YAML allows it in a text (YAML 1.1, 5.1), else 0. */
static size_t character(const uint8_t *p, size_t left)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
	uint32_t c;

	if (n == 0 || n > left)
		return 0;
	if (n == 1)
		return p[0] == '\t' || p[0] == '\n' || p[0] == '\r' || (p[0] >= 0x20 && p[0] < 0x7f);
	c = p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < smallest[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) || c == 0xfffe || c == 0xffff)
		return 0;
	return c == 0x85 || c >= 0xa0 ? n : 0;
}

/* How much of the text is made of characters, and where the first thing that is none stands. libyaml finds that out
 * too, but a buffer early: documents before it would be lost, or not, by chance. */
static size_t readable_part(const char *text, size_t len, struct yaml_error *err)
{
	const uint8_t *p = (const uint8_t *)text;
	yaml_mark_t at = {0};
	char reason[80];
	size_t i, n;

	for (i = 0; i < len; i += n) {
		n = character(p + i, len - i);
		if (!n)
			break;
		at.column++;
		if (p[i] == '\n') {
			at.line++;
			at.column = 0;
		}
	}
	if (i < len) {
		snprintf(reason, sizeof reason, "byte 0x%02x is not text in UTF-8", p[i]);
		fail(err, &at, reason);
	}
	return i;
}

/* Delivers the document built last. */
static void deliver(struct builder *b, void (*doc)(void *arg, struct yaml_node *root), void *arg)
{
	doc(arg, yaml_is_null(b->root) ? NULL : b->root);
	arena_reset(&b->arena);
	b->nodes = 0;
}

/* The events of the whole stream. cut says that the text goes on with what is no text: then a document is whole only if
 * another one or an explicit end follows. */
static bool run(yaml_parser_t *p, struct builder *b, bool cut, void (*doc)(void *arg, struct yaml_node *root),
		void *arg)
{
	bool held = false, ok = true, end = false;
	yaml_event_t ev;

	while (ok && !end) {
		if (!yaml_parser_parse(p, &ev)) {
			fill_syntax_error(p, b->err);
			return false;
		}
		end = ev.type == YAML_STREAM_END_EVENT;
		if (held && !end)
			deliver(b, doc, arg);
		held = false;
		ok = build(b, &ev);
		if (ev.type == YAML_DOCUMENT_END_EVENT) {
			held = cut && ev.data.document_end.implicit;
			if (!held)
				deliver(b, doc, arg);
		}
		yaml_event_delete(&ev);
	}
	return ok;
}

bool yaml_parse(const char *text, size_t len, void (*doc)(void *arg, struct yaml_node *root), void *arg,
		struct yaml_error *err)
{
	struct yaml_error bad_byte = {0};
	struct builder b = {.err = err};
	yaml_parser_t p;
	size_t whole;
	bool ok;

	*err = (struct yaml_error){0};
	whole = readable_part(text, len, &bad_byte);
	if (!yaml_parser_initialize(&p))
		abort(); /* only for want of memory */
	yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p, (const unsigned char *)text, whole);
	ok = run(&p, &b, whole < len, doc, arg);
	yaml_parser_delete(&p);
	arena_free(&b.arena);
	free(b.children);
	/* An error that is only there because the text was cut is not the reason; an earlier one is. */
	if (whole < len && (ok || err->line >= bad_byte.line)) {
		*err = bad_byte;
		ok = false;
	}
	return ok;
}

struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
	if (!map || map->type != YAML_MAP)
		return NULL;
	for (size_t i = 0; i < map->count; i++)
		if (strcmp(map->keys[i], key) == 0)
			return map->items[i];
	return NULL;
}

bool yaml_unique(const struct yaml_node *root, struct yaml_error *err)
{
	for (size_t i = 0; i < root->count; i++) {
		const struct yaml_node *n = root->items[i];
		if (n->duplicate) {
			*err = (struct yaml_error){.line = n->key_line, .col = n->key_col};
			snprintf(err->reason, sizeof err->reason, "the key \"%.80s\" is there twice", root->keys[i]);
			return false;
		}
		if (n->count && !yaml_unique(n, err))
			return false;
	}
	return true;
}

bool yaml_is_null(const struct yaml_node *n)
{
	static const char *const nothing[] = {"", "~", "null", "Null", "NULL"};

	if (n->type != YAML_SCALAR || n->quoted)
		return false;
	for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++)
		if (strcmp(n->text, nothing[i]) == 0)
			return true;
	return false;
}
