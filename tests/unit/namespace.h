/* A network namespace of the test's own. */
#ifndef TESTS_NAMESPACE_H
#define TESTS_NAMESPACE_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static inline void namespace_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	ck_assert_msg(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s: %s", path,
		      strerror(errno));
	close(fd);
}

/* Root makes network namespaces; anybody else makes a user namespace first and is root in it. */
static inline void namespace_unshare(void)
{
	char map[32];
	unsigned uid = getuid(), gid = getgid();

	if (unshare(CLONE_NEWNET) == 0)
		return;
	ck_assert_msg(errno == EPERM, "unshare(CLONE_NEWNET): %s", strerror(errno));
	ck_assert_msg(unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0,
		      "no network namespace to test in: %s: run as root, or allow user namespaces", strerror(errno));
	namespace_write("/proc/self/setgroups", "deny");
	snprintf(map, sizeof map, "0 %u 1", uid);
	namespace_write("/proc/self/uid_map", map);
	snprintf(map, sizeof map, "0 %u 1", gid);
	namespace_write("/proc/self/gid_map", map);
}

#endif
