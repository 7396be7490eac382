/* A busy process: work in slices, a loop that stands still, a flood. Sessions stay up through all of them, and a remote
 * that really is gone is still noticed. The other engine is a process of its own. */
#include "tests/unit/bfd/rig.h"

#include <signal.h>
#include <sys/wait.h>

static struct end a;
static pid_t other;

/* The other side: a session at 3 x 50 ms. */
static void run_other(void)
{
	struct bfd_session_conf c = rig_conf(1);
	struct end b = {0};

	loop_free(rig.loop);
	log_redirect(NULL, NULL);
	log_setup(LOG_LVL_ERROR, false);
	rig.loop = loop_new();
	rig.engine[1] = bfd_engine_new(rig.loop, &rig_ops);
	end_open(&b, 1, &c);
	loop_run(rig.loop);
	_exit(0);
}

static void setup(void)
{
	rig_setup();
	memset(&a, 0, sizeof a);
	other = fork();
	ck_assert_int_ge(other, 0);
	if (!other)
		run_other();
}

static void end_other(void)
{
	if (other <= 0)
		return;
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	other = 0;
}

static void teardown(void)
{
	end_other();
	end_close(&a, false);
	rig_teardown();
}

static void bring_up(uint8_t multiplier)
{
	struct bfd_session_conf c = rig_conf(0);

	c.multiplier = multiplier;
	end_open(&a, 0, &c);
	TURN_UNTIL(is_settled(&a), 4);
}

/* Work of every rank that never ends, as when a million routes are loaded. */
struct grind {
	struct loop_work work[LOOP_RANKS];
	uint64_t rounds;
	int attempts;
	uint64_t stolen; /* for how long others had the processor in the middle of it: in this turn, and in the worst */
	uint64_t stolen_worst;
};

static bool grind_run(void *arg, uint64_t deadline)
{
	struct grind *g = arg;

	for (uint64_t before = mono_now(), now; before < deadline; before = now) {
		now = mono_now();
		if (now - before > MONO_MSEC)
			g->stolen += now - before;
		g->rounds++;
	}
	if (g->stolen > g->stolen_worst)
		g->stolen_worst = g->stolen;
	return true;
}

/* Ahead of the others. */
static bool grind_turn(void *arg, uint64_t deadline)
{
	struct grind *g = arg;

	g->stolen = 0;
	return grind_run(arg, deadline);
}

static void grind_start(struct grind *g)
{
	for (int r = 0; r < LOOP_RANKS; r++) {
		g->work[r] = (struct loop_work){.run = r ? grind_run : grind_turn, .arg = g, .rank = (uint8_t)r};
		loop_work_schedule(rig.loop, &g->work[r]);
	}
}

static void grind_stop(struct grind *g)
{
	for (int r = 0; r < LOOP_RANKS; r++)
		loop_work_cancel(rig.loop, &g->work[r]);
}

static void check_noticed(double seconds)
{
	uint64_t took;

	end_other();
	TURN_UNTIL(a.down, seconds);
	took = a.at - bfd_session_info(a.s).heard_at;
	ck_assert_msg(took >= 150 * MONO_MSEC && took < 300 * MONO_MSEC, "detected after %llu us",
		      (unsigned long long)(took / 1000));
	ck_assert_int_eq(a.last.diag, BFD_DIAG_TIMEOUT);
}

/* A measurement in which the processor was elsewhere for this long says nothing. */
#define TOO_LONG (50 * MONO_MSEC)

/* Grinds for two seconds; false if that says nothing: see TOO_LONG. */
static bool grind(struct grind *g)
{
	uint64_t end = mono_now() + 2 * MONO_SEC, late;

	g->stolen_worst = 0;
	while (mono_now() < end) {
		loop_turn(rig.loop, true);
		if (g->stolen_worst > TOO_LONG)
			return false;
		ck_assert(is_up(&a));
	}
	late = bfd_engine_stats(rig.engine[0])->late_worst;
	if (!g->attempts)
		ck_assert_msg(late < 2 * TOO_LONG, "late by %llu us", (unsigned long long)(late / 1000));
	return true;
}

/* Both ways at 3 x 50 ms: neither side misses the other, and what leaves late is late by a turn or so. */
START_TEST(test_slices)
{
	struct grind g = {0};

	bring_up(3);
	grind_start(&g);
	while (!grind(&g)) {
		ck_assert_msg(++g.attempts < 60, "no 2 seconds without the processor being elsewhere for %llu us",
			      (unsigned long long)(g.stolen_worst / 1000));
		TURN_UNTIL(is_settled(&a), 5);
	}
	a.down = 0;
	check_noticed(1);
	grind_stop(&g);
	ck_assert_uint_gt(g.rounds, 500);
}
END_TEST

/* The loop stands still for longer than the detection time, again and again: what arrived meanwhile is read before
 * anybody is declared down. */
START_TEST(test_stall)
{
	bring_up(40);
	for (int i = 0; i < 5; i++) {
		usleep(400000);
		TURN_WHILE(is_up(&a), 0.2);
	}
	ck_assert_uint_eq(a.down, 0);
	ck_assert_uint_ge(bfd_engine_stats(rig.engine[0])->spared, 1);
	check_noticed(1);
}
END_TEST

/* It stands still, and the remote vanishes meanwhile. */
START_TEST(test_stall_and_gone)
{
	bring_up(40);
	usleep(200000);
	end_other();
	usleep(200000);
	TURN_UNTIL(a.down, 0.3);
	ck_assert_int_eq(a.last.diag, BFD_DIAG_TIMEOUT);
}
END_TEST

/* A process that sends nonsense as fast as it can. */
static pid_t flood(void)
{
	struct bfd_packet p = {
	    .state = BFD_UP, .multiplier = 3, .my_discr = 1, .your_discr = 1, .min_tx = FAST, .min_rx = FAST};
	uint8_t bytes[BFD_PACKET_LEN];
	struct wr w = wr_make(bytes, sizeof bytes);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(3784)};
	pid_t pid = fork();
	int fd, ttl = BFD_TTL;

	ck_assert_int_ge(pid, 0);
	if (pid)
		return pid;
	inet_pton(AF_INET, "10.0.0.1", &to.sin_addr);
	rig_enter(1);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl);
	bfd_encode(&w, &p);
	for (;;)
		sendto(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&to, sizeof to);
}

START_TEST(test_flood)
{
	pid_t flooder;

	bring_up(3);
	flooder = flood();
	TURN_WHILE(is_up(&a), 2);
	ck_assert_uint_eq(a.down, 0);
	ck_assert_uint_gt(bfd_engine_stats(rig.engine[0])->discarded[BFD_UNKNOWN_DISCR], 10000);
	/* A dead remote is noticed under it, in not much more than twice the time. */
	end_other();
	TURN_UNTIL(a.down, 1);
	kill(flooder, SIGKILL);
	waitpid(flooder, NULL, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bfd busy");
	TCase *t = tcase_create("busy");
	SRunner *sr;
	int failures;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 150);
	tcase_add_test(t, test_slices);
	tcase_add_test(t, test_stall);
	tcase_add_test(t, test_stall_and_gone);
	tcase_add_test(t, test_flood);
	suite_add_tcase(suite, t);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
