/* Every row of the objects' tables: what it takes, what it refuses, and where it puts it. */
#include "tests/unit/datastore/fields.h"

static void check_row(int kind, const struct schema_row *row);

/* By type: two values that differ from each other and from what is there without the field, and values that are none.
 */
static const struct type_samples {
	const struct schema_type *type;
	const char *good[2], *bad[14];
} type_samples[] = {
    {&schema_bool, {"true", "false"}, {"1", "'true'", "maybe", "''"}},
    {&schema_loose_bool, {"true", "false"}, {"1", "maybe", "'x'"}},
    {&schema_uint, {"20", "21"}, {"-1", "x", "'20'", "1.5", "0x20", "99999999999999999999", "'20 '"}},
    {&schema_as,
     {"64999", "'1.10'"},
     {"0", "'0'", "-1", "4294967296", "x", "65536.1", "1.65536", "1.", ".1", "1.2.3", "'1 '"}},
    {&schema_seconds, {"2m0s", "'90s'"}, {"x", "s", "-5s", "1x", "5s7", "1.2.3s", "''", "0s", "100000h", "1e5s"}},
    {&schema_text, {"abc", "'def ghi'"}, {0}},
    {&schema_object_name, {"abc", "d-e.f"}, {"''", "a/b", "'a b'", "'a\tb'", "a@b"}},
    {&schema_ifname, {"cali1", "eth0.5"}, {"''", "a234567890123456", "a/b", "'a b'", "..", ".", "'a:b'"}},
    {&schema_mac,
     {"'ee:ee:ee:ee:ee:ee'", "66:b3:68:28:39:8e"},
     {"ee:ee", "ee:ee:ee:ee:ee:eg", "ee-ee-ee-ee-ee-ee", "eee:ee:ee:ee:ee:e", "ee:ee:ee:ee:ee:ee:ee"}},
    {&schema_addr,
     {"10.0.0.1", "10.0.0.2"},
     {"x", "10.0.0", "10.0.0.1/24", "0.0.0.0", "'::'", "224.0.0.1", "255.255.255.255", "ff02::1"}},
    {&schema_host_addr,
     {0},
     {"x", "10.0.0", "10.0.0.1/33", "10.0.0.1/", "fd00::1/129", "0.0.0.0/0", "239.1.1.1/8", "ff02::1/64"}},
    {&schema_endpoint,
     {"10.0.0.7", "'[fd00::1]:1790'"},
     {"x", "'10.0.0.1:'", "10.0.0.1:0", "10.0.0.1:65536", "'[fd00::1]'", "'[fd00::1:5'", "'[10.0.0.1]:5'", "'fd00::g'",
      "10.0.0.1/32", "224.0.0.5", "host:179", "0.0.0.0:179"}},
    {&schema_cluster_id, {"10.0.0.1", "'1.2.3.4'"}, {"5", "0.0.0.0", "fd00::1", "x"}},
    {&schema_prefix,
     {"10.1.0.0/26", "'fd00:1::/122'"},
     {"x", "10.0.0.0/33", "fd00::/129", "''", "10.0.0.0-26", "10.0.0.0/2x"}},
    {&schema_prefixes, {"[10.0.0.1/32]", "['fd00::1', 10.0.0.2]"}, {"[x]", "[[10.0.0.1]]", "[10.0.0.1, {}]", "[null]"}},
    {&schema_cidrs,
     {"[{cidr: 10.96.0.0/12}]", "[{cidr: 'fd00::/112'}, {cidr: 10.0.0.2}]"},
     {"[x]", "[10.96.0.0/12]", "[{cidr: [10.0.0.1]}]", "[{cidr: x}]", "[{}]", "[null]", "[{cidr: ''}]"}},
    {&schema_internal_ips,
     {"[{address: n1, type: Hostname}, {address: 10.0.0.1, type: InternalIP}]",
      "[{address: 10.0.0.1, type: InternalIP}, {address: 'fd00::1', type: InternalIP}]"},
     {0}},
    {&schema_flags, {"[ipv4]", "[ipv6, ipv4]"}, {"[x]", "[[ipv4]]", "[ipv4, {}]", "[null]"}},
    {&schema_selector, {"has(a)", "\"rack == 'r1'\""}, {"rack", "'rack == r1'", "'('"}},
    {&schema_texts, {"[a, b]", "[ab]"}, {"[[a]]", "[a, {}]", "[null]", "['']"}},
    {&schema_as_list,
     {"[65001, '1.10']", "[65001, 5]"},
     {"[x]", "[[1]]", "[-1]", "[4294967296]", "[1, {}]", "[null]", "[1, '']"}},
    {&schema_community,
     {"'65000:100'", "65000:1:4294967295"},
     {"x", "'1'", "'1:'", "'65536:1'", "'1:65536'", "'1:2:'", "'1:2:3:4'", "'1:2:4294967296'", "'-1:2'", "''",
      "'1:2 '"}},
    {&schema_communities, {"['65000:100']", "['1:2:3']"}, {"[x]", "[[a]]", "['1:2:3:4']", "[{}]", "[null]"}},
    {&schema_labels, {"{a: b}", "{a: b, c: '1'}"}, {"{a: [b]}", "{a: {b: c}}"}},
    {&schema_affinity, {"host:n1", "host:n2"}, {"n1", "'host:'", "'host'"}},
};

static const struct type_samples *samples_of(const struct schema_row *row)
{
	static struct type_samples addr4 = {0}, addr6 = {0};

	for (size_t i = 0; i < sizeof type_samples / sizeof *type_samples; i++) {
		if (type_samples[i].type != row->type)
			continue;
		if (!row->af)
			return &type_samples[i];
		/* Addresses of a family: good are its own, bad the other's too. */
		addr4 = addr6 = type_samples[i];
		addr4.good[0] = addr6.bad[8] = "10.0.0.1";
		addr4.good[1] = addr6.bad[9] = row->type == &schema_host_addr ? "10.0.0.1/24" : "'10.0.0.2'";
		addr6.good[0] = addr4.bad[8] = "fd00::1";
		addr6.good[1] = addr4.bad[9] = row->type == &schema_host_addr ? "'fd00::1/64'" : "'fd00::2'";
		return row->af == AF_INET ? &addr4 : &addr6;
	}
	ck_abort_msg("%s: no samples for its type", row->path);
	return NULL;
}

static uint64_t stored_number(const struct schema_row *row, const struct object *o)
{
	const uint8_t *at = (const uint8_t *)innermost(nest, o) + row->offset;
	uint32_t v32;
	uint16_t v16;

	if (row->size == 1)
		return *at;
	memcpy(&v16, at, sizeof v16);
	if (row->size == 2)
		return v16;
	ck_assert_uint_eq(row->size, 4);
	memcpy(&v32, at, sizeof v32);
	return v32;
}

static void check_stored(int kind, const struct schema_row *row, const char *value, uint64_t expected)
{
	struct outcome out = try_field(kind, row->path, value);

	ck_assert_msg(out.o != NULL, "%s=%s: %s", row->path, value, out.err.reason);
	ck_assert_uint_eq(stored_number(row, out.o), expected);
	if (row->present)
		ck_assert(*(const bool *)schema_place_const(innermost(nest, out.o), row->present));
	outcome_free(&out);
}

/* The ends of a range, and what is beyond them. */
static void check_range(int kind, const struct schema_row *row)
{
	const char *unit = row->type == &schema_seconds ? "s" : "";
	char text[40];

	snprintf(text, sizeof text, "%llu%s", (unsigned long long)row->min, unit);
	check_stored(kind, row, text, row->min);
	snprintf(text, sizeof text, "%llu%s", (unsigned long long)row->max, unit);
	check_stored(kind, row, text, row->max);
	snprintf(text, sizeof text, "%llu%s", (unsigned long long)row->max + 1, unit);
	check_refused(kind, row->path, text);
	if (row->min == 0)
		return;
	snprintf(text, sizeof text, "%llu%s", (unsigned long long)row->min - 1, unit);
	check_refused(kind, row->path, text);
}

static void check_enum(int kind, const struct schema_row *row)
{
	char text[40];

	for (const struct schema_name *name = row->names; name->text; name++) {
		snprintf(text, sizeof text, "'%s'", name->text);
		check_stored(kind, row, text, (uint64_t)name->value);
	}
	check_refused(kind, row->path, "nonsense");
	check_refused(kind, row->path, "never");
}

static void check_text_length(int kind, const struct schema_row *row)
{
	size_t max = row->max ? row->max : 4096;
	char *text = mem_alloc(max + 2);
	uint64_t digest;

	memset(text, 'x', max + 1);
	text[max + 1] = '\0';
	check_refused(kind, row->path, text);
	text[max] = '\0';
	check_taken(kind, row->path, text, &digest);
	free(text);
	if (row->min)
		check_refused(kind, row->path, "''");
}

/* Fields that are not required by their row, and yet none of the kind can do without. */
static bool is_needed(const struct schema_row *row)
{
	static const char *const needed[] = {"spec.peerIP", "cidr", "matchOperator"};

	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
		if (strcmp(row->path, needed[i]) == 0)
			return true;
	return row->required || (nest && nest->least == least_operation);
}

/* A list of maps: its length, and each row of its items. */
static void check_items(int kind, const struct schema_row *row)
{
	struct nest inner = {.outer = nest, .list = row};
	const struct field *some = NULL;
	struct strbuf one = {0}, two = {0}, many = {0};
	uint64_t digest[3];

	for (size_t i = 0; i < sizeof item_samples / sizeof *item_samples; i++) {
		if (strcmp(item_samples[i].list, row->path) != 0)
			continue;
		inner.least = item_samples[i].least;
		some = item_samples[i].some;
	}
	ck_assert_msg(some != NULL, "%s: no samples for its items", row->path);
	render_item(&one, some, NULL, NULL);
	strbuf_printf(&two, "[%s, %s]", one.s, one.s);
	strbuf_printf(&many, "[%s", one.s);
	for (uint64_t n = 0; n < row->max; n++)
		strbuf_printf(&many, ",%s", one.s);
	strbuf_puts(&many, "]");
	check_taken(kind, row->path, "[]", &digest[0]);
	check_taken(kind, row->path, two.s, &digest[2]);
	strbuf_reset(&two);
	strbuf_printf(&two, "[%s]", one.s);
	check_taken(kind, row->path, two.s, &digest[1]);
	ck_assert(digest[0] != digest[1] && digest[1] != digest[2]);
	if (row->max)
		check_refused(kind, row->path, many.s);
	check_refused(kind, row->path, "[x]");
	check_refused(kind, row->path, "[[]]");
	check_refused(kind, row->path, "[null]");
	nest = &inner;
	for (unsigned i = 0; i < row->items->row_count; i++)
		check_row(kind, &row->items->rows[i]);
	nest = inner.outer;
	strbuf_free(&one);
	strbuf_free(&two);
	strbuf_free(&many);
}

/* {"calidris.io/NAME": "VALUE"} for a field of ours. */
static char *annotation_of(const char *path, const char *value)
{
	struct strbuf text = {0};

	strbuf_printf(&text, "{\"calidris.io/%s\": \"", path + strlen("spec."));
	for (const char *c = value; *c; c++)
		strbuf_printf(&text, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
	strbuf_puts(&text, "\"}");
	return text.s;
}

/* What a field of ours says, an annotation of its name says, too. */
static void check_annotation(int kind, const struct schema_row *row, const char *value)
{
	struct outcome field = try_field(kind, row->path, value), annotation;
	bool is_identity = strncmp(row->path, "spec.peerRange", 14) == 0 || strcmp(row->path, "spec.interface") == 0;
	char *text = annotation_of(row->path, value);

	/* These cannot stand beside the peerIP of the least document. */
	if (!is_identity) {
		annotation = try_field(kind, "metadata.annotations", text);
		ck_assert_msg(!field.o == !annotation.o, "%s: %s", text, annotation.err.reason);
		if (field.o) {
			ck_assert_msg(field.o->digest == annotation.o->digest, "%s", text);
			ck_assert_str_eq(annotation.reported.s, "");
		} else {
			ck_assert_msg(strstr(annotation.err.field, "metadata.annotations[calidris.io/") != NULL, "%s",
				      annotation.err.field);
		}
		outcome_free(&annotation);
	}
	outcome_free(&field);
	free(text);
}

/* Everything that a decoded field owes: two values that are told apart, and nothing else accepted. */
static void check_taken_row(int kind, const struct schema_row *row)
{
	struct outcome absent = try_field(kind, row->path, NULL), null = try_field(kind, row->path, "null");
	bool needed = is_needed(row);
	struct strbuf named = {0};
	uint64_t digest[2];

	ck_assert_msg(!absent.o == needed && !null.o == needed, "%s absent", row->path);
	full_path(&named, nest, nest && nest->least == least_operation ? "" : row->path);
	if (needed)
		ck_assert_str_eq(absent.err.field, named.s);
	strbuf_free(&named);
	check_refused(kind, row->path, row->type->takes == YAML_LIST ? "{}" : "[]");
	check_refused(kind, row->path, row->type->takes == YAML_SCALAR ? "[x]" : "x");
	if (row->type == &schema_enum) {
		check_enum(kind, row);
	} else if (row->items) {
		check_items(kind, row);
	} else {
		const struct type_samples *s = samples_of(row);
		for (int i = 0; i < 2; i++) {
			check_taken(kind, row->path, s->good[i], &digest[i]);
			if (row->ours)
				check_annotation(kind, row, s->good[i]);
			if (absent.o && row->type != &schema_bool && row->type != &schema_loose_bool)
				ck_assert_msg(digest[i] != absent.o->digest, "%s=%s", row->path, s->good[i]);
		}
		ck_assert_msg(digest[0] != digest[1], "%s", row->path);
		for (const char *const *bad = s->bad; *bad; bad++)
			check_refused(kind, row->path, *bad);
		if (row->ours && s->bad[0])
			check_annotation(kind, row, s->bad[0]);
	}
	if (row->type == &schema_uint || row->type == &schema_seconds)
		check_range(kind, row);
	if (row->type == &schema_text)
		check_text_length(kind, row);
	outcome_free(&absent);
	outcome_free(&null);
}

static void check_not_taken(int kind, const char *path, const char *value, const char *reason)
{
	struct outcome out = try_field(kind, path, value);
	char expected[300] = "";

	ck_assert_msg(out.o != NULL, "%s=%s: %s: %s", path, value, out.err.field, out.err.reason);
	if (*reason)
		snprintf(expected, sizeof expected, "%s 1 %s;", path, reason);
	ck_assert_str_eq(out.reported.s, expected);
	outcome_free(&out);
}

static void check_row(int kind, const struct schema_row *row)
{
	static const char *const values[] = {"x", "5", "true", "[x]", "[{a: b}]", "{a: {b: [c]}}"};
	bool later = row->use == SCHEMA_LATER;
	char first[60];

	if (row->use == SCHEMA_TAKEN) {
		check_taken_row(kind, row);
		return;
	}
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		/* Node's status has fields of its own; allocations and attributes have a form. */
		bool special = strcmp(row->path, "status") == 0 || strcmp(row->path, "spec.allocations") == 0 ||
			       strcmp(row->path, "spec.attributes") == 0;
		if (!special)
			check_not_taken(kind, row->path, values[i],
					!later	   ? ""
					: row->why ? row->why
						   : "not honoured yet");
	}
	check_not_taken(kind, row->path, "null", "");
	if (!later)
		return;
	check_not_taken(kind, row->path, "[]", "");
	check_not_taken(kind, row->path, "{}", "");
	snprintf(first, sizeof first, "'%.*s'", row->def ? (int)strcspn(row->def, "|") : 0, row->def ? row->def : "");
	check_not_taken(kind, row->path, first, "");
	if (row->def && strchr(row->def, '|'))
		check_not_taken(kind, row->path, strchr(row->def, '|') + 1, "");
}

START_TEST(test_every_row)
{
	const struct schema *s = object_schema((enum object_kind)_i);

	for (unsigned i = 0; i < s->row_count; i++)
		check_row(_i, &s->rows[i]);
}
END_TEST

/* What schema.h demands of a table: no row twice, rows of one map together, values that do not overlap. */
START_TEST(test_tables)
{
	const struct schema *s = object_schema((enum object_kind)_i);

	ck_assert_uint_le(s->row_count, SCHEMA_ROWS_MAX);
	for (unsigned i = 0; i < s->row_count; i++) {
		const struct schema_row *row = &s->rows[i];
		size_t map = strrchr(row->path, '.') ? (size_t)(strrchr(row->path, '.') - row->path) + 1 : 0;
		bool left = false;
		for (unsigned j = i + 1; j < s->row_count; j++) {
			const struct schema_row *other = &s->rows[j];
			bool same = strncmp(row->path, other->path, map) == 0;
			ck_assert_str_ne(row->path, other->path);
			ck_assert_msg(!(left && same), "%s is apart from %s", other->path, row->path);
			left = left || !same;
			if (row->use == SCHEMA_TAKEN && other->use == SCHEMA_TAKEN)
				ck_assert_msg(row->offset + row->size <= other->offset ||
						  other->offset + other->size <= row->offset,
					      "%s and %s share a place", row->path, other->path);
		}
		ck_assert_msg((row->use == SCHEMA_TAKEN) == (row->type != NULL), "%s", row->path);
		ck_assert_uint_le(row->offset + row->size, s->size);
	}
}
END_TEST

/* Annotations: maps and lists, who wins beside a field, what is none of ours, and where a wrong one stands. */
START_TEST(test_annotations)
{
	struct outcome out =
	    decode("apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata:\n  name: x\n"
		   "  annotations:\n    calidris.io/bfd: '{\"enabled\": true, \"detectMultiplier\": 5}'\n"
		   "    calidris.io/families: ipv4, ipv6\n    calidris.io/holdTime: 9s\n"
		   "    calidris.io/asNumber: '5'\n    calidris.io/nonsense: x\n    example.org/y: z\n"
		   "    calidris.io/prefixLimit.maximum: '7'\n    calidris.io/passive: ''\n"
		   "    calidris.io/password: '{secretKeyRef: {name: a, key: b}}'\n"
		   "spec: {peerIP: 10.0.0.1, holdTime: 30}\n");
	const struct obj_bgp_peer *p = (const void *)out.o;

	ck_assert_msg(out.o != NULL, "%s: %s", out.err.field, out.err.reason);
	ck_assert(p->bfd.enabled && p->bfd.multiplier == 5);
	ck_assert_uint_eq(p->opt.families, 3);
	ck_assert_uint_eq(p->opt.prefix_limit, 7);
	ck_assert_uint_eq(p->hold_time, 30);
	ck_assert_uint_eq(p->as_number, 0);
	ck_assert(!p->passive && !p->password && !p->secret.name);
	ck_assert_str_eq(out.reported.s,
			 "calidris.io/holdTime 8 the field of that name is there, too, and counts;"
			 "calidris.io/asNumber 9 not a known annotation;calidris.io/nonsense 10 not a known annotation;"
			 "calidris.io/password 14 not a known field;calidris.io/password 14 not a known field;");
	outcome_free(&out);
	out = decode("apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata:\n  name: x\n  annotations:\n"
		     "    calidris.io/bfd: '{detectMultiplier: 500}'\nspec: {peerIP: 10.0.0.1}\n");
	ck_assert_ptr_null(out.o);
	ck_assert_str_eq(out.err.field, "metadata.annotations[calidris.io/bfd]");
	ck_assert_uint_eq(out.err.line, 6);
	ck_assert_str_eq(out.err.reason, "500 is out of range: 1 to 255");
	outcome_free(&out);
	out = decode("{apiVersion: projectcalico.org/v3, kind: BGPPeer, metadata: {name: x, annotations: "
		     "{calidris.io/bfd: '{'}}, spec: {peerIP: 10.0.0.1}}");
	ck_assert_ptr_null(out.o);
	ck_assert_str_eq(out.err.field, "metadata.annotations[calidris.io/bfd]");
	outcome_free(&out);
}
END_TEST

/* A condition that is not known must not be left out: the rule would match what it was not meant for. */
START_TEST(test_filter_is_strict)
{
	struct outcome out = decode("apiVersion: projectcalico.org/v3\nkind: BGPFilter\nmetadata: {name: x}\nspec:\n"
				    "  importV4: []\n  exportV6:\n  - action: Accept\n"
				    "  - {action: Accept, vrf: blue}\n");

	ck_assert_ptr_null(out.o);
	ck_assert_str_eq(out.err.field, "spec.exportV6[1].vrf");
	ck_assert_uint_eq(out.err.line, 8);
	ck_assert_str_eq(out.err.reason, "not a known field");
	outcome_free(&out);
}
END_TEST

/* The fields of Calico's API (and of its Enterprise edition's BGPPeer), of the objects' specs unless they say status,
 * and what is done with each: '+' it is honoured, '-' nothing follows from it, which the row says why, '!' it is
 * reported by name wherever it is set. A map that is read as a whole has no fields of its own. */
static const struct {
	enum object_kind kind;
	const char *fields;
} calicos[] = {
    {OBJ_NODE, "+bgp.asNumber +bgp.ipv4Address +bgp.ipv4IPIPTunnelAddr +bgp.ipv6Address +bgp.routeReflectorClusterID "
	       "+ipv4VXLANTunnelAddr +ipv6VXLANTunnelAddr +vxlanTunnelMACAddr +vxlanTunnelMACAddrV6 -orchRefs "
	       "+wireguard.interfaceIPv4Address +wireguard.interfaceIPv6Address +addresses -interfaces "
	       "+status.podCIDRs +status.wireguardPublicKey +status.wireguardPublicKeyV6"},
    {OBJ_IP_POOL, "+cidr +vxlanMode +ipipMode -natOutgoing +disabled +disableBGPExport +blockSize +nodeSelector "
		  "-namespaceSelector -allowedUses -assignmentMode !ipip -nat-outgoing"},
    {OBJ_BGP_CONFIGURATION,
     "+logSeverityScreen +nodeToNodeMeshEnabled +asNumber +serviceClusterIPs +serviceExternalIPs "
     "+serviceLoadBalancerIPs +serviceLoadBalancerAggregation +communities +prefixAdvertisements +listenPort "
     "+nodeMeshPassword.secretKeyRef.name +nodeMeshPassword.secretKeyRef.key -nodeMeshPassword.secretKeyRef.optional "
     "+nodeMeshMaxRestartTime +bindMode -ignoredInterfaces +localWorkloadPeeringIPV4 +localWorkloadPeeringIPV6 "
     "+programClusterRoutes +ipv4NormalRoutePriority +ipv6NormalRoutePriority"},
    {OBJ_BGP_PEER, "+node +nodeSelector +peerIP +asNumber +peerSelector +localASNumber +keepOriginalNextHop "
		   "+nextHopMode +password.secretKeyRef.name +password.secretKeyRef.key "
		   "-password.secretKeyRef.optional +sourceAddress +maxRestartTime +keepaliveTime "
		   "+numAllowedLocalASNumbers +ttlSecurity +reachableBy +filters +localWorkloadSelector "
		   "+reversePeering !failureDetectionMode !restartMode !birdGatewayMode !externalNetwork"},
    {OBJ_BGP_FILTER, "+exportV4 +importV4 +exportV6 +importV6"},
    {OBJ_WORKLOAD_ENDPOINT,
     "-orchestrator -workload +node -containerID +pod +endpoint -serviceAccountName +ipNetworks !ipNATs -ipv4Gateway "
     "-ipv6Gateway -profiles +interfaceName +mac -ports !allowSpoofedSourcePrefixes -qosControls"},
    {OBJ_BLOCK_AFFINITY, "+state +node +type +cidr +deleted"},
    {OBJ_IPAM_BLOCK, "+cidr +affinity -hostAffinity -affinityClaimTime -strictAffinity -allocations -unallocated "
		     "-attributes +deleted -sequenceNumber -sequenceNumberForAllocation"},
};

/* A rule of a BGPFilter, whose lists have them all alike. */
static const char rule_fields[] = "cidr matchOperator prefixLength.min prefixLength.max source interface peerType "
				  "communities.values asPathPrefix priority action operations";
static const char operation_fields[] = "addCommunity.value prependASPath.prefix setPriority.value";

static const struct schema_row *find_row(const struct schema *s, const char *path)
{
	for (unsigned i = 0; i < s->row_count; i++)
		if (strcmp(s->rows[i].path, path) == 0)
			return &s->rows[i];
	return NULL;
}

START_TEST(test_calicos_fields)
{
	static const char *const head[] = {"spec.", ""};
	const struct schema *s = object_schema(calicos[_i].kind);
	char fields[1024], path[80], *save = NULL;
	unsigned named = 0, rows = 0;

	snprintf(fields, sizeof fields, "%s", calicos[_i].fields);
	for (char *field = strtok_r(fields, " ", &save); field; field = strtok_r(NULL, " ", &save), named++) {
		const enum schema_use use = *field == '+' ? SCHEMA_TAKEN : *field == '-' ? SCHEMA_QUIET : SCHEMA_LATER;
		const struct schema_row *row;

		snprintf(path, sizeof path, "%s%s", head[strncmp(field + 1, "status.", 7) == 0], field + 1);
		row = find_row(s, path);
		ck_assert_msg(row && !row->ours, "%s: %s is not known", s->kind, path);
		ck_assert_msg(row->use == use, "%s: %s: not %c", s->kind, path, *field);
		ck_assert_msg(use == SCHEMA_TAKEN || (row->why && *row->why), "%s: %s: why?", s->kind, path);
	}
	/* Nothing else is known. */
	for (unsigned i = 0; i < s->row_count; i++)
		rows += !s->rows[i].ours &&
			(strncmp(s->rows[i].path, "spec.", 5) == 0 || strncmp(s->rows[i].path, "status.", 7) == 0) &&
			!strstr(s->rows[i].path, "echo") && strcmp(s->rows[i].path, "spec.affinity_claim_time") != 0;
	ck_assert_msg(rows == named, "%s: %u fields are known, %u are Calico's", s->kind, rows, named);
}
END_TEST

static void check_all_taken(const struct schema *s, const char *list)
{
	char fields[512], *save = NULL;
	unsigned named = 0;

	snprintf(fields, sizeof fields, "%s", list);
	for (char *field = strtok_r(fields, " ", &save); field; field = strtok_r(NULL, " ", &save), named++) {
		const struct schema_row *row = find_row(s, field);

		ck_assert_msg(row && row->use == SCHEMA_TAKEN, "%s", field);
	}
	ck_assert_uint_eq(named, s->row_count);
}

START_TEST(test_calicos_rules)
{
	static const char *const lists[] = {"spec.importV4", "spec.importV6", "spec.exportV4", "spec.exportV6"};
	const struct schema *s = object_schema(OBJ_BGP_FILTER);

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		const struct schema *rule = find_row(s, lists[i])->items;

		check_all_taken(rule, rule_fields);
		check_all_taken(find_row(rule, "operations")->items, operation_fields);
	}
}
END_TEST

/* What fields mean to each other they mean as annotations, too: who the peer is, and what excludes it. */
START_TEST(test_annotations_together)
{
	static const struct {
		const char *annotations, *spec, *field, *reason; /* field NULL: it is taken */
	} cases[] = {
	    {"calidris.io/peerRange: 10.0.0.0/24", "asNumber: 5", NULL, NULL},
	    {"calidris.io/interface: eth0", "asNumber: 5", NULL, NULL},
	    {"calidris.io/interface: eth0", "peerIP: 'fe80::1', asNumber: 5", NULL, NULL},
	    {"calidris.io/peerRange: 10.0.0.0/24", "peerIP: 10.0.0.1", "spec.peerIP", "excludes spec.peerRange"},
	    {"calidris.io/interface: eth0", "peerSelector: all()", "spec.peerSelector", "excludes spec.interface"},
	    {"calidris.io/interface: eth0", "peerIP: 10.0.0.1", "spec.interface", "is for link-local peers"},
	    {"calidris.io/vrf: red, calidris.io/kernelTable: '300'", "peerIP: 10.0.0.1, asNumber: 5", NULL, NULL},
	    {"calidris.io/kernelTable: '255'", "peerIP: 10.0.0.1", "spec.kernelTable", "the node's own addresses"},
	    {"calidris.io/vrf: red", "peerSelector: all()", "spec.peerSelector", "excludes spec.vrf"},
	    {"calidris.io/vrf: red", "localWorkloadSelector: all()", "spec.localWorkloadSelector", "excludes spec.vrf"},
	    {"calidris.io/vrf: red, calidris.io/peerRange: 10.0.0.0/24", "asNumber: 5", "spec.peerRange",
	     "excludes spec.vrf"},
	    {"calidris.io/vrf: red, calidris.io/bfd.enabled: 'true'", "peerIP: 10.0.0.1", "spec.bfd.enabled",
	     "no BFD in a VRF"},
	    {"calidris.io/vrf: red, calidris.io/bfd.enabled: 'false'", "peerIP: 10.0.0.1, asNumber: 5", NULL, NULL},
	    {"calidris.io/holdTime: '9'", "asNumber: 5", "spec.peerIP", "missing"},
	    /* A field of Calico's cannot be an annotation. */
	    {"calidris.io/peerIP: 10.0.0.1", "asNumber: 5", "spec.peerIP", "missing"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *text = mem_printf("{apiVersion: projectcalico.org/v3, kind: BGPPeer, metadata: {name: x, "
					"annotations: {%s}}, spec: {%s}}",
					cases[i].annotations, cases[i].spec);
		struct outcome out = decode(text);

		ck_assert_msg(!out.o == !!cases[i].field, "%s: %s", text, out.err.reason);
		if (cases[i].field)
			ck_assert_msg(strstr(out.err.reason, cases[i].reason) != NULL, "%s: %s", text, out.err.reason);
		outcome_free(&out);
		free(text);
	}
}
END_TEST

START_TEST(test_unknown_fields)
{
	struct outcome out = decode("apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: {name: x, nmae: y}\n"
				    "spec:\n  peerIP: 10.0.0.1\n  asNumbr: 5\n  Node: n1\n  spec.node: n2\n"
				    "  password:\n    secretKeyRef: {name: a, key: b}\n    secret: c\nspec.node: n3\n"
				    "metadata.name: n4\nstuff: {a: {b: c}}\n");

	ck_assert_ptr_nonnull(out.o);
	ck_assert_str_eq(out.reported.s, "metadata.nmae 3 not a known field;"
					 "spec.asNumbr 6 not a known field;"
					 "spec.Node 7 not a known field;"
					 "spec.spec.node 8 not a known field;"
					 "spec.password.secret 11 not a known field;"
					 "spec.node 12 not a known field;"
					 "metadata.name 13 not a known field;"
					 "stuff 14 not a known field;");
	ck_assert_str_eq(out.o->name, "x");
	ck_assert_ptr_null(((struct obj_bgp_peer *)(void *)out.o)->node);
	outcome_free(&out);
}
END_TEST

static const struct {
	const char *text, *addr;
	unsigned port;
} endpoints[] = {
    {"10.0.0.1", "10.0.0.1", 0},
    {"10.0.0.1:179", "10.0.0.1", 179},
    {"10.0.0.1:65535", "10.0.0.1", 65535},
    {"fd00::1", "fd00::1", 0},
    {"[fd00::1]:1", "fd00::1", 1},
    {"fd00::1:179", "fd00::1:179", 0},
    {"[::ffff:10.0.0.1]:5", "::ffff:10.0.0.1", 5},
};

START_TEST(test_endpoints)
{
	char value[80];
	struct outcome out;
	const struct obj_bgp_peer *p;

	snprintf(value, sizeof value, "'%s'", endpoints[_i].text);
	out = try_field(OBJ_BGP_PEER, "spec.peerIP", value);
	ck_assert_ptr_nonnull(out.o);
	p = (const void *)out.o;
	assert_addr(&p->peer_ip, endpoints[_i].addr);
	ck_assert_uint_eq(p->peer_port, endpoints[_i].port);
	outcome_free(&out);
}
END_TEST

static const struct {
	const char *text;
	uint64_t value;
} durations[] = {
    {"90s", 90},  {"2m0s", 120}, {"1h", 3600},	   {"1h1m1s", 3661}, {"1.5s", 2},	  {"1499ms", 1},
    {"120", 120}, {"0.5m", 30},	 {"1500000us", 2}, {"2m", 120},	     {"2000000000ns", 2}, {"1.4s", 1},
};

START_TEST(test_durations)
{
	struct outcome out = try_field(OBJ_BGP_PEER, "spec.maxRestartTime", durations[_i].text);

	ck_assert_ptr_nonnull(out.o);
	ck_assert_uint_eq(((struct obj_bgp_peer *)(void *)out.o)->restart_time, durations[_i].value);
	outcome_free(&out);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rows");
	TCase *t = tcase_create("rows");
	SRunner *sr = srunner_create(s);
	int failures;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_tables, 0, OBJ_KIND_COUNT);
	tcase_add_loop_test(t, test_every_row, 0, OBJ_KIND_COUNT);
	tcase_add_test(t, test_unknown_fields);
	tcase_add_loop_test(t, test_calicos_fields, 0, sizeof calicos / sizeof *calicos);
	tcase_add_test(t, test_calicos_rules);
	tcase_add_test(t, test_annotations);
	tcase_add_test(t, test_annotations_together);
	tcase_add_test(t, test_filter_is_strict);
	tcase_add_loop_test(t, test_endpoints, 0, sizeof endpoints / sizeof *endpoints);
	tcase_add_loop_test(t, test_durations, 0, sizeof durations / sizeof *durations);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
