/* What the machine allows: a program without a routing table that moves the same octets as a routing daemon. It answers
 * BGP sessions, and hands each UPDATE on to all other clients as it came (a reflector would add two attributes, which
 * it does as well, so that the receivers' checks hold), or with -k writes its prefixes into the kernel. All clients get
 * their KEEPALIVEs together, each third of the hold time.
 *
 *	bgp_floor ADDRESS PORT HOLD [-k] */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/bench/load/plan.h"
#include "tests/bench/load/talk.h"

#define READ_MAX (256u << 10)
#define BATCH_MAX (64u << 10)
#define TURN_MAX 512
#define ROUTE_SIZE (NLMSG_SPACE(sizeof(struct rtmsg)) + 2 * RTA_SPACE(4) + RTA_SPACE(4))

struct client {
	int fd;
	uint32_t identifier;
	bool writing;
	struct octets in, out;
	size_t sent;
	size_t start, end; /* of what it has said in this turn, in what is relayed */
	struct client *next;
};

struct floor {
	int epoll, listener, netlink;
	unsigned hold; /* s */
	double next_keepalive;
	struct client *clients;
	struct octets relay; /* what one turn has brought, for the others */
	uint8_t batch[BATCH_MAX];
	size_t batched;
	uint8_t buffer[READ_MAX];
};

static void fail(const char *what)
{
	perror(what);
	exit(2);
}

static void watch(struct floor *f, struct client *c, int op, bool writing)
{
	struct epoll_event e = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = c};

	c->writing = writing;
	if (epoll_ctl(f->epoll, op, c->fd, &e) < 0)
		fail("epoll_ctl");
}

static void keep(struct client *c, const struct iovec *pieces, unsigned count, size_t written)
{
	for (unsigned i = 0; i < count; i++) {
		size_t gone = written < pieces[i].iov_len ? written : pieces[i].iov_len;

		octets_add(&c->out, (const uint8_t *)pieces[i].iov_base + gone, pieces[i].iov_len - gone);
		written -= gone;
	}
}

/* Writes what waits, and these pieces after it without copying them, but for what the socket does not take. */
static void write_client(struct floor *f, struct client *c, const struct iovec *pieces, unsigned count)
{
	struct iovec all[3] = {{c->out.at + c->sent, c->out.len - c->sent}};
	struct msghdr m = {.msg_iov = all, .msg_iovlen = count + 1};
	size_t waiting = all[0].iov_len, written;
	ssize_t n;

	for (unsigned i = 0; i < count; i++)
		all[i + 1] = pieces[i];
	n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	written = n < 0 ? 0 : (size_t)n;
	c->sent += written < waiting ? written : waiting;
	if (c->sent == c->out.len)
		c->sent = c->out.len = 0;
	keep(c, pieces, count, written < waiting ? 0 : written - waiting);
	if ((c->out.len > 0) != c->writing)
		watch(f, c, EPOLL_CTL_MOD, !c->writing);
}

static void flush_client(struct floor *f, struct client *c)
{
	if (c->out.len)
		write_client(f, c, NULL, 0);
}

/* ---- The kernel ---- */

static void flush_routes(struct floor *f)
{
	if (f->batched && send(f->netlink, f->batch, f->batched, 0) < 0)
		fail("netlink");
	f->batched = 0;
}

static void *put_attribute(void *at, unsigned type, uint32_t value, bool network)
{
	struct rtattr *a = at;

	a->rta_type = (unsigned short)type;
	a->rta_len = RTA_LENGTH(4);
	value = network ? htonl(value) : value;
	memcpy(RTA_DATA(a), &value, 4);
	return (char *)at + RTA_SPACE(4);
}

static void write_route(struct floor *f, uint32_t network, unsigned len, uint32_t gateway)
{
	struct nlmsghdr *h = (void *)(f->batch + f->batched);
	struct rtmsg *m = NLMSG_DATA(h);
	void *at;

	memset(h, 0, ROUTE_SIZE);
	h->nlmsg_type = RTM_NEWROUTE;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE;
	*m = (struct rtmsg){.rtm_family = AF_INET,
			    .rtm_dst_len = (unsigned char)len,
			    .rtm_table = RT_TABLE_MAIN,
			    .rtm_protocol = 200,
			    .rtm_type = RTN_UNICAST};
	at = put_attribute((char *)m + NLMSG_ALIGN(sizeof *m), RTA_DST, network, true);
	at = put_attribute(at, RTA_GATEWAY, gateway, true);
	at = put_attribute(at, RTA_PRIORITY, 1024, false);
	h->nlmsg_len = (unsigned)((char *)at - (char *)h);
	f->batched += h->nlmsg_len;
	if (f->batched + ROUTE_SIZE > sizeof f->batch)
		flush_routes(f);
}

static uint32_t next_hop_of(const uint8_t *at, const uint8_t *end)
{
	for (; at + 3 <= end; at += 3 + at[2])
		if (at[1] == 3)
			return get32(at + 3);
	return 0;
}

static void to_kernel(struct floor *f, const uint8_t *message, size_t len)
{
	const uint8_t *attributes = message + BGP_HEADER + 4, *end = message + len;
	const uint8_t *prefixes = attributes + get16(attributes - 2);
	uint32_t gateway = next_hop_of(attributes, prefixes);

	for (const uint8_t *at = prefixes; at < end; at += 1 + (*at + 7) / 8) {
		uint8_t network[4] = {0};

		memcpy(network, at + 1, (*at + 7u) / 8);
		write_route(f, get32(network), *at, gateway);
	}
}

/* ---- The others ---- */

static void relay(struct floor *f, const struct client *from, const uint8_t *message, size_t len)
{
	const uint8_t *attributes = message + BGP_HEADER + 4;
	size_t attributes_len = get16(attributes - 2), before = (size_t)(attributes - message) + attributes_len;
	uint8_t more[] = {0x80, 9, 4, 0, 0, 0, 0, 0x80, 10, 4, 10, 0, 0, 1};
	uint8_t head[BGP_HEADER + 4];
	uint32_t identifier = htonl(from->identifier);

	memcpy(more + 3, &identifier, 4);
	memcpy(head, message, sizeof head);
	head[16] = (uint8_t)((len + sizeof more) >> 8);
	head[17] = (uint8_t)(len + sizeof more);
	head[BGP_HEADER + 2] = (uint8_t)((attributes_len + sizeof more) >> 8);
	head[BGP_HEADER + 3] = (uint8_t)(attributes_len + sizeof more);
	octets_add(&f->relay, head, sizeof head);
	octets_add(&f->relay, attributes, attributes_len);
	octets_add(&f->relay, more, sizeof more);
	octets_add(&f->relay, message + before, len - before);
}

/* At the end of a turn, so that each client gets all of it at once, but for what it has said itself. */
static void relay_to_others(struct floor *f)
{
	for (struct client *c = f->clients; f->relay.len && c; c = c->next) {
		struct iovec pieces[] = {{f->relay.at, c->start}, {f->relay.at + c->end, f->relay.len - c->end}};

		if (c->identifier && f->relay.len > c->end - c->start)
			write_client(f, c, pieces, 2);
		c->start = c->end = 0;
	}
	f->relay.len = 0;
}

static void keepalives(struct floor *f)
{
	if (now_ms() < f->next_keepalive)
		return;
	f->next_keepalive = now_ms() + f->hold * 1e3 / 3;
	for (struct client *c = f->clients; c; c = c->next) {
		if (!c->identifier)
			continue; /* there is no session yet */
		plan_keepalive(&c->out);
		flush_client(f, c);
	}
}

static void on_message(struct floor *f, struct client *c, const uint8_t *message, size_t len)
{
	struct plan own = {.as = 64512, .first = 0x0a000001u};

	if (message[18] == MSG_OPEN) {
		c->identifier = get32(message + BGP_HEADER + 5);
		plan_open(&own, 0, f->hold, &c->out);
		plan_keepalive(&c->out);
		flush_client(f, c);
	} else if (message[18] == MSG_UPDATE && len > BGP_HEADER + 4) {
		if (f->netlink >= 0)
			to_kernel(f, message, len);
		else
			relay(f, c, message, len);
	}
}

static void hear(struct floor *f, struct client *c)
{
	size_t at = 0, len = c->in.len, start = f->relay.len;
	ssize_t n;

	memcpy(f->buffer, c->in.at, len);
	n = recv(c->fd, f->buffer + len, sizeof f->buffer - len, MSG_DONTWAIT);
	if (n <= 0) {
		epoll_ctl(f->epoll, EPOLL_CTL_DEL, c->fd, NULL);
		return;
	}
	for (len += (size_t)n; len - at >= BGP_HEADER && len - at >= get16(f->buffer + at + 16);
	     at += get16(f->buffer + at + 16))
		on_message(f, c, f->buffer + at, get16(f->buffer + at + 16));
	c->in.len = 0;
	octets_add(&c->in, f->buffer + at, len - at);
	c->start = start;
	c->end = f->relay.len;
}

static void accept_all(struct floor *f)
{
	int fd, on = 1;

	while ((fd = accept4(f->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct client *c = calloc(1, sizeof *c);

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		c->fd = fd;
		c->next = f->clients;
		f->clients = c;
		watch(f, c, EPOLL_CTL_ADD, false);
	}
}

static void listen_at(struct floor *f, const char *address, const char *port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
	int on = 1;

	inet_pton(AF_INET, address, &at.sin_addr);
	f->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(f->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(f->listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(f->listener, 4096) < 0)
		fail("listen");
	epoll_ctl(f->epoll, EPOLL_CTL_ADD, f->listener, &e);
}

int main(int argc, char **argv)
{
	struct floor *f = calloc(1, sizeof *f);
	struct rlimit files;

	if (argc < 4 || !f) {
		fputs("usage: bgp_floor ADDRESS PORT HOLD [-k]\n", stderr);
		return 2;
	}
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGPIPE, SIG_IGN);
	f->epoll = epoll_create1(EPOLL_CLOEXEC);
	f->hold = (unsigned)atoi(argv[3]);
	f->next_keepalive = now_ms() + f->hold * 1e3 / 3;
	f->netlink = argc > 4 ? socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE) : -1;
	listen_at(f, argv[1], argv[2]);
	for (;;) {
		struct epoll_event events[TURN_MAX];
		double wait = f->next_keepalive - now_ms();
		int n = epoll_wait(f->epoll, events, TURN_MAX, wait > 0 ? (int)wait + 1 : 0);

		for (int i = 0; i < n; i++) {
			struct client *c = events[i].data.ptr;

			if (!c)
				accept_all(f);
			else if (events[i].events & EPOLLOUT)
				flush_client(f, c);
			if (c && events[i].events & EPOLLIN)
				hear(f, c);
		}
		flush_routes(f);
		relay_to_others(f);
		keepalives(f);
	}
}
