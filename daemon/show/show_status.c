/* show status, show problems. */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/mono.h"
#include "daemon/cluster/cluster.h"
#include "daemon/instance.h"
#include "daemon/monitor/bmp.h"
#include "daemon/monitor/mrt_schedule.h"
#include "daemon/peers/link.h"
#include "daemon/peers/liveness.h"
#include "daemon/peers/speaker.h"
#include "daemon/show/show.h"

/* Peers and problems that show status names before it refers to the other commands. */
#define STATUS_LINES 10u

/* ---- Problems ---- */

static void datastore_problems(struct daemon *d, struct strbuf *out)
{
	struct store_status s = store_status(d->store);
	const struct store_refusal *f;

	if (!s.in_sync)
		strbuf_printf(out, "datastore %s: %s; %s\n", *s.location ? s.location : s.backend,
			      s.problem ? s.problem : "not read yet",
			      s.changes ? "what was known stays in force" : "nothing is known yet");
	if (s.cache_problem)
		strbuf_printf(out, "%s; a start without the datastore would not know what came since\n",
			      s.cache_problem);
	for (unsigned i = 0; (f = store_refusal(d->store, i)); i++) {
		store_refusal_format(f, out);
		strbuf_putc(out, '\n');
	}
}

/* Sessions that should be up. One that is held back on purpose is none of them. */
static bool is_down(const struct peer *p, const struct bgp_session_info *i)
{
	return i->state != BGP_ESTABLISHED && p->held == PEER_NOT_HELD && !p->range;
}

static void peer_problems(struct daemon *d, struct strbuf *out)
{
	struct peer *p;

	for (unsigned n = 0; (p = speaker_peer(d->speaker, n)); n++) {
		struct bgp_session_info i = bgp_session_info(p->session);
		struct addr remote = link_remote(p);
		char addr[ADDR_STRLEN], wait[160];
		const char *why = link_wait(p, wait, sizeof wait);
		if (!why)
			why = i.last_error;
		if (is_down(p, &i))
			strbuf_printf(out, "peer %s (%s) is not up: %s%s%s\n", p->want.name, addr_format(&remote, addr),
				      bgp_state_name(i.state), *why ? ", " : "", why);
	}
}

static void kernel_problems(struct daemon *d, struct strbuf *out)
{
	struct fib_stats s = fib_stats(d->fib);
	const struct instance *i;

	if (s.unresolved || s.failed)
		strbuf_printf(
		    out,
		    "kernel: %u routes wait for an interface or next hop, %u were refused; show kernel lists them\n",
		    s.unresolved, s.failed);
	fib_problems(d->fib, out);
	LIST_FOREACH(i, &d->instances, link)
	{
		s = fib_stats(i->fib);
		if (fib_table(i->fib) && (s.unresolved || s.failed))
			strbuf_printf(out,
				      "kernel, %s: %u routes wait for an interface or next hop, %u were refused; show "
				      "kernel table %s lists them\n",
				      i->name, s.unresolved, s.failed, strchr(i->name, ' ') + 1);
	}
}

static void mrt_problems(struct daemon *d, struct strbuf *out)
{
	struct mrt_schedule_status s = mrt_schedule_status(d->mrt);

	if (*s.problem)
		strbuf_printf(out, "%s\n", s.problem);
}

static void bmp_problems(struct daemon *d, struct strbuf *out)
{
	struct bmp_station_info i;
	char at[ENDPOINT_STRLEN];

	for (unsigned n = 0; bmp_station_info(d->bmp, n, &i); n++)
		if (!i.is_up && *i.last_error)
			strbuf_printf(out, "BMP station %s is not told anything: %s\n", endpoint_format(&i.at, at),
				      i.last_error);
}

void show_collect_problems(struct daemon *d, struct strbuf *out)
{
	strbuf_puts(out, "");
	cluster_problems(d->cluster, out);
	speaker_problems(d->speaker, out);
	datastore_problems(d, out);
	peer_problems(d, out);
	liveness_problems(d->liveness, out);
	kernel_problems(d, out);
	mrt_problems(d, out);
	bmp_problems(d, out);
}

static bool problems_start(struct request *r)
{
	struct strbuf text = {0};

	show_collect_problems(r->d, &text);
	if (!text.len)
		out_note(&r->out, "no problems");
	out_lines(&r->out, "problems", NULL, text.s);
	strbuf_free(&text);
	return true;
}
const struct command_ops command_show_problems = {.start = problems_start};

/* ---- Status ---- */

/* In text only if it is not the Node object, as it is mostly. */
static void put_address_source(struct out *o, const char *key, const char *label, const struct self *self,
			       enum family f)
{
	enum self_source from = self->ip_from[f];
	static const char *const sources[] = {
	    [SELF_FROM_OBJECT] = "object", [SELF_CONFIGURED] = "configuration", [SELF_DETECTED] = "autodetection"};

	out_text(o, key, NULL, sources[from]);
	if (from != SELF_FROM_OBJECT)
		out_printf(o, NULL, label, "%s%s", sources[from],
			   self_is_known(self, f) ? "" : "; the other nodes do not know it");
}

static void status_node(struct request *r)
{
	const struct self *self = cluster_self(r->d->cluster);
	struct addr id = addr_from_u32(self->router_id), none = {0};
	struct out *o = &r->out;

	out_text(o, "version", "Version", CALIDRIS_VERSION);
	out_duration(o, "uptime", "Up for", show_age(r->d->started));
	out_text(o, "node", "Node", self->name);
	out_bool(o, "node_object", NULL, self->node != NULL);
	out_addr(o, "ipv4_address", "IPv4 address", &self->ip[FAM_IPV4].addr);
	put_address_source(o, "ipv4_address_from", "IPv4 address from", self, FAM_IPV4);
	out_bool(o, "ipv4_address_known", NULL, self_is_known(self, FAM_IPV4));
	out_addr(o, "ipv6_address", "IPv6 address", &self->ip[FAM_IPV6].addr);
	put_address_source(o, "ipv6_address_from", "IPv6 address from", self, FAM_IPV6);
	out_bool(o, "ipv6_address_known", NULL, self_is_known(self, FAM_IPV6));
	out_number(o, "as", "AS", self->as);
	out_addr(o, "router_id", "Router id", self->router_id ? &id : &none);
	if (self->cluster_id) {
		struct addr cluster = addr_from_u32(self->cluster_id);
		out_addr(o, "cluster_id", "Reflector, cluster id", &cluster);
	}
	out_bool(o, "mesh", "Node-to-node mesh", self->mesh);
	out_bool(o, "graceful_shutdown", self->graceful_shutdown ? "Graceful shutdown announced" : NULL,
		 self->graceful_shutdown);
}

/* What only a remote datastore has. */
static void status_remote(struct out *o, const struct store_status *s)
{
	time_t cached = (time_t)s->cached;
	char ago[16] = "", at[32] = "";
	struct tm utc;

	out_text(o, "revision", NULL, s->revision);
	if (s->heard) {
		out_duration(o, "lag", NULL, show_age(s->heard));
		mono_format(show_age(s->heard), ago);
		out_printf(o, NULL, "Revision", "%s, heard of %s ago", s->revision ? s->revision : "none", ago);
	}
	out_bool(o, "cached", NULL, s->cached);
	if (s->cached && gmtime_r(&cached, &utc)) {
		strftime(at, sizeof at, "%Y-%m-%d %H:%M:%S UTC", &utc);
		out_text(o, "cached_at", "From the cache of", at);
	}
}

static void status_datastore(struct request *r)
{
	struct store_status s = store_status(r->d->store);
	unsigned objects = 0;
	char since[16] = "";

	for (int k = 0; k < OBJ_KIND_COUNT; k++)
		objects += store_count(r->d->store, (enum object_kind)k);
	if (s.since)
		mono_format(show_age(s.since), since);
	out_section(&r->out, "datastore", NULL);
	out_text(&r->out, "backend", NULL, s.backend);
	out_text(&r->out, "location", NULL, s.location);
	out_bool(&r->out, "in_sync", NULL, s.in_sync);
	out_text(&r->out, "problem", NULL, s.problem);
	out_number(&r->out, "objects", NULL, objects);
	out_number(&r->out, "changes", NULL, s.changes);
	out_number(&r->out, "refused", NULL, s.refused);
	out_printf(&r->out, NULL, "Datastore", "%s %s, %s%s%s", s.backend ? s.backend : "none",
		   s.location ? s.location : "", s.in_sync ? "in sync" : "NOT in sync", *since ? " for " : "", since);
	status_remote(&r->out, &s);
	out_printf(&r->out, NULL, "Objects", "%u, %" PRIu64 " changes, %u refused", objects, s.changes, s.refused);
	out_end(&r->out);
}

static void status_restart(struct request *r)
{
	struct restart_status s = speaker_restart(r->d->speaker);
	char left[16];

	out_section(&r->out, "restart", NULL);
	out_bool(&r->out, "in_progress", NULL, s.in_progress);
	out_duration(&r->out, "left", NULL, s.left);
	out_number(&r->out, "waiting_for_peers", NULL, s.waiting);
	out_text(&r->out, "ended", NULL, s.ended);
	if (s.in_progress)
		out_printf(&r->out, NULL, "Restart", "in progress: waits for %u peers, %s at most", s.waiting,
			   mono_format(s.left, left));
	else
		out_printf(&r->out, NULL, "Restart", "over%s%s", s.ended ? ": " : "", s.ended ? s.ended : "");
	out_end(&r->out);
}

static void status_routes(struct request *r)
{
	struct rib_stats s = rib_stats(r->d->rib);
	unsigned up = 0, total = speaker_count(r->d->speaker);

	for (unsigned n = 0; n < total; n++)
		up += bgp_session_state(speaker_peer(r->d->speaker, n)->session) == BGP_ESTABLISHED;
	out_section(&r->out, "peers", NULL);
	out_number(&r->out, "up", NULL, up);
	out_number(&r->out, "total", NULL, total);
	out_printf(&r->out, NULL, "Peers", "%u of %u up", up, total);
	out_end(&r->out);
	for (int f = 0; f < FAM_COUNT; f++) {
		out_section(&r->out, family_name((enum family)f), NULL);
		out_number(&r->out, "prefixes", NULL, s.prefixes[f]);
		out_number(&r->out, "routes", NULL, s.routes[f]);
		out_bool(&r->out, "released", NULL, s.released[f]);
		out_bool(&r->out, "kernel_synced", NULL, fib_is_synced(r->d->fib, (enum family)f));
		out_printf(&r->out, NULL, f == FAM_IPV4 ? "IPv4" : "IPv6", "%u prefixes, %u routes%s%s", s.prefixes[f],
			   s.routes[f], s.released[f] ? "" : "; nothing is announced yet",
			   fib_is_synced(r->d->fib, (enum family)f) ? "" : "; stale kernel routes are kept");
		out_end(&r->out);
	}
}

static void status_kernel(struct request *r)
{
	struct fib_stats s = fib_stats(r->d->fib);

	out_section(&r->out, "kernel", NULL);
	out_number(&r->out, "wanted", NULL, s.intents);
	out_number(&r->out, "installed", NULL, s.installed);
	out_number(&r->out, "unresolved", NULL, s.unresolved);
	out_number(&r->out, "failed", NULL, s.failed);
	out_number(&r->out, "stale", NULL, s.stale);
	out_number(&r->out, "adopted", NULL, s.adopted);
	out_number(&r->out, "writes", NULL, s.writes);
	out_number(&r->out, "deletes", NULL, s.deletes);
	out_number(&r->out, "batches", NULL, s.batches);
	out_number(&r->out, "errors", NULL, s.errors);
	out_number(&r->out, "repaired", NULL, s.repaired);
	out_number(&r->out, "resyncs", NULL, s.resyncs);
	out_printf(&r->out, NULL, "Kernel", "%u wanted, %u installed, %u unresolved, %u failed, %u stale", s.intents,
		   s.installed, s.unresolved, s.failed, s.stale);
	out_end(&r->out);
}

/* Nothing, unless peers are in tables of their own. */
static void status_tables(struct request *r)
{
	const struct instance *i;

	if (LIST_EMPTY(&r->d->instances))
		return;
	out_table(&r->out, "tables", "Tables besides the node's own", NULL);
	LIST_FOREACH(i, &r->d->instances, link)
	{
		struct rib_stats rib = rib_stats(i->rib);
		struct fib_stats fib = fib_stats(i->fib);

		out_row(&r->out);
		out_text(&r->out, "vrf", "VRF", i->vrf);
		out_number(&r->out, "table", "TABLE", fib_table(i->fib));
		out_number(&r->out, "prefixes", "PREFIXES", rib.prefixes[FAM_IPV4] + rib.prefixes[FAM_IPV6]);
		out_number(&r->out, "routes", NULL, rib.routes[FAM_IPV4] + rib.routes[FAM_IPV6]);
		out_number(&r->out, "wanted", "WANTED", fib.intents);
		out_number(&r->out, "installed", "INSTALLED", fib.installed);
		out_number(&r->out, "adopted", NULL, fib.adopted);
		out_number(&r->out, "writes", NULL, fib.writes);
		out_end(&r->out);
	}
	out_end(&r->out);
}

/* Nothing, unless tables are dumped on a schedule. */
static void status_mrt(struct request *r)
{
	struct mrt_schedule_status s = mrt_schedule_status(r->d->mrt);
	char ago[16], next[16];

	if (!s.on)
		return;
	out_section(&r->out, "mrt", NULL);
	out_bool(&r->out, "running", NULL, s.running);
	out_duration(&r->out, "next", NULL, s.next);
	out_text(&r->out, "last_file", NULL, s.last_file);
	out_number(&r->out, "last_routes", NULL, s.last_routes);
	out_number(&r->out, "last_octets", NULL, s.last_octets);
	out_duration(&r->out, "last_took", NULL, s.last_took);
	out_text(&r->out, "problem", NULL, s.problem);
	mono_format(s.next, next);
	if (*s.last_file)
		out_printf(&r->out, NULL, "Table dumps", "last %s, %" PRIu64 " routes, %s ago; next in %s", s.last_file,
			   s.last_routes, mono_format(show_age(s.last_at), ago), next);
	else
		out_printf(&r->out, NULL, "Table dumps", "none yet; next in %s", next);
	out_end(&r->out);
}

static void status_loop(struct request *r)
{
	const struct loop_stats *s = loop_stats(r->d->loop);

	out_section(&r->out, "loop", NULL);
	out_number(&r->out, "turns", NULL, s->turns);
	out_duration(&r->out, "worst_turn", NULL, s->worst);
	out_duration(&r->out, "worst_turn_cpu", NULL, s->worst_cpu);
	out_end(&r->out);
}

/* In text, the first few; the rest is one command away. */
static void status_problems(struct request *r)
{
	struct strbuf text = {0};
	unsigned lines = 0, left = 0;
	size_t end = 0;

	show_collect_problems(r->d, &text);
	for (size_t i = 0; i < text.len; i++) {
		if (text.s[i] != '\n')
			continue;
		if (lines++ < STATUS_LINES)
			end = i + 1;
		else
			left++;
	}
	if (left && !r->json) {
		text.s[end] = '\0';
		text.len = end;
		strbuf_printf(&text, "... and %u more: calidris show problems\n", left);
	}
	out_lines(&r->out, "problems", "Problems", text.s);
	strbuf_free(&text);
}

static bool status_start(struct request *r)
{
	status_node(r);
	status_datastore(r);
	status_restart(r);
	status_routes(r);
	status_kernel(r);
	status_tables(r);
	status_mrt(r);
	status_loop(r);
	status_problems(r);
	return true;
}
const struct command_ops command_show_status = {.start = status_start};
