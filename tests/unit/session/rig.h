/* Two engines in one loop on loopback addresses, sessions whose owners count what happens, and a scripted peer over a
 * plain socket. Nothing sleeps: the loop turns until a condition holds. */
#ifndef TESTS_SESSION_RIG_H
#define TESTS_SESSION_RIG_H

#include <arpa/inet.h>
#include <bsd/stdlib.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bgp/session/session.h"
#include "daemon/base/log.h"
#include "daemon/base/mono.h"
#include "tests/unit/turns.h"

/* What the owner of a session saw. */
struct end {
	struct bgp_session *s;
	unsigned up, down, updates, errors, refreshes, states, pulls;
	uint8_t subtype; /* of the last ROUTE-REFRESH */
	struct bgp_down last;
	char reason[512];
	unsigned ends;
	bool has_ended; /* and is not down yet */
	struct bgp_end ended;
	uint8_t last_words[BGP_MAX_MESSAGE]; /* ended.notification */
	struct buf *message;		     /* what pull() gives, so often */
	unsigned supply;
	/* As the owner of a range: the session of the last caller, made with this configuration; or why there is none.
	 */
	struct bgp_session_conf callers;
	const char *refuse;
	unsigned calls;
	/* Called in each callback, with its first letter. */
	void (*hook)(struct end *e, char what);
};

struct side {
	struct bgp_engine *engine;
	struct addr addr;
};

struct rig {
	struct loop *loop;
	struct loop_timer tick;
	struct side side[2];
	uint16_t port;
	struct strbuf log;
};

static struct rig rig;

static void rig_hook(struct end *e, char what)
{
	if (e->hook)
		e->hook(e, what);
}

static void rig_established(void *arg, struct bgp_session *s)
{
	struct end *e = arg;

	ck_assert_ptr_eq(e->s, s);
	ck_assert_uint_eq(e->up, e->down);
	ck_assert_int_eq(bgp_session_info(s).state, BGP_ESTABLISHED);
	e->up++;
	rig_hook(e, 'e');
}

static void rig_ended(void *arg, struct bgp_session *s, const struct bgp_end *end)
{
	struct end *e = arg;

	ck_assert_ptr_eq(e->s, s);
	ck_assert_uint_eq(e->up, e->down + 1);
	e->ends++;
	ck_assert(!e->has_ended);
	e->has_ended = true;
	e->ended = *end;
	memcpy(e->last_words, end->notification.p, end->notification.len);
	e->ended.notification.p = e->last_words;
	rig_hook(e, 'n');
}

static void rig_down(void *arg, struct bgp_session *s, const struct bgp_down *why)
{
	struct end *e = arg;

	ck_assert_ptr_eq(e->s, s);
	ck_assert_uint_eq(e->up, e->down + 1);
	ck_assert(e->has_ended);
	e->has_ended = false;
	/* Not even if another connection is about to take its place. */
	ck_assert_int_ne(bgp_session_info(s).state, BGP_ESTABLISHED);
	e->down++;
	e->last = *why;
	snprintf(e->reason, sizeof e->reason, "%s", why->reason);
	ck_assert_str_eq(e->reason, bgp_session_info(s).last_error);
	rig_hook(e, 'd');
}

static void rig_update(void *arg, struct bgp_session *s, const struct bgp_update *u, const struct bgp_error *err)
{
	struct end *e = arg;

	ck_assert_ptr_eq(e->s, s);
	ck_assert_uint_eq(e->up, e->down + 1);
	ck_assert_int_lt(err->action, BGP_RESET);
	(void)u;
	e->updates++;
	e->errors += err->action != BGP_OK;
	rig_hook(e, 'u');
}

static void rig_refresh(void *arg, struct bgp_session *s, enum family f, uint8_t subtype)
{
	struct end *e = arg;

	ck_assert_ptr_eq(e->s, s);
	ck_assert_int_lt(f, FAM_COUNT);
	e->refreshes++;
	e->subtype = subtype;
	rig_hook(e, 'r');
}

static void rig_state(void *arg, struct bgp_session *s)
{
	struct end *e = arg;

	if (bgp_session_info(s).state == BGP_ESTABLISHED) {
		ck_assert_ptr_nonnull(bgp_session_peer(s));
		ck_assert_ptr_nonnull(bgp_session_codec(s));
	}
	e->states++;
	rig_hook(e, 's');
}

static unsigned rig_pull(void *arg, struct bgp_session *s, struct slice *out, unsigned max)
{
	struct end *e = arg;
	unsigned n = 0;

	ck_assert_ptr_eq(e->s, s);
	ck_assert_uint_eq(e->up, e->down + 1);
	e->pulls++;
	for (; n < max && e->supply; n++, e->supply--)
		out[n] = (struct slice){.buf = buf_ref(e->message), .off = 0, .len = e->message->len};
	rig_hook(e, 'p');
	return n;
}

static inline struct bgp_session *rig_caller(void *arg, const struct bgp_caller *who, const char **why)
{
	struct end *e = arg;

	e->calls++;
	if (e->refuse) {
		*why = e->refuse;
		return NULL;
	}
	ck_assert_ptr_null(e->s);
	e->callers.remote = who->remote;
	e->callers.passive = true;
	e->s = bgp_session_new(rig.side[0].engine, &e->callers, e);
	return e->s;
}

static const struct bgp_session_ops rig_ops = {
    .on_established = rig_established,
    .on_down = rig_down,
    .on_end = rig_ended,
    .on_update = rig_update,
    .on_refresh = rig_refresh,
    .on_state = rig_state,
    .pull = rig_pull,
};

static void rig_tick(void *arg)
{
	(void)arg;
	loop_timer_set(rig.loop, &rig.tick, 5 * MONO_MSEC, rig_tick, NULL);
}

static inline struct addr rig_addr(const char *text)
{
	struct addr a = {0};

	ck_assert(addr_parse(&a, text));
	return a;
}

static void rig_log(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	strbuf_puts(&rig.log, line);
	strbuf_putc(&rig.log, '\n');
	if (getenv("RIG_LOG"))
		fprintf(stderr, "%s\n", line);
}

static inline bool rig_logged(const char *text)
{
	return rig.log.s && strstr(rig.log.s, text);
}

static inline void rig_listen(int side)
{
	struct bgp_listen at = {.addr = rig.side[side].addr, .port = rig.port};
	char err[256] = "";

	ck_assert_msg(bgp_engine_listen(rig.side[side].engine, &at, 1, err, sizeof err), "%s", err);
}

/* A port that is free on both addresses; below the range the kernel takes for dialling. */
static inline uint16_t rig_free_port(void)
{
	for (int i = 0; i < 200; i++) {
		uint16_t port = (uint16_t)(10000 + arc4random_uniform(20000));
		struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		bool ok = bind(fd, (struct sockaddr *)&sa, sizeof sa) == 0;

		close(fd);
		if (ok)
			return port;
	}
	ck_abort_msg("no free port");
}

static void rig_setup(void)
{
	memset(&rig, 0, sizeof rig);
	log_setup(LOG_LVL_DEBUG, false);
	log_redirect(rig_log, NULL);
	rig.loop = loop_new();
	rig.port = rig_free_port();
	rig_tick(NULL);
	for (int i = 0; i < 2; i++) {
		rig.side[i].engine = bgp_engine_new(rig.loop, &rig_ops);
		rig.side[i].addr = rig_addr(i ? "127.0.0.2" : "127.0.0.1");
	}
}

static void rig_teardown(void)
{
	for (int i = 0; i < 2; i++)
		bgp_engine_free(rig.side[i].engine);
	loop_timer_stop(rig.loop, &rig.tick);
	loop_free(rig.loop);
	log_redirect(NULL, NULL);
	strbuf_free(&rig.log);
}

/* The configuration of one side's session with the other: iBGP with both families, all timers short. */
static inline struct bgp_session_conf rig_conf(int side)
{
	static char names[2][4] = {"A-B", "B-A"};

	return (struct bgp_session_conf){
	    .name = names[side],
	    .remote = rig.side[!side].addr,
	    .remote_port = rig.port,
	    .local = rig.side[side].addr,
	    .local_as = 65001,
	    .remote_as = 65001,
	    .router_id = 0x0a000001u + (uint32_t)side,
	    .hold_time = 90,
	    .connect_retry = 1,
	    .idle_hold = 1,
	    .idle_hold_max = 4,
	    .ttl = 64,
	    .families = 1u << FAM_IPV4 | 1u << FAM_IPV6,
	    .gr_time = 120,
	};
}

static inline void end_open(struct end *e, int side, const struct bgp_session_conf *conf)
{
	e->s = bgp_session_new(rig.side[side].engine, conf, e);
}

static inline void end_close(struct end *e)
{
	bgp_session_free(e->s, BGP_CEASE_DECONFIGURED);
	e->s = NULL;
	buf_unref(e->message);
	e->message = NULL;
}

static inline bool is_up(const struct end *e)
{
	return e->s && e->up == e->down + 1;
}

static inline const char *last_error(const struct end *e)
{
	return bgp_session_info(e->s).last_error;
}

/* The scripted peer. */
struct raw {
	int fd, listening;
	uint8_t in[200000];
	size_t len;
	bool eof;
	/* The last message taken. */
	uint8_t type;
	struct rd body;
	uint8_t copy[BGP_MAX_EXTENDED];
};

static inline struct sockaddr_in raw_sockaddr(const char *addr, uint16_t port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};

	ck_assert_int_eq(inet_pton(AF_INET, addr, &sa.sin_addr), 1);
	return sa;
}

static inline struct raw *raw_new(void)
{
	struct raw *r = mem_calloc(1, sizeof *r);

	r->fd = r->listening = -1;
	return r;
}

static inline void raw_connect(struct raw *r, const char *from, const char *to)
{
	struct sockaddr_in a = raw_sockaddr(from, 0), b = raw_sockaddr(to, rig.port);

	r->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(r->fd, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_msg(connect(r->fd, (struct sockaddr *)&b, sizeof b) == 0, "connect: %s", strerror(errno));
	fcntl(r->fd, F_SETFL, O_NONBLOCK);
	r->len = 0;
	r->eof = false;
}

static inline void raw_listen(struct raw *r, const char *at)
{
	struct sockaddr_in sa = raw_sockaddr(at, rig.port);
	int on = 1;

	r->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	setsockopt(r->listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	ck_assert_int_eq(bind(r->listening, (struct sockaddr *)&sa, sizeof sa), 0);
	ck_assert_int_eq(listen(r->listening, 16), 0);
}

static inline bool raw_accepted(struct raw *r)
{
	r->fd = accept4(r->listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	r->len = 0;
	r->eof = false;
	return r->fd >= 0;
}

static inline void raw_close(struct raw *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

static inline void raw_reset(struct raw *r)
{
	struct linger l = {.l_onoff = 1};

	setsockopt(r->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
	raw_close(r);
}

static inline void raw_free(struct raw *r)
{
	raw_close(r);
	if (r->listening >= 0)
		close(r->listening);
	free(r);
}

/* Writes all of it, turning the loop while the socket is full. The other side may have closed. */
static inline void raw_write(struct raw *r, const void *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = send(r->fd, (const uint8_t *)data + done, len - done, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			loop_turn(rig.loop, true);
			continue;
		}
		if (n < 0)
			return;
		done += (size_t)n;
	}
}

/* Reads what is there; true if a whole message is. */
static inline bool raw_has_message(struct raw *r)
{
	ssize_t n = r->len < sizeof r->in ? read(r->fd, r->in + r->len, sizeof r->in - r->len) : -1;

	if (n > 0)
		r->len += (size_t)n;
	if (n == 0 || (n < 0 && errno != EAGAIN && r->len < sizeof r->in))
		r->eof = true;
	return r->len >= BGP_HEADER_LEN && r->len >= (size_t)(r->in[16] << 8 | r->in[17]);
}

static inline void raw_take(struct raw *r)
{
	size_t n = (size_t)(r->in[16] << 8 | r->in[17]);

	r->type = r->in[18];
	memcpy(r->copy, r->in, n);
	r->body = rd_make(r->copy + BGP_HEADER_LEN, n - BGP_HEADER_LEN);
	memmove(r->in, r->in + n, r->len - n);
	r->len -= n;
}

/* The next message, and it must be of this type. */
static inline void raw_expect(struct raw *r, uint8_t type)
{
	TURN_UNTIL(raw_has_message(r) || r->eof, 3);
	ck_assert_msg(raw_has_message(r), "the connection was closed instead of a %s", bgp_type_names[type]);
	raw_take(r);
	ck_assert_msg(r->type == type, "a %s instead of a %s", bgp_type_names[r->type], bgp_type_names[type]);
}

/* A NOTIFICATION with this code, before it only KEEPALIVEs and an OPEN; then the end of the connection. */
static inline void raw_expect_notification(struct raw *r, uint8_t code, uint8_t subcode)
{
	struct bgp_notification n;

	do {
		TURN_UNTIL(raw_has_message(r) || r->eof, 3);
		ck_assert_msg(raw_has_message(r), "closed instead of NOTIFICATION %u/%u", code, subcode);
		raw_take(r);
	} while (r->type == BGP_KEEPALIVE || r->type == BGP_OPEN);
	ck_assert_uint_eq(r->type, BGP_NOTIFICATION);
	ck_assert(bgp_notification_decode(&n, r->body));
	ck_assert_msg(n.code == code && n.subcode == subcode, "NOTIFICATION %u/%u instead of %u/%u", n.code, n.subcode,
		      code, subcode);
	TURN_UNTIL(raw_has_message(r) || r->eof, 3);
	ck_assert_uint_eq(r->len, 0);
}

/* The OPEN of a peer of side 0 with all that we have. */
static inline struct bgp_open raw_open(void)
{
	struct bgp_open o = {
	    .as = 65001,
	    .hold_time = 90,
	    .router_id = 0x0a000009,
	    .families = 3,
	    .has_mp = true,
	    .as4 = true,
	    .route_refresh = true,
	};

	return o;
}

static inline void raw_send_open(struct raw *r, const struct bgp_open *o)
{
	uint8_t msg[BGP_MAX_MESSAGE];
	struct wr w = wr_make(msg, sizeof msg);

	bgp_open_encode(&w, o);
	ck_assert(!w.bad);
	raw_write(r, msg, wr_len(&w));
}

static inline void raw_send_keepalive(struct raw *r)
{
	uint8_t msg[BGP_HEADER_LEN];
	struct wr w = wr_make(msg, sizeof msg);

	bgp_keepalive_encode(&w);
	raw_write(r, msg, wr_len(&w));
}

static inline void raw_send_notification(struct raw *r, uint8_t code, uint8_t subcode, struct span data)
{
	uint8_t msg[BGP_MAX_MESSAGE];
	struct wr w = wr_make(msg, sizeof msg);

	bgp_notification_encode(&w, code, subcode, data);
	raw_write(r, msg, wr_len(&w));
}

/* A message of this type around these octets. */
static inline struct buf *make_message(uint8_t type, const void *body, size_t len)
{
	struct buf *b = buf_new(NULL, BGP_HEADER_LEN + len);
	struct wr w = wr_make(b->data, b->len);

	for (int i = 0; i < 16; i++)
		wr_u8(&w, 0xff);
	wr_u16(&w, (uint16_t)b->len);
	wr_u8(&w, type);
	wr_bytes(&w, body, len);
	return b;
}

static inline void raw_send_message(struct raw *r, uint8_t type, const void *body, size_t len)
{
	struct buf *b = make_message(type, body, len);

	raw_write(r, b->data, b->len);
	buf_unref(b);
}

/* OPEN and KEEPALIVE on a fresh connection: Established. */
static inline void raw_establish(struct raw *r, struct end *e, const struct bgp_open *o)
{
	unsigned up = e->up;

	raw_send_open(r, o);
	raw_expect(r, BGP_OPEN);
	raw_expect(r, BGP_KEEPALIVE);
	raw_send_keepalive(r);
	TURN_UNTIL(e->up == up + 1, 3);
}

/* A session of side 0 that waits for the scripted peer at 127.0.0.9. */
static inline struct bgp_session_conf raw_conf(void)
{
	struct bgp_session_conf conf = rig_conf(0);

	conf.remote = rig_addr("127.0.0.9");
	conf.passive = true;
	return conf;
}

static inline int rig_run(Suite *s)
{
	SRunner *sr = srunner_create(s);
	int failures;

	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}

#endif
