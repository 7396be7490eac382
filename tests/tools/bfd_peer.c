/* A BFD speaker for tests against other implementations: one session, events as JSON lines on standard output, commands
 * on standard input.
 *
 *   bfd_peer [-m] [-p] [-l LOCAL] [-i INTERFACE] [-T MIN_TTL] [-t MIN_TX] [-r MIN_RX] [-x MULTIPLIER] REMOTE
 *
 * -m several hops, -p passive; intervals in milliseconds. Commands: "info", "admin-down", "admin-up",
 * "intervals TX RX MULTIPLIER", "bye" (ends with an announcement), "die" (without). */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bgp/bfd/bfd.h"
#include "daemon/base/mono.h"

struct peer {
	struct loop *loop;
	struct bfd_engine *engine;
	struct bfd_session *session;
	struct bfd_session_conf conf;
	struct loop_io input;
	char line[256];
	size_t len;
};

static void on_change(void *arg, struct bfd_session *s, const struct bfd_change *c)
{
	(void)arg;
	(void)s;
	printf(
	    "{\"event\": \"change\", \"was\": \"%s\", \"state\": \"%s\", \"remote_state\": \"%s\", \"diag\": \"%s\", "
	    "\"remote_diag\": \"%s\", \"failure\": %s, \"at\": %.6f, \"heard_at\": %.6f, \"reason\": \"%s\"}\n",
	    bfd_state_name(c->was), bfd_state_name(c->state), bfd_state_name(c->remote_state), bfd_diag_name(c->diag),
	    bfd_diag_name(c->remote_diag), bfd_change_is_failure(c) ? "true" : "false", (double)mono_now() / 1e9,
	    (double)bfd_session_info(s).heard_at / 1e9, c->state == BFD_UP ? "" : c->reason);
}

static const struct bfd_ops ops = {.on_change = on_change};

static void do_info(struct peer *p, const char *arguments)
{
	struct bfd_session_info i = bfd_session_info(p->session);
	const struct bfd_stats *st = bfd_engine_stats(p->engine);
	uint64_t discarded = 0;

	(void)arguments;
	for (int why = BFD_ACCEPTED + 1; why < BFD_DISCARD_COUNT; why++)
		discarded += st->discarded[why];
	printf("{\"event\": \"info\", \"state\": \"%s\", \"remote_state\": \"%s\", \"diag\": \"%s\", \"discr\": %u, "
	       "\"remote_discr\": %u, \"tx_interval\": %u, \"rx_interval\": %u, \"detection_time\": %llu, "
	       "\"remote_min_tx\": %u, \"remote_min_rx\": %u, \"remote_multiplier\": %u, \"polling\": %s, "
	       "\"remote_independent\": %s, \"in\": %llu, \"out\": %llu, \"discarded\": %llu, \"up\": %llu, "
	       "\"down\": %llu, \"error\": \"%s\"}\n",
	       bfd_state_name(i.state), bfd_state_name(i.remote_state), bfd_diag_name(i.diag), i.discr, i.remote_discr,
	       i.tx_interval, i.rx_interval, (unsigned long long)i.detection_time, i.remote_min_tx, i.remote_min_rx,
	       i.remote_multiplier, i.polling ? "true" : "false", i.remote_independent ? "true" : "false",
	       (unsigned long long)i.packets_in, (unsigned long long)i.packets_out, (unsigned long long)discarded,
	       (unsigned long long)i.times_up, (unsigned long long)i.times_down, i.error);
}

static void do_admin_down(struct peer *p, const char *arguments)
{
	(void)arguments;
	bfd_session_admin_down(p->session, true);
}

static void do_admin_up(struct peer *p, const char *arguments)
{
	(void)arguments;
	bfd_session_admin_down(p->session, false);
}

static void do_intervals(struct peer *p, const char *arguments)
{
	unsigned tx, rx, multiplier;
	bool ok = sscanf(arguments, "%u %u %u", &tx, &rx, &multiplier) == 3;

	p->conf.min_tx = tx * 1000;
	p->conf.min_rx = rx * 1000;
	p->conf.multiplier = (uint8_t)multiplier;
	printf("{\"event\": \"configured\", \"ok\": %s}\n",
	       ok && bfd_session_configure(p->session, &p->conf) ? "true" : "false");
}

static void do_end(struct peer *p, bool announce)
{
	bfd_session_free(p->session, announce);
	bfd_engine_free(p->engine);
	exit(0);
}

static void do_bye(struct peer *p, const char *arguments)
{
	(void)arguments;
	do_end(p, true);
}

static void do_die(struct peer *p, const char *arguments)
{
	(void)arguments;
	do_end(p, false);
}

static const struct {
	const char *name;
	void (*run)(struct peer *p, const char *arguments);
} commands[] = {
    {"info", do_info},	       {"admin-down", do_admin_down},
    {"admin-up", do_admin_up}, {"intervals", do_intervals},
    {"bye", do_bye},	       {"die", do_die},
};

static void run_command(struct peer *p, char *line)
{
	char *arguments = strchr(line, ' ');

	if (arguments)
		*arguments++ = '\0';
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (strcmp(line, commands[i].name) == 0) {
			commands[i].run(p, arguments ? arguments : "");
			return;
		}
	fprintf(stderr, "bfd_peer: what is \"%s\"?\n", line);
}

static void on_input(void *arg, int events)
{
	struct peer *p = arg;
	ssize_t n = read(0, p->line + p->len, sizeof p->line - 1 - p->len);
	char *end;

	(void)events;
	if (n <= 0)
		do_end(p, false);
	p->len += (size_t)n;
	p->line[p->len] = '\0';
	while ((end = strchr(p->line, '\n'))) {
		*end = '\0';
		run_command(p, p->line);
		p->len -= (size_t)(end + 1 - p->line);
		memmove(p->line, end + 1, p->len + 1);
	}
}

static _Noreturn void usage(const char *what)
{
	fprintf(stderr, "bfd_peer: %s\n", what);
	exit(2);
}

static void parse_options(struct peer *p, int argc, char **argv)
{
	int o;

	p->conf = (struct bfd_session_conf){.min_tx = 50000, .min_rx = 50000, .multiplier = 3, .min_ttl = 1};
	while ((o = getopt(argc, argv, "mpl:i:T:t:r:x:")) != -1) {
		if (o == 'm')
			p->conf.multihop = true;
		else if (o == 'p')
			p->conf.passive = true;
		else if (o == 'l' && !addr_parse(&p->conf.local, optarg))
			usage("bad local address");
		else if (o == 'i')
			snprintf(p->conf.ifname, sizeof p->conf.ifname, "%s", optarg);
		else if (o == 'T')
			p->conf.min_ttl = (uint8_t)atoi(optarg);
		else if (o == 't')
			p->conf.min_tx = (uint32_t)atoi(optarg) * 1000;
		else if (o == 'r')
			p->conf.min_rx = (uint32_t)atoi(optarg) * 1000;
		else if (o == 'x')
			p->conf.multiplier = (uint8_t)atoi(optarg);
		else if (o == '?')
			exit(2);
	}
	if (optind != argc - 1 || !addr_parse(&p->conf.remote, argv[optind]))
		usage("one remote address is needed");
}

int main(int argc, char **argv)
{
	struct peer p = {0};
	const char *why;

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse_options(&p, argc, argv);
	p.loop = loop_new();
	p.engine = bfd_engine_new(p.loop, &ops);
	p.session = bfd_session_new(p.engine, &p.conf, &p, &why);
	if (!p.session)
		usage(why);
	loop_io_set(p.loop, &p.input, 0, LOOP_READ, on_input, &p);
	loop_run(p.loop);
	return 0;
}
