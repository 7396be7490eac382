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

static enum node_ip_mode mode_of(const struct node_address *a, enum family f)
{
	return f == FAM_IPV4 ? a->d->config.node_ip.mode : a->d->config.node_ip6.mode;
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

/* Does the datastore, as it is and not as it was, take what this node says of itself? */
static bool publishes(const struct node_address *a)
{
	return store_can_publish(a->d->store) && store_status(a->d->store).in_sync;
}

/* True if something else is found than before. */
static bool look(struct node_address *a)
{
	const struct obj_node *node = (const void *)store_get(a->d->store, OBJ_NODE, "", a->d->config.node_name);
	struct addr named[FAM_COUNT];
	struct host_addr found[FAM_COUNT];
	bool changed = false;

	for (int f = 0; f < FAM_COUNT; f++) {
		lookup_want(a->lookup, (enum family)f, detect_name(&a->d->config, (enum family)f),
			    a->d->config.detection_interval * MONO_SEC);
		named[f] = *lookup_found(a->lookup, (enum family)f);
	}
	watch_destinations(a, false);
	detect_all(a->d->fib, &a->d->config, node, publishes(a), named, found);
	for (int f = 0; f < FAM_COUNT; f++) {
		if (addr_equal(&found[f].addr, &a->found[f].addr) && found[f].len == a->found[f].len)
			continue;
		if (mode_of(a, (enum family)f) != NODE_IP_AUTO || !addr_is_none(&found[f].addr))
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
	if (!detect_is_wanted(&a->d->config, publishes(a)))
		return;
	if (next_hop && !addr_equal(next_hop, &a->destination[family_of_af(next_hop->af)]))
		return;
	if (!loop_timer_is_set(&a->timer))
		loop_timer_set(a->d->loop, &a->timer, PAUSE, on_timer, a);
}

void node_address_publish(const struct node_address *a, const struct self *self)
{
	uint32_t as = a->d->config.node_as;
	struct store_node said = {.as = as};
	bool is_known = !as || (self->node && self->node->as_number == as);

	if (!publishes(a))
		return;
	for (int f = 0; f < FAM_COUNT; f++) {
		if (self->ip_from[f] == SELF_FROM_OBJECT)
			continue;
		said.addr[f] = self->ip[f];
		is_known = is_known && self_is_known(self, (enum family)f);
	}
	store_publish(a->d->store, is_known ? NULL : &said);
}

static const char *const keys[FAM_COUNT] = {"node.ip", "node.ip6"};

/* What others do not know they cannot peer with. */
static void put_unknown(const struct node_address *a, const struct self *self, enum family f, struct strbuf *out)
{
	const char *problem = store_status(a->d->store).publish_problem;
	char text[ADDR_STRLEN];

	if (self->ip_from[f] == SELF_FROM_OBJECT || self_is_known(self, f))
		return;
	addr_format(&self->ip[f].addr, text);
	if (!store_can_publish(a->d->store))
		strbuf_printf(out,
			      "%s: the other nodes do not know this node's %s address, %s/%u: nothing is written into "
			      "files, so write it into the Node object, as spec.bgp.%sAddress\n",
			      keys[f], family_name(f), text, self->ip[f].len, f == FAM_IPV4 ? "ipv4" : "ipv6");
	else if (problem)
		strbuf_printf(out, "%s: the other nodes do not know this node's %s address, %s/%u: %s\n", keys[f],
			      family_name(f), text, self->ip[f].len, problem);
}

void node_address_problems(const struct node_address *a, const struct self *self, struct strbuf *out)
{
	const struct config *c = &a->d->config;

	for (int f = 0; f < FAM_COUNT; f++) {
		if (mode_of(a, (enum family)f) == NODE_IP_DETECT && addr_is_none(&a->found[f].addr))
			strbuf_printf(out, "%s: %s finds no %s address on this machine; the Node object's is used\n",
				      keys[f], f == FAM_IPV4 ? c->detection : c->detection6,
				      family_name((enum family)f));
		if (lookup_problem(a->lookup, (enum family)f))
			strbuf_printf(out, "%s: the %s address of %s cannot be looked up: %s; tried again every %u s\n",
				      keys[f], family_name((enum family)f), detect_name(c, (enum family)f),
				      lookup_problem(a->lookup, (enum family)f), c->detection_interval);
		put_unknown(a, self, (enum family)f, out);
	}
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
