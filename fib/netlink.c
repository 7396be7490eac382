#include "fib/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "fib/netlink_io.h"
#include "fib/sender.h"

#define BATCH_BYTES 65000
#define EVENT_BUFFER (8 << 20)
/* What one acknowledgement or one route event costs of a socket's buffer: the kernel counts whole skbs. */
#define MESSAGE_COST 1280
#define FLIGHT_MAX 2048

/* Datagrams read per system call, and calls per wake-up of the loop. */
#define EVENT_VECTORS 16
#define EVENT_BYTES 16384
#define EVENT_ROUNDS 32

/* A request on its way, by sequence number: entry i of the ring has the number first_seq + i. */
struct flight {
	void *cookie;
	int error;
	char *text;
};

struct netlink {
	struct loop *loop;
	const struct netlink_ops *ops;
	void *arg;
	struct nl_sock *request, *events;
	struct loop_io request_io, events_io;
	uint32_t port;
	struct netlink_stats stats;

	struct flight *ring;	/* FLIGHT_MAX entries */
	unsigned limit;		/* requests under way at most, so that no buffer overflows */
	uint32_t first_seq;	/* of the oldest request under way */
	uint32_t next_seq;	/* of the next request */
	uint32_t sent_seq;	/* all before this were sent */
	uint32_t replied_seq;	/* all before this were answered, on_done waits for the events */
	struct sender *sender;	/* NULL while tables are small */
	bool threadless;	/* it could not be had */
	uint8_t *batch, *spare; /* spare: the one that the sender has, or had last */
	struct wr out;
	size_t open; /* where the open message begins */
	size_t last; /* and the last one that was ended */
	uint64_t sent_at;
	bool completing;

	uint8_t *inbox;	 /* EVENT_VECTORS times EVENT_BYTES */
	bool overrun;	 /* events were lost: tell once the queue is empty */
	bool neighbours; /* are followed */

	struct netlink_dumper dumper;
};

/* ---- requests ---- */

static void on_request_io(void *arg, int events);
static void on_events_io(void *arg, int events);

/* Room for the largest message we write, a multipath route. */
static bool batch_has_room(const struct netlink *n)
{
	return !n->batch || wr_room(&n->out) >= 8192;
}

bool netlink_has_room(const struct netlink *n)
{
	if (n->sender && sender_is_busy(n->sender) && !batch_has_room(n))
		return false;
	return n->next_seq - n->first_seq < n->limit;
}

struct wr *netlink_begin(struct netlink *n, uint16_t type, uint16_t flags, void *cookie)
{
	struct nlmsghdr h = {.nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags, .nlmsg_seq = n->next_seq};

	if (!n->batch) {
		n->batch = mem_alloc(BATCH_BYTES);
		n->out = wr_make(n->batch, BATCH_BYTES);
	}
	if (!batch_has_room(n))
		netlink_flush(n);
	n->open = wr_save(&n->out);
	wr_bytes(&n->out, &h, sizeof h);
	n->ring[n->next_seq % FLIGHT_MAX] = (struct flight){.cookie = cookie};
	return &n->out;
}

static void patch_header(struct netlink *n, size_t at, uint32_t len, uint16_t more_flags)
{
	struct nlmsghdr h;

	memcpy(&h, n->out.start + at, sizeof h);
	if (len)
		h.nlmsg_len = len;
	h.nlmsg_flags |= more_flags;
	memcpy(n->out.start + at, &h, sizeof h);
}

bool netlink_end(struct netlink *n)
{
	if (n->out.bad) {
		wr_undo(&n->out, n->open);
		return false;
	}
	patch_header(n, n->open, (uint32_t)(wr_len(&n->out) - n->open), 0);
	n->last = n->open;
	n->next_seq++;
	return true;
}

/* Answers everything up to (not including) seq: what got no error before went well. */
static void reply_until(struct netlink *n, uint32_t seq)
{
	if ((int32_t)(seq - n->replied_seq) > 0 && (int32_t)(seq - n->sent_seq) <= 0)
		n->replied_seq = seq;
}

static void fail_unreplied(struct netlink *n, int error)
{
	for (uint32_t s = n->replied_seq; s != n->sent_seq; s++)
		n->ring[s % FLIGHT_MAX].error = error;
	reply_until(n, n->sent_seq);
}

static void read_replies(struct netlink *n);

/* What was sent before has its answers; the batch that was refused will get none. */
static void send_failed(struct netlink *n, int error)
{
	read_replies(n);
	fail_unreplied(n, error);
	/* There will be no answer to wake us: the next turn picks the failures up. */
	loop_io_set(n->loop, &n->request_io, nl_socket_get_fd(n->request), LOOP_READ | LOOP_WRITE, on_request_io, n);
}

static void on_sent(void *arg, int error)
{
	struct netlink *n = arg;

	if (error)
		send_failed(n, error);
	netlink_flush(n);
	n->ops->on_room(n->arg);
}

void netlink_use_thread(struct netlink *n)
{
	if (n->sender || n->threadless)
		return;
	n->sender = sender_new(n->loop, nl_socket_get_fd(n->request), on_sent, n);
	n->threadless = !n->sender;
	if (n->sender)
		n->spare = mem_alloc(BATCH_BYTES);
}

/* The batch is the thread's until it is sent; the next one is collected meanwhile. */
static void send_by_thread(struct netlink *n)
{
	uint8_t *batch = n->batch;
	size_t len = wr_len(&n->out);

	n->batch = n->spare;
	n->spare = batch;
	n->out = wr_make(n->batch, BATCH_BYTES);
	sender_send(n->sender, batch, len);
}

void netlink_flush(struct netlink *n)
{
	int error = 0;

	if (n->next_seq == n->sent_seq || (n->sender && sender_is_busy(n->sender)))
		return;
	patch_header(n, n->last, 0, NLM_F_ACK);
	n->sent_at = mono_now();
	n->stats.batches++;
	if (n->sender) {
		n->sent_seq = n->next_seq;
		send_by_thread(n);
		return;
	}
	error = sender_send_now(nl_socket_get_fd(n->request), n->batch, wr_len(&n->out));
	wr_undo(&n->out, 0);
	n->sent_seq = n->next_seq;
	if (error)
		send_failed(n, error);
}

/* An answer: nlmsgerr with, behind the (capped) original header, attributes with the kernel's words. */
static void take_reply(struct netlink *n, struct nlmsghdr *h)
{
	uint32_t seq = h->nlmsg_seq;
	char text[160];
	int error;

	if (!netlink_parse_error(h, &error, text, sizeof text))
		return;
	if ((int32_t)(seq - n->replied_seq) < 0 || (int32_t)(seq - n->sent_seq) >= 0)
		return;
	if (error) {
		n->ring[seq % FLIGHT_MAX].error = error;
		n->ring[seq % FLIGHT_MAX].text = *text ? mem_strdup(text) : NULL;
	}
	reply_until(n, seq + 1);
}

static void read_replies(struct netlink *n)
{
	_Alignas(struct nlmsghdr) uint8_t buf[8192];

	for (;;) {
		ssize_t got = recv(nl_socket_get_fd(n->request), buf, sizeof buf, MSG_DONTWAIT);
		int left = (int)got;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == ENOBUFS) {
			/* The limit makes this impossible; if it happens, nobody knows what went well. */
			fail_unreplied(n, ENOBUFS);
			n->overrun = true;
			continue;
		}
		if (got <= 0)
			return;
		for (struct nlmsghdr *h = (void *)buf; nlmsg_ok(h, left); h = nlmsg_next(h, &left))
			take_reply(n, h);
	}
}

/* Reports what was answered. Only when the event queue was seen empty after the answer. */
static void complete(struct netlink *n)
{
	if (n->completing || n->first_seq == n->replied_seq)
		return;
	n->completing = true;
	while (n->first_seq != n->replied_seq) {
		struct flight f = n->ring[n->first_seq % FLIGHT_MAX];

		n->first_seq++;
		n->ops->on_done(n->arg, f.cookie, f.error, f.text ? f.text : "");
		free(f.text);
	}
	n->completing = false;
	if (n->first_seq == n->sent_seq)
		n->stats.last_batch_ns = mono_now() - n->sent_at;
	n->ops->on_room(n->arg);
}

static void on_request_io(void *arg, int events)
{
	struct netlink *n = arg;

	(void)events;
	loop_io_set(n->loop, &n->request_io, nl_socket_get_fd(n->request), LOOP_READ, on_request_io, n);
	read_replies(n);
	on_events_io(n, LOOP_READ);
}

/* ---- events ---- */

static void take_event(struct netlink *n, const struct mmsghdr *m)
{
	const struct sockaddr_nl *from = m->msg_hdr.msg_name;
	struct nlmsghdr *h = m->msg_hdr.msg_iov->iov_base;
	int left = (int)m->msg_len;

	if (from->nl_pid != 0)
		return; /* not the kernel */
	if (m->msg_hdr.msg_flags & MSG_TRUNC) {
		n->overrun = true;
		return;
	}
	for (; nlmsg_ok(h, left); h = nlmsg_next(h, &left))
		n->ops->on_event(n->arg, h);
}

/* Reads one vector of datagrams: how many, or -1 if the queue is empty. */
static int read_events(struct netlink *n)
{
	struct sockaddr_nl from[EVENT_VECTORS];
	struct iovec iov[EVENT_VECTORS];
	struct mmsghdr m[EVENT_VECTORS];
	int got;

	for (unsigned i = 0; i < EVENT_VECTORS; i++) {
		iov[i] = (struct iovec){n->inbox + (size_t)i * EVENT_BYTES, EVENT_BYTES};
		m[i] = (struct mmsghdr){
		    .msg_hdr = {
			.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &iov[i], .msg_iovlen = 1}};
	}
	got = recvmmsg(nl_socket_get_fd(n->events), m, EVENT_VECTORS, MSG_DONTWAIT, NULL);
	if (got < 0 && errno == ENOBUFS) {
		n->overrun = true;
		return 0;
	}
	if (got < 0)
		return errno == EINTR ? 0 : -1;
	for (int i = 0; i < got; i++)
		take_event(n, &m[i]);
	return got;
}

static void on_events_io(void *arg, int events)
{
	struct netlink *n = arg;
	int got = EVENT_VECTORS;

	(void)events;
	for (unsigned round = 0; round < EVENT_ROUNDS && got >= 0; round++)
		got = read_events(n);
	/* A socket takes writing at any time: so this is called in the next turn, too, if the queue was not seen empty.
	 */
	loop_io_set(n->loop, &n->events_io, nl_socket_get_fd(n->events), LOOP_READ | (got >= 0 ? LOOP_WRITE : 0),
		    on_events_io, n);
	if (got >= 0)
		return;
	/* What was answered before has shown its events. */
	if (n->overrun) {
		n->overrun = false;
		n->ops->on_overrun(n->arg);
	}
	complete(n);
}

/* Every answer to ARP makes an event of an entry that is not permanent: the kernel is to keep those for itself. */
static bool filter_events(int fd)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWNEIGH), 0, 2),
	    BPF_STMT(BPF_LD | BPF_H | BPF_ABS, NLMSG_HDRLEN + offsetof(struct ndmsg, ndm_state)),
	    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, htons(NUD_PERMANENT), 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {sizeof code / sizeof *code, code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

void netlink_follow_neighbours(struct netlink *n)
{
	if (n->neighbours)
		return;
	/* Without the filter it would be too many; the audit finds what is missing. */
	if (filter_events(nl_socket_get_fd(n->events)))
		nl_socket_add_memberships(n->events, RTNLGRP_NEIGH, 0);
	n->neighbours = true;
}

/* ---- life ---- */

static bool open_events(struct netlink *n)
{
	n->events = netlink_open(true);
	n->inbox = mem_alloc((size_t)EVENT_VECTORS * EVENT_BYTES);
	return n->events && nl_socket_add_memberships(n->events, RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
						      RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, 0) >= 0;
}

/* So many requests may be under way that neither their answers nor their events overflow a buffer, with as much room
 * again for events of others. */
static unsigned flight_limit(struct netlink *n)
{
	int a = netlink_buffer(n->request), b = netlink_buffer(n->events) / 2;
	unsigned limit = (unsigned)(a < b ? a : b) / MESSAGE_COST;

	return limit < 8 ? 8 : limit > FLIGHT_MAX ? FLIGHT_MAX : limit;
}

struct netlink *netlink_new(struct loop *loop, const struct netlink_ops *ops, void *arg, char *err, size_t err_size)
{
	struct netlink *n = mem_calloc(1, sizeof *n);

	n->loop = loop;
	n->ops = ops;
	n->arg = arg;
	n->first_seq = n->next_seq = n->sent_seq = n->replied_seq = 1;
	n->request = netlink_open(false);
	if (!n->request || !open_events(n)) {
		snprintf(err, err_size,
			 "cannot open a netlink socket: %s: is CONFIG_NETLINK missing, or a sandbox in the way?",
			 strerror(errno));
		netlink_free(n);
		return NULL;
	}
	/* libnl sets a send buffer that a batch would only just fit. */
	setsockopt(nl_socket_get_fd(n->request), SOL_SOCKET, SO_SNDBUF, &(int){2 * BATCH_BYTES}, sizeof(int));
	netlink_grow_buffer(n->request, FLIGHT_MAX * MESSAGE_COST);
	netlink_grow_buffer(n->events, EVENT_BUFFER);
	n->limit = flight_limit(n);
	n->port = nl_socket_get_local_port(n->request);
	n->ring = mem_calloc(FLIGHT_MAX, sizeof *n->ring);
	loop_io_set(loop, &n->request_io, nl_socket_get_fd(n->request), LOOP_READ, on_request_io, n);
	loop_io_set(loop, &n->events_io, nl_socket_get_fd(n->events), LOOP_READ, on_events_io, n);
	netlink_dumper_init(&n->dumper, loop);
	return n;
}

void netlink_free(struct netlink *n)
{
	if (!n)
		return;
	netlink_dumper_stop(&n->dumper);
	sender_free(n->sender);
	loop_io_stop(n->loop, &n->request_io);
	loop_io_stop(n->loop, &n->events_io);
	nl_socket_free(n->request);
	nl_socket_free(n->events);
	for (uint32_t s = n->first_seq; n->ring && s != n->next_seq; s++)
		free(n->ring[s % FLIGHT_MAX].text);
	free(n->ring);
	free(n->batch);
	free(n->spare);
	free(n->inbox);
	free(n);
}

uint32_t netlink_port(const struct netlink *n)
{
	return n->port;
}

const struct netlink_stats *netlink_stats(const struct netlink *n)
{
	return &n->stats;
}

void netlink_dump(struct netlink *n, const struct netlink_dump *d, void *arg)
{
	netlink_dumper_start(&n->dumper, d, arg);
}

bool netlink_dump_wait(struct netlink *n)
{
	return netlink_dumper_wait(&n->dumper);
}

int netlink_event_fd(const struct netlink *n)
{
	return nl_socket_get_fd(n->events);
}
