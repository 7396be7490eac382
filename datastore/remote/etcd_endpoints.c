#include "datastore/remote/etcd_endpoints.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "datastore/remote/backoff.h"
#include "datastore/remote/etcd_srv.h"

struct etcd_endpoints {
	char *text; /* the list as it was given or found */
	char **list;
	unsigned count, current;
	struct etcd_srv *srv; /* NULL: they are configured */
	char *domain;
	void (*on_found)(void *arg, const char *problem);
	void *arg;
};

static void clear(struct etcd_endpoints *e)
{
	for (unsigned i = 0; i < e->count; i++)
		free(e->list[i]);
	free(e->list);
	free(e->text);
	e->text = NULL;
	e->list = NULL;
	e->count = e->current = 0;
}

/* "http://10.0.0.1:2379, https://b:2379/": each without its slash at the end, and with a scheme. */
static void split(struct etcd_endpoints *e, const char *text)
{
	e->text = mem_strdup(text);
	for (text += strspn(text, ", "); *text; text += strspn(text, ", ")) {
		size_t n = strcspn(text, ", "), len = n;
		while (len && text[len - 1] == '/')
			len--;
		e->list = mem_realloc(e->list, (e->count + 1) * sizeof *e->list);
		e->list[e->count++] = mem_printf("%s%.*s", memmem(text, n, "://", 3) ? "" : "http://", (int)len, text);
		text += n;
	}
}

static void on_srv(void *arg, const char *endpoints, const char *problem)
{
	struct etcd_endpoints *e = arg;

	if (endpoints && (!e->text || strcmp(endpoints, e->text) != 0)) {
		clear(e);
		split(e, endpoints);
		log_info("datastore", "%s: the DNS names %s", e->domain, endpoints);
	}
	e->on_found(e->arg, problem);
}

bool etcd_endpoints_look_up(struct etcd_endpoints *e)
{
	if (e->srv)
		etcd_srv_ask(e->srv);
	return e->srv != NULL;
}

struct etcd_endpoints *etcd_endpoints_new(struct loop *l, const struct store_conf *conf,
					  void (*on_found)(void *arg, const char *problem), void *arg)
{
	struct etcd_endpoints *e = mem_calloc(1, sizeof *e);
	const char *domain = conf->etcd.discovery_srv;

	e->on_found = on_found;
	e->arg = arg;
	e->domain = mem_strdup(domain ? domain : "");
	if (*e->domain) {
		e->srv = etcd_srv_new(l, domain, on_srv, e);
		return e;
	}
	split(e, conf->etcd.endpoints);
	e->current = (unsigned)(backoff_jitter(1u << 20) % e->count);
	return e;
}

void etcd_endpoints_free(struct etcd_endpoints *e)
{
	clear(e);
	etcd_srv_free(e->srv);
	free(e->domain);
	free(e);
}

const char *etcd_endpoint(const struct etcd_endpoints *e)
{
	return e->count ? e->list[e->current] : e->domain;
}

unsigned etcd_endpoint_count(const struct etcd_endpoints *e)
{
	return e->count;
}

void etcd_endpoint_next(struct etcd_endpoints *e)
{
	if (e->count)
		e->current = (e->current + 1) % e->count;
}
