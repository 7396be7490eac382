/* What each peer must have been told, computed from the inputs alone: slowly, without a memory, and without the code
 * that is tested. */
#ifndef TESTS_UNIT_RIB_MODEL_H
#define TESTS_UNIT_RIB_MODEL_H

#include "tests/unit/rib/world.h"

struct choice {
	int who; /* member, -1 local, -2 nobody */
	unsigned path;
	struct input *in;
};

static bool model_has(const struct spec *s, uint32_t community)
{
	for (unsigned i = 0; i < 4; i++)
		if (s->communities[i] == community)
			return true;
	return false;
}

static uint32_t model_local_pref(const struct member *m, unsigned i, const struct input *in)
{
	if (m->import == 2 && kind_of(i) == 0)
		return 300;
	if (m->conf.avoid ||
	    (m->conf.ebgp && m->conf.honour_graceful_shutdown && model_has(&in->s, BGP_COMMUNITY_GRACEFUL_SHUTDOWN)))
		return 0;
	if (m->conf.ebgp)
		return 100;
	return in->s.local_pref ? in->s.local_pref : 100;
}

static bool model_is_llgr_stale(const struct input *in)
{
	return in->long_lived || model_has(&in->s, BGP_COMMUNITY_LLGR_STALE);
}

static unsigned words_in(const uint32_t *v, unsigned max)
{
	unsigned n = 0;

	while (n < max && v[n])
		n++;
	return n;
}

static uint32_t model_router_id(const struct member *m, const struct input *in)
{
	return in->s.originator ? in->s.originator : m->router_id;
}

/* What is better is smaller. */
static int64_t model_rank(const struct choice *c, unsigned i, unsigned step)
{
	const struct member *m = &w->m[c->who];
	const struct input *in = c->in;

	switch (step) {
	case 0:
		return model_is_llgr_stale(in);
	case 1:
		return -(int64_t)model_local_pref(m, i, in);
	case 2:
		return words_in(in->s.path, 8);
	case 3:
		return in->s.origin;
	case 4:
		return in->s.has_med ? in->s.med : 0;
	case 5:
		return !m->conf.ebgp;
	case 6:
		return in->stale;
	case 7:
		return model_router_id(m, in);
	case 8:
		return words_in(in->s.clusters, 4);
	case 9:
		return addr_to_u32(&m->conf.remote);
	default:
		return path_ids[c->path];
	}
}
#define MODEL_STEPS 11u
#define MODEL_MED 4u
#define CHOICES (PEERS * PATHS + 1)

/* The best of n; -1 if there is none. The local one is always the best. */
static int model_best(const struct choice *c, unsigned n, unsigned i)
{
	bool in[CHOICES], next[CHOICES];

	for (unsigned k = 0; k < n; k++) {
		if (c[k].who == -1)
			return (int)k;
		in[k] = true;
	}
	for (unsigned step = 0; step < MODEL_STEPS; step++) {
		memcpy(next, in, sizeof in);
		for (unsigned a = 0; a < n; a++)
			for (unsigned b = 0; b < n; b++)
				if (in[a] && in[b] && (step != MODEL_MED || c[a].in->s.path[0] == c[b].in->s.path[0]) &&
				    model_rank(&c[a], i, step) < model_rank(&c[b], i, step))
					next[b] = false;
		memcpy(in, next, sizeof in);
	}
	for (unsigned k = 0; k < n; k++)
		if (in[k])
			return (int)k;
	return -1;
}

/* All routes of the prefix that import accepts. */
static unsigned model_choices(unsigned i, struct choice *c)
{
	unsigned n = 0;

	if (w->local[i])
		c[n++] = (struct choice){.who = -1};
	for (unsigned m = 0; m < PEERS; m++)
		for (unsigned k = 0; k < PATHS; k++)
			if (w->m[m].input[i][k].there && !(w->m[m].import == 1 && kind_of(i) == 1))
				c[n++] = (struct choice){(int)m, k, &w->m[m].input[i][k]};
	return n;
}

static struct addr self_of(const struct member *m, enum family f)
{
	static const char *const selves[2][FAM_COUNT] = {{OUR_V4, OUR_V6}, {"192.168.0.2", "2001:db8:ffff::2"}};

	return addr_of(selves[m->self][f]);
}

static void said_communities(struct said *s, const struct member *to, unsigned i, const struct choice *c)
{
	const struct member *from = c->who >= 0 ? &w->m[c->who] : NULL;
	unsigned n = from ? words_in(c->in->s.communities, 4) : 0;

	if (n)
		memcpy(s->communities, c->in->s.communities, n * sizeof *s->communities);
	if (from && from->conf.ebgp && model_has(&c->in->s, BGP_COMMUNITY_BLACKHOLE))
		s->communities[n++] = BGP_COMMUNITY_NO_EXPORT;
	if (from && model_is_llgr_stale(c->in) && !model_has(&c->in->s, BGP_COMMUNITY_LLGR_STALE))
		s->communities[n++] = BGP_COMMUNITY_LLGR_STALE;
	if (to->export >= 2 && kind_of(i) == 2)
		s->communities[n++] = ADDED;
	if (to->conf.graceful_shutdown && !(from && model_has(&c->in->s, BGP_COMMUNITY_GRACEFUL_SHUTDOWN)))
		s->communities[n++] = BGP_COMMUNITY_GRACEFUL_SHUTDOWN;
	qsort(s->communities, n, sizeof *s->communities, said_by_value);
}

/* Does the route go to the group that this member is in? */
static bool model_passes(const struct member *to, unsigned i, const struct choice *c)
{
	const struct member *from = c->who >= 0 ? &w->m[c->who] : NULL;

	if (to->export == 1 && kind_of(i) == 1)
		return false;
	if (!from)
		return true;
	if (model_has(&c->in->s, BGP_COMMUNITY_NO_ADVERTISE) ||
	    (to->conf.ebgp && model_has(&c->in->s, BGP_COMMUNITY_NO_EXPORT)))
		return false;
	if (to->conf.ebgp && from->conf.ebgp && model_has(&c->in->s, BGP_COMMUNITY_BLACKHOLE))
		return false;
	if (model_is_llgr_stale(c->in) && !to->codec.llgr)
		return false;
	return from->conf.ebgp || to->conf.ebgp || from->conf.rr_client || to->conf.rr_client;
}

/* What the member must have been told of a route that goes to its group. False: nothing. */
static bool model_said(const struct member *to, unsigned i, const struct choice *c, struct said *s)
{
	const struct member *from = c->who >= 0 ? &w->m[c->who] : NULL;
	bool reflected = from && !from->conf.ebgp && !to->conf.ebgp;
	const struct spec *spec = from ? &c->in->s : NULL;
	unsigned n = 0;

	*s = (struct said){0};
	if (from == to)
		return false;
	s->next_hop = self_of(to, family_at(i));
	if (from && to->conf.next_hop_mode != RIB_NEXT_HOP_SELF &&
	    !(to->conf.ebgp && to->conf.next_hop_mode == RIB_NEXT_HOP_AUTO)) {
		s->next_hop = spec->next_hop ? addr_of(spec->next_hop) : own_next_hop(from->peer, family_at(i));
		if (addr_equal(&s->next_hop, &to->conf.remote) || addr_equal(&s->next_hop, &to->other))
			return false;
	}
	said_communities(s, to, i, c);
	while (to->conf.ebgp && n <= to->conf.prepend)
		s->path[n++] = OUR_AS;
	if (spec) {
		memcpy(s->path + n, spec->path, words_in(spec->path, 8) * sizeof *s->path);
		s->origin = spec->origin;
	}
	if (to->conf.ebgp)
		return true;
	s->has_local_pref = true;
	s->local_pref = !from ? INT32_MAX - 1024 : model_local_pref(from, i, c->in);
	if (to->export == 3 && kind_of(i) == 0)
		s->local_pref = 77;
	if (to->conf.graceful_shutdown)
		s->local_pref = 0;
	if (spec && spec->has_med) {
		s->has_med = true;
		s->med = spec->med;
	}
	if (reflected) {
		s->has_originator = true;
		s->originator = model_router_id(from, c->in);
		s->clusters[0] = CLUSTER;
		memcpy(s->clusters + 1, spec->clusters, 4 * sizeof *s->clusters);
	}
	return true;
}

struct told {
	struct choice c;
	struct said said;
};

/* What the member must have been told of the prefix: the best route, or with ADD-PATH all that go to its group, or so
 * many of the best. */
static unsigned model_told(const struct member *to, unsigned i, struct told *told)
{
	bool add_path = to->codec.add_path_tx >> family_at(i) & 1;
	unsigned n, passing = 0, count = 0, limit = to->conf.add_path_limit;
	struct choice c[CHOICES];
	int best;

	n = model_choices(i, c);
	if (!add_path && n) {
		c[0] = c[model_best(c, n, i)];
		n = limit = 1;
	}
	for (unsigned k = 0; k < n; k++)
		if (model_passes(to, i, &c[k]))
			c[passing++] = c[k];
	if (!limit)
		limit = passing;
	while (limit-- && (best = model_best(c, passing, i)) >= 0) {
		told[count].c = c[best];
		count += model_said(to, i, &c[best], &told[count].said);
		c[best] = c[--passing];
	}
	return count;
}

#endif
