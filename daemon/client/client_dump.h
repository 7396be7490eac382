/* calidris: files that the daemon makes and this side writes. */
#ifndef DAEMON_CLIENT_CLIENT_DUMP_H
#define DAEMON_CLIENT_CLIENT_DUMP_H

#include <stdbool.h>
#include <stddef.h>

/* Is this a command whose last word names a file of ours? The daemon's answer is believed only then: it runs as another
 * user, and must not choose what we write to. */
bool client_dump_asked(char *const *words, int count);

/* Takes the pieces of a file from the daemon's socket, of which `got` came already, and writes them: into a temporary
 * file beside `path` that gets its name when all is there, or into what `path` is if that is no ordinary file; "-" is
 * standard output. Says what is wrong. Returns 0, an errno if the daemon stopped before the end (its side is at fault),
 * or -1 if the file could not be written. */
int client_dump_receive(int fd, const void *got, size_t len, const char *path);

#endif
