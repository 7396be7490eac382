#include "daemon/export.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/service.h"

struct rules {
	struct policy_rule *rule;
	unsigned count, cap;
};

static void push_rule(struct rules *r, struct policy_rule rule)
{
	if (r->count == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 16;
		r->rule = mem_realloc(r->rule, r->cap * sizeof *r->rule);
	}
	r->rule[r->count++] = rule;
}

static void add_rule(struct rules *r, const struct prefix *p, enum match_operator op, struct policy_rule template)
{
	template.has_prefix = true;
	template.prefix = *p;
	template.op = op;
	push_rule(r, template);
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

/* Steps 8 and 9. What leads to another node's Services is passed on by reflectors only: to other ASes this node would
 * stand for it as the next hop, without serving it or having a route to who does. */
static void accept_services(struct rules *r, const struct service_conf *c, bool reflector)
{
	struct policy_rule own = {
	    .sources = 1u << SOURCE_SERVICE, .action = RULE_ACCEPT, .why = "a Service that this node announces"};
	bool any = false;

	for (int from = 0; from < SERVICE_ORIGIN_COUNT; from++)
		any = any || c->count[from];
	if (!any)
		return;
	push_rule(r, own);
	for (int from = 0; from < SERVICE_ORIGIN_COUNT; from++) {
		for (unsigned i = 0; i < c->count[from]; i++) {
			const struct prefix *p = &c->list[from][i];
			bool pass = service_range_is_announced(c, (enum service_origin)from, p) ||
				    (reflector && from != SERVICE_CLUSTER_IP);
			if (!reflector)
				add_rule(r, p, MATCH_IN,
					 (struct policy_rule){.sources = 1u << SOURCE_BGP,
							      .ebgp_only = true,
							      .action = RULE_REJECT,
							      .why = "another node's Service"});
			if (pass)
				add_rule(r, p, MATCH_IN,
					 (struct policy_rule){.action = RULE_ACCEPT,
							      .why = "inside an announced range of Services"});
		}
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
	accept_services(&r, &self->services, self->cluster_id != 0);
	accept_pools(&r, s);
	p = policy_new("export", r.rule, r.count, RULE_REJECT);
	free(r.rule);
	return p;
}
