#include "datastore/remote/http.h"

#include <bsd/sys/queue.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/base/buf.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"

/* How long pieces are handed over in one turn of the loop, all requests together. */
#define SLICE (4 * MONO_MSEC)
#define CONNECT_TIMEOUT (10 * MONO_SEC)
#define PIECE (16l * 1024)
#define MAX_CONNECTIONS 8l /* that are kept without a request */
/* A connection on which nothing comes is looked at after this many seconds, then in intervals, so many times. What we
 * sent must be acknowledged within that, too. */
#define PROBE_IDLE 10
#define PROBE_INTERVAL 5
#define PROBE_COUNT 3
#define ACK_TIMEOUT_MS 25000u

struct socket {
	struct loop_io io;
	struct http *http;
	int fd;
};

enum state { QUEUED, RUNNING, PAUSED, OVER };

struct http_request {
	TAILQ_ENTRY(http_request) link;
	struct http *http;
	CURL *easy;
	struct curl_slist *headers, *connect_to;
	const struct http_ops *ops;
	void *arg;
	enum state state;
	bool cancelled;
	CURLcode code; /* why it cannot go on after a pause; libcurl tells of that nowhere else */
	char *body;
	size_t received, max_body;
	uint64_t idle_timeout;
	struct loop_timer idle;
	const char *failure; /* what we found, instead of libcurl's words */
	char error[CURL_ERROR_SIZE];
};

struct http {
	struct loop *loop;
	CURLM *multi;
	struct loop_timer timer;
	struct loop_work work;
	TAILQ_HEAD(, http_request) requests;
	struct http_tls tls; /* its texts are owned */
	uint64_t slice_end;
	unsigned in_curl; /* libcurl is calling us: it must not be called */
	bool *freed;	  /* set when freed in a callback */
};

/* ---- Certificates ---- */

static const char *copy(const char *text)
{
	return text && *text ? mem_strdup(text) : NULL;
}

static void release(const char *text)
{
	free((void *)(uintptr_t)text);
}

static struct http_pem pem_copy(const struct http_pem *p)
{
	return (struct http_pem){.file = copy(p->file), .text = copy(p->text)};
}

static void pem_free(struct http_pem *p)
{
	release(p->file);
	release(p->text);
}

static void tls_free(struct http_tls *t)
{
	pem_free(&t->ca);
	pem_free(&t->cert);
	pem_free(&t->key);
	release(t->server_name);
}

void http_set_tls(struct http *h, const struct http_tls *tls)
{
	struct http_tls fresh = {.insecure = tls->insecure, .server_name = copy(tls->server_name)};

	fresh.ca = pem_copy(&tls->ca);
	fresh.cert = pem_copy(&tls->cert);
	fresh.key = pem_copy(&tls->key);
	tls_free(&h->tls);
	h->tls = fresh;
}

static void set_pem(CURL *easy, const struct http_pem *p, CURLoption file, CURLoption blob)
{
	if (p->text) {
		/* libcurl only reads it. */
		struct curl_blob b = {.data = (void *)(uintptr_t)p->text, .len = strlen(p->text)};
		b.flags = CURL_BLOB_COPY;
		curl_easy_setopt(easy, blob, &b);
	} else if (p->file) {
		curl_easy_setopt(easy, file, p->file);
	}
}

/* The certificate must be for another name than the URL's host: then that is the URL's host, and the connection goes
 * where it did. */
static void set_server_name(struct http_request *r, const char *url, const char *name)
{
	CURLU *u = curl_url();
	char *host = NULL, *port = NULL, *renamed = NULL, *to;

	if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	    curl_url_set(u, CURLUPART_HOST, name, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_URL, &renamed, 0) == CURLUE_OK) {
		to = mem_printf("::%s:%s", host, port);
		r->connect_to = curl_slist_append(NULL, to);
		free(to);
		curl_easy_setopt(r->easy, CURLOPT_CONNECT_TO, r->connect_to);
		curl_easy_setopt(r->easy, CURLOPT_URL, renamed);
	}
	curl_free(host);
	curl_free(port);
	curl_free(renamed);
	curl_url_cleanup(u);
}

static void set_tls(struct http_request *r, const char *url)
{
	const struct http_tls *t = &r->http->tls;

	set_pem(r->easy, &t->ca, CURLOPT_CAINFO, CURLOPT_CAINFO_BLOB);
	set_pem(r->easy, &t->cert, CURLOPT_SSLCERT, CURLOPT_SSLCERT_BLOB);
	set_pem(r->easy, &t->key, CURLOPT_SSLKEY, CURLOPT_SSLKEY_BLOB);
	/* A file that was replaced counts with the next connection. */
	curl_easy_setopt(r->easy, CURLOPT_CA_CACHE_TIMEOUT, 0l);
	curl_easy_setopt(r->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(r->easy, CURLOPT_SSL_VERIFYPEER, t->insecure ? 0l : 1l);
	curl_easy_setopt(r->easy, CURLOPT_SSL_VERIFYHOST, t->insecure ? 0l : 2l);
	if (t->server_name)
		set_server_name(r, url, t->server_name);
}

/* ---- The end of a request ---- */

static void request_free(struct http_request *r)
{
	struct http *h = r->http;

	if (r->state == RUNNING || r->state == PAUSED)
		curl_multi_remove_handle(h->multi, r->easy);
	loop_timer_stop(h->loop, &r->idle);
	TAILQ_REMOVE(&h->requests, r, link);
	curl_easy_cleanup(r->easy);
	curl_slist_free_all(r->headers);
	curl_slist_free_all(r->connect_to);
	free(r->body);
	free(r);
}

/* Tells the owner, who may free the client: false if so. error NULL: the answer is whole. */
static bool finish(struct http_request *r, const char *error)
{
	struct http *h = r->http;
	struct http_result result = {.error = error};
	const struct http_ops *ops = r->ops;
	bool freed = false, *outer = h->freed;
	curl_off_t after = 0;
	long status = 0;
	void *arg = r->arg;
	char text[sizeof r->error];

	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(r->easy, CURLINFO_RETRY_AFTER, &after);
	result.status = (int)status;
	result.retry_after = after > 0 && after < 86400 ? (unsigned)after : 0;
	if (error == r->error)
		result.error = memcpy(text, r->error, sizeof text);
	if (r->cancelled) {
		request_free(r);
		return true;
	}
	request_free(r);
	h->freed = &freed;
	ops->on_end(arg, &result);
	if (freed) {
		if (outer)
			*outer = true;
		return false;
	}
	h->freed = outer;
	return true;
}

static const char *words(struct http_request *r, CURLcode code)
{
	if (code == CURLE_OK)
		return NULL;
	if (r->failure)
		return r->failure;
	if (!*r->error)
		snprintf(r->error, sizeof r->error, "%s", curl_easy_strerror(code));
	return r->error;
}

/* Ends what is over. False if the client is gone. */
static bool reap(struct http *h)
{
	struct http_request *r, *next;
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(h->multi, &left))) {
		CURLcode code = m->data.result;
		char *private;
		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &private);
		r = (struct http_request *)(void *)private;
		if (!finish(r, words(r, code)))
			return false;
	}
	for (r = TAILQ_FIRST(&h->requests); r; r = next) {
		next = TAILQ_NEXT(r, link);
		if (r->cancelled) {
			request_free(r);
		} else if (r->code != CURLE_OK) {
			if (!finish(r, words(r, r->code)))
				return false;
			next = TAILQ_FIRST(&h->requests); /* whoever was told may have cancelled any */
		}
	}
	return true;
}

/* ---- libcurl and the loop ---- */

static void act(struct http *h, curl_socket_t fd, int events)
{
	int running;

	h->slice_end = mono_now() + SLICE;
	h->in_curl++;
	curl_multi_socket_action(h->multi, fd, events, &running);
	h->in_curl--;
	reap(h);
}

static void on_io(void *arg, int events)
{
	struct socket *s = arg;

	act(s->http, s->fd, (events & LOOP_READ ? CURL_CSELECT_IN : 0) | (events & LOOP_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_timer(void *arg)
{
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *assigned)
{
	struct http *h = arg;
	struct socket *s = assigned;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (s)
			loop_io_stop(h->loop, &s->io);
		free(s);
		return 0;
	}
	if (!s) {
		s = mem_calloc(1, sizeof *s);
		s->http = h;
		s->fd = fd;
		curl_multi_assign(h->multi, fd, s);
	}
	loop_io_set(h->loop, &s->io, fd,
		    (what & CURL_POLL_IN ? LOOP_READ : 0) | (what & CURL_POLL_OUT ? LOOP_WRITE : 0), on_io, s);
	return 0;
}

static int on_timeout(CURLM *multi, long ms, void *arg)
{
	struct http *h = arg;

	(void)multi;
	if (ms < 0)
		loop_timer_stop(h->loop, &h->timer);
	else
		loop_timer_set(h->loop, &h->timer, (uint64_t)ms * MONO_MSEC, on_timer, h);
	return 0;
}

static int on_open(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	const int count = PROBE_COUNT;
	const unsigned ack = ACK_TIMEOUT_MS;

	(void)arg;
	(void)purpose;
	/* Best effort: a connection without them is noticed to be dead later. */
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ack, sizeof ack);
	return CURL_SOCKOPT_OK;
}

static void fail(struct http_request *r, const char *why)
{
	r->failure = why;
	finish(r, why);
}

static void on_idle(void *arg)
{
	fail(arg, "nothing came for too long");
}

static void watch_idle(struct http_request *r)
{
	if (r->idle_timeout)
		loop_timer_set(r->http->loop, &r->idle, r->idle_timeout, on_idle, r);
}

static size_t on_write(char *data, size_t size, size_t count, void *arg)
{
	struct http_request *r = arg;
	struct http *h = r->http;
	size_t len = size * count;
	long status = 0;

	if (r->cancelled)
		return CURL_WRITEFUNC_ERROR;
	if (mono_now() >= h->slice_end) {
		r->state = PAUSED;
		loop_timer_stop(h->loop, &r->idle);
		loop_work_schedule(h->loop, &h->work);
		return CURL_WRITEFUNC_PAUSE;
	}
	watch_idle(r);
	r->received += len;
	if (r->max_body && r->received > r->max_body) {
		r->failure = "the answer is too large";
		return CURL_WRITEFUNC_ERROR;
	}
	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
	if (!r->ops->on_data(r->arg, (int)status, data, len)) {
		r->failure = "given up";
		return CURL_WRITEFUNC_ERROR;
	}
	return len;
}

/* A line of headers; the last one of an answer is empty. */
static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
	struct http_request *r = arg;
	long status = 0;

	if (r->cancelled || !r->ops->on_answer || *data != '\r')
		return size * count;
	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 200)
		r->ops->on_answer(r->arg, (int)status);
	return size * count;
}

/* Starts what is queued, and goes on with what was paused. */
static bool run(void *arg, uint64_t deadline)
{
	struct http *h = arg;
	struct http_request *r, *next;

	(void)deadline;
	h->slice_end = mono_now() + SLICE;
	h->in_curl++;
	TAILQ_FOREACH_SAFE(r, &h->requests, link, next)
	{
		enum state was = r->state;
		if (r->cancelled || (was != QUEUED && was != PAUSED))
			continue;
		r->state = RUNNING;
		watch_idle(r);
		if (was == QUEUED)
			curl_multi_add_handle(h->multi, r->easy);
		else
			r->code = curl_easy_pause(r->easy, CURLPAUSE_CONT);
	}
	h->in_curl--;
	reap(h);
	return false;
}

struct http *http_new(struct loop *l, const struct http_tls *tls)
{
	struct http *h = mem_calloc(1, sizeof *h);

	curl_global_init(CURL_GLOBAL_DEFAULT);
	h->loop = l;
	h->multi = curl_multi_init();
	if (!h->multi)
		abort(); /* only for want of memory */
	TAILQ_INIT(&h->requests);
	h->work = (struct loop_work){.run = run, .arg = h, .rank = LOOP_RANK_DATASTORE};
	http_set_tls(h, tls);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, MAX_CONNECTIONS);
	return h;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	if (h->freed)
		*h->freed = true;
	while (!TAILQ_EMPTY(&h->requests))
		request_free(TAILQ_FIRST(&h->requests));
	curl_multi_cleanup(h->multi);
	loop_timer_stop(h->loop, &h->timer);
	loop_work_cancel(h->loop, &h->work);
	tls_free(&h->tls);
	free(h);
	curl_global_cleanup();
}

static long milliseconds(uint64_t ns)
{
	return (long)((ns + MONO_MSEC - 1) / MONO_MSEC);
}

static void set_request(struct http_request *r, const struct http_conf *c)
{
	CURL *easy = r->easy;

	curl_easy_setopt(easy, CURLOPT_URL, c->url);
	if (c->body) {
		r->body = mem_dup(c->body, c->body_len);
		curl_easy_setopt(easy, CURLOPT_POST, 1l);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->body_len);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, r->body);
	}
	if (c->method)
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, c->method);
	/* No "Expect: 100-continue": it costs a round trip. */
	r->headers = curl_slist_append(r->headers, "Expect:");
	for (size_t i = 0; i < HTTP_MAX_HEADERS && c->headers[i]; i++)
		r->headers = curl_slist_append(r->headers, c->headers[i]);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, r->headers);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
			 milliseconds(c->connect_timeout ? c->connect_timeout : CONNECT_TIMEOUT));
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, milliseconds(c->timeout));
}

static void set_always(struct http_request *r)
{
	CURL *easy = r->easy;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, r);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1l);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, r->error);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "calidris/" CALIDRIS_VERSION);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, PIECE);
	/* Who may share a connection waits until it is known whether it can be shared (HTTP/2). */
	curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1l);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1l);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)PROBE_IDLE);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)PROBE_INTERVAL);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_open);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, r);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, r);
}

struct http_request *http_start(struct http *h, const struct http_conf *conf, const struct http_ops *ops, void *arg)
{
	struct http_request *r = mem_calloc(1, sizeof *r);

	r->http = h;
	r->ops = ops;
	r->arg = arg;
	r->max_body = conf->max_body;
	r->idle_timeout = conf->idle_timeout;
	r->easy = curl_easy_init();
	if (!r->easy)
		abort(); /* only for want of memory */
	TAILQ_INSERT_TAIL(&h->requests, r, link);
	set_always(r);
	set_request(r, conf);
	set_tls(r, conf->url);
	loop_work_schedule(h->loop, &h->work);
	return r;
}

void http_cancel(struct http_request *r)
{
	r->cancelled = true;
	loop_timer_stop(r->http->loop, &r->idle);
	if (!r->http->in_curl)
		request_free(r);
}
