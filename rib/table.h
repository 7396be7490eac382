/* Prefix tables: one node per prefix, found by exact match, numbered densely.
 *
 * A node has a 32-bit id; everything kept per prefix elsewhere (the update groups' sent state, queues, logs) is an
 * array over ids. Nodes and routes live in pools. An IPv4 node takes 12 octets, a route 24: that is the memory of a
 * million routes. */
#ifndef RIB_TABLE_H
#define RIB_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "daemon/base/addr.h"
#include "daemon/base/pageset.h"
#include "daemon/base/pool.h"

#define NODE_USED 1
#define NODE_DIRTY 2 /* queued for the decision process */
#define NODE_CHANGED \
	4	    /* a selected route changed or went: the selection changed even if the same routes stay selected */
#define NODE_SINK 8 /* the sink is told of the selection though it is the same */
#define NODE_CROWDED 16 /* it has many routes: see crowd.c */

struct node {
	uint32_t routes; /* first route, ID_NONE; selected routes first, the best one at the head */
	uint16_t held;	 /* by how many update groups: they still have to withdraw it */
	uint8_t len;
	uint8_t flags;	/* NODE_* */
	uint8_t addr[]; /* 4 or 16 octets */
};

struct table {
	struct pool nodes;
	uint32_t *slots; /* see table.c */
	uint32_t mask;	 /* slots - 1 */
	uint32_t taken;	 /* slots that are not empty */
	enum family family;
	uint32_t by_length[129]; /* nodes per prefix length, for longest-prefix match */
	uint64_t key[4];	 /* of hashes: secret and odd, keys come from peers */
};

void table_init(struct table *t, enum family f);
void table_clear(struct table *t);
size_t table_bytes(const struct table *t);

static inline struct node *table_node(const struct table *t, uint32_t id)
{
	return pool_at(&t->nodes, id);
}
/* The node's id, or ID_NONE. The prefix must be of the table's family. */
uint32_t table_find(const struct table *t, const struct prefix *p);
/* The same, and makes the node if there is none. */
uint32_t table_get(struct table *t, const struct prefix *p);
/* The same in two steps, for several prefixes at once: the first one only asks for the memory that the second one
 * needs, and while it is on its way for one prefix the next one's can be asked for. The hash stays valid whatever
 * happens in between. */
uint32_t table_hash(const struct table *t, const struct prefix *p);
uint32_t table_find_hashed(const struct table *t, const struct prefix *p, uint32_t hash);
uint32_t table_get_hashed(struct table *t, const struct prefix *p, uint32_t hash);
void table_remove(struct table *t, uint32_t id);
/* The node's prefix, written where it is wanted: to copy what was put together octet by octet a moment before makes the
 * processor wait. */
static inline void table_prefix_to(const struct table *t, const struct node *n, struct prefix *p)
{
	*p = (struct prefix){.addr.af = family_af(t->family), .len = n->len};
	if (t->family == FAM_IPV4)
		memcpy(p->addr.b, n->addr, 4);
	else
		memcpy(p->addr.b, n->addr, 16);
}
static inline struct prefix table_prefix(const struct table *t, const struct node *n)
{
	struct prefix p;

	table_prefix_to(t, n, &p);
	return p;
}
/* The longest prefix covering the address whose node passes the test; ID_NONE if none. */
uint32_t table_lookup(const struct table *t, const struct addr *a, bool (*test)(const void *arg, const struct node *n),
		      const void *arg);

#endif
