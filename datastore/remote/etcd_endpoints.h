/* The members of an etcd cluster: as configured, or as the DNS has them. One is used at a time. */
#ifndef DATASTORE_REMOTE_ETCD_ENDPOINTS_H
#define DATASTORE_REMOTE_ETCD_ENDPOINTS_H

#include <stdbool.h>

#include "datastore/store.h"

struct etcd_endpoints;

/* Configured ones: they are begun with any of them, so that a cluster's nodes spread over its members. */
struct etcd_endpoints *etcd_endpoints_new(const struct store_conf *conf);
void etcd_endpoints_free(struct etcd_endpoints *e);

/* "https://b:2379", without a slash at its end. */
const char *etcd_endpoint(const struct etcd_endpoints *e);
unsigned etcd_endpoint_count(const struct etcd_endpoints *e);
/* The one that is used does not do: the next one is. */
void etcd_endpoint_next(struct etcd_endpoints *e);

#endif
