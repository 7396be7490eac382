/* The table of resources: each row is one that a node may read, and what is kept of its objects is what is said. */
#include "datastore/remote/kube_resource.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"

static struct yaml_node *parse(const char *text, struct arena *a)
{
	char err[JSON_ERROR_LEN];
	struct yaml_node *n = json_parse(text, strlen(text), a, err);

	ck_assert_msg(n != NULL, "%s: %s", text, err);
	return n;
}

static const struct kube_resource *row_of(const char *kind)
{
	for (unsigned i = 0; i < kube_resource_count; i++)
		if (strcmp(kube_resources[i].kind, kind) == 0)
			return &kube_resources[i];
	ck_abort_msg("no row for %s", kind);
	return NULL;
}

static char *pruned(const char *kind, const char *api, const char *text)
{
	struct strbuf out = {0};
	struct arena a = {0};

	json_write(&out, kube_resource_prune(row_of(kind), api, parse(text, &a), &a));
	arena_free(&a);
	return out.s;
}

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = mem_calloc(1, 65536);

	ck_assert_msg(f != NULL, "%s", path);
	ck_assert_uint_gt(fread(text, 1, 65535, f), 0);
	fclose(f);
	return text;
}

START_TEST(each_row_is_sound)
{
	char *rbac = read_file("etc/kubernetes/rbac.yaml");

	for (unsigned i = 0; i < kube_resource_count; i++) {
		const struct kube_resource *r = &kube_resources[i];
		ck_assert_msg(strstr(rbac, r->plural) != NULL, "rbac.yaml lacks %s", r->plural);
		ck_assert_msg(r->keep[0] != NULL, "%s", r->kind);
		for (unsigned k = 0; k < KUBE_KEEP_MAX && r->keep[k]; k++) {
			const char *dot = strchr(r->keep[k], '.');
			ck_assert_msg(!dot || !strchr(dot + 1, '.'), "%s: more than two parts", r->keep[k]);
		}
		ck_assert_int_eq(r->secret_ref != NULL, r->password != NULL);
		for (unsigned n = 0; n < i; n++)
			ck_assert_str_ne(kube_resources[n].kind, r->kind);
	}
	free(rbac);
}
END_TEST

START_TEST(paths_are_those_of_the_api)
{
	static const struct {
		const char *api, *namespace, *plural, *path;
	} rows[] = {
	    {"v1", NULL, "nodes", "/api/v1/nodes"},
	    {"v1", "kube-system", "secrets", "/api/v1/namespaces/kube-system/secrets"},
	    {"crd.projectcalico.org/v1", NULL, "ippools", "/apis/crd.projectcalico.org/v1/ippools"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char *path = kube_resource_path(rows[i].api, rows[i].namespace, rows[i].plural);
		ck_assert_str_eq(path, rows[i].path);
		free(path);
	}
}
END_TEST

START_TEST(keys_are_kind_namespace_and_name)
{
	struct arena a = {0};
	char *key = kube_resource_key(row_of("Pod"), parse("{\"metadata\":{\"name\":\"p\",\"namespace\":\"n\"}}", &a));

	ck_assert_str_eq(key, "Pod/n/p");
	free(key);
	key = kube_resource_key(row_of("Node"), parse("{\"metadata\":{\"name\":\"n1\"}}", &a));
	ck_assert_str_eq(key, "Node/n1");
	free(key);
	ck_assert_ptr_null(kube_resource_key(row_of("Node"), parse("{\"metadata\":{\"name\":\"\"}}", &a)));
	ck_assert_ptr_null(kube_resource_key(row_of("Node"), parse("{}", &a)));
	arena_free(&a);
}
END_TEST

/* What kubelets and controllers write all the time leaves no trace, and neither does what is nobody's business here. */
START_TEST(only_what_matters_is_kept)
{
	char *node =
	    pruned("Node", "v1",
		   "{\"metadata\":{\"name\":\"n\",\"uid\":\"u\",\"resourceVersion\":\"7\",\"labels\":{\"a\":\"b\"},"
		   "\"annotations\":{\"projectcalico.org/IPv4Address\":\"10.0.0.1/24\",\"volumes/x\":\"y\"},"
		   "\"managedFields\":[{}]},\"spec\":{\"podCIDR\":\"10.1.0.0/24\",\"providerID\":\"x\"},"
		   "\"status\":{\"images\":[{}],\"addresses\":[{\"type\":\"InternalIP\"}]}}");
	char *pod =
	    pruned("Pod", "v1",
		   "{\"metadata\":{\"name\":\"p\",\"namespace\":\"n\",\"deletionTimestamp\":\"t\",\"annotations\":{"
		   "\"x\":\"y\"}},\"spec\":{\"nodeName\":\"n1\",\"containers\":[{\"env\":[{\"name\":\"SECRET\"}]}]},"
		   "\"status\":{\"phase\":\"Running\",\"podIP\":\"10.1.0.5\",\"startTime\":\"t\"}}");
	char *peer = pruned("BGPPeer", KUBE_CALICO_V3,
			    "{\"kind\":\"x\",\"apiVersion\":\"y\",\"metadata\":{\"name\":\"p\",\"generation\":3},"
			    "\"spec\":{\"peerIP\":\"10.0.0.9\"},\"status\":{\"a\":1}}");

	ck_assert_str_eq(
	    node, "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"n\",\"labels\":{\"a\":\"b\"},"
		  "\"annotations\":{\"projectcalico.org/IPv4Address\":\"10.0.0.1/24\"}},"
		  "\"spec\":{\"podCIDR\":\"10.1.0.0/24\"},\"status\":{\"addresses\":[{\"type\":"
		  "\"InternalIP\"}]}}");
	ck_assert_str_eq(pod,
			 "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"namespace\":\"n\","
			 "\"deletionTimestamp\":\"t\"},\"spec\":{\"nodeName\":\"n1\"},"
			 "\"status\":{\"phase\":\"Running\",\"podIP\":\"10.1.0.5\"}}");
	ck_assert_str_eq(peer,
			 "{\"apiVersion\":\"projectcalico.org/v3\",\"kind\":\"BGPPeer\",\"metadata\":{\"name\":\"p\"},"
			 "\"spec\":{\"peerIP\":\"10.0.0.9\"}}");
	free(node);
	free(pod);
	free(peer);
}
END_TEST

START_TEST(objects_that_are_none_are_pruned_to_something_harmless)
{
	static const char *const texts[] = {"{}", "[]", "5", "{\"metadata\":5,\"spec\":[],\"status\":\"x\"}",
					    "{\"metadata\":{\"annotations\":[1],\"labels\":3}}"};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		for (unsigned r = 0; r < kube_resource_count; r++)
			free(pruned(kube_resources[r].kind, "v1", texts[i]));
}
END_TEST

START_TEST(affinities_of_others_do_not_concern_us)
{
	const struct kube_resource *r = row_of("BlockAffinity");
	struct kube_scope scope = {.node = "node-1"};
	struct arena a = {0};

	ck_assert(r->concerns(&scope, parse("{\"spec\":{\"node\":\"node-1\"}}", &a)));
	ck_assert(!r->concerns(&scope, parse("{\"spec\":{\"node\":\"node-10\"}}", &a)));
	ck_assert(!r->concerns(&scope, parse("{\"spec\":{}}", &a)));
	arena_free(&a);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kube_resource");
	TCase *tc = tcase_create("kube_resource");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, each_row_is_sound);
	tcase_add_test(tc, paths_are_those_of_the_api);
	tcase_add_test(tc, keys_are_kind_namespace_and_name);
	tcase_add_test(tc, only_what_matters_is_kept);
	tcase_add_test(tc, objects_that_are_none_are_pruned_to_something_harmless);
	tcase_add_test(tc, affinities_of_others_do_not_concern_us);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
