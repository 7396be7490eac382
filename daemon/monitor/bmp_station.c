/* The connection to one station: dialled, and dialled again with back-off (RFC 7854 3.2); written to as the station
 * reads.
 *
 * Its stream is `own` (what only this station is told: the beginning, pieces of the state), then what the feed has for
 * it, then the next piece of the state. A piece is made only when everything before it has been written, so a station
 * that does not read costs one piece and what the feed may keep. */
#include <bsd/stdlib.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/monitor/bmp_core.h"

/* How long a connection may take to be answered, and data to be taken by a station that has vanished or stalled. */
#define PATIENCE (10 * MONO_SEC)
#define USER_TIMEOUT_MS 120000
/* A station that fell behind is tried again soon if it has taken something lately. */
#define CATCH_UP MONO_SEC
#define STALLED (5 * MONO_SEC)
/* What one station is written in one go. */
#define QUANTUM (256u * 1024u)

static void attempt(void *arg);

/* ---- Sockets ---- */

static void set_option(int fd, int level, int name, int value)
{
	/* All of these only help to notice earlier what would be noticed anyway. */
	(void)setsockopt(fd, level, name, &value, sizeof value);
}

static int dial(const struct endpoint *at)
{
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} to = {.sa.sa_family = at->addr.af};
	socklen_t len = at->addr.af == AF_INET6 ? sizeof to.in6 : sizeof to.in;
	int fd = socket(at->addr.af, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);

	if (fd < 0)
		return -1;
	if (at->addr.af == AF_INET6) {
		to.in6.sin6_port = htons(at->port);
		memcpy(&to.in6.sin6_addr, at->addr.b, 16);
	} else {
		to.in.sin_port = htons(at->port);
		memcpy(&to.in.sin_addr, at->addr.b, 4);
	}
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 15);
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
	set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS);
	if (connect(fd, &to.sa, len) < 0 && errno != EINPROGRESS) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

static int connect_error(int fd)
{
	int error = 0;
	socklen_t len = sizeof error;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? errno : error;
}

/* ---- States ---- */

static void enter(struct station *st, enum station_state state)
{
	st->state = state;
	st->since = mono_now();
}

static void set_error(struct station *st, const char *text, uint64_t wait)
{
	/* What is said at every attempt is said once. */
	bool again = st->last_error && strcmp(st->last_error, text) == 0;

	log_msg(again ? LOG_LVL_DEBUG : LOG_LVL_WARN, "bmp", "station %s: %s; next attempt in %llu s", st->name, text,
		(unsigned long long)((wait + MONO_SEC - 1) / MONO_SEC));
	st->last_error_at = mono_now();
	if (again)
		return;
	free(st->last_error);
	st->last_error = mem_strdup(text);
}

/* Nothing of the connection is left. */
static void hang_up(struct station *st)
{
	struct bmp *b = st->b;

	loop_io_stop(b->d->loop, &st->io);
	loop_timer_stop(b->d->loop, &st->timer);
	if (st->fd >= 0)
		close(st->fd);
	st->fd = -1;
	if (st->state == STATION_UP)
		st->messages += b->feed.messages - st->feed_from;
	feed_leave(&b->feed, &st->reader);
	strbuf_free(&st->own);
	st->own_sent = 0;
	st->blocked = st->lost = false;
	st->dump = (struct dump){.phase = DUMP_DONE};
	enter(st, STATION_WAITING);
	bmp_watch(b);
}

/* Stations that come back are not to be dialled by all their routers at once. */
static uint64_t jittered(uint64_t ns)
{
	return ns / 4 * 3 + ns / 4 * arc4random_uniform(1024) / 1023;
}

/* Hangs up, and tries again after this back-off, which doubles. */
static void end(struct station *st, const char *text, uint64_t *backoff)
{
	uint64_t max = st->b->set.retry_max, wait = *backoff < max ? *backoff : max;

	set_error(st, text, wait);
	hang_up(st);
	loop_timer_set(st->b->d->loop, &st->timer, jittered(wait), attempt, st);
	*backoff = wait * 2;
}

/* RFC 7854 3.2: a connection that was good for longer than the back-off ends it. */
static void fail(struct station *st, const char *text)
{
	if (st->state == STATION_UP && mono_now() - st->since > st->backoff)
		st->backoff = st->b->set.retry;
	end(st, text, &st->backoff);
}

/* The feed could not wait. One that reads, but not as fast as a flood of changes came, is told the state again soon,
 * unless that happens again and again. */
static void fall_behind(struct station *st)
{
	static const char text[] = "behind by more than bmp.buffer: it reads too slowly";
	uint64_t now = mono_now();

	st->overruns++;
	if (now - st->progress > STALLED) {
		fail(st, text);
		return;
	}
	if (now - st->since > 8 * st->catch_up)
		st->catch_up = CATCH_UP;
	end(st, text, &st->catch_up);
}

static void fail_errno(struct station *st, const char *what, int error)
{
	char text[160];

	snprintf(text, sizeof text, "%s: %s", what, strerror(error));
	fail(st, text);
}

/* ---- The stream ---- */

void station_emit(void *arg, struct span message)
{
	struct station *st = arg;

	strbuf_add(&st->own, message.p, message.len);
	st->messages++;
}

static void begin(struct station *st)
{
	struct bmp *b = st->b;
	uint8_t room[8192];
	struct wr w = wr_make(room, sizeof room);
	const struct bmp_source *s;

	enter(st, STATION_UP);
	st->progress = st->since;
	st->connected++;
	log_info("bmp", "station %s: connected", st->name);
	bmp_initiation_encode(&w, b->d->config.node_name, "calidrisd " CALIDRIS_VERSION);
	station_emit(st, (struct span){room, wr_len(&w)});
	if (b->loc_rib.up)
		station_emit(st, (struct span){b->loc_rib.up->data, b->loc_rib.up->len});
	TAILQ_FOREACH(s, &b->sources, link)
	station_emit(st, (struct span){s->up->data, s->up->len});
	/* What is still open is about what it is going to be told as state. */
	packer_flush(&b->live);
	feed_join(&b->feed, &st->reader);
	st->feed_from = b->feed.messages;
	station_dump(st);
	bmp_watch(b);
}

void station_dump(struct station *st)
{
	if (st->state != STATION_UP)
		return;
	st->dump = (struct dump){.limit = st->b->last_number};
	bmp_schedule(st->b);
}

/* What is to be written next; empty: nothing, or a piece that had nothing in it. */
static struct span next(struct station *st)
{
	struct span s;

	if (st->own_sent < st->own.len)
		return (struct span){(const uint8_t *)st->own.s + st->own_sent, st->own.len - st->own_sent};
	strbuf_reset(&st->own);
	st->own_sent = 0;
	s = feed_peek(&st->b->feed, &st->reader);
	if (s.len)
		return s;
	if (st->dump.phase == DUMP_DONE) {
		strbuf_free(&st->own);
		return s;
	}
	dump_step(st);
	return (struct span){(const uint8_t *)st->own.s, st->own.len};
}

static void written(struct station *st, size_t n)
{
	st->bytes += n;
	st->progress = mono_now();
	if (st->own_sent < st->own.len)
		st->own_sent += n;
	else
		feed_advance(&st->b->feed, &st->reader, n);
}

static bool has_more(const struct station *st)
{
	return st->own_sent < st->own.len || feed_behind(&st->b->feed, &st->reader) || st->dump.phase != DUMP_DONE;
}

static void on_io(void *arg, int events);

static void watch(struct station *st)
{
	int events = st->state == STATION_CONNECTING ? LOOP_WRITE : st->blocked ? LOOP_READ | LOOP_WRITE : LOOP_READ;

	loop_io_set(st->b->d->loop, &st->io, st->fd, events, on_io, st);
}

bool station_write(struct station *st, uint64_t deadline)
{
	size_t total = 0;

	if (st->lost) {
		fall_behind(st);
		return false;
	}
	while (st->state == STATION_UP && !st->blocked && has_more(st)) {
		struct span s = next(st);
		ssize_t n = s.len ? send(st->fd, s.p, s.len, MSG_NOSIGNAL) : 0;

		if (n < 0 && errno == EAGAIN) {
			st->blocked = true;
			watch(st);
		} else if (n < 0 && errno != EINTR) {
			fail_errno(st, "connection lost", errno);
		} else if (n > 0) {
			written(st, (size_t)n);
			total += (size_t)n;
		}
		if (total >= QUANTUM || mono_now() >= deadline)
			break;
	}
	return st->state == STATION_UP && !st->blocked && has_more(st);
}

void station_on_lost(void *arg, struct feed_reader *r)
{
	struct bmp *b = arg;
	struct station *st;

	TAILQ_FOREACH(st, &b->stations, link)
	if (&st->reader == r)
		st->lost = true;
	bmp_schedule(b);
}

/* ---- Events ---- */

/* Stations have nothing to say (RFC 7854 3.2); what they say is read so that their end is noticed. */
static void drain(struct station *st)
{
	uint8_t ignored[4096];
	ssize_t n = read(st->fd, ignored, sizeof ignored);

	if (n == 0)
		fail(st, "the station closed the connection");
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		fail_errno(st, "connection lost", errno);
}

static void connected(struct station *st)
{
	int error = connect_error(st->fd);

	loop_timer_stop(st->b->d->loop, &st->timer);
	if (error) {
		fail_errno(st, "cannot connect", error);
		return;
	}
	begin(st);
	watch(st);
}

static void on_io(void *arg, int events)
{
	struct station *st = arg;

	if (st->state == STATION_CONNECTING) {
		connected(st);
		return;
	}
	if (events & LOOP_WRITE) {
		st->blocked = false;
		watch(st);
		bmp_schedule(st->b);
	}
	if (events & LOOP_READ)
		drain(st);
}

static void no_answer(void *arg)
{
	fail(arg, "cannot connect: no answer");
}

static void attempt(void *arg)
{
	struct station *st = arg;

	st->fd = dial(&st->at);
	if (st->fd < 0) {
		fail_errno(st, "cannot connect", errno);
		return;
	}
	enter(st, STATION_CONNECTING);
	loop_timer_set(st->b->d->loop, &st->timer, PATIENCE, no_answer, st);
	watch(st);
}

/* ---- Life ---- */

struct station *station_new(struct bmp *b, const struct endpoint *at)
{
	struct station *st = mem_calloc(1, sizeof *st);

	st->b = b;
	st->at = *at;
	st->fd = -1;
	st->backoff = b->set.retry;
	st->catch_up = CATCH_UP;
	st->dump.phase = DUMP_DONE;
	endpoint_format(at, st->name);
	enter(st, STATION_WAITING);
	loop_timer_set(b->d->loop, &st->timer, 0, attempt, st);
	return st;
}

/* Its last words, if all before them can be written at once. */
static void say_goodbye(struct station *st, enum bmp_termination reason, const char *text)
{
	uint8_t room[512];
	struct wr w = wr_make(room, sizeof room);

	st->dump.phase = DUMP_DONE;
	while (station_write(st, UINT64_MAX))
		;
	if (st->state != STATION_UP || st->blocked)
		return;
	bmp_termination_encode(&w, reason, text);
	(void)send(st->fd, room, wr_len(&w), MSG_NOSIGNAL);
}

void station_free(struct station *st, enum bmp_termination reason, const char *text)
{
	if (st->state == STATION_UP)
		say_goodbye(st, reason, text);
	hang_up(st);
	free(st->last_error);
	free(st);
}
