/* Sessions between two engines over real connections: both roles, negotiation, collisions, ends and restarts. */
#include <malloc.h>
#include <sys/resource.h>

#include "tests/unit/session/pair.h"

static struct buf *end_of_rib(enum family f)
{
	uint8_t msg[BGP_MAX_MESSAGE];
	struct wr w = wr_make(msg, sizeof msg);

	bgp_update_encode_end_of_rib(&w, f);
	return buf_new(msg, wr_len(&w));
}

START_TEST(test_comes_up)
{
	struct bgp_session_info ia, ib;

	bgp_engine_set_hostname(rig.side[0].engine, "node-a");
	come_up();
	ia = bgp_session_info(a.s);
	ib = bgp_session_info(b.s);
	ck_assert(ia.outgoing && !ib.outgoing);
	ck_assert_uint_eq(ia.hold_time, 90);
	ck_assert_uint_eq(ia.keepalive_time, 30);
	ck_assert(ia.hold_left > 80 * MONO_SEC && ia.hold_left <= 90 * MONO_SEC);
	ck_assert(addr_equal(&ia.local, &rig.side[0].addr));
	ck_assert_uint_eq(ia.established, 1);
	ck_assert_uint_eq(ia.attempts_failed, 0);
	ck_assert_uint_eq(ia.retry_in, 0);
	ck_assert_str_eq(ia.last_error, "");
	ck_assert_uint_eq(ia.messages_out[BGP_OPEN], 1);
	ck_assert_uint_eq(ia.messages_in[BGP_OPEN], 1);
	ck_assert_uint_eq(ib.messages_in[BGP_KEEPALIVE], 1);
	ck_assert_uint_eq(bgp_session_codec(a.s)->families, V4 | V6);
	ck_assert(!bgp_session_codec(a.s)->ebgp && bgp_session_codec(a.s)->as4);
	ck_assert_uint_eq(bgp_session_codec(a.s)->max_message, 4096);
	ck_assert_str_eq(bgp_session_peer(b.s)->hostname, "node-a");
	ck_assert_uint_eq(bgp_session_peer(b.s)->router_id, 0x0a000001);
	ck_assert_ptr_eq(bgp_session_arg(a.s), &a);
	ck_assert_str_eq(bgp_session_config(a.s)->name, "A-B");
	ck_assert(a.states > 0 && rig_logged("A-B: Established with 127.0.0.2, AS 65001 (IPv4 and IPv6"));
}
END_TEST

START_TEST(test_updates_flow)
{
	come_up();
	a.message = end_of_rib(FAM_IPV4);
	a.supply = 10000;
	bgp_session_kick(a.s);
	TURN_UNTIL(b.updates == 10000, 5);
	ck_assert_uint_eq(bgp_session_info(b.s).messages_in[BGP_UPDATE], 10000);
	ck_assert_uint_eq(bgp_session_info(a.s).messages_out[BGP_UPDATE], 10000);
	ck_assert_uint_eq(a.message->refs, 1);
	ck_assert_uint_eq(b.errors, 0);
	/* And nothing more until the next kick. */
	a.supply = 1;
	for (int i = 0; i < 20; i++)
		loop_turn(rig.loop, true);
	ck_assert_uint_eq(b.updates, 10000);
	bgp_session_kick(a.s);
	bgp_session_kick(a.s);
	TURN_UNTIL(b.updates == 10001, 3);
	ck_assert(is_up(&a) && is_up(&b));
}
END_TEST

START_TEST(test_refresh)
{
	uint8_t msg[64];
	struct wr w = wr_make(msg, sizeof msg);

	come_up();
	ck_assert(bgp_session_request_refresh(a.s, FAM_IPV6));
	TURN_UNTIL(b.refreshes == 1, 3);
	ck_assert_uint_eq(b.subtype, BGP_REFRESH_NORMAL);
	bgp_refresh_encode(&w, FAM_IPV4, BGP_REFRESH_BEGIN);
	bgp_session_send(b.s, buf_new(msg, wr_len(&w)));
	TURN_UNTIL(a.refreshes == 1, 3);
	ck_assert_uint_eq(a.subtype, BGP_REFRESH_BEGIN);
	ck_assert_uint_eq(bgp_session_info(b.s).messages_out[BGP_ROUTE_REFRESH], 1);
}
END_TEST

/* What each side offers, and what comes of it. */
static const struct {
	uint8_t a, b, both;
} families[] = {{V4 | V6, V4 | V6, V4 | V6}, {V4, V4 | V6, V4}, {V4 | V6, V6, V6}};

START_TEST(test_families)
{
	struct bgp_session_conf ca = rig_conf(0), cb = rig_conf(1);

	ca.families = families[_i].a;
	cb.families = families[_i].b;
	open_pair(&ca, &cb);
	TURN_UNTIL(is_up(&a) && is_up(&b), 3);
	ck_assert_uint_eq(bgp_session_codec(a.s)->families, families[_i].both);
	ck_assert_uint_eq(bgp_session_codec(b.s)->families, families[_i].both);
}
END_TEST

START_TEST(test_no_common_family)
{
	struct bgp_session_conf ca = rig_conf(0), cb = rig_conf(1);

	ca.families = V4;
	cb.families = V6;
	cb.passive = true;
	open_pair(&ca, &cb);
	TURN_UNTIL(last_error(&a)[0] && last_error(&b)[0], 3);
	ck_assert_str_eq(last_error(&a), "no address family in common: we offer IPv4, the peer IPv6");
	ck_assert_str_eq(last_error(&b), "no address family in common: we offer IPv6, the peer IPv4");
	ck_assert_uint_eq(a.up + b.up, 0);
}
END_TEST

START_TEST(test_options_negotiated)
{
	struct bgp_session_conf ca = rig_conf(0), cb = rig_conf(1);

	ca.local_as = cb.remote_as = 4200000001;
	ca.add_path_tx = cb.add_path_rx = true;
	cb.add_path_tx = true;
	ca.ext_next_hop = cb.ext_next_hop = true;
	ca.extended_messages = cb.extended_messages = true;
	ca.hold_time = 30;
	cb.hold_time = 12;
	cb.keepalive_time = 2;
	open_pair(&ca, &cb);
	TURN_UNTIL(is_up(&a) && is_up(&b), 3);
	ck_assert(bgp_session_codec(b.s)->ebgp);
	ck_assert_uint_eq(bgp_session_codec(b.s)->peer_as, 4200000001);
	ck_assert_uint_eq(bgp_session_codec(a.s)->add_path_tx, V4 | V6);
	ck_assert_uint_eq(bgp_session_codec(b.s)->add_path_rx, V4 | V6);
	ck_assert_uint_eq(bgp_session_codec(b.s)->add_path_tx, 0);
	ck_assert_uint_eq(bgp_session_codec(a.s)->ext_next_hop, V4);
	ck_assert_uint_eq(bgp_session_codec(a.s)->max_message, 65535);
	ck_assert_uint_eq(bgp_session_info(a.s).hold_time, 12);
	ck_assert_uint_eq(bgp_session_info(a.s).keepalive_time, 4);
	ck_assert_uint_eq(bgp_session_info(b.s).keepalive_time, 2);
}
END_TEST

/* Both dial at the same moment: one connection remains, without an error and without a wait. */
START_TEST(test_collision)
{
	unsigned collisions = 0;

	for (int i = 0; i < 150; i++) {
		struct bgp_session_conf ca = rig_conf(0), cb = rig_conf(1);
		uint64_t began = mono_now();

		ca.router_id = i & 1 ? 0x0a000005 : 0x0a000001;
		ca.gr = cb.gr = i & 2;
		memset(&a, 0, sizeof a);
		memset(&b, 0, sizeof b);
		end_open(&a, 0, &ca);
		for (int t = i % 7; t > 1; t--)
			loop_turn(rig.loop, false);
		end_open(&b, 1, &cb);
		TURN_UNTIL(is_up(&a) && is_up(&b), 3);
		ck_assert_uint_lt((mono_now() - began) / MONO_MSEC, 1500);
		/* It stays that way. */
		for (int t = 0; t < 20; t++)
			loop_turn(rig.loop, t % 10 == 0);
		ck_assert_uint_eq(a.up, 1);
		ck_assert_uint_eq(b.up, 1);
		ck_assert_int_ne(bgp_session_info(a.s).outgoing, bgp_session_info(b.s).outgoing);
		collisions +=
		    bgp_session_info(a.s).messages_out[BGP_OPEN] + bgp_session_info(b.s).messages_out[BGP_OPEN] > 2;
		if (i == 0)
			ck_assert_str_eq(last_error(&a), "");
		end_close(&a);
		end_close(&b);
	}
	ck_assert_msg(collisions > 10, "only %u of 150 tries collided", collisions);
}
END_TEST

/* Equal identifiers in different ASes (RFC 6286): the AS decides. */
START_TEST(test_collision_equal_ids)
{
	for (int i = 0; i < 20; i++) {
		struct bgp_session_conf ca = rig_conf(0), cb = rig_conf(1);

		memset(&a, 0, sizeof a);
		memset(&b, 0, sizeof b);
		ca.local_as = cb.remote_as = 65002;
		ca.router_id = cb.router_id;
		open_pair(&ca, &cb);
		TURN_UNTIL(is_up(&a) && is_up(&b), 3);
		end_close(&a);
		end_close(&b);
	}
}
END_TEST

START_TEST(test_refused_then_up)
{
	struct bgp_session_conf ca = rig_conf(0), cb = rig_conf(1);
	char err[256], want[128];

	ck_assert(bgp_engine_listen(rig.side[1].engine, NULL, 0, err, sizeof err));
	cb.passive = true;
	open_pair(&ca, &cb);
	TURN_UNTIL(last_error(&a)[0], 3);
	snprintf(want, sizeof want, "connect: Connection refused (127.0.0.2:%u)", rig.port);
	ck_assert_str_eq(last_error(&a), want);
	ck_assert_int_eq(bgp_session_info(a.s).state, BGP_ACTIVE);
	ck_assert_uint_gt(bgp_session_info(a.s).retry_in, 0);
	ck_assert_uint_eq(bgp_session_info(a.s).attempts_failed, 1);
	rig_listen(1);
	TURN_UNTIL(is_up(&a) && is_up(&b), 3);
	ck_assert_uint_eq(bgp_session_info(a.s).attempts_failed, 0);
}
END_TEST

START_TEST(test_wrong_as)
{
	struct bgp_session_conf ca = rig_conf(0), cb = rig_conf(1);

	ca.local_as = 65002;
	cb.passive = true;
	open_pair(&ca, &cb);
	TURN_UNTIL(last_error(&b)[0] && strstr(last_error(&a), "Bad Peer AS"), 3);
	ck_assert_str_eq(last_error(&b), "peer AS 65001 but its OPEN says 65002");
	ck_assert_str_eq(last_error(&a), "received OPEN Message Error/Bad Peer AS");
	ck_assert_uint_eq(a.up + b.up, 0);
	/* Set right, it does not wait for the back-off. */
	ca.local_as = 65001;
	bgp_session_configure(a.s, &ca);
	bgp_session_configure(b.s, &cb);
	TURN_UNTIL(is_up(&a) && is_up(&b), 3);
}
END_TEST

START_TEST(test_same_identifier)
{
	struct bgp_session_conf ca = rig_conf(0), cb = rig_conf(1);

	ca.router_id = cb.router_id;
	cb.passive = true;
	open_pair(&ca, &cb);
	TURN_UNTIL(last_error(&a)[0] && last_error(&b)[0], 3);
	ck_assert(strstr(last_error(&a), "also ours") || strstr(last_error(&b), "also ours"));
	ck_assert_uint_eq(a.up + b.up, 0);
}
END_TEST

/* Retries after protocol errors get rarer. */
START_TEST(test_back_off)
{
	struct bgp_session_conf ca = rig_conf(0), cb = rig_conf(1);
	unsigned failed = 0;
	uint64_t waits[2] = {0};

	ca.local_as = 65002;
	cb.passive = true;
	open_pair(&ca, &cb);
	while (failed < 2) {
		TURN_UNTIL(bgp_session_info(a.s).attempts_failed > failed && bgp_session_info(a.s).state == BGP_IDLE,
			   6);
		waits[failed++] = bgp_session_info(a.s).retry_in;
	}
	ck_assert_uint_gt(waits[0], 700 * MONO_MSEC);
	ck_assert_uint_le(waits[0], 1000 * MONO_MSEC);
	ck_assert_uint_gt(waits[1], 1400 * MONO_MSEC);
	ck_assert_uint_le(waits[1], 2000 * MONO_MSEC);
}
END_TEST

START_TEST(test_reset)
{
	come_up();
	bgp_session_reset(a.s, BGP_ERR_CEASE, BGP_CEASE_RESET, "reset by the operator");
	ck_assert_uint_eq(a.down, 1);
	ck_assert_str_eq(a.reason, "reset by the operator");
	TURN_UNTIL(b.down == 1, 3);
	ck_assert_str_eq(b.reason, "received Cease/Administrative Reset");
	TURN_UNTIL(is_up(&a) && is_up(&b), 3);
	bgp_session_reset(a.s, BGP_ERR_CEASE, BGP_CEASE_MAX_PREFIXES, "more than 100 prefixes");
	ck_assert_uint_gt(bgp_session_info(a.s).retry_in, 0);
	TURN_UNTIL(b.down == 2, 3);
	ck_assert_str_eq(b.reason, "received Cease/Maximum Number of Prefixes Reached");
}
END_TEST

START_TEST(test_free)
{
	come_up();
	bgp_session_free(a.s, BGP_CEASE_DECONFIGURED);
	a.s = NULL;
	TURN_UNTIL(b.down == 1, 3);
	ck_assert_uint_eq(a.down, 0);
	ck_assert_str_eq(b.reason, "received Cease/Peer De-configured");
	/* And its next attempt meets nobody. */
	TURN_UNTIL(b.states > 3, 3);
}
END_TEST

START_TEST(test_unknown_peer)
{
	struct bgp_session_conf ca = rig_conf(0);

	end_open(&a, 0, &ca);
	TURN_UNTIL(rig_logged("connection from 127.0.0.1 to 127.0.0.2 closed: no peer is configured"), 3);
	TURN_UNTIL(strstr(last_error(&a), "peer closed the connection") || strstr(last_error(&a), "lost"), 3);
}
END_TEST

/* How a session with graceful restart ends, and what each side keeps. */
enum ending { END_SILENT, END_RESET, END_SHUTDOWN, END_HARD };

static const struct {
	enum ending how;
	bool a_gr, b_gr;
	uint8_t kept_by_b;
} endings[] = {
    {END_SILENT, true, true, V4},   {END_SILENT, true, false, 0}, {END_SILENT, false, true, 0},
    {END_RESET, true, true, V4},    {END_RESET, false, false, 0}, {END_SHUTDOWN, true, true, 0},
    {END_SHUTDOWN, false, true, 0}, {END_HARD, true, true, 0},
};

static void end_a(enum ending how)
{
	switch (how) {
	case END_SILENT:
		bgp_session_free(a.s, 0);
		a.s = NULL;
		return;
	case END_RESET:
		bgp_session_reset(a.s, BGP_ERR_CEASE, BGP_CEASE_RESET, "test");
		return;
	case END_SHUTDOWN:
		bgp_session_free(a.s, BGP_CEASE_SHUTDOWN);
		a.s = NULL;
		return;
	case END_HARD:
		bgp_session_reset(a.s, BGP_ERR_CEASE, BGP_CEASE_HARD_RESET, "test");
		return;
	}
}

START_TEST(test_graceful_restart)
{
	struct bgp_session_conf ca = rig_conf(0), cb = rig_conf(1);

	/* Only IPv4 is shared. */
	ca.families = V4;
	ca.gr = endings[_i].a_gr;
	cb.gr = endings[_i].b_gr;
	ca.gr_time = 77;
	ca.gr_forwarding = V4;
	cb.passive = true;
	open_pair(&ca, &cb);
	TURN_UNTIL(is_up(&a) && is_up(&b), 3);
	ck_assert_int_eq(bgp_session_peer(b.s)->gr, ca.gr);
	if (ca.gr) {
		ck_assert_uint_eq(bgp_session_peer(b.s)->gr_forwarding, V4);
		ck_assert(!bgp_session_peer(b.s)->gr_restarting);
	}
	end_a(endings[_i].how);
	TURN_UNTIL(b.down == 1, 3);
	ck_assert_msg(b.last.gr_families == endings[_i].kept_by_b, "%d kept %x: %s", _i, b.last.gr_families, b.reason);
	if (b.last.gr_families)
		ck_assert_uint_eq(b.last.gr_time, 77);
	if (a.s)
		ck_assert_uint_eq(a.last.gr_families, endings[_i].kept_by_b);
}
END_TEST

START_TEST(test_restarting_bit)
{
	struct bgp_session_conf ca = rig_conf(0), cb = rig_conf(1);

	ca.gr = cb.gr = true;
	bgp_engine_set_restarting(rig.side[0].engine, true);
	cb.passive = true;
	open_pair(&ca, &cb);
	TURN_UNTIL(is_up(&a) && is_up(&b), 3);
	ck_assert(bgp_session_peer(b.s)->gr_restarting && !bgp_session_peer(a.s)->gr_restarting);
}
END_TEST

/* Each callback may free its own session. */
static char free_at;

static void freeing_hook(struct end *e, char what)
{
	if (what != free_at || !e->s)
		return;
	bgp_session_free(e->s, BGP_CEASE_DECONFIGURED);
	e->s = NULL;
}

/* Each callback may reset its own session. */
static void resetting_hook(struct end *e, char what)
{
	if (what != free_at)
		return;
	free_at = 0;
	bgp_session_reset(e->s, BGP_ERR_CEASE, BGP_CEASE_RESET, "from a callback");
}

static const char callbacks[] = "edurps";

static void drive(void (*hook)(struct end *e, char what), char when)
{
	struct bgp_session_conf ca = rig_conf(0), cb = rig_conf(1);

	free_at = when;
	b.hook = hook;
	open_pair(&ca, &cb);
	if (when == 's' || when == 'e')
		return;
	TURN_UNTIL(!b.s || is_up(&a), 3);
	a.message = end_of_rib(FAM_IPV4);
	b.message = end_of_rib(FAM_IPV4);
	a.supply = b.supply = 5;
	if (b.s)
		bgp_session_kick(b.s);
	bgp_session_kick(a.s);
	bgp_session_request_refresh(a.s, FAM_IPV4);
	if (when == 'd')
		bgp_session_reset(a.s, BGP_ERR_CEASE, BGP_CEASE_RESET, "test");
}

START_TEST(test_free_in_callback)
{
	drive(freeing_hook, callbacks[_i]);
	TURN_UNTIL(!b.s, 3);
	for (int i = 0; i < 20; i++)
		loop_turn(rig.loop, true);
	/* What was pulled for it is given back. */
	if (b.message)
		ck_assert_uint_eq(b.message->refs, 1);
	buf_unref(b.message);
}
END_TEST

START_TEST(test_reset_in_callback)
{
	drive(resetting_hook, callbacks[_i]);
	TURN_UNTIL(!free_at, 3);
	TURN_UNTIL(is_up(&a) && is_up(&b), 5);
}
END_TEST

/* A cluster that starts: 500 clients of one reflector. */
#define MANY 500

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static unsigned count_up(const struct end *ends)
{
	unsigned n = 0;

	for (int i = 0; i < MANY; i++)
		n += is_up(&ends[i]);
	return n;
}

START_TEST(test_many_at_once)
{
	static struct end clients[MANY], servers[MANY];
	double cpu = cpu_seconds();
	uint64_t began;
	size_t heap = mallinfo2().uordblks;

	log_setup(LOG_LVL_WARN, false);
	for (uint32_t i = 0; i < MANY; i++) {
		struct bgp_session_conf cs = rig_conf(0);

		cs.remote = addr_from_u32(0x7f010001 + i);
		cs.passive = true;
		end_open(&servers[i], 0, &cs);
	}
	for (uint32_t i = 0; i < MANY; i++) {
		struct bgp_session_conf cc = rig_conf(1);

		cc.local = addr_from_u32(0x7f010001 + i);
		cc.router_id = 0x0b000000 + i;
		end_open(&clients[i], 1, &cc);
	}
	began = mono_now();
	TURN_UNTIL(count_up(servers) == MANY && count_up(clients) == MANY, 10);
	printf("%d pairs: %llu ms, %.0f ms CPU for both sides, %zu bytes of heap per established session\n", MANY,
	       (unsigned long long)((mono_now() - began) / MONO_MSEC), (cpu_seconds() - cpu) * 1000,
	       (mallinfo2().uordblks - heap) / (2 * MANY));
	ck_assert_msg((mallinfo2().uordblks - heap) / (2 * MANY) < 2048, "%zu bytes per session",
		      (mallinfo2().uordblks - heap) / (2 * MANY));
	for (int i = 0; i < MANY; i++) {
		ck_assert_uint_eq(servers[i].down + clients[i].down, 0);
		end_close(&clients[i]);
	}
	TURN_UNTIL(count_up(servers) == 0, 10);
	for (int i = 0; i < MANY; i++)
		end_close(&servers[i]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("session");
	TCase *t = tcase_create("two engines");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, test_comes_up);
	tcase_add_test(t, test_updates_flow);
	tcase_add_test(t, test_refresh);
	tcase_add_loop_test(t, test_families, 0, sizeof families / sizeof families[0]);
	tcase_add_test(t, test_no_common_family);
	tcase_add_test(t, test_options_negotiated);
	tcase_add_test(t, test_collision);
	tcase_add_test(t, test_collision_equal_ids);
	tcase_add_test(t, test_refused_then_up);
	tcase_add_test(t, test_wrong_as);
	tcase_add_test(t, test_same_identifier);
	tcase_add_test(t, test_back_off);
	tcase_add_test(t, test_reset);
	tcase_add_test(t, test_free);
	tcase_add_test(t, test_unknown_peer);
	tcase_add_loop_test(t, test_graceful_restart, 0, sizeof endings / sizeof endings[0]);
	tcase_add_test(t, test_restarting_bit);
	tcase_add_loop_test(t, test_free_in_callback, 0, sizeof callbacks - 1);
	tcase_add_loop_test(t, test_reset_in_callback, 0, sizeof callbacks - 1);
	tcase_add_test(t, test_many_at_once);
	suite_add_tcase(s, t);
	return rig_run(s);
}
