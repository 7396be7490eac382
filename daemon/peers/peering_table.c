#include "daemon/peers/peering_table.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"

static enum role role_of(const struct object *o)
{
	return o->kind == OBJ_BGP_PEER ? ROLE_PEER : ROLE_OTHER;
}

/* ---- Remotes ---- */

static bool remote_is(const void *item, const void *key)
{
	return peer_key_cmp(&((const struct remote *)item)->key, key) == 0;
}

static struct remote *remote_get(struct peering *p, const struct peer_key *key)
{
	struct remote *r = htab_find(&p->remotes, peer_key_hash(key), remote_is, key);

	if (r)
		return r;
	r = mem_calloc(1, sizeof *r);
	r->key = *key;
	r->key.interface = *key->interface ? mem_strdup(key->interface) : "";
	LIST_INIT(&r->claims);
	if (remote_is_range(r))
		LIST_INSERT_HEAD(&p->ranges, r, range_link);
	htab_insert(&p->remotes, peer_key_hash(key), r);
	return r;
}

void remote_free(struct peering *p, struct remote *r)
{
	if (remote_is_range(r))
		LIST_REMOVE(r, range_link);
	htab_remove(&p->remotes, peer_key_hash(&r->key), r);
	if (*r->key.interface)
		free((char *)(uintptr_t)r->key.interface);
	free(r);
}

static void remote_dirty(struct peering *p, struct remote *r)
{
	if (r->dirty)
		return;
	r->dirty = true;
	TAILQ_INSERT_TAIL(&p->dirty_remotes, r, dirty_link);
	p->dirty_count++;
}

/* ---- Sources ---- */

static uint32_t source_hash(const struct object *o)
{
	return hash_str(o->name) + 31 * hash_str(o->namespace) + 1009 * (uint32_t)o->kind;
}

static bool source_is(const void *item, const void *key)
{
	const struct object *a = ((const struct source *)item)->o, *b = key;

	return a->kind == b->kind && strcmp(a->name, b->name) == 0 && strcmp(a->namespace, b->namespace) == 0;
}

struct source *source_find(const struct peering *p, const struct object *o)
{
	return htab_find(&p->sources, source_hash(o), source_is, o);
}

struct source *source_get(struct peering *p, const struct object *o)
{
	struct source *s = source_find(p, o);

	if (s)
		return s;
	s = mem_calloc(1, sizeof *s);
	s->o = o;
	LIST_INIT(&s->claims);
	htab_insert(&p->sources, source_hash(o), s);
	return s;
}

void source_dirty(struct peering *p, struct source *s)
{
	enum role role = role_of(s->o);

	if (s->dirty)
		return;
	s->dirty = true;
	p->dirty_others += role == ROLE_OTHER;
	TAILQ_INSERT_TAIL(&p->dirty[role], s, dirty_link);
}

void source_clean(struct peering *p, struct source *s)
{
	enum role role = role_of(s->o);

	if (!s->dirty)
		return;
	s->dirty = false;
	p->dirty_others -= role == ROLE_OTHER;
	TAILQ_REMOVE(&p->dirty[role], s, dirty_link);
}

/* Of what asks and watches nothing is kept. */
void source_release(struct peering *p, struct source *s)
{
	if (s->dirty || s->watching || s->by_address || s->by_node || !LIST_EMPTY(&s->claims))
		return;
	htab_remove(&p->sources, source_hash(s->o), s);
	free(s);
}

/* ---- Claims ---- */

static void claim_link(struct source *s, struct claim *c, enum role role)
{
	LIST_INSERT_HEAD(&s->claims, c, of_source[role]);
}

static void claim_order(struct peering *p, struct remote *r, struct claim *c)
{
	struct claim *before = NULL, *next;

	LIST_FOREACH(next, &r->claims, of_remote)
	{
		if (ask_cmp(&next->ask, &c->ask) > 0)
			break;
		before = next;
	}
	if (before) {
		LIST_INSERT_AFTER(before, c, of_remote);
		return;
	}
	LIST_INSERT_HEAD(&r->claims, c, of_remote);
	remote_dirty(p, r);
}

void claim_add(struct peering *p, enum ask_tier tier, const struct obj_bgp_peer *peer, const struct object *other,
	       unsigned index)
{
	struct peering_view v = peering_view_of(p);
	struct ask ask = {.tier = tier, .peer = peer, .other = other, .index = index};
	struct peer_want w;
	struct peer_key key;
	struct claim *c;

	if (!ask_want(&v, &ask, &w))
		return;
	key = peer_key_of(&w);
	c = mem_calloc(1, sizeof *c);
	c->ask = ask;
	c->remote = remote_get(p, &key);
	claim_order(p, c->remote, c);
	if (peer)
		claim_link(source_get(p, &peer->o), c, ROLE_PEER);
	if (other)
		claim_link(source_get(p, other), c, ROLE_OTHER);
}

/* And what it leaves in the other of its two sources. */
static void claim_drop(struct peering *p, struct claim *c, enum role from)
{
	const struct object *other = from == ROLE_OTHER ? (c->ask.peer ? &c->ask.peer->o : NULL) : c->ask.other;

	if (LIST_FIRST(&c->remote->claims) == c)
		remote_dirty(p, c->remote);
	LIST_REMOVE(c, of_remote);
	if (c->ask.peer)
		LIST_REMOVE(c, of_source[ROLE_PEER]);
	if (c->ask.other)
		LIST_REMOVE(c, of_source[ROLE_OTHER]);
	free(c);
	if (other)
		source_release(p, source_find(p, other));
}

void source_claims_drop(struct peering *p, struct source *s)
{
	enum role role = role_of(s->o);
	struct claim *c;

	while ((c = LIST_FIRST(&s->claims)))
		claim_drop(p, c, role);
}

/* ---- What BGPPeers look at ---- */

uint32_t peering_addr_hash(const struct addr *a)
{
	return (uint32_t)hash_bytes(a, sizeof *a);
}

void source_watch(struct peering *p, struct source *s, enum watch what)
{
	s->watching |= (uint8_t)(1u << what);
	LIST_INSERT_HEAD(&p->watchers[what], s, watch[what]);
}

void source_watch_address(struct peering *p, struct source *s)
{
	s->by_address = true;
	htab_insert(&p->by_address, peering_addr_hash(&bgp_peer(s)->peer_ip), s);
}

void source_watch_node(struct peering *p, struct source *s)
{
	s->by_node = true;
	htab_insert(&p->by_node, hash_str(bgp_peer(s)->node), s);
}

void source_unwatch(struct peering *p, struct source *s)
{
	for (int w = 0; w < WATCH_COUNT; w++)
		if (s->watching >> w & 1)
			LIST_REMOVE(s, watch[w]);
	if (s->by_address)
		htab_remove(&p->by_address, peering_addr_hash(&bgp_peer(s)->peer_ip), s);
	if (s->by_node)
		htab_remove(&p->by_node, hash_str(bgp_peer(s)->node), s);
	s->watching = 0;
	s->by_address = s->by_node = false;
}

void source_forget(struct peering *p, struct source *s)
{
	source_claims_drop(p, s);
	source_unwatch(p, s);
	source_clean(p, s);
	source_release(p, s);
}
