/* What would be done to the kernel's routes if programming were on and these owners' routes were ours. */
#include <linux/rtnetlink.h>
#include <stdio.h>

#include "fib/beside.h"
#include "fib/owners.h"
#include "fib/state.h"

const char *fib_deed_name(enum fib_deed d)
{
	static const char *const names[FIB_DEED_COUNT] = {
	    [FIB_DEED_ADD] = "add",
	    [FIB_DEED_REPLACE] = "replace",
	    [FIB_DEED_REMOVE] = "remove",
	    [FIB_DEED_WAIT] = "wait",
	};

	return names[d];
}

/* A route that nobody wants, or nobody yet: what BGP brings leads to gateways, and is known when its peers have told
 * all. */
static void plan_removal(const struct fib *f, const struct nhset *s, struct fib_plan *p)
{
	p->deed = FIB_DEED_REMOVE;
	if (f->synced[family_of_af(p->prefix.addr.af)] || !nhset_is_gatewayed(s))
		return;
	p->deed = FIB_DEED_WAIT;
	snprintf(p->why, sizeof p->why,
		 "stays until BGP has told its routes; then another takes its place, or it goes");
}

/* It is wanted, but leads nowhere yet. What is there stays until the start is complete. */
static bool plan_unresolved(const struct fib *f, const struct route *r, struct fib_plan *p)
{
	const struct want *w = route_want(f, r);
	const struct nhset *have = route_have(f, r);

	p->prefix = route_prefix(r);
	p->deed = have && f->synced[route_family(r)] ? FIB_DEED_REMOVE : FIB_DEED_WAIT;
	want_explain(f, w, p->why, sizeof p->why);
	show_want(w, r->metric, p->now, sizeof p->now);
	if (have)
		show_nhset(f, have, r->metric, p->before, sizeof p->before);
	return true;
}

/* An intent that the kernel does not have as it is. */
static bool plan_route(const struct fib *f, const struct route *r, struct fib_plan *p)
{
	const struct want *w = route_want(f, r);
	const struct nhset *to = w ? w->to : NULL, *have = route_have(f, r);
	const struct foreign *there = route_rival(f, r, NULL);
	const struct nhset *before = have || !there ? have : foreign_to(&f->foreign, there);

	if (w && beside_leaves(f, w->class))
		return false;
	if (w && !to)
		return plan_unresolved(f, r, p);
	if (to == have)
		return false;
	if (there && (foreign_to(&f->foreign, there)->key.protocol == RTPROT_KERNEL || beside_is_felix(f, there)))
		return false;
	p->prefix = route_prefix(r);
	if (to)
		p->deed = before ? FIB_DEED_REPLACE : FIB_DEED_ADD;
	else
		plan_removal(f, have, p);
	if (to)
		show_nhset(f, to, r->metric, p->now, sizeof p->now);
	if (before)
		show_nhset(f, before, r->metric, p->before, sizeof p->before);
	return true;
}

/* A route of those owners; one that stands where an intent wants one has been told of with that. */
static bool plan_foreign(const struct fib *f, unsigned owners, const struct foreign *k, struct fib_plan *p)
{
	const struct prefix prefix = foreign_prefix(k);
	const struct route *r = route_find(f, &prefix, k->metric);
	const struct nhset *to = foreign_to(&f->foreign, k);

	if (k->tos || to->key.table != f->conf.table || !owners_made(f, owners, &to->key, to->hop))
		return false;
	if (r && route_to(f, r))
		return false;
	p->prefix = prefix;
	plan_removal(f, to, p);
	show_nhset(f, to, k->metric, p->before, sizeof p->before);
	return true;
}

bool fib_plan_next(const struct fib *f, unsigned owners, struct fib_plan_walk *w, struct fib_plan *p)
{
	*p = (struct fib_plan){.deed = FIB_DEED_ADD};
	for (struct route *r; !w->routes_done && (r = routes_next(&f->routes, &w->pos));)
		if (plan_route(f, r, p))
			return true;
	if (!w->routes_done) {
		w->routes_done = true;
		w->pos = 0;
	}
	for (const struct foreign *k; (k = foreign_walk(&f->foreign, &w->pos));)
		if (plan_foreign(f, owners, k, p))
			return true;
	return false;
}
