/* Which address of this node is the node's: Calico's methods (IP_AUTODETECTION_METHOD), by their names. */
#ifndef DAEMON_CLUSTER_DETECT_H
#define DAEMON_CLUSTER_DETECT_H

#include "daemon/config/config.h"
#include "datastore/objects.h"
#include "fib/fib.h"

/* A method is "first-found", "can-reach=DESTINATION" (an address or a name), "interface=REGEX,...",
 * "skip-interface=REGEX,...", "cidr=PREFIX,..." or "kubernetes-internal-ip". NULL if it is one, else what is wrong with
 * it. */
const char *detect_check(const char *method);

/* Where candidates come from. */
struct detect_source {
	const struct fib_address *list; /* as fib_addresses() orders them */
	unsigned count;
	const struct obj_node *node; /* NULL: there is none */
	struct addr destination;     /* of can-reach with a name: its address; none: it is not known */
};
/* The node's address of the family by a method that is one, with the length of its network; none if nothing fits. */
struct host_addr detect_address(const struct detect_source *s, const char *method, enum family f);
/* What the configuration wants to know of this machine: a detected address, or the length of the network of one that is
 * configured without; none where it asks for neither. fill: what is left to chance is looked for where node has no
 * address, since the others can be told of it. named: by family, the addresses of detect_name()'s. */
void detect_all(const struct fib *f, const struct config *c, const struct obj_node *node, bool fill,
		const struct addr named[FAM_COUNT], struct host_addr found[FAM_COUNT]);
/* Does it ask for anything? */
bool detect_is_wanted(const struct config *c, bool fill);
/* The DESTINATION of can-reach, if that is what detects the family's address: the address, or `named` if it is a name;
 * none otherwise. */
struct addr detect_destination(const struct config *c, enum family f, const struct addr *named);
/* The same if it is a name, and has to be looked up; NULL otherwise. */
const char *detect_name(const struct config *c, enum family f);

#endif
