/* Requests against a server in a process of its own, which answers by the path. */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/buf.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "datastore/remote/http.h"

#define LARGE (32u << 20)
#define CHUNKS 300u

static unsigned port;
static pid_t server;

/* ---- The server ---- */

static void say(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) < 0)
		_exit(0);
}

static void say_large(int fd)
{
	char head[128], piece[65536];

	memset(piece, 'x', sizeof piece);
	snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n", LARGE);
	say(fd, head);
	for (size_t sent = 0; sent < LARGE;) {
		ssize_t n = write(fd, piece, LARGE - sent < sizeof piece ? LARGE - sent : sizeof piece);
		if (n <= 0)
			_exit(0);
		sent += (size_t)n;
	}
}

/* Chunks in ones, twos and threes, now and then; each is a line. */
static void say_chunks(int fd)
{
	char text[200];

	say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (unsigned i = 0; i < CHUNKS;) {
		size_t n = 0;
		for (unsigned k = 0; k <= i % 3; k++, i++)
			n += (size_t)snprintf(text + n, sizeof text - n, "8\r\n%07u\n\r\n", i);
		say(fd, text);
		usleep(i % 5 ? 500 : 12000);
	}
	pause(); /* a stream has no end */
}

/* The body of a request, which has a length, comes back as the answer's. */
static void echo(int fd, const char *request)
{
	const char *body = strstr(request, "\r\n\r\n") + 4;
	char answer[8192];

	snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
	say(fd, answer);
}

static void answer_to(int fd, const char *request)
{
	if (strstr(request, "/large"))
		say_large(fd);
	else if (strstr(request, "/chunks"))
		say_chunks(fd);
	else if (strstr(request, "/burst"))
		say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n2\r\nef\r\n"),
		    pause();
	else if (strstr(request, "/echo"))
		echo(fd, request);
	else if (strstr(request, "/missing"))
		say(fd, "HTTP/1.1 429 Slow down\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno");
	else if (strstr(request, "/short"))
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), _exit(0);
	else if (strstr(request, "/silent"))
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), pause();
	else if (strstr(request, "/headers"))
		say(fd, strstr(request, "X-Token: a b\r\n") && !strstr(request, "Expect:")
			    ? "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
			    : "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n");
	else
		say(fd, "nonsense\r\n\r\n"), _exit(0);
}

static void serve(int fd)
{
	char request[4096];
	ssize_t n;

	while ((n = read(fd, request, sizeof request - 1)) > 0) {
		request[n] = '\0';
		answer_to(fd, request);
	}
	_exit(0);
}

static void start_server(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (void *)&at, sizeof at), 0);
	ck_assert_int_eq(listen(fd, 16), 0);
	ck_assert_int_eq(getsockname(fd, (void *)&at, &len), 0);
	port = ntohs(at.sin_port);
	server = fork();
	if (server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGCHLD, SIG_IGN);
		for (;;) {
			int peer = accept(fd, NULL, NULL);
			if (fork() == 0) {
				prctl(PR_SET_PDEATHSIG, SIGKILL);
				serve(peer);
			}
			close(peer);
		}
	}
	close(fd);
}

static void stop_server(void)
{
	kill(server, SIGKILL);
}

/* ---- The client ---- */

struct test {
	struct loop *loop;
	struct loop_timer tick;
	struct http *http;
	struct strbuf body;
	size_t octets, pieces, largest;
	unsigned ends, give_up_after;
	int status;
	char error[200];
	unsigned retry_after;
	bool free_at_end, cancel_in_data, is_slow;
	struct http_request *request;
};

static bool on_data(void *arg, int status, const char *data, size_t len)
{
	struct test *t = arg;

	ck_assert_int_ne(status, 0);
	t->octets += len;
	t->largest = len > t->largest ? len : t->largest;
	if (t->body.len + len < 4096)
		strbuf_add(&t->body, data, len);
	if (t->cancel_in_data) {
		http_cancel(t->request);
		t->ends = 1;
	}
	if (t->is_slow)
		usleep(5000);
	return !t->give_up_after || ++t->pieces < t->give_up_after;
}

static void on_end(void *arg, const struct http_result *r)
{
	struct test *t = arg;

	t->ends++;
	t->status = r->status;
	t->retry_after = r->retry_after;
	snprintf(t->error, sizeof t->error, "%s", r->error ? r->error : "");
	if (t->free_at_end) {
		http_free(t->http);
		t->http = NULL;
	}
}

static const struct http_ops ops = {.on_data = on_data, .on_end = on_end};

static struct test test_new(void)
{
	struct test t = {.loop = loop_new()};

	t.http = http_new(t.loop, &(struct http_tls){0});
	strbuf_puts(&t.body, "");
	return t;
}

static void test_free(struct test *t)
{
	loop_timer_stop(t->loop, &t->tick);
	http_free(t->http);
	loop_turn(t->loop, false);
	loop_free(t->loop);
	strbuf_free(&t->body);
}

static void on_tick(void *arg)
{
	struct test *t = arg;

	loop_timer_set(t->loop, &t->tick, 10 * MONO_MSEC, on_tick, t);
}

static void wait_ends(struct test *t, unsigned ends)
{
	uint64_t until = mono_now() + 30 * MONO_SEC;

	on_tick(t);
	while (t->ends < ends) {
		ck_assert(mono_now() < until);
		loop_turn(t->loop, true);
	}
	ck_assert_uint_eq(t->ends, ends);
}

static void start(struct test *t, const char *path, struct http_conf c)
{
	char url[100];

	snprintf(url, sizeof url, "http://127.0.0.1:%u%s", port, path);
	c.url = url;
	t->request = http_start(t->http, &c, &ops, t);
	strcpy(url, "gone"); /* texts were copied */
}

static void ask(struct test *t, const char *path, struct http_conf c)
{
	start(t, path, c);
	wait_ends(t, 1);
}

START_TEST(a_body_goes_and_comes)
{
	struct test t = test_new();

	ask(&t, "/echo", (struct http_conf){.body = "{\"a\":1}", .body_len = 7});
	ck_assert_str_eq(t.error, "");
	ck_assert_int_eq(t.status, 200);
	ck_assert_str_eq(t.body.s, "{\"a\":1}");
	t.ends = 0;
	strbuf_reset(&t.body);
	ask(&t, "/headers", (struct http_conf){.headers = {"X-Token: a b"}});
	ck_assert_str_eq(t.body.s, "ok");
	test_free(&t);
}
END_TEST

START_TEST(an_error_status_is_an_answer)
{
	struct test t = test_new();

	ask(&t, "/missing", (struct http_conf){0});
	ck_assert_int_eq(t.status, 429);
	ck_assert_uint_eq(t.retry_after, 7);
	ck_assert_str_eq(t.error, "");
	ck_assert_str_eq(t.body.s, "no");
	test_free(&t);
}
END_TEST

/* However fast it comes, it is taken in slices: nothing else waits for long. */
START_TEST(a_large_answer_comes_in_slices)
{
	struct test t = test_new();

	ask(&t, "/large", (struct http_conf){0});
	ck_assert_str_eq(t.error, "");
	ck_assert_uint_eq(t.octets, LARGE);
	ck_assert_uint_le(t.largest, 16384);
	test_free(&t);
}
END_TEST

/* A stream whose every piece takes more than a slice: no piece is forgotten, though others wait behind it. */
START_TEST(a_stream_is_taken_slowly)
{
	struct test t = test_new();
	uint64_t until = mono_now() + 30 * MONO_SEC;

	t.is_slow = true;
	start(&t, "/chunks", (struct http_conf){0});
	on_tick(&t);
	while (t.octets < CHUNKS * 8) {
		ck_assert_msg(mono_now() < until, "stuck after %zu octets", t.octets);
		loop_turn(t.loop, true);
	}
	for (unsigned i = 0; i < CHUNKS; i++)
		ck_assert_int_eq(atoi(t.body.s + i * 8), (int)i);
	ck_assert_uint_eq(t.ends, 0);
	test_free(&t);
}
END_TEST

/* What is given up at the end of a pause ends, too, though nothing more comes. */
START_TEST(a_slow_stream_is_given_up)
{
	for (unsigned after = 1; after <= 2; after++) {
		struct test t = test_new();
		t.is_slow = true;
		t.give_up_after = after;
		ask(&t, "/burst", (struct http_conf){0});
		ck_assert_str_eq(t.error, "given up");
		test_free(&t);
	}
}
END_TEST

static const struct {
	const char *path, *error;
	struct http_conf conf;
	unsigned give_up_after;
	int status;
} failures[] = {
    {"/large", "the answer is too large", {.max_body = 100000}, 0, 200},
    {"/large", "given up", {.method = NULL}, 3, 200},
    {"/silent", "nothing came for too long", {.idle_timeout = 100 * MONO_MSEC}, 0, 200},
    {"/silent", "timed out", {.timeout = 100 * MONO_MSEC}, 0, 200},
    {"/short", "transfer closed", {.method = NULL}, 0, 200},
    {"/nonsense", "HTTP/0.9", {.method = NULL}, 0, 0},
};

START_TEST(failures_are_said)
{
	struct test t = test_new();

	t.give_up_after = failures[_i].give_up_after;
	ask(&t, failures[_i].path, failures[_i].conf);
	ck_assert_msg(strstr(t.error, failures[_i].error), "%s: %s", failures[_i].path, t.error);
	if (failures[_i].status)
		ck_assert_int_eq(t.status, failures[_i].status);
	test_free(&t);
}
END_TEST

START_TEST(nobody_answers)
{
	struct test t = test_new();

	stop_server();
	usleep(1000);
	for (unsigned i = 1; i <= 3; i++) {
		char url[64];
		snprintf(url, sizeof url, "%s://127.0.0.1:1/x", i == 3 ? "gopher" : "http");
		http_start(t.http, &(struct http_conf){.url = url}, &ops, &t);
		ck_assert_uint_eq(t.ends, i - 1);
		wait_ends(&t, i);
		ck_assert_int_eq(t.status, 0);
		ck_assert_str_ne(t.error, "");
	}
	test_free(&t);
}
END_TEST

START_TEST(requests_are_cancelled)
{
	struct test t = test_new();

	start(&t, "/silent", (struct http_conf){0});
	http_cancel(t.request); /* before it began */
	start(&t, "/silent", (struct http_conf){0});
	on_tick(&t);
	while (!t.octets)
		loop_turn(t.loop, true);
	http_cancel(t.request);
	t.cancel_in_data = true;
	start(&t, "/large", (struct http_conf){0});
	wait_ends(&t, 1);
	t.cancel_in_data = false;
	t.ends = 0;
	ask(&t, "/missing", (struct http_conf){0});
	ck_assert_int_eq(t.status, 429);
	start(&t, "/large", (struct http_conf){0}); /* and one that ends with the client */
	test_free(&t);
}
END_TEST

START_TEST(the_client_is_freed_by_its_answer)
{
	struct test t = test_new();

	t.free_at_end = true;
	start(&t, "/missing", (struct http_conf){0});
	start(&t, "/silent", (struct http_conf){0});
	wait_ends(&t, 1);
	ck_assert_ptr_null(t.http);
	test_free(&t);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http");
	TCase *t = tcase_create("http");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, t);
	tcase_set_timeout(t, 40);
	tcase_add_checked_fixture(t, start_server, stop_server);
	tcase_add_test(t, a_body_goes_and_comes);
	tcase_add_test(t, an_error_status_is_an_answer);
	tcase_add_test(t, a_large_answer_comes_in_slices);
	tcase_add_test(t, a_stream_is_taken_slowly);
	tcase_add_test(t, a_slow_stream_is_given_up);
	tcase_add_loop_test(t, failures_are_said, 0, (int)(sizeof failures / sizeof *failures));
	tcase_add_test(t, nobody_answers);
	tcase_add_test(t, requests_are_cancelled);
	tcase_add_test(t, the_client_is_freed_by_its_answer);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
