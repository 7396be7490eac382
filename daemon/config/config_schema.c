#include "daemon/config/config_schema.h"

#include <ctype.h>
#include <string.h>
#include <sys/un.h>

#include "daemon/control/control.h"
#include "daemon/monitor/mrt_schedule.h"

/* ---- Keys ---- */

/* What Calico takes with and without its prefix: CALICO_ETCD_ENDPOINTS and ETCD_ENDPOINTS. */
#define CALICO(name) .alias = (name), .alias_has_prefix = true
#define AT(member) .offset = offsetof(struct config, member), .size = sizeof((struct config *)0)->member
#define SOCKET_LEN (sizeof((struct sockaddr_un *)0)->sun_path - 1)

/* In the order of the dump and the manual page; the keys of a section stand together. */
const struct config_row config_schema[] = {
    {"node.name", &config_name, .max = 253, .default_text = "",
     .default_note = "what the file named by the environment variable CALICO_NODENAME_FILE says, else the host name "
		     "in lower case",
     .alias = "NODENAME", AT(node_name), CONFIG_RESTART, "Name of this node's Node object."},
    {"node.kubernetes_name", &config_name, .max = 253, .default_text = "", .default_note = "node.name",
     .alias = "CALICO_K8S_NODE_REF", AT(kubernetes_name), CONFIG_AT_ONCE,
     "Name of this node's Kubernetes Node, by which EndpointSlices refer to it, if it is not that of Calico's."},
    {"node.ip", &config_ip4, .default_text = "auto", .alias = "IP", AT(node_ip), CONFIG_AT_ONCE,
     "IPv4 address of this node, with the length of its network or without: object takes the Node object's, autodetect "
     "finds one among the addresses of this machine (and takes the object's where there is none), none does without. "
     "auto takes the object's, and where that has none, and the datastore is etcd or Kubernetes, finds one. An address "
     "that is given here or found is written into the Node object of these datastores, for the other nodes to know it; "
     "one that the object gives is never changed."},
    {"node.ip6", &config_ip6, .default_text = "object", .alias = "IP6", AT(node_ip6), CONFIG_AT_ONCE,
     "IPv6 address of this node, likewise."},
    {"node.ip_autodetection_method", &config_detection, .max = 4000, .default_text = "first-found",
     .alias = "IP_AUTODETECTION_METHOD", AT(detection), CONFIG_AT_ONCE,
     "How autodetect finds the IPv4 address: first-found takes the first address of the last interface that is none of "
     "containers, bridges or tunnels; skip-interface=REGEX,... leaves out further ones; interface=REGEX,... takes one "
     "that matches; cidr=PREFIX,... an address within; can-reach=DESTINATION the one that packets to there (an "
     "address, or a "
     "name) leave with; "
     "kubernetes-internal-ip the InternalIP of the Node. Changes are followed."},
    {"node.ip6_autodetection_method", &config_detection, .max = 4000, .default_text = "first-found",
     .alias = "IP6_AUTODETECTION_METHOD", AT(detection6), CONFIG_AT_ONCE, "The same for the IPv6 address."},
    {"node.autodetection_interval", &config_seconds, .min = 1, .max = 86400, .default_text = "60",
     .alias = "AUTODETECT_POLL_INTERVAL", AT(detection_interval), CONFIG_AT_ONCE,
     "Time after which the name of a can-reach is looked up again, in seconds. Everything else that addresses are "
     "found "
     "by is followed as it changes."},
    {"node.as", &config_as, .min = 1, .max = UINT32_MAX, .or_word = "auto", .default_text = "0", .alias = "AS",
     AT(node_as), CONFIG_AT_ONCE,
     "AS number of this node. 0 takes it from the Node object, else from the default BGPConfiguration, else 64512."},

    {"datastore.type", &config_datastore, .max = 16, .default_text = "file", CALICO("DATASTORE_TYPE"),
     AT(datastore_type), CONFIG_RESTART,
     "Where the cluster's objects come from: a directory of YAML files; etcd, version 3, with the keys that Calico "
     "writes; or the cluster's Kubernetes API server."},
    {"datastore.directory", &config_path, .max = 4000, .default_text = "/etc/calidris/cluster", AT(datastore_directory),
     CONFIG_RESTART,
     "The directory of the file datastore: its *.yaml, *.yml and *.json hold the objects as calicoctl prints them, and "
     "are watched. It may appear later."},
    {"datastore.secrets", &config_path, .max = 4000, .default_text = "/etc/calidris/secrets", AT(datastore_secrets),
     CONFIG_RESTART,
     "The directory that stands for Kubernetes' Secrets where the datastore has none: its file NAME/KEY holds the "
     "password "
     "that a secretKeyRef with that name and key refers to, on one line. It is watched."},
    {"datastore.cache", &config_path_or_none, .max = 4000, .default_text = "/var/lib/calidris/datastore.cache",
     AT(datastore_cache), CONFIG_RESTART,
     "File that keeps what is known of a remote datastore, so that a node which starts while the datastore cannot be "
     "reached has the last known state. It may hold passwords, and only the daemon's user can read it. none keeps "
     "nothing."},
    {"datastore.etcd.endpoints", &config_urls, .max = 4000, .default_text = "http://127.0.0.1:2379",
     CALICO("ETCD_ENDPOINTS"), AT(etcd_endpoints), CONFIG_RESTART,
     "The members of the etcd cluster, separated by commas. One of them is used at a time, and the next one if it "
     "fails."},
    {"datastore.etcd.discovery_srv", &config_name, .max = 253, .default_text = "", CALICO("ETCD_DISCOVERY_SRV"),
     AT(etcd_discovery), CONFIG_RESTART,
     "Domain whose SRV records name the members, instead of datastore.etcd.endpoints: those of _etcd-client-ssl._tcp, "
     "by "
     "https, or, if there are none, those of _etcd-client._tcp, by http. They are looked up at the start, and again "
     "when "
     "none of the members does."},
    {"datastore.etcd.ca_file", &config_path_or_none, .max = 4000, .default_text = "none", CALICO("ETCD_CA_CERT_FILE"),
     AT(etcd_ca_file), CONFIG_RESTART,
     "The certificate authorities that may have signed the certificates of the members, in PEM. none is those of the "
     "system."},
    {"datastore.etcd.cert_file", &config_path_or_none, .max = 4000, .default_text = "none", CALICO("ETCD_CERT_FILE"),
     AT(etcd_cert_file), CONFIG_RESTART, "This node's own certificate for etcd, in PEM."},
    {"datastore.etcd.key_file", &config_path_or_none, .max = 4000, .default_text = "none", CALICO("ETCD_KEY_FILE"),
     AT(etcd_key_file), CONFIG_RESTART, "The private key of datastore.etcd.cert_file, in PEM."},
    {"datastore.etcd.username", &config_name, .max = 253, .default_text = "", CALICO("ETCD_USERNAME"),
     AT(etcd_username), CONFIG_RESTART, "User to be for etcd. If empty nobody in particular."},
    {"datastore.etcd.password", &config_secret, .max = 1024, .default_text = "", CALICO("ETCD_PASSWORD"),
     AT(etcd_password), CONFIG_RESTART, "The password of datastore.etcd.username. It is not shown."},
    {"datastore.kubernetes.kubeconfig", &config_path_or_none, .max = 4000, .default_text = "none", CALICO("KUBECONFIG"),
     AT(kube_config), CONFIG_RESTART,
     "A kubeconfig file, of which the current context counts: server, certificates and tokens, as files or as data. "
     "Several, with colons between them, are merged as kubectl does it. "
     "Programs that make credentials (exec) are not run. With none datastore.kubernetes.server counts, and if that is "
     "none, too, the service account that a Pod has."},
    {"datastore.kubernetes.server", &config_url, .max = 1000, .default_text = "none", CALICO("K8S_API_ENDPOINT"),
     AT(kube_server), CONFIG_RESTART, "The API server, if there is no kubeconfig."},
    {"datastore.kubernetes.ca_file", &config_path_or_none, .max = 4000, .default_text = "none", CALICO("K8S_CA_FILE"),
     AT(kube_ca_file), CONFIG_RESTART,
     "With datastore.kubernetes.server: the certificate authorities that may have signed its certificate, in PEM. none "
     "is those of the system."},
    {"datastore.kubernetes.cert_file", &config_path_or_none, .max = 4000, .default_text = "none",
     CALICO("K8S_CERT_FILE"), AT(kube_cert_file), CONFIG_RESTART,
     "With datastore.kubernetes.server: this node's own certificate, in PEM."},
    {"datastore.kubernetes.key_file", &config_path_or_none, .max = 4000, .default_text = "none", CALICO("K8S_KEY_FILE"),
     AT(kube_key_file), CONFIG_RESTART, "The private key of datastore.kubernetes.cert_file, in PEM."},
    {"datastore.kubernetes.token_file", &config_path_or_none, .max = 4000, .default_text = "none", AT(kube_token_file),
     CONFIG_RESTART,
     "With datastore.kubernetes.server: a file with this node's token, which is read anew whenever it changes."},
    {"datastore.kubernetes.insecure", &config_bool, .default_text = "false", CALICO("K8S_INSECURE_SKIP_TLS_VERIFY"),
     AT(kube_insecure), CONFIG_RESTART,
     "With datastore.kubernetes.server: do not look at the server's certificate. Anybody in between may then say what "
     "the cluster is."},
    {"datastore.kubernetes.api_group", &config_api_group, .max = 64, .default_text = "auto", CALICO("CALICO_API_GROUP"),
     AT(kube_api_group), CONFIG_RESTART,
     "API group and version of Calico's objects. auto is projectcalico.org/v3 if the cluster has that and not "
     "crd.projectcalico.org."},
    {"datastore.kubernetes.namespace", &config_name, .max = 63, .default_text = "", CALICO("NAMESPACE"),
     AT(kube_namespace), CONFIG_RESTART,
     "Namespace of the Secrets with peers' passwords. If empty, that of the kubeconfig's context or of the service "
     "account, else kube-system."},
    {"datastore.kubernetes.use_pod_cidr", &config_bool, .default_text = "false", CALICO("USE_POD_CIDR"),
     AT(kube_pod_cidr), CONFIG_RESTART,
     "The nodes' podCIDRs are their blocks (host-local IPAM), instead of what Calico's IPAM says."},

    {"bgp.router_id", &config_router_id, .max = 15, .default_text = "auto", .alias = "CALICO_ROUTER_ID", AT(router_id),
     CONFIG_NEXT_SESSION,
     "BGP Identifier. auto is the node's IPv4 address; hash is made from the node's name, as Calico makes it, for "
     "nodes without IPv4."},
    {"bgp.listen_port", &config_number, .min = 1, .max = UINT16_MAX, .default_text = "179", AT(listen_port),
     CONFIG_AT_ONCE, "TCP port to listen on where no BGPConfiguration says another."},
    {"bgp.hold_time", &config_number, .min = 3, .max = UINT16_MAX, .or_word = "never", .default_text = "90",
     AT(hold_time), CONFIG_NEXT_SESSION,
     "Hold time to propose, in seconds. The lower of both sides' counts; 0 switches keepalives off."},
    {"bgp.keepalive_time", &config_number, .min = 1, .max = 21845, .or_word = "auto", .default_text = "0",
     AT(keepalive_time), CONFIG_NEXT_SESSION,
     "Time between KEEPALIVE messages, in seconds. 0 is a third of the hold time that was agreed upon."},
    {"bgp.send_hold_time", &config_number, .min = 1, .max = UINT16_MAX, .or_word = "auto", .default_text = "0",
     AT(send_hold_time), CONFIG_AT_ONCE,
     "How long a peer may take nothing of what is sent to it before its session ends (RFC 9687), in seconds. 0 is "
     "twice the hold time, and 8 minutes at least."},
    {"bgp.connect_retry_time", &config_number, .min = 1, .max = UINT16_MAX, .default_text = "5", AT(connect_retry_time),
     CONFIG_AT_ONCE, "Time until a connection that did not come up is tried again, in seconds."},
    {"bgp.idle_hold_time", &config_number, .min = 1, .max = UINT16_MAX, .default_text = "1", AT(idle_hold_time),
     CONFIG_AT_ONCE, "How long a session stays Idle after its first error, in seconds; each further error doubles it."},
    {"bgp.idle_hold_max", &config_number, .min = 1, .max = UINT16_MAX, .default_text = "30", AT(idle_hold_max),
     CONFIG_AT_ONCE, "The longest a session stays Idle after errors, in seconds; at least bgp.idle_hold_time."},
    {"bgp.graceful_restart.enabled", &config_bool, .default_text = "true", AT(graceful_restart), CONFIG_NEXT_SESSION,
     "Offer graceful restart (RFC 4724): peers keep this node's routes while the daemon restarts, and it keeps "
     "theirs."},
    {"bgp.graceful_restart.restart_time", &config_number, .min = 1, .max = 4095, .default_text = "120",
     AT(restart_time), CONFIG_NEXT_SESSION,
     "How long peers shall keep this node's routes, in seconds, where no object says another time."},
    {"bgp.graceful_restart.long_lived_stale_time", &config_number, .min = 1, .max = 16777215, .or_word = "none",
     .default_text = "0", AT(llgr_time), CONFIG_NEXT_SESSION,
     "How long peers shall go on keeping this node's routes after that, in seconds, to be used only where there is no "
     "other (RFC 9494), where no BGPPeer says another time. Peers that ask for it themselves are served in any case."},
    {"bgp.graceful_shutdown.announce", &config_bool, .default_text = "false", AT(graceful_shutdown), CONFIG_AT_ONCE,
     "Ask all peers to use this node's routes last (RFC 8326), before maintenance: they carry the community "
     "GRACEFUL_SHUTDOWN, and inside the AS LOCAL_PREF 0. A BGPPeer's gracefulShutdown does so for one session."},
    {"bgp.graceful_shutdown.on_drain", &config_bool, .default_text = "true", AT(shutdown_on_drain), CONFIG_AT_ONCE,
     "Do so by itself while the Node is unschedulable: cordoned, or being drained."},
    {"bgp.graceful_shutdown.honour", &config_bool, .default_text = "true", AT(honour_graceful_shutdown), CONFIG_AT_ONCE,
     "Use routes from other ASes that carry the community GRACEFUL_SHUTDOWN last: with LOCAL_PREF 0."},
    {"bgp.both_families", &config_bool, .default_text = "true", AT(both_families), CONFIG_NEXT_SESSION,
     "Offer IPv4 and IPv6 on the IPv4 sessions between nodes; the IPv6 session between two nodes is then used only "
     "if the other one does not take both. Otherwise each session carries the family of its addresses, as Calico's "
     "own nodes have it."},
    {"bgp.max_paths", &config_number, .min = 1, .max = 128, .default_text = "16", AT(max_paths), CONFIG_AT_ONCE,
     "How many equal routes are used side by side (ECMP), where no BGPConfiguration says another number."},
    {"bgp.add_path", &config_add_path, .default_text = "auto", AT(add_path), CONFIG_AT_ONCE,
     "Offer to receive and to send several paths of a prefix (ADD-PATH, RFC 7911), where no BGPPeer says so itself. "
     "auto receives from everyone, and sends as a route reflector to its clients, so that they see all nodes that "
     "announce a service. Sessions for which a change makes a difference start anew."},
    {"bgp.extended_messages", &config_bool, .default_text = "true", AT(extended_messages), CONFIG_NEXT_SESSION,
     "Offer messages of up to 65535 octets instead of 4096 (RFC 8654)."},
    {"bgp.service_cluster_ips", &config_prefix, .default_text = "none", .alias = "CALICO_ADVERTISE_CLUSTER_IPS",
     AT(service_cluster_ips), CONFIG_AT_ONCE,
     "The range of Services' cluster IPs to announce, instead of the BGPConfiguration's serviceClusterIPs."},

    {"bfd.mesh", &config_bool, .default_text = "false", AT(bfd_mesh), CONFIG_AT_ONCE,
     "Watch the nodes of the node-to-node mesh with BFD (RFC 5880): their sessions end within the detection time when "
     "a node or the way to it dies. All nodes of the mesh need it. A BGPPeer says it for itself, in spec.bfd."},
    {"bfd.transmit_interval", &config_number, .min = 10, .max = 60000, .default_text = "300", AT(bfd_transmit_interval),
     CONFIG_AT_ONCE,
     "Time between the BFD packets that this node wants to send, in milliseconds, where no BGPPeer says another. The "
     "slower of both sides' wishes counts."},
    {"bfd.receive_interval", &config_number, .min = 10, .max = 60000, .default_text = "300", AT(bfd_receive_interval),
     CONFIG_AT_ONCE,
     "The least time between the BFD packets that this node wants to receive, in milliseconds, where no BGPPeer says "
     "another."},
    {"bfd.detect_multiplier", &config_number, .min = 1, .max = 255, .default_text = "3", AT(bfd_multiplier),
     CONFIG_AT_ONCE,
     "So many BFD packets in a row may be lost before the other side declares this node dead, where no BGPPeer says "
     "another number."},

    {"kernel.programming", &config_bool, .default_text = "true", AT(programming), CONFIG_AT_ONCE,
     "Write routes to the kernel. A route reflector without workloads needs none."},
    {"kernel.workload_routes", &config_bool, .default_text = "true", AT(workload_routes), CONFIG_AT_ONCE,
     "Write the routes to workload interfaces, these interfaces' settings, and VXLAN. Switch it off beside a running "
     "Felix, which does this itself: then the kernel's routes to workloads are announced, with their metric as "
     "priority, and WorkloadEndpoint objects are not looked at."},
    {"kernel.onlink", &config_bool, .default_text = "true", AT(onlink), CONFIG_AT_ONCE,
     "Write gateways that are on a connected network with the flag onlink."},
    {"kernel.protocol", &config_number, .min = 5, .max = 255, .default_text = "186", AT(protocol), CONFIG_AT_ONCE,
     "Protocol number of the routes written; 186 is bgp. Routes in the kernel that carry it belong to this daemon, "
     "which removes those that nobody wants."},
    {"kernel.table", &config_number, .min = 1, .max = UINT32_MAX, .default_text = "254", AT(table), CONFIG_AT_ONCE,
     "Routing table to write to; 254 is main."},
    {"kernel.metric", &config_metric, .max = UINT32_MAX, .or_word = "priority", .default_text = "priority", AT(metric),
     CONFIG_AT_ONCE,
     "Metric of the routes written. priority gives each route its own, as Calico's nodes do since 3.32: 1024, or what "
     "LOCAL_PREF says; a number gives it to all, and 0 is what older nodes have."},
    {"kernel.elevated_priority", &config_number, .min = 1, .max = 2147483646, .default_text = "512",
     .alias = "FELIX_IPV4ELEVATEDROUTEPRIORITY", AT(elevated_priority), CONFIG_AT_ONCE,
     "Priority of the IPv4 routes of workloads that a live migration has brought here (a WorkloadEndpoint's "
     "liveMigration), until all have learnt of it: better than the normal one."},
    {"kernel.elevated_priority6", &config_number, .min = 1, .max = 2147483646, .default_text = "512",
     .alias = "FELIX_IPV6ELEVATEDROUTEPRIORITY", AT(elevated_priority6), CONFIG_AT_ONCE,
     "The same for their IPv6 routes."},
    {"kernel.migration_time", &config_seconds, .min = 1, .max = 3600, .default_text = "30",
     .alias = "FELIX_LIVEMIGRATIONROUTECONVERGENCETIME", AT(migration_time), CONFIG_AT_ONCE,
     "How long these routes keep that priority after the migration has ended, in seconds."},
    {"kernel.audit_interval", &config_number, .min = 1, .max = 86400, .or_word = "never", .default_text = "60",
     AT(audit_interval), CONFIG_AT_ONCE,
     "Time between comparisons with the whole kernel table, in seconds, for what notifications may have missed."},
    {"kernel.takeover", &config_takeover, .default_text = "none", AT(takeover), CONFIG_AT_ONCE,
     "Whose routes are taken over as if this daemon had written them: bird (protocol 12), felix (protocol 80, and 3 on "
     "interfaces of workloads and tunnels), or both, with a blank between them. They are replaced where this node "
     "wants "
     "a route, and removed where nobody does once the start is complete. Do not name what still runs; felix has no "
     "effect while kernel.workload_routes is "
     "false."},
    {"kernel.ipip_mtu", &config_number, .min = 576, .max = UINT16_MAX, .or_word = "auto", .default_text = "0",
     .alias = "FELIX_IPINIPMTU", AT(ipip_mtu), CONFIG_AT_ONCE,
     "MTU of tunl0. 0 takes that of the interface with the node's address, less the 20 octets of the outer header."},
    {"kernel.vxlan_mtu", &config_number, .min = 576, .max = UINT16_MAX, .or_word = "auto", .default_text = "0",
     .alias = "FELIX_VXLANMTU", AT(vxlan_mtu), CONFIG_AT_ONCE,
     "MTU of vxlan.calico. 0 takes that of the interface with the node's address, less 50 octets."},
    {"kernel.vxlan_mtu6", &config_number, .min = 1280, .max = UINT16_MAX, .or_word = "auto", .default_text = "0",
     .alias = "FELIX_VXLANMTUV6", AT(vxlan_mtu6), CONFIG_AT_ONCE,
     "MTU of vxlan-v6.calico. 0 takes that of the interface with the node's address, less 70 octets."},
    {"kernel.vxlan_vni", &config_number, .min = 1, .max = 16777215, .default_text = "4096", .alias = "FELIX_VXLANVNI",
     AT(vxlan_vni), CONFIG_AT_ONCE, "VXLAN network identifier; the same on all nodes."},
    {"kernel.vxlan_port", &config_number, .min = 1, .max = UINT16_MAX, .default_text = "4789",
     .alias = "FELIX_VXLANPORT", AT(vxlan_port), CONFIG_AT_ONCE, "UDP port of VXLAN; the same on all nodes."},
    {"kernel.interface_prefix", &config_interface, .max = 14, .default_text = "cali", .alias = "FELIX_INTERFACEPREFIX",
     .alias_is_list = true, AT(interface_prefix), CONFIG_AT_ONCE,
     "Interfaces whose names begin so belong to workloads. Of a list in the environment the first is used."},

    {"control.socket", &config_path, .max = SOCKET_LEN, .default_text = CONTROL_SOCKET, AT(control_socket),
     CONFIG_RESTART, "Unix socket on which calidris(8) talks to the daemon."},
    {"control.group", &config_name, .max = 32, .default_text = "", AT(control_group), CONFIG_RESTART,
     "Group that may use the control socket, by name or number. If empty only the daemon's own user and root may."},

    {"bmp.stations", &config_stations, .max = 4000, .default_text = "", AT(bmp_stations), CONFIG_AT_ONCE,
     "BMP stations to report to (RFC 7854): the daemon connects to each of them."},
    {"bmp.adj_rib_in", &config_adj_rib_in, .default_text = "pre-policy", AT(bmp_adj_rib_in), CONFIG_AT_ONCE,
     "Which of the peers' routes are reported: as they were received, as import policy left them, or both."},
    {"bmp.adj_rib_out", &config_bool, .default_text = "false", AT(bmp_adj_rib_out), CONFIG_AT_ONCE,
     "Report what each peer is sent (RFC 8671). With many peers that is much."},
    {"bmp.loc_rib", &config_bool, .default_text = "true", AT(bmp_loc_rib), CONFIG_AT_ONCE,
     "Report the selected routes (RFC 9069)."},
    {"bmp.statistics_interval", &config_number, .min = 1, .max = 86400, .or_word = "never", .default_text = "60",
     AT(bmp_statistics_interval), CONFIG_AT_ONCE, "Time between two statistics reports, in seconds."},
    {"bmp.connect_retry_time", &config_number, .min = 1, .max = UINT16_MAX, .default_text = "30",
     AT(bmp_connect_retry_time), CONFIG_AT_ONCE,
     "Time until a station that cannot be reached, or that was lost, is tried again, in seconds; doubled with each "
     "attempt."},
    {"bmp.connect_retry_max", &config_number, .min = 1, .max = UINT16_MAX, .default_text = "720",
     AT(bmp_connect_retry_max), CONFIG_AT_ONCE, "The longest time between two attempts, in seconds."},
    {"bmp.buffer", &config_number, .min = 65536, .max = 1073741824, .default_text = "16777216", AT(bmp_buffer),
     CONFIG_AT_ONCE,
     "How many octets are kept for stations that read slowly, for all of them together. The connection to one that "
     "falls "
     "behind by more is closed, and it is told everything anew."},

    {"mrt.table_interval", &config_number, .min = 1, .max = 604800, .or_word = "never", .default_text = "0",
     AT(mrt_table_interval), CONFIG_AT_ONCE,
     "Time between two dumps of all routes into files in MRT format, in seconds; at full multiples of it (UTC)."},
    {"mrt.table_file", &config_pattern, .max = 1024, .default_text = "/var/lib/calidris/rib.%Y%m%d-%H%M%S.mrt",
     AT(mrt_table_file), CONFIG_AT_ONCE,
     "Name of these files, with the time (UTC) put in as strftime(3) does. The directory must be there, and the "
     "daemon's "
     "user must be able to write to it."},
    {"mrt.table_keep", &config_number, .min = 1, .max = 100000, .or_word = "all", .default_text = "24",
     AT(mrt_table_keep), CONFIG_AT_ONCE,
     "How many of these files to keep: after each dump the oldest ones go that mrt.table_file can have named."},

    {"log.level", &config_level, .default_text = "info", .alias = "BGP_LOGSEVERITYSCREEN", AT(log_level),
     CONFIG_AT_ONCE,
     "Messages below this severity are not logged. Calico's names for severities are understood too. Where nothing is "
     "said "
     "here, logSeverityScreen of the BGPConfigurations counts."},

    {"user", &config_name, .max = 32, .default_text = "", AT(user), CONFIG_RESTART,
     "User to run as once everything is open; only what routing needs is kept of root's powers. If empty the user "
     "stays."},
};
const unsigned config_rows = sizeof config_schema / sizeof *config_schema;

const char *config_env_name(const struct config_row *row, char buf[static CONFIG_ENV_LEN])
{
	size_t n = sizeof CONFIG_ENV_PREFIX - 1;

	memcpy(buf, CONFIG_ENV_PREFIX, n);
	for (const char *c = row->path; *c && n < CONFIG_ENV_LEN - 1; c++)
		buf[n++] = *c == '.' ? '_' : (char)toupper((unsigned char)*c);
	buf[n] = '\0';
	return buf;
}

const char *config_effect_name(enum config_effect e)
{
	static const char *const names[] = {
	    [CONFIG_AT_ONCE] = "at once",
	    [CONFIG_NEXT_SESSION] = "with the next session",
	    [CONFIG_RESTART] = "after a restart",
	};

	return names[e];
}
