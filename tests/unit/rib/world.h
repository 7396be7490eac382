/* What test_random.c does to a RIB, kept as inputs: peers, their settings, what each has sent. */
#ifndef TESTS_UNIT_RIB_WORLD_H
#define TESTS_UNIT_RIB_WORLD_H

#define HEARD 16384u
#include "tests/unit/rib/inbox.h"

#define PEERS 9u
#define PREFIXES_MAX 1400u
#define PATHS 3u /* that a peer may send of a prefix */
#define CLUSTER 0x09090909u
#define MARKS (65001u << 16)
#define ADDED (65000u << 16 | 999u)
#define PATH_MARKS 0x20000u

/* The path identifiers that peers use; without ADD-PATH there is but the first. */
static const uint32_t path_ids[PATHS] = {0, 7, UINT32_MAX};

struct input {
	bool there, stale, long_lived, marked;
	uint32_t sent_as; /* our path identifier, once somebody was told; 0: not known yet */
	struct spec s;
};

struct member {
	struct rib_peer *peer;
	struct rib_peer_conf conf;
	struct bgp_codec codec;
	unsigned number, import, export, self;
	bool knows_other;
	struct addr other; /* known when the session came up */
	uint32_t router_id;
	uint32_t mark; /* community of its routes; a peer that takes its place has another one */
	bool up;
	unsigned pace; /* of 8 steps, in how many it reads; 0: a sleeper that wakes up when all is judged */
	struct inbox *in;
	struct input input[PREFIXES_MAX][PATHS];
};

static struct world {
	uint64_t seed;
	unsigned prefixes, step;
	struct member m[PEERS];
	bool local[PREFIXES_MAX];
} * w;

static uint32_t rnd(uint32_t n)
{
	w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(w->seed >> 33) % n;
}

/* Policies tell prefixes apart by this. */
static unsigned kind_of(unsigned i)
{
	return i % 3;
}

static struct prefix prefix_at(unsigned i)
{
	uint8_t v6[16] = {0xfd, 0, 0, (uint8_t)kind_of(i)};
	struct addr a;

	if (i % 4 != 3) {
		a = addr_from_u32(0x0a640000u + (kind_of(i) << 16) + i);
		return prefix_make(&a, 32);
	}
	v6[14] = (uint8_t)(i >> 8);
	v6[15] = (uint8_t)i;
	a = addr_make(AF_INET6, v6);
	return prefix_make(&a, 128);
}

static enum family family_at(unsigned i)
{
	return i % 4 == 3 ? FAM_IPV6 : FAM_IPV4;
}

/* Rules for prefixes of one kind, both families. */
static unsigned kind_rules(struct policy_rule *rules, unsigned kind, struct policy_rule like)
{
	struct addr v4 = addr_from_u32(0x0a640000u + (kind << 16));
	struct addr v6 = addr_make(AF_INET6, (uint8_t[16]){0xfd, 0, 0, (uint8_t)kind});

	like.has_prefix = true;
	like.op = MATCH_IN;
	like.why = "kind";
	rules[0] = rules[1] = like;
	rules[0].prefix = prefix_make(&v4, 16);
	rules[1].prefix = prefix_make(&v6, 32);
	return 2;
}

/* Import: 1 rejects kind 1, 2 sets LOCAL_PREF 300 on kind 0. */
static struct policy *import_policy(unsigned i)
{
	static const struct policy_op to_300 = {OP_SET_LOCAL_PREF, {300}};
	struct policy_rule rules[2];
	unsigned n;

	if (i == 0)
		return NULL;
	if (i == 1)
		n = kind_rules(rules, 1, (struct policy_rule){.action = RULE_REJECT});
	else
		n = kind_rules(rules, 0, (struct policy_rule){.action = RULE_ACCEPT, .ops = &to_300, .op_count = 1});
	return policy_new("import", rules, n, RULE_ACCEPT);
}

/* Export: 1 rejects kind 1, 2 adds a community to kind 2, 3 does that and sets LOCAL_PREF 77 on kind 0. */
static struct policy *export_policy(unsigned i)
{
	static const struct policy_op add = {OP_ADD_COMMUNITY, {ADDED}}, to_77 = {OP_SET_LOCAL_PREF, {77}};
	struct policy_rule rules[4];
	unsigned n = 0;

	if (i == 0)
		return NULL;
	if (i == 1)
		n = kind_rules(rules, 1, (struct policy_rule){.action = RULE_REJECT});
	else
		n = kind_rules(rules, 2, (struct policy_rule){.action = RULE_CONTINUE, .ops = &add, .op_count = 1});
	if (i == 3)
		n +=
		    kind_rules(rules + n, 0, (struct policy_rule){.action = RULE_ACCEPT, .ops = &to_77, .op_count = 1});
	return policy_new("export", rules, n, RULE_ACCEPT);
}

#endif
