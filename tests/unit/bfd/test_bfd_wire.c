/* What a session sends and how it takes what it hears, octet by octet and packet by packet: a scripted peer. */
#include "tests/unit/bfd/rig.h"

#include "tests/unit/bgp/bytes.h"

static struct end a;
static struct raw peer;

#define PEER "10.0.0.2"

static void setup(void)
{
	rig_setup();
	memset(&a, 0, sizeof a);
	raw_open(&peer, PEER, 3784);
}

static void teardown(void)
{
	if (a.s)
		end_close(&a, false);
	raw_close(&peer);
	rig_teardown();
}

static void open_session(void)
{
	struct bfd_session_conf c = rig_conf(0);

	end_open(&a, 0, &c);
}

/* The peer keeps the session up by itself, at 50 ms. */
static struct loop_timer keep;

static void keep_up(void *arg)
{
	raw_say(&peer, BFD_UP);
	loop_timer_set(rig.loop, &keep, FAST * MONO_USEC, keep_up, arg);
}

static void bring_up(void)
{
	open_session();
	peer.reply.min_tx = FAST;
	peer.answers = true;
	raw_up(&peer, &a);
	keep_up(NULL);
	TURN_UNTIL(is_settled(&a), 1);
}

static void stop_keeping(void)
{
	loop_timer_stop(rig.loop, &keep);
}

static void teardown_kept(void)
{
	stop_keeping();
	teardown();
}

static uint64_t discarded(enum bfd_discard why)
{
	return bfd_engine_stats(rig.engine[0])->discarded[why];
}

/* The next packet it sends. */
static const struct bfd_packet *next_packet(double seconds)
{
	unsigned was = peer.heard;

	TURN_UNTIL(peer.heard > was, seconds);
	return &peer.last;
}

/* Handshake */

START_TEST(test_handshake)
{
	const struct bfd_packet *p;
	uint16_t port;

	open_session();
	p = next_packet(0.5);
	ck_assert_uint_eq(p->version, 1);
	ck_assert_uint_eq(p->state, BFD_DOWN);
	ck_assert_uint_eq(p->your_discr, 0);
	ck_assert_uint_eq(p->my_discr, end_info(&a).discr);
	ck_assert_uint_eq(p->min_tx, 1000000);
	ck_assert_uint_eq(p->min_rx, FAST);
	ck_assert_uint_eq(p->multiplier, 3);
	ck_assert(!p->poll);
	ck_assert_int_eq(peer.ttl, 255);
	port = peer.from_port;
	ck_assert_uint_ge(port, 49152);
	ck_assert_uint_eq(port, end_info(&a).source_port);
	raw_say(&peer, BFD_DOWN);
	/* At once, not with the timer. */
	p = next_packet(0.1);
	ck_assert_uint_eq(p->state, BFD_INIT);
	ck_assert_uint_eq(p->your_discr, peer.reply.my_discr);
	peer.reply.your_discr = p->my_discr;
	raw_say(&peer, BFD_INIT);
	p = next_packet(0.1);
	ck_assert_uint_eq(p->state, BFD_UP);
	ck_assert_uint_eq(p->min_tx, FAST);
	ck_assert(p->poll);
	ck_assert_uint_eq(peer.from_port, port);
	ck_assert_uint_eq(a.up, 1);
	/* Until it is answered. */
	for (int i = 0; i < 5; i++)
		ck_assert(next_packet(0.2)->poll);
	peer.answers = true;
	next_packet(0.2);
	ck_assert(!next_packet(0.2)->poll);
}
END_TEST

/* While it is not up it sends once a second, less jitter. */
START_TEST(test_slow)
{
	open_session();
	next_packet(0.5);
	for (int i = 0; i < 3; i++) {
		next_packet(1.2);
		ck_assert_uint_ge(peer.gap, 745 * MONO_MSEC);
		ck_assert_uint_le(peer.gap, 1050 * MONO_MSEC);
	}
}
END_TEST

static int compare(const void *x, const void *y)
{
	const uint64_t *a64 = x, *b64 = y;

	return *a64 < *b64 ? -1 : *a64 > *b64;
}

/* 75 to 100 % of the interval; with a multiplier of 1 to 90 %. A packet that a busy machine sends late makes the gap
 * before it longer and the one behind it as much shorter, so the mean stays what it is. When it was too busy even for
 * that, it is measured again; what jitters wrongly does so always. */
#define GAPS 100
#define ROUNDS 15

struct gaps {
	uint64_t low, mean, high; /* the tenth part of them is shorter, longer */
};

static struct gaps measure_gaps(uint8_t multiplier)
{
	uint64_t gaps[GAPS], sum = 0;

	for (int i = 0; i < GAPS; i++) {
		ck_assert_uint_eq(next_packet(5)->multiplier, multiplier);
		sum += gaps[i] = peer.gap;
	}
	qsort(gaps, GAPS, sizeof gaps[0], compare);
	return (struct gaps){gaps[GAPS / 10], sum / GAPS, gaps[GAPS * 9 / 10]};
}

START_TEST(test_jitter)
{
	struct bfd_session_conf c = rig_conf(0);
	uint64_t least = 375 * MONO_MSEC / 10, limit = (_i ? 45 : 50) * MONO_MSEC, middle = (least + limit) / 2;
	struct gaps g = {0};
	bool good = false;

	bring_up();
	c.multiplier = _i ? 1 : 3;
	ck_assert(bfd_session_configure(a.s, &c));
	next_packet(5);
	next_packet(5);
	for (int i = 0; i < ROUNDS && !good; i++) {
		g = measure_gaps(c.multiplier);
		good = g.low >= least - 3 * MONO_MSEC && g.low <= least + 4 * MONO_MSEC &&
		       g.mean >= middle - 1200 * MONO_USEC && g.mean <= middle + 1200 * MONO_USEC &&
		       g.high <= limit + 5 * MONO_MSEC;
	}
	ck_assert_msg(good, "gaps in us: a tenth below %u, mean %u, a tenth above %u", (unsigned)(g.low / MONO_USEC),
		      (unsigned)(g.mean / MONO_USEC), (unsigned)(g.high / MONO_USEC));
}
END_TEST

/* Discards */

/* Broken packets to a live session, with its own discriminator in the place of 55667788. */
static const struct {
	const char *hex;
	enum bfd_discard why;
} broken[] = {
    {"20c0", BFD_TRUNCATED},
    {"40 c0 03 18 abcd0001 55667788 0000c350 0000c350 00000000", BFD_BAD_VERSION},
    {"20 40 03 14 abcd0001 55667788 0000c350 0000c350 00000000", BFD_BAD_LENGTH},
    {"20 40 03 30 abcd0001 55667788 0000c350 0000c350 00000000", BFD_LENGTH_BEYOND},
    {"20 40 00 18 abcd0001 55667788 0000c350 0000c350 00000000", BFD_NO_MULTIPLIER},
    {"20 41 03 18 abcd0001 55667788 0000c350 0000c350 00000000", BFD_MULTIPOINT},
    {"20 40 03 18 00000000 55667788 0000c350 0000c350 00000000", BFD_NO_MY_DISCR},
    {"20 c0 03 18 abcd0001 00000000 0000c350 0000c350 00000000", BFD_STATE_WITHOUT_DISCR},
    {"20 44 03 1c abcd0001 55667788 0000c350 0000c350 00000000 01040161", BFD_AUTHENTICATED},
};

START_TEST(test_broken)
{
	uint8_t bytes[64];
	struct wr w = wr_make(bytes, sizeof bytes), discr = wr_make(bytes + 8, 4);
	struct bfd_session_info before;

	bring_up();
	wr_hex(&w, broken[_i].hex);
	if (wr_len(&w) > 12 && memcmp(bytes + 8, "\x55\x66\x77\x88", 4) == 0)
		wr_u32(&discr, end_info(&a).discr);
	before = end_info(&a);
	for (int i = 0; i < 20; i++)
		raw_bytes(&peer, bytes, wr_len(&w));
	TURN_UNTIL(discarded(broken[_i].why) == 20, 1);
	TURN_WHILE(is_up(&a), 0.3);
	ck_assert_uint_eq(end_info(&a).remote_min_tx, before.remote_min_tx);
	ck_assert_uint_eq(end_info(&a).remote_multiplier, before.remote_multiplier);
	/* Said, but not at the sender's will. */
	ck_assert_uint_eq(rig_logged("packet from 10.0.0.2 to 10.0.0.1 discarded: "), 5);
	ck_assert_uint_eq(rig_logged(bfd_discard_text(broken[_i].why)), 5);
}
END_TEST

/* RFC 5881 5: TTL 255 or nothing. */
START_TEST(test_ttl)
{
	open_session();
	raw_ttl(&peer, 254);
	for (int i = 0; i < 3; i++)
		raw_say(&peer, BFD_DOWN);
	TURN_UNTIL(discarded(BFD_LOW_TTL) == 3, 1);
	TURN_WHILE(a.changes == 0, 0.3);
	ck_assert_uint_eq(end_info(&a).packets_discarded, 3);
	ck_assert_uint_eq(end_info(&a).packets_in, 0);
	ck_assert_uint_eq(end_info(&a).remote_discr, 0);
	raw_ttl(&peer, 255);
	raw_say(&peer, BFD_DOWN);
	TURN_UNTIL(a.changes == 1, 1);
	/* Nor may somebody far away take it down. */
	peer.reply.your_discr = end_info(&a).discr;
	raw_say(&peer, BFD_UP);
	TURN_UNTIL(is_up(&a), 1);
	raw_ttl(&peer, 254);
	raw_say(&peer, BFD_DOWN);
	TURN_UNTIL(discarded(BFD_LOW_TTL) == 4, 1);
	TURN_WHILE(is_up(&a), 0.2);
}
END_TEST

START_TEST(test_multihop_ttl)
{
	struct bfd_session_conf c = rig_conf(0);

	c.multihop = true;
	c.min_ttl = 250;
	end_open(&a, 0, &c);
	raw_close(&peer);
	raw_open(&peer, PEER, 4784);
	raw_ttl(&peer, 249);
	raw_say(&peer, BFD_DOWN);
	TURN_UNTIL(discarded(BFD_LOW_TTL) == 1, 1);
	ck_assert_uint_eq(end_info(&a).packets_in, 0);
	raw_ttl(&peer, 250);
	peer.answers = true;
	raw_up(&peer, &a);
	ck_assert_int_eq(peer.ttl, 255);
	/* Less is asked for from now on. */
	c.min_ttl = 0;
	ck_assert(bfd_session_configure(a.s, &c));
	raw_ttl(&peer, 3);
	raw_say(&peer, BFD_DOWN);
	TURN_UNTIL(a.down, 1);
}
END_TEST

/* The right discriminator on the wrong port: who is several hops away could write it too. */
START_TEST(test_other_port)
{
	struct bfd_session_conf c = rig_conf(0);
	struct end other = {0};
	struct raw far;

	bring_up();
	c.multihop = true;
	c.remote = rig_addr("10.0.0.9");
	end_open(&other, 0, &c);
	raw_open(&far, PEER, 4784);
	raw_ttl(&far, 9);
	far.reply.your_discr = end_info(&a).discr;
	raw_say(&far, BFD_DOWN);
	TURN_UNTIL(discarded(BFD_UNKNOWN_DISCR) == 1, 1);
	peer.to.sin_port = htons(3784);
	TURN_WHILE(is_up(&a), 0.2);
	end_close(&other, false);
	raw_close(&far);
}
END_TEST

START_TEST(test_unknown)
{
	struct raw stranger;

	bring_up();
	rig_ip(1, "addr add 10.0.0.66/16 dev v1\n");
	raw_open(&stranger, "10.0.0.66", 3784);
	for (int i = 0; i < 100; i++)
		raw_say(&stranger, BFD_DOWN);
	stranger.reply.your_discr = end_info(&a).discr + 1;
	for (int i = 0; i < 100; i++)
		raw_say(&stranger, BFD_UP);
	TURN_UNTIL(discarded(BFD_UNKNOWN_SOURCE) == 100 && discarded(BFD_UNKNOWN_DISCR) == 100, 1);
	ck_assert_uint_eq(rig_logged("packet from 10.0.0.66 to 10.0.0.1 discarded"), 5);
	ck_assert_uint_eq(rig_logged("discarded: no session with that address"), 5);
	TURN_WHILE(is_up(&a) && stranger.heard == 0, 0.3);
	raw_close(&stranger);
}
END_TEST

/* RFC 5880 6.3: once it knows our discriminator, the address no longer matters. */
START_TEST(test_other_address)
{
	struct raw moved;

	bring_up();
	stop_keeping();
	rig_ip(1, "addr add 10.0.0.66/16 dev v1\n");
	raw_open(&moved, "10.0.0.66", 3784);
	moved.reply = peer.reply;
	for (int i = 0; i < 10; i++) {
		raw_say(&moved, BFD_UP);
		TURN_WHILE(is_up(&a), 0.05);
	}
	raw_close(&moved);
}
END_TEST

/* A session that is bound to an interface hears nothing from another. */
START_TEST(test_other_interface)
{
	struct bfd_session_conf c = rig_conf(0);

	rig_ip(0, "link add w0 type veth peer name w1\nlink set w0 up\naddr add 10.5.0.1/16 dev w0\n");
	strcpy(c.ifname, "w0");
	end_open(&a, 0, &c);
	raw_say(&peer, BFD_DOWN);
	TURN_UNTIL(discarded(BFD_UNKNOWN_SOURCE) == 1, 1);
	peer.reply.your_discr = end_info(&a).discr;
	raw_say(&peer, BFD_DOWN);
	TURN_UNTIL(discarded(BFD_WRONG_INTERFACE) == 1, 1);
	ck_assert_uint_eq(end_info(&a).packets_discarded, 1);
	ck_assert_uint_eq(end_info(&a).packets_in, 0);
	ck_assert_uint_eq(a.changes, 0);
}
END_TEST

/* Several sessions with one remote address: the most specific one is meant. */
START_TEST(test_specific)
{
	static const struct {
		const char *local, *ifname, *to;
	} rows[] = {
	    {"", "", "10.0.7.4"}, {"10.0.7.1", "", "10.0.7.1"}, {"10.0.7.3", "", "10.0.7.3"}, {"10.0.7.3", "w0", ""}};
	struct end ends[4] = {0};

	rig_ip(0, "link add w0 type veth peer name w1\n");
	for (int i = 0; i < 4; i++) {
		struct bfd_session_conf c = rig_conf(0);
		const char *why;

		rig_ip(0, "addr replace 10.0.7.%d/16 dev v0\n", i + 1);
		addr_parse(&c.local, rows[i].local);
		strcpy(c.ifname, rows[i].ifname);
		ends[i].s = bfd_session_new(rig.engine[0], &c, &ends[i], &why);
		ck_assert_ptr_nonnull(ends[i].s);
	}
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(inet_pton(AF_INET, rows[i].to, &peer.to.sin_addr), 1);
		raw_say(&peer, BFD_DOWN);
		TURN_UNTIL(ends[i].changes == 1, 0.5);
		for (int k = 0; k < 4; k++)
			ck_assert_uint_eq(ends[k].changes, k <= i);
	}
	for (int i = 0; i < 4; i++)
		end_close(&ends[i], false);
}
END_TEST

/* What the remote asks for */

START_TEST(test_answers_polls)
{
	unsigned was;

	bring_up();
	peer.answers = false;
	peer.reply.poll = true;
	for (int i = 0; i < 20; i++) {
		was = peer.heard;
		raw_say(&peer, BFD_UP);
		TURN_UNTIL(peer.heard > was && peer.last.final, 0.5);
		ck_assert(!peer.last.poll);
		TURN_WHILE(is_up(&a), 0.01);
	}
	/* Also when it is down, but not when it is administratively so. */
	raw_say(&peer, BFD_DOWN);
	TURN_UNTIL(peer.last.state == BFD_DOWN, 0.5);
	ck_assert(peer.last.final);
	bfd_session_admin_down(a.s, true);
	raw_say(&peer, BFD_DOWN);
	for (int i = 0; i < 4; i++)
		ck_assert(!next_packet(1.2)->final);
}
END_TEST

START_TEST(test_remote_intervals)
{
	bring_up();
	stop_keeping();
	peer.reply.min_rx = 300000;
	peer.reply.min_tx = 200000;
	peer.reply.multiplier = 2;
	peer.reply.independent = true;
	peer.reply.diag = 31;
	raw_say(&peer, BFD_UP);
	TURN_UNTIL(end_info(&a).tx_interval == 300000, 0.2);
	ck_assert_uint_eq(end_info(&a).detection_time, 400000);
	ck_assert_uint_eq(end_info(&a).rx_interval, 200000);
	ck_assert(end_info(&a).remote_independent);
	ck_assert_uint_eq(end_info(&a).remote_diag, 31);
	next_packet(0.5);
	raw_say(&peer, BFD_UP);
	next_packet(0.5);
	ck_assert_uint_ge(peer.gap, 220 * MONO_MSEC);
	TURN_UNTIL(a.down, 0.6);
	ck_assert_uint_ge(a.at - end_info(&a).heard_at, 400 * MONO_MSEC);
	ck_assert_uint_le(a.at - end_info(&a).heard_at, 450 * MONO_MSEC);
}
END_TEST

/* Required Min RX Interval 0: it wants none of our periodic packets. */
START_TEST(test_remote_wants_silence)
{
	unsigned was;

	bring_up();
	peer.reply.min_rx = 0;
	raw_say(&peer, BFD_UP);
	TURN_UNTIL(end_info(&a).tx_interval == 0, 0.2);
	was = peer.heard;
	TURN_WHILE(is_up(&a) && peer.heard <= was + 1, 0.5);
	peer.reply.poll = true;
	raw_say(&peer, BFD_UP);
	ck_assert(next_packet(0.1)->final);
	peer.reply.poll = false;
	peer.reply.min_rx = FAST;
	next_packet(0.2);
	next_packet(0.2);
}
END_TEST

/* RFC 5880 6.8.7: a remote in demand mode hears from us only when we poll. We never ask for it. */
START_TEST(test_remote_demand)
{
	struct bfd_session_conf c = rig_conf(0);
	unsigned was;

	bring_up();
	peer.reply.demand = true;
	TURN_UNTIL(end_info(&a).remote_demand, 0.2);
	was = peer.heard;
	TURN_WHILE(is_up(&a) && peer.heard <= was + 1, 0.5);
	peer.answers = false;
	c.min_tx = 2 * FAST;
	ck_assert(bfd_session_configure(a.s, &c));
	ck_assert(next_packet(0.2)->poll);
	ck_assert(next_packet(0.2)->poll);
	peer.answers = true;
	next_packet(0.2);
	was = peer.heard;
	TURN_WHILE(is_up(&a) && peer.heard <= was + 1, 0.5);
	/* Detection goes on all the same. */
	stop_keeping();
	TURN_UNTIL(a.down, 0.5);
	ck_assert_int_eq(a.last.diag, BFD_DIAG_TIMEOUT);
	ck_assert_uint_eq(next_packet(1.2)->state, BFD_DOWN);
}
END_TEST

START_TEST(test_remote_admin_down)
{
	bring_up();
	stop_keeping();
	peer.reply.diag = BFD_DIAG_ADMIN;
	raw_say(&peer, BFD_ADMIN_DOWN);
	TURN_UNTIL(a.down, 0.5);
	ck_assert_uint_eq(a.failures, 0);
	ck_assert_str_eq(a.reason, "the remote says AdminDown (Administratively Down)");
	/* That it is over is told too, though our state stays. */
	a.changes = 0;
	peer.reply.your_discr = 0;
	raw_say(&peer, BFD_ADMIN_DOWN);
	TURN_WHILE(a.changes == 0, 0.1);
	raw_say(&peer, BFD_DOWN);
	TURN_UNTIL(a.changes == 1, 0.5);
	ck_assert_int_eq(a.last.state, BFD_INIT);
}
END_TEST

/* Our own polls: RFC 5880 6.8.3. */

/* The average gap of the next packets. */
static uint64_t pace(int packets)
{
	uint64_t sum = 0;

	next_packet(1);
	for (int i = 0; i < packets; i++) {
		next_packet(1);
		sum += peer.gap;
	}
	return sum / (uint64_t)packets;
}

START_TEST(test_slower_waits)
{
	struct bfd_session_conf c = rig_conf(0);

	bring_up();
	peer.answers = false;
	c.min_tx = 4 * FAST;
	ck_assert(bfd_session_configure(a.s, &c));
	next_packet(0.2);
	next_packet(0.2);
	ck_assert_uint_le(pace(8), 55 * MONO_MSEC);
	ck_assert(peer.last.poll);
	ck_assert_uint_eq(peer.last.min_tx, 4 * FAST);
	ck_assert(end_info(&a).polling);
	peer.answers = true;
	TURN_UNTIL(!end_info(&a).polling, 0.2);
	ck_assert_uint_ge(pace(5), 145 * MONO_MSEC);
	ck_assert(!peer.last.poll);
	ck_assert(is_up(&a));
}
END_TEST

START_TEST(test_faster_does_not_wait)
{
	struct bfd_session_conf c = rig_conf(0);

	bring_up();
	peer.reply.min_rx = BFD_MIN_INTERVAL;
	peer.answers = false;
	c.min_tx = 20000;
	ck_assert(bfd_session_configure(a.s, &c));
	next_packet(0.2);
	next_packet(0.2);
	ck_assert_uint_le(pace(10), 30 * MONO_MSEC);
	ck_assert(peer.last.poll);
}
END_TEST

/* A shorter detection time only counts once the remote knows. */
START_TEST(test_detection_waits)
{
	struct bfd_session_conf c = rig_conf(0);

	bring_up();
	c.min_rx = 4 * FAST;
	ck_assert(bfd_session_configure(a.s, &c));
	TURN_UNTIL(!end_info(&a).polling, 0.2);
	ck_assert_uint_eq(end_info(&a).detection_time, 12 * FAST);
	peer.answers = false;
	c.min_rx = FAST;
	ck_assert(bfd_session_configure(a.s, &c));
	stop_keeping();
	for (int i = 0; i < 5; i++) {
		raw_say(&peer, BFD_UP);
		TURN_WHILE(is_up(&a) && end_info(&a).detection_time == 12 * FAST, 0.2);
	}
	ck_assert_uint_eq(peer.last.min_rx, FAST);
	peer.answers = true;
	TURN_UNTIL(end_info(&a).detection_time == 3 * FAST, 0.2);
	TURN_UNTIL(a.down, 0.3);
}
END_TEST

/* What changes during a sequence gets one of its own; only then is everything in force. */
START_TEST(test_change_while_polling)
{
	struct bfd_session_conf c = rig_conf(0);

	bring_up();
	peer.answers = false;
	c.min_tx = 4 * FAST;
	ck_assert(bfd_session_configure(a.s, &c));
	ck_assert(next_packet(0.2)->poll);
	c.min_tx = 6 * FAST;
	c.min_rx = 2 * FAST;
	ck_assert(bfd_session_configure(a.s, &c));
	ck_assert_uint_eq(next_packet(0.2)->min_tx, 4 * FAST);
	ck_assert_uint_eq(peer.last.min_rx, FAST);
	peer.reply.final = true;
	raw_say(&peer, BFD_UP);
	peer.reply.final = false;
	TURN_UNTIL(peer.last.min_tx == 6 * FAST, 0.5);
	ck_assert(peer.last.poll);
	ck_assert_uint_eq(peer.last.min_rx, 2 * FAST);
	ck_assert_uint_eq(end_info(&a).tx_interval, 4 * FAST);
	peer.answers = true;
	TURN_UNTIL(!end_info(&a).polling, 0.5);
	ck_assert_uint_eq(end_info(&a).tx_interval, 6 * FAST);
	ck_assert(is_up(&a));
}
END_TEST

/* Farewells */

START_TEST(test_farewell)
{
	unsigned was;

	bring_up();
	stop_keeping();
	was = peer.heard;
	end_close(&a, true);
	TURN_UNTIL(peer.heard == was + 4, 0.5);
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(peer.last.state, BFD_ADMIN_DOWN);
		ck_assert_uint_eq(peer.last.diag, BFD_DIAG_ADMIN);
		ck_assert_uint_eq(peer.last.your_discr, peer.reply.my_discr);
		ck_assert(!peer.last.poll);
		/* And that was all. */
		TURN_WHILE(peer.heard == was + 4, 1.2);
	}
}
END_TEST

/* The process ends: nobody will repeat it later. */
START_TEST(test_last_farewell)
{
	unsigned was;

	bring_up();
	stop_keeping();
	was = peer.heard;
	end_close(&a, true);
	bfd_engine_free(rig.engine[0]);
	rig.engine[0] = NULL;
	TURN_UNTIL(peer.heard >= was + 3, 0.5);
	ck_assert_uint_eq(peer.last.state, BFD_ADMIN_DOWN);
	TURN_WHILE(peer.heard <= was + 4, 0.2);
}
END_TEST

/* The C bit as it was when the remote was heard last: RFC 5882 4.3 needs it once the session is down. */
START_TEST(test_remote_independent)
{
	peer.reply.independent = _i;
	bring_up();
	stop_keeping();
	TURN_UNTIL(a.down, 0.5);
	ck_assert(a.last.remote_independent == (bool)_i);
	ck_assert(!end_info(&a).remote_independent);
}
END_TEST

START_TEST(test_no_farewell)
{
	unsigned was;

	bring_up();
	stop_keeping();
	TURN_WHILE(is_up(&a), 0.06);
	was = peer.heard;
	end_close(&a, false);
	TURN_WHILE(peer.heard <= was + 1, 0.5);
	ck_assert_uint_eq(peer.last.state, BFD_UP);
}
END_TEST

/* Administratively down: told at the old speed for a detection time, then once a second. */
START_TEST(test_admin_down_pace)
{
	uint64_t began;

	bring_up();
	stop_keeping();
	bfd_session_admin_down(a.s, true);
	began = mono_now();
	for (int i = 0; i < 4; i++) {
		do
			next_packet(0.2);
		while (peer.last.state == BFD_UP);
		ck_assert_uint_eq(peer.last.state, BFD_ADMIN_DOWN);
	}
	ck_assert_uint_le(mono_now() - began, 200 * MONO_MSEC);
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(next_packet(1.2)->state, BFD_ADMIN_DOWN);
		ck_assert_uint_ge(peer.gap, 740 * MONO_MSEC);
	}
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
	TCase *t = tcase_create(name);

	tcase_add_checked_fixture(t, setup, teardown_kept);
	tcase_set_timeout(t, 20);
	suite_add_tcase(suite, t);
	return t;
}

int main(void)
{
	Suite *suite = suite_create("bfd wire");
	TCase *t = add_case(suite, "sends");
	SRunner *sr;
	int failures;

	tcase_add_test(t, test_handshake);
	tcase_add_test(t, test_slow);
	tcase_add_test(t, test_farewell);
	tcase_add_test(t, test_last_farewell);
	tcase_add_test(t, test_no_farewell);
	tcase_add_loop_test(t, test_remote_independent, 0, 2);
	tcase_add_test(t, test_admin_down_pace);
	t = add_case(suite, "jitter");
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, test_jitter, 0, 2);
	t = add_case(suite, "discards");
	tcase_add_loop_test(t, test_broken, 0, sizeof broken / sizeof broken[0]);
	tcase_add_test(t, test_ttl);
	tcase_add_test(t, test_multihop_ttl);
	tcase_add_test(t, test_other_port);
	tcase_add_test(t, test_unknown);
	tcase_add_test(t, test_other_address);
	tcase_add_test(t, test_other_interface);
	tcase_add_test(t, test_specific);
	t = add_case(suite, "remote");
	tcase_add_test(t, test_answers_polls);
	tcase_add_test(t, test_remote_intervals);
	tcase_add_test(t, test_remote_wants_silence);
	tcase_add_test(t, test_remote_demand);
	tcase_add_test(t, test_remote_admin_down);
	t = add_case(suite, "polls");
	tcase_add_test(t, test_slower_waits);
	tcase_add_test(t, test_faster_does_not_wait);
	tcase_add_test(t, test_detection_waits);
	tcase_add_test(t, test_change_while_polling);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
