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

/* Several files are one, as kubectl has it: of entries with the same name, and of current contexts, the first counts.
 * Trees do not outlive their parsing, so the files are gone through for each thing that is looked for. */
struct reading {
	const char *file;
	struct kube_access *out;
	char *err;
	size_t err_size;
	bool (*take)(struct reading *r, const struct yaml_node *root); /* false: it cannot be */
	bool seen;						       /* a document of this file */
	bool found, ok;
	char *current, *cluster, *user; /* names; NULL unknown */
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

static char *copy_of(const char *text)
{
	return text ? mem_strdup(text) : NULL;
}

static bool find_current(struct reading *r, const struct yaml_node *root)
{
	r->current = copy_of(text_of(root, "current-context"));
	r->found = r->current != NULL;
	return true;
}

static bool find_context(struct reading *r, const struct yaml_node *root)
{
	const struct yaml_node *context = entry(root, "contexts", r->current, "context");
	const char *namespace = text_of(context, "namespace");

	if (!context)
		return true;
	r->found = true;
	r->cluster = copy_of(text_of(context, "cluster"));
	r->user = copy_of(text_of(context, "user"));
	r->out->namespace = mem_strdup(namespace ? namespace : "");
	return true;
}

static bool find_cluster(struct reading *r, const struct yaml_node *root)
{
	const struct yaml_node *cluster = entry(root, "clusters", r->cluster, "cluster");

	r->found = cluster != NULL;
	return !cluster || take_cluster(r, cluster);
}

static bool find_user(struct reading *r, const struct yaml_node *root)
{
	const struct yaml_node *user = entry(root, "users", r->user, "user");

	r->found = user != NULL;
	return !user || take_user(r, user);
}

static void on_config(void *arg, struct yaml_node *root)
{
	struct reading *r = arg;

	if (r->seen || !root)
		return;
	r->seen = true;
	r->ok = r->take(r, root);
}

/* Goes through the files until one has it. False: it cannot be had, and err is filled. */
static bool search(struct reading *r, const struct kube_config *files, unsigned count,
		   bool (*take)(struct reading *r, const struct yaml_node *root))
{
	struct yaml_error bad;

	r->take = take;
	r->found = false;
	for (unsigned i = 0; i < count && !r->found; i++) {
		r->file = files[i].name;
		r->seen = false;
		r->ok = true;
		if (!yaml_parse(files[i].text, files[i].len, on_config, r, &bad)) {
			snprintf(r->err, r->err_size, "%s:%u:%u: %s", r->file, bad.line, bad.col, bad.reason);
			return false;
		}
		if (!r->seen && count == 1) {
			snprintf(r->err, r->err_size, "%s: is empty", r->file);
			return false;
		}
		if (!r->ok)
			return false;
	}
	return true;
}

static bool missing(struct reading *r, const char *file, const char *what, const char *why)
{
	snprintf(r->err, r->err_size, "%s: %s: %s", file, what, why);
	return false;
}

static bool merge(struct reading *r, const struct kube_config *files, unsigned count)
{
	static const char nowhere[] = "no such context, or it names no known cluster";

	if (!search(r, files, count, find_current))
		return false;
	if (!r->found)
		return missing(r, files->name, "current-context", "missing: it says which cluster is meant");
	if (!search(r, files, count, find_context))
		return false;
	if (!r->found)
		return missing(r, files->name, r->current, nowhere);
	if (!search(r, files, count, find_cluster))
		return false;
	if (!r->found)
		return missing(r, files->name, r->current, nowhere);
	return search(r, files, count, find_user);
}

bool kube_access_parse(const struct kube_config *files, unsigned count, struct kube_access *out, char *err,
		       size_t err_size)
{
	struct reading r = {.out = out, .err = err, .err_size = err_size};
	bool ok;

	*out = (struct kube_access){0};
	ok = merge(&r, files, count);
	free(r.current);
	free(r.cluster);
	free(r.user);
	if (!ok)
		kube_access_free(out);
	return ok;
}

/* One of several may be absent, but not all. */
static char *read_config(const char *file, bool is_only, char *err, size_t err_size)
{
	if (!is_only && access(file, F_OK) != 0 && errno == ENOENT) {
		snprintf(err, err_size, "%s: %s", file, strerror(errno));
		return mem_strdup("");
	}
	return read_text(file, err, err_size);
}

static bool load_kubeconfig(const char *list, struct kube_access *out, char *err, size_t err_size)
{
	struct kube_config *files = NULL;
	unsigned count = 0, there = 0;
	bool ok = true, is_only = !strchr(list, ':');

	for (list += strspn(list, ":"); *list && ok; list += strspn(list, ":")) {
		size_t n = strcspn(list, ":");
		char *name = mem_strndup(list, n), *text = read_config(name, is_only, err, err_size);
		files = mem_realloc(files, (count + 1) * sizeof *files);
		files[count++] = (struct kube_config){.name = name, .text = text, .len = text ? strlen(text) : 0};
		there += text && *text;
		ok = text != NULL;
		list += n;
	}
	ok = ok && (there || is_only) && kube_access_parse(files, count, out, err, err_size);
	for (unsigned i = 0; i < count; i++) {
		release(files[i].name);
		release(files[i].text);
	}
	free(files);
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
