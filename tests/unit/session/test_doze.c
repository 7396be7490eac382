/* A session whose peer is idle sleeps through its KEEPALIVEs, and through nothing else. */
#include <stdlib.h>

#include "tests/unit/session/doze.h"

START_TEST(test_sleeps)
{
	unsigned before;

	stay_awake(3);
	TURN_UNTIL(conn()->dozing, 3);
	before = keepalives();
	for (unsigned i = 1; i <= 2; i++) {
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

static const uint8_t refresh[] = {0, 1, 0, 1};

static bool was_updated(void)
{
	return victim.updates == 1;
}
static bool was_refreshed(void)
{
	return victim.refreshes == 1;
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

/* In two pieces, wherever they part, and with a KEEPALIVE before or not. */
START_TEST(test_every_split)
{
	static const uint8_t body[20];
	struct buf *update = make_message(BGP_UPDATE, body, sizeof body);

	sleep_well(false);
	for (unsigned cut = 1; cut < update->len; cut++) {
		unsigned updates = victim.updates, refreshes = victim.refreshes;

		nod_off();
		ck_assert(conn()->dozing);
		if (_i)
			raw_send_keepalive(peer);
		raw_write(peer, update->data, cut);
		if (cut % 3)
			TURN_UNTIL(conn()->tail || lies_there() == (int)cut + (_i ? (int)BGP_HEADER_LEN : 0), 2);
		if (cut % 3 == 2)
			nod_off();
		raw_write(peer, update->data + cut, update->len - cut);
		TURN_UNTIL(victim.updates == updates + 1, 2);
		ck_assert_uint_eq(lies_there(), 0);
		raw_send_message(peer, BGP_ROUTE_REFRESH, refresh, sizeof refresh);
		TURN_UNTIL(victim.refreshes == refreshes + 1, 2);
	}
	buf_unref(update);
}
END_TEST

/* Messages of all lengths, in pieces that know nothing of messages: but for a lone KEEPALIVE at the end all are heard
 * at once. */
START_TEST(test_any_pieces)
{
	static uint8_t body[3000], stream[64 * BGP_MAX_MESSAGE];
	unsigned updates = 0;

	sleep_well(false);
	srand((unsigned)_i);
	for (unsigned round = 0; round < 40; round++) {
		struct wr w = wr_make(stream, sizeof stream);
		size_t len, done = 0;

		if (rand() % 2)
			nod_off();
		for (int n = rand() % 5; n >= 0; n--) {
			struct buf *m = rand() % 2 ? make_message(BGP_KEEPALIVE, NULL, 0)
						   : make_message(BGP_UPDATE, body, 4 + (size_t)rand() % 2000);

			wr_bytes(&w, m->data, m->len);
			updates += m->len > BGP_HEADER_LEN;
			buf_unref(m);
		}
		ck_assert(!w.bad);
		len = wr_len(&w);
		while (done < len) {
			size_t piece = 1 + (size_t)rand() % (rand() % 2 ? 25 : 900);

			piece = piece < len - done ? piece : len - done;
			raw_write(peer, stream + done, piece);
			done += piece;
			if (rand() % 3 == 0)
				loop_turn(rig.loop, false);
			if (rand() % 20 == 0)
				nod_off();
		}
		TURN_UNTIL(victim.updates == updates && lies_there() <= (int)BGP_HEADER_LEN && !conn()->tail, 2);
	}
}
END_TEST

/* What is no more than a KEEPALIVE, but is none, is found when ours is due. */
static const struct {
	const char *hex, *reason;
	bool closes;
} broken[] = {
    {"fffffffffffffffffffffffffffffffe001304", "broken message header", false},
    {MARKER "001309", "broken message header", false},
    {MARKER "001204", "broken message header", false},
    {MARKER "0017", "peer closed the connection in the middle of a message", true},
    {"ff", "peer closed the connection in the middle of a message", true},
};

START_TEST(test_broken)
{
	fall_asleep(90);
	send_hex(broken[_i].hex);
	ck_assert(!readable());
	if (broken[_i].closes)
		shutdown(peer->fd, SHUT_WR);
	TURN_UNTIL(has_ended(), 3);
	ck_assert_msg(strstr(victim.reason, broken[_i].reason), "%s", victim.reason);
}
END_TEST

/* What is in the socket when a connection ends would make the kernel send a RST, which may overtake our last words. */
static const struct {
	uint8_t cease;
	bool crowd;
} ends_of_ours[] = {{BGP_CEASE_DECONFIGURED, false}, {BGP_CEASE_DECONFIGURED, true}, {0, false}};

static void expect_no_error(void)
{
	int error = 0;
	socklen_t len = sizeof error;

	ck_assert_int_eq(getsockopt(peer->fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	ck_assert_int_eq(error, 0);
}

START_TEST(test_no_reset)
{
	struct bgp_engine *e = rig.side[0].engine;
	struct pollfd p = {.events = POLLRDHUP};

	sleep_well(true);
	p.fd = peer->fd;
	e->farewell_count += ends_of_ours[_i].crowd ? 1000 : 0;
	bgp_session_free(victim.s, ends_of_ours[_i].cease);
	victim.s = NULL;
	e->farewell_count -= ends_of_ours[_i].crowd ? 1000 : 0;
	ck_assert_int_eq(poll(&p, 1, 5000), 1);
	expect_no_error();
	if (ends_of_ours[_i].cease)
		raw_expect_notification(peer, BGP_ERR_CEASE, ends_of_ours[_i].cease);
	TURN_UNTIL(LIST_EMPTY(&e->farewells), 5);
	expect_no_error();
}
END_TEST

/* Nobody is busy: the loop turns for the rig's tick, and for no more than a few KEEPALIVEs. */
START_TEST(test_idle)
{
	uint64_t before, ticks = 0, until;

	fall_asleep(90);
	loop_timer_stop(rig.loop, &rig.tick);
	before = loop_stats(rig.loop)->turns;
	for (until = mono_now() + 1500 * MONO_MSEC; mono_now() < until; ticks++)
		loop_turn(rig.loop, true);
	ck_assert_uint_le(loop_stats(rig.loop)->turns - before, 8);
	ck_assert_uint_le(ticks, 8);
	rig_tick(NULL);
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
	tcase_add_loop_test(t, test_every_split, 0, 2);
	tcase_add_loop_test(t, test_any_pieces, 0, 3);
	tcase_add_loop_test(t, test_broken, 0, COUNT(broken));
	tcase_add_loop_test(t, test_no_reset, 0, COUNT(ends_of_ours));
	tcase_add_test(t, test_idle);
	suite_add_tcase(s, t);
	return rig_run(s);
}
