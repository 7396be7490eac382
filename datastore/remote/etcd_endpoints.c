#include "datastore/remote/etcd_endpoints.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "datastore/remote/backoff.h"

struct etcd_endpoints {
	char **list;
	unsigned count, current;
};

/* "http://10.0.0.1:2379, https://b:2379/": each without its slash at the end, and with a scheme. */
static void split(struct etcd_endpoints *e, const char *text)
{
	for (text += strspn(text, ", "); *text; text += strspn(text, ", ")) {
		size_t n = strcspn(text, ", "), len = n;
		while (len && text[len - 1] == '/')
			len--;
		e->list = mem_realloc(e->list, (e->count + 1) * sizeof *e->list);
		e->list[e->count++] = mem_printf("%s%.*s", memmem(text, n, "://", 3) ? "" : "http://", (int)len, text);
		text += n;
	}
}

struct etcd_endpoints *etcd_endpoints_new(const struct store_conf *conf)
{
	struct etcd_endpoints *e = mem_calloc(1, sizeof *e);

	split(e, conf->etcd.endpoints);
	e->current = (unsigned)(backoff_jitter(1u << 20) % e->count);
	return e;
}

void etcd_endpoints_free(struct etcd_endpoints *e)
{
	for (unsigned i = 0; i < e->count; i++)
		free(e->list[i]);
	free(e->list);
	free(e);
}

const char *etcd_endpoint(const struct etcd_endpoints *e)
{
	return e->list[e->current];
}

unsigned etcd_endpoint_count(const struct etcd_endpoints *e)
{
	return e->count;
}

void etcd_endpoint_next(struct etcd_endpoints *e)
{
	e->current = (e->current + 1) % e->count;
}
