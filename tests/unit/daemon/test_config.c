/* The configuration: every row of the schema, by file, by environment, by default; errors with their places; the
 * committed example and manual page against what the schema says. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/mem.h"
#include "daemon/config/config.h"
#include "daemon/config/config_schema.h"
#include "fib/fib.h"

static char dir[] = "/tmp/calidris-config-XXXXXX";
static char file[64];

static void setup(void)
{
	char env[CONFIG_ENV_LEN];

	for (unsigned i = 0; i < config_rows; i++) {
		unsetenv(config_env_name(&config_schema[i], env));
		if (config_schema[i].alias)
			unsetenv(config_schema[i].alias);
	}
	unsetenv("CALICO_NODENAME_FILE");
	strcpy(dir, "/tmp/calidris-config-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(file, sizeof file, "%s/c.yaml", dir);
}

static void teardown(void)
{
	unlink(file);
	rmdir(dir);
}

static void write_file(const char *text)
{
	FILE *f = fopen(file, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

/* Loads the text and expects it to be good. */
static struct config load_good(const char *text)
{
	struct strbuf err = {0};
	struct config c;

	write_file(text);
	ck_assert_msg(config_load(&c, file, true, &err), "%s", err.s);
	strbuf_free(&err);
	return c;
}

/* Loads the text, expects it to be refused, and returns the error without the directory's name. */
static char *load_bad(const char *text)
{
	struct strbuf err = {0}, out = {0};
	struct config c;
	char *at, *from;

	write_file(text);
	ck_assert(!config_load(&c, file, true, &err));
	for (from = err.s; (at = strstr(from, dir)); from = at + strlen(dir) + 1)
		strbuf_add(&out, from, (size_t)(at - from));
	strbuf_puts(&out, from);
	strbuf_free(&err);
	return out.s;
}

static unsigned row_of(const char *path)
{
	for (unsigned i = 0; i < config_rows; i++)
		if (strcmp(config_schema[i].path, path) == 0)
			return i;
	ck_abort_msg("no key %s", path);
	return 0;
}

static char *value_of(const struct config *c, const char *path)
{
	const struct config_row *r = &config_schema[row_of(path)];
	struct strbuf out = {0};

	strbuf_puts(&out, "");
	r->type->format(r, config_field_const(c, r), &out);
	return out.s;
}

static void expect(const struct config *c, const char *path, const char *want)
{
	char *have = value_of(c, path);

	ck_assert_msg(strcmp(have, want) == 0, "%s is \"%s\", not \"%s\"", path, have, want);
	free(have);
}

/* A file that sets one key: "a:\n  b:\n    c: VALUE\n". */
static char *file_with(const char *path, const char *value)
{
	struct strbuf out = {0};
	unsigned depth = 0;
	const char *dot;

	for (; (dot = strchr(path, '.')); path = dot + 1)
		strbuf_printf(&out, "%*s%.*s:\n", (int)(2 * depth++), "", (int)(dot - path), path);
	strbuf_printf(&out, "%*s%s: %s\n", (int)(2 * depth), "", path, value);
	return out.s;
}

static const struct {
	const char *path, *text, *reads_as, *bad[8];
} samples[] = {
    {"node.name", "node-7", "node-7", {"\"two words\"", "a/b"}},
    {"node.kubernetes_name", "ip-10-0-0-7.internal", "ip-10-0-0-7.internal", {"\"two words\"", "a/b"}},
    {"node.ip", "10.1.2.3", "10.1.2.3", {"fd00::1", "10.1.2", "127.0.0.1", "224.0.0.5", "detect"}},
    {"node.ip6", "fd00:0::1/64", "fd00::1/64", {"10.1.2.3", "ff02::1", "::1"}},
    {"node.ip_autodetection_method",
     "interface=eth.*,^ens",
     "interface=eth.*,^ens",
     {"first", "interface", "interface=(", "interface=", "cidr=x", "can-reach=10.0.0", "first-found="}},
    {"node.ip6_autodetection_method",
     "can-reach=fd00::1",
     "can-reach=fd00::1",
     {"kubernetes-internal-ip=1", "skip-interface=a,[", "cidr=10.0.0.0/8,,::/0"}},
    {"node.autodetection_interval", "1m30s", "90", {"0", "0s", "25h", "5x", "s", "1s1m", "-1s", "1.5s"}},
    {"node.as", "1.14", "65550", {"4294967296", "1.65536", "-1", "65536.1"}},
    {"datastore.type", "etcd", "etcdv3", {"File", "etcdv2"}},
    {"datastore.directory", "/srv/objects", "/srv/objects", {"objects", "\"/a\\tb\""}},
    {"datastore.secrets", "/srv/objects", "/srv/objects", {"objects", "\"/a\\tb\""}},
    {"datastore.cache", "None", "none", {"cache", "\"/a\\tb\""}},
    {"datastore.etcd.endpoints",
     "https://a:2379,http://[fd00::1]:2379/",
     "https://a:2379,http://[fd00::1]:2379/",
     {"a:2379", "https://", "http://a,,ftp://b", "\"\""}},
    {"datastore.etcd.discovery_srv", "cluster.example", "cluster.example", {"two words", "a/b"}},
    {"datastore.etcd.ca_file", "/pki/ca.pem", "/pki/ca.pem", {"ca.pem"}},
    {"datastore.etcd.cert_file", "/pki/node.pem", "/pki/node.pem", {"./node.pem"}},
    {"datastore.etcd.key_file", "/pki/node.key", "/pki/node.key", {"node.key"}},
    {"datastore.etcd.username", "calico", "calico", {"\"a b\""}},
    {"datastore.etcd.password", "secret", "********", {"\"a\\tb\""}},
    {"datastore.kubernetes.kubeconfig", "/root/.kube/config", "/root/.kube/config", {"config"}},
    {"datastore.kubernetes.server",
     "https://10.96.0.1:443",
     "https://10.96.0.1:443",
     {"10.96.0.1:443", "ftp://x", "https://a,https://b", "\"\""}},
    {"datastore.kubernetes.ca_file", "/etc/ca.pem", "/etc/ca.pem", {"ca.pem"}},
    {"datastore.kubernetes.cert_file", "/etc/cert.pem", "/etc/cert.pem", {"cert.pem"}},
    {"datastore.kubernetes.key_file", "/etc/key.pem", "/etc/key.pem", {"key.pem"}},
    {"datastore.kubernetes.token_file", "/etc/token", "/etc/token", {"token"}},
    {"datastore.kubernetes.insecure", "true", "true", {"maybe"}},
    {"datastore.kubernetes.api_group", "projectcalico.org/v3", "projectcalico.org/v3", {"projectcalico.org/v1", "v3"}},
    {"datastore.kubernetes.namespace", "calico-system", "calico-system", {"a/b", "\"a b\""}},
    {"datastore.kubernetes.use_pod_cidr", "true", "true", {"maybe"}},
    {"bgp.router_id", "10.9.9.9", "10.9.9.9", {"0.0.0.0", "fd00::1", "automatic"}},
    {"bgp.listen_port", "1790", "1790", {"0", "65536", "bgp"}},
    {"bgp.hold_time", "9", "9", {"1", "2", "65536", "90s"}},
    {"bgp.keepalive_time", "3", "3", {"21846", "-3"}},
    {"bgp.send_hold_time", "5", "5", {"65536", "never"}},
    {"bgp.connect_retry_time", "7", "7", {"0", "x"}},
    {"bgp.idle_hold_time", "2", "2", {"0"}},
    {"bgp.idle_hold_max", "60", "60", {"0", "99999"}},
    {"bgp.graceful_restart.enabled", "off", "false", {"maybe", "0"}},
    {"bgp.graceful_restart.restart_time", "4095", "4095", {"4096", "0"}},
    {"bgp.graceful_restart.long_lived_stale_time", "86400", "86400", {"16777216", "1d"}},
    {"bgp.graceful_shutdown.announce", "yes", "true", {"1"}},
    {"bgp.graceful_shutdown.on_drain", "no", "false", {"maybe"}},
    {"bgp.graceful_shutdown.honour", "no", "false", {"never"}},
    {"bgp.both_families", "no", "false", {"2"}},
    {"bgp.max_paths", "1", "1", {"0", "129"}},
    {"bgp.add_path", "Both", "both", {"on", "yes", "2"}},
    {"bgp.extended_messages", "off", "false", {"65535"}},
    {"bgp.service_cluster_ips", "10.96.0.1/12", "10.96.0.0/12", {"10.96.0.0/33", "x", "127.0.0.0/8"}},
    {"bfd.mesh", "yes", "true", {"up"}},
    {"bfd.transmit_interval", "50", "50", {"9", "60001", "50ms"}},
    {"bfd.receive_interval", "60000", "60000", {"0", "60001"}},
    {"bfd.detect_multiplier", "5", "5", {"0", "256"}},
    {"kernel.programming", "No", "false", {"none"}},
    {"kernel.workload_routes", "false", "false", {"felix"}},
    {"kernel.onlink", "off", "false", {"1"}},
    {"kernel.protocol", "80", "80", {"4", "256"}},
    {"kernel.table", "100", "100", {"0", "main", "4294967296"}},
    {"kernel.metric", "0", "0", {"-1", "4294967296", "high"}},
    {"kernel.elevated_priority", "256", "256", {"0", "2147483647", "normal"}},
    {"kernel.elevated_priority6", "600", "600", {"0", "-1"}},
    {"kernel.migration_time", "2m", "120", {"0", "3601", "2d"}},
    {"kernel.audit_interval", "0", "0", {"86401"}},
    {"kernel.takeover", "felix", "felix", {"all", "bird;felix", "birds", "12"}},
    {"kernel.ipip_mtu", "1440", "1440", {"575", "65536", "big"}},
    {"kernel.vxlan_mtu", "1410", "1410", {"575", "65536", "big"}},
    {"kernel.vxlan_mtu6", "1390", "1390", {"1279", "65536", "big"}},
    {"kernel.vxlan_vni", "4097", "4097", {"0", "16777216", "x"}},
    {"kernel.vxlan_port", "8472", "8472", {"0", "65536", "x"}},
    {"kernel.interface_prefix", "tap", "tap", {"\"\"", "a/b", "fifteen-letters", "\"cali,tap\""}},
    {"control.socket", "/tmp/c.sock", "/tmp/c.sock", {"c.sock", "\"\""}},
    {"control.group", "wheel", "wheel", {"\"a b\""}},
    {"bmp.stations",
     "10.0.0.9:11019 [fd00::9]:11019",
     "10.0.0.9:11019 [fd00::9]:11019",
     {"10.0.0.9", "10.0.0.9:0", "10.0.0.9:1 10.0.0.9:1", "\"[fe80::1]:5\""}},
    {"bmp.adj_rib_in", "Both", "both", {"pre", "true"}},
    {"bmp.adj_rib_out", "on", "true", {"post-policy"}},
    {"bmp.loc_rib", "off", "false", {"filtered"}},
    {"bmp.statistics_interval", "never", "0", {"86401"}},
    {"bmp.connect_retry_time", "5", "5", {"0", "65536"}},
    {"bmp.connect_retry_max", "60", "60", {"0", "65536"}},
    {"bmp.buffer", "65536", "65536", {"65535", "1073741825", "4M"}},
    {"mrt.table_interval", "7200", "7200", {"604801", "often"}},
    {"mrt.table_file",
     "/srv/mrt/rib.%Y%j.mrt",
     "/srv/mrt/rib.%Y%j.mrt",
     {"rib.mrt", "/srv/%Y/rib", "/srv/rib.%N", "/srv/.rib"}},
    {"mrt.table_keep", "All", "0", {"100001"}},
    {"log.level", "Warn", "warning", {"loud", "7"}},
    {"user", "calidris", "calidris", {"a:b c"}},
};
#define SAMPLES (sizeof samples / sizeof *samples)

START_TEST(every_row_has_samples)
{
	ck_assert_uint_eq(SAMPLES, config_rows);
	for (unsigned i = 0; i < config_rows; i++)
		ck_assert_str_eq(samples[i].path, config_schema[i].path);
}
END_TEST

START_TEST(defaults_are_what_the_schema_says)
{
	struct strbuf err = {0};
	struct config c;

	ck_assert_msg(config_load(&c, NULL, false, &err), "%s", err.s);
	for (unsigned i = 0; i < config_rows; i++) {
		if (config_schema[i].default_note)
			continue;
		expect(&c, config_schema[i].path, config_schema[i].default_text);
		ck_assert_str_eq(c.origin[i], "default");
	}
	/* What the code that uses it depends on. */
	ck_assert_uint_eq(c.hold_time, 90);
	ck_assert_uint_eq(c.restart_time, 120);
	ck_assert_uint_eq(c.protocol, 186);
	ck_assert_uint_eq(c.table, 254);
	ck_assert_int_eq(c.metric, -1);
	ck_assert(c.node_ip.mode == NODE_IP_AUTO && c.node_ip6.mode == NODE_IP_OBJECT);
	ck_assert(c.programming && c.workload_routes && c.onlink && c.graceful_restart && c.both_families);
	ck_assert_int_eq(c.log_level, LOG_LVL_INFO);
	ck_assert_str_eq(c.interface_prefix, "cali");
	config_free(&c);
}
END_TEST

START_TEST(row_from_file)
{
	char *text = file_with(samples[_i].path, samples[_i].text), *origin;
	struct config c = load_good(text);

	expect(&c, samples[_i].path, samples[_i].reads_as);
	origin = c.origin[_i];
	ck_assert_msg(strncmp(origin, file, strlen(file)) == 0 && origin[strlen(file)] == ':', "%s", origin);
	/* Nothing else changed. */
	for (unsigned i = 0; i < config_rows; i++)
		if (i != (unsigned)_i && !config_schema[i].default_note)
			expect(&c, config_schema[i].path, config_schema[i].default_text);
	config_free(&c);
	free(text);
}
END_TEST

START_TEST(row_from_environment)
{
	/* The file says something else, and loses. */
	char *text =
	    file_with(samples[_i].path, config_schema[_i].default_note ? "other" : config_schema[_i].default_text);
	char env[CONFIG_ENV_LEN], *want;
	struct config c;

	ck_assert_int_eq(setenv(config_env_name(&config_schema[_i], env), samples[_i].text, 1), 0);
	c = load_good(*config_schema[_i].default_text ? text : "");
	expect(&c, samples[_i].path, samples[_i].reads_as);
	want = mem_printf("environment variable %s", env);
	ck_assert_str_eq(c.origin[_i], want);
	config_free(&c);
	free(want);
	free(text);
}
END_TEST

START_TEST(row_refuses)
{
	const struct config_row *r = &config_schema[_i];
	char env[CONFIG_ENV_LEN], *err, *want;

	for (unsigned k = 0; k < 4 && samples[_i].bad[k]; k++) {
		char *text = file_with(r->path, samples[_i].bad[k]);
		struct strbuf allowed = {0};
		err = load_bad(text);
		r->type->allowed(r, &allowed);
		want = mem_printf("is not allowed; allowed: %s\n", allowed.s);
		ck_assert_msg(strncmp(err, "c.yaml:", 7) == 0, "%s", err);
		ck_assert_msg(strstr(err, r->path) && strstr(err, want), "%s: %s", text, err);
		ck_assert_msg(strchr(err, '\n') == err + strlen(err) - 1, "more than one line: %s", err);
		strbuf_free(&allowed);
		free(want);
		free(err);
		free(text);
	}
	/* A list and a section are of the wrong type everywhere. */
	for (unsigned k = 0; k < 2; k++) {
		char *text = file_with(r->path, k ? "{a: b}" : "[a, b]");
		err = load_bad(text);
		ck_assert_msg(strstr(err, k ? ": a section is not allowed" : ": a list is not allowed"), "%s", err);
		free(err);
		free(text);
	}
	setenv(config_env_name(r, env), "\x01 certainly, wrong/", 1);
	err = load_bad("");
	want = mem_printf("environment variable %s: %s: \"? certainly", env, r->path);
	ck_assert_msg(strncmp(err, want, strlen(want)) == 0, "%s", err);
	free(want);
	free(err);
}
END_TEST

START_TEST(calico_names)
{
	struct config c;

	setenv("NODENAME", "n1", 1);
	setenv("IP", "10.0.0.5/24", 1);
	setenv("IP6", "autodetect", 1);
	setenv("AS", "64999", 1);
	setenv("CALICO_ROUTER_ID", "hash", 1);
	setenv("BGP_LOGSEVERITYSCREEN", "Fatal", 1);
	setenv("FELIX_INTERFACEPREFIX", "eni,cali", 1);
	setenv("DATASTORE_TYPE", "", 1); /* empty: unset */
	c = load_good("node:\n  name: from-file\n  ip6: fd00::9\n");
	expect(&c, "node.name", "n1");
	expect(&c, "node.ip", "10.0.0.5/24");
	expect(&c, "node.ip6", "autodetect");
	expect(&c, "node.as", "64999");
	expect(&c, "bgp.router_id", "hash");
	expect(&c, "log.level", "error");
	expect(&c, "kernel.interface_prefix", "eni");
	expect(&c, "datastore.type", "file");
	config_free(&c);
	/* Our own name wins over Calico's. */
	setenv("CALIDRIS_NODE_NAME", "n2", 1);
	c = load_good("");
	expect(&c, "node.name", "n2");
	ck_assert_str_eq(c.origin[row_of("node.name")], "environment variable CALIDRIS_NODE_NAME");
	config_free(&c);
}
END_TEST

/* Slips are told; names that only begin like ours, or belong to something else, are not. */
START_TEST(variables_that_are_no_keys)
{
	const char *environment[] = {"CALIDRIS_BGP_HOLD_TME=30",
				     "CALIDRIS_BPG_LISTEN_PORT=180",
				     "CALIDRIS_NODENAME=n1",
				     "CALIDRIS_BGP_HOLD_TIME=30",
				     "CALIDRIS_SOCKET=/s",
				     "CALIDRIS_PORT=tcp://10.0.0.1:179",
				     "CALIDRIS_SERVICE_HOST=10.1",
				     "CALIDRIS_SEED=1",
				     "IP=10.0.0.1",
				     "CALIDRIS_",
				     "CALIDRIS_LOG_LEVL\x01",
				     NULL};
	struct strbuf out = {0};

	config_check_variables(environment, &out);
	ck_assert_str_eq(out.s,
			 "environment variable CALIDRIS_BGP_HOLD_TME: is no key's, and has no effect; did you "
			 "mean CALIDRIS_BGP_HOLD_TIME\n"
			 "environment variable CALIDRIS_BPG_LISTEN_PORT: is no key's, and has no effect; did you "
			 "mean CALIDRIS_BGP_LISTEN_PORT\n"
			 "environment variable CALIDRIS_NODENAME: is no key's, and has no effect; did you mean "
			 "CALIDRIS_NODE_NAME\n"
			 "environment variable CALIDRIS_LOG_LEVL?: is no key's, and has no effect; did you mean "
			 "CALIDRIS_LOG_LEVEL\n");
	strbuf_free(&out);
}
END_TEST

START_TEST(node_name_is_found)
{
	char host[256] = "", *name_file = mem_printf("%s/nodename", dir);
	struct config c = load_good("");
	FILE *f;

	gethostname(host, sizeof host - 1);
	for (char *p = host; *p; p++)
		*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
	expect(&c, "node.name", host);
	ck_assert_str_eq(c.origin[row_of("node.name")], "host name");
	config_free(&c);
	f = fopen(name_file, "w");
	ck_assert_ptr_nonnull(f);
	fputs("\n  Node-From-File \nsecond line\n", f);
	fclose(f);
	setenv("CALICO_NODENAME_FILE", name_file, 1);
	c = load_good("");
	expect(&c, "node.name", "Node-From-File");
	config_free(&c);
	unlink(name_file);
	c = load_good("");
	expect(&c, "node.name", host);
	config_free(&c);
	free(name_file);
}
END_TEST

static const struct {
	const char *text, *error;
} refused[] = {
    {"bgp:\n  hold_tiem: 90\n", "c.yaml:2:3: bgp.hold_tiem: unknown key; did you mean bgp.hold_time\n"},
    {"hold_time: 90\n", "c.yaml:1:1: hold_time: unknown key; did you mean bgp.hold_time\n"},
    {"kernel:\n  group: x\n", "c.yaml:2:3: kernel.group: unknown key; did you mean control.group\n"},
    {"kernal:\n  metric: 0\n", "c.yaml:1:1: kernal: unknown key; calidris.yaml(5) lists the known ones\n"},
    {"bgp.hold_time: 9\n", "c.yaml:1:1: bgp.hold_time: unknown key; did you mean bgp.hold_time\n"},
    {"bgp: 5\n", "c.yaml:1:1: bgp: is a section: its keys belong below it, indented\n"},
    {"bgp:\n  graceful_restart: off\n",
     "c.yaml:2:3: bgp.graceful_restart: is a section: its keys belong below it, indented\n"},
    {"log:\n  level: info\n  level: debug\n",
     "c.yaml:3:3: log.level: stands here a second time; only once is allowed\n"},
    {"log:\n  level: info\nuser: a\nlog:\n", "c.yaml:4:1: log: stands here a second time; only once is allowed\n"},
    {"- a\n", "c.yaml:1:1: sections and keys are expected, \"bgp:\" and the like\n"},
    {"user: a\n---\nuser: b\n", "c.yaml:3:1: a second document is not allowed\n"},
    {"bgp:\n  hold_time: 10\n  keepalive_time: 10\n",
     "bgp.keepalive_time: 10 is not allowed; allowed: less than bgp.hold_time, which is 10\n"},
    {"bgp:\n  idle_hold_time: 31\n",
     "bgp.idle_hold_max: 30 is not allowed; allowed: bgp.idle_hold_time, which is 31, or more\n"},
    /* Everything that is wrong is said at once. */
    {"bgp:\n  hold_time: 2\n  listen_port: [179]\nnode:\n  nam: x\n",
     "c.yaml:2:14: bgp.hold_time: \"2\" is not allowed; allowed: 0 (never), or a number from 3 to 65535\n"
     "c.yaml:3:16: bgp.listen_port: a list is not allowed; allowed: a number from 1 to 65535\n"
     "c.yaml:5:3: node.nam: unknown key; did you mean node.name\n"},
};

START_TEST(errors_name_their_place)
{
	char *err = load_bad(refused[_i].text);

	ck_assert_str_eq(err, refused[_i].error);
	free(err);
}
END_TEST

START_TEST(syntax_error_has_a_place)
{
	char *err = load_bad("bgp:\n  hold_time: [1\nuser: x\n");

	ck_assert_msg(strncmp(err, "c.yaml:3:", 9) == 0, "%s", err);
	free(err);
}
END_TEST

START_TEST(file_missing)
{
	struct strbuf err = {0};
	struct config c;

	unlink(file);
	ck_assert(config_load(&c, file, false, &err));
	config_free(&c);
	ck_assert(!config_load(&c, file, true, &err));
	ck_assert_ptr_nonnull(strstr(err.s, "c.yaml: cannot be read: No such file or directory\n"));
	strbuf_reset(&err);
	ck_assert(!config_load(&c, dir, false, &err));
	ck_assert_ptr_nonnull(strstr(err.s, "cannot be read: Is a directory\n"));
	strbuf_free(&err);
}
END_TEST

START_TEST(an_option_goes_before_all_else)
{
	struct strbuf err = {0}, out = {0};
	struct config c;

	setenv("CALIDRIS_KERNEL_TAKEOVER", "bird", 1);
	ck_assert(config_load(&c, NULL, false, &err));
	ck_assert(config_set(&c, "kernel.takeover", "felix", "option --takeover", &err));
	ck_assert_uint_eq(c.takeover, FIB_OWNER_FELIX);
	config_dump(&c, &out);
	ck_assert_ptr_nonnull(strstr(out.s, "option --takeover"));
	ck_assert(!config_set(&c, "kernel.takeover", "dog", "option --takeover", &err));
	ck_assert_str_eq(err.s,
			 "option --takeover: kernel.takeover: \"dog\" is not allowed; allowed: none, bird, felix, or "
			 "several with blanks between\n");
	ck_assert_uint_eq(c.takeover, FIB_OWNER_FELIX);
	unsetenv("CALIDRIS_KERNEL_TAKEOVER");
	config_free(&c);
	strbuf_free(&err);
	strbuf_free(&out);
}
END_TEST

START_TEST(file_too_large)
{
	char *text = mem_alloc(1100001);
	char *err;

	memset(text, '#', 1100000);
	text[1100000] = '\0';
	err = load_bad(text);
	ck_assert_str_eq(err, "c.yaml: cannot be read: File too large\n");
	free(err);
	free(text);
}
END_TEST

START_TEST(keys_without_value_are_defaults)
{
	struct config c = load_good("bgp:\nkernel:\n  metric:\n  table: ~\nlog: {}\n");

	expect(&c, "kernel.metric", "priority");
	expect(&c, "kernel.table", "254");
	config_free(&c);
}
END_TEST

/* The dump without its comments. */
static char *dump_values(const struct config *c)
{
	struct strbuf out = {0}, bare = {0};

	config_dump(c, &out);
	for (char *line = strtok(out.s, "\n"); line; line = strtok(NULL, "\n")) {
		char *comment = strstr(line, " #");
		strbuf_add(&bare, line, comment ? (size_t)(comment - line) : strlen(line));
		strbuf_putc(&bare, '\n');
	}
	strbuf_free(&out);
	return bare.s;
}

static void check_dump_reads_back(const struct config *c)
{
	struct strbuf out = {0};
	char *before = dump_values(c), *after;
	struct config again;

	config_dump(c, &out);
	again = load_good(out.s);
	after = dump_values(&again);
	ck_assert_str_eq(before, after);
	config_free(&again);
	strbuf_free(&out);
	free(before);
	free(after);
}

START_TEST(dump_reads_back)
{
	struct config c = load_good("");

	check_dump_reads_back(&c);
	config_free(&c);
	c = load_good("node: {name: 'null', ip6: 'fd00::', as: 1}\nkernel: {metric: 7, interface_prefix: \"no\"}\n"
		      "datastore: {directory: '/a b/\"c\" #d: e\\f'}\nuser: 'yes'\ncontrol: {group: '~'}\n");
	check_dump_reads_back(&c);
	expect(&c, "datastore.directory", "/a b/\"c\" #d: e\\f");
	config_free(&c);
	/* And every sample. */
	for (unsigned i = 0; i < SAMPLES; i++) {
		char *text = file_with(samples[i].path, samples[i].text);
		c = load_good(text);
		check_dump_reads_back(&c);
		config_free(&c);
		free(text);
	}
}
END_TEST

START_TEST(dump_says_where_from)
{
	static const char *const lines[][2] = {
	    {"  as: 65001", "environment variable AS\n"},
	    {"  hold_time: 9", "/tmp/calidris-config-"},
	    {"  listen_port: 179", "default\n"},
	};
	struct config c;
	struct strbuf out = {0};

	setenv("AS", "65001", 1);
	c = load_good("bgp:\n  hold_time: 9\n");
	config_dump(&c, &out);
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		char *want = mem_printf("\n%-44s# %s", lines[i][0], lines[i][1]);
		ck_assert_msg(strstr(out.s, want) != NULL, "no \"%s\" in\n%s", want, out.s);
		free(want);
	}
	ck_assert_ptr_nonnull(strstr(out.s, "c.yaml:2\n"));
	strbuf_free(&out);
	config_free(&c);
}
END_TEST

static void note_diff(void *arg, const char *key, const char *before, const char *after, enum config_effect effect)
{
	strbuf_printf(arg, "%s %s->%s %s\n", key, before, after, config_effect_name(effect));
}

START_TEST(diff_names_what_changed)
{
	struct config a = load_good("user: a\nlog: {level: debug}\n"), b = load_good("user: a\nbgp: {hold_time: 9}\n");
	struct strbuf out = {0};

	config_diff(&a, &a, note_diff, &out);
	ck_assert_uint_eq(out.len, 0);
	config_diff(&a, &b, note_diff, &out);
	ck_assert_str_eq(out.s, "bgp.hold_time 90->9 with the next session\nlog.level debug->info at once\n");
	strbuf_free(&out);
	config_free(&a);
	config_free(&b);
}
END_TEST

static void note_restart(void *arg, const char *key, const char *before, const char *after, enum config_effect effect)
{
	ck_assert_msg(effect != CONFIG_RESTART, "%s: %s -> %s", key, before, after);
	++*(unsigned *)arg;
}

/* Of a fresh configuration only that takes effect which needs no restart; nothing is lost or freed twice. */
START_TEST(what_needs_a_restart_stays)
{
	static const char *const text =
	    "node: {name: a, as: 65001}\nuser: somebody\nbgp: {hold_time: 9}\ncontrol: {group: g}\n"
	    "datastore: {directory: /a, etcd: {password: p}}\n";
	struct config running = load_good(text), same = load_good(text), fresh = load_good("");
	struct strbuf out = {0};
	unsigned changes = 0;

	config_keep(&fresh, &running);
	config_diff(&same, &fresh, note_restart, &changes);
	ck_assert_uint_eq(changes, 2);
	ck_assert_str_eq(fresh.node_name, "a");
	ck_assert_str_eq(fresh.etcd_password, "p");
	ck_assert_str_eq(fresh.control_group, "g");
	ck_assert_uint_eq(fresh.hold_time, 90);
	config_dump(&fresh, &out);
	ck_assert_ptr_nonnull(strstr(out.s, "c.yaml:1\n"));
	strbuf_free(&out);
	config_free(&running);
	config_free(&same);
	config_free(&fresh);
}
END_TEST

/* A file of the source tree; tests are run from its top. */
static char *read_source(const char *path)
{
	struct strbuf out = {0};
	char block[4096];
	FILE *f = fopen(path, "r");
	size_t n;

	ck_assert_msg(f != NULL, "%s: not there; run this test from the top of the source tree", path);
	while ((n = fread(block, 1, sizeof block, f)) > 0)
		strbuf_add(&out, block, n);
	fclose(f);
	return out.s;
}

START_TEST(example_is_the_schema)
{
	struct strbuf want = {0};
	char *have = read_source("etc/calidris.yaml");
	struct config c;

	config_example(&want);
	ck_assert_msg(strcmp(have, want.s) == 0, "etc/calidris.yaml is not what the schema says; run `make docs`");
	c = load_good(have);
	for (unsigned i = 0; i < config_rows; i++)
		if (!config_schema[i].default_note)
			expect(&c, config_schema[i].path, config_schema[i].default_text);
	config_free(&c);
	strbuf_free(&want);
	free(have);
}
END_TEST

START_TEST(reflector_example)
{
	char *text = read_source("etc/reflectors/calidris.yaml");
	struct config c = load_good(text);

	ck_assert(!c.programming);
	ck_assert_uint_eq(c.send_hold_time, 60);
	config_free(&c);
	free(text);
}
END_TEST

/* Uncommented, the example still says the defaults. */
START_TEST(example_is_a_configuration)
{
	struct strbuf text = {0}, out = {0};
	struct config c;

	config_example(&text);
	for (char *line = strtok(text.s, "\n"); line; line = strtok(NULL, "\n")) {
		char *mark = strchr(line, '#');
		ck_assert_uint_le(strlen(line), 100);
		if (mark && mark[1] != ' ') /* "#key: value" */
			strbuf_printf(&out, "%.*s%s\n", (int)(mark - line), line, mark + 1);
		else
			strbuf_printf(&out, "%s\n", line);
	}
	/* The one without a default that could be written down. */
	setenv("NODENAME", "n", 1);
	c = load_good(out.s);
	for (unsigned i = 0; i < config_rows; i++) {
		if (config_schema[i].default_note)
			continue;
		expect(&c, config_schema[i].path, config_schema[i].default_text);
		ck_assert_str_ne(c.origin[i], "default");
	}
	config_free(&c);
	strbuf_free(&out);
	strbuf_free(&text);
}
END_TEST

START_TEST(manual_is_the_schema)
{
	struct strbuf want = {0};
	char *have = read_source("docs/calidris.yaml.5");

	config_mdoc(&want);
	ck_assert_msg(strstr(have, want.s) != NULL,
		      "docs/calidris.yaml.5 is not what the schema says; run `make docs`");
	strbuf_free(&want);
	free(have);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("config");
	TCase *t = tcase_create("config");
	SRunner *sr;
	int failures;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, every_row_has_samples);
	tcase_add_test(t, defaults_are_what_the_schema_says);
	tcase_add_loop_test(t, row_from_file, 0, SAMPLES);
	tcase_add_loop_test(t, row_from_environment, 0, SAMPLES);
	tcase_add_loop_test(t, row_refuses, 0, SAMPLES);
	tcase_add_test(t, calico_names);
	tcase_add_test(t, variables_that_are_no_keys);
	tcase_add_test(t, node_name_is_found);
	tcase_add_loop_test(t, errors_name_their_place, 0, sizeof refused / sizeof *refused);
	tcase_add_test(t, syntax_error_has_a_place);
	tcase_add_test(t, file_missing);
	tcase_add_test(t, an_option_goes_before_all_else);
	tcase_add_test(t, file_too_large);
	tcase_add_test(t, keys_without_value_are_defaults);
	tcase_add_test(t, dump_reads_back);
	tcase_add_test(t, dump_says_where_from);
	tcase_add_test(t, diff_names_what_changed);
	tcase_add_test(t, what_needs_a_restart_stays);
	tcase_add_test(t, example_is_the_schema);
	tcase_add_test(t, reflector_example);
	tcase_add_test(t, example_is_a_configuration);
	tcase_add_test(t, manual_is_the_schema);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
