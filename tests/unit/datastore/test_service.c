/* Services and EndpointSlices: what is kept of them, and which of their changes are any. */
#include "datastore/objects.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/buf.h"

struct outcome {
	struct object *o;
	struct object_error err;
	bool reported;
};

static void on_report(void *arg, const char *field, unsigned line, unsigned col, const char *reason)
{
	(void)field, (void)line, (void)col, (void)reason;
	((struct outcome *)arg)->reported = true;
}

static void on_doc(void *arg, struct yaml_node *root)
{
	struct outcome *out = arg;
	char *name;
	int kind;

	out->o = object_decode(root, &out->err, &kind, &name, on_report, out);
	free(name);
}

static struct outcome decode(const char *text)
{
	struct outcome out = {0};
	struct yaml_error err;

	ck_assert_msg(yaml_parse(text, strlen(text), on_doc, &out, &err), "%s", text);
	return out;
}

static struct object *service(const char *rest)
{
	struct strbuf text = {0};
	struct outcome out;

	strbuf_printf(&text, "{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, %s}", rest);
	out = decode(text.s);
	ck_assert_msg(out.o != NULL, "%s: %s: %s", text.s, out.err.field, out.err.reason);
	ck_assert_msg(!out.reported, "%s", text.s);
	strbuf_free(&text);
	return out.o;
}

static struct object *slice(const char *endpoints)
{
	struct strbuf text = {0};
	struct outcome out;

	strbuf_printf(&text,
		      "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, ports: [{port: 80}],"
		      " metadata: {name: web-x, namespace: shop, labels: {kubernetes.io/service-name: web}},"
		      " endpoints: %s}",
		      endpoints);
	out = decode(text.s);
	ck_assert_msg(out.o != NULL, "%s: %s: %s", text.s, out.err.field, out.err.reason);
	ck_assert_msg(!out.reported, "%s", text.s);
	strbuf_free(&text);
	return out.o;
}

/* "A.B.C.D:ORIGIN ..." */
static void check_addrs(const char *rest, const char *expected, unsigned families, bool headless)
{
	struct object *o = service(rest);
	const struct obj_service *s = (const struct obj_service *)(const void *)o;
	struct strbuf out = {0};
	char a[ADDR_STRLEN];

	strbuf_puts(&out, "");
	for (unsigned i = 0; i < s->addr_count; i++)
		strbuf_printf(&out, "%s%s %u", i ? ", " : "", addr_format(&s->addrs[i].addr, a), s->addrs[i].from);
	ck_assert_str_eq(out.s, expected);
	ck_assert_uint_eq(s->families, families);
	ck_assert(s->headless == headless);
	strbuf_free(&out);
	object_free(o);
}

START_TEST(test_addresses)
{
	check_addrs("spec: {}", "", 3, false);
	check_addrs("spec: {clusterIP: 10.96.0.1}", "10.96.0.1 0", 1, false);
	check_addrs("spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, 'fd00::1']}", "10.96.0.1 0, fd00::1 0", 3,
		    false);
	check_addrs("spec: {clusterIP: 10.96.0.1, clusterIPs: []}", "10.96.0.1 0", 1, false);
	check_addrs("spec: {clusterIP: 'fd00::1', ipFamilies: [IPv6]}", "fd00::1 0", 2, false);
	check_addrs("spec: {clusterIP: None, clusterIPs: [None]}", "", 3, true);
	check_addrs("spec: {clusterIP: '', externalIPs: [192.0.2.1, 'fd01::2']}", "192.0.2.1 1, fd01::2 1", 3, false);
	check_addrs("spec: {clusterIP: 10.96.0.1, sessionAffinity: None, selector: {a: b}}, status: {conditions: [],"
		    " loadBalancer: {ingress: [{ip: 198.51.100.1, ipMode: VIP}, {hostname: lb.example}, {ip: ''}]}}",
		    "10.96.0.1 0, 198.51.100.1 2", 1, false);
	check_addrs("status: {loadBalancer: {}}", "", 3, false);
}
END_TEST

static const struct {
	const char *text, *field;
} refused[] = {
    {"{apiVersion: projectcalico.org/v3, kind: Service, metadata: {name: a}}", "apiVersion"},
    {"{apiVersion: v1, kind: EndpointSlice, metadata: {name: a}, addressType: IPv4}", "apiVersion"},
    {"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIP: x}}", "spec.clusterIP[0]"},
    {"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIPs: x}}", "spec.clusterIPs"},
    {"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIPs: [10.0.0.1, [x]]}}", "spec.clusterIPs[1]"},
    {"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIPs: [0.0.0.0]}}", "spec.clusterIPs[0]"},
    {"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {externalIPs: [10.0.0.0/8]}}", "spec.externalIPs[0]"},
    {"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {externalIPs: [127.0.0.1]}}", "spec.externalIPs[0]"},
    {"{apiVersion: v1, kind: Service, metadata: {name: a}, status: {loadBalancer: {ingress: [5.5.5.5]}}}",
     "status.loadBalancer.ingress[0]"},
    {"{apiVersion: v1, kind: Service, metadata: {name: a}, status: {loadBalancer: {ingress: [{ip: x}]}}}",
     "status.loadBalancer.ingress[0]"},
    {"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {type: Other}}", "spec.type"},
    {"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a}, addressType: IPv4, endpoints: {}}",
     "endpoints"},
    {"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a}, addressType: IPv4,"
     " endpoints: [{}, {conditions: {ready: maybe}}]}",
     "endpoints[1].conditions.ready"},
    {"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a}, addressType: IPv4,"
     " endpoints: [{nodeName: [x]}]}",
     "endpoints[0].nodeName"},
};

START_TEST(test_refused)
{
	struct outcome out = decode(refused[_i].text);

	ck_assert_msg(!out.o, "%s", refused[_i].text);
	ck_assert_str_eq(out.err.field, refused[_i].field);
}
END_TEST

START_TEST(test_policies)
{
	struct object *o =
	    service("spec: {type: LoadBalancer, externalTrafficPolicy: Local, internalTrafficPolicy: Local}");
	const struct obj_service *s = (const struct obj_service *)(const void *)o;

	ck_assert(s->type == SERVICE_TYPE_LOAD_BALANCER && s->external_local && s->internal_local);
	ck_assert_str_eq(o->namespace, "shop");
	object_free(o);
	o = service("spec: {type: NodePort, externalTrafficPolicy: Cluster}");
	s = (const struct obj_service *)(const void *)o;
	ck_assert(s->type == SERVICE_TYPE_NODE_PORT && !s->external_local && !s->internal_local);
	object_free(o);
}
END_TEST

START_TEST(test_ready_nodes)
{
	struct object *o =
	    slice("[{addresses: [10.0.0.1], nodeName: b, conditions: {ready: true}},"
		  " {nodeName: c, conditions: {ready: false, serving: true}}, {nodeName: a, conditions: {}},"
		  " {nodeName: b}, {conditions: {ready: null}, nodeName: d}]");
	const struct obj_endpoint_slice *s = (const struct obj_endpoint_slice *)(const void *)o;

	ck_assert_str_eq(endpoint_slice_service(s), "web");
	ck_assert_uint_eq(s->family, FAM_IPV4);
	ck_assert(s->any_ready);
	ck_assert_uint_eq(s->ready_node_count, 3);
	ck_assert(endpoint_slice_is_ready_on(s, "a") && endpoint_slice_is_ready_on(s, "b"));
	ck_assert(endpoint_slice_is_ready_on(s, "d"));
	ck_assert(!endpoint_slice_is_ready_on(s, "c") && !endpoint_slice_is_ready_on(s, "aa"));
	object_free(o);
	/* An endpoint that is no Pod of a node is ready, and nowhere. */
	o = slice("[{addresses: [203.0.113.1]}]");
	s = (const struct obj_endpoint_slice *)(const void *)o;
	ck_assert(s->any_ready && s->ready_node_count == 0 && !endpoint_slice_is_ready_on(s, ""));
	object_free(o);
	o = slice("null");
	ck_assert(!((const struct obj_endpoint_slice *)(const void *)o)->any_ready);
	object_free(o);
}
END_TEST

static void check_same(const char *a, const char *b, bool same)
{
	struct object *x = slice(a), *y = slice(b);

	ck_assert_msg((x->digest == y->digest) == same, "%s %s", a, b);
	object_free(x);
	object_free(y);
}

/* What is no change of where somebody is ready is no change. */
START_TEST(test_digest)
{
	check_same("[{nodeName: a, addresses: [10.0.0.1]}]", "[{nodeName: a, addresses: [10.0.0.2]}]", true);
	check_same("[{nodeName: a}, {nodeName: b}]", "[{nodeName: b}, {nodeName: a}, {nodeName: a}]", true);
	check_same("[{nodeName: a}]", "[{nodeName: a}, {nodeName: b, conditions: {ready: false}}]", true);
	check_same("[{nodeName: a}]", "[{nodeName: a}, {nodeName: b}]", false);
	check_same("[{nodeName: ab}]", "[{nodeName: a}, {nodeName: b}]", false);
	check_same("[{nodeName: a}]", "[{}]", false);
	check_same("[]", "[{}]", false);
	check_same("[]", "[{nodeName: a, conditions: {ready: false}}]", true);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("service");
	TCase *t = tcase_create("service");
	SRunner *sr;
	int failures;

	tcase_add_test(t, test_addresses);
	tcase_add_loop_test(t, test_refused, 0, sizeof refused / sizeof *refused);
	tcase_add_test(t, test_policies);
	tcase_add_test(t, test_ready_nodes);
	tcase_add_test(t, test_digest);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
