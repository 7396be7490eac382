/* Three netlink sockets: requests that go out in batches, events that come in, and one for dumps while a dump runs.
 *
 * Requests: many messages go out in one sendmsg(). Only the last asks for an acknowledgement; the kernel works through
 * the batch in order and answers failures at once, so an answer for sequence number n says that everything before n
 * that was not answered went well. The events that a request caused are delivered before its completion is: whoever
 * follows the events knows the outcome when on_done comes, in the kernel's order, also when others changed the same
 * route meanwhile.
 *
 * Nothing here blocks, except netlink_dump_wait() and netlink_ask(). */
#ifndef FIB_NETLINK_H
#define FIB_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/loop.h"
#include "daemon/base/wire.h"

struct netlink;
struct nlmsghdr;

struct netlink_ops {
	/* A change in the kernel. */
	void (*on_event)(void *arg, const struct nlmsghdr *h);
	/* Events were lost. What came before has been delivered; a dump started now is not older than what comes. */
	void (*on_overrun)(void *arg);
	/* A request came to its end: error is 0 or an errno, text what the kernel said about it (may be empty). */
	void (*on_done)(void *arg, void *cookie, int error, const char *text);
	/* There is room for requests again. */
	void (*on_room)(void *arg);
};

struct netlink_stats {
	uint64_t batches, last_batch_ns;
};

/* NULL with a message in err if a socket cannot be had. */
struct netlink *netlink_new(struct loop *loop, const struct netlink_ops *ops, void *arg, char *err, size_t err_size);
void netlink_free(struct netlink *n);
/* Our port on the request socket: events that we caused carry it. */
uint32_t netlink_port(const struct netlink *n);
const struct netlink_stats *netlink_stats(const struct netlink *n);

/* May another request be made now? If not, on_room comes when it may. */
bool netlink_has_room(const struct netlink *n);
/* Begins a request: write the body into what is returned, then call netlink_end(). Call only if there is room. */
struct wr *netlink_begin(struct netlink *n, uint16_t type, uint16_t flags, void *cookie);
/* Ends the request. False if it was too large for any batch: it is forgotten, there will be no on_done. */
bool netlink_end(struct netlink *n);
/* Sends what was collected. */
void netlink_flush(struct netlink *n);
/* From now on what is collected is sent by a thread, as the table has become so large that the kernel may take long
 * over it (see sender.h). */
void netlink_use_thread(struct netlink *n);

/* From now on events of neighbours come, too: permanent entries that are made or changed, and all that go. */
void netlink_follow_neighbours(struct netlink *n);

/* One dump at a time. put writes the request's body; each message goes to on_message, then on_end is called with 0, an
 * errno, or EINTR if the kernel says that the dump is inconsistent. on_end may start the next dump. */
struct netlink_dump {
	uint16_t type;
	void (*put)(void *arg, struct wr *w);
	void (*on_message)(void *arg, const struct nlmsghdr *h);
	void (*on_end)(void *arg, int error);
};
void netlink_dump(struct netlink *n, const struct netlink_dump *d, void *arg);
/* Reads until no dump is running (at start, before the loop runs). False if the kernel stopped answering. */
bool netlink_dump_wait(struct netlink *n);

/* One request and its answer on a socket of its own, waiting at most a second. Returns 0 with the answer passed to
 * on_answer (if it is not a mere acknowledgement), or an errno. */
int netlink_ask(uint16_t type, uint16_t flags, void (*put)(void *arg, struct wr *w),
		void (*on_answer)(void *arg, const struct nlmsghdr *h), void *arg);

/* The event socket, for tests that lose events on purpose. */
int netlink_event_fd(const struct netlink *n);

#endif
