#include "fib/neigh.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mono.h"
#include "fib/settings.h"
#include "fib/state.h"

/* An entry that is removed again within this time is being fought over. */
#define PATIENCE (1 * MONO_SEC)

static uint32_t neigh_hash(const struct addr *a)
{
	return (uint32_t)hash_bytes(a, sizeof *a);
}

static bool neigh_eq(const void *item, const void *key)
{
	const struct neigh *n = item, *k = key;

	return addr_equal(&n->addr, &k->addr) && n->fdb == k->fdb && strcmp(n->ifname, k->ifname) == 0 &&
	       memcmp(n->mac, k->mac, 6) == 0;
}

/* Where the entry should be: 0 for nowhere. */
static uint32_t neigh_target(const struct fib *f, const struct neigh *n)
{
	const struct link *l = links_by_name(&f->links, n->ifname);

	return n->refs && link_is_up(l) ? l->ifindex : 0;
}

static void neigh_check(struct fib *f, struct neigh *n)
{
	if (n->dirty || n->flight || backoff_is_waiting(&n->wait))
		return;
	if (n->have == neigh_target(f, n) && n->refs)
		return;
	n->dirty = true;
	TAILQ_INSERT_TAIL(&f->neighs.queue, n, queue);
	write_schedule(f);
}

struct neigh *neigh_get(struct fib *f, const struct addr *a, const char *ifname, const uint8_t mac[static 6], bool fdb)
{
	struct neigh key = {.addr = *a, .fdb = fdb}, *n;

	memcpy(key.ifname, ifname, strnlen(ifname, IFNAMSIZ - 1));
	memcpy(key.mac, mac, 6);
	netlink_follow_neighbours(f->netlink);
	n = htab_find(&f->neighs.all, neigh_hash(a), neigh_eq, &key);
	if (!n) {
		n = mem_dup(&key, sizeof key);
		n->wait.owner = n;
		htab_insert(&f->neighs.all, neigh_hash(a), n);
	}
	if (n->refs++ == 0)
		neigh_check(f, n);
	return n;
}

static void neigh_free(struct fib *f, struct neigh *n)
{
	backoff_cancel(&f->neighs.backoffs, &n->wait);
	htab_remove(&f->neighs.all, neigh_hash(&n->addr), n);
	free(n);
}

void neigh_put(struct fib *f, struct neigh *n)
{
	if (--n->refs == 0)
		neigh_check(f, n);
}

static void neigh_forgive(struct fib *f, struct neigh *n)
{
	char addr[ADDR_STRLEN], key[ADDR_STRLEN + 8] = "neigh ";

	strcat(key, addr_format(&n->addr, addr));
	if (n->error || !n->refs)
		problem_clear(f, key);
	n->error = 0;
	n->wait.step = 0;
}

void neigh_link_changed(struct fib *f, const struct link *l)
{
	uint32_t pos = 0;

	for (struct neigh *n; (n = htab_next(&f->neighs.all, &pos));) {
		bool here = strcmp(n->ifname, l->name) == 0;
		if (!here && n->have != l->ifindex)
			continue;
		/* What was refused was refused for what the interface was then. */
		neigh_forgive(f, n);
		backoff_cancel(&f->neighs.backoffs, &n->wait);
		/* The kernel forgets permanent entries, too, when the interface goes down. */
		if (n->have == l->ifindex && !link_is_up(links_by_index(&f->links, l->ifindex)))
			n->have = 0;
		neigh_check(f, n);
	}
}

void neigh_ipv4_disabled(struct fib *f, uint32_t ifindex)
{
	uint32_t pos = 0;

	for (struct neigh *n; (n = htab_next(&f->neighs.all, &pos));) {
		if (n->have != ifindex || n->fdb || n->addr.af != AF_INET)
			continue;
		n->have = 0;
		if (n->refs)
			neigh_check(f, n);
	}
}

static bool neigh_addr_eq(const void *item, const void *key)
{
	return addr_equal(&((const struct neigh *)item)->addr, key);
}

/* At start entries are seen before anybody asked for one; they are kept without a user, so that it is known then. */
void neigh_seen(struct fib *f, const struct rtmsg_neigh *m)
{
	const struct link *l = links_by_index(&f->links, m->ifindex);
	struct neigh key = {.addr = m->addr, .fdb = m->fdb}, *n;

	if (!l || !(m->state & NUD_PERMANENT) || !m->has_mac)
		return;
	if (!settings_is_workload(f, l->name) && !tunnels_is_device(l->name) &&
	    !htab_find(&f->neighs.all, neigh_hash(&m->addr), neigh_addr_eq, &m->addr))
		return;
	memcpy(key.ifname, l->name, sizeof key.ifname);
	memcpy(key.mac, m->mac, 6);
	n = htab_find(&f->neighs.all, neigh_hash(&m->addr), neigh_eq, &key);
	if (!n) {
		n = mem_dup(&key, sizeof key);
		n->wait.owner = n;
		htab_insert(&f->neighs.all, neigh_hash(&m->addr), n);
	}
	n->have = m->ifindex;
	n->seen = f->resync.generation;
}

/* It is no longer where we had it: put back at once, but more slowly if that happens again and again. */
static void neigh_lost(struct fib *f, struct neigh *n)
{
	uint64_t now = mono_now();

	n->have = 0;
	if (n->refs && now - n->lost < PATIENCE && !backoff_is_waiting(&n->wait) && !n->dirty)
		backoff_wait(&f->neighs.backoffs, &n->wait);
	n->lost = now;
	neigh_check(f, n);
}

/* An entry that we have at the place of the one in the message, for addresses with whatever MAC. */
static bool stands_there(const void *item, const void *key)
{
	const struct neigh *n = item;
	const struct rtmsg_neigh *m = key;

	return n->have == m->ifindex && n->fdb == m->fdb && addr_equal(&n->addr, &m->addr) &&
	       (!m->has_mac || !m->fdb || memcmp(n->mac, m->mac, 6) == 0);
}

/* ... whose place the one in the message took. */
static bool was_replaced(const struct neigh *n, const struct rtmsg_neigh *m)
{
	if (n->have != m->ifindex || n->fdb != m->fdb)
		return false;
	if (m->fdb)
		return memcmp(n->mac, m->mac, 6) == 0 && !addr_equal(&n->addr, &m->addr);
	return addr_equal(&n->addr, &m->addr) && memcmp(n->mac, m->mac, 6) != 0;
}

void neigh_added(struct fib *f, const struct rtmsg_neigh *m)
{
	const struct neigh *known = htab_find(&f->neighs.all, neigh_hash(&m->addr), stands_there, m);
	struct neigh *old = NULL;
	uint32_t pos = 0;

	/* Most are what we wrote ourselves. */
	if (!m->has_mac || (known && memcmp(known->mac, m->mac, 6) == 0))
		return;
	for (struct neigh *n; !old && (n = htab_next(&f->neighs.all, &pos));)
		if (was_replaced(n, m))
			old = n;
	neigh_seen(f, m);
	if (old)
		neigh_lost(f, old);
}

void neigh_removed(struct fib *f, const struct rtmsg_neigh *m)
{
	struct neigh *n = htab_find(&f->neighs.all, neigh_hash(&m->addr), stands_there, m);

	if (n)
		neigh_lost(f, n);
}

/* On a tunnel device, what nobody wants once all is known. Workloads' entries go with their interfaces. */
static bool is_left_over(const struct fib *f, const struct neigh *n)
{
	return !n->refs && n->have && f->synced[FAM_IPV4] && f->synced[FAM_IPV6] && tunnels_is_device(n->ifname);
}

void neigh_sweep(struct fib *f)
{
	uint32_t pos = 0;

	for (struct neigh *n; (n = htab_next(&f->neighs.all, &pos));) {
		if (n->flight)
			continue;
		if (n->seen != f->resync.generation)
			n->have = 0;
		if (n->refs || is_left_over(f, n))
			neigh_check(f, n);
	}
}

void neigh_check_all(struct fib *f)
{
	uint32_t pos = 0;

	for (struct neigh *n; (n = htab_next(&f->neighs.all, &pos));)
		if (n->refs || is_left_over(f, n))
			neigh_check(f, n);
}

static bool replaces(const void *item, const void *key)
{
	const struct neigh *n = item, *old = key;

	return n != old && n->refs && !n->fdb && addr_equal(&n->addr, &old->addr) &&
	       strcmp(n->ifname, old->ifname) == 0;
}

/* Does somebody want another MAC for this address on this interface? Then the entry was replaced, not left over. */
static bool is_replaced(const struct fib *f, const struct neigh *old)
{
	return !old->fdb && htab_find(&f->neighs.all, neigh_hash(&old->addr), replaces, old) != NULL;
}

static void send_neigh(struct fib *f, struct neigh *n, uint16_t type, uint16_t flags, uint32_t ifindex)
{
	rtmsg_put_neigh(netlink_begin(f->netlink, type, flags, write_neigh_cookie(f, n)), &n->addr, ifindex, n->mac,
			n->fdb);
	netlink_end(f->netlink);
	n->flight = true;
}

bool neigh_write(struct fib *f)
{
	struct neigh *n = TAILQ_FIRST(&f->neighs.queue);
	uint32_t target;
	bool on;

	if (!n)
		return false;
	TAILQ_REMOVE(&f->neighs.queue, n, queue);
	n->dirty = false;
	on = f->conf.programming && f->conf.workload_routes;
	target = neigh_target(f, n);
	if (on && target && n->have != target) {
		send_neigh(f, n, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, target);
		n->have = target;
	} else if (on && !target && n->have && !n->refs && !is_replaced(f, n)) {
		send_neigh(f, n, RTM_DELNEIGH, 0, n->have);
		n->have = 0;
	} else if (!n->refs) {
		neigh_free(f, n);
	}
	return true;
}

void neigh_done(struct fib *f, struct neigh *n, int error, const char *text)
{
	char addr[ADDR_STRLEN], key[ADDR_STRLEN + 8] = "neigh ";

	n->flight = false;
	strcat(key, addr_format(&n->addr, addr));
	if (error && n->refs) {
		n->have = 0;
		n->error = error;
		f->stats.errors++;
		problem_set(f, key, "neighbour %s on %s: the kernel refused: %s%s%s: will be retried", addr, n->ifname,
			    strerror(error), *text ? ": " : "", text);
		backoff_wait(&f->neighs.backoffs, &n->wait);
		return;
	}
	neigh_forgive(f, n);
	neigh_check(f, n);
}

static void on_wait_over(void *arg, void *owner)
{
	neigh_check(arg, owner);
}

void neighs_init(struct fib *f)
{
	TAILQ_INIT(&f->neighs.queue);
	backoffs_init(&f->neighs.backoffs, f->loop, on_wait_over, f);
}

void neighs_free(struct fib *f)
{
	uint32_t pos = 0;

	backoffs_free(&f->neighs.backoffs);
	for (struct neigh *n; (n = htab_next(&f->neighs.all, &pos));)
		free(n);
	htab_clear(&f->neighs.all);
}
