/* A real directory, watched by a real store on a real loop, and what the store told about it. Everything is waited for
 * by turning the loop until it is so; a deadline makes a failure of what never comes. */
#ifndef TESTS_DATASTORE_WORLD_H
#define TESTS_DATASTORE_WORLD_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/buf.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "datastore/store.h"

#define PATIENCE (30 * MONO_SEC)

struct world {
	char *top; /* a temporary directory, for all that is beside the store's */
	char *dir; /* the store's directory: top/objects */
	struct loop *loop;
	struct loop_timer tick;
	struct store *store;
	struct strbuf changes; /* "+name " new, "~name " changed, "-name " gone */
	struct strbuf log;     /* warnings and errors, and "resolved" */
	unsigned syncs;
	void (*on_change)(struct world *w, const char *name); /* what else happens right then; NULL nothing */
};

static inline void world_on_change(void *arg, const struct object *before, const struct object *after)
{
	struct world *w = arg;

	if (strcmp((after ? after : before)->name, "marker") == 0)
		return; /* settle()'s own */
	strbuf_printf(&w->changes, "%c%s ", !before ? '+' : after ? '~' : '-', (after ? after : before)->name);
	if (w->on_change)
		w->on_change(w, (after ? after : before)->name);
}

static inline void world_on_sync(void *arg)
{
	((struct world *)arg)->syncs++;
}

static inline void world_on_log(void *arg, enum log_level level, const char *line)
{
	struct world *w = arg;

	if (level <= LOG_LVL_WARN || strncmp(line, "resolved", 8) == 0)
		strbuf_printf(&w->log, "%s\n", line);
}

/* A world whose directory is there, empty, and not watched yet. */
static inline void world_new(struct world *w)
{
	static const struct store_ops ops = {world_on_change, world_on_sync};
	char name[] = "/tmp/calidris-test-XXXXXX";

	*w = (struct world){0};
	ck_assert_ptr_nonnull(mkdtemp(name));
	ck_assert_int_eq(chmod(name, 0755), 0);
	w->top = mem_strdup(name);
	w->dir = mem_printf("%s/objects", name);
	ck_assert_int_eq(mkdir(w->dir, 0755), 0);
	log_redirect(world_on_log, w);
	w->loop = loop_new();
	w->store = store_new(w->loop, &ops, w);
	strbuf_puts(&w->changes, "");
	strbuf_puts(&w->log, "");
}

static inline void world_tick(void *arg)
{
	(void)arg;
}

/* A turn of the loop that ends soon even if nothing happens. */
static inline void world_turn(struct world *w)
{
	loop_timer_set(w->loop, &w->tick, 2 * MONO_MSEC, world_tick, w);
	loop_turn(w->loop, true);
	loop_timer_stop(w->loop, &w->tick);
}

#define WAIT_UNTIL(w, condition)                                                                                \
	do {                                                                                                    \
		uint64_t deadline_ = mono_now() + PATIENCE;                                                     \
		while (!(condition)) {                                                                          \
			ck_assert_msg(mono_now() < deadline_, "never came: %s; changes: %.2000s; log: %.4000s", \
				      #condition, (w)->changes.s, (w)->log.s);                                  \
			world_turn(w);                                                                          \
		}                                                                                               \
	} while (0)

static inline void world_start(struct world *w)
{
	store_start_file(w->store, w->dir);
	WAIT_UNTIL(w, w->syncs == 1);
}

static inline int world_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void remove_tree(const char *path)
{
	ck_assert_int_eq(nftw(path, world_remove_one, 20, FTW_DEPTH | FTW_PHYS), 0);
}

static inline void world_end(struct world *w)
{
	strbuf_reset(&w->changes);
	store_free(w->store);
	ck_assert_str_eq(w->changes.s, ""); /* its end changes nothing */
	loop_timer_stop(w->loop, &w->tick);
	loop_free(w->loop);
	log_redirect(NULL, NULL);
	remove_tree(w->top);
	strbuf_free(&w->changes);
	strbuf_free(&w->log);
	free(w->top);
	free(w->dir);
}

/* Waits for exactly these changes, and forgets them. */
static inline void expect_changes(struct world *w, const char *changes)
{
	uint64_t deadline = mono_now() + PATIENCE;

	while (strcmp(w->changes.s, changes) != 0) {
		ck_assert_msg(mono_now() < deadline && strlen(w->changes.s) <= strlen(changes),
			      "expected %s, got %s; log: %s", changes, w->changes.s, w->log.s);
		world_turn(w);
	}
	strbuf_reset(&w->changes);
}

/* Waits for a line of the log that holds the text, and forgets the log. */
static inline void expect_log(struct world *w, const char *text)
{
	uint64_t deadline = mono_now() + PATIENCE;

	while (!strstr(w->log.s, text)) {
		ck_assert_msg(mono_now() < deadline, "never logged: %s; log: %s; changes: %s", text, w->log.s,
			      w->changes.s);
		world_turn(w);
	}
	strbuf_reset(&w->log);
}

/* A path in the store's directory, or, if it begins with "../", beside it: in w->top. Valid until the eighth call
 * after. */
static inline const char *at(const struct world *w, const char *name)
{
	static char paths[8][4096];
	static unsigned next;
	char *path = paths[next++ % 8];
	bool beside = strstr(name, "../") == name;

	snprintf(path, sizeof paths[0], "%s/%s", beside ? w->top : w->dir, beside ? name + 3 : name);
	return path;
}

/* Opens with O_TRUNC, writes, closes. */
static inline void put(const struct world *w, const char *name, const char *text)
{
	int fd = open(at(w, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_msg(fd >= 0, "%s: %s", at(w, name), strerror(errno));
	ck_assert_int_eq(write(fd, text, strlen(text)), (int)strlen(text));
	ck_assert_int_eq(close(fd), 0);
}

static inline void move(const struct world *w, const char *from, const char *to)
{
	ck_assert_msg(rename(at(w, from), at(w, to)) == 0, "%s: %s", from, strerror(errno));
}

static inline void drop(const struct world *w, const char *name)
{
	ck_assert_msg(unlink(at(w, name)) == 0, "%s: %s", name, strerror(errno));
}

/* A document: a Node with an AS number. */
#define NODE(name, as)                                                                \
	"---\napiVersion: projectcalico.org/v3\nkind: Node\nmetadata:\n  name: " name \
	"\nspec:\n  bgp:\n    asNumber: " as "\n"

static inline unsigned as_of(const struct world *w, const char *name)
{
	const struct object *o = store_get(w->store, OBJ_NODE, "", name);

	return o ? object_node(o)->as_number : 0;
}

/* Waits until everything that was done to the directory before has had its effect, deletions included: a file that
 * came and went after it has. */
static inline void settle(struct world *w)
{
	put(w, "~marker.yaml", NODE("marker", "1"));
	WAIT_UNTIL(w, as_of(w, "marker") == 1);
	drop(w, "~marker.yaml");
	WAIT_UNTIL(w, as_of(w, "marker") == 0);
}

/* Nothing has changed, and nothing will for what was done so far. */
static inline void expect_nothing(struct world *w)
{
	settle(w);
	ck_assert_str_eq(w->changes.s, "");
	ck_assert_str_eq(w->log.s, "");
}

#endif
