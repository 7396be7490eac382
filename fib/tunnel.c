#include "fib/tunnel.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mono.h"
#include "fib/rtmsg.h"
#include "fib/state.h"

#define RETRY (1 * MONO_SEC)
#define RETRY_DOUBLINGS 6u
/* A device that is no longer needed stays so long: the other nodes, who hear of it when they do, may still be sending.
 */
#define LINGER (3 * MONO_SEC)

/* What the kinds of tunnels differ in. */
static const struct kind {
	const char *name, *link_kind, *module;
	uint8_t af;	  /* of the packets around; of the device's own address, too */
	uint8_t overhead; /* octets that encapsulation takes */
	bool is_vxlan;	  /* made and removed by us; tunl0 comes with the module and stays */
} kinds[FIB_TUNNEL_COUNT] = {
    [FIB_NO_TUNNEL] = {.name = ""},
    [FIB_IPIP] = {"tunl0", "ipip", "ipip", AF_INET, 20, false},
    [FIB_VXLAN] = {"vxlan.calico", "vxlan", "vxlan", AF_INET, 50, true},
    [FIB_VXLAN6] = {"vxlan-v6.calico", "vxlan", "vxlan", AF_INET6, 70, true},
};

const char *fib_tunnel_name(enum fib_tunnel t)
{
	return kinds[t].name;
}

bool tunnels_is_device(const char *name)
{
	for (int t = FIB_IPIP; t < FIB_TUNNEL_COUNT; t++)
		if (strcmp(name, kinds[t].name) == 0)
			return true;
	return false;
}

/* ---- one request about a device ---- */

struct request {
	struct rtmsg_link link;
	struct rtmsg_addr addr;
	uint32_t mtu;
	const uint8_t *mac;
};

static void put_creation(void *arg, struct wr *w)
{
	rtmsg_put_link_creation(w, &((struct request *)arg)->link);
}

static void put_change(void *arg, struct wr *w)
{
	const struct request *r = arg;

	rtmsg_put_link_change(w, r->link.ifindex, r->mtu, r->mac);
}

static void put_relocation(void *arg, struct wr *w)
{
	rtmsg_put_vxlan_local(w, &((struct request *)arg)->link);
}

static void put_removal(void *arg, struct wr *w)
{
	rtmsg_put_link_removal(w, ((struct request *)arg)->link.ifindex);
}

static void put_address(void *arg, struct wr *w)
{
	rtmsg_put_addr(w, &((struct request *)arg)->addr);
}

static void no_answer(void *arg, const struct nlmsghdr *h)
{
	(void)arg;
	(void)h;
}

static int ask(uint16_t type, uint16_t flags, void (*put)(void *arg, struct wr *w), struct request *r)
{
	return netlink_ask(type, flags | NLM_F_ACK, put, no_answer, r);
}

/* ---- what a device should be like ---- */

/* What the interface below leaves; 0 if that is not known now. */
static uint32_t wanted_mtu(const struct fib *f, const struct tunnel *t, const struct kind *k)
{
	const struct link *below = links_by_addr(&f->links, &t->conf.local);

	if (t->conf.mtu)
		return t->conf.mtu;
	return below && below->mtu > k->overhead ? below->mtu - k->overhead : 0;
}

static bool has_mac(const struct tunnel *t)
{
	static const uint8_t none[6];

	return memcmp(t->conf.mac, none, sizeof none) != 0;
}

/* What cannot be changed once a VXLAN device is made. */
static bool is_other_vxlan(const struct tunnel *t, const struct link_tunnel *have)
{
	return have->vni != t->conf.vni || have->port != t->conf.port || have->learning;
}

/* The node's address has changed: the device stays, with its routes and entries. */
static int relocate(const struct tunnel *t, const struct link *l)
{
	struct request r = {.link = {.ifindex = l->ifindex, .vni = t->conf.vni, .local = t->conf.local}};

	if (addr_equal(&l->tunnel->local, &t->conf.local))
		return 0;
	strcpy(r.link.kind, l->tunnel->kind);
	return ask(RTM_NEWLINK, 0, put_relocation, &r);
}

/* What is to be done about a device: NULL nothing. */
static const char *plan_device(const struct fib *f, const struct tunnel *t, const struct kind *k)
{
	const struct link *l = links_by_name(&f->links, k->name);
	uint32_t mtu = wanted_mtu(f, t, k);

	if (!l)
		return "add";
	if (!l->tunnel || strcmp(l->tunnel->kind, k->link_kind) != 0)
		return NULL;
	if (k->is_vxlan && is_other_vxlan(t, l->tunnel))
		return "replace";
	if ((mtu && mtu != l->mtu) || !link_is_up(l) ||
	    (k->is_vxlan && has_mac(t) && memcmp(l->tunnel->mac, t->conf.mac, 6) != 0))
		return "change";
	return addr_is_none(&t->conf.addr) || links_has(&f->links, l->ifindex, &t->conf.addr) ? NULL : "change";
}

void fib_plan_devices(const struct fib *f, struct strbuf *out)
{
	for (int i = FIB_IPIP; i < FIB_TUNNEL_COUNT; i++) {
		const struct tunnel *t = &f->tunnels.tunnel[i];
		const char *deed = t->wanted && f->conf.workload_routes ? plan_device(f, t, &kinds[i]) : NULL;
		if (deed)
			strbuf_printf(out, "%s %s (%s)\n", deed, kinds[i].name, t->conf.users);
	}
}

static int create(struct fib *f, struct tunnel *t, const struct kind *k)
{
	struct request r = {.link = {.mtu = wanted_mtu(f, t, k), .vni = t->conf.vni, .port = t->conf.port}};
	int error;

	strcpy(r.link.name, k->name);
	strcpy(r.link.kind, k->link_kind);
	if (k->is_vxlan) {
		memcpy(r.link.mac, t->conf.mac, 6);
		r.link.local = t->conf.local;
	}
	error = ask(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, put_creation, &r);
	/* Loading the module made it. */
	return error == EEXIST ? 0 : error;
}

static int adjust(struct fib *f, struct tunnel *t, const struct kind *k, const struct link *l)
{
	struct request r = {.link = {.ifindex = l->ifindex}, .mtu = wanted_mtu(f, t, k)};

	if (k->is_vxlan && has_mac(t) && memcmp(l->tunnel->mac, t->conf.mac, 6) != 0)
		r.mac = t->conf.mac;
	if (r.mtu == l->mtu)
		r.mtu = 0;
	return !r.mtu && !r.mac && link_is_up(l) ? 0 : ask(RTM_NEWLINK, 0, put_change, &r);
}

/* Takes off the addresses that are not the wanted one; true if that one is there. IPv6 link-local ones are the
 * kernel's.
 */
static bool clear_addresses(struct fib *f, const struct link *l, uint8_t af, const struct addr *wanted)
{
	bool there = false;
	uint32_t pos = 0;

	for (struct link_addr *a; (a = htab_next(&f->links.addrs, &pos));) {
		struct request r = {.addr = {a->ifindex, a->addr, a->len}};
		if (a->ifindex != l->ifindex || a->addr.af != af || addr_is_link_local(&a->addr))
			continue;
		if (addr_equal(&a->addr, wanted))
			there = true;
		else
			ask(RTM_DELADDR, 0, put_address, &r);
	}
	return there;
}

static int address(struct fib *f, struct tunnel *t, const struct kind *k, const struct link *l)
{
	struct request r = {.addr = {l->ifindex, t->conf.addr, (uint8_t)addr_bits(k->af)}};
	int error;

	if (clear_addresses(f, l, k->af, &t->conf.addr) || addr_is_none(&t->conf.addr))
		return 0;
	error = ask(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, put_address, &r);
	return error == EEXIST ? 0 : error;
}

/* ---- making it so ---- */

static void on_retry(void *arg)
{
	tunnels_check(((struct tunnel *)arg)->fib);
}

static void note(struct fib *f, struct tunnel *t, const struct kind *k, const char *doing, int error)
{
	unsigned doublings = t->failures < RETRY_DOUBLINGS ? t->failures : RETRY_DOUBLINGS;
	bool no_module = error == EOPNOTSUPP || error == EAFNOSUPPORT || error == ENODEV;
	const char *module = k->af == AF_INET6 && error == EAFNOSUPPORT ? "ipv6" : k->module;

	if (!error) {
		t->failures = 0;
		problem_clear(f, k->name);
		return;
	}
	t->failures++;
	problem_set(f, k->name, "%s: %s: %s%s%s; routes through it wait (%s)", k->name, doing, strerror(error),
		    no_module ? ": the kernel has no module " : "", no_module ? module : "", t->conf.users);
	loop_timer_set(f->loop, &t->retry, RETRY << doublings, on_retry, t);
}

static void tunnel_check(struct fib *f, struct tunnel *t, const struct kind *k)
{
	const struct link *l = links_by_name(&f->links, k->name);
	struct request r = {0};
	int error;

	if (l && (!l->tunnel || strcmp(l->tunnel->kind, k->link_kind) != 0)) {
		problem_set(f, k->name,
			    "%s: there is an interface of this name that is no %s device: remove it; routes wait (%s)",
			    k->name, k->link_kind, t->conf.users);
		return;
	}
	if (l && k->is_vxlan && (is_other_vxlan(t, l->tunnel) || relocate(t, l))) {
		r.link.ifindex = l->ifindex;
		error = ask(RTM_DELLINK, 0, put_removal, &r);
		if (error) {
			note(f, t, k, "removing the one with other settings", error);
			return;
		}
		l = NULL;
	}
	if (!l) {
		/* The kernel tells of it, and then it is looked at again. */
		note(f, t, k, "making the device", create(f, t, k));
		return;
	}
	error = adjust(f, t, k, l);
	if (error) {
		note(f, t, k, "setting it up", error);
		return;
	}
	note(f, t, k, "giving it its address", address(f, t, k, l));
}

static void tunnel_leave(struct fib *f, struct tunnel *t, const struct kind *k)
{
	const struct link *l = links_by_name(&f->links, k->name);
	struct request r = {0};
	uint64_t now = mono_now();

	problem_clear(f, k->name);
	if (now < t->leave_at) {
		loop_timer_set(f->loop, &t->retry, t->leave_at - now, on_retry, t);
		return;
	}
	t->was_wanted = false;
	loop_timer_stop(f->loop, &t->retry);
	if (!l || !l->tunnel || strcmp(l->tunnel->kind, k->link_kind) != 0)
		return;
	r.link.ifindex = l->ifindex;
	if (k->is_vxlan)
		ask(RTM_DELLINK, 0, put_removal, &r);
	else
		clear_addresses(f, l, k->af, &(struct addr){0});
}

static bool on_work(void *arg, uint64_t deadline)
{
	struct fib *f = arg;

	(void)deadline;
	for (int i = FIB_IPIP; i < FIB_TUNNEL_COUNT && f->conf.programming; i++) {
		struct tunnel *t = &f->tunnels.tunnel[i];
		if (!f->conf.workload_routes) {
			/* A Felix has them now: as they are. */
			problem_clear(f, kinds[i].name);
			loop_timer_stop(f->loop, &t->retry);
			t->was_wanted = false;
			continue;
		}
		if (t->wanted)
			tunnel_check(f, t, &kinds[i]);
		else if (t->was_wanted)
			tunnel_leave(f, t, &kinds[i]);
	}
	return false;
}

void tunnels_check(struct fib *f)
{
	if (!f->conf.routes_only)
		loop_work_schedule(f->loop, &f->tunnels.work);
}

void tunnels_link_changed(struct fib *f, const struct link *l)
{
	for (int i = FIB_IPIP; i < FIB_TUNNEL_COUNT; i++) {
		const struct tunnel *t = &f->tunnels.tunnel[i];
		if (t->wanted &&
		    (strcmp(l->name, kinds[i].name) == 0 || links_by_addr(&f->links, &t->conf.local) == l)) {
			tunnels_check(f);
			return;
		}
	}
}

void fib_tunnel_set(struct fib *f, enum fib_tunnel kind, const struct fib_tunnel_conf *conf)
{
	struct tunnel *t = &f->tunnels.tunnel[kind];

	if (conf)
		t->conf = *conf;
	if (t->wanted && !conf) {
		t->was_wanted = true;
		t->leave_at = mono_now() + LINGER;
	}
	t->wanted = conf != NULL;
	t->failures = 0;
	tunnels_check(f);
}

/* ---- the other ends ---- */

struct vtep {
	struct fib_vtep v;
	struct neigh *arp, *fdb;
};

static uint32_t vtep_hash(const struct addr *a)
{
	return (uint32_t)hash_bytes(a, sizeof *a);
}

static bool vtep_eq(const void *item, const void *key)
{
	return addr_equal(&((const struct vtep *)item)->v.addr, key);
}

static void vtep_drop(struct fib *f, const struct vtep *v)
{
	neigh_put(f, v->arp);
	neigh_put(f, v->fdb);
}

void fib_vtep_set(struct fib *f, enum fib_tunnel t, const struct fib_vtep *want)
{
	struct htab *vteps = &f->tunnels.tunnel[t].vteps;
	struct vtep *v = htab_find(vteps, vtep_hash(&want->addr), vtep_eq, &want->addr), old = {0};

	if (v)
		old = *v;
	else
		htab_insert(vteps, vtep_hash(&want->addr), v = mem_calloc(1, sizeof *v));
	v->v = *want;
	v->arp = neigh_get(f, &want->addr, kinds[t].name, want->mac, false);
	v->fdb = neigh_get(f, &want->node, kinds[t].name, want->mac, true);
	/* What stays has not been given up in between. */
	if (old.arp)
		vtep_drop(f, &old);
}

void fib_vtep_unset(struct fib *f, enum fib_tunnel t, const struct addr *addr)
{
	struct htab *vteps = &f->tunnels.tunnel[t].vteps;
	struct vtep *v = htab_find(vteps, vtep_hash(addr), vtep_eq, addr);

	if (!v)
		return;
	htab_remove(vteps, vtep_hash(addr), v);
	vtep_drop(f, v);
	free(v);
}

static void vteps_clear(struct fib *f, struct htab *vteps)
{
	uint32_t pos = 0;

	for (struct vtep *v; (v = htab_next(vteps, &pos));) {
		vtep_drop(f, v);
		free(v);
	}
	htab_clear(vteps);
}

void tunnels_teardown(struct fib *f)
{
	for (int t = FIB_IPIP; t < FIB_TUNNEL_COUNT; t++) {
		vteps_clear(f, &f->tunnels.tunnel[t].vteps);
		fib_tunnel_set(f, (enum fib_tunnel)t, NULL);
		f->tunnels.tunnel[t].leave_at = 0;
	}
}

void tunnels_init(struct fib *f)
{
	for (int i = 0; i < FIB_TUNNEL_COUNT; i++)
		f->tunnels.tunnel[i].fib = f;
	f->tunnels.work = (struct loop_work){.run = on_work, .arg = f, .rank = LOOP_RANK_CLUSTER};
}

void tunnels_free(struct fib *f)
{
	loop_work_cancel(f->loop, &f->tunnels.work);
	for (int i = 0; i < FIB_TUNNEL_COUNT; i++) {
		struct tunnel *t = &f->tunnels.tunnel[i];
		uint32_t pos = 0;

		loop_timer_stop(f->loop, &t->retry);
		for (struct vtep *v; (v = htab_next(&t->vteps, &pos));)
			free(v);
		htab_clear(&t->vteps);
	}
}
