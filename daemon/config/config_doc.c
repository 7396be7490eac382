/* The configuration as text: the dump of what is effective, the example file, the manual page's list of keys. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "daemon/config/config.h"
#include "daemon/config/config_schema.h"

/* A value as YAML: plain where that reads back as the same text, else in double quotes. */
static void put_yaml(struct strbuf *out, const char *text)
{
	bool plain = isalnum((unsigned char)*text) || *text == '/';

	for (const char *c = text; *c; c++)
		plain =
		    plain && (isalnum((unsigned char)*c) || strchr("/._-", *c) || (*c == ':' && c[1] && c[1] != ' '));
	if (plain && strcasecmp(text, "null") != 0) {
		strbuf_puts(out, text);
		return;
	}
	strbuf_putc(out, '"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			strbuf_putc(out, '\\');
		strbuf_putc(out, *text);
	}
	strbuf_putc(out, '"');
}

/* How many sections two paths share: "bgp.graceful_restart.enabled" and "bgp.max_paths" share one. */
static unsigned common_sections(const char *a, const char *b)
{
	unsigned n = 0;

	for (; *a && *a == *b; a++, b++)
		n += *a == '.';
	return n;
}

static void put_indent(struct strbuf *out, unsigned depth)
{
	for (unsigned i = 0; i < depth; i++)
		strbuf_puts(out, "  ");
}

/* The headings of the sections that begin with this row. Returns the depth at which its key stands; *leaf is its name.
 */
static unsigned put_sections(struct strbuf *out, unsigned row, const char *blank, const char **leaf)
{
	const char *path = config_schema[row].path, *dot;
	unsigned known = row ? common_sections(config_schema[row - 1].path, path) : 0, depth = 0;

	for (; (dot = strchr(path, '.')) != NULL; path = dot + 1, depth++) {
		if (depth < known)
			continue;
		if (depth == 0)
			strbuf_puts(out, blank);
		put_indent(out, depth);
		strbuf_add(out, path, (size_t)(dot - path));
		strbuf_puts(out, ":\n");
	}
	if (depth == 0)
		strbuf_puts(out, blank);
	*leaf = path;
	return depth;
}

static void put_comment_text(struct strbuf *out, const char *text)
{
	for (; *text; text++)
		strbuf_putc(out, (unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
}

void config_dump(const struct config *c, struct strbuf *out)
{
	struct strbuf value = {0};

	for (unsigned i = 0; i < config_rows; i++) {
		const struct config_row *r = &config_schema[i];
		const char *leaf;
		unsigned depth = put_sections(out, i, "", &leaf);
		size_t start = out->len;

		strbuf_reset(&value);
		strbuf_puts(&value, "");
		r->type->format(r, config_field_const(c, r), &value);
		put_indent(out, depth);
		strbuf_printf(out, "%s: ", leaf);
		put_yaml(out, value.s);
		do
			strbuf_putc(out, ' ');
		while (out->len - start < 44);
		strbuf_puts(out, "# ");
		put_comment_text(out, c->origin[i]);
		strbuf_putc(out, '\n');
	}
	strbuf_free(&value);
}

/* Text broken at blanks into lines of at most `width` characters, each begun with `begin`. */
static void put_wrapped(struct strbuf *out, const char *text, const char *begin, unsigned depth, size_t width)
{
	while (*text) {
		size_t n = strlen(text), room = width - strlen(begin) - depth * 2;
		if (n > room) {
			n = room;
			while (n && text[n] != ' ')
				n--;
		}
		put_indent(out, depth);
		strbuf_puts(out, begin);
		strbuf_add(out, text, n);
		strbuf_putc(out, '\n');
		text += n;
		while (*text == ' ')
			text++;
	}
}

/* "Allowed: a number from 1 to 65535. Default: 179." as one paragraph. */
static void describe(const struct config_row *r, struct strbuf *out)
{
	strbuf_printf(out, "%s Allowed: ", r->help);
	r->type->allowed(r, out);
	strbuf_puts(out, ".");
}

void config_example(struct strbuf *out)
{
	struct strbuf text = {0};

	strbuf_puts(out,
		    "# Configuration of calidrisd(8); see calidris.yaml(5). What is commented out is the default.\n"
		    "# `calidrisd -t` checks this file and prints what is effective; `calidris reload` applies it.\n");
	for (unsigned i = 0; i < config_rows; i++) {
		const struct config_row *r = &config_schema[i];
		const char *leaf;
		unsigned depth = put_sections(out, i, "\n", &leaf);

		strbuf_reset(&text);
		describe(r, &text);
		put_wrapped(out, text.s, "# ", depth, 100);
		put_indent(out, depth);
		strbuf_printf(out, "#%s: ", leaf);
		put_yaml(out, r->default_text);
		strbuf_putc(out, '\n');
	}
	strbuf_free(&text);
}

/* Text for mdoc: each sentence begins a line, and lines are short. The schema's texts hold no backslashes, and no line
 * of theirs begins with a dot. */
static void put_mdoc(struct strbuf *out, const char *text)
{
	while (*text) {
		const char *end = strstr(text, ". ");
		size_t n = end ? (size_t)(end - text) + 1 : strlen(text);
		struct strbuf sentence = {0};

		strbuf_add(&sentence, text, n);
		put_wrapped(out, sentence.s, "", 0, 78);
		strbuf_free(&sentence);
		text += n;
		while (*text == ' ')
			text++;
	}
}

/* Where a row's default comes from, as mdoc. */
static void put_default(struct strbuf *out, const struct config_row *r)
{
	strbuf_puts(out, ".Pp\nDefault:\n");
	if (r->default_note)
		put_mdoc(out, r->default_note);
	else if (*r->default_text)
		strbuf_printf(out, ".Li %s\n", r->default_text);
	else
		strbuf_puts(out, "empty\n");
}

void config_mdoc(struct strbuf *out)
{
	struct strbuf text = {0};
	char env[CONFIG_ENV_LEN];

	for (unsigned i = 0; i < config_rows; i++) {
		const struct config_row *r = &config_schema[i];

		strbuf_printf(out, ".It Ic %s\n", r->path);
		strbuf_reset(&text);
		describe(r, &text);
		put_mdoc(out, text.s);
		put_default(out, r);
		strbuf_printf(out, ".br\nEnvironment:\n.Ev %s", config_env_name(r, env));
		if (r->alias && r->alias_has_prefix)
			strbuf_printf(out, " ,\n.Ev CALICO_%s", r->alias);
		if (r->alias)
			strbuf_printf(out, " ,\n.Ev %s", r->alias);
		strbuf_printf(out, "\n.br\nA change takes effect: %s\n", config_effect_name(r->effect));
	}
	strbuf_free(&text);
}
