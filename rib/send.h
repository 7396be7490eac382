/* What one peer has been handed of its group's stream, per family. */
#ifndef RIB_SEND_H
#define RIB_SEND_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

struct chunk;
struct stream;

/* A position in a stream's log: what is behind the rearmost of them is forgotten. */
struct reader {
	uint64_t pos;
	LIST_ENTRY(reader) link;
};

enum cursor_state {
	CURSOR_OFF,  /* no session, or not this family */
	CURSOR_WAIT, /* until the family is released and what was dirty is decided */
	CURSOR_WALK, /* over the sent state, in the order of places (adjout.h) */
	CURSOR_LOG,  /* along the log of changes */
	CURSOR_STATES
};

struct cursor {
	struct stream *stream;
	struct reader at; /* from where the log is still to be sent; in WALK and LOG */
	uint8_t state;
	bool initial;		    /* the walk is the first one: beyond it the peer has nothing */
	bool eor_due;		    /* End-of-RIB follows the walk and what was logged meanwhile */
	bool resend, resend_marked; /* another walk was asked for; between BoRR and EoRR */
	bool marked;		    /* between BoRR and EoRR */
	uint64_t next;		    /* place the walk has reached */
	uint64_t mark;		    /* WAIT: dirty nodes up to here come first */
	struct chunk *chunk;	    /* being handed out; everything above is already behind it */
	uint32_t seg;		    /* its next segment */
	/* Moving between groups: the walk sends only what differs from what the peer has of the stream it comes from.
	 */
	struct stream *from;
	struct reader from_at;
	uint64_t from_limit; /* it has nothing of places from here on */
};

#endif
