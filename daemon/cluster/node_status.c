#include "daemon/cluster/node_status.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/base/mono.h"
#include "daemon/cluster/cluster.h"
#include "daemon/control/out.h"
#include "daemon/peers/link.h"
#include "daemon/peers/speaker.h"
#include "rib/attrs.h"

/* An object of the API holds a megabyte and a half at most. Of a family, and half of them for the kernel's, if it has
 * so many. */
#define ROUTES_MOST 4000u

#define TIME_LEN 32
static const char *format_time(int64_t wall, char buf[static TIME_LEN])
{
	time_t t = (time_t)wall;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(buf, TIME_LEN, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return buf;
}

/* ---- Agent: what BIRD says of itself, per family ---- */

static void put_agent(const struct daemon *d, struct out *o, struct store_report *r)
{
	static const char *const keys[FAM_COUNT] = {"birdV4", "birdV6"};
	const struct self *self = cluster_self(d->cluster);
	struct addr id = addr_from_u32(self->router_id);
	char text[ADDR_STRLEN], when[TIME_LEN];

	(void)r;
	out_section(o, "agent", NULL);
	for (int f = 0; f < FAM_COUNT; f++) {
		bool ready = speaker_has_started(d->speaker);
		out_section(o, keys[f], NULL);
		out_text(o, "state", NULL, addr_is_none(&self->ip[f].addr) ? "Unknown" : ready ? "Ready" : "NotReady");
		out_text(o, "version", NULL, "Calidris " CALIDRIS_VERSION);
		out_text(o, "routerID", NULL, self->router_id ? addr_format(&id, text) : "");
		out_text(o, "lastBootTime", NULL, format_time(mono_to_wall(d->started), when));
		out_text(o, "lastReconfigurationTime", NULL, when);
		out_end(o);
	}
	out_end(o);
}

/* ---- BGP ---- */

static const char *const peer_types[] = {
    [PEER_MESH] = "NodeMesh",	 [PEER_GLOBAL] = "GlobalPeer",	     [PEER_NODE] = "NodePeer",
    [PEER_DYNAMIC] = "NodePeer", [PEER_LOCAL_WORKLOAD] = "NodePeer",
};

/* A session that is held back, since another one carries its routes, is none that should be up. */
static bool counts(const struct peer *p, enum family f)
{
	return family_of_af(link_remote(p).af) == f && p->held == PEER_NOT_HELD;
}

static void put_peers(const struct daemon *d, struct out *o, enum family f, const char *key)
{
	char text[ADDR_STRLEN], when[TIME_LEN];
	struct peer *p;

	out_table(o, key, NULL, NULL);
	for (unsigned n = 0; (p = speaker_peer(d->speaker, n)); n++) {
		struct bgp_session_info i = bgp_session_info(p->session);
		struct addr remote = link_remote(p);
		if (!counts(p, f))
			continue;
		out_row(o);
		out_text(o, "peerIP", NULL, addr_format(&remote, text));
		out_text(o, "type", NULL, peer_types[p->want.kind]);
		out_text(o, "state", NULL, bgp_state_name(i.state));
		out_text(o, "since", NULL, format_time(mono_to_wall(i.since), when));
		out_end(o);
	}
	out_end(o);
}

static unsigned count_peers(const struct daemon *d, enum family f, bool up)
{
	unsigned count = 0;
	struct peer *p;

	for (unsigned n = 0; (p = speaker_peer(d->speaker, n)); n++)
		count += counts(p, f) && (bgp_session_state(p->session) == BGP_ESTABLISHED) == up;
	return count;
}

static void put_bgp(const struct daemon *d, struct out *o, struct store_report *r)
{
	(void)r;
	out_section(o, "bgp", NULL);
	out_number(o, "numberEstablishedV4", NULL, count_peers(d, FAM_IPV4, true));
	out_number(o, "numberNotEstablishedV4", NULL, count_peers(d, FAM_IPV4, false));
	out_number(o, "numberEstablishedV6", NULL, count_peers(d, FAM_IPV6, true));
	out_number(o, "numberNotEstablishedV6", NULL, count_peers(d, FAM_IPV6, false));
	put_peers(d, o, FAM_IPV4, "peersV4");
	put_peers(d, o, FAM_IPV6, "peersV6");
	out_end(o);
}

/* ---- Routes ---- */

struct routes {
	const struct daemon *d;
	struct out *o;
	unsigned count, most;
};

/* The word behind another one of a route as `ip route` prints it. */
static void word_after(const char *route, const char *key, char *out, size_t size)
{
	const char *at = strstr(route, key);

	*out = '\0';
	if (at)
		snprintf(out, size, "%.*s", (int)strcspn(at + strlen(key), " "), at + strlen(key));
}

static void put_source(struct routes *w, const struct rib_route *route)
{
	const struct peer *p = rib_peer_arg(route->peer);
	bool is_local = route->peer == rib_local_peer(w->d->rib);
	struct addr remote;
	char text[ADDR_STRLEN];

	out_section(w->o, "learnedFrom", NULL);
	if (is_local) {
		out_text(w->o, "sourceType", NULL, route->source == SOURCE_WORKLOAD ? "Kernel" : "Static");
	} else {
		remote = link_remote(p);
		out_text(w->o, "sourceType", NULL, p->want.kind == PEER_MESH ? "NodeMesh" : "BGPPeer");
		out_text(w->o, "peerIP", NULL, addr_format(&remote, text));
	}
	out_end(w->o);
}

/* What is selected, in the RIB and for the kernel. */
static void on_route(void *arg, const struct rib_view *v)
{
	struct routes *w = arg;
	const struct nexthop *nh = v->route.attrs ? v->route.attrs->next_hop : NULL;
	char text[PREFIX_STRLEN];

	if (!v->best || w->count >= w->most)
		return;
	w->count++;
	out_row(w->o);
	out_text(w->o, "type", NULL, "RIB");
	out_text(w->o, "destination", NULL, prefix_format(&v->prefix, text));
	out_text(w->o, "gateway", NULL, nh ? addr_format(&nh->addr.addr, text) : "N/A");
	out_text(w->o, "interface", NULL, "");
	put_source(w, &v->route);
	out_end(w->o);
}

static void put_kernel(struct routes *w, enum family f)
{
	char text[PREFIX_STRLEN], gateway[ADDR_STRLEN], device[32];
	uint64_t pos = 0;
	struct fib_view v;

	while (w->count < ROUTES_MOST && fib_next(w->d->fib, &pos, &v)) {
		if (v.state != FIB_INSTALLED || family_of_af(v.prefix.addr.af) != f)
			continue;
		w->count++;
		word_after(v.route, "via ", gateway, sizeof gateway);
		word_after(v.route, "dev ", device, sizeof device);
		out_row(w->o);
		out_text(w->o, "type", NULL, "FIB");
		out_text(w->o, "destination", NULL, prefix_format(&v.prefix, text));
		out_text(w->o, "gateway", NULL, *gateway ? gateway : "N/A");
		out_text(w->o, "interface", NULL, device);
		out_section(w->o, "learnedFrom", NULL);
		out_text(w->o, "sourceType", NULL, v.class == FIB_BLOCK ? "Static" : "Kernel");
		out_end(w->o);
		out_end(w->o);
	}
}

static void note_omitted(const struct daemon *d, struct store_report *r, enum family f, unsigned listed)
{
	struct rib_stats rib = rib_stats(d->rib);
	size_t len = strlen(r->omitted);

	if (listed < rib.prefixes[f])
		snprintf(r->omitted + len, sizeof r->omitted - len, "%s%u of %u %s prefixes are listed",
			 len ? ", " : "", listed, rib.prefixes[f], family_name(f));
}

static void put_routes(const struct daemon *d, struct out *o, struct store_report *r)
{
	static const char *const keys[FAM_COUNT] = {"routesV4", "routesV6"};

	out_section(o, "routes", NULL);
	for (int f = 0; f < FAM_COUNT; f++) {
		struct fib_stats fib = fib_stats(d->fib);
		unsigned kernel = fib.installed < ROUTES_MOST / 2 ? fib.installed : ROUTES_MOST / 2;
		struct routes w = {.d = d, .o = o, .most = ROUTES_MOST - kernel};
		uint64_t pos = 0;
		out_table(o, keys[f], NULL, NULL);
		while (rib_walk(d->rib, (enum family)f, &pos, 1000, on_route, &w) && w.count < w.most)
			;
		if (w.count >= w.most)
			note_omitted(d, r, (enum family)f, w.count);
		put_kernel(&w, (enum family)f);
		out_end(o);
	}
	out_end(o);
}

static const struct {
	unsigned class;
	void (*put)(const struct daemon *d, struct out *o, struct store_report *r);
} classes_put[] = {
    {STORE_REPORT_AGENT, put_agent},
    {STORE_REPORT_BGP, put_bgp},
    {STORE_REPORT_ROUTES, put_routes},
};

void node_status(const struct daemon *d, struct store_report *r)
{
	char when[TIME_LEN];
	struct out o;

	out_begin(&o, r->out, true);
	for (size_t i = 0; i < sizeof classes_put / sizeof *classes_put; i++)
		if (r->classes & classes_put[i].class)
			classes_put[i].put(d, &o, r);
	out_text(&o, "lastUpdated", NULL, format_time(mono_to_wall(mono_now()), when));
	out_finish(&o);
}
