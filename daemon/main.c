/* calidrisd: arguments, and what comes before there is a daemon. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "daemon/config/config.h"
#include "daemon/daemon.h"
#include "daemon/dry_run.h"

#define DEFAULT_CONFIG "/etc/calidris/calidris.yaml"

static void usage(FILE *to)
{
	fputs("usage: calidrisd [-f] [-v] [-c FILE]    run (always in the foreground)\n"
	      "       calidrisd -t [-c FILE]           check the configuration, print what is effective\n"
	      "       calidrisd --dry-run [-c FILE]    print what would be done to the kernel's routes\n"
	      "       calidrisd --teardown [-c FILE]   remove what a stopped daemon left in the kernel\n"
	      "       calidrisd --version | --help\n"
	      "  -c FILE  configuration, default " DEFAULT_CONFIG "\n"
	      "  -v       log debugging messages\n"
	      "  --takeover=bird,felix\n"
	      "           whose routes are taken over, instead of what kernel.takeover says\n"
	      "See calidrisd(8).\n",
	      to);
}

struct options {
	struct daemon_options daemon;
	bool test, teardown;
};

enum { OPTION_TAKEOVER = 256, OPTION_DRY_RUN, OPTION_TEARDOWN };

/* Returns an exit status, or -1 to go on. */
static int parse_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
	    {"version", no_argument, NULL, 'V'},
	    {"help", no_argument, NULL, 'h'},
	    {"takeover", required_argument, NULL, OPTION_TAKEOVER},
	    {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
	    {"teardown", no_argument, NULL, OPTION_TEARDOWN},
	    {0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "fc:tvh", longs, NULL)) != -1) {
		switch (c) {
		case 'f':
			break;
		case 'c':
			o->daemon.file = optarg;
			o->daemon.file_given = true;
			break;
		case 't':
			o->test = true;
			break;
		case 'v':
			o->daemon.verbose = true;
			break;
		case OPTION_TAKEOVER:
			o->daemon.takeover = optarg;
			break;
		case OPTION_DRY_RUN:
			o->daemon.dry_run = true;
			break;
		case OPTION_TEARDOWN:
			o->teardown = true;
			break;
		case 'V':
			puts("calidrisd " CALIDRIS_VERSION);
			return EX_OK;
		case 'h':
			usage(stdout);
			return EX_OK;
		default:
			usage(stderr);
			return EX_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "calidrisd: unexpected argument \"%s\"\n", argv[optind]);
		usage(stderr);
		return EX_USAGE;
	}
	return -1;
}

static int test_configuration(const struct config *c)
{
	struct strbuf out = {0};

	config_dump(c, &out);
	fputs(out.s, stdout);
	strbuf_free(&out);
	return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}

/* What is probably a mistake, and no reason not to start: to the log, or for people. */
static void warn_of_variables(bool to_log)
{
	struct strbuf text = {0};
	char *save = NULL;

	config_check_variables((const char *const *)environ, &text);
	for (char *line = text.len ? strtok_r(text.s, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save))
		if (to_log)
			log_warn("config", "%s", line);
		else
			fprintf(stderr, "calidrisd: %s\n", line);
	strbuf_free(&text);
}

/* A reload asked for before there is a handler must not end the process, nor a stop leave the socket behind: they wait
 * for watch_signals(). */
static void hold_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

int main(int argc, char **argv)
{
	struct options o = {.daemon.file = DEFAULT_CONFIG};
	struct strbuf err = {0};
	struct config c;
	struct daemon *d;
	int status = parse_options(&o, argc, argv);

	/* Until there is something to reload: the default action would be death. */
	signal(SIGHUP, SIG_IGN);
	if (status >= 0)
		return status;
	hold_signals();
	if (!daemon_configuration(&c, &o.daemon, &err)) {
		fprintf(stderr, "calidrisd: the configuration is not usable:\n%s", err.s);
		strbuf_free(&err);
		return EX_CONFIG;
	}
	if (o.test) {
		warn_of_variables(false);
		status = test_configuration(&c);
		config_free(&c);
		return status;
	}
	log_setup(o.daemon.verbose   ? LOG_LVL_DEBUG
		  : o.daemon.dry_run ? LOG_LVL_WARN
				     : c.log_level,
		  getenv("JOURNAL_STREAM") != NULL);
	warn_of_variables(true);
	/* What others left and nobody took over yet is not ours. */
	if (o.teardown)
		c.takeover = 0;
	d = daemon_new(&c, &o.daemon, &err);
	if (d && !o.teardown && !daemon_start_store(d, &err)) {
		daemon_free(d);
		d = NULL;
	}
	if (!d) {
		log_error("daemon", "cannot start: %s", err.s);
		strbuf_free(&err);
		config_free(&c);
		return EX_OSERR;
	}
	status = EX_OK;
	if (o.daemon.dry_run)
		status = dry_run(d);
	else if (o.teardown)
		d->teardown = true;
	else
		daemon_run(d);
	daemon_free(d);
	return status;
}
