/* Objects come, change and go at random: what the changes added up to is after each of them what a computation from
 * nothing gives. CALIDRIS_SEED and CALIDRIS_ROUNDS repeat and prolong it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/peers/peering.h"
#include "datastore/backend.h"
#include "datastore/yaml.h"

#define SELF "a"
#define SEEDS 6
#define ROUNDS 500u
/* Few names and few addresses: everything collides with everything. */
#define NODES 7u
#define PEERS 9u
#define WORKLOADS 4u

struct world {
	struct loop *loop;
	struct store *store;
	struct config config;
	struct peering *peering; /* the one that is told of changes */
	struct peer_change *have;
	unsigned count, range_count;
	struct peer_want *range;
	struct self self;
	bool node_changed, self_changed;
	uint64_t random;
	unsigned changes, told, relabelled;
};

/* ---- Chance ---- */

static unsigned roll(struct world *w, unsigned sides)
{
	w->random = w->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(w->random >> 33) % sides;
}

static bool one_in(struct world *w, unsigned n)
{
	return roll(w, n) == 0;
}

#define ANY(w, list) ((list)[roll(w, sizeof(list) / sizeof *(list))])

/* ---- Objects ---- */

static void head(struct strbuf *b, const char *kind, const char *name, unsigned index)
{
	strbuf_printf(b, "{apiVersion: projectcalico.org/v3, kind: %s, metadata: {name: %s", kind, name);
	if (index != UINT32_MAX)
		strbuf_printf(b, "%u", index);
}

static void node_name(struct strbuf *b, unsigned index)
{
	strbuf_putc(b, (char)('a' + index));
}

static void random_node(struct world *w, struct strbuf *b)
{
	struct strbuf name = {0};

	node_name(&name, roll(w, NODES));
	head(b, "Node", name.s, UINT32_MAX);
	strbuf_free(&name);
	strbuf_printf(b, ", labels: {rack: r%u%s}}, spec: {bgp: {", roll(w, 3), one_in(w, 4) ? ", rr: 'true'" : "");
	if (!one_in(w, 8))
		strbuf_printf(b, "ipv4Address: 10.0.0.%u/24, ", 1 + roll(w, 9));
	if (one_in(w, 2))
		strbuf_printf(b, "ipv6Address: 'fd00::%u/64', ", 1 + roll(w, 9));
	if (one_in(w, 3))
		strbuf_printf(b, "asNumber: %u, ", 64512 + roll(w, 2));
	if (one_in(w, 5))
		strbuf_printf(b, "routeReflectorClusterID: 1.0.0.%u, ", roll(w, 2));
	strbuf_puts(b, "}}}");
}

/* This node as it is, with other labels. */
static void random_label(struct world *w, struct strbuf *b)
{
	const struct object *o = store_get(w->store, OBJ_NODE, "", SELF);
	const struct obj_node *n = o ? object_node(o) : NULL;
	char a[ADDR_STRLEN];

	head(b, "Node", SELF, UINT32_MAX);
	strbuf_printf(b, ", labels: {rack: r%u%s}}, spec: {bgp: {", roll(w, 3), one_in(w, 3) ? ", rr: 'true'" : "");
	if (n && n->ipv4.len)
		strbuf_printf(b, "ipv4Address: %s/%u, ", addr_format(&n->ipv4.addr, a), n->ipv4.len);
	if (n && n->ipv6.len)
		strbuf_printf(b, "ipv6Address: '%s/%u', ", addr_format(&n->ipv6.addr, a), n->ipv6.len);
	if (n && n->as_number)
		strbuf_printf(b, "asNumber: %u, ", n->as_number);
	strbuf_puts(b, "}}}");
}

static void random_address(struct world *w, struct strbuf *b)
{
	static const char *const ports[] = {"", "", ":1179"};

	if (one_in(w, 4))
		strbuf_printf(b, "peerIP: 'fd00::%u', ", 1 + roll(w, 9));
	else
		strbuf_printf(b, "peerIP: '10.%s.0.%u%s', ", one_in(w, 2) ? "0" : "9", 1 + roll(w, 9), ANY(w, ports));
	if (one_in(w, 6))
		strbuf_puts(b, "reachableBy: 10.0.0.254, ");
}

static void random_peer_of_bgp_peer(struct world *w, struct strbuf *b)
{
	static const char *const selectors[] = {"has(rr)", "rack == 'r1'", "all()", "rack == 'r2' && !has(rr)"};
	static const char *const others[] = {
	    "peerRange: 10.9.0.0/16, ",
	    "peerRange: 10.8.0.0/16, ",
	    "interface: eth1, ",
	    "peerIP: 'fe80::1', interface: eth1, ",
	    "localWorkloadSelector: app == 'x', ",
	    "localWorkloadSelector: all(), ",
	};

	switch (roll(w, 3)) {
	case 0:
		random_address(w, b);
		break;
	case 1:
		strbuf_printf(b, "peerSelector: \"%s\", ", ANY(w, selectors));
		break;
	default:
		strbuf_puts(b, ANY(w, others));
	}
}

static void random_bgp_peer(struct world *w, struct strbuf *b)
{
	static const char *const selectors[] = {"has(rr)", "rack == 'r0'", "all()", "!has(rr)", "rack == 'r1'"};
	static const char *const details[] = {
	    "",
	    "",
	    "filters: [f, g], ",
	    "password: secret, ",
	    "reversePeering: Manual, ",
	    "sourceAddress: None, ",
	    "maxRestartTime: 30s, ",
	    "numAllowedLocalASNumbers: 2, ",
	    "nextHopMode: Self, ",
	    "addPath: Receive, ",
	    "bfd: {enabled: true}, ",
	    "vrf: blue, ",
	};

	head(b, "BGPPeer", "p", roll(w, PEERS));
	strbuf_puts(b, "}, spec: {");
	if (one_in(w, 3)) {
		strbuf_puts(b, "node: ");
		node_name(b, roll(w, NODES));
		strbuf_puts(b, ", ");
	} else if (one_in(w, 2)) {
		strbuf_printf(b, "nodeSelector: \"%s\", ", ANY(w, selectors));
	}
	random_peer_of_bgp_peer(w, b);
	if (!one_in(w, 8))
		strbuf_printf(b, "asNumber: %u, ", 64512 + roll(w, 2));
	strbuf_puts(b, ANY(w, details));
	strbuf_puts(b, "}}");
}

static void random_workload(struct world *w, struct strbuf *b)
{
	head(b, "WorkloadEndpoint", "w", roll(w, WORKLOADS));
	strbuf_printf(b,
		      ", namespace: default, labels: {app: %s}}, spec: {node: %s, interfaceName: cali1, ipNetworks: "
		      "[10.9.0.%u, 10.9.0.%u]}}",
		      one_in(w, 2) ? "x" : "y", one_in(w, 3) ? "b" : SELF, 1 + roll(w, 9), 10 + roll(w, 2));
}

static void random_configuration(struct world *w, struct strbuf *b)
{
	struct strbuf name = {0};

	if (one_in(w, 2)) {
		strbuf_puts(&name, "default");
	} else {
		strbuf_puts(&name, "node.");
		node_name(&name, roll(w, NODES));
	}
	head(b, "BGPConfiguration", name.s, UINT32_MAX);
	strbuf_puts(b, "}, spec: {");
	if (one_in(w, 2))
		strbuf_printf(b, "listenPort: %u, ", one_in(w, 2) ? 1179 : 2179);
	if (strcmp(name.s, "default") == 0)
		strbuf_printf(b, "nodeToNodeMeshEnabled: %s, asNumber: %u", one_in(w, 3) ? "false" : "true",
			      64512 + roll(w, 2));
	strbuf_puts(b, "}}");
	strbuf_free(&name);
}

static const struct {
	enum object_kind kind;
	void (*text)(struct world *w, struct strbuf *b);
	unsigned weight;
} makers[] = {
    {OBJ_NODE, random_node, 8},
    {OBJ_NODE, random_label, 2},
    {OBJ_BGP_PEER, random_bgp_peer, 8},
    {OBJ_WORKLOAD_ENDPOINT, random_workload, 3},
    {OBJ_BGP_CONFIGURATION, random_configuration, 1},
};

/* ---- Changes ---- */

/* What the daemon looks at everything for. */
static bool is_about_self(const struct object *o)
{
	if (o->kind == OBJ_NODE)
		return strcmp(o->name, SELF) == 0;
	return o->kind == OBJ_BGP_CONFIGURATION &&
	       (strncmp(o->name, "node.", 5) != 0 || strcmp(o->name, "node." SELF) == 0);
}

static void on_change(void *arg, const struct object *before, const struct object *after)
{
	const struct object *any = after ? after : before;
	struct world *w = arg;

	w->changes++;
	if (any->kind == OBJ_NODE && strcmp(any->name, SELF) == 0 && before && after)
		w->node_changed = true;
	else
		w->self_changed |= is_about_self(any);
	peering_on_change(w->peering, before, after);
}

static void on_doc(void *arg, struct yaml_node *doc)
{
	struct world *w = arg;
	struct object_error err;
	char *name;
	int kind;
	struct object *o = object_decode(doc, &err, &kind, &name, NULL, NULL);

	free(name);
	/* Some of what chance says makes no sense, as what people say. */
	if (!o)
		return;
	o->source = mem_strdup("chance");
	store_put(w->store, o);
}

static void delete_any(struct world *w, enum object_kind kind)
{
	unsigned n = store_count(w->store, kind), pos = 0;
	const struct object *o = NULL;
	char *namespace, *name;

	for (unsigned i = n ? roll(w, n) + 1 : 0; i; i--)
		o = store_next(w->store, kind, &pos);
	if (!o)
		return;
	namespace = mem_strdup(o->namespace);
	name = mem_strdup(o->name);
	ck_assert(store_delete(w->store, kind, namespace, name));
	free(namespace);
	free(name);
}

static void change(struct world *w)
{
	unsigned weight = 0, i = 0;
	struct strbuf text = {0};
	struct yaml_error err;

	for (size_t k = 0; k < sizeof makers / sizeof *makers; k++)
		weight += makers[k].weight;
	for (weight = roll(w, weight); weight >= makers[i].weight; i++)
		weight -= makers[i].weight;
	if (one_in(w, 4)) {
		delete_any(w, makers[i].kind);
		return;
	}
	makers[i].text(w, &text);
	ck_assert_msg(yaml_parse(text.s, text.len, on_doc, w, &err), "%s: %s", text.s, err.reason);
	strbuf_free(&text);
}

/* ---- What there is ---- */

static void describe(struct strbuf *out, const struct peer_want *w)
{
	char a[4][ADDR_STRLEN], range[PREFIX_STRLEN];

	strbuf_printf(out, "%s|%s|%s|%s|%s|%s|%s|%s|%s", w->name, w->origin, w->node ? w->node : "-",
		      peer_kind_name(w->kind), addr_format(&w->remote, a[0]), addr_format(&w->local, a[1]),
		      addr_format(&w->other, a[2]), addr_format(&w->sibling, a[3]),
		      prefix_format(&w->opt.range, range));
	strbuf_printf(out, "|port %u as %u local %u%s%s families %u times %u %u %u ttl %u own %u mode %d",
		      w->remote_port, w->remote_as, w->local_as, w->passive ? " passive" : "",
		      w->rr_client ? " client" : "", w->families, w->hold_time, w->keepalive_time, w->restart_time,
		      w->ttl_security, w->allowed_local_as, w->next_hop_mode);
	strbuf_printf(out, "|%s|%s|%s|%s|%d %d %u|vrf %s by %s\n", w->password ? w->password : "-",
		      w->interface ? w->interface : "-", w->shutdown_text ? w->shutdown_text : "-",
		      w->filters ? w->filters : "-", w->opt.add_path, w->bfd.enabled, w->opt.range_limit, w->opt.vrf,
		      addr_format(&w->reachable_by, a[0]));
}

static int line_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* In which order BGPPeers are told of is nobody's promise. */
static void add_sorted(struct strbuf *out, struct strbuf *lines)
{
	char *list[200];
	unsigned n = 0;

	for (char *line = strtok(lines->s, "\n"); line && n < 200; line = strtok(NULL, "\n"))
		list[n++] = line;
	qsort(list, n, sizeof *list, line_cmp);
	for (unsigned i = 0; i < n; i++)
		strbuf_printf(out, "%s\n", list[i]);
	strbuf_free(lines);
}

static char *summary(const struct peering *p, const struct peer_change *have, unsigned count,
		     const struct peer_want *range, unsigned range_count)
{
	struct strbuf out = {0}, notes = {0};
	char a[ADDR_STRLEN];

	strbuf_printf(&out, "%u of which %u workloads\n", peering_count(p), peering_workload_count(p));
	for (unsigned i = 0; i < count; i++) {
		struct addr gateway = peering_gateway(p, &have[i].want.remote, have[i].want.opt.vrf);
		describe(&out, &have[i].want);
		strbuf_printf(&out, "  by %s\n", addr_format(&gateway, a));
	}
	for (unsigned i = 0; i < range_count; i++)
		describe(&out, &range[i]);
	peering_notes(p, &notes);
	if (notes.len)
		add_sorted(&out, &notes);
	return out.s;
}

static char *from_nothing(const struct world *w, const struct self *self)
{
	struct peering *p = peering_new(w->store, &w->config);
	struct peering_diff d;
	char *text;

	peering_apply(p, self);
	d = peering_settle(p);
	text = summary(p, d.change, d.count, d.range, d.range_count);
	peering_diff_free(&d);
	peering_free(p);
	return text;
}

static int change_cmp(const void *a, const void *b)
{
	return peer_want_cmp(&((const struct peer_change *)a)->want, &((const struct peer_change *)b)->want);
}

static void drop_ranges(struct world *w)
{
	for (unsigned i = 0; i < w->range_count; i++)
		peer_want_free(&w->range[i]);
	free(w->range);
	w->range = NULL;
	w->range_count = 0;
}

static struct peer_change *find(const struct world *w, const struct peer_change *c)
{
	return w->count ? bsearch(c, w->have, w->count, sizeof *c, change_cmp) : NULL;
}

/* As the speaker does it. */
static void take_change(struct world *w, struct peer_change *c)
{
	struct peer_change *there = find(w, c);

	if (there) {
		peer_want_free(&there->want);
		*there = w->have[--w->count];
	}
	if (c->wanted) {
		w->have = mem_realloc(w->have, (w->count + 1) * sizeof *w->have);
		w->have[w->count++] = *c;
		c->want = (struct peer_want){0};
	}
	if (w->count)
		qsort(w->have, w->count, sizeof *w->have, change_cmp);
}

static void take(struct world *w, struct peering_diff *d)
{
	for (unsigned i = 0; i + 1 < d->count; i++)
		ck_assert_int_lt(change_cmp(&d->change[i], &d->change[i + 1]), 0);
	for (unsigned i = 0; i < d->count; i++)
		take_change(w, &d->change[i]);
	if (d->ranges_changed) {
		drop_ranges(w);
		w->range = d->range;
		w->range_count = d->range_count;
		d->range = NULL;
		d->range_count = 0;
	}
	peering_diff_free(d);
}

/* ---- The test ---- */

static struct world *world_new(uint64_t seed)
{
	static const struct store_ops ops = {.on_change = on_change};
	struct world *w = mem_calloc(1, sizeof *w);
	struct strbuf err = {0};

	setenv("NODENAME", SELF, 1);
	ck_assert_msg(config_load(&w->config, NULL, false, &err), "%s", err.s);
	w->loop = loop_new();
	w->store = store_new(w->loop, &ops, w);
	w->peering = peering_new(w->store, &w->config);
	w->random = seed;
	return w;
}

static void world_free(struct world *w)
{
	for (unsigned i = 0; i < w->count; i++)
		peer_want_free(&w->have[i].want);
	free(w->have);
	drop_ranges(w);
	peering_free(w->peering);
	store_free(w->store);
	loop_free(w->loop);
	config_free(&w->config);
	free(w);
}

static unsigned long from_environment(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 10) : otherwise;
}

static void check_round(struct world *w, unsigned round)
{
	struct self self = self_from(w->store, &w->config, NULL);
	struct peering_diff d;
	char *added_up, *anew;
	bool everything = w->self_changed || (w->node_changed && !self_is_same(&self, &w->self));

	w->relabelled += w->node_changed && !everything;
	if (everything)
		peering_apply(w->peering, &self);
	w->self = self;
	w->node_changed = w->self_changed = false;
	d = peering_settle(w->peering);
	ck_assert(d.everything == everything);
	ck_assert(!peering_is_dirty(w->peering));
	w->told += everything ? 0 : d.count;
	take(w, &d);
	added_up = summary(w->peering, w->have, w->count, w->range, w->range_count);
	anew = from_nothing(w, &self);
	ck_assert_msg(strcmp(added_up, anew) == 0, "round %u: the changes added up to\n%sfrom nothing it is\n%s", round,
		      added_up, anew);
	free(added_up);
	free(anew);
}

START_TEST(test_random)
{
	unsigned long seed = from_environment("CALIDRIS_SEED", 1000),
		      rounds = from_environment("CALIDRIS_ROUNDS", ROUNDS);
	struct world *w = world_new(seed + (unsigned)_i);
	unsigned sessions = 0;

	for (unsigned round = 0; round < rounds; round++) {
		for (unsigned n = 1 + roll(w, 3); n; n--)
			change(w);
		check_round(w, round);
		sessions += w->count;
	}
	/* There was something to compare. */
	ck_assert_uint_gt(w->changes, rounds / 2);
	ck_assert_uint_gt(sessions, rounds);
	ck_assert_uint_gt(w->told, rounds / 4);
	ck_assert_uint_gt(w->relabelled, rounds / 100);
	world_free(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("peering at random");
	TCase *t = tcase_create("random");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, test_random, 0, SEEDS);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
