/* The other end of a session: what a peer makes of the stream rib_pull() gives it. It decodes every message, keeps an
 * Adj-RIB-In as RFC 4271 and RFC 7313 say, and writes down what came. */
#ifndef TESTS_RIB_INBOX_H
#define TESTS_RIB_INBOX_H

#include "tests/unit/rib/rig.h"

#ifndef HEARD
#define HEARD 4096u /* paths that an inbox has room for */
#endif
#define SAID_WORDS 8u

/* What was said about a prefix. Zeroed where not said, so that memcmp() compares. */
struct said {
	struct addr next_hop;
	uint8_t origin;
	bool has_med, has_local_pref, has_originator;
	uint32_t med, local_pref, originator;
	uint32_t path[SAID_WORDS], clusters[SAID_WORDS], communities[SAID_WORDS]; /* communities ascend */
};

struct heard {
	struct prefix prefix;
	uint32_t path_id;
	bool used, there, stale;
	struct said said;
};

struct inbox {
	struct rib_peer *peer;
	struct bgp_codec codec;			  /* ours: what it sends, we receive */
	unsigned messages, reach, unreach, known; /* known: prefixes it has now */
	unsigned end_of_rib[FAM_COUNT], begins, ends;
	bool refreshing[FAM_COUNT];
	unsigned lost;	      /* routes an EoRR swept away */
	uint32_t not_for_me;  /* a community no route announced here may carry; 0: none */
	char log[1024];	      /* "+prefix -prefix eor4 borr4 eorr4", as far as it fits */
	struct buf *bufs[64]; /* distinct buffers seen, if keep_bufs; a reference each */
	unsigned n_bufs;
	bool keep_bufs;
	struct heard heard[HEARD];
};

static inline struct inbox *inbox_new(struct rib_peer *p)
{
	struct inbox *in = mem_calloc(1, sizeof *in);

	in->peer = p;
	in->codec = peer_codec(p);
	return in;
}

static inline void inbox_free(struct inbox *in)
{
	for (unsigned i = 0; i < in->n_bufs; i++)
		buf_unref(in->bufs[i]);
	free(in);
}

/* The session went down: everything of it is forgotten. */
static inline void inbox_clear(struct inbox *in)
{
	memset(in->heard, 0, sizeof in->heard);
	memset(in->end_of_rib, 0, sizeof in->end_of_rib);
	in->refreshing[0] = in->refreshing[1] = false;
	in->known = in->lost = 0;
}

/* A path's place; a new one is where something withdrawn was, if that is on the way: path identifiers come and go. */
static inline struct heard *inbox_path(struct inbox *in, const struct prefix *p, uint32_t path_id)
{
	struct heard *free = NULL, *x = NULL;
	uint32_t h = p->len ^ path_id * 0x9e3779b1u;

	for (unsigned i = 0; i < sizeof p->addr.b; i++)
		h = (h ^ p->addr.b[i]) * 0x01000193u;
	for (unsigned i = 0; i < HEARD; i++) {
		x = &in->heard[(h + i) % HEARD];
		if (x->used && x->path_id == path_id && prefix_equal(&x->prefix, p))
			return x;
		if (!x->there && !free)
			free = x;
		if (!x->used)
			break;
	}
	ck_assert_msg(free, "too many paths");
	*free = (struct heard){.prefix = *p, .path_id = path_id, .used = true};
	return free;
}

static inline struct heard *inbox_slot(struct inbox *in, const struct prefix *p)
{
	return inbox_path(in, p, 0);
}

static inline const struct heard *inbox_at(struct inbox *in, const char *prefix)
{
	struct prefix p = prefix_of(prefix);

	return inbox_slot(in, &p);
}

static inline void inbox_note(struct inbox *in, const char *what, const char *more)
{
	size_t len = strlen(in->log);

	snprintf(in->log + len, sizeof in->log - len, "%s%s%s", len ? " " : "", what, more);
}

static inline void inbox_note_prefix(struct inbox *in, const char *sign, const struct prefix *p)
{
	char text[PREFIX_STRLEN];

	inbox_note(in, sign, prefix_format(p, text));
}

static inline int said_by_value(const void *pa, const void *pb)
{
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;

	return (a > b) - (a < b);
}

static inline unsigned said_words(uint32_t *out, struct rd *r, unsigned max)
{
	unsigned n = 0;

	for (; rd_left(r) && n < max; n++) {
		ck_assert_uint_lt(n, SAID_WORDS);
		out[n] = rd_u32(r);
	}
	return n;
}

static inline struct said said_of(const struct bgp_attrs *a, const struct bgp_nexthop *nh)
{
	struct said s = {.next_hop = nh->addr, .origin = a->origin};
	struct rd path = rd_span(a->as_path), clusters = rd_span(a->cluster_list),
		  communities = rd_span(a->communities);
	unsigned n;

	if (rd_left(&path)) {
		ck_assert_uint_eq(rd_u8(&path), BGP_AS_SEQUENCE);
		n = rd_u8(&path);
		ck_assert_uint_eq(said_words(s.path, &path, n), n);
		ck_assert_uint_eq(rd_left(&path), 0);
	}
	said_words(s.clusters, &clusters, UINT32_MAX);
	n = said_words(s.communities, &communities, UINT32_MAX);
	qsort(s.communities, n, sizeof *s.communities, said_by_value);
	s.has_med = bgp_attrs_have(a, BA_MED);
	s.med = a->med;
	s.has_local_pref = bgp_attrs_have(a, BA_LOCAL_PREF);
	s.local_pref = a->local_pref;
	s.has_originator = bgp_attrs_have(a, BA_ORIGINATOR_ID);
	s.originator = a->originator_id;
	return s;
}

static inline void inbox_reach(struct inbox *in, const struct bgp_nlri *nlri, const struct said *said)
{
	struct heard *h = inbox_path(in, &nlri->prefix, nlri->path_id);

	for (unsigned i = 0; in->not_for_me && i < SAID_WORDS; i++)
		ck_assert_msg(said->communities[i] != in->not_for_me, "%s is sent its own route",
			      rib_peer_config(in->peer)->name);
	in->known += !h->there;
	h->there = true;
	h->stale = false;
	h->said = *said;
	in->reach++;
	inbox_note_prefix(in, "+", &nlri->prefix);
}

static inline void inbox_unreach(struct inbox *in, const struct bgp_nlri *nlri)
{
	struct heard *h = inbox_path(in, &nlri->prefix, nlri->path_id);

	in->known -= h->there;
	h->there = h->stale = false;
	in->unreach++;
	inbox_note_prefix(in, "-", &nlri->prefix);
}

static inline void inbox_update(struct inbox *in, struct rd body)
{
	struct bgp_codec codec = in->codec;
	struct bgp_update u;
	struct bgp_error err;

	codec.add_path_rx = in->codec.add_path_tx;
	err = bgp_update_decode(&u, body, &codec, &rig.arena);
	ck_assert_msg(err.action == BGP_OK, "%s: %s", rib_peer_config(in->peer)->name, err.reason ? err.reason : "");
	if (u.end_of_rib >= 0) {
		in->end_of_rib[u.end_of_rib]++;
		inbox_note(in, "eor", u.end_of_rib == FAM_IPV4 ? "4" : "6");
	}
	for (unsigned i = 0; i < u.runs; i++) {
		struct rd rd = rd_span(u.run[i].nlri);
		struct said said = said_of(&u.attrs, &u.run[i].next_hop);
		bool add_path = codec.add_path_rx >> u.run[i].family & 1;
		struct bgp_nlri nlri;

		while (bgp_nlri_next(&nlri, &rd, u.run[i].family, add_path)) {
			if (u.run[i].reach)
				inbox_reach(in, &nlri, &said);
			else
				inbox_unreach(in, &nlri);
		}
	}
	arena_reset(&rig.arena);
}

static inline void inbox_refresh(struct inbox *in, const struct bgp_msg *m)
{
	struct bgp_error err;
	uint8_t subtype;
	int f;

	err = bgp_refresh_decode(&f, &subtype, m);
	ck_assert_int_eq(err.action, BGP_OK);
	ck_assert_int_ge(f, 0);
	ck_assert_uint_ne(subtype, BGP_REFRESH_NORMAL);
	inbox_note(in, subtype == BGP_REFRESH_BEGIN ? "borr" : "eorr", f == FAM_IPV4 ? "4" : "6");
	in->begins += subtype == BGP_REFRESH_BEGIN;
	in->ends += subtype == BGP_REFRESH_END;
	ck_assert_msg(subtype == BGP_REFRESH_BEGIN || in->refreshing[f], "EoRR without BoRR");
	in->refreshing[f] = subtype == BGP_REFRESH_BEGIN;
	for (unsigned i = 0; i < HEARD; i++) {
		struct heard *h = &in->heard[i];

		if (!h->there || family_of_af(h->prefix.addr.af) != (enum family)f)
			continue;
		if (subtype == BGP_REFRESH_BEGIN) {
			h->stale = true;
		} else if (h->stale) {
			h->there = h->stale = false;
			in->known--;
			in->lost++;
		}
	}
}

/* A slice holds whole messages. */
static inline void inbox_slice(struct inbox *in, const struct slice *s)
{
	const uint8_t *p = s->buf->data + s->off;
	struct bgp_error err;
	struct bgp_msg m;

	ck_assert_uint_le(s->off + s->len, s->buf->len);
	for (size_t left = s->len; left;) {
		int n = bgp_msg_next(&m, p, left, in->codec.max_message, &err);

		ck_assert_int_gt(n, 0);
		in->messages++;
		if (m.type == BGP_UPDATE)
			inbox_update(in, m.body);
		else if (m.type == BGP_ROUTE_REFRESH)
			inbox_refresh(in, &m);
		else
			ck_abort_msg("message of type %u", m.type);
		p += n;
		left -= (size_t)n;
	}
}

static inline void inbox_keep(struct inbox *in, struct buf *b)
{
	for (unsigned i = 0; i < in->n_bufs; i++)
		if (in->bufs[i] == b)
			return;
	ck_assert_uint_lt(in->n_bufs, 64);
	in->bufs[in->n_bufs++] = buf_ref(b);
}

/* Pulls once, at most max slices. */
static inline unsigned inbox_pull(struct inbox *in, unsigned max)
{
	struct slice out[16];
	unsigned n;

	ck_assert_uint_le(max, 16);
	n = rib_pull(in->peer, out, max);
	ck_assert_uint_le(n, max);
	for (unsigned i = 0; i < n; i++) {
		inbox_slice(in, &out[i]);
		if (in->keep_bufs)
			inbox_keep(in, out[i].buf);
		buf_unref(out[i].buf);
	}
	return n;
}

/* Lets the RIB settle and pulls everything. What came before is no longer in the log. */
static inline void inbox_drain(struct inbox *in)
{
	in->log[0] = '\0';
	do {
		rig_settle();
	} while (inbox_pull(in, 16) || !rib_peer_stats(in->peer).up_to_date);
}

#endif
