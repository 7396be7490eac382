/* The client and files that the daemon makes: whole or not at all, whatever becomes of the daemon, the disk or the
 * client itself; and nothing is written that the user did not name. */
#include "tests/unit/daemon/client_rig.h"

#include <dirent.h>
#include <fcntl.h>

static char target[200];

static void begin(void)
{
	setup();
	snprintf(target, sizeof target, "%s/table", dir);
	umask(022);
}

static void end(void)
{
	unlink(target);
	teardown();
}

/* "data", then pieces of these sizes, counted up from 0; the last size may be 0, which is the end. */
static struct strbuf answer_of(const uint32_t *sizes, unsigned n)
{
	struct strbuf out = {0};
	uint8_t next = 0;

	strbuf_puts(&out, "data\n");
	for (unsigned i = 0; i < n; i++) {
		const uint8_t head[] = {(uint8_t)(sizes[i] >> 24), (uint8_t)(sizes[i] >> 16), (uint8_t)(sizes[i] >> 8),
					(uint8_t)sizes[i]};
		strbuf_add(&out, head, sizeof head);
		for (uint32_t k = 0; k < sizes[i]; k++)
			strbuf_putc(&out, (char)next++);
	}
	return out;
}

static pid_t serve_pieces(const uint32_t *sizes, unsigned n, size_t step)
{
	struct strbuf answer = answer_of(sizes, n);
	pid_t pid = serve_bytes("dump mrt -\n", answer.s, answer.len, step);

	strbuf_free(&answer);
	return pid;
}
#define SERVE(step, ...) \
	serve_pieces((const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), step)

static void expect_file(const char *name, size_t size)
{
	FILE *f = fopen(name, "r");
	size_t n = 0;
	int c;

	ck_assert_msg(f != NULL, "there is no %s", name);
	for (; (c = getc(f)) != EOF; n++)
		if (c != (int)(n & 0xff))
			ck_abort_msg("octet %zu is %d", n, c);
	ck_assert_uint_eq(n, size);
	fclose(f);
}

/* What the directory holds besides the socket. */
static unsigned files(void)
{
	DIR *d = opendir(dir);
	unsigned n = 0;

	for (struct dirent *e; (e = readdir(d));)
		n += *e->d_name != '.' && strcmp(e->d_name, "c.sock") != 0;
	closedir(d);
	return n;
}

/* Runs `calidris dump mrt FILE` against this daemon. */
static struct result dump(pid_t pid, const char *file)
{
	struct result r = RUN("-s", path, "dump", "mrt", file);

	expect_served(pid);
	return r;
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(name, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static void expect_text(const char *name, const char *text)
{
	char buf[100] = "";
	FILE *f = fopen(name, "r");

	ck_assert_msg(f != NULL, "there is no %s", name);
	ck_assert_ptr_eq(fgets(buf, sizeof buf, f), buf);
	fclose(f);
	ck_assert_str_eq(buf, text);
}

START_TEST(whole)
{
	static const size_t steps[] = {SIZE_MAX, 1, 7, 4096};
	struct stat st;

	for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
		struct result r = dump(SERVE(steps[i], 1, 300, 70, 4, 0), target);

		ck_assert_msg(r.status == 0, "%s", r.err);
		ck_assert_str_eq(r.out, "");
		ck_assert_str_eq(r.err, "");
		expect_file(target, 375);
		ck_assert_int_eq(stat(target, &st), 0);
		ck_assert_uint_eq(st.st_mode, S_IFREG | 0644);
		ck_assert_uint_eq(files(), 1);
	}
	ck_assert_int_eq(dump(SERVE(SIZE_MAX, 200000, 1000000, 3, 0), target).status, 0);
	expect_file(target, 1200003);
	ck_assert_int_eq(dump(SERVE(SIZE_MAX, 0), target).status, 0);
	expect_file(target, 0);
}
END_TEST

/* Words may be abbreviated, and the file's name is the client's affair: it may hold what no command may. */
START_TEST(words)
{
	struct strbuf answer = answer_of((const uint32_t[]){5, 0}, 2);
	char *name = mem_printf("%s/a table \xc3\xa9", dir);
	pid_t pid = serve_bytes("du m -\n", answer.s, answer.len, SIZE_MAX);
	struct result r = RUN("-s", path, "du", "m", name);

	expect_served(pid);
	ck_assert_msg(r.status == 0, "%s", r.err);
	expect_file(name, 5);
	unlink(name);
	free(name);
	strbuf_free(&answer);
	/* Without a file the daemon says what is missing. */
	pid = serve("dump mrt\n", "usage too few arguments\n");
	r = RUN("-s", path, "dump", "mrt");
	expect_served(pid);
	ck_assert_int_eq(r.status, 2);
}
END_TEST

START_TEST(standard_output)
{
	struct result r = dump(SERVE(3, 3, 4, 0), "-");

	ck_assert_int_eq(r.status, 0);
	ck_assert_mem_eq(r.out, "\0\1\2\3\4\5\6", 7);
	ck_assert_uint_eq(files(), 0);
}
END_TEST

/* What was there stays, and nothing is left behind, when the daemon ends anywhere before the end. */
START_TEST(the_daemon_ends)
{
	struct strbuf answer = answer_of((const uint32_t[]){300, 7, 0}, 3);

	put(target, "the one before");
	for (size_t cut = 5; cut < answer.len; cut += cut < 12 || cut > 300 ? 1 : 97) {
		struct result r = dump(serve_bytes("dump mrt -\n", answer.s, cut, SIZE_MAX), target);

		ck_assert_int_eq(r.status, 3);
		ck_assert_msg(strstr(r.err, "no answer from a daemon on ") != NULL, "%s", r.err);
		expect_text(target, "the one before");
		ck_assert_uint_eq(files(), 1);
	}
	strbuf_free(&answer);
}
END_TEST

START_TEST(the_daemon_refuses)
{
	struct result r = dump(serve("dump mrt -\n", "error not now\n"), target);

	ck_assert_int_eq(r.status, 1);
	ck_assert_str_eq(r.err, "calidris: not now\n");
	ck_assert_uint_eq(files(), 0);
}
END_TEST

/* A daemon must not make a client write that was asked for something else. */
START_TEST(nobody_asked)
{
	struct strbuf answer = answer_of((const uint32_t[]){5, 0}, 2);
	char *was = getcwd(NULL, 0);
	pid_t pid = serve_bytes("show routes\n", answer.s, answer.len, SIZE_MAX);
	struct result r;

	ck_assert_int_eq(chdir(dir), 0);
	r = RUN("-s", path, "show", "routes");
	ck_assert_int_eq(chdir(was), 0);
	expect_served(pid);
	ck_assert_int_eq(r.status, 1);
	ck_assert_uint_eq(files(), 0);
	free(was);
	strbuf_free(&answer);
}
END_TEST

/* A link is replaced, not followed; what is no ordinary file is written to. */
START_TEST(other_files)
{
	char *link = mem_printf("%s/link", dir);
	struct result r;
	struct stat st;

	put(target, "the one before");
	ck_assert_int_eq(symlink("table", link), 0);
	ck_assert_int_eq(dump(SERVE(SIZE_MAX, 5, 0), link).status, 0);
	expect_file(link, 5);
	expect_text(target, "the one before");
	ck_assert_int_eq(lstat(link, &st), 0);
	ck_assert(S_ISREG(st.st_mode));
	ck_assert_uint_eq(files(), 2);
	unlink(link);
	free(link);
	ck_assert_int_eq(dump(SERVE(SIZE_MAX, 5, 0), "/dev/null").status, 0);
	ck_assert_int_eq(stat("/dev/null", &st), 0);
	ck_assert(S_ISCHR(st.st_mode));
	r = dump(SERVE(SIZE_MAX, 5, 0), "/dev/full");
	ck_assert_int_eq(r.status, 1);
	ck_assert_str_eq(r.err, "calidris: /dev/full: cannot be written: No space left on device\n");
	r = dump(SERVE(SIZE_MAX, 5, 0), dir);
	ck_assert_int_eq(r.status, 1);
	ck_assert_ptr_nonnull(strstr(r.err, ": cannot be opened: Is a directory\n"));
}
END_TEST

START_TEST(no_directory)
{
	char *name = mem_printf("%s/nowhere/table", dir), *want;
	struct result r = dump(SERVE(SIZE_MAX, 5, 0), name);

	ck_assert_int_eq(r.status, 1);
	want = mem_printf("calidris: %s: no file can be made beside it: No such file or directory\n", name);
	ck_assert_str_eq(r.err, want);
	free(want);
	free(name);
}
END_TEST

/* Interrupted while it waits for more: it ends by the signal, and leaves nothing. */
START_TEST(interrupted)
{
	int listener = listen_on(path), fd, status;
	struct strbuf answer = answer_of((const uint32_t[]){100}, 1);
	pid_t pid = fork();
	char line[100];

	ck_assert_int_ge(pid, 0);
	if (!pid) {
		signal(SIGTERM, SIG_DFL); /* the test library's own */
		RUN("-s", path, "dump", "mrt", target);
		_exit(0);
	}
	fd = accept(listener, NULL, NULL);
	ck_assert_int_eq(recv(fd, line, sizeof line, 0), 11);
	ck_assert_int_eq(send(fd, answer.s, answer.len, 0), (ssize_t)answer.len);
	while (!files())
		usleep(1000);
	ck_assert_int_eq(kill(pid, SIGTERM), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	ck_assert_uint_eq(files(), 0);
	close(fd);
	close(listener);
	strbuf_free(&answer);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("client dump");
	TCase *t = tcase_create("client dump");
	SRunner *sr;
	int failures;

	tcase_add_checked_fixture(t, begin, end);
	tcase_set_timeout(t, 20);
	tcase_add_test(t, whole);
	tcase_add_test(t, words);
	tcase_add_test(t, standard_output);
	tcase_add_test(t, the_daemon_ends);
	tcase_add_test(t, the_daemon_refuses);
	tcase_add_test(t, nobody_asked);
	tcase_add_test(t, other_files);
	tcase_add_test(t, no_directory);
	tcase_add_test(t, interrupted);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
