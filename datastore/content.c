#include "datastore/content.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/mem.h"
#include "daemon/base/mono.h"

struct content_mark content_mark(const struct stat *st)
{
	return (struct content_mark){.dev = st->st_dev,
				     .ino = st->st_ino,
				     .size = st->st_size,
				     .mtime = st->st_mtim,
				     .ctime = st->st_ctim,
				     .taken = mono_now()};
}

static bool is_same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool content_is(const struct content_mark *m, const struct stat *st)
{
	return m->taken && m->ino == st->st_ino && m->dev == st->st_dev && m->size == st->st_size &&
	       is_same_time(m->mtime, st->st_mtim) && is_same_time(m->ctime, st->st_ctim) &&
	       mono_to_wall(m->taken) > st->st_ctim.tv_sec + 1;
}

char *content_read(int fd, size_t *len, const char **reason)
{
	size_t cap = 16384, n = 0;
	char *text = mem_alloc(cap + 1);
	ssize_t got;

	while ((got = read(fd, text + n, cap - n)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 || (n += (size_t)got) > CONTENT_MAX_BYTES) {
			*reason = got < 0 ? strerror(errno) : "is larger than 64 MiB";
			free(text);
			return NULL;
		}
		if (n == cap)
			text = mem_realloc(text, (cap *= 2) + 1);
	}
	text[n] = '\0';
	*len = n;
	return text;
}
