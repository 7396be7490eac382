/* Life of a RIB, the queue of dirty nodes, and the work items that drain everything in slices. */
#include "rib/rib.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "rib/adjout.h"
#include "rib/core.h"
#include "rib/decide.h"
#include "rib/encode.h"
#include "rib/group.h"
#include "rib/policy_ops.h"
#include "rib/want.h"

/* How many nodes are decided between two looks at the clock. */
#define CLOCK_EVERY 64u

/* ---- The queue of dirty nodes ---- */

static void fifo_grow(struct fifo *q)
{
	uint32_t size = q->ids ? (q->mask + 1) * 2 : 64;
	uint32_t *ids = mem_alloc(size * sizeof *ids);

	for (uint64_t i = q->head; i < q->tail; i++)
		ids[i & (size - 1)] = q->ids[i & q->mask];
	free(q->ids);
	q->ids = ids;
	q->mask = size - 1;
}

static void fifo_push(struct fifo *q, uint32_t id)
{
	if (!q->ids || q->tail - q->head > q->mask)
		fifo_grow(q);
	q->ids[q->tail++ & q->mask] = id;
}

static uint32_t fifo_pop(struct fifo *q)
{
	uint32_t id = q->ids[q->head++ & q->mask];

	/* A flood's memory goes back when it is over. */
	if (q->head == q->tail && q->mask > 4096) {
		free(q->ids);
		q->ids = NULL;
	}
	return id;
}

void node_mark_dirty(struct rib *r, enum family f, uint32_t id)
{
	struct node *n = table_node(&r->table[f], id);

	if (n->flags & NODE_DIRTY)
		return;
	n->flags |= NODE_DIRTY;
	fifo_push(&r->dirty[f], id);
	rib_schedule(r);
}

void node_release(struct rib *r, enum family f, uint32_t id)
{
	const struct node *n = table_node(&r->table[f], id);

	if (n->routes == ID_NONE && n->held == 0 && !(n->flags & NODE_DIRTY))
		table_remove(&r->table[f], id);
}

/* ---- Work ---- */

static bool decide_some(struct rib *r, uint64_t deadline)
{
	unsigned n = 0;

	for (int f = 0; f < FAM_COUNT; f++) {
		struct fifo *q = &r->dirty[f];

		while (q->head < q->tail) {
			decide_node(r, (enum family)f, fifo_pop(q));
			if (++n % CLOCK_EVERY == 0 && mono_now() >= deadline)
				return true;
		}
	}
	return false;
}

/* on_ready for everybody who pulled everything and now has more. By index: the callback may pull, free, configure. */
static void notify(struct rib *r)
{
	if (!r->notify)
		return;
	r->notify = false;
	for (unsigned i = 1; i < r->n_peers; i++) {
		struct rib_peer *p = r->peers[i];

		if (!p || !p->idle || !peer_has_more(p))
			continue;
		p->idle = false;
		if (r->sink.on_ready)
			r->sink.on_ready(r->arg, p);
	}
}

static bool run(void *arg, uint64_t deadline)
{
	struct rib *r = arg;
	bool more = decide_some(r, deadline);

	peers_reap(r);
	notify(r);
	return more || r->notify;
}

static bool reap(void *arg, uint64_t deadline)
{
	struct rib *r = arg;

	groups_trim(r);
	return streams_reap(r, deadline);
}

/* ---- Life ---- */

static void on_nexthop(void *arg, struct nexthop *nh, bool used)
{
	struct rib *r = arg;

	if (r->sink.on_nexthop)
		r->sink.on_nexthop(r->arg, &nh->addr.addr, used);
}

static void work_init(struct loop_work *w, bool (*fn)(void *arg, uint64_t deadline), void *arg, uint8_t rank)
{
	w->run = fn;
	w->arg = arg;
	w->rank = rank;
}

struct rib *rib_new(struct loop *loop, const struct rib_conf *conf, const struct rib_sink *sink, void *arg)
{
	struct rib *r = mem_calloc(1, sizeof *r);
	struct rib_peer_conf local = {.name = "local"};

	r->loop = loop;
	r->conf = *conf;
	r->sink = *sink;
	r->arg = arg;
	r->attrs = attrs_table_new();
	attrs_table_on_nexthop(r->attrs, on_nexthop, r);
	for (int f = 0; f < FAM_COUNT; f++)
		table_init(&r->table[f], (enum family)f);
	pool_init(&r->routes, sizeof(struct route));
	TAILQ_INIT(&r->scans);
	LIST_INIT(&r->groups);
	LIST_INIT(&r->dying);
	work_init(&r->scan_work, peer_scan_run, r, LOOP_RANK_DECIDE);
	work_init(&r->run_work, run, r, LOOP_RANK_DECIDE);
	work_init(&r->reap_work, reap, r, LOOP_RANK_SEND);
	r->decision = mem_calloc(1, sizeof *r->decision);
	r->wants = wants_new();
	r->encoder = encoder_new(r);
	peer_make(r, &local, NULL);
	return r;
}

void rib_free(struct rib *r)
{
	if (!r)
		return;
	for (unsigned i = 0; i < r->n_peers; i++)
		if (r->peers[i])
			peer_destroy(r->peers[i]);
	while (streams_reap(r, UINT64_MAX))
		;
	loop_work_cancel(r->loop, &r->scan_work);
	loop_work_cancel(r->loop, &r->run_work);
	loop_work_cancel(r->loop, &r->reap_work);
	encoder_free(r->encoder);
	decision_clear(r->decision);
	free(r->decision);
	wants_free(r->wants);
	originals_clear(r);
	crowds_clear(r);
	for (int f = 0; f < FAM_COUNT; f++) {
		table_clear(&r->table[f]);
		free(r->dirty[f].ids);
		pageset_free(&r->next_hop_todo[f]);
	}
	pool_clear(&r->routes);
	/* Routes and streams are gone without dropping their references one by one: the table goes as a whole. */
	r->sink.on_nexthop = NULL;
	attrs_table_free(r->attrs);
	htab_clear(&r->by_address);
	arena_free(&r->arena);
	free(r->peers);
	free(r->own);
	free(r);
}

void rib_release(struct rib *r, enum family f)
{
	if (r->complete[f])
		return;
	r->complete[f] = true;
	r->complete_mark[f] = dirty_mark(r, f);
	r->notify = true;
	rib_release_routes(r, f);
	rib_schedule(r);
}

void rib_release_routes(struct rib *r, enum family f)
{
	if (r->released[f])
		return;
	r->released[f] = true;
	/* What is set before this call is decided before anything is sent. */
	for (unsigned i = 1; i < r->n_peers; i++)
		if (r->peers[i])
			cursor_wait(r->peers[i], f);
	r->notify = true;
	rib_schedule(r);
}

void rib_reselect(struct rib *r, const struct prefix *within)
{
	enum family f = family_of_af(within->addr.af);

	for (uint32_t id = 0; id < r->table[f].nodes.bound; id++) {
		struct node *n = table_node(&r->table[f], id);
		struct prefix p;

		if (!(n->flags & NODE_USED) || n->routes == ID_NONE)
			continue;
		p = table_prefix(&r->table[f], n);
		if (p.len < within->len || !prefix_contains(within, &p.addr))
			continue;
		n->flags |= NODE_SINK;
		node_mark_dirty(r, f, id);
	}
}

void policy_input_interface(const struct rib *r, const struct policy *p, struct policy_input *in)
{
	const struct nexthop *nh = in->attrs->next_hop;

	if (policy_has_interfaces(p) && r->sink.interface)
		r->sink.interface(r->arg, &in->prefix, nh ? &nh->addr.addr : NULL, in->interface);
}

/* Next hops change by the dozen: once for all of them, and only if a policy asks for interfaces. */
void rib_interfaces_changed(struct rib *r)
{
	if (!r->interfaces || r->interfaces_changed)
		return;
	r->interfaces_changed = true;
	loop_work_schedule(r->loop, &r->scan_work);
}

static void all_decide(struct rib *r, enum family f)
{
	for (uint32_t id = 0; id < r->table[f].nodes.bound; id++) {
		const struct node *n = table_node(&r->table[f], id);

		if (n->flags & NODE_USED && n->routes != ID_NONE)
			node_mark_dirty(r, f, id);
	}
}

/* What is decided again is compared with what was sent. */
void interfaces_settle(struct rib *r)
{
	bool exports = false;

	if (!r->interfaces_changed)
		return;
	r->interfaces_changed = false;
	for (unsigned i = LOCAL_PEER + 1; i < r->n_peers; i++) {
		struct rib_peer *p = r->peers[i];

		exports = exports || (p && policy_has_interfaces(p->conf.export));
		for (int f = 0; p && policy_has_interfaces(p->conf.import) && f < FAM_COUNT; f++)
			peer_scan(p, (enum family)f, SCAN_REEVALUATE);
	}
	for (int f = 0; exports && f < FAM_COUNT; f++)
		all_decide(r, (enum family)f);
}

void rib_set_max_paths(struct rib *r, unsigned max_paths)
{
	static const struct prefix all[FAM_COUNT] = {
	    [FAM_IPV4] = {.addr.af = AF_INET},
	    [FAM_IPV6] = {.addr.af = AF_INET6},
	};

	if (r->conf.max_paths == max_paths)
		return;
	r->conf.max_paths = max_paths;
	for (int f = 0; f < FAM_COUNT; f++)
		rib_reselect(r, &all[f]);
}

void rib_nexthop_update(struct rib *r, const struct addr *addr, bool reachable, uint32_t metric)
{
	for (struct nexthop *nh = attrs_nexthop_chain(r->attrs, addr); nh; nh = nh->sibling) {
		if (nh->reachable == reachable && nh->metric == metric)
			continue;
		nh->reachable = reachable;
		nh->metric = metric;
		for (int f = 0; f < FAM_COUNT; f++)
			pageset_merge(&r->next_hop_todo[f], &nh->pages[f]);
		loop_work_schedule(r->loop, &r->scan_work);
	}
}

struct rib_stats rib_stats(const struct rib *r)
{
	struct rib_stats s = {
	    .attrs = attrs_count(r->attrs),
	    .next_hops = attrs_nexthops(r->attrs),
	    .groups = r->n_groups,
	    .bytes = sizeof *r + attrs_bytes(r->attrs) + pool_bytes(&r->routes) + crowds_bytes(r) + groups_bytes(r),
	};

	for (unsigned i = 0; i < r->n_peers; i++)
		for (int f = 0; r->peers[i] && f < FAM_COUNT; f++)
			s.best[f] += r->peers[i]->fam[f].best;
	for (int f = 0; f < FAM_COUNT; f++) {
		s.prefixes[f] = r->table[f].nodes.live;
		s.routes[f] = r->n_routes[f];
		s.released[f] = r->released[f];
		s.dirty += (unsigned)(r->dirty[f].tail - r->dirty[f].head);
		s.bytes += table_bytes(&r->table[f]);
	}
	return s;
}
