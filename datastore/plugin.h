/* The backends that talk to a server are in a shared object, datastore-remote.so, so that a node which reads files
 * holds neither HTTP, TLS nor JSON in memory. It stands beside the daemon (where it was built), or in ../lib/calidris.
 */
#ifndef DATASTORE_PLUGIN_H
#define DATASTORE_PLUGIN_H

#include <stddef.h>

#include "datastore/backend.h"

/* The plugin exports `backend_TYPE` for each of its backends, and its version, which must be the daemon's own. */
#define PLUGIN_FILE "datastore-remote.so"
#define PLUGIN_VERSION_SYMBOL "plugin_version"

/* Loads the plugin, which stays loaded. NULL, with err filled, if it or one of its libraries is missing, or it has no
 * such backend. */
const struct backend_ops *plugin_load(const char *type, char *err, size_t err_size);

#endif
