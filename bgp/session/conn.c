/* One TCP connection: bytes in, whole messages to message.c; our messages and the owner's slices out. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bgp/session/fsm.h"
#include "bgp/session/internal.h"
#include "bgp/session/socket.h"
#include "daemon/base/mono.h"

/* What one connection writes at most before the next one's turn. */
#define WRITE_QUANTUM (4 * WRITE_AHEAD)
/* How many slices one pull() asks for: the queue passes WRITE_AHEAD by at most that many. */
#define PULL 16u

static void on_io(void *arg, int events);

/* Life */

struct conn *conn_new(struct bgp_session *s, struct fsm *f, int fd, bool outgoing, const struct addr *local)
{
	struct conn *c = mem_calloc(1, sizeof *c);

	c->session = s;
	c->fsm = f;
	c->fd = fd;
	c->local = *local;
	c->outgoing = c->connecting = outgoing;
	c->since = c->progress = mono_now();
	f->conn = c;
	conn_watch(c);
	return c;
}

static void release_slices(struct slice *q, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		buf_unref(q[i].buf);
}

void conn_close(struct conn *c, bool said_goodbye)
{
	struct bgp_engine *e = c->session->engine;

	if (!conn_is_open(c))
		return;
	loop_io_stop(e->loop, &c->io);
	loop_timer_stop(e->loop, &c->timer);
	if (said_goodbye && !c->blocked)
		engine_farewell(e, c->fd);
	else
		socket_close(c->fd);
	c->fd = -1;
	c->fsm->conn = NULL;
	free(c->tail);
	c->tail = NULL;
	buf_unref(c->peer_open);
	c->peer_open = NULL;
	strbuf_free(&c->own);
	release_slices(c->out, c->out_count);
	free(c->out);
	c->out = NULL;
	c->out_count = 0;
	engine_bury_conn(c);
}

void conn_watch(struct conn *c)
{
	int events = c->connecting ? LOOP_WRITE : c->blocked ? LOOP_READ | LOOP_WRITE : LOOP_READ;

	loop_io_set(c->session->engine->loop, &c->io, c->fd, events, on_io, c);
}

static void fails(struct conn *c, const char *text)
{
	fsm_event(c->session, c->fsm, EV_TCP_FAILS, &(struct cause){.text = text});
}

static void connect_decided(struct conn *c)
{
	const struct bgp_session_conf *conf = &c->session->conf;
	int error = socket_error(c->fd);
	char where[ADDR_STRLEN + 8], text[160];

	if (error) {
		snprintf(text, sizeof text, "connect: %s (%s)", strerror(error),
			 session_endpoint(&conf->remote, conf->remote_port, where));
		fails(c, text);
		return;
	}
	c->connecting = false;
	c->local = socket_local(c->fd);
	conn_watch(c);
	if (collision_dialled(c))
		fsm_event(c->session, c->fsm, EV_TCP_ACKED, NULL);
}

static void on_io(void *arg, int events)
{
	struct conn *c = arg;

	if (events & LOOP_WRITE && !c->connecting) {
		c->blocked = false;
		conn_watch(c);
		engine_mark_dirty(c);
	}
	if (events & LOOP_READ || c->connecting)
		engine_mark_ready(c);
}

void conn_ready(struct conn *c)
{
	if (c->connecting)
		connect_decided(c);
	else
		conn_read(c);
}

/* Reading */

static void keep_tail(struct conn *c, const uint8_t *data, size_t len)
{
	if (!len)
		return;
	c->tail = mem_dup(data, len);
	c->tail_len = (uint32_t)len;
	conn_wake(c);
}

static void header_error(struct conn *c, const struct bgp_error *err)
{
	char text[160];

	snprintf(text, sizeof text, "broken message header: %s", err->reason);
	fsm_event(c->session, c->fsm, EV_HEADER_ERROR,
		  &(struct cause){.code = err->code, .subcode = err->subcode, .data = err->data, .text = text});
}

/* Handles the whole messages among these bytes and keeps the rest. A handler may close the connection. */
static void consume(struct conn *c, const uint8_t *data, size_t len)
{
	struct rd r = rd_make(data, len);
	struct bgp_error err;
	struct bgp_msg m;

	for (;;) {
		struct rd rest = r;
		struct span s = rd_rest(&rest);
		int n =
		    bgp_msg_next(&m, s.p, s.len, c->mine.extended_message ? BGP_MAX_EXTENDED : BGP_MAX_MESSAGE, &err);

		if (n < 0) {
			header_error(c, &err);
			return;
		}
		if (n == 0) {
			keep_tail(c, s.p, s.len);
			return;
		}
		rd_take(&r, (size_t)n);
		message_received(c, &m);
		if (!conn_is_open(c))
			return;
	}
}

static void read_failed(struct conn *c, ssize_t n)
{
	char text[160];

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0)
		snprintf(text, sizeof text, "connection lost: %s", strerror(errno));
	else if (c->tail)
		snprintf(text, sizeof text,
			 "peer closed the connection in the middle of a message, without a NOTIFICATION");
	else
		snprintf(text, sizeof text, "peer closed the connection without a NOTIFICATION");
	fails(c, text);
}

void conn_read(struct conn *c)
{
	uint8_t *rx = c->session->engine->rx;
	size_t kept = c->tail ? c->tail_len : 0;
	uint64_t heard = c->heard;
	ssize_t n = recv(c->fd, rx + kept, READ_QUANTUM, 0); /* less work than read() */

	if (n <= 0) {
		read_failed(c, n);
		return;
	}
	if (kept) {
		memcpy(rx, c->tail, kept);
		free(c->tail);
		c->tail = NULL;
	}
	consume(c, rx, kept + (size_t)n);
	if (n <= (ssize_t)BGP_HEADER_LEN && conn_is_open(c))
		conn_slept(c, heard);
}

/* Writing */

/* Counts the messages of a piece of our stream; every slice begins and ends at message boundaries. */
static void count_out(struct conn *c, const uint8_t *data, size_t len)
{
	struct rd r = rd_make(data, len);

	while (rd_left(&r) >= BGP_HEADER_LEN) {
		uint16_t msg_len;
		uint8_t type;

		rd_take(&r, 16);
		msg_len = rd_u16(&r);
		type = rd_u8(&r);
		if (type >= BGP_OPEN && type <= BGP_ROUTE_REFRESH)
			c->session->messages_out[type]++;
		if (msg_len < BGP_HEADER_LEN)
			return;
		rd_take(&r, msg_len - BGP_HEADER_LEN);
	}
}

void conn_send(struct conn *c, const void *data, size_t len)
{
	count_out(c, data, len);
	strbuf_add(&c->own, data, len);
	engine_mark_urgent(c);
}

/* The queue while it is being written; on the stack, so that a connection with nothing to write holds none. */
struct queue {
	struct slice q[WRITE_SLICES];
	unsigned n;
	size_t bytes;
};

static void queue_load(struct conn *c, struct queue *q)
{
	q->n = c->out_count;
	q->bytes = 0;
	for (unsigned i = 0; i < q->n; i++) {
		q->q[i] = c->out[i];
		q->bytes += q->q[i].len;
	}
	free(c->out);
	c->out = NULL;
	c->out_count = 0;
}

static void queue_store(struct conn *c, const struct queue *q)
{
	if (!q->n)
		return;
	c->out = mem_dup(q->q, q->n * sizeof q->q[0]);
	c->out_count = q->n;
}

/* False if the callback closed this connection. */
static bool queue_fill(struct conn *c, struct queue *q)
{
	struct bgp_session *s = c->session;

	while (c->wants && c->fsm->state == BGP_ESTABLISHED && q->bytes < WRITE_AHEAD && q->n < WRITE_SLICES) {
		unsigned room = WRITE_SLICES - q->n < PULL ? WRITE_SLICES - q->n : PULL;
		unsigned got;

		/* First, so that a kick from inside the callback is not lost. */
		c->wants = false;
		got = s->engine->ops.pull ? s->engine->ops.pull(s->arg, s, &q->q[q->n], room) : 0;
		for (unsigned i = 0; i < got; i++) {
			struct slice *sl = &q->q[q->n + i];

			count_out(c, sl->buf->data + sl->off, sl->len);
			q->bytes += sl->len;
		}
		q->n += got;
		if (!conn_is_open(c))
			return false;
		if (got)
			c->wants = true;
	}
	return true;
}

/* Our own messages go between the owner's messages, before all that have not begun. */
static int queue_iov(const struct conn *c, const struct queue *q, struct iovec *iov)
{
	int n = 0;
	unsigned i = 0;

	if (q->n && c->out_started)
		iov[n++] = (struct iovec){q->q[0].buf->data + q->q[0].off, q->q[i++].len};
	if (c->own.len)
		iov[n++] = (struct iovec){c->own.s, c->own.len};
	for (; i < q->n; i++)
		iov[n++] = (struct iovec){q->q[i].buf->data + q->q[i].off, q->q[i].len};
	return n;
}

/* Takes from the first slice what was written of it; returns how much of w is left. */
static size_t written_slice(struct conn *c, struct queue *q, size_t w)
{
	struct slice *s = &q->q[0];

	q->bytes -= w < s->len ? w : s->len;
	if (w < s->len) {
		s->off += (uint32_t)w;
		s->len -= (uint32_t)w;
		c->out_started = true;
		return 0;
	}
	w -= s->len;
	buf_unref(s->buf);
	memmove(q->q, q->q + 1, --q->n * sizeof q->q[0]);
	c->out_started = false;
	return w;
}

static size_t written_own(struct conn *c, size_t w)
{
	size_t n = w < c->own.len ? w : c->own.len;

	strbuf_consume(&c->own, n);
	if (!c->own.len)
		strbuf_free(&c->own);
	return w - n;
}

static void written(struct conn *c, struct queue *q, size_t w)
{
	c->written += w;
	if (q->n && c->out_started && w)
		w = written_slice(c, q, w);
	w = written_own(c, w);
	if (w && q->n)
		conn_keepalive_sent(c); /* an UPDATE serves as well: RFC 4271 8.2.2, KeepaliveTimer */
	while (w && q->n)
		w = written_slice(c, q, w);
}

/* writev(), but a connection that is gone is an error and no SIGPIPE. A KEEPALIVE is one piece, and most of what an
 * idle session costs is the system call: the plain one is the cheaper one. */
static ssize_t send_pieces(int fd, struct iovec *iov, size_t n)
{
	if (n == 1)
		return send(fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL);
	return sendmsg(fd, &(struct msghdr){.msg_iov = iov, .msg_iovlen = n}, MSG_NOSIGNAL);
}

/* Writes until the queue is empty, the socket full, or the quantum used up. */
static bool write_queue(struct conn *c, struct queue *q, bool pull, int *error)
{
	struct iovec iov[WRITE_SLICES + 1];
	size_t total = 0;

	*error = 0;
	for (;;) {
		ssize_t w;
		int n;

		if (pull && !queue_fill(c, q))
			return false;
		n = queue_iov(c, q, iov);
		if (!n)
			return false;
		if (total >= WRITE_QUANTUM)
			return true;
		w = send_pieces(c->fd, iov, (size_t)n);
		if (w < 0) {
			*error = errno;
			return false;
		}
		written(c, q, (size_t)w);
		total += (size_t)w;
	}
}

bool conn_flush(struct conn *c, bool pull)
{
	struct queue q;
	char text[160];
	bool again;
	int error;

	if (!conn_is_open(c) || c->connecting || c->blocked)
		return false;
	queue_load(c, &q);
	again = write_queue(c, &q, pull, &error);
	if (!conn_is_open(c)) {
		release_slices(q.q, q.n);
		return false;
	}
	queue_store(c, &q);
	if (error == EAGAIN || error == EINTR) {
		c->blocked = true;
		conn_watch(c);
		conn_timer_arm(c);
	} else if (error) {
		/* The peer's last words may still be unread: they say more than EPIPE. Not from inside a callback,
		 * whose message is in the engine's receive buffer; the caller closes anyway. */
		if (!pull)
			return false;
		conn_read(c);
		snprintf(text, sizeof text, "connection lost: %s", strerror(error));
		if (conn_is_open(c))
			fails(c, text);
		return false;
	}
	return again;
}

uint64_t conn_queued(const struct conn *c)
{
	uint64_t n = c->own.len;

	for (unsigned i = 0; i < c->out_count; i++)
		n += c->out[i].len;
	return n;
}
