/* The event loop: descriptors, timers, signals, and work that is done in slices. The only includer of <ev.h> is loop.c;
 * everything runs on one thread.
 *
 * Watchers are embedded in their owner's structs, are inert when zeroed, and must be stopped before their memory goes.
 * A callback may stop or free any watcher, its own included. */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;

/* The caller owns it. */
struct loop *loop_new(void);
/* Every watcher must have been stopped. */
void loop_free(struct loop *l);
/* Runs until loop_stop(). */
void loop_run(struct loop *l);
/* One turn: waits at most until the next event, or not at all. For tests and for draining at exit. */
void loop_turn(struct loop *l, bool wait);
/* loop_run() returns when this turn is over. */
void loop_stop(struct loop *l);

#define LOOP_READ 1
#define LOOP_WRITE 2

/* A descriptor. events is a set of LOOP_READ and LOOP_WRITE, both in what is asked and in what is reported. */
struct loop_io {
	_Alignas(8) unsigned char ev[48];
	void (*cb)(void *arg, int events);
	void *arg;
};
/* Starts, or changes what is watched (events 0 stops). The descriptor stays the caller's. */
void loop_io_set(struct loop *l, struct loop_io *w, int fd, int events, void (*cb)(void *arg, int events), void *arg);
void loop_io_stop(struct loop *l, struct loop_io *w);

/* A one-shot timer. */
struct loop_timer {
	_Alignas(8) unsigned char ev[48];
	void (*cb)(void *arg);
	void *arg;
};
/* (Re)starts it to fire once after `after` nanoseconds. */
void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t after, void (*cb)(void *arg), void *arg);
void loop_timer_stop(struct loop *l, struct loop_timer *t);
bool loop_timer_is_set(const struct loop_timer *t);
/* Nanoseconds until it fires; 0 if it is not set. */
uint64_t loop_timer_left(struct loop *l, const struct loop_timer *t);

/* A signal, taken in the loop and not where it arrives. */
struct loop_signal {
	_Alignas(8) unsigned char ev[48];
	void (*cb)(void *arg, int signo);
	void *arg;
};
/* Starts: signo is this loop's from now on. */
void loop_signal_set(struct loop *l, struct loop_signal *s, int signo, void (*cb)(void *arg, int signo), void *arg);
/* The signal's default action is back. */
void loop_signal_stop(struct loop *l, struct loop_signal *s);

/* Queued work. When scheduled it runs at the end of the current turn, in the order of `rank` (lower first), and gets
 * a deadline; it returns true if work is left, and is then run again at the end of the next turn, which does not sleep.
 * So keepalives and other events are served between the slices however long the queue is. */
enum loop_rank {
	LOOP_RANK_HURRY, /* has its time */
	LOOP_RANK_RECEIVE,
	LOOP_RANK_DATASTORE,
	LOOP_RANK_CLUSTER,
	LOOP_RANK_DECIDE,
	LOOP_RANK_FIB,
	LOOP_RANK_SEND,
	LOOP_RANKS
};

struct loop_work {
	bool (*run)(void *arg, uint64_t deadline);
	void *arg;
	struct loop_work *next;
	bool queued;
	uint8_t rank;
};
/* Set run, arg and rank once before the first schedule. Scheduling what is scheduled changes nothing. */
void loop_work_schedule(struct loop *l, struct loop_work *w);
void loop_work_cancel(struct loop *l, struct loop_work *w);
/* Is work queued for the end of this turn or the next? */
bool loop_has_work(const struct loop *l);

/* How long turns took (the time between two waits): power-of-two buckets of microseconds, [0] < 1 us, and the worst;
 * also by the processor's time, which leaves out what others kept the processor for. */
#define LOOP_BUCKETS 32
struct loop_stats {
	uint64_t turns;
	uint64_t worst, worst_cpu; /* nanoseconds */
	uint64_t bucket[LOOP_BUCKETS];
};
/* Since the loop was made; valid as long as it is. */
const struct loop_stats *loop_stats(const struct loop *l);

#endif
