/* The speaker against scripted peers on the loopback: what becomes of routes over restarts and refreshes, and when the
 * session of the second family is held back. */
#include "daemon/speaker.h"

#include <arpa/inet.h>
#include <bsd/stdlib.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bgp/codec/msg.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/mono.h"

#define OUR_AS 64512u
#define V4 (1u << FAM_IPV4)
#define V6 (1u << FAM_IPV6)
#define ONE "127.0.0.8"
#define TWO "127.0.0.9"

static struct daemon d;
static struct loop_timer tick;
static uint16_t port;

static void on_tick(void *arg)
{
	(void)arg;
	loop_timer_set(d.loop, &tick, 5 * MONO_MSEC, on_tick, NULL);
}

#define TURN_UNTIL(cond, seconds)                                                                              \
	do {                                                                                                   \
		uint64_t deadline_ = mono_now() + (uint64_t)((seconds) * (double)MONO_SEC);                    \
		while (!(cond)) {                                                                              \
			ck_assert_msg(mono_now() < deadline_, "did not happen within " #seconds " s: " #cond); \
			loop_turn(d.loop, true);                                                               \
		}                                                                                              \
	} while (0)

/* Lets everything that is under way arrive. */
static void settle(void)
{
	for (unsigned i = 0; i < 20; i++)
		loop_turn(d.loop, true);
}

static struct addr addr_of(const char *text)
{
	struct addr a;

	ck_assert(addr_parse(&a, text));
	return a;
}

/* ---- The speaker ---- */

static void on_best(void *arg, const struct prefix *p, const struct rib_route *routes, unsigned n)
{
	(void)arg;
	(void)p;
	(void)routes;
	(void)n;
}

static void on_nexthop(void *arg, const struct addr *nh, bool used)
{
	(void)arg;
	if (used)
		rib_nexthop_update(d.rib, nh, true, 0);
}

static const struct rib_sink sink = {.on_best = on_best, .on_ready = speaker_on_ready, .on_nexthop = on_nexthop};
static const struct fib_ops fib_ops;

static uint16_t free_port(void)
{
	for (int i = 0; i < 200; i++) {
		uint16_t candidate = (uint16_t)(10000 + arc4random_uniform(20000));
		struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_port = htons(candidate)};
		int fd = socket(AF_INET6, SOCK_STREAM, 0);
		bool ok = bind(fd, (struct sockaddr *)&sa, sizeof sa) == 0;

		close(fd);
		if (ok)
			return candidate;
	}
	ck_abort_msg("no free port");
	return 0;
}

static void setup(void)
{
	struct rib_conf rib = {.max_paths = 1, .deterministic_med = true};
	struct fib_conf fib = {.protocol = 186, .table = 254, .interface_prefix = "cali", .max_paths = 1};
	struct bgp_listen any;
	char err[256] = "";

	signal(SIGPIPE, SIG_IGN);
	if (!getenv("RIG_LOG"))
		log_setup(LOG_LVL_ERROR, false);
	port = free_port();
	any = (struct bgp_listen){.port = port};
	d = (struct daemon){.loop = loop_new(), .started = mono_now()};
	d.config = (struct config){.node_name = mem_strdup("a"),
				   .connect_retry_time = 1,
				   .idle_hold_time = 1,
				   .idle_hold_max = 1,
				   .graceful_restart = true,
				   .restart_time = 120};
	d.fib = fib_new(d.loop, &fib, &fib_ops, &d, err, sizeof err);
	ck_assert_msg(d.fib, "%s", err);
	d.rib = rib_new(d.loop, &rib, &sink, &d);
	d.engine = bgp_engine_new(d.loop, &speaker_session_ops);
	d.speaker = speaker_new(&d);
	ck_assert_msg(bgp_engine_listen(d.engine, &any, 1, err, sizeof err), "%s", err);
	on_tick(NULL);
}

static void teardown(void)
{
	mono_fake(0);
	speaker_free(d.speaker, false);
	bgp_engine_free(d.engine);
	rib_free(d.rib);
	fib_free(d.fib);
	loop_timer_stop(d.loop, &tick);
	loop_free(d.loop);
	free(d.config.node_name);
}

/* A session that waits for its scripted peer, which restarts within 120 s. */
static struct peer_want want(const char *remote, uint8_t families)
{
	return (struct peer_want){
	    .name = mem_strdup(remote),
	    .origin = mem_strdup("a test"),
	    .remote = addr_of(remote),
	    .remote_port = port,
	    .remote_as = OUR_AS,
	    .local_as = OUR_AS,
	    .passive = true,
	    .families = families,
	    .hold_time = 90,
	    .restart_time = 120,
	};
}

/* The session with the same peer's IPv6 address. */
static struct peer_want want_sibling(void)
{
	struct peer_want w = want("::1", V6);

	w.sibling = addr_of(TWO);
	return w;
}

/* Takes the wants, which are sorted. */
static void apply(const struct peer_want *w, unsigned n)
{
	struct self self = {.name = "a", .as = OUR_AS, .router_id = 0x0a000001};
	struct peering p = {.want = mem_dup(w, n * sizeof *w), .count = n};

	self.ip[FAM_IPV4].addr = addr_of("127.0.0.1");
	self.ip[FAM_IPV6].addr = addr_of("2001:db8::1");
	speaker_apply(d.speaker, &p, &self, NULL, NULL);
}

static struct peer *peer_of(const char *remote)
{
	struct peer *p = speaker_find(d.speaker, remote);

	ck_assert_ptr_nonnull(p);
	return p;
}

static bool is_up(const char *remote)
{
	return bgp_session_info(peer_of(remote)->session).state == BGP_ESTABLISHED;
}

static void note_route(void *arg, const struct rib_view *v)
{
	(void)v;
	++*(unsigned *)arg;
}

static unsigned routes(const char *text)
{
	struct prefix p;
	unsigned n = 0;

	ck_assert(prefix_parse(&p, text));
	settle();
	rib_show_prefix(d.rib, &p, note_route, &n);
	return n;
}

/* ---- Scripted peers ---- */

static int dial(const char *from)
{
	struct addr a = addr_of(from);
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	struct sockaddr *sa = a.af == AF_INET ? (void *)&v4 : (void *)&v6;
	socklen_t len = a.af == AF_INET ? sizeof v4 : sizeof v6;
	int fd = socket(a.af, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(&v4.sin_addr, a.b, 4);
	ck_assert_int_eq(bind(fd, sa, len), 0);
	v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	v4.sin_port = v6.sin6_port = htons(port);
	ck_assert_msg(connect(fd, sa, len) == 0, "connect: %s", strerror(errno));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void say(int fd, const struct wr *w)
{
	ck_assert(!w->bad);
	ck_assert_int_eq(send(fd, w->start, wr_len(w), MSG_NOSIGNAL), (int)wr_len(w));
}

/* What a peer with all that we have and graceful restart sends. */
static struct bgp_open open_of(uint8_t families)
{
	return (struct bgp_open){
	    .as = OUR_AS,
	    .hold_time = 90,
	    .router_id = 0x0a000009,
	    .families = families,
	    .has_mp = true,
	    .as4 = true,
	    .route_refresh = true,
	    .enhanced_refresh = true,
	    .gr = true,
	    .gr_time = 120,
	    .gr_families = families,
	    .gr_forwarding = families,
	};
}

/* Established. */
static int establish_with(const char *from, const struct bgp_open *o)
{
	uint8_t bytes[BGP_MAX_MESSAGE];
	struct wr w = wr_make(bytes, sizeof bytes);
	int fd = dial(from);

	bgp_open_encode(&w, o);
	bgp_keepalive_encode(&w);
	say(fd, &w);
	TURN_UNTIL(is_up(from), 3);
	return fd;
}

static int establish(const char *from, uint8_t families)
{
	struct bgp_open o = open_of(families);

	return establish_with(from, &o);
}

static void announce(int fd, const char *text)
{
	struct bgp_codec codec = {.as4 = true, .families = V4 | V6, .max_message = BGP_MAX_MESSAGE};
	struct bgp_attrs a = {.present = 1u << BA_ORIGIN | 1u << BA_AS_PATH | 1u << BA_LOCAL_PREF, .local_pref = 100};
	uint8_t bytes[BGP_MAX_MESSAGE];
	struct wr w = wr_make(bytes, sizeof bytes);
	struct bgp_nlri n = {.path_id = 0};

	ck_assert(prefix_parse(&n.prefix, text));
	a.next_hop.addr = addr_of(n.prefix.addr.af == AF_INET ? "192.0.2.1" : "2001:db8::2");
	ck_assert_uint_eq(bgp_update_encode_reach(&w, &codec, family_of_af(n.prefix.addr.af), &a, &n, 1), 1);
	say(fd, &w);
}

static void end_of_rib(int fd, enum family f)
{
	uint8_t bytes[64];
	struct wr w = wr_make(bytes, sizeof bytes);

	bgp_update_encode_end_of_rib(&w, f);
	say(fd, &w);
	settle();
}

static void refresh(int fd, enum family f, uint8_t subtype)
{
	uint8_t bytes[64];
	struct wr w = wr_make(bytes, sizeof bytes);

	bgp_refresh_encode(&w, f, subtype);
	say(fd, &w);
	settle();
}

static void lose(int fd, const char *remote)
{
	close(fd);
	TURN_UNTIL(!is_up(remote), 3);
}

/* ---- Graceful restart, the helper's side ---- */

static void apply_one(void)
{
	struct peer_want w[] = {want(TWO, V4)};

	apply(w, 1);
}

/* RFC 4724 4.2: "To deal with possible consecutive restarts, a route (from the peer) previously marked as stale MUST be
 * deleted." Else a peer that dies again and again before End-of-RIB keeps its oldest routes alive for ever. */
START_TEST(test_consecutive_restarts)
{
	int fd;

	apply_one();
	fd = establish(TWO, V4);
	announce(fd, "10.1.0.0/24");
	end_of_rib(fd, FAM_IPV4);
	lose(fd, TWO);
	ck_assert_uint_eq(routes("10.1.0.0/24"), 1);
	fd = establish(TWO, V4);
	announce(fd, "10.2.0.0/24");
	settle();
	lose(fd, TWO);
	ck_assert_uint_eq(routes("10.2.0.0/24"), 1);
	ck_assert_msg(routes("10.1.0.0/24") == 0, "a route that was stale twice is still there");
	fd = establish(TWO, V4);
	settle();
	lose(fd, TWO);
	ck_assert_uint_eq(routes("10.2.0.0/24"), 0);
}
END_TEST

/* RFC 7313 4: BoRR before End-of-RIB MUST be ignored when the peer has graceful restart; an EoRR without its BoRR says
 * nothing. Else a peer's routes would go before it had the time to repeat them. */
START_TEST(test_refresh_before_end_of_rib)
{
	int fd;

	apply_one();
	fd = establish(TWO, V4);
	announce(fd, "10.1.0.0/24");
	announce(fd, "10.3.0.0/24");
	end_of_rib(fd, FAM_IPV4);
	lose(fd, TWO);
	fd = establish(TWO, V4);
	refresh(fd, FAM_IPV4, BGP_REFRESH_BEGIN);
	announce(fd, "10.2.0.0/24");
	refresh(fd, FAM_IPV4, BGP_REFRESH_END);
	ck_assert_msg(routes("10.1.0.0/24") == 1, "EoRR removed a route before End-of-RIB");
	announce(fd, "10.1.0.0/24");
	end_of_rib(fd, FAM_IPV4);
	ck_assert_uint_eq(routes("10.1.0.0/24"), 1);
	ck_assert_uint_eq(routes("10.2.0.0/24"), 1);
	ck_assert_uint_eq(routes("10.3.0.0/24"), 0);
	close(fd);
}
END_TEST

/* RFC 4724 4.2: what comes back without having kept forwarding, or without graceful restart, has lost its routes. */
START_TEST(test_back_without_forwarding)
{
	struct bgp_open o = open_of(V4);
	int fd;

	apply_one();
	for (int i = 0; i < 3; i++) {
		fd = establish(TWO, V4);
		announce(fd, "10.1.0.0/24");
		end_of_rib(fd, FAM_IPV4);
		lose(fd, TWO);
		ck_assert_uint_eq(routes("10.1.0.0/24"), 1);
		o = open_of(V4);
		if (i == 0)
			o.gr_forwarding = 0;
		else if (i == 1)
			o.gr_families = o.gr_forwarding = 0;
		else
			o.gr = false;
		fd = establish_with(TWO, &o);
		ck_assert_msg(routes("10.1.0.0/24") == 0, "case %d", i);
		lose(fd, TWO);
	}
}
END_TEST

/* A peer that promises End-of-RIB and never sends it keeps its old routes for its restart time, not for ever. */
START_TEST(test_back_without_end_of_rib)
{
	struct bgp_open o = open_of(V4);
	int fd;

	o.gr_time = 1;
	apply_one();
	fd = establish_with(TWO, &o);
	announce(fd, "10.1.0.0/24");
	announce(fd, "10.2.0.0/24");
	end_of_rib(fd, FAM_IPV4);
	lose(fd, TWO);
	fd = establish_with(TWO, &o);
	announce(fd, "10.2.0.0/24");
	ck_assert_uint_eq(routes("10.1.0.0/24"), 1);
	TURN_UNTIL(routes("10.1.0.0/24") == 0, 3);
	ck_assert_uint_eq(routes("10.2.0.0/24"), 1);
	ck_assert(is_up(TWO));
	close(fd);
}
END_TEST

/* Who knows RFC 2918 alone sends no markers: the octet is reserved there, and to be ignored. */
START_TEST(test_refresh_of_old_peer)
{
	struct bgp_open o = open_of(V4);
	int fd;

	o.gr = o.enhanced_refresh = false;
	apply_one();
	fd = establish_with(TWO, &o);
	announce(fd, "10.1.0.0/24");
	refresh(fd, FAM_IPV4, BGP_REFRESH_BEGIN);
	refresh(fd, FAM_IPV4, BGP_REFRESH_END);
	ck_assert_uint_eq(routes("10.1.0.0/24"), 1);
	ck_assert_uint_eq(rib_peer_stats(peer_of(TWO)->rib).stale[FAM_IPV4], 0);
	close(fd);
}
END_TEST

/* And afterwards as RFC 7313 has it. */
START_TEST(test_refresh)
{
	int fd;

	apply_one();
	fd = establish(TWO, V4);
	announce(fd, "10.1.0.0/24");
	announce(fd, "10.2.0.0/24");
	end_of_rib(fd, FAM_IPV4);
	refresh(fd, FAM_IPV4, BGP_REFRESH_END);
	ck_assert_uint_eq(routes("10.1.0.0/24"), 1);
	refresh(fd, FAM_IPV4, BGP_REFRESH_BEGIN);
	announce(fd, "10.2.0.0/24");
	ck_assert_uint_eq(routes("10.1.0.0/24"), 1);
	refresh(fd, FAM_IPV4, BGP_REFRESH_END);
	ck_assert_uint_eq(routes("10.1.0.0/24"), 0);
	ck_assert_uint_eq(routes("10.2.0.0/24"), 1);
	/* A refresh that a restart cuts short is forgotten. */
	refresh(fd, FAM_IPV4, BGP_REFRESH_BEGIN);
	lose(fd, TWO);
	fd = establish(TWO, V4);
	refresh(fd, FAM_IPV4, BGP_REFRESH_END);
	ck_assert_uint_eq(routes("10.2.0.0/24"), 1);
	end_of_rib(fd, FAM_IPV4);
	ck_assert_uint_eq(routes("10.2.0.0/24"), 0);
	close(fd);
}
END_TEST

/* ---- One session for both families ---- */

static void apply_pair(void)
{
	struct peer_want w[] = {want(TWO, V4 | V6), want_sibling()};

	apply(w, 2);
	ck_assert_int_eq(peer_of("::1")->held, PEER_HELD_PASSIVE);
}

/* The other node has lost its IPv4 address, or the configuration no longer puts both families on one session. */
START_TEST(test_sibling_goes)
{
	struct peer_want alone[] = {want("::1", V6)};
	int fd;

	apply_pair();
	fd = establish(TWO, V4 | V6);
	end_of_rib(fd, FAM_IPV6);
	ck_assert_int_eq(peer_of("::1")->held, PEER_HELD_DOWN);
	apply(alone, 1);
	ck_assert_msg(peer_of("::1")->held == PEER_NOT_HELD, "held back for a session that is not there any more");
	close(fd);
	fd = establish("::1", V6);
	close(fd);
}
END_TEST

/* Neither side dials the IPv4 session with success: ours is passive, and the peer's attempts do not get through. */
START_TEST(test_sibling_never_comes)
{
	apply_pair();
	TURN_UNTIL(peer_of("::1")->held == PEER_NOT_HELD, 4);
}
END_TEST

/* RFC 4760 7: the shared session has given up on IPv6 after a broken MP_REACH_NLRI. */
START_TEST(test_shared_session_gives_up_on_ipv6)
{
	/* MP_REACH_NLRI of a prefix with 200 bits, no other attributes. */
	static const uint8_t body[] = {0, 0, 0, 26, 0x80, 14, 23, 0, 2, 1, 16, 0x20, 1, 0xd, 0xb8,
				       0, 0, 0, 0,  0,	  0,  0,  0, 0, 0, 0,  2,    0, 200, 1};
	uint8_t bytes[64];
	struct wr w = wr_make(bytes, sizeof bytes);
	int fd;

	apply_pair();
	fd = establish(TWO, V4 | V6);
	announce(fd, "2001:db8:1::/64");
	announce(fd, "10.1.0.0/24");
	end_of_rib(fd, FAM_IPV6);
	ck_assert_int_eq(peer_of("::1")->held, PEER_HELD_DOWN);
	for (int i = 0; i < 16; i++)
		wr_u8(&w, 0xff);
	wr_u16(&w, BGP_HEADER_LEN + sizeof body);
	wr_u8(&w, BGP_UPDATE);
	wr_bytes(&w, body, sizeof body);
	say(fd, &w);
	ck_assert_uint_eq(routes("2001:db8:1::/64"), 0);
	ck_assert_uint_eq(routes("10.1.0.0/24"), 1);
	ck_assert(is_up(TWO));
	ck_assert_msg(peer_of("::1")->held == PEER_NOT_HELD, "nobody carries IPv6 any more");
	close(fd);
}
END_TEST

/* The peer holds back its IPv6 session as soon as it has our routes; we may not have its routes on the other session
 * yet. */
START_TEST(test_ipv6_moves_without_a_gap)
{
	struct peer_want before[] = {want("::1", V6)}, after[] = {want(TWO, V4 | V6), want_sibling()};
	uint8_t bytes[BGP_MAX_MESSAGE];
	struct wr w = wr_make(bytes, sizeof bytes);
	static const uint8_t wrapped[] = {BGP_ERR_CEASE, BGP_CEASE_SHUTDOWN};
	int six, four;

	apply(before, 1);
	six = establish("::1", V6);
	announce(six, "2001:db8:1::/64");
	announce(six, "2001:db8:2::/64");
	end_of_rib(six, FAM_IPV6);
	apply(after, 2);
	four = establish(TWO, V4 | V6);
	bgp_notification_encode(&w, BGP_ERR_CEASE, BGP_CEASE_HARD_RESET, (struct span){wrapped, sizeof wrapped});
	say(six, &w);
	lose(six, "::1");
	ck_assert_msg(routes("2001:db8:1::/64") == 1, "the IPv6 routes went before the shared session had them");
	announce(four, "2001:db8:1::/64");
	ck_assert_uint_eq(routes("2001:db8:1::/64"), 2);
	end_of_rib(four, FAM_IPV6);
	ck_assert_uint_eq(routes("2001:db8:1::/64"), 1);
	ck_assert_uint_eq(routes("2001:db8:2::/64"), 0);
	close(four);
}
END_TEST

/* ---- Our own start ---- */

/* A change of one session resets it in the midst of the list: those behind it are not looked at yet, and must not be
 * taken for absent. */
START_TEST(test_reset_while_peers_are_applied)
{
	struct peer_want w[] = {want(ONE, V4), want(TWO, V4)};
	struct peer_want changed[] = {want(ONE, V4), want(TWO, V4)};
	int one, two;

	changed[0].local_as = OUR_AS + 1;
	apply(w, 2);
	speaker_datastore_synced(d.speaker);
	one = establish(ONE, V4);
	two = establish(TWO, V4);
	end_of_rib(one, FAM_IPV4);
	ck_assert(speaker_restart(d.speaker).in_progress);
	mono_fake(mono_now() + 11 * MONO_SEC);
	/* The second has just said something: it is in the midst of its routes. */
	peer_of(TWO)->heard = mono_now();
	apply(changed, 2);
	ck_assert_msg(speaker_restart(d.speaker).in_progress, "the start is called complete while a peer still speaks");
	mono_fake(0);
	close(one);
	close(two);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("speaker");
	TCase *tc = tcase_create("speaker");
	SRunner *sr;
	int failures;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 20);
	tcase_add_test(tc, test_consecutive_restarts);
	tcase_add_test(tc, test_refresh_before_end_of_rib);
	tcase_add_test(tc, test_back_without_forwarding);
	tcase_add_test(tc, test_back_without_end_of_rib);
	tcase_add_test(tc, test_refresh_of_old_peer);
	tcase_add_test(tc, test_refresh);
	tcase_add_test(tc, test_sibling_goes);
	tcase_add_test(tc, test_sibling_never_comes);
	tcase_add_test(tc, test_shared_session_gives_up_on_ipv6);
	tcase_add_test(tc, test_ipv6_moves_without_a_gap);
	tcase_add_test(tc, test_reset_while_peers_are_applied);
	suite_add_tcase(suite, tc);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
