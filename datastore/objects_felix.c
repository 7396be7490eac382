/* FelixConfiguration, as far as it says something that Felix and this daemon must agree on. Everything else in it is
 * Felix's own affair. */
#include "datastore/kinds.h"
#include "datastore/rows.h"

/* clang-format off */
static const struct schema_name felix_routes_names[] = {
	{"", ROUTES_AUTO}, {"Enabled", ROUTES_ALL}, {"Disabled", ROUTES_NONE}, {"EnabledNoEncapOnly", ROUTES_NO_ENCAP},
	{"EnabledIPIPOnly", ROUTES_IPIP}, {0},
};

#define NUMBER(name, most, member)                                                                                     \
	{.path = "spec." name, .type = &schema_uint, .max = most, TAKEN(obj_felix_configuration, member)}

static const struct schema_row felix_configuration_rows[] = {
	ROWS_OF_ALL(QUIET("metadata.namespace")),
	{.path = "spec.interfacePrefix", .type = &schema_text, .max = 256,
	 TAKEN(obj_felix_configuration, interface_prefix)},
	{.path = "spec.deviceRouteSourceAddress", .type = &schema_text, .max = 64,
	 TAKEN(obj_felix_configuration, source_address[FAM_IPV4])},
	{.path = "spec.deviceRouteSourceAddressIPv6", .type = &schema_text, .max = 64,
	 TAKEN(obj_felix_configuration, source_address[FAM_IPV6])},
	NUMBER("ipipMTU", 65535, ipip_mtu),
	NUMBER("vxlanMTU", 65535, vxlan_mtu),
	NUMBER("vxlanMTUV6", 65535, vxlan_mtu6),
	NUMBER("vxlanPort", 65535, vxlan_port),
	NUMBER("vxlanVNI", 16777215, vxlan_vni),
	NUMBER("ipv4NormalRoutePriority", 2147483646, normal_priority[FAM_IPV4]),
	NUMBER("ipv6NormalRoutePriority", 2147483646, normal_priority[FAM_IPV6]),
	NUMBER("ipv4ElevatedRoutePriority", 2147483646, elevated_priority[FAM_IPV4]),
	NUMBER("ipv6ElevatedRoutePriority", 2147483646, elevated_priority[FAM_IPV6]),
	{.path = "spec.liveMigrationRouteConvergenceTime", .type = &schema_seconds, .min = 1, .max = 86400,
	 TAKEN(obj_felix_configuration, migration_time)},
	{.path = "spec.programClusterRoutes", .type = &schema_enum, .names = felix_routes_names,
	 TAKEN(obj_felix_configuration, cluster_routes)},
	{.path = "spec.routeSyncDisabled", .type = &schema_bool, TAKEN(obj_felix_configuration, route_sync_disabled)},
};
/* clang-format on */

const struct schema felix_configuration_schema = {
    .kind = "FelixConfiguration",
    SCHEMA_ROWS(felix_configuration_rows),
    .size = sizeof(struct obj_felix_configuration),
    .lax = true,
};
