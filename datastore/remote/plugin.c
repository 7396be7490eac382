/* What the daemon finds in the plugin besides its backends (datastore/plugin.h). */
#include "datastore/remote/plugin.h"

const char plugin_version[] = CALIDRIS_VERSION;
