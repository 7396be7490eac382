#include "datastore/remote/etcd_keys.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "datastore/remote/json.h"

#define RESOURCES "/calico/resources/v3/projectcalico.org/"
#define IPAM "/calico/ipam/v2/"
#define API "projectcalico.org/v3"
#define MAX_REASON 200u

/* A key, and where the answer goes. */
struct source {
	const char *rest; /* of the key, behind the prefix */
	const char *kind, *node;
	struct yaml_node *doc;
	struct arena *arena;
	const char **field, **reason;
};

struct range {
	const char *prefix;
	bool of_node; /* the node's name and a slash follow */
	const char *kind;
	struct yaml_node *(*object)(const struct source *s);
	/* Does the rest of the key say that it is another node's? NULL: no. */
	bool (*is_others)(const char *rest, const char *node);
};

static struct yaml_node *resource(const struct source *s);
static struct yaml_node *block(const struct source *s);
static struct yaml_node *affinity(const struct source *s);
static bool workload_is_others(const char *rest, const char *node);

/* IPAM before the workloads: a block is there before its addresses are used. */
static const struct range ranges[] = {
    {RESOURCES "bgpconfigurations/", false, "BGPConfiguration", resource, NULL},
    {RESOURCES "bgpfilters/", false, "BGPFilter", resource, NULL},
    {RESOURCES "bgppeers/", false, "BGPPeer", resource, NULL},
    {RESOURCES "felixconfigurations/", false, "FelixConfiguration", resource, NULL},
    {RESOURCES "ippools/", false, "IPPool", resource, NULL},
    {RESOURCES "nodes/", false, "Node", resource, NULL},
    {IPAM "host/", true, "BlockAffinity", affinity, NULL},
    {IPAM "assignment/", false, "IPAMBlock", block, NULL},
    {RESOURCES "workloadendpoints/", false, "WorkloadEndpoint", resource, workload_is_others},
};

unsigned etcd_range_count(void)
{
	return sizeof ranges / sizeof *ranges;
}

char *etcd_range_prefix(unsigned row, const char *node)
{
	const struct range *r = &ranges[row];

	return r->of_node ? mem_printf("%s%s/", r->prefix, node) : mem_strdup(r->prefix);
}

char *etcd_node_key(const char *node)
{
	return mem_printf(RESOURCES "nodes/%s", node);
}

/* What follows the prefix; NULL if the key does not begin with it. The final slash of the node counts: "node-1" must
 * not match "node-10". */
static const char *rest_of(const struct range *r, const char *key, const char *node)
{
	size_t n = strlen(r->prefix), m = strlen(node);

	if (strncmp(key, r->prefix, n) != 0)
		return NULL;
	if (!r->of_node)
		return key + n;
	return strncmp(key + n, node, m) == 0 && key[n + m] == '/' ? key + n + m + 1 : NULL;
}

int etcd_range_of(const char *key, const char *node)
{
	for (unsigned i = 0; i < etcd_range_count(); i++)
		if (rest_of(&ranges[i], key, node))
			return (int)i;
	return -1;
}

bool etcd_key_is_others(unsigned row, const char *key, const char *node)
{
	const char *rest = rest_of(&ranges[row], key, node);

	return rest && ranges[row].is_others && ranges[row].is_others(rest, node);
}

/* NAMESPACE/NAME, and the name's first segment is the node's, with dashes inside doubled. */
static bool workload_is_others(const char *rest, const char *node)
{
	const char *slash = strchr(rest, '/'), *at;

	if (!slash)
		return false;
	at = slash + 1;
	for (; *node; node++) {
		if (*at++ != *node || (*node == '-' && *at++ != '-'))
			return true;
	}
	return *at != '-' || at[1] == '-';
}

static struct yaml_node *refuse(const struct source *s, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static struct yaml_node *refuse(const struct source *s, const char *field, const char *fmt, ...)
{
	char *text = arena_alloc(s->arena, MAX_REASON);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, MAX_REASON, fmt, ap);
	va_end(ap);
	*s->field = field;
	*s->reason = text;
	return NULL;
}

/* ---- Resources ---- */

static struct yaml_node *resource(const struct source *s)
{
	const char *kind = json_text_at(s->doc, "kind"), *name = json_text_at(s->doc, "metadata.name");
	const char *slash = strrchr(s->rest, '/'), *namespace = json_text_at(s->doc, "metadata.namespace");
	size_t n = slash ? (size_t)(slash - s->rest) : 0;

	if (!kind || strcmp(kind, s->kind) != 0)
		return refuse(s, "kind", "expected %s, as the key says, not '%.60s'", s->kind, kind ? kind : "");
	if (!name || strcmp(name, slash ? slash + 1 : s->rest) != 0)
		return refuse(s, "metadata.name", "is '%.80s', and the key says '%.80s'", name ? name : "", s->rest);
	if (slash && (!namespace || strlen(namespace) != n || memcmp(namespace, s->rest, n) != 0))
		return refuse(s, "metadata.namespace", "is '%.80s', and the key says '%.80s'",
			      namespace ? namespace : "", s->rest);
	return s->doc;
}

/* ---- IPAM ---- */

/* "ipv4/block/10.244.1.0-26" → "10.244.1.0/26", in the arena; NULL if it is not of that form. */
static const char *cidr_of(const struct source *s)
{
	static const char *const forms[] = {"ipv4/block/", "ipv6/block/"};

	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		size_t n = strlen(forms[i]);
		const char *dash = strrchr(s->rest, '-');
		char *cidr;
		if (strncmp(s->rest, forms[i], n) != 0 || !dash || dash < s->rest + n)
			continue;
		cidr = arena_alloc(s->arena, strlen(s->rest + n) + 1);
		strcpy(cidr, s->rest + n);
		cidr[dash - (s->rest + n)] = '/';
		return cidr;
	}
	refuse(s, "", "the key does not end in ipv4/block/ADDRESS-LENGTH, but in %.80s", s->rest);
	return NULL;
}

/* An object's name, as Calico makes it of a CIDR: "10-244-1-0-26". */
static char *name_of(const struct source *s, const char *before, const char *cidr)
{
	size_t n = strlen(before);
	char *name = arena_alloc(s->arena, n + strlen(cidr) + 2);

	strcpy(name, before);
	if (n)
		name[n++] = '-';
	for (; *cidr; cidr++)
		name[n++] = isalnum((unsigned char)*cidr) ? *cidr : '-';
	name[n] = '\0';
	return name;
}

static struct yaml_node *object(const struct source *s, const char *name, struct yaml_node *spec)
{
	struct yaml_node *o = json_new_map(s->arena), *metadata = json_new_map(s->arena);

	json_set(s->arena, metadata, "name", json_new_text(s->arena, name));
	json_set(s->arena, o, "apiVersion", json_new_text(s->arena, API));
	json_set(s->arena, o, "kind", json_new_text(s->arena, s->kind));
	json_set(s->arena, o, "metadata", metadata);
	json_set(s->arena, o, "spec", spec);
	return o;
}

static void take_field(const struct source *s, struct yaml_node *spec, const char *name)
{
	struct yaml_node *value = yaml_get(s->doc, name);

	if (value)
		json_set(s->arena, spec, name, value);
}

static struct yaml_node *block(const struct source *s)
{
	static const char *const fields[] = {"affinity", "hostAffinity", "allocations", "attributes", "deleted"};
	const char *cidr = cidr_of(s), *said = json_text_at(s->doc, "cidr");
	struct yaml_node *spec = json_new_map(s->arena);

	if (!cidr)
		return NULL;
	if (!said || strcmp(said, cidr) != 0)
		return refuse(s, "cidr", "is '%.60s', and the key says '%.60s'", said ? said : "", cidr);
	json_set(s->arena, spec, "cidr", json_new_text(s->arena, cidr));
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		take_field(s, spec, fields[i]);
	return object(s, name_of(s, "", cidr), spec);
}

/* No state is how releases before 3.0 wrote a confirmed one. */
static struct yaml_node *affinity(const struct source *s)
{
	const char *cidr = cidr_of(s);
	struct yaml_node *spec = json_new_map(s->arena);

	if (!cidr)
		return NULL;
	json_set(s->arena, spec, "cidr", json_new_text(s->arena, cidr));
	json_set(s->arena, spec, "node", json_new_text(s->arena, s->node));
	take_field(s, spec, "state");
	take_field(s, spec, "deleted");
	return object(s, name_of(s, s->node, cidr), spec);
}

struct yaml_node *etcd_object(unsigned row, const char *key, const char *node, struct yaml_node *doc, struct arena *a,
			      const char **field, const char **reason)
{
	const struct range *r = &ranges[row];
	struct source s = {.rest = rest_of(r, key, node),
			   .kind = r->kind,
			   .node = node,
			   .doc = doc,
			   .arena = a,
			   .field = field,
			   .reason = reason};

	if (!s.rest)
		return refuse(&s, "", "the key does not begin with %s", r->prefix);
	if (doc->type != YAML_MAP)
		return refuse(&s, "", "expected a JSON object");
	return r->object(&s);
}
