#include "daemon/peers/peer_want.h"

#include <stdlib.h>
#include <string.h>

#include "bgp/codec/msg.h"
#include "daemon/base/buf.h"
#include "daemon/base/hash.h"
#include "daemon/base/mem.h"

static const char *const kind_names[] = {
    [PEER_MESH] = "node-to-node mesh",
    [PEER_GLOBAL] = "global",
    [PEER_NODE] = "node specific",
    [PEER_DYNAMIC] = "dynamic",
    [PEER_LOCAL_WORKLOAD] = "local workload",
};

const char *peer_kind_name(enum peer_kind k)
{
	return kind_names[k];
}

/* ---- Identity ---- */

struct peer_key peer_key_of(const struct peer_want *w)
{
	struct peer_key k = {
	    .remote = w->remote, .interface = w->interface ? w->interface : "", .remote_port = w->remote_port};

	/* A peer that came by a range has the range's options. */
	if (addr_is_none(&w->remote))
		k.range = w->opt.range;
	memcpy(k.vrf, w->opt.vrf, sizeof k.vrf);
	return k;
}

int peer_key_cmp(const struct peer_key *a, const struct peer_key *b)
{
	int c = prefix_cmp(&a->range, &b->range);

	if (!c)
		c = addr_cmp(&a->remote, &b->remote);
	if (!c)
		c = strcmp(a->interface, b->interface);
	if (!c)
		c = (int)a->remote_port - (int)b->remote_port;
	return c ? c : strcmp(a->vrf, b->vrf);
}

uint32_t peer_key_hash(const struct peer_key *k)
{
	uint64_t of_interface = *k->interface ? hash_str(k->interface) : 0;

	return (uint32_t)(hash_bytes(&k->remote, sizeof k->remote) ^ of_interface);
}

int peer_want_cmp(const struct peer_want *a, const struct peer_want *b)
{
	struct peer_key x = peer_key_of(a), y = peer_key_of(b);

	return peer_key_cmp(&x, &y);
}

/* ---- Texts ---- */

char *peer_want_name(const struct peer_want *w)
{
	static const char *const heads[] = {[PEER_MESH] = "Mesh",
					    [PEER_GLOBAL] = "Global",
					    [PEER_NODE] = "Node",
					    [PEER_DYNAMIC] = "Dynamic",
					    [PEER_LOCAL_WORKLOAD] = "Local_Workload"};
	struct strbuf name = {0};
	char a[ADDR_STRLEN];

	strbuf_puts(&name, heads[w->kind]);
	if (!addr_is_none(&w->remote))
		strbuf_printf(&name, "_%s", addr_format(&w->remote, a));
	if (w->interface)
		strbuf_printf(&name, "_%s", w->interface);
	if (w->remote_port != BGP_PORT)
		strbuf_printf(&name, "_port_%u", w->remote_port);
	if (w->opt.vrf[0])
		strbuf_printf(&name, "_vrf_%s", w->opt.vrf);
	for (char *p = name.s; *p; p++)
		if (*p == '.' || *p == ':')
			*p = '_';
	return strbuf_take(&name);
}

static char *copy(const char *text)
{
	return text ? mem_strdup(text) : NULL;
}

struct peer_want peer_want_of_range(const struct peer_want *range, const struct addr *remote, const char *interface)
{
	struct peer_want w = *range;

	w.remote = addr_on_link(remote, 0);
	w.origin = copy(range->origin);
	w.password = copy(range->password);
	w.interface = copy(interface);
	w.shutdown_text = copy(range->shutdown_text);
	w.filters = copy(range->filters);
	w.name = peer_want_name(&w);
	return w;
}

void peer_want_free(struct peer_want *w)
{
	free(w->name);
	free(w->origin);
	free(w->node);
	free(w->password);
	free(w->interface);
	free(w->shutdown_text);
	free(w->filters);
	*w = (struct peer_want){0};
}
