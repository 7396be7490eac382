/* The schema-table machinery: a kind of object is a table of rows, a row is a field. Decoding, defaults, the content
 * digest and freeing are walks over the same rows, so a field is described in one place only.
 *
 * Rows of ours are annotations, too, as API servers drop fields that they do not know: "spec.bfd.enabled" may stand as
 * "calidris.io/bfd.enabled", or in the map "calidris.io/bfd".
 *
 * Rows of one map stand together in the table ("spec.bgp.x" next to "spec.bgp.y"), as the walk narrows the range of
 * rows map by map. A row without a type is a field that is known but not decoded. */
#ifndef DATASTORE_SCHEMA_H
#define DATASTORE_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/buf.h"
#include "datastore/objects.h"
#include "datastore/yaml.h"

struct schema_row;

/* How a field's text becomes a value and what else is done with values of that type. `place` functions get the object,
 * and find the value by the row. */
struct schema_type {
	const char *expects; /* "an address": for "expected an address, not a list" */
	enum yaml_type takes;
	/* Fills the value; on failure nothing is left that free() would have to see. */
	bool (*decode)(const struct schema_row *row, const struct yaml_node *n, void *object, struct object_error *err);
	/* Appends what identifies the value; NULL: its bytes. */
	void (*put)(const struct schema_row *row, const void *object, struct strbuf *out);
	/* Frees what the value holds; NULL: nothing. */
	void (*drop)(const struct schema_row *row, void *object);
};

/* What is done with a field. */
enum schema_use {
	SCHEMA_TAKEN, /* decoded */
	SCHEMA_QUIET, /* known, and of no consequence for routing: accepted without a word */
	SCHEMA_LATER, /* known, not honoured yet: reported if it is set to anything but its default */
};

struct schema_name {
	const char *text;
	int value;
};

struct schema_row {
	const char *path; /* "spec.bgp.asNumber" */
	const struct schema_type *type;
	enum schema_use use;
	bool required;
	bool ours;			 /* Calico's API has no such field: docs/calidris-objects.5 describes it */
	size_t offset, size;		 /* where the value goes: SCHEMA_FIELD() */
	size_t second;			 /* a list's count, a selector's parsed form, a port; 0: none */
	size_t present;			 /* a bool that is set if the field is there; 0: none */
	uint64_t min, max;		 /* numbers: the range; texts: the length; max 0: no limit */
	uint8_t af;			 /* addresses: the family; 0: any */
	const struct schema_name *names; /* enumerations, ended by a row without text */
	const struct schema *items;	 /* lists of maps: what each of them is; at most `max` of them */
	const char *why;		 /* LATER: why not; NULL: not yet. QUIET: why nothing follows from it */
	const char *def; /* taken if the field is absent; LATER: what is not worth a word ("a|b": either) */
};

#define SCHEMA_FIELD(structure, member) \
	.offset = offsetof(struct structure, member), .size = sizeof(((struct structure *)0)->member)

/* No table has more rows; a test holds it. */
#define SCHEMA_ROWS_MAX 128u

struct schema {
	const char *kind; /* "BGPPeer" */
	const char *api;  /* NULL: Calico's */
	const struct schema_row *rows;
	unsigned row_count;
	size_t size; /* of the object */
	bool namespaced;
	bool lax;    /* what no row names is of no consequence, and not reported: of other people's APIs */
	bool strict; /* what no row names makes it refused: whoever ignored it would do the opposite of what is meant */
	/* What no single row can say: fields that exclude each other, or a format of its own. NULL: nothing.
	 * Of an item of a list `doc` is the item. */
	bool (*finish)(void *object, const struct yaml_node *doc, struct object_error *err);
	/* What finish() made: its part of the digest, and its end. */
	void (*put)(const void *object, struct strbuf *out);
	void (*drop)(void *object);
};

/* schema_items is a list of maps, stored as an array of row->items->size octets each, its length at row->second. */
extern const struct schema_type schema_items, schema_bool, schema_loose_bool, schema_uint, schema_as, schema_seconds,
    schema_text, schema_object_name, schema_ifname, schema_mac, schema_enum, schema_flags, schema_addr,
    schema_host_addr, schema_endpoint, schema_cluster_id, schema_prefix, schema_prefixes, schema_cidrs, schema_selector,
    schema_internal_ips, schema_labels, schema_affinity, schema_texts, schema_as_list, schema_community,
    schema_communities;

/* Fields that are not taken, as object_decode() reports them. */
struct schema_report {
	object_report_fn *fn;
	void *arg;
};

/* Decodes into a zeroed object. On failure the object is to be given to schema_drop() all the same. */
bool schema_decode(const struct schema *s, const struct yaml_node *doc, void *object, struct schema_report report,
		   struct object_error *err);
/* Appends what identifies all that was decoded; and the digest of that. */
void schema_put(const struct schema *s, const void *object, struct strbuf *out);
uint64_t schema_digest(const struct schema *s, const void *object);
/* Frees what the object's fields hold, not the object. */
void schema_drop(const struct schema *s, void *object);

/* Fills err's place and reason, and returns false. */
bool schema_refuse(struct object_error *err, const struct yaml_node *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for a field of the document by its path ("spec.peerIP"); the document's own place if it is absent. */
bool schema_refuse_field(struct object_error *err, const struct yaml_node *doc, const char *path, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The node at a path of a document; NULL if it is absent or null. */
const struct yaml_node *schema_at(const struct yaml_node *doc, const char *path);
/* What a field has its value from: the node at its path, or the annotation in its place. NULL if neither is there. */
const struct yaml_node *schema_source(const struct schema *s, const struct yaml_node *doc, const char *path);
/* The list at a path; an empty one if there is none. NULL with err filled if it is something else. */
const struct yaml_node *schema_list_at(const struct yaml_node *doc, const char *path, struct object_error *err);
/* A decimal number without sign, blanks or quotes, up to max. */
bool schema_number(const char *text, uint64_t max, uint64_t *value);
#define SCHEMA_NAME_MAX 1023u
/* Can it be the name of an object: 1 to 1023 letters, digits, '-', '.', '_', ':'? */
bool schema_is_name(const char *text);

/* Where a row's value (or its second part) is in an object. */
static inline void *schema_place(void *object, size_t offset)
{
	return (char *)object + offset;
}
static inline const void *schema_place_const(const void *object, size_t offset)
{
	return (const char *)object + offset;
}

/* The schema of a kind (objects.c). Tests walk its rows. */
const struct schema *object_schema(enum object_kind k);

#endif
