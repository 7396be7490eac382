/* What is wanted otherwise than it was, and looks at the table. */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/peers/peering_table.h"
#include "datastore/secrets.h"

/* ---- The diff ---- */

static struct peer_want want_of(const struct peering *p, const struct remote *r)
{
	struct peering_view v = peering_view_of(p);
	const struct claim *first = LIST_FIRST(&r->claims);
	struct peer_want w;

	if (first && ask_want(&v, &first->ask, &w)) {
		ask_texts(&v, &first->ask, &w);
		return w;
	}
	w = (struct peer_want){.remote = r->key.remote,
			       .remote_port = r->key.remote_port,
			       .interface = *r->key.interface ? mem_strdup(r->key.interface) : NULL};
	memcpy(w.opt.vrf, r->key.vrf, sizeof w.opt.vrf);
	return w;
}

static void settle(struct peering *p, struct remote *r, struct peering_diff *d)
{
	const struct claim *first = LIST_FIRST(&r->claims);
	bool workload = first && first->ask.other && first->ask.other->kind == OBJ_WORKLOAD_ENDPOINT;

	TAILQ_REMOVE(&p->dirty_remotes, r, dirty_link);
	p->dirty_count--;
	r->dirty = false;
	p->workloads += (unsigned)workload - (unsigned)r->workload;
	r->workload = workload;
	if (remote_is_range(r))
		d->ranges_changed = true;
	else
		d->change[d->count++] = (struct peer_change){.want = want_of(p, r), .wanted = first};
	if (!first)
		remote_free(p, r);
}

static int change_cmp(const void *a, const void *b)
{
	const struct peer_change *x = a, *y = b;

	return peer_want_cmp(&x->want, &y->want);
}

static int range_cmp(const void *a, const void *b)
{
	return peer_want_cmp(a, b);
}

static void list_ranges(const struct peering *p, struct peering_diff *d)
{
	const struct remote *r;

	LIST_FOREACH(r, &p->ranges, range_link)
	d->range_count++;
	d->range = mem_calloc(d->range_count, sizeof *d->range);
	d->range_count = 0;
	LIST_FOREACH(r, &p->ranges, range_link)
	d->range[d->range_count++] = want_of(p, r);
	if (d->range_count)
		qsort(d->range, d->range_count, sizeof *d->range, range_cmp);
}

struct peering_diff peering_settle(struct peering *p)
{
	struct peering_diff d = {.everything = p->everything, .ranges_changed = p->everything};
	struct remote *r;

	peering_ask_anew(p);
	p->everything = false;
	d.change = mem_calloc(p->dirty_count, sizeof *d.change);
	while ((r = TAILQ_FIRST(&p->dirty_remotes)))
		settle(p, r, &d);
	if (d.count)
		qsort(d.change, d.count, sizeof *d.change, change_cmp);
	if (d.ranges_changed)
		list_ranges(p, &d);
	return d;
}

void peering_diff_free(struct peering_diff *d)
{
	for (unsigned i = 0; i < d->count; i++)
		peer_want_free(&d->change[i].want);
	for (unsigned i = 0; i < d->range_count; i++)
		peer_want_free(&d->range[i]);
	free(d->change);
	free(d->range);
	*d = (struct peering_diff){0};
}

/* ---- Looking ---- */

unsigned peering_count(const struct peering *p)
{
	return p->remotes.count;
}

unsigned peering_workload_count(const struct peering *p)
{
	return p->workloads;
}

struct gateway {
	const struct addr *remote;
	const char *vrf;
	const struct remote *of;
	struct addr by;
};

static bool look_for_gateway(const void *item, const void *key)
{
	struct gateway *g = (struct gateway *)(uintptr_t)key;
	const struct remote *r = item;
	const struct claim *first = LIST_FIRST(&r->claims);
	const struct ask *a = first ? &first->ask : NULL;

	if (a && a->peer && !a->other && a->tier < ASK_REVERSE && addr_equal(&r->key.remote, g->remote) &&
	    strcmp(r->key.vrf, g->vrf) == 0 && !addr_is_none(&a->peer->reachable_by) &&
	    (!g->of || peer_key_cmp(&r->key, &g->of->key) < 0)) {
		g->of = r;
		g->by = a->peer->reachable_by;
	}
	return false;
}

struct addr peering_gateway(const struct peering *p, const struct addr *remote, const char *vrf)
{
	struct peer_key key = {.remote = *remote, .interface = ""};
	struct gateway g = {.remote = remote, .vrf = vrf};

	htab_find(&p->remotes, peer_key_hash(&key), look_for_gateway, &g);
	return g.by;
}

void peering_ask_secrets(const struct peering *p)
{
	const struct source *s;
	uint32_t pos = 0;

	if (p->self.mesh_secret)
		secrets_get(p->self.secrets, p->self.mesh_secret);
	while ((s = htab_next(&p->sources, &pos)))
		if (s->o->kind == OBJ_BGP_PEER && !LIST_EMPTY(&s->claims) && !bgp_peer(s)->password)
			secrets_get(p->self.secrets, &bgp_peer(s)->secret);
}

static void note_lost(const struct ask *a, const struct remote *r, struct strbuf *out)
{
	const struct ask *first = &LIST_FIRST(&r->claims)->ask;
	char *who, *whose, addr[ADDR_STRLEN], range[PREFIX_STRLEN];

	if (a == first || ask_is_same(a, first))
		return;
	who = ask_origin(a);
	whose = ask_origin(first);
	if (remote_is_range(r))
		strbuf_printf(out, "%s: no range of its own, %s has %s\n", who, whose,
			      prefix_format(&r->key.range, range));
	else
		strbuf_printf(out, "%s: no session of its own with %s, %s has it\n", who,
			      addr_format(&r->key.remote, addr), whose);
	free(who);
	free(whose);
}

void peering_notes(const struct peering *p, struct strbuf *out)
{
	struct peering_view v = peering_view_of(p);
	const struct object *o;
	unsigned pos = 0;

	while (p->active && p->self.node && (o = store_next(p->store, OBJ_BGP_PEER, &pos))) {
		const struct source *s = source_find(p, o);
		const struct claim *c;

		if (peering_selects((const void *)o, p->self.node))
			ask_complain(&v, (const void *)o, out);
		if (!s)
			continue;
		LIST_FOREACH(c, &s->claims, of_source[ROLE_PEER])
		note_lost(&c->ask, c->remote, out);
	}
}
