/* Giving up what is not needed: an ordinary user with the three capabilities that routing needs. */
#ifndef DAEMON_PRIVILEGES_H
#define DAEMON_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>

/* Becomes `user`, keeping CAP_NET_ADMIN, CAP_NET_BIND_SERVICE and CAP_NET_RAW as far as it had them. False with err
 * filled if the user does not exist or the kernel refuses. */
bool privileges_drop(const char *user, char *err, size_t err_size);

#endif
