/* The bytes of a file, and how to tell without reading that they are still the same. */
#ifndef DATASTORE_CONTENT_H
#define DATASTORE_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define CONTENT_MAX_BYTES (64u << 20)

struct content_mark {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
	uint64_t taken; /* mono time */
};

/* The mark of what is about to be read. */
struct content_mark content_mark(const struct stat *st);
/* Is this surely what was marked? What changed within a second before the mark was taken may have changed again in the
 * same tick of the file system's clock, and counts as changed. */
bool content_is(const struct content_mark *m, const struct stat *st);

/* All of an open file in fresh memory, with a NUL behind it. NULL, and *reason, if it cannot be read or is too large.
 */
char *content_read(int fd, size_t *len, const char **reason);

#endif
