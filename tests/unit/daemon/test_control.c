/* The control socket, as clients meet it: well-behaved ones, hostile ones, and a second daemon. The loop runs in this
 * process, turn by turn, between what the clients do. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/control/control.h"
#include "daemon/daemon.h"

static char dir[64], path[100];
static struct daemon d;
static char err[400];

static void on_best(void *arg, const struct prefix *p, const struct rib_route *routes, unsigned n)
{
	(void)arg;
	(void)p;
	(void)routes;
	(void)n;
}
static void on_ready(void *arg, struct rib_peer *peer)
{
	(void)arg;
	(void)peer;
}
static void on_nexthop(void *arg, const struct addr *nh, bool used)
{
	(void)arg;
	(void)nh;
	(void)used;
}
static const struct rib_sink sink = {.on_best = on_best, .on_ready = on_ready, .on_nexthop = on_nexthop};
static const struct rib_conf rib_conf = {.max_paths = 4};

static void start_control(void)
{
	d.control = control_new(&d, err, sizeof err);
	ck_assert_msg(d.control != NULL, "%s", err);
}

static void setup(void)
{
	strcpy(dir, "/tmp/calidris-control-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/c.sock", dir);
	d = (struct daemon){.loop = loop_new()};
	d.config.control_socket = path;
	d.config.control_group = strdup("");
	d.rib = rib_new(d.loop, &rib_conf, &sink, NULL);
}

static void teardown(void)
{
	if (d.control)
		control_free(d.control);
	rib_free(d.rib);
	free(d.config.control_group);
	loop_free(d.loop);
	unlink(path);
	ck_assert_int_eq(rmdir(dir), 0);
}

static void turns(unsigned n)
{
	while (n--)
		loop_turn(d.loop, false);
}

/* ---- Clients ---- */

static int connect_to(const char *to)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof sa.sun_path, "%s", to);
	ck_assert_int_ge(fd, 0);
	ck_assert_msg(connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0, "connect: %s", strerror(errno));
	return fd;
}

static void say(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Everything until the daemon closes; the loop turns meanwhile. */
static char *hear(int fd)
{
	struct strbuf out = {0};
	char block[4096];

	strbuf_puts(&out, "");
	for (unsigned i = 0; i < 200000; i++) {
		ssize_t n = recv(fd, block, sizeof block, 0);
		if (n > 0) {
			strbuf_add(&out, block, (size_t)n);
			continue;
		}
		if (n == 0 || errno != EAGAIN) {
			close(fd);
			return out.s;
		}
		loop_turn(d.loop, false);
	}
	ck_abort_msg("the daemon does not come to an end: %s", out.s);
	return NULL;
}

static char *ask(const char *line)
{
	int fd = connect_to(path);

	say(fd, line);
	return hear(fd);
}

/* Asks, and expects exactly this answer. */
static void expect(const char *line, const char *want)
{
	char *have = ask(line);

	ck_assert_msg(strcmp(have, want) == 0, "\"%s\" answers \"%s\", not \"%s\"", line, have, want);
	free(have);
}

static void expect_served(void)
{
	char *have = ask("help\n");

	ck_assert_msg(strncmp(have, "ok\nCOMMAND\t", 11) == 0, "%s", have);
	free(have);
}

/* ---- Commands ---- */

START_TEST(help_as_text_and_json)
{
	char *text, *json;

	start_control();
	text = ask("help\n");
	ck_assert_msg(strncmp(text, "ok\nCOMMAND\tWHAT IT DOES\nshow status\t", 36) == 0, "%s", text);
	ck_assert_ptr_nonnull(strstr(text, "\nexplain ADDRESS [table NAME]\t"));
	json = ask("json help\n");
	ck_assert_msg(strncmp(json, "ok\n{\n  \"commands\": [\n    {\"command\": \"show status\", ", 50) == 0, "%s",
		      json);
	ck_assert_str_eq(json + strlen(json) - 8, "}\n  ]\n}\n");
	free(text);
	free(json);
}
END_TEST

START_TEST(what_is_no_command)
{
	start_control();
	expect("dance\n", "usage unknown command \"dance\"; help lists the commands\n");
	expect("\n", "usage no command; help lists the commands\n");
	expect("json \n", "usage no command; help lists the commands\n");
	expect("show\n",
	       "usage unknown command; there are: show status, show peers, show dynamic, show bfd, show routes, "
	       "show kernel, show takeover, show bmp, show objects, show services, show problems, show memory, "
	       "show loop\n");
	expect("show p\n", "usage ambiguous command; it could be: show peers, show problems\n");
	expect("show status now\n", "usage too many arguments; it is: show status\n");
	expect("explain\n", "usage too few arguments; it is: explain ADDRESS [table NAME]\n");
	expect("show routes a b c d e\n",
	       "usage too many arguments; it is: show routes [PREFIX|ADDRESS] [all] [table NAME]\n");
	expect("a b c d e f g h i\n", "usage too many words; help lists the commands\n");
	expect("show \033[2J\n", "usage a command is made of ASCII letters, digits and signs\n");
	expect("h\xc3\xa9lp\n", "usage a command is made of ASCII letters, digits and signs\n");
}
END_TEST

START_TEST(commands_may_be_abbreviated)
{
	start_control();
	expect("sh ro\n", "ok\nno routes\n");
	expect("  show   routes \n", "ok\nno routes\n");
	expect("s r all\n", "ok\nno routes\n");
	expect("json s r\n", "ok\n{\n  \"routes\": []\n}\n");
}
END_TEST

/* A slip of the keyboard must not empty the kernel. */
START_TEST(teardown_is_spelled_out)
{
	start_control();
	expect("t\n", "usage unknown command; there are: teardown\n");
	expect("teardow\n", "usage unknown command; there are: teardown\n");
	expect("teardown now\n", "usage too many arguments; it is: teardown\n");
}
END_TEST

START_TEST(errors_of_commands)
{
	start_control();
	expect("show routes 10.0.0.0/8\n", "error no route for 10.0.0.0/8\n");
	expect("show routes 10.0.0.1\n", "error no route covers 10.0.0.1\n");
	expect("show routes x\n", "error \"x\" is neither a prefix nor an address, nor \"all\"\n");
	expect("show routes 10.0.0.1 10.0.0.2\n", "error one prefix or address at a time\n");
	expect("json show routes 10.0.0.1\n", "error no route covers 10.0.0.1\n");
	expect("explain 300.1.1.1\n", "error \"300.1.1.1\" is no address\n");
	expect("show routes table 77\n",
	       "error no peer is in a VRF or table \"77\"; show peers has those that there are\n");
	expect("show kernel vrf red\n",
	       "error no peer is in a VRF or table \"red\"; show peers has those that there are\n");
	expect("show kernel red\n", "error \"red\": expected \"table\" and its name\n");
	expect("explain 10.0.0.1 10.0.0.2 10.0.0.3\n", "error one address at a time\n");
}
END_TEST

/* ---- Long answers ---- */

/* n local routes: 10.0.0.0/32 and so on, the higher ones first. */
static void fill_rib(unsigned n)
{
	while (n--) {
		struct addr a = addr_from_u32(0x0a000000u + n);
		struct prefix p = prefix_make(&a, 32);
		rib_local_set(d.rib, &p, SOURCE_WORKLOAD, 1024);
	}
	while (rib_stats(d.rib).dirty)
		loop_turn(d.loop, false);
}

static unsigned count_lines(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

START_TEST(a_table_is_sorted)
{
	char *text, want[32], *at;

	start_control();
	fill_rib(3000);
	text = ask("show routes\n");
	ck_assert_uint_eq(count_lines(text), 3002);
	at = strchr(strchr(text, '\n') + 1, '\n') + 1;
	for (unsigned i = 0; i < 3000; i++) {
		struct addr a = addr_from_u32(0x0a000000u + i);
		char buf[ADDR_STRLEN];
		snprintf(want, sizeof want, "%s/32\t", addr_format(&a, buf));
		ck_assert_msg(strncmp(at, want, strlen(want)) == 0, "row %u: %.40s", i, at);
		at = strchr(at, '\n') + 1;
	}
	free(text);
}
END_TEST

START_TEST(routes_of_one_prefix)
{
	start_control();
	mono_fake(100 * MONO_SEC);
	fill_rib(2);
	mono_fake(465 * MONO_SEC);
	expect("show routes 10.0.0.1/32\n", "ok\nPREFIX\tNEXT-HOP\tFROM\tLOCAL-PREF\tSTATE\tAGE\tAS-PATH\n"
					    "10.0.0.1/32\t-\tlocal\t2147482623\tbest\t6m05s\t-\n");
	expect("show routes 10.0.0.1\n", "ok\nPREFIX\tNEXT-HOP\tFROM\tLOCAL-PREF\tSTATE\tAGE\tAS-PATH\n"
					 "10.0.0.1/32\t-\tlocal\t2147482623\tbest\t6m05s\t-\n");
	expect("show routes 10.0.0.0/31\n", "error no route for 10.0.0.0/31; there is one for 10.0.0.0/32\n");
}
END_TEST

#define MANY 60000u

/* More than is sorted, more than a socket holds: while one client reads nothing, it costs little and others are served;
 * when it reads, everything is there. */
START_TEST(a_client_that_does_not_read)
{
	static char row[1 << 20];
	char *text;
	size_t before;
	int fd;

	start_control();
	fill_rib(MANY);
	expect_served();
	before = mallinfo2().uordblks;
	fd = connect_to(path);
	say(fd, "show routes\n");
	turns(5000);
	ck_assert_uint_lt(mallinfo2().uordblks - before, 200000);
	expect_served();
	text = hear(fd);
	ck_assert_uint_eq(count_lines(text), MANY + 2);
	/* No prefix twice. */
	for (char *at = text; (at = strstr(at, "\n10.")); at++) {
		unsigned long number = 0;
		char *end = at + 3; /* not sscanf(), which measures the whole rest of the text each time */

		for (unsigned i = 0; i < 3; i++)
			number = number << 8 | strtoul(end + 1, &end, 10);
		ck_assert_int_eq(strncmp(end, "/32", 3), 0);
		ck_assert_uint_lt(number, sizeof row);
		ck_assert_int_eq(row[number]++, 0);
	}
	free(text);
}
END_TEST

START_TEST(long_json_is_whole)
{
	char *text;
	unsigned rows = 0;

	start_control();
	fill_rib(25000);
	text = ask("json show routes\n");
	for (char *at = text; (at = strstr(at, "{\"prefix\": ")); at++)
		rows++;
	ck_assert_uint_eq(rows, 25000);
	ck_assert_str_eq(text + strlen(text) - 8, "}\n  ]\n}\n");
	free(text);
}
END_TEST

START_TEST(a_client_leaves_in_the_middle)
{
	start_control();
	fill_rib(MANY);
	for (unsigned i = 0; i < 3 * CONTROL_CLIENTS_MAX; i++) {
		int fd = connect_to(path);
		char some[100];
		say(fd, i % 2 ? "show routes\n" : "json show routes\n");
		turns(5);
		ck_assert_int_gt(recv(fd, some, sizeof some, 0), 0);
		close(fd);
		turns(5);
	}
	expect_served();
}
END_TEST

/* ---- Hostile lines ---- */

START_TEST(a_line_in_pieces)
{
	const char *line = "help\n";
	char *text;
	int fd;

	start_control();
	fd = connect_to(path);
	for (const char *c = line; *c; c++) {
		ck_assert_int_eq(send(fd, c, 1, MSG_NOSIGNAL), 1);
		turns(3);
	}
	text = hear(fd);
	ck_assert_int_eq(strncmp(text, "ok\n", 3), 0);
	free(text);
}
END_TEST

START_TEST(a_flood_without_a_line)
{
	char block[CONTROL_LINE_MAX];
	char *text;
	int fd;

	start_control();
	memset(block, 'x', sizeof block);
	fd = connect_to(path);
	for (unsigned i = 0; i < 1000; i++) {
		if (send(fd, block, sizeof block, MSG_NOSIGNAL) < 0 && errno == EPIPE)
			break;
		turns(1);
	}
	text = hear(fd);
	/* The reset that unread bytes cause may come before the answer was read. */
	ck_assert_msg(!*text || strcmp(text, "usage the line is too long\n") == 0, "%s", text);
	free(text);
	expect_served();
	/* Just as long as a line may be. */
	memset(block, ' ', sizeof block);
	memcpy(block + sizeof block - 5, "help\n", 5);
	fd = connect_to(path);
	ck_assert_int_eq(send(fd, block, sizeof block, MSG_NOSIGNAL), sizeof block);
	text = hear(fd);
	ck_assert_int_eq(strncmp(text, "ok\n", 3), 0);
	free(text);
	/* One more is too much. */
	memset(block, 'y', sizeof block);
	fd = connect_to(path);
	ck_assert_int_eq(send(fd, block, sizeof block, MSG_NOSIGNAL), sizeof block);
	text = hear(fd);
	ck_assert_str_eq(text, "usage the line is too long\n");
	free(text);
}
END_TEST

START_TEST(what_follows_the_line_is_ignored)
{
	start_control();
	expect("sh ro\nreload\nreload\n", "ok\nno routes\n");
}
END_TEST

START_TEST(nul_bytes)
{
	char *text;
	int fd;

	start_control();
	fd = connect_to(path);
	ck_assert_int_eq(send(fd, "help\0me\n", 8, MSG_NOSIGNAL), 8);
	text = hear(fd);
	ck_assert_int_eq(strncmp(text, "ok\n", 3), 0);
	free(text);
	fd = connect_to(path);
	ck_assert_int_eq(send(fd, "\0\n", 2, MSG_NOSIGNAL), 2);
	text = hear(fd);
	ck_assert_str_eq(text, "usage no command; help lists the commands\n");
	free(text);
}
END_TEST

START_TEST(a_client_leaves_before_its_line)
{
	start_control();
	for (unsigned i = 0; i < 2 * CONTROL_CLIENTS_MAX; i++) {
		int fd = connect_to(path);
		say(fd, "show stat");
		turns(2);
		close(fd);
		turns(2);
	}
	expect_served();
}
END_TEST

START_TEST(too_many_clients)
{
	int fds[CONTROL_CLIENTS_MAX], fd;
	char *text;

	start_control();
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		fds[i] = connect_to(path);
		turns(2);
	}
	fd = connect_to(path);
	text = hear(fd);
	ck_assert_str_eq(text, "error too many clients at a time\n");
	free(text);
	close(fds[0]);
	turns(3);
	expect_served();
	for (unsigned i = 1; i < CONTROL_CLIENTS_MAX; i++)
		close(fds[i]);
}
END_TEST

/* Ten seconds pass for real: the loop's timers know no other clock. */
START_TEST(patience_ends)
{
	uint64_t began = mono_now();
	int silent, half, stuffed;
	char *text, byte;

	start_control();
	fill_rib(MANY);
	silent = connect_to(path);
	half = connect_to(path);
	say(half, "he");
	stuffed = connect_to(path);
	say(stuffed, "show routes\n");
	while (mono_now() - began < 9 * MONO_SEC) {
		loop_turn(d.loop, false);
		usleep(2000);
	}
	/* A byte now and then buys no time. */
	say(half, "l");
	ck_assert_int_eq(recv(silent, &byte, 1, 0), -1);
	while (mono_now() - began < 11 * MONO_SEC) {
		loop_turn(d.loop, false);
		usleep(2000);
	}
	ck_assert_int_eq(recv(silent, &byte, 1, 0), 0);
	ck_assert_int_eq(recv(half, &byte, 1, 0), 0);
	text = hear(stuffed);
	ck_assert_uint_lt(count_lines(text), MANY);
	free(text);
	close(silent);
	close(half);
	expect_served();
}
END_TEST

START_TEST(ends_with_clients_open)
{
	int reading, silent;

	start_control();
	fill_rib(MANY);
	reading = connect_to(path);
	silent = connect_to(path);
	say(reading, "show routes\n");
	turns(10);
	control_free(d.control);
	d.control = NULL;
	ck_assert_int_eq(access(path, F_OK), -1);
	close(reading);
	close(silent);
}
END_TEST

/* ---- The socket file ---- */

static mode_t mode_of(const char *file)
{
	struct stat st;

	ck_assert_int_eq(stat(file, &st), 0);
	return st.st_mode & 07777;
}

START_TEST(only_the_owner_may)
{
	umask(0);
	start_control();
	ck_assert_uint_eq(mode_of(path), 0600);
	ck_assert_uint_eq(umask(0), 0);
}
END_TEST

START_TEST(a_group_may)
{
	free(d.config.control_group);
	d.config.control_group = mem_printf("%u", (unsigned)getegid());
	start_control();
	ck_assert_uint_eq(mode_of(path), 0660);
}
END_TEST

static void expect_refusal(const char *want)
{
	err[0] = '\0';
	ck_assert_ptr_null(control_new(&d, err, sizeof err));
	ck_assert_msg(strstr(err, want) != NULL, "\"%s\" is not in \"%s\"", want, err);
}

START_TEST(an_unknown_group)
{
	free(d.config.control_group);
	d.config.control_group = strdup("no-such-group");
	expect_refusal("control.group: there is no group \"no-such-group\": create it");
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(a_second_daemon)
{
	struct daemon second = d;
	char want[200];

	start_control();
	snprintf(want, sizeof want, "another calidrisd (pid %d) answers on %s; stop it", (int)getpid(), path);
	ck_assert_ptr_null(control_new(&second, err, sizeof err));
	ck_assert_msg(strstr(err, want) != NULL, "%s", err);
	/* The first one noticed nothing. */
	turns(5);
	expect_served();
}
END_TEST

/* A full backlog means that somebody is there, too busy or stopped, not that nobody is. */
START_TEST(a_second_daemon_beside_a_stuck_one)
{
	struct daemon second = d;
	int fds[2 * CONTROL_CLIENTS_MAX], n = 0;

	start_control();
	for (; n < (int)(2 * CONTROL_CLIENTS_MAX); n++) {
		struct sockaddr_un sa = {.sun_family = AF_UNIX};
		strcpy(sa.sun_path, path);
		fds[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(fds[n], (struct sockaddr *)&sa, sizeof sa) < 0)
			break;
	}
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_ptr_null(control_new(&second, err, sizeof err));
	ck_assert_msg(strstr(err, "another calidrisd") != NULL, "%s", err);
	while (n >= 0)
		close(fds[n--]);
}
END_TEST

START_TEST(a_dead_daemons_socket)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(sa.sun_path, path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	close(fd);
	start_control();
	expect_served();
}
END_TEST

START_TEST(no_socket_but_a_file)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	close(fd);
	expect_refusal("something that is no socket is there");
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(directory_is_made)
{
	char inner[120], socket_path[140], deep[160];

	snprintf(inner, sizeof inner, "%s/run", dir);
	snprintf(socket_path, sizeof socket_path, "%s/c.sock", inner);
	d.config.control_socket = socket_path;
	start_control();
	ck_assert_uint_eq(mode_of(socket_path), 0600);
	control_free(d.control);
	d.control = NULL;
	ck_assert_int_eq(rmdir(inner), 0);
	/* But only one. */
	snprintf(deep, sizeof deep, "%s/a/b/c.sock", dir);
	d.config.control_socket = deep;
	expect_refusal("cannot make its directory: No such file or directory; make it as root");
}
END_TEST

START_TEST(another_ones_socket_is_left)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd;

	start_control();
	/* Somebody removed ours and put his own there. */
	ck_assert_int_eq(unlink(path), 0);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	strcpy(sa.sun_path, path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	control_free(d.control);
	d.control = NULL;
	ck_assert_int_eq(access(path, F_OK), 0);
	close(fd);
}
END_TEST

static TCase *add_case(Suite *s, const char *name)
{
	TCase *t = tcase_create(name);

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return t;
}

int main(void)
{
	Suite *s = suite_create("control");
	TCase *t = add_case(s, "commands");
	SRunner *sr;
	int failures;

	tcase_add_test(t, help_as_text_and_json);
	tcase_add_test(t, what_is_no_command);
	tcase_add_test(t, commands_may_be_abbreviated);
	tcase_add_test(t, teardown_is_spelled_out);
	tcase_add_test(t, errors_of_commands);
	t = add_case(s, "long answers");
	tcase_add_test(t, a_table_is_sorted);
	tcase_add_test(t, routes_of_one_prefix);
	tcase_add_test(t, a_client_that_does_not_read);
	tcase_add_test(t, long_json_is_whole);
	tcase_add_test(t, a_client_leaves_in_the_middle);
	t = add_case(s, "hostile clients");
	tcase_add_test(t, a_line_in_pieces);
	tcase_add_test(t, a_flood_without_a_line);
	tcase_add_test(t, what_follows_the_line_is_ignored);
	tcase_add_test(t, nul_bytes);
	tcase_add_test(t, a_client_leaves_before_its_line);
	tcase_add_test(t, too_many_clients);
	tcase_add_test(t, patience_ends);
	tcase_add_test(t, ends_with_clients_open);
	t = add_case(s, "socket");
	tcase_add_test(t, only_the_owner_may);
	tcase_add_test(t, a_group_may);
	tcase_add_test(t, an_unknown_group);
	tcase_add_test(t, a_second_daemon);
	tcase_add_test(t, a_second_daemon_beside_a_stuck_one);
	tcase_add_test(t, a_dead_daemons_socket);
	tcase_add_test(t, no_socket_but_a_file);
	tcase_add_test(t, directory_is_made);
	tcase_add_test(t, another_ones_socket_is_left);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
