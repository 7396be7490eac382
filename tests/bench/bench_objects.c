/* One object of a large cluster changes: from the store's being told to the end of all that follows, for each kind of
 * object. The objects are decoded before; kernel routes are not written. The scenes:
 *
 *	objects		CPU time of each kind of change, with this many nodes (and four times as many blocks), and with
 *			two, four and eight times as many: what is asked for is that the figures of a row are equal
 *	vxlan		the same where the pool is one of VXLAN
 *	changes		nothing is printed: for tests/bench/instructions.py, which counts inside of one_change()
 *
 *	bench_objects [SCENE [NODES]] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/cluster/cluster.h"
#include "daemon/daemon.h"
#include "datastore/backend.h"
#include "datastore/yaml.h"

#define RACKS 50u /* each with its share of the nodes and of the BGPPeers */
#define REFLECTORS 4u
#define ROUNDS 40u
#define SIZES 4u

static struct daemon *d;

/* ---- Objects ---- */

static void on_doc(void *arg, struct yaml_node *root)
{
	struct object_error err;
	char *name;
	int kind;
	struct object *o = object_decode(root, &err, &kind, &name, NULL, NULL);

	if (!o) {
		fprintf(stderr, "%s: %s\n", err.field, err.reason);
		abort();
	}
	o->source = mem_strdup("bench");
	free(name);
	*(struct object **)arg = o;
}

/* Takes the text. */
static struct object *decode(char *text)
{
	struct object *o = NULL;
	struct yaml_error err;

	if (!yaml_parse(text, strlen(text), on_doc, &o, &err)) {
		fprintf(stderr, "%s: %s\n", text, err.reason);
		abort();
	}
	free(text);
	return o;
}

#define DOC(kind) "{apiVersion: projectcalico.org/v3, kind: " kind ", metadata: {name: "

static struct object *node(unsigned i, const char *colour, unsigned host)
{
	return decode(mem_printf(DOC("Node") "n%u, labels: {rack: r%u, colour: '%s'%s}}, spec: {bgp: {ipv4Address: "
					     "10.%u.%u.%u/8}}}",
				 i, i % RACKS, colour, i >= 10 && i < 10 + REFLECTORS ? ", rr: 'true'" : "",
				 1 + host / 65536, host / 256 % 256, host % 256));
}

static struct object *bgp_peer(unsigned i, unsigned as)
{
	return decode(mem_printf(DOC("BGPPeer") "p%u}, spec: {nodeSelector: \"rack == 'r%u'\", peerIP: 11.0.%u.%u, "
						"asNumber: %u, passive: true}}",
				 i, i % RACKS, i / 256, i % 256, as));
}

static struct object *affinity(unsigned i, unsigned owner)
{
	return decode(mem_printf(DOC("BlockAffinity") "b%u}, spec: {node: n%u, cidr: 16.%u.%u.%u/26, state: confirmed, "
						      "deleted: 'false'}}",
				 i, owner, i / 1024, i / 4 % 256, i % 4 * 64));
}

static struct object *ipam_block(unsigned i, unsigned owner, unsigned borrower)
{
	return decode(
	    mem_printf(DOC("IPAMBlock") "b%u}, spec: {affinity: 'host:n%u', cidr: 16.%u.%u.%u/26, allocations: "
					"[0, 1, null], unallocated: [2], attributes: [{handle_id: x, secondary: "
					"{node: n%u}}, {handle_id: y, secondary: {node: n%u}}], deleted: false}}",
		       i, owner, i / 1024, i / 4 % 256, i % 4 * 64, owner, borrower));
}

static struct object *workload(unsigned i, unsigned owner, const char *colour)
{
	return decode(
	    mem_printf(DOC("WorkloadEndpoint") "w%u, namespace: default, labels: {colour: '%s'}}, spec: {node: "
					       "n%u, interfaceName: cali%u, ipNetworks: [17.0.%u.%u]}}",
		       i, colour, owner, i, i / 256, i % 256));
}

static struct object *pool(const char *name, const char *cidr, const char *more)
{
	return decode(mem_printf(DOC("IPPool") "%s}, spec: {cidr: %s%s}}", name, cidr, more));
}

static struct object *filter(unsigned i)
{
	return decode(mem_printf(DOC("BGPFilter") "f}, spec: {exportV4: [{action: Reject, cidr: 12.%u.0.0/16, "
						  "matchOperator: In}]}}",
				 i));
}

static struct object *service(unsigned i, const char *type)
{
	return decode(
	    mem_printf("{apiVersion: v1, kind: Service, metadata: {name: s%u, namespace: default}, spec: {type: "
		       "%s, clusterIP: 18.0.%u.%u, externalTrafficPolicy: Local}}",
		       i, type, i / 256, i % 256));
}

static struct object *slice(unsigned i, unsigned on)
{
	return decode(mem_printf("{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: s%u-x, "
				 "namespace: default, labels: {kubernetes.io/service-name: s%u}}, addressType: IPv4, "
				 "endpoints: [{addresses: [17.0.0.1], nodeName: n%u, conditions: {ready: true}}]}",
				 i, i, on));
}

/* ---- Changes: this node is n1, in rack r1 ---- */

static struct object *own_workload(unsigned i)
{
	return workload(3, 1, i % 2 ? "x" : "y");
}

static struct object *new_workload(unsigned i)
{
	return workload(1000 + i, 1, "x");
}

static struct object *other_workload(unsigned i)
{
	return workload(10, 7, i % 2 ? "x" : "y");
}

static struct object *other_node(unsigned i)
{
	return node(77, i % 2 ? "x" : "y", 77);
}

static struct object *new_node(unsigned i)
{
	return node(100000 + i, "", 100000 + i);
}

static struct object *own_node(unsigned i)
{
	return node(1, i % 2 ? "x" : "y", 1);
}

static struct object *reflector(unsigned i)
{
	return node(10, "", i % 2 ? 100010 : 10);
}

static struct object *other_bgp_peer(unsigned i)
{
	return bgp_peer(5, 64000 + i);
}

static struct object *own_bgp_peer(unsigned i)
{
	return bgp_peer(1, 64000 + i);
}

static struct object *other_affinity(unsigned i)
{
	return affinity(5, 200 + i % 2);
}

static struct object *own_affinity(unsigned i)
{
	return affinity(1, 1 + i % 2);
}

static struct object *other_block(unsigned i)
{
	return ipam_block(5, 200, 201 + i % 2);
}

static struct object *borrowing_block(unsigned i)
{
	return ipam_block(6, 200, i % 2);
}

static struct object *one_pool(unsigned i)
{
	return pool("some", "19.0.0.0/16", i % 2 ? ", disableBGPExport: true" : "");
}

static struct object *one_filter(unsigned i)
{
	return filter(i % 2);
}

static struct object *one_service(unsigned i)
{
	return service(1, i % 2 ? "LoadBalancer" : "NodePort");
}

static struct object *one_slice(unsigned i)
{
	return slice(1, 1 + i % 2);
}

static const struct {
	const char *what;
	struct object *(*make)(unsigned i);
} changes[] = {
    {"WorkloadEndpoint of this node: a label", own_workload},
    {"WorkloadEndpoint of this node appears", new_workload},
    {"WorkloadEndpoint of another node: a label", other_workload},
    {"Node: another's label", other_node},
    {"Node appears", new_node},
    {"Node: a label of this one", own_node},
    {"Node: a reflector's address", reflector},
    {"BGPPeer of another rack", other_bgp_peer},
    {"BGPPeer of this node's rack", own_bgp_peer},
    {"BlockAffinity moves between other nodes", other_affinity},
    {"BlockAffinity of this node comes and goes", own_affinity},
    {"IPAMBlock of others", other_block},
    {"IPAMBlock: an address is borrowed, and given back", borrowing_block},
    {"Service: its type", one_service},
    {"EndpointSlice: the endpoint moves", one_slice},
    {"BGPFilter: a rule", one_filter},
    {"IPPool: disableBGPExport", one_pool},
};
#define CHANGES (sizeof changes / sizeof *changes)

/* ---- The cluster ---- */

static void rest(void)
{
	while (loop_has_work(d->loop))
		loop_turn(d->loop, false);
}

static void put(struct object *o)
{
	store_put(d->store, o);
}

/* What is measured. */
static __attribute__((noinline)) void one_change(struct object *o)
{
	put(o);
	rest();
}

static void fill(unsigned nodes, bool vxlan)
{
	put(decode(
	    mem_printf(DOC("BGPConfiguration") "default}, spec: {nodeToNodeMeshEnabled: false, listenPort: 21790, "
					       "serviceClusterIPs: [{cidr: 18.0.0.0/16}]}}")));
	put(pool("pods", "16.0.0.0/8", vxlan ? ", vxlanMode: Always" : ""));
	put(decode(
	    mem_printf(DOC("BGPPeer") "reflectors}, spec: {nodeSelector: all(), peerSelector: has(rr), passive: true, "
				      "filters: [f]}}")));
	put(filter(9));
	for (unsigned i = 0; i < nodes; i++)
		put(node(i, "", i));
	for (unsigned i = 0; i < 4 * nodes; i++)
		put(affinity(i, i % nodes));
	for (unsigned i = 0; i < nodes / 2; i++) {
		put(bgp_peer(i, 65000));
		put(ipam_block(i, i % nodes, (i + 1) % nodes));
		put(service(i, "LoadBalancer"));
		put(slice(i, i % nodes));
	}
	/* As many as a node has, however many nodes there are. */
	for (unsigned i = 0; i < 100; i++)
		put(workload(i, 1, ""));
	store_synced(d->store);
	rest();
}

static void begin(unsigned nodes, bool vxlan)
{
	struct strbuf err = {0};
	struct config c;

	if (!config_load(&c, NULL, false, &err) || !(d = daemon_new(&c, &(struct daemon_options){0}, &err))) {
		fprintf(stderr, "%s\n", err.s);
		exit(1);
	}
	fill(nodes, vxlan);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int time_cmp(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* µs of processor time for one change, the median. */
static double cost(unsigned change)
{
	struct object *versions[ROUNDS];
	double took[ROUNDS];

	for (unsigned i = 0; i < ROUNDS; i++)
		versions[i] = changes[change].make(i + 1);
	for (unsigned i = 0; i < ROUNDS; i++) {
		double began = now();

		one_change(versions[i]);
		took[i] = now() - began;
	}
	qsort(took, ROUNDS, sizeof *took, time_cmp);
	return took[ROUNDS / 2] * 1e6;
}

static void scene_growth(unsigned nodes, bool vxlan)
{
	double found[CHANGES][SIZES];

	for (unsigned s = 0; s < SIZES; s++) {
		begin(nodes << s, vxlan);
		for (unsigned i = 0; i < CHANGES; i++)
			found[i][s] = cost(i);
		daemon_free(d);
	}
	printf("objects%s: %u nodes and more; CPU of a change, us\n%-52s", vxlan ? ", VXLAN" : "", nodes, "");
	for (unsigned s = 0; s < SIZES; s++)
		printf("%7u", nodes << s);
	printf("\n");
	for (unsigned i = 0; i < CHANGES; i++) {
		printf("%-52s", changes[i].what);
		for (unsigned s = 0; s < SIZES; s++)
			printf("%7.1f", found[i][s]);
		printf("\n");
	}
}

static void scene_objects(unsigned nodes)
{
	scene_growth(nodes, false);
}

static void scene_vxlan(unsigned nodes)
{
	scene_growth(nodes, true);
}

static void scene_changes(unsigned nodes)
{
	begin(nodes, true);
	for (unsigned i = 0; i < CHANGES; i++)
		cost(i);
	daemon_free(d);
}

static const struct {
	const char *name;
	void (*run)(unsigned nodes);
} scenes[] = {
    {"objects", scene_objects},
    {"vxlan", scene_vxlan},
    {"changes", scene_changes},
};

int main(int argc, char **argv)
{
	unsigned nodes = argc > 2 ? (unsigned)atoi(argv[2]) : 640;
	char socket[80];

	snprintf(socket, sizeof socket, "/tmp/calidris-bench-%d.sock", (int)getpid());
	log_setup(LOG_LVL_ERROR, false);
	setenv("NODENAME", "n1", 1);
	setenv("CALIDRIS_KERNEL_PROGRAMMING", "off", 1);
	setenv("CALIDRIS_CONTROL_SOCKET", socket, 1);
	setenv("CALIDRIS_LOG_LEVEL", "error", 1);
	for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++)
		if (argc < 2 || strcmp(argv[1], scenes[i].name) == 0)
			scenes[i].run(nodes);
	return 0;
}
