/* Attributes that fit the messages of some peers alone (RFC 8654 4): the others are not told of the route, or that it
 * is gone, and everything else goes on. */
#include "tests/unit/rib/inbox.h"

#define P1 "10.1.0.1/32"
#define P2 "10.1.0.2/32"

static struct inbox *receiver(unsigned i, bool ebgp, struct bgp_codec more)
{
	struct rib_peer_conf conf = peer_conf(i, ebgp);
	struct rib_peer *p = rib_peer_new(rig.rib, &conf, NULL);
	struct bgp_codec codec = peer_codec(p);
	struct inbox *in;

	codec.max_message = more.max_message;
	codec.add_path_tx = more.add_path_tx;
	if (i == 7)
		codec.as4 = false;
	peer_up_with(p, &codec);
	in = inbox_new(p);
	in->codec = codec;
	return in;
}

/* Announces with so many octets of large communities. */
static void announce_long(struct rib_peer *p, const char *prefix, unsigned octets)
{
	struct bgp_attrs a = spec_attrs(p, FAM_IPV4, &(struct spec){{65001}});
	struct bgp_nlri nlri = {prefix_of(prefix), 0};
	uint8_t *value = mem_calloc(1, octets + 12), *message = mem_alloc(BGP_MAX_EXTENDED);
	struct wr w = wr_make(message, BGP_MAX_EXTENDED), v = wr_make(value, octets + 12);
	struct bgp_codec codec = peer_codec(p);

	codec.max_message = BGP_MAX_EXTENDED;
	for (unsigned i = 0; i < octets / 12; i++) {
		wr_u32(&v, 65001);
		wr_u32(&v, i);
		wr_u32(&v, i);
	}
	a.large_communities = (struct span){value, wr_len(&v)};
	a.present |= 1u << BA_LARGE_COMMUNITIES;
	ck_assert_uint_eq(bgp_update_encode_reach(&w, &codec, FAM_IPV4, &a, &nlri, 1), 1);
	deliver(p, message, wr_len(&w), &codec);
	free(value);
	free(message);
}

static const char *why_not(const struct inbox *in, const char *prefix)
{
	struct prefix p = prefix_of(prefix);
	struct rib_export_view v = rib_explain_export(in->peer, &p);

	return v.sent ? "" : v.why;
}

static void begin(void)
{
	rig_begin();
	for (int f = 0; f < FAM_COUNT; f++)
		rib_release(rig.rib, (enum family)f);
}

START_TEST(test_too_long)
{
	static const char plain_why[] =
	    "its attributes do not fit a message of 4096 octets, and the session has no longer ones (RFC 8654)";
	struct inbox *plain, *wide, *paths;
	struct rib_peer *from;

	begin();
	from = peer_add(1, true);
	plain = receiver(2, false, (struct bgp_codec){.max_message = BGP_MAX_MESSAGE});
	wide = receiver(3, false, (struct bgp_codec){.max_message = BGP_MAX_EXTENDED});
	paths = receiver(4, false, (struct bgp_codec){.max_message = BGP_MAX_MESSAGE, .add_path_tx = BOTH});
	announce(from, P1, (struct spec){{65001}});
	announce(from, P2, (struct spec){{65001}});
	inbox_drain(plain);
	inbox_drain(wide);
	inbox_drain(paths);
	ck_assert_uint_eq(plain->known, 2);
	/* It grows: those whose messages are too short hear that it is gone, and keep the other one. */
	announce_long(from, P1, 20000);
	inbox_drain(plain);
	inbox_drain(wide);
	inbox_drain(paths);
	ck_assert_str_eq(plain->log, "-" P1);
	ck_assert_str_eq(wide->log, "+" P1);
	ck_assert_str_eq(paths->log, "-" P1);
	ck_assert_str_eq(why_not(plain, P1), plain_why);
	ck_assert_str_eq(why_not(paths, P1), plain_why);
	ck_assert_str_eq(why_not(wide, P1), "");
	ck_assert_uint_eq(rib_peer_stats(plain->peer).sent[FAM_IPV4], 1);
	ck_assert_uint_eq(rib_peer_stats(wide->peer).sent[FAM_IPV4], 2);
	/* And shrinks again. */
	announce(from, P1, (struct spec){{65001}});
	inbox_drain(plain);
	ck_assert_str_eq(plain->log, "+" P1);
	withdraw(from, P1);
	inbox_drain(plain);
	ck_assert_str_eq(plain->log, "-" P1);
	inbox_free(plain);
	inbox_free(wide);
	inbox_free(paths);
	rig_end();
}
END_TEST

/* Octet for octet: what is judged to fit does, and is sent; with what the peer's kind adds to it. */
START_TEST(test_exactly)
{
	static const struct {
		bool ebgp;
		unsigned number;
		struct bgp_codec codec;
	} kinds[] = {
	    {false, 2, {.max_message = BGP_MAX_MESSAGE}},
	    {true, 2, {.max_message = BGP_MAX_MESSAGE}},
	    {true, 7, {.max_message = BGP_MAX_MESSAGE}}, /* AS4_PATH beside AS_PATH */
	    {false, 2, {.max_message = BGP_MAX_MESSAGE, .add_path_tx = BOTH}},
	};
	struct rib_peer *from;
	struct inbox *in;
	unsigned sent = 0;

	begin();
	from = peer_add(1, true);
	in = receiver(kinds[_i].number, kinds[_i].ebgp, kinds[_i].codec);
	for (unsigned octets = 3900; octets < 4100; octets += 12) {
		bool fits;

		announce_long(from, P1, octets);
		inbox_drain(in);
		fits = !*why_not(in, P1);
		ck_assert_msg(in->known == fits, "%u octets", octets);
		ck_assert_msg(!fits || sent == (octets - 3900) / 12, "%u octets fit, and less did not", octets);
		sent += fits;
	}
	ck_assert_uint_gt(sent, 0);
	ck_assert_uint_lt(sent, 17);
	inbox_free(in);
	rig_end();
}
END_TEST

/* Long ones by the hundred: messages of that length, in chunks that stay bounded. */
START_TEST(test_many)
{
	struct rib_peer *from;
	struct inbox *in;

	begin();
	from = peer_add(1, true);
	in = receiver(2, false, (struct bgp_codec){.max_message = BGP_MAX_EXTENDED});
	for (unsigned i = 0; i < 40; i++) {
		char prefix[PREFIX_STRLEN];

		snprintf(prefix, sizeof prefix, "10.2.0.%u/32", i);
		announce_long(from, prefix, 60000 - 12 * i);
	}
	in->keep_bufs = true;
	inbox_drain(in);
	ck_assert_uint_eq(in->known, 40);
	for (unsigned i = 0; i < in->n_bufs; i++)
		ck_assert_uint_le(in->bufs[i]->len, 3 * BGP_MAX_EXTENDED);
	inbox_free(in);
	rig_end();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("long");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_too_long);
	tcase_add_loop_test(tc, test_exactly, 0, 4);
	tcase_add_test(tc, test_many);
	return run_suite(tc, "attributes longer than messages");
}
