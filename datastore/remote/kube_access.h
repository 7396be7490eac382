/* Where the Kubernetes API server is, and as whom this node asks it: a kubeconfig file, an address with files, or the
 * service account that a cluster gives each of its pods. */
#ifndef DATASTORE_REMOTE_KUBE_ACCESS_H
#define DATASTORE_REMOTE_KUBE_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "datastore/remote/http.h"
#include "datastore/store.h"

/* All texts are owned; kube_access_free(). */
struct kube_access {
	char *server;	 /* "https://10.96.0.1:443", without a slash at its end */
	char *namespace; /* our own: the context's, or the service account's; "" unknown */
	struct http_tls tls;
	char *token;	  /* NULL none */
	char *token_file; /* read anew whenever it changes; goes before token. NULL none */
};

/* Reads what conf names. False, with err filled, if it cannot be read or asks for what is not supported. */
bool kube_access_load(const struct store_conf *conf, struct kube_access *out, char *err, size_t err_size);
void kube_access_free(struct kube_access *a);

/* A kubeconfig's text. name: the file's, for messages and for the files that it names. */
struct kube_config {
	const char *name, *text;
	size_t len;
};
/* Several are merged as kubectl does it: of what stands in more than one of them, the first counts. */
bool kube_access_parse(const struct kube_config *files, unsigned count, struct kube_access *out, char *err,
		       size_t err_size);

#endif
