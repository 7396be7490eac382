#include "daemon/peers/peer_conf.h"

#include <string.h>

#include "daemon/peers/dynamic.h"
#include "daemon/peers/link.h"
#include "daemon/peers/liveness.h"
#include "daemon/policy/policies.h"

static enum add_path_mode add_path_mode(const struct config *c, const struct peer_want *w)
{
	enum add_path_mode mode = w->opt.add_path == ADD_PATH_AUTO ? c->add_path : w->opt.add_path;

	if (mode != ADD_PATH_AUTO)
		return mode;
	return w->rr_client ? ADD_PATH_BOTH : ADD_PATH_RECEIVE;
}

/* RFC 8950. Over IPv6 we offer the address that the session proves to work; on a link IPv4 routes have nothing else to
 * lead to. */
static bool ext_next_hop(const struct peer_want *w)
{
	if (w->opt.ext_next_hop == CHOICE_AUTO)
		return w->interface || w->remote.af == AF_INET6;
	return w->opt.ext_next_hop == CHOICE_ON;
}

void peer_session_conf(const struct peer *p, const struct peer_common *s, struct bgp_session_conf *out)
{
	const struct peer_want *w = &p->want;
	const struct config *c = &s->d->config;
	enum add_path_mode add_path = add_path_mode(c, w);
	struct addr remote = link_remote(p);

	*out = (struct bgp_session_conf){
	    .name = w->name,
	    .remote = remote,
	    .remote_port = w->remote_port,
	    .local = w->local,
	    .local_as = w->local_as,
	    .remote_as = w->remote_as,
	    .router_id = s->router_id,
	    .hold_time = w->hold_time,
	    .keepalive_time = w->keepalive_time,
	    .connect_retry = (uint16_t)c->connect_retry_time,
	    .idle_hold = (uint16_t)c->idle_hold_time,
	    .idle_hold_max = (uint16_t)c->idle_hold_max,
	    .send_hold = (uint16_t)c->send_hold_time,
	    .passive = w->passive || p->held == PEER_HELD_PASSIVE || addr_is_none(&remote) || liveness_holds_back(p),
	    /* Nobody forwards packets to link-local addresses, and 255 passes a peer's RFC 5082 check. */
	    .ttl = w->ttl_security || p->link ? 255 : 64,
	    .min_ttl = w->ttl_security ? (uint8_t)(256 - w->ttl_security) : 0,
	    .password = w->password,
	    .families = w->families,
	    .add_path_tx = add_path == ADD_PATH_SEND || add_path == ADD_PATH_BOTH,
	    .add_path_rx = add_path == ADD_PATH_RECEIVE || add_path == ADD_PATH_BOTH,
	    .ext_next_hop = ext_next_hop(w),
	    .extended_messages = c->extended_messages,
	    .any_first_as = w->opt.first_as == CHOICE_OFF,
	    .gr = c->graceful_restart,
	    .gr_time = w->restart_time,
	    /* The kernel keeps forwarding whatever happens to this process: from the first boot on. */
	    .gr_forwarding = w->families,
	    .llgr = c->graceful_restart,
	    .llgr_time = w->opt.llgr_time ? w->opt.llgr_time : c->llgr_time,
	    .admin_down = p->held == PEER_HELD_DOWN || w->opt.shutdown || p->limit.down,
	    .shutdown_text = p->held == PEER_HELD_DOWN ? s->held_text
			     : p->limit.down	       ? p->limit.down->text
						       : w->shutdown_text,
	    .range = p->range ? dynamic_bgp_range(p->range) : NULL,
	};
	if (w->interface)
		strncpy(out->ifname, w->interface, sizeof out->ifname - 1);
	memcpy(out->vrf, w->opt.vrf, sizeof out->vrf);
}

struct rib_peer_conf peer_rib_conf(const struct peer *p, const struct peer_common *s)
{
	const struct peer_want *w = &p->want;
	struct rib_peer_conf c = {
	    .remote = link_remote(p),
	    .other = w->other,
	    .remote_as = p->as,
	    .local_as = w->local_as,
	    .ebgp = p->as != w->local_as,
	    .rr_client = w->rr_client && p->as == w->local_as,
	    .cluster_id = s->cluster_id,
	    .our_router_id = s->router_id,
	    .node_as = w->local_as != s->as ? s->as : 0,
	    .allowed_local_as = w->allowed_local_as,
	    .prepend = w->opt.prepend,
	    .add_path_limit = w->opt.add_path_limit,
	    .graceful_shutdown = s->graceful_shutdown || w->opt.graceful_shutdown,
	    .avoid = w->opt.graceful_shutdown,
	    .honour_graceful_shutdown = s->d->config.honour_graceful_shutdown,
	};

	if (s->policies) {
		const struct peer_policy *policy = policies_get(s->policies, w->filters);

		c.import = policy->import;
		c.export = policy->export;
	}

	switch (w->next_hop_mode) {
	case NEXT_HOP_SELF:
		c.next_hop_mode = RIB_NEXT_HOP_SELF;
		break;
	case NEXT_HOP_KEEP:
		c.next_hop_mode = RIB_NEXT_HOP_KEEP;
		break;
	case NEXT_HOP_AUTO:
		c.next_hop_mode = RIB_NEXT_HOP_AUTO;
		break;
	}
	strncpy(c.name, w->name, sizeof c.name - 1);
	return c;
}

/* RFC 2545 3 on a link: this node's address if it is one of the link, and the link-local one. */
static void link_self(const struct fib *f, struct bgp_nexthop self[FAM_COUNT], const struct addr *local)
{
	struct bgp_nexthop *six = &self[FAM_IPV6];

	if (fib_link_has(f, addr_scope(local), &six->addr))
		six->link_local = *local;
	else
		six->addr = *local;
}

void peer_self(const struct peer *p, const struct peer_common *s, struct bgp_nexthop self[FAM_COUNT])
{
	struct bgp_session_info info = bgp_session_info(p->session);

	memcpy(self, s->self, sizeof s->self);
	if (addr_scope(&info.local))
		link_self(s->d->fib, self, &info.local);
	else if (!addr_is_none(&info.local))
		/* On its own family the session's address is what the peer can reach us by. */
		self[family_of_af(info.local.af)].addr = info.local;
	/* RFC 8950: over IPv6 it is so for IPv4 routes, too; the node may have no IPv4. */
	if (info.local.af == AF_INET6 && bgp_session_codec(p->session)->ext_next_hop >> FAM_IPV4 & 1)
		self[FAM_IPV4] = self[FAM_IPV6];
}
