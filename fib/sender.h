/* A thread that does nothing but hand batches of requests to the kernel.
 *
 * The kernel works while it is being sent to, and a route may take it long: when the trie of a large table has to grow,
 * a single one was measured to take 100 ms (at 260,000 routes, doubling with each doubling). A loop that waits for that
 * serves nobody: BFD sessions of 3 x 50 ms end, all over a table that somebody else is loading. So large tables are
 * written from here. The thread shares nothing with the loop: a batch is its own while it is sent, then it is given
 * back. Kernels without preemption let nobody else onto the processor meanwhile, and the scheduler knows nothing of
 * that: so the thread keeps away from the one that the loop is on. It exists only once it is needed; the tables of
 * ordinary nodes are not worth it. */
#ifndef FIB_SENDER_H
#define FIB_SENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/loop.h"

struct sender;

/* Sends on this socket. on_sent is called in the loop, with 0 or an errno. NULL, and errno, if there can be no thread.
 */
struct sender *sender_new(struct loop *loop, int fd, void (*on_sent)(void *arg, int error), void *arg);
/* Waits for what is being sent; on_sent is not called any more. */
void sender_free(struct sender *s);
/* Only while it is not busy. The bytes must stay until on_sent. */
void sender_send(struct sender *s, const uint8_t *data, size_t len);
bool sender_is_busy(const struct sender *s);

/* What the thread does, for those who have none: 0 or an errno. */
int sender_send_now(int fd, const uint8_t *data, size_t len);

#endif
