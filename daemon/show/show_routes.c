/* show routes [PREFIX|ADDRESS] [all] [table NAME]. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/show/show.h"

struct routes_walk {
	bool all, sorted;
	enum family family;
	uint64_t pos;
	struct show_rows rows; /* sorted: the prefixes, and which is next */
};

const char *show_route_from(const struct request *r, const struct rib_route *route)
{
	return route->peer == rib_local_peer(show_rib(r)) ? "local" : rib_peer_config(route->peer)->name;
}

/* "best", "multipath", why it is rejected, or at which step it lost. */
static void put_state(struct strbuf *out, const struct rib_view *v)
{
	if (v->best)
		strbuf_puts(out, "best");
	else if (v->multipath)
		strbuf_puts(out, "multipath");
	else if (v->route.rejected)
		strbuf_printf(out, "rejected: %s", v->route.why ? v->route.why : rib_step_name(v->step));
	else if (v->step == STEP_UNREACHABLE)
		strbuf_puts(out, rib_step_name(v->step));
	else
		strbuf_printf(out, "lost: %s", rib_step_name(v->step));
	if (v->route.long_lived)
		strbuf_puts(out, ", long-lived stale");
	else if (v->route.stale)
		strbuf_puts(out, ", stale");
}

/* Attributes that nobody here knows: "99:aabb", type code and value. */
static void put_unknown(struct strbuf *out, struct span unknown)
{
	struct rd r = rd_span(unknown);

	while (rd_left(&r)) {
		bool extended = rd_u8(&r) & BGP_ATTR_EXTENDED;
		struct rd value;

		strbuf_printf(out, "%s%u:", out->len ? " " : "", rd_u8(&r));
		value = rd_sub(&r, extended ? rd_u16(&r) : rd_u8(&r));
		while (rd_left(&value))
			strbuf_printf(out, "%02x", rd_u8(&value));
	}
}

/* Attributes that only JSON has all of, as the table of attributes writes them. */
static void put_attributes(struct request *r, const struct bgp_attrs *a)
{
	/* AS_PATH and LOCAL_PREF have values of their own; the next hop is none of the set. */
	static const char *const keys[BA_COUNT] = {
	    [BA_ORIGIN] = "origin",
	    [BA_MED] = "med",
	    [BA_ATOMIC_AGGREGATE] = "atomic_aggregate",
	    [BA_AGGREGATOR] = "aggregator",
	    [BA_COMMUNITIES] = "communities",
	    [BA_ORIGINATOR_ID] = "originator_id",
	    [BA_CLUSTER_LIST] = "cluster_list",
	    [BA_EXT_COMMUNITIES] = "extended_communities",
	    [BA_IPV6_EXT_COMMUNITIES] = "ipv6_extended_communities",
	    [BA_AIGP] = "aigp",
	    [BA_LARGE_COMMUNITIES] = "large_communities",
	    [BA_OTC] = "otc",
	    [BA_PREFIX_SID] = "prefix_sid",
	};
	struct strbuf text = {0};

	if (!r->json)
		return;
	for (int id = 0; id < BA_COUNT; id++) {
		if (!keys[id] || !bgp_attrs_have(a, (enum bgp_attr_id)id))
			continue;
		strbuf_reset(&text);
		strbuf_puts(&text, "");
		bgp_attr_table[id].format(&text, a);
		out_text(&r->out, keys[id], NULL, text.s);
	}
	strbuf_reset(&text);
	put_unknown(&text, a->unknown);
	if (text.len)
		out_text(&r->out, "unknown_attributes", NULL, text.s);
	strbuf_free(&text);
}

void show_route(struct request *r, const struct rib_view *v, bool verbose)
{
	const struct rib_route *route = &v->route;
	const struct nexthop *nh = route->attrs->next_hop;
	struct strbuf state = {0}, path = {0};
	struct addr none = {0};
	struct bgp_attrs a;
	struct out *o = &r->out;

	attrs_get(route->attrs, &a);
	strbuf_puts(&path, "");
	as_path_format(&path, a.as_path);
	put_state(&state, v);
	out_addr(o, "next_hop", "NEXT-HOP", nh ? &nh->addr.addr : &none);
	out_bool(o, "next_hop_reachable", NULL, !nh || nh->reachable);
	out_text(o, "from", NULL, show_route_from(r, route));
	/* Without ADD-PATH there is nothing to tell a peer's paths apart by. */
	if (rib_peer_codec(route->peer)->add_path_rx >> family_of_af(v->prefix.addr.af) & 1)
		out_printf(o, NULL, "FROM", "%s, path %u", show_route_from(r, route), route->path_id);
	else
		out_text(o, NULL, "FROM", show_route_from(r, route));
	out_text(o, "source", verbose ? "SOURCE" : NULL, route_source_name(route->source));
	out_number(o, "local_pref", "LOCAL-PREF", route->attrs->local_pref);
	out_text(o, "state", "STATE", state.s);
	out_bool(o, "best", NULL, v->best);
	out_bool(o, "multipath", NULL, v->multipath);
	out_bool(o, "stale", NULL, route->stale);
	out_bool(o, "long_lived_stale", NULL, route->long_lived);
	out_bool(o, "rejected", NULL, route->rejected);
	out_text(o, "rejected_why", NULL, route->why);
	out_number(o, "path_id", NULL, route->path_id);
	/* The RIB keeps whole seconds. */
	out_duration(o, "age", "AGE", show_age(route->since) / MONO_SEC * MONO_SEC);
	put_attributes(r, &a);
	out_text(o, "as_path", "AS-PATH", path.s);
	strbuf_free(&state);
	strbuf_free(&path);
}

static void on_route(void *arg, const struct rib_view *v)
{
	struct request *r = arg;
	const struct routes_walk *w = r->state;

	if (!w->all && !v->best && !v->multipath)
		return;
	out_row(&r->out);
	out_prefix(&r->out, "prefix", "PREFIX", &v->prefix);
	show_table(r, show_instance(r));
	show_route(r, v, w->all);
	out_end(&r->out);
}

/* ---- All ---- */

static void on_collect(void *arg, const struct rib_view *v)
{
	struct show_rows *rows = arg;

	/* A prefix's routes come one after the other. */
	if (rows->count == 0 || !prefix_equal(&rows->rows[rows->count - 1].prefix, &v->prefix))
		show_rows_add(rows, &v->prefix, 0);
}

static void collect(struct request *r, struct routes_walk *w)
{
	for (int f = 0; f < FAM_COUNT; f++) {
		uint64_t pos = 0;
		while (rib_walk(show_rib(r), (enum family)f, &pos, SHOW_SORT_MAX, on_collect, &w->rows))
			;
	}
	show_rows_sort(&w->rows);
}

static bool sorted_more(struct request *r, struct routes_walk *w)
{
	for (unsigned n = 0; n < SHOW_PIECE && w->rows.next < w->rows.count; n++)
		rib_show_prefix(show_rib(r), &w->rows.rows[w->rows.next++].prefix, on_route, r);
	return w->rows.next < w->rows.count;
}

static bool walk_more(struct request *r, struct routes_walk *w)
{
	if (rib_walk(show_rib(r), w->family, &w->pos, SHOW_PIECE, on_route, r))
		return true;
	w->pos = 0;
	return ++w->family < FAM_COUNT;
}

static bool routes_more(struct request *r)
{
	struct routes_walk *w = r->state;

	/* The table may have gone since the last piece. */
	return show_rib(r) && (w->sorted ? sorted_more(r, w) : walk_more(r, w));
}

/* ---- One ---- */

static void on_exists(void *arg, const struct rib_view *v)
{
	(void)v;
	*(bool *)arg = true;
}

/* A prefix means itself; an address the longest prefix around it. */
static bool find_prefix(struct request *r, const char *text, struct prefix *p)
{
	char found[PREFIX_STRLEN] = "";
	struct prefix around;
	struct addr a;
	bool exists = false;

	if (addr_parse(&a, text)) {
		if (rib_lookup(show_rib(r), &a, p))
			return true;
		snprintf(r->error, sizeof r->error, "no route covers %s", text);
		return false;
	}
	if (!prefix_parse(p, text)) {
		snprintf(r->error, sizeof r->error, "\"%.60s\" is neither a prefix nor an address, nor \"all\"", text);
		return false;
	}
	rib_show_prefix(show_rib(r), p, on_exists, &exists);
	if (exists)
		return true;
	if (rib_lookup(show_rib(r), &p->addr, &around))
		prefix_format(&around, found);
	snprintf(r->error, sizeof r->error, "no route for %s%s%s", text, *found ? "; there is one for " : "", found);
	return false;
}

static void walk_free(void *state)
{
	struct routes_walk *w = state;

	show_rows_free(&w->rows);
	free(w);
}

/* "all" and at most one prefix or address, in any order; *what is that one, or NULL. */
static bool read_arguments(struct request *r, struct routes_walk *w, const char **what)
{
	*what = NULL;
	for (unsigned i = 0; i < r->argc; i++) {
		if (strcmp(r->argv[i], "all") == 0) {
			w->all = true;
		} else if (!*what) {
			*what = r->argv[i];
		} else {
			snprintf(r->error, sizeof r->error, "one prefix or address at a time");
			return false;
		}
	}
	return true;
}

static bool routes_start(struct request *r)
{
	struct routes_walk *w = mem_calloc(1, sizeof *w);
	struct rib_stats s;
	const char *what;
	struct prefix p;

	r->state = w;
	r->free_state = walk_free;
	if (!show_take_table(r) || !read_arguments(r, w, &what) || (what && !find_prefix(r, what, &p)))
		return false;
	out_table(&r->out, "routes", NULL, what ? "no route is selected; \"all\" shows why" : "no routes");
	s = rib_stats(show_rib(r));
	w->sorted = what || s.prefixes[FAM_IPV4] + s.prefixes[FAM_IPV6] <= SHOW_SORT_MAX;
	if (what)
		show_rows_add(&w->rows, &p, 0);
	else if (w->sorted)
		collect(r, w);
	return true;
}
const struct command_ops command_show_routes = {.start = routes_start, .more = routes_more};
