/* A single rule of a policy: does it match, what does it do, and what it is made of. */
#ifndef RIB_POLICY_RULE_H
#define RIB_POLICY_RULE_H

#include "rib/policy.h"

/* One route in front of the rules. Its attributes are decoded when the first rule asks for them. */
struct match {
	const struct policy_input *in;
	bool decoded;
	struct bgp_attrs attrs; /* once decoded */
};

bool rule_matches(const struct policy_rule *r, struct match *m);
/* Does the rule's operations; new spans are made in the arena. */
void rule_apply(const struct policy_rule *r, struct bgp_attrs *a, struct arena *arena);

/* A deep copy, and its end. */
void rule_copy(struct policy_rule *to, const struct policy_rule *from);
void rule_clear(struct policy_rule *r);
/* By content. Both share one table, so they cannot drift. */
bool rule_equal(const struct policy_rule *a, const struct policy_rule *b);
uint32_t rule_hash(const struct policy_rule *r, uint32_t h);

#endif
