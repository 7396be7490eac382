/* What the show commands share. */
#ifndef DAEMON_SHOW_SHOW_H
#define DAEMON_SHOW_SHOW_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/addr.h"
#include "daemon/control/command.h"
#include "daemon/daemon.h"

/* Rows or prefixes of a long answer's next piece. */
#define SHOW_PIECE 64u
/* Tables up to this many prefixes are shown sorted; sorting larger ones would cost memory just for looking at them. */
#define SHOW_SORT_MAX 20000u

/* What a sorted answer goes through: prefixes, with the place in the table they were found at. */
struct show_rows {
	struct show_row {
		struct prefix prefix;
		uint64_t pos;
	} * rows;
	unsigned count, cap, next;
};
void show_rows_add(struct show_rows *s, const struct prefix *p, uint64_t pos);
void show_rows_sort(struct show_rows *s);
void show_rows_free(struct show_rows *s);

/* Takes "table NAME" (also "vrf NAME") out of the arguments. False, with r->error filled, if there is no such table. */
bool show_take_table(struct request *r);
/* The RIB and FIB that are asked about; NULL if the table went meanwhile. */
struct rib *show_rib(const struct request *r);
struct fib *show_fib(const struct request *r);
/* Who it is of, NULL the main one; meaningless if the table went. */
struct instance *show_instance(const struct request *r);
/* Its VRF and the number of its table as values of the open row or section, for programs. */
void show_table(struct request *r, const struct instance *i);
/* A route of the RIB as values of the open row. verbose: in text too, why it is not used. */
void show_route(struct request *r, const struct rib_view *v, bool verbose);
/* The name of the peer that sent it, or "local". */
const char *show_route_from(const struct request *r, const struct rib_route *route);
/* A kernel route or intent as values of the open row. */
void show_kernel_route(struct request *r, const struct fib_view *v);
/* A row for each peer, a piece at a time: begin at the start, more until it is false. */
struct peer;
void show_peers_begin(struct request *r);
bool show_peers_more(struct request *r, void (*put)(struct request *r, const struct peer *p));
/* A section with what BFD says of the peer. */
void show_bfd_of_peer(struct request *r, const struct peer *p);
/* "namespace/name", or the name alone. */
void show_object_name(struct strbuf *out, const struct object *o);
/* Where the object stands: in text without the datastore's directory, which all have in common. */
void show_source(struct request *r, const struct object *o);
/* Everything that is wrong, a line each. */
void show_collect_problems(struct daemon *d, struct strbuf *out);
/* Nanoseconds since an instant; 0 if that is to come. */
uint64_t show_age(uint64_t since);

#endif
