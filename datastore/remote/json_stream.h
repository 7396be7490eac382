/* Cuts a stream of JSON objects, one after the other, into pieces that can be parsed one at a time: the elements of one
 * list in them ("kvs", "items", "result.events"), and then each object without these. So the memory needed is that of
 * the largest element, however long a list is.
 *
 * The scanner knows strings and brackets only; whether a piece is JSON its parser finds out. */
#ifndef DATASTORE_REMOTE_JSON_STREAM_H
#define DATASTORE_REMOTE_JSON_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/buf.h"

enum json_piece {
	JSON_ELEMENT,	/* an element of the list */
	JSON_OBJECT,	/* a whole object; the list in it is empty */
	JSON_TOO_LARGE, /* an element that is left out, and how it begins */
};

#define JSON_STREAM_DEPTH 128u
#define JSON_STREAM_PATH 64u
#define JSON_STREAM_BEGINNING 4096u /* octets of an element that is too large */

/* Zero-initialise, set the first part. */
struct json_stream {
	/* The list's place in each object, "result.events"; NULL: none */
	const char *member;
	size_t max; /* octets of a piece */
	/* text is valid during the call, without a NUL behind it. False ends the stream. */
	bool (*on_piece)(void *arg, enum json_piece what, const char *text, size_t len);
	void *arg;

	/* The rest is its own. */
	struct strbuf object, element;
	char key[JSON_STREAM_PATH], path[JSON_STREAM_PATH];
	unsigned key_len, depth, list_depth;
	unsigned path_end[JSON_STREAM_DEPTH];
	bool in_map[JSON_STREAM_DEPTH];
	bool in_string, escaped, wants_key, is_key, in_element, too_large, key_cut;
};

/* The next octets of the stream. False if it is no sequence of objects, an object is too large, or on_piece() said so;
 * *error (a constant) says why, NULL for the last. */
bool json_stream_feed(struct json_stream *s, const char *data, size_t len, const char **error);
/* Has a piece begun that has not ended? */
bool json_stream_is_open(const struct json_stream *s);
/* Forgets what has begun, and frees all memory. */
void json_stream_reset(struct json_stream *s);

#endif
