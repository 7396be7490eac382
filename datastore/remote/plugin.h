/* What the plugin exports: everything else in it is hidden. */
#ifndef DATASTORE_REMOTE_PLUGIN_H
#define DATASTORE_REMOTE_PLUGIN_H

#include "datastore/backend.h"

#define PLUGIN_EXPORT __attribute__((visibility("default")))

PLUGIN_EXPORT extern const char plugin_version[];
PLUGIN_EXPORT extern const struct backend_ops backend_etcdv3, backend_kubernetes;

#endif
