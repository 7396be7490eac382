/* What the files of the client share. */
#ifndef DAEMON_CLIENT_CLIENT_H
#define DAEMON_CLIENT_CLIENT_H

/* How long a daemon may say nothing. It answers within milliseconds, unless it is stopped or stuck. */
#define CLIENT_PATIENCE_MS 30000

#endif
