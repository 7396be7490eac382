/* The members of an etcd cluster as the DNS has them (RFC 2782): SRV records of _etcd-client-ssl._tcp.DOMAIN, and of
 * _etcd-client._tcp.DOMAIN if there are none of those, as etcd's own clients have it. */
#ifndef DATASTORE_REMOTE_ETCD_SRV_H
#define DATASTORE_REMOTE_ETCD_SRV_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/loop.h"

struct etcd_srv;

/* What was found: "https://a.example:2379,..." in the order in which they are to be tried; NULL: nothing, and problem
 * says why. Called in a later turn of the loop. */
typedef void etcd_srv_fn(void *arg, const char *endpoints, const char *problem);

struct etcd_srv *etcd_srv_new(struct loop *l, const char *domain, etcd_srv_fn *fn, void *arg);
/* A question that is on its way goes unanswered. */
void etcd_srv_free(struct etcd_srv *s);
/* Asks, unless that has been done and is not over. */
void etcd_srv_ask(struct etcd_srv *s);

/* Targets of a service, and their order. */
struct etcd_srv_target {
	uint16_t priority, weight, port;
	char host[256];
};
#define ETCD_SRV_MAX 64u
/* Lower priorities first; within one of them by chance, as the weights have it. */
void etcd_srv_sort(struct etcd_srv_target *t, unsigned count);
/* The targets in a DNS answer, at most ETCD_SRV_MAX. Zero if it is none, or says that there is no such service. */
unsigned etcd_srv_read(const unsigned char *answer, int len, struct etcd_srv_target t[static ETCD_SRV_MAX]);

#endif
