/* Who is at the other end of a link: router advertisements (RFC 4861), as unnumbered peers find each other by them.
 *
 * On each watched link advertisements with a router lifetime of 0 go out (nobody takes this node for a default router
 * by them), at once, when somebody solicits them, and every few seconds; and those of others are reported. One raw
 * socket, which is open only while a link is watched; it needs CAP_NET_RAW. */
#ifndef BGP_SESSION_RADV_H
#define BGP_SESSION_RADV_H

#include "daemon/base/addr.h"
#include "daemon/base/loop.h"
#include "daemon/base/wire.h"

struct radv;

/* What an ICMPv6 message is: RFC 4861 6.1.1, 6.1.2. The kernel has checked the checksum. */
enum radv_kind { RADV_OF_NO_USE, RADV_SOLICITATION, RADV_ADVERTISEMENT };
enum radv_kind radv_judge(struct rd message, int hop_limit, const struct addr *from);

/* on_router: a router on a watched link said that it is there; its address has the link as scope. */
struct radv *radv_new(struct loop *loop, void (*on_router)(void *arg, const struct addr *router), void *arg);
void radv_free(struct radv *r);
/* From now on until unwatched as often. False with errno if the socket cannot be opened, or the link not joined. */
bool radv_watch(struct radv *r, uint32_t ifindex);
void radv_unwatch(struct radv *r, uint32_t ifindex);
/* The link is up: says so at once, not when it is time. */
void radv_hurry(struct radv *r, uint32_t ifindex);

#endif
