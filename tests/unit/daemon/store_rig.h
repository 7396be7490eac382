/* A whole daemon without a backend: objects are put into its store by hand. Include once per test program. */
#ifndef TESTS_DAEMON_STORE_RIG_H
#define TESTS_DAEMON_STORE_RIG_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/cluster/cluster.h"
#include "daemon/daemon.h"
#include "datastore/backend.h"

static char socket_path[80];

static __attribute__((unused)) void on_doc(void *arg, struct yaml_node *root)
{
	struct object_error err;
	struct object *o;
	char *name;
	int kind;

	o = object_decode(root, &err, &kind, &name, NULL, NULL);
	ck_assert_msg(o != NULL, "%s: %s", err.field, err.reason);
	o->source = mem_strdup("test");
	store_put(((struct daemon *)arg)->store, o);
	free(name);
}

static __attribute__((unused)) void put(struct daemon *d, const char *text)
{
	struct yaml_error err;

	ck_assert_msg(yaml_parse(text, strlen(text), on_doc, d, &err), "%u: %s in %s", err.line, err.reason, text);
}

static __attribute__((unused)) void turn(struct daemon *d)
{
	for (unsigned i = 0; i < 5; i++)
		loop_turn(d->loop, false);
}

static __attribute__((unused)) struct daemon *start(void)
{
	struct strbuf err = {0};
	struct config c;
	struct daemon *d;

	snprintf(socket_path, sizeof socket_path, "/tmp/calidris-store-%d.sock", (int)getpid());
	log_setup(LOG_LVL_ERROR, false);
	setenv("NODENAME", "a", 1);
	setenv("CALIDRIS_KERNEL_PROGRAMMING", "off", 1);
	setenv("CALIDRIS_CONTROL_SOCKET", socket_path, 1);
	ck_assert_msg(config_load(&c, NULL, false, &err), "%s", err.s);
	d = daemon_new(&c, &(struct daemon_options){0}, &err);
	ck_assert_msg(d != NULL, "%s", err.s);
	strbuf_free(&err);
	return d;
}

/* A document in one line. */
#define DOC(kind, name, rest) \
	"---\n{apiVersion: projectcalico.org/v3, kind: " kind ", metadata: {name: " name "}, " rest "}\n"

#endif
