/* Whose table a fib writes: the one it was given, or that of a VRF device, which may come, go, and come back with
 * another table (a device keeps its table for life, but not its name's). And which tables an earlier run has left
 * routes in: the start looks into all of them once. The protocol's number alone does not say that a table is ours, as
 * others (FRR) have the same: so a table that is, besides the first fib's, has a mark, a route that nobody else makes.
 */
#include <netlink/msg.h>
#include <string.h>

#include "fib/kernel.h"
#include "fib/state.h"

static const struct link *device(const struct fib *f)
{
	const struct link *l = f->vrf[0] ? links_by_name(&f->links, f->vrf) : NULL;

	return l && l->vrf_table ? l : NULL;
}

uint32_t vrf_table(const struct fib *f)
{
	const struct link *l = device(f);

	return l ? l->vrf_table : 0;
}

uint32_t vrf_ifindex(const struct fib *f)
{
	const struct link *l = device(f);

	return l ? l->ifindex : 0;
}

void vrf_follow(struct fib *f)
{
	uint32_t table = f->vrf[0] ? vrf_table(f) : f->conf.table;

	if (table == f->conf.table)
		return;
	leave_table(f);
	f->conf.table = table;
	resolve_all(f);
	check_all(f);
	/* While the links are being read, the routes come next anyway. */
	if (!f->resync.running || f->resync.stage > 0)
		kernel_resync(f);
}

bool vrf_is_own(const struct fib *f, const struct addr *a)
{
	return links_is_own_in(&f->links, a, vrf_ifindex(f));
}

/* RFC 7600's dummy address: nobody sends packets to it, and nobody announces it. */
static struct prefix mark(void)
{
	struct addr dummy = addr_from_u32(0xc0000008);

	return prefix_make(&dummy, 32);
}

void fib_mark_table(struct fib *f)
{
	fib_set(f, &(struct fib_route){.prefix = mark(), .class = FIB_BLOCK, .type = FIB_BLACKHOLE});
}

void vrf_note_table(struct fib *f, const struct nlmsghdr *h)
{
	const struct rtmsg *rtm = nlmsg_data(h);
	struct prefix of_ours = mark();
	struct rtmsg_route m;

	if (f->resync.started || f->conf.routes_only || !nlmsg_valid_hdr(h, sizeof *rtm) ||
	    rtm->rtm_protocol != f->conf.protocol || rtm->rtm_type != RTN_BLACKHOLE || !rtmsg_parse_route(h, &m) ||
	    !prefix_equal(&m.prefix, &of_ours) || m.to.key.table == f->conf.table)
		return;
	for (unsigned i = 0; i < f->other_table_count; i++)
		if (f->other_tables[i] == m.to.key.table)
			return;
	if (f->other_table_count < OTHER_TABLES)
		f->other_tables[f->other_table_count++] = m.to.key.table;
}

unsigned fib_other_tables(const struct fib *f, uint32_t *out, unsigned max)
{
	unsigned n = f->other_table_count < max ? f->other_table_count : max;

	memcpy(out, f->other_tables, n * sizeof *out);
	return n;
}

uint32_t fib_table(const struct fib *f)
{
	return f->conf.table;
}
