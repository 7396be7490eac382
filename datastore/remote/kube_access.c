#include "datastore/remote/kube_access.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/mem.h"
#include "datastore/content.h"
#include "datastore/remote/base64.h"
#include "datastore/yaml.h"

#define SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/"

static void release(const char *text)
{
	free((void *)(uintptr_t)text);
}

void kube_access_free(struct kube_access *a)
{
	free(a->server);
	free(a->namespace);
	free(a->token);
	free(a->token_file);
	release(a->tls.ca.file);
	release(a->tls.ca.text);
	release(a->tls.cert.file);
	release(a->tls.cert.text);
	release(a->tls.key.file);
	release(a->tls.key.text);
	release(a->tls.server_name);
	*a = (struct kube_access){0};
}

static char *read_text(const char *file, char *err, size_t err_size)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	const char *reason = "";
	size_t len;
	char *text = fd >= 0 ? content_read(fd, &len, &reason) : NULL;

	if (!text)
		snprintf(err, err_size, "%s: %s", file, fd >= 0 ? reason : strerror(errno));
	if (fd >= 0)
		close(fd);
	return text;
}

/* ---- kubeconfig ---- */

struct reading {
	const char *file;
	struct kube_access *out;
	char *err;
	size_t err_size;
	bool seen, ok;
};

static bool refuse(struct reading *r, const struct yaml_node *at, const char *what, const char *why)
{
	snprintf(r->err, r->err_size, "%s:%u: %s: %s", r->file, at->line, what, why);
	return false;
}

static const char *text_of(const struct yaml_node *map, const char *key)
{
	const struct yaml_node *n = yaml_get(map, key);

	return n && n->type == YAML_SCALAR && *n->text && !yaml_is_null(n) ? n->text : NULL;
}

/* The entry of that name in a list of {name: NAME, WHAT: {...}}. */
static const struct yaml_node *entry(const struct yaml_node *root, const char *list_name, const char *name,
				     const char *what)
{
	const struct yaml_node *list = yaml_get(root, list_name);

	for (size_t i = 0; name && list && list->type == YAML_LIST && i < list->count; i++) {
		const char *own = text_of(list->items[i], "name");
		if (own && strcmp(own, name) == 0)
			return yaml_get(list->items[i], what);
	}
	return NULL;
}

/* Files are named as seen from the kubeconfig's directory. */
static char *path_from(const char *file, const char *path)
{
	const char *slash = strrchr(file, '/');

	return *path == '/' || !slash ? mem_strdup(path) : mem_printf("%.*s/%s", (int)(slash - file), file, path);
}

/* KEY names a file, KEY-data has its content, which counts if both are there. */
static bool take_pem(struct reading *r, const struct yaml_node *map, const char *key, struct http_pem *pem)
{
	char data_key[64];
	const char *file = text_of(map, key), *data;
	struct strbuf text = {0};

	snprintf(data_key, sizeof data_key, "%s-data", key);
	data = text_of(map, data_key);
	if (data && !base64_decode(&text, data, strlen(data))) {
		strbuf_free(&text);
		return refuse(r, yaml_get(map, data_key), data_key, "is not base64");
	}
	if (data) {
		strbuf_puts(&text, ""); /* empty data is a text, too */
		pem->text = text.s;
	} else if (file) {
		pem->file = path_from(r->file, file);
	}
	return true;
}

/* What other programs take from there, and this one does not: ignored, somebody would wonder. */
static bool check_unsupported(struct reading *r, const struct yaml_node *map, const char *const *keys)
{
	for (; *keys; keys++) {
		const struct yaml_node *n = yaml_get(map, *keys);
		if (n && !yaml_is_null(n))
			return refuse(r, n, *keys,
				      "not supported here: use a client certificate, token or tokenFile, and a server "
				      "without a proxy");
	}
	return true;
}

static bool take_cluster(struct reading *r, const struct yaml_node *cluster)
{
	static const char *const unsupported[] = {"proxy-url", NULL};
	const char *server = text_of(cluster, "server"), *insecure = text_of(cluster, "insecure-skip-tls-verify"),
		   *name = text_of(cluster, "tls-server-name");

	if (!server)
		return refuse(r, cluster, "server", "missing");
	if (!check_unsupported(r, cluster, unsupported))
		return false;
	r->out->server = mem_strdup(server);
	r->out->tls.insecure = insecure && strcmp(insecure, "true") == 0;
	r->out->tls.server_name = name ? mem_strdup(name) : NULL;
	return take_pem(r, cluster, "certificate-authority", &r->out->tls.ca);
}

static bool take_user(struct reading *r, const struct yaml_node *user)
{
	static const char *const unsupported[] = {"exec",   "auth-provider", "username",      "password", "as",
						  "as-uid", "as-groups",     "as-user-extra", NULL};
	const char *token = text_of(user, "token"), *file = text_of(user, "tokenFile");

	if (!check_unsupported(r, user, unsupported))
		return false;
	r->out->token = token ? mem_strdup(token) : NULL;
	r->out->token_file = file ? path_from(r->file, file) : NULL;
	return take_pem(r, user, "client-certificate", &r->out->tls.cert) &&
	       take_pem(r, user, "client-key", &r->out->tls.key);
}

static void on_config(void *arg, struct yaml_node *root)
{
	struct reading *r = arg;
	const char *current = text_of(root, "current-context"), *namespace;
	const struct yaml_node *context, *cluster, *user;

	if (r->seen || !root)
		return;
	r->seen = true;
	if (!current) {
		refuse(r, root, "current-context", "missing: it says which cluster is meant");
		return;
	}
	context = entry(root, "contexts", current, "context");
	cluster = entry(root, "clusters", text_of(context, "cluster"), "cluster");
	user = entry(root, "users", text_of(context, "user"), "user");
	if (!context || !cluster) {
		refuse(r, yaml_get(root, "current-context"), current, "no such context, or it names no known cluster");
		return;
	}
	namespace = text_of(context, "namespace");
	r->out->namespace = mem_strdup(namespace ? namespace : "");
	r->ok = take_cluster(r, cluster) && (!user || take_user(r, user));
}

bool kube_access_parse(const char *text, size_t len, const char *file, struct kube_access *out, char *err,
		       size_t err_size)
{
	struct reading r = {.file = file, .out = out, .err = err, .err_size = err_size};
	struct yaml_error bad;

	*out = (struct kube_access){0};
	if (!yaml_parse(text, len, on_config, &r, &bad)) {
		snprintf(err, err_size, "%s:%u:%u: %s", file, bad.line, bad.col, bad.reason);
		r.ok = false;
	} else if (!r.seen) {
		snprintf(err, err_size, "%s: is empty", file);
	}
	if (!r.ok)
		kube_access_free(out);
	return r.ok;
}

static bool load_kubeconfig(const char *file, struct kube_access *out, char *err, size_t err_size)
{
	char *text = read_text(file, err, err_size);
	bool ok;

	if (!text)
		return false;
	ok = kube_access_parse(text, strlen(text), file, out, err, err_size);
	free(text);
	return ok;
}

/* ---- Without a kubeconfig ---- */

static char *set_text(const char *text)
{
	return text && *text ? mem_strdup(text) : NULL;
}

static void load_files(const struct store_conf *conf, struct kube_access *out)
{
	out->server = mem_strdup(conf->kubernetes.server);
	out->namespace = mem_strdup("");
	out->tls.ca.file = set_text(conf->kubernetes.ca_file);
	out->tls.cert.file = set_text(conf->kubernetes.cert_file);
	out->tls.key.file = set_text(conf->kubernetes.key_file);
	out->token_file = set_text(conf->kubernetes.token_file);
	out->tls.insecure = conf->kubernetes.insecure;
}

static bool load_service_account(struct kube_access *out, char *err, size_t err_size)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
	char reason[200];

	if (!host || !*host) {
		snprintf(
		    err, err_size,
		    "the API server is not known: there is neither datastore.kubernetes.kubeconfig (KUBECONFIG) nor "
		    "datastore.kubernetes.server (K8S_API_ENDPOINT), and no service account of a cluster "
		    "(KUBERNETES_SERVICE_HOST)");
		return false;
	}
	out->server =
	    mem_printf(strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port && *port ? port : "443");
	out->token_file = mem_strdup(SERVICE_ACCOUNT "token");
	out->tls.ca.file = mem_strdup(SERVICE_ACCOUNT "ca.crt");
	out->namespace = read_text(SERVICE_ACCOUNT "namespace", reason, sizeof reason);
	if (!out->namespace)
		out->namespace = mem_strdup("");
	out->namespace[strcspn(out->namespace, " \t\r\n")] = '\0';
	return true;
}

bool kube_access_load(const struct store_conf *conf, struct kube_access *out, char *err, size_t err_size)
{
	size_t n;

	*out = (struct kube_access){0};
	if (*conf->kubernetes.kubeconfig) {
		if (!load_kubeconfig(conf->kubernetes.kubeconfig, out, err, err_size))
			return false;
	} else if (*conf->kubernetes.server) {
		load_files(conf, out);
	} else if (!load_service_account(out, err, err_size)) {
		return false;
	}
	for (n = strlen(out->server); n && out->server[n - 1] == '/'; n--)
		out->server[n - 1] = '\0';
	return true;
}
