/* calidrisd --dry-run: what a start would do to the kernel's routes, without doing it.
 *
 * A daemon is built as for a start, but it changes nothing in the kernel, opens no socket to peers or clients, and
 * needs no privilege; so it may run beside those whose routes are to be taken over, and beside a daemon in service. It
 * reads the kernel and the objects, says what would be done, and ends. What BGP would bring cannot be known without
 * peers: routes by gateways that no object speaks of are said to wait for it. */
#ifndef DAEMON_DRY_RUN_H
#define DAEMON_DRY_RUN_H

struct daemon;

/* Of a daemon made with dry_run. Returns an exit status: 0 the plan was printed, 69 the objects could not be read. */
int dry_run(struct daemon *d);

#endif
