/* The fib for people: what is wanted, what is there, and why not. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fib/beside.h"
#include "fib/state.h"

static const char *const state_names[FIB_STATE_COUNT] = {
    [FIB_INSTALLED] = "installed",
    [FIB_PENDING] = "pending",
    [FIB_UNRESOLVED] = "unresolved",
    [FIB_FAILED] = "failed",
    [FIB_SHADOWED] = "shadowed",
    [FIB_STALE] = "stale",
    [FIB_OFF] = "off",
};

static const char *const class_names[FIB_CLASS_COUNT] = {
    [FIB_WORKLOAD] = "workload", [FIB_OVERLAY] = "overlay", [FIB_REACH] = "peer",
    [FIB_BGP] = "bgp",		 [FIB_BLOCK] = "block",
};

const char *fib_state_name(enum fib_state s)
{
	return (unsigned)s < FIB_STATE_COUNT ? state_names[s] : "unknown";
}

/* ---- problems ---- */

static struct problem *problem_find(struct fib *f, const char *key)
{
	struct problem *p;

	TAILQ_FOREACH(p, &f->problems, link)
	{
		if (strcmp(p->key, key) == 0)
			return p;
	}
	return NULL;
}

void problem_set(struct fib *f, const char *key, const char *fmt, ...)
{
	struct problem *p = problem_find(f, key);
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (p && strcmp(p->text, text) == 0)
		return;
	if (!p) {
		p = mem_calloc(1, sizeof *p);
		p->key = mem_strdup(key);
		TAILQ_INSERT_TAIL(&f->problems, p, link);
	}
	free(p->text);
	p->text = mem_strdup(text);
	log_warn("fib", "%s", text);
}

void problem_clear(struct fib *f, const char *key)
{
	struct problem *p = problem_find(f, key);

	if (!p)
		return;
	TAILQ_REMOVE(&f->problems, p, link);
	free(p->key);
	free(p->text);
	free(p);
}

/* A route that others keep undoing waits until it is put back, so those that wait are all. */
static void show_fights(const struct fib *f, struct strbuf *out)
{
	const struct route_extra *first = NULL;
	char prefix[PREFIX_STRLEN];
	unsigned count = 0;
	struct prefix p;

	for (uint32_t i = 0; i < f->backoffs.count; i++) {
		const struct route_extra *e = f->backoffs.heap[i]->owner;
		if (e->error || !e->fights)
			continue;
		first = first ? first : e;
		count++;
	}
	if (!count)
		return;
	p = route_prefix(first->route);
	strbuf_printf(out,
		      "others keep removing or changing %u of our routes, %s (%u times) for one: `ip monitor route`\n",
		      count, prefix_format(&p, prefix), first->fights);
}

void fib_problems(const struct fib *f, struct strbuf *out)
{
	const struct problem *p;

	TAILQ_FOREACH(p, &f->problems, link)
	{
		strbuf_printf(out, "%s\n", p->text);
	}
	show_fights(f, out);
}

/* ---- one route ---- */

/* Text into a fixed field; what does not fit is cut off. */
struct text {
	char *at;
	size_t left;
};

static void __attribute__((format(printf, 2, 3))) say(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->at, t->left, fmt, ap);
	va_end(ap);
	if (n < 0 || t->left == 0)
		return;
	if ((size_t)n >= t->left)
		n = (int)t->left - 1;
	t->at += n;
	t->left -= (size_t)n;
}

static void say_hop(const struct fib *f, struct text *t, const struct nhset *s, const struct nhop *hop)
{
	char gateway[ADDR_STRLEN], name[IFNAMSIZ];

	if (!addr_is_none(&hop->gateway))
		say(t, "via %s%s ", hop->gateway.af != s->key.af ? "inet6 " : "", addr_format(&hop->gateway, gateway));
	say(t, "dev %s ", links_name(&f->links, hop->ifindex, name));
}

static void say_nhset(const struct fib *f, struct text *t, const struct nhset *s, uint32_t metric)
{
	if (s->key.type == RTN_BLACKHOLE)
		say(t, "blackhole ");
	if (s->key.count == 1)
		say_hop(f, t, s, &s->hop[0]);
	say(t, "proto %u", s->key.protocol);
	if (s->key.scope == RT_SCOPE_LINK)
		say(t, " scope link");
	if (metric)
		say(t, " metric %u", metric);
	if (s->key.count == 1 && s->hop[0].onlink)
		say(t, " onlink");
	for (unsigned i = 0; s->key.count > 1 && i < s->key.count; i++) {
		say(t, " nexthop ");
		say_hop(f, t, s, &s->hop[i]);
		say(t, "weight %u%s", s->hop[i].weight + 1u, s->hop[i].onlink ? " onlink" : "");
	}
}

void show_nhset(const struct fib *f, const struct nhset *s, uint32_t metric, char *out, size_t size)
{
	struct text t = {out, size};

	*out = '\0';
	say_nhset(f, &t, s, metric);
}

/* What it would be if it resolved. */
static void say_want(struct text *t, const struct want *w, uint32_t metric)
{
	char gateway[ADDR_STRLEN];

	for (unsigned i = 0; i < w->count; i++) {
		const struct nexthop_key *k = &w->member[i].nexthop->key;
		const struct addr *a = addr_is_none(&k->gateway) ? &k->link_local : &k->gateway;
		say(t, "%s%s", i ? " " : "", w->count > 1 ? "nexthop " : "");
		if (!addr_is_none(a))
			say(t, "via %s", addr_format(a, gateway));
		if (k->ifname[0])
			say(t, "%sdev %s", addr_is_none(a) ? "" : " ", k->ifname);
	}
	if (metric)
		say(t, " metric %u", metric);
}

void show_want(const struct want *w, uint32_t metric, char *out, size_t size)
{
	struct text t = {out, size};

	*out = '\0';
	say_want(&t, w, metric);
}

static void view_route_text(const struct fib *f, const struct route *r, const struct want *w, struct fib_view *v)
{
	struct text t = {v->route, sizeof v->route};
	const struct nhset *s = w ? w->to : route_have(f, r);

	v->route[0] = '\0';
	if (s)
		say_nhset(f, &t, s, r->metric);
	else
		say_want(&t, w, r->metric);
}

static enum fib_state failure(const struct fib *f, const struct route *r, struct fib_view *v)
{
	const struct route_extra *e = route_extra(f, r);

	if (e && e->error) {
		snprintf(v->reason, sizeof v->reason, "the kernel refused: %s%s%s: will be retried", strerror(e->error),
			 e->text ? ": " : "", e->text ? e->text : "");
		return FIB_FAILED;
	}
	if (e && e->fights && backoff_is_waiting(&e->wait))
		snprintf(v->reason, sizeof v->reason, "removed or changed by others %u times: will be put back",
			 e->fights);
	else
		snprintf(v->reason, sizeof v->reason, "about to be written");
	return FIB_PENDING;
}

/* It is there, but less of it than there could be. */
static void explain_lost(const struct want *w, struct fib_view *v)
{
	char gateway[ADDR_STRLEN];

	for (unsigned i = 0; i < w->count && !*v->reason; i++) {
		const struct addr *lost = &w->member[i].nexthop->lost;
		if (!addr_is_none(lost))
			snprintf(v->reason, sizeof v->reason, "without gateway %s, which BFD says is down",
				 addr_format(lost, gateway));
	}
}

static bool is_felix_there(const struct fib *f, const struct route *r)
{
	for (const struct foreign *k = NULL; (k = route_rival(f, r, k));)
		if (beside_is_felix(f, k))
			return true;
	return false;
}

static enum fib_state winner_state(const struct fib *f, const struct route *r, struct fib_view *v)
{
	const struct want *w = route_want(f, r);
	struct nhset *to = NULL;

	if (route_is_off(f, r)) {
		snprintf(v->reason, sizeof v->reason, "%s",
			 f->conf.programming ? "left to Felix: kernel.workload_routes is false" : "programming is off");
		return FIB_OFF;
	}
	if (!w->to) {
		want_explain(f, w, v->reason, sizeof v->reason);
		return FIB_UNRESOLVED;
	}
	if (is_felix_there(f, r)) {
		snprintf(v->reason, sizeof v->reason, "left to Felix, which has a route of this prefix and metric");
		return FIB_SHADOWED;
	}
	switch (route_judge(f, r, &to)) {
	case VERDICT_BLOCKED:
	case VERDICT_REMOVE:
		snprintf(v->reason, sizeof v->reason,
			 "a route to a connected network, or one that next hops resolve through, stands here");
		return FIB_SHADOWED;
	case VERDICT_WRITE:
		return failure(f, r, v);
	default:
		explain_lost(w, v);
		return FIB_INSTALLED;
	}
}

static void view_begin(const struct route *r, uint8_t class, struct fib_view *v)
{
	*v = (struct fib_view){.prefix = route_prefix(r), .metric = r->metric, .class = (enum fib_class) class};
}

/* The n-th view of a route: the winner, the others, and if nobody wants it what the kernel has. False past the last. */
static bool view(const struct fib *f, const struct route *r, unsigned n, struct fib_view *v)
{
	const struct route_extra *e = route_extra(f, r);
	const struct intent *i = e ? e->others : NULL;
	const struct want *w = route_want(f, r);

	if (n == 0 && w) {
		view_begin(r, w->class, v);
		v->state = winner_state(f, r, v);
		view_route_text(f, r, w, v);
		return true;
	}
	if (n == 0 && r->have) {
		view_begin(r, 0, v);
		v->state = FIB_STALE;
		snprintf(v->reason, sizeof v->reason, "%s",
			 f->synced[route_family(r)] ? "nobody wants it: about to be removed"
						    : "nobody wanted it yet: kept until all is known");
		view_route_text(f, r, NULL, v);
		return true;
	}
	while (i && n > 1) {
		i = i->next;
		n--;
	}
	if (!i || n == 0)
		return false;
	view_begin(r, i->want->class, v);
	v->state = FIB_SHADOWED;
	snprintf(v->reason, sizeof v->reason, "a %s route has this prefix and metric", w ? class_names[w->class] : "");
	view_route_text(f, r, i->want, v);
	return true;
}

/* *pos is the place in the table of the route before, and the number of the view of the next, 32 bits each. */
bool fib_next(const struct fib *f, uint64_t *pos, struct fib_view *v)
{
	for (;;) {
		uint32_t at = (uint32_t)(*pos >> 32), after = at;
		unsigned n = (uint32_t)*pos;
		const struct route *r = routes_next(&f->routes, &after);

		if (!r)
			return false;
		if (view(f, r, n, v)) {
			*pos = (uint64_t)at << 32 | (n + 1);
			return true;
		}
		*pos = (uint64_t)after << 32;
	}
}

static bool covers(const struct route *r, const struct addr *a)
{
	const struct prefix p = route_prefix(r);

	return prefix_contains(&p, a);
}

void fib_explain(const struct fib *f, const struct addr *a, void (*cb)(void *arg, const struct fib_view *v), void *arg)
{
	uint32_t pos = 0;
	int longest = -1;
	struct fib_view v;

	for (const struct route *r; (r = routes_next(&f->routes, &pos));)
		if (r->key[0] > longest && (r->want || r->have) && covers(r, a))
			longest = r->key[0];
	for (int stale = 0; stale < 2 && longest >= 0; stale++) {
		pos = 0;
		for (const struct route *r; (r = routes_next(&f->routes, &pos));) {
			if (r->key[0] != longest || (r->want == 0) != stale || !covers(r, a))
				continue;
			for (unsigned n = 0; view(f, r, n, &v); n++)
				cb(arg, &v);
		}
	}
}

struct fib_stats fib_stats(const struct fib *f)
{
	struct fib_stats s = f->stats;

	s.links = f->links.by_index.count;
	s.foreign = f->foreign.count;
	s.bytes = routes_bytes(&f->routes);
	s.foreign_bytes = foreign_bytes(&f->foreign);
	s.batches = netlink_stats(f->netlink)->batches;
	s.last_batch_ns = netlink_stats(f->netlink)->last_batch_ns;
	return s;
}

/* ---- the kernel's own answer ---- */

struct lookup {
	const struct fib *f;
	const struct addr *addr;
	struct text text;
	bool answered;
};

static void lookup_put(void *arg, struct wr *w)
{
	struct lookup *l = arg;

	rtmsg_put_lookup(w, l->addr, l->f->vrf[0] ? vrf_ifindex(l->f) : 0);
}

static void lookup_answer(void *arg, const struct nlmsghdr *h)
{
	static const char *const types[] = {[RTN_LOCAL] = "local ",
					    [RTN_BROADCAST] = "broadcast ",
					    [RTN_BLACKHOLE] = "blackhole ",
					    [RTN_UNREACHABLE] = "unreachable ",
					    [RTN_PROHIBIT] = "prohibit "};
	struct lookup *l = arg;
	char addr[ADDR_STRLEN], name[IFNAMSIZ];
	struct rtmsg_route m;
	uint8_t type;

	if (!rtmsg_parse_route(h, &m))
		return;
	type = m.to.key.type;
	l->answered = true;
	say(&l->text, "%s%s", type < sizeof types / sizeof *types && types[type] ? types[type] : "",
	    addr_format(l->addr, addr));
	if (m.to.key.count && !addr_is_none(&m.to.hop[0].gateway))
		say(&l->text, " via %s", addr_format(&m.to.hop[0].gateway, addr));
	if (m.to.key.count)
		say(&l->text, " dev %s", links_name(&l->f->links, m.to.hop[0].ifindex, name));
}

void fib_kernel_lookup(struct fib *f, const struct addr *a, char *out, size_t size)
{
	struct lookup l = {.f = f, .addr = a, .text = {out, size}};
	char addr[ADDR_STRLEN];
	int error;

	if (!size)
		return;
	*out = '\0';
	error = netlink_ask(RTM_GETROUTE, 0, lookup_put, lookup_answer, &l);
	/* The kernel says "invalid argument" for a blackhole. */
	if (error == EINVAL)
		say(&l.text, "%s: blackhole (%s)", addr_format(a, addr), strerror(error));
	else if (error)
		say(&l.text, "%s: %s", addr_format(a, addr), strerror(error));
	else if (!l.answered)
		say(&l.text, "%s: no answer from the kernel", addr_format(a, addr));
}
