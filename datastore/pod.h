/* What Calico makes of a Pod's names and status. */
#ifndef DATASTORE_POD_H
#define DATASTORE_POD_H

#include "datastore/forms.h"

#define POD_INTERFACE_LEN 16 /* IFNAMSIZ */

/* The name of the host's end of a pod's veth pair: prefix (usually "cali") + the first 11 hex digits of
 * SHA-1("NAMESPACE.POD"); cut to what the kernel takes. Returns buf. */
const char *pod_interface(const char *prefix, const char *namespace, const char *pod,
			  char buf[static POD_INTERFACE_LEN]);

/* The parts of the Pod's form. */
#define POD_FIELDS 12
extern const struct form_field pod_fields[POD_FIELDS];
bool pod_is_nobody(const struct yaml_node *doc);
void pod_finish(struct object *o);

#endif
