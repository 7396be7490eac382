/* The show commands and explain: over a RIB that peers have sent real UPDATEs to, and over a whole daemon with a
 * datastore in files (it only reads the kernel, and its peers cannot be reached). */
#include <check.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/cluster/cluster.h"
#include "daemon/cluster/node_status.h"
#include "daemon/control/command.h"
#include "daemon/daemon.h"
#include "daemon/peers/speaker.h"
#include "tests/unit/rib/rig.h"

/* ---- Asking ---- */

/* The command's answer, or "error: MESSAGE". */
static char *ask(struct daemon *d, const char *line)
{
	struct request r = {.d = d};
	struct strbuf out = {0};
	char *copy = mem_strdup(line);

	strbuf_puts(&out, "");
	ck_assert_msg(request_parse(&r, copy), "%s: %s", line, r.error);
	out_begin(&r.out, &out, r.json);
	if (r.command->ops->start(&r)) {
		while (r.command->ops->more && r.command->ops->more(&r))
			;
		out_finish(&r.out);
	} else {
		out_finish(&r.out);
		strbuf_reset(&out);
		strbuf_printf(&out, "error: %s", r.error);
	}
	request_free(&r);
	free(copy);
	return out.s;
}

static void expect(struct daemon *d, const char *line, const char *want)
{
	char *have = ask(d, line);

	ck_assert_msg(strcmp(have, want) == 0, "%s answers\n%s\nnot\n%s", line, have, want);
	free(have);
}

/* The answer holds all of these, in this order. */
static void expect_parts(struct daemon *d, const char *line, const char *const *parts)
{
	char *have = ask(d, line), *at = have;

	for (; *parts; parts++) {
		char *found = strstr(at, *parts);
		ck_assert_msg(found != NULL, "%s: no \"%s\" in its place in\n%s", line, *parts, have);
		at = found + strlen(*parts);
	}
	free(have);
}
#define EXPECT_PARTS(d, line, ...) expect_parts(d, line, (const char *const[]){__VA_ARGS__, NULL})

/* ---- Routes ---- */

static struct daemon routes_daemon(void)
{
	mono_fake(1000 * MONO_SEC);
	rig_begin_with((struct rib_conf){.max_paths = 2, .deterministic_med = true});
	return (struct daemon){.loop = rig.loop, .rib = rig.rib};
}

START_TEST(routes_and_why_they_lost)
{
	struct daemon d = routes_daemon();
	struct rib_peer *p1 = peer_add(1, false), *p2 = peer_add(2, true), *p3 = peer_add(3, false);
	struct prefix own = prefix_of("10.1.0.0/26");

	rib_local_set(rig.rib, &own, SOURCE_BLOCK, 1024);
	announce(p1, "10.2.0.0/26",
		 (struct spec){.local_pref = 300, .path = {65010, 65011}, .communities = {0xfde80064}});
	announce(p3, "10.2.0.0/26", (struct spec){.local_pref = 300, .path = {65020, 65021}});
	announce(p2, "10.2.0.0/26", (struct spec){.path = {65002}});
	announce(p2, "10.3.0.0/26", (struct spec){.path = {65002, OUR_AS}});
	rig_settle();
	mono_fake(1061 * MONO_SEC);
	expect(&d, "show routes",
	       "PREFIX\tNEXT-HOP\tFROM\tLOCAL-PREF\tSTATE\tAGE\tAS-PATH\n"
	       "10.1.0.0/26\t-\tlocal\t2147482623\tbest\t1m01s\t-\n"
	       "10.2.0.0/26\t10.0.0.1\tpeer1\t300\tbest\t1m01s\t65010 65011\n"
	       "10.2.0.0/26\t10.0.0.3\tpeer3\t300\tmultipath\t1m01s\t65020 65021\n");
	expect(&d, "show routes 10.2.0.5 all",
	       "PREFIX\tNEXT-HOP\tFROM\tSOURCE\tLOCAL-PREF\tSTATE\tAGE\tAS-PATH\n"
	       "10.2.0.0/26\t10.0.0.1\tpeer1\tbgp\t300\tbest\t1m01s\t65010 65011\n"
	       "10.2.0.0/26\t10.0.0.3\tpeer3\tbgp\t300\tmultipath\t1m01s\t65020 65021\n"
	       "10.2.0.0/26\t10.0.0.2\tpeer2\tbgp\t100\tlost: LOCAL_PREF\t1m01s\t65002\n");
	EXPECT_PARTS(&d, "show routes 10.3.0.0/26 all",
		     "10.3.0.0/26\t10.0.0.2\tpeer2\tbgp\t100\trejected: ", "AS_PATH contains our own AS",
		     "65002 64512\n");
	expect(&d, "show routes 10.3.0.0/26", "no route is selected; \"all\" shows why\n");
	EXPECT_PARTS(&d, "json show routes 10.2.0.5 all", "\"prefix\": \"10.2.0.0/26\"", "\"local_pref\": 300",
		     "\"best\": true", "\"age\": 61.000", "\"communities\": \"65000:100\"",
		     "\"as_path\": \"65010 65011\"", "\"multipath\": true", "\"state\": \"lost: LOCAL_PREF\"");
	mono_fake(0);
	rig_end();
}
END_TEST

START_TEST(stale_and_unreachable_routes)
{
	struct daemon d = routes_daemon();
	struct rib_peer *p1 = peer_add(1, false);

	announce(p1, "10.2.0.0/26", (struct spec){.local_pref = 300});
	rig_settle();
	rib_peer_down(p1, BOTH);
	rig_settle();
	EXPECT_PARTS(&d, "show routes", "peer1\t300\tbest, stale\t");
	rig.unreachable = true;
	p1 = peer_add(2, false);
	announce(p1, "10.4.0.0/26", (struct spec){.local_pref = 300, .next_hop = "10.9.9.9"});
	rig_settle();
	EXPECT_PARTS(&d, "json show routes 10.4.0.0/26 all", "\"next_hop_reachable\": false");
	mono_fake(0);
	rig_end();
}
END_TEST

/* ---- A whole daemon ---- */

static char dir[64], objects[100], socket_path[100];

static const char cluster_yaml[] =
    "apiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {name: n1}\n"
    "spec: {bgp: {ipv4Address: 192.0.2.1/24, ipv6Address: '2001:db8::1/64', asNumber: 64999}}\n"
    "---\n"
    "apiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {name: n2}\nspec: {bgp: {ipv4Address: 192.0.2.2/24}}\n"
    "---\n"
    "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: pods}\nspec: {cidr: 10.77.0.0/16, ipipMode: "
    "Never}\n"
    "---\n"
    "apiVersion: projectcalico.org/v3\nkind: BlockAffinity\nmetadata: {name: n1-block}\n"
    "spec: {cidr: 10.77.1.0/26, node: n1, state: confirmed, deleted: 'false'}\n"
    "---\n"
    "apiVersion: projectcalico.org/v3\nkind: WorkloadEndpoint\nmetadata: {name: n1-k8s-web-eth0, namespace: shop}\n"
    "spec: {node: n1, orchestrator: k8s, endpoint: eth0, pod: web, interfaceName: calitest0001, ipNetworks: "
    "[10.77.1.5/32]}\n"
    "---\n"
    "apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: {name: broken}\nspec: {peerIP: nonsense}\n";

static void write_objects(const char *name, const char *text)
{
	char *file = mem_printf("%s/%s", objects, name);
	FILE *f = fopen(file, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
	free(file);
}

static struct daemon *start_daemon(void)
{
	struct strbuf err = {0};
	struct config c;
	struct daemon *d;

	strcpy(dir, "/tmp/calidris-show-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(objects, sizeof objects, "%s/objects", dir);
	snprintf(socket_path, sizeof socket_path, "%s/c.sock", dir);
	ck_assert_int_eq(mkdir(objects, 0755), 0);
	write_objects("cluster.yaml", cluster_yaml);
	log_setup(LOG_LVL_ERROR, false);
	setenv("NODENAME", "n1", 1);
	setenv("CALIDRIS_KERNEL_PROGRAMMING", "off", 1);
	setenv("CALIDRIS_CONTROL_SOCKET", socket_path, 1);
	setenv("CALIDRIS_DATASTORE_DIRECTORY", objects, 1);
	setenv("CALIDRIS_BGP_LISTEN_PORT", "17917", 1);
	ck_assert_msg(config_load(&c, NULL, false, &err), "%s", err.s);
	d = daemon_new(&c, &(struct daemon_options){0}, &err);
	ck_assert_msg(d != NULL, "%s", err.s);
	strbuf_free(&err);
	store_start_file(d->store, objects);
	for (unsigned i = 0; i < 500 && (!store_status(d->store).in_sync || speaker_count(d->speaker) == 0); i++)
		loop_turn(d->loop, false);
	ck_assert(store_status(d->store).in_sync);
	for (unsigned i = 0; i < 50; i++)
		loop_turn(d->loop, false);
	return d;
}

static void stop_daemon(struct daemon *d)
{
	char *file = mem_printf("%s/cluster.yaml", objects);

	daemon_free(d);
	unlink(file);
	free(file);
	ck_assert_int_eq(rmdir(objects), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}

START_TEST(status)
{
	struct daemon *d = start_daemon();

	EXPECT_PARTS(d, "show status", "Version\t" CALIDRIS_VERSION "\n", "Node\tn1\n", "IPv4 address\t192.0.2.1\n",
		     "IPv6 address\t2001:db8::1\n", "AS\t64999\n", "Router id\t192.0.2.1\n", "Datastore\tfile ",
		     ", in sync", "Objects\t5, 5 changes, 1 refused\n", "Restart\tin progress: waits for 1 peers, ",
		     "Peers\t0 of 1 up\n", "IPv4\t2 prefixes, 2 routes", "IPv6\t0 prefixes, 0 routes", "Kernel\t",
		     "\nProblems\n", "cluster.yaml:", "BGPPeer broken: spec.peerIP: ", "; the object is not in force\n",
		     "peer Mesh_192_0_2_2_port_17917 (192.0.2.2) is not up: ");
	EXPECT_PARTS(d, "json show status", "\"node\": \"n1\"", "\"as\": 64999", "\"datastore\": {",
		     "\"in_sync\": true", "\"refused\": 1", "\"restart\": {", "\"in_progress\": true", "\"peers\": {",
		     "\"up\": 0", "\"total\": 1", "\"ipv4\": {", "\"prefixes\": 2", "\"kernel\": {",
		     "\"problems\": [\n", "\"");
	EXPECT_PARTS(d, "show problems", "BGPPeer broken", "Mesh_192_0_2_2");
	EXPECT_PARTS(d, "show memory", "WHAT\tKIB\tCOUNT\tOF\nprocess, resident\t", "RIB\t", "kernel routes\t",
		     "kernel routes of others\t", "datastore\t-\t5\tobjects\n");
	EXPECT_PARTS(d, "show loop", "Turns\t", "\nLongest\t", "\nBELOW\tTURNS\tOF ALL\n", "\t100%\n");
	EXPECT_PARTS(d, "json show loop", "\"loop\": {", "\"worst_turn\": ", "\"histogram\": [\n",
		     "\"below_us\": ", "\"turns_below\": ");
	stop_daemon(d);
}
END_TEST

/* Many problems do not push everything else off the screen. */
START_TEST(status_with_many_problems)
{
	struct daemon *d = start_daemon();
	struct strbuf text = {0};
	char *have, *file = mem_printf("%s/bad.yaml", objects);

	for (unsigned i = 0; i < 40; i++)
		strbuf_printf(&text,
			      "---\nkind: BGPPeer\napiVersion: projectcalico.org/v3\nmetadata: {name: bad%u}\n"
			      "spec: {peerIP: x}\n",
			      i);
	write_objects("bad.yaml", text.s);
	for (unsigned i = 0; i < 2000 && store_status(d->store).refused < 41; i++) {
		loop_turn(d->loop, false);
		usleep(1000);
	}
	ck_assert_uint_eq(store_status(d->store).refused, 41);
	have = ask(d, "show status");
	ck_assert_msg(strstr(have, " more: calidris show problems\n") != NULL, "%s", have);
	free(have);
	EXPECT_PARTS(d, "show problems", "bad0:", "bad39:");
	EXPECT_PARTS(d, "json show status", "bad0:", "bad39:");
	unlink(file);
	free(file);
	strbuf_free(&text);
	stop_daemon(d);
}
END_TEST

/* Turns until the daemon has so many sessions and pools. */
static void turn_until(struct daemon *d, unsigned sessions, unsigned pools)
{
	for (unsigned i = 0;
	     i < 2000 && (speaker_count(d->speaker) != sessions || store_count(d->store, OBJ_IP_POOL) != pools); i++) {
		loop_turn(d->loop, false);
		usleep(1000);
	}
	ck_assert_uint_eq(speaker_count(d->speaker), sessions);
	ck_assert_uint_eq(store_count(d->store, OBJ_IP_POOL), pools);
	for (unsigned i = 0; i < 20; i++)
		loop_turn(d->loop, false);
}

static const struct policy *export_in_force(struct daemon *d)
{
	return rib_peer_config(speaker_peer(d->speaker, 0)->rib)->export;
}

/* Nodes come and go all the time in a large cluster: the policy in force is another object only if it says something
 * else. */
START_TEST(policy_stays)
{
	struct daemon *d = start_daemon();
	const struct policy *before = export_in_force(d);
	char *file = mem_printf("%s/more.yaml", objects);

	write_objects("more.yaml", "apiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {name: n3}\n"
				   "spec: {bgp: {ipv4Address: 192.0.2.3/24}}\n");
	turn_until(d, 2, 1);
	ck_assert_ptr_eq(export_in_force(d), before);
	write_objects("more.yaml", "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: more}\n"
				   "spec: {cidr: 10.78.0.0/16}\n");
	turn_until(d, 1, 2);
	ck_assert_ptr_ne(export_in_force(d), before);
	unlink(file);
	free(file);
	stop_daemon(d);
}
END_TEST

START_TEST(peers)
{
	struct daemon *d = start_daemon();

	EXPECT_PARTS(
	    d, "show peers",
	    "NAME\tADDRESS\tAS\tSTATE\tSINCE\tRECEIVED\tSENT\tINFO\nMesh_192_0_2_2_port_17917\t192.0.2.2\t64999\t",
	    "\t0\t0\t");
	EXPECT_PARTS(d, "show peers 192.0.2.2",
		     "Name\tMesh_192_0_2_2_port_17917\nOrigin\tmesh with n2\nKind\tnode-to-node mesh\n",
		     "\nTimers\n  Hold time proposed, s\t90\n", "\nRoutes\n  FAMILY\tRECEIVED\t",
		     "\nMessages\n  TYPE\t", "  KEEPALIVE\t0\t0\n");
	EXPECT_PARTS(d, "json show peers Mesh_192_0_2_2_port_17917", "\"peer\": {",
		     "\"name\": \"Mesh_192_0_2_2_port_17917\"", "\"timers\": {", "\"hold_time_proposed\": 90",
		     "\"routes\": [", "{\"family\": \"ipv4\", \"received\": 0", "\"messages\": [");
	expect(d, "show peers nobody", "error: there is no peer \"nobody\"; show peers lists them");
	stop_daemon(d);
}
END_TEST

START_TEST(objects_in_force)
{
	struct daemon *d = start_daemon();

	expect(d, "show objects",
	       "KIND\tNAME\tSOURCE\tSAYS\n"
	       "Node\tn1\tcluster.yaml:1\t192.0.2.1, 2001:db8::1, AS 64999\n"
	       "Node\tn2\tcluster.yaml:6\t192.0.2.2\n"
	       "IPPool\tpods\tcluster.yaml:11\t10.77.0.0/16\n"
	       "WorkloadEndpoint\tshop/n1-k8s-web-eth0\tcluster.yaml:21\t10.77.1.5/32, on n1, dev calitest0001\n"
	       "BlockAffinity\tn1-block\tcluster.yaml:16\t10.77.1.0/26, n1\n");
	expect(d, "show objects ippools", "KIND\tNAME\tSOURCE\tSAYS\nIPPool\tpods\tcluster.yaml:11\t10.77.0.0/16\n");
	expect(d, "show objects bgppeer", "no objects\n");
	expect(d, "show objects pods",
	       "error: there are no objects of kind \"pods\"; kinds are Node, IPPool, BGPConfiguration, BGPPeer, "
	       "BGPFilter, "
	       "WorkloadEndpoint, BlockAffinity, IPAMBlock, Service, EndpointSlice, FelixConfiguration");
	EXPECT_PARTS(d, "json show objects Node",
		     "{\"kind\": \"Node\", \"name\": \"n1\", \"source\": \"/tmp/calidris-show-",
		     "/objects/cluster.yaml:1\", \"summary\": \"192.0.2.1, ");
	stop_daemon(d);
}
END_TEST

/* Each kind has something to say; a Pod's interface is the one that its routes lead over. */
START_TEST(objects_of_every_kind)
{
	struct daemon *d;

	setenv("CALIDRIS_KERNEL_INTERFACE_PREFIX", "tap", 1);
	d = start_daemon();
	write_objects("cluster.yaml",
		      "apiVersion: projectcalico.org/v3\nkind: BGPFilter\nmetadata: {name: f}\n"
		      "spec: {importV4: [{action: Accept}, {action: Reject}], exportV6: [{action: Reject}]}\n"
		      "---\napiVersion: projectcalico.org/v3\nkind: BGPConfiguration\nmetadata: {name: default}\n"
		      "spec: {asNumber: 64600}\n"
		      "---\napiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: {name: p}\n"
		      "spec: {peerIP: 192.0.2.9, asNumber: 65001}\n"
		      "---\napiVersion: v1\nkind: Pod\nmetadata: {name: web-0, namespace: default}\n"
		      "spec: {nodeName: n1}\nstatus: {podIPs: [{ip: 10.77.1.7}]}\n"
		      "---\napiVersion: crd.projectcalico.org/v1\nkind: IPAMBlock\nmetadata: {name: b}\n"
		      "spec: {cidr: 10.77.1.0/26, affinity: 'host:n1', allocations: [], attributes: []}\n"
		      "---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {clusterIP: 10.96.0.1}\n"
		      "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: e}\n"
		      "addressType: IPv4\nendpoints: []\n"
		      "---\napiVersion: projectcalico.org/v3\nkind: FelixConfiguration\nmetadata: {name: default}\n"
		      "spec: {vxlanPort: 8472, bpfEnabled: false}\n");
	for (unsigned i = 0; i < 2000 && store_count(d->store, OBJ_BGP_FILTER) == 0; i++) {
		loop_turn(d->loop, false);
		usleep(1000);
	}
	EXPECT_PARTS(d, "show objects", "BGPConfiguration\tdefault\t", "AS 64600\n", "BGPPeer\tp\t",
		     "to 192.0.2.9, AS 65001\n", "BGPFilter\tf\t", "importV4 2, exportV6 1\n", "WorkloadEndpoint\t",
		     "10.77.1.7/32, on n1, dev tap0d7763386da\n", "IPAMBlock\tb\t", "Service\tdefault/s\t",
		     "EndpointSlice\tdefault/e\t", "FelixConfiguration\tdefault\t", "VXLAN port 8472\n");
	EXPECT_PARTS(d, "explain 10.77.1.7", "on node n1, interface tap0d7763386da\n");
	unsetenv("CALIDRIS_KERNEL_INTERFACE_PREFIX");
	stop_daemon(d);
}
END_TEST

/* What CalicoNodeStatus objects are told of each kind of peer is one of the words that its API has. */
START_TEST(node_status_of_every_kind_of_peer)
{
	struct daemon *d = start_daemon();
	char *file = mem_printf("%s/more.yaml", objects);
	struct strbuf out = {0};
	struct store_report report = {.classes = ~0u, .out = &out};

	write_objects("more.yaml",
		      "apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: {name: everywhere}\n"
		      "spec: {peerIP: 192.0.2.11, asNumber: 65011}\n"
		      "---\napiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: {name: here}\n"
		      "spec: {node: n1, peerIP: 192.0.2.12, asNumber: 65012}\n"
		      "---\napiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: {name: pods}\n"
		      "spec: {localWorkloadSelector: app == 'router', asNumber: 65013}\n"
		      "---\napiVersion: projectcalico.org/v3\nkind: WorkloadEndpoint\n"
		      "metadata: {name: n1-k8s-r-eth0, namespace: shop, labels: {app: router}}\n"
		      "spec: {node: n1, orchestrator: k8s, endpoint: eth0, pod: r, interfaceName: calitest0002, "
		      "ipNetworks: [10.77.1.6/32]}\n");
	turn_until(d, 4, 1);
	node_status(d, &report);
	ck_assert_str_eq(report.omitted, "");
	ck_assert_ptr_nonnull(strstr(out.s, "\"peerIP\": \"192.0.2.2\", \"type\": \"NodeMesh\""));
	ck_assert_ptr_nonnull(strstr(out.s, "\"peerIP\": \"192.0.2.11\", \"type\": \"GlobalPeer\""));
	ck_assert_ptr_nonnull(strstr(out.s, "\"peerIP\": \"192.0.2.12\", \"type\": \"NodePeer\""));
	ck_assert_ptr_nonnull(strstr(out.s, "\"peerIP\": \"10.77.1.6\", \"type\": \"NodePeer\""));
	strbuf_free(&out);
	unlink(file);
	free(file);
	stop_daemon(d);
}
END_TEST

START_TEST(kernel_routes)
{
	struct daemon *d = start_daemon();

	EXPECT_PARTS(d, "show kernel", "PREFIX\tMETRIC\tCLASS\tSTATE\tROUTE\n", "10.77.1.0/26\t", "\tblock\toff\t",
		     "10.77.1.5/32\t", "\tworkload\toff\t");
	EXPECT_PARTS(d, "json show kernel", "\"kernel\": [", "\"prefix\": \"10.77.1.0/26\"", "\"class\": \"block\"",
		     "\"state\": \"off\"");
	stop_daemon(d);
}
END_TEST

START_TEST(explain_from_object_to_kernel)
{
	struct daemon *d = start_daemon();

	EXPECT_PARTS(
	    d, "explain 10.77.1.5", "Address\t10.77.1.5\n\nObjects of the datastore\n  KIND\tNAME\tSOURCE\tSAYS\n",
	    "  IPPool\tpods\tcluster.yaml:11\tthe pool 10.77.0.0/16 holds it\n",
	    "  BlockAffinity\tn1-block\tcluster.yaml:16\tthe block 10.77.1.0/26 belongs to n1\n",
	    "  WorkloadEndpoint\tshop/n1-k8s-web-eth0\tcluster.yaml:21\tis its address, on node n1, interface "
	    "calitest0001\n",
	    "\nBGP and local routes\n  Longest prefix\t10.77.1.5/32\n  Originated here for\tWorkloadEndpoint shop/",
	    "\n\n  NEXT-HOP\tFROM\t", "  -\tlocal\t2147482623\tbest\t",
	    "\nTo whom 10.77.1.5/32 is announced\n  PEER\tANNOUNCED\tREASON\n  Mesh_192_0_2_2_port_17917\tno\t",
	    "\nRoutes for the kernel\n  PREFIX\tMETRIC\tCLASS\tSTATE\tROUTE\n  10.77.1.5/32\t",
	    "\nWhat the kernel does with it\n  10.77.1.5");
	EXPECT_PARTS(d, "json explain 10.77.1.5", "\"address\": \"10.77.1.5\"", "\"objects\": [", "\"rib\": {",
		     "\"prefix\": \"10.77.1.5/32\"", "\"local_origin\": \"WorkloadEndpoint ", "\"routes\": [",
		     "\"export\": [", "\"announced\": false", "\"kernel_routes\": [", "\"lookup\": \"10.77.1.5");
	/* An address of the block that nobody has, and one that nobody knows. */
	EXPECT_PARTS(d, "explain 10.77.1.9", "Longest prefix\t10.77.1.0/26\n", "\tblock\toff\t");
	EXPECT_PARTS(d, "explain 203.0.113.9", "none is about this address\n",
		     "no prefix covers it: no peer announced one, and no object gives this node one\n",
		     "none of ours covers it\n", "203.0.113.9");
	EXPECT_PARTS(d, "explain 2001:db8:77::1", "none is about this address\n");
	expect(d, "explain pods", "error: \"pods\" is no address");
	stop_daemon(d);
}
END_TEST

/* With many peers the answers are counted. */
START_TEST(explain_with_many_peers)
{
	struct daemon *d = start_daemon();
	struct strbuf text = {0};
	char *file = mem_printf("%s/nodes.yaml", objects);

	for (unsigned i = 3; i < 30; i++)
		strbuf_printf(&text,
			      "---\nkind: Node\napiVersion: projectcalico.org/v3\nmetadata: {name: n%u}\n"
			      "spec: {bgp: {ipv4Address: 192.0.2.%u/24}}\n",
			      i, i);
	write_objects("nodes.yaml", text.s);
	for (unsigned i = 0; i < 2000 && speaker_count(d->speaker) < 28; i++) {
		loop_turn(d->loop, false);
		usleep(1000);
	}
	ck_assert_uint_eq(speaker_count(d->speaker), 28);
	EXPECT_PARTS(d, "explain 10.77.1.9",
		     "  PEERS\tFOR EXAMPLE\tANNOUNCED\tREASON\n  28\tMesh_192_0_2_2_port_17917\tno\tthe session is");
	unlink(file);
	free(file);
	strbuf_free(&text);
	stop_daemon(d);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("show");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, routes_and_why_they_lost);
	tcase_add_test(t, stale_and_unreachable_routes);
	tcase_add_test(t, status);
	tcase_add_test(t, status_with_many_problems);
	tcase_add_test(t, policy_stays);
	tcase_add_test(t, peers);
	tcase_add_test(t, objects_in_force);
	tcase_add_test(t, objects_of_every_kind);
	tcase_add_test(t, node_status_of_every_kind_of_peer);
	tcase_add_test(t, kernel_routes);
	tcase_add_test(t, explain_from_object_to_kernel);
	tcase_add_test(t, explain_with_many_peers);
	return run_suite(t, "show");
}
