/* The table of the state machine, row by row, against RFC 5880 6.2, 6.8.6 and 6.8.16. */
#include "bgp/bfd/fsm.h"

#include <check.h>

/* For AdminDown, Down, Init, Up: the first letter of where each event leads, "." for nowhere; then the diagnostic it
 * sets ("-": stays as it is), and "f" if the remote is forgotten. */
static const struct {
	enum bfd_event event;
	const char *next, *diag, *forget;
} matrix[] = {
    {BFD_EV_DISABLE, ".AAA", "-777", "...."},	  {BFD_EV_ENABLE, "D...", "0---", "...."},
    {BFD_EV_TIMEOUT, "..DD", "--11", "ffff"},	  {BFD_EV_REMOTE_ADMIN_DOWN, "..DD", "--33", "...."},
    {BFD_EV_REMOTE_DOWN, ".I.D", "---3", "...."}, {BFD_EV_REMOTE_INIT, ".UU.", "-00-", "...."},
    {BFD_EV_REMOTE_UP, "..U.", "--0-", "...."},
};
#define EVENTS (sizeof matrix / sizeof matrix[0])

static int state_of(char letter, int now)
{
	switch (letter) {
	case 'A':
		return BFD_ADMIN_DOWN;
	case 'D':
		return BFD_DOWN;
	case 'I':
		return BFD_INIT;
	case 'U':
		return BFD_UP;
	default:
		ck_assert_int_eq(letter, '.');
		return now;
	}
}

START_TEST(test_rows)
{
	for (int s = 0; s < BFD_STATE_COUNT; s++) {
		const struct bfd_row *r = bfd_row((enum bfd_state)s, matrix[_i].event);
		char diag = matrix[_i].diag[s];

		ck_assert(r->listed);
		ck_assert_int_eq(r->next, state_of(matrix[_i].next[s], s));
		ck_assert_int_eq(!!(r->actions & BFD_DO_DIAG), diag != '-');
		if (diag != '-')
			ck_assert_int_eq(r->diag, diag - '0');
		ck_assert_int_eq(!!(r->actions & BFD_DO_FORGET), matrix[_i].forget[s] == 'f');
	}
}
END_TEST

START_TEST(test_all_events_are_in_the_matrix)
{
	ck_assert_uint_eq(EVENTS, BFD_EV_COUNT);
	for (size_t i = 0; i < EVENTS; i++)
		ck_assert_int_eq(matrix[i].event, (int)i);
}
END_TEST

START_TEST(test_events_of_packets)
{
	ck_assert_int_eq(bfd_event_of(BFD_ADMIN_DOWN), BFD_EV_REMOTE_ADMIN_DOWN);
	ck_assert_int_eq(bfd_event_of(BFD_DOWN), BFD_EV_REMOTE_DOWN);
	ck_assert_int_eq(bfd_event_of(BFD_INIT), BFD_EV_REMOTE_INIT);
	ck_assert_int_eq(bfd_event_of(BFD_UP), BFD_EV_REMOTE_UP);
}
END_TEST

/* Two machines that hear each other, in whatever order and from whatever states, end Up unless one is AdminDown. */
START_TEST(test_two_machines_meet)
{
	for (int a = BFD_DOWN; a < BFD_STATE_COUNT; a++) {
		for (int b = BFD_DOWN; b < BFD_STATE_COUNT; b++) {
			for (unsigned order = 0; order < 1 << 10; order++) {
				uint8_t at[2] = {(uint8_t)a, (uint8_t)b};

				for (unsigned i = 0; i < 10; i++) {
					unsigned who = order >> i & 1;
					enum bfd_event e = bfd_event_of((enum bfd_state)at[!who]);
					at[who] = bfd_row((enum bfd_state)at[who], e)->next;
				}
				/* Then both in turn. */
				for (unsigned i = 0; i < 8; i++) {
					enum bfd_event e = bfd_event_of((enum bfd_state)at[!(i & 1)]);
					at[i & 1] = bfd_row((enum bfd_state)at[i & 1], e)->next;
				}
				ck_assert_int_eq(at[0], BFD_UP);
				ck_assert_int_eq(at[1], BFD_UP);
			}
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bfd fsm");
	TCase *t = tcase_create("fsm");
	SRunner *sr;
	int failures;

	tcase_add_loop_test(t, test_rows, 0, EVENTS);
	tcase_add_test(t, test_all_events_are_in_the_matrix);
	tcase_add_test(t, test_events_of_packets);
	tcase_add_test(t, test_two_machines_meet);
	suite_add_tcase(suite, t);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
