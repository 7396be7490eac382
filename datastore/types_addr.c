/* Types of rows that hold addresses and prefixes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "datastore/types.h"

static bool is_family(const struct schema_row *row, const struct addr *a)
{
	return !row->af || row->af == a->af;
}

static bool refuse_family(const struct schema_row *row, const struct yaml_node *n, struct object_error *err)
{
	return schema_refuse(err, n, "expected %s of IPv%c, not '%.60s'", row->type->expects,
			     row->af == AF_INET ? '4' : '6', n->text);
}

/* What no node, peer or tunnel can have: unspecified, multicast, broadcast. (Loopback is for those who know.) */
static bool is_unusable(const struct addr *a)
{
	static const uint8_t zero[16], ones[4] = {255, 255, 255, 255};

	if (memcmp(a->b, zero, addr_bytes(a->af)) == 0)
		return true;
	return a->af == AF_INET6 ? a->b[0] == 0xff : a->b[0] >> 4 == 14 || memcmp(a->b, ones, 4) == 0;
}

static bool check_addr(const struct schema_row *row, const struct yaml_node *n, const struct addr *a,
		       struct object_error *err)
{
	if (!is_family(row, a))
		return refuse_family(row, n, err);
	if (is_unusable(a))
		return schema_refuse(err, n, "%.60s is nobody's address", n->text);
	return true;
}

static bool decode_addr(const struct schema_row *row, const struct yaml_node *n, void *object, struct object_error *err)
{
	struct addr a;

	if (!*n->text)
		return true;
	if (!addr_parse(&a, n->text))
		return type_refuse(row, n, err);
	if (!check_addr(row, n, &a, err))
		return false;
	memcpy(schema_place(object, row->offset), &a, sizeof a);
	return true;
}

static bool decode_host_addr(const struct schema_row *row, const struct yaml_node *n, void *object,
			     struct object_error *err)
{
	struct host_addr h;
	unsigned len;

	if (!*n->text)
		return true;
	if (!prefix_parse_host(&h.addr, &len, n->text))
		return type_refuse(row, n, err);
	if (!check_addr(row, n, &h.addr, err))
		return false;
	h.len = (uint8_t)len;
	memcpy(schema_place(object, row->offset), &h, sizeof h);
	return true;
}

/* "10.0.0.1", "10.0.0.1:1790", "fd00::1", "[fd00::1]:1790". */
static bool parse_endpoint(const char *text, struct addr *a, uint16_t *port)
{
	bool brackets = *text == '[';
	const char *host = text + brackets, *end = strchr(host, brackets ? ']' : ':');
	char copy[ADDR_STRLEN];
	uint64_t number;

	*port = 0;
	if (addr_parse(a, text))
		return true;
	if (!end || (size_t)(end - host) >= sizeof copy)
		return false;
	snprintf(copy, sizeof copy, "%.*s", (int)(end - host), host);
	if (!addr_parse(a, copy) || (a->af == AF_INET6) != brackets || end[brackets] != ':')
		return false;
	if (!schema_number(end + brackets + 1, UINT16_MAX, &number) || number == 0)
		return false;
	*port = (uint16_t)number;
	return true;
}

static bool decode_endpoint(const struct schema_row *row, const struct yaml_node *n, void *object,
			    struct object_error *err)
{
	struct addr a;
	uint16_t port;

	if (!*n->text)
		return true;
	if (!parse_endpoint(n->text, &a, &port))
		return type_refuse(row, n, err);
	if (!check_addr(row, n, &a, err))
		return false;
	memcpy(schema_place(object, row->offset), &a, sizeof a);
	memcpy(schema_place(object, row->second), &port, sizeof port);
	return true;
}

static void put_endpoint(const struct schema_row *row, const void *object, struct strbuf *out)
{
	strbuf_add(out, schema_place_const(object, row->offset), sizeof(struct addr));
	strbuf_add(out, schema_place_const(object, row->second), sizeof(uint16_t));
}

static bool decode_cluster_id(const struct schema_row *row, const struct yaml_node *n, void *object,
			      struct object_error *err)
{
	struct addr a;

	if (!addr_parse(&a, n->text) || a.af != AF_INET || addr_to_u32(&a) == 0)
		return type_refuse(row, n, err);
	type_store_number(row, object, addr_to_u32(&a));
	return true;
}

static bool decode_prefix(const struct schema_row *row, const struct yaml_node *n, void *object,
			  struct object_error *err)
{
	struct prefix p;

	if (!prefix_parse(&p, n->text))
		return type_refuse(row, n, err);
	if (!is_family(row, &p.addr))
		return refuse_family(row, n, err);
	memcpy(schema_place(object, row->offset), &p, sizeof p);
	return true;
}

/* key: the items are maps with the prefix under it; NULL: they are the prefixes. */
static bool take_prefixes(const struct schema_row *row, const struct yaml_node *n, const char *key, void *object,
			  struct object_error *err)
{
	struct prefix *list = mem_calloc(n->count, sizeof *list);
	unsigned count = (unsigned)n->count;

	for (size_t i = 0; i < n->count; i++) {
		const struct yaml_node *item = n->items[i];
		if (key && yaml_get(item, key))
			item = yaml_get(item, key);
		if (item->type == YAML_SCALAR && (!key || item != n->items[i]) && prefix_parse(&list[i], item->text))
			continue;
		snprintf(err->field, sizeof err->field, "%s[%zu]", row->path, i);
		free(list);
		return schema_refuse(err, item, "expected %san address or a prefix, not '%.60s'",
				     key ? "a map with the field cidr, " : "",
				     item->type == YAML_SCALAR ? item->text : "...");
	}
	memcpy(schema_place(object, row->offset), &list, sizeof list);
	memcpy(schema_place(object, row->second), &count, sizeof count);
	return true;
}

static bool decode_prefixes(const struct schema_row *row, const struct yaml_node *n, void *object,
			    struct object_error *err)
{
	return take_prefixes(row, n, NULL, object, err);
}

static bool decode_cidrs(const struct schema_row *row, const struct yaml_node *n, void *object,
			 struct object_error *err)
{
	return take_prefixes(row, n, "cidr", object, err);
}

/* The items are maps with `address` and `type`. Names, and addresses of other types, are of no consequence. */
static bool decode_internal_ips(const struct schema_row *row, const struct yaml_node *n, void *object,
				struct object_error *err)
{
	struct addr *internal = schema_place(object, row->offset), a;
	unsigned len;

	(void)err;
	for (size_t i = 0; i < n->count; i++) {
		const struct yaml_node *type = yaml_get(n->items[i], "type"), *text = yaml_get(n->items[i], "address");
		if (!type || type->type != YAML_SCALAR || strcmp(type->text, "InternalIP") != 0)
			continue;
		if (text && text->type == YAML_SCALAR && prefix_parse_host(&a, &len, text->text) &&
		    addr_is_none(&internal[family_of_af(a.af)]))
			internal[family_of_af(a.af)] = a;
	}
	return true;
}

static void put_prefixes(const struct schema_row *row, const void *object, struct strbuf *out)
{
	const struct prefix *list;
	unsigned count;

	memcpy(&list, schema_place_const(object, row->offset), sizeof list);
	memcpy(&count, schema_place_const(object, row->second), sizeof count);
	strbuf_add(out, &count, sizeof count);
	strbuf_add(out, list, count * sizeof *list);
}

const struct schema_type schema_addr = {.expects = "an address", .decode = decode_addr};
const struct schema_type schema_host_addr = {.expects = "an address/length", .decode = decode_host_addr};
const struct schema_type schema_endpoint = {
    .expects = "an address, ADDRESS:PORT or [ADDRESS]:PORT",
    .decode = decode_endpoint,
    .put = put_endpoint,
};
const struct schema_type schema_cluster_id = {
    .expects = "a cluster id like an IPv4 address",
    .decode = decode_cluster_id,
};
const struct schema_type schema_prefix = {.expects = "a prefix", .decode = decode_prefix};
const struct schema_type schema_prefixes = {
    .expects = "a list of prefixes",
    .takes = YAML_LIST,
    .decode = decode_prefixes,
    .put = put_prefixes,
    .drop = type_drop_text, /* one piece of memory, as a text is */
};
const struct schema_type schema_internal_ips = {
    .expects = "a list of maps with address and type",
    .takes = YAML_LIST,
    .decode = decode_internal_ips,
};
const struct schema_type schema_cidrs = {
    .expects = "a list of maps with the field cidr",
    .takes = YAML_LIST,
    .decode = decode_cidrs,
    .put = put_prefixes,
    .drop = type_drop_text, /* one piece of memory, as a text is */
};
