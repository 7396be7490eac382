/* How rows of the kinds' tables are written; for the files that hold such tables. */
#ifndef DATASTORE_ROWS_H
#define DATASTORE_ROWS_H

#include "datastore/schema.h"

#define TAKEN(structure, member) .use = SCHEMA_TAKEN, SCHEMA_FIELD(structure, member)
#define OURS(structure, member) .ours = true, TAKEN(structure, member)
/* clang-format off */
#define QUIET(name, ...) {.path = name, .use = SCHEMA_QUIET, .why = "" __VA_ARGS__}
#define LATER(name, ...) {.path = name, .use = SCHEMA_LATER, __VA_ARGS__}

/* What the API server keeps about every object. */
#define ROWS_OF_ALL(...)                                                                                               \
	QUIET("apiVersion"), QUIET("kind"), QUIET("status"),                                                           \
	{.path = "metadata.name", .type = &schema_object_name, .required = true, TAKEN(object, name)},                 \
	{.path = "metadata.labels", .type = &schema_labels, TAKEN(object, labels)},                                    \
	__VA_ARGS__,                                                                                                   \
	QUIET("metadata.annotations"), QUIET("metadata.uid"), QUIET("metadata.creationTimestamp"),                     \
	QUIET("metadata.resourceVersion"), QUIET("metadata.generation"), QUIET("metadata.generateName"),               \
	QUIET("metadata.managedFields"), QUIET("metadata.ownerReferences"), QUIET("metadata.finalizers"),              \
	QUIET("metadata.selfLink"), QUIET("metadata.deletionTimestamp"), QUIET("metadata.deletionGracePeriodSeconds")
/* clang-format on */

#define SCHEMA_ROWS(table) .rows = table, .row_count = sizeof table / sizeof *table

#endif
