/* Configuration: what a live session survives, administrative state, passwords, TTL security, listening sockets. */
#include <net/if.h>

#include "tests/unit/session/pair.h"

START_TEST(test_shutdown_text)
{
	struct bgp_session_conf ca = rig_conf(0);

	come_up();
	ca.admin_down = true;
	ca.shutdown_text = (char[]){"upgrade of rack 7"};
	ck_assert(bgp_session_configure(a.s, &ca));
	TURN_UNTIL(b.down == 1, 3);
	ck_assert_str_eq(b.reason, "received Cease/Administrative Shutdown: \"upgrade of rack 7\"");
	ck_assert_str_eq(a.reason, "administratively down");
	ck_assert_int_eq(bgp_session_info(a.s).state, BGP_IDLE);
	ck_assert_uint_eq(bgp_session_info(a.s).retry_in, 0);
	ca.admin_down = false;
	ck_assert(!bgp_session_configure(a.s, &ca));
	TURN_UNTIL(is_up(&a) && is_up(&b), 3);
}
END_TEST

/* RFC 9003: 255 octets at most, and no half character at the end. */
START_TEST(test_long_shutdown_text)
{
	struct bgp_session_conf ca = rig_conf(0);
	char text[300], want[400];

	come_up();
	memset(text, 'x', sizeof text);
	/* The octets before the limit and behind it are one letter. */
	memcpy(text + 254, "\xc3\xa9", 2);
	text[sizeof text - 1] = '\0';
	ca.admin_down = true;
	ca.shutdown_text = text;
	ck_assert(bgp_session_configure(a.s, &ca));
	TURN_UNTIL(b.down == 1, 3);
	text[254] = '\0';
	snprintf(want, sizeof want, "received Cease/Administrative Shutdown: \"%s\"", text);
	ck_assert_str_eq(b.reason, want);
	ca.admin_down = false;
	ca.shutdown_text = NULL;
	bgp_session_configure(a.s, &ca);
	TURN_UNTIL(is_up(&a) && is_up(&b), 3);
}
END_TEST

/* Who dials a session that is administratively down hears why. */
START_TEST(test_admin_down_refuses)
{
	struct bgp_session_conf ca = rig_conf(0), cb = rig_conf(1);

	cb.admin_down = true;
	cb.shutdown_text = (char[]){"drained"};
	open_pair(&ca, &cb);
	TURN_UNTIL(strstr(last_error(&a), "received"), 3);
	ck_assert_str_eq(last_error(&a), "received Cease/Administrative Shutdown: \"drained\"");
	ck_assert_int_eq(bgp_session_info(b.s).state, BGP_IDLE);
	ck_assert(rig_logged("connection from the peer refused: the session is administratively down"));
}
END_TEST

/* Changes a live session survives, and those it does not. */
static void set_hold(struct bgp_session_conf *c)
{
	c->hold_time = 33;
}
static void set_keepalive(struct bgp_session_conf *c)
{
	c->keepalive_time = 7;
}
static void set_timers(struct bgp_session_conf *c)
{
	c->connect_retry = 77;
	c->idle_hold = 3;
	c->idle_hold_max = 30;
	c->send_hold = 500;
}
static void set_passive(struct bgp_session_conf *c)
{
	c->passive = !c->passive;
}
static void set_name(struct bgp_session_conf *c)
{
	static char name[] = "other";

	c->name = name;
}
static void set_ttl(struct bgp_session_conf *c)
{
	c->ttl = 200;
	c->min_ttl = 10;
}
static void set_any_as(struct bgp_session_conf *c)
{
	c->remote_as = 0;
}
static void set_no_local(struct bgp_session_conf *c)
{
	c->local = (struct addr){0};
}
static void set_gr(struct bgp_session_conf *c)
{
	c->gr = !c->gr;
	c->gr_time = 99;
	c->gr_forwarding = 3;
}
static void set_useless_add_path(struct bgp_session_conf *c)
{
	c->add_path_tx = true; /* the peer does not receive any */
}
static void set_extended(struct bgp_session_conf *c)
{
	c->extended_messages = true;
}
static void set_text(struct bgp_session_conf *c)
{
	static char text[] = "later";

	c->shutdown_text = text;
}
static void set_families(struct bgp_session_conf *c)
{
	c->families = V4;
}
static void set_router_id(struct bgp_session_conf *c)
{
	c->router_id = 0x0a0000ff;
}
static void set_local(struct bgp_session_conf *c)
{
	c->local = rig_addr("127.0.0.77");
}
static void set_port(struct bgp_session_conf *c)
{
	c->remote_port = 1;
}

static const struct {
	const char *what;
	void (*change)(struct bgp_session_conf *c);
	bool resets;
} changes[] = {
    {"nothing", NULL, false},
    {"hold_time", set_hold, false},
    {"keepalive_time", set_keepalive, false},
    {"timers", set_timers, false},
    {"passive", set_passive, false},
    {"name", set_name, false},
    {"ttl", set_ttl, false},
    {"remote_as any", set_any_as, false},
    {"local any", set_no_local, false},
    {"gr", set_gr, false},
    {"add_path the peer does not take", set_useless_add_path, false},
    {"extended_messages", set_extended, false},
    {"shutdown_text", set_text, false},
    {"remote_port", set_port, false},
    {"families", set_families, true},
    {"router_id", set_router_id, true},
    {"local", set_local, true},
};

START_TEST(test_reconfigure)
{
	struct bgp_session_conf ca;
	bool was_reset;

	come_up();
	ca = *bgp_session_config(a.s);
	ca.name = rig_conf(0).name;
	if (changes[_i].change)
		changes[_i].change(&ca);
	was_reset = bgp_session_configure(a.s, &ca);
	ck_assert_msg(was_reset == changes[_i].resets, "%s", changes[_i].what);
	if (changes[_i].resets) {
		TURN_UNTIL(b.down == 1, 3);
		ck_assert_str_eq(b.reason, "received Cease/Other Configuration Change");
		return;
	}
	/* Alive both ways. */
	ck_assert(bgp_session_request_refresh(a.s, FAM_IPV4) && bgp_session_request_refresh(b.s, FAM_IPV4));
	TURN_UNTIL(a.refreshes == 1 && b.refreshes == 1, 3);
	ck_assert_uint_eq(a.down + b.down, 0);
	ck_assert_str_eq(bgp_session_config(a.s)->name, ca.name);
	if (changes[_i].change == set_keepalive)
		ck_assert_uint_eq(bgp_session_info(a.s).keepalive_time, 7);
}
END_TEST

/* The peer's patience is what it was, however often timers are changed. */
START_TEST(test_timers_changed_all_the_time)
{
	struct bgp_session_conf ca = rig_conf(0);
	uint64_t before;

	come_up();
	ca.keepalive_time = 1;
	before = bgp_session_info(a.s).messages_out[BGP_KEEPALIVE];
	while (bgp_session_info(a.s).messages_out[BGP_KEEPALIVE] < before + 2) {
		ck_assert_uint_lt(mono_now() - bgp_session_info(a.s).since, 6 * MONO_SEC);
		ca.connect_retry = 3 - ca.connect_retry;
		ck_assert(!bgp_session_configure(a.s, &ca));
		loop_turn(rig.loop, true);
	}
}
END_TEST

/* Removing the family that the peer does not have is no reason either. */
START_TEST(test_reconfigure_unshared_family)
{
	struct bgp_session_conf ca = rig_conf(0), cb = rig_conf(1);

	cb.families = V4;
	open_pair(&ca, &cb);
	TURN_UNTIL(is_up(&a) && is_up(&b), 3);
	ca.families = V4;
	ck_assert(!bgp_session_configure(a.s, &ca));
	ca.families = V4 | V6;
	ck_assert(!bgp_session_configure(a.s, &ca));
	ck_assert(is_up(&a));
}
END_TEST

START_TEST(test_remote_changes)
{
	struct bgp_session_conf ca, cb;

	come_up();
	ca = *bgp_session_config(a.s);
	ca.local = rig_addr("127.0.0.66");
	cb = *bgp_session_config(b.s);
	cb.remote = ca.local;
	ck_assert(bgp_session_configure(b.s, &cb));
	ck_assert(bgp_session_configure(a.s, &ca));
	TURN_UNTIL(is_up(&a) && is_up(&b), 5);
	ck_assert(addr_equal(&bgp_session_config(b.s)->remote, &ca.local));
}
END_TEST

START_TEST(test_password)
{
	struct bgp_session_conf ca = rig_conf(0), cb = rig_conf(1);
	uint64_t in;

	ca.password = (char[]){"correct horse"};
	cb.password = (char[]){"wrong"};
	cb.passive = true;
	open_pair(&ca, &cb);
	TURN_UNTIL(strstr(last_error(&a), "connect: no answer (127.0.0.2:"), 3);
	ck_assert_uint_eq(a.up + b.up, 0);
	cb.password = (char[]){"correct horse"};
	bgp_session_configure(b.s, &cb);
	TURN_UNTIL(is_up(&a) && is_up(&b), 4);
	/* A new password on the live session, one side after the other. */
	ca.password = cb.password = (char[]){"battery staple"};
	ck_assert(!bgp_session_configure(a.s, &ca));
	ck_assert(!bgp_session_configure(b.s, &cb));
	in = bgp_session_info(b.s).messages_in[BGP_ROUTE_REFRESH];
	ck_assert(bgp_session_request_refresh(a.s, FAM_IPV4));
	TURN_UNTIL(bgp_session_info(b.s).messages_in[BGP_ROUTE_REFRESH] == in + 1, 3);
	ck_assert_uint_eq(a.down + b.down, 0);
	/* The listening socket has it too. */
	bgp_session_reset(a.s, BGP_ERR_CEASE, BGP_CEASE_RESET, "test");
	TURN_UNTIL(a.up == 2 && b.up == 2, 4);
}
END_TEST

START_TEST(test_password_missing)
{
	struct bgp_session_conf ca = rig_conf(0), cb = rig_conf(1);

	cb.password = (char[]){"secret"};
	cb.passive = true;
	open_pair(&ca, &cb);
	TURN_WHILE(bgp_session_info(a.s).state <= BGP_CONNECT, 0.2);
	/* Taken away from the session, it is gone from the listening socket. */
	cb.password = NULL;
	bgp_session_configure(b.s, &cb);
	ca.hold_time = 30; /* any change dials anew */
	bgp_session_configure(a.s, &ca);
	TURN_UNTIL(is_up(&a) && is_up(&b), 4);
}
END_TEST

START_TEST(test_ttl_security)
{
	struct bgp_session_conf ca = rig_conf(0), cb = rig_conf(1);

	ca.ttl = cb.ttl = 255;
	ca.min_ttl = cb.min_ttl = 255;
	cb.passive = true;
	open_pair(&ca, &cb);
	TURN_UNTIL(is_up(&a) && is_up(&b), 3);
	/* What comes from farther away is not heard. */
	ca.ttl = 254;
	ck_assert(!bgp_session_configure(a.s, &ca));
	ck_assert(bgp_session_request_refresh(a.s, FAM_IPV4));
	TURN_WHILE(b.refreshes == 0, 0.3);
	ca.ttl = 255;
	ck_assert(!bgp_session_configure(a.s, &ca));
	TURN_UNTIL(b.refreshes == 1, 3);
}
END_TEST

START_TEST(test_ipv6)
{
	struct bgp_session_conf ca = rig_conf(0), cb = rig_conf(1);
	struct bgp_listen at = {.addr = rig_addr("::1"), .port = rig.port};
	char err[256] = "";

	ck_assert_msg(bgp_engine_listen(rig.side[1].engine, &at, 1, err, sizeof err), "%s", err);
	ca.remote = ca.local = cb.remote = cb.local = at.addr;
	cb.passive = true;
	open_pair(&ca, &cb);
	TURN_UNTIL(is_up(&a) && is_up(&b), 3);
	bgp_session_free(b.s, BGP_CEASE_SHUTDOWN);
	b.s = NULL;
	TURN_UNTIL(a.down == 1, 3);
}
END_TEST

/* Sockets are bound to a VRF's device as to any other one: the loopback interface stands for it. */
START_TEST(test_vrf)
{
	static char secret[] = "in the VRF", other[] = "outside";
	struct bgp_session_conf ca = rig_conf(0), cb = rig_conf(1), cx = rig_conf(1);
	struct bgp_listen at = {.addr = rig.side[1].addr, .port = rig.port, .vrf = "lo"};
	struct end outside = {0};
	char err[256] = "";

	at.vrf_ifindex = if_nametoindex("lo");
	strcpy(ca.vrf, "lo");
	strcpy(cb.vrf, "lo");
	ca.password = cb.password = secret;
	cb.passive = cx.passive = true;
	ck_assert_msg(bgp_engine_listen(rig.side[1].engine, &at, 1, err, sizeof err), "%s", err);
	/* A peer of the same address outside has neither the call nor a word to say about the password. */
	cx.password = other;
	end_open(&outside, 1, &cx);
	end_open(&a, 0, &ca);
	end_open(&b, 1, &cb);
	TURN_UNTIL(is_up(&a) && is_up(&b), 5);
	ck_assert_uint_eq(outside.up, 0);
	end_close(&outside);
	/* Another device of that name is another place. */
	ck_assert_msg(bgp_engine_listen(rig.side[1].engine, &at, 1, err, sizeof err), "%s", err);
	at.vrf_ifindex++;
	ck_assert_msg(bgp_engine_listen(rig.side[1].engine, &at, 1, err, sizeof err), "%s", err);
}
END_TEST

START_TEST(test_call_from_outside_of_the_vrf)
{
	struct bgp_session_conf ca = rig_conf(0), cb = rig_conf(1);

	rig_listen(1);
	strcpy(cb.vrf, "lo");
	cb.passive = true;
	end_open(&a, 0, &ca);
	end_open(&b, 1, &cb);
	TURN_UNTIL(rig_logged("no peer is configured with that address"), 3);
	ck_assert_uint_eq(b.up, 0);
}
END_TEST

START_TEST(test_no_such_vrf)
{
	struct bgp_session_conf ca = rig_conf(0);
	struct bgp_listen at = {.port = rig.port, .vrf = "novrf0", .vrf_ifindex = 1};
	char err[256] = "";

	strcpy(ca.vrf, "novrf0");
	end_open(&a, 0, &ca);
	TURN_UNTIL(strstr(last_error(&a), "bind to the VRF"), 3);
	ck_assert(!bgp_engine_listen(rig.side[0].engine, &at, 1, err, sizeof err));
	ck_assert_msg(strstr(err, " in VRF novrf0: bind to the VRF: ") != NULL, "%s", err);
}
END_TEST

START_TEST(test_listen)
{
	struct bgp_listen any = {.port = rig_free_port()};
	struct bgp_listen two[] = {{.addr = rig_addr("127.0.0.1"), .port = rig.port},
				   {.addr = rig_addr("192.0.2.1"), .port = rig.port}};
	char err[256] = "", want[128];
	struct bgp_session_conf ca = rig_conf(0), cb = rig_conf(1);

	/* The one that works is open although the other fails, and a connected session does not notice. */
	cb.passive = true;
	open_pair(&ca, &cb);
	TURN_UNTIL(is_up(&a) && is_up(&b), 3);
	ck_assert(!bgp_engine_listen(rig.side[0].engine, two, 2, err, sizeof err));
	snprintf(want, sizeof want,
		 "cannot listen on 192.0.2.1:%u: bind: Cannot assign requested address; no interface of this host has",
		 rig.port);
	ck_assert_msg(strncmp(err, want, strlen(want)) == 0, "%s", err);
	/* The other engine has the port. */
	ck_assert(!bgp_engine_listen(rig.side[1].engine, two, 1, err, sizeof err));
	ck_assert_msg(strstr(err, "Address already in use; another BGP daemon"), "%s", err);
	/* Any address. */
	ck_assert_msg(bgp_engine_listen(rig.side[1].engine, &any, 1, err, sizeof err), "%s", err);
	ck_assert_msg(bgp_engine_listen(rig.side[1].engine, &any, 1, err, sizeof err), "%s", err);
	ca.remote_port = any.port;
	bgp_session_configure(a.s, &ca);
	bgp_session_reset(a.s, BGP_ERR_CEASE, BGP_CEASE_RESET, "test");
	TURN_UNTIL(a.up == 2 && b.up == 2, 4);
}
END_TEST

/* An UPDATE whose path begins with another AS than the peer's: for a route server's client that is in order. Changed in
 * place, and what was judged before is asked for again. */
START_TEST(test_first_as)
{
	static const uint8_t update[] = {0, 0,	  0,	20,   0x40, 1, 1,   0, 0x40, 2, 6,  2,	1, 0,
					 0, 0xfd, 0xea, 0x40, 3,    4, 192, 0, 2,    1, 24, 10, 1, 2};
	struct bgp_session_conf conf = raw_conf();
	struct bgp_open o = raw_open();
	struct raw *r = raw_new();

	conf.remote_as = o.as = 65009;
	end_open(&a, 0, &conf);
	raw_connect(r, "127.0.0.9", "127.0.0.1");
	raw_establish(r, &a, &o);
	raw_send_message(r, BGP_UPDATE, update, sizeof update);
	TURN_UNTIL(a.updates == 1, 3);
	ck_assert_uint_eq(a.errors, 1);
	for (unsigned i = 0; i < 2; i++) {
		conf.any_first_as = i == 0;
		ck_assert(!bgp_session_configure(a.s, &conf));
		for (int f = 0; f < FAM_COUNT; f++)
			raw_expect(r, BGP_ROUTE_REFRESH);
		raw_send_message(r, BGP_UPDATE, update, sizeof update);
		TURN_UNTIL(a.updates == 2 + i, 3);
		ck_assert_uint_eq(a.errors, 1 + i);
	}
	ck_assert_uint_eq(a.down, 0);
	raw_free(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("session, configuration");
	TCase *t = tcase_create("two engines");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, test_shutdown_text);
	tcase_add_test(t, test_long_shutdown_text);
	tcase_add_test(t, test_admin_down_refuses);
	tcase_add_loop_test(t, test_reconfigure, 0, sizeof changes / sizeof changes[0]);
	tcase_add_test(t, test_timers_changed_all_the_time);
	tcase_add_test(t, test_reconfigure_unshared_family);
	tcase_add_test(t, test_remote_changes);
	tcase_add_test(t, test_password);
	tcase_add_test(t, test_password_missing);
	tcase_add_test(t, test_ttl_security);
	tcase_add_test(t, test_ipv6);
	tcase_add_test(t, test_listen);
	tcase_add_test(t, test_vrf);
	tcase_add_test(t, test_call_from_outside_of_the_vrf);
	tcase_add_test(t, test_no_such_vrf);
	tcase_add_test(t, test_first_as);
	suite_add_tcase(s, t);
	return rig_run(s);
}
