#include "datastore/remote/sweep.h"

#include <bsd/sys/queue.h>
#include <stdlib.h>

#include "daemon/base/mem.h"
#include "daemon/base/mono.h"

#define AT_ONCE (2 * MONO_MSEC)
#define STRETCH 16u /* documents between looks at the clock */

/* Of one listing. */
struct doomed {
	STAILQ_ENTRY(doomed) link;
	uint32_t round;
	unsigned count, next;
	size_t cap;
	char **keys;
};

struct sweep {
	struct loop *loop;
	const struct sweep_ops *ops;
	void *arg;
	STAILQ_HEAD(, doomed) queue;
	struct loop_work work;
};

static void doomed_free(struct doomed *d)
{
	while (d->next < d->count)
		free(d->keys[d->next++]);
	free(d->keys);
	free(d);
}

/* True if some are left. */
static bool remove_some(struct sweep *s, uint64_t deadline)
{
	struct doomed *d;

	while ((d = STAILQ_FIRST(&s->queue))) {
		for (unsigned n = 0; d->next < d->count && n < STRETCH; n++) {
			char *key = d->keys[d->next++];
			s->ops->remove(s->arg, key, d->round);
			free(key);
		}
		if (d->next == d->count) {
			STAILQ_REMOVE_HEAD(&s->queue, link);
			doomed_free(d);
		}
		if (mono_now() >= deadline)
			break;
	}
	return !STAILQ_EMPTY(&s->queue);
}

static bool run(void *arg, uint64_t deadline)
{
	struct sweep *s = arg;
	bool left = remove_some(s, deadline);

	if (!left)
		s->ops->on_done(s->arg);
	return left;
}

void sweep_start(struct sweep *s, const char *prefix, uint32_t round)
{
	struct doomed *d = mem_calloc(1, sizeof *d);

	d->round = round;
	STAILQ_INSERT_TAIL(&s->queue, d, link);
	s->ops->find(s->arg, s, prefix, round);
	if (remove_some(s, mono_now() + AT_ONCE))
		loop_work_schedule(s->loop, &s->work);
}

void sweep_note(struct sweep *s, const char *key)
{
	struct doomed *d = STAILQ_LAST(&s->queue, doomed, link);

	if (d->count == d->cap) {
		d->cap = d->cap ? d->cap * 2 : 16;
		d->keys = mem_realloc(d->keys, d->cap * sizeof *d->keys);
	}
	d->keys[d->count++] = mem_strdup(key);
}

bool sweep_is_running(const struct sweep *s)
{
	return !STAILQ_EMPTY(&s->queue);
}

struct sweep *sweep_new(struct loop *l, const struct sweep_ops *ops, void *arg)
{
	struct sweep *s = mem_calloc(1, sizeof *s);

	s->loop = l;
	s->ops = ops;
	s->arg = arg;
	STAILQ_INIT(&s->queue);
	s->work = (struct loop_work){.run = run, .arg = s, .rank = LOOP_RANK_DATASTORE};
	return s;
}

void sweep_free(struct sweep *s)
{
	struct doomed *d;

	while ((d = STAILQ_FIRST(&s->queue))) {
		STAILQ_REMOVE_HEAD(&s->queue, link);
		doomed_free(d);
	}
	loop_work_cancel(s->loop, &s->work);
	free(s);
}
