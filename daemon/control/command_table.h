/* The commands of the control socket, in the order in which help lists them. `calidris -h` prints the same table.
 *
 * X(words, arguments, fewest, most arguments, help, implementation): a line of help must not be longer than 100
 * characters with the words before it. */
#ifndef DAEMON_CONTROL_COMMAND_TABLE_H
#define DAEMON_CONTROL_COMMAND_TABLE_H

#define COMMAND_TABLE(X)                                                                                               \
	X("show status", "", 0, 0, "this node, its datastore, peers and routes, and what is wrong", show_status)       \
	X("show peers", "[NAME]", 0, 1, "the BGP sessions; with a name or address, all about one", show_peers)         \
	X("show dynamic", "", 0, 0, "ranges of peers that may connect, and how many have", show_dynamic)               \
	X("show bfd", "[NAME]", 0, 1, "the BFD sessions; with a name or address, all about one", show_bfd)             \
	X("show routes", "[PREFIX|ADDRESS] [all] [table NAME]", 0, 4, "the selected ones; all: every one, and why",    \
	  show_routes)                                                                                                 \
	X("show kernel", "[table NAME]", 0, 2, "the routes wanted in the kernel, and how they are there", show_kernel) \
	X("show takeover", "", 0, 0, "what taking over BIRD's and Felix's routes would change", show_takeover)         \
	X("show bmp", "", 0, 0, "the BMP stations reported to", show_bmp)                                              \
	X("show objects", "[KIND]", 0, 1, "the cluster's objects, and where they are from", show_objects)              \
	X("show services", "", 0, 0, "which addresses of Services are announced, and why", show_services)              \
	X("show problems", "", 0, 0, "what keeps this node from working fully", show_problems)                         \
	X("show memory", "", 0, 0, "what the memory is used for", show_memory)                                         \
	X("show loop", "", 0, 0, "how long turns of the daemon's loop took: a histogram", show_loop)                   \
	X("explain", "ADDRESS [table NAME]", 1, 3, "this address from the object to the kernel, and why", explain)     \
	X("dump mrt", "FILE", 1, 1, "all routes into an MRT table file; - is standard output", dump_mrt)               \
	X("reset", "NAME", 1, 1, "end the session with a peer and begin a new one", reset)                             \
	X("reload", "", 0, 0, "read the configuration again", reload)                                                  \
	X("teardown", "", 0, 0, "remove all that is this daemon's from the kernel, and stop it", teardown)             \
	X("help", "", 0, 0, "list the commands", help)

#endif
