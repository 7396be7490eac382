#include "datastore/selector.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/buf.h"
#include "daemon/base/mem.h"

/* Sorted, as labels always are. */
static char *keys[] = {(char[]){"all"},	 (char[]){"empty"}, (char[]){"in"}, (char[]){"k8s.io/os-name"},
		       (char[]){"rack"}, (char[]){"role"}};
static char *values[] = {(char[]){"yes"},   (char[]){""},   (char[]){"place"},
			 (char[]){"linux"}, (char[]){"r1"}, (char[]){"edge \"x\""}};
static const struct labels labels = {.keys = keys, .values = values, .count = 6};
static const struct labels none;

struct sample {
	const char *text;
	bool matches, matches_none; /* the labels above; an object without labels */
};

static const struct sample samples[] = {
    {"", true, true},
    {" \t", true, true},
    {"all()", true, true},
    {"global()", true, true},
    {"!all()", false, false},
    {"rack == 'r1'", true, false},
    {"rack=='r1'", true, false},
    {"\track\t==\t\"r1\"\t", true, false},
    {"rack == 'r2'", false, false},
    {"rack == 'r'", false, false},
    {"rack != 'r1'", false, true},
    {"rack != 'r2'", true, true},
    {"gpu != 'x'", true, true},
    {"gpu == ''", false, false},
    {"empty == ''", true, false},
    {"has(rack)", true, false},
    {"has( rack )", true, false},
    {"has(gpu)", false, false},
    {"has(empty)", true, false},
    {"!has(gpu)", true, true},
    {"!!has(gpu)", false, false},
    {"! ! !has(gpu)", true, true},
    {"has(k8s.io/os-name)", true, false},
    {"k8s.io/os-name == 'linux'", true, false},
    {"role == 'edge \"x\"'", true, false},
    {"role contains '\"'", true, false},
    {"rack contains ''", true, false},
    {"gpu contains ''", false, false},
    {"role contains 'ge '", true, false},
    {"role contains 'gee'", false, false},
    {"role starts with 'ed'", true, false},
    {"role startswith 'ed'", true, false},
    {"role starts\twith 'dg'", false, false},
    {"rack ends with '1'", true, false},
    {"rack endswith 'xr1'", false, false},
    {"rack ends with ''", true, false},
    {"gpu ends with ''", false, false},
    {"rack in {'r1', 'r2'}", true, false},
    {"rack in{\"r2\",'r1'}", true, false},
    {"rack in {'r2', }", false, false},
    {"rack in {}", false, false},
    {"rack not in {}", true, true},
    {"rack not in {'r1'}", false, true},
    {"rack notin {'r2', 'r3'}", true, true},
    {"gpu in {''}", false, false},
    {"gpu not in {'x'}", true, true},
    {"!gpu in {'x'}", true, true},
    /* Operators' and functions' names are labels too. */
    {"in in {'place'}", true, false},
    {"in == 'place'", true, false},
    {"all == 'yes'", true, false},
    {"not not in {'x'}", true, true},
    {"has == 'x'", false, false},
    {"contains contains 'x'", false, false},
    {"alle == 'x'", false, false},
    /* Precedence: ! before && before ||. */
    {"has(rack) && has(gpu)", false, false},
    {"has(rack) || has(gpu)", true, false},
    {"has(rack) || has(gpu) && has(gpu)", true, false},
    {"(has(rack) || has(gpu)) && has(gpu)", false, false},
    {"!has(gpu) && has(rack)", true, false},
    {"!(has(gpu) && has(rack))", true, true},
    {"!(has(gpu) || has(rack))", false, true},
    {"!(!(has(rack)))", true, false},
    {"has(rack)&&has(role)&&has(in)", true, false},
    {"has(rack)&&has(role)&&!has(in)", false, false},
    {"has(a)||has(b)||has(role)", true, false},
    {"rack == 'r1' && !has(gpu)", true, false},
    {"((((rack == 'r1'))))", true, false},
};

START_TEST(test_matches)
{
	const struct sample *sample = &samples[_i];
	char err[100] = "";
	struct selector *s = selector_parse(sample->text, err, sizeof err);

	ck_assert_msg(s != NULL, "%s: %s", sample->text, err);
	ck_assert_msg(selector_match(s, &labels) == sample->matches, "%s", sample->text);
	ck_assert_msg(selector_match(s, &none) == sample->matches_none, "%s, no labels", sample->text);
	selector_free(s);
}
END_TEST

static const struct {
	const char *text, *error;
} bad[] = {
    {"rack", "at 5: expected ==, !=, in"},
    {"rack == r1", "at 9: expected a value in quotes"},
    {"rack == 'r1", "at 9: expected a value in quotes"},
    {"rack == 'r1\"", "at 9: expected a value in quotes"},
    {"rack = 'r1'", "at 6: expected ==, !=, in"},
    {"rack === 'r1'", "at 8: expected a value"},
    {"rack == 'r1' &&", "at 16: expected a label"},
    {"rack == 'r1' & has(x)", "at 14: expected &&, || or the end"},
    {"&& has(x)", "at 1: expected a label"},
    {"has(x) has(y)", "at 8: expected &&, || or the end"},
    {"has()", "at 5: expected a label"},
    {"has(x", "at 6: expected )"},
    {"has(x y)", "at 7: expected )"},
    {"has (x)", "at 5: expected ==, !=, in"},
    {"all(", "at 5: expected )"},
    {"all(x)", "at 5: expected )"},
    {"(has(x)", "at 8: expected &&, || or )"},
    {"has(x))", "at 7: expected &&, || or the end"},
    {"()", "at 2: expected a label"},
    {"!", "at 2: expected a label"},
    {"x in 'a'", "at 6: expected {"},
    {"x in {'a' 'b'}", "at 11: expected a value in quotes, or }"},
    {"x in {a}", "at 7: expected a value in quotes, or }"},
    {"x in {'a'", "at 10: expected a value in quotes, or }"},
    {"x not {'a'}", "at 7: expected ==, !=, in"},
    {"x starts 'a'", "at 10: expected ==, !=, in"},
    {"x inn {'a'}", "at 3: expected ==, !=, in"},
    {"x == 'a'\n", "at 9: expected &&, || or the end"},
    {"\xc3\xa4 == 'a'", "at 1: expected a label"},
};

START_TEST(test_errors)
{
	char err[100] = "";

	ck_assert_msg(!selector_parse(bad[_i].text, err, sizeof err), "%s", bad[_i].text);
	ck_assert_msg(strncmp(err, bad[_i].error, strlen(bad[_i].error)) == 0, "%s: %s", bad[_i].text, err);
}
END_TEST

static char *repeat(const char *before, unsigned n_before, const char *middle, const char *after, unsigned n_after)
{
	char *text = mem_calloc(1, strlen(before) * n_before + strlen(middle) + strlen(after) * n_after + 1);
	char *at = text;

	while (n_before--)
		at = stpcpy(at, before);
	at = stpcpy(at, middle);
	while (n_after--)
		at = stpcpy(at, after);
	return text;
}

static bool parses(char *text)
{
	char err[100] = "";
	struct selector *s = selector_parse(text, err, sizeof err);
	bool ok = s != NULL;

	ck_assert(ok == !*err);
	selector_free(s);
	free(text);
	return ok;
}

START_TEST(test_bounds)
{
	ck_assert(parses(repeat("(", 64, "has(x)", ")", 64)));
	ck_assert(!parses(repeat("(", 65, "has(x)", ")", 65)));
	ck_assert(!parses(repeat("(", 16000, "has(x)", ")", 100)));
	ck_assert(parses(repeat("!", 10000, "has(x)", "", 0)));
	ck_assert(parses(repeat("has(x)||", 2000, "has(x)", "", 0)));
	ck_assert(parses(repeat("k", 512, "=='x'", "", 0)));
	ck_assert(!parses(repeat("k", 513, "=='x'", "", 0)));
	ck_assert(!parses(repeat(" ", 16385, "", "", 0)));
}
END_TEST

/* Every beginning of every sample either parses or says what is wrong. */
START_TEST(test_truncations)
{
	for (size_t n = 0; n <= strlen(samples[_i].text); n++)
		parses(mem_strndup(samples[_i].text, n));
}
END_TEST

START_TEST(test_labels_get)
{
	for (unsigned i = 0; i < labels.count; i++)
		ck_assert_str_eq(labels_get(&labels, keys[i]), values[i]);
	ck_assert_ptr_null(labels_get(&labels, "a"));
	ck_assert_ptr_null(labels_get(&labels, "racks"));
	ck_assert_ptr_null(labels_get(&labels, "z"));
	ck_assert_ptr_null(labels_get(&none, "rack"));
}
END_TEST

static void note(void *arg, const char *key)
{
	strbuf_printf(arg, "%s ", key);
}

START_TEST(test_labels_asked_about)
{
	static const char *const texts[][2] = {
	    {"", ""},
	    {"all()", ""},
	    {"!has(gpu)", "gpu "},
	    {"rack == 'r1' && (zone in {'a', 'b'} || !(rack != 'r2'))", "rack zone rack "},
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		char err[100];
		struct selector *s = selector_parse(texts[i][0], err, sizeof err);
		struct strbuf seen = {0};

		strbuf_puts(&seen, "");
		selector_labels(s, note, &seen);
		ck_assert_str_eq(seen.s, texts[i][1]);
		strbuf_free(&seen);
		selector_free(s);
	}
	selector_labels(NULL, note, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("selector");
	TCase *t = tcase_create("selector");
	SRunner *sr = srunner_create(s);
	int failures;

	tcase_add_loop_test(t, test_matches, 0, sizeof samples / sizeof *samples);
	tcase_add_loop_test(t, test_truncations, 0, sizeof samples / sizeof *samples);
	tcase_add_loop_test(t, test_errors, 0, sizeof bad / sizeof *bad);
	tcase_add_test(t, test_bounds);
	tcase_add_test(t, test_labels_get);
	tcase_add_test(t, test_labels_asked_about);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
