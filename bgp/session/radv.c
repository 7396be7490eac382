#include "bgp/session/radv.h"

#include <bsd/stdlib.h>
#include <bsd/sys/queue.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"

/* RFC 4861 6.2.1: the interval, and a quicker beginning. */
#define INTERVAL (10 * MONO_SEC)
#define INITIAL_INTERVAL (1 * MONO_SEC)
#define INITIAL_COUNT 3u
/* RFC 4861 10, MIN_DELAY_BETWEEN_RAS, for answers to whoever solicits. */
#define MIN_DELAY (3 * MONO_SEC)
/* How many messages one readiness event reads: a flood on the link waits for the peers. */
#define READ_BUDGET 32
#define HOP_LIMIT 255
/* Without options. */
#define ADVERTISEMENT_LEN 16u
#define SOLICITATION_LEN 8u

struct watched {
	struct radv *radv;
	uint32_t ifindex;
	unsigned watches, sent;
	uint64_t last;
	struct loop_timer timer;
	LIST_ENTRY(watched) entry;
};

struct radv {
	struct loop *loop;
	void (*on_router)(void *arg, const struct addr *router);
	void *arg;
	int fd; /* -1: nothing is watched */
	struct loop_io io;
	LIST_HEAD(, watched) links;
	struct log_limit send_log;
};

static const struct in6_addr all_nodes = {.s6_addr = {0xff, 0x02, [15] = 1}};
static const struct in6_addr all_routers = {.s6_addr = {0xff, 0x02, [15] = 2}};

static struct watched *find(const struct radv *r, uint32_t ifindex)
{
	struct watched *w;

	LIST_FOREACH(w, &r->links, entry)
	if (w->ifindex == ifindex)
		return w;
	return NULL;
}

/* ---- Saying ---- */

/* RFC 4861 4.2. The kernel fills in the checksum and takes a link-local address of the link as source. */
static void advertise(struct watched *w)
{
	uint8_t msg[ADVERTISEMENT_LEN], control[CMSG_SPACE(sizeof(struct in6_pktinfo))] = {0};
	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = all_nodes, .sin6_scope_id = w->ifindex};
	struct in6_pktinfo info = {.ipi6_ifindex = (unsigned)w->ifindex};
	struct iovec iov = {msg, sizeof msg};
	struct msghdr h = {.msg_name = &to,
			   .msg_namelen = sizeof to,
			   .msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof control};
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);
	struct wr out = wr_make(msg, sizeof msg);
	uint32_t more;

	wr_u8(&out, ND_ROUTER_ADVERT);
	wr_u8(&out, 0);	 /* code */
	wr_u16(&out, 0); /* checksum */
	wr_u8(&out, 0);	 /* hop limit: unspecified */
	wr_u8(&out, 0);	 /* flags */
	wr_u16(&out, 0); /* lifetime: no default router */
	wr_u32(&out, 0); /* reachable time, retransmission timer: unspecified */
	wr_u32(&out, 0);
	c->cmsg_level = IPPROTO_IPV6;
	c->cmsg_type = IPV6_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof info);
	memcpy(CMSG_DATA(c), &info, sizeof info);
	w->last = mono_now();
	/* A link that is down, or has no address yet: the next one goes out. */
	if (sendmsg(w->radv->fd, &h, MSG_DONTWAIT) < 0 && errno != ENETDOWN && errno != EADDRNOTAVAIL &&
	    errno != ENODEV && errno != ENETUNREACH && log_allowed(&w->radv->send_log, 1, 60 * MONO_SEC, &more))
		log_warn("bgp", "router advertisement on interface %u: %s (%u more not shown)", w->ifindex,
			 strerror(errno), more);
}

static void on_timer(void *arg)
{
	struct watched *w = arg;
	uint64_t gap = w->sent < INITIAL_COUNT ? INITIAL_INTERVAL : INTERVAL;

	advertise(w);
	w->sent++;
	loop_timer_set(w->radv->loop, &w->timer, gap / 4 * 3 + gap / 4 * arc4random_uniform(1024) / 1023, on_timer, w);
}

void radv_hurry(struct radv *r, uint32_t ifindex)
{
	struct watched *w = find(r, ifindex);

	if (!w)
		return;
	w->sent = 0;
	loop_timer_set(r->loop, &w->timer, 0, on_timer, w);
}

/* RFC 4861 6.2.6 */
static void solicited(struct watched *w)
{
	uint64_t now = mono_now(), at = w->last + MIN_DELAY, left = loop_timer_left(w->radv->loop, &w->timer);
	uint64_t wait = at > now ? at - now : 0;

	if (wait < left)
		loop_timer_set(w->radv->loop, &w->timer, wait, on_timer, w);
}

/* ---- Hearing ---- */

struct heard {
	struct addr from;
	uint32_t ifindex;
	int hop_limit;
	struct rd message;
};

/* RFC 4861 6.1.2: options have a length, and end where the message does. */
static bool options_are_sound(struct rd *r)
{
	while (rd_left(r)) {
		uint8_t units;

		rd_u8(r);
		units = rd_u8(r);
		if (!units)
			return false;
		rd_take(r, units * 8u - 2);
	}
	return !r->bad;
}

enum radv_kind radv_judge(struct rd message, int hop_limit, const struct addr *from)
{
	uint8_t type = rd_u8(&message), code = rd_u8(&message);

	if (hop_limit != HOP_LIMIT || code != 0)
		return RADV_OF_NO_USE;
	rd_take(&message, (type == ND_ROUTER_ADVERT ? ADVERTISEMENT_LEN : SOLICITATION_LEN) - 2);
	if (message.bad || !options_are_sound(&message))
		return RADV_OF_NO_USE;
	if (type == ND_ROUTER_SOLICIT)
		return RADV_SOLICITATION;
	return type == ND_ROUTER_ADVERT && addr_is_link_local(from) ? RADV_ADVERTISEMENT : RADV_OF_NO_USE;
}

static void heard(struct radv *r, const struct heard *h)
{
	struct watched *w = find(r, h->ifindex);
	enum radv_kind kind = radv_judge(h->message, h->hop_limit, &h->from);

	if (w && kind == RADV_SOLICITATION)
		solicited(w);
	else if (w && kind == RADV_ADVERTISEMENT)
		r->on_router(r->arg, &h->from);
}

static void read_control(struct msghdr *m, struct heard *h)
{
	struct in6_pktinfo info;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != IPPROTO_IPV6)
			continue;
		if (c->cmsg_type == IPV6_HOPLIMIT && c->cmsg_len == CMSG_LEN(sizeof h->hop_limit))
			memcpy(&h->hop_limit, CMSG_DATA(c), sizeof h->hop_limit);
		if (c->cmsg_type == IPV6_PKTINFO && c->cmsg_len == CMSG_LEN(sizeof info)) {
			memcpy(&info, CMSG_DATA(c), sizeof info);
			h->ifindex = info.ipi6_ifindex;
		}
	}
}

static void on_readable(void *arg, int events)
{
	struct radv *r = arg;

	(void)events;
	for (int n = 0; n < READ_BUDGET && r->fd >= 0; n++) {
		uint8_t data[1500], control[256];
		struct sockaddr_in6 from = {0};
		struct iovec iov = {data, sizeof data};
		struct msghdr m = {.msg_name = &from,
				   .msg_namelen = sizeof from,
				   .msg_iov = &iov,
				   .msg_iovlen = 1,
				   .msg_control = control,
				   .msg_controllen = sizeof control};
		ssize_t len = recvmsg(r->fd, &m, MSG_DONTWAIT);
		struct heard h = {.hop_limit = -1};
		struct addr source;

		if (len < 0)
			return;
		read_control(&m, &h);
		source = addr_make(AF_INET6, &from.sin6_addr);
		h.from = addr_on_link(&source, h.ifindex);
		h.message = rd_make(data, (size_t)len);
		if (!(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
			heard(r, &h);
	}
}

/* ---- The socket and the links ---- */

static bool socket_open(struct radv *r)
{
	static const struct {
		int level, name, value;
	} options[] = {
	    {IPPROTO_IPV6, IPV6_RECVPKTINFO, 1},
	    {IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1},
	    {IPPROTO_IPV6, IPV6_MULTICAST_HOPS, HOP_LIMIT},
	    {IPPROTO_IPV6, IPV6_UNICAST_HOPS, HOP_LIMIT},
	    {IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0},
	};
	struct icmp6_filter filter;
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6);

	if (fd < 0)
		return false;
	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ND_ROUTER_ADVERT, &filter);
	ICMP6_FILTER_SETPASS(ND_ROUTER_SOLICIT, &filter);
	if (setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter) < 0)
		goto failed;
	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		if (setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int)) < 0)
			goto failed;
	r->fd = fd;
	loop_io_set(r->loop, &r->io, fd, LOOP_READ, on_readable, r);
	return true;
failed:
	close(fd);
	return false;
}

static void socket_close(struct radv *r)
{
	loop_io_stop(r->loop, &r->io);
	close(r->fd);
	r->fd = -1;
}

/* Solicitations go to all routers; advertisements to all nodes, which the kernel has joined. */
static bool membership(struct radv *r, uint32_t ifindex, bool join)
{
	struct ipv6_mreq m = {.ipv6mr_multiaddr = all_routers, .ipv6mr_interface = (unsigned)ifindex};

	return setsockopt(r->fd, IPPROTO_IPV6, join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, &m, sizeof m) == 0 ||
	       (join && errno == EADDRINUSE);
}

bool radv_watch(struct radv *r, uint32_t ifindex)
{
	struct watched *w = find(r, ifindex);

	if (w) {
		w->watches++;
		return true;
	}
	if (r->fd < 0 && !socket_open(r))
		return false;
	if (!membership(r, ifindex, true)) {
		int error = errno;

		if (LIST_EMPTY(&r->links))
			socket_close(r);
		errno = error;
		return false;
	}
	w = mem_calloc(1, sizeof *w);
	*w = (struct watched){.radv = r, .ifindex = ifindex, .watches = 1};
	LIST_INSERT_HEAD(&r->links, w, entry);
	radv_hurry(r, ifindex);
	return true;
}

static void drop(struct watched *w)
{
	struct radv *r = w->radv;

	loop_timer_stop(r->loop, &w->timer);
	membership(r, w->ifindex, false);
	LIST_REMOVE(w, entry);
	free(w);
	if (LIST_EMPTY(&r->links))
		socket_close(r);
}

void radv_unwatch(struct radv *r, uint32_t ifindex)
{
	struct watched *w = find(r, ifindex);

	if (w && --w->watches == 0)
		drop(w);
}

struct radv *radv_new(struct loop *loop, void (*on_router)(void *arg, const struct addr *router), void *arg)
{
	struct radv *r = mem_calloc(1, sizeof *r);

	*r = (struct radv){.loop = loop, .on_router = on_router, .arg = arg, .fd = -1};
	return r;
}

void radv_free(struct radv *r)
{
	struct watched *w;

	while ((w = LIST_FIRST(&r->links)))
		drop(w);
	free(r);
}
