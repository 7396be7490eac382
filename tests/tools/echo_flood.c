/* Echo requests to several addresses at once, one to each per interval, and an exact account of those without an
 * answer.
 *
 *   echo_flood MICROSECONDS ADDRESS...
 *
 * A line on standard input asks, a line of JSON on standard output answers. "state": for each address how many were
 * sent, how many answers came in a row up to the last one, and when the first and the last of this row were sent.
 * "report": the same, once every request sent so far has an answer or has waited a second for it, with the gaps since
 * the last report: when the first lost one was sent, when the next one that has an answer was (null: none yet), and how
 * many were lost in between. Times are CLOCK_MONOTONIC, in seconds. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "daemon/base/addr.h"
#include "daemon/base/loop.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"

#define TARGETS_MAX 16u
/* Requests that are remembered, of each target: more than a minute of them at 1 ms. */
#define MEMORY (1u << 17)
#define PATIENCE (1 * MONO_SEC)
#define SOCKET_BYTES (4 << 20)

struct request {
	uint64_t sent_at;
	bool answered;
};

struct target {
	struct addr addr;
	struct sockaddr_storage to;
	struct request *ring;	 /* by number, modulo MEMORY */
	uint64_t sent;		 /* also the number of the next one */
	uint64_t judged;	 /* all before this one are in an earlier report */
	uint64_t row_from, last; /* the row of answers, the last of them; with row_length > 0 */
	uint64_t row_length;
};

/* Behind the ICMP header. */
struct payload {
	uint32_t target;
	uint32_t process;
	uint64_t number;
};

struct flood {
	struct loop *loop;
	struct loop_io timer, ipv4, ipv6, input;
	struct loop_timer report;
	int timer_fd, ipv4_fd, ipv6_fd;
	unsigned count;
	struct target target[TARGETS_MAX];
	char line[64];
	size_t len;
};

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "echo_flood: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double seconds(uint64_t t)
{
	return (double)t / 1e9;
}

/* ---- sending ---- */

static uint16_t checksum(const void *data, size_t len)
{
	const uint16_t *word = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < len / 2; i++)
		sum += word[i];
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t) ~(sum + (sum >> 16));
}

/* What cannot even be sent has no answer either. */
static void send_one(struct flood *f, unsigned index)
{
	struct target *t = &f->target[index];
	bool v6 = t->addr.af == AF_INET6;
	struct {
		struct icmphdr head; /* the same for ICMPv6, whose checksum is the kernel's work */
		struct payload body;
	} packet = {
	    .head = {.type = v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO, .un.echo.id = htons((uint16_t)getpid())},
	    .body = {.target = index, .process = (uint32_t)getpid(), .number = t->sent},
	};

	packet.head.un.echo.sequence = htons((uint16_t)t->sent);
	if (!v6)
		packet.head.checksum = checksum(&packet, sizeof packet);
	t->ring[t->sent % MEMORY] = (struct request){.sent_at = mono_now()};
	t->sent++;
	sendto(v6 ? f->ipv6_fd : f->ipv4_fd, &packet, sizeof packet, MSG_DONTWAIT, (struct sockaddr *)&t->to,
	       v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
}

/* Ticks that were slept over are not made up for. */
static void on_tick(void *arg, int events)
{
	struct flood *f = arg;
	uint64_t ticks;

	(void)events;
	if (read(f->timer_fd, &ticks, sizeof ticks) != sizeof ticks)
		return;
	for (unsigned i = 0; i < f->count; i++)
		send_one(f, i);
}

/* ---- receiving ---- */

static void answered(struct flood *f, const uint8_t *icmp, size_t len, uint8_t type)
{
	struct payload p;
	struct target *t;

	if (len < sizeof(struct icmphdr) + sizeof p || icmp[0] != type)
		return;
	memcpy(&p, icmp + sizeof(struct icmphdr), sizeof p);
	if (p.process != (uint32_t)getpid() || p.target >= f->count)
		return;
	t = &f->target[p.target];
	if (p.number >= t->sent || p.number + MEMORY <= t->sent)
		return;
	t->ring[p.number % MEMORY].answered = true;
	if (!t->row_length || p.number > t->last + 1) {
		t->row_from = p.number;
		t->row_length = 0;
	}
	if (!t->row_length || p.number > t->last)
		t->last = p.number;
	t->row_length++;
}

static void receive(struct flood *f, int fd, bool v6)
{
	_Alignas(struct ip) uint8_t buf[2048];

	for (;;) {
		ssize_t got = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
		size_t head = 0;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return;
		if (!v6 && (size_t)got >= sizeof(struct ip))
			head = (size_t)((struct ip *)buf)->ip_hl * 4;
		if ((size_t)got > head)
			answered(f, buf + head, (size_t)got - head, v6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY);
	}
}

static void on_ipv4(void *arg, int events)
{
	(void)events;
	receive(arg, ((struct flood *)arg)->ipv4_fd, false);
}

static void on_ipv6(void *arg, int events)
{
	(void)events;
	receive(arg, ((struct flood *)arg)->ipv6_fd, true);
}

/* ---- what is told ---- */

static void print_state(const struct target *t)
{
	printf("\"sent\": %llu, \"row\": %llu", (unsigned long long)t->sent, (unsigned long long)t->row_length);
	if (t->row_length)
		printf(", \"row_from\": %.6f, \"last\": %.6f", seconds(t->ring[t->row_from % MEMORY].sent_at),
		       seconds(t->ring[t->last % MEMORY].sent_at));
}

static void print_gap(const struct target *t, uint64_t from, uint64_t to, bool *first)
{
	printf("%s[%.6f, ", *first ? "" : ", ", seconds(t->ring[from % MEMORY].sent_at));
	if (to < t->sent && t->ring[to % MEMORY].answered)
		printf("%.6f", seconds(t->ring[to % MEMORY].sent_at));
	else
		printf("null");
	printf(", %llu]", (unsigned long long)(to - from));
	*first = false;
}

/* Up to (not including) end. */
static void print_gaps(struct target *t, uint64_t end)
{
	bool first = true;
	uint64_t from = 0, lost = 0;

	printf(", \"judged\": %llu, \"gaps\": [", (unsigned long long)(end - t->judged));
	for (uint64_t n = t->judged; n < end; n++) {
		if (!t->ring[n % MEMORY].answered && !lost++)
			from = n;
		if (lost && t->ring[n % MEMORY].answered) {
			print_gap(t, from, n, &first);
			lost = 0;
		}
	}
	if (lost)
		print_gap(t, from, end, &first);
	printf("]");
	t->judged = end;
}

/* The first that has no answer and may yet get one: what is before it can be judged. */
static uint64_t judged_until(const struct target *t)
{
	uint64_t now = mono_now();

	for (uint64_t n = t->judged; n < t->sent; n++) {
		const struct request *r = &t->ring[n % MEMORY];
		if (!r->answered && r->sent_at + PATIENCE > now)
			return n;
	}
	return t->sent;
}

static void print_all(struct flood *f, bool gaps)
{
	char text[ADDR_STRLEN];

	printf("{");
	for (unsigned i = 0; i < f->count; i++) {
		printf("%s\"%s\": {", i ? ", " : "", addr_format(&f->target[i].addr, text));
		print_state(&f->target[i]);
		if (gaps)
			print_gaps(&f->target[i], judged_until(&f->target[i]));
		printf("}");
	}
	printf("}\n");
}

static void on_report(void *arg)
{
	print_all(arg, true);
}

/* What was sent until now is waited for no longer than that. */
static void report(struct flood *f)
{
	uint64_t now = mono_now(), wait = 0;

	for (unsigned i = 0; i < f->count; i++) {
		const struct target *t = &f->target[i];
		for (uint64_t n = t->judged; n < t->sent; n++) {
			const struct request *r = &t->ring[n % MEMORY];
			if (!r->answered && r->sent_at + PATIENCE > now + wait)
				wait = r->sent_at + PATIENCE - now;
		}
	}
	loop_timer_set(f->loop, &f->report, wait, on_report, f);
}

static void on_input(void *arg, int events)
{
	struct flood *f = arg;
	ssize_t n = read(0, f->line + f->len, sizeof f->line - 1 - f->len);
	char *end;

	(void)events;
	if (n <= 0)
		exit(0);
	f->len += (size_t)n;
	f->line[f->len] = '\0';
	while ((end = strchr(f->line, '\n'))) {
		*end = '\0';
		if (strcmp(f->line, "report") == 0)
			report(f);
		else if (strcmp(f->line, "state") == 0)
			print_all(f, false);
		else
			fprintf(stderr, "echo_flood: what is \"%s\"?\n", f->line);
		f->len -= (size_t)(end + 1 - f->line);
		memmove(f->line, end + 1, f->len + 1);
	}
}

/* ---- life ---- */

static int open_socket(int family, int protocol)
{
	int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		fail("a raw socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){SOCKET_BYTES}, sizeof(int));
	return fd;
}

static void add_target(struct flood *f, const char *text)
{
	struct target *t = &f->target[f->count];
	struct sockaddr_in *v4 = (void *)&t->to;
	struct sockaddr_in6 *v6 = (void *)&t->to;

	if (f->count == TARGETS_MAX || !addr_parse(&t->addr, text)) {
		errno = EINVAL;
		fail(text);
	}
	t->ring = mem_calloc(MEMORY, sizeof *t->ring);
	if (t->addr.af == AF_INET) {
		v4->sin_family = AF_INET;
		memcpy(&v4->sin_addr, t->addr.b, 4);
	} else {
		v6->sin6_family = AF_INET6;
		memcpy(&v6->sin6_addr, t->addr.b, 16);
	}
	f->count++;
}

static void start(struct flood *f, long microseconds)
{
	struct itimerspec every = {{microseconds / 1000000, microseconds % 1000000 * 1000},
				   {microseconds / 1000000, microseconds % 1000000 * 1000}};

	f->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	f->ipv4_fd = open_socket(AF_INET, IPPROTO_ICMP);
	f->ipv6_fd = open_socket(AF_INET6, IPPROTO_ICMPV6);
	if (f->timer_fd < 0 || timerfd_settime(f->timer_fd, 0, &every, NULL) < 0)
		fail("a timer");
	loop_io_set(f->loop, &f->timer, f->timer_fd, LOOP_READ, on_tick, f);
	loop_io_set(f->loop, &f->ipv4, f->ipv4_fd, LOOP_READ, on_ipv4, f);
	loop_io_set(f->loop, &f->ipv6, f->ipv6_fd, LOOP_READ, on_ipv6, f);
	loop_io_set(f->loop, &f->input, 0, LOOP_READ, on_input, f);
}

int main(int argc, char **argv)
{
	struct flood *f = mem_calloc(1, sizeof *f);
	long microseconds = argc > 2 ? atol(argv[1]) : 0;

	if (microseconds <= 0) {
		fprintf(stderr, "usage: echo_flood MICROSECONDS ADDRESS...\n");
		return 2;
	}
	for (int i = 2; i < argc; i++)
		add_target(f, argv[i]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	f->loop = loop_new();
	start(f, microseconds);
	loop_run(f->loop);
	return 0;
}
