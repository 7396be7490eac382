/* explain ADDRESS [table NAME]: from the objects through the RIB to the kernel, each station with its reasons. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/cluster/cluster.h"
#include "daemon/cluster/locals.h"
#include "daemon/cluster/overlay.h"
#include "daemon/cluster/service.h"
#include "daemon/instance.h"
#include "daemon/peers/liveness.h"
#include "daemon/peers/speaker.h"
#include "daemon/show/show.h"

/* With more peers than this, those with the same answer are counted instead of listed. */
#define PEERS_LISTED 10u

/* ---- Objects ---- */

static void object_row(struct request *r, const struct object *o, const char *says)
{
	struct strbuf name = {0};

	show_object_name(&name, o);
	out_row(&r->out);
	out_text(&r->out, "kind", "KIND", object_kind_name(o->kind));
	out_text(&r->out, "name", "NAME", name.s);
	show_source(r, o);
	out_text(&r->out, "says", "SAYS", says);
	out_end(&r->out);
	strbuf_free(&name);
}

/* Each writes what its kind of object says about the address; nothing if it says nothing. */
static void about_pool(const struct request *r, const struct object *o, const struct addr *a, struct strbuf *says)
{
	const struct obj_ip_pool *p = (const struct obj_ip_pool *)(const void *)o;
	char text[PREFIX_STRLEN];

	(void)r;
	if (prefix_contains(&p->cidr, a))
		strbuf_printf(says, "the pool %s holds it%s%s", prefix_format(&p->cidr, text),
			      p->disabled ? ", disabled" : "", p->disable_bgp_export ? ", not exported" : "");
}

static void about_workload(const struct request *r, const struct object *o, const struct addr *a, struct strbuf *says)
{
	const struct obj_workload_endpoint *w = (const struct obj_workload_endpoint *)(const void *)o;
	char interface[16];

	workload_interface(&r->d->config, w, interface);
	for (unsigned i = 0; i < w->network_count && !says->len; i++)
		if (prefix_contains(&w->networks[i], a))
			strbuf_printf(says, "is its address, on node %s, interface %s", w->node ? w->node : "none",
				      *interface ? interface : "none");
}

static void about_affinity(const struct request *r, const struct object *o, const struct addr *a, struct strbuf *says)
{
	const struct obj_block_affinity *b = (const struct obj_block_affinity *)(const void *)o;
	char text[PREFIX_STRLEN];

	(void)r;
	if (prefix_contains(&b->cidr, a))
		strbuf_printf(says, "the block %s belongs to %s%s%s", prefix_format(&b->cidr, text),
			      b->node ? b->node : "no node", b->state == AFFINITY_CONFIRMED ? "" : ", not confirmed",
			      b->deleted ? ", deleted" : "");
}

static void about_block(const struct request *r, const struct object *o, const struct addr *a, struct strbuf *says)
{
	const struct obj_ipam_block *b = (const struct obj_ipam_block *)(const void *)o;
	const char *user = NULL;
	struct addr at;

	(void)r;
	if (!prefix_contains(&b->cidr, a))
		return;
	for (unsigned i = 0; i < b->owner_count && !user; i++) {
		at = addr_add(&b->cidr.addr, b->owners[i].ordinal);
		user = addr_equal(&at, a) ? b->owners[i].node : NULL;
	}
	if (user)
		strbuf_printf(says, "in use on node %s; the block belongs to %s", user, b->node ? b->node : "no node");
	else
		strbuf_printf(says, "not in use; the block belongs to %s", b->node ? b->node : "no node");
}

/* The ranges of Services are the default one's. */
static void about_configuration(const struct request *r, const struct object *o, const struct addr *a,
				struct strbuf *says)
{
	struct service_range range;
	char text[PREFIX_STRLEN];

	for (unsigned i = 0; strcmp(o->name, "default") == 0 && service_range(r->d->service, i, &range); i++)
		if (prefix_contains(&range.prefix, a))
			strbuf_printf(says, "%s%s of its %s holds it, %s: %s", says->len ? "; " : "",
				      prefix_format(&range.prefix, text), service_origin_field(range.from),
				      range.announced ? "announced" : "not announced", range.why);
}

static void about_service(const struct request *r, const struct object *o, const struct addr *a, struct strbuf *says)
{
	static const char *const origins[SERVICE_ORIGIN_COUNT] = {
	    [SERVICE_CLUSTER_IP] = "cluster IP",
	    [SERVICE_EXTERNAL_IP] = "external IP",
	    [SERVICE_LOAD_BALANCER_IP] = "load balancer's address",
	};
	const struct obj_service *s = (const struct obj_service *)(const void *)o;

	for (unsigned i = 0; i < s->addr_count; i++) {
		const char *why;
		bool announced;
		if (!addr_equal(&s->addrs[i].addr, a))
			continue;
		announced = service_is_announced(r->d->service, s, i, &why);
		strbuf_printf(says, "%sits %s, %s: %s", says->len ? "; " : "", origins[s->addrs[i].from],
			      announced ? "announced by this node" : "not announced by itself", why);
	}
}

static void explain_objects(struct request *r, const struct addr *a)
{
	static const struct {
		enum object_kind kind;
		void (*about)(const struct request *r, const struct object *o, const struct addr *a,
			      struct strbuf *says);
	} kinds[] = {
	    {OBJ_IP_POOL, about_pool},
	    {OBJ_BLOCK_AFFINITY, about_affinity},
	    {OBJ_IPAM_BLOCK, about_block},
	    {OBJ_WORKLOAD_ENDPOINT, about_workload},
	    {OBJ_BGP_CONFIGURATION, about_configuration},
	    {OBJ_SERVICE, about_service},
	};
	struct strbuf says = {0};

	out_table(&r->out, "objects", "Objects of the datastore", "none is about this address");
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		unsigned pos = 0;
		for (const struct object *o; (o = store_next(r->d->store, kinds[i].kind, &pos));) {
			strbuf_reset(&says);
			kinds[i].about(r, o, a, &says);
			if (says.len)
				object_row(r, o, says.s);
		}
	}
	out_end(&r->out);
	strbuf_free(&says);
}

/* ---- RIB ---- */

/* What became of a route that a peer sent when it came in. */
static void put_import(struct request *r, const struct rib_view *v)
{
	const struct rib_peer_conf *conf = rib_peer_config(v->route.peer);
	struct policy_input in = {
	    .prefix = v->prefix,
	    .source = v->route.source,
	    .local_pref = v->route.attrs->local_pref,
	    .ibgp = !conf->ebgp,
	    .attrs = v->route.attrs,
	};
	const struct nexthop *nh = v->route.attrs->next_hop;
	const char *outcome = v->route.rejected ? "rejected" : "accepted", *why = v->route.why;

	if (v->route.source != SOURCE_BGP) {
		out_text(&r->out, NULL, "IMPORT", NULL);
		return;
	}
	if (nh)
		fib_nexthop_interface(show_fib(r), &nh->addr.addr, in.interface);
	if (!v->route.rejected)
		why = conf->import ? policy_eval(conf->import, &in).why : "no policy";
	out_text(&r->out, "import", NULL, outcome);
	out_text(&r->out, "import_reason", NULL, why);
	out_printf(&r->out, NULL, "IMPORT", "%s%s%s", outcome, why ? ": " : "", why ? why : "");
}

static void on_route(void *arg, const struct rib_view *v)
{
	struct request *r = arg;

	out_row(&r->out);
	show_route(r, v, false);
	put_import(r, v);
	out_end(&r->out);
}

/* Next hops that BFD has taken out of service: each is to be named once. */
struct dead_next_hops {
	struct request *r;
	const struct lifeline *found[16];
	unsigned count;
};

static void on_next_hop(void *arg, const struct rib_view *v)
{
	struct dead_next_hops *dead = arg;
	const struct nexthop *nh = v->route.attrs->next_hop;
	const struct lifeline *w = nh ? liveness_find_dead(dead->r->d->liveness, &nh->addr.addr) : NULL;

	for (unsigned i = 0; i < dead->count; i++)
		if (dead->found[i] == w)
			return;
	if (w && dead->count < sizeof dead->found / sizeof *dead->found)
		dead->found[dead->count++] = w;
}

static void explain_dead(struct request *r, const struct prefix *p)
{
	struct dead_next_hops dead = {.r = r};

	rib_show_prefix(show_rib(r), p, on_next_hop, &dead);
	if (!dead.count)
		return;
	out_table(&r->out, "gateways_down", "Next hops that are down (BFD)", NULL);
	for (unsigned n = 0; n < dead.count; n++) {
		struct bfd_session_info i = bfd_session_info(dead.found[n]->session);
		out_row(&r->out);
		out_addr(&r->out, "gateway", "GATEWAY", &dead.found[n]->remote);
		out_duration(&r->out, "since", "SINCE", show_age(i.down_at));
		out_text(&r->out, "reason", "WHY", i.down_reason);
		out_end(&r->out);
	}
	out_end(&r->out);
}

static void on_refused(void *arg, const struct rib_view *v)
{
	const struct nexthop *nh = v->route.attrs->next_hop;
	struct request *r = arg;
	const char *why = NULL;

	if (v->best && v->route.source == SOURCE_BGP && nh)
		why = overlay_refusal(r->d->overlay, &v->prefix, &nh->addr.addr);
	if (why)
		out_text(&r->out, "not_in_kernel", "Not in the kernel, as", why);
}

static void explain_origin(struct request *r, const struct prefix *p)
{
	struct strbuf origin = {0};

	strbuf_puts(&origin, "");
	locals_origin(r->d->locals, p, &origin);
	if (origin.len)
		out_text(&r->out, "local_origin", "Originated here for", origin.s);
	strbuf_free(&origin);
}

/* True, with the longest prefix around the address, if the RIB has one. */
static bool explain_rib(struct request *r, const struct addr *a, struct prefix *p)
{
	bool found = rib_lookup(show_rib(r), a, p);

	out_section(&r->out, "rib", "BGP and local routes");
	if (found) {
		out_prefix(&r->out, "prefix", "Longest prefix", p);
		explain_origin(r, p);
		if (!show_instance(r))
			rib_show_prefix(show_rib(r), p, on_refused, r);
		out_table(&r->out, "routes", NULL, NULL);
		rib_show_prefix(show_rib(r), p, on_route, r);
		out_end(&r->out);
		explain_dead(r, p);
	} else {
		out_text(&r->out, "prefix", NULL, NULL);
		out_note(&r->out, "no prefix covers it: no peer announced one, and no object gives this node one");
	}
	out_end(&r->out);
	return found;
}

/* ---- Export ---- */

/* Peers that get the same answer. */
struct export_answer {
	bool sent;
	const char *why;
	const char *example;
	unsigned peers;
};
struct export_answers {
	struct export_answer *list;
	unsigned count;
};

static void count_answer(struct export_answers *s, const struct rib_export_view *v, const char *peer)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (s->list[i].sent == v->sent && strcmp(s->list[i].why, v->why) == 0) {
			s->list[i].peers++;
			return;
		}
	}
	s->list = mem_realloc(s->list, (s->count + 1) * sizeof *s->list);
	s->list[s->count++] = (struct export_answer){v->sent, v->why, peer, 1};
}

static struct rib_export_view export_view(const struct peer *p, const struct prefix *prefix)
{
	struct rib_export_view v = rib_explain_export(p->rib, prefix);

	if (!v.why)
		v.why = "";
	return v;
}

/* A line for each path, of peers that take several (RFC 7911). */
struct path_rows {
	struct request *r;
	const char *peer;
};

static void on_path(void *arg, const struct rib_route *route, uint32_t path_id, bool sent, const char *why)
{
	const struct path_rows *rows = arg;
	struct out *o = &rows->r->out;
	const char *from = show_route_from(rows->r, route);
	const struct nexthop *nh = route->attrs->next_hop;
	struct addr via = nh ? nh->addr.addr : (struct addr){0};
	char text[ADDR_STRLEN];

	out_row(o);
	out_text(o, "peer", "PEER", rows->peer);
	out_bool(o, "announced", "ANNOUNCED", sent);
	out_text(o, "reason", NULL, why);
	if (sent)
		out_number(o, "path_id", NULL, path_id);
	out_text(o, "from", NULL, from);
	out_addr(o, "next_hop", NULL, &via);
	if (sent)
		out_printf(o, NULL, "REASON", "path %u, from %s via %s: %s", path_id, from, addr_format(&via, text),
			   why);
	else
		out_printf(o, NULL, "REASON", "from %s via %s: %s", from, addr_format(&via, text), why);
	out_end(o);
}

static void explain_each_peer(struct request *r, const struct prefix *prefix)
{
	struct peer *p;

	for (unsigned n = 0; (p = speaker_peer(r->d->speaker, n)); n++) {
		struct rib_export_view v;
		if (p->instance != show_instance(r))
			continue;
		v = export_view(p, prefix);
		if (v.add_path) {
			rib_explain_paths(p->rib, prefix, on_path, &(struct path_rows){r, p->want.name});
			continue;
		}
		out_row(&r->out);
		out_text(&r->out, "peer", "PEER", p->want.name);
		out_bool(&r->out, "announced", "ANNOUNCED", v.sent);
		out_text(&r->out, "reason", "REASON", v.why);
		out_end(&r->out);
	}
}

static void explain_peers_counted(struct request *r, const struct prefix *prefix)
{
	struct export_answers s = {0};
	struct peer *p;

	for (unsigned n = 0; (p = speaker_peer(r->d->speaker, n)); n++) {
		struct rib_export_view v;
		if (p->instance != show_instance(r))
			continue;
		v = export_view(p, prefix);
		count_answer(&s, &v, p->want.name);
	}
	for (unsigned i = 0; i < s.count; i++) {
		const struct export_answer *e = &s.list[i];
		out_row(&r->out);
		out_number(&r->out, "peers", "PEERS", e->peers);
		out_text(&r->out, "peer", "FOR EXAMPLE", e->example);
		out_bool(&r->out, "announced", "ANNOUNCED", e->sent);
		out_text(&r->out, "reason", "REASON", e->why);
		out_end(&r->out);
	}
	free(s.list);
}

static void explain_export(struct request *r, const struct prefix *prefix)
{
	char heading[PREFIX_STRLEN + 40], text[PREFIX_STRLEN];

	snprintf(heading, sizeof heading, "To whom %s is announced", prefix_format(prefix, text));
	out_table(&r->out, "export", heading, "there are no peers");
	if (speaker_count(r->d->speaker) > PEERS_LISTED)
		explain_peers_counted(r, prefix);
	else
		explain_each_peer(r, prefix);
	out_end(&r->out);
}

/* ---- Kernel ---- */

static void on_kernel(void *arg, const struct fib_view *v)
{
	struct request *r = arg;

	out_row(&r->out);
	show_kernel_route(r, v);
	out_end(&r->out);
}

static void explain_kernel(struct request *r, const struct addr *a)
{
	char answer[256] = "";

	out_table(&r->out, "kernel_routes", "Routes for the kernel",
		  r->d->wants_bgp ? "none of ours covers it"
				  : "none: a reflector with kernel.programming off keeps BGP's routes to itself");
	fib_explain(show_fib(r), a, on_kernel, r);
	out_end(&r->out);
	/* Which packets are routed by a table without a VRF, ip rules alone say. */
	if (show_instance(r) && !show_instance(r)->vrf[0])
		return;
	fib_kernel_lookup(show_fib(r), a, answer, sizeof answer);
	out_section(&r->out, "kernel", "What the kernel does with it");
	out_text(&r->out, "lookup", NULL, answer);
	out_note(&r->out, "%s", answer);
	out_end(&r->out);
}

static bool explain_start(struct request *r)
{
	struct prefix prefix;
	struct addr a;
	unsigned len;

	if (!show_take_table(r))
		return false;
	if (r->argc != 1) {
		snprintf(r->error, sizeof r->error, "one address at a time");
		return false;
	}
	if (!prefix_parse_host(&a, &len, r->argv[0])) {
		snprintf(r->error, sizeof r->error, "\"%.60s\" is no address", r->argv[0]);
		return false;
	}
	out_addr(&r->out, "address", "Address", &a);
	show_table(r, show_instance(r));
	if (show_instance(r))
		out_text(&r->out, NULL, "Table", show_instance(r)->name);
	explain_objects(r, &a);
	if (explain_rib(r, &a, &prefix))
		explain_export(r, &prefix);
	explain_kernel(r, &a);
	return true;
}
const struct command_ops command_explain = {.start = explain_start};
