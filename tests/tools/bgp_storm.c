/* A crowd of BGP clients that dial one daemon all at once: for connection storms, reflectors and benchmarks.
 *
 *	bgp_storm -t 10.0.0.1 -f 10.128.0.1 -n 1000
 *
 * Client i dials from the address i after the first one (all must be addresses of the host: "ip route add local
 * 10.128.0.0/16 dev lo" makes them so), says OPEN, KEEPALIVE, its routes and End-of-RIB; the session is kept alive.
 *
 * On stdout come lines of a word, a count, and the milliseconds since the first dial: "connected", "established",
 * "synced" (all have the daemon's End-of-RIB), with -x "complete" (all have been told that many prefixes, counted as
 * often as they are told), and at the end "lost". The exit status is 0 if all were Established in time. */
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

#include "bgp/codec/msg.h"
#include "bgp/codec/update.h"
#include "daemon/base/addr.h"
#include "daemon/base/buf.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"

enum stage { DIALLING, OPENING, CONFIRMING, UP, LOST };

struct client {
	struct addr addr;
	int fd;
	enum stage stage;
	bool synced;
	unsigned prefixes; /* announced to it, IPv4 */
	struct strbuf in, out;
	uint64_t next_keepalive;
};

struct storm {
	struct addr target, first;
	unsigned port, count, routes, deaf, stay, expected;
	uint32_t as;
	uint16_t hold;
	uint64_t patience;
	const char *password;
	int epoll;
	struct client *clients;
	unsigned connected, established, synced, complete, lost;
	uint64_t begun, updates, octets;
};

static volatile sig_atomic_t stopping;

static void on_signal(int signo)
{
	(void)signo;
	stopping = 1;
}

static void fail(const char *what)
{
	perror(what);
	exit(2);
}

static void report(const struct storm *s, const char *what, unsigned n)
{
	printf("%s %u %.1f\n", what, n, (double)(mono_now() - s->begun) / MONO_MSEC);
	fflush(stdout);
}

static socklen_t to_sockaddr(struct sockaddr_storage *out, const struct addr *a, unsigned port)
{
	memset(out, 0, sizeof *out);
	if (a->af == AF_INET6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)port);
		memcpy(&in6->sin6_addr, a->b, 16);
		return sizeof *in6;
	}
	struct sockaddr_in *in = (struct sockaddr_in *)out;
	in->sin_family = AF_INET;
	in->sin_port = htons((uint16_t)port);
	memcpy(&in->sin_addr, a->b, 4);
	return sizeof *in;
}

static void watch(struct storm *s, struct client *c, int op)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};

	if (c->stage == DIALLING || c->out.len)
		e.events |= EPOLLOUT;
	if (c->stage == UP && c < s->clients + s->deaf)
		e.events &= ~(uint32_t)EPOLLIN;
	if (epoll_ctl(s->epoll, op, c->fd, &e) < 0)
		fail("epoll_ctl");
}

static void lose(struct storm *s, struct client *c)
{
	close(c->fd);
	c->fd = -1;
	c->stage = LOST;
	s->lost++;
}

/* ---- What it says ---- */

static void flush_out(struct storm *s, struct client *c)
{
	while (c->out.len) {
		ssize_t n = send(c->fd, c->out.s, c->out.len, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			lose(s, c);
			return;
		}
		strbuf_consume(&c->out, (size_t)n);
	}
	watch(s, c, EPOLL_CTL_MOD);
}

static void say_open(struct storm *s, struct client *c)
{
	uint8_t msg[BGP_MAX_MESSAGE];
	struct wr w = wr_make(msg, sizeof msg);
	struct bgp_open o = {
	    .as = s->as,
	    .hold_time = s->hold,
	    .router_id = addr_to_u32(&c->addr),
	    .families = 1u << family_of_af(c->addr.af),
	    .has_mp = true,
	    .as4 = true,
	    .route_refresh = true,
	};

	if (c->addr.af == AF_INET6)
		o.router_id = (uint32_t)(c - s->clients) + 1;
	bgp_open_encode(&w, &o);
	strbuf_add(&c->out, msg, wr_len(&w));
}

static void say_keepalive(struct client *c)
{
	uint8_t msg[BGP_HEADER_LEN];
	struct wr w = wr_make(msg, sizeof msg);

	bgp_keepalive_encode(&w);
	strbuf_add(&c->out, msg, wr_len(&w));
}

/* Client i's routes: as many /32s as wanted, up to 4,096, of its own below 11.0.0.0; then End-of-RIB. */
static void say_routes(struct storm *s, struct client *c)
{
	uint32_t number = (uint32_t)(c - s->clients), base = 11u << 24 | number << 12;
	uint8_t msg[BGP_MAX_MESSAGE], hop[4];

	memcpy(hop, c->addr.b, 4);
	for (unsigned i = 0; i < s->routes && c->addr.af == AF_INET;) {
		const uint8_t attrs[] = {0x40,	 1,	 1,	 0,    0x40, 2, 0, 0x40, 3, 4,	hop[0],
					 hop[1], hop[2], hop[3], 0x40, 5,    4, 0, 0,	 0, 100};
		struct wr w = wr_make(msg, sizeof msg);
		unsigned take = s->routes - i < 800 ? s->routes - i : 800;

		for (int n = 0; n < 16; n++)
			wr_u8(&w, 0xff);
		wr_u16(&w, (uint16_t)(BGP_HEADER_LEN + 4 + sizeof attrs + 5 * take));
		wr_u8(&w, BGP_UPDATE);
		wr_u16(&w, 0);
		wr_u16(&w, sizeof attrs);
		wr_bytes(&w, attrs, sizeof attrs);
		for (unsigned end = i + take; i < end; i++) {
			wr_u8(&w, 32);
			wr_u32(&w, base + i);
		}
		strbuf_add(&c->out, msg, wr_len(&w));
	}
}

static void say_end_of_rib(struct client *c)
{
	static const uint8_t v4[] = {0, 0, 0, 0}, v6[] = {0, 0, 0, 6, 0x80, 15, 3, 0, 2, 1};
	bool six = c->addr.af == AF_INET6;
	uint8_t msg[BGP_HEADER_LEN + sizeof v6];
	struct wr w = wr_make(msg, sizeof msg);
	size_t len = six ? sizeof v6 : sizeof v4;

	for (int n = 0; n < 16; n++)
		wr_u8(&w, 0xff);
	wr_u16(&w, (uint16_t)(BGP_HEADER_LEN + len));
	wr_u8(&w, BGP_UPDATE);
	wr_bytes(&w, six ? v6 : v4, len);
	strbuf_add(&c->out, msg, wr_len(&w));
}

/* ---- What it hears ---- */

static bool is_end_of_rib(const struct bgp_msg *m)
{
	return m->len == BGP_HEADER_LEN + 4 || m->len == BGP_HEADER_LEN + 10;
}

static unsigned count_prefixes(struct rd r)
{
	unsigned n = 0;

	rd_take(&r, rd_u16(&r));
	rd_take(&r, rd_u16(&r));
	for (; rd_left(&r); n++)
		rd_take(&r, (rd_u8(&r) + 7u) / 8);
	return n;
}

static void hear_update(struct storm *s, struct client *c, struct bgp_msg *m)
{
	unsigned before = c->prefixes;

	s->updates++;
	if (is_end_of_rib(m) && !c->synced) {
		c->synced = true;
		if (++s->synced + s->deaf >= s->count && s->established == s->count)
			report(s, "synced", s->synced);
	}
	if (!s->expected)
		return;
	c->prefixes += count_prefixes(m->body);
	if (before < s->expected && c->prefixes >= s->expected && ++s->complete + s->deaf >= s->count)
		report(s, "complete", s->complete);
}

static void hear_one(struct storm *s, struct client *c, struct bgp_msg *m)
{
	switch (m->type) {
	case BGP_OPEN:
		c->stage = CONFIRMING;
		say_keepalive(c);
		break;
	case BGP_KEEPALIVE:
		if (c->stage != CONFIRMING)
			break;
		c->stage = UP;
		c->next_keepalive = mono_now() + s->hold * MONO_SEC / 3;
		say_routes(s, c);
		say_end_of_rib(c);
		if (++s->established == s->count)
			report(s, "established", s->established);
		break;
	case BGP_UPDATE:
		hear_update(s, c, m);
		break;
	default:
		lose(s, c);
	}
}

static void hear(struct storm *s, struct client *c)
{
	char data[65536];
	ssize_t n = read(c->fd, data, sizeof data);
	size_t done = 0;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		lose(s, c);
		return;
	}
	s->octets += (uint64_t)n;
	strbuf_add(&c->in, data, (size_t)n);
	while (c->stage != LOST) {
		struct bgp_error err;
		struct bgp_msg m;
		int len = bgp_msg_next(&m, c->in.s + done, c->in.len - done, BGP_MAX_EXTENDED, &err);

		if (len < 0) {
			fprintf(stderr, "broken message: %s\n", err.reason);
			exit(2);
		}
		if (!len)
			break;
		done += (size_t)len;
		hear_one(s, c, &m);
	}
	strbuf_consume(&c->in, done);
	if (c->stage != LOST)
		flush_out(s, c);
}

/* ---- Dialling ---- */

static void set_password(struct storm *s, int fd)
{
	struct sockaddr_storage sa;
	struct tcp_md5sig key = {.tcpm_keylen = (uint16_t)strlen(s->password)};

	to_sockaddr(&sa, &s->target, 0);
	memcpy(&key.tcpm_addr, &sa, sizeof sa);
	memcpy(key.tcpm_key, s->password, key.tcpm_keylen);
	if (setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof key) < 0)
		fail("TCP_MD5SIG");
}

static void dial(struct storm *s, struct client *c)
{
	struct sockaddr_storage sa;
	int on = 1;
	socklen_t len = to_sockaddr(&sa, &c->addr, 0);

	c->fd = socket(c->addr.af, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		fail("socket");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (s->password)
		set_password(s, c->fd);
	if (bind(c->fd, (struct sockaddr *)&sa, len) < 0)
		fail("bind");
	len = to_sockaddr(&sa, &s->target, s->port);
	if (connect(c->fd, (struct sockaddr *)&sa, len) < 0 && errno != EINPROGRESS)
		fail("connect");
	watch(s, c, EPOLL_CTL_ADD);
}

static void dialled(struct storm *s, struct client *c)
{
	int error = 0;
	socklen_t len = sizeof error;

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error) {
		lose(s, c);
		return;
	}
	c->stage = OPENING;
	if (++s->connected == s->count)
		report(s, "connected", s->connected);
	say_open(s, c);
	flush_out(s, c);
}

static void keep_alive(struct storm *s)
{
	uint64_t now = mono_now();

	for (struct client *c = s->clients; c < s->clients + s->count; c++) {
		if (c->stage != UP || c->next_keepalive > now)
			continue;
		c->next_keepalive = now + s->hold * MONO_SEC / 3;
		say_keepalive(c);
		flush_out(s, c);
	}
}

static bool is_over(const struct storm *s, uint64_t now)
{
	bool all_up = s->established == s->count;

	if (stopping || s->lost == s->count)
		return true;
	if (!all_up)
		return now >= s->begun + s->patience || s->lost;
	return s->stay != UINT32_MAX && now >= s->begun + s->stay * MONO_SEC;
}

static void run(struct storm *s)
{
	struct epoll_event events[256];

	s->begun = mono_now();
	for (unsigned i = 0; i < s->count; i++) {
		s->clients[i].addr = addr_add(&s->first, i);
		dial(s, &s->clients[i]);
	}
	for (;;) {
		int n = epoll_wait(s->epoll, events, 256, 100);

		for (int i = 0; i < n; i++) {
			struct client *c = events[i].data.ptr;

			if (c->stage == DIALLING)
				dialled(s, c);
			else if (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP))
				hear(s, c);
			if (c->stage != LOST && c->stage != DIALLING && c->out.len)
				flush_out(s, c);
		}
		keep_alive(s);
		if (is_over(s, mono_now()))
			return;
	}
}

static void usage(void)
{
	fputs(
	    "usage: bgp_storm -t TARGET -f FIRST_SOURCE -n CLIENTS [-p PORT] [-a AS] [-H HOLD_TIME] [-r ROUTES_EACH]\n"
	    "                 [-d DEAF_CLIENTS] [-x PREFIXES] [-k PASSWORD] [-T PATIENCE] [-w STAY]   (times in s; -w "
	    "-1: until "
	    "killed)\n",
	    stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	struct storm s = {.port = BGP_PORT, .count = 1, .as = 64512, .hold = 90, .patience = 60 * MONO_SEC};
	struct rlimit l;
	int c;

	while ((c = getopt(argc, argv, "t:f:n:p:a:H:r:d:k:T:w:x:")) != -1) {
		switch (c) {
		case 't':
			if (!addr_parse(&s.target, optarg))
				usage();
			break;
		case 'f':
			if (!addr_parse(&s.first, optarg))
				usage();
			break;
		case 'n':
			s.count = (unsigned)atoi(optarg);
			break;
		case 'p':
			s.port = (unsigned)atoi(optarg);
			break;
		case 'a':
			s.as = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'H':
			s.hold = (uint16_t)atoi(optarg);
			break;
		case 'r':
			s.routes = (unsigned)atoi(optarg);
			break;
		case 'x':
			s.expected = (unsigned)atoi(optarg);
			break;
		case 'd':
			s.deaf = (unsigned)atoi(optarg);
			break;
		case 'k':
			s.password = optarg;
			break;
		case 'T':
			s.patience = (uint64_t)atoi(optarg) * MONO_SEC;
			break;
		case 'w':
			s.stay = (unsigned)atoi(optarg);
			break;
		default:
			usage();
		}
	}
	if (addr_is_none(&s.target) || s.first.af != s.target.af || !s.count || optind < argc)
		usage();
	if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	s.epoll = epoll_create1(EPOLL_CLOEXEC);
	s.clients = mem_calloc(s.count, sizeof *s.clients);
	run(&s);
	printf("updates %llu %llu\n", (unsigned long long)s.updates, (unsigned long long)s.octets);
	report(&s, "lost", s.lost);
	for (struct client *i = s.clients; i < s.clients + s.count; i++) {
		if (i->fd >= 0)
			close(i->fd);
		strbuf_free(&i->in);
		strbuf_free(&i->out);
	}
	free(s.clients);
	return s.established == s.count ? 0 : 1;
}
