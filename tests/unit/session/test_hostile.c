/* A scripted peer does what it should not, while another session must not notice. */
#include <dirent.h>

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

static void setup(void)
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

static void expect_unimpressed(void)
{
	unsigned seen = b.refreshes;

	ck_assert(is_up(&a) && is_up(&b));
	ck_assert_uint_eq(a.down + b.down, 0);
	ck_assert(bgp_session_request_refresh(a.s, FAM_IPV4));
	TURN_UNTIL(b.refreshes > seen, 2);
}

static void teardown(void)
{
	expect_unimpressed();
	if (victim.s)
		end_close(&victim);
	end_close(&a);
	end_close(&b);
	raw_free(peer);
	rig_teardown();
}

static void open_victim(const struct bgp_session_conf *conf)
{
	end_open(&victim, 0, conf);
}

static void await_state(enum bgp_state state)
{
	TURN_UNTIL(bgp_session_info(victim.s).state == state, 3);
}

/* Brings the connection into this state, as seen by the victim. */
static void reach(enum bgp_state state)
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

static void send_hex(const char *hex)
{
	uint8_t msg[4096];
	struct wr w = wr_make(msg, sizeof msg);

	wr_hex(&w, hex);
	ck_assert(!w.bad);
	raw_write(peer, msg, wr_len(&w));
}

/* Broken headers, in every state. */
static const struct {
	const char *hex;
	uint8_t subcode;
} headers[] = {
    {"ffffffffffffffffffffffffffffff00 0013 04", 1},
    {"00000000000000000000000000000000 0000 00", 1},
    {MARKER "0012 04", 2},
    {MARKER "0000 04", 2},
    {MARKER "ffff 02", 2},
    {MARKER "1001 02", 2},
    {MARKER "0014 04 00", 2},
    {MARKER "001c 01 04 fde9 005a 0a000009", 2},
    {MARKER "0013 00", 3},
    {MARKER "0013 63", 3},
};
#define HEADERS (int)(sizeof headers / sizeof headers[0])

START_TEST(test_headers)
{
	enum bgp_state state = (enum bgp_state)(BGP_OPENSENT + _i / HEADERS);

	reach(state);
	send_hex(headers[_i % HEADERS].hex);
	raw_expect_notification(peer, BGP_ERR_HEADER, headers[_i % HEADERS].subcode);
	ck_assert_uint_eq(victim.down, state == BGP_ESTABLISHED);
	ck_assert_msg(strstr(last_error(&victim), "broken message header: "), "%s", last_error(&victim));
	ck_assert_uint_eq(bgp_session_info(victim.s).attempts_failed, 1);
}
END_TEST

/* Bad OPENs. */
static const struct {
	const char *hex;
	uint8_t subcode;
	const char *text;
} opens[] = {
    {MARKER "001d 01 03 fde9 005a 0a000009 00", 1, NULL},
    {MARKER "001d 01 04 0000 005a 0a000009 00", 2, NULL},
    {MARKER "001d 01 04 fdea 005a 0a000009 00", 2, "peer AS 65001 but its OPEN says 65002"},
    {MARKER "001d 01 04 fde9 005a 00000000 00", 3, NULL},
    {MARKER "001d 01 04 fde9 005a 0a000001 00", 3, "10.0.0.1 is also ours"},
    {MARKER "0021 01 04 fde9 005a 0a000009 04 63020000", 4, NULL},
    {MARKER "001d 01 04 fde9 0001 0a000009 00", 6, NULL},
    {MARKER "001d 01 04 fde9 0002 0a000009 00", 6, NULL},
    {MARKER "001f 01 04 fde9 005a 0a000009 09 0202", 0, NULL},
};

START_TEST(test_bad_open)
{
	reach(BGP_OPENSENT);
	send_hex(opens[_i].hex);
	raw_expect_notification(peer, BGP_ERR_OPEN, opens[_i].subcode);
	ck_assert_uint_eq(victim.up, 0);
	ck_assert_msg(strstr(last_error(&victim), opens[_i].text ? opens[_i].text : "broken OPEN"), "%s",
		      last_error(&victim));
}
END_TEST

START_TEST(test_no_family_in_common)
{
	struct bgp_session_conf conf = raw_conf();
	struct bgp_notification n;

	conf.families = V6;
	open_victim(&conf);
	raw_connect(peer, PEER, HERE);
	raw_expect(peer, BGP_OPEN);
	send_hex(MARKER "001d 01 04 fde9 005a 0a000009 00"); /* no capabilities: IPv4 */
	raw_expect(peer, BGP_NOTIFICATION);
	ck_assert(bgp_notification_decode(&n, peer->body));
	ck_assert_uint_eq(n.code, BGP_ERR_OPEN);
	ck_assert_uint_eq(n.subcode, 7);
	ck_hex_eq(n.data, "01 04 0002 00 01", "the capability we miss");
	ck_assert_str_eq(last_error(&victim), "no address family in common: we offer IPv6, the peer IPv4");
}
END_TEST

/* A peer without capabilities gets IPv4. */
START_TEST(test_old_peer)
{
	reach(BGP_OPENSENT);
	send_hex(MARKER "001d 01 04 fde9 001e 0a000009 00");
	send_hex(MARKER "0013 04");
	TURN_UNTIL(is_up(&victim), 3);
	ck_assert_uint_eq(bgp_session_codec(victim.s)->families, V4);
	ck_assert(!bgp_session_codec(victim.s)->as4);
	ck_assert(!bgp_session_request_refresh(victim.s, FAM_IPV4));
	ck_assert_uint_eq(bgp_session_info(victim.s).hold_time, 30);
}
END_TEST

/* Messages that their state does not allow: RFC 6608. */
static const struct {
	enum bgp_state state;
	const char *hex;
	uint8_t subcode;
} unexpected[] = {
    {BGP_OPENSENT, MARKER "0013 04", 1},
    {BGP_OPENSENT, MARKER "0017 02 0000 0000", 1},
    {BGP_OPENSENT, MARKER "0017 05 0001 00 01", 1},
    {BGP_OPENCONFIRM, MARKER "0017 02 0000 0000", 2},
    {BGP_OPENCONFIRM, MARKER "001d 01 04 fde9 005a 0a000009 00", 2},
    {BGP_OPENCONFIRM, MARKER "0017 05 0001 00 01", 2},
    {BGP_ESTABLISHED, MARKER "001d 01 04 fde9 005a 0a000009 00", 3},
};

START_TEST(test_unexpected)
{
	reach(unexpected[_i].state);
	send_hex(unexpected[_i].hex);
	raw_expect_notification(peer, BGP_ERR_FSM, unexpected[_i].subcode);
	ck_assert_msg(strstr(last_error(&victim), bgp_state_name(unexpected[_i].state)), "%s", last_error(&victim));
	ck_assert_uint_eq(victim.updates, 0);
}
END_TEST

/* The connection goes without a word, in each state: closed, reset, in the middle of a message. */
START_TEST(test_vanishes)
{
	enum bgp_state state = (enum bgp_state)(BGP_OPENSENT + _i / 3);

	reach(state);
	if (_i % 3 == 2)
		send_hex(MARKER "0030 02 0000");
	for (int i = 0; i < 3; i++)
		loop_turn(rig.loop, true);
	/* Closing with something unread would be a reset, too. */
	if (_i % 3 == 1)
		raw_reset(peer);
	else
		shutdown(peer->fd, SHUT_WR);
	TURN_UNTIL(bgp_session_info(victim.s).state < BGP_OPENSENT, 3);
	raw_close(peer);
	ck_assert_uint_eq(victim.down, state == BGP_ESTABLISHED);
	ck_assert_msg(strstr(last_error(&victim), _i % 3 == 0	? "peer closed the connection without a NOTIFICATION"
						  : _i % 3 == 1 ? "connection lost: Connection reset by peer"
								: "in the middle of a message"),
		      "%s", last_error(&victim));
	/* The peer was not damped: it is let in at once. */
	reach(BGP_ESTABLISHED);
	ck_assert(is_up(&victim));
}
END_TEST

/* After a protocol error the peer has to wait the idle hold time, and hears it. */
START_TEST(test_damped)
{
	reach(BGP_OPENSENT);
	send_hex(MARKER "0013 00");
	raw_expect_notification(peer, BGP_ERR_HEADER, 3);
	raw_close(peer);
	/* The victim's own machine is Active for the peer, unless it was its own connection that failed. */
	TURN_UNTIL(bgp_session_info(victim.s).state < BGP_OPENSENT, 3);
	reach(BGP_ESTABLISHED);
	send_hex(MARKER "0013 00");
	raw_expect_notification(peer, BGP_ERR_HEADER, 3);
	raw_close(peer);
	raw_connect(peer, PEER, HERE);
	raw_expect_notification(peer, BGP_ERR_CEASE, BGP_CEASE_REJECTED);
	raw_close(peer);
	TURN_UNTIL(bgp_session_info(victim.s).state == BGP_ACTIVE, 3);
	reach(BGP_ESTABLISHED);
}
END_TEST

START_TEST(test_byte_by_byte)
{
	struct bgp_open o = raw_open();
	struct bgp_session_conf conf = raw_conf();
	uint8_t msg[8192];
	struct wr w = wr_make(msg, sizeof msg);

	open_victim(&conf);
	raw_connect(peer, PEER, HERE);
	bgp_open_encode(&w, &o);
	bgp_keepalive_encode(&w);
	for (int i = 0; i < 5; i++)
		bgp_update_encode_end_of_rib(&w, FAM_IPV6);
	bgp_refresh_encode(&w, FAM_IPV4, BGP_REFRESH_NORMAL);
	ck_assert(!w.bad);
	for (size_t i = 0; i < wr_len(&w); i++) {
		raw_write(peer, msg + i, 1);
		loop_turn(rig.loop, true);
	}
	TURN_UNTIL(victim.refreshes == 1, 3);
	ck_assert_uint_eq(victim.updates, 5);
	ck_assert_uint_eq(victim.up, 1);
}
END_TEST

/* The handshake and 1,000 UPDATEs in one write; then some megabytes in pieces of odd sizes. */
START_TEST(test_all_at_once)
{
	struct bgp_open o = raw_open();
	struct bgp_session_conf conf = raw_conf();
	size_t size = 1 << 20, sent = 0, total;
	uint8_t *msg = mem_alloc(size);
	struct wr w = wr_make(msg, size);
	unsigned n = 0;

	open_victim(&conf);
	raw_connect(peer, PEER, HERE);
	bgp_open_encode(&w, &o);
	bgp_keepalive_encode(&w);
	for (int i = 0; i < 1000; i++)
		bgp_update_encode_end_of_rib(&w, FAM_IPV4);
	raw_write(peer, msg, wr_len(&w));
	TURN_UNTIL(victim.updates == 1000, 3);
	w = wr_make(msg, size);
	/* One that does not fit leaves its beginning behind: only whole messages count. */
	for (total = 0; !w.bad; n++) {
		total = wr_len(&w);
		bgp_update_encode_end_of_rib(&w, n & 1 ? FAM_IPV4 : FAM_IPV6);
	}
	n--;
	while (sent < total) {
		size_t piece = 1 + arc4random_uniform(70000);

		piece = piece < total - sent ? piece : total - sent;
		raw_write(peer, msg + sent, piece);
		sent += piece;
	}
	TURN_UNTIL(victim.updates >= 1000 + n, 5);
	ck_assert_uint_eq(victim.errors, 0);
	ck_assert(is_up(&victim));
	free(msg);
}
END_TEST

/* A peer that floods does not keep the other session waiting: before each of the others is served, one read of the
 * flood's is, and never all that waits. */
START_TEST(test_flood)
{
	const unsigned quantum = 65536 / 23 + 1;
	size_t size = 1 << 18, whole;
	uint8_t *msg = mem_alloc(size);
	struct wr w = wr_make(msg, size);

	reach(BGP_ESTABLISHED);
	while (!w.bad)
		bgp_update_encode_end_of_rib(&w, FAM_IPV4);
	whole = wr_len(&w) / 23;
	ck_assert_uint_gt(whole, 3 * quantum);
	for (unsigned i = 1; i <= 20; i++) {
		unsigned seen = b.refreshes, before;

		raw_write(peer, msg, whole * 23);
		before = victim.updates;
		/* Written at the end of this turn, read by the other engine in the next. */
		bgp_session_request_refresh(a.s, FAM_IPV4);
		TURN_UNTIL(b.refreshes > seen, 2);
		ck_assert_uint_le(victim.updates - before, 3 * quantum);
		TURN_UNTIL(victim.updates == i * whole, 5);
	}
	free(msg);
}
END_TEST

/* A peer that floods while it is told to go still reads why. */
START_TEST(test_notification_reaches_flooder)
{
	static uint8_t flood[23 * 20000];
	struct wr w = wr_make(flood, sizeof flood);

	reach(BGP_ESTABLISHED);
	for (int i = 0; i < 20000; i++)
		bgp_update_encode_end_of_rib(&w, FAM_IPV4);
	ck_assert_int_gt(send(peer->fd, flood, sizeof flood, MSG_NOSIGNAL), 23);
	bgp_session_reset(victim.s, BGP_ERR_CEASE, BGP_CEASE_RESOURCES, "test");
	raw_expect_notification(peer, BGP_ERR_CEASE, BGP_CEASE_RESOURCES);
}
END_TEST

/* A peer that never reads: what waits for it is bounded, and the owner's supply stays with the owner. */
START_TEST(test_stall_is_bounded)
{
	static uint8_t body[4000];
	uint64_t queued;

	reach(BGP_ESTABLISHED);
	victim.message = make_message(BGP_UPDATE, body, sizeof body);
	victim.supply = 100000; /* 400 MB */
	bgp_session_kick(victim.s);
	TURN_UNTIL(bgp_session_info(victim.s).queued > 0, 5);
	for (int i = 0; i < 50; i++) {
		bgp_session_kick(victim.s);
		loop_turn(rig.loop, i % 10 == 0);
	}
	queued = bgp_session_info(victim.s).queued;
	ck_assert_uint_le(queued, 2 * 65536);
	ck_assert_uint_gt(victim.supply, 90000);
	ck_assert_uint_le(victim.message->refs, 40);
	/* Reading again, it gets them all in order, ours between them. */
	victim.supply = 100;
	ck_assert(bgp_session_request_refresh(victim.s, FAM_IPV4));
	for (unsigned updates = 0, refreshes = 0; !refreshes || victim.supply || bgp_session_info(victim.s).queued;) {
		TURN_UNTIL(raw_has_message(peer), 3);
		raw_take(peer);
		updates += peer->type == BGP_UPDATE;
		refreshes += peer->type == BGP_ROUTE_REFRESH;
		ck_assert(peer->type != BGP_UPDATE || rd_left(&peer->body) == sizeof body);
		ck_assert_uint_ne(peer->type, BGP_NOTIFICATION);
		(void)updates;
	}
	ck_assert(is_up(&victim));
}
END_TEST

/* A peer that stalls and goes: nothing stays allocated. */
START_TEST(test_stall_then_gone)
{
	static uint8_t body[4000];

	reach(BGP_ESTABLISHED);
	victim.message = make_message(BGP_UPDATE, body, sizeof body);
	victim.supply = 100000;
	bgp_session_kick(victim.s);
	TURN_UNTIL(bgp_session_info(victim.s).queued > 0, 5);
	raw_reset(peer);
	TURN_UNTIL(victim.down == 1, 3);
	ck_assert_uint_eq(victim.message->refs, 1);
	ck_assert_uint_eq(bgp_session_info(victim.s).queued, 0);
}
END_TEST

/* The three timers, beside each other: a mute peer, one that takes nothing, and a quiet healthy session. */
START_TEST(test_timers)
{
	static uint8_t body[4000];
	struct bgp_session_conf ca = *bgp_session_config(a.s), conf = raw_conf();
	struct bgp_open o = raw_open();
	struct raw *deaf = raw_new();
	struct end stalled = {0};
	uint64_t began;

	ca.hold_time = 3;
	bgp_session_configure(a.s, &ca);
	bgp_session_reset(a.s, BGP_ERR_CEASE, BGP_CEASE_RESET, "new hold time");
	TURN_UNTIL(a.up == 2 && b.up == 2, 3);
	ck_assert_uint_eq(bgp_session_info(b.s).hold_time, 3);
	a.up = a.down = b.up = b.down = 0;
	a.up = b.up = 1;
	o.hold_time = 3;
	conf.gr = o.gr = true;
	o.gr_notification = true;
	o.gr_families = V4;
	o.gr_time = 5;
	open_victim(&conf);
	raw_connect(peer, PEER, HERE);
	raw_establish(peer, &victim, &o);
	began = mono_now();
	/* The other says it is alive but reads nothing. */
	conf.remote = rig_addr("127.0.0.10");
	conf.gr = false;
	conf.send_hold = 2;
	conf.keepalive_time = 1;
	end_open(&stalled, 0, &conf);
	raw_connect(deaf, "127.0.0.10", HERE);
	o.hold_time = 90;
	o.gr = false;
	raw_establish(deaf, &stalled, &o);
	stalled.message = make_message(BGP_UPDATE, body, sizeof body);
	stalled.supply = 100000;
	bgp_session_kick(stalled.s);
	TURN_UNTIL(stalled.down == 1, 4);
	ck_assert_str_eq(stalled.reason, "send hold timer expired: the peer has taken nothing for 2 s");
	TURN_UNTIL(victim.down == 1, 4);
	ck_assert_uint_ge(mono_now() - began, 2900 * MONO_MSEC);
	ck_assert_str_eq(victim.reason, "hold timer expired after 3 s");
	/* RFC 8538: a NOTIFICATION, but its routes stay. */
	ck_assert_uint_eq(victim.last.gr_families, V4);
	raw_expect_notification(peer, BGP_ERR_HOLD_TIMER, 0);
	/* The healthy one lives on its keepalives. */
	TURN_WHILE(is_up(&a) && is_up(&b), 0.6);
	ck_assert_uint_ge(bgp_session_info(a.s).messages_in[BGP_KEEPALIVE], 3);
	ck_assert_uint_le(bgp_session_info(a.s).messages_in[BGP_KEEPALIVE], 6);
	end_close(&stalled);
	raw_free(deaf);
}
END_TEST

/* Busy beyond the hold time: what came meanwhile counts. */
START_TEST(test_busy_is_not_dead)
{
	struct bgp_open o = raw_open();
	struct bgp_session_conf conf = raw_conf();
	uint64_t now;

	o.hold_time = 3;
	open_victim(&conf);
	raw_connect(peer, PEER, HERE);
	raw_establish(peer, &victim, &o);
	/* The KEEPALIVE waits in the socket until after the timer's hour, while we are busy with something else: the
	 * clock jumps by more than the hold time, and the timer is due in the same turn as the descriptor. */
	raw_send_keepalive(peer);
	now = mono_now();
	usleep(1100000);
	mono_fake(now + 100 * MONO_SEC);
	for (int i = 0; i < 5; i++)
		loop_turn(rig.loop, false);
	mono_fake(0);
	ck_assert(is_up(&victim));
}
END_TEST

/* Text of the peer's last words. */
static const struct {
	uint8_t code, subcode;
	const char *hex, *text;
} words[] = {
    {6, 2, "0568656c6c6f", "received Cease/Administrative Shutdown: \"hello\""},
    {6, 4, "", "received Cease/Administrative Reset"},
    {6, 2, "ff00", "received Cease/Administrative Shutdown"},
    {3, 11, "40020602", "received UPDATE Message Error/Malformed AS_PATH (data 40 02 06 02)"},
    {4, 0, "", "received Hold Timer Expired"},
    {6, 9, "0602 03627965", "received Cease/Hard Reset (Cease/Administrative Shutdown): \"bye\""},
    {6, 9, "06", "received Cease/Hard Reset"},
    {99, 7, "", "received "},
};

START_TEST(test_last_words)
{
	uint8_t data[64];
	struct wr w = wr_make(data, sizeof data);

	reach(BGP_ESTABLISHED);
	wr_hex(&w, words[_i].hex);
	raw_send_notification(peer, words[_i].code, words[_i].subcode, wr_span(&w));
	TURN_UNTIL(victim.down == 1, 3);
	ck_assert_msg(strncmp(victim.reason, words[_i].text, strlen(words[_i].text)) == 0, "%s", victim.reason);
}
END_TEST

/* What the peer's capability and the way the session ends say about its routes. */
static const struct {
	bool n_bit, by_us;
	uint8_t code, subcode; /* code 0: silent */
	uint8_t kept;
	uint8_t sent; /* by us: the subcode on the wire */
} leaving[] = {
    {false, false, 0, 0, V4, 0}, {true, false, 0, 0, V4, 0}, {false, false, 6, 4, 0, 0}, {true, false, 6, 4, V4, 0},
    {true, false, 6, 9, 0, 0},	 {true, false, 3, 1, V4, 0}, {false, true, 6, 8, 0, 8},	 {true, true, 6, 8, V4, 8},
    {true, true, 6, 1, 0, 9},	 {false, true, 6, 1, 0, 1},  {true, true, 3, 1, V4, 1},	 {true, true, 6, 9, 0, 9},
};

START_TEST(test_graceful_masks)
{
	struct bgp_session_conf conf = raw_conf();
	struct bgp_open o = raw_open();

	conf.gr = true;
	o.gr = true;
	o.gr_notification = leaving[_i].n_bit;
	o.gr_families = V4; /* negotiated are both */
	o.gr_time = 55;
	open_victim(&conf);
	raw_connect(peer, PEER, HERE);
	raw_establish(peer, &victim, &o);
	if (leaving[_i].by_us)
		bgp_session_reset(victim.s, leaving[_i].code, leaving[_i].subcode, "test");
	else if (leaving[_i].code)
		raw_send_notification(peer, leaving[_i].code, leaving[_i].subcode, (struct span){0});
	if (leaving[_i].by_us)
		raw_expect_notification(peer, leaving[_i].code, leaving[_i].sent);
	raw_close(peer);
	TURN_UNTIL(victim.down == 1, 3);
	ck_assert_msg(victim.last.gr_families == leaving[_i].kept, "%d keeps %x", _i, victim.last.gr_families);
	ck_assert_uint_eq(victim.last.gr_time, 55);
}
END_TEST

/* With RFC 8538 on both sides an end that is meant to be one says so, and what it stands for. */
START_TEST(test_hard_reset)
{
	struct bgp_session_conf conf = raw_conf();
	struct bgp_open o = raw_open();
	struct bgp_notification n;
	char text[] = "moved";

	conf.gr = true;
	o.gr = o.gr_notification = true;
	open_victim(&conf);
	raw_connect(peer, PEER, HERE);
	raw_establish(peer, &victim, &o);
	conf.admin_down = true;
	conf.shutdown_text = text;
	bgp_session_configure(victim.s, &conf);
	raw_expect(peer, BGP_NOTIFICATION);
	ck_assert(bgp_notification_decode(&n, peer->body));
	ck_assert(n.code == BGP_ERR_CEASE && n.subcode == BGP_CEASE_HARD_RESET);
	ck_hex_eq(n.data, "06 02 05 6d6f766564", "the Cease it stands for");
	ck_assert_uint_eq(victim.last.gr_families, 0);
}
END_TEST

/* Hold time 0: no keepalives and no expiry. */
START_TEST(test_no_hold_time)
{
	struct bgp_session_conf conf = raw_conf();
	struct bgp_open o = raw_open();

	o.hold_time = 0;
	open_victim(&conf);
	raw_connect(peer, PEER, HERE);
	raw_establish(peer, &victim, &o);
	ck_assert_uint_eq(bgp_session_info(victim.s).hold_time, 0);
	ck_assert_uint_eq(bgp_session_info(victim.s).keepalive_time, 0);
	ck_assert_uint_eq(bgp_session_info(victim.s).hold_left, 0);
}
END_TEST

/* The owner gives the last error back as a reason. */
START_TEST(test_reason_is_last_error)
{
	reach(BGP_OPENSENT);
	send_hex(MARKER "0013 00");
	raw_expect_notification(peer, BGP_ERR_HEADER, 3);
	raw_close(peer);
	reach(BGP_ESTABLISHED);
	bgp_session_reset(victim.s, BGP_ERR_CEASE, BGP_CEASE_RESET, last_error(&victim));
	ck_assert_msg(strstr(victim.reason, "broken message header"), "%s", victim.reason);
	ck_assert_str_eq(victim.reason, last_error(&victim));
}
END_TEST

/* An owner that ends another session while it handles an UPDATE; what that other peer still said may not get into the
 * way of the messages that are being handled. */
static struct end *bystander;

static void end_bystander(struct end *e, char what)
{
	(void)e;
	if (what == 'u' && bystander)
		bgp_session_reset(bystander->s, BGP_ERR_CEASE, BGP_CEASE_RESET, "test");
	bystander = NULL;
}

START_TEST(test_reset_of_another)
{
	struct bgp_session_conf conf = raw_conf();
	struct bgp_open o = raw_open();
	struct raw *other = raw_new();
	struct end second = {0};
	uint8_t msg[23 * 100], noise[2000];
	struct wr w = wr_make(msg, sizeof msg);

	reach(BGP_ESTABLISHED);
	conf.remote = rig_addr("127.0.0.10");
	end_open(&second, 0, &conf);
	raw_connect(other, "127.0.0.10", HERE);
	raw_establish(other, &second, &o);
	for (int i = 0; i < 100; i++)
		bgp_update_encode_end_of_rib(&w, FAM_IPV4);
	memset(noise, 'x', sizeof noise);
	raw_write(other, noise, sizeof noise);
	raw_reset(other);
	/* The loop serves what became ready last first. */
	raw_write(peer, msg, wr_len(&w));
	bystander = &second;
	victim.hook = end_bystander;
	TURN_UNTIL(victim.updates == 100 || victim.down || second.down, 3);
	TURN_UNTIL(victim.updates == 100, 3);
	ck_assert_uint_eq(victim.down, 0);
	TURN_UNTIL(second.down == 1, 3);
	ck_assert_str_eq(second.reason, "test");
	end_close(&second);
	raw_free(other);
}
END_TEST

/* A peer that comes and goes is heard of, but does not fill the log. */
START_TEST(test_flapping)
{
	struct bgp_session_conf conf = raw_conf();
	struct bgp_open o = raw_open();

	open_victim(&conf);
	strbuf_reset(&rig.log);
	log_setup(LOG_LVL_INFO, false);
	for (unsigned i = 1; i <= 200; i++) {
		raw_connect(peer, PEER, HERE);
		raw_establish(peer, &victim, &o);
		raw_close(peer);
		TURN_UNTIL(victim.down == i, 3);
	}
	ck_assert_uint_eq(victim.up, 200);
	ck_assert(rig_logged("A-B: Established") && rig_logged("A-B: down: "));
	/* Twice the limit, should a minute have ended meanwhile. */
	ck_assert_uint_lt(rig.log.len, 42 * 120);
}
END_TEST

/* With graceful restart a peer that is back replaces its old connection, but not before it is Established. */
START_TEST(test_restarted_peer)
{
	struct bgp_session_conf conf = raw_conf();
	struct bgp_open o = raw_open();
	struct raw *again = raw_new();

	conf.gr = true;
	o.gr = true;
	o.gr_families = V4 | V6;
	open_victim(&conf);
	raw_connect(peer, PEER, HERE);
	raw_establish(peer, &victim, &o);
	raw_connect(again, PEER, HERE);
	raw_expect(again, BGP_OPEN);
	o.gr_restarting = true;
	o.gr_forwarding = V4;
	raw_send_open(again, &o);
	raw_expect(again, BGP_KEEPALIVE);
	/* Perhaps a late attempt of before: the old one works as before. */
	raw_send_message(peer, BGP_UPDATE, "\0\0\0\0", 4);
	TURN_UNTIL(victim.updates == 1, 3);
	ck_assert_uint_eq(victim.down, 0);
	raw_send_keepalive(again);
	TURN_UNTIL(victim.up == 2, 3);
	ck_assert_uint_eq(victim.down, 1);
	ck_assert_uint_eq(victim.last.gr_families, V4 | V6);
	ck_assert_str_eq(victim.reason, "the peer restarted and connected anew");
	ck_assert_uint_eq(bgp_session_peer(victim.s)->gr_forwarding, V4);
	ck_assert(bgp_session_peer(victim.s)->gr_restarting);
	/* The old connection closed without a NOTIFICATION: RFC 4724 5. */
	do {
		TURN_UNTIL(raw_has_message(peer) || peer->eof, 3);
		if (peer->len)
			raw_take(peer);
		ck_assert_uint_ne(peer->type, BGP_NOTIFICATION);
	} while (!peer->eof);
	raw_send_message(again, BGP_UPDATE, "\0\0\0\0", 4);
	TURN_UNTIL(victim.updates == 2, 3);
	raw_free(again);
}
END_TEST

/* A peer that restarts quickly: the end of its old connection and the new one are there at the same moment. */
START_TEST(test_back_at_once)
{
	struct bgp_open o = raw_open();

	reach(BGP_ESTABLISHED);
	for (int i = 0; i < 5; i++) {
		raw_has_message(peer);
		loop_turn(rig.loop, true);
	}
	raw_close(peer);
	raw_connect(peer, PEER, HERE);
	raw_establish(peer, &victim, &o);
	ck_assert_uint_eq(victim.down, 1);
}
END_TEST

/* Without graceful restart the Established connection stays (RFC 4271 6.8), and is probed with a KEEPALIVE. */
START_TEST(test_second_connection)
{
	struct raw *again = raw_new();

	reach(BGP_ESTABLISHED);
	mono_fake(mono_now() + 2 * MONO_SEC);
	raw_connect(again, PEER, HERE);
	raw_expect(peer, BGP_OPEN);
	raw_expect(peer, BGP_KEEPALIVE);
	TURN_UNTIL(raw_has_message(peer), 3);
	mono_fake(0);
	raw_expect(peer, BGP_KEEPALIVE);
	raw_expect_notification(again, BGP_ERR_CEASE, BGP_CEASE_COLLISION);
	ck_assert(is_up(&victim));
	raw_free(again);
}
END_TEST

/* Of several connections in the making the last counts; whoever opens many is heard on one. */
START_TEST(test_many_connections)
{
	struct bgp_session_conf conf = raw_conf();
	struct bgp_open o = raw_open();
	struct raw *others[20];

	open_victim(&conf);
	for (int i = 0; i < 20; i++) {
		others[i] = raw_new();
		raw_connect(others[i], PEER, HERE);
	}
	raw_connect(peer, PEER, HERE);
	for (int i = 0; i < 20; i++)
		raw_expect_notification(others[i], BGP_ERR_CEASE, BGP_CEASE_COLLISION);
	raw_establish(peer, &victim, &o);
	for (int i = 0; i < 20; i++)
		raw_free(others[i]);
}
END_TEST

/* We dial a peer that knows no capabilities: it gets an OPEN without. */
START_TEST(test_capabilities_refused)
{
	struct bgp_session_conf conf = raw_conf();

	conf.passive = false;
	raw_listen(peer, PEER);
	open_victim(&conf);
	TURN_UNTIL(raw_accepted(peer), 3);
	raw_expect(peer, BGP_OPEN);
	ck_assert_uint_gt(rd_left(&peer->body), 10);
	raw_send_notification(peer, BGP_ERR_OPEN, 4, (struct span){0});
	raw_close(peer);
	TURN_UNTIL(raw_accepted(peer), 3);
	raw_expect(peer, BGP_OPEN);
	ck_assert_uint_eq(rd_left(&peer->body), 10);
	ck_assert(rig_logged("the peer refuses our capabilities: trying without"));
	send_hex(MARKER "001d 01 04 fde9 005a 0a000009 00");
	send_hex(MARKER "0013 04");
	TURN_UNTIL(is_up(&victim), 3);
	ck_assert_uint_eq(bgp_session_codec(victim.s)->families, V4);
	/* The next connection tries them again. */
	raw_close(peer);
	TURN_UNTIL(raw_accepted(peer), 3);
	raw_expect(peer, BGP_OPEN);
	ck_assert_uint_gt(rd_left(&peer->body), 10);
}
END_TEST

/* RFC 7606: the session survives, the owner is told, the log names peer and attribute. */
START_TEST(test_malformed_update)
{
	reach(BGP_ESTABLISHED);
	/* 10.1.0.0/16 with ORIGIN 9 */
	send_hex(MARKER "002f 02 0000 0015 400101 09 400200 400304 0a000009 400504 00000064 10 0a01");
	TURN_UNTIL(victim.updates == 1, 3);
	ck_assert_uint_eq(victim.errors, 1);
	ck_assert(is_up(&victim));
	ck_assert(rig_logged("malformed UPDATE") && rig_logged("ORIGIN") && rig_logged("treated as withdrawn"));
	/* A peer cannot fill the log. */
	for (int i = 0; i < 100; i++)
		send_hex(MARKER "002f 02 0000 0015 400101 09 400200 400304 0a000009 400504 00000064 10 0a01");
	TURN_UNTIL(victim.updates == 101, 3);
	ck_assert_uint_lt(rig.log.len, 20000);
	/* And one that no rule saves. */
	send_hex(MARKER "0017 02 ffff 0000");
	raw_expect_notification(peer, BGP_ERR_UPDATE, 1);
	ck_assert_msg(strstr(victim.reason, "broken UPDATE: "), "%s", victim.reason);
}
END_TEST

/* RFC 4760 7: a broken MP_REACH_NLRI costs its family only. */
START_TEST(test_family_disabled)
{
	reach(BGP_ESTABLISHED);
	/* IPv6 prefix of 129 bits */
	send_hex(MARKER "0047 02 0000 0030 800e1a 0002 01 10 20010db8000000000000000000000009 00 81 20010db8 "
			"400101 00 400200 400504 00000064 40050400000064");
	TURN_UNTIL(victim.updates == 1 || victim.down, 3);
	ck_assert_msg(is_up(&victim), "%s", victim.reason);
	ck_assert_uint_eq(victim.errors, 1);
	ck_assert_uint_eq(bgp_session_codec(victim.s)->ignored, V6);
	ck_assert(rig_logged("ignored until the session restarts"));
}
END_TEST

START_TEST(test_broken_refresh)
{
	reach(BGP_ESTABLISHED);
	send_hex(MARKER "0017 05 0063 00 01"); /* a family nobody negotiated */
	send_hex(MARKER "0017 05 0001 09 01"); /* a subtype nobody knows */
	send_hex(MARKER "0017 05 0001 00 01");
	TURN_UNTIL(victim.refreshes == 1, 3);
	send_hex(MARKER "0018 05 0001 01 01 00");
	raw_expect_notification(peer, BGP_ERR_ROUTE_REFRESH, 1);
}
END_TEST

static unsigned count_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* Connections that come and go, with all kinds of ends, leave nothing behind. */
START_TEST(test_churn)
{
	struct bgp_session_conf conf = raw_conf();
	struct bgp_open o = raw_open();
	unsigned before;

	conf.idle_hold = 0;
	open_victim(&conf);
	before = count_descriptors();
	for (int i = 0; i < 400; i++) {
		raw_connect(peer, i % 5 == 4 ? "127.0.0.99" : PEER, HERE);
		if (i % 3)
			raw_send_open(peer, &o);
		if (i % 3 == 2)
			raw_send_keepalive(peer);
		if (i % 7 == 6)
			send_hex(MARKER "0013 00");
		for (int t = 0; t < i % 4; t++)
			loop_turn(rig.loop, false);
		if (i % 2)
			raw_reset(peer);
		else
			raw_close(peer);
	}
	TURN_UNTIL(bgp_session_info(victim.s).state < BGP_OPENSENT && count_descriptors() <= before, 3);
	ck_assert_uint_eq(victim.up, victim.down);
	conf.idle_hold = 1;
	bgp_session_configure(victim.s, &conf);
	reach(BGP_ESTABLISHED);
}
END_TEST

/* Noise in every state: whatever it is, it ends in a NOTIFICATION or a closed connection, never in Established. */
START_TEST(test_noise)
{
	struct bgp_session_conf conf = raw_conf();
	struct bgp_open o = raw_open();
	uint8_t noise[300], good[512];

	conf.idle_hold = 0;
	open_victim(&conf);
	log_setup(LOG_LVL_WARN, false);
	for (unsigned i = 0; i < 600; i++) {
		struct wr w = wr_make(good, sizeof good);
		unsigned up = victim.up;
		size_t at;

		raw_connect(peer, PEER, HERE);
		bgp_open_encode(&w, &o);
		if (i % 3) {
			/* A good OPEN with some octets changed, then one more message of noise. */
			for (unsigned n = 0; n < 1 + i % 4; n++) {
				at = BGP_HEADER_LEN + arc4random_uniform((uint32_t)(wr_len(&w) - BGP_HEADER_LEN));
				good[at] = (uint8_t)arc4random();
			}
			raw_write(peer, good, wr_len(&w));
		}
		arc4random_buf(noise, sizeof noise);
		if (i % 2)
			raw_send_message(peer, (uint8_t)(2 + i % 4), noise, i % 280);
		else
			raw_write(peer, noise, sizeof noise);
		shutdown(peer->fd, SHUT_WR);
		TURN_UNTIL(raw_has_message(peer) || peer->eof, 3);
		while (!peer->eof) {
			TURN_UNTIL(raw_has_message(peer) || peer->eof, 3);
			if (raw_has_message(peer))
				raw_take(peer);
		}
		ck_assert_uint_eq(victim.up, up);
		raw_close(peer);
	}
	log_setup(LOG_LVL_DEBUG, false);
	bgp_session_reset(victim.s, BGP_ERR_CEASE, BGP_CEASE_RESET, "test");
	reach(BGP_ESTABLISHED);
}
END_TEST

#define COUNT(array) (int)(sizeof array / sizeof array[0])

int main(void)
{
	Suite *s = suite_create("session, hostile peers");
	TCase *t = tcase_create("scripted peer");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, test_headers, 0, 3 * HEADERS);
	tcase_add_loop_test(t, test_bad_open, 0, COUNT(opens));
	tcase_add_test(t, test_no_family_in_common);
	tcase_add_test(t, test_old_peer);
	tcase_add_loop_test(t, test_unexpected, 0, COUNT(unexpected));
	tcase_add_loop_test(t, test_vanishes, 0, 9);
	tcase_add_test(t, test_damped);
	tcase_add_test(t, test_byte_by_byte);
	tcase_add_test(t, test_all_at_once);
	tcase_add_test(t, test_flood);
	tcase_add_test(t, test_notification_reaches_flooder);
	tcase_add_test(t, test_stall_is_bounded);
	tcase_add_test(t, test_stall_then_gone);
	tcase_add_test(t, test_timers);
	tcase_add_test(t, test_busy_is_not_dead);
	tcase_add_loop_test(t, test_last_words, 0, COUNT(words));
	tcase_add_loop_test(t, test_graceful_masks, 0, COUNT(leaving));
	tcase_add_test(t, test_hard_reset);
	tcase_add_test(t, test_no_hold_time);
	tcase_add_test(t, test_reason_is_last_error);
	tcase_add_test(t, test_reset_of_another);
	tcase_add_test(t, test_flapping);
	tcase_add_test(t, test_restarted_peer);
	tcase_add_test(t, test_back_at_once);
	tcase_add_test(t, test_second_connection);
	tcase_add_test(t, test_many_connections);
	tcase_add_test(t, test_capabilities_refused);
	tcase_add_test(t, test_malformed_update);
	tcase_add_test(t, test_family_disabled);
	tcase_add_test(t, test_broken_refresh);
	tcase_add_test(t, test_churn);
	tcase_add_test(t, test_noise);
	suite_add_tcase(s, t);
	return rig_run(s);
}
