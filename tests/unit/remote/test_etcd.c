/* Calico's keys, and etcd's requests and answers. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/objects.h"
#include "datastore/remote/base64.h"
#include "datastore/remote/etcd_keys.h"
#include "datastore/remote/etcd_wire.h"
#include "datastore/remote/json.h"

#define V3 "/calico/resources/v3/projectcalico.org/"
#define IPAM "/calico/ipam/v2/"

static struct arena arena;

static struct yaml_node *parsed(const char *text)
{
	char err[JSON_ERROR_LEN];
	struct yaml_node *n = json_parse(text, strlen(text), &arena, err);

	ck_assert_msg(n, "%s: %s", text, err);
	return n;
}

/* What the store would be told; NULL: it is refused for *why ("FIELD: REASON"). */
static struct object *object_of(const char *key, const char *value, char why[static 400])
{
	const char *field = "", *reason = "no range";
	int row = etcd_range_of(key, "node-1"), kind;
	struct object_error err;
	struct yaml_node *n;
	struct object *o;
	char *name;

	n = row < 0 ? NULL : etcd_object((unsigned)row, key, "node-1", parsed(value), &arena, &field, &reason);
	if (!n) {
		snprintf(why, 400, "%s: %s", field, reason);
		return NULL;
	}
	o = object_decode(n, &err, &kind, &name, NULL, NULL);
	snprintf(why, 400, "%s: %s", err.field, err.reason);
	free(name);
	return o;
}

static const struct {
	const char *key, *value;
	enum object_kind kind;
	const char *namespace, *name;
} good[] = {
    {V3 "nodes/node-7",
     "{\"kind\":\"Node\",\"apiVersion\":\"projectcalico.org/v3\",\"metadata\":{\"name\":\"node-7\"}}", OBJ_NODE, "",
     "node-7"},
    {V3 "ippools/p",
     "{\"kind\":\"IPPool\",\"apiVersion\":\"projectcalico.org/v3\",\"metadata\":{\"name\":\"p\"},"
     "\"spec\":{\"cidr\":\"10.0.0.0/8\"}}",
     OBJ_IP_POOL, "", "p"},
    {V3 "workloadendpoints/default/node--1-k8s-web--0-eth0",
     "{\"kind\":\"WorkloadEndpoint\",\"apiVersion\":\"projectcalico.org/v3\",\"metadata\":{\"name\":"
     "\"node--1-k8s-web--0-eth0\",\"namespace\":\"default\"},\"spec\":{\"node\":\"node-1\",\"ipNetworks\":[\"10.1.1.1/"
     "32\"],\"interfaceName\":\"cali0d7763386da\"}}",
     OBJ_WORKLOAD_ENDPOINT, "default", "node--1-k8s-web--0-eth0"},
    {IPAM "assignment/ipv4/block/10.244.1.0-26",
     "{\"cidr\":\"10.244.1.0/26\",\"affinity\":\"host:node-1\",\"affinity_claim_time\":\"2026-08-01T10:00:03Z\","
     "\"allocations\":[0,null],\"unallocated\":[1],\"attributes\":[{\"handle_id\":\"h\",\"secondary\":{\"node\":"
     "\"node-2\"}}],\"sequenceNumber\":18446744073709551615,\"deleted\":false}",
     OBJ_IPAM_BLOCK, "", "10-244-1-0-26"},
    {IPAM "assignment/ipv6/block/fd00:1::-122", "{\"cidr\":\"fd00:1::/122\"}", OBJ_IPAM_BLOCK, "", "fd00-1---122"},
    {IPAM "host/node-1/ipv4/block/10.244.1.0-26", "{\"state\":\"pendingDeletion\",\"deleted\":true}",
     OBJ_BLOCK_AFFINITY, "", "node-1-10-244-1-0-26"},
    {IPAM "host/node-1/ipv6/block/fd00:1::-122", "{}", OBJ_BLOCK_AFFINITY, "", "node-1-fd00-1---122"},
};

START_TEST(keys_are_objects)
{
	char why[400] = "";
	struct object *o = object_of(good[_i].key, good[_i].value, why);

	ck_assert_msg(o, "%s", why);
	ck_assert_int_eq(o->kind, good[_i].kind);
	ck_assert_str_eq(o->namespace, good[_i].namespace);
	ck_assert_str_eq(o->name, good[_i].name);
	object_free(o);
	arena_free(&arena);
}
END_TEST

START_TEST(ipam_is_read)
{
	char why[400];
	struct object *o = object_of(good[3].key, good[3].value, why);
	const struct obj_ipam_block *b = (const void *)o;
	const struct obj_block_affinity *a;

	ck_assert_str_eq(b->node, "node-1");
	ck_assert_uint_eq(b->owner_count, 1);
	ck_assert_str_eq(b->owners[0].node, "node-2");
	object_free(o);
	o = object_of(good[5].key, good[5].value, why);
	a = (const void *)o;
	ck_assert(a->state == AFFINITY_PENDING_DELETION && a->deleted);
	ck_assert_str_eq(a->node, "node-1");
	object_free(o);
	o = object_of(good[6].key, good[6].value, why);
	a = (const void *)o;
	ck_assert(a->state == AFFINITY_CONFIRMED && !a->deleted && a->cidr.len == 122);
	object_free(o);
	arena_free(&arena);
}
END_TEST

static const struct {
	const char *key, *value, *why;
} bad[] = {
    {V3 "nodes/node-7", "{\"kind\":\"IPPool\",\"metadata\":{\"name\":\"node-7\"}}", "kind: expected Node"},
    {V3 "nodes/node-7", "{\"kind\":\"Node\",\"metadata\":{\"name\":\"node-8\"}}", "metadata.name: is 'node-8'"},
    {V3 "nodes/node-7", "[]", ": expected a JSON object"},
    {V3 "nodes/node-7", "{}", "kind: expected Node"},
    {V3 "workloadendpoints/a/b", "{\"kind\":\"WorkloadEndpoint\",\"metadata\":{\"name\":\"b\",\"namespace\":\"c\"}}",
     "metadata.namespace: is 'c'"},
    {IPAM "assignment/ipv4/block/10.244.1.0-26", "{\"cidr\":\"10.244.2.0/26\"}", "cidr: is '10.244.2.0/26'"},
    {IPAM "assignment/ipv4/block/10.244.1.0", "{}", ": the key does not end"},
    {IPAM "assignment/ipv5/block/10.244.1.0-26", "{}", ": the key does not end"},
    {IPAM "assignment/", "{}", ": the key does not end"},
    {IPAM "assignment/ipv4/block/-", "{}", "cidr: is ''"},
    {IPAM "host/node-1/ipv4/block/10.244.1.0-99", "{}", "spec.cidr: "},
    {IPAM "host/node-1/ipv4/block/10.244.1.0-26", "{\"state\":\"odd\"}", "spec.state: "},
    {IPAM "host/node-10/ipv4/block/10.244.1.0-26", "{}", ": no range"},
    {IPAM "host/node-1", "{}", ": no range"},
    {V3 "profiles/x", "{}", ": no range"},
    {"", "{}", ": no range"},
};

START_TEST(wrong_values_are_refused)
{
	char why[400] = "";

	ck_assert_ptr_null(object_of(bad[_i].key, bad[_i].value, why));
	ck_assert_msg(strncmp(why, bad[_i].why, strlen(bad[_i].why)) == 0, "%s", why);
	arena_free(&arena);
}
END_TEST

START_TEST(every_range_begins_its_keys)
{
	for (unsigned i = 0; i < etcd_range_count(); i++) {
		char *prefix = etcd_range_prefix(i, "node-1"), *key = mem_printf("%sx", prefix);
		ck_assert_int_eq(etcd_range_of(key, "node-1"), (int)i);
		ck_assert_int_eq(etcd_range_of(prefix, "node-1"), (int)i);
		ck_assert_int_eq(prefix[strlen(prefix) - 1], '/');
		free(key);
		free(prefix);
	}
}
END_TEST

START_TEST(other_nodes_workloads)
{
	static const struct {
		const char *rest, *node;
		bool others;
	} all[] = {
	    {"default/node--1-k8s-a-eth0", "node-1", false},
	    {"default/node--1-cni-x-eth0", "node-1", false},
	    {"default/node--10-k8s-a-eth0", "node-1", true},
	    {"default/node--1--k8s-k8s-a-eth0", "node-1", true},
	    {"default/node-1-k8s-a-eth0", "node-1", true},
	    {"default/n-k8s-a-eth0", "node-1", true},
	    {"default/node--1", "node-1", true},
	    {"node--1-k8s-a-eth0", "node-1", false},
	    {"default/node--1--k8s-k8s-a-eth0", "node-1-k8s", false},
	};
	char *key = mem_printf("%sx", V3 "workloadendpoints/");
	unsigned row = (unsigned)etcd_range_of(key, "n");

	free(key);
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		key = mem_printf("%s%s", V3 "workloadendpoints/", all[i].rest);
		ck_assert_msg(etcd_key_is_others(row, key, all[i].node) == all[i].others, "%s", key);
		free(key);
	}
	ck_assert(!etcd_key_is_others((unsigned)etcd_range_of(V3 "nodes/x", "n"), V3 "nodes/x", "n"));
}
END_TEST

/* ---- Requests and answers ---- */

static void expect_decoded(const struct yaml_node *n, const char *path, const char *want, size_t len)
{
	const char *text = json_text_at(n, path);
	struct strbuf out = {0};

	ck_assert_ptr_nonnull(text);
	ck_assert(base64_decode(&out, text, strlen(text)));
	ck_assert_uint_eq(out.len, len);
	ck_assert_mem_eq(out.s, want, len);
	strbuf_free(&out);
}

START_TEST(requests)
{
	struct strbuf out = {0};
	struct yaml_node *n;

	etcd_write_range(&out, "/a/", NULL, 0, 500);
	n = parsed(out.s);
	expect_decoded(n, "key", "/a/", 3);
	expect_decoded(n, "range_end", "/a0", 3);
	ck_assert_str_eq(json_text_at(n, "limit"), "500");
	ck_assert_ptr_null(json_at(n, "revision"));
	strbuf_reset(&out);
	etcd_write_range(&out, "/a/", "/a/b", UINT64_MAX, 7);
	n = parsed(out.s);
	expect_decoded(n, "key", "/a/b", 5); /* and a NUL */
	ck_assert_str_eq(json_text_at(n, "revision"), "18446744073709551615");
	strbuf_reset(&out);
	etcd_write_watch(&out, "/a/", 8);
	n = parsed(out.s);
	expect_decoded(n, "create_request.range_end", "/a0", 3);
	ck_assert_str_eq(json_text_at(n, "create_request.start_revision"), "8");
	strbuf_reset(&out);
	etcd_write_authenticate(&out, "u", "p\"\\");
	n = parsed(out.s);
	ck_assert_str_eq(json_text_at(n, "password"), "p\"\\");
	strbuf_free(&out);
	arena_free(&arena);
}
END_TEST

START_TEST(answers)
{
	struct etcd_head h = etcd_read_head(
	    parsed("{\"header\":{\"cluster_id\":\"9\",\"revision\":\"3\"},\"kvs\":[],\"more\":true,\"count\":\"2\"}"));

	ck_assert(h.cluster == 9 && h.revision == 3 && h.more && !h.error && !h.created);
	h = etcd_read_head(
	    parsed("{\"result\":{\"header\":{\"revision\":\"4\"},\"watch_id\":\"2\",\"created\":true}}"));
	ck_assert(h.revision == 4 && h.created && !h.canceled);
	h = etcd_read_head(parsed("{\"result\":{\"watch_id\":\"2\",\"canceled\":true,\"compact_revision\":\"4\"}}"));
	ck_assert(h.canceled && h.compacted == 4 && h.error);
	h = etcd_read_head(parsed("{\"error\":\"etcdserver: no\",\"message\":\"x\",\"code\":16}"));
	ck_assert_str_eq(h.error, "etcdserver: no");
	ck_assert_uint_eq(h.code, ETCD_CODE_UNAUTHENTICATED);
	h = etcd_read_head(
	    parsed("{\"error\":{\"grpc_code\":14,\"http_code\":503,\"message\":\"etcdserver: no leader\"}}"));
	ck_assert_str_eq(h.error, "etcdserver: no leader");
	ck_assert_uint_eq(h.code, 14);
	h = etcd_read_head(parsed("[]"));
	ck_assert(!h.error && !h.revision);
	arena_free(&arena);
}
END_TEST

START_TEST(keys_and_values)
{
	struct etcd_kv kv = {0};
	struct strbuf key = {0};
	static const char cut[] = "{\"key\":\"L2E=\",\"value\":\"AAA";
	const char *why;

	ck_assert(etcd_read_kv(&kv, parsed("{\"key\":\"L2E=\",\"mod_revision\":\"7\",\"value\":\"eA==\"}"), &why));
	ck_assert(strcmp(kv.key.s, "/a") == 0 && strcmp(kv.value.s, "x") == 0 && kv.revision == 7 && !kv.deleted);
	ck_assert(
	    etcd_read_kv(&kv, parsed("{\"type\":\"DELETE\",\"kv\":{\"key\":\"L2E=\",\"mod_revision\":\"8\"}}"), &why));
	ck_assert(kv.deleted && kv.revision == 8 && kv.value.len == 0);
	ck_assert(!etcd_read_kv(&kv, parsed("{\"key\":\"L2E=\",\"value\":\"!\"}"), &why));
	ck_assert_str_eq(kv.key.s, "/a");
	ck_assert(!etcd_read_kv(&kv, parsed("{\"key\":\"AGE=\"}"), &why)); /* a NUL */
	ck_assert_uint_eq(kv.key.len, 0);
	ck_assert(!etcd_read_kv(&kv, parsed("{}"), &why));
	ck_assert(!etcd_read_kv(&kv, parsed("[]"), &why));
	ck_assert(etcd_read_cut_key(&key, cut, strlen(cut)));
	ck_assert_str_eq(key.s, "/a");
	strbuf_reset(&key);
	ck_assert(!etcd_read_cut_key(&key, cut, 10));
	ck_assert(!etcd_read_cut_key(&key, "{}", 2));
	strbuf_free(&key);
	etcd_kv_free(&kv);
	arena_free(&arena);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("etcd");
	TCase *t = tcase_create("etcd");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, t);
	tcase_add_loop_test(t, keys_are_objects, 0, (int)(sizeof good / sizeof *good));
	tcase_add_test(t, ipam_is_read);
	tcase_add_loop_test(t, wrong_values_are_refused, 0, (int)(sizeof bad / sizeof *bad));
	tcase_add_test(t, every_range_begins_its_keys);
	tcase_add_test(t, other_nodes_workloads);
	tcase_add_test(t, requests);
	tcase_add_test(t, answers);
	tcase_add_test(t, keys_and_values);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
