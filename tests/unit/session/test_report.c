/* What sessions hand to those who report on them: both OPENs, and how a session ended. */
#include "tests/unit/session/victim.h"

/* The message that the scripted peer took last, as it was on the wire. */
static struct span taken(void)
{
	return (struct span){peer->copy, BGP_HEADER_LEN + rd_left(&peer->body)};
}

static void expect_words(struct span want)
{
	struct span got = victim.ended.notification;

	ck_assert_uint_eq(got.len, want.len);
	ck_assert_mem_eq(got.p, want.p, want.len);
}

static struct span words_of(uint8_t code, uint8_t subcode, struct span data)
{
	static uint8_t msg[BGP_MAX_MESSAGE];
	struct wr w = wr_make(msg, sizeof msg);

	bgp_notification_encode(&w, code, subcode, data);
	return (struct span){msg, wr_len(&w)};
}

/* ---- Ends ---- */

static void peer_says_goodbye(void)
{
	raw_send_notification(peer, BGP_ERR_CEASE, BGP_CEASE_SHUTDOWN, (struct span){(const uint8_t *)"\3bye", 4});
}

static void peer_closes(void)
{
	raw_close(peer);
}

static void peer_breaks_a_header(void)
{
	send_hex(MARKER "0013 09");
}

static void owner_resets(void)
{
	bgp_session_reset(victim.s, BGP_ERR_CEASE, BGP_CEASE_RESET, "asked for");
}

static void owner_stops(void)
{
	bgp_session_reset(victim.s, BGP_ERR_CEASE, BGP_CEASE_MAX_PREFIXES, "too many");
}

static const struct ending {
	void (*act)(void);
	bool received;
	uint8_t event, code, subcode; /* code 0: no NOTIFICATION */
} endings[] = {
    {peer_says_goodbye, true, 25, BGP_ERR_CEASE, BGP_CEASE_SHUTDOWN},
    {peer_closes, false, 18, 0, 0},
    {peer_breaks_a_header, false, 21, BGP_ERR_HEADER, 3},
    {owner_resets, false, 2, BGP_ERR_CEASE, BGP_CEASE_RESET},
    {owner_stops, false, 8, BGP_ERR_CEASE, BGP_CEASE_MAX_PREFIXES},
};

START_TEST(test_ending)
{
	const struct ending *t = &endings[_i];

	reach(BGP_ESTABLISHED);
	t->act();
	TURN_UNTIL(victim.down == 1, 3);
	ck_assert_uint_eq(victim.ends, 1);
	ck_assert_int_eq(victim.ended.received, t->received);
	ck_assert_uint_eq(victim.ended.event, t->event);
	if (!t->code) {
		ck_assert_uint_eq(victim.ended.notification.len, 0);
	} else if (t->received) {
		expect_words(words_of(t->code, t->subcode, (struct span){(const uint8_t *)"\3bye", 4}));
	} else {
		/* Whatever the peer reads. */
		raw_expect_notification(peer, t->code, t->subcode);
		expect_words(taken());
	}
	raw_close(peer);
}
END_TEST

/* The owner frees the session: nothing else is said to it. With RFC 8538 the Cease is inside a Hard Reset. */
START_TEST(test_freed)
{
	static const uint8_t subcodes[] = {BGP_CEASE_DECONFIGURED, 0, BGP_CEASE_DECONFIGURED};
	struct bgp_session_conf conf = raw_conf();
	struct bgp_open o = raw_open();
	bool hard = _i == 2;

	conf.gr = hard;
	open_victim(&conf);
	o.gr = o.gr_notification = hard;
	o.gr_families = hard ? V4 : 0;
	raw_connect(peer, PEER, HERE);
	raw_establish(peer, &victim, &o);
	bgp_session_free(victim.s, subcodes[_i]);
	ck_assert_uint_eq(victim.ends, 1);
	ck_assert_uint_eq(victim.down, 0);
	ck_assert(!victim.ended.received);
	ck_assert_uint_eq(victim.ended.event, 2);
	victim.s = NULL;
	if (subcodes[_i]) {
		raw_expect_notification(peer, BGP_ERR_CEASE, hard ? BGP_CEASE_HARD_RESET : subcodes[_i]);
		expect_words(taken());
	} else {
		ck_assert_uint_eq(victim.ended.notification.len, 0);
	}
}
END_TEST

/* One that never came up has no end. */
START_TEST(test_never_up)
{
	reach(BGP_OPENCONFIRM);
	raw_close(peer);
	TURN_UNTIL(bgp_session_info(victim.s).state < BGP_OPENSENT, 3);
	bgp_session_free(victim.s, BGP_CEASE_DECONFIGURED);
	victim.s = NULL;
	ck_assert_uint_eq(victim.ends, 0);
}
END_TEST

/* ---- OPENs ---- */

/* A capability to a parameter, one of which nobody knows. */
#define ODD_BODY "04 fde9 005a 0a000009 0f 0206 0104 0001 0001 0205 ee03 616263"

START_TEST(test_opens)
{
	uint8_t mine[BGP_MAX_MESSAGE], theirs[BGP_MAX_MESSAGE], odd[64];
	struct wr ours = wr_make(mine, sizeof mine), peers = wr_make(theirs, sizeof theirs),
		  w = wr_make(odd, sizeof odd);
	struct bgp_session_conf conf = raw_conf();
	struct bgp_session_info info;
	struct bgp_open o;
	bool keep = _i == 0;

	bgp_engine_keep_opens(rig.side[0].engine, keep);
	open_victim(&conf);
	raw_connect(peer, PEER, HERE);
	wr_hex(&w, MARKER "002c 01" ODD_BODY);
	ck_assert_uint_eq(wr_len(&w), 0x2c);
	raw_write(peer, odd, wr_len(&w));
	raw_expect(peer, BGP_OPEN);
	raw_send_keepalive(peer);
	TURN_UNTIL(is_up(&victim), 3);
	bgp_session_opens(victim.s, &ours, &peers);
	ck_assert(!ours.bad && !peers.bad);
	ck_assert_uint_eq(wr_len(&ours), taken().len);
	ck_assert_mem_eq(mine, peer->copy, wr_len(&ours));
	if (keep) {
		ck_assert_uint_eq(wr_len(&peers), wr_len(&w));
		ck_assert_mem_eq(theirs, odd, wr_len(&w));
	} else {
		struct bgp_error err;
		struct bgp_msg m;

		ck_assert_int_eq(bgp_msg_next(&m, theirs, wr_len(&peers), BGP_MAX_MESSAGE, &err), (int)wr_len(&peers));
		ck_assert_int_eq(bgp_open_decode(&o, m.body).action, BGP_OK);
		ck_assert_uint_eq(o.router_id, 0x0a000009);
		ck_assert_uint_eq(o.families, V4);
	}
	info = bgp_session_info(victim.s);
	ck_assert_uint_eq(info.local_port, rig.port);
	ck_assert_uint_ne(info.remote_port, 0);
	ck_assert_uint_ne(info.remote_port, rig.port);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("report");
	TCase *tc = tcase_create("report");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, test_ending, 0, COUNT(endings));
	tcase_add_loop_test(tc, test_freed, 0, 3);
	tcase_add_test(tc, test_never_up);
	tcase_add_loop_test(tc, test_opens, 0, 2);
	suite_add_tcase(s, tc);
	return rig_run(s);
}
