#include "daemon/base/loop.h"

#include <ev.h>
#include <stdlib.h>

#include "daemon/base/mem.h"
#include "daemon/base/mono.h"

/* One slice of queued work; several kinds of work run per turn, so a turn stays within a few of these. */
#define SLICE (1 * MONO_MSEC)

struct loop {
	struct ev_loop *ev;
	struct ev_prepare prepare;
	struct ev_check check;
	struct ev_idle idle; /* active only while work is left, so that the loop does not sleep */
	struct loop_work *work[LOOP_RANKS];
	struct loop_stats stats;
	uint64_t turn_began, turn_began_cpu;
};

_Static_assert(sizeof(struct ev_io) <= sizeof((struct loop_io *)0)->ev, "loop_io holds an ev_io");
_Static_assert(sizeof(struct ev_timer) <= sizeof((struct loop_timer *)0)->ev, "loop_timer holds an ev_timer");
_Static_assert(sizeof(struct ev_signal) <= sizeof((struct loop_signal *)0)->ev, "loop_signal holds an ev_signal");

static struct ev_io *io_ev(struct loop_io *w)
{
	return (struct ev_io *)(void *)w->ev;
}
static struct ev_timer *timer_ev(const struct loop_timer *t)
{
	return (struct ev_timer *)(uintptr_t)t->ev;
}
static struct ev_signal *signal_ev(struct loop_signal *s)
{
	return (struct ev_signal *)(void *)s->ev;
}

/* Runs what is queued at this moment once; what is scheduled meanwhile waits for the next turn. Popped one by one,
 * since work may cancel other work. */
static void run_rank(struct loop *l, int rank)
{
	unsigned n = 0;

	for (struct loop_work *w = l->work[rank]; w; w = w->next)
		n++;
	while (n-- && l->work[rank]) {
		struct loop_work *w = l->work[rank];
		l->work[rank] = w->next;
		w->queued = false;
		if (w->run(w->arg, mono_now() + SLICE))
			loop_work_schedule(l, w);
	}
}

static void note_turn(struct loop *l)
{
	uint64_t took = mono_now() - l->turn_began, us = took / MONO_USEC;
	unsigned b = 0;

	while (us && b < LOOP_BUCKETS - 1) {
		us >>= 1;
		b++;
	}
	l->stats.turns++;
	l->stats.bucket[b]++;
	if (took > l->stats.worst)
		l->stats.worst = took;
	/* It cannot be more than that: mostly there is nothing to ask the kernel for. */
	if (took > l->stats.worst_cpu) {
		uint64_t cpu = mono_thread_cpu() - l->turn_began_cpu;

		if (cpu > l->stats.worst_cpu)
			l->stats.worst_cpu = cpu;
	}
}

static void on_prepare(struct ev_loop *ev, struct ev_prepare *w, int events)
{
	struct loop *l = w->data;

	(void)events;
	for (int r = 0; r < LOOP_RANKS; r++)
		run_rank(l, r);
	if (loop_has_work(l))
		ev_idle_start(ev, &l->idle);
	else
		ev_idle_stop(ev, &l->idle);
	if (l->turn_began)
		note_turn(l);
}

static void on_check(struct ev_loop *ev, struct ev_check *w, int events)
{
	struct loop *l = w->data;

	(void)ev;
	(void)events;
	l->turn_began = mono_now();
	l->turn_began_cpu = mono_thread_cpu();
}

static void on_idle(struct ev_loop *ev, struct ev_idle *w, int events)
{
	(void)ev;
	(void)w;
	(void)events;
}

struct loop *loop_new(void)
{
	struct loop *l = mem_calloc(1, sizeof *l);

	l->ev = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	if (!l->ev)
		abort();
	ev_prepare_init(&l->prepare, on_prepare);
	ev_check_init(&l->check, on_check);
	ev_idle_init(&l->idle, on_idle);
	l->prepare.data = l->check.data = l;
	ev_set_priority(&l->check, EV_MAXPRI);
	ev_prepare_start(l->ev, &l->prepare);
	ev_check_start(l->ev, &l->check);
	return l;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	ev_loop_destroy(l->ev);
	free(l);
}

void loop_run(struct loop *l)
{
	ev_run(l->ev, 0);
}

void loop_turn(struct loop *l, bool wait)
{
	ev_run(l->ev, wait ? EVRUN_ONCE : EVRUN_NOWAIT);
}

void loop_stop(struct loop *l)
{
	ev_break(l->ev, EVBREAK_ALL);
}

static void io_cb(struct ev_loop *ev, struct ev_io *w, int events)
{
	struct loop_io *io = w->data;

	(void)ev;
	io->cb(io->arg, (events & EV_READ ? LOOP_READ : 0) | (events & EV_WRITE ? LOOP_WRITE : 0));
}

void loop_io_set(struct loop *l, struct loop_io *w, int fd, int events, void (*cb)(void *arg, int events), void *arg)
{
	struct ev_io *ev = io_ev(w);
	int want = (events & LOOP_READ ? EV_READ : 0) | (events & LOOP_WRITE ? EV_WRITE : 0);

	if (ev_is_active(ev)) {
		if (want == (ev->events & (EV_READ | EV_WRITE)) && ev->fd == fd && w->cb == cb && w->arg == arg)
			return;
		ev_io_stop(l->ev, ev);
	}
	if (!want)
		return;
	ev_io_init(ev, io_cb, fd, want);
	ev->data = w;
	w->cb = cb;
	w->arg = arg;
	ev_io_start(l->ev, ev);
}

void loop_io_stop(struct loop *l, struct loop_io *w)
{
	ev_io_stop(l->ev, io_ev(w));
}

static void timer_cb(struct ev_loop *ev, struct ev_timer *w, int events)
{
	struct loop_timer *t = w->data;

	(void)ev;
	(void)events;
	t->cb(t->arg);
}

void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t after, void (*cb)(void *arg), void *arg)
{
	struct ev_timer *ev = timer_ev(t);

	ev_timer_stop(l->ev, ev);
	/* libev counts from the start of the turn; a long turn must not make timers early. */
	ev_now_update(l->ev);
	ev_timer_init(ev, timer_cb, (double)after / (double)MONO_SEC, 0);
	ev->data = t;
	t->cb = cb;
	t->arg = arg;
	ev_timer_start(l->ev, ev);
}

void loop_timer_stop(struct loop *l, struct loop_timer *t)
{
	ev_timer_stop(l->ev, timer_ev(t));
}

bool loop_timer_is_set(const struct loop_timer *t)
{
	return ev_is_active(timer_ev(t));
}

uint64_t loop_timer_left(struct loop *l, const struct loop_timer *t)
{
	double left;

	if (!loop_timer_is_set(t))
		return 0;
	left = ev_timer_remaining(l->ev, timer_ev(t));
	return left > 0 ? (uint64_t)(left * (double)MONO_SEC) : 1;
}

static void signal_cb(struct ev_loop *ev, struct ev_signal *w, int events)
{
	struct loop_signal *s = w->data;

	(void)ev;
	(void)events;
	s->cb(s->arg, w->signum);
}

void loop_signal_set(struct loop *l, struct loop_signal *s, int signo, void (*cb)(void *arg, int signo), void *arg)
{
	struct ev_signal *ev = signal_ev(s);

	ev_signal_stop(l->ev, ev);
	ev_signal_init(ev, signal_cb, signo);
	ev->data = s;
	s->cb = cb;
	s->arg = arg;
	ev_signal_start(l->ev, ev);
}

void loop_signal_stop(struct loop *l, struct loop_signal *s)
{
	ev_signal_stop(l->ev, signal_ev(s));
}

void loop_work_schedule(struct loop *l, struct loop_work *w)
{
	struct loop_work **at = &l->work[w->rank];

	if (w->queued)
		return;
	w->queued = true;
	w->next = NULL;
	while (*at)
		at = &(*at)->next;
	*at = w;
}

bool loop_has_work(const struct loop *l)
{
	for (int r = 0; r < LOOP_RANKS; r++)
		if (l->work[r])
			return true;
	return false;
}

void loop_work_cancel(struct loop *l, struct loop_work *w)
{
	if (!w->queued)
		return;
	for (struct loop_work **at = &l->work[w->rank]; *at; at = &(*at)->next) {
		if (*at == w) {
			*at = w->next;
			break;
		}
	}
	w->queued = false;
}

const struct loop_stats *loop_stats(const struct loop *l)
{
	return &l->stats;
}
