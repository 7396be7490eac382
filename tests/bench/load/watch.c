#include "tests/bench/load/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_BUFFER (512 << 20)

struct watch {
	const struct plan *plan;
	int events, questions;
	bool missed;
	unsigned long writes;
	long there;
	uint8_t *have; /* of each prefix: 1 if it is there as it should be */
	uint8_t buffer[1 << 20];
};

static int netlink_socket(unsigned groups)
{
	struct sockaddr_nl name = {.nl_family = AF_NETLINK, .nl_groups = groups};
	int size = RECEIVE_BUFFER, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	if (bind(fd, (struct sockaddr *)&name, sizeof name) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

struct watch *watch_new(const struct plan *p, const char *netns)
{
	struct watch *w = calloc(1, sizeof *w);
	int back = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), there = open(netns, O_RDONLY | O_CLOEXEC);

	if (!w || back < 0 || there < 0 || setns(there, CLONE_NEWNET) < 0)
		return NULL;
	w->plan = p;
	w->have = calloc(plan_total(p), 1);
	w->events = netlink_socket(RTMGRP_IPV4_ROUTE);
	w->questions = netlink_socket(0);
	if (setns(back, CLONE_NEWNET) < 0 || !w->have || w->events < 0 || w->questions < 0)
		return NULL;
	close(back);
	close(there);
	return w;
}

int watch_fd(const struct watch *w)
{
	return w->events;
}

unsigned long watch_writes(const struct watch *w)
{
	return w->writes;
}

static void learn(struct watch *w, const struct nlmsghdr *h)
{
	const struct rtmsg *m = NLMSG_DATA(h);
	int left = (int)RTM_PAYLOAD(h);
	uint32_t network = 0, gateway = 0;
	unsigned prefix;
	bool good;

	if (m->rtm_family != AF_INET || m->rtm_table != RT_TABLE_MAIN)
		return;
	for (const struct rtattr *a = RTM_RTA(m); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == RTA_DST)
			network = get32(RTA_DATA(a));
		else if (a->rta_type == RTA_GATEWAY)
			gateway = get32(RTA_DATA(a));
	}
	prefix = plan_prefix(w->plan, network, m->rtm_dst_len);
	if (prefix == UINT32_MAX)
		return;
	w->writes += h->nlmsg_type == RTM_NEWROUTE;
	good = h->nlmsg_type == RTM_NEWROUTE && gateway == plan_client(w->plan, plan_owner(w->plan, prefix));
	w->there += good - w->have[prefix];
	w->have[prefix] = good;
}

/* One datagram's messages. False at the end of an answer. */
static bool learn_all(struct watch *w, size_t len)
{
	size_t left = len;

	for (const struct nlmsghdr *h = (const void *)w->buffer; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
		if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
			return false;
		if (h->nlmsg_type == RTM_NEWROUTE || h->nlmsg_type == RTM_DELROUTE)
			learn(w, h);
	}
	return true;
}

long watch_read(struct watch *w)
{
	for (;;) {
		ssize_t n = recv(w->events, w->buffer, sizeof w->buffer, MSG_DONTWAIT);

		if (n < 0 && errno == ENOBUFS)
			w->missed = true;
		else if (n <= 0)
			break;
		else
			learn_all(w, (size_t)n);
	}
	return w->missed ? -1 : w->there;
}

long watch_again(struct watch *w)
{
	struct {
		struct nlmsghdr h;
		struct rtmsg m;
	} ask = {.h = {.nlmsg_len = sizeof ask, .nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		 .m = {.rtm_family = AF_INET}};
	unsigned long writes = w->writes;
	ssize_t n;

	memset(w->have, 0, plan_total(w->plan));
	w->there = 0;
	if (send(w->questions, &ask, sizeof ask, 0) < 0)
		return -1;
	do
		n = recv(w->questions, w->buffer, sizeof w->buffer, 0);
	while (n > 0 && learn_all(w, (size_t)n));
	w->writes = writes;
	w->missed = false;
	return w->there;
}
