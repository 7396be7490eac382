#include "daemon/restart.h"

#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/instance.h"

/* While sessions keep coming up, peers that are still down are waited for; when none has for this long, they are
 * taken for dead. BIRD's and our own retry timers fit into it twice. A peer that is up and says nothing for as long
 * will not send the marker that it promised either. */
#define QUIET (10 * MONO_SEC)
/* What a peer has to tell at the start comes without a pause as long as this: for peers without an End-of-RIB marker to
 * wait for, silence stands for it. */
#define SETTLE (2 * MONO_SEC)
/* How soon to look again whether the RIB has decided what peers have told. */
#define DECIDE_PAUSE (10 * MONO_MSEC)

struct restart {
	struct daemon *d;
	void (*again)(void *arg);
	void *arg;
	bool datastore_synced;
	uint64_t last_up; /* mono: when a session last came up, or the datastore was in sync */
	uint64_t until;
	bool markers_released; /* our own End-of-RIB markers go out */
	const char *ended;     /* stale kernel routes go, too */
	struct loop_timer timer;
};

enum restart_step { RESTART_MARKERS, RESTART_KERNEL };

/* Who is still waited for, and when to look again at the latest though nothing happened (0: no such time). */
struct waiting {
	unsigned silent, down;
	uint64_t look_again;
};

/* When this peer has told everything it will tell: 0 now, UINT64_MAX when its markers come, else the time at which its
 * silence says so. */
static uint64_t peer_delivers(const struct peer *p, enum restart_step step, uint64_t now)
{
	const struct bgp_open *open = bgp_session_peer(p->session);
	uint8_t missing = bgp_session_codec(p->session)->families & (uint8_t)~p->eor;
	bool promised = open->gr && missing & open->gr_families;
	uint64_t silent;

	if (!missing)
		return 0;
	if (promised && open->gr_restarting && step == RESTART_KERNEL)
		return UINT64_MAX;
	silent = p->heard + (promised && !open->gr_restarting ? QUIET : SETTLE);
	return now < silent ? silent : 0;
}

static bool is_established(const struct peer *p)
{
	return bgp_session_state(p->session) == BGP_ESTABLISHED;
}

static struct waiting look_at_peers(const struct restart *r, const struct restart_peers *peers, enum restart_step step,
				    uint64_t now)
{
	struct waiting w = {.down = peers->ranges};

	for (unsigned i = 0; i < peers->count; i++) {
		const struct peer *p = peers->peers[i];
		uint64_t at;

		if (p->held == PEER_HELD_DOWN || (p->held == PEER_HELD_PASSIVE && !is_established(p)))
			continue;
		if (!is_established(p)) {
			w.down++;
			continue;
		}
		at = peer_delivers(p, step, now);
		w.silent += at != 0;
		if (at && at != UINT64_MAX && (!w.look_again || at < w.look_again))
			w.look_again = at;
	}
	if (w.down && !w.silent)
		w.look_again = r->last_up + QUIET;
	return w;
}

/* Why this step is done; NULL if it is not. */
static const char *step_done(const struct restart *r, const struct waiting *w, uint64_t now)
{
	if (!w->silent && !w->down)
		return "every peer is up and has sent its routes";
	if (!w->silent && now >= r->last_up + QUIET)
		return "the peers that are up have sent their routes";
	if (now >= r->until)
		return "the restart time is over";
	return NULL;
}

static void each_rib(const struct restart *r, void (*release)(struct rib *rib, enum family f))
{
	const struct instance *i;

	for (int f = 0; f < FAM_COUNT; f++) {
		release(r->d->rib, (enum family)f);
		LIST_FOREACH(i, &r->d->instances, link)
		release(i->rib, (enum family)f);
	}
}

static bool is_undecided(const struct daemon *d)
{
	unsigned dirty = rib_stats(d->rib).dirty;
	const struct instance *i;

	LIST_FOREACH(i, &d->instances, link)
	dirty += rib_stats(i->rib).dirty;
	return dirty;
}

static void release_markers(struct restart *r)
{
	r->markers_released = true;
	bgp_engine_set_restarting(r->d->engine, false);
	each_rib(r, rib_release);
}

static void restart_end(struct restart *r, const char *why)
{
	r->ended = why;
	loop_timer_stop(r->d->loop, &r->timer);
	for (int f = 0; f < FAM_COUNT; f++)
		fib_sync_done(r->d->fib, (enum family)f);
	instances_sync_done(r->d);
	/* Reading all objects and all routes at once took more than keeping them; so did the code for it. */
	mem_trim();
	mem_forget_code();
	log_info("bgp", "start complete after %llu ms: %s",
		 (unsigned long long)((mono_now() - r->d->started) / MONO_MSEC), why);
}

static void check_at(struct restart *r, uint64_t when, uint64_t now)
{
	if (!when || when > r->until)
		when = r->until;
	loop_timer_set(r->d->loop, &r->timer, (when > now ? when - now : 0) + MONO_MSEC, r->again, r->arg);
}

void restart_check(struct restart *r, const struct restart_peers *peers)
{
	uint64_t now = mono_now();
	struct waiting w;
	const char *done;

	if (r->ended || !r->datastore_synced)
		return;
	w = look_at_peers(r, peers, RESTART_MARKERS, now);
	if (!r->markers_released && step_done(r, &w, now))
		release_markers(r);
	if (r->markers_released)
		w = look_at_peers(r, peers, RESTART_KERNEL, now);
	done = r->markers_released ? step_done(r, &w, now) : NULL;
	if (!done)
		check_at(r, w.look_again, now);
	else if (is_undecided(r->d))
		/* What was received last is not decided yet: its kernel routes still look stale. */
		check_at(r, now + DECIDE_PAUSE, now);
	else
		restart_end(r, done);
}

void restart_datastore_synced(struct restart *r)
{
	r->datastore_synced = true;
	r->last_up = mono_now();
	r->until = r->last_up + r->d->config.restart_time * MONO_SEC;
	/* Routes may go out: ours are known, and a better path later is only an update. What must wait is End-of-RIB,
	 * which makes peers drop what has not been said again. */
	each_rib(r, rib_release_routes);
}

void restart_instance_came(const struct restart *r, struct instance *i)
{
	for (int f = 0; f < FAM_COUNT; f++) {
		if (r->datastore_synced)
			rib_release_routes(i->rib, (enum family)f);
		if (r->markers_released)
			rib_release(i->rib, (enum family)f);
		if (r->ended)
			fib_sync_done(i->fib, (enum family)f);
	}
}

bool restart_is_over(const struct restart *r)
{
	return r->ended;
}

struct restart_status restart_status(const struct restart *r, const struct restart_peers *peers)
{
	struct restart_status status = {.in_progress = !r->ended, .ended = r->ended};
	uint64_t now = mono_now();

	if (status.in_progress) {
		struct waiting w = look_at_peers(r, peers, r->markers_released ? RESTART_KERNEL : RESTART_MARKERS, now);
		uint64_t until = w.silent || !w.look_again ? r->until : w.look_again;
		status.waiting = w.silent + w.down;
		status.left = until > now ? until - now : 0;
	}
	return status;
}

void restart_session_up(struct restart *r)
{
	r->last_up = mono_now();
}

struct restart *restart_new(struct daemon *d, void (*again)(void *arg), void *arg)
{
	struct restart *r = mem_calloc(1, sizeof *r);

	r->d = d;
	r->again = again;
	r->arg = arg;
	bgp_engine_set_restarting(d->engine, true);
	return r;
}

void restart_free(struct restart *r)
{
	loop_timer_stop(r->d->loop, &r->timer);
	free(r);
}
