/* Dynamic neighbours: which range a caller belongs to, and the key of each range. Their sessions are the owner's. */
#include <stdlib.h>

#include "bgp/session/internal.h"

/* How near a range is to a caller that it holds: its length, and then that it names the link. */
static unsigned weight(const struct bgp_range *r)
{
	return r->conf.prefix.len * 2u + (addr_scope(&r->conf.prefix.addr) != 0);
}

static void link_by_weight(struct bgp_engine *e, struct bgp_range *r)
{
	struct bgp_range *at, *last = NULL;

	LIST_FOREACH(at, &e->ranges, entry)
	{
		if (weight(at) < weight(r)) {
			LIST_INSERT_BEFORE(at, r, entry);
			return;
		}
		last = at;
	}
	if (last)
		LIST_INSERT_AFTER(last, r, entry);
	else
		LIST_INSERT_HEAD(&e->ranges, r, entry);
}

static void copy(struct bgp_range_conf *to, const struct bgp_range_conf *from)
{
	*to = *from;
	to->name = mem_strdup(from->name ? from->name : "?");
	to->password = from->password && from->password[0] ? mem_strdup(from->password) : NULL;
}

static void clear(struct bgp_range_conf *c)
{
	free(c->name);
	free(c->password);
}

/* For the kernel, which knows no links here. */
static void claim_key(struct bgp_range *r)
{
	struct key_of of = {.prefix = r->conf.prefix};

	of.prefix.addr = addr_on_link(&of.prefix.addr, 0);
	key_claim(r->engine, &r->key, &of, r->conf.password, r->conf.name);
}

struct bgp_range *bgp_range_new(struct bgp_engine *e, const struct bgp_range_conf *conf, bgp_caller_fn *on_caller,
				void *arg)
{
	struct bgp_range *r = mem_calloc(1, sizeof *r);

	r->engine = e;
	r->on_caller = on_caller;
	r->arg = arg;
	copy(&r->conf, conf);
	link_by_weight(e, r);
	claim_key(r);
	return r;
}

void bgp_range_configure(struct bgp_range *r, const struct bgp_range_conf *conf)
{
	struct bgp_range_conf old = r->conf;

	copy(&r->conf, conf);
	LIST_REMOVE(r, entry);
	link_by_weight(r->engine, r);
	claim_key(r);
	clear(&old);
}

void bgp_range_free(struct bgp_range *r)
{
	LIST_REMOVE(r, entry);
	key_claim(r->engine, &r->key, &(struct key_of){0}, NULL, r->conf.name);
	clear(&r->conf);
	free(r);
}

struct bgp_range *range_find(const struct bgp_engine *e, const struct bgp_caller *who)
{
	struct bgp_range *r;

	if (who->vrf[0])
		return NULL;
	LIST_FOREACH(r, &e->ranges, entry)
	{
		if (prefix_contains(&r->conf.prefix, &who->remote))
			return r;
	}
	return NULL;
}
