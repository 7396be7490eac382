#include "daemon/monitor/mrt_schedule.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/base/loop.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/cluster/cluster.h"
#include "daemon/daemon.h"
#include "daemon/monitor/mrt_dump.h"

/* Octets of a slice, about; it also ends when its time is over. */
#define SLICE 65536u
/* A file that is being written has its name with these around it. */
#define TEMPORARY_BEFORE "."
#define TEMPORARY_BEHIND ".new"

struct mrt_schedule {
	struct daemon *d;
	struct loop_timer timer;
	struct loop_work work;
	/* The dump in the works; NULL if there is none. */
	struct mrt_dump *dump;
	int directory, fd;
	char *pattern;		/* of this dump: the configuration may change meanwhile */
	char *name, *temporary; /* in the directory */
	struct strbuf slice;
	uint64_t began, octets;
	struct mrt_schedule_status status;
	char last_file[PATH_MAX], problem[PATH_MAX + 256];
};

/* ---- Names ---- */

static const char *last_part(const char *path)
{
	return strrchr(path, '/') + 1;
}

/* What a pattern may hold; "%%" besides. */
static const struct conversion {
	char letter;
	int width;
	size_t field; /* of struct tm */
	int add, most;
} conversions[] = {
    {'Y', 4, offsetof(struct tm, tm_year), 1900, 9999}, {'m', 2, offsetof(struct tm, tm_mon), 1, 12},
    {'d', 2, offsetof(struct tm, tm_mday), 0, 31},	{'H', 2, offsetof(struct tm, tm_hour), 0, 23},
    {'M', 2, offsetof(struct tm, tm_min), 0, 59},	{'S', 2, offsetof(struct tm, tm_sec), 0, 60},
    {'j', 3, offsetof(struct tm, tm_yday), 1, 366},
};

/* NULL if there is none of that letter. */
static const struct conversion *conversion_of(char letter)
{
	for (size_t i = 0; i < sizeof conversions / sizeof *conversions; i++)
		if (conversions[i].letter == letter)
			return &conversions[i];
	return NULL;
}

bool mrt_pattern_is_good(const char *pattern)
{
	const char *base;

	if (*pattern != '/')
		return false;
	base = last_part(pattern);
	if (!*base || *base == '.' || memchr(pattern, '%', (size_t)(base - pattern)))
		return false;
	for (const char *c = base; *c; c++)
		if (*c == '%' && *++c != '%' && !conversion_of(*c))
			return false;
	return true;
}

/* The file name for this time. */
static void pattern_expand(const char *pattern, const struct tm *tm, struct strbuf *name)
{
	for (const char *c = last_part(pattern); *c; c++) {
		const struct conversion *conv = *c == '%' ? conversion_of(*++c) : NULL;

		if (conv)
			strbuf_printf(name, "%0*d", conv->width,
				      *(const int *)(const void *)((const char *)tm + conv->field) + conv->add);
		else
			strbuf_putc(name, *c);
	}
}

bool mrt_pattern_made(const char *pattern, const char *name)
{
	for (const char *c = last_part(pattern); *c; c++) {
		const struct conversion *conv = *c == '%' ? conversion_of(*++c) : NULL;
		int value = 0;

		if (!conv && *name++ != *c)
			return false;
		for (int i = 0; conv && i < conv->width; i++, name++) {
			if (*name < '0' || *name > '9')
				return false;
			value = value * 10 + (*name - '0');
		}
		if (conv && value > conv->most)
			return false;
	}
	return !*name;
}

/* Is it a file that a dump did not live to finish? */
static bool is_temporary(const char *pattern, const char *name)
{
	size_t before = strlen(TEMPORARY_BEFORE), behind = strlen(TEMPORARY_BEHIND), len = strlen(name);
	char inner[NAME_MAX + 1];

	if (len <= before + behind || strncmp(name, TEMPORARY_BEFORE, before) != 0 ||
	    strcmp(name + len - behind, TEMPORARY_BEHIND) != 0)
		return false;
	snprintf(inner, sizeof inner, "%.*s", (int)(len - before - behind), name + before);
	return mrt_pattern_made(pattern, inner);
}

/* ---- The end of a dump, good or bad ---- */

static void dump_drop(struct mrt_schedule *s)
{
	if (!s->dump)
		return;
	loop_work_cancel(s->d->loop, &s->work);
	if (s->fd >= 0)
		close(s->fd);
	if (s->temporary)
		unlinkat(s->directory, s->temporary, 0);
	if (s->directory >= 0)
		close(s->directory);
	mrt_dump_free(s->dump);
	free(s->pattern);
	free(s->name);
	free(s->temporary);
	strbuf_free(&s->slice);
	s->dump = NULL;
	s->fd = s->directory = -1;
	s->pattern = s->name = s->temporary = NULL;
}

static const char *hint(int error)
{
	static const struct {
		int error;
		const char *text;
	} hints[] = {
	    {ENOENT, "; make the directory, or set mrt.table_file"},
	    {ENOTDIR, "; set mrt.table_file"},
	    {EACCES, "; the daemon's user must be able to write there"},
	    {EPERM, "; the daemon's user must be able to write there"},
	    {EROFS, "; set mrt.table_file to a place that can be written"},
	    {ENOSPC, "; make room, or keep fewer files with mrt.table_keep"},
	    {EDQUOT, "; make room, or keep fewer files with mrt.table_keep"},
	};

	for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
		if (hints[i].error == error)
			return hints[i].text;
	return "";
}

/* Gives the dump up. */
static void dump_fail(struct mrt_schedule *s, const char *what, int error)
{
	snprintf(s->problem, sizeof s->problem, "table dump %s: %s: %s%s", s->pattern, what, strerror(error),
		 hint(error));
	log_error("mrt", "%s", s->problem);
	dump_drop(s);
}

/* ---- Old files ---- */

struct old_file {
	char *name;
	struct timespec at;
};

static int by_age(const void *a, const void *b)
{
	const struct old_file *x = a, *y = b;

	if (x->at.tv_sec != y->at.tv_sec)
		return x->at.tv_sec < y->at.tv_sec ? -1 : 1;
	if (x->at.tv_nsec != y->at.tv_nsec)
		return x->at.tv_nsec < y->at.tv_nsec ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* The files of this directory that the pattern can have named; temporary ones are removed on the way. */
static unsigned old_files(const struct mrt_schedule *s, DIR *dir, struct old_file **files)
{
	unsigned n = 0, cap = 0;
	struct dirent *e;
	struct stat st;

	while ((e = readdir(dir))) {
		if (fstatat(s->directory, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		if (is_temporary(s->pattern, e->d_name))
			unlinkat(s->directory, e->d_name, 0);
		if (!mrt_pattern_made(s->pattern, e->d_name))
			continue;
		if (n == cap) {
			cap = cap ? cap * 2 : 16;
			*files = mem_realloc(*files, cap * sizeof **files);
		}
		(*files)[n++] = (struct old_file){mem_strdup(e->d_name), st.st_mtim};
	}
	return n;
}

/* Removes all but the newest `keep` (0: keeps all). */
static void remove_old(const struct mrt_schedule *s, unsigned keep)
{
	int fd = openat(s->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct old_file *files = NULL;
	unsigned n;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	n = old_files(s, dir, &files);
	closedir(dir);
	if (n)
		qsort(files, n, sizeof *files, by_age);
	for (unsigned i = 0; i < n; i++) {
		if (keep && i + keep < n && unlinkat(s->directory, files[i].name, 0) < 0)
			log_warn("mrt", "old table dump %s cannot be removed: %s", files[i].name, strerror(errno));
		free(files[i].name);
	}
	free(files);
}

/* ---- Dumps ---- */

/* The file is not forced to the disk: waiting for one would hold up keepalives. */
static void dump_finish(struct mrt_schedule *s)
{
	struct mrt_dump_stats stats = mrt_dump_stats(s->dump);
	struct mrt_schedule_status *st = &s->status;
	int dir = (int)(last_part(s->pattern) - s->pattern), error;
	char took[16];

	error = close(s->fd) < 0 ? errno : 0;
	s->fd = -1;
	if (!error && renameat(s->directory, s->temporary, s->directory, s->name) < 0)
		error = errno;
	if (error) {
		dump_fail(s, "cannot be finished", error);
		return;
	}
	free(s->temporary);
	s->temporary = NULL;
	snprintf(s->last_file, sizeof s->last_file, "%.*s%s", dir, s->pattern, s->name);
	s->problem[0] = '\0';
	st->last_routes = stats.routes;
	st->last_octets = s->octets;
	st->last_at = mono_now();
	st->last_took = st->last_at - s->began;
	log_info("mrt", "%s: %" PRIu64 " routes of %u peers, %" PRIu64 " octets, in %s", s->last_file, stats.routes,
		 stats.peers, s->octets, mono_format(st->last_took, took));
	if (stats.left_out)
		log_warn("mrt", "%s: %" PRIu64 " routes left out, their attributes do not fit an entry of the format",
			 s->last_file, stats.left_out);
	remove_old(s, s->d->config.mrt_table_keep);
	dump_drop(s);
}

static bool write_all(struct mrt_schedule *s)
{
	size_t done = 0;

	while (done < s->slice.len) {
		ssize_t n = write(s->fd, s->slice.s + done, s->slice.len - done);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0)
			done += (size_t)n;
	}
	s->octets += done;
	strbuf_reset(&s->slice);
	return true;
}

static bool on_work(void *arg, uint64_t deadline)
{
	struct mrt_schedule *s = arg;
	bool more = mrt_dump_more(s->dump, &s->slice, SLICE, deadline);

	if (!write_all(s)) {
		dump_fail(s, "cannot be written", errno);
		return false;
	}
	if (!more)
		dump_finish(s);
	return more;
}

static bool open_files(struct mrt_schedule *s, const char **what)
{
	time_t now = (time_t)mono_to_wall(mono_now());
	struct strbuf name = {0};
	char *directory;
	struct tm tm;

	*what = "its directory";
	directory = mem_strndup(s->pattern, (size_t)(last_part(s->pattern) - s->pattern));
	s->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(directory);
	if (s->directory < 0)
		return false;
	*what = "cannot be made";
	gmtime_r(&now, &tm);
	pattern_expand(s->pattern, &tm, &name);
	s->name = name.s;
	s->temporary = mem_printf(TEMPORARY_BEFORE "%s" TEMPORARY_BEHIND, name.s);
	/* What a dump before left there: with O_EXCL the file is new, and nobody's link. */
	unlinkat(s->directory, s->temporary, 0);
	s->fd = openat(s->directory, s->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (s->fd < 0) {
		int error = errno;
		free(s->temporary);
		s->temporary = NULL;
		errno = error;
	}
	return s->fd >= 0;
}

static void dump_begin(struct mrt_schedule *s)
{
	const struct self *self = cluster_self(s->d->cluster);
	const char *what;

	s->pattern = mem_strdup(s->d->config.mrt_table_file);
	s->dump = mrt_dump_new(s->d->rib, self->router_id, self->as);
	s->began = mono_now();
	s->octets = 0;
	if (open_files(s, &what))
		loop_work_schedule(s->d->loop, &s->work);
	else
		dump_fail(s, what, errno);
}

/* ---- The schedule ---- */

static void on_timer(void *arg);

static void timer_set(struct mrt_schedule *s)
{
	unsigned interval = s->d->config.mrt_table_interval;
	uint64_t now = (uint64_t)mono_to_wall(mono_now());

	if (interval)
		loop_timer_set(s->d->loop, &s->timer, (interval - now % interval) * MONO_SEC, on_timer, s);
	else
		loop_timer_stop(s->d->loop, &s->timer);
}

static void on_timer(void *arg)
{
	struct mrt_schedule *s = arg;

	timer_set(s);
	if (s->dump)
		log_warn("mrt", "table dump %s: the one before is not finished, this one is left out", s->pattern);
	else
		dump_begin(s);
}

void mrt_schedule_configure(struct mrt_schedule *s)
{
	if (!s->d->config.mrt_table_interval) {
		dump_drop(s);
		s->problem[0] = '\0';
	}
	timer_set(s);
}

struct mrt_schedule *mrt_schedule_new(struct daemon *d)
{
	struct mrt_schedule *s = mem_calloc(1, sizeof *s);

	s->d = d;
	s->directory = s->fd = -1;
	s->work = (struct loop_work){.run = on_work, .arg = s, .rank = LOOP_RANK_SEND};
	timer_set(s);
	return s;
}

void mrt_schedule_free(struct mrt_schedule *s)
{
	loop_timer_stop(s->d->loop, &s->timer);
	dump_drop(s);
	free(s);
}

struct mrt_schedule_status mrt_schedule_status(const struct mrt_schedule *s)
{
	struct mrt_schedule_status st = s->status;

	st.on = s->d->config.mrt_table_interval != 0;
	st.next = loop_timer_left(s->d->loop, &s->timer);
	st.running = s->dump != NULL;
	st.last_file = s->last_file;
	st.problem = s->problem;
	return st;
}
