/* Who calls: ranges of peers, and which session of several takes a call; the passwords on the listening sockets; RFC
 * 5082 before there is a connection. */
#include "tests/unit/session/victim.h"

#define COUSIN "127.0.0.10"
#define FAR "127.0.1.9"

static struct end wide, narrow;
static struct bgp_range *wide_range, *narrow_range;

static struct bgp_range *add_range(struct end *e, const char *prefix, char *password, uint8_t min_ttl)
{
	struct bgp_range_conf conf = {.name = (char[]){"range"}, .password = password, .min_ttl = min_ttl};
	struct bgp_range *r;

	ck_assert(prefix_parse(&conf.prefix, prefix));
	r = bgp_range_new(rig.side[0].engine, &conf, rig_caller, e);
	e->callers = raw_conf();
	e->callers.range = r;
	return r;
}

static void setup_ranges(void)
{
	setup();
	memset(&wide, 0, sizeof wide);
	memset(&narrow, 0, sizeof narrow);
	wide_range = narrow_range = NULL;
}

static void teardown_ranges(void)
{
	if (wide.s)
		end_close(&wide);
	if (narrow.s)
		end_close(&narrow);
	if (wide_range)
		bgp_range_free(wide_range);
	if (narrow_range)
		bgp_range_free(narrow_range);
	teardown();
}

/* Opens a session as PEER and hangs up again, so that the range is free for the next one. */
static void visit(struct end *e, const char *from)
{
	struct bgp_open o = raw_open();

	raw_connect(peer, from, HERE);
	raw_establish(peer, e, &o);
	raw_close(peer);
	TURN_UNTIL(e->down == e->up, 3);
	ck_assert(!bgp_session_is_connected(e->s));
	end_close(e);
}

START_TEST(test_longest_range)
{
	/* The order in which they came does not matter. */
	if (_i)
		narrow_range = add_range(&narrow, "127.0.0.8/30", NULL, 0);
	wide_range = add_range(&wide, "127.0.0.0/16", NULL, 0);
	if (!_i)
		narrow_range = add_range(&narrow, "127.0.0.8/30", NULL, 0);
	visit(&narrow, PEER);
	visit(&narrow, COUSIN);
	visit(&wide, FAR);
	ck_assert_uint_eq(narrow.calls, 2);
	ck_assert_uint_eq(wide.calls, 1);
	/* Changed in place. */
	bgp_range_configure(narrow_range, &(struct bgp_range_conf){.name = (char[]){"other"},
								   .prefix = {.addr = rig_addr(FAR), .len = 32}});
	visit(&narrow, FAR);
	visit(&wide, PEER);
}
END_TEST

START_TEST(test_configured_beats_range)
{
	wide_range = add_range(&wide, "127.0.0.0/16", NULL, 0);
	reach(BGP_ESTABLISHED);
	ck_assert_uint_eq(wide.calls, 0);
	/* Not even its calls to another address of ours are for the range. */
	raw_close(peer);
	TURN_UNTIL(victim.down == 1, 3);
	struct bgp_session_conf conf = raw_conf();
	conf.local = rig_addr("127.0.0.77");
	bgp_session_configure(victim.s, &conf);
	raw_connect(peer, PEER, HERE);
	TURN_UNTIL(raw_has_message(peer) || peer->eof, 3);
	ck_assert(peer->eof && peer->len == 0);
	ck_assert_uint_eq(wide.calls, 0);
}
END_TEST

START_TEST(test_refused)
{
	wide_range = add_range(&wide, "127.0.0.0/16", NULL, 0);
	wide.refuse = "it is full";
	for (unsigned n = 1; n <= 8; n++) {
		raw_connect(peer, PEER, HERE);
		raw_expect_notification(peer, BGP_ERR_CEASE, BGP_CEASE_REJECTED);
		raw_close(peer);
		ck_assert_uint_eq(wide.calls, n);
	}
	ck_assert(rig_logged("range: connection from 127.0.0.9 refused: it is full (0 more not shown)"));
	/* Five lines, not eight. */
	unsigned lines = 0;
	for (const char *at = rig.log.s; (at = strstr(at, "it is full")); at++)
		lines++;
	ck_assert_uint_eq(lines, 5);
	wide.refuse = NULL;
	visit(&wide, PEER);
}
END_TEST

/* A signed connection of a scripted peer. */
static bool calls_signed(const char *from, const char *password)
{
	struct sockaddr_in sa = raw_sockaddr(from, 0), to = raw_sockaddr(HERE, rig.port);
	struct tcp_md5sig key = {.tcpm_keylen = (uint16_t)strlen(password)};
	socklen_t len = sizeof sa;
	bool connected;
	int error = 0;

	peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(peer->fd, (struct sockaddr *)&sa, sizeof sa), 0);
	memcpy(&key.tcpm_addr, &to, sizeof to);
	memcpy(key.tcpm_key, password, key.tcpm_keylen);
	ck_assert_int_eq(setsockopt(peer->fd, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof key), 0);
	connect(peer->fd, (struct sockaddr *)&to, sizeof to);
	for (int n = 0; n < 20; n++)
		loop_turn(rig.loop, true);
	connected = getpeername(peer->fd, (struct sockaddr *)&sa, &len) == 0;
	getsockopt(peer->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error});
	raw_close(peer);
	return connected && !error;
}

START_TEST(test_range_password)
{
	struct bgp_session_conf conf = raw_conf();

	wide_range = add_range(&wide, "127.0.0.0/16", (char[]){"sesame"}, 0);
	wide.refuse = "it is enough that it got here";
	conf.password = (char[]){"its own"};
	open_victim(&conf);
	ck_assert(calls_signed(COUSIN, "sesame"));
	ck_assert(calls_signed(FAR, "sesame"));
	ck_assert(!calls_signed(COUSIN, "another"));
	ck_assert(!calls_signed(PEER, "sesame"));
	ck_assert(calls_signed(PEER, "its own"));
	ck_assert_uint_eq(wide.calls, 2);
	/* Sockets that are opened later have the keys, too. */
	bgp_engine_listen(rig.side[0].engine, NULL, 0, NULL, 0);
	rig_listen(0);
	ck_assert(!calls_signed(COUSIN, "another"));
	ck_assert(calls_signed(COUSIN, "sesame"));
	/* Another password, and none. */
	bgp_range_configure(wide_range, &(struct bgp_range_conf){.name = (char[]){"range"},
								 .prefix = prefix_make(&rig.side[0].addr, 16),
								 .password = (char[]){"another"}});
	ck_assert(!calls_signed(COUSIN, "sesame"));
	ck_assert(calls_signed(COUSIN, "another"));
	bgp_range_free(wide_range);
	wide_range = add_range(&wide, "127.0.0.0/16", NULL, 0);
	ck_assert(!calls_signed(COUSIN, "another"));
	wide.refuse = NULL;
	visit(&wide, COUSIN);
}
END_TEST

/* Sessions with one address on different ports have one key on the listening sockets: the first one's. */
START_TEST(test_two_passwords)
{
	struct bgp_session_conf first = raw_conf(), second = raw_conf();

	first.password = (char[]){"first"};
	second.name = (char[]){"A-Y"};
	second.password = (char[]){"second"};
	second.remote_port = 1;
	open_victim(&first);
	end_open(&wide, 0, &second);
	ck_assert(rig_logged("A-Y: connections from 127.0.0.9/32 must have the password of A-B"));
	ck_assert(calls_signed(PEER, "first"));
	ck_assert(!calls_signed(PEER, "second"));
	/* It is the one with this password that has taken the call. */
	TURN_UNTIL(bgp_session_info(victim.s).attempts_failed, 3);
	ck_assert_uint_eq(bgp_session_info(wide.s).attempts_failed, 0);
	/* The one that goes leaves the other one's in force; and so does the one that no longer has one. */
	end_close(&victim);
	ck_assert(calls_signed(PEER, "second"));
	ck_assert(!calls_signed(PEER, "first"));
	open_victim(&first);
	second.password = NULL;
	bgp_session_configure(wide.s, &second);
	ck_assert(calls_signed(PEER, "first"));
	end_close(&victim);
	ck_assert(!calls_signed(PEER, "first"));
}
END_TEST

/* Two sessions that differ in the port alone: the call is for the one that is not up. */
START_TEST(test_two_ports)
{
	struct bgp_session_conf second = raw_conf();
	struct bgp_open o = raw_open();
	struct raw *again = raw_new();

	second.name = (char[]){"A-Y"};
	second.remote_port = 1;
	reach(BGP_ESTABLISHED);
	end_open(&wide, 0, &second);
	raw_connect(again, PEER, HERE);
	raw_establish(again, &wide, &o);
	ck_assert(is_up(&victim) && is_up(&wide));
	raw_free(again);
	TURN_UNTIL(wide.down == 1, 3);
	ck_assert(is_up(&victim));
}
END_TEST

/* The OPEN is there before the accepted socket can be told to drop what is too far away. */
START_TEST(test_called_from_afar)
{
	struct bgp_session_conf conf = raw_conf();
	struct bgp_open o = raw_open();
	int ttl = 255;

	conf.ttl = conf.min_ttl = 255;
	if (_i)
		wide_range = add_range(&wide, "127.0.0.0/16", NULL, 255);
	else
		open_victim(&conf);
	raw_connect(peer, PEER, HERE);
	raw_send_open(peer, &o);
	TURN_UNTIL(raw_has_message(peer) || peer->eof, 3);
	ck_assert(peer->eof && peer->len == 0);
	ck_assert(rig_logged("connection from 127.0.0.9 closed: its TTL is 64, too low for ttlSecurity"));
	ck_assert_uint_eq(wide.calls, 0);
	raw_close(peer);
	/* From next door. */
	struct sockaddr_in a_ = raw_sockaddr(PEER, 0), b_ = raw_sockaddr(HERE, rig.port);
	peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	peer->eof = false;
	ck_assert_int_eq(setsockopt(peer->fd, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl), 0);
	ck_assert_int_eq(bind(peer->fd, (struct sockaddr *)&a_, sizeof a_), 0);
	ck_assert_int_eq(connect(peer->fd, (struct sockaddr *)&b_, sizeof b_), 0);
	fcntl(peer->fd, F_SETFL, O_NONBLOCK);
	raw_establish(peer, _i ? &wide : &victim, &o);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("session, callers");
	TCase *t = tcase_create("ranges");

	tcase_add_checked_fixture(t, setup_ranges, teardown_ranges);
	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, test_longest_range, 0, 2);
	tcase_add_test(t, test_configured_beats_range);
	tcase_add_test(t, test_refused);
	tcase_add_test(t, test_range_password);
	tcase_add_test(t, test_two_passwords);
	tcase_add_test(t, test_two_ports);
	tcase_add_loop_test(t, test_called_from_afar, 0, 2);
	suite_add_tcase(s, t);
	return rig_run(s);
}
