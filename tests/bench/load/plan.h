/* What is announced in a benchmark: every prefix and every attribute follows from a number, so that whoever receives
 * them can check each bit without having been told.
 *
 * Nothing here uses the daemon's code: an error of its codec must not hide behind the same error here. */
#ifndef TESTS_BENCH_LOAD_PLAN_H
#define TESTS_BENCH_LOAD_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	BGP_HEADER = 19,
	BGP_MESSAGE_MAX = 4096,
	MSG_OPEN = 1,
	MSG_UPDATE = 2,
	MSG_NOTIFICATION = 3,
	MSG_KEEPALIVE = 4,
	PREFIX_LEN = 26,
};

/* Client c announces the prefixes c * routes to (c + 1) * routes - 1; prefix p has the attributes of set p / per. */
struct plan {
	uint32_t as;
	uint32_t first;	  /* the first client's address, in host order; client c has first + c */
	unsigned clients; /* how many there are */
	unsigned senders; /* the first so many announce routes */
	unsigned routes;  /* of each sender; a multiple of per */
	unsigned per;	  /* prefixes for each set of attributes */
};

struct octets {
	uint8_t *at;
	size_t len, cap;
};
void octets_add(struct octets *o, const void *data, size_t len);

/* The address of a client; the network of a prefix. Host order. */
uint32_t plan_client(const struct plan *p, unsigned client);
uint32_t plan_network(unsigned prefix);
/* The prefix with this network; UINT32_MAX if it is none of the plan's. */
unsigned plan_prefix(const struct plan *p, uint32_t network, unsigned len);
unsigned plan_total(const struct plan *p);
/* Who announces it. */
unsigned plan_owner(const struct plan *p, unsigned prefix);

/* Appends messages. */
void plan_open(const struct plan *p, unsigned client, unsigned hold, struct octets *out);
void plan_keepalive(struct octets *out);
void plan_end_of_rib(struct octets *out);
/* All that a client announces. The version (below 16384) is part of each MED. */
void plan_announce(const struct plan *p, unsigned client, unsigned version, struct octets *out);
/* Only the set of this prefix. */
void plan_announce_set(const struct plan *p, unsigned prefix, unsigned version, struct octets *out);

/* What an UPDATE says. The prefixes are called back one by one; withdrawn ones with announced = false. */
struct plan_sight {
	void (*on_prefix)(void *arg, unsigned prefix, unsigned version, bool announced);
	void *arg;
	bool reflected; /* ORIGINATOR_ID and CLUSTER_LIST must be there */
};
/* Checks an UPDATE (with its header) bit by bit: NULL if it is as it should be, or what is wrong. */
const char *plan_check(const struct plan *p, const struct plan_sight *sight, const uint8_t *message, size_t len);

uint16_t get16(const uint8_t *at);
uint32_t get32(const uint8_t *at);

#endif
