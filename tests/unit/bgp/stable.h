/* What holds for every input, good or bad, of the decoders; the unit tests' mutations and the fuzzers check the same.
 * Each function returns NULL, or what is wrong. */
#ifndef TESTS_BGP_STABLE_H
#define TESTS_BGP_STABLE_H

#include <stdlib.h>
#include <string.h>

#include "bgp/codec/msg.h"
#include "bgp/codec/update.h"
#include "daemon/base/mem.h"

/* The codec options that the bits of a number stand for. */
static inline struct bgp_codec stable_codec(unsigned bits)
{
	return (struct bgp_codec){
	    .ebgp = bits & 1,
	    .as4 = !(bits & 2),
	    .add_path_rx = (uint8_t)(bits >> 2 & 3),
	    .add_path_tx = (uint8_t)(bits >> 2 & 3),
	    .ext_next_hop = bits & 16 ? 1u << FAM_IPV4 : 0,
	    .families = bits & 32 ? 1u << FAM_IPV4 : (1u << FAM_IPV4) | (1u << FAM_IPV6),
	    .enforce_first_as = bits & 64,
	    .peer_as = 65001,
	    .link = bits >> 8 & 1,
	    .ignored = bits & 128 ? 1u << FAM_IPV6 : 0,
	    .max_message = BGP_MAX_EXTENDED,
	};
}

/* Room for whatever the attributes of n octets can become: at most, old peers' paths double and stay as well. */
static inline struct wr stable_room(size_t n)
{
	size_t cap = 4 * n + 256;

	return wr_make(mem_alloc(cap), cap);
}

/* The canonical form, empty if some attribute is too large for it; w becomes the caller's to free. */
static inline struct span stable_canonical(const struct bgp_attrs *a, struct wr *w)
{
	bgp_attrs_encode(w, a, &bgp_codec_canonical, false);
	return (struct span){w->start, w->bad ? 0 : wr_len(w)};
}

/* The attributes survive the canonical form. */
static inline const char *stable_attrs(const struct bgp_attrs *a, size_t n)
{
	struct wr w = stable_room(n), w2 = stable_room(n);
	struct span once = stable_canonical(a, &w), twice;
	const char *wrong = NULL;
	struct bgp_attrs back;

	if (!once.len) {
		wrong = NULL;
	} else if (!bgp_attrs_from_canonical(&back, once)) {
		wrong = "the canonical form is not read back";
	} else {
		twice = stable_canonical(&back, &w2);
		if (once.len != twice.len || memcmp(once.p, twice.p, once.len) != 0)
			wrong = "the canonical form changes";
		if (back.present != a->present || back.partial != a->partial || back.unknown.len != a->unknown.len)
			wrong = "attributes get lost in the canonical form";
	}
	free(w.start);
	free(w2.start);
	return wrong;
}

static inline bool stable_attrs_equal(const struct bgp_attrs *a, const struct bgp_attrs *b, size_t n)
{
	struct wr w = stable_room(n), w2 = stable_room(n);
	struct span one = stable_canonical(a, &w), two = stable_canonical(b, &w2);
	bool equal = !one.len || (one.len == two.len && memcmp(one.p, two.p, one.len) == 0);

	free(w.start);
	free(w2.start);
	return equal;
}

/* All prefixes of a run: as many as there are, host bits zero. The caller frees them. */
static inline struct bgp_nlri *stable_prefixes(const struct bgp_nlri_run *run, bool add_path, size_t *n)
{
	struct bgp_nlri *all = mem_calloc(run->nlri.len, sizeof *all);
	struct rd r = rd_span(run->nlri);

	for (*n = 0; bgp_nlri_next(&all[*n], &r, run->family, add_path); ++*n) {
		struct prefix masked = prefix_make(&all[*n].prefix.addr, all[*n].prefix.len);

		if (!prefix_equal(&masked, &all[*n].prefix))
			abort();
	}
	if (!rd_done(&r))
		*n = 0;
	return all;
}

/* One encoded message says the same again: these prefixes, this next hop, these attributes. */
static inline const char *stable_message(struct span message, const struct bgp_codec *codec, const struct bgp_attrs *a,
					 const struct bgp_nlri_run *run, const struct bgp_nlri *nlri, size_t n,
					 struct arena *arena)
{
	bool add_path = codec->add_path_tx >> run->family & 1;
	struct bgp_error err = {0};
	struct bgp_update again;
	struct bgp_nlri got;
	struct bgp_msg m;
	struct rd r;

	if (bgp_msg_next(&m, message.p, message.len, BGP_MAX_EXTENDED, &err) != (int)message.len ||
	    m.type != BGP_UPDATE)
		return "an encoded message is not framed";
	err = bgp_update_decode(&again, m.body, codec, arena);
	if (err.action != BGP_OK || again.runs != 1 || again.run[0].reach != run->reach ||
	    again.run[0].family != run->family)
		return "an encoded message is not accepted as it was meant";
	r = rd_span(again.run[0].nlri);
	for (size_t i = 0; i < n; i++)
		if (!bgp_nlri_next(&got, &r, run->family, add_path) || got.path_id != nlri[i].path_id ||
		    !prefix_equal(&got.prefix, &nlri[i].prefix))
			return "a prefix changes";
	if (!rd_done(&r))
		return "prefixes are added";
	if (!run->reach)
		return NULL;
	if (!addr_equal(&run->next_hop.addr, &again.run[0].next_hop.addr) ||
	    !addr_equal(&run->next_hop.link_local, &again.run[0].next_hop.link_local))
		return "the next hop changes";
	return stable_attrs_equal(a, &again.attrs, message.len) ? NULL : "the attributes change";
}

/* A run encoded again says the same. */
static inline const char *stable_run(const struct bgp_update *u, const struct bgp_nlri_run *run,
				     const struct bgp_codec *codec, struct arena *arena)
{
	size_t n, done = 0, part;
	struct bgp_nlri *nlri = stable_prefixes(run, codec->add_path_rx >> run->family & 1, &n);
	struct wr room = stable_room(u->raw_attrs.len + run->nlri.len);
	const char *wrong = n ? NULL : "a run is not walked to its end";
	struct bgp_attrs a = u->attrs;

	a.next_hop = run->next_hop;
	while (!wrong && done < n) {
		wr_undo(&room, 0);
		if (run->reach)
			part = bgp_update_encode_reach(&room, codec, run->family, &a, nlri + done, n - done);
		else
			part = bgp_update_encode_unreach(&room, codec, run->family, nlri + done, n - done);
		if (!part)
			break; /* attributes that leave no room */
		wrong =
		    stable_message((struct span){room.start, wr_len(&room)}, codec, &a, run, nlri + done, part, arena);
		done += part;
	}
	free(room.start);
	free(nlri);
	return wrong;
}

static inline const char *stable_update(struct span body, const struct bgp_codec *codec)
{
	struct arena arena = {0};
	struct bgp_update u;
	struct bgp_error err = bgp_update_decode(&u, rd_span(body), codec, &arena);
	const char *wrong = NULL;

	if (err.action != BGP_OK && (!err.reason || err.code != BGP_ERR_UPDATE))
		wrong = "an error without its reason";
	if (err.action == BGP_OK || err.action == BGP_ATTR_DISCARD)
		wrong = stable_attrs(&u.attrs, body.len);
	for (unsigned i = 0; err.action != BGP_RESET && !wrong && i < u.runs; i++) {
		if (u.run[i].reach && err.action == BGP_TREAT_AS_WITHDRAW)
			wrong = "announced although treated as withdrawn";
		else
			wrong = stable_run(&u, &u.run[i], codec, &arena);
	}
	arena_free(&arena);
	return wrong;
}

static inline bool stable_open_equal(const struct bgp_open *a, const struct bgp_open *b)
{
	return a->as == b->as && a->hold_time == b->hold_time && a->router_id == b->router_id &&
	       a->families == b->families && a->has_mp == b->has_mp && a->as4 == b->as4 &&
	       a->route_refresh == b->route_refresh && a->enhanced_refresh == b->enhanced_refresh &&
	       a->extended_message == b->extended_message && a->gr == b->gr && a->gr_restarting == b->gr_restarting &&
	       a->gr_notification == b->gr_notification && a->gr_time == b->gr_time &&
	       a->gr_families == b->gr_families && a->gr_forwarding == b->gr_forwarding &&
	       memcmp(a->add_path, b->add_path, sizeof a->add_path) == 0 && a->ext_next_hop == b->ext_next_hop &&
	       a->llgr == b->llgr && a->llgr_families == b->llgr_families && a->llgr_forwarding == b->llgr_forwarding &&
	       memcmp(a->llgr_time, b->llgr_time, sizeof a->llgr_time) == 0 && strcmp(a->hostname, b->hostname) == 0;
}

static inline const char *stable_open(struct span body)
{
	uint8_t message[BGP_MAX_MESSAGE];
	struct wr w = wr_make(message, sizeof message);
	struct bgp_open one, two;
	struct bgp_error err = bgp_open_decode(&one, rd_span(body));
	struct bgp_msg m;

	if (err.action != BGP_OK)
		return err.action != BGP_RESET || !err.reason || err.code != BGP_ERR_OPEN ? "an odd error" : NULL;
	if (one.has_mp && !one.families)
		return NULL; /* families that only the peer knows: nothing of ours to write */
	bgp_open_encode(&w, &one);
	if (w.bad || bgp_msg_next(&m, message, wr_len(&w), BGP_MAX_MESSAGE, &err) != (int)wr_len(&w))
		return "an encoded OPEN is not framed";
	if (m.type != BGP_OPEN || bgp_open_decode(&two, m.body).action != BGP_OK)
		return "an encoded OPEN is not read back";
	return stable_open_equal(&one, &two) ? NULL : "the OPEN changes";
}

#endif
