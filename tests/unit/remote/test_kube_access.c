/* Kubeconfig files: what is taken from them, and what is refused by name. */
#include "datastore/remote/kube_access.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"

/* Cluster, user and context as given. */
static char *config(const char *cluster, const char *user, const char *context)
{
	return mem_printf("apiVersion: v1\nkind: Config\ncurrent-context: b\ncontexts:\n"
			  "- {name: a, context: {cluster: other, user: other}}\n- {name: b, context: {%s}}\n"
			  "clusters:\n- {name: c, cluster: {%s}}\nusers:\n- {name: u, user: {%s}}\n",
			  context, cluster, user);
}

static bool parse(const char *text, size_t len, const char *name, struct kube_access *a, char *err, size_t err_size)
{
	struct kube_config file = {.name = name, .text = text, .len = len};

	return kube_access_parse(&file, 1, a, err, err_size);
}

#define SERVER "server: 'https://10.0.0.1:6443'"
#define CONTEXT "cluster: c, user: u"

START_TEST(what_it_says_is_taken)
{
	char *text = config(SERVER ", certificate-authority: pki/ca.crt, tls-server-name: kubernetes",
			    "client-certificate-data: QUJD, client-certificate: /never, client-key: /key, token: t, "
			    "tokenFile: token",
			    CONTEXT ", namespace: ns");
	struct kube_access a;
	char err[300] = "";

	ck_assert_msg(parse(text, strlen(text), "/etc/kube/config", &a, err, sizeof err), "%s", err);
	ck_assert_str_eq(a.server, "https://10.0.0.1:6443");
	ck_assert_str_eq(a.namespace, "ns");
	ck_assert_str_eq(a.tls.ca.file, "/etc/kube/pki/ca.crt");
	ck_assert_str_eq(a.tls.cert.text, "ABC");
	ck_assert_ptr_null(a.tls.cert.file);
	ck_assert_str_eq(a.tls.key.file, "/key");
	ck_assert_str_eq(a.tls.server_name, "kubernetes");
	ck_assert(!a.tls.insecure);
	ck_assert_str_eq(a.token, "t");
	ck_assert_str_eq(a.token_file, "/etc/kube/token");
	kube_access_free(&a);
	free(text);
}
END_TEST

START_TEST(json_is_as_good_and_nobody_in_particular_is_somebody)
{
	static const char text[] =
	    "{\"current-context\": \"x\", \"contexts\": [{\"name\": \"x\", \"context\": {\"cluster\": "
	    "\"c\"}}], \"clusters\": [{\"name\": \"c\", \"cluster\": {\"server\": \"http://h\", "
	    "\"insecure-skip-tls-verify\": true}}]}";
	struct kube_access a;
	char err[300] = "";

	ck_assert_msg(parse(text, sizeof text - 1, "k", &a, err, sizeof err), "%s", err);
	ck_assert_str_eq(a.server, "http://h");
	ck_assert(a.tls.insecure);
	ck_assert_ptr_null(a.token);
	kube_access_free(&a);
}
END_TEST

static const struct {
	const char *cluster, *user, *context, *said;
} refused[] = {
    {SERVER, "exec: {command: aws}", CONTEXT, "exec: not supported here"},
    {SERVER, "auth-provider: {name: gcp}", CONTEXT, "auth-provider: not supported here"},
    {SERVER, "username: a, password: b", CONTEXT, "username: not supported here"},
    {SERVER, "as: somebody", CONTEXT, "as: not supported here"},
    {SERVER ", proxy-url: 'http://p'", "", CONTEXT, "proxy-url: not supported here"},
    {SERVER, "client-key-data: '%%%'", CONTEXT, "client-key-data: is not base64"},
    {SERVER ", certificate-authority-data: x", "", CONTEXT, "certificate-authority-data: is not base64"},
    {"name: x", "", CONTEXT, "server: missing"},
    {SERVER, "", "cluster: nowhere, user: u", "b: no such context"},
};

START_TEST(what_is_not_supported_is_refused_by_name)
{
	char *text = config(refused[_i].cluster, refused[_i].user, refused[_i].context);
	struct kube_access a;
	char err[300] = "";

	ck_assert(!parse(text, strlen(text), "/k", &a, err, sizeof err));
	ck_assert_msg(strstr(err, refused[_i].said) && strncmp(err, "/k:", 3) == 0, "%s", err);
	free(text);
}
END_TEST

/* As kubectl merges KUBECONFIG: the first file that has a thing counts, and names are seen from its directory. */
START_TEST(several_files_are_merged)
{
	static const char first[] =
	    "clusters:\n- {name: c, cluster: {server: 'https://first:1', certificate-authority: ca}}\n",
			  second[] = "current-context: b\ncontexts:\n- {name: b, context: {cluster: c, user: u}}\n"
				     "clusters:\n- {name: c, cluster: {server: 'https://second:1'}}\n",
			  third[] = "current-context: other\nusers:\n- {name: u, user: {tokenFile: token}}\n"
				    "- {name: v, user: {exec: {command: aws}}}\n";
	struct kube_config files[] = {{"/one/config", first, sizeof first - 1},
				      {"/two/config", second, sizeof second - 1},
				      {"/none", "", 0},
				      {"/three/config", third, sizeof third - 1}};
	struct kube_access a;
	char err[300] = "";

	ck_assert_msg(kube_access_parse(files, 4, &a, err, sizeof err), "%s", err);
	ck_assert_str_eq(a.server, "https://first:1");
	ck_assert_str_eq(a.tls.ca.file, "/one/ca");
	ck_assert_str_eq(a.token_file, "/three/token");
	kube_access_free(&a);
	/* Without the file that says which context. */
	files[1] = files[2];
	ck_assert(!kube_access_parse(files, 4, &a, err, sizeof err));
	ck_assert_msg(strstr(err, "other: no such context"), "%s", err);
	ck_assert(!kube_access_parse(files, 2, &a, err, sizeof err));
	ck_assert_msg(strstr(err, "current-context: missing"), "%s", err);
	/* What is wrong in one of them is wrong. */
	files[2] = (struct kube_config){"/bad", "{", 1};
	ck_assert(!kube_access_parse(files, 4, &a, err, sizeof err));
	ck_assert_msg(strncmp(err, "/bad:", 5) == 0, "%s", err);
}
END_TEST

START_TEST(no_beginning_of_a_file_is_more_than_an_error)
{
	char *text = config(SERVER ", certificate-authority-data: QUJD", "token: t", CONTEXT);
	struct kube_access a;
	char err[300];

	for (size_t n = 0; n < strlen(text); n++)
		if (parse(text, n, "/k", &a, err, sizeof err))
			kube_access_free(&a);
	free(text);
}
END_TEST

START_TEST(without_anything_it_says_what_there_could_be)
{
	struct store_conf conf = {.kubernetes = {.kubeconfig = "", .server = ""}};
	struct kube_access a;
	char err[400] = "";

	unsetenv("KUBERNETES_SERVICE_HOST");
	ck_assert(!kube_access_load(&conf, &a, err, sizeof err));
	ck_assert_msg(strstr(err, "KUBECONFIG") && strstr(err, "K8S_API_ENDPOINT"), "%s", err);
	conf.kubernetes.kubeconfig = "/nowhere/config";
	ck_assert(!kube_access_load(&conf, &a, err, sizeof err));
	ck_assert_msg(strstr(err, "/nowhere/config: No such file"), "%s", err);
	conf.kubernetes.kubeconfig = "/nowhere/config:/nowhere/else";
	ck_assert(!kube_access_load(&conf, &a, err, sizeof err));
	ck_assert_msg(strstr(err, "/nowhere/else: No such file"), "%s", err);
	conf.kubernetes.kubeconfig = "";
	conf.kubernetes.server = "https://h:1/";
	conf.kubernetes.token_file = "/t";
	ck_assert(kube_access_load(&conf, &a, err, sizeof err));
	ck_assert_str_eq(a.server, "https://h:1");
	ck_assert_str_eq(a.token_file, "/t");
	kube_access_free(&a);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kube_access");
	TCase *tc = tcase_create("kube_access");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, what_it_says_is_taken);
	tcase_add_test(tc, json_is_as_good_and_nobody_in_particular_is_somebody);
	tcase_add_loop_test(tc, what_is_not_supported_is_refused_by_name, 0, sizeof refused / sizeof *refused);
	tcase_add_test(tc, several_files_are_merged);
	tcase_add_test(tc, no_beginning_of_a_file_is_more_than_an_error);
	tcase_add_test(tc, without_anything_it_says_what_there_could_be);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
