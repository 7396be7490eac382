/* YAML (and so JSON) as a tree that remembers where everything stood, for messages of the form file:line:column.
 *
 * The only includer of libyaml is yaml.c. Anchors are refused and the tree's depth and size are bounded, since files
 * are untrusted input. */
#ifndef DATASTORE_YAML_H
#define DATASTORE_YAML_H

#include <stdbool.h>
#include <stddef.h>

enum yaml_type { YAML_SCALAR, YAML_MAP, YAML_LIST };

struct yaml_node {
	enum yaml_type type;
	bool quoted;		    /* a scalar in quotes is a string whatever it looks like */
	bool duplicate;		    /* a map's value whose key stood in that map before; yaml_unique() finds these */
	unsigned line, col;	    /* from 1 */
	unsigned key_line, key_col; /* a map's value: where its key stood; otherwise as line and col */
	char *text;		    /* scalars: NUL-terminated */
	/* maps: keys[i] is the text of the i-th key; maps and lists: items[i]; count of them */
	char **keys;
	struct yaml_node **items;
	size_t count;
	size_t room; /* how many fit: trees that are built grow, parsed ones (0) do not */
};

struct yaml_error {
	unsigned line, col;
	char reason[200];
};

#define YAML_MAX_DEPTH 64	/* lists and maps inside each other */
#define YAML_MAX_NODES 4000000u /* of one document: some 300 MB of tree */

/* Parses one stream of documents. Calls doc for each document that is whole (NULL for an empty one, which is not an
 * error); the tree is freed after the call returns. A syntax error ends the stream: *err is filled, false is returned,
 * and documents before it were delivered. */
bool yaml_parse(const char *text, size_t len, void (*doc)(void *arg, struct yaml_node *root), void *arg,
		struct yaml_error *err);

/* The value of a key of a map; NULL if absent or not a map. */
struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
/* False, with err filled, if a map somewhere in the tree has a key twice: whoever takes a document refuses that, since
 * only one of the two values could be honoured (yaml_get returns the first). */
bool yaml_unique(const struct yaml_node *root, struct yaml_error *err);
/* A scalar that stands for nothing: null, ~, or empty without quotes. */
bool yaml_is_null(const struct yaml_node *n);

#endif
