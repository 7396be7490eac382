/* Files: what is in them, and how they change. */
#include <dirent.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "tests/unit/datastore/world.h"

#define A NODE("a", "1")
#define A2 NODE("a", "2")
#define B NODE("b", "1")
#define C NODE("c", "1")

START_TEST(test_load)
{
	struct world w;
	const struct object *o;

	world_new(&w);
	put(&w, "b.yaml", NODE("b1", "1") NODE("b2", "2"));
	put(&w, "a.yml",
	    "apiVersion: projectcalico.org/v3\nkind: NodeList\nmetadata:\n  resourceVersion: \"12\"\nitems:\n"
	    "- apiVersion: projectcalico.org/v3\n  kind: Node\n  metadata:\n    name: a1\n  spec: {}\n"
	    "- apiVersion: projectcalico.org/v3\n  kind: IPPool\n  metadata:\n    name: a2\n  spec: {cidr: "
	    "10.0.0.0/8}\n");
	put(&w, "c.json",
	    "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"metadata\":{\"resourceVersion\":\"\"},\"items\":[{"
	    "\"apiVersion\":\"projectcalico.org/v3\",\"kind\":\"Node\",\"metadata\":{\"name\":\"c1\"}}]}");
	put(&w, "d.yaml", "# nothing\n---\n---\n" NODE("d1", "1") "---\n");
	put(&w, "e.yaml", "apiVersion: projectcalico.org/v3\nkind: ProfileList\nitems:\n");
	put(&w, "notes.txt", NODE("no", "1"));
	put(&w, ".hidden.yaml", NODE("no", "1"));
	put(&w, "#x.yaml", NODE("no", "1"));
	put(&w, "x.yaml~", NODE("no", "1"));
	world_start(&w);
	expect_changes(&w, "+a1 +a2 +b1 +b2 +c1 +d1 ");
	ck_assert_str_eq(w.log.s, "");
	ck_assert(store_status(w.store).in_sync);
	ck_assert_str_eq(store_status(w.store).backend, "file");
	ck_assert_str_eq(store_status(w.store).location, w.dir);
	o = store_get(w.store, OBJ_NODE, "", "b2");
	ck_assert_ptr_nonnull(strstr(o->source, "objects/b.yaml:10"));
	ck_assert_uint_eq(w.syncs, 1);
	world_end(&w);
}
END_TEST

START_TEST(test_change)
{
	struct world w;

	world_new(&w);
	put(&w, "n.yaml", A B);
	world_start(&w);
	expect_changes(&w, "+a +b ");
	put(&w, "n.yaml", A2 B C);
	expect_changes(&w, "~a +c ");
	put(&w, "n.yaml", "# only the places change\n" A2 B C);
	expect_nothing(&w);
	put(&w, "n.yaml", C);
	expect_changes(&w, "-a -b ");
	put(&w, "new.yaml", A);
	expect_changes(&w, "+a ");
	drop(&w, "new.yaml");
	expect_changes(&w, "-a ");
	put(&w, "n.yaml", "# all gone, and meant so\n");
	expect_changes(&w, "-c ");
	ck_assert_str_eq(w.log.s, "");
	world_end(&w);
}
END_TEST

/* A file that did not change is not read again for another's sake: its content was changed behind inotify's back. */
START_TEST(test_reads_only_what_changed)
{
	struct world w;

	world_new(&w);
	put(&w, "a.yaml", A);
	put(&w, "b.yaml", B);
	ck_assert_int_eq(link(at(&w, "b.yaml"), at(&w, "../b-too.yaml")), 0);
	world_start(&w);
	expect_changes(&w, "+a +b ");
	put(&w, "../b-too.yaml", NODE("b", "9"));
	put(&w, "a.yaml", A2);
	expect_changes(&w, "~a ");
	expect_nothing(&w);
	ck_assert_uint_eq(as_of(&w, "b"), 1);
	world_end(&w);
}
END_TEST

/* From the closing of a file to the change: the best of some tries, since the machine may be busy. */
START_TEST(test_latency)
{
	uint64_t best = PATIENCE;
	struct world w;
	char text[200];

	world_new(&w);
	world_start(&w);
	for (unsigned i = 1; i <= 20; i++) {
		uint64_t began;
		snprintf(text, sizeof text, NODE("a", "%u"), i);
		put(&w, "a.yaml", text);
		began = mono_now();
		WAIT_UNTIL(&w, as_of(&w, "a") == i);
		if (mono_now() - began < best)
			best = mono_now() - began;
	}
	ck_assert_uint_lt(best, 10 * MONO_MSEC);
	world_end(&w);
}
END_TEST

START_TEST(test_bad_object)
{
	struct world w;
	const struct store_refusal *r;

	world_new(&w);
	put(&w, "n.yaml", A B C);
	world_start(&w);
	expect_changes(&w, "+a +b +c ");
	put(&w, "n.yaml", A2 NODE("b", "0") NODE("c", "3") NODE("d", "x"));
	expect_changes(&w, "~a ~c ");
	settle(&w);
	ck_assert_ptr_nonnull(strstr(w.log.s,
				     "objects/n.yaml:16:15: Node b: spec.bgp.asNumber: AS 0 is reserved (RFC 7607); "
				     "the last good version stays in force\n"));
	ck_assert_ptr_nonnull(strstr(w.log.s,
				     "objects/n.yaml:32:15: Node d: spec.bgp.asNumber: expected an AS number (64512, "
				     "or 1.10), not 'x'; the object is not in force\n"));
	strbuf_reset(&w.log);
	ck_assert_uint_eq(as_of(&w, "b"), 1);
	ck_assert_uint_eq(store_status(w.store).refused, 2);
	r = store_refusal(w.store, 0);
	ck_assert_ptr_nonnull(strstr(r->source, "/n.yaml:16:15"));
	ck_assert_str_eq(r->object, "Node b");
	ck_assert_str_eq(r->field, "spec.bgp.asNumber");
	ck_assert(r->last_good && !r->warning);
	ck_assert(!store_refusal(w.store, 1)->last_good);
	/* Still bad, elsewhere: not a word. */
	put(&w, "n.yaml", "# a line\n" A2 NODE("b", "0") NODE("c", "3") NODE("d", "x"));
	expect_nothing(&w);
	ck_assert_ptr_nonnull(strstr(store_refusal(w.store, 0)->source, "/n.yaml:17:15"));
	put(&w, "n.yaml", A2 NODE("b", "2") NODE("c", "3"));
	expect_changes(&w, "~b ");
	settle(&w);
	ck_assert_ptr_nonnull(strstr(w.log.s, "resolved: "));
	ck_assert_ptr_null(store_refusal(w.store, 0));
	world_end(&w);
}
END_TEST

/* A bad object that was never good is nothing; a bad one that leaves the file is deleted as any other. */
START_TEST(test_bad_object_leaves)
{
	struct world w;

	world_new(&w);
	put(&w, "n.yaml", A);
	world_start(&w);
	expect_changes(&w, "+a ");
	put(&w, "n.yaml", NODE("a", "0") NODE("b", "0"));
	expect_log(&w, "Node b");
	put(&w, "n.yaml", C);
	expect_changes(&w, "+c -a ");
	ck_assert_uint_eq(store_status(w.store).refused, 0);
	world_end(&w);
}
END_TEST

/* Whatever makes a file unreadable from some point on: what is before it applies, what was after it stays. */
static const struct {
	const char *text, *changes, *log;
} broken[] = {
    {A2 "---\nkind: [\n", "~a ", "n.yaml:11:1: did not find expected node content"},
    {A2 "---\nkind: \xff\n", "~a ", "n.yaml:10:7: byte 0xff is not text in UTF-8"},
    {A2 "---\na: &x b\n", "~a ", "n.yaml:10:4: anchors"},
    {A2 "---\nkind", "~a ", "n.yaml:10:1: expected an object"},
    {A2 "---\nkind: Nod", "~a ", "n.yaml:10:7: kind: 'Nod' is not a known kind"},
    {A2 "---\nkind: Node\n", "~a ", "n.yaml:10:1: apiVersion: expected projectcalico.org/v3"},
    {A2 "---\nkind: Node\napiVersion: projectcalico.org/v3\nmetadata:\n", "~a ", "metadata.name: missing"},
    {A2 "---\nkind: Node\napiVersion: projectcalico.org/v3\nmetadata:\n  name: b/c\n", "~a ",
     "metadata.name: expected"},
    {A2 "---\nkind: NodeList\napiVersion: projectcalico.org/v3\n", "~a ", "items: missing"},
    {A2 "---\nkind: NodeList\nitems: x\n", "~a ", "items: missing"},
    {A2 "---\nkind: List\nitems: [x]\n", "~a ", "expected an object"},
    {"", "", "is empty; to delete its objects, remove the file"},
    {"{", "", "n.yaml:2:1: did not find expected node content"},
    {"\xff\xfe", "", "byte 0xff"},
};

START_TEST(test_broken_file)
{
	struct world w;

	world_new(&w);
	put(&w, "n.yaml", A B C);
	world_start(&w);
	expect_changes(&w, "+a +b +c ");
	put(&w, "n.yaml", broken[_i].text);
	settle(&w);
	ck_assert_str_eq(w.changes.s, broken[_i].changes);
	ck_assert_msg(strstr(w.log.s, broken[_i].log) && strstr(w.log.s, "the last good version stays in force"), "%s",
		      w.log.s);
	ck_assert_uint_eq(as_of(&w, "b") + as_of(&w, "c"), 2);
	strbuf_reset(&w.changes);
	strbuf_reset(&w.log);
	put(&w, "n.yaml", A2 C);
	WAIT_UNTIL(&w, as_of(&w, "b") == 0);
	ck_assert_str_eq(w.changes.s, *broken[_i].changes ? "-b " : "~a -b ");
	ck_assert_ptr_nonnull(strstr(w.log.s, "resolved"));
	ck_assert_uint_eq(store_status(w.store).refused, 0);
	world_end(&w);
}
END_TEST

/* Documents of others' APIs are refused, but stand in nobody's way. */
START_TEST(test_other_kinds)
{
	struct world w;

	world_new(&w);
	put(&w, "n.yaml",
	    A B "---\nkind: Deployment\napiVersion: apps/v1\nmetadata: {name: x}\n"
		"---\nkind: IPReservation\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\n");
	world_start(&w);
	expect_changes(&w, "+a +b ");
	ck_assert_ptr_nonnull(strstr(w.log.s, "'Deployment' is not a known kind; "));
	ck_assert_ptr_null(strstr(w.log.s, "Felix"));
	put(&w, "n.yaml", A "---\nkind: Deployment\napiVersion: apps/v1\nmetadata: {name: x}\n");
	expect_changes(&w, "-b ");
	world_end(&w);
}
END_TEST

START_TEST(test_fields_not_honoured)
{
	struct world w;
	struct strbuf many = {0};

	world_new(&w);
	put(&w, "p.yaml",
	    "kind: BGPPeer\napiVersion: projectcalico.org/v3\nmetadata: {name: tor}\nspec:\n"
	    "  peerIP: 10.0.0.1\n  restartMode: x\n  sawAddress: y\n");
	world_start(&w);
	expect_changes(&w, "+tor ");
	ck_assert_ptr_nonnull(strstr(
	    w.log.s, "p.yaml:6:3: BGPPeer tor: spec.restartMode: Calico Enterprise's: longLivedStaleTime says it here; "
		     "the rest of the object is in force\n"));
	ck_assert_ptr_nonnull(strstr(w.log.s, "p.yaml:7:3: BGPPeer tor: spec.sawAddress: not a known field; "));
	ck_assert(store_refusal(w.store, 0)->warning);
	ck_assert_uint_eq(store_status(w.store).refused, 0);
	/* Of very many only some are named. */
	strbuf_puts(&many, "kind: BGPPeer\napiVersion: projectcalico.org/v3\nmetadata: {name: tor}\n"
			   "spec: {peerIP: 10.0.0.1}\n");
	for (unsigned i = 0; i < 5000; i++)
		strbuf_printf(&many, "x%u: 1\n", i);
	put(&w, "p.yaml", many.s);
	expect_log(&w, "BGPPeer tor: 4984 more fields are not honoured");
	strbuf_reset(&many);
	for (unsigned i = 0; i < 3000; i++)
		strbuf_printf(&many, "--- {kind: x%u, apiVersion: v1}\n", i);
	put(&w, "p.yaml", many.s);
	expect_log(&w, "p.yaml: 2000 more problems are not named");
	ck_assert_uint_eq(store_status(w.store).refused, 1001);
	expect_changes(&w, "-tor ");
	strbuf_free(&many);
	world_end(&w);
}
END_TEST

/* Somebody writes slowly: nothing is read before the file is closed, and then all of it. */
START_TEST(test_half_written)
{
	static const char text[] = A2 B NODE("c", "3");
	struct world w;
	int fd;

	world_new(&w);
	put(&w, "n.yaml", A B C);
	world_start(&w);
	expect_changes(&w, "+a +b +c ");
	put(&w, "n.yaml", A2);
	fd = open(at(&w, "n.yaml"), O_WRONLY | O_TRUNC | O_CLOEXEC); /* before anybody saw the file as it was */
	for (size_t i = 0, n; i < strlen(text); i += n) {
		n = strnlen(text + i, 20);
		expect_nothing(&w);
		ck_assert_int_eq(write(fd, text + i, n), (int)n);
	}
	expect_nothing(&w);
	close(fd);
	expect_changes(&w, "~a ~c ");
	expect_nothing(&w);
	world_end(&w);
}
END_TEST

/* Whoever never closes is read after a while, but deletes nothing that way. */
static int half;

static void begin_to_write_b(struct world *w, const char *name)
{
	ck_assert_str_eq(name, "a");
	w->on_change = NULL;
	half = open(at(w, "b.yaml"), O_WRONLY | O_TRUNC | O_CLOEXEC);
	ck_assert_int_ge(half, 0);
	dprintf(half, NODE("b1", "3"));
}

/* Somebody begins to write a file between our being told of an earlier change of it and our reading it: what is there
 * by then is a half, though a complete one as far as it goes. */
START_TEST(test_written_before_read)
{
	struct world w;
	uint64_t until;

	world_new(&w);
	put(&w, "a.yaml", NODE("a", "1"));
	put(&w, "b.yaml", NODE("b1", "1") NODE("b2", "1"));
	world_start(&w);
	expect_changes(&w, "+a +b1 +b2 ");
	w.on_change = begin_to_write_b;
	put(&w, "a.yaml", NODE("a", "2"));
	put(&w, "b.yaml", NODE("b1", "2") NODE("b2", "2"));
	expect_changes(&w, "~a ");
	for (until = mono_now() + 100 * MONO_MSEC; mono_now() < until;)
		world_turn(&w);
	ck_assert_str_eq(w.changes.s, "");
	dprintf(half, NODE("b2", "3"));
	close(half);
	expect_changes(&w, "~b1 ~b2 ");
	ck_assert_uint_eq(as_of(&w, "b2"), 3);
	world_end(&w);
}
END_TEST

START_TEST(test_never_closed)
{
	struct world w;
	int fd;

	world_new(&w);
	put(&w, "n.yaml", A B);
	world_start(&w);
	expect_changes(&w, "+a +b ");
	fd = open(at(&w, "n.yaml"), O_WRONLY | O_TRUNC | O_CLOEXEC);
	ck_assert_int_gt(write(fd, A2, strlen(A2)), 0);
	expect_changes(&w, "~a ");
	expect_nothing(&w);
	ck_assert_uint_eq(as_of(&w, "b"), 1);
	close(fd);
	expect_changes(&w, "-b ");
	world_end(&w);
}
END_TEST

/* truncate(2) closes nothing either. */
START_TEST(test_emptied)
{
	struct world w;

	world_new(&w);
	put(&w, "n.yaml", A);
	world_start(&w);
	expect_changes(&w, "+a ");
	ck_assert_int_eq(truncate(at(&w, "n.yaml"), 0), 0);
	expect_log(&w, "n.yaml: is empty; to delete its objects, remove the file; the last good version");
	ck_assert_uint_eq(as_of(&w, "a"), 1);
	drop(&w, "n.yaml");
	expect_changes(&w, "-a ");
	ck_assert_uint_eq(store_status(w.store).refused, 0);
	/* One that was never more is no problem. */
	put(&w, "m.yaml", "");
	settle(&w);
	ck_assert_ptr_null(store_refusal(w.store, 0));
	world_end(&w);
}
END_TEST

START_TEST(test_two_files)
{
	struct world w;

	world_new(&w);
	put(&w, "b.yaml", NODE("x", "2") B);
	world_start(&w);
	expect_changes(&w, "+x +b ");
	/* The first by name counts, whichever was first in time. */
	put(&w, "a.yaml", C NODE("x", "1"));
	expect_changes(&w, "+c ~x ");
	expect_log(&w, "b.yaml:2:1: Node x: metadata.name: is also in ");
	ck_assert_str_eq(store_refusal(w.store, 0)->object, "Node x");
	ck_assert_ptr_nonnull(strstr(store_refusal(w.store, 0)->reason, "/a.yaml:10, which counts"));
	put(&w, "b.yaml", NODE("x", "3") B);
	expect_nothing(&w);
	put(&w, "c.yaml", NODE("x", "4"));
	expect_log(&w, "c.yaml:2:1: Node x: metadata.name: is also in ");
	ck_assert_uint_eq(store_status(w.store).refused, 2);
	/* The next takes over, without a moment in which the object is not there. */
	drop(&w, "a.yaml");
	WAIT_UNTIL(&w, as_of(&w, "c") == 0);
	ck_assert_str_eq(w.changes.s, "~x -c ");
	strbuf_reset(&w.changes);
	ck_assert_uint_eq(as_of(&w, "x"), 3);
	ck_assert_uint_eq(store_status(w.store).refused, 1);
	ck_assert_ptr_nonnull(strstr(store_refusal(w.store, 0)->source, "/c.yaml:2:1"));
	put(&w, "b.yaml", B);
	expect_changes(&w, "~x ");
	ck_assert_uint_eq(as_of(&w, "x"), 4);
	WAIT_UNTIL(&w, store_status(w.store).refused == 0);
	drop(&w, "c.yaml");
	expect_changes(&w, "-x ");
	/* Twice in one file. */
	put(&w, "b.yaml", NODE("b", "7") NODE("b", "8"));
	expect_changes(&w, "~b ");
	expect_log(&w, "b.yaml:10:1: Node b: metadata.name: is also in ");
	ck_assert_uint_eq(as_of(&w, "b"), 7);
	world_end(&w);
}
END_TEST

/* The file that comes first still claims what it says badly: nobody else's version slips in. */
START_TEST(test_two_files_one_bad)
{
	struct world w;

	world_new(&w);
	put(&w, "a.yaml", NODE("x", "1"));
	put(&w, "b.yaml", NODE("x", "2"));
	world_start(&w);
	expect_changes(&w, "+x ");
	put(&w, "a.yaml", NODE("x", "0"));
	settle(&w);
	ck_assert_str_eq(w.changes.s, "");
	ck_assert_uint_eq(as_of(&w, "x"), 1);
	ck_assert_uint_eq(store_status(w.store).refused, 2);
	drop(&w, "a.yaml");
	expect_changes(&w, "~x ");
	world_end(&w);
}
END_TEST

START_TEST(test_rename)
{
	struct world w;

	world_new(&w);
	put(&w, "m.yaml", A B);
	put(&w, "bad.yaml", NODE("bad", "0"));
	world_start(&w);
	expect_changes(&w, "+a +b ");
	strbuf_reset(&w.log);
	move(&w, "m.yaml", "z.yaml");
	expect_nothing(&w);
	move(&w, "z.yaml", "a.yaml");
	expect_nothing(&w);
	ck_assert_ptr_nonnull(strstr(store_get(w.store, OBJ_NODE, "", "a")->source, "/a.yaml:2"));
	/* A refusal moves with its file, too. */
	move(&w, "bad.yaml", "worse.yaml");
	settle(&w);
	ck_assert_uint_eq(store_status(w.store).refused, 1);
	ck_assert_ptr_nonnull(strstr(store_refusal(w.store, 0)->source, "/worse.yaml:"));
	/* Out of the directory, and back before anybody noticed; and for good. */
	move(&w, "a.yaml", "../a.yaml");
	move(&w, "../a.yaml", "a.yaml");
	settle(&w);
	ck_assert_str_eq(w.changes.s, "");
	move(&w, "a.yaml", "a.txt");
	WAIT_UNTIL(&w, w.changes.len == 6);
	ck_assert_uint_eq(store_count(w.store, OBJ_NODE), 0);
	world_end(&w);
}
END_TEST

/* An object goes from one file into another, in either order. */
START_TEST(test_object_moves)
{
	struct world w;

	world_new(&w);
	put(&w, "a.yaml", A NODE("x", "1"));
	put(&w, "b.yaml", B);
	world_start(&w);
	expect_changes(&w, "+a +x +b ");
	put(&w, "b.yaml", B NODE("x", "1"));
	put(&w, "a.yaml", A);
	expect_nothing(&w);
	put(&w, "b.yaml", B);
	put(&w, "a.yaml", A NODE("x", "1"));
	expect_nothing(&w);
	/* The moment between the two is seen by the store; it is a short one, whatever else this machine has to do. */
	mono_fake(mono_now());
	put(&w, "a.yaml", A);
	for (unsigned i = 0; i < 20; i++) {
		mono_fake(mono_now() + (i == 9 ? 15 * MONO_MSEC : 0));
		world_turn(&w);
	}
	put(&w, "b.yaml", B NODE("x", "1"));
	WAIT_UNTIL(&w, strstr(store_get(w.store, OBJ_NODE, "", "x")->source, "/b.yaml"));
	mono_fake(0);
	settle(&w);
	ck_assert_str_eq(w.changes.s, "");
	ck_assert_ptr_nonnull(strstr(store_get(w.store, OBJ_NODE, "", "x")->source, "/b.yaml:10"));
	world_end(&w);
}
END_TEST

/* Saves as programs do it. Each turns A B into A2 B. */
static void save_vim(struct world *w)
{
	put(w, ".n.yaml.swp", "b0VIM");
	put(w, "4913", "");
	drop(w, "4913");
	move(w, "n.yaml", "n.yaml~");
	mono_fake(mono_now()); /* for a moment the file is not there, and the store sees it */
	for (unsigned i = 0; i < 20; i++)
		world_turn(w);
	put(w, "n.yaml", A2 B);
	WAIT_UNTIL(w, as_of(w, "a") == 2);
	mono_fake(0);
	drop(w, "n.yaml~");
	drop(w, ".n.yaml.swp");
}

static void save_vim_slowly(struct world *w)
{
	int fd;

	move(w, "n.yaml", "n.yaml~");
	fd = open(at(w, "n.yaml"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	settle(w); /* the file is empty, for longer than a deletion takes */
	ck_assert_int_gt(write(fd, A2 B, strlen(A2 B)), 0);
	settle(w);
	close(fd);
}

static void save_by_rename(struct world *w)
{
	put(w, ".n.yaml.tmp", A2 B);
	move(w, ".n.yaml.tmp", "n.yaml");
}

static void save_by_rename_from_yaml(struct world *w)
{
	put(w, "sedXYZ", A2 B);
	move(w, "sedXYZ", "n.yaml");
}

static void save_in_place(struct world *w)
{
	put(w, "n.yaml", A2 B);
}

static void save_emacs(struct world *w)
{
	ck_assert_int_eq(symlink("me@host.123:456", at(w, ".#n.yaml")), 0);
	put(w, "#n.yaml#", A2);
	put(w, "n.yaml~", A B);
	put(w, "n.yaml", A2 B);
	drop(w, "#n.yaml#");
	drop(w, ".#n.yaml");
}

static void save_by_delete(struct world *w)
{
	drop(w, "n.yaml");
	put(w, "n.yaml", A2 B);
}

static void save_by_link(struct world *w)
{
	put(w, "../new.yaml", A2 B);
	drop(w, "n.yaml");
	ck_assert_int_eq(link(at(w, "../new.yaml"), at(w, "n.yaml")), 0);
}

static void save_unnamed(struct world *w)
{
	int fd = open(w->dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
	char path[40];

	ck_assert_msg(fd >= 0, "O_TMPFILE: %s", strerror(errno));
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	ck_assert_int_gt(write(fd, A2 B, strlen(A2 B)), 0);
	drop(w, "n.yaml");
	ck_assert_int_eq(linkat(AT_FDCWD, path, AT_FDCWD, at(w, "n.yaml"), AT_SYMLINK_FOLLOW), 0);
	close(fd);
}

static void save_exchange(struct world *w)
{
	put(w, "../new.yaml", A2 B);
	ck_assert_int_eq(renameat2(AT_FDCWD, at(w, "../new.yaml"), AT_FDCWD, at(w, "n.yaml"), RENAME_EXCHANGE), 0);
}

static void (*const saves[])(struct world *w) = {
    save_vim,	  save_vim_slowly, save_by_rename, save_by_rename_from_yaml, save_in_place, save_emacs, save_by_delete,
    save_by_link, save_unnamed,	   save_exchange,
};

START_TEST(test_editors)
{
	struct world w;

	world_new(&w);
	put(&w, "n.yaml", A B);
	world_start(&w);
	expect_changes(&w, "+a +b ");
	saves[_i](&w);
	expect_changes(&w, "~a ");
	expect_nothing(&w);
	world_end(&w);
}
END_TEST

/* Root reads everything; so give up what makes it so. */
static void become_ordinary(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

	ck_assert_int_eq(syscall(SYS_capset, &head, none), 0);
	prctl(PR_SET_DUMPABLE, 1); /* or the leak checker fails */
}

START_TEST(test_unreadable)
{
	struct world w;

	world_new(&w);
	become_ordinary();
	put(&w, "n.yaml", A);
	world_start(&w);
	expect_changes(&w, "+a ");
	ck_assert_int_eq(chmod(at(&w, "n.yaml"), 0), 0);
	expect_log(&w, "n.yaml: Permission denied; the last good version stays in force");
	expect_nothing(&w);
	ck_assert_str_eq(store_refusal(w.store, 0)->object, "");
	ck_assert_int_eq(chmod(at(&w, "n.yaml"), 0644), 0);
	expect_log(&w, "resolved: ");
	expect_nothing(&w);
	/* The directory as a whole. */
	ck_assert_int_eq(chmod(w.dir, 0), 0);
	WAIT_UNTIL(&w, !store_status(w.store).in_sync);
	ck_assert_str_eq(store_status(w.store).problem, "the directory cannot be read: Permission denied");
	ck_assert_int_eq(chmod(w.dir, 0755), 0);
	WAIT_UNTIL(&w, store_status(w.store).in_sync);
	ck_assert_uint_eq(w.syncs, 2);
	strbuf_reset(&w.log);
	expect_nothing(&w);
	world_end(&w);
}
END_TEST

/* Names that are no files, and a file that is too large. */
START_TEST(test_not_files)
{
	struct world w;
	int fd;

	world_new(&w);
	put(&w, "a.yaml", A);
	ck_assert_int_eq(mkdir(at(&w, "d.yaml"), 0755), 0);
	ck_assert_int_eq(mkfifo(at(&w, "f.yaml"), 0644), 0);
	fd = open(at(&w, "huge.yaml"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	ck_assert_int_eq(ftruncate(fd, (64 << 20) + 1), 0);
	close(fd);
	world_start(&w);
	expect_changes(&w, "+a ");
	ck_assert_ptr_nonnull(strstr(w.log.s, "d.yaml: is not a file; nothing of it is in force"));
	ck_assert_ptr_nonnull(strstr(w.log.s, "f.yaml: is not a file"));
	ck_assert_ptr_nonnull(strstr(w.log.s, "huge.yaml: is larger than 64 MiB"));
	strbuf_reset(&w.log);
	put(&w, "huge.yaml", B);
	expect_changes(&w, "+b ");
	ck_assert_int_eq(rmdir(at(&w, "d.yaml")), 0);
	drop(&w, "f.yaml");
	settle(&w);
	ck_assert_uint_eq(store_status(w.store).refused, 0);
	world_end(&w);
}
END_TEST

/* What is under etc/examples is what calicoctl prints; all of it is taken, and nothing is remarked on. */
START_TEST(test_examples)
{
	struct world w;
	const struct dirent *entry;
	DIR *dir = opendir("etc/examples");
	unsigned files = 0;

	ck_assert_msg(dir != NULL, "run it at the top of the source tree");
	while ((entry = readdir(dir)))
		files += strstr(entry->d_name, ".yaml") != NULL;
	closedir(dir);
	ck_assert_uint_ge(files, 5);
	world_new(&w);
	store_start_file(w.store, "etc/examples");
	WAIT_UNTIL(&w, w.syncs == 1);
	ck_assert_str_eq(w.log.s, "");
	ck_assert_ptr_null(store_refusal(w.store, 0));
	for (int k = 0; k < OBJ_KIND_COUNT; k++)
		ck_assert_msg(store_count(w.store, (enum object_kind)k) > 0, "no %s",
			      object_kind_name((enum object_kind)k));
	ck_assert_uint_eq(store_count(w.store, OBJ_NODE), 4);
	world_end(&w);
}
END_TEST

/* And so are the objects of the deployment with reflectors. */
START_TEST(test_reflector_examples)
{
	struct world w;

	world_new(&w);
	store_start_file(w.store, "etc/reflectors/cluster");
	WAIT_UNTIL(&w, w.syncs == 1);
	ck_assert_str_eq(w.log.s, "");
	ck_assert_ptr_null(store_refusal(w.store, 0));
	ck_assert_uint_eq(store_count(w.store, OBJ_NODE), 2);
	ck_assert_uint_eq(store_count(w.store, OBJ_BGP_PEER), 3);
	ck_assert_uint_eq(store_count(w.store, OBJ_BGP_CONFIGURATION), 1);
	world_end(&w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("file");
	TCase *t = tcase_create("file");
	SRunner *sr = srunner_create(s);
	int failures;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_load);
	tcase_add_test(t, test_change);
	tcase_add_test(t, test_reads_only_what_changed);
	tcase_add_test(t, test_latency);
	tcase_add_test(t, test_bad_object);
	tcase_add_test(t, test_bad_object_leaves);
	tcase_add_loop_test(t, test_broken_file, 0, sizeof broken / sizeof *broken);
	tcase_add_test(t, test_other_kinds);
	tcase_add_test(t, test_fields_not_honoured);
	tcase_add_test(t, test_half_written);
	tcase_add_test(t, test_written_before_read);
	tcase_add_test(t, test_never_closed);
	tcase_add_test(t, test_emptied);
	tcase_add_test(t, test_two_files);
	tcase_add_test(t, test_two_files_one_bad);
	tcase_add_test(t, test_rename);
	tcase_add_test(t, test_object_moves);
	tcase_add_loop_test(t, test_editors, 0, sizeof saves / sizeof *saves);
	tcase_add_test(t, test_unreadable);
	tcase_add_test(t, test_not_files);
	tcase_add_test(t, test_examples);
	tcase_add_test(t, test_reflector_examples);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
