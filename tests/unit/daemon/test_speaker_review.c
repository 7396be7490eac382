/* The speaker against scripted peers on the loopback: what becomes of routes over restarts and refreshes, and when the
 * session of the second family is held back. */
#include "tests/unit/daemon/speaker_rig.h"

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

/* Each of the two comes and goes while nobody speaks of the other one. */
START_TEST(test_siblings_one_by_one)
{
	struct peer_want four = want(TWO, V4 | V6);
	int fd;

	four.other = addr_of("::1");
	apply_pair();
	apply_change((struct peer_want){.remote = addr_of(TWO), .remote_port = port}, false);
	ck_assert_uint_eq(speaker_count(d.speaker), 1);
	ck_assert_ptr_null(peer_of("::1")->sibling);
	ck_assert_int_eq(peer_of("::1")->held, PEER_NOT_HELD);
	apply_change(four, true);
	ck_assert_ptr_eq(peer_of("::1")->sibling, peer_of(TWO));
	ck_assert_ptr_eq(peer_of(TWO)->follower, peer_of("::1"));
	fd = establish(TWO, V4 | V6);
	end_of_rib(fd, FAM_IPV6);
	ck_assert_int_eq(peer_of("::1")->held, PEER_HELD_DOWN);
	apply_change((struct peer_want){.remote = addr_of("::1"), .remote_port = port}, false);
	ck_assert_ptr_null(peer_of(TWO)->follower);
	ck_assert(is_up(TWO));
	apply_change(want_sibling(), true);
	ck_assert_ptr_eq(peer_of("::1")->sibling, peer_of(TWO));
	ck_assert_int_eq(peer_of("::1")->held, PEER_HELD_DOWN);
	ck_assert(is_up(TWO));
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

/* One peer is down; while the other one's session ends and comes again all the time, the start must not wait for the
 * whole restart time. */
START_TEST(test_flapping_is_no_news)
{
	struct peer_want w[] = {want(ONE, V4), want(TWO, V4)};
	uint64_t left;
	int fd;

	apply(w, 2);
	speaker_datastore_synced(d.speaker);
	fd = establish(ONE, V4);
	end_of_rib(fd, FAM_IPV4);
	settle();
	left = speaker_restart(d.speaker).left;
	ck_assert_uint_gt(left, 5 * MONO_SEC);
	ck_assert_uint_lt(left, 11 * MONO_SEC);
	mono_fake(mono_now() + 6 * MONO_SEC);
	lose(fd, ONE);
	fd = establish(ONE, V4);
	end_of_rib(fd, FAM_IPV4);
	settle();
	ck_assert(speaker_restart(d.speaker).in_progress);
	ck_assert_uint_lt(speaker_restart(d.speaker).left, 5 * MONO_SEC);
	mono_fake(0);
	close(fd);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("speaker");

	tcase_add_test(tc, test_consecutive_restarts);
	tcase_add_test(tc, test_refresh_before_end_of_rib);
	tcase_add_test(tc, test_back_without_forwarding);
	tcase_add_test(tc, test_back_without_end_of_rib);
	tcase_add_test(tc, test_refresh_of_old_peer);
	tcase_add_test(tc, test_refresh);
	tcase_add_test(tc, test_sibling_goes);
	tcase_add_test(tc, test_siblings_one_by_one);
	tcase_add_test(tc, test_sibling_never_comes);
	tcase_add_test(tc, test_shared_session_gives_up_on_ipv6);
	tcase_add_test(tc, test_ipv6_moves_without_a_gap);
	tcase_add_test(tc, test_reset_while_peers_are_applied);
	tcase_add_test(tc, test_flapping_is_no_news);
	return rig_run(tc, "speaker");
}
