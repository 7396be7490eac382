/* HTTP and TLS on the daemon's loop: libcurl's multi interface. The only includer of <curl/curl.h> is http.c.
 *
 * A request's answer comes in pieces, and no more of them in one turn of the loop than a few milliseconds' worth: what
 * is left waits in the kernel. Nothing of an answer is kept here. */
#ifndef DATASTORE_REMOTE_HTTP_H
#define DATASTORE_REMOTE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/loop.h"

struct http;
struct http_request;

/* PEM text, in a file or at hand. Neither: unset. */
struct http_pem {
	const char *file;
	const char *text;
};

/* The texts are copied. Zeros: the system's certificate authorities, no client certificate, no authentication. */
struct http_tls {
	struct http_pem ca, cert, key;
	const char *server_name; /* what the certificate must be for, instead of the URL's host; NULL: that */
	bool insecure;		 /* the server's certificate is not looked at */
};

/* A client: its requests share connections. */
struct http *http_new(struct loop *l, const struct http_tls *tls);
/* All requests end without a word. Not from within a callback. */
void http_free(struct http *h);
/* Other certificates from now on (rotated files are read anew with each connection by themselves). */
void http_set_tls(struct http *h, const struct http_tls *tls);

/* What came of a request. */
struct http_result {
	int status;	      /* of the answer; 0: there was none */
	const char *error;    /* why there was no answer, or not the whole of it; NULL: it is whole */
	unsigned retry_after; /* s; what the server asks for, 0: nothing */
};

struct http_ops {
	/* The headers of the answer are there; its body may take its time. NULL: nobody wants to know. Neither ends the
	 * request nor frees the client. */
	void (*on_answer)(void *arg, int status);
	/* A piece of the body of an answer; status is the answer's. False gives the request up: on_end is called with
	 * an error. Must not free the client. */
	bool (*on_data)(void *arg, int status, const char *data, size_t len);
	/* It is over. r is freed after the call; the client may be freed in it. */
	void (*on_end)(void *arg, const struct http_result *result);
};

#define HTTP_MAX_HEADERS 8u

/* The texts are copied. Times in ns, 0: no limit. */
struct http_conf {
	const char *method; /* "GET"; NULL: GET, or POST if there is a body */
	const char *url;
	const char *headers[HTTP_MAX_HEADERS]; /* "Authorization: Bearer ..."; NULL ends */
	const char *body;		       /* NULL none */
	size_t body_len;
	uint64_t connect_timeout; /* until the connection, TLS included, is up; 0: 10 s */
	uint64_t idle_timeout;	  /* how long not a byte may come */
	uint64_t timeout;	  /* for the whole */
	size_t max_body;	  /* octets of the answer's body; 0: no limit */
};

/* Starts a request. Never fails: on_end is told, in a later turn. */
struct http_request *http_start(struct http *h, const struct http_conf *conf, const struct http_ops *ops, void *arg);
/* Ends it; its callbacks are not called any more. Also from within them. */
void http_cancel(struct http_request *r);

#endif
