/* Calico's peering rules, each as a small cluster and the sessions it must give. */
#include "daemon/peers/peering.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/mem.h"
#include "daemon/base/mono.h"

#define NODE(name, v4, more)                                                        \
	"---\napiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {name: " name \
	", labels: {rack: r1}}\nspec:\n  bgp:\n    ipv4Address: " v4 "/24\n" more
#define NODE_RR(name, v4, cluster_id)                                               \
	"---\napiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {name: " name \
	", labels: {route-reflector: 'true'}}\nspec: {bgp: {ipv4Address: " v4       \
	"/24, routeReflectorClusterID: " cluster_id "}}\n"
#define PEER(name, spec) \
	"---\napiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: {name: " name "}\nspec: {" spec "}\n"
#define WORKLOAD(name, node, labels, networks)                                                                      \
	"---\napiVersion: projectcalico.org/v3\nkind: WorkloadEndpoint\nmetadata: {name: " name ", labels: " labels \
	"}\nspec: {node: " node ", interfaceName: cali" name ", ipNetworks: [" networks "]}\n"
#define CONF(name, spec)                                                                                              \
	"---\napiVersion: projectcalico.org/v3\nkind: BGPConfiguration\nmetadata: {name: " name "}\nspec: {" spec "}" \
	"\n"

#define THREE NODE("a", "10.0.0.1", "") NODE("b", "10.0.0.2", "") NODE("c", "10.0.0.10", "")

static const struct {
	const char *what, *objects, *node, *sessions;
} cases[] = {
    /* "10.0.0.10" < "10.0.0.2" as strings: c dials b, as Calico's nodes decide it. */
    {"mesh, lexical passive rule", THREE, "b",
     "Mesh_10_0_0_1 10.0.0.1:179 as 64512 local 64512 10.0.0.2\n"
     "Mesh_10_0_0_10 10.0.0.10:179 as 64512 local 64512 10.0.0.2\n"},
    {"mesh, the lowest dials all", THREE, "a",
     "Mesh_10_0_0_2 10.0.0.2:179 as 64512 local 64512 10.0.0.1 passive\n"
     "Mesh_10_0_0_10 10.0.0.10:179 as 64512 local 64512 10.0.0.1 passive\n"},
    {"mesh off", THREE CONF("default", "nodeToNodeMeshEnabled: false"), "a", ""},
    {"global AS and port, own port of another node",
     THREE CONF("default", "asNumber: 65001, listenPort: 1179") CONF("node.b", "listenPort: 2179"), "a",
     "Mesh_10_0_0_2_port_2179 10.0.0.2:2179 as 65001 local 65001 10.0.0.1 passive\n"
     "Mesh_10_0_0_10_port_1179 10.0.0.10:1179 as 65001 local 65001 10.0.0.1 passive\n"},
    {"the mesh's password is the mesh's alone",
     NODE("a", "10.0.0.1", "") NODE("b", "10.0.0.2", "") CONF("default", "nodeMeshPassword: secret")
	 PEER("x", "node: a, peerIP: 10.9.0.1, asNumber: 64512"),
     "a",
     "Mesh_10_0_0_2 10.0.0.2:179 as 64512 local 64512 10.0.0.1 passive password\n"
     "Node_10_9_0_1 10.9.0.1:179 as 64512 local 64512 10.0.0.1\n"},
    {"a peer without AS gets this node's", NODE("a", "10.0.0.1", "    asNumber: 65010\n") NODE("b", "10.0.0.2", ""),
     "a", "Mesh_10_0_0_2 10.0.0.2:179 as 65010 local 65010 10.0.0.1 passive\n"},
    {"reflectors are no members of the mesh", THREE NODE_RR("r", "10.0.0.9", "1.0.0.1"), "b",
     "Mesh_10_0_0_1 10.0.0.1:179 as 64512 local 64512 10.0.0.2\n"
     "Mesh_10_0_0_10 10.0.0.10:179 as 64512 local 64512 10.0.0.2\n"},
    {"a reflector has no mesh", THREE NODE_RR("r", "10.0.0.9", "1.0.0.1"), "r", ""},
    {"clients of a reflector by peerSelector",
     THREE NODE_RR("r", "10.0.0.9", "1.0.0.1") CONF("default", "nodeToNodeMeshEnabled: false")
	 PEER("rr", "nodeSelector: \"!has(route-reflector)\", peerSelector: has(route-reflector)"),
     "a", "Node_10_0_0_9 10.0.0.9:179 as 64512 local 64512 10.0.0.1\n"},
    {"the reflector's side: reverse sessions, clients",
     THREE NODE_RR("r", "10.0.0.9", "1.0.0.1") CONF("default", "nodeToNodeMeshEnabled: false")
	 PEER("rr", "nodeSelector: \"!has(route-reflector)\", peerSelector: has(route-reflector)"),
     "r",
     "Node_10_0_0_1 10.0.0.1:179 as 64512 local 64512 10.0.0.9 client\n"
     "Node_10_0_0_2 10.0.0.2:179 as 64512 local 64512 10.0.0.9 client\n"
     "Node_10_0_0_10 10.0.0.10:179 as 64512 local 64512 10.0.0.9 client\n"},
    {"reversePeering Manual",
     THREE NODE_RR("r", "10.0.0.9", "1.0.0.1") CONF("default", "nodeToNodeMeshEnabled: false")
	 PEER("rr", "nodeSelector: \"!has(route-reflector)\", peerSelector: has(route-reflector), "
		    "reversePeering: Manual"),
     "r", ""},
    {"two reflectors of one cluster are no clients, of two they are",
     NODE_RR("r", "10.0.0.9", "1.0.0.1") NODE_RR("s", "10.0.0.8", "1.0.0.1") NODE_RR("t", "10.0.0.7", "2.0.0.2")
	 PEER("rr", "nodeSelector: has(route-reflector), peerSelector: has(route-reflector)"),
     "r",
     "Node_10_0_0_7 10.0.0.7:179 as 64512 local 64512 10.0.0.9 client\n"
     "Node_10_0_0_8 10.0.0.8:179 as 64512 local 64512 10.0.0.9\n"},
    {"a global peer with port and timers",
     NODE("a", "10.0.0.1", "")
	 PEER("tor", "peerIP: \"10.0.0.254:1790\", asNumber: 65100, maxRestartTime: 30s, keepaliveTime: 5s"),
     "a", "Global_10_0_0_254_port_1790 10.0.0.254:1790 as 65100 local 64512 10.0.0.1 restart 30 keepalive 5\n"},
    {"a global peer that is a node: lexical rule, its port; the other side's comes from it too",
     NODE("a", "10.0.0.1", "") NODE("b", "10.0.0.2", "") CONF(
	 "default", "nodeToNodeMeshEnabled: false, listenPort: 1179") PEER("x", "peerIP: 10.0.0.2, asNumber: 64512"),
     "a", "Global_10_0_0_2_port_1179 10.0.0.2:1179 as 64512 local 64512 10.0.0.1 passive\n"},
    {"reverse of a peer given by address",
     NODE("a", "10.0.0.1", "") NODE("b", "10.0.0.2", "") CONF("default", "nodeToNodeMeshEnabled: false")
	 PEER("x", "node: a, peerIP: 10.0.0.2, asNumber: 64512"),
     "b", "Node_10_0_0_1 10.0.0.1:179 as 64512 local 64512 10.0.0.2\n"},
    {"several paths: the other side's view of it",
     NODE("a", "10.0.0.1", "") NODE("b", "10.0.0.2", "") CONF("default", "nodeToNodeMeshEnabled: false")
	 PEER("x", "node: a, peerIP: 10.0.0.2, asNumber: 64512, addPath: Receive, addPathLimit: 3"),
     "b", "Node_10_0_0_1 10.0.0.1:179 as 64512 local 64512 10.0.0.2 add-path send\n"},
    {"several paths: to a node by its address, whose other address is known",
     NODE("a", "10.0.0.1", "") NODE("b", "10.0.0.2", "    ipv6Address: fd00::2/64\n")
	 CONF("default", "nodeToNodeMeshEnabled: false") PEER("x", "peerIP: 10.0.0.2, asNumber: 64512, addPath: Both"),
     "a", "Global_10_0_0_2 10.0.0.2:179 as 64512 local 64512 10.0.0.1 passive add-path both and fd00::2\n"},
    {"workloads of this node by their labels, each address; no password, no timers",
     NODE("a", "10.0.0.1", "") WORKLOAD("w1", "a", "{app: router}", "10.244.0.5, 'fd00:244::5'")
	 WORKLOAD("w2", "a", "{app: web}", "10.244.0.6") WORKLOAD("w3", "b", "{app: router}", "10.244.1.5")
	     PEER("x", "localWorkloadSelector: app == 'router', asNumber: 65500, password: secret, "
		       "keepaliveTime: 5s, ttlSecurity: 1, maxRestartTime: 30s"),
     "a",
     "Local_Workload_10_244_0_5 10.244.0.5:179 as 65500 local 64512 none passive\n"
     "Local_Workload_fd00_244__5 [fd00:244::5]:179 as 65500 local 64512 none passive\n"},
    {"workloads only on the nodes that are selected; without an AS none",
     NODE("a", "10.0.0.1", "") WORKLOAD("w1", "a", "{app: router}", "10.244.0.5")
	 PEER("x", "node: b, localWorkloadSelector: all(), asNumber: 65500")
	     PEER("y", "nodeSelector: rack == 'r2', localWorkloadSelector: all(), asNumber: 65501")
		 PEER("z", "localWorkloadSelector: all()"),
     "a", ""},
    {"node and nodeSelector choose",
     NODE("a", "10.0.0.1", "") PEER("x", "node: b, peerIP: 10.9.0.1, asNumber: 65001")
	 PEER("y", "nodeSelector: rack == 'r2', peerIP: 10.9.0.2, asNumber: 65001")
	     PEER("z", "nodeSelector: rack == 'r1', peerIP: 10.9.0.3, asNumber: 65001"),
     "a", "Node_10_9_0_3 10.9.0.3:179 as 65001 local 64512 10.0.0.1\n"},
    {"global comes before node-specific, then names decide",
     NODE("a", "10.0.0.1", "") PEER("a1", "node: a, peerIP: 10.9.0.1, asNumber: 65001")
	 PEER("b2", "peerIP: 10.9.0.1, asNumber: 65002") PEER("b1", "peerIP: 10.9.0.1, asNumber: 65003"),
     "a", "Global_10_9_0_1 10.9.0.1:179 as 65003 local 64512 10.0.0.1\n"},
    {"an explicit peer beats the mesh",
     NODE("a", "10.0.0.1", "") NODE("b", "10.0.0.2", "")
	 PEER("x", "node: a, peerIP: 10.0.0.2, asNumber: 64512, keepaliveTime: 3s"),
     "a", "Node_10_0_0_2 10.0.0.2:179 as 64512 local 64512 10.0.0.1 keepalive 3\n"},
    {"this node's own address is skipped", NODE("a", "10.0.0.1", "") PEER("x", "peerIP: 10.0.0.1, asNumber: 64512"),
     "a", ""},
    {"local AS, no source address, GTSM, passwords",
     NODE("a", "10.0.0.1", "") PEER("x", "peerIP: 10.9.0.1, asNumber: 65001, localASNumber: 65000, "
					 "sourceAddress: None, ttlSecurity: 1, password: secret"),
     "a", "Global_10_9_0_1 10.9.0.1:179 as 65001 local 65000 none ttl 1 password\n"},
    {"both families: the IPv4 session offers both, the IPv6 session is its sibling",
     NODE("a", "10.0.0.1", "    ipv6Address: fd00::1/64\n") NODE("b", "10.0.0.2", "    ipv6Address: fd00::2/64\n"), "a",
     "Mesh_10_0_0_2 10.0.0.2:179 as 64512 local 64512 10.0.0.1 passive both and fd00::2\n"
     "Mesh_fd00__2 [fd00::2]:179 as 64512 local 64512 fd00::1 passive and 10.0.0.2 sibling 10.0.0.2\n"},
    {"ranges: of any AS and of one, on the node they select, with their options",
     NODE("a", "10.0.0.1", "    ipv6Address: fd00::1/64\n") PEER("any", "peerRange: 10.9.0.0/16")
	 PEER("six", "peerRange: \"fd00:9::/32\", asNumber: 65001, peerLimit: 7, "
		     "ttlSecurity: 1, password: secret") PEER("elsewhere", "node: b, peerRange: 10.8.0.0/16"),
     "a",
     "BGPPeer any, range 10.9.0.0/16: at most 100 of 10.9.0.0/16, as Dynamic_10_9_0_1 10.9.0.1:179 as 0 local 64512 "
     "none "
     "passive both\n"
     "BGPPeer six, range fd00:9::/32: at most 7 of fd00:9::/32, as Dynamic_fd00_9__1 [fd00:9::1]:179 as 65001 local "
     "64512 none passive ttl 1 password\n"},
    {"a reflector's range: clients by its cluster id, unless the BGPPeer says otherwise or the AS is another",
     NODE_RR("r", "10.0.0.9", "1.0.0.1") PEER("a", "peerRange: 10.1.0.0/16")
	 PEER("b", "peerRange: 10.2.0.0/16, routeReflectorClient: false")
	     PEER("c", "peerRange: 10.3.0.0/16, asNumber: 65001"),
     "r",
     "BGPPeer a, range 10.1.0.0/16: at most 100 of 10.1.0.0/16, as Dynamic_10_1_0_1 10.1.0.1:179 as 0 local 64512 none "
     "passive client\n"
     "BGPPeer b, range 10.2.0.0/16: at most 100 of 10.2.0.0/16, as Dynamic_10_2_0_1 10.2.0.1:179 as 0 local 64512 none "
     "passive\n"
     "BGPPeer c, range 10.3.0.0/16: at most 100 of 10.3.0.0/16, as Dynamic_10_3_0_1 10.3.0.1:179 as 65001 local 64512 "
     "none passive\n"},
    {"a range is no reverse peer of a node without an IPv6 address",
     NODE("a", "10.0.0.1", "") NODE("b", "10.0.0.2", "") CONF("default", "nodeToNodeMeshEnabled: false")
	 PEER("x", "node: b, peerRange: 10.9.0.0/16, asNumber: 64512"),
     "a", ""},
    {"of two equal ranges the first by name",
     NODE("a", "10.0.0.1", "") PEER("two", "peerRange: 10.1.0.0/16, asNumber: 2")
	 PEER("one", "peerRange: 10.1.2.3/16, asNumber: 1"),
     "a",
     "BGPPeer one, range 10.1.0.0/16: at most 100 of 10.1.0.0/16, as Dynamic_10_1_0_1 10.1.0.1:179 as 1 local 64512 "
     "none "
     "passive\n"},
    {"on a link: by address and interface, by interface alone; the same address on two links is two peers",
     NODE("a", "10.0.0.1", "") PEER("x", "peerIP: \"fe80::1\", interface: eth1, asNumber: 65001")
	 PEER("y", "node: a, peerIP: \"fe80::1\", interface: eth2.5, asNumber: 65002") PEER("z", "interface: eth3")
	     PEER("w", "interface: eth3, asNumber: 65003")
		 PEER("v", "node: a, peerIP: \"[fe80::1]:1179\", interface: eth1, asNumber: 65001"),
     "a",
     "Global_eth3 none:179 as 65003 local 64512 none both on eth3\n"
     "Global_fe80__1_eth1 [fe80::1]:179 as 65001 local 64512 none both on eth1\n"
     "Node_fe80__1_eth1_port_1179 [fe80::1]:1179 as 65001 local 64512 none both on eth1\n"
     "Node_fe80__1_eth2_5 [fe80::1]:179 as 65002 local 64512 none both on eth2.5\n"},
    {"in a VRF the same address is another peer, even if a node has it, or this one; the source is the kernel's choice",
     NODE("a", "10.0.0.1", "") NODE("b", "10.0.0.2", "") PEER("x", "peerIP: 10.0.0.2, asNumber: 65001, vrf: red")
	 PEER("y", "peerIP: 10.0.0.2, asNumber: 65001, vrf: blue, kernelTable: 7")
	     PEER("z", "peerIP: 10.0.0.1, asNumber: 65001, vrf: red")
		 PEER("v", "node: a, peerIP: 10.0.0.2, asNumber: 65001, vrf: red")
		     PEER("w", "node: b, peerIP: 10.0.0.1, asNumber: 64512, vrf: red"),
     "a",
     "Global_10_0_0_1_vrf_red 10.0.0.1:179 as 65001 local 64512 none vrf red\n"
     "Mesh_10_0_0_2 10.0.0.2:179 as 64512 local 64512 10.0.0.1 passive\n"
     "Global_10_0_0_2_vrf_blue 10.0.0.2:179 as 65001 local 64512 none vrf blue table 7\n"
     "Global_10_0_0_2_vrf_red 10.0.0.2:179 as 65001 local 64512 none vrf red\n"},
    {"a table of the kernel is no part of who the peer is: the first BGPPeer says it; the other side has it not",
     NODE("a", "10.0.0.1", "") NODE("b", "10.0.0.2", "") CONF("default", "nodeToNodeMeshEnabled: false")
	 PEER("x", "peerIP: 10.9.0.1, asNumber: 65001, kernelTable: 300")
	     PEER("y", "node: a, peerIP: 10.9.0.1, asNumber: 65001, kernelTable: 301")
		 PEER("z", "node: b, peerSelector: \"rack == 'r1'\", kernelTable: 302"),
     "a",
     "Node_10_0_0_2 10.0.0.2:179 as 64512 local 64512 10.0.0.1\n"
     "Global_10_9_0_1 10.9.0.1:179 as 65001 local 64512 10.0.0.1 table 300\n"},
    {"BFD: what a BGPPeer says, the configuration's for the rest, nothing for the mesh",
     NODE("a", "10.0.0.1", "") NODE("b", "10.0.0.2", "") PEER("x",
							      "peerIP: 10.9.0.1, asNumber: 65001, bfd: {enabled: true}")
	 PEER("y", "peerIP: 10.9.0.2, asNumber: 65001, bfd: {enabled: true, transmitInterval: 50, receiveInterval: 60, "
		   "detectMultiplier: 5, minimumTtl: 254, passiveMode: true}")
	     PEER("z", "peerIP: 10.9.0.3, asNumber: 65001, bfd: {transmitInterval: 50}"),
     "a",
     "Mesh_10_0_0_2 10.0.0.2:179 as 64512 local 64512 10.0.0.1 passive\n"
     "Global_10_9_0_1 10.9.0.1:179 as 65001 local 64512 10.0.0.1 bfd 300/300x3\n"
     "Global_10_9_0_2 10.9.0.2:179 as 65001 local 64512 10.0.0.1 bfd 50/60x5 passive ttl 254\n"
     "Global_10_9_0_3 10.9.0.3:179 as 65001 local 64512 10.0.0.1\n"},
    {"BFD: the reverse session is not passive too, or nobody would begin",
     NODE("a", "10.0.0.1", "") NODE("b", "10.0.0.2", "") CONF("default", "nodeToNodeMeshEnabled: false")
	 PEER("x", "node: a, peerIP: 10.0.0.2, asNumber: 64512, bfd: {enabled: true, detectMultiplier: 4, "
		   "passiveMode: true}"),
     "b", "Node_10_0_0_1 10.0.0.1:179 as 64512 local 64512 10.0.0.2 bfd 300/300x4\n"},
    {"filters in order, and a gateway, on the sessions of the BGPPeer and on none of the mesh; reverse ones have the "
     "filters",
     NODE("a", "10.0.0.1", "") NODE("b", "10.0.0.2", "") NODE("c", "10.0.0.3", "")
	 PEER("x", "node: b, peerIP: 10.0.0.1, asNumber: 64512, filters: [f, g]")
	     PEER("y", "peerIP: 10.9.0.1, asNumber: 65001, filters: [g], reachableBy: 10.0.0.254"),
     "a",
     "Node_10_0_0_2 10.0.0.2:179 as 64512 local 64512 10.0.0.1 filters f\ng\n"
     "Mesh_10_0_0_3 10.0.0.3:179 as 64512 local 64512 10.0.0.1 passive\n"
     "Global_10_9_0_1 10.9.0.1:179 as 65001 local 64512 10.0.0.1 by 10.0.0.254 filters g\n"},
    {"no Node object of this name", THREE, "nobody", ""},
};

struct loaded {
	char dir[40], file[60];
	struct loop *loop;
	struct store *store;
	bool synced;
};

static void on_change(void *arg, const struct object *before, const struct object *after)
{
	(void)arg;
	(void)before;
	(void)after;
}

static void on_sync(void *arg)
{
	((struct loaded *)arg)->synced = true;
}

static void load(struct loaded *l, const char *yaml)
{
	static const struct store_ops ops = {.on_change = on_change, .on_sync = on_sync};
	uint64_t deadline = mono_now() + 5 * MONO_SEC;
	FILE *f;

	*l = (struct loaded){.dir = "/tmp/peering-XXXXXX"};
	ck_assert_ptr_nonnull(mkdtemp(l->dir));
	snprintf(l->file, sizeof l->file, "%s/objects.yaml", l->dir);
	f = fopen(l->file, "w");
	fputs(yaml, f);
	fclose(f);
	l->loop = loop_new();
	l->store = store_new(l->loop, &ops, l);
	store_start_file(l->store, l->dir);
	while (!l->synced && mono_now() < deadline)
		loop_turn(l->loop, false);
	ck_assert(l->synced);
	for (unsigned i = 0; store_refusal(l->store, i); i++)
		ck_abort_msg("%s: %s %s", store_refusal(l->store, i)->object, store_refusal(l->store, i)->field,
			     store_refusal(l->store, i)->reason);
}

static void unload(struct loaded *l)
{
	store_free(l->store);
	loop_free(l->loop);
	unlink(l->file);
	rmdir(l->dir);
}

static void describe(struct strbuf *out, const struct peer_want *w)
{
	static const char *const add_paths[] = {
	    [ADD_PATH_AUTO] = "",
	    [ADD_PATH_OFF] = " add-path off",
	    [ADD_PATH_RECEIVE] = " add-path receive",
	    [ADD_PATH_SEND] = " add-path send",
	    [ADD_PATH_BOTH] = " add-path both",
	};
	char r[ADDR_STRLEN], l[ADDR_STRLEN], s[ADDR_STRLEN];
	bool v6 = w->remote.af == AF_INET6;

	strbuf_printf(out, "%s %s%s%s:%u as %u local %u %s", w->name, v6 ? "[" : "", addr_format(&w->remote, r),
		      v6 ? "]" : "", w->remote_port, w->remote_as, w->local_as, addr_format(&w->local, l));
	strbuf_puts(out, w->passive ? " passive" : "");
	strbuf_puts(out, w->rr_client ? " client" : "");
	if (w->restart_time != 120)
		strbuf_printf(out, " restart %u", w->restart_time);
	if (w->keepalive_time)
		strbuf_printf(out, " keepalive %u", w->keepalive_time);
	if (w->ttl_security)
		strbuf_printf(out, " ttl %u", w->ttl_security);
	strbuf_puts(out, w->password ? " password" : "");
	strbuf_puts(out, w->families == 3 ? " both" : "");
	strbuf_puts(out, add_paths[w->opt.add_path]);
	if (!addr_is_none(&w->other))
		strbuf_printf(out, " and %s", addr_format(&w->other, s));
	if (!addr_is_none(&w->reachable_by))
		strbuf_printf(out, " by %s", addr_format(&w->reachable_by, s));
	if (w->filters)
		strbuf_printf(out, " filters %s", w->filters);
	if (w->interface)
		strbuf_printf(out, " on %s", w->interface);
	if (w->opt.vrf[0])
		strbuf_printf(out, " vrf %s", w->opt.vrf);
	if (w->opt.kernel_table)
		strbuf_printf(out, " table %u", w->opt.kernel_table);
	if (!addr_is_none(&w->sibling))
		strbuf_printf(out, " sibling %s", addr_format(&w->sibling, s));
	if (w->bfd.enabled)
		strbuf_printf(out, " bfd %u/%ux%u%s", w->bfd.transmit_interval, w->bfd.receive_interval,
			      w->bfd.multiplier, w->bfd.passive ? " passive" : "");
	if (w->bfd.min_ttl)
		strbuf_printf(out, " ttl %u", w->bfd.min_ttl);
	strbuf_putc(out, '\n');
}

static void describe_range(struct strbuf *out, const struct peer_want *w)
{
	char text[PREFIX_STRLEN];
	struct addr first = addr_add(&w->opt.range.addr, 1);
	struct peer_want peer = peer_want_of_range(w, &first, NULL);

	strbuf_printf(out, "%s: at most %u of %s, as ", w->name, w->opt.range_limit,
		      prefix_format(&w->opt.range, text));
	describe(out, &peer);
	peer_want_free(&peer);
}

static struct config config_for(const char *node)
{
	struct config c;
	struct strbuf err = {0};

	setenv("NODENAME", node, 1);
	ck_assert_msg(config_load(&c, NULL, false, &err), "%s", err.s);
	strbuf_free(&err);
	return c;
}

/* All that is wanted, by a computation from nothing. */
static struct peering_diff compute(struct peering *p, const struct self *self)
{
	peering_apply(p, self);
	return peering_settle(p);
}

/* The sessions and ranges, a line each. */
static char *sessions_of(const struct loaded *l, const struct config *c, const struct self *self)
{
	struct peering *p = peering_new(l->store, c);
	struct peering_diff d = compute(p, self);
	struct strbuf out = {0};

	strbuf_puts(&out, "");
	for (unsigned i = 0; i < d.count; i++)
		describe(&out, &d.change[i].want);
	for (unsigned i = 0; i < d.range_count; i++)
		describe_range(&out, &d.range[i]);
	ck_assert_uint_eq(peering_count(p), d.count + d.range_count);
	peering_diff_free(&d);
	peering_free(p);
	return out.s;
}

START_TEST(test_case)
{
	struct loaded l;
	struct config c = config_for(cases[_i].node);
	struct self self;
	char *got;

	load(&l, cases[_i].objects);
	self = self_from(l.store, &c, NULL);
	got = sessions_of(&l, &c, &self);
	ck_assert_msg(strcmp(got, cases[_i].sessions) == 0, "%s:\ngot\n%swanted\n%s", cases[_i].what, got,
		      cases[_i].sessions);
	free(got);
	config_free(&c);
	unload(&l);
}
END_TEST

START_TEST(test_losers_are_told)
{
	struct loaded l;
	struct config c = config_for("a");
	struct strbuf notes = {0};
	struct peering_diff d;
	struct peering *p;
	struct self self;

	load(&l, NODE("a", "10.0.0.1", "") PEER("one", "peerIP: 10.9.0.1, asNumber: 65001") PEER(
		     "two", "peerIP: 10.9.0.1, asNumber: 65002") PEER("six", "peerIP: \"fd00::9\", asNumber: 65002"));
	self = self_from(l.store, &c, NULL);
	p = peering_new(l.store, &c);
	d = compute(p, &self);
	peering_notes(p, &notes);
	ck_assert_str_eq(notes.s, "BGPPeer six: this node has no ipv6 address to speak to fd00::9 from\n"
				  "BGPPeer two: no session of its own with 10.9.0.1, BGPPeer one has it\n");
	strbuf_free(&notes);
	peering_diff_free(&d);
	peering_free(p);
	config_free(&c);
	unload(&l);
}
END_TEST

/* calico.md 12: CALICO_ROUTER_ID=hash for kube-master gives 25.79.212.8. */
START_TEST(test_bfd_mesh)
{
	struct loaded l;
	struct self self;
	struct config c;
	char *got;

	setenv("CALIDRIS_BFD_MESH", "on", 1);
	setenv("CALIDRIS_BFD_TRANSMIT_INTERVAL", "100", 1);
	setenv("CALIDRIS_BFD_RECEIVE_INTERVAL", "200", 1);
	setenv("CALIDRIS_BFD_DETECT_MULTIPLIER", "2", 1);
	c = config_for("a");
	load(&l, NODE("a", "10.0.0.1", "") NODE("b", "10.0.0.2", "") PEER("x", "peerIP: 10.9.0.1, asNumber: 65001")
		     PEER("y", "peerIP: 10.9.0.2, asNumber: 65001, bfd: {enabled: true, detectMultiplier: 5}"));
	self = self_from(l.store, &c, NULL);
	got = sessions_of(&l, &c, &self);
	ck_assert_str_eq(got, "Mesh_10_0_0_2 10.0.0.2:179 as 64512 local 64512 10.0.0.1 passive bfd 100/200x2\n"
			      "Global_10_9_0_1 10.9.0.1:179 as 65001 local 64512 10.0.0.1\n"
			      "Global_10_9_0_2 10.9.0.2:179 as 65001 local 64512 10.0.0.1 bfd 100/200x5\n");
	free(got);
	config_free(&c);
	unload(&l);
}
END_TEST

START_TEST(test_router_id)
{
	struct loaded l;
	struct config c = config_for("kube-master");
	struct self self;

	load(&l, NODE("kube-master", "10.0.0.1", ""));
	self = self_from(l.store, &c, NULL);
	ck_assert_uint_eq(self.router_id, 0x0a000001);
	free(c.router_id);
	c.router_id = mem_strdup("hash");
	self = self_from(l.store, &c, NULL);
	ck_assert_uint_eq(self.router_id, 25u << 24 | 79u << 16 | 212u << 8 | 8u);
	free(c.router_id);
	c.router_id = mem_strdup("1.2.3.4");
	self = self_from(l.store, &c, NULL);
	ck_assert_uint_eq(self.router_id, 0x01020304);
	config_free(&c);
	unload(&l);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("peering");
	TCase *t = tcase_create("peering");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_loop_test(t, test_case, 0, sizeof cases / sizeof *cases);
	tcase_add_test(t, test_losers_are_told);
	tcase_add_test(t, test_bfd_mesh);
	tcase_add_test(t, test_router_id);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
