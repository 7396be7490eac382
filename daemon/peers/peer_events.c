/* What sessions say, and what follows: for the RIB, for what is kept of a peer (helper.c), for those who report
 * (bmp.c), and for those who wait for peers (sibling.c, restart.c). */
#include "daemon/base/log.h"
#include "daemon/base/mono.h"
#include "daemon/monitor/bmp.h"
#include "daemon/peers/dynamic.h"
#include "daemon/peers/liveness.h"
#include "daemon/peers/peer_conf.h"
#include "daemon/peers/sibling.h"
#include "daemon/peers/speaker.h"

/* Of a peer that may have any AS. */
static void peer_is_in_as(struct peer *p, uint32_t as)
{
	struct rib_peer_conf conf;

	/* Routes of one that was in another AS are somebody else's. */
	helper_end(p, p->stale);
	p->as = as;
	conf = peer_rib_conf(p, peer_common(p));
	rib_peer_configure(p->rib, &conf);
}

static void on_established(void *arg, struct bgp_session *session)
{
	struct peer *p = arg;
	struct bmp *bmp = peer_daemon(p)->bmp;
	const struct bgp_open *open = bgp_session_peer(session);
	const struct bgp_codec *codec = bgp_session_codec(session);
	struct bgp_nexthop self[FAM_COUNT];

	peer_self(p, peer_common(p), self);
	if (p->as != open->as)
		peer_is_in_as(p, open->as);
	if (p->range)
		dynamic_established(p);
	p->eor = p->refreshing = 0;
	p->heard = mono_now();
	p->tried = true;
	helper_up(p, open, codec);
	if (bmp)
		bmp_peer_up(bmp, p);
	rib_peer_up(p->rib, codec, open->router_id, self);
	/* A session that comes up again and again is no sign of others that will. */
	if (bgp_session_info(session).established == 1)
		speaker_came_up(p);
	liveness_established(p);
	speaker_recheck(p);
}

static void on_end(void *arg, struct bgp_session *session, const struct bgp_end *end)
{
	struct peer *p = arg;
	struct daemon *d = peer_daemon(p);

	(void)session;
	if (d->bmp)
		bmp_peer_end(d->bmp, p, end);
}

static void on_down(void *arg, struct bgp_session *session, const struct bgp_down *why)
{
	struct peer *p = arg;
	uint8_t stand_in = !p->limit.down && sibling_will_deliver(p) ? 1u << FAM_IPV6 : 0;
	struct bgp_down none = {.reason = why->reason};

	(void)session;
	helper_down(p, peer_daemon(p)->config.graceful_restart ? why : &none,
		    p->moving ? p->want.families | stand_in : stand_in);
	p->eor = p->refreshing = 0;
	if (p->stale)
		liveness_restarting(p);
	speaker_recheck(p);
}

static void on_end_of_rib(struct peer *p, enum family f)
{
	p->eor |= (uint8_t)(1u << f);
	if (peer_daemon(p)->bmp)
		bmp_end_of_rib(peer_daemon(p)->bmp, p, f);
	if (p->stale & 1u << f)
		helper_end(p, (uint8_t)(1u << f));
	speaker_recheck(p);
}

/* Families the session has given up on (RFC 4760 7). The RIB has dropped their routes; nothing more will come. */
static void on_disable(struct peer *p, uint8_t families)
{
	helper_end(p, families);
	p->eor |= families;
	speaker_recheck(p);
}

static void on_update(void *arg, struct bgp_session *session, const struct bgp_update *u, const struct bgp_error *e)
{
	struct peer *p = arg;

	(void)session;
	p->heard = mono_lately();
	if (u->end_of_rib >= 0) {
		on_end_of_rib(p, (enum family)u->end_of_rib);
		return;
	}
	rib_update(p->rib, u, e->action == BGP_TREAT_AS_WITHDRAW);
	if (u->disable)
		on_disable(p, u->disable);
	if (p->want.opt.prefix_limit)
		prefix_limit_check(p);
}

/* RFC 7313 4: before End-of-RIB a restarting peer's BoRR is not heard, nor is an EoRR whose BoRR was not: what is stale
 * then is so for another reason. */
static void on_refresh_begin(struct peer *p, const struct bgp_open *open, enum family f)
{
	if (open->gr && !(p->eor >> f & 1)) {
		log_info("bgp", "%s: beginning of a route refresh (%s) before End-of-RIB: ignored", p->want.name,
			 family_name(f));
		return;
	}
	p->refreshing |= (uint8_t)(1u << f);
	rib_peer_mark_stale(p->rib, f);
}

static void on_refresh_end(struct peer *p, enum family f)
{
	if (!(p->refreshing >> f & 1))
		return;
	p->refreshing &= (uint8_t) ~(1u << f);
	rib_peer_sweep(p->rib, f);
}

static void on_refresh(void *arg, struct bgp_session *session, enum family f, uint8_t subtype)
{
	struct peer *p = arg;
	const struct bgp_open *open = bgp_session_peer(session);

	/* To those who know RFC 2918 alone the octet means nothing. */
	if (subtype == BGP_REFRESH_NORMAL || !open->enhanced_refresh)
		rib_peer_resend(p->rib, f, open->enhanced_refresh);
	else if (subtype == BGP_REFRESH_BEGIN)
		on_refresh_begin(p, open, f);
	else if (subtype == BGP_REFRESH_END)
		on_refresh_end(p, f);
}

static void on_state(void *arg, struct bgp_session *session)
{
	struct peer *p = arg;

	if (p->range)
		dynamic_check(p);
	if (!p->tried && bgp_session_info(session).attempts_failed) {
		p->tried = true;
		speaker_sibling_check(p);
	}
}

static unsigned pull(void *arg, struct bgp_session *session, struct slice *out, unsigned max)
{
	(void)session;
	return rib_pull(((struct peer *)arg)->rib, out, max);
}

const struct bgp_session_ops speaker_session_ops = {
    .on_established = on_established,
    .on_end = on_end,
    .on_down = on_down,
    .on_update = on_update,
    .on_refresh = on_refresh,
    .on_state = on_state,
    .pull = pull,
};

void speaker_on_ready(void *arg, struct rib_peer *rib)
{
	struct peer *p = rib_peer_arg(rib);

	(void)arg;
	if (p)
		bgp_session_kick(p->session);
}
