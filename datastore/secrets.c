#include "datastore/secrets.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "datastore/schema.h"
#include "datastore/watch.h"

struct secret {
	LIST_ENTRY(secret) link;
	struct secrets *owner;
	struct watch_path path;
	char *file;	   /* NAME/KEY */
	char *value;	   /* NULL: never known */
	char problem[160]; /* "" if it is what the file holds now */
	bool dirty;	   /* to be read */
	bool used;	   /* asked for since secrets_begin() */
};

struct secrets {
	struct watch *watch; /* NULL: nothing was asked for yet, or the kernel has none */
	struct loop *loop;
	char *directory;
	void (*on_change)(void *arg);
	void *arg;
	struct loop_timer timer; /* takes changes out of the watch's callbacks */
	LIST_HEAD(, secret) list;
};

/* Without what editors put at the end of a line. */
static size_t length_of(const char *text, size_t n)
{
	return n && text[n - 1] == '\n' ? n - 1 : n;
}

/* Why the file is no password; NULL, with *value set, if it is one. */
static const char *read_file(const struct secret *s, char **value)
{
	char *path = mem_printf("%s/%s", s->owner->directory, s->file), text[SECRET_MAX + 2];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
	const char *why = n < 0 ? strerror(errno) : NULL;

	if (fd >= 0)
		close(fd);
	free(path);
	if (why)
		return why;
	n = (ssize_t)length_of(text, (size_t)n);
	if (n == 0)
		return "it is empty";
	if (n > (ssize_t)SECRET_MAX)
		return "it is longer than 80 characters";
	if (memchr(text, '\0', (size_t)n))
		return "it is no text";
	*value = mem_strndup(text, (size_t)n);
	return NULL;
}

static void look(struct secret *s)
{
	char *value = NULL, before[sizeof s->problem], *path = mem_printf("%s/%s", s->owner->directory, s->file);
	const char *why;
	int error;

	s->dirty = false;
	error = s->owner->watch ? watch_file(s->owner->watch, &s->path, "/", path) : ENOSPC;
	free(path);
	why = read_file(s, &value);
	memcpy(before, s->problem, sizeof before);
	*s->problem = '\0';
	if (why)
		snprintf(s->problem, sizeof s->problem, "%s; %s", why,
			 s->value ? "the last password that was read stays" : "there is no password, as Calico has it");
	else if (error && error != ENOENT)
		snprintf(s->problem, sizeof s->problem, "changes are not noticed: %s", strerror(error));
	if (*s->problem && strcmp(before, s->problem) != 0)
		log_warn("datastore", "Secret %s/%s: %s", s->owner->directory, s->file, s->problem);
	if (why)
		return;
	free(s->value);
	s->value = value;
}

static void on_timer(void *arg)
{
	struct secrets *s = arg;
	struct secret *one;

	LIST_FOREACH(one, &s->list, link)
	if (one->dirty)
		look(one);
	s->on_change(s->arg);
}

static void on_path(void *arg, uint32_t mask)
{
	struct secret *s = arg;

	(void)mask;
	s->dirty = true;
	loop_timer_set(s->owner->loop, &s->owner->timer, 0, on_timer, s->owner);
}

static void on_overflow(void *arg)
{
	struct secrets *s = arg;
	struct secret *one;

	LIST_FOREACH(one, &s->list, link)
	on_path(one, 0);
}

static struct secret *add(struct secrets *s, const char *file)
{
	struct secret *one = mem_calloc(1, sizeof *one);

	if (!s->watch)
		s->watch = watch_new(s->loop, on_overflow, s);
	one->owner = s;
	one->file = mem_strdup(file);
	one->path.on_path = on_path;
	one->path.arg = one;
	LIST_INSERT_HEAD(&s->list, one, link);
	look(one);
	return one;
}

/* One name in a path, and no other directory's. */
static bool is_plain(const char *text)
{
	return text && schema_is_name(text) && *text != '.';
}

const char *secrets_get(struct secrets *s, const struct secret_ref *ref)
{
	struct secret *one;
	char *file;

	if (!s || !is_plain(ref->name) || !is_plain(ref->key))
		return NULL;
	file = mem_printf("%s/%s", ref->name, ref->key);
	LIST_FOREACH(one, &s->list, link)
	if (strcmp(one->file, file) == 0)
		break;
	if (!one)
		one = add(s, file);
	one->used = true;
	free(file);
	return one->value;
}

static void secret_free(struct secret *s)
{
	if (s->owner->watch)
		watch_clear(s->owner->watch, &s->path);
	LIST_REMOVE(s, link);
	if (s->value)
		explicit_bzero(s->value, strlen(s->value));
	free(s->value);
	free(s->file);
	free(s);
}

void secrets_begin(struct secrets *s)
{
	struct secret *one;

	LIST_FOREACH(one, &s->list, link)
	one->used = false;
}

void secrets_sweep(struct secrets *s)
{
	struct secret *one = LIST_FIRST(&s->list), *next;

	for (; one; one = next) {
		next = LIST_NEXT(one, link);
		if (!one->used)
			secret_free(one);
	}
}

void secrets_problems(const struct secrets *s, struct strbuf *out)
{
	const struct secret *one;

	LIST_FOREACH(one, &s->list, link)
	if (*one->problem)
		strbuf_printf(out, "Secret %s/%s: %s\n", s->directory, one->file, one->problem);
}

struct secrets *secrets_new(struct loop *l, const char *directory, void (*on_change)(void *arg), void *arg)
{
	struct secrets *s = mem_calloc(1, sizeof *s);

	s->loop = l;
	s->directory = mem_strdup(directory);
	s->on_change = on_change;
	s->arg = arg;
	LIST_INIT(&s->list);
	return s;
}

void secrets_free(struct secrets *s)
{
	while (!LIST_EMPTY(&s->list))
		secret_free(LIST_FIRST(&s->list));
	loop_timer_stop(s->loop, &s->timer);
	if (s->watch)
		watch_free(s->watch);
	free(s->directory);
	free(s);
}
