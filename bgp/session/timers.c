/* A connection's deadlines: hold, keepalive and send hold timer. */
#include <stdio.h>

#include "bgp/session/fsm.h"
#include "bgp/session/internal.h"
#include "bgp/session/socket.h"
#include "daemon/base/mono.h"

static void conn_timer(void *arg);

/* The timer. It is set for the nearest of three deadlines and not touched when one of them moves away, as each message
 * does: when it fires it compares with the clock, and is set again. */

#define SEND_HOLD_MIN (480 * MONO_SEC)
/* How often, at most, within the send hold time it is asked what the peer has acknowledged. */
#define PROGRESS_LOOKS 8
/* Moments at which a connection's next KEEPALIVE may go out, of those that its jitter leaves. */
#define KEEPALIVE_MOMENTS 4
#define KEEPALIVE_LONG (2 * MONO_SEC)

static uint64_t send_hold(const struct conn *c)
{
	if (c->session->conf.send_hold)
		return c->session->conf.send_hold * MONO_SEC;
	return 2 * c->hold > SEND_HOLD_MIN ? 2 * c->hold : SEND_HOLD_MIN;
}

/* RFC 9687 asks for progress: the peer's TCP acknowledged something, or has nothing to acknowledge. */
static void note_progress(struct conn *c, uint64_t now)
{
	uint64_t acked = c->written - socket_unacked(c->fd);

	if (acked != c->acked || (acked == c->written && !conn_queued(c))) {
		c->acked = acked;
		c->progress = now;
	}
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void conn_timer_arm(struct conn *c)
{
	uint64_t now = mono_now(), at = UINT64_MAX;

	if (!conn_is_open(c))
		return;
	if (c->hold)
		at = sooner(at, c->heard + c->hold);
	if (c->keepalive)
		at = sooner(at, c->sent + c->keepalive_gap);
	if (c->fsm->state >= BGP_OPENSENT)
		at = sooner(at, c->progress + send_hold(c));
	if (at != UINT64_MAX)
		loop_timer_set(c->session->engine->loop, &c->timer, at > now ? at - now : 0, conn_timer, c);
}

/* RFC 4271 4.4: not more often than once per second. 10: jitter, so that there are no peaks. Many sessions' timers
 * start together when they are established or told something together: then each has its KEEPALIVE at one of a few
 * moments of the interval's last quarter. It keeps that moment as long as nothing else is sent, since jitter anew would
 * only make the KEEPALIVEs a seventh more. The moments are common ones: waking up, and waking those up who receive,
 * costs more than sending does. */
static void keepalive_after(struct conn *c, uint64_t sent, uint64_t gap)
{
	if (gap > KEEPALIVE_LONG) {
		gap += (c->keepalive - gap) / KEEPALIVE_MOMENTS;
		gap -= (sent + gap) % (c->keepalive / 4 / KEEPALIVE_MOMENTS);
	}
	c->sent = sent;
	c->keepalive_gap = gap > MONO_SEC ? gap : MONO_SEC;
}

void conn_keepalive_sent(struct conn *c)
{
	uint64_t now = mono_now();
	bool ran_out = c->keepalive_gap && now >= c->sent + c->keepalive_gap;

	keepalive_after(c, now, ran_out ? c->keepalive : session_jitter(c->keepalive));
}

void conn_keepalive_set(struct conn *c)
{
	uint64_t third = c->hold_time * MONO_SEC / 3, want = c->session->conf.keepalive_time * MONO_SEC;

	c->keepalive = want && want < third ? want : third;
	/* A change of the interval is nothing that the peer hears: the last KEEPALIVE is as old as it was. */
	keepalive_after(c, c->sent ? c->sent : mono_now(), session_jitter(c->keepalive));
}

/* What an idle peer sends is a KEEPALIVE now and then, which changes nothing but how long it may be silent. Nobody has
 * to wake up for that: a socket that dozes becomes readable by one octet more than a KEEPALIVE has, which all other
 * messages are, and at the end of the connection. What lies there is read when our own KEEPALIVE is due, and before a
 * hold timer expires. Of a message of which a part has been read the rest may be shorter.
 *
 * When a KEEPALIVE came that woke nobody is not asked each time. It is known to be after all that was read before, and
 * the kernel knows it as long as nothing else comes: that is early enough when the hold timer expires. */

static void doze(struct conn *c)
{
	if (c->fsm->state == BGP_ESTABLISHED && !c->tail && !c->dozing && socket_readable_at(c->fd, BGP_HEADER_LEN + 1))
		c->dozing = c->heard;
	/* Not here: a timer has no slice, and there may be more than a KEEPALIVE. */
	if (c->dozing)
		engine_mark_ready(c);
}

void conn_wake(struct conn *c)
{
	if (!c->dozing || !socket_readable_at(c->fd, 1))
		return;
	/* A part of a message is no sign of life, and the kernel cannot tell any longer: better late than early. */
	c->heard = later(c->heard, c->dozing);
	c->dozing = 0;
}

void conn_slept(struct conn *c, uint64_t heard)
{
	uint64_t read_at = c->heard;

	if (!c->dozing || read_at == heard)
		return;
	c->heard = later(heard, c->dozing);
	c->dozing = read_at;
}

uint64_t conn_heard(const struct conn *c, uint64_t now)
{
	uint64_t quiet = c->dozing ? socket_quiet(c->fd) : UINT64_MAX;

	return quiet < now - c->heard ? now - quiet : c->heard;
}

static void hold_expired(struct conn *c)
{
	char text[80];

	snprintf(text, sizeof text, "hold timer expired after %u s", (unsigned)(c->hold / MONO_SEC));
	fsm_event(c->session, c->fsm, EV_HOLD_TIMER, &(struct cause){.code = BGP_ERR_HOLD_TIMER, .text = text});
}

/* The hold timer ran out, but perhaps it is we who were busy, or nobody was woken, and a message waits in the socket.
 * True if the connection is closed now. */
static bool is_silent(struct conn *c, uint64_t now)
{
	uint64_t heard = conn_heard(c, now);

	conn_read(c);
	if (!conn_is_open(c))
		return true;
	if (c->dozing)
		c->heard = c->dozing = heard;
	if (now < c->heard + c->hold)
		return false;
	hold_expired(c);
	return true;
}

static void send_hold_expired(struct conn *c)
{
	char text[96];

	snprintf(text, sizeof text, "send hold timer expired: the peer has taken nothing for %u s",
		 (unsigned)(send_hold(c) / MONO_SEC));
	fsm_event(c->session, c->fsm, EV_SEND_HOLD_TIMER, &(struct cause){.code = BGP_ERR_SEND_HOLD, .text = text});
}

static void conn_timer(void *arg)
{
	struct conn *c = arg;
	uint64_t now = mono_now();

	if (c->hold && now >= c->heard + c->hold && is_silent(c, now))
		return;
	if (now >= c->progress + send_hold(c)) {
		note_progress(c, now);
		if (now >= c->progress + send_hold(c)) {
			send_hold_expired(c);
			return;
		}
	}
	/* With UPDATEs waiting for a full socket a KEEPALIVE would only wait behind them. */
	if (c->keepalive && now >= c->sent + c->keepalive_gap) {
		doze(c);
		if (now >= c->progress + send_hold(c) / PROGRESS_LOOKS)
			note_progress(c, now);
		if (c->blocked)
			conn_keepalive_sent(c);
		else
			fsm_event(c->session, c->fsm, EV_KEEPALIVE_TIMER, NULL);
	}
	conn_timer_arm(c);
}
