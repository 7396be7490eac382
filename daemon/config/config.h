/* The daemon's own configuration: one schema table (config_schema.c) drives parsing, validation, environment variables,
 * the dump, the effect of a reload, and the manual page's list.
 *
 * Precedence: option of the command line, environment variable, file, default. */
#ifndef DAEMON_CONFIG_CONFIG_H
#define DAEMON_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/addr.h"
#include "daemon/base/buf.h"
#include "daemon/base/log.h"
#include "datastore/objects.h"

#define BMP_IN_PRE_POLICY 1u
#define BMP_IN_POST_POLICY 2u

/* Where an address of this node is from. */
struct node_ip {
	enum node_ip_mode { NODE_IP_OBJECT, NODE_IP_AUTO, NODE_IP_DETECT, NODE_IP_NONE, NODE_IP_FIXED } mode;
	struct host_addr addr; /* NODE_IP_FIXED; len 0: what the interface has it in */
};

struct config {
	/* node.* */
	char *node_name; /* node.name, NODENAME; default: CALICO_NODENAME_FILE's content, then the host name, lower case
			  */
	struct node_ip node_ip, node_ip6; /* node.ip, IP; node.ip6, IP6 */
	char *detection, *detection6;	  /* node.ip_autodetection_method, ...6: see detect.h */
	unsigned detection_interval;	  /* s */
	char *kubernetes_name;		  /* node.kubernetes_name, CALICO_K8S_NODE_REF; "": node_name */
	uint32_t node_as;		  /* node.as, AS: instead of the Node object's; 0: from the objects */
	/* datastore.* */
	char *datastore_type;		       /* datastore.type, DATASTORE_TYPE: "file", "etcdv3", "kubernetes" */
	char *datastore_directory;	       /* datastore.directory */
	char *datastore_secrets;	       /* datastore.secrets */
	char *datastore_cache;		       /* datastore.cache; "" none */
	char *etcd_endpoints, *etcd_discovery; /* datastore.etcd.endpoints; and so on, "" unset */
	char *etcd_ca_file, *etcd_cert_file, *etcd_key_file, *etcd_username, *etcd_password;
	/* datastore.kubernetes.*; texts are "" if they are unset */
	char *kube_config, *kube_server, *kube_ca_file, *kube_cert_file, *kube_key_file, *kube_token_file;
	char *kube_api_group, *kube_namespace;
	bool kube_insecure, kube_pod_cidr;
	/* bgp.* */
	char *router_id;      /* bgp.router_id, CALICO_ROUTER_ID: "auto" (the node's IPv4), "hash" or an IPv4 literal */
	unsigned listen_port; /* bgp.listen_port: used when BGPConfiguration says none */
	unsigned hold_time, keepalive_time, send_hold_time;	    /* s; the latter two 0: made of the hold time */
	unsigned connect_retry_time, idle_hold_time, idle_hold_max; /* s */
	bool graceful_restart;					    /* bgp.graceful_restart.enabled */
	unsigned restart_time;					    /* bgp.graceful_restart.restart_time, s */
	unsigned llgr_time;		   /* bgp.graceful_restart.long_lived_stale_time, s; 0 none */
	bool graceful_shutdown;		   /* bgp.graceful_shutdown.announce */
	bool shutdown_on_drain;		   /* bgp.graceful_shutdown.on_drain */
	bool honour_graceful_shutdown;	   /* bgp.graceful_shutdown.honour */
	bool both_families;		   /* bgp.both_families: offer IPv4 and IPv6 on every session */
	unsigned max_paths;		   /* bgp.max_paths */
	enum add_path_mode add_path;	   /* bgp.add_path: where no BGPPeer says another */
	bool extended_messages;		   /* bgp.extended_messages */
	struct prefix service_cluster_ips; /* bgp.service_cluster_ips; none: from the BGPConfiguration */
	/* bfd.* */
	bool bfd_mesh;
	unsigned bfd_transmit_interval, bfd_receive_interval; /* ms */
	unsigned bfd_multiplier;			      /* bfd.detect_multiplier */
	/* kernel.* */
	bool programming, workload_routes, onlink;
	unsigned protocol, table;
	int64_t metric;				  /* kernel.metric: "priority" (-1) or a number */
	unsigned audit_interval;		  /* s, 0 off */
	unsigned ipip_mtu, vxlan_mtu, vxlan_mtu6; /* 0: from the uplink */
	unsigned vxlan_vni, vxlan_port;
	unsigned takeover;				/* bits of enum fib_owner */
	unsigned elevated_priority, elevated_priority6; /* kernel.elevated_priority, ...6 */
	unsigned migration_time;			/* s */
	char *interface_prefix;				/* FELIX_INTERFACEPREFIX's first element */
	/* control.* */
	char *control_socket, *control_group;
	/* bmp.* */
	char *bmp_stations;	 /* endpoints, see endpoint.h; "" none */
	unsigned bmp_adj_rib_in; /* set of BMP_IN_* */
	bool bmp_adj_rib_out, bmp_loc_rib;
	unsigned bmp_statistics_interval;			/* s, 0 never */
	unsigned bmp_connect_retry_time, bmp_connect_retry_max; /* s */
	unsigned bmp_buffer;					/* octets */
	/* mrt.* */
	unsigned mrt_table_interval; /* s, 0 never */
	char *mrt_table_file;	     /* a pattern, see mrt_schedule.h */
	unsigned mrt_table_keep;     /* files, 0 all */
	/* log.* */
	enum log_level log_level; /* log.level; BGP_LOGSEVERITYSCREEN's values are understood too */
	/* privileges: user to run as after start, "" none */
	char *user;
	/* Where each value came from, in the order of the schema: "default", "FILE:LINE", "environment variable IP". */
	char **origin;
};

/* What a changed key needs to take effect, in rising order. */
enum config_effect { CONFIG_AT_ONCE, CONFIG_NEXT_SESSION, CONFIG_RESTART };

/* Reads a file (NULL: defaults and environment only). On success the caller owns *c. On failure false, and err holds
 * one line per problem, "file:line:column: key: reason". A missing file is an error only if `must_exist`. */
bool config_load(struct config *c, const char *file, bool must_exist, struct strbuf *err);
void config_free(struct config *c);
/* Looks for variables that resemble those of keys, and are none: a line for each. Others that begin as ours do are no
 * mistake: a Service named "calidris" gives its namespace's containers CALIDRIS_PORT and more. */
void config_check_variables(const char *const *environment, struct strbuf *out);
/* Sets one key from text, as an option of the command line does; origin says so in the dump. False with a line in err
 * if the text is not allowed. */
bool config_set(struct config *c, const char *path, const char *text, const char *origin, struct strbuf *err);
/* Has nobody said anything about the key, so that it has its default? */
bool config_is_default(const struct config *c, const char *key);
/* A severity by our name or Calico's. */
bool config_level_parse(const char *text, enum log_level *level);
/* The effective configuration as a file that reads back identically; with a comment per key saying where the value
 * came from (default, file:line, environment variable). */
void config_dump(const struct config *c, struct strbuf *out);
/* Calls back for each key that differs: "kernel.metric", old text, new text, its effect. */
void config_diff(const struct config *a, const struct config *b,
		 void (*cb)(void *arg, const char *key, const char *before, const char *after,
			    enum config_effect effect),
		 void *arg);
/* Before fresh takes the place of running: what only a restart changes changes places, so that it stays in force. */
void config_keep(struct config *fresh, struct config *running);
/* The keys as mdoc list items, for the manual page, and as a commented example file. */
void config_mdoc(struct strbuf *out);
void config_example(struct strbuf *out);

#endif
