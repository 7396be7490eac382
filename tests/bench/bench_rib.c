/* How fast the RIB is and how much memory it takes. The scenes:
 *
 *	table		one peer announces 1,000,000 prefixes with 200,000 attribute sets, another is sent all of them,
 *			then the first one goes down
 *	reflector	1,000 clients announce 100 routes each; every one is sent all the others
 *	services	1,000 clients announce the same 20 prefixes with MEDs of their own; all are sent the best path,
 *			then (ADD-PATH) all of them
 *	paths		one peer sends 10,000 to 80,000 paths of one prefix (ADD-PATH), changes each and withdraws each
 *
 *	bench_rib [SCENE [SIZE]]	SIZE: 1,000 clients; 200,000 attribute sets; 10,000 paths
 *
 * Times are CPU time of the RIB (decoding included), without making the input. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bgp/codec/msg.h"
#include "bgp/codec/update.h"
#include "daemon/base/mem.h"
#include "rib/rib.h"

#define BATCH 1000u

static struct rib *rib;
static struct loop *loop;
static struct arena arena;

static double cpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static size_t resident(void)
{
	unsigned long size = 0, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%lu %lu", &size, &pages) != 2)
		pages = 0;
	if (f)
		fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static const struct bgp_codec codec = {.as4 = true, .families = 1u << FAM_IPV4, .max_message = BGP_MAX_MESSAGE};

static struct rib_peer *peer_add_paths(unsigned i, bool ebgp, bool add_path_rx, bool add_path_tx)
{
	struct rib_peer_conf conf = {
	    .remote = addr_from_u32(0x0a000000u + i),
	    .remote_as = ebgp ? 65001 : 64512,
	    .local_as = 64512,
	    .ebgp = ebgp,
	    .rr_client = !ebgp,
	    .cluster_id = 1,
	    .our_router_id = 0x0affff01u,
	};
	struct bgp_nexthop self[FAM_COUNT] = {{.addr = addr_from_u32(0x0affff01u)}};
	struct bgp_codec c = codec;
	struct rib_peer *p;

	snprintf(conf.name, sizeof conf.name, "peer%u", i);
	p = rib_peer_new(rib, &conf, NULL);
	c.ebgp = ebgp;
	c.add_path_rx = add_path_rx ? 1u << FAM_IPV4 : 0;
	c.add_path_tx = add_path_tx ? 1u << FAM_IPV4 : 0;
	rib_peer_up(p, &c, 0x0a000000u + i, self);
	return p;
}

static struct rib_peer *peer_add(unsigned i, bool ebgp)
{
	return peer_add_paths(i, ebgp, false, false);
}

/* The UPDATE for attribute set number `set`: an AS path of four, and `per` prefixes. */
static void make_update(struct wr *w, unsigned set, unsigned per, const struct addr *next_hop, bool ebgp)
{
	uint8_t path[2 + 4 * 4], communities[8];
	struct wr p = wr_make(path, sizeof path), c = wr_make(communities, sizeof communities);
	struct bgp_attrs a = {
	    .present = 1u << BA_ORIGIN | 1u << BA_AS_PATH | 1u << BA_MED | 1u << BA_COMMUNITIES | 1u << BA_LOCAL_PREF,
	    .med = set % 7,
	    .local_pref = 100,
	    .next_hop.addr = *next_hop,
	};
	struct bgp_codec out = codec;
	struct bgp_nlri nlri[64];

	out.ebgp = ebgp;
	if (ebgp)
		a.present &= ~(1u << BA_LOCAL_PREF);
	wr_u8(&p, BGP_AS_SEQUENCE);
	wr_u8(&p, 4);
	wr_u32(&p, 65001);
	wr_u32(&p, 100000 + set % 50);
	wr_u32(&p, 200000 + set);
	wr_u32(&p, 300000 + set / 2);
	wr_u32(&c, 65001u << 16 | 100);
	wr_u32(&c, 65001u << 16 | set % 500);
	a.as_path = (struct span){path, wr_len(&p)};
	a.communities = (struct span){communities, wr_len(&c)};
	for (unsigned i = 0; i < per; i++) {
		struct addr at = addr_from_u32(0x14000000u + ((set * per + i) << 8));

		nlri[i] = (struct bgp_nlri){.prefix = prefix_make(&at, 24)};
	}
	bgp_update_encode_reach(w, &out, FAM_IPV4, &a, nlri, per);
}

static void feed(struct rib_peer *p, const uint8_t *data, size_t len, bool ebgp)
{
	struct bgp_codec in = *rib_peer_codec(p);
	struct bgp_error err;
	struct bgp_msg m;
	int n;

	in.ebgp = ebgp;
	for (size_t at = 0; at < len; at += (size_t)n) {
		struct bgp_update u;

		n = bgp_msg_next(&m, data + at, len - at, BGP_MAX_MESSAGE, &err);
		if (n <= 0)
			abort();
		err = bgp_update_decode(&u, m.body, &in, &arena);
		if (err.action != BGP_OK)
			abort();
		rib_update(p, &u, false);
		arena_reset(&arena);
	}
}

static double settle(void)
{
	double began = cpu_now();

	do
		loop_turn(loop, false);
	while (rib_stats(rib).dirty);
	return cpu_now() - began;
}

static size_t pulled;

static double pull_all(struct rib_peer *p)
{
	struct slice s[16];
	double began = cpu_now();
	unsigned n;

	while ((n = rib_pull(p, s, 16))) {
		for (unsigned i = 0; i < n; i++) {
			pulled += s[i].len;
			buf_unref(s[i].buf);
		}
	}
	return cpu_now() - began;
}

static void on_nexthop(void *arg, const struct addr *nh, bool used)
{
	(void)arg;
	if (used)
		rib_nexthop_update(rib, nh, true, 1);
}

static void scene_begin(void)
{
	static const struct rib_conf conf = {.max_paths = 1, .deterministic_med = true};
	static const struct rib_sink sink = {.on_nexthop = on_nexthop};

	pulled = 0;
	rib = rib_new(loop, &conf, &sink, NULL);
	rib_release(rib, FAM_IPV4);
	rib_release(rib, FAM_IPV6);
}

static void report(const char *what, double seconds, unsigned routes)
{
	printf("  %-34s %8.3f s  %10.0f routes/s\n", what, seconds, routes / seconds);
}

static void bench_table(unsigned sets, unsigned per, bool receiver_first)
{
	unsigned routes = sets * per;
	uint8_t *batch = mem_alloc(BATCH * 512);
	struct addr next_hop = addr_from_u32(0x0a000001u);
	struct rib_peer *from, *to = NULL;
	double in = 0, decide = 0, began;
	size_t before, peak = 0;

	printf("table: %u prefixes, %u attribute sets, receiver %s\n", routes, sets,
	       receiver_first ? "up before" : "comes up after");
	before = resident();
	scene_begin();
	from = peer_add(1, true);
	if (receiver_first) {
		to = peer_add(2, false);
		pull_all(to);
	}
	for (unsigned set = 0; set < sets;) {
		struct wr w = wr_make(batch, BATCH * 512);

		for (unsigned i = 0; i < BATCH && set < sets; i++, set++)
			make_update(&w, set, per, &next_hop, true);
		began = cpu_now();
		feed(from, w.start, wr_len(&w), true);
		in += cpu_now() - began;
		decide += settle();
	}
	report("decode and store", in, routes);
	report("decide", decide, routes);
	if (!to)
		to = peer_add(2, false);
	decide = settle();
	report("encode for one receiver", pull_all(to), routes);
	peak = resident();
	printf("  %-34s %8.1f MB  %10.1f octets/route (RIB's own count %.1f MB), %zu octets sent\n", "resident",
	       (double)(peak - before) / 1e6, (double)(peak - before) / routes, (double)rib_stats(rib).bytes / 1e6,
	       pulled);
	rib_peer_down(from, 0);
	began = cpu_now();
	while (rib_peer_stats(from).best[FAM_IPV4] || rib_stats(rib).dirty)
		loop_turn(loop, false);
	report("sender goes down", cpu_now() - began, routes);
	report("encode withdrawals", pull_all(to), routes);
	rib_free(rib);
	free(batch);
}

static void bench_reflector(unsigned peers, unsigned each)
{
	struct rib_peer **p = mem_calloc(peers, sizeof *p);
	uint8_t *batch = mem_alloc(BATCH * 512);
	double in = 0, decide = 0, out = 0, began;
	size_t before = resident();

	printf("reflector: %u clients with %u routes each\n", peers, each);
	scene_begin();
	began = cpu_now();
	for (unsigned i = 0; i < peers; i++)
		p[i] = peer_add(i + 1, false);
	printf("  %-34s %8.3f s\n", "peers up", cpu_now() - began);
	for (unsigned i = 0; i < peers; i++) {
		struct wr w = wr_make(batch, BATCH * 512);
		struct addr next_hop = addr_from_u32(0x0a000001u + i);

		for (unsigned k = 0; k < each; k += 50)
			make_update(&w, (i * each + k) / 50, 50, &next_hop, false);
		began = cpu_now();
		feed(p[i], w.start, wr_len(&w), false);
		in += cpu_now() - began;
	}
	decide = settle();
	for (unsigned i = 0; i < peers; i++)
		out += pull_all(p[i]);
	report("decode and store", in, peers * each);
	report("decide", decide, peers * each);
	report("send to all, one after another", out, peers * each);
	printf("  %-34s %8.1f MB (RIB's own count %.1f MB), %zu octets sent\n", "resident",
	       (double)(resident() - before) / 1e6, (double)rib_stats(rib).bytes / 1e6, pulled);
	rib_free(rib);
	free(batch);
	free(p);
}

static void services_round(struct rib_peer **p, unsigned peers, unsigned round, bool add_path)
{
	double in = 0, decide = 0, out = 0, began;
	char what[40];

	for (unsigned i = 0; i < peers; i++) {
		struct addr next_hop = addr_from_u32(0x0a000001u + i);
		uint8_t path[2 + 4], bytes[1024];
		struct wr w = wr_make(bytes, sizeof bytes), aw = wr_make(path, sizeof path);
		struct bgp_attrs a = {
		    .present = 1u << BA_ORIGIN | 1u << BA_AS_PATH | 1u << BA_MED | 1u << BA_LOCAL_PREF,
		    .med = (i * 7 + round) % 1000,
		    .local_pref = 100,
		    .next_hop.addr = next_hop,
		};
		struct bgp_nlri nlri[20];

		wr_u8(&aw, BGP_AS_SEQUENCE);
		wr_u8(&aw, 1);
		wr_u32(&aw, 65001 + i % 10);
		a.as_path = (struct span){path, wr_len(&aw)};
		for (unsigned k = 0; k < 20; k++) {
			struct addr at = addr_from_u32(0x14000000u + (k << 8));

			nlri[k] = (struct bgp_nlri){.prefix = prefix_make(&at, 24)};
		}
		bgp_update_encode_reach(&w, &codec, FAM_IPV4, &a, nlri, 20);
		began = cpu_now();
		feed(p[i], bytes, wr_len(&w), false);
		in += cpu_now() - began;
	}
	decide = settle();
	for (unsigned i = 0; i < peers; i++)
		out += pull_all(p[i]);
	snprintf(what, sizeof what, "%s: decode and store", round ? "changes" : "first");
	report(what, in, peers * 20);
	report("  decide", decide, peers * 20);
	report(add_path ? "  send all paths to all" : "  send the best to all", out, peers * 20);
}

static void bench_services(unsigned peers, bool add_path)
{
	struct rib_peer **p = mem_calloc(peers, sizeof *p);
	size_t before = resident();

	printf("services: %u clients with the same 20 prefixes, %s\n", peers, add_path ? "ADD-PATH" : "best only");
	scene_begin();
	for (unsigned i = 0; i < peers; i++)
		p[i] = peer_add_paths(i + 1, false, false, add_path);
	for (unsigned round = 0; round < 2; round++)
		services_round(p, peers, round, add_path);
	printf("  %-34s %8.1f MB (RIB's own count %.1f MB), %zu octets sent\n", "resident",
	       (double)(resident() - before) / 1e6, (double)rib_stats(rib).bytes / 1e6, pulled);
	rib_free(rib);
	free(p);
}

enum paths_step { PATHS_FIRST, PATHS_CHANGE, PATHS_WITHDRAW };

/* The last path is the first one to be withdrawn. The loop turns after as many paths as one read brings. */
static void paths_round(struct rib_peer *p, unsigned paths, enum paths_step step)
{
	static const char *const names[] = {"first: decode and store", "changes: decode and store", "withdrawals"};
	struct addr at = addr_from_u32(0x14000000u), next_hop = addr_from_u32(0x0a000001u);
	struct bgp_attrs a = {.present = 1u << BA_ORIGIN | 1u << BA_AS_PATH | 1u << BA_LOCAL_PREF,
			      .local_pref = 100 + step,
			      .next_hop.addr = next_hop};
	struct bgp_codec out = codec;
	double in = 0, decide = 0;
	uint8_t bytes[4096];

	out.add_path_tx = 1u << FAM_IPV4;
	for (unsigned i = 0; i < paths; i += 100) {
		struct bgp_nlri nlri[100];
		struct wr w = wr_make(bytes, sizeof bytes);
		double began;

		for (unsigned k = 0; k < 100; k++)
			nlri[k] =
			    (struct bgp_nlri){prefix_make(&at, 24), step == PATHS_WITHDRAW ? paths - i - k : i + k + 1};
		if (step == PATHS_WITHDRAW)
			bgp_update_encode_unreach(&w, &out, FAM_IPV4, nlri, 100);
		else
			bgp_update_encode_reach(&w, &out, FAM_IPV4, &a, nlri, 100);
		began = cpu_now();
		feed(p, bytes, wr_len(&w), false);
		in += cpu_now() - began;
		if (i % 5000 == 4900)
			decide += settle();
	}
	report(names[step], in, paths);
	report("  decide", decide, paths);
}

static void bench_paths(unsigned paths)
{
	struct rib_peer *p;

	printf("paths: %u of one prefix\n", paths);
	scene_begin();
	p = peer_add_paths(1, false, true, false);
	for (int step = PATHS_FIRST; step <= PATHS_WITHDRAW; step++)
		paths_round(p, paths, (enum paths_step)step);
	if (rib_peer_received(p, FAM_IPV4))
		abort();
	rib_free(rib);
}

/* ---- The scenes by name ---- */

static void scene_reflector(unsigned clients)
{
	bench_reflector(clients, 100);
}

static void scene_services(unsigned clients)
{
	bench_services(clients, false);
	bench_services(clients, true);
}

static void scene_paths(unsigned paths)
{
	for (unsigned n = paths; n <= 8 * paths; n *= 2)
		bench_paths(n);
}

static void scene_table(unsigned sets)
{
	bench_table(sets, 5, false);
	bench_table(sets, 5, true);
}

static const struct {
	const char *name;
	void (*run)(unsigned size);
	unsigned size;
} scenes[] = {
    {"reflector", scene_reflector, 1000},
    {"services", scene_services, 1000},
    {"paths", scene_paths, 10000},
    {"table", scene_table, 200000},
};

int main(int argc, char **argv)
{
	loop = loop_new();
	for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++)
		if (argc < 2 || strcmp(argv[1], scenes[i].name) == 0)
			scenes[i].run(argc > 2 ? (unsigned)atoi(argv[2]) : scenes[i].size);
	arena_free(&arena);
	loop_free(loop);
	return 0;
}
