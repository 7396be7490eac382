#include "datastore/store.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/base/buf.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "datastore/backend.h"

/* What the store told, one piece after the other. */
struct told {
	struct store *s;
	struct strbuf changes, log;
	unsigned syncs;
};

static uint32_t as_of(const struct object *o)
{
	return o ? object_node(o)->as_number : 0;
}

static void on_change(void *arg, const struct object *before, const struct object *after)
{
	struct told *t = arg;
	const struct object *o = after ? after : before;

	/* During the call the store already is as it will be. */
	ck_assert_ptr_eq(store_get(t->s, o->kind, o->namespace, o->name), after);
	strbuf_printf(&t->changes, "%s %u>%u;", o->name, as_of(before), as_of(after));
}

static void on_sync(void *arg)
{
	((struct told *)arg)->syncs++;
}

static void on_log(void *arg, enum log_level level, const char *line)
{
	struct told *t = arg;

	strbuf_printf(&t->log, "%s %s\n", log_level_name(level), line);
}

static void setup(struct told *t)
{
	static const struct store_ops ops = {on_change, on_sync};

	*t = (struct told){0};
	log_redirect(on_log, t);
	t->s = store_new(NULL, &ops, t);
}

static void teardown(struct told *t)
{
	store_free(t->s);
	strbuf_free(&t->changes);
	strbuf_free(&t->log);
}

/* Compares what was told since the last time. */
static void expect(struct strbuf *told, const char *text)
{
	ck_assert_str_eq(told->s ? told->s : "", text);
	strbuf_reset(told);
}

static void on_doc(void *arg, struct yaml_node *root)
{
	struct object_error err;
	char *name;
	int kind;

	*(struct object **)arg = object_decode(root, &err, &kind, &name, NULL, NULL);
	free(name);
}

static struct object *decode(const char *kind, const char *namespace, const char *name, const char *spec)
{
	char *text = mem_printf("{kind: %s, apiVersion: projectcalico.org/v3, metadata: {name: %s, namespace: %s}, "
				"spec: {%s}}",
				kind, name, namespace, spec);
	struct object *o = NULL;
	struct yaml_error err;

	ck_assert(yaml_parse(text, strlen(text), on_doc, &o, &err));
	ck_assert_msg(o != NULL, "%s", text);
	o->source = mem_strdup("test:1");
	free(text);
	return o;
}

static struct object *node(const char *name, unsigned as)
{
	char spec[60];

	snprintf(spec, sizeof spec, "bgp: {asNumber: %u}", as);
	return decode("Node", "x", name, spec);
}

static struct object *workload(const char *namespace, const char *name)
{
	return decode("WorkloadEndpoint", namespace, name, "node: n, interfaceName: c");
}

START_TEST(test_diff)
{
	struct told t;
	struct object *o;

	setup(&t);
	store_put(t.s, node("a", 1));
	expect(&t.changes, "a 0>1;");
	store_put(t.s, node("a", 2));
	expect(&t.changes, "a 1>2;");
	/* The same again is no change, but where it stands is remembered. */
	o = node("a", 2);
	free(o->source);
	o->source = mem_strdup("elsewhere:7");
	store_put(t.s, o);
	expect(&t.changes, "");
	ck_assert_str_eq(store_get(t.s, OBJ_NODE, "", "a")->source, "elsewhere:7");
	ck_assert(!store_delete(t.s, OBJ_NODE, "", "b"));
	ck_assert(!store_delete(t.s, OBJ_IP_POOL, "", "a"));
	ck_assert(!store_delete(t.s, OBJ_NODE, "x", "a"));
	expect(&t.changes, "");
	ck_assert(store_delete(t.s, OBJ_NODE, "", "a"));
	expect(&t.changes, "a 2>0;");
	ck_assert_ptr_null(store_get(t.s, OBJ_NODE, "", "a"));
	ck_assert_uint_eq(store_count(t.s, OBJ_NODE), 0);
	ck_assert_uint_eq(store_status(t.s).changes, 3);
	store_put(t.s, node("left", 5)); /* freed without a word */
	store_free(t.s);
	t.s = NULL;
	expect(&t.changes, "left 0>5;");
	teardown(&t);
}
END_TEST

static void expect_walk(const struct store *s, enum object_kind k, const char *names)
{
	struct strbuf out = {0};
	const struct object *o;
	unsigned pos = 0;

	while ((o = store_next(s, k, &pos)))
		strbuf_printf(&out, "%s/%s ", o->namespace, o->name);
	ck_assert_str_eq(out.s ? out.s : "", names);
	strbuf_free(&out);
}

START_TEST(test_walk_in_order)
{
	struct told t;

	setup(&t);
	expect_walk(t.s, OBJ_NODE, "");
	store_put(t.s, node("c", 1));
	store_put(t.s, node("a", 1));
	store_put(t.s, node("b", 1));
	expect_walk(t.s, OBJ_NODE, "/a /b /c ");
	store_delete(t.s, OBJ_NODE, "", "b");
	expect_walk(t.s, OBJ_NODE, "/a /c ");
	store_put(t.s, node("d", 1));
	store_put(t.s, node("aa", 1));
	store_put(t.s, node("a", 7));
	expect_walk(t.s, OBJ_NODE, "/a /aa /c /d ");
	store_put(t.s, workload("z", "a"));
	store_put(t.s, workload("y", "b"));
	store_put(t.s, workload("y", "a"));
	expect_walk(t.s, OBJ_WORKLOAD_ENDPOINT, "y/a y/b z/a ");
	ck_assert_ptr_nonnull(store_get(t.s, OBJ_WORKLOAD_ENDPOINT, "z", "a"));
	ck_assert_ptr_null(store_get(t.s, OBJ_WORKLOAD_ENDPOINT, "z", "b"));
	ck_assert_uint_eq(store_count(t.s, OBJ_WORKLOAD_ENDPOINT), 3);
	teardown(&t);
}
END_TEST

/* Comings and goings in no order: found and walked as a plain list would be. */
START_TEST(test_churn)
{
	bool there[300] = {false};
	unsigned seed = 7, count = 0;
	struct told t;

	setup(&t);
	for (unsigned round = 0; round < 20000; round++) {
		char name[12];
		unsigned n = (seed = seed * 1103515245 + 12345) >> 16;
		snprintf(name, sizeof name, "n%03u", n % 300);
		if (n & 0x4000)
			store_put(t.s, node(name, n % 3 + 1));
		else
			ck_assert(store_delete(t.s, OBJ_NODE, "", name) == there[n % 300]);
		there[n % 300] = n & 0x4000;
		if (round % 1000)
			continue;
		unsigned pos = 0;
		const struct object *o = store_next(t.s, OBJ_NODE, &pos);
		count = 0;
		for (unsigned i = 0; i < 300; i++) {
			if (!there[i])
				continue;
			snprintf(name, sizeof name, "n%03u", i);
			ck_assert_str_eq(o->name, name);
			o = store_next(t.s, OBJ_NODE, &pos);
			count++;
		}
		ck_assert_ptr_null(o);
		ck_assert_uint_eq(store_count(t.s, OBJ_NODE), count);
	}
	teardown(&t);
}
END_TEST

/* A walk goes on while what it has just returned is removed. */
START_TEST(test_delete_while_walking)
{
	struct told t;
	const struct object *o;
	unsigned pos = 0, n = 0;
	char name[12];

	setup(&t);
	for (unsigned i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "n%u", i);
		store_put(t.s, node(name, 1));
	}
	while ((o = store_next(t.s, OBJ_NODE, &pos))) {
		snprintf(name, sizeof name, "%s", o->name);
		ck_assert(store_delete(t.s, OBJ_NODE, "", name));
		n++;
	}
	ck_assert_uint_eq(n, 50);
	ck_assert_uint_eq(store_count(t.s, OBJ_NODE), 0);
	teardown(&t);
}
END_TEST

static void note(struct told *t, struct refusal_set *set, const char *source, const char *object, const char *reason,
		 bool warning, bool last_good)
{
	char *copies[] = {mem_strdup(source), mem_strdup(object), mem_strdup(reason), mem_strdup("spec.x")};

	refusals_note(t->s, set,
		      &(struct store_refusal){copies[0], copies[1], copies[3], copies[2], warning, last_good});
	for (int i = 0; i < 4; i++)
		free(copies[i]);
}

START_TEST(test_refusals)
{
	struct refusal_set set = {0}, other = {0};
	struct told t;

	setup(&t);
	refusals_begin(&set);
	note(&t, &set, "f:1:2", "Node a", "bad", false, false);
	note(&t, &set, "f:3:4", "Node b", "odd", true, false);
	note(&t, &set, "f:5:6", "Node c", "bad", false, true);
	note(&t, &set, "f:5:6", "Node c", "bad", false, true); /* twice is twice */
	refusals_end(t.s, &set);
	note(&t, &other, "g", "", "bad", false, false);
	expect(&t.log, "warning f:1:2: Node a: spec.x: bad; the object is not in force\n"
		       "warning f:3:4: Node b: spec.x: odd; the rest of the object is in force\n"
		       "warning f:5:6: Node c: spec.x: bad; the last good version stays in force\n"
		       "warning f:5:6: Node c: spec.x: bad; the last good version stays in force\n"
		       "warning g: spec.x: bad; nothing of it is in force\n");
	ck_assert_uint_eq(store_status(t.s).refused, 4);
	ck_assert_str_eq(store_refusal(t.s, 0)->object, "Node a");
	ck_assert_str_eq(store_refusal(t.s, 4)->source, "g");
	ck_assert_str_eq(store_refusal(t.s, 1)->reason, "odd");
	ck_assert(store_refusal(t.s, 1)->warning && store_refusal(t.s, 2)->last_good);
	ck_assert_ptr_null(store_refusal(t.s, 5));
	/* Again, elsewhere, in another order: nothing to say, but the places are the new ones. One is gone, one is new.
	 */
	refusals_begin(&set);
	note(&t, &set, "f:11:1", "Node c", "bad", false, true);
	note(&t, &set, "f:12:1", "Node a", "bad", false, true);
	note(&t, &set, "f:13:1", "Node b", "odder", true, false);
	refusals_end(t.s, &set);
	expect(&t.log, "warning f:13:1: Node b: spec.x: odder; the rest of the object is in force\n"
		       "info resolved: f:3:4: Node b: spec.x: odd\n"
		       "info resolved: f:5:6: Node c: spec.x: bad\n");
	ck_assert_str_eq(store_refusal(t.s, 0)->source, "f:12:1");
	ck_assert(store_refusal(t.s, 0)->last_good);
	ck_assert_uint_eq(store_status(t.s).refused, 3);
	refusals_clear(t.s, &set, true);
	expect(&t.log, "");
	refusals_clear(t.s, &other, false);
	expect(&t.log, "info resolved: g: spec.x: bad\n");
	ck_assert_uint_eq(store_status(t.s).refused, 0);
	ck_assert_ptr_null(store_refusal(t.s, 0));
	teardown(&t);
}
END_TEST

/* Very many refusals of one file: noting them again, and reading them all, takes no time worth mentioning. */
START_TEST(test_many_refusals)
{
	struct refusal_set set = {0};
	struct told t;
	clock_t began; /* of the processor: others may be busy too */

	setup(&t);
	log_redirect(on_log, &t);
	began = clock();
	for (int round = 0; round < 3; round++) {
		refusals_begin(&set);
		for (unsigned i = 0; i < 20000; i++) {
			char object[20];
			snprintf(object, sizeof object, "Node %u", i);
			note(&t, &set, "f:1:2", object, "bad", false, false);
		}
		refusals_end(t.s, &set);
	}
	for (unsigned i = 0; i < 20000; i++)
		ck_assert_uint_eq((unsigned)atoi(store_refusal(t.s, i)->object + 5), i);
	refusals_clear(t.s, &set, true);
	ck_assert_int_lt((clock() - began) / CLOCKS_PER_SEC, 5);
	teardown(&t);
}
END_TEST

START_TEST(test_status)
{
	struct told t;
	uint64_t since;

	mono_fake(1000);
	setup(&t);
	ck_assert_str_eq(store_status(t.s).backend, "none");
	ck_assert(!store_status(t.s).in_sync);
	ck_assert_uint_eq(store_status(t.s).since, 0);
	store_lost(t.s, "gone fishing");
	expect(&t.log, "warning none: gone fishing; nothing is known yet\n");
	ck_assert_str_eq(store_status(t.s).problem, "gone fishing");
	ck_assert_uint_eq(store_status(t.s).since, 1000);
	mono_fake(2000);
	store_lost(t.s, "gone fishing");
	expect(&t.log, "");
	ck_assert_uint_eq(store_status(t.s).since, 1000);
	store_put(t.s, node("a", 1));
	strbuf_reset(&t.log);
	store_synced(t.s);
	expect(&t.log, "info : in sync, 1 objects\n");
	ck_assert_uint_eq(t.syncs, 1);
	since = store_status(t.s).since;
	ck_assert_uint_eq(since, 2000);
	ck_assert(store_status(t.s).in_sync);
	ck_assert_ptr_null(store_status(t.s).problem);
	teardown(&t);
	mono_fake(0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store");
	TCase *t = tcase_create("store");
	SRunner *sr = srunner_create(s);
	int failures;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_diff);
	tcase_add_test(t, test_walk_in_order);
	tcase_add_test(t, test_churn);
	tcase_add_test(t, test_delete_while_walking);
	tcase_add_test(t, test_refusals);
	tcase_add_test(t, test_many_refusals);
	tcase_add_test(t, test_status);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
