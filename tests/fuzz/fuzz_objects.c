/* YAML bytes to objects: the way of a file of the datastore.
 *
 * Whatever the bytes are: reading them again changes nothing, a shorter file deletes nothing that a broken end may
 * hide, every object in force has a name, and when the file is gone nothing is left of it. */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "datastore/claims.h"
#include "datastore/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
	struct store *store;
	unsigned changes;
};

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void on_change(void *arg, const struct object *before, const struct object *after)
{
	struct fuzz *f = arg;
	const struct object *o = after ? after : before;

	require(o->name && *o->name && o->namespace && o->source);
	require(!before || !after || before->digest != after->digest);
	require(store_get(f->store, o->kind, o->namespace, o->name) == after);
	f->changes++;
}

static void on_sync(void *arg)
{
	(void)arg;
}

static void on_reload(void *arg)
{
	(void)arg;
}

static unsigned total(const struct store *s)
{
	unsigned n = 0;

	for (int k = 0; k < OBJ_KIND_COUNT; k++)
		n += store_count(s, (enum object_kind)k);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct store_ops ops = {on_change, on_sync};
	struct fuzz f = {0};
	struct claims *claims;
	struct claims_file *file;
	char *text = mem_alloc(size + 1);
	unsigned before;

	memcpy(text, data, size);
	text[size] = '\0';
	log_setup(LOG_LVL_ERROR, false);
	f.store = store_new(NULL, &ops, &f);
	claims = claims_new(f.store, on_reload);
	file = claims_file_new(claims, "fuzz.yaml", "fuzz.yaml", NULL);

	claims_read(file, text, size, true);
	before = f.changes;
	claims_read(file, text, size, true);
	require(f.changes == before);
	require(store_refusal(f.store, 0) || !store_status(f.store).refused);
	before = total(f.store);
	claims_read(file, text, size / 2, false);
	claims_unreadable(file, "gone");
	require(total(f.store) >= before);
	claims_drop(file);
	claims_reap(claims, UINT64_MAX);
	require(total(f.store) == 0 && !store_refusal(f.store, 0));

	claims_file_free(file);
	claims_free(claims);
	store_free(f.store);
	free(text);
	return 0;
}
