/* What Felix sets on a workload's interface, and forwarding, by /proc/sys. */
#ifndef FIB_SETTINGS_H
#define FIB_SETTINGS_H

struct fib;
struct link;

/* Makes the settings of a workload's interface, once per interface; what is right already is not written. A failure is
 * a problem to be shown, and stops nothing. */
void settings_apply(struct fib *f, struct link *l);
/* Lets the node forward packets. */
void settings_forwarding(struct fib *f);
/* The interface is gone: so are its problems. */
void settings_forget(struct fib *f, const struct link *l);

#endif
