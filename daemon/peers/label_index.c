#include "daemon/peers/label_index.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"

struct place {
	struct label_index *x;
	const struct obj_bgp_peer *peer;
};

static bool is_key(const void *item, const void *key)
{
	return strcmp(((const struct label_peers *)item)->key, key) == 0;
}

static struct label_peers *find(const struct label_index *x, const char *key)
{
	return htab_find(&x->by_key, hash_str(key), is_key, key);
}

const struct label_peers *label_index_find(const struct label_index *x, const char *key)
{
	return find(x, key);
}

static void add(void *arg, const char *key)
{
	const struct place *at = arg;
	struct label_peers *l = find(at->x, key);

	if (!l) {
		l = mem_calloc(1, sizeof *l);
		l->key = mem_strdup(key);
		l->hash = hash_str(key);
		htab_insert(&at->x->by_key, l->hash, l);
	}
	/* A label that it asks about twice. */
	if (l->count && l->peers[l->count - 1] == at->peer)
		return;
	if ((l->count & (l->count - 1)) == 0)
		l->peers = mem_realloc(l->peers, (l->count ? l->count * 2 : 1) * sizeof *l->peers);
	l->peers[l->count++] = at->peer;
}

static void drop(struct label_peers *l)
{
	free(l->key);
	free(l->peers);
	free(l);
}

static void take_out(void *arg, const char *key)
{
	const struct place *at = arg;
	struct label_peers *l = find(at->x, key);
	unsigned i = l ? l->count : 0;

	/* From the end: what changed last changes again. */
	while (i && l->peers[i - 1] != at->peer)
		i--;
	if (!i)
		return; /* asked about twice */
	l->peers[i - 1] = l->peers[--l->count];
	if (l->count)
		return;
	htab_remove(&at->x->by_key, l->hash, l);
	drop(l);
}

static void each_label(struct label_index *x, const struct obj_bgp_peer *p, void (*what)(void *arg, const char *key))
{
	struct place at = {.x = x, .peer = p};

	selector_labels(p->node_sel, what, &at);
	selector_labels(p->peer_sel, what, &at);
}

void label_index_add(struct label_index *x, const struct obj_bgp_peer *p)
{
	each_label(x, p, add);
}

void label_index_remove(struct label_index *x, const struct obj_bgp_peer *p)
{
	each_label(x, p, take_out);
}

void label_index_clear(struct label_index *x)
{
	struct label_peers *l;

	for (uint32_t pos = 0; (l = htab_next(&x->by_key, &pos));)
		drop(l);
	htab_clear(&x->by_key);
}
