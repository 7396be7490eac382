#include "daemon/cluster/node_address.h"

#include "daemon/base/log.h"
#include "daemon/base/mono.h"
#include "daemon/cluster/detect.h"

/* Addresses that go mostly come back at once, and sessions end with them. */
#define PAUSE (1 * MONO_SEC)

static void watch_destinations(struct node_address *a, bool none)
{
	for (int f = 0; f < FAM_COUNT; f++) {
		const struct addr *named = lookup_found(a->lookup, (enum family)f);
		struct addr now = none ? (struct addr){0} : detect_destination(&a->d->config, (enum family)f, named);
		if (addr_equal(&now, &a->destination[f]))
			continue;
		if (!addr_is_none(&a->destination[f]))
			fib_nexthop_unwatch(a->d->fib, &a->destination[f]);
		a->destination[f] = now;
		if (!addr_is_none(&now))
			fib_nexthop_watch(a->d->fib, &now);
	}
}

static void say(enum family f, const struct host_addr *before, const struct host_addr *now)
{
	char a[ADDR_STRLEN];

	if (addr_is_none(&now->addr))
		log_warn("cluster", "this node's %s address, %s, is not on its interfaces any more", family_name(f),
			 addr_format(&before->addr, a));
	else
		log_info("cluster", "this node's %s address, as found on its interfaces: %s/%u", family_name(f),
			 addr_format(&now->addr, a), now->len);
}

/* True if something else is found than before. */
static bool look(struct node_address *a)
{
	const struct object *node = store_get(a->d->store, OBJ_NODE, "", a->d->config.node_name);
	struct addr named[FAM_COUNT];
	struct host_addr found[FAM_COUNT];
	bool changed = false;

	for (int f = 0; f < FAM_COUNT; f++) {
		lookup_want(a->lookup, (enum family)f, detect_name(&a->d->config, (enum family)f),
			    a->d->config.detection_interval * MONO_SEC);
		named[f] = *lookup_found(a->lookup, (enum family)f);
	}
	watch_destinations(a, false);
	detect_all(a->d->fib, &a->d->config, (const struct obj_node *)(const void *)node, named, found);
	for (int f = 0; f < FAM_COUNT; f++) {
		if (addr_equal(&found[f].addr, &a->found[f].addr) && found[f].len == a->found[f].len)
			continue;
		say((enum family)f, &a->found[f], &found[f]);
		a->found[f] = found[f];
		changed = true;
	}
	return changed;
}

static void on_timer(void *arg)
{
	struct node_address *a = arg;

	if (look(a))
		a->on_change(a->arg);
}

/* What packets to the name's new address leave with is looked up at once: nothing else is to settle first. */
static void on_name(void *arg)
{
	struct node_address *a = arg;

	loop_timer_stop(a->d->loop, &a->timer);
	on_timer(a);
}

void node_address_refresh(struct node_address *a)
{
	if (!loop_timer_is_set(&a->timer))
		look(a);
}

void node_address_touch(struct node_address *a, const struct addr *next_hop)
{
	if (!detect_is_wanted(&a->d->config))
		return;
	if (next_hop && !addr_equal(next_hop, &a->destination[family_of_af(next_hop->af)]))
		return;
	if (!loop_timer_is_set(&a->timer))
		loop_timer_set(a->d->loop, &a->timer, PAUSE, on_timer, a);
}

void node_address_problems(const struct node_address *a, struct strbuf *out)
{
	const struct config *c = &a->d->config;

	if (c->node_ip.mode == NODE_IP_DETECT && addr_is_none(&a->found[FAM_IPV4].addr))
		strbuf_printf(out, "node.ip: %s finds no IPv4 address on this machine; the Node object's is used\n",
			      c->detection);
	if (c->node_ip6.mode == NODE_IP_DETECT && addr_is_none(&a->found[FAM_IPV6].addr))
		strbuf_printf(out, "node.ip6: %s finds no IPv6 address on this machine; the Node object's is used\n",
			      c->detection6);
	for (int f = 0; f < FAM_COUNT; f++)
		if (lookup_problem(a->lookup, (enum family)f))
			strbuf_printf(out, "%s: the %s address of %s cannot be looked up: %s; tried again every %u s\n",
				      f == FAM_IPV4 ? "node.ip" : "node.ip6", family_name((enum family)f),
				      detect_name(c, (enum family)f), lookup_problem(a->lookup, (enum family)f),
				      c->detection_interval);
}

void node_address_init(struct node_address *a, struct daemon *d, void (*on_change)(void *arg), void *arg)
{
	*a = (struct node_address){.d = d, .on_change = on_change, .arg = arg};
	a->lookup = lookup_new(d->loop, on_name, a);
}

void node_address_end(struct node_address *a)
{
	loop_timer_stop(a->d->loop, &a->timer);
	watch_destinations(a, true);
	lookup_free(a->lookup);
}
