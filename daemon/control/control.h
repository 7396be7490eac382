/* The control socket: where `calidris` asks and the daemon answers.
 *
 * A client connects, writes one line, "[json ]COMMAND WORDS\n", and reads: first a line that is "ok", "error MESSAGE"
 * (the command could not be done) or "usage MESSAGE" (there is no such command, or not with these arguments), then the
 * answer's body until the daemon closes. Text bodies hold tab-separated cells that the client aligns (out.h).
 *
 * A command that gives a file (dump) has "data" as its first line instead of "ok". Pieces follow: a length of 4 octets,
 * most significant first, and so many octets; the file is whole when a length of 0 has come, and only then. The file is
 * the client's to write: for the daemon its name is always "-".
 *
 * Clients are not trusted: lines, their number and the time they may do nothing are bounded, and a body is made piece
 * by piece, only as far as the client reads it. */
#ifndef DAEMON_CONTROL_CONTROL_H
#define DAEMON_CONTROL_CONTROL_H

#include <stddef.h>

/* Where the socket is unless configured otherwise. */
#define CONTROL_SOCKET "/run/calidris/calidris.sock"
/* The longest command line, newline included. */
#define CONTROL_LINE_MAX 1024u
/* Clients at a time; further ones are told so and closed. */
#define CONTROL_CLIENTS_MAX 32u

struct control;
struct daemon;

/* Listens on d->config.control_socket, making its directory if that is missing. NULL with a message in err: another
 * daemon answers there, or the system refuses. */
struct control *control_new(struct daemon *d, char *err, size_t err_size);
/* Closes all clients and removes the socket. */
void control_free(struct control *c);

#endif
