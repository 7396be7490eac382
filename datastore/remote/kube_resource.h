/* Which resources of the API server matter to a node, and what of their objects. A further resource is a further row.
 */
#ifndef DATASTORE_REMOTE_KUBE_RESOURCE_H
#define DATASTORE_REMOTE_KUBE_RESOURCE_H

#include <stdbool.h>

#include "datastore/remote/json.h"
#include "datastore/store.h"

/* Whom it is for. */
struct kube_scope {
	const struct store *store;
	const char *node;
	bool use_pod_cidr, advertise_services;
};

#define KUBE_KEEP_MAX 6u

struct kube_resource {
	const char *kind;   /* of its objects, and the first part of their keys */
	const char *api;    /* "v1"; NULL: Calico's, whichever the cluster has */
	const char *plural; /* "nodes" */
	const char *field;  /* a field selector: this field is our node's name. NULL: all objects */
	/* What is kept besides kind, name, labels and such annotations as matter: paths. */
	const char *keep[KUBE_KEEP_MAX];
	/* Is it watched as things are? NULL: always. */
	bool (*is_needed)(const struct kube_scope *s);
	/* Does the object concern this node? NULL: each does. */
	bool (*concerns)(const struct kube_scope *s, const struct yaml_node *object);
	/* Others may be needed or not when one of its objects changes. */
	bool decides;
	/* Where its objects may name a Secret with a password, and where the password itself goes; NULL: nowhere. */
	const char *secret_ref, *password;
};

extern const struct kube_resource kube_resources[];
extern const unsigned kube_resource_count;

/* Calico's two groups: objects in the API's own form, and in that of its API server. */
#define KUBE_CALICO_CRD "crd.projectcalico.org/v1"
#define KUBE_CALICO_V3 "projectcalico.org/v3"

/* The path of the resource ("/apis/GROUP/VERSION/PLURAL", "/api/v1/nodes"), in a namespace if that is not NULL. The
 * caller frees it. */
char *kube_resource_path(const char *api, const char *namespace, const char *plural);
/* "KIND/NAME" or "KIND/NAMESPACE/NAME" of an object, from its metadata. NULL if it has no name. The caller frees it. */
char *kube_resource_key(const struct kube_resource *r, const struct yaml_node *object);
/* The object without what does not matter: what is left stays the same while kubelets report and controllers count. */
struct yaml_node *kube_resource_prune(const struct kube_resource *r, const char *api, const struct yaml_node *object,
				      struct arena *a);

#endif
