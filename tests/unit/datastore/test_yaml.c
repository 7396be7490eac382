#include "datastore/yaml.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/buf.h"
#include "daemon/base/mem.h"

/* Documents written back in one line each: {key: 'quoted', other: [plain, ...]}; an empty document is "-". */
static void show(struct strbuf *out, const struct yaml_node *n)
{
	if (n->type == YAML_SCALAR) {
		strbuf_printf(out, n->quoted ? "'%s'" : "%s", n->text);
		return;
	}
	strbuf_putc(out, n->type == YAML_MAP ? '{' : '[');
	for (size_t i = 0; i < n->count; i++) {
		if (i)
			strbuf_puts(out, ", ");
		if (n->type == YAML_MAP)
			strbuf_printf(out, "%s: ", n->keys[i]);
		show(out, n->items[i]);
	}
	strbuf_putc(out, n->type == YAML_MAP ? '}' : ']');
}

static void on_doc(void *arg, struct yaml_node *root)
{
	struct strbuf *out = arg;

	if (root)
		show(out, root);
	else
		strbuf_putc(out, '-');
	strbuf_putc(out, ';');
}

struct sample {
	const char *text, *shown, *error; /* error NULL: none; else "LINE:COL part of the reason" */
};

static void check_bytes(const char *text, size_t len, const char *shown, const char *error)
{
	struct strbuf out = {0};
	struct yaml_error err;
	bool ok = yaml_parse(text, len, on_doc, &out, &err);
	char at[32];

	ck_assert_str_eq(out.s ? out.s : "", shown);
	ck_assert_msg(ok == !error, "%s: %u:%u %s", text, err.line, err.col, err.reason);
	if (error) {
		snprintf(at, sizeof at, "%u:%u ", err.line, err.col);
		ck_assert_msg(strncmp(error, at, strlen(at)) == 0, "%s: %s%s", text, at, err.reason);
		ck_assert_msg(strstr(err.reason, error + strlen(at)) != NULL, "%s: %s", text, err.reason);
	}
	strbuf_free(&out);
}

static const struct sample samples[] = {
    {"", "", NULL},
    {"# nothing\n", "", NULL},
    {"---\n", "-;", NULL},
    {"--- null\n---\na: 1\n", "-;{a: 1};", NULL},
    {"a: 1\nb: '1'\nc: \"x\"\nd: |\n  text\n", "{a: 1, b: '1', c: 'x', d: 'text\n'};", NULL},
    {"a:\n- b\n- c: [1, {d: e}]\n", "{a: [b, {c: [1, {d: e}]}]};", NULL},
    {"a: {}\nb: []\nc:\n", "{a: {}, b: [], c: };", NULL},
    {"a: 1\n---\nb: 2\n...\n---\nc: 3\n", "{a: 1};{b: 2};{c: 3};", NULL},
    {"{\"kind\":\"Node\",\"n\":[1,null,true],\"s\":\"a\\/b\\u0041\"}", "{kind: 'Node', n: [1, null, true], s: 'a/bA'};",
     NULL},
    {"{\n\t\"a\": 1,\n\t\"b\": {\n\t\t\"c\": []\n\t}\n}\n", "{a: 1, b: {c: []}};", NULL},
    {"a: 1\r\nb: 2\r\n", "{a: 1, b: 2};", NULL},
    {"\xef\xbb\xbf"
     "a: 1\n",
     "{a: 1};", NULL},
    {"a: \xc3\xa4\n", "{a: \xc3\xa4};", NULL},
    /* What is refused, and what stood before it. */
    {"a: 1\n---\nb: [1, 2\n", "{a: 1};", "4:1 did not find expected ',' or ']'"},
    {"a: 1\n---\nb: 2\n  c: 3\n", "{a: 1};", "4:4 mapping values are not allowed"},
    {"a: 'x\n", "", "2:1 unexpected end of stream"},
    {"a: &x 1\nb: *x\n", "", "1:4 anchors and aliases"},
    {"a: 1\n---\nb: *x\n", "{a: 1};", "3:4 anchors and aliases"},
    {"a: &x [1]\n", "", "1:4 anchors and aliases"},
    {"a: &x {b: 1}\n", "", "1:4 anchors and aliases"},
    {"a: !!binary x\n", "", "1:4 tags"},
    {"a: !foo [1]\n", "", "1:4 tags"},
    {"? [a]\n: b\n", "", "1:3 a key must be"},
    {"? {a: b}\n: c\n", "", "1:3 a key must be"},
    {"a: \"x\\0y\"\n", "", "1:4 a NUL"},
    {"a: 1\nb\tc: \x01\n", "", "2:6 byte 0x01 is not text"},
    {"a: 1\n---\nb: \xff\n", "{a: 1};", "3:4 byte 0xff is not text"},
    {"a: 1\n...\n\xff\n", "{a: 1};", "3:1 byte 0xff is not text"},
    {"a: 1\n\xc3(\n", "", "2:1 byte 0xc3 is not text"},
    {"a: \xed\xa0\x80\n", "", "1:4 byte 0xed is not text"}, /* a surrogate */
    {"a: \xc0\x80\n", "", "1:4 byte 0xc0 is not text"},	    /* not the shortest form */
    {"a: [\nb: \xff\n", "", "2:4 byte 0xff is not text"},
    {"a: ]\nb: \xff\n", "", "1:4 did not find"}, /* the first of two errors */
};

START_TEST(test_samples)
{
	check_bytes(samples[_i].text, strlen(samples[_i].text), samples[_i].shown, samples[_i].error);
}
END_TEST

START_TEST(test_nul_byte)
{
	check_bytes("a: 1\n\0b: 2\n", 11, "", "2:1 byte 0x00 is not text");
}
END_TEST

/* However a text is cut off, whole documents are delivered, never a part of one that is followed by broken text, and
 * the reader comes back. */
START_TEST(test_truncations)
{
	static const char text[] = "kind: Node\nspec: {a: [1, 'x'], b: \"y\"}\n---\n- 1\n- {c: |\n   text}\n";
	static const char first[] = "{kind: Node, spec: {a: [1, 'x'], b: 'y'}};";
	struct yaml_error err;

	for (size_t n = 0; n < sizeof text; n++) {
		struct strbuf out = {0};
		char *copy = mem_alloc(n + 1);
		memcpy(copy, text, n);
		copy[n] = (char)0xff;
		ck_assert(!yaml_parse(copy, n + 1, on_doc, &out, &err));
		ck_assert_uint_gt(err.line, 0);
		ck_assert_str_eq(out.s ? out.s : "", n < 42 ? "" : first);
		strbuf_free(&out);
		/* Without the bad byte the cut may be invisible; it must only never crash. */
		copy = mem_realloc(copy, n);
		yaml_parse(copy, n, on_doc, &out, &err);
		strbuf_free(&out);
		free(copy);
	}
}
END_TEST

static char *nested(unsigned depth)
{
	char *text = mem_alloc(depth * 2 + 1);

	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	text[depth * 2] = '\0';
	return text;
}

START_TEST(test_depth)
{
	char *fits = nested(YAML_MAX_DEPTH), *deeper = nested(YAML_MAX_DEPTH + 1), *abyss = nested(1000000);
	struct strbuf out = {0};
	struct yaml_error err;

	ck_assert(yaml_parse(fits, strlen(fits), on_doc, &out, &err));
	ck_assert(!yaml_parse(deeper, strlen(deeper), on_doc, &out, &err));
	ck_assert_ptr_nonnull(strstr(err.reason, "too deep"));
	ck_assert_uint_eq(err.col, YAML_MAX_DEPTH + 1);
	ck_assert(!yaml_parse(abyss, strlen(abyss), on_doc, &out, &err));
	strbuf_free(&out);
	free(fits);
	free(deeper);
	free(abyss);
}
END_TEST

static void count_doc(void *arg, struct yaml_node *root)
{
	(void)root;
	++*(unsigned *)arg;
}

START_TEST(test_size)
{
	size_t len = (size_t)YAML_MAX_NODES * 2;
	char *text = mem_alloc(len + 2);
	struct yaml_error err;
	unsigned docs = 0;

	for (size_t i = 0; i < len; i += 2)
		memcpy(text + i, i ? "1," : "[ ", 2);
	text[len] = ']';
	/* One list, and one item fewer than the limit: fits. */
	ck_assert(yaml_parse(text, len + 1, count_doc, &docs, &err));
	ck_assert_uint_eq(docs, 1);
	memcpy(text, "[1", 2); /* one more: "[1" and then the comma that was behind the blank */
	text[2] = ',';
	text[3] = '1';
	text[len - 1] = ',';
	text[len] = '1';
	text[len + 1] = ']';
	ck_assert(!yaml_parse(text, len + 2, count_doc, &docs, &err));
	ck_assert_ptr_nonnull(strstr(err.reason, "too large"));
	ck_assert_uint_eq(docs, 1);
	free(text);
}
END_TEST

static void check_places(void *arg, struct yaml_node *root)
{
	const struct yaml_node *spec = yaml_get(root, "spec"), *deep = yaml_get(yaml_get(spec, "list")->items[1], "x");

	ck_assert_uint_eq(root->line, 2);
	ck_assert_uint_eq(spec->key_line, 3);
	ck_assert_uint_eq(spec->key_col, 1);
	ck_assert_uint_eq(spec->line, 4);
	ck_assert_uint_eq(spec->col, 3);
	ck_assert_uint_eq(deep->line, 6);
	ck_assert_uint_eq(deep->col, 9);
	ck_assert_uint_eq(deep->key_col, 5);
	ck_assert_uint_eq(yaml_get(spec, "list")->items[0]->key_line, 5);
	ck_assert_ptr_null(yaml_get(spec, "none"));
	ck_assert_ptr_null(yaml_get(deep, "none"));
	ck_assert_ptr_null(yaml_get(NULL, "none"));
	++*(unsigned *)arg;
}

START_TEST(test_places)
{
	static const char text[] = "# a comment\nkind: Node\nspec:\n  list:\n  - 1\n  - x:  2\n";
	struct yaml_error err;
	unsigned docs = 0;

	ck_assert(yaml_parse(text, strlen(text), check_places, &docs, &err));
	ck_assert_uint_eq(docs, 1);
}
END_TEST

static void check_nulls(void *arg, struct yaml_node *root)
{
	static const bool nothing[] = {true, true, true, true, true, false, false, false, false, false};

	ck_assert_uint_eq(root->count, sizeof nothing / sizeof *nothing);
	for (size_t i = 0; i < root->count; i++)
		ck_assert_msg(yaml_is_null(root->items[i]) == nothing[i], "item %zu", i);
	++*(unsigned *)arg;
}

START_TEST(test_nulls)
{
	static const char text[] = "- ~\n-\n- null\n- Null\n- NULL\n- 'null'\n- ''\n- nULL\n- []\n- {}\n";
	struct yaml_error err;
	unsigned docs = 0;

	ck_assert(yaml_parse(text, strlen(text), check_nulls, &docs, &err));
	ck_assert_uint_eq(docs, 1);
}
END_TEST

static void check_unique(void *arg, struct yaml_node *root)
{
	struct yaml_error err = {0};

	if (!yaml_unique(root, &err))
		snprintf(arg, 300, "%u:%u %s", err.line, err.col, err.reason);
	ck_assert_str_eq(yaml_get(root, "a")->text, "1");
}

START_TEST(test_duplicates)
{
	struct yaml_error err;
	char found[300] = "";
	struct strbuf big = {0};

	ck_assert(yaml_parse("a: 1\nb: {c: 1, d: {c: 2}}\n", 26, check_unique, found, &err));
	ck_assert_str_eq(found, "");
	ck_assert(yaml_parse("a: 1\nb: [{c: 1, d: 2, c: 3}]\n", 29, check_unique, found, &err));
	ck_assert_str_eq(found, "2:18 the key \"c\" is there twice");
	ck_assert(yaml_parse("a: 1\na: 2\n", 10, check_unique, found, &err));
	ck_assert_str_eq(found, "2:1 the key \"a\" is there twice");
	/* Very many keys: found without comparing each with each. */
	strbuf_puts(&big, "a: 1\n");
	for (unsigned i = 0; i < 100000; i++)
		strbuf_printf(&big, "k%u: 1\n", i);
	strbuf_puts(&big, "k77: 1\n");
	ck_assert(yaml_parse(big.s, big.len, check_unique, found, &err));
	ck_assert_str_eq(found, "100002:1 the key \"k77\" is there twice");
	strbuf_free(&big);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("yaml");
	TCase *t = tcase_create("yaml");
	SRunner *sr = srunner_create(s);
	int failures;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_samples, 0, sizeof samples / sizeof *samples);
	tcase_add_test(t, test_nul_byte);
	tcase_add_test(t, test_truncations);
	tcase_add_test(t, test_depth);
	tcase_add_test(t, test_size);
	tcase_add_test(t, test_places);
	tcase_add_test(t, test_nulls);
	tcase_add_test(t, test_duplicates);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
