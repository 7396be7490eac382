/* Makes a synthetic table in MRT format on standard output, for mrt_replay and for looking at dumps of any size: the
 * same table for the same options, everywhere.
 *
 *   mrt_generate [-4 COUNT] [-6 COUNT] [-s SETS] [-p PEERS] [-a AS] [-n NEXT_HOP ...]
 *
 * COUNT prefixes of each family (16.0.0.0/24 upwards, every eighth a shorter one; 2a00::/48 upwards), with SETS
 * (default: a fifth of the prefixes) lists of attributes as they are usual on the Internet: paths of 1 to 6 AS numbers,
 * MED, communities and large communities for some. PEERS (default 1) peers of AS (default 64512) say the same routes
 * with paths of their own. Next hops, one for each family, are 192.0.2.1 and 2001:db8::1 unless named. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bgp/mrt/mrt.h"

struct options {
	uint32_t count[FAM_COUNT], sets, as;
	unsigned peers;
	struct bgp_nexthop next_hop[FAM_COUNT];
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "mrt_generate: %s\n", what);
	exit(2);
}

/* A number that looks drawn at random, always the same for the same arguments (splitmix64). */
static uint32_t drawn(uint64_t a, uint64_t b)
{
	uint64_t x = (a << 32 ^ b) + 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return (uint32_t)(x >> 16);
}

/* Lists that are neighbours share no attribute but ORIGIN, mostly. The canonical form. */
static struct span make_attrs(struct wr *w, uint32_t set, unsigned peer, uint32_t as)
{
	uint32_t r = drawn(set, 1);
	unsigned hops = 1 + r % 6, n_communities = r >> 8 & 7, n_large = (r >> 16 & 15) == 0 ? 2 : 0;
	uint32_t path[8], communities[8], large[6];
	struct bgp_attrs a = {.origin = (r >> 20 & 15) ? BGP_ORIGIN_IGP : BGP_ORIGIN_INCOMPLETE};
	uint8_t bytes[3][64];
	struct wr p = wr_make(bytes[0], 64), c = wr_make(bytes[1], 64), l = wr_make(bytes[2], 64);

	a.present = 1u << BA_ORIGIN | 1u << BA_AS_PATH | 1u << BA_LOCAL_PREF;
	a.local_pref = 100 + peer;
	path[0] = as == 64512 ? 65000 + peer : as;
	for (unsigned i = 1; i < hops; i++)
		path[i] = i % 2 ? 200000 + drawn(set, 10 + i) % 200000 : 1 + drawn(set, 10 + i) % 60000;
	wr_u8(&p, BGP_AS_SEQUENCE);
	wr_u8(&p, (uint8_t)hops);
	for (unsigned i = 0; i < hops; i++)
		wr_u32(&p, path[i]);
	a.as_path = (struct span){p.start, wr_len(&p)};
	if (r & 1u << 24) {
		a.present |= 1u << BA_MED;
		a.med = r >> 12 & 1023;
	}
	for (unsigned i = 0; i < n_communities; i++)
		communities[i] = (path[0] & 0xffff) << 16 | (drawn(set, 30 + i) & 0xffff);
	for (unsigned i = 0; i < n_communities; i++)
		wr_u32(&c, communities[i]);
	a.communities = (struct span){c.start, wr_len(&c)};
	a.present |= n_communities ? 1u << BA_COMMUNITIES : 0;
	for (unsigned i = 0; i < 3 * n_large; i++)
		wr_u32(&l, large[i] = i % 3 ? drawn(set, 50 + i) : path[0]);
	a.large_communities = (struct span){l.start, wr_len(&l)};
	a.present |= n_large ? 1u << BA_LARGE_COMMUNITIES : 0;
	bgp_attrs_encode(w, &a, &bgp_codec_canonical, false);
	return (struct span){w->start, wr_len(w)};
}

static struct prefix make_prefix(enum family f, uint32_t i)
{
	struct addr a;

	if (f == FAM_IPV4) {
		a = addr_from_u32(0x10000000u + (i << 8));
		return prefix_make(&a, i % 8 ? 24 : 24 - (i / 8 % 4));
	}
	a = (struct addr){.af = AF_INET6, .b = {0x2a, 0}};
	a.b[2] = (uint8_t)(i >> 24);
	a.b[3] = (uint8_t)(i >> 16);
	a.b[4] = (uint8_t)(i >> 8);
	a.b[5] = (uint8_t)i;
	return prefix_make(&a, 48);
}

static void put(const struct wr *w)
{
	if (w->bad || fwrite(w->start, 1, wr_len(w), stdout) != wr_len(w))
		die("cannot write");
}

static void put_index(const struct options *o)
{
	struct mrt_peer *peers = mem_calloc(o->peers, sizeof *peers);
	size_t cap = 64 + o->peers * 32u;
	struct wr w = wr_make(mem_alloc(cap), cap);

	for (unsigned i = 0; i < o->peers; i++)
		peers[i] = (struct mrt_peer){addr_from_u32(0xc0000201 + i), 0xc0000201 + i, o->as};
	mrt_index_encode(&w, 1600000000, 0xc0000263, "synthetic", peers, o->peers);
	put(&w);
	free(w.start);
	free(peers);
}

/* Runs of prefixes share a list, as those of one origin do. */
static void put_routes(const struct options *o, enum family f, uint32_t *sequence)
{
	uint32_t sets = o->sets ? o->sets : o->count[f] / 5 + 1;
	size_t cap = MRT_RIB_HEAD + o->peers * (512u + MRT_ENTRY_MORE);
	uint8_t *out = mem_alloc(cap), attrs[512];

	for (uint32_t i = 0; i < o->count[f]; i++) {
		struct wr w = wr_make(out, cap);
		struct prefix prefix = make_prefix(f, i);
		struct mrt_rib_writer x = mrt_rib_open(&w, 1600000000, (*sequence)++, &prefix, false);

		for (unsigned p = 0; p < o->peers; p++) {
			struct wr a = wr_make(attrs, sizeof attrs);
			struct mrt_entry e = {.peer = (uint16_t)p, .time = 1600000000 - i % 86400};

			e.attrs = make_attrs(&a, (uint32_t)((uint64_t)i * sets / o->count[f]), p, o->as);
			mrt_rib_add(&w, &x, &e, &o->next_hop[f]);
		}
		mrt_rib_close(&w, &x);
		put(&w);
	}
	free(out);
}

static uint32_t number(const char *text, uint32_t max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (!*text || *end || n > max)
		die("a number that is none, or out of range");
	return (uint32_t)n;
}

static void parse(struct options *o, int argc, char **argv)
{
	struct addr a;
	int c;

	while ((c = getopt(argc, argv, "4:6:s:p:a:n:")) != -1) {
		if (c == '4')
			o->count[FAM_IPV4] = number(optarg, 7000000);
		else if (c == '6')
			o->count[FAM_IPV6] = number(optarg, UINT32_MAX);
		else if (c == 's')
			o->sets = number(optarg, UINT32_MAX);
		else if (c == 'p')
			o->peers = number(optarg, 250);
		else if (c == 'a')
			o->as = number(optarg, UINT32_MAX);
		else if (c == 'n' && addr_parse(&a, optarg))
			o->next_hop[family_of_af(a.af)].addr = a;
		else
			die("wrong options; the head of its source says which there are");
	}
	if (optind != argc)
		die("an argument too many");
}

int main(int argc, char **argv)
{
	struct options o = {.peers = 1, .as = 64512};
	uint32_t sequence = 0;

	addr_parse(&o.next_hop[FAM_IPV4].addr, "192.0.2.1");
	addr_parse(&o.next_hop[FAM_IPV6].addr, "2001:db8::1");
	parse(&o, argc, argv);
	put_index(&o);
	for (int f = 0; f < FAM_COUNT; f++)
		put_routes(&o, (enum family)f, &sequence);
	if (fflush(stdout) != 0)
		die("cannot write");
	return 0;
}
