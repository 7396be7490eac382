/* The node's own addresses, for who wants to choose one. */
#include "fib/fib.h"

#include <stdlib.h>
#include <string.h>

#include "fib/state.h"

/* As the kernel lists them: by interface, and there in the order in which they came. */
static int by_place(const void *left, const void *right)
{
	const struct link_addr *a = *(struct link_addr *const *)left, *b = *(struct link_addr *const *)right;

	if (a->ifindex != b->ifindex)
		return a->ifindex < b->ifindex ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

unsigned fib_addresses(const struct fib *f, struct fib_address **out)
{
	unsigned n = 0, total = f->links.addrs.count;
	struct link_addr **list = mem_calloc(total, sizeof *list);
	uint32_t pos = 0;

	*out = mem_calloc(total, sizeof **out);
	for (struct link_addr *a; n < total && (a = htab_next(&f->links.addrs, &pos));)
		list[n++] = a;
	qsort(list, n, sizeof *list, by_place);
	for (unsigned i = 0; i < n; i++) {
		struct fib_address *to = &(*out)[i];
		char name[IFNAMSIZ];
		to->ifindex = list[i]->ifindex;
		to->addr = list[i]->addr;
		to->len = list[i]->len;
		strncpy(to->ifname, links_name(&f->links, list[i]->ifindex, name), sizeof to->ifname - 1);
	}
	free(list);
	return n;
}
