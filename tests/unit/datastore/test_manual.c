/* docs/calidris-objects.5 describes exactly the fields that are ours, with their ranges, and names those of Calico's
 * that are not honoured yet. */
#include <check.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/buf.h"
#include "daemon/base/mem.h"
#include "datastore/schema.h"

#define PAGE "docs/calidris-objects.5"

static char *page;

static void setup(void)
{
	struct strbuf out = {0};
	FILE *f = fopen(PAGE, "r");
	char block[4096];
	size_t n;

	ck_assert_msg(f != NULL, PAGE ": not there; run this test from the top of the source tree");
	while ((n = fread(block, 1, sizeof block, f)) > 0)
		strbuf_add(&out, block, n);
	fclose(f);
	page = out.s;
}

static void teardown(void)
{
	free(page);
}

/* A section's text, up to the next one; the caller frees it. NULL if there is none. */
static char *section(const char *name)
{
	char *head = mem_printf("\n.Sh %s\n", name), *at = strstr(page, head), *end, *text;

	free(head);
	if (!at)
		return NULL;
	at += 5;
	end = strstr(at, "\n.Sh ");
	text = mem_printf("%.*s", (int)(end ? end - at : (long)strlen(at)), at);
	return text;
}

static char *section_of(enum object_kind k)
{
	char *name = mem_strdup(object_kind_name(k)), *text;

	for (char *c = name; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	text = section(name);
	free(name);
	return text;
}

/* The next word that is a field's path, from *at on; false at the end. In items: only those that begin one. */
static bool next_field(const char **at, bool items, char word[static 80])
{
	while ((*at = strstr(*at, "spec."))) {
		const char *start = *at, *line = start;
		size_t len = strcspn(start, " ,\n");

		while (line[-1] != '\n')
			line--;
		*at += len;
		if (strncmp(line, items ? ".It Ic" : ".Ic", items ? 6 : 3) != 0)
			continue;
		ck_assert_uint_lt(len, 80);
		snprintf(word, 80, "%.*s", (int)len, start);
		return true;
	}
	return false;
}

static const struct schema_row *row_of(enum object_kind k, const char *path)
{
	const struct schema *s = object_schema(k);

	for (unsigned i = 0; i < s->row_count; i++)
		if (strcmp(s->rows[i].path, path) == 0)
			return &s->rows[i];
	return NULL;
}

/* Does the item of the field say the number? */
static bool item_says(const char *text, const char *path, uint64_t number)
{
	char *digits = mem_printf("%" PRIu64, number);
	const char *at = text, *end;
	char word[80];
	bool says = false;

	while (next_field(&at, true, word) && strcmp(word, path) != 0)
		;
	end = at ? strstr(at, "\n.It ") : NULL;
	for (const char *p = at; p && (p = strstr(p, digits)) && (!end || p < end); p++)
		says = says || (!isdigit((unsigned char)p[-1]) && !isdigit((unsigned char)p[strlen(digits)]));
	free(digits);
	return says;
}

static void check_row(enum object_kind k, const struct schema_row *row, const char *text)
{
	const char *at = text;
	char word[80];
	bool found = false;

	while (at && next_field(&at, true, word))
		found = found || strcmp(word, row->path) == 0;
	ck_assert_msg(found, "%s: %s is not described in " PAGE, object_kind_name(k), row->path);
	/* Names are listed in words; of numbers and lengths the bounds are. */
	if (row->names || !row->max)
		return;
	if (row->min > 0)
		ck_assert_msg(item_says(text, row->path, row->min), "%s: its least, %" PRIu64 ", is not said in " PAGE,
			      row->path, row->min);
	if (row->max < UINT32_MAX)
		ck_assert_msg(item_says(text, row->path, row->max), "%s: its most, %" PRIu64 ", is not said in " PAGE,
			      row->path, row->max);
}

START_TEST(fields_of_ours)
{
	enum object_kind k = (enum object_kind)_i;
	const struct schema *s = object_schema(k);
	char *text = section_of(k), word[80];
	const char *at = text;

	for (unsigned i = 0; i < s->row_count; i++)
		if (s->rows[i].ours)
			check_row(k, &s->rows[i], text ? text : "\n");
	while (at && next_field(&at, true, word)) {
		const struct schema_row *row = row_of(k, word);

		ck_assert_msg(row && row->ours, "%s: there is no field %s of ours", object_kind_name(k), word);
	}
	free(text);
}
END_TEST

static bool is_used_as(const char *path, enum schema_use use)
{
	for (int k = 0; k < OBJ_KIND_COUNT; k++) {
		const struct schema_row *row = row_of((enum object_kind)k, path);

		if (row && row->use == use)
			return true;
	}
	return false;
}

/* Of the kinds that Calico's own documents describe: what is taken is named, and nothing else. */
START_TEST(fields_of_calico)
{
	static const enum object_kind kinds[] = {OBJ_NODE,	     OBJ_IP_POOL,    OBJ_BGP_CONFIGURATION,
						 OBJ_BGP_PEER,	     OBJ_BGP_FILTER, OBJ_WORKLOAD_ENDPOINT,
						 OBJ_BLOCK_AFFINITY, OBJ_IPAM_BLOCK};
	char *text = section("CALICO'S FIELDS"), word[80];
	const struct schema_row *row;

	ck_assert_ptr_nonnull(text);
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		const struct schema *s = object_schema(kinds[k]);

		for (unsigned i = 0; i < s->row_count; i++) {
			const char *at = text;
			bool found = s->rows[i].use != SCHEMA_TAKEN || s->rows[i].ours ||
				     strncmp(s->rows[i].path, "spec.", 5) != 0;

			while (!found && next_field(&at, false, word))
				found = strcmp(word, s->rows[i].path) == 0;
			ck_assert_msg(found, "%s: %s is honoured, and not named in " PAGE, s->kind, s->rows[i].path);
		}
	}
	for (const char *at = text; next_field(&at, false, word);) {
		bool taken = false;

		for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
			taken = taken || ((row = row_of(kinds[k], word)) && row->use == SCHEMA_TAKEN && !row->ours);
		ck_assert_msg(taken, "%s is none of Calico's fields that are honoured", word);
	}
	free(text);
}
END_TEST

/* Of what is not taken each field is named where it belongs, and nothing else is. */
static const struct {
	const char *section;
	enum schema_use use;
} others[] = {{"NOT HONOURED", SCHEMA_LATER}, {"WITHOUT EFFECT", SCHEMA_QUIET}};

static bool is_described(const struct schema_row *row)
{
	return strncmp(row->path, "spec.", 5) == 0 && row->why && *row->why;
}

START_TEST(fields_not_honoured)
{
	char *text = section(others[_i].section), word[80];

	ck_assert_ptr_nonnull(text);
	for (int k = 0; k < OBJ_KIND_COUNT; k++) {
		const struct schema *s = object_schema((enum object_kind)k);

		for (unsigned i = 0; i < s->row_count; i++) {
			const char *at = text;
			bool found = s->rows[i].use != others[_i].use || !is_described(&s->rows[i]);

			while (!found && next_field(&at, false, word))
				found = strcmp(word, s->rows[i].path) == 0;
			ck_assert_msg(found, "%s: %s is not named in %s of " PAGE, s->kind, s->rows[i].path,
				      others[_i].section);
		}
	}
	for (const char *at = text; next_field(&at, false, word);)
		ck_assert_msg(is_used_as(word, others[_i].use), "%s does not belong into %s of " PAGE, word,
			      others[_i].section);
	free(text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("manual");
	TCase *t = tcase_create("manual");
	SRunner *sr;
	int failures;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, fields_of_ours, 0, OBJ_KIND_COUNT);
	tcase_add_test(t, fields_of_calico);
	tcase_add_loop_test(t, fields_not_honoured, 0, sizeof others / sizeof *others);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
