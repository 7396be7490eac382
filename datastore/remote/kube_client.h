/* Requests to a Kubernetes API server: the address, the token (read anew whenever its file changes), and what an answer
 * that is none says. */
#ifndef DATASTORE_REMOTE_KUBE_CLIENT_H
#define DATASTORE_REMOTE_KUBE_CLIENT_H

#include "daemon/base/buf.h"
#include "datastore/remote/http.h"
#include "datastore/remote/json.h"
#include "datastore/store.h"

struct kube_client;

/* conf is copied as far as it is needed. */
struct kube_client *kube_client_new(struct loop *l, const struct store_conf *conf);
void kube_client_free(struct kube_client *c);

/* Reads certificates and kubeconfig anew: before the first request, and after what may have failed for want of them.
 * False, with err filled: the old ones, if there are any, stay. */
bool kube_client_refresh(struct kube_client *c, char *err, size_t err_size);
/* "https://10.96.0.1:443"; "" if it is not known yet. Valid until the next refresh. */
const char *kube_client_server(const struct kube_client *c);
/* Our own namespace; "" if it is not known. */
const char *kube_client_namespace(const struct kube_client *c);

/* A request. path is from the server's root, with its query. content_type: of the body; NULL: there is none. */
struct kube_request {
	const char *method, *path, *content_type, *body;
	uint64_t timeout, idle_timeout; /* ns, as in http.h */
};
/* NULL if the server is not known (kube_client_refresh() says why). */
struct http_request *kube_client_start(struct kube_client *c, const struct kube_request *r, const struct http_ops *ops,
				       void *arg);

/* The value of a parameter of a query, escaped. */
void kube_escape(struct strbuf *out, const char *text);

#endif
