/* The table of the state machine, row by row, against RFC 4271 8.2.2. */
#include "bgp/session/fsm.h"

#include <check.h>
#include <string.h>

/* Where each event leads from Idle, Connect, Active, OpenSent, openConfirm (F) and Established; "!" marks an FSM error
 * (RFC 6608), "." an event that is ignored. */
static const struct {
	enum fsm_event event;
	const char *next;
} matrix[] = {
    {EV_MANUAL_START, "C . . . . ."},
    {EV_MANUAL_STOP, ". I I I I I"},
    {EV_AUTO_START, "C . . . . ."},
    {EV_MANUAL_START_PASSIVE, "A . . . . ."},
    {EV_AUTO_START_PASSIVE, "A . . . . ."},
    {EV_AUTO_START_DAMPED, "C . . . . ."},
    {EV_AUTO_START_DAMPED_PASSIVE, "A . . . . ."},
    {EV_AUTO_STOP, ". I I I I I"},
    {EV_CONNECT_RETRY_TIMER, ". C C ! ! !"},
    {EV_HOLD_TIMER, ". I I I I I"},
    {EV_KEEPALIVE_TIMER, ". I I ! F E"},
    {EV_DELAY_OPEN_TIMER, ". O O ! ! !"},
    {EV_IDLE_HOLD_TIMER, "C I I ! ! !"},
    {EV_TCP_VALID, ". . . . . ."},
    {EV_TCP_INVALID, ". . . . . ."},
    {EV_TCP_ACKED, ". O O . . ."},
    {EV_TCP_CONFIRMED, ". O O . . ."},
    {EV_TCP_FAILS, ". A I A I I"},
    {EV_OPEN, ". I I F ! !"},
    {EV_OPEN_DELAYED, ". F F ! ! !"},
    {EV_HEADER_ERROR, ". I I I I I"},
    {EV_OPEN_ERROR, ". I I I I !"},
    {EV_COLLISION_DUMP, ". I I I I I"},
    {EV_NOTIFICATION_VERSION, ". I I I I I"},
    {EV_NOTIFICATION, ". I I I I I"},
    {EV_KEEPALIVE, ". I I ! E E"},
    {EV_UPDATE, ". I I ! ! E"},
    {EV_UPDATE_ERROR, ". I I ! ! I"},
    {EV_SEND_HOLD_TIMER, ". I I I I I"},
    {EV_REFRESH, ". I I ! ! E"},
    {EV_REFRESH_ERROR, ". I I ! ! I"},
    {EV_REPLACED, ". I I ! ! I"},
};

static const char letters[] = "ICAOFE";

static bool leaves(enum bgp_state s, enum fsm_event e)
{
	return s != BGP_IDLE && fsm_row(s, e)->next == BGP_IDLE;
}

START_TEST(test_next)
{
	enum fsm_event e = matrix[_i].event;

	for (int s = 0; s < BGP_STATE_COUNT; s++) {
		const struct fsm_row *r = fsm_row((enum bgp_state)s, e);
		char want = matrix[_i].next[2 * s];
		int next = want == '.' ? s : want == '!' ? BGP_IDLE : (int)(strchr(letters, want) - letters);

		ck_assert_msg(r->next == next, "%s in %s leads to %s", fsm_event_name(e),
			      bgp_state_name((enum bgp_state)s), bgp_state_name((enum bgp_state)r->next));
		ck_assert_msg((want == '!') == !!(r->actions & DO_FSM_ERROR), "%s in %s: FSM error", fsm_event_name(e),
			      bgp_state_name((enum bgp_state)s));
		ck_assert_msg(want != '.' || !r->actions, "%s in %s is not ignored", fsm_event_name(e),
			      bgp_state_name((enum bgp_state)s));
	}
}
END_TEST

START_TEST(test_all_events_are_in_the_matrix)
{
	ck_assert_uint_eq(sizeof matrix / sizeof matrix[0], EV_COUNT - 1);
	for (int e = 1; e < EV_COUNT; e++) {
		ck_assert_int_eq(matrix[e - 1].event, e);
		ck_assert_ptr_nonnull(fsm_event_name((enum fsm_event)e));
	}
}
END_TEST

/* Which ends tell the peer: those that are our doing. */
static bool is_ours(enum fsm_event e)
{
	static const enum fsm_event list[] = {EV_MANUAL_STOP,  EV_AUTO_STOP,	 EV_HOLD_TIMER,
					      EV_HEADER_ERROR, EV_OPEN_ERROR,	 EV_COLLISION_DUMP,
					      EV_UPDATE_ERROR, EV_REFRESH_ERROR, EV_SEND_HOLD_TIMER};

	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
		if (list[i] == e)
			return true;
	return false;
}

/* Which ends are nobody's failure. */
static bool is_innocent(enum bgp_state s, enum fsm_event e)
{
	return e == EV_MANUAL_STOP || e == EV_COLLISION_DUMP || (e == EV_REPLACED && s == BGP_ESTABLISHED) ||
	       (e == EV_NOTIFICATION_VERSION && (s == BGP_OPENSENT || s == BGP_OPENCONFIRM));
}

/* Whatever ends a connection closes it, stops the retry timer, tells the peer if it should, and backs off if it must.
 */
START_TEST(test_ends)
{
	unsigned seen = 0;

	for (int st = BGP_CONNECT; st < BGP_STATE_COUNT; st++) {
		for (int ev = 1; ev < EV_COUNT; ev++) {
			enum bgp_state s = (enum bgp_state)st;
			enum fsm_event e = (enum fsm_event)ev;
			unsigned a = fsm_row(s, e)->actions;
			bool tells, backs_off;

			if (!leaves(s, e))
				continue;
			seen++;
			tells = s >= BGP_OPENSENT && (is_ours(e) || a & DO_FSM_ERROR);
			backs_off = (a & DO_FSM_ERROR) || !is_innocent(s, e);
			ck_assert_msg(a & DO_DROP && a & DO_RETRY_STOP, "%s in %s", fsm_event_name(e),
				      bgp_state_name(s));
			ck_assert_msg(!!(a & DO_NOTIFY) == tells, "%s in %s: NOTIFICATION", fsm_event_name(e),
				      bgp_state_name(s));
			ck_assert_msg(!!(a & DO_DAMP) ==
					  (backs_off || (e == EV_NOTIFICATION_VERSION && s < BGP_OPENSENT)),
				      "%s in %s: back-off", fsm_event_name(e), bgp_state_name(s));
			ck_assert_msg(!!(a & DO_COUNT) == !!(a & DO_DAMP), "%s in %s: counter", fsm_event_name(e),
				      bgp_state_name(s));
			ck_assert_msg(!(a & (DO_SEND_OPEN | DO_SEND_KEEPALIVE | DO_DIAL | DO_RETRY_START)), "%s in %s",
				      fsm_event_name(e), bgp_state_name(s));
			ck_assert(!!(a & DO_COUNT_RESET) == (e == EV_MANUAL_STOP));
		}
	}
	ck_assert_uint_gt(seen, 80);
}
END_TEST

/* What every row that enters a state must do: OpenSent has sent its OPEN, and so on. */
START_TEST(test_entries)
{
	static const struct {
		enum bgp_state next;
		unsigned must;
	} rules[] = {
	    {BGP_OPENSENT, DO_SEND_OPEN | DO_RETRY_STOP},
	    {BGP_OPENCONFIRM, DO_SEND_KEEPALIVE | DO_RETRY_STOP | DO_HOLD},
	    {BGP_ESTABLISHED, DO_HOLD},
	    {BGP_CONNECT, DO_DIAL | DO_RETRY_START},
	    {BGP_ACTIVE, DO_RETRY_START},
	};

	for (int s = 0; s < BGP_STATE_COUNT; s++) {
		for (int e = 1; e < EV_COUNT; e++) {
			const struct fsm_row *r = fsm_row((enum bgp_state)s, (enum fsm_event)e);

			if (r->next == s || r->next == BGP_IDLE)
				continue;
			for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
				ck_assert_msg(r->next != rules[i].next || (r->actions & rules[i].must) == rules[i].must,
					      "%s in %s", fsm_event_name((enum fsm_event)e),
					      bgp_state_name((enum bgp_state)s));
		}
	}
}
END_TEST

START_TEST(test_only_one_way_up)
{
	for (int s = 0; s < BGP_STATE_COUNT; s++)
		for (int e = 1; e < EV_COUNT; e++)
			if (s != BGP_ESTABLISHED &&
			    fsm_row((enum bgp_state)s, (enum fsm_event)e)->next == BGP_ESTABLISHED)
				ck_assert(s == BGP_OPENCONFIRM && e == EV_KEEPALIVE);
}
END_TEST

/* Actions other than the common ends, where the RFC names them. */
static const struct {
	enum bgp_state state;
	enum fsm_event event;
	unsigned actions;
} exact[] = {
    {BGP_IDLE, EV_MANUAL_START, DO_COUNT_RESET | DO_RETRY_START | DO_DIAL},
    {BGP_IDLE, EV_MANUAL_START_PASSIVE, DO_COUNT_RESET | DO_RETRY_START},
    {BGP_IDLE, EV_IDLE_HOLD_TIMER, DO_RETRY_START | DO_DIAL},
    {BGP_IDLE, EV_AUTO_START_DAMPED_PASSIVE, DO_RETRY_START},
    {BGP_CONNECT, EV_CONNECT_RETRY_TIMER, DO_DROP | DO_COUNT | DO_RETRY_START | DO_DIAL},
    {BGP_CONNECT, EV_TCP_ACKED, DO_RETRY_STOP | DO_SEND_OPEN},
    {BGP_CONNECT, EV_TCP_FAILS, DO_DROP | DO_COUNT | DO_RETRY_START},
    {BGP_ACTIVE, EV_CONNECT_RETRY_TIMER, DO_RETRY_START | DO_DIAL},
    {BGP_ACTIVE, EV_TCP_CONFIRMED, DO_RETRY_STOP | DO_SEND_OPEN},
    {BGP_OPENSENT, EV_OPEN, DO_RETRY_STOP | DO_SEND_KEEPALIVE | DO_HOLD},
    {BGP_OPENSENT, EV_TCP_FAILS, DO_DROP | DO_COUNT | DO_RETRY_START},
    {BGP_OPENSENT, EV_NOTIFICATION_VERSION, DO_DROP | DO_RETRY_STOP},
    {BGP_OPENCONFIRM, EV_KEEPALIVE_TIMER, DO_SEND_KEEPALIVE},
    {BGP_OPENCONFIRM, EV_KEEPALIVE, DO_HOLD},
    {BGP_ESTABLISHED, EV_KEEPALIVE_TIMER, DO_SEND_KEEPALIVE},
    {BGP_ESTABLISHED, EV_KEEPALIVE, DO_HOLD},
    {BGP_ESTABLISHED, EV_UPDATE, DO_HOLD},
    {BGP_ESTABLISHED, EV_REFRESH, DO_HOLD},
    {BGP_ESTABLISHED, EV_REPLACED, DO_DROP | DO_RETRY_STOP},
};

START_TEST(test_exact)
{
	ck_assert_uint_eq(fsm_row(exact[_i].state, exact[_i].event)->actions, exact[_i].actions);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fsm");
	TCase *t = tcase_create("table");
	SRunner *sr;
	int failures;

	tcase_add_loop_test(t, test_next, 0, sizeof matrix / sizeof matrix[0]);
	tcase_add_test(t, test_all_events_are_in_the_matrix);
	tcase_add_test(t, test_ends);
	tcase_add_test(t, test_entries);
	tcase_add_test(t, test_only_one_way_up);
	tcase_add_loop_test(t, test_exact, 0, sizeof exact / sizeof exact[0]);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
