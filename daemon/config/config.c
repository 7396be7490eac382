#include "daemon/config/config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/mem.h"
#include "daemon/config/config_schema.h"
#include "datastore/yaml.h"

#define FILE_MAX (1024 * 1024)

/* A configuration being read. All errors are collected, so that one look at them is enough. */
struct loader {
	struct config *c;
	const char *file;
	struct strbuf *err;
	unsigned documents;
};

/* ---- Values ---- */

static void set_origin(struct config *c, unsigned row, char *origin)
{
	free(c->origin[row]);
	c->origin[row] = origin;
}

/* Text from outside, for a message: printable, and not too much of it. */
static void put_printable(struct strbuf *out, const char *text)
{
	for (unsigned i = 0; text[i] && i < 80; i++)
		strbuf_putc(out, text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?');
	if (strlen(text) > 80)
		strbuf_puts(out, "...");
}

/* Sets a key from text. `where` begins an error's line: "FILE:3:7: " or "environment variable IP: ". */
static bool set_value(struct loader *l, unsigned row, const char *text, const char *where)
{
	const struct config_row *r = &config_schema[row];

	if (r->type->parse(r, text, config_field(l->c, r)))
		return true;
	strbuf_printf(l->err, "%s%s: \"", where, r->path);
	put_printable(l->err, text);
	strbuf_puts(l->err, "\" is not allowed; allowed: ");
	r->type->allowed(r, l->err);
	strbuf_putc(l->err, '\n');
	return false;
}

static void set_defaults(struct loader *l)
{
	l->c->origin = mem_calloc(config_rows, sizeof *l->c->origin);
	for (unsigned i = 0; i < config_rows; i++) {
		set_value(l, i, config_schema[i].default_text, "default: ");
		set_origin(l->c, i, mem_strdup("default"));
	}
}

/* ---- The file ---- */

static char *where_text(const struct loader *l, unsigned line, unsigned col)
{
	return mem_printf("%s:%u:%u: ", l->file, line, col);
}

/* Levenshtein distance of two short texts: how many letters must change. */
static unsigned text_distance(const char *a, const char *b)
{
	unsigned row[64], n = (unsigned)strlen(b);

	if (n >= sizeof row / sizeof *row)
		return n;
	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 1; *a; a++, i++) {
		unsigned diagonal = row[0];
		row[0] = i;
		for (unsigned j = 1; j <= n; j++) {
			unsigned change = diagonal + (tolower((unsigned char)*a) != tolower((unsigned char)b[j - 1]));
			diagonal = row[j];
			row[j] = change;
			if (row[j - 1] + 1 < row[j])
				row[j] = row[j - 1] + 1;
			if (diagonal + 1 < row[j])
				row[j] = diagonal + 1;
		}
	}
	return row[n];
}

/* The last part of a path: "hold_time" of "bgp.hold_time". */
static const char *path_leaf(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot ? dot + 1 : path;
}

/* The known key that looks most like this one, NULL if none does. A key in the wrong section is recognised too. */
static const char *nearest_key(const char *path)
{
	unsigned best = 4;
	const char *found = NULL;

	for (unsigned i = 0; i < config_rows; i++) {
		const char *known = config_schema[i].path;
		unsigned whole = text_distance(path, known);
		unsigned leaf = text_distance(path_leaf(path), path_leaf(known)) + 1;
		unsigned d = whole < leaf ? whole : leaf;
		if (d < best && d < strlen(path_leaf(known))) {
			best = d;
			found = known;
		}
	}
	return found;
}

static int row_by_path(const char *path)
{
	for (unsigned i = 0; i < config_rows; i++)
		if (strcmp(config_schema[i].path, path) == 0)
			return (int)i;
	return -1;
}

static bool is_section(const char *path)
{
	size_t n = strlen(path);

	for (unsigned i = 0; i < config_rows; i++)
		if (strncmp(config_schema[i].path, path, n) == 0 && config_schema[i].path[n] == '.')
			return true;
	return false;
}

/* A key that is no key, or stands where it cannot. */
static void complain(struct loader *l, const struct yaml_node *n, const char *path, const char *reason,
		     const char *hint)
{
	strbuf_printf(l->err, "%s:%u:%u: ", l->file, n->key_line, n->key_col);
	put_printable(l->err, path);
	strbuf_printf(l->err, ": %s%s\n", reason, hint);
}

static void complain_unknown(struct loader *l, const struct yaml_node *n, const char *path)
{
	const char *near = nearest_key(path);

	complain(l, n, path, near ? "unknown key; did you mean " : "unknown key; calidris.yaml(5) lists the known ones",
		 near ? near : "");
}

static void read_value(struct loader *l, const struct yaml_node *n, int row)
{
	const struct config_row *r = &config_schema[row];
	char *where;

	if (n->type != YAML_SCALAR) {
		strbuf_printf(l->err, "%s:%u:%u: %s: a %s is not allowed; allowed: ", l->file, n->line, n->col, r->path,
			      n->type == YAML_LIST ? "list" : "section");
		r->type->allowed(r, l->err);
		strbuf_putc(l->err, '\n');
		return;
	}
	if (yaml_is_null(n))
		return; /* a key without a value: the default */
	where = where_text(l, n->line, n->col);
	if (set_value(l, (unsigned)row, n->text, where))
		set_origin(l->c, (unsigned)row, mem_printf("%s:%u", l->file, n->line));
	free(where);
}

/* Depth is bounded by the schema's: an unknown section is not entered. */
static void read_section(struct loader *l, const struct yaml_node *map, const char *section)
{
	for (size_t i = 0; i < map->count; i++) {
		const struct yaml_node *n = map->items[i];
		char *path = mem_printf("%s%s%s", section, *section ? "." : "", map->keys[i]);
		int row = strchr(map->keys[i], '.') ? -1 : row_by_path(path);

		if (n->duplicate)
			complain(l, n, path, "stands here a second time; only once is allowed", "");
		else if (row >= 0)
			read_value(l, n, row);
		else if (!is_section(path))
			complain_unknown(l, n, path);
		else if (n->type == YAML_MAP)
			read_section(l, n, path);
		else if (!yaml_is_null(n))
			complain(l, n, path, "is a section: its keys belong below it, indented", "");
		free(path);
	}
}

static void on_document(void *arg, struct yaml_node *root)
{
	struct loader *l = arg;

	if (++l->documents > 1 && root)
		strbuf_printf(l->err, "%s:%u:%u: a second document is not allowed\n", l->file, root->line, root->col);
	else if (root && root->type != YAML_MAP)
		strbuf_printf(l->err, "%s:%u:%u: sections and keys are expected, \"bgp:\" and the like\n", l->file,
			      root->line, root->col);
	else if (root)
		read_section(l, root, "");
}

/* The whole file, or NULL with errno set (EFBIG: too large to be a configuration). */
static char *read_file(const char *file, size_t *len)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text;
	ssize_t n = 0;

	if (fd < 0)
		return NULL;
	text = mem_alloc(FILE_MAX + 1);
	*len = 0;
	while (*len <= FILE_MAX && (n = read(fd, text + *len, FILE_MAX + 1 - *len)) > 0)
		*len += (size_t)n;
	close(fd);
	if (n >= 0 && *len <= FILE_MAX)
		return text;
	free(text);
	if (n >= 0)
		errno = EFBIG;
	return NULL;
}

static void load_file(struct loader *l, bool must_exist)
{
	struct yaml_error e;
	size_t len;
	char *text = read_file(l->file, &len);

	if (!text) {
		if (errno != ENOENT || must_exist)
			strbuf_printf(l->err, "%s: cannot be read: %s\n", l->file, strerror(errno));
		return;
	}
	if (!yaml_parse(text, len, on_document, l, &e))
		strbuf_printf(l->err, "%s:%u:%u: %s\n", l->file, e.line, e.col, e.reason);
	free(text);
}

/* ---- The environment ---- */

/* Empty counts as unset: containers set what they do not know to nothing. */
static bool load_variable(struct loader *l, unsigned row, const char *name, bool is_list)
{
	const char *text = getenv(name);
	char *where, *value;

	if (!text || !*text)
		return false;
	where = mem_printf("environment variable %s: ", name);
	value = mem_strndup(text, is_list ? strcspn(text, ",") : strlen(text));
	if (set_value(l, row, value, where))
		set_origin(l->c, row, mem_printf("environment variable %s", name));
	free(value);
	free(where);
	return true;
}

static void load_alias(struct loader *l, unsigned row, const struct config_row *r)
{
	char *name = mem_printf("CALICO_%s", r->alias);

	if (!r->alias_has_prefix || !load_variable(l, row, name, r->alias_is_list))
		load_variable(l, row, r->alias, r->alias_is_list);
	free(name);
}

static void load_environment(struct loader *l)
{
	char name[CONFIG_ENV_LEN];

	for (unsigned i = 0; i < config_rows; i++) {
		const struct config_row *r = &config_schema[i];
		if (!load_variable(l, i, config_env_name(r, name), false) && r->alias)
			load_alias(l, i, r);
	}
}

/* The row whose variable looks most like this name; NULL if none does, or if one has this very name. */
static const struct config_row *nearest_variable(const char *name)
{
	const struct config_row *found = NULL;
	char known[CONFIG_ENV_LEN];
	unsigned best = 4;

	for (unsigned i = 0; i < config_rows && best; i++) {
		unsigned d = text_distance(name, config_env_name(&config_schema[i], known));
		if (d < best && d <= strlen(config_schema[i].path) / 4) {
			best = d;
			found = &config_schema[i];
		}
	}
	return best ? found : NULL;
}

void config_check_variables(const char *const *environment, struct strbuf *out)
{
	char known[CONFIG_ENV_LEN];

	for (; *environment; environment++) {
		char *name = mem_strndup(*environment, strcspn(*environment, "="));
		const struct config_row *near = NULL;
		if (strncmp(name, CONFIG_ENV_PREFIX, strlen(CONFIG_ENV_PREFIX)) == 0)
			near = nearest_variable(name);
		if (near) {
			strbuf_puts(out, "environment variable ");
			put_printable(out, name);
			strbuf_printf(out, ": is no key's, and has no effect; did you mean %s\n",
				      config_env_name(near, known));
		}
		free(name);
	}
}

/* ---- What is found out, and what must fit together ---- */

/* The first line of the file, without blanks at its ends; NULL if it cannot be read. */
static char *first_line(const char *file)
{
	size_t len, from = 0, to;
	char *text = read_file(file, &len), *line;

	if (!text)
		return NULL;
	text[len] = '\0';
	while (isspace((unsigned char)text[from]))
		from++;
	to = from + strcspn(text + from, "\n");
	while (to > from && isspace((unsigned char)text[to - 1]))
		to--;
	line = mem_strndup(text + from, to - from);
	free(text);
	return line;
}

static char *host_name(void)
{
	char name[256] = "";

	gethostname(name, sizeof name - 1);
	for (char *c = name; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return mem_strdup(name);
}

static void find_node_name(struct loader *l)
{
	const char *file = getenv("CALICO_NODENAME_FILE");
	unsigned row = (unsigned)row_by_path("node.name");
	char *name = file && *file ? first_line(file) : NULL, *where;
	bool from_file = name && *name;

	if (!from_file) {
		free(name);
		name = host_name();
	}
	where = from_file ? mem_printf("%s: ", file) : mem_strdup("host name: ");
	if (set_value(l, row, name, where))
		set_origin(l->c, row, mem_strdup(from_file ? file : "host name"));
	if (!*name)
		strbuf_puts(l->err, "node.name: is not set, and the host has no name\n");
	free(where);
	free(name);
}

static void check_together(struct loader *l)
{
	const struct config *c = l->c;

	if (c->hold_time && c->keepalive_time >= c->hold_time)
		strbuf_printf(l->err,
			      "bgp.keepalive_time: %u is not allowed; allowed: less than bgp.hold_time, which is %u\n",
			      c->keepalive_time, c->hold_time);
	if (c->idle_hold_max < c->idle_hold_time)
		strbuf_printf(
		    l->err, "bgp.idle_hold_max: %u is not allowed; allowed: bgp.idle_hold_time, which is %u, or more\n",
		    c->idle_hold_max, c->idle_hold_time);
}

bool config_load(struct config *c, const char *file, bool must_exist, struct strbuf *err)
{
	struct config fresh = {0};
	struct loader l = {.c = &fresh, .file = file, .err = err};
	size_t before = err->len;

	set_defaults(&l);
	if (file)
		load_file(&l, must_exist);
	load_environment(&l);
	if (!*fresh.node_name)
		find_node_name(&l);
	if (err->len == before)
		check_together(&l);
	if (err->len != before) {
		config_free(&fresh);
		return false;
	}
	*c = fresh;
	return true;
}

bool config_set(struct config *c, const char *path, const char *text, const char *origin, struct strbuf *err)
{
	struct loader l = {.c = c, .err = err};
	unsigned row = (unsigned)row_by_path(path);
	char *where = mem_printf("%s: ", origin);
	bool ok = set_value(&l, row, text, where);

	free(where);
	if (ok)
		set_origin(c, row, mem_strdup(origin));
	return ok;
}

bool config_is_default(const struct config *c, const char *key)
{
	for (unsigned i = 0; i < config_rows; i++)
		if (strcmp(config_schema[i].path, key) == 0)
			return strcmp(c->origin[i], "default") == 0;
	return false;
}

void config_free(struct config *c)
{
	for (unsigned i = 0; i < config_rows; i++) {
		if (config_schema[i].type->owns)
			free(*(char **)config_field(c, &config_schema[i]));
		if (c->origin)
			free(c->origin[i]);
	}
	free(c->origin);
	*c = (struct config){0};
}

static void swap(void *a, void *b, size_t size)
{
	char *x = a, *y = b;

	for (size_t i = 0; i < size; i++) {
		char c = x[i];
		x[i] = y[i];
		y[i] = c;
	}
}

void config_keep(struct config *fresh, struct config *running)
{
	for (unsigned i = 0; i < config_rows; i++) {
		const struct config_row *r = &config_schema[i];

		if (r->effect != CONFIG_RESTART)
			continue;
		swap(config_field(fresh, r), config_field(running, r), r->size);
		swap(&fresh->origin[i], &running->origin[i], sizeof fresh->origin[i]);
	}
}

/* ---- Differences ---- */

void config_diff(const struct config *a, const struct config *b,
		 void (*cb)(void *arg, const char *key, const char *before, const char *after,
			    enum config_effect effect),
		 void *arg)
{
	struct strbuf before = {0}, after = {0};

	for (unsigned i = 0; i < config_rows; i++) {
		const struct config_row *r = &config_schema[i];
		strbuf_reset(&before);
		strbuf_reset(&after);
		/* Formatting nothing still leaves a text. */
		strbuf_puts(&before, "");
		strbuf_puts(&after, "");
		r->type->format(r, config_field_const(a, r), &before);
		r->type->format(r, config_field_const(b, r), &after);
		if (strcmp(before.s, after.s) != 0)
			cb(arg, r->path, before.s, after.s, r->effect);
	}
	strbuf_free(&before);
	strbuf_free(&after);
}
