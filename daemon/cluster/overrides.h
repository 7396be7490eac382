/* Which BGPConfigurations count: the default one, and of node.NAME a few fields. */
#ifndef DAEMON_CLUSTER_OVERRIDES_H
#define DAEMON_CLUSTER_OVERRIDES_H

#include "datastore/store.h"

/* A line for each field of node.<node> that only the default object may say, and for each object of another name. */
void overrides_problems(const struct store *s, const char *node, struct strbuf *out);

#endif
