#include "datastore/remote/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/hash.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "datastore/remote/cache_record.h"

#define MAGIC "calidris cache 1\n"
#define FLUSH_AT (256u * 1024)	 /* octets that wait, before the turn is over */
#define MOST_WAITING (16u << 20) /* octets that wait for a disk that is full */
#define RETRY_DELAY (10 * MONO_SEC)
#define GARBAGE (1u << 20) /* what may be dead in a file besides as much as lives */

/* A file that is being written. */
struct output {
	int fd;
	struct strbuf waiting;
	uint64_t written, live; /* octets: in the file; of live records */
};

/* A record that is (or was, before a mark) the newest of a key. */
struct found {
	uint64_t key, offset;
	bool deleted;
};

/* Reading: first all records are looked at, then the live ones are told, in the file's order. */
struct reader {
	struct record_walk walk;
	struct htab live;      /* of struct found */
	struct found *pending; /* since the last mark */
	size_t pending_count, pending_cap;
	struct found **order; /* the second part */
	size_t order_count, next;
	uint64_t committed; /* where the last mark ends; 0 none */
	int64_t when;
	const char *damage;
};

struct cache {
	struct loop *loop;
	struct loop_work work;
	struct loop_timer retry;
	char *path, *temporary, *identity;
	const struct cache_ops *ops;
	void *arg;
	struct output out;
	uint32_t generation; /* of out; counts from 1 */
	bool marked;	     /* out is the file at path */
	bool changed;	     /* since the last mark */
	char *problem;
	bool off;
	struct reader *reader;
	/* Leaving garbage behind: what lives is copied to another file, with the next generation. */
	bool compacting;
	struct output fresh;
	struct record_walk walk;
};

static bool run(void *arg, uint64_t deadline);

struct cache *cache_new(struct loop *l, const char *path, const char *identity, const struct cache_ops *ops, void *arg)
{
	struct cache *c = mem_calloc(1, sizeof *c);

	c->loop = l;
	c->path = mem_strdup(path);
	c->temporary = mem_printf("%s.new", path);
	c->identity = mem_strdup(identity);
	c->ops = ops;
	c->arg = arg;
	c->out.fd = c->fresh.fd = -1;
	c->generation = 1;
	c->work = (struct loop_work){.run = run, .arg = c, .rank = LOOP_RANK_CLUSTER};
	return c;
}

/* ---- Writing ---- */

static void output_close(struct output *o)
{
	if (o->fd >= 0)
		close(o->fd);
	strbuf_free(&o->waiting);
	*o = (struct output){.fd = -1};
}

static uint64_t output_size(const struct output *o)
{
	return o->written + o->waiting.len;
}

/* 0, or errno. */
static int output_flush(struct output *o)
{
	size_t done = 0;
	int error = 0;

	while (done < o->waiting.len && !error) {
		ssize_t n = write(o->fd, o->waiting.s + done, o->waiting.len - done);
		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			error = errno;
	}
	o->written += done;
	if (done == o->waiting.len && o->waiting.cap > FLUSH_AT)
		strbuf_free(&o->waiting);
	else if (done)
		strbuf_consume(&o->waiting, done);
	return error;
}

/* 0, or errno. */
static int output_open(struct cache *c, struct output *o)
{
	o->fd = open(c->temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (o->fd < 0)
		return errno;
	strbuf_puts(&o->waiting, MAGIC);
	record_write(&o->waiting, RECORD_IDENTITY, c->identity, "", 0);
	return 0;
}

static void complain(struct cache *c, const char *what, int error)
{
	char *text = mem_printf("the cache %s cannot be %s: %s", c->path, what, strerror(error));

	if (!c->problem || strcmp(c->problem, text) != 0)
		log_warn("datastore", "%s; a start without the datastore would not know what came since", text);
	free(c->problem);
	c->problem = text;
	c->ops->on_problem(c->arg, text);
}

static void stop_compacting(struct cache *c)
{
	if (!c->compacting)
		return;
	c->compacting = false;
	output_close(&c->fresh);
	record_walk_free(&c->walk);
	unlink(c->temporary);
}

/* Nothing is written until documents are put anew, when all of them are listed again. */
static void give_up(struct cache *c)
{
	stop_compacting(c);
	output_close(&c->out);
	if (!c->marked)
		unlink(c->temporary);
	/* Copies of the compaction carry the next number. */
	c->generation += 2;
	c->marked = c->changed = false;
	c->off = true;
	loop_timer_stop(c->loop, &c->retry);
}

static void on_retry(void *arg)
{
	struct cache *c = arg;

	c->off = false;
	loop_work_schedule(c->loop, &c->work);
}

static bool flush(struct cache *c)
{
	int error = c->out.fd >= 0 ? output_flush(&c->out) : 0;

	if (!error) {
		if (c->problem && c->out.fd >= 0) {
			log_info("datastore", "resolved: %s", c->problem);
			free(c->problem);
			c->problem = NULL;
			c->ops->on_problem(c->arg, "");
		}
		return true;
	}
	complain(c, "written", error);
	if (c->out.waiting.len > MOST_WAITING)
		give_up(c);
	loop_timer_set(c->loop, &c->retry, RETRY_DELAY, on_retry, c);
	return false;
}

static bool ready(struct cache *c)
{
	int error;

	if (c->off)
		return false;
	if (c->out.fd >= 0)
		return true;
	error = output_open(c, &c->out);
	if (!error)
		return true;
	complain(c, "written", error);
	give_up(c);
	loop_timer_set(c->loop, &c->retry, RETRY_DELAY, on_retry, c);
	return false;
}

static void wrote(struct cache *c)
{
	c->changed = true;
	if (c->out.waiting.len >= FLUSH_AT && !loop_timer_is_set(&c->retry))
		flush(c);
	loop_work_schedule(c->loop, &c->work);
}

bool cache_holds(const struct cache *c, const struct cache_place *place)
{
	return place->generation == c->generation || (c->compacting && place->generation == c->generation + 1);
}

/* The record there is dead. */
static void bury(struct cache *c, const struct cache_place *place)
{
	if (place->generation == c->generation)
		c->out.live -= place->len;
	else if (c->compacting && place->generation == c->generation + 1)
		c->fresh.live -= place->len;
}

void cache_put(struct cache *c, const char *key, const char *text, size_t len, struct cache_place *place)
{
	struct cache_place now = {0};

	if (strlen(key) > RECORD_MAX_KEY || len > RECORD_MAX_TEXT || !ready(c))
		return;
	bury(c, place);
	now.offset = output_size(&c->out);
	now.generation = c->generation;
	now.len = record_write(&c->out.waiting, RECORD_PUT, key, text, len);
	c->out.live += now.len;
	*place = now;
	wrote(c);
}

void cache_delete(struct cache *c, const char *key, const struct cache_place *place)
{
	if (!cache_holds(c, place) || !ready(c))
		return;
	bury(c, place);
	record_write(&c->out.waiting, RECORD_DELETE, key, "", 0);
	wrote(c);
}

static void write_mark(struct output *o, int64_t when)
{
	record_write(&o->waiting, RECORD_MARK, "", (const char *)&when, sizeof when);
}

/* The file beside becomes the file. False, with a complaint. */
static bool replace(struct cache *c)
{
	if (rename(c->temporary, c->path) == 0)
		return true;
	complain(c, "replaced", errno);
	return false;
}

void cache_mark(struct cache *c, int64_t when)
{
	if (!ready(c))
		return;
	write_mark(&c->out, when);
	c->changed = false;
	if (!flush(c) || c->marked)
		return;
	if (replace(c))
		c->marked = true;
	else
		give_up(c);
}

/* ---- Leaving garbage behind ---- */

static bool is_mostly_dead(const struct cache *c)
{
	return c->marked && !c->compacting && output_size(&c->out) > 2 * c->out.live + GARBAGE;
}

static void start_compacting(struct cache *c)
{
	if (output_open(c, &c->fresh) != 0)
		return;
	c->compacting = true;
	c->walk = (struct record_walk){.fd = c->out.fd, .offset = sizeof MAGIC - 1};
}

/* Copies a record if it still counts. A deletion counts as long as an older record may have been copied. */
static void carry_over(struct cache *c, const struct record *r)
{
	struct cache_place *place =
	    r->type == RECORD_PUT || r->type == RECORD_DELETE ? c->ops->find(c->arg, r->key) : NULL;

	if (r->type == RECORD_DELETE && !place)
		record_write(&c->fresh.waiting, RECORD_DELETE, r->key, "", 0);
	if (r->type != RECORD_PUT || !place || place->generation != c->generation || place->offset != r->offset)
		return;
	c->out.live -= place->len;
	place->offset = output_size(&c->fresh);
	place->generation = c->generation + 1;
	c->fresh.live += place->len;
	record_write(&c->fresh.waiting, RECORD_PUT, r->key, r->text, r->text_len);
}

/* All that was in the old file has been looked at: the new one takes its place. */
static bool finish_compacting(struct cache *c)
{
	write_mark(&c->fresh, mono_to_wall(mono_now()));
	if (output_flush(&c->fresh) != 0 || !replace(c))
		return false;
	output_close(&c->out);
	c->out = c->fresh;
	c->fresh = (struct output){.fd = -1};
	record_walk_free(&c->walk);
	c->compacting = false;
	c->generation++;
	return true;
}

/* True if there is more to do. If it fails the copies are lost, and with them the places. */
static bool compact(struct cache *c, uint64_t deadline)
{
	const char *error = NULL;
	struct record r;

	c->walk.end = c->out.written;
	while (record_next(&c->walk, &r, &error)) {
		carry_over(c, &r);
		if (c->fresh.waiting.len >= FLUSH_AT && output_flush(&c->fresh) != 0)
			break;
		if (mono_now() >= deadline)
			return true;
	}
	if (!error && c->walk.offset == c->walk.end && finish_compacting(c))
		return false;
	log_warn("datastore", "the cache %s cannot be made smaller: %s", c->path, error ? error : strerror(errno));
	give_up(c);
	return false;
}

/* ---- Reading ---- */

static bool found_is(const void *item, const void *key)
{
	return ((const struct found *)item)->key == *(const uint64_t *)key;
}

/* What was pending counts now. */
static void commit(struct reader *r)
{
	for (size_t i = 0; i < r->pending_count; i++) {
		const struct found *p = &r->pending[i];
		struct found *f = htab_find(&r->live, (uint32_t)p->key, found_is, &p->key);
		if (!f) {
			f = mem_alloc(sizeof *f);
			htab_insert(&r->live, (uint32_t)p->key, f);
		}
		*f = *p;
	}
	r->pending_count = 0;
	r->committed = r->walk.offset;
}

static void note(struct reader *r, const struct record *record)
{
	if (r->pending_count == r->pending_cap) {
		r->pending_cap = r->pending_cap ? r->pending_cap * 2 : 256;
		r->pending = mem_realloc(r->pending, r->pending_cap * sizeof *r->pending);
	}
	r->pending[r->pending_count++] = (struct found){.key = hash_bytes(record->key, record->key_len),
							.offset = record->offset,
							.deleted = record->type == RECORD_DELETE};
}

static int found_cmp(const void *left, const void *right)
{
	const struct found *a = *(struct found *const *)left, *b = *(struct found *const *)right;

	return (a->offset > b->offset) - (a->offset < b->offset);
}

static void put_in_order(struct reader *r)
{
	uint32_t pos = 0;
	struct found *f;

	r->order = mem_alloc((r->live.count + 1) * sizeof *r->order);
	while ((f = htab_next(&r->live, &pos)))
		if (!f->deleted)
			r->order[r->order_count++] = f;
	if (r->order_count)
		qsort(r->order, r->order_count, sizeof *r->order, found_cmp);
}

void cache_read_stop(struct cache *c)
{
	struct reader *r = c->reader;
	uint32_t pos = 0;
	struct found *f;

	if (!r)
		return;
	c->reader = NULL;
	if (r->walk.fd >= 0)
		close(r->walk.fd);
	record_walk_free(&r->walk);
	while ((f = htab_next(&r->live, &pos)))
		free(f);
	htab_clear(&r->live);
	free(r->pending);
	free(r->order);
	free(r);
}

static void end_reading(struct cache *c, const char *refused, const char *warning)
{
	char *refused_copy = refused ? mem_strdup(refused) : NULL, *warning_copy = warning ? mem_strdup(warning) : NULL;
	int64_t when = c->reader->when;

	cache_read_stop(c);
	c->ops->on_read(c->arg, refused_copy, warning_copy, when);
	free(refused_copy);
	free(warning_copy);
}

/* Why the file cannot be ours; NULL if it begins as it must. */
static const char *open_for_reading(struct cache *c, struct reader *r)
{
	char magic[sizeof MAGIC - 1];
	struct record first;
	struct stat st;
	const char *error;

	r->walk.fd = open(c->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (r->walk.fd < 0)
		return errno == ENOENT ? "there is none" : strerror(errno);
	if (fstat(r->walk.fd, &st) != 0)
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "it is not a file";
	if (pread(r->walk.fd, magic, sizeof magic, 0) != (ssize_t)sizeof magic ||
	    memcmp(magic, MAGIC, sizeof magic) != 0)
		return "it is not a cache of this version";
	r->walk.offset = sizeof magic;
	r->walk.end = (uint64_t)st.st_size;
	if (!record_next(&r->walk, &first, &error))
		return error ? error : "it is empty";
	if (first.type != RECORD_IDENTITY || strcmp(first.key, c->identity) != 0)
		return "it is another node's or another datastore's";
	return NULL;
}

void cache_read(struct cache *c)
{
	if (c->reader)
		return;
	c->reader = mem_calloc(1, sizeof *c->reader);
	c->reader->walk.fd = -1;
	loop_work_schedule(c->loop, &c->work);
}

/* The first part. True: not done yet. */
static bool scan(struct cache *c, uint64_t deadline)
{
	struct reader *r = c->reader;
	struct record record;

	if (r->walk.fd < 0) {
		const char *reason = open_for_reading(c, r);
		if (reason) {
			end_reading(c, reason, NULL);
			return false;
		}
	}
	while (record_next(&r->walk, &record, &r->damage)) {
		if (record.type == RECORD_PUT || record.type == RECORD_DELETE)
			note(r, &record);
		if (record.type == RECORD_MARK && record.text_len == sizeof r->when) {
			memcpy(&r->when, record.text, sizeof r->when);
			commit(r);
		}
		if (mono_now() >= deadline)
			return true;
	}
	if (!r->committed) {
		end_reading(c, r->damage ? r->damage : "it holds no whole state", NULL);
		return false;
	}
	put_in_order(r);
	return true;
}

/* The second part. True: not done yet. */
static bool tell(struct cache *c, uint64_t deadline)
{
	struct reader *r = c->reader;
	struct record record;
	const char *error;

	while (r->next < r->order_count) {
		r->walk.offset = r->order[r->next++]->offset;
		if (record_next(&r->walk, &record, &error))
			c->ops->on_document(c->arg, record.key, record.text, record.text_len);
		if (c->reader != r)
			return false;
		if (mono_now() >= deadline)
			return true;
	}
	end_reading(c, NULL, r->damage);
	return false;
}

static bool run(void *arg, uint64_t deadline)
{
	struct cache *c = arg;
	bool more = false;

	if (c->reader)
		more = c->reader->order ? tell(c, deadline) : scan(c, deadline);
	if (c->off || c->out.fd < 0)
		return more;
	if (c->marked && c->changed) {
		write_mark(&c->out, mono_to_wall(mono_now()));
		c->changed = false;
	}
	if (loop_timer_is_set(&c->retry) || !flush(c))
		return more;
	if (is_mostly_dead(c))
		start_compacting(c);
	if (c->compacting)
		more = compact(c, deadline) || more;
	return more;
}

void cache_free(struct cache *c)
{
	if (!c)
		return;
	cache_read_stop(c);
	stop_compacting(c);
	if (c->out.fd >= 0) {
		if (c->marked && c->changed)
			write_mark(&c->out, mono_to_wall(mono_now()));
		output_flush(&c->out);
		if (!c->marked)
			unlink(c->temporary);
	}
	output_close(&c->out);
	loop_work_cancel(c->loop, &c->work);
	loop_timer_stop(c->loop, &c->retry);
	free(c->path);
	free(c->temporary);
	free(c->identity);
	free(c->problem);
	free(c);
}
