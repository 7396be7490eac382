/* Decoding an UPDATE (RFC 4271 4.3):
 *
 *	+---------------+- - - - - - - - +---------------+- - - - - - - - +- - - - - - - -
 *	| length, 2     | withdrawn      | length, 2     | path           | NLRI, up to the
 *	|               | routes         |               | attributes     | message's end
 *	+---------------+- - - - - - - - +---------------+- - - - - - - - +- - - - - - - -
 *
 * One pass over each field. Every error found goes through note(), which keeps the strongest (RFC 7606 3 h), and only
 * what forces a reset ends the work early. */
#include "bgp/codec/update.h"

#include "bgp/codec/private.h"

#define FAMILY_BIT(f) ((uint8_t)(1u << (f)))

/* MP_REACH_NLRI or MP_UNREACH_NLRI, as far as read. */
struct mp {
	bool seen;	  /* at all */
	bool ours;	  /* a family that is negotiated and not given up */
	bool broken;	  /* its routes are unknowable */
	int family;	  /* -1 if it is none of ours */
	struct span nlri; /* validated if ours */
	struct bgp_nexthop next_hop;
};

struct decoder {
	const struct bgp_codec *codec;
	struct arena *arena;
	struct bgp_update *u;
	struct bgp_error err;  /* the strongest so far */
	uint64_t seen[4];      /* bit per type code */
	bool withdraw;	       /* something called for treat-as-withdraw, whatever else did more */
	bool others;	       /* there are attributes besides MP_UNREACH_NLRI */
	bool unknown_disorder; /* the unknown attributes do not ascend */
	struct mp reach, unreach;
	struct span as4_path;
	uint32_t as4_aggregator_as, as4_aggregator_id;
	bool have_as4_path, have_as4_aggregator;
	struct wr unknown;
	uint8_t last_unknown;
};

/* One received attribute. */
struct attr {
	uint8_t flags, code;
	int id; /* -1 if it has no row */
	struct rd value;
	struct span whole;
};

static void note(struct decoder *d, enum bgp_action action, uint8_t subcode, uint8_t attr, struct span data,
		 const char *reason)
{
	if (action == BGP_TREAT_AS_WITHDRAW)
		d->withdraw = true;
	if (action > d->err.action)
		d->err = (struct bgp_error){.action = action,
					    .code = BGP_ERR_UPDATE,
					    .subcode = subcode,
					    .attr = attr,
					    .data = data,
					    .reason = reason};
}

static void note_attr(struct decoder *d, const struct attr *at, enum bgp_action action, uint8_t subcode,
		      const char *reason)
{
	note(d, action, subcode, at->code, at->whole, reason);
}

/* Is every prefix whole, and none longer than an address? */
static bool nlri_valid(struct span nlri, enum family f, bool add_path)
{
	unsigned bits = addr_bits(family_af(f));
	struct rd r = rd_span(nlri);

	while (rd_left(&r)) {
		unsigned len;

		if (add_path)
			rd_take(&r, 4);
		len = rd_u8(&r);
		rd_take(&r, (len + 7) / 8);
		if (len > bits)
			return false;
	}
	return !r.bad;
}

static bool add_path(const struct decoder *d, enum family f)
{
	return d->codec->add_path_rx >> f & 1;
}

/* RFC 4760 7: nothing that follows in a broken MP attribute can be trusted, so the family's routes go. If not even the
 * family can be read, the session does. */
static void mp_broken(struct decoder *d, struct mp *mp, const struct attr *at, const char *reason)
{
	mp->broken = true;
	if (mp->family < 0 || !mp->ours) {
		note_attr(d, at, rd_left(&at->value) < 3 ? BGP_RESET : BGP_ATTR_DISCARD, 9, reason);
		return;
	}
	d->u->disable |= FAMILY_BIT(mp->family);
	note_attr(d, at, BGP_AFI_DISABLE, 9, reason);
}

/* A 16 or 32 octet next hop (RFC 2545 3, RFC 8950 3). What is used is the global address; the link-local one takes its
 * place where the peer has no global address to give, and where the session itself is one over the link that both are
 * on: then it leads there, whatever routes there are to the global one. */
static void next_hop_ipv6(struct bgp_nexthop *nh, struct rd *r, uint32_t link)
{
	static const uint8_t unspecified[16];
	const uint8_t *global = rd_take(r, 16), *second = rd_left(r) >= 16 ? rd_take(r, 16) : NULL;

	nh->addr = addr_make(AF_INET6, global);
	if (second)
		nh->link_local = addr_make(AF_INET6, second);
	if (!addr_is_link_local(&nh->link_local)) {
		nh->link_local = (struct addr){0};
	} else if (link) {
		nh->addr = nh->link_local;
		nh->link_local = (struct addr){0};
	} else if (memcmp(global, unspecified, 16) == 0) {
		nh->addr = nh->link_local;
	}
	nh->addr = addr_on_link(&nh->addr, link);
}

/* RFC 4760 3, RFC 2545 3, RFC 8950 3. False if the length is none that this family may have. */
static bool next_hop_decode(const struct decoder *d, struct bgp_nexthop *nh, enum family f, struct rd r)
{
	size_t len = rd_left(&r);

	*nh = (struct bgp_nexthop){0};
	if (f == FAM_IPV4 && len == 4) {
		nh->addr = addr_make(AF_INET, rd_take(&r, 4));
		return true;
	}
	if (f == FAM_IPV4 && !(d->codec->ext_next_hop >> f & 1))
		return false;
	if (len != 16 && len != 32)
		return false;
	next_hop_ipv6(nh, &r, d->codec->link);
	return true;
}

static void mp_begin(struct decoder *d, struct mp *mp, const struct attr *at)
{
	struct rd peek = at->value;
	uint16_t afi = rd_u16(&peek);

	mp->seen = true;
	mp->family = bgp_family(afi, rd_u8(&peek));
	mp->ours = mp->family >= 0 && d->codec->families >> mp->family & 1;
}

/* RFC 4760 3: AFI, SAFI, next hop's length, next hop, a reserved octet, NLRI. */
static void mp_reach_decode(struct decoder *d, const struct attr *at)
{
	struct mp *mp = &d->reach;
	struct rd r = at->value, next_hop;

	rd_take(&r, 3);
	next_hop = rd_sub(&r, rd_u8(&r));
	rd_u8(&r);
	if (r.bad) {
		mp_broken(d, mp, at, "MP_REACH_NLRI is too short");
		return;
	}
	mp->nlri = rd_rest(&r);
	if (!mp->ours) {
		note_attr(d, at, BGP_ATTR_DISCARD, 9, "routes of a family that was not negotiated");
		return;
	}
	if (!next_hop_decode(d, &mp->next_hop, (enum family)mp->family, next_hop))
		mp_broken(d, mp, at, "MP_REACH_NLRI with a next hop of a wrong length");
	else if (!nlri_valid(mp->nlri, (enum family)mp->family, add_path(d, (enum family)mp->family)))
		mp_broken(d, mp, at, "MP_REACH_NLRI with a malformed prefix");
	else if (addr_is_martian(&mp->next_hop.addr))
		note_attr(d, at, BGP_TREAT_AS_WITHDRAW, 8, "next hop is not an address that can be one");
}

/* RFC 4760 4: AFI, SAFI, withdrawn routes. */
static void mp_unreach_decode(struct decoder *d, const struct attr *at)
{
	struct mp *mp = &d->unreach;
	struct rd r = at->value;

	rd_take(&r, 3);
	if (r.bad) {
		mp_broken(d, mp, at, "MP_UNREACH_NLRI is too short");
		return;
	}
	mp->nlri = rd_rest(&r);
	if (!mp->ours) {
		note_attr(d, at, BGP_ATTR_DISCARD, 9, "routes of a family that was not negotiated");
		return;
	}
	if (!nlri_valid(mp->nlri, (enum family)mp->family, add_path(d, (enum family)mp->family)))
		mp_broken(d, mp, at, "MP_UNREACH_NLRI with a malformed prefix");
}

static void mp_decode(struct decoder *d, const struct attr *at)
{
	struct mp *mp = at->id == BA_MP_REACH ? &d->reach : &d->unreach;

	mp_begin(d, mp, at);
	if (mp->family >= 0 && d->codec->ignored >> mp->family & 1)
		mp->broken = true; /* RFC 4760 7: given up, so not even looked at */
	else if ((at->flags ^ bgp_attr_table[at->id].flags) & (BGP_ATTR_OPTIONAL | BGP_ATTR_TRANSITIVE))
		mp_broken(d, mp, at, "MP attribute with wrong flags");
	else if (at->id == BA_MP_REACH)
		mp_reach_decode(d, at);
	else
		mp_unreach_decode(d, at);
}

/* RFC 4271 5, 6.3: forward what is optional and transitive, drop what is only optional, refuse what is neither. */
static void unknown_decode(struct decoder *d, const struct attr *at, const struct rd *rest)
{
	struct rd whole = rd_span(at->whole);
	struct span tail;

	if (!(at->flags & BGP_ATTR_OPTIONAL)) {
		note_attr(d, at, BGP_RESET, 2, "unknown well-known attribute");
		return;
	}
	if (!(at->flags & BGP_ATTR_TRANSITIVE))
		return;
	if (!d->unknown.start) {
		/* Room for this one and for whatever may still come. */
		size_t cap = at->whole.len + rd_left(rest);
		d->unknown = wr_make(arena_alloc(d->arena, cap), cap);
	}
	if (at->code < d->last_unknown)
		d->unknown_disorder = true;
	d->last_unknown = at->code;
	/* The low four bits of the flags are to be ignored, and sent as zero. */
	wr_u8(&d->unknown,
	      (at->flags & (BGP_ATTR_OPTIONAL | BGP_ATTR_TRANSITIVE | BGP_ATTR_EXTENDED)) | BGP_ATTR_PARTIAL);
	rd_u8(&whole);
	tail = rd_rest(&whole);
	wr_bytes(&d->unknown, tail.p, tail.len);
}

/* The attribute with the smallest code above `above`; empty if there is none. */
static struct span unknown_above(struct span all, int above, int *code)
{
	struct span best = {0};
	struct rd r = rd_span(all);
	int best_code = 256;

	while (rd_left(&r)) {
		struct rd start = r;
		uint8_t flags = rd_u8(&r);
		int this_code = rd_u8(&r);

		rd_take(&r, flags & BGP_ATTR_EXTENDED ? rd_u16(&r) : rd_u8(&r));
		if (this_code > above && this_code < best_code) {
			best_code = this_code;
			best = rd_take_span(&start, rd_left(&start) - rd_left(&r));
		}
	}
	*code = best_code;
	return best;
}

static struct span unknown_sorted(struct decoder *d, struct span all)
{
	struct wr w = wr_make(arena_alloc(d->arena, all.len), all.len);
	struct span next;
	int code = -1;

	while ((next = unknown_above(all, code, &code)).len)
		wr_bytes(&w, next.p, next.len);
	return (struct span){w.start, wr_len(&w)};
}

/* RFC 6793 4.1, 6: only an old peer has a use for these; their values are merged when all attributes are read. */
static void as4_decode(struct decoder *d, const struct attr *at)
{
	enum as_path_fault fault;
	struct rd r = at->value;

	if (at->id == BA_AS4_AGGREGATOR) {
		d->as4_aggregator_as = rd_u32(&r);
		d->as4_aggregator_id = rd_u32(&r);
		d->have_as4_aggregator = d->as4_aggregator_as != 0;
		if (!d->have_as4_aggregator)
			note_attr(d, at, BGP_ATTR_DISCARD, 9, bgp_attr_table[at->id].fault);
		return;
	}
	d->as4_path = rd_rest(&r);
	fault = as_path_check(d->as4_path, 4, true);
	d->have_as4_path = fault == AS_PATH_FINE;
	if (fault != AS_PATH_FINE) /* a set condemns the route, RFC 9774 3; all else only this attribute */
		note_attr(d, at, fault == AS_PATH_SET ? BGP_TREAT_AS_WITHDRAW : BGP_ATTR_DISCARD, 9,
			  as_path_faults[fault]);
}

static const char *value_fault(const struct decoder *d, const struct attr *at)
{
	struct rd value = at->value;
	enum as_path_fault fault;

	if (at->id != BA_AS_PATH)
		return bgp_attr_table[at->id].fault;
	fault = as_path_check(rd_rest(&value), d->codec->as4 ? 4 : 2, !d->codec->ebgp);
	return as_path_faults[fault];
}

static void known_decode(struct decoder *d, const struct attr *at)
{
	const struct bgp_attr_row *row = &bgp_attr_table[at->id];
	enum bgp_action malformed = d->codec->ebgp ? row->malformed_ebgp : row->malformed_ibgp;
	bool as4 = at->id == BA_AS4_PATH || at->id == BA_AS4_AGGREGATOR;
	struct rd value = at->value;
	size_t len = rd_left(&value);

	if ((at->flags ^ row->flags) & (BGP_ATTR_OPTIONAL | BGP_ATTR_TRANSITIVE))
		note_attr(d, at, row->wrong_flags, 4, "Optional or Transitive flag is wrong");
	else if (row->ebgp_discard && d->codec->ebgp)
		note_attr(d, at, BGP_ATTR_DISCARD, row->subcode, "not accepted from another AS");
	else if (as4 && d->codec->as4)
		note_attr(d, at, BGP_ATTR_DISCARD, row->subcode, "from a peer that speaks 4-octet AS numbers");
	else if (len < row->min_len || len > row->max_len || (row->unit && len % row->unit))
		note_attr(d, at, malformed, 5, "wrong length");
	else if (as4)
		as4_decode(d, at);
	else if (!row->decode(&d->u->attrs, &value, d->codec, d->arena))
		note_attr(d, at, malformed, row->subcode, value_fault(d, at));
	else {
		d->u->attrs.present |= 1u << at->id;
		if (at->flags & BGP_ATTR_PARTIAL && row->flags == (BGP_ATTR_OPTIONAL | BGP_ATTR_TRANSITIVE))
			d->u->attrs.partial |= 1u << at->id;
	}
}

static void attr_decode(struct decoder *d, const struct attr *at, const struct rd *rest)
{
	uint64_t bit = 1ull << at->code % 64;
	bool mp = at->id == BA_MP_REACH || at->id == BA_MP_UNREACH;

	if (d->seen[at->code / 64] & bit) { /* RFC 7606 3 g */
		note_attr(d, at, mp ? BGP_RESET : BGP_ATTR_DISCARD, 1, "attribute occurs twice");
		return;
	}
	d->seen[at->code / 64] |= bit;
	if (mp)
		mp_decode(d, at);
	else if (at->id < 0)
		unknown_decode(d, at, rest);
	else
		known_decode(d, at);
}

/* RFC 7606 4: what follows an attribute that runs past the end is lost, but the NLRI field still stands where the total
 * length says. Unless it was an MP attribute: then nobody knows what its routes were. */
static void attr_overrun(struct decoder *d, uint8_t code, struct rd start)
{
	int id = bgp_attr_by_code(code);
	bool mp = id == BA_MP_REACH || id == BA_MP_UNREACH;

	d->others = true;
	note(d, mp ? BGP_RESET : BGP_TREAT_AS_WITHDRAW, mp ? 9 : 1, code, rd_rest(&start),
	     "attribute runs past the end");
}

static void attrs_decode(struct decoder *d, struct rd r)
{
	while (rd_left(&r) && d->err.action != BGP_RESET) {
		struct rd start = r;
		struct attr at;

		at.flags = rd_u8(&r);
		at.code = rd_u8(&r);
		rd_split(&r, at.flags & BGP_ATTR_EXTENDED ? rd_u16(&r) : rd_u8(&r), &at.value);
		if (r.bad) {
			attr_overrun(d, at.code, start);
			return;
		}
		at.whole = rd_take_span(&start, rd_left(&start) - rd_left(&r));
		at.id = bgp_attr_by_code(at.code);
		if (at.id != BA_MP_UNREACH)
			d->others = true;
		attr_decode(d, &at, &r);
	}
}

/* RFC 6793 4.2.3: what an old peer's AS4_ attributes say beside AS_PATH and AGGREGATOR. */
static void as4_merge(struct decoder *d)
{
	struct bgp_attrs *a = &d->u->attrs;

	if (d->have_as4_aggregator && bgp_attrs_have(a, BA_AGGREGATOR)) {
		if (a->aggregator_as != BGP_AS_TRANS)
			return; /* an old speaker aggregated since: both AS4_ attributes are out of date */
		a->aggregator_as = d->as4_aggregator_as;
		a->aggregator_id = d->as4_aggregator_id;
	}
	if (d->have_as4_path && bgp_attrs_have(a, BA_AS_PATH))
		a->as_path = as_path_merge(a->as_path, d->as4_path, d->arena);
}

static void missing(struct decoder *d, enum bgp_attr_id id, const char *reason)
{
	if (!bgp_attrs_have(&d->u->attrs, id))
		note(d, BGP_TREAT_AS_WITHDRAW, 3, bgp_attr_table[id].code, (struct span){&bgp_attr_table[id].code, 1},
		     reason);
}

/* What announced routes need beyond well-formed attributes; classic: some of them are in the NLRI field. */
static void announcement_check(struct decoder *d, bool classic)
{
	const struct bgp_attrs *a = &d->u->attrs;

	missing(d, BA_ORIGIN, "ORIGIN is missing");
	missing(d, BA_AS_PATH, "AS_PATH is missing");
	if (!d->codec->ebgp)
		missing(d, BA_LOCAL_PREF, "LOCAL_PREF is missing");
	if (classic)
		missing(d, BA_NEXT_HOP, "NEXT_HOP is missing");
	if (classic && bgp_attrs_have(a, BA_NEXT_HOP) && addr_is_martian(&a->next_hop.addr))
		note(d, BGP_TREAT_AS_WITHDRAW, 8, bgp_attr_table[BA_NEXT_HOP].code, (struct span){0},
		     bgp_attr_table[BA_NEXT_HOP].fault);
	if (d->codec->ebgp && d->codec->enforce_first_as && bgp_attrs_have(a, BA_AS_PATH) &&
	    as_path_first(a->as_path) != d->codec->peer_as)
		note(d, BGP_TREAT_AS_WITHDRAW, 11, bgp_attr_table[BA_AS_PATH].code, a->as_path,
		     "first AS is not the peer's");
}

static void run_add(struct decoder *d, enum family f, bool reach, struct span nlri, const struct bgp_nexthop *next_hop)
{
	struct bgp_update *u = d->u;
	struct bgp_nlri_run *run = &u->run[u->runs];

	if (!nlri.len || !(d->codec->families >> f & 1) || (d->codec->ignored | u->disable) >> f & 1)
		return;
	run->family = f;
	run->reach = reach;
	run->nlri = nlri;
	run->next_hop = next_hop ? *next_hop : (struct bgp_nexthop){0};
	u->runs++;
}

static void runs_make(struct decoder *d, struct span withdrawn, struct span nlri)
{
	struct bgp_update *u = d->u;
	unsigned withdrawals;
	bool classic;

	run_add(d, FAM_IPV4, false, withdrawn, NULL);
	if (d->unreach.ours && !d->unreach.broken)
		run_add(d, (enum family)d->unreach.family, false, d->unreach.nlri, NULL);
	withdrawals = u->runs;
	run_add(d, FAM_IPV4, true, nlri, &u->attrs.next_hop);
	classic = u->runs > withdrawals;
	if (d->reach.ours && !d->reach.broken)
		run_add(d, (enum family)d->reach.family, true, d->reach.nlri, &d->reach.next_hop);
	if (u->runs > withdrawals)
		announcement_check(d, classic);
}

/* RFC 4724 2: an UPDATE with nothing in it, or with an MP_UNREACH_NLRI without routes and nothing else. */
static int end_of_rib(const struct decoder *d)
{
	int f = d->unreach.seen ? d->unreach.family : FAM_IPV4;

	if (d->others || d->err.action != BGP_OK || d->unreach.broken || d->unreach.nlri.len || f < 0 ||
	    !(d->codec->families >> f & 1))
		return -1;
	return f;
}

/* RFC 7606 5.2: with attributes but nothing announced nobody can tell what the error has hidden. An MP_REACH_NLRI of
 * which the routes are unknown, or not wanted, does announce something. */
static void nothing_announced(struct decoder *d, struct span nlri)
{
	const struct mp *reach = &d->reach;
	bool announces = nlri.len || (reach->seen && (reach->broken || reach->nlri.len));

	if (d->err.action > BGP_ATTR_DISCARD && d->others && !announces)
		d->err.action = BGP_RESET;
}

static void finish(struct decoder *d, struct span withdrawn, struct span nlri)
{
	struct bgp_update *u = d->u;

	if (!nlri_valid(withdrawn, FAM_IPV4, add_path(d, FAM_IPV4)))
		note(d, BGP_RESET, 10, 0, withdrawn, "malformed withdrawn prefix");
	if (!nlri_valid(nlri, FAM_IPV4, add_path(d, FAM_IPV4)))
		note(d, BGP_RESET, 10, 0, nlri, "malformed prefix");
	if (d->err.action == BGP_RESET)
		return;
	as4_merge(d);
	runs_make(d, withdrawn, nlri);
	nothing_announced(d, nlri);
	if (!withdrawn.len && !nlri.len)
		u->end_of_rib = end_of_rib(d);
	if (d->withdraw)
		for (unsigned i = 0; i < u->runs; i++)
			u->run[i].reach = false;
	/* From here on the next hop is each run's own. */
	u->attrs.next_hop = (struct bgp_nexthop){0};
	u->attrs.present &= ~(1u << BA_NEXT_HOP);
	u->attrs.unknown = (struct span){d->unknown.start, d->unknown.start ? wr_len(&d->unknown) : 0};
	if (d->unknown_disorder)
		u->attrs.unknown = unknown_sorted(d, u->attrs.unknown);
}

struct bgp_error bgp_update_decode(struct bgp_update *u, struct rd body, const struct bgp_codec *codec,
				   struct arena *arena)
{
	struct decoder d = {.codec = codec, .arena = arena, .u = u};
	struct span withdrawn = rd_take_span(&body, rd_u16(&body));
	struct span attrs = rd_take_span(&body, rd_u16(&body));

	/* The runs are filled in as they are found. */
	u->attrs = (struct bgp_attrs){0};
	u->runs = 0;
	u->end_of_rib = -1;
	u->disable = 0;
	u->raw_attrs = attrs;
	if (body.bad) {
		note(&d, BGP_RESET, 1, 0, (struct span){0}, "lengths inside the UPDATE exceed it");
		return d.err;
	}
	attrs_decode(&d, rd_span(attrs));
	if (d.err.action != BGP_RESET)
		finish(&d, withdrawn, rd_rest(&body));
	return d.err;
}

bool bgp_nlri_next(struct bgp_nlri *n, struct rd *r, enum family f, bool with_path_id)
{
	unsigned len, bytes;
	const uint8_t *b;

	if (!rd_left(r))
		return false;
	n->path_id = with_path_id ? rd_u32(r) : 0;
	len = rd_u8(r);
	bytes = (len + 7) / 8;
	b = rd_take(r, bytes);
	if (!b || len > addr_bits(family_af(f)))
		return false;
	n->prefix = (struct prefix){.addr = {.af = family_af(f)}, .len = (uint8_t)len};
	memcpy(n->prefix.addr.b, b, bytes);
	if (len % 8)
		n->prefix.addr.b[bytes - 1] &= (uint8_t)(0xff00 >> len % 8);
	return true;
}
