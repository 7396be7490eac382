#include "bgp/bfd/socket.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/mem.h"

/* Internetwork control, as all routers mark it. */
#define TOS_INTERNETWORK_CONTROL 0xc0
/* Thousands of sessions' packets while a turn of the loop is long; the kernel counts about 800 octets for each. */
#define RECEIVE_BUFFER (4 << 20)
/* A control packet's Length is one octet; what is longer than its Length says is not looked at. */
#define DATAGRAM 256
#define CONTROL 256

union sock_addr {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static socklen_t to_sockaddr(union sock_addr *out, const struct addr *a, uint16_t port, uint32_t ifindex)
{
	memset(out, 0, sizeof *out);
	if (a->af == AF_INET6) {
		out->in6.sin6_family = AF_INET6;
		out->in6.sin6_port = htons(port);
		memcpy(&out->in6.sin6_addr, a->b, 16);
		if (addr_is_link_local(a))
			out->in6.sin6_scope_id = ifindex;
		return sizeof out->in6;
	}
	out->in.sin_family = AF_INET;
	out->in.sin_port = htons(port);
	memcpy(&out->in.sin_addr, a->b, 4);
	return sizeof out->in;
}

static struct addr from_sockaddr(const union sock_addr *sa)
{
	if (sa->sa.sa_family == AF_INET6)
		return addr_make(AF_INET6, &sa->in6.sin6_addr);
	if (sa->sa.sa_family == AF_INET)
		return addr_make(AF_INET, &sa->in.sin_addr);
	return (struct addr){0};
}

struct option {
	const char *what;
	int level, name, value;
};

/* In the order of enum family; a NULL ends a list. */
static const struct option listen_options[FAM_COUNT][5] = {
    [FAM_IPV4] =
	{
	    {"ask for the TTL", IPPROTO_IP, IP_RECVTTL, 1},
	    {"ask for the interface", IPPROTO_IP, IP_PKTINFO, 1},
	    {"ask for overflows", SOL_SOCKET, SO_RXQ_OVFL, 1},
	},
    [FAM_IPV6] =
	{
	    {"set IPV6_V6ONLY", IPPROTO_IPV6, IPV6_V6ONLY, 1},
	    {"ask for the hop limit", IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1},
	    {"ask for the interface", IPPROTO_IPV6, IPV6_RECVPKTINFO, 1},
	    {"ask for overflows", SOL_SOCKET, SO_RXQ_OVFL, 1},
	},
};

/* Nothing is received there: what somebody sends to it all the same shall not pile up. */
static const struct option dial_options[FAM_COUNT][4] = {
    [FAM_IPV4] =
	{
	    {"set the TTL", IPPROTO_IP, IP_TTL, BFD_TTL},
	    {"set the traffic class", IPPROTO_IP, IP_TOS, TOS_INTERNETWORK_CONTROL},
	    {"set the receive buffer", SOL_SOCKET, SO_RCVBUF, 0},
	},
    [FAM_IPV6] =
	{
	    {"set the hop limit", IPPROTO_IPV6, IPV6_UNICAST_HOPS, BFD_TTL},
	    {"set the traffic class", IPPROTO_IPV6, IPV6_TCLASS, TOS_INTERNETWORK_CONTROL},
	    {"set the receive buffer", SOL_SOCKET, SO_RCVBUF, 0},
	},
};

static int fail(int fd)
{
	int error = errno;

	close(fd);
	errno = error;
	return -1;
}

static int open_socket(uint8_t af, const struct option *o, const char **what)
{
	int fd;

	*what = "open a UDP socket";
	fd = socket(af, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
	if (fd < 0)
		return -1;
	for (; o->what; o++) {
		*what = o->what;
		if (setsockopt(fd, o->level, o->name, &o->value, sizeof o->value) < 0)
			return fail(fd);
	}
	return fd;
}

int bfd_socket_listen(const struct addr *a, uint16_t port, const char **what)
{
	int fd = open_socket(a->af, listen_options[family_of_af(a->af)], what), size = RECEIVE_BUFFER;
	union sock_addr sa;

	if (fd < 0)
		return -1;
	/* The first needs CAP_NET_ADMIN; the second gives as much as the administrator allows everybody. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	*what = "bind";
	/* No SO_REUSEADDR: with it a second BFD daemon would silently take packets away. */
	if (bind(fd, &sa.sa, to_sockaddr(&sa, a, port, 0)) < 0)
		return fail(fd);
	return fd;
}

static bool bind_interface(int fd, const struct bfd_session_conf *conf)
{
	if (!conf->ifname[0] || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, conf->ifname, sizeof conf->ifname) == 0)
		return true;
	/* Kernels before 5.7 want CAP_NET_RAW for it; a link-local address leads to its interface without. */
	return errno == EPERM && addr_is_link_local(&conf->remote);
}

int bfd_socket_dial(const struct bfd_session_conf *conf, uint32_t ifindex, uint16_t port, const char **what)
{
	uint8_t af = conf->remote.af;
	struct addr local = addr_is_none(&conf->local) ? (struct addr){.af = af} : conf->local;
	int fd = open_socket(af, dial_options[family_of_af(af)], what);
	union sock_addr sa;

	if (fd < 0)
		return -1;
	*what = "bind to the interface";
	if (!bind_interface(fd, conf))
		return fail(fd);
	*what = "bind to the source address";
	if (bind(fd, &sa.sa, to_sockaddr(&sa, &local, port, ifindex)) < 0)
		return fail(fd);
	*what = "find a way to the remote address";
	if (connect(fd, &sa.sa,
		    to_sockaddr(&sa, &conf->remote, conf->multihop ? BFD_PORT_MULTIHOP : BFD_PORT, ifindex)) < 0)
		return fail(fd);
	return fd;
}

void bfd_socket_close(int fd)
{
	close(fd);
}

bool bfd_socket_send(int fd, struct span packet)
{
	/* An ICMP error for an earlier packet is reported instead of sending this one: the second attempt sends. */
	for (int attempt = 0; attempt < 2; attempt++) {
		if (send(fd, packet.p, packet.len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return true;
		if (errno != ECONNREFUSED)
			break;
	}
	return false;
}

struct addr bfd_socket_local(int fd)
{
	union sock_addr sa = {0};
	socklen_t len = sizeof sa;

	return fd >= 0 && getsockname(fd, &sa.sa, &len) == 0 ? from_sockaddr(&sa) : (struct addr){0};
}

/* Receiving */

struct bfd_batch {
	struct mmsghdr msgs[BFD_BATCH];
	struct iovec iov[BFD_BATCH];
	union sock_addr from[BFD_BATCH];
	uint8_t data[BFD_BATCH][DATAGRAM];
	_Alignas(struct cmsghdr) uint8_t control[BFD_BATCH][CONTROL];
};

struct bfd_batch *bfd_batch_new(void)
{
	return mem_calloc(1, sizeof(struct bfd_batch));
}

void bfd_batch_free(struct bfd_batch *b)
{
	free(b);
}

unsigned bfd_batch_receive(struct bfd_batch *b, int fd)
{
	int n;

	for (unsigned i = 0; i < BFD_BATCH; i++) {
		b->iov[i] = (struct iovec){b->data[i], DATAGRAM};
		b->msgs[i].msg_hdr = (struct msghdr){.msg_name = &b->from[i],
						     .msg_namelen = sizeof b->from[i],
						     .msg_iov = &b->iov[i],
						     .msg_iovlen = 1,
						     .msg_control = b->control[i],
						     .msg_controllen = CONTROL};
	}
	n = recvmmsg(fd, b->msgs, BFD_BATCH, MSG_DONTWAIT, NULL);
	return n < 0 ? 0 : (unsigned)n;
}

static void take_ttl(struct bfd_datagram *d, const void *data)
{
	int ttl;

	memcpy(&ttl, data, sizeof ttl);
	d->ttl = ttl;
}

static void take_pktinfo4(struct bfd_datagram *d, const void *data)
{
	struct in_pktinfo info;

	memcpy(&info, data, sizeof info);
	d->to = addr_make(AF_INET, &info.ipi_addr);
	d->ifindex = (uint32_t)info.ipi_ifindex;
}

static void take_pktinfo6(struct bfd_datagram *d, const void *data)
{
	struct in6_pktinfo info;

	memcpy(&info, data, sizeof info);
	d->to = addr_make(AF_INET6, &info.ipi6_addr);
	d->ifindex = info.ipi6_ifindex;
}

static void take_overflows(struct bfd_datagram *d, const void *data)
{
	memcpy(&d->overflows, data, sizeof d->overflows);
	d->has_overflows = true;
}

static const struct {
	int level, type;
	size_t size;
	void (*take)(struct bfd_datagram *d, const void *data);
} ancillary[] = {
    {IPPROTO_IP, IP_TTL, sizeof(int), take_ttl},
    {IPPROTO_IPV6, IPV6_HOPLIMIT, sizeof(int), take_ttl},
    {IPPROTO_IP, IP_PKTINFO, sizeof(struct in_pktinfo), take_pktinfo4},
    {IPPROTO_IPV6, IPV6_PKTINFO, sizeof(struct in6_pktinfo), take_pktinfo6},
    {SOL_SOCKET, SO_RXQ_OVFL, sizeof(uint32_t), take_overflows},
};

struct bfd_datagram bfd_batch_get(struct bfd_batch *b, unsigned i)
{
	struct msghdr *m = &b->msgs[i].msg_hdr;
	struct bfd_datagram d = {
	    .data = {b->data[i], b->msgs[i].msg_len}, .from = from_sockaddr(&b->from[i]), .ttl = -1};

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		for (size_t k = 0; k < sizeof ancillary / sizeof ancillary[0]; k++)
			if (c->cmsg_level == ancillary[k].level && c->cmsg_type == ancillary[k].type &&
			    c->cmsg_len >= CMSG_LEN(ancillary[k].size))
				ancillary[k].take(&d, CMSG_DATA(c));
	return d;
}
