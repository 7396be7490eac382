/* The daemon's context: one struct with everything, passed around instead of globals. */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <bsd/sys/queue.h>

#include "bgp/session/session.h"
#include "daemon/config/config.h"
#include "daemon/peers/peering.h"
#include "datastore/store.h"
#include "fib/fib.h"
#include "rib/rib.h"

struct speaker;	     /* speaker.h: sessions joined with the RIB */
struct locals;	     /* locals.h: who claims which prefix for this node */
struct cluster;	     /* cluster.h: objects into local routes, policies, peers */
struct overlay;	     /* overlay.h: encapsulation */
struct service;	     /* service.h: Services into local routes */
struct liveness;     /* liveness.h: BFD joined with sessions and FIB */
struct control;	     /* control.h: the control socket */
struct bmp;	     /* bmp.h: reports to stations */
struct mrt_schedule; /* mrt_schedule.h: tables written to files */
struct instance;     /* instance.h: tables of the kernel besides the main one */
struct refusal;	     /* instance.c */
LIST_HEAD(instance_list, instance);
LIST_HEAD(refusal_list, refusal);

struct daemon {
	struct loop *loop;
	struct config config;
	const char *config_file;
	bool config_required; /* the file was given or found at the start: a reload must find it too */
	bool teardown;	      /* when the loop ends, what is ours leaves the kernel */
	bool verbose;	      /* -v: whatever log.level says */
	bool dry_run;	      /* see struct daemon_options */
	const char *takeover;
	uint64_t started; /* mono */
	struct store *store;
	struct rib *rib;
	struct fib *fib;
	struct instance_list instances, leaving; /* besides that of rib and fib */
	struct loop_timer leaving_timer;
	struct refusal_list refusals; /* peers that cannot be in the table they name */
	bool wants_bgp;		      /* dataplane.h: what BGP selects is meant for this node's kernel */
	struct bgp_engine *engine;
	struct speaker *speaker;
	struct liveness *liveness;
	struct cluster *cluster;
	struct locals *locals;
	struct overlay *overlay;
	struct service *service;
	struct control *control;
	struct bmp *bmp; /* NULL: no stations are configured */
	struct mrt_schedule *mrt;
	struct loop_timer watchdog, ending;
	struct loop_signal signals[3];
};

/* What the command line says. */
struct daemon_options {
	const char *file, *takeover; /* takeover: --takeover, instead of kernel.takeover; NULL as configured */
	bool file_given, verbose;
	bool dry_run; /* nothing is changed and nobody spoken to, see dry_run.h */
};
/* The configuration as file, environment and options say it. False with lines in err. */
bool daemon_configuration(struct config *c, const struct daemon_options *o, struct strbuf *err);
/* Builds everything in the order of dependence. NULL with one or more lines in err. The configuration is taken over. */
struct daemon *daemon_new(struct config *c, const struct daemon_options *o, struct strbuf *err);
/* Reads objects from where they are. False with a line in err: that needs what is not installed. */
bool daemon_start_store(struct daemon *d, struct strbuf *err);
/* Runs until a signal ends it. */
void daemon_run(struct daemon *d);
/* Lets the loop end in a moment; daemon_free() then removes what is ours from the kernel, too. */
void daemon_teardown(struct daemon *d);
/* Ends the sessions (kernel routes stay) and frees everything. */
void daemon_free(struct daemon *d);
/* The severity from which on messages are logged, as somebody says it: -v, the configuration, the objects; NULL: they
 * do not. False if nobody understands theirs. */
bool daemon_set_log_level(const struct daemon *d, const char *severity);
/* Reads the configuration again (SIGHUP, `calidris reload`). False with lines in err: what was in force stays. */
bool daemon_reload(struct daemon *d, struct strbuf *err);

#endif
