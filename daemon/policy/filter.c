/* What Calico's template functions make of a BGPFilter for BIRD: all conditions of a rule hold together, the first rule
 * that matches decides. */
#include "daemon/policy/filter.h"

#include <string.h>

static const char *const list_names[FILTER_DIRECTIONS][FAM_COUNT] = {
    [FILTER_IMPORT] = {[FAM_IPV4] = "importV4", [FAM_IPV6] = "importV6"},
    [FILTER_EXPORT] = {[FAM_IPV4] = "exportV4", [FAM_IPV6] = "exportV6"},
};

/* Calico's range is max(length of cidr, min) to min(32 or 128, max). */
static void put_prefix(struct policy_rule *to, const struct filter_rule *r)
{
	static const enum match_operator operators[] = {
	    [FILTER_EQUAL] = MATCH_EQUAL,
	    [FILTER_NOT_EQUAL] = MATCH_NOT_EQUAL,
	    [FILTER_IN] = MATCH_IN,
	    [FILTER_NOT_IN] = MATCH_NOT_IN,
	};

	if (!r->has_cidr)
		return;
	to->has_prefix = true;
	to->prefix = r->cidr;
	to->op = operators[r->op];
	to->min_len = r->has_min ? (uint8_t)r->min_length : 0;
	if (!r->has_max)
		return;
	/* A range that holds nothing; 0 means no limit in a policy, and nothing but a default route is so short. */
	if (r->max_length < r->cidr.len)
		to->min_len = UINT8_MAX;
	else if (r->max_length == 0)
		to->op = r->op == FILTER_IN ? MATCH_EQUAL : r->op == FILTER_NOT_IN ? MATCH_NOT_EQUAL : to->op;
	else
		to->max_len = (uint8_t)r->max_length;
}

static void put_communities(struct policy_rule *to, const struct filter_rule *r)
{
	const struct community *c = r->communities;

	if (!r->community_count)
		return;
	to->has_community = c->parts == 2;
	to->has_large_community = c->parts == 3;
	if (c->parts == 2)
		to->community = c->part[0] << 16 | c->part[1];
	else
		memcpy(to->large_community, c->part, sizeof c->part);
}

/* prependASPath's list is as it will stand in the path: its last one is put there first. */
static void put_operations(struct rules *out, struct policy_rule *to, const struct filter_rule *r)
{
	unsigned count = 0, n = 0;
	struct policy_op *ops;

	for (unsigned i = 0; i < r->operation_count; i++)
		count += r->operations[i].prepend_count ? r->operations[i].prepend_count : 1;
	if (!count)
		return;
	ops = rules_ops(out, count);
	for (unsigned i = 0; i < r->operation_count; i++) {
		const struct filter_operation *op = &r->operations[i];

		if (op->add_community.parts)
			ops[n++] = rules_community_op(&op->add_community);
		else if (op->set_priority)
			ops[n++] = (struct policy_op){OP_SET_LOCAL_PREF, {local_pref_of_priority(op->set_priority)}};
		for (unsigned j = op->prepend_count; j-- > 0;)
			ops[n++] = (struct policy_op){OP_PREPEND_AS, {op->prepend[j]}};
	}
	to->ops = ops;
	to->op_count = n;
}

static void add_rule(struct rules *out, const struct obj_bgp_filter *f, enum filter_direction d, enum family family,
		     unsigned i)
{
	const struct filter_rule *r = &f->rules[d][family].rules[i];
	struct policy_rule to = {
	    .families = (uint8_t)(1u << family),
	    .sources = r->remote_peers ? 1u << SOURCE_BGP : 0,
	    .ibgp_only = r->peer_type == FILTER_PEER_IBGP,
	    .ebgp_only = r->peer_type == FILTER_PEER_EBGP,
	    .interface = r->interface,
	    .priority_match = r->priority ? PRIORITY_EQUAL : PRIORITY_ANY,
	    .priority = r->priority,
	    .as_path = r->as_path,
	    .as_path_len = r->as_path_count,
	    .action = r->reject ? RULE_REJECT : RULE_ACCEPT,
	    .why = rules_text(out, "BGPFilter %.100s, %s[%u]", f->o.name, list_names[d][family], i),
	};

	put_prefix(&to, r);
	put_communities(&to, r);
	put_operations(out, &to, r);
	rules_add(out, &to);
}

void filter_rules(struct rules *out, const struct obj_bgp_filter *f, enum filter_direction d)
{
	for (int family = 0; family < FAM_COUNT; family++)
		for (unsigned i = 0; i < f->rules[d][family].count; i++)
			add_rule(out, f, d, (enum family)family, i);
}
