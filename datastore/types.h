/* What the types of rows have in common; for the files that define types. */
#ifndef DATASTORE_TYPES_H
#define DATASTORE_TYPES_H

#include "datastore/schema.h"

/* Stores a number, boolean or enumeration as wide as the row's member is. */
void type_store_number(const struct schema_row *row, void *object, uint64_t v);
/* Stores a copy of the text; an empty one is one that is not set. */
void type_store_text(const struct schema_row *row, void *object, const char *text, size_t len);
/* The put() and drop() of a text. */
void type_put_text(const struct schema_row *row, const void *object, struct strbuf *out);
void type_drop_text(const struct schema_row *row, void *object);
/* "expected ..., not '...'"; returns false. */
bool type_refuse(const struct schema_row *row, const struct yaml_node *n, struct object_error *err);
/* RFC 5396; AS 0 included. */
bool type_as_of_text(const char *text, uint32_t *as);

#endif
