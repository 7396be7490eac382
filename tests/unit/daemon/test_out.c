/* The writer: the same calls, as text and as JSON. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mono.h"
#include "daemon/control/out.h"

/* Runs the calls in both forms. */
static void check_both(void (*calls)(struct out *o), const char *text, const char *json)
{
	for (int as_json = 0; as_json < 2; as_json++) {
		struct strbuf to = {0};
		struct out o;
		out_begin(&o, &to, as_json);
		calls(&o);
		out_finish(&o);
		ck_assert_str_eq(to.s ? to.s : "", as_json ? json : text);
		strbuf_free(&to);
	}
}

static void nothing(struct out *o)
{
	(void)o;
}

START_TEST(empty_answer)
{
	check_both(nothing, "", "{}\n");
}
END_TEST

static void all_values(struct out *o)
{
	struct addr none = {0}, a;
	struct prefix p;

	ck_assert(addr_parse(&a, "fd00::1") && prefix_parse(&p, "10.0.0.0/26"));
	out_text(o, "text", "Text", "some words");
	out_text(o, "empty", "Empty", "");
	out_text(o, "null", "Null", NULL);
	out_printf(o, "made", "Made", "%d+%d", 1, 2);
	out_number(o, "number", "Number", 18446744073709551615u);
	out_bool(o, "yes", "Yes", true);
	out_bool(o, "no", "No", false);
	out_duration(o, "time", "Time", 307 * MONO_SEC + 45 * MONO_MSEC);
	out_addr(o, "addr", "Address", &a);
	out_addr(o, "none", "None", &none);
	out_prefix(o, "prefix", "Prefix", &p);
	out_text(o, NULL, "Only text", "x");
	out_text(o, "only_json", NULL, "y");
	out_number(o, "only_json_too", NULL, 1);
	out_note(o, "a note of %d words", 5);
}

START_TEST(values)
{
	check_both(
	    all_values,
	    "Text\tsome words\nEmpty\t-\nNull\t-\nMade\t1+2\nNumber\t18446744073709551615\nYes\tyes\nNo\tno\n"
	    "Time\t5m07s\nAddress\tfd00::1\nNone\t-\nPrefix\t10.0.0.0/26\nOnly text\tx\na note of 5 words\n",
	    "{\n  \"text\": \"some words\",\n  \"empty\": \"\",\n  \"null\": null,\n  \"made\": \"1+2\",\n"
	    "  \"number\": 18446744073709551615,\n  \"yes\": true,\n  \"no\": false,\n  \"time\": 307.045,\n"
	    "  \"addr\": \"fd00::1\",\n  \"none\": null,\n  \"prefix\": \"10.0.0.0/26\",\n  \"only_json\": \"y\",\n"
	    "  \"only_json_too\": 1\n}\n");
}
END_TEST

static void nested(struct out *o)
{
	out_section(o, "node", NULL);
	out_text(o, "name", "Name", "n1");
	out_end(o);
	out_section(o, "timers", "Timers");
	out_number(o, "hold", "Hold", 90);
	out_table(o, "peers", "Peers", "none here");
	for (uint64_t i = 1; i < 3; i++) {
		out_row(o);
		out_number(o, "id", "ID", i);
		out_text(o, "hidden", NULL, "h");
		out_text(o, "name", "NAME", i == 1 ? "one" : NULL);
		out_end(o);
	}
	out_end(o);
	out_table(o, "others", "Others", "none here");
	out_end(o);
	out_table(o, "silent", NULL, NULL);
	out_end(o);
	out_lines(o, "problems", "Problems", "first\nsecond\n");
	out_lines(o, "more", "More", "");
}

START_TEST(sections_and_tables)
{
	check_both(
	    nested,
	    "Name\tn1\n\nTimers\n  Hold\t90\n\nPeers\n  ID\tNAME\n  1\tone\n  2\t-\n\nOthers\n  none here\n"
	    "\nProblems\n  first\n  second\n",
	    "{\n  \"node\": {\n    \"name\": \"n1\"\n  },\n  \"timers\": {\n    \"hold\": 90,\n    \"peers\": [\n"
	    "      {\"id\": 1, \"hidden\": \"h\", \"name\": \"one\"},\n"
	    "      {\"id\": 2, \"hidden\": \"h\", \"name\": null}\n    ],\n    \"others\": [],\n    \"silent\": [],\n"
	    "    \"problems\": [\n      \"first\",\n      \"second\"\n    ],\n    \"more\": []\n  }\n}\n");
}
END_TEST

static void neighbours(struct out *o)
{
	out_number(o, "a", "A", 1);
	out_table(o, "t", NULL, NULL);
	for (uint64_t i = 0; i < 2; i++) {
		out_row(o);
		out_number(o, "i", "I", i);
		out_end(o);
	}
	out_end(o);
	out_number(o, "b", "B", 2);
	out_note(o, "note");
	out_number(o, "c", "C", 3);
}

/* The client aligns neighbouring lines: a table and values beside it must not be neighbours. */
START_TEST(values_keep_their_distance_from_tables)
{
	check_both(neighbours, "A\t1\n\nI\n0\n1\n\nB\t2\nnote\nC\t3\n",
		   "{\n  \"a\": 1,\n  \"t\": [\n    {\"i\": 0},\n    {\"i\": 1}\n  ],\n  \"b\": 2,\n  \"c\": 3\n}\n");
}
END_TEST

static void nasty(struct out *o)
{
	/* Tab, newline, escape, DEL, quote, backslash; C1 as UTF-8; a stray continuation; overlong; surrogate; cut off.
	 */
	out_text(o, "a", "A", "t\tn\ne\033[2Jd\177q\"b\\");
	out_text(o, "b", "B",
		 "\xc2\x9b"
		 "0m \x80 \xc0\xaf \xed\xa0\x80 \xe2\x82");
	out_text(o, "c", "C", "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa6");
	out_lines(o, "d", NULL, "x\ty\r\nz");
	out_note(o, "%s", "\033]0;title\a");
}

START_TEST(hostile_texts)
{
	check_both(nasty,
		   "A\tt?n?e?[2Jd?q\"b\\\nB\t?0m ? ?? ??? ??\nC\th\xc3\xa9 \xe2\x82\xac "
		   "\xf0\x9f\x90\xa6\nx?y?\nz\n?]0;title?\n",
		   "{\n  \"a\": \"t\\u0009n\\u000ae\\u001b[2Jd\\u007fq\\\"b\\\\\",\n"
		   "  \"b\": \"\\u009b0m \\ufffd \\ufffd\\ufffd \\ufffd\\ufffd\\ufffd \\ufffd\\ufffd\",\n"
		   "  \"c\": \"h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa6\",\n"
		   "  \"d\": [\n    \"x\\u0009y\\u000d\",\n    \"z\"\n  ]\n}\n");
}
END_TEST

/* The buffer may be emptied between any two calls: what was sent has no influence on what follows. */
START_TEST(drained_in_between)
{
	for (int as_json = 0; as_json < 2; as_json++) {
		struct strbuf to = {0}, all = {0};
		struct out o;
		out_begin(&o, &to, as_json);
		for (uint64_t i = 0; i < 3; i++) {
			out_table(&o, "t", "Table", NULL);
			strbuf_add(&all, to.s, to.len);
			strbuf_reset(&to);
			out_row(&o);
			out_number(&o, "i", "I", i);
			out_end(&o);
			strbuf_add(&all, to.s, to.len);
			strbuf_reset(&to);
			out_end(&o);
		}
		out_finish(&o);
		strbuf_add(&all, to.s, to.len);
		ck_assert_str_eq(all.s, as_json
					    ? "{\n  \"t\": [\n    {\"i\": 0}\n  ],\n  \"t\": [\n    {\"i\": 1}\n  ],\n"
					      "  \"t\": [\n    {\"i\": 2}\n  ]\n}\n"
					    : "Table\n  I\n  0\n\nTable\n  I\n  1\n\nTable\n  I\n  2\n");
		strbuf_free(&to);
		strbuf_free(&all);
	}
}
END_TEST

/* Given up in the middle: still a whole JSON value, and no leak (the sanitizers look). */
START_TEST(finish_closes_everything)
{
	struct strbuf to = {0};
	struct out o;

	out_begin(&o, &to, true);
	out_section(&o, "a", NULL);
	out_table(&o, "b", NULL, NULL);
	out_row(&o);
	out_number(&o, "c", "C", 1);
	out_finish(&o);
	ck_assert_str_eq(to.s, "{\n  \"a\": {\n    \"b\": [\n      {\"c\": 1}\n    ]\n  }\n}\n");
	strbuf_free(&to);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("out");
	TCase *t = tcase_create("out");
	SRunner *sr;
	int failures;

	tcase_add_test(t, empty_answer);
	tcase_add_test(t, values);
	tcase_add_test(t, sections_and_tables);
	tcase_add_test(t, values_keep_their_distance_from_tables);
	tcase_add_test(t, hostile_texts);
	tcase_add_test(t, drained_in_between);
	tcase_add_test(t, finish_closes_everything);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
