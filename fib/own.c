/* Addresses that this node answers to and that are of no network: on the loopback interface, as whole addresses. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "fib/state.h"

static void put_address(void *arg, struct wr *w)
{
	rtmsg_put_addr(w, arg);
}

static void no_answer(void *arg, const struct nlmsghdr *h)
{
	(void)arg;
	(void)h;
}

static int ask(struct fib *f, uint16_t type, uint16_t flags, const struct addr *a)
{
	const struct link *lo = links_by_name(&f->links, "lo");
	struct rtmsg_addr m = {.addr = *a, .len = (uint8_t)addr_bits(a->af)};

	if (!lo)
		return ENODEV;
	m.ifindex = lo->ifindex;
	return netlink_ask(type, flags | NLM_F_ACK, put_address, no_answer, &m);
}

static void add(struct fib *f, const struct addr *a)
{
	int error = ask(f, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, a);
	char text[ADDR_STRLEN], key[ADDR_STRLEN + 8];

	snprintf(key, sizeof key, "own %s", addr_format(a, text));
	if (error && error != EEXIST)
		problem_set(f, key, "lo: the address %s cannot be added: %s", text, strerror(error));
	else
		problem_clear(f, key);
}

static void forget(struct fib *f, const struct addr *a)
{
	char text[ADDR_STRLEN], key[ADDR_STRLEN + 8];

	snprintf(key, sizeof key, "own %s", addr_format(a, text));
	problem_clear(f, key);
	ask(f, RTM_DELADDR, 0, a);
}

void fib_own_address_set(struct fib *f, enum family family, const struct addr *a)
{
	struct addr old = f->own[family];

	if (!f->conf.programming || addr_equal(&old, a))
		return;
	f->own[family] = *a;
	if (!addr_is_none(&old))
		forget(f, &old);
	/* One that an interface has already needs nothing. */
	if (!addr_is_none(a) && !links_is_own(&f->links, a))
		add(f, a);
}

void own_lost(struct fib *f, const struct addr *a)
{
	if (addr_equal(a, &f->own[family_of_af(a->af)]) && !links_is_own(&f->links, a))
		add(f, a);
}

void own_teardown(struct fib *f)
{
	for (int k = 0; k < FAM_COUNT; k++)
		fib_own_address_set(f, (enum family)k, &(struct addr){0});
}
