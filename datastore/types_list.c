/* Types of rows that hold lists of plain values, and communities. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "datastore/types.h"

/* A list in an object: what it points at, and how many there are. */
static void store_list(const struct schema_row *row, void *object, void *list, size_t count)
{
	unsigned n = (unsigned)count;

	memcpy(schema_place(object, row->offset), &list, sizeof list);
	memcpy(schema_place(object, row->second), &n, sizeof n);
}

static unsigned count_of(const struct schema_row *row, const void *object)
{
	unsigned n;

	memcpy(&n, schema_place_const(object, row->second), sizeof n);
	return n;
}

static void *list_of(const struct schema_row *row, const void *object)
{
	void *list;

	memcpy(&list, schema_place_const(object, row->offset), sizeof list);
	return list;
}

/* Lists have no more than row->max items, if it says so. */
static bool check_count(const struct schema_row *row, const struct yaml_node *n, struct object_error *err)
{
	if (!row->max || n->count <= row->max)
		return true;
	return schema_refuse(err, n, "expected at most %llu items, not %zu", (unsigned long long)row->max, n->count);
}

static bool refuse_item(const struct schema_row *row, const struct yaml_node *n, size_t i, const char *expected,
			struct object_error *err)
{
	const struct yaml_node *item = n->items[i];

	snprintf(err->field, sizeof err->field, "%s[%zu]", row->path, i);
	return schema_refuse(err, item, "expected %s, not '%.60s'", expected,
			     item->type == YAML_SCALAR ? item->text : "...");
}

/* ---- Texts ---- */

static bool decode_texts(const struct schema_row *row, const struct yaml_node *n, void *object,
			 struct object_error *err)
{
	char **list;

	if (!check_count(row, n, err))
		return false;
	for (size_t i = 0; i < n->count; i++)
		if (n->items[i]->type != YAML_SCALAR || !*n->items[i]->text || yaml_is_null(n->items[i]))
			return refuse_item(row, n, i, "a text", err);
	list = n->count ? mem_alloc(n->count * sizeof *list) : NULL;
	for (size_t i = 0; i < n->count; i++)
		list[i] = mem_strdup(n->items[i]->text);
	store_list(row, object, list, n->count);
	return true;
}

static void put_texts(const struct schema_row *row, const void *object, struct strbuf *out)
{
	char *const *list = list_of(row, object);
	unsigned count = count_of(row, object);

	strbuf_add(out, &count, sizeof count);
	for (unsigned i = 0; i < count; i++)
		strbuf_add(out, list[i], strlen(list[i]) + 1);
}

static void drop_texts(const struct schema_row *row, void *object)
{
	char **list = list_of(row, object);

	for (unsigned i = 0; i < count_of(row, object); i++)
		free(list[i]);
	free(list);
}

/* ---- Lists of values of one size ---- */

static void put_values(const struct schema_row *row, const void *object, struct strbuf *out, size_t size)
{
	unsigned count = count_of(row, object);

	strbuf_add(out, &count, sizeof count);
	if (count)
		strbuf_add(out, list_of(row, object), count * size);
}

static void drop_values(const struct schema_row *row, void *object)
{
	free(list_of(row, object));
}

static bool decode_as_list(const struct schema_row *row, const struct yaml_node *n, void *object,
			   struct object_error *err)
{
	uint32_t *list;

	if (!check_count(row, n, err))
		return false;
	list = mem_calloc(n->count + 1, sizeof *list);
	for (size_t i = 0; i < n->count; i++) {
		const struct yaml_node *item = n->items[i];
		if (item->type == YAML_SCALAR && type_as_of_text(item->text, &list[i]))
			continue;
		free(list);
		return refuse_item(row, n, i, "an AS number (64512, or 1.10)", err);
	}
	store_list(row, object, list, n->count);
	return true;
}

static void put_as_list(const struct schema_row *row, const void *object, struct strbuf *out)
{
	put_values(row, object, out, sizeof(uint32_t));
}

/* ---- Communities ---- */

bool community_parse(struct community *c, const char *text)
{
	char part[16];
	uint64_t number;

	*c = (struct community){0};
	for (; c->parts < 3; c->parts++) {
		size_t n = strcspn(text, ":");
		if (n >= sizeof part)
			return false;
		snprintf(part, sizeof part, "%.*s", (int)n, text);
		if (!schema_number(part, UINT32_MAX, &number))
			return false;
		c->part[c->parts] = (uint32_t)number;
		text += n;
		if (!*text++) {
			c->parts++;
			break;
		}
		if (c->parts == 2)
			return false;
	}
	if (c->parts == 2)
		return c->part[0] <= UINT16_MAX && c->part[1] <= UINT16_MAX;
	return c->parts == 3;
}

static const char a_community[] = "a community (65000:100, or a large one, 65000:1:2)";

static bool decode_community(const struct schema_row *row, const struct yaml_node *n, void *object,
			     struct object_error *err)
{
	struct community c;

	if (!community_parse(&c, n->text))
		return type_refuse(row, n, err);
	memcpy(schema_place(object, row->offset), &c, sizeof c);
	return true;
}

static bool decode_communities(const struct schema_row *row, const struct yaml_node *n, void *object,
			       struct object_error *err)
{
	struct community *list;

	if (!check_count(row, n, err))
		return false;
	list = mem_calloc(n->count + 1, sizeof *list);
	for (size_t i = 0; i < n->count; i++) {
		const struct yaml_node *item = n->items[i];
		if (item->type == YAML_SCALAR && community_parse(&list[i], item->text))
			continue;
		free(list);
		return refuse_item(row, n, i, a_community, err);
	}
	store_list(row, object, list, n->count);
	return true;
}

static void put_communities(const struct schema_row *row, const void *object, struct strbuf *out)
{
	put_values(row, object, out, sizeof(struct community));
}

const struct schema_type schema_texts = {
    .expects = "a list of texts",
    .takes = YAML_LIST,
    .decode = decode_texts,
    .put = put_texts,
    .drop = drop_texts,
};
const struct schema_type schema_as_list = {
    .expects = "a list of AS numbers",
    .takes = YAML_LIST,
    .decode = decode_as_list,
    .put = put_as_list,
    .drop = drop_values,
};
const struct schema_type schema_community = {.expects = a_community, .decode = decode_community};
const struct schema_type schema_communities = {
    .expects = "a list of communities",
    .takes = YAML_LIST,
    .decode = decode_communities,
    .put = put_communities,
    .drop = drop_values,
};
