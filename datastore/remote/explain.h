/* What an answer that is none of those wanted says. */
#ifndef DATASTORE_REMOTE_EXPLAIN_H
#define DATASTORE_REMOTE_EXPLAIN_H

#include "daemon/base/buf.h"
#include "datastore/remote/http.h"

/* What went wrong, as text: the message in the body (a Status object's of Kubernetes, an error's of etcd's gateway), or
 * what HTTP says. */
void explain_answer(const struct http_result *result, const struct strbuf *body, char *out, size_t out_size);

#endif
