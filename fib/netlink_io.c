#include "fib/netlink_io.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/base/mem.h"

#define DUMP_BYTES 32768

static void set_option(struct nl_sock *s, int option)
{
	int on = 1;

	/* Each is a convenience of newer kernels; without it there is less text, or more to filter. */
	setsockopt(nl_socket_get_fd(s), SOL_NETLINK, option, &on, sizeof on);
}

struct nl_sock *netlink_open(bool multicast)
{
	struct nl_sock *s = nl_socket_alloc();
	int r;

	if (!s) {
		errno = ENOMEM;
		return NULL;
	}
	if (multicast)
		nl_join_groups(s, 0);
	r = nl_connect(s, NETLINK_ROUTE);
	if (r < 0) {
		nl_socket_free(s);
		errno = r == -NLE_PERM || r == -NLE_NOACCESS ? EACCES : errno ? errno : EIO;
		return NULL;
	}
	nl_socket_set_nonblocking(s);
	set_option(s, NETLINK_EXT_ACK);
	set_option(s, NETLINK_CAP_ACK);
	set_option(s, NETLINK_GET_STRICT_CHK);
	return s;
}

void netlink_grow_buffer(struct nl_sock *s, int bytes)
{
	int fd = nl_socket_get_fd(s);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

int netlink_buffer(struct nl_sock *s)
{
	socklen_t len = sizeof(int);
	int bytes = 0;

	getsockopt(nl_socket_get_fd(s), SOL_SOCKET, SO_RCVBUF, &bytes, &len);
	return bytes;
}

/* The kernel's text is in attributes behind the error and the header it answers (the whole request if it is not
 * capped). */
static void parse_text(struct nlmsghdr *h, const struct nlmsgerr *e, char *text, size_t text_size)
{
	struct nlattr *tb[NLMSGERR_ATTR_MAX + 1];
	size_t behind = sizeof *e;

	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		behind += NLMSG_ALIGN(e->msg.nlmsg_len) - sizeof e->msg;
	if (!nlmsg_valid_hdr(h, (int)behind) || nlmsg_parse(h, (int)behind, tb, NLMSGERR_ATTR_MAX, NULL) < 0)
		return;
	if (tb[NLMSGERR_ATTR_MSG])
		nla_strlcpy(text, tb[NLMSGERR_ATTR_MSG], text_size);
}

bool netlink_parse_error(struct nlmsghdr *h, int *error, char *text, size_t text_size)
{
	const struct nlmsgerr *e = nlmsg_data(h);

	*text = '\0';
	*error = 0;
	if (h->nlmsg_type == NLMSG_DONE) {
		if (nlmsg_datalen(h) >= (int)sizeof(int))
			*error = -*(const int *)nlmsg_data(h);
		return true;
	}
	if (h->nlmsg_type != NLMSG_ERROR || !nlmsg_valid_hdr(h, sizeof *e))
		return false;
	*error = -e->error;
	parse_text(h, e, text, text_size);
	return true;
}

/* ---- dumps ---- */

void netlink_dumper_init(struct netlink_dumper *d, struct loop *loop)
{
	d->loop = loop;
}

void netlink_dumper_stop(struct netlink_dumper *d)
{
	if (!d->loop)
		return;
	loop_timer_stop(d->loop, &d->retry);
	loop_io_stop(d->loop, &d->io);
	if (d->sock)
		nl_socket_free(d->sock);
	d->sock = NULL;
	free(d->buf);
	d->buf = NULL;
}

static void dump_end(struct netlink_dumper *d, int error)
{
	const struct netlink_dump *dump = d->dump;

	if (!error && d->interrupted)
		error = EINTR;
	netlink_dumper_stop(d);
	dump->on_end(d->arg, error);
}

/* True while the dump goes on. */
static bool dump_take(struct netlink_dumper *d, struct nlmsghdr *h)
{
	char text[160];
	int error;

	if (h->nlmsg_flags & NLM_F_DUMP_INTR)
		d->interrupted = true;
	if (netlink_parse_error(h, &error, text, sizeof text)) {
		dump_end(d, error);
		return false;
	}
	d->dump->on_message(d->arg, h);
	return true;
}

/* Makes room for the next datagram, which the kernel sizes by what was asked for before, or by a single large object.
 */
static bool dump_reserve(struct netlink_dumper *d)
{
	ssize_t size = recv(nl_socket_get_fd(d->sock), NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);

	if (size < 0)
		return errno != EAGAIN && errno != EINTR;
	if ((size_t)size > d->size) {
		d->size = (size_t)size;
		d->buf = mem_realloc(d->buf, d->size);
	}
	return true;
}

static void on_dump_io(void *arg, int events)
{
	struct netlink_dumper *d = arg;
	ssize_t got;
	int left;

	(void)events;
	if (!dump_reserve(d))
		return;
	got = recv(nl_socket_get_fd(d->sock), d->buf, d->size, MSG_DONTWAIT);
	if (got < 0) {
		if (errno != EAGAIN && errno != EINTR)
			dump_end(d, errno);
		return;
	}
	left = (int)got;
	for (struct nlmsghdr *h = (void *)d->buf; nlmsg_ok(h, left); h = nlmsg_next(h, &left))
		if (!dump_take(d, h))
			return;
}

static bool dump_request(struct netlink_dumper *d)
{
	_Alignas(struct nlmsghdr) uint8_t buf[256];
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct nlmsghdr h = {.nlmsg_type = d->dump->type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP, .nlmsg_seq = 1};
	struct wr w = wr_make(buf, sizeof buf);

	wr_bytes(&w, &h, sizeof h);
	d->dump->put(d->arg, &w);
	h.nlmsg_len = (uint32_t)wr_len(&w);
	memcpy(buf, &h, sizeof h);
	return sendto(nl_socket_get_fd(d->sock), buf, wr_len(&w), 0, (struct sockaddr *)&kernel, sizeof kernel) >= 0;
}

static void on_dump_failed(void *arg)
{
	struct netlink_dumper *d = arg;

	d->dump->on_end(d->arg, EIO);
}

void netlink_dumper_start(struct netlink_dumper *d, const struct netlink_dump *dump, void *arg)
{
	netlink_dumper_stop(d);
	d->dump = dump;
	d->arg = arg;
	d->interrupted = false;
	d->size = DUMP_BYTES;
	d->buf = mem_alloc(d->size);
	d->sock = netlink_open(false);
	if (!d->sock || !dump_request(d)) {
		netlink_dumper_stop(d);
		loop_timer_set(d->loop, &d->retry, 0, on_dump_failed, d);
		return;
	}
	loop_io_set(d->loop, &d->io, nl_socket_get_fd(d->sock), LOOP_READ, on_dump_io, d);
}

bool netlink_dumper_wait(struct netlink_dumper *d)
{
	while (d->sock) {
		struct pollfd p = {.fd = nl_socket_get_fd(d->sock), .events = POLLIN};

		if (poll(&p, 1, 5000) == 0)
			return false;
		on_dump_io(d, LOOP_READ);
	}
	return true;
}

/* ---- one question, one answer ---- */

int netlink_ask(uint16_t type, uint16_t flags, void (*put)(void *arg, struct wr *w),
		void (*on_answer)(void *arg, const struct nlmsghdr *h), void *arg)
{
	_Alignas(struct nlmsghdr) uint8_t buf[8192];
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct nlmsghdr h = {.nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags, .nlmsg_seq = 1};
	struct wr w = wr_make(buf, sizeof buf);
	struct nl_sock *s = netlink_open(false);
	struct nlmsghdr *answer = (void *)buf;
	struct pollfd p;
	int error = errno;
	char text[160];
	ssize_t got;

	if (!s)
		return error;
	wr_bytes(&w, &h, sizeof h);
	put(arg, &w);
	h.nlmsg_len = (uint32_t)wr_len(&w);
	memcpy(buf, &h, sizeof h);
	p = (struct pollfd){.fd = nl_socket_get_fd(s), .events = POLLIN};
	got = sendto(p.fd, buf, wr_len(&w), 0, (struct sockaddr *)&kernel, sizeof kernel);
	if (got > 0) {
		errno = ETIMEDOUT;
		got = poll(&p, 1, 1000) == 1 ? recv(p.fd, buf, sizeof buf, MSG_DONTWAIT) : -1;
	}
	error = got < 0 ? errno : 0;
	if (!error && nlmsg_ok(answer, (int)got) && !netlink_parse_error(answer, &error, text, sizeof text))
		on_answer(arg, answer);
	nl_socket_free(s);
	return error;
}
