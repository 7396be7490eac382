/* The Secrets that objects name, each watched by its name alone, so that nobody needs the right to read others.
 *
 * A referrer is a document (by its key) that wants a text out of a Secret. */
#ifndef DATASTORE_REMOTE_KUBE_SECRETS_H
#define DATASTORE_REMOTE_KUBE_SECRETS_H

#include "datastore/remote/kube_client.h"

struct kube_secrets;

struct kube_secrets_ops {
	/* The Secret is there, gone, or another one than before: its referrers are to be resolved anew. */
	void (*on_change)(void *arg, const char *secret);
	/* What kube_secrets_state() says changed. */
	void (*on_state)(void *arg);
};

struct kube_secrets *kube_secrets_new(struct loop *l, struct kube_client *c, const char *namespace,
				      const struct kube_secrets_ops *ops, void *arg);
void kube_secrets_free(struct kube_secrets *s);

/* The Secret is wanted from now on; calls count. Nothing is called back at once. */
void kube_secrets_ref(struct kube_secrets *s, const char *secret);
void kube_secrets_unref(struct kube_secrets *s, const char *secret);

enum kube_secret_answer {
	KUBE_SECRET_UNKNOWN, /* not read yet */
	KUBE_SECRET_FOUND,
	KUBE_SECRET_ABSENT, /* there is no such Secret, no such key in it, or we may not read it */
};
/* The text under a key. text (the caller frees it) if it is found; why, in a few words, if it is absent. */
enum kube_secret_answer kube_secrets_get(const struct kube_secrets *s, const char *secret, const char *key, char **text,
					 char *why, size_t why_size);
/* Are all that are wanted read, or refused? problem: why one of them cannot be watched now, or NULL. */
bool kube_secrets_settled(const struct kube_secrets *s, const char **problem);

#endif
