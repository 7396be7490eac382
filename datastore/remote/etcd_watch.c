/* Watching the ranges of keys, each from the revision up to which it has been told. */
#include "daemon/base/mono.h"
#include "datastore/remote/etcd_backend.h"
#include "datastore/remote/etcd_keys.h"

static void on_silence(void *arg)
{
	struct backend *b = arg;

	etcd_hush(b);
	etcd_set_reason(b, FAILED, "the watch did not begin");
	etcd_fail(b);
}

/* One after the other: by then it is known whether they can share a connection (HTTP/2). False if all are there. */
static bool watch_next(struct backend *b)
{
	struct strbuf body = {0};
	struct range *r = b->ranges;

	while (r < b->ranges + b->range_count && r->watched)
		r++;
	if (r == b->ranges + b->range_count)
		return false;
	r->newest = r->revision;
	/* The last one again: a compaction up to the next one may have taken it away, and then it is refused. */
	etcd_write_watch(&body, r->prefix, r->revision);
	etcd_ask(b, &r->answer, "watch", &body);
	strbuf_free(&body);
	return true;
}

void etcd_watch(struct backend *b)
{
	etcd_begin(b, WATCH);
	for (unsigned i = 0; i < b->range_count; i++)
		b->ranges[i].watched = false;
	watch_next(b);
	loop_timer_set(b->loop, &b->timer, ETCD_ANSWER_TIMEOUT, on_silence, b);
}

/* Events come in the order of their revisions, for each range. */
void etcd_watch_take(struct backend *b, const struct etcd_kv *kv)
{
	int row = etcd_range_of(kv->key.s, b->node);
	struct range *r = row >= 0 ? &b->ranges[row] : NULL;

	if (!r)
		return;
	if (kv->revision > r->newest) {
		r->newest = kv->revision;
		if (kv->revision - 1 > r->revision)
			r->revision = kv->revision - 1;
	}
	if (etcd_range(b, kv->key.s))
		etcd_take_value(b, kv);
}

/* A watch begins where the range's listing ended; a server whose revision is before that was set back. */
static bool on_created(struct backend *b, const struct etcd_head *h, struct range *r)
{
	if (h->revision < r->revision) {
		b->revision = 0;
		etcd_relist_all(b);
		etcd_set_reason(b, AGAIN, "its revision went back");
		return false;
	}
	r->watched = true;
	if (watch_next(b))
		return true;
	loop_timer_stop(b->loop, &b->timer);
	b->failures = 0;
	b->token_is_fresh = false;
	backoff_reset(&b->backoff);
	if (b->lost || !mirror_is_synced(b->mirror))
		etcd_in_sync(b);
	return true;
}

static bool on_canceled(struct backend *b, const struct etcd_head *h, struct range *r)
{
	if (h->compacted) {
		etcd_relist(b, r);
		/* The others that it concerns would be told so one by one. */
		for (unsigned i = 0; i < b->range_count; i++)
			if (b->ranges[i].revision < h->compacted)
				etcd_relist(b, &b->ranges[i]);
		etcd_set_reason(b, AGAIN, "what happened meanwhile is compacted");
	} else {
		etcd_set_reason(b, FAILED, "the watch ended: %s", h->error);
		etcd_check_token(b, h);
	}
	return false;
}

bool etcd_watch_message(struct backend *b, const struct etcd_head *h, struct answer *a)
{
	struct range *r = a->range;
	bool had_events = a->had_events;

	a->had_events = false;
	if (h->canceled)
		return on_canceled(b, h, r);
	if (!etcd_check_cluster(b, h))
		return false;
	etcd_heard(b, h->created ? 0 : h->revision);
	if (h->created)
		return on_created(b, h, r);
	if (h->fragment)
		return true;
	if (!had_events && h->revision > r->newest)
		r->newest = h->revision; /* progress: there was nothing to be told */
	if (r->newest > r->revision)
		r->revision = r->newest;
	return true;
}
