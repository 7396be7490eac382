/* A session with a scripted peer, its victim, and beside it a healthy one that must not notice anything: that is
 * checked after each test. */
#ifndef TESTS_SESSION_VICTIM_H
#define TESTS_SESSION_VICTIM_H

#include "tests/unit/bgp/bytes.h"
#include "tests/unit/session/rig.h"

#define HERE "127.0.0.1"
#define PEER "127.0.0.9"
#define V4 (1u << FAM_IPV4)
#define V6 (1u << FAM_IPV6)
#define MARKER "ffffffffffffffffffffffffffffffff"

/* The victim waits for the scripted peer; a and b are the session that must not notice. */
static struct end victim, a, b;
static struct raw *peer;

static inline void setup(void)
{
	struct bgp_session_conf ca, cb;

	rig_setup();
	memset(&victim, 0, sizeof victim);
	memset(&a, 0, sizeof a);
	memset(&b, 0, sizeof b);
	rig_listen(0);
	ca = rig_conf(0);
	ca.passive = true;
	cb = rig_conf(1);
	end_open(&a, 0, &ca);
	end_open(&b, 1, &cb);
	TURN_UNTIL(is_up(&a) && is_up(&b), 3);
	peer = raw_new();
}

static inline void expect_unimpressed(void)
{
	unsigned seen = b.refreshes;

	ck_assert(is_up(&a) && is_up(&b));
	ck_assert_uint_eq(a.down + b.down, 0);
	ck_assert(bgp_session_request_refresh(a.s, FAM_IPV4));
	TURN_UNTIL(b.refreshes > seen, 2);
}

static inline void teardown(void)
{
	expect_unimpressed();
	if (victim.s)
		end_close(&victim);
	end_close(&a);
	end_close(&b);
	raw_free(peer);
	rig_teardown();
}

static inline void open_victim(const struct bgp_session_conf *conf)
{
	end_open(&victim, 0, conf);
}

static inline void await_state(enum bgp_state state)
{
	TURN_UNTIL(bgp_session_info(victim.s).state == state, 3);
}

/* Brings the connection into this state, as seen by the victim. */
static inline void reach(enum bgp_state state)
{
	struct bgp_session_conf conf = raw_conf();
	struct bgp_open o = raw_open();

	if (!victim.s)
		open_victim(&conf);
	raw_connect(peer, PEER, HERE);
	await_state(BGP_OPENSENT);
	if (state == BGP_OPENSENT)
		return;
	raw_send_open(peer, &o);
	await_state(BGP_OPENCONFIRM);
	if (state == BGP_OPENCONFIRM)
		return;
	raw_send_keepalive(peer);
	await_state(BGP_ESTABLISHED);
}

static inline void send_hex(const char *hex)
{
	uint8_t msg[4096];
	struct wr w = wr_make(msg, sizeof msg);

	wr_hex(&w, hex);
	ck_assert(!w.bad);
	raw_write(peer, msg, wr_len(&w));
}

#define COUNT(array) (int)(sizeof array / sizeof array[0])

#endif
