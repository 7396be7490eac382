/* Peers: their life, their addresses, and what changes of their settings cause.
 *
 * An index is used again only when no route has it and every node that lost a route of it was decided: entries of
 * update groups name their source by index. */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "rib/core.h"
#include "rib/group.h"
#include "rib/policy_ops.h"

/* ---- Addresses: ours, and theirs ---- */

static struct own_address *own_find(const struct rib *r, const struct addr *a)
{
	for (unsigned i = 0; i < r->n_own; i++)
		if (addr_equal(&r->own[i].addr, a))
			return &r->own[i];
	return NULL;
}

bool rib_is_own(const struct rib *r, const struct addr *a)
{
	return own_find(r, a) != NULL;
}

/* An address became ours or is no longer: routes over it are judged again, whoever sent them. Sessions share addresses
 * and routes over our own are rare, so there is hardly ever something to walk. */
static void own_changed(struct rib *r, const struct addr *a)
{
	if (!attrs_nexthop_chain(r->attrs, a))
		return;
	for (unsigned i = LOCAL_PEER + 1; i < r->n_peers; i++)
		for (int f = 0; r->peers[i] && f < FAM_COUNT; f++)
			peer_scan(r->peers[i], (enum family)f, SCAN_REEVALUATE);
}

static void own_add(struct rib *r, const struct addr *a)
{
	struct own_address *own = own_find(r, a);

	if (addr_is_none(a))
		return;
	if (!own) {
		r->own = mem_realloc(r->own, (r->n_own + 1) * sizeof *r->own);
		own = &r->own[r->n_own++];
		*own = (struct own_address){.addr = *a};
		own_changed(r, a);
	}
	own->refs++;
}

static void own_remove(struct rib *r, const struct addr *a)
{
	struct own_address *own = own_find(r, a);

	if (!own || --own->refs)
		return;
	*own = r->own[--r->n_own];
	own_changed(r, a);
}

bool peer_has_address(const struct rib_peer *p, const struct addr *a)
{
	return addr_equal(&p->conf.remote, a) || (!addr_is_none(a) && addr_equal(&p->other, a));
}

static uint32_t address_hash(const struct addr *a)
{
	return (uint32_t)hash_bytes(a, sizeof *a);
}

static bool address_eq(const void *item, const void *key)
{
	return peer_has_address(item, key);
}

static bool address_eq_up(const void *item, const void *key)
{
	const struct rib_peer *p = item;

	return p->up && peer_has_address(p, key);
}

static struct rib_peer *address_find(const struct rib *r, const struct addr *a)
{
	struct rib_peer *p = htab_find(&r->by_address, address_hash(a), address_eq_up, a);

	return p ? p : htab_find(&r->by_address, address_hash(a), address_eq, a);
}

uint16_t peer_by_address(const struct rib *r, const struct addr *a)
{
	const struct rib_peer *p = address_find(r, a);

	return p ? p->index : LOCAL_PEER;
}

static void addresses_add(struct rib_peer *p)
{
	htab_insert(&p->rib->by_address, address_hash(&p->conf.remote), p);
	if (!addr_is_none(&p->other))
		htab_insert(&p->rib->by_address, address_hash(&p->other), p);
}

static void addresses_remove(struct rib_peer *p)
{
	htab_remove(&p->rib->by_address, address_hash(&p->conf.remote), p);
	if (!addr_is_none(&p->other))
		htab_remove(&p->rib->by_address, address_hash(&p->other), p);
}

/* Before the peer comes up. Two sessions can lead to one node: what was encoded for sharing has the other one for the
 * owner of its next hops. */
static void addresses_settle(struct rib_peer *p)
{
	bool stale = !addr_equal(&p->other, &p->conf.other);

	if (stale) {
		addresses_remove(p);
		p->other = p->conf.other;
		addresses_add(p);
	}
	stale |= address_find(p->rib, &p->conf.remote) != p;
	if (!addr_is_none(&p->other))
		stale |= address_find(p->rib, &p->other) != p;
	if (stale)
		groups_forget_chunks(p->rib);
}

/* ---- Life ---- */

static void conf_take(struct rib_peer *p, const struct rib_peer_conf *conf)
{
	p->conf = *conf;
	p->rib->interfaces |= policy_has_interfaces(conf->import) || policy_has_interfaces(conf->export);
	policy_ref(p->conf.import);
	policy_ref(p->conf.export);
}

static void conf_drop(struct rib_peer_conf *conf)
{
	policy_unref(conf->import);
	policy_unref(conf->export);
}

/* The lowest free index. */
static unsigned index_find(struct rib *r)
{
	unsigned i = r->free_from;

	while (i < r->n_peers && r->peers[i])
		i++;
	r->free_from = i;
	if (i == PEERS_MAX) {
		log_error("rib", "more than %u peers: the process was built for fewer", PEERS_MAX);
		abort();
	}
	if (i == r->n_peers) {
		/* Doubled, not grown by one: a reflector's peers come by the thousand. */
		if ((i & (i - 1)) == 0)
			r->peers = mem_realloc(r->peers, (i ? i * 2 : 1) * sizeof(struct rib_peer *));
		r->n_peers++;
	}
	return i;
}

struct rib_peer *peer_make(struct rib *r, const struct rib_peer_conf *conf, void *arg)
{
	struct rib_peer *p = mem_calloc(1, sizeof *p);

	p->rib = r;
	p->arg = arg;
	p->index = (uint16_t)index_find(r);
	p->serial = r->next_serial++;
	r->peers[p->index] = p;
	conf_take(p, conf);
	p->other = conf->other;
	if (p->index != LOCAL_PEER)
		addresses_add(p);
	return p;
}

void peer_destroy(struct rib_peer *p)
{
	struct rib *r = p->rib;

	if (p->group)
		group_leave(p);
	if (p->scanning)
		TAILQ_REMOVE(&r->scans, p, scan);
	for (int f = 0; f < FAM_COUNT; f++) {
		pageset_free(&p->fam[f].pages);
		pageset_free(&p->fam[f].todo);
	}
	if (p->index != LOCAL_PEER && !p->freed)
		addresses_remove(p);
	conf_drop(&p->conf);
	r->peers[p->index] = NULL;
	if (p->index < r->free_from)
		r->free_from = p->index;
	free(p);
}

struct rib_peer *rib_local_peer(const struct rib *r)
{
	return r->peers[LOCAL_PEER];
}

struct rib_peer *rib_peer_new(struct rib *r, const struct rib_peer_conf *conf, void *arg)
{
	/* What was encoded for sharing does not know this peer as the owner of a next hop yet. */
	groups_forget_chunks(r);
	return peer_make(r, conf, arg);
}

void rib_peer_free(struct rib_peer *p)
{
	struct rib *r;

	if (!p)
		return;
	r = p->rib;
	rib_peer_down(p, 0);
	addresses_remove(p);
	p->freed = true;
	p->arg = NULL;
	for (int f = 0; f < FAM_COUNT; f++)
		p->free_after[f] = dirty_mark(r, (enum family)f);
	r->n_freed++;
	rib_schedule(r);
}

static bool peer_is_gone(const struct rib_peer *p)
{
	if (p->scanning)
		return false;
	for (int f = 0; f < FAM_COUNT; f++)
		if (p->fam[f].tally[AGE_DEAD].routes || !dirty_passed(p->rib, (enum family)f, p->free_after[f]))
			return false;
	return true;
}

void peers_reap(struct rib *r)
{
	for (unsigned i = 1; r->n_freed && i < r->n_peers; i++) {
		struct rib_peer *p = r->peers[i];

		if (p && p->freed && peer_is_gone(p)) {
			peer_destroy(p);
			r->n_freed--;
		}
	}
}

void *rib_peer_arg(const struct rib_peer *p)
{
	return p->arg;
}

const struct rib_peer_conf *rib_peer_config(const struct rib_peer *p)
{
	return &p->conf;
}

const struct bgp_codec *rib_peer_codec(const struct rib_peer *p)
{
	return &p->codec;
}

uint32_t rib_peer_router_id(const struct rib_peer *p)
{
	return p->router_id;
}

uint64_t rib_peer_serial(const struct rib_peer *p)
{
	return p->serial;
}

void rib_each_peer(const struct rib *r, void (*cb)(void *arg, const struct rib_peer *p), void *arg)
{
	for (unsigned i = 0; i < r->n_peers; i++)
		if (r->peers[i] && !r->peers[i]->freed)
			cb(arg, r->peers[i]);
}

/* Does what import makes of the peer's routes, or how they compare, depend on a setting that differs? */
static bool import_differs(const struct rib_peer_conf *a, const struct rib_peer_conf *b)
{
	return !policy_equal(a->import, b->import) || a->local_as != b->local_as || a->node_as != b->node_as ||
	       a->ebgp != b->ebgp || a->our_router_id != b->our_router_id || a->cluster_id != b->cluster_id ||
	       a->allowed_local_as != b->allowed_local_as || a->rr_client != b->rr_client || a->avoid != b->avoid ||
	       a->honour_graceful_shutdown != b->honour_graceful_shutdown || !addr_equal(&a->remote, &b->remote);
}

static void peer_other_identity(struct rib_peer *p)
{
	p->identity = (uint8_t)((p->identity + 1) % IDENTITIES);
}

void rib_peer_configure(struct rib_peer *p, const struct rib_peer_conf *conf)
{
	struct rib *r = p->rib;
	struct rib_peer_conf old = p->conf;
	bool differs = import_differs(&old, conf);
	bool moved = !addr_equal(&old.remote, &conf->remote);

	memo_clear(r);
	if (moved) {
		addresses_remove(p);
		groups_forget_chunks(r);
	}
	conf_take(p, conf);
	if (moved)
		addresses_add(p);
	if (old.ebgp != conf->ebgp)
		peer_other_identity(p);
	for (int f = 0; differs && f < FAM_COUNT; f++)
		peer_scan(p, (enum family)f, SCAN_REEVALUATE);
	if (p->up)
		group_rejoin(p);
	conf_drop(&old);
}

static void self_each(struct rib_peer *p, void (*fn)(struct rib *r, const struct addr *a))
{
	for (int f = 0; f < FAM_COUNT; f++) {
		fn(p->rib, &p->self[f].addr);
		fn(p->rib, &p->self[f].link_local);
	}
}

void rib_peer_up(struct rib_peer *p, const struct bgp_codec *codec, uint32_t router_id,
		 const struct bgp_nexthop self[FAM_COUNT])
{
	bool other_id = p->router_id != router_id;

	if (p->up)
		rib_peer_down(p, 0);
	memo_clear(p->rib);
	addresses_settle(p);
	p->up = true;
	p->codec = *codec;
	p->router_id = router_id;
	if (other_id)
		peer_other_identity(p);
	memcpy(p->self, self, sizeof p->self);
	self_each(p, own_add);
	p->eor_sent = 0;
	/* The router id is a tie-break, and the ORIGINATOR_ID of what is reflected. */
	for (int f = 0; other_id && f < FAM_COUNT; f++)
		if (rib_peer_received(p, (enum family)f) || p->fam[f].tally[AGE_DEAD].routes)
			peer_scan(p, (enum family)f, SCAN_DECIDE);
	group_join(p);
	p->idle = true;
	p->rib->notify = true;
	rib_schedule(p->rib);
}

static bool self_equal(const struct bgp_nexthop *a, const struct bgp_nexthop *b)
{
	for (int f = 0; f < FAM_COUNT; f++)
		if (!addr_equal(&a[f].addr, &b[f].addr) || !addr_equal(&a[f].link_local, &b[f].link_local))
			return false;
	return true;
}

void rib_peer_self(struct rib_peer *p, const struct bgp_nexthop self[FAM_COUNT])
{
	if (!p->up || self_equal(p->self, self))
		return;
	memo_clear(p->rib);
	self_each(p, own_remove);
	memcpy(p->self, self, sizeof p->self);
	self_each(p, own_add);
	group_rejoin(p);
}

void rib_peer_down(struct rib_peer *p, uint8_t keep)
{
	struct rib *r = p->rib;

	memo_clear(r);
	if (p->up) {
		p->up = p->idle = false;
		self_each(p, own_remove);
		group_leave(p);
		loop_work_schedule(r->loop, &r->reap_work);
	}
	for (int f = 0; f < FAM_COUNT; f++) {
		if (!(keep >> f & 1)) {
			peer_drop(p, (enum family)f);
		} else if (p->fam[f].tally[AGE_FRESH].routes) {
			/* An equal fresh route of another peer is now the better one. */
			peer_all_stale(p, (enum family)f);
			peer_scan(p, (enum family)f, SCAN_DECIDE);
		}
	}
}

void rib_peer_long_lived(struct rib_peer *p, enum family f)
{
	peer_long_lived(p, f);
}

void rib_peer_sweep(struct rib_peer *p, enum family f)
{
	peer_end_stale(p, f);
}

void rib_peer_mark_stale(struct rib_peer *p, enum family f)
{
	/* A peer that begins and begins refreshes, with routes between them, and ends none: what it has sent last may
	 * stay as it is. */
	if (!peer_ages_full(p, f))
		peer_all_stale(p, f);
}

unsigned rib_peer_received(const struct rib_peer *p, enum family f)
{
	const struct tally *t = p->fam[f].tally;

	return t[AGE_FRESH].routes + t[AGE_STALE].routes + t[AGE_LONG_LIVED].routes;
}

struct rib_peer_stats rib_peer_stats(const struct rib_peer *p)
{
	struct rib_peer_stats s = {
	    .updates_in = p->updates_in,
	    .withdraws_in = p->withdraws_in,
	    .updates_out = p->updates_out,
	    .withdraws_out = p->withdraws_out,
	    .up_to_date = p->up && peer_is_up_to_date(p),
	    .group = p->group ? group_number(p->group) : 0,
	    .faults = p->faults,
	};

	for (int f = 0; f < FAM_COUNT; f++) {
		const struct peer_family *pf = &p->fam[f];

		s.received[f] = rib_peer_received(p, (enum family)f);
		s.accepted[f] =
		    pf->tally[AGE_FRESH].accepted + pf->tally[AGE_STALE].accepted + pf->tally[AGE_LONG_LIVED].accepted;
		s.long_lived[f] = pf->tally[AGE_LONG_LIVED].routes;
		s.stale[f] = pf->tally[AGE_STALE].routes + s.long_lived[f];
		s.best[f] = pf->best;
		s.sent[f] = p->up ? peer_sent(p, (enum family)f) : 0;
		s.end_of_rib_sent[f] = p->eor_sent >> f & 1;
	}
	return s;
}
