/* The hold time of a session that dozes: neither shorter nor longer than that of one that is awake. */
#include "tests/unit/session/doze.h"

/* The hold time counts from when the last KEEPALIVE came, not from when it was read, nor from the look before. */
START_TEST(test_hold_time)
{
	uint64_t came, heard;

	fall_asleep(3);
	wait_for(500 * MONO_MSEC);
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

/* A part of a message comes after the last KEEPALIVE was read, and no more: enough to wake somebody, or not. That
 * neither restarts the hold timer nor makes it forget when that KEEPALIVE came. */
START_TEST(test_hold_time_with_a_part)
{
	static const uint8_t body[40];
	struct buf *update = make_message(BGP_UPDATE, body, sizeof body);
	uint64_t came, took;

	fall_asleep(4);
	came = keepalive_is_read();
	if (_i)
		TURN_UNTIL(mono_now() > came + 3500 * MONO_MSEC, 6);
	raw_write(peer, update->data, _i ? 1 : 30);
	TURN_UNTIL(has_ended(), 12);
	took = mono_now() - came;
	ck_assert_str_eq(victim.reason, "hold timer expired after 4 s");
	ck_assert_uint_ge(took, 3950 * MONO_MSEC);
	/* Late by our own interval at most. */
	ck_assert_uint_le(took, 6500 * MONO_MSEC);
	buf_unref(update);
}
END_TEST

/* We were stopped for longer than the hold time, and what the peer said meanwhile counts from when it came. */
START_TEST(test_stopped)
{
	uint64_t came = 0;

	fall_asleep(3);
	for (int i = 0; i < 4; i++) {
		usleep(900000);
		if (_i || i == 1) {
			raw_send_keepalive(peer);
			came = mono_now();
		}
	}
	TURN_UNTIL(lies_there() == 0, 2);
	if (_i)
		return;
	TURN_UNTIL(has_ended(), 5);
	ck_assert_str_eq(victim.reason, "hold timer expired after 3 s");
	ck_assert_uint_ge(mono_now() - came, 2950 * MONO_MSEC);
}
END_TEST

/* As long as there are UPDATEs to send no KEEPALIVE of ours is due, and nobody looks. */
START_TEST(test_hold_time_among_updates)
{
	uint64_t came, sent;

	fall_asleep(3);
	victim.message = make_message(BGP_UPDATE, empty_update, sizeof empty_update);
	raw_send_keepalive(peer);
	came = mono_now();
	sent = bgp_session_info(victim.s).messages_out[BGP_KEEPALIVE];
	for (; !has_ended(); loop_turn(rig.loop, true)) {
		ck_assert_uint_lt(mono_now() - came, 8 * MONO_SEC);
		while (raw_has_message(peer))
			raw_take(peer);
		victim.supply = 1;
		bgp_session_kick(victim.s);
	}
	ck_assert_uint_le(bgp_session_info(victim.s).messages_out[BGP_KEEPALIVE], sent + 1);
	ck_assert_uint_ge(mono_now() - came, 2950 * MONO_MSEC);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("silence");
	TCase *t = tcase_create("silence");

	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_hold_time);
	tcase_add_loop_test(t, test_hold_time_with_a_part, 0, 2);
	tcase_add_loop_test(t, test_stopped, 0, 2);
	tcase_add_test(t, test_hold_time_among_updates);
	suite_add_tcase(s, t);
	return rig_run(s);
}
