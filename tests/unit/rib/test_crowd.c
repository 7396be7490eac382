/* Prefixes with many routes: whatever is announced, withdrawn, kept and swept, with or without decisions in between,
 * what is there must be what a model has, and so what an observer and a peer were told; and it must take no longer than
 * as many prefixes. */
#include <time.h>

#include "tests/unit/rib/inbox.h"

#define PEERS 4u
#define PREFIXES 2u
#define PATHS 120u

static struct world {
	uint64_t seed;
	struct rib_peer *peer[PEERS];
	struct {
		uint32_t med; /* 0: there is no such route */
		bool stale;
	} route[PEERS][PREFIXES][PATHS];
	uint32_t observed[PEERS][PREFIXES][PATHS]; /* MEDs again */
	bool local[PREFIXES], observed_local[PREFIXES], up[PEERS];
	struct inbox *in;
} * w;

static uint32_t rnd(uint32_t n)
{
	w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(w->seed >> 33) % n;
}

static uint32_t path_id_at(unsigned k)
{
	return k * 0x01000193u;
}

static unsigned prefix_number(const struct prefix *p)
{
	return addr_to_u32(&p->addr) & 1;
}

/* ---- What is there ---- */

static unsigned model_count(unsigned m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PREFIXES; i++)
		for (unsigned k = 0; k < PATHS; k++)
			n += w->route[m][i][k].med != 0;
	return n;
}

static void path_check(void *arg, const struct rib_path *path)
{
	unsigned *n = arg, i = prefix_number(&path->prefix);

	++*n;
	if (path->peer == rib_local_peer(rig.rib)) {
		ck_assert(w->local[i]);
		return;
	}
	for (unsigned m = 0; m < PEERS; m++)
		for (unsigned k = 0; w->peer[m] == path->peer && k < PATHS; k++)
			if (path->path_id == path_id_at(k)) {
				ck_assert_uint_eq(path->received->med, w->route[m][i][k].med);
				ck_assert_int_eq(path->stale, w->route[m][i][k].stale);
				return;
			}
	ck_abort_msg("nobody's path");
}

static void on_route(void *arg, const struct rib_path *path, bool received, bool accepted)
{
	unsigned i = prefix_number(&path->prefix);

	(void)arg;
	(void)accepted;
	if (path->peer == rib_local_peer(rig.rib))
		w->observed_local[i] = path->accepted;
	for (unsigned m = 0; received && m < PEERS; m++)
		for (unsigned k = 0; w->peer[m] == path->peer && k < PATHS; k++)
			if (path->path_id == path_id_at(k))
				w->observed[m][i][k] = path->received ? path->received->med : 0;
}

static void check_all(void)
{
	unsigned n = 0, want = 0;
	uint64_t pos = 0;

	rig_settle();
	inbox_drain(w->in);
	while (rib_walk_paths(rig.rib, FAM_IPV4, &pos, 1000, path_check, &n))
		;
	for (unsigned i = 0; i < PREFIXES; i++) {
		want += w->local[i];
		ck_assert_int_eq(w->local[i], w->observed_local[i]);
		for (unsigned m = 0; m < PEERS; m++)
			for (unsigned k = 0; k < PATHS; k++)
				ck_assert_uint_eq(w->observed[m][i][k], w->route[m][i][k].med);
	}
	for (unsigned m = 0; m < PEERS; m++)
		want += model_count(m);
	ck_assert_uint_eq(n, want);
	ck_assert_uint_eq(routes_in(FAM_IPV4), want);
	ck_assert_uint_eq(w->in->known, want);
}

/* ---- What happens ---- */

static void do_announce(unsigned m, unsigned i, unsigned k)
{
	struct prefix p = host(i);
	struct spec s = {.has_med = true, .med = 1 + rnd(5), .path_id = path_id_at(k)};

	announce_prefix(w->peer[m], &p, &s, true);
	w->route[m][i][k].med = s.med;
	w->route[m][i][k].stale = false;
}

static void do_withdraw(unsigned m, unsigned i, unsigned k)
{
	struct prefix p = host(i);

	withdraw_prefix(w->peer[m], &p, path_id_at(k), true);
	w->route[m][i][k].med = 0;
}

/* Some of a peer, in a row or here and there. */
static void some(unsigned m, void (*fn)(unsigned m, unsigned i, unsigned k))
{
	unsigned i = rnd(PREFIXES), k = rnd(PATHS), step = 1 + rnd(3), n = rnd(4) ? rnd(8) : rnd(PATHS);

	for (; w->up[m] && n; n--, k += step)
		fn(m, i, k % PATHS);
}

static void keep(unsigned m, bool routes)
{
	for (unsigned i = 0; i < PREFIXES; i++)
		for (unsigned k = 0; k < PATHS; k++) {
			if (!routes)
				w->route[m][i][k].med = 0;
			w->route[m][i][k].stale = true;
		}
}

static void sweep(unsigned m)
{
	for (unsigned i = 0; i < PREFIXES; i++)
		for (unsigned k = 0; k < PATHS; k++)
			if (w->route[m][i][k].stale)
				w->route[m][i][k].med = 0;
	rib_peer_sweep(w->peer[m], FAM_IPV4);
}

static void bring_up(unsigned m)
{
	struct bgp_codec codec = peer_codec(w->peer[m]);

	codec.add_path_rx = BOTH;
	peer_up_with(w->peer[m], &codec);
	w->up[m] = true;
}

static void go_down(unsigned m, bool graceful)
{
	rib_peer_down(w->peer[m], graceful ? BOTH : 0);
	w->up[m] = false;
	keep(m, graceful);
}

static void step(void)
{
	unsigned m = rnd(PEERS), what = rnd(40), i = rnd(PREFIXES);
	struct prefix p = host(i);

	if (what < 16) {
		some(m, do_announce);
	} else if (what < 30) {
		some(m, do_withdraw);
	} else if (what < 32) {
		w->local[i] = !w->local[i];
		if (w->local[i])
			rib_local_set(rig.rib, &p, SOURCE_BLOCK, 1024);
		else
			rib_local_unset(rig.rib, &p);
	} else if (what < 34) {
		go_down(m, rnd(2));
	} else if (what == 34) {
		sweep(m);
	} else if (what == 35) {
		/* Up and down far more often than there are numbers of ages. */
		for (unsigned n = rnd(8) ? 1 : 600; n; n--) {
			go_down(m, rnd(200));
			bring_up(m);
			if (rnd(4) == 0)
				some(m, rnd(3) ? do_announce : do_withdraw);
		}
	} else if (what < 38) {
		loop_turn(rig.loop, false);
	}
	if (what > 32 && !w->up[m])
		bring_up(m);
	for (m = 0; m < PEERS; m++)
		ck_assert_uint_eq(rib_peer_received(w->peer[m], FAM_IPV4), model_count(m));
}

START_TEST(test_any_order)
{
	static const struct rib_observer observer = {.on_route = on_route};

	rig_begin();
	release_all();
	w = mem_calloc(1, sizeof *w);
	w->seed = 4271 + (unsigned)_i;
	rib_observe(rig.rib, &observer);
	for (unsigned m = 0; m <= PEERS; m++) {
		struct rib_peer_conf conf = peer_conf(m + 1, false);
		struct rib_peer *p;
		struct bgp_codec codec;

		conf.rr_client = true;
		conf.cluster_id = 1;
		p = rib_peer_new(rig.rib, &conf, NULL);
		if (m < PEERS) {
			w->peer[m] = p;
			bring_up(m);
			continue;
		}
		codec = peer_codec(p);
		codec.add_path_tx = BOTH;
		peer_up_with(p, &codec);
		w->in = inbox_new(p);
		w->in->codec = codec;
	}
	for (unsigned round = 0; round < 60; round++) {
		for (unsigned n = 1 + rnd(60); n; n--)
			step();
		check_all();
	}
	inbox_free(w->in);
	free(w);
	rig_end();
}
END_TEST

/* ---- Time ---- */

#define MANY 40000u

static double cpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Announces, changes and withdraws a hundred at a time; seconds of CPU time. */
static double work_off(bool one_prefix)
{
	struct rib_peer *p = peer_add(1, false);
	struct bgp_codec codec = peer_codec(p);
	double began;

	codec.add_path_rx = codec.add_path_tx = BOTH;
	peer_up_with(p, &codec);
	began = cpu_now();
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < MANY; i += 100) {
			struct bgp_attrs a = spec_attrs(p, FAM_IPV4, &(struct spec){.local_pref = 100 + round});
			struct bgp_nlri nlri[100];
			uint8_t message[BGP_MAX_MESSAGE];
			struct wr out = wr_make(message, sizeof message);

			for (unsigned k = 0; k < 100; k++)
				nlri[k] = (struct bgp_nlri){host(one_prefix ? 0 : i + k), i + k};
			if (round == 2)
				bgp_update_encode_unreach(&out, &codec, FAM_IPV4, nlri, 100);
			else
				bgp_update_encode_reach(&out, &codec, FAM_IPV4, &a, nlri, 100);
			deliver(p, message, wr_len(&out), &codec);
			if (i % 5000 == 4900)
				loop_turn(rig.loop, false);
		}
		ck_assert_uint_eq(rib_peer_received(p, FAM_IPV4), round == 2 ? 0 : MANY);
	}
	began = cpu_now() - began;
	rib_peer_free(p);
	rig_settle();
	ck_assert_uint_eq(routes_in(FAM_IPV4), 0);
	return began;
}

START_TEST(test_time)
{
	double prefixes, paths;

	rig_begin();
	prefixes = work_off(false);
	paths = work_off(true);
	ck_assert_msg(paths < prefixes * 30, "%u paths of a prefix: %.3f s, as many prefixes: %.3f s", MANY, paths,
		      prefixes);
	rig_end();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("crowd");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, test_any_order, 0, 4);
	tcase_add_test(tc, test_time);
	return run_suite(tc, "many routes of a prefix");
}
