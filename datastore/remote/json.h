/* JSON as the tree that object_decode() takes: JSON is what yaml_parse() makes of it, except that positions are unknown
 * (line and column are 0). The only includer of <jansson.h> is json.c.
 *
 * Depth and number of nodes are bounded as for YAML (datastore/yaml.h); a key that is there twice is an error. */
#ifndef DATASTORE_REMOTE_JSON_H
#define DATASTORE_REMOTE_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/buf.h"
#include "daemon/base/mem.h"
#include "datastore/yaml.h"

#define JSON_ERROR_LEN 200

/* Parses one value; the tree lives in the arena. NULL, with err filled. */
struct yaml_node *json_parse(const char *text, size_t len, struct arena *a, char err[static JSON_ERROR_LEN]);

/* The value at a path of maps, "metadata.name"; NULL if it is absent. */
struct yaml_node *json_at(const struct yaml_node *map, const char *path);
/* The text of a scalar at a path; NULL if it is absent, null, a map or a list. */
const char *json_text_at(const struct yaml_node *map, const char *path);

/* New nodes in the arena. A text is a JSON string; a word is what stands without quotes: a number, true, false, null.
 * The text is copied. */
struct yaml_node *json_new_map(struct arena *a);
struct yaml_node *json_new_list(struct arena *a);
struct yaml_node *json_new_text(struct arena *a, const char *text);
struct yaml_node *json_new_word(struct arena *a, const char *word);
/* Sets a key of a map, replacing the value that is there. The node may stand in several trees. */
void json_set(struct arena *a, struct yaml_node *map, const char *key, struct yaml_node *value);
/* Removes a key; no change if it is absent. */
void json_remove(struct yaml_node *map, const char *key);
void json_append(struct arena *a, struct yaml_node *list, struct yaml_node *value);

/* Appends the tree as JSON text without blanks. */
void json_write(struct strbuf *out, const struct yaml_node *n);

#endif
