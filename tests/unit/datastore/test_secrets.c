/* Passwords in files: what is one, changes of all kinds that editors and volumes make, and what stays in force. */
#include "datastore/secrets.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"

static char directory[40];
static struct loop *loop;
static struct secrets *secrets;
static unsigned changes;

static void on_change(void *arg)
{
	(void)arg;
	changes++;
}

static char *path_of(const char *file)
{
	return mem_printf("%s/%s", directory, file);
}

static void write_file(const char *file, const char *text, size_t n)
{
	char *path = path_of(file), *fresh = mem_printf("%s.new", path);
	FILE *f = fopen(fresh, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, n, f), n);
	fclose(f);
	ck_assert_int_eq(rename(fresh, path), 0);
	free(path);
	free(fresh);
}

static void make(const char *name)
{
	char *path = path_of(name);

	ck_assert_int_eq(mkdir(path, 0700), 0);
	free(path);
}

static void setup(void)
{
	log_setup(LOG_LVL_ERROR, false);
	strcpy(directory, "/tmp/secrets-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	loop = loop_new();
	secrets = secrets_new(loop, directory, on_change, NULL);
	changes = 0;
}

static void teardown(void)
{
	char *command = mem_printf("rm -rf %s", directory);

	secrets_free(secrets);
	loop_free(loop);
	ck_assert_int_eq(system(command), 0);
	free(command);
}

static const char *get(char *name, char *key)
{
	return secrets_get(secrets, &(struct secret_ref){name, key});
}

static char a[] = "bgp", b[] = "tor.key";

static void wait_change(unsigned after)
{
	uint64_t deadline = mono_now() + 10 * MONO_SEC;

	while (changes == after && mono_now() < deadline)
		loop_turn(loop, false);
	ck_assert_uint_gt(changes, after);
}

static void expect_problem(const char *part)
{
	struct strbuf out = {0};

	strbuf_puts(&out, "");
	secrets_problems(secrets, &out);
	ck_assert_msg(part ? strstr(out.s, part) != NULL : !out.len, "%s", out.s);
	strbuf_free(&out);
}

/* Not even the directory has to be there. */
START_TEST(test_late)
{
	char *command = mem_printf("mkdir -p %s/bgp && echo s3cret > %s/bgp/tor.key", directory, directory);

	ck_assert_int_eq(rmdir(directory), 0);
	ck_assert_ptr_null(get(a, b));
	ck_assert_int_eq(system(command), 0);
	while (!get(a, b))
		wait_change(changes);
	ck_assert_str_eq(get(a, b), "s3cret");
	free(command);
}
END_TEST

START_TEST(test_life)
{
	char *file = path_of("bgp/tor.key");

	ck_assert_ptr_null(get(a, b));
	expect_problem("bgp/tor.key: No such file or directory; there is no password, as Calico has it\n");
	make("bgp");
	write_file("bgp/tor.key", "s3cret\n", 7);
	wait_change(0);
	ck_assert_str_eq(get(a, b), "s3cret");
	expect_problem(NULL);
	write_file("bgp/tor.key", "other", 5);
	wait_change(changes);
	ck_assert_str_eq(get(a, b), "other");
	/* What is no password, or not there, changes nothing. */
	write_file("bgp/tor.key", "\n", 1);
	wait_change(changes);
	ck_assert_str_eq(get(a, b), "other");
	expect_problem("it is empty; the last password that was read stays\n");
	ck_assert_int_eq(unlink(file), 0);
	wait_change(changes);
	ck_assert_str_eq(get(a, b), "other");
	free(file);
	/* Nobody names it any more; nobody reads it. */
	secrets_begin(secrets);
	secrets_sweep(secrets);
	expect_problem(NULL);
	ck_assert_ptr_null(get(a, b));
}
END_TEST

/* As the kubelet changes a volume: one rename turns all its files into others. */
START_TEST(test_volume)
{
	char *data = path_of("bgp/..data"), *fresh = path_of("bgp/..data_tmp"), *link = path_of("bgp/tor.key");

	make("bgp");
	make("bgp/..1");
	write_file("bgp/..1/tor.key", "one", 3);
	ck_assert_int_eq(symlink("..1", data), 0);
	ck_assert_int_eq(symlink("..data/tor.key", link), 0);
	ck_assert_str_eq(get(a, b), "one");
	make("bgp/..2");
	write_file("bgp/..2/tor.key", "two", 3);
	ck_assert_int_eq(symlink("..2", fresh), 0);
	ck_assert_int_eq(rename(fresh, data), 0);
	wait_change(0);
	ck_assert_str_eq(get(a, b), "two");
	free(data);
	free(fresh);
	free(link);
}
END_TEST

static const struct {
	const char *text;
	size_t length;
	const char *problem; /* NULL: it is a password */
} texts[] = {
    {"x", 1, NULL},
    {"with a blank", 12, NULL},
    {"two\nlines\n", 10, NULL},
    {"12345678901234567890123456789012345678901234567890123456789012345678901234567890\n", 81, NULL},
    {"123456789012345678901234567890123456789012345678901234567890123456789012345678901", 81, "longer than 80"},
    {"", 0, "empty"},
    {"a\0b", 3, "no text"},
};

START_TEST(test_texts)
{
	const char *got;

	make("bgp");
	write_file("bgp/tor.key", texts[_i].text, texts[_i].length);
	got = get(a, b);
	ck_assert_msg(!got == (texts[_i].problem != NULL), "%s", got ? got : "nothing");
	expect_problem(texts[_i].problem);
}
END_TEST

/* Names lead nowhere else. */
START_TEST(test_names)
{
	char up[] = "..", slash[] = "bgp/tor.key", none[] = "";

	make("bgp");
	write_file("bgp/tor.key", "s3cret", 6);
	ck_assert_ptr_null(get(up, b));
	ck_assert_ptr_null(get(a, up));
	ck_assert_ptr_null(get(slash, b));
	ck_assert_ptr_null(get(none, slash));
	ck_assert_ptr_null(get(NULL, b));
	ck_assert_ptr_null(get(a, NULL));
	ck_assert_ptr_null(secrets_get(NULL, &(struct secret_ref){a, b}));
	expect_problem(NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("secrets");
	TCase *t = tcase_create("secrets");
	SRunner *sr;
	int failures;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, test_late);
	tcase_add_test(t, test_life);
	tcase_add_test(t, test_volume);
	tcase_add_loop_test(t, test_texts, 0, sizeof texts / sizeof *texts);
	tcase_add_test(t, test_names);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
