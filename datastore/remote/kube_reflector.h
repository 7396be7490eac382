/* One resource of a Kubernetes API server as it is now: listed in pages, then watched, and listed again when the server
 * no longer knows what happened since.
 *
 * States follow from the API's conventions: a resource version is opaque; a watch that ends is taken up where it was,
 * with bookmarks saying where that is in quiet times; 410 (as an answer or in the stream) means a new listing, and an
 * expired page a new one in one piece; 429 and 503 say when to come back; 401 may be an old token. */
#ifndef DATASTORE_REMOTE_KUBE_REFLECTOR_H
#define DATASTORE_REMOTE_KUBE_REFLECTOR_H

#include "datastore/remote/kube_client.h"

struct kube_reflector;

struct kube_reflector_ops {
	/* A listing begins: what is not told of until it is complete is not there. */
	void (*on_begin)(void *arg);
	/* An object is there, or changed; or is gone. The tree lives in the arena until the call returns. */
	void (*on_object)(void *arg, struct yaml_node *object, struct arena *a);
	void (*on_gone)(void *arg, struct yaml_node *object, struct arena *a);
	void (*on_listed)(void *arg);
	/* An object that cannot be had: it is too large, or no JSON. */
	void (*on_bad)(void *arg, const char *reason);
	/* What kube_reflector_state() says changed. */
	void (*on_state)(void *arg);
};

enum kube_state {
	KUBE_STARTING,
	KUBE_WATCHING, /* all is known, and what changes is told */
	KUBE_LOST,     /* for a while, as problem says; it is tried again */
	KUBE_REFUSED,  /* we may not, or there is no such resource; tried again from time to time */
};

/* base: "/apis/crd.projectcalico.org/v1/ippools". selector: "&fieldSelector=..." or "". Both are copied. Starts at
 * once.
 */
struct kube_reflector *kube_reflector_new(struct loop *l, struct kube_client *c, const char *base, const char *selector,
					  const struct kube_reflector_ops *ops, void *arg);
void kube_reflector_free(struct kube_reflector *r);

enum kube_state kube_reflector_state(const struct kube_reflector *r);
/* Why not KUBE_WATCHING; "" if it is. */
const char *kube_reflector_problem(const struct kube_reflector *r);
/* The status of a refusal: 403, 404; 0 none. */
int kube_reflector_refusal(const struct kube_reflector *r);

#endif
