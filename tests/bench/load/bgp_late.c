/* How late a daemon's keepalives and BFD packets come, as those see it who wait for them: clients that only hold their
 * sessions, while others load the daemon. The times are the kernel's, of when each came in.
 *
 *	bgp_late -t 10.200.0.1 -f 10.200.60.1 -n 100 -b 10 -i 10
 *
 * The clients' hold time is 3 s, with which keepalives go out every second, and not more often (RFC 4271 4.4), so that
 * what is more than a second between two messages is lateness. The first -b clients have BFD sessions as well, and ask
 * for a packet every -i milliseconds; its jitter is 0 to 25 % of that (RFC 5880 6.8.7), so that what is more than 75 %
 * is lateness at most.
 *
 * On stdin: "spread" (all without BFD dial anew, over a second), "mark" (what was until now does not count), "report",
 * "quit". On stdout, in milliseconds:
 *
 *	up                      all sessions, of both kinds
 *	bfd N P50 P99 MAX       since "mark"
 *	keepalive N P50 P99 MAX
 *	lost N                  sessions of either kind that ended */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/load/plan.h"
#include "tests/bench/load/talk.h"

#define BFD_PORT 3784
#define BFD_SOURCE 49152
#define BFD_SIZE 24
#define OWN_INTERVAL 100.0 /* ms, between our BFD packets; ten may be missed */
#define KEEPALIVE 1000.0   /* ms */
#define HOLD 3

enum bfd_state { BFD_DOWN = 1, BFD_INIT, BFD_UP };

struct samples {
	double *at;
	size_t count, cap;
};

struct client {
	int fd, bfd, bfd_out;
	bool up;
	struct octets in, out;
	double dial_at;		 /* 0: it has dialled */
	double heard, bfd_heard; /* 0: not since it came up */
	enum bfd_state state;
	uint32_t theirs;
};

struct late {
	struct plan plan;
	struct in_addr target;
	unsigned watched, interval;
	int epoll;
	struct client *clients;
	struct samples bfd, keepalives;
	unsigned lost;
	bool said, over;
	double next_keepalive, next_bfd;
};

static void fail(const char *what)
{
	perror(what);
	exit(2);
}

static void sample(struct samples *s, double value)
{
	if (s->count == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 4096;
		s->at = realloc(s->at, s->cap * sizeof *s->at);
		if (!s->at)
			abort();
	}
	s->at[s->count++] = value > 0 ? value : 0;
}

static void add(struct late *l, int fd, void *what)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = what};

	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e) < 0)
		fail("epoll_ctl");
}

/* What there is, and when the kernel got it, in milliseconds. */
static ssize_t receive(int fd, void *at, size_t len, double *when)
{
	char control[128];
	struct iovec iov = {at, len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);

	for (struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(&m) : NULL; c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
			struct timespec t;

			memcpy(&t, CMSG_DATA(c), sizeof t);
			*when = (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
		}
	return n;
}

static int open_socket(uint32_t address, unsigned port, int type)
{
	struct sockaddr_in from = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(address), .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) < 0 ||
	    bind(fd, (struct sockaddr *)&from, sizeof from) < 0)
		fail("socket");
	return fd;
}

static void connect_to(struct late *l, int fd, unsigned port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = l->target, .sin_port = htons((uint16_t)port)};

	if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)
		fail("connect");
}

/* ---- BFD ---- */

static void say_bfd(struct late *l, struct client *c, bool final)
{
	uint32_t interval = htonl(c->state == BFD_UP ? (uint32_t)(OWN_INTERVAL * 1e3) : 1000000u);
	uint32_t words[5] = {htonl((uint32_t)(c - l->clients) + 1), c->theirs, interval, htonl(l->interval * 1000), 0};
	uint8_t packet[BFD_SIZE] = {0x20, (uint8_t)((unsigned)c->state << 6 | (final ? 0x10u : 0)), 10, BFD_SIZE};

	memcpy(packet + 4, words, sizeof words);
	/* Refused while the daemon has no session yet. */
	if (send(c->bfd_out, packet, sizeof packet, MSG_DONTWAIT) < 0 && errno != ECONNREFUSED)
		fail("BFD");
}

static void bfd_changed(struct late *l, struct client *c, enum bfd_state theirs)
{
	if (theirs == BFD_DOWN && c->state == BFD_UP)
		l->lost++;
	if (theirs == BFD_DOWN)
		c->state = c->state == BFD_UP ? BFD_DOWN : BFD_INIT;
	else if (c->state != BFD_DOWN || theirs == BFD_INIT)
		c->state = BFD_UP;
}

static void hear_bfd(struct late *l, struct client *c)
{
	uint8_t packet[64];
	double when = 0;

	while (receive(c->bfd, packet, sizeof packet, &when) >= BFD_SIZE) {
		enum bfd_state theirs = packet[1] >> 6;
		uint32_t interval = get32(packet + 12) / 1000;

		memcpy(&c->theirs, packet + 4, 4);
		bfd_changed(l, c, theirs);
		if (packet[1] & 0x20)
			say_bfd(l, c, true);
		if (packet[1] & 0x10) /* an answer, out of turn */
			continue;
		interval = interval > l->interval ? interval : l->interval;
		if (c->bfd_heard > 0 && c->state == BFD_UP)
			sample(&l->bfd, when - c->bfd_heard - 0.75 * interval);
		c->bfd_heard = c->state == BFD_UP && theirs == BFD_UP ? when : 0;
	}
}

/* ---- BGP ---- */

static void flush_client(struct client *c)
{
	if (c->out.len && send(c->fd, c->out.at, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)c->out.len)
		c->out.len = 0;
}

static void on_message(struct client *c, const uint8_t *message)
{
	if (message[18] == MSG_OPEN) {
		plan_keepalive(&c->out);
		flush_client(c);
	} else if (message[18] == MSG_KEEPALIVE && !c->up) {
		c->up = true;
		plan_end_of_rib(&c->out);
		flush_client(c);
	}
}

static void hear(struct late *l, struct client *c)
{
	uint8_t buffer[65536];
	size_t at = 0, len = c->in.len;
	double when = 0;
	ssize_t n;

	memcpy(buffer, c->in.at, len);
	n = receive(c->fd, buffer + len, sizeof buffer - len, &when);
	if (n <= 0) {
		if (n == 0 || errno != EAGAIN) {
			close(c->fd);
			c->fd = -1;
			l->lost++;
		}
		return;
	}
	if (c->up && c->heard > 0)
		sample(&l->keepalives, when - c->heard - KEEPALIVE);
	c->heard = when;
	for (len += (size_t)n; len - at >= BGP_HEADER && len - at >= get16(buffer + at + 16);
	     at += get16(buffer + at + 16))
		on_message(c, buffer + at);
	c->in.len = 0;
	octets_add(&c->in, buffer + at, len - at);
}

static void dial(struct late *l, struct client *c)
{
	unsigned number = (unsigned)(c - l->clients);

	c->dial_at = 0;
	c->up = false;
	c->heard = 0;
	c->in.len = c->out.len = 0;
	c->fd = open_socket(plan_client(&l->plan, number), 0, SOCK_STREAM);
	connect_to(l, c->fd, 179);
	plan_open(&l->plan, number, HOLD, &c->out);
	add(l, c->fd, c);
}

static void watch_by_bfd(struct late *l, struct client *c)
{
	uint32_t address = plan_client(&l->plan, (unsigned)(c - l->clients));
	int ttl = 255;

	c->state = BFD_DOWN;
	c->bfd = open_socket(address, BFD_PORT, SOCK_DGRAM);
	c->bfd_out = open_socket(address, BFD_SOURCE, SOCK_DGRAM);
	setsockopt(c->bfd_out, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl);
	connect_to(l, c->bfd_out, BFD_PORT);
	add(l, c->bfd, c);
}

static void begin(struct late *l)
{
	for (unsigned i = 0; i < l->plan.clients; i++) {
		l->clients[i].bfd = -1;
		dial(l, &l->clients[i]);
		if (i < l->watched)
			watch_by_bfd(l, &l->clients[i]);
	}
}

/* A start of the daemon ends for all sessions at once, and all their keepalives are aligned from then on. */
static void spread(struct late *l)
{
	for (unsigned i = l->watched; i < l->plan.clients; i++) {
		close(l->clients[i].fd);
		l->clients[i].fd = -1;
		l->clients[i].up = false;
		l->clients[i].dial_at = now_ms() + KEEPALIVE * i / l->plan.clients;
	}
	l->said = false;
}

/* ---- What is asked ---- */

static void report(const char *what, struct samples *s)
{
	qsort(s->at, s->count, sizeof *s->at, by_value);
	if (s->count)
		printf("%s %zu %.3f %.3f %.3f\n", what, s->count, s->at[s->count / 2], s->at[s->count * 99 / 100],
		       s->at[s->count - 1]);
	else
		printf("%s 0 0 0 0\n", what);
}

static void on_line(struct late *l, const char *line)
{
	if (strcmp(line, "spread\n") == 0) {
		spread(l);
	} else if (strcmp(line, "mark\n") == 0) {
		l->bfd.count = l->keepalives.count = 0;
	} else if (strcmp(line, "report\n") == 0) {
		report("bfd", &l->bfd);
		report("keepalive", &l->keepalives);
		printf("lost %u\n", l->lost);
		fflush(stdout);
	} else {
		l->over = true;
	}
}

static void on_stdin(struct late *l)
{
	char line[TALK_LINE];

	talk_read(line);
	on_line(l, line);
}

static void speak(struct late *l)
{
	double now = now_ms();
	bool keepalives = now >= l->next_keepalive, bfd = now >= l->next_bfd;
	bool up = true;

	for (unsigned i = 0; i < l->plan.clients; i++) {
		struct client *c = &l->clients[i];

		if (c->dial_at > 0 && now >= c->dial_at)
			dial(l, c);
		if (keepalives && c->up)
			plan_keepalive(&c->out);
		if (c->fd >= 0)
			flush_client(c); /* until the connection is there, this is the OPEN */
		if (bfd && c->bfd >= 0)
			say_bfd(l, c, false);
		up = up && c->up && (c->bfd < 0 || c->state == BFD_UP);
	}
	l->next_keepalive = keepalives ? now + KEEPALIVE : l->next_keepalive;
	l->next_bfd = bfd ? now + OWN_INTERVAL : l->next_bfd;
	if (up && !l->said) {
		puts("up");
		fflush(stdout);
		l->said = true;
	}
}

static void turn(struct late *l)
{
	struct epoll_event events[256];
	int n = epoll_wait(l->epoll, events, 256, l->said ? (int)OWN_INTERVAL / 2 : 1);

	for (int i = 0; i < n; i++) {
		struct client *c = events[i].data.ptr;

		if ((void *)c == l) {
			on_stdin(l);
			continue;
		}
		if (c->bfd >= 0)
			hear_bfd(l, c);
		if (c->fd >= 0)
			hear(l, c);
	}
	speak(l);
}

static void read_options(struct late *l, int argc, char **argv)
{
	struct in_addr first = {0};
	int c;

	while ((c = getopt(argc, argv, "t:f:n:b:i:a:")) != -1) {
		unsigned n = optarg ? (unsigned)strtoul(optarg, NULL, 10) : 0;

		if (c == 't')
			inet_pton(AF_INET, optarg, &l->target);
		else if (c == 'f')
			inet_pton(AF_INET, optarg, &first);
		else if (c == 'n')
			l->plan.clients = n;
		else if (c == 'b')
			l->watched = n;
		else if (c == 'i')
			l->interval = n;
		else if (c == 'a')
			l->plan.as = n;
	}
	l->plan.first = ntohl(first.s_addr);
	if (!l->target.s_addr || !l->plan.first || !l->plan.clients || l->watched > l->plan.clients || !l->interval) {
		fputs("usage: bgp_late -t TARGET -f FIRST -n CLIENTS [-b WATCHED-BY-BFD] [-i MS] [-a AS]\n", stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct late *l = calloc(1, sizeof *l);

	if (!l)
		fail("calloc");
	l->plan.as = 64512;
	l->interval = 10;
	read_options(l, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->clients = calloc(l->plan.clients, sizeof *l->clients);
	if (l->epoll < 0 || !l->clients)
		fail("epoll_create1");
	add(l, STDIN_FILENO, l);
	begin(l);
	while (!l->over)
		turn(l);
	return 0;
}
