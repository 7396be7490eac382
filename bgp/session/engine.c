/* The engine: listening sockets, the table of sessions, the end-of-turn writes, and the burials. */
#include <errno.h>
#include <net/if.h>
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
/* How long a listener rests when descriptors ran out. */
#define ACCEPT_PAUSE (100 * MONO_MSEC)

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

void engine_bury_conn(struct conn *c)
{
	struct bgp_engine *e = c->session->engine;

	if (c->dirty) {
		TAILQ_REMOVE(&e->dirty, c, dirty_entry);
		c->dirty = false;
	}
	SLIST_INSERT_HEAD(&e->dead_conns, c, grave);
	loop_work_schedule(e->loop, &e->send);
}

void engine_bury_session(struct bgp_session *s)
{
	SLIST_INSERT_HEAD(&s->engine->dead_sessions, s, grave);
	loop_work_schedule(s->engine->loop, &s->engine->send);
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

/* One round over the connections that have something to write, each for a bounded amount. */
static bool send_work(void *arg, uint64_t deadline)
{
	struct bgp_engine *e = arg;
	struct conn *c;

	while ((c = TAILQ_FIRST(&e->dirty))) {
		TAILQ_REMOVE(&e->dirty, c, dirty_entry);
		c->dirty = false;
		if (conn_flush(c, true))
			engine_mark_dirty(c);
		if (mono_now() >= deadline)
			break;
	}
	bury(e);
	return !TAILQ_EMPTY(&e->dirty);
}

/* Last words */

static void farewell_end(struct farewell *l)
{
	loop_io_stop(l->engine->loop, &l->io);
	loop_timer_stop(l->engine->loop, &l->timer);
	LIST_REMOVE(l, entry);
	l->engine->farewell_count--;
	close(l->fd);
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
		close(fd);
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

void engine_refuse(struct bgp_engine *e, int fd, uint8_t code, uint8_t subcode, struct span data)
{
	uint8_t msg[BGP_MAX_MESSAGE];
	struct wr w = wr_make(msg, sizeof msg);

	if (code)
		bgp_notification_encode(&w, code, subcode, data);
	if (!code || w.bad || send(fd, msg, wr_len(&w), MSG_NOSIGNAL) < 0)
		close(fd);
	else
		engine_farewell(e, fd);
}

/* The table of sessions */

static uint32_t hash_remote(const struct addr *remote)
{
	return (uint32_t)hash_bytes(remote, sizeof *remote);
}

void engine_table_add(struct bgp_session *s)
{
	s->hash = hash_remote(&s->conf.remote);
	htab_insert(&s->engine->sessions, s->hash, s);
}

void engine_table_remove(struct bgp_session *s)
{
	htab_remove(&s->engine->sessions, s->hash, s);
}

struct caller {
	struct addr remote, local;
	uint32_t ifindex;
};

/* Several sessions may have the same remote address: behind different interfaces, or with different own addresses. */
static bool is_for(const void *item, const void *key)
{
	const struct bgp_session *s = item;
	const struct caller *c = key;

	if (!addr_equal(&s->conf.remote, &c->remote))
		return false;
	if (!addr_is_none(&s->conf.local) && !addr_equal(&s->conf.local, &c->local))
		return false;
	return !s->conf.ifname[0] || !addr_is_link_local(&c->remote) || if_nametoindex(s->conf.ifname) == c->ifindex;
}

/* Accepting */

static void refuse_unknown(struct bgp_engine *e, int fd, const struct caller *c)
{
	char remote[ADDR_STRLEN], local[ADDR_STRLEN];
	uint32_t more;

	close(fd);
	if (!log_allowed(&e->unknown_log, 5, 60 * MONO_SEC, &more))
		return;
	log_warn(LOG_BGP,
		 "connection from %s to %s closed: no peer is configured with that address%s (%u more not shown)",
		 addr_format(&c->remote, remote), addr_format(&c->local, local),
		 "; if it should be one, look for a missing node, BGPPeer or source address", more);
}

static void accept_pause_over(void *arg);

static void on_listener(void *arg, int events)
{
	struct listener *l = arg;
	struct bgp_engine *e = l->engine;
	struct caller who;
	uint32_t more;
	int fd;

	(void)events;
	while ((fd = socket_accept(l->fd, &who.remote, &who.ifindex)) >= 0) {
		struct bgp_session *s;

		who.local = socket_local(fd);
		s = htab_find(&e->sessions, hash_remote(&who.remote), is_for, &who);
		if (s)
			collision_incoming(s, fd);
		else
			refuse_unknown(e, fd, &who);
	}
	/* Without a rest a full table of descriptors would keep the loop spinning. */
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		if (log_allowed(&e->accept_log, 1, 60 * MONO_SEC, &more))
			log_error(LOG_BGP, "accept: %s; peers cannot connect: raise the limit (LimitNOFILE=)",
				  strerror(errno));
		loop_io_stop(e->loop, &l->io);
		loop_timer_set(e->loop, &l->pause, ACCEPT_PAUSE, accept_pause_over, l);
	}
}

static void accept_pause_over(void *arg)
{
	struct listener *l = arg;

	loop_io_set(l->engine->loop, &l->io, l->fd, LOOP_READ, on_listener, l);
}

/* Listening */

static void report_password(const struct bgp_session *s, const char *password)
{
	log_error(LOG_BGP, "%s: cannot %s the password of the listening socket: %s%s", s->conf.name,
		  password ? "set" : "remove", strerror(errno),
		  errno == ENOMEM ? "; raise net.core.optmem_max, it limits the number of passwords" : "");
}

void engine_set_password(struct bgp_session *s, const char *password)
{
	struct listener *l;

	LIST_FOREACH(l, &s->engine->listeners, entry)
	{
		if (l->at.addr.af == s->conf.remote.af && !socket_password(l->fd, &s->conf.remote, password))
			report_password(s, password);
	}
}

static void listener_add_passwords(struct listener *l)
{
	struct bgp_session *s;
	uint32_t pos = 0;

	while ((s = htab_next(&l->engine->sessions, &pos))) {
		if (s->conf.password && s->conf.remote.af == l->at.addr.af &&
		    !socket_password(l->fd, &s->conf.remote, s->conf.password))
			report_password(s, s->conf.password);
	}
}

static void listener_close(struct listener *l)
{
	loop_io_stop(l->engine->loop, &l->io);
	loop_timer_stop(l->engine->loop, &l->pause);
	LIST_REMOVE(l, entry);
	close(l->fd);
	free(l);
}

static const struct {
	int error;
	const char *hint;
} listen_hints[] = {
    {EADDRINUSE, "; another BGP daemon (BIRD?) has this port"},
    {EACCES, "; ports below 1024 need CAP_NET_BIND_SERVICE"},
    {EADDRNOTAVAIL, "; no interface of this host has this address"},
};

static void listen_error(const struct bgp_listen *at, const char *what, char *err, size_t size)
{
	char where[ADDR_STRLEN + 8];
	const char *hint = "";
	int error = errno;

	for (size_t i = 0; i < sizeof listen_hints / sizeof *listen_hints; i++)
		if (listen_hints[i].error == error)
			hint = listen_hints[i].hint;
	snprintf(err, size, "cannot listen on %s: %s: %s%s", session_endpoint(&at->addr, at->port, where), what,
		 strerror(error), hint);
}

static struct listener *listener_find(struct bgp_engine *e, const struct bgp_listen *at)
{
	struct listener *l;

	LIST_FOREACH(l, &e->listeners, entry)
	if (l->at.port == at->port && addr_equal(&l->at.addr, &at->addr))
		return l;
	return NULL;
}

static bool listener_want(struct bgp_engine *e, const struct bgp_listen *at, char *err, size_t size)
{
	struct listener *l = listener_find(e, at);
	const char *what;
	int fd;

	if (l) {
		l->wanted = true;
		return true;
	}
	fd = socket_listen(&at->addr, at->port, &what);
	if (fd < 0) {
		listen_error(at, what, err, size);
		return false;
	}
	l = mem_calloc(1, sizeof *l);
	*l = (struct listener){.engine = e, .at = *at, .fd = fd, .wanted = true};
	LIST_INSERT_HEAD(&e->listeners, l, entry);
	listener_add_passwords(l);
	loop_io_set(e->loop, &l->io, fd, LOOP_READ, on_listener, l);
	return true;
}

/* Both families; a kernel without IPv6 is no error. */
static bool listener_want_any(struct bgp_engine *e, uint16_t port, char *err, size_t size)
{
	static const uint8_t zero[16];
	struct bgp_listen v4 = {.addr = addr_make(AF_INET, zero), .port = port};
	struct bgp_listen v6 = {.addr = addr_make(AF_INET6, zero), .port = port};
	bool ok4 = listener_want(e, &v4, err, size), ok6;
	char err6[256];

	ok6 = listener_want(e, &v6, err6, sizeof err6);
	if (!ok6 && errno == EAFNOSUPPORT)
		ok6 = true;
	if (ok4 && !ok6)
		snprintf(err, size, "%s", err6);
	return ok4 && ok6;
}

bool bgp_engine_listen(struct bgp_engine *e, const struct bgp_listen *want, unsigned count, char *err, size_t err_size)
{
	struct listener *l, *next;
	char ignored[256];
	bool ok = true;

	LIST_FOREACH(l, &e->listeners, entry)
	l->wanted = false;
	/* Those that go, first: a new one may overlap with them. */
	for (unsigned i = 0; i < count; i++) {
		LIST_FOREACH(l, &e->listeners, entry)
		{
			static const uint8_t zero[16];
			struct addr any = addr_make(l->at.addr.af, zero);

			if (l->at.port == want[i].port &&
			    (addr_equal(&l->at.addr, &want[i].addr) ||
			     (addr_is_none(&want[i].addr) && addr_equal(&l->at.addr, &any))))
				l->wanted = true;
		}
	}
	LIST_FOREACH_SAFE(l, &e->listeners, entry, next)
	if (!l->wanted)
		listener_close(l);
	for (unsigned i = 0; i < count; i++) {
		char *to = ok ? err : ignored;
		size_t size = ok ? err_size : sizeof ignored;
		bool done = addr_is_none(&want[i].addr) ? listener_want_any(e, want[i].port, to, size)
							: listener_want(e, &want[i], to, size);

		ok = ok && done;
	}
	return ok;
}

/* Life */

struct bgp_engine *bgp_engine_new(struct loop *loop, const struct bgp_session_ops *ops)
{
	struct bgp_engine *e = mem_calloc(1, sizeof *e);

	e->loop = loop;
	e->ops = *ops;
	e->send = (struct loop_work){.run = send_work, .arg = e, .rank = LOOP_RANK_SEND};
	LIST_INIT(&e->listeners);
	LIST_INIT(&e->farewells);
	TAILQ_INIT(&e->dirty);
	SLIST_INIT(&e->dead_conns);
	SLIST_INIT(&e->dead_sessions);
	return e;
}

void bgp_engine_free(struct bgp_engine *e)
{
	struct listener *l;
	struct farewell *w;

	if (!e)
		return;
	while ((l = LIST_FIRST(&e->listeners)))
		listener_close(l);
	while ((w = LIST_FIRST(&e->farewells)))
		farewell_end(w);
	loop_work_cancel(e->loop, &e->send);
	bury(e);
	htab_clear(&e->sessions);
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
