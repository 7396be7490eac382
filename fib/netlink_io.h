/* What netlink.c is made of: sockets, answers, and the reader of dumps. */
#ifndef FIB_NETLINK_IO_H
#define FIB_NETLINK_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/loop.h"
#include "fib/netlink.h"

struct nl_sock;

/* A connected, non-blocking rtnetlink socket with extended acknowledgements, or NULL with errno. multicast: for events,
 * which need no sequence of their own. */
struct nl_sock *netlink_open(bool multicast);
/* Asks for a receive buffer of this size, by force if we may. */
void netlink_grow_buffer(struct nl_sock *s, int bytes);
/* The receive buffer's real size. */
int netlink_buffer(struct nl_sock *s);
/* NLMSG_ERROR (or the DONE of a dump): the errno, 0 for an acknowledgement, and the kernel's text. False if it is
 * neither. */
bool netlink_parse_error(struct nlmsghdr *h, int *error, char *text, size_t text_size);

/* Reads one dump at a time on a socket that lives as long as the dump. */
struct netlink_dumper {
	struct loop *loop;
	struct nl_sock *sock;
	struct loop_io io;
	const struct netlink_dump *dump;
	void *arg;
	uint8_t *buf;
	size_t size;
	bool interrupted;
	struct loop_timer retry;
};
void netlink_dumper_init(struct netlink_dumper *d, struct loop *loop);
void netlink_dumper_start(struct netlink_dumper *d, const struct netlink_dump *dump, void *arg);
bool netlink_dumper_wait(struct netlink_dumper *d);
void netlink_dumper_stop(struct netlink_dumper *d);

#endif
