/* Two engines in one loop, each in a network namespace of its own with a veth between them; sessions whose owners note
 * what happens; and a scripted peer over plain sockets. Nothing sleeps: the loop turns until a condition holds.
 * Include once per test program. */
#ifndef TESTS_BFD_RIG_H
#define TESTS_BFD_RIG_H

#include <arpa/inet.h>
#include <bsd/stdlib.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bgp/bfd/bfd.h"
#include "daemon/base/buf.h"
#include "daemon/base/log.h"
#include "daemon/base/mono.h"
#include "tests/unit/namespace.h"
#include "tests/unit/turns.h"

#define FAST 50000 /* microseconds */
#define CHANGES 64

/* What the owner of a session saw. */
struct end {
	struct bfd_session *s;
	unsigned changes, up, down, failures;
	struct bfd_change seen[CHANGES]; /* the first of them */
	struct bfd_change last;
	uint64_t at; /* of the last change */
	char reason[128];
	void (*hook)(struct end *e);
};

/* Side 0's end of the veth is v0 with 10.0.0.1 and fd00::1, side 1's is v1 with .2 and ::2. */
struct rig {
	struct loop *loop;
	struct loop_timer tick;
	int ns[2];
	struct bfd_engine *engine[2];
	struct strbuf log;
};

static struct rig rig;

static void rig_change(void *arg, struct bfd_session *s, const struct bfd_change *c)
{
	struct end *e = arg;

	ck_assert_ptr_eq(e->s, s);
	ck_assert_int_eq(bfd_session_info(s).state, c->state);
	ck_assert_int_eq(bfd_session_is_up(s), c->state == BFD_UP);
	if (e->changes)
		ck_assert_int_eq(e->last.state, c->was);
	if (e->changes < CHANGES)
		e->seen[e->changes] = *c;
	e->changes++;
	e->up += c->was != BFD_UP && c->state == BFD_UP;
	e->down += c->was == BFD_UP && c->state != BFD_UP;
	e->failures += bfd_change_is_failure(c);
	e->last = *c;
	e->at = mono_now();
	snprintf(e->reason, sizeof e->reason, "%s", c->reason);
	if (e->hook)
		e->hook(e);
}

static const struct bfd_ops rig_ops = {.on_change = rig_change};

static void rig_tick(void *arg)
{
	(void)arg;
	loop_timer_set(rig.loop, &rig.tick, 5 * MONO_MSEC, rig_tick, NULL);
}

static inline struct addr rig_addr(const char *text)
{
	struct addr a = {0};

	ck_assert_msg(addr_parse(&a, text), "%s", text);
	return a;
}

static void rig_log(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	strbuf_puts(&rig.log, line);
	strbuf_putc(&rig.log, '\n');
	if (getenv("RIG_LOG"))
		fprintf(stderr, "%s\n", line);
}

static inline unsigned rig_logged(const char *text)
{
	unsigned n = 0;

	for (const char *at = rig.log.s; at && (at = strstr(at, text)); at++)
		n++;
	return n;
}

/* From here on in this side's namespace. Side 0's is where the loop turns. */
static void rig_enter(int side)
{
	ck_assert_int_eq(setns(rig.ns[side], CLONE_NEWNET), 0);
}

/* Commands of `ip`, one a line, on one side. */
static void __attribute__((format(printf, 2, 3))) rig_ip(int side, const char *fmt, ...)
{
	va_list ap;
	FILE *p;

	rig_enter(side);
	p = popen("ip -batch -", "w");
	ck_assert_ptr_nonnull(p);
	va_start(ap, fmt);
	vfprintf(p, fmt, ap);
	va_end(ap);
	ck_assert_int_eq(pclose(p), 0);
	rig_enter(0);
}

/* A veth carries nothing until the kernel has noticed that it can. */
static void rig_wait_carrier(int side)
{
	struct ifreq r = {0};
	int fd;

	rig_enter(side);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(r.ifr_name, sizeof r.ifr_name, "v%d", side);
	for (int i = 0; i < 5000 && !(r.ifr_flags & IFF_RUNNING); i++) {
		ck_assert_int_eq(ioctl(fd, SIOCGIFFLAGS, &r), 0);
		usleep(1000);
	}
	ck_assert(r.ifr_flags & IFF_RUNNING);
	close(fd);
	rig_enter(0);
}

static void rig_namespaces(void)
{
	for (int side = 0; side < 2; side++) {
		namespace_unshare();
		rig.ns[side] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		ck_assert_int_ge(rig.ns[side], 0);
		namespace_write("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
		namespace_write("/proc/sys/net/ipv6/conf/all/accept_dad", "0");
	}
	rig_ip(0, "link set lo up\nlink add v0 type veth peer name v1 netns /proc/%d/fd/%d\n", getpid(), rig.ns[1]);
	for (int side = 0; side < 2; side++)
		rig_ip(side,
		       "link set lo up\nlink set v%d up\naddr add 10.0.0.%d/16 dev v%d\n"
		       "addr add fd00::%d/64 dev v%d nodad\naddr add fe80::%d/64 dev v%d nodad\n",
		       side, side + 1, side, side + 1, side, side + 1, side);
	for (int side = 0; side < 2; side++)
		rig_wait_carrier(side);
}

static void rig_setup(void)
{
	memset(&rig, 0, sizeof rig);
	log_setup(LOG_LVL_DEBUG, false);
	log_redirect(rig_log, NULL);
	rig_namespaces();
	rig.loop = loop_new();
	rig_tick(NULL);
	for (int i = 0; i < 2; i++)
		rig.engine[i] = bfd_engine_new(rig.loop, &rig_ops);
}

static void rig_teardown(void)
{
	for (int i = 0; i < 2; i++) {
		bfd_engine_free(rig.engine[i]);
		close(rig.ns[i]);
	}
	loop_timer_stop(rig.loop, &rig.tick);
	loop_free(rig.loop);
	log_redirect(NULL, NULL);
	strbuf_free(&rig.log);
}

/* One side's session with the other. */
static inline struct bfd_session_conf rig_conf(int side)
{
	return (struct bfd_session_conf){
	    .remote = rig_addr(side ? "10.0.0.1" : "10.0.0.2"),
	    .min_tx = FAST,
	    .min_rx = FAST,
	    .multiplier = 3,
	};
}

static inline struct bfd_session_conf rig_conf6(int side)
{
	struct bfd_session_conf c = rig_conf(side);

	c.remote = rig_addr(side ? "fd00::1" : "fd00::2");
	return c;
}

static inline void end_open(struct end *e, int side, const struct bfd_session_conf *conf)
{
	const char *why = "";

	rig_enter(side);
	e->s = bfd_session_new(rig.engine[side], conf, e, &why);
	rig_enter(0);
	ck_assert_msg(e->s != NULL, "%s", why);
	ck_assert_str_eq(bfd_session_info(e->s).error, "");
	ck_assert_ptr_eq(bfd_session_arg(e->s), e);
	e->changes = 0;
}

static inline void end_close(struct end *e, bool announce)
{
	bfd_session_free(e->s, announce);
	e->s = NULL;
}

static inline struct bfd_session_info end_info(const struct end *e)
{
	return bfd_session_info(e->s);
}

static inline bool is_up(const struct end *e)
{
	return e->s && bfd_session_is_up(e->s);
}

/* Both know and use the configured intervals. */
static inline bool is_settled(const struct end *e)
{
	return is_up(e) && !end_info(e).polling && end_info(e).remote_min_tx < 1000000;
}

/* The scripted peer, on side 1: sends from any of its addresses, hears what comes to BFD's port. */
struct raw {
	int out, in;
	struct sockaddr_in to;
	struct bfd_packet last; /* heard */
	unsigned heard;
	uint64_t at, gap; /* of the last, and since the one before */
	uint16_t from_port;
	int ttl;
	struct loop_io io;
	bool answers; /* Final to each Poll, with reply as the rest */
	struct bfd_packet reply;
};

static inline void raw_ttl(struct raw *r, int ttl)
{
	ck_assert_int_eq(setsockopt(r->out, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl), 0);
}

static inline void raw_bytes(struct raw *r, const void *data, size_t len)
{
	ck_assert_int_eq(sendto(r->out, data, len, 0, (struct sockaddr *)&r->to, sizeof r->to), (ssize_t)len);
}

static inline void raw_send(struct raw *r, const struct bfd_packet *p)
{
	uint8_t bytes[BFD_PACKET_LEN];
	struct wr w = wr_make(bytes, sizeof bytes);

	bfd_encode(&w, p);
	raw_bytes(r, bytes, wr_len(&w));
}

static void raw_readable(void *arg, int events)
{
	struct raw *r = arg;
	uint8_t bytes[512], control[64];
	struct sockaddr_in from;
	struct iovec iov = {bytes, sizeof bytes};
	struct msghdr m = {&from, sizeof from, &iov, 1, control, sizeof control, 0};
	ssize_t n = recvmsg(r->in, &m, 0);
	struct bfd_arrival a = {0};
	uint64_t now = mono_now();

	(void)events;
	if (n < 0)
		return;
	ck_assert_int_eq(bfd_decode((struct span){bytes, (size_t)n}, &a), BFD_ACCEPTED);
	ck_assert_int_eq(n, BFD_PACKET_LEN);
	ck_assert(!a.packet.demand && !a.packet.independent && !a.packet.min_echo_rx);
	ck_assert(!(a.packet.poll && a.packet.final));
	ck_assert_int_eq(CMSG_FIRSTHDR(&m)->cmsg_type, IP_TTL);
	memcpy(&r->ttl, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof r->ttl);
	r->last = a.packet;
	r->from_port = ntohs(from.sin_port);
	r->gap = now - r->at;
	r->at = now;
	r->heard++;
	if (r->answers && a.packet.poll) {
		r->reply.final = true;
		r->reply.your_discr = a.packet.my_discr;
		raw_send(r, &r->reply);
		r->reply.final = false;
	}
}

static inline void raw_open(struct raw *r, const char *at, uint16_t port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
	int on = 1;

	memset(r, 0, sizeof *r);
	rig_enter(1);
	r->to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
	ck_assert_int_eq(inet_pton(AF_INET, "10.0.0.1", &r->to.sin_addr), 1);
	ck_assert_int_eq(inet_pton(AF_INET, at, &sa.sin_addr), 1);
	r->in = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(setsockopt(r->in, IPPROTO_IP, IP_RECVTTL, &on, sizeof on), 0);
	ck_assert_int_eq(bind(r->in, (struct sockaddr *)&sa, sizeof sa), 0);
	r->out = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	sa.sin_port = htons(port == 3784 ? 50000 : 50001);
	ck_assert_int_eq(bind(r->out, (struct sockaddr *)&sa, sizeof sa), 0);
	raw_ttl(r, BFD_TTL);
	rig_enter(0);
	loop_io_set(rig.loop, &r->io, r->in, LOOP_READ, raw_readable, r);
	r->reply = (struct bfd_packet){
	    .state = BFD_DOWN, .multiplier = 3, .my_discr = 0xabcd0001, .min_tx = 1000000, .min_rx = FAST};
}

static inline void raw_close(struct raw *r)
{
	loop_io_stop(rig.loop, &r->io);
	close(r->in);
	close(r->out);
}

/* Sends reply in this state, as r's own packet. */
static inline void raw_say(struct raw *r, enum bfd_state state)
{
	r->reply.state = state;
	raw_send(r, &r->reply);
}

/* Brings a session with it up. */
static inline void raw_up(struct raw *r, struct end *e)
{
	raw_say(r, BFD_DOWN);
	TURN_UNTIL(r->heard && r->last.state == BFD_INIT, 2);
	r->reply.your_discr = r->last.my_discr;
	raw_say(r, BFD_UP);
	TURN_UNTIL(is_up(e) && r->last.state == BFD_UP, 1);
}

#endif
