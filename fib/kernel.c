#include "fib/kernel.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/base/mono.h"
#include "fib/beside.h"
#include "fib/picture.h"
#include "fib/settings.h"
#include "fib/state.h"

#define SOON (200 * MONO_MSEC)
/* ... and twice as long after each that asks for another: 6.4 s at most. */
#define REPEATS_MAX 5
/* After an overflow everything is read at once, but not more often than this. */
#define OVERRUN_PAUSE (1 * MONO_SEC)
/* A dump that others keep changing under us is repeated so often, then taken as it is and done again later. */
#define INTERRUPTED_MAX 5

/* ---- links and addresses ---- */

static struct fib_link link_view(const struct link *l)
{
	struct fib_link view = {.ifindex = l->ifindex, .up = link_is_running(l), .vrf_table = l->vrf_table};

	memcpy(view.name, l->name, sizeof view.name);
	return view;
}

bool fib_link_find(const struct fib *f, const char *name, struct fib_link *l)
{
	const struct link *found = links_by_name(&f->links, name);

	if (found)
		*l = link_view(found);
	return found;
}

bool fib_link_has(const struct fib *f, uint32_t ifindex, const struct addr *a)
{
	return links_has(&f->links, ifindex, a);
}

static void tell_link(struct fib *f, const struct fib_link *l, const char *old_name)
{
	if (f->ops && f->ops->on_link)
		f->ops->on_link(f->arg, l, old_name);
}

static void link_lost(struct fib *f, struct link *l)
{
	struct link gone = *l;
	struct fib_link view = link_view(l);

	gone.tunnel = NULL;
	links_remove(&f->links, l);
	picture_link_gone(f, gone.ifindex);
	resolve_link_changed(f, &gone, NULL);
	neigh_link_changed(f, &gone);
	tunnels_link_changed(f, &gone);
	settings_forget(f, &gone);
	vrf_follow(f);
	view.ifindex = 0;
	view.up = false;
	tell_link(f, &view, NULL);
}

static void link_put(struct fib *f, const struct rtmsg_link *m)
{
	struct link *l = links_by_index(&f->links, m->ifindex);
	struct link old = l ? *l : (struct link){0};
	struct fib_link view;
	bool renamed = l && strcmp(old.name, m->name) != 0;

	l = links_put(&f->links, m);
	l->seen = f->resync.generation;
	if (renamed)
		l->configured = false;
	if (link_is_up(&old) && !link_is_up(l))
		picture_link_down(f, l->ifindex);
	if (!old.ifindex || renamed || ((old.flags ^ l->flags) & (IFF_UP | IFF_RUNNING))) {
		resolve_link_changed(f, l, renamed ? old.name : NULL);
		neigh_link_changed(f, l);
		view = link_view(l);
		tell_link(f, &view, renamed ? old.name : NULL);
	}
	tunnels_link_changed(f, l);
	vrf_follow(f);
	/* What is an address of this node is so in one VRF. */
	if (old.ifindex && old.master != l->master)
		resolve_all(f);
	if (renamed)
		beside_link_renamed(f, l->ifindex);
}

static void on_link(struct fib *f, const struct nlmsghdr *h)
{
	struct rtmsg_link m;
	struct link *l;

	if (!rtmsg_parse_link(h, &m))
		return;
	if (h->nlmsg_type == RTM_NEWLINK) {
		link_put(f, &m);
		return;
	}
	l = links_by_index(&f->links, m.ifindex);
	if (l)
		link_lost(f, l);
	/* A dump under way may still show it. */
	f->resync.again |= f->resync.running;
}

static void tell_address(struct fib *f)
{
	if (f->ops && f->ops->on_address)
		f->ops->on_address(f->arg);
}

static void addr_lost(struct fib *f, const struct rtmsg_addr *m)
{
	const struct link *l = links_by_index(&f->links, m->ifindex);

	if (!links_addr_remove(&f->links, m))
		return;
	resolve_addr_changed(f, &m->addr);
	tell_address(f);
	own_lost(f, &m->addr);
	if (l)
		tunnels_link_changed(f, l);
	if (m->addr.af != AF_INET)
		return;
	if (l && !l->ipv4_count) {
		picture_ipv4_disabled(f, l->ifindex);
		neigh_ipv4_disabled(f, l->ifindex);
	}
	/* Older kernels drop routes with this preferred source without a word. */
	if (picture_has_source(f, &m->addr))
		kernel_resync_soon(f);
}

static void addr_put(struct fib *f, const struct rtmsg_addr *m)
{
	const struct link *l = links_by_index(&f->links, m->ifindex);

	if (!links_addr_put(&f->links, m, f->resync.generation))
		return;
	resolve_addr_changed(f, &m->addr);
	tell_address(f);
	if (l)
		tunnels_link_changed(f, l);
}

static void on_addr(struct fib *f, const struct nlmsghdr *h)
{
	struct rtmsg_addr m;

	if (!rtmsg_parse_addr(h, &m))
		return;
	if (h->nlmsg_type == RTM_NEWADDR) {
		addr_put(f, &m);
		return;
	}
	addr_lost(f, &m);
	f->resync.again |= f->resync.running;
}

static void on_neigh(struct fib *f, const struct nlmsghdr *h)
{
	struct rtmsg_neigh m;

	if (rtmsg_parse_neigh(h, &m))
		(h->nlmsg_type == RTM_NEWNEIGH ? neigh_added : neigh_removed)(f, &m);
}

static void on_route(struct fib *f, const struct nlmsghdr *h)
{
	picture_event(f, h);
}

/* ---- events ---- */

static const struct {
	uint16_t type;
	void (*take)(struct fib *f, const struct nlmsghdr *h);
} events[] = {
    {RTM_NEWROUTE, on_route}, {RTM_DELROUTE, on_route}, {RTM_NEWLINK, on_link},	  {RTM_DELLINK, on_link},
    {RTM_NEWADDR, on_addr},   {RTM_DELADDR, on_addr},	{RTM_NEWNEIGH, on_neigh}, {RTM_DELNEIGH, on_neigh},
};

void kernel_event(void *arg, const struct nlmsghdr *h)
{
	for (unsigned i = 0; i < sizeof events / sizeof *events; i++) {
		if (events[i].type == h->nlmsg_type) {
			events[i].take(arg, h);
			return;
		}
	}
}

void kernel_overrun(void *arg)
{
	struct fib *f = arg;
	struct resync *s = &f->resync;
	uint32_t suppressed = 0;

	if (log_allowed(&s->overruns, 5, 60 * MONO_SEC, &suppressed))
		log_info("fib", "events from the kernel were lost: reading everything again (%u more such)",
			 suppressed);
	/* When they are lost again and again, a dump must come to its end nevertheless. */
	if (!s->running && mono_now() - s->began > OVERRUN_PAUSE)
		kernel_resync(f);
	else
		kernel_resync_soon(f);
}

/* ---- resync: one dump after the other ---- */

static void stage_put(void *arg, struct wr *w);
static void stage_message(void *arg, const struct nlmsghdr *h);
static void stage_end(void *arg, int error);

static void put_links(struct fib *f, struct wr *w)
{
	(void)f;
	rtmsg_put_link_dump(w);
}
static void put_addrs(struct fib *f, struct wr *w)
{
	(void)f;
	rtmsg_put_addr_dump(w);
}
/* The start looks into every table: an earlier run may have used others. */
static bool looks_at_all(const struct fib *f)
{
	return !f->resync.started && !f->conf.routes_only && f->conf.programming;
}
static void put_base4(struct fib *f, struct wr *w)
{
	rtmsg_put_route_dump(w, AF_INET, looks_at_all(f) ? 0 : base_table(f));
}
static void put_base6(struct fib *f, struct wr *w)
{
	rtmsg_put_route_dump(w, AF_INET6, looks_at_all(f) ? 0 : base_table(f));
}
static void put_own4(struct fib *f, struct wr *w)
{
	rtmsg_put_route_dump(w, AF_INET, f->conf.table);
}
static void put_own6(struct fib *f, struct wr *w)
{
	rtmsg_put_route_dump(w, AF_INET6, f->conf.table);
}
static void put_neighs4(struct fib *f, struct wr *w)
{
	(void)f;
	rtmsg_put_neigh_dump(w, AF_INET);
}
static void put_neighs6(struct fib *f, struct wr *w)
{
	(void)f;
	rtmsg_put_neigh_dump(w, AF_INET6);
}
static void put_fdb(struct fib *f, struct wr *w)
{
	(void)f;
	rtmsg_put_neigh_dump(w, AF_BRIDGE);
}

static void dumped_link(struct fib *f, const struct nlmsghdr *h)
{
	struct rtmsg_link m;
	const struct link *l;

	if (!rtmsg_parse_link(h, &m))
		return;
	l = links_by_index(&f->links, m.ifindex);
	if (!l || l->seen != f->resync.generation)
		link_put(f, &m);
}

static void dumped_addr(struct fib *f, const struct nlmsghdr *h)
{
	struct rtmsg_addr m;

	if (rtmsg_parse_addr(h, &m))
		addr_put(f, &m);
}

static void dumped_neigh(struct fib *f, const struct nlmsghdr *h)
{
	struct rtmsg_neigh m;

	if (rtmsg_parse_neigh(h, &m))
		neigh_seen(f, &m);
}

/* The sweeps remove what was not seen. Tables must not change while they are walked: one is removed per walk, and there
 * are few. */
static void sweep_links(struct fib *f)
{
	uint32_t pos = 0;

	for (struct link *l; (l = htab_next(&f->links.by_index, &pos));) {
		if (l->seen == f->resync.generation)
			continue;
		link_lost(f, l);
		pos = 0;
	}
}

static void sweep_addrs(struct fib *f)
{
	uint32_t pos = 0;

	for (struct link_addr *a; (a = htab_next(&f->links.addrs, &pos));) {
		struct rtmsg_addr m = {a->ifindex, a->addr, a->len};
		if (a->seen == f->resync.generation)
			continue;
		addr_lost(f, &m);
		pos = 0;
	}
}

static bool has_no_base(const struct fib *f)
{
	return !base_table(f);
}
static bool has_been_read(const struct fib *f)
{
	return f->conf.table == base_table(f) || looks_at_all(f);
}
static bool has_no_neighbours(const struct fib *f)
{
	return f->conf.routes_only;
}

static const struct stage {
	struct netlink_dump dump;
	void (*put)(struct fib *f, struct wr *w);
	void (*take)(struct fib *f, const struct nlmsghdr *h);
	void (*sweep)(struct fib *f);
	bool (*left_out)(const struct fib *f); /* NULL: never */
} stages[] = {
#define DUMP(t)                                                                                 \
	{                                                                                       \
		.type = (t), .put = stage_put, .on_message = stage_message, .on_end = stage_end \
	}
    {DUMP(RTM_GETLINK), put_links, dumped_link, sweep_links, NULL},
    {DUMP(RTM_GETADDR), put_addrs, dumped_addr, sweep_addrs, NULL},
    {DUMP(RTM_GETROUTE), put_base4, picture_dumped, NULL, has_no_base},
    {DUMP(RTM_GETROUTE), put_base6, picture_dumped, NULL, has_no_base},
    {DUMP(RTM_GETROUTE), put_own4, picture_dumped, NULL, has_been_read},
    {DUMP(RTM_GETROUTE), put_own6, picture_dumped, NULL, has_been_read},
    {DUMP(RTM_GETNEIGH), put_neighs4, dumped_neigh, NULL, has_no_neighbours},
    {DUMP(RTM_GETNEIGH), put_neighs6, dumped_neigh, NULL, has_no_neighbours},
    {DUMP(RTM_GETNEIGH), put_fdb, dumped_neigh, neigh_sweep, has_no_neighbours},
#undef DUMP
};
#define STAGES (sizeof stages / sizeof *stages)

static void stage_put(void *arg, struct wr *w)
{
	struct fib *f = arg;

	stages[f->resync.stage].put(f, w);
}

static void stage_message(void *arg, const struct nlmsghdr *h)
{
	struct fib *f = arg;

	stages[f->resync.stage].take(f, h);
}

static void resync_finish(struct fib *f)
{
	struct resync *s = &f->resync;

	if (!s->incomplete)
		picture_sweep(f);
	s->running = false;
	s->started = true;
	if (s->again) {
		kernel_resync_soon(f);
		s->repeats += s->repeats < REPEATS_MAX;
	} else {
		s->repeats = 0;
	}
}

static void stage_start(struct fib *f)
{
	struct resync *s = &f->resync;

	while (s->stage < STAGES && stages[s->stage].left_out && stages[s->stage].left_out(f))
		s->stage++;
	if (s->stage < STAGES)
		netlink_dump(f->netlink, &stages[s->stage].dump, f);
	else
		resync_finish(f);
}

/* A table that does not exist yet, or a family the kernel was built or started without, is empty. */
static bool is_empty_error(int error)
{
	return error == ENOENT || error == EOPNOTSUPP || error == EAFNOSUPPORT;
}

static void stage_end(void *arg, int error)
{
	struct fib *f = arg;
	struct resync *s = &f->resync;

	if (error == EINTR && ++s->interrupted <= INTERRUPTED_MAX) {
		stage_start(f);
		return;
	}
	if (error == EINTR)
		s->again = s->incomplete = true;
	if (error && error != EINTR && !is_empty_error(error)) {
		log_warn("fib", "reading the kernel's state failed: %s: will be tried again", strerror(error));
		s->running = false;
		kernel_resync_soon(f);
		s->repeats += s->repeats < REPEATS_MAX;
		return;
	}
	if (stages[s->stage].sweep && !s->incomplete)
		stages[s->stage].sweep(f);
	s->interrupted = 0;
	s->stage++;
	stage_start(f);
}

void kernel_resync(struct fib *f)
{
	struct resync *s = &f->resync;

	if (s->started)
		f->stats.resyncs++;
	loop_timer_stop(f->loop, &s->soon);
	s->began = mono_now();
	s->running = true;
	s->again = s->incomplete = false;
	s->stage = s->interrupted = 0;
	s->generation++;
	s->gone_count = 0;
	stage_start(f);
}

static void on_soon(void *arg)
{
	kernel_resync(arg);
}

void kernel_resync_soon(struct fib *f)
{
	if (f->resync.running)
		f->resync.again = true;
	else if (!loop_timer_is_set(&f->resync.soon))
		loop_timer_set(f->loop, &f->resync.soon, SOON << f->resync.repeats, on_soon, f);
}

static void on_audit(void *arg)
{
	struct fib *f = arg;
	uint32_t pos = 0;

	/* Settings that somebody changed are made again, too. */
	for (struct link *l; (l = htab_next(&f->links.by_index, &pos));)
		l->configured = false;
	if (f->conf.programming && !f->conf.routes_only)
		settings_forwarding(f);
	resolve_all(f);
	tunnels_check(f);
	if (!f->resync.running)
		kernel_resync(f);
	kernel_arm_audit(f);
}

void kernel_arm_audit(struct fib *f)
{
	if (f->conf.audit)
		loop_timer_set(f->loop, &f->resync.audit, f->conf.audit, on_audit, f);
	else
		loop_timer_stop(f->loop, &f->resync.audit);
}

bool kernel_start(struct fib *f)
{
	kernel_resync(f);
	if (!netlink_dump_wait(f->netlink) || !f->resync.started)
		return false;
	picture_adopt(f);
	return true;
}

void kernel_stop(struct fib *f)
{
	loop_timer_stop(f->loop, &f->resync.soon);
	loop_timer_stop(f->loop, &f->resync.audit);
	f->resync.running = false;
}
