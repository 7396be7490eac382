/* What Felix sets on a workload's interface, and forwarding, by /proc/sys. */
#ifndef FIB_SETTINGS_H
#define FIB_SETTINGS_H

#include <stdbool.h>

struct fib;
struct link;

/* Is it named as a workload's interface? The configuration may list several prefixes: "cali,tap". */
bool settings_is_workload(const struct fib *f, const char *name);
/* Makes the settings of a workload's interface, once per interface; what is right already is not written. A failure is
 * a problem to be shown, and stops nothing. */
void settings_apply(struct fib *f, struct link *l);
/* Lets the node forward packets. */
void settings_forwarding(struct fib *f);
/* The interface is gone: so are its problems. */
void settings_forget(struct fib *f, const struct link *l);

#endif
