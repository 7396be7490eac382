/* UPDATEs of three peers through codec and RIB: what goes out to each of them must be without fault by the rules by
 * which it is received there, and when all peers are gone nothing may be left. The input is a chain of records: an
 * octet that says who, two of length, the body of an UPDATE. */
#include <stdio.h>
#include <stdlib.h>

#include "bgp/codec/update.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "rib/rib.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUR_AS 64512u
#define BOTH (1u << FAM_IPV4 | 1u << FAM_IPV6)
#define WITHDRAW_ALL 0x80 /* of the octet that says who: the session ends and comes up again */

/* Inside the AS and a client; of another AS; of another AS, with 2-octet numbers. */
static const struct {
	uint32_t as;
	bool as4;
} kinds[] = {{OUR_AS, true}, {65001, true}, {65002, false}};
#define PEERS (sizeof kinds / sizeof *kinds)

struct world {
	struct loop *loop;
	struct rib *rib;
	struct rib_peer *peer[PEERS];
	struct bgp_codec codec[PEERS], theirs[PEERS];
	struct arena arena;
};

static void fail(const char *what, const struct bgp_error *err)
{
	fprintf(stderr, "%s: %s (attribute %u)\n", what, err->reason ? err->reason : "", err->attr);
	abort();
}

static void on_best(void *arg, const struct prefix *p, const struct rib_route *routes, unsigned n)
{
	(void)arg, (void)p, (void)routes, (void)n;
}

static void on_ready(void *arg, struct rib_peer *peer)
{
	(void)arg, (void)peer;
}

static void on_nexthop(void *arg, const struct addr *nh, bool used)
{
	(void)arg, (void)nh, (void)used;
}

static void peer_up(struct world *w, unsigned i)
{
	struct bgp_nexthop self[FAM_COUNT] = {0};

	addr_parse(&self[FAM_IPV4].addr, "192.168.0.1");
	addr_parse(&self[FAM_IPV6].addr, "fd00::1");
	rib_peer_up(w->peer[i], &w->codec[i], 0x0a000001u + i, self);
}

static void peer_make(struct world *w, unsigned i)
{
	bool ebgp = kinds[i].as != OUR_AS;
	struct rib_peer_conf conf = {.name = "peer",
				     .remote = addr_from_u32(0x0a000001u + i),
				     .remote_as = kinds[i].as,
				     .local_as = OUR_AS,
				     .ebgp = ebgp,
				     .rr_client = !ebgp,
				     .cluster_id = 1,
				     .our_router_id = 0xc0a80001u};

	w->codec[i] = (struct bgp_codec){.ebgp = ebgp,
					 .as4 = kinds[i].as4,
					 .families = BOTH,
					 .peer_as = kinds[i].as,
					 .max_message = BGP_MAX_MESSAGE};
	w->theirs[i] = w->codec[i];
	w->theirs[i].peer_as = OUR_AS;
	w->theirs[i].enforce_first_as = ebgp;
	w->peer[i] = rib_peer_new(w->rib, &conf, NULL);
	peer_up(w, i);
}

static void message_check(struct world *w, unsigned i, const struct bgp_msg *m)
{
	struct bgp_update u;
	struct bgp_error err;

	if (m->type != BGP_UPDATE)
		return;
	err = bgp_update_decode(&u, m->body, &w->theirs[i], &w->arena);
	if (err.action != BGP_OK)
		fail("a peer is told what it must refuse", &err);
	arena_reset(&w->arena);
}

static void slice_check(struct world *w, unsigned i, const struct slice *s)
{
	struct rd r = rd_make(s->buf->data + s->off, s->len);

	while (rd_left(&r)) {
		struct rd rest = r;
		struct span left = rd_rest(&rest);
		struct bgp_error err = {0};
		struct bgp_msg m;
		int n = bgp_msg_next(&m, left.p, left.len, BGP_MAX_MESSAGE, &err);

		if (n <= 0)
			fail("a slice is not whole messages", &err);
		message_check(w, i, &m);
		rd_take(&r, (size_t)n);
	}
}

static void settle(struct world *w)
{
	struct slice out[16];
	unsigned n;

	do {
		loop_turn(w->loop, false);
	} while (rib_stats(w->rib).dirty);
	for (unsigned i = 0; i < PEERS; i++) {
		while ((n = rib_pull(w->peer[i], out, 16)))
			for (unsigned j = 0; j < n; j++) {
				slice_check(w, i, &out[j]);
				buf_unref(out[j].buf);
			}
	}
}

static void record(struct world *w, uint8_t who, struct rd body)
{
	unsigned i = who % 4 % PEERS;
	struct bgp_update u;
	struct bgp_error err;

	if (who & WITHDRAW_ALL) {
		rib_peer_down(w->peer[i], 0);
		settle(w);
		peer_up(w, i);
		w->codec[i].ignored = 0;
	}
	err = bgp_update_decode(&u, body, &w->codec[i], &w->arena);
	if (err.action == BGP_RESET) {
		arena_reset(&w->arena);
		return;
	}
	w->codec[i].ignored |= u.disable;
	rib_update(w->peer[i], &u, err.action == BGP_TREAT_AS_WITHDRAW);
	arena_reset(&w->arena);
	if (who & 0x40)
		settle(w);
}

static bool has_routes(const struct world *w)
{
	struct rib_stats s = rib_stats(w->rib);

	return s.routes[FAM_IPV4] || s.routes[FAM_IPV6] || s.prefixes[FAM_IPV4] || s.prefixes[FAM_IPV6];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct rib_sink sink = {.on_best = on_best, .on_ready = on_ready, .on_nexthop = on_nexthop};
	struct rib_conf conf = {.max_paths = 4, .deterministic_med = true};
	struct rd r = rd_make(data, size);
	struct world w = {.loop = loop_new()};

	log_setup(LOG_LVL_ERROR, false);
	w.rib = rib_new(w.loop, &conf, &sink, NULL);
	for (unsigned i = 0; i < PEERS; i++)
		peer_make(&w, i);
	for (int f = 0; f < FAM_COUNT; f++)
		rib_release(w.rib, (enum family)f);
	while (rd_left(&r)) {
		uint8_t who = rd_u8(&r);
		size_t len = rd_u16(&r), there = rd_left(&r);

		record(&w, who, rd_sub(&r, len < there ? len : there));
	}
	settle(&w);
	for (unsigned i = 0; i < PEERS; i++)
		rib_peer_down(w.peer[i], 0);
	/* Routes go in slices. */
	for (unsigned turns = 0; turns < 1000 && has_routes(&w); turns++)
		loop_turn(w.loop, false);
	if (has_routes(&w))
		fail("routes are left", &(struct bgp_error){0});
	for (unsigned i = 0; i < PEERS; i++)
		rib_peer_free(w.peer[i]);
	rib_free(w.rib);
	loop_free(w.loop);
	arena_free(&w.arena);
	return 0;
}
