/* Calico's rules (confd's routes.go): a Service is announced with all its addresses or with none, ranges by every node
 * that is not excluded by its label. Beyond them, cluster IPs of a Service with internalTrafficPolicy Local are
 * announced where a ready endpoint is: elsewhere the service proxy drops what comes for them.
 *
 * A Service is an entry that counts, by family, the slices with ready endpoints, on this node and anywhere. A changed
 * slice changes counts, and its entry is judged again: nothing else is looked at. */
#include "daemon/cluster/service.h"

#include <bsd/sys/queue.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/cluster/cluster.h"
#include "daemon/cluster/locals.h"
#include "daemon/dataplane.h"
#include "rib/rib.h"

/* What an address of a Service is judged by. */
struct entry {
	const struct obj_service *service; /* in the store; NULL: only slices of it are there */
	unsigned slices;
	unsigned ready[FAM_COUNT], local[FAM_COUNT]; /* slices with a ready endpoint, with one on this node */
	struct prefix *claimed;
	unsigned claimed_count;
	bool dirty;
	STAILQ_ENTRY(entry) dirty_link;
	const char *name; /* behind the namespace */
	char namespace[];
};

/* What self_from() says of services, as a copy. */
struct ranges {
	struct prefix *list[SERVICE_ORIGIN_COUNT];
	unsigned count[SERVICE_ORIGIN_COUNT];
	bool aggregate, excluded;
};

struct service {
	struct daemon *d;
	struct htab entries;
	STAILQ_HEAD(, entry) dirty;
	struct ranges ranges;
	bool on; /* ranges are configured: Services matter */
	bool ranges_claimed;
	char *node; /* of which endpoints are this node's */
};

struct key {
	const char *namespace, *name;
};

static const char *const origin_fields[SERVICE_ORIGIN_COUNT] = {
    [SERVICE_CLUSTER_IP] = "serviceClusterIPs",
    [SERVICE_EXTERNAL_IP] = "serviceExternalIPs",
    [SERVICE_LOAD_BALANCER_IP] = "serviceLoadBalancerIPs",
};

const char *service_origin_field(enum service_origin from)
{
	return origin_fields[from];
}

/* ---- Entries ---- */

static uint32_t key_hash(const struct key *k)
{
	return hash_str(k->name) + 31 * hash_str(k->namespace);
}

static bool entry_is(const void *item, const void *wanted)
{
	const struct entry *e = item;
	const struct key *k = wanted;

	return strcmp(e->name, k->name) == 0 && strcmp(e->namespace, k->namespace) == 0;
}

static struct entry *entry_get(struct service *s, const char *namespace, const char *name)
{
	struct key k = {namespace, name};
	struct entry *e = htab_find(&s->entries, key_hash(&k), entry_is, &k);
	size_t n = strlen(namespace) + 1;

	if (e)
		return e;
	e = mem_calloc(1, sizeof *e + n + strlen(name) + 1);
	memcpy(e->namespace, namespace, n);
	e->name = strcpy(e->namespace + n, name);
	htab_insert(&s->entries, key_hash(&k), e);
	return e;
}

static void entry_free(struct entry *e)
{
	free(e->claimed);
	free(e);
}

static void entry_dirty(struct service *s, struct entry *e)
{
	if (e->dirty)
		return;
	e->dirty = true;
	STAILQ_INSERT_TAIL(&s->dirty, e, dirty_link);
	cluster_kick(s->d->cluster);
}

static void entries_clear(struct service *s)
{
	uint32_t pos = 0;

	STAILQ_INIT(&s->dirty);
	for (struct entry *e; (e = htab_next(&s->entries, &pos));)
		entry_free(e);
	htab_clear(&s->entries);
}

/* ---- Changes of objects ---- */

static void count_slice(struct service *s, const struct object *o, int by)
{
	const struct obj_endpoint_slice *slice = (const void *)o;
	const char *name = o ? endpoint_slice_service(slice) : NULL;
	struct entry *e;

	if (!name || slice->family >= FAM_COUNT)
		return;
	e = entry_get(s, o->namespace, name);
	e->slices += (unsigned)by;
	if (slice->any_ready)
		e->ready[slice->family] += (unsigned)by;
	if (endpoint_slice_is_ready_on(slice, s->node))
		e->local[slice->family] += (unsigned)by;
	entry_dirty(s, e);
}

/* The object that a claim points to is about to be freed: the claims move over at once. */
static void replace_service(struct service *s, const struct object *before, const struct object *after)
{
	const struct object *any = after ? after : before;
	struct entry *e = entry_get(s, any->namespace, any->name);

	e->service = (const void *)after;
	for (unsigned i = 0; i < e->claimed_count; i++) {
		if (after)
			locals_service(s->d->locals, after, &e->claimed[i]);
		locals_service_drop(s->d->locals, before, &e->claimed[i]);
	}
	if (!after)
		e->claimed_count = 0;
	entry_dirty(s, e);
}

void service_on_change(struct service *s, const struct object *before, const struct object *after)
{
	enum object_kind kind = before ? before->kind : after->kind;

	if (!s->on)
		return;
	if (kind == OBJ_SERVICE) {
		replace_service(s, before, after);
	} else if (kind == OBJ_ENDPOINT_SLICE) {
		count_slice(s, after, 1);
		count_slice(s, before, -1);
	}
}

/* ---- What is announced ---- */

static const struct prefix *range_of(const struct ranges *r, enum service_origin from, const struct addr *a)
{
	for (unsigned i = 0; i < r->count[from]; i++)
		if (prefix_contains(&r->list[from][i], a))
			return &r->list[from][i];
	return NULL;
}

/* Are there counts of a family that the Service has? */
static bool has_any(const struct obj_service *o, const unsigned count[FAM_COUNT])
{
	for (int f = 0; f < FAM_COUNT; f++)
		if ((o->families >> f & 1) && count[f])
			return true;
	return false;
}

/* Is one of its addresses configured by itself, instead of within a range? */
static bool is_configured_alone(const struct ranges *r, const struct obj_service *o)
{
	for (unsigned i = 0; i < o->addr_count; i++) {
		const struct service_addr *a = &o->addrs[i];
		bool counts = a->from == SERVICE_EXTERNAL_IP ||
			      (a->from == SERVICE_LOAD_BALANCER_IP && o->type == SERVICE_TYPE_LOAD_BALANCER);
		for (unsigned k = 0; counts && k < r->count[a->from]; k++)
			if (prefix_is_host(&r->list[a->from][k]) && prefix_contains(&r->list[a->from][k], &a->addr))
				return true;
	}
	return false;
}

struct verdict {
	bool announced;
	const char *why;
};

/* Cluster IPs are not compared with their ranges. */
static bool is_eligible(const struct ranges *r, const struct service_addr *a)
{
	return a->from == SERVICE_CLUSTER_IP ? r->count[a->from] > 0 : range_of(r, a->from, &a->addr) != NULL;
}

/* What keeps the whole Service from being announced, or this one of its addresses; NULL: nothing. */
static const char *objection(const struct service *s, const struct entry *e, const struct obj_service *o,
			     const struct service_addr *a)
{
	static const char *const not_configured[SERVICE_ORIGIN_COUNT] = {
	    [SERVICE_CLUSTER_IP] = "no BGPConfiguration names serviceClusterIPs",
	    [SERVICE_EXTERNAL_IP] = "it is in none of the serviceExternalIPs of the BGPConfiguration",
	    [SERVICE_LOAD_BALANCER_IP] = "it is in none of the serviceLoadBalancerIPs of the BGPConfiguration",
	};

	if (!is_eligible(&s->ranges, a))
		return not_configured[a->from];
	if (s->ranges.excluded)
		return "this node's label node.kubernetes.io/exclude-from-external-load-balancers is true";
	if (o->type == SERVICE_TYPE_EXTERNAL_NAME)
		return "the Service is of type ExternalName";
	if (o->headless)
		return "the Service is headless";
	return e && e->slices ? NULL : "the Service has no EndpointSlice";
}

static struct verdict judge(const struct service *s, const struct entry *e, const struct obj_service *o,
			    const struct service_addr *a)
{
	const char *no = objection(s, e, o, a);

	if (no)
		return (struct verdict){false, no};
	if (o->external_local) {
		if (has_any(o, e->local))
			return (struct verdict){true, "externalTrafficPolicy is Local, and a ready endpoint is here"};
		return (struct verdict){false, "externalTrafficPolicy is Local, and no ready endpoint is on this node"};
	}
	if (a->from == SERVICE_CLUSTER_IP && o->internal_local) {
		if (has_any(o, e->local))
			return (struct verdict){true, "internalTrafficPolicy is Local, and a ready endpoint is here"};
		return (struct verdict){false, "internalTrafficPolicy is Local, and no ready endpoint is on this node"};
	}
	if (is_configured_alone(&s->ranges, o))
		return (struct verdict){true, "an address of the Service is configured by itself"};
	if (!s->ranges.aggregate) {
		if (has_any(o, e->ready))
			return (struct verdict){true, "serviceLoadBalancerAggregation is Disabled"};
		return (struct verdict){false, "serviceLoadBalancerAggregation is Disabled, and no endpoint is ready"};
	}
	if (range_of(&s->ranges, a->from, &a->addr))
		return (struct verdict){false, "its range stands for it, which every node announces"};
	return (struct verdict){false, "it is in none of the serviceClusterIPs"};
}

static bool claims(const struct prefix *list, unsigned n, const struct prefix *p)
{
	for (unsigned i = 0; i < n; i++)
		if (prefix_equal(&list[i], p))
			return true;
	return false;
}

static void settle(struct service *s, struct entry *e)
{
	const struct obj_service *o = e->service;
	unsigned n = 0, max = o ? o->addr_count : 0;
	struct prefix *want = mem_calloc(max, sizeof *want);

	for (unsigned i = 0; i < max; i++) {
		struct prefix p = prefix_make(&o->addrs[i].addr, addr_bits(o->addrs[i].addr.af));
		if (judge(s, e, o, &o->addrs[i]).announced && !claims(want, n, &p))
			want[n++] = p;
	}
	for (unsigned i = 0; i < n; i++)
		if (!claims(e->claimed, e->claimed_count, &want[i]))
			locals_service(s->d->locals, &o->o, &want[i]);
	for (unsigned i = 0; i < e->claimed_count; i++)
		if (!claims(want, n, &e->claimed[i]))
			locals_service_drop(s->d->locals, &o->o, &e->claimed[i]);
	free(e->claimed);
	e->claimed = want;
	e->claimed_count = n;
}

bool service_settle(struct service *s, uint64_t deadline)
{
	struct entry *e;

	while ((e = STAILQ_FIRST(&s->dirty))) {
		STAILQ_REMOVE_HEAD(&s->dirty, dirty_link);
		e->dirty = false;
		settle(s, e);
		if (!e->service && !e->slices) {
			struct key k = {e->namespace, e->name};
			htab_remove(&s->entries, key_hash(&k), e);
			entry_free(e);
		}
		if (mono_now() > deadline)
			return !STAILQ_EMPTY(&s->dirty);
	}
	return false;
}

bool service_is_announced(const struct service *s, const struct obj_service *o, unsigned index, const char **why)
{
	struct key k = {o->o.namespace, o->o.name};
	const struct entry *e = htab_find(&s->entries, key_hash(&k), entry_is, &k);
	struct verdict v = judge(s, e, o, &o->addrs[index]);

	*why = v.why;
	return v.announced;
}

/* ---- Ranges ---- */

static struct verdict judge_range(const struct ranges *r, enum service_origin from, const struct prefix *p)
{
	if (r->excluded)
		return (struct verdict){
		    false, "this node's label node.kubernetes.io/exclude-from-external-load-balancers is true"};
	if (from != SERVICE_CLUSTER_IP && prefix_is_host(p))
		return (struct verdict){false, "a single address: nodes announce it as the Service's that has it"};
	if (from == SERVICE_LOAD_BALANCER_IP && !r->aggregate)
		return (struct verdict){false,
					"serviceLoadBalancerAggregation is Disabled: only its Services' addresses are"};
	return (struct verdict){true, "every node announces it"};
}

bool service_range_is_announced(const struct service_conf *c, enum service_origin from, const struct prefix *p)
{
	struct ranges r = {.aggregate = c->aggregate, .excluded = c->excluded};

	return judge_range(&r, from, p).announced;
}

bool service_range(const struct service *s, unsigned index, struct service_range *out)
{
	for (int from = 0; from < SERVICE_ORIGIN_COUNT; from++) {
		if (index < s->ranges.count[from]) {
			const struct prefix *p = &s->ranges.list[from][index];
			struct verdict v = judge_range(&s->ranges, (enum service_origin)from, p);
			*out = (struct service_range){*p, (enum service_origin)from, v.announced, v.why};
			return true;
		}
		index -= s->ranges.count[from];
	}
	return false;
}

bool service_has(const struct service *s, const struct prefix *p)
{
	for (int from = 0; s && s->on && from < SERVICE_ORIGIN_COUNT; from++)
		for (unsigned i = 0; i < s->ranges.count[from]; i++)
			if (prefix_covers(&s->ranges.list[from][i], p))
				return true;
	return false;
}

static void each_range(struct service *s, void (*fn)(struct service *s, const struct service_range *r))
{
	struct service_range r;

	for (unsigned i = 0; service_range(s, i, &r); i++)
		fn(s, &r);
}

static void claim_range(struct service *s, const struct service_range *r)
{
	if (r->announced)
		locals_service(s->d->locals, NULL, &r->prefix);
}

static void unclaim_range(struct service *s, const struct service_range *r)
{
	if (r->announced)
		locals_service_drop(s->d->locals, NULL, &r->prefix);
}

/* The kernel's part of the routes within depends on the range. */
static void reselect_range(struct service *s, const struct service_range *r)
{
	dataplane_reselect(s->d, &r->prefix);
}

/* ---- Configuration ---- */

static void ranges_free(struct ranges *r)
{
	for (int from = 0; from < SERVICE_ORIGIN_COUNT; from++)
		free(r->list[from]);
	*r = (struct ranges){0};
}

static struct ranges ranges_copy(const struct service_conf *c)
{
	struct ranges r = {.aggregate = c->aggregate, .excluded = c->excluded};

	for (int from = 0; from < SERVICE_ORIGIN_COUNT; from++) {
		r.count[from] = c->count[from];
		r.list[from] = c->count[from] ? mem_dup(c->list[from], c->count[from] * sizeof *c->list[from]) : NULL;
	}
	return r;
}

static bool is_same(const struct ranges *r, const struct service_conf *c)
{
	for (int from = 0; from < SERVICE_ORIGIN_COUNT; from++)
		if (r->count[from] != c->count[from] ||
		    (r->count[from] &&
		     memcmp(r->list[from], c->list[from], r->count[from] * sizeof *r->list[from]) != 0))
			return false;
	return r->aggregate == c->aggregate && r->excluded == c->excluded;
}

static void load(struct service *s)
{
	static const enum object_kind kinds[] = {OBJ_SERVICE, OBJ_ENDPOINT_SLICE};

	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		unsigned pos = 0;
		for (const struct object *o; (o = store_next(s->d->store, kinds[k], &pos));)
			service_on_change(s, NULL, o);
	}
}

/* Every entry anew: the ranges, or what is this node's, are other ones. */
static void reload(struct service *s)
{
	uint32_t pos = 0;

	for (struct entry *e; (e = htab_next(&s->entries, &pos));)
		for (unsigned i = 0; i < e->claimed_count; i++)
			locals_service_drop(s->d->locals, &e->service->o, &e->claimed[i]);
	entries_clear(s);
	if (s->on)
		load(s);
}

void service_apply(struct service *s, const struct self *self)
{
	const struct service_conf *c = &self->services;
	bool same_node = s->node && strcmp(s->node, c->node) == 0;
	bool same_ranges = is_same(&s->ranges, c);
	struct ranges old;

	if (same_node && same_ranges && s->ranges_claimed)
		return;
	old = s->ranges;
	if (s->ranges_claimed)
		each_range(s, unclaim_range);
	if (!same_ranges)
		each_range(s, reselect_range);
	s->ranges = ranges_copy(c);
	ranges_free(&old);
	s->on = s->ranges.count[SERVICE_CLUSTER_IP] || s->ranges.count[SERVICE_EXTERNAL_IP] ||
		s->ranges.count[SERVICE_LOAD_BALANCER_IP];
	if (!same_node) {
		free(s->node);
		s->node = mem_strdup(c->node);
	}
	each_range(s, claim_range);
	s->ranges_claimed = true;
	if (!same_ranges)
		each_range(s, reselect_range);
	reload(s);
}

void service_forget(struct service *s)
{
	uint32_t pos = 0;

	for (struct entry *e; (e = htab_next(&s->entries, &pos));)
		e->claimed_count = 0;
	s->ranges_claimed = false;
}

struct service *service_new(struct daemon *d)
{
	struct service *s = mem_calloc(1, sizeof *s);

	s->d = d;
	STAILQ_INIT(&s->dirty);
	return s;
}

void service_free(struct service *s)
{
	if (!s)
		return;
	entries_clear(s);
	ranges_free(&s->ranges);
	free(s->node);
	free(s);
}
