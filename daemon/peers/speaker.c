/* The list of peers: who is there, and with which configuration. What sessions say is peer_events.c's, what is kept of
 * peers that restart helper.c's, our own restart restart.c's. */
#include "daemon/peers/speaker.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/instance.h"
#include "daemon/peers/dynamic.h"
#include "daemon/peers/link.h"
#include "daemon/peers/liveness.h"
#include "daemon/peers/moved.h"
#include "daemon/peers/peer_conf.h"
#include "daemon/peers/sibling.h"
#include "daemon/restart.h"

/* What is open besides sessions: the loop, netlink, listening and control sockets, files. */
#define OTHER_DESCRIPTORS 32u

struct speaker {
	struct daemon *d;
	struct peer **peers; /* sorted by remote address and port */
	unsigned count, cap;
	struct dynamic *dynamic;
	struct link_peers *links;
	struct strbuf problems; /* said in the log already */
	struct peer_common common;
	bool applying; /* the list of peers is being made: what sessions say meanwhile is looked at afterwards */
	struct restart *restart;
	struct loop_timer recheck_timer; /* set while restart.c is to look at the peers, once for all that happened */
};

static void recheck(void *arg);
static void on_held_timer(void *arg);

/* ---- Peers ---- */

static struct peer *peer_new(struct speaker *s, struct peer_want *want, struct range *range)
{
	struct peer *p = mem_calloc(1, sizeof *p);
	struct bgp_session_conf sc;
	struct rib_peer_conf rc;

	p->speaker = s;
	p->want = *want;
	*want = (struct peer_want){0};
	p->as = p->want.remote_as;
	dynamic_join(p, range);
	link_join(s->links, p);
	p->held = addr_is_none(&p->want.sibling) ? PEER_NOT_HELD : PEER_HELD_PASSIVE;
	rc = peer_rib_conf(p, &s->common);
	p->instance = instance_of(s->d, &p->want.opt);
	if (p->instance)
		p->instance->peers++;
	p->rib = rib_peer_new(instance_rib(s->d, p->instance), &rc, p);
	liveness_configure(s->d->liveness, p);
	peer_session_conf(p, &s->common, &sc);
	p->session = bgp_session_new(s->d->engine, &sc, p);
	if (p->held)
		loop_timer_set(s->d->loop, &p->held_timer, s->d->config.connect_retry_time * MONO_SEC, on_held_timer,
			       p);
	return p;
}

static void peer_free(struct peer *p, uint8_t cease)
{
	sibling_leave(p);
	dynamic_join(p, NULL);
	helper_stop(p);
	loop_timer_stop(p->speaker->d->loop, &p->held_timer);
	prefix_limit_clear(p);
	bgp_session_free(p->session, cease);
	/* After BGP's connection, as there are those (FRR) who take a farewell for a failure: a graceful restart has
	 * begun for them, then, and goes on. */
	liveness_release(p);
	link_leave(p);
	rib_peer_free(p->rib);
	if (p->instance)
		p->instance->peers--;
	peer_want_free(&p->want);
	free(p);
}

/* Another want for the same peer, whose texts it takes; in force with peer_configure(). */
static void peer_take(struct peer *p, struct peer_want *w)
{
	/* Held down for its limit, it gets another try if that is another one, or if somebody shuts it down himself. */
	if (p->limit.down && (w->opt.shutdown || !prefix_limit_same(&w->opt, &p->want.opt)))
		prefix_limit_lift(p);
	peer_want_free(&p->want);
	p->want = *w;
	*w = (struct peer_want){0};
	if (p->want.remote_as)
		p->as = p->want.remote_as;
}

static bool peer_established(const struct peer *p)
{
	return bgp_session_state(p->session) == BGP_ESTABLISHED;
}

void peer_configure(struct peer *p)
{
	struct bgp_session_conf sc;
	struct rib_peer_conf rc = peer_rib_conf(p, &p->speaker->common);
	struct bgp_nexthop self[FAM_COUNT];

	link_configure(p);
	liveness_configure(p->speaker->d->liveness, p);
	peer_session_conf(p, &p->speaker->common, &sc);
	if (bgp_session_configure(p->session, &sc))
		log_info("bgp", "%s: the session was reset to apply its new configuration", p->want.name);
	rib_peer_configure(p->rib, &rc);
	if (peer_established(p)) {
		peer_self(p, &p->speaker->common, self);
		rib_peer_self(p->rib, self);
	}
	prefix_limit_check(p);
}

bool speaker_has_started(const struct speaker *s)
{
	return restart_is_over(s->restart);
}

/* ---- One session for both families ---- */

/* Where it is, or would have to be. */
static unsigned place_of(const struct speaker *s, const struct peer_want *w)
{
	unsigned lo = 0, hi = s->count;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (peer_want_cmp(&s->peers[mid]->want, w) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct peer *speaker_peer_of(const struct speaker *s, const struct peer_want *w)
{
	unsigned i = place_of(s, w);

	return i < s->count && peer_want_cmp(&s->peers[i]->want, w) == 0 ? s->peers[i] : NULL;
}

static void insert(struct speaker *s, struct peer *p)
{
	unsigned at = place_of(s, &p->want);

	if (s->count == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 16;
		s->peers = mem_realloc(s->peers, s->cap * sizeof(struct peer *));
	}
	memmove(s->peers + at + 1, s->peers + at, (s->count - at) * sizeof(struct peer *));
	s->count++;
	s->peers[at] = p;
}

static void take_out(struct speaker *s, const struct peer *p)
{
	unsigned at = place_of(s, &p->want);

	memmove(s->peers + at, s->peers + at + 1, (s->count - at - 1) * sizeof(struct peer *));
	s->count--;
}

void speaker_move(struct peer *p, const struct peer_want *w)
{
	take_out(p->speaker, p);
	p->want.remote = w->remote;
	p->want.remote_port = w->remote_port;
	insert(p->speaker, p);
}

/* The IPv6 peer of the node that this IPv4 peer is, or was. */
static struct peer *follower_of(const struct speaker *s, const struct peer_want *of)
{
	struct peer_want w = {.remote = of->other, .remote_port = of->remote_port};
	struct peer *p = addr_is_none(&w.remote) ? NULL : speaker_peer_of(s, &w);

	return p && addr_equal(&p->want.sibling, &of->remote) ? p : NULL;
}

/* Whose sibling it is, and who is its, once the list is complete. */
static void siblings_link(struct speaker *s, struct peer *p)
{
	struct peer_want sibling = {.remote = p->want.sibling, .remote_port = p->want.remote_port};
	struct peer *follower = follower_of(s, &p->want);

	sibling_link(p, addr_is_none(&sibling.remote) ? NULL : speaker_peer_of(s, &sibling));
	if (follower)
		sibling_link(follower, p);
}

void speaker_sibling_check(struct peer *changed)
{
	if (!changed->speaker->applying)
		sibling_check(changed);
}

/* Both sides may be passive on IPv4 as far as they can know, the one by rule and the other because it does not get
 * through. */
static void on_held_timer(void *arg)
{
	struct peer *p = arg;

	p->held_long = true;
	speaker_sibling_check(p);
}

/* Peers by range, after the ranges have changed: those of one that is gone go too, unless another one has them. */
static void dynamic_settle(struct speaker *s)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < s->count; i++) {
		struct peer *p = s->peers[i];
		struct range *r = p->range ? dynamic_find(s->dynamic, &p->want) : NULL;
		struct peer_want w;

		if (p->range && (!r || !instance_fits(s->d, p->instance, &dynamic_want(r)->opt))) {
			log_info("bgp", "%s: removed, no range of its table has it any more", p->want.name);
			peer_free(p, BGP_CEASE_DECONFIGURED);
			continue;
		}
		s->peers[kept++] = p;
		if (!r)
			continue;
		w = peer_want_of_range(dynamic_want(r), &p->want.remote, p->want.interface);
		peer_take(p, &w);
		dynamic_join(p, r);
		peer_configure(p);
	}
	s->count = kept;
	dynamic_sweep(s->dynamic);
}

/* Descriptors that the sessions may need: those of the ranges come without being asked for. */
static unsigned descriptors_wanted(const struct speaker *s)
{
	struct dynamic_view v;
	unsigned n = s->count;

	for (unsigned i = 0; dynamic_view(s->dynamic, i, &v); i++)
		n += v.want->opt.range_limit - (v.peers < v.want->opt.range_limit ? v.peers : v.want->opt.range_limit);
	return n;
}

void speaker_problems(const struct speaker *s, struct strbuf *out)
{
	unsigned wanted = descriptors_wanted(s) + OTHER_DESCRIPTORS;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < wanted)
		strbuf_printf(
		    out,
		    "sessions may need %u descriptors, and the limit is %llu: raise it (LimitNOFILE=), or lower "
		    "peerLimit\n",
		    wanted, (unsigned long long)limit.rlim_cur);
}

static void log_problems(struct speaker *s)
{
	struct strbuf now = {0};

	speaker_problems(s, &now);
	if (now.len && (!s->problems.s || strcmp(s->problems.s, now.s) != 0))
		log_warn("bgp", "%.*s", (int)now.len - 1, now.s);
	strbuf_free(&s->problems);
	s->problems = now;
}

/* What all peers have in common. */
static void take_self(struct speaker *s, const struct self *self)
{
	for (int f = 0; f < FAM_COUNT; f++)
		s->common.self[f] = (struct bgp_nexthop){.addr = self->ip[f].addr};
	s->common.router_id = self->router_id;
	s->common.cluster_id = self->cluster_id;
	s->common.as = self->as;
	s->common.graceful_shutdown = self->graceful_shutdown;
	liveness_listen(s->d->liveness, self);
}

/* A peer comes, goes, or is wanted otherwise. Of one that goes the change keeps what its sibling knew it by. */
static struct peer *apply_change(struct speaker *s, struct peer_change *c, uint32_t old_router_id)
{
	struct peer *p = speaker_peer_of(s, &c->want);

	if (!c->wanted) {
		if (!p || p->range)
			return NULL;
		log_info("bgp", "%s: removed, %s no longer asks for it", p->want.name, p->want.origin);
		if (p->follower)
			c->want.other = p->follower->want.remote;
		take_out(s, p);
		peer_free(p, BGP_CEASE_DECONFIGURED);
		return NULL;
	}
	/* In another table it is another peer, with routes of its own. */
	if (p && !instance_fits(s->d, p->instance, &c->want.opt)) {
		log_info("bgp", "%s: its routes go into another table", p->want.name);
		take_out(s, p);
		peer_free(p, BGP_CEASE_DECONFIGURED);
		p = NULL;
	}
	if (!p) {
		log_debug("bgp", "%s: added for %s", c->want.name, c->want.origin);
		p = peer_new(s, &c->want, NULL);
		insert(s, p);
		return p;
	}
	p->moving |= moved_self(p, &c->want, old_router_id, s->common.router_id);
	peer_take(p, &c->want);
	dynamic_join(p, NULL);
	peer_configure(p);
	p->moving = false;
	return p;
}

/* Peers of the diff and their siblings, after all of them have come and gone. */
static void apply_siblings(struct speaker *s, const struct peering_diff *d, struct peer **peers)
{
	for (unsigned i = 0; i < d->count; i++)
		if (peers[i])
			siblings_link(s, peers[i]);
	s->applying = false;
	for (unsigned i = 0; i < d->count; i++) {
		struct peer *left = peers[i] ? NULL : follower_of(s, &d->change[i].want);

		if (peers[i] || left)
			speaker_sibling_check(left ? left : peers[i]);
	}
}

void speaker_apply(struct speaker *s, struct peering_diff *d, const struct self *self, struct policies *policies)
{
	struct peer **peers = mem_calloc(d->count, sizeof(struct peer *));
	uint32_t old_router_id = s->common.router_id;
	unsigned was = s->count;

	if (d->everything)
		take_self(s, self);
	s->common.policies = policies;
	s->applying = true;
	if (d->ranges_changed)
		dynamic_apply(s->dynamic, d);
	moved_follow(s, d);
	for (unsigned i = 0; i < d->count; i++)
		peers[i] = apply_change(s, &d->change[i], old_router_id);
	if (d->ranges_changed)
		dynamic_settle(s);
	apply_siblings(s, d, peers);
	if (s->count != was || d->ranges_changed)
		log_problems(s);
	if (d->count || d->everything || d->ranges_changed)
		recheck(s);
	free(peers);
	peering_diff_free(d);
}

void speaker_policies_changed(struct speaker *s)
{
	for (unsigned i = 0; i < s->count; i++) {
		struct rib_peer_conf conf = peer_rib_conf(s->peers[i], &s->common);
		rib_peer_configure(s->peers[i]->rib, &conf);
	}
}

struct peer *speaker_add(struct speaker *s, struct peer_want *w, struct range *r)
{
	struct peer *p = peer_new(s, w, r);

	insert(s, p);
	return p;
}

void speaker_remove(struct peer *p, uint8_t cease)
{
	struct speaker *s = p->speaker;

	log_debug("bgp", "%s: ended", p->want.name);
	take_out(s, p);
	peer_free(p, cease);
	recheck(s);
}

void speaker_refresh(struct peer *p)
{
	/* Not one that is just being made: it will be told where it is. */
	if (p->session)
		peer_configure(p);
}

struct link_peers *speaker_links(const struct speaker *s)
{
	return s->links;
}

struct dynamic *speaker_dynamic(const struct speaker *s)
{
	return s->dynamic;
}

struct peer *speaker_peer(const struct speaker *s, unsigned index)
{
	return index < s->count ? s->peers[index] : NULL;
}

unsigned speaker_count(const struct speaker *s)
{
	return s->count;
}

struct peer *speaker_find(const struct speaker *s, const char *name)
{
	struct addr a;
	bool by_address = addr_parse(&a, name);
	char text[ADDR_STRLEN];

	for (unsigned i = 0; i < s->count; i++) {
		const struct peer *p = s->peers[i];
		struct addr remote = link_remote(p), plain = addr_on_link(&remote, 0);

		if (strcmp(p->want.name, name) == 0 || (by_address && addr_equal(&plain, &a)) ||
		    (p->link && strcmp(addr_format(&remote, text), name) == 0))
			return s->peers[i];
	}
	return NULL;
}

void speaker_reset(struct peer *p)
{
	if (p->limit.down) {
		prefix_limit_lift(p);
		peer_configure(p);
		return;
	}
	bgp_session_reset(p->session, BGP_ERR_CEASE, BGP_CEASE_RESET, "reset by an operator");
}

/* ---- Our own restart ---- */

static struct restart_peers restart_peers(const struct speaker *s)
{
	struct dynamic_view v;

	return (struct restart_peers){.peers = s->peers, .count = s->count, .ranges = dynamic_view(s->dynamic, 0, &v)};
}

static void on_recheck(void *arg)
{
	struct speaker *s = arg;
	struct restart_peers peers = restart_peers(s);

	restart_check(s->restart, &peers);
}

/* Looked at once a turn, not at each event: a reflector's clients come by the thousand. */
static void recheck(void *arg)
{
	struct speaker *s = arg;

	if (restart_is_over(s->restart) || loop_timer_is_set(&s->recheck_timer))
		return;
	loop_timer_set(s->d->loop, &s->recheck_timer, 0, on_recheck, s);
}

void speaker_recheck(struct peer *changed)
{
	speaker_sibling_check(changed);
	recheck(changed->speaker);
}

void speaker_came_up(struct peer *p)
{
	restart_session_up(p->speaker->restart);
}

void speaker_instance_came(struct speaker *s, struct instance *i)
{
	restart_instance_came(s->restart, i);
}

void speaker_datastore_synced(struct speaker *s)
{
	restart_datastore_synced(s->restart);
	recheck(s);
}

struct restart_status speaker_restart(const struct speaker *s)
{
	struct restart_peers peers = restart_peers(s);

	return restart_status(s->restart, &peers);
}

struct daemon *peer_daemon(const struct peer *p)
{
	return p->speaker->d;
}

const struct peer_common *peer_common(const struct peer *p)
{
	return &p->speaker->common;
}

struct loop *peer_loop(const struct peer *p)
{
	return p->speaker->d->loop;
}

struct speaker *speaker_new(struct daemon *d)
{
	struct speaker *s = mem_calloc(1, sizeof *s);

	s->d = d;
	s->common.d = d;
	s->common.held_text = mem_strdup("the IPv4 session carries both families");
	s->restart = restart_new(d, recheck, s);
	s->dynamic = dynamic_new(d, s);
	s->links = link_peers_new(d);
	bgp_engine_set_hostname(d->engine, d->config.node_name);
	return s;
}

void speaker_free(struct speaker *s, bool graceful)
{
	loop_timer_stop(s->d->loop, &s->recheck_timer);
	for (unsigned i = 0; i < s->count; i++)
		peer_free(s->peers[i], graceful ? 0 : BGP_CEASE_SHUTDOWN);
	free(s->peers);
	dynamic_free(s->dynamic);
	link_peers_free(s->links);
	strbuf_free(&s->problems);
	restart_free(s->restart);
	free(s->common.held_text);
	free(s);
}
