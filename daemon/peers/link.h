/* Peers on a link: those with a link-local address, and those of which only the interface is known (unnumbered), whose
 * address comes from their router advertisements or from their call. Interfaces may come, go and change their names. */
#ifndef DAEMON_PEERS_LINK_H
#define DAEMON_PEERS_LINK_H

#include "daemon/peers/speaker.h"

struct link_peers;

struct link_peers *link_peers_new(struct daemon *d);
/* After the last peer. */
void link_peers_free(struct link_peers *l);

/* The peer begins, ends, or has another want. Peers without an interface are none of this. */
void link_join(struct link_peers *l, struct peer *p);
void link_leave(struct peer *p);
void link_configure(struct peer *p);
/* Where the peer is now: its address, on its link. Without a scope while there is no such interface; none while an
 * unnumbered peer has not been heard of. */
struct addr link_remote(const struct peer *p);
bool link_is_unnumbered(const struct peer_want *w);
/* What keeps us from dialling it, for people: "there is no interface eth7"; NULL if nothing. */
const char *link_wait(const struct peer *p, char *buf, size_t size);

/* See fib_ops. */
void link_changed(struct link_peers *l, const struct fib_link *link, const char *old_name);

#endif
