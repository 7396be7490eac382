/* show services: ranges and Services, what of them this node announces, and why. */
#include "daemon/base/mem.h"
#include "daemon/cluster/service.h"
#include "daemon/show/show.h"

#include <stdlib.h>

static const char *const origins[SERVICE_ORIGIN_COUNT] = {
    [SERVICE_CLUSTER_IP] = "cluster", [SERVICE_EXTERNAL_IP] = "external", [SERVICE_LOAD_BALANCER_IP] = "load balancer"};

static void put_ranges(struct request *r)
{
	struct service_range range;

	out_table(&r->out, "ranges", "Ranges", "no ranges are configured, so no Service is announced");
	for (unsigned i = 0; service_range(r->d->service, i, &range); i++) {
		out_row(&r->out);
		out_prefix(&r->out, "range", "RANGE", &range.prefix);
		out_text(&r->out, "field", "OF", service_origin_field(range.from));
		out_bool(&r->out, "announced", "ANNOUNCED", range.announced);
		out_text(&r->out, "reason", "REASON", range.why);
		out_end(&r->out);
	}
	out_end(&r->out);
}

static void put_address(struct request *r, const struct obj_service *s, unsigned i)
{
	struct strbuf name = {0};
	const char *why;
	bool announced = service_is_announced(r->d->service, s, i, &why);

	show_object_name(&name, &s->o);
	out_row(&r->out);
	out_text(&r->out, "service", "SERVICE", name.s);
	out_addr(&r->out, "address", "ADDRESS", &s->addrs[i].addr);
	out_text(&r->out, "kind", "KIND", origins[s->addrs[i].from]);
	out_bool(&r->out, "announced", "ANNOUNCED", announced);
	out_text(&r->out, "reason", "REASON", why);
	out_end(&r->out);
	strbuf_free(&name);
}

static bool services_more(struct request *r)
{
	unsigned *pos = r->state;

	for (unsigned n = 0; n < SHOW_PIECE; n++) {
		const struct obj_service *s = (const void *)store_next(r->d->store, OBJ_SERVICE, pos);
		if (!s)
			return false;
		for (unsigned i = 0; i < s->addr_count; i++)
			put_address(r, s, i);
	}
	return true;
}

static bool services_start(struct request *r)
{
	r->state = mem_calloc(1, sizeof(unsigned));
	r->free_state = free;
	put_ranges(r);
	out_table(&r->out, "services", "Addresses of Services", "there are none");
	return true;
}
const struct command_ops command_show_services = {.start = services_start, .more = services_more};
