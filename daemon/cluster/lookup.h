/* Addresses of names (DNS, /etc/hosts): what the system's resolver says, asked for without the loop waiting for it, and
 * again from time to time. Nothing is asked, and no thread is there, while nobody wants a name. */
#ifndef DAEMON_CLUSTER_LOOKUP_H
#define DAEMON_CLUSTER_LOOKUP_H

#include "daemon/base/addr.h"
#include "daemon/base/loop.h"

struct lookup;

/* on_change(arg): a name has another address than before. */
struct lookup *lookup_new(struct loop *loop, void (*on_change)(void *arg), void *arg);
/* Does not wait for a question that is out. */
void lookup_free(struct lookup *l);
/* The name whose address of this family is wanted, copied; NULL: none. Asked for at once if it is another one than
 * before, and every `every` ns. */
void lookup_want(struct lookup *l, enum family f, const char *name, uint64_t every);
/* Its address; none if it was never found. One that was stays while the resolver fails, and while it is among several
 * that the name has. */
const struct addr *lookup_found(const struct lookup *l, enum family f);
/* Why the last answer was none: the resolver's words; NULL if it was one, or is not there yet. */
const char *lookup_problem(const struct lookup *l, enum family f);

#endif
