#include "daemon/cluster/wireguard.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/base/mem.h"
#include "daemon/cluster/self.h"

/* Felix's names. */
static const char *const devices[FAM_COUNT] = {[FAM_IPV4] = "wireguard.cali", [FAM_IPV6] = "wg-v6.cali"};

/* Nodes with this address and a key: two, for a moment, where one takes the place of the other. */
struct peer {
	struct addr addr;
	unsigned nodes;
};

struct wireguard {
	struct daemon *d;
	bool on[FAM_COUNT], dirty[FAM_COUNT];
	struct htab peers; /* of struct peer: of the families that are on */
	struct loop_work work;
};

static uint32_t addr_hash(const struct addr *a)
{
	return (uint32_t)hash_bytes(a, sizeof *a);
}

static bool peer_eq(const void *item, const void *key)
{
	return addr_equal(&((const struct peer *)item)->addr, key);
}

static bool runs(const struct obj_node *n, enum family f)
{
	return n && n->wireguard_key[f] && *n->wireguard_key[f];
}

/* The address of the family by which BGP's routes lead to the node, if packets to it are encrypted; NULL otherwise. */
static const struct addr *peer_address(const struct wireguard *w, const struct object *o, enum family f)
{
	const struct obj_node *n = o && o->kind == OBJ_NODE ? object_node(o) : NULL;
	const struct addr *a = n && f == FAM_IPV4 ? &n->ipv4.addr : n ? &n->ipv6.addr : NULL;

	return runs(n, f) && !addr_is_none(a) && strcmp(o->name, w->d->config.node_name) != 0 ? a : NULL;
}

static void mark_dirty(struct wireguard *w, enum family f)
{
	w->dirty[f] = true;
	loop_work_schedule(w->d->loop, &w->work);
}

static void add(struct wireguard *w, const struct addr *a)
{
	struct peer *p = htab_find(&w->peers, addr_hash(a), peer_eq, a);

	if (!p) {
		p = mem_calloc(1, sizeof *p);
		p->addr = *a;
		htab_insert(&w->peers, addr_hash(a), p);
		mark_dirty(w, family_of_af(a->af));
	}
	p->nodes++;
}

static void drop(struct wireguard *w, const struct addr *a)
{
	struct peer *p = htab_find(&w->peers, addr_hash(a), peer_eq, a);

	if (!p || --p->nodes)
		return;
	htab_remove(&w->peers, addr_hash(a), p);
	free(p);
	mark_dirty(w, family_of_af(a->af));
}

void wireguard_on_change(struct wireguard *w, const struct object *before, const struct object *after)
{
	for (int f = 0; f < FAM_COUNT; f++) {
		const struct addr *was = w->on[f] ? peer_address(w, before, (enum family)f) : NULL;
		const struct addr *is = w->on[f] ? peer_address(w, after, (enum family)f) : NULL;

		if (is)
			add(w, is);
		if (was)
			drop(w, was);
	}
}

/* All other nodes of the family come in, or go. */
static void change_all(struct wireguard *w, enum family f, void (*change)(struct wireguard *w, const struct addr *a))
{
	const struct object *o;
	unsigned pos = 0;

	while ((o = store_next(w->d->store, OBJ_NODE, &pos))) {
		const struct addr *a = peer_address(w, o, f);
		if (a)
			change(w, a);
	}
}

void wireguard_apply(struct wireguard *w, const struct self *self)
{
	for (int f = 0; f < FAM_COUNT; f++) {
		if (runs(self->node, (enum family)f) == w->on[f])
			continue;
		w->on[f] = !w->on[f];
		change_all(w, (enum family)f, w->on[f] ? add : drop);
	}
}

bool wireguard_takes(const struct wireguard *w, const struct addr *next_hop)
{
	return w->peers.count && htab_find(&w->peers, addr_hash(next_hop), peer_eq, next_hop);
}

static bool on_work(void *arg, uint64_t deadline)
{
	static const struct prefix all[FAM_COUNT] = {{.addr.af = AF_INET}, {.addr.af = AF_INET6}};
	struct wireguard *w = arg;

	(void)deadline;
	for (int f = 0; f < FAM_COUNT; f++) {
		if (w->dirty[f])
			rib_reselect(w->d->rib, &all[f]);
		w->dirty[f] = false;
	}
	return false;
}

void wireguard_problems(const struct wireguard *w, struct strbuf *out)
{
	struct fib_link l;

	for (int f = 0; f < FAM_COUNT; f++)
		if (w->on[f] && !fib_link_find(w->d->fib, devices[f], &l))
			strbuf_printf(out,
				      "Node %s has a WireGuard key for %s, and %s is missing: routes to other nodes "
				      "with such a key are left to Felix, which is to make it\n",
				      w->d->config.node_name, family_name((enum family)f), devices[f]);
}

struct wireguard *wireguard_new(struct daemon *d)
{
	struct wireguard *w = mem_calloc(1, sizeof *w);

	w->d = d;
	w->work = (struct loop_work){.run = on_work, .arg = w, .rank = LOOP_RANK_CLUSTER};
	return w;
}

void wireguard_free(struct wireguard *w)
{
	uint32_t pos = 0;

	loop_work_cancel(w->d->loop, &w->work);
	for (struct peer *p; (p = htab_next(&w->peers, &pos));)
		free(p);
	htab_clear(&w->peers);
	free(w);
}
