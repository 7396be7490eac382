#include "fib/links.h"

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"

static uint32_t index_hash(uint32_t ifindex)
{
	return (uint32_t)hash_bytes(&ifindex, sizeof ifindex);
}

static bool index_eq(const void *item, const void *key)
{
	return ((const struct link *)item)->ifindex == *(const uint32_t *)key;
}

static bool name_eq(const void *item, const void *key)
{
	return strcmp(((const struct link *)item)->name, key) == 0;
}

struct link *links_by_index(const struct links *l, uint32_t ifindex)
{
	return htab_find(&l->by_index, index_hash(ifindex), index_eq, &ifindex);
}

struct link *links_by_name(const struct links *l, const char *name)
{
	return htab_find(&l->by_name, hash_str(name), name_eq, name);
}

const char *links_name(const struct links *l, uint32_t ifindex, char buf[static IFNAMSIZ])
{
	const struct link *link = links_by_index(l, ifindex);

	if (link)
		return link->name;
	snprintf(buf, IFNAMSIZ, "if%u", ifindex);
	return buf;
}

bool link_is_up(const struct link *l)
{
	return l && (l->flags & IFF_UP);
}

bool link_is_running(const struct link *l)
{
	return l && (l->flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING);
}

/* A node has thousands of interfaces, and at most three tunnels. */
static void put_tunnel(struct link *link, const struct rtmsg_link *m)
{
	if (strcmp(m->kind, "vxlan") != 0 && strcmp(m->kind, "ipip") != 0) {
		free(link->tunnel);
		link->tunnel = NULL;
		return;
	}
	if (!link->tunnel)
		link->tunnel = mem_calloc(1, sizeof *link->tunnel);
	*link->tunnel = (struct link_tunnel){
	    .vni = m->vni,
	    .port = m->port,
	    .learning = m->learning,
	    .local = m->local,
	};
	memcpy(link->tunnel->kind, m->kind, sizeof m->kind);
	memcpy(link->tunnel->mac, m->mac, sizeof m->mac);
}

struct link *links_put(struct links *l, const struct rtmsg_link *m)
{
	struct link *link = links_by_index(l, m->ifindex);

	if (!link) {
		link = mem_calloc(1, sizeof *link);
		link->ifindex = m->ifindex;
		htab_insert(&l->by_index, index_hash(m->ifindex), link);
	} else if (strcmp(link->name, m->name) != 0) {
		htab_remove(&l->by_name, hash_str(link->name), link);
		link->name[0] = '\0';
	}
	if (!link->name[0]) {
		memcpy(link->name, m->name, sizeof link->name);
		htab_insert(&l->by_name, hash_str(link->name), link);
	}
	link->flags = m->flags;
	link->mtu = m->mtu;
	link->master = m->master;
	link->vrf_table = m->vrf_table;
	put_tunnel(link, m);
	return link;
}

void links_remove(struct links *l, struct link *link)
{
	htab_remove(&l->by_index, index_hash(link->ifindex), link);
	htab_remove(&l->by_name, hash_str(link->name), link);
	free(link->tunnel);
	free(link);
}

/* ---- addresses: hashed by address alone, so that the question "is it ours" is one look-up ---- */

static uint32_t addr_hash(const struct addr *a)
{
	return (uint32_t)hash_bytes(a, sizeof *a);
}

static bool addr_eq(const void *item, const void *key)
{
	return addr_equal(&((const struct link_addr *)item)->addr, key);
}

static bool link_addr_eq(const void *item, const void *key)
{
	const struct link_addr *a = item;
	const struct rtmsg_addr *m = key;

	return a->ifindex == m->ifindex && a->len == m->len && addr_equal(&a->addr, &m->addr);
}

static void count_ipv4(struct links *l, const struct rtmsg_addr *m, int by)
{
	struct link *link = links_by_index(l, m->ifindex);

	if (link && m->addr.af == AF_INET)
		link->ipv4_count += (uint32_t)by;
}

bool links_addr_put(struct links *l, const struct rtmsg_addr *m, uint8_t seen)
{
	struct link_addr *a = htab_find(&l->addrs, addr_hash(&m->addr), link_addr_eq, m);

	if (a) {
		a->seen = seen;
		return false;
	}
	a = mem_calloc(1, sizeof *a);
	*a = (struct link_addr){
	    .addr = m->addr, .len = m->len, .seen = seen, .ifindex = m->ifindex, .order = l->addrs_seen++};
	htab_insert(&l->addrs, addr_hash(&m->addr), a);
	count_ipv4(l, m, 1);
	return true;
}

bool links_addr_remove(struct links *l, const struct rtmsg_addr *m)
{
	uint32_t hash = addr_hash(&m->addr);
	struct link_addr *a = htab_find(&l->addrs, hash, link_addr_eq, m);

	if (!a)
		return false;
	htab_remove(&l->addrs, hash, a);
	free(a);
	count_ipv4(l, m, -1);
	return true;
}

struct link *links_by_addr(const struct links *l, const struct addr *a)
{
	const struct link_addr *found = htab_find(&l->addrs, addr_hash(a), addr_eq, a);

	return found ? links_by_index(l, found->ifindex) : NULL;
}

static bool is_on_link(const void *item, const void *key)
{
	const struct link_addr *a = item, *k = key;

	return a->ifindex == k->ifindex && addr_equal(&a->addr, &k->addr);
}

bool links_has(const struct links *l, uint32_t ifindex, const struct addr *a)
{
	struct link_addr key = {.addr = *a, .ifindex = ifindex};

	return htab_find(&l->addrs, addr_hash(a), is_on_link, &key) != NULL;
}

bool links_is_own(const struct links *l, const struct addr *a)
{
	return htab_find(&l->addrs, addr_hash(a), addr_eq, a) != NULL;
}

uint32_t links_vrf(const struct links *l, const struct link *link)
{
	const struct link *master = link && !link->vrf_table && link->master ? links_by_index(l, link->master) : link;

	return master && master->vrf_table ? master->ifindex : 0;
}

struct own_key {
	const struct links *links;
	const struct addr *addr;
	uint32_t vrf;
};

static bool is_own_in(const void *item, const void *key)
{
	const struct link_addr *a = item;
	const struct own_key *k = key;

	return addr_equal(&a->addr, k->addr) && links_vrf(k->links, links_by_index(k->links, a->ifindex)) == k->vrf;
}

bool links_is_own_in(const struct links *l, const struct addr *a, uint32_t vrf)
{
	struct own_key key = {l, a, vrf};

	return htab_find(&l->addrs, addr_hash(a), is_own_in, &key) != NULL;
}

static void free_all(struct htab *t)
{
	uint32_t pos = 0;

	for (void *item; (item = htab_next(t, &pos));)
		free(item);
	htab_clear(t);
}

void links_clear(struct links *l)
{
	uint32_t pos = 0;

	htab_clear(&l->by_name);
	for (struct link *link; (link = htab_next(&l->by_index, &pos));)
		free(link->tunnel);
	free_all(&l->by_index);
	free_all(&l->addrs);
}
