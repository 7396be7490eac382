#include "bgp/session/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/base/mono.h"
#include "daemon/base/wire.h"

/* Older headers lack it; Linux has had it since 4.2. Lets the kernel choose the port when it knows the destination, so
 * that one source address serves more than 28,000 connections. */
#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

/* Internetwork control, as all routers mark BGP. */
#define TOS_INTERNETWORK_CONTROL 0xc0

/* What connections leave to the rest of the process. */
#define SPARE_DESCRIPTORS 16

union sock_addr {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_storage storage;
};

static socklen_t to_sockaddr(union sock_addr *out, const struct addr *a, uint16_t port)
{
	memset(out, 0, sizeof *out);
	if (a->af == AF_INET6) {
		out->in6.sin6_family = AF_INET6;
		out->in6.sin6_port = htons(port);
		memcpy(&out->in6.sin6_addr, a->b, 16);
		out->in6.sin6_scope_id = addr_scope(a);
		return sizeof out->in6;
	}
	out->in.sin_family = AF_INET;
	out->in.sin_port = htons(port);
	memcpy(&out->in.sin_addr, a->b, 4);
	return sizeof out->in;
}

static struct addr from_sockaddr(const union sock_addr *sa)
{
	struct addr a;

	if (sa->sa.sa_family == AF_INET6) {
		a = addr_make(AF_INET6, &sa->in6.sin6_addr);
		return addr_on_link(&a, sa->in6.sin6_scope_id);
	}
	if (sa->sa.sa_family == AF_INET)
		return addr_make(AF_INET, &sa->in.sin_addr);
	return (struct addr){0};
}

/* The options whose value is an int, by the address family they belong to. */
struct int_option {
	const char *what;
	struct {
		int level, name;
	} by_family[FAM_COUNT];
};

static const struct int_option opt_ttl = {"set TTL", {{IPPROTO_IP, IP_TTL}, {IPPROTO_IPV6, IPV6_UNICAST_HOPS}}};
static const struct int_option opt_min_ttl = {"set minimum TTL (RFC 5082)",
					      {{IPPROTO_IP, IP_MINTTL}, {IPPROTO_IPV6, IPV6_MINHOPCOUNT}}};
static const struct int_option opt_tos = {"set traffic class", {{IPPROTO_IP, IP_TOS}, {IPPROTO_IPV6, IPV6_TCLASS}}};
static const struct int_option opt_nodelay = {"set TCP_NODELAY",
					      {{IPPROTO_TCP, TCP_NODELAY}, {IPPROTO_TCP, TCP_NODELAY}}};
static const struct int_option opt_reuse = {"set SO_REUSEADDR",
					    {{SOL_SOCKET, SO_REUSEADDR}, {SOL_SOCKET, SO_REUSEADDR}}};
static const struct int_option opt_late_port = {
    "set IP_BIND_ADDRESS_NO_PORT", {{IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT}, {IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT}}};

static bool set(int fd, uint8_t af, const struct int_option *o, int value, const char **what)
{
	enum family f = family_of_af(af);

	*what = o->what;
	return setsockopt(fd, o->by_family[f].level, o->by_family[f].name, &value, sizeof value) == 0;
}

static int fail(int fd)
{
	int error = errno;

	close(fd);
	errno = error;
	return -1;
}

static int open_socket(uint8_t af, const char **what)
{
	*what = "socket";
	return socket(af, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
}

/* Gives a connection's descriptor back, as if there had been none, if it is one of the last: the operator who asks on
 * the control socket what is wrong needs one, and so does the datastore. */
static int spare(int fd)
{
	struct rlimit l;

	if (fd < 0 || getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur == RLIM_INFINITY ||
	    (rlim_t)fd + SPARE_DESCRIPTORS < l.rlim_cur)
		return fd;
	close(fd);
	errno = EMFILE;
	return -1;
}

/* Into a VRF: packets of the socket are routed by its table, and no others reach it. */
static bool bind_vrf(int fd, const char *vrf, const char **what)
{
	*what = "bind to the VRF";
	return !*vrf || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, vrf, (socklen_t)strlen(vrf) + 1) == 0;
}

int socket_listen(const struct bgp_listen *at, const char **what)
{
	const struct addr *a = &at->addr;
	union sock_addr sa;
	socklen_t len = to_sockaddr(&sa, a, at->port);
	const char *ignored;
	int fd = open_socket(a->af, what), on = 1;

	if (fd < 0)
		return -1;
	*what = "set IPV6_V6ONLY";
	if (a->af == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0)
		return fail(fd);
	if (!set(fd, a->af, &opt_reuse, 1, what))
		return fail(fd);
	/* The SYN-ACK leaves before we know the peer: with 255 it passes the peer's RFC 5082 check, if it has one. */
	set(fd, a->af, &opt_ttl, 255, &ignored);
	set(fd, a->af, &opt_tos, TOS_INTERNETWORK_CONTROL, &ignored);
	setsockopt(fd, IPPROTO_TCP, TCP_SAVE_SYN, &on, sizeof on);
	if (!bind_vrf(fd, at->vrf, what))
		return fail(fd);
	*what = "bind";
	if (bind(fd, &sa.sa, len) < 0)
		return fail(fd);
	*what = "listen";
	if (listen(fd, SOMAXCONN) < 0)
		return fail(fd);
	return fd;
}

bool socket_apply(int fd, const struct bgp_session_conf *conf, const char **what)
{
	uint8_t af = conf->remote.af;
	const char *ignored;

	set(fd, af, &opt_tos, TOS_INTERNETWORK_CONTROL, &ignored);
	return set(fd, af, &opt_nodelay, 1, what) && (!conf->ttl || set(fd, af, &opt_ttl, conf->ttl, what)) &&
	       set(fd, af, &opt_min_ttl, conf->min_ttl, what);
}

bool socket_peer_password(int fd, const struct addr *remote, const char *password)
{
	struct prefix p = prefix_make(remote, addr_bits(remote->af));

	return socket_password(fd, &p, password);
}

bool socket_password(int fd, const struct prefix *remote, const char *password)
{
	/* Kernels before 4.13 know whole addresses only, by the older option. */
	int option = prefix_is_host(remote) ? TCP_MD5SIG : TCP_MD5SIG_EXT;
	struct tcp_md5sig key = {.tcpm_flags = option == TCP_MD5SIG_EXT ? TCP_MD5SIG_FLAG_PREFIX : 0,
				 .tcpm_prefixlen = remote->len};
	union sock_addr sa;
	size_t len = password ? strlen(password) : 0;

	if (len > TCP_MD5SIG_MAXKEYLEN) {
		errno = EMSGSIZE;
		return false;
	}
	/* The port is no part of the key; neither is the link: the kernel compares the address alone. */
	to_sockaddr(&sa, &remote->addr, 0);
	memcpy(&key.tcpm_addr, &sa.storage, sizeof key.tcpm_addr);
	key.tcpm_keylen = (uint16_t)len;
	if (len)
		memcpy(key.tcpm_key, password, len);
	if (setsockopt(fd, IPPROTO_TCP, option, &key, sizeof key) == 0)
		return true;
	/* There was none to take away. */
	return !len && (errno == ENOENT || errno == ENOPROTOOPT);
}

static bool bind_local(int fd, const struct bgp_session_conf *conf, const char **what)
{
	union sock_addr sa;
	socklen_t len;
	const char *ignored;

	if (addr_is_none(&conf->local))
		return true;
	set(fd, conf->local.af, &opt_late_port, 1, &ignored);
	len = to_sockaddr(&sa, &conf->local, 0);
	*what = "bind to the source address";
	return bind(fd, &sa.sa, len) == 0;
}

int socket_dial(const struct bgp_session_conf *conf, const char **what)
{
	union sock_addr sa;
	socklen_t len = to_sockaddr(&sa, &conf->remote, conf->remote_port);
	int fd;

	*what = "find the interface";
	errno = ENODEV;
	if (conf->ifname[0] && !addr_scope(&conf->remote))
		return -1;
	fd = spare(open_socket(conf->remote.af, what));
	if (fd < 0)
		return -1;
	if (!socket_apply(fd, conf, what))
		return fail(fd);
	*what = "set the password (RFC 2385)";
	if (conf->password && !socket_peer_password(fd, &conf->remote, conf->password))
		return fail(fd);
	if (!bind_vrf(fd, conf->vrf, what) || !bind_local(fd, conf, what))
		return fail(fd);
	*what = "connect";
	if (connect(fd, &sa.sa, len) < 0 && errno != EINPROGRESS)
		return fail(fd);
	return fd;
}

/* The TTL of the SYN, which the listening socket keeps; 0 if it did not (SYN cookies). */
static uint8_t syn_ttl(int fd)
{
	uint8_t syn[256];
	socklen_t len = sizeof syn;
	struct rd r;
	uint8_t version;

	if (getsockopt(fd, IPPROTO_TCP, TCP_SAVED_SYN, syn, &len) < 0)
		return 0;
	r = rd_make(syn, len);
	version = rd_u8(&r) >> 4;
	/* TTL of IPv4, hop limit of IPv6. */
	rd_take(&r, version == 4 ? 7 : 6);
	return rd_u8(&r);
}

/* An accepted socket is bound to the VRF that the call came by; one on a link to the link. */
static void find_vrf(int fd, struct bgp_caller *who)
{
	socklen_t len = sizeof who->vrf;

	if (addr_scope(&who->remote) || getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, who->vrf, &len) < 0)
		who->vrf[0] = '\0';
}

int socket_accept(int listening, struct bgp_caller *who)
{
	union sock_addr sa = {0};
	socklen_t len = sizeof sa;
	int fd = spare(accept4(listening, &sa.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC));

	if (fd >= 0) {
		*who = (struct bgp_caller){
		    .remote = from_sockaddr(&sa),
		    .local = socket_local(fd),
		    .ttl = syn_ttl(fd),
		};
		find_vrf(fd, who);
	}
	return fd;
}

bool socket_hears_all(void)
{
	char value = '0';
	int fd = open("/proc/sys/net/ipv4/tcp_l3mdev_accept", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (read(fd, &value, 1) != 1)
		value = '0';
	close(fd);
	return value != '0';
}

int socket_error(int fd)
{
	int error = 0;
	socklen_t len = sizeof error;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? errno : error;
}

struct addr socket_local(int fd)
{
	union sock_addr sa = {0};
	socklen_t len = sizeof sa;

	if (getsockname(fd, &sa.sa, &len) < 0)
		return (struct addr){0};
	return from_sockaddr(&sa);
}

static uint16_t port_of(const union sock_addr *sa)
{
	return ntohs(sa->sa.sa_family == AF_INET6 ? sa->in6.sin6_port : sa->in.sin_port);
}

void socket_ports(int fd, uint16_t *local, uint16_t *remote)
{
	union sock_addr sa = {0};
	socklen_t len = sizeof sa;

	*local = getsockname(fd, &sa.sa, &len) < 0 ? 0 : port_of(&sa);
	len = sizeof sa;
	*remote = getpeername(fd, &sa.sa, &len) < 0 ? 0 : port_of(&sa);
}

unsigned socket_unacked(int fd)
{
	int n = 0;

	return ioctl(fd, SIOCOUTQ, &n) < 0 || n < 0 ? 0 : (unsigned)n;
}

bool socket_readable_at(int fd, int octets)
{
	return setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &octets, sizeof octets) == 0;
}

uint64_t socket_quiet(int fd)
{
	struct tcp_info i;
	socklen_t len = sizeof i;

	/* An older kernel may give less. */
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &len) < 0 || len < offsetof(struct tcp_info, tcpi_last_ack_recv))
		return UINT64_MAX;
	return i.tcpi_last_data_recv * MONO_MSEC;
}

/* More is no KEEPALIVE or two, but a peer who talks on. */
#define UNREAD_MAX 4096

void socket_close(int fd)
{
	/* Of a TCP socket this throws away what is there. */
	recv(fd, NULL, UNREAD_MAX, MSG_TRUNC | MSG_DONTWAIT);
	close(fd);
}
