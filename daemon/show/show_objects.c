/* show objects [KIND]. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "daemon/base/mem.h"
#include "daemon/cluster/cluster.h"
#include "daemon/cluster/locals.h"
#include "daemon/show/show.h"

struct objects_walk {
	enum object_kind kind, last;
	unsigned pos;
};

/* ---- What an object says, in few words ---- */

static void put_part(struct strbuf *out, const char *what, const char *value)
{
	if (value && *value)
		strbuf_printf(out, "%s%s%s%s", out->len ? ", " : "", what, *what ? " " : "", value);
}

static void put_number(struct strbuf *out, const char *what, uint32_t n)
{
	if (n)
		strbuf_printf(out, "%s%s %" PRIu32, out->len ? ", " : "", what, n);
}

static void put_addr(struct strbuf *out, const char *what, const struct addr *a)
{
	char text[ADDR_STRLEN];

	put_part(out, what, addr_is_none(a) ? NULL : addr_format(a, text));
}

static void put_prefix(struct strbuf *out, const char *what, const struct prefix *p)
{
	char text[PREFIX_STRLEN];

	put_part(out, what, prefix_format(p, text));
}

static void say_node(const struct daemon *d, const struct object *o, struct strbuf *out)
{
	const struct obj_node *n = (const struct obj_node *)(const void *)o;
	struct addr cluster = addr_from_u32(n->cluster_id);

	(void)d;
	put_addr(out, "", &n->ipv4.addr);
	put_addr(out, "", &n->ipv6.addr);
	put_number(out, "AS", n->as_number);
	if (n->has_cluster_id)
		put_addr(out, "reflector", &cluster);
}

static void say_pool(const struct daemon *d, const struct object *o, struct strbuf *out)
{
	static const char *const modes[] = {
	    [ENCAP_NEVER] = NULL, [ENCAP_ALWAYS] = "Always", [ENCAP_CROSS_SUBNET] = "CrossSubnet"};
	const struct obj_ip_pool *p = (const struct obj_ip_pool *)(const void *)o;

	(void)d;
	put_prefix(out, "", &p->cidr);
	put_number(out, "block size", p->block_size);
	put_part(out, "IPIP", modes[p->ipip]);
	put_part(out, "VXLAN", modes[p->vxlan]);
	put_part(out, "", p->disabled ? "disabled" : NULL);
	put_part(out, "", p->disable_bgp_export ? "not exported" : NULL);
}

static void say_configuration(const struct daemon *d, const struct object *o, struct strbuf *out)
{
	const struct obj_bgp_configuration *c = (const struct obj_bgp_configuration *)(const void *)o;

	(void)d;
	if (c->has_mesh)
		put_part(out, "mesh", c->mesh_enabled ? "on" : "off");
	put_number(out, "AS", c->as_number);
	put_number(out, "port", c->listen_port);
	put_part(out, "", c->bind_node_ip ? "binds the node's address" : NULL);
}

static void say_peer(const struct daemon *d, const struct object *o, struct strbuf *out)
{
	const struct obj_bgp_peer *p = (const struct obj_bgp_peer *)(const void *)o;

	(void)d;
	put_part(out, "on node", p->node);
	put_part(out, "on nodes with", p->node_selector);
	put_addr(out, "to", &p->peer_ip);
	put_number(out, "port", p->peer_port);
	put_part(out, "to nodes with", p->peer_selector);
	put_number(out, "AS", p->as_number);
}

static void say_filter(const struct daemon *d, const struct object *o, struct strbuf *out)
{
	static const char *const names[FILTER_DIRECTIONS][FAM_COUNT] = {
	    [FILTER_IMPORT] = {[FAM_IPV4] = "importV4", [FAM_IPV6] = "importV6"},
	    [FILTER_EXPORT] = {[FAM_IPV4] = "exportV4", [FAM_IPV6] = "exportV6"},
	};
	const struct obj_bgp_filter *filter = (const struct obj_bgp_filter *)(const void *)o;

	(void)d;
	for (int direction = 0; direction < FILTER_DIRECTIONS; direction++)
		for (int f = 0; f < FAM_COUNT; f++)
			put_number(out, names[direction][f], filter->rules[direction][f].count);
}

static void say_workload(const struct daemon *d, const struct object *o, struct strbuf *out)
{
	const struct obj_workload_endpoint *w = (const struct obj_workload_endpoint *)(const void *)o;
	char interface[16];

	for (unsigned i = 0; i < w->network_count; i++)
		put_prefix(out, "", &w->networks[i]);
	put_part(out, "on", w->node);
	workload_interface(&d->config, w, interface);
	put_part(out, "dev", interface);
}

static void say_affinity(const struct daemon *d, const struct object *o, struct strbuf *out)
{
	static const char *const states[] = {
	    [AFFINITY_CONFIRMED] = NULL,
	    [AFFINITY_PENDING] = "pending",
	    [AFFINITY_PENDING_DELETION] = "pending deletion",
	};
	const struct obj_block_affinity *a = (const struct obj_block_affinity *)(const void *)o;

	(void)d;
	put_prefix(out, "", &a->cidr);
	put_part(out, a->virtual ? "virtual," : "", a->node);
	put_part(out, "", states[a->state]);
	put_part(out, "", a->deleted ? "deleted" : NULL);
}

static void say_block(const struct daemon *d, const struct object *o, struct strbuf *out)
{
	const struct obj_ipam_block *b = (const struct obj_ipam_block *)(const void *)o;

	(void)d;
	put_prefix(out, "", &b->cidr);
	put_part(out, "", b->node);
	put_number(out, "addresses in use:", b->owner_count);
	put_part(out, "", b->deleted ? "deleted" : NULL);
}

static void say_service(const struct daemon *d, const struct object *o, struct strbuf *out)
{
	static const char *const types[] = {
	    [SERVICE_TYPE_CLUSTER_IP] = "ClusterIP",
	    [SERVICE_TYPE_NODE_PORT] = "NodePort",
	    [SERVICE_TYPE_LOAD_BALANCER] = "LoadBalancer",
	    [SERVICE_TYPE_EXTERNAL_NAME] = "ExternalName",
	};
	static const char *const origins[] = {[SERVICE_CLUSTER_IP] = "",
					      [SERVICE_EXTERNAL_IP] = "external",
					      [SERVICE_LOAD_BALANCER_IP] = "load balancer"};
	const struct obj_service *s = (const struct obj_service *)(const void *)o;

	(void)d;
	put_part(out, "", types[s->type]);
	put_part(out, "", s->headless ? "headless" : NULL);
	for (unsigned i = 0; i < s->addr_count; i++)
		put_addr(out, origins[s->addrs[i].from], &s->addrs[i].addr);
	put_part(out, "", s->external_local ? "external traffic Local" : NULL);
	put_part(out, "", s->internal_local ? "internal traffic Local" : NULL);
}

static void say_endpoint_slice(const struct daemon *d, const struct object *o, struct strbuf *out)
{
	const struct obj_endpoint_slice *s = (const struct obj_endpoint_slice *)(const void *)o;

	(void)d;
	put_part(out, "of", endpoint_slice_service(s));
	put_part(out, "", s->family == FAM_IPV4 ? "IPv4" : s->family == FAM_IPV6 ? "IPv6" : "FQDN");
	put_part(out, "", s->any_ready ? NULL : "nobody is ready");
	put_number(out, "nodes with ready endpoints:", s->ready_node_count);
}

static void say_felix(const struct daemon *d, const struct object *o, struct strbuf *out)
{
	const struct obj_felix_configuration *c = (const struct obj_felix_configuration *)(const void *)o;

	(void)d;
	put_part(out, "interfaces", c->interface_prefix);
	put_number(out, "VXLAN port", c->vxlan_port);
	put_number(out, "VNI", c->vxlan_vni);
}

static void (*const say[OBJ_KIND_COUNT])(const struct daemon *d, const struct object *o, struct strbuf *out) = {
    [OBJ_NODE] = say_node,
    [OBJ_IP_POOL] = say_pool,
    [OBJ_BGP_CONFIGURATION] = say_configuration,
    [OBJ_BGP_PEER] = say_peer,
    [OBJ_BGP_FILTER] = say_filter,
    [OBJ_WORKLOAD_ENDPOINT] = say_workload,
    [OBJ_BLOCK_AFFINITY] = say_affinity,
    [OBJ_IPAM_BLOCK] = say_block,
    [OBJ_SERVICE] = say_service,
    [OBJ_ENDPOINT_SLICE] = say_endpoint_slice,
    [OBJ_FELIX_CONFIGURATION] = say_felix,
};

/* ---- The table ---- */

static void put_object(struct request *r, const struct object *o)
{
	struct strbuf name = {0}, text = {0};

	show_object_name(&name, o);
	strbuf_puts(&text, "");
	say[o->kind](r->d, o, &text);
	out_row(&r->out);
	out_text(&r->out, "kind", "KIND", object_kind_name(o->kind));
	out_text(&r->out, "name", "NAME", name.s);
	show_source(r, o);
	out_text(&r->out, "summary", "SAYS", text.s);
	out_end(&r->out);
	strbuf_free(&name);
	strbuf_free(&text);
}

static bool objects_more(struct request *r)
{
	struct objects_walk *w = r->state;

	for (unsigned n = 0; n < SHOW_PIECE; n++) {
		const struct object *o = store_next(r->d->store, w->kind, &w->pos);
		if (o) {
			put_object(r, o);
			continue;
		}
		if (w->kind == w->last)
			return false;
		w->kind++;
		w->pos = 0;
	}
	return true;
}

/* Kinds as Calico writes them; case and a plural's s do not matter. */
static bool is_kind(const char *text, enum object_kind k)
{
	const char *name = object_kind_name(k);
	size_t n = strlen(name);

	return strncasecmp(text, name, n) == 0 && (!text[n] || strcasecmp(text + n, "s") == 0);
}

/* -1 with an error if it is none. */
static int find_kind(struct request *r, const char *text)
{
	struct strbuf known = {0};

	for (int k = 0; k < OBJ_KIND_COUNT; k++)
		if (is_kind(text, (enum object_kind)k))
			return k;
	for (int k = 0; k < OBJ_KIND_COUNT; k++)
		strbuf_printf(&known, "%s%s", k ? ", " : "", object_kind_name((enum object_kind)k));
	snprintf(r->error, sizeof r->error, "there are no objects of kind \"%.60s\"; kinds are %s", text, known.s);
	strbuf_free(&known);
	return -1;
}

static bool objects_start(struct request *r)
{
	struct objects_walk *w = mem_calloc(1, sizeof *w);
	int kind = 0;

	r->state = w;
	r->free_state = free;
	w->last = OBJ_KIND_COUNT - 1;
	if (r->argc) {
		kind = find_kind(r, r->argv[0]);
		if (kind < 0)
			return false;
		w->kind = w->last = (enum object_kind)kind;
	}
	out_table(&r->out, "objects", NULL, "no objects");
	return true;
}
const struct command_ops command_show_objects = {.start = objects_start, .more = objects_more};
