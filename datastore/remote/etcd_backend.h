/* What the files of the etcd backend share: etcd.c (steps, answers, the way to the members), etcd_list.c, etcd_watch.c.
 * Included by nobody else.
 *
 * Each range of keys (etcd_keys.h) is listed page by page, all pages at one revision, and then watched from there on. A
 * watch is a request of its own: over HTTP/1.1 the gateway's server drops what it has not read of a request's body when
 * it begins to answer, so a body holds no more than one. Each range remembers up to which revision everything has been
 * told, so that a broken connection is continued elsewhere; what is compacted by then is listed anew, which is a diff
 * (mirror.h). */
#ifndef DATASTORE_REMOTE_ETCD_BACKEND_H
#define DATASTORE_REMOTE_ETCD_BACKEND_H

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "datastore/remote/backoff.h"
#include "datastore/remote/etcd_endpoints.h"
#include "datastore/remote/etcd_wire.h"
#include "datastore/remote/http.h"
#include "datastore/remote/json_stream.h"
#include "datastore/remote/mirror.h"

struct etcd_node;
struct range;

/* A request, and what of its answer is there. */
struct answer {
	struct backend *owner;
	struct range *range;	      /* that is watched; NULL: another step */
	struct http_request *request; /* NULL none */
	struct json_stream stream;
	struct strbuf body; /* of an answer that is an error */
	bool had_events;    /* the message that comes now */
};

struct range {
	char *prefix;
	bool listed;
	uint64_t revision; /* all up to it has been told */
	uint64_t newest;   /* the event told last is of this one, and further ones may be */
	bool watched;
	struct answer answer;
};

enum step { IDLE, AUTHENTICATE, LIST, WATCH };

/* What is found while an answer comes, and done when the request has ended. */
enum verdict { GO_ON, FAILED, AGAIN };

struct backend {
	struct loop *loop;
	struct mirror *mirror;
	struct store *store;
	struct http *http;
	char *node, *username, *password;
	struct etcd_endpoints *endpoints;
	unsigned failures; /* in a row: endpoints that did not do */
	bool lost;	   /* the store was told so */
	struct backoff backoff;
	struct loop_timer timer;

	enum step step;
	struct answer answer; /* of all steps but WATCH */
	enum verdict verdict;
	char reason[300];
	struct arena arena;
	struct etcd_kv kv;
	struct log_limit nonsense;

	char *token;
	bool token_is_fresh; /* nothing has been asked with it yet */

	struct range *ranges;
	unsigned range_count;
	uint64_t cluster, revision; /* of all answers: the newest */
	/* The listing: */
	unsigned row, page;
	uint32_t begun;
	uint64_t list_revision; /* 0: that of the first page */
	struct strbuf last_key;
	bool page_is_whole, more;

	struct etcd_node *writer; /* says what this node says of itself */
};

/* ---- etcd.c ---- */

#define ETCD_ANSWER_TIMEOUT (15 * MONO_SEC) /* without an octet, where one is due */

struct etcd_request {
	const char *path; /* "kv/range" */
	const struct strbuf *body;
	const char *token;		/* NULL none */
	uint64_t timeout, idle_timeout; /* as in http.h */
};
/* To the endpoint that is used. */
struct http_request *etcd_request(struct backend *b, const struct etcd_request *q, const struct http_ops *ops,
				  void *arg);
void etcd_begin(struct backend *b, enum step step);
void etcd_ask(struct backend *b, struct answer *a, const char *path, const struct strbuf *body);
/* What is wrong with the answer, or with what it says: told when the request has ended. */
void etcd_set_reason(struct backend *b, enum verdict v, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Whatever is being asked is not asked any more. */
void etcd_hush(struct backend *b);
/* This endpoint does not do, for b->reason. */
void etcd_fail(struct backend *b);
/* Everything that there is has been told. */
void etcd_in_sync(struct backend *b);
void etcd_heard(struct backend *b, uint64_t revision);
/* The range whose keys are like this one; NULL if it is of no interest. */
struct range *etcd_range(struct backend *b, const char *key);
void etcd_take_value(struct backend *b, const struct etcd_kv *kv);
/* Tokens have an end, and die with any change of users and roles: a new one, unless this was new. */
void etcd_check_token(struct backend *b, const struct etcd_head *h);
/* Is it still the cluster that the revisions are of? */
bool etcd_check_cluster(struct backend *b, const struct etcd_head *h);

/* ---- etcd_list.c ---- */

#define ETCD_PAGE 500u

/* Asks for the next page of a range, or the first. */
void etcd_list(struct backend *b, unsigned row);
void etcd_list_restart(struct backend *b);
void etcd_relist(struct backend *b, struct range *r);
void etcd_relist_all(struct backend *b);
void etcd_list_take(struct backend *b, const struct etcd_kv *kv);
bool etcd_list_page(struct backend *b, const struct etcd_head *h);
/* What is listed was compacted meanwhile. */
void etcd_list_compacted(struct backend *b);
/* The last page of a range was told. */
void etcd_list_end(struct backend *b);

/* ---- etcd_watch.c ---- */

void etcd_watch(struct backend *b);
void etcd_watch_take(struct backend *b, const struct etcd_kv *kv);
bool etcd_watch_message(struct backend *b, const struct etcd_head *h, struct answer *a);

#endif
