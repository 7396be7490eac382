/* Writes what is generated from the configuration's schema: `gen_config EXAMPLE PAGE` makes the example file, and
 * renews the list of keys in the manual page, between its two marker comments. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/buf.h"
#include "daemon/config/config.h"

#define BEGIN_MARK ".\\\" begin: generated from the schema, do not edit\n"
#define END_MARK ".\\\" end: generated\n"

static bool read_file(const char *path, struct strbuf *out)
{
	FILE *f = fopen(path, "r");
	char block[4096];
	size_t n;

	if (!f)
		return false;
	while ((n = fread(block, 1, sizeof block, f)) > 0)
		strbuf_add(out, block, n);
	return fclose(f) == 0;
}

/* Leaves a file alone that is right already, for make's sake. */
static bool write_file(const char *path, const struct strbuf *text)
{
	struct strbuf old = {0};
	bool same = read_file(path, &old) && old.len == text->len && memcmp(old.s, text->s, text->len) == 0;
	FILE *f;

	strbuf_free(&old);
	if (same)
		return true;
	f = fopen(path, "w");
	if (!f || fwrite(text->s, 1, text->len, f) != text->len || fclose(f) != 0) {
		perror(path);
		return false;
	}
	printf("%s: renewed\n", path);
	return true;
}

static bool renew_page(const char *path)
{
	struct strbuf old = {0}, page = {0};
	const char *begin, *end;
	bool ok = false;

	if (!read_file(path, &old)) {
		perror(path);
		return false;
	}
	begin = strstr(old.s, BEGIN_MARK);
	end = begin ? strstr(begin, END_MARK) : NULL;
	if (end) {
		strbuf_add(&page, old.s, (size_t)(begin - old.s) + strlen(BEGIN_MARK));
		config_mdoc(&page);
		strbuf_puts(&page, end);
		ok = write_file(path, &page);
	} else {
		fprintf(stderr, "%s: the marker comments are missing\n", path);
	}
	strbuf_free(&old);
	strbuf_free(&page);
	return ok;
}

int main(int argc, char **argv)
{
	struct strbuf example = {0};
	bool ok;

	if (argc != 3) {
		fputs("usage: gen_config EXAMPLE PAGE\n", stderr);
		return 2;
	}
	config_example(&example);
	ok = write_file(argv[1], &example) && renew_page(argv[2]);
	strbuf_free(&example);
	return ok ? 0 : 1;
}
