#include "daemon/control/out.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mono.h"

/* ---- Characters ---- */

/* The length of the UTF-8 character at s (RFC 3629), and its number in *code; 0 if there is none. */
static unsigned utf8_char(const char *s, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *p = (const unsigned char *)s;
	unsigned n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
	uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);

	/* The text's NUL is no continuation, so this never runs past the end. */
	for (unsigned i = 1; i < n; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (n == 0 || c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*code = c;
	return n;
}

/* Text for a terminal: what could move its cursor, or separate cells, is not let through. */
static void put_cell(struct strbuf *to, const char *s)
{
	uint32_t c;

	if (!s || !*s)
		s = "-";
	while (*s) {
		unsigned n = utf8_char(s, &c);
		if (n && c >= 0x20 && !(c >= 0x7f && c < 0xa0)) {
			strbuf_add(to, s, n);
		} else {
			strbuf_putc(to, '?');
		}
		s += n ? n : 1;
	}
}

/* RFC 8259, 7. */
static void put_json(struct strbuf *to, const char *s)
{
	uint32_t c;

	if (!s) {
		strbuf_puts(to, "null");
		return;
	}
	strbuf_putc(to, '"');
	while (*s) {
		unsigned n = utf8_char(s, &c);
		if (!n)
			strbuf_puts(to, "\\ufffd");
		else if (c == '"' || c == '\\')
			strbuf_printf(to, "\\%c", (int)c);
		else if (c < 0x20 || (c >= 0x7f && c < 0xa0))
			strbuf_printf(to, "\\u%04x", c);
		else
			strbuf_add(to, s, n);
		s += n ? n : 1;
	}
	strbuf_putc(to, '"');
}

/* ---- Structure ---- */

static struct out_level *top(struct out *o)
{
	return &o->level[o->depth - 1];
}

/* A new level. Commands are written by us: too deep is a mistake in the program. */
static struct out_level *push(struct out *o, enum out_kind kind)
{
	struct out_level *parent = o->depth ? top(o) : NULL;

	if (o->depth == OUT_DEPTH)
		abort();
	o->level[o->depth] = (struct out_level){.kind = kind};
	if (parent) {
		o->level[o->depth].one_line = parent->one_line || kind == OUT_ROW;
		o->level[o->depth].indent = parent->indent;
	}
	o->depth++;
	return top(o);
}

static void json_newline(struct out *o, unsigned depth)
{
	strbuf_putc(o->to, '\n');
	for (unsigned i = 0; i < depth; i++)
		strbuf_puts(o->to, "  ");
}

/* What stands before a member of an object or array: comma, line, key. */
static void json_member(struct out *o, const char *key)
{
	struct out_level *l = top(o);

	if (l->filled)
		strbuf_puts(o->to, l->one_line ? ", " : ",");
	if (!l->one_line)
		json_newline(o, o->depth);
	l->filled = true;
	if (key) {
		put_json(o->to, key);
		strbuf_puts(o->to, ": ");
	}
}

/* Begins a line of text. Values and a table beside each other would be aligned as one: they get an empty line between
 * them. */
static void begin_line(struct out *o, enum out_line kind, bool indent)
{
	if ((kind == OUT_VALUE && o->last == OUT_CELLS) || (kind == OUT_CELLS && o->last == OUT_VALUE))
		strbuf_putc(o->to, '\n');
	o->last = kind;
	if (indent)
		strbuf_puts(o->to, "  ");
}

static void heading_line(struct out *o, const char *heading)
{
	if (!heading)
		return;
	if (o->last != OUT_NOTHING)
		strbuf_putc(o->to, '\n');
	begin_line(o, OUT_LINE, false);
	strbuf_printf(o->to, "%s\n", heading);
}

/* The labels and the row, once the table's first row is whole; the row alone later. */
static void row_lines(struct out *o)
{
	struct out_level *table = &o->level[o->depth - 2];

	if (!table->filled) {
		begin_line(o, OUT_CELLS, table->indent);
		strbuf_add(o->to, o->labels.s, o->labels.len);
		strbuf_putc(o->to, '\n');
	}
	table->filled = true;
	begin_line(o, OUT_CELLS, table->indent);
	strbuf_add(o->to, o->row.s, o->row.len);
	strbuf_putc(o->to, '\n');
	strbuf_reset(&o->labels);
	strbuf_reset(&o->row);
}

void out_begin(struct out *o, struct strbuf *to, bool json)
{
	*o = (struct out){.to = to, .json = json};
	push(o, OUT_SECTION);
	if (json)
		strbuf_putc(to, '{');
}

void out_section(struct out *o, const char *key, const char *heading)
{
	struct out_level *l;

	if (o->json) {
		json_member(o, key);
		strbuf_putc(o->to, '{');
	} else {
		heading_line(o, heading);
	}
	l = push(o, OUT_SECTION);
	l->indent = l->indent || heading;
}

void out_table(struct out *o, const char *key, const char *heading, const char *empty)
{
	struct out_level *l;

	if (o->json) {
		json_member(o, key);
		strbuf_putc(o->to, '[');
	} else {
		heading_line(o, heading);
	}
	o->empty = empty;
	l = push(o, OUT_TABLE);
	l->indent = l->indent || heading;
}

void out_row(struct out *o)
{
	if (o->json) {
		json_member(o, NULL);
		strbuf_putc(o->to, '{');
	}
	push(o, OUT_ROW);
}

static void end_text(struct out *o, const struct out_level *l)
{
	if (l->kind == OUT_ROW)
		row_lines(o);
	if (l->kind == OUT_TABLE && !l->filled && o->empty) {
		begin_line(o, OUT_LINE, l->indent);
		strbuf_printf(o->to, "%s\n", o->empty);
	}
}

void out_end(struct out *o)
{
	const struct out_level *l = top(o);

	if (!o->json)
		end_text(o, l);
	o->depth--;
	if (!o->json)
		return;
	if (l->filled && !l->one_line)
		json_newline(o, o->depth);
	strbuf_putc(o->to, l->kind == OUT_TABLE ? ']' : '}');
}

void out_finish(struct out *o)
{
	while (o->depth)
		out_end(o);
	if (o->json)
		strbuf_putc(o->to, '\n');
	strbuf_free(&o->labels);
	strbuf_free(&o->row);
}

/* ---- Values ---- */

/* A value's text where it belongs: a cell of the row, or a line of the section. */
static void text_value(struct out *o, const char *label, const char *value)
{
	if (!label)
		return;
	if (top(o)->kind != OUT_ROW) {
		begin_line(o, OUT_VALUE, top(o)->indent);
		strbuf_printf(o->to, "%s\t", label);
		put_cell(o->to, value);
		strbuf_putc(o->to, '\n');
		return;
	}
	if (!o->level[o->depth - 2].filled) {
		if (top(o)->filled)
			strbuf_putc(&o->labels, '\t');
		strbuf_puts(&o->labels, label);
	}
	if (top(o)->filled)
		strbuf_putc(&o->row, '\t');
	put_cell(&o->row, value);
	top(o)->filled = true;
}

/* A value that JSON writes without quotes. */
static void plain_value(struct out *o, const char *key, const char *label, const char *json, const char *text)
{
	if (!o->json) {
		text_value(o, label, text);
	} else if (key) {
		json_member(o, key);
		strbuf_puts(o->to, json);
	}
}

void out_text(struct out *o, const char *key, const char *label, const char *value)
{
	if (!o->json) {
		text_value(o, label, value);
	} else if (key) {
		json_member(o, key);
		put_json(o->to, value);
	}
}

void out_printf(struct out *o, const char *key, const char *label, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	out_text(o, key, label, text);
}

void out_number(struct out *o, const char *key, const char *label, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRIu64, value);
	plain_value(o, key, label, text, text);
}

void out_bool(struct out *o, const char *key, const char *label, bool value)
{
	plain_value(o, key, label, value ? "true" : "false", value ? "yes" : "no");
}

void out_duration(struct out *o, const char *key, const char *label, uint64_t ns)
{
	char text[16], seconds[32];

	snprintf(seconds, sizeof seconds, "%llu.%03llu", ns / MONO_SEC, ns % MONO_SEC / MONO_MSEC);
	plain_value(o, key, label, seconds, mono_format(ns, text));
}

void out_addr(struct out *o, const char *key, const char *label, const struct addr *a)
{
	char text[ADDR_STRLEN];

	out_text(o, key, label, addr_is_none(a) ? NULL : addr_format(a, text));
}

void out_prefix(struct out *o, const char *key, const char *label, const struct prefix *p)
{
	char text[PREFIX_STRLEN];

	out_text(o, key, label, prefix_format(p, text));
}

void out_lines(struct out *o, const char *key, const char *heading, const char *text)
{
	struct strbuf line = {0};

	if (!o->json && (!text || !*text))
		return;
	out_table(o, key, heading, NULL);
	while (text && *text) {
		size_t n = strcspn(text, "\n");
		strbuf_reset(&line);
		strbuf_add(&line, text, n);
		if (o->json) {
			json_member(o, NULL);
			put_json(o->to, line.s);
		} else {
			out_note(o, "%s", line.s);
		}
		text += n + (text[n] == '\n');
	}
	out_end(o);
	strbuf_free(&line);
}

void out_note(struct out *o, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (o->json)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	begin_line(o, OUT_LINE, top(o)->indent);
	if (*text)
		put_cell(o->to, text);
	strbuf_putc(o->to, '\n');
}
