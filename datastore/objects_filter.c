/* BGPFilter: its tables, and what a rule must be to mean something. */
#include "datastore/kinds.h"
#include "datastore/rows.h"

#define OPERATIONS_MAX 10
#define PREPEND_MAX 10
#define RULES_MAX 4096

/* clang-format off */
static const struct schema_row operation_rows[] = {
	{.path = "addCommunity.value", .type = &schema_community, TAKEN(filter_operation, add_community)},
	{.path = "prependASPath.prefix", .type = &schema_as_list, .max = PREPEND_MAX, TAKEN(filter_operation, prepend),
	 .second = offsetof(struct filter_operation, prepend_count)},
	{.path = "setPriority.value", .type = &schema_uint, .min = 1, .max = 2147483646,
	 TAKEN(filter_operation, set_priority)},
};

static const struct schema_name operator_names[] = {
	{"Equal", FILTER_EQUAL}, {"NotEqual", FILTER_NOT_EQUAL}, {"In", FILTER_IN},
	{"NotIn", FILTER_NOT_IN}, {0},
};
static const struct schema_name filter_source_names[] = {{"", false}, {"RemotePeers", true}, {0}};
static const struct schema_name peer_type_names[] = {
	{"", FILTER_PEER_ANY}, {"eBGP", FILTER_PEER_EBGP}, {"iBGP", FILTER_PEER_IBGP}, {0},
};
static const struct schema_name action_names[] = {{"Accept", false}, {"Reject", true}, {0}};
/* clang-format on */

static bool operation_finish(void *object, const struct yaml_node *doc, struct object_error *err)
{
	const struct filter_operation *op = object;
	unsigned set = (op->add_community.parts > 0) + (op->prepend_count > 0) + (op->set_priority > 0);

	if (set == 1)
		return true;
	return schema_refuse(err, doc, "expected one of addCommunity.value, prependASPath.prefix, setPriority.value");
}

static const struct schema operation_schema = {
    SCHEMA_ROWS(operation_rows),
    .size = sizeof(struct filter_operation),
    .strict = true,
    .finish = operation_finish,
};

/* clang-format off */
#define RULE_ROWS(family, bits)                                                                                        \
	{.path = "action", .type = &schema_enum, .names = action_names, .required = true, TAKEN(filter_rule, reject)}, \
	{.path = "cidr", .type = &schema_prefix, .af = family, TAKEN(filter_rule, cidr),                               \
	 .present = offsetof(struct filter_rule, has_cidr)},                                                           \
	{.path = "matchOperator", .type = &schema_enum, .names = operator_names, TAKEN(filter_rule, op)},              \
	{.path = "prefixLength.min", .type = &schema_uint, .max = bits, TAKEN(filter_rule, min_length),                \
	 .present = offsetof(struct filter_rule, has_min)},                                                            \
	{.path = "prefixLength.max", .type = &schema_uint, .max = bits, TAKEN(filter_rule, max_length),                \
	 .present = offsetof(struct filter_rule, has_max)},                                                            \
	{.path = "source", .type = &schema_enum, .names = filter_source_names, TAKEN(filter_rule, remote_peers)},      \
	{.path = "interface", .type = &schema_text, .max = 15, TAKEN(filter_rule, interface)},                                        \
	{.path = "peerType", .type = &schema_enum, .names = peer_type_names, TAKEN(filter_rule, peer_type)},           \
	{.path = "communities.values", .type = &schema_communities, .max = 1, TAKEN(filter_rule, communities),         \
	 .second = offsetof(struct filter_rule, community_count)},                                                     \
	{.path = "asPathPrefix", .type = &schema_as_list, TAKEN(filter_rule, as_path),                                 \
	 .second = offsetof(struct filter_rule, as_path_count)},                                                       \
	{.path = "priority", .type = &schema_uint, .min = 1, .max = 2147483646, TAKEN(filter_rule, priority)},         \
	{.path = "operations", .type = &schema_items, .items = &operation_schema, .max = OPERATIONS_MAX,               \
	 TAKEN(filter_rule, operations), .second = offsetof(struct filter_rule, operation_count)}

static const struct schema_row rule4_rows[] = {RULE_ROWS(AF_INET, 32)};
static const struct schema_row rule6_rows[] = {RULE_ROWS(AF_INET6, 128)};
/* clang-format on */

static bool rule_finish(void *object, const struct yaml_node *doc, struct object_error *err)
{
	const struct filter_rule *r = object;

	if (r->has_cidr != (r->op != FILTER_ANY))
		return schema_refuse_field(err, doc, r->has_cidr ? "matchOperator" : "cidr",
					   "missing: cidr and matchOperator belong together");
	if ((r->has_min || r->has_max) && !r->has_cidr)
		return schema_refuse_field(err, doc, "prefixLength", "needs a cidr");
	if (r->has_min && r->has_max && r->min_length > r->max_length)
		return schema_refuse_field(err, doc, "prefixLength.min", "is above prefixLength.max");
	if (r->operation_count && r->reject)
		return schema_refuse_field(err, doc, "operations", "are for rules with the action Accept");
	return true;
}

static const struct schema rule4_schema = {
    SCHEMA_ROWS(rule4_rows),
    .size = sizeof(struct filter_rule),
    .strict = true,
    .finish = rule_finish,
};
static const struct schema rule6_schema = {
    SCHEMA_ROWS(rule6_rows),
    .size = sizeof(struct filter_rule),
    .strict = true,
    .finish = rule_finish,
};

/* clang-format off */
#define RULES(name, schema, direction, family)                                                                         \
	{.path = name, .type = &schema_items, .items = &schema, .max = RULES_MAX,                                      \
	 TAKEN(obj_bgp_filter, rules[direction][family].rules),                                                        \
	 .second = offsetof(struct obj_bgp_filter, rules[direction][family].count)}

static const struct schema_row bgp_filter_rows[] = {
	ROWS_OF_ALL(QUIET("metadata.namespace")),
	RULES("spec.importV4", rule4_schema, FILTER_IMPORT, FAM_IPV4),
	RULES("spec.importV6", rule6_schema, FILTER_IMPORT, FAM_IPV6),
	RULES("spec.exportV4", rule4_schema, FILTER_EXPORT, FAM_IPV4),
	RULES("spec.exportV6", rule6_schema, FILTER_EXPORT, FAM_IPV6),
};
/* clang-format on */

const struct schema bgp_filter_schema = {
    .kind = "BGPFilter",
    SCHEMA_ROWS(bgp_filter_rows),
    .size = sizeof(struct obj_bgp_filter),
};
