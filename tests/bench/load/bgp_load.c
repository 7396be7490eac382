/* A load of BGP clients on one daemon, for benchmarks: every route and attribute is checked on arrival.
 *
 *	bgp_load -t 10.200.0.1 -f 10.200.16.1 -n 1000 -r 4 -p 4 -e
 *
 * Clients dial from consecutive addresses (all must be addresses of the host), all at once, or with -w so many at a
 * time; who is turned away dials again a second later. What is to happen is said on stdin, a line each: "go" (the first
 * SENDERS clients announce their routes), "change N" (N times, one after the other, one set of attributes changes and
 * all others wait for it), "quit". What happened is said on stdout, with milliseconds:
 *
 *	established MS          since the first dial; not said if that takes longer than -l says
 *	sessions N              how many there are then
 *	complete MS             since "go": all routes are where they belong
 *				(-e: at all other clients; -k: in the kernel)
 *	changed P50 P99 MAX     of "change"
 *	redialled N             how often a client was turned away
 *	lost N                  sessions that ended after that (and the exit status is 1)
 *	wrong N TEXT            messages that were not as they should be, and what was wrong with the first
 *	again N                 prefixes that came more often than they were sent
 *	writes N                routes written into the kernel */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/bench/load/plan.h"
#include "tests/bench/load/talk.h"
#include "tests/bench/load/watch.h"

#define READ_MAX (256u << 10)
#define CHANGES_MAX 10000u
#define REDIAL_MS 1000.0

enum stage { NOT_YET, DIALLING, OPENING, UP, LOST };

struct client {
	int fd;
	enum stage stage;
	bool writing;	       /* EPOLLOUT is asked for */
	struct octets in, out; /* in: the beginning of a message */
	size_t sent;	       /* of out */
	double again;	       /* when to dial once more */
	uint8_t *have;	       /* bit per prefix of the plan */
};

/* One change after the other. */
struct changes {
	unsigned wanted, done, waiting, version, prefix;
	double began, *took;
};

struct load {
	struct plan plan;
	struct in_addr target;
	unsigned port, hold;
	bool expect;
	const char *netns;
	struct watch *watch;
	int epoll;
	struct client *clients;
	unsigned window; /* sessions that may be in the making at once */
	unsigned trying, up, lost, redialled;
	uint64_t missing; /* prefixes that clients wait for */
	unsigned long wrong, again;
	const char *first_wrong;
	double limit; /* ms, for all sessions to come up */
	double dialled, went, next_keepalive, next_look;
	bool established, going, complete, over;
	struct changes changes;
	uint8_t buffer[READ_MAX];
};

static void fail(const char *what)
{
	perror(what);
	exit(2);
}

static void watch_client(struct load *l, struct client *c, int op, bool writing)
{
	struct epoll_event e = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = c};

	c->writing = writing;
	if (epoll_ctl(l->epoll, op, c->fd, &e) < 0)
		fail("epoll_ctl");
}

static void lose(struct load *l, struct client *c)
{
	close(c->fd);
	c->fd = -1;
	c->sent = c->out.len = c->in.len = 0;
	if (c->stage == UP && l->established) {
		c->stage = LOST;
		l->lost++;
		return;
	}
	/* Turned away, as happens in a crowd: once more in a while. */
	if (c->stage == UP)
		l->up--;
	else
		l->trying--;
	l->redialled++;
	c->stage = NOT_YET;
	c->again = now_ms() + REDIAL_MS;
}

static void flush_client(struct load *l, struct client *c)
{
	bool more;

	while (c->sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.at + c->sent, c->out.len - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			lose(l, c);
			return;
		}
		c->sent += (size_t)n;
	}
	more = c->sent < c->out.len;
	if (!more)
		c->sent = c->out.len = 0;
	if (more != c->writing)
		watch_client(l, c, EPOLL_CTL_MOD, more);
}

static void dial(struct load *l, unsigned number)
{
	struct client *c = &l->clients[number];
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(plan_client(&l->plan, number))};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = l->target, .sin_port = htons((uint16_t)l->port)};
	int on = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		fail("socket");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	if (bind(c->fd, (struct sockaddr *)&from, sizeof from) < 0)
		fail("bind");
	c->stage = DIALLING;
	l->trying++;
	if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)
		fail("connect");
	watch_client(l, c, EPOLL_CTL_ADD, true);
}

/* ---- What is heard ---- */

static void on_prefix(void *arg, unsigned prefix, unsigned version, bool announced)
{
	struct client *c = ((void **)arg)[1];
	struct load *l = ((void **)arg)[0];
	uint8_t bit = (uint8_t)(1u << prefix % 8), *at = &c->have[prefix / 8];
	bool had = *at & bit;

	/* Some reflectors send a route back to where it came from (RFC 4456 8: it is ignored there). */
	if (plan_owner(&l->plan, prefix) == (unsigned)(c - l->clients))
		return;
	if (l->changes.waiting && announced && version == l->changes.version &&
	    prefix / l->plan.per == l->changes.prefix / l->plan.per) {
		l->changes.waiting--;
		return;
	}
	l->again += announced && had;
	l->missing += had - announced;
	*at = (uint8_t)(announced ? *at | bit : *at & ~bit);
}

static void on_message(struct load *l, struct client *c, const uint8_t *message, size_t len)
{
	void *both[] = {l, c};
	struct plan_sight sight = {on_prefix, both, true};
	const char *wrong = NULL;

	switch (message[18]) {
	case MSG_OPEN:
		plan_keepalive(&c->out);
		break;
	case MSG_KEEPALIVE:
		if (c->stage == OPENING) {
			c->stage = UP;
			l->up++;
			l->trying--;
			plan_end_of_rib(&c->out);
		}
		break;
	case MSG_UPDATE:
		if (len > BGP_HEADER + 4)
			wrong = plan_check(&l->plan, &sight, message, len);
		break;
	case MSG_NOTIFICATION:
		fprintf(stderr, "NOTIFICATION %u/%u\n", message[19], message[20]);
		break;
	default:
		wrong = "a message of an unknown type";
	}
	l->wrong += wrong != NULL;
	if (wrong && !l->first_wrong)
		l->first_wrong = wrong;
}

/* Takes whole messages from the octets; returns how many octets they were. */
static size_t take_messages(struct load *l, struct client *c, const uint8_t *at, size_t len)
{
	size_t taken = 0;

	while (len - taken >= BGP_HEADER) {
		size_t size = get16(at + taken + 16);

		if (size < BGP_HEADER || size > BGP_MESSAGE_MAX) {
			l->wrong++;
			l->first_wrong = "a message of an impossible length";
			return len;
		}
		if (len - taken < size)
			break;
		on_message(l, c, at + taken, size);
		taken += size;
	}
	return taken;
}

static void hear(struct load *l, struct client *c)
{
	for (;;) {
		size_t kept = c->in.len, taken;
		ssize_t n;

		memcpy(l->buffer, c->in.at, kept);
		n = recv(c->fd, l->buffer + kept, sizeof l->buffer - kept, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			lose(l, c);
			return;
		}
		taken = take_messages(l, c, l->buffer, kept + (size_t)n);
		c->in.len = 0;
		octets_add(&c->in, l->buffer + taken, kept + (size_t)n - taken);
		if (kept + (size_t)n < sizeof l->buffer)
			break;
	}
	if (c->out.len && c->fd >= 0)
		flush_client(l, c);
}

static void on_event(struct load *l, struct client *c, unsigned events)
{
	if (c->fd < 0)
		return;
	if (c->stage == DIALLING && (events & EPOLLOUT) && !(events & EPOLLERR)) {
		c->stage = OPENING;
		plan_open(&l->plan, (unsigned)(c - l->clients), l->hold, &c->out);
		flush_client(l, c);
		return;
	}
	if (events & EPOLLOUT)
		flush_client(l, c);
	if (c->fd >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		hear(l, c);
}

/* ---- What is to happen ---- */

static void go(struct load *l)
{
	struct plan *p = &l->plan;

	for (unsigned i = 0; i < p->senders; i++)
		plan_announce(p, i, 0, &l->clients[i].out);
	if (l->expect)
		l->missing = (uint64_t)plan_total(p) * (p->clients - 1); /* all but whose they are */
	l->going = true;
	l->went = now_ms();
	for (unsigned i = 0; i < p->senders; i++)
		flush_client(l, &l->clients[i]);
}

static void change(struct load *l)
{
	struct changes *ch = &l->changes;
	struct client *c;

	ch->version = ch->done % 16000 + 1;
	ch->prefix = (unsigned)((uint64_t)ch->done * 2654435761u % plan_total(&l->plan));
	ch->waiting = (l->plan.clients - 1) * l->plan.per;
	c = &l->clients[plan_owner(&l->plan, ch->prefix)];
	plan_announce_set(&l->plan, ch->prefix, ch->version, &c->out);
	ch->began = now_ms();
	flush_client(l, c);
}

static void report(const char *what, double value)
{
	printf("%s %.3f\n", what, value);
	fflush(stdout);
}

static void changes_go_on(struct load *l)
{
	struct changes *ch = &l->changes;

	if (ch->done == ch->wanted || ch->waiting)
		return;
	ch->took[ch->done++] = now_ms() - ch->began;
	if (ch->done < ch->wanted) {
		change(l);
		return;
	}
	qsort(ch->took, ch->wanted, sizeof *ch->took, by_value);
	printf("changed %.3f %.3f %.3f\n", ch->took[ch->wanted / 2], ch->took[ch->wanted * 99 / 100],
	       ch->took[ch->wanted - 1]);
	fflush(stdout);
}

static void on_line(struct load *l, const char *line)
{
	unsigned n;

	if (strcmp(line, "go\n") == 0) {
		go(l);
	} else if (sscanf(line, "change %u", &n) == 1 && n > 0 && n <= CHANGES_MAX) {
		free(l->changes.took);
		l->changes = (struct changes){.wanted = n, .took = calloc(n, sizeof(double))};
		change(l);
	} else {
		l->over = true;
	}
}

static void on_stdin(struct load *l)
{
	char line[TALK_LINE];

	talk_read(line);
	on_line(l, line);
}

static void look(struct load *l)
{
	double now = now_ms();
	bool there;

	if (l->watch && l->going && !l->complete) {
		long n = watch_read(l->watch);

		/* Events were lost: the table itself says it, which takes longer, so not all the time. */
		if (n < 0 && now > l->next_look) {
			n = watch_again(l->watch);
			l->next_look = now_ms() + 20;
		}
		there = n == (long)plan_total(&l->plan);
	} else {
		there = l->expect && l->missing == 0;
	}
	if (l->going && !l->complete && there) {
		l->complete = true;
		report("complete", now_ms() - l->went);
	}
	if (now >= l->next_keepalive) {
		l->next_keepalive = now + l->hold * 1e3 / 3;
		for (unsigned i = 0; i < l->plan.clients; i++) {
			if (l->clients[i].stage != UP)
				continue;
			plan_keepalive(&l->clients[i].out);
			flush_client(l, &l->clients[i]);
		}
	}
}

static void turn(struct load *l)
{
	struct epoll_event events[512];
	double wait = l->up < l->plan.clients ? 100 : l->next_keepalive - now_ms();
	int n = epoll_wait(l->epoll, events, 512, wait > 0 ? (int)wait + 1 : 0);

	for (int i = 0; i < n; i++) {
		if (events[i].data.ptr == l)
			on_stdin(l);
		else if (events[i].data.ptr != l->watch)
			on_event(l, events[i].data.ptr, events[i].events);
	}
	changes_go_on(l);
	look(l);
}

static void add(struct load *l, int fd, void *what)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = what};

	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e) < 0)
		fail("epoll_ctl");
}

static void establish(struct load *l)
{
	l->dialled = now_ms();
	l->next_keepalive = l->dialled + l->hold * 1e3 / 3;
	while (l->up < l->plan.clients && now_ms() < l->dialled + l->limit) {
		for (unsigned i = 0; i < l->plan.clients && l->trying < l->window; i++)
			if (l->clients[i].stage == NOT_YET && now_ms() >= l->clients[i].again)
				dial(l, i);
		turn(l);
	}
	l->established = l->up == l->plan.clients;
	if (l->established)
		report("established", now_ms() - l->dialled);
	printf("sessions %u\n", l->up);
	fflush(stdout);
	if (!l->established)
		exit(1);
}

static const char usage[] = "usage: bgp_load -t TARGET -f FIRST -n CLIENTS [-P PORT] [-a AS] [-H HOLD] [-s SENDERS] "
			    "[-r ROUTES] [-p PER-SET] [-e]\n"
			    "                [-k NETNS] [-w WINDOW] [-l SECONDS]\n";

static void read_options(struct load *l, int argc, char **argv)
{
	struct in_addr first = {0};
	int c;

	while ((c = getopt(argc, argv, "t:f:n:P:a:H:s:r:p:ek:w:l:")) != -1) {
		unsigned n = optarg ? (unsigned)strtoul(optarg, NULL, 10) : 0;

		switch (c) {
		case 't':
			inet_pton(AF_INET, optarg, &l->target);
			break;
		case 'f':
			inet_pton(AF_INET, optarg, &first);
			break;
		case 'n':
			l->plan.clients = n;
			break;
		case 'P':
			l->port = n;
			break;
		case 'a':
			l->plan.as = n;
			break;
		case 'H':
			l->hold = n;
			break;
		case 's':
			l->plan.senders = n;
			break;
		case 'r':
			l->plan.routes = n;
			break;
		case 'p':
			l->plan.per = n;
			break;
		case 'w':
			l->window = n;
			break;
		case 'l':
			l->limit = n * 1e3;
			break;
		case 'e':
			l->expect = true;
			break;
		case 'k':
			l->netns = optarg;
			break;
		default:
			fputs(usage, stderr);
			exit(2);
		}
	}
	l->plan.first = ntohl(first.s_addr);
	if (!l->plan.senders)
		l->plan.senders = l->plan.clients;
	if (!l->plan.per)
		l->plan.per = l->plan.routes;
	if (!l->target.s_addr || !l->plan.first || !l->plan.clients || !l->plan.routes ||
	    l->plan.routes % l->plan.per || l->plan.senders > l->plan.clients) {
		fputs(usage, stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct load *l = calloc(1, sizeof *l);
	struct rlimit files;

	if (!l)
		fail("calloc");
	l->port = 179;
	l->window = UINT32_MAX;
	l->hold = 90;
	l->limit = 120e3;
	l->plan = (struct plan){.as = 64512, .routes = 1};
	read_options(l, argc, argv);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGPIPE, SIG_IGN);
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->clients = calloc(l->plan.clients, sizeof *l->clients);
	if (l->epoll < 0 || !l->clients)
		fail("epoll_create1");
	for (unsigned i = 0; i < l->plan.clients; i++)
		l->clients[i].have = calloc(plan_total(&l->plan) / 8 + 1, 1);
	if (l->netns) {
		l->watch = watch_new(&l->plan, l->netns);
		if (!l->watch)
			fail(l->netns);
		add(l, watch_fd(l->watch), l->watch);
	}
	establish(l);
	add(l, STDIN_FILENO, l);
	while (!l->over)
		turn(l);
	printf("redialled %u\nlost %u\nwrong %lu %s\nagain %lu\n", l->redialled, l->lost, l->wrong,
	       l->first_wrong ? l->first_wrong : "", l->again);
	if (l->watch)
		printf("writes %lu\n", watch_writes(l->watch));
	return l->lost || l->wrong;
}
