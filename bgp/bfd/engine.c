/* The engine: sockets that receive, the tables packets are looked up in, and what sessions share. */
#include <bsd/stdlib.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bgp/bfd/internal.h"
#include "daemon/base/mem.h"

/* Batches read at a stretch: 1,024 packets, a few milliseconds. The loop comes back for more. */
#define READ_BATCHES 16
/* At the very end AdminDown is repeated so often at most. */
#define FAREWELLS 2

/* The tables. A discriminator is its own hash: we drew it at random, and who sends others finds nothing. */

struct remote_key {
	struct addr remote;
	const struct bfd_listener *listener;
};

static uint32_t hash_remote(const struct addr *remote, const struct bfd_listener *l)
{
	struct remote_key key;

	memset(&key, 0, sizeof key);
	key.remote = *remote;
	key.listener = l;
	return (uint32_t)hash_bytes(&key, sizeof key);
}

void bfd_engine_add(struct bfd_session *s)
{
	struct bfd_engine *e = s->engine;

	LIST_INSERT_HEAD(&e->sessions, s, entry);
	htab_insert(&e->by_discr, s->discr, s);
	htab_insert(&e->by_remote, hash_remote(&s->conf.remote, s->listener), s);
	e->stats.sessions++;
}

void bfd_engine_remove(struct bfd_session *s)
{
	struct bfd_engine *e = s->engine;

	LIST_REMOVE(s, entry);
	htab_remove(&e->by_discr, s->discr, s);
	htab_remove(&e->by_remote, hash_remote(&s->conf.remote, s->listener), s);
	e->stats.sessions--;
}

static bool has_conf(const void *item, const void *key)
{
	const struct bfd_session *s = item;

	return bfd_session_conf_is_same(&s->conf, key);
}

struct bfd_session *bfd_session_find(struct bfd_engine *e, const struct bfd_session_conf *conf)
{
	return htab_find(&e->by_remote, hash_remote(&conf->remote, bfd_listener_of(e, conf)), has_conf, conf);
}

static bool has_discr(const void *item, const void *key)
{
	const struct bfd_session *s = item;
	const uint32_t *discr = key;

	return s->discr == *discr;
}

/* Who is asked for: how much of the interface and own address a session has configured is part of the question, so that
 * the most specific one is found first. */
struct caller {
	const struct bfd_listener *listener;
	const struct bfd_datagram *datagram;
	bool by_interface, by_local;
};

static bool is_called(const void *item, const void *key)
{
	const struct bfd_session *s = item;
	const struct caller *c = key;
	const struct bfd_datagram *d = c->datagram;

	return s->listener == c->listener && addr_equal(&s->conf.remote, &d->from) &&
	       (c->by_interface ? s->ifindex && s->ifindex == d->ifindex : !s->conf.ifname[0]) &&
	       (c->by_local ? addr_equal(&s->conf.local, &d->to) : addr_is_none(&s->conf.local));
}

static struct bfd_session *find_by_source(const struct bfd_listener *l, const struct bfd_datagram *d)
{
	uint32_t hash = hash_remote(&d->from, l);
	struct bfd_session *s = NULL;

	for (int specific = 3; specific >= 0 && !s; specific--) {
		struct caller c = {l, d, specific & 2, specific & 1};
		s = htab_find(&l->engine->by_remote, hash, is_called, &c);
	}
	return s;
}

/* RFC 5880 6.3: by Your Discriminator alone once the remote knows it. But a packet that came to the port of several
 * hops is not for a session of one: its TTL is not what that relies on. */
static struct bfd_session *find_session(const struct bfd_listener *l, const struct bfd_datagram *d,
					const struct bfd_packet *p)
{
	struct bfd_session *s;

	if (!p->your_discr)
		return find_by_source(l, d);
	s = htab_find(&l->engine->by_discr, p->your_discr, has_discr, &p->your_discr);
	return s && s->listener == l ? s : NULL;
}

/* Receiving */

static void log_discard(struct bfd_engine *e, const struct bfd_datagram *d, enum bfd_discard why)
{
	char from[ADDR_STRLEN], to[ADDR_STRLEN];
	uint32_t more;

	if (log_allowed(&e->discard_log, 5, 60 * MONO_SEC, &more))
		log_warn(LOG_BFD, "packet from %s to %s discarded: %s (%u more not shown)", addr_format(&d->from, from),
			 addr_format(&d->to, to), bfd_discard_text(why), more);
}

static void handle(struct bfd_listener *l, const struct bfd_datagram *d)
{
	struct bfd_engine *e = l->engine;
	struct bfd_arrival a = {.ttl = d->ttl, .min_ttl = BFD_TTL, .ifindex = d->ifindex};
	enum bfd_discard why = bfd_decode(d->data, &a);
	struct bfd_session *s = NULL;

	if (why == BFD_ACCEPTED) {
		s = find_session(l, d, &a.packet);
		a.found = s;
		if (l->multihop)
			a.min_ttl = s ? s->conf.min_ttl : 0;
		a.bound = s && s->conf.ifname[0];
		a.session_ifindex = s ? s->ifindex : 0;
		why = bfd_admit(&a);
	}
	e->stats.packets_in++;
	e->stats.discarded[why]++;
	if (why == BFD_ACCEPTED) {
		bfd_session_receive(s, &a.packet);
		return;
	}
	if (s)
		s->packets_discarded++;
	log_discard(e, d, why);
}

static void note_overflows(struct bfd_listener *l, const struct bfd_datagram *d)
{
	if (!d->has_overflows)
		return;
	l->engine->stats.overflows += d->overflows - l->overflows;
	l->overflows = d->overflows;
}

bool bfd_listener_drain(struct bfd_listener *l)
{
	struct bfd_batch *b = l->engine->batch;

	/* A callback may close it. */
	for (int i = 0; i < READ_BATCHES && l->fd >= 0; i++) {
		uint64_t at = mono_now();
		unsigned n = bfd_batch_receive(b, l->fd);

		for (unsigned k = 0; k < n; k++) {
			struct bfd_datagram d = bfd_batch_get(b, k);
			note_overflows(l, &d);
			handle(l, &d);
		}
		if (n < BFD_BATCH) {
			l->drained_at = at;
			return true;
		}
	}
	return l->fd < 0;
}

static void on_readable(void *arg, int events)
{
	(void)events;
	bfd_listener_drain(arg);
}

/* Listening */

struct bfd_listener *bfd_listener_of(struct bfd_engine *e, const struct bfd_session_conf *conf)
{
	return &e->listener[conf->multihop][family_of_af(conf->remote.af)];
}

static void listener_close(struct bfd_listener *l)
{
	if (l->fd < 0)
		return;
	loop_io_stop(l->engine->loop, &l->io);
	bfd_socket_close(l->fd);
	l->fd = -1;
}

bool bfd_listener_ready(struct bfd_listener *l)
{
	uint64_t now;
	uint16_t port = l->multihop ? BFD_PORT_MULTIHOP : BFD_PORT;
	char at[ADDR_STRLEN];
	const char *what;

	if (l->fd >= 0)
		return true;
	now = mono_now();
	if (now < l->retry_at)
		return false;
	l->fd = bfd_socket_listen(&l->addr, port, &what);
	if (l->fd < 0) {
		snprintf(l->error, sizeof l->error, "cannot listen on UDP %s port %u: %s: %s",
			 addr_format(&l->addr, at), port, what, strerror(errno));
		l->retry_at = now + BFD_RETRY;
		return false;
	}
	if (!l->engine->batch)
		l->engine->batch = bfd_batch_new();
	l->error[0] = '\0';
	l->overflows = 0;
	l->drained_at = 0;
	loop_io_set(l->engine->loop, &l->io, l->fd, LOOP_READ, on_readable, l);
	return true;
}

void bfd_listener_use(struct bfd_listener *l)
{
	if (!l->users++)
		l->retry_at = 0;
}

void bfd_listener_unuse(struct bfd_listener *l)
{
	if (!--l->users)
		listener_close(l);
}

void bfd_engine_listen(struct bfd_engine *e, enum family f, const struct addr *a)
{
	struct addr want = addr_is_none(a) ? (struct addr){.af = family_af(f)} : *a;

	for (int multihop = 0; multihop < 2; multihop++) {
		struct bfd_listener *l = &e->listener[multihop][f];

		if (addr_equal(&l->addr, &want))
			continue;
		l->addr = want;
		l->retry_at = 0;
		listener_close(l);
		/* The sessions' timers would open it too, but packets arrive meanwhile. */
		if (l->users)
			bfd_listener_ready(l);
	}
}

/* What sessions share */

uint32_t bfd_engine_random(struct bfd_engine *e, uint32_t n)
{
	/* xorshift64* */
	e->random ^= e->random >> 12;
	e->random ^= e->random << 25;
	e->random ^= e->random >> 27;
	return (uint32_t)(((e->random * 2685821657736338717ull) >> 32) * n >> 32);
}

uint32_t bfd_engine_new_discr(struct bfd_engine *e)
{
	uint32_t discr;

	do
		discr = arc4random();
	while (!discr || htab_find(&e->by_discr, discr, has_discr, &discr));
	return discr;
}

uint16_t bfd_engine_port_take(struct bfd_engine *e)
{
	uint16_t at = e->next_port;

	for (unsigned i = 0; i < BFD_SOURCE_PORTS; i++) {
		if (!(e->ports[at / 8] >> at % 8 & 1))
			break;
		at = (uint16_t)((at + 1) % BFD_SOURCE_PORTS);
	}
	e->ports[at / 8] |= (uint8_t)(1 << at % 8);
	e->next_port = (uint16_t)((at + 1) % BFD_SOURCE_PORTS);
	return (uint16_t)(BFD_SOURCE_PORT + at);
}

void bfd_engine_port_put(struct bfd_engine *e, uint16_t port)
{
	unsigned at = port - BFD_SOURCE_PORT;

	e->ports[at / 8] &= (uint8_t) ~(1 << at % 8);
}

/* Life */

static void free_all(struct bfd_session_list *list)
{
	struct bfd_session *s;

	while ((s = LIST_FIRST(list))) {
		LIST_REMOVE(s, entry);
		free(s);
	}
}

static bool bury(void *arg, uint64_t deadline)
{
	struct bfd_engine *e = arg;

	(void)deadline;
	free_all(&e->dead);
	return false;
}

void bfd_engine_bury(struct bfd_session *s)
{
	s->dead = true;
	LIST_INSERT_HEAD(&s->engine->dead, s, entry);
	loop_work_schedule(s->engine->loop, &s->engine->bury);
}

struct bfd_engine *bfd_engine_new(struct loop *loop, const struct bfd_ops *ops)
{
	struct bfd_engine *e = mem_calloc(1, sizeof *e);

	e->loop = loop;
	e->ops = ops;
	e->random = (uint64_t)arc4random() << 32 | arc4random() | 1;
	e->next_port = (uint16_t)(arc4random() % BFD_SOURCE_PORTS);
	e->bury = (struct loop_work){.run = bury, .arg = e, .rank = LOOP_RANK_SEND};
	for (int multihop = 0; multihop < 2; multihop++)
		for (int f = 0; f < FAM_COUNT; f++)
			e->listener[multihop][f] = (struct bfd_listener){
			    .engine = e, .addr = {.af = family_af((enum family)f)}, .multihop = multihop, .fd = -1};
	return e;
}

void bfd_engine_free(struct bfd_engine *e)
{
	struct bfd_session *s;

	if (!e)
		return;
	while ((s = LIST_FIRST(&e->leaving))) {
		/* There is no time to keep the pace, and one packet alone may be lost. */
		for (int i = 0; i < FAREWELLS && s->repeats; i++, s->repeats--)
			bfd_session_send(s, false);
		bfd_session_left(s);
	}
	loop_work_cancel(e->loop, &e->bury);
	free_all(&e->dead);
	htab_clear(&e->by_discr);
	htab_clear(&e->by_remote);
	bfd_batch_free(e->batch);
	free(e);
}

struct bfd_session *bfd_engine_next(struct bfd_engine *e, struct bfd_session *s)
{
	return s ? LIST_NEXT(s, entry) : LIST_FIRST(&e->sessions);
}

const struct bfd_stats *bfd_engine_stats(const struct bfd_engine *e)
{
	return &e->stats;
}
