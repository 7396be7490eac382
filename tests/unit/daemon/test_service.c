/* Which addresses of Services a node announces: Calico's rules, each as a small cluster; and that a change touches what
 * it must and nothing else. Over a whole daemon whose objects are put into the store by hand. */
#include "daemon/cluster/service.h"

#include "daemon/policy/policies.h"
#include "tests/unit/daemon/store_rig.h"

/* ---- What is announced ---- */

#define NODE(name, labels)                                                                                \
	"---\n{apiVersion: projectcalico.org/v3, kind: Node, metadata: {name: " name ", labels: {" labels \
	"}}, spec: {}}\n"
#define CONF(spec) DOC("BGPConfiguration", "default", "spec: {" spec "}")
#define SERVICE(name, rest) \
	"---\n{apiVersion: v1, kind: Service, metadata: {name: " name ", namespace: shop}, " rest "}\n"
#define SLICE(name, service, family, endpoints)                                                                       \
	"---\n{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: " family ", metadata: {name: " name \
	", namespace: shop, labels: {kubernetes.io/service-name: " service "}}, endpoints: [" endpoints "]}\n"

#define CLUSTER "serviceClusterIPs: [{cidr: 10.96.0.0/12}]"
#define EXTERNAL "serviceExternalIPs: [{cidr: 203.0.113.0/24}]"
#define BALANCER "serviceLoadBalancerIPs: [{cidr: 198.51.100.0/24}]"
#define HERE "{nodeName: a}"
#define THERE "{nodeName: b}"
#define UNREADY "{nodeName: a, conditions: {ready: false}}"
#define LOCAL "externalTrafficPolicy: Local"

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

struct listing {
	char *list[64];
	unsigned n;
};

static void on_route(void *arg, const struct rib_view *v)
{
	struct listing *l = arg;
	char text[PREFIX_STRLEN];

	if (v->route.source == SOURCE_SERVICE)
		l->list[l->n++] = mem_strdup(prefix_format(&v->prefix, text));
}

static void expect_announced(struct daemon *d, const char *what, const char *want)
{
	struct listing l = {0};
	struct strbuf have = {0};

	for (int f = 0; f < FAM_COUNT; f++) {
		uint64_t pos = 0;
		while (rib_walk(d->rib, (enum family)f, &pos, 64, on_route, &l))
			;
	}
	qsort(l.list, l.n, sizeof *l.list, by_text);
	strbuf_puts(&have, "");
	for (unsigned i = 0; i < l.n; i++) {
		strbuf_printf(&have, "%s%s", i ? " " : "", l.list[i]);
		free(l.list[i]);
	}
	ck_assert_msg(strcmp(have.s, want) == 0, "%s: announced is\n%s\nnot\n%s", what, have.s, want);
	strbuf_free(&have);
}

#define RANGE "10.96.0.0/12"
static const struct {
	const char *what, *objects, *announced;
} cases[] = {
    {"nothing is configured",
     NODE("a", "") SERVICE("s", "spec: {clusterIP: 10.96.0.1, " LOCAL "}") SLICE("e", "s", "IPv4", HERE), ""},
    {"ranges", NODE("a", "") CONF(CLUSTER ", " EXTERNAL ", " BALANCER), "10.96.0.0/12 198.51.100.0/24 203.0.113.0/24"},
    {"ranges of both families", NODE("a", "") CONF("serviceClusterIPs: [{cidr: 10.96.0.0/12}, {cidr: fd00:96::/108}]"),
     "10.96.0.0/12 fd00:96::/108"},
    {"single addresses are announced as ranges only of cluster IPs",
     NODE("a", "") CONF("serviceClusterIPs: [{cidr: 10.96.0.9/32}], serviceExternalIPs: [{cidr: 203.0.113.9/32}], "
			"serviceLoadBalancerIPs: [{cidr: 198.51.100.9/32}, {cidr: 'fd00::9/128'}]"),
     "10.96.0.9/32"},
    {"without aggregation the range of load balancers is not announced",
     NODE("a", "") CONF(BALANCER ", " EXTERNAL ", serviceLoadBalancerAggregation: Disabled"), "203.0.113.0/24"},
    {"an excluded node announces nothing",
     NODE("a", "node.kubernetes.io/exclude-from-external-load-balancers: 'true'") CONF(CLUSTER)
	 SERVICE("s", "spec: {clusterIP: 10.96.0.1, " LOCAL "}") SLICE("e", "s", "IPv4", HERE),
     ""},
    {"the label says false",
     NODE("a", "node.kubernetes.io/exclude-from-external-load-balancers: 'false'") CONF(CLUSTER), RANGE},
    {"policy Cluster: the range stands for it",
     NODE("a", "") CONF(CLUSTER) SERVICE("s", "spec: {clusterIP: 10.96.0.1}") SLICE("e", "s", "IPv4", HERE), RANGE},
    {"policy Local, an endpoint here",
     NODE("a", "") CONF(CLUSTER) SERVICE("s", "spec: {clusterIP: 10.96.0.1, " LOCAL "}") SLICE("e", "s", "IPv4", HERE),
     RANGE " 10.96.0.1/32"},
    {"policy Local, an endpoint there",
     NODE("a", "") CONF(CLUSTER) SERVICE("s", "spec: {clusterIP: 10.96.0.1, " LOCAL "}") SLICE("e", "s", "IPv4", THERE),
     RANGE},
    {"policy Local, the endpoint here is not ready",
     NODE("a", "") CONF(CLUSTER) SERVICE("s", "spec: {clusterIP: 10.96.0.1, " LOCAL "}")
	 SLICE("e", "s", "IPv4", UNREADY ", " THERE),
     RANGE},
    {"policy Local, an endpoint of no node",
     NODE("a", "") CONF(CLUSTER) SERVICE("s", "spec: {clusterIP: 10.96.0.1, " LOCAL "}") SLICE("e", "s", "IPv4", "{}"),
     RANGE},
    {"no EndpointSlice", NODE("a", "") CONF(CLUSTER) SERVICE("s", "spec: {clusterIP: 10.96.0.1, " LOCAL "}"), RANGE},
    {"somebody else's EndpointSlice",
     NODE("a", "") CONF(CLUSTER) SERVICE("s", "spec: {clusterIP: 10.96.0.1, " LOCAL "}") SLICE("e", "t", "IPv4", HERE),
     RANGE},
    {"several slices, one has an endpoint here",
     NODE("a", "") CONF(CLUSTER) SERVICE("s", "spec: {clusterIP: 10.96.0.1, " LOCAL "}") SLICE("e1", "s", "IPv4", THERE)
	 SLICE("e2", "s", "IPv4", UNREADY) SLICE("e3", "s", "IPv4", HERE),
     RANGE " 10.96.0.1/32"},
    {"all addresses of both families, or none",
     NODE("a", "") CONF(CLUSTER ", " EXTERNAL ", " BALANCER) SERVICE(
	 "s", "spec: {type: LoadBalancer, clusterIPs: [10.96.0.1, 'fd00:96::1'], externalIPs: [203.0.113.1, "
	      "192.0.2.1], " LOCAL "}, status: {loadBalancer: {ingress: [{ip: 198.51.100.1}, {ip: 192.0.2.2}]}}")
	 SLICE("e", "s", "IPv6", HERE),
     "10.96.0.0/12 10.96.0.1/32 198.51.100.0/24 198.51.100.1/32 203.0.113.0/24 203.0.113.1/32 fd00:96::1/128"},
    {"slices of a family that the Service has not do not count",
     NODE("a", "") CONF(CLUSTER) SERVICE("s", "spec: {clusterIP: 10.96.0.1, ipFamilies: [IPv4], " LOCAL "}")
	 SLICE("e", "s", "IPv6", HERE),
     RANGE},
    {"cluster IPs are not compared with their ranges",
     NODE("a", "") CONF(CLUSTER) SERVICE("s", "spec: {clusterIP: 172.30.0.1, " LOCAL "}") SLICE("e", "s", "IPv4", HERE),
     "10.96.0.0/12 172.30.0.1/32"},
    {"without a range of cluster IPs none of them is announced",
     NODE("a", "") CONF(EXTERNAL) SERVICE("s", "spec: {clusterIP: 10.96.0.1, externalIPs: [203.0.113.1], " LOCAL "}")
	 SLICE("e", "s", "IPv4", HERE),
     "203.0.113.0/24 203.0.113.1/32"},
    {"headless, and ExternalName",
     NODE("a", "") CONF(CLUSTER ", " EXTERNAL)
	 SERVICE("s", "spec: {clusterIP: None, externalIPs: [203.0.113.1], " LOCAL "}")
	     SERVICE("t", "spec: {type: ExternalName, externalIPs: [203.0.113.2], " LOCAL "}")
		 SLICE("e", "s", "IPv4", HERE) SLICE("f", "t", "IPv4", HERE),
     "10.96.0.0/12 203.0.113.0/24"},
    {"an external IP that is configured by itself: policy Cluster, nobody ready",
     NODE("a", "") CONF(CLUSTER ", serviceExternalIPs: [{cidr: 203.0.113.1/32}]")
	 SERVICE("s", "spec: {clusterIP: 10.96.0.1, externalIPs: [203.0.113.1]}") SLICE("e", "s", "IPv4", UNREADY),
     "10.96.0.0/12 10.96.0.1/32 203.0.113.1/32"},
    {"but not with policy Local",
     NODE("a", "") CONF("serviceExternalIPs: [{cidr: 203.0.113.1/32}]")
	 SERVICE("s", "spec: {externalIPs: [203.0.113.1], " LOCAL "}") SLICE("e", "s", "IPv4", THERE),
     ""},
    {"a load balancer's address that is configured by itself needs the type",
     NODE("a", "") CONF("serviceLoadBalancerIPs: [{cidr: 198.51.100.1/32}]")
	 SERVICE("s", "spec: {type: LoadBalancer}, status: {loadBalancer: {ingress: [{ip: 198.51.100.1}]}}")
	     SLICE("e", "s", "IPv4", THERE),
     "198.51.100.1/32"},
    {"of type ClusterIP it does not count",
     NODE("a", "") CONF("serviceLoadBalancerIPs: [{cidr: 198.51.100.1/32}]")
	 SERVICE("s", "status: {loadBalancer: {ingress: [{ip: 198.51.100.1}]}}") SLICE("e", "s", "IPv4", THERE),
     ""},
    {"without aggregation: ready anywhere",
     NODE("a", "") CONF(BALANCER ", serviceLoadBalancerAggregation: Disabled")
	 SERVICE("s", "spec: {type: LoadBalancer}, status: {loadBalancer: {ingress: [{ip: 198.51.100.1}]}}")
	     SERVICE("t", "spec: {type: LoadBalancer}, status: {loadBalancer: {ingress: [{ip: 198.51.100.2}]}}")
		 SERVICE("u", "spec: {type: LoadBalancer, " LOCAL
			      "}, status: {loadBalancer: {ingress: [{ip: 198.51.100.3}]}}")
		     SLICE("e", "s", "IPv4", THERE) SLICE("f", "t", "IPv4", UNREADY) SLICE("g", "u", "IPv4", THERE),
     "198.51.100.1/32"},
    {"internalTrafficPolicy Local: cluster IPs where an endpoint is, whatever the rest does",
     NODE("a", "") CONF(CLUSTER ", serviceExternalIPs: [{cidr: 203.0.113.1/32}]")
	 SERVICE("s", "spec: {clusterIP: 10.96.0.1, internalTrafficPolicy: Local}") SLICE("e", "s", "IPv4", HERE)
	     SERVICE("t", "spec: {clusterIP: 10.96.0.2, internalTrafficPolicy: Local, externalIPs: [203.0.113.1]}")
		 SLICE("f", "t", "IPv4", THERE),
     "10.96.0.0/12 10.96.0.1/32 203.0.113.1/32"},
};

START_TEST(test_rules)
{
	struct daemon *d = start();

	put(d, cases[_i].objects);
	store_synced(d->store);
	turn(d);
	expect_announced(d, cases[_i].what, cases[_i].announced);
	daemon_free(d);
}
END_TEST

/* The same objects, come in any order, give the same. */
START_TEST(test_order)
{
	struct daemon *d = start();

	put(d, NODE("a", ""));
	store_synced(d->store);
	turn(d);
	put(d, SLICE("e", "s", "IPv4", HERE));
	put(d, SERVICE("s", "spec: {clusterIP: 10.96.0.1, " LOCAL "}"));
	turn(d);
	expect_announced(d, "nothing is configured", "");
	put(d, CONF(CLUSTER));
	turn(d);
	expect_announced(d, "configured last", RANGE " 10.96.0.1/32");
	put(d, CONF(EXTERNAL));
	turn(d);
	expect_announced(d, "other ranges", "203.0.113.0/24");
	put(d, CONF(CLUSTER ", " EXTERNAL));
	store_delete(d->store, OBJ_SERVICE, "shop", "s");
	turn(d);
	expect_announced(d, "no Service", RANGE " 203.0.113.0/24");
	put(d, SERVICE("s", "spec: {clusterIP: 10.96.0.2, " LOCAL "}"));
	turn(d);
	expect_announced(d, "a new one", RANGE " 10.96.0.2/32 203.0.113.0/24");
	put(d, NODE("a", "node.kubernetes.io/exclude-from-external-load-balancers: 'true'"));
	turn(d);
	expect_announced(d, "excluded", "");
	put(d, NODE("a", ""));
	turn(d);
	expect_announced(d, "not any more", RANGE " 10.96.0.2/32 203.0.113.0/24");
	store_delete(d->store, OBJ_ENDPOINT_SLICE, "shop", "e");
	store_delete(d->store, OBJ_BGP_CONFIGURATION, "", "default");
	turn(d);
	expect_announced(d, "nothing is configured any more", "");
	daemon_free(d);
}
END_TEST

/* ---- Changes ---- */

struct changes {
	char *texts[64];
	unsigned n;
};

static void on_best(void *arg, const struct prefix *p, const struct rib_path *best)
{
	struct changes *c = arg;
	char text[PREFIX_STRLEN];

	c->texts[c->n++] = mem_printf("%c%s", best ? '+' : '-', prefix_format(p, text));
}

static void expect_changes(struct daemon *d, struct changes *c, const char *objects, const char *want)
{
	struct strbuf have = {0};

	put(d, objects);
	turn(d);
	qsort(c->texts, c->n, sizeof *c->texts, by_text);
	strbuf_puts(&have, "");
	for (unsigned i = 0; i < c->n; i++) {
		strbuf_printf(&have, "%s%s", i ? " " : "", c->texts[i]);
		free(c->texts[i]);
	}
	c->n = 0;
	ck_assert_msg(strcmp(have.s, want) == 0, "%s changed\n%s\nnot\n%s", objects, have.s, want);
	strbuf_free(&have);
}

START_TEST(test_changes)
{
	struct daemon *d = start();
	struct changes c = {0};
	struct rib_observer o = {.arg = &c, .on_best = on_best};

	put(d, NODE("a", "") CONF(CLUSTER) SERVICE("s", "spec: {clusterIP: 10.96.0.1, " LOCAL "}")
		   SLICE("e", "s", "IPv4", HERE) SERVICE("t", "spec: {clusterIP: 10.96.0.2, " LOCAL "}")
		       SLICE("f", "t", "IPv4", HERE) SERVICE("u", "spec: {clusterIP: 10.96.0.3, " LOCAL "}")
			   SLICE("g", "u", "IPv4", THERE));
	store_synced(d->store);
	turn(d);
	rib_observe(d->rib, &o);
	/* One endpoint moves, becomes unready, is joined by another: its Service's route, and no other. */
	expect_changes(d, &c, SLICE("g", "u", "IPv4", HERE), "+10.96.0.3/32");
	expect_changes(d, &c, SLICE("g", "u", "IPv4", HERE ", " THERE), "");
	expect_changes(d, &c, SLICE("e", "s", "IPv4", UNREADY), "-10.96.0.1/32");
	expect_changes(d, &c, SLICE("e2", "s", "IPv4", HERE), "+10.96.0.1/32");
	/* A Service changes: what it has in common with before stays. */
	expect_changes(d, &c, SERVICE("t", "spec: {clusterIP: 10.96.0.2, sessionAffinity: ClientIP, " LOCAL "}"), "");
	expect_changes(d, &c, SERVICE("t", "spec: {clusterIPs: [10.96.0.2, 'fd00::2'], " LOCAL "}"), "+fd00::2/128");
	expect_changes(d, &c, SERVICE("t", "spec: {clusterIPs: [10.96.0.4, 'fd00::2'], " LOCAL "}"),
		       "+10.96.0.4/32 -10.96.0.2/32");
	/* An address goes from one Service to another in one turn: its route does not blink. */
	expect_changes(d, &c,
		       SERVICE("t", "spec: {clusterIP: 10.96.0.5, " LOCAL "}")
			   SERVICE("u", "spec: {clusterIP: 10.96.0.4, " LOCAL "}"),
		       "+10.96.0.5/32 -10.96.0.3/32 -fd00::2/128");
	/* Another range: everything else stays. */
	expect_changes(d, &c, CONF(CLUSTER ", " EXTERNAL), "+203.0.113.0/24");
	expect_changes(d, &c, CONF(EXTERNAL ", " CLUSTER ", listenPort: 1179"), "");
	/* Another Node, and this one's own changes. */
	expect_changes(d, &c, NODE("z", ""), "");
	expect_changes(d, &c, NODE("a", "rack: r1"), "");
	cluster_reconfigure(d->cluster);
	expect_changes(d, &c, NODE("z", "rack: r2"), "");
	rib_observe(d->rib, NULL);
	daemon_free(d);
}
END_TEST

/* ---- The kernel, the export policy, people ---- */

static bool has(struct daemon *d, const char *prefix)
{
	struct prefix p;

	ck_assert(prefix_parse(&p, prefix));
	return service_has(d->service, &p);
}

START_TEST(test_kept_from_kernel)
{
	struct daemon *d = start();

	put(d, NODE("a", "node.kubernetes.io/exclude-from-external-load-balancers: 'true'")
		   CONF(CLUSTER ", serviceLoadBalancerIPs: [{cidr: 198.51.100.1/32}]"));
	store_synced(d->store);
	turn(d);
	/* Also on a node that is excluded, and for a single address. */
	ck_assert(has(d, "10.96.0.0/12") && has(d, "10.96.0.7/32") && has(d, "198.51.100.1/32"));
	ck_assert(!has(d, "10.0.0.0/8") && !has(d, "198.51.100.0/24") && !has(d, "fd00::/64"));
	put(d, CONF(""));
	turn(d);
	ck_assert(!has(d, "10.96.0.0/12") && !service_has(NULL, &(struct prefix){0}));
	daemon_free(d);
}
END_TEST

static bool exported(struct daemon *d, const struct self *self, const char *prefix, enum route_source source, bool ibgp,
		     const char **why)
{
	static char text[200];
	struct policies *policies = policies_new(d->store);
	const struct policy *policy;
	struct policy_input in = {.source = source, .ibgp = ibgp, .local_pref = local_pref_of_priority(1024)};
	struct policy_result r;

	ck_assert(prefix_parse(&in.prefix, prefix));
	policies_update(policies, self);
	policy = policies_get(policies, NULL)->export;
	r = policy_eval(policy, &in);
	snprintf(text, sizeof text, "%s", r.why ? r.why : "");
	*why = text;
	policies_free(policies);
	return r.accept;
}

START_TEST(test_export)
{
	struct daemon *d = start();
	const char *why;
	struct self self;

	put(d, NODE("a", "") CONF(CLUSTER ", " BALANCER ", serviceLoadBalancerAggregation: Disabled"));
	store_synced(d->store);
	turn(d);
	self = self_from(d->store, &d->config, NULL);
	ck_assert(exported(d, &self, "10.96.0.0/12", SOURCE_SERVICE, true, &why));
	ck_assert_str_eq(why, "a Service that this node announces");
	ck_assert(exported(d, &self, "172.30.0.1/32", SOURCE_SERVICE, false, &why));
	ck_assert(!exported(d, &self, "172.30.0.1/32", SOURCE_BGP, true, &why));
	ck_assert(exported(d, &self, "10.96.0.1/32", SOURCE_BGP, true, &why));
	ck_assert(!exported(d, &self, "198.51.100.1/32", SOURCE_BGP, true, &why));
	ck_assert(!exported(d, &self, "10.96.0.1/32", SOURCE_BGP, false, &why));
	ck_assert_str_eq(why, "another node's Service");
	/* A reflector passes on what its clients announce. */
	self.cluster_id = 1;
	ck_assert(exported(d, &self, "10.96.0.1/32", SOURCE_BGP, false, &why));
	ck_assert(exported(d, &self, "198.51.100.1/32", SOURCE_BGP, true, &why));
	ck_assert(exported(d, &self, "198.51.100.1/32", SOURCE_BGP, false, &why));
	ck_assert(!exported(d, &self, "203.0.113.1/32", SOURCE_BGP, true, &why));
	self.services.excluded = true;
	ck_assert(!exported(d, &self, "10.96.0.1/32", SOURCE_BGP, true, &why));
	ck_assert(exported(d, &self, "198.51.100.1/32", SOURCE_BGP, true, &why));
	daemon_free(d);
}
END_TEST

START_TEST(test_reasons)
{
	struct daemon *d = start();
	const struct obj_service *s;
	struct service_range r;
	const char *why;

	put(d, NODE("a", "") CONF(CLUSTER) SERVICE("s", "spec: {clusterIP: 10.96.0.1, externalIPs: [203.0.113.1]}")
		   SLICE("e", "s", "IPv4", THERE));
	store_synced(d->store);
	turn(d);
	s = (const void *)store_get(d->store, OBJ_SERVICE, "shop", "s");
	ck_assert(!service_is_announced(d->service, s, 0, &why));
	ck_assert_str_eq(why, "its range stands for it, which every node announces");
	ck_assert(!service_is_announced(d->service, s, 1, &why));
	ck_assert_str_eq(why, "it is in none of the serviceExternalIPs of the BGPConfiguration");
	put(d, SERVICE("s", "spec: {clusterIP: 10.96.0.1, " LOCAL "}"));
	turn(d);
	s = (const void *)store_get(d->store, OBJ_SERVICE, "shop", "s");
	ck_assert(!service_is_announced(d->service, s, 0, &why));
	ck_assert_str_eq(why, "externalTrafficPolicy is Local, and no ready endpoint is on this node");
	ck_assert(service_range(d->service, 0, &r) && r.announced);
	ck_assert_str_eq(r.why, "every node announces it");
	ck_assert(!service_range(d->service, 1, &r));
	daemon_free(d);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("service");
	TCase *t = tcase_create("service");
	SRunner *sr;
	int failures;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_rules, 0, sizeof cases / sizeof *cases);
	tcase_add_test(t, test_order);
	tcase_add_test(t, test_changes);
	tcase_add_test(t, test_kept_from_kernel);
	tcase_add_test(t, test_export);
	tcase_add_test(t, test_reasons);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
