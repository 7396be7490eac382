/* Kubernetes' documents stand for Calico's: what one says, the other says too, down to the digest. */
#include "datastore/forms.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/pod.h"
#include "datastore/schema.h"

struct outcome {
	struct object *o;
	struct object_error err;
	int kind;
	char *name;
	bool nobody;
	struct strbuf reported; /* "FIELD: reason;" each */
};

static void on_report(void *arg, const char *field, unsigned line, unsigned col, const char *reason)
{
	ck_assert_uint_gt(line, 0);
	ck_assert_uint_gt(col, 0);
	strbuf_printf(&((struct outcome *)arg)->reported, "%s: %s;", field, reason);
}

static void on_doc(void *arg, struct yaml_node *root)
{
	struct outcome *out = arg;

	out->nobody = object_is_nobody(root);
	out->o = object_decode(root, &out->err, &out->kind, &out->name, on_report, out);
}

static struct outcome decode(const char *text)
{
	struct outcome out = {0};
	struct yaml_error err;

	strbuf_puts(&out.reported, "");
	ck_assert_msg(yaml_parse(text, strlen(text), on_doc, &out, &err), "%s: %u:%u %s", text, err.line, err.col,
		      err.reason);
	return out;
}

static void outcome_free(struct outcome *out)
{
	object_free(out->o);
	free(out->name);
	strbuf_free(&out->reported);
}

static struct object *decode_good(const char *text)
{
	struct outcome out = decode(text);
	struct object *o = out.o;

	ck_assert_msg(o != NULL, "%s: %u:%u %s: %s", text, out.err.line, out.err.col, out.err.field, out.err.reason);
	ck_assert_str_eq(out.reported.s, "");
	ck_assert(!out.nobody);
	ck_assert_int_eq(out.kind, (int)o->kind);
	out.o = NULL;
	outcome_free(&out);
	return o;
}

static void assert_same(const char *left, const char *right)
{
	struct object *a = decode_good(left), *b = decode_good(right);

	ck_assert_int_eq((int)a->kind, (int)b->kind);
	ck_assert_str_eq(a->name, b->name);
	ck_assert_str_eq(a->namespace, b->namespace);
	ck_assert_msg(a->digest == b->digest, "%s\nis not\n%s", left, right);
	object_free(a);
	object_free(b);
}

/* ---- Nodes ---- */

#define KUBE_NODE(more)                                                                                \
	"{apiVersion: v1, kind: Node, metadata: {name: node-1, uid: u, resourceVersion: '7', labels: " \
	"{rack: r1, kubernetes.io/os: linux}, managedFields: [{manager: kubelet}], annotations: {" more "}}"

START_TEST(a_node_of_kubernetes_is_the_node_of_calico)
{
	assert_same(
	    KUBE_NODE(
		"projectcalico.org/ASNumber: '64512', projectcalico.org/IPv4Address: 10.192.0.2/16,"
		"projectcalico.org/IPv6Address: '2001:20::8/64', projectcalico.org/IPv4IPIPTunnelAddr: 10.244.1.0,"
		"projectcalico.org/RouteReflectorClusterID: 10.0.0.1,"
		"projectcalico.org/IPv4VXLANTunnelAddr: 10.244.1.1,"
		"projectcalico.org/IPv6VXLANTunnelAddr: 'fd00::1',"
		"projectcalico.org/VXLANTunnelMACAddr: '66:b3:68:28:39:8e',"
		"projectcalico.org/VXLANTunnelMACAddrV6: '66:b3:68:28:39:8f',"
		"projectcalico.org/IPv4WireguardInterfaceAddr: 10.244.1.2,"
		"projectcalico.org/IPv6WireguardInterfaceAddr: 'fd00::2', projectcalico.org/WireguardPublicKeyV6: def,"
		"projectcalico.org/WireguardPublicKey: abc, volumes.kubernetes.io/x: 'true'") ", spec: {podCIDR: "
											      "10.244.1.0/24, "
											      "podCIDRs: "
											      "[10.244.1.0/24, "
											      "'fd00::/64'], "
											      "providerID: x},"
											      "status: {capacity: "
											      "{cpu: '2'}, conditions: "
											      "[{type: Ready}]}}",
	    "{apiVersion: projectcalico.org/v3, kind: Node, metadata: {name: node-1, labels: {rack: r1,"
	    "kubernetes.io/os: linux}}, spec: {bgp: {asNumber: 64512, ipv4Address: 10.192.0.2/16,"
	    "ipv6Address: '2001:20::8/64', ipv4IPIPTunnelAddr: 10.244.1.0, routeReflectorClusterID: 10.0.0.1},"
	    "ipv4VXLANTunnelAddr: 10.244.1.1, ipv6VXLANTunnelAddr: 'fd00::1', vxlanTunnelMACAddr: '66:b3:68:28:39:8e',"
	    "vxlanTunnelMACAddrV6: '66:b3:68:28:39:8f', wireguard: {interfaceIPv4Address: 10.244.1.2,"
	    "interfaceIPv6Address: 'fd00::2'}}, status: {podCIDRs: [10.244.1.0/24, 'fd00::/64'],"
	    "wireguardPublicKey: abc, wireguardPublicKeyV6: def}}");
	assert_same(KUBE_NODE("") "}", "{apiVersion: projectcalico.org/v3, kind: Node, metadata: {name: node-1,"
				       "labels: {rack: r1, kubernetes.io/os: linux}}}");
}
END_TEST

START_TEST(one_pod_cidr_is_a_list_of_one)
{
	static const char *const specs[] = {"{podCIDR: 10.244.1.0/24}", "{podCIDR: 10.244.1.0/24, podCIDRs: []}",
					    "{podCIDRs: [10.244.1.0/24]}"};

	for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
		char *text = mem_printf("%s, spec: %s}", KUBE_NODE(""), specs[i]);
		assert_same(text, "{apiVersion: projectcalico.org/v3, kind: Node, metadata: {name: node-1, labels: "
				  "{rack: r1, kubernetes.io/os: linux}}, status: {podCIDRs: [10.244.1.0/24]}}");
		free(text);
	}
}
END_TEST

/* Each annotation that a form knows counts as absent, and is named, if it cannot be read; the others still count. */
START_TEST(an_annotation_that_cannot_be_read_counts_as_absent)
{
	const struct form *node = &forms[0];
	unsigned tried = 0;

	ck_assert_str_eq(node->kind, "Node");
	for (unsigned i = 0; i < node->field_count; i++) {
		const struct form_field *f = &node->fields[i];
		char *text, *named;
		struct outcome out;
		/* Any text may be a key. */
		if (!f->annotation || strstr(f->annotation, "PublicKey"))
			continue;
		text = mem_printf("{apiVersion: v1, kind: Node, metadata: {name: n, annotations: {'%s': '@', "
				  "'projectcalico.org/metadata': '', %s: %s}}}",
				  f->annotation,
				  strstr(f->annotation, "IPv4Address") ? "projectcalico.org/ASNumber"
								       : "projectcalico.org/IPv4Address",
				  strstr(f->annotation, "IPv4Address") ? "'5'" : "10.0.0.5/24");
		out = decode(text);
		ck_assert_msg(out.o != NULL, "%s: %s", text, out.err.reason);
		named = mem_printf("metadata.annotations[%s]: ", f->annotation);
		ck_assert_msg(strncmp(out.reported.s, named, strlen(named)) == 0, "%s", out.reported.s);
		ck_assert_ptr_eq(strchr(out.reported.s, ';'), out.reported.s + out.reported.len - 1);
		if (strstr(f->annotation, "IPv4Address"))
			ck_assert_uint_eq(object_node(out.o)->as_number, 5);
		else
			ck_assert_uint_eq(object_node(out.o)->ipv4.len, 24);
		outcome_free(&out);
		free(named);
		free(text);
		tried++;
	}
	ck_assert_uint_ge(tried, 9);
}
END_TEST

/* Fields of ours on a Pod. */
START_TEST(a_pod_may_ask_for_what_is_not_done)
{
	struct outcome out =
	    decode("{apiVersion: v1, kind: Pod, metadata: {name: p, annotations: "
		   "{cni.projectcalico.org/floatingIPs: '[\"192.0.2.1\"]', calidris.io/nonsense: x,"
		   "cni.projectcalico.org/allowedSourcePrefixes: '[\"10.0.0.0/8\"]'}}, spec: {nodeName: n}}");

	ck_assert_msg(out.o != NULL, "%s", out.err.reason);
	ck_assert_ptr_nonnull(strstr(out.reported.s, "metadata.annotations[cni.projectcalico.org/floatingIPs]"));
	ck_assert_ptr_nonnull(strstr(out.reported.s, "need NAT"));
	ck_assert_ptr_nonnull(
	    strstr(out.reported.s, "metadata.annotations[cni.projectcalico.org/allowedSourcePrefixes]"));
	ck_assert_ptr_nonnull(strstr(out.reported.s, "calidris.io/nonsense"));
	outcome_free(&out);
}
END_TEST

START_TEST(a_pod_may_migrate)
{
	struct outcome out = decode("{apiVersion: v1, kind: Pod, metadata: {name: p, annotations: "
				    "{calidris.io/liveMigration: Target, x/y: z}}, spec: {nodeName: n}}");

	ck_assert_msg(out.o != NULL, "%s", out.err.reason);
	ck_assert_int_eq(((const struct obj_workload_endpoint *)(const void *)out.o)->migration, MIGRATION_TARGET);
	outcome_free(&out);
}
END_TEST

START_TEST(what_is_no_annotation_is_refused_by_its_own_name)
{
	struct outcome out = decode("{apiVersion: v1, kind: Node, metadata: {name: n, labels: [x]}}");

	ck_assert_ptr_null(out.o);
	ck_assert_str_eq(out.err.field, "metadata.labels");
	ck_assert_int_eq(out.kind, OBJ_NODE);
	ck_assert_str_eq(out.name, "n");
	outcome_free(&out);
	out = decode("{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {nodeName: n},"
		     "status: {podIPs: [{ip: 10.0.0.300}]}}");
	ck_assert_ptr_null(out.o);
	ck_assert_int_eq(out.kind, OBJ_WORKLOAD_ENDPOINT);
	ck_assert_str_eq(out.name, "default/n-k8s-p-eth0");
	outcome_free(&out);
}
END_TEST

/* A row that leads nowhere would be reported as an unknown field, or not be found in the schema at all. */
START_TEST(every_field_leads_to_a_field_of_calicos_schema)
{
	for (unsigned i = 0; i < form_count; i++) {
		const struct schema *s = object_schema((enum object_kind)object_kind_by_name(forms[i].makes));
		ck_assert_uint_le(forms[i].field_count, 64);
		for (unsigned n = 0; n < forms[i].field_count; n++) {
			bool found = false;
			for (unsigned r = 0; r < s->row_count; r++)
				found = found || strcmp(s->rows[r].path, forms[i].fields[n].to) == 0;
			ck_assert_msg(found, "%s", forms[i].fields[n].to);
			ck_assert(!forms[i].fields[n].lenient || forms[i].fields[n].annotation ||
				  strcmp(forms[i].fields[n].to, "metadata.annotations") == 0);
		}
	}
}
END_TEST

/* ---- Packed metadata ---- */

#define PACKED(json) "projectcalico.org/metadata: '" json "'"

START_TEST(packed_metadata_counts_too)
{
	assert_same(KUBE_NODE(PACKED("{\"labels\":{\"zone\":\"z1\",\"rack\":\"old\"},\"creationTimestamp\":null}")) "}",
		    "{apiVersion: projectcalico.org/v3, kind: Node, metadata: {name: node-1,"
		    "labels: {rack: r1, kubernetes.io/os: linux, zone: z1}}}");
	assert_same("{apiVersion: crd.projectcalico.org/v1, kind: IPPool, metadata: {name: p, annotations: {" PACKED(
			"{\"labels\":{\"a\":\"b\"},\"annotations\":{\"c\":\"d\"}}") "}}, spec: {cidr: 10.0.0.0/8}}",
		    "{apiVersion: projectcalico.org/v3, kind: IPPool, metadata: {name: p, labels: {a: b}},"
		    "spec: {cidr: 10.0.0.0/8}}");
}
END_TEST

START_TEST(packed_metadata_that_cannot_be_read_counts_as_absent)
{
	static const char *const bad[] = {"{", "[]", "5", "{\"a\":1,\"a\":2}", "&x y"};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char *text =
		    mem_printf("{apiVersion: crd.projectcalico.org/v1, kind: IPPool, metadata: {name: p, labels: "
			       "{a: b}, annotations: {projectcalico.org/metadata: '%s'}}, spec: {cidr: 10.0.0.0/8}}",
			       bad[i]);
		struct outcome out = decode(text);
		ck_assert_msg(out.o != NULL, "%s: %s", text, out.err.reason);
		ck_assert_str_eq(out.reported.s, "metadata.annotations[projectcalico.org/metadata]: "
						 "cannot be read as JSON, and counts as absent;");
		ck_assert_str_eq(labels_get(&out.o->labels, "a"), "b");
		outcome_free(&out);
		free(text);
	}
}
END_TEST

START_TEST(both_groups_have_the_same_ipam_objects)
{
	assert_same("{apiVersion: crd.projectcalico.org/v1, kind: BlockAffinity, metadata: {name: n-10-0-0-0-26},"
		    "spec: {cidr: 10.0.0.0/26, node: n, state: confirmed, deleted: 'true'}}",
		    "{apiVersion: projectcalico.org/v3, kind: BlockAffinity, metadata: {name: n-10-0-0-0-26},"
		    "spec: {cidr: 10.0.0.0/26, node: n, state: confirmed, deleted: true, type: host}}");
	assert_same("{apiVersion: crd.projectcalico.org/v1, kind: IPAMBlock, metadata: {name: 10-0-0-0-30},"
		    "spec: {cidr: 10.0.0.0/30, affinity: 'host:n', affinityClaimTime: null, allocations: [0, null],"
		    "attributes: [{handle_id: h, secondary: {node: m}}], unallocated: [1], deleted: false}}",
		    "{apiVersion: projectcalico.org/v3, kind: IPAMBlock, metadata: {name: 10-0-0-0-30},"
		    "spec: {cidr: 10.0.0.0/30, affinity: 'host:n', allocations: [0, null],"
		    "attributes: [{handle_id: h, secondary: {node: m}}], deleted: false}}");
}
END_TEST

/* ---- Pods ---- */

/* Of a real node; tests/net/test_table_a.py has its routes. */
static const struct {
	const char *pod, *address, *interface;
} known_pods[] = {
    {"grafana-756fb84d84-25vgx", "10.100.85.223", "calib0fcb148121"},
    {"nfs-client-provisioner-78577dfbf6-5vc8k", "10.100.85.251", "caliedf44567bf4"},
    {"nginx-deployment-curl01-5dfbf76b79-wknqh", "10.100.85.203", "cali5a4a62eb73c"},
    {"nginx-deployment-svc01-5cc6946cb4-4sdq7", "10.100.85.228", "calia1f109c0158"},
    {"nginx-deployment-svc01-5cc6946cb4-64z5c", "10.100.85.238", "caliac7cd485d76"},
    {"nginx-deployment-svc01-5cc6946cb4-mqb7v", "10.100.85.229", "calicdd26318445"},
    {"nginx-deployment-svc05-68684b78bd-dk4wt", "10.100.85.242", "cali7b8cb8a0d4e"},
    {"nginx-deployment-svc05-68684b78bd-k2s8b", "10.100.85.241", "cali8284a295f10"},
    {"nginx-deployment-svc06-6bd95799cf-4hx5h", "10.100.85.244", "cali7e3a1b6756b"},
    {"nginx-deployment-svc06-6bd95799cf-ljp64", "10.100.85.243", "calif57f257da67"},
    {"onepod-multicontiner02", "10.100.85.245", "cali8f8d4b79597"},
    {"web-0", "10.100.85.234", "cali0d7763386da"},
    {"web-1", "10.100.85.233", "cali0761ccbeace"},
};

START_TEST(the_pods_of_a_real_node_have_its_interfaces_and_addresses)
{
	ck_assert_uint_eq(sizeof known_pods / sizeof *known_pods, 13);
	for (size_t i = 0; i < sizeof known_pods / sizeof *known_pods; i++) {
		char *text = mem_printf("{apiVersion: v1, kind: Pod, metadata: {name: %s, namespace: default},"
					"spec: {nodeName: k8s-node01, containers: []},"
					"status: {phase: Running, podIP: %s, podIPs: [{ip: %s}]}}",
					known_pods[i].pod, known_pods[i].address, known_pods[i].address);
		struct object *o = decode_good(text);
		const struct obj_workload_endpoint *w = (const void *)o;
		char network[PREFIX_STRLEN], wanted[PREFIX_STRLEN];
		ck_assert_str_eq(w->interface, known_pods[i].interface);
		ck_assert(w->interface_by_rule);
		ck_assert_uint_eq(w->network_count, 1);
		snprintf(wanted, sizeof wanted, "%s/32", known_pods[i].address);
		ck_assert_str_eq(prefix_format(&w->networks[0], network), wanted);
		object_free(o);
		free(text);
	}
}
END_TEST

START_TEST(a_pod_is_the_endpoint_that_calico_makes_of_it)
{
	assert_same("{apiVersion: v1, kind: Pod, metadata: {name: web-0, namespace: shop, labels: {app: web},"
		    "annotations: {cni.projectcalico.org/podIP: 10.9.9.9/32}},"
		    "spec: {nodeName: node-1, serviceAccountName: sa, containers: [{name: c}]},"
		    "status: {phase: Running, podIP: 10.244.1.5, podIPs: [{ip: 10.244.1.5}, {ip: 'fd00::5'}]}}",
		    "{apiVersion: projectcalico.org/v3, kind: WorkloadEndpoint, metadata: {name: "
		    "node--1-k8s-web--0-eth0, namespace: shop, labels: {app: web, projectcalico.org/namespace: shop,"
		    "projectcalico.org/orchestrator: k8s, projectcalico.org/serviceaccount: sa}},"
		    "spec: {node: node-1, pod: web-0, endpoint: eth0, interfaceName: calia4fc3c48bd8,"
		    "ipNetworks: [10.244.1.5/32, 'fd00::5/128'], serviceAccountName: sa}}");
}
END_TEST

START_TEST(a_pods_addresses_come_from_the_first_source_that_has_any)
{
	static const struct {
		const char *annotations, *status, *networks;
	} rows[] = {
	    {"", "{}", ""},
	    {"", "{podIPs: [{ip: 10.0.0.1}], podIP: 10.0.0.2}", "10.0.0.1/32 "},
	    {"", "{podIPs: [], podIP: 10.0.0.2}", "10.0.0.2/32 "},
	    {"cni.projectcalico.org/podIPs: '10.0.0.3/32,fd00::3/128', cni.projectcalico.org/podIP: 10.0.0.4", "{}",
	     "10.0.0.3/32 fd00::3/128 "},
	    {"cni.projectcalico.org/podIP: 10.0.0.4/32", "{podIP: ''}", "10.0.0.4/32 "},
	    {"vpc.amazonaws.com/pod-ips: '10.0.0.5, 10.0.0.6'", "{}", "10.0.0.5/32 10.0.0.6/32 "},
	    {"cni.projectcalico.org/podIP: 10.0.0.4/32, vpc.amazonaws.com/pod-ips: 10.0.0.5", "{}", "10.0.0.4/32 "},
	    {"cni.projectcalico.org/podIPs: '', cni.projectcalico.org/podIP: 10.0.0.4", "{}", "10.0.0.4/32 "},
	    {"cni.projectcalico.org/podIPs: ','", "{}", ""},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char *text = mem_printf("{apiVersion: v1, kind: Pod, metadata: {name: p, annotations: {%s}},"
					"spec: {nodeName: n}, status: %s}",
					rows[i].annotations, rows[i].status);
		struct object *o = decode_good(text);
		const struct obj_workload_endpoint *w = (const void *)o;
		struct strbuf found = {0};
		strbuf_puts(&found, "");
		for (unsigned n = 0; n < w->network_count; n++) {
			char network[PREFIX_STRLEN];
			strbuf_printf(&found, "%s ", prefix_format(&w->networks[n], network));
		}
		ck_assert_msg(strcmp(found.s, rows[i].networks) == 0, "%s: %s", text, found.s);
		strbuf_free(&found);
		object_free(o);
		free(text);
	}
}
END_TEST

START_TEST(a_finished_pod_has_no_addresses)
{
	static const struct {
		const char *metadata, *phase;
		unsigned networks;
	} rows[] = {
	    {"", "Running", 1},
	    {"", "Pending", 1},
	    {"", "Unknown", 1},
	    {"", "Succeeded", 0},
	    {"", "Failed", 0},
	    {"", "Completed", 0},
	    /* Being deleted: its addresses are its own until the CNI plugin has emptied the annotation. */
	    {", deletionTimestamp: '2026-08-01T10:00:00Z'", "Running", 1},
	    {", deletionTimestamp: '2026-08-01T10:00:00Z', annotations: {cni.projectcalico.org/podIP: 10.0.0.1}",
	     "Running", 1},
	    {", deletionTimestamp: '2026-08-01T10:00:00Z', annotations: {cni.projectcalico.org/podIP: ''}", "Running",
	     0},
	    {", deletionTimestamp: '2026-08-01T10:00:00Z', annotations: {vpc.amazonaws.com/pod-ips: ''}", "Running", 0},
	    {", annotations: {cni.projectcalico.org/podIP: ''}", "Running", 1},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char *text = mem_printf("{apiVersion: v1, kind: Pod, metadata: {name: p%s}, spec: {nodeName: n},"
					"status: {phase: %s, podIP: 10.0.0.1}}",
					rows[i].metadata, rows[i].phase);
		struct object *o = decode_good(text);
		ck_assert_msg(((const struct obj_workload_endpoint *)(const void *)o)->network_count ==
				  rows[i].networks,
			      "%s", text);
		object_free(o);
		free(text);
	}
}
END_TEST

START_TEST(a_pod_without_a_network_of_its_own_is_nobody)
{
	static const struct {
		const char *spec;
		bool nobody;
	} rows[] = {
	    {"{nodeName: n}", false},
	    {"{nodeName: n, hostNetwork: false}", false},
	    {"{nodeName: n, hostNetwork: true}", true},
	    {"{nodeName: ''}", true},
	    {"{}", true},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char *text = mem_printf("{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: %s}", rows[i].spec);
		struct outcome out = decode(text);
		ck_assert_msg(out.nobody == rows[i].nobody, "%s", text);
		outcome_free(&out);
		free(text);
	}
}
END_TEST

START_TEST(the_longest_names_that_kubernetes_allows_are_taken)
{
	char node[254], pod[254], *text;
	struct object *o;

	memset(node, '-', 253);
	memset(pod, '-', 253);
	node[253] = pod[253] = '\0';
	node[0] = pod[0] = 'a';
	text = mem_printf("{apiVersion: v1, kind: Pod, metadata: {name: %s}, spec: {nodeName: %s}}", pod, node);
	o = decode_good(text);
	ck_assert_uint_eq(strlen(o->name), 2 * (253 + 252) + 10);
	object_free(o);
	free(text);
}
END_TEST

START_TEST(interfaces_are_named_by_the_rule)
{
	char name[POD_INTERFACE_LEN];

	ck_assert_str_eq(pod_interface("cali", "default", "pod-a", name), "cali5e1c4d6c68c");
	ck_assert_str_eq(pod_interface("cali", "default", "web-0", name), "cali0d7763386da");
	ck_assert_str_eq(pod_interface("eni", "default", "web-0", name), "eni0d7763386da");
	ck_assert_str_eq(pod_interface("workload-", "default", "web-0", name), "workload-0d7763");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("forms");
	TCase *tc = tcase_create("forms");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, a_node_of_kubernetes_is_the_node_of_calico);
	tcase_add_test(tc, one_pod_cidr_is_a_list_of_one);
	tcase_add_test(tc, an_annotation_that_cannot_be_read_counts_as_absent);
	tcase_add_test(tc, a_pod_may_ask_for_what_is_not_done);
	tcase_add_test(tc, a_pod_may_migrate);
	tcase_add_test(tc, what_is_no_annotation_is_refused_by_its_own_name);
	tcase_add_test(tc, every_field_leads_to_a_field_of_calicos_schema);
	tcase_add_test(tc, packed_metadata_counts_too);
	tcase_add_test(tc, packed_metadata_that_cannot_be_read_counts_as_absent);
	tcase_add_test(tc, both_groups_have_the_same_ipam_objects);
	tcase_add_test(tc, the_pods_of_a_real_node_have_its_interfaces_and_addresses);
	tcase_add_test(tc, a_pod_is_the_endpoint_that_calico_makes_of_it);
	tcase_add_test(tc, a_pods_addresses_come_from_the_first_source_that_has_any);
	tcase_add_test(tc, a_finished_pod_has_no_addresses);
	tcase_add_test(tc, a_pod_without_a_network_of_its_own_is_nobody);
	tcase_add_test(tc, the_longest_names_that_kubernetes_allows_are_taken);
	tcase_add_test(tc, interfaces_are_named_by_the_rule);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
