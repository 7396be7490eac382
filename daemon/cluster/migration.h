/* Live migrations to this node, as Felix's live_migration.go follows them, where this daemon writes the routes to
 * workloads itself. An object says that a workload is about to come (liveMigration: Target); that it has come, its
 * first words say, a gratuitous ARP or a RARP on its interface; and when the object no longer speaks of a migration,
 * its routes keep their better priority for as long as all others may need to learn of them.
 *
 *     Target ──(it speaks)──> Live ──(the object is silent)──> TimeWait ──(migration_time)──> Base
 *
 * An object that says Live or TimeWait itself is believed. Only workloads that migrate are kept. */
#ifndef DAEMON_CLUSTER_MIGRATION_H
#define DAEMON_CLUSTER_MIGRATION_H

#include "daemon/daemon.h"

struct migrations;

/* on_change(arg, w): the workload's state is another one. */
struct migrations *migrations_new(struct daemon *d, void (*on_change)(void *arg, const struct obj_workload_endpoint *w),
				  void *arg);
void migrations_free(struct migrations *m);
/* A WorkloadEndpoint of this node changed, came (before NULL) or went (after NULL). */
void migrations_on_change(struct migrations *m, const struct obj_workload_endpoint *before,
			  const struct obj_workload_endpoint *after);
/* An interface came. */
void migrations_link_changed(struct migrations *m, const struct fib_link *l);
/* How far a workload's migration has come. */
enum live_migration migrations_state(const struct migrations *m, const struct obj_workload_endpoint *w);
/* Is it one that says of an address of the workload's that it is here? arp: what follows the link's header of a packet
 * of the ARP protocol; otherwise it is RARP's. */
bool migration_is_heard(const struct obj_workload_endpoint *w, bool arp, const uint8_t *packet, size_t len);
/* A line for each workload that cannot be listened to. */
void migrations_problems(const struct migrations *m, struct strbuf *out);

#endif
