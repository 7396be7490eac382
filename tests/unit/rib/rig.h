/* A RIB in a loop, peers that send it real UPDATEs (encoded and decoded by the codec), and a record of what it told its
 * sink. Nothing sleeps: the loop turns until the RIB has no work left. */
#ifndef TESTS_RIB_RIG_H
#define TESTS_RIB_RIG_H

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bgp/codec/msg.h"
#include "bgp/codec/update.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "rib/rib.h"

#define OUR_AS 64512u
#define OUR_ID 0xc0a80001u
#define OUR_V4 "192.168.0.1"
#define OUR_V6 "2001:db8:ffff::1"
#define BOTH (1u << FAM_IPV4 | 1u << FAM_IPV6)

/* The last selection reported for one prefix. */
struct rig_best {
	struct prefix prefix;
	unsigned n, calls;
	struct rib_route route[8];
};

struct rig {
	struct loop *loop;
	struct rib *rib;
	struct arena arena;
	struct rig_best best[64];
	unsigned n_best, best_calls, ready_calls, used, unused;
	bool unreachable;			 /* next hops stay unreachable until told otherwise */
	void (*on_ready)(struct rib_peer *peer); /* may be NULL */
	const char *interface;			 /* that all routes lead over; NULL: none is known */
};

static struct rig rig;

static inline struct addr addr_of(const char *text)
{
	struct addr a;

	ck_assert_msg(addr_parse(&a, text), "bad address %s", text);
	return a;
}

static inline struct prefix prefix_of(const char *text)
{
	struct prefix p;

	ck_assert_msg(prefix_parse(&p, text), "bad prefix %s", text);
	return p;
}

static inline struct rig_best *rig_best_of(const struct prefix *p)
{
	for (unsigned i = 0; i < rig.n_best; i++)
		if (prefix_equal(&rig.best[i].prefix, p))
			return &rig.best[i];
	return NULL;
}

static inline void rig_on_best(void *arg, const struct prefix *p, const struct rib_route *routes, unsigned n)
{
	struct rig_best *b = rig_best_of(p);

	ck_assert_ptr_eq(arg, &rig);
	rig.best_calls++;
	if (!b && rig.n_best < sizeof rig.best / sizeof *rig.best) {
		b = &rig.best[rig.n_best++];
		b->prefix = *p;
	}
	if (!b)
		return; /* the big tests do not look at single prefixes */
	b->calls++;
	b->n = n;
	for (unsigned i = 0; i < n && i < 8; i++)
		b->route[i] = routes[i];
}

static inline void rig_on_ready(void *arg, struct rib_peer *peer)
{
	(void)arg;
	rig.ready_calls++;
	if (rig.on_ready)
		rig.on_ready(peer);
}

static inline void rig_on_nexthop(void *arg, const struct addr *nh, bool used)
{
	(void)arg;
	if (used)
		rig.used++;
	else
		rig.unused++;
	if (used && !rig.unreachable)
		rib_nexthop_update(rig.rib, nh, true, 10);
}

static inline void rig_on_interface(void *arg, const struct prefix *p, const struct addr *nh, char name[static 16])
{
	(void)arg;
	(void)p;
	(void)nh;
	snprintf(name, 16, "%s", rig.interface ? rig.interface : "");
}

static inline void rig_begin_with(struct rib_conf conf)
{
	static const struct rib_sink sink = {
	    .on_best = rig_on_best,
	    .on_ready = rig_on_ready,
	    .on_nexthop = rig_on_nexthop,
	    .interface = rig_on_interface,
	};

	rig = (struct rig){.loop = loop_new()};
	rig.rib = rib_new(rig.loop, &conf, &sink, &rig);
}

static inline void rig_begin(void)
{
	rig_begin_with((struct rib_conf){.max_paths = 1, .deterministic_med = true});
}

static inline void rig_end(void)
{
	rib_free(rig.rib);
	loop_free(rig.loop);
	arena_free(&rig.arena);
}

/* Lets the RIB work off everything. A slice takes 2 ms at most, so a few hundred turns are plenty. */
static inline void rig_settle(void)
{
	for (unsigned i = 0; i < 400; i++)
		loop_turn(rig.loop, false);
	ck_assert_uint_eq(rib_stats(rig.rib).dirty, 0);
}

/* ---- Peers ---- */

static inline struct rib_peer_conf peer_conf(unsigned i, bool ebgp)
{
	struct rib_peer_conf conf = {
	    .remote = addr_from_u32(0x0a000000u + i),
	    .remote_as = ebgp ? 65000 + i : OUR_AS,
	    .local_as = OUR_AS,
	    .ebgp = ebgp,
	    .our_router_id = OUR_ID,
	};

	snprintf(conf.name, sizeof conf.name, "peer%u", i);
	return conf;
}

static inline struct bgp_codec peer_codec(const struct rib_peer *p)
{
	return (struct bgp_codec){
	    .as4 = true, .ebgp = rib_peer_config(p)->ebgp, .families = BOTH, .max_message = BGP_MAX_MESSAGE};
}

/* The peer's router id is its address (10.0.0.i). */
static inline void peer_up_with(struct rib_peer *p, const struct bgp_codec *codec)
{
	struct bgp_nexthop self[FAM_COUNT] = {{.addr = addr_of(OUR_V4)}, {.addr = addr_of(OUR_V6)}};

	rib_peer_up(p, codec, addr_to_u32(&rib_peer_config(p)->remote), self);
}

static inline void peer_up(struct rib_peer *p)
{
	struct bgp_codec codec = peer_codec(p);

	peer_up_with(p, &codec);
}

static inline struct rib_peer *peer_add(unsigned i, bool ebgp)
{
	struct rib_peer_conf conf = peer_conf(i, ebgp);
	struct rib_peer *p = rib_peer_new(rig.rib, &conf, NULL);

	peer_up(p);
	return p;
}

/* ---- What peers send ---- */

/* Attributes in the shortest form; what is zero or NULL is left out. A LOCAL_PREF goes out on iBGP (100 if zero). */
struct spec {
	uint32_t path[8]; /* AS numbers up to the first zero */
	uint32_t med, local_pref, originator;
	uint32_t clusters[4], communities[4];
	uint8_t origin;
	bool has_med;
	const char *next_hop; /* NULL: the peer's own address (IPv6: 2001:db8::<last octet>) */
	uint32_t path_id;
};

static inline struct span words(const uint32_t *v, unsigned max, const uint8_t *head, size_t n_head)
{
	unsigned n = 0;
	struct wr w;

	while (n < max && v[n])
		n++;
	w = wr_make(arena_alloc(&rig.arena, n_head + n * 4u + 1), n_head + n * 4u);
	wr_bytes(&w, head, n_head);
	for (unsigned i = 0; i < n; i++)
		wr_u32(&w, v[i]);
	return (struct span){w.start, wr_len(&w)};
}

static inline struct addr own_next_hop(const struct rib_peer *p, enum family f)
{
	struct addr a = rib_peer_config(p)->remote;

	if (f == FAM_IPV6 && a.af == AF_INET) {
		uint32_t v4 = addr_to_u32(&a);

		a = addr_of("2001:db8::");
		a = addr_add(&a, v4 & 0xffff);
	}
	return a;
}

static inline struct bgp_attrs spec_attrs(const struct rib_peer *p, enum family f, const struct spec *s)
{
	struct bgp_attrs a = {.present = 1u << BA_ORIGIN | 1u << BA_AS_PATH, .origin = s->origin};
	unsigned hops = 0;

	while (hops < 8 && s->path[hops])
		hops++;
	if (hops)
		a.as_path = words(s->path, 8, (uint8_t[]){BGP_AS_SEQUENCE, (uint8_t)hops}, 2);
	if (s->has_med) {
		a.med = s->med;
		a.present |= 1u << BA_MED;
	}
	if (!rib_peer_config(p)->ebgp) {
		a.local_pref = s->local_pref ? s->local_pref : 100;
		a.present |= 1u << BA_LOCAL_PREF;
	}
	if (s->originator) {
		a.originator_id = s->originator;
		a.present |= 1u << BA_ORIGINATOR_ID;
	}
	if (s->clusters[0]) {
		a.cluster_list = words(s->clusters, 4, NULL, 0);
		a.present |= 1u << BA_CLUSTER_LIST;
	}
	if (s->communities[0]) {
		a.communities = words(s->communities, 4, NULL, 0);
		a.present |= 1u << BA_COMMUNITIES;
	}
	a.next_hop.addr = s->next_hop ? addr_of(s->next_hop) : own_next_hop(p, f);
	return a;
}

static inline void deliver(struct rib_peer *p, const uint8_t *message, size_t len, const struct bgp_codec *codec)
{
	struct bgp_update u;
	struct bgp_error err;
	struct bgp_msg m;

	ck_assert_int_eq(bgp_msg_next(&m, message, len, BGP_MAX_EXTENDED, &err), (int)len);
	ck_assert_int_eq(m.type, BGP_UPDATE);
	err = bgp_update_decode(&u, m.body, codec, &rig.arena);
	ck_assert_msg(err.action == BGP_OK, "%s", err.reason ? err.reason : "");
	rib_update(p, &u, false);
	arena_reset(&rig.arena);
}

/* Sends with ADD-PATH if add_path: the peer must have been brought up so. */
static inline void announce_prefix(struct rib_peer *p, const struct prefix *prefix, const struct spec *s, bool add_path)
{
	enum family f = family_of_af(prefix->addr.af);
	struct bgp_codec codec = peer_codec(p);
	struct bgp_attrs a = spec_attrs(p, f, s);
	struct bgp_nlri nlri = {*prefix, s->path_id};
	uint8_t message[BGP_MAX_MESSAGE];
	struct wr w = wr_make(message, sizeof message);

	codec.add_path_tx = codec.add_path_rx = add_path ? BOTH : 0;
	codec.ext_next_hop = 1u << FAM_IPV4;
	ck_assert_uint_eq(bgp_update_encode_reach(&w, &codec, f, &a, &nlri, 1), 1);
	deliver(p, message, wr_len(&w), &codec);
}

static inline void announce(struct rib_peer *p, const char *prefix, struct spec s)
{
	struct prefix pf = prefix_of(prefix);

	announce_prefix(p, &pf, &s, false);
}

static inline void withdraw_prefix(struct rib_peer *p, const struct prefix *prefix, uint32_t path_id, bool add_path)
{
	enum family f = family_of_af(prefix->addr.af);
	struct bgp_codec codec = peer_codec(p);
	struct bgp_nlri nlri = {*prefix, path_id};
	uint8_t message[BGP_MAX_MESSAGE];
	struct wr w = wr_make(message, sizeof message);

	codec.add_path_tx = codec.add_path_rx = add_path ? BOTH : 0;
	ck_assert_uint_eq(bgp_update_encode_unreach(&w, &codec, f, &nlri, 1), 1);
	deliver(p, message, wr_len(&w), &codec);
}

static inline void withdraw(struct rib_peer *p, const char *prefix)
{
	struct prefix pf = prefix_of(prefix);

	withdraw_prefix(p, &pf, 0, false);
}

/* ---- Looking ---- */

/* Who is best for the prefix according to the last callback; NULL if nobody. */
static inline const struct rib_peer *best_peer(const char *prefix)
{
	struct prefix p = prefix_of(prefix);
	const struct rig_best *b = rig_best_of(&p);

	return b && b->n ? b->route[0].peer : NULL;
}

static inline unsigned best_calls(const char *prefix)
{
	struct prefix p = prefix_of(prefix);
	const struct rig_best *b = rig_best_of(&p);

	return b ? b->calls : 0;
}

struct views {
	struct rib_view v[32];
	unsigned n;
};

static inline void views_add(void *arg, const struct rib_view *v)
{
	struct views *all = arg;

	ck_assert_uint_lt(all->n, 32);
	all->v[all->n++] = *v;
}

static inline struct views views_of(const char *prefix)
{
	struct prefix p = prefix_of(prefix);
	struct views all = {.n = 0};

	rib_show_prefix(rig.rib, &p, views_add, &all);
	return all;
}

/* The view of the peer's route. */
static inline const struct rib_view *view_of(const struct views *all, const struct rib_peer *p)
{
	for (unsigned i = 0; i < all->n; i++)
		if (all->v[i].route.peer == p)
			return &all->v[i];
	ck_abort_msg("no route of %s", rib_peer_config(p)->name);
	return NULL;
}

static inline unsigned routes_in(enum family f)
{
	return rib_stats(rig.rib).routes[f];
}

static inline struct rib_route only_route(const char *prefix)
{
	struct views all = views_of(prefix);

	ck_assert_uint_eq(all.n, 1);
	return all.v[0].route;
}

static inline void release_all(void)
{
	for (int f = 0; f < FAM_COUNT; f++)
		rib_release(rig.rib, (enum family)f);
}

static inline struct prefix host(unsigned i)
{
	struct addr a = addr_from_u32(0x0a640000u + i);

	return prefix_make(&a, 32);
}

static inline int run_suite(TCase *tc, const char *name)
{
	Suite *suite = suite_create(name);
	SRunner *runner;
	int failed;

	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

#endif
