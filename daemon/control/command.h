/* Commands: what a line from a client asks for, and the functions that answer. */
#ifndef DAEMON_CONTROL_COMMAND_H
#define DAEMON_CONTROL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/control/command_table.h"
#include "daemon/control/out.h"

struct daemon;
struct command;

#define REQUEST_WORDS 8u

/* A command being answered. */
struct request {
	struct daemon *d;
	const struct command *command;
	bool json;
	unsigned argc;
	const char *argv[REQUEST_WORDS]; /* after the command's own words; borrows the line */
	const char *table; /* the instance that is asked about (show.h), borrows the line; NULL: the main one */
	struct out out;
	struct strbuf *data; /* where a command that gives a file's octets adds them */
	/* Set by a command that fails: one line for the client, and more lines below it if there are. */
	char error[256];
	struct strbuf details;
	/* Where a long answer goes on; each command's own use. */
	void *state;
	void (*free_state)(void *state);
};

struct command_ops {
	/* Answers, or begins to. False, with error filled and nothing written, if it cannot. */
	bool (*start)(struct request *r);
	/* The next piece of a long answer, some kilobytes; false when that was the last one. NULL: start() does it all.
	 */
	bool (*more)(struct request *r);
	/* more() gives the octets of a file, which go to r->data; nothing goes to r->out. */
	bool is_data;
	/* It takes away what must not be lost by a slip of the keyboard: no abbreviations. */
	bool in_full;
};

struct command {
	const char *words, *args;
	unsigned min_args, max_args;
	const char *help;
	const struct command_ops *ops;
};

/* Reads a command line (without its newline), and writes NULs into it. False with a message for the client in r->error
 * if it asks for nothing that there is. r is to be zero but for d. */
bool request_parse(struct request *r, char *line);
void request_free(struct request *r);

#define COMMAND_DECLARE(words, args, min, max, help, ops) extern const struct command_ops command_##ops;
COMMAND_TABLE(COMMAND_DECLARE)
#undef COMMAND_DECLARE

#endif
