#include "daemon/peers/helper.h"

#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/peers/dynamic.h"
#include "daemon/peers/speaker.h"

/* Few peers ask for it, and fewer need it. */
struct helper_long {
	struct peer *peer;
	enum family family;
	struct loop_timer timer;
};

static void long_end(struct peer *p, int f)
{
	struct helper_long *l = p->helper.lasting[f];

	if (l)
		loop_timer_stop(peer_loop(p), &l->timer);
	free(l);
	p->helper.lasting[f] = NULL;
}

void helper_end(struct peer *p, uint8_t families)
{
	families &= p->stale;
	for (int f = 0; f < FAM_COUNT; f++) {
		if (!(families >> f & 1))
			continue;
		rib_peer_sweep(p->rib, (enum family)f);
		long_end(p, f);
	}
	p->stale &= (uint8_t)~families;
	p->helper.long_lived &= p->stale;
	if (p->stale)
		return;
	loop_timer_stop(peer_loop(p), &p->helper.timer);
	if (p->range)
		dynamic_check(p);
}

void helper_stop(struct peer *p)
{
	loop_timer_stop(peer_loop(p), &p->helper.timer);
	for (int f = 0; f < FAM_COUNT; f++)
		long_end(p, f);
	p->helper.long_lived = 0;
}

static void on_long_timer(void *arg)
{
	const struct helper_long *l = arg;

	log_warn("bgp", "%s: its long-lived stale time is over, its old routes (%s) are removed", l->peer->want.name,
		 family_name(l->family));
	helper_end(l->peer, (uint8_t)(1u << l->family)); /* frees l */
}

/* What is stale of the family is so for long from now on. The time runs once for all that is kept until the peer has
 * sent everything again (RFC 9494 4.2). */
static void long_begin(struct peer *p, enum family f)
{
	struct helper_long *l;
	uint8_t bit = (uint8_t)(1u << f);

	rib_peer_long_lived(p->rib, f);
	if (p->helper.long_lived & bit)
		return;
	log_warn("bgp", "%s: its old routes (%s) are used last, for up to %u s", p->want.name, family_name(f),
		 p->helper.llgr_time[f]);
	p->helper.long_lived |= bit;
	long_end(p, f);
	l = p->helper.lasting[f] = mem_calloc(1, sizeof *l);
	l->peer = p;
	l->family = f;
	loop_timer_set(peer_loop(p), &l->timer, p->helper.llgr_time[f] * MONO_SEC, on_long_timer, l);
}

void helper_expire(struct peer *p, const char *why)
{
	bool up = bgp_session_state(p->session) == BGP_ESTABLISHED;
	uint8_t over = 0;

	for (int f = 0; f < FAM_COUNT; f++) {
		if (!(p->stale >> f & 1))
			continue;
		/* Of a peer that is back no more is waited for. */
		if (p->helper.llgr_time[f] && !up)
			long_begin(p, (enum family)f);
		else
			over |= (uint8_t)(1u << f);
	}
	if (over)
		log_warn("bgp", "%s: its old routes are removed: %s", p->want.name, why);
	helper_end(p, over);
}

static void on_restart_timer(void *arg)
{
	helper_expire(arg, "its restart time is over");
}

static bool is_kept(const struct peer *p, enum family f, const struct bgp_open *open)
{
	if (p->helper.long_lived >> f & 1)
		return open->llgr && open->llgr_forwarding >> f & 1;
	return open->gr && open->gr_forwarding >> f & 1;
}

void helper_up(struct peer *p, const struct bgp_open *open, const struct bgp_codec *codec)
{
	uint8_t lost = 0;

	for (int f = 0; f < FAM_COUNT; f++)
		if (!(codec->families >> f & 1) || !is_kept(p, (enum family)f, open))
			lost |= (uint8_t)(1u << f);
	helper_end(p, lost);
	/* The rest stays until End-of-RIB; a peer that never sends it gets its restart time once more. */
	if (p->stale)
		loop_timer_set(peer_loop(p), &p->helper.timer,
			       (open->gr_time ? open->gr_time : p->want.restart_time) * MONO_SEC, on_restart_timer, p);
}

void helper_down(struct peer *p, const struct bgp_down *why, uint8_t standing_in)
{
	unsigned wait = standing_in ? p->want.restart_time : why->gr_time;
	uint8_t soon = standing_in | (why->gr_time ? why->gr_families : 0), lasting = 0;

	for (int f = 0; f < FAM_COUNT; f++)
		if (why->llgr_time[f])
			lasting |= (uint8_t)(1u << f);
	/* RFC 4724 4.2: what was stale before is not kept over one restart more; RFC 9494 4.2: unless for long. */
	helper_end(p, (uint8_t)~lasting);
	for (int f = 0; f < FAM_COUNT; f++) {
		p->helper.llgr_time[f] = why->llgr_time[f];
		if (p->stale >> f & 1)
			long_begin(p, (enum family)f);
	}
	rib_peer_down(p->rib, soon | lasting);
	p->stale = soon | lasting;
	for (int f = 0; f < FAM_COUNT; f++)
		if (lasting >> f & 1 && !(soon >> f & 1))
			long_begin(p, (enum family)f);
	if (!soon)
		return;
	log_info("bgp", "%s: keeping its routes for up to %u s", p->want.name, wait);
	loop_timer_set(peer_loop(p), &p->helper.timer, wait * MONO_SEC, on_restart_timer, p);
}

uint64_t helper_left(const struct peer *p, enum family f)
{
	struct loop *loop = peer_loop(p);

	if (!(p->stale >> f & 1))
		return 0;
	if (p->helper.long_lived >> f & 1)
		return loop_timer_left(loop, &p->helper.lasting[f]->timer);
	return loop_timer_left(loop, &p->helper.timer);
}
