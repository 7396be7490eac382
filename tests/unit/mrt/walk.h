/* Walks everything a reader finds in a file, and what it makes of it: for mutated and random input. */
#ifndef TESTS_MRT_WALK_H
#define TESTS_MRT_WALK_H

#include "bgp/mrt/mrt.h"

struct walked {
	unsigned records, peers, entries, messages, updates;
};

/* An UPDATE of every entry must be one that the framing takes, and no larger than was allowed. */
static inline const char *walk_entry(const struct mrt_entry *e, const struct mrt_rib *x, enum family f,
				     struct walked *seen)
{
	const struct bgp_codec codec = {
	    .as4 = true, .families = 3, .add_path_tx = x->add_path ? 3 : 0, .max_message = BGP_MAX_MESSAGE};
	struct bgp_nlri nlri = {.prefix = x->prefix, .path_id = e->path_id};
	uint8_t out[BGP_MAX_MESSAGE];
	struct wr w = wr_make(out, sizeof out);
	struct bgp_error err;
	struct bgp_msg m;

	if (mrt_update_encode(&w, &codec, f, e->attrs, &nlri, 1) == 0)
		return w.bad && wr_len(&w) == 0 ? NULL : "no UPDATE, but something was written";
	seen->updates++;
	if (w.bad || bgp_msg_next(&m, out, wr_len(&w), BGP_MAX_MESSAGE, &err) != (int)wr_len(&w) ||
	    m.type != BGP_UPDATE)
		return "an UPDATE that is none";
	return NULL;
}

static inline const char *walk_record(const struct mrt_record *r, struct walked *seen)
{
	const char *wrong = NULL;
	struct mrt_message m;
	struct mrt_index index;
	struct mrt_entry e;
	struct mrt_peer p;
	struct mrt_rib rib;
	unsigned n = 0;

	if (r->is && r->is->kind == MRT_INDEX && mrt_index_decode(&index, r)) {
		while (mrt_peer_next(&p, &index))
			n++;
		seen->peers += n;
		return n == index.count ? NULL : "not as many peers as it says";
	}
	if (r->is && r->is->kind == MRT_RIB && mrt_rib_decode(&rib, r)) {
		while (!wrong && mrt_entry_next(&e, &rib)) {
			wrong = walk_entry(&e, &rib, r->is->family, seen);
			n++;
		}
		seen->entries += n;
		return wrong ? wrong : n == rib.count ? NULL : "not as many entries as it says";
	}
	if (r->is && r->is->kind == MRT_MESSAGE && mrt_message_decode(&m, r))
		seen->messages++;
	return NULL;
}

/* NULL, or what must not be. */
static inline const char *walk_file(struct span file, struct walked *seen)
{
	struct rd r = rd_span(file);
	struct mrt_record rec;
	const char *wrong = NULL;

	*seen = (struct walked){0};
	while (!wrong && mrt_record_next(&rec, &r)) {
		seen->records++;
		wrong = walk_record(&rec, seen);
	}
	return wrong;
}

#endif
