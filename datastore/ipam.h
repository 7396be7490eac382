/* What of an IPAMBlock no table of fields can say: which node uses which address. */
#ifndef DATASTORE_IPAM_H
#define DATASTORE_IPAM_H

#include "daemon/base/buf.h"
#include "datastore/objects.h"

/* Is the prefix one that Calico's IPAM can have given out as a block? */
bool ipam_check_block(const struct prefix *cidr, const struct yaml_node *doc, struct object_error *err);

/* The hooks of the IPAMBlock schema (struct schema). */
bool ipam_block_finish(void *object, const struct yaml_node *doc, struct object_error *err);
void ipam_block_put(const void *object, struct strbuf *out);
void ipam_block_drop(void *object);

#endif
