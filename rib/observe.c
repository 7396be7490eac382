/* For those who watch: what changed, and walks over what is there. */
#include "rib/core.h"
#include "rib/encode.h"

void rib_observe(struct rib *r, const struct rib_observer *o)
{
	r->observer = o;
}

static struct rib_path path_of(const struct rib *r, enum family f, const struct prefix *prefix, uint32_t route_id)
{
	const struct route *rt = route_at(r, route_id);
	const struct rib_peer *p = peer_at(r, rt->peer);

	return (struct rib_path){
	    .peer = p,
	    .prefix = *prefix,
	    .path_id = rt->path_id,
	    .source = route_source(rt),
	    .received = route_received(r, route_id),
	    .accepted = route_reason(rt) ? NULL : rt->attrs,
	    .best = rt->flags & ROUTE_BEST,
	    .stale = route_age(p, f, rt) != AGE_FRESH,
	    .since = (uint64_t)rt->since * MONO_SEC,
	};
}

struct outcome route_outcome(const struct rib *r, uint32_t route_id)
{
	const struct route *rt = route_at(r, route_id);

	return (struct outcome){route_received(r, route_id), route_reason(rt) ? NULL : rt->attrs};
}

void observe_route(const struct rib *r, enum family f, const struct prefix *prefix, uint32_t route_id,
		   const struct outcome *before)
{
	struct rib_path path = path_of(r, f, prefix, route_id);
	bool received = path.received != before->received, accepted = path.accepted != before->accepted;

	if (r->observer->on_route && (received || accepted))
		r->observer->on_route(r->observer->arg, &path, received, accepted);
}

void observe_removal(const struct rib *r, enum family f, const struct node *n, uint32_t route_id)
{
	struct prefix prefix = table_prefix(&r->table[f], n);
	struct rib_path path = path_of(r, f, &prefix, route_id);
	bool accepted = path.accepted;

	path.received = path.accepted = NULL;
	if (r->observer->on_route)
		r->observer->on_route(r->observer->arg, &path, true, accepted);
}

void observe_best(const struct rib *r, enum family f, const struct prefix *prefix, uint32_t route_id)
{
	struct rib_path path;

	if (!r->observer->on_best)
		return;
	if (route_id != ID_NONE)
		path = path_of(r, f, prefix, route_id);
	r->observer->on_best(r->observer->arg, prefix, route_id != ID_NONE ? &path : NULL);
}

bool rib_walk_paths(const struct rib *r, enum family f, uint64_t *pos, unsigned max,
		    void (*cb)(void *arg, const struct rib_path *path), void *arg)
{
	const struct table *t = &r->table[f];

	for (unsigned done = 0; *pos < t->nodes.bound && done < max; ++*pos, done++) {
		const struct node *n = table_node(t, (uint32_t)*pos);
		struct prefix prefix;

		if (!(n->flags & NODE_USED) || n->routes == ID_NONE)
			continue;
		prefix = table_prefix(t, n);
		for (uint32_t id = n->routes; id != ID_NONE; id = route_at(r, id)->next) {
			struct rib_path path = path_of(r, f, &prefix, id);

			done++;
			if (route_age(path.peer, f, route_at(r, id)) != AGE_DEAD)
				cb(arg, &path);
		}
	}
	return *pos < t->nodes.bound;
}
