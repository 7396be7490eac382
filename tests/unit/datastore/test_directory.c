/* The directory: where it is, what leads to it, and what happens when it, or the kernel's help, is not there. */
#include <sched.h>
#include <sys/prctl.h>

#include "tests/unit/datastore/world.h"

#define A NODE("a", "1")
#define A2 NODE("a", "2")
#define B NODE("b", "1")
#define C NODE("c", "1")

static void make_dir(const char *path)
{
	ck_assert_msg(mkdir(path, 0755) == 0, "%s: %s", path, strerror(errno));
}

static void make_link(const char *target, const char *path)
{
	ck_assert_msg(symlink(target, path) == 0, "%s: %s", path, strerror(errno));
}

/* Replaces a symbolic link in one step, as ln -sfn cannot and kubelet does. */
static void swap_link(const struct world *w, const char *target, const char *name)
{
	make_link(target, at(w, "../swap"));
	move(w, "../swap", name);
}

static void expect_lost(struct world *w)
{
	WAIT_UNTIL(w, store_status(w->store).problem);
	ck_assert(!store_status(w->store).in_sync);
	ck_assert_str_eq(store_status(w->store).problem, "the directory cannot be read: No such file or directory");
	expect_log(w, store_status(w->store).changes ? "; what was known stays in force" : "; nothing is known yet");
	ck_assert_str_eq(w->changes.s, "");
}

/* In sync for the n-th time. */
static void expect_back(struct world *w, unsigned n)
{
	WAIT_UNTIL(w, store_status(w->store).in_sync);
	ck_assert_uint_eq(w->syncs, n);
	ck_assert_ptr_null(store_status(w->store).problem);
}

START_TEST(test_comes_later)
{
	struct world w;

	world_new(&w);
	ck_assert_int_eq(rmdir(w.dir), 0);
	store_start_file(w.store, w.dir);
	expect_lost(&w);
	ck_assert_uint_eq(w.syncs, 0);
	make_dir(w.dir);
	expect_back(&w, 1);
	put(&w, "n.yaml", A);
	expect_changes(&w, "+a ");
	world_end(&w);
}
END_TEST

/* Several levels are missing at first, and come one by one; then they go and come as a whole. */
START_TEST(test_parents)
{
	struct world w;

	world_new(&w);
	ck_assert_int_eq(rmdir(w.dir), 0);
	free(w.dir);
	w.dir = mem_printf("%s/x/./y//objects/", w.top);
	store_start_file(w.store, w.dir);
	expect_lost(&w);
	make_dir(at(&w, "../x"));
	world_turn(&w);
	make_dir(at(&w, "../x/y"));
	world_turn(&w);
	make_dir(w.dir);
	expect_back(&w, 1);
	put(&w, "n.yaml", A B);
	expect_changes(&w, "+a +b ");
	remove_tree(at(&w, "../x"));
	expect_lost(&w);
	make_dir(at(&w, "../x"));
	make_dir(at(&w, "../x/y"));
	make_dir(w.dir);
	put(&w, "n.yaml", A2 B);
	expect_changes(&w, "~a ");
	expect_back(&w, 2);
	/* A parent is moved away, and another into its place. */
	make_dir(at(&w, "../new"));
	make_dir(at(&w, "../new/objects"));
	put(&w, "../new/objects/m.yaml", A2 B C);
	move(&w, "../x/y", "../old");
	expect_lost(&w);
	put(&w, "../old/objects/n.yaml", A); /* nobody looks there any more */
	move(&w, "../new", "../x/y");
	expect_changes(&w, "+c ");
	expect_back(&w, 3);
	expect_nothing(&w);
	world_end(&w);
}
END_TEST

/* rm -r takes a while for many files: the first are gone long before the directory is. None of them is deleted. */
START_TEST(test_removed_slowly)
{
	struct world w;
	char name[20], text[200];
	uint64_t began = mono_now();

	world_new(&w);
	for (unsigned i = 0; i < 60; i++) {
		snprintf(name, sizeof name, "n%u.yaml", i);
		snprintf(text, sizeof text, NODE("n%u", "1"), i);
		put(&w, name, text);
	}
	world_start(&w);
	ck_assert_uint_eq(store_count(w.store, OBJ_NODE), 60);
	strbuf_reset(&w.changes);
	for (unsigned i = 0; i < 60; i++) {
		mono_fake(began + i * 10 * MONO_MSEC);
		snprintf(name, sizeof name, "n%u.yaml", i);
		drop(&w, name);
		world_turn(&w);
	}
	ck_assert_int_eq(rmdir(w.dir), 0);
	mono_fake(0);
	expect_lost(&w);
	/* And when it comes back, it is filled one by one: some files are the same, some are not there. */
	make_dir(w.dir);
	began = mono_now();
	for (unsigned i = 1; i < 60; i++) {
		mono_fake(began + i * 10 * MONO_MSEC);
		snprintf(name, sizeof name, "n%u.yaml", i);
		snprintf(text, sizeof text, NODE("n%u", "%u"), i, i == 7 ? 2 : 1);
		put(&w, name, text);
		world_turn(&w);
	}
	mono_fake(0);
	expect_changes(&w, "~n7 ");
	expect_back(&w, 2);
	expect_changes(&w, "-n0 ");
	world_end(&w);
}
END_TEST

START_TEST(test_moved_away_and_back)
{
	struct world w;

	world_new(&w);
	put(&w, "a.yaml", A);
	put(&w, "b.yaml", B);
	world_start(&w);
	expect_changes(&w, "+a +b ");
	move(&w, "../objects", "../elsewhere");
	expect_lost(&w);
	put(&w, "../elsewhere/a.yaml", A2); /* nobody looks there */
	world_turn(&w);
	ck_assert_str_eq(w.changes.s, "");
	move(&w, "../elsewhere", "../objects");
	expect_changes(&w, "~a ");
	expect_back(&w, 2);
	put(&w, "a.yaml", A);
	expect_changes(&w, "~a ");
	world_end(&w);
}
END_TEST

/* The directory is a symbolic link, which is set to another one. */
START_TEST(test_directory_link)
{
	struct world w;

	world_new(&w);
	make_dir(at(&w, "../one"));
	make_dir(at(&w, "../two"));
	put(&w, "../one/n.yaml", A B);
	put(&w, "../two/n.yaml", A2 B);
	put(&w, "../two/m.yaml", C);
	ck_assert_int_eq(rmdir(w.dir), 0);
	free(w.dir);
	w.dir = mem_printf("%s/current", w.top);
	make_link("one", w.dir);
	world_start(&w);
	expect_changes(&w, "+a +b ");
	swap_link(&w, "two", "../current");
	expect_changes(&w, "+c ~a ");
	put(&w, "m.yaml", NODE("c", "2"));
	expect_changes(&w, "~c ");
	ck_assert_int_eq(unlink(w.dir), 0);
	expect_lost(&w);
	make_link(at(&w, "../one"), w.dir); /* absolute */
	expect_changes(&w, "~a -c ");
	expect_back(&w, 2);
	world_end(&w);
}
END_TEST

/* A file is a symbolic link to somewhere else. */
START_TEST(test_file_link)
{
	struct world w;

	world_new(&w);
	make_dir(at(&w, "../far"));
	make_dir(at(&w, "../far/away"));
	put(&w, "../far/away/n", A);
	make_link("../far/link", at(&w, "n.yaml"));
	make_link("away/n", at(&w, "../far/link"));
	make_link("nowhere", at(&w, "m.yaml"));
	world_start(&w);
	expect_changes(&w, "+a ");
	ck_assert_ptr_nonnull(
	    strstr(w.log.s, "m.yaml: is a symbolic link that leads nowhere; nothing of it is in force"));
	strbuf_reset(&w.log);
	/* Its content; a file renamed over it; a link on the way. */
	put(&w, "../far/away/n", A2);
	expect_changes(&w, "~a ");
	put(&w, "../far/away/new", A B);
	move(&w, "../far/away/new", "../far/away/n");
	expect_changes(&w, "~a +b ");
	put(&w, "../far/other", A2 B);
	swap_link(&w, "other", "../far/link");
	expect_changes(&w, "~a ");
	put(&w, "../far/other", A B);
	expect_changes(&w, "~a ");
	put(&w, "../far/away/n", C); /* not on the way any more */
	expect_nothing(&w);
	/* It leads nowhere, and somewhere again; then the link itself goes. */
	move(&w, "../far", "../farther");
	expect_log(&w, "n.yaml: is a symbolic link that leads nowhere; the last good version stays in force");
	move(&w, "../farther", "../far");
	expect_log(&w, "resolved");
	expect_nothing(&w);
	put(&w, "nowhere", C);
	expect_changes(&w, "+c ");
	expect_log(&w, "resolved");
	drop(&w, "n.yaml");
	expect_changes(&w, "-a -b ");
	/* A loop. */
	make_link("l.yaml", at(&w, "l.yaml"));
	expect_log(&w, "l.yaml: Too many levels of symbolic links");
	world_end(&w);
}
END_TEST

/* Kubernetes mounts a ConfigMap so: n.yaml -> ..data/n.yaml, ..data -> ..DATE, and changes it by renaming ..data. */
START_TEST(test_config_map)
{
	struct world w;

	world_new(&w);
	make_dir(at(&w, "..1"));
	put(&w, "..1/a.yaml", A);
	put(&w, "..1/b.yaml", B);
	make_link("..1", at(&w, "..data"));
	make_link("..data/a.yaml", at(&w, "a.yaml"));
	make_link("..data/b.yaml", at(&w, "b.yaml"));
	world_start(&w);
	expect_changes(&w, "+a +b ");
	for (unsigned i = 2; i <= 4; i++) {
		char text[200], dir[10], file[20];
		snprintf(dir, sizeof dir, "..%u", i);
		make_dir(at(&w, dir));
		snprintf(text, sizeof text, NODE("a", "%u"), i);
		snprintf(file, sizeof file, "..%u/a.yaml", i);
		put(&w, file, text);
		snprintf(file, sizeof file, "..%u/b.yaml", i);
		put(&w, file, B);
		make_link(dir, at(&w, "..data_tmp"));
		move(&w, "..data_tmp", "..data");
		snprintf(dir, sizeof dir, "..%u", i - 1);
		remove_tree(at(&w, dir));
		expect_changes(&w, "~a ");
		ck_assert_uint_eq(as_of(&w, "a"), i);
		expect_nothing(&w);
	}
	/* A key is taken out, and one put in. */
	make_dir(at(&w, "..5"));
	put(&w, "..5/a.yaml", A);
	put(&w, "..5/c.yaml", C);
	make_link("..5", at(&w, "..data_tmp"));
	move(&w, "..data_tmp", "..data");
	make_link("..data/c.yaml", at(&w, "c.yaml"));
	drop(&w, "b.yaml");
	WAIT_UNTIL(&w, as_of(&w, "c") == 1 && as_of(&w, "b") == 0);
	settle(&w);
	ck_assert_uint_eq(as_of(&w, "a"), 1);
	ck_assert_uint_eq(store_count(w.store, OBJ_NODE), 2);
	ck_assert_uint_eq(store_status(w.store).refused, 0);
	world_end(&w);
}
END_TEST

static unsigned long read_limit(const char *name)
{
	char path[80], text[40] = "";
	int fd;

	snprintf(path, sizeof path, "/proc/sys/fs/inotify/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_gt(read(fd, text, sizeof text - 1), 0);
	close(fd);
	return strtoul(text, NULL, 10);
}

/* More happens than the kernel keeps; what changed after is found all the same. */
START_TEST(test_overflow)
{
	unsigned long limit = read_limit("max_queued_events");
	struct world w;

	world_new(&w);
	put(&w, "a.yaml", A);
	put(&w, "b.yaml", B);
	put(&w, "c.yaml", C);
	world_start(&w);
	expect_changes(&w, "+a +b +c ");
	put(&w, "x", "");
	for (unsigned long i = 0; i <= limit / 2; i++)
		move(&w, i % 2 ? "y" : "x", i % 2 ? "x" : "y");
	put(&w, "a.yaml", A2);
	put(&w, "d.yaml", NODE("d", "1"));
	drop(&w, "b.yaml");
	expect_log(&w, "the kernel lost events");
	WAIT_UNTIL(&w, as_of(&w, "a") == 2 && as_of(&w, "d") == 1 && as_of(&w, "b") == 0);
	settle(&w);
	ck_assert_str_eq(w.changes.s, "~a +d -b ");
	world_end(&w);
}
END_TEST

/* The kernel has no inotify instance left for us: looking from time to time must do. */
START_TEST(test_no_inotify)
{
	struct world w;
	int limit;

	world_new(&w);
	/* A user namespace has limits of its own. */
	ck_assert_msg(unshare(CLONE_NEWUSER) == 0, "unshare: %s", strerror(errno));
	limit = open("/proc/sys/user/max_inotify_instances", O_WRONLY | O_CLOEXEC);
	ck_assert_msg(write(limit, "0", 1) == 1, "max_inotify_instances: %s", strerror(errno));
	close(limit);
	prctl(PR_SET_DUMPABLE, 1); /* or the leak checker fails */
	put(&w, "a.yaml", A);
	world_start(&w);
	expect_changes(&w, "+a ");
	ck_assert_ptr_nonnull(
	    strstr(w.log.s, "cannot be watched (inotify: Too many open files), and is looked at every 5 s"));
	put(&w, "a.yaml", A2);
	expect_changes(&w, "~a ");
	drop(&w, "a.yaml");
	expect_changes(&w, "-a ");
	world_end(&w);
}
END_TEST

static void add_blocks(struct strbuf *text, unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++) {
		strbuf_printf(
		    text,
		    "---\napiVersion: crd.projectcalico.org/v1\nkind: IPAMBlock\nmetadata:\n  name: b%u\nspec:\n"
		    "  cidr: 10.%u.%u.%u/26\n  affinity: host:node-%u\n  allocations: [0",
		    i, i >> 10, i >> 2 & 255, (i & 3) << 6, i % 5000);
		for (unsigned k = 1; k < 64; k++)
			strbuf_puts(text, k < 8 ? ",1" : ",null");
		strbuf_printf(text,
			      "]\n  attributes:\n  - handle_id: t\n    secondary: {node: node-%u}\n"
			      "  - handle_id: p\n    secondary: {node: node-%u, pod: p}\n  deleted: false\n",
			      i % 5000, i % 5000);
	}
}

static void add_nodes(struct strbuf *text, unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++)
		strbuf_printf(text,
			      "---\napiVersion: projectcalico.org/v3\nkind: Node\nmetadata:\n  name: node-%u\n"
			      "  uid: 6e9f4c1e-5f7a-4e6b-9b1a-%u\n  labels:\n    rack: r%u\nspec:\n  bgp:\n"
			      "    ipv4Address: 10.200.%u.%u/16\n  orchRefs:\n  - nodeName: node-%u\n"
			      "    orchestrator: k8s\n",
			      i, i, i % 40, i >> 8, i & 255, i);
}

/* A large cluster: read in reasonable time, in slices, and a single change is still a small matter. */
START_TEST(test_large)
{
	struct strbuf text = {0};
	struct world w;
	uint64_t began, loaded, changed;
	char name[20];

	world_new(&w);
	for (unsigned i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "blocks-%u.yaml", i);
		add_blocks(&text, i * 100, 100);
		put(&w, name, text.s);
		strbuf_reset(&text);
		snprintf(name, sizeof name, "nodes-%u.yaml", i);
		add_nodes(&text, i * 25, 25);
		put(&w, name, text.s);
		strbuf_reset(&text);
	}
	began = mono_now();
	store_start_file(w.store, w.dir);
	WAIT_UNTIL(&w, w.syncs == 1);
	loaded = mono_now() - began;
	ck_assert_uint_eq(store_count(w.store, OBJ_IPAM_BLOCK), 20000);
	ck_assert_uint_eq(store_count(w.store, OBJ_NODE), 5000);
	strbuf_reset(&w.changes);
	put(&w, "zz.yaml", A);
	began = mono_now();
	expect_changes(&w, "+a ");
	changed = mono_now() - began;
	printf("25,000 objects: %llu ms; longest turn %llu ms; one more: %llu us\n",
	       (unsigned long long)(loaded / MONO_MSEC), (unsigned long long)(loop_stats(w.loop)->worst / MONO_MSEC),
	       (unsigned long long)(changed / MONO_USEC));
	ck_assert_uint_lt(loaded, PATIENCE);
	ck_assert_uint_lt(changed, loaded / 10);
	strbuf_free(&text);
	world_end(&w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("directory");
	TCase *t = tcase_create("directory");
	SRunner *sr = srunner_create(s);
	int failures;

	tcase_set_timeout(t, 90);
	tcase_add_test(t, test_comes_later);
	tcase_add_test(t, test_parents);
	tcase_add_test(t, test_removed_slowly);
	tcase_add_test(t, test_moved_away_and_back);
	tcase_add_test(t, test_directory_link);
	tcase_add_test(t, test_file_link);
	tcase_add_test(t, test_config_map);
	tcase_add_test(t, test_overflow);
	tcase_add_test(t, test_no_inotify);
	tcase_add_test(t, test_large);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
