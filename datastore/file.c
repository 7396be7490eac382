/* The `file` backend: a directory of YAML files.
 *
 * inotify says which names changed; what has to be read is read at the end of the loop's turn. A file is read when it
 * was closed, moved here or linked; while somebody has it open and writes, it is left alone. A file that is gone is
 * given a moment to come back (editors and tools replace files in several steps), and all files that are gone are given
 * until no more go: if that was the directory's end, nothing is deleted. */
#include <bsd/sys/queue.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/hash.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "datastore/backend.h"
#include "datastore/claims.h"
#include "datastore/content.h"
#include "datastore/watch.h"

#define LINKED_DELAY (20 * MONO_MSEC) /* after it appeared: nobody writes, so it was linked here as it is */
#define UNCLOSED_DELAY (1 * MONO_SEC) /* after the last write without a close: read, but delete nothing for it */
#define GONE_DELAY (250 * MONO_MSEC)  /* after the last file went: an editor on a busy machine takes that long */
#define GONE_MOST (2 * MONO_SEC)      /* however many go */
#define RETURN_DELAY (1 * MONO_SEC)   /* after the directory came back, and the last file in it */
#define RETURN_MOST (10 * MONO_SEC)
#define MUCH_READ (256u << 10)	  /* after that, the memory for reading it is given back */
#define POLL_DELAY (5 * MONO_SEC) /* where the kernel has no watches left */

struct file {
	struct backend *owner;
	TAILQ_ENTRY(file) dirty_link;
	LIST_ENTRY(file) waiting_link;
	struct claims_file *claims;
	struct watch_path link;	  /* if it is a symbolic link: where it leads */
	struct content_mark read; /* what was read last; zero: nothing */
	uint64_t settle; /* when to read it even if nobody closes it; 0: not waiting. In the waiting list if not */
	bool writing;	 /* written to since it was opened, and not closed */
	bool dirty;	 /* in the dirty list */
	bool gone;	 /* was removed; maybe back by now */
	bool listed;	 /* seen by the listing that is going on */
	unsigned events; /* that came for it; wraps around */
	char name[];
};

struct backend {
	struct store *store;
	struct loop *loop;
	struct loop_work work;
	struct loop_timer timer;
	struct watch *watch; /* NULL: none left in the kernel */
	struct watch_path path;
	struct claims *claims;
	char *directory; /* absolute */
	char *shown;	 /* as it was given */
	struct htab files;
	TAILQ_HEAD(, file) dirty;
	LIST_HEAD(, file) waiting;
	unsigned gone_count;
	uint64_t gone_since, gone_due; /* when the first went, and when they are given up; 0: none */
	uint64_t poll_due;
	size_t read;	/* bytes, since memory was given back */
	bool poll;	/* the kernel had no watch left: look from time to time */
	bool relist;	/* the directory has to be looked up and listed */
	bool readable;	/* it could be at the last time */
	bool delivered; /* and everything in it was, since then */
	bool returned;	/* it was there, and not, and is again */
};

static bool file_is(const void *item, const void *name)
{
	return strcmp(((const struct file *)item)->name, name) == 0;
}

/* *.yaml, *.yml, *.json; not what editors leave: .x.yaml.swp, x.yaml~, #x.yaml#, .#x.yaml. */
static bool is_object_file(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && *name != '.' && *name != '#' &&
	       (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0 || strcmp(dot, ".json") == 0);
}

static char *file_path(const struct file *f)
{
	return mem_printf("%s/%s", f->owner->directory, f->name);
}

static void schedule(struct backend *b)
{
	loop_work_schedule(b->loop, &b->work);
}

static void mark_dirty(struct file *f)
{
	if (f->dirty)
		return;
	f->dirty = true;
	claims_set_outdated(f->claims, true);
	TAILQ_INSERT_TAIL(&f->owner->dirty, f, dirty_link);
	schedule(f->owner);
}

static void mark_clean(struct file *f)
{
	if (!f->dirty)
		return;
	f->dirty = false;
	claims_set_outdated(f->claims, false);
	TAILQ_REMOVE(&f->owner->dirty, f, dirty_link);
}

static void reload(void *arg)
{
	mark_dirty(arg);
}

/* It is to be read at that time (0: not because of the time). */
static void set_settle(struct file *f, uint64_t when)
{
	if (!f->settle && when)
		LIST_INSERT_HEAD(&f->owner->waiting, f, waiting_link);
	else if (f->settle && !when)
		LIST_REMOVE(f, waiting_link);
	f->settle = when;
}

static void mark_here(struct file *f)
{
	if (!f->gone)
		return;
	f->gone = false;
	if (--f->owner->gone_count == 0)
		f->owner->gone_since = f->owner->gone_due = 0;
}

/* Puts off the time when gone files are given up: more of them go, or the directory is being filled again. */
static void put_off_gone(struct backend *b)
{
	uint64_t now = mono_now(), most;

	if (!b->gone_since)
		b->gone_since = now;
	most = b->gone_since + (b->returned ? RETURN_MOST : GONE_MOST);
	b->gone_due = now + (b->returned ? RETURN_DELAY : GONE_DELAY);
	if (b->gone_due > most)
		b->gone_due = most;
}

static void mark_gone(struct file *f)
{
	struct backend *b = f->owner;

	mark_clean(f);
	set_settle(f, 0);
	f->writing = false;
	f->read = (struct content_mark){0};
	if (!f->gone)
		b->gone_count++;
	f->gone = true;
	claims_suspend(f->claims);
	put_off_gone(b);
	schedule(b);
}

/* Something happened to the name, or to what it leads to. */
static void file_event(struct file *f, uint32_t mask)
{
	f->events++;
	if (mask & (IN_DELETE | IN_MOVED_FROM)) {
		mark_gone(f);
		return;
	}
	mark_here(f);
	if (f->owner->returned && f->owner->gone_count)
		put_off_gone(f->owner);
	if (mask & IN_MODIFY) {
		f->writing = true;
		set_settle(f, mono_now() + UNCLOSED_DELAY);
		mark_clean(f);
	} else if (mask & (IN_CLOSE_WRITE | IN_MOVED_TO)) {
		f->writing = false;
		set_settle(f, 0);
		mark_dirty(f);
	} else if (mask & IN_CREATE) {
		set_settle(f, mono_now() + LINKED_DELAY);
	} else if (!f->writing && !f->settle) {
		mark_dirty(f);
	}
	schedule(f->owner);
}

static void on_link(void *arg, uint32_t mask)
{
	struct file *f = arg;

	/* The name itself is still there: only where it leads to changed, and reading finds out how. */
	file_event(f, mask & (IN_DELETE | IN_MOVED_FROM | IN_CREATE) ? IN_MOVED_TO : mask);
}

static struct file *file_get(struct backend *b, const char *name)
{
	struct file *f = htab_find(&b->files, hash_str(name), file_is, name);
	char *path;

	if (f)
		return f;
	f = mem_calloc(1, sizeof *f + strlen(name) + 1);
	strcpy(f->name, name);
	f->owner = b;
	f->link = (struct watch_path){.on_path = on_link, .arg = f};
	path = mem_printf("%s/%s", b->shown, name);
	f->claims = claims_file_new(b->claims, path, name, f);
	free(path);
	htab_insert(&b->files, hash_str(name), f);
	return f;
}

static void file_free(struct file *f)
{
	struct backend *b = f->owner;

	mark_here(f);
	mark_clean(f);
	set_settle(f, 0);
	if (b->watch)
		watch_clear(b->watch, &f->link);
	claims_file_free(f->claims);
	htab_remove(&b->files, hash_str(f->name), f);
	free(f);
}

static void on_entry(void *arg, const char *name, uint32_t mask)
{
	struct backend *b = arg;
	struct file *f;

	if (!is_object_file(name))
		return;
	f = htab_find(&b->files, hash_str(name), file_is, name);
	if (!f && (mask & (IN_DELETE | IN_MOVED_FROM)))
		return;
	file_event(f ? f : file_get(b, name), mask);
}

static void on_path(void *arg, uint32_t mask)
{
	struct backend *b = arg;

	(void)mask;
	b->relist = true;
	schedule(b);
}

static void on_overflow(void *arg)
{
	struct backend *b = arg;
	uint32_t pos = 0;
	struct file *f;

	log_warn("datastore", "%s: the kernel lost events, all files are looked at again", b->shown);
	while ((f = htab_next(&b->files, &pos)))
		f->writing = false;
	b->relist = true;
	schedule(b);
}

/* Has something happened to it since? Then what was read may be half of what somebody is writing, and the event has
 * seen to it that it is read again. */
static bool is_outdated(struct file *f, unsigned events)
{
	if (f->owner->watch)
		watch_poll(f->owner->watch);
	return f->events != events;
}

static void read_open(struct file *f, int fd, bool linked)
{
	const char *reason = "";
	unsigned events = f->events;
	struct stat st;
	size_t len;
	char *text;

	if (fstat(fd, &st) < 0) {
		claims_unreadable(f->claims, strerror(errno));
		return;
	}
	/* Just made, and empty: it was not linked, somebody is about to write. */
	if (linked && S_ISREG(st.st_mode) && st.st_size == 0) {
		file_event(f, IN_MODIFY);
		return;
	}
	f->read = content_mark(&st);
	if (!S_ISREG(st.st_mode)) {
		claims_unreadable(f->claims, "is not a file");
		return;
	}
	text = content_read(fd, &len, &reason);
	if (is_outdated(f, events)) {
		f->read = (struct content_mark){0};
	} else if (text) {
		claims_read(f->claims, text, len, !f->writing);
		f->owner->read += len;
	} else {
		claims_unreadable(f->claims, reason);
	}
	free(text);
}

static void start_polling(struct backend *b, int error)
{
	if (!b->poll)
		log_warn("datastore",
			 "%s: cannot be watched (inotify: %s), and is looked at every %u s instead; "
			 "raise fs.inotify.max_user_instances and max_user_watches",
			 b->shown, strerror(error), (unsigned)(POLL_DELAY / MONO_SEC));
	b->poll = true;
}

/* Watches where the name leads to if it is a symbolic link. False if there is no such name. */
static bool look_up(struct file *f, const char *path)
{
	struct backend *b = f->owner;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno != ENOENT && errno != ENOTDIR;
	if (!b->watch)
		return true;
	if (!S_ISLNK(st.st_mode))
		watch_clear(b->watch, &f->link);
	else if (watch_file(b->watch, &f->link, b->directory, f->name) == ENOSPC)
		start_polling(b, ENOSPC);
	return true;
}

static void file_read(struct file *f)
{
	char *path = file_path(f);
	bool linked = f->settle && !f->writing;
	int fd;

	set_settle(f, 0);
	if (!look_up(f, path)) {
		mark_gone(f);
		free(path);
		return;
	}
	/* A FIFO must not stop us. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0) {
		read_open(f, fd, linked);
		close(fd);
	} else if (errno == ENOENT) {
		f->read = (struct content_mark){0};
		claims_unreadable(f->claims, "is a symbolic link that leads nowhere");
	} else {
		f->read = (struct content_mark){0};
		claims_unreadable(f->claims, strerror(errno));
	}
	free(path);
}

/* Is the directory that fd was opened on still the one, and not removed? */
static bool is_still_there(const struct backend *b, int fd)
{
	struct stat opened, now;

	return fstat(fd, &opened) == 0 && opened.st_nlink > 0 && stat(b->directory, &now) == 0 &&
	       opened.st_dev == now.st_dev && opened.st_ino == now.st_ino;
}

/* What was removed, and is not back: given up, unless the directory is gone with it. */
static void give_up_gone(struct backend *b)
{
	struct file **gone = mem_alloc(b->gone_count * sizeof(struct file *)), *f;
	int fd = open(b->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	unsigned n = 0;
	uint32_t pos = 0;
	struct stat st;

	while (fd >= 0 && (f = htab_next(&b->files, &pos))) {
		if (!f->gone)
			continue;
		if (fstatat(fd, f->name, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
			gone[n++] = f;
		else
			file_event(f, IN_MOVED_TO); /* it is back, or reading it will say what is wrong */
	}
	/* Only a directory that is there at the end can have been without the files. */
	if (fd < 0 || !is_still_there(b, fd)) {
		b->relist = true;
		n = 0;
	}
	for (unsigned i = 0; i < n; i++) {
		claims_drop(gone[i]->claims);
		file_free(gone[i]);
	}
	if (fd >= 0)
		close(fd);
	free(gone);
}

static int name_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of all object files, sorted. */
static char **list_names(DIR *dir, size_t *count)
{
	char **names = NULL;
	struct dirent *entry;
	size_t n = 0;

	while ((entry = readdir(dir))) {
		if (!is_object_file(entry->d_name))
			continue;
		if ((n & (n - 1)) == 0)
			names = mem_realloc(names, (n ? n * 2 : 1) * sizeof(char *));
		names[n++] = mem_strdup(entry->d_name);
	}
	if (n)
		qsort(names, n, sizeof *names, name_cmp);
	*count = n;
	return names;
}

static void list_file(struct backend *b, DIR *dir, const char *name)
{
	struct file *f = file_get(b, name);
	struct stat st;

	f->listed = true;
	mark_here(f);
	if (f->writing || f->settle || (fstatat(dirfd(dir), name, &st, 0) == 0 && content_is(&f->read, &st)))
		return;
	mark_dirty(f);
}

static void list_directory(struct backend *b, DIR *dir)
{
	size_t count;
	char **names = list_names(dir, &count);
	uint32_t pos = 0;
	struct file *f;

	for (size_t i = 0; i < count; i++) {
		list_file(b, dir, names[i]);
		free(names[i]);
	}
	free(names);
	while ((f = htab_next(&b->files, &pos))) {
		if (!f->listed)
			mark_gone(f);
		f->listed = false;
	}
}

static void lose_directory(struct backend *b, int error)
{
	char *problem = mem_printf("the directory cannot be read: %s", strerror(error));
	uint32_t pos = 0;
	struct file *f;

	store_lost(b->store, problem);
	free(problem);
	b->readable = b->delivered = false;
	/* Until it is back nobody knows which files are gone, or what is in them. */
	b->gone_since = b->gone_due = 0;
	while ((f = htab_next(&b->files, &pos))) {
		mark_clean(f);
		set_settle(f, 0);
		f->writing = false;
	}
}

/* Looks the directory up from its root, and what is in it. */
static void relist(struct backend *b)
{
	int error = b->watch ? watch_directory(b->watch, &b->path, b->directory) : 0;
	DIR *dir = opendir(b->directory);

	b->relist = false;
	if (error == ENOSPC)
		start_polling(b, error);
	if (!dir) {
		lose_directory(b, errno);
		return;
	}
	b->returned = b->returned || (!b->readable && b->files.count);
	b->readable = true;
	list_directory(b, dir);
	closedir(dir);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return !a || (b && b < a) ? b : a;
}

static void on_timer(void *arg);

static void arm_timer(struct backend *b)
{
	uint64_t now = mono_now(), due = earlier(claims_reap(b->claims, now), b->gone_due);
	struct file *f;

	LIST_FOREACH(f, &b->waiting, waiting_link)
	due = earlier(due, f->settle);
	due = earlier(due, b->poll_due);
	if (due)
		loop_timer_set(b->loop, &b->timer, due > now ? due - now : 1, on_timer, b);
	else
		loop_timer_stop(b->loop, &b->timer);
}

static void on_timer(void *arg)
{
	struct backend *b = arg;
	uint64_t now = mono_now();
	struct file *f, *next;

	claims_reap(b->claims, now);
	LIST_FOREACH_SAFE(f, &b->waiting, waiting_link, next)
	if (f->settle <= now)
		mark_dirty(f);
	if (b->poll_due && b->poll_due <= now)
		b->relist = true;
	if (b->gone_due && b->gone_due <= now)
		give_up_gone(b);
	schedule(b);
}

/* Everything that there is has been read; after the directory was away, what did not come back has been given up too.
 */
static void check_delivered(struct backend *b)
{
	if (!b->readable || (b->returned && b->gone_count))
		return;
	b->returned = false;
	if (b->delivered)
		return;
	b->delivered = true;
	store_synced(b->store);
}

static bool run(void *arg, uint64_t deadline)
{
	struct backend *b = arg;
	struct file *f;

	if (b->relist)
		relist(b);
	while ((f = TAILQ_FIRST(&b->dirty))) {
		mark_clean(f);
		file_read(f);
		if (mono_now() >= deadline && !TAILQ_EMPTY(&b->dirty))
			return true;
	}
	check_delivered(b);
	if (b->read >= MUCH_READ) {
		b->read = 0;
		mem_trim();
	}
	if (b->poll && b->poll_due <= mono_now())
		b->poll_due = mono_now() + POLL_DELAY;
	arm_timer(b);
	return false;
}

/* Without slashes at its end, for messages. */
static char *shorten(const char *directory)
{
	size_t n = strlen(directory);

	while (n > 1 && directory[n - 1] == '/')
		n--;
	return mem_strndup(directory, n);
}

static char *absolute(const char *directory)
{
	char *here, *path;

	if (*directory == '/')
		return mem_strdup(directory);
	here = getcwd(NULL, 0);
	path = mem_printf("%s/%s", here ? here : "", directory);
	free(here);
	return path;
}

static struct backend *file_start(struct store *s, struct loop *l, const struct store_conf *conf)
{
	struct backend *b = mem_calloc(1, sizeof *b);

	b->store = s;
	b->loop = l;
	b->directory = absolute(conf->directory);
	b->shown = shorten(conf->directory);
	store_set_location(s, conf->directory);
	b->claims = claims_new(s, reload);
	TAILQ_INIT(&b->dirty);
	LIST_INIT(&b->waiting);
	b->work = (struct loop_work){.run = run, .arg = b, .rank = LOOP_RANK_DATASTORE};
	b->path = (struct watch_path){.on_path = on_path, .on_entry = on_entry, .arg = b};
	b->watch = watch_new(l, on_overflow, b);
	if (!b->watch)
		start_polling(b, errno);
	b->relist = true;
	schedule(b);
	return b;
}

static void file_stop(struct backend *b)
{
	uint32_t pos = 0;
	struct file *f;

	loop_work_cancel(b->loop, &b->work);
	loop_timer_stop(b->loop, &b->timer);
	for (; b->files.count; pos = 0) /* a walk that removes may miss some */
		while ((f = htab_next(&b->files, &pos)))
			file_free(f);
	if (b->watch)
		watch_clear(b->watch, &b->path);
	watch_free(b->watch);
	htab_clear(&b->files);
	claims_free(b->claims);
	free(b->directory);
	free(b->shown);
	free(b);
}

const struct backend_ops backend_file = {.name = "file", .start = file_start, .stop = file_stop};
