#include "daemon/control/control.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/base/wire.h"
#include "daemon/control/command.h"
#include "daemon/daemon.h"

/* A client has this long for its line, and as long without taking anything of the answer. */
#define CLIENT_PATIENCE (10 * MONO_SEC)
/* A long answer's next piece is made when less than this waits for the client. */
#define BUFFER_LOW 16384u
/* After running out of descriptors: when to accept again. */
#define ACCEPT_PAUSE MONO_SEC

struct client {
	TAILQ_ENTRY(client) next;
	struct control *control;
	int fd;
	struct loop_io io;
	struct loop_timer patience;
	char line[CONTROL_LINE_MAX];
	size_t len;	   /* of the line so far */
	struct strbuf out; /* of the answer, what was not taken yet: from `sent` on */
	size_t sent;
	bool unfinished; /* the command has more to say */
	struct request request;
};

struct control {
	struct daemon *d;
	int fd;
	struct loop_io io;
	struct loop_timer pause;
	char path[sizeof((struct sockaddr_un *)0)->sun_path];
	struct stat socket; /* the socket as it was made: only this one is removed at the end */
	TAILQ_HEAD(, client) clients;
	unsigned count;
};

/* ---- Clients ---- */

static void client_close(struct client *c)
{
	struct control *control = c->control;

	loop_io_stop(control->d->loop, &c->io);
	loop_timer_stop(control->d->loop, &c->patience);
	TAILQ_REMOVE(&control->clients, c, next);
	control->count--;
	close(c->fd);
	if (c->unfinished && !c->request.data)
		out_finish(&c->request.out);
	request_free(&c->request);
	strbuf_free(&c->out);
	free(c);
}

static void client_impatient(void *arg)
{
	client_close(arg);
}

static void client_be_patient(struct client *c)
{
	loop_timer_set(c->control->d->loop, &c->patience, CLIENT_PATIENCE, client_impatient, c);
}

/* A piece of a file: its length and octets; behind the last one, a length of 0. */
static bool data_more(struct client *c)
{
	static const uint8_t zero[4];
	size_t head = c->out.len, len;
	struct wr field;
	bool more;

	strbuf_add(&c->out, zero, sizeof zero);
	more = c->request.command->ops->more(&c->request);
	len = c->out.len - head - sizeof zero;
	field = wr_make(c->out.s + head, sizeof zero);
	wr_u32(&field, (uint32_t)len);
	if (len == 0)
		c->out.len = head; /* it would say that this is the end */
	if (!more)
		strbuf_add(&c->out, zero, sizeof zero);
	return more;
}

/* Makes the next piece of the answer if the client is about to run dry. */
static void client_refill(struct client *c)
{
	if (!c->unfinished || c->out.len - c->sent > BUFFER_LOW)
		return;
	strbuf_consume(&c->out, c->sent);
	c->sent = 0;
	if (c->request.data) {
		c->unfinished = data_more(c);
		return;
	}
	c->unfinished = c->request.command->ops->more(&c->request);
	if (!c->unfinished)
		out_finish(&c->request.out);
}

/* One piece and one write a turn: a client that reads fast must not hold up the peers either. */
static void client_write(struct client *c)
{
	ssize_t n;

	client_refill(c);
	if (c->sent < c->out.len) {
		n = send(c->fd, c->out.s + c->sent, c->out.len - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			client_close(c);
			return;
		}
		c->sent += (size_t)n;
		client_be_patient(c);
	}
	if (c->sent == c->out.len && !c->unfinished)
		client_close(c);
}

static void on_client(void *arg, int events);

/* The answer's first line; no text of ours may break it in two. */
static void client_status(struct client *c, const char *word, const char *message)
{
	strbuf_puts(&c->out, word);
	if (*message)
		strbuf_putc(&c->out, ' ');
	for (; *message; message++)
		strbuf_putc(&c->out, *message == '\n' ? ' ' : *message);
	strbuf_putc(&c->out, '\n');
}

static void client_answer(struct client *c)
{
	struct request *r = &c->request;
	const struct command_ops *ops;
	struct strbuf body = {0};

	r->d = c->control->d;
	if (!request_parse(r, c->line)) {
		client_status(c, "usage", r->error);
		return;
	}
	ops = r->command->ops;
	/* Into a buffer of its own first: whether the command can be done decides on the line above its text. */
	out_begin(&r->out, &body, r->json);
	if (!ops->start(r)) {
		out_finish(&r->out);
		client_status(c, "error", r->error);
		strbuf_add(&c->out, r->details.s, r->details.len);
	} else if (ops->is_data) {
		out_finish(&r->out);
		client_status(c, "data", "");
		r->data = &c->out;
		c->unfinished = true;
	} else {
		client_status(c, "ok", "");
		strbuf_add(&c->out, body.s, body.len);
		r->out.to = &c->out;
		c->unfinished = ops->more != NULL;
		if (!c->unfinished)
			out_finish(&r->out);
	}
	strbuf_free(&body);
}

static void client_read(struct client *c)
{
	ssize_t n = recv(c->fd, c->line + c->len, sizeof c->line - c->len, MSG_DONTWAIT);
	char *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_close(c);
		return;
	}
	end = memchr(c->line + c->len, '\n', (size_t)n);
	c->len += (size_t)n;
	if (!end && c->len < sizeof c->line)
		return;
	if (end) {
		*end = '\0';
		client_answer(c);
	} else {
		client_status(c, "usage", "the line is too long");
	}
	/* What comes after the line is not looked at. */
	client_be_patient(c);
	loop_io_set(c->control->d->loop, &c->io, c->fd, LOOP_WRITE, on_client, c);
}

static void on_client(void *arg, int events)
{
	struct client *c = arg;

	if (events & LOOP_READ)
		client_read(c);
	else
		client_write(c);
}

static void client_new(struct control *control, int fd)
{
	struct client *c = mem_calloc(1, sizeof *c);

	c->control = control;
	c->fd = fd;
	TAILQ_INSERT_TAIL(&control->clients, c, next);
	control->count++;
	loop_io_set(control->d->loop, &c->io, fd, LOOP_READ, on_client, c);
	client_be_patient(c);
}

/* ---- Accepting ---- */

static void on_listen(void *arg, int events);

static void accept_again(void *arg)
{
	struct control *c = arg;

	loop_io_set(c->d->loop, &c->io, c->fd, LOOP_READ, on_listen, c);
}

static void on_listen(void *arg, int events)
{
	static const char full[] = "error too many clients at a time\n";
	struct control *c = arg;
	int fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd >= 0 && c->count < CONTROL_CLIENTS_MAX) {
		client_new(c, fd);
	} else if (fd >= 0) {
		/* A fresh socket has room for this. */
		if (send(fd, full, sizeof full - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			log_debug("control", "a client was turned away unheard: %s", strerror(errno));
		close(fd);
	} else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
		log_warn("control", "cannot accept a client now: %s", strerror(errno));
		loop_io_stop(c->d->loop, &c->io);
		loop_timer_set(c->d->loop, &c->pause, ACCEPT_PAUSE, accept_again, c);
	}
}

/* ---- The socket ---- */

static bool fail(char *err, size_t err_size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static bool fail(char *err, size_t err_size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, err_size, fmt, ap);
	va_end(ap);
	return false;
}

static struct sockaddr_un socket_address(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
	return sa;
}

/* 0 if somebody listens there, ECONNREFUSED if nobody does, else why that cannot be known. *pid is who, as far as the
 * kernel tells. A full backlog is an answer too. */
static int ask_who_listens(const char *path, int *pid)
{
	struct sockaddr_un sa = socket_address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
	struct ucred peer = {0};
	socklen_t len = sizeof peer;

	*pid = 0;
	if (fd < 0)
		return errno;
	if (connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0 && errno != EAGAIN)
		error = errno;
	else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
		*pid = peer.pid;
	close(fd);
	return error;
}

/* Removes what a daemon that is gone has left there. */
static bool clear_path(const char *path, char *err, size_t err_size)
{
	struct stat st;
	int pid, error;

	if (lstat(path, &st) < 0) {
		if (errno == ENOENT)
			return true;
		return fail(err, err_size, "control socket %s: %s", path, strerror(errno));
	}
	if (!S_ISSOCK(st.st_mode))
		return fail(err, err_size,
			    "control socket %s: something that is no socket is there; move it away, or set "
			    "control.socket",
			    path);
	error = ask_who_listens(path, &pid);
	if (error == 0)
		return fail(err, err_size, "another calidrisd (pid %d) answers on %s; stop it, or set control.socket",
			    pid, path);
	if (error != ECONNREFUSED && error != ENOENT)
		return fail(err, err_size,
			    "control socket %s: it is somebody else's: %s; stop the daemon that has it, or set "
			    "control.socket",
			    path, strerror(error));
	if (unlink(path) < 0 && errno != ENOENT)
		return fail(err, err_size, "control socket %s: a dead daemon's socket cannot be removed: %s", path,
			    strerror(errno));
	return true;
}

/* The directory, locked so that of two daemons that start at the same moment one sees the other's socket. -1 with err
 * filled on failure. Closing it unlocks. */
static int lock_directory(const char *path, char *err, size_t err_size)
{
	char dir[sizeof((struct sockaddr_un *)0)->sun_path];
	char *slash;
	int fd;

	snprintf(dir, sizeof dir, "%s", path);
	slash = strrchr(dir, '/');
	slash[slash == dir] = '\0';
	if (mkdir(dir, 0755) < 0 && errno != EEXIST) {
		fail(err, err_size,
		     "control socket %s: cannot make its directory: %s; make it as root and give it to this daemon's "
		     "user, or set control.socket",
		     path, strerror(errno));
		return -1;
	}
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		fail(err, err_size, "control socket %s: cannot open its directory: %s", path, strerror(errno));
		return -1;
	}
	/* Held for moments by another daemon; somebody who holds it longer must not keep us from starting. */
	for (unsigned i = 0; i < 50 && flock(fd, LOCK_EX | LOCK_NB) < 0; i++)
		usleep(20000);
	return fd;
}

/* The group's number, by name or number. */
static bool find_group(const char *name, gid_t *gid)
{
	char *end;
	unsigned long n = strtoul(name, &end, 10);
	const struct group *g;

	if (*name >= '0' && *name <= '9' && !*end && n < UINT32_MAX) {
		*gid = (gid_t)n;
		return true;
	}
	g = getgrnam(name);
	if (!g)
		return false;
	*gid = g->gr_gid;
	return true;
}

/* Lets the group in, if one is configured. */
static bool set_access(const struct control *c, char *err, size_t err_size)
{
	const char *group = c->d->config.control_group;
	gid_t gid;

	if (!*group)
		return true;
	if (!find_group(group, &gid))
		return fail(err, err_size,
			    "control.group: there is no group \"%s\": create it, or leave control.group empty", group);
	if (chown(c->path, (uid_t)-1, gid) < 0 || chmod(c->path, 0660) < 0)
		return fail(err, err_size, "control socket %s: cannot be given to group %s: %s", c->path, group,
			    strerror(errno));
	return true;
}

static bool open_socket(struct control *c, char *err, size_t err_size)
{
	struct sockaddr_un sa = socket_address(c->path);
	mode_t mask;
	int bound;

	if (!clear_path(c->path, err, err_size))
		return false;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		return fail(err, err_size, "control socket: %s", strerror(errno));
	mask = umask(0177); /* nobody else from the first moment on */
	bound = bind(c->fd, (struct sockaddr *)&sa, sizeof sa);
	umask(mask);
	if (bound < 0)
		return fail(err, err_size,
			    "control socket %s: cannot be made: %s; this daemon's user must be able to write to its "
			    "directory, or set control.socket",
			    c->path, strerror(errno));
	if (stat(c->path, &c->socket) < 0 || listen(c->fd, (int)CONTROL_CLIENTS_MAX) < 0)
		return fail(err, err_size, "control socket %s: %s", c->path, strerror(errno));
	return set_access(c, err, err_size);
}

struct control *control_new(struct daemon *d, char *err, size_t err_size)
{
	struct control *c = mem_calloc(1, sizeof *c);
	int lock;

	c->d = d;
	c->fd = -1;
	TAILQ_INIT(&c->clients);
	snprintf(c->path, sizeof c->path, "%s", d->config.control_socket);
	lock = lock_directory(c->path, err, err_size);
	if (lock < 0 || !open_socket(c, err, err_size)) {
		if (lock >= 0)
			close(lock);
		control_free(c);
		return NULL;
	}
	close(lock);
	loop_io_set(d->loop, &c->io, c->fd, LOOP_READ, on_listen, c);
	return c;
}

void control_free(struct control *c)
{
	struct stat now;

	while (!TAILQ_EMPTY(&c->clients))
		client_close(TAILQ_FIRST(&c->clients));
	loop_io_stop(c->d->loop, &c->io);
	loop_timer_stop(c->d->loop, &c->pause);
	/* Not if somebody has put another one there. */
	if (c->socket.st_ino && stat(c->path, &now) == 0 && now.st_ino == c->socket.st_ino &&
	    now.st_dev == c->socket.st_dev)
		unlink(c->path);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}
