#include "datastore/remote/kube_client.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/mem.h"
#include "datastore/content.h"
#include "datastore/remote/kube_access.h"

struct kube_client {
	struct http *http;
	struct store_conf conf;
	struct kube_access access;
	bool known;
	/* The token file's content, as of mark. */
	struct content_mark mark;
	char *token;
};

/* The texts of the configuration that are needed again. */
static const size_t conf_texts[] = {
    offsetof(struct store_conf, kubernetes.kubeconfig), offsetof(struct store_conf, kubernetes.server),
    offsetof(struct store_conf, kubernetes.ca_file),	offsetof(struct store_conf, kubernetes.cert_file),
    offsetof(struct store_conf, kubernetes.key_file),	offsetof(struct store_conf, kubernetes.token_file),
};

static const char **conf_text(struct store_conf *conf, size_t i)
{
	return (const char **)(void *)((char *)conf + conf_texts[i]);
}

struct kube_client *kube_client_new(struct loop *l, const struct store_conf *conf)
{
	struct kube_client *c = mem_calloc(1, sizeof *c);

	c->http = http_new(l, &(struct http_tls){0});
	c->conf = *conf;
	for (size_t i = 0; i < sizeof conf_texts / sizeof *conf_texts; i++) {
		const char **text = conf_text(&c->conf, i);
		*text = mem_strdup(*text ? *text : "");
	}
	return c;
}

void kube_client_free(struct kube_client *c)
{
	http_free(c->http);
	for (size_t i = 0; i < sizeof conf_texts / sizeof *conf_texts; i++)
		free((void *)(uintptr_t)*conf_text(&c->conf, i));
	kube_access_free(&c->access);
	free(c->token);
	free(c);
}

bool kube_client_refresh(struct kube_client *c, char *err, size_t err_size)
{
	struct kube_access fresh;

	if (!kube_access_load(&c->conf, &fresh, err, err_size))
		return false;
	kube_access_free(&c->access);
	c->access = fresh;
	c->known = true;
	http_set_tls(c->http, &c->access.tls);
	return true;
}

const char *kube_client_server(const struct kube_client *c)
{
	return c->known ? c->access.server : "";
}

const char *kube_client_namespace(const struct kube_client *c)
{
	return c->known ? c->access.namespace : "";
}

/* Tokens of service accounts are replaced in their file long before they expire. */
static const char *token(struct kube_client *c)
{
	const char *file = c->access.token_file, *reason;
	struct stat st;
	size_t len;
	char *text;
	int fd;

	if (!file)
		return c->access.token;
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || content_is(&c->mark, &st))
		goto out;
	c->mark = content_mark(&st);
	text = content_read(fd, &len, &reason);
	if (text) {
		text[strcspn(text, "\r\n")] = '\0';
		free(c->token);
		c->token = text;
	}
out:
	if (fd >= 0)
		close(fd);
	return c->token ? c->token : c->access.token;
}

struct http_request *kube_client_start(struct kube_client *c, const struct kube_request *r, const struct http_ops *ops,
				       void *arg)
{
	struct http_conf conf = {
	    .method = r->method,
	    .headers = {"Accept: application/json"},
	    .body = r->body,
	    .body_len = r->body ? strlen(r->body) : 0,
	    .timeout = r->timeout,
	    .idle_timeout = r->idle_timeout,
	};
	char *url, *authorization = NULL, *content_type = NULL;
	struct http_request *request;
	const char *bearer;
	unsigned n = 1;

	if (!c->known)
		return NULL;
	bearer = token(c);
	if (bearer)
		conf.headers[n++] = authorization = mem_printf("Authorization: Bearer %s", bearer);
	if (r->content_type)
		conf.headers[n++] = content_type = mem_printf("Content-Type: %s", r->content_type);
	conf.url = url = mem_printf("%s%s", c->access.server, r->path);
	request = http_start(c->http, &conf, ops, arg);
	free(url);
	free(authorization);
	free(content_type);
	return request;
}

void kube_escape(struct strbuf *out, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		bool plain =
		    (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || strchr("-._~", c);
		if (plain)
			strbuf_putc(out, (char)c);
		else
			strbuf_printf(out, "%%%02X", c);
	}
}
