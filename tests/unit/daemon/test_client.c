/* The client: how it aligns and cuts, what it says and returns when something is wrong. */
#include "tests/unit/daemon/client_rig.h"

#include <linux/capability.h>
#include <sys/syscall.h>

/* What this answer looks like with these options. */
static struct result show(const char *answer, const char *option)
{
	pid_t pid = serve("x\n", answer);
	struct result r = option ? RUN("-s", path, option, "x") : RUN("-s", path, "x");

	expect_served(pid);
	ck_assert_msg(r.status == 0, "%s", r.err);
	return r;
}

START_TEST(the_line_sent)
{
	pid_t pid = serve("show peers n1\n", "ok\nfine\n");
	struct result r = RUN("-s", path, "show", "peers", "n1");

	expect_served(pid);
	ck_assert_int_eq(r.status, 0);
	ck_assert_str_eq(r.out, "fine\n");
	ck_assert_str_eq(r.err, "");
	/* Options may follow, and the socket may come from the environment. */
	setenv("CALIDRIS_SOCKET", path, 1);
	pid = serve("json show peers\n", "ok\n{\"a\\tb\": 1}\n");
	r = RUN("show", "peers", "-o", "json");
	expect_served(pid);
	ck_assert_int_eq(r.status, 0);
	ck_assert_str_eq(r.out, "{\"a\\tb\": 1}\n");
	/* In a container of the daemon's there is what the daemon was told. */
	setenv("CALIDRIS_CONTROL_SOCKET", "/nonexistent", 1);
	pid = serve("show peers\n", "ok\nfine\n");
	ck_assert_str_eq(RUN("show", "peers").out, "fine\n");
	expect_served(pid);
	setenv("CALIDRIS_SOCKET", "", 1);
	setenv("CALIDRIS_CONTROL_SOCKET", path, 1);
	pid = serve("show peers\n", "ok\nfine\n");
	ck_assert_str_eq(RUN("show", "peers").out, "fine\n");
	expect_served(pid);
}
END_TEST

START_TEST(columns_are_aligned)
{
	struct result r = show("ok\nA\tBB\tC\nlonger\tx\tyy\ns\t-\tlast\nno tab here\nLabel\tv\nL\tvalue\n", NULL);

	ck_assert_str_eq(r.out,
			 "A       BB  C\nlonger  x   yy\ns       -   last\nno tab here\nLabel  v\nL      value\n");
}
END_TEST

START_TEST(characters_not_bytes_are_counted)
{
	struct result r = show("ok\nh\xc3\xa9\xc3\xa9\tx\nabcd\ty\n", NULL);

	ck_assert_str_eq(r.out, "h\xc3\xa9\xc3\xa9   x\nabcd  y\n");
}
END_TEST

#define A30 "aaaaaaaaaabbbbbbbbbbcccccccccc"

START_TEST(long_cells_are_cut)
{
	static const char answer[] = "ok\nNAME\tINFO\none\t" A30 A30 A30 A30 "\ntwo\tshort\n";
	struct result r = show(answer, NULL);

	ck_assert_str_eq(r.out, "NAME  INFO\none   " A30 A30 A30 "a...\ntwo   short\n");
	r = show(answer, "-w");
	ck_assert_str_eq(r.out, "NAME  INFO\none   " A30 A30 A30 A30 "\ntwo   short\n");
}
END_TEST

/* Text outside of tables loses nothing: it is broken at blanks. */
START_TEST(long_texts_are_broken)
{
	static const char answer[] =
	    "ok\nHeading\n  " A30 " " A30 " " A30 " " A30 "  " A30 "\nshort\n\n" A30 A30 A30 A30 "\n";
	struct result r = show(answer, NULL);

	ck_assert_str_eq(r.out, "Heading\n  " A30 " " A30 " " A30 "\n    " A30 "  " A30 "\nshort\n\n" A30 A30 A30
				"aaaaaaaaaa\n  bbbbbbbbbbcccccccccc\n");
	r = show(answer, "-w");
	ck_assert_str_eq(r.out, answer + 3);
}
END_TEST

/* The widest columns are cut, and what is short stays whole; the first one keeps twice as much. No line is longer than
 * 100. */
START_TEST(wide_tables_are_cut)
{
	struct result r = show("ok\nfirst " A30 "\t" A30 A30 "\t" A30 A30 "\t12345678901234567890\nx\ty\tz\tq\n", NULL);

	ck_assert_str_eq(r.out, "first " A30 "  aaaaaaaaaabbbbbbb...  aaaaaaaaaabbbbbb...  1234567890123456...\n"
				"x                                     y                     z                    q\n");
}
END_TEST

/* Peers as they are listed, some with long addresses: those of the others can be read. */
START_TEST(short_cells_beside_long_ones)
{
	struct result r = show("ok\nNAME\tADDRESS\tAS\tSTATE\tSINCE\tRECEIVED\tSENT\tINFO\n"
			       "Mesh_10_0_0_10\t10.0.0.10\t64512\tActive\t4s\t0\t0\tpassive: the peer connects\n"
			       "Global_fd00_1234_5678_9abc_def0_1234_5678_1\tfd00:1234:5678:9abc:def0:1234:5678:1\t"
			       "4200000001\tEstablished\t1h02m\t100000\t100000\tits routes are stale for 2m\n",
			       NULL);
	const char *line = r.out;

	for (unsigned i = 0; i < 3; i++) {
		const char *nl = strchr(line, '\n');
		ck_assert_msg(nl && nl - line <= 100, "%s", r.out);
		line = nl + 1;
	}
	ck_assert_msg(strstr(r.out, "\nMesh_10_0_0_10  ") && strstr(r.out, "  10.0.0.10  "), "%s", r.out);
}
END_TEST

/* A table whose first column alone is wider than a line. */
START_TEST(wide_names_are_cut)
{
	struct result r = show("ok\n" A30 A30 A30 A30 "\tx\n", NULL);

	ck_assert_str_eq(r.out, A30 A30 A30 "aaaa...  x\n");
}
END_TEST

START_TEST(many_columns)
{
	struct result r = show("ok\na\tb\tc\td\te\tf\tg\th\ti\tj\tk\tl\tm\tn\to\tp\tq\tr\ts\n", NULL);

	ck_assert_str_eq(r.out, "a  b  c  d  e  f  g  h  i  j  k  l  m  n  o  p  q  r  s\n");
}
END_TEST

START_TEST(answers_without_line_end)
{
	ck_assert_str_eq(show("ok\na\tb", NULL).out, "a  b\n");
	ck_assert_str_eq(show("ok\n", NULL).out, "");
}
END_TEST

START_TEST(the_daemon_refuses)
{
	pid_t pid = serve("reload\n", "error it is bad\nline 1\nline 2\n");
	struct result r = RUN("-s", path, "reload");

	expect_served(pid);
	ck_assert_int_eq(r.status, 1);
	ck_assert_str_eq(r.out, "");
	ck_assert_str_eq(r.err, "calidris: it is bad\nline 1\nline 2\n");
	pid = serve("dance\n", "usage unknown command\n");
	r = RUN("-s", path, "dance");
	expect_served(pid);
	ck_assert_int_eq(r.status, 2);
	ck_assert_str_eq(r.err, "calidris: unknown command\n");
}
END_TEST

START_TEST(wrong_usage)
{
	char *long_word = mem_alloc(CONTROL_LINE_MAX + 1);
	struct result r = RUN("-x");

	ck_assert_int_eq(r.status, 2);
	ck_assert_ptr_nonnull(strstr(r.err, "calidris -h says what there is\n"));
	r = RUN("-o", "xml", "show");
	ck_assert_int_eq(r.status, 2);
	ck_assert_str_eq(r.err, "calidris: -o xml: there are text and json\n");
	r = RUN("-w");
	ck_assert_int_eq(r.status, 2);
	ck_assert_int_eq(strncmp(r.err, "usage: calidris ", 16), 0);
	r = RUN("show", "a\nreload");
	ck_assert_int_eq(r.status, 2);
	memset(long_word, 'x', CONTROL_LINE_MAX);
	long_word[CONTROL_LINE_MAX] = '\0';
	r = RUN("show", long_word);
	ck_assert_int_eq(r.status, 2);
	free(long_word);
}
END_TEST

START_TEST(help_and_version)
{
	struct result r = RUN("-h");

	ck_assert_int_eq(r.status, 0);
	ck_assert_ptr_nonnull(strstr(r.out, "\n  show peers [NAME] "));
	for (const char *line = r.out, *nl; (nl = strchr(line, '\n')); line = nl + 1)
		ck_assert_msg(nl - line <= 100, "longer than 100: %.*s", (int)(nl - line), line);
	r = RUN("--version");
	ck_assert_int_eq(r.status, 0);
	ck_assert_str_eq(r.out, "calidris " CALIDRIS_VERSION "\n");
}
END_TEST

START_TEST(every_command_is_in_the_manual)
{
#define WORDS(words, args, min, max, help, ops) words,
	static const char *const commands[] = {COMMAND_TABLE(WORDS)};
#undef WORDS
	FILE *f = fopen("docs/calidris.8", "r");
	struct strbuf page = {0};
	char block[4096];
	size_t n;

	ck_assert_ptr_nonnull(f);
	while ((n = fread(block, 1, sizeof block, f)) > 0)
		strbuf_add(&page, block, n);
	fclose(f);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		char *item = mem_printf("\n.It Ic %s", commands[i]), *found = strstr(page.s, item);
		ck_assert_msg(found && strchr(" \n", found[strlen(item)]), "calidris(8) has no \"%s\"", commands[i]);
		free(item);
	}
	strbuf_free(&page);
}
END_TEST

START_TEST(nobody_is_there)
{
	struct result r = RUN("-s", path, "show", "status");
	char *want = mem_printf(
	    "calidris: no answer from a daemon on %s: No such file or directory; is calidrisd running?", path);

	ck_assert_int_eq(r.status, 3);
	ck_assert_msg(strncmp(r.err, want, strlen(want)) == 0, "%s", r.err);
	free(want);
	/* Left behind by a daemon that was killed. */
	close(listen_on(path));
	r = RUN("-s", path, "show", "status");
	ck_assert_int_eq(r.status, 3);
	ck_assert_ptr_nonnull(strstr(r.err, "Connection refused; calidrisd left it and is not running"));
}
END_TEST

/* Root may everything; this test runs in a process of its own, so it can do without that. Becoming somebody else is not
 * possible where there is nobody else, as in a user namespace. */
static void respect_permissions(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	ck_assert_int_eq(syscall(SYS_capget, &header, data), 0);
	data[0].effective &= ~(1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH);
	ck_assert_int_eq(syscall(SYS_capset, &header, data), 0);
}

START_TEST(no_permission)
{
	int listener = listen_on(path);
	struct result r;

	ck_assert_int_eq(chmod(path, 0), 0);
	respect_permissions();
	r = RUN("-s", path, "show", "status");
	ck_assert_int_eq(r.status, 3);
	ck_assert_msg(strstr(r.err, "Permission denied; only root and the group set by control.group may use it"), "%s",
		      r.err);
	close(listener);
}
END_TEST

START_TEST(path_too_long)
{
	char *word = mem_alloc(201);
	struct result r;

	memset(word, 'x', 200);
	word[200] = '\0';
	r = RUN("-s", word, "show", "status");
	ck_assert_int_eq(r.status, 3);
	ck_assert_ptr_nonnull(strstr(r.err, "File name too long"));
	free(word);
}
END_TEST

START_TEST(the_daemon_goes_away)
{
	pid_t pid = serve("x\n", "");
	struct result r = RUN("-s", path, "x");

	expect_served(pid);
	ck_assert_int_eq(r.status, 3);
	ck_assert_ptr_nonnull(strstr(r.err, "calidrisd ended, or closed the connection"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("client");
	TCase *t = tcase_create("client");
	SRunner *sr;
	int failures;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, the_line_sent);
	tcase_add_test(t, columns_are_aligned);
	tcase_add_test(t, characters_not_bytes_are_counted);
	tcase_add_test(t, long_cells_are_cut);
	tcase_add_test(t, long_texts_are_broken);
	tcase_add_test(t, wide_tables_are_cut);
	tcase_add_test(t, short_cells_beside_long_ones);
	tcase_add_test(t, wide_names_are_cut);
	tcase_add_test(t, many_columns);
	tcase_add_test(t, answers_without_line_end);
	tcase_add_test(t, the_daemon_refuses);
	tcase_add_test(t, wrong_usage);
	tcase_add_test(t, help_and_version);
	tcase_add_test(t, every_command_is_in_the_manual);
	tcase_add_test(t, nobody_is_there);
	tcase_add_test(t, no_permission);
	tcase_add_test(t, path_too_long);
	tcase_add_test(t, the_daemon_goes_away);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
