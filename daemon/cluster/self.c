#include "daemon/cluster/self.h"

#include <sha2.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"

#define DEFAULT_AS 64512u
#define DEFAULT_PRIORITY 1024u

const struct obj_bgp_configuration *self_bgp_configuration(const struct store *s, const char *name)
{
	return (const struct obj_bgp_configuration *)store_get(s, OBJ_BGP_CONFIGURATION, "", name);
}

const struct obj_bgp_configuration *self_node_configuration(const struct store *s, const char *node)
{
	char *name = mem_printf("node.%s", node);
	const struct obj_bgp_configuration *own = self_bgp_configuration(s, name);

	free(name);
	return own;
}

uint16_t self_listen_port(const struct store *s, const struct config *c, const char *node)
{
	const struct obj_bgp_configuration *global = self_bgp_configuration(s, "default"),
					   *own = self_node_configuration(s, node);

	if (own && own->listen_port)
		return own->listen_port;
	if (global && global->listen_port)
		return global->listen_port;
	return (uint16_t)c->listen_port;
}

/* CALICO_ROUTER_ID=hash: the first four octets of the name's SHA-256, kept out of class D and E. */
static uint32_t router_id_hash(const char *name)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	SHA2_CTX ctx;

	SHA256Init(&ctx);
	SHA256Update(&ctx, (const uint8_t *)name, strlen(name));
	SHA256Final(digest, &ctx);
	if (digest[0] > 223)
		digest[0] = (uint8_t)(digest[0] - 32);
	return (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 | (uint32_t)digest[2] << 8 | digest[3];
}

static uint32_t router_id(const struct config *c, const struct self *self)
{
	struct addr literal;

	if (strcmp(c->router_id, "auto") != 0 && addr_parse(&literal, c->router_id))
		return addr_to_u32(&literal);
	if (strcmp(c->router_id, "auto") == 0 && !addr_is_none(&self->ip[FAM_IPV4].addr))
		return addr_to_u32(&self->ip[FAM_IPV4].addr);
	/* "hash", and a node without an IPv4 address, which has no other identifier to offer. */
	return router_id_hash(self->name);
}

static struct host_addr own_address(const struct node_ip *ip, const struct host_addr *object,
				    const struct host_addr *found, enum self_source *from)
{
	static const struct host_addr none;

	*from = SELF_FROM_OBJECT;
	if (ip->mode == NODE_IP_NONE)
		return none;
	if ((ip->mode == NODE_IP_DETECT || (ip->mode == NODE_IP_AUTO && addr_is_none(&object->addr))) && found &&
	    !addr_is_none(&found->addr)) {
		*from = SELF_DETECTED;
		return *found;
	}
	if (ip->mode != NODE_IP_FIXED)
		return *object;
	*from = SELF_CONFIGURED;
	if (ip->addr.len)
		return ip->addr;
	if (found && addr_equal(&found->addr, &ip->addr.addr))
		return *found;
	if (addr_equal(&ip->addr.addr, &object->addr))
		return *object;
	return (struct host_addr){.addr = ip->addr.addr, .len = (uint8_t)addr_bits(ip->addr.addr.af)};
}

static struct service_conf services(const struct obj_bgp_configuration *global, const struct config *c,
				    const struct obj_node *node)
{
	const char *excluded =
	    node ? labels_get(&node->o.labels, "node.kubernetes.io/exclude-from-external-load-balancers") : NULL;
	struct service_conf conf = {
	    .aggregate = true,
	    .excluded = excluded && strcmp(excluded, "true") == 0,
	    .node = *c->kubernetes_name ? c->kubernetes_name : c->node_name,
	};

	if (global) {
		conf.list[SERVICE_CLUSTER_IP] = global->service_cluster;
		conf.count[SERVICE_CLUSTER_IP] = global->service_cluster_count;
		conf.list[SERVICE_EXTERNAL_IP] = global->service_external;
		conf.count[SERVICE_EXTERNAL_IP] = global->service_external_count;
		conf.list[SERVICE_LOAD_BALANCER_IP] = global->service_load_balancer;
		conf.count[SERVICE_LOAD_BALANCER_IP] = global->service_load_balancer_count;
		conf.aggregate = !global->no_load_balancer_aggregation;
	}
	if (!addr_is_none(&c->service_cluster_ips.addr)) {
		conf.list[SERVICE_CLUSTER_IP] = &c->service_cluster_ips;
		conf.count[SERVICE_CLUSTER_IP] = 1;
	}
	return conf;
}

bool self_has_address(const struct self *self, const struct addr *a)
{
	return !addr_is_none(a) && (addr_equal(a, &self->ip[FAM_IPV4].addr) || addr_equal(a, &self->ip[FAM_IPV6].addr));
}

bool self_is_known(const struct self *self, enum family f)
{
	const struct host_addr *own = &self->ip[f], *object = !self->node     ? NULL
							      : f == FAM_IPV4 ? &self->node->ipv4
									      : &self->node->ipv6;

	return addr_is_none(&own->addr) || (object && addr_equal(&own->addr, &object->addr) && own->len == object->len);
}

static unsigned max_paths(const struct store *s, const struct config *c)
{
	const struct obj_bgp_configuration *global = self_bgp_configuration(s, "default"),
					   *own = self_node_configuration(s, c->node_name);

	if (own && own->max_paths)
		return own->max_paths;
	return global && global->max_paths ? global->max_paths : c->max_paths;
}

static const char *log_severity(const struct store *s, const struct config *c)
{
	const struct obj_bgp_configuration *global = self_bgp_configuration(s, "default"),
					   *own = self_node_configuration(s, c->node_name);

	if (own && own->log_severity)
		return own->log_severity;
	return global ? global->log_severity : NULL;
}

/* RFC 8326: before maintenance, which an operator announces here, on the Node, or by draining it. */
static bool shuts_down(const struct config *c, const struct obj_node *n)
{
	return c->graceful_shutdown || (n && (n->graceful_shutdown || (n->unschedulable && c->shutdown_on_drain)));
}

struct self self_from(const struct store *s, const struct config *c, const struct host_addr *found)
{
	static const struct host_addr none;
	const struct obj_bgp_configuration *global = self_bgp_configuration(s, "default");
	struct self self = {.name = c->node_name, .mesh = true, .mesh_restart_time = (uint16_t)c->restart_time};

	self.node = (const struct obj_node *)store_get(s, OBJ_NODE, "", c->node_name);
	self.ip[FAM_IPV4] =
	    own_address(&c->node_ip, self.node ? &self.node->ipv4 : &none, found, &self.ip_from[FAM_IPV4]);
	self.ip[FAM_IPV6] = own_address(&c->node_ip6, self.node ? &self.node->ipv6 : &none,
					found ? found + FAM_IPV6 : NULL, &self.ip_from[FAM_IPV6]);
	self.as = c->node_as ? c->node_as : self.node && self.node->as_number ? self.node->as_number : 0;
	if (!self.as)
		self.as = global && global->as_number ? global->as_number : DEFAULT_AS;
	self.cluster_id = self.node && self.node->has_cluster_id ? self.node->cluster_id : 0;
	self.listen_port = self_listen_port(s, c, c->node_name);
	self.router_id = self.node ? router_id(c, &self) : 0;
	self.priority[FAM_IPV4] = self.priority[FAM_IPV6] = DEFAULT_PRIORITY;
	self.services = services(global, c, self.node);
	self.max_paths = max_paths(s, c);
	self.log_severity = log_severity(s, c);
	self.graceful_shutdown = shuts_down(c, self.node);
	if (!global)
		return self;
	self.bind_node_ip = global->bind_node_ip;
	self.cluster_routes = global->cluster_routes;
	self.workload_peering[FAM_IPV4] = global->workload_peering4;
	self.workload_peering[FAM_IPV6] = global->workload_peering6;
	self.mesh = !global->has_mesh || global->mesh_enabled;
	self.mesh_password = global->mesh_password;
	self.mesh_secret = &global->mesh_secret;
	if (global->mesh_restart_time)
		self.mesh_restart_time = (uint16_t)global->mesh_restart_time;
	if (global->ipv4_priority)
		self.priority[FAM_IPV4] = global->ipv4_priority;
	if (global->ipv6_priority)
		self.priority[FAM_IPV6] = global->ipv6_priority;
	return self;
}

bool self_is_same(const struct self *a, const struct self *b)
{
	struct self x, y;

	if (!a->node || !b->node)
		return false;
	memcpy(&x, a, sizeof x);
	memcpy(&y, b, sizeof y);
	x.node = y.node = NULL;
	x.secrets = y.secrets = NULL;
	/* What lies between the fields can only make them differ, which costs time. */
	return memcmp(&x, &y, sizeof x) == 0;
}

uint32_t self_node_as(const struct store *s, const struct obj_node *n)
{
	const struct obj_bgp_configuration *global = self_bgp_configuration(s, "default");

	if (n->as_number)
		return n->as_number;
	return global && global->as_number ? global->as_number : DEFAULT_AS;
}
