/* Listing a range of keys, page by page, as they were at the revision of the first page. */
#include "datastore/remote/etcd_backend.h"

#define PAGE_MOST 64000u

void etcd_list_restart(struct backend *b)
{
	b->list_revision = 0;
	strbuf_reset(&b->last_key);
}

void etcd_relist(struct backend *b, struct range *r)
{
	r->listed = false;
	etcd_list_restart(b);
}

void etcd_relist_all(struct backend *b)
{
	for (unsigned i = 0; i < b->range_count; i++)
		etcd_relist(b, &b->ranges[i]);
}

void etcd_list(struct backend *b, unsigned row)
{
	bool first = !b->list_revision;
	struct strbuf body = {0};

	if (first || b->row != row) {
		etcd_list_restart(b);
		b->begun = mirror_list_begin(b->mirror);
	}
	b->row = row;
	b->page_is_whole = b->more = false;
	etcd_write_range(&body, b->ranges[row].prefix, b->last_key.len ? b->last_key.s : NULL, b->list_revision,
			 b->page);
	etcd_begin(b, LIST);
	etcd_ask(b, &b->answer, "kv/range", &body);
	strbuf_free(&body);
}

void etcd_list_take(struct backend *b, const struct etcd_kv *kv)
{
	strbuf_reset(&b->last_key);
	strbuf_add(&b->last_key, kv->key.s, kv->key.len);
	if (etcd_range(b, kv->key.s))
		etcd_take_value(b, kv);
}

bool etcd_list_page(struct backend *b, const struct etcd_head *h)
{
	if (!etcd_check_cluster(b, h))
		return false;
	etcd_heard(b, h->revision);
	if (!b->list_revision)
		b->list_revision = h->revision;
	b->page_is_whole = true;
	b->more = h->more;
	return true;
}

/* Larger pages, so that the listing gets through between two compactions. */
void etcd_list_compacted(struct backend *b)
{
	b->page = b->page < PAGE_MOST / 4 ? b->page * 4 : PAGE_MOST;
	etcd_list_restart(b);
	b->verdict = AGAIN;
}

void etcd_list_end(struct backend *b)
{
	struct range *r = &b->ranges[b->row];

	mirror_list_end(b->mirror, r->prefix, b->begun);
	r->listed = true;
	r->revision = r->newest = b->list_revision;
	etcd_list_restart(b);
	b->page = ETCD_PAGE;
	for (unsigned i = 0; i < b->range_count; i++)
		if (!b->ranges[i].listed)
			return;
	etcd_in_sync(b);
}
