/* JSON as a tree, and streams of it cut into pieces. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/remote/backoff.h"
#include "datastore/remote/base64.h"
#include "datastore/remote/json.h"
#include "datastore/remote/json_stream.h"

static struct arena arena;

static char *written(const char *text)
{
	char err[JSON_ERROR_LEN];
	struct yaml_node *n = json_parse(text, strlen(text), &arena, err);
	struct strbuf out = {0};

	ck_assert_msg(n, "%s: %s", text, err);
	json_write(&out, n);
	return out.s;
}

START_TEST(values_come_back)
{
	static const char *const same[] = {
	    "{\"a\":1,\"b\":[true,false,null,\"\",\"1\"],\"c\":{}}",
	    "[-9223372036854775808,9223372036854775807]",
	    "\"a \\\"quoted\\\" \\\\ back \\u0001 \xc3\xa4 \xf0\x9f\x90\xa6\"",
	    "[1.5,{\"x\":{\"y\":[[]]}}]",
	};

	for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
		char *out = written(same[i]);
		ck_assert_str_eq(out, same[i]);
		free(out);
	}
	arena_free(&arena);
}
END_TEST

START_TEST(numbers_and_words_are_not_quoted)
{
	static const char text[] = "{\"n\":64512,\"s\":\"64512\",\"big\":18446744073709551615,\"t\":true,\"z\":null}";
	char err[JSON_ERROR_LEN];
	struct yaml_node *n = json_parse(text, strlen(text), &arena, err);

	ck_assert_ptr_nonnull(n);
	ck_assert(!json_at(n, "n")->quoted && json_at(n, "s")->quoted);
	ck_assert_str_eq(json_text_at(n, "n"), "64512");
	ck_assert_str_eq(json_text_at(n, "t"), "true");
	ck_assert(yaml_is_null(json_at(n, "z")));
	ck_assert_ptr_null(json_text_at(n, "z"));
	ck_assert_ptr_null(json_text_at(n, "n.x"));
	ck_assert_str_eq(json_text_at(n, "big"), "1.8446744073709552e+19");
	arena_free(&arena);
}
END_TEST

START_TEST(bad_text_is_refused)
{
	static const char *const bad[] = {
	    "",	     "{",	 "{\"a\":1,\"a\":2}", "[1,]",  "{\"a\" 1}",
	    "nul",   "\"\xff\"", "\"a\\u0000b\"",     "{} {}", "\"\\ud800\"",
	    "{a:1}",
	};
	char err[JSON_ERROR_LEN];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		*err = '\0';
		ck_assert_msg(!json_parse(bad[i], strlen(bad[i]), &arena, err), "%s", bad[i]);
		ck_assert_msg(strncmp(err, "is not JSON: ", 13) == 0, "%s", err);
	}
	arena_free(&arena);
}
END_TEST

START_TEST(depth_is_bounded)
{
	char deep[2 * YAML_MAX_DEPTH + 3], err[JSON_ERROR_LEN];

	memset(deep, '[', YAML_MAX_DEPTH + 1);
	memset(deep + YAML_MAX_DEPTH + 1, ']', YAML_MAX_DEPTH + 1);
	ck_assert_ptr_nonnull(json_parse(deep + 1, 2 * YAML_MAX_DEPTH, &arena, err));
	ck_assert_ptr_null(json_parse(deep, 2 * YAML_MAX_DEPTH + 2, &arena, err));
	ck_assert_str_eq(err, "lists and maps are nested too deep");
	arena_free(&arena);
}
END_TEST

START_TEST(trees_are_built)
{
	struct yaml_node *map = json_new_map(&arena), *list = json_new_list(&arena);
	struct strbuf out = {0};

	for (int i = 0; i < 9; i++)
		json_append(&arena, list, json_new_word(&arena, "7"));
	json_set(&arena, map, "kind", json_new_text(&arena, "Node"));
	json_set(&arena, map, "l", list);
	json_set(&arena, map, "kind", json_new_text(&arena, "IPPool"));
	json_set(&arena, map, "gone", list);
	json_remove(map, "gone");
	json_remove(map, "never");
	json_write(&out, map);
	ck_assert_str_eq(out.s, "{\"kind\":\"IPPool\",\"l\":[7,7,7,7,7,7,7,7,7]}");
	strbuf_free(&out);
	arena_free(&arena);
}
END_TEST

START_TEST(parsed_trees_grow)
{
	static const char text[] = "{\"a\":{\"b\":1},\"l\":[1]}";
	char err[JSON_ERROR_LEN];
	struct yaml_node *n = json_parse(text, strlen(text), &arena, err);
	struct strbuf out = {0};

	json_set(&arena, json_at(n, "a"), "c", json_new_word(&arena, "2"));
	json_append(&arena, json_at(n, "l"), json_new_word(&arena, "2"));
	json_set(&arena, n, "z", json_new_text(&arena, "x"));
	json_write(&out, n);
	ck_assert_str_eq(out.s, "{\"a\":{\"b\":1,\"c\":2},\"l\":[1,2],\"z\":\"x\"}");
	strbuf_free(&out);
	arena_free(&arena);
}
END_TEST

/* ---- Streams ---- */

static bool on_piece(void *arg, enum json_piece what, const char *text, size_t len)
{
	static const char marks[] = {[JSON_ELEMENT] = 'e', [JSON_OBJECT] = 'o', [JSON_TOO_LARGE] = '!'};
	struct strbuf *out = arg;

	strbuf_printf(out, "%c%.*s\n", marks[what], (int)len, text);
	return true;
}

static const char stream_text[] =
    "{\"result\":{\"header\":{\"events\":[{\"no\":1}]},\"events\":[{\"a\":[1,{}]},\n"
    " {\"b\":\"]},{ \\\" \\\\\"} ] ,\"x\":1}}\n{\"result\":{\"events\":[]}} {\"events\":[{}]}";
static const char stream_pieces[] = "e{\"a\":[1,{}]}\n"
				    "e{\"b\":\"]},{ \\\" \\\\\"}\n"
				    "o{\"result\":{\"header\":{\"events\":[{\"no\":1}]},\"events\":[],\"x\":1}}\n"
				    "o{\"result\":{\"events\":[]}}\n"
				    "o{\"events\":[{}]}\n";

/* In pieces of every size. */
START_TEST(streams_are_cut)
{
	struct strbuf out = {0};
	struct json_stream s = {.member = "result.events", .max = 1000, .on_piece = on_piece, .arg = &out};
	size_t step = (size_t)_i + 1, len = strlen(stream_text);
	const char *error;

	for (size_t at = 0; at < len; at += step)
		ck_assert(json_stream_feed(&s, stream_text + at, len - at < step ? len - at : step, &error));
	ck_assert(!json_stream_is_open(&s));
	ck_assert_str_eq(out.s, stream_pieces);
	json_stream_reset(&s);
	strbuf_free(&out);
}
END_TEST

static bool feed(const char *member, size_t max, const char *text, struct strbuf *out, const char **error)
{
	struct json_stream s = {.member = member, .max = max, .on_piece = on_piece, .arg = out};
	bool good = json_stream_feed(&s, text, strlen(text), error);

	json_stream_reset(&s);
	return good;
}

START_TEST(large_elements_are_left_out)
{
	struct strbuf out = {0};
	const char *error;

	ck_assert(feed("kvs", 12, "{\"kvs\":[{\"k\":1},{\"k\":\"0123456789\"},{\"k\":2}]}", &out, &error));
	ck_assert_str_eq(out.s, "e{\"k\":1}\n!{\"k\":\"0123456789\"\ne{\"k\":2}\no{\"kvs\":[]}\n");
	strbuf_reset(&out);
	ck_assert(!feed("kvs", 12, "{\"other\":[{\"k\":1},{\"k\":2}]}", &out, &error));
	ck_assert_str_eq(error, "an object is too large");
	strbuf_free(&out);
}
END_TEST

START_TEST(what_is_no_stream_is_refused)
{
	static const char *const bad[] = {"x", "[1]", "\"a\"", "{\"kvs\":[1]}", "{]", "}", "{\"kvs\":[\"a\"]}", "{} 1"};
	struct strbuf out = {0};
	const char *error = NULL;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ck_assert_msg(!feed("kvs", 100, bad[i], &out, &error), "%s", bad[i]);
		ck_assert_str_eq(error, "is not a sequence of JSON objects");
	}
	strbuf_free(&out);
}
END_TEST

START_TEST(deep_streams_are_refused)
{
	char deep[JSON_STREAM_DEPTH + 2] = "";
	struct strbuf out = {0};
	const char *error;

	memset(deep, '{', JSON_STREAM_DEPTH + 1);
	ck_assert(!feed(NULL, 1000, deep, &out, &error));
	ck_assert_str_eq(error, "lists and maps are nested too deep");
	strbuf_free(&out);
}
END_TEST

/* ---- Base64, delays ---- */

START_TEST(base64_there_and_back)
{
	/* RFC 4648 section 10 */
	static const char *const pairs[][2] = {{"", ""},
					       {"f", "Zg=="},
					       {"fo", "Zm8="},
					       {"foo", "Zm9v"},
					       {"foob", "Zm9vYg=="},
					       {"fooba", "Zm9vYmE="},
					       {"foobar", "Zm9vYmFy"}};

	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		struct strbuf coded = {0}, text = {0};
		strbuf_puts(&coded, "");
		base64_encode(&coded, pairs[i][0], strlen(pairs[i][0]));
		ck_assert_str_eq(coded.s, pairs[i][1]);
		ck_assert(base64_decode(&text, coded.s, coded.len));
		ck_assert_str_eq(text.s, pairs[i][0]);
		strbuf_free(&coded);
		strbuf_free(&text);
	}
}
END_TEST

START_TEST(base64_refuses)
{
	static const char *const bad[] = {
	    "Zg", "Zg=", "Z", "Zh==", "Zm9=", "Zm9v=", "Z===", "====", "Zm9v!", "Zg==Zg==", "Zm-_"};
	struct strbuf text = {0};

	strbuf_puts(&text, "before");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ck_assert_msg(!base64_decode(&text, bad[i], strlen(bad[i])), "%s", bad[i]);
		ck_assert_str_eq(text.s, "before");
	}
	ck_assert(base64_decode(&text, "Zm9v\r\n Yg==\n", 12));
	ck_assert_str_eq(text.s, "beforefoob");
	strbuf_free(&text);
}
END_TEST

START_TEST(delays_grow_to_their_most)
{
	struct backoff b = {.least = 100, .most = 1000};
	static const uint64_t due[] = {100, 200, 400, 800, 1000, 1000};

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof due / sizeof *due; i++) {
			uint64_t delay = backoff_delay(&b);
			ck_assert_msg(delay >= due[i] / 2 && delay <= due[i], "%zu: %zu", i, (size_t)delay);
		}
		backoff_reset(&b);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("json");
	TCase *t = tcase_create("json");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, t);
	tcase_add_test(t, values_come_back);
	tcase_add_test(t, numbers_and_words_are_not_quoted);
	tcase_add_test(t, bad_text_is_refused);
	tcase_add_test(t, depth_is_bounded);
	tcase_add_test(t, trees_are_built);
	tcase_add_test(t, parsed_trees_grow);
	tcase_add_loop_test(t, streams_are_cut, 0, (int)strlen(stream_text));
	tcase_add_test(t, large_elements_are_left_out);
	tcase_add_test(t, what_is_no_stream_is_refused);
	tcase_add_test(t, deep_streams_are_refused);
	tcase_add_test(t, base64_there_and_back);
	tcase_add_test(t, base64_refuses);
	tcase_add_test(t, delays_grow_to_their_most);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
