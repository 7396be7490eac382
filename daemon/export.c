#include "daemon/export.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"

struct rules {
	struct policy_rule *rule;
	unsigned count, cap;
};

static void add_rule(struct rules *r, const struct prefix *p, enum match_operator op, struct policy_rule template)
{
	if (r->count == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 16;
		r->rule = mem_realloc(r->rule, r->cap * sizeof *r->rule);
	}
	template.has_prefix = true;
	template.prefix = *p;
	template.op = op;
	r->rule[r->count++] = template;
}

/* Step 3: pools that must not leave by BGP. */
static void reject_unexported_pools(struct rules *r, const struct store *s)
{
	const struct object *o;
	unsigned pos = 0;

	while ((o = store_next(s, OBJ_IP_POOL, &pos))) {
		const struct obj_ip_pool *pool = (const void *)o;
		if (pool->disable_bgp_export)
			add_rule(r, &pool->cidr, MATCH_IN,
				 (struct policy_rule){.action = RULE_REJECT, .why = "the pool has disableBGPExport"});
	}
}

/* Step 7: a block stands for all that is inside it, unless a route's priority is better than the normal one. */
static void aggregate_blocks(struct rules *r, const struct store *s, const struct self *self)
{
	const struct object *o;
	unsigned pos = 0;

	while ((o = store_next(s, OBJ_BLOCK_AFFINITY, &pos))) {
		const struct obj_block_affinity *a = (const void *)o;
		if (!a->node || strcmp(a->node, self->name) != 0 || a->virtual || a->deleted ||
		    a->state != AFFINITY_CONFIRMED)
			continue;
		add_rule(r, &a->cidr, MATCH_EQUAL,
			 (struct policy_rule){.action = RULE_ACCEPT, .why = "a block of this node"});
		add_rule(r, &a->cidr, MATCH_IN,
			 (struct policy_rule){.priority_match = PRIORITY_BETTER,
					      .priority = self->priority[family_of_af(a->cidr.addr.af)],
					      .action = RULE_ACCEPT,
					      .why = "its priority outranks its block"});
		add_rule(r, &a->cidr, MATCH_IN,
			 (struct policy_rule){.action = RULE_REJECT,
					      .why = "inside a block of this node, which is announced"});
	}
}

/* Step 10: borrowed addresses, and on a reflector the other nodes' blocks. */
static void accept_pools(struct rules *r, const struct store *s)
{
	const struct object *o;
	unsigned pos = 0;

	while ((o = store_next(s, OBJ_IP_POOL, &pos)))
		add_rule(r, &((const struct obj_ip_pool *)(const void *)o)->cidr, MATCH_IN,
			 (struct policy_rule){.action = RULE_ACCEPT, .why = "inside an IPPool"});
}

struct policy *export_policy(const struct store *s, const struct self *self)
{
	struct rules r = {0};
	struct policy *p;

	reject_unexported_pools(&r, s);
	aggregate_blocks(&r, s, self);
	accept_pools(&r, s);
	p = policy_new("export", r.rule, r.count, RULE_REJECT);
	free(r.rule);
	return p;
}
