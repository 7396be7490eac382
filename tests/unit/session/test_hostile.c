/* A scripted peer sends what it should not, in all kinds of pieces and amounts. */
#include <dirent.h>
#include <sys/resource.h>

#include "tests/unit/session/victim.h"

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

/* Out of descriptors: said once, without spinning, and over as soon as there are some. */
START_TEST(test_no_descriptors)
{
	struct bgp_session_conf conf = raw_conf();
	struct sockaddr_in from = raw_sockaddr(PEER, 0), to = raw_sockaddr(HERE, rig.port);
	struct rlimit before, none;
	uint64_t turns;

	open_victim(&conf);
	peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(peer->fd, (struct sockaddr *)&from, sizeof from), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = (rlim_t)peer->fd + 1;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert(connect(peer->fd, (struct sockaddr *)&to, sizeof to) == 0 || errno == EINPROGRESS);
	TURN_UNTIL(rig_logged("accept: Too many open files; peers cannot connect: raise the limit"), 3);
	turns = loop_stats(rig.loop)->turns;
	TURN_WHILE(bgp_session_info(victim.s).state == BGP_ACTIVE, 0.15);
	ck_assert_uint_lt(loop_stats(rig.loop)->turns - turns, 100);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	await_state(BGP_OPENSENT);
}
END_TEST

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
	tcase_add_test(t, test_byte_by_byte);
	tcase_add_test(t, test_all_at_once);
	tcase_add_test(t, test_flood);
	tcase_add_test(t, test_notification_reaches_flooder);
	tcase_add_test(t, test_many_connections);
	tcase_add_test(t, test_capabilities_refused);
	tcase_add_test(t, test_malformed_update);
	tcase_add_test(t, test_family_disabled);
	tcase_add_test(t, test_broken_refresh);
	tcase_add_test(t, test_churn);
	tcase_add_test(t, test_noise);
	tcase_add_test(t, test_no_descriptors);
	suite_add_tcase(s, t);
	return rig_run(s);
}
