/* Two sessions with each other, a on the first engine and b on the second. */
#ifndef TESTS_SESSION_PAIR_H
#define TESTS_SESSION_PAIR_H

#include "tests/unit/session/rig.h"

#define V4 (1u << FAM_IPV4)
#define V6 (1u << FAM_IPV6)

static struct end a, b;

static inline void setup(void)
{
	rig_setup();
	memset(&a, 0, sizeof a);
	memset(&b, 0, sizeof b);
	rig_listen(0);
	rig_listen(1);
}

static inline void teardown(void)
{
	if (a.s)
		end_close(&a);
	if (b.s)
		end_close(&b);
	rig_teardown();
}

/* A dials, B waits; each configuration may be changed before. */
static inline void open_pair(const struct bgp_session_conf *ca, const struct bgp_session_conf *cb)
{
	end_open(&a, 0, ca);
	end_open(&b, 1, cb);
}

static inline void come_up(void)
{
	struct bgp_session_conf ca = rig_conf(0), cb = rig_conf(1);

	cb.passive = true;
	open_pair(&ca, &cb);
	TURN_UNTIL(is_up(&a) && is_up(&b), 3);
}

#endif
