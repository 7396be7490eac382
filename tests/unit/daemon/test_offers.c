/* What the configuration and a BGPPeer say about ADD-PATH (RFC 7911), extended messages (RFC 8654) and IPv6 next hops
 * (RFC 8950), as it is negotiated with a peer that takes everything. */
#include "tests/unit/daemon/speaker_rig.h"

static const struct offer {
	const char *what;
	enum add_path_mode general, peers;
	bool client, over_ipv6;
	enum on_off ext_next_hop;
	uint8_t families;
	uint8_t receive, send, ipv6_next_hops; /* wanted: bit per family */
} offers[] = {
    {"auto receives", .families = V4 | V6, .receive = V4 | V6},
    {"auto sends to clients", .client = true, .families = V4 | V6, .receive = V4 | V6, .send = V4 | V6},
    {"only for families that are there", .client = true, .families = V4, .receive = V4, .send = V4},
    {"off", .general = ADD_PATH_OFF, .client = true, .families = V4},
    {"receive", .general = ADD_PATH_RECEIVE, .client = true, .families = V4, .receive = V4},
    {"send", .general = ADD_PATH_SEND, .families = V4, .send = V4},
    {"both", .general = ADD_PATH_BOTH, .families = V4, .receive = V4, .send = V4},
    {"a BGPPeer has the last word: off", .general = ADD_PATH_BOTH, .peers = ADD_PATH_OFF, .families = V4},
    {"a BGPPeer has the last word: send", .general = ADD_PATH_OFF, .peers = ADD_PATH_SEND, .families = V4, .send = V4},
    {"a BGPPeer has the last word: both", .peers = ADD_PATH_BOTH, .families = V4, .receive = V4, .send = V4},
    {"IPv4 routes over an IPv6 session", .over_ipv6 = true, .families = V4 | V6, .receive = V4 | V6,
     .ipv6_next_hops = V4},
    {"no IPv4 routes at all", .over_ipv6 = true, .families = V6, .receive = V6},
    {"not where a BGPPeer says no", .over_ipv6 = true, .ext_next_hop = CHOICE_OFF, .families = V4 | V6,
     .receive = V4 | V6},
    {"over IPv4 if a BGPPeer says so", .ext_next_hop = CHOICE_ON, .families = V4, .receive = V4, .ipv6_next_hops = V4},
};

static struct bgp_open open_with_all(uint8_t families)
{
	struct bgp_open o = open_of(families);

	for (int f = 0; f < FAM_COUNT; f++)
		o.add_path[f] = families >> f & 1 ? BGP_ADD_PATH_RECEIVE | BGP_ADD_PATH_SEND : 0;
	o.ext_next_hop = families & V4;
	o.extended_message = true;
	return o;
}

START_TEST(test_offer)
{
	const struct offer *t = &offers[_i];
	const char *remote = t->over_ipv6 ? "::1" : TWO;
	struct bgp_open o = open_with_all(t->families);
	struct peer_want w = want(remote, t->families);
	const struct bgp_codec *codec;
	int fd;

	d.config.add_path = t->general;
	w.opt.add_path = t->peers;
	w.opt.ext_next_hop = t->ext_next_hop;
	w.rr_client = t->client;
	apply(&w, 1);
	fd = establish_with(remote, &o);
	codec = bgp_session_codec(peer_of(remote)->session);
	ck_assert_msg(codec->add_path_rx == t->receive, "%s: receives %x", t->what, codec->add_path_rx);
	ck_assert_msg(codec->add_path_tx == t->send, "%s: sends %x", t->what, codec->add_path_tx);
	ck_assert_msg(codec->ext_next_hop == t->ipv6_next_hops, "%s: %x", t->what, codec->ext_next_hop);
	close(fd);
}
END_TEST

START_TEST(test_extended_messages)
{
	struct peer_want w = want(TWO, V4);
	struct bgp_open o = open_with_all(V4);
	int fd;

	d.config.extended_messages = _i & 1;
	o.extended_message = _i & 2;
	apply(&w, 1);
	fd = establish_with(TWO, &o);
	ck_assert_uint_eq(bgp_session_codec(peer_of(TWO)->session)->max_message,
			  _i == 3 ? BGP_MAX_EXTENDED : BGP_MAX_MESSAGE);
	close(fd);
}
END_TEST

/* A changed offer resets the session exactly if something else comes of it. */
START_TEST(test_change)
{
	struct peer_want w = want(TWO, V4), again;
	struct bgp_open o = open_with_all(V4);
	int fd;

	o.add_path[FAM_IPV4] = BGP_ADD_PATH_SEND;
	apply(&w, 1);
	fd = establish_with(TWO, &o);
	again = want(TWO, V4);
	again.opt.add_path = ADD_PATH_BOTH; /* the peer does not receive */
	again.opt.add_path_limit = 2;
	apply(&again, 1);
	settle();
	ck_assert(is_up(TWO));
	again = want(TWO, V4);
	again.opt.add_path = ADD_PATH_OFF;
	apply(&again, 1);
	settle();
	ck_assert(!is_up(TWO));
	close(fd);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("offers");

	tcase_add_loop_test(tc, test_offer, 0, sizeof offers / sizeof *offers);
	tcase_add_loop_test(tc, test_extended_messages, 0, 4);
	tcase_add_test(tc, test_change);
	return rig_run(tc, "what sessions are offered");
}
