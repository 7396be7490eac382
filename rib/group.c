/* The group key table is the single source of what makes peers differ: hash and comparison share its rows, so they
 * cannot drift; tests/unit/rib/test_groups.c walks it. */
#include "rib/group.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "rib/core.h"
#include "rib/encode.h"

/* ---- The key ---- */

static bool bytes_equal(const void *a, const void *b, size_t size)
{
	return memcmp(a, b, size) == 0;
}

static uint32_t bytes_hash(const void *a, size_t size)
{
	return (uint32_t)hash_bytes(a, size);
}

static bool policies_equal(const void *a, const void *b, size_t size)
{
	(void)size;
	return policy_equal(*(struct policy *const *)a, *(struct policy *const *)b);
}

static uint32_t policies_hash(const void *a, size_t size)
{
	(void)size;
	return policy_hash(*(struct policy *const *)a);
}

#define ROW(field, eq, hash)                                                                        \
	{                                                                                           \
		offsetof(struct group_key, field), sizeof(((struct group_key *)0)->field), eq, hash \
	}
#define PLAIN(field) ROW(field, bytes_equal, bytes_hash)
static const struct key_row {
	size_t at, size;
	bool (*equal)(const void *a, const void *b, size_t size);
	uint32_t (*hash)(const void *a, size_t size);
} key_rows[] = {
    PLAIN(local_as),
    PLAIN(cluster_id),
    PLAIN(max_message),
    PLAIN(next_hop_mode),
    PLAIN(prepend),
    PLAIN(graceful_shutdown),
    PLAIN(llgr),
    PLAIN(ebgp),
    PLAIN(rr_client),
    PLAIN(as4),
    PLAIN(families),
    PLAIN(add_path_tx),
    PLAIN(add_path_limit),
    PLAIN(ext_next_hop),
    PLAIN(self), /* addresses have no padding and zeroed unused bytes */
    ROW(export, policies_equal, policies_hash),
};
#define KEY_ROWS (sizeof key_rows / sizeof *key_rows)

static bool key_equal(const struct group_key *a, const struct group_key *b)
{
	for (unsigned i = 0; i < KEY_ROWS; i++) {
		const struct key_row *row = &key_rows[i];

		if (!row->equal((const char *)a + row->at, (const char *)b + row->at, row->size))
			return false;
	}
	return true;
}

static uint32_t key_hash(const struct group_key *k)
{
	uint32_t h = 0;

	for (unsigned i = 0; i < KEY_ROWS; i++)
		h = h * 31 + key_rows[i].hash((const char *)k + key_rows[i].at, key_rows[i].size);
	return h;
}

/* The key of a peer that is up. The policy is borrowed. */
static struct group_key peer_key(const struct rib_peer *p)
{
	struct group_key k = {
	    .local_as = p->conf.local_as,
	    .cluster_id = p->conf.cluster_id,
	    .max_message = p->codec.max_message ? p->codec.max_message : BGP_MAX_MESSAGE,
	    .next_hop_mode = (uint8_t)p->conf.next_hop_mode,
	    .prepend = (uint8_t)(p->conf.prepend < UINT8_MAX ? p->conf.prepend : UINT8_MAX),
	    .graceful_shutdown = p->conf.graceful_shutdown,
	    .llgr = p->codec.llgr,
	    .ebgp = p->conf.ebgp,
	    .rr_client = p->conf.rr_client,
	    .as4 = p->codec.as4,
	    .families = p->codec.families,
	    .add_path_tx = p->codec.add_path_tx,
	    .add_path_limit = p->codec.add_path_tx ? p->conf.add_path_limit : 0,
	    .ext_next_hop = p->codec.ext_next_hop,
	    .export = p->conf.export,
	};

	memcpy(k.self, p->self, sizeof k.self);
	return k;
}

/* ---- Groups ---- */

static struct group *group_find(const struct rib *r, const struct group_key *k, uint32_t hash)
{
	struct group *g;

	LIST_FOREACH(g, &r->groups, link)
	if (g->hash == hash && key_equal(&g->key, k))
		return g;
	return NULL;
}

struct bgp_codec group_key_codec(const struct group_key *k)
{
	return (struct bgp_codec){
	    .ebgp = k->ebgp,
	    .as4 = k->as4,
	    .families = k->families,
	    .add_path_tx = k->add_path_tx,
	    .ext_next_hop = k->ext_next_hop,
	    .max_message = k->max_message,
	};
}

static struct group *group_new(struct rib *r, const struct group_key *k, uint32_t hash)
{
	struct group *g = mem_calloc(1, sizeof *g);

	g->rib = r;
	g->key = *k;
	policy_ref(g->key.export);
	g->hash = hash;
	g->number = ++r->next_group;
	g->codec = group_key_codec(k);
	for (int f = 0; f < FAM_COUNT; f++)
		if (k->families >> f & 1)
			g->stream[f] = stream_new(r, g, (enum family)f);
	LIST_INSERT_HEAD(&r->groups, g, link);
	r->n_groups++;
	return g;
}

void group_hold(struct group *g)
{
	g->members++;
}

void group_drop(struct group *g)
{
	if (--g->members)
		return;
	LIST_REMOVE(g, link);
	g->rib->n_groups--;
	for (int f = 0; f < FAM_COUNT; f++)
		if (g->stream[f])
			stream_retire(g->stream[f]);
	policy_unref(g->key.export);
	free(g);
}

/* The group of the key, for a new member. */
static struct group *group_get(struct rib *r, const struct group_key *k)
{
	uint32_t hash = key_hash(k);
	struct group *g = group_find(r, k, hash);

	if (!g)
		g = group_new(r, k, hash);
	group_hold(g);
	/* What was encoded before lacks the withdrawals that are for this member only; with a shared chunk of an old
	 * walk it may come to read such a stretch of the log. */
	for (int f = 0; f < FAM_COUNT; f++)
		if (g->stream[f])
			chunks_forget_kind(g->stream[f], CHUNK_LOG);
	return g;
}

unsigned group_number(const struct group *g)
{
	return g->number;
}

/* ---- Membership ---- */

void group_join(struct rib_peer *p)
{
	struct group_key k = peer_key(p);

	p->group = group_get(p->rib, &k);
	for (int f = 0; f < FAM_COUNT; f++)
		if (p->group->stream[f])
			cursor_start(p, (enum family)f, p->group->stream[f]);
}

void group_leave(struct rib_peer *p)
{
	struct group *g = p->group;

	for (int f = 0; f < FAM_COUNT; f++)
		cursor_stop(p, (enum family)f);
	p->group = NULL;
	p->regroup = false;
	group_drop(g);
}

void group_rejoin(struct rib_peer *p)
{
	struct group *old = p->group;
	struct group_key k = peer_key(p);

	/* One move at a time: what the peer has is known against one stream only. */
	p->regroup = peer_is_moving(p);
	if (p->regroup || key_equal(&old->key, &k))
		return;
	p->group = group_get(p->rib, &k);
	for (int f = 0; f < FAM_COUNT; f++)
		if (p->group->stream[f])
			cursor_move(p, (enum family)f, p->group->stream[f]);
	group_drop(old);
	p->rib->notify = true;
	rib_schedule(p->rib);
}

/* ---- All of them ---- */

void groups_node_decided(struct rib *r, enum family f, uint32_t id, const struct node *n)
{
	struct group *g;

	LIST_FOREACH(g, &r->groups, link)
	if (g->stream[f])
		stream_change(g->stream[f], id, n);
}

void groups_trim(struct rib *r)
{
	struct group *g;

	LIST_FOREACH(g, &r->groups, link)
	for (int f = 0; f < FAM_COUNT; f++)
		if (g->stream[f])
			stream_trim(g->stream[f]);
}

void groups_forget_chunks(struct rib *r)
{
	struct group *g;

	LIST_FOREACH(g, &r->groups, link)
	for (int f = 0; f < FAM_COUNT; f++)
		if (g->stream[f])
			chunks_forget(g->stream[f]);
}

size_t groups_bytes(const struct rib *r)
{
	const struct group *g;
	size_t bytes = 0;

	LIST_FOREACH(g, &r->groups, link)
	for (int f = 0; f < FAM_COUNT; f++)
		if (g->stream[f])
			bytes += stream_bytes(g->stream[f]);
	return bytes;
}
