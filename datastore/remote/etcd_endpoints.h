/* The members of an etcd cluster: as configured, or as the DNS has them. One is used at a time. */
#ifndef DATASTORE_REMOTE_ETCD_ENDPOINTS_H
#define DATASTORE_REMOTE_ETCD_ENDPOINTS_H

#include <stdbool.h>

#include "daemon/base/loop.h"
#include "datastore/store.h"

struct etcd_endpoints;

/* Configured ones: they are begun with any of them, so that a cluster's nodes spread over its members. on_found: those
 * of the DNS were looked up; problem NULL: well; else those of before stay. */
struct etcd_endpoints *etcd_endpoints_new(struct loop *l, const struct store_conf *conf,
					  void (*on_found)(void *arg, const char *problem), void *arg);
void etcd_endpoints_free(struct etcd_endpoints *e);
/* Looks them up; on_found() will be called. False: they are configured. */
bool etcd_endpoints_look_up(struct etcd_endpoints *e);

/* "https://b:2379", without a slash at its end; the domain if none is known yet. */
const char *etcd_endpoint(const struct etcd_endpoints *e);
/* 0: none is known yet. */
unsigned etcd_endpoint_count(const struct etcd_endpoints *e);
/* The one that is used does not do: the next one is. */
void etcd_endpoint_next(struct etcd_endpoints *e);

#endif
