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

/* With a prefix the operator asks for a range of prefixes, and its opposites for all that is not in it. */
static const struct {
	enum match_operator op;
	uint8_t min, max;
	const char *prefix;
	bool match;
} ranges[] = {
    {MATCH_IN, 24, 26, "10.0.1.0/24", true},	    {MATCH_IN, 24, 26, "10.0.1.0/27", false},
    {MATCH_NOT_IN, 24, 26, "10.0.1.0/27", true},    {MATCH_NOT_IN, 24, 26, "10.0.1.0/26", false},
    {MATCH_NOT_IN, 24, 26, "10.1.1.0/26", true},    {MATCH_EQUAL, 16, 16, "10.0.0.0/16", true},
    {MATCH_EQUAL, 24, 0, "10.0.0.0/16", false},	    {MATCH_NOT_EQUAL, 24, 0, "10.0.0.0/16", true},
    {MATCH_NOT_EQUAL, 8, 16, "10.0.0.0/16", false}, {MATCH_IN, 255, 0, "10.0.0.0/32", false},
    {MATCH_NOT_IN, 255, 0, "10.0.0.0/32", true},
};

START_TEST(test_ranges)
{
	struct policy_rule r = {.has_prefix = true,
				.prefix = prefix_of("10.0.0.0/16"),
				.op = ranges[_i].op,
				.min_len = ranges[_i].min,
				.max_len = ranges[_i].max};

	ck_assert(accepts(&r, input(ranges[_i].prefix)) == ranges[_i].match);
}
END_TEST

START_TEST(test_families)
{
	for (uint8_t families = 0; families < 4; families++) {
		struct policy_rule r = {.families = families};

		ck_assert(accepts(&r, input("10.0.0.0/8")) == (families != 2));
		ck_assert(accepts(&r, input("fd00::/64")) == (families != 1));
	}
}
END_TEST

static const struct {
	const char *pattern, *interface;
	bool match;
} interfaces[] = {
    {"eth0", "eth0", true},
    {"eth0", "eth01", false},
    {"eth0", "eth", false},
    {"eth*", "eth0", true},
    {"eth*", "eth", true},
    {"eth*", "xeth0", false},
    {"*", "", true},
    {"*", NULL, true},
    {"eth0", NULL, false},
    {"eth?", "eth0", true},
    {"eth?", "eth", false},
    {"*.cali", "bpf.cali", true},
    {"*.cali", ".cali", true},
    {"*.cali", "x.calico", false},
    {"a*b*c", "a1b2b3c", true},
    {"a*b*c", "a1b2b3", false},
    {"**", "x", true},
    {"bpf*.cali", "bpfin.cali", true},
};

START_TEST(test_interfaces)
{
	struct policy_rule r = {.interface = interfaces[_i].pattern};
	struct policy_input in = input("10.0.0.0/26");

	if (interfaces[_i].interface)
		strcpy(in.interface, interfaces[_i].interface);
	ck_assert_msg(accepts(&r, in) == interfaces[_i].match, "%s %s", interfaces[_i].pattern,
		      interfaces[_i].interface);
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

START_TEST(test_priority)
{
	struct policy_rule r = {.priority_match = PRIORITY_BETTER, .priority = 1024};
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
	/* Exactly this one. */
	r.priority_match = PRIORITY_EQUAL;
	ck_assert(!accepts(&r, in));
	in.local_pref = 2147483647 - 1024;
	ck_assert(accepts(&r, in));
	in.local_pref++;
	ck_assert(!accepts(&r, in));
	r.priority = 0;
	in.local_pref = INT32_MAX;
	ck_assert(accepts(&r, in));
	ck_assert_uint_eq(local_pref_of_priority(1024), 2147482623u);
	ck_assert_uint_eq(local_pref_of_priority(UINT32_MAX), 0);
}
END_TEST

/* A route with these communities and this AS_PATH; the table and the arena are the test's. */
static struct attrs *route_with(struct attrs_table *t, const uint32_t *communities, unsigned n, const uint32_t *large,
				const uint32_t *path)
{
	struct bgp_attrs a = {.present = 1u << BA_ORIGIN | 1u << BA_AS_PATH};
	uint8_t head[2] = {BGP_AS_SEQUENCE, 0};

	while (path[head[1]])
		head[1]++;
	a.as_path = words(path, 8, head, head[1] ? 2 : 0);
	if (n) {
		a.communities = words(communities, n, NULL, 0);
		a.present |= 1u << BA_COMMUNITIES;
	}
	if (large) {
		a.large_communities = words(large, 6, NULL, 0);
		a.present |= 1u << BA_LARGE_COMMUNITIES;
	}
	return attrs_intern(t, &a);
}

START_TEST(test_community)
{
	static const uint32_t standard[2] = {65001u << 16 | 7, BGP_COMMUNITY_NO_EXPORT};
	static const uint32_t large[6] = {65001, 1, 2, 65002, 3, 4};
	struct policy_rule r = {.has_community = true, .community = 65001u << 16 | 7};
	struct attrs_table *t = attrs_table_new();
	struct attrs *with = route_with(t, standard, 2, large, (uint32_t[]){65001, 0});
	struct attrs *without = route_with(t, NULL, 0, NULL, (uint32_t[]){65001, 0});
	struct policy_input in = input("10.0.0.0/26");

	ck_assert(!accepts(&r, in));
	in.attrs = without;
	ck_assert(!accepts(&r, in));
	in.attrs = with;
	ck_assert(accepts(&r, in));
	r.community = BGP_COMMUNITY_NO_EXPORT;
	ck_assert(accepts(&r, in));
	r.community = 65001u << 16 | 8;
	ck_assert(!accepts(&r, in));
	r = (struct policy_rule){.has_large_community = true, .large_community = {65002, 3, 4}};
	ck_assert(accepts(&r, in));
	/* Not across the border of two of them. */
	r = (struct policy_rule){.has_large_community = true, .large_community = {1, 2, 65002}};
	ck_assert(!accepts(&r, in));
	r = (struct policy_rule){.has_large_community = true, .large_community = {65002, 3, 5}};
	ck_assert(!accepts(&r, in));
	in.attrs = without;
	ck_assert(!accepts(&r, in));
	attrs_unref(t, with);
	attrs_unref(t, without);
	attrs_table_free(t);
	arena_free(&rig.arena);
}
END_TEST

/* What the path is, what stands before it on export, the beginning that is asked for. */
static const struct {
	uint32_t path[4];
	unsigned put;
	uint32_t begin[4];
	bool match;
} paths[] = {
    {{65001, 65002}, 0, {65001}, true},
    {{65001, 65002}, 0, {65001, 65002}, true},
    {{65001, 65002}, 0, {65002}, false},
    {{65001, 65002}, 0, {65001, 65002, 65003}, false},
    {{0}, 0, {65001}, false},
    {{65001}, 1, {64512, 65001}, true},
    {{65001}, 1, {65001}, false},
    {{65001}, 2, {64512, 64512, 65001}, true},
    {{65001}, 2, {64512}, true},
    {{65001}, 2, {64512, 65001}, false},
    {{0}, 1, {64512}, true},
    {{0}, 1, {64512, 64512}, false},
};

START_TEST(test_as_path)
{
	struct policy_rule r = {.as_path = paths[_i].begin};
	struct attrs_table *t = attrs_table_new();
	struct attrs *set = route_with(t, NULL, 0, NULL, paths[_i].path);
	struct policy_input in = input("10.0.0.0/26");

	while (r.as_path_len < 4 && r.as_path[r.as_path_len])
		r.as_path_len++;
	in.attrs = set;
	in.put_as = 64512;
	in.put_count = paths[_i].put;
	ck_assert(accepts(&r, in) == paths[_i].match);
	attrs_unref(t, set);
	attrs_table_free(t);
	arena_free(&rig.arena);
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

#define OPS(...)                                        \
	.ops = (const struct policy_op[]){__VA_ARGS__}, \
	.op_count = sizeof((const struct policy_op[]){__VA_ARGS__}) / sizeof(struct policy_op)

START_TEST(test_operations)
{
	const struct policy_rule rules[] = {
	    {.action = RULE_CONTINUE, OPS({OP_ADD_COMMUNITY, {65000u << 16 | 1}})},
	    {.has_prefix = true,
	     .prefix = prefix_of("10.9.0.0/16"),
	     .op = MATCH_IN,
	     .action = RULE_CONTINUE,
	     OPS({OP_SET_LOCAL_PREF, {7}})},
	    {.has_prefix = true,
	     .prefix = prefix_of("10.0.0.0/8"),
	     .op = MATCH_IN,
	     .action = RULE_ACCEPT,
	     OPS({OP_SET_LOCAL_PREF, {500}}, {OP_ADD_COMMUNITY, {65000u << 16 | 2}})},
	    {.action = RULE_ACCEPT, OPS({OP_ADD_COMMUNITY, {65000u << 16 | 3}})},
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

/* Every kind of operation there is, each alone on a route that has something already, and twice. */
static const struct {
	struct policy_op op;
	enum bgp_attr_id attribute;
	const char *once, *twice;
} every_op[OP_KIND_COUNT] = {
    {{OP_SET_LOCAL_PREF, {77}}, BA_LOCAL_PREF, "77", "77"},
    {{OP_ADD_COMMUNITY, {65000u << 16 | 1}}, BA_COMMUNITIES, "65001:7 65000:1", "65001:7 65000:1"},
    {{OP_ADD_LARGE_COMMUNITY, {1, 2, 3}}, BA_LARGE_COMMUNITIES, "9:8:7 1:2:3", "9:8:7 1:2:3"},
    {{OP_PREPEND_AS, {65000}}, BA_AS_PATH, "65000 65001", "65000 65000 65001"},
};

START_TEST(test_every_operation)
{
	static const uint32_t standard[1] = {65001u << 16 | 7}, large[4] = {9, 8, 7, 0};
	struct policy_op twice[2] = {every_op[_i].op, every_op[_i].op};
	struct policy_rule rule = {.action = RULE_ACCEPT, .ops = twice};
	const struct bgp_attr_row *row = &bgp_attr_table[every_op[_i].attribute];
	struct attrs_table *t = attrs_table_new();
	struct attrs *set = route_with(t, standard, 1, large, (uint32_t[]){65001, 0});
	struct policy_input in = input("10.0.0.0/26");

	ck_assert_int_eq(every_op[_i].op.kind, _i);
	for (rule.op_count = 1; rule.op_count <= 2; rule.op_count++) {
		struct policy *p = policy_new("p", &rule, 1, RULE_REJECT);
		struct strbuf text = {0};
		struct bgp_attrs a;

		attrs_get(set, &a);
		ck_assert(policy_eval(p, &in).changed && policy_has_ops(p));
		policy_apply(p, &in, &a, &rig.arena);
		row->format(&text, &a);
		ck_assert_str_eq(text.s, rule.op_count == 1 ? every_op[_i].once : every_op[_i].twice);
		strbuf_free(&text);
		policy_unref(p);
	}
	attrs_unref(t, set);
	attrs_table_free(t);
	arena_free(&rig.arena);
}
END_TEST

/* Equal numbers exactly where the same operations are done. */
START_TEST(test_ops_id)
{
	const struct policy_rule rules[] = {
	    {.has_prefix = true,
	     .prefix = prefix_of("10.1.0.0/16"),
	     .op = MATCH_IN,
	     OPS({OP_ADD_COMMUNITY, {1}}),
	     .action = RULE_CONTINUE},
	    {.has_prefix = true,
	     .prefix = prefix_of("10.0.0.0/8"),
	     .op = MATCH_IN,
	     OPS({OP_ADD_COMMUNITY, {2}}),
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
	     .priority_match = PRIORITY_BETTER,
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
	static const uint32_t path[2] = {65001, 65002};
	static const struct policy_op ops[2] = {{OP_SET_LOCAL_PREF, {3}}, {OP_ADD_LARGE_COMMUNITY, {1, 2, 3}}};

	return (struct policy_rule){
	    .families = 1,
	    .has_prefix = true,
	    .prefix = prefix_of("10.0.0.0/16"),
	    .op = MATCH_IN,
	    .min_len = 20,
	    .max_len = 26,
	    .sources = 1,
	    .ibgp_only = true,
	    .priority_match = PRIORITY_BETTER,
	    .priority = 9,
	    .has_community = true,
	    .community = 7,
	    .large_community = {1, 2, 3},
	    .as_path = path,
	    .as_path_len = 2,
	    .interface = "eth*",
	    .action = RULE_ACCEPT,
	    .ops = ops,
	    .op_count = 2,
	    .why = "because",
	};
}

/* One for each field of a rule: makes it something else. */
#define CHANGE(name, statement)                 \
	static void name(struct policy_rule *r) \
	{                                       \
		statement;                      \
	}
static const uint32_t other_path[2] = {65001, 65003};
static const struct policy_op other_ops[2] = {{OP_SET_LOCAL_PREF, {3}}, {OP_ADD_LARGE_COMMUNITY, {1, 2, 4}}};
static const struct policy_op other_kind[2] = {{OP_SET_LOCAL_PREF, {3}}, {OP_ADD_COMMUNITY, {1, 2, 3}}};
CHANGE(change_families, r->families = 3)
CHANGE(change_interface, r->interface = "eth?")
CHANGE(change_no_interface, r->interface = NULL)
CHANGE(change_has_prefix, r->has_prefix = false)
CHANGE(change_prefix, r->prefix = prefix_of("10.0.0.0/17"))
CHANGE(change_op, r->op = MATCH_NOT_IN)
CHANGE(change_min_len, r->min_len++)
CHANGE(change_max_len, r->max_len++)
CHANGE(change_sources, r->sources = 2)
CHANGE(change_ibgp, r->ibgp_only = false)
CHANGE(change_ebgp, r->ebgp_only = true)
CHANGE(change_priority_match, r->priority_match = PRIORITY_EQUAL)
CHANGE(change_priority, r->priority++)
CHANGE(change_has_community, r->has_community = false)
CHANGE(change_has_large, r->has_large_community = true)
CHANGE(change_community, r->community++)
CHANGE(change_large, r->large_community[2]++)
CHANGE(change_path, r->as_path = other_path)
CHANGE(change_path_len, r->as_path_len--)
CHANGE(change_action, r->action = RULE_REJECT)
CHANGE(change_ops, r->ops = other_ops)
CHANGE(change_op_kind, r->ops = other_kind)
CHANGE(change_op_count, r->op_count--)
CHANGE(change_why, r->why = "why not")
static void (*const changes[])(struct policy_rule *r) = {
    change_has_prefix,	  change_prefix,    change_op,	      change_min_len,	     change_max_len,
    change_sources,	  change_ibgp,	    change_ebgp,      change_priority_match, change_priority,
    change_has_community, change_has_large, change_community, change_large,	     change_path,
    change_path_len,	  change_action,    change_ops,	      change_op_kind,	     change_op_count,
    change_why,		  change_families,  change_interface, change_no_interface,
};
#define CHANGES (sizeof changes / sizeof *changes)

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
	changes[_i](&b);
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
	static const struct policy_op op = {OP_ADD_COMMUNITY, {1}};
	struct policy_rule r = {
	    .has_prefix = rnd(seed, 8) != 0,
	    .prefix = random_prefix(seed),
	    .op = (enum match_operator)(rnd(seed, 6) ? (rnd(seed, 2) ? MATCH_EQUAL : MATCH_IN) : rnd(seed, 4)),
	    .sources = (uint8_t)(rnd(seed, 2) ? 0 : rnd(seed, 16)),
	    .action = (enum rule_action)rnd(seed, 3),
	    .ops = &op,
	    .op_count = rnd(seed, 3) == 0,
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
		changed |= rules[i].op_count != 0;
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
	ck_assert_str_eq(route_source_name(SOURCE_SERVICE), "service");
	ck_assert_str_eq(route_source_name(SOURCE_COUNT), "unknown");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("policy");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_prefix, 0, sizeof prefixes / sizeof *prefixes);
	tcase_add_loop_test(tc, test_ranges, 0, sizeof ranges / sizeof *ranges);
	tcase_add_test(tc, test_families);
	tcase_add_loop_test(tc, test_interfaces, 0, sizeof interfaces / sizeof *interfaces);
	tcase_add_test(tc, test_lengths);
	tcase_add_test(tc, test_sources);
	tcase_add_test(tc, test_session);
	tcase_add_test(tc, test_priority);
	tcase_add_test(tc, test_community);
	tcase_add_loop_test(tc, test_as_path, 0, sizeof paths / sizeof *paths);
	tcase_add_test(tc, test_order_and_reasons);
	tcase_add_test(tc, test_operations);
	tcase_add_loop_test(tc, test_every_operation, 0, OP_KIND_COUNT);
	tcase_add_test(tc, test_ops_id);
	tcase_add_test(tc, test_calico_export);
	tcase_add_loop_test(tc, test_content_field, 0, CHANGES);
	tcase_add_test(tc, test_content_whole);
	tcase_add_loop_test(tc, test_index, 0, 5);
	tcase_add_test(tc, test_source_names);
	return run_suite(tc, "policy");
}
