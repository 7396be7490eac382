/* A victim whose peer is idle: see bgp/session/timers.c. */
#ifndef TESTS_SESSION_DOZE_H
#define TESTS_SESSION_DOZE_H

#include <poll.h>

#include "bgp/session/internal.h"
#include "tests/unit/session/victim.h"

static const uint8_t empty_update[4];

static inline struct conn *conn(void)
{
	ck_assert(is_up(&victim));
	return victim.s->own.conn;
}

static inline bool readable(void)
{
	struct pollfd p = {.fd = conn()->fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static inline int lies_there(void)
{
	int n = 0;

	ck_assert_int_eq(ioctl(conn()->fd, FIONREAD, &n), 0);
	return n;
}

static inline unsigned keepalives(void)
{
	return (unsigned)bgp_session_info(victim.s).messages_in[BGP_KEEPALIVE];
}

/* As if its own KEEPALIVE were due already: it falls asleep, or has a look. */
static inline void nod_off(void)
{
	struct conn *c = conn();

	c->keepalive_gap = 0;
	conn_timer_arm(c);
	TURN_UNTIL(c->keepalive_gap && !c->ready, 2);
}

/* Established with KEEPALIVEs each second. */
static inline void stay_awake(uint16_t hold_time)
{
	struct bgp_session_conf conf = raw_conf();
	struct bgp_open o = raw_open();

	o.hold_time = hold_time;
	conf.keepalive_time = 1;
	open_victim(&conf);
	raw_connect(peer, PEER, HERE);
	raw_establish(peer, &victim, &o);
	ck_assert(!conn()->dozing);
}

static inline void fall_asleep(uint16_t hold_time)
{
	stay_awake(hold_time);
	nod_off();
	ck_assert(conn()->dozing);
}

/* The same, and it would sleep for half a minute, with a KEEPALIVE lying there or not. */
static inline void sleep_well(bool keepalive)
{
	struct bgp_session_conf conf;

	fall_asleep(90);
	conf = *bgp_session_config(victim.s);
	conf.keepalive_time = 30;
	bgp_session_configure(victim.s, &conf);
	if (keepalive)
		raw_send_keepalive(peer);
	TURN_UNTIL(lies_there() == (keepalive ? (int)BGP_HEADER_LEN : 0), 2);
	ck_assert(!readable());
}

static inline void wait_for(uint64_t ns)
{
	uint64_t until = mono_now() + ns;

	while (mono_now() < until)
		loop_turn(rig.loop, true);
}

/* A KEEPALIVE comes between two looks, and is read by the second: when it came. */
static inline uint64_t keepalive_is_read(void)
{
	unsigned before = keepalives();
	uint64_t came;

	wait_for(700 * MONO_MSEC);
	came = mono_now();
	raw_send_keepalive(peer);
	TURN_UNTIL(keepalives() == before + 1, 2);
	return came;
}

static inline bool has_ended(void)
{
	return victim.down == 1;
}

#endif
