/* Objects from text, as files have them. */
#ifndef TESTS_UNIT_DATASTORE_DECODE_H
#define TESTS_UNIT_DATASTORE_DECODE_H

#include "datastore/objects.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/buf.h"
#include "daemon/base/mem.h"
#include "datastore/schema.h"

/* What became of one document. */
struct outcome {
	struct object *o; /* NULL: refused */
	struct object_error err;
	int kind;
	char *name;
	struct strbuf reported; /* "FIELD LINE reason;" each */
	unsigned docs;
};

static inline void on_report(void *arg, const char *field, unsigned line, unsigned col, const char *reason)
{
	struct outcome *out = arg;

	ck_assert_uint_gt(col, 0);
	strbuf_printf(&out->reported, "%s %u %s;", field, line, reason);
}

static inline void on_doc(void *arg, struct yaml_node *root)
{
	struct outcome *out = arg;

	out->docs++;
	out->o = object_decode(root, &out->err, &out->kind, &out->name, on_report, out);
}

static inline struct outcome decode(const char *text)
{
	struct outcome out = {0};
	struct yaml_error err;

	ck_assert_msg(yaml_parse(text, strlen(text), on_doc, &out, &err), "%s: %u:%u %s", text, err.line, err.col,
		      err.reason);
	ck_assert_uint_eq(out.docs, 1);
	strbuf_puts(&out.reported, "");
	return out;
}

static inline void outcome_free(struct outcome *out)
{
	object_free(out->o);
	free(out->name);
	strbuf_free(&out->reported);
}

static inline struct object *decode_good(const char *text)
{
	struct outcome out = decode(text);
	struct object *o = out.o;

	ck_assert_msg(o != NULL, "%s: %u:%u %s: %s", text, out.err.line, out.err.col, out.err.field, out.err.reason);
	ck_assert_str_eq(out.reported.s, "");
	out.o = NULL;
	outcome_free(&out);
	return o;
}

static inline void assert_addr(const struct addr *a, const char *text)
{
	char buf[ADDR_STRLEN];

	ck_assert_str_eq(addr_format(a, buf), text);
}

static inline void assert_prefix(const struct prefix *p, const char *text)
{
	char buf[PREFIX_STRLEN];

	ck_assert_str_eq(prefix_format(p, buf), text);
}

#endif
