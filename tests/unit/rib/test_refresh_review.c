/* RFC 7313 4 beside RFC 4724: a refresh between markers waits for End-of-RIB; one without markers does not. */
#include "tests/unit/rib/inbox.h"

#define V4 FAM_IPV4

static struct rib_peer *source, *reader;
static struct inbox *in;

static void setup(void)
{
	rig_begin();
	source = peer_add(1, false);
	reader = peer_add(2, true);
	in = inbox_new(reader);
	announce(source, "10.1.0.0/24", (struct spec){.local_pref = 100});
	announce(source, "10.2.0.0/24", (struct spec){.local_pref = 200});
}

static void teardown(void)
{
	inbox_free(in);
	rig_end();
}

static void release_routes(void)
{
	for (int f = 0; f < FAM_COUNT; f++)
		rib_release_routes(rig.rib, (enum family)f);
}

static void release(void)
{
	for (int f = 0; f < FAM_COUNT; f++)
		rib_release(rig.rib, (enum family)f);
}

/* During our own restart routes go out before End-of-RIB may: the peer would ignore a BoRR (it MUST), and without one
 * its request would have been for nothing. */
START_TEST(test_begin_waits_for_end_of_rib)
{
	release_routes();
	inbox_drain(in);
	ck_assert_uint_eq(in->known, 2);
	ck_assert_uint_eq(in->end_of_rib[V4], 0);
	rib_peer_resend(reader, V4, true);
	inbox_drain(in);
	ck_assert_msg(in->begins == 0, "BoRR before End-of-RIB: %s", in->log);
	release();
	inbox_drain(in);
	ck_assert_uint_eq(in->begins, 1);
	ck_assert_uint_eq(in->ends, 1);
	ck_assert_uint_eq(in->lost, 0);
	ck_assert_ptr_nonnull(strstr(in->log, "eor4"));
	ck_assert(strstr(in->log, "eor4") < strstr(in->log, "borr4"));
	ck_assert_uint_eq(in->reach, 4);
}
END_TEST

/* Asked before anything was sent, and never twice. */
START_TEST(test_begin_before_the_first_route)
{
	rib_peer_resend(reader, V4, true);
	rig_settle();
	ck_assert_uint_eq(inbox_pull(in, 16), 0);
	release_routes();
	inbox_drain(in);
	ck_assert_msg(in->begins == 0, "BoRR before End-of-RIB: %s", in->log);
	ck_assert_uint_eq(in->reach, 2);
	release();
	inbox_drain(in);
	ck_assert(strstr(in->log, "eor4") < strstr(in->log, "borr4"));
	ck_assert_uint_eq(in->begins, 1);
	ck_assert_uint_eq(in->ends, 1);
	ck_assert_uint_eq(in->reach, 4);
}
END_TEST

/* A peer that knows only RFC 2918 is answered at once; before the first route, with those. */
START_TEST(test_plain_refresh_does_not_wait)
{
	rib_peer_resend(reader, V4, false);
	release_routes();
	inbox_drain(in);
	ck_assert_uint_eq(in->reach, 2);
	rib_peer_resend(reader, V4, false);
	inbox_drain(in);
	ck_assert_uint_eq(in->reach, 4);
	ck_assert_uint_eq(in->begins + in->ends, 0);
	release();
	inbox_drain(in);
	ck_assert_uint_eq(in->reach, 4);
	ck_assert_uint_eq(in->end_of_rib[V4], 1);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("refresh");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_begin_waits_for_end_of_rib);
	tcase_add_test(tc, test_begin_before_the_first_route);
	tcase_add_test(tc, test_plain_refresh_does_not_wait);
	return run_suite(tc, "refresh");
}
