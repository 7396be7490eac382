#include "fib/beside.h"

#include <linux/rtnetlink.h>
#include <stdio.h>

#include "fib/owners.h"
#include "fib/settings.h"
#include "fib/state.h"

bool beside_leaves(const struct fib *f, uint8_t class)
{
	return !f->conf.workload_routes && (class == FIB_WORKLOAD || class == FIB_OVERLAY);
}

bool beside_is_felix(const struct fib *f, const struct foreign *k)
{
	const struct nhset *to = foreign_to(&f->foreign, k);

	return !f->conf.workload_routes && owners_made(f, FIB_OWNER_FELIX, &to->key, to->hop);
}

/* Does it lead to a workload of this node, whoever made it? */
static bool leads_to_workload(const struct fib *f, const struct nhset *to)
{
	if (to->key.type != RTN_UNICAST || to->key.table != RT_TABLE_MAIN || !to->key.count)
		return false;
	for (unsigned i = 0; i < to->key.count; i++) {
		const struct link *l = links_by_index(&f->links, to->hop[i].ifindex);
		if (!l || !settings_is_workload(f, l->name))
			return false;
	}
	return true;
}

static void tell(const struct fib *f, const struct prefix *p)
{
	if (f->ops && f->ops->on_workload)
		f->ops->on_workload(f->arg, p);
}

static void tell_foreign(const struct fib *f, const struct foreign *k)
{
	const struct prefix p = foreign_prefix(k);

	tell(f, &p);
}

void beside_foreign_changed(struct fib *f, const struct prefix *p, const struct nhset *to)
{
	if (!f->conf.workload_routes && leads_to_workload(f, to))
		tell(f, p);
}

void beside_own_changed(struct fib *f, const struct route *r)
{
	const struct want *w = f->conf.workload_routes ? NULL : route_want(f, r);

	if (w && w->class == FIB_WORKLOAD) {
		const struct prefix p = route_prefix(r);

		tell(f, &p);
	}
}

/* Has any foreign route a hop there? Sets of hops are few, even where routes are many. */
static bool is_used(const struct fib *f, uint32_t ifindex)
{
	uint32_t pos = 0;

	for (const struct nhset *s; (s = htab_next(&f->nhsets.all, &pos));)
		if (s->foreign && nhset_uses(s, ifindex))
			return true;
	return false;
}

void beside_link_renamed(struct fib *f, uint32_t ifindex)
{
	uint32_t pos = 0;

	if (f->conf.workload_routes || !is_used(f, ifindex))
		return;
	for (const struct foreign *k; (k = foreign_walk(&f->foreign, &pos));)
		if (nhset_uses(foreign_to(&f->foreign, k), ifindex))
			tell_foreign(f, k);
}

void fib_each_workload(const struct fib *f)
{
	uint32_t pos = 0;

	if (f->conf.workload_routes)
		return;
	for (const struct foreign *k; (k = foreign_walk(&f->foreign, &pos));)
		if (leads_to_workload(f, foreign_to(&f->foreign, k)))
			tell_foreign(f, k);
}

struct best {
	uint32_t normal, priority;
	const struct nhset *to; /* NULL: none was found */
};

static void take(struct best *b, uint32_t metric, const struct nhset *to)
{
	uint32_t priority = metric ? metric : b->normal;

	if (b->to && priority >= b->priority)
		return;
	b->priority = priority;
	b->to = to;
}

static struct best find_workload(const struct fib *f, const struct prefix *p, uint32_t normal)
{
	struct best best = {.normal = normal};
	const struct route *own = f->conf.workload_routes ? NULL : route_of_class(f, p, FIB_WORKLOAD);

	if (own && own->have)
		take(&best, own->metric, route_have(f, own));
	for (const struct foreign *k = f->conf.workload_routes ? NULL : foreign_exact(&f->foreign, p); k;
	     k = foreign_next(&f->foreign, k)) {
		const struct nhset *to = foreign_to(&f->foreign, k);

		if (!k->tos && leads_to_workload(f, to))
			take(&best, k->metric, to);
	}
	return best;
}

bool fib_workload_find(const struct fib *f, const struct prefix *p, uint32_t normal, uint32_t *priority)
{
	struct best best = find_workload(f, p, normal);

	if (best.to)
		*priority = best.priority;
	return best.to;
}

void fib_workload_interface(const struct fib *f, const struct prefix *p, char name[static 16])
{
	struct best best = find_workload(f, p, UINT32_MAX);
	const struct link *l = best.to ? links_by_index(&f->links, best.to->hop[0].ifindex) : NULL;

	snprintf(name, 16, "%s", l ? l->name : "");
}
