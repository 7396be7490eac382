/* The engine: whose turn it is to be read and to be written, last words, and the burials. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bgp/session/internal.h"
#include "bgp/session/socket.h"
#include "daemon/base/mono.h"

/* How long a socket that said its last words waits for the peer to read them. */
#define FAREWELL (2 * MONO_SEC)
/* How many of them; a peer that opens and breaks connections on purpose gets no more than that. */
#define FAREWELLS_MAX 256

/* Burials */

static void bury(struct bgp_engine *e)
{
	struct conn *c;
	struct bgp_session *s;

	while ((c = SLIST_FIRST(&e->dead_conns))) {
		SLIST_REMOVE_HEAD(&e->dead_conns, grave);
		free(c);
	}
	while ((s = SLIST_FIRST(&e->dead_sessions))) {
		SLIST_REMOVE_HEAD(&e->dead_sessions, grave);
		free(s);
	}
}

static void unmark_dirty(struct conn *c)
{
	struct bgp_engine *e = c->session->engine;

	if (c->dirty)
		TAILQ_REMOVE(c->urgent ? &e->urgent : &e->dirty, c, dirty_entry);
	c->dirty = c->urgent = false;
}

void engine_bury_conn(struct conn *c)
{
	struct bgp_engine *e = c->session->engine;

	if (c->ready) {
		TAILQ_REMOVE(&e->ready, c, ready_entry);
		c->ready = false;
	}
	unmark_dirty(c);
	SLIST_INSERT_HEAD(&e->dead_conns, c, grave);
	loop_work_schedule(e->loop, &e->send);
}

void engine_bury_session(struct bgp_session *s)
{
	SLIST_INSERT_HEAD(&s->engine->dead_sessions, s, grave);
	loop_work_schedule(s->engine->loop, &s->engine->send);
}

/* Reading: thousands may have something to say at once. Each has its turn, and those that are left over when the slice
 * ends are the first of the next one. */

void engine_mark_ready(struct conn *c)
{
	struct bgp_engine *e = c->session->engine;

	if (c->ready)
		return;
	c->ready = true;
	TAILQ_INSERT_TAIL(&e->ready, c, ready_entry);
	loop_work_schedule(e->loop, &e->receive);
}

static bool receive_work(void *arg, uint64_t deadline)
{
	struct bgp_engine *e = arg;
	struct conn *c;

	while ((c = TAILQ_FIRST(&e->ready))) {
		TAILQ_REMOVE(&e->ready, c, ready_entry);
		c->ready = false;
		conn_ready(c);
		if (mono_now() >= deadline)
			break;
	}
	return !TAILQ_EMPTY(&e->ready);
}

/* Writing */

void engine_mark_dirty(struct conn *c)
{
	struct bgp_engine *e = c->session->engine;

	if (c->dirty || !conn_is_open(c))
		return;
	c->dirty = true;
	TAILQ_INSERT_TAIL(&e->dirty, c, dirty_entry);
	loop_work_schedule(e->loop, &e->send);
}

/* Messages of our own wait neither for what all others are to be told nor for other work: a KEEPALIVE has its time. */
void engine_mark_urgent(struct conn *c)
{
	struct bgp_engine *e = c->session->engine;

	if (c->urgent || !conn_is_open(c))
		return;
	unmark_dirty(c);
	c->dirty = c->urgent = true;
	TAILQ_INSERT_TAIL(&e->urgent, c, dirty_entry);
	loop_work_schedule(e->loop, &e->hurry);
	loop_work_schedule(e->loop, &e->send);
}

/* One round over the connections that have something to write, each for a bounded amount. */
static void flush_some(struct conn_queue *queue, uint64_t deadline)
{
	struct conn *c;

	while ((c = TAILQ_FIRST(queue))) {
		unmark_dirty(c);
		if (conn_flush(c, true))
			engine_mark_dirty(c);
		if (mono_now() >= deadline)
			break;
	}
}

/* What timers wanted to be sent, before this turn's other work. */
static bool hurry_work(void *arg, uint64_t deadline)
{
	struct bgp_engine *e = arg;

	flush_some(&e->urgent, deadline);
	return !TAILQ_EMPTY(&e->urgent);
}

static bool send_work(void *arg, uint64_t deadline)
{
	struct bgp_engine *e = arg;

	flush_some(&e->urgent, deadline);
	if (TAILQ_EMPTY(&e->urgent)) {
		loop_work_cancel(e->loop, &e->hurry);
		flush_some(&e->dirty, deadline);
	}
	bury(e);
	return !TAILQ_EMPTY(&e->urgent) || !TAILQ_EMPTY(&e->dirty);
}

/* Last words */

static void farewell_end(struct farewell *l)
{
	loop_io_stop(l->engine->loop, &l->io);
	loop_timer_stop(l->engine->loop, &l->timer);
	LIST_REMOVE(l, entry);
	l->engine->farewell_count--;
	socket_close(l->fd);
	free(l);
}

static void farewell_timeout(void *arg)
{
	farewell_end(arg);
}

static void farewell_read(void *arg, int events)
{
	struct farewell *l = arg;
	ssize_t n = read(l->fd, l->engine->rx, READ_QUANTUM);

	(void)events;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		farewell_end(l);
}

void engine_farewell(struct bgp_engine *e, int fd)
{
	struct farewell *l;

	if (e->farewell_count >= FAREWELLS_MAX) {
		socket_close(fd);
		return;
	}
	l = mem_calloc(1, sizeof *l);
	e->farewell_count++;
	shutdown(fd, SHUT_WR);
	l->engine = e;
	l->fd = fd;
	LIST_INSERT_HEAD(&e->farewells, l, entry);
	loop_io_set(e->loop, &l->io, fd, LOOP_READ, farewell_read, l);
	loop_timer_set(e->loop, &l->timer, FAREWELL, farewell_timeout, l);
}

void engine_refuse(struct bgp_engine *e, int fd, const struct bgp_open *open, uint8_t subcode, struct span data)
{
	uint8_t msg[2 * BGP_MAX_MESSAGE];
	struct wr w = wr_make(msg, sizeof msg);

	if (open)
		bgp_open_encode(&w, open);
	bgp_notification_encode(&w, BGP_ERR_CEASE, subcode, data);
	if (w.bad || send(fd, msg, wr_len(&w), MSG_NOSIGNAL) < 0)
		close(fd);
	else
		engine_farewell(e, fd);
}

/* Life */

struct bgp_engine *bgp_engine_new(struct loop *loop, const struct bgp_session_ops *ops)
{
	struct bgp_engine *e = mem_calloc(1, sizeof *e);

	e->loop = loop;
	e->ops = *ops;
	e->receive = (struct loop_work){.run = receive_work, .arg = e, .rank = LOOP_RANK_RECEIVE};
	e->hurry = (struct loop_work){.run = hurry_work, .arg = e, .rank = LOOP_RANK_HURRY};
	e->send = (struct loop_work){.run = send_work, .arg = e, .rank = LOOP_RANK_SEND};
	LIST_INIT(&e->ranges);
	LIST_INIT(&e->listeners);
	LIST_INIT(&e->farewells);
	TAILQ_INIT(&e->ready);
	TAILQ_INIT(&e->dirty);
	TAILQ_INIT(&e->urgent);
	SLIST_INIT(&e->dead_conns);
	SLIST_INIT(&e->dead_sessions);
	return e;
}

void bgp_engine_free(struct bgp_engine *e)
{
	struct farewell *w;

	if (!e)
		return;
	listen_stop(e);
	while ((w = LIST_FIRST(&e->farewells)))
		farewell_end(w);
	loop_work_cancel(e->loop, &e->receive);
	loop_work_cancel(e->loop, &e->hurry);
	loop_work_cancel(e->loop, &e->send);
	bury(e);
	htab_clear(&e->sessions);
	htab_clear(&e->keys);
	arena_free(&e->arena);
	free(e);
}

void bgp_engine_set_restarting(struct bgp_engine *e, bool restarting)
{
	e->restarting = restarting;
}

void bgp_engine_keep_opens(struct bgp_engine *e, bool keep)
{
	e->keep_opens = keep;
}

void bgp_engine_set_hostname(struct bgp_engine *e, const char *hostname)
{
	snprintf(e->hostname, sizeof e->hostname, "%s", hostname);
}
