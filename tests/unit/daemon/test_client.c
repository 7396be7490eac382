/* The client: how it aligns and cuts, what it says and returns when something is wrong. Its main() is called in this
 * process; a forked server plays the daemon. */
#include <check.h>
#include <sys/stat.h>
#include <sys/wait.h>

int calidris_main(int argc, char **argv);
#define main calidris_main
#include "daemon/client.c"
#undef main

static char dir[64], path[100];

static void setup(void)
{
	strcpy(dir, "/tmp/calidris-client-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/c.sock", dir);
	unsetenv("CALIDRIS_SOCKET");
}

static void teardown(void)
{
	unlink(path);
	rmdir(dir);
}

/* ---- A daemon ---- */

static int listen_on(const char *where)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof sa.sun_path, "%s", where);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	ck_assert_int_eq(listen(fd, 4), 0);
	return fd;
}

/* Serves one client: expects the line, answers. Its exit status tells whether the line was right. */
static pid_t serve(const char *line, const char *answer)
{
	int listener = listen_on(path), fd;
	pid_t pid = fork();
	char buf[CONTROL_LINE_MAX + 1] = "";
	size_t len = 0;
	ssize_t n;

	ck_assert_int_ge(pid, 0);
	if (pid) {
		close(listener);
		return pid;
	}
	fd = accept(listener, NULL, NULL);
	while (!strchr(buf, '\n') && (n = read(fd, buf + len, sizeof buf - 1 - len)) > 0)
		len += (size_t)n;
	n = write(fd, answer, strlen(answer));
	close(fd);
	_exit(strcmp(buf, line) == 0 && n == (ssize_t)strlen(answer) ? 0 : 1);
}

/* ---- The client ---- */

struct result {
	int status;
	char out[20000], err[4000];
};

static void read_back(FILE *f, char *to, size_t size)
{
	size_t n;

	rewind(f);
	n = fread(to, 1, size - 1, f);
	to[n] = '\0';
	fclose(f);
}

/* Runs `calidris` with these words, NULL at the end. */
static struct result run(const char *const *words)
{
	struct result r;
	FILE *out = tmpfile(), *err = tmpfile();
	char *argv[16] = {mem_strdup("calidris")};
	int argc = 1, old_out = dup(1), old_err = dup(2);

	for (; words[argc - 1]; argc++)
		argv[argc] = mem_strdup(words[argc - 1]); /* getopt permutes them */
	fflush(stdout);
	dup2(fileno(out), 1);
	dup2(fileno(err), 2);
	optind = 0;
	r.status = calidris_main(argc, argv);
	fflush(stdout);
	fflush(stderr);
	dup2(old_out, 1);
	dup2(old_err, 2);
	close(old_out);
	close(old_err);
	while (argc--)
		free(argv[argc]);
	read_back(out, r.out, sizeof r.out);
	read_back(err, r.err, sizeof r.err);
	return r;
}
#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

static void expect_served(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the daemon was asked something else");
	unlink(path);
}

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

/* If the last column has no more to give, the widest others are cut; the first one stays. No line is longer than 100.
 */
START_TEST(wide_tables_are_cut)
{
	struct result r = show("ok\nfirst " A30 "\t" A30 A30 "\t" A30 A30 "\t12345678901234567890\nx\ty\tz\tq\n", NULL);
	char *nl = strchr(r.out, '\n');

	ck_assert_int_eq(nl - r.out, 100);
	ck_assert_int_eq(strncmp(r.out, "first " A30 "  aaaaaaaaaa", 48), 0);
	ck_assert_ptr_nonnull(strstr(r.out, "1234567890123...\nx "));
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
	r = RUN("--version");
	ck_assert_int_eq(r.status, 0);
	ck_assert_str_eq(r.out, "calidris " CALIDRIS_VERSION "\n");
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

START_TEST(no_permission)
{
	int listener = listen_on(path);
	struct result r;

	ck_assert_int_eq(chmod(path, 0), 0);
	/* Root may everything; this test runs in a process of its own, so it can become nobody. */
	if (geteuid() == 0) {
		ck_assert_int_eq(chmod(dir, 0755), 0);
		ck_assert_int_eq(seteuid(65534), 0);
	}
	r = RUN("-s", path, "show", "status");
	ck_assert_int_eq(r.status, 3);
	ck_assert_msg(strstr(r.err, "Permission denied; only root and the group set by control.group may use it"), "%s",
		      r.err);
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
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
	tcase_add_test(t, many_columns);
	tcase_add_test(t, answers_without_line_end);
	tcase_add_test(t, the_daemon_refuses);
	tcase_add_test(t, wrong_usage);
	tcase_add_test(t, help_and_version);
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
