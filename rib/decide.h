/* The decision process (RFC 4271 9.1.2.2, RFC 4456 9, RFC 4724) as one table of steps. */
#ifndef RIB_DECIDE_H
#define RIB_DECIDE_H

#include "rib/rib.h"
#include "rib/table.h"

struct route;

struct candidate {
	uint32_t id; /* of the route */
	struct route *route;
	uint8_t step; /* enum rib_step: what dropped it, STEP_BEST, or STEP_ECMP */
};

/* A node's routes weighed: c[0..selected) are the best and its multipath companions, the best one first. Zeroed is
 * empty and it may be used again and again. */
struct decision {
	struct candidate *c;
	struct rib_route *views;      /* room for as many */
	const struct route **classes; /* scratch, for twice as many */
	unsigned n, cap;
	unsigned selected;
};

/* The node's routes that are not dead, unweighed; those that import rejected have STEP_REJECTED. */
void decide_collect(const struct rib *r, enum family f, const struct node *n, struct decision *d);
/* Of collected candidates, none rejected: the best goes to c[0], the best of the others to c[1], and so on, `upto`
 * times. This is what the decision process says, so it depends on nothing but the routes. */
void decide_rank(const struct rib *r, enum family f, struct decision *d, unsigned upto);
/* Weighs the node's routes without changing anything. */
void decide_weigh(const struct rib *r, enum family f, const struct node *n, struct decision *d);
/* Brings all candidates of a weighed decision into the order of preference, for people. */
void decide_order(const struct rib *r, enum family f, struct decision *d);
/* Decides the node: orders its list, sets flags, tells the update groups and the sink. */
void decide_node(struct rib *r, enum family f, uint32_t id);
void decision_clear(struct decision *d);

#endif
