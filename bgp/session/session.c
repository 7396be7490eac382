/* A session's life: start, dial, back off, end; and what it tells its owner. */
#include "bgp/session/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bgp/session/fsm.h"
#include "bgp/session/internal.h"
#include "bgp/session/socket.h"
#include "daemon/base/hash.h"
#include "daemon/base/mono.h"

/* A restart that nobody's error caused waits at most this long; one after a lost collision much less. */
#define SHORT_HOLD MONO_SEC
#define SOON (100 * MONO_MSEC)
/* How much of its comings and goings a peer, or all of a range, may log in a minute. */
#define BURST 20
#define RANGE_BURST 200
/* How long a connection of the peer's keeps us from dialling while no OPEN came on it. */
#define INCOMING_PATIENCE (10 * MONO_SEC)

static const char *const state_names[BGP_STATE_COUNT] = {
    [BGP_IDLE] = "Idle",	 [BGP_CONNECT] = "Connect",	    [BGP_ACTIVE] = "Active",
    [BGP_OPENSENT] = "OpenSent", [BGP_OPENCONFIRM] = "OpenConfirm", [BGP_ESTABLISHED] = "Established",
};

const char *bgp_state_name(enum bgp_state s)
{
	return state_names[s];
}

enum bgp_state bgp_session_state(const struct bgp_session *s)
{
	/* A connection of the peer's that has got there is not the session's before collision_won() made it so. */
	enum bgp_state incoming = s->incoming.state == BGP_ESTABLISHED ? BGP_OPENCONFIRM : s->incoming.state;

	return s->own.state > incoming ? s->own.state : incoming;
}

const char *session_endpoint(const struct addr *a, uint16_t port, char buf[static ADDR_STRLEN + 8])
{
	char text[ADDR_STRLEN];

	snprintf(buf, ADDR_STRLEN + 8, a->af == AF_INET6 ? "[%s]:%u" : "%s:%u", addr_format(a, text), port);
	return buf;
}

uint64_t session_jitter(uint64_t ns)
{
	/* Nobody can foresee it without the process's key; the system's own random numbers cost a system call. */
	uint64_t now = mono_now(), chance = hash_bytes(&now, sizeof now) % 1024;

	return ns / 4 * 3 + ns / 4 * chance / 1023;
}

struct log_limits *session_logs(struct bgp_session *s)
{
	return s->conf.range ? &s->conf.range->logs : &s->logs;
}

/* What the owner is told */

void session_changed(struct bgp_session *s)
{
	if (!s->dead && s->engine->ops.on_state)
		s->engine->ops.on_state(s->arg, s);
}

/* A peer that comes and goes all the time is heard of, but does not fill the log. */
static enum log_level log_level_of(struct bgp_session *s, struct log_limit *limit, enum log_level level)
{
	uint32_t more;

	if (!log_allowed(limit, s->conf.range ? RANGE_BURST : BURST, 60 * MONO_SEC, &more))
		return LOG_LVL_DEBUG;
	if (more)
		log_warn(LOG_BGP, "%s: %u further lines about %s were left out", s->conf.name, more,
			 s->conf.range ? "peers of its range" : "it");
	return level;
}

/* Returns whether it is another error than before. The text may be the old error's. */
static bool remember_error(struct bgp_session *s, const char *text)
{
	char *old = s->last_error;

	s->last_error_at = mono_now();
	if (old && strcmp(old, text) == 0)
		return false;
	s->last_error = mem_strdup(text);
	free(old);
	return true;
}

void session_set_error(struct bgp_session *s, const char *text)
{
	/* Told once, not at each attempt. */
	enum log_level level =
	    remember_error(s, text) ? log_level_of(s, &session_logs(s)->down, LOG_LVL_INFO) : LOG_LVL_DEBUG;

	log_msg(level, LOG_BGP, "%s: %s", s->conf.name, text);
}

/* RFC 4724 4.2 and RFC 8538 4: do the peer's routes outlive this end? silent: the TCP connection went without a
 * NOTIFICATION. */
static bool outlives(const struct conn *c, const struct cause *why, bool silent)
{
	bool hard = why && why->code == BGP_ERR_CEASE && why->subcode == BGP_CEASE_HARD_RESET;

	return c->mine.gr && c->peer.gr && (silent || (!hard && c->mine.gr_notification && c->peer.gr_notification));
}

/* Which families' routes, and for how long (RFC 9494 4.2: the long time also without the short one). */
static void keep(struct bgp_down *down, const struct conn *c)
{
	uint8_t families = c->codec.families & (uint8_t)~c->codec.ignored;

	down->gr_families = c->peer.gr_families & families;
	for (int f = 0; f < FAM_COUNT; f++)
		if (c->mine.llgr && c->peer.llgr_families & families & 1u << f)
			down->llgr_time[f] = c->peer.llgr_time[f];
}

/* RFC 8538: with both sides keeping routes over NOTIFICATIONs, an end that is meant needs the Hard Reset. So does one
 * that is no fault of the control plane: nobody is to forward where BFD says that nothing arrives (RFC 5882 4.3). */
static bool is_meant(const struct cause *why)
{
	return why->code == BGP_ERR_CEASE &&
	       (why->subcode == BGP_CEASE_SHUTDOWN || why->subcode == BGP_CEASE_DECONFIGURED ||
		why->subcode == BGP_CEASE_MAX_PREFIXES || why->subcode == BGP_CEASE_REJECTED ||
		why->subcode == BGP_CEASE_BFD_DOWN);
}

static void report_end(struct bgp_session *s, const struct conn *c, const struct cause *why, bool notified,
		       uint8_t event)
{
	bool received = why && why->received;
	struct bgp_end end = {.received = received, .event = event};
	uint8_t msg[BGP_MAX_MESSAGE];
	struct wr w = wr_make(msg, sizeof msg);

	if (received)
		bgp_notification_encode(&w, why->code, why->subcode, why->data);
	else if (notified)
		session_notification(&w, c, why);
	end.notification = (struct span){msg, w.bad ? 0 : wr_len(&w)};
	s->engine->ops.on_end(s->arg, s, &end);
}

void session_report_down(struct bgp_session *s, const struct conn *c, const struct cause *why, bool notified,
			 uint8_t event)
{
	const char *text = why && why->text ? why->text : "closed";
	bool meant = why && !why->received && is_meant(why), silent = !notified && !(why && why->received);
	bool up = s->up;
	struct bgp_down down = {.gr_time = c->peer.gr_time, .reason = text};

	if (!meant && outlives(c, why, silent))
		keep(&down, c);
	s->plain_open = false;
	s->since = mono_now();
	s->up = false;
	if (up && s->engine->ops.on_end)
		report_end(s, c, why, notified, event);
	if (s->dead || !up)
		return;
	log_msg(log_level_of(s, &session_logs(s)->down, LOG_LVL_WARN), LOG_BGP, "%s: down: %s%s", s->conf.name, text,
		down.gr_families ? "; its routes are kept for its restart" : "");
	remember_error(s, text);
	if (s->engine->ops.on_down)
		s->engine->ops.on_down(s->arg, s, &down);
}

void session_report_up(struct bgp_session *s)
{
	struct conn *c = s->own.conn;
	char where[ADDR_STRLEN];

	s->attempts_failed = s->dials = 0;
	s->damped = false;
	s->established++;
	s->since = mono_now();
	s->up = true;
	log_msg(log_level_of(s, &session_logs(s)->up, LOG_LVL_INFO), LOG_BGP,
		"%s: Established with %s, AS %u (%s%s%s, hold time %u s%s)", s->conf.name,
		addr_format(&s->conf.remote, where), c->peer.as, c->codec.families & 1u << FAM_IPV4 ? "IPv4" : "",
		c->codec.families == 3 ? " and " : "", c->codec.families & 1u << FAM_IPV6 ? "IPv6" : "", c->hold_time,
		c->mine.gr && c->peer.gr ? ", graceful restart" : "");
	c->hold = c->hold_time * MONO_SEC;
	c->wants = true;
	engine_mark_dirty(c);
	if (s->engine->ops.on_established)
		s->engine->ops.on_established(s->arg, s);
}

/* Timers of the own machine */

static bool incoming_is_promising(const struct bgp_session *s)
{
	return s->incoming.state == BGP_OPENCONFIRM ||
	       (s->incoming.state == BGP_OPENSENT && mono_now() - s->incoming.conn->since < INCOMING_PATIENCE);
}

static void on_timer(void *arg)
{
	struct bgp_session *s = arg;
	char text[96], where[ADDR_STRLEN + 8];

	if (s->own.state == BGP_IDLE) {
		bool wait = s->conf.passive || incoming_is_promising(s);

		fsm_event(s, &s->own, wait ? EV_AUTO_START_DAMPED_PASSIVE : EV_IDLE_HOLD_TIMER, NULL);
		return;
	}
	if (s->own.state == BGP_ACTIVE && incoming_is_promising(s)) {
		session_retry_start(s);
		return;
	}
	if (s->own.state == BGP_CONNECT) {
		snprintf(text, sizeof text, "connect: no answer (%s)",
			 session_endpoint(&s->conf.remote, s->conf.remote_port, where));
		session_set_error(s, text);
	}
	fsm_event(s, &s->own, EV_CONNECT_RETRY_TIMER, NULL);
}

static void timer_set(struct bgp_session *s, uint64_t after)
{
	loop_timer_set(s->engine->loop, &s->timer, session_jitter(after), on_timer, s);
}

/* RFC 4271 10 with a ramp: the first attempts after a start follow each other more quickly, since peers mostly are not
 * there yet because they are starting too. */
void session_retry_start(struct bgp_session *s)
{
	uint64_t full = (s->conf.connect_retry ? s->conf.connect_retry : 1) * MONO_SEC;
	uint64_t ramp = MONO_SEC << (s->dials > 1 ? s->dials - 1 : 0);

	if (s->conf.passive) {
		loop_timer_stop(s->engine->loop, &s->timer);
		return;
	}
	timer_set(s, s->own.state == BGP_CONNECT || ramp > full ? full : ramp);
}

void session_idle_hold(struct bgp_session *s, bool was_up)
{
	uint64_t hold = s->conf.idle_hold * MONO_SEC, max = s->conf.idle_hold_max * MONO_SEC;
	unsigned shift = s->attempts_failed > 1 ? s->attempts_failed - 1 : 0;

	if (was_up && !s->damped)
		hold = hold < SHORT_HOLD ? hold : SHORT_HOLD;
	else
		for (; shift && hold < max; shift--)
			hold *= 2;
	if (hold > max && max)
		hold = max;
	timer_set(s, hold > SOON ? hold : SOON);
}

void session_start_soon(struct bgp_session *s)
{
	timer_set(s, SOON);
}

void session_dial(struct bgp_session *s)
{
	char text[160], where[ADDR_STRLEN + 8];
	const char *what;
	int fd = socket_dial(&s->conf, &what);

	if (s->dials < 16)
		s->dials++;
	if (fd >= 0) {
		conn_new(s, &s->own, fd, true, &(struct addr){0});
		return;
	}
	snprintf(text, sizeof text, "%s: %s%s (%s)", what, strerror(errno),
		 errno == EMFILE ? ": raise the limit (LimitNOFILE=)" : "",
		 session_endpoint(&s->conf.remote, s->conf.remote_port, where));
	fsm_event(s, &s->own, EV_TCP_FAILS, &(struct cause){.text = text});
}

/* Life */

struct span session_shutdown_data(const struct bgp_session *s, uint8_t buf[static 256])
{
	const char *text = s->conf.shutdown_text ? s->conf.shutdown_text : "";
	size_t len = strlen(text);

	if (!len)
		return (struct span){0};
	/* At most 255 octets, and no half UTF-8 character. */
	if (len > 255)
		for (len = 255; len && ((unsigned char)text[len] & 0xc0) == 0x80; len--)
			;
	buf[0] = (uint8_t)len;
	memcpy(buf + 1, text, len);
	return (struct span){buf, len + 1};
}

void session_notification(struct wr *w, const struct conn *c, const struct cause *why)
{
	uint8_t wrapped[1024];
	struct wr inner = wr_make(wrapped, sizeof wrapped);
	size_t start = wr_save(w);

	if (is_meant(why) && c->mine.gr_notification && c->peer.gr_notification) {
		wr_u8(&inner, why->code);
		wr_u8(&inner, why->subcode);
		wr_bytes(&inner, why->data.p, why->data.len);
		bgp_notification_encode(w, BGP_ERR_CEASE, BGP_CEASE_HARD_RESET, (struct span){wrapped, wr_len(&inner)});
		return;
	}
	bgp_notification_encode(w, why->code, why->subcode, why->data);
	if (w->bad) {
		/* The data is a courtesy; a huge attribute does not fit. */
		wr_undo(w, start);
		bgp_notification_encode(w, why->code, why->subcode, (struct span){0});
	}
}

bool session_notify(struct conn *c, const struct cause *why)
{
	uint8_t msg[BGP_MAX_MESSAGE];
	struct wr w = wr_make(msg, sizeof msg);

	if (c->connecting)
		return false;
	session_notification(&w, c, why);
	conn_send(c, msg, wr_len(&w));
	/* RFC 9687 4: also to who takes nothing, if that costs no waiting. What had begun goes before. */
	c->blocked = false;
	conn_flush(c, false);
	return !c->own.len;
}

void session_claim_key(struct bgp_session *s)
{
	/* The kernel knows no links here. */
	struct addr remote = addr_on_link(&s->conf.remote, 0);
	struct key_of of = {.prefix = prefix_make(&remote, addr_bits(remote.af))};

	memcpy(of.vrf, s->conf.vrf, sizeof of.vrf);
	/* The range has one for all. */
	if (s->conf.range || addr_is_none(&s->conf.remote))
		key_claim(s->engine, &s->key, &of, NULL, s->conf.name);
	else
		key_claim(s->engine, &s->key, &of, s->conf.password, s->conf.name);
}

const struct key_claim *session_key(const struct bgp_session *s)
{
	return s->conf.range ? &s->conf.range->key : &s->key;
}

void session_start(struct bgp_session *s)
{
	s->dials = 0;
	fsm_event(s, &s->own, s->conf.passive ? EV_MANUAL_START_PASSIVE : EV_MANUAL_START, NULL);
}

void session_stop(struct bgp_session *s, const struct cause *why)
{
	if (s->incoming.state != BGP_IDLE)
		fsm_event(s, &s->incoming, EV_MANUAL_STOP, why);
	if (s->own.state != BGP_IDLE)
		fsm_event(s, &s->own, EV_MANUAL_STOP, why);
	/* Unless a callback has started it again. */
	if (s->own.state == BGP_IDLE)
		loop_timer_stop(s->engine->loop, &s->timer);
	s->damped = s->plain_open = false;
	s->attempts_failed = 0;
}

static void on_first_start(void *arg)
{
	session_start(arg);
}

struct bgp_session *bgp_session_new(struct bgp_engine *e, const struct bgp_session_conf *conf, void *arg)
{
	struct bgp_session *s = mem_calloc(1, sizeof *s);

	s->engine = e;
	s->arg = arg;
	conf_copy(&s->conf, conf);
	s->since = mono_now();
	engine_table_add(s);
	session_claim_key(s);
	/* Not before the caller has the pointer: a dial may fail at once, and on_state() would run. */
	if (!s->conf.admin_down)
		loop_timer_set(e->loop, &s->timer, 0, on_first_start, s);
	return s;
}

void bgp_session_free(struct bgp_session *s, uint8_t cease_subcode)
{
	uint8_t data[256];
	struct cause why = {.code = cease_subcode ? BGP_ERR_CEASE : 0, .subcode = cease_subcode};

	if (!s || s->dead)
		return;
	if (cease_subcode == BGP_CEASE_SHUTDOWN || cease_subcode == BGP_CEASE_RESET)
		why.data = session_shutdown_data(s, data);
	s->dead = true;
	session_stop(s, &why);
	engine_table_remove(s);
	key_claim(s->engine, &s->key, &(struct key_of){0}, NULL, s->conf.name);
	conf_clear(&s->conf);
	free(s->last_error);
	s->last_error = NULL;
	engine_bury_session(s);
}

/* Ceases that an operator or a changed configuration causes are no failure: the restart follows as soon as the
 * peer can have read the NOTIFICATION. */
static bool restarts_soon(uint8_t code, uint8_t subcode)
{
	return code == BGP_ERR_CEASE && (subcode == BGP_CEASE_RESET || subcode == BGP_CEASE_CONFIG_CHANGE);
}

void bgp_session_reset(struct bgp_session *s, uint8_t code, uint8_t subcode, const char *reason)
{
	bgp_session_reset_with(s, code, subcode, (struct span){0}, reason);
}

void bgp_session_reset_with(struct bgp_session *s, uint8_t code, uint8_t subcode, struct span data, const char *reason)
{
	struct cause why = {.code = code, .subcode = subcode, .data = data, .text = reason};

	if (s->dead || s->conf.admin_down)
		return;
	if (restarts_soon(code, subcode)) {
		session_stop(s, &why);
		s->dials = 0;
		if (!s->dead && s->own.state == BGP_IDLE)
			session_start_soon(s);
		return;
	}
	if (s->incoming.state != BGP_IDLE)
		fsm_event(s, &s->incoming, EV_AUTO_STOP, &why);
	if (!s->dead && s->own.state != BGP_IDLE)
		fsm_event(s, &s->own, EV_AUTO_STOP, &why);
}

/* Sending */

static struct conn *up_conn(const struct bgp_session *s)
{
	return s->own.state == BGP_ESTABLISHED && !s->dead ? s->own.conn : NULL;
}

void bgp_session_kick(struct bgp_session *s)
{
	struct conn *c = up_conn(s);

	if (!c)
		return;
	c->wants = true;
	if (!c->blocked)
		engine_mark_dirty(c);
}

void bgp_session_send(struct bgp_session *s, struct buf *b)
{
	struct conn *c = up_conn(s);

	if (c)
		conn_send(c, b->data, b->len);
	buf_unref(b);
}

bool bgp_session_request_refresh(struct bgp_session *s, enum family f)
{
	struct conn *c = up_conn(s);
	uint8_t msg[BGP_HEADER_LEN + 4];
	struct wr w = wr_make(msg, sizeof msg);

	if (!c || !c->peer.route_refresh || !(c->codec.families >> f & 1))
		return false;
	bgp_refresh_encode(&w, f, BGP_REFRESH_NORMAL);
	conn_send(c, msg, wr_len(&w));
	return true;
}

/* Looking */

bool bgp_session_is_connected(const struct bgp_session *s)
{
	return s->own.conn || s->incoming.conn;
}

const struct bgp_open *bgp_session_peer(const struct bgp_session *s)
{
	return s->own.conn ? &s->own.conn->peer : NULL;
}

const struct bgp_codec *bgp_session_codec(const struct bgp_session *s)
{
	return s->own.conn ? &s->own.conn->codec : NULL;
}

void bgp_session_opens(const struct bgp_session *s, struct wr *ours, struct wr *peers)
{
	const struct conn *c = s->own.conn;
	struct wr_mark header;

	bgp_open_encode(ours, &c->mine);
	if (!c->peer_open) {
		bgp_open_encode(peers, &c->peer);
		return;
	}
	header = bgp_header_write(peers, BGP_OPEN);
	wr_bytes(peers, c->peer_open->data, c->peer_open->len);
	bgp_header_close(peers, header);
}

const struct bgp_session_conf *bgp_session_config(const struct bgp_session *s)
{
	return &s->conf;
}

void *bgp_session_arg(const struct bgp_session *s)
{
	return s->arg;
}

struct bgp_session_info bgp_session_info(const struct bgp_session *s)
{
	struct bgp_session_info i = {
	    .state = bgp_session_state(s),
	    .since = s->since,
	    .established = s->established,
	    .last_error = s->last_error ? s->last_error : "",
	    .last_error_at = s->last_error_at,
	    .attempts_failed = s->attempts_failed,
	};
	const struct conn *c = up_conn(s);
	uint64_t now = mono_now(), hold_end;

	memcpy(i.messages_in, s->messages_in, sizeof i.messages_in);
	memcpy(i.messages_out, s->messages_out, sizeof i.messages_out);
	if (i.state == BGP_IDLE || i.state == BGP_ACTIVE)
		i.retry_in = loop_timer_left(s->engine->loop, &s->timer);
	if (c) {
		i.local = c->local;
		socket_ports(c->fd, &i.local_port, &i.remote_port);
		i.hold_time = c->hold_time;
		i.keepalive_time = (uint16_t)(c->keepalive / MONO_SEC);
		hold_end = conn_heard(c, now) + c->hold;
		i.hold_left = c->hold && hold_end > now ? hold_end - now : 0;
		i.queued = conn_queued(c);
		i.outgoing = c->outgoing;
	}
	return i;
}
