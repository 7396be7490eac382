#include "daemon/monitor/bmp_pack.h"

#include <stdlib.h>

#include "daemon/base/mono.h"

/* Prefixes that wait for more of their kind; an UPDATE of 4,096 octets holds some hundreds. */
#define PACK_ROUTES 512u
#define MESSAGE_MAX (BMP_HEADER_LEN + BMP_PEER_HEADER_LEN + BGP_MAX_EXTENDED)

void packer_init(struct packer *k, bool sort, void (*emit)(void *arg, struct span message), void *arg)
{
	*k = (struct packer){.sort = sort, .emit = emit, .arg = arg};
}

void packer_clear(struct packer *k)
{
	for (unsigned i = 0; i < PACKS; i++) {
		free(k->packs[i].canonical);
		free(k->packs[i].nlri);
		k->packs[i] = (struct pack){0};
	}
	free(k->message);
	k->message = NULL;
}

struct bmp_time bmp_time_of(uint64_t mono)
{
	uint64_t usec = mono_to_wall_usec(mono);

	return (struct bmp_time){(uint32_t)(usec / 1000000), (uint32_t)(usec % 1000000)};
}

static struct wr message_begin(struct packer *k)
{
	if (!k->message)
		k->message = mem_alloc(MESSAGE_MAX);
	return wr_make(k->message, MESSAGE_MAX);
}

static void message_end(struct packer *k, struct wr *w, struct wr_mark length)
{
	bmp_close(w, length);
	if (!w->bad)
		k->emit(k->arg, (struct span){w->start, wr_len(w)});
}

/* ---- One pack ---- */

/* A message of as many of the routes as it takes; returns how many, 0 if not one fits. */
static size_t pack_write(struct packer *k, const struct pack *p, const struct bgp_attrs *a, size_t done, uint32_t max)
{
	/* Inside the AS everything is said; what the peer must not see the station may. */
	struct bgp_codec codec = {.as4 = true, .add_path_tx = p->source->add_path, .max_message = max};
	struct wr w = message_begin(k);
	struct wr_mark length = bmp_route_monitoring_open(&w, &p->source->peer, p->view, false, bmp_time_of(p->time));
	size_t n;

	if (p->reach)
		n = bgp_update_encode_reach(&w, &codec, p->family, a, p->nlri + done, p->n - done);
	else
		n = bgp_update_encode_unreach(&w, &codec, p->family, p->nlri + done, p->n - done);
	if (n)
		message_end(k, &w, length);
	return n;
}

static void pack_flush(struct packer *k, struct pack *p)
{
	uint32_t max = p->source ? p->source->max_message : 0, more;
	struct bgp_attrs a = {0};
	size_t done = 0;

	if (p->reach) {
		bgp_attrs_from_canonical(&a, (struct span){p->canonical, p->len});
		a.next_hop = p->next_hop;
	}
	while (p->source && done < p->n) {
		size_t n = pack_write(k, p, &a, done, max);

		done += n;
		if (n)
			continue;
		/* It came over a session with smaller numbers or in a form that took less. */
		if (max < BGP_MAX_EXTENDED) {
			max = BGP_MAX_EXTENDED;
			continue;
		}
		if (log_allowed(&k->limit, 1, 10 * MONO_SEC, &more))
			log_warn("bmp", "attributes too long for a message: routes not reported (%u more since)", more);
		break;
	}
	p->source = NULL;
	p->n = 0;
}

static bool is_same_nexthop(const struct bgp_nexthop *a, const struct bgp_nexthop *b)
{
	return addr_equal(&a->addr, &b->addr) && addr_equal(&a->link_local, &b->link_local);
}

static bool pack_takes(const struct pack *p, const struct pack *want, const struct attrs *a)
{
	if (p->source != want->source || p->view != want->view || p->family != want->family || p->n == PACK_ROUTES ||
	    p->reach != want->reach || p->since != want->since)
		return false;
	return !a || (p->len == a->len && memcmp(p->canonical, a->canonical, a->len) == 0 &&
		      is_same_nexthop(&p->next_hop, &want->next_hop));
}

static void pack_open(struct pack *p, const struct pack *want, const struct attrs *a)
{
	struct pack own = *p;

	*p = *want;
	p->canonical = own.canonical;
	p->cap = own.cap;
	p->nlri = own.nlri ? own.nlri : mem_alloc(PACK_ROUTES * sizeof *p->nlri);
	p->n = 0;
	p->time = want->since ? want->since : mono_now();
	if (!a)
		return;
	if (p->cap < a->len) {
		p->cap = a->len;
		p->canonical = mem_realloc(p->canonical, p->cap);
	}
	memcpy(p->canonical, a->canonical, a->len);
	p->len = a->len;
}

/* ---- All of them ---- */

/* What originates here has no next hop; UPDATEs must have one: unspecified is our own, as routers have it in Loc-RIB.
 */
static struct bgp_nexthop nexthop_of(const struct attrs *a, enum family f)
{
	static const uint8_t zero[16];

	if (a->next_hop)
		return a->next_hop->addr;
	return (struct bgp_nexthop){.addr = addr_make(family_af(f), zero)};
}

/* How many places a pack may be at. */
#define WAYS 4u

/* Where the route goes. Unless sorted there is one place for all of a view of a source: what is told of it later is
 * told behind what was told before. */
static struct pack *pack_for(struct packer *k, const struct pack *want, const struct attrs *a)
{
	uint64_t h = want->source->number * BMP_VIEWS + want->view;
	struct pack *unused = NULL;

	if (k->sort && a)
		h = (h ^ a->hash) * 0x9e3779b97f4a7c15u >> 32;
	for (unsigned i = 0; i < WAYS; i++) {
		struct pack *p = &k->packs[(h + i) % PACKS];

		if (p->source == want->source && p->view == want->view && (!k->sort || pack_takes(p, want, a)))
			return p;
		if (!p->source && !unused)
			unused = p;
	}
	return unused ? unused : &k->packs[(h + k->turn++ % WAYS) % PACKS];
}

void packer_add(struct packer *k, const struct pack_source *s, enum bmp_view v, const struct bgp_nlri *nlri,
		const struct attrs *a, uint64_t since)
{
	enum family f = family_of_af(nlri->prefix.addr.af);
	struct pack want = {.source = s, .view = v, .family = f, .reach = a, .since = since};
	struct pack *p;

	if (a)
		want.next_hop = nexthop_of(a, f);
	p = pack_for(k, &want, a);
	if (!pack_takes(p, &want, a)) {
		pack_flush(k, p);
		pack_open(p, &want, a);
	}
	p->nlri[p->n++] = *nlri;
}

void packer_flush(struct packer *k)
{
	for (unsigned i = 0; i < PACKS; i++)
		if (k->packs[i].source)
			pack_flush(k, &k->packs[i]);
}

void packer_end_of_rib(struct packer *k, const struct pack_source *s, enum bmp_view v, enum family f)
{
	struct wr w = message_begin(k);
	struct wr_mark length = bmp_route_monitoring_open(&w, &s->peer, v, false, bmp_time_of(mono_now()));

	bgp_update_encode_end_of_rib(&w, f);
	message_end(k, &w, length);
}

void packer_stream(struct packer *k, const struct pack_source *s, enum bmp_view v, bool as2, struct span stream)
{
	struct bmp_time now = bmp_time_of(mono_now());
	struct rd r = rd_span(stream);
	struct bgp_error err;
	struct bgp_msg m;

	while (rd_left(&r)) {
		struct rd rest = r;
		struct span left = rd_rest(&rest), message;
		int n = bgp_msg_next(&m, left.p, left.len, BGP_MAX_EXTENDED, &err);
		struct wr_mark length;
		struct wr w;

		if (n <= 0)
			return;
		message = rd_take_span(&r, (size_t)n);
		if (m.type != BGP_UPDATE)
			continue;
		w = message_begin(k);
		length = bmp_route_monitoring_open(&w, &s->peer, v, as2, now);
		wr_bytes(&w, message.p, message.len);
		message_end(k, &w, length);
	}
}
