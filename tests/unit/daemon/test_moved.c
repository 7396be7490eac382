/* A node whose address changes, and this node's own change of address: routes stay until the new session has told them.
 */
#include "tests/unit/daemon/speaker_rig.h"

#define ROUTE "10.1.0.0/24"

static void apply_node(const char *remote, const char *node, const char *local)
{
	struct peer_want w[] = {want(remote, V4)};

	w[0].node = mem_strdup(node);
	w[0].local = addr_of(local);
	apply(w, 1);
}

static int up_with_route(const char *remote)
{
	int fd;

	TURN_UNTIL(bgp_session_info(peer_of(remote)->session).state >= BGP_ACTIVE, 3);
	fd = establish(remote, V4);
	announce(fd, ROUTE);
	ck_assert_uint_eq(routes(ROUTE), 1);
	return fd;
}

START_TEST(test_routes_follow_the_node)
{
	int fd, old;

	apply_node(ONE, "n", "127.0.0.1");
	old = up_with_route(ONE);
	end_of_rib(old, FAM_IPV4);
	apply_node(TWO, "n", "127.0.0.1");
	ck_assert_uint_eq(speaker_count(d.speaker), 1);
	ck_assert(!is_up(TWO));
	ck_assert_uint_eq(routes(ROUTE), 1);
	ck_assert_uint_eq(peer_of(TWO)->stale, V4);
	close(old);
	/* The new session says it again, or does not. */
	TURN_UNTIL(bgp_session_info(peer_of(TWO)->session).state >= BGP_ACTIVE, 3);
	fd = establish(TWO, V4);
	ck_assert_uint_eq(routes(ROUTE), 1);
	if (_i)
		announce(fd, ROUTE);
	end_of_rib(fd, FAM_IPV4);
	ck_assert_uint_eq(routes(ROUTE), (unsigned)_i);
	ck_assert_uint_eq(peer_of(TWO)->stale, 0);
	close(fd);
}
END_TEST

START_TEST(test_another_node_is_another_peer)
{
	int fd;

	apply_node(ONE, "n", "127.0.0.1");
	fd = up_with_route(ONE);
	apply_node(TWO, "m", "127.0.0.1");
	ck_assert_uint_eq(routes(ROUTE), 0);
	close(fd);
}
END_TEST

/* The peer of this test does not keep routes over NOTIFICATIONs (RFC 8538), so that nothing else keeps its. */
START_TEST(test_own_address_changes)
{
	int fd;

	apply_node(ONE, "n", "127.0.0.1");
	fd = up_with_route(ONE);
	apply_node(ONE, "n", "127.0.0.2");
	ck_assert(!is_up(ONE));
	ck_assert_uint_eq(routes(ROUTE), 1);
	ck_assert_uint_eq(peer_of(ONE)->stale, V4);
	close(fd);
	/* What ends for another reason ends as ever. */
	apply_node(ONE, "n", "127.0.0.1");
	TURN_UNTIL(bgp_session_info(peer_of(ONE)->session).state >= BGP_ACTIVE, 3);
	fd = establish(ONE, V4);
	end_of_rib(fd, FAM_IPV4);
	announce(fd, ROUTE);
	ck_assert_uint_eq(routes(ROUTE), 1);
	speaker_reset(peer_of(ONE));
	ck_assert_uint_eq(routes(ROUTE), 0);
	close(fd);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("moved");

	tcase_add_loop_test(tc, test_routes_follow_the_node, 0, 2);
	tcase_add_test(tc, test_another_node_is_another_peer);
	tcase_add_test(tc, test_own_address_changes);
	return rig_run(tc, "daemon/moved");
}
