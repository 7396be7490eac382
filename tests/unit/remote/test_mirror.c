/* Documents by key: what the store is told, what listings delete, and what the cache gives back. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "datastore/remote/mirror.h"

struct world {
	char directory[64], *path;
	struct loop *loop;
	struct loop_timer tick;
	struct store *store;
	struct mirror *mirror;
	struct strbuf changes, log;
	unsigned syncs;
	bool slow; /* a deletion takes a millisecond */
};

static void on_change(void *arg, const struct object *before, const struct object *after)
{
	struct world *w = arg;

	for (uint64_t until = mono_now() + MONO_MSEC; w->slow && !after && mono_now() < until;)
		;
	strbuf_printf(&w->changes, "%c%s ", !before ? '+' : after ? '~' : '-', (after ? after : before)->name);
}

static void on_sync(void *arg)
{
	((struct world *)arg)->syncs++;
}

static void on_log(void *arg, enum log_level level, const char *line)
{
	struct world *w = arg;

	if (level <= LOG_LVL_WARN)
		strbuf_printf(&w->log, "%s\n", line);
}

static void translate(void *arg, struct mirror *m, const char *key, struct yaml_node *doc)
{
	const struct yaml_node *list = yaml_get(doc, "all");

	(void)arg;
	(void)key;
	if (!list) {
		mirror_emit(m, doc);
		return;
	}
	for (size_t i = 0; i < list->count; i++)
		mirror_emit(m, list->items[i]);
}

static const struct store_ops store_ops = {.on_change = on_change, .on_sync = on_sync};
static const struct mirror_ops mirror_ops = {.translate = translate};

static void start(struct world *w, const char *identity)
{
	struct mirror_conf conf = {
	    .cache = w->path, .identity = identity, .cache_delay = 30 * MONO_MSEC, .ops = &mirror_ops};

	w->loop = loop_new();
	conf.loop = w->loop;
	conf.store = w->store = store_new(w->loop, &store_ops, w);
	w->mirror = mirror_new(&conf);
	strbuf_puts(&w->changes, "");
	strbuf_puts(&w->log, "");
	strbuf_reset(&w->changes);
	strbuf_reset(&w->log);
	log_redirect(on_log, w);
}

static void stop(struct world *w)
{
	mirror_free(w->mirror);
	store_free(w->store);
	loop_timer_stop(w->loop, &w->tick);
	loop_free(w->loop);
	log_redirect(NULL, NULL);
	w->syncs = 0;
}

static void restart(struct world *w)
{
	stop(w);
	start(w, "test node-1");
}

static struct world world_new(void)
{
	struct world w = {.directory = "/tmp/calidris-mirror-XXXXXX"};

	ck_assert_ptr_nonnull(mkdtemp(w.directory));
	w.path = mem_printf("%s/cache", w.directory);
	return w;
}

static void world_free(struct world *w)
{
	char *temporary = mem_printf("%s.new", w->path);

	stop(w);
	unlink(w->path);
	ck_assert_int_ne(access(temporary, F_OK), 0);
	ck_assert_int_eq(rmdir(w->directory), 0);
	free(temporary);
	free(w->path);
	strbuf_free(&w->changes);
	strbuf_free(&w->log);
}

static void on_tick(void *arg)
{
	struct world *w = arg;

	loop_timer_set(w->loop, &w->tick, 5 * MONO_MSEC, on_tick, w);
}

#define WAIT_UNTIL(w, condition)                                                 \
	do {                                                                     \
		uint64_t until = mono_now() + 30 * MONO_SEC;                     \
		on_tick(w);                                                      \
		while (!(condition)) {                                           \
			ck_assert_msg(mono_now() < until, "never: " #condition); \
			loop_turn((w)->loop, true);                              \
		}                                                                \
	} while (0)

static void settle(struct world *w)
{
	on_tick(w);
	for (int i = 0; i < 3; i++)
		loop_turn(w->loop, true);
}

static char *pool(const char *name, const char *cidr)
{
	return mem_printf("{\"kind\":\"IPPool\",\"apiVersion\":\"projectcalico.org/v3\",\"metadata\":{\"name\":\"%s\"},"
			  "\"spec\":{\"cidr\":\"%s\"}}",
			  name, cidr);
}

static void put(struct world *w, const char *key, char *text)
{
	mirror_put(w->mirror, key, text, strlen(text));
	free(text);
}

static void put_pool(struct world *w, const char *name, const char *cidr)
{
	char *key = mem_printf("pools/%s", name);

	put(w, key, pool(name, cidr));
	free(key);
}

static void expect(struct world *w, const char *changes)
{
	ck_assert_str_eq(w->changes.s, changes);
	strbuf_reset(&w->changes);
}

START_TEST(a_listing_is_a_diff)
{
	struct world w = world_new();
	uint32_t begun;

	start(&w, "test node-1");
	begun = mirror_list_begin(w.mirror);
	put_pool(&w, "a", "10.1.0.0/16");
	put_pool(&w, "b", "10.2.0.0/16");
	put_pool(&w, "c", "10.3.0.0/16");
	mirror_list_end(w.mirror, "pools/", begun);
	mirror_synced(w.mirror, "7");
	expect(&w, "+a +b +c ");
	ck_assert_uint_eq(w.syncs, 1);
	ck_assert(store_status(w.store).in_sync);
	ck_assert_str_eq(store_status(w.store).revision, "7");

	begun = mirror_list_begin(w.mirror);
	put_pool(&w, "c", "10.3.0.0/16");
	put_pool(&w, "a", "10.9.0.0/16");
	mirror_list_end(w.mirror, "other/", begun);
	expect(&w, "~a ");
	mirror_list_end(w.mirror, "pools/", begun);
	expect(&w, "-b ");
	mirror_delete(w.mirror, "pools/c");
	mirror_delete(w.mirror, "pools/c");
	expect(&w, "-c ");
	world_free(&w);
}
END_TEST

/* Very many deletions are done in slices: what comes back meanwhile stays, and all is in sync when they are through. */
START_TEST(many_deletions_take_turns)
{
	struct world w = world_new();
	uint32_t begun;
	unsigned left;
	char name[16];

	start(&w, "test node-1");
	begun = mirror_list_begin(w.mirror);
	for (unsigned i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "p%u", i);
		put_pool(&w, name, "10.1.0.0/16");
	}
	mirror_list_end(w.mirror, "pools/", begun);
	mirror_synced(w.mirror, "7");
	ck_assert_uint_eq(w.syncs, 1);

	w.slow = true;
	begun = mirror_list_begin(w.mirror);
	put_pool(&w, "p0", "10.1.0.0/16");
	mirror_list_end(w.mirror, "pools/", begun);
	mirror_synced(w.mirror, "8");
	left = store_count(w.store, OBJ_IP_POOL);
	ck_assert_uint_gt(left, 100);
	ck_assert_uint_lt(left, 200);
	ck_assert_uint_eq(w.syncs, 1);
	ck_assert_str_eq(store_status(w.store).revision, "7");
	/* Deleted by the datastore itself, and made anew: those that are gone already, and those that are not yet. */
	for (unsigned i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "pools/p%u", i);
		if (i % 50 == 1)
			put_pool(&w, name + 6, "10.1.0.0/16");
		else if (i % 50 == 2)
			mirror_delete(w.mirror, name);
	}
	WAIT_UNTIL(&w, w.syncs == 2);
	ck_assert_uint_eq(store_count(w.store, OBJ_IP_POOL), 5);
	ck_assert_ptr_nonnull(store_get(w.store, OBJ_IP_POOL, "", "p0"));
	ck_assert_ptr_nonnull(store_get(w.store, OBJ_IP_POOL, "", "p151"));
	ck_assert_str_eq(store_status(w.store).revision, "8");
	w.slow = false;
	world_free(&w);
}
END_TEST

/* A datastore that is lost before all is deleted is lost; and an end meanwhile leaks nothing. */
START_TEST(deletions_and_an_outage)
{
	struct world w = world_new();
	uint32_t begun;
	char name[16];

	start(&w, "test node-1");
	begun = mirror_list_begin(w.mirror);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "p%u", i);
		put_pool(&w, name, "10.1.0.0/16");
	}
	mirror_list_end(w.mirror, "pools/", begun);
	mirror_synced(w.mirror, "7");
	w.slow = true;
	mirror_list_end(w.mirror, "pools/", mirror_list_begin(w.mirror));
	mirror_synced(w.mirror, "8");
	mirror_lost(w.mirror, "gone");
	WAIT_UNTIL(&w, store_count(w.store, OBJ_IP_POOL) == 0);
	settle(&w);
	ck_assert(!store_status(w.store).in_sync);
	mirror_synced(w.mirror, "8");
	ck_assert(store_status(w.store).in_sync);
	begun = mirror_list_begin(w.mirror);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "p%u", i);
		put_pool(&w, name, "10.1.0.0/16");
	}
	mirror_list_end(w.mirror, "pools/", mirror_list_begin(w.mirror));
	ck_assert_uint_gt(store_count(w.store, OBJ_IP_POOL), 0);
	w.slow = false;
	world_free(&w);
}
END_TEST

START_TEST(bad_documents_keep_what_is_in_force)
{
	struct world w = world_new();
	const struct store_refusal *r;

	start(&w, "test node-1");
	put_pool(&w, "a", "10.1.0.0/16");
	expect(&w, "+a ");
	put(&w, "pools/a", mem_strdup("{\"kind\":"));
	expect(&w, "");
	r = store_refusal(w.store, 0);
	ck_assert_str_eq(r->source, "pools/a");
	ck_assert_str_eq(r->object, "IPPool a");
	ck_assert(r->last_good);
	ck_assert_msg(strncmp(r->reason, "is not JSON", 11) == 0, "%s", r->reason);
	put_pool(&w, "a", "10.1.0.0/99");
	r = store_refusal(w.store, 0);
	ck_assert_str_eq(r->field, "spec.cidr");
	ck_assert(r->last_good);
	ck_assert_ptr_null(store_refusal(w.store, 1));
	mirror_put_bad(w.mirror, "pools/a", "is too large");
	r = store_refusal(w.store, 0);
	ck_assert_str_eq(r->reason, "is too large");
	ck_assert_uint_eq(store_status(w.store).refused, 1);
	put_pool(&w, "a", "10.1.0.0/16");
	ck_assert_uint_eq(store_status(w.store).refused, 0);
	expect(&w, "");
	put_pool(&w, "b", "nonsense");
	ck_assert(!store_refusal(w.store, 0)->last_good);
	mirror_delete(w.mirror, "pools/b");
	ck_assert_uint_eq(store_status(w.store).refused, 0);
	world_free(&w);
}
END_TEST

START_TEST(a_document_may_be_several_objects)
{
	struct world w = world_new();
	char *a = pool("a", "10.1.0.0/16"), *b = pool("b", "10.2.0.0/16"), *bad = pool("b", "x");

	start(&w, "test node-1");
	put(&w, "k", mem_printf("{\"all\":[%s,%s]}", a, b));
	expect(&w, "+a +b ");
	put(&w, "k", mem_printf("{\"all\":[%s]}", bad));
	expect(&w, ""); /* nobody knows whether a is meant to be gone */
	put(&w, "k", mem_printf("{\"all\":[%s]}", a));
	expect(&w, "-b ");
	mirror_delete(w.mirror, "k");
	expect(&w, "-a ");
	free(a);
	free(b);
	free(bad);
	world_free(&w);
}
END_TEST

START_TEST(very_many_problems_are_not_all_named)
{
	struct world w = world_new();

	start(&w, "test node-1");
	for (int i = 0; i < 1500; i++) {
		char *key = mem_printf("pools/%d", i);
		mirror_put(w.mirror, key, "x", 1);
		free(key);
	}
	ck_assert_uint_eq(store_status(w.store).refused, 1001);
	world_free(&w);
}
END_TEST

/* ---- The cache ---- */

static void fill(struct world *w)
{
	uint32_t begun = mirror_list_begin(w->mirror);

	put_pool(w, "a", "10.1.0.0/16");
	put_pool(w, "b", "10.2.0.0/16");
	mirror_list_end(w->mirror, "", begun);
	mirror_synced(w->mirror, "1");
	put_pool(w, "b", "10.22.0.0/16");
	put_pool(w, "c", "10.3.0.0/16");
	mirror_delete(w->mirror, "pools/a");
	put_pool(w, "c", "no cidr"); /* the last good one is what is kept */
	settle(w);
}

static const char *cidr(struct world *w, const char *name)
{
	static char text[PREFIX_STRLEN];
	const struct object *o = store_get(w->store, OBJ_IP_POOL, "", name);

	return o ? prefix_format(&((const struct obj_ip_pool *)(const void *)o)->cidr, text) : NULL;
}

START_TEST(the_cache_stands_in)
{
	struct world w = world_new();
	struct stat st;
	uint32_t begun;

	start(&w, "test node-1");
	fill(&w);
	ck_assert_int_eq(stat(w.path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	restart(&w);
	mirror_lost(w.mirror, "nobody answers");
	WAIT_UNTIL(&w, w.syncs);
	expect(&w, "+b +c ");
	ck_assert_str_eq(cidr(&w, "b"), "10.22.0.0/16");
	ck_assert_str_eq(cidr(&w, "c"), "10.3.0.0/16");
	ck_assert(store_status(w.store).cached > 0 && !store_status(w.store).in_sync);
	ck_assert_ptr_nonnull(strstr(w.log.s, "start from the cache"));
	/* The datastore is there: a diff. */
	begun = mirror_list_begin(w.mirror);
	put_pool(&w, "b", "10.22.0.0/16");
	put_pool(&w, "d", "10.4.0.0/16");
	mirror_list_end(w.mirror, "", begun);
	mirror_synced(w.mirror, "9");
	expect(&w, "+d -c ");
	ck_assert(store_status(w.store).cached == 0 && store_status(w.store).in_sync);
	settle(&w);
	restart(&w);
	WAIT_UNTIL(&w, w.syncs); /* the datastore only keeps silent */
	expect(&w, "+b +d ");
	world_free(&w);
}
END_TEST

/* Nothing answers while the cache is read twice over without the datastore in between. */
START_TEST(the_cache_outlives_many_starts)
{
	struct world w = world_new();

	start(&w, "test node-1");
	fill(&w);
	for (int i = 0; i < 3; i++) {
		restart(&w);
		mirror_lost(w.mirror, "nobody answers");
		WAIT_UNTIL(&w, w.syncs);
		expect(&w, "+b +c ");
		settle(&w);
	}
	world_free(&w);
}
END_TEST

static void refuses(struct world *w, const char *why)
{
	restart(w);
	mirror_lost(w->mirror, "nobody answers");
	WAIT_UNTIL(w, strstr(w->log.s, "no start from the cache"));
	ck_assert_msg(strstr(w->log.s, why), "%s", w->log.s);
	ck_assert_uint_eq(w->syncs, 0);
	expect(w, "");
}

START_TEST(a_foreign_cache_is_refused)
{
	struct world w = world_new();

	start(&w, "test node-2");
	fill(&w);
	refuses(&w, "it is another node's or another datastore's");
	world_free(&w);
}
END_TEST

START_TEST(what_is_no_cache_is_refused)
{
	struct world w = world_new();
	FILE *f;

	start(&w, "test node-1");
	refuses(&w, "there is none");
	f = fopen(w.path, "w");
	fputs("something else entirely, and longer than a head", f);
	fclose(f);
	refuses(&w, "it is not a cache of this version");
	world_free(&w);
}
END_TEST

static size_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (size_t)st.st_size : 0;
}

/* Cut at every length, or with a bit turned anywhere: a state that was, or a refusal; never anything else. */
START_TEST(a_damaged_cache_is_an_older_state)
{
	struct world w = world_new();
	char *copy = mem_printf("%s.good", w.path), *command;
	unsigned used = 0;
	size_t size;

	start(&w, "test node-1");
	fill(&w);
	stop(&w);
	size = size_of(w.path);
	command = mem_printf("cp %s %s", w.path, copy);
	ck_assert_int_eq(system(command), 0);
	free(command);
	for (size_t at = 0; at < size; at += 7) {
		command = mem_printf("cp %s %s", copy, w.path);
		ck_assert_int_eq(system(command), 0);
		free(command);
		if (_i == 0) {
			ck_assert_int_eq(truncate(w.path, (off_t)at), 0);
		} else {
			int fd = open(w.path, O_RDWR);
			char c;
			ck_assert_int_eq(pread(fd, &c, 1, (off_t)at), 1);
			c ^= 4;
			ck_assert_int_eq(pwrite(fd, &c, 1, (off_t)at), 1);
			close(fd);
		}
		start(&w, "test node-1");
		mirror_lost(w.mirror, "nobody answers");
		WAIT_UNTIL(&w, w.syncs || strstr(w.log.s, "no start from the cache"));
		used += w.syncs;
		ck_assert_msg(strcmp(w.changes.s, "") == 0 || strcmp(w.changes.s, "+a +b ") == 0 ||
				  strcmp(w.changes.s, "+b +c ") == 0,
			      "%zu: %s", at, w.changes.s);
		stop(&w);
	}
	ck_assert_uint_gt(used, 0);
	unlink(copy);
	free(copy);
	start(&w, "test node-1");
	world_free(&w);
}
END_TEST

START_TEST(garbage_is_left_behind)
{
	struct world w = world_new();
	char cidr_text[32], *text = mem_alloc(20000);
	size_t most = 0;

	start(&w, "test node-1");
	fill(&w);
	memset(text, ' ', 20000);
	for (int i = 0; i < 2000; i++) {
		char *p;
		snprintf(cidr_text, sizeof cidr_text, "10.%d.%d.0/24", i / 250, i % 250);
		p = pool("b", cidr_text);
		memcpy(text, p, strlen(p));
		mirror_put(w.mirror, "pools/b", text, 20000);
		free(p);
		if (i % 100 == 50) {
			p = mem_printf("g%d", i);
			put_pool(&w, p, "10.200.0.0/16");
			free(p);
		}
		if (i % 7 == 0)
			settle(&w);
		if (size_of(w.path) > most)
			most = size_of(w.path);
	}
	ck_assert_uint_lt(most, 8u << 20);
	WAIT_UNTIL(&w, size_of(w.path) < 3u << 20);
	restart(&w);
	mirror_lost(w.mirror, "nobody answers");
	WAIT_UNTIL(&w, w.syncs);
	ck_assert_str_eq(cidr(&w, "b"), "10.7.249.0/24");
	ck_assert_str_eq(cidr(&w, "c"), "10.3.0.0/16");
	ck_assert_ptr_null(cidr(&w, "a"));
	ck_assert_uint_eq(store_count(w.store, OBJ_IP_POOL), 22);
	free(text);
	world_free(&w);
}
END_TEST

START_TEST(a_place_that_cannot_be_written_is_said_once)
{
	struct world w = world_new();

	free(w.path);
	w.path = mem_strdup("/proc/no/such/cache");
	start(&w, "test node-1");
	fill(&w);
	expect(&w, "+a +b ~b +c -a ");
	ck_assert_ptr_nonnull(strstr(w.log.s, "the cache /proc/no/such/cache cannot be written: "));
	ck_assert_ptr_null(strstr(strstr(w.log.s, "cannot be written") + 1, "cannot be written"));
	ck_assert_ptr_nonnull(strstr(store_status(w.store).cache_problem, "/proc/no/such/cache cannot be written: "));
	world_free(&w);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mirror");
	TCase *t = tcase_create("mirror");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, t);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_listing_is_a_diff);
	tcase_add_test(t, many_deletions_take_turns);
	tcase_add_test(t, deletions_and_an_outage);
	tcase_add_test(t, bad_documents_keep_what_is_in_force);
	tcase_add_test(t, a_document_may_be_several_objects);
	tcase_add_test(t, very_many_problems_are_not_all_named);
	tcase_add_test(t, the_cache_stands_in);
	tcase_add_test(t, the_cache_outlives_many_starts);
	tcase_add_test(t, a_foreign_cache_is_refused);
	tcase_add_test(t, what_is_no_cache_is_refused);
	tcase_add_loop_test(t, a_damaged_cache_is_an_older_state, 0, 2);
	tcase_add_test(t, garbage_is_left_behind);
	tcase_add_test(t, a_place_that_cannot_be_written_is_said_once);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
