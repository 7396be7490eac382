/* A session whose peer is idle sleeps through its KEEPALIVEs, and through nothing else. */
#include <poll.h>

#include "bgp/session/internal.h"
#include "tests/unit/session/victim.h"

static struct conn *conn(void)
{
	ck_assert(is_up(&victim));
	return victim.s->own.conn;
}

static bool readable(void)
{
	struct pollfd p = {.fd = conn()->fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static int lies_there(void)
{
	int n = 0;

	ck_assert_int_eq(ioctl(conn()->fd, FIONREAD, &n), 0);
	return n;
}

static unsigned keepalives(void)
{
	return (unsigned)bgp_session_info(victim.s).messages_in[BGP_KEEPALIVE];
}

/* Established with KEEPALIVEs each second, until the victim dozes. */
static void fall_asleep(uint16_t hold_time)
{
	struct bgp_session_conf conf = raw_conf();
	struct bgp_open o = raw_open();

	o.hold_time = hold_time;
	conf.keepalive_time = 1;
	open_victim(&conf);
	raw_connect(peer, PEER, HERE);
	raw_establish(peer, &victim, &o);
	ck_assert(!conn()->dozing);
	TURN_UNTIL(conn()->dozing, 3);
}

/* The same, and it would sleep for half a minute, with a KEEPALIVE lying there or not. */
static void sleep_well(bool keepalive)
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

START_TEST(test_sleeps)
{
	unsigned before;

	fall_asleep(3);
	before = keepalives();
	for (unsigned i = 1; i <= 3; i++) {
		raw_send_keepalive(peer);
		TURN_UNTIL(lies_there() == BGP_HEADER_LEN, 2);
		ck_assert(!readable());
		ck_assert_uint_eq(keepalives(), before + i - 1);
		/* It is read when our own is due. */
		TURN_UNTIL(keepalives() == before + i, 2);
		ck_assert_int_eq(lies_there(), 0);
	}
}
END_TEST

/* Two of them, which a peer with a shorter interval sends, are too many to lie there. */
START_TEST(test_two_keepalives)
{
	unsigned before;

	sleep_well(true);
	before = keepalives();
	raw_send_keepalive(peer);
	TURN_UNTIL(keepalives() == before + 2, 2);
	ck_assert(conn()->dozing);
}
END_TEST

static const uint8_t empty_update[4], refresh[] = {0, 1, 0, 1};

static bool was_updated(void)
{
	return victim.updates == 1;
}
static bool was_refreshed(void)
{
	return victim.refreshes == 1;
}
static bool has_ended(void)
{
	return victim.down == 1;
}

/* The shortest message of each type but OPEN and KEEPALIVE. */
static const struct {
	uint8_t type;
	const uint8_t *body;
	size_t len;
	bool (*heard)(void);
} messages[] = {
    {BGP_UPDATE, empty_update, sizeof empty_update, was_updated},
    {BGP_ROUTE_REFRESH, refresh, sizeof refresh, was_refreshed},
    {BGP_NOTIFICATION, (const uint8_t[]){BGP_ERR_CEASE, BGP_CEASE_RESET}, 2, has_ended},
};

START_TEST(test_wakes)
{
	sleep_well(_i % 2);
	raw_send_message(peer, messages[_i / 2].type, messages[_i / 2].body, messages[_i / 2].len);
	TURN_UNTIL(messages[_i / 2].heard(), 3);
}
END_TEST

/* The rest of a message may be shorter than a KEEPALIVE. */
START_TEST(test_rest_of_a_message)
{
	static const uint8_t body[20];
	struct buf *long_one = make_message(BGP_UPDATE, body, sizeof body);

	sleep_well(true);
	raw_write(peer, long_one->data, long_one->len - 3);
	TURN_UNTIL(conn()->tail, 2);
	ck_assert(!conn()->dozing);
	raw_write(peer, long_one->data + long_one->len - 3, 3);
	TURN_UNTIL(was_updated(), 2);
	buf_unref(long_one);
}
END_TEST

START_TEST(test_end_of_the_connection)
{
	sleep_well(true);
	if (_i)
		raw_reset(peer);
	else
		raw_close(peer);
	TURN_UNTIL(has_ended(), 2);
}
END_TEST

/* The hold time counts from when the last KEEPALIVE came, not from when it was read, nor from the look before. */
START_TEST(test_hold_time)
{
	uint64_t asleep, came, heard;

	fall_asleep(3);
	asleep = mono_now();
	TURN_UNTIL(mono_now() > asleep + 500 * MONO_MSEC, 2);
	raw_send_keepalive(peer);
	came = mono_now();
	TURN_UNTIL(lies_there() == BGP_HEADER_LEN, 1);
	for (unsigned i = 0; i < 2; i++) {
		heard = conn_heard(conn(), mono_now());
		ck_assert_uint_ge(heard, came - 50 * MONO_MSEC);
		ck_assert_uint_le(heard, came + 50 * MONO_MSEC);
		ck_assert_uint_gt(bgp_session_info(victim.s).hold_left + mono_now(), heard + 2950 * MONO_MSEC);
		TURN_UNTIL(lies_there() == 0, 2);
	}
	TURN_UNTIL(has_ended(), 6);
	ck_assert_str_eq(victim.reason, "hold timer expired after 3 s");
	ck_assert_uint_ge(mono_now() - came, 2950 * MONO_MSEC);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("doze");
	TCase *t = tcase_create("doze");

	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_sleeps);
	tcase_add_test(t, test_two_keepalives);
	tcase_add_loop_test(t, test_wakes, 0, 2 * COUNT(messages));
	tcase_add_test(t, test_rest_of_a_message);
	tcase_add_loop_test(t, test_end_of_the_connection, 0, 2);
	tcase_add_test(t, test_hold_time);
	suite_add_tcase(s, t);
	return rig_run(s);
}
