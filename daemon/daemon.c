#include "daemon/daemon.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/base/hash.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/cluster/cluster.h"
#include "daemon/cluster/overlay.h"
#include "daemon/cluster/service.h"
#include "daemon/control/control.h"
#include "daemon/dataplane.h"
#include "daemon/instance.h"
#include "daemon/monitor/bmp.h"
#include "daemon/monitor/mrt_schedule.h"
#include "daemon/notify.h"
#include "daemon/peers/liveness.h"
#include "daemon/peers/speaker.h"
#include "daemon/privileges.h"

/* How long the kernel has to take everything back, and how often that is looked at. */
#define TEARDOWN_TIME (10 * MONO_SEC)
#define TEARDOWN_TICK (10 * MONO_MSEC)

static void on_stop_signal(void *arg, int signo)
{
	struct daemon *d = arg;

	log_info("daemon", "%s: stopping; kernel routes stay", strsignal(signo));
	loop_stop(d->loop);
}

static void on_reload_signal(void *arg, int signo)
{
	struct daemon *d = arg;
	struct strbuf err = {0};

	(void)signo;
	/* daemon_reload() has logged what is wrong. */
	daemon_reload(d, &err);
	strbuf_free(&err);
}

static void on_watchdog(void *arg)
{
	struct daemon *d = arg;

	notify_send("WATCHDOG=1");
	loop_timer_set(d->loop, &d->watchdog, notify_watchdog_interval(), on_watchdog, d);
}

/* A session needs a descriptor, two while it collides; a reflector's clients must not meet the shell's default of
 * 1,024. */
static void raise_descriptor_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

static void watch_signals(struct daemon *d)
{
	static const struct {
		int signo;
		void (*cb)(void *arg, int signo);
	} handled[] = {
	    {SIGTERM, on_stop_signal},
	    {SIGINT, on_stop_signal},
	    {SIGHUP, on_reload_signal},
	};

	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof handled / sizeof *handled; i++) {
		loop_signal_set(d->loop, &d->signals[i], handled[i].signo, handled[i].cb, d);
		sigaddset(&set, handled[i].signo);
	}
	/* main() has held back some of them. */
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static const struct store_ops store_callbacks = {
    .on_change = cluster_on_change,
    .on_sync = cluster_on_sync,
    .on_report = cluster_on_report,
    .on_refusals = cluster_on_refusals,
};

static bool load_configuration(struct config *c, const char *file, bool must_exist, const char *takeover,
			       struct strbuf *err)
{
	if (!config_load(c, file, must_exist, err))
		return false;
	if (!takeover || config_set(c, "kernel.takeover", takeover, "option --takeover", err))
		return true;
	config_free(c);
	return false;
}

bool daemon_configuration(struct config *c, const struct daemon_options *o, struct strbuf *err)
{
	/* Without -c the file is optional: a container may be configured by its environment alone. */
	return load_configuration(c, o->file, o->file_given, o->takeover, err);
}

/* Reports, dumps, privileges to give up: what only a daemon that serves has. */
static bool start_serving(struct daemon *d, char *err, size_t err_size)
{
	d->mrt = mrt_schedule_new(d);
	bmp_configure(d);
	return !*d->config.user || privileges_drop(d->config.user, err, err_size);
}

struct daemon *daemon_new(struct config *c, const struct daemon_options *o, struct strbuf *err)
{
	struct daemon *d = mem_calloc(1, sizeof *d);
	struct rib_conf rib = dataplane_rib_conf(c);
	struct fib_conf fib = dataplane_fib_conf(c, 0);
	char text[300] = "";

	d->config = *c;
	*c = (struct config){0};
	d->config_file = o->file;
	d->config_required = o->file_given || (o->file && access(o->file, F_OK) == 0);
	d->verbose = o->verbose;
	d->takeover = o->takeover;
	d->dry_run = o->dry_run;
	fib.programming &= !d->dry_run;
	d->started = mono_now();
	hash_seed_random();
	raise_descriptor_limit();
	d->loop = loop_new();
	/* The control socket first: a second daemon must notice before it touches the kernel. */
	d->control = d->dry_run ? NULL : control_new(d, text, sizeof text);
	if (!d->control && !d->dry_run)
		goto failed;
	d->fib = fib_new(d->loop, &fib, &dataplane_fib_ops, d, text, sizeof text);
	if (!d->fib)
		goto failed;
	d->rib = rib_new(d->loop, &rib, &dataplane_rib_sink, d);
	d->engine = bgp_engine_new(d->loop, &speaker_session_ops);
	d->liveness = liveness_new(d);
	d->speaker = speaker_new(d);
	d->overlay = overlay_new(d);
	d->service = service_new(d);
	d->cluster = cluster_new(d);
	d->store = store_new(d->loop, &store_callbacks, d->cluster);
	if (!d->dry_run && !start_serving(d, text, sizeof text))
		goto failed;
	watch_signals(d);
	return d;
failed:
	strbuf_puts(err, text);
	daemon_free(d);
	return NULL;
}

bool daemon_start_store(struct daemon *d, struct strbuf *err)
{
	const struct config *c = &d->config;
	char text[600] = "";
	struct store_conf conf = {
	    .type = c->datastore_type,
	    .node = c->node_name,
	    .directory = c->datastore_directory,
	    .cache = d->dry_run ? "" : c->datastore_cache,
	    .etcd = {.endpoints = c->etcd_endpoints,
		     .discovery_srv = c->etcd_discovery,
		     .ca_file = c->etcd_ca_file,
		     .cert_file = c->etcd_cert_file,
		     .key_file = c->etcd_key_file,
		     .username = c->etcd_username,
		     .password = c->etcd_password},
	    .kubernetes = {.kubeconfig = c->kube_config,
			   .server = c->kube_server,
			   .ca_file = c->kube_ca_file,
			   .cert_file = c->kube_cert_file,
			   .key_file = c->kube_key_file,
			   .token_file = c->kube_token_file,
			   .insecure = c->kube_insecure,
			   .api_group = c->kube_api_group,
			   .namespace = c->kube_namespace,
			   .use_pod_cidr = c->kube_pod_cidr,
			   .advertise_services = !addr_is_none(&c->service_cluster_ips.addr)},
	};

	if (store_start(d->store, &conf, text, sizeof text))
		return true;
	strbuf_puts(err, text);
	return false;
}

void daemon_run(struct daemon *d)
{
	if (notify_watchdog_interval())
		on_watchdog(d);
	notify_send("READY=1");
	log_info("daemon", "calidrisd " CALIDRIS_VERSION " runs as node %s, objects from %s, control socket %s",
		 d->config.node_name, store_status(d->store).location, d->config.control_socket);
	loop_run(d->loop);
	notify_send("STOPPING=1");
}

static void on_ending(void *arg)
{
	loop_stop(((struct daemon *)arg)->loop);
}

void daemon_teardown(struct daemon *d)
{
	log_info("daemon", "teardown: the sessions end, and what is ours leaves the kernel");
	d->teardown = true;
	/* Who asked for it shall have the answer. */
	loop_timer_set(d->loop, &d->ending, TEARDOWN_TICK, on_ending, d);
}

static void on_tick(void *arg)
{
	struct daemon *d = arg;

	loop_timer_set(d->loop, &d->ending, TEARDOWN_TICK, on_tick, d);
}

static bool kernel_is_clean(const struct daemon *d)
{
	return fib_is_idle(d->fib) && instances_are_idle(d);
}

/* What is ours leaves the kernel; the sessions have ended, so that nothing is put back. */
static void clean_kernel(struct daemon *d)
{
	uint64_t until = mono_now() + TEARDOWN_TIME;

	fib_teardown(d->fib);
	instances_teardown(d);
	on_tick(d);
	do
		loop_turn(d->loop, true);
	while (!kernel_is_clean(d) && mono_now() < until);
	if (!kernel_is_clean(d))
		log_error("fib", "teardown: the kernel did not take everything back in %u s: look with ip route",
			  (unsigned)(TEARDOWN_TIME / MONO_SEC));
}

void daemon_free(struct daemon *d)
{
	/* Control first: nobody may look at what is being taken down. The store keeps the objects that claims point to
	 * until the cluster has let go of them. */
	if (d->control)
		control_free(d->control);
	if (d->mrt)
		mrt_schedule_free(d->mrt);
	if (d->speaker)
		speaker_free(d->speaker, d->config.graceful_restart && !d->teardown);
	d->speaker = NULL;
	bmp_free(d->bmp);
	d->bmp = NULL;
	if (d->liveness)
		liveness_free(d->liveness);
	d->liveness = NULL;
	if (d->cluster)
		cluster_free(d->cluster);
	d->cluster = NULL;
	service_free(d->service);
	d->service = NULL;
	if (d->overlay)
		overlay_free(d->overlay);
	d->overlay = NULL;
	if (d->store)
		store_free(d->store);
	/* The RIB is still there: it hears of next hops. */
	if (d->teardown)
		clean_kernel(d);
	if (d->engine)
		bgp_engine_free(d->engine);
	instances_free(d);
	if (d->rib)
		rib_free(d->rib);
	if (d->fib)
		fib_free(d->fib);
	loop_timer_stop(d->loop, &d->watchdog);
	loop_timer_stop(d->loop, &d->ending);
	for (size_t i = 0; i < sizeof d->signals / sizeof *d->signals; i++)
		loop_signal_stop(d->loop, &d->signals[i]);
	loop_free(d->loop);
	config_free(&d->config);
	free(d);
}

static void log_change(void *arg, const char *key, const char *before, const char *after, enum config_effect effect)
{
	static const char *const effects[] = {
	    [CONFIG_AT_ONCE] = "",
	    [CONFIG_NEXT_SESSION] = ", for sessions from their next OPEN on",
	    [CONFIG_RESTART] = ", which needs a restart of the daemon",
	};

	(void)arg;
	log_info("config", "%s: %s -> %s%s", key, before, after, effects[effect]);
}

static void log_lines(const char *subsystem, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		log_error(subsystem, "%.*s", (int)n, text);
		text += n + (text[n] == '\n');
	}
}

bool daemon_set_log_level(const struct daemon *d, const char *severity)
{
	enum log_level level = d->config.log_level, said;
	bool understood = !severity || config_level_parse(severity, &said);

	if (severity && understood && config_is_default(&d->config, "log.level"))
		level = said;
	log_set_level(d->verbose ? LOG_LVL_DEBUG : level);
	return understood;
}

bool daemon_reload(struct daemon *d, struct strbuf *err)
{
	struct config fresh;
	struct fib_conf fib;

	notify_send("RELOADING=1");
	if (!load_configuration(&fresh, d->config_file, d->config_required, d->takeover, err)) {
		log_lines("config", err->s);
		log_error("config", "the running configuration stays in force");
		notify_send("READY=1");
		return false;
	}
	config_diff(&d->config, &fresh, log_change, NULL);
	config_keep(&fresh, &d->config);
	config_free(&d->config);
	d->config = fresh;
	daemon_set_log_level(d, cluster_self(d->cluster)->log_severity);
	fib = dataplane_fib_conf(&d->config, cluster_self(d->cluster)->max_paths);
	fib_configure(d->fib, &fib);
	instances_configure(d, cluster_self(d->cluster)->max_paths);
	cluster_reconfigure(d->cluster);
	mrt_schedule_configure(d->mrt);
	bmp_configure(d);
	notify_send("READY=1");
	return true;
}
