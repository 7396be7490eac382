/* Policies: each condition and operation, order, Calico's export filter, content equality field by field, and the index
 * against a plain walk over all rules. */
#include "tests/unit/rib/rig.h"

#include "rib/policy.h"
#include "rib/policy_ops.h"

static struct policy_input input(const char *prefix)
{
	return (struct policy_input){
	    .prefix = prefix_of(prefix), .source = SOURCE_BGP, .local_pref = 100, .ibgp = true};
}

static bool accepts(const struct policy_rule *rule, struct policy_input in)
{
	struct policy_rule r = *rule;
	struct policy *p;
	bool accept;

	r.action = RULE_ACCEPT;
	p = policy_new("one", &r, 1, RULE_REJECT);
	accept = policy_eval(p, &in).accept;
	policy_unref(p);
	return accept;
}

/* ---- Conditions ---- */

static const struct {
	enum match_operator op;
	const char *rule, *prefix;
	bool match;
} prefixes[] = {
    {MATCH_EQUAL, "10.0.0.0/16", "10.0.0.0/16", true},	   {MATCH_EQUAL, "10.0.0.0/16", "10.0.0.0/17", false},
    {MATCH_EQUAL, "10.0.0.0/16", "10.1.0.0/16", false},	   {MATCH_NOT_EQUAL, "10.0.0.0/16", "10.0.0.0/16", false},
    {MATCH_NOT_EQUAL, "10.0.0.0/16", "10.0.0.0/17", true}, {MATCH_IN, "10.0.0.0/16", "10.0.0.0/16", true},
    {MATCH_IN, "10.0.0.0/16", "10.0.255.0/26", true},	   {MATCH_IN, "10.0.0.0/16", "10.0.0.0/15", false},
    {MATCH_IN, "10.0.0.0/16", "10.1.0.0/26", false},	   {MATCH_IN, "0.0.0.0/0", "10.1.0.0/26", true},
    {MATCH_IN, "0.0.0.0/0", "fd00::/64", false},	   {MATCH_IN, "fd00::/16", "fd00:1::/64", true},
    {MATCH_NOT_IN, "10.0.0.0/16", "10.0.0.0/26", false},   {MATCH_NOT_IN, "10.0.0.0/16", "10.1.0.0/26", true},
    {MATCH_NOT_IN, "10.0.0.0/16", "fd00::/64", true},
};

START_TEST(test_prefix)
{
	struct policy_rule r = {.has_prefix = true, .prefix = prefix_of(prefixes[_i].rule), .op = prefixes[_i].op};

	ck_assert(accepts(&r, input(prefixes[_i].prefix)) == prefixes[_i].match);
}
END_TEST

START_TEST(test_lengths)
{
	struct policy_rule r = {.min_len = 24, .max_len = 26};

	ck_assert(!accepts(&r, input("10.0.0.0/23")));
	ck_assert(accepts(&r, input("10.0.0.0/24")));
	ck_assert(accepts(&r, input("10.0.0.0/26")));
	ck_assert(!accepts(&r, input("10.0.0.0/27")));
	/* An open end. */
	r.max_len = 0;
	ck_assert(accepts(&r, input("10.0.0.0/32")));
	ck_assert(!accepts(&r, input("10.0.0.0/8")));
	r = (struct policy_rule){.max_len = 8};
	ck_assert(accepts(&r, input("0.0.0.0/0")));
	ck_assert(!accepts(&r, input("10.0.0.0/9")));
}
END_TEST

START_TEST(test_sources)
{
	for (unsigned mask = 0; mask < 1u << SOURCE_COUNT; mask++) {
		struct policy_rule r = {.sources = (uint8_t)mask};

		for (unsigned s = 0; s < SOURCE_COUNT; s++) {
			struct policy_input in = input("10.0.0.0/26");

			in.source = (enum route_source)s;
			ck_assert(accepts(&r, in) == (mask == 0 || (mask >> s & 1)));
		}
	}
}
END_TEST

START_TEST(test_session)
{
	struct policy_input ibgp = input("10.0.0.0/26"), ebgp = ibgp;

	ebgp.ibgp = false;
	ck_assert(accepts(&(struct policy_rule){.ibgp_only = true}, ibgp));
	ck_assert(!accepts(&(struct policy_rule){.ibgp_only = true}, ebgp));
	ck_assert(!accepts(&(struct policy_rule){.ebgp_only = true}, ibgp));
	ck_assert(accepts(&(struct policy_rule){.ebgp_only = true}, ebgp));
}
END_TEST

START_TEST(test_elevated)
{
	struct policy_rule r = {.elevated_only = true, .priority = 1024};
	struct policy_input in = input("10.0.0.0/26");

	in.local_pref = 2147483647 - 512;
	ck_assert(accepts(&r, in));
	in.local_pref = 2147483647 - 1024;
	ck_assert(!accepts(&r, in));
	in.local_pref = 2147483647 - 1023;
	ck_assert(accepts(&r, in));
	in.local_pref = 100;
	ck_assert(!accepts(&r, in));
	in.local_pref = UINT32_MAX;
	ck_assert(accepts(&r, in));
}
END_TEST

/* ---- Order, results, operations ---- */

START_TEST(test_order_and_reasons)
{
	const struct policy_rule rules[] = {
	    {.has_prefix = true,
	     .prefix = prefix_of("10.0.0.0/26"),
	     .op = MATCH_EQUAL,
	     .action = RULE_ACCEPT,
	     .why = "block"},
	    {.has_prefix = true,
	     .prefix = prefix_of("10.0.0.0/26"),
	     .op = MATCH_IN,
	     .action = RULE_REJECT,
	     .why = "inside"},
	    {.has_prefix = true,
	     .prefix = prefix_of("10.0.0.0/16"),
	     .op = MATCH_IN,
	     .action = RULE_ACCEPT,
	     .why = "pool"},
	};
	struct policy *p = policy_new("export", rules, 3, RULE_REJECT);
	struct policy_input in;
	struct policy_result r;

	in = input("10.0.0.0/26");
	r = policy_eval(p, &in);
	ck_assert(r.accept && !r.changed && r.rule == 0);
	ck_assert_str_eq(r.why, "block");
	in = input("10.0.0.1/32");
	r = policy_eval(p, &in);
	ck_assert(!r.accept && r.rule == 1);
	ck_assert_str_eq(r.why, "inside");
	in = input("10.0.9.1/32");
	r = policy_eval(p, &in);
	ck_assert(r.accept && r.rule == 2);
	in = input("11.0.9.1/32");
	r = policy_eval(p, &in);
	ck_assert(!r.accept && r.rule == -1);
	ck_assert_str_eq(r.why, "no rule matched");
	ck_assert_str_eq(policy_name(p), "export");
	policy_unref(p);
	ck_assert(policy_eval(NULL, &in).accept);
	ck_assert_str_eq(policy_name(NULL), "");
}
END_TEST

static void ck_communities(const struct bgp_attrs *a, unsigned n, uint32_t first, uint32_t second)
{
	struct rd rd = rd_span(a->communities);

	ck_assert_uint_eq(a->communities.len, 4 * n);
	if (n > 0)
		ck_assert_uint_eq(rd_u32(&rd), first);
	if (n > 1)
		ck_assert_uint_eq(rd_u32(&rd), second);
}

START_TEST(test_operations)
{
	const struct policy_rule rules[] = {
	    {.action = RULE_CONTINUE, .add_community = 65000u << 16 | 1},
	    {.has_prefix = true,
	     .prefix = prefix_of("10.9.0.0/16"),
	     .op = MATCH_IN,
	     .action = RULE_CONTINUE,
	     .set_local_pref = true,
	     .local_pref = 7},
	    {.has_prefix = true,
	     .prefix = prefix_of("10.0.0.0/8"),
	     .op = MATCH_IN,
	     .action = RULE_ACCEPT,
	     .set_local_pref = true,
	     .local_pref = 500,
	     .add_community = 65000u << 16 | 2},
	    {.action = RULE_ACCEPT, .add_community = 65000u << 16 | 3},
	};
	struct policy *p = policy_new("ops", rules, 4, RULE_REJECT);
	struct policy_input in = input("10.1.0.0/26");
	struct bgp_attrs a = {.present = 0};
	struct arena arena = {0};

	ck_assert(policy_has_ops(p));
	ck_assert(policy_eval(p, &in).accept && policy_eval(p, &in).changed);
	policy_apply(p, &in, &a, &arena);
	ck_assert_uint_eq(a.present, 1u << BA_LOCAL_PREF | 1u << BA_COMMUNITIES);
	ck_assert_uint_eq(a.local_pref, 500);
	ck_communities(&a, 2, 65000u << 16 | 1, 65000u << 16 | 2);
	/* A community that is there is not added again; the last LOCAL_PREF stands. */
	in = input("10.9.0.0/26");
	policy_apply(p, &in, &a, &arena);
	ck_communities(&a, 2, 65000u << 16 | 1, 65000u << 16 | 2);
	ck_assert_uint_eq(a.local_pref, 500);
	/* Beyond the deciding rule nothing is applied. */
	a = (struct bgp_attrs){.present = 0};
	in = input("11.0.0.0/26");
	policy_apply(p, &in, &a, &arena);
	ck_assert_uint_eq(a.present, 1u << BA_COMMUNITIES);
	ck_communities(&a, 2, 65000u << 16 | 1, 65000u << 16 | 3);
	arena_free(&arena);
	policy_unref(p);
}
END_TEST

/* Equal numbers exactly where the same operations are done. */
START_TEST(test_ops_id)
{
	const struct policy_rule rules[] = {
	    {.has_prefix = true,
	     .prefix = prefix_of("10.1.0.0/16"),
	     .op = MATCH_IN,
	     .add_community = 1,
	     .action = RULE_CONTINUE},
	    {.has_prefix = true,
	     .prefix = prefix_of("10.0.0.0/8"),
	     .op = MATCH_IN,
	     .add_community = 2,
	     .action = RULE_CONTINUE},
	};
	struct policy *p = policy_new("ids", rules, 2, RULE_ACCEPT);
	struct policy_input a = input("10.1.0.0/26"), b = input("10.1.9.0/26"), c = input("10.2.0.0/26");
	struct policy_input d = input("11.0.0.0/8");

	ck_assert_uint_eq(policy_ops_id(p, &a), policy_ops_id(p, &b));
	ck_assert_uint_ne(policy_ops_id(p, &a), policy_ops_id(p, &c));
	ck_assert_uint_ne(policy_ops_id(p, &c), 0);
	ck_assert_uint_eq(policy_ops_id(p, &d), 0);
	ck_assert_uint_eq(policy_ops_id(NULL, &a), 0);
	ck_assert(!policy_has_ops(NULL));
	policy_unref(p);
}
END_TEST

/* Calico's export (reference: buildExportFilter): blocks, elevated routes inside them, nothing else inside, pools. */
START_TEST(test_calico_export)
{
	const struct policy_rule rules[] = {
	    {.has_prefix = true, .prefix = prefix_of("10.244.1.0/26"), .op = MATCH_EQUAL, .action = RULE_ACCEPT},
	    {.has_prefix = true,
	     .prefix = prefix_of("10.244.1.0/26"),
	     .op = MATCH_IN,
	     .elevated_only = true,
	     .priority = 1024,
	     .action = RULE_ACCEPT},
	    {.has_prefix = true, .prefix = prefix_of("10.244.1.0/26"), .op = MATCH_IN, .action = RULE_REJECT},
	    {.has_prefix = true, .prefix = prefix_of("10.244.0.0/16"), .op = MATCH_IN, .action = RULE_ACCEPT},
	};
	struct policy *p = policy_new("calico", rules, 4, RULE_REJECT);
	struct policy_input in = input("10.244.1.0/26");

	in.local_pref = 2147483647 - 1024;
	ck_assert(policy_eval(p, &in).accept);
	in.prefix = prefix_of("10.244.1.5/32");
	ck_assert(!policy_eval(p, &in).accept);
	in.local_pref = 2147483647 - 512;
	ck_assert(policy_eval(p, &in).accept);
	in.local_pref = 2147483647 - 1024;
	in.prefix = prefix_of("10.244.2.5/32"); /* borrowed */
	ck_assert(policy_eval(p, &in).accept);
	in.prefix = prefix_of("10.96.0.0/12");
	ck_assert(!policy_eval(p, &in).accept);
	policy_unref(p);
}
END_TEST

/* ---- Content ---- */

static struct policy_rule full_rule(void)
{
	return (struct policy_rule){
	    .has_prefix = true,
	    .prefix = prefix_of("10.0.0.0/16"),
	    .op = MATCH_IN,
	    .min_len = 20,
	    .max_len = 26,
	    .sources = 1,
	    .ibgp_only = true,
	    .elevated_only = true,
	    .priority = 9,
	    .action = RULE_ACCEPT,
	    .set_local_pref = true,
	    .local_pref = 3,
	    .add_community = 4,
	    .why = "because",
	};
}

/* Sets the i-th field to something else; false beyond the last. */
static bool change_field(struct policy_rule *r, int i)
{
	switch (i) {
	case 0:
		r->has_prefix = false;
		return true;
	case 1:
		r->prefix = prefix_of("10.0.0.0/17");
		return true;
	case 2:
		r->op = MATCH_NOT_IN;
		return true;
	case 3:
		r->min_len++;
		return true;
	case 4:
		r->max_len++;
		return true;
	case 5:
		r->sources = 2;
		return true;
	case 6:
		r->ibgp_only = false;
		return true;
	case 7:
		r->ebgp_only = true;
		return true;
	case 8:
		r->elevated_only = false;
		return true;
	case 9:
		r->priority++;
		return true;
	case 10:
		r->action = RULE_REJECT;
		return true;
	case 11:
		r->set_local_pref = false;
		return true;
	case 12:
		r->local_pref++;
		return true;
	case 13:
		r->add_community++;
		return true;
	case 14:
		r->why = "why not";
		return true;
	default:
		return false;
	}
}
#define RULE_FIELDS 15

START_TEST(test_content_field)
{
	struct policy_rule a = full_rule(), b = full_rule();
	char why[] = "because";
	struct policy *pa, *pb, *pc;

	a.why = why; /* copied: not the pointer counts */
	pa = policy_new("a", &a, 1, RULE_REJECT);
	memset(why, 'x', 3);
	pb = policy_new("another name", &b, 1, RULE_REJECT);
	ck_assert(policy_equal(pa, pb));
	ck_assert_uint_eq(policy_hash(pa), policy_hash(pb));
	ck_assert(change_field(&b, _i));
	pc = policy_new("a", &b, 1, RULE_REJECT);
	ck_assert(!policy_equal(pa, pc));
	policy_unref(pa);
	policy_unref(pb);
	policy_unref(pc);
}
END_TEST

START_TEST(test_content_whole)
{
	struct policy_rule rules[2] = {full_rule(), {.action = RULE_REJECT}};
	struct policy *a = policy_new("", rules, 2, RULE_REJECT), *b = policy_new("", rules, 1, RULE_REJECT);
	struct policy *c = policy_new("", rules, 2, RULE_ACCEPT), *d;

	rules[0].why = NULL;
	d = policy_new(NULL, rules, 2, RULE_REJECT);
	ck_assert(!change_field(&rules[0], RULE_FIELDS));
	ck_assert(!policy_equal(a, b) && !policy_equal(a, c) && !policy_equal(a, d));
	ck_assert(!policy_equal(a, NULL) && !policy_equal(NULL, a));
	ck_assert(policy_equal(NULL, NULL) && policy_equal(a, a));
	ck_assert_ptr_eq(policy_ref(a), a);
	policy_unref(a);
	policy_unref(a);
	policy_unref(b);
	policy_unref(c);
	policy_unref(d);
	policy_unref(NULL);
}
END_TEST

/* ---- The index ---- */

static unsigned rnd(unsigned *seed, unsigned n)
{
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 16) % n;
}

static struct prefix random_prefix(unsigned *seed)
{
	struct addr a = addr_from_u32(0x0a000000u | rnd(seed, 8) << 16 | rnd(seed, 4) << 8);

	if (rnd(seed, 4) == 0) {
		a = addr_of("fd00::");
		a.b[2] = (uint8_t)rnd(seed, 4);
		return prefix_make(&a, rnd(seed, 5) * 32);
	}
	return prefix_make(&a, rnd(seed, 5) * 8);
}

static struct policy_rule random_rule(unsigned *seed)
{
	struct policy_rule r = {
	    .has_prefix = rnd(seed, 8) != 0,
	    .prefix = random_prefix(seed),
	    .op = (enum match_operator)(rnd(seed, 6) ? (rnd(seed, 2) ? MATCH_EQUAL : MATCH_IN) : rnd(seed, 4)),
	    .sources = (uint8_t)(rnd(seed, 2) ? 0 : rnd(seed, 16)),
	    .action = (enum rule_action)rnd(seed, 3),
	    .add_community = rnd(seed, 3) ? 0 : rnd(seed, 100),
	};

	/* A catch-all early on would hide the rest. */
	if (!r.has_prefix || r.op == MATCH_NOT_EQUAL || r.op == MATCH_NOT_IN)
		r.action = RULE_CONTINUE;
	return r;
}

/* What policy_eval() must say, from policies of one rule each (too few for the index). */
static void check_against_walk(struct policy *const *single, const struct policy_rule *rules, unsigned n,
			       const struct policy *p, const struct policy_input *in)
{
	struct policy_result got = policy_eval(p, in);
	bool changed = false;

	for (unsigned i = 0; i < n; i++) {
		struct policy_result one = policy_eval(single[i], in);

		if (one.rule != 0)
			continue;
		changed |= rules[i].add_community != 0;
		if (rules[i].action == RULE_CONTINUE)
			continue;
		ck_assert_int_eq(got.rule, (int)i);
		ck_assert(got.accept == (rules[i].action == RULE_ACCEPT) && got.changed == changed);
		return;
	}
	ck_assert_int_eq(got.rule, -1);
	ck_assert(got.changed == changed);
}

START_TEST(test_index)
{
	enum { RULES = 200 };
	struct policy_rule rules[RULES];
	struct policy *single[RULES], *p;
	unsigned seed = (unsigned)_i + 1;

	for (unsigned i = 0; i < RULES; i++) {
		struct policy_rule decides;

		rules[i] = random_rule(&seed);
		decides = rules[i];
		decides.action = RULE_ACCEPT; /* rule 0 of the single one says that it matched */
		single[i] = policy_new("single", &decides, 1, RULE_REJECT);
	}
	p = policy_new("all", rules, RULES, RULE_ACCEPT);
	for (unsigned k = 0; k < 3000; k++) {
		struct policy_input in = {.prefix = random_prefix(&seed),
					  .source = (enum route_source)rnd(&seed, SOURCE_COUNT)};

		check_against_walk(single, rules, RULES, p, &in);
	}
	for (unsigned i = 0; i < RULES; i++)
		policy_unref(single[i]);
	policy_unref(p);
}
END_TEST

START_TEST(test_source_names)
{
	ck_assert_str_eq(route_source_name(SOURCE_BGP), "bgp");
	ck_assert_str_eq(route_source_name(SOURCE_BLOCK), "block");
	ck_assert_str_eq(route_source_name(SOURCE_WORKLOAD), "workload");
	ck_assert_str_eq(route_source_name(SOURCE_STATIC), "static");
	ck_assert_str_eq(route_source_name(SOURCE_COUNT), "unknown");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("policy");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_prefix, 0, sizeof prefixes / sizeof *prefixes);
	tcase_add_test(tc, test_lengths);
	tcase_add_test(tc, test_sources);
	tcase_add_test(tc, test_session);
	tcase_add_test(tc, test_elevated);
	tcase_add_test(tc, test_order_and_reasons);
	tcase_add_test(tc, test_operations);
	tcase_add_test(tc, test_ops_id);
	tcase_add_test(tc, test_calico_export);
	tcase_add_loop_test(tc, test_content_field, 0, RULE_FIELDS);
	tcase_add_test(tc, test_content_whole);
	tcase_add_loop_test(tc, test_index, 0, 5);
	tcase_add_test(tc, test_source_names);
	return run_suite(tc, "policy");
}
