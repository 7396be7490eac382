/* Many peers have something to say at once, and what they say takes its time: a turn of the loop hears a few of them,
 * and nobody is passed over for those who say more. */
#include <poll.h>

#include "bgp/session/internal.h"
#include "tests/unit/session/rig.h"

#define HERE "127.0.0.1"
#define PEERS 40u
/* What an UPDATE takes to handle, and how many of them fit into a slice (1 ms) and over its end. */
#define WORK (MONO_MSEC / 2)
#define PER_TURN 3u

static struct end ends[PEERS];
static struct raw *raws[PEERS];

static unsigned heard(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PEERS; i++)
		n += ends[i].updates;
	return n;
}

static void work(struct end *e, char what)
{
	uint64_t began = mono_now();

	(void)e;
	while (what == 'u' && mono_now() - began < WORK)
		;
}

static void say(unsigned i)
{
	uint8_t msg[64];
	struct wr w = wr_make(msg, sizeof msg);

	bgp_update_encode_end_of_rib(&w, FAM_IPV4);
	raw_write(raws[i], msg, wr_len(&w));
}

/* What all have said lies in the sockets. */
static void all_say(void)
{
	for (unsigned i = 0; i < PEERS; i++)
		say(i);
	for (unsigned i = 0; i < PEERS; i++) {
		struct pollfd p = {.fd = ends[i].s->own.conn->fd, .events = POLLIN};

		ck_assert_int_eq(poll(&p, 1, 5000), 1);
	}
}

static void keepalive_is_due(unsigned i)
{
	struct conn *c = ends[i].s->own.conn;

	c->keepalive_gap = 0;
	conn_timer_arm(c);
}

static void setup(void)
{
	rig_setup();
	memset(ends, 0, sizeof ends);
	rig_listen(0);
	for (unsigned i = 0; i < PEERS; i++) {
		struct bgp_session_conf conf = raw_conf();
		struct bgp_open o = raw_open();
		char from[16];

		snprintf(from, sizeof from, "127.0.1.%u", i + 1);
		conf.remote = rig_addr(from);
		o.router_id += i;
		end_open(&ends[i], 0, &conf);
		raws[i] = raw_new();
		raw_connect(raws[i], from, HERE);
		raw_establish(raws[i], &ends[i], &o);
		ends[i].hook = work;
	}
}

static void teardown(void)
{
	for (unsigned i = 0; i < PEERS; i++) {
		ck_assert(is_up(&ends[i]));
		end_close(&ends[i]);
		raw_free(raws[i]);
	}
	rig_teardown();
}

/* Until all are heard, a few in each turn. */
static void expect_a_few_each_turn(void)
{
	uint64_t deadline = mono_now() + 30 * MONO_SEC;

	while (heard() < PEERS) {
		unsigned before = heard();

		ck_assert_msg(mono_now() < deadline, "heard of %u", before);
		loop_turn(rig.loop, true);
		ck_assert_uint_le(heard() - before, PER_TURN);
	}
}

START_TEST(test_a_few_each_turn)
{
	all_say();
	expect_a_few_each_turn();
}
END_TEST

/* Everybody dozes and has its look at the same moment: that is no reason to hear all of them in one turn. */
START_TEST(test_looks_have_their_turn)
{
	for (unsigned i = 0; i < PEERS; i++)
		keepalive_is_due(i);
	for (unsigned i = 0; i < PEERS; i++)
		TURN_UNTIL(ends[i].s->own.conn->dozing, 5);
	all_say();
	for (unsigned i = 0; i < PEERS; i++)
		keepalive_is_due(i);
	expect_a_few_each_turn();
}
END_TEST

/* One says the next thing as soon as it was heard. */
START_TEST(test_everybody_has_a_turn)
{
	uint64_t deadline = mono_now() + 30 * MONO_SEC;

	all_say();
	while (heard() - ends[0].updates < PEERS - 1) {
		unsigned before = ends[0].updates;

		ck_assert_msg(mono_now() < deadline, "heard of %u", heard());
		loop_turn(rig.loop, true);
		if (ends[0].updates > before)
			say(0);
		/* The round that was under way, and a place in the next one. */
		ck_assert_uint_le(ends[0].updates, 2);
	}
}
END_TEST

static void work_to_send(struct end *e, char what)
{
	work(e, what == 'p' ? 'u' : what);
}

static bool got_refresh(struct raw *r)
{
	while (raw_has_message(r)) {
		raw_take(r);
		if (r->type == BGP_ROUTE_REFRESH)
			return true;
	}
	return false;
}

/* All others are to be told something, which takes its time: what is ours to say does not wait for that. */
START_TEST(test_own_messages_first)
{
	struct conn *last = ends[PEERS - 1].s->own.conn;
	unsigned turns = 0;

	for (unsigned i = 0; i < PEERS - 1; i++) {
		ends[i].hook = work_to_send;
		bgp_session_kick(ends[i].s);
	}
	ck_assert(bgp_session_request_refresh(ends[PEERS - 1].s, FAM_IPV4));
	ck_assert_uint_gt(last->own.len, 0);
	for (; last->own.len; turns++)
		loop_turn(rig.loop, true);
	ck_assert_uint_le(turns, 2);
	TURN_UNTIL(got_refresh(raws[PEERS - 1]), 5);
	TURN_UNTIL(ends[PEERS - 2].pulls > 0, 30);
}
END_TEST

/* Without a turn of the loop; the kernel may take its time. */
static bool arrives(struct raw *r)
{
	struct pollfd p = {.fd = r->fd, .events = POLLIN};

	return raw_has_message(r) || (poll(&p, 1, 5000) == 1 && raw_has_message(r));
}

/* Other work there is all the time. */
struct busy {
	struct loop_work work;
	uint64_t seen;
	unsigned arrived;
};

static bool keep_busy(void *arg, uint64_t deadline)
{
	struct busy *b = arg;
	uint64_t sent = bgp_session_info(ends[0].s).messages_out[BGP_KEEPALIVE];

	(void)deadline;
	if (sent > b->seen) {
		b->seen = sent;
		ck_assert(arrives(raws[0]));
		raw_take(raws[0]);
		ck_assert_int_eq(raws[0]->type, BGP_KEEPALIVE);
		b->arrived++;
	}
	return true;
}

/* A KEEPALIVE that is due goes out before the turn's work, however much there is. */
START_TEST(test_keepalives_before_work)
{
	struct busy b = {.work = {.run = keep_busy, .arg = &b, .rank = LOOP_RANK_RECEIVE}};
	struct bgp_session_conf conf = *bgp_session_config(ends[0].s);

	conf.keepalive_time = 1;
	bgp_session_configure(ends[0].s, &conf);
	b.seen = bgp_session_info(ends[0].s).messages_out[BGP_KEEPALIVE];
	loop_work_schedule(rig.loop, &b.work);
	TURN_UNTIL(b.arrived == 2, 10);
	loop_work_cancel(rig.loop, &b.work);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("busy");
	TCase *tc = tcase_create("many at once");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_a_few_each_turn);
	tcase_add_test(tc, test_looks_have_their_turn);
	tcase_add_test(tc, test_everybody_has_a_turn);
	tcase_add_test(tc, test_own_messages_first);
	tcase_add_test(tc, test_keepalives_before_work);
	suite_add_tcase(s, tc);
	return rig_run(s);
}
