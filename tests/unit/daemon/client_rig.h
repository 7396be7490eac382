/* calidris in this process: its main() is called, what it writes is caught, and a forked server plays the daemon. */
#ifndef TESTS_DAEMON_CLIENT_RIG_H
#define TESTS_DAEMON_CLIENT_RIG_H

#include <check.h>
#include <sys/stat.h>
#include <sys/wait.h>

int calidris_main(int argc, char **argv);
#define main calidris_main
#include "daemon/client/client.c"
#undef main

static char dir[64], path[100];

static inline void setup(void)
{
	strcpy(dir, "/tmp/calidris-client-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/c.sock", dir);
	unsetenv("CALIDRIS_SOCKET");
	unsetenv("CALIDRIS_CONTROL_SOCKET");
}

static inline void teardown(void)
{
	unlink(path);
	rmdir(dir);
}

/* ---- A daemon ---- */

static inline int listen_on(const char *where)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof sa.sun_path, "%s", where);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	ck_assert_int_eq(listen(fd, 4), 0);
	return fd;
}

/* Serves one client: expects the line, answers, `step` octets at a time. Its exit status tells whether the line was
 * right and the answer was taken. */
static inline pid_t serve_bytes(const char *line, const void *answer, size_t size, size_t step)
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
	for (size_t done = 0, now; done < size; done += now) {
		now = size - done < step ? size - done : step;
		if (send(fd, (const char *)answer + done, now, MSG_NOSIGNAL) != (ssize_t)now)
			_exit(1);
	}
	close(fd);
	_exit(strcmp(buf, line) == 0 ? 0 : 1);
}

static inline pid_t serve(const char *line, const char *answer)
{
	return serve_bytes(line, answer, strlen(answer), SIZE_MAX);
}

/* ---- The client ---- */

struct result {
	int status;
	char out[20000], err[4000];
};

static inline void read_back(FILE *f, char *to, size_t size)
{
	size_t n;

	rewind(f);
	n = fread(to, 1, size - 1, f);
	to[n] = '\0';
	fclose(f);
}

/* Runs `calidris` with these words, NULL at the end. */
static inline struct result run(const char *const *words)
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

static inline void expect_served(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the daemon was asked something else");
	unlink(path);
}

#endif
