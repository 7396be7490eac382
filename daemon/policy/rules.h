/* A list of policy rules in the making. */
#ifndef DAEMON_POLICY_RULES_H
#define DAEMON_POLICY_RULES_H

#include "datastore/objects.h"
#include "rib/policy.h"

/* Zero-initialise. What rules point at and no object has (texts, operations) is the arena's. */
struct rules {
	struct policy_rule *rule;
	unsigned count, cap;
	struct arena arena;
};

void rules_add(struct rules *r, const struct policy_rule *rule);
/* One for the routes in (or equal to) a prefix. */
void rules_add_prefix(struct rules *r, const struct prefix *p, enum match_operator op, struct policy_rule rule);
/* A text of the arena's. */
const char *rules_text(struct rules *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Room for n operations, to be filled. */
struct policy_op *rules_ops(struct rules *r, unsigned n);
/* The operation that adds a community. */
struct policy_op rules_community_op(const struct community *c);
/* One reference for the caller. The rules stay and may be added to. */
struct policy *rules_policy(const struct rules *r, const char *name, enum rule_action fallback);
void rules_free(struct rules *r);

#endif
