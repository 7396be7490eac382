/* calidrisd: arguments, and what comes before there is a daemon. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "daemon/config.h"
#include "daemon/daemon.h"

#define DEFAULT_CONFIG "/etc/calidris/calidris.yaml"

static void usage(FILE *to)
{
	fputs("usage: calidrisd [-f] [-v] [-c FILE]    run (always in the foreground)\n"
	      "       calidrisd -t [-c FILE]           check the configuration, print what is effective\n"
	      "       calidrisd --version | --help\n"
	      "  -c FILE  configuration, default " DEFAULT_CONFIG "\n"
	      "  -v       log debugging messages\n"
	      "See calidrisd(8).\n",
	      to);
}

struct options {
	const char *file;
	bool file_given, test, verbose;
};

/* Returns an exit status, or -1 to go on. */
static int parse_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
	    {"version", no_argument, NULL, 'V'},
	    {"help", no_argument, NULL, 'h'},
	    {0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "fc:tvh", longs, NULL)) != -1) {
		switch (c) {
		case 'f':
			break;
		case 'c':
			o->file = optarg;
			o->file_given = true;
			break;
		case 't':
			o->test = true;
			break;
		case 'v':
			o->verbose = true;
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

/* A reload asked for before there is a handler must not end the process. */
static void hold_reload_signal(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

int main(int argc, char **argv)
{
	struct options o = {.file = DEFAULT_CONFIG};
	struct strbuf err = {0};
	struct config c;
	struct daemon *d;
	int status = parse_options(&o, argc, argv);

	/* Until there is something to reload: the default action would be death. */
	signal(SIGHUP, SIG_IGN);
	if (status >= 0)
		return status;
	hold_reload_signal();
	/* Without -c the file is optional: a container may be configured by its environment alone. */
	if (!config_load(&c, o.file, o.file_given, &err)) {
		fprintf(stderr, "calidrisd: the configuration is not usable:\n%s", err.s);
		strbuf_free(&err);
		return EX_CONFIG;
	}
	if (o.test) {
		status = test_configuration(&c);
		config_free(&c);
		return status;
	}
	log_setup(o.verbose ? LOG_LVL_DEBUG : c.log_level, getenv("JOURNAL_STREAM") != NULL);
	d = daemon_new(&c, o.file, &err);
	if (!d) {
		log_error("daemon", "cannot start: %s", err.s);
		strbuf_free(&err);
		config_free(&c);
		return EX_OSERR;
	}
	d->config_required = o.file_given || access(o.file, F_OK) == 0;
	d->verbose = o.verbose;
	daemon_run(d);
	daemon_free(d);
	return EX_OK;
}
