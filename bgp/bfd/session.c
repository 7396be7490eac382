/* A session: what it says, what it makes of what it hears (RFC 5880 6.8.6), and its life. */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bgp/bfd/internal.h"
#include "daemon/base/mem.h"

const char *bfd_session_label(const struct bfd_session *s, char label[static BFD_LABEL])
{
	char remote[ADDR_STRLEN];

	snprintf(label, BFD_LABEL, "%s%s%s%s", addr_format(&s->conf.remote, remote), s->conf.ifname[0] ? " on " : "",
		 s->conf.ifname, s->conf.multihop ? " (multihop)" : "");
	return label;
}

/* The socket that sends */

/* How many ports are tried at once if others' sockets are in the way. */
#define PORT_ATTEMPTS 64

static void set_error(struct bfd_session *s, const char *text)
{
	char label[BFD_LABEL];

	if (strcmp(s->error, text) == 0)
		return;
	if (text[0])
		log_warn(LOG_BFD, "%s: %s; trying again", bfd_session_label(s, label), text);
	else
		log_info(LOG_BFD, "%s: sending and hearing again", bfd_session_label(s, label));
	snprintf(s->error, sizeof s->error, "%s", text);
}

static bool has_failed(struct bfd_session *s, const char *what)
{
	char text[sizeof s->error];

	snprintf(text, sizeof text, "cannot %s: %s", what, strerror(errno));
	set_error(s, text);
	return false;
}

/* The port stays the session's (RFC 5881 4) unless somebody else took it while the socket was closed. */
static int dial(struct bfd_session *s, const char **what)
{
	struct bfd_engine *e = s->engine;
	int fd = -1;

	for (int i = 0; i < PORT_ATTEMPTS && fd < 0; i++) {
		if (!s->port)
			s->port = bfd_engine_port_take(e);
		fd = bfd_socket_dial(&s->conf, s->ifindex, s->port, what);
		if (fd >= 0 || errno != EADDRINUSE)
			break;
		bfd_engine_port_put(e, s->port);
		s->port = 0;
	}
	return fd;
}

static bool open_to_send(struct bfd_session *s)
{
	const char *what = "find the interface";

	if (s->fd >= 0)
		return true;
	s->ifindex = s->conf.ifname[0] ? if_nametoindex(s->conf.ifname) : 0;
	if (s->conf.ifname[0] && !s->ifindex)
		return has_failed(s, what);
	s->fd = dial(s, &what);
	return s->fd >= 0 || has_failed(s, what);
}

static bool open_sockets(struct bfd_session *s)
{
	/* While it is leaving nothing is heard any more. */
	if (!s->leaving && !bfd_listener_ready(s->listener)) {
		set_error(s, s->listener->error);
		return false;
	}
	return open_to_send(s);
}

void bfd_session_keep_open(struct bfd_session *s)
{
	if (open_sockets(s))
		set_error(s, "");
}

static void close_socket(struct bfd_session *s)
{
	if (s->fd >= 0)
		bfd_socket_close(s->fd);
	s->fd = -1;
}

/* What passes by itself, and is no news. */
static bool is_passing(int error)
{
	return error == EAGAIN || error == ENOBUFS || error == ECONNREFUSED;
}

static void send_failed(struct bfd_session *s, int error)
{
	s->send_errors++;
	s->engine->stats.send_errors++;
	if (is_passing(error))
		return;
	errno = error;
	has_failed(s, "send");
	/* Its address or interface may be gone, or another way be right: a new socket will find out. */
	close_socket(s);
}

void bfd_session_send(struct bfd_session *s, bool final)
{
	struct bfd_packet p = {
	    .diag = s->diag,
	    .state = s->state,
	    .poll = s->polling && !final,
	    .final = final,
	    .multiplier = s->conf.multiplier,
	    .my_discr = s->discr,
	    .your_discr = s->remote_discr,
	    .min_tx = s->min_tx,
	    .min_rx = s->min_rx,
	};
	uint8_t bytes[BFD_PACKET_LEN];
	struct wr w = wr_make(bytes, sizeof bytes);

	s->sent_at = mono_now();
	if (!open_sockets(s))
		return;
	bfd_encode(&w, &p);
	if (!bfd_socket_send(s->fd, (struct span){bytes, wr_len(&w)})) {
		send_failed(s, errno);
		return;
	}
	set_error(s, "");
	s->packets_out++;
	s->engine->stats.packets_out++;
}

/* Events */

static void log_change(const struct bfd_session *s, const struct bfd_change *c)
{
	char label[BFD_LABEL];

	bfd_session_label(s, label);
	if (c->state == BFD_UP && c->was != BFD_UP)
		log_info(LOG_BFD, "%s: up", label);
	else if (c->was == BFD_UP && c->state != BFD_UP)
		log_msg(bfd_change_is_failure(c) ? LOG_LVL_WARN : LOG_LVL_INFO, LOG_BFD, "%s: down: %s", label,
			c->reason);
	else
		log_debug(LOG_BFD, "%s: %s -> %s, remote %s", label, bfd_state_name(c->was), bfd_state_name(c->state),
			  bfd_state_name(c->remote_state));
}

static void report(struct bfd_session *s, enum bfd_state was, bool remote_independent)
{
	struct bfd_change c = {
	    .was = was,
	    .state = s->state,
	    .remote_state = s->remote_state,
	    .diag = s->diag,
	    .remote_diag = s->remote_diag,
	    .remote_independent = remote_independent,
	    .reason = s->down_reason,
	};

	log_change(s, &c);
	s->engine->ops->on_change(s->arg, s, &c);
}

/* Counts, and what a change of state does to the intervals. */
static void enter(struct bfd_session *s, enum bfd_state was, const char *reason)
{
	struct bfd_stats *st = &s->engine->stats;

	s->since = mono_now();
	if (s->state == BFD_UP) {
		s->times_up++;
		st->up++;
	}
	if (was == BFD_UP) {
		s->times_down++;
		st->up--;
	}
	if (s->state == BFD_ADMIN_DOWN || (s->state == BFD_DOWN && was != BFD_ADMIN_DOWN)) {
		snprintf(s->down_reason, sizeof s->down_reason, "%s", reason);
		s->down_at = s->since;
	}
	bfd_timing_negotiate(s, true);
}

/* What an event is, besides a row of the table. */
struct cause {
	const char *reason;  /* for people, should the session go down */
	bool poll;	     /* the packet wants an answer */
	bool remote_changed; /* into AdminDown or out of it */
};

static void handle_event(struct bfd_session *s, enum bfd_event event, const struct cause *cause)
{
	enum bfd_state was = (enum bfd_state)s->state;
	const struct bfd_row *row = bfd_row(was, event);
	bool independent = s->remote_independent;

	if (row->actions & BFD_DO_FORGET)
		bfd_timing_forget(s);
	if (row->actions & BFD_DO_DIAG)
		s->diag = row->diag;
	s->state = row->next;
	if (s->state != was)
		enter(s, was, cause->reason);
	/* RFC 5880 6.8.7: news do not wait for the timer, and polls do not either. */
	if (cause->poll)
		bfd_session_send(s, true);
	else if (s->state != was && (s->remote_discr || !s->conf.passive))
		bfd_session_send(s, false);
	if (s->state != was)
		bfd_timing_restart(s);
	if (s->state != was || cause->remote_changed)
		report(s, was, independent);
}

void bfd_session_receive(struct bfd_session *s, const struct bfd_packet *p)
{
	bool was_admin_down = s->remote_state == BFD_ADMIN_DOWN;
	char reason[sizeof s->down_reason];
	struct cause cause = {.reason = reason};

	s->packets_in++;
	s->remote_discr = p->my_discr;
	s->remote_state = p->state;
	s->remote_diag = p->diag;
	s->remote_independent = p->independent;
	s->remote_demand = p->demand;
	s->remote_multiplier = p->multiplier;
	s->remote_min_tx = p->min_tx;
	s->remote_min_rx = p->min_rx;
	if (p->final)
		bfd_timing_final(s);
	bfd_timing_heard(s);
	cause.remote_changed = was_admin_down != (p->state == BFD_ADMIN_DOWN);
	/* RFC 5880 6.8.6: of what it hears in AdminDown the session makes nothing more. */
	cause.poll = p->poll && s->state != BFD_ADMIN_DOWN;
	snprintf(reason, sizeof reason, "the remote says %s (%s)", bfd_state_name((enum bfd_state)p->state),
		 bfd_diag_name(p->diag));
	handle_event(s, bfd_event_of((enum bfd_state)p->state), &cause);
}

void bfd_session_timeout(struct bfd_session *s)
{
	char reason[sizeof s->down_reason], silent[16], allowed[16];
	struct cause cause = {.reason = reason, .remote_changed = s->remote_state == BFD_ADMIN_DOWN};

	snprintf(reason, sizeof reason, "nothing heard for %s (detection time %s)",
		 mono_format(mono_now() - s->heard_at, silent), mono_format(bfd_timing_detection(s), allowed));
	handle_event(s, BFD_EV_TIMEOUT, &cause);
}

/* AdminDown is repeated for a Detection Time (RFC 5880 6.8.16): at the speed the session had, since that is what the
 * remote's detection time was made of. */
static void repeat(struct bfd_session *s)
{
	s->repeat_interval = s->tx_interval;
	s->repeats = s->state == BFD_UP || s->state == BFD_INIT ? s->conf.multiplier : 0;
}

void bfd_session_admin_down(struct bfd_session *s, bool down)
{
	static const struct cause cause = {.reason = "administratively down here"};

	if (down && s->state != BFD_ADMIN_DOWN)
		repeat(s);
	if (!down)
		s->repeats = 0;
	handle_event(s, down ? BFD_EV_DISABLE : BFD_EV_ENABLE, &cause);
}

/* Life */

const char *bfd_session_conf_check(const struct bfd_session_conf *c)
{
	const struct {
		bool bad;
		const char *text;
	} checks[] = {
	    {addr_is_none(&c->remote), "no remote address"},
	    {!addr_is_none(&c->local) && c->local.af != c->remote.af, "the addresses are of different families"},
	    {!memchr(c->ifname, '\0', sizeof c->ifname), "the interface's name is too long"},
	    {addr_is_link_local(&c->remote) && c->remote.af == AF_INET6 && !c->ifname[0],
	     "a link-local remote needs an interface"},
	    {c->multihop && c->ifname[0], "an interface is for a single hop only"},
	    {c->min_tx < BFD_MIN_INTERVAL || c->min_rx < BFD_MIN_INTERVAL, "an interval is less than 10 ms"},
	    {!c->multiplier, "the multiplier is zero"},
	};

	for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
		if (checks[i].bad)
			return checks[i].text;
	return NULL;
}

bool bfd_session_conf_is_same(const struct bfd_session_conf *a, const struct bfd_session_conf *b)
{
	return addr_equal(&a->remote, &b->remote) && addr_equal(&a->local, &b->local) &&
	       strcmp(a->ifname, b->ifname) == 0 && a->multihop == b->multihop;
}

/* One that was freed and is back: its farewells would confuse the remote. */
static void end_farewells(struct bfd_engine *e, const struct bfd_session_conf *conf)
{
	struct bfd_session *s, *next;

	LIST_FOREACH_SAFE(s, &e->leaving, entry, next)
	if (addr_equal(&s->conf.remote, &conf->remote) && s->conf.multihop == conf->multihop)
		bfd_session_left(s);
}

struct bfd_session *bfd_session_new(struct bfd_engine *e, const struct bfd_session_conf *conf, void *arg,
				    const char **why)
{
	struct bfd_session *s;

	*why = bfd_session_conf_check(conf);
	if (!*why && bfd_session_find(e, conf))
		*why = "there is such a session already";
	if (*why)
		return NULL;
	end_farewells(e, conf);
	s = mem_calloc(1, sizeof *s);
	s->engine = e;
	s->arg = arg;
	s->conf = *conf;
	s->fd = -1;
	s->state = BFD_DOWN;
	s->since = mono_now();
	s->discr = bfd_engine_new_discr(e);
	s->listener = bfd_listener_of(e, conf);
	bfd_listener_use(s->listener);
	bfd_engine_add(s);
	bfd_timing_start(s);
	bfd_timing_forget(s);
	bfd_session_keep_open(s);
	return s;
}

void bfd_session_left(struct bfd_session *s)
{
	LIST_REMOVE(s, entry);
	bfd_timing_stop(s);
	close_socket(s);
	if (s->port)
		bfd_engine_port_put(s->engine, s->port);
	s->port = 0;
	bfd_engine_bury(s);
}

void bfd_session_free(struct bfd_session *s, bool announce)
{
	struct bfd_engine *e = s->engine;

	if (s->state == BFD_UP)
		e->stats.up--;
	bfd_engine_remove(s);
	bfd_listener_unuse(s->listener);
	bfd_timing_stop(s);
	s->leaving = true;
	LIST_INSERT_HEAD(&e->leaving, s, entry);
	if (announce && s->remote_discr) {
		repeat(s);
		s->state = BFD_ADMIN_DOWN;
		s->diag = BFD_DIAG_ADMIN;
		bfd_timing_negotiate(s, true);
		s->polling = false;
		bfd_session_send(s, false);
	}
	if (announce && s->repeats)
		bfd_timing_restart(s);
	else
		bfd_session_left(s);
}

bool bfd_session_configure(struct bfd_session *s, const struct bfd_session_conf *conf)
{
	if (!bfd_session_conf_is_same(&s->conf, conf) || bfd_session_conf_check(conf))
		return false;
	s->conf = *conf;
	bfd_timing_negotiate(s, false);
	return true;
}

const struct bfd_session_conf *bfd_session_config(const struct bfd_session *s)
{
	return &s->conf;
}

void *bfd_session_arg(const struct bfd_session *s)
{
	return s->arg;
}

bool bfd_session_is_up(const struct bfd_session *s)
{
	return s->state == BFD_UP;
}

struct bfd_session_info bfd_session_info(const struct bfd_session *s)
{
	uint64_t detection = bfd_timing_detection(s);

	return (struct bfd_session_info){
	    .state = (enum bfd_state)s->state,
	    .remote_state = (enum bfd_state)s->remote_state,
	    .diag = s->diag,
	    .remote_diag = s->remote_diag,
	    .since = s->since,
	    .discr = s->discr,
	    .remote_discr = s->remote_discr,
	    .source_port = s->fd >= 0 ? s->port : 0,
	    .local = bfd_socket_local(s->fd),
	    .ifindex = s->ifindex,
	    .tx_interval = bfd_timing_may_send(s) ? bfd_timing_tx_interval(s) : 0,
	    .rx_interval = s->remote_multiplier ? (uint32_t)(detection / s->remote_multiplier / MONO_USEC) : 0,
	    .detection_time = detection / MONO_USEC,
	    .remote_min_tx = s->remote_min_tx,
	    .remote_min_rx = s->remote_discr ? s->remote_min_rx : 0,
	    .remote_multiplier = s->remote_multiplier,
	    .polling = s->polling,
	    .remote_independent = s->remote_independent,
	    .remote_demand = s->remote_demand,
	    .packets_in = s->packets_in,
	    .packets_out = s->packets_out,
	    .packets_discarded = s->packets_discarded,
	    .send_errors = s->send_errors,
	    .heard_at = s->heard_at,
	    .times_up = s->times_up,
	    .times_down = s->times_down,
	    .down_reason = s->down_reason,
	    .down_at = s->down_at,
	    .error = s->error,
	};
}
