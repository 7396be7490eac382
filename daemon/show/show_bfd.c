/* show bfd [NAME], and what other commands say about BFD. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/peers/liveness.h"
#include "daemon/peers/speaker.h"
#include "daemon/show/show.h"

/* ---- The table ---- */

/* Why it is as it is, in few words: of a session that is up, nothing. */
static const char *info_of(const struct bfd_session_info *i, const struct bfd_session_conf *c)
{
	if (*i->error)
		return i->error;
	if (i->state == BFD_UP)
		return "";
	if (i->remote_state == BFD_ADMIN_DOWN)
		return "administratively down there";
	if (i->times_down && !i->remote_discr)
		return i->down_reason;
	if (!i->remote_discr)
		return c->passive ? "passive: the peer begins" : "never heard";
	return i->times_down ? i->down_reason : "coming up";
}

static const char *hops_of(const struct bfd_session_conf *c)
{
	return c->multihop ? "several" : "one";
}

static void put_intervals(struct out *o, const struct bfd_session_info *i, bool table)
{
	out_number(o, "transmit_interval_ms", table ? "TX MS" : "Sends every, ms", i->tx_interval / 1000);
	out_number(o, "receive_interval_ms", table ? "RX MS" : "Hears every, ms", i->rx_interval / 1000);
	out_number(o, "detection_time_ms", table ? "DETECT MS" : "Detection time, ms", i->detection_time / 1000);
}

static void put_row(struct request *r, const struct peer *p)
{
	const struct bfd_session_conf *c = bfd_session_config(p->lifeline->session);
	struct bfd_session_info i = bfd_session_info(p->lifeline->session);
	struct out *o = &r->out;

	out_row(o);
	out_text(o, "name", "NAME", p->want.name);
	out_addr(o, "address", "ADDRESS", &p->lifeline->remote);
	out_text(o, "state", "STATE", bfd_state_name(i.state));
	out_duration(o, "since", "SINCE", show_age(i.since));
	put_intervals(o, &i, true);
	out_text(o, "hops", "HOPS", hops_of(c));
	out_number(o, "times_up", NULL, i.times_up);
	out_number(o, "times_down", NULL, i.times_down);
	out_text(o, "info", "INFO", info_of(&i, c));
	out_end(o);
}

/* ---- One session ---- */

static void detail_local(struct out *o, const struct lifeline *w, const struct bfd_session_info *i)
{
	const struct bfd_session_conf *c = bfd_session_config(w->session);

	out_addr(o, "address", "Address", &w->remote);
	out_addr(o, "local_address", "Local address", addr_is_none(&i->local) ? &c->local : &i->local);
	out_text(o, "interface", c->ifname[0] ? "Interface" : NULL, c->ifname);
	out_text(o, "hops", "Hops", hops_of(c));
	if (c->multihop)
		out_number(o, "minimum_ttl", "Least TTL", c->min_ttl);
	out_text(o, "state", "State", bfd_state_name(i->state));
	out_duration(o, "since", "Since", show_age(i->since));
	out_text(o, "info", "Info", info_of(i, c));
	out_text(o, "diagnostic", "Diagnostic", bfd_diag_name(i->diag));
	out_number(o, "discriminator", "Discriminator", i->discr);
	out_number(o, "source_port", "Source port", i->source_port);
	out_bool(o, "passive", "Passive", c->passive);
	out_number(o, "multiplier", "Multiplier", c->multiplier);
	out_number(o, "wanted_transmit_interval_ms", "Wants to send every, ms", c->min_tx / 1000);
	out_number(o, "wanted_receive_interval_ms", "Wants to hear every, ms", c->min_rx / 1000);
	put_intervals(o, i, false);
	out_bool(o, "polling", "Changed timers wait for the remote", i->polling);
}

static void detail_remote(struct out *o, const struct bfd_session_info *i)
{
	out_section(o, "remote", "Remote");
	out_text(o, "state", "State", bfd_state_name(i->remote_state));
	out_text(o, "diagnostic", "Diagnostic", bfd_diag_name(i->remote_diag));
	out_number(o, "discriminator", "Discriminator", i->remote_discr);
	out_number(o, "multiplier", "Multiplier", i->remote_multiplier);
	out_number(o, "transmit_interval_ms", "Wants to send every, ms", i->remote_min_tx / 1000);
	out_number(o, "receive_interval_ms", "Wants to hear every, ms", i->remote_min_rx / 1000);
	out_bool(o, "control_plane_independent", "Outlives its control plane (C bit)", i->remote_independent);
	out_bool(o, "demand", "Demand mode", i->remote_demand);
	if (i->heard_at)
		out_duration(o, "heard_ago", "Last heard, how long ago", show_age(i->heard_at));
	out_end(o);
}

static void detail_history(struct out *o, const struct lifeline *w, const struct bfd_session_info *i)
{
	out_section(o, "history", "History");
	out_number(o, "times_up", "Times up", i->times_up);
	out_number(o, "times_down", "Times down", i->times_down);
	if (i->down_at) {
		out_text(o, "last_down", "Last down", i->down_reason);
		out_duration(o, "last_down_ago", "Last down, how long ago", show_age(i->down_at));
	}
	out_bool(o, "gateway_down", "Gateway taken out of routes", w->dead);
	out_number(o, "packets_received", "Packets received", i->packets_in);
	out_number(o, "packets_sent", "Packets sent", i->packets_out);
	out_number(o, "packets_discarded", "Packets discarded", i->packets_discarded);
	out_number(o, "send_errors", "Send errors", i->send_errors);
	out_end(o);
}

static void put_session(struct request *r, const struct peer *p)
{
	const struct lifeline *w = p->lifeline;
	struct bfd_session_info i = bfd_session_info(w->session);

	out_text(&r->out, "name", "Name", p->want.name);
	detail_local(&r->out, w, &i);
	detail_remote(&r->out, &i);
	detail_history(&r->out, w, &i);
}

static bool one_session(struct request *r, const char *name)
{
	const struct peer *p = speaker_find(r->d->speaker, name);

	if (!p || !p->lifeline) {
		snprintf(r->error, sizeof r->error, "%s \"%.80s\"; show bfd lists those who are watched",
			 p ? "BFD does not watch the peer" : "there is no peer", name);
		return false;
	}
	out_section(&r->out, "bfd", NULL);
	put_session(r, p);
	out_end(&r->out);
	return true;
}

static void put_watched(struct request *r, const struct peer *p)
{
	if (p->lifeline)
		put_row(r, p);
}

static bool bfd_start(struct request *r)
{
	if (r->argc)
		return one_session(r, r->argv[0]);
	show_peers_begin(r);
	out_table(&r->out, "bfd", NULL, "no peer is watched by BFD");
	return true;
}

static void put_totals(struct request *r)
{
	const struct bfd_stats *s = liveness_stats(r->d->liveness);
	uint64_t discarded = 0;

	out_end(&r->out);
	if (!s)
		return;
	for (int why = BFD_ACCEPTED + 1; why < BFD_DISCARD_COUNT; why++)
		discarded += s->discarded[why];
	out_section(&r->out, "totals", "All together");
	out_number(&r->out, "sessions", "Sessions", s->sessions);
	out_number(&r->out, "up", "Up", s->up);
	out_number(&r->out, "packets_received", "Packets received", s->packets_in);
	out_number(&r->out, "packets_sent", "Packets sent", s->packets_out);
	out_number(&r->out, "packets_discarded", "Packets discarded", discarded);
	out_number(&r->out, "overflows", "Packets lost for want of time", s->overflows);
	out_number(&r->out, "worst_delay_us", "Latest a packet was sent, us", s->late_worst / MONO_USEC);
	out_end(&r->out);
}

static bool bfd_more(struct request *r)
{
	bool more;

	if (!r->state)
		return false;
	more = show_peers_more(r, put_watched);
	if (!more)
		put_totals(r);
	return more;
}
const struct command_ops command_show_bfd = {.start = bfd_start, .more = bfd_more};

/* ---- For others ---- */

void show_bfd_of_peer(struct request *r, const struct peer *p)
{
	const struct bfd_session_conf *c;
	struct bfd_session_info i;
	struct out *o = &r->out;

	out_section(o, "bfd", "BFD");
	out_bool(o, "enabled", "Asked for", p->want.bfd.enabled);
	if (p->lifeline) {
		c = bfd_session_config(p->lifeline->session);
		i = bfd_session_info(p->lifeline->session);
		out_text(o, "state", "State", bfd_state_name(i.state));
		out_duration(o, "since", "Since", show_age(i.since));
		out_text(o, "hops", "Hops", hops_of(c));
		put_intervals(o, &i, false);
		out_text(o, "info", "Info", info_of(&i, c));
	}
	out_end(o);
}
