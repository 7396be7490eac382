/* Sessions that come and go: stale routes, peers that are freed, and when peers are told what. */
#include "tests/unit/rib/inbox.h"

#define P1 "10.244.0.0/26"
#define P2 "10.244.1.0/26"

/* ---- Graceful restart ---- */

START_TEST(test_stale)
{
	struct rib_peer *a, *b;
	unsigned calls;

	rig_begin();
	a = peer_add(1, false);
	announce(a, P1, (struct spec){{65001}});
	announce(a, P2, (struct spec){{65001}});
	announce(a, "fd00:10::/122", (struct spec){{65001}});
	rig_settle();
	calls = rig.best_calls;
	rib_peer_down(a, 1u << FAM_IPV4);
	rig_settle();
	/* What is not kept goes, what is kept forwards on. */
	ck_assert_ptr_null(best_peer("fd00:10::/122"));
	ck_assert_ptr_eq(best_peer(P1), a);
	ck_assert_uint_eq(rig.best_calls, calls + 1);
	ck_assert(only_route(P1).stale);
	ck_assert_uint_eq(rib_peer_stats(a).stale[FAM_IPV4], 2);
	ck_assert_uint_eq(rib_peer_stats(a).received[FAM_IPV4], 2);
	/* It comes back and says one of them again. */
	peer_up(a);
	announce(a, P1, (struct spec){{65001}});
	rig_settle();
	ck_assert(!only_route(P1).stale);
	ck_assert(only_route(P2).stale);
	ck_assert_uint_eq(rib_peer_stats(a).stale[FAM_IPV4], 1);
	ck_assert_uint_eq(best_calls(P1), 1);
	/* Equal but fresh is better than stale. */
	b = peer_add(2, false);
	announce(b, P2, (struct spec){{65001}});
	rig_settle();
	ck_assert_ptr_eq(best_peer(P2), b);
	withdraw(b, P2);
	rig_settle();
	ck_assert_ptr_eq(best_peer(P2), a);
	rib_peer_sweep(a, FAM_IPV4);
	rig_settle();
	ck_assert_ptr_null(best_peer(P2));
	ck_assert_ptr_eq(best_peer(P1), a);
	ck_assert_uint_eq(rib_peer_stats(a).stale[FAM_IPV4], 0);
	ck_assert_uint_eq(routes_in(FAM_IPV4), 1);
	rig_end();
}
END_TEST

/* An equal route of another peer takes over at once when the session goes down. */
START_TEST(test_stale_loses)
{
	struct rib_peer *a, *b;

	rig_begin();
	a = peer_add(1, false);
	b = peer_add(2, false);
	announce(a, P1, (struct spec){{65001}});
	announce(b, P1, (struct spec){{65001}});
	announce(a, P2, (struct spec){{65001}});
	announce(b, P2, (struct spec){{65001, 65002}});
	rig_settle();
	ck_assert_ptr_eq(best_peer(P1), a);
	rib_peer_down(a, BOTH);
	rig_settle();
	ck_assert_ptr_eq(best_peer(P1), b);
	ck_assert_ptr_eq(best_peer(P2), a); /* not equal: stale, but better */
	rig_end();
}
END_TEST

/* Down and up more often than there are epochs, with routes of many ages, some swept away between. */
START_TEST(test_many_restarts)
{
	struct rib_peer *p;

	rig_begin();
	p = peer_add(1, false);
	for (unsigned i = 0; i < 700; i++) {
		struct addr a = addr_from_u32(0x0a640000u + i);
		struct prefix prefix = prefix_make(&a, 32);
		unsigned kept = i < 600 ? i : i - 600;

		if (i == 600) {
			rib_peer_sweep(p, FAM_IPV4);
			if (_i)
				rig_settle();
		}
		ck_assert_uint_eq(rib_peer_stats(p).stale[FAM_IPV4], kept);
		announce_prefix(p, &prefix, &(struct spec){{65001}}, false);
		ck_assert_uint_eq(rib_peer_stats(p).received[FAM_IPV4], kept + 1);
		rib_peer_down(p, BOTH);
		peer_up(p);
	}
	rig_settle();
	ck_assert_uint_eq(routes_in(FAM_IPV4), 100);
	rib_peer_sweep(p, FAM_IPV4);
	rig_settle();
	ck_assert_uint_eq(routes_in(FAM_IPV4), 0);
	ck_assert_uint_eq(rib_stats(rig.rib).prefixes[FAM_IPV4], 0);
	rig_end();
}
END_TEST

/* RFC 7313, the receiving side. */
START_TEST(test_mark_and_sweep)
{
	struct rib_peer *p;

	rig_begin();
	p = peer_add(1, false);
	announce(p, P1, (struct spec){{65001}});
	announce(p, P2, (struct spec){{65001}});
	rig_settle();
	rib_peer_mark_stale(p, FAM_IPV4);
	announce(p, P2, (struct spec){{65001}});
	rig_settle();
	ck_assert_ptr_eq(best_peer(P1), p);
	rib_peer_sweep(p, FAM_IPV4);
	rig_settle();
	ck_assert_ptr_null(best_peer(P1));
	ck_assert_ptr_eq(best_peer(P2), p);
	ck_assert_uint_eq(best_calls(P2), 1);
	rig_end();
}
END_TEST

/* A reflector tells who brought a route in. A peer that restarts under another identifier is another one, though its
 * routes look the same. */
START_TEST(test_other_router_id)
{
	struct bgp_nexthop self[FAM_COUNT] = {{.addr = addr_of(OUR_V4)}, {.addr = addr_of(OUR_V6)}};
	struct rib_peer_conf conf = peer_conf(1, false);
	struct bgp_codec codec;
	struct inbox *in;
	struct rib_peer *p;

	rig_begin();
	release_all();
	conf.rr_client = true;
	conf.cluster_id = 9;
	p = rib_peer_new(rig.rib, &conf, NULL);
	codec = peer_codec(p);
	rib_peer_up(p, &codec, 0x01010101, self);
	announce(p, P1, (struct spec){{65001}});
	in = inbox_new(peer_add(2, false));
	inbox_drain(in);
	ck_assert_uint_eq(inbox_at(in, P1)->said.originator, 0x01010101);
	rib_peer_down(p, _i & 1 ? BOTH : 0);
	if (_i & 1)
		rig_settle();
	rib_peer_up(p, &codec, 0x02020202, self);
	if (_i & 2)
		rig_settle();
	announce(p, P1, (struct spec){{65001}});
	inbox_drain(in);
	ck_assert(inbox_at(in, P1)->there);
	ck_assert_uint_eq(inbox_at(in, P1)->said.originator, 0x02020202);
	inbox_free(in);
	rig_end();
}
END_TEST

/* ---- Peers that go ---- */

START_TEST(test_free_busy)
{
	struct rib_peer *a, *b;
	struct inbox *in;

	rig_begin();
	release_all();
	a = peer_add(1, true);
	in = inbox_new(peer_add(3, false));
	inbox_drain(in);
	for (unsigned i = 0; i < 3000; i++) {
		struct prefix p = host(i);

		announce_prefix(a, &p, &(struct spec){{65001, 1 + i}}, false);
	}
	/* Nothing decided; everything decided and nothing read; half of it read. */
	if (_i > 0)
		rig_settle();
	if (_i > 1)
		ck_assert_uint_eq(inbox_pull(in, 1), 1);
	rib_peer_free(a);
	b = peer_add(1, true);
	for (unsigned i = 0; i < 3000; i += 2) {
		struct prefix p = host(i);

		announce_prefix(b, &p, &(struct spec){{65001, 9}}, false);
	}
	inbox_drain(in);
	ck_assert_uint_eq(in->known, 1500);
	ck_assert_uint_eq(routes_in(FAM_IPV4), 1500);
	ck_assert_uint_eq(inbox_at(in, "10.100.0.0/32")->said.path[1], 9);
	ck_assert_ptr_eq(only_route("10.100.0.0/32").peer, b);
	rib_peer_free(b);
	rib_peer_free(in->peer);
	rig_settle();
	ck_assert_uint_eq(rib_stats(rig.rib).prefixes[FAM_IPV4], 0);
	ck_assert_uint_eq(rib_stats(rig.rib).attrs, 0);
	inbox_free(in);
	rig_end();
}
END_TEST

/* UPDATEs that were read before the session ended are not applied after it. */
START_TEST(test_late_update)
{
	struct rib_peer *p;

	rig_begin();
	p = peer_add(1, false);
	rib_peer_down(p, 0);
	announce(p, P1, (struct spec){{65001}});
	rig_settle();
	ck_assert_uint_eq(routes_in(FAM_IPV4), 0);
	rig_end();
}
END_TEST

/* ---- When peers are told ---- */

START_TEST(test_release)
{
	struct inbox *in;
	struct rib_peer *from;

	rig_begin();
	from = peer_add(1, true);
	in = inbox_new(peer_add(2, false));
	announce(from, P1, (struct spec){{65001}});
	rig_settle();
	ck_assert_uint_eq(inbox_pull(in, 16), 0);
	ck_assert_uint_eq(rig.ready_calls, 0);
	ck_assert(!rib_stats(rig.rib).released[FAM_IPV4]);
	/* Routes of one family, then of the other; End-of-RIB when all is known. */
	rib_release_routes(rig.rib, FAM_IPV4);
	rig_settle();
	ck_assert_uint_ge(rig.ready_calls, 1);
	ck_assert_uint_eq(inbox_pull(in, 16), 1);
	ck_assert_str_eq(in->log, "+" P1);
	announce(from, P2, (struct spec){{65001}});
	announce(from, "fd00:10::/122", (struct spec){{65001}});
	rig_settle();
	ck_assert_uint_eq(inbox_pull(in, 16), 1);
	ck_assert_uint_eq(in->known, 2);
	ck_assert(!rib_peer_stats(in->peer).end_of_rib_sent[FAM_IPV4]);
	/* What is known by now goes before End-of-RIB, decided or not. */
	in->log[0] = '\0';
	announce(from, "10.244.2.0/26", (struct spec){{65001}});
	rib_release(rig.rib, FAM_IPV4);
	while (inbox_pull(in, 1))
		;
	ck_assert_str_eq(in->log, "");
	rig_settle();
	while (inbox_pull(in, 16))
		;
	ck_assert_str_eq(in->log, "+10.244.2.0/26 eor4");
	ck_assert(rib_peer_stats(in->peer).end_of_rib_sent[FAM_IPV4]);
	ck_assert(!rib_peer_stats(in->peer).end_of_rib_sent[FAM_IPV6]);
	in->log[0] = '\0';
	rib_release(rig.rib, FAM_IPV6);
	rib_release(rig.rib, FAM_IPV6);
	rig_settle();
	while (inbox_pull(in, 16))
		;
	ck_assert_str_eq(in->log, "+fd00:10::/122 eor6");
	inbox_free(in);
	rig_end();
}
END_TEST

/* A change behind a walk that has passed its place is also sent before End-of-RIB and before EoRR. */
START_TEST(test_markers_last)
{
	struct inbox *in;
	struct rib_peer *from;
	struct prefix first = host(0);

	rig_begin();
	for (int f = 0; f < FAM_COUNT; f++)
		rib_release_routes(rig.rib, (enum family)f);
	from = peer_add(1, true);
	for (unsigned i = 0; i < 2000; i++) {
		struct prefix p = host(i);

		announce_prefix(from, &p, &(struct spec){{65001, 1 + i}}, false);
	}
	rig_settle();
	in = inbox_new(peer_add(2, false));
	rig_settle();
	if (_i) {
		release_all();
		inbox_drain(in);
		rib_peer_resend(in->peer, FAM_IPV4, true);
		ck_assert_uint_eq(inbox_pull(in, 1), 1); /* BoRR */
		ck_assert(in->refreshing[FAM_IPV4]);
	}
	ck_assert_uint_eq(inbox_pull(in, 1), 1);
	announce_prefix(from, &first, &(struct spec){{65001, 77}}, false);
	rig_settle();
	release_all();
	rig_settle();
	while (inbox_pull(in, 1) && !(_i ? in->ends : in->end_of_rib[FAM_IPV4]))
		;
	ck_assert_uint_eq(_i ? in->ends : in->end_of_rib[FAM_IPV4], 1);
	ck_assert_uint_eq(inbox_slot(in, &first)->said.path[1], 77);
	ck_assert_uint_eq(in->known, 2000);
	ck_assert_uint_eq(in->lost, 0);
	inbox_free(in);
	rig_end();
}
END_TEST

START_TEST(test_refresh)
{
	struct inbox *in;
	struct rib_peer *from;

	rig_begin();
	release_all();
	from = peer_add(1, true);
	in = inbox_new(peer_add(2, false));
	announce(from, P1, (struct spec){{65001}});
	announce(in->peer, P2, (struct spec){{65001}});
	announce(from, "fd00:10::/122", (struct spec){{65001}});
	inbox_drain(in);
	ck_assert_str_eq(in->log, "+" P1 " eor4 +fd00:10::/122 eor6");
	rib_peer_resend(in->peer, FAM_IPV4, false);
	inbox_drain(in);
	ck_assert_str_eq(in->log, "+" P1);
	rib_peer_resend(in->peer, FAM_IPV4, true);
	inbox_drain(in);
	ck_assert_str_eq(in->log, "borr4 +" P1 " eorr4");
	rib_peer_resend(in->peer, FAM_IPV6, true);
	rib_peer_resend(in->peer, FAM_IPV6, false);
	inbox_drain(in);
	ck_assert_str_eq(in->log, "borr6 +fd00:10::/122 eorr6");
	/* Nothing to say is also said, between markers. */
	withdraw(from, P1);
	inbox_drain(in);
	rib_peer_resend(in->peer, FAM_IPV4, true);
	inbox_drain(in);
	ck_assert_str_eq(in->log, "borr4 eorr4");
	inbox_free(in);
	rig_end();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("sessions");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_stale);
	tcase_add_test(tc, test_stale_loses);
	tcase_add_loop_test(tc, test_many_restarts, 0, 2);
	tcase_add_test(tc, test_mark_and_sweep);
	tcase_add_loop_test(tc, test_other_router_id, 0, 4);
	tcase_add_loop_test(tc, test_free_busy, 0, 3);
	tcase_add_test(tc, test_late_update);
	tcase_add_test(tc, test_release);
	tcase_add_loop_test(tc, test_markers_last, 0, 2);
	tcase_add_test(tc, test_refresh);
	return run_suite(tc, "sessions");
}
