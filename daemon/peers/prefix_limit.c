#include "daemon/peers/prefix_limit.h"

#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/peers/dynamic.h"
#include "daemon/peers/speaker.h"

#define DEFAULT_WARNING 75u /* percent */

unsigned prefix_limit_warning(const struct peer_options *opt)
{
	uint64_t percent = opt->prefix_warning ? opt->prefix_warning : DEFAULT_WARNING;

	return (unsigned)((opt->prefix_limit * percent + 99) / 100);
}

bool prefix_limit_same(const struct peer_options *a, const struct peer_options *b)
{
	return a->prefix_limit == b->prefix_limit && a->prefix_restart == b->prefix_restart &&
	       a->prefix_warn_only == b->prefix_warn_only;
}

/* True when the condition has come to hold. */
static bool crossed(bool *said, bool holds)
{
	bool news = holds && !*said;

	*said = holds;
	return news;
}

bool prefix_limit_judge(struct prefix_limit *l, const struct peer_options *opt, const char *name, enum family f,
			unsigned count)
{
	bool limited = opt->prefix_limit != 0;

	if (crossed(&l->over[f], limited && count > opt->prefix_limit))
		log_warn("bgp", "%s: %u %s routes received, its limit is %u%s", name, count, family_name(f),
			 opt->prefix_limit, opt->prefix_warn_only ? "; kept, as prefixLimit.action is Warn" : "");
	if (crossed(&l->near[f], limited && count >= prefix_limit_warning(opt)) && !l->over[f])
		log_warn("bgp", "%s: %u %s routes received, its limit is %u", name, count, family_name(f),
			 opt->prefix_limit);
	return l->over[f] && !opt->prefix_warn_only;
}

void prefix_limit_clear(struct peer *p)
{
	struct prefix_limit *l = &p->limit;

	if (l->down) {
		loop_timer_stop(peer_loop(p), &l->down->timer);
		free(l->down->text);
		free(l->down);
	}
	*l = (struct prefix_limit){0};
}

void prefix_limit_lift(struct peer *p)
{
	prefix_limit_clear(p);
	if (p->range)
		dynamic_check(p);
}

static void on_timer(void *arg)
{
	struct peer *p = arg;

	log_info("bgp", "%s: the restartTime of its prefixLimit is over: tried again", p->want.name);
	prefix_limit_lift(p); /* frees this timer */
	peer_configure(p);
}

/* RFC 4271 8.2.2 (AutomaticStop) and RFC 4486 4: the session ends, with AFI, SAFI and the limit as data of the Cease,
 * and is not tried again before the time for it. */
static void trip(struct peer *p, enum family f, unsigned count)
{
	uint32_t max = p->want.opt.prefix_limit;
	uint16_t afi = bgp_afi(f);
	const uint8_t data[] = {(uint8_t)(afi >> 8),  (uint8_t)afi,	   BGP_SAFI_UNICAST, (uint8_t)(max >> 24),
				(uint8_t)(max >> 16), (uint8_t)(max >> 8), (uint8_t)max};

	p->limit.down = mem_calloc(1, sizeof *p->limit.down);
	p->limit.down->text = mem_printf("%u %s routes received, the limit is %u", count, family_name(f), max);
	bgp_session_reset_with(p->session, BGP_ERR_CEASE, BGP_CEASE_MAX_PREFIXES, (struct span){data, sizeof data},
			       p->limit.down->text);
	if (p->want.opt.prefix_restart)
		loop_timer_set(peer_loop(p), &p->limit.down->timer, p->want.opt.prefix_restart * MONO_SEC, on_timer, p);
	peer_configure(p);
}

void prefix_limit_check(struct peer *p)
{
	for (int i = 0; i < FAM_COUNT && bgp_session_state(p->session) == BGP_ESTABLISHED; i++) {
		enum family f = (enum family)i;
		unsigned count = rib_peer_received(p->rib, f);

		if (p->want.opt.prefix_limit && count > p->want.opt.prefix_limit && p->stale & 1u << f) {
			helper_end(p, (uint8_t)(1u << f));
			count = rib_peer_received(p->rib, f);
		}
		if (prefix_limit_judge(&p->limit, &p->want.opt, p->want.name, f, count))
			trip(p, f, count);
	}
}
