#include "daemon/peers/moved.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"

static int by_want(const void *a, const void *b)
{
	return peer_want_cmp(&(*(struct peer *const *)a)->want, &(*(struct peer *const *)b)->want);
}

static bool is_same_node(const struct peer_want *a, const struct peer_want *b)
{
	return a->node && b->node && strcmp(a->node, b->node) == 0 && a->remote.af == b->remote.af;
}

static void follow(struct peer *p, const struct peer_want *w)
{
	char was[ADDR_STRLEN], is[ADDR_STRLEN];

	log_info("bgp", "%s: node %s has moved from %s to %s", p->want.name, w->node, addr_format(&p->want.remote, was),
		 addr_format(&w->remote, is));
	p->want.remote = w->remote;
	p->want.remote_port = w->remote_port;
	p->moving = true;
}

void moved_follow(struct peer **old, unsigned count, const struct peering *wanted)
{
	struct peer **gone = mem_calloc(count + 1, sizeof(struct peer *));
	const struct peer_want **come = mem_calloc(wanted->count + 1, sizeof(struct peer_want *));
	unsigned gone_count = 0, come_count = 0, moved = 0;

	for (unsigned i = 0, j = 0; i < count || j < wanted->count;) {
		int c = i == count ? 1 : j == wanted->count ? -1 : peer_want_cmp(&old[i]->want, &wanted->want[j]);
		if (c < 0 && !old[i]->range && old[i]->want.node)
			gone[gone_count++] = old[i];
		if (c > 0 && wanted->want[j].node)
			come[come_count++] = &wanted->want[j];
		i += c <= 0;
		j += c >= 0;
	}
	for (unsigned i = 0; i < gone_count; i++) {
		for (unsigned j = 0; j < come_count; j++) {
			if (!come[j] || !is_same_node(&gone[i]->want, come[j]))
				continue;
			follow(gone[i], come[j]);
			come[j] = NULL;
			moved++;
			break;
		}
	}
	if (moved)
		qsort(old, count, sizeof(struct peer *), by_want);
	free(gone);
	free(come);
}

bool moved_self(const struct peer *p, const struct peer_want *w, uint32_t old_router_id, uint32_t router_id)
{
	return old_router_id != router_id || !addr_equal(&p->want.local, &w->local);
}
