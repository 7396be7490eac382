/* getaddrinfo() may take half a minute and cannot be interrupted: each question is a thread of its own, which shares
 * nothing with the loop but a socket for its answer. Who does not want to know any more does not read it. */
#include "daemon/cluster/lookup.h"

#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/mem.h"
#include "daemon/base/mono.h"

/* The resolver's modules keep whole packets on it. */
#define STACK (256 << 10)
#define MAX_NAME 254u

/* The thread's alone. */
struct question {
	char name[MAX_NAME];
	int af, fd;
	struct addr keep; /* what was found before: as good as any other of several */
};

struct answer {
	int error; /* getaddrinfo()'s; 0: addr is one */
	struct addr addr;
};

struct wanted {
	struct lookup *lookup;
	enum family family;
	char *name; /* NULL: none */
	uint64_t every;
	struct addr found;
	int error, fd; /* fd: an answer is to come there; -1 if none is */
	struct loop_io io;
	struct loop_timer timer;
};

struct lookup {
	struct loop *loop;
	void (*on_change)(void *arg);
	void *arg;
	struct wanted wanted[FAM_COUNT];
};

/* ---- The thread ---- */

static struct addr addr_of(const struct addrinfo *i)
{
	const void *sa = i->ai_addr;

	if (i->ai_family == AF_INET6)
		return addr_make(AF_INET6, &((const struct sockaddr_in6 *)sa)->sin6_addr);
	return addr_make(AF_INET, &((const struct sockaddr_in *)sa)->sin_addr);
}

static void *work(void *arg)
{
	struct question *q = arg;
	struct addrinfo hints = {.ai_family = q->af, .ai_socktype = SOCK_DGRAM}, *list = NULL;
	struct answer a = {.error = getaddrinfo(q->name, NULL, &hints, &list)};

	for (struct addrinfo *i = list; i; i = i->ai_next) {
		struct addr one = addr_of(i);
		if (addr_is_none(&a.addr) || addr_equal(&one, &q->keep))
			a.addr = one;
	}
	if (list)
		freeaddrinfo(list);
	if (!a.error && addr_is_none(&a.addr))
		a.error = EAI_NONAME;
	/* If nobody wants it any more the other end is closed: all the same here. */
	if (send(q->fd, &a, sizeof a, MSG_NOSIGNAL) < 0)
		a.error = EAI_SYSTEM;
	close(q->fd);
	free(q);
	return NULL;
}

/* Signals are the loop's. */
static int start(struct question *q)
{
	pthread_attr_t attr;
	sigset_t all, before;
	pthread_t thread;
	int error;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, &attr, work, q);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return error;
}

/* ---- The loop's side ---- */

static void ask(struct wanted *w);

static void on_timer(void *arg)
{
	ask(arg);
}

static void hang_up(struct wanted *w)
{
	if (w->fd < 0)
		return;
	loop_io_stop(w->lookup->loop, &w->io);
	close(w->fd);
	w->fd = -1;
}

static void take(struct wanted *w, const struct answer *a)
{
	bool changed = !a->error && !addr_equal(&a->addr, &w->found);

	w->error = a->error;
	loop_timer_set(w->lookup->loop, &w->timer, w->every, on_timer, w);
	if (!changed)
		return;
	w->found = a->addr;
	w->lookup->on_change(w->lookup->arg);
}

static void on_answer(void *arg, int events)
{
	struct wanted *w = arg;
	struct answer a;

	(void)events;
	if (recv(w->fd, &a, sizeof a, MSG_DONTWAIT) != sizeof a)
		a = (struct answer){.error = EAI_SYSTEM};
	hang_up(w);
	take(w, &a);
}

static void ask(struct wanted *w)
{
	struct question *q;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		take(w, &(struct answer){.error = EAI_SYSTEM});
		return;
	}
	q = mem_calloc(1, sizeof *q);
	*q = (struct question){.af = family_af(w->family), .fd = pair[1], .keep = w->found};
	strncpy(q->name, w->name, sizeof q->name - 1);
	if (start(q) != 0) {
		close(pair[0]);
		close(pair[1]);
		free(q);
		take(w, &(struct answer){.error = EAI_AGAIN});
		return;
	}
	w->fd = pair[0];
	loop_io_set(w->lookup->loop, &w->io, w->fd, LOOP_READ, on_answer, w);
}

static void forget(struct wanted *w)
{
	hang_up(w);
	loop_timer_stop(w->lookup->loop, &w->timer);
	free(w->name);
	w->name = NULL;
	w->found = (struct addr){0};
	w->error = 0;
}

void lookup_want(struct lookup *l, enum family f, const char *name, uint64_t every)
{
	struct wanted *w = &l->wanted[f];
	bool sooner = every < w->every;

	w->every = every;
	if (name && w->name && strcmp(name, w->name) == 0) {
		if (sooner && loop_timer_is_set(&w->timer))
			loop_timer_set(l->loop, &w->timer, every, on_timer, w);
		return;
	}
	if (!name && !w->name)
		return;
	forget(w);
	if (!name)
		return;
	w->name = mem_strdup(name);
	ask(w);
}

const struct addr *lookup_found(const struct lookup *l, enum family f)
{
	return &l->wanted[f].found;
}

const char *lookup_problem(const struct lookup *l, enum family f)
{
	const struct wanted *w = &l->wanted[f];

	return w->name && w->error ? gai_strerror(w->error) : NULL;
}

struct lookup *lookup_new(struct loop *loop, void (*on_change)(void *arg), void *arg)
{
	struct lookup *l = mem_calloc(1, sizeof *l);

	*l = (struct lookup){.loop = loop, .on_change = on_change, .arg = arg};
	for (int f = 0; f < FAM_COUNT; f++) {
		l->wanted[f].lookup = l;
		l->wanted[f].family = (enum family)f;
		l->wanted[f].fd = -1;
	}
	return l;
}

void lookup_free(struct lookup *l)
{
	for (int f = 0; f < FAM_COUNT; f++)
		forget(&l->wanted[f]);
	free(l);
}
