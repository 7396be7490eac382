/* A speaker with its RIB and sessions on the loopback, and the scripted peers it talks to. */
#ifndef TESTS_DAEMON_SPEAKER_RIG_H
#define TESTS_DAEMON_SPEAKER_RIG_H

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
#include "daemon/peers/liveness.h"
#include "daemon/peers/speaker.h"

#define OUR_AS 64512u
#define V4 (1u << FAM_IPV4)
#define V6 (1u << FAM_IPV6)
#define ONE "127.0.0.8"
#define TWO "127.0.0.9"

static struct daemon d;
static struct loop_timer tick;
static uint16_t port;

static inline void on_tick(void *arg)
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
static inline void settle(void)
{
	for (unsigned i = 0; i < 20; i++)
		loop_turn(d.loop, true);
}

static inline struct addr addr_of(const char *text)
{
	struct addr a;

	ck_assert(addr_parse(&a, text));
	return a;
}

/* ---- The speaker ---- */

static inline void on_best(void *arg, const struct prefix *p, const struct rib_route *routes, unsigned n)
{
	(void)arg;
	(void)p;
	(void)routes;
	(void)n;
}

static inline void on_nexthop(void *arg, const struct addr *nh, bool used)
{
	(void)arg;
	if (used)
		rib_nexthop_update(d.rib, nh, true, 0);
}

static const struct rib_sink sink = {.on_best = on_best, .on_ready = speaker_on_ready, .on_nexthop = on_nexthop};

/* The RIB takes every next hop for reachable; where peers are matters. */
static inline void on_place(void *arg, const struct addr *nh, bool reachable, uint32_t metric)
{
	(void)arg;
	(void)reachable;
	(void)metric;
	liveness_place_changed(d.liveness, nh);
}

static const struct fib_ops fib_ops = {.on_nexthop = on_place};

static inline uint16_t free_port(void)
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

static inline void setup(void)
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
	d.liveness = liveness_new(&d);
	d.speaker = speaker_new(&d);
	ck_assert_msg(bgp_engine_listen(d.engine, &any, 1, err, sizeof err), "%s", err);
	on_tick(NULL);
}

static inline void teardown(void)
{
	mono_fake(0);
	speaker_free(d.speaker, false);
	liveness_free(d.liveness);
	bgp_engine_free(d.engine);
	rib_free(d.rib);
	fib_free(d.fib);
	loop_timer_stop(d.loop, &tick);
	loop_free(d.loop);
	free(d.config.node_name);
}

/* A session that waits for its scripted peer, which restarts within 120 s. */
static inline struct peer_want want(const char *remote, uint8_t families)
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
static inline struct peer_want want_sibling(void)
{
	struct peer_want w = want("::1", V6);

	w.sibling = addr_of(TWO);
	return w;
}

static inline int change_cmp(const void *a, const void *b)
{
	return peer_want_cmp(&((const struct peer_change *)a)->want, &((const struct peer_change *)b)->want);
}

/* Makes the configured peers these, whose wants it takes: they are wanted, and others are not any more. */
static inline void apply_as(const struct peer_want *w, unsigned n, const struct self *self, struct policies *policies)
{
	unsigned was = speaker_count(d.speaker);
	struct peering_diff diff = {.change = mem_calloc(n + was, sizeof *diff.change), .everything = true};

	for (unsigned i = 0; i < n; i++)
		diff.change[diff.count++] = (struct peer_change){.want = w[i], .wanted = true};
	for (unsigned i = 0; i < was; i++) {
		const struct peer_want *old = &speaker_peer(d.speaker, i)->want;
		bool stays = false;

		for (unsigned k = 0; k < n; k++)
			stays |= peer_want_cmp(old, &w[k]) == 0;
		if (!stays)
			diff.change[diff.count++].want = (struct peer_want){
			    .remote = old->remote,
			    .remote_port = old->remote_port,
			    .interface = old->interface ? mem_strdup(old->interface) : NULL,
			};
	}
	qsort(diff.change, diff.count, sizeof *diff.change, change_cmp);
	speaker_apply(d.speaker, &diff, self, policies);
}

/* One change, the other peers are not spoken of. Takes the want. */
static inline void apply_change(struct peer_want w, bool wanted)
{
	struct self self = {.name = "a"};
	struct peering_diff diff = {.change = mem_calloc(1, sizeof *diff.change), .count = 1};

	diff.change[0] = (struct peer_change){.want = w, .wanted = wanted};
	speaker_apply(d.speaker, &diff, &self, NULL);
}

static inline void apply(const struct peer_want *w, unsigned n)
{
	struct self self = {.name = "a", .as = OUR_AS, .router_id = 0x0a000001};

	self.ip[FAM_IPV4].addr = addr_of("127.0.0.1");
	self.ip[FAM_IPV6].addr = addr_of("2001:db8::1");
	apply_as(w, n, &self, NULL);
}

static inline struct peer *peer_of(const char *remote)
{
	struct peer *p = speaker_find(d.speaker, remote);

	ck_assert_ptr_nonnull(p);
	return p;
}

static inline bool is_up(const char *remote)
{
	return bgp_session_info(peer_of(remote)->session).state == BGP_ESTABLISHED;
}

static inline void note_route(void *arg, const struct rib_view *v)
{
	(void)v;
	++*(unsigned *)arg;
}

static inline unsigned routes(const char *text)
{
	struct prefix p;
	unsigned n = 0;

	ck_assert(prefix_parse(&p, text));
	settle();
	rib_show_prefix(d.rib, &p, note_route, &n);
	return n;
}

/* ---- Scripted peers ---- */

static inline int dial(const char *from)
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

static inline void say(int fd, const struct wr *w)
{
	ck_assert(!w->bad);
	ck_assert_int_eq(send(fd, w->start, wr_len(w), MSG_NOSIGNAL), (int)wr_len(w));
}

/* What a peer with all that we have and graceful restart sends. */
static inline struct bgp_open open_of(uint8_t families)
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
static inline int establish_with(const char *from, const struct bgp_open *o)
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

static inline int establish(const char *from, uint8_t families)
{
	struct bgp_open o = open_of(families);

	return establish_with(from, &o);
}

static inline void announce(int fd, const char *text)
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

static inline void end_of_rib(int fd, enum family f)
{
	uint8_t bytes[64];
	struct wr w = wr_make(bytes, sizeof bytes);

	bgp_update_encode_end_of_rib(&w, f);
	say(fd, &w);
	settle();
}

static inline void refresh(int fd, enum family f, uint8_t subtype)
{
	uint8_t bytes[64];
	struct wr w = wr_make(bytes, sizeof bytes);

	bgp_refresh_encode(&w, f, subtype);
	say(fd, &w);
	settle();
}

static inline void lose(int fd, const char *remote)
{
	close(fd);
	TURN_UNTIL(!is_up(remote), 3);
}

static inline int rig_run(TCase *tc, const char *name)
{
	Suite *suite = suite_create(name);
	SRunner *sr;
	int failures;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 20);
	suite_add_tcase(suite, tc);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}

#endif
