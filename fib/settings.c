#include "fib/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fib/state.h"

struct setting {
	const char *path;  /* %s: the interface */
	const char *value; /* NULL: what the path `like` says */
	const char *like, *otherwise;
};

static const struct setting ipv4_settings[] = {
    {"/proc/sys/net/ipv4/conf/%s/route_localnet", "1"},
    {"/proc/sys/net/ipv4/neigh/%s/proxy_delay", "0"},
    {"/proc/sys/net/ipv4/conf/%s/proxy_arp", "1"},
    {"/proc/sys/net/ipv4/conf/%s/forwarding", "1"},
    {"/proc/sys/net/ipv4/conf/%s/rp_filter", NULL, "/proc/sys/net/ipv4/conf/default/rp_filter", "1"},
    {0},
};

static const struct setting ipv6_settings[] = {
    {"/proc/sys/net/ipv6/conf/%s/accept_ra", "0"},
    {"/proc/sys/net/ipv6/conf/%s/proxy_ndp", "1"},
    {"/proc/sys/net/ipv6/conf/%s/forwarding", "1"},
    {0},
};

/* Reads a value without its newline; false with errno. */
static bool read_value(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), error;
	ssize_t got;

	if (fd < 0)
		return false;
	got = read(fd, out, size - 1);
	error = errno;
	close(fd);
	errno = error;
	if (got < 0)
		return false;
	out[got] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return true;
}

/* 0, or the errno. */
static int write_value(const char *path, const char *value)
{
	char now[32];
	int fd, error = 0;

	if (!read_value(path, now, sizeof now))
		return errno;
	if (strcmp(now, value) == 0)
		return 0;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (write(fd, value, strlen(value)) < 0)
		error = errno;
	close(fd);
	return error;
}

/* Interface names come from objects: one that would leave its directory is not a name. */
static bool is_name(const char *name)
{
	return *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !strchr(name, '/');
}

/* Makes the settings of a table; the path of the first that fails stays in failed. Returns its errno. */
static int apply(const struct setting *s, const char *ifname, char *failed, size_t size)
{
	char path[128], value[32];
	int error, first = 0;

	for (; s->path; s++) {
		const char *want = s->value;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(path, sizeof path, s->path, ifname);
#pragma GCC diagnostic pop
		if (!want)
			want = read_value(s->like, value, sizeof value) ? value : s->otherwise;
		error = write_value(path, want);
		if (error && !first) {
			first = error;
			snprintf(failed, size, "%s: cannot be set to %s", path, want);
		}
	}
	return first;
}

static bool has_ipv6(void)
{
	struct stat st;

	return stat("/proc/sys/net/ipv6/conf", &st) == 0;
}

bool settings_is_workload(const struct fib *f, const char *name)
{
	for (const char *p = f->interface_prefix; *p; p += strspn(p, ", ")) {
		size_t len = strcspn(p, ", ");
		if (len && strncmp(name, p, len) == 0)
			return true;
		p += len;
	}
	return false;
}

void settings_apply(struct fib *f, struct link *l)
{
	char failed[192], key[32];
	int error;

	if (l->configured || !is_name(l->name) || !settings_is_workload(f, l->name))
		return;
	l->configured = true;
	snprintf(key, sizeof key, "settings %u", l->ifindex);
	error = apply(ipv4_settings, l->name, failed, sizeof failed);
	if (!error && has_ipv6())
		error = apply(ipv6_settings, l->name, failed, sizeof failed);
	if (error)
		problem_set(f, key, "%s: %s%s", failed, strerror(error),
			    error == EROFS || error == EACCES || error == EPERM
				? ": make /proc/sys writable for the daemon, or set it on the node"
				: "");
	else
		problem_clear(f, key);
}

void settings_forget(struct fib *f, const struct link *l)
{
	char key[32];

	snprintf(key, sizeof key, "settings %u", l->ifindex);
	problem_clear(f, key);
}

void settings_forwarding(struct fib *f)
{
	static const struct setting global[] =
	    {
		{"/proc/sys/net/ipv4/ip_forward", "1"},
		{0},
	    },
				    global6[] = {
					{"/proc/sys/net/ipv6/conf/all/forwarding", "1"},
					{0},
				    };
	char failed[192];
	int error = apply(global, "", failed, sizeof failed);

	if (!error && has_ipv6())
		error = apply(global6, "", failed, sizeof failed);
	if (error)
		problem_set(f, "forwarding", "%s: %s: without it the node does not forward packets of pods", failed,
			    strerror(error));
	else
		problem_clear(f, "forwarding");
}
