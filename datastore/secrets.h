/* Passwords by reference, for backends without Secrets of their own: a directory whose file NAME/KEY is what the key of
 * that Secret holds, as Kubernetes mounts them. Only files that are asked for are read, and watched. What was known
 * once stays in force while it cannot be read. */
#ifndef DATASTORE_SECRETS_H
#define DATASTORE_SECRETS_H

#include "daemon/base/buf.h"
#include "daemon/base/loop.h"
#include "datastore/objects.h"

#define SECRET_MAX 80u /* characters of a password (TCP_MD5SIG_MAXKEYLEN) */

struct secrets;

/* on_change: some value may be another now. */
struct secrets *secrets_new(struct loop *l, const char *directory, void (*on_change)(void *arg), void *arg);
void secrets_free(struct secrets *s);

/* The text; NULL if it is not known, or nothing is referred to. Borrowed until the loop's next turn. */
const char *secrets_get(struct secrets *s, const struct secret_ref *ref);
/* From one to the other: what was not asked for in between is forgotten. */
void secrets_begin(struct secrets *s);
void secrets_sweep(struct secrets *s);
/* What cannot be read, a line each. */
void secrets_problems(const struct secrets *s, struct strbuf *out);

#endif
