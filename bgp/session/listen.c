/* Listening: the sockets, who is let in, and which session a caller is for. Thousands may call at once: whoever calls
 * is found by hash, and each turn of the loop takes only so many. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bgp/session/internal.h"
#include "bgp/session/socket.h"
#include "daemon/base/mono.h"

/* How many callers a turn of the loop lets in, and for how long: the other peers, and people at the control socket,
 * wait no longer. */
#define ACCEPT_BUDGET 64
#define ACCEPT_TIME (2 * MONO_MSEC)
/* How long a listener rests when descriptors ran out. */
#define ACCEPT_PAUSE (100 * MONO_MSEC)

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

static bool is_of(const void *item, const void *key)
{
	const struct bgp_session *s = item;
	const struct bgp_caller *who = key;

	/* A link says enough: whoever calls over one is known by it. */
	return addr_equal(&s->conf.remote, &who->remote) &&
	       (addr_scope(&who->remote) || strcmp(s->conf.vrf, who->vrf) == 0);
}

/* Several sessions may have one remote address: with own addresses or ports of the peer that differ. */
static bool is_for(const void *item, const void *key)
{
	const struct bgp_session *s = item;
	const struct bgp_caller *who = key;

	return is_of(item, who) && (addr_is_none(&s->conf.local) || addr_equal(&s->conf.local, &who->local));
}

/* Of two that differ in the port alone, which the caller's does not tell, the one that waits for a connection has it.
 */
static bool waits_for(const void *item, const void *key)
{
	const struct bgp_session *s = item;

	return is_for(item, key) && !s->conf.admin_down && s->own.state != BGP_ESTABLISHED && !s->incoming.conn &&
	       (!s->conf.password || key_in_force(session_key(s)));
}

static struct bgp_session *session_find(const struct bgp_engine *e, const struct bgp_caller *who)
{
	uint32_t hash = hash_remote(&who->remote);
	struct bgp_session *s = htab_find(&e->sessions, hash, waits_for, who);

	return s ? s : htab_find(&e->sessions, hash, is_for, who);
}

static bool is_known(const struct bgp_engine *e, const struct bgp_caller *who)
{
	return htab_find(&e->sessions, hash_remote(&who->remote), is_of, who);
}

/* Accepting */

static void refuse_unknown(struct bgp_engine *e, int fd, const struct bgp_caller *who)
{
	char remote[ADDR_STRLEN], local[ADDR_STRLEN];
	uint32_t more;

	close(fd);
	if (!log_allowed(&e->unknown_log, 5, 60 * MONO_SEC, &more))
		return;
	log_warn(LOG_BGP,
		 "connection from %s to %s closed: no peer is configured with that address%s (%u more not shown)",
		 addr_format(&who->remote, remote), addr_format(&who->local, local),
		 "; if it should be one, look for a missing node, BGPPeer or source address", more);
}

/* RFC 5082: what was sent before the accepted socket could be told to drop it. An unknown TTL is not a good one. */
static bool came_too_far(const struct bgp_caller *who, uint8_t min_ttl)
{
	return who->ttl < min_ttl;
}

static void refuse_hop(struct log_limit *limit, int fd, const char *name, const struct bgp_caller *who)
{
	char remote[ADDR_STRLEN];
	uint32_t more;

	close(fd);
	if (log_allowed(limit, 1, 60 * MONO_SEC, &more))
		log_warn(LOG_BGP,
			 "%s: connection from %s closed: its TTL is %u, too low for ttlSecurity (%u more not shown)",
			 name, addr_format(&who->remote, remote), who->ttl, more);
}

static void refuse_range(struct bgp_range *r, int fd, const struct bgp_caller *who, const char *why)
{
	char remote[ADDR_STRLEN];
	uint32_t more;

	engine_refuse(r->engine, fd, NULL, BGP_CEASE_REJECTED, (struct span){0});
	if (log_allowed(&r->refuse_log, 5, 60 * MONO_SEC, &more))
		log_warn(LOG_BGP, "%s: connection from %s refused: %s (%u more not shown)", r->conf.name,
			 addr_format(&who->remote, remote), why, more);
}

/* The session that the owner makes for a caller from a range; without one the descriptor is taken. */
static struct bgp_session *range_call(struct bgp_range *r, int fd, const struct bgp_caller *who)
{
	const char *why = "no session for it";
	struct bgp_session *s = NULL;

	if (came_too_far(who, r->conf.min_ttl)) {
		refuse_hop(&r->refuse_log, fd, r->conf.name, who);
		return NULL;
	}
	if (r->conf.password && !key_in_force(&r->key))
		why = "the password of the range is not in force";
	else
		s = r->on_caller(r->arg, who, &why);
	if (!s)
		refuse_range(r, fd, who, why);
	return s;
}

static void let_in(struct bgp_engine *e, int fd, const struct bgp_caller *who)
{
	struct bgp_session *s = session_find(e, who);
	struct bgp_range *r = s || is_known(e, who) ? NULL : range_find(e, who);

	if (s && came_too_far(who, s->conf.min_ttl)) {
		refuse_hop(&session_logs(s)->refuse, fd, s->conf.name, who);
		return;
	}
	if (r) {
		s = range_call(r, fd, who);
		if (!s)
			return;
	}
	if (s)
		collision_incoming(s, fd, &who->local);
	else
		refuse_unknown(e, fd, who);
}

static void accept_pause_over(void *arg);

/* Without a rest a full table of descriptors would keep the loop spinning. */
static void accept_failed(struct listener *l)
{
	struct bgp_engine *e = l->engine;
	struct rlimit limit = {0};
	int error = errno;
	uint32_t more;

	if (error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM)
		return;
	getrlimit(RLIMIT_NOFILE, &limit);
	if (log_allowed(&e->accept_log, 1, 60 * MONO_SEC, &more))
		log_error(
		    LOG_BGP,
		    "accept: %s; peers cannot connect: raise the limit (LimitNOFILE=), it is %llu with %u sessions",
		    strerror(error), (unsigned long long)limit.rlim_cur, e->sessions.count);
	loop_io_stop(e->loop, &l->io);
	loop_timer_set(e->loop, &l->pause, ACCEPT_PAUSE, accept_pause_over, l);
}

static void on_listener(void *arg, int events)
{
	uint64_t deadline = mono_now() + ACCEPT_TIME;
	struct listener *l = arg;
	struct bgp_caller who;

	(void)events;
	for (int n = 0; n < ACCEPT_BUDGET && mono_now() < deadline; n++) {
		int fd = socket_accept(l->fd, &who);

		if (fd < 0) {
			accept_failed(l);
			return;
		}
		let_in(l->engine, fd, &who);
	}
}

static void accept_pause_over(void *arg)
{
	struct listener *l = arg;

	loop_io_set(l->engine->loop, &l->io, l->fd, LOOP_READ, on_listener, l);
}

/* Listening */

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
    {EPERM, "; kernels before 5.7 want CAP_NET_RAW for a VRF"},
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
	snprintf(err, size, "cannot listen on %s%s%s: %s: %s%s", session_endpoint(&at->addr, at->port, where),
		 at->vrf[0] ? " in VRF " : "", at->vrf, what, strerror(error), hint);
}

static bool same_vrf(const struct bgp_listen *a, const struct bgp_listen *b)
{
	return a->vrf_ifindex == b->vrf_ifindex && strcmp(a->vrf, b->vrf) == 0;
}

static struct listener *listener_find(struct bgp_engine *e, const struct bgp_listen *at)
{
	struct listener *l;

	LIST_FOREACH(l, &e->listeners, entry)
	if (l->at.port == at->port && addr_equal(&l->at.addr, &at->addr) && same_vrf(&l->at, at))
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
	fd = socket_listen(at, &what);
	/* With net.ipv4.tcp_l3mdev_accept the other socket hears what arrives in VRFs, and leaves no room here. */
	if (fd < 0 && errno == EADDRINUSE && at->vrf[0] && socket_hears_all())
		return true;
	if (fd < 0) {
		listen_error(at, what, err, size);
		return false;
	}
	l = mem_calloc(1, sizeof *l);
	*l = (struct listener){.engine = e, .at = *at, .fd = fd, .wanted = true};
	LIST_INSERT_HEAD(&e->listeners, l, entry);
	key_listener(l);
	loop_io_set(e->loop, &l->io, fd, LOOP_READ, on_listener, l);
	return true;
}

/* Both families; a kernel without IPv6 is no error. */
static bool listener_want_any(struct bgp_engine *e, const struct bgp_listen *at, char *err, size_t size)
{
	static const uint8_t zero[16];
	struct bgp_listen v4 = *at, v6 = *at;
	bool ok4, ok6;
	char err6[256];

	v4.addr = addr_make(AF_INET, zero);
	v6.addr = addr_make(AF_INET6, zero);
	ok4 = listener_want(e, &v4, err, size);
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

			if (l->at.port == want[i].port && same_vrf(&l->at, &want[i]) &&
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
		bool done = addr_is_none(&want[i].addr) ? listener_want_any(e, &want[i], to, size)
							: listener_want(e, &want[i], to, size);

		ok = ok && done;
	}
	return ok;
}

void listen_stop(struct bgp_engine *e)
{
	struct listener *l;

	while ((l = LIST_FIRST(&e->listeners)))
		listener_close(l);
}
