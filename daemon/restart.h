/* Our own restart (RFC 4724 4.1): when our End-of-RIB markers go out, and when stale kernel routes go.
 *
 * It ends in two steps. First our markers go out, when the peers that are up have told what they know; those that are
 * restarting as well wait for that (RFC 4724 4.1 excepts them), so they are given only the time in which their routes
 * come, which a reflector needs in order to pass them on before its marker. Then stale kernel routes go, when the
 * restarting ones have sent their markers, too. */
#ifndef DAEMON_RESTART_H
#define DAEMON_RESTART_H

#include "daemon/daemon.h"
#include "daemon/peers/speaker.h"

struct restart;

/* Begins: OPENs carry the Restart State bit from here on. again(arg) is called when it is time for restart_check(). */
struct restart *restart_new(struct daemon *d, void (*again)(void *arg), void *arg);
void restart_free(struct restart *r);
/* Our own routes are known: they may be sent, and the clock may look at the peers. */
void restart_datastore_synced(struct restart *r);
/* One more has been made: it has what the others have already. */
void restart_instance_came(const struct restart *r, struct instance *i);
/* A session came up for the first time: while they keep coming, those that are down are waited for. */
void restart_session_up(struct restart *r);
/* Whose state a restart depends on. */
struct restart_peers {
	struct peer *const *peers;
	unsigned count;
	bool ranges; /* more may come, nobody knows how many: waited for like peers that are down */
};
/* Something about these peers changed, or it was time: takes the next step if it is due. */
void restart_check(struct restart *r, const struct restart_peers *peers);
/* Nothing is waited for any more. */
bool restart_is_over(const struct restart *r);
struct restart_status restart_status(const struct restart *r, const struct restart_peers *peers);

#endif
