#include "daemon/cluster/overrides.h"

#include <string.h>

#include "datastore/schema.h"

/* What one node may have otherwise. */
static const char *const fields_of_nodes[] = {
    "spec.listenPort", "spec.logSeverityScreen", "spec.communities", "spec.prefixAdvertisements", "spec.maxPaths",
};

static bool is_of_nodes(const char *path)
{
	for (size_t i = 0; i < sizeof fields_of_nodes / sizeof *fields_of_nodes; i++)
		if (strcmp(fields_of_nodes[i], path) == 0)
			return true;
	return false;
}

/* Is it said? Where that makes a difference to the value itself the row remembers it. */
static bool is_set(const struct object *o, const struct schema_row *row)
{
	const unsigned char *at = schema_place_const(o, row->offset);

	if (row->present)
		return *(const bool *)schema_place_const(o, row->present);
	for (size_t i = 0; i < row->size; i++)
		if (at[i])
			return true;
	return false;
}

static void name_fields(const struct object *o, struct strbuf *out)
{
	const struct schema *s = object_schema(OBJ_BGP_CONFIGURATION);

	for (unsigned i = 0; i < s->row_count; i++) {
		const struct schema_row *row = &s->rows[i];

		if (row->use == SCHEMA_TAKEN && strncmp(row->path, "spec.", 5) == 0 && !is_of_nodes(row->path) &&
		    is_set(o, row))
			strbuf_printf(out, "BGPConfiguration %s: %s: only the default object may say it: ignored\n",
				      o->name, row->path);
	}
}

void overrides_problems(const struct store *s, const char *node, struct strbuf *out)
{
	const struct object *o;
	unsigned pos = 0;

	while ((o = store_next(s, OBJ_BGP_CONFIGURATION, &pos))) {
		if (strncmp(o->name, "node.", 5) == 0 && strcmp(o->name + 5, node) == 0)
			name_fields(o, out);
		else if (strncmp(o->name, "node.", 5) != 0 && strcmp(o->name, "default") != 0)
			strbuf_printf(
			    out, "BGPConfiguration %s: is neither default nor node.NAME: ignored, as Calico does\n",
			    o->name);
	}
}
