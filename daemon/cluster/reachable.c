#include "daemon/cluster/reachable.h"

#include <stdlib.h>

#include "daemon/base/mem.h"

static bool is_among(const struct addr *list, unsigned count, const struct addr *a)
{
	for (unsigned i = 0; i < count; i++)
		if (addr_equal(&list[i], a))
			return true;
	return false;
}

void reachable_apply(struct reachable *r, struct fib *f, const struct peering *p)
{
	struct reachable now = {0};

	for (unsigned i = 0; i < p->count; i++)
		now.count += !addr_is_none(&p->want[i].reachable_by);
	now.to = now.count ? mem_calloc(now.count, sizeof *now.to) : NULL;
	now.count = 0;
	for (unsigned i = 0; i < p->count; i++) {
		const struct peer_want *w = &p->want[i];

		/* Sessions with several ports of one address: the first counts. */
		if (addr_is_none(&w->reachable_by) || is_among(now.to, now.count, &w->remote))
			continue;
		now.to[now.count++] = w->remote;
		fib_reach_set(f, &w->remote, &w->reachable_by);
	}
	for (unsigned i = 0; i < r->count; i++)
		if (!is_among(now.to, now.count, &r->to[i]))
			fib_reach_unset(f, &r->to[i]);
	free(r->to);
	*r = now;
}

void reachable_free(struct reachable *r)
{
	free(r->to);
	*r = (struct reachable){0};
}
