#include "datastore/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/hash.h"
#include "daemon/base/mem.h"
#include "daemon/base/wire.h"

#define MAX_LINKS 40 /* as the kernel (ELOOP) */

/* What can make a name lead elsewhere, and what can change a file's content. */
#define NAME_EVENTS \
	(IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define CONTENT_EVENTS (IN_MODIFY | IN_CLOSE_WRITE)

/* A directory the kernel watches for us. */
struct directory {
	int wd;
	unsigned points;
};

/* A name in a directory ("" for all of them), and who wants to know. */
struct point {
	struct directory *dir;
	LIST_HEAD(, watch_interest) interests;
	char name[];
};

struct watch_interest {
	LIST_ENTRY(watch_interest) of_point, of_path;
	struct point *point;
	struct watch_path *path;
};

struct watch {
	struct loop *loop;
	struct loop_io io;
	int fd;
	void (*on_overflow)(void *arg);
	void *arg;
	struct htab directories; /* by wd */
	struct htab points;	 /* by wd and name */
};

struct point_key {
	int wd;
	const char *name;
};

static uint32_t point_hash(int wd, const char *name)
{
	return hash_str(name) + 31 * (uint32_t)wd;
}

static bool point_is(const void *item, const void *wanted)
{
	const struct point *p = item;
	const struct point_key *k = wanted;

	return p->dir->wd == k->wd && strcmp(p->name, k->name) == 0;
}

static bool directory_is(const void *item, const void *wanted)
{
	return ((const struct directory *)item)->wd == *(const int *)wanted;
}

static struct point *point_find(const struct watch *w, int wd, const char *name)
{
	struct point_key k = {wd, name};

	return htab_find(&w->points, point_hash(wd, name), point_is, &k);
}

static struct directory *directory_find(const struct watch *w, int wd)
{
	return htab_find(&w->directories, (uint32_t)wd, directory_is, &wd);
}

static struct point *point_get(struct watch *w, int wd, const char *name)
{
	struct point *p = point_find(w, wd, name);
	struct directory *d = directory_find(w, wd);

	if (p)
		return p;
	if (!d) {
		d = mem_calloc(1, sizeof *d);
		d->wd = wd;
		htab_insert(&w->directories, (uint32_t)wd, d);
	}
	d->points++;
	p = mem_calloc(1, sizeof *p + strlen(name) + 1);
	p->dir = d;
	strcpy(p->name, name);
	htab_insert(&w->points, point_hash(wd, name), p);
	return p;
}

static void interest_remove(struct watch *w, struct watch_interest *i)
{
	struct point *p = i->point;
	struct directory *d = p->dir;

	LIST_REMOVE(i, of_point);
	LIST_REMOVE(i, of_path);
	free(i);
	if (!LIST_EMPTY(&p->interests))
		return;
	htab_remove(&w->points, point_hash(d->wd, p->name), p);
	free(p);
	if (--d->points)
		return;
	htab_remove(&w->directories, (uint32_t)d->wd, d);
	inotify_rm_watch(w->fd, d->wd); /* fails if the directory is gone, which is as well */
	free(d);
}

/* Watches a name in a directory. 0, or why it cannot be; a directory that we may pass but not read (EACCES) is no
 * obstacle. */
static int interest_add(struct watch *w, struct watch_path *path, const char *dir, const char *name, bool content)
{
	int wd = inotify_add_watch(w->fd, dir, NAME_EVENTS | IN_MASK_ADD | (content ? CONTENT_EVENTS : 0));
	struct watch_interest *i;

	if (wd < 0)
		return errno == EACCES ? 0 : errno;
	i = mem_calloc(1, sizeof *i);
	i->path = path;
	i->point = point_get(w, wd, name);
	LIST_INSERT_HEAD(&i->point->interests, i, of_point);
	LIST_INSERT_HEAD(&path->interests, i, of_path);
	return 0;
}

/* A walk: `at` is a directory without symbolic links in its path, `rest` is what is still to be looked up in it. */
struct walk {
	char at[PATH_MAX], rest[PATH_MAX];
	unsigned links;
	bool content; /* the last name is a file whose content matters */
};

/* Takes the next component off rest; false at the end. "/", "a//b" and "." are nothing to look up. */
static bool next_component(struct walk *k, char name[static NAME_MAX + 1])
{
	size_t skip, n;

	do {
		skip = strspn(k->rest, "/");
		n = strcspn(k->rest + skip, "/");
		snprintf(name, NAME_MAX + 1, "%.*s", (int)n, k->rest + skip);
		memmove(k->rest, k->rest + skip + n, strlen(k->rest + skip + n) + 1);
	} while (strcmp(name, ".") == 0);
	return *name != '\0';
}

static int append(char path[static PATH_MAX], const char *more)
{
	size_t len = strlen(path), n = strlen(more);

	if (len + n + 2 > PATH_MAX)
		return ENAMETOOLONG;
	if (len == 0 || path[len - 1] != '/')
		path[len++] = '/';
	memcpy(path + len, more, n + 1);
	return 0;
}

static int follow_link(struct walk *k, const char *link)
{
	char target[PATH_MAX];
	ssize_t n = readlink(link, target, sizeof target - 1);

	if (n < 0)
		return errno;
	target[n] = '\0';
	if (++k->links > MAX_LINKS)
		return ELOOP;
	if (*k->rest && append(target, k->rest))
		return ENAMETOOLONG;
	strcpy(k->rest, target);
	if (*target == '/')
		strcpy(k->at, "/");
	return 0;
}

/* Looks one name up, and goes there. */
static int step(struct watch *w, struct watch_path *p, struct walk *k, const char *name)
{
	bool content = k->content && !k->rest[strspn(k->rest, "/")];
	char next[PATH_MAX];
	struct stat st;
	int error;

	if (strcmp(name, "..") == 0) {
		char *slash = strrchr(k->at, '/');
		slash[slash == k->at] = '\0';
		return 0;
	}
	error = interest_add(w, p, k->at, name, content);
	if (error)
		return error;
	strcpy(next, k->at);
	if (append(next, name))
		return ENAMETOOLONG;
	if (lstat(next, &st) < 0)
		return errno;
	if (S_ISLNK(st.st_mode))
		return follow_link(k, next);
	strcpy(k->at, next);
	return 0;
}

static int walk(struct watch *w, struct watch_path *p, struct walk *k, const char *base, const char *path)
{
	char name[NAME_MAX + 1];
	int error = 0;

	if (strlen(base) >= sizeof k->at || strlen(path) >= sizeof k->rest)
		return ENAMETOOLONG;
	strcpy(k->at, base);
	strcpy(k->rest, path);
	k->links = 0;
	while (!error && next_component(k, name))
		error = step(w, p, k, name);
	return error;
}

/* Walks anew. The old interests go only after the new ones are there, so that directories in both stay watched without
 * a gap. */
static int rewalk(struct watch *w, struct watch_path *p, struct walk *k, const char *base, const char *path,
		  bool directory)
{
	struct watch_path old = {0};
	int error;

	LIST_SWAP(&old.interests, &p->interests, watch_interest, of_path);
	k->content = !directory;
	error = walk(w, p, k, base, path);
	if (!error && directory)
		error = interest_add(w, p, k->at, "", true);
	watch_clear(w, &old);
	return error;
}

int watch_file(struct watch *w, struct watch_path *p, const char *base, const char *path)
{
	struct walk k;

	return rewalk(w, p, &k, base, path, false);
}

int watch_directory(struct watch *w, struct watch_path *p, const char *path)
{
	struct walk k;

	return rewalk(w, p, &k, "/", path, true);
}

void watch_clear(struct watch *w, struct watch_path *p)
{
	while (!LIST_EMPTY(&p->interests))
		interest_remove(w, LIST_FIRST(&p->interests));
}

static void notify(const struct watch *w, int wd, const char *point_name, const char *name, uint32_t mask)
{
	struct point *p = point_find(w, wd, point_name);
	struct watch_interest *i;

	if (!p)
		return;
	LIST_FOREACH(i, &p->interests, of_point)
	if (*point_name)
		i->path->on_path(i->path->arg, mask);
	else if (i->path->on_entry)
		i->path->on_entry(i->path->arg, name, mask);
}

/* The directory itself is gone, or elsewhere: everybody who looked something up in it has to look again. */
static void notify_all(const struct watch *w, int wd, uint32_t mask)
{
	uint32_t pos = 0;
	struct point *p;

	while ((p = htab_next(&w->points, &pos))) {
		struct watch_interest *i;
		if (p->dir->wd == wd)
			LIST_FOREACH(i, &p->interests, of_point)
		i->path->on_path(i->path->arg, mask);
	}
}

static void on_event(struct watch *w, const struct inotify_event *ev, const char *name)
{
	if (ev->mask & IN_Q_OVERFLOW) {
		w->on_overflow(w->arg);
	} else if (ev->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) {
		notify_all(w, ev->wd, ev->mask);
	} else if (*name) {
		notify(w, ev->wd, name, name, ev->mask);
		notify(w, ev->wd, "", name, ev->mask);
	}
}

static void on_readable(void *arg, int events)
{
	struct watch *w = arg;
	char buf[32768];
	ssize_t n;

	(void)events;
	while ((n = read(w->fd, buf, sizeof buf)) > 0) {
		struct rd r = rd_make(buf, (size_t)n);
		while (rd_left(&r)) {
			struct inotify_event ev;
			const uint8_t *name;
			rd_bytes(&r, &ev, sizeof ev);
			name = rd_take(&r, ev.len); /* NUL-padded by the kernel */
			on_event(w, &ev, name && ev.len ? (const char *)name : "");
		}
	}
}

void watch_poll(struct watch *w)
{
	on_readable(w, LOOP_READ);
}

struct watch *watch_new(struct loop *l, void (*on_overflow)(void *arg), void *arg)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	struct watch *w;

	if (fd < 0)
		return NULL;
	w = mem_calloc(1, sizeof *w);
	w->loop = l;
	w->fd = fd;
	w->on_overflow = on_overflow;
	w->arg = arg;
	loop_io_set(l, &w->io, fd, LOOP_READ, on_readable, w);
	return w;
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	loop_io_stop(w->loop, &w->io);
	close(w->fd);
	htab_clear(&w->points);
	htab_clear(&w->directories);
	free(w);
}
