/* Records, as they are read. A record's parts are walked once when it is decoded; that they are all there then is what
 * the walks by callers rely on. */
#include "bgp/mrt/mrt.h"

#include "bgp/mrt/private.h"

static const struct mrt_subtype *subtype_find(uint16_t type, uint16_t subtype)
{
	for (unsigned i = 0; i < mrt_subtype_count; i++)
		if (mrt_subtypes[i].type == type && mrt_subtypes[i].subtype == subtype)
			return &mrt_subtypes[i];
	return NULL;
}

bool mrt_record_next(struct mrt_record *r, struct rd *file)
{
	bool extended;

	if (!rd_left(file))
		return false;
	*r = (struct mrt_record){.time = rd_u32(file)};
	r->type = rd_u16(file);
	r->subtype = rd_u16(file);
	r->body = rd_sub(file, rd_u32(file));
	if (file->bad)
		return false;
	/* RFC 6396 3: the microseconds are part of the length, and the rest is as without them. */
	extended = r->type == MRT_BGP4MP_ET;
	if (extended)
		r->usec = rd_u32(&r->body);
	r->is = subtype_find(extended ? MRT_BGP4MP : r->type, r->subtype);
	return true;
}

/* An address in the length of its family. */
static struct addr addr_read(struct rd *r, uint8_t af)
{
	uint8_t b[16];

	rd_bytes(r, b, addr_bytes(af));
	return addr_make(af, b);
}

bool mrt_peer_next(struct mrt_peer *p, struct mrt_index *x)
{
	uint8_t type;

	if (!rd_left(&x->peers))
		return false;
	type = rd_u8(&x->peers);
	p->router_id = rd_u32(&x->peers);
	p->addr = addr_read(&x->peers, type & PEER_IPV6 ? AF_INET6 : AF_INET);
	p->as = type & PEER_AS4 ? rd_u32(&x->peers) : rd_u16(&x->peers);
	return !x->peers.bad;
}

bool mrt_index_decode(struct mrt_index *x, const struct mrt_record *r)
{
	struct rd body = r->body;
	struct mrt_index walk;
	struct mrt_peer p;
	unsigned n = 0;

	*x = (struct mrt_index){.collector_id = rd_u32(&body)};
	x->view = rd_take_span(&body, rd_u16(&body));
	x->count = rd_u16(&body);
	if (body.bad)
		return false;
	x->peers = body;
	for (walk = *x; mrt_peer_next(&p, &walk);)
		n++;
	return rd_done(&walk.peers) && n == x->count;
}

bool mrt_entry_next(struct mrt_entry *e, struct mrt_rib *x)
{
	if (!rd_left(&x->entries))
		return false;
	e->peer = rd_u16(&x->entries);
	e->time = rd_u32(&x->entries);
	e->path_id = x->add_path ? rd_u32(&x->entries) : 0;
	e->attrs = rd_take_span(&x->entries, rd_u16(&x->entries));
	return !x->entries.bad;
}

bool mrt_rib_decode(struct mrt_rib *x, const struct mrt_record *r)
{
	struct rd body = r->body;
	struct bgp_nlri nlri;
	struct mrt_entry e;
	struct mrt_rib walk;
	unsigned n = 0;

	*x = (struct mrt_rib){.sequence = rd_u32(&body), .add_path = r->is->add_path};
	if (body.bad || !bgp_nlri_next(&nlri, &body, r->is->family, false))
		return false;
	x->prefix = nlri.prefix;
	x->count = rd_u16(&body);
	if (body.bad)
		return false;
	x->entries = body;
	for (walk = *x; mrt_entry_next(&e, &walk);)
		n++;
	return rd_done(&walk.entries) && n == x->count;
}

bool mrt_message_decode(struct mrt_message *m, const struct mrt_record *r)
{
	struct rd body = r->body;
	bool as4 = r->is->as4;
	int family;
	uint8_t af;

	*m = (struct mrt_message){.peer_as = as4 ? rd_u32(&body) : rd_u16(&body)};
	m->local_as = as4 ? rd_u32(&body) : rd_u16(&body);
	m->interface = rd_u16(&body);
	family = bgp_family(rd_u16(&body), BGP_SAFI_UNICAST);
	if (body.bad || family < 0)
		return false;
	af = family_af((enum family)family);
	m->peer = addr_read(&body, af);
	m->local = addr_read(&body, af);
	if (body.bad)
		return false;
	m->message = rd_rest(&body);
	return true;
}
