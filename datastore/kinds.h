/* The schemas of those kinds that have a file of their own; objects.c has the others. */
#ifndef DATASTORE_KINDS_H
#define DATASTORE_KINDS_H

#include "datastore/schema.h"

extern const struct schema bgp_configuration_schema, bgp_peer_schema, bgp_filter_schema, service_schema,
    endpoint_slice_schema, felix_configuration_schema;

#endif
