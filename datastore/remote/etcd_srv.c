#include "datastore/remote/etcd_srv.h"

#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/stdlib.h>

#include "daemon/base/buf.h"
#include "daemon/base/errand.h"
#include "daemon/base/mem.h"

#define ANSWER_MOST 65535
#define DOMAIN_MOST 254u

/* The services, those with TLS first: nobody is talked out of it. */
static const struct service {
	const char *name, *scheme;
} services[] = {{"_etcd-client-ssl._tcp", "https"}, {"_etcd-client._tcp", "http"}};

struct question {
	char domain[DOMAIN_MOST];
	unsigned char packet[ANSWER_MOST];
	struct etcd_srv_target targets[ETCD_SRV_MAX];
};

struct answer {
	char problem[200]; /* "" none */
	char endpoints[ETCD_SRV_MAX * 64];
};

struct etcd_srv {
	struct loop *loop;
	char *domain;
	etcd_srv_fn *fn;
	void *arg;
	struct errand errand;
	struct loop_timer timer; /* could not even ask */
};

/* ---- Records ---- */

static unsigned weights(const struct etcd_srv_target *t, unsigned count)
{
	unsigned sum = 0, n = 0;

	while (n < count && t[n].priority == t->priority)
		sum += t[n++].weight;
	return sum;
}

static int by_priority(const void *left, const void *right)
{
	const struct etcd_srv_target *a = left, *b = right;

	/* RFC 2782: those without weight stand first while it is drawn. */
	return a->priority != b->priority ? a->priority - b->priority : a->weight - b->weight;
}

void etcd_srv_sort(struct etcd_srv_target *t, unsigned count)
{
	qsort(t, count, sizeof *t, by_priority);
	for (unsigned i = 0; i < count; i++) {
		unsigned drawn = arc4random_uniform(weights(t + i, count - i) + 1), n = i;
		struct etcd_srv_target first;
		for (unsigned sum = t[n].weight; sum < drawn; sum += t[n].weight)
			n++;
		first = t[n];
		memmove(t + i + 1, t + i, (n - i) * sizeof *t);
		t[i] = first;
	}
}

static bool read_target(const unsigned char *packet, int len, const ns_rr *rr, struct etcd_srv_target *t)
{
	const unsigned char *data = ns_rr_rdata(*rr);

	if (ns_rr_type(*rr) != ns_t_srv || ns_rr_rdlen(*rr) < 7)
		return false;
	t->priority = (uint16_t)ns_get16(data);
	t->weight = (uint16_t)ns_get16(data + 2);
	t->port = (uint16_t)ns_get16(data + 4);
	/* A target that is the root says: no such service here. */
	return dn_expand(packet, packet + len, data + 6, t->host, sizeof t->host) > 0 && *t->host &&
	       strcmp(t->host, ".") != 0 && t->port;
}

unsigned etcd_srv_read(const unsigned char *answer, int len, struct etcd_srv_target t[static ETCD_SRV_MAX])
{
	unsigned count = 0;
	ns_msg msg;
	ns_rr rr;

	if (ns_initparse(answer, len, &msg) != 0)
		return 0;
	for (int i = 0; i < ns_msg_count(msg, ns_s_an) && count < ETCD_SRV_MAX; i++)
		if (ns_parserr(&msg, ns_s_an, i, &rr) == 0 && read_target(answer, len, &rr, &t[count]))
			count++;
	return count;
}

/* ---- The thread ---- */

static void write_endpoints(struct answer *a, const struct service *s, const struct etcd_srv_target *t, unsigned count)
{
	size_t len = 0;

	for (unsigned i = 0; i < count; i++) {
		size_t room = sizeof a->endpoints - len;
		int n =
		    snprintf(a->endpoints + len, room, "%s%s://%s:%u", len ? "," : "", s->scheme, t[i].host, t[i].port);
		if (n < 0 || (size_t)n >= room) {
			a->endpoints[len] = '\0';
			return;
		}
		len += (size_t)n;
	}
}

static void look_up(void *question, void *answer)
{
	struct question *q = question;
	struct answer *a = answer;
	struct __res_state state = {0};

	if (res_ninit(&state) != 0) {
		snprintf(a->problem, sizeof a->problem, "the resolver does not start");
		return;
	}
	for (size_t i = 0; i < sizeof services / sizeof *services && !*a->endpoints; i++) {
		char name[DOMAIN_MOST + 32];
		unsigned count = 0;
		int len;
		snprintf(name, sizeof name, "%s.%s", services[i].name, q->domain);
		len = res_nquery(&state, name, ns_c_in, ns_t_srv, q->packet, sizeof q->packet);
		if (len > 0)
			count = etcd_srv_read(q->packet, len < ANSWER_MOST ? len : ANSWER_MOST, q->targets);
		etcd_srv_sort(q->targets, count);
		write_endpoints(a, &services[i], q->targets, count);
		if (len <= 0)
			snprintf(a->problem, sizeof a->problem, "%s", hstrerror(state.res_h_errno));
		else if (!count)
			snprintf(a->problem, sizeof a->problem, "the records name no server");
	}
	res_nclose(&state);
}

/* ---- The loop's side ---- */

static void tell(struct etcd_srv *s, const struct answer *a)
{
	char *problem = NULL;

	if (!*a->endpoints)
		problem = mem_printf("the DNS names no etcd servers for %s (%s.%s, %s): %s", s->domain,
				     services[0].name, s->domain, services[1].name, a->problem);
	s->fn(s->arg, *a->endpoints ? a->endpoints : NULL, problem);
	free(problem);
}

static void on_answer(void *arg, const void *answer)
{
	tell(arg, answer ? answer : &(struct answer){.problem = "no answer"});
}

static void on_no_thread(void *arg)
{
	tell(arg, &(struct answer){.problem = "no thread can be started for the question"});
}

void etcd_srv_ask(struct etcd_srv *s)
{
	struct question *q;

	if (s->errand.out)
		return;
	q = mem_calloc(1, sizeof *q);
	snprintf(q->domain, sizeof q->domain, "%s", s->domain);
	if (!errand_start(&s->errand, s->loop, look_up, q, sizeof(struct answer), on_answer, s))
		loop_timer_set(s->loop, &s->timer, 0, on_no_thread, s);
}

struct etcd_srv *etcd_srv_new(struct loop *l, const char *domain, etcd_srv_fn *fn, void *arg)
{
	struct etcd_srv *s = mem_calloc(1, sizeof *s);

	*s = (struct etcd_srv){.loop = l, .domain = mem_strdup(domain), .fn = fn, .arg = arg};
	return s;
}

void etcd_srv_free(struct etcd_srv *s)
{
	if (!s)
		return;
	errand_forget(&s->errand);
	loop_timer_stop(s->loop, &s->timer);
	free(s->domain);
	free(s);
}
