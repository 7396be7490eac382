/* Configurations that say what this daemon does otherwise: each difference is told, by its names, and nothing else. */
#include "tests/unit/daemon/store_rig.h"

#define NODE DOC("Node", "a", "spec: {bgp: {ipv4Address: 192.0.2.1/24}}")
#define FELIX(name, spec) DOC("FelixConfiguration", name, "spec: {" spec "}")
#define BGP_OF(name, spec) DOC("BGPConfiguration", name, "spec: {" spec "}")
#define BGP(spec) BGP_OF("default", spec)

static const struct {
	const char *objects;
	bool beside; /* a Felix runs */
	const char *told;
} cases[] = {
    {FELIX("default", "bpfEnabled: true, logSeverityScreen: Info"), false, ""},
    /* What is the same, or says nothing. */
    {FELIX("default", "vxlanPort: 4789, vxlanVNI: 4096, ipipMTU: 0, interfacePrefix: cali, ipv4NormalRoutePriority: "
		      "1024, ipv4ElevatedRoutePriority: 512, liveMigrationRouteConvergenceTime: 30s"),
     false, ""},
    {FELIX("default", "vxlanPort: 8472"), false,
     "FelixConfiguration default: spec.vxlanPort is 8472, and kernel.vxlan_port of this node is 4789"},
    {FELIX("default", "vxlanVNI: 1"), false, "spec.vxlanVNI is 1, and kernel.vxlan_vni"},
    {FELIX("default", "ipipMTU: 1480"), false, "spec.ipipMTU is 1480, and kernel.ipip_mtu"},
    {FELIX("default", "vxlanMTU: 1400"), false, "spec.vxlanMTU is 1400, and kernel.vxlan_mtu"},
    {FELIX("default", "vxlanMTUV6: 1400"), false, "spec.vxlanMTUV6 is 1400, and kernel.vxlan_mtu6"},
    {FELIX("default", "ipv4ElevatedRoutePriority: 5"), false, "spec.ipv4ElevatedRoutePriority is 5"},
    {FELIX("default", "ipv6ElevatedRoutePriority: 5"), false, "spec.ipv6ElevatedRoutePriority is 5"},
    {FELIX("default", "liveMigrationRouteConvergenceTime: 1m"), false, "Time is 60, and kernel.migration_time"},
    {FELIX("default", "deviceRouteSourceAddress: 10.0.0.1"), false, "spec.deviceRouteSourceAddress: routes to"},
    {FELIX("default", "deviceRouteSourceAddressIPv6: 'fd00::1'"), false, "spec.deviceRouteSourceAddressIPv6: "},
    /* Felix's own devices and routes. */
    {FELIX("default", "vxlanPort: 8472, ipv4ElevatedRoutePriority: 5, deviceRouteSourceAddress: 10.0.0.1"), true, ""},
    /* What concerns both. */
    {FELIX("default", "interfacePrefix: 'tap,cali'"), true, "spec.interfacePrefix is tap,cali, and "},
    {FELIX("default", "interfacePrefix: 'cali,tap'"), true, ""},
    {FELIX("default", "ipv6NormalRoutePriority: 900"), true,
     "spec.ipv6NormalRoutePriority is 900, and that of the BGPConfiguration 1024"},
    {FELIX("default", "ipv6NormalRoutePriority: 900") BGP("ipv6NormalRoutePriority: 900"), true, ""},
    /* The node's own object counts first, field by field; other nodes' do not count. */
    {FELIX("default", "vxlanPort: 8472") FELIX("node.a", "vxlanPort: 4789"), false, ""},
    {FELIX("node.b", "vxlanPort: 8472"), false, ""},
    {FELIX("default", "vxlanPort: 8472") FELIX("node.a", "vxlanVNI: 4096"), false, "FelixConfiguration default: "},
    /* Who programs the routes of which pools. */
    {FELIX("default", "programClusterRoutes: EnabledIPIPOnly") BGP("programClusterRoutes: EnabledNoEncapOnly"), true,
     ""},
    {FELIX("default", "programClusterRoutes: Enabled") BGP("programClusterRoutes: Disabled"), true, ""},
    {FELIX("default", "programClusterRoutes: Disabled"), true, ""},
    {FELIX("default", "programClusterRoutes: EnabledIPIPOnly"), true, "both program the routes of IP-in-IP pools"},
    {FELIX("default", "programClusterRoutes: EnabledIPIPOnly") BGP("programClusterRoutes: Disabled"), true,
     "nobody programs the routes of pools without encapsulation"},
    {FELIX("default", "programClusterRoutes: Enabled"), false, ""},
    /* BGPConfigurations of nodes, which may say a few things, and of nobody. */
    {BGP_OF("node.a", "listenPort: 1790, logSeverityScreen: Info, communities: [], prefixAdvertisements: [], "
		      "maxPaths: 4"),
     false, ""},
    {BGP_OF("node.a", "asNumber: 65000"), false,
     "BGPConfiguration node.a: spec.asNumber: only the default object may say it"},
    {BGP_OF("node.a", "nodeToNodeMeshEnabled: true"), false, "node.a: spec.nodeToNodeMeshEnabled: only"},
    {BGP_OF("node.a", "serviceClusterIPs: [{cidr: 10.96.0.0/12}]"), false, "node.a: spec.serviceClusterIPs: only"},
    {BGP_OF("node.a", "nodeMeshPassword: {secretKeyRef: {name: n}}"), false,
     "node.a: spec.nodeMeshPassword.secretKeyRef.name: only"},
    {BGP_OF("node.b", "asNumber: 65000"), false, ""},
    {BGP_OF("rack-1", "asNumber: 65000"), false, "BGPConfiguration rack-1: is neither default nor node.NAME"},
    {BGP("asNumber: 65000, nodeToNodeMeshEnabled: false"), false, ""},
};

START_TEST(test_differences)
{
	struct strbuf out = {0};
	struct daemon *d;

	if (cases[_i].beside)
		setenv("CALIDRIS_KERNEL_WORKLOAD_ROUTES", "off", 1);
	d = start();
	put(d, NODE);
	put(d, cases[_i].objects);
	store_synced(d->store);
	turn(d);
	strbuf_puts(&out, "");
	cluster_problems(d->cluster, &out);
	if (*cases[_i].told)
		ck_assert_msg(strstr(out.s, cases[_i].told) && strchr(out.s, '\n') == out.s + out.len - 1, "%s: %s",
			      cases[_i].objects, out.s);
	else
		ck_assert_msg(!out.len, "%s: %s", cases[_i].objects, out.s);
	strbuf_free(&out);
	daemon_free(d);
}
END_TEST

START_TEST(test_what_is_not_written)
{
	struct strbuf out = {0};
	struct daemon *d = start();

	/* Here nothing is programmed anyway. */
	put(d, NODE FELIX("default", "routeSyncDisabled: true"));
	store_synced(d->store);
	turn(d);
	strbuf_puts(&out, "");
	cluster_problems(d->cluster, &out);
	ck_assert_str_eq(out.s, "");
	d->config.programming = true;
	cluster_problems(d->cluster, &out);
	ck_assert_ptr_nonnull(strstr(out.s, "spec.routeSyncDisabled: this daemon does write routes"));
	d->config.programming = false;
	strbuf_free(&out);
	daemon_free(d);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("felix");
	TCase *t = tcase_create("felix");
	SRunner *sr;
	int failures;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_differences, 0, sizeof cases / sizeof *cases);
	tcase_add_test(t, test_what_is_not_written);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
