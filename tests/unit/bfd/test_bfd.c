/* Sessions between two engines over real sockets and in real time. */
#include "tests/unit/bfd/rig.h"

static struct end a, b;

static void setup(void)
{
	rig_setup();
	memset(&a, 0, sizeof a);
	memset(&b, 0, sizeof b);
}

static void teardown(void)
{
	if (a.s)
		end_close(&a, false);
	if (b.s)
		end_close(&b, false);
	rig_teardown();
}

static void open_both(struct bfd_session_conf ca, struct bfd_session_conf cb)
{
	end_open(&a, 0, &ca);
	end_open(&b, 1, &cb);
}

static void bring_up(void)
{
	open_both(rig_conf(0), rig_conf(1));
	TURN_UNTIL(is_settled(&a) && is_settled(&b), 3);
}

/* What both kinds of hop and both families have in common. */
static void check_up(struct bfd_session_conf ca, struct bfd_session_conf cb)
{
	struct bfd_session_info i, j;
	unsigned sent;

	open_both(ca, cb);
	TURN_UNTIL(is_settled(&a) && is_settled(&b), 3);
	i = end_info(&a);
	j = end_info(&b);
	ck_assert_int_eq(i.state, BFD_UP);
	ck_assert_int_eq(i.remote_state, BFD_UP);
	ck_assert_int_eq(i.diag, BFD_DIAG_NONE);
	ck_assert_uint_eq(i.discr, j.remote_discr);
	ck_assert_uint_eq(j.discr, i.remote_discr);
	ck_assert_uint_ne(i.discr, j.discr);
	ck_assert_uint_ge(i.source_port, 49152);
	ck_assert_uint_ge(j.source_port, 49152);
	ck_assert(addr_equal(&i.local, &cb.remote) && addr_equal(&j.local, &ca.remote));
	ck_assert_uint_eq(i.tx_interval, FAST);
	ck_assert_uint_eq(i.rx_interval, FAST);
	ck_assert_uint_eq(i.detection_time, 3 * FAST);
	ck_assert_uint_eq(i.remote_min_tx, FAST);
	ck_assert_uint_eq(i.remote_min_rx, FAST);
	ck_assert_uint_eq(i.remote_multiplier, 3);
	ck_assert(!i.remote_independent && !i.remote_demand);
	ck_assert_uint_eq(i.times_up, 1);
	ck_assert_uint_eq(i.times_down, 0);
	ck_assert_str_eq(i.down_reason, "");
	ck_assert_uint_eq(bfd_engine_stats(rig.engine[0])->up, 1);
	sent = (unsigned)i.packets_out;
	TURN_WHILE(is_up(&a) && is_up(&b), 1);
	/* 50 ms less jitter: 20 to 26 of them, and some room for a slow machine. */
	sent = (unsigned)end_info(&a).packets_out - sent;
	ck_assert_msg(sent >= 17 && sent <= 28, "%u packets in a second", sent);
	ck_assert_uint_eq(a.up, 1);
	ck_assert_uint_eq(a.down + b.down, 0);
	ck_assert_uint_eq(rig_logged("discarded"), 0);
}

START_TEST(test_up)
{
	check_up(rig_conf(0), rig_conf(1));
}
END_TEST

START_TEST(test_up_ipv6)
{
	check_up(rig_conf6(0), rig_conf6(1));
}
END_TEST

START_TEST(test_up_multihop)
{
	struct bfd_session_conf ca = rig_conf(0), cb = rig_conf(1);

	ca.multihop = cb.multihop = true;
	ca.min_ttl = 255;
	cb.min_ttl = 1;
	check_up(ca, cb);
}
END_TEST

START_TEST(test_up_multihop_ipv6)
{
	struct bfd_session_conf ca = rig_conf6(0), cb = rig_conf6(1);

	ca.multihop = cb.multihop = true;
	ca.min_ttl = 250;
	check_up(ca, cb);
}
END_TEST

START_TEST(test_up_link_local)
{
	struct bfd_session_conf ca = rig_conf(0), cb = rig_conf(1);

	ca.remote = rig_addr("fe80::2");
	ca.local = rig_addr("fe80::1");
	cb.remote = rig_addr("fe80::1");
	cb.local = rig_addr("fe80::2");
	strcpy(ca.ifname, "v0");
	strcpy(cb.ifname, "v1");
	check_up(ca, cb);
}
END_TEST

START_TEST(test_up_on_interface)
{
	struct bfd_session_conf ca = rig_conf(0), cb = rig_conf(1);

	strcpy(ca.ifname, "v0");
	ca.local = rig_addr("10.0.0.1");
	cb.local = rig_addr("10.0.0.2");
	check_up(ca, cb);
}
END_TEST

/* The remote vanishes: from its last packet on it takes the detection time, and not much more. */
START_TEST(test_detection)
{
	uint64_t took;

	bring_up();
	TURN_WHILE(is_up(&a), 0.3);
	end_close(&b, false);
	TURN_UNTIL(a.down, 1);
	took = a.at - end_info(&a).heard_at;
	ck_assert_msg(took >= 150 * MONO_MSEC && took < 250 * MONO_MSEC, "detected after %llu us",
		      (unsigned long long)(took / 1000));
	ck_assert_uint_eq(a.failures, 1);
	ck_assert_int_eq(a.last.state, BFD_DOWN);
	ck_assert_int_eq(a.last.diag, BFD_DIAG_TIMEOUT);
	ck_assert_ptr_nonnull(strstr(a.reason, "nothing heard for 1"));
	ck_assert_ptr_nonnull(strstr(a.reason, "(detection time 150ms)"));
	ck_assert_str_eq(end_info(&a).down_reason, a.reason);
	/* Nothing is known of the remote any more, and it is slow again. */
	ck_assert_uint_eq(end_info(&a).remote_discr, 0);
	ck_assert_uint_eq(end_info(&a).tx_interval, 1000000);
	ck_assert_uint_eq(end_info(&a).detection_time, 0);
	ck_assert_uint_eq(bfd_engine_stats(rig.engine[0])->up, 0);
}
END_TEST

/* One direction fails: the other side is told. */
START_TEST(test_one_way)
{
	bring_up();
	/* What side 1 sends goes to a MAC address that nobody has. */
	rig_ip(1, "neigh replace 10.0.0.1 lladdr 02:00:00:00:00:99 dev v1 nud permanent\n");
	TURN_UNTIL(a.down && b.down, 1);
	ck_assert_int_eq(a.last.diag, BFD_DIAG_TIMEOUT);
	ck_assert_int_eq(b.seen[b.changes - 1].diag, BFD_DIAG_NEIGHBOR);
	ck_assert_ptr_nonnull(strstr(b.reason, "the remote says Down (Control Detection Time Expired)"));
	ck_assert_uint_eq(b.failures, 1);
	rig_ip(1, "neigh del 10.0.0.1 dev v1\n");
	TURN_UNTIL(is_settled(&a) && is_settled(&b), 4);
}
END_TEST

static void change(struct end *e, uint32_t tx, uint32_t rx, uint8_t multiplier)
{
	struct bfd_session_conf c = *bfd_session_config(e->s);

	c.min_tx = tx;
	c.min_rx = rx;
	c.multiplier = multiplier;
	ck_assert(bfd_session_configure(e->s, &c));
}

static bool agree(uint32_t a_sends, uint32_t b_sends)
{
	struct bfd_session_info i = end_info(&a), j = end_info(&b);

	return !i.polling && !j.polling && i.tx_interval == a_sends && j.rx_interval == a_sends &&
	       j.tx_interval == b_sends && i.rx_interval == b_sends;
}

/* Intervals change in both directions, on both sides, and nobody flaps. */
START_TEST(test_configure)
{
	static const struct {
		uint32_t a_tx, a_rx, b_tx, b_rx;
		uint8_t multiplier;
	} steps[] = {
	    {400000, FAST, FAST, FAST, 3},   {400000, 300000, FAST, FAST, 3}, {FAST, FAST, FAST, FAST, 3},
	    {20000, 20000, 20000, 20000, 5}, {FAST, FAST, 200000, 100000, 2}, {100000, 100000, FAST, FAST, 3},
	};

	bring_up();
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		uint32_t a_sends = steps[i].a_tx > steps[i].b_rx ? steps[i].a_tx : steps[i].b_rx;
		uint32_t b_sends = steps[i].b_tx > steps[i].a_rx ? steps[i].b_tx : steps[i].a_rx;

		change(&a, steps[i].a_tx, steps[i].a_rx, steps[i].multiplier);
		change(&b, steps[i].b_tx, steps[i].b_rx, 3);
		TURN_UNTIL(agree(a_sends, b_sends), 3);
		TURN_UNTIL(end_info(&b).detection_time == (uint64_t)steps[i].multiplier * a_sends, 1);
		ck_assert_uint_eq(end_info(&a).detection_time, 3 * b_sends);
		TURN_WHILE(is_up(&a) && is_up(&b), 0.5);
	}
	ck_assert_uint_eq(a.changes, a.seen[0].state == BFD_UP ? 1 : 2);
	ck_assert_uint_eq(a.down + b.down, 0);
}
END_TEST

START_TEST(test_configure_refuses)
{
	struct bfd_session_conf c = rig_conf(0);

	bring_up();
	c.remote = rig_addr("10.0.0.3");
	ck_assert(!bfd_session_configure(a.s, &c));
	c = rig_conf(0);
	c.multihop = true;
	ck_assert(!bfd_session_configure(a.s, &c));
	c = rig_conf(0);
	c.multiplier = 0;
	ck_assert(!bfd_session_configure(a.s, &c));
	ck_assert_uint_eq(bfd_session_config(a.s)->multiplier, 3);
	c = rig_conf(0);
	ck_assert(bfd_session_configure(a.s, &c));
	ck_assert(!end_info(&a).polling);
	TURN_WHILE(is_up(&a) && is_up(&b), 0.3);
}
END_TEST

START_TEST(test_admin_down)
{
	bring_up();
	bfd_session_admin_down(a.s, true);
	ck_assert_int_eq(a.last.was, BFD_UP);
	ck_assert_int_eq(a.last.state, BFD_ADMIN_DOWN);
	ck_assert_int_eq(a.last.diag, BFD_DIAG_ADMIN);
	ck_assert_str_eq(a.reason, "administratively down here");
	TURN_UNTIL(b.down, 0.5);
	ck_assert_int_eq(b.last.state, BFD_DOWN);
	ck_assert_int_eq(b.last.remote_state, BFD_ADMIN_DOWN);
	ck_assert_int_eq(b.last.diag, BFD_DIAG_NEIGHBOR);
	ck_assert_int_eq(b.last.remote_diag, BFD_DIAG_ADMIN);
	ck_assert_uint_eq(a.failures + b.failures, 0);
	/* It stays so, and each knows of the other. */
	TURN_WHILE(!is_up(&a) && end_info(&a).state == BFD_ADMIN_DOWN && !is_up(&b) &&
		       end_info(&b).remote_state == BFD_ADMIN_DOWN,
		   3.5);
	bfd_session_admin_down(a.s, true);
	ck_assert_uint_eq(a.down, 1);
	bfd_session_admin_down(a.s, false);
	ck_assert_int_eq(a.last.state, BFD_DOWN);
	TURN_UNTIL(is_settled(&a) && is_settled(&b), 3);
	ck_assert_uint_eq(a.up, 2);
	ck_assert_uint_eq(a.failures + b.failures, 0);
}
END_TEST

/* A session that goes for good says so, and its remote is not alarmed; nor when it has forgotten it. */
START_TEST(test_free_announces)
{
	bring_up();
	end_close(&a, true);
	TURN_UNTIL(b.down, 0.5);
	ck_assert_int_eq(b.last.remote_state, BFD_ADMIN_DOWN);
	TURN_UNTIL(end_info(&b).remote_discr == 0, 5);
	ck_assert_int_eq(b.last.was, BFD_DOWN);
	ck_assert_int_eq(b.last.remote_state, BFD_DOWN);
	ck_assert_uint_eq(b.failures, 0);
}
END_TEST

START_TEST(test_free_and_new)
{
	struct bfd_session_conf c = rig_conf(0);

	bring_up();
	for (int i = 0; i < 5; i++) {
		end_close(&a, true);
		end_open(&a, 0, &c);
	}
	TURN_UNTIL(b.down, 0.5);
	TURN_UNTIL(is_settled(&a) && is_settled(&b), 3);
	ck_assert_uint_eq(b.failures, 0);
	TURN_WHILE(is_up(&a) && is_up(&b), 0.5);
}
END_TEST

/* One side is killed and comes back at once, with a discriminator the other does not know. */
START_TEST(test_restart)
{
	struct bfd_session_conf c = rig_conf(1);
	uint32_t was;

	bring_up();
	was = end_info(&a).remote_discr;
	end_close(&b, false);
	end_open(&b, 1, &c);
	TURN_UNTIL(a.down, 1);
	TURN_UNTIL(is_settled(&a) && is_settled(&b), 4);
	ck_assert_uint_ne(end_info(&a).remote_discr, was);
	ck_assert_uint_eq(end_info(&a).remote_discr, end_info(&b).discr);
	ck_assert_uint_eq(a.failures, 1);
	ck_assert_uint_eq(end_info(&a).times_down, 1);
	TURN_WHILE(is_up(&a) && is_up(&b), 0.5);
}
END_TEST

START_TEST(test_passive)
{
	struct bfd_session_conf ca = rig_conf(0), cb = rig_conf(1);

	ca.passive = true;
	end_open(&a, 0, &ca);
	TURN_WHILE(end_info(&a).packets_out == 0, 2);
	ck_assert_uint_eq(end_info(&a).tx_interval, 0);
	end_open(&b, 1, &cb);
	TURN_UNTIL(is_settled(&a) && is_settled(&b), 3);
	end_close(&b, false);
	TURN_UNTIL(a.down, 1);
	ck_assert_uint_eq(end_info(&a).tx_interval, 0);
	TURN_WHILE(!is_up(&a), 0.5);
}
END_TEST

START_TEST(test_both_passive)
{
	struct bfd_session_conf ca = rig_conf(0), cb = rig_conf(1);

	ca.passive = cb.passive = true;
	open_both(ca, cb);
	TURN_WHILE(!a.changes && !b.changes, 2);
	ck_assert_uint_eq(end_info(&a).packets_out + end_info(&b).packets_out, 0);
	ca.passive = false;
	ck_assert(bfd_session_configure(a.s, &ca));
	TURN_UNTIL(is_settled(&a) && is_settled(&b), 3);
}
END_TEST

/* What the system refuses is said, tried again, and works as soon as it can. */
START_TEST(test_system_refuses)
{
	struct bfd_session_conf ca = rig_conf(0), cb = rig_conf(1);
	const char *why;

	ca.remote = rig_addr("10.9.0.2");
	ca.local = rig_addr("10.9.0.1");
	strcpy(ca.ifname, "w0");
	cb.remote = rig_addr("10.9.0.1");
	cb.local = rig_addr("10.9.0.2");
	a.s = bfd_session_new(rig.engine[0], &ca, &a, &why);
	ck_assert_ptr_nonnull(a.s);
	ck_assert_str_eq(end_info(&a).error, "cannot find the interface: No such device");
	TURN_WHILE(a.changes == 0, 1.2);
	ck_assert_uint_eq(rig_logged("10.9.0.2 on w0: cannot find the interface: No such device; trying again"), 1);
	rig_ip(0, "link add w0 type veth peer name w1 netns /proc/%d/fd/%d\nlink set w0 up\n", getpid(), rig.ns[1]);
	rig_ip(1, "link set w1 up\naddr add 10.9.0.2/24 dev w1\n");
	end_open(&b, 1, &cb);
	TURN_UNTIL(strstr(end_info(&a).error, "cannot bind to the source address: Cannot assign"), 2);
	rig_ip(0, "addr add 10.9.0.1/24 dev w0\n");
	TURN_UNTIL(is_settled(&a) && is_settled(&b), 4);
	ck_assert_str_eq(end_info(&a).error, "");
	ck_assert_uint_eq(rig_logged("10.9.0.2 on w0: sending and hearing again"), 1);
	/* The interface goes, and comes back as another. */
	end_close(&b, false);
	rig_ip(0, "link del w0\n");
	TURN_UNTIL(a.down, 1);
	TURN_UNTIL(end_info(&a).error[0], 2);
	rig_ip(0,
	       "link add w0 index 77 type veth peer name w1 netns /proc/%d/fd/%d\nlink set w0 up\n"
	       "addr add 10.9.0.1/24 dev w0\n",
	       getpid(), rig.ns[1]);
	rig_ip(1, "link set w1 up\naddr add 10.9.0.2/24 dev w1\n");
	end_open(&b, 1, &cb);
	TURN_UNTIL(is_settled(&a) && is_settled(&b), 4);
	ck_assert_uint_eq(end_info(&a).ifindex, 77);
}
END_TEST

START_TEST(test_port_taken)
{
	struct bfd_session_conf ca = rig_conf(0), cb = rig_conf(1);
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(3784)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const char *why;

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	a.s = bfd_session_new(rig.engine[0], &ca, &a, &why);
	ck_assert_str_eq(end_info(&a).error, "cannot listen on UDP 0.0.0.0 port 3784: bind: Address already in use");
	end_open(&b, 1, &cb);
	TURN_WHILE(!is_up(&a) && !is_up(&b), 0.5);
	close(fd);
	TURN_UNTIL(is_settled(&a) && is_settled(&b), 5);
	ck_assert_str_eq(end_info(&a).error, "");
}
END_TEST

/* Listening at one address: what comes to others is not for us. */
START_TEST(test_listen)
{
	struct addr other = rig_addr("127.0.0.5"), own = rig_addr("10.0.0.1"), none = {0};

	bring_up();
	bfd_engine_listen(rig.engine[0], FAM_IPV4, &own);
	TURN_WHILE(is_up(&a) && is_up(&b), 0.5);
	bfd_engine_listen(rig.engine[0], FAM_IPV6, &other);
	bfd_engine_listen(rig.engine[0], FAM_IPV4, &other);
	TURN_UNTIL(a.down && b.down, 1);
	TURN_WHILE(!is_up(&a), 1.5);
	bfd_engine_listen(rig.engine[0], FAM_IPV4, &none);
	TURN_UNTIL(is_settled(&a) && is_settled(&b), 4);
}
END_TEST

/* Configurations that are refused, with their reasons. */
static const struct {
	const char *remote, *local, *ifname;
	bool multihop;
	uint32_t tx, rx;
	uint8_t multiplier;
	const char *why;
} wrong[] = {
    {"10.0.0.2", "", "", false, FAST, FAST, 3, NULL},
    {"10.0.0.2", "10.0.0.1", "v0", false, BFD_MIN_INTERVAL, BFD_MIN_INTERVAL, 1, NULL},
    {"fe80::2", "fe80::1", "v0", false, FAST, FAST, 255, NULL},
    {"", "", "", false, FAST, FAST, 3, "no remote address"},
    {"10.0.0.2", "fd00::1", "", false, FAST, FAST, 3, "the addresses are of different families"},
    {"10.0.0.2", "", "sixteen-octets-x", false, FAST, FAST, 3, "the interface's name is too long"},
    {"fe80::2", "", "", false, FAST, FAST, 3, "a link-local remote needs an interface"},
    {"10.0.0.2", "", "v0", true, FAST, FAST, 3, "an interface is for a single hop only"},
    {"10.0.0.2", "", "", false, BFD_MIN_INTERVAL - 1, FAST, 3, "an interval is less than 10 ms"},
    {"10.0.0.2", "", "", false, FAST, 0, 3, "an interval is less than 10 ms"},
    {"10.0.0.2", "", "", false, FAST, FAST, 0, "the multiplier is zero"},
};

START_TEST(test_conf)
{
	struct bfd_session_conf c = {
	    .multihop = wrong[_i].multihop,
	    .min_tx = wrong[_i].tx,
	    .min_rx = wrong[_i].rx,
	    .multiplier = wrong[_i].multiplier,
	};
	const char *why = "";

	addr_parse(&c.remote, wrong[_i].remote);
	addr_parse(&c.local, wrong[_i].local);
	memcpy(c.ifname, wrong[_i].ifname, strnlen(wrong[_i].ifname, sizeof c.ifname));
	a.s = bfd_session_new(rig.engine[0], &c, &a, &why);
	ck_assert_int_eq(a.s != NULL, wrong[_i].why == NULL);
	if (wrong[_i].why) {
		ck_assert_str_eq(why, wrong[_i].why);
		ck_assert_ptr_null(bfd_engine_next(rig.engine[0], NULL));
	} else {
		ck_assert_ptr_null(why);
		ck_assert_ptr_eq(bfd_session_find(rig.engine[0], &c), a.s);
		ck_assert_ptr_null(bfd_session_new(rig.engine[0], &c, &b, &why));
		ck_assert_str_eq(why, "there is such a session already");
		c.multiplier++;
		ck_assert_ptr_eq(bfd_session_find(rig.engine[0], &c), a.s);
		strcpy(c.ifname, "v7");
		ck_assert_ptr_null(bfd_session_find(rig.engine[0], &c));
	}
}
END_TEST

/* Owners that free sessions, their own or others', in the middle of a callback. */
static void free_both(struct end *e)
{
	(void)e;
	if (a.s)
		end_close(&a, true);
	if (b.s)
		end_close(&b, false);
}

START_TEST(test_free_in_callback)
{
	bring_up();
	(_i ? &a : &b)->hook = free_both;
	bfd_session_admin_down(a.s, true);
	TURN_UNTIL(!a.s && !b.s, 1);
	ck_assert_ptr_null(bfd_engine_next(rig.engine[0], NULL));
	ck_assert_ptr_null(bfd_engine_next(rig.engine[1], NULL));
	TURN_WHILE(!a.s, 0.5);
}
END_TEST

#define MANY 200

START_TEST(test_many)
{
	static struct end ends[2][MANY];
	static bool ports[65536];
	unsigned up = 0;
	uint64_t began;

	memset(ends, 0, sizeof ends);
	for (int i = 0; i < MANY; i++)
		for (int side = 0; side < 2; side++) {
			struct bfd_session_conf c = rig_conf(side);
			char text[2][ADDR_STRLEN];

			for (int k = 0; k < 2; k++)
				snprintf(text[k], ADDR_STRLEN, "10.0.%d.%d", 10 + k, i + 1);
			rig_ip(side, "addr add %s/16 dev v%d\n", text[side], side);
			c.local = rig_addr(text[side]);
			c.remote = rig_addr(text[!side]);
			end_open(&ends[side][i], side, &c);
		}
	began = mono_now();
	while (up < 2 * MANY) {
		ck_assert_msg(mono_now() < began + 5 * MONO_SEC, "%u sides of %d are up", up, 2 * MANY);
		loop_turn(rig.loop, true);
		up = bfd_engine_stats(rig.engine[0])->up + bfd_engine_stats(rig.engine[1])->up;
	}
	TURN_WHILE(bfd_engine_stats(rig.engine[0])->up == MANY && bfd_engine_stats(rig.engine[1])->up == MANY, 3);
	for (int i = 0; i < MANY; i++)
		for (int side = 0; side < 2; side++) {
			struct bfd_session_info info = end_info(&ends[side][i]);

			ck_assert_uint_eq(ends[side][i].up, 1);
			ck_assert_uint_eq(ends[side][i].down, 0);
			ck_assert_uint_eq(info.remote_discr, end_info(&ends[!side][i]).discr);
			ck_assert_uint_ge(info.source_port, 49152);
			ck_assert(side || !ports[info.source_port]);
			ports[info.source_port] |= !side;
		}
	/* All at once. */
	for (int i = 0; i < MANY; i++)
		end_close(&ends[1][i], false);
	TURN_UNTIL(bfd_engine_stats(rig.engine[0])->up == 0, 1);
	for (int i = 0; i < MANY; i++) {
		ck_assert_uint_eq(ends[0][i].failures, 1);
		end_close(&ends[0][i], true);
	}
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
	TCase *t = tcase_create(name);

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	suite_add_tcase(suite, t);
	return t;
}

int main(void)
{
	Suite *suite = suite_create("bfd");
	TCase *t = add_case(suite, "up");
	SRunner *sr;
	int failures;

	tcase_add_test(t, test_up);
	tcase_add_test(t, test_up_ipv6);
	tcase_add_test(t, test_up_multihop);
	tcase_add_test(t, test_up_multihop_ipv6);
	tcase_add_test(t, test_up_link_local);
	tcase_add_test(t, test_up_on_interface);
	tcase_add_test(t, test_passive);
	tcase_add_test(t, test_both_passive);
	tcase_add_test(t, test_many);
	t = add_case(suite, "down");
	tcase_add_test(t, test_detection);
	tcase_add_test(t, test_one_way);
	tcase_add_test(t, test_admin_down);
	tcase_add_test(t, test_free_announces);
	tcase_add_test(t, test_free_and_new);
	tcase_add_test(t, test_restart);
	tcase_add_loop_test(t, test_free_in_callback, 0, 2);
	t = add_case(suite, "configure");
	tcase_add_test(t, test_configure);
	tcase_add_test(t, test_configure_refuses);
	tcase_add_loop_test(t, test_conf, 0, sizeof wrong / sizeof wrong[0]);
	t = add_case(suite, "system");
	tcase_add_test(t, test_system_refuses);
	tcase_add_test(t, test_port_taken);
	tcase_add_test(t, test_listen);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
