#include "daemon/prefix_limit.h"

#include <stdlib.h>
#include <string.h>

#include "bgp/codec/msg.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"

#define DEFAULT_WARNING 75u /* percent */

unsigned prefix_limit_warning(const struct peer_options *opt)
{
	uint64_t percent = opt->prefix_warning ? opt->prefix_warning : DEFAULT_WARNING;

	return (unsigned)((opt->prefix_limit * percent + 99) / 100);
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

void prefix_limit_trip(struct prefix_limit *l, const struct peer_options *opt, enum family f, unsigned count)
{
	l->down = true;
	l->family = f;
	l->maximum = opt->prefix_limit;
	l->count = count;
	free(l->text);
	l->text = mem_printf("%u %s routes received, the limit is %u", count, family_name(f), opt->prefix_limit);
}

void prefix_limit_lift(struct prefix_limit *l)
{
	l->down = false;
	free(l->text);
	l->text = NULL;
	for (int f = 0; f < FAM_COUNT; f++)
		l->near[f] = l->over[f] = false;
}

bool prefix_limit_same(const struct peer_options *a, const struct peer_options *b)
{
	return a->prefix_limit == b->prefix_limit && a->prefix_restart == b->prefix_restart &&
	       a->prefix_warn_only == b->prefix_warn_only;
}

void prefix_limit_data(const struct prefix_limit *l, uint8_t data[static PREFIX_LIMIT_DATA])
{
	uint16_t afi = bgp_afi(l->family);
	uint32_t max = l->maximum;
	const uint8_t bytes[PREFIX_LIMIT_DATA] = {(uint8_t)(afi >> 8),	(uint8_t)afi,	      BGP_SAFI_UNICAST,
						  (uint8_t)(max >> 24), (uint8_t)(max >> 16), (uint8_t)(max >> 8),
						  (uint8_t)max};

	memcpy(data, bytes, sizeof bytes);
}
