/* Sockets as BGP needs them: who binds where, TTL and RFC 5082, RFC 2385 signatures. No state of its own. */
#ifndef BGP_SESSION_SOCKET_H
#define BGP_SESSION_SOCKET_H

#include "bgp/session/session.h"

/* All return a non-blocking, close-on-exec descriptor, or -1 with errno; *what names the step that failed. */
int socket_listen(const struct bgp_listen *at, const char **what);
/* Do listening sockets outside of VRFs also hear what arrives in them (net.ipv4.tcp_l3mdev_accept)? */
bool socket_hears_all(void);
/* Begins to connect; the descriptor becomes writable when it is decided. */
int socket_dial(const struct bgp_session_conf *conf, const char **what);
/* The next who calls; -1 with EAGAIN if nobody does. */
int socket_accept(int listening, struct bgp_caller *who);

/* The options of an accepted socket, or of a live one whose configuration changed. False with errno and *what. */
bool socket_apply(int fd, const struct bgp_session_conf *conf, const char **what);
/* RFC 2385 with all peers of this prefix: password NULL takes the key away. False with errno. */
bool socket_password(int fd, const struct prefix *remote, const char *password);
/* The same with one peer. */
bool socket_peer_password(int fd, const struct addr *remote, const char *password);
/* The error of a connect that is decided: 0 if it went through. */
int socket_error(int fd);
struct addr socket_local(int fd);
/* Of a connected socket; 0 if unknown. */
void socket_ports(int fd, uint16_t *local, uint16_t *remote);
/* Closes it without a RST, which might overtake what was written, for a KEEPALIVE that nobody has read. */
void socket_close(int fd);
/* Octets written but not acknowledged by the peer. */
unsigned socket_unacked(int fd);
/* It becomes readable by so many octets (SO_RCVLOWAT), or by its end. False with errno. */
bool socket_readable_at(int fd, int octets);
/* ns since the peer's last octets came; UINT64_MAX if unknown. */
uint64_t socket_quiet(int fd);

#endif
