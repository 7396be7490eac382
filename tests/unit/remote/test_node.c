/* What a node says of itself, in both datastores' forms: what differs is changed, and all else stays as it is. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/remote/etcd_node.h"
#include "datastore/remote/etcd_wire.h"
#include "datastore/remote/kube_node.h"

static struct arena arena;

static struct yaml_node *parsed(const char *text)
{
	char err[JSON_ERROR_LEN];
	struct yaml_node *n = json_parse(text, strlen(text), &arena, err);

	ck_assert_msg(n, "%s: %s", text, err);
	return n;
}

static struct store_node said(const char *ipv4, const char *ipv6, uint32_t as)
{
	struct store_node n = {.as = as};
	unsigned len;

	if (ipv4) {
		ck_assert(prefix_parse_host(&n.addr[FAM_IPV4].addr, &len, ipv4));
		n.addr[FAM_IPV4].len = (uint8_t)len;
	}
	if (ipv6) {
		ck_assert(prefix_parse_host(&n.addr[FAM_IPV6].addr, &len, ipv6));
		n.addr[FAM_IPV6].len = (uint8_t)len;
	}
	return n;
}

static const struct {
	const char *ipv4, *ipv6;
	uint32_t as;
	const char *before, *after; /* after NULL: it says so already */
} etcd_cases[] = {
    /* Into what is there, whatever else that is. */
    {"10.0.0.5/24", NULL, 0,
     "{\"kind\":\"Node\",\"metadata\":{\"name\":\"n\",\"x\":null},\"spec\":{\"bgp\":{\"asNumber\":65001},"
     "\"orchRefs\":[{\"nodeName\":\"n\"}]},\"status\":{\"podCIDRs\":[\"10.1.0.0/24\"]}}",
     "{\"kind\":\"Node\",\"metadata\":{\"name\":\"n\",\"x\":null},\"spec\":{\"bgp\":{\"asNumber\":65001,"
     "\"ipv4Address\":\"10.0.0.5/24\"},\"orchRefs\":[{\"nodeName\":\"n\"}],"
     "\"addresses\":[{\"address\":\"10.0.0.5/24\",\"type\":\"CalicoNodeIP\"}]},"
     "\"status\":{\"podCIDRs\":[\"10.1.0.0/24\"]}}"},
    /* In place of what was said before, in both places; other addresses stay. */
    {"10.0.0.5/24", "fd00::5/64", 65002,
     "{\"spec\":{\"addresses\":[{\"address\":\"10.0.0.4/24\",\"type\":\"InternalIP\"},"
     "{\"address\":\"10.0.0.4/24\",\"type\":\"CalicoNodeIP\"}],"
     "\"bgp\":{\"ipv4Address\":\"10.0.0.4/24\",\"asNumber\":65001}}}",
     "{\"spec\":{\"addresses\":[{\"address\":\"10.0.0.4/24\",\"type\":\"InternalIP\"},"
     "{\"address\":\"10.0.0.5/24\",\"type\":\"CalicoNodeIP\"},{\"address\":\"fd00::5/64\",\"type\":\"CalicoNodeIP\"}],"
     "\"bgp\":{\"ipv4Address\":\"10.0.0.5/24\",\"asNumber\":65002,\"ipv6Address\":\"fd00::5/64\"}}}"},
    {"10.0.0.5/24", NULL, 0, "{\"spec\":{\"bgp\":{\"ipv4Address\":\"10.0.0.5/24\",\"ipv6Address\":\"fd00::1/64\"}}}",
     NULL},
    {NULL, NULL, 65001, "{\"spec\":{\"bgp\":{\"asNumber\":65001}}}", NULL},
    {NULL, NULL, 65001, "{}", "{\"spec\":{\"bgp\":{\"asNumber\":65001}}}"},
    /* Where it should be a map, something else is no reason to give up. */
    {NULL, NULL, 65001, "{\"spec\":{\"bgp\":null}}", "{\"spec\":{\"bgp\":{\"asNumber\":65001}}}"},
};

START_TEST(test_etcd)
{
	struct store_node n = said(etcd_cases[_i].ipv4, etcd_cases[_i].ipv6, etcd_cases[_i].as);
	struct yaml_node *node = parsed(etcd_cases[_i].before);
	struct strbuf out = {0};

	ck_assert_int_eq(etcd_node_change(&arena, node, &n), etcd_cases[_i].after != NULL);
	if (etcd_cases[_i].after) {
		json_write(&out, node);
		ck_assert_str_eq(out.s, etcd_cases[_i].after);
		ck_assert(!etcd_node_change(&arena, node, &n));
	}
	strbuf_free(&out);
	arena_free(&arena);
}
END_TEST

/* A key that is not there is made with what Calico's own have. */
START_TEST(test_etcd_new)
{
	struct yaml_node *a = etcd_node_make(&arena, "node-1"), *b = etcd_node_make(&arena, "node-1");

	ck_assert_str_eq(json_text_at(a, "kind"), "Node");
	ck_assert_str_eq(json_text_at(a, "apiVersion"), "projectcalico.org/v3");
	ck_assert_str_eq(json_text_at(a, "metadata.name"), "node-1");
	ck_assert_uint_eq(strlen(json_text_at(a, "metadata.uid")), 36);
	ck_assert_str_ne(json_text_at(a, "metadata.uid"), json_text_at(b, "metadata.uid"));
	ck_assert_uint_eq(strlen(json_text_at(a, "metadata.creationTimestamp")), strlen("2026-01-01T00:00:00Z"));
	arena_free(&arena);
}
END_TEST

START_TEST(test_etcd_wire)
{
	struct strbuf out = {0};

	etcd_write_get(&out, "/k");
	ck_assert_str_eq(out.s, "{\"key\":\"L2s=\"}");
	strbuf_reset(&out);
	etcd_write_put_if(&out, "/k", "{}", 77);
	ck_assert_str_eq(
	    out.s, "{\"compare\":[{\"target\":\"MOD\",\"result\":\"EQUAL\",\"key\":\"L2s=\",\"mod_revision\":\"77\"}],"
		   "\"success\":[{\"request_put\":{\"key\":\"L2s=\",\"value\":\"e30=\"}}]}");
	strbuf_free(&out);
}
END_TEST

#define C "projectcalico.org/"
static const struct {
	const char *ipv4, *ipv6;
	uint32_t as;
	const char *node, *patch; /* patch NULL: it says so already */
} kube_cases[] = {
    {"10.0.0.5/24", NULL, 0, "{\"metadata\":{\"name\":\"n\",\"annotations\":{\"a\":\"b\"}}}",
     "{\"metadata\":{\"annotations\":{\"" C "IPv4Address\":\"10.0.0.5/24\"}}}"},
    {"10.0.0.5/24", "fd00::5/64", 65001, "{\"metadata\":{\"name\":\"n\"}}",
     "{\"metadata\":{\"annotations\":{\"" C "IPv4Address\":\"10.0.0.5/24\",\"" C "IPv6Address\":\"fd00::5/64\",\"" C
     "ASNumber\":\"65001\"}}}"},
    {"10.0.0.5/24", "fd00::5/64", 0,
     "{\"metadata\":{\"annotations\":{\"" C "IPv4Address\":\"10.0.0.5/24\",\"" C "IPv6Address\":\"fd00::4/64\"}}}",
     "{\"metadata\":{\"annotations\":{\"" C "IPv6Address\":\"fd00::5/64\"}}}"},
    {"10.0.0.5/24", NULL, 65001,
     "{\"metadata\":{\"annotations\":{\"" C "IPv4Address\":\"10.0.0.5/24\",\"" C "ASNumber\":\"65001\"}}}", NULL},
};

START_TEST(test_kube)
{
	struct store_node n = said(kube_cases[_i].ipv4, kube_cases[_i].ipv6, kube_cases[_i].as);
	const struct yaml_node *patch = kube_node_patch(&arena, parsed(kube_cases[_i].node), &n);
	struct strbuf out = {0};

	ck_assert_int_eq(patch != NULL, kube_cases[_i].patch != NULL);
	if (patch) {
		json_write(&out, patch);
		ck_assert_str_eq(out.s, kube_cases[_i].patch);
	}
	strbuf_free(&out);
	arena_free(&arena);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("node");
	TCase *t = tcase_create("node");
	SRunner *sr;
	int failures;

	tcase_add_loop_test(t, test_etcd, 0, sizeof etcd_cases / sizeof *etcd_cases);
	tcase_add_test(t, test_etcd_new);
	tcase_add_test(t, test_etcd_wire);
	tcase_add_loop_test(t, test_kube, 0, sizeof kube_cases / sizeof *kube_cases);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
