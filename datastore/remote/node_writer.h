/* Puts what this node says of itself (store_node) into its Node object, in the datastore's own form: the object is
 * read, what differs is changed in it, and it is written unless somebody else was quicker. This is the part that both
 * backends share: when it is tried, what is done with what goes wrong. A backend knows the requests. */
#ifndef DATASTORE_REMOTE_NODE_WRITER_H
#define DATASTORE_REMOTE_NODE_WRITER_H

#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "datastore/remote/http.h"
#include "datastore/remote/json.h"
#include "datastore/store.h"

struct node_writer;

enum node_writer_verdict {
	NODE_WRITER_ASKED,  /* the next request is on its way */
	NODE_WRITER_DONE,   /* the object says it */
	NODE_WRITER_AGAIN,  /* somebody else wrote it: from the beginning */
	NODE_WRITER_FAILED, /* for the reason that is filled in */
};

struct node_writer_step {
	unsigned number; /* 0: nothing has been asked yet */
	const struct store_node *wish;
	struct yaml_node *answer; /* to the request before, which went well */
	struct arena *arena;	  /* the answer's */
	/* For the next request, and the request itself. */
	const struct http_ops *ops;
	void *ops_arg;
	struct http_request *request; /* NULL: it could not be made */
	char reason[300];
};

struct node_writer_conf {
	struct loop *loop;
	struct store *store;
	/* Prepares the next request, or says that there is none to be made. Answers with another status than 200 do not
	 * come here: 409 is somebody else who was quicker, and all others are failures. */
	enum node_writer_verdict (*step)(void *arg, struct node_writer_step *s);
	void *arg;
	const char *permission; /* what this node needs to be allowed; not copied */
};

struct node_writer *node_writer_new(const struct node_writer_conf *conf);
void node_writer_free(struct node_writer *w);
/* What is to be said from now on, until the object says it or this is called again; NULL: nothing. */
void node_writer_wish(struct node_writer *w, const struct store_node *wish);

#define NODE_WRITER_TIME (20 * MONO_SEC) /* for a request */

/* The text of one of its addresses, "10.0.0.1/24"; NULL: there is none. */
#define NODE_WRITER_ADDRESS_LEN 66
const char *node_writer_address(const struct store_node *n, enum family f, char text[static NODE_WRITER_ADDRESS_LEN]);

#endif
