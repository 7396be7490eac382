/* Intervals, polls, and the two timers of a session: RFC 5880 6.8.2 to 6.8.4 and 6.8.7.
 *
 * The timer that sends keeps to its schedule: being late once does not make the next packet later. The timer that
 * detects is not set anew for each packet: when it fires, it looks when the last one came. Nobody is declared down
 * before everything that had arrived by then was read: that we were busy is no failure of the remote. */
#include "bgp/bfd/internal.h"

/* RFC 5880 6.8.3: the least while the session is not up. */
#define SLOW 1000000u
/* Between two looks at a socket that cannot be read to its end. */
#define DRAIN_AGAIN MONO_MSEC

static uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* Sending */

uint32_t bfd_timing_tx_interval(const struct bfd_session *s)
{
	return s->repeats ? s->repeat_interval : max_u32(s->used_tx, s->remote_min_rx);
}

bool bfd_timing_may_send(const struct bfd_session *s)
{
	if (s->conf.passive && !s->remote_discr)
		return false;
	if (s->repeats)
		return true;
	if (!s->remote_min_rx)
		return false;
	return !s->remote_demand || s->polling || s->state != BFD_UP || s->remote_state != BFD_UP;
}

/* RFC 5880 6.8.7: 75 to 100 % of the interval, or to 90 % with a multiplier of 1. */
static uint64_t jittered(const struct bfd_session *s, uint32_t interval)
{
	uint64_t ns = interval * MONO_USEC;
	uint32_t span = s->conf.multiplier == 1 ? 150 : 250;

	return ns * (1000 - 250 + bfd_engine_random(s->engine, span + 1)) / 1000;
}

static void on_tx(void *arg);

static void set_tx(struct bfd_session *s, uint64_t due, uint64_t now)
{
	s->tx_due = due;
	loop_timer_set(s->engine->loop, &s->tx, due > now ? due - now : 0, on_tx, s);
}

/* The one after the packet that was due at tx_due. Never so soon that the remote could be asked for more than it
 * allows. */
static void schedule(struct bfd_session *s, uint64_t now)
{
	uint32_t interval = bfd_timing_tx_interval(s);
	uint64_t due = s->tx_due + jittered(s, interval), least = now + interval * MONO_USEC * 3 / 4;

	s->tx_interval = interval;
	set_tx(s, due > least ? due : least, now);
}

static void note_lateness(struct bfd_session *s, uint64_t now)
{
	struct bfd_stats *st = &s->engine->stats;

	if (now > s->tx_due && now - s->tx_due > st->late_worst)
		st->late_worst = now - s->tx_due;
}

static void on_tx(void *arg)
{
	struct bfd_session *s = arg;
	uint64_t now = mono_now();

	if (bfd_timing_may_send(s)) {
		note_lateness(s, now);
		bfd_session_send(s, false);
	} else {
		/* It still has to hear. */
		bfd_session_keep_open(s);
	}
	if (s->repeats)
		s->repeats--;
	if (s->leaving && !s->repeats)
		bfd_session_left(s);
	else
		schedule(s, now);
}

void bfd_timing_start(struct bfd_session *s)
{
	uint64_t now = mono_now();

	s->min_tx = s->used_tx = max_u32(s->conf.min_tx, SLOW);
	s->min_rx = s->used_rx = s->conf.min_rx;
	s->tx_interval = bfd_timing_tx_interval(s);
	set_tx(s, now + bfd_engine_random(s->engine, SLOW / 4) * MONO_USEC, now);
}

void bfd_timing_stop(struct bfd_session *s)
{
	loop_timer_stop(s->engine->loop, &s->tx);
	loop_timer_stop(s->engine->loop, &s->detect);
}

void bfd_timing_restart(struct bfd_session *s)
{
	s->tx_due = mono_now();
	schedule(s, s->tx_due);
}

/* The interval may have changed: what is scheduled follows it at once, in both directions. */
static void follow_tx(struct bfd_session *s)
{
	uint64_t now = mono_now(), due;

	if (s->leaving || bfd_timing_tx_interval(s) == s->tx_interval)
		return;
	s->tx_interval = bfd_timing_tx_interval(s);
	due = s->sent_at + jittered(s, s->tx_interval);
	set_tx(s, due > now ? due : now, now);
}

/* Detecting */

uint64_t bfd_timing_detection(const struct bfd_session *s)
{
	return (uint64_t)s->remote_multiplier * max_u32(s->used_rx, s->remote_min_tx) * MONO_USEC;
}

static void on_detect(void *arg);

static void set_detect(struct bfd_session *s, uint64_t due, uint64_t now)
{
	s->detect_due = due;
	loop_timer_set(s->engine->loop, &s->detect, due > now ? due - now : 0, on_detect, s);
}

/* What has arrived is read before anybody is declared down; what others send meanwhile must not put that off for
 * longer than once the detection time. */
static bool has_unread(struct bfd_session *s, uint64_t due, uint64_t now)
{
	struct bfd_listener *l = s->listener;

	return l->fd >= 0 && l->drained_at < due && !bfd_listener_drain(l) && now < due + bfd_timing_detection(s);
}

static void on_detect(void *arg)
{
	struct bfd_session *s = arg;
	uint64_t now = mono_now(), due = s->heard_at + bfd_timing_detection(s);
	bool unread;

	if (due > now) {
		set_detect(s, due, now);
		return;
	}
	unread = has_unread(s, due, now);
	/* Callbacks ran: it may be gone, or have been told other things. */
	if (s->dead || s->leaving || !s->remote_multiplier)
		return;
	now = mono_now();
	due = s->heard_at + bfd_timing_detection(s);
	if (due > now) {
		s->engine->stats.spared++;
		set_detect(s, due, now);
	} else if (unread) {
		set_detect(s, now + DRAIN_AGAIN, now);
	} else {
		bfd_session_timeout(s);
	}
}

/* Only a shorter detection time needs the timer set anew. */
static void follow_detect(struct bfd_session *s)
{
	uint64_t due = s->heard_at + bfd_timing_detection(s);

	if (s->leaving || !s->remote_multiplier)
		return;
	if (!loop_timer_is_set(&s->detect) || due < s->detect_due)
		set_detect(s, due, mono_now());
}

void bfd_timing_heard(struct bfd_session *s)
{
	s->heard_at = mono_now();
	follow_tx(s);
	follow_detect(s);
}

void bfd_timing_forget(struct bfd_session *s)
{
	s->remote_discr = 0;
	s->remote_state = BFD_DOWN;
	s->remote_diag = BFD_DIAG_NONE;
	s->remote_min_tx = 0;
	s->remote_min_rx = 1; /* RFC 5880 6.8.1 */
	s->remote_multiplier = 0;
	s->remote_independent = s->remote_demand = false;
	s->polling = false;
	s->used_tx = s->min_tx;
	s->used_rx = s->min_rx;
	loop_timer_stop(s->engine->loop, &s->detect);
	follow_tx(s);
}

/* Negotiating */

/* RFC 5880 6.8.3: while the session is up, a longer interval to send at and a shorter one to hear at wait until the
 * remote has confirmed that it knows. */
void bfd_timing_negotiate(struct bfd_session *s, bool anew)
{
	bool up = s->state == BFD_UP;
	uint32_t tx = up ? s->conf.min_tx : max_u32(s->conf.min_tx, SLOW), rx = s->conf.min_rx;

	if (s->polling && !anew)
		return;
	if (tx != s->min_tx || rx != s->min_rx)
		s->polling = s->remote_discr != 0;
	s->min_tx = tx;
	s->min_rx = rx;
	if (!s->polling || !up || tx < s->used_tx)
		s->used_tx = tx;
	if (!s->polling || !up || rx > s->used_rx)
		s->used_rx = rx;
	follow_tx(s);
	follow_detect(s);
}

void bfd_timing_final(struct bfd_session *s)
{
	if (!s->polling)
		return;
	s->polling = false;
	s->used_tx = s->min_tx;
	s->used_rx = s->min_rx;
	/* What was configured meanwhile gets a sequence of its own. */
	bfd_timing_negotiate(s, false);
}
