/* What FelixConfigurations say and this daemon does otherwise. Where both run they must agree, and where this daemon
 * does Felix's part, whoever wrote those objects expects it to do as they say: it is configured on its own, so each
 * difference is told. */
#ifndef DAEMON_CLUSTER_FELIX_H
#define DAEMON_CLUSTER_FELIX_H

#include "daemon/cluster/self.h"

/* A line for each difference. The object node.NAME counts before the default one, field by field. */
void felix_problems(const struct store *s, const struct config *c, const struct self *self, struct strbuf *out);

#endif
