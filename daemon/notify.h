/* The supervisor: systemd's notification socket (sd_notify(3)) without libsystemd, which would cost more memory than
 * the whole protocol of one datagram. All of it does nothing when NOTIFY_SOCKET is not set. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stdint.h>

/* Sends lines such as "READY=1\nSTATUS=...". */
void notify_send(const char *lines);
/* Half of WATCHDOG_USEC in ns if the watchdog is meant for this process, else 0. */
uint64_t notify_watchdog_interval(void);

#endif
