/* ADD-PATH (RFC 7911) towards peers: which paths go out, under which identifiers, and what changes of the routes, of
 * the best one, and of the limit cause. */
#include "tests/unit/rib/inbox.h"

#define P1 "10.1.0.1/32"

static void begin(void)
{
	rig_begin();
	for (int f = 0; f < FAM_COUNT; f++)
		rib_release(rig.rib, (enum family)f);
}

/* A reflector's client (or a peer of another AS) that takes several paths. */
static struct inbox *receiver(struct rib_peer_conf conf)
{
	struct rib_peer *p = rib_peer_new(rig.rib, &conf, NULL);
	struct bgp_codec codec = peer_codec(p);
	struct inbox *in;

	codec.add_path_tx = BOTH;
	peer_up_with(p, &codec);
	in = inbox_new(p);
	in->codec = codec;
	inbox_drain(in);
	return in;
}

static struct rib_peer_conf client_conf(unsigned i)
{
	struct rib_peer_conf conf = peer_conf(i, false);

	conf.rr_client = true;
	conf.cluster_id = 1;
	return conf;
}

static struct rib_peer *client(unsigned i)
{
	struct rib_peer_conf conf = client_conf(i);
	struct rib_peer *p = rib_peer_new(rig.rib, &conf, NULL);

	peer_up(p);
	return p;
}

/* The path whose next hop is this, as the peer has it; NULL if it does not. */
static const struct heard *path_via(const struct inbox *in, const char *prefix, const char *next_hop)
{
	struct prefix p = prefix_of(prefix);
	struct addr nh = addr_of(next_hop);
	const struct heard *found = NULL;

	for (unsigned i = 0; i < HEARD; i++) {
		const struct heard *h = &in->heard[i];

		if (!h->there || !prefix_equal(&h->prefix, &p) || !addr_equal(&h->said.next_hop, &nh))
			continue;
		ck_assert_msg(!found, "%s via %s is there twice", prefix, next_hop);
		found = h;
	}
	return found;
}

static uint32_t id_via(const struct inbox *in, const char *prefix, const char *next_hop)
{
	const struct heard *h = path_via(in, prefix, next_hop);

	ck_assert_msg(h, "no path via %s", next_hop);
	return h->path_id;
}

START_TEST(test_all_but_its_own)
{
	struct inbox *a, *b;
	struct rib_peer *c;

	begin();
	a = receiver(client_conf(1));
	b = receiver(client_conf(2));
	c = client(3);
	announce(a->peer, P1, (struct spec){{65001}});
	announce(b->peer, P1, (struct spec){{65001}});
	announce(c, P1, (struct spec){{65001, 65002}});
	inbox_drain(a);
	inbox_drain(b);
	ck_assert_uint_eq(a->known, 2);
	ck_assert_uint_eq(b->known, 2);
	ck_assert(path_via(a, P1, "10.0.0.2") && path_via(a, P1, "10.0.0.3"));
	ck_assert(path_via(b, P1, "10.0.0.1") && path_via(b, P1, "10.0.0.3"));
	/* Everybody hears of a path by the same identifier, and of none by 0. */
	ck_assert_uint_eq(id_via(a, P1, "10.0.0.3"), id_via(b, P1, "10.0.0.3"));
	ck_assert_uint_ne(id_via(a, P1, "10.0.0.3"), 0);
	ck_assert_uint_eq(rib_peer_stats(a->peer).sent[FAM_IPV4], 2);
	inbox_free(a);
	inbox_free(b);
	rig_end();
}
END_TEST

/* Another best path is no news to those who have all of them. */
START_TEST(test_identifiers_stay)
{
	struct rib_peer *b, *c;
	struct inbox *in;
	uint32_t id_b, id_c;

	begin();
	b = client(2);
	c = client(3);
	in = receiver(client_conf(1));
	announce(b, P1, (struct spec){{65001}});
	announce(c, P1, (struct spec){{65001, 65002}});
	inbox_drain(in);
	id_b = id_via(in, P1, "10.0.0.2");
	id_c = id_via(in, P1, "10.0.0.3");
	ck_assert_uint_ne(id_b, id_c);
	/* c becomes the best: its path is replaced, and nothing is said of b's. */
	announce(c, P1, (struct spec){{65001}, .local_pref = 200});
	inbox_drain(in);
	ck_assert_str_eq(in->log, "+" P1);
	ck_assert_uint_eq(id_via(in, P1, "10.0.0.2"), id_b);
	ck_assert_uint_eq(id_via(in, P1, "10.0.0.3"), id_c);
	ck_assert_uint_eq(path_via(in, P1, "10.0.0.3")->said.local_pref, 200);
	/* The best goes: one withdrawal, by its identifier. */
	withdraw(c, P1);
	inbox_drain(in);
	ck_assert_str_eq(in->log, "-" P1);
	ck_assert_uint_eq(in->known, 1);
	ck_assert_uint_eq(id_via(in, P1, "10.0.0.2"), id_b);
	withdraw(b, P1);
	inbox_drain(in);
	ck_assert_uint_eq(in->known, 0);
	ck_assert_uint_eq(rib_stats(rig.rib).prefixes[FAM_IPV4], 0);
	inbox_free(in);
	rig_end();
}
END_TEST

/* Received identifiers are the sender's business: two of one peer, and the same one of another. */
START_TEST(test_own_identifiers)
{
	struct rib_peer *peers[2];
	struct prefix p = prefix_of(P1);
	struct inbox *in;

	begin();
	in = receiver(client_conf(1));
	for (unsigned i = 0; i < 2; i++) {
		struct rib_peer_conf conf = client_conf(2 + i);
		struct bgp_codec codec;

		peers[i] = rib_peer_new(rig.rib, &conf, NULL);
		codec = peer_codec(peers[i]);
		codec.add_path_rx = BOTH;
		peer_up_with(peers[i], &codec);
	}
	announce_prefix(peers[0], &p, &(struct spec){.next_hop = "10.9.0.1", .path_id = 1}, true);
	announce_prefix(peers[0], &p, &(struct spec){.next_hop = "10.9.0.2", .path_id = 2}, true);
	announce_prefix(peers[1], &p, &(struct spec){.next_hop = "10.9.0.3", .path_id = 1}, true);
	inbox_drain(in);
	ck_assert_uint_eq(in->known, 3);
	withdraw_prefix(peers[0], &p, 1, true);
	inbox_drain(in);
	ck_assert_uint_eq(in->known, 2);
	ck_assert(!path_via(in, P1, "10.9.0.1"));
	rib_peer_down(peers[0], 0);
	inbox_drain(in);
	ck_assert_uint_eq(in->known, 1);
	ck_assert(path_via(in, P1, "10.9.0.3"));
	inbox_free(in);
	rig_end();
}
END_TEST

START_TEST(test_limit)
{
	struct rib_peer_conf conf = client_conf(1);
	struct rib_peer *from[4];
	struct inbox *in;

	begin();
	for (unsigned i = 0; i < 4; i++) {
		from[i] = client(2 + i);
		announce(from[i], P1, (struct spec){{65001}, .local_pref = 100 + i});
	}
	conf.add_path_limit = 2;
	in = receiver(conf);
	ck_assert_uint_eq(in->known, 2);
	ck_assert(path_via(in, P1, "10.0.0.5") && path_via(in, P1, "10.0.0.4"));
	/* The worst becomes the best: one comes and one goes. */
	announce(from[0], P1, (struct spec){{65001}, .local_pref = 300});
	inbox_drain(in);
	ck_assert_uint_eq(in->known, 2);
	ck_assert(path_via(in, P1, "10.0.0.2") && path_via(in, P1, "10.0.0.5"));
	/* Another limit is another group; the peer is told the difference alone. */
	conf.add_path_limit = 3;
	rib_peer_configure(in->peer, &conf);
	inbox_drain(in);
	ck_assert_str_eq(in->log, "+" P1);
	ck_assert(path_via(in, P1, "10.0.0.4"));
	conf.add_path_limit = 1;
	rib_peer_configure(in->peer, &conf);
	inbox_drain(in);
	ck_assert_str_eq(in->log, "-" P1 " -" P1);
	ck_assert(path_via(in, P1, "10.0.0.2"));
	conf.add_path_limit = 0;
	rib_peer_configure(in->peer, &conf);
	inbox_drain(in);
	ck_assert_uint_eq(in->known, 4);
	inbox_free(in);
	rig_end();
}
END_TEST

/* Each path is judged by itself: RFC 4456 for internal ones, policy and communities for all. */
START_TEST(test_each_is_judged)
{
	struct rib_peer_conf plain = peer_conf(1, false), external = peer_conf(9, true);
	struct inbox *in, *out;

	begin();
	in = receiver(plain);
	out = receiver(external);
	announce(client(2), P1, (struct spec){{65001}});
	announce(peer_add(3, false), P1, (struct spec){{65001}});
	announce(peer_add(4, true), P1, (struct spec){{65004}});
	announce(peer_add(5, true), P1, (struct spec){{65005}, .communities = {BGP_COMMUNITY_NO_ADVERTISE}});
	announce(peer_add(6, true), P1, (struct spec){{65006}, .communities = {BGP_COMMUNITY_NO_EXPORT}});
	inbox_drain(in);
	ck_assert_uint_eq(in->known, 3);
	ck_assert(path_via(in, P1, "10.0.0.2")->said.has_originator);
	ck_assert(!path_via(in, P1, "10.0.0.4")->said.has_originator);
	ck_assert(path_via(in, P1, "10.0.0.6"));
	inbox_drain(out);
	ck_assert_uint_eq(out->known, 3);
	inbox_free(in);
	inbox_free(out);
	rig_end();
}
END_TEST

/* What cannot be reached goes out only if nothing else is there, as the best route does. */
START_TEST(test_unreachable)
{
	struct addr far = addr_of("10.9.0.1"), near = addr_of("10.0.0.3");
	struct rib_peer *b, *c;
	struct inbox *in;

	begin();
	in = receiver(client_conf(1));
	b = client(2);
	c = client(3);
	announce(b, P1, (struct spec){{65001}, .next_hop = "10.9.0.1"});
	announce(c, P1, (struct spec){{65001}});
	inbox_drain(in);
	ck_assert_uint_eq(in->known, 2);
	rib_nexthop_update(rig.rib, &far, false, 0);
	inbox_drain(in);
	ck_assert_str_eq(in->log, "-" P1);
	ck_assert(path_via(in, P1, "10.0.0.3"));
	rib_nexthop_update(rig.rib, &near, false, 0);
	inbox_drain(in);
	ck_assert_uint_eq(in->known, 2);
	inbox_free(in);
	rig_end();
}
END_TEST

/* The same reflector has clients that take one path and such that take all; a new session may be the other kind. */
START_TEST(test_on_and_off)
{
	struct rib_peer *b, *c;
	struct bgp_codec codec;
	struct inbox *in;

	begin();
	in = receiver(client_conf(1));
	b = client(2);
	c = client(3);
	announce(b, P1, (struct spec){{65001}});
	announce(c, P1, (struct spec){{65001, 65002}});
	inbox_drain(in);
	ck_assert_uint_eq(in->known, 2);
	codec = peer_codec(in->peer);
	for (unsigned i = 0; i < 3; i++) {
		rib_peer_down(in->peer, BOTH);
		codec.add_path_tx = i & 1 ? 1u << FAM_IPV4 : 0;
		peer_up_with(in->peer, &codec);
		inbox_clear(in);
		in->codec = codec;
		inbox_drain(in);
		ck_assert_uint_eq(in->known, i & 1 ? 2 : 1);
	}
	inbox_free(in);
	rig_end();
}
END_TEST

/* So many paths of one prefix that they take several messages and chunks; a refresh says all again and loses nothing.
 */
START_TEST(test_many_of_one_prefix)
{
	enum { MANY = 3000 };
	struct rib_peer_conf conf = client_conf(2);
	struct prefix p = prefix_of(P1);
	struct rib_peer *from;
	struct bgp_codec codec;
	struct inbox *in;

	begin();
	from = rib_peer_new(rig.rib, &conf, NULL);
	codec = peer_codec(from);
	codec.add_path_rx = BOTH;
	peer_up_with(from, &codec);
	for (unsigned i = 0; i < MANY; i++)
		announce_prefix(from, &p, &(struct spec){{65001, 1 + i}, .path_id = i}, true);
	in = receiver(client_conf(1));
	ck_assert_uint_eq(in->known, MANY);
	rib_peer_resend(in->peer, FAM_IPV4, true);
	inbox_drain(in);
	ck_assert_uint_eq(in->ends, 1);
	ck_assert_uint_eq(in->known, MANY);
	ck_assert_uint_eq(in->lost, 0);
	for (unsigned i = 0; i < MANY; i += 2)
		withdraw_prefix(from, &p, i, true);
	inbox_drain(in);
	ck_assert_uint_eq(in->known, MANY / 2);
	rib_peer_down(from, 0);
	inbox_drain(in);
	ck_assert_uint_eq(in->known, 0);
	inbox_free(in);
	rig_end();
}
END_TEST

/* A prefix whose best route goes from one peer to another is the same to an external peer, who sees our next hop and
 * not the MED; to internal ones it is not. */
START_TEST(test_looks_the_same)
{
	struct inbox *external, *internal, *sources[2];
	unsigned sent;

	begin();
	external = inbox_new(peer_add(1, true));
	internal = inbox_new(peer_add(2, false));
	for (unsigned i = 0; i < 2; i++)
		sources[i] = inbox_new(client(3 + i));
	announce(sources[0]->peer, P1, (struct spec){{65001}, .has_med = true, .med = 5});
	inbox_drain(external);
	inbox_drain(internal);
	sent = external->reach;
	announce(sources[1]->peer, P1, (struct spec){{65001}, .local_pref = 200});
	inbox_drain(external);
	inbox_drain(internal);
	ck_assert_str_eq(external->log, "");
	ck_assert_uint_eq(external->reach, sent);
	ck_assert_str_eq(internal->log, "+" P1);
	ck_assert_uint_eq(inbox_at(internal, P1)->said.local_pref, 200);
	/* What does look different goes out, and so does the withdrawal. */
	announce(sources[1]->peer, P1, (struct spec){{65001, 65009}, .local_pref = 200});
	inbox_drain(external);
	ck_assert_str_eq(external->log, "+" P1);
	rib_peer_down(sources[0]->peer, 0);
	rib_peer_down(sources[1]->peer, 0);
	inbox_drain(external);
	ck_assert_str_eq(external->log, "-" P1);
	inbox_free(external);
	inbox_free(internal);
	for (unsigned i = 0; i < 2; i++)
		inbox_free(sources[i]);
	rig_end();
}
END_TEST

/* The route became another's without a word, since nobody who reads would have noticed. Its new owner joins them, and
 * comes by what was encoded for the old one's sake: it must not be told its own. */
START_TEST(test_silent_change_of_owner)
{
	struct rib_peer_conf conf = peer_conf(4, true);
	struct inbox *reader, *sleeper, *owner;
	struct rib_peer *first;

	begin();
	reader = inbox_new(peer_add(1, true));
	sleeper = inbox_new(peer_add(2, true));
	first = client(3);
	conf.prepend = 1; /* another group */
	owner = inbox_new(rib_peer_new(rig.rib, &conf, NULL));
	peer_up(owner->peer);
	announce(first, P1, (struct spec){{65001}});
	inbox_drain(reader);
	ck_assert_uint_eq(reader->known, 1);
	rib_peer_resend(reader->peer, FAM_IPV4, false);
	inbox_drain(reader);
	announce(owner->peer, P1, (struct spec){{65001}});
	withdraw(first, P1);
	inbox_drain(reader);
	ck_assert_str_eq(reader->log, "");
	conf.prepend = 0;
	rib_peer_configure(owner->peer, &conf);
	inbox_drain(owner);
	ck_assert_uint_eq(rib_peer_stats(owner->peer).group, rib_peer_stats(reader->peer).group);
	rib_peer_resend(owner->peer, FAM_IPV4, false);
	inbox_drain(owner);
	ck_assert_uint_eq(owner->known, 0);
	inbox_drain(sleeper);
	ck_assert_uint_eq(sleeper->known, 1);
	inbox_free(reader);
	inbox_free(sleeper);
	inbox_free(owner);
	rig_end();
}
END_TEST

/* ---- For people ---- */

struct told {
	struct strbuf text;
};

static void tell(void *arg, const struct rib_route *route, uint32_t path_id, bool sent, const char *why)
{
	struct told *t = arg;

	ck_assert_uint_ne(path_id, 0);
	strbuf_printf(&t->text, "%s %s: %s\n", rib_peer_config(route->peer)->name, sent ? "yes" : "no", why);
}

static void explained(const struct inbox *in, const char *expected)
{
	struct prefix p = prefix_of(P1);
	struct told t = {0};

	strbuf_puts(&t.text, "");
	rib_explain_paths(in->peer, &p, tell, &t);
	ck_assert_str_eq(t.text.s, expected);
	strbuf_free(&t.text);
}

START_TEST(test_explain)
{
	struct rib_peer_conf conf = client_conf(1);
	struct prefix p = prefix_of(P1);
	struct rib_export_view v;
	struct addr far = addr_of("10.9.0.1");
	struct inbox *in, *plain;

	begin();
	conf.add_path_limit = 2;
	in = receiver(conf);
	plain = inbox_new(client(8));
	explained(in, "");
	announce(in->peer, P1, (struct spec){{65001}});
	rig_settle();
	v = rib_explain_export(in->peer, &p);
	ck_assert(!v.sent && v.add_path);
	ck_assert_str_eq(v.why, "split horizon: it came from this peer");
	announce(client(2), P1, (struct spec){{65001}, .local_pref = 300});
	announce(client(3), P1, (struct spec){{65001}, .local_pref = 200});
	announce(client(4), P1, (struct spec){{65001}, .local_pref = 150});
	announce(client(5), P1, (struct spec){{65001}, .communities = {BGP_COMMUNITY_NO_ADVERTISE}});
	announce(client(6), P1, (struct spec){{65001}, .next_hop = "10.9.0.1"});
	announce(client(7), P1, (struct spec){{65001}, .next_hop = "10.0.0.1"});
	rib_nexthop_update(rig.rib, &far, false, 0);
	rig_settle();
	explained(in, "peer2 yes: one of all acceptable paths\n"
		      "peer3 yes: one of all acceptable paths\n"
		      "peer4 no: more paths than the peer shall be sent (addPathLimit), and these are better\n"
		      "peer1 no: split horizon: it came from this peer\n"
		      "peer5 no: community NO_ADVERTISE\n"
		      "peer7 no: the next hop is the peer's own address\n"
		      "peer6 no: its next hop is unreachable, and there are others\n");
	v = rib_explain_export(in->peer, &p);
	ck_assert(v.sent && v.add_path);
	explained(plain, "");
	v = rib_explain_export(plain->peer, &p);
	ck_assert(v.sent && !v.add_path);
	ck_assert_str_eq(v.why, "best route");
	inbox_free(in);
	inbox_free(plain);
	rig_end();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("paths");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_all_but_its_own);
	tcase_add_test(tc, test_identifiers_stay);
	tcase_add_test(tc, test_own_identifiers);
	tcase_add_test(tc, test_limit);
	tcase_add_test(tc, test_each_is_judged);
	tcase_add_test(tc, test_unreachable);
	tcase_add_test(tc, test_on_and_off);
	tcase_add_test(tc, test_many_of_one_prefix);
	tcase_add_test(tc, test_looks_the_same);
	tcase_add_test(tc, test_silent_change_of_owner);
	tcase_add_test(tc, test_explain);
	return run_suite(tc, "several paths");
}
