/* BFD's UDP sockets: the system calls, and nothing of the protocol but its ports and TTL. */
#ifndef BGP_BFD_SOCKET_H
#define BGP_BFD_SOCKET_H

#include "bgp/bfd/bfd.h"

#define BFD_PORT 3784	       /* RFC 5881 4 */
#define BFD_PORT_MULTIHOP 4784 /* RFC 5883 5 */
#define BFD_SOURCE_PORT 49152  /* the first of those to send from; the last is 65535 */
#define BFD_SOURCE_PORTS 16384

/* Both give a descriptor, or -1 with errno and in *what what was tried. */
int bfd_socket_listen(const struct addr *a, uint16_t port, const char **what);
/* Sends to conf's remote, from this port, and through this interface unless 0. */
int bfd_socket_dial(const struct bfd_session_conf *conf, uint32_t ifindex, uint16_t port, const char **what);
void bfd_socket_close(int fd);
/* False with errno. */
bool bfd_socket_send(int fd, struct span packet);
/* The own address of a socket that sends. */
struct addr bfd_socket_local(int fd);

/* A received datagram; data is valid until the next call for the batch. */
struct bfd_datagram {
	struct span data;
	struct addr from, to;
	uint32_t ifindex;
	uint32_t overflows; /* of this socket since it was opened; only if has_overflows */
	bool has_overflows;
	int ttl; /* -1 if the kernel did not say */
};

/* Room for what one system call brings. */
struct bfd_batch;
#define BFD_BATCH 64
struct bfd_batch *bfd_batch_new(void);
void bfd_batch_free(struct bfd_batch *b);
/* How many came, 0 for none; fewer than BFD_BATCH means that no more are there. */
unsigned bfd_batch_receive(struct bfd_batch *b, int fd);
struct bfd_datagram bfd_batch_get(struct bfd_batch *b, unsigned i);

#endif
