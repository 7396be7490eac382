#include "daemon/monitor/mrt_dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bgp/mrt/mrt.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/cluster/cluster.h"
#include "daemon/control/command.h"
#include "daemon/daemon.h"

/* Prefixes between two looks at the clock. */
#define WALK_STEP 16u

struct mrt_dump {
	const struct rib *rib;
	uint32_t router_id, as; /* our own */
	uint32_t time, sequence;
	/* The peers in the order of their serial numbers, which is that of the index. */
	struct peer_line {
		uint64_t serial;
		struct mrt_peer peer;
	} * peers;
	unsigned n_peers, cap_peers;
	const struct rib_peer *last_peer; /* of the piece: neighbours in the table often have the same */
	int last_place;
	bool indexed;
	enum family family;
	uint64_t pos;
	struct rib_view *views; /* of one prefix */
	unsigned n_views, cap_views;
	uint8_t *record; /* what is being written */
	size_t cap_record;
	struct strbuf *out;
	struct mrt_dump_stats stats;
};

/* ---- Peers ---- */

static void add_peer(void *arg, const struct rib_peer *p)
{
	struct mrt_dump *m = arg;
	const struct rib_peer_conf *conf = rib_peer_config(p);
	struct peer_line *line;

	if (m->n_peers == m->cap_peers) {
		m->cap_peers = m->cap_peers ? m->cap_peers * 2 : 8;
		m->peers = mem_realloc(m->peers, m->cap_peers * sizeof *m->peers);
	}
	line = &m->peers[m->n_peers++];
	*line = (struct peer_line){
	    .serial = rib_peer_serial(p),
	    .peer = {.addr = conf->remote,
		     .router_id = rib_peer_router_id(p),
		     .as = conf->remote_as ? conf->remote_as : rib_peer_codec(p)->peer_as},
	};
	if (p == rib_local_peer(m->rib))
		line->peer = (struct mrt_peer){.router_id = m->router_id, .as = m->as};
}

static int by_serial(const void *a, const void *b)
{
	const struct peer_line *left = a, *right = b;

	return (left->serial > right->serial) - (left->serial < right->serial);
}

/* The peer's place in the index; -1 if it came after that was written. */
static int place_of(struct mrt_dump *m, const struct rib_peer *p)
{
	struct peer_line key = {.serial = rib_peer_serial(p)};
	const struct peer_line *found;

	if (p == m->last_peer)
		return m->last_place;
	found = bsearch(&key, m->peers, m->n_peers, sizeof key, by_serial);
	m->last_peer = p;
	m->last_place = found ? (int)(found - m->peers) : -1;
	return m->last_place;
}

/* ---- Records ---- */

static struct wr record_begin(struct mrt_dump *m, size_t size)
{
	if (size > m->cap_record) {
		m->cap_record = size + size / 2;
		free(m->record);
		m->record = mem_alloc(m->cap_record);
	}
	return wr_make(m->record, m->cap_record);
}

static void write_index(struct mrt_dump *m)
{
	struct mrt_peer *peers = mem_calloc(m->n_peers, sizeof *peers);
	struct wr w = record_begin(m, 64 + (size_t)m->n_peers * 32);

	for (unsigned i = 0; i < m->n_peers; i++)
		peers[i] = m->peers[i].peer;
	mrt_index_encode(&w, m->time, m->router_id, "", peers, m->n_peers);
	strbuf_add(m->out, w.start, wr_len(&w));
	free(peers);
	m->stats.peers = m->n_peers;
}

/* RFC 8050 4.1: routes with a path identifier have a record of their own. */
static bool has_path_id(const struct rib_view *v)
{
	enum family f = family_of_af(v->prefix.addr.af);

	return v->route.path_id || rib_peer_codec(v->route.peer)->add_path_rx >> f & 1;
}

static void write_routes(struct mrt_dump *m, struct wr *w, bool add_path)
{
	struct mrt_rib_writer x = mrt_rib_open(w, m->time, m->sequence, &m->views[0].prefix, add_path);

	for (unsigned i = 0; i < m->n_views; i++) {
		const struct rib_route *route = &m->views[i].route;
		const struct bgp_nexthop none = {0};
		int place = place_of(m, route->peer);
		struct mrt_entry e = {
		    .peer = (uint16_t)place,
		    .time = (uint32_t)mono_to_wall(route->since),
		    .path_id = route->path_id,
		    .attrs = {route->attrs->canonical, route->attrs->len},
		};

		if (place < 0 || has_path_id(&m->views[i]) != add_path)
			continue;
		if (mrt_rib_add(w, &x, &e, route->attrs->next_hop ? &route->attrs->next_hop->addr : &none))
			m->stats.routes++;
		else
			m->stats.left_out++;
	}
	m->sequence += mrt_rib_close(w, &x);
}

/* The prefix whose routes have come together. */
static void flush(struct mrt_dump *m)
{
	size_t size = 2 * MRT_RIB_HEAD;
	struct wr w;

	if (!m->n_views)
		return;
	for (unsigned i = 0; i < m->n_views; i++)
		size += m->views[i].route.attrs->len + MRT_ENTRY_MORE;
	w = record_begin(m, size);
	write_routes(m, &w, false);
	write_routes(m, &w, true);
	strbuf_add(m->out, w.start, wr_len(&w));
	m->stats.prefixes += wr_len(&w) > 0;
	m->n_views = 0;
}

static void on_view(void *arg, const struct rib_view *v)
{
	struct mrt_dump *m = arg;

	if (v->route.rejected)
		return;
	/* A prefix's routes come one after the other. */
	if (m->n_views && !prefix_equal(&m->views[0].prefix, &v->prefix))
		flush(m);
	if (m->n_views == m->cap_views) {
		m->cap_views = m->cap_views ? m->cap_views * 2 : 16;
		m->views = mem_realloc(m->views, m->cap_views * sizeof *m->views);
	}
	m->views[m->n_views++] = *v;
}

/* ---- The dump ---- */

struct mrt_dump *mrt_dump_new(const struct rib *r, uint32_t router_id, uint32_t as)
{
	struct mrt_dump *m = mem_calloc(1, sizeof *m);

	m->rib = r;
	m->router_id = router_id;
	m->as = as;
	m->time = (uint32_t)mono_to_wall(mono_now());
	rib_each_peer(r, add_peer, m);
	qsort(m->peers, m->n_peers, sizeof *m->peers, by_serial);
	return m;
}

void mrt_dump_free(struct mrt_dump *m)
{
	if (!m)
		return;
	free(m->peers);
	free(m->views);
	free(m->record);
	free(m);
}

bool mrt_dump_more(struct mrt_dump *m, struct strbuf *out, size_t enough, uint64_t deadline)
{
	size_t start = out->len;

	m->out = out;
	m->last_peer = NULL; /* since the last piece its memory may have become another's */
	if (!m->indexed)
		write_index(m);
	m->indexed = true;
	while (m->family < FAM_COUNT) {
		bool left = rib_walk(m->rib, m->family, &m->pos, WALK_STEP, on_view, m);
		flush(m);
		if (!left) {
			m->family++;
			m->pos = 0;
		}
		if (out->len - start >= enough || (out->len > start && mono_now() >= deadline))
			break;
	}
	return m->family < FAM_COUNT;
}

struct mrt_dump_stats mrt_dump_stats(const struct mrt_dump *m)
{
	return m->stats;
}

/* ---- dump mrt ---- */

#define PIECE 65536u
#define PIECE_TIME (2 * MONO_MSEC)

static void state_free(void *state)
{
	mrt_dump_free(state);
}

static bool dump_start(struct request *r)
{
	const struct self *self;

	if (strcmp(r->argv[0], "-") != 0) {
		snprintf(r->error, sizeof r->error, "the daemon writes no file of a client's: it gives its octets");
		return false;
	}
	self = cluster_self(r->d->cluster);
	r->state = mrt_dump_new(r->d->rib, self->router_id, self->as);
	r->free_state = state_free;
	return true;
}

static bool dump_more(struct request *r)
{
	return mrt_dump_more(r->state, r->data, PIECE, mono_now() + PIECE_TIME);
}
const struct command_ops command_dump_mrt = {.start = dump_start, .more = dump_more, .is_data = true};
