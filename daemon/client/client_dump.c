#include "daemon/client/client_dump.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/mem.h"
#include "daemon/base/wire.h"
#include "daemon/client/client.h"

bool client_dump_asked(char *const *words, int count)
{
	size_t n = count >= 3 ? strlen(words[0]) : 0;

	return n && strncmp(words[0], "dump", n) == 0;
}

/* ---- The file ---- */

struct target {
	int fd;
	const char *path; /* for messages, "standard output" too */
	char *temporary;  /* NULL: written in place */
	int signals;	  /* signals that would leave the temporary file behind, -1 none */
};

static int failed(const struct target *t, const char *what)
{
	fprintf(stderr, "calidris: %s: %s: %s\n", t->path, what, strerror(errno));
	return -1;
}

static int hold_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (fd >= 0)
		sigprocmask(SIG_BLOCK, &set, NULL);
	return fd;
}

/* What is no ordinary file (a pipe, /dev/null) is written to; an ordinary one is replaced when the new one is whole. So
 * is a link to one: in a directory that others can write to, it is not ours to follow. */
static bool open_target(struct target *t, const char *path)
{
	bool standard = strcmp(path, "-") == 0;
	struct stat st;

	*t = (struct target){.fd = STDOUT_FILENO, .path = standard ? "standard output" : path, .signals = -1};
	if (standard)
		return true;
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		t->fd = open(path, O_WRONLY | O_CLOEXEC);
		if (t->fd < 0)
			failed(t, "cannot be opened");
		return t->fd >= 0;
	}
	t->signals = hold_signals();
	t->temporary = mem_printf("%s.XXXXXX", path);
	t->fd = mkostemp(t->temporary, O_CLOEXEC);
	if (t->fd < 0) {
		failed(t, "no file can be made beside it");
		free(t->temporary);
		t->temporary = NULL;
	}
	return t->fd >= 0;
}

static int write_target(const struct target *t, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = write(t->fd, data, len);

		if (n < 0 && errno != EINTR)
			return failed(t, "cannot be written");
		if (n > 0) {
			data = &data[n];
			len -= (size_t)n;
		}
	}
	return 0;
}

/* The whole file is on the disk before it has its name. */
static int name_target(struct target *t)
{
	mode_t mask = umask(0);

	umask(mask);
	if (fchmod(t->fd, 0666 & ~mask) < 0 || fsync(t->fd) < 0)
		return failed(t, "cannot be written");
	if (rename(t->temporary, t->path) < 0)
		return failed(t, "the file beside it cannot get its name");
	free(t->temporary);
	t->temporary = NULL;
	return 0;
}

static void close_target(struct target *t)
{
	if (t->temporary)
		unlink(t->temporary);
	if (t->fd >= 0 && t->fd != STDOUT_FILENO)
		close(t->fd);
	if (t->signals >= 0)
		close(t->signals);
	free(t->temporary);
}

/* ---- The pieces ---- */

struct source {
	int fd;
	uint8_t block[65536];
	struct rd left; /* of the block */
};

/* Ends as the signal would have ended us, without the temporary file. */
static void be_interrupted(struct target *t)
{
	struct signalfd_siginfo info;
	sigset_t set;
	int signo = SIGTERM;

	if (read(t->signals, &info, sizeof info) == (ssize_t)sizeof info)
		signo = (int)info.ssi_signo;
	close_target(t);
	sigemptyset(&set);
	sigaddset(&set, signo);
	raise(signo);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	_exit(128 + signo);
}

/* More from the daemon. 0, or an errno; ECONNRESET is its end. */
static int refill(struct source *s, struct target *t)
{
	for (;;) {
		struct pollfd p[2] = {{.fd = s->fd, .events = POLLIN}, {.fd = t->signals, .events = POLLIN}};
		int ready = poll(p, 2, CLIENT_PATIENCE_MS);
		ssize_t n;

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			return ready < 0 ? errno : ETIMEDOUT;
		if (p[1].revents)
			be_interrupted(t);
		n = recv(s->fd, s->block, sizeof s->block, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : ECONNRESET;
		s->left = rd_make(s->block, (size_t)n);
		return 0;
	}
}

/* 4 octets, wherever blocks end. */
static int read_length(struct source *s, struct target *t, uint32_t *length)
{
	*length = 0;
	for (unsigned i = 0; i < 4; i++) {
		int error = rd_left(&s->left) ? 0 : refill(s, t);

		if (error)
			return error;
		*length = *length << 8 | rd_u8(&s->left);
	}
	return 0;
}

static int copy_piece(struct source *s, struct target *t, uint32_t length)
{
	while (length) {
		int error = rd_left(&s->left) ? 0 : refill(s, t);
		struct span part;

		if (error)
			return error;
		part = rd_take_span(&s->left, rd_left(&s->left) < length ? rd_left(&s->left) : length);
		length -= (uint32_t)part.len;
		error = write_target(t, part.p, part.len);
		if (error)
			return error;
	}
	return 0;
}

int client_dump_receive(int fd, const void *got, size_t len, const char *path)
{
	struct source s = {.fd = fd, .left = rd_make(got, len)};
	struct target t;
	uint32_t length = 0;
	int error = open_target(&t, path) ? 0 : -1;

	while (!error && !(error = read_length(&s, &t, &length)) && length)
		error = copy_piece(&s, &t, length);
	if (!error && t.temporary)
		error = name_target(&t);
	close_target(&t);
	return error;
}
