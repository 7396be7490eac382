#include "daemon/peers/moved.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"

static bool is_same_node(const struct peer_want *a, const struct peer_want *b)
{
	return a->node && b->node && strcmp(a->node, b->node) == 0 && a->remote.af == b->remote.af;
}

static void follow(struct peer *p, const struct peer_want *w)
{
	char was[ADDR_STRLEN], is[ADDR_STRLEN];

	log_info("bgp", "%s: node %s has moved from %s to %s", p->want.name, w->node, addr_format(&p->want.remote, was),
		 addr_format(&w->remote, is));
	speaker_move(p, w);
	p->moving = true;
}

void moved_follow(struct speaker *s, const struct peering_diff *d)
{
	struct peer **gone = mem_calloc(d->count, sizeof(struct peer *));
	const struct peer_want **come = mem_calloc(d->count, sizeof(struct peer_want *));
	unsigned gone_count = 0, come_count = 0;

	for (unsigned i = 0; i < d->count; i++) {
		const struct peer_want *w = &d->change[i].want;
		struct peer *p = speaker_peer_of(s, w);

		if (!d->change[i].wanted && p && !p->range && p->want.node)
			gone[gone_count++] = p;
		if (d->change[i].wanted && !p && w->node)
			come[come_count++] = w;
	}
	for (unsigned i = 0; i < gone_count; i++) {
		for (unsigned j = 0; j < come_count; j++) {
			if (!come[j] || !is_same_node(&gone[i]->want, come[j]))
				continue;
			follow(gone[i], come[j]);
			come[j] = NULL;
			break;
		}
	}
	free(gone);
	free(come);
}

bool moved_self(const struct peer *p, const struct peer_want *w, uint32_t old_router_id, uint32_t router_id)
{
	return old_router_id != router_id || !addr_equal(&p->want.local, &w->local);
}
