#include "fib/owners.h"

#include <linux/rtnetlink.h>

#include "fib/settings.h"
#include "fib/state.h"

#define PROTO_FELIX 80 /* its default for what is not a workload's */

/* By what their routes are known. */
static const struct maker {
	enum fib_owner owner;
	uint8_t protocol;
	bool workloads; /* only on the interfaces of workloads and tunnels: others use this protocol elsewhere */
} makers[] = {
    {FIB_OWNER_BIRD, RTPROT_BIRD, false},
    {FIB_OWNER_FELIX, PROTO_FELIX, false},
    {FIB_OWNER_FELIX, RTPROT_BOOT, true},
};

static bool is_on_workloads(const struct fib *f, const struct nhset_key *key, const struct nhop *hops)
{
	for (unsigned i = 0; i < key->count; i++) {
		const struct link *l = links_by_index(&f->links, hops[i].ifindex);
		if (!l || (!settings_is_workload(f, l->name) && !tunnels_is_device(l->name)))
			return false;
	}
	return key->count > 0;
}

bool owners_made(const struct fib *f, unsigned owners, const struct nhset_key *key, const struct nhop *hops)
{
	for (size_t i = 0; owners && i < sizeof makers / sizeof *makers; i++)
		if (owners & makers[i].owner && makers[i].protocol == key->protocol)
			return !makers[i].workloads || is_on_workloads(f, key, hops);
	return false;
}
