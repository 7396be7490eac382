/* show peers [NAME]. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bgp/codec/msg.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/instance.h"
#include "daemon/peers/dynamic.h"
#include "daemon/peers/link.h"
#include "daemon/peers/speaker.h"
#include "daemon/show/show.h"

/* ---- The table ---- */

/* Held down for its limit: why, until when, and what to do. */
static void put_limit(struct loop *loop, const struct peer *p, struct strbuf *out)
{
	uint64_t left = loop_timer_left(loop, &p->limit.down->timer);
	char text[16];

	strbuf_printf(out, "down: %s; ", p->limit.down->text);
	if (left)
		strbuf_printf(out, "tried again in %s", mono_format(left, text));
	else
		strbuf_printf(out, "raise its prefixLimit, or calidris reset %s", p->want.name);
}

/* What is kept of a session that has ended, and how long. */
static void put_kept(const struct peer *p, struct strbuf *out)
{
	char left[16];

	for (int f = 0; f < FAM_COUNT; f++)
		if (p->stale >> f & 1)
			strbuf_printf(out, "%sits %s routes are %s for %s", out->len ? "; " : "",
				      family_name((enum family)f), p->helper.long_lived >> f & 1 ? "used last" : "kept",
				      mono_format(helper_left(p, (enum family)f), left));
}

/* Why it is as it is, in few words: of a session that is up, nothing. */
static void put_info(struct loop *loop, const struct peer *p, const struct bgp_session_info *i, struct strbuf *out)
{
	char retry[16], wait[160];
	const char *link = link_wait(p, wait, sizeof wait);

	strbuf_puts(out, "");
	if (!link)
		link = instance_trouble(peer_daemon(p), &p->want.opt, wait, sizeof wait);
	if (link) {
		strbuf_puts(out, link);
	} else if (i->state == BGP_ESTABLISHED) {
		if (p->stale)
			strbuf_puts(out, "has stale routes of its last session");
	} else if (p->limit.down) {
		put_limit(loop, p, out);
	} else if (p->held == PEER_HELD_DOWN) {
		strbuf_puts(out, "held back: the IPv4 session carries IPv6 too");
	} else if (*i->last_error) {
		strbuf_puts(out, i->last_error);
	} else if (p->want.passive || p->held == PEER_HELD_PASSIVE) {
		strbuf_puts(out, "passive: the peer connects");
	}
	if (i->state != BGP_ESTABLISHED && i->retry_in)
		strbuf_printf(out, "%snext attempt in %s", out->len ? "; " : "", mono_format(i->retry_in, retry));
	if (i->state != BGP_ESTABLISHED)
		put_kept(p, out);
}

/* The AS it has, if it is up; else the one it should have. */
static uint32_t peer_as(const struct peer *p, const struct bgp_session_info *i)
{
	return i->state == BGP_ESTABLISHED ? bgp_session_peer(p->session)->as : p->as;
}

static void put_peer(struct request *r, const struct peer *p)
{
	struct bgp_session_info i = bgp_session_info(p->session);
	struct rib_peer_stats s = rib_peer_stats(p->rib);
	struct addr remote = link_remote(p);
	struct strbuf info = {0};
	struct out *o = &r->out;

	put_info(r->d->loop, p, &i, &info);
	out_row(o);
	out_text(o, "name", "NAME", p->want.name);
	out_addr(o, "address", "ADDRESS", &remote);
	show_table(r, p->instance);
	if (!LIST_EMPTY(&r->d->instances))
		out_text(o, NULL, "TABLE", p->instance ? p->instance->name : "main");
	out_number(o, "as", "AS", peer_as(p, &i));
	out_text(o, "state", "STATE", bgp_state_name(i.state));
	out_duration(o, "since", "SINCE", show_age(i.since));
	out_number(o, "received", "RECEIVED", s.received[FAM_IPV4] + s.received[FAM_IPV6]);
	out_number(o, "accepted", NULL, s.accepted[FAM_IPV4] + s.accepted[FAM_IPV6]);
	out_number(o, "sent", "SENT", s.sent[FAM_IPV4] + s.sent[FAM_IPV6]);
	out_text(o, "origin", NULL, p->want.origin);
	out_bool(o, "passive", NULL, p->want.passive);
	out_text(o, "last_error", NULL, i.last_error);
	out_text(o, "info", "INFO", info.s);
	out_end(o);
	strbuf_free(&info);
}

/* ---- One peer ---- */

static void put_families(struct strbuf *out, uint8_t families)
{
	strbuf_puts(out, "");
	for (int f = 0; f < FAM_COUNT; f++)
		if (families >> f & 1)
			strbuf_printf(out, "%s%s", out->len ? ", " : "", family_name((enum family)f));
}

static void detail_families(struct request *r, const char *key, const char *label, uint8_t families)
{
	struct strbuf text = {0};

	put_families(&text, families);
	out_text(&r->out, key, label, text.s);
	strbuf_free(&text);
}

static void detail_session(struct request *r, const struct peer *p, const struct bgp_session_info *i)
{
	struct out *o = &r->out;
	struct addr remote = link_remote(p);
	struct strbuf info = {0};

	put_info(r->d->loop, p, i, &info);
	out_text(o, "name", "Name", p->want.name);
	out_text(o, "origin", "Origin", p->want.origin);
	out_text(o, "kind", "Kind", peer_kind_name(p->want.kind));
	out_addr(o, "address", "Address", &remote);
	show_table(r, p->instance);
	if (p->instance)
		out_printf(o, NULL, "Routes in", "%s", p->instance->name);
	out_text(o, "interface", "Interface", p->want.interface);
	out_number(o, "port", "Port", p->want.remote_port);
	out_addr(o, "local_address", "Local address", i->state == BGP_ESTABLISHED ? &i->local : &p->want.local);
	out_number(o, "as", "AS", peer_as(p, i));
	out_number(o, "local_as", "Local AS", p->want.local_as);
	out_text(o, "state", "State", bgp_state_name(i->state));
	out_duration(o, "since", "Since", show_age(i->since));
	out_text(o, "info", "Info", info.s);
	out_number(o, "established", "Times established", i->established);
	out_number(o, "attempts_failed", "Failed attempts", i->attempts_failed);
	out_text(o, "last_error", NULL, i->last_error);
	if (*i->last_error)
		out_printf(o, NULL, "Last error", "%s", i->last_error);
	if (i->last_error_at)
		out_duration(o, "last_error_ago", "Last error, how long ago", show_age(i->last_error_at));
	out_bool(o, "passive", "Passive", p->want.passive);
	if (i->state == BGP_ESTABLISHED)
		out_text(o, "dialled_by", "Dialled by", i->outgoing ? "this node" : "the peer");
	out_bool(o, "graceful_shutdown", "Graceful shutdown announced (RFC 8326)",
		 rib_peer_config(p->rib)->graceful_shutdown);
	out_bool(o, "reflector_client", "Route reflector client", rib_peer_config(p->rib)->rr_client);
	if (p->want.opt.add_path_limit)
		out_number(o, "add_path_limit", "Paths sent of a prefix, at most", p->want.opt.add_path_limit);
	out_bool(o, "password", "Password (RFC 2385)", p->want.password != NULL);
	out_number(o, "ttl_security", "TTL security, hops", p->want.ttl_security);
	strbuf_free(&info);
}

static void detail_timers(struct request *r, const struct peer *p, const struct bgp_session_info *i)
{
	struct out *o = &r->out;
	bool up = i->state == BGP_ESTABLISHED;

	out_section(o, "timers", "Timers");
	out_number(o, "hold_time_proposed", "Hold time proposed, s", p->want.hold_time);
	if (up) {
		out_number(o, "hold_time", "Hold time, s", i->hold_time);
		out_number(o, "keepalive_time", "Keepalive time, s", i->keepalive_time);
		out_duration(o, "hold_left", "Hold time left", i->hold_left);
	} else {
		out_duration(o, "retry_in", "Next attempt in", i->retry_in);
	}
	out_number(o, "restart_time", "Restart time announced, s", p->want.restart_time);
	out_number(o, "long_lived_stale_time", "Long-lived stale time announced, s",
		   bgp_session_config(p->session)->llgr_time);
	out_end(o);
}

/* One row per capability: what the peer announced. */
static void detail_capabilities(struct request *r, const struct bgp_open *peer, const struct bgp_codec *codec)
{
	const struct {
		const char *key, *label;
		bool has;
	} flags[] = {
	    {"multiprotocol", "Multiprotocol (RFC 4760)", peer->has_mp},
	    {"four_octet_as", "4-octet AS (RFC 6793)", peer->as4},
	    {"route_refresh", "Route refresh (RFC 2918)", peer->route_refresh},
	    {"enhanced_route_refresh", "Enhanced route refresh (RFC 7313)", peer->enhanced_refresh},
	    {"extended_message", "Extended messages (RFC 8654)", peer->extended_message},
	    {"extended_next_hop", "IPv6 next hops for IPv4 (RFC 8950)", peer->ext_next_hop != 0},
	    {"graceful_restart", "Graceful restart (RFC 4724)", peer->gr},
	    {"long_lived_graceful_restart", "Long-lived graceful restart (RFC 9494)", peer->llgr},
	};
	struct addr id = addr_from_u32(peer->router_id);
	struct out *o = &r->out;

	out_section(o, "capabilities", "Capabilities of the peer");
	out_addr(o, "router_id", "Router id", &id);
	out_text(o, "hostname", "Host name", peer->hostname);
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		out_bool(o, flags[i].key, flags[i].label, flags[i].has);
	if (peer->llgr)
		for (int f = 0; f < FAM_COUNT; f++)
			if (peer->llgr_families >> f & 1)
				out_number(o,
					   f == FAM_IPV4 ? "long_lived_stale_time_ipv4" : "long_lived_stale_time_ipv6",
					   f == FAM_IPV4 ? "Its long-lived stale time, IPv4, s"
							 : "Its long-lived stale time, IPv6, s",
					   peer->llgr_time[f]);
	if (peer->gr) {
		out_number(o, "graceful_restart_time", "Its restart time, s", peer->gr_time);
		detail_families(r, "graceful_restart_families", "Families it keeps", peer->gr_families);
		detail_families(r, "forwarding_kept", "Forwarding state kept", peer->gr_forwarding);
		out_bool(o, "graceful_restart_notification", "Also after NOTIFICATION (RFC 8538)",
			 peer->gr_notification);
	}
	detail_families(r, "families", "Families in use", codec->families);
	detail_families(r, "add_path_receive", "ADD-PATH received (RFC 7911)", codec->add_path_rx);
	detail_families(r, "add_path_send", "ADD-PATH sent (RFC 7911)", codec->add_path_tx);
	out_number(o, "max_message", "Longest message, octets", codec->max_message);
	out_end(o);
}

static void detail_routes(struct request *r, const struct peer *p, const struct rib_peer_stats *s)
{
	struct out *o = &r->out;

	out_table(o, "routes", "Routes", NULL);
	for (int f = 0; f < FAM_COUNT; f++) {
		out_row(o);
		out_text(o, "family", "FAMILY", family_name((enum family)f));
		out_number(o, "received", "RECEIVED", s->received[f]);
		out_number(o, "accepted", "ACCEPTED", s->accepted[f]);
		out_number(o, "best", "BEST", s->best[f]);
		out_number(o, "stale", "STALE", s->stale[f]);
		out_number(o, "long_lived_stale", "LONG", s->long_lived[f]);
		out_duration(o, "stale_left", NULL, helper_left(p, (enum family)f));
		out_number(o, "sent", "SENT", s->sent[f]);
		out_bool(o, "end_of_rib_received", "EOR IN", p->eor >> f & 1);
		out_bool(o, "end_of_rib_sent", "EOR OUT", s->end_of_rib_sent[f]);
		out_end(o);
	}
	out_end(o);
}

static void detail_limit(struct request *r, const struct peer *p)
{
	const struct peer_options *opt = &p->want.opt;
	struct out *o = &r->out;

	if (!opt->prefix_limit)
		return;
	out_section(o, "prefix_limit", "Prefix limit");
	out_number(o, "maximum", "Routes of each family", opt->prefix_limit);
	out_number(o, "warning", "Warning at", prefix_limit_warning(opt));
	out_text(o, "action", "Beyond", opt->prefix_warn_only ? "warn" : "end the session");
	if (!opt->prefix_warn_only)
		out_number(o, "restart_time", "Tried again after, s (0: not)", opt->prefix_restart);
	out_end(o);
}

static void detail_messages(struct request *r, const struct bgp_session_info *i)
{
	struct out *o = &r->out;

	out_table(o, "messages", "Messages", NULL);
	for (int t = BGP_OPEN; t <= BGP_ROUTE_REFRESH; t++) {
		out_row(o);
		out_text(o, "type", "TYPE", bgp_type_names[t]);
		out_number(o, "received", "RECEIVED", i->messages_in[t]);
		out_number(o, "sent", "SENT", i->messages_out[t]);
		out_end(o);
	}
	out_end(o);
}

static void detail_updates(struct request *r, const struct bgp_session_info *i, const struct rib_peer_stats *s)
{
	struct out *o = &r->out;

	out_section(o, "updates", "Updates");
	out_number(o, "prefixes_received", "Prefixes received", s->updates_in);
	out_number(o, "withdrawals_received", "Withdrawals received", s->withdraws_in);
	out_number(o, "prefixes_sent", "Prefixes sent", s->updates_out);
	out_number(o, "withdrawals_sent", "Withdrawals sent", s->withdraws_out);
	out_number(o, "group", "Update group", s->group);
	out_bool(o, "up_to_date", "Up to date", s->up_to_date);
	out_number(o, "queued_bytes", "Bytes queued", i->queued);
	out_end(o);
}

static bool one_peer(struct request *r, const char *name)
{
	const struct peer *p = speaker_find(r->d->speaker, name);
	struct bgp_session_info i;
	struct rib_peer_stats s;

	if (!p) {
		snprintf(r->error, sizeof r->error, "there is no peer \"%.80s\"; show peers lists them", name);
		return false;
	}
	i = bgp_session_info(p->session);
	s = rib_peer_stats(p->rib);
	out_section(&r->out, "peer", NULL);
	detail_session(r, p, &i);
	detail_timers(r, p, &i);
	show_bfd_of_peer(r, p);
	if (i.state == BGP_ESTABLISHED)
		detail_capabilities(r, bgp_session_peer(p->session), bgp_session_codec(p->session));
	detail_routes(r, p, &s);
	detail_limit(r, p);
	detail_updates(r, &i, &s);
	detail_messages(r, &i);
	out_end(&r->out);
	return true;
}

static bool peers_start(struct request *r)
{
	if (r->argc)
		return one_peer(r, r->argv[0]);
	show_peers_begin(r);
	out_table(&r->out, "peers", NULL, "no peers");
	return true;
}

static bool peers_continue(struct request *r)
{
	return r->state && show_peers_more(r, put_peer);
}
const struct command_ops command_show_peers = {.start = peers_start, .more = peers_continue};

/* ---- Ranges ---- */

static bool ranges_start(struct request *r)
{
	struct out *o = &r->out;
	struct dynamic_view v;
	char range[PREFIX_STRLEN];

	out_table(o, "ranges", NULL, "no ranges");
	for (unsigned i = 0; dynamic_view(speaker_dynamic(r->d->speaker), i, &v); i++) {
		out_row(o);
		out_text(o, "range", "RANGE", prefix_format(&v.want->opt.range, range));
		out_text(o, "interface", NULL, v.want->interface);
		out_number(o, "as", "AS", v.want->remote_as);
		out_number(o, "peers", "PEERS", v.peers);
		out_number(o, "limit", "LIMIT", v.want->opt.range_limit);
		out_number(o, "refused", "REFUSED", v.refused);
		out_text(o, "origin", "ORIGIN", v.want->origin);
		out_end(o);
	}
	out_end(o);
	return true;
}
const struct command_ops command_show_dynamic = {.start = ranges_start};
