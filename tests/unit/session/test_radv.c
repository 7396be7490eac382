/* Router advertisements over a veth: what is sent, what is heard, and what is not. */
#include "bgp/session/radv.h"

#include <arpa/inet.h>
#include <check.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"

static struct loop *loop;
static struct loop_timer tick;
static struct radv *left, *right;
static struct addr heard[2]; /* by the left one, by the right one */
static unsigned times[2];
static unsigned v0, v1;

#define TURN_UNTIL(cond, seconds)                                                                              \
	do {                                                                                                   \
		uint64_t deadline_ = mono_now() + (uint64_t)((seconds) * (double)MONO_SEC);                    \
		while (!(cond)) {                                                                              \
			ck_assert_msg(mono_now() < deadline_, "did not happen within " #seconds " s: " #cond); \
			loop_turn(loop, true);                                                                 \
		}                                                                                              \
	} while (0)

static void on_tick(void *arg)
{
	(void)arg;
	loop_timer_set(loop, &tick, 5 * MONO_MSEC, on_tick, NULL);
}

static void on_router(void *arg, const struct addr *router)
{
	unsigned side = arg == &heard[1];

	heard[side] = *router;
	times[side]++;
}

static void ip(const char *lines)
{
	FILE *p = popen("ip -batch -", "w");

	ck_assert_ptr_nonnull(p);
	fputs(lines, p);
	ck_assert_int_eq(pclose(p), 0);
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static struct addr addr_of(const char *text, uint32_t ifindex)
{
	struct addr a;

	ck_assert(addr_parse(&a, text));
	return addr_on_link(&a, ifindex);
}

static void setup(void)
{
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "0");
	write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "0");
	ip("link add v0 type veth peer name v1\n"
	   "addr add fe80::a/64 dev v0 nodad\naddr add fe80::b/64 dev v1 nodad\nlink set v0 up\nlink set v1 up\n");
	v0 = if_nametoindex("v0");
	v1 = if_nametoindex("v1");
	memset(heard, 0, sizeof heard);
	memset(times, 0, sizeof times);
	log_setup(LOG_LVL_WARN, false);
	loop = loop_new();
	on_tick(NULL);
	left = radv_new(loop, on_router, &heard[0]);
	right = radv_new(loop, on_router, &heard[1]);
}

static void teardown(void)
{
	radv_free(left);
	radv_free(right);
	loop_timer_stop(loop, &tick);
	loop_free(loop);
}

/* Both are on one machine: each also hears what the other's link carries, but is asked about its own only. */
START_TEST(test_both_ways)
{
	struct addr a = addr_of("fe80::a", v1), b = addr_of("fe80::b", v0);

	ck_assert(radv_watch(left, v0));
	ck_assert(radv_watch(right, v1));
	/* One of them says so later than the other, who has said so before; the link needs a moment, too. */
	TURN_UNTIL(times[0] && times[1], 5);
	ck_assert(addr_equal(&heard[0], &b) || addr_equal(&heard[0], &(struct addr){0}));
	ck_assert(addr_equal(&heard[1], &a));
	/* At once, when the link has come up; and counted: the second watcher keeps it. */
	ck_assert(radv_watch(left, v0));
	radv_unwatch(left, v0);
	times[1] = 0;
	radv_hurry(left, v0);
	TURN_UNTIL(times[1], 0.5);
	radv_unwatch(left, v0);
	radv_unwatch(right, v1);
	/* Of a link that is not there. */
	ck_assert(!radv_watch(left, 4711));
	radv_unwatch(left, 4711);
}
END_TEST

static int raw_socket(int hops)
{
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops), 0);
	return fd;
}

/* A veth needs a moment before it carries anything. */
static void say(int fd, const uint8_t *msg, size_t len, const char *to)
{
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_scope_id = v0};

	ck_assert_int_eq(inet_pton(AF_INET6, to, &sa.sin6_addr), 1);
	for (int i = 0; i < 1000 && sendto(fd, msg, len, 0, (struct sockaddr *)&sa, sizeof sa) < 0; i++) {
		ck_assert_msg(i < 999, "sendto: %m");
		usleep(1000);
	}
}

#define RA(code) 134, code, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0

static const struct {
	const char *what;
	uint8_t msg[40];
	size_t len;
	int hops;
	bool good;
} messages[] = {
    {"a router's, with its MAC and a prefix length to come", {RA(0), 1, 1, 2, 0, 0, 0, 0, 1}, 24, 255, true},
    {"without options", {RA(0)}, 16, 255, true},
    {"from elsewhere", {RA(0)}, 16, 254, false},
    {"of another code", {RA(1)}, 16, 255, false},
    {"cut off", {RA(0)}, 15, 255, false},
    {"almost nothing", {134, 0, 0, 0}, 4, 255, false},
    {"an option of no length", {RA(0), 1, 0, 2, 0, 0, 0, 0, 1}, 24, 255, false},
    {"an option that is too long", {RA(0), 1, 2, 2, 0, 0, 0, 0, 1}, 24, 255, false},
    {"half an option", {RA(0), 1}, 17, 255, false},
};

START_TEST(test_message)
{
	static const uint8_t good[] = {RA(0)};
	int fd = raw_socket(messages[_i].hops), sound = raw_socket(255);
	struct addr a = addr_of("fe80::a", v1);

	ck_assert(radv_watch(right, v1));
	/* Until the link carries something. */
	while (!times[1]) {
		say(sound, good, sizeof good, "ff02::1");
		for (int i = 0; i < 10; i++)
			loop_turn(loop, true);
	}
	times[1] = 0;
	say(fd, messages[_i].msg, messages[_i].len, "ff02::1");
	say(sound, good, sizeof good, "ff02::1");
	TURN_UNTIL(times[1], 2);
	for (int i = 0; i < 10; i++)
		loop_turn(loop, true);
	ck_assert_msg(times[1] == (messages[_i].good ? 2 : 1), "%s", messages[_i].what);
	ck_assert(addr_equal(&heard[1], &a));
	close(fd);
	close(sound);
}
END_TEST

/* RFC 4861 6.2.6: who solicits is answered soon, but a flood of it is not answered one by one. */
START_TEST(test_solicited)
{
	static const uint8_t solicitation[8] = {133};
	int fd = raw_socket(255);

	ck_assert(radv_watch(left, v0));
	ck_assert(radv_watch(right, v1));
	/* The quick beginning is over. */
	TURN_UNTIL(times[0] >= 3, 10);
	times[0] = 0;
	for (int i = 0; i < 100; i++) {
		say(fd, solicitation, sizeof solicitation, "ff02::2");
		loop_turn(loop, true);
	}
	TURN_UNTIL(times[0], 4);
	ck_assert_uint_eq(times[0], 1);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("router advertisements");
	TCase *t = tcase_create("a link");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, test_both_ways);
	tcase_add_loop_test(t, test_message, 0, sizeof messages / sizeof *messages);
	tcase_add_test(t, test_solicited);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
