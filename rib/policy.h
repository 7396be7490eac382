/* Policies: ordered rules that accept or reject a route and may change its attributes on the way.
 *
 * A rule matches when all its conditions hold; it then accepts, rejects, or changes and goes on. One engine serves
 * import and export, Calico's built-in export filter (reference: PROC buildExportFilter) and later BGPFilter: a new
 * condition or operation is a row in the tables of policy.c. Policies are immutable, reference-counted, and compared
 * by content (update groups share them). */
#ifndef RIB_POLICY_H
#define RIB_POLICY_H

#include "bgp/codec/attr.h"
#include "daemon/base/addr.h"

struct policy;

/* Where a route came from. */
enum route_source {
	SOURCE_BGP,	 /* a peer */
	SOURCE_BLOCK,	 /* a local block (/26, /122) */
	SOURCE_WORKLOAD, /* a local workload (/32, /128) */
	SOURCE_STATIC,	 /* anything else originated here */
	SOURCE_COUNT
};
const char *route_source_name(enum route_source s);

enum match_operator { MATCH_EQUAL, MATCH_NOT_EQUAL, MATCH_IN, MATCH_NOT_IN }; /* BGPFilter's matchOperator */
enum rule_action { RULE_ACCEPT, RULE_REJECT, RULE_CONTINUE };

struct policy_rule {
	/* conditions; unset ones hold */
	bool has_prefix;
	struct prefix prefix;
	enum match_operator op;
	uint8_t min_len, max_len;  /* of the route's prefix, 0 and 0: any */
	uint8_t sources;	   /* bit per enum route_source; 0: any */
	bool ibgp_only, ebgp_only; /* the peer the route comes from or goes to */
	bool elevated_only;	   /* its priority (2147483647 - LOCAL_PREF) is better (lower) than `priority` */
	uint32_t priority;
	/* what to do */
	enum rule_action action;
	bool set_local_pref;
	uint32_t local_pref;
	uint32_t add_community; /* 0: none */
	const char *why;	/* static text or owned by the policy once made: for explain, "inside local block" */
};

/* Copies the rules (and their `why`). What no rule decides gets the fallback. One reference for the caller. */
struct policy *policy_new(const char *name, const struct policy_rule *rules, unsigned count, enum rule_action fallback);
struct policy *policy_ref(struct policy *p);
void policy_unref(struct policy *p);
bool policy_equal(const struct policy *a, const struct policy *b);
uint32_t policy_hash(const struct policy *p);
const char *policy_name(const struct policy *p);

struct policy_input {
	struct prefix prefix;
	enum route_source source;
	uint32_t local_pref;
	bool ibgp; /* the peer in question */
};
struct policy_result {
	bool accept;
	bool changed;	 /* attributes must change: apply with policy_apply() */
	const char *why; /* the deciding rule's, or "no rule matched"; borrowed from the policy */
	int rule;	 /* its index, -1 the fallback */
};
/* Decides. Fast: no allocation; prefix rules are found without walking all of them. A NULL policy accepts. */
struct policy_result policy_eval(const struct policy *p, const struct policy_input *in);
/* Applies the operations of all matching rules up to the deciding one to a; new spans are made in the arena. */
void policy_apply(const struct policy *p, const struct policy_input *in, struct bgp_attrs *a, struct arena *arena);

#endif
