/* Documents that name a Secret with a password: they come into force with the password itself in it, and again whenever
 * the Secret changes. A document whose Secret has not been read yet waits; one whose Secret is not there comes into
 * force without a password, as with Calico, and that is said. */
#ifndef DATASTORE_REMOTE_KUBE_PASSWORDS_H
#define DATASTORE_REMOTE_KUBE_PASSWORDS_H

#include "datastore/remote/kube_resource.h"
#include "datastore/remote/kube_secrets.h"
#include "datastore/remote/mirror.h"

struct kube_passwords;

/* on_settled: no document waits any more. on_state: as kube_secrets_ops'. */
struct kube_passwords_ops {
	void (*on_settled)(void *arg);
	void (*on_state)(void *arg);
};

struct kube_passwords *kube_passwords_new(struct loop *l, struct kube_client *c, const char *namespace,
					  struct mirror *m, const struct kube_passwords_ops *ops, void *arg);
void kube_passwords_free(struct kube_passwords *p);

/* The document of a resource whose objects may name Secrets: puts it into the mirror, now or when its Secret has been
 * read. The tree is changed. */
void kube_passwords_put(struct kube_passwords *p, const struct kube_resource *r, const char *key, struct yaml_node *doc,
			struct arena *a);
void kube_passwords_delete(struct kube_passwords *p, const char *key);
/* A listing of all keys with this prefix begins; what was not put when it is complete is gone. */
void kube_passwords_list_begin(struct kube_passwords *p, const char *prefix);
void kube_passwords_list_end(struct kube_passwords *p, const char *prefix);

bool kube_passwords_is_waiting(const struct kube_passwords *p);
/* As kube_secrets_settled(). */
bool kube_passwords_settled(const struct kube_passwords *p, const char **problem);

#endif
