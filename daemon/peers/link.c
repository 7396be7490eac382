#include "daemon/peers/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bgp/session/radv.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"

/* How long the one that was heard first has to come up before another one on the link is tried: a link full of
 * advertisements costs an attempt in that time, and no more. */
#define CHANCE (5 * MONO_SEC)
/* How long a link may be down before the session over it is: a plug that is moved takes less, hold timers much more. */
#define PATIENCE (1 * MONO_SEC)

struct link_peers {
	struct daemon *d;
	struct radv *radv;
	LIST_HEAD(, peer) peers; /* those with an interface: few, if any */
};

/* Its place in the list, and what is known of its link. */
struct link_state {
	struct link_peers *all;
	uint32_t ifindex;    /* 0: there is no such interface */
	bool watched;	     /* its advertisements are listened to */
	int watch_error;     /* why they are not */
	struct addr learned; /* of an unnumbered peer */
	uint64_t learned_at; /* mono */
	struct log_limit log;
	struct loop_timer down; /* set while the link is down, and its session not given up yet */
	struct bgp_range *calls;
};

bool link_is_unnumbered(const struct peer_want *w)
{
	return addr_is_none(&w->remote) && w->interface;
}

struct addr link_remote(const struct peer *p)
{
	if (!p->link)
		return p->want.remote;
	return link_is_unnumbered(&p->want) ? p->link->learned : addr_on_link(&p->want.remote, p->link->ifindex);
}

const char *link_wait(const struct peer *p, char *buf, size_t size)
{
	if (!p->link)
		return NULL;
	if (!p->link->ifindex)
		snprintf(buf, size, "there is no interface %s", p->want.interface);
	else if (p->link->watch_error)
		snprintf(buf, size, "cannot hear router advertisements on %s: %s%s", p->want.interface,
			 strerror(p->link->watch_error),
			 p->link->watch_error == EPERM ? "; unnumbered peers need CAP_NET_RAW" : "");
	else if (link_is_unnumbered(&p->want) && addr_is_none(&p->link->learned))
		snprintf(buf, size, "waits for a router advertisement on %s", p->want.interface);
	else
		return NULL;
	return buf;
}

/* ---- Unnumbered peers ---- */

/* While a session is there, others on the link are not for it. */
static bool may_learn(const struct peer *p, const struct addr *remote)
{
	return link_is_unnumbered(&p->want) && p->link->ifindex == addr_scope(remote) &&
	       bgp_session_state(p->session) < BGP_OPENSENT;
}

/* One that has this address by name, or already. */
static bool is_taken(const struct link_peers *l, const struct addr *remote)
{
	const struct peer *p;

	LIST_FOREACH(p, &l->peers, on_link)
	{
		struct addr a = link_remote(p);
		if (addr_equal(&a, remote))
			return true;
	}
	return false;
}

static void learn(struct peer *p, const struct addr *remote)
{
	char text[ADDR_STRLEN];

	uint32_t more;

	p->link->learned = *remote;
	p->link->learned_at = mono_now();
	if (log_allowed(&p->link->log, 5, 60 * MONO_SEC, &more))
		log_info("bgp", "%s: the peer is %s (%u more not shown)", p->want.name, addr_format(remote, text),
			 more);
	speaker_refresh(p);
}

static void on_router(void *arg, const struct addr *router)
{
	struct link_peers *l = arg;
	struct peer *p;

	if (is_taken(l, router))
		return;
	LIST_FOREACH(p, &l->peers, on_link)
	{
		if (may_learn(p, router) &&
		    (addr_is_none(&p->link->learned) || mono_now() - p->link->learned_at >= CHANCE)) {
			learn(p, router);
			return;
		}
	}
}

/* A call on its link: there are peers that do not advertise themselves. */
static struct bgp_session *on_caller(void *arg, const struct bgp_caller *who, const char **why)
{
	struct peer *p = arg;

	if (!may_learn(p, &who->remote)) {
		*why = "there is a session with another one";
		return NULL;
	}
	learn(p, &who->remote);
	return p->session;
}

/* A caller that nobody has heard of cannot be asked for this session's password: the kernel knows no links. */
static void calls_configure(struct peer *p)
{
	static const uint8_t link_local[16] = {0xfe, 0x80};
	struct addr base = addr_make(AF_INET6, link_local);
	struct bgp_range_conf conf = {.name = p->want.name,
				      .min_ttl = p->want.ttl_security ? (uint8_t)(256 - p->want.ttl_security) : 0};
	bool wanted = link_is_unnumbered(&p->want) && p->link->ifindex && !p->want.password;

	base = addr_on_link(&base, p->link->ifindex);
	conf.prefix = prefix_make(&base, 10);
	if (p->link->calls && !wanted) {
		bgp_range_free(p->link->calls);
		p->link->calls = NULL;
	} else if (p->link->calls) {
		bgp_range_configure(p->link->calls, &conf);
	} else if (wanted) {
		p->link->calls = bgp_range_new(p->link->all->d->engine, &conf, on_caller, p);
	}
}

static void unwatch(struct peer *p)
{
	if (p->link->watched)
		radv_unwatch(p->link->all->radv, p->link->ifindex);
	p->link->watched = false;
	p->link->watch_error = 0;
	p->link->learned = (struct addr){0};
}

static void watch(struct peer *p)
{
	struct link_peers *l = p->link->all;

	if (!link_is_unnumbered(&p->want) || !p->link->ifindex)
		return;
	if (!l->radv)
		l->radv = radv_new(l->d->loop, on_router, l);
	p->link->watched = radv_watch(l->radv, p->link->ifindex);
	p->link->watch_error = p->link->watched ? 0 : errno;
	if (!p->link->watched)
		log_error("bgp", "%s: cannot hear router advertisements on %s: %s%s", p->want.name, p->want.interface,
			  strerror(errno), errno == EPERM ? "; it needs CAP_NET_RAW" : "");
}

/* ---- Links ---- */

/* Nothing is forwarded over it either: the peer's routes are not kept. */
static void on_down(void *arg)
{
	struct peer *p = arg;
	char text[64];

	snprintf(text, sizeof text, "interface %s is down", p->want.interface);
	if (bgp_session_state(p->session) >= BGP_OPENSENT)
		bgp_session_reset(p->session, BGP_ERR_CEASE, BGP_CEASE_REJECTED, text);
}

static void mind_link(struct peer *p, bool up)
{
	struct link_peers *l = p->link->all;

	if (up)
		loop_timer_stop(l->d->loop, &p->link->down);
	else if (!loop_timer_is_set(&p->link->down))
		loop_timer_set(l->d->loop, &p->link->down, PATIENCE, on_down, p);
	if (up && p->link->watched)
		radv_hurry(l->radv, p->link->ifindex);
}

static void set_link(struct peer *p, uint32_t ifindex)
{
	unwatch(p);
	p->link->ifindex = ifindex;
	watch(p);
	calls_configure(p);
}

void link_changed(struct link_peers *l, const struct fib_link *link, const char *old_name)
{
	struct peer *p, *next;

	LIST_FOREACH_SAFE(p, &l->peers, on_link, next)
	{
		struct fib_link now = {0};

		if (strcmp(p->want.interface, link->name) != 0 &&
		    (!old_name || strcmp(p->want.interface, old_name) != 0))
			continue;
		fib_link_find(l->d->fib, p->want.interface, &now);
		if (now.ifindex != p->link->ifindex) {
			set_link(p, now.ifindex);
			speaker_refresh(p);
		} else if (now.ifindex) {
			mind_link(p, now.up);
		}
	}
}

void link_configure(struct peer *p)
{
	if (p->link)
		calls_configure(p);
}

void link_join(struct link_peers *l, struct peer *p)
{
	struct fib_link now = {0};

	if (!p->want.interface)
		return;
	p->link = mem_calloc(1, sizeof *p->link);
	p->link->all = l;
	LIST_INSERT_HEAD(&l->peers, p, on_link);
	fib_link_find(l->d->fib, p->want.interface, &now);
	set_link(p, now.ifindex);
}

void link_leave(struct peer *p)
{
	if (!p->link)
		return;
	unwatch(p);
	loop_timer_stop(p->link->all->d->loop, &p->link->down);
	if (p->link->calls)
		bgp_range_free(p->link->calls);
	LIST_REMOVE(p, on_link);
	free(p->link);
	p->link = NULL;
}

struct link_peers *link_peers_new(struct daemon *d)
{
	struct link_peers *l = mem_calloc(1, sizeof *l);

	l->d = d;
	LIST_INIT(&l->peers);
	return l;
}

void link_peers_free(struct link_peers *l)
{
	if (l->radv)
		radv_free(l->radv);
	free(l);
}
