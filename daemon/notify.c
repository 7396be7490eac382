#include "daemon/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/base/mono.h"

void notify_send(const char *lines)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len;
	int fd;

	if (!path || (len = strlen(path)) < 2 || len >= sizeof to.sun_path)
		return;
	memcpy(to.sun_path, path, len);
	if (path[0] == '@') /* an abstract socket */
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	/* Nothing can be done about a supervisor that does not listen. */
	(void)!sendto(fd, lines, strlen(lines), MSG_NOSIGNAL, (struct sockaddr *)&to,
		      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	close(fd);
}

uint64_t notify_watchdog_interval(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	unsigned long long us;

	if (!usec || (pid && strtoul(pid, NULL, 10) != (unsigned long)getpid()))
		return 0;
	us = strtoull(usec, NULL, 10);
	return us * MONO_USEC / 2;
}
