/* What the RIB asks of a policy beyond policy.h: whether it can change attributes at all, and which changes a prefix
 * gets, so that prefixes with the same changes go out in one UPDATE. */
#ifndef RIB_POLICY_OPS_H
#define RIB_POLICY_OPS_H

#include "rib/policy.h"

/* Does any rule ask for the interface? False for NULL. */
bool policy_has_interfaces(const struct policy *p);
/* Does any rule change attributes? False for NULL. */
bool policy_has_ops(const struct policy *p);
/* Identifies the operations that policy_apply() would do: equal numbers do the same to equal attributes; 0 is none. */
uint64_t policy_ops_id(const struct policy *p, const struct policy_input *in);

#endif
