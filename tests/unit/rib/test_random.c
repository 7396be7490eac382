/* Anything in any order: peers come, go, announce, withdraw, change their settings and read at their own pace. Whenever
 * everything is quiet, what each has made of its stream must be what a simple model computes from the inputs alone. */
#include "tests/unit/rib/model.h"

/* ---- What was told, compared ---- */

static void said_print(const char *name, const struct said *s)
{
	char nh[ADDR_STRLEN];

	fprintf(stderr, "  %s: next hop %s, origin %u, med %d %u, local_pref %d %u, originator %x, path", name,
		addr_format(&s->next_hop, nh), s->origin, s->has_med, s->med, s->has_local_pref, s->local_pref,
		s->originator);
	for (unsigned i = 0; i < SAID_WORDS && s->path[i]; i++)
		fprintf(stderr, " %u", s->path[i]);
	fputs(", clusters", stderr);
	for (unsigned i = 0; i < SAID_WORDS && s->clusters[i]; i++)
		fprintf(stderr, " %x", s->clusters[i]);
	fputs(", communities", stderr);
	for (unsigned i = 0; i < SAID_WORDS && s->communities[i]; i++)
		fprintf(stderr, " %x", s->communities[i]);
	fputc('\n', stderr);
}

static bool said_equal(const struct said *a, const struct said *b)
{
	return addr_equal(&a->next_hop, &b->next_hop) && a->origin == b->origin && a->has_med == b->has_med &&
	       a->has_local_pref == b->has_local_pref && a->has_originator == b->has_originator && a->med == b->med &&
	       a->local_pref == b->local_pref && a->originator == b->originator &&
	       memcmp(a->path, b->path, sizeof a->path) == 0 &&
	       memcmp(a->clusters, b->clusters, sizeof a->clusters) == 0 &&
	       memcmp(a->communities, b->communities, sizeof a->communities) == 0;
}

/* Heard of one prefix, linked through places in inbox.heard. */
struct shelf {
	unsigned first[PREFIXES_MAX], next[HEARD]; /* place plus one; 0 ends */
};

static unsigned prefix_number(const struct prefix *p)
{
	if (p->addr.af == AF_INET)
		return addr_to_u32(&p->addr) & 0xffff;
	return (unsigned)p->addr.b[14] << 8 | p->addr.b[15];
}

static void shelve(const struct inbox *in, struct shelf *shelf)
{
	memset(shelf, 0, sizeof *shelf);
	for (unsigned i = 0; i < HEARD; i++) {
		unsigned *first;

		if (!in->heard[i].there)
			continue;
		first = &shelf->first[prefix_number(&in->heard[i].prefix)];
		shelf->next[i] = *first;
		*first = i + 1;
	}
}

static const struct heard *shelf_take(const struct inbox *in, struct shelf *shelf, unsigned i, const struct said *said)
{
	for (unsigned *at = &shelf->first[i]; *at; at = &shelf->next[*at - 1]) {
		const struct heard *h = &in->heard[*at - 1];

		if (said_equal(&h->said, said)) {
			*at = shelf->next[*at - 1];
			return h;
		}
	}
	return NULL;
}

static void judge_prefix(struct member *m, unsigned i, struct shelf *shelf, const struct told *told, unsigned n)
{
	struct prefix p = prefix_at(i);
	char text[PREFIX_STRLEN];
	bool wrong = false;

	for (unsigned k = 0; k < n; k++) {
		const struct heard *h = shelf_take(m->in, shelf, i, &told[k].said);
		struct input *in = told[k].c.in;

		if (!h)
			said_print("lacks", &told[k].said);
		wrong |= !h;
		if (!h || !in || !in->marked || !h->path_id)
			continue;
		/* The same for everybody, and as long as the route is there. */
		ck_assert_msg(!in->sent_as || in->sent_as == h->path_id, "path identifier %u became %u", in->sent_as,
			      h->path_id);
		in->sent_as = h->path_id;
	}
	for (unsigned at = shelf->first[i]; at; at = shelf->next[at - 1]) {
		said_print("has", &m->in->heard[at - 1].said);
		wrong = true;
	}
	ck_assert_msg(!wrong, "step %u, %s, %s: what was sent is not what the rules say", w->step, m->conf.name,
		      prefix_format(&p, text));
}

static unsigned judge_member(struct member *m)
{
	static struct shelf shelf;
	struct told told[CHOICES];
	unsigned count = 0;

	shelve(m->in, &shelf);
	for (unsigned i = 0; i < w->prefixes; i++) {
		unsigned n = model_told(m, i, told);

		judge_prefix(m, i, &shelf, told, n);
		count += n;
	}
	return count;
}

/* Everything comes to rest, everybody reads, all is compared. */
static void judge(void)
{
	bool more;

	do {
		rig_settle();
		more = false;
		for (unsigned i = 0; i < PEERS; i++)
			if (w->m[i].up)
				more |= inbox_pull(w->m[i].in, 16) || !rib_peer_stats(w->m[i].peer).up_to_date;
	} while (more);
	for (unsigned i = 0; i < PEERS; i++) {
		struct member *m = &w->m[i];

		if (!m->up)
			continue;
		ck_assert_uint_eq(judge_member(m), m->in->known);
		ck_assert_msg(m->in->lost == 0, "%s: a refresh lost %u routes", m->conf.name, m->in->lost);
		for (int f = 0; f < FAM_COUNT; f++) {
			ck_assert_uint_eq(m->in->end_of_rib[f], 1);
			ck_assert(!m->in->refreshing[f]);
		}
	}
}

/* ---- Operations ---- */

static bool receives_paths(const struct member *m, unsigned i)
{
	return m->codec.add_path_rx >> family_at(i) & 1;
}

static void input_end(struct input *in)
{
	in->there = in->stale = in->long_lived = false;
	in->sent_as = 0;
}

static void do_announce(struct member *m, unsigned i, unsigned path)
{
	struct input *in = &m->input[i][path];
	static const char *const next_hops[FAM_COUNT][6] = {
	    {NULL, NULL, "10.9.0.1", "10.0.0.3", "10.0.0.6", "10.0.0.8"},
	    {NULL, NULL, NULL, "2001:db8::3", "2001:db8::6", "2001:db8::8"},
	};
	static const uint32_t well_known[] = {BGP_COMMUNITY_NO_EXPORT,	BGP_COMMUNITY_NO_ADVERTISE,
					      BGP_COMMUNITY_BLACKHOLE,	BGP_COMMUNITY_GRACEFUL_SHUTDOWN,
					      BGP_COMMUNITY_LLGR_STALE, BGP_COMMUNITY_NO_LLGR};
	struct spec s = {.origin = (uint8_t)rnd(2), .has_med = rnd(3) == 0, .path_id = path_ids[path]};
	struct prefix p = prefix_at(i);
	unsigned hops = m->conf.ebgp + rnd(3), n = 0;
	bool marked = rnd(3);

	for (unsigned k = 0; k < hops; k++)
		s.path[k] = k == 0 && m->conf.ebgp && rnd(2) ? m->conf.remote_as : 64600 + rnd(2);
	s.med = s.has_med ? 1 + rnd(2) : 0;
	if (!m->conf.ebgp) {
		s.local_pref = rnd(4) ? 0 : 90 + rnd(20);
		s.originator = rnd(5) ? 0 : 0x0a0a0a00u + rnd(3);
		s.clusters[0] = s.originator ? 0x05050505u : 0;
	}
	/* Without marks, routes of several peers may look the same to others. */
	if (marked) {
		s.communities[n++] = m->mark;
		s.communities[n++] = PATH_MARKS + path;
	}
	if (rnd(6) == 0)
		s.communities[n] = well_known[rnd(6)];
	else if (w->prefixes > 100)
		s.communities[n] = 0x10000u + i; /* many different sets: many chunks */
	s.next_hop = next_hops[family_at(i)][rnd(6)];
	announce_prefix(m->peer, &p, &s, receives_paths(m, i));
	*in = (struct input){.there = true, .marked = marked, .sent_as = in->there ? in->sent_as : 0, .s = s};
}

static void op_announce(struct member *m)
{
	unsigned i = rnd(w->prefixes), n = 1 + rnd(w->prefixes / 8);

	for (; m->up && n--; i = (i + 1) % w->prefixes)
		do_announce(m, i, receives_paths(m, i) ? rnd(PATHS) : 0);
}

static void op_withdraw(struct member *m)
{
	unsigned i = rnd(w->prefixes), n = 1 + rnd(w->prefixes / 8);

	for (; m->up && n--; i = (i + 1) % w->prefixes) {
		unsigned path = receives_paths(m, i) ? rnd(PATHS) : 0;
		struct prefix p = prefix_at(i);

		withdraw_prefix(m->peer, &p, path_ids[path], receives_paths(m, i));
		input_end(&m->input[i][path]);
	}
}

static void op_local(struct member *m)
{
	unsigned i = rnd(w->prefixes);
	struct prefix p = prefix_at(i);

	(void)m;
	w->local[i] = !w->local[i];
	if (w->local[i])
		rib_local_set(rig.rib, &p, SOURCE_BLOCK, 1024);
	else
		rib_local_unset(rig.rib, &p);
}

static void selves(const struct member *m, struct bgp_nexthop self[FAM_COUNT])
{
	memset(self, 0, FAM_COUNT * sizeof *self);
	for (int f = 0; f < FAM_COUNT; f++)
		self[f].addr = self_of(m, (enum family)f);
}

static void member_up(struct member *m)
{
	struct bgp_nexthop self[FAM_COUNT];

	selves(m, self);
	inbox_clear(m->in);
	m->in->peer = m->peer;
	m->in->not_for_me = m->mark;
	/* What was negotiated may be something else each time; paths kept over a restart keep their identifiers. */
	if (rnd(2))
		m->codec.add_path_tx = rnd(2) ? BOTH : (uint8_t)rnd(4);
	if (rnd(2))
		m->codec.add_path_rx = (uint8_t)rnd(4);
	if (rnd(2))
		m->codec.llgr = !m->codec.llgr;
	m->in->codec = m->codec;
	if (rnd(3) == 0)
		m->router_id = 0x0b000000u + rnd(4);
	m->other = m->conf.other;
	rib_peer_up(m->peer, &m->codec, m->router_id, self);
	m->up = true;
}

static void inputs_age(struct member *m, uint8_t keep)
{
	for (unsigned i = 0; i < w->prefixes * PATHS; i++) {
		struct input *in = &m->input[i / PATHS][i % PATHS];

		if (keep >> family_at(i / PATHS) & 1)
			in->stale = in->there;
		else
			input_end(in);
	}
}

static void op_bounce(struct member *m)
{
	uint8_t keep = (uint8_t)rnd(4);

	if (m->up) {
		rib_peer_down(m->peer, keep);
		m->up = false;
		inputs_age(m, keep);
		if (rnd(2))
			return;
	}
	member_up(m);
}

static void inputs_sweep(struct member *m, enum family f)
{
	for (unsigned i = 0; i < w->prefixes * PATHS; i++)
		if (family_at(i / PATHS) == f && m->input[i / PATHS][i % PATHS].stale)
			input_end(&m->input[i / PATHS][i % PATHS]);
}

static void op_sweep(struct member *m)
{
	enum family f = (enum family)rnd(FAM_COUNT);

	rib_peer_sweep(m->peer, f);
	inputs_sweep(m, f);
}

/* What is stale is so for long. */
static void op_long(struct member *m)
{
	enum family f = (enum family)rnd(FAM_COUNT);

	rib_peer_long_lived(m->peer, f);
	for (unsigned i = 0; i < w->prefixes * PATHS; i++) {
		struct input *in = &m->input[i / PATHS][i % PATHS];

		if (family_at(i / PATHS) != f || !in->stale)
			continue;
		in->long_lived = true;
		if (model_has(&in->s, BGP_COMMUNITY_NO_LLGR))
			input_end(in);
	}
}

/* The peer refreshes everything it has, or forgets some. */
static void op_refresh_in(struct member *m)
{
	if (!m->up)
		return;
	rib_peer_mark_stale(m->peer, FAM_IPV4);
	for (unsigned i = 0; i < w->prefixes * PATHS; i++) {
		struct input *in = &m->input[i / PATHS][i % PATHS];

		if (family_at(i / PATHS) != FAM_IPV4 || !in->there)
			continue;
		in->stale = true;
		if (rnd(8) && (i % PATHS == 0 || receives_paths(m, i / PATHS)))
			do_announce(m, i / PATHS, i % PATHS);
	}
	rib_peer_sweep(m->peer, FAM_IPV4);
	inputs_sweep(m, FAM_IPV4);
}

static void op_refresh_out(struct member *m)
{
	rib_peer_resend(m->peer, (enum family)rnd(FAM_COUNT), rnd(2));
}

static void configure(struct member *m)
{
	struct addr base = addr_of("2001:db8::");

	/* Of some, the IPv6 address is known that they use on this session. */
	m->conf.other = m->knows_other ? addr_add(&base, m->number) : (struct addr){0};
	m->conf.import = import_policy(m->import);
	m->conf.export = export_policy(m->export);
	if (m->peer)
		rib_peer_configure(m->peer, &m->conf);
	else
		m->peer = rib_peer_new(rig.rib, &m->conf, m);
	policy_unref(m->conf.import);
	policy_unref(m->conf.export);
	m->conf.import = m->conf.export = NULL;
}

static void op_other(struct member *m)
{
	m->knows_other = !m->knows_other;
	configure(m);
}

static void op_import(struct member *m)
{
	m->import = rnd(3);
	configure(m);
}

static void op_export(struct member *m)
{
	m->export = rnd(4);
	if (rnd(3) == 0)
		m->conf.next_hop_mode = rnd(3);
	if (rnd(3) == 0)
		m->conf.add_path_limit = rnd(4);
	configure(m);
}

/* Routes that are to be used last, by others and by us, and longer paths. */
static void op_last(struct member *m)
{
	m->conf.prepend = rnd(2) ? 0 : rnd(3);
	m->conf.graceful_shutdown = rnd(3) == 0;
	m->conf.avoid = rnd(3) == 0;
	m->conf.honour_graceful_shutdown = rnd(3);
	configure(m);
}

static void op_client(struct member *m)
{
	m->conf.rr_client = !m->conf.ebgp && rnd(2);
	configure(m);
}

static void op_self(struct member *m)
{
	struct bgp_nexthop self[FAM_COUNT];

	m->self = rnd(2);
	selves(m, self);
	rib_peer_self(m->peer, self);
}

/* Another peer in its place: the index is used again. */
static void op_replace(struct member *m)
{
	rib_peer_free(m->peer);
	m->peer = NULL;
	m->up = false;
	m->mark += PEERS;
	memset(m->input, 0, sizeof m->input);
	configure(m);
	if (rnd(3))
		member_up(m);
}

static void op_pace(struct member *m)
{
	m->pace = rnd(4) ? rnd(9) : 0;
}

static void op_judge(struct member *m)
{
	(void)m;
	judge();
}

static const struct {
	unsigned weight;
	void (*op)(struct member *m);
} ops[] = {
    {400, op_announce}, {200, op_withdraw}, {100, op_local},	  {20, op_bounce}, {10, op_sweep},  {10, op_long},
    {16, op_last},	{4, op_refresh_in}, {20, op_refresh_out}, {8, op_import},  {24, op_export}, {8, op_client},
    {8, op_self},	{8, op_replace},    {4, op_other},	  {12, op_pace},   {6, op_judge},
};

static void one_step(void)
{
	unsigned total = 0, pick, i = 0;

	for (unsigned k = 0; k < sizeof ops / sizeof *ops; k++)
		total += ops[k].weight;
	for (pick = rnd(total); pick >= ops[i].weight; i++)
		pick -= ops[i].weight;
	ops[i].op(&w->m[rnd(PEERS)]);
	for (unsigned turns = rnd(3); turns; turns--)
		loop_turn(rig.loop, false);
	for (unsigned k = 0; k < PEERS; k++)
		if (w->m[k].up && rnd(8) < w->m[k].pace)
			inbox_pull(w->m[k].in, 1 + rnd(3));
}

static void world_begin(uint64_t seed, unsigned prefixes)
{
	w = mem_calloc(1, sizeof *w);
	w->seed = seed;
	w->prefixes = prefixes;
	for (unsigned i = 0; i < PEERS; i++) {
		struct member *m = &w->m[i];

		m->number = i + 1;
		m->mark = MARKS + i;
		m->router_id = m->number;
		m->conf = peer_conf(m->number, i < 3);
		m->conf.rr_client = i >= 6;
		m->conf.cluster_id = CLUSTER;
		m->pace = i;
		m->knows_other = i % 2;
		configure(m);
		m->codec = peer_codec(m->peer);
		/* Most share groups; one is an old peer, one takes long messages. */
		m->codec.as4 = i != 2;
		m->codec.max_message = i == 8 ? BGP_MAX_EXTENDED : BGP_MAX_MESSAGE;
		m->in = inbox_new(m->peer);
		member_up(m);
	}
}

static void world_end(void)
{
	for (unsigned i = 0; i < PEERS; i++) {
		rib_peer_free(w->m[i].peer);
		inbox_free(w->m[i].in);
	}
	for (unsigned i = 0; i < w->prefixes; i++) {
		struct prefix p = prefix_at(i);

		rib_local_unset(rig.rib, &p);
	}
	free(w);
}

/* Seed, prefixes, steps. With many prefixes a walk takes several chunks, and members are in the middle of them. */
static const struct {
	uint64_t seed;
	unsigned prefixes, steps;
} runs[] = {{1, 8, 3000}, {2, 24, 3000}, {3, 24, 3000}, {4, 64, 2000}, {5, PREFIXES_MAX, 250}, {6, PREFIXES_MAX, 250}};

START_TEST(test_random)
{
	uint64_t seed = runs[_i].seed;
	const char *other = getenv("SEED");
	struct rib_stats s;

	if (other)
		seed = strtoull(other, NULL, 10) * 8 + (unsigned)_i;
	printf("seed %llu, %u prefixes, %u steps\n", (unsigned long long)seed, runs[_i].prefixes, runs[_i].steps);
	fflush(stdout);
	rig_begin();
	for (int f = 0; f < FAM_COUNT; f++)
		rib_release(rig.rib, (enum family)f);
	world_begin(seed, runs[_i].prefixes);
	for (w->step = 0; w->step < runs[_i].steps; w->step++)
		one_step();
	judge();
	/* All gone: nothing is left behind. */
	world_end();
	rig_settle();
	s = rib_stats(rig.rib);
	ck_assert_uint_eq(s.groups, 0);
	ck_assert_uint_eq(s.next_hops, 0);
	ck_assert_uint_eq(s.attrs, 0);
	for (int f = 0; f < FAM_COUNT; f++) {
		ck_assert_uint_eq(s.routes[f], 0);
		ck_assert_uint_eq(s.prefixes[f], 0);
	}
	rig_end();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("random");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, test_random, 0, sizeof runs / sizeof *runs);
	return run_suite(tc, "anything in any order");
}
