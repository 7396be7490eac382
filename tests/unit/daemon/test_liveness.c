/* Which BFD session a peer gets: over one hop or several, with which timers, shared with whom. What BFD's word then
 * does is tested against other daemons, in tests/net/test_liveness.py. In a network namespace of its own: eth0
 * has 10.0.0.1/24, and the default route leads over 10.0.0.254. */
#include "tests/unit/daemon/speaker_rig.h"

#include <sched.h>

#define NEAR "10.0.0.2"
#define FAR "192.0.2.1"
#define NOWHERE "2001:db8:9::1"

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	ck_assert_msg(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s: %s", path,
		      strerror(errno));
	close(fd);
}

static void unshare_net(void)
{
	char uid[32], gid[32];

	snprintf(uid, sizeof uid, "0 %u 1", getuid());
	snprintf(gid, sizeof gid, "0 %u 1", getgid());
	if (unshare(CLONE_NEWNET) == 0)
		return;
	ck_assert_msg(unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0, "no network namespace to test in: %s",
		      strerror(errno));
	write_file("/proc/self/setgroups", "deny");
	write_file("/proc/self/uid_map", uid);
	write_file("/proc/self/gid_map", gid);
}

static void shell(const char *command)
{
	ck_assert_msg(system(command) == 0, "%s", command);
}

static void net_setup(void)
{
	unshare_net();
	shell(
	    "ip link set lo up; ip link add eth0 type veth peer name other; ip link set other up; ip link set eth0 up; "
	    "ip addr add 10.0.0.1/24 dev eth0; ip route add default via 10.0.0.254");
}

static struct peer_want watched(const char *remote)
{
	struct peer_want w = want(remote, V4);

	w.bfd = (struct peer_bfd){.enabled = true, .transmit_interval = 300, .receive_interval = 200, .multiplier = 3};
	return w;
}

static const struct bfd_session_conf *conf_of(const struct peer *p)
{
	ck_assert_ptr_nonnull(p->lifeline);
	return bfd_session_config(p->lifeline->session);
}

static const struct {
	const char *remote;
	uint8_t gtsm, min_ttl;
	bool multihop;
	uint8_t least;
} kinds[] = {
    {NEAR, 0, 0, false, 0}, {NEAR, 1, 0, false, 0},	{NEAR, 3, 0, true, 253},   {NEAR, 0, 250, true, 250},
    {FAR, 0, 0, true, 1},   {FAR, 1, 0, false, 0},	{FAR, 2, 0, true, 254},	   {FAR, 0, 255, true, 255},
    {FAR, 1, 60, true, 60}, {FAR, 255, 100, true, 100}, {NOWHERE, 0, 0, false, 0}, {NOWHERE, 9, 0, true, 247},
};

START_TEST(test_kinds)
{
	struct peer_want w = watched(kinds[_i].remote);
	const struct bfd_session_conf *c;

	w.ttl_security = kinds[_i].gtsm;
	w.bfd.min_ttl = kinds[_i].min_ttl;
	apply(&w, 1);
	c = conf_of(peer_of(kinds[_i].remote));
	ck_assert_int_eq(c->multihop, kinds[_i].multihop);
	if (c->multihop)
		ck_assert_uint_eq(c->min_ttl, kinds[_i].least);
	ck_assert_uint_eq(c->min_tx, 300000);
	ck_assert_uint_eq(c->min_rx, 200000);
	ck_assert_uint_eq(c->multiplier, 3);
	ck_assert_str_eq(c->ifname, "");
}
END_TEST

/* Peers that do not ask cost nothing. */
START_TEST(test_not_asked)
{
	struct peer_want w[3] = {want("10.0.0.2", V4), watched("10.0.0.3"), watched("::1")};

	w[1].opt.shutdown = true;
	w[2].sibling = addr_of("10.0.0.2");
	apply(w, 3);
	ck_assert_ptr_null(peer_of("10.0.0.2")->lifeline);
	ck_assert_ptr_null(peer_of("10.0.0.3")->lifeline);
	ck_assert_ptr_null(peer_of("::1")->lifeline);
	ck_assert_ptr_null(liveness_stats(d.liveness));
}
END_TEST

/* Two BGP sessions with one address have one BFD session, the most cautious of both. */
START_TEST(test_shared)
{
	struct peer_want w[2] = {watched(NEAR), watched(NEAR)};
	const struct peer *first, *second;
	const struct bfd_session *session;

	w[1].remote_port++;
	w[0].bfd.transmit_interval = 500;
	w[0].bfd.passive = true;
	w[1].bfd.receive_interval = 700;
	w[1].bfd.multiplier = 2;
	apply(w, 2);
	first = speaker_peer(d.speaker, 0);
	second = speaker_peer(d.speaker, 1);
	ck_assert_ptr_eq(first->lifeline, second->lifeline);
	session = first->lifeline->session;
	ck_assert_uint_eq(conf_of(first)->min_tx, 300000);
	ck_assert_uint_eq(conf_of(first)->min_rx, 200000);
	ck_assert_uint_eq(conf_of(first)->multiplier, 2);
	ck_assert(!conf_of(first)->passive);
	ck_assert_uint_eq(liveness_stats(d.liveness)->sessions, 1);
	/* One of them goes. */
	w[0] = watched(NEAR);
	w[0].bfd.transmit_interval = 500;
	w[0].bfd.passive = true;
	apply(w, 1);
	first = speaker_peer(d.speaker, 0);
	ck_assert_ptr_eq(first->lifeline->session, session);
	ck_assert_uint_eq(conf_of(first)->min_tx, 500000);
	ck_assert_uint_eq(conf_of(first)->multiplier, 3);
	ck_assert(conf_of(first)->passive);
	/* And the other one. */
	apply(NULL, 0);
	ck_assert_uint_eq(liveness_stats(d.liveness)->sessions, 0);
}
END_TEST

/* Other timers are for the same session, another source address is not. */
START_TEST(test_changes)
{
	struct peer_want w = watched(NEAR);
	uint32_t discr;

	apply(&w, 1);
	discr = bfd_session_info(peer_of(NEAR)->lifeline->session).discr;
	w = watched(NEAR);
	w.bfd.transmit_interval = 50;
	apply(&w, 1);
	ck_assert_uint_eq(conf_of(peer_of(NEAR))->min_tx, 50000);
	ck_assert_uint_eq(bfd_session_info(peer_of(NEAR)->lifeline->session).discr, discr);
	w = watched(NEAR);
	w.local = addr_of("10.0.0.1");
	apply(&w, 1);
	ck_assert_uint_ne(bfd_session_info(peer_of(NEAR)->lifeline->session).discr, discr);
	w = watched(NEAR);
	w.bfd.enabled = false;
	apply(&w, 1);
	ck_assert_ptr_null(peer_of(NEAR)->lifeline);
}
END_TEST

/* A session that is not up follows what the kernel says about the way, unless it says nothing. */
START_TEST(test_place)
{
	struct peer_want w = watched("172.16.0.9");

	shell("ip route del default");
	TURN_UNTIL(fib_place_of(d.fib, &w.remote) == FIB_NOWHERE, 5);
	apply(&w, 1);
	ck_assert(!conf_of(peer_of("172.16.0.9"))->multihop);
	shell("ip route add 172.16.0.0/12 via 10.0.0.9");
	TURN_UNTIL(conf_of(peer_of("172.16.0.9"))->multihop, 5);
	shell("ip route del 172.16.0.0/12");
	TURN_UNTIL(fib_place_of(d.fib, &peer_of("172.16.0.9")->want.remote) == FIB_NOWHERE, 5);
	ck_assert(conf_of(peer_of("172.16.0.9"))->multihop);
	shell("ip addr add 172.16.0.1/24 dev eth0");
	TURN_UNTIL(!conf_of(peer_of("172.16.0.9"))->multihop, 5);
	shell("ip link set eth0 down");
	TURN_UNTIL(fib_place_of(d.fib, &peer_of("172.16.0.9")->want.remote) == FIB_NOWHERE, 5);
	ck_assert(!conf_of(peer_of("172.16.0.9"))->multihop);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("liveness");

	tcase_add_checked_fixture(tc, net_setup, NULL);
	tcase_add_loop_test(tc, test_kinds, 0, sizeof kinds / sizeof *kinds);
	tcase_add_test(tc, test_not_asked);
	tcase_add_test(tc, test_shared);
	tcase_add_test(tc, test_changes);
	tcase_add_test(tc, test_place);
	return rig_run(tc, "liveness");
}
