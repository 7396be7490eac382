/* The daemon's context: one struct with everything, passed around instead of globals. */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include "bgp/session/session.h"
#include "daemon/config.h"
#include "daemon/peering.h"
#include "datastore/store.h"
#include "fib/fib.h"
#include "rib/rib.h"

struct speaker; /* speaker.h: sessions joined with the RIB */
struct cluster; /* cluster.h: objects into local routes, policies, peers */
struct control; /* control.h: the control socket */

struct daemon {
	struct loop *loop;
	struct config config;
	const char *config_file;
	uint64_t started; /* mono */
	struct store *store;
	struct rib *rib;
	struct fib *fib;
	struct bgp_engine *engine;
	struct speaker *speaker;
	struct cluster *cluster;
	struct control *control;
};

#endif
