#include "daemon/cluster/lookup.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/base/errand.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"

#define MAX_NAME 254u

struct question {
	char name[MAX_NAME];
	int af;
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
	int error;
	struct errand errand;
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

static void look_up(void *question, void *answer)
{
	const struct question *q = question;
	struct answer *a = answer;
	struct addrinfo hints = {.ai_family = q->af, .ai_socktype = SOCK_DGRAM}, *list = NULL;

	a->error = getaddrinfo(q->name, NULL, &hints, &list);
	for (struct addrinfo *i = list; i; i = i->ai_next) {
		struct addr one = addr_of(i);
		if (addr_is_none(&a->addr) || addr_equal(&one, &q->keep))
			a->addr = one;
	}
	if (list)
		freeaddrinfo(list);
	if (!a->error && addr_is_none(&a->addr))
		a->error = EAI_NONAME;
}

/* ---- The loop's side ---- */

static void ask(struct wanted *w);

static void on_timer(void *arg)
{
	ask(arg);
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

static void on_answer(void *arg, const void *answer)
{
	take(arg, answer ? answer : &(struct answer){.error = EAI_SYSTEM});
}

static void ask(struct wanted *w)
{
	struct question *q = mem_calloc(1, sizeof *q);

	*q = (struct question){.af = family_af(w->family), .keep = w->found};
	strncpy(q->name, w->name, sizeof q->name - 1);
	if (!errand_start(&w->errand, w->lookup->loop, look_up, q, sizeof(struct answer), on_answer, w))
		take(w, &(struct answer){.error = EAI_AGAIN});
}

static void forget(struct wanted *w)
{
	errand_forget(&w->errand);
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
	}
	return l;
}

void lookup_free(struct lookup *l)
{
	for (int f = 0; f < FAM_COUNT; f++)
		forget(&l->wanted[f]);
	free(l);
}
