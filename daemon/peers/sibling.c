#include "daemon/peers/sibling.h"

#include "daemon/peers/helper.h"

static bool established(const struct peer *p)
{
	return bgp_session_state(p->session) == BGP_ESTABLISHED;
}

static bool carries_ipv6(const struct peer *p)
{
	const struct bgp_codec *codec;

	if (!established(p))
		return false;
	codec = bgp_session_codec(p->session);
	return (codec->families & ~codec->ignored) >> FAM_IPV6 & 1;
}

bool sibling_will_deliver(const struct peer *p)
{
	return p->sibling && carries_ipv6(p->sibling) && !(p->sibling->eor >> FAM_IPV6 & 1);
}

static void check(struct peer *p)
{
	const struct peer *sibling = p->sibling;
	enum peer_held held = PEER_HELD_PASSIVE;

	if (!sibling) {
		held = PEER_NOT_HELD;
	} else if (established(sibling)) {
		bool both = carries_ipv6(sibling), delivered = both && sibling->eor >> FAM_IPV6 & 1;
		held = !both ? PEER_NOT_HELD : delivered || !established(p) ? PEER_HELD_DOWN : PEER_HELD_PASSIVE;
		if (delivered && !established(p))
			helper_end(p, 1u << FAM_IPV6);
	} else if (sibling->tried || p->held_long || p->held == PEER_NOT_HELD) {
		held = PEER_NOT_HELD;
	}
	if (held == p->held)
		return;
	p->held = held;
	speaker_refresh(p);
}

/* Or had one, in an earlier configuration. */
static bool has_sibling(const struct peer *p)
{
	return p->held || !addr_is_none(&p->want.sibling);
}

void sibling_check(struct peer *p)
{
	if (has_sibling(p))
		check(p);
	if (p->follower)
		check(p->follower);
}

void sibling_link(struct peer *p, struct peer *sibling)
{
	if (p->sibling)
		p->sibling->follower = NULL;
	/* Two nodes with the same IPv4 address: the session is only one's. */
	if (sibling && sibling->follower)
		sibling->follower->sibling = NULL;
	p->sibling = sibling;
	if (sibling)
		sibling->follower = p;
}

void sibling_leave(struct peer *p)
{
	sibling_link(p, NULL);
	if (p->follower)
		sibling_link(p->follower, NULL);
}
