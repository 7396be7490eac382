#include "daemon/cluster/migration.h"

#include <arpa/inet.h>
#include <bsd/sys/queue.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/base/wire.h"
#include "daemon/cluster/cluster.h"
#include "daemon/cluster/locals.h"

#define PACKET_MAX 256u
#define HARDWARE_ETHERNET 1u

/* The protocols that say "I am here now". */
static const uint16_t protocols[] = {ETH_P_ARP, ETH_P_RARP};
#define PROTOCOLS (sizeof protocols / sizeof *protocols)

struct ear {
	struct migration *migration;
	int fd; /* -1: not open */
	struct loop_io io;
};

struct migration {
	LIST_ENTRY(migration) link;
	struct migrations *all;
	char *namespace, *name;
	enum live_migration said, state; /* by the object; effectively */
	struct ear ears[PROTOCOLS];
	int error; /* why it cannot be listened to; 0 */
	struct loop_timer timer;
};

struct migrations {
	struct daemon *d;
	void (*on_change)(void *arg, const struct obj_workload_endpoint *w);
	void *arg;
	LIST_HEAD(, migration) list; /* few, and not for long */
};

static struct migration *find(const struct migrations *m, const struct obj_workload_endpoint *w)
{
	struct migration *one;

	LIST_FOREACH(one, &m->list, link)
	if (strcmp(one->name, w->o.name) == 0 && strcmp(one->namespace, w->o.namespace) == 0)
		return one;
	return NULL;
}

static const struct obj_workload_endpoint *object_of(const struct migration *one)
{
	return (const void *)store_get(one->all->d->store, OBJ_WORKLOAD_ENDPOINT, one->namespace, one->name);
}

/* ---- Listening ---- */

static void stop_listening(struct migration *one)
{
	for (size_t i = 0; i < PROTOCOLS; i++) {
		if (one->ears[i].fd < 0)
			continue;
		loop_io_stop(one->all->d->loop, &one->ears[i].io);
		close(one->ears[i].fd);
		one->ears[i].fd = -1;
	}
}

static void enter(struct migration *one, enum live_migration state)
{
	static const char *const names[] = {[MIGRATION_BASE] = "Base",
					    [MIGRATION_TARGET] = "Target",
					    [MIGRATION_LIVE] = "Live",
					    [MIGRATION_TIME_WAIT] = "TimeWait"};
	const struct obj_workload_endpoint *w = object_of(one);

	if (state != MIGRATION_TARGET)
		stop_listening(one);
	if (state == one->state)
		return;
	log_info("cluster", "live migration of %s/%s: %s, was %s", one->namespace, one->name, names[state],
		 names[one->state]);
	one->state = state;
	if (w)
		one->all->on_change(one->all->arg, w);
}

bool migration_is_heard(const struct obj_workload_endpoint *w, bool arp, const uint8_t *packet, size_t len)
{
	struct rd r = rd_make(packet, len);
	uint16_t hardware = rd_u16(&r), protocol = rd_u16(&r);
	uint8_t hardware_len = rd_u8(&r), protocol_len = rd_u8(&r), sender[4], target[4];
	struct addr a;

	rd_u16(&r); /* request or reply: both are in use */
	rd_take(&r, 6);
	rd_bytes(&r, sender, sizeof sender);
	rd_take(&r, 6);
	rd_bytes(&r, target, sizeof target);
	if (r.bad || hardware != HARDWARE_ETHERNET || protocol != ETH_P_IP || hardware_len != 6 || protocol_len != 4)
		return false;
	/* A hypervisor knows no addresses, and sends RARP. */
	if (!arp)
		return true;
	a = addr_make(AF_INET, sender);
	for (unsigned i = 0; memcmp(sender, target, sizeof sender) == 0 && i < w->network_count; i++)
		if (addr_equal(&w->networks[i].addr, &a))
			return true;
	return false;
}

static void on_packet(void *arg, int events)
{
	struct ear *ear = arg;
	struct migration *one = ear->migration;
	const struct obj_workload_endpoint *w = object_of(one);
	uint8_t packet[PACKET_MAX];
	ssize_t len;

	(void)events;
	while ((len = recv(ear->fd, packet, sizeof packet, MSG_DONTWAIT)) >= 0) {
		if (!w || !migration_is_heard(w, ear == &one->ears[0], packet, (size_t)len))
			continue;
		enter(one, MIGRATION_LIVE);
		return;
	}
}

static int open_ear(const struct fib_link *l, uint16_t protocol)
{
	struct sockaddr_ll to = {
	    .sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = (int)l->ifindex};
	/* Of no protocol until it is bound: nothing of other interfaces gets in. */
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error;

	if (fd >= 0 && bind(fd, (struct sockaddr *)&to, sizeof to) < 0) {
		error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

static void listen_to(struct migration *one)
{
	const struct obj_workload_endpoint *w = object_of(one);
	struct fib_link l;
	char name[16];

	if (!w || one->state != MIGRATION_TARGET)
		return;
	stop_listening(one);
	workload_interface(&one->all->d->config, w, name);
	if (!fib_link_find(one->all->d->fib, name, &l))
		return; /* it comes with the workload */
	one->error = 0;
	for (size_t i = 0; i < PROTOCOLS && !one->error; i++) {
		struct ear *ear = &one->ears[i];
		ear->fd = open_ear(&l, protocols[i]);
		if (ear->fd >= 0)
			loop_io_set(one->all->d->loop, &ear->io, ear->fd, LOOP_READ, on_packet, ear);
		else
			one->error = errno;
	}
}

void migrations_link_changed(struct migrations *m, const struct fib_link *l)
{
	struct migration *one;

	if (!l->ifindex)
		return;
	LIST_FOREACH(one, &m->list, link)
	{
		const struct obj_workload_endpoint *w = object_of(one);
		char name[16] = "";
		if (w)
			workload_interface(&m->d->config, w, name);
		if (strcmp(name, l->name) == 0)
			listen_to(one);
	}
}

/* ---- States ---- */

static void forget(struct migration *one)
{
	stop_listening(one);
	loop_timer_stop(one->all->d->loop, &one->timer);
	LIST_REMOVE(one, link);
	free(one->namespace);
	free(one->name);
	free(one);
}

static void on_timer(void *arg)
{
	struct migration *one = arg;

	enter(one, MIGRATION_BASE);
	/* One that the object still says is waiting has waited. */
	if (one->said != MIGRATION_TIME_WAIT)
		forget(one);
}

static void wait_time(struct migration *one)
{
	loop_timer_set(one->all->d->loop, &one->timer, one->all->d->config.migration_time * MONO_SEC, on_timer, one);
	enter(one, MIGRATION_TIME_WAIT);
}

static struct migration *get(struct migrations *m, const struct obj_workload_endpoint *w)
{
	struct migration *one = find(m, w);

	if (one)
		return one;
	one = mem_calloc(1, sizeof *one);
	one->all = m;
	one->namespace = mem_strdup(w->o.namespace);
	one->name = mem_strdup(w->o.name);
	for (size_t i = 0; i < PROTOCOLS; i++)
		one->ears[i] = (struct ear){.migration = one, .fd = -1};
	LIST_INSERT_HEAD(&m->list, one, link);
	return one;
}

struct came {
	const struct config *config;
	const struct prefix *prefix;
	bool it_did;
};

static void on_view(void *arg, const struct fib_view *v)
{
	struct came *came = arg;
	uint32_t elevated =
	    came->prefix->addr.af == AF_INET ? came->config->elevated_priority : came->config->elevated_priority6;

	came->it_did = came->it_did || (prefix_equal(&v->prefix, came->prefix) && v->metric == elevated);
}

/* A restart in the middle: what was here before it still has its routes in the kernel. */
static bool had_come(const struct migrations *m, const struct obj_workload_endpoint *w)
{
	struct came came = {.config = &m->d->config};

	for (unsigned i = 0; !came.it_did && i < w->network_count; i++) {
		came.prefix = &w->networks[i];
		fib_explain(m->d->fib, &w->networks[i].addr, on_view, &came);
	}
	return came.it_did;
}

static void on_target(struct migrations *m, const struct obj_workload_endpoint *w)
{
	struct migration *one = find(m, w);

	if (one && one->said == MIGRATION_TARGET) {
		listen_to(one); /* its interface may be another one */
		return;
	}
	one = get(m, w);
	loop_timer_stop(m->d->loop, &one->timer);
	one->said = MIGRATION_TARGET;
	one->state = had_come(m, w) ? MIGRATION_LIVE : MIGRATION_TARGET;
	listen_to(one);
}

void migrations_on_change(struct migrations *m, const struct obj_workload_endpoint *before,
			  const struct obj_workload_endpoint *after)
{
	struct migration *one = LIST_EMPTY(&m->list) ? NULL : find(m, after ? after : before);
	enum live_migration said = after && m->d->config.workload_routes ? after->migration : MIGRATION_BASE;
	enum live_migration was = one ? one->said : MIGRATION_BASE;

	if (said == MIGRATION_TARGET) {
		on_target(m, after);
	} else if (!after || said == MIGRATION_LIVE || !m->d->config.workload_routes) {
		if (one)
			forget(one);
	} else if (said == MIGRATION_TIME_WAIT && was != said) {
		one = get(m, after);
		one->said = said;
		wait_time(one);
	} else if (said == MIGRATION_BASE && was == MIGRATION_TARGET) {
		one->said = said;
		wait_time(one);
	} else if (said == MIGRATION_BASE && was == MIGRATION_TIME_WAIT) {
		forget(one); /* whoever says so has waited */
	}
}

enum live_migration migrations_state(const struct migrations *m, const struct obj_workload_endpoint *w)
{
	const struct migration *one = LIST_EMPTY(&m->list) ? NULL : find(m, w);

	return one ? one->state : w->migration;
}

/* ---- Life ---- */

void migrations_problems(const struct migrations *m, struct strbuf *out)
{
	const struct migration *one;

	LIST_FOREACH(one, &m->list, link)
	if (one->error && one->state == MIGRATION_TARGET)
		strbuf_printf(out,
			      "WorkloadEndpoint %s/%s: its interface cannot be listened to, so that only the object "
			      "says when it has come: %s%s\n",
			      one->namespace, one->name, strerror(one->error),
			      one->error == EPERM || one->error == EAFNOSUPPORT
				  ? ": it needs CAP_NET_RAW, and AF_PACKET in RestrictAddressFamilies"
				  : "");
}

struct migrations *migrations_new(struct daemon *d, void (*on_change)(void *arg, const struct obj_workload_endpoint *w),
				  void *arg)
{
	struct migrations *m = mem_calloc(1, sizeof *m);

	*m = (struct migrations){.d = d, .on_change = on_change, .arg = arg};
	LIST_INIT(&m->list);
	return m;
}

void migrations_free(struct migrations *m)
{
	while (!LIST_EMPTY(&m->list))
		forget(LIST_FIRST(&m->list));
	free(m);
}
