/* allocations[ordinal] is null or an index into attributes, and an attribute's secondary.node is the node that uses the
 * address. An attribute with releasedAt is in cooldown: nobody uses its addresses. During a live migration
 * alternateOwnerAttrs holds the other pod; only secondary counts. */
#include "datastore/ipam.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "datastore/schema.h"

/* A node's name: where it is in the document, and where its copy goes behind the owners. */
struct owner_name {
	const char *text; /* NULL: no owner */
	size_t at;
};

bool ipam_check_block(const struct prefix *cidr, const struct yaml_node *doc, struct object_error *err)
{
	unsigned shortest = cidr->addr.af == AF_INET ? 20 : 116;

	return cidr->len >= shortest ||
	       schema_refuse_field(err, doc, "spec.cidr", "a block is /20 to /32, or /116 to /128");
}

static const char *owner_of(const struct yaml_node *attribute)
{
	const struct yaml_node *secondary = yaml_get(attribute, "secondary"), *node = yaml_get(secondary, "node"),
			       *released = yaml_get(attribute, "releasedAt");

	if (!released)
		released = yaml_get(secondary, "releasedAt");
	if (released && !yaml_is_null(released))
		return NULL;
	return node && node->type == YAML_SCALAR && *node->text && strlen(node->text) <= 253 ? node->text : NULL;
}

/* The owner of each attribute. Equal names that follow each other, or the first one (a block's addresses are mostly its
 * own node's), share a copy. *bytes is the room that the names need. */
static struct owner_name *owner_names(const struct yaml_node *attributes, size_t *bytes)
{
	struct owner_name *names = mem_calloc(attributes->count, sizeof *names), *first = NULL, *last = NULL;

	*bytes = 0;
	for (size_t i = 0; i < attributes->count; i++) {
		names[i].text = owner_of(attributes->items[i]);
		if (!names[i].text)
			continue;
		if (!first || (strcmp(first->text, names[i].text) != 0 && strcmp(last->text, names[i].text) != 0)) {
			names[i].at = *bytes;
			*bytes += strlen(names[i].text) + 1;
			last = &names[i];
			first = first ? first : last;
		} else {
			names[i].at = strcmp(first->text, names[i].text) == 0 ? first->at : last->at;
		}
	}
	return names;
}

/* The attribute of one allocation: *index, or attributes->count if the address is free. */
static bool allocation(const struct yaml_node *n, size_t ordinal, size_t attribute_count, size_t *index,
		       struct object_error *err)
{
	uint64_t v;

	*index = attribute_count;
	if (yaml_is_null(n))
		return true;
	if (n->type == YAML_SCALAR && !n->quoted && schema_number(n->text, UINT32_MAX, &v) && v < attribute_count) {
		*index = (size_t)v;
		return true;
	}
	snprintf(err->field, sizeof err->field, "spec.allocations[%zu]", ordinal);
	return schema_refuse(err, n, "expected null, or the place of one of the %zu attributes", attribute_count);
}

static bool check_size(const struct prefix *cidr, const struct yaml_node *doc, const struct yaml_node *allocations,
		       struct object_error *err)
{
	size_t size = (size_t)1 << (addr_bits(cidr->addr.af) - cidr->len);

	return allocations->count <= size ||
	       schema_refuse_field(err, doc, "spec.allocations", "%zu addresses in a block of %zu", allocations->count,
				   size);
}

/* Owners and the names they point to are one piece of memory. */
static bool fill_owners(struct obj_ipam_block *b, const struct yaml_node *allocations, const struct owner_name *names,
			size_t name_count, size_t bytes, struct object_error *err)
{
	unsigned count = 0;
	size_t index;
	char *text;

	for (size_t i = 0; i < allocations->count; i++) {
		if (!allocation(allocations->items[i], i, name_count, &index, err))
			return false;
		count += index < name_count && names[index].text;
	}
	if (!count)
		return true;
	b->owners = mem_alloc(count * sizeof *b->owners + bytes);
	text = (char *)(b->owners + count);
	for (size_t i = 0; i < name_count; i++)
		if (names[i].text)
			memcpy(text + names[i].at, names[i].text, strlen(names[i].text) + 1);
	for (size_t i = 0; i < allocations->count; i++) {
		allocation(allocations->items[i], i, name_count, &index, err);
		if (index < name_count && names[index].text)
			b->owners[b->owner_count++] = (struct ipam_owner){(unsigned)i, text + names[index].at};
	}
	return true;
}

/* The deprecated form of spec.affinity. */
static void take_host_affinity(struct obj_ipam_block *b, const struct yaml_node *doc)
{
	const struct yaml_node *n = schema_at(doc, "spec.hostAffinity");

	if (!schema_at(doc, "spec.affinity") && n && n->type == YAML_SCALAR && *n->text)
		b->node = mem_strdup(n->text);
}

bool ipam_block_finish(void *object, const struct yaml_node *doc, struct object_error *err)
{
	struct obj_ipam_block *b = object;
	const struct yaml_node *attributes = schema_list_at(doc, "spec.attributes", err);
	const struct yaml_node *allocations = schema_list_at(doc, "spec.allocations", err);
	struct owner_name *names;
	size_t bytes;
	bool ok;

	take_host_affinity(b, doc);
	if (!attributes || !allocations || !ipam_check_block(&b->cidr, doc, err) ||
	    !check_size(&b->cidr, doc, allocations, err))
		return false;
	names = owner_names(attributes, &bytes);
	ok = fill_owners(b, allocations, names, attributes->count, bytes, err);
	free(names);
	return ok;
}

void ipam_block_put(const void *object, struct strbuf *out)
{
	const struct obj_ipam_block *b = object;

	strbuf_add(out, &b->owner_count, sizeof b->owner_count);
	for (unsigned i = 0; i < b->owner_count; i++) {
		strbuf_add(out, &b->owners[i].ordinal, sizeof b->owners[i].ordinal);
		strbuf_add(out, b->owners[i].node, strlen(b->owners[i].node) + 1);
	}
}

void ipam_block_drop(void *object)
{
	free(((struct obj_ipam_block *)object)->owners);
}
