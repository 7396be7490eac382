/* The thread that sends: batches go to the kernel and come back, and it keeps off the loop's processor. */
#include "fib/sender.h"

#include <check.h>
#include <dirent.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/mono.h"

static struct {
	unsigned sent;
	int error;
} seen;

static void on_sent(void *arg, int error)
{
	(void)arg;
	seen.sent++;
	seen.error = error;
}

/* The other thread of this process. */
static pid_t thread_find(void)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	pid_t found = 0;

	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d))) {
		pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);

		if (tid > 0 && tid != getpid())
			found = tid;
	}
	closedir(d);
	ck_assert_int_ne(found, 0);
	return found;
}

START_TEST(test_elsewhere)
{
	struct nlmsghdr noop = {.nlmsg_len = sizeof noop, .nlmsg_type = NLMSG_NOOP};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct loop *loop = loop_new();
	struct sender *s = sender_new(loop, fd, on_sent, NULL);
	cpu_set_t all, its;

	ck_assert_ptr_nonnull(s);
	ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
	for (unsigned i = 0; i < 50; i++) {
		cpu_set_t both;
		int before = sched_getcpu(), after;
		uint64_t deadline = mono_now() + 10 * MONO_SEC;

		sender_send(s, (const uint8_t *)&noop, sizeof noop);
		after = sched_getcpu();
		ck_assert(sender_is_busy(s));
		while (seen.sent == i) {
			ck_assert(mono_now() < deadline);
			loop_turn(loop, false);
		}
		ck_assert_int_eq(seen.error, 0);
		ck_assert(!sender_is_busy(s));
		ck_assert_int_eq(sched_getaffinity(thread_find(), sizeof its, &its), 0);
		/* All but one, on which we were; with a single one there is no choice. */
		CPU_AND(&both, &its, &all);
		ck_assert_int_eq(CPU_COUNT(&both), CPU_COUNT(&all) - (CPU_COUNT(&all) > 1));
		if (before == after && CPU_COUNT(&all) > 1)
			ck_assert(!CPU_ISSET((size_t)before, &its));
	}
	sender_free(s);
	loop_free(loop);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sender");
	TCase *tc = tcase_create("sender");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_elsewhere);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
