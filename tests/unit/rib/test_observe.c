/* Those who watch: single changes, and in any order whatever happens, what an observer has been told must be what is
 * there; what it was told of a peer's stream and what it found by walking must together be what the peer has. */
#include "daemon/base/hash.h"
#include "tests/unit/rib/inbox.h"

/* ---- Single changes ---- */

static struct {
	char log[1024];
	unsigned sent;
} notes;

static void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *fmt, ...)
{
	size_t len = strlen(notes.log);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(notes.log + len, sizeof notes.log - len, fmt, ap);
	va_end(ap);
}

static unsigned med_of(const struct attrs *a)
{
	return a ? a->med : 0;
}

static void note_route(void *arg, const struct rib_path *path, bool received, bool accepted)
{
	ck_assert_ptr_eq(arg, &notes);
	note("%s:", rib_peer_config(path->peer)->name);
	if (received)
		note(path->received ? "r%u" : "r-", med_of(path->received));
	if (accepted)
		note(path->accepted ? "a%u" : "a-", med_of(path->accepted));
	note(" ");
}

static void note_best(void *arg, const struct prefix *p, const struct rib_path *best)
{
	ck_assert_ptr_eq(arg, &notes);
	ck_assert(!best || (best->best && prefix_equal(&best->prefix, p)));
	note(best ? "best:%s " : "best:- ", best ? rib_peer_config(best->peer)->name : "");
}

static void note_sent(void *arg, struct rib_peer *p, const struct slice *s)
{
	(void)arg;
	(void)p;
	notes.sent += s->len;
}

static const struct rib_observer noting = {
    .arg = &notes, .on_route = note_route, .on_best = note_best, .on_sent = note_sent};

static void expect(const char *log)
{
	rig_settle();
	ck_assert_str_eq(notes.log, log);
	notes.log[0] = '\0';
}

static struct spec with_med(unsigned med)
{
	return (struct spec){.has_med = true, .med = med};
}

START_TEST(test_changes)
{
	static const struct policy_op to_700 = {OP_SET_LOCAL_PREF, {700}};
	struct policy_rule rule = {.has_prefix = true, .prefix = prefix_of("10.9.0.0/16"), .op = MATCH_IN};
	struct rib_peer_conf conf;
	struct rib_peer *one, *two;

	rig_begin();
	release_all();
	memset(&notes, 0, sizeof notes);
	one = peer_add(1, false);
	two = peer_add(2, false);
	rib_observe(rig.rib, &noting);

	announce(one, "10.9.0.0/24", with_med(1));
	expect("peer1:r1a1 best:peer1 ");
	announce(one, "10.9.0.0/24", with_med(1));
	expect("");
	ck_assert_uint_eq(rib_peer_stats(one).faults.duplicates, 1);
	announce(two, "10.9.0.0/24", with_med(2));
	expect("peer2:r2a2 ");
	announce(one, "10.9.0.0/24", with_med(3));
	expect("peer1:r3a3 best:peer2 ");

	/* Import policy: what was received stays, what was accepted goes, comes back and is another one. */
	conf = *rib_peer_config(two);
	rule.action = RULE_REJECT;
	conf.import = policy_new("reject", &rule, 1, RULE_ACCEPT);
	rib_peer_configure(two, &conf);
	policy_unref(conf.import);
	expect("peer2:a- best:peer1 ");
	ck_assert_uint_eq(rib_peer_stats(two).faults.by_policy, 0);
	announce(two, "10.9.0.0/24", with_med(4));
	expect("peer2:r4 ");
	ck_assert_uint_eq(rib_peer_stats(two).faults.by_policy, 1);
	conf.import = NULL;
	rib_peer_configure(two, &conf);
	expect("peer2:a4 ");
	rule.action = RULE_ACCEPT;
	rule.ops = &to_700;
	rule.op_count = 1;
	conf.import = policy_new("prefer", &rule, 1, RULE_ACCEPT);
	rib_peer_configure(two, &conf);
	policy_unref(conf.import);
	expect("peer2:a4 best:peer2 ");
	withdraw(two, "10.9.0.0/24");
	expect("peer2:r-a- best:peer1 ");
	withdraw(two, "10.9.0.0/24");
	expect("");
	ck_assert_uint_eq(rib_peer_stats(two).faults.duplicate_withdraws, 1);

	/* A refresh tells everything again, and what it leaves out is gone at its end. */
	announce(one, "10.9.1.0/24", with_med(5));
	expect("peer1:r5a5 best:peer1 ");
	rib_peer_mark_stale(one, FAM_IPV4);
	announce(one, "10.9.0.0/24", with_med(3));
	expect("peer1:r3a3 ");
	rib_peer_sweep(one, FAM_IPV4);
	expect("peer1:r-a- best:- ");
	rib_peer_down(one, 0);
	expect("peer1:r-a- best:- ");

	rib_observe(rig.rib, NULL);
	peer_up(one);
	announce(one, "10.9.0.0/24", with_med(3));
	expect("");
	rig_end();
}
END_TEST

START_TEST(test_faults)
{
	struct rib_faults f;
	struct rib_peer *p;
	struct rib_peer_conf conf = peer_conf(1, true);
	struct bgp_nlri_run run;
	struct bgp_update u = {.runs = 1, .end_of_rib = -1};
	uint8_t nlri[] = {8, 10, 8, 11, 8, 12};

	rig_begin();
	conf.cluster_id = 0x09090909;
	p = rib_peer_new(rig.rib, &conf, NULL);
	peer_up(p);
	announce(p, "10.1.0.0/24", (struct spec){.path = {65001, OUR_AS}});
	announce(p, "10.2.0.0/24", (struct spec){.path = {65001, OUR_AS}});
	announce(p, "10.3.0.0/24", (struct spec){.path = {65001}, .originator = OUR_ID});
	announce(p, "10.4.0.0/24", (struct spec){.path = {65001}, .clusters = {0x09090909}});
	announce(p, "10.5.0.0/24", (struct spec){.path = {65001}});
	run = (struct bgp_nlri_run){.family = FAM_IPV4, .nlri = {nlri, sizeof nlri}};
	u.run[0] = run;
	rib_update(p, &u, true);
	f = rib_peer_stats(p).faults;
	ck_assert_uint_eq(f.as_loops, 2);
	/* Attributes of RFC 4456 are not taken from another AS. */
	ck_assert_uint_eq(f.originators + f.clusters, 0);
	ck_assert_uint_eq(f.malformed, 1);
	ck_assert_uint_eq(f.malformed_prefixes, 3);
	rib_peer_down(p, 0);
	conf = peer_conf(2, false);
	conf.cluster_id = 0x09090909;
	p = rib_peer_new(rig.rib, &conf, NULL);
	peer_up(p);
	announce(p, "10.3.0.0/24", (struct spec){.originator = OUR_ID});
	announce(p, "10.4.0.0/24", (struct spec){.clusters = {0x09090909}});
	f = rib_peer_stats(p).faults;
	ck_assert_uint_eq(f.originators, 1);
	ck_assert_uint_eq(f.clusters, 1);
	rig_end();
}
END_TEST

/* ---- Anything in any order ---- */

#define PEERS 6u
#define PREFIXES 1500u

/* What a route looks like, by its contents: sets come and go, and pointers with them. */
struct look {
	uint64_t received, accepted;
};

struct watched {
	struct rib_peer *peer;
	struct rib_peer_conf conf;
	struct inbox *in, *seen; /* what it has itself; what was told of that */
	bool up, watching, walking;
	enum family f;
	uint64_t pos;
	struct look look[PREFIXES];
};

static struct scene {
	uint64_t seed;
	struct watched w[PEERS];
	uint64_t best[PREFIXES];
	unsigned walks, routes;
} * scene;

static uint32_t rnd(uint32_t n)
{
	scene->seed = scene->seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(scene->seed >> 33) % n;
}

static struct prefix prefix_at(unsigned i)
{
	struct addr v6 = addr_of("fd00::");

	if (i % 4)
		return host(i);
	v6 = addr_add(&v6, i);
	return prefix_make(&v6, 128);
}

static unsigned index_of(const struct prefix *p)
{
	struct addr base = addr_of("fd00::");
	unsigned i = p->addr.af == AF_INET ? addr_to_u32(&p->addr) & 0xffff : p->addr.b[14] * 256u + p->addr.b[15];

	ck_assert(p->addr.af == AF_INET || memcmp(p->addr.b, base.b, 14) == 0);
	ck_assert_uint_lt(i, PREFIXES);
	return i;
}

static uint64_t look_at(const struct attrs *a)
{
	return a ? hash_bytes(a->canonical, a->len) ^ hash_bytes(&a->next_hop, sizeof a->next_hop) : 0;
}

static struct watched *watched_of(const struct rib_peer *p)
{
	return rib_peer_arg(p);
}

static void see_route(void *arg, const struct rib_path *path, bool received, bool accepted)
{
	struct watched *w = watched_of(path->peer);
	struct look *l = w ? &w->look[index_of(&path->prefix)] : NULL;

	(void)arg;
	ck_assert(received || accepted);
	scene->routes++;
	if (!l)
		return;
	/* What is not said to have changed has not. */
	ck_assert(received || l->received == look_at(path->received));
	ck_assert(accepted || l->accepted == look_at(path->accepted));
	*l = (struct look){look_at(path->received), look_at(path->accepted)};
}

static void see_best(void *arg, const struct prefix *p, const struct rib_path *best)
{
	(void)arg;
	scene->best[index_of(p)] = best ? look_at(best->accepted) ^ hash_bytes(&best->peer, sizeof best->peer) : 0;
}

static void see_sent(void *arg, struct rib_peer *p, const struct slice *s)
{
	struct watched *w = watched_of(p);

	(void)arg;
	if (w->watching)
		inbox_slice(w->seen, s);
}

static const struct rib_observer seeing = {.on_route = see_route, .on_best = see_best, .on_sent = see_sent};

static void see_walked(void *arg, const struct slice *s)
{
	struct watched *w = arg;

	inbox_slice(w->seen, s);
}

static void watch_begin(struct watched *w)
{
	inbox_clear(w->seen);
	w->watching = w->walking = true;
	w->f = 0;
	w->pos = 0;
}

static void watch_step(struct watched *w)
{
	if (!w->walking || rib_walk_sent(w->peer, w->f, &w->pos, see_walked, w))
		return;
	w->pos = 0;
	w->walking = ++w->f < FAM_COUNT;
	scene->walks += !w->walking;
}

static void session_down(struct watched *w, uint8_t keep)
{
	rib_peer_down(w->peer, keep);
	inbox_clear(w->in);
	w->up = w->watching = w->walking = false;
}

static struct policy *some_policy(unsigned kind)
{
	static const struct policy_op to_300 = {OP_SET_LOCAL_PREF, {300}};
	struct policy_rule rule = {.has_prefix = true, .prefix = prefix_of("10.100.0.0/25"), .op = MATCH_IN};

	if (!kind)
		return NULL;
	rule.action = kind == 1 ? RULE_REJECT : RULE_ACCEPT;
	rule.ops = &to_300;
	rule.op_count = kind == 2;
	return policy_new("some", &rule, 1, RULE_ACCEPT);
}

static void reconfigure(struct watched *w)
{
	struct policy **which = rnd(2) ? &w->conf.import : &w->conf.export;

	policy_unref(*which);
	*which = some_policy(rnd(3));
	w->conf.next_hop_mode = rnd(2) ? RIB_NEXT_HOP_AUTO : RIB_NEXT_HOP_SELF;
	rib_peer_configure(w->peer, &w->conf);
}

static void act(struct watched *w)
{
	struct prefix p = prefix_at(rnd(PREFIXES));
	unsigned what = rnd(100);

	if (!w->up) {
		if (what < 20) {
			peer_up(w->peer);
			w->up = true;
		}
	} else if (what < 50) {
		announce_prefix(w->peer, &p,
				&(struct spec){.has_med = true, .med = 1 + rnd(200), .local_pref = 90 + rnd(20)},
				false);
	} else if (what < 60) {
		withdraw_prefix(w->peer, &p, 0, false);
	} else if (what < 63) {
		reconfigure(w);
	} else if (what < 64) {
		session_down(w, rnd(2) ? BOTH : 0);
	} else if (what < 66) {
		if (rnd(2))
			rib_peer_mark_stale(w->peer, rnd(FAM_COUNT));
		else
			rib_peer_sweep(w->peer, rnd(FAM_COUNT));
	} else if (what < 70) {
		watch_begin(w);
	} else if (what < 80) {
		watch_step(w);
	} else {
		inbox_pull(w->in, 1 + rnd(3));
	}
	if (rnd(3) == 0)
		loop_turn(rig.loop, false);
}

static unsigned found;

static void compare_path(void *arg, const struct rib_path *path)
{
	const struct watched *w = watched_of(path->peer);
	const struct look *l = &w->look[index_of(&path->prefix)];

	(void)arg;
	found++;
	ck_assert_uint_eq(l->received, look_at(path->received));
	ck_assert_uint_eq(l->accepted, look_at(path->accepted));
	if (path->best)
		ck_assert_uint_eq(scene->best[index_of(&path->prefix)],
				  look_at(path->accepted) ^ hash_bytes(&path->peer, sizeof path->peer));
}

static void compare_sent(struct watched *w)
{
	for (unsigned i = 0; i < PREFIXES; i++) {
		struct prefix p = prefix_at(i);
		const struct heard *a = inbox_slot(w->in, &p), *b = inbox_slot(w->seen, &p);

		ck_assert_msg(a->there == b->there && (!a->there || memcmp(&a->said, &b->said, sizeof a->said) == 0),
			      "%s, prefix %u: the peer has%s it, told%s", w->conf.name, i, a->there ? "" : " not",
			      b->there ? "" : " not");
	}
	ck_assert_uint_eq(w->in->known, w->seen->known);
}

static void judge(void)
{
	unsigned looks = 0;

	rig_settle();
	found = 0;
	for (int f = 0; f < FAM_COUNT; f++) {
		uint64_t pos = 0;

		while (rib_walk_paths(rig.rib, (enum family)f, &pos, 100, compare_path, NULL))
			;
	}
	for (unsigned i = 0; i < PEERS; i++) {
		struct watched *w = &scene->w[i];

		for (unsigned k = 0; k < PREFIXES; k++)
			looks += w->look[k].received != 0;
		while (w->walking)
			watch_step(w);
		if (!w->up)
			continue;
		inbox_drain(w->in);
		if (w->watching)
			compare_sent(w);
	}
	ck_assert_uint_eq(looks, found);
}

START_TEST(test_any_order)
{
	rig_begin();
	release_all();
	scene = mem_calloc(1, sizeof *scene);
	scene->seed = (uint64_t)_i * 77 + 5;
	rib_observe(rig.rib, &seeing);
	for (unsigned i = 0; i < PEERS; i++) {
		struct watched *w = &scene->w[i];

		w->conf = peer_conf(i + 1, i == PEERS - 1);
		w->conf.rr_client = i < 3;
		w->peer = rib_peer_new(rig.rib, &w->conf, w);
		w->in = inbox_new(w->peer);
		w->seen = inbox_new(w->peer);
	}
	for (unsigned round = 0; round < 6; round++) {
		for (unsigned n = 0; n < 2500; n++)
			act(&scene->w[rnd(PEERS)]);
		judge();
	}
	ck_assert_uint_gt(scene->walks, 15);
	ck_assert_uint_gt(scene->routes, 1500);
	for (unsigned i = 0; i < PEERS; i++) {
		policy_unref(scene->w[i].conf.import);
		policy_unref(scene->w[i].conf.export);
		inbox_free(scene->w[i].in);
		inbox_free(scene->w[i].seen);
	}
	free(scene);
	rig_end();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("observe");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_changes);
	tcase_add_test(tc, test_faults);
	tcase_add_loop_test(tc, test_any_order, 0, 2);
	return run_suite(tc, "observe");
}
