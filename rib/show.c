/* What people are shown: views of routes, walks, and explanations. */
#include <stdlib.h>

#include "daemon/base/mem.h"
#include "rib/core.h"
#include "rib/decide.h"
#include "rib/export.h"
#include "rib/want.h"

void route_view(const struct rib *r, enum family f, const struct route *rt, struct rib_route *out)
{
	const struct rib_peer *p = peer_at(r, rt->peer);
	enum age age = route_age(p, f, rt);

	out->peer = p;
	out->attrs = rt->attrs;
	out->path_id = rt->path_id;
	out->source = route_source(rt);
	out->stale = age == AGE_STALE || age == AGE_LONG_LIVED;
	out->long_lived = age == AGE_LONG_LIVED;
	out->rejected = route_reason(rt) != REJECT_NONE;
	out->why = reject_texts[route_reason(rt)];
	out->since = (uint64_t)rt->since * MONO_SEC;
}

/* The words of the rule that rejected the route, if it has some. A rejected route keeps what policy saw. */
static const char *policy_why(const struct rib *r, const struct route *rt, const struct prefix *prefix)
{
	const struct rib_peer_conf *conf = &peer_at(r, rt->peer)->conf;
	struct policy_input in = {.prefix = *prefix,
				  .source = route_source(rt),
				  .local_pref = rt->attrs->local_pref,
				  .ibgp = !conf->ebgp,
				  .attrs = rt->attrs};
	struct policy_result res;

	policy_input_interface(r, conf->import, &in);
	res = policy_eval(conf->import, &in);
	/* A policy that has just changed may not have come to this route yet. */
	return res.accept || !*res.why ? reject_texts[REJECT_POLICY] : res.why;
}

static void show_node(const struct rib *r, enum family f, const struct node *n, struct decision *d,
		      void (*cb)(void *arg, const struct rib_view *v), void *arg)
{
	struct prefix prefix = table_prefix(&r->table[f], n);

	decide_weigh(r, f, n, d);
	decide_order(r, f, d);
	for (unsigned i = 0; i < d->n; i++) {
		struct rib_view v = {
		    .prefix = prefix,
		    .best = i == 0 && d->selected,
		    .multipath = i > 0 && i < d->selected,
		    .step = (enum rib_step)d->c[i].step,
		};

		route_view(r, f, d->c[i].route, &v.route);
		if (route_reason(d->c[i].route) == REJECT_POLICY)
			v.route.why = policy_why(r, d->c[i].route, &prefix);
		cb(arg, &v);
	}
}

void rib_show_prefix(const struct rib *r, const struct prefix *p, void (*cb)(void *arg, const struct rib_view *v),
		     void *arg)
{
	enum family f = family_of_af(p->addr.af);
	uint32_t id = table_find(&r->table[f], p);
	struct decision d = {0};

	if (id == ID_NONE)
		return;
	show_node(r, f, table_node(&r->table[f], id), &d, cb, arg);
	decision_clear(&d);
}

bool rib_walk(const struct rib *r, enum family f, uint64_t *pos, unsigned max,
	      void (*cb)(void *arg, const struct rib_view *v), void *arg)
{
	struct decision d = {0};
	unsigned n = 0;

	for (; *pos < r->table[f].nodes.bound && n < max; ++*pos) {
		const struct node *node = table_node(&r->table[f], (uint32_t)*pos);

		if (!(node->flags & NODE_USED) || node->routes == ID_NONE)
			continue;
		show_node(r, f, node, &d, cb, arg);
		n++;
	}
	decision_clear(&d);
	return *pos < r->table[f].nodes.bound;
}

static bool has_best(const void *arg, const struct node *n)
{
	const struct rib *r = arg;

	return n->routes != ID_NONE && route_at(r, n->routes)->flags & ROUTE_BEST;
}

static bool has_any(const void *arg, const struct node *n)
{
	(void)arg;
	return n->routes != ID_NONE;
}

bool rib_lookup(const struct rib *r, const struct addr *a, struct prefix *out)
{
	const struct table *t = &r->table[family_of_af(a->af)];
	uint32_t id;

	if (addr_is_none(a))
		return false;
	/* What forwards comes first; a prefix with nothing but rejected routes is better than no answer. */
	id = table_lookup(t, a, has_best, r);
	if (id == ID_NONE)
		id = table_lookup(t, a, has_any, r);
	if (id == ID_NONE)
		return false;
	*out = table_prefix(t, table_node(t, id));
	return true;
}

/* ---- Export ---- */

/* Why the session as a whole is sent nothing of the family; NULL if it is. */
static const char *session_refusal(const struct rib_peer *p, enum family f)
{
	if (!p->up)
		return "the session is not established";
	if (!(p->codec.families >> f & 1))
		return "the session does not carry this address family";
	if (!p->rib->released[f])
		return "nothing is announced yet: waiting for local routes and for the peers' End-of-RIB";
	return NULL;
}

static const char *route_refusal(const struct rib_peer *p, enum family f, const struct prefix *prefix,
				 const struct route *rt, const char **why)
{
	struct export x = {&p->group->key, p->rib, f, rt->peer, route_source(rt), rt->attrs, *prefix};
	const char *refusal;

	refusal = export_refusal(&x, why);
	if (!refusal && export_is_owner(&x, p))
		return "the next hop is the peer's own address";
	return refusal;
}

static bool is_wanted(const struct want_list *list, uint32_t path_id)
{
	for (unsigned i = 0; i < list->n; i++)
		if (list->w[i].path_id == path_id)
			return true;
	return false;
}

/* Why a path is not sent, NULL if it is; *why becomes what let it pass. */
static const char *path_refusal(const struct rib_peer *p, enum family f, const struct prefix *prefix,
				const struct candidate *c, const struct want_list *list, const char **why)
{
	const char *refusal;

	*why = "one of all acceptable paths";
	if (c->step == STEP_REJECTED)
		return rib_step_name(STEP_REJECTED);
	if (c->route->peer == p->index)
		return "split horizon: it came from this peer";
	refusal = route_refusal(p, f, prefix, c->route, why);
	if (refusal || is_wanted(list, want_path_id(c->id)))
		return refusal;
	if (!route_is_reachable(c->route))
		return "its next hop is unreachable, and there are others";
	return "more paths than the peer shall be sent (addPathLimit), and these are better";
}

static bool takes_paths(const struct rib_peer *p, enum family f)
{
	return !session_refusal(p, f) && p->codec.add_path_tx >> f & 1;
}

void rib_explain_paths(const struct rib_peer *p, const struct prefix *prefix,
		       void (*cb)(void *arg, const struct rib_route *route, uint32_t path_id, bool sent,
				  const char *why),
		       void *arg)
{
	enum family f = family_of_af(prefix->addr.af);
	const struct rib *r = p->rib;
	uint32_t id = table_find(&r->table[f], prefix);
	const struct want_list *list;
	struct decision d = {0};

	if (id == ID_NONE || !takes_paths(p, f))
		return;
	list = want_paths(p->group, f, table_node(&r->table[f], id), false);
	decide_weigh(r, f, table_node(&r->table[f], id), &d);
	decide_order(r, f, &d);
	for (unsigned i = 0; i < d.n; i++) {
		const char *why, *refusal = path_refusal(p, f, prefix, &d.c[i], list, &why);
		struct rib_route view;

		route_view(r, f, d.c[i].route, &view);
		cb(arg, &view, want_path_id(d.c[i].id), !refusal, refusal ? refusal : why);
	}
	decision_clear(&d);
}

struct summary {
	unsigned sent;
	const char *why;
};

static void summarise(void *arg, const struct rib_route *route, uint32_t path_id, bool sent, const char *why)
{
	struct summary *s = arg;

	(void)route;
	(void)path_id;
	/* The best of those that are sent speaks for all, or of those that are not. */
	if (!s->why || (sent && !s->sent))
		s->why = why;
	s->sent += sent;
}

struct rib_export_view rib_explain_export(const struct rib_peer *p, const struct prefix *prefix)
{
	enum family f = family_of_af(prefix->addr.af);
	const struct rib *r = p->rib;
	uint32_t id = table_find(&r->table[f], prefix);
	struct rib_export_view v = {.why = session_refusal(p, f), .add_path = takes_paths(p, f)};
	const struct node *n = id == ID_NONE ? NULL : table_node(&r->table[f], id);
	struct summary all = {0};
	const struct route *best;
	const char *refusal;

	if (v.why)
		return v;
	v.why = "no usable route for this prefix";
	if (!n || n->routes == ID_NONE)
		return v;
	best = route_at(r, n->routes);
	if (!(best->flags & ROUTE_BEST))
		return v;
	v.why = "best route";
	if (v.add_path) {
		rib_explain_paths(p, prefix, summarise, &all);
		v.sent = all.sent;
		v.why = all.why;
		return v;
	}
	refusal = best->peer == p->index ? "split horizon: the best route came from this peer"
					 : route_refusal(p, f, prefix, best, &v.why);
	v.sent = !refusal;
	v.why = refusal ? refusal : v.why;
	return v;
}
