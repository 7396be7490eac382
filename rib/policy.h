/* Policies: ordered rules that accept or reject a route and may change its attributes on the way.
 *
 * A rule matches when all its conditions hold; it then accepts, rejects, or changes and goes on. One engine serves
 * import and export, Calico's built-in export filter (reference: PROC buildExportFilter) and later BGPFilter: a new
 * condition or operation is a row in the tables of policy_rule.c. Policies are immutable, reference-counted, and
 * compared by content (update groups share them). */
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
	SOURCE_SERVICE,	 /* a range or an address of Services */
	SOURCE_COUNT
};
const char *route_source_name(enum route_source s);

enum match_operator { MATCH_EQUAL, MATCH_NOT_EQUAL, MATCH_IN, MATCH_NOT_IN }; /* BGPFilter's matchOperator */
enum priority_match { PRIORITY_ANY, PRIORITY_BETTER, PRIORITY_EQUAL };	      /* a better one is lower */
enum rule_action { RULE_ACCEPT, RULE_REJECT, RULE_CONTINUE };

/* Calico's convention: a route's priority is the kernel's metric, and travels as LOCAL_PREF = 2147483647 - priority. */
static inline uint32_t priority_of_local_pref(uint32_t local_pref)
{
	return local_pref > INT32_MAX ? 0 : (uint32_t)INT32_MAX - local_pref;
}
static inline uint32_t local_pref_of_priority(uint32_t priority)
{
	return priority_of_local_pref(priority);
}

/* A change of a route's attributes. */
enum policy_op_kind {
	OP_SET_LOCAL_PREF,	/* value[0] */
	OP_ADD_COMMUNITY,	/* value[0]: high half << 16 | low half (RFC 1997) */
	OP_ADD_LARGE_COMMUNITY, /* value[0..3) (RFC 8092) */
	OP_PREPEND_AS,		/* value[0]: put in front of AS_PATH */
	OP_KIND_COUNT
};
struct policy_op {
	enum policy_op_kind kind;
	uint32_t value[3]; /* unused ones are 0 */
};

struct policy_rule {
	/* conditions; unset ones hold */
	uint8_t families; /* bit per enum family; 0: any */
	bool has_prefix;
	struct prefix prefix;
	enum match_operator op;
	uint8_t min_len, max_len;  /* of the route's prefix, 0 and 0: any; with a prefix part of what op asks for */
	uint8_t sources;	   /* bit per enum route_source; 0: any */
	bool ibgp_only, ebgp_only; /* the peer the route comes from or goes to */
	enum priority_match priority_match;
	uint32_t priority; /* with priority_match */
	bool has_community, has_large_community;
	uint32_t community, large_community[3]; /* that the route must carry, written as in struct policy_op */
	const uint32_t *as_path;		/* AS_PATH begins with these (on export: as the peer will see it) */
	unsigned as_path_len;			/* 0: any */
	const char *interface; /* that the route leads over; '*' stands for any text, '?' for a character; NULL: any */
	/* what to do */
	enum rule_action action;
	const struct policy_op *ops; /* in order */
	unsigned op_count;
	const char *why; /* for explain: "inside local block" */
};

/* Copies the rules and what they point at. What no rule decides gets the fallback. One reference for the caller. */
struct policy *policy_new(const char *name, const struct policy_rule *rules, unsigned count, enum rule_action fallback);
struct policy *policy_ref(struct policy *p);
void policy_unref(struct policy *p);
bool policy_equal(const struct policy *a, const struct policy *b);
uint32_t policy_hash(const struct policy *p);
const char *policy_name(const struct policy *p);

struct attrs;
struct policy_input {
	struct prefix prefix;
	enum route_source source;
	uint32_t local_pref;
	bool ibgp;		   /* the peer in question */
	const struct attrs *attrs; /* NULL: without communities and AS_PATH */
	uint32_t put_as;	   /* on export: what will stand in front of AS_PATH, put_count times */
	unsigned put_count;
	char interface[16]; /* that the route leads over; "": none, or it is not known */
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
