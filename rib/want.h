/* What an update group should be sent of a prefix: its best route, or with ADD-PATH (RFC 7911) all that are acceptable.
 */
#ifndef RIB_WANT_H
#define RIB_WANT_H

#include "rib/group.h"

struct want {
	struct attrs *attrs; /* of the RIB, borrowed; NULL: nothing */
	uint32_t path_id;
	uint16_t source;  /* peer index */
	uint8_t kind;	  /* enum route_source */
	uint8_t identity; /* of the source */
};

/* In ascending order of path_id. */
struct want_list {
	struct want *w;
	unsigned n, cap;
};

/* How a route is called on sessions with ADD-PATH. 0 is nobody's: some implementations take it for "none". */
static inline uint32_t want_path_id(uint32_t route_id)
{
	return route_id + 1;
}

struct want want_best(const struct group *g, enum family f, const struct node *n);
/* Routes that import accepted and export lets pass; those whose next hop cannot be reached only if there are no others;
 * the best add_path_limit of them. log: says which are too long. The list is good until the next call. */
const struct want_list *want_paths(const struct group *g, enum family f, const struct node *n, bool log);

struct wants;
struct wants *wants_new(void);
void wants_free(struct wants *w);

#endif
