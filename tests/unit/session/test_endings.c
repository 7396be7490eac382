/* How sessions with a scripted peer end and come back: vanishing, stalling and mute peers, last words, restarts. */
#include "tests/unit/session/victim.h"

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

/* As raw_connect(), but the peer's socket has room for little. */
static void connect_small(struct raw *r, const char *from, const char *to)
{
	struct sockaddr_in mine = raw_sockaddr(from, 0), theirs = raw_sockaddr(to, rig.port);
	int small = 4096;

	r->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(setsockopt(r->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
	ck_assert_int_eq(bind(r->fd, (struct sockaddr *)&mine, sizeof mine), 0);
	ck_assert_int_eq(connect(r->fd, (struct sockaddr *)&theirs, sizeof theirs), 0);
	fcntl(r->fd, F_SETFL, O_NONBLOCK);
}

/* RFC 9687: a peer that takes nothing, with room left in our own socket: reading again, it finds out why. */
START_TEST(test_send_hold_is_told)
{
	static uint8_t body[4000];
	struct bgp_session_conf conf = raw_conf();
	struct bgp_open o = raw_open();
	struct bgp_notification n;
	unsigned updates = 0;

	conf.send_hold = 1;
	open_victim(&conf);
	connect_small(peer, PEER, HERE);
	raw_establish(peer, &victim, &o);
	victim.message = make_message(BGP_UPDATE, body, sizeof body);
	victim.supply = 4;
	bgp_session_kick(victim.s);
	TURN_UNTIL(!victim.supply, 3);
	TURN_UNTIL(victim.down, 5);
	ck_assert_str_eq(victim.reason, "send hold timer expired: the peer has taken nothing for 1 s");
	ck_assert_uint_gt(victim.ended.notification.len, 0);
	do {
		TURN_UNTIL(raw_has_message(peer) || peer->eof, 3);
		ck_assert(raw_has_message(peer));
		raw_take(peer);
		updates += peer->type == BGP_UPDATE;
	} while (peer->type != BGP_NOTIFICATION);
	ck_assert_uint_eq(updates, 4);
	ck_assert(bgp_notification_decode(&n, peer->body));
	ck_assert(n.code == BGP_ERR_SEND_HOLD && n.subcode == 0);
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
    {false, false, 0, 0, V4, 0}, {true, false, 0, 0, V4, 0}, {false, false, 6, 4, 0, 0},  {true, false, 6, 4, V4, 0},
    {true, false, 6, 9, 0, 0},	 {true, false, 3, 1, V4, 0}, {false, true, 6, 8, 0, 8},	  {true, true, 6, 8, V4, 8},
    {true, true, 6, 1, 0, 9},	 {false, true, 6, 1, 0, 1},  {true, true, 3, 1, V4, 1},	  {true, true, 6, 9, 0, 9},
    {false, true, 6, 10, 0, 10}, {true, true, 6, 10, 0, 9},  {true, false, 6, 10, V4, 0},
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

/* RFC 9494: offered with RFC 4724 only; what the peer wants beyond its restart time is told if we offered it. */
START_TEST(test_long_lived)
{
	struct bgp_session_conf conf = raw_conf();
	struct bgp_open o = raw_open(), ours;

	conf.gr = _i > 0;
	conf.llgr = _i != 1;
	conf.llgr_time = 3600;
	o.gr = o.llgr = true;
	o.gr_families = V4;
	o.llgr_time[FAM_IPV4] = 86400;
	o.llgr_time[FAM_IPV6] = 7200; /* RFC 9494 4.2: also if not kept over the restart itself */
	o.llgr_families = V4 | V6;
	open_victim(&conf);
	raw_connect(peer, PEER, HERE);
	raw_send_open(peer, &o);
	raw_expect(peer, BGP_OPEN);
	ck_assert_int_eq(bgp_open_decode(&ours, peer->body).action, BGP_OK);
	ck_assert_int_eq(ours.llgr, _i == 2);
	ck_assert_uint_eq(ours.llgr_time[FAM_IPV4], _i == 2 ? 3600 : 0);
	ck_assert_uint_eq(ours.llgr_time[FAM_IPV6], _i == 2 ? 3600 : 0);
	raw_expect(peer, BGP_KEEPALIVE);
	raw_send_keepalive(peer);
	TURN_UNTIL(is_up(&victim), 3);
	raw_close(peer);
	TURN_UNTIL(victim.down == 1, 3);
	ck_assert_uint_eq(victim.last.gr_families, _i ? V4 : 0);
	ck_assert_uint_eq(victim.last.llgr_time[FAM_IPV4], _i == 2 ? 86400 : 0);
	ck_assert_uint_eq(victim.last.llgr_time[FAM_IPV6], _i == 2 ? 7200 : 0);
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
static struct raw *bystanding;

static void end_bystander(struct end *e, char what)
{
	uint8_t noise[2000];

	(void)e;
	if (what != 'u' || !bystander)
		return;
	memset(noise, 'x', sizeof noise);
	raw_write(bystanding, noise, sizeof noise);
	raw_reset(bystanding);
	bgp_session_reset(bystander->s, BGP_ERR_CEASE, BGP_CEASE_RESET, "test");
	bystander = NULL;
}

START_TEST(test_reset_of_another)
{
	struct bgp_session_conf conf = raw_conf();
	struct bgp_open o = raw_open();
	struct raw *other = raw_new();
	struct end second = {0};
	uint8_t msg[23 * 100];
	struct wr w = wr_make(msg, sizeof msg);

	reach(BGP_ESTABLISHED);
	conf.remote = rig_addr("127.0.0.10");
	end_open(&second, 0, &conf);
	raw_connect(other, "127.0.0.10", HERE);
	raw_establish(other, &second, &o);
	for (int i = 0; i < 100; i++)
		bgp_update_encode_end_of_rib(&w, FAM_IPV4);
	raw_write(peer, msg, wr_len(&w));
	bystander = &second;
	bystanding = other;
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
	unsigned lines = 0;

	open_victim(&conf);
	strbuf_reset(&rig.log);
	log_setup(LOG_LVL_INFO, false);
	for (unsigned i = 1; i <= 60; i++) {
		raw_connect(peer, PEER, HERE);
		raw_establish(peer, &victim, &o);
		raw_close(peer);
		TURN_UNTIL(victim.down == i, 3);
	}
	ck_assert_uint_eq(victim.up, 60);
	ck_assert(rig_logged("A-B: Established") && rig_logged("A-B: down: "));
	for (const char *at = rig.log.s; (at = strchr(at, '\n')); at++)
		lines++;
	/* 20 a minute of each kind; twice that and what was left out, should a minute have ended meanwhile. */
	ck_assert_uint_le(lines, 2 * (2 * 20 + 1));
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
	struct bgp_notification n;

	reach(BGP_ESTABLISHED);
	mono_fake(mono_now() + 2 * MONO_SEC);
	raw_connect(again, PEER, HERE);
	raw_expect(peer, BGP_OPEN);
	raw_expect(peer, BGP_KEEPALIVE);
	TURN_UNTIL(raw_has_message(peer), 3);
	mono_fake(0);
	raw_expect(peer, BGP_KEEPALIVE);
	/* The first thing it hears: an OPEN would only make it judge the collision once more. */
	raw_expect(again, BGP_NOTIFICATION);
	ck_assert(bgp_notification_decode(&n, again->body));
	ck_assert(n.code == BGP_ERR_CEASE && n.subcode == BGP_CEASE_COLLISION);
	ck_assert(is_up(&victim));
	raw_free(again);
}
END_TEST

/* Who is refused for another reason than a rival connection hears our OPEN first (RFC 4271 4.2), then why. */
START_TEST(test_refused_after_our_open)
{
	struct bgp_session_conf conf = raw_conf();
	struct bgp_notification n;
	struct bgp_error err;
	struct bgp_open o;

	conf.admin_down = true;
	conf.shutdown_text = (char[]){"drained"};
	open_victim(&conf);
	raw_connect(peer, PEER, HERE);
	raw_expect(peer, BGP_OPEN);
	err = bgp_open_decode(&o, peer->body);
	ck_assert_int_eq(err.action, BGP_OK);
	ck_assert_uint_eq(o.as, conf.local_as);
	ck_assert_uint_eq(o.router_id, conf.router_id);
	raw_expect(peer, BGP_NOTIFICATION);
	ck_assert(bgp_notification_decode(&n, peer->body));
	ck_assert(n.code == BGP_ERR_CEASE && n.subcode == BGP_CEASE_SHUTDOWN);
	ck_hex_eq(n.data, "07 647261696e6564", "the reason");
	TURN_UNTIL(raw_has_message(peer) || peer->eof, 3);
	ck_assert_uint_eq(peer->len, 0);
	ck_assert_int_eq(bgp_session_info(victim.s).state, BGP_IDLE);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("session, endings");
	TCase *t = tcase_create("scripted peer");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, test_vanishes, 0, 9);
	tcase_add_test(t, test_damped);
	tcase_add_test(t, test_stall_is_bounded);
	tcase_add_test(t, test_stall_then_gone);
	tcase_add_test(t, test_timers);
	tcase_add_test(t, test_send_hold_is_told);
	tcase_add_test(t, test_busy_is_not_dead);
	tcase_add_loop_test(t, test_last_words, 0, COUNT(words));
	tcase_add_loop_test(t, test_long_lived, 0, 3);
	tcase_add_loop_test(t, test_graceful_masks, 0, COUNT(leaving));
	tcase_add_test(t, test_hard_reset);
	tcase_add_test(t, test_refused_after_our_open);
	tcase_add_test(t, test_no_hold_time);
	tcase_add_test(t, test_reason_is_last_error);
	tcase_add_test(t, test_reset_of_another);
	tcase_add_test(t, test_flapping);
	tcase_add_test(t, test_restarted_peer);
	tcase_add_test(t, test_back_at_once);
	tcase_add_test(t, test_second_connection);
	suite_add_tcase(s, t);
	return rig_run(s);
}
