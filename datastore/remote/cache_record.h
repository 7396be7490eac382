/* The records that a cache file is made of, and how a file is walked. */
#ifndef DATASTORE_REMOTE_CACHE_RECORD_H
#define DATASTORE_REMOTE_CACHE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/buf.h"

/* IDENTITY begins each file: its key is the identity. MARK: its text is the time, an int64_t. */
enum record_type { RECORD_IDENTITY = 1, RECORD_PUT, RECORD_DELETE, RECORD_MARK, RECORD_TYPE_END };

#define RECORD_MAX_KEY 4096u
#define RECORD_MAX_TEXT (16u << 20)

/* In the byte order of the machine: a cache stays on its node. */
struct record_head {
	uint32_t check; /* CRC-32 of what follows, to the end of the text */
	uint32_t type, key_len, text_len;
};

struct record {
	enum record_type type;
	const char *key, *text; /* NUL behind both */
	size_t key_len, text_len;
	uint64_t offset;
	uint32_t len; /* of all of it */
};

/* Appends a record. Returns its length. */
uint32_t record_write(struct strbuf *out, enum record_type type, const char *key, const char *text, size_t text_len);

/* Walks a file that is read by offsets (pread), with its own buffer. */
struct record_walk {
	int fd;
	uint64_t offset; /* of the next record */
	uint64_t end;	 /* no record goes beyond */
	uint64_t at;	 /* file offset of window.s[0] */
	struct strbuf window, record;
};

/* The next record. False at the end, or where there is no record: *error says why, NULL at the end. */
bool record_next(struct record_walk *w, struct record *r, const char **error);
void record_walk_free(struct record_walk *w);

#endif
