#include "fib/backoff.h"

#include <bsd/stdlib.h>
#include <stdlib.h>

#include "daemon/base/mem.h"
#include "daemon/base/mono.h"

#define FIRST (100 * MONO_MSEC)
#define LAST (30 * MONO_SEC)

static void put_at(struct backoffs *s, uint32_t i, struct backoff *b)
{
	s->heap[i] = b;
	b->at = i + 1;
}

/* Moves b from place i to where it belongs. */
static void sift(struct backoffs *s, uint32_t i, struct backoff *b)
{
	while (i > 0 && s->heap[(i - 1) / 2]->due > b->due) {
		put_at(s, i, s->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	for (uint32_t child; (child = 2 * i + 1) < s->count; i = child) {
		if (child + 1 < s->count && s->heap[child + 1]->due < s->heap[child]->due)
			child++;
		if (s->heap[child]->due >= b->due)
			break;
		put_at(s, i, s->heap[child]);
	}
	put_at(s, i, b);
}

static void on_timer(void *arg);

static void arm(struct backoffs *s)
{
	uint64_t now = mono_now();

	if (!s->count)
		loop_timer_stop(s->loop, &s->timer);
	else
		loop_timer_set(s->loop, &s->timer, s->heap[0]->due > now ? s->heap[0]->due - now : 0, on_timer, s);
}

static void on_timer(void *arg)
{
	struct backoffs *s = arg;
	uint64_t now = mono_now();

	while (s->count && s->heap[0]->due <= now) {
		struct backoff *b = s->heap[0];
		backoff_cancel(s, b);
		s->on_due(s->arg, b->owner);
	}
	arm(s);
}

void backoffs_init(struct backoffs *s, struct loop *loop, void (*on_due)(void *arg, void *owner), void *arg)
{
	*s = (struct backoffs){.loop = loop, .on_due = on_due, .arg = arg};
}

void backoffs_free(struct backoffs *s)
{
	loop_timer_stop(s->loop, &s->timer);
	free(s->heap);
	s->heap = NULL;
	s->count = s->cap = 0;
}

void backoff_wait(struct backoffs *s, struct backoff *b)
{
	uint64_t delay = FIRST << b->step;

	backoff_cancel(s, b);
	if (delay >= LAST)
		delay = LAST;
	else
		b->step++;
	delay = delay * 3 / 4 + delay / 2 * arc4random_uniform(1024) / 1024;
	b->due = mono_now() + delay;
	if (s->count == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 16;
		s->heap = mem_realloc(s->heap, s->cap * sizeof *s->heap);
	}
	s->count++;
	sift(s, s->count - 1, b);
	if (s->heap[0] == b)
		arm(s);
}

void backoff_cancel(struct backoffs *s, struct backoff *b)
{
	uint32_t i = b->at;
	struct backoff *last;

	if (!i)
		return;
	b->at = 0;
	last = s->heap[--s->count];
	if (last != b)
		sift(s, i - 1, last);
}
